/* Nodes in the shared cache (core/cache.h, CACHE_TREE): what is at a name, one entry for each, as any gateway read it from the
 * database. Whether that is still so is decided by what this gateway's own stream has heard (core/tree_marks.h), never by what
 * the cache says; so one that is old, lies, is empty or away changes how long an answer takes, and nothing else.
 *
 *     if (tree_look_begin(core, tenant, &look)) {
 *             while (tree_take(&look, parent, component, arena, &node)) ...
 *             ... the first that is not there, and all that follow, are read from the database ...
 *             tree_give(&look, parent, component, &node) for each that was found
 *     }
 *     and tree_doubt for each that the database was asked about
 *
 * An entry's name has which log its numbers are of, so nothing of before a restore or a failover is found; which of its
 * tenant's stays it is of, so nothing of before a move is; tenant, folder and key. Names where nothing is are not kept.
 *
 * No flight (core/shared.h): a node is read in the time that waiting for another would take, and its seats are for what is
 * dear. Only where there is a stream; without one, or where this kind is not kept, nothing of it happens.
 *
 * Threads: workers. take blocks, for the cache's budget at most.
 */
#ifndef GH_CORE_TREE_SHARED_H
#define GH_CORE_TREE_SHARED_H

#include "core/base/name.h"
#include "core/meta.h"
#include "core/tree_marks.h"

struct gh_core;

struct tree_look {
	struct gh_core *core;
	struct tree_marks *marks;
	struct tree_view view;
	uint64_t tenant, stay;
};

/* false: there is nothing to be had, nor to be told. Before the database is read. */
bool tree_look_begin(struct gh_core *c, uint64_t tenant, struct tree_look *ret);
/* true: *ret, in a. */
bool tree_take(const struct tree_look *l, uint64_t parent, const struct gh_component *comp, struct gh_arena *a,
	       struct meta_node *ret);
/* It was read from the database since the look began. */
void tree_give(const struct tree_look *l, uint64_t parent, const struct gh_component *comp, const struct meta_node *n);
/* Something about that name was found out otherwise than by the stream: no entry until the stream must have heard of it. */
void tree_doubt(struct gh_core *c, uint64_t tenant, uint64_t parent, const char *key, size_t len);
/* ... about any of the tenant's. */
void tree_doubt_all(struct gh_core *c, uint64_t tenant);
/* node_cache_drop, after a commit of this gateway's own. */
void tree_forget(struct gh_core *c, uint64_t tenant, uint64_t parent, const char *key, size_t len);

#endif
