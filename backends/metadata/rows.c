/* Holding a reader and turning its rows into the caller's arena. */
#include "backends/metadata/store.h"

#include <string.h>

enum gh_status query_open(struct query *q, struct shard_store *m, struct meta_call *call)
{
	*q = (struct query){ .m = m, .call = call };
	return m->drv->reader(m->db, call->deadline_ns, &q->conn);
}

enum gh_status query_snapshot(struct query *q)
{
	return q->m->drv->snapshot(q->conn);
}

enum gh_status query_ahead(struct query *q, uint64_t tenant, const enum sql_id *ids, unsigned count)
{
	enum gh_status st = GH_OK;

	for (unsigned i = 0; q->m->drv->ahead && st == GH_OK && i < count; i++) {
		struct db_stmt *s;

		st = q->m->drv->prepare(q->conn, ids[i], &s);
		if (st != GH_OK)
			break;
		db_bind_u64(s, 1, tenant);
		q->m->drv->ahead(s);
	}
	return st;
}

enum gh_status query_prepare(struct query *q, enum sql_id id)
{
	if (q->stmt)
		q->m->drv->reset(q->stmt);
	q->stmt = NULL;
	return q->m->drv->prepare(q->conn, id, &q->stmt);
}

void query_close(struct query *q)
{
	if (!q->conn)
		return;
	if (q->stmt)
		q->m->drv->reset(q->stmt);
	q->m->drv->snapshot_end(q->conn);
	q->m->drv->reader_done(q->m->db, q->conn);
	q->conn = NULL;
}

enum gh_status query_result(const struct query *q, enum gh_status st)
{
	if (st == GH_END)
		st = GH_OK;
	return st == GH_OK && gh_arena_overflowed(q->call->arena) ? GH_NOMEM : st;
}

void *rows_more(struct gh_arena *a, void *rows, unsigned count, unsigned *cap, size_t size)
{
	unsigned want = *cap ? *cap * 2 : 16;
	void *more;

	if (count < *cap)
		return rows;
	more = gh_alloc_array(a, want, size);
	if (more && count)
		memcpy(more, rows, (size_t)count * size);
	*cap = want;
	return more;
}

char *row_str(struct gh_arena *a, struct db_stmt *s, unsigned column, uint16_t *ret_len)
{
	size_t len;
	const char *p = s->drv->get_bytes(s, column, &len);

	if (ret_len)
		*ret_len = (uint16_t)len;
	return gh_strndup(a, p, len);
}

void row_loc(struct db_stmt *s, unsigned column, struct blob_loc *ret)
{
	size_t len;
	const void *p = s->drv->get_bytes(s, column, &len);

	ret->len = (uint8_t)(len < BLOB_LOCATOR_MAX ? len : BLOB_LOCATOR_MAX);
	memcpy(ret->bytes, p, ret->len);
}

void row_node(struct gh_arena *a, struct db_stmt *s, unsigned column, struct meta_node *ret)
{
	ret->id = db_u64(s, column);
	ret->parent = db_u64(s, column + 1);
	ret->type = (enum meta_type)db_i64(s, column + 2);
	ret->name = row_str(a, s, column + 3, &ret->name_len);
	ret->key = row_str(a, s, column + 4, &ret->key_len);
	ret->owner = db_u64(s, column + 5);
	ret->version = db_u64(s, column + 6);
	ret->rev = db_u64(s, column + 7);
	ret->size = db_u64(s, column + 8);
	ret->made_us = db_i64(s, column + 9);
	ret->mtime_us = db_i64(s, column + 10);
	ret->has_props = db_i64(s, column + 11) != 0;
	ret->parts = (uint32_t)db_i64(s, column + 12);
	ret->blob = db_u64(s, column + 13);
	row_loc(s, column + 14, &ret->loc);
	ret->crc = (uint32_t)db_i64(s, column + 15);
}

void row_chain(struct gh_arena *a, struct db_stmt *s, unsigned n, struct meta_node *nodes, unsigned *ret_found)
{
	*ret_found = 0;
	for (unsigned i = 0; i < n && !s->drv->is_null(s, i * NODE_COLUMNS); i++) {
		row_node(a, s, i * NODE_COLUMNS, &nodes[i]);
		++*ret_found;
	}
}
