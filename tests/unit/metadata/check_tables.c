/* The list of tables is the schema: whoever adds a table or a column to the one adds it to the other. */
#include <sqlite3.h>

#include "backends/metadata/tables.h"
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

static sqlite3_stmt *ask(const char *sql, const char *table)
{
	sqlite3_stmt *st;

	ck_assert_msg(sqlite3_prepare_v2(h, sql, -1, &st, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(h));
	if (table)
		sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	return st;
}

static bool is_listed(const char *name)
{
	for (unsigned t = 0; t < TABLE_COUNT; t++)
		if (!strcmp(meta_tables[t].name, name))
			return true;
	return false;
}

START_TEST(every_table_of_the_schema_is_listed)
{
	sqlite3_stmt *st = ask("SELECT name FROM sqlite_schema WHERE type = 'table'", NULL);
	unsigned seen = 0;

	for (; sqlite3_step(st) == SQLITE_ROW; seen++)
		ck_assert_msg(is_listed((const char *)sqlite3_column_text(st, 0)), "table %s is not in tables.tbl.h",
			      sqlite3_column_text(st, 0));
	ck_assert_uint_eq(seen, TABLE_COUNT);
	sqlite3_finalize(st);
}
END_TEST

/* Is `word` the column number n in a list with ", " between? */
static bool is_nth(const char *list, unsigned n, const char *word)
{
	for (; n; n--) {
		list = strstr(list, ", ");
		if (!list)
			return false;
		list += 2;
	}
	return strcspn(list, ",") == strlen(word) && !strncmp(list, word, strlen(word));
}

static unsigned place_of(const struct meta_table *t, const char *column)
{
	for (unsigned i = 0; i < t->columns; i++)
		if (is_nth(t->text, i, column))
			return i;
	ck_abort_msg("column %s.%s is not in tables.tbl.h", t->name, column);
	return 0;
}

static const char *type_of(char kind)
{
	return kind == 'b' ? "BLOB" : kind == 't' ? "TEXT" : "INTEGER";
}

static void columns_are_the_schemas(const struct meta_table *t)
{
	sqlite3_stmt *st = ask("SELECT name, upper(type), pk FROM pragma_table_info(?1)", t->name);
	unsigned seen = 0;

	ck_assert_msg(strlen(t->kinds) == t->columns, "%s: as many kinds as columns", t->name);
	ck_assert_msg(t->keys <= TABLE_KEYS_MAX && t->columns <= TABLE_COLUMNS_MAX, "%s is too wide", t->name);
	for (; sqlite3_step(st) == SQLITE_ROW; seen++) {
		const char *name = (const char *)sqlite3_column_text(st, 0);
		unsigned pk = (unsigned)sqlite3_column_int(st, 2), at = place_of(t, name);

		ck_assert_msg(!strcmp((const char *)sqlite3_column_text(st, 1), type_of(t->kinds[at])), "%s.%s is %s",
			      t->name, name, sqlite3_column_text(st, 1));
		ck_assert_msg(pk ? at == pk - 1 && is_nth(t->key_text, at, name) : at >= t->keys,
			      "%s.%s: the primary key stands first, in its order", t->name, name);
	}
	ck_assert_msg(seen == t->columns, "%s has %u columns", t->name, seen);
	sqlite3_finalize(st);
}

START_TEST(every_column_is_listed_with_its_kind_and_the_key_first)
{
	for (unsigned t = 0; t < TABLE_COUNT; t++)
		columns_are_the_schemas(&meta_tables[t]);
}
END_TEST

START_TEST(what_is_a_tenants_begins_with_the_tenant)
{
	for (unsigned t = 0; t < TABLE_COUNT; t++)
		if (meta_tables[t].scope < TABLE_HOUSE)
			ck_assert_msg(is_nth(meta_tables[t].text, 0, t == TABLE_tenant ? "id" : "tenant"), "%s",
				      meta_tables[t].name);
}
END_TEST

/* What is a tenant's has to come along when it moves; what says that it stays is about a database. */
START_TEST(every_table_of_a_tenants_says_how_it_comes_along)
{
	for (unsigned t = 0; t < TABLE_COUNT; t++) {
		const struct meta_table *m = &meta_tables[t];
		const bool here = t == TABLE_feed || t == TABLE_route || t == TABLE_moving || t == TABLE_setting || t == TABLE_lease;

		ck_assert_msg((m->scope == TABLE_APART) == (t == TABLE_tenant), "%s", m->name);
		ck_assert_msg((m->scope == TABLE_TOLD) == (m->told != SQL_COUNT), "%s", m->name);
		ck_assert_msg(here || m->scope < TABLE_HOUSE || !strstr(m->text, "tenant"),
			      "table %s has a tenant, and no means by which it moves with it", m->name);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata tables");
	TCase *t = tcase_create("schema");

	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_add_test(t, every_table_of_the_schema_is_listed);
	tcase_add_test(t, every_column_is_listed_with_its_kind_and_the_key_first);
	tcase_add_test(t, what_is_a_tenants_begins_with_the_tenant);
	tcase_add_test(t, every_table_of_a_tenants_says_how_it_comes_along);
	suite_add_tcase(s, t);
	return run_suite(s);
}
