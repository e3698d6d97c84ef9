/* The breaker on a clock of the test's own: nothing here sleeps. */
#include <check.h>
#include <string.h>

#include "policy/breaker.h"

static const struct breaker_config cfg = {
	.window_ms = 1000, .min_calls = 10, .fail_percent = 50, .slow_percent = 80, .slow_ms = 100, .stuck = 4,
	.probes = 2, .probes_needed = 3, .probe_ms = 500, .base_ms = 200, .max_ms = 1000,
};

static struct breaker fresh(void)
{
	struct breaker b;

	breaker_init(&b, 0);
	return b;
}

/* One call from ask to settle; it must be let through. */
static bool call(struct breaker *b, uint64_t now, enum breaker_outcome outcome, uint32_t took)
{
	struct breaker_permit p;
	uint32_t wait;

	ck_assert(breaker_ask(b, &cfg, now, &p, &wait));
	return breaker_settle(b, &cfg, now, p, outcome, took, 0);
}

static bool refused(struct breaker *b, uint64_t now, uint32_t *ret_wait)
{
	struct breaker_permit p;

	return !breaker_ask(b, &cfg, now, &p, ret_wait);
}

static struct breaker opened(uint64_t now)
{
	struct breaker b = fresh();

	for (unsigned i = 0; i < cfg.min_calls; i++)
		call(&b, now, BREAKER_FAILED, 1);
	ck_assert_int_eq(b.state, BREAKER_OPEN);
	return b;
}

START_TEST(it_opens_at_the_configured_share_of_failures_and_not_one_call_earlier)
{
	struct breaker b = fresh();

	for (int i = 0; i < 5; i++)
		ck_assert(!call(&b, 10, BREAKER_GOOD, 1));
	for (int i = 0; i < 4; i++)
		ck_assert(!call(&b, 10, BREAKER_FAILED, 1));
	ck_assert_int_eq(b.state, BREAKER_CLOSED);
	ck_assert(call(&b, 10, BREAKER_FAILED, 1)); /* the tenth call, the fifth failure */
	ck_assert_int_eq(b.state, BREAKER_OPEN);
}
END_TEST

START_TEST(too_few_calls_are_no_evidence)
{
	struct breaker b = fresh();

	for (int i = 0; i < 9; i++)
		ck_assert(!call(&b, 10, BREAKER_FAILED, 1));
	ck_assert_int_eq(b.state, BREAKER_CLOSED);
}
END_TEST

START_TEST(failures_that_have_left_the_window_count_no_more)
{
	struct breaker b = fresh();

	for (int i = 0; i < 9; i++)
		call(&b, 10, BREAKER_FAILED, 1);
	ck_assert(!call(&b, 1100, BREAKER_FAILED, 1));
	ck_assert_uint_eq(breaker_window(&b, &cfg, 1100).calls, 1);
	ck_assert_int_eq(b.state, BREAKER_CLOSED);
}
END_TEST

START_TEST(calls_that_say_nothing_of_the_dependency_never_open_it)
{
	struct breaker b = fresh();

	for (int i = 0; i < 1000; i++)
		ck_assert(!call(&b, 10, BREAKER_UNCOUNTED, 5000));
	ck_assert_int_eq(b.state, BREAKER_CLOSED);
	ck_assert_uint_eq(breaker_window(&b, &cfg, 10).calls, 0);
}
END_TEST

START_TEST(slow_calls_open_it_by_a_share_of_their_own)
{
	struct breaker b = fresh();

	for (int i = 0; i < 2; i++)
		call(&b, 10, BREAKER_GOOD, 1);
	for (int i = 0; i < 7; i++)
		ck_assert(!call(&b, 10, BREAKER_GOOD, 100));
	ck_assert(call(&b, 10, BREAKER_GOOD, 100)); /* 8 of 10 */
	ck_assert_int_eq(b.state, BREAKER_OPEN);
}
END_TEST

START_TEST(successes_told_in_bulk_outweigh_failures)
{
	struct breaker b = fresh();

	breaker_add_good(&b, &cfg, 10, 1000);
	for (int i = 0; i < 999; i++)
		ck_assert(!call(&b, 10, BREAKER_FAILED, 1));
	ck_assert(call(&b, 10, BREAKER_FAILED, 1));
}
END_TEST

START_TEST(while_open_nobody_passes_and_is_told_how_long)
{
	struct breaker b = opened(1000);
	uint32_t wait = 0;

	ck_assert(refused(&b, 1000, &wait));
	ck_assert_uint_eq(wait, 200);
	ck_assert(refused(&b, 1199, &wait));
	ck_assert_uint_eq(wait, 1);
	ck_assert(!refused(&b, 1200, &wait));
}
END_TEST

