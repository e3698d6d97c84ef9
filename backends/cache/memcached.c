/* The wire to memcached, by libmemcached; its only home. The text protocol: names are hex, values are our own envelopes, and what
 * comes back is believed by nobody before its MAC was checked (cache.c).
 *
 * A handle serves one thread. After anything but an answer its connections are shut: what was asked last may still be on its
 * way, and would be taken for the answer to the next question (CVE-2023-27478 is one of those). Keys are spread by consistent
 * hashing; a server that is away takes its share of them with it, so that they are not all moved about twice, and is left alone
 * for a second (servers.h). Compiled out: --without-memcached.
 */
#include "backends/cache/envelope.h"
#include "backends/cache/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"

enum gh_status cache_servers_check(const char *servers, char *err)
{
	struct server_set set;
	enum gh_status st = servers_parse(servers, &set, err);

	if (st == GH_OK)
		servers_fini(&set);
#ifndef HAVE_MEMCACHED
	if (st == GH_OK && servers && *servers) {
		snprintf(err, 256, "names servers, but this program was built without libmemcached (--without-memcached)");
		st = GH_UNSUPPORTED;
	}
#endif
	return st;
}

#ifndef HAVE_MEMCACHED
enum gh_status cache_open(const struct cache_config *cfg, const struct cache_ops **ret_ops, struct cache **ret, char *err)
{
	(void)cfg;
	(void)ret_ops;
	(void)ret;
	snprintf(err, 256, "this program was built without libmemcached (--without-memcached)");
	return GH_UNSUPPORTED;
}
#else
#include <libmemcached/memcached.h>

enum gh_status cache_open(const struct cache_config *cfg, const struct cache_ops **ret_ops, struct cache **ret, char *err)
{
	return cache_open_on(&wire_memcached, cfg, ret_ops, ret, err);
}

struct wire {
	memcached_st *m;
	struct server_set *set;
};

static bool server_add(memcached_st *m, const struct server *s)
{
	return memcached_success(s->port ? memcached_server_add(m, s->host, s->port) : memcached_server_add_unix_socket(m, s->host));
}

/* No call of ours takes longer than these, but for a server that answers slowly and steadily, and for name servers. */
static bool behave(memcached_st *m, uint32_t budget_ms)
{
	const struct {
		memcached_behavior_t what;
		uint64_t value;
	} all[] = {
		{ MEMCACHED_BEHAVIOR_NO_BLOCK, 1 },
		{ MEMCACHED_BEHAVIOR_TCP_NODELAY, 1 },
		{ MEMCACHED_BEHAVIOR_TCP_KEEPALIVE, 1 },
		{ MEMCACHED_BEHAVIOR_DISTRIBUTION, MEMCACHED_DISTRIBUTION_CONSISTENT },
		{ MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, budget_ms },
		{ MEMCACHED_BEHAVIOR_POLL_TIMEOUT, budget_ms },
		{ MEMCACHED_BEHAVIOR_SND_TIMEOUT, budget_ms * 1000ull },
		{ MEMCACHED_BEHAVIOR_RCV_TIMEOUT, budget_ms * 1000ull },
		{ MEMCACHED_BEHAVIOR_RETRY_TIMEOUT, 1 },
	};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!memcached_success(memcached_behavior_set(m, all[i].what, all[i].value)))
			return false;
	return true;
}

/* What a server says it will send is not taken for granted: no more memory than an envelope needs is given. */
#define ALLOC_MAX (ENVELOPE_MAX + (64u << 10))

static void *mem_alloc(const memcached_st *m, const size_t size, void *arg)
{
	(void)m;
	(void)arg;
	return size <= ALLOC_MAX ? malloc(size) : NULL;
}

static void mem_free(const memcached_st *m, void *p, void *arg)
{
	(void)m;
	(void)arg;
	free(p);
}

static void *mem_realloc(const memcached_st *m, void *p, const size_t size, void *arg)
{
	(void)m;
	(void)arg;
	return size <= ALLOC_MAX ? realloc(p, size) : NULL;
}

static void *mem_calloc(const memcached_st *m, size_t count, const size_t size, void *arg)
{
	(void)m;
	(void)arg;
	return !size || count <= ALLOC_MAX / size ? calloc(count, size) : NULL;
}

