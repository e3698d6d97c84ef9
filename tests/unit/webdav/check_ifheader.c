/* The If header and the lock headers, RFC 4918 sections 10.4 to 10.7. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/webdav/dav.h"

static struct gh_arena *arena;
static struct vfs_cond cond;
static const struct gh_name_rule rule = { .case_sensitive = false };

static void setup(void)
{
	arena = gh_arena_new((size_t)1 << 20);
	memset(&cond, 0, sizeof(cond));
}

static void teardown(void)
{
	gh_arena_free(&arena);
}

static enum gh_status parse(const char *text)
{
	return dav_if_parse(arena, text, &(struct dav_here){ .host = "h:1" }, &rule, &cond);
}

START_TEST(one_token_in_one_list)
{
	ck_assert_int_eq(parse("(<urn:uuid:1>)"), GH_OK);
	ck_assert_uint_eq(cond.list_count, 1);
	ck_assert_uint_eq(cond.lists[0].count, 1);
	ck_assert_str_eq(cond.lists[0].conds[0].token, "urn:uuid:1");
	ck_assert(!cond.lists[0].conds[0].negate);
	ck_assert_ptr_null(cond.lists[0].path);
	ck_assert_uint_eq(cond.token_count, 1);
	ck_assert_str_eq(cond.tokens[0], "urn:uuid:1");
}
END_TEST

START_TEST(lists_are_alternatives_and_conditions_within_one_belong_together)
{
	ck_assert_int_eq(parse(" (<a:1> [\"0000000000000abc\"]) \t(Not <b:2> not<c:3>)(Not[W/\"x\"])"), GH_OK);
	ck_assert_uint_eq(cond.list_count, 3);
	ck_assert_uint_eq(cond.lists[0].count, 2);
	ck_assert_ptr_null(cond.lists[0].conds[1].token);
	ck_assert_uint_eq(cond.lists[0].conds[1].version, 0xabc);
	ck_assert_uint_eq(cond.lists[1].count, 2);
	ck_assert(cond.lists[1].conds[0].negate && cond.lists[1].conds[1].negate);
	ck_assert_str_eq(cond.lists[1].conds[1].token, "c:3");
	ck_assert(cond.lists[2].conds[0].negate);
	ck_assert_uint_eq(cond.lists[2].conds[0].version, 0);
	ck_assert_uint_eq(cond.token_count, 3);
}
END_TEST

START_TEST(foreign_weak_and_odd_etags_are_well_formed_and_match_nothing)
{
	static const char *const tags[] = {
		"(  [W/\"0000000000000abc\"])", "([\"\"])",      "([\"0000000000000ABC\"])",
		"([\"abc]) <x> (\"])",          "([ \"a b\" ])", "([\"000000000000000g\"])"
	};

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		ck_assert_msg(parse(tags[i]) == GH_OK, "%s", tags[i]);
		ck_assert_uint_eq(cond.lists[0].conds[0].version, 0);
	}
}
END_TEST

START_TEST(a_tag_holds_for_the_lists_behind_it)
{
	ck_assert_int_eq(parse("<http://h/dav/a/b%20c> (<t:1>) ([\"x\"]) </dav/d> (<t:2>)"), GH_OK);
	ck_assert_uint_eq(cond.list_count, 3);
	ck_assert_str_eq(cond.lists[0].path->text, "/a/b c");
	ck_assert_str_eq(cond.lists[1].path->text, "/a/b c");
	ck_assert_str_eq(cond.lists[2].path->text, "/d");
	ck_assert(!cond.lists[0].foreign);
	ck_assert_uint_eq(cond.token_count, 2);
}
END_TEST

START_TEST(a_tag_that_names_nothing_of_ours_makes_its_lists_foreign)
{
	static const char *const tags[] = { "<http://other/dav/a> (<t:1>)", "</elsewhere> (<t:1>)",
					    "</dav/%00> (<t:1>)", "</dav/../x> (<t:1>)", "<urn://x/y> (<t:1>)" };

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		ck_assert_msg(parse(tags[i]) == GH_OK, "%s", tags[i]);
		ck_assert(cond.lists[0].foreign);
		ck_assert_ptr_null(cond.lists[0].path);
		ck_assert_uint_eq(cond.token_count, 1); /* submitted all the same */
	}
}
END_TEST

