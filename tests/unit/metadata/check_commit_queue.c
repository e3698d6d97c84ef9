/* Who is committed next: alone as they come, in company one of each first; nobody waits for ever, nothing is lost. */
#include "backends/metadata/store.h"
#include "tests/unit/metadata/help.h"

#define MANY 300

static struct commit_queue q;
static struct commit_item item[MANY];
static struct db_batch batch[MANY];

static db_job_fn job;
static enum gh_status job(struct db_conn *c, void *arg, int64_t now_us)
{
	(void)c;
	(void)arg;
	(void)now_us;
	return GH_OK;
}

static void setup(void)
{
	memset(&q, 0, sizeof(q));
	q.tail = &q.head;
	memset(item, 0, sizeof(item));
}

/* Item i is a batch of this tenant (0: a job). */
static void put(unsigned i, uint64_t tenant, uint64_t now_ns)
{
	batch[i].tenant = tenant;
	item[i].batch = tenant ? &batch[i] : NULL;
	item[i].job = tenant ? NULL : job;
	commit_queue_put(&q, &item[i], now_ns);
}

/* How many the next group has; its members' numbers in order. */
static unsigned take(bool jobs_alone, uint64_t now_ns, unsigned *ret)
{
	struct commit_item *late, *items = commit_queue_take(&q, jobs_alone, now_ns, &late);
	unsigned n = 0;

	ck_assert_ptr_null(late);
	for (; items; items = items->next)
		ret[n++] = (unsigned)(items - item);
	return n;
}

START_TEST(alone_they_go_as_they_came_and_as_many_as_possible)
{
	unsigned got[MANY];

	for (unsigned i = 0; i < 100; i++)
		put(i, 7, 1);
	ck_assert_uint_eq(take(false, 2, got), GROUP_MAX);
	for (unsigned i = 0; i < GROUP_MAX; i++)
		ck_assert_uint_eq(got[i], i);
	ck_assert_uint_eq(take(false, 2, got), 100 - GROUP_MAX);
	ck_assert_uint_eq(take(false, 2, got), 0);
	put(100, 7, 3); /* the queue is whole after it was empty */
	ck_assert_uint_eq(take(false, 3, got), 1);
}
END_TEST

START_TEST(in_company_a_group_has_few_of_each_and_begins_with_one_of_each)
{
	unsigned got[MANY];

	for (unsigned i = 0; i < 100; i++)
		put(i, 7, 1);
	put(100, 8, 1);
	put(101, 9, 1);
	put(102, 8, 1);
	ck_assert_uint_eq(take(false, 2, got), GROUP_OF_ONE + 3);
	ck_assert_uint_eq(got[0], 0);
	ck_assert_uint_eq(got[1], 100);
	ck_assert_uint_eq(got[2], 101);
	for (unsigned i = 3; i < GROUP_OF_ONE + 2; i++)
		ck_assert_uint_eq(got[i], i - 2);
	ck_assert_uint_eq(got[GROUP_OF_ONE + 2], 102);
	ck_assert_uint_eq(take(false, 2, got), GROUP_OF_ONE);
	/* after a second without company, or with none but the house's own */
	put(103, 0, 3 + GH_S_NS);
	ck_assert_uint_eq(take(false, 3 + GH_S_NS, got), GROUP_MAX);
}
END_TEST

START_TEST(many_tenants_share_one_group)
{
	unsigned got[MANY];

	for (unsigned i = 0; i < 100; i++)
		put(i, 7, 1);
	for (unsigned i = 100; i < 130; i++)
		put(i, i, 1);
	ck_assert_uint_eq(take(false, 2, got), GROUP_OF_ONE + 30);
	for (unsigned i = 1; i <= 30; i++)
		ck_assert_uint_eq(got[i], 99 + i);
	for (unsigned i = 130; i < 230; i++)
		put(i, i, 2);
	ck_assert_uint_eq(take(false, 3, got), GROUP_MAX);
	ck_assert_uint_eq(got[0], GROUP_OF_ONE);
	for (unsigned i = 1; i < GROUP_MAX; i++) /* its others wait for those of whom none was there */
		ck_assert_uint_eq(got[i], 129 + i);
}
END_TEST

/* Tenant 7 always has enough waiting. How many the group has that begins with this newcomer of the tenant's; 0: nobody's. */
static unsigned beside_a_flood(uint64_t tenant)
{
	static unsigned next;
	unsigned got[MANY];

	for (unsigned i = 0; i < GROUP_OF_ONE; i++)
		put(next++ % MANY, 7, 1);
	if (tenant)
		put(next++ % MANY, tenant, 1);
	const unsigned n = take(false, 2, got);
	ck_assert(q.rare || n != GROUP_SHORT);
	ck_assert(tenant || !q.rare);
	ck_assert_uint_eq(batch[got[0]].tenant, 7);
	ck_assert(!tenant || batch[got[1]].tenant == tenant);
	const uint64_t groups = q.groups;
	while (take(false, 3 + GH_S_NS, got)) /* what is left is not what this is about */
		;
	q.groups = groups;
	return n;
}

