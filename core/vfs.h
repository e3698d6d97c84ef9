/* The one door into the core: requests, their life, the submit call. Every protocol fills in a request and submits it;
 * there is no other way to a file, so no protocol can skip the gate.
 *
 * Life of a request (all of it on the loop that made it, except where marked):
 *
 *   vfs_req_new -> fill in (setters copy into the request's arena) -> vfs_submit
 *      DONE    req->status and the results are there; the caller frees it
 *      PENDING `done` comes exactly once, later, from the loop's completion list, never inside vfs_submit
 *   vfs_req_free      at any time: when it is still PENDING it is detached: `done` does not come any more, the work
 *                     runs to its end on its worker, gives back what it holds and frees itself; a mutation whose
 *                     commit was not sent yet ends without it
 *
 * The request is the work's half: it never points into the door's memory, apart from `door`, which only `done` hands
 * back. When the deadline passes first, `done` comes with status DEADLINE (or UNKNOWN for a mutation whose commit was
 * sent) on a request that has no results; the work goes on detached.
 *
 * Life of a session: vfs_login (fast path: verified-credential cache, DONE on the loop) makes one; refcounted,
 * any thread. What it may do is decided anew at every submission, and whether what opened it would still do: after a new
 * password, a revoked one, a disabled user it is GH_UNAUTH.
 */
#ifndef GH_CORE_VFS_H
#define GH_CORE_VFS_H

#include "core/base/arena.h"
#include "core/base/name.h"
#include "core/run/loop.h"
#include "policy/acl_trie.h"

#include <sys/socket.h>

struct gh_core; /* the whole house behind the door, made by the composition root: core/core.h */

/* Order is a contract with metrics.tbl.h. */
enum vfs_proto { VFS_INTERNAL, VFS_WEBDAV, VFS_FTP, VFS_REST, VFS_WEB, VFS_ADMIN, VFS_PROTO_COUNT };
const char *vfs_proto_name(enum vfs_proto p);

/* The operation table, ops.tbl.h: what each needs, so that no operation can forget its check. */
enum vfs_op {
#define X(sym, name, class, path, parent, dest, destparent, services, mutates, fast) VFS_##sym,
#include "core/ops.tbl.h"
#undef X
	VFS_OP_COUNT
};
enum vfs_class {
	VFS_C_LOGIN, VFS_C_LOOKUP, VFS_C_LIST, VFS_C_READ, VFS_C_WRITE, VFS_C_CHANGE, VFS_C_BULK, VFS_C_WATCH,
	VFS_CLASS_COUNT
};
const char *vfs_class_name(enum vfs_class c); /* "lookup" */
struct vfs_op_row {
	const char *name;
	enum vfs_class class;
	unsigned need_path, need_parent, need_dest, need_destparent; /* enum acl_right bits; by effect, see ops.tbl.h */
	unsigned services;
	bool mutates, fast;
};
extern const struct vfs_op_row vfs_ops[VFS_OP_COUNT];

/* ---- sessions ---- */

struct vfs_session;
struct vfs_session *vfs_session_ref(struct vfs_session *s);
void vfs_session_unref(struct vfs_session **s);
const char *vfs_session_user(const struct vfs_session *s);
const char *vfs_session_tenant(const struct vfs_session *s);
const struct gh_name_rule *vfs_session_rule(const struct vfs_session *s);
/* Nothing is done in it any more, though somebody may still hold it: it counts no longer where sessions are limited. */
void vfs_session_over(struct vfs_session *s);
/* Has its tenant limits, or any user of it? Any thread. */
bool vfs_session_limited(const struct vfs_session *s);
/* Is it one of the host names of the session's tenant? A port is not looked at. Loop thread. */
bool vfs_session_host(struct gh_core *core, const struct vfs_session *s, const char *host);
/* Does any tenant claim this host name (no port)? Loop thread. */
bool vfs_host_known(struct gh_core *core, const char *host);