START_TEST(no_more_than_the_configured_probes_are_under_way)
{
	struct breaker b = opened(1000);
	struct breaker_permit p[3];
	uint32_t wait = 0;

	ck_assert(breaker_ask(&b, &cfg, 1200, &p[0], &wait) && p[0].probe);
	ck_assert(breaker_ask(&b, &cfg, 1200, &p[1], &wait) && p[1].probe);
	ck_assert(!breaker_ask(&b, &cfg, 1200, &p[2], &wait));
	ck_assert_uint_eq(wait, 500);
	ck_assert(!breaker_settle(&b, &cfg, 1201, p[0], BREAKER_GOOD, 1, 0));
	ck_assert(breaker_ask(&b, &cfg, 1201, &p[2], &wait));
}
END_TEST

START_TEST(it_closes_with_an_empty_window_once_enough_probes_went_well)
{
	struct breaker b = opened(1000);

	ck_assert(!call(&b, 1200, BREAKER_GOOD, 1));
	ck_assert(!call(&b, 1201, BREAKER_UNCOUNTED, 1)); /* says nothing */
	ck_assert(!call(&b, 1202, BREAKER_GOOD, 1));
	ck_assert(call(&b, 1203, BREAKER_GOOD, 1));
	ck_assert_int_eq(b.state, BREAKER_CLOSED);
	ck_assert_uint_eq(breaker_window(&b, &cfg, 1203).calls, 0);
}
END_TEST

START_TEST(a_slow_probe_is_no_good_probe)
{
	struct breaker b = opened(1000);

	ck_assert(call(&b, 1200, BREAKER_GOOD, 100));
	ck_assert_int_eq(b.state, BREAKER_OPEN);
}
END_TEST

START_TEST(each_opening_in_a_row_waits_twice_as_long_up_to_the_longest)
{
	const uint32_t want[] = { 200, 400, 800, 1000, 1000 };
	struct breaker b = opened(1000);
	uint64_t now = 1000;

	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(b.until_ms - now, want[i]);
		now = b.until_ms;
		ck_assert(call(&b, now, BREAKER_FAILED, 1));
	}
}
END_TEST

START_TEST(jitter_adds_up_to_a_quarter)
{
	struct breaker a = fresh(), b = fresh();

	breaker_trip(&a, &cfg, 0, UINT32_MAX);
	ck_assert_uint_ge(a.until_ms, 249);
	ck_assert_uint_le(a.until_ms, 250);
	breaker_trip(&b, &cfg, 0, UINT32_MAX / 2);
	ck_assert_uint_ge(b.until_ms, 224);
	ck_assert_uint_le(b.until_ms, 225);
}
END_TEST

START_TEST(after_a_window_of_health_the_row_of_openings_begins_anew)
{
	struct breaker b = opened(1000);

	for (int i = 0; i < 3; i++)
		call(&b, 1200, BREAKER_GOOD, 1);
	breaker_trip(&b, &cfg, 1300, 0); /* at once: the second in a row */
	ck_assert_uint_eq(b.until_ms, 1700);
	for (int i = 0; i < 3; i++)
		call(&b, 1700, BREAKER_GOOD, 1);
	breaker_trip(&b, &cfg, 2700, 0);
	ck_assert_uint_eq(b.until_ms, 2900);
}
END_TEST

START_TEST(what_began_before_a_change_of_state_says_nothing_after_it)
{
	struct breaker b = fresh();
	struct breaker_permit old;
	uint32_t wait;

	ck_assert(breaker_ask(&b, &cfg, 0, &old, &wait));
	breaker_trip(&b, &cfg, 0, 0);
	for (int i = 0; i < 3; i++)
		call(&b, 200, BREAKER_GOOD, 1);
	ck_assert(!breaker_settle(&b, &cfg, 200, old, BREAKER_FAILED, 1, 0));
	ck_assert_uint_eq(breaker_window(&b, &cfg, 200).calls, 0);
}
END_TEST

START_TEST(probes_that_never_come_back_do_not_keep_it_half_open_for_ever)
{
	struct breaker b = opened(1000);
	struct breaker_permit lost, p;
	uint32_t wait;

	ck_assert(breaker_ask(&b, &cfg, 1200, &lost, &wait));
	ck_assert(breaker_ask(&b, &cfg, 1250, &lost, &wait));
	ck_assert(!breaker_ask(&b, &cfg, 1749, &p, &wait));
	ck_assert(breaker_ask(&b, &cfg, 1750, &p, &wait));
	ck_assert(!breaker_settle(&b, &cfg, 1751, lost, BREAKER_FAILED, 1, 0));
	ck_assert_uint_eq(b.probing, 1);
}
END_TEST

