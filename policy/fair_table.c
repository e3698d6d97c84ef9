/* Who is known to the fair share: records of tenants in a hash table, their flows, and the heaps these are in. See
 * fair_inner.h. */
#include <stdlib.h>

#include "policy/fair_inner.h"

static uint32_t bucket_of(uint64_t id, uint32_t pool, uint32_t buckets)
{
	uint64_t x = id + pool * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(x ^ x >> 31) & (buckets - 1);
}

struct fair_tenant *fair_tenant_find(const struct fair *f, uint64_t id, uint32_t pool)
{
	if (!f->buckets)
		return NULL;
	struct fair_tenant *t = f->table[bucket_of(id, pool, f->buckets)];
	while (t && (t->id != id || t->pool != pool))
		t = t->next;
	return t;
}

static bool grow(struct fair *f)
{
	const uint32_t buckets = f->buckets ? f->buckets * 2 : 64;
	struct fair_tenant **table = calloc(buckets, sizeof(struct fair_tenant *));

	if (!table)
		return f->buckets != 0; /* longer chains, then */
	for (uint32_t i = 0; i < f->buckets; i++) {
		for (struct fair_tenant *t = f->table[i], *next; t; t = next) {
			struct fair_tenant **at = &table[bucket_of(t->id, t->pool, buckets)];
			next = t->next;
			t->next = *at;
			*at = t;
		}
	}
	free(f->table);
	f->table = table;
	f->buckets = buckets;
	return true;
}

static struct fair_tenant *tenant_new(struct fair *f, uint64_t id, uint32_t pool)
{
	struct fair_pool *p = &f->pools[pool];

	if (f->known >= f->buckets && !grow(f))
		return NULL;
	if (!fair_heap_reserve(&p->backlogs, p->tenants + 1))
		return NULL;
	struct fair_tenant *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->id = id;
	t->pool = pool;
	t->rule = fair_tenant_default;
	t->rate.from_ns = f->now_ns;
	struct fair_tenant **at = &f->table[bucket_of(id, pool, f->buckets)];
	t->next = *at;
	*at = t;
	f->known++;
	p->tenants++;
	return t;
}

/* Away with it, when nothing is left of it. */
static void tenant_forget(struct fair *f, struct fair_tenant *t)
{
	for (unsigned i = 0; i < FAIR_CLASSES; i++)
		if (t->flows[i])
			return;
	struct fair_tenant **at = &f->table[bucket_of(t->id, t->pool, f->buckets)];
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	f->known--;
	f->pools[t->pool].tenants--;
	free(t);
}

static struct fair_flow *flow_new(struct fair_class *c, struct fair_tenant *t, uint32_t class)
{
	const uint32_t count = c->flow_count + 1;

	if (!fair_heap_reserve(&c->ready, count) || !fair_heap_reserve(&c->fresh, count) ||
	    !fair_heap_reserve(&c->debtors, count))
		return NULL;
	struct fair_flow *fl = calloc(1, sizeof(*fl));
	if (!fl)
		return NULL;
	fl->tenant = t;
	fl->class = class;
	fl->tag = c->virtual_ns;
	t->flows[class] = fl;
	c->flow_count++;
	return fl;
}

struct fair_flow *fair_flow_get(struct fair *f, uint64_t id, uint32_t pool, uint32_t class,
				const struct fair_tenant_rule *rule)
{
	struct fair_tenant *t = fair_tenant_find(f, id, pool);

	if (!t)
		t = tenant_new(f, id, pool);
	if (!t)
		return NULL;
	if (!t->flows[class] && !flow_new(&f->pools[pool].classes[class], t, class)) {
		tenant_forget(f, t);
		return NULL;
	}
	const uint32_t cap = t->rule.cap;
	if (rule->weight != t->rule.weight)
		fair_tenant_backlog(&f->pools[pool], t, t->waiting, rule->weight);
	t->rule = *rule;
	if (rule->cap != cap)
		for (unsigned i = 0; i < FAIR_CLASSES; i++)
			if (t->flows[i] && t->flows[i]->waiting)
				fair_flow_place(f, t->flows[i]);
	return t->flows[class];
}

static void flow_forget(struct fair *f, struct fair_flow *fl)
{
	struct fair_tenant *t = fl->tenant;

	f->pools[t->pool].classes[fl->class].flow_count--;
	t->flows[fl->class] = NULL;
	free(fl);
	tenant_forget(f, t);
}

bool fair_tenant_capped(const struct fair_tenant *t)
{
	return t->rule.cap && t->running >= t->rule.cap;
}

static void debtor_leaves(struct fair_class *c, struct fair_flow *fl)
{
	fair_heap_remove(&c->debtors, &fl->node);
	c->debt_weight -= fl->tenant->rule.weight;
}

