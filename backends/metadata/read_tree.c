/* Reading the tree: paths, nodes, listings, contents, properties, locks. Any worker; each call holds one reader. */
#include "backends/metadata/store.h"

#include <string.h>

#define RESOLVE_MAX META_LOOK_MAX /* components one statement follows */
#define LIST_MAX 1000
#define LIST_PART 256 /* rows of a listing that are read while the database makes the next */
#define KEY_COLUMN 4  /* NODE_COLS */
#define LOCKS_MAX 10000

/* The chain below `from` along n <= RESOLVE_MAX components, appended at nodes. */
static enum gh_status resolve_some(struct query *q, uint64_t tenant, uint64_t from, const struct gh_component *comp,
				   unsigned n, struct meta_node *nodes, unsigned *ret_found)
{
	enum gh_status st = query_prepare(q, SQL_RESOLVE_1 + n - 1);

	*ret_found = 0;
	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, tenant);
	db_bind_u64(q->stmt, 2, from);
	for (unsigned i = 0; i < n; i++)
		db_bind_blob(q->stmt, i + 3, comp[i].key, comp[i].key_len);
	st = q->m->drv->step(q->stmt);
	if (st == GH_OK)
		row_chain(q->call->arena, q->stmt, n, nodes, ret_found);
	return st == GH_END ? GH_OK : st;
}

enum gh_status shard_resolve(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t from,
			     const struct gh_component *comp, unsigned n, struct meta_node **ret_nodes,
			     unsigned *ret_found)
{
	struct meta_node *nodes = gh_alloc_array(c->arena, n ? n : 1, sizeof(*nodes));
	unsigned found = 0, some = 0;
	struct query q;
	enum gh_status st;

	if (!nodes)
		return GH_NOMEM;
	st = query_open(&q, m, c);
	if (st == GH_OK && n > RESOLVE_MAX)
		st = query_snapshot(&q);
	while (st == GH_OK && found < n) {
		unsigned want = n - found < RESOLVE_MAX ? n - found : RESOLVE_MAX;

		st = resolve_some(&q, tenant, found ? nodes[found - 1].id : from, comp + found, want, nodes + found,
				  &some);
		found += some;
		if (some < want)
			break;
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret_nodes = nodes;
		*ret_found = found;
	}
	return st;
}

enum gh_status shard_node_get(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t id,
			      struct meta_node **ret)
{
	struct meta_node *node = gh_alloc(c->arena, sizeof(*node));
	struct query q;
	enum gh_status st;

	if (!node)
		return GH_NOMEM;
	st = query_open(&q, m, c);
	if (st == GH_OK)
		st = query_prepare(&q, SQL_NODE_GET);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		db_bind_u64(q.stmt, 2, id);
		st = m->drv->step(q.stmt);
		if (st == GH_OK)
			row_node(c->arena, q.stmt, 0, node);
		else if (st == GH_END)
			st = GH_NOTFOUND;
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK)
		*ret = node;
	return st;
}

/* How a listing is read in parts. */
struct list_parts {
	unsigned part;   /* rows that were asked for last */
	unsigned unread; /* of those at hand */
	unsigned rest;   /* not asked for yet */
};

static void parts_begin(struct list_parts *p, struct db_stmt *s, unsigned rows)
{
	*p = (struct list_parts){ .part = s->drv->onward && rows > LIST_PART ? LIST_PART : rows };
	p->rest = rows - p->part;
	db_bind_u64(s, 4, p->part);
}

/* A row is at hand. */
static enum gh_status parts_row(struct list_parts *p, struct db_stmt *s)
{
	const unsigned next = p->rest < LIST_PART ? p->rest : LIST_PART;
	enum gh_status st = GH_OK;

	if (!p->unread) {
		p->unread = p->part;
		if (next) {
			db_bind_u64(s, 4, next);
			st = s->drv->onward(s, p->part, KEY_COLUMN, 3);
		}
		p->part = next;
		p->rest = st == GH_OK ? p->rest - next : 0;
	}
	p->unread--;
	return st == GH_END ? GH_OK : st;
}

enum gh_status shard_list(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t parent,
			  const char *after_key, unsigned limit, struct meta_page *ret)
{
	struct meta_page page = { 0 };
	struct list_parts parts;
	unsigned cap = 0;
	struct query q;
	enum gh_status st;

	limit = limit < LIST_MAX ? limit : LIST_MAX;
	st = query_open(&q, m, c);
	if (st == GH_OK)
		st = query_prepare(&q, SQL_NODE_LIST);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		db_bind_u64(q.stmt, 2, parent);
		db_bind_blob(q.stmt, 3, after_key, strlen(after_key));
		parts_begin(&parts, q.stmt, limit + 1);
	}
	while (st == GH_OK && (st = m->drv->step(q.stmt)) == GH_OK) {
		st = parts_row(&parts, q.stmt);
		if (st != GH_OK)
			break;
		if (page.count == limit) {
			page.more = true;
			break;
		}
		page.nodes = rows_more(c->arena, page.nodes, page.count, &cap, sizeof(*page.nodes));
		if (!page.nodes)
			break;
		row_node(c->arena, q.stmt, 0, &page.nodes[page.count++]);
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK)
		*ret = page;
	return st;
}

