/* See fair_sim.h. */
#include "fair_sim.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

void sim_init(struct sim *s, const struct fair_config *cfg)
{
	memset(s, 0, sizeof(*s));
	s->cfg = *cfg;
	s->f = fair_new(cfg);
	ck_assert_ptr_nonnull(s->f);
	s->now_ns = S;
	s->seed = 88172645463325252ull;
}

uint64_t sim_random(struct sim *s, uint64_t below)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return below ? s->seed % below : 0;
}

struct sim_sender *sim_add(struct sim *s, uint64_t tenant, uint32_t weight, uint64_t cost_ns, unsigned backlog)
{
	ck_assert_uint_lt(s->senders, SIM_SENDERS);
	struct sim_sender *x = &s->sender[s->senders++];
	*x = (struct sim_sender){ .tenant = tenant, .rule = { .weight = weight }, .cost_ns = cost_ns, .backlog = backlog,
				  .next_ns = s->now_ns };
	return x;
}

static void started(struct sim *s, struct sim_item *it)
{
	struct sim_sender *x = &s->sender[it->sender];

	ck_assert_uint_lt(s->running, SIM_RUNNING);
	it->started_ns = s->now_ns;
	it->done_ns = s->now_ns + it->cost_ns;
	if (s->now_ns - it->sent_ns > x->wait_max_ns)
		x->wait_max_ns = s->now_ns - it->sent_ns;
	if (++x->running > x->running_max)
		x->running_max = x->running;
	s->run[s->running++] = it;
}

static void out(struct sim *s, struct sim_item *it)
{
	struct sim_sender *x = &s->sender[it->sender];
	x->refused++;
	x->inside--;
	x->promised_s = fair_retry_after_s(s->f, x->tenant, x->class);
	x->promised_at_ns = s->now_ns;
	free(it);
}

static bool send_one(struct sim *s, unsigned sender)
{
	struct sim_sender *x = &s->sender[sender];
	struct sim_item *it = calloc(1, sizeof(*it));
	struct fair_item *victim = NULL;

	ck_assert_ptr_nonnull(it);
	it->item.tenant = x->tenant;
	it->item.class = x->class;
	it->item.rule = x->rule;
	it->sender = sender;
	it->sent_ns = s->now_ns;
	it->cost_ns = x->cost_ns + sim_random(s, x->cost_spread_ns);
	const uint32_t pool = s->cfg.slots[x->rule.pool] ? x->rule.pool : 0;
	if (s->came[pool] && s->came[pool] != x->tenant)
		s->company_until_ns[pool] = s->now_ns + SIM_COMPANY;
	s->came[pool] = x->tenant;
	x->sent++;
	x->inside++;
	bool in = true;
	switch (fair_push(s->f, &it->item, s->now_ns, &victim)) {
	case FAIR_RUN:
		started(s, it);
		break;
	case FAIR_QUEUED:
		break;
	case FAIR_REFUSED:
		out(s, it);
		in = false;
		break;
	case FAIR_EVICTED:
		ck_assert_ptr_nonnull(victim);
		out(s, (struct sim_item *)victim);
		break;
	}
	const uint32_t w = fair_sums(s->f, 0).waiting;
	if (w > s->waiting_max)
		s->waiting_max = w;
	return in;
}

static void finish(struct sim *s, unsigned at)
{
	struct sim_item *it = s->run[at];
	struct sim_sender *x = &s->sender[it->sender];

	s->run[at] = s->run[--s->running];
	fair_settle(s->f, &it->item, it->cost_ns, s->now_ns);
	x->running--;
	x->inside--;
	x->done++;
	x->busy_ns += it->cost_ns;
	free(it);
}

static void take_all(struct sim *s)
{
	struct fair_item *it;
	while ((it = fair_take(s->f, s->now_ns)))
		started(s, (struct sim_item *)it);
}

void sim_run(struct sim *s, uint64_t until_ns)
{
	for (;;) {
		uint64_t next = until_ns;
		for (unsigned i = 0; i < s->senders; i++) {
			struct sim_sender *x = &s->sender[i];
			while (!x->away && x->backlog && x->inside < x->backlog && send_one(s, i))
				;
			if (!x->away && x->every_ns && x->next_ns < next)
				next = x->next_ns;
		}
		for (unsigned i = 0; i < s->running; i++)
			if (s->run[i]->done_ns < next)
				next = s->run[i]->done_ns;
		if (next > s->now_ns)
			s->now_ns = next;
		if (s->now_ns >= until_ns)
			return;
		for (unsigned i = s->running; i-- > 0;)
			if (s->run[i]->done_ns <= s->now_ns)
				finish(s, i);
		take_all(s);
		for (unsigned i = 0; i < s->senders; i++) {
			struct sim_sender *x = &s->sender[i];
			if (!x->away && x->every_ns && x->next_ns <= s->now_ns) {
				x->next_ns += x->every_ns;
				(void)send_one(s, i);
			}
		}
		ck_assert(s->lenient || !sim_wastes(s));
	}
}

bool sim_wastes(const struct sim *s)
{
	uint32_t running[FAIR_POOLS] = { 0 }, of_class[FAIR_CLASSES] = { 0 };

	for (unsigned i = 0; i < s->running; i++) {
		running[s->run[i]->item.pool]++;
		if (!s->run[i]->item.pool)
			of_class[s->run[i]->item.class]++;
	}
	for (unsigned i = 0; i < s->senders; i++) {
		const struct sim_sender *x = &s->sender[i];
		const uint32_t pool = s->cfg.slots[x->rule.pool] ? x->rule.pool : 0;
		uint32_t kept = s->now_ns < s->company_until_ns[pool] ? s->cfg.kept[pool] : 0, mine = 0;
		if (x->inside == x->running || running[pool] >= s->cfg.slots[pool])
			continue;
		for (unsigned k = 0; k < s->senders; k++)
			mine += s->sender[k].tenant == x->tenant ? s->sender[k].running : 0;
		if (x->rule.cap && mine >= x->rule.cap)
			continue;
		for (unsigned k = 0; !pool && k < FAIR_CLASSES; k++)
			if (k != x->class && of_class[k] < s->cfg.class_reserved[k])
				kept += s->cfg.class_reserved[k] - of_class[k];
		if ((!pool && of_class[x->class] < s->cfg.class_reserved[x->class]) ||
		    s->cfg.slots[pool] - running[pool] > kept)
			return true;
	}
	return false;
}

void sim_reset_figures(struct sim *s)
{
	for (unsigned i = 0; i < s->senders; i++) {
		struct sim_sender *x = &s->sender[i];
		x->sent = x->done = x->refused = x->busy_ns = x->wait_max_ns = 0;
		x->running_max = x->running;
	}
}

void sim_fini(struct sim *s)
{
	/* All that waits comes out by running it: nothing is lost in there. */
	for (unsigned i = 0; i < s->senders; i++)
		s->sender[i].away = true;
	while (s->running) {
		s->now_ns += S;
		for (unsigned i = s->running; i-- > 0;)
			finish(s, i);
		take_all(s);
	}
	for (unsigned i = 0; i < s->senders; i++)
		ck_assert_uint_eq(s->sender[i].inside, 0);
	for (unsigned i = 0; i < FAIR_POOLS; i++) {
		ck_assert_uint_eq(fair_sums(s->f, i).waiting, 0);
		ck_assert_uint_eq(fair_sums(s->f, i).running, 0);
	}
	fair_free(&s->f);
	ck_assert_ptr_null(s->f);
}
