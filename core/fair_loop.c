/* Credit on the loops. See fair_loop.h. */
#include "core/fair_loop.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/fair_room.h"

#define PLACES_MIN 1024u             /* of a loop's table of tenants: a power of two, at least twice as many as there are */
#define CREDIT_NS (2 * GH_MS_NS)
#define COMPANY_MS 1000u /* so long after its last submission a tenant is still there */
#define SWEEP_NS (100 * GH_MS_NS)
#define GREEDY_PART 16u              /* who uses more than one in so many of a loop's time is */
#define PASS_NS (200 * 1000ull)      /* of what waits, a pass */
#define LONE_PASS_NS (200 * 1000ull) /* a pass, for who is the only one that wants more than its share */
#define LONE_TURNS 32u               /* one more of what waits, a pass, for so many that wait */
#define GAP_MAX_NS (20 * GH_MS_NS)   /* what one submission is charged at most: somebody else's timers may lie between */

/* A line of memory holds what an operation touches of it. */
struct loop_tenant {
	_Alignas(64) struct tenant *tenant;
	struct purse purse;
	uint32_t seen_ms;
	uint32_t window_ns; /* worked since the last sweep */
	uint32_t untold_ns; /* worked, and not yet told to the counters */
	uint32_t unowed_ns; /* worked in company, and not yet told to the desk */
	uint32_t waiting;
	uint16_t weight;
	bool present, greedy;
	struct loop_tenant *present_next;
};

/* An open table by the tenant's address; its tenants are kept as long as the loop. */
struct loop_place {
	const struct tenant *tenant;
	struct loop_tenant *lt;
};

struct share_loop {
	struct gh_core *core;
	struct gh_loop *loop;
	struct fair *fair;           /* its slot is the loop itself */
	struct loop_tenant *last;    /* whose time runs; NULL: nobody's, or it is not known yet */
	uint64_t mark_ns;            /* since when */
	struct loop_tenant *present; /* seen within the last second */
	unsigned present_count, greedy_count;
	uint64_t pass_ns; /* this pass of the loop: */
	unsigned turns, unqueued; /* had their turn, and went on without credit or turn */
	unsigned unqueued_before; /* the pass before */
	uint64_t present_weight, swept_ns;
	uint64_t gap_ns; /* what a submission costs in all, of late */
	struct gh_task task;
	bool posted;
	struct loop_place *places;
	unsigned place_count, known;
};

/* ---- who is here ---- */

void share_loops_free(struct share *s)
{
	for (unsigned i = 0; i < SHARE_LOOPS_MAX; i++) {
		struct share_loop *sl = atomic_load(&s->loops[i]);
		if (!sl)
			continue;
		for (unsigned k = 0; k < sl->place_count; k++)
			free(sl->places[k].lt);
		free(sl->places);
		fair_free(&sl->fair);
		free(sl);
	}
}

static struct share_loop *loop_new(struct gh_core *c, struct gh_loop *l)
{
	const struct fair_config cfg = { .slots = { 1 }, .queue_max = { c->share->cfg.queue_max },
					 .estimate_ns = { [0 ... FAIR_CLASSES - 1] = 20000 } };
	struct share_loop *sl = calloc(1, sizeof(*sl));

	if (sl)
		sl->fair = fair_new(&cfg);
	if (!sl || !sl->fair) {
		free(sl);
		return NULL;
	}
	sl->core = c;
	sl->loop = l;
	sl->gap_ns = 10000;
	atomic_store_explicit(&c->share->loops[gh_loop_index(l)], sl, memory_order_release);
	return sl;
}

/* NULL: no fair share, or no memory for it. */
static struct share_loop *loop_of(struct gh_core *c, struct gh_loop *l)
{
	const unsigned i = gh_loop_index(l);

	if (c->share->cfg.off || i >= SHARE_LOOPS_MAX)
		return NULL;
	struct share_loop *sl = atomic_load_explicit(&c->share->loops[i], memory_order_relaxed);
	return sl ? sl : loop_new(c, l);
}

/* Where the tenant is, or would go. */
static struct loop_place *place_of(struct loop_place *places, unsigned count, const struct tenant *t)
{
	unsigned at = (unsigned)(((uintptr_t)t * 0x9e3779b97f4a7c15u) >> 32) & (count - 1);

	while (places[at].tenant && places[at].tenant != t)
		at = (at + 1) & (count - 1);
	return &places[at];
}

