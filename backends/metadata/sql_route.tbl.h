/* X(NAME, flags, "statement"), part of sql.tbl.h: which shards there are, which tenant is where (route*.c). Shards and routes are central's. */

/* ---- shards ---- */
X(SHARDS, SQL_GLOBAL | SQL_SCANS, "SELECT id, name, conninfo, state, identity FROM shard ORDER BY id")
X(SHARD_PUT, SQL_GLOBAL,
  "INSERT INTO shard (id, name, conninfo, state, identity) VALUES (?1, ?2, ?3, ?4, ?5)"
  " ON CONFLICT (id) DO UPDATE SET state = excluded.state")
X(SHARD_SELF, SQL_GLOBAL | SQL_SCANS, "SELECT id, name, identity FROM shard_self")
X(SHARD_SELF_PUT, SQL_GLOBAL,
  "INSERT INTO shard_self (id, name, identity) SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM shard_self s)")
/* How many tenants each shard has that is not central's own, and the number that central's has. */
X(SHARD_TENANTS, SQL_GLOBAL | SQL_SCANS,
  "SELECT r.shard, count(*) FROM route r WHERE r.shard <> 1 GROUP BY r.shard"
  " UNION ALL SELECT 1, count(*) FROM tenant t WHERE t.state < 3")
X(TENANTS_ANY, SQL_GLOBAL | SQL_SCANS, "SELECT count(*) FROM tenant")

/* ---- routes ---- */
X(ROUTE_CLOCK, SQL_GLOBAL, "SELECT value FROM route_clock WHERE id = 1")
X(ROUTE_TICK, SQL_GLOBAL, "UPDATE route_clock SET value = value + 1 WHERE id = 1")
X(ROUTES_SINCE, SQL_GLOBAL, "SELECT " ROUTE_COLS " FROM route WHERE changed > ?1 ORDER BY changed LIMIT ?2")
X(ROUTES, SQL_GLOBAL, "SELECT " ROUTE_COLS " FROM route WHERE tenant > ?1 ORDER BY tenant LIMIT ?2")
X(ROUTE_GET, SQL_GLOBAL, "SELECT " ROUTE_COLS " FROM route WHERE tenant = ?1")
X(ROUTE_BY_NAME, SQL_GLOBAL, "SELECT " ROUTE_COLS " FROM route WHERE name = ?1")
X(ROUTE_PUT, SQL_GLOBAL,
  "INSERT INTO route (tenant, name, hosts, disabled, case_sensitive, root, trash, shard, epoch, step, target, changed)"
  " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, c.value FROM route_clock c WHERE c.id = 1"
  " ON CONFLICT (tenant) DO UPDATE SET name = excluded.name, hosts = excluded.hosts, disabled = excluded.disabled,"
  " shard = excluded.shard, epoch = excluded.epoch, step = excluded.step, target = excluded.target, changed = excluded.changed")
X(ROUTE_DELETE, SQL_GLOBAL, "DELETE FROM route WHERE tenant = ?1")

/* ---- settings of a user who is gone, where the user was not in central's database ---- */
X(SETTINGS_FORGET, SQL_GLOBAL, "DELETE FROM setting WHERE tenant = ?1 AND user_id = ?2 AND tenant <> 0")
