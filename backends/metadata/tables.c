/* The tables as data. */
#include "backends/metadata/tables.h"

#define TOLD_OF_TABLE_TOLD(sym) SQL_TOLD_##sym
#define TOLD_OF_TABLE_WHOLE(sym) SQL_COUNT
#define TOLD_OF_TABLE_APART(sym) SQL_COUNT
#define TOLD_OF_TABLE_HOUSE(sym) SQL_COUNT
#define TOLD_OF_TABLE_HERE(sym) SQL_COUNT

const struct meta_table meta_tables[TABLE_COUNT] = {
#define TABLE(sym, sym_scope, sym_keys, sym_key_text, sym_columns, sym_kinds, sym_text)                                    \
	[TABLE_##sym] = { .name = #sym,                                                                                \
			  .scope = sym_scope,                                                                          \
			  .keys = sym_keys,                                                                            \
			  .columns = sym_columns,                                                                      \
			  .kinds = sym_kinds,                                                                          \
			  .key_text = sym_key_text,                                                                    \
			  .text = sym_text,                                                                            \
			  .page = SQL_PAGE_##sym,                                                                      \
			  .insert = SQL_INSERT_##sym,                                                                  \
			  .clear = SQL_CLEAR_##sym,                                                                     \
			  .drop = SQL_DROP_##sym,                                                                       \
			  .bring = SQL_BRING_##sym,                                                                     \
			  .told = TOLD_OF_##sym_scope(sym) },
#include "backends/metadata/tables.tbl.h"
#undef TABLE
};