START_TEST(who_comes_rarely_is_in_a_shorter_group)
{
	for (unsigned i = 0; i < 20; i++) { /* after others' groups */
		ck_assert_uint_eq(beside_a_flood(8), i ? GROUP_SHORT : GROUP_OF_ONE + 1);
		for (unsigned k = 0; k < 5; k++)
			ck_assert_uint_eq(beside_a_flood(0), GROUP_OF_ONE);
	}
	ck_assert_uint_eq(beside_a_flood(8), GROUP_SHORT);
	for (unsigned i = 0; i < 20; i++) /* in each: it does not come rarely any more */
		ck_assert_uint_eq(beside_a_flood(8), GROUP_OF_ONE + 1);
}
END_TEST

START_TEST(however_many_come_rarely_most_groups_are_not_shortened)
{
	unsigned shortened = 0;

	for (unsigned i = 0; i < 200; i++)
		shortened += beside_a_flood(100 + i % 50) == GROUP_SHORT;
	ck_assert_uint_ge(shortened, 45); /* what they are slowed down by */
	ck_assert_uint_le(shortened, 50);
}
END_TEST

START_TEST(many_tenants_take_turns_by_age)
{
	unsigned got[MANY], seen = 0;

	for (unsigned i = 0; i < 200; i++)
		put(i, 1 + i % 40, 1);
	for (unsigned n; (n = take(false, 2, got)) > 0;) {
		for (unsigned i = 0; i < n; i++)
			ck_assert_uint_eq(got[i], seen + i); /* distinct neighbours: the order in which they came */
		seen += n;
	}
	ck_assert_uint_eq(seen, 200);
}
END_TEST

START_TEST(a_job_may_want_to_be_alone)
{
	unsigned got[MANY];

	put(0, 7, 1);
	put(1, 8, 1);
	put(2, 0, 1);
	put(3, 9, 1);
	put(4, 7, 1);
	ck_assert_uint_eq(take(true, 2, got), 2);
	ck_assert_uint_eq(take(true, 2, got), 1);
	ck_assert_uint_eq(got[0], 2);
	ck_assert_uint_eq(take(true, 2, got), 2);
	put(5, 0, 3);
	put(6, 7, 3);
	ck_assert_uint_eq(take(false, 4, got), 2);
}
END_TEST

START_TEST(those_whose_time_is_over_are_told_wherever_they_stand)
{
	struct commit_item *late, *items;
	unsigned n = 0;

	for (unsigned i = 0; i < 10; i++) {
		put(i, 7, 1);
		item[i].deadline_ns = i % 3 ? 100 : 50;
	}
	items = commit_queue_take(&q, false, 60, &late);
	for (; late; late = late->next, n++) {
		ck_assert_int_eq(late->status, GH_DEADLINE);
		ck_assert_uint_eq((late - item) % 3, 0);
	}
	ck_assert_uint_eq(n, 4);
	for (n = 0; items; items = items->next)
		n++;
	ck_assert_uint_eq(n, 6);
	put(10, 7, 61);
	ck_assert_ptr_eq(commit_queue_take(&q, false, 62, &late), &item[10]);
}
END_TEST

/* How many go with the group of items first..first+count-1, which was taken; their numbers in order. */
static unsigned join(unsigned first, unsigned count, uint64_t now_ns, unsigned *ret)
{
	struct commit_item *more;
	unsigned n = 0;

	for (unsigned i = first; i < first + count; i++)
		item[i].next = i + 1 < first + count ? &item[i + 1] : NULL;
	more = commit_queue_join(&q, &item[first], now_ns);
	for (; more; more = more->next)
		ret[n++] = (unsigned)(more - item);
	return n;
}

START_TEST(who_comes_while_a_group_runs_goes_with_it)
{
	unsigned got[MANY];

	put(0, 7, 1);
	put(1, 7, 1);
	ck_assert_uint_eq(take(false, 2, got), 2);
	ck_assert_uint_eq(join(0, 2, 2, got), 0);
	for (unsigned i = 2; i < 100; i++)
		put(i, 7, 3);
	item[3].deadline_ns = 3; /* over when it would join: the next take tells it */
	ck_assert_uint_eq(join(0, 2, 4, got), GROUP_MAX - 2);
	ck_assert_uint_eq(got[0], 2);
	ck_assert_uint_eq(got[1], 4);
	item[3].deadline_ns = 0;
	ck_assert_uint_eq(take(false, 5, got), 98 - (GROUP_MAX - 2));
	ck_assert_uint_eq(got[0], 3);
}
END_TEST

