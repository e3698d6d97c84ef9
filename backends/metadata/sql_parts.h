/* Pieces that several statements share (sql.tbl.h). Included by sql.c alone: they are only needed where the texts are. */
#ifndef GH_BACKENDS_METADATA_SQL_PARTS_H
#define GH_BACKENDS_METADATA_SQL_PARTS_H

/* A row n of node, as rows.c reads it. */
#define NODE_COLS(n)                                                                                                   \
	n ".id," n ".parent," n ".type," n ".name," n ".name_key," n ".owner," n ".version," n ".rev," n ".size," n    \
	  ".made_us," n ".mtime_us," n ".has_props," n ".parts," n ".blob," n ".loc," n ".crc"
/* One more component of a path: key ?k below node p. */
#define RESOLVE_JOIN(n, p, k)                                                                                          \
	" LEFT JOIN node " n " ON " n ".tenant = ?1 AND " n ".parent = " p ".id AND " n ".name_key = ?" k
#define RESOLVE(cols, joins)                                                                                           \
	"SELECT " cols " FROM node n1" joins " WHERE n1.tenant = ?1 AND n1.parent = ?2 AND n1.name_key = ?3"
#define RC1 NODE_COLS("n1")
#define RC2 RC1 "," NODE_COLS("n2")
#define RC3 RC2 "," NODE_COLS("n3")
#define RC4 RC3 "," NODE_COLS("n4")
#define RC5 RC4 "," NODE_COLS("n5")
#define RC6 RC5 "," NODE_COLS("n6")
#define RC7 RC6 "," NODE_COLS("n7")
#define RC8 RC7 "," NODE_COLS("n8")
#define RC9 RC8 "," NODE_COLS("n9")
#define RC10 RC9 "," NODE_COLS("n10")
#define RC11 RC10 "," NODE_COLS("n11")
#define RC12 RC11 "," NODE_COLS("n12")
#define RC13 RC12 "," NODE_COLS("n13")
#define RC14 RC13 "," NODE_COLS("n14")
#define RC15 RC14 "," NODE_COLS("n15")
#define RC16 RC15 "," NODE_COLS("n16")
#define RJ2 RESOLVE_JOIN("n2", "n1", "4")
#define RJ3 RJ2 RESOLVE_JOIN("n3", "n2", "5")
#define RJ4 RJ3 RESOLVE_JOIN("n4", "n3", "6")
#define RJ5 RJ4 RESOLVE_JOIN("n5", "n4", "7")
#define RJ6 RJ5 RESOLVE_JOIN("n6", "n5", "8")
#define RJ7 RJ6 RESOLVE_JOIN("n7", "n6", "9")
#define RJ8 RJ7 RESOLVE_JOIN("n8", "n7", "10")
#define RJ9 RJ8 RESOLVE_JOIN("n9", "n8", "11")
#define RJ10 RJ9 RESOLVE_JOIN("n10", "n9", "12")
#define RJ11 RJ10 RESOLVE_JOIN("n11", "n10", "13")
#define RJ12 RJ11 RESOLVE_JOIN("n12", "n11", "14")
#define RJ13 RJ12 RESOLVE_JOIN("n13", "n12", "15")
#define RJ14 RJ13 RESOLVE_JOIN("n14", "n13", "16")
#define RJ15 RJ14 RESOLVE_JOIN("n15", "n14", "17")
#define RJ16 RJ15 RESOLVE_JOIN("n16", "n15", "18")
#define TENANT_COLS "id, name, hosts, disabled, case_sensitive, root, trash, tree_gen, rights_epoch, route_epoch"
#define ACCOUNT_COLS "id, name, name_key, owner, disabled, gen, password_hash"
/* The event of this batch is there: its guards held. */
#define EV " EXISTS (SELECT 1 FROM event e WHERE e.tenant = ?1 AND e.op = ?2)"
/* Guard: the name slot is empty (node 0), or holds that node at that rev (-1: any); key NULL: the folder is empty. */
#define SLOT(parent, key, node, rev)                                                                                   \
	" AND CASE WHEN ?" key " IS NULL"                                                                              \
	" THEN NOT EXISTS (SELECT 1 FROM node n WHERE n.tenant = ?1 AND n.parent = ?" parent ")"                       \
	" WHEN ?" node " = 0"                                                                                          \
	" THEN NOT EXISTS (SELECT 1 FROM node n WHERE n.tenant = ?1 AND n.parent = ?" parent " AND n.name_key = ?" key ")"  \
	" ELSE EXISTS (SELECT 1 FROM node n WHERE n.tenant = ?1 AND n.parent = ?" parent " AND n.name_key = ?" key      \
	" AND n.id = ?" node " AND (?" rev " < 0 OR n.rev = ?" rev ")) END"
