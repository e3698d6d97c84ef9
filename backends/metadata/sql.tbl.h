/* X(NAME, flags, "statement"): every statement of the store. See sql.h for the rules, sql_parts.h for the shared pieces.
 * Top to bottom: reading, the batch's event and its guards, steps, upkeep, checking. */


/* ---- reading: the tree ---- */
X(RESOLVE_1, SQL_TENANT, RESOLVE(RC1, ""))
X(RESOLVE_2, SQL_TENANT, RESOLVE(RC2, RJ2))
X(RESOLVE_3, SQL_TENANT, RESOLVE(RC3, RJ3))
X(RESOLVE_4, SQL_TENANT, RESOLVE(RC4, RJ4))
X(RESOLVE_5, SQL_TENANT, RESOLVE(RC5, RJ5))
X(RESOLVE_6, SQL_TENANT, RESOLVE(RC6, RJ6))
X(RESOLVE_7, SQL_TENANT, RESOLVE(RC7, RJ7))
X(RESOLVE_8, SQL_TENANT, RESOLVE(RC8, RJ8))
X(RESOLVE_9, SQL_TENANT, RESOLVE(RC9, RJ9))
X(RESOLVE_10, SQL_TENANT, RESOLVE(RC10, RJ10))
X(RESOLVE_11, SQL_TENANT, RESOLVE(RC11, RJ11))
X(RESOLVE_12, SQL_TENANT, RESOLVE(RC12, RJ12))
X(RESOLVE_13, SQL_TENANT, RESOLVE(RC13, RJ13))
X(RESOLVE_14, SQL_TENANT, RESOLVE(RC14, RJ14))
X(RESOLVE_15, SQL_TENANT, RESOLVE(RC15, RJ15))
X(RESOLVE_16, SQL_TENANT, RESOLVE(RC16, RJ16))
X(NODE_GET, SQL_TENANT, "SELECT " NODE_COLS("n") " FROM node n WHERE n.tenant = ?1 AND n.id = ?2")
X(NODE_LIST, SQL_TENANT,
  "SELECT " NODE_COLS("n") " FROM node n WHERE n.tenant = ?1 AND n.parent = ?2 AND n.name_key > ?3"
  " ORDER BY n.name_key LIMIT ?4")
X(PARTS_GET, SQL_TENANT,
  "SELECT p.blob, b.size, p.start, p.len, b.loc FROM part p JOIN blob b ON b.tenant = ?1 AND b.id = p.blob"
  " WHERE p.tenant = ?1 AND p.version = ?2 ORDER BY p.seq")
X(PROPS_GET, SQL_TENANT,
  "SELECT node, ns, name, xml, lang FROM prop WHERE tenant = ?1 AND node = ?2 ORDER BY ns, name")
X(PROPS_OF_CHILDREN, SQL_TENANT,
  "SELECT p.node, p.ns, p.name, p.xml, p.lang FROM node n JOIN prop p ON p.tenant = ?1 AND p.node = n.id"
  " WHERE n.tenant = ?1 AND n.parent = ?2 AND n.name_key > ?3 AND n.name_key <= ?4 AND n.has_props = 1"
  " ORDER BY p.node, p.ns, p.name")
/* Each with the highest number that was ever given; of a tenant that had locks and has none, that alone. */
X(LOCKS_GET, SQL_TENANT,
  "SELECT l.id, l.token, l.node, l.user_id, l.user_name, l.path_key, l.path, l.exclusive, l.deep, l.expires_us, l.timeout_s,"
  " l.owner_xml, s.last FROM lock_seq s LEFT JOIN locks l ON l.tenant = ?1 AND l.expires_us > ?2 WHERE s.tenant = ?1"
  " ORDER BY l.path_key, l.seq LIMIT ?3")

/* ---- reading: people and rights ---- */
X(TENANTS, SQL_GLOBAL, "SELECT " TENANT_COLS " FROM tenant WHERE id > ?1 AND state < 3 ORDER BY id LIMIT ?2")
X(TENANT_BY_NAME, SQL_GLOBAL, "SELECT " TENANT_COLS " FROM tenant WHERE name = ?1 AND state < 3")
X(RIGHTS_MARK, SQL_GLOBAL,
  "SELECT t.rights_epoch, t.tree_gen, gh_history(), coalesce((SELECT f.epoch FROM feed f WHERE f.tenant = 0), 0),"
  " coalesce((SELECT f.epoch FROM feed f WHERE f.tenant = ?1), 0) FROM tenant t WHERE t.id = ?1")
X(TENANT_EPOCHS, SQL_TENANT, "SELECT rights_epoch, tree_gen, root FROM tenant WHERE id = ?1")
/* Nodes with entries and all that is above them. */
X(ACL_NODES, SQL_TENANT,
  "WITH RECURSIVE up(id) AS (SELECT node FROM acl_node WHERE tenant = ?1"
  " UNION SELECT n.parent FROM up JOIN node n ON n.tenant = ?1 AND n.id = up.id WHERE n.parent <> 0)"
  " SELECT n.id, n.parent, n.name_key, n.name, coalesce(a.inherit_off, 0) FROM up"
  " JOIN node n ON n.tenant = ?1 AND n.id = up.id LEFT JOIN acl_node a ON a.tenant = ?1 AND a.node = up.id"
  " ORDER BY n.id")