static memcached_st *handle_new(const struct server *s, unsigned count, uint32_t budget_ms)
{
	memcached_st *m = memcached_create(NULL);
	bool ok = m && memcached_success(memcached_set_memory_allocators(m, mem_alloc, mem_free, mem_realloc, mem_calloc, NULL)) &&
		  behave(m, budget_ms);

	for (unsigned i = 0; ok && i < count; i++)
		ok = server_add(m, &s[i]);
	if (!ok && m)
		memcached_free(m);
	return ok ? m : NULL;
}

static enum gh_status wire_open(struct server_set *set, uint32_t budget_ms, struct wire **ret)
{
	struct wire *w = calloc(1, sizeof(*w));

	if (!w)
		return GH_NOMEM;
	w->set = set;
	w->m = handle_new(set->server, set->count, budget_ms);
	if (!w->m) {
		free(w);
		return GH_NOMEM;
	}
	*ret = w;
	return GH_OK;
}

static void wire_close(struct wire **wp)
{
	if (*wp)
		memcached_free((*wp)->m);
	free(*wp);
	*wp = NULL;
}

static void wire_reset(struct wire *w)
{
	memcached_quit(w->m);
}

/* Which server has that name. */
static unsigned server_of(struct wire *w, const char *name)
{
	memcached_return_t rc;
	const memcached_instance_st *s = memcached_server_by_key(w->m, name, strlen(name), &rc);

	return s ? servers_find(w->set, memcached_server_name(s), memcached_server_port(s)) : w->set->count;
}

/* May it be asked now? GH_IO, GH_TRIPPED: no. */
static enum gh_status ask(struct wire *w, unsigned i)
{
	return i < w->set->count ? servers_ask(w->set, i, gh_mono_ns()) : GH_OK;
}

/* It is there, and says what is wrong. */
static bool is_answer(memcached_return_t rc)
{
	return rc == MEMCACHED_SUCCESS || rc == MEMCACHED_STORED || rc == MEMCACHED_NOTFOUND || rc == MEMCACHED_NOTSTORED ||
	       rc == MEMCACHED_E2BIG || rc == MEMCACHED_SERVER_ERROR || rc == MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE;
}

static enum gh_status told(struct wire *w, unsigned i, memcached_return_t rc)
{
	if (i < w->set->count)
		servers_tell(w->set, i, is_answer(rc), gh_mono_ns());
	if (rc == MEMCACHED_NOTFOUND)
		return GH_NOTFOUND;
	if (rc == MEMCACHED_SUCCESS || rc == MEMCACHED_STORED)
		return GH_OK;
	wire_reset(w);
	return GH_IO;
}

static enum gh_status wire_get(struct wire *w, const char *name, void **ret, size_t *ret_len)
{
	const unsigned i = server_of(w, name);
	memcached_return_t rc = MEMCACHED_FAILURE;
	enum gh_status st = ask(w, i);
	uint32_t flags;

	*ret = NULL;
	*ret_len = 0;
	if (st != GH_OK)
		return st;
	*ret = memcached_get(w->m, name, strlen(name), ret_len, &flags, &rc);
	st = told(w, i, rc);
	if (st == GH_OK)
		return GH_OK;
	free(*ret);
	*ret = NULL;
	*ret_len = 0;
	return st;
}

static enum gh_status wire_set(struct wire *w, const char *name, const void *value, size_t len, uint32_t life_s)
{
	const unsigned i = server_of(w, name);
	const enum gh_status st = ask(w, i);

	return st ? st : told(w, i, memcached_set(w->m, name, strlen(name), value, len, (time_t)life_s, 0));
}

static enum gh_status wire_ping(const struct server *s, uint32_t budget_ms, char *err)
{
	memcached_st *m = handle_new(s, 1, budget_ms);
	memcached_return_t rc;

	if (!m) {
		snprintf(err, 128, "out of memory");
		return GH_NOMEM;
	}
	rc = memcached_version(m);
	if (!memcached_success(rc))
		snprintf(err, 128, "%s", memcached_strerror(m, rc));
	memcached_free(m);
	return memcached_success(rc) ? GH_OK : GH_IO;
}

const struct wire_ops wire_memcached = {
	.name = "memcached",
	.open = wire_open,
	.get = wire_get,
	.set = wire_set,
	.reset = wire_reset,
	.close = wire_close,
	.ping = wire_ping,
};
#endif
