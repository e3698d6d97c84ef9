/* The walker that empties trash roots, a step at a time: leaves first, so that after a crash the rest is still a tree
 * below the trash. Each step is one transaction with an event of its own ("purge") that gives bytes and files back to
 * the ledger: moving a folder to the trash could not know them.
 */
#include "backends/metadata/store.h"

#include "core/base/id.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 1000 /* no long transactions */
#define PAGE_MAX 256

struct leaf {
	uint64_t id, size, owner;
	bool folder;
};

struct walk {
	uint64_t tenant, trash;
	unsigned limit;
	/* of one run */
	struct db_conn *c;
	int64_t now_us;
	uint64_t op; /* of its event */
	unsigned nodes, rows;
	int64_t bytes, files;
};

/* Runs sql(tenant, a [, b]) and counts the rows it changed. */
static enum gh_status change(struct walk *w, enum sql_id sql, uint64_t a, uint64_t b, unsigned count)
{
	struct db_stmt *s;
	enum gh_status st = w->c->drv->prepare(w->c, sql, &s);

	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, w->tenant);
	db_bind_u64(s, 2, a);
	if (count > 1)
		db_bind_u64(s, 3, b);
	st = db_run(s);
	if (st == GH_OK)
		w->rows += (unsigned)w->c->drv->changes(w->c);
	return st;
}

static enum gh_status unref(struct walk *w, uint64_t blob)
{
	return change(w, SQL_WALK_UNREF, blob, (uint64_t)w->now_us, 2);
}

/* First part or version: the rows of a query of two columns at most. GH_END: none. */
static enum gh_status first(struct walk *w, enum sql_id sql, uint64_t of, uint64_t ret[3], unsigned columns)
{
	struct db_stmt *s;
	enum gh_status st = w->c->drv->prepare(w->c, sql, &s);

	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, w->tenant);
	db_bind_u64(s, 2, of);
	db_bind_u64(s, 3, 1);
	st = w->c->drv->step(s);
	for (unsigned i = 0; st == GH_OK && i < columns; i++)
		ret[i] = db_u64(s, i);
	w->c->drv->reset(s);
	return st;
}

/* GH_END: all parts are gone. GH_OK: no more rows in this step. */
static enum gh_status drop_parts(struct walk *w, uint64_t version)
{
	uint64_t part[3]; /* seq, blob */
	enum gh_status st = GH_OK;

	while (w->rows < ROWS_MAX && (st = first(w, SQL_WALK_PARTS, version, part, 2)) == GH_OK) {
		st = unref(w, part[1]);
		if (st == GH_OK)
			st = change(w, SQL_WALK_PART_DELETE, version, part[0], 2);
		if (st != GH_OK)
			return st;
	}
	return st;
}

/* As drop_parts, for all versions of a file. */
static enum gh_status drop_versions(struct walk *w, uint64_t node)
{
	uint64_t version[3]; /* id, parts, blob */
	enum gh_status st = GH_OK;

	while (w->rows < ROWS_MAX && (st = first(w, SQL_WALK_VERSIONS, node, version, 3)) == GH_OK) {
		if (version[1] == 1)
			st = unref(w, version[2]);
		else if (version[1] > 1)
			st = drop_parts(w, version[0]);
		if (st == GH_OK && version[1] > 1)
			return st; /* parts are left */
		if (st == GH_END || st == GH_OK)
			st = change(w, SQL_WALK_VERSION_DELETE, version[0], 0, 1);
		if (st != GH_OK)
			return st;
	}
	return st;
}

/* Whose it was, if somebody counts that. */
static enum gh_status tell_owner(struct walk *w, const struct leaf *l)
{
	struct db_stmt *s;
	enum gh_status st = w->c->drv->prepare(w->c, SQL_WALK_OWNER, &s);

	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, w->tenant);
	db_bind_u64(s, 2, l->owner);
	db_bind_u64(s, 3, w->op);
	db_bind_i64(s, 4, -(int64_t)l->size);
	db_bind_i64(s, 5, -1);
	return db_run(s);
}

static enum gh_status drop_leaf(struct walk *w, const struct leaf *l)
{
	static const enum sql_id rest[] = { SQL_WALK_PROPS, SQL_WALK_ACES, SQL_WALK_ACL, SQL_WALK_LOCKS, SQL_WALK_NODE };
	enum gh_status st = l->folder ? GH_END : drop_versions(w, l->id);