START_TEST(a_sign_of_health_ends_the_pause_and_nothing_else)
{
	struct breaker_permit p;
	struct breaker b = fresh();
	uint32_t wait_ms;

	ck_assert(!breaker_hasten(&b, 5000)); /* closed */
	breaker_trip(&b, &cfg, 5000, 0);
	ck_assert(!breaker_ask(&b, &cfg, 5001, &p, &wait_ms));
	ck_assert(breaker_hasten(&b, 5001));
	ck_assert(!breaker_hasten(&b, 5001)); /* it waits no more */
	ck_assert_int_eq(b.state, BREAKER_OPEN);
	ck_assert(breaker_ask(&b, &cfg, 5001, &p, &wait_ms));
	ck_assert(p.probe);
	breaker_settle(&b, &cfg, 5002, p, BREAKER_FAILED, 1, 0); /* it was no true one: twice the pause */
	ck_assert(!breaker_ask(&b, &cfg, 5002 + 2 * cfg.base_ms - 1, &p, &wait_ms));
	breaker_force_open(&b, 9000);
	ck_assert(!breaker_hasten(&b, 9000));
	ck_assert(!breaker_ask(&b, &cfg, 9001, &p, &wait_ms));
}
END_TEST

START_TEST(opened_by_hand_it_stays_open_until_reset_by_hand)
{
	struct breaker b = fresh();
	uint32_t wait;

	breaker_force_open(&b, 0);
	ck_assert(refused(&b, 1000000000, &wait));
	ck_assert_uint_ge(wait, 1);
	breaker_trip(&b, &cfg, 5, 0); /* evidence changes nothing about it */
	ck_assert(b.forced && refused(&b, 100000, &wait));
	breaker_reset(&b, 100001);
	ck_assert(!refused(&b, 100001, &wait));
	ck_assert_uint_eq(b.openings, 0);
}
END_TEST

START_TEST(one_tenant_that_fails_among_healthy_ones_is_to_blame_alone)
{
	const struct breaker_sums all = { 100, 90, 0 }, mine = { 90, 90, 0 };

	ck_assert_int_eq(breaker_blame(&cfg, all, mine, false), BREAKER_TENANT);
	ck_assert_int_eq(breaker_blame(&cfg, all, mine, true), BREAKER_TENANT);
}
END_TEST

START_TEST(when_the_others_fail_too_it_is_the_service)
{
	const struct breaker_sums all = { 12, 12, 0 }, mine = { 4, 4, 0 };

	ck_assert_int_eq(breaker_blame(&cfg, all, mine, false), BREAKER_SERVICE);
	/* all tenants slow, none failing */
	ck_assert_int_eq(breaker_blame(&cfg, (struct breaker_sums){ 12, 0, 12 }, (struct breaker_sums){ 4, 0, 4 }, false),
			 BREAKER_SERVICE);
}
END_TEST

START_TEST(a_single_accident_of_another_tenant_is_no_outage)
{
	const struct breaker_sums all = { 21, 21, 0 }, mine = { 20, 20, 0 };

	ck_assert_int_eq(breaker_blame(&cfg, all, mine, false), BREAKER_TENANT);
}
END_TEST

START_TEST(when_another_is_shut_out_already_and_nobody_is_well_it_is_the_service)
{
	const struct breaker_sums mine = { 10, 10, 0 };

	ck_assert_int_eq(breaker_blame(&cfg, mine, mine, true), BREAKER_SERVICE);
	ck_assert_int_eq(breaker_blame(&cfg, mine, mine, false), BREAKER_TENANT);
	ck_assert_int_eq(breaker_blame(&cfg, (struct breaker_sums){ 60, 10, 0 }, mine, true), BREAKER_TENANT);
}
END_TEST

START_TEST(what_a_tenant_was_shut_out_for_is_no_evidence_against_the_service)
{
	struct breaker all = fresh(), mine = fresh();

	for (uint64_t now = 10; now < 610; now += 100) {
		breaker_add_good(&all, &cfg, now, 3); /* others' */
		for (int i = 0; i < 2; i++) {
			breaker_count(&all, &cfg, now, BREAKER_FAILED, 100);
			breaker_count(&mine, &cfg, now, BREAKER_FAILED, 100);
		}
	}
	breaker_forget(&all, &mine);
	const struct breaker_sums left = breaker_window(&all, &cfg, 610);
	ck_assert_uint_eq(left.calls, 18);
	ck_assert_uint_eq(left.failed, 0);
	ck_assert_uint_eq(left.slow, 0);
	/* a slot that belongs to another time by now is left alone: the places of 10 and 1010 are one */
	breaker_add_good(&all, &cfg, 1010, 5);
	breaker_forget(&all, &mine);
	ck_assert_uint_eq(all.slots[0].calls, 5);
}
END_TEST

