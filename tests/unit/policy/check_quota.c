/* Quota by leases: the arithmetic by itself, then several holders with a store's books between them, some of which die,
 * in random order: never above the limit, nothing leaks, nobody starves while there is room. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "policy/quota.h"

START_TEST(what_was_not_granted_is_not_reserved)
{
	struct quota_stock s = { 0 };

	ck_assert(!quota_stock_reserve(&s, 1));
	ck_assert(quota_stock_reserve(&s, 0));
	quota_stock_granted(&s, 100, quota_stock_mark(&s));
	ck_assert(quota_stock_reserve(&s, 60));
	ck_assert(!quota_stock_reserve(&s, 41));
	ck_assert(quota_stock_reserve(&s, 40));
	ck_assert_uint_eq(quota_stock_room(&s), 0);
	quota_stock_unreserve(&s, 40);
	ck_assert_uint_eq(quota_stock_room(&s), 40);
}
END_TEST

START_TEST(claim_takes_what_was_reserved_for_it)
{
	struct quota_stock s = { .granted = 100 };

	ck_assert(quota_stock_reserve(&s, 100));
	ck_assert(!quota_stock_claim(&s, 1, 0)); /* another's room */
	ck_assert(quota_stock_claim(&s, 100, 100));
	quota_stock_settle(&s, 100, true);
	ck_assert_uint_eq(s.spent, 100);
	ck_assert_uint_eq(s.claimed + s.reserved, 0);
	ck_assert(!quota_stock_claim(&s, 1, 0));
}
END_TEST

START_TEST(claim_beyond_the_reserved_leaves_others_theirs)
{
	struct quota_stock s = { .granted = 100 };

	ck_assert(quota_stock_reserve(&s, 30)); /* mine */
	ck_assert(quota_stock_reserve(&s, 50)); /* another's */
	ck_assert(!quota_stock_claim(&s, 51, 30));
	ck_assert(quota_stock_claim(&s, 50, 30));
	ck_assert_uint_eq(s.reserved, 50);
}
END_TEST

START_TEST(claim_that_came_to_nothing_gives_its_room_back)
{
	struct quota_stock s = { .granted = 10 };

	ck_assert(quota_stock_claim(&s, 10, 0));
	quota_stock_settle(&s, 10, false);
	ck_assert_uint_eq(quota_stock_room(&s), 10);
}
END_TEST

START_TEST(what_is_settled_while_a_grant_is_asked_for_counts_against_it)
{
	struct quota_stock s = { .granted = 10 };
	uint64_t mark;

	ck_assert(quota_stock_claim(&s, 4, 0));
	quota_stock_settle(&s, 4, true);
	mark = quota_stock_mark(&s);
	ck_assert(quota_stock_claim(&s, 3, 0));
	quota_stock_settle(&s, 3, true);
	quota_stock_granted(&s, 20, mark);
	ck_assert_uint_eq(s.spent, 3);
	ck_assert_uint_eq(quota_stock_room(&s), 17);
}
END_TEST

START_TEST(smaller_grant_refuses_claims_that_were_reserved_before_it)
{
	struct quota_stock s = { .granted = 100 };

	ck_assert(quota_stock_reserve(&s, 80));
	quota_stock_granted(&s, 50, quota_stock_mark(&s)); /* the limit was lowered */
	ck_assert(!quota_stock_claim(&s, 80, 80));
	ck_assert_uint_eq(quota_stock_room(&s), 0);
	quota_stock_unreserve(&s, 80);
	ck_assert_uint_eq(quota_stock_room(&s), 50);
}
END_TEST

START_TEST(leases_shrink_as_the_limit_nears)
{
	struct quota_books b = { .limit = 1000 };
	uint64_t before = UINT64_MAX;

	for (b.used = 0; b.used <= 990; b.used += 30) {
		const uint64_t n = quota_grant(&b, 10, 10000);

		ck_assert_uint_ge(n, 10);
		ck_assert_uint_le(n, before);
		before = n;
	}
	ck_assert_uint_eq(before, 10);
	b.used = 1000;
	ck_assert_uint_eq(quota_grant(&b, 10, 10000), 0);
	b.used = 2000; /* the limit was lowered below it */
	ck_assert_uint_eq(quota_grant(&b, 10, 10000), 0);
}
END_TEST

START_TEST(grant_never_passes_the_limit_whatever_comes_in)
{
	static const uint64_t odd[] = { 0, 1, 2, 1000, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX };
	enum { N = sizeof(odd) / sizeof(odd[0]) };

	for (unsigned i = 0; i < N * N * N * N; i++) {
		const struct quota_books b = { odd[i % N], odd[i / N % N], odd[i / N / N % N] };
		const uint64_t n = quota_grant(&b, odd[i / N / N / N], 1000);

		if (n)
			ck_assert(n <= b.limit && b.used <= b.limit - n && b.others <= b.limit - n - b.used);
	}
}
END_TEST