X(ACES, SQL_TENANT, "SELECT node, who, who_id, deny, rights FROM ace WHERE tenant = ?1 ORDER BY node, seq")
X(ACCOUNTS_ALL, SQL_TENANT, "SELECT " ACCOUNT_COLS " FROM account WHERE tenant = ?1 ORDER BY id")
X(MEMBERS_ALL, SQL_TENANT, "SELECT account, team FROM member WHERE tenant = ?1 ORDER BY account, team")
X(ACCOUNT_BY_NAME, SQL_TENANT, "SELECT " ACCOUNT_COLS " FROM account WHERE tenant = ?1 AND name_key = ?2")
X(ACCOUNTS_LIST, SQL_TENANT,
  "SELECT " ACCOUNT_COLS " FROM account WHERE tenant = ?1 AND name_key > ?2 ORDER BY name_key LIMIT ?3")
X(TEAMS_OF_ACCOUNT, SQL_TENANT, "SELECT team FROM member WHERE tenant = ?1 AND account = ?2 ORDER BY team")
X(TEAMS_OF_NAME, SQL_TENANT,
  "SELECT m.team FROM account a JOIN member m ON m.tenant = ?1 AND m.account = a.id"
  " WHERE a.tenant = ?1 AND a.name_key = ?2 ORDER BY m.team")
X(TEAMS_LIST, SQL_TENANT, "SELECT id, name FROM team WHERE tenant = ?1 ORDER BY name")
X(ACCOUNTS_OF_TEAM, SQL_TENANT, "SELECT account FROM member WHERE tenant = ?1 AND team = ?2 ORDER BY account")
X(TOKENS_LIST, SQL_TENANT,
  "SELECT id, account, name, hash, scope, made_us, expires_us FROM token WHERE tenant = ?1 AND account = ?2"
  " ORDER BY name")

/* ---- reading: the house's settings ---- */
X(SETTINGS_LIST, SQL_GLOBAL,
  "SELECT id, tenant, user_id, rev, doc FROM setting WHERE kind = ?1 AND id > ?2 ORDER BY id LIMIT ?3")

/* ---- reading: events and the ledger ---- */
X(EVENT_TIME, SQL_TENANT, "SELECT time_us FROM event WHERE tenant = ?1 AND op = ?2")
X(EVENT_OPS, SQL_TENANT, "SELECT op FROM event WHERE tenant = ?1 AND op > ?2 AND op < ?3 ORDER BY op LIMIT ?4")
X(EVENTS_GET, SQL_TENANT,
  "SELECT " EVENT_COLS " FROM event e WHERE e.tenant = ?1 AND e.op > ?2 ORDER BY e.op LIMIT ?3")
/* In the order of commits. Words that begin with gh_ are the driver's (sql.h). */
X(FEED_GET, SQL_TENANT,
  "SELECT " EVENT_COLS " FROM event e WHERE e.tenant = ?1 AND (e.pos, e.op) > (?2, ?3) AND e.pos < gh_horizon()"
  " ORDER BY e.pos, e.op LIMIT ?4")
X(FEED_NEWEST, SQL_TENANT,
  "SELECT e.pos, e.op FROM event e WHERE e.tenant = ?1 AND e.pos < gh_horizon() ORDER BY e.pos DESC, e.op DESC LIMIT 1")
X(FEED_ROWS, SQL_GLOBAL, "SELECT f.tenant, f.epoch, f.cut_pos, f.cut_op FROM feed f WHERE f.tenant = ?1 OR f.tenant = 0")
X(STREAM_NOW, SQL_GLOBAL, "SELECT gh_snapshot()")
X(STREAM_LOG, SQL_GLOBAL, "SELECT gh_snapshot(), gh_which_log(), coalesce((SELECT f.epoch FROM feed f WHERE f.tenant = 0), 0)")
X(STREAM_GET, SQL_GLOBAL | SQL_SCANS,
  "SELECT " EVENT_COLS " FROM event e WHERE e.pos >= ?1 AND NOT gh_seen(e.pos, ?2) AND (e.pos, e.op) > (?3, ?4)"
  " ORDER BY e.pos, e.op LIMIT ?5")
/* Backwards, what names a name. */
X(STREAM_BACK, SQL_GLOBAL | SQL_SCANS,
  "SELECT e.tenant, e.pos, e.op, e.touched FROM event e WHERE (e.pos, e.op) < (?1, ?2) ORDER BY e.pos DESC, e.op DESC"
  " LIMIT ?3")
X(FEED_CUTS, SQL_GLOBAL | SQL_SCANS, "SELECT coalesce(max(f.cut_pos), 0) FROM feed f")
X(POS_LAST, SQL_GLOBAL | SQL_SCANS,
  "SELECT coalesce(max(i.m), 0) FROM (" ID_OF("event", "pos") " UNION ALL SELECT max(e.pos) AS m FROM event e"
  " WHERE e.tenant = 0 UNION ALL SELECT f.cut_pos AS m FROM feed f) i")
X(USAGE_FOLDED, SQL_TENANT, "SELECT bytes, files FROM usage_total WHERE tenant = ?1")
X(USAGE_SINCE, SQL_TENANT,
  "SELECT CAST(coalesce(sum(bytes), 0) AS bigint), CAST(coalesce(sum(files), 0) AS bigint) FROM event"
  " WHERE tenant = ?1 AND op > coalesce((SELECT u.folded FROM usage_total u WHERE u.tenant = ?1), 0)")
