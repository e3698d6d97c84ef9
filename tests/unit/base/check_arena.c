/* The request arena: caps, sticky overflow, order of deferred calls, what reset keeps. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"

START_TEST(allocations_are_zeroed_aligned_and_apart)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	unsigned char *p[200];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 200; i++) {
			p[i] = gh_alloc(a, i * 7);
			ck_assert_ptr_nonnull(p[i]);
			ck_assert_uint_eq((uintptr_t)p[i] % 16, 0);
			for (size_t k = 0; k < i * 7; k++)
				ck_assert_uint_eq(p[i][k], 0);
			memset(p[i], (int)i, i * 7);
		}
		for (size_t i = 0; i < 200; i++)
			for (size_t k = 0; k < i * 7; k++)
				ck_assert_uint_eq(p[i][k], i & 255);
		gh_arena_reset(a);
		ck_assert_uint_eq(gh_arena_used(a), 0);
	}
	gh_arena_free(&a);
	ck_assert_ptr_null(a);
	gh_arena_free(&a);
}
END_TEST

START_TEST(past_its_cap_every_later_call_fails_too)
{
	struct gh_arena *a = gh_arena_new(10000);

	ck_assert_ptr_nonnull(gh_alloc(a, 3000));
	ck_assert_ptr_null(gh_alloc(a, 9000));
	ck_assert(gh_arena_overflowed(a));
	ck_assert_ptr_null(gh_alloc(a, 1));
	ck_assert_ptr_null(gh_strdup(a, "x"));
	ck_assert_ptr_null(gh_printf(a, "%d", 1));
	gh_arena_reset(a);
	ck_assert(!gh_arena_overflowed(a));
	ck_assert_ptr_nonnull(gh_alloc(a, 1));
	ck_assert_ptr_null(gh_alloc(a, SIZE_MAX));
	ck_assert_ptr_null(gh_alloc_array(a, SIZE_MAX / 2, 3));
	gh_arena_free(&a);
}
END_TEST

START_TEST(never_gives_more_than_its_cap)
{
	for (size_t cap = 0; cap < 40000; cap += 999) {
		struct gh_arena *a = gh_arena_new(cap);

		while (gh_alloc(a, 48))
			;
		ck_assert_uint_le(gh_arena_used(a), cap);
		/* and what it could not give is only the ends of steps */
		ck_assert_uint_ge(gh_arena_used(a) + 48 * 4, cap);
		gh_arena_free(&a);
	}
}
END_TEST

START_TEST(array_multiplication_is_checked)
{
	struct gh_arena *a = gh_arena_new(1 << 20);

	ck_assert_ptr_nonnull(gh_alloc_array(a, 100, 100));
	ck_assert_ptr_null(gh_alloc_array(a, SIZE_MAX / 16 + 2, 16));
	ck_assert(gh_arena_overflowed(a));
	gh_arena_free(&a);
}
END_TEST

static char order[64];

static void note(void *arg)
{
	strncat(order, arg, sizeof(order) - strlen(order) - 1);
}

static struct gh_arena *again_in;

static void note_again(void *arg)
{
	note(arg);
	gh_defer(again_in, note, "z");
}

START_TEST(deferred_calls_run_last_first_once)
{
	struct gh_arena *a = gh_arena_new(64);
	static char names[] = "a\0b\0c\0d\0e\0f\0g";

	order[0] = '\0';
	for (int i = 0; i < 7; i++)
		gh_defer(a, note, names + 2 * i);
	while (gh_alloc(a, 16))
		;
	gh_defer(a, note, "full"); /* an overflowed arena still keeps its promise */
	gh_arena_reset(a);
	ck_assert_str_eq(order, "fullgfedcba");
	gh_defer(a, note, "x");
	again_in = a;
	gh_defer(a, note_again, "y");
	gh_arena_free(&a);
	ck_assert_str_eq(order, "fullgfedcbayzx");
}
END_TEST

START_TEST(strings_are_copied_whole)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	char *s;

	s = gh_strndup(a, "a\0b", 3);
	ck_assert_mem_eq(s, "a\0b\0", 4);
	ck_assert_str_eq(gh_strdup(a, ""), "");
	ck_assert_str_eq(gh_printf(a, "%s-%05d", "x", 42), "x-00042");
	s = gh_printf(a, "%9000d", 7);
	ck_assert_uint_eq(strlen(s), 9000);
	ck_assert_mem_eq(gh_memdup(a, "\1\2\3", 3), "\1\2\3", 3);
	ck_assert_ptr_nonnull(gh_memdup(a, NULL, 0));
	gh_arena_free(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arena");
	TCase *t = tcase_create("arena");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, allocations_are_zeroed_aligned_and_apart);
	tcase_add_test(t, past_its_cap_every_later_call_fails_too);
	tcase_add_test(t, never_gives_more_than_its_cap);
	tcase_add_test(t, array_multiplication_is_checked);
	tcase_add_test(t, deferred_calls_run_last_first_once);
	tcase_add_test(t, strings_are_copied_whole);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
