/* The fair share, by simulation on a virtual clock: shares, bounds, pools, refusals. Every run also counts that no slot
 * stands idle while something that may use it waits, and that nothing gets lost. */
#include <check.h>
#include <stdlib.h>

#include "fair_sim.h"

static struct sim sim;

static void begin(struct fair_config cfg)
{
	if (!cfg.queue_max[0])
		cfg.queue_max[0] = 1000;
	sim_init(&sim, &cfg);
}

static void ck_near(double got, double want, double part)
{
	ck_assert_msg(got >= want * (1 - part) && got <= want * (1 + part), "%g is not within %g of %g", got, part, want);
}

static uint64_t busy_sum(void)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < sim.senders; i++)
		sum += sim.sender[i].busy_ns;
	return sum;
}

START_TEST(ten_tenants_of_weights_1_to_10_get_their_shares_within_a_hundredth)
{
	begin((struct fair_config){ .slots = { 4 } });
	for (unsigned w = 1; w <= 10; w++) { /* what they send costs as different as can be */
		struct sim_sender *x = sim_add(&sim, w, w * 10, (1 + w * 7 % 10) * MS, 40);
		x->cost_spread_ns = (w % 3) * 4 * MS;
	}
	sim_run(&sim, sim.now_ns + 2 * S);
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + 60 * S);
	ck_near((double)busy_sum(), 240e9, 0.001);
	for (unsigned w = 1; w <= 10; w++)
		ck_near((double)sim.sender[w - 1].busy_ns, (double)busy_sum() * w / 55, 0.01);
	sim_fini(&sim);
}
END_TEST

START_TEST(alone_a_tenant_gets_everything)
{
	begin((struct fair_config){ .slots = { 8 } });
	struct sim_sender *x = sim_add(&sim, 1, 1, MS, 100);
	sim_run(&sim, sim.now_ns + 10 * S);
	ck_near((double)x->busy_ns, 80e9, 0.001);
	ck_assert_uint_eq(x->refused, 0);
	sim_fini(&sim);
}
END_TEST

