/* The PostgreSQL driver: readings of different callers that go out together. One Sync ends them all, so that to the server they
 * are one transaction, begun and ended once; each sees what is committed when its turn comes. */
#include "backends/metadata/pgsql.h"

static bool send_all(struct pg_conn *c, struct db_look **looks, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct pg_expected rows = { .kind = PG_EXPECT_ROWS, .how = PG_AS_IS, .member = i, .cmd = looks[i]->sql };
		struct db_stmt *s;

		if (pg_prepare(&c->base, looks[i]->sql, &s) != GH_OK ||
		    !pg_send(c, (struct pg_stmt *)s, looks[i]->values, looks[i]->count, 0, rows))
			return false;
	}
	return pg_send_sync(c);
}

static void take_row(struct pg_conn *c, struct db_look *look, PGresult *r)
{
	struct pg_stmt *s = c->stmts[look->sql];

	s->rows = r;
	s->row = 0;
	if (PQntuples(r) > 0)
		look->take(look, &s->base);
	s->rows = NULL;
}

static enum gh_status take_all(struct pg_conn *c, struct db_look **looks)
{
	enum gh_status first = GH_OK, st;
	struct pg_expected e;
	PGresult *r;

	while ((st = pg_next(c, &e, &r)) == GH_OK) {
		if (e.kind == PG_EXPECT_ROWS && PQresultStatus(r) == PGRES_TUPLES_OK)
			take_row(c, looks[e.member], r);
		else if (PQresultStatus(r) == PGRES_FATAL_ERROR && first == GH_OK && e.kind != PG_EXPECT_STALE)
			first = pg_fail(c, r, "looks");
		PQclear(r);
	}
	return st == GH_END ? first : st;
}

enum gh_status pg_looks(struct db_conn *base, struct db_look **looks, unsigned count)
{
	struct pg_conn *c = (struct pg_conn *)base;

	c->fresh = false;
	return send_all(c, looks, count) ? take_all(c, looks) : GH_DATABASE;
}
