/* From a path to what is there, and what the caller may know and do about it: resolution (place.c), the gate's rights
 * (gate.c), conditions (cond.c) and locks (lockcheck.c). All of these run in an operation, on its loop or worker, and
 * answer GH_AGAIN on a loop when memory does not hold what they need. */
#ifndef GH_CORE_PLACE_H
#define GH_CORE_PLACE_H

#include "core/house.h"

struct place {
	const struct gh_path *path;
	unsigned found;         /* how many leading components exist */
	bool exists;            /* all of them */
	bool below_file;        /* the last that exists is a file and more was asked */
	bool guessed;           /* that the last does not exist (vfs_work.guess) */
	uint64_t ids[GH_DEPTH_MAX + 1]; /* ids[0] the root .. ids[found] */
	struct meta_node node;  /* the last one found; the thing itself when exists */
};

GH_MUST_CHECK enum gh_status place_find(struct vfs_work *w, const struct gh_path *path, struct place *ret);
/* Is there a folder for it to go into? */
bool place_has_parent(const struct place *p);
uint64_t place_parent_id(const struct place *p); /* where the parent exists */
struct meta_slot place_slot(const struct place *p); /* guard: as it was found */
bool place_is_root(const struct place *p);

/* Brings tenant, rights and caller of this attempt into w. First thing in every operation but login. */
GH_MUST_CHECK enum gh_status gate_enter(struct vfs_work *w);
unsigned gate_rights(const struct vfs_work *w, const struct gh_path *path, unsigned depth);
bool gate_visible(const struct vfs_work *w, const struct gh_path *path, unsigned depth);
/* The operation's row against path and destination (NULL where it has none): GH_OK, GH_NOTFOUND for what the caller may
 * not even see, GH_DENIED. */
GH_MUST_CHECK enum gh_status gate_check(struct vfs_work *w, const struct place *p, const struct place *dest);

/* Locks. A name slot that is written needs the locks that cover it; a member that appears or goes needs the parent's;
 * a tree that goes needs those below. GH_LOCKED fills req->blocker. */
enum { LOCK_SELF = 1, LOCK_MEMBER = 2, LOCK_BELOW = 4 };
GH_MUST_CHECK enum gh_status lock_check(struct vfs_work *w, const struct locks *l, const struct gh_path *path,
					unsigned what);
bool lock_covers(const struct meta_lock *l, const struct gh_path *path, int64_t now_us);
bool lock_is_below(const struct meta_lock *l, const struct gh_path *path, int64_t now_us); /* at or below */
bool lock_submitted(const struct vfs_work *w, const struct meta_lock *l);

/* HTTP's and WebDAV's conditions on the request's path: GH_OK, GH_PRECONDITION, GH_NOTMODIFIED (reads). */
GH_MUST_CHECK enum gh_status cond_check(struct vfs_work *w, const struct place *p, const struct locks *l);
bool cond_uses_locks(const struct vfs_cond *c);

/* What a door sees of a node; strings shared with n. rights as the caller has them. */
void node_show(struct vfs_node *ret, const struct meta_node *n, unsigned rights);
/* Locks covering path as vfs_lock rows into ret. */
GH_MUST_CHECK enum gh_status node_show_locks(struct vfs_work *w, const struct locks *l, const struct gh_path *path,
					     struct vfs_node *ret);

#endif
