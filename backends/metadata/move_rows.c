/* Makes a tenant's rows in one database the same as in another, table by table, page by page in the order of the keys: what is
 * there and not the same goes, what is missing comes. Runs beside writers. See move.h. Blocks; an administrator's thread.
 *
 * Written are pages, each a job that looks first whether the tenant is still about to come there, by this mover, so that one who
 * slept through the end of the move writes nothing any more. A row whose place is taken by an older one (a unique name of people's)
 * is left for the next pass.
 */
#include "backends/metadata/move_rows.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 250
#define JOB_ROWS 1000u
#define AHEAD 100 /* rows on their way before one is waited for */
#define ARENA (64u << 20)

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

bool page_add(struct gh_arena *a, const struct meta_table *t, struct db_stmt *s, struct page *p)
{
	struct row *r;

	p->rows = rows_more(a, p->rows, p->count, &p->cap, sizeof(*p->rows));
	if (!p->rows)
		return false;
	r = &p->rows[p->count++];
	for (unsigned i = 0; i < t->columns; i++) {
		size_t len;
		const void *b;
		char *copy;

		r->v[i] = (struct db_value){ .type = DB_I64 };
		if (t->kinds[i] == 'i')
			r->v[i].i = db_i64(s, i);
		if (t->kinds[i] == 'i' || t->kinds[i] == 'p')
			continue;
		b = s->drv->get_bytes(s, i, &len);
		copy = gh_alloc(a, len + 1);
		if (!copy)
			return false;
		if (len)
			memcpy(copy, b, len);
		r->v[i] = (struct db_value){ .type = t->kinds[i] == 'b' ? DB_BLOB : DB_TEXT, .len = (uint32_t)len, .p = copy };
	}
	return true;
}

static int by_key(const void *a, const void *b, void *table)
{
	return key_cmp(table, a, b);
}

void page_sort(const struct meta_table *t, struct page *p)
{
	unsigned kept = 0;

	if (p->count)
		qsort_r(p->rows, p->count, sizeof(*p->rows), by_key, (void *)t);
	for (unsigned i = 0; i < p->count; i++)
		if (!kept || key_cmp(t, &p->rows[i], &p->rows[kept - 1]))
			p->rows[kept++] = p->rows[i];
	p->count = kept;
}

