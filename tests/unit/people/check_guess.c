/* What is told of guesses comes back as it was, and nothing else is taken for it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/people/guess.h"

static void comes_back(const struct guess *g)
{
	char word[META_WORD_MAX + 1];
	struct guess back;

	ck_assert(guess_write(word, g));
	ck_assert_uint_le(strlen(word), META_WORD_MAX);
	ck_assert_ptr_null(strpbrk(word, "'\"\\\n"));
	ck_assert(guess_read(word, &back));
	ck_assert_int_eq(back.what, g->what);
	ck_assert_uint_eq(back.tenant, g->tenant);
	ck_assert_uint_eq(back.prefix, g->prefix);
	ck_assert_int_eq(back.all, g->all);
	ck_assert_str_eq(back.user, g->user);
}

START_TEST(every_word_comes_back_as_it_was_said)
{
	struct guess g = { GUESS_WRONG, 7, 0xfedcba9876543210u, false, "ann" };

	comes_back(&g);
	g.what = GUESS_RIGHT;
	g.tenant = UINT64_MAX;
	comes_back(&g);
	memset(g.user, '\xff', GUESS_USER_MAX);
	comes_back(&g);
	strcpy(g.user, "a'; DROP TABLE node; --");
	comes_back(&g);
	comes_back(&(struct guess){ GUESS_PARDON, 7, 0, true, "" });
	comes_back(&(struct guess){ GUESS_PARDON, 7, 0, false, "ann" });
}
END_TEST

START_TEST(nobody_is_told_to_nobody)
{
	char word[META_WORD_MAX + 1];

	ck_assert(!guess_write(word, &(struct guess){ GUESS_WRONG, 7, 1, false, "" }));
}
END_TEST

START_TEST(anything_else_is_no_word)
{
	static const char *const bad[] = {
		"", "guess", "guess ", "guess w", "guess x 0000000000000001 0000000000000002 61",
		"guess w 000000000000001 0000000000000002 61", "guess w 0000000000000001 0000000000000002", "guess w 0000000000000001 0000000000000002 ",
		"guess w 0000000000000001 0000000000000002 6", "guess w 0000000000000001 0000000000000002 00",
		"guess w 0000000000000001 0000000000000002 -", "guess w 0000000000000001 0000000000000002 6G",
		"guess w 00000000000000010000000000000002 61", "guess p 0000000000000001 0000000000000002 -6", "other",
	};
	struct guess g;
	char *long_one;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!guess_read(bad[i], &g), "%s", bad[i]);
	long_one = malloc(2000);
	strcpy(long_one, "guess w 0000000000000001 0000000000000002 ");
	memset(long_one + strlen(long_one), '6', 1000);
	long_one[1040] = '\0';
	ck_assert(!guess_read(long_one, &g));
	free(long_one);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guesses");
	TCase *t = tcase_create("words");
	SRunner *r;
	int failed;

	tcase_add_test(t, every_word_comes_back_as_it_was_said);
	tcase_add_test(t, nobody_is_told_to_nobody);
	tcase_add_test(t, anything_else_is_no_word);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
