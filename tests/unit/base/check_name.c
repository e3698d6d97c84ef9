/* The canonicaliser: what it refuses, what it keeps, where its limits are. name_reference.py compares it with a second
 * one on random names; here stand the cases that somebody must be able to read. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/name.h"

static struct gh_arena *arena;
static const struct gh_name_rule folding = { .case_sensitive = false };
static const struct gh_name_rule exact = { .case_sensitive = true };

static void setup(void)
{
	arena = gh_arena_new(4 << 20);
}

static void teardown(void)
{
	gh_arena_free(&arena);
}

static struct gh_path *parse(const char *s, unsigned flags)
{
	struct gh_path *p = NULL;

	ck_assert_msg(gh_path_parse(arena, s, strlen(s), flags, &folding, &p) == GH_OK, "%s", s);
	return p;
}

static enum gh_status refusal(const char *s, size_t len, unsigned flags)
{
	struct gh_path *untouched = (struct gh_path *)&arena, *p = untouched;
	enum gh_status st = gh_path_parse(arena, s, len, flags, &folding, &p);

	ck_assert(st == GH_OK || p == untouched);
	return st;
}

#define TEXT(s, flags, want) ck_assert_str_eq(parse(s, flags)->text, want)
#define KEY(s, want) ck_assert_str_eq(parse(s, 0)->key, want)
#define REFUSED(s, flags, want) ck_assert_int_eq(refusal(s, sizeof(s) - 1, flags), want)

START_TEST(dots_and_empty_segments_vanish)
{
	TEXT("", 0, "/");
	TEXT("/", 0, "/");
	TEXT("//", 0, "/");
	TEXT(".", 0, "/");
	TEXT("a", 0, "/a");
	TEXT("/a//b/./c", 0, "/a/b/c");
	TEXT("/a/%2e/b", GH_PATH_PERCENT, "/a/b");
	TEXT("/.../a.", 0, "/.../a.");
	ck_assert_uint_eq(parse("/a//b/./c", 0)->depth, 3);
	ck_assert_uint_eq(parse("//./", 0)->depth, 0);
}
END_TEST

START_TEST(a_trailing_slash_is_remembered)
{
	ck_assert(!parse("", 0)->trailing_slash);
	ck_assert(parse("/", 0)->trailing_slash);
	ck_assert(!parse("/a", 0)->trailing_slash);
	ck_assert(parse("/a/", 0)->trailing_slash);
	ck_assert(parse("/a/.", 0)->trailing_slash);
	ck_assert(parse("/a/b/..", GH_PATH_CLIMB)->trailing_slash);
	ck_assert(!parse("/a/./b", 0)->trailing_slash);
}
END_TEST

START_TEST(dot_dot_climbs_only_where_it_is_asked_to)
{
	REFUSED("/a/../b", 0, GH_BADNAME);
	REFUSED("..", 0, GH_BADNAME);
	REFUSED("/a/%2e%2E/b", GH_PATH_PERCENT, GH_BADNAME);
	REFUSED("/a/.%2e", GH_PATH_PERCENT, GH_BADNAME);
	TEXT("/a/../b", GH_PATH_CLIMB, "/b");
	TEXT("/../../b", GH_PATH_CLIMB, "/b");
	TEXT("/a/b/c/../../d", GH_PATH_CLIMB, "/a/d");
	TEXT("/A/..", GH_PATH_CLIMB, "/");
	ck_assert_str_eq(parse("/A/B/../C", GH_PATH_CLIMB)->key, "/a/c");
}
END_TEST

START_TEST(percent_is_decoded_once_and_only_where_it_is_asked_for)
{
	TEXT("/a%20b", GH_PATH_PERCENT, "/a b");
	TEXT("/a%20b", 0, "/a%20b");
	TEXT("/a%2520b", GH_PATH_PERCENT, "/a%20b");
	TEXT("/%c3%A9", GH_PATH_PERCENT, "/\xc3\xa9");
	TEXT("/%252e%252e", GH_PATH_PERCENT, "/%2e%2e");
	REFUSED("/a%", GH_PATH_PERCENT, GH_BADNAME);
	REFUSED("/a%2", GH_PATH_PERCENT, GH_BADNAME);
	REFUSED("/a%/20", GH_PATH_PERCENT, GH_BADNAME);
	REFUSED("/a%2/0", GH_PATH_PERCENT, GH_BADNAME);
	REFUSED("/a%zz", GH_PATH_PERCENT, GH_BADNAME);
	REFUSED("/a%2g", GH_PATH_PERCENT, GH_BADNAME);
	REFUSED("/a%2Fb", GH_PATH_PERCENT, GH_BADNAME);
	REFUSED("/a%5cb", GH_PATH_PERCENT, GH_BADNAME);
}
END_TEST

START_TEST(what_could_lie_is_refused)
{
	char one[4] = "/a?";

	for (int c = 0; c < 0x20; c++) {
		one[2] = (char)c;
		ck_assert_int_eq(refusal(one, 3, 0), GH_BADNAME);
	}
	REFUSED("/a\x7f", 0, GH_BADNAME);
	REFUSED("/a%00.txt", GH_PATH_PERCENT, GH_BADNAME);
	REFUSED("/a%0d%0aDELE x", GH_PATH_PERCENT, GH_BADNAME);
	REFUSED("/a\\b", 0, GH_BADNAME);
	REFUSED("/\xc2\x85", 0, GH_BADNAME);         /* C1 */
	REFUSED("/%c0%af", GH_PATH_PERCENT, GH_BADNAME); /* overlong slash */
	REFUSED("/\xe0\x80\xaf", 0, GH_BADNAME);
	REFUSED("/\xed\xa0\x80", 0, GH_BADNAME);     /* surrogate */
	REFUSED("/\x80", 0, GH_BADNAME);
	REFUSED("/\xe2\x82", 0, GH_BADNAME);         /* cut short */
	REFUSED("/\xf4\x90\x80\x80", 0, GH_BADNAME); /* above U+10FFFF */
	REFUSED("/\xef\xbf\xbf", 0, GH_BADNAME);     /* U+FFFF */
	REFUSED("/\xef\xb7\x90", 0, GH_BADNAME);     /* U+FDD0 */
	REFUSED("/\xcd\xb8", 0, GH_BADNAME);         /* U+0378, unassigned */
	REFUSED("/good/\xff/x", 0, GH_BADNAME);
}
END_TEST

