/* The PostgreSQL driver: migrations. Data definition is transactional there, so a migration that is cut off leaves nothing
 * behind, and the next start takes it up. */
#include "backends/metadata/pgsql.h"

#include "core/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the advisory locks: no hash of pgsql_batch.c can be below zero. */
#define SCHEMA_LOCK "-1195920708"
#define SCHEMA_WAIT_S 120 /* for another gateway that migrates, and for a migration that rewrites rows */

const struct db_word pg_words[] = {
	{ "{bigint}", "bigint" }, { "{blob}", "bytea" }, { "{text}", "text" }, { "{double}", "double precision" },
	{ "{keyed}", "" }, { "{plain}", "" }, { "{mark}", "" }, { "{pgsql}", "" },
	{ "{random}", "(random() * 4611686018427387904)::bigint + 1" }, { NULL, NULL },
};

/* What was put off has to be there first. */
static enum gh_status run_deferred(struct pg_conn *c)
{
	enum gh_status st = GH_OK;

	if (c->deferred_count && pg_send_deferred(c) && pg_send_sync(c))
		st = pg_drain(c, "schema");
	return c->lost ? GH_DATABASE : st;
}

static void say(struct pg_conn *c, const PGresult *r, char *err)
{
	char line[256];

	pg_one_line(line, sizeof(line), r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : PQerrorMessage(c->h));
	snprintf(err, DB_ERR_MAX, "metadata database %s: the schema could not be brought up to date: %s; it is as it was",
		 c->db->label, line);
}

enum gh_status pg_exec(struct db_conn *base, const char *sql, char *err)
{
	struct pg_conn *c = (struct pg_conn *)base;
	PGresult *r = NULL;
	enum gh_status st = run_deferred(c);

	if (st == GH_OK)
		st = pg_simple(c, sql, &r);
	if (st != GH_OK)
		say(c, r, err);
	PQclear(r);
	return st;
}

enum gh_status pg_lock_schema(struct db_conn *base, char *err)
{
	struct pg_conn *c = (struct pg_conn *)base;
	char sql[256];

	c->deadline_ns = gh_mono_ns() + 2 * SCHEMA_WAIT_S * GH_S_NS;
	snprintf(sql, sizeof(sql), "SET LOCAL lock_timeout = '%us'; SET LOCAL statement_timeout = '%us';"
		 " SELECT pg_advisory_xact_lock(" SCHEMA_LOCK ")", SCHEMA_WAIT_S, SCHEMA_WAIT_S);
	return pg_exec(base, sql, err);
}

enum gh_status pg_has_table(struct db_conn *base, const char *name, bool *ret)
{
	struct pg_conn *c = (struct pg_conn *)base;
	PGresult *r = NULL;
	char sql[256];
	enum gh_status st = run_deferred(c);

	snprintf(sql, sizeof(sql), "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = current_schema()%s%s%s LIMIT 1",
		 name ? " AND tablename = '" : "", name ? name : "", name ? "'" : "");
	if (st == GH_OK)
		st = pg_simple(c, sql, &r);
	if (st == GH_OK)
		*ret = PQntuples(r) > 0;
	PQclear(r);
	return st;
}

/* The planner takes an index on (tenant, parent, name) for as good with the middle column as without, as long as it thinks a
 * table nearly empty; and it thinks so until statistics were taken. Autovacuum does that, but up to a minute late, and in a
 * minute a folder can have been filled. So the first of them are ours: after 500 changed rows, 2,000, 8,000 ..., until the
 * table is large enough for any plan to be the right one. A plan that a connection keeps is made anew by itself then. */
#define YOUNG_ROWS 30000

void pg_young_tables(struct db *db)
{
	struct pg_conn *c = db->writer;
	PGresult *r = NULL;

	if (c->changed_total < db->analyze_next)
		return;
	db->analyze_next *= 4;
	if (pg_simple(c, "SELECT reltuples::bigint FROM pg_catalog.pg_class WHERE oid = 'node'::regclass", &r) == GH_OK) {
		if (strtoll(PQgetvalue(r, 0, 0), NULL, 10) >= YOUNG_ROWS)
			db->analyze_next = UINT64_MAX;
		else
			(void)pg_simple(c, "ANALYZE node, version, part, blob, event, prop, acl_node, ace", NULL); /* logged */
	}
	PQclear(r);
}

/* PostgreSQL looks after its own files (checksums, amcheck). What is asked about the rows takes its time. */
enum gh_status pg_check(struct db_conn *base, meta_finding_fn *fn, void *arg)
{
	struct pg_conn *c = (struct pg_conn *)base;

	(void)fn;
	(void)arg;
	c->patient = true;
	c->deadline_ns = 0;
	return GH_OK;
}
