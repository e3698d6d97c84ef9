/* X(NAME, flags, "statement"), part of sql.tbl.h: what fsck asks of one tenant (?1). Each gives at most ?2 rows of up to
 * four numbers that say what is wrong; no row = all is well. check.c has the words. */

X(CHECK_ROOTS_MISSING, SQL_TENANT,
  "SELECT t.root, t.trash FROM tenant t WHERE t.id = ?1 AND (NOT EXISTS (SELECT 1 FROM node n WHERE n.tenant = ?1"
  " AND n.id = t.root AND n.parent = 0 AND n.type = 2) OR NOT EXISTS (SELECT 1 FROM node n WHERE n.tenant = ?1"
  " AND n.id = t.trash AND n.parent = 0 AND n.type = 2)) LIMIT ?2")
X(CHECK_ROOTS_EXTRA, SQL_TENANT,
  "SELECT n.id FROM node n JOIN tenant t ON t.id = ?1 WHERE n.tenant = ?1 AND n.parent = 0 AND n.id <> t.root"
  " AND n.id <> t.trash LIMIT ?2")
X(CHECK_ORPHANS, SQL_TENANT,
  "SELECT n.id, n.parent FROM node n WHERE n.tenant = ?1 AND n.parent <> 0 AND NOT EXISTS (SELECT 1 FROM node p"
  " WHERE p.tenant = ?1 AND p.id = n.parent AND p.type = 2) LIMIT ?2")
X(CHECK_CYCLES, SQL_TENANT,
  "WITH RECURSIVE reach(id) AS (SELECT r.id FROM node r WHERE r.tenant = ?1 AND r.parent = 0"
  " UNION SELECT c.id FROM reach JOIN node c ON c.tenant = ?1 AND c.parent = reach.id)"
  " SELECT n.id, n.parent FROM node n LEFT JOIN reach ON reach.id = n.id WHERE n.tenant = ?1 AND reach.id IS NULL LIMIT ?2")
X(CHECK_VERSION_MISSING, SQL_TENANT,
  "SELECT n.id, n.version FROM node n WHERE n.tenant = ?1 AND n.version <> 0 AND NOT EXISTS (SELECT 1 FROM version v"
  " WHERE v.tenant = ?1 AND v.id = n.version AND v.node = n.id) LIMIT ?2")
X(CHECK_MIRROR, SQL_TENANT,
  "SELECT n.id, n.version, n.size, v.size FROM node n JOIN version v ON v.tenant = ?1 AND v.id = n.version"
  " WHERE n.tenant = ?1 AND (n.size <> v.size OR n.parts <> v.parts OR (n.parts = 1 AND n.blob <> v.blob)) LIMIT ?2")
X(CHECK_VERSION_ORPHANS, SQL_TENANT,
  "SELECT v.id, v.node FROM version v WHERE v.tenant = ?1 AND NOT EXISTS (SELECT 1 FROM node n WHERE n.tenant = ?1"
  " AND n.id = v.node) LIMIT ?2")
X(CHECK_PART_ORPHANS, SQL_TENANT,
  "SELECT p.version, p.seq FROM part p WHERE p.tenant = ?1 AND NOT EXISTS (SELECT 1 FROM version v WHERE v.tenant = ?1"
  " AND v.id = p.version) LIMIT ?2")
X(CHECK_PART_SUMS, SQL_TENANT,
  "SELECT v.id, v.size, v.parts FROM node n JOIN version v ON v.tenant = ?1 AND v.id = n.version"
  " WHERE n.tenant = ?1 AND v.parts > 1 AND ((SELECT count(*) FROM part p WHERE p.tenant = ?1 AND p.version = v.id)"
  " <> v.parts OR (SELECT CAST(coalesce(sum(p.len), 0) AS bigint) FROM part p WHERE p.tenant = ?1 AND p.version = v.id)"
  " <> v.size) LIMIT ?2")
X(CHECK_PART_RANGES, SQL_TENANT,
  "SELECT p.version, p.seq, p.blob FROM part p JOIN blob b ON b.tenant = ?1 AND b.id = p.blob WHERE p.tenant = ?1"
  " AND p.start + p.len > b.size LIMIT ?2")
X(CHECK_BLOB_MISSING, SQL_TENANT,
  "SELECT v.id, v.blob FROM version v WHERE v.tenant = ?1 AND v.parts = 1 AND NOT EXISTS (SELECT 1 FROM blob b"
  " WHERE b.tenant = ?1 AND b.id = v.blob AND b.refs > 0) LIMIT ?2")
X(CHECK_PART_BLOB_MISSING, SQL_TENANT,
  "SELECT p.version, p.blob FROM part p WHERE p.tenant = ?1 AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.tenant = ?1"
  " AND b.id = p.blob AND b.refs > 0) LIMIT ?2")
