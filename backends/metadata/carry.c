/* Takes everything from one database into another, empty one: every row of every table that tables.tbl.h does not leave
 * behind. Called by the command line alone, on its one thread, with both databases to itself.
 *
 * All or nothing: one snapshot is read, one transaction is written, and afterwards what was written is read again and compared
 * with what was read, row by row in the order of the keys. The source is opened for reading only.
 */
#include "backends/metadata/store.h"
#include "backends/metadata/tables.h"

#include "core/base/buf.h"
#include "core/base/hash.h"

#include <stdio.h>
#include <string.h>

#define PAGE 500
#define ROW_MAX (16u << 20) /* no column of ours comes near */
#define AHEAD 100	    /* rows on their way before one is waited for */

struct side {
	const struct db_driver *drv;
	struct db *db;
	struct db_conn *conn; /* a reader in a snapshot, or the writer */
	bool reads;
};

struct place { /* the last key that was seen */
	int64_t number[TABLE_KEYS_MAX];
	struct gh_buf bytes[TABLE_KEYS_MAX];
};

typedef enum gh_status row_fn(void *arg, const struct meta_table *t, struct db_stmt *row);

static const char *label(const struct side *s)
{
	return s->drv->label(s->db);
}

/* ---- reading ---- */

static void place_begin(struct place *p)
{
	for (unsigned i = 0; i < TABLE_KEYS_MAX; i++) {
		p->number[i] = INT64_MIN;
		gh_buf_init(&p->bytes[i], ROW_MAX);
	}
}

static void place_end(struct place *p)
{
	for (unsigned i = 0; i < TABLE_KEYS_MAX; i++)
		gh_buf_fini(&p->bytes[i]);
}

static bool place_set(struct place *p, const struct meta_table *t, struct db_stmt *row)
{
	bool whole = true;

	for (unsigned i = 0; i < t->keys; i++) {
		if (t->kinds[i] == 'b') {
			size_t len;
			const void *b = row->drv->get_bytes(row, i, &len);

			gh_buf_clear(&p->bytes[i]);
			gh_buf_add(&p->bytes[i], b, len);
			whole &= !p->bytes[i].failed;
		} else {
			p->number[i] = db_i64(row, i);
		}
	}
	return whole;
}

static void place_bind(const struct place *p, const struct meta_table *t, struct db_stmt *s)
{
	for (unsigned i = 0; i < t->keys; i++) {
		if (t->kinds[i] == 'b')
			db_bind_blob(s, i + 1, p->bytes[i].data, p->bytes[i].len);
		else
			db_bind_i64(s, i + 1, p->number[i]);
	}
	db_bind_i64(s, t->keys + 1, PAGE);
}

/* Calls fn for every row, in the order of the keys. */
static enum gh_status walk(const struct side *side, const struct meta_table *t, row_fn *fn, void *arg)
{
	struct place at;
	unsigned seen = PAGE;
	enum gh_status st = GH_OK;

	place_begin(&at);
	while (st == GH_OK && seen == PAGE) {
		struct db_stmt *s;

		seen = 0;
		st = side->drv->prepare(side->conn, t->page, &s);
		if (st != GH_OK)
			break;
		place_bind(&at, t, s);
		while ((st = side->drv->step(s)) == GH_OK) {
			seen++;
			st = fn(arg, t, s);
			if (st == GH_OK && seen == PAGE && !place_set(&at, t, s))
				st = GH_NOMEM;
			if (st != GH_OK)
				break;
		}
		side->drv->reset(s);
		st = st == GH_END ? GH_OK : st;
	}
	place_end(&at);
	return st;
}

/* ---- comparing ---- */

struct tally {
	uint64_t rows, sum;
	struct gh_buf row;
};

/* Places in a log are another database's own matter. */
static enum gh_status tally_row(void *arg, const struct meta_table *t, struct db_stmt *row)
{
	static const struct gh_sipkey key = { 1, 2 };
	struct tally *y = arg;

