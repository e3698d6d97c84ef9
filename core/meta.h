/* The metadata store contract: typed, blocking, no SQL in sight. One store = the central database and all shards.
 *
 * Reading gives rows in the caller's arena. Writing is ONE batch: guards that must hold, the event that tells what
 * happened, and steps from a small vocabulary, with no decision in between. The event row, keyed (tenant, op), is
 * written first and only if every guard holds; every step carries EXISTS(that row). So either all of it happened, or
 * nothing and the answer is GH_STALE ("resolve again and see why"). The same op id twice is "done already" and
 * answers GH_OK with done_before set: after a lost answer the same batch is simply run again.
 *
 * Threads: every function blocks (disk, other writers); workers only, any number at a time. Many commits waiting at
 * once become one transaction (at most 64 or 5 ms). Rows belong to the arena of the call.
 * Errors: GH_DATABASE (logged where it happened), GH_NOSPACE, GH_DAMAGED, GH_NOTFOUND, GH_EXISTS (unique names of
 * people), GH_NOMEM, GH_UNKNOWN (commit sent, answer lost).
 */
#ifndef GH_CORE_META_H
#define GH_CORE_META_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/name.h"
#include "core/blob.h"

struct meta_store; /* instance, defined by the driver room */

/* Passed to every call: for whom, how long, where results go. */
struct meta_call {
	struct gh_arena *arena;
	uint64_t deadline_ns; /* monotonic; 0 = none */
	const char *op;       /* operation name, goes into the statement as a comment */
};

enum meta_type { META_FILE = 1, META_FOLDER = 2 };

/* Node = place. size, mtime and the blob of the current version are kept with it so that a stat or a small read is one
 * look-up; the version row holds the content's history. */
struct meta_node {
	uint64_t id, parent; /* root: parent 0 */
	enum meta_type type;
	const char *name, *key;
	uint16_t name_len, key_len;
	uint64_t owner;   /* user id */
	uint64_t version; /* current version id; 0 for folders */
	uint64_t rev;     /* rises with every change of the node, its properties and its locks */
	uint64_t size;
	int64_t made_us, mtime_us;
	bool has_props;
	/* content: parts 0 = empty file; 1 = blob below; >1 = ask version_parts() */
	uint32_t parts;
	uint64_t blob;
	struct blob_loc loc;
	uint32_t crc; /* CRC-32C of a single-blob content (0 when unknown) */
};

/* A stretch of content: len bytes from offset in blob. */
struct meta_part {
	uint64_t blob, blob_size, offset, len;
	struct blob_loc loc;
};

struct meta_prop {
	uint64_t node;
	const char *ns, *name; /* ns "" = none */
	const char *xml;       /* the element's inner XML as canonical fragment, in-scope namespaces declared */
	const char *lang;      /* xml:lang or "" */
};

struct meta_lock {
	uint64_t id;        /* time-ordered */
	const char *token;  /* "urn:uuid:..." */
	uint64_t node, user;
	const char *path_key; /* canonical key path of the lock root; prefix comparison finds what lies below */
	const char *path;     /* as shown: lockroot */
	bool exclusive, deep; /* deep = Depth: infinity */
	int64_t expires_us;
	uint32_t timeout_s;
	const char *owner_xml; /* verbatim inner XML of DAV:owner, may be "" */
	const char *user_name;
};

/* One ACL entry. who: 'u' user id, 'g' group id, 'e' everyone. rights: enum vfs_right bits. */
struct meta_ace {
	char who;
	uint64_t who_id;
	bool deny;
	unsigned rights;
};
/* A node with entries, or an ancestor of one. Parents come before children. */
struct meta_acl_node {
	uint64_t id, parent;
	const char *key, *name;
	bool inherit_off;
	unsigned ace_count;
	struct meta_ace *aces;
};

struct meta_user {
	uint64_t id;
	const char *name, *key;
	bool owner;    /* tenant owner: all rights */
	bool disabled;
	uint64_t gen;  /* rises with every change of the user, its password or its tokens */
	const char *password_hash; /* encoded argon2id, "" = no password login */
	unsigned group_count;
	uint64_t *groups;
};
struct meta_group {
	uint64_t id;
	const char *name;
	unsigned member_count;
	uint64_t *members; /* user ids */
};
/* App password. */
struct meta_token {
	uint64_t id, user;
	const char *name, *hash;
	unsigned scope; /* bit per enum vfs_proto; 0 = all */
	int64_t made_us, expires_us; /* 0 = never */
};

