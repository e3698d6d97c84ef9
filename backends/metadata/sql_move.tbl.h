/* X(NAME, flags, "statement"), part of sql.tbl.h: a tenant goes to another shard (move.h). */

/* ---- a tenant's row in its shard ---- */
X(TENANT_STATE, SQL_TENANT, "SELECT state, route_epoch, hold_us, mover FROM tenant WHERE id = ?1")
X(TENANT_STATE_PUT, SQL_TENANT, "UPDATE tenant SET state = ?2, route_epoch = ?3, mover = ?4, hold_us = ?5 WHERE id = ?1")
/* One that is about to come. */
X(TENANT_COMING, SQL_GLOBAL,
  "INSERT INTO tenant (id, name, hosts, disabled, case_sensitive, root, trash, tree_gen, rights_epoch, route_epoch, mover, state)"
  " VALUES (" ARGS_11 ", 3)")
/* What its gateways have to themselves. */
X(LEASES_OF, SQL_TENANT, "SELECT id, holder, expires_us FROM lease WHERE kind = ?2 AND tenant = ?1 ORDER BY id LIMIT 1000")
X(TENANT_GONE, SQL_TENANT, "DELETE FROM tenant WHERE id = ?1 AND state = 3")

/* ---- what changes meanwhile ---- */
X(MOVING_PUT, SQL_STEP,
  "INSERT INTO moving (tenant, pos, op, told) SELECT ?1, gh_pos(), ?2, ?3 WHERE" EV
  " AND EXISTS (SELECT 1 FROM tenant t WHERE t.id = ?1 AND t.state = 1)")
X(MOVING_NOTE, SQL_TENANT, "INSERT INTO moving (tenant, pos, op, told) VALUES (?1, gh_pos(), ?2, ?3)")
/* What could not be seen in the snapshot ?2, whose oldest is ?3; behind (?4, ?5). */
X(MOVING_GET, SQL_TENANT,
  "SELECT e.pos, e.op, e.told FROM moving e WHERE e.tenant = ?1 AND NOT gh_seen(e.pos, ?2) AND e.pos >= ?3"
  " AND (e.pos, e.op) > (?4, ?5) ORDER BY e.pos, e.op LIMIT ?6")
X(MOVING_NEW, SQL_TENANT,
  "SELECT count(*) FROM moving e WHERE e.tenant = ?1 AND NOT gh_seen(e.pos, ?2) AND e.pos >= ?3")
X(EVENTS_NEW, SQL_TENANT,
  "SELECT count(*) FROM event e WHERE e.tenant = ?1 AND NOT gh_seen(e.pos, ?2) AND e.pos >= ?3")
X(MOVING_NTH, SQL_TENANT,
  "SELECT r.pos, r.op FROM (SELECT m.pos, m.op FROM moving m WHERE m.tenant = ?1 ORDER BY m.pos, m.op LIMIT ?2) r"
  " ORDER BY r.pos DESC, r.op DESC LIMIT 1")
X(MOVING_CLEAR, SQL_TENANT, "DELETE FROM moving WHERE tenant = ?1 AND (pos, op) <= (?2, ?3)")

/* ---- rows that were told, up to 16 names at a time (0: none), in any order, some twice ---- */
#define TOLD_TABLE_TOLD(name, key_text, text)                                                                              \
	X(TOLD_##name, SQL_TENANT, NAMED_##name("SELECT " text " FROM " #name " WHERE tenant = ?1 AND "))
#define TOLD_TABLE_WHOLE(name, key_text, text)
#define TOLD_TABLE_APART(name, key_text, text)
#define TOLD_TABLE_HOUSE(name, key_text, text)
#define TOLD_TABLE_HERE(name, key_text, text)
#define TABLE(name, scope, keys, key_text, columns, kinds, text) TOLD_##scope(name, key_text, text)
#include "backends/metadata/tables.tbl.h"
#undef TABLE
#undef TOLD_TABLE_TOLD
#undef TOLD_TABLE_WHOLE
#undef TOLD_TABLE_APART
#undef TOLD_TABLE_HOUSE
#undef TOLD_TABLE_HERE
