/* The fair share: who of the waiting runs next. See fairshare.h for what it promises and fair_inner.h for its parts. */
#include "policy/fairshare.h"

#include <stdlib.h>

#include "policy/fair_inner.h"

const struct fair_tenant_rule fair_tenant_default = { .weight = FAIR_WEIGHT_DEFAULT };

const char *fair_tenant_rule_wrong(const struct fair_tenant_rule *r)
{
	if (r->weight < 1 || r->weight > FAIR_WEIGHT_MAX)
		return "a weight is a number from 1 to 1000";
	if (r->pool >= FAIR_POOLS)
		return "no such pool";
	return NULL;
}

struct fair *fair_new(const struct fair_config *cfg)
{
	if (!cfg->slots[0])
		return NULL;
	struct fair *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	for (unsigned i = 0; i < FAIR_POOLS; i++) {
		struct fair_pool *p = &f->pools[i];
		p->slots = cfg->slots[i];
		p->queue_max = cfg->queue_max[i];
		p->kept = cfg->kept[i];
		p->closed = !p->slots;
		for (unsigned k = 0; k < FAIR_CLASSES; k++) {
			p->classes[k].weight = cfg->class_weight[k] ? cfg->class_weight[k] : FAIR_WEIGHT_DEFAULT;
			p->classes[k].reserved = i ? 0 : cfg->class_reserved[k];
		}
	}
	for (unsigned k = 0; k < FAIR_CLASSES; k++)
		f->estimate_ns[k] = cfg->estimate_ns[k] ? cfg->estimate_ns[k] : FAIR_ESTIMATE_NS;
	return f;
}

void fair_free(struct fair **fp)
{
	struct fair *f = *fp;

	*fp = NULL;
	if (!f)
		return;
	fair_table_fini(f);
	for (unsigned i = 0; i < FAIR_POOLS; i++) {
		fair_heap_fini(&f->pools[i].backlogs);
		for (unsigned k = 0; k < FAIR_CLASSES; k++) {
			fair_heap_fini(&f->pools[i].classes[k].ready);
			fair_heap_fini(&f->pools[i].classes[k].fresh);
			fair_heap_fini(&f->pools[i].classes[k].debtors);
		}
	}
	free(f);
}

/* ---- slots ---- */

/* Slots that are free for the class; those that other classes have reserved and do not use are left to them. */
static uint32_t free_for(const struct fair_pool *p, unsigned class)
{
	const uint32_t free = p->slots > p->running ? p->slots - p->running : 0;
	uint32_t reserved = 0;

	for (unsigned k = 0; k < FAIR_CLASSES; k++)
		if (k != class && p->classes[k].running < p->classes[k].reserved)
			reserved += p->classes[k].reserved - p->classes[k].running;
	return free > reserved ? free - reserved : 0;
}

enum room {
	FULL,
	KEPT, /* only for who has nothing running, and is the next or owes nothing */
	OPEN,
};

static enum room room_of(const struct fair *f, const struct fair_pool *p, unsigned class)
{
	if (p->running >= p->slots)
		return FULL;
	if (p->classes[class].running < p->classes[class].reserved)
		return OPEN;
	const uint32_t free = free_for(p, class);
	return free > (f->now_ns < p->company_until_ns ? p->kept : 0) ? OPEN : free ? KEPT : FULL;
}

/* ---- time and cost ---- */

static uint64_t virtual_of(uint64_t cost_ns, uint32_t weight)
{
	return cost_ns > UINT64_MAX / 2 / FAIR_SCALE ? UINT64_MAX / 2 / weight : cost_ns * FAIR_SCALE / weight;
}

static void rate_turn(struct fair_rate *r, uint64_t now_ns)
{
	if (now_ns - r->from_ns < FAIR_RATE_NS)
		return;
	const bool next = now_ns - r->from_ns < 2 * (uint64_t)FAIR_RATE_NS;
	r->before = next ? r->now : 0;
	r->whole = true;
	r->now = 0;
	r->from_ns = next ? r->from_ns + FAIR_RATE_NS : now_ns;
}

