/* The fair share against a list: random pushes, takes, cancels, settles, charges and changes of rules, each compared with
 * what plain counting over all items says (but for what a flow owes: that is read out of it). Of whom to run next the list knows what does not depend on history: that it is
 * the oldest of its tenant and class, that it may run, that nothing that may run is left behind, and that the order
 * within a class follows virtual times that are kept here once more, in the plainest way. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/fair_inner.h"
#include "policy/fairshare.h"

#define ITEMS 400
#define TENANTS 12
#define CLASSES 3
#define POOLS 3

enum { OUT, WAITS, RUNS };

struct entry {
	struct fair_item item; /* first */
	int state;
	unsigned order;
};

static const struct fair_config cfg = { .slots = { 8, 3, 1 }, .kept = { 2, 1 }, .queue_max = { 60, 20, 5 },
					.class_reserved = { [1] = 1, [2] = 2 }, .class_weight = { [2] = 300 } };
static struct entry e[ITEMS];
static struct fair_tenant_rule rules[TENANTS];
static struct fair *f;
static uint64_t came[POOLS];  /* whose the last item was */
static bool company[POOLS];   /* there were others, too: all of it is over before any is forgotten */
static unsigned next_order;
static uint64_t seed, now_ns;

static unsigned dice(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % below);
}

static unsigned count(int state, int tenant, int pool, int class)
{
	unsigned n = 0;
	for (unsigned i = 0; i < ITEMS; i++)
		n += e[i].state == state && (tenant < 0 || e[i].item.tenant == (uint64_t)tenant) &&
		     (pool < 0 || e[i].item.pool == (unsigned)pool) && (class < 0 || e[i].item.class == (unsigned)class);
	return n;
}

/* Does it owe its class something, and is somebody before it? */
static bool owes(unsigned tenant, unsigned pool, unsigned class)
{
	const struct fair_tenant *t = fair_tenant_find(f, tenant, pool);
	const struct fair_flow *fl = t ? t->flows[class] : NULL, *first = fair_class_first(&f->pools[pool].classes[class]);

	return fl && fair_before(f->pools[pool].classes[class].virtual_ns, fl->tag) && first &&
	       fair_before(first->tag, fl->tag);
}

enum may { NO, IF_IT_OWES_NOTHING, YES };

/* May something of this tenant and class run now, whoever else waits? */
static enum may may_run(unsigned tenant, unsigned pool, unsigned class)
{
	const unsigned running = count(RUNS, -1, (int)pool, -1), mine = count(RUNS, (int)tenant, (int)pool, -1);
	unsigned reserved = 0;

	if (running >= cfg.slots[pool])
		return NO;
	if (rules[tenant].cap && mine >= rules[tenant].cap)
		return NO;
	if (!pool && count(RUNS, -1, 0, (int)class) < cfg.class_reserved[class])
		return YES;
	for (unsigned k = 0; !pool && k < FAIR_CLASSES; k++) {
		const unsigned r = count(RUNS, -1, 0, (int)k);
		if (k != class && r < cfg.class_reserved[k])
			reserved += cfg.class_reserved[k] - r;
	}
	if (cfg.slots[pool] - running <= reserved)
		return NO;
	if (!company[pool] || cfg.slots[pool] - running > reserved + cfg.kept[pool])
		return YES;
	return mine ? NO : IF_IT_OWES_NOTHING;
}

static bool somebody_may(int pool)
{
	for (unsigned i = 0; i < ITEMS; i++)
		if (e[i].state == WAITS && (pool < 0 || e[i].item.pool == (unsigned)pool)) {
			const unsigned t = (unsigned)e[i].item.tenant, p = e[i].item.pool, k = e[i].item.class;
			const enum may may = may_run(t, p, k);
			if (may == YES || (may == IF_IT_OWES_NOTHING && !owes(t, p, k)))
				return true;
		}
	return false;
}

