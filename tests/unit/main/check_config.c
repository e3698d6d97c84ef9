/* Configuration files as people write them: what is taken, and what is refused with which file and line. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontends/main/config.h"

static char file[] = "/tmp/check_config.XXXXXX";
static char err[CONFIG_ERR_MAX];

static void file_make(void)
{
	strcpy(file + strlen(file) - 6, "XXXXXX");
	close(mkstemp(file));
}

static void file_remove(void)
{
	unlink(file);
}

static enum gh_status load_bytes(const void *bytes, size_t len, struct config **ret)
{
	FILE *f = fopen(file, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	fclose(f);
	err[0] = 0;
	return config_load(file, ret, err);
}

static struct config *load(const char *text)
{
	struct config *c = NULL;
	enum gh_status st = load_bytes(text, strlen(text), &c);

	ck_assert_msg(st == GH_OK, "refused: %s", err);
	return c;
}

/* The message is FILE:LINE: and holds the words. */
static void refused(const char *text, unsigned line, const char *words)
{
	struct config *c = NULL;
	char head[64];
	enum gh_status st = load_bytes(text, strlen(text), &c);

	if (st == GH_OK)
		st = config_check(c, err);
	ck_assert_msg(st == GH_INVALID, "taken (%d): %s", st, text);
	snprintf(head, sizeof(head), "%s:%u: ", file, line);
	ck_assert_msg(!strncmp(err, head, strlen(head)), "\"%s\" does not begin with \"%s\"", err, head);
	ck_assert_msg(strstr(err, words) != NULL, "\"%s\" does not say \"%s\"", err, words);
	config_free(&c);
}

START_TEST(without_a_file_every_key_has_its_default)
{
	struct config *c = NULL;

	ck_assert_int_eq(config_load(NULL, &c, err), GH_OK);
	ck_assert_int_eq(config_check(c, err), GH_OK);
	ck_assert_str_eq(config_text(c, "data"), "./gatehouse-data");
	ck_assert_str_eq(config_text(c, "listen.http"), "127.0.0.1:8080");
	ck_assert_int_eq(config_number(c, "http.pool"), 65536);
	ck_assert_int_eq(config_number(c, "drain"), 10000);
	ck_assert_int_eq(config_number(c, "uploads.max_size"), 1ll << 40);
	ck_assert_int_eq(config_number(c, "ftp.passive_ports"), 2200 * 65536 + 2299);
	config_free(&c);
	ck_assert_ptr_null(c);
}
END_TEST

START_TEST(an_empty_file_and_one_of_comments_are_good)
{
	struct config *c = load("");

	config_free(&c);
	c = load("# nothing\n\n---\n");
	config_free(&c);
	c = load("listen:\n");
	ck_assert_str_eq(config_text(c, "listen.ftp"), "127.0.0.1:2121");
	config_free(&c);
}
END_TEST

START_TEST(values_are_read_with_their_units)
{
	struct config *c = load("data: /srv/x\n"
				"listen: {http: '[::1]:80', ftp: off}\n"
				"http:\n  pool: 128 KiB\n  idle_timeout: 250ms\n"
				"drain: 2m\n"
				"loops: 3\n"
				"uploads:\n  max_size: 3TiB\n"
				"ftp: {passive_ports: 30000-30009}\n"
				"log: {level: debug}\n");

	ck_assert_str_eq(config_text(c, "data"), "/srv/x");
	ck_assert_str_eq(config_text(c, "listen.http"), "[::1]:80");
	ck_assert_str_eq(config_text(c, "listen.ftp"), "");
	ck_assert_int_eq(config_number(c, "http.pool"), 131072);
	ck_assert_int_eq(config_number(c, "http.idle_timeout"), 250);
	ck_assert_int_eq(config_number(c, "drain"), 120000);
	ck_assert_int_eq(config_number(c, "loops"), 3);
	ck_assert_int_eq(config_number(c, "uploads.max_size"), 3ll << 40);
	ck_assert_str_eq(config_text(c, "log.level"), "debug");
	config_free(&c);
}
END_TEST

