/* The lint of the statements: each compiles, says its name, stays with what every database has, and asks of one tenant
 * only, by an index, unless its row says otherwise. */
#include <ctype.h>
#include <sqlite3.h>

#include "backends/metadata/sql.h"
#include "tests/unit/metadata/help.h"

static struct fix f;
static sqlite3 *h;

static void setup(void)
{
	fix_new(&f);
	ck_assert_int_eq(sqlite3_open_v2(f.path, &h, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
}

static void teardown(void)
{
	sqlite3_close(h);
	fix_free(&f);
}

/* Does text hold word as a word, whatever its case? */
static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strcasestr(p, word)); p += n)
		if ((p == text || !(isalnum((unsigned char)p[-1]) || p[-1] == '_')) &&
		    !(isalnum((unsigned char)p[n]) || p[n] == '_'))
			return true;
	return false;
}

static const char *const tables[] = { "tenant", "node", "version", "part", "blob", "prop", "locks", "lock_seq",
				      "acl_node", "ace", "account", "team", "member", "token", "event", "usage_total" };
#define TABLES (sizeof(tables) / sizeof(tables[0]))

START_TEST(statement_compiles_and_says_its_name)
{
	char sql[16384], name[64];
	sqlite3_stmt *st = NULL;

	snprintf(name, sizeof(name), "/* %s */ ", sql_rows[_i].name);
	ck_assert_msg(!strncmp(sql_rows[_i].text, name, strlen(name)), "%s", sql_rows[_i].name);
	snprintf(sql, sizeof(sql), "EXPLAIN %s", sql_rows[_i].text);
	ck_assert_msg(sqlite3_prepare_v2(h, sql, -1, &st, NULL) == SQLITE_OK, "%s: %s", sql_rows[_i].name,
		      sqlite3_errmsg(h));
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	sqlite3_finalize(st);
}
END_TEST

