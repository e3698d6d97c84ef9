/* The contract of a cache that gateways share: bytes under keys, kept for a while by somebody else. What is in it may be gone,
 * old, another's or made up at any moment, and it may be slow or away; so it is only ever a short cut to what its user could
 * find out otherwise, and never the only place of anything.
 *
 * What its users may rely on: get gives either exactly what some gateway of this installation has put under that kind, key and
 * generation, less than its life ago, or nothing. The room sees to that (a MAC over key, generation, end and value; the key is
 * this installation's and does not lie in the cache). It cannot see to it that this was the last thing put: so what is put
 * under one key and generation has to be always the same, true for ever, or checked by whoever takes it.
 *
 * No cache is a NULL, and costs nothing. Core calls it through core/shared.h, which asks the breaker, counts, and lets one
 * load what many miss.
 *
 * Threads: everything from any number of workers at once. get blocks, for the budget at most, whatever the other side does;
 * put does not wait at all. Never from a loop.
 * Memory: values of get are in the caller's arena; put copies.
 */
#ifndef GH_CORE_CACHE_H
#define GH_CORE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"

#define CACHE_ABI 1

/* Each may have servers of its own, so that much of one does not push out the other. */
enum cache_kind {
	CACHE_SESSIONS, /* what has let people in: verified secrets; small, dear */
	CACHE_RIGHTS,   /* snapshots of who may do what: large, long-lived */
	CACHE_TREE,     /* what is at a name: small, many, soon over */
	CACHE_KINDS
};
const char *cache_kind_name(enum cache_kind k);

#define CACHE_SECRET_BYTES 32
#define CACHE_KEY_MAX 512
#define CACHE_VALUE_MAX (1000u << 10) /* larger ones are not kept */
#define CACHE_SERVERS_MAX 64          /* of one kind */

struct cache_key {
	enum cache_kind kind;
	const void *bytes;
	size_t len; /* 1..CACHE_KEY_MAX */
	uint64_t gen;
};

/* Why something that came is not believed. */
enum cache_refusal {
	CACHE_DAMAGED,   /* not whole, or not made by this installation */
	CACHE_OTHER_KEY, /* what was put under another one */
	CACHE_OTHER_GEN,
	CACHE_EXPIRED,
	CACHE_REFUSALS
};

struct cache_answer {
	const void *value;
	size_t len;
	enum cache_refusal refusal; /* with GH_STALE */
};

/* How one server does. trouble: "" or in words. */
typedef void cache_look_fn(void *arg, const char *server, const char *kinds, const char *trouble);

struct cache; /* instance, the room's */

struct cache_ops {
	unsigned abi; /* CACHE_ABI */
	size_t size;  /* sizeof(struct cache_ops) */
	const char *name;

	/* GH_OK: ret's value. GH_NOTFOUND: it is not there. GH_STALE: something is, and it is not believed. GH_IO: no answer
	 * within the budget. GH_TRIPPED: the server that would have it did not answer a short while ago, others do. GH_NOMEM. */
	enum gh_status (*get)(struct cache *c, const struct cache_key *k, struct gh_arena *a, struct cache_answer *ret);
	/* Soon, perhaps. life_s: 1 .. 30 days. */
	void (*put)(struct cache *c, const struct cache_key *k, const void *value, size_t len, uint32_t life_s);
	/* For the doctor: asks each server. Blocks, for the budget and a little at each. */
	void (*look)(struct cache *c, cache_look_fn *fn, void *arg);
	void (*close)(struct cache **c);
};

struct cache_config {
	const char *servers[CACHE_KINDS]; /* as cache_servers_check takes them; "" or NULL: this kind is not kept */
	uint32_t budget_ms;
	unsigned char secret[CACHE_SECRET_BYTES];
};

/* A list of servers: HOST:PORT, [ADDR]:PORT, HOST (port 11211) or /path/of/a/socket, with commas. err (256 bytes): which one is
 * wrong, and how. GH_OK, GH_INVALID; GH_UNSUPPORTED where this program was built without. "" is good. */
GH_MUST_CHECK enum gh_status cache_servers_check(const char *servers, char *err);
/* Opens nothing yet: servers are connected when they are asked. err (256 bytes). GH_NOMEM, and as above. */
GH_MUST_CHECK enum gh_status cache_open(const struct cache_config *cfg, const struct cache_ops **ret_ops, struct cache **ret,
					char *err);

#endif