/* Everything that decides a right, read in one snapshot. */
struct meta_rights {
	uint64_t rights_epoch, tree_gen;
	unsigned acl_count, user_count;
	struct meta_acl_node *acl;
	struct meta_user *users; /* groups filled in; hashes not */
};

/* Stands for everything that decides a tenant's rights at one time: two that are alike were taken of the same, whenever and by
 * whomever; also after a restore, a move to another shard, or the loss of what a server had not passed on when it died. */
struct meta_mark {
	uint64_t rights_epoch, tree_gen;
	uint64_t history[3]; /* of the database and the log */
};

struct meta_tenant {
	uint64_t id;
	const char *name;  /* also its key: [a-z0-9][a-z0-9._-]{0,62} */
	const char *hosts; /* space-separated host names, "" none */
	bool disabled, case_sensitive;
	uint64_t root;     /* node ids */
	uint64_t trash;    /* hidden root: removed folders wait here for the walker */
	uint64_t tree_gen, rights_epoch, route_epoch;
	const char *shard; /* its name. To be made: where; NULL or "" = the open one with the fewest tenants */
};

/* A document of the house: a switch, a limit, an operator ... Whole and small; what is in it is its kind's business, and
 * readers keep fields that they do not know. */
#define META_SETTING_MAX 16384
struct meta_setting {
	const char *kind;      /* "switch", "share", "limit", "operator" ...: at most 32 bytes */
	uint64_t id;           /* within its kind */
	uint64_t tenant, user; /* that it is about; 0 = none; for look-ups and removal with them */
	uint64_t rev;          /* 0 = must not exist yet (guard of a PUT); else must be this. Read: as it is */
	const char *doc;       /* JSON */
};

/* A place in a tenant's log, which is read in the order of commits. {0} is before the oldest. */
struct meta_cursor {
	uint64_t feed;    /* which log: another one after a restore, or a move to another shard; never 0 in what is given out */
	uint64_t pos, op; /* the database's place of the commit; several events can share it */
};

struct meta_event {
	uint64_t op;
	int64_t time_us;
	uint64_t user;
	const char *user_name, *what, *door, *path, *dest, *request_id;
	uint64_t node;
	int64_t bytes, files;
	uint64_t tenant; /* when read; like what follows */
	struct meta_cursor at;
	/* What caches have to forget, in words between spaces:
	 *   sPARENT:LEN:KEY  the name slot KEY (LEN bytes, spaces and all) of folder PARENT
	 *   tGEN  the tenant's tree generation rose, to GEN where it is told
	 *   r  rights: entries, users, groups     l  locks
	 *   uID  that user, its password or tokens      T  the tenant's own row
	 *   kID:KIND  that setting                      -  nothing at all
	 * "": the writer does not tell (a release that does not know how): everything of the tenant. Readers take a word that
	 * they do not know for that, too. */
	const char *touched;
};

/* ---- batches ---- */

/* This name slot must look like this when the batch commits. */
struct meta_slot {
	uint64_t parent;
	const char *key;    /* NULL: the folder `parent` must have no children at all; node and rev are 0 then */
	uint64_t node, rev; /* node 0: must be empty */
};
#define META_SLOTS_MAX 4