X(USAGE_LATE, SQL_TENANT,
  "SELECT CAST(coalesce(sum(bytes), 0) AS bigint), CAST(coalesce(sum(files), 0) AS bigint) FROM event"
  " WHERE tenant = ?1 AND late = 1 AND op <= coalesce((SELECT u.folded FROM usage_total u WHERE u.tenant = ?1), 0)")

/* ---- reading: quotas (also by the writer, for a lease) ---- */
X(USAGE_USER, SQL_TENANT, "SELECT bytes, files FROM usage_user WHERE tenant = ?1 AND user_id = ?2")
X(USAGE_USER_SINCE, SQL_TENANT,
  "SELECT CAST(coalesce(sum(bytes), 0) AS bigint), CAST(coalesce(sum(files), 0) AS bigint) FROM usage_change"
  " WHERE tenant = ?1 AND user_id = ?2")
X(USAGE_MONTH, SQL_TENANT, "SELECT bytes, 0 FROM usage_month WHERE tenant = ?1 AND user_id = ?2 AND month = ?3")
X(QUOTA_OTHERS, SQL_TENANT,
  "SELECT CAST(coalesce(sum(bytes), 0) AS bigint), CAST(coalesce(sum(files), 0) AS bigint),"
  " CAST(coalesce(sum(sessions), 0) AS bigint), CAST(coalesce(sum(transfers), 0) AS bigint), count(*) FROM quota_lease"
  " WHERE tenant = ?1 AND user_id = ?2 AND id <> ?3 AND expires_us > ?4")

/* ---- the event of a batch, with its guards ---- */
X(EVENT_0, SQL_STEP, EVENT_INSERT(""))
X(EVENT_1, SQL_STEP, EVENT_INSERT(SLOT1))
X(EVENT_2, SQL_STEP, EVENT_INSERT(SLOT2))
X(EVENT_3, SQL_STEP, EVENT_INSERT(SLOT3))
X(EVENT_4, SQL_STEP, EVENT_INSERT(SLOT4))

/* ---- steps: the tree ---- */
X(NODE_INSERT, SQL_STEP | SQL_SURE,
  "INSERT INTO node (tenant, parent, name_key, id, type, name, owner, version, rev, size, made_us, mtime_us, has_props,"
  " parts, blob, loc, crc) SELECT ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18"
  " WHERE" EV)
X(NODE_CONTENT, SQL_STEP,
  "UPDATE node SET version = ?4, size = ?5, mtime_us = ?6, parts = ?7, blob = ?8, loc = ?9, crc = ?10, rev = rev + 1"
  " WHERE tenant = ?1 AND id = ?3 AND type = 1 AND" EV)
X(NODE_PLACE, SQL_STEP,
  "UPDATE node SET parent = ?4, name = ?5, name_key = ?6, rev = rev + 1"
  " WHERE tenant = ?1 AND id = ?3 AND id <> ?4 AND parent <> 0 AND" EV " AND" PARENT_IS_FOLDER("4"))
X(NODE_TOUCH, SQL_STEP,
  "UPDATE node SET mtime_us = CASE WHEN ?4 = 0 THEN mtime_us ELSE ?4 END, rev = rev + 1"
  " WHERE tenant = ?1 AND id = ?3 AND" EV)
X(NODE_DELETE, SQL_STEP,
  "DELETE FROM node WHERE tenant = ?1 AND id = ?3 AND parent <> 0 AND" EV
  " AND NOT EXISTS (SELECT 1 FROM node c WHERE c.tenant = ?1 AND c.parent = ?3)")
X(VERSION_INSERT, SQL_STEP | SQL_SURE,
  "INSERT INTO version (tenant, id, node, size, mtime_us, made_us, author, parts, blob, crc)"
  " SELECT ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE" EV)
X(VERSION_DELETE, SQL_STEP, "DELETE FROM version WHERE tenant = ?1 AND id = ?3 AND node = ?4 AND" EV)
X(VERSION_GIVE, SQL_STEP, "UPDATE version SET node = ?3 WHERE tenant = ?1 AND node = ?4 AND" EV)
X(PART_INSERT, SQL_STEP | SQL_SURE,
  "INSERT INTO part (tenant, version, seq, blob, start, len) SELECT ?1, ?3, ?4, ?5, ?6, ?7 WHERE" EV)
X(PARTS_DELETE, SQL_STEP, "DELETE FROM part WHERE tenant = ?1 AND version = ?3 AND" EV)
X(BLOB_INSERT, SQL_STEP | SQL_SURE,
  "INSERT INTO blob (tenant, id, backend, loc, size, crc, format, key_id, refs, dead_us, damaged)"
  " SELECT ?1, ?3, 0, ?4, ?5, ?6, 0, 0, 1, 0, 0 WHERE" EV)
X(BLOB_REF, SQL_STEP, "UPDATE blob SET refs = refs + 1 WHERE tenant = ?1 AND id = ?3 AND refs > 0 AND" EV)
X(BLOB_UNREF, SQL_STEP,
  "UPDATE blob SET refs = refs - 1, dead_us = CASE WHEN refs = 1 THEN ?4 ELSE 0 END"
  " WHERE tenant = ?1 AND id = ?3 AND refs > 0 AND" EV)
