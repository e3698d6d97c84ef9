/* Brings after what has changed in a tenant's old shard since the trail's end: reads what batches have told (told.h), and the
 * rows that they name, all as of one moment, and makes them the same in the new shard. How long that takes rests on how much has
 * changed, and not on how much there is. See move.h. Blocks; an administrator's thread.
 *
 * Each batch has an event as well, written by whatever release. Where there are more events than batches that told of one,
 * somebody writes who does not tell.
 */
#include "backends/metadata/move_rows.h"
#include "backends/metadata/told.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_ARENA (256u << 20) /* some millions */
#define ROWS_ARENA (64u << 20)
#define PAGE 1000u
#define WHOLE_PASSES 4u /* names of people's can have changed places */

struct names {
	uint64_t *of; /* usage_change: user and operation by turns */
	unsigned count, cap;
};

struct follow {
	const struct move *m;
	struct meta_call *c;
	struct query q; /* of the old shard, at that moment */
	struct gh_arena *names_arena, *rows;
	struct names of[TABLE_COUNT];
	bool whole[TABLE_COUNT];
	uint64_t events;
	struct move_tally *tally;
};

/* ---- what was told ---- */

static enum gh_status name_add(struct follow *f, enum table_id t, uint64_t id)
{
	struct names *n = &f->of[t];

	n->of = rows_more(f->names_arena, n->of, n->count, &n->cap, sizeof(*n->of));
	if (!n->of)
		return GH_NOMEM;
	n->of[n->count++] = id;
	return GH_OK;
}

static enum gh_status word_take(struct follow *f, const struct told *w, uint64_t op)
{
	enum gh_status st;

	switch (w->kind) {
	case '=':
		f->whole[w->table] = true;
		return GH_OK;
	case 'e':
		f->events++;
		return name_add(f, TABLE_event, op);
	case 'n':
		return name_add(f, TABLE_node, w->id);
	case 'v':
		st = name_add(f, TABLE_version, w->id);
		return st == GH_OK ? name_add(f, TABLE_part, w->id) : st;
	case 'b':
		return name_add(f, TABLE_blob, w->id);
	case 'p':
		return name_add(f, TABLE_prop, w->id);
	case 'o':
		st = name_add(f, TABLE_usage_change, w->id);
		return st == GH_OK ? name_add(f, TABLE_usage_change, op) : st;
	}
	return GH_DAMAGED;
}

static enum gh_status row_words(struct follow *f)
{
	const uint64_t op = db_u64(f->q.stmt, 1);
	const char *at = row_str(f->rows, f->q.stmt, 2, NULL);
	struct told w;
	enum gh_status st = at ? GH_OK : GH_NOMEM;

	f->tally->told++;
	while (st == GH_OK && (st = told_next(&at, &w)) == GH_OK)
		st = word_take(f, &w, op);
	return st == GH_END ? GH_OK : st;
}

static uint64_t oldest_of(const struct move_trail *t)
{
	return strtoull(t->seen, NULL, 10);
}

static void bind_trail(struct db_stmt *s, uint64_t tenant, const struct move_trail *t)
{
	const struct db_value seen = { .type = DB_TEXT, .len = (uint32_t)strlen(t->seen), .p = t->seen };

	db_bind_u64(s, 1, tenant);
	s->drv->bind(s, 2, &seen);
	db_bind_u64(s, 3, oldest_of(t));
}

static enum gh_status told_page(struct follow *f, const struct move_trail *trail, uint64_t at[2], unsigned *ret_count)
{
	enum gh_status st = query_prepare(&f->q, SQL_MOVING_GET);

	*ret_count = 0;
	if (st != GH_OK)
		return st;
	bind_trail(f->q.stmt, f->m->tenant, trail);
	db_bind_u64(f->q.stmt, 4, at[0]);
	db_bind_u64(f->q.stmt, 5, at[1]);
	db_bind_u64(f->q.stmt, 6, PAGE);
	while (st == GH_OK && (st = f->m->from->drv->step(f->q.stmt)) == GH_OK) {
		at[0] = db_u64(f->q.stmt, 0);
		at[1] = db_u64(f->q.stmt, 1);
		++*ret_count;
		st = row_words(f);
	}
	gh_arena_reset(f->rows);
	return st == GH_END ? GH_OK : st;
}

