/* What an event says caches have to forget, word by word. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/touched.h"

/* "kind id text" of every word, joined by '|'. */
static const char *read_all(const char *text)
{
	static char out[512];
	const char *at = text;
	struct touched w;

	out[0] = '\0';
	while (touched_next(&at, &w))
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%c %llu %.*s", *out ? "|" : "", w.kind,
			 (unsigned long long)w.id, (int)w.len, w.text ? w.text : "");
	return out;
}

START_TEST(words_are_read_one_by_one)
{
	ck_assert_str_eq(read_all("s12:3:a b s9:1:x t7 r l u5 k8:limit T"),
			 "s 12 a b|s 9 x|t 7 |r 0 |l 0 |u 5 |k 8 limit|T 0 ");
	ck_assert_str_eq(read_all("-"), "- 0 ");
	ck_assert_str_eq(read_all("t r"), "t 0 |r 0 ");
}
END_TEST

START_TEST(a_key_may_look_like_words)
{
	ck_assert_str_eq(read_all("s1:6:t r l  l"), "s 1 t r l |l 0 ");
}
END_TEST

START_TEST(what_is_not_told_or_not_understood_is_everything)
{
	ck_assert_str_eq(read_all(""), "? 0 ");
	ck_assert_str_eq(read_all("r q3 l"), "r 0 |? 0 ");
	ck_assert_str_eq(read_all("s1:9:short"), "? 0 ");
	ck_assert_str_eq(read_all("s1"), "? 0 ");
	ck_assert_str_eq(read_all("s1:"), "? 0 ");
	ck_assert_str_eq(read_all("s1:1"), "? 0 ");
	ck_assert_str_eq(read_all("u"), "? 0 ");
	ck_assert_str_eq(read_all("k5"), "? 0 ");
	ck_assert_str_eq(read_all("k5:"), "? 0 ");
	ck_assert_str_eq(read_all("rl"), "? 0 ");
	ck_assert_str_eq(read_all(" "), "? 0 ");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("touched");
	TCase *tc = tcase_create("touched");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(tc, words_are_read_one_by_one);
	tcase_add_test(tc, a_key_may_look_like_words);
	tcase_add_test(tc, what_is_not_told_or_not_understood_is_everything);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