X(PROP_SET, SQL_STEP,
  "INSERT INTO prop (tenant, node, ns, name, xml, lang) SELECT ?1, ?3, ?4, ?5, ?6, ?7 WHERE" EV
  " ON CONFLICT (tenant, node, ns, name) DO UPDATE SET xml = excluded.xml, lang = excluded.lang")
X(PROP_REMOVE, SQL_STEP, "DELETE FROM prop WHERE tenant = ?1 AND node = ?3 AND ns = ?4 AND name = ?5 AND" EV)
X(PROPS_DELETE, SQL_STEP, "DELETE FROM prop WHERE tenant = ?1 AND node = ?3 AND" EV)
X(PROPS_COPY, SQL_STEP,
  "INSERT INTO prop (tenant, node, ns, name, xml, lang) SELECT ?1, ?3, s.ns, s.name, s.xml, s.lang FROM prop s"
  " WHERE s.tenant = ?1 AND s.node = ?4 AND" EV
  " ON CONFLICT (tenant, node, ns, name) DO UPDATE SET xml = excluded.xml, lang = excluded.lang")
/* has_props follows. */
X(PROP_FLAG, SQL_STEP,
  "UPDATE node SET has_props = CASE WHEN EXISTS (SELECT 1 FROM prop p WHERE p.tenant = ?1 AND p.node = ?3) THEN 1 ELSE 0"
  " END WHERE tenant = ?1 AND id = ?3 AND" EV)

/* ---- steps: locks ---- */
X(LOCK_SEQ, SQL_STEP,
  "INSERT INTO lock_seq (tenant, last) SELECT ?1, ?3 WHERE" EV " ON CONFLICT (tenant) DO UPDATE"
  " SET last = CASE WHEN excluded.last > lock_seq.last THEN excluded.last ELSE lock_seq.last + 1 END")
X(LOCK_INSERT, SQL_STEP,
  "INSERT INTO locks (tenant, token, id, seq, node, user_id, user_name, path_key, path, exclusive, deep, expires_us,"
  " timeout_s, owner_xml) SELECT ?1, ?3, ?4, s.last, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14"
  " FROM lock_seq s WHERE s.tenant = ?1 AND" EV)
X(LOCK_REFRESH, SQL_STEP,
  "UPDATE locks SET expires_us = ?4, timeout_s = ?5 WHERE tenant = ?1 AND token = ?3 AND" EV)
X(LOCK_DELETE, SQL_STEP, "DELETE FROM locks WHERE tenant = ?1 AND token = ?3 AND" EV)
/* ?4 = ?3 and '/', ?5 = ?3 and '0', the character after it. */
X(LOCKS_BELOW, SQL_STEP,
  "DELETE FROM locks WHERE tenant = ?1 AND (path_key = ?3 OR (path_key > ?4 AND path_key < ?5)) AND" EV)
X(LOCKS_ALL, SQL_STEP, "DELETE FROM locks WHERE tenant = ?1 AND" EV)

/* ---- steps: rights ---- */
X(ACES_DELETE, SQL_STEP, "DELETE FROM ace WHERE tenant = ?1 AND node = ?3 AND" EV)
X(ACE_INSERT, SQL_STEP,
  "INSERT INTO ace (tenant, node, seq, who, who_id, deny, rights) SELECT ?1, ?3, ?4, ?5, ?6, ?7, ?8 WHERE" EV)
X(ACL_NODE_PUT, SQL_STEP,
  "INSERT INTO acl_node (tenant, node, inherit_off) SELECT ?1, ?3, ?4 WHERE" EV
  " ON CONFLICT (tenant, node) DO UPDATE SET inherit_off = excluded.inherit_off")
X(ACL_NODE_DELETE, SQL_STEP, "DELETE FROM acl_node WHERE tenant = ?1 AND node = ?3 AND" EV)
X(ACES_DELETE_WHO, SQL_STEP, "DELETE FROM ace WHERE tenant = ?1 AND who = ?3 AND who_id = ?4 AND" EV)
X(ACL_NODES_SWEEP, SQL_STEP,
  "DELETE FROM acl_node WHERE tenant = ?1 AND inherit_off = 0 AND" EV
  " AND NOT EXISTS (SELECT 1 FROM ace a WHERE a.tenant = ?1 AND a.node = acl_node.node)")
X(TREE_GEN, SQL_STEP, "UPDATE tenant SET tree_gen = tree_gen + 1 WHERE id = ?1 AND" EV)
X(RIGHTS_EPOCH, SQL_STEP, "UPDATE tenant SET rights_epoch = rights_epoch + 1 WHERE id = ?1 AND" EV)

/* ---- steps: people ---- */
X(ACCOUNT_PUT, SQL_STEP,
  "INSERT INTO account (tenant, id, name, name_key, owner, disabled, gen, password_hash)"
  " SELECT ?1, ?3, ?4, ?5, ?6, ?7, ?2, ?8 WHERE" EV
  " ON CONFLICT (tenant, id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key, owner = excluded.owner,"
  " disabled = excluded.disabled, gen = excluded.gen, password_hash = excluded.password_hash")
