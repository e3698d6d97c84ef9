/* The statements of the store, each written once (sql.tbl.h), for every driver.
 *
 * ?1..?N are placeholders: ?1 is the tenant, ?2 in a step the operation. No now(), sequences, RETURNING, arrays, JSON,
 * ILIKE or INSERT OR REPLACE; nothing is ordered or compared by a collation. Every statement begins with a comment that
 * names it, so that a slow-query log tells which it was. tests/unit/metadata/check_sql.c holds them to that.
 *
 * What no two databases say alike about the order of commits is written so, and nothing else (SQLite: functions of the
 * driver's; PostgreSQL: replaced, pgsql_wire.c):
 *   gh_pos()              the place of this transaction
 *   gh_horizon()          below it nothing can be committed any more
 *   gh_next_pos()         no transaction of this database has had that place, or a later one
 *   gh_history()          another number when a server goes on from what another had passed on to it (a standby, a restore)
 *   gh_which_log()        text: another one where what could be seen may have been taken back (whatever changes gh_history(),
 *                         a start of the server, tables that were made anew), or in another database
 *   gh_snapshot()         text: what can be seen now
 *   gh_seen(e.pos, ?2)    could it be seen in that gh_snapshot()?
 */
#ifndef GH_BACKENDS_METADATA_SQL_H
#define GH_BACKENDS_METADATA_SQL_H

enum sql_id {
#define X(name, flags, text) SQL_##name,
#include "backends/metadata/sql.tbl.h"
#undef X
	SQL_COUNT
};

enum {
	SQL_TENANT = 0,  /* about one tenant: has a tenant predicate on every table */
	SQL_GLOBAL = 1,  /* upkeep or fsck over all tenants */
	SQL_SCANS = 2,   /* reads a table from end to end, on purpose */
	SQL_STEP = 4,    /* a step of a batch: happens only if the batch's event row is there */
	SQL_SURE = 8,    /* ... and puts one row in wherever it is, so that it need not be counted */
};

struct sql_row {
	const char *name;
	unsigned flags;
	const char *text;
};
extern const struct sql_row sql_rows[SQL_COUNT];

#endif
