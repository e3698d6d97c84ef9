/* Purses on a clock of their own: nothing here sleeps. */
#include <check.h>
#include <stdlib.h>

#include "policy/purse.h"

#define MS 1000000ull
#define S 1000000000ull

START_TEST(a_purse_begins_full_and_is_refilled_at_its_rate)
{
	const struct purse_rule r = { .per_s = 1000, .burst = 100 };
	struct purse p;
	uint64_t wait = 0;

	purse_init(&p, &r, 5 * S);
	for (int i = 0; i < 100; i++) {
		ck_assert(purse_ask(&p, &r, 5 * S, &wait));
		purse_spend(&p, &r, 5 * S, 1);
	}
	ck_assert(!purse_ask(&p, &r, 5 * S, &wait));
	ck_assert_uint_eq(wait, MS);
	ck_assert(!purse_ask(&p, &r, 5 * S + MS - 1, &wait));
	ck_assert_uint_eq(wait, 1);
	ck_assert(purse_ask(&p, &r, 5 * S + MS, &wait));
}
END_TEST

START_TEST(it_may_be_overdrawn_once_and_then_waits_for_all_of_it)
{
	const struct purse_rule r = { .per_s = 1000, .burst = 10 };
	struct purse p;
	uint64_t wait = 0;

	purse_init(&p, &r, S);
	purse_spend(&p, &r, S, 9);
	ck_assert(purse_ask(&p, &r, S, &wait));
	purse_spend(&p, &r, S, 500); /* 1 was there */
	ck_assert(!purse_ask(&p, &r, S, &wait));
	ck_assert_uint_eq(wait, 500 * MS);
	ck_assert(!purse_ask(&p, &r, S + wait - 1, &wait));
	ck_assert(purse_ask(&p, &r, S + 500 * MS, &wait));
}
END_TEST

START_TEST(nothing_is_saved_above_the_burst)
{
	const struct purse_rule r = { .per_s = 1000, .burst = 10 };
	struct purse p;
	uint64_t wait = 0;

	purse_init(&p, &r, S);
	ck_assert_uint_eq(purse_offer(&p, &r, 1000000 * S, 5000, &wait), 10);
	purse_return(&p, &r, 1000);
	ck_assert_uint_eq(purse_offer(&p, &r, 1000000 * S, 5000, &wait), 10);
	/* Nor by a rule that became smaller. */
	const struct purse_rule small = { .per_s = 1000, .burst = 3 };
	ck_assert_uint_eq(purse_offer(&p, &small, 1000000 * S, 5000, &wait), 3);
}
END_TEST

START_TEST(what_was_not_used_is_given_back)
{
	const struct purse_rule r = { .per_s = 10, .burst = 10 };
	struct purse p;
	uint64_t wait = 0;

	purse_init(&p, &r, S);
	purse_spend(&p, &r, S, 15);
	purse_return(&p, &r, 7);
	ck_assert_uint_eq(purse_offer(&p, &r, S, 100, &wait), 2);
}
END_TEST

START_TEST(fractions_of_a_unit_are_not_lost)
{
	const struct purse_rule r = { .per_s = 3, .burst = 1000 };
	struct purse p;
	uint64_t wait, now = S;

	purse_init(&p, &r, now);
	purse_spend(&p, &r, now, 1000);
	for (int i = 0; i < 100000; i++) /* 100 s of steps worth 3/1000 of a unit each */
		(void)purse_ask(&p, &r, now += MS, &wait);
	ck_assert_int_eq(p.credit, 300);
}
END_TEST

START_TEST(a_clock_that_stands_or_goes_back_refills_nothing)
{
	const struct purse_rule r = { .per_s = 1000, .burst = 10 };
	struct purse p;
	uint64_t wait;

	purse_init(&p, &r, 10 * S);
	purse_spend(&p, &r, 10 * S, 10);
	ck_assert(!purse_ask(&p, &r, 10 * S, &wait));
	ck_assert(!purse_ask(&p, &r, 2 * S, &wait));
	ck_assert_uint_eq(purse_offer(&p, &r, 3 * S, 1, &wait), 0);
	ck_assert(!purse_ask(&p, &r, 10 * S + MS / 2, &wait));
	ck_assert(purse_ask(&p, &r, 10 * S + MS, &wait));
}
END_TEST

