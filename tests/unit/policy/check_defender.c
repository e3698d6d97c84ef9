/* The login defender on a clock of its own: nothing here sleeps. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/defender.h"

#define T 7
#define HOME 0x0a000001
#define PROXY 0x0a000002

static struct defender *d;
static uint64_t now_s;

static void setup(void)
{
	struct defender_config cfg = { .key0 = 1, .key1 = 2 };

	d = defender_new(&cfg);
	ck_assert_ptr_nonnull(d);
	now_s = 1000;
}

static void teardown(void)
{
	defender_free(&d);
	ck_assert_ptr_null(d);
}

static unsigned ask(const char *user, uint64_t prefix)
{
	return defender_ask(d, now_s, T, user, prefix);
}

/* A guess: asks, and where a password may be checked, it is wrong. Was it checked? */
static bool guess(const char *user, uint64_t prefix)
{
	if (ask(user, prefix))
		return false;
	defender_failed(d, now_s, T, user, prefix);
	return true;
}

START_TEST(ten_wrong_passwords_pass_and_the_eleventh_waits)
{
	unsigned wait_s;

	for (unsigned i = 0; i < 10; i++)
		ck_assert(guess("ann", HOME));
	wait_s = ask("ann", HOME);
	ck_assert_uint_ge(wait_s, 1);
	ck_assert_uint_le(wait_s, 60);
	now_s += wait_s;
	ck_assert_uint_eq(ask("ann", HOME), 0);
}
END_TEST

START_TEST(no_minute_wherever_it_begins_sees_more_than_ten_checked_passwords)
{
	enum { SECONDS = 600 };
	unsigned checked[SECONDS] = { 0 };

	for (unsigned s = 0; s < SECONDS; s++, now_s++) {
		/* a thousand a minute, in bursts */
		for (unsigned i = 0; i < (s % 7 ? 2 : 100); i++)
			checked[s] += guess("ann", HOME);
	}
	for (unsigned from = 0; from + 60 <= SECONDS; from++) {
		unsigned sum = 0;

		for (unsigned s = from; s < from + 60; s++)
			sum += checked[s];
		ck_assert_uint_le(sum, 10);
	}
}
END_TEST

START_TEST(asking_alone_counts_nothing)
{
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_uint_eq(ask("ann", HOME), 0);
}
END_TEST

START_TEST(another_prefix_another_user_and_another_tenant_are_not_punished)
{
	for (unsigned i = 0; i < 10; i++)
		ck_assert(guess("ann", HOME));
	ck_assert_uint_gt(ask("ann", HOME), 0);
	ck_assert_uint_eq(ask("ann", HOME + 1), 0);
	ck_assert_uint_eq(ask("bob", HOME), 0);
	ck_assert_uint_eq(defender_ask(d, now_s, T + 1, "ann", HOME), 0);
}
END_TEST

START_TEST(a_success_clears_the_triple_but_not_the_prefixs_count)
{
	char name[16];

	for (unsigned i = 0; i < 9; i++)
		ck_assert(guess("ann", PROXY));
	defender_succeeded(d, now_s, T, "ann", PROXY);
	for (unsigned i = 0; i < 10; i++)
		ck_assert(guess("ann", PROXY));
	ck_assert(!guess("ann", PROXY));
	defender_succeeded(d, now_s, T, "ann", PROXY);
	/* 19 failures of the prefix still count: 101 more make it full */
	for (unsigned i = 0; i < 101; i++) {
		snprintf(name, sizeof(name), "u%u", i % 50);
		ck_assert(guess(name, PROXY));
	}
	ck_assert(!guess("u0", PROXY));
}
END_TEST

START_TEST(a_prefix_that_guesses_at_many_names_is_slowed_to_its_rate)
{
	unsigned checked = 0;
	char name[16];

	/* each name once is let through; from then on the prefix's rate holds */
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		ck_assert(guess(name, PROXY));
	}
	for (unsigned s = 0; s < 600; s++, now_s++) {
		for (unsigned i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "u%u", i);
			checked += guess(name, PROXY);
		}
	}
	ck_assert_uint_le(checked, 10 * 120 + 120);
	ck_assert_uint_ge(checked, 600);
}
END_TEST

START_TEST(a_whole_proxy_is_never_shut_for_a_name_that_has_not_failed_there)
{
	char name[16];

	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "u%u", i % 100);
		guess(name, PROXY);
	}
	ck_assert(!guess("u0", PROXY));
	ck_assert_uint_eq(ask("honest", PROXY), 0);
}
END_TEST