	if (st == GH_OK) /* rows are used up: what is left of it comes next time, and has no content */
		return change(w, SQL_WALK_EMPTY, l->id, 0, 1);
	for (unsigned i = 0; (st == GH_OK || st == GH_END) && i < sizeof(rest) / sizeof(rest[0]); i++)
		st = change(w, rest[i], l->id, 0, 1);
	if (st == GH_OK && !l->folder)
		st = tell_owner(w, l);
	if (st == GH_OK) {
		w->nodes++;
		w->bytes -= l->folder ? 0 : (int64_t)l->size;
		w->files -= !l->folder;
	}
	return st;
}

/* The first children of a folder, files up to the first folder among them; *ret_folder is that folder, or 0. */
static enum gh_status children(struct walk *w, uint64_t parent, struct leaf *leaves, unsigned *ret_count,
			       uint64_t *ret_folder)
{
	struct db_stmt *s;
	enum gh_status st = w->c->drv->prepare(w->c, SQL_WALK_CHILDREN, &s);

	*ret_count = 0;
	*ret_folder = 0;
	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, w->tenant);
	db_bind_u64(s, 2, parent);
	db_bind_blob(s, 3, META_LEASE_MAKING, strlen(META_LEASE_MAKING));
	db_bind_i64(s, 4, w->now_us);
	db_bind_u64(s, 5, PAGE_MAX);
	while (!*ret_folder && (st = w->c->drv->step(s)) == GH_OK) {
		if (db_i64(s, 1) == META_FOLDER)
			*ret_folder = db_u64(s, 0);
		else
			leaves[(*ret_count)++] = (struct leaf){ db_u64(s, 0), db_u64(s, 2), db_u64(s, 3), false };
	}
	w->c->drv->reset(s);
	return st == GH_END ? GH_OK : st;
}

/* From the trash down to where only files are, and takes those; or an empty folder. GH_END: the trash is empty. */
static enum gh_status walk_once(struct walk *w, struct leaf *leaves)
{
	uint64_t at = w->trash, folder = 0;
	unsigned count = 0;
	enum gh_status st = children(w, at, leaves, &count, &folder);

	while (st == GH_OK && !count && folder) {
		at = folder;
		st = children(w, at, leaves, &count, &folder);
	}
	if (st == GH_OK && !count) {
		if (at == w->trash)
			return GH_END;
		leaves[count++] = (struct leaf){ .id = at, .folder = true };
	}
	for (unsigned i = 0; st == GH_OK && i < count && w->nodes < w->limit && w->rows < ROWS_MAX; i++)
		st = drop_leaf(w, &leaves[i]);
	return st;
}

static enum gh_status walk_event(struct walk *w)
{
	struct db_stmt *s;
	enum gh_status st = w->c->drv->prepare(w->c, SQL_WALK_EVENT, &s);

	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, w->tenant);
	db_bind_u64(s, 2, w->op);
	db_bind_i64(s, 3, w->now_us);
	db_bind_i64(s, 4, w->bytes);
	db_bind_i64(s, 5, w->files);
	return db_run(s);
}

static enum gh_status walk_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct walk *w = arg;
	struct leaf *leaves = malloc(PAGE_MAX * sizeof(*leaves));
	int64_t state = 0;
	enum gh_status st = leaves ? tenant_state_in(c, w->tenant, &state) : GH_NOMEM;

	if (st == GH_OK && state != 0) /* it is being copied since we looked */
		st = GH_END;
	w->c = c;
	w->now_us = now_us;
	w->op = gh_id_new();
	w->nodes = w->rows = 0;
	w->bytes = w->files = 0;
	while (st == GH_OK && w->nodes < w->limit && w->rows < ROWS_MAX)
		st = walk_once(w, leaves);
	free(leaves);
	if (st == GH_END)
		st = GH_OK;
	if (st == GH_OK && (w->bytes || w->files))
		st = walk_event(w);
	return st;
}

enum gh_status shard_trash_step(struct shard_store *m, struct meta_call *c, unsigned limit, bool *ret_left)
{
	struct walk w = { .limit = limit };
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	/* Asked of a reader: an empty trash costs no turn of the writer. */
	if (st == GH_OK)
		st = query_prepare(&q, SQL_WALK_TENANT);
	if (st == GH_OK) {
		db_bind_blob(q.stmt, 1, META_LEASE_MAKING, strlen(META_LEASE_MAKING));
		db_bind_i64(q.stmt, 2, m->drv->now_us(q.conn));
	}
	if (st == GH_OK)
		st = m->drv->step(q.stmt);
	if (st == GH_OK) {
		w.tenant = db_u64(q.stmt, 0);
		w.trash = db_u64(q.stmt, 1);
	}
	query_close(&q);
	if (st == GH_OK)
		st = commit_job(m, c, walk_run, &w);
	if (st == GH_OK || st == GH_END)
		*ret_left = st == GH_OK;
	return st == GH_END ? GH_OK : st;
}
