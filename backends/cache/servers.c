/* See servers.h. */
#include "backends/cache/servers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "core/base/clock.h"

#define PORT 11211u
#define ERR_BYTES 256

static enum gh_status wrong(char *err, const char *text, size_t len, const char *how)
{
	snprintf(err, ERR_BYTES, "\"%.*s\" %s", len > 100 ? 100 : (int)len, text, how);
	return GH_INVALID;
}

/* 1..65535, else 0. */
static uint16_t port_of(const char *text, size_t len)
{
	unsigned n = 0;

	if (!len || len > 5)
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return 0;
		n = n * 10 + (unsigned)(text[i] - '0');
	}
	return n <= UINT16_MAX ? (uint16_t)n : 0;
}

static bool is_host(const char *text, size_t len)
{
	if (!len || len > SERVER_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-._:", text[i]))
			return false;
	return true;
}

static enum gh_status parse_one(const char *text, size_t len, struct server *s, char *err)
{
	const char *host = text, *colon = memrchr(text, ':', len);
	size_t host_len = len;

	s->port = PORT;
	if (text[0] == '/') {
		if (len >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return wrong(err, text, len, "is longer than the name of a socket can be");
		s->port = 0;
	} else if (text[0] == '[') {
		const char *end = memchr(text, ']', len);

		host = text + 1;
		host_len = end ? (size_t)(end - host) : 0;
		if (end && end + 1 < text + len)
			s->port = end[1] == ':' ? port_of(end + 2, len - (size_t)(end + 2 - text)) : 0;
	} else if (colon && memchr(text, ':', len) == colon) {
		host_len = (size_t)(colon - text);
		s->port = port_of(colon + 1, len - host_len - 1);
	} else if (colon) {
		return wrong(err, text, len, "is no server: an IPv6 address stands in brackets, [ADDR]:PORT");
	}
	if (text[0] != '/' && (!s->port || !is_host(host, host_len)))
		return wrong(err, text, len, "is no server: HOST:PORT, [ADDR]:PORT, HOST or /path/of/a/socket");
	memcpy(s->host, host, host_len);
	s->host[host_len] = '\0';
	if (!s->port)
		snprintf(s->text, sizeof(s->text), "%s", s->host);
	else
		snprintf(s->text, sizeof(s->text), strchr(s->host, ':') ? "[%s]:%u" : "%s:%u", s->host, s->port);
	return GH_OK;
}

static enum gh_status add(struct server_set *s, const char *text, size_t len, char *err)
{
	struct server *at = &s->server[s->count];
	enum gh_status st;

	if (s->count == CACHE_SERVERS_MAX) {
		snprintf(err, ERR_BYTES, "has more than %d servers", CACHE_SERVERS_MAX);
		return GH_INVALID;
	}
	st = parse_one(text, len, at, err);
	if (st == GH_OK && servers_find(s, at->host, at->port) < s->count)
		return wrong(err, text, len, "is named twice");
	s->count += st == GH_OK;
	return st;
}

enum gh_status servers_parse(const char *text, struct server_set *ret, char *err)
{
	enum gh_status st = GH_OK;

	*ret = (struct server_set){ .server = calloc(CACHE_SERVERS_MAX, sizeof(struct server)) };
	snprintf(err, ERR_BYTES, "out of memory");
	if (!ret->server)
		return GH_NOMEM;
	while (st == GH_OK && text && *text) {
		size_t len = strcspn(text, ","), skip = strspn(text, " \t"), trim;

		if (skip > len)
			skip = len;
		for (trim = len; trim > skip && strchr(" \t", text[trim - 1]); trim--)
			;
		st = trim > skip ? add(ret, text + skip, trim - skip, err) : wrong(err, text, len, "is an empty place in the list");
		text += len;
		if (*text == ',' && !text[1])
			st = st ? st : wrong(err, text, 1, "at the end has no server behind it");
		text += *text == ',';
	}
	if (st != GH_OK)
		servers_fini(ret);
	return st;
}

void servers_fini(struct server_set *s)
{
	free(s->server);
	*s = (struct server_set){ .count = 0 };
}

unsigned servers_find(const struct server_set *s, const char *host, uint16_t port)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->server[i].port == port && !strcmp(s->server[i].host, host))
			return i;
	return s->count;
}

static bool rests(const struct server *s, uint64_t now_ns)
{
	return atomic_load_explicit(&s->rests_until_ns, memory_order_relaxed) > now_ns;
}

enum gh_status servers_ask(const struct server_set *s, unsigned i, uint64_t now_ns)
{
	if (!rests(&s->server[i], now_ns))
		return GH_OK;
	for (unsigned k = 0; k < s->count; k++)
		if (!rests(&s->server[k], now_ns))
			return GH_TRIPPED;
	return GH_IO;
}

void servers_tell(struct server_set *s, unsigned i, bool answered, uint64_t now_ns)
{
	atomic_store_explicit(&s->server[i].rests_until_ns, answered ? 0 : now_ns + SERVER_REST_MS * GH_MS_NS, memory_order_relaxed);
}