/* Time goes on. Idle slots work off the debts, where nobody waits, or they stand idle because they are kept: then they are
 * everybody's who waits. */
static void advance(struct fair *f, struct fair_pool *p, uint64_t now_ns)
{
	if (now_ns > f->now_ns)
		f->now_ns = now_ns;
	const uint64_t passed = p->at_ns ? f->now_ns - p->at_ns : 0;
	const uint64_t idle = p->slots > p->running ? p->slots - p->running : 0;
	p->at_ns = f->now_ns;
	rate_turn(&p->rate, f->now_ns);
	for (unsigned k = 0; passed && idle && k < FAIR_CLASSES; k++) {
		struct fair_class *c = &p->classes[k];
		const bool waits = fair_class_first(c) != NULL;
		if ((!c->debtors.count && !c->fresh.count) || (waits && room_of(f, p, k) != KEPT))
			continue;
		const uint64_t weight = c->debt_weight + (waits ? p->waiting_weight : 0);
		const uint64_t most = FAIR_DEBT_MAX_NS * (uint64_t)FAIR_SCALE; /* nobody owes more */
		const uint64_t worked = passed > most / idle ? most : passed * idle * FAIR_SCALE / weight;
		c->virtual_ns += worked < most ? worked : most;
		fair_class_reap(f, c);
	}
	if (!p->waiting && !p->running)
		for (unsigned k = 0; k < FAIR_CLASSES; k++)
			p->classes[k].tag = p->virtual_ns;
}

static void flow_debit(struct fair_class *c, struct fair_flow *fl, uint64_t units)
{
	const uint64_t most = c->virtual_ns + virtual_of(FAIR_DEBT_MAX_NS, fl->tenant->rule.weight);

	fl->tag += units;
	if (fair_before(most, fl->tag))
		fl->tag = most;
}

/* ---- who may run ---- */

static bool owes(const struct fair_class *c, const struct fair_flow *fl)
{
	return fair_before(c->virtual_ns, fl->tag);
}

static struct fair_flow *pick_of_class(const struct fair *f, const struct fair_pool *p, unsigned class)
{
	const struct fair_class *c = &p->classes[class];
	struct fair_flow *first = fair_class_first(c);

	if (!first)
		return NULL;
	switch (room_of(f, p, class)) {
	case FULL:
		return NULL;
	case KEPT: {
		struct fair_flow *fresh = (struct fair_flow *)fair_heap_top(&c->fresh);
		return fresh && (fresh == first || !owes(c, fresh)) ? fresh : NULL;
	}
	case OPEN:
		return first;
	}
	return NULL;
}

static struct fair_flow *pick(const struct fair *f, const struct fair_pool *p)
{
	struct fair_flow *best = NULL;

	if (p->running >= p->slots)
		return NULL;
	for (unsigned k = 0; k < FAIR_CLASSES; k++) {
		struct fair_flow *fl = pick_of_class(f, p, k);
		if (fl && (!best || fair_before(p->classes[k].tag, p->classes[best->class].tag)))
			best = fl;
	}
	return best;
}

/* May something of it that does not wait run now, as far as slots go? */
static bool may_run(const struct fair *f, const struct fair_pool *p, const struct fair_flow *fl)
{
	if (fair_tenant_capped(fl->tenant))
		return false;
	const struct fair_class *c = &p->classes[fl->class];
	const struct fair_flow *first = fair_class_first(c);
	switch (room_of(f, p, fl->class)) {
	case FULL:
		return false;
	case KEPT:
		return !fl->tenant->running && (!owes(c, fl) || !first || !fair_before(first->tag, fl->tag));
	case OPEN:
		return true;
	}
	return false;
}