	gh_buf_clear(&y->row);
	gh_buf_add(&y->row, &y->sum, sizeof(y->sum));
	for (unsigned i = 0; i < t->columns; i++) {
		if (t->kinds[i] == 'i') {
			int64_t v = db_i64(row, i);

			gh_buf_add(&y->row, &v, sizeof(v));
		} else if (t->kinds[i] != 'p') {
			size_t len;
			const void *b = row->drv->get_bytes(row, i, &len);

			gh_buf_add(&y->row, &len, sizeof(len));
			gh_buf_add(&y->row, b, len);
		}
	}
	if (y->row.failed)
		return GH_NOMEM;
	y->sum = gh_siphash(&key, y->row.data, y->row.len);
	y->rows++;
	return GH_OK;
}

/* ---- writing ---- */

struct copy {
	struct side *to;
	struct db_stmt *insert;
	struct tally tally;
};

static enum gh_status copy_row(void *arg, const struct meta_table *t, struct db_stmt *row)
{
	struct copy *c = arg;
	enum gh_status st = tally_row(&c->tally, t, row);

	if (st == GH_OK)
		st = c->to->drv->prepare(c->to->conn, t->insert, &c->insert);
	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < t->columns; i++) {
		struct db_value v = { .type = DB_I64 };
		size_t len = 0;

		if (t->kinds[i] == 'i') {
			v.i = db_i64(row, i);
		} else if (t->kinds[i] != 'p') {
			v.type = t->kinds[i] == 'b' ? DB_BLOB : DB_TEXT;
			v.p = row->drv->get_bytes(row, i, &len);
			v.len = (uint32_t)len;
		}
		c->to->drv->bind(c->insert, i + 1, &v);
	}
	if (c->to->drv->run_later && c->tally.rows % AHEAD)
		return c->to->drv->run_later(c->insert);
	return db_run(c->insert);
}

static bool goes_along(const struct meta_table *t)
{
	return t->scope != TABLE_HERE;
}

/* What the migrations themselves put into a new database: the house's empty ledger. */
static enum gh_status is_seed(void *arg, const struct meta_table *t, struct db_stmt *row)
{
	(void)arg;
	return t == &meta_tables[TABLE_usage_total] && db_i64(row, 0) == 0 && db_i64(row, 1) == 0 ? GH_OK : GH_EXISTS;
}

static enum gh_status is_empty(struct side *to, char *err)
{
	for (unsigned i = 0; i < TABLE_COUNT; i++) {
		const struct meta_table *t = &meta_tables[i];
		enum gh_status st = goes_along(t) ? walk(to, t, is_seed, NULL) : GH_OK;

		if (st == GH_EXISTS)
			snprintf(err, DB_ERR_MAX, "%s is not empty: table %s has rows; nothing was changed; give an empty"
				 " database, or move the old one away", label(to), t->name);
		if (st != GH_OK)
			return st;
	}
	return GH_OK;
}

static enum gh_status clear(struct side *to, const struct meta_table *t)
{
	struct db_stmt *s;
	enum gh_status st = to->drv->prepare(to->conn, t->clear, &s);

	return st == GH_OK ? db_run(s) : st;
}

static enum gh_status copy_all(struct side *from, struct side *to, struct meta_carried *ret)
{
	struct copy c = { .to = to };
	enum gh_status st = GH_OK;

	gh_buf_init(&c.tally.row, ROW_MAX);
	for (unsigned i = 0; st == GH_OK && i < TABLE_COUNT; i++) {
		const struct meta_table *t = &meta_tables[i];

		if (!goes_along(t))
			continue;
		c.tally.rows = c.tally.sum = 0;
		st = clear(to, t);
		if (st == GH_OK)
			st = walk(from, t, copy_row, &c);
		ret[i] = (struct meta_carried){ t->name, c.tally.rows, c.tally.sum };
	}
	gh_buf_fini(&c.tally.row);
	return st;
}