/* The tenant's rows behind that key. */
static enum gh_status page_read(struct shard_store *s, struct meta_call *c, const struct meta_table *t, uint64_t tenant,
				const struct row *after, struct page *ret)
{
	struct query q;
	enum gh_status st = query_open(&q, s, c);
	bool whole = true;

	*ret = (struct page){ .last = true };
	if (st == GH_OK)
		st = query_prepare(&q, t->page);
	if (st == GH_OK) {
		for (unsigned i = 0; i < t->keys; i++)
			s->drv->bind(q.stmt, i + 1, &after->v[i]);
		db_bind_u64(q.stmt, t->keys + 1, PAGE);
	}
	while (st == GH_OK && (st = s->drv->step(q.stmt)) == GH_OK && db_u64(q.stmt, 0) == tenant) {
		whole = page_add(c->arena, t, q.stmt, ret);
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

/* A node has two names; the one that it had goes first. */
static enum gh_status bring(struct db_conn *c, const struct mend *k, const struct row *r, unsigned *sent)
{
	const struct db_value id[] = { r->v[0], r->v[NODE_ID] };
	enum gh_status st = GH_OK;

	if (k->told)
		st = send(c, k->t->drop, r->v, k->t->keys, sent);
	if (st == GH_OK && k->t == &meta_tables[TABLE_node])
		st = send(c, SQL_WALK_NODE, id, 2, sent);
	return st == GH_OK ? send(c, k->t->bring, r->v, k->t->columns, sent) : st;
}

static enum gh_status mend_run(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct mend *k = arg;
	unsigned sent = 0;
	enum gh_status st = move_is_coming_in(c, k->m);

	(void)now_us;
	for (unsigned i = k->out_at, n = 0; st == GH_OK && i < k->out_count && n < JOB_ROWS; i++, n++)
		st = send(c, k->t->drop, k->out[i]->v, k->t->keys, &sent);
	if (k->out_count - k->out_at < JOB_ROWS) /* all of those that go, and then what comes */
		for (unsigned i = k->in_at, n = k->out_count - k->out_at; st == GH_OK && i < k->in_count && n < JOB_ROWS; i++, n++)
			st = bring(c, k, k->in[i], &sent);
	return st;
}

enum gh_status mend_write(struct mend *k, struct meta_call *c)
{
	enum gh_status st = GH_OK;

	while (st == GH_OK && (k->out_at < k->out_count || k->in_at < k->in_count)) {
		unsigned left = JOB_ROWS, n = k->out_count - k->out_at;

		st = commit_job(k->m->to, c, mend_run, k);
		n = n < left ? n : left;
		k->out_at += n;
		left -= n;
		n = k->in_count - k->in_at;
		k->in_at += n < left ? n : left;
	}
	return st;
}

/* ---- comparing ---- */

enum gh_status mend_begin(struct mend *k, const struct move *m, const struct meta_table *t, struct gh_arena *a,
			  const struct page *from, const struct page *to)
{
	*k = (struct mend){ .m = m, .t = t };
	k->out = gh_alloc_array(a, to->count + 1u, sizeof(*k->out));
	k->in = gh_alloc_array(a, from->count + 1u, sizeof(*k->in));
	return k->out && k->in ? GH_OK : GH_NOMEM;
}

/* Up to the last key that both pages tell about. */
static const struct row *bound_of(const struct meta_table *t, const struct page *from, const struct page *to)
{
	const struct row *f = from->last ? NULL : &from->rows[from->count - 1], *o = to->last ? NULL : &to->rows[to->count - 1];

	if (!f || !o)
		return f ? f : o;
	return key_cmp(t, f, o) < 0 ? f : o;
}

static void count_file(const struct mend *k, const struct row *r, int sign, struct move_tally *tally)
{
	if (k->t != &meta_tables[TABLE_node] || r->v[NODE_TYPE].i != META_FILE)
		return;
	tally->files += sign;
	tally->bytes += sign * r->v[NODE_SIZE].i;
}

void mend_compare(struct mend *k, const struct page *from, const struct page *to, const struct row *bound,
		  struct move_tally *tally)
{
	unsigned i = 0, n = 0;

	tally->read += from->count + to->count;
	for (;;) {
		const struct row *f = i < from->count ? &from->rows[i] : NULL, *o = n < to->count ? &to->rows[n] : NULL;
		int d;

		if (f && bound && key_cmp(k->t, f, bound) > 0)
			f = NULL;
		if (o && bound && key_cmp(k->t, o, bound) > 0)
			o = NULL;
		if (!f && !o)
			return;
		d = !f ? 1 : !o ? -1 : key_cmp(k->t, f, o);
		tally->rows += f != NULL && d <= 0;
		if (d || !same(k->t, f, o)) {
			tally->differed++;
			if (d >= 0) {
				k->out[k->out_count++] = o;
				count_file(k, o, -1, tally);
			}
			if (d <= 0) {
				k->in[k->in_count++] = f;
				count_file(k, f, 1, tally);
			}
		}
		i += d <= 0;
		n += d >= 0;
	}
}

enum gh_status table_mend(const struct move *m, struct meta_call *c, const struct meta_table *t, struct move_tally *tally)
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
		struct mend k;

		call.arena = pages[turn];
		gh_arena_reset(call.arena);
		if (m->from)
			st = page_read(m->from, &call, t, m->tenant, &at, &from);
		if (st == GH_OK)
			st = page_read(m->to, &call, t, m->tenant, &at, &to);
		if (st == GH_OK)
			st = mend_begin(&k, m, t, call.arena, &from, &to);
		if (st != GH_OK)
			break;
		bound = bound_of(t, &from, &to);
		mend_compare(&k, &from, &to, bound, tally);
		st = mend_write(&k, &call);
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
		if (meta_tables[i].scope == TABLE_TOLD || meta_tables[i].scope == TABLE_WHOLE)
			st = table_mend(m, c, &meta_tables[i], ret);
	return st;
}
