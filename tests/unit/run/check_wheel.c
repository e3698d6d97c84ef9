/* The timer wheel against a plain list: nothing early, nothing late, nothing twice, whatever is set and cancelled. */
#include <check.h>
#include <stdlib.h>

#include "core/run/wheel.h"

static struct wheel w;

static void never_called(struct gh_timer *t, void *arg)
{
	(void)t;
	(void)arg;
	ck_abort();
}

/* The oracle's view of a timer. */
struct planned {
	struct gh_timer t;
	uint64_t due;
	bool set;
};

enum { TIMERS = 400, STEPS = 20000 };
static struct planned planned[TIMERS];

static uint64_t soonest(void)
{
	uint64_t next = WHEEL_NEVER;

	for (int i = 0; i < TIMERS; i++)
		if (planned[i].set && planned[i].due < next)
			next = planned[i].due;
	return next;
}

static uint64_t some_delay(void)
{
	switch (rand() % 4) {
	case 0:
		return (uint64_t)rand() % 3;
	case 1:
		return (uint64_t)rand() % 100;
	case 2:
		return (uint64_t)rand() % WHEEL_SLOTS;
	default:
		return (uint64_t)rand() % (5 * WHEEL_SLOTS);
	}
}

static void change_some(uint64_t now)
{
	for (int n = rand() % 8; n > 0; n--) {
		struct planned *p = &planned[rand() % TIMERS];

		if (p->set)
			wheel_remove(&w, &p->t);
		p->set = rand() % 3;
		if (!p->set)
			continue;
		p->due = now + some_delay();
		wheel_add(&w, &p->t, p->due);
		if (p->due <= now) /* visited already */
			p->due = now + 1;
	}
}

static void expect_due(uint64_t now, bool one_jump)
{
	struct gh_timer *t;
	uint64_t last = 0;
	int overdue = 0;

	wheel_turn(&w, now);
	while ((t = wheel_pop(&w))) {
		struct planned *p = (struct planned *)t;

		ck_assert(p->set);
		ck_assert_uint_le(p->due, now);
		if (one_jump)
			ck_assert_uint_ge(p->due, last);
		last = p->due;
		p->set = false;
		/* A callback may cancel another that is due in the same pass. */
		if (rand() % 10 == 0) {
			struct planned *other = &planned[rand() % TIMERS];

			if (other->set)
				wheel_remove(&w, &other->t);
			other->set = false;
		}
	}
	for (int i = 0; i < TIMERS; i++)
		overdue += planned[i].set && planned[i].due <= now;
	ck_assert_int_eq(overdue, 0);
}

START_TEST(agrees_with_a_plain_list)
{
	uint64_t now = 1000000, jump;

	srand(7);
	wheel_init(&w, now);
	for (int i = 0; i < TIMERS; i++)
		gh_timer_init(&planned[i].t, never_called, NULL);
	for (int step = 0; step < STEPS; step++) {
		change_some(now);
		/* Never later than the truth, so that the loop does not oversleep. */
		ck_assert_uint_le(wheel_next(&w), soonest());
		jump = rand() % 50 ? (uint64_t)rand() % 20 : some_delay();
		now += jump;
		expect_due(now, jump < WHEEL_SLOTS);
	}
}
END_TEST

START_TEST(says_exactly_when_to_look_again)
{
	static struct gh_timer a, b, far_off;

	wheel_init(&w, 100);
	ck_assert_uint_eq(wheel_next(&w), WHEEL_NEVER);
	wheel_add(&w, &far_off, 100 + 3 * WHEEL_SLOTS + 5);
	ck_assert_uint_eq(wheel_next(&w), 100 + 3 * WHEEL_SLOTS + 5);
	wheel_add(&w, &a, 150);
	wheel_add(&w, &b, 120);
	ck_assert_uint_eq(wheel_next(&w), 120);
	wheel_turn(&w, 120);
	ck_assert_ptr_eq(wheel_pop(&w), &b);
	ck_assert_ptr_null(wheel_pop(&w));
	ck_assert_uint_eq(wheel_next(&w), 150);
	wheel_turn(&w, 160);
	ck_assert_ptr_eq(wheel_pop(&w), &a);
	ck_assert_uint_eq(wheel_next(&w), 100 + 3 * WHEEL_SLOTS + 5);
	wheel_turn(&w, 100 + 3 * WHEEL_SLOTS + 4);
	ck_assert_ptr_null(wheel_pop(&w));
	wheel_turn(&w, 100 + 4 * WHEEL_SLOTS);
	ck_assert_ptr_eq(wheel_pop(&w), &far_off);
	ck_assert_uint_eq(wheel_next(&w), WHEEL_NEVER);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wheel");
	TCase *t = tcase_create("wheel");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, agrees_with_a_plain_list);
	tcase_add_test(t, says_exactly_when_to_look_again);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