/* ---- what a door sees of a node ---- */

enum vfs_type { VFS_FILE = 1, VFS_FOLDER = 2 };

struct vfs_prop {
	const char *ns, *name, *xml, *lang;
};

struct vfs_lock {
	const char *token, *path, *owner_xml, *user;
	bool exclusive, deep, mine;
	uint32_t timeout_s;  /* as granted */
	uint32_t remaining_s;
};

struct vfs_node {
	uint64_t id;
	uint64_t version; /* ETag of files; 0 for folders */
	enum vfs_type type;
	const char *name; /* last segment; "" for the root */
	const char *key;  /* listings: its place in the order, for req->after */
	uint16_t name_len;
	uint64_t size;
	int64_t made_us, mtime_us;
	unsigned rights; /* of the caller here, enum acl_right bits */
	bool navigable;  /* only name and type may be told */
	/* filled in on request (VFS_WITH_*) */
	unsigned prop_count, lock_count;
	struct vfs_prop *props;
	struct vfs_lock *locks;
};

/* ETag of a version, strong, the same at every door: quoted 16 hex digits. out: at least 20 bytes. */
void vfs_etag(char *out, uint64_t version);
/* Content type by name (extension); static storage; "application/octet-stream" when unknown. */
const char *vfs_content_type(const char *name);

/* ---- conditions ---- */

/* HTTP's, RFC 9110 section 13, evaluated by the core in its order, again at commit. Versions come from etags. */
struct vfs_etags {
	bool present, any; /* any: "*" */
	unsigned count;
	uint64_t *versions; /* those that were ours; a foreign or malformed tag matches nothing */
};
/* WebDAV's If header, RFC 4918 section 10.4: OR of lists, AND within a list. */
struct vfs_if_cond {
	bool negate;
	const char *token; /* a state token, or NULL */
	uint64_t version;  /* an etag, where token is NULL; 0 = one that never matches */
};
struct vfs_if_list {
	const struct gh_path *path; /* tagged list; NULL = the request's path */
	bool foreign;               /* tagged with something outside this server: never true */
	unsigned count;
	struct vfs_if_cond *conds;
};
struct vfs_cond {
	struct vfs_etags if_match, if_none_match;
	int64_t unmodified_since_us, modified_since_us; /* 0 = absent; whole seconds */
	unsigned list_count;
	struct vfs_if_list *lists;
	unsigned token_count; /* lock tokens submitted anywhere in the request */
	const char **tokens;
};

/* ---- the event feed ---- */

#define VFS_CURSOR_LEN 64
enum vfs_feed_word { VFS_FEED_CREATED, VFS_FEED_CHANGED, VFS_FEED_MOVED, VFS_FEED_GONE, VFS_FEED_RESYNC };
/* What a reader is told: policy/feed_rule.h says what the words mean. Never changes; shared by many readers. */
struct vfs_feed_item {
	enum vfs_feed_word word;
	const char *path, *dest; /* dest: MOVED only, else NULL */
	uint64_t node;           /* what came, changed or moved; 0: not told */
	int64_t time_us;
	char cursor[VFS_CURSOR_LEN + 1]; /* who was told up to here goes on from here; several can have the same */
};
struct vfs_feed_run {
	const struct vfs_feed_item *const *items;
	unsigned count;
};

/* ---- the request ---- */