enum gh_status shard_version_parts(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t version,
				   struct meta_part **ret, unsigned *ret_count)
{
	struct meta_part *parts = NULL;
	unsigned count = 0, cap = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_PARTS_GET);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		db_bind_u64(q.stmt, 2, version);
	}
	while (st == GH_OK && (st = m->drv->step(q.stmt)) == GH_OK) {
		struct meta_part *p;

		parts = rows_more(c->arena, parts, count, &cap, sizeof(*parts));
		if (!parts)
			break;
		p = &parts[count++];
		p->blob = db_u64(q.stmt, 0);
		p->blob_size = db_u64(q.stmt, 1);
		p->offset = db_u64(q.stmt, 2);
		p->len = db_u64(q.stmt, 3);
		row_loc(q.stmt, 4, &p->loc);
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret = parts;
		*ret_count = count;
	}
	return st;
}

/* ---- properties ---- */

static enum gh_status props_collect(struct query *q, enum gh_status st, struct meta_prop **ret, unsigned *ret_count)
{
	struct gh_arena *a = q->call->arena;
	struct meta_prop *props = NULL;
	unsigned count = 0, cap = 0;

	while (st == GH_OK && (st = q->m->drv->step(q->stmt)) == GH_OK) {
		struct meta_prop *p;

		props = rows_more(a, props, count, &cap, sizeof(*props));
		if (!props)
			break;
		p = &props[count++];
		p->node = db_u64(q->stmt, 0);
		p->ns = row_str(a, q->stmt, 1, NULL);
		p->name = row_str(a, q->stmt, 2, NULL);
		p->xml = row_str(a, q->stmt, 3, NULL);
		p->lang = row_str(a, q->stmt, 4, NULL);
	}
	query_close(q);
	st = query_result(q, st);
	if (st == GH_OK) {
		*ret = props;
		*ret_count = count;
	}
	return st;
}

enum gh_status shard_props(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t node,
			   struct meta_prop **ret, unsigned *ret_count)
{
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_PROPS_GET);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		db_bind_u64(q.stmt, 2, node);
	}
	return props_collect(&q, st, ret, ret_count);
}

enum gh_status shard_props_of_children(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t parent,
				       const char *after_key, const char *last_key, struct meta_prop **ret,
				       unsigned *ret_count)
{
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_PROPS_OF_CHILDREN);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		db_bind_u64(q.stmt, 2, parent);
		db_bind_blob(q.stmt, 3, after_key, strlen(after_key));
		db_bind_blob(q.stmt, 4, last_key, strlen(last_key));
	}
	return props_collect(&q, st, ret, ret_count);
}

/* ---- locks ---- */

static void row_lock(struct gh_arena *a, struct db_stmt *s, struct meta_lock *l)
{
	l->id = db_u64(s, 0);
	l->token = row_str(a, s, 1, NULL);
	l->node = db_u64(s, 2);
	l->user = db_u64(s, 3);
	l->user_name = row_str(a, s, 4, NULL);
	l->path_key = row_str(a, s, 5, NULL);
	l->path = row_str(a, s, 6, NULL);
	l->exclusive = db_i64(s, 7) != 0;
	l->deep = db_i64(s, 8) != 0;
	l->expires_us = db_i64(s, 9);
	l->timeout_s = (uint32_t)db_i64(s, 10);
	l->owner_xml = row_str(a, s, 11, NULL);
}

enum gh_status shard_locks(struct shard_store *m, struct meta_call *c, uint64_t tenant, struct meta_lock **ret,
			   unsigned *ret_count, uint64_t *ret_seen)
{
	struct meta_lock *locks = NULL;
	unsigned count = 0, cap = 0;
	uint64_t seen = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_LOCKS_GET);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		db_bind_i64(q.stmt, 2, m->drv->now_us(q.conn));
		db_bind_u64(q.stmt, 3, LOCKS_MAX);
	}
	while (st == GH_OK && (st = m->drv->step(q.stmt)) == GH_OK) {
		seen = db_u64(q.stmt, 12);
		if (m->drv->is_null(q.stmt, 0))
			continue;
		locks = rows_more(c->arena, locks, count, &cap, sizeof(*locks));
		if (!locks)
			break;
		row_lock(c->arena, q.stmt, &locks[count++]);
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret = locks;
		*ret_count = count;
		*ret_seen = seen;
	}
	return st;
}