X(ACCOUNT_DELETE, SQL_STEP, "DELETE FROM account WHERE tenant = ?1 AND id = ?3 AND" EV)
X(ACCOUNT_GEN, SQL_STEP, "UPDATE account SET gen = ?2 WHERE tenant = ?1 AND id = ?3 AND" EV)
X(ACCOUNT_GEN_OF_TOKEN, SQL_STEP,
  "UPDATE account SET gen = ?2 WHERE tenant = ?1 AND" EV
  " AND id = (SELECT t.account FROM token t WHERE t.tenant = ?1 AND t.id = ?3)")
X(TEAM_PUT, SQL_STEP,
  "INSERT INTO team (tenant, id, name) SELECT ?1, ?3, ?4 WHERE" EV
  " ON CONFLICT (tenant, id) DO UPDATE SET name = excluded.name")
X(TEAM_DELETE, SQL_STEP, "DELETE FROM team WHERE tenant = ?1 AND id = ?3 AND" EV)
X(MEMBER_ADD, SQL_STEP,
  "INSERT INTO member (tenant, team, account) SELECT ?1, ?3, ?4 WHERE" EV
  " AND EXISTS (SELECT 1 FROM team t WHERE t.tenant = ?1 AND t.id = ?3)"
  " AND EXISTS (SELECT 1 FROM account a WHERE a.tenant = ?1 AND a.id = ?4) ON CONFLICT (tenant, team, account) DO NOTHING")
X(MEMBER_REMOVE, SQL_STEP, "DELETE FROM member WHERE tenant = ?1 AND team = ?3 AND account = ?4 AND" EV)
X(MEMBERS_DELETE_TEAM, SQL_STEP, "DELETE FROM member WHERE tenant = ?1 AND team = ?3 AND" EV)
X(MEMBERS_DELETE_ACCOUNT, SQL_STEP, "DELETE FROM member WHERE tenant = ?1 AND account = ?3 AND" EV)
X(TOKEN_PUT, SQL_STEP,
  "INSERT INTO token (tenant, id, account, name, hash, scope, made_us, expires_us)"
  " SELECT ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE" EV
  " ON CONFLICT (tenant, id) DO UPDATE SET account = excluded.account, name = excluded.name, hash = excluded.hash,"
  " scope = excluded.scope, expires_us = excluded.expires_us")
X(TOKEN_DELETE, SQL_STEP, "DELETE FROM token WHERE tenant = ?1 AND id = ?3 AND" EV)
X(TOKENS_DELETE_ACCOUNT, SQL_STEP, "DELETE FROM token WHERE tenant = ?1 AND account = ?3 AND" EV)

/* ---- steps: the house's settings ---- */
X(SETTING_INSERT, SQL_STEP | SQL_GLOBAL,
  "INSERT INTO setting (kind, id, tenant, user_id, rev, doc) SELECT ?3, ?4, ?6, ?7, 1, ?8 WHERE ?5 = 0"
  " AND NOT EXISTS (SELECT 1 FROM setting s WHERE s.kind = ?3 AND s.id = ?4) AND" EV)
X(SETTING_UPDATE, SQL_STEP | SQL_GLOBAL,
  "UPDATE setting SET tenant = ?6, user_id = ?7, rev = rev + 1, doc = ?8 WHERE kind = ?3 AND id = ?4 AND rev = ?5 AND" EV)
X(SETTING_DELETE, SQL_STEP | SQL_GLOBAL, "DELETE FROM setting WHERE kind = ?3 AND id = ?4 AND rev = ?5 AND" EV)
X(SETTINGS_DELETE_ACCOUNT, SQL_STEP | SQL_GLOBAL, "DELETE FROM setting WHERE tenant = ?1 AND user_id = ?3 AND tenant <> 0 AND" EV)

/* ---- steps: what users own ---- */
X(USAGE_USER_CHANGE, SQL_STEP,
  "INSERT INTO usage_change (tenant, user_id, op, bytes, files) SELECT ?1, ?3, ?2, ?4, ?5 WHERE" EV
  " AND EXISTS (SELECT 1 FROM usage_user u WHERE u.tenant = ?1 AND u.user_id = ?3)")
X(USAGE_USER_COUNT, SQL_STEP,
  "INSERT INTO usage_user (tenant, user_id, bytes, files) SELECT ?1, ?3,"
  " (SELECT CAST(coalesce(sum(n.size), 0) AS bigint) FROM node n WHERE n.tenant = ?1 AND n.owner = ?3 AND n.type = 1),"
  " (SELECT count(*) FROM node n WHERE n.tenant = ?1 AND n.owner = ?3 AND n.type = 1) WHERE" EV
  " AND NOT EXISTS (SELECT 1 FROM usage_user u WHERE u.tenant = ?1 AND u.user_id = ?3)")
X(USAGE_USER_DELETE, SQL_STEP, "DELETE FROM usage_user WHERE tenant = ?1 AND user_id = ?3 AND" EV)
X(USAGE_CHANGES_DELETE, SQL_STEP, "DELETE FROM usage_change WHERE tenant = ?1 AND user_id = ?3 AND" EV)

/* ---- steps: tenants ---- */
X(TENANT_PUT, SQL_STEP,
  "INSERT INTO tenant (id, name, hosts, disabled, case_sensitive, root, trash, tree_gen, rights_epoch, route_epoch)"
  " SELECT ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE" EV
  " ON CONFLICT (id) DO UPDATE SET name = excluded.name, hosts = excluded.hosts, disabled = excluded.disabled")
