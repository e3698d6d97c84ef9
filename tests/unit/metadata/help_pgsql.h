/* For the metadata tests, when they run on PostgreSQL: a store in a schema of its own, in the database that
 * GATEHOUSE_TEST_POSTGRESQL names (check_pgsql sets it). */
#ifndef TESTS_UNIT_METADATA_HELP_PGSQL_H
#define TESTS_UNIT_METADATA_HELP_PGSQL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline const char *pg_conninfo(void)
{
	return getenv("GATEHOUSE_TEST_POSTGRESQL");
}

static inline void pg_no_notice(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

/* Runs sql past the store; what went wrong ends the test. Bytes are written as for SQLite, x'61'. */
static inline void pg_run(const char *conninfo, const char *sql)
{
	PGconn *h = PQconnectdb(conninfo);
	char text[1024];
	size_t n = 0;
	PGresult *r;

	for (const char *p = sql; *p && n + 4 < sizeof(text); p++) {
		bool bytes = p[0] == 'x' && p[1] == '\'';

		n += (size_t)snprintf(text + n, sizeof(text) - n, bytes ? "'\\x" : "%c", *p);
		p += bytes;
	}
	text[n] = '\0';
	PQsetNoticeProcessor(h, pg_no_notice, NULL);
	r = PQexec(h, text);
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
		fprintf(stderr, "%s: %s", sql, PQerrorMessage(h));
		abort();
	}
	PQclear(r);
	PQfinish(h);
}

/* An empty schema, and the conninfo that leads there. */
static inline void pg_schema_new(char *conninfo, size_t size)
{
	static unsigned number;
	char name[40], sql[160];

	snprintf(name, sizeof(name), "t%d_%u", (int)getpid(), number++);
	snprintf(sql, sizeof(sql), "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s", name, name);
	pg_run(pg_conninfo(), sql);
	snprintf(conninfo, size, "%s options='-c search_path=%s'", pg_conninfo(), name);
}

static inline void pg_schema_drop(const char *conninfo)
{
	pg_run(conninfo, "DO $$BEGIN EXECUTE 'DROP SCHEMA ' || current_schema() || ' CASCADE'; END$$");
}

#endif