enum { /* flags */
	VFS_WITH_PROPS = 1,    /* stat, list: dead properties */
	VFS_WITH_LOCKS = 2,    /* stat, list: locks that cover the node */
	VFS_NO_OVERWRITE = 4,  /* move, copy: target must not exist (GH_PRECONDITION) */
	VFS_SHALLOW = 8,       /* copy of a folder without members */
	VFS_APPEND = 16,       /* write: at the end of what is there */
	VFS_KEEP_HEAD = 32,    /* write: keep [0, offset) of what is there (REST n + STOR) */
	VFS_MUST_BE_EMPTY = 64,/* remove: refuse a folder that is not empty (RMD): GH_NOTEMPTY */
	VFS_ONLY_FILE = 128,   /* remove: GH_ISDIR for a folder (DELE); stat, read likewise */
	VFS_ONLY_FOLDER = 256, /* GH_NOTDIR for a file */
	VFS_MAKE_LOCKED = 512, /* set by the core */
	/* write begin: the body is small, declared, and on its way whatever is decided. What memory cannot decide is then
	 * left to the commit, which decides everything anyway: one visit to the store instead of two. */
	VFS_UNASKED = 1024,
	VFS_CERTAIN = 2048,    /* stat: what is read decides what is done next, so it has to be what other gateways have
				* made of it, not what they had made a moment ago */
};

struct vfs_content; /* an opened version, to be read */
struct vfs_upload;  /* content on its way in */

struct vfs_prop_change {
	bool remove;
	struct vfs_prop prop;
};

struct vfs_req;
/* st is req->status; when it is GH_DEADLINE or GH_UNKNOWN from the deadline, req has no results. The callee owns req
 * (frees it now or later). */
typedef void vfs_done_fn(struct vfs_req *req, void *door);

struct vfs_req {
	/* set by vfs_req_new */
	struct gh_arena *arena;
	struct gh_core *core;
	struct gh_loop *loop;
	enum vfs_op op;
	enum vfs_proto proto;
	struct vfs_session *session; /* own reference; NULL for LOGIN only */
	char id[24];                 /* request id, for the access log and the client */

	/* filled in by the door, all in the arena */
	struct gh_path *path, *dest;
	unsigned flags;
	struct vfs_cond *cond;
	uint32_t deadline_ms; /* 0 = the default of the operation's class */
	const char *peer;     /* address text */
	bool secure;          /* the client's connection is under TLS */
	/* login */
	const char *host, *user, *password; /* user may be tenant/user or user$tenant; host: HTTP Host, FTP HOST, or "" */
	uint64_t peer_prefix;               /* from vfs_peer_prefix */
	/* list */
	const char *after; /* key of the last one seen, "" = start */
	unsigned limit;    /* 0 = 1000 */
	/* events: read behind it, at most limit (0 = 1000) and what belongs together; "" = only tell where the log ends */
	const char *cursor;
	bool will_wait; /* where nothing is told: its reader goes on waiting, and this was only a look */
	/* read: inline bytes wanted (a small file, or a range of it) come back in data when they are at most this many */
	uint64_t offset, length; /* length UINT64_MAX = to the end */
	uint32_t inline_max;
	uint64_t may_send; /* the most of it that will go to the client; UINT64_MAX: all. 0: only looked at */
	/* write begin: offset for VFS_KEEP_HEAD; declared length or UINT64_MAX; mtime to set or INT64_MIN */
	uint64_t declared;
	int64_t mtime_us; /* also set-times */
	struct vfs_upload *upload; /* write commit: consumed in every case */
	/* set-props; get-props gives all */
	unsigned change_count;
	struct vfs_prop_change *changes;
	/* lock, refresh, unlock */
	bool lock_exclusive, lock_deep;
	uint32_t lock_timeout_s; /* asked for; 0 = infinite; clamped */
	const char *lock_owner_xml, *lock_token;