static bool is_in(const struct fair_heap *h, const struct fair_heap_node *n)
{
	return n->at && n->at <= h->count && h->v[n->at - 1] == n;
}

struct fair_flow *fair_class_first(const struct fair_class *c)
{
	const struct fair_heap_node *r = fair_heap_top(&c->ready), *n = fair_heap_top(&c->fresh);

	return (struct fair_flow *)(!n || (r && fair_before(r->key, n->key)) ? r : n);
}

/* It waits for a slot and may have one: in the race. */
static void race(struct fair_pool *p, struct fair_class *c, struct fair_flow *fl)
{
	struct fair_heap *h = fl->tenant->running ? &c->ready : &c->fresh, *other = h == &c->ready ? &c->fresh : &c->ready;

	if (is_in(h, &fl->node)) {
		if (fl->node.key != fl->tag)
			fair_heap_rekey(h, &fl->node, fl->tag);
		return;
	}
	if (is_in(other, &fl->node)) {
		fair_heap_remove(other, &fl->node);
	} else {
		/* Who was not in the race starts where the race is, or where its debt puts it; classes likewise. */
		if (fair_before(fl->tag, c->virtual_ns))
			fl->tag = c->virtual_ns;
		if (!fair_class_first(c) && fair_before(c->tag, p->virtual_ns))
			c->tag = p->virtual_ns;
	}
	fair_heap_add(h, &fl->node, fl->tag);
}

void fair_flow_place(struct fair *f, struct fair_flow *fl)
{
	struct fair_pool *p = &f->pools[fl->tenant->pool];
	struct fair_class *c = &p->classes[fl->class];

	if (is_in(&c->debtors, &fl->node))
		debtor_leaves(c, fl);
	if (fl->waiting && !fair_tenant_capped(fl->tenant)) {
		race(p, c, fl);
		return;
	}
	fair_heap_remove(is_in(&c->fresh, &fl->node) ? &c->fresh : &c->ready, &fl->node);
	if (fl->waiting || fl->running)
		return;
	if (!fair_before(c->virtual_ns, fl->tag)) {
		flow_forget(f, fl);
		return;
	}
	fair_heap_add(&c->debtors, &fl->node, fl->tag);
	c->debt_weight += fl->tenant->rule.weight;
	if (c->debtors.count > FAIR_DEBTORS_MAX) {
		struct fair_flow *least = (struct fair_flow *)fair_heap_top(&c->debtors);
		debtor_leaves(c, least);
		flow_forget(f, least);
	}
}

void fair_tenant_place(struct fair *f, struct fair_tenant *t, const struct fair_flow *but)
{
	for (unsigned k = 0; k < FAIR_CLASSES; k++)
		if (t->flows[k] && t->flows[k] != but && t->flows[k]->waiting)
			fair_flow_place(f, t->flows[k]);
}

void fair_class_reap(struct fair *f, struct fair_class *c)
{
	struct fair_heap_node *n;

	while ((n = fair_heap_top(&c->debtors)) && !fair_before(c->virtual_ns, n->key)) {
		struct fair_flow *fl = (struct fair_flow *)n;
		debtor_leaves(c, fl);
		flow_forget(f, fl);
	}
}

uint64_t fair_backlog_key(uint32_t waiting, uint32_t weight)
{
	return -((uint64_t)waiting * 10000000u / weight);
}

void fair_tenant_backlog(struct fair_pool *p, struct fair_tenant *t, uint32_t waiting, uint32_t weight)
{
	if (t->waiting)
		p->waiting_weight -= t->rule.weight;
	for (unsigned i = 0; i < FAIR_CLASSES; i++)
		if (weight != t->rule.weight && t->flows[i] && is_in(&p->classes[i].debtors, &t->flows[i]->node))
			p->classes[i].debt_weight += (uint64_t)weight - t->rule.weight;
	t->waiting = waiting;
	t->rule.weight = weight;
	if (!waiting) {
		fair_heap_remove(&p->backlogs, &t->backlog);
		return;
	}
	p->waiting_weight += weight;
	if (t->backlog.at)
		fair_heap_rekey(&p->backlogs, &t->backlog, fair_backlog_key(waiting, weight));
	else
		fair_heap_add(&p->backlogs, &t->backlog, fair_backlog_key(waiting, weight));
}

void fair_table_fini(struct fair *f)
{
	for (uint32_t i = 0; i < f->buckets; i++) {
		for (struct fair_tenant *t = f->table[i], *next; t; t = next) {
			next = t->next;
			for (unsigned k = 0; k < FAIR_CLASSES; k++)
				free(t->flows[k]);
			free(t);
		}
	}
	free(f->table);
}