static enum gh_status compare_all(struct side *to, const struct meta_carried *want, char *err)
{
	struct tally y = { 0 };
	enum gh_status st = GH_OK;

	gh_buf_init(&y.row, ROW_MAX);
	for (unsigned i = 0; st == GH_OK && i < TABLE_COUNT; i++) {
		const struct meta_table *t = &meta_tables[i];

		if (!goes_along(t))
			continue;
		y.rows = y.sum = 0;
		st = walk(to, t, tally_row, &y);
		if (st == GH_OK && (y.rows != want[i].rows || y.sum != want[i].sum)) {
			snprintf(err, DB_ERR_MAX, "%s: table %s is not what was carried there (%llu rows of %llu); throw that"
				 " database away and start again; the old one is as it was", label(to), t->name,
				 (unsigned long long)y.rows, (unsigned long long)want[i].rows);
			st = GH_DAMAGED;
		}
	}
	gh_buf_fini(&y.row);
	return st;
}

/* ---- the two sides ---- */

static void side_close(struct side *s)
{
	if (s->conn && s->reads) {
		s->drv->snapshot_end(s->conn);
		s->drv->reader_done(s->db, s->conn);
	}
	if (s->db)
		s->drv->close(&s->db);
}

static enum gh_status side_open(const struct meta_config *cfg, struct side *ret, char *err)
{
	struct db_conn *writer;
	enum gh_status st = driver_for(cfg, &ret->drv, err);

	ret->reads = cfg->read_only;
	if (st == GH_OK)
		st = ret->drv->open(cfg, &ret->db, err);
	if (st == GH_OK)
		st = ret->drv->writer(ret->db, &writer);
	if (st == GH_OK)
		st = migrate(writer, cfg->read_only, label(ret), err);
	if (st == GH_OK)
		st = ret->drv->start(ret->db, err);
	if (st == GH_OK && ret->reads)
		st = ret->drv->reader(ret->db, 0, &ret->conn);
	if (st == GH_OK && ret->reads)
		st = ret->drv->snapshot(ret->conn);
	if (!ret->reads)
		ret->conn = st == GH_OK ? writer : NULL;
	return st;
}

#define ROUTE_SHARD 7 /* columns of tables.tbl.h */
#define CENTRAL 1

static enum gh_status is_at_home(void *arg, const struct meta_table *t, struct db_stmt *row)
{
	(void)arg;
	return db_i64(row, t == &meta_tables[TABLE_route] ? ROUTE_SHARD : 0) == CENTRAL ? GH_OK : GH_EXISTS;
}

/* One database is carried: it has to have everything. */
static enum gh_status is_whole(const struct side *s, char *err)
{
	enum gh_status st = walk(s, &meta_tables[TABLE_shard_self], is_at_home, NULL);

	if (st == GH_EXISTS)
		snprintf(err, DB_ERR_MAX, "%s is a shard of another database; name that one", label(s));
	if (st == GH_OK) {
		st = walk(s, &meta_tables[TABLE_route], is_at_home, NULL);
		if (st == GH_EXISTS)
			snprintf(err, DB_ERR_MAX, "tenants of %s are on other shards; move them to shard main first", label(s));
	}
	return st;
}

/* A gateway that works on either would write past us, or read what is not its own. */
static enum gh_status is_quiet(struct side *s, char *err)
{
	const int64_t now_us = s->drv->now_us(s->conn);
	struct db_stmt *q;
	enum gh_status st = s->drv->prepare(s->conn, SQL_GATEWAYS, &q);

