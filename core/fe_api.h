/* The frontend contract: a door is one struct and one folder.
 *
 *   open   everything that can fail in front of the operator; err says what and where
 *   accept every connection the doorstep let in (core/run/doorstep.h)
 *   drain  stop taking new work; finish what runs; *live tells how many connections are left; polled by the
 *          composition root until 0 or the drain deadline
 *   close  cuts what is left, frees; after the loops have been drained, before they are freed
 *
 * open and close run on the main thread; loops are running between them. start runs on each loop before it starts
 * (engines, per-loop state). quiesce runs on each loop's own thread after the drain (resume what is suspended, cut what
 * is left) and reports false while it needs another pass.
 */
#ifndef GH_CORE_FE_API_H
#define GH_CORE_FE_API_H

#include "core/run/doorstep.h"
#include "core/vfs.h"

#define FE_ABI 1

struct fe_door; /* instance */

struct fe_env {
	struct gh_core *core;
	struct gh_loop **loops;
	unsigned loop_count;
	/* settings that doors read: typed look-ups into the configuration; missing keys give the documented default */
	int64_t (*number)(const struct fe_env *env, const char *key); /* bytes, milliseconds or counts */
	const char *(*text)(const struct fe_env *env, const char *key);
	const void *config;
};

struct fe_ops {
	unsigned abi;
	const char *name;      /* "http", "ftp" */
	enum vfs_proto label;  /* for metrics of the doorstep */
	enum gh_status (*open)(const struct fe_env *env, struct fe_door **ret, char *err, unsigned err_len);
	enum gh_status (*start)(struct fe_door *d, struct gh_loop *l);
	gh_accept_fn *accept; /* door argument = struct fe_door * */
	void (*drain)(struct fe_door *d, unsigned *live);          /* main thread */
	bool (*quiesce)(struct fe_door *d, struct gh_loop *l);     /* loop thread */
	void (*close)(struct fe_door **d);
};

/* ---- live sessions ----
 * Every session of a door (FTP) and every connection whose sessions last for one request (HTTP) is entered in the
 * core's register: one list per loop, which only that loop touches. So that a change of the switchboard reaches what is
 * open, and an administrator sees and ends it. The door keeps struct vfs_live inside its own; everything on the loop. */

/* How a caller stands with the switchboard. OK, OFF (end it, cut what runs), DRAINING (finish what runs, then end it);
 * of a class also READONLY, FROZEN, SUSPENDED (this class alone); by name also UNAUTH (what opened it is worth nothing any
 * more: end it, like OFF). */
struct vfs_verdict {
	enum gh_status status;
	bool drains;            /* refused, but what runs may finish */
	uint32_t retry_after_s; /* 0: nobody knows */
	uint64_t rule;
	const char *message;    /* the administrator's; NULL = none; valid during the call */
	bool by_name;           /* this one session is meant, not all that a rule matches: end it even if it idles */
};

struct vfs_live_look {
	struct gh_arena *arena;      /* for path */
	const char *doing;           /* "idle", or an operation's name */
	const char *path;            /* NULL: none */
	uint64_t bytes_in, bytes_out;/* content, or all bytes where only the kernel counts */
	bool up, down;               /* a transfer runs; then: */
	uint64_t moved, size;        /* UINT64_MAX: unknown */
};

struct vfs_live;
struct vfs_live_ops {
	/* The rules have changed, or it is ended by name. session: how it stands as a whole, over all classes. What runs
	 * has a class of its own: vfs_live_stand. May end the session. */
	void (*told)(struct vfs_live *l, const struct vfs_verdict *session);
	void (*look)(struct vfs_live *l, struct vfs_live_look *ret); /* ret is zeroed */
};

struct vfs_live {
	/* the door's */
	const struct vfs_live_ops *ops;
	enum vfs_proto proto; /* may change from request to request; VFS_INTERNAL: not known yet */
	bool secure;
	bool stateless; /* between two requests there is nothing to end */
	bool leaving;   /* was told to go; only its last words are on their way */
	const char *peer;
	/* the core's */
	struct vfs_session *who; /* by vfs_live_who */
	uint64_t id, mark;
	int64_t since_us;
	struct live_hall *hall;
	struct vfs_live *next, *prev;
};
/* The door's fields are set. Cannot fail: without memory it stays out of the register. */
void vfs_live_enter(struct gh_core *core, struct gh_loop *loop, struct vfs_live *l);
void vfs_live_leave(struct vfs_live *l); /* also when it was never entered; twice */
void vfs_live_who(struct vfs_live *l, struct vfs_session *who); /* takes a reference of its own; NULL: nobody */
/* How an operation of this class stands for it. The message is the board's: valid during the callback. */
struct vfs_verdict vfs_live_session(struct gh_core *core, const struct vfs_live *l); /* as told hears it */
struct vfs_verdict vfs_live_stand(struct gh_core *core, const struct vfs_live *l, enum vfs_class class);
/* A finished request that carries a verdict, for doors whose refusals are made of one; freed, it leaves a line in the
 * access log, for which the door may set op, path, id and peer. NULL: out of memory. */
struct vfs_req *vfs_req_refused(struct gh_core *core, struct gh_loop *loop, enum vfs_proto proto,
				struct vfs_session *session, const struct vfs_verdict *v);

extern const struct fe_ops fe_http, fe_ftp; /* frontends/registry in frontends/main */

#endif