	/* results */
	enum gh_status status;
	uint32_t retry_after_s;     /* with TENANT statuses and THROTTLED, TRIPPED */
	const char *message;        /* words of the administrator or detail for people; may be NULL */
	uint64_t rule;              /* of the switchboard, that refused it; 0 = none */
	const char *blocker;        /* GH_LOCKED: user who holds the lock; its root in blocker_path */
	const char *blocker_path;
	struct vfs_node node;       /* stat; the written or created node */
	bool created;               /* 201 rather than 204 */
	struct vfs_node *nodes;     /* list */
	unsigned node_count;
	const char *next_after;     /* list: NULL = that was all */
	struct vfs_content *content;/* read: owned by the request until taken (vfs_content_take) */
	const void *data;           /* read: inline bytes, data_len of them, in the arena */
	size_t data_len;
	struct vfs_session *new_session; /* login: take it by vfs_session_ref */
	struct vfs_lock lock;       /* lock, refresh */
	unsigned failed_change;     /* set-props: which one was refused */
	uint64_t quota_used, quota_available; /* quota, and with GH_QUOTA available; UINT64_MAX = unknown */
	uint64_t quota_files, quota_files_available; /* quota; UINT64_MAX = no limit */

	/* events: what is told, in order, lives as long as the request; where to go on; the ends of the log. GH_NOTFOUND: the
	 * cursor is of no use any more: list again, and begin at feed_newest (list after it was got). */
	struct vfs_feed_run *runs;
	unsigned run_count, feed_count;
	char feed_next[VFS_CURSOR_LEN + 1], feed_oldest[VFS_CURSOR_LEN + 1], feed_newest[VFS_CURSOR_LEN + 1];

	struct vfs_work *work; /* the core's own */
};

/* session may be NULL for LOGIN. NULL when out of memory. arena holds at most 1 MiB (listings: 4 MiB). */
struct vfs_req *vfs_req_new(struct gh_core *core, struct gh_loop *loop, enum vfs_op op, enum vfs_proto proto,
			    struct vfs_session *session);
void vfs_req_free(struct vfs_req **req); /* leaves NULL; accepts NULL inside */

/* Decodes and canonicalises with the session's rule: req->path (or req->dest). */
GH_MUST_CHECK enum gh_status vfs_req_path(struct vfs_req *req, const char *bytes, size_t len, unsigned path_flags);
GH_MUST_CHECK enum gh_status vfs_req_dest(struct vfs_req *req, const char *bytes, size_t len, unsigned path_flags);

enum vfs_submitted { VFS_DONE, VFS_PENDING };
GH_MUST_CHECK enum vfs_submitted vfs_submit(struct vfs_req *req, vfs_done_fn *done, void *door);

/* One structured access line per operation is written by the core; the door adds what only it knows before the request
 * is freed: protocol verb, reply code, content bytes (0 keeps what is known already, as what an upload received). */
void vfs_req_log(struct vfs_req *req, const char *verb, int reply_code, uint64_t bytes);

/* ---- reading content ---- */

void vfs_content_take(struct vfs_req *req, struct vfs_content **ret); /* now the door's */
void vfs_content_free(struct vfs_content **c);                        /* loop */
uint64_t vfs_content_size(const struct vfs_content *c);
uint64_t vfs_content_version(const struct vfs_content *c);
/* A descriptor of its own (dup; caller closes) and its offset, when [offset, offset+length) is one plain stretch of a
 * file large enough for sendfile to pay. false: use pull. */
bool vfs_content_fd(struct vfs_content *c, uint64_t offset, uint64_t length, int *ret_fd, uint64_t *ret_offset);
/* Up to cap bytes from offset into buf: OK with *ret_n > 0; END at the end; WAIT: a worker fetches it, ready(arg) comes
 * on the loop (never inside), then pull again; DAMAGED or IO: cut the connection, never a short 200. One pull at a
 * time. */
GH_MUST_CHECK enum gh_status vfs_content_pull(struct vfs_content *c, uint64_t offset, void *buf, size_t cap, size_t *ret_n,
					      void (*ready)(void *arg), void *arg);

/* Content bytes that went out to a client, as they go: for metrics and the tenant's own counters. (Bytes that come in
 * are counted by vfs_upload_push.) */
void vfs_count_sent(struct gh_core *core, const struct vfs_session *s, enum vfs_proto p, uint64_t bytes);