static const struct {
	const char *text;
	unsigned line;
	const char *words;
} bad[] = {
	{ "data: /srv\nlistne:\n  http: :80\n", 2, "unknown key \"listne\"" },
	{ "listen:\n  htpp: :80\n", 2, "did you mean \"listen.http\"?" },
	{ "listen:\n  http: :80\n  colour: red\n", 3, "unknown key \"listen.colour\"" },
	{ "listen.http: :80\n", 1, "nested" },
	{ "drain: 10\n", 1, "has no unit" },
	{ "\n\ndrain: 10 parsecs\n", 3, "unknown unit \"parsecs\"" },
	{ "drain: -1s\n", 1, "not a whole number" },
	{ "drain: 1.5s\n", 1, "unknown unit" },
	{ "drain: 2h\n", 1, "out of range" },
	{ "drain: 99999999999999999999s\n", 1, "too large" },
	{ "drain: 9223372036854775807d\n", 1, "too large" },
	{ "http:\n  pool: 64KB\n", 2, "unknown unit \"KB\"" },
	{ "http:\n  pool: 64k\n", 2, "sizes like 64KiB" },
	{ "http:\n  pool: 65536\n", 2, "no unit" },
	{ "http:\n  pool: 1KiB\n", 2, "out of range" },
	{ "loops: two\n", 1, "not a whole number" },
	{ "loops: 2s\n", 1, "without a unit" },
	{ "loops:\n", 1, "not a whole number" },
	{ "loops: 1000\n", 1, "out of range" },
	{ "metadata: mongodb\n", 1, "none of: sqlite" },
	{ "metadata: sql\n", 1, "none of: sqlite" },
	{ "blobs:\n  kind: ''\n", 2, "none of: local" },
	{ "ftp:\n  passive_ports: 2299-2200\n", 2, "range of ports" },
	{ "ftp:\n  passive_ports: 0-99999\n", 2, "range of ports" },
	{ "listen: :80\n", 1, "keys are expected below it" },
	{ "listen: [a, b]\n", 1, "keys are expected below it" },
	{ "data: {a: b}\n", 1, "single value" },
	{ "data: /a\ndrain: 1s\ndata: /b\n", 3, "given twice, first in line 1" },
	{ "listen: {http: ':80'}\nlisten: {http: ':81'}\n", 2, "given twice" },
	{ "- a\n- b\n", 1, "keys are expected" },
	{ "just words\n", 1, "keys are expected" },
	{ "[1, 2]: x\n", 1, "plain word" },
	{ "data: /a\n---\ndata: /b\n", 3, "second document" },
	{ "data: \"/a\n", 2, "" },
	{ "data: a\n\tb: c\n", 2, "" },
	{ "data: *nobody\n", 1, "alias" },
	{ "data: \"/a\\0b\"\n", 1, "NUL" },
	{ "data: \"/a\\nb\"\n", 1, "control character" },
	{ "data: ''\n", 1, "may not be empty" },
	{ "drain: 1s\nuser: no-such-user-here\n", 2, "no system user" },
	{ "listen:\n  http: localhost\n", 2, "not ADDR:PORT" },
	{ "listen:\n  http: 1.2.3.4:99999\n", 2, "not ADDR:PORT" },
	{ "listen:\n  http: 127.0.0.1:7\n  ftp: 127.0.0.1:7\n", 3, "already taken by listen.http" },
	{ "log:\n  path: /no/such/folder/log\n", 2, "No such file" },
	{ "log:\n  access: /\n", 2, "is a folder" },
	{ "data: /etc/passwd\n", 1, "not a folder" },
};