static bool places_grow(struct share_loop *sl)
{
	const unsigned count = sl->place_count ? 2 * sl->place_count : PLACES_MIN;
	struct loop_place *more = calloc(count, sizeof(*more));

	if (!more)
		return false;
	for (unsigned i = 0; i < sl->place_count; i++)
		if (sl->places[i].tenant)
			*place_of(more, count, sl->places[i].tenant) = sl->places[i];
	free(sl->places);
	sl->places = more;
	sl->place_count = count;
	return true;
}

/* NULL: no memory for it. */
static struct loop_tenant *tenant_met(struct share_loop *sl, struct tenant *t)
{
	if (2 * (sl->known + 1) > sl->place_count && !places_grow(sl))
		return NULL;
	struct loop_tenant *lt = aligned_alloc(_Alignof(struct loop_tenant), sizeof(*lt));
	if (!lt)
		return NULL;
	*lt = (struct loop_tenant){ .tenant = t };
	*place_of(sl->places, sl->place_count, t) = (struct loop_place){ t, lt };
	sl->known++;
	return lt;
}

static struct loop_tenant *tenant_here(struct share_loop *sl, struct tenant *t)
{
	if (sl->last && sl->last->tenant == t)
		return sl->last;
	struct loop_tenant *lt = sl->place_count ? place_of(sl->places, sl->place_count, t)->lt : NULL;
	return lt ? lt : tenant_met(sl, t);
}

static struct purse_rule credit_rule(const struct share_loop *sl, const struct loop_tenant *lt)
{
	return (struct purse_rule){ .per_s = 1000000000ull * lt->weight / sl->present_weight, .burst = CREDIT_NS };
}

static void purse_fill(struct share_loop *sl, struct loop_tenant *lt, uint64_t now_ns)
{
	const struct purse_rule r = credit_rule(sl, lt);
	purse_init(&lt->purse, &r, now_ns);
}

/* ---- whose time it is ---- */

static void tell(struct share_loop *sl, struct loop_tenant *lt)
{
	live_count(sl->core, lt->tenant, LIVE_WORKED_NS, lt->untold_ns);
	lt->untold_ns = 0;
}

/* Loop time in company is debt at the desk too. */
static void owe(struct share_loop *sl, struct loop_tenant *lt, uint64_t now_ns)
{
	struct share_desk *d = &sl->core->share->wait;
	const struct fair_tenant_rule r = share_rule(sl->core, lt->tenant);

	pthread_mutex_lock(&d->lock);
	fair_charge(d->fair, lt->tenant->id, VFS_C_READ, &r, lt->unowed_ns, now_ns);
	pthread_mutex_unlock(&d->lock);
	lt->unowed_ns = 0;
}

static void charge(struct share_loop *sl, struct loop_tenant *lt, uint64_t cost_ns, uint64_t now_ns)
{
	if (cost_ns > GAP_MAX_NS)
		cost_ns = GAP_MAX_NS;
	sl->gap_ns += cost_ns / 16 - sl->gap_ns / 16;
	lt->untold_ns += (uint32_t)cost_ns;
	lt->window_ns += (uint32_t)cost_ns;
	if (lt->untold_ns >= GH_MS_NS)
		tell(sl, lt);
	if (sl->present_count < 2 || !lt->present)
		return;
	const struct purse_rule r = credit_rule(sl, lt);
	purse_spend(&lt->purse, &r, now_ns, cost_ns);
	/* What the queue gave it because nobody else wanted it is no debt for when somebody does. */
	if (lt->purse.credit < -(int64_t)CREDIT_NS)
		lt->purse.credit = -(int64_t)CREDIT_NS;
	lt->unowed_ns += (uint32_t)cost_ns;
	if (lt->unowed_ns >= CREDIT_NS)
		owe(sl, lt, now_ns);
}

/* Up to now, or to its last rest, the loop has worked for `last`. Whose the time from here on is, the caller says. */
static void account(struct share_loop *sl, uint64_t now_ns)
{
	const uint64_t rested_ns = gh_loop_rested_ns(sl->loop), pass_ns = gh_loop_now_ns(sl->loop);
	struct loop_tenant *lt = sl->last;

	gh_loop_rest_forget(sl->loop);
	sl->last = NULL;
	if (lt) {
		const uint64_t until_ns = rested_ns ? rested_ns : now_ns;
		charge(sl, lt, until_ns > sl->mark_ns ? until_ns - sl->mark_ns : 0, now_ns);
		sl->mark_ns = now_ns;
	}
	if (rested_ns || sl->mark_ns < pass_ns)
		sl->mark_ns = pass_ns;
}