START_TEST(in_company_only_who_comes_rarely_goes_with_a_group_that_runs)
{
	unsigned got[MANY];

	put(0, 7, 1);
	put(1, 8, 1);
	ck_assert_uint_eq(take(false, 2, got), 2);
	put(2, 7, 3);
	put(3, 8, 3);
	for (unsigned i = 4; i < 4 + 2 * GROUP_OF_ONE; i++)
		put(i, 100 + i, 3);
	put(4 + 2 * GROUP_OF_ONE, 104, 3); /* its second: one of each */
	q.rare = false;
	ck_assert_uint_eq(join(0, 2, 4, got), GROUP_OF_ONE + GROUP_SHORT - 2);
	ck_assert(q.rare);
	for (unsigned i = 0; i < GROUP_OF_ONE + GROUP_SHORT - 2; i++)
		ck_assert_uint_eq(got[i], 4 + i);
	ck_assert_uint_eq(join(0, GROUP_OF_ONE + GROUP_SHORT, 4, got), 0);
}
END_TEST

/* Tenant 7 floods, 8 was seen, and neither it nor anybody was waited for of late. */
static void flood_with_company(void)
{
	unsigned got[MANY];

	put(0, 8, 1);
	put(1, 7, 1);
	ck_assert_uint_eq(take(false, 2, got), 2);
	for (unsigned i = 0; i < 8; i++) {
		put(2, 7, 1);
		ck_assert_uint_eq(take(false, 2, got), 1);
	}
}

START_TEST(a_group_waits_for_who_comes_rarely)
{
	unsigned got[MANY];
	uint64_t until;

	flood_with_company();
	commit_queue_expect(&q, 8, 100);
	ck_assert_uint_eq(commit_queue_hold_ns(&q, 101), 0); /* nothing is kept from going */
	put(10, 7, 102);
	until = commit_queue_hold_ns(&q, 103);
	ck_assert_uint_gt(until, 103);
	ck_assert_uint_le(until, 100 + GH_MS_NS);
	put(11, 7, 104); /* a flooder's is not who it waits for */
	ck_assert_uint_eq(commit_queue_hold_ns(&q, 105), until);
	put(12, 8, 106);
	ck_assert_uint_eq(commit_queue_hold_ns(&q, 107), 0);
	ck_assert_uint_eq(take(false, 108, got), 3);
	ck_assert_uint_eq(got[1], 12);
}
END_TEST

START_TEST(nobody_is_waited_for_twice_in_few_groups_or_in_vain_for_long)
{
	unsigned got[MANY];
	uint64_t until;

	flood_with_company();
	commit_queue_expect(&q, 8, 100);
	put(10, 7, 100);
	until = commit_queue_hold_ns(&q, 101);
	commit_queue_expect(&q, 9, 200); /* does not make it longer */
	ck_assert_uint_eq(commit_queue_hold_ns(&q, 201), until);
	ck_assert_uint_eq(commit_queue_hold_ns(&q, until), 0);
	for (unsigned i = 0; i < 8; i++) { /* its content's disk hangs: most groups go at once all the same */
		commit_queue_expect(&q, 9, until + i);
		ck_assert_uint_eq(commit_queue_hold_ns(&q, until + i) != 0, i == 4);
		if (i == 4)
			ck_assert_uint_eq(commit_queue_hold_ns(&q, q.expected_until_ns), 0);
		ck_assert_uint_gt(take(false, until + i, got), 0);
		put(20 + i, 7, until + i);
	}
}
END_TEST

START_TEST(who_floods_or_is_alone_is_not_waited_for)
{
	put(0, 7, 1);
	commit_queue_expect(&q, 7, 2);
	ck_assert_uint_eq(commit_queue_hold_ns(&q, 3), 0);
	setup();
	flood_with_company();
	put(10, 8, 4); /* the last that came is another's: 7 was in the last group, so it does not come rarely */
	commit_queue_expect(&q, 7, 5);
	ck_assert_uint_eq(commit_queue_hold_ns(&q, 6), 0);
	commit_queue_expect(&q, 0, 5);
	ck_assert_uint_eq(commit_queue_hold_ns(&q, 6), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("commit queue");
	TCase *t = tcase_create("queue");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, alone_they_go_as_they_came_and_as_many_as_possible);
	tcase_add_test(t, in_company_a_group_has_few_of_each_and_begins_with_one_of_each);
	tcase_add_test(t, many_tenants_share_one_group);
	tcase_add_test(t, who_comes_rarely_is_in_a_shorter_group);
	tcase_add_test(t, however_many_come_rarely_most_groups_are_not_shortened);
	tcase_add_test(t, many_tenants_take_turns_by_age);
	tcase_add_test(t, a_job_may_want_to_be_alone);
	tcase_add_test(t, who_comes_while_a_group_runs_goes_with_it);
	tcase_add_test(t, in_company_only_who_comes_rarely_goes_with_a_group_that_runs);
	tcase_add_test(t, a_group_waits_for_who_comes_rarely);
	tcase_add_test(t, nobody_is_waited_for_twice_in_few_groups_or_in_vain_for_long);
	tcase_add_test(t, who_floods_or_is_alone_is_not_waited_for);
	tcase_add_test(t, those_whose_time_is_over_are_told_wherever_they_stand);
	suite_add_tcase(s, t);
	return run_suite(s);
}