X(TENANT_NODE, SQL_STEP,
  "INSERT INTO node (tenant, parent, name_key, id, type, name, owner, version, rev, size, made_us, mtime_us, has_props,"
  " parts, blob, loc, crc) SELECT ?1, 0, ?3, ?4, 2, ?5, 0, 0, 1, 0, ?6, ?6, 0, 0, 0, ?5, 0 WHERE" EV
  " AND NOT EXISTS (SELECT 1 FROM node n WHERE n.tenant = ?1 AND n.parent = 0 AND n.name_key = ?3)")
X(TENANT_USAGE, SQL_STEP,
  "INSERT INTO usage_total (tenant, folded, bytes, files) SELECT ?1, 0, 0, 0 WHERE" EV
  " ON CONFLICT (tenant) DO NOTHING")

/* ---- upkeep ---- */
X(BLOBS_DEAD, SQL_GLOBAL,
  "SELECT " BLOB_COLS " FROM blob WHERE refs = 0 AND dead_us < ?1 AND" AT_HOME("blob.tenant") " ORDER BY dead_us, tenant, id LIMIT ?2")
X(BLOBS_LIST, SQL_GLOBAL,
  "SELECT " BLOB_COLS " FROM blob WHERE (tenant, id) > (?1, ?2)"
  " AND NOT EXISTS (SELECT 1 FROM tenant t WHERE t.id = blob.tenant AND t.state = 3) ORDER BY tenant, id LIMIT ?3")
X(BLOB_FORGET, SQL_TENANT, "DELETE FROM blob WHERE tenant = ?1 AND id = ?2 AND refs = 0 AND" AT_HOME("?1"))
X(BLOB_CLAIM, SQL_TENANT,
  "INSERT INTO blob (tenant, id, backend, loc, size, crc, format, key_id, refs, dead_us, damaged)"
  " SELECT ?1, ?2, 0, ?3, ?4, 0, 0, 0, 0, ?5, 0 WHERE" AT_HOME("?1"))
X(BLOB_MARK_DAMAGED, SQL_TENANT, "UPDATE blob SET damaged = 1 WHERE tenant = ?1 AND id = ?2 AND damaged = 0 AND" AT_HOME("?1"))
X(LOCKS_EXPIRE, SQL_GLOBAL | SQL_SCANS, "DELETE FROM locks WHERE expires_us <= ?1 AND" AT_HOME("locks.tenant"))
X(EVENT_LAST, SQL_TENANT, "SELECT op FROM event WHERE tenant = ?1 ORDER BY op DESC LIMIT 1")
/* Is there anything that its totals do not have yet? */
X(USAGE_FOLD_DUE, SQL_TENANT,
  "SELECT 1 FROM usage_total u WHERE u.tenant = ?1 AND (EXISTS (SELECT 1 FROM event e WHERE e.tenant = ?1 AND e.op > u.folded)"
  " OR EXISTS (SELECT 1 FROM event e WHERE e.tenant = ?1 AND e.late = 1)"
  " OR EXISTS (SELECT 1 FROM usage_change c WHERE c.tenant = ?1))")
/* ?2: fold up to there. The late ones come with it. */
X(USAGE_FOLD, SQL_TENANT,
  "UPDATE usage_total SET"
  " bytes = bytes + (SELECT CAST(coalesce(sum(e.bytes), 0) AS bigint) FROM event e WHERE e.tenant = ?1"
  " AND e.op > usage_total.folded AND e.op <= ?2)"
  " + (SELECT CAST(coalesce(sum(e.bytes), 0) AS bigint) FROM event e WHERE e.tenant = ?1 AND e.late = 1"
  " AND e.op <= usage_total.folded),"
  " files = files + (SELECT CAST(coalesce(sum(e.files), 0) AS bigint) FROM event e WHERE e.tenant = ?1"
  " AND e.op > usage_total.folded AND e.op <= ?2)"
  " + (SELECT CAST(coalesce(sum(e.files), 0) AS bigint) FROM event e WHERE e.tenant = ?1 AND e.late = 1"
  " AND e.op <= usage_total.folded),"
  " folded = ?2 WHERE tenant = ?1 AND (folded < ?2 OR (folded = ?2"
  " AND EXISTS (SELECT 1 FROM event l WHERE l.tenant = ?1 AND l.late = 1)))")
X(EVENTS_LATE_DONE, SQL_TENANT, "UPDATE event SET late = 0 WHERE tenant = ?1 AND late = 1")
X(USAGE_USER_FOLD, SQL_TENANT,
  "UPDATE usage_user SET"
  " bytes = bytes + (SELECT CAST(coalesce(sum(c.bytes), 0) AS bigint) FROM usage_change c WHERE c.tenant = ?1"
  " AND c.user_id = usage_user.user_id),"
  " files = files + (SELECT CAST(coalesce(sum(c.files), 0) AS bigint) FROM usage_change c WHERE c.tenant = ?1"
  " AND c.user_id = usage_user.user_id) WHERE tenant = ?1"
  " AND EXISTS (SELECT 1 FROM usage_change k WHERE k.tenant = ?1 AND k.user_id = usage_user.user_id)")
X(USAGE_CHANGES_DONE, SQL_TENANT, "DELETE FROM usage_change WHERE tenant = ?1")
/* Events made before ?2; ?3 is the id of that time, so that younger ones are not looked at. The newest stays: it tells
 * the highest operation id. */