START_TEST(others_are_called_only_where_the_limit_has_room_for_all_of_it)
{
	struct quota_books b = { .limit = 1000, .used = 700, .others = 100 };

	ck_assert(!quota_lies_with_others(&b, 200)); /* it is there */
	ck_assert(quota_lies_with_others(&b, 201));
	ck_assert(quota_lies_with_others(&b, 300));
	ck_assert(!quota_lies_with_others(&b, 301));
	b.others = UINT64_MAX;
	ck_assert(quota_lies_with_others(&b, 300));
	b.others = 0;
	ck_assert(!quota_lies_with_others(&b, 300));
	b.used = UINT64_MAX;
	ck_assert(!quota_lies_with_others(&b, 1));
	ck_assert(!quota_lies_with_others(&b, 0));
}
END_TEST

START_TEST(whoever_needs_what_is_there_gets_it)
{
	const struct quota_books b = { .limit = 1000, .used = 700, .others = 100 };

	ck_assert_uint_eq(quota_grant(&b, 200, 50), 200);
	ck_assert_uint_eq(quota_grant(&b, 201, 50), 200);
	ck_assert_uint_eq(quota_grant(&b, 0, 1000), 50);
	ck_assert_uint_eq(quota_prepay(1000, 800, 200, 50), 200);
	ck_assert_uint_eq(quota_prepay(1000, 800, 201, 50), 0);
	ck_assert_uint_eq(quota_prepay(1000, 1800, 1, 50), 0);
}
END_TEST

/* ---- months ---- */

START_TEST(months_are_those_of_the_calendar)
{
	static const int length[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t at = 0; /* 1970-01-01 */
	char text[24];

	for (int year = 1970; year < 2410; year++) {
		const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

		for (int m = 0; m < 12; m++) {
			const int64_t month = quota_month_of(at);

			ck_assert_int_eq(month, year * 12 + m);
			ck_assert_int_eq(quota_month_begin(month), at);
			ck_assert_int_eq(quota_month_of(at - 1), month - 1);
			at += (length[m] + (leap && m == 1)) * 86400000000ll;
			ck_assert_int_eq(quota_month_of(at - 1), month);
		}
	}
	quota_month_text(text, quota_month_of(1790000000000000ll));
	ck_assert_str_eq(text, "2026-09");
	ck_assert_int_eq(quota_month_of(-1), 1969 * 12 + 11);
}
END_TEST

/* ---- many holders ---- */

#define HOLDERS 6
#define LEASE_TICKS 20
#define OPS 8 /* under way at a holder */

struct op {
	enum { IDLE, RESERVED, CLAIMED } state;
	uint64_t n, held, lease;
};

struct holder {
	struct quota_stock stock;
	struct op ops[OPS];
	uint64_t name, leased, until; /* as the store has it */
	bool dead;
};

static struct holder holders[HOLDERS];
static uint64_t now, used, limit, refused, dice;

static uint64_t roll(uint64_t below)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (dice >> 33) % below;
}

static uint64_t leases_of_others(unsigned i)
{
	uint64_t n = 0;

	for (unsigned k = 0; k < HOLDERS; k++)
		if (k != i && holders[k].until > now)
			n += holders[k].leased;
	return n;
}

static void renew(unsigned i, uint64_t more)
{
	struct holder *h = &holders[i];
	const struct quota_books b = { limit, used, leases_of_others(i) };
	const uint64_t mark = quota_stock_mark(&h->stock), n = quota_grant(&b, quota_stock_need(&h->stock, more), 100);

	h->name += !quota_stock_covers(&h->stock, n);
	h->leased = n;
	h->until = now + LEASE_TICKS;
	quota_stock_granted(&h->stock, n, mark);
}

static void begin(unsigned i, struct op *o)
{
	struct holder *h = &holders[i];

	o->n = 1 + roll(60);
	o->held = 0;
	if (!quota_stock_reserve(&h->stock, o->n)) {
		renew(i, o->n);
		if (!quota_stock_reserve(&h->stock, o->n)) {
			/* refused: then it was not there */
			ck_assert_uint_gt(o->n + quota_stock_need(&h->stock, 0) + leases_of_others(i) + used, limit);
			refused++;
			return;
		}
	}
	o->held = o->n;
	o->state = RESERVED;
}