/* For a door that moves bytes itself (vfs_content_fd): how many of want, at least one, may go out now. OK; or WAIT: its
 * tenant is at its rate or over its share, ready(arg) comes as for a pull. Then how many went, of those offered. */
GH_MUST_CHECK enum gh_status vfs_content_offer(struct vfs_content *c, uint64_t want, uint64_t *ret_n,
					       void (*ready)(void *arg), void *arg);
void vfs_content_moved(struct vfs_content *c, uint64_t offered, uint64_t moved);

/* ---- writing content ----
 * WRITE_BEGIN decides everything that can be decided before the first byte (VFS_UNASKED: without asking the store) and
 * gives req->upload. push while bytes come. WRITE_COMMIT (a new request, ->upload set) makes it visible and durable, or nothing. Dropping it: abort. */
void vfs_upload_take(struct vfs_req *req, struct vfs_upload **ret); /* from a finished WRITE_BEGIN */
/* All of len or nothing: OK; WAIT (ready(arg) comes on the loop, then offer the same bytes again); an error (QUOTA, NOSPACE,
 * TOOLARGE past the declared length, IO): answer it and abort. Loop thread. */
GH_MUST_CHECK enum gh_status vfs_upload_push(struct vfs_upload *u, const void *data, size_t len, void (*ready)(void *arg),
					     void *arg);
/* A finished request that tells why a push was refused with st; NULL: nothing more is known. The caller frees it. */
struct vfs_req *vfs_upload_refused(struct vfs_upload *u, enum gh_status st);
uint64_t vfs_upload_received(const struct vfs_upload *u);
const char *vfs_upload_path(const struct vfs_upload *u);  /* canonical */
uint64_t vfs_upload_declared(const struct vfs_upload *u); /* UINT64_MAX: no length was said */
void vfs_upload_abort(struct vfs_upload **u); /* loop; leaves NULL; accepts NULL inside */

/* ---- waiting for events ----
 * After a VFS_EVENTS that told nothing: ready(arg) comes once, on the loop, never inside, when there is something for that
 * user behind the cursor (feed_next); then VFS_EVENTS is submitted again. Costs memory, no thread and no polling. Loop. */
struct vfs_watch;
/* GH_AGAIN: there is something by now, submit at once. GH_NOMEM. */
GH_MUST_CHECK enum gh_status vfs_watch_begin(struct gh_core *core, struct gh_loop *loop, struct vfs_session *s,
					     const char *cursor, void (*ready)(void *arg), void *arg,
					     struct vfs_watch **ret);
void vfs_watch_end(struct vfs_watch **w); /* ready does not come any more; leaves NULL; accepts NULL inside */

/* ---- the switchboard, as doors see it ----
 * vfs_submit asks it for every operation. These are for what is no operation yet. Loop thread. */

/* How does this door stand for somebody who is not known yet, but perhaps by the host name used (or "")? NULL: open.
 * Else a finished request that carries the refusal (status, message, retry_after_s); the caller frees it. */
struct vfs_req *vfs_req_shut(struct gh_core *core, struct gh_loop *loop, enum vfs_proto proto, bool secure,
			     const char *host);
/* Why no new work should be sent here, though doors are open (this host is being drained); NULL: nothing. Any thread. */
const char *vfs_not_ready(struct gh_core *core);

/* Feature flags: flags.tbl.h. Under 100 ns. s may be NULL. */
enum vfs_flag {
#define X(sym, key, type, fallback, min, max, help) VFS_FLAG_##sym,
#include "core/flags.tbl.h"
#undef X
	VFS_FLAG_COUNT
};
int64_t vfs_flag(struct gh_core *core, enum vfs_flag flag, enum vfs_proto proto, const struct vfs_session *s);

/* ---- small things doors share ---- */
uint64_t vfs_peer_prefix(const struct sockaddr *sa); /* IPv4 address or IPv6 /64, for the defender */

#endif