static enum gh_status count_new(struct db_conn *c, enum sql_id sql, uint64_t tenant, const struct move_trail *trail, uint64_t *ret)
{
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, sql, &s);

	if (st != GH_OK)
		return st;
	bind_trail(s, tenant, trail);
	st = c->drv->step(s);
	if (st == GH_OK)
		*ret = db_u64(s, 0);
	c->drv->reset(s);
	return st;
}

static enum gh_status told_read(struct follow *f, const struct move_trail *trail)
{
	uint64_t at[2] = { 0, 0 }, events = 0;
	unsigned count = PAGE;
	enum gh_status st = GH_OK;

	while (st == GH_OK && count == PAGE)
		st = told_page(f, trail, at, &count);
	if (st == GH_OK)
		st = count_new(f->q.conn, SQL_EVENTS_NEW, f->m->tenant, trail, &events);
	return st == GH_OK && events != f->events ? GH_CONFLICT : st;
}

/* ---- the rows ---- */

static int by_number(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void names_sort(struct names *n)
{
	unsigned kept = 0;

	if (n->count)
		qsort(n->of, n->count, sizeof(*n->of), by_number);
	for (unsigned i = 0; i < n->count; i++)
		if (!kept || n->of[i] != n->of[kept - 1])
			n->of[kept++] = n->of[i];
	n->count = kept;
}

static enum gh_status named_read(struct query *q, struct gh_arena *a, const struct meta_table *t, uint64_t tenant,
				 const uint64_t *names, unsigned count, struct page *ret)
{
	enum gh_status st = query_prepare(q, t->told);

	*ret = (struct page){ .last = true };
	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, tenant);
	for (unsigned i = 0; i < TOLD_NAMES; i++)
		db_bind_u64(q->stmt, i + 2, i < count ? names[i] : 0);
	while ((st = q->m->drv->step(q->stmt)) == GH_OK)
		if (!page_add(a, t, q->stmt, ret))
			return GH_NOMEM;
	page_sort(t, ret);
	return st == GH_END ? GH_OK : st;
}

/* only_out: what comes waits until all that goes has gone. */
static enum gh_status some(struct follow *f, const struct meta_table *t, const uint64_t *names, unsigned count, bool only_out)
{
	struct meta_call call = *f->c;
	struct page from, to;
	struct query there;
	struct mend k;
	enum gh_status st;

	gh_arena_reset(f->rows);
	call.arena = f->rows;
	st = named_read(&f->q, f->rows, t, f->m->tenant, names, count, &from);
	if (st != GH_OK)
		return st;
	st = query_open(&there, f->m->to, &call);
	if (st == GH_OK)
		st = named_read(&there, f->rows, t, f->m->tenant, names, count, &to);
	query_close(&there);
	if (st == GH_OK)
		st = mend_begin(&k, f->m, t, f->rows, &from, &to);
	if (st != GH_OK)
		return st;
	mend_compare(&k, &from, &to, NULL, f->tally);
	k.told = true;
	if (only_out) {
		/* those that come are counted when they do */
		for (unsigned i = 0; i < k.in_count; i++)
			if (k.in[i]->v[NODE_TYPE].i == META_FILE) {
				f->tally->files--;
				f->tally->bytes -= k.in[i]->v[NODE_SIZE].i;
			}
		k.in_count = 0;
	}
	st = mend_write(&k, &call);
	return st == GH_OK && f->m->alive ? f->m->alive(f->m->arg) : st;
}

static enum gh_status table_follow(struct follow *f, enum table_id id)
{
	const struct meta_table *t = &meta_tables[id];
	struct names *n = &f->of[id];
	enum gh_status st = GH_OK;
	unsigned passes;

	if (id != TABLE_usage_change)
		names_sort(n);
	passes = id == TABLE_node && n->count > TOLD_NAMES ? 2 : 1; /* they can have changed places */
	for (unsigned pass = 0; pass < passes; pass++)
		for (unsigned i = 0; st == GH_OK && i < n->count; i += TOLD_NAMES)
			st = some(f, t, n->of + i, n->count - i < TOLD_NAMES ? n->count - i : TOLD_NAMES, pass + 1 < passes);
	return st;
}