static void leave(struct share_loop *sl, struct loop_tenant *lt)
{
	sl->greedy_count -= lt->greedy;
	lt->greedy = lt->present = false;
	sl->present_count--;
	sl->present_weight -= lt->weight;
	tell(sl, lt);
}

static uint32_t ms_of(uint64_t ns)
{
	return (uint32_t)(ns / GH_MS_NS);
}

static void judge(struct share_loop *sl, struct loop_tenant *lt, uint64_t passed_ns)
{
	const bool greedy = lt->waiting || lt->window_ns > passed_ns / GREEDY_PART;

	sl->greedy_count += (unsigned)greedy - lt->greedy;
	lt->greedy = greedy;
	lt->window_ns = 0;
}

static void sweep(struct share_loop *sl, uint64_t now_ns)
{
	const uint64_t passed_ns = now_ns - sl->swept_ns;

	sl->swept_ns = now_ns;
	for (struct loop_tenant **at = &sl->present, *lt; (lt = *at);) {
		judge(sl, lt, passed_ns);
		if (lt->waiting || ms_of(now_ns) - lt->seen_ms < COMPANY_MS) {
			at = &lt->present_next;
			continue;
		}
		*at = lt->present_next;
		leave(sl, lt);
	}
}

static void see(struct share_loop *sl, struct loop_tenant *lt, uint64_t now_ns)
{
	const uint16_t weight = (uint16_t)share_rule(sl->core, lt->tenant).weight;

	lt->seen_ms = ms_of(now_ns);
	if (!lt->present) {
		lt->present = true;
		lt->weight = weight;
		lt->present_next = sl->present;
		sl->present = lt;
		sl->present_count++;
		sl->present_weight += weight;
		purse_fill(sl, lt, now_ns);
		if (sl->present_count == 2) /* who was alone until now begins anew */
			purse_fill(sl, lt->present_next, now_ns);
	} else if (weight != lt->weight) {
		sl->present_weight += (uint64_t)weight - lt->weight;
		lt->weight = weight;
	}
}

void share_unknown(struct gh_core *c, struct gh_loop *l, uint64_t now_ns)
{
	struct share_loop *sl = loop_of(c, l);

	if (sl)
		account(sl, now_ns);
}

/* ---- turns ---- */

/* Once a pass, after everybody who is ready: as much of what waits as a short while holds, sending included. */
static void work_off(struct gh_task *task);

static void post(struct share_loop *sl)
{
	if (sl->posted)
		return;
	sl->posted = true;
	sl->task.fn = work_off;
	atomic_fetch_add(&sl->core->pending, 1); /* the house waits for it when it closes */
	gh_loop_post(sl->loop, &sl->task);
}

static void waits_no_more(struct share_turn *t)
{
	t->whose->waiting--;
	gh_metric_add(GH_M_FAIR_WAITING, SHARE_IN_LOOP, -1);
}

static void begin_turn(struct share_loop *sl, struct share_turn *t)
{
	const uint64_t now = gh_mono_ns();

	waits_no_more(t);
	share_waited(sl->core, t->whose->tenant, t->item.class, now - t->item.queued_ns);
	/* Charged what a turn costs of late, and its slot given back before it runs: it may be gone afterwards. */
	fair_settle(sl->fair, &t->item, sl->gap_ns, now);
	t->granted = true;
	t->run(t);
}

static uint64_t gap_of(const struct share_loop *sl)
{
	return sl->gap_ns > 1000 ? sl->gap_ns : 1000;
}

/* A pass that nothing was asked in yet. */
static void note_pass(struct share_loop *sl)
{
	const uint64_t pass_ns = gh_loop_now_ns(sl->loop);

	if (pass_ns == sl->pass_ns)
		return;
	sl->pass_ns = pass_ns;
	sl->unqueued_before = sl->unqueued;
	sl->unqueued = sl->turns = 0;
}

/* Nobody else here is greedy: no share is taken from anybody, it is only that others should not wait for long. So it need
 * not wait while the pass is short, which saves it the way through the queue and back. What is not asked for in time
 * leaves room for turns in the next pass, and a little more than is left by those is let through: so the queue empties. */
static bool passes_without(struct share_loop *sl, const struct loop_tenant *lt, uint64_t now_ns)
{
	const uint64_t whole = LONE_PASS_NS / gap_of(sl);

	note_pass(sl);
	if (sl->greedy_count > lt->greedy || now_ns >= sl->pass_ns + 2 * LONE_PASS_NS)
		return false;
	if (sl->unqueued >= (whole > sl->turns ? whole - sl->turns : 0) + whole / 8 + 1)
		return false;
	sl->unqueued++;
	return true;
}

