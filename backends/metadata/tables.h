/* Every table with its columns (tables.tbl.h), for what carries whole rows from one database to another without asking what
 * they mean: into another kind of database, or a tenant to another shard. Constant data; any thread. */
#ifndef GH_BACKENDS_METADATA_TABLES_H
#define GH_BACKENDS_METADATA_TABLES_H

#include "backends/metadata/sql.h"

enum table_scope { TABLE_TOLD, TABLE_WHOLE, TABLE_APART, TABLE_HOUSE, TABLE_HERE };

enum table_id {
#define TABLE(name, scope, keys, key_text, columns, kinds, text) TABLE_##name,
#include "backends/metadata/tables.tbl.h"
#undef TABLE
	TABLE_COUNT
};

#define TABLE_KEYS_MAX 4
#define TABLE_COLUMNS_MAX 24

struct meta_table {
	const char *name;
	enum table_scope scope;
	unsigned keys, columns; /* the first `keys` columns are the primary key */
	const char *kinds;	/* a letter for each column: tables.tbl.h */
	const char *key_text, *text; /* the names, with ", " between them */
	enum sql_id page;	/* ?1..?keys: the last key that was seen; ?keys+1: how many; whole rows in the key's order */
	enum sql_id insert;	/* ?1..?columns */
	enum sql_id clear;	/* no arguments: every row */
	enum sql_id drop;	/* ?1..?keys */
	enum sql_id bring;	/* as insert; nothing where its place is taken */
	enum sql_id told;	/* of TABLE_TOLD, else SQL_COUNT: ?1 the tenant, ?2..?17 names; whole rows */
};
extern const struct meta_table meta_tables[TABLE_COUNT];
#define TOLD_NAMES 16 /* of one statement; usage_change: pairs of a user and an operation */

#endif