static void check_sums(void)
{
	for (unsigned p = 0; p < POOLS; p++) {
		const struct fair_sums s = fair_sums(f, p);
		uint64_t oldest = 0;
		unsigned tenants = 0;
		for (unsigned i = 0; i < ITEMS; i++)
			if (e[i].state == WAITS && e[i].item.pool == p && (!oldest || e[i].item.queued_ns < oldest))
				oldest = e[i].item.queued_ns;
		for (unsigned t = 0; t < TENANTS; t++)
			tenants += count(WAITS, (int)t, (int)p, -1) > 0;
		ck_assert_uint_eq(s.waiting, count(WAITS, -1, (int)p, -1));
		ck_assert_uint_eq(s.running, count(RUNS, -1, (int)p, -1));
		ck_assert_uint_eq(s.tenants, tenants);
		ck_assert_uint_eq(s.oldest_queued_ns, oldest);
		ck_assert_uint_le(s.waiting, cfg.queue_max[p]);
	}
	const unsigned t = dice(TENANTS);
	ck_assert_uint_eq(fair_tenant_sums(f, t).waiting, count(WAITS, (int)t, -1, -1));
	ck_assert_uint_eq(fair_tenant_sums(f, t).running, count(RUNS, (int)t, -1, -1));
	const uint32_t s = fair_retry_after_s(f, t, dice(CLASSES));
	ck_assert(s >= 1 && s <= 60);
}

/* a/b of a tenant above c/d? */
static bool above(unsigned waits_a, unsigned weight_a, unsigned waits_b, unsigned weight_b)
{
	return (uint64_t)waits_a * weight_b > (uint64_t)waits_b * weight_a;
}

static void push(struct entry *x)
{
	const unsigned t = dice(TENANTS), class = dice(CLASSES);
	struct fair_item *victim = NULL;

	x->item = (struct fair_item){ .tenant = t, .class = class, .rule = rules[t] };
	const unsigned pool = rules[t].pool;
	company[pool] |= t && came[pool] && came[pool] != t;
	came[pool] = t ? t : came[pool];
	const enum may may = count(WAITS, (int)t, (int)pool, (int)class) || somebody_may((int)pool) ? NO :
			     may_run(t, pool, class);
	const unsigned mine = count(WAITS, (int)t, (int)pool, -1) + 1;
	bool others_above = false;
	for (unsigned k = 0; k < TENANTS; k++)
		others_above |= above(count(WAITS, (int)k, (int)pool, -1), rules[k].weight, mine, rules[t].weight);
	const bool full = count(WAITS, -1, (int)pool, -1) >= cfg.queue_max[pool];
	const enum fair_pushed said = fair_push(f, &x->item, now_ns, &victim);
	/* Time goes on in there, and works off what is owed: that is asked for afterwards. */
	const bool at_once = may == YES ||
			     (may == IF_IT_OWES_NOTHING &&
			      (said == FAIR_RUN || (!owes(t, pool, class) && !somebody_may((int)pool))));
	ck_assert_int_eq(said, at_once ? FAIR_RUN : !full ? FAIR_QUEUED : others_above ? FAIR_EVICTED : FAIR_REFUSED);
	if (said == FAIR_EVICTED) {
		struct entry *v = (struct entry *)victim;
		ck_assert_int_eq(v->state, WAITS);
		ck_assert_uint_eq(v->item.pool, pool);
		const unsigned vt = (unsigned)v->item.tenant, his = count(WAITS, (int)vt, (int)pool, -1);
		for (unsigned i = 0; i < ITEMS; i++) {
			if (e[i].state != WAITS || e[i].item.pool != pool)
				continue;
			const unsigned k = (unsigned)e[i].item.tenant;
			ck_assert(!above(count(WAITS, (int)k, (int)pool, -1), rules[k].weight, his, rules[vt].weight));
			ck_assert(k != vt || e[i].item.queued_ns <= v->item.queued_ns);
		}
		v->state = OUT;
	}
	x->order = next_order++;
	x->state = said == FAIR_RUN ? RUNS : said == FAIR_REFUSED ? OUT : WAITS;
}

