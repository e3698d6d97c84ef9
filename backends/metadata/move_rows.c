/* Makes a tenant's rows in one database the same as in another, table by table, page by page in the order of the keys: what is
 * there and not the same goes, what is missing comes. Runs beside writers; a pass that found no difference while nobody could
 * write is the proof that both are equal. See move.h. Blocks; an administrator's thread.
 *
 * Written are pages, each a job that looks first whether the tenant is still about to come there (state 3, of that epoch), so
 * that one who slept through the end of the move writes nothing any more. A row whose place is taken by an older one (a unique
 * name) is left for the next pass.
 */
#include "backends/metadata/move.h"
#include "backends/metadata/tables.h"

#include <string.h>

#define PAGE 250
#define AHEAD 100 /* rows on their way before one is waited for */
#define ARENA (64u << 20)

struct row {
	struct db_value v[TABLE_COLUMNS_MAX];
};

struct page {
	struct row *rows;
	unsigned count;
	bool last;
};

/* ---- keys ---- */

static int value_cmp(const struct db_value *a, const struct db_value *b)
{
	if (a->type == DB_I64)
		return a->i < b->i ? -1 : a->i > b->i;
	const uint32_t n = a->len < b->len ? a->len : b->len;
	const int d = n ? memcmp(a->p, b->p, n) : 0;

	return d ? d : a->len < b->len ? -1 : a->len > b->len;
}

static int key_cmp(const struct meta_table *t, const struct row *a, const struct row *b)
{
	int d = 0;

	for (unsigned i = 0; i < t->keys && !d; i++)
		d = value_cmp(&a->v[i], &b->v[i]);
	return d;
}

/* Places in a log are another database's own matter. */
static bool same(const struct meta_table *t, const struct row *a, const struct row *b)
{
	for (unsigned i = 0; i < t->columns; i++)
		if (t->kinds[i] != 'p' && (a->v[i].type != b->v[i].type || value_cmp(&a->v[i], &b->v[i])))
			return false;
	return true;
}

/* ---- reading ---- */

static bool row_take(struct gh_arena *a, const struct meta_table *t, struct db_stmt *s, struct row *r)
{
	for (unsigned i = 0; i < t->columns; i++) {
		size_t len;
		const void *p;
		char *copy;

		r->v[i] = (struct db_value){ .type = DB_I64 };
		if (t->kinds[i] == 'i')
			r->v[i].i = db_i64(s, i);
		if (t->kinds[i] == 'i' || t->kinds[i] == 'p')
			continue;
		p = s->drv->get_bytes(s, i, &len);
		copy = gh_alloc(a, len + 1);
		if (!copy)
			return false;
		if (len)
			memcpy(copy, p, len);
		r->v[i] = (struct db_value){ .type = t->kinds[i] == 'b' ? DB_BLOB : DB_TEXT, .len = (uint32_t)len, .p = copy };
	}
	return true;
}

/* The tenant's rows behind that key. */
static enum gh_status page_read(struct shard_store *s, struct meta_call *c, const struct meta_table *t, uint64_t tenant,
				const struct row *after, struct page *ret)
{
	struct query q;
	enum gh_status st = query_open(&q, s, c);
	bool whole = true;

	*ret = (struct page){ .rows = gh_alloc_array(c->arena, PAGE, sizeof(struct row)), .last = true };
	if (st == GH_OK)
		st = ret->rows ? query_prepare(&q, t->page) : GH_NOMEM;
	if (st == GH_OK) {
		for (unsigned i = 0; i < t->keys; i++)
			s->drv->bind(q.stmt, i + 1, &after->v[i]);
		db_bind_u64(q.stmt, t->keys + 1, PAGE);
	}
	while (st == GH_OK && (st = s->drv->step(q.stmt)) == GH_OK && db_u64(q.stmt, 0) == tenant) {
		whole = row_take(c->arena, t, q.stmt, &ret->rows[ret->count++]);
		if (!whole)
			break;
		ret->last = ret->count < PAGE;
	}
	query_close(&q);
	if (!whole)
		return GH_NOMEM;
	return st == GH_END ? GH_OK : st;
}

/* ---- writing ---- */

struct mend {
	const struct meta_table *t;
	uint64_t tenant, epoch;
	const struct row **out, **in;
	unsigned out_count, in_count;
};

static enum gh_status send(struct db_conn *c, enum sql_id sql, const struct db_value *v, unsigned count, unsigned *sent)
{
	struct db_stmt *s;
	const enum gh_status st = c->drv->prepare(c, sql, &s);

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < count; i++)
		c->drv->bind(s, i + 1, &v[i]);
	return c->drv->run_later && ++*sent % AHEAD ? c->drv->run_later(s) : db_run(s);
}

