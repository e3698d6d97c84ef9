/* Reading tenants, users, groups, app passwords, and everything that decides a right. Any worker; each call holds one
 * reader. */
#include "backends/metadata/store.h"

#include <stdlib.h>
#include <string.h>

/* ---- tenants ---- */

static void row_tenant(struct gh_arena *a, struct db_stmt *s, struct meta_tenant *t)
{
	t->id = db_u64(s, 0);
	t->name = row_str(a, s, 1, NULL);
	t->hosts = row_str(a, s, 2, NULL);
	t->disabled = db_i64(s, 3) != 0;
	t->case_sensitive = db_i64(s, 4) != 0;
	t->root = db_u64(s, 5);
	t->trash = db_u64(s, 6);
	t->tree_gen = db_u64(s, 7);
	t->rights_epoch = db_u64(s, 8);
	t->route_epoch = db_u64(s, 9);
}

enum gh_status shard_tenants(struct shard_store *m, struct meta_call *c, uint64_t after_id, unsigned limit,
			     struct meta_tenant **ret, unsigned *ret_count)
{
	struct meta_tenant *rows = NULL;
	unsigned count = 0, cap = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_TENANTS);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, after_id);
		db_bind_u64(q.stmt, 2, limit);
	}
	while (st == GH_OK && (st = m->drv->step(q.stmt)) == GH_OK) {
		rows = rows_more(c->arena, rows, count, &cap, sizeof(*rows));
		if (!rows)
			break;
		row_tenant(c->arena, q.stmt, &rows[count++]);
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret = rows;
		*ret_count = count;
	}
	return st;
}

enum gh_status shard_tenant_by_name(struct shard_store *m, struct meta_call *c, const char *name,
				    struct meta_tenant **ret)
{
	struct meta_tenant *t = gh_alloc(c->arena, sizeof(*t));
	struct query q;
	enum gh_status st;

	if (!t)
		return GH_NOMEM;
	st = query_open(&q, m, c);
	if (st == GH_OK)
		st = query_prepare(&q, SQL_TENANT_BY_NAME);
	if (st == GH_OK) {
		db_bind_blob(q.stmt, 1, name, strlen(name));
		st = m->drv->step(q.stmt);
		if (st == GH_OK)
			row_tenant(c->arena, q.stmt, t);
		else if (st == GH_END)
			st = GH_NOTFOUND;
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK)
		*ret = t;
	return st;
}

/* ---- users ---- */

static void row_user(struct gh_arena *a, struct db_stmt *s, struct meta_user *u)
{
	u->id = db_u64(s, 0);
	u->name = row_str(a, s, 1, NULL);
	u->key = row_str(a, s, 2, NULL);
	u->owner = db_i64(s, 3) != 0;
	u->disabled = db_i64(s, 4) != 0;
	u->gen = db_u64(s, 5);
	u->password_hash = row_str(a, s, 6, NULL);
}

/* The bound statement's rows: a column of ids. */
static enum gh_status ids_collect(struct query *q, uint64_t **ret, unsigned *ret_count)
{
	uint64_t *ids = NULL;
	unsigned count = 0, cap = 0;
	enum gh_status st;

	while ((st = q->m->drv->step(q->stmt)) == GH_OK) {
		ids = rows_more(q->call->arena, ids, count, &cap, sizeof(*ids));
		if (!ids)
			return GH_NOMEM;
		ids[count++] = db_u64(q->stmt, 0);
	}
	*ret = ids;
	*ret_count = count;
	return st == GH_END ? GH_OK : st;
}

static enum gh_status ids_of(struct query *q, enum sql_id sql, uint64_t tenant, uint64_t id, uint64_t **ret,
			     unsigned *ret_count)
{
	enum gh_status st = query_prepare(q, sql);

	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, tenant);
	db_bind_u64(q->stmt, 2, id);
	return ids_collect(q, ret, ret_count);
}

/* Runs the bound statement for users; their groups are still missing. GH_END. */
static enum gh_status users_alone(struct query *q, struct meta_user **ret, unsigned *ret_count)
{
	struct meta_user *rows = NULL;
	unsigned count = 0, cap = 0;
	enum gh_status st;

	while ((st = q->m->drv->step(q->stmt)) == GH_OK) {
		rows = rows_more(q->call->arena, rows, count, &cap, sizeof(*rows));
		if (!rows)
			return GH_NOMEM;
		row_user(q->call->arena, q->stmt, &rows[count++]);
	}
	*ret = rows;
	*ret_count = count;
	return st;
}