/* It holds a slot from now on; the clocks of its class and pool go to where it begins. */
static void start(struct fair *f, struct fair_pool *p, struct fair_flow *fl, struct fair_item *it)
{
	struct fair_class *c = &p->classes[fl->class];
	struct fair_tenant *t = fl->tenant;

	if (fair_before(c->virtual_ns, fl->tag))
		c->virtual_ns = fl->tag;
	if (fair_before(p->virtual_ns, c->tag))
		p->virtual_ns = c->tag;
	it->state = FAIR_RUNS;
	it->charged_ns = f->estimate_ns[fl->class];
	it->charged_virtual = virtual_of(it->charged_ns, t->rule.weight);
	fl->tag += it->charged_virtual;
	c->tag += virtual_of(it->charged_ns, c->weight);
	fl->running++;
	t->running++;
	c->running++;
	p->running++;
	if (t->running == t->rule.cap || t->running == 1)
		fair_tenant_place(f, t, fl);
	fair_flow_place(f, fl);
	fair_class_reap(f, c);
}

/* ---- waiting ---- */

static void queue(struct fair_pool *p, struct fair_flow *fl, struct fair_item *it)
{
	it->state = FAIR_WAITS;
	it->owner = fl;
	it->next = NULL;
	it->prev = fl->last;
	*(fl->last ? &fl->last->next : &fl->first) = it;
	fl->last = it;
	it->newer = NULL;
	it->older = p->newest;
	*(p->newest ? &p->newest->newer : &p->oldest) = it;
	p->newest = it;
	fl->waiting++;
	p->waiting++;
	fair_tenant_backlog(p, fl->tenant, fl->tenant->waiting + 1, fl->tenant->rule.weight);
}

/* It waits no more; its flow's place in the heaps is the caller's business. */
static void unqueue(struct fair_pool *p, struct fair_item *it)
{
	struct fair_flow *fl = it->owner;

	*(it->prev ? &it->prev->next : &fl->first) = it->next;
	*(it->next ? &it->next->prev : &fl->last) = it->prev;
	*(it->older ? &it->older->newer : &p->oldest) = it->newer;
	*(it->newer ? &it->newer->older : &p->newest) = it->older;
	it->next = it->prev = it->newer = it->older = NULL;
	it->state = FAIR_IDLE;
	fl->waiting--;
	p->waiting--;
	fair_tenant_backlog(p, fl->tenant, fl->tenant->waiting - 1, fl->tenant->rule.weight);
}

static void note_company(struct fair_pool *p, uint64_t tenant, uint64_t now_ns)
{
	if (!tenant || tenant == p->came)
		return;
	if (p->came)
		p->company_until_ns = now_ns + FAIR_COMPANY_NS;
	p->came = tenant;
}

/* What came last of all that the tenant has waiting. */
static struct fair_item *newest_of(const struct fair_tenant *t)
{
	struct fair_item *best = NULL;

	for (unsigned k = 0; k < FAIR_CLASSES; k++) {
		struct fair_item *it = t->flows[k] ? t->flows[k]->last : NULL;
		if (it && (!best || it->queued_ns > best->queued_ns))
			best = it;
	}
	return best;
}

static enum fair_pushed push(struct fair *f, struct fair_item *it, bool behind, uint64_t now_ns,
			     struct fair_item **ret_victim)
{
	it->pool = it->rule.pool < FAIR_POOLS && !f->pools[it->rule.pool].closed ? it->rule.pool : 0;
	struct fair_pool *p = &f->pools[it->pool];
	enum fair_pushed said = FAIR_QUEUED;

	advance(f, p, now_ns);
	note_company(p, it->tenant, f->now_ns);
	struct fair_flow *fl = fair_flow_get(f, it->tenant, it->pool, it->class, &it->rule);
	if (!fl)
		return FAIR_REFUSED;
	it->queued_ns = f->now_ns;
	it->owner = fl;
	if (!behind && !fl->waiting && may_run(f, p, fl) && !pick(f, p)) {
		struct fair_class *c = &p->classes[it->class];
		if (fair_before(fl->tag, c->virtual_ns))
			fl->tag = c->virtual_ns;
		if (fair_before(c->tag, p->virtual_ns))
			c->tag = p->virtual_ns;
		start(f, p, fl, it);
		return FAIR_RUN;
	}
	if (p->waiting >= p->queue_max) {
		const struct fair_tenant *t = (struct fair_tenant *)fair_heap_top(&p->backlogs);
		const uint64_t key = fair_backlog_key(fl->tenant->waiting + 1, fl->tenant->rule.weight);
		if (!t || !fair_before(t->backlog.key, key)) {
			fair_flow_place(f, fl);
			return FAIR_REFUSED;
		}
		*ret_victim = newest_of(t);
		struct fair_flow *lost = (*ret_victim)->owner;
		unqueue(p, *ret_victim);
		fair_flow_place(f, lost);
		said = FAIR_EVICTED;
	}
	queue(p, fl, it);
	fair_flow_place(f, fl);
	return said;
}