enum meta_step_kind {
	META_NODE_INSERT,     /* node */
	META_NODE_CONTENT,    /* node.id: version, size, mtime_us, parts, blob, loc, crc; rev + 1 */
	META_NODE_PLACE,      /* node.id: parent, name, key; rev + 1 (move, attach, to trash) */
	META_NODE_TOUCH,      /* node.id: mtime_us when nonzero; rev + 1 */
	META_NODE_DELETE,     /* node.id: the row */
	META_VERSION_INSERT,  /* node.id, node.version, size, mtime_us, parts, blob, crc; n = author */
	META_VERSION_DELETE,  /* node.id, node.version */
	META_VERSION_GIVE,    /* all versions of node n become node.id's (file moved onto file keeps the target's node) */
	META_PART_INSERT,     /* node.version, n = sequence, part */
	META_PARTS_DELETE,    /* node.version: its part rows (references are given back by META_BLOB_UNREF) */
	META_BLOB_INSERT,     /* part.blob, part.blob_size, part.loc, node.crc, refs 1 */
	META_BLOB_REF,        /* part.blob: refs + 1, only WHERE refs > 0; is a guard too: no row = GH_STALE */
	META_BLOB_UNREF,      /* part.blob: refs - 1; at 0 it is dead from now */
	META_PROP_SET,        /* prop */
	META_PROP_REMOVE,     /* prop.node, ns, name */
	META_PROPS_DELETE,    /* node.id: all of them */
	META_PROPS_COPY,      /* from node n to node.id */
	META_LOCK_INSERT,     /* lock */
	META_LOCK_REFRESH,    /* lock.token: expires_us, timeout_s */
	META_LOCK_DELETE,     /* lock.token */
	META_LOCKS_BELOW,     /* lock.path_key: all locks rooted there or below */
	META_ACL_SET,         /* acl: replaces all entries of node acl->id (ace_count 0 and !inherit_off removes) */
	META_TREE_GEN,        /* tenant's tree_gen + 1 */
	META_RIGHTS_EPOCH,    /* tenant's rights_epoch + 1 */
	META_USER_PUT,        /* user: insert or replace by id; gen is set to the batch's op */
	META_USER_DELETE,     /* user.id, with memberships, tokens, entries */
	META_GROUP_PUT,       /* group: insert or rename by id */
	META_GROUP_DELETE,    /* group.id, with memberships and entries */
	META_MEMBER_ADD,      /* group.id, user.id */
	META_MEMBER_REMOVE,
	META_TOKEN_PUT,       /* token */
	META_TOKEN_DELETE,    /* token.id */
	META_SETTING_PUT,     /* setting: insert where rev is 0, else replace where rev is still this, with rev + 1; is a
			       * guard too: otherwise GH_STALE */
	META_SETTING_DELETE,  /* setting.kind, id, rev: likewise a guard */
	META_OWNED_COUNT,     /* n = user: from here on there are sums of what it owns. Reads all nodes of the tenant. */
	META_OWNED_FORGET,    /* n = user: no longer */
	META_TENANT_PUT,      /* tenant: insert (with root and trash nodes) or update name, hosts, disabled */
	META_STEP_COUNT
};

struct meta_step {
	enum meta_step_kind kind;
	struct meta_node node;
	struct meta_part part;
	const struct meta_prop *prop;
	const struct meta_lock *lock;
	const struct meta_acl_node *acl;
	const struct meta_user *user;
	const struct meta_group *group;
	const struct meta_token *token;
	const struct meta_tenant *tenant;
	const struct meta_setting *setting;
	uint64_t n;
};
#define META_STEPS_MAX 1000 /* no long transactions */

/* What a batch adds to what somebody owns; counts for users that there are sums of. */
struct meta_owned {
	uint64_t user;
	int64_t bytes, files;
};
#define META_OWNED_MAX 4
#define META_LEASES_MAX 3

struct meta_batch {
	uint64_t tenant, op; /* op: from gh_id_new, also the event's id; tenant 0: the house's own, for settings alone */
	/* guards; UINT64_MAX = not asked */
	uint64_t tree_gen, rights_epoch, route_epoch;
	bool tells; /* the store's own: its tenant is on its way, and hears of every row */
	uint64_t lock_seen; /* no lock of the tenant may have a higher id; UINT64_MAX = not asked */
	const char *lock_below; /* ... and lie at or below this path_key; NULL = anywhere */
	unsigned slot_count;
	struct meta_slot slots[META_SLOTS_MAX];
	unsigned lease_count; /* quota leases that must be alive, by the store's clock */
	uint64_t leases[META_LEASES_MAX];
	unsigned owned_count;
	struct meta_owned owned[META_OWNED_MAX];
	/* the event */
	struct meta_event event; /* op and time_us are filled in by the store */
	unsigned step_count;
	const struct meta_step *steps;
	/* Called once by a thread of the store, before anything of it is done: what the rows name has to be durable first. May
	 * block. Anything but GH_OK is the batch's status, and nothing happened. NULL: nothing to do. */
	enum gh_status (*before)(void *arg);
	void *before_arg;
	/* results */
	bool done_before;
	int64_t time_us; /* the event's time by the store's clock */
};

struct meta_blob_row {
	uint64_t tenant, id, size, refs;
	uint32_t crc;
	bool dead;
	int64_t dead_us;
	bool damaged;
	struct blob_loc loc;
};