/* The event, if every guard holds. ?14 = 1: the batch makes its tenant, -1: it tells what it changes (told.h). */
#define EVENT_INSERT(slots)                                                                                            \
	"INSERT INTO event (tenant, op, time_us, user_id, user_name, what, door, path, dest, request_id, node, bytes," \
	" files, late, pos, touched) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"                   \
	" CASE WHEN EXISTS (SELECT 1 FROM usage_total u WHERE u.tenant = ?1 AND u.folded >= ?2) THEN 1 ELSE 0 END,"    \
	" gh_pos(), ?26"                                                                                               \
	" WHERE "                                                                                            \
	"(?14 = 1 OR EXISTS (SELECT 1 FROM tenant t WHERE t.id = ?1 AND (?15 < 0 OR t.tree_gen = ?15)"                 \
	" AND (?16 < 0 OR t.rights_epoch = ?16) AND (?17 < 0 OR t.route_epoch = ?17) AND t.state + ?14 <= 0"            \
	" AND t.hold_us <= ?3))"                                                                                       \
	" AND (?18 < 0 OR NOT EXISTS (SELECT 1 FROM locks l WHERE l.tenant = ?1 AND l.seq > ?18"                       \
	" AND (?19 IS NULL OR l.path_key = ?19 OR (l.path_key > ?20 AND l.path_key < ?21))))"                          \
	" AND (?22 = 0 OR ?22 = (SELECT count(*) FROM quota_lease q WHERE q.tenant = ?1 AND q.id IN (?23, ?24, ?25)"   \
	" AND q.expires_us > ?3))" slots
#define SLOT1 SLOT("27", "28", "29", "30")
#define SLOT2 SLOT1 SLOT("31", "32", "33", "34")
#define SLOT3 SLOT2 SLOT("35", "36", "37", "38")
#define SLOT4 SLOT3 SLOT("39", "40", "41", "42")
#define EVENT_COLS                                                                                                     \
	"e.op, e.time_us, e.user_id, e.user_name, e.what, e.door, e.path, e.dest, e.request_id, e.node, e.bytes, e.files,"     \
	" e.pos, e.touched, e.tenant"
/* ?2: made before; ?3: the id of that time. */
#define EVENTS_TO_DROP                                                                                                 \
	"SELECT e.op, e.pos FROM event e WHERE e.tenant = ?1 AND e.op < ?3 AND e.late = 0 AND e.time_us < ?2"                  \
	" AND e.op <= (SELECT u.folded FROM usage_total u WHERE u.tenant = ?1)"                                        \
	" AND e.op < (SELECT max(m.op) FROM event m WHERE m.tenant = ?1) ORDER BY e.op LIMIT 1000"
#define PARENT_IS_FOLDER(p) " EXISTS (SELECT 1 FROM node p WHERE p.tenant = ?1 AND p.id = ?" p " AND p.type = 2)"
#define ROUTE_COLS "tenant, name, hosts, disabled, case_sensitive, root, trash, shard, epoch, step, target, changed"
/* Upkeep keeps out of what is on its way, and of what is not here. */
#define AT_HOME(id) " EXISTS (SELECT 1 FROM tenant h WHERE h.id = " id " AND h.state = 0)"
#define BLOB_COLS "tenant, id, size, refs, crc, dead_us, damaged, loc"
/* Highest id of a tenant in a table, from the end of an index. */
#define ID_OF(table, col)                                                                                              \
	"SELECT coalesce((SELECT max(x." col ") FROM " table " x WHERE x.tenant = t.id), 0) AS m FROM tenant t"
