/* What the table can't say about a configuration: does what it names exist, do its parts fit together. See config.h. */
#include "frontends/main/config.h"

#include <errno.h>
#include <libgen.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cache.h"
#include "core/meta.h"
#include "core/run/doorstep.h"

static enum gh_status refuse(const struct config *c, size_t key, char *err, const char *fmt, ...) GH_PRINTF(4, 5);
static enum gh_status refuse(const struct config *c, size_t key, char *err, const char *fmt, ...)
{
	char where[160], what[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	config_where(c, key, where, sizeof(where));
	snprintf(err, CONFIG_ERR_MAX, "%s: %s: %s", where, config_keys[key].name, what);
	return GH_INVALID;
}

static enum gh_status address_check(const struct config *c, size_t key, char *err)
{
	const char *text = config_text(c, config_keys[key].name);
	struct sockaddr_storage ss;
	socklen_t len;

	if (!*text || !gh_addr_parse(text, &ss, &len))
		return GH_OK;
	return refuse(c, key, err, "\"%.100s\" is not ADDR:PORT, [ADDR]:PORT, :PORT or off", text);
}

/* No two listeners on one address; port 0 is a different one each time. */
static enum gh_status listeners_check(const struct config *c, char *err)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const char *a = config_text(c, config_keys[i].name), *port = strrchr(a, ':');

		if (config_keys[i].kind != CONFIG_ADDRESS || !*a || !port || !strcmp(port, ":0"))
			continue;
		for (size_t j = i + 1; j < config_key_count; j++) {
			if (config_keys[j].kind == CONFIG_ADDRESS && !strcmp(a, config_text(c, config_keys[j].name)))
				return refuse(c, j, err, "\"%.100s\" is already taken by %s", a, config_keys[i].name);
		}
	}
	return GH_OK;
}

/* A file to be written needs its folder. */
static enum gh_status log_check(const struct config *c, size_t key, char *err)
{
	const char *text = config_text(c, config_keys[key].name);
	enum gh_status st = GH_OK;
	struct stat sb;
	char *copy;

	if (!*text || !strcmp(text, "-"))
		return GH_OK;
	copy = strdup(text);
	if (!copy)
		return GH_NOMEM;
	if (stat(dirname(copy), &sb))
		st = refuse(c, key, err, "the folder of \"%.150s\": %s", text, strerror(errno));
	else if (!S_ISDIR(sb.st_mode))
		st = refuse(c, key, err, "\"%.150s\" does not lie in a folder", text);
	else if (!stat(text, &sb) && S_ISDIR(sb.st_mode))
		st = refuse(c, key, err, "\"%.150s\" is a folder", text);
	free(copy);
	return st;
}

static enum gh_status folder_check(const struct config *c, size_t key, char *err)
{
	const char *text = config_text(c, config_keys[key].name);
	struct stat sb;

	if (*text && !stat(text, &sb) && !S_ISDIR(sb.st_mode))
		return refuse(c, key, err, "\"%.150s\" is not a folder", text);
	return GH_OK;
}

/* Rules of the switchboard name a place in so many bytes. */
#define PLACE_MAX 64

static enum gh_status place_check(const struct config *c, size_t key, char *err)
{
	if (strlen(config_text(c, config_keys[key].name)) > PLACE_MAX)
		return refuse(c, key, err, "has more than %d bytes, which no rule could name", PLACE_MAX);
	return GH_OK;
}

static bool is_place(const char *name)
{
	return !strcmp(name, "gateway.host") || !strcmp(name, "gateway.pod") || !strcmp(name, "gateway.dc");
}

/* Is the database told, if there is one? Its form only; what it says is secret. */
static enum gh_status database_check(const struct config *c, size_t key, char *err)
{
	const char *conninfo = config_text(c, config_keys[key].name);
	char what[CONFIG_ERR_MAX];

	if (strcmp(config_text(c, "metadata"), "postgresql"))
		return GH_OK;
	if (!*conninfo)
		return refuse(c, key, err, "says nothing, but metadata is postgresql; write \"host=HOST dbname=NAME user=NAME\"");
	return meta_conninfo_check(conninfo, what) ? refuse(c, key, err, "%.280s", what) : GH_OK;
}

static bool is_cache(const char *name)
{
	return !strcmp(name, "cache.memcached") || !strcmp(name, "cache.sessions") || !strcmp(name, "cache.rights") ||
	       !strcmp(name, "cache.tree");
}

static enum gh_status cache_check(const struct config *c, size_t key, char *err)
{
	const char *text = config_text(c, config_keys[key].name);
	char what[256];

	if (!strcmp(text, "off"))
		return GH_OK;
	return cache_servers_check(text, what) ? refuse(c, key, err, "%s", what) : GH_OK;
}

static enum gh_status trusted_check(const struct config *c, size_t key, char *err)
{
	struct gh_nets nets;
	char bad[80];

	switch (gh_nets_parse(config_text(c, config_keys[key].name), &nets, bad, sizeof(bad))) {
	case GH_OK:
		return GH_OK;
	case GH_LIMIT:
		return refuse(c, key, err, "has more than %d entries", NETS_MAX);
	default:
		return refuse(c, key, err, "\"%s\" is no address or network (10.0.0.7, 10.1.0.0/16, 2001:db8::/32), with nothing"
			      " but zeros behind its prefix", bad);
	}
}

enum gh_status config_check(const struct config *c, char *err)
{
	enum gh_status st = GH_OK;

	for (size_t i = 0; i < config_key_count && !st; i++) {
		const struct config_key *k = &config_keys[i];
		const char *text = config_text(c, k->name);

		if (k->kind == CONFIG_ADDRESS)
			st = address_check(c, i, err);
		else if (k->kind == CONFIG_USER && *text && !getpwnam(text))
			st = refuse(c, i, err, "there is no system user \"%.100s\"", text);
		else if (k->kind == CONFIG_PATH && !strncmp(k->name, "log.", 4))
			st = log_check(c, i, err);
		else if (k->kind == CONFIG_PATH)
			st = folder_check(c, i, err);
		else if (is_place(k->name))
			st = place_check(c, i, err);
		if (!st && !strcmp(k->name, "postgresql.conninfo"))
			st = database_check(c, i, err);
		if (!st && is_cache(k->name))
			st = cache_check(c, i, err);
		if (!st && !strcmp(k->name, "proxy.trusted"))
			st = trusted_check(c, i, err);
		if (!st && !strcmp(k->name, "data") && !*text)
			st = refuse(c, i, err, "may not be empty");
		if (!st && !strcmp(k->name, "breaker.max") && config_number(c, k->name) < config_number(c, "breaker.base"))
			st = refuse(c, i, err, "is shorter than breaker.base, the first pause");
	}
	return st ? st : listeners_check(c, err);
}