START_TEST(the_wait_is_true_one_second_earlier_is_still_too_early)
{
	unsigned wait_s;

	for (unsigned i = 0; i < 10; i++, now_s += 3)
		ck_assert(guess("ann", HOME));
	wait_s = ask("ann", HOME);
	ck_assert_uint_eq(wait_s, 60 - 30);
	now_s += wait_s - 1;
	ck_assert_uint_eq(ask("ann", HOME), 1);
	now_s += 1;
	ck_assert_uint_eq(ask("ann", HOME), 0);
}
END_TEST

START_TEST(the_administrator_clears_a_user_a_prefix_or_a_tenant)
{
	for (unsigned i = 0; i < 10; i++) {
		guess("ann", HOME);
		guess("ann", PROXY);
		guess("bob", PROXY);
	}
	ck_assert_uint_eq(defender_clear(d, T, "nobody", 0), 0);
	ck_assert_uint_eq(defender_clear(d, T + 1, NULL, 0), 0);
	ck_assert_uint_eq(defender_clear(d, T, "ann", 0), 2);
	ck_assert_uint_eq(ask("ann", HOME), 0);
	ck_assert_uint_eq(ask("ann", PROXY), 0);
	ck_assert_uint_gt(ask("bob", PROXY), 0);
	ck_assert_uint_eq(defender_clear(d, 0, NULL, PROXY), 2); /* bob there, and the prefix itself */
	ck_assert_uint_eq(ask("bob", PROXY), 0);
	guess("ann", HOME);
	guess("bob", HOME);
	ck_assert_uint_eq(defender_clear(d, T, NULL, 0), 2);
}
END_TEST

START_TEST(a_small_table_forgets_its_stalest_and_stays_whole)
{
	struct defender_config cfg = { .slots = 8, .key0 = 3, .key1 = 4 };
	struct defender *small = defender_new(&cfg);
	char name[16];

	for (unsigned i = 0; i < 10; i++)
		defender_failed(small, now_s, T, "ann", HOME);
	ck_assert_uint_gt(defender_ask(small, now_s, T, "ann", HOME), 0);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		defender_failed(small, now_s + 1 + i, T, name, HOME + i);
	}
	ck_assert_uint_eq(defender_ask(small, now_s + 10, T, "ann", HOME), 0);
	ck_assert_uint_eq(defender_clear(small, T, NULL, 0), 8);
	defender_free(&small);
}
END_TEST

START_TEST(a_clock_that_stands_still_or_steps_back_lets_nobody_through)
{
	for (unsigned i = 0; i < 10; i++)
		guess("ann", HOME);
	ck_assert_uint_gt(ask("ann", HOME), 0);
	now_s -= 500;
	ck_assert_uint_eq(ask("ann", HOME), 60);
}
END_TEST

START_TEST(limits_can_be_set)
{
	struct defender_config cfg = { .triple_per_minute = 3, .prefix_per_minute = 1000, .slots = 64 };
	struct defender *strict = defender_new(&cfg);

	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(defender_ask(strict, now_s, T, "ann", HOME), 0);
		defender_failed(strict, now_s, T, "ann", HOME);
	}
	ck_assert_uint_eq(defender_ask(strict, now_s, T, "ann", HOME), 60);
	defender_free(&strict);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("defender");
	TCase *tc = tcase_create("virtual clock");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, ten_wrong_passwords_pass_and_the_eleventh_waits);
	tcase_add_test(tc, no_minute_wherever_it_begins_sees_more_than_ten_checked_passwords);
	tcase_add_test(tc, asking_alone_counts_nothing);
	tcase_add_test(tc, another_prefix_another_user_and_another_tenant_are_not_punished);
	tcase_add_test(tc, a_success_clears_the_triple_but_not_the_prefixs_count);
	tcase_add_test(tc, a_prefix_that_guesses_at_many_names_is_slowed_to_its_rate);
	tcase_add_test(tc, a_whole_proxy_is_never_shut_for_a_name_that_has_not_failed_there);
	tcase_add_test(tc, the_wait_is_true_one_second_earlier_is_still_too_early);
	tcase_add_test(tc, the_administrator_clears_a_user_a_prefix_or_a_tenant);
	tcase_add_test(tc, a_small_table_forgets_its_stalest_and_stays_whole);
	tcase_add_test(tc, a_clock_that_stands_still_or_steps_back_lets_nobody_through);
	tcase_add_test(tc, limits_can_be_set);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
