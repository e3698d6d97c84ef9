/* A mutation in the making: guards, event, steps, commit, and what has to be forgotten afterwards. One per attempt of an
 * operation, on its worker. */
#ifndef GH_CORE_CHANGE_H
#define GH_CORE_CHANGE_H

#include "core/node_cache.h"
#include "core/place.h"

struct change {
	struct vfs_work *w;
	struct meta_batch batch;
	struct meta_node was[META_SLOTS_MAX]; /* what was found there */
	struct node_flight flights[META_SLOTS_MAX]; /* of the slots, while it is on its way */
	unsigned cap;
	bool tree, rights, locks; /* steps that raise tree_gen, touch entries, touch locks */
	bool hidden;              /* nobody can see what it does yet: it may be abandoned after it */
	bool overflow;            /* more steps than fit: a bug in the operation, refused at commit */
	struct meta_call call;    /* while it is on its way */
	struct breaker_pass pass;
	struct quota_claims claims;
	void (*landed)(struct vfs_work *w, enum gh_status st);
};

/* cap: the most steps this operation can need, at most META_STEPS_MAX. */
void change_init(struct change *ch, struct vfs_work *w, unsigned cap);
void change_slot(struct change *ch, const struct place *p);
/* Zeroed; never NULL; fill it in before the next one is asked for. */
struct meta_step *change_step(struct change *ch, enum meta_step_kind kind);
/* It adds (or frees) so much of what `owner` owns: the ledger, and quotas. */
void change_count(struct change *ch, uint64_t owner, int64_t bytes, int64_t files);
/* Structural: everything resolved before this must be resolved again. */
void change_tree(struct change *ch);
/* No lock was taken at or below path since the snapshot that was checked. */
void change_guard_locks(struct change *ch, const struct locks *l, const struct gh_path *path);
/* Locks rooted at or below path go, if there are any. */
void change_drop_locks(struct change *ch, const struct locks *l, const struct gh_path *path);
/* Entries of the node at path go with it, if there are any there or (folder) below. */
void change_drop_entries(struct change *ch, const struct gh_path *path);
/* Content of a node that goes or is replaced: its version row, its parts, its references. */
GH_MUST_CHECK enum gh_status change_release(struct change *ch, const struct meta_node *n);
/* A node that goes altogether: a file with its content and properties; a folder to the trash. */
GH_MUST_CHECK enum gh_status change_remove(struct change *ch, const struct place *p, const struct locks *l);
GH_MUST_CHECK enum gh_status change_commit(struct change *ch);
/* The same without waiting, for a change in w's arena: landed(w, status) comes once, from here or from the thread that
 * commits; nothing of w may be touched after this. */
void change_send(struct change *ch, void (*landed)(struct vfs_work *w, enum gh_status st));

/* The parts of a node's content, in w's arena; one for a plain blob. */
GH_MUST_CHECK enum gh_status content_parts(struct vfs_work *w, const struct meta_node *n, struct meta_part **ret,
					   unsigned *ret_count);

#endif