static void take(void)
{
	const bool some = somebody_may(-1);
	struct entry *x = (struct entry *)fair_take(f, now_ns);

	if (!x) {
		ck_assert(!some);
		ck_assert(!somebody_may(-1)); /* nor with what has been worked off until now */
		return;
	}
	ck_assert_int_eq(x->state, WAITS);
	ck_assert_int_ne(may_run((unsigned)x->item.tenant, x->item.pool, x->item.class), NO);
	for (unsigned i = 0; i < ITEMS; i++)
		if (e[i].state == WAITS && e[i].item.tenant == x->item.tenant && e[i].item.class == x->item.class &&
		    e[i].item.pool == x->item.pool)
			ck_assert_uint_ge(e[i].order, x->order);
	x->state = RUNS;
}

static void change_rule(void)
{
	const unsigned t = dice(TENANTS);
	rules[t].weight = 1 + dice(FAIR_WEIGHT_MAX);
	rules[t].cap = dice(3) ? 0 : 1 + dice(3);
	if (!count(WAITS, (int)t, -1, -1) && !count(RUNS, (int)t, -1, -1))
		rules[t].pool = dice(2) ? 0 : dice(POOLS);
	fair_tenant_set(f, t, &rules[t]);
}

static void step(void)
{
	struct entry *x = &e[dice(ITEMS)];

	now_ns += dice(4) ? dice(1000000) : 0;
	switch (dice(12)) {
	case 0: case 1: case 2: case 3: case 4: case 5:
		if (x->state == OUT)
			push(x);
		break;
	case 6: case 7:
		take();
		break;
	case 8:
		ck_assert_int_eq(fair_cancel(f, &x->item), x->state == WAITS);
		if (x->state == WAITS)
			x->state = OUT;
		break;
	case 9: {
		const unsigned t = dice(TENANTS);
		fair_charge(f, t, dice(CLASSES), &rules[t], dice(30000000), now_ns);
		break;
	}
	case 10:
		if (!dice(10))
			change_rule();
		break;
	case 11:
		for (unsigned i = 0; i < ITEMS && x->state != RUNS; i++)
			x = &e[i];
		if (x->state == RUNS) {
			fair_settle(f, &x->item, dice(5000000), now_ns);
			x->state = OUT;
		}
		break;
	}
}

START_TEST(whatever_is_done_counting_agrees)
{
	seed = 88172645463325252ull + (uint64_t)_i * 7919;
	now_ns = 1000;
	next_order = 0;
	f = fair_new(&cfg);
	memset(came, 0, sizeof(came));
	memset(company, 0, sizeof(company));
	for (unsigned t = 0; t < TENANTS; t++)
		rules[t] = (struct fair_tenant_rule){ .weight = 50 + 50 * (t % 4), .cap = t % 5 == 4, .pool = t % 6 == 5 };
	for (unsigned i = 0; i < ITEMS; i++)
		e[i] = (struct entry){ 0 };
	for (unsigned i = 0; i < 6000; i++) {
		step();
		if (i % 16 == 0)
			check_sums();
	}
	for (unsigned i = 0; i < ITEMS; i++) {
		if (e[i].state == RUNS)
			fair_settle(f, &e[i].item, 0, now_ns);
		else if (e[i].state == WAITS)
			ck_assert(fair_cancel(f, &e[i].item));
	}
	fair_free(&f);
}
END_TEST

/* One class, one slot, known costs: the order of a plain list of virtual times, smallest first. */
START_TEST(the_order_is_that_of_the_smallest_virtual_time)
{
	double tag[TENANTS] = { 0 };
	const struct fair_config one = { .slots = { 1 }, .queue_max = { ITEMS }, .estimate_ns = { 1000000 } };

	seed = 4711;
	f = fair_new(&one);
	for (unsigned t = 0; t < TENANTS; t++)
		rules[t] = (struct fair_tenant_rule){ .weight = 10 * (1 + dice(50)) };
	struct entry *running = NULL;
	for (unsigned i = 0; i < ITEMS; i++) { /* all wait from the beginning */
		struct fair_item *victim;
		const unsigned t = i % TENANTS;
		e[i] = (struct entry){ .item = { .tenant = t, .rule = rules[t] }, .state = WAITS };
		if (fair_push(f, &e[i].item, 1, &victim) == FAIR_RUN)
			running = &e[i];
	}
	for (unsigned i = 0; i < ITEMS; i++) {
		ck_assert_ptr_nonnull(running);
		const unsigned t = (unsigned)running->item.tenant;
		for (unsigned k = 0; i && k < TENANTS; k++)
			ck_assert(!count(WAITS, (int)k, -1, -1) || tag[t] <= tag[k] + 1);
		running->state = OUT;
		const uint64_t cost = 1000000 + dice(3000000);
		tag[t] += (double)cost * 100 / rules[t].weight;
		fair_settle(f, &running->item, cost, 1);
		running = (struct entry *)fair_take(f, 1);
	}
	fair_free(&f);
}
END_TEST