static enum gh_status users_collect(struct query *q, uint64_t tenant, struct meta_user **ret, unsigned *ret_count)
{
	enum gh_status st = users_alone(q, ret, ret_count);

	for (unsigned i = 0; st == GH_END && i < *ret_count; i++) {
		struct meta_user *u = &(*ret)[i];

		st = ids_of(q, SQL_TEAMS_OF_ACCOUNT, tenant, u->id, &u->groups, &u->group_count);
		st = st == GH_OK ? GH_END : st;
	}
	return st;
}

static enum gh_status prepare_by_name(struct query *q, enum sql_id sql, uint64_t tenant, const char *key)
{
	enum gh_status st = query_prepare(q, sql);

	if (st == GH_OK) {
		db_bind_u64(q->stmt, 1, tenant);
		db_bind_blob(q->stmt, 2, key, strlen(key));
	}
	return st;
}

/* The user of that name, and his groups, of one moment and asked for together. */
static enum gh_status user_named(struct query *q, uint64_t tenant, const char *key, struct meta_user **ret,
				 unsigned *ret_count)
{
	enum gh_status st = prepare_by_name(q, SQL_TEAMS_OF_NAME, tenant, key);

	if (st == GH_OK && q->m->drv->ahead)
		q->m->drv->ahead(q->stmt);
	q->stmt = NULL; /* comes back below */
	if (st == GH_OK)
		st = prepare_by_name(q, SQL_ACCOUNT_BY_NAME, tenant, key);
	if (st == GH_OK)
		st = users_alone(q, ret, ret_count);
	if (st != GH_END || !*ret_count)
		return st;
	st = prepare_by_name(q, SQL_TEAMS_OF_NAME, tenant, key);
	return st == GH_OK ? ids_collect(q, &(*ret)->groups, &(*ret)->group_count) : st;
}

enum gh_status shard_user_by_name(struct shard_store *m, struct meta_call *c, uint64_t tenant, const char *key,
				  struct meta_user **ret)
{
	struct meta_user *rows;
	unsigned count = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_snapshot(&q);
	if (st == GH_OK)
		st = user_named(&q, tenant, key, &rows, &count);
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK && !count)
		st = GH_NOTFOUND;
	if (st == GH_OK)
		*ret = rows;
	return st;
}

enum gh_status shard_users(struct shard_store *m, struct meta_call *c, uint64_t tenant, const char *after_key,
			   unsigned limit, struct meta_user **ret, unsigned *ret_count)
{
	struct meta_user *rows;
	unsigned count;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_snapshot(&q);
	if (st == GH_OK)
		st = query_prepare(&q, SQL_ACCOUNTS_LIST);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		db_bind_blob(q.stmt, 2, after_key, strlen(after_key));
		db_bind_u64(q.stmt, 3, limit);
		st = users_collect(&q, tenant, &rows, &count);
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret = rows;
		*ret_count = count;
	}
	return st;
}

enum gh_status shard_groups(struct shard_store *m, struct meta_call *c, uint64_t tenant, struct meta_group **ret,
			    unsigned *ret_count)
{
	struct meta_group *rows = NULL;
	unsigned count = 0, cap = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_snapshot(&q);
	if (st == GH_OK)
		st = query_prepare(&q, SQL_TEAMS_LIST);
	if (st == GH_OK)
		db_bind_u64(q.stmt, 1, tenant);
	while (st == GH_OK && (st = m->drv->step(q.stmt)) == GH_OK) {
		rows = rows_more(c->arena, rows, count, &cap, sizeof(*rows));
		if (!rows)
			break;
		rows[count].id = db_u64(q.stmt, 0);
		rows[count++].name = row_str(c->arena, q.stmt, 1, NULL);
	}
	st = query_result(&q, st);
	for (unsigned i = 0; st == GH_OK && i < count; i++)
		st = ids_of(&q, SQL_ACCOUNTS_OF_TEAM, tenant, rows[i].id, &rows[i].members, &rows[i].member_count);
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret = rows;
		*ret_count = count;
	}
	return st;
}