START_TEST(a_well_formed_header_with_an_unknown_token_is_never_malformed)
{
	static const char *const good[] = { "(<a>)",
					    "(<DAV:no-lock>)",
					    "(Not <DAV:no-lock>)",
					    "(<a)b(c> <d>)",
					    "(<opaquelocktoken:not-a-uuid>)",
					    "(<t:1>)(<t:2>)(<t:3>)" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(parse(good[i]) == GH_OK, "%s", good[i]);
}
END_TEST

START_TEST(a_malformed_header_is_refused)
{
	static const char *const bad[] = {
		"",
		" ",
		"(",
		")",
		"()",
		"( )",
		"(<",
		"(<>",
		"(<>)",
		"([",
		"([)",
		"([])",
		"([\"a\")",
		"([\"a])",
		"(Not",
		"(Not)",
		"(Not Not <a>)",
		"(<a>",
		"<a>",
		"<a> <b> (<c>)",
		"((<a>))",
		"(<a>))",
		"(<a>) <http://h/dav/x> (<b>)",
		"</dav/x>",
		"</dav/x> (<a>) </dav/y>",
		"(<a b>)",
		"(<a<b>)",
		"(<a>) x",
		"x (<a>)",
		"([W/a])",
		"([w/\"a\"])",
		"(\"a\")",
		"<http://",
		"(<a>,<b>)",
		"(No <a>)",
		"<> (<a>)",
		"<x y> (<a>)",
		"([\"a\x01\"])",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(parse(bad[i]) == GH_INVALID, "%s", bad[i]);
}
END_TEST

START_TEST(the_largest_header_fits_into_a_request)
{
	char *text = malloc(DAV_IF_MAX + 1);
	size_t n = 0;

	while (n + 5 <= DAV_IF_MAX) {
		memcpy(text + n, "(<a>)", 5);
		n += 5;
	}
	text[n] = 0;
	ck_assert_int_eq(parse(text), GH_OK);
	ck_assert_uint_eq(cond.list_count, DAV_IF_MAX / 5);
	ck_assert_uint_eq(cond.token_count, DAV_IF_MAX / 5);
	free(text);
}
END_TEST

START_TEST(a_lock_token_comes_with_brackets_or_without)
{
	ck_assert_str_eq(dav_token_parse(arena, "<urn:uuid:1>"), "urn:uuid:1");
	ck_assert_str_eq(dav_token_parse(arena, " urn:uuid:1 "), "urn:uuid:1");
	ck_assert_ptr_null(dav_token_parse(arena, ""));
	ck_assert_ptr_null(dav_token_parse(arena, "<>"));
	ck_assert_ptr_null(dav_token_parse(arena, "<a"));
	ck_assert_ptr_null(dav_token_parse(arena, "a b"));
	ck_assert_ptr_null(dav_token_parse(arena, "<a><b>"));
}
END_TEST

START_TEST(the_first_timeout_that_is_understood_counts)
{
	ck_assert_uint_eq(dav_timeout_parse(NULL), 0);
	ck_assert_uint_eq(dav_timeout_parse("Infinite, Second-4100000000"), 0);
	ck_assert_uint_eq(dav_timeout_parse("Second-3600"), 3600);
	ck_assert_uint_eq(dav_timeout_parse("Extend, second-60, Infinite"), 60);
	ck_assert_uint_eq(dav_timeout_parse("Second-99999999999999999999"), UINT32_MAX);
	ck_assert_uint_eq(dav_timeout_parse("Second-0"), 1);
	ck_assert_uint_eq(dav_timeout_parse("Second-"), 0);
	ck_assert_uint_eq(dav_timeout_parse("rubbish"), 0);
}
END_TEST

START_TEST(depth_is_one_of_four_words)
{
	bool noroot;

	ck_assert_int_eq(dav_depth(NULL, &noroot), DAV_DEPTH_ABSENT);
	ck_assert_int_eq(dav_depth("0", &noroot), DAV_DEPTH_0);
	ck_assert_int_eq(dav_depth("1", &noroot), DAV_DEPTH_1);
	ck_assert_int_eq(dav_depth("Infinity", &noroot), DAV_DEPTH_INFINITY);
	ck_assert(!noroot);
	ck_assert_int_eq(dav_depth("1,noroot", &noroot), DAV_DEPTH_1);
	ck_assert(noroot);
	ck_assert_int_eq(dav_depth("2", &noroot), DAV_DEPTH_BAD);
	ck_assert_int_eq(dav_depth("", &noroot), DAV_DEPTH_BAD);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("if header");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_token_in_one_list);
	tcase_add_test(t, lists_are_alternatives_and_conditions_within_one_belong_together);
	tcase_add_test(t, foreign_weak_and_odd_etags_are_well_formed_and_match_nothing);
	tcase_add_test(t, a_tag_holds_for_the_lists_behind_it);
	tcase_add_test(t, a_tag_that_names_nothing_of_ours_makes_its_lists_foreign);
	tcase_add_test(t, a_well_formed_header_with_an_unknown_token_is_never_malformed);
	tcase_add_test(t, a_malformed_header_is_refused);
	tcase_add_test(t, the_largest_header_fits_into_a_request);
	tcase_add_test(t, a_lock_token_comes_with_brackets_or_without);
	tcase_add_test(t, the_first_timeout_that_is_understood_counts);
	tcase_add_test(t, depth_is_one_of_four_words);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