/* ---- what it costs ---- */

static uint64_t moves_of(const struct fair *x)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < FAIR_POOLS; i++) {
		n += x->pools[i].backlogs.moves;
		for (unsigned k = 0; k < FAIR_CLASSES; k++)
			n += x->pools[i].classes[k].ready.moves + x->pools[i].classes[k].debtors.moves;
	}
	return n;
}

/* The most that one turn (settle, take, push of the newcomer) moves in all heaps while so many tenants wait. */
static uint64_t worst_turn(unsigned tenants)
{
	const struct fair_config big = { .slots = { 4 }, .queue_max = { tenants } };
	struct fair_item *it = calloc(tenants + 4, sizeof(*it)), *running[4], *victim;
	uint64_t worst = 0;
	unsigned n = 0;

	ck_assert_ptr_nonnull(it);
	seed = 4711;
	f = fair_new(&big);
	for (unsigned i = 0; i < tenants + 4; i++) {
		it[i].tenant = i;
		it[i].class = i % FAIR_CLASSES;
		it[i].rule = (struct fair_tenant_rule){ .weight = 1 + (uint32_t)dice(FAIR_WEIGHT_MAX) };
		if (fair_push(f, &it[i], 1000 + i, &victim) == FAIR_RUN)
			running[n++] = &it[i];
	}
	ck_assert_uint_eq(n, 4);
	ck_assert_uint_eq(fair_sums(f, 0).waiting, tenants);
	ck_assert_uint_eq(fair_sums(f, 0).tenants, tenants);
	ck_assert_uint_le(f->known, f->buckets); /* looking a tenant up is a step */
	for (unsigned i = 0; i < 20000; i++) {
		const uint64_t before = moves_of(f), now = 1000000 + i * 1000ull;
		struct fair_item *x = running[i % 4];
		fair_settle(f, x, dice(2000000), now);
		running[i % 4] = fair_take(f, now);
		ck_assert_ptr_nonnull(running[i % 4]);
		ck_assert_int_eq(fair_push(f, x, now, &victim), FAIR_QUEUED);
		const uint64_t moved = moves_of(f) - before;
		worst = moved > worst ? moved : worst;
	}
	for (unsigned i = 0; i < 4; i++)
		fair_settle(f, running[i], 0, 1);
	for (unsigned i = 0; i < tenants + 4; i++)
		(void)fair_cancel(f, &it[i]);
	fair_free(&f);
	free(it);
	return worst;
}

START_TEST(a_turn_moves_a_logarithm_of_the_tenants_that_wait)
{
	const uint64_t hundred = worst_turn(100), thousand = worst_turn(10000), many = worst_turn(100000);

	/* A few heaps are gone through a few times each; their depth is the logarithm: 7, 14, 17. */
	ck_assert_uint_le(hundred, 8 * 7);
	ck_assert_uint_le(thousand, 8 * 14);
	ck_assert_uint_le(many, 8 * 17);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fair oracle");
	TCase *t = tcase_create("fair oracle");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, whatever_is_done_counting_agrees, 0, 8);
	tcase_add_test(t, the_order_is_that_of_the_smallest_virtual_time);
	tcase_add_test(t, a_turn_moves_a_logarithm_of_the_tenants_that_wait);
	suite_add_tcase(s, t);
	SRunner *run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	const int failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