/* As a batch of the store: happens if the lease that it names lives, then. */
static void commit(unsigned i, struct op *o)
{
	struct holder *h = &holders[i];
	const bool lives = h->until > now && h->name == o->lease;

	if (lives)
		used += o->n;
	quota_stock_settle(&h->stock, o->n, lives);
	o->state = IDLE;
	ck_assert_uint_le(used, limit);
}

static void step(unsigned i)
{
	struct holder *h = &holders[i];
	struct op *o = &h->ops[roll(OPS)];
	const uint64_t freed = used ? roll(used / 4 + 1) : 0;

	switch (roll(40)) {
	case 0: /* dies, with all that is under way; its lease stays in the books until it has expired */
		memset(&h->stock, 0, sizeof(h->stock));
		memset(h->ops, 0, sizeof(h->ops));
		h->dead = true;
		return;
	case 1:
		used -= freed;
		return;
	case 2: /* the keeper, when nothing is under way */
		renew(i, 0);
		return;
	}
	switch (o->state) {
	case IDLE:
		begin(i, o);
		return;
	case RESERVED:
		if (roll(5) == 0) { /* aborted */
			quota_stock_unreserve(&h->stock, o->held);
			o->state = IDLE;
			return;
		}
		if (h->until <= now)
			renew(i, 0);
		if (quota_stock_claim(&h->stock, o->n, o->held)) {
			o->state = CLAIMED;
			o->lease = h->name;
		} else { /* the lease ran out and others took the room */
			quota_stock_unreserve(&h->stock, o->held);
			o->state = IDLE;
		}
		return;
	case CLAIMED:
		commit(i, o);
		return;
	}
}

static void after_all_leases(void)
{
	for (unsigned i = 0; i < HOLDERS; i++) {
		memset(&holders[i].stock, 0, sizeof(holders[i].stock));
		memset(holders[i].ops, 0, sizeof(holders[i].ops));
	}
	now += LEASE_TICKS + 1;
}

START_TEST(holders_that_die_neither_pass_the_limit_nor_leak)
{
	dice = (uint64_t)_i * 7919 + 1;
	limit = 200 + roll(2000);
	used = refused = now = 0;
	memset(holders, 0, sizeof(holders));
	for (unsigned round = 0; round < 20000; round++) {
		const unsigned i = (unsigned)roll(HOLDERS);

		now += roll(4) == 0;
		if (holders[i].dead && holders[i].until > now)
			continue; /* a new process is a new holder: this place is taken until then */
		holders[i].dead = false;
		step(i);
	}
	ck_assert_uint_gt(refused, 0);
	/* One that comes when all leases are over gets exactly what is left. */
	after_all_leases();
	ck_assert_uint_le(used, limit);
	renew(0, limit - used);
	ck_assert_uint_eq(quota_stock_room(&holders[0].stock), limit - used);
	ck_assert(quota_stock_reserve(&holders[0].stock, limit - used));
	ck_assert(!quota_stock_reserve(&holders[0].stock, 1));
}
END_TEST

START_TEST(idle_leases_keep_nobody_waiting_for_longer_than_they_live)
{
	limit = 1000;
	used = now = 0;
	memset(holders, 0, sizeof(holders));
	for (unsigned i = 1; i < HOLDERS; i++)
		renew(i, 1); /* and then nothing */
	renew(0, 1000);
	ck_assert_uint_lt(quota_stock_room(&holders[0].stock), 1000);
	now += LEASE_TICKS;
	renew(0, 1000);
	ck_assert_uint_eq(quota_stock_room(&holders[0].stock), 1000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quota");
	TCase *c = tcase_create("quota");
	SRunner *r;
	int failed;

	tcase_add_test(c, what_was_not_granted_is_not_reserved);
	tcase_add_test(c, claim_takes_what_was_reserved_for_it);
	tcase_add_test(c, claim_beyond_the_reserved_leaves_others_theirs);
	tcase_add_test(c, claim_that_came_to_nothing_gives_its_room_back);
	tcase_add_test(c, what_is_settled_while_a_grant_is_asked_for_counts_against_it);
	tcase_add_test(c, smaller_grant_refuses_claims_that_were_reserved_before_it);
	tcase_add_test(c, leases_shrink_as_the_limit_nears);
	tcase_add_test(c, grant_never_passes_the_limit_whatever_comes_in);
	tcase_add_test(c, others_are_called_only_where_the_limit_has_room_for_all_of_it);
	tcase_add_test(c, whoever_needs_what_is_there_gets_it);
	tcase_add_test(c, months_are_those_of_the_calendar);
	tcase_add_loop_test(c, holders_that_die_neither_pass_the_limit_nor_leak, 0, 20);
	tcase_add_test(c, idle_leases_keep_nobody_waiting_for_longer_than_they_live);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