X(CHECK_BLOB_SIZE, SQL_TENANT,
  "SELECT v.id, v.size, b.id, b.size FROM version v JOIN blob b ON b.tenant = ?1 AND b.id = v.blob"
  " WHERE v.tenant = ?1 AND v.parts = 1 AND v.size <> b.size LIMIT ?2")
X(CHECK_LOCATOR, SQL_TENANT,
  "SELECT n.id, b.id FROM node n JOIN blob b ON b.tenant = ?1 AND b.id = n.blob WHERE n.tenant = ?1 AND n.parts = 1"
  " AND n.loc <> b.loc LIMIT ?2")
X(CHECK_REFS, SQL_TENANT,
  "SELECT b.id, b.refs, coalesce(r.n, 0) FROM blob b LEFT JOIN (SELECT u.blob AS blob, count(*) AS n FROM"
  " (SELECT v.blob AS blob FROM version v WHERE v.tenant = ?1 AND v.parts = 1"
  " UNION ALL SELECT p.blob AS blob FROM part p WHERE p.tenant = ?1) u GROUP BY u.blob) r ON r.blob = b.id"
  " WHERE b.tenant = ?1 AND b.refs <> coalesce(r.n, 0) LIMIT ?2")
X(CHECK_DAMAGED, SQL_TENANT,
  "SELECT b.id, b.size FROM blob b WHERE b.tenant = ?1 AND b.damaged = 1 AND b.refs > 0 LIMIT ?2")
X(CHECK_PROP_FLAGS, SQL_TENANT,
  "SELECT n.id, n.has_props FROM node n WHERE n.tenant = ?1 AND n.has_props <> CASE WHEN EXISTS (SELECT 1 FROM prop p"
  " WHERE p.tenant = ?1 AND p.node = n.id) THEN 1 ELSE 0 END LIMIT ?2")
X(CHECK_USED_BYTES, SQL_TENANT, CHECK_USED("bytes", "sum(n.size)"))
X(CHECK_USED_FILES, SQL_TENANT, CHECK_USED("files", "count(n.id)"))
X(CHECK_OWNED, SQL_TENANT,
  "SELECT u.user_id, u.bytes + coalesce(a.bytes, 0), coalesce(r.bytes, 0), u.files + coalesce(a.files, 0),"
  " coalesce(r.files, 0) FROM usage_user u LEFT JOIN (SELECT c.user_id AS user_id, CAST(sum(c.bytes) AS bigint) AS bytes,"
  " CAST(sum(c.files) AS bigint) AS files FROM usage_change c WHERE c.tenant = ?1 GROUP BY c.user_id) a"
  " ON a.user_id = u.user_id LEFT JOIN (SELECT n.owner AS user_id, CAST(sum(n.size) AS bigint) AS bytes,"
  " count(n.id) AS files FROM node n WHERE n.tenant = ?1 AND n.type = 1 GROUP BY n.owner) r ON r.user_id = u.user_id"
  " WHERE u.tenant = ?1 AND (u.bytes + coalesce(a.bytes, 0) <> coalesce(r.bytes, 0)"
  " OR u.files + coalesce(a.files, 0) <> coalesce(r.files, 0)) LIMIT ?2")
X(CHECK_PROP_ORPHANS, SQL_TENANT,
  "SELECT p.node FROM prop p WHERE p.tenant = ?1 AND NOT EXISTS (SELECT 1 FROM node n WHERE n.tenant = ?1"
  " AND n.id = p.node) LIMIT ?2")
X(CHECK_LOCK_ORPHANS, SQL_TENANT,
  "SELECT l.id, l.node FROM locks l WHERE l.tenant = ?1 AND NOT EXISTS (SELECT 1 FROM node n WHERE n.tenant = ?1"
  " AND n.id = l.node) LIMIT ?2")
X(CHECK_ACL_ORPHANS, SQL_TENANT,
  "SELECT a.node FROM acl_node a WHERE a.tenant = ?1 AND NOT EXISTS (SELECT 1 FROM node n WHERE n.tenant = ?1"
  " AND n.id = a.node) LIMIT ?2")
X(CHECK_ACE_ORPHANS, SQL_TENANT,
  "SELECT a.node, a.seq FROM ace a WHERE a.tenant = ?1 AND NOT EXISTS (SELECT 1 FROM acl_node n WHERE n.tenant = ?1"
  " AND n.node = a.node) LIMIT ?2")
X(CHECK_MEMBERS, SQL_TENANT,
  "SELECT m.team, m.account FROM member m WHERE m.tenant = ?1 AND (NOT EXISTS (SELECT 1 FROM team t"
  " WHERE t.tenant = ?1 AND t.id = m.team) OR NOT EXISTS (SELECT 1 FROM account a WHERE a.tenant = ?1"
  " AND a.id = m.account)) LIMIT ?2")
X(CHECK_TOKENS, SQL_TENANT,
  "SELECT t.id, t.account FROM token t WHERE t.tenant = ?1 AND NOT EXISTS (SELECT 1 FROM account a"
  " WHERE a.tenant = ?1 AND a.id = t.account) LIMIT ?2")