static enum gh_status whole_follow(struct follow *f, const struct meta_table *t)
{
	struct move_tally pass = { .differed = 1 };
	enum gh_status st = GH_OK;

	for (unsigned i = 0; st == GH_OK && pass.differed && i < WHOLE_PASSES; i++) {
		pass = (struct move_tally){ 0 };
		st = table_mend(f->m, f->c, t, &pass);
		f->tally->rows += pass.rows;
		f->tally->read += pass.read;
		f->tally->differed += pass.differed;
	}
	return st;
}

static enum gh_status rows_follow(struct follow *f)
{
	enum gh_status st = GH_OK;

	for (unsigned i = 0; st == GH_OK && i < TABLE_COUNT; i++)
		if (f->whole[i])
			st = whole_follow(f, &meta_tables[i]);
		else if (f->of[i].count)
			st = table_follow(f, (enum table_id)i);
	return st;
}

/* ---- the trail ---- */

enum gh_status move_trail_begin(const struct move *m, struct meta_call *c, struct move_trail *ret)
{
	struct query q;
	enum gh_status st = query_open(&q, m->from, c);

	if (st == GH_OK)
		st = query_stream_now(&q, ret->seen);
	query_close(&q);
	return st;
}

enum gh_status move_follow(const struct move *m, struct meta_call *c, struct move_trail *trail, struct move_tally *tally)
{
	struct follow f = { .m = m, .c = c, .tally = tally };
	struct move_trail now;
	enum gh_status st = GH_NOMEM;

	f.names_arena = gh_arena_new(NAMES_ARENA);
	f.rows = gh_arena_new(ROWS_ARENA);
	if (f.names_arena && f.rows)
		st = query_open(&f.q, m->from, c);
	if (st == GH_OK)
		st = query_snapshot(&f.q);
	if (st == GH_OK)
		st = query_stream_now(&f.q, now.seen);
	if (st == GH_OK)
		st = told_read(&f, trail);
	if (st == GH_OK)
		st = rows_follow(&f);
	query_close(&f.q);
	if (st == GH_OK)
		*trail = now;
	gh_arena_free(&f.names_arena);
	gh_arena_free(&f.rows);
	return st;
}

enum gh_status move_is_all(struct db_conn *c, uint64_t tenant, const struct move_trail *trail)
{
	static const enum sql_id both[] = { SQL_MOVING_NEW, SQL_EVENTS_NEW };
	enum gh_status st = GH_OK;

	for (unsigned i = 0; st == GH_OK && i < 2; i++) {
		uint64_t count = 0;

		st = count_new(c, both[i], tenant, trail, &count);
		if (st == GH_OK && count)
			st = GH_STALE;
	}
	return st;
}

/* ---- when it is over ---- */

struct clear {
	uint64_t tenant;
	bool left;
};

static enum gh_status clear_run(struct db_conn *c, void *arg, int64_t now_us)
{
	struct clear *k = arg;
	struct db_value v[3] = { V_I64(k->tenant), V_I64(PAGE) };
	struct db_stmt *s;
	enum gh_status st = c->drv->prepare(c, SQL_MOVING_NTH, &s);

	(void)now_us;
	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, k->tenant);
	db_bind_u64(s, 2, PAGE);
	st = c->drv->step(s);
	k->left = st == GH_OK;
	if (k->left) {
		v[1] = V_I64(db_u64(s, 0));
		v[2] = V_I64(db_u64(s, 1));
	}
	c->drv->reset(s);
	return st == GH_OK ? job_statement(c, SQL_MOVING_CLEAR, v, 3) : st == GH_END ? GH_OK : st;
}

enum gh_status move_told_clear(struct shard_store *s, struct meta_call *c, uint64_t tenant)
{
	struct clear k = { .tenant = tenant, .left = true };
	enum gh_status st = GH_OK;

	while (st == GH_OK && k.left)
		st = commit_job(s, c, clear_run, &k);
	return st;
}