START_TEST(little_evidence_blames_nobody)
{
	ck_assert_int_eq(breaker_blame(&cfg, (struct breaker_sums){ 9, 9, 0 }, (struct breaker_sums){ 5, 5, 0 }, false),
			 BREAKER_NOBODY);
	ck_assert_int_eq(breaker_blame_stuck(&cfg, 3, 3, true), BREAKER_NOBODY);
}
END_TEST

START_TEST(calls_that_hang_are_blamed_on_whom_they_belong_to)
{
	ck_assert_int_eq(breaker_blame_stuck(&cfg, 4, 4, false), BREAKER_TENANT);
	ck_assert_int_eq(breaker_blame_stuck(&cfg, 8, 7, false), BREAKER_TENANT);
	ck_assert_int_eq(breaker_blame_stuck(&cfg, 8, 4, false), BREAKER_SERVICE);
	ck_assert_int_eq(breaker_blame_stuck(&cfg, 4, 4, true), BREAKER_SERVICE);
	ck_assert_int_eq(breaker_blame_stuck(&cfg, 4, 1, false), BREAKER_SERVICE);
}
END_TEST

START_TEST(a_configuration_that_could_not_work_is_refused_with_the_reason)
{
	struct breaker_config c;

	ck_assert_ptr_null(breaker_config_wrong(&breaker_defaults));
	ck_assert_ptr_null(breaker_config_wrong(&cfg));
#define WRONG(set, says) \
	do { \
		c = breaker_defaults; \
		c.set; \
		ck_assert_ptr_nonnull(breaker_config_wrong(&c)); \
		ck_assert_ptr_nonnull(strstr(breaker_config_wrong(&c), says)); \
	} while (0)
	WRONG(window_ms = 9, "window");
	WRONG(min_calls = 0, "evidence");
	WRONG(fail_percent = 0, "failures");
	WRONG(fail_percent = 101, "failures");
	WRONG(slow_percent = 0, "slow");
	WRONG(probes = 0, "probe");
	WRONG(probes_needed = 0, "probe");
	WRONG(base_ms = 0, "first pause");
	WRONG(max_ms = 999, "shorter");
#undef WRONG
}
END_TEST

int main(void)
{
	Suite *s = suite_create("breaker");
	TCase *t = tcase_create("breaker");

	tcase_add_test(t, it_opens_at_the_configured_share_of_failures_and_not_one_call_earlier);
	tcase_add_test(t, too_few_calls_are_no_evidence);
	tcase_add_test(t, failures_that_have_left_the_window_count_no_more);
	tcase_add_test(t, calls_that_say_nothing_of_the_dependency_never_open_it);
	tcase_add_test(t, slow_calls_open_it_by_a_share_of_their_own);
	tcase_add_test(t, successes_told_in_bulk_outweigh_failures);
	tcase_add_test(t, while_open_nobody_passes_and_is_told_how_long);
	tcase_add_test(t, no_more_than_the_configured_probes_are_under_way);
	tcase_add_test(t, it_closes_with_an_empty_window_once_enough_probes_went_well);
	tcase_add_test(t, a_slow_probe_is_no_good_probe);
	tcase_add_test(t, each_opening_in_a_row_waits_twice_as_long_up_to_the_longest);
	tcase_add_test(t, jitter_adds_up_to_a_quarter);
	tcase_add_test(t, after_a_window_of_health_the_row_of_openings_begins_anew);
	tcase_add_test(t, what_began_before_a_change_of_state_says_nothing_after_it);
	tcase_add_test(t, probes_that_never_come_back_do_not_keep_it_half_open_for_ever);
	tcase_add_test(t, a_sign_of_health_ends_the_pause_and_nothing_else);
	tcase_add_test(t, opened_by_hand_it_stays_open_until_reset_by_hand);
	tcase_add_test(t, one_tenant_that_fails_among_healthy_ones_is_to_blame_alone);
	tcase_add_test(t, when_the_others_fail_too_it_is_the_service);
	tcase_add_test(t, a_single_accident_of_another_tenant_is_no_outage);
	tcase_add_test(t, when_another_is_shut_out_already_and_nobody_is_well_it_is_the_service);
	tcase_add_test(t, what_a_tenant_was_shut_out_for_is_no_evidence_against_the_service);
	tcase_add_test(t, little_evidence_blames_nobody);
	tcase_add_test(t, calls_that_hang_are_blamed_on_whom_they_belong_to);
	tcase_add_test(t, a_configuration_that_could_not_work_is_refused_with_the_reason);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	const int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