static enum gh_status mend_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct mend *m = arg;
	unsigned sent = 0;
	enum gh_status st = move_is_coming_in(c, m->tenant, m->epoch);

	(void)now_us;
	for (unsigned i = 0; st == GH_OK && i < m->out_count; i++)
		st = send(c, m->t->drop, m->out[i]->v, m->t->keys, &sent);
	for (unsigned i = 0; st == GH_OK && i < m->in_count; i++)
		st = send(c, m->t->bring, m->in[i]->v, m->t->columns, &sent);
	return st;
}

/* ---- comparing ---- */

/* Up to the last key that both pages tell about. */
static const struct row *bound_of(const struct meta_table *t, const struct page *from, const struct page *to)
{
	const struct row *f = from->last ? NULL : &from->rows[from->count - 1], *o = to->last ? NULL : &to->rows[to->count - 1];

	if (!f || !o)
		return f ? f : o;
	return key_cmp(t, f, o) < 0 ? f : o;
}

static void compare(struct mend *m, const struct page *from, const struct page *to, const struct row *bound,
		    struct move_tally *tally)
{
	unsigned i = 0, k = 0;

	for (;;) {
		const struct row *f = i < from->count ? &from->rows[i] : NULL, *o = k < to->count ? &to->rows[k] : NULL;
		int d;

		if (f && bound && key_cmp(m->t, f, bound) > 0)
			f = NULL;
		if (o && bound && key_cmp(m->t, o, bound) > 0)
			o = NULL;
		if (!f && !o)
			return;
		d = !f ? 1 : !o ? -1 : key_cmp(m->t, f, o);
		tally->rows += f != NULL && d <= 0;
		if (d || !same(m->t, f, o)) {
			tally->differed++;
			if (d >= 0)
				m->out[m->out_count++] = o;
			if (d <= 0)
				m->in[m->in_count++] = f;
		}
		i += d <= 0;
		k += d >= 0;
	}
}

static enum gh_status table_mend(const struct move *m, struct meta_call *c, const struct meta_table *t, struct move_tally *tally)
{
	struct row at = { { { .type = DB_I64 } } };
	struct gh_arena *pages[2] = { gh_arena_new(ARENA), gh_arena_new(ARENA) };
	enum gh_status st = pages[0] && pages[1] ? GH_OK : GH_NOMEM;
	const struct row *bound = NULL;

	for (unsigned i = 0; i < t->keys; i++)
		at.v[i] = t->kinds[i] == 'b' ? (struct db_value){ .type = DB_BLOB, .p = "" } : V_I64(INT64_MIN);
	at.v[0] = V_I64(t->keys > 1 ? m->tenant : m->tenant - 1); /* behind it is the tenant's first row */
	for (unsigned turn = 0; st == GH_OK; turn ^= 1) { /* the last key stands in the arena before */
		struct meta_call call = *c;
		struct page from = { .last = true }, to;
		struct mend mend = { .t = t, .tenant = m->tenant, .epoch = m->epoch };

		call.arena = pages[turn];
		gh_arena_reset(call.arena);
		mend.out = gh_alloc_array(call.arena, 2 * PAGE, sizeof(*mend.out));
		mend.in = gh_alloc_array(call.arena, 2 * PAGE, sizeof(*mend.in));
		if (!mend.out || !mend.in)
			st = GH_NOMEM;
		if (st == GH_OK && m->from)
			st = page_read(m->from, &call, t, m->tenant, &at, &from);
		if (st == GH_OK)
			st = page_read(m->to, &call, t, m->tenant, &at, &to);
		if (st != GH_OK)
			break;
		bound = bound_of(t, &from, &to);
		compare(&mend, &from, &to, bound, tally);
		if (mend.out_count || mend.in_count)
			st = commit_job(m->to, &call, mend_run, &mend);
		if (st == GH_OK)
			st = m->alive ? m->alive(m->arg) : GH_OK;
		if (!bound)
			break;
		at = *bound;
	}
	gh_arena_free(&pages[0]);
	gh_arena_free(&pages[1]);
	return st;
}

enum gh_status move_mend(const struct move *m, struct meta_call *c, struct move_tally *ret)
{
	enum gh_status st = GH_OK;

	*ret = (struct move_tally){ .rows = 0 };
	for (unsigned i = 0; st == GH_OK && i < TABLE_COUNT; i++)
		if (meta_tables[i].scope == TABLE_TENANTS && i != TABLE_tenant)
			st = table_mend(m, c, &meta_tables[i], ret);
	return st;
}
