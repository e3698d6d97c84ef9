/* Splits a request target and checks hosts. Called by the guard for every request; pure. */
#include "frontends/http/target.h"

#include <string.h>
#include <strings.h>

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool port_valid(const char *p, size_t len)
{
	unsigned v = 0;

	if (len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(p[i] - '0');
	}
	return v <= 65535; /* an empty port is legal: RFC 3986 section 3.2.3 */
}

size_t http_host_name_len(const char *host, size_t len)
{
	const char *colon;

	if (len && host[0] == '[') {
		const char *close = memchr(host, ']', len);

		return close ? (size_t)(close - host) + 1 : len;
	}
	colon = memchr(host, ':', len);
	return colon ? (size_t)(colon - host) : len;
}

bool http_host_valid(const char *host, size_t len)
{
	size_t name = http_host_name_len(host, len);

	if (!name || name > 255)
		return false;
	if (host[0] == '[') {
		if (name < 4 || host[name - 1] != ']')
			return false;
		for (size_t i = 1; i < name - 1; i++)
			if (!strchr("0123456789abcdefABCDEF:.", host[i]) || !host[i])
				return false;
	} else {
		for (size_t i = 0; i < name; i++)
			if (!is_alnum((unsigned char)host[i]) && (!host[i] || !strchr("-._~%!$&'()*+,;=", host[i])))
				return false;
	}
	if (name == len)
		return true;
	return host[name] == ':' && port_valid(host + name + 1, len - name - 1);
}

static bool bytes_valid(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		/* A fragment is the client's own; obeying the rest would act on something it did not mean. */
		if (c <= ' ' || c == 0x7f || c == '#')
			return false;
	}
	return true;
}

static size_t scheme_len(const char *raw, size_t len)
{
	if (len > 7 && !strncasecmp(raw, "http://", 7))
		return 7;
	return len > 8 && !strncasecmp(raw, "https://", 8) ? 8 : 0;
}

bool http_target_parse(const char *raw, size_t len, struct http_target *ret)
{
	struct http_target t = { .form = HTTP_TARGET_ORIGIN };
	const char *q;

	if (!len || !bytes_valid(raw, len))
		return false;
	if (len == 1 && raw[0] == '*') {
		*ret = (struct http_target){ .form = HTTP_TARGET_ASTERISK, .path = raw, .path_len = 1 };
		return true;
	}
	if (raw[0] != '/') {
		size_t skip = scheme_len(raw, len);
		const char *slash = skip ? memchr(raw + skip, '/', len - skip) : NULL;

		if (!slash)
			return false;
		t.form = HTTP_TARGET_ABSOLUTE;
		t.host = raw + skip;
		t.host_len = (size_t)(slash - t.host);
		if (!http_host_valid(t.host, t.host_len))
			return false;
		len -= (size_t)(slash - raw);
		raw = slash;
	}
	q = memchr(raw, '?', len);
	t.path = raw;
	t.path_len = q ? (size_t)(q - raw) : len;
	if (q) {
		t.query = q + 1;
		t.query_len = len - t.path_len - 1;
	}
	*ret = t;
	return true;
}
