/* Inside the room: how bytes get to the servers of one kind and back, believed or not. memcached.c is one; the tests have one
 * that lies. cache.c calls, from the threads that talk: a wire belongs to one thread at a time. Each call may take longer than
 * it should; cache.c does not wait for it. */
#ifndef GH_BACKENDS_CACHE_WIRE_H
#define GH_BACKENDS_CACHE_WIRE_H

#include "backends/cache/servers.h"
#include "core/cache.h"

struct wire;

struct wire_ops {
	const char *name;
	/* Connects nothing. set: shared by the wires of all threads, and alive as long as they are. GH_NOMEM. */
	enum gh_status (*open)(struct server_set *set, uint32_t budget_ms, struct wire **ret);
	/* GH_OK: *ret is malloc'ed, or NULL where *ret_len is 0. GH_NOTFOUND, GH_IO, GH_TRIPPED: see struct cache_ops. */
	enum gh_status (*get)(struct wire *w, const char *name, void **ret, size_t *ret_len);
	enum gh_status (*set)(struct wire *w, const char *name, const void *value, size_t len, uint32_t life_s);
	/* What it said does not fit what it was asked: begin anew with it. */
	void (*reset)(struct wire *w);
	void (*close)(struct wire **w);
	/* Does that one server answer? err (128 bytes): if not, why. */
	enum gh_status (*ping)(const struct server *s, uint32_t budget_ms, char *err);
};

extern const struct wire_ops wire_memcached;

/* cache.c: cache_open over another wire. */
GH_MUST_CHECK enum gh_status cache_open_on(const struct wire_ops *wire, const struct cache_config *cfg,
					   const struct cache_ops **ret_ops, struct cache **ret, char *err);

#endif