START_TEST(every_spelling_of_a_name_has_one_key)
{
	TEXT("/e\xcc\x81", 0, "/\xc3\xa9");              /* NFD becomes NFC */
	KEY("/E\xcc\x81", "/\xc3\xa9");
	KEY("/README.TXT", "/readme.txt");
	KEY("/\xce\xa3\xcf\x82\xcf\x83", "/\xcf\x83\xcf\x83\xcf\x83"); /* all sigmas */
	KEY("/\xe2\x84\xaa", "/k");                      /* Kelvin sign; its NFC is K */
	TEXT("/\xe2\x84\xaa", 0, "/K");
	KEY("/\xc5\xbf", "/s");                          /* long s */
	KEY("/stra\xc3\x9f" "e", "/stra\xc3\x9f" "e");   /* not strasse */
	KEY("/STRA\xe1\xba\x9e" "E", "/stra\xc3\x9f" "e");
	KEY("/\xc4\xb0", "/\xc4\xb0");                   /* dotted capital I stays */
	KEY("/I", "/i");
	KEY("/\xc4\xb1", "/\xc4\xb1");                   /* dotless i stays */
	KEY("/\xea\xad\xb0", "/\xe1\x8e\xa0");           /* Cherokee folds upwards */
	TEXT("/\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", 0, "/\xea\xb0\x81"); /* jamo become a syllable */
	/* U+11A7 is no trailing jamo, and must not vanish into the syllable before it */
	TEXT("/\xea\xb0\x80\xe1\x86\xa7", 0, "/\xea\xb0\x80\xe1\x86\xa7");
	TEXT("/\xe1\x86\xa7\xe1\x86\xa7" "e\xcc\x81\xe1\x86\xa7", 0, "/\xe1\x86\xa7\xe1\x86\xa7\xc3\xa9\xe1\x86\xa7");
}
END_TEST