START_TEST(statement_uses_only_what_every_database_has)
{
	static const char *const forbidden[] = { "now", "nextval", "returning", "json", "ilike", "like", "glob", "replace",
						 "array", "ignore", "rowid", "autoincrement", "collate", "limit -1",
						 "datetime", "strftime", "lower", "upper", "regexp" };
	const char *text = strstr(sql_rows[_i].text, "*/") + 2;

	for (unsigned i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		ck_assert_msg(!has_word(text, forbidden[i]), "%s uses %s", sql_rows[_i].name, forbidden[i]);
	ck_assert_msg(!strchr(text, '$') && !strchr(text, ':') && !strchr(text, '@') && !strchr(text, '"'),
		      "%s: only ?N are placeholders", sql_rows[_i].name);
	for (const char *p = text; (p = strchr(p, '?')); p++)
		ck_assert_msg(isdigit((unsigned char)p[1]), "%s: ? without number", sql_rows[_i].name);
}
END_TEST

/* Names of tables stand behind FROM, JOIN, INTO, UPDATE; each must be held to the tenant by ?1. */
START_TEST(statement_stays_with_its_tenant)
{
	const char *text = sql_rows[_i].text, *w;
	unsigned uses = 0, held = 0;

	if (sql_rows[_i].flags & SQL_GLOBAL)
		return;
	for (unsigned t = 0; t < TABLES; t++) {
		static const char *const before[] = { "FROM ", "JOIN ", "INTO ", "UPDATE " };

		for (unsigned k = 0; k < 4; k++) {
			char find[64];

			snprintf(find, sizeof(find), "%s%s", before[k], tables[t]);
			for (const char *p = text; (p = strstr(p, find)); p += strlen(find))
				uses += !isalnum((unsigned char)p[strlen(find)]) && p[strlen(find)] != '_';
		}
	}
	for (w = text; (w = strstr(w, "tenant = ?1")); w++)
		held++;
	for (w = text; (w = strstr(w, "id = ?1")); w++)
		held += w[-1] == '.' || w[-1] == ' '; /* the tenant table itself */
	for (w = text; (w = strstr(w, "SELECT ?1,")); w++)
		held++; /* what is inserted is the tenant's */
	for (w = text; (w = strstr(w, "VALUES (?1,")); w++)
		held++;
	ck_assert_msg(uses > 0 && held >= uses, "%s names %u tables and holds %u to the tenant", sql_rows[_i].name, uses,
		      held);
}
END_TEST

START_TEST(step_happens_only_with_its_event)
{
	const char *text = sql_rows[_i].text;

	if (!(sql_rows[_i].flags & SQL_STEP) || strstr(text, "INSERT INTO event"))
		return;
	ck_assert_msg(strstr(text, "EXISTS (SELECT 1 FROM event e WHERE e.tenant = ?1 AND e.op = ?2)"), "%s",
		      sql_rows[_i].name);
}
END_TEST

START_TEST(statement_finds_its_rows_by_an_index)
{
	char sql[16384];
	sqlite3_stmt *st = NULL;

	/* fsck reads everything of a tenant; its predicates are checked above */
	if (sql_rows[_i].flags & (SQL_SCANS | SQL_GLOBAL))
		return;
	snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", sql_rows[_i].text);
	ck_assert_int_eq(sqlite3_prepare_v2(h, sql, -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *detail = (const char *)sqlite3_column_text(st, 3);

		if (strncmp(detail, "SCAN ", 5) || !strncmp(detail, "SCAN CONSTANT", 13))
			continue;
		/* what a statement made itself is small, or of one tenant */
		ck_assert_msg(!strncmp(detail, "SCAN up", 7) || !strncmp(detail, "SCAN reach", 10) ||
				      !strncmp(detail, "SCAN r", 6) || !strncmp(detail, "SCAN a", 6) ||
				      !strncmp(detail, "SCAN u", 6) || !strncmp(detail, "SCAN (", 6),
			      "%s: %s", sql_rows[_i].name, detail);
		for (unsigned t = 0; t < TABLES; t++)
			ck_assert_msg(!has_word(detail + 5, tables[t]) || strstr(detail, "SUBQUERY"), "%s: %s",
				      sql_rows[_i].name, detail);
	}
	sqlite3_finalize(st);
}
END_TEST

START_TEST(tables_are_strict_and_compared_columns_are_not_text)
{
	sqlite3_stmt *st;
	unsigned strict = 0;

	ck_assert_int_eq(sqlite3_prepare_v2(h, "SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main'"
					       " AND name NOT LIKE 'sqlite%'", -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		ck_assert_msg(sqlite3_column_int(st, 1) && sqlite3_column_int(st, 2), "%s is not STRICT, WITHOUT ROWID",
			      sqlite3_column_text(st, 0));
		strict++;
	}
	sqlite3_finalize(st);
	ck_assert_uint_eq(strict, TABLES + 1); /* and schema_version */
	ck_assert_int_eq(sqlite3_prepare_v2(h, "SELECT m.name, c.name FROM sqlite_schema m, pragma_index_list(m.name) l,"
					       " pragma_index_info(l.name) i, pragma_table_info(m.name) c"
					       " WHERE m.type = 'table' AND c.cid = i.cid AND c.type = 'TEXT'",
					    -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		ck_abort_msg("%s.%s is text in an index", sqlite3_column_text(st, 0), sqlite3_column_text(st, 1));
	sqlite3_finalize(st);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata statements");
	TCase *t = tcase_create("lint");

	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, statement_compiles_and_says_its_name, 0, SQL_COUNT);
	tcase_add_loop_test(t, statement_uses_only_what_every_database_has, 0, SQL_COUNT);
	tcase_add_loop_test(t, statement_stays_with_its_tenant, 0, SQL_COUNT);
	tcase_add_loop_test(t, step_happens_only_with_its_event, 0, SQL_COUNT);
	tcase_add_loop_test(t, statement_finds_its_rows_by_an_index, 0, SQL_COUNT);
	tcase_add_test(t, tables_are_strict_and_compared_columns_are_not_text);
	suite_add_tcase(s, t);
	return run_suite(s);
}