START_TEST(what_one_leaves_the_others_share)
{
	begin((struct fair_config){ .slots = { 2 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, MS, 20), *b = sim_add(&sim, 2, 300, MS, 20);
	struct sim_sender *c = sim_add(&sim, 3, 600, MS, 0); /* uses a tenth of the machine only */
	c->every_ns = 5 * MS;
	sim_run(&sim, sim.now_ns + 20 * S);
	ck_near((double)c->busy_ns, 4e9, 0.01);
	ck_near((double)a->busy_ns, 9e9, 0.01);
	ck_near((double)b->busy_ns, 27e9, 0.01);
	sim_fini(&sim);
}
END_TEST

START_TEST(who_was_idle_has_saved_nothing_up)
{
	begin((struct fair_config){ .slots = { 1 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, MS, 20), *b = sim_add(&sim, 2, 100, MS, 20);
	b->away = true;
	sim_run(&sim, sim.now_ns + 30 * S);
	b->away = false;
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + 2 * S);
	ck_near((double)a->busy_ns, 1e9, 0.01);
	ck_near((double)b->busy_ns, 1e9, 0.01);
	sim_fini(&sim);
}
END_TEST

START_TEST(a_debt_stays_while_its_owner_is_away_and_others_work)
{
	begin((struct fair_config){ .slots = { 1 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, MS, 4), *b = sim_add(&sim, 2, 100, MS, 4);
	sim_run(&sim, sim.now_ns + S);
	/* 400 ms more than its share, of which nothing was known beforehand */
	fair_charge(sim.f, 1, 0, &a->rule, 400 * MS, sim.now_ns);
	a->away = true;
	sim_run(&sim, sim.now_ns + 100 * MS);
	a->away = false;
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + 250 * MS);
	ck_assert_uint_le(a->done, 1); /* still 300 ms behind */
	sim_run(&sim, sim.now_ns + 150 * MS);
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + S);
	ck_near((double)a->busy_ns, 0.5e9, 0.02);
	ck_near((double)b->busy_ns, 0.5e9, 0.02);
	sim_fini(&sim);
}
END_TEST

START_TEST(a_debt_is_worked_off_by_slots_that_stand_idle)
{
	begin((struct fair_config){ .slots = { 2 } });
	const struct fair_tenant_rule rule = { .weight = 100 };
	for (unsigned i = 0; i < 10; i++) /* 10 s of loop time in 5 s, alone */
		fair_charge(sim.f, 1, 0, &rule, S, sim.now_ns += S / 2);
	sim.now_ns += 2 * S;
	struct sim_sender *a = sim_add(&sim, 1, 100, MS, 10), *b = sim_add(&sim, 2, 100, MS, 10);
	sim_run(&sim, sim.now_ns + S);
	ck_near((double)a->busy_ns, (double)b->busy_ns, 0.02);
	sim_fini(&sim);
}
END_TEST

START_TEST(a_surprising_cost_is_paid_for_afterwards)
{
	begin((struct fair_config){ .slots = { 1 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, 500 * MS, 1), *b = sim_add(&sim, 2, 100, MS, 10);
	sim_run(&sim, sim.now_ns + 30 * S);
	ck_near((double)a->busy_ns, 15e9, 0.05);
	ck_near((double)b->busy_ns, 15e9, 0.05);
	sim_fini(&sim);
}
END_TEST

START_TEST(a_newcomer_waits_no_longer_than_one_item_of_each)
{
	begin((struct fair_config){ .slots = { 1 } });
	for (unsigned i = 1; i <= 20; i++)
		sim_add(&sim, i, 100, MS, 40);
	struct sim_sender *b = sim_add(&sim, 99, 100, MS, 0);
	sim_run(&sim, sim.now_ns + S);
	b->every_ns = 100 * MS;
	b->next_ns = sim.now_ns + 17 * US;
	sim_run(&sim, sim.now_ns + 10 * S);
	ck_assert_uint_ge(b->done, 99);
	ck_assert_uint_le(b->wait_max_ns, 22 * MS);
	sim_fini(&sim);
}
END_TEST

START_TEST(one_who_floods_does_not_delay_one_who_does_not)
{
	begin((struct fair_config){ .slots = { 4 }, .queue_max = { 200 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, 4 * MS, 190), *b = sim_add(&sim, 2, 100, MS, 0);
	b->every_ns = 100 * MS;
	b->next_ns += 333 * US;
	sim_run(&sim, sim.now_ns + 20 * S);
	ck_assert_uint_eq(b->refused, 0);
	ck_assert_uint_le(b->wait_max_ns, 5 * MS); /* until a slot is given back */
	ck_assert_uint_gt(a->wait_max_ns, 150 * MS);
	sim_fini(&sim);
}
END_TEST

START_TEST(who_has_nothing_running_waits_for_nobody)
{
	begin((struct fair_config){ .slots = { 8 }, .kept = { 1 } });
	struct sim_sender *a = sim_add(&sim, 1, 1000, 40 * MS, 100), *b = sim_add(&sim, 2, 100, MS, 0);
	struct sim_sender *d = sim_add(&sim, 3, 1000, 70 * MS, 100); /* two that flood share what is not kept */
	b->every_ns = 100 * MS;
	sim_run(&sim, sim.now_ns + 2 * S);
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + 20 * S);
	ck_assert_uint_ge(b->done, 199);
	ck_assert_uint_eq(b->wait_max_ns, 0);
	ck_near((double)(a->busy_ns + d->busy_ns), 7 * 20e9, 0.01);
	ck_near((double)a->busy_ns, (double)d->busy_ns, 0.01);
	sim_fini(&sim);
}
END_TEST

START_TEST(alone_a_tenant_has_the_slots_that_are_kept_too)
{
	begin((struct fair_config){ .slots = { 8 }, .kept = { 3 } });
	struct sim_sender *a = sim_add(&sim, 1, 1, MS, 100), *b = sim_add(&sim, 2, 1, MS, 0);
	struct sim_sender *house = sim_add(&sim, 0, 100, MS, 0); /* is nobody's company */
	house->every_ns = 500 * MS;
	sim_run(&sim, sim.now_ns + S);
	ck_near((double)a->busy_ns, 8e9, 0.01);
	b->every_ns = 5 * S;
	b->next_ns = sim.now_ns;
	sim_run(&sim, sim.now_ns + S);
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + 6 * S);
	ck_assert_uint_eq(a->running_max, 5);
	ck_assert_uint_eq(b->wait_max_ns, 0);
	b->every_ns = 0;
	sim_run(&sim, sim.now_ns + 11 * S); /* nobody else comes any more */
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + S);
	ck_near((double)a->busy_ns, 8e9, 0.01);
	sim_fini(&sim);
}
END_TEST

START_TEST(weights_divide_as_before_what_is_not_kept)
{
	begin((struct fair_config){ .slots = { 12 }, .kept = { 2 } });
	for (unsigned w = 1; w <= 10; w++) {
		struct sim_sender *x = sim_add(&sim, w, w * 10, (1 + w * 7 % 10) * MS, 40);
		x->cost_spread_ns = (w % 3) * 4 * MS;
	}
	sim_run(&sim, sim.now_ns + 2 * S);
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + 60 * S);
	ck_assert_uint_ge(busy_sum(), 600e9 * 0.999);
	for (unsigned w = 1; w <= 10; w++)
		ck_near((double)sim.sender[w - 1].busy_ns, (double)busy_sum() * w / 55, 0.01);
	sim_fini(&sim);
}
END_TEST

START_TEST(a_slot_that_is_kept_is_not_for_who_owes)
{
	begin((struct fair_config){ .slots = { 4 }, .kept = { 1 } });
	struct sim_sender *a = sim_add(&sim, 1, 1000, MS, 20);
	struct sim_sender *b = sim_add(&sim, 2, 10, MS, 1); /* always one: whenever it asks, nothing of it runs */
	sim_run(&sim, sim.now_ns + S);
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + 20 * S);
	ck_near((double)b->busy_ns, (double)a->busy_ns / 100, 0.1);
	sim_fini(&sim);
}
END_TEST

START_TEST(what_is_kept_takes_nothing_from_reserved_minimums_and_dedicated_pools)
{
	begin((struct fair_config){ .slots = { 8, 3 }, .queue_max = { 1000, 1000 }, .kept = { 1, 1 },
				    .class_reserved = { [1] = 2 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, 10 * S, 50), *b = sim_add(&sim, 2, 1, MS, 0);
	struct sim_sender *c = sim_add(&sim, 3, 100, MS, 0);
	struct sim_sender *d = sim_add(&sim, 4, 100, 10 * S, 50), *e = sim_add(&sim, 5, 100, MS, 0);
	a->class = c->class = 6;
	b->class = 1;
	d->rule.pool = e->rule.pool = 1;
	b->every_ns = c->every_ns = e->every_ns = 10 * MS;
	a->away = d->away = true;
	sim_run(&sim, sim.now_ns + 15 * MS);
	a->away = d->away = false;
	sim_run(&sim, sim.now_ns + 5 * S);
	ck_assert_uint_eq(a->running_max, 5);
	ck_assert_uint_eq(d->running_max, 2);
	ck_assert_uint_eq(e->wait_max_ns, 0);
	ck_assert_uint_eq(b->wait_max_ns, 0);
	ck_assert_uint_eq(c->wait_max_ns, 0);
	ck_assert_uint_ge(b->done, 500);
	ck_assert_uint_ge(c->done, 500);
	sim_fini(&sim);
}
END_TEST

START_TEST(a_cap_holds_and_idles_nothing)
{
	begin((struct fair_config){ .slots = { 8 } });
	struct sim_sender *a = sim_add(&sim, 1, 1000, MS, 50), *c = sim_add(&sim, 1, 1000, MS, 50);
	struct sim_sender *b = sim_add(&sim, 2, 1, MS, 50);
	a->rule.cap = c->rule.cap = 3;
	c->class = 4;
	sim_run(&sim, sim.now_ns + 5 * S);
	ck_near((double)(a->busy_ns + c->busy_ns), 15e9, 0.01);
	ck_near((double)b->busy_ns, 25e9, 0.01);
	/* It can be lifted at any time. */
	a->rule.cap = c->rule.cap = 0;
	fair_tenant_set(sim.f, 1, &a->rule);
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + S);
	ck_assert_uint_gt(a->running_max + c->running_max, 3);
	sim_fini(&sim);
}
END_TEST

START_TEST(a_weight_can_be_changed_at_any_time)
{
	begin((struct fair_config){ .slots = { 2 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, MS, 50), *b = sim_add(&sim, 2, 100, MS, 50);
	sim_run(&sim, sim.now_ns + S);
	ck_near((double)a->busy_ns, (double)b->busy_ns, 0.01);
	a->rule.weight = 400;
	fair_tenant_set(sim.f, 1, &a->rule);
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + 5 * S);
	ck_near((double)a->busy_ns, 8e9, 0.01);
	ck_near((double)b->busy_ns, 2e9, 0.02);
	sim_fini(&sim);
}
END_TEST

START_TEST(classes_share_by_their_weights_and_lend_what_they_do_not_use)
{
	begin((struct fair_config){ .slots = { 4 }, .class_weight = { [3] = 300 } });
	struct sim_sender *a = sim_add(&sim, 1, 1, MS, 50), *b = sim_add(&sim, 2, 1000, MS, 50);
	a->class = 3;
	b->class = 6;
	sim_run(&sim, sim.now_ns + 10 * S);
	ck_near((double)a->busy_ns, 30e9, 0.01);
	ck_near((double)b->busy_ns, 10e9, 0.01);
	a->away = true;
	sim_run(&sim, sim.now_ns + S);
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + S);
	ck_near((double)b->busy_ns, 4e9, 0.01);
	sim_fini(&sim);
}
END_TEST

START_TEST(a_reserved_minimum_is_free_when_it_is_asked_for)
{
	begin((struct fair_config){ .slots = { 8 }, .class_reserved = { [1] = 2 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, 10 * S, 50), *b = sim_add(&sim, 2, 1, MS, 0);
	a->class = 6;
	b->class = 1;
	b->every_ns = 10 * MS;
	sim_run(&sim, sim.now_ns + 5 * S);
	ck_assert_uint_eq(a->running_max, 6);
	ck_assert_uint_eq(b->wait_max_ns, 0);
	ck_assert_uint_ge(b->done, 498);
	sim_fini(&sim);
}
END_TEST

START_TEST(a_dedicated_pool_is_used_by_nobody_else_and_harms_nobody_when_full)
{
	begin((struct fair_config){ .slots = { 4, 2 }, .queue_max = { 100, 30 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, MS, 40), *b = sim_add(&sim, 2, 100, MS, 40);
	struct sim_sender *d = sim_add(&sim, 3, 1000, MS, 0);
	d->rule.pool = 1;
	sim_run(&sim, sim.now_ns + S);
	ck_near((double)(a->busy_ns + b->busy_ns), 4e9, 0.01); /* its slots stand empty */
	d->every_ns = 100 * US;                                  /* five times what it can do */
	d->next_ns = sim.now_ns;
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + 2 * S);
	ck_near((double)d->busy_ns, 4e9, 0.01);
	ck_near((double)a->busy_ns, 4e9, 0.01);
	ck_near((double)b->busy_ns, 4e9, 0.01);
	ck_assert_uint_gt(d->refused, 10000);
	ck_assert_uint_eq(a->refused + b->refused, 0);
	ck_assert_uint_eq(d->running_max, 2);
	ck_assert_uint_le(fair_sums(sim.f, 1).waiting, 30);
	sim_fini(&sim);
}
END_TEST

START_TEST(a_pool_that_is_closed_runs_out_and_its_tenants_go_to_the_shared_one)
{
	begin((struct fair_config){ .slots = { 4, 2 }, .queue_max = { 100, 30 } });
	struct sim_sender *d = sim_add(&sim, 3, 1000, MS, 20);
	d->rule.pool = 1;
	sim_run(&sim, sim.now_ns + S);
	ck_assert(!fair_pool_set(sim.f, 0, 0, 0, 0));
	ck_assert(fair_pool_set(sim.f, 1, 0, 0, 0));
	sim.cfg.slots[1] = 0;
	d->away = true;
	sim.lenient = true; /* what is left in pool 1 may not use pool 0 */
	sim_run(&sim, sim.now_ns + S);
	sim.lenient = false;
	ck_assert_uint_eq(d->inside, 0);
	d->away = false;
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + S);
	ck_assert_uint_eq(d->running_max, 4);
	ck_assert_uint_eq(fair_sums(sim.f, 1).running, 0);
	/* And it can be opened anew. */
	ck_assert(fair_pool_set(sim.f, 1, 3, 0, 30));
	sim.cfg.slots[1] = 3;
	d->away = true;
	sim.lenient = true;
	sim_run(&sim, sim.now_ns + S);
	sim.lenient = false;
	d->away = false;
	sim_run(&sim, sim.now_ns + S);
	ck_assert_uint_eq(fair_sums(sim.f, 1).running, 3);
	sim_fini(&sim);
}
END_TEST

START_TEST(the_queue_has_its_bound_and_neighbours_are_never_refused_for_anothers_backlog)
{
	begin((struct fair_config){ .slots = { 2 }, .queue_max = { 50 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, 2 * MS, 0);
	a->every_ns = 100 * US; /* ten times what the machine can do */
	for (unsigned i = 2; i < 12; i++) {
		struct sim_sender *x = sim_add(&sim, i, 100, 2 * MS, 0);
		x->every_ns = 40 * MS; /* half of the machine, together */
		x->next_ns += i * 3 * MS;
	}
	sim_run(&sim, sim.now_ns + 20 * S);
	ck_assert_uint_le(sim.waiting_max, 50);
	ck_assert_uint_gt(a->refused, 10000);
	for (unsigned i = 1; i < sim.senders; i++) {
		ck_assert_uint_eq(sim.sender[i].refused, 0);
		ck_assert_uint_ge(sim.sender[i].done, 498);
	}
	ck_near((double)busy_sum(), 40e9, 0.01);
	sim_fini(&sim);
}
END_TEST

START_TEST(when_the_queue_is_full_the_one_with_most_per_weight_gives_up_its_newest)
{
	struct fair_item it[8] = { 0 }, *victim = NULL;
	const struct fair_config cfg = { .slots = { 1 }, .queue_max = { 5 } };
	struct fair *f = fair_new(&cfg);

	for (unsigned i = 0; i < 8; i++)
		it[i] = (struct fair_item){ .tenant = i < 6 ? 1 + i % 2 : 3, .rule = { .weight = i % 2 ? 300 : 100 } };
	it[3].class = 1;
	it[7].rule.weight = 100;
	ck_assert_int_eq(fair_push(f, &it[0], 1, &victim), FAIR_RUN); /* tenant 1, weight 100 */
	ck_assert_int_eq(fair_push(f, &it[1], 2, &victim), FAIR_QUEUED); /* 2, weight 300 */
	ck_assert_int_eq(fair_push(f, &it[3], 3, &victim), FAIR_QUEUED);
	ck_assert_int_eq(fair_push(f, &it[5], 4, &victim), FAIR_QUEUED);
	ck_assert_int_eq(fair_push(f, &it[2], 5, &victim), FAIR_QUEUED); /* 1: one of them, as the three of 2 */
	ck_assert_int_eq(fair_push(f, &it[4], 6, &victim), FAIR_QUEUED); /* 1: above now */
	ck_assert_int_eq(fair_push(f, &it[6], 7, &victim), FAIR_EVICTED); /* 3 */
	ck_assert_ptr_eq(victim, &it[4]);
	ck_assert_int_eq(fair_push(f, &it[4], 8, &victim), FAIR_REFUSED);
	ck_assert_int_eq(fair_push(f, &it[7], 9, &victim), FAIR_REFUSED); /* a second of 3 */
	fair_settle(f, &it[0], 1, 10);
	for (struct fair_item *x; (x = fair_take(f, 11));)
		fair_settle(f, x, 1, 11);
	ck_assert_uint_eq(fair_sums(f, 0).waiting, 0);
	fair_free(&f);
}
END_TEST

START_TEST(what_is_cancelled_waits_no_more)
{
	struct fair_item it[4] = { 0 }, *victim;
	const struct fair_config cfg = { .slots = { 1 }, .queue_max = { 5 } };
	struct fair *f = fair_new(&cfg);

	for (unsigned i = 0; i < 4; i++)
		it[i] = (struct fair_item){ .tenant = 1, .rule = fair_tenant_default };
	ck_assert(!fair_cancel(f, &it[0]));
	ck_assert_int_eq(fair_push(f, &it[0], 1, &victim), FAIR_RUN);
	for (unsigned i = 1; i < 4; i++)
		ck_assert_int_eq(fair_push(f, &it[i], 1 + i, &victim), FAIR_QUEUED);
	ck_assert_uint_eq(fair_sums(f, 0).oldest_queued_ns, 2);
	ck_assert(fair_cancel(f, &it[1]));
	ck_assert(!fair_cancel(f, &it[1]));
	ck_assert(!fair_cancel(f, &it[0])); /* it runs */
	ck_assert_uint_eq(fair_sums(f, 0).oldest_queued_ns, 3);
	ck_assert_uint_eq(fair_tenant_sums(f, 1).waiting, 2);
	ck_assert_uint_eq(fair_tenant_sums(f, 1).running, 1);
	ck_assert_ptr_null(fair_take(f, 5));
	fair_settle(f, &it[0], 1, 5);
	ck_assert_ptr_eq(fair_take(f, 5), &it[2]);
	fair_settle(f, &it[2], 1, 6);
	ck_assert(fair_cancel(f, &it[3]));
	ck_assert_ptr_null(fair_take(f, 7));
	fair_free(&f);
}
END_TEST

/* What is promised comes true: the backlog that the refused tenant had is gone at about that time. */
START_TEST(a_retry_after_is_honest)
{
	static const unsigned backlog[] = { 20, 200, 1000, 3000 };

	for (unsigned i = 0; i < 4; i++) {
		begin((struct fair_config){ .slots = { 2 }, .queue_max = { backlog[i] } });
		sim.cfg.queue_max[0] = backlog[i];
		struct sim_sender *a = sim_add(&sim, 1, 100, 20 * MS, 0), *b = sim_add(&sim, 2, 100, 20 * MS, 6);
		a->every_ns = 2 * MS;
		sim_run(&sim, sim.now_ns + 12 * S);
		ck_assert_uint_gt(a->refused, 0);
		const uint64_t promised = a->promised_s * S;
		const uint64_t refused_at = a->promised_at_ns;
		a->every_ns = 0;
		while (a->inside)
			sim_run(&sim, sim.now_ns + 10 * MS);
		const uint64_t took = sim.now_ns - refused_at;
		ck_assert_msg(promised >= 60 * S || took <= promised * 3 / 2, "promised %g s, took %g s",
			      (double)promised / 1e9, (double)took / 1e9);
		ck_assert_msg(promised <= took * 3 / 2 + S, "promised %g s, took %g s", (double)promised / 1e9,
			      (double)took / 1e9);
		ck_assert_uint_eq(b->refused, 0);
		sim_fini(&sim);
	}
}
END_TEST

START_TEST(a_clock_that_goes_back_does_no_harm)
{
	begin((struct fair_config){ .slots = { 1 } });
	struct sim_sender *a = sim_add(&sim, 1, 100, MS, 5), *b = sim_add(&sim, 2, 100, MS, 5);
	sim_run(&sim, sim.now_ns + S);
	const struct fair_tenant_rule rule = fair_tenant_default;
	fair_charge(sim.f, 3, 0, &rule, MS, 5);
	fair_charge(sim.f, 3, 0, &rule, MS, 0);
	sim_reset_figures(&sim);
	sim_run(&sim, sim.now_ns + S);
	ck_near((double)a->busy_ns, (double)b->busy_ns, 0.02);
	sim_fini(&sim);
}
END_TEST

START_TEST(rules_that_make_no_sense_are_told)
{
	const struct fair_config none = { .slots = { 0, 1 } };
	ck_assert_ptr_null(fair_new(&none));
	ck_assert_ptr_null(fair_tenant_rule_wrong(&fair_tenant_default));
	ck_assert_ptr_nonnull(fair_tenant_rule_wrong(&(struct fair_tenant_rule){ .weight = 0 }));
	ck_assert_ptr_nonnull(fair_tenant_rule_wrong(&(struct fair_tenant_rule){ .weight = 1001 }));
	ck_assert_ptr_nonnull(fair_tenant_rule_wrong(&(struct fair_tenant_rule){ .weight = 1, .pool = FAIR_POOLS }));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fairshare");
	TCase *t = tcase_create("fairshare");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, ten_tenants_of_weights_1_to_10_get_their_shares_within_a_hundredth);
	tcase_add_test(t, alone_a_tenant_gets_everything);
	tcase_add_test(t, what_one_leaves_the_others_share);
	tcase_add_test(t, who_was_idle_has_saved_nothing_up);
	tcase_add_test(t, a_debt_stays_while_its_owner_is_away_and_others_work);
	tcase_add_test(t, a_debt_is_worked_off_by_slots_that_stand_idle);
	tcase_add_test(t, a_surprising_cost_is_paid_for_afterwards);
	tcase_add_test(t, a_newcomer_waits_no_longer_than_one_item_of_each);
	tcase_add_test(t, one_who_floods_does_not_delay_one_who_does_not);
	tcase_add_test(t, who_has_nothing_running_waits_for_nobody);
	tcase_add_test(t, alone_a_tenant_has_the_slots_that_are_kept_too);
	tcase_add_test(t, weights_divide_as_before_what_is_not_kept);
	tcase_add_test(t, a_slot_that_is_kept_is_not_for_who_owes);
	tcase_add_test(t, what_is_kept_takes_nothing_from_reserved_minimums_and_dedicated_pools);
	tcase_add_test(t, a_cap_holds_and_idles_nothing);
	tcase_add_test(t, a_weight_can_be_changed_at_any_time);
	tcase_add_test(t, classes_share_by_their_weights_and_lend_what_they_do_not_use);
	tcase_add_test(t, a_reserved_minimum_is_free_when_it_is_asked_for);
	tcase_add_test(t, a_dedicated_pool_is_used_by_nobody_else_and_harms_nobody_when_full);
	tcase_add_test(t, a_pool_that_is_closed_runs_out_and_its_tenants_go_to_the_shared_one);
	tcase_add_test(t, the_queue_has_its_bound_and_neighbours_are_never_refused_for_anothers_backlog);
	tcase_add_test(t, when_the_queue_is_full_the_one_with_most_per_weight_gives_up_its_newest);
	tcase_add_test(t, what_is_cancelled_waits_no_more);
	tcase_add_test(t, a_retry_after_is_honest);
	tcase_add_test(t, a_clock_that_goes_back_does_no_harm);
	tcase_add_test(t, rules_that_make_no_sense_are_told);
	suite_add_tcase(s, t);
	SRunner *run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	const int failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