START_TEST(a_case_sensitive_tenant_keys_by_the_name)
{
	struct gh_path *p;

	ck_assert_int_eq(gh_path_parse(arena, "/Ab/E\xcc\x81", 7, 0, &exact, &p), GH_OK);
	ck_assert_str_eq(p->text, "/Ab/\xc3\x89");
	ck_assert_str_eq(p->key, "/Ab/\xc3\x89");
	ck_assert_str_eq(p->comp[1].key, "\xc3\x89");
	ck_assert_uint_eq(p->comp[1].key_len, 2);
}
END_TEST

/* n times s behind a slash. */
static char *repeat(const char *head, const char *s, unsigned n)
{
	struct gh_arena *a = arena;
	char *out = gh_alloc(a, strlen(head) + strlen(s) * n + 1);

	strcpy(out, head);
	for (unsigned i = 0; i < n; i++)
		strcat(out, s);
	return out;
}

#define STATUS_OF(s, flags) refusal(s, strlen(s), flags)

START_TEST(limits_are_where_they_are_said_to_be)
{
	ck_assert_int_eq(STATUS_OF(repeat("/", "a", 255), 0), GH_OK);
	ck_assert_int_eq(STATUS_OF(repeat("/", "a", 256), 0), GH_TOOLONG);
	ck_assert_int_eq(STATUS_OF(repeat("/", "%41", 255), GH_PATH_PERCENT), GH_OK);
	ck_assert_int_eq(STATUS_OF(repeat("/", "%41", 256), GH_PATH_PERCENT), GH_TOOLONG);
	/* measured after NFC: 381 bytes sent, 254 kept */
	ck_assert_int_eq(STATUS_OF(repeat("/", "e\xcc\x81", 127), 0), GH_OK);
	ck_assert_int_eq(STATUS_OF(repeat("/", "e\xcc\x81", 128), 0), GH_TOOLONG);
	/* NFC can lengthen: U+0958 stays apart in two */
	ck_assert_int_eq(STATUS_OF(repeat("/", "\xe0\xa5\x98", 42), 0), GH_OK);
	ck_assert_int_eq(STATUS_OF(repeat("/", "\xe0\xa5\x98", 43), 0), GH_TOOLONG);
	/* and so can the key: U+023A, two bytes, folds to three */
	ck_assert_int_eq(STATUS_OF(repeat("/", "\xc8\xba", 85), 0), GH_OK);
	ck_assert_int_eq(STATUS_OF(repeat("/", "\xc8\xba", 86), 0), GH_TOOLONG);
	ck_assert_int_eq(STATUS_OF(repeat("", "/a", 128), 0), GH_OK);
	ck_assert_int_eq(STATUS_OF(repeat("", "/a", 129), 0), GH_TOOLONG);
	ck_assert_int_eq(STATUS_OF(repeat("", "/a/..", 800), GH_PATH_CLIMB), GH_OK);
	ck_assert_int_eq(STATUS_OF(repeat("", "/0123456789012345678901234567890", 128), 0), GH_OK); /* 4096 */
	ck_assert_int_eq(STATUS_OF(repeat("x", "/0123456789012345678901234567890", 127), 0), GH_OK);
	ck_assert_int_eq(STATUS_OF(repeat("", "/", 4096), 0), GH_OK);
	ck_assert_int_eq(STATUS_OF(repeat("", "/", 4097), 0), GH_TOOLONG);
	ck_assert_int_eq(STATUS_OF(repeat("/", "a", 65535), 0), GH_TOOLONG);
	/* the limit is on what the bytes mean: a long href of a short path is well */
	ck_assert_int_eq(STATUS_OF(repeat("", "/%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82", 100), GH_PATH_PERCENT),
			 GH_OK);
	ck_assert_int_eq(STATUS_OF(repeat("", "%", 12288), GH_PATH_PERCENT), GH_TOOLONG);
	ck_assert_int_eq(STATUS_OF(repeat(repeat("", "a", 8000), "%", 4000), GH_PATH_PERCENT), GH_TOOLONG);
}
END_TEST

START_TEST(an_arena_that_is_full_says_so)
{
	struct gh_arena *small = gh_arena_new(64);
	struct gh_path *p;

	ck_assert_int_eq(gh_path_parse(small, "/some/path/that/is/longer", 25, 0, &folding, &p), GH_NOMEM);
	gh_arena_free(&small);
}
END_TEST