/* A page of a listing by key. */
struct meta_page {
	unsigned count;
	struct meta_node *nodes; /* in key order */
	bool more;
};

/* fsck's finding; loss = true counts for the exit status. */
typedef void meta_finding_fn(void *arg, bool loss, const char *text);

struct db_hurry;
struct meta_config {
	const char *path;  /* embedded: database file */
	bool read_only;    /* fsck */
	unsigned readers;  /* connections for reading; 0 = 8 */
	/* A PostgreSQL database in the file's place, as libpq wants it told: "host=db1,db2 dbname=gatehouse ...". NULL: embedded */
	const char *conninfo;
	/* 0 = 5000, 10000, 5000 */
	uint32_t connect_ms, statement_ms, lock_ms;
	const struct db_hurry *hurry; /* the store's own; NULL */
};

/* Is that a conninfo? Only its form is looked at. err (512 bytes): what is wrong. GH_OK, GH_INVALID, or GH_UNSUPPORTED where
 * this program was built without PostgreSQL. */
GH_MUST_CHECK enum gh_status meta_conninfo_check(const char *conninfo, char *err);

/* Opens or creates, migrates under a lock. err (512 bytes): what, which file, what to do. A damaged database is named,
 * never overwritten; a schema too new is refused. backends/metadata/. */
GH_MUST_CHECK enum gh_status meta_open(const struct meta_config *cfg, struct meta_store **ret, char *err);
void meta_close(struct meta_store **m);
/* The program is about to end: from now on no call waits long for a database that does not answer (backends/metadata/hurry.h),
 * those that wait already included. One that answers notices nothing. Nobody may rely on what fails now: outcomes are unknown. */
void meta_hurry(struct meta_store *m);

/* Takes everything from one database into another, empty one, of whatever kind: ids, entity tags, locks and people stay what
 * they are. All or nothing; the first is only read, and afterwards the second is compared with it. The event log keeps its
 * events and begins anew as a feed: cursors end. Refused while a gateway works on either (GH_BUSY), and where the second
 * has rows (GH_EXISTS). Blocks for long. fn is told each table when all has gone well. err (512 bytes): what, which
 * database, what to do. */
struct meta_carried {
	const char *table;
	uint64_t rows, sum; /* sum: over all rows in the order of their keys, the same wherever they lie */
};
typedef void meta_carried_fn(void *arg, const struct meta_carried *table);
GH_MUST_CHECK enum gh_status meta_carry(const struct meta_config *from, const struct meta_config *to, meta_carried_fn *fn,
					void *arg, char *err);
/* The embedded database as it is at this moment, into a new file that can be opened like it; whoever serves it goes on. The file
 * is on disk when this returns. GH_UNSUPPORTED: it is no file. err as above. */
GH_MUST_CHECK enum gh_status meta_save(const struct meta_config *cfg, const char *path, char *err);