enum fair_pushed fair_push(struct fair *f, struct fair_item *it, uint64_t now_ns, struct fair_item **ret_victim)
{
	return push(f, it, false, now_ns, ret_victim);
}

enum fair_pushed fair_push_behind(struct fair *f, struct fair_item *it, uint64_t now_ns, struct fair_item **ret_victim)
{
	return push(f, it, true, now_ns, ret_victim);
}

struct fair_item *fair_take(struct fair *f, uint64_t now_ns)
{
	for (unsigned i = 0; i < FAIR_POOLS; i++) {
		struct fair_pool *p = &f->pools[i];
		if (!p->waiting || p->running >= p->slots)
			continue;
		advance(f, p, now_ns);
		struct fair_flow *fl = pick(f, p);
		if (!fl)
			continue;
		struct fair_item *it = fl->first;
		unqueue(p, it);
		it->owner = fl;
		start(f, p, fl, it);
		return it;
	}
	return NULL;
}

bool fair_cancel(struct fair *f, struct fair_item *it)
{
	if (it->state != FAIR_WAITS)
		return false;
	struct fair_flow *fl = it->owner;
	unqueue(&f->pools[it->pool], it);
	fair_flow_place(f, fl);
	return true;
}

void fair_settle(struct fair *f, struct fair_item *it, uint64_t cost_ns, uint64_t now_ns)
{
	struct fair_pool *p = &f->pools[it->pool];
	struct fair_flow *fl = it->owner;
	struct fair_tenant *t = fl->tenant;
	struct fair_class *c = &p->classes[fl->class];
	const bool was_capped = fair_tenant_capped(t);

	if (it->state != FAIR_RUNS)
		return;
	advance(f, p, now_ns);
	it->state = FAIR_IDLE;
	fl->running--;
	t->running--;
	c->running--;
	p->running--;
	rate_turn(&t->rate, f->now_ns);
	t->rate.now++;
	p->rate.now++;
	/* The estimate is taken back at the rate at which it was charged. */
	fl->tag -= it->charged_virtual;
	flow_debit(c, fl, virtual_of(cost_ns, t->rule.weight));
	c->tag += virtual_of(cost_ns, c->weight) - virtual_of(it->charged_ns, c->weight);
	uint64_t *estimate = &f->estimate_ns[fl->class];
	*estimate = *estimate - *estimate / 16 + (cost_ns < FAIR_DEBT_MAX_NS ? cost_ns : FAIR_DEBT_MAX_NS) / 16;
	if (was_capped || !t->running)
		fair_tenant_place(f, t, fl);
	fair_flow_place(f, fl); /* may free both */
}

void fair_charge(struct fair *f, uint64_t tenant, uint32_t class, const struct fair_tenant_rule *rule, uint64_t cost_ns,
		 uint64_t now_ns)
{
	const uint32_t pool = rule->pool < FAIR_POOLS && !f->pools[rule->pool].closed ? rule->pool : 0;
	struct fair_pool *p = &f->pools[pool];
	struct fair_class *c = &p->classes[class];

	advance(f, p, now_ns);
	struct fair_flow *fl = fair_flow_get(f, tenant, pool, class, rule);
	if (!fl)
		return;
	if (fair_before(fl->tag, c->virtual_ns))
		fl->tag = c->virtual_ns;
	/* Service like any other: where nobody is before it, the clock goes to where it began. */
	const struct fair_flow *first = fair_class_first(c);
	if (!first || !fair_before(first->tag, fl->tag))
		c->virtual_ns = fl->tag;
	flow_debit(c, fl, virtual_of(cost_ns, rule->weight));
	fair_flow_place(f, fl);
	fair_class_reap(f, c);
}