START_TEST(without_a_rate_there_is_no_limit)
{
	const struct purse_rule r = { 0 };
	struct purse p;
	uint64_t wait;

	purse_init(&p, &r, S);
	purse_spend(&p, &r, S, UINT64_MAX);
	ck_assert(purse_ask(&p, &r, S, &wait));
	ck_assert_uint_eq(purse_offer(&p, &r, S, 1u << 30, &wait), 1u << 30);
}
END_TEST

START_TEST(a_transfer_gets_its_rate_in_pieces_worth_sending)
{
	const struct purse_rule r = { .per_s = 1000000, .burst = 64000 };
	struct purse p;
	uint64_t now = S, moved = 0, pieces = 0, wait;

	purse_init(&p, &r, now);
	while (now < 11 * S) {
		const uint64_t n = purse_offer(&p, &r, now, 262144, &wait);
		if (!n) {
			ck_assert_uint_ge(wait, 1);
			now += wait;
			continue;
		}
		ck_assert_uint_ge(n, 8000);
		purse_spend(&p, &r, now, n);
		moved += n;
		pieces++;
	}
	ck_assert_uint_ge(moved, 9990000);
	ck_assert_uint_le(moved, 10000000 + 64000 + 8000);
	ck_assert_uint_le(pieces, 1300);
}
END_TEST

START_TEST(the_wait_that_is_told_is_exact)
{
	srand(7);
	for (int i = 0; i < 2000; i++) {
		const struct purse_rule r = { .per_s = 1 + (uint64_t)rand() % 100000, .burst = 1 + (uint64_t)rand() % 5000 };
		struct purse p;
		uint64_t wait = 0, other;
		purse_init(&p, &r, S);
		purse_spend(&p, &r, S, r.burst + (uint64_t)rand() % 5000);
		ck_assert(!purse_ask(&p, &r, S, &wait));
		struct purse early = p;
		ck_assert(purse_ask(&p, &r, S + wait, &other));
		ck_assert(!purse_ask(&early, &r, S + wait - 1, &other));
	}
}
END_TEST

START_TEST(absurd_numbers_do_no_harm)
{
	const struct purse_rule r = { .per_s = UINT64_MAX, .burst = UINT64_MAX };
	const struct purse_rule tiny = { .per_s = 1, .burst = 0 };
	struct purse p;
	uint64_t wait;

	purse_init(&p, &r, 0);
	purse_spend(&p, &r, UINT64_MAX, UINT64_MAX);
	purse_spend(&p, &r, UINT64_MAX, UINT64_MAX);
	(void)purse_ask(&p, &tiny, UINT64_MAX, &wait);
	ck_assert_uint_ge(wait, 1);
	purse_init(&p, &tiny, 0);
	ck_assert_uint_eq(purse_offer(&p, &tiny, 0, 10, &wait), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("purse");
	TCase *t = tcase_create("purse");

	tcase_add_test(t, a_purse_begins_full_and_is_refilled_at_its_rate);
	tcase_add_test(t, it_may_be_overdrawn_once_and_then_waits_for_all_of_it);
	tcase_add_test(t, nothing_is_saved_above_the_burst);
	tcase_add_test(t, what_was_not_used_is_given_back);
	tcase_add_test(t, fractions_of_a_unit_are_not_lost);
	tcase_add_test(t, a_clock_that_stands_or_goes_back_refills_nothing);
	tcase_add_test(t, without_a_rate_there_is_no_limit);
	tcase_add_test(t, a_transfer_gets_its_rate_in_pieces_worth_sending);
	tcase_add_test(t, the_wait_that_is_told_is_exact);
	tcase_add_test(t, absurd_numbers_do_no_harm);
	suite_add_tcase(s, t);
	SRunner *run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	const int failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