START_TEST(parents_and_children_keep_their_texts)
{
	struct gh_path *p = parse("/Foo/B\xc3\x84R/c", 0), *up, *down;

	up = gh_path_parent(arena, p);
	ck_assert_str_eq(up->text, "/Foo/B\xc3\x84R");
	ck_assert_str_eq(up->key, "/foo/b\xc3\xa4r");
	ck_assert_uint_eq(up->depth, 2);
	ck_assert_uint_eq(up->text_len, strlen(up->text));
	ck_assert_uint_eq(up->key_len, strlen(up->key));
	down = gh_path_child(arena, up, "C", "c");
	ck_assert_str_eq(down->text, "/Foo/B\xc3\x84R/C");
	ck_assert_str_eq(down->comp[2].name, "C");
	ck_assert_str_eq(down->comp[2].key, "c");
	ck_assert(gh_path_equal(down, p));
	up = gh_path_parent(arena, gh_path_parent(arena, up));
	ck_assert_str_eq(up->text, "/");
	ck_assert_str_eq(up->key, "/");
	ck_assert_uint_eq(up->text_len, 1);
	ck_assert_ptr_null(gh_path_parent(arena, up));
	down = gh_path_child(arena, up, "X", "x");
	ck_assert_str_eq(down->text, "/X");
	ck_assert_str_eq(down->key, "/x");
	ck_assert_uint_eq(down->key_len, 2);
}
END_TEST

START_TEST(below_is_by_whole_names_of_the_key)
{
	ck_assert(gh_path_below(parse("/A/b", 0), parse("/a", 0)));
	ck_assert(gh_path_below(parse("/a", 0), parse("/", 0)));
	ck_assert(!gh_path_below(parse("/a", 0), parse("/A", 0)));
	ck_assert(!gh_path_below(parse("/ab", 0), parse("/a", 0)));
	ck_assert(!gh_path_below(parse("/a", 0), parse("/a/b", 0)));
	ck_assert(!gh_path_below(parse("/", 0), parse("/", 0)));
	ck_assert(gh_path_equal(parse("/A/", 0), parse("a", 0)));
	ck_assert(!gh_path_equal(parse("/a", 0), parse("/b", 0)));
}
END_TEST

START_TEST(a_single_name_is_held_to_the_same_rules)
{
	struct gh_component c;

	ck_assert_int_eq(gh_name_check(arena, "E\xcc\x81ve", 5, &folding, &c), GH_OK);
	ck_assert_str_eq(c.name, "\xc3\x89ve");
	ck_assert_str_eq(c.key, "\xc3\xa9ve");
	ck_assert_int_eq(gh_name_check(arena, "", 0, &folding, &c), GH_BADNAME);
	ck_assert_int_eq(gh_name_check(arena, ".", 1, &folding, &c), GH_BADNAME);
	ck_assert_int_eq(gh_name_check(arena, "..", 2, &folding, &c), GH_BADNAME);
	ck_assert_int_eq(gh_name_check(arena, "a/b", 3, &folding, &c), GH_BADNAME);
	ck_assert_int_eq(gh_name_check(arena, "/", 1, &folding, &c), GH_BADNAME);
	ck_assert_int_eq(gh_name_check(arena, "a\0b", 3, &folding, &c), GH_BADNAME);
	ck_assert_int_eq(gh_name_check(arena, "a%2fb", 5, &folding, &c), GH_OK); /* nothing decodes it */
	ck_assert_int_eq(gh_name_check(arena, repeat("", "a", 300), 300, &folding, &c), GH_TOOLONG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("name");
	TCase *t = tcase_create("name");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, dots_and_empty_segments_vanish);
	tcase_add_test(t, a_trailing_slash_is_remembered);
	tcase_add_test(t, dot_dot_climbs_only_where_it_is_asked_to);
	tcase_add_test(t, percent_is_decoded_once_and_only_where_it_is_asked_for);
	tcase_add_test(t, what_could_lie_is_refused);
	tcase_add_test(t, every_spelling_of_a_name_has_one_key);
	tcase_add_test(t, a_case_sensitive_tenant_keys_by_the_name);
	tcase_add_test(t, limits_are_where_they_are_said_to_be);
	tcase_add_test(t, an_arena_that_is_full_says_so);
	tcase_add_test(t, parents_and_children_keep_their_texts);
	tcase_add_test(t, below_is_by_whole_names_of_the_key);
	tcase_add_test(t, a_single_name_is_held_to_the_same_rules);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