/* ---- reading ---- */
GH_MUST_CHECK enum gh_status meta_tenants(struct meta_store *m, struct meta_call *c, uint64_t after_id, unsigned limit,
					  struct meta_tenant **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status meta_tenant_by_name(struct meta_store *m, struct meta_call *c, const char *name,
						 struct meta_tenant **ret);
/* One statement: the chain below `from` along keys[0..n). ret_nodes[i] for the components that exist; *ret_found how
 * many (all leading). Read after the call began: memory's marks and the shared cache's horizons, taken before, rest on it. */
GH_MUST_CHECK enum gh_status meta_resolve(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t from,
					  const struct gh_component *comp, unsigned n, struct meta_node **ret_nodes,
					  unsigned *ret_found);
/* The same for a loop: never blocks. true: it is taken, and done comes, from a thread of the store's, perhaps before this
 * returns. false: it is not; ask by meta_resolve. */
#define META_LOOK_MAX 16 /* components */
struct meta_look {
	uint64_t tenant, from;
	const struct gh_component *comp;
	unsigned n;
	struct gh_arena *arena;             /* for the results; the store's until done */
	void (*done)(struct meta_look *l); /* must not block */
	/* results. status: GH_OK, or nothing is known; ask by meta_resolve then as well */
	enum gh_status status;
	struct meta_node *nodes;
	unsigned found;
	struct meta_look *next; /* the store's */
};
bool meta_look(struct meta_store *m, struct meta_look *l);
GH_MUST_CHECK enum gh_status meta_node_get(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t id,
					   struct meta_node **ret);
/* after_key "" = from the start. limit at most 1000. */
GH_MUST_CHECK enum gh_status meta_list(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t parent,
				       const char *after_key, unsigned limit, struct meta_page *ret);
GH_MUST_CHECK enum gh_status meta_version_parts(struct meta_store *m, struct meta_call *c, uint64_t tenant,
						uint64_t version, struct meta_part **ret, unsigned *ret_count);
/* Properties of one node, or of all children of a folder whose keys lie in (after_key, last_key]. Sorted by node. */
GH_MUST_CHECK enum gh_status meta_props(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t node,
					struct meta_prop **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status meta_props_of_children(struct meta_store *m, struct meta_call *c, uint64_t tenant,
						    uint64_t parent, const char *after_key, const char *last_key,
						    struct meta_prop **ret, unsigned *ret_count);
/* All live locks of a tenant (at most 10,000), by path_key. *ret_seen: highest lock id ever given to the tenant. */
GH_MUST_CHECK enum gh_status meta_locks(struct meta_store *m, struct meta_call *c, uint64_t tenant,
					struct meta_lock **ret, unsigned *ret_count, uint64_t *ret_seen);
GH_MUST_CHECK enum gh_status meta_rights_load(struct meta_store *m, struct meta_call *c, uint64_t tenant,
					      struct meta_rights **ret);
/* One look-up. */
GH_MUST_CHECK enum gh_status meta_rights_mark(struct meta_store *m, struct meta_call *c, uint64_t tenant,
					      struct meta_mark *ret);
GH_MUST_CHECK enum gh_status meta_user_by_name(struct meta_store *m, struct meta_call *c, uint64_t tenant,
					       const char *key, struct meta_user **ret);
GH_MUST_CHECK enum gh_status meta_users(struct meta_store *m, struct meta_call *c, uint64_t tenant,
					const char *after_key, unsigned limit, struct meta_user **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status meta_groups(struct meta_store *m, struct meta_call *c, uint64_t tenant,
					 struct meta_group **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status meta_tokens(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t user,
					 struct meta_token **ret, unsigned *ret_count);
/* Live bytes and files: folded total + events since. */
GH_MUST_CHECK enum gh_status meta_usage(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t *ret_bytes,
					uint64_t *ret_files);
/* The event log after a given op id, oldest first: audit, feed. tenant 0 = all. */
GH_MUST_CHECK enum gh_status meta_events(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t after_op,
					 unsigned limit, struct meta_event **ret, unsigned *ret_count);

/* One tenant's log in the order of commits, oldest first, at most 1000: what was committed behind `after`, and before
 * anything that may still be committed. So who goes on from *ret_next misses nothing, in whatever order commits come. An
 * open transaction of anybody's in that database server that has written holds it up until it ends.
 * GH_NOTFOUND: of another log, or events behind it have been dropped; whoever reads has to list anew. Tenant 0: the house's. */
GH_MUST_CHECK enum gh_status meta_feed(struct meta_store *m, struct meta_call *c, uint64_t tenant,
				       const struct meta_cursor *after, unsigned limit, struct meta_event **ret,
				       unsigned *ret_count, struct meta_cursor *ret_next);
/* Everything behind *ret_oldest is there; *ret_newest is where reading goes on from for what comes now. */
GH_MUST_CHECK enum gh_status meta_feed_ends(struct meta_store *m, struct meta_call *c, uint64_t tenant,
					    struct meta_cursor *ret_oldest, struct meta_cursor *ret_newest);
/* Every cursor of this tenant (0: of all in that shard) is of another log from now on. Rows that come from another database
 * must have pos 0. */
GH_MUST_CHECK enum gh_status meta_feed_renew(struct meta_store *m, struct meta_call *c, uint64_t tenant);

/* The logs of all tenants of a shard, for caches: at once what is committed, each event once, in no order that matters.
 * Shards are 0 .. meta_shards()-1; more may come, none goes. */
unsigned meta_shards(struct meta_store *m);
#define META_STREAM_TEXT 4096
struct meta_stream {
	char seen[META_STREAM_TEXT]; /* "": begin with what comes from now on. Too long for this: some events come again. */
	/* For who wants to know more: where it begins, so many events of before are given at most, newest first, of which only
	 * tenant, op, at and touched are filled in; fewer, if that takes long. 0: none, and nothing of what follows is told. */
	unsigned back;
	uint64_t since;   /* every event from this place of the log on has been given, or will be */
	uint64_t horizon; /* of what was read last: each commit below this place was to be seen, or never will be */
	uint64_t log;     /* which log, of which database: another one after whatever could have taken back what was seen */
};
typedef void meta_stream_fn(void *arg, const struct meta_event *e);
/* fn for each event since, which may not block and keeps nothing of it. The arena holds a page of them at a time (of 200) and is
 * reset. Not GH_OK: fn may have had some, which come again. */
GH_MUST_CHECK enum gh_status meta_stream(struct meta_store *m, struct meta_call *c, unsigned shard, struct meta_stream *s,
					 meta_stream_fn *fn, void *arg);
/* Waits until something may have been committed since *seen (0 at first), and updates it, or until the time is over: then
 * look anyway, for notes can be lost. others_only: not by this process. */
void meta_wait(struct meta_store *m, unsigned shard, bool others_only, uint64_t *seen, uint32_t timeout_ms);
/* Has those that wait return, from now on always at once. Before what they belong to is taken apart. */
void meta_wait_end(struct meta_store *m);
/* fn is called, on a thread of the store's, when a database that could not be reached or did not answer takes connections
 * again: a sign, no proof. It may not block, nor call the store. NULL: nobody any more; then none is under way either. */
void meta_on_back(struct meta_store *m, void (*fn)(void *arg), void *arg);
/* Gateways say words to each other, past the log: of META_WORD_MAX bytes at most, each a letter, a digit, a space or a dash. They
 * arrive within a tenth of a second, or never: with a connection that breaks they are lost, and of many at once some. So what is
 * said may only help. Never blocks; where there is one gateway nobody hears it. */
#define META_WORD_MAX 640
void meta_say(struct meta_store *m, const char *word);
/* fn hears what others say, on a thread of the store's and under a lock: it may not block, nor call the store. NULL: nobody any
 * more; then none is under way either. */
void meta_on_word(struct meta_store *m, void (*fn)(void *arg, const char *word), void *arg);
/* fn is called when a tenant is found to have moved to another shard (its index), before meta_shard_of says so: what was said
 * last where it was may not have been heard, so what is remembered of it holds no more. On any thread that has asked for
 * something, under a lock: it may not block, nor call the store. NULL: nobody any more; then none is under way either. */
void meta_on_move(struct meta_store *m, void (*fn)(void *arg, unsigned shard), void *arg);

/* Documents of one kind, by id. limit at most 1000. */
GH_MUST_CHECK enum gh_status meta_settings(struct meta_store *m, struct meta_call *c, const char *kind,
					   uint64_t after_id, unsigned limit, struct meta_setting **ret,
					   unsigned *ret_count);

/* ---- writing ---- */
/* GH_OK: durable. GH_STALE: a guard did not hold, nothing happened. Others: nothing happened, but for GH_UNKNOWN. */
GH_MUST_CHECK enum gh_status meta_commit(struct meta_store *m, struct meta_call *c, struct meta_batch *b);
/* The same without a thread that waits: landed(arg, status) comes once, from within the call or from the thread that
 * commits, and may free everything. It must neither block nor commit. The batch, what it points to and the call's arena stay
 * until then. Workers. */
typedef void meta_landed_fn(void *arg, enum gh_status st);
void meta_commit_later(struct meta_store *m, struct meta_call *c, struct meta_batch *b, meta_landed_fn *landed, void *arg);
/* Returns when the threads that commit and look have nothing to do, and have returned from every landed() and done(). Blocks. */
void meta_quiet(struct meta_store *m);

/* ---- several gateways ---- */
/* May other processes write to this store? Embedded: no, and nothing that follows is needed. */
bool meta_is_shared(struct meta_store *m);
#define META_GATEWAYS 1024
struct meta_gateway {
	unsigned slot;       /* 1 .. META_GATEWAYS-1, in every id that it makes; 0: those who do not lease one */
	uint64_t token;      /* random, of this run; 0: it is gone, and its slot rests for a while */
	const char *name, *version;
	int64_t started_us, expires_us;
	bool alive; /* by the store's clock */
};
/* Takes a slot for g->name and g->token, for life_ms; predecessor: the token of a run of the same gateway that is known to
 * be over, or 0. GH_EXISTS: a gateway of that name lives. GH_LIMIT: no slot is free. */
GH_MUST_CHECK enum gh_status meta_gateway_join(struct meta_store *m, struct meta_call *c, struct meta_gateway *g,
					       uint64_t predecessor, uint32_t life_ms);
/* Lives on; all leases that it holds with it. GH_NOTFOUND: it has been taken for dead, and its slot was given away. */
GH_MUST_CHECK enum gh_status meta_gateway_beat(struct meta_store *m, struct meta_call *c, unsigned slot, uint64_t token,
					       uint32_t life_ms);
GH_MUST_CHECK enum gh_status meta_gateway_leave(struct meta_store *m, struct meta_call *c, unsigned slot, uint64_t token);
GH_MUST_CHECK enum gh_status meta_gateways(struct meta_store *m, struct meta_call *c, struct meta_gateway **ret,
					   unsigned *ret_count);
/* No batch is committed after that moment (monotonic; UINT64_MAX: no end), GH_DATABASE: who may have been taken for dead must
 * not use ids that may have become another's. Any thread. */
void meta_fence(struct meta_store *m, uint64_t until_ns);
/* Something that one gateway does at a time, or has in the making: kind, and tenant and id or 0. GH_BUSY: another holds it.
 * Taken again by its holder it is prolonged. */
GH_MUST_CHECK enum gh_status meta_lease_take(struct meta_store *m, struct meta_call *c, const char *kind, uint64_t tenant,
					     uint64_t id, uint64_t holder, uint32_t life_ms);
GH_MUST_CHECK enum gh_status meta_lease_drop(struct meta_store *m, struct meta_call *c, const char *kind, uint64_t tenant,
					     uint64_t id, uint64_t holder);
/* Trees in the making: children of the trash root with such a lease are none of the walker's business. */
#define META_LEASE_MAKING "making"

/* ---- quotas ---- */
/* Where an account stands: user 0 is the tenant as a whole. leased: the living leases but the asker's own. */
struct meta_quota_books {
	uint64_t used_bytes, used_files, leased_bytes, leased_files;
	uint64_t leased_sessions, leased_transfers; /* seats: nothing of them is used but by who leases them */
	uint64_t holders;                           /* how many leases these are */
	uint64_t month;                             /* transfer of that month */
};
struct meta_quota_grant {
	uint64_t lease; /* the name it shall have; 0 = none, what was held is given back */
	uint64_t bytes, files, sessions, transfers;
	int64_t month; /* added to the month's transfer */
};
struct meta_quota_ask {
	uint64_t tenant, user;
	uint64_t lease; /* held now; 0 = none */
	uint32_t life_ms;
	int64_t month;
	/* By whoever commits, between reading the books and writing the grant down. May come again: the last one counts. */
	void (*decide)(void *arg, const struct meta_quota_books *books, struct meta_quota_grant *ret);
	void *arg;
};
/* A user without sums has used nothing. */
GH_MUST_CHECK enum gh_status meta_quota_lease(struct meta_store *m, struct meta_call *c, const struct meta_quota_ask *a);
/* Only looks; decide and life_ms are not used. GH_NOTFOUND: no such tenant. */
GH_MUST_CHECK enum gh_status meta_quota_books(struct meta_store *m, struct meta_call *c, const struct meta_quota_ask *a,
					      struct meta_quota_books *ret);

/* ---- upkeep (background) ---- */
/* Dead blobs older than grace, to be removed; then forget their rows. */
GH_MUST_CHECK enum gh_status meta_blobs_dead(struct meta_store *m, struct meta_call *c, int64_t dead_before_us,
					     unsigned limit, struct meta_blob_row **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status meta_blob_forget(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t id);
/* An object without a row: claim it by inserting its row as dead (a late commit of that id then collides and fails).
 * GH_EXISTS when there is a row after all. */
GH_MUST_CHECK enum gh_status meta_blob_claim(struct meta_store *m, struct meta_call *c, const struct blob_object *o);
GH_MUST_CHECK enum gh_status meta_blob_mark_damaged(struct meta_store *m, struct meta_call *c, uint64_t tenant,
						    uint64_t id);
GH_MUST_CHECK enum gh_status meta_blobs(struct meta_store *m, struct meta_call *c, uint64_t after_tenant,
					uint64_t after_id, unsigned limit, struct meta_blob_row **ret, unsigned *ret_count);
/* One step of the walker that empties trash roots: removes at most `limit` leaf nodes with versions, properties,
 * entries and locks, giving references back. *ret_left: is there more? */
GH_MUST_CHECK enum gh_status meta_trash_step(struct meta_store *m, struct meta_call *c, unsigned limit, bool *ret_left);
GH_MUST_CHECK enum gh_status meta_locks_expire(struct meta_store *m, struct meta_call *c);
/* Folds the ledger and drops events made before that time. GH_DEADLINE: the next call goes on where this one stopped. One caller
 * at a time. */
GH_MUST_CHECK enum gh_status meta_events_fold(struct meta_store *m, struct meta_call *c, int64_t drop_before_us);
/* Tree, sums, references, orphans, schema: reports each finding. */
GH_MUST_CHECK enum gh_status meta_check(struct meta_store *m, struct meta_call *c, meta_finding_fn *fn, void *arg);
/* ---- shards (for administrators) ---- */
/* Databases that tenants can be in. The first is central's own and called main; embedded there is no other. */
enum meta_shard_state { META_SHARD_OPEN, META_SHARD_DRAINING, META_SHARD_CLOSED };
struct meta_shard {
	uint64_t id, tenants;
	const char *name, *conninfo; /* up to its password */
	enum meta_shard_state state;
	bool open;           /* this gateway has reached it */
	const char *trouble; /* "", or why not */
};
GH_MUST_CHECK enum gh_status meta_shard_list(struct meta_store *m, struct meta_call *c, struct meta_shard **ret,
					     unsigned *ret_count);
/* An empty database becomes a shard: its schema is made, and it is told which shard it is. Returns when every gateway knows of
 * it. err (512 bytes): which shard, what, what to do. GH_EXISTS: that name, or not an empty database. */
GH_MUST_CHECK enum gh_status meta_shard_add(struct meta_store *m, struct meta_call *c, const char *name, const char *conninfo,
					    char *err);
/* draining: no new tenants. GH_NOTFOUND. */
GH_MUST_CHECK enum gh_status meta_shard_set(struct meta_store *m, struct meta_call *c, const char *name,
					    enum meta_shard_state state);
/* A tenant goes to another shard: one step of it, ret_step says which. The same call again takes the next, also after whoever
 * moved it died; done: there is none left. Until `moved` it can be abandoned. Blocks for as long as all the tenant's rows take.
 * hold_ms: so long at most, each time, nobody may change it, before it is switched (0: a second; up to 600000); where that is too
 * short it is given up, with GH_BUSY.
 * err (512 bytes): what keeps it from that. GH_BUSY: another moves it at this moment (for some seconds after it died). */
struct meta_move {
	const char *step; /* copying, switching, waiting, clearing, settled; constant */
	uint64_t rows, differed; /* of the last pass */
	uint64_t frozen_us;	 /* how long nobody could change it; 0: not in this step */
	uint64_t frozen_rows;	 /* so many were read meanwhile, in both shards: those that had changed */
	unsigned rounds, holds;	 /* of bringing after what had changed; of trying to do so while nobody changes more */
	bool moved, done;
};
GH_MUST_CHECK enum gh_status meta_tenant_move(struct meta_store *m, struct meta_call *c, const char *tenant, const char *shard,
					      uint32_t hold_ms, struct meta_move *ret, char *err);
/* It stays where it is, and what was copied is removed. */
GH_MUST_CHECK enum gh_status meta_tenant_move_abandon(struct meta_store *m, struct meta_call *c, const char *tenant, char *err);
/* Compares the schema of the central database, or of all, with this program's: fn for each difference. A database that can't be
 * asked is one. */
GH_MUST_CHECK enum gh_status meta_schema_check(struct meta_store *m, struct meta_call *c, bool all, meta_finding_fn *fn,
					       void *arg);
/* Which of meta_shards() a tenant is on, as far as memory knows; 0 for tenant 0. Any thread; waits for nothing. */
unsigned meta_shard_of(struct meta_store *m, uint64_t tenant);
/* ... and how often it has moved to where it is: another number at each of its stays. */
uint64_t meta_stay_of(struct meta_store *m, uint64_t tenant);
/* Is there more than one database? Then trouble of one is not everybody's. */
bool meta_is_many(const struct meta_store *m);

/* Highest id in use, for gh_id_init. */
GH_MUST_CHECK enum gh_status meta_id_floor(struct meta_store *m, struct meta_call *c, uint64_t *ret);

#endif
