/* The inside of the core: what its own files share. Nothing outside core/ includes this.
 *
 * Threads: an operation runs either on its loop (work->may_block false: memory only, GH_AGAIN when that is not enough)
 * or on a worker (may_block true). It is the same function both times, so the fast path cannot decide differently.
 * A worker is RCU-offline except inside short sections; snapshots that it keeps across a blocking call are
 * reference-counted (tenant.h).
 */
#ifndef GH_CORE_HOUSE_H
#define GH_CORE_HOUSE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/breakers.h"
#include "core/core.h"
#include "core/fair_loop.h"
#include "core/people/login.h"
#include "core/quota.h"
#include "core/run/pool.h"
#include "core/stream.h"
#include "core/tenant.h"
#include "core/vfs.h"

struct node_cache;
struct access_log;
struct sessions;
struct switches;
struct operators;
struct shared;
struct feeds;
struct change;
struct stream;

struct gh_core {
	struct gh_core_config cfg;
	struct meta_store *meta;
	const struct blob_ops *blob_ops;
	struct blob_backend *blobs;
	struct gh_pool *login_pool, *wait_pool;
	struct people *people;
	struct shared *shared; /* the cache that gateways share; NULL: none */
	struct tenants *tenants;
	struct node_cache *nodes;
	struct access_log *access;
	struct upkeep *upkeep;
	struct live *live;
	struct share *share;
	struct breakers *breakers;
	struct sessions *sessions; /* live ones of all doors */
	struct switches *switches;
	struct operators *operators; /* who works the gate */
	struct quota *quota;
	struct feeds *feeds;
	struct stream *stream; /* NULL: embedded, nobody else writes */
	/* Trees in the making lie below the trash root until they are attached: the walker keeps out while copies run. */
	pthread_rwlock_t trash_lock;
	/* Administrators' changes read, decide and commit one after another in this process: none starves another. What
	 * changes outside of it still makes them go round. */
	pthread_mutex_t change_lock;
	pthread_mutex_t load_lock; /* of tenants_load_since: one reads all tenants for all streams that ask */
	uint64_t loaded_from_ns;   /* when the last that was through began; under load_lock */
	atomic_uint pending; /* requests and jobs that have not come home */
	atomic_bool checking; /* fsck runs */
	atomic_bool stopping;
};

/* ---- one running operation (request.c) ---- */

enum { WORK_SENT = 1, WORK_GIVEN_UP = 2 };

/* What memory lacked of a path when the operation ran on its loop: it is asked for without a worker (request.c), and the
 * operation runs on its loop once more. */
struct vfs_work;
struct work_look {
	struct meta_look ask; /* first */
	uint32_t mark;        /* of the cache, for the first of them */
	uint64_t rights_epoch, tree_gen; /* what the operation went by: if that has changed, it begins anew on a worker */
	bool asked;
	struct vfs_work *of;
};

struct vfs_work {
	struct vfs_req req; /* first: a vfs_req * is a vfs_work * */
	struct share_job job;   /* its place in front of the workers */
	struct share_turn turn; /* or on the loop */
	struct gh_task task;
	struct gh_timer timer;
	vfs_done_fn *done;
	void *door;
	uint64_t started_ns, deadline_ns;
	bool pending, detached;
	bool counted; /* its deadline was, in its place */
	atomic_uint fate; /* WORK_SENT, WORK_GIVEN_UP: who sets its bit first decides whether there is a commit */
	bool may_block;
	bool wants_blobs;     /* what it left memory for is content, not metadata */
	struct work_look *look; /* NULL: nothing that could be looked up from a loop */
	struct breaker_scout scout;
	bool fresh;           /* what the cache says was proved stale: ask the store */
	bool guess;           /* a last name that memory does not know is taken for free, and the commit's guard proves it */
	unsigned attempts;    /* that turned out stale */
	struct change *change; /* the operation left it to be sent, or it is on its way, or came back without success */
	struct tenant *tenant;
	struct rights *rights; /* of this attempt; referenced when may_block */
	struct acl_caller caller;
	uint64_t lock_seen;    /* of the locks that it was checked against; UINT64_MAX: against none */
	uint64_t tree_gen;     /* read before anything was resolved: the guard of the commit */
	bool op_done;          /* blobs are stored: a retry does not store them again */
	struct meta_part stored;
	bool stored_is_kept;   /* not what was sent, but all that is kept of what was there */
	uint32_t stored_crc;
	struct blob_ticket stored_ticket; /* they are written; durable when the commit has settled this */
	struct vfs_upload *upload; /* of a write commit: the arena's defer list gives it back */
	struct meta_step *steps; /* of its batches, one attempt after another; grown and freed by change.c and request.c */
	unsigned steps_room;
	/* access line */
	const char *verb;
	int reply_code;
	uint64_t bytes;
	bool logged;
};

static inline struct vfs_work *work_of(struct vfs_req *r)
{
	return (struct vfs_work *)r;
}
/* What the operation has stored is durable once this says GH_OK. May come again. */
enum gh_status work_settle(struct vfs_work *w);
/* A fresh call context for the store, in the request's arena and with its deadline. */
struct meta_call work_call(const struct vfs_work *w);

/* Session: an identity, immutable; and what it counts for, while it lasts. */
struct vfs_session {
	atomic_uint refs;
	struct tenant *tenant;
	uint64_t user;
	atomic_uint_fast64_t user_gen; /* the user as last looked at; UINT64_MAX: never looked at again (tests) */
	struct people_proof proof;     /* of what opened it */
	enum vfs_proto proto;          /* the door that it was opened at */
	char user_name[GH_NAME_MAX + 1];
	struct quota_slot counted; /* as a session, where it is */
	/* a download's bytes, paid ahead from a month and not sent yet */
	_Atomic uint64_t paid;
	_Atomic int64_t paid_month;
};
struct vfs_session *session_new(struct tenant *t, uint64_t user, uint64_t gen, const char *name);

/* Something about its user has changed since the session was opened: would what opened it still do? Remembers what it
 * saw. On a loop: GH_AGAIN. */
GH_MUST_CHECK enum gh_status session_still(struct vfs_work *w);

/* ---- operations: ops.c has the table of functions ---- */
typedef enum gh_status op_fn(struct vfs_work *w);
op_fn op_login, op_stat, op_list, op_read, op_write_begin, op_write_commit, op_mkdir, op_remove, op_move, op_copy,
	op_set_times, op_set_props, op_lock, op_refresh, op_unlock, op_quota, op_events;
/* After w->change was sent: the results, or what is to be undone. What it gives is the operation's status. */
enum gh_status op_write_landed(struct vfs_work *w, enum gh_status st);
op_fn *op_function(enum vfs_op op);

/* May what is in memory of a tenant be used, or has the store to be asked? 0: what is the house's. */
static inline bool core_trusts_memory(struct gh_core *c, uint64_t tenant)
{
	return !c->stream || stream_trusted(c, tenant);
}

/* Blocking helpers for what is no request (control, upkeep) are in control_house.h. */

#endif