X(EVENTS_DROP, SQL_TENANT, "DELETE FROM event WHERE tenant = ?1 AND op IN (SELECT r.op FROM (" EVENTS_TO_DROP ") r)")
/* Before it: the last in the order of commits that goes. */
X(FEED_LAST_DROP, SQL_TENANT,
  "SELECT r.pos, r.op FROM (" EVENTS_TO_DROP ") r ORDER BY r.pos DESC, r.op DESC LIMIT 1")
X(FEED_CUT, SQL_TENANT,
  "INSERT INTO feed (tenant, epoch, cut_pos, cut_op) SELECT ?1, 0, ?2, ?3 WHERE ?1 = ?1 ON CONFLICT (tenant) DO UPDATE"
  " SET cut_pos = excluded.cut_pos, cut_op = excluded.cut_op"
  " WHERE (feed.cut_pos, feed.cut_op) < (excluded.cut_pos, excluded.cut_op)")
X(FEED_RENEW, SQL_TENANT,
  "INSERT INTO feed (tenant, epoch, cut_pos, cut_op) SELECT ?1, ?2, 0, 0 WHERE ?1 = ?1"
  " ON CONFLICT (tenant) DO UPDATE SET epoch = excluded.epoch")
/* Of another database, whose order means nothing here. */
X(FEED_FOREIGN, SQL_GLOBAL | SQL_SCANS, "SELECT e.op FROM event e WHERE e.pos >= gh_next_pos() LIMIT 1")
X(FEED_LEVEL, SQL_GLOBAL | SQL_SCANS, "UPDATE event SET pos = 0 WHERE pos >= gh_next_pos()")
X(FEED_LEVEL_CUTS, SQL_GLOBAL | SQL_SCANS, "UPDATE feed SET cut_pos = 0 WHERE cut_pos >= gh_next_pos()")
/* Highest id of everything that has ids, each the end of an index. */
X(ID_FLOOR, SQL_GLOBAL | SQL_SCANS,
  "SELECT coalesce(max(i.m), 0) FROM (" ID_OF("event", "op") " UNION ALL " ID_OF("node", "id") " UNION ALL "
  ID_OF("version", "id") " UNION ALL " ID_OF("blob", "id") " UNION ALL " ID_OF("account", "id") " UNION ALL "
  ID_OF("team", "id") " UNION ALL " ID_OF("token", "id") " UNION ALL " ID_OF("lock_seq", "last")
  " UNION ALL SELECT id AS m FROM tenant UNION ALL SELECT s.id AS m FROM setting s"
  " UNION ALL SELECT e.op AS m FROM event e WHERE e.tenant = 0) i")