	if (st != GH_OK)
		return st;
	while ((st = s->drv->step(q)) == GH_OK && db_i64(q, 5) <= now_us)
		;
	if (st == GH_OK) {
		size_t len;
		const char *name = s->drv->get_bytes(q, 1, &len);

		snprintf(err, DB_ERR_MAX, "gateway %.*s works on %s (or has died less than a minute ago); stop it first",
			 (int)(len < 64 ? len : 64), name, label(s));
	}
	s->drv->reset(q);
	return st == GH_END ? GH_OK : st == GH_OK ? GH_BUSY : st;
}

static enum gh_status copy_in_one(struct side *from, struct side *to, struct meta_carried *ret, char *err)
{
	enum gh_status st = to->drv->begin(to->conn);

	if (st == GH_OK)
		st = to->drv->mark(to->conn); /* alone from here on */
	if (st == GH_OK)
		st = is_quiet(to, err);
	if (st == GH_OK)
		st = is_whole(to, err);
	if (st == GH_OK)
		st = is_empty(to, err);
	if (st == GH_OK)
		st = copy_all(from, to, ret);
	if (st == GH_OK)
		st = to->drv->mark_end(to->conn, true);
	if (st == GH_OK)
		st = to->drv->commit(to->conn);
	if (st != GH_OK)
		to->drv->rollback(to->conn);
	if (st != GH_OK && !err[0])
		snprintf(err, DB_ERR_MAX, "%s to %s: %s%s; %s is as it was", label(from), label(to), gh_status_text(st),
			 st == GH_NOSPACE ? ": make room there and start again" :
			 st == GH_UNKNOWN ? ": start again, which tells" : ", the log says more; start again", label(from));
	return st;
}

enum gh_status meta_carry(const struct meta_config *from_cfg, const struct meta_config *to_cfg, meta_carried_fn *fn, void *arg,
			  char *err)
{
	struct meta_carried carried[TABLE_COUNT] = { 0 };
	struct side from = { 0 }, to = { 0 };
	enum gh_status st;

	err[0] = '\0';
	st = side_open(from_cfg, &from, err);
	if (st == GH_OK)
		st = is_quiet(&from, err);
	if (st == GH_OK)
		st = is_whole(&from, err);
	if (st == GH_OK)
		st = side_open(to_cfg, &to, err);
	if (st == GH_OK)
		st = copy_in_one(&from, &to, carried, err);
	if (st == GH_OK)
		st = compare_all(&to, carried, err);
	if (st == GH_OK && to_cfg->conninfo) /* its planner knows nothing of the new rows yet */
		st = to.drv->exec(to.conn, "ANALYZE", err);
	for (unsigned i = 0; st == GH_OK && i < TABLE_COUNT; i++)
		if (carried[i].table)
			fn(arg, &carried[i]);
	if (st != GH_OK && !err[0])
		snprintf(err, DB_ERR_MAX, "the metadata cannot be carried over: %s", gh_status_text(st));
	side_close(&to);
	side_close(&from);
	return st;
}

enum gh_status meta_save(const struct meta_config *cfg, const char *path, char *err)
{
	const struct meta_config reading = { .path = cfg->path, .conninfo = cfg->conninfo, .read_only = true, .readers = 1 };
	struct side s = { 0 };
	enum gh_status st = driver_for(&reading, &s.drv, err);

	err[0] = '\0';
	if (st == GH_OK && !s.drv->save) {
		snprintf(err, DB_ERR_MAX, "metadata in PostgreSQL is saved with its own tools: gatehouse-backup(7)");
		return GH_UNSUPPORTED;
	}
	if (st == GH_OK)
		st = s.drv->open(&reading, &s.db, err);
	if (st == GH_OK)
		st = s.drv->writer(s.db, &s.conn);
	if (st == GH_OK)
		st = migrate(s.conn, true, label(&s), err);
	if (st == GH_OK)
		st = s.drv->save(s.conn, path, err);
	if (st != GH_OK && !err[0])
		snprintf(err, DB_ERR_MAX, "the metadata cannot be saved: %s", gh_status_text(st));
	side_close(&s);
	return st;
}