START_TEST(what_is_wrong_is_refused_with_file_and_line)
{
	refused(bad[_i].text, bad[_i].line, bad[_i].words);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_refused_by_name)
{
	struct config *c = NULL;

	ck_assert_int_eq(config_load("/no/such/gatehouse.conf", &c, err), GH_NOTFOUND);
	ck_assert_ptr_nonnull(strstr(err, "/no/such/gatehouse.conf"));
	ck_assert_int_eq(config_load("/", &c, err), GH_INVALID);
	ck_assert_ptr_null(c);
}
END_TEST

START_TEST(bytes_that_are_no_text_are_refused)
{
	static const char bytes[] = "data: /a\xff\xfe\x80\n";
	struct config *c = NULL;

	ck_assert_int_eq(load_bytes(bytes, sizeof(bytes) - 1, &c), GH_INVALID);
	ck_assert_ptr_nonnull(strstr(err, file));
	ck_assert_int_eq(load_bytes("data: a\0b\n", 10, &c), GH_INVALID);
}
END_TEST

START_TEST(deep_nesting_ends_in_a_refusal)
{
	char text[4096];
	struct config *c = NULL;

	strcpy(text, "listen: ");
	for (int i = 0; i < 500; i++)
		strcat(text, "{a: ");
	ck_assert_int_eq(load_bytes(text, strlen(text), &c), GH_INVALID);
}
END_TEST

START_TEST(options_override_the_file_and_are_named_when_wrong)
{
	struct config *c = load("listen: {http: ':80'}\n");
	char where[64];

	ck_assert_int_eq(config_override(c, "listen.http", "127.0.0.1:0", "--http", err), GH_OK);
	ck_assert_str_eq(config_text(c, "listen.http"), "127.0.0.1:0");
	for (size_t i = 0; i < config_key_count; i++) {
		if (strcmp(config_keys[i].name, "listen.http"))
			continue;
		config_where(c, i, where, sizeof(where));
		ck_assert_str_eq(where, "--http");
	}
	ck_assert_int_eq(config_override(c, "listen.http", "nonsense", "--http", err), GH_OK);
	ck_assert_int_eq(config_check(c, err), GH_INVALID);
	ck_assert_ptr_eq(strstr(err, "--http: "), err);
	config_free(&c);
}
END_TEST

static void change_count(void *arg, const char *key)
{
	ck_assert_str_eq(key, "loops");
	++*(int *)arg;
}

START_TEST(only_changes_that_need_a_restart_are_told)
{
	struct config *a = load("loops: 1\ndrain: 1s\n"), *b = load("loops: 2\ndrain: 2s\nlog: {level: debug}\n");
	int n = 0;

	config_changes(a, b, change_count, &n);
	ck_assert_int_eq(n, 1);
	config_free(&a);
	config_free(&b);
}
END_TEST

START_TEST(every_default_in_the_table_is_valid_and_within_its_bounds)
{
	const struct config_key *k = &config_keys[_i];
	int64_t v;

	ck_assert_msg(config_parse_number(k, k->preset, &v, err) == GH_OK, "%s: %s", k->name, err);
	ck_assert_msg(*k->help, "%s has no help", k->name);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, file_make, file_remove);
	tcase_add_test(t, without_a_file_every_key_has_its_default);
	tcase_add_test(t, an_empty_file_and_one_of_comments_are_good);
	tcase_add_test(t, values_are_read_with_their_units);
	tcase_add_loop_test(t, what_is_wrong_is_refused_with_file_and_line, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(t, a_file_that_is_not_there_is_refused_by_name);
	tcase_add_test(t, bytes_that_are_no_text_are_refused);
	tcase_add_test(t, deep_nesting_ends_in_a_refusal);
	tcase_add_test(t, options_override_the_file_and_are_named_when_wrong);
	tcase_add_test(t, only_changes_that_need_a_restart_are_told);
	tcase_add_loop_test(t, every_default_in_the_table_is_valid_and_within_its_bounds, 0, (int)config_key_count);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
