/* The lint of the statements: each compiles, says its name, stays with what every database has, and asks of one tenant
 * only, by an index, unless its row says otherwise. */
#include <ctype.h>
#include <sqlite3.h>

#include "backends/metadata/sql.h"
#include "backends/metadata/tables.h"
#include "tests/unit/metadata/help.h"

static struct fix f;
static sqlite3 *h;

/* In the place of the driver's (sql.h). */
static void number(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	(void)argc;
	(void)argv;
	sqlite3_result_int64(ctx, 1);
}

static void setup(void)
{
	static const struct {
		const char *name;
		int args;
	} own[] = { { "gh_pos", 0 }, { "gh_horizon", 0 }, { "gh_next_pos", 0 }, { "gh_history", 0 }, { "gh_which_log", 0 }, { "gh_snapshot", 0 }, { "gh_seen", 2 } };

	fix_new(&f);
	ck_assert_int_eq(sqlite3_open_v2(f.path, &h, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sqlite3_create_function(h, own[i].name, own[i].args, SQLITE_UTF8, NULL, number, NULL, NULL);
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

#define TABLES ((unsigned)TABLE_COUNT)

static void statement_compiles_and_says_its_name(const struct sql_row *row)
{
	char sql[16384], name[64];
	sqlite3_stmt *st = NULL;

	snprintf(name, sizeof(name), "/* %s */ ", row->name);
	ck_assert_msg(!strncmp(row->text, name, strlen(name)), "%s", row->name);
	snprintf(sql, sizeof(sql), "EXPLAIN %s", row->text);
	ck_assert_msg(sqlite3_prepare_v2(h, sql, -1, &st, NULL) == SQLITE_OK, "%s: %s", row->name,
		      sqlite3_errmsg(h));
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	sqlite3_finalize(st);
}

static void statement_uses_only_what_every_database_has(const struct sql_row *row)
{
	static const char *const forbidden[] = { "now", "nextval", "returning", "json", "ilike", "like", "glob", "replace",
						 "array", "ignore", "rowid", "autoincrement", "collate", "limit -1",
						 "datetime", "strftime", "lower", "upper", "regexp" };
	const char *text = strstr(row->text, "*/") + 2;

	for (unsigned i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		ck_assert_msg(!has_word(text, forbidden[i]), "%s uses %s", row->name, forbidden[i]);
	ck_assert_msg(!strchr(text, '$') && !strchr(text, ':') && !strchr(text, '@') && !strchr(text, '"'),
		      "%s: only ?N are placeholders", row->name);
	for (const char *p = text; (p = strchr(p, '?')); p++)
		ck_assert_msg(isdigit((unsigned char)p[1]), "%s: ? without number", row->name);
}

/* Names of tables stand behind FROM, JOIN, INTO, UPDATE; each must be held to the tenant by ?1. */
static void statement_stays_with_its_tenant(const struct sql_row *row)
{
	const char *text = row->text, *w;
	unsigned uses = 0, held = 0;

	if (row->flags & SQL_GLOBAL)
		return;
	for (unsigned t = 0; t < TABLES; t++) {
		static const char *const before[] = { "FROM ", "JOIN ", "INTO ", "UPDATE " };

		for (unsigned k = 0; k < 4; k++) {
			char find[64];

			snprintf(find, sizeof(find), "%s%s", before[k], meta_tables[t].name);
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
	ck_assert_msg(uses > 0 && held >= uses, "%s names %u tables and holds %u to the tenant", row->name, uses,
		      held);
}

static void step_happens_only_with_its_event(const struct sql_row *row)
{
	const char *text = row->text;

	if (!(row->flags & SQL_STEP) || strstr(text, "INSERT INTO event"))
		return;
	ck_assert_msg(strstr(text, "EXISTS (SELECT 1 FROM event e WHERE e.tenant = ?1 AND e.op = ?2)"), "%s",
		      row->name);
}

/* Nothing else is asked, nothing else is read. */
static void sure_step_depends_on_its_event_alone(const struct sql_row *row)
{
	static const char ev[] = " WHERE EXISTS (SELECT 1 FROM event e WHERE e.tenant = ?1 AND e.op = ?2)";
	const char *text = strstr(row->text, "*/") + 3;
	const size_t len = strlen(text);

	if (!(row->flags & SQL_SURE))
		return;
	ck_assert_msg(row->flags & SQL_STEP && !strncmp(text, "INSERT INTO ", 12) && len > sizeof(ev) &&
			      !strcmp(text + len - (sizeof(ev) - 1), ev) && strstr(text, "WHERE") == strstr(text, ev) + 1,
		      "%s", row->name);
	ck_assert_msg(strstr(text, "FROM") == strstr(text, "FROM event e"), "%s", row->name);
}

static void statement_finds_its_rows_by_an_index(const struct sql_row *row)
{
	char sql[16384];
	sqlite3_stmt *st = NULL;

	/* fsck reads everything of a tenant; its predicates are checked above */
	if (row->flags & (SQL_SCANS | SQL_GLOBAL))
		return;
	snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", row->text);
	ck_assert_int_eq(sqlite3_prepare_v2(h, sql, -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *detail = (const char *)sqlite3_column_text(st, 3);

		if (strncmp(detail, "SCAN ", 5) || !strncmp(detail, "SCAN CONSTANT", 13))
			continue;
		/* what a statement made itself is small, or of one tenant */
		ck_assert_msg(!strncmp(detail, "SCAN up", 7) || !strncmp(detail, "SCAN reach", 10) ||
				      !strncmp(detail, "SCAN r", 6) || !strncmp(detail, "SCAN a", 6) ||
				      !strncmp(detail, "SCAN u", 6) || !strncmp(detail, "SCAN (", 6),
			      "%s: %s", row->name, detail);
		for (unsigned t = 0; t < TABLES; t++)
			ck_assert_msg(!has_word(detail + 5, meta_tables[t].name) || strstr(detail, "SUBQUERY"), "%s: %s",
				      row->name, detail);
	}
	sqlite3_finalize(st);
}

/* One process for a rule over all statements: a fork for each costs minutes under a sanitizer. */
#define FOR_ALL(test, rule)                                 \
	START_TEST(test)                                    \
	{                                                   \
		for (unsigned i = 0; i < SQL_COUNT; i++)     \
			rule(&sql_rows[i]);                  \
	}                                                   \
	END_TEST

FOR_ALL(statements_compile_and_say_their_names, statement_compiles_and_says_its_name)
FOR_ALL(statements_use_only_what_every_database_has, statement_uses_only_what_every_database_has)
FOR_ALL(statements_stay_with_their_tenant, statement_stays_with_its_tenant)
FOR_ALL(steps_happen_only_with_their_event, step_happens_only_with_its_event)
FOR_ALL(sure_steps_depend_on_their_event_alone, sure_step_depends_on_its_event_alone)
FOR_ALL(statements_find_their_rows_by_an_index, statement_finds_its_rows_by_an_index)

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
	ck_assert_uint_eq(strict, TABLES);
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
	tcase_add_test(t, statements_compile_and_say_their_names);
	tcase_add_test(t, statements_use_only_what_every_database_has);
	tcase_add_test(t, statements_stay_with_their_tenant);
	tcase_add_test(t, steps_happen_only_with_their_event);
	tcase_add_test(t, sure_steps_depend_on_their_event_alone);
	tcase_add_test(t, statements_find_their_rows_by_an_index);
	tcase_add_test(t, tables_are_strict_and_compared_columns_are_not_text);
	suite_add_tcase(s, t);
	return run_suite(s);
}