/* Of what waits, this pass. Where one alone is greedy: what it left of the last one, so that passes are as long as they may
 * be, and a few in any case, so that nothing waits for ever. */
static unsigned turns_now(struct share_loop *sl)
{
	const uint64_t whole = LONE_PASS_NS / gap_of(sl), least = 1 + fair_sums(sl->fair, 0).waiting / LONE_TURNS;

	note_pass(sl);
	if (sl->greedy_count > 1)
		return (unsigned)(PASS_NS / gap_of(sl) + 1);
	return (unsigned)(whole > sl->unqueued_before + least ? whole - sl->unqueued_before : least);
}

static void work_off(struct gh_task *task)
{
	struct share_loop *sl = (struct share_loop *)((char *)task - offsetof(struct share_loop, task));
	const uint64_t began = gh_mono_ns();
	unsigned turns = turns_now(sl);
	struct fair_item *it;

	sl->posted = false;
	while (turns-- && (it = fair_take(sl->fair, began))) {
		sl->turns++;
		begin_turn(sl, (struct share_turn *)it);
		if (gh_mono_ns() - began >= PASS_NS)
			break;
	}
	if (fair_sums(sl->fair, 0).waiting)
		post(sl);
	atomic_fetch_sub(&sl->core->pending, 1);
}

static enum gh_status wait_for_turn(struct share_loop *sl, struct loop_tenant *lt, struct share_turn *t, uint64_t now_ns,
				    uint32_t *ret_retry_s)
{
	struct fair_item *victim = NULL;

	t->item = (struct fair_item){ .tenant = lt->tenant->id, .class = t->item.class, .rule = { .weight = lt->weight } };
	t->at = sl;
	t->whose = lt;
	switch (fair_push_behind(sl->fair, &t->item, now_ns, &victim)) {
	case FAIR_EVICTED: {
		struct share_turn *v = (struct share_turn *)victim;
		waits_no_more(v);
		share_shed(sl->core, v->whose->tenant, SHARE_IN_LOOP);
		v->out(v, fair_retry_after_s(sl->fair, v->item.tenant, v->item.class));
		break;
	}
	case FAIR_RUN:
	case FAIR_QUEUED:
		break;
	case FAIR_REFUSED:
		*ret_retry_s = fair_retry_after_s(sl->fair, t->item.tenant, t->item.class);
		share_shed(sl->core, lt->tenant, SHARE_IN_LOOP);
		return GH_OVERSHARE;
	}
	lt->waiting++;
	gh_metric_add(GH_M_FAIR_WAITING, SHARE_IN_LOOP, 1);
	post(sl);
	return GH_WAIT;
}

static void here(struct share_loop *sl, struct loop_tenant *lt, uint64_t now_ns)
{
	account(sl, now_ns);
	if (now_ns - sl->swept_ns >= SWEEP_NS)
		sweep(sl, now_ns);
	see(sl, lt, now_ns);
	sl->last = lt;
}

void share_here(struct gh_core *c, struct gh_loop *l, struct tenant *tenant, uint64_t now_ns)
{
	struct share_loop *sl = loop_of(c, l);
	struct loop_tenant *lt = sl ? tenant_here(sl, tenant) : NULL;

	if (lt)
		here(sl, lt, now_ns);
}

enum gh_status share_may(struct gh_core *c, struct gh_loop *l, struct tenant *tenant, uint64_t now_ns,
			 struct share_turn *t, uint32_t *ret_retry_s)
{
	struct share_loop *sl = tenant ? loop_of(c, l) : NULL;
	struct loop_tenant *lt = sl ? tenant_here(sl, tenant) : NULL;
	uint64_t wait;

	if (!lt)
		return GH_OK;
	here(sl, lt, now_ns);
	const bool granted = t->granted;
	t->granted = false;
	if (granted || sl->present_count < 2)
		return GH_OK;
	const struct purse_rule r = credit_rule(sl, lt);
	if (!lt->waiting && purse_ask(&lt->purse, &r, now_ns, &wait))
		return GH_OK;
	if (passes_without(sl, lt, now_ns))
		return GH_OK;
	return wait_for_turn(sl, lt, t, now_ns, ret_retry_s);
}

bool share_turn_cancel(struct share_turn *t)
{
	if (!t->at || !fair_cancel(t->at->fair, &t->item))
		return false;
	waits_no_more(t);
	return true;
}
