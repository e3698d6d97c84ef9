/* The texts of the statements. Constant data. */
#include "backends/metadata/sql.h"

#include "backends/metadata/sql_parts.h"

const struct sql_row sql_rows[SQL_COUNT] = {
#define X(sym, sym_flags, sym_text) [SQL_##sym] = { #sym, sym_flags, "/* " #sym " */ " sym_text },
#include "backends/metadata/sql.tbl.h"
#undef X
};