/* The ledger against what is there. */
#define CHECK_USED(sum, live)                                                                                          \
	"SELECT a.used, a.live FROM (SELECT (SELECT coalesce(max(u." sum "), 0) FROM usage_total u WHERE u.tenant = ?1)" \
	" + (SELECT CAST(coalesce(sum(e." sum "), 0) AS bigint) FROM event e WHERE e.tenant = ?1 AND (e.late = 1 OR e.op >" \
	" (SELECT coalesce(max(f.folded), 0) FROM usage_total f WHERE f.tenant = ?1))) AS used,"                        \
	" (SELECT CAST(coalesce(" live ", 0) AS bigint) FROM node n WHERE n.tenant = ?1 AND n.type = 1) AS live) a"     \
	" WHERE a.used <> a.live LIMIT ?2"

/* Rows that a batch names when it tells what it has changed (told.h): whatever of its columns has one of these names. A look-up
 * for each, so that no planner reads all of a tenant's instead. */
#define EACH_NAME(arm, c)                                                                                              \
	arm c " = ?2 UNION ALL " arm c " = ?3 UNION ALL " arm c " = ?4 UNION ALL " arm c " = ?5 UNION ALL " arm c " = ?6"      \
	" UNION ALL " arm c " = ?7 UNION ALL " arm c " = ?8 UNION ALL " arm c " = ?9 UNION ALL " arm c " = ?10 UNION ALL "     \
	arm c " = ?11 UNION ALL " arm c " = ?12 UNION ALL " arm c " = ?13 UNION ALL " arm c " = ?14 UNION ALL "                \
	arm c " = ?15 UNION ALL " arm c " = ?16 UNION ALL " arm c " = ?17"
#define PAIR(arm, user, op) arm "user_id = ?" user " AND op = ?" op
#define EACH_PAIR(arm)                                                                                                 \
	PAIR(arm, "2", "3") " UNION ALL " PAIR(arm, "4", "5") " UNION ALL " PAIR(arm, "6", "7") " UNION ALL "                  \
	PAIR(arm, "8", "9") " UNION ALL " PAIR(arm, "10", "11") " UNION ALL " PAIR(arm, "12", "13") " UNION ALL "              \
	PAIR(arm, "14", "15") " UNION ALL " PAIR(arm, "16", "17")
#define NAMED_node(arm) EACH_NAME(arm, "id")
#define NAMED_version(arm) EACH_NAME(arm, "id") " UNION ALL " EACH_NAME(arm, "node")
#define NAMED_part(arm) EACH_NAME(arm, "version")
#define NAMED_blob(arm) EACH_NAME(arm, "id")
#define NAMED_prop(arm) EACH_NAME(arm, "node")
#define NAMED_event(arm) EACH_NAME(arm, "op")
#define NAMED_usage_change(arm) EACH_PAIR(arm)

/* So many placeholders, and the one after them. */
#define ARGS_1 "?1"
#define ARGS_2 ARGS_1 ", ?2"
#define ARGS_3 ARGS_2 ", ?3"
#define ARGS_4 ARGS_3 ", ?4"
#define ARGS_5 ARGS_4 ", ?5"
#define ARGS_6 ARGS_5 ", ?6"
#define ARGS_7 ARGS_6 ", ?7"
#define ARGS_8 ARGS_7 ", ?8"
#define ARGS_9 ARGS_8 ", ?9"
#define ARGS_10 ARGS_9 ", ?10"
#define ARGS_11 ARGS_10 ", ?11"
#define ARGS_12 ARGS_11 ", ?12"
#define ARGS_13 ARGS_12 ", ?13"
#define ARGS_14 ARGS_13 ", ?14"
#define ARGS_15 ARGS_14 ", ?15"
#define ARGS_16 ARGS_15 ", ?16"
#define ARGS_17 ARGS_16 ", ?17"
#define ARGS_18 ARGS_17 ", ?18"
#define ARGS_19 ARGS_18 ", ?19"
#define ARGS_20 ARGS_19 ", ?20"
#define ARGS_21 ARGS_20 ", ?21"
#define ARGS_22 ARGS_21 ", ?22"
#define ARGS_23 ARGS_22 ", ?23"
#define ARGS_24 ARGS_23 ", ?24"
#define ARG_AFTER_1 "?2"
#define ARG_AFTER_2 "?3"
#define ARG_AFTER_3 "?4"
#define ARG_AFTER_4 "?5"

#endif