void fair_tenant_set(struct fair *f, uint64_t tenant, const struct fair_tenant_rule *rule)
{
	for (uint32_t i = 0; i < FAIR_POOLS; i++) {
		struct fair_tenant *t = fair_tenant_find(f, tenant, i);
		if (!t)
			continue;
		for (unsigned k = 0; k < FAIR_CLASSES; k++) {
			if (!t->flows[k])
				continue;
			(void)fair_flow_get(f, tenant, i, k, rule); /* it is there: only the rule is taken */
			break;
		}
	}
}

bool fair_pool_set(struct fair *f, uint32_t pool, uint32_t slots, uint32_t kept, uint32_t queue_max)
{
	if (pool >= FAIR_POOLS || (!pool && !slots))
		return false;
	struct fair_pool *p = &f->pools[pool];
	p->closed = !slots;
	if (slots) {
		p->slots = slots;
		p->kept = kept;
		p->queue_max = queue_max;
	}
	return true;
}

/* ---- figures ---- */

/* A second; 0 = nothing was seen. */
static double rate_of(const struct fair_rate *r, uint64_t now_ns)
{
	struct fair_rate x = *r;

	rate_turn(&x, now_ns);
	double seconds = (double)(now_ns - x.from_ns) / 1e9 + (x.whole ? FAIR_RATE_NS / 1e9 : 0);
	if (seconds < 0.01)
		seconds = 0.01;
	return (x.now + x.before) / seconds;
}

uint32_t fair_retry_after_s(const struct fair *f, uint64_t tenant, uint32_t class)
{
	const struct fair_tenant *t = NULL;

	for (uint32_t i = 0; i < FAIR_POOLS && !(t && t->waiting); i++) {
		const struct fair_tenant *other = fair_tenant_find(f, tenant, i);
		t = other ? other : t;
	}
	const struct fair_pool *p = &f->pools[t ? t->pool : 0];
	double per_s = t ? rate_of(&t->rate, f->now_ns) : 0, items = (t ? t->waiting : 0) + 1.0;
	if (per_s <= 0 && !(t && t->waiting)) { /* never served: what is before everybody is before it */
		per_s = rate_of(&p->rate, f->now_ns);
		items = p->waiting + 1.0;
	}
	if (per_s <= 0) { /* nobody was served yet: by the estimate, at its share of the slots */
		const double share = t && t->waiting ? (double)t->rule.weight / (double)p->waiting_weight : 1;
		per_s = share * (p->slots ? p->slots : 1) * 1e9 / (double)(f->estimate_ns[class] + 1);
	}
	const double s = items / per_s;
	return s >= 60 ? 60 : s <= 1 ? 1 : (uint32_t)s + ((double)(uint32_t)s < s);
}

struct fair_item *fair_oldest(const struct fair *f, uint32_t pool)
{
	return pool < FAIR_POOLS ? f->pools[pool].oldest : NULL;
}

struct fair_sums fair_sums(const struct fair *f, uint32_t pool)
{
	const struct fair_pool *p = &f->pools[pool < FAIR_POOLS ? pool : 0];

	return (struct fair_sums){ .waiting = p->waiting, .running = p->running, .tenants = p->backlogs.count,
				   .oldest_queued_ns = p->oldest ? p->oldest->queued_ns : 0 };
}

struct fair_sums fair_tenant_sums(const struct fair *f, uint64_t tenant)
{
	struct fair_sums s = { 0 };

	for (uint32_t i = 0; i < FAIR_POOLS; i++) {
		const struct fair_tenant *t = fair_tenant_find(f, tenant, i);
		if (!t)
			continue;
		s.waiting += t->waiting;
		s.running += t->running;
		for (unsigned k = 0; k < FAIR_CLASSES; k++) {
			const struct fair_item *it = t->flows[k] ? t->flows[k]->first : NULL;
			if (it && (!s.oldest_queued_ns || it->queued_ns < s.oldest_queued_ns))
				s.oldest_queued_ns = it->queued_ns;
		}
	}
	s.tenants = s.waiting > 0;
	return s;
}
