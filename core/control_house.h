/* What the control operations (and upkeep) use of the core's inside: blocking calls, worker or admin thread. */
#ifndef GH_CORE_CONTROL_HOUSE_H
#define GH_CORE_CONTROL_HOUSE_H

#include "core/house.h"

/* A path of a tenant resolved by the store, root first: nodes[0] is the root folder, nodes[path->depth] the last one.
 * GH_NOTFOUND when not all of it exists, GH_BADNAME... In arena a. */
struct house_place {
	struct gh_path *path;
	struct meta_node *nodes; /* path->depth + 1 of them */
	uint64_t tree_gen;       /* guard for a batch that relies on it */
};
GH_MUST_CHECK enum gh_status house_place(struct gh_core *c, struct gh_arena *a, struct tenant *t, const char *path,
					 struct house_place *ret);
/* Canonical path text of a node by climbing; "?" when it cannot be told. In arena a. */
const char *house_path_of(struct gh_core *c, struct gh_arena *a, struct tenant *t, uint64_t node);
/* A batch of the control plane (t NULL: of the house, for settings and for a new tenant): fills in tenant, op, guards that are not asked, the event; commits, and drops what the
 * steps concern (rights, locks, credentials, tenant row). user of the event is 0, user_name the actor. */
GH_MUST_CHECK enum gh_status house_commit(struct gh_core *c, struct gh_arena *a, struct tenant *t, const char *actor,
					  const char *what, const char *path, struct meta_step *steps, unsigned count);

/* The same for a change that rests on what was read before it: GH_STALE when the tenant's rights epoch has moved since
 * (every change of people and entries raises it), or UINT64_MAX = not asked. detail goes into the event's dest. */
struct house_change {
	const char *actor, *what, *path, *detail;
	uint64_t rights_epoch;
	struct meta_step *steps;
	unsigned count;
};
GH_MUST_CHECK enum gh_status house_change(struct gh_core *c, struct gh_arena *a, struct tenant *t,
					  const struct house_change *h);

#endif
