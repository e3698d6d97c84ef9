/* Tenants at run time: one struct each, made at first use, kept until the end. Two snapshots hang on it, loaded when
 * needed, dropped by whatever changes them, never updated in place: who may do what (rights), and the live locks.
 *
 * Order that makes guards safe: a mutation that changes the tree's shape commits, then drops snapshots and cache
 * entries, then raises tree_gen here. An operation reads tree_gen first and resolves after, so a stale resolution goes
 * with a stale generation and its batch refuses it.
 */
#ifndef GH_CORE_TENANT_H
#define GH_CORE_TENANT_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/fair.h"
#include "core/live.h"
#include "core/meta.h"
#include "policy/acl_trie.h"

struct rights_user {
	uint64_t id, gen;
	bool owner, disabled;
	unsigned group_count;
	const uint64_t *groups; /* ascending */
};

/* Immutable. Loops use it inside one callback without a reference; workers take one. */
struct rights {
	atomic_uint refs;
	struct tenant *tenant;
	uint64_t epoch;
	struct acl_trie *trie;
	unsigned user_count;
	struct rights_user *users; /* by id */
	struct gh_arena *arena;
};

struct locks {
	atomic_uint refs;
	unsigned count;
	struct meta_lock *lock; /* by path_key */
	uint64_t seen;          /* guard value for structural batches */
	struct gh_arena *arena;
};

struct quota_book;
struct feed_hall;
struct tenant {
	/* What every operation looks at comes first, in one line of memory. */
	uint64_t id, root;
	_Atomic uint64_t tree_gen;
	struct rights *rights; /* gh_rcu_read/publish; NULL = load it */
	struct quota_book *_Atomic quota; /* limits of its own and of its users; NULL: none (quota.h) */
	atomic_bool disabled;
	struct gh_name_rule rule;
	struct share_seat seat; /* how much it may do */
	struct locks *locks;
	uint64_t trash, route_epoch;
	char name[64];
	atomic_uint unlucky; /* as many writes do not guess that their name is free: the last guess was wrong */
	atomic_uint rights_drops, locks_drops; /* a load that began before a drop is not published */
	pthread_mutex_t load;                  /* one loader at a time, as long as the store takes */
	pthread_mutex_t tries;                 /* the tries' reference counts; held for moments */
	struct tenant *_Atomic next_id, *_Atomic next_name;
	struct feed_hall *_Atomic feed; /* somebody follows, or followed, its events (feed.h) */
	struct live_tally live; /* what it does, counted */
};

struct tenants;
struct gh_core;

enum gh_status tenants_new(struct tenants **ret);
void tenants_free(struct tenants **t);
/* Memory only: NULL when it was not met yet. Lock-free. */
struct tenant *tenant_find(struct gh_core *c, const char *name);
/* By host name of a request; NULL = no tenant claims it. Lock-free. */
struct tenant *tenant_of_host(struct gh_core *c, const char *host);
/* Blocking: from the store. GH_NOTFOUND. */
GH_MUST_CHECK enum gh_status tenant_get(struct gh_core *c, const char *name, struct tenant **ret);
/* Takes over name, hosts, disabled of a changed or new row. */
GH_MUST_CHECK enum gh_status tenant_refresh(struct gh_core *c, const struct meta_tenant *row, struct tenant **ret);
struct tenant *tenant_by_id(struct gh_core *c, uint64_t id); /* memory only, as tenant_find */
/* It only rises. */
void tenant_raise_tree_gen(struct tenant *t, uint64_t to);
/* Reads all tenants' rows (host names) at start. GH_DRAINING: the core ends. */
GH_MUST_CHECK enum gh_status tenants_load(struct gh_core *c);
/* As tenants_load, unless another thread's that began later than asked_ns (monotonic) has been through meanwhile. */
GH_MUST_CHECK enum gh_status tenants_load_since(struct gh_core *c, uint64_t asked_ns);
void tenants_each(struct gh_core *c, void (*fn)(struct tenant *t, void *arg), void *arg);

/* may_block false: the published snapshot without a reference (valid until the caller's pass ends) or GH_AGAIN.
 * may_block true: a referenced one, loaded if need be; give back with *_unref. */
GH_MUST_CHECK enum gh_status rights_get(struct gh_core *c, struct tenant *t, bool may_block, struct rights **ret);
void rights_unref(struct rights **r);
const struct rights_user *rights_user(const struct rights *r, uint64_t user);
GH_MUST_CHECK enum gh_status locks_get(struct gh_core *c, struct tenant *t, bool may_block, struct locks **ret);
void locks_unref(struct locks **l);
/* Any thread, after a commit. */
void tenant_drop_rights(struct tenant *t);
void tenant_drop_locks(struct tenant *t);

#endif
