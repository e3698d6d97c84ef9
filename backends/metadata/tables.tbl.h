/* TABLE(name, scope, KEYS, "key columns", COLUMNS, "kinds", "all columns"): every table of the newest schema, for what moves
 * whole rows and does not ask what they mean (tables.h). A migration that makes a table or a column adds it here;
 * tests/unit/metadata/check_tables.c compares this with the schema that the migrations make.
 *
 * The key is the primary key and stands first. kinds: a letter for each column,
 *   i integer   b bytes   t text   p integer: a place in the log of this database, 0 where the row goes to another
 * scope:
 *   a tenant's: `tenant` (in table tenant itself: `id`) is the first column. A row of tenant 0 is the house's and stays in the
 *   house when a tenant moves. How the others come along with a tenant that is worked on meanwhile (move.h):
 *     TABLE_TOLD   row by row, those that a batch tells to have changed (told.h, sql_move.tbl.h)
 *     TABLE_WHOLE  all of the tenant's, where a batch tells that something in there has changed
 *     TABLE_APART  the tenant's own row: by the mover itself
 *   TABLE_HOUSE    the house's own
 *   TABLE_HERE     about this very database or the gateways that run on it: never carried to another
 */

TABLE(tenant, TABLE_APART, 1, "id", 13, "ibtiiiiiiiiii",
      "id, name, hosts, disabled, case_sensitive, root, trash, tree_gen, rights_epoch, route_epoch, state, hold_us, mover")
TABLE(node, TABLE_TOLD, 3, "tenant, parent, name_key", 17, "iibiibiiiiiiiiibi",
      "tenant, parent, name_key, id, type, name, owner, version, rev, size, made_us, mtime_us, has_props, parts, blob, loc, crc")
TABLE(version, TABLE_TOLD, 2, "tenant, id", 10, "iiiiiiiiii",
      "tenant, id, node, size, mtime_us, made_us, author, parts, blob, crc")
TABLE(part, TABLE_TOLD, 3, "tenant, version, seq", 6, "iiiiii", "tenant, version, seq, blob, start, len")
TABLE(blob, TABLE_TOLD, 2, "tenant, id", 11, "iiibiiiiiii",
      "tenant, id, backend, loc, size, crc, format, key_id, refs, dead_us, damaged")
TABLE(prop, TABLE_TOLD, 4, "tenant, node, ns, name", 6, "iibbtt", "tenant, node, ns, name, xml, lang")
TABLE(locks, TABLE_WHOLE, 2, "tenant, token", 14, "ibiiiitbtiiiit",
      "tenant, token, id, seq, node, user_id, user_name, path_key, path, exclusive, deep, expires_us, timeout_s, owner_xml")
TABLE(lock_seq, TABLE_WHOLE, 1, "tenant", 2, "ii", "tenant, last")
TABLE(acl_node, TABLE_WHOLE, 2, "tenant, node", 3, "iii", "tenant, node, inherit_off")
TABLE(ace, TABLE_WHOLE, 3, "tenant, node, seq", 7, "iiiiiii", "tenant, node, seq, who, who_id, deny, rights")
TABLE(account, TABLE_WHOLE, 2, "tenant, id", 8, "iibbiiit",
      "tenant, id, name, name_key, owner, disabled, gen, password_hash")
TABLE(team, TABLE_WHOLE, 2, "tenant, id", 3, "iib", "tenant, id, name")
TABLE(member, TABLE_WHOLE, 3, "tenant, team, account", 3, "iii", "tenant, team, account")
TABLE(token, TABLE_WHOLE, 2, "tenant, id", 8, "iiibtiii",
      "tenant, id, account, name, hash, scope, made_us, expires_us")
TABLE(event, TABLE_TOLD, 2, "tenant, op", 16, "iiiittttttiiiipt",
      "tenant, op, time_us, user_id, user_name, what, door, path, dest, request_id, node, bytes, files, late, pos, touched")
TABLE(usage_total, TABLE_WHOLE, 1, "tenant", 4, "iiii", "tenant, folded, bytes, files")
TABLE(usage_user, TABLE_WHOLE, 2, "tenant, user_id", 4, "iiii", "tenant, user_id, bytes, files")
TABLE(usage_change, TABLE_TOLD, 3, "tenant, user_id, op", 5, "iiiii", "tenant, user_id, op, bytes, files")
TABLE(usage_month, TABLE_WHOLE, 3, "tenant, user_id, month", 4, "iiii", "tenant, user_id, month, bytes")
TABLE(quota_lease, TABLE_WHOLE, 2, "tenant, id", 8, "iiiiiiii",
      "tenant, id, user_id, bytes, files, expires_us, sessions, transfers")
TABLE(setting, TABLE_HOUSE, 2, "kind, id", 6, "biiiit", "kind, id, tenant, user_id, rev, doc")
TABLE(feed, TABLE_HERE, 1, "tenant", 4, "iiii", "tenant, epoch, cut_pos, cut_op")
TABLE(gateway, TABLE_HERE, 1, "slot", 6, "ibitii", "slot, name, token, version, started_us, expires_us")
TABLE(moving, TABLE_HERE, 3, "tenant, pos, op", 4, "iiit", "tenant, pos, op, told")
TABLE(lease, TABLE_HERE, 3, "kind, tenant, id", 5, "biiii", "kind, tenant, id, holder, expires_us")
TABLE(shard, TABLE_HERE, 1, "id", 5, "ibtit", "id, name, conninfo, state, identity")
TABLE(route, TABLE_HERE, 1, "tenant", 12, "ibtiiiiiiiii",
      "tenant, name, hosts, disabled, case_sensitive, root, trash, shard, epoch, step, target, changed")
TABLE(route_clock, TABLE_HERE, 1, "id", 2, "ii", "id, value")
TABLE(shard_self, TABLE_HERE, 1, "id", 3, "ibt", "id, name, identity")
TABLE(schema_version, TABLE_HERE, 1, "version", 3, "iti", "version, name, applied_us")