enum gh_status shard_tokens(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t user,
			    struct meta_token **ret, unsigned *ret_count)
{
	struct meta_token *rows = NULL;
	unsigned count = 0, cap = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_TOKENS_LIST);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		db_bind_u64(q.stmt, 2, user);
	}
	while (st == GH_OK && (st = m->drv->step(q.stmt)) == GH_OK) {
		struct meta_token *t;

		rows = rows_more(c->arena, rows, count, &cap, sizeof(*rows));
		if (!rows)
			break;
		t = &rows[count++];
		t->id = db_u64(q.stmt, 0);
		t->user = db_u64(q.stmt, 1);
		t->name = row_str(c->arena, q.stmt, 2, NULL);
		t->hash = row_str(c->arena, q.stmt, 3, NULL);
		t->scope = (unsigned)db_i64(q.stmt, 4);
		t->made_us = db_i64(q.stmt, 5);
		t->expires_us = db_i64(q.stmt, 6);
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret = rows;
		*ret_count = count;
	}
	return st;
}

/* ---- everything that decides a right ---- */

/* A node on its way from "by id" to "parents first". */
struct acl_row {
	struct meta_acl_node node;
	unsigned depth; /* 1 = root; 0 = not known yet */
	bool rooted;    /* below the tenant's root, not in the trash */
	unsigned ace_cap;
};

static struct acl_row *acl_find(struct acl_row *rows, unsigned count, uint64_t id)
{
	unsigned lo = 0, hi = count;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (rows[mid].node.id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < count && rows[lo].node.id == id ? &rows[lo] : NULL;
}

/* Chains are short (GH_DEPTH_MAX), and a broken one ends. */
static void acl_depth(struct acl_row *rows, unsigned count, uint64_t root, struct acl_row *row)
{
	struct acl_row *up = row;
	unsigned depth = 1;

	while (up && up->node.id != root && depth <= GH_DEPTH_MAX + 1) {
		up = up->node.parent ? acl_find(rows, count, up->node.parent) : NULL;
		depth++;
	}
	row->depth = depth;
	row->rooted = up && up->node.id == root;
}

static int by_depth(const void *a, const void *b)
{
	const struct acl_row *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return x->node.id < y->node.id ? -1 : x->node.id > y->node.id;
}

static enum gh_status acl_rows(struct query *q, uint64_t tenant, struct acl_row **ret, unsigned *ret_count)
{
	struct gh_arena *a = q->call->arena;
	struct acl_row *rows = NULL;
	unsigned count = 0, cap = 0;
	enum gh_status st = query_prepare(q, SQL_ACL_NODES);

	if (st == GH_OK)
		db_bind_u64(q->stmt, 1, tenant);
	while (st == GH_OK && (st = q->m->drv->step(q->stmt)) == GH_OK) {
		struct meta_acl_node *n;

		rows = rows_more(a, rows, count, &cap, sizeof(*rows));
		if (!rows)
			return GH_NOMEM;
		n = &rows[count++].node;
		n->id = db_u64(q->stmt, 0);
		n->parent = db_u64(q->stmt, 1);
		n->key = row_str(a, q->stmt, 2, NULL);
		n->name = row_str(a, q->stmt, 3, NULL);
		n->inherit_off = db_i64(q->stmt, 4) != 0;
	}
	*ret = rows;
	*ret_count = count;
	return st == GH_END ? GH_OK : st;
}

static enum gh_status acl_entries(struct query *q, uint64_t tenant, struct acl_row *rows, unsigned count)
{
	enum gh_status st = query_prepare(q, SQL_ACES);

	if (st == GH_OK)
		db_bind_u64(q->stmt, 1, tenant);
	while (st == GH_OK && (st = q->m->drv->step(q->stmt)) == GH_OK) {
		struct acl_row *r = acl_find(rows, count, db_u64(q->stmt, 0));
		struct meta_ace *e;

		if (!r)
			continue;
		r->node.aces = rows_more(q->call->arena, r->node.aces, r->node.ace_count, &r->ace_cap, sizeof(*e));
		if (!r->node.aces)
			return GH_NOMEM;
		e = &r->node.aces[r->node.ace_count++];
		e->who = (char)db_i64(q->stmt, 1);
		e->who_id = db_u64(q->stmt, 2);
		e->deny = db_i64(q->stmt, 3) != 0;
		e->rights = (unsigned)db_i64(q->stmt, 4);
	}
	return st == GH_END ? GH_OK : st;
}

static enum gh_status load_acl(struct query *q, uint64_t tenant, uint64_t root, struct meta_rights *r)
{
	struct acl_row *rows;
	unsigned count;
	enum gh_status st = acl_rows(q, tenant, &rows, &count);