/* ---- gateways, and what one of them has to itself ---- */
X(GATEWAYS, SQL_GLOBAL, "SELECT slot, name, token, version, started_us, expires_us FROM gateway ORDER BY slot")
X(GATEWAY_PUT, SQL_GLOBAL,
  "INSERT INTO gateway (slot, name, token, version, started_us, expires_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
X(GATEWAY_RENAME, SQL_GLOBAL, "UPDATE gateway SET name = ?2, token = 0, expires_us = ?3 WHERE slot = ?1")
X(GATEWAY_DELETE, SQL_GLOBAL, "DELETE FROM gateway WHERE slot = ?1 AND token = ?2")
X(GATEWAY_BEAT, SQL_GLOBAL, "UPDATE gateway SET expires_us = ?3 WHERE slot = ?1 AND token = ?2")
X(LEASE_TAKE, SQL_GLOBAL,
  "INSERT INTO lease (kind, tenant, id, holder, expires_us) VALUES (?1, ?2, ?3, ?4, ?5)"
  " ON CONFLICT (kind, tenant, id) DO UPDATE SET holder = excluded.holder, expires_us = excluded.expires_us"
  " WHERE lease.holder = excluded.holder OR lease.expires_us <= ?6")
X(LEASE_DROP, SQL_GLOBAL, "DELETE FROM lease WHERE kind = ?1 AND tenant = ?2 AND id = ?3 AND holder = ?4")
X(LEASES_BEAT, SQL_GLOBAL, "UPDATE lease SET expires_us = ?2 WHERE holder = ?1")
X(LEASES_DROP, SQL_GLOBAL | SQL_SCANS, "DELETE FROM lease WHERE holder = ?1 OR expires_us <= ?2")

/* ---- quota leases ---- */
/* The holder's own, of whatever name, and those that have ended. */
X(QUOTA_LEASES_DELETE, SQL_TENANT,
  "DELETE FROM quota_lease WHERE tenant = ?1 AND user_id = ?2 AND (id = ?3 OR expires_us <= ?4)")
X(QUOTA_LEASE_PUT, SQL_TENANT,
  "INSERT INTO quota_lease (tenant, id, user_id, bytes, files, expires_us, sessions, transfers)"
  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
X(USAGE_MONTH_ADD, SQL_TENANT,
  "INSERT INTO usage_month (tenant, user_id, month, bytes) VALUES (?1, ?2, ?3, ?4)"
  " ON CONFLICT (tenant, user_id, month) DO UPDATE SET bytes = usage_month.bytes + excluded.bytes")

/* ---- the walker that empties the trash (upkeep_trash.c) ---- */
/* Trees in the making (?1, ?3: such a lease, alive after ?2, ?4) are none of its business. */
X(WALK_TENANT, SQL_GLOBAL | SQL_SCANS,
  "SELECT t.id, t.trash FROM tenant t WHERE EXISTS (SELECT 1 FROM node n WHERE n.tenant = t.id AND n.parent = t.trash"
  " AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.kind = ?1 AND l.tenant = t.id AND l.id = n.id AND l.expires_us > ?2))"
  " AND t.state = 0 LIMIT 1")
X(WALK_CHILDREN, SQL_TENANT,
  "SELECT n.id, n.type, n.size, n.owner FROM node n WHERE n.tenant = ?1 AND n.parent = ?2"
  " AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.kind = ?3 AND l.tenant = ?1 AND l.id = n.id AND l.expires_us > ?4)"
  " ORDER BY n.name_key LIMIT ?5")
X(WALK_VERSIONS, SQL_TENANT, "SELECT id, parts, blob FROM version WHERE tenant = ?1 AND node = ?2 LIMIT ?3")
X(WALK_PARTS, SQL_TENANT, "SELECT seq, blob FROM part WHERE tenant = ?1 AND version = ?2 ORDER BY seq LIMIT ?3")
X(WALK_UNREF, SQL_TENANT,
  "UPDATE blob SET refs = refs - 1, dead_us = CASE WHEN refs = 1 THEN ?3 ELSE 0 END"
  " WHERE tenant = ?1 AND id = ?2 AND refs > 0")
X(WALK_PART_DELETE, SQL_TENANT, "DELETE FROM part WHERE tenant = ?1 AND version = ?2 AND seq = ?3")
X(WALK_VERSION_DELETE, SQL_TENANT, "DELETE FROM version WHERE tenant = ?1 AND id = ?2")
X(WALK_EMPTY, SQL_TENANT,
  "UPDATE node SET version = 0, parts = 0, blob = 0, crc = 0, rev = rev + 1 WHERE tenant = ?1 AND id = ?2 AND version <> 0")
X(WALK_PROPS, SQL_TENANT, "DELETE FROM prop WHERE tenant = ?1 AND node = ?2")
X(WALK_ACES, SQL_TENANT, "DELETE FROM ace WHERE tenant = ?1 AND node = ?2")
X(WALK_ACL, SQL_TENANT, "DELETE FROM acl_node WHERE tenant = ?1 AND node = ?2")
X(WALK_LOCKS, SQL_TENANT, "DELETE FROM locks WHERE tenant = ?1 AND node = ?2")
X(WALK_NODE, SQL_TENANT, "DELETE FROM node WHERE tenant = ?1 AND id = ?2")
X(WALK_OWNER, SQL_TENANT,
  "INSERT INTO usage_change (tenant, user_id, op, bytes, files) SELECT ?1, ?2, ?3, ?4, ?5"
  " WHERE EXISTS (SELECT 1 FROM usage_user u WHERE u.tenant = ?1 AND u.user_id = ?2)"
  " ON CONFLICT (tenant, user_id, op) DO UPDATE SET bytes = usage_change.bytes + excluded.bytes,"
  " files = usage_change.files + excluded.files")
X(WALK_EVENT, SQL_TENANT,
  "INSERT INTO event (tenant, op, time_us, user_id, user_name, what, door, path, dest, request_id, node, bytes, files,"
  " late, pos, touched) VALUES (?1, ?2, ?3, 0, '', 'purge', 'internal', '', '', '', 0, ?4, ?5,"
  " CASE WHEN EXISTS (SELECT 1 FROM usage_total u WHERE u.tenant = ?1 AND u.folded >= ?2) THEN 1 ELSE 0 END,"
  " gh_pos(), '-')")

/* ---- schema ---- */
X(SCHEMA_VERSION, SQL_GLOBAL | SQL_SCANS, "SELECT coalesce(max(version), 0) FROM schema_version")
X(SCHEMA_ADD, SQL_GLOBAL, "INSERT INTO schema_version (version, name, applied_us) VALUES (?1, ?2, ?3)")

/* ---- whole rows, of whatever table: tables.h ---- */
#define TABLE(name, scope, keys, key_text, columns, kinds, text)                                                           \
	X(PAGE_##name, SQL_GLOBAL | SQL_SCANS,                                                                         \
	  "SELECT " text " FROM " #name " WHERE (" key_text ") > (" ARGS_##keys ") ORDER BY " key_text " LIMIT " ARG_AFTER_##keys) \
	X(INSERT_##name, SQL_GLOBAL, "INSERT INTO " #name " (" text ") VALUES (" ARGS_##columns ")")                     \
	X(CLEAR_##name, SQL_GLOBAL | SQL_SCANS, "DELETE FROM " #name)                                                    \
	X(DROP_##name, SQL_GLOBAL, "DELETE FROM " #name " WHERE (" key_text ") = (" ARGS_##keys ")")                      \
	X(BRING_##name, SQL_GLOBAL,                                                                                     \
	  "INSERT INTO " #name " (" text ") VALUES (" ARGS_##columns ") ON CONFLICT DO NOTHING")
#include "backends/metadata/tables.tbl.h"
#undef TABLE

/* ---- central, shards, moving ---- */
#include "backends/metadata/sql_route.tbl.h"
#include "backends/metadata/sql_move.tbl.h"

/* ---- fsck ---- */
#include "backends/metadata/sql_check.tbl.h"