	if (st == GH_OK)
		st = acl_entries(q, tenant, rows, count);
	if (st != GH_OK || !count)
		return st;
	for (unsigned i = 0; i < count; i++)
		acl_depth(rows, count, root, &rows[i]);
	qsort(rows, count, sizeof(*rows), by_depth);
	r->acl = gh_alloc_array(q->call->arena, count, sizeof(*r->acl));
	if (!r->acl)
		return GH_NOMEM;
	for (unsigned i = 0; i < count; i++)
		if (rows[i].rooted)
			r->acl[r->acl_count++] = rows[i].node;
	return GH_OK;
}

static enum gh_status load_users(struct query *q, uint64_t tenant, struct meta_rights *r)
{
	struct gh_arena *a = q->call->arena;
	unsigned cap = 0, at = 0, group_cap = 0;
	enum gh_status st = query_prepare(q, SQL_ACCOUNTS_ALL);

	if (st == GH_OK)
		db_bind_u64(q->stmt, 1, tenant);
	while (st == GH_OK && (st = q->m->drv->step(q->stmt)) == GH_OK) {
		r->users = rows_more(a, r->users, r->user_count, &cap, sizeof(*r->users));
		if (!r->users)
			return GH_NOMEM;
		row_user(a, q->stmt, &r->users[r->user_count]);
		r->users[r->user_count++].password_hash = "";
	}
	if (st == GH_END)
		st = query_prepare(q, SQL_MEMBERS_ALL);
	if (st == GH_OK)
		db_bind_u64(q->stmt, 1, tenant);
	/* Both are in the order of user ids. */
	while (st == GH_OK && (st = q->m->drv->step(q->stmt)) == GH_OK) {
		uint64_t user = db_u64(q->stmt, 0);
		struct meta_user *u;

		for (; at < r->user_count && r->users[at].id < user; at++)
			group_cap = 0;
		if (at == r->user_count || r->users[at].id != user)
			continue;
		u = &r->users[at];
		u->groups = rows_more(a, u->groups, u->group_count, &group_cap, sizeof(*u->groups));
		if (!u->groups)
			return GH_NOMEM;
		u->groups[u->group_count++] = db_u64(q->stmt, 1);
	}
	return st == GH_END ? GH_OK : st;
}

enum gh_status shard_rights_mark(struct shard_store *m, struct meta_call *c, uint64_t tenant, struct meta_mark *ret)
{
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_RIGHTS_MARK);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		st = m->drv->step(q.stmt);
	}
	if (st == GH_OK) {
		ret->rights_epoch = db_u64(q.stmt, 0);
		ret->tree_gen = db_u64(q.stmt, 1);
		for (unsigned i = 0; i < 3; i++)
			ret->history[i] = db_u64(q.stmt, 2 + i);
	} else if (st == GH_END) {
		st = GH_NOTFOUND;
	}
	query_close(&q);
	return query_result(&q, st);
}

enum gh_status shard_rights_load(struct shard_store *m, struct meta_call *c, uint64_t tenant, struct meta_rights **ret)
{
	static const enum sql_id all[] = { SQL_TENANT_EPOCHS, SQL_ACL_NODES, SQL_ACES, SQL_ACCOUNTS_ALL, SQL_MEMBERS_ALL };
	struct meta_rights *r = gh_alloc(c->arena, sizeof(*r));
	uint64_t root = 0;
	struct query q;
	enum gh_status st;

	if (!r)
		return GH_NOMEM;
	st = query_open(&q, m, c);
	if (st == GH_OK)
		st = query_snapshot(&q);
	if (st == GH_OK)
		st = query_ahead(&q, tenant, all, sizeof(all) / sizeof(all[0]));
	if (st == GH_OK)
		st = query_prepare(&q, SQL_TENANT_EPOCHS);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, tenant);
		st = m->drv->step(q.stmt);
	}
	if (st == GH_OK) {
		r->rights_epoch = db_u64(q.stmt, 0);
		r->tree_gen = db_u64(q.stmt, 1);
		root = db_u64(q.stmt, 2);
		st = load_acl(&q, tenant, root, r);
	} else if (st == GH_END) {
		st = GH_NOTFOUND;
	}
	if (st == GH_OK)
		st = load_users(&q, tenant, r);
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK)
		*ret = r;
	return st;
}
