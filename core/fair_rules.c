/* Who gets how much: weights, caps, pools. Kept in the house's settings ("share", "pool"), here in memory; a tenant's rule
 * is found through its seat without a lock. Changes come one at a time (core/control_share.c). See fair.h. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/fair_room.h"

#define PAGE 500

static uint64_t pack(const struct fair_tenant_rule *r)
{
	return (uint64_t)r->cap << 32 | (uint64_t)r->pool << 16 | r->weight;
}

static struct fair_tenant_rule unpack(uint64_t p)
{
	return (struct fair_tenant_rule){ .weight = p & 0xffff, .pool = p >> 16 & 0xffff, .cap = (uint32_t)(p >> 32) };
}

/* ---- the table; under rules_lock ---- */

/* Where the tenant's row is, or would go. */
static unsigned row_at(const struct share *s, uint64_t tenant)
{
	unsigned lo = 0, hi = s->rule_count;

	while (lo < hi) {
		const unsigned mid = lo + (hi - lo) / 2;
		if (s->rules[mid].tenant < tenant)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static unsigned pool_index(const struct share *s, const char *name)
{
	for (unsigned i = 1; i < FAIR_POOLS; i++)
		if (s->pools[i].slots && !strcmp(s->pools[i].name, name))
			return i;
	return 0;
}

static struct fair_tenant_rule rule_of(const struct share *s, uint64_t tenant)
{
	const unsigned at = row_at(s, tenant);

	if (at == s->rule_count || s->rules[at].tenant != tenant)
		return fair_tenant_default;
	const struct share_rule *r = &s->rules[at];
	return (struct fair_tenant_rule){ .weight = r->weight, .cap = r->cap, .pool = pool_index(s, r->pool) };
}

struct fair_tenant_rule share_rule_kept(struct share *s, uint64_t tenant)
{
	pthread_mutex_lock(&s->rules_lock);
	const struct fair_tenant_rule r = rule_of(s, tenant);
	pthread_mutex_unlock(&s->rules_lock);
	return r;
}

struct fair_tenant_rule share_rule(struct gh_core *c, struct tenant *t)
{
	uint64_t p = atomic_load_explicit(&t->seat.rule, memory_order_relaxed);

	if (p)
		return unpack(p);
	struct share *s = c->share;
	if (s->cfg.off)
		return fair_tenant_default;
	pthread_mutex_lock(&s->rules_lock); /* once a tenant, and after a change */
	const struct fair_tenant_rule r = rule_of(s, t->id);
	atomic_store_explicit(&t->seat.rule, pack(&r), memory_order_relaxed);
	pthread_mutex_unlock(&s->rules_lock);
	return r;
}

/* ---- changes ---- */

struct taking {
	struct gh_core *core;
	uint64_t only; /* 0 = all */
};

/* What waits takes over the new weight and cap; the next submission, the pool too. */
static void take_over(struct tenant *t, void *arg)
{
	const struct taking *k = arg;

	if (k->only && t->id != k->only)
		return;
	atomic_store_explicit(&t->seat.rule, 0, memory_order_relaxed);
	const struct fair_tenant_rule r = share_rule(k->core, t);
	struct share_desk *d = &k->core->share->wait;
	pthread_mutex_lock(&d->lock);
	fair_tenant_set(d->fair, t->id, &r);
	pthread_mutex_unlock(&d->lock);
}

/* Into the table. Under rules_lock. */
static bool row_put(struct share *s, const struct share_rule *r)
{
	const unsigned at = row_at(s, r->tenant);

	if (at == s->rule_count || s->rules[at].tenant != r->tenant) {
		if (s->rule_count == s->rule_room) {
			const unsigned room = s->rule_room ? 2 * s->rule_room : 64;
			struct share_rule *more = realloc(s->rules, room * sizeof(*more));
			if (!more)
				return false;
			s->rules = more;
			s->rule_room = room;
		}
		memmove(s->rules + at + 1, s->rules + at, (s->rule_count - at) * sizeof(*s->rules));
		s->rule_count++;
	}
	s->rules[at] = *r;
	return true;
}

static enum gh_status rule_put(struct share *s, uint64_t tenant, uint32_t weight, uint32_t cap, const char *pool)
{
	struct share_rule r = { .tenant = tenant, .weight = weight, .cap = cap };

	snprintf(r.pool, sizeof(r.pool), "%s", strcmp(pool, SHARE_SHARED_NAME) ? pool : "");
	pthread_mutex_lock(&s->rules_lock);
	const bool in = row_put(s, &r);
	pthread_mutex_unlock(&s->rules_lock);
	return in ? GH_OK : GH_NOMEM;
}

enum gh_status share_tenant_put(struct gh_core *c, uint64_t tenant, uint32_t weight, uint32_t cap, const char *pool)
{
	struct taking k = { c, tenant };
	const enum gh_status st = rule_put(c->share, tenant, weight, cap, pool);

	if (st != GH_OK)
		return st;
	tenants_each(c, take_over, &k);
	share_kick(c); /* a cap may have been lifted */
	return GH_OK;
}

/* ---- pools ---- */

/* A place that nothing runs or waits in any more is free again. */
static void forget_drained(struct share *s)
{
	for (unsigned i = 1; i < FAIR_POOLS; i++) {
		pthread_mutex_lock(&s->wait.lock);
		const struct fair_sums sums = fair_sums(s->wait.fair, i);
		pthread_mutex_unlock(&s->wait.lock);
		pthread_mutex_lock(&s->rules_lock);
		if (!s->pools[i].slots && !sums.waiting && !sums.running)
			s->pools[i].name[0] = '\0';
		pthread_mutex_unlock(&s->rules_lock);
	}
}

const char *share_pool_wrong(struct gh_core *c, const char *name, unsigned slots, unsigned queue)
{
	struct share *s = c->share;
	const char *wrong = NULL;
	unsigned sum = slots, at, used = 0;

	if (!*name || strlen(name) > SHARE_POOL_NAME_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != strlen(name))
		return "a pool's name is 1 to 32 of a-z 0-9 - _ .";
	if (!strcmp(name, SHARE_SHARED_NAME))
		return "the shared pool is set by the configuration (workers.threads, workers.queue)";
	if (slots < 1 || slots > SHARE_POOL_SLOTS_MAX)
		return "a pool has 1 to 128 slots";
	if (queue < 1 || queue > 1000000)
		return "a pool's queue has room for 1 to 1000000";
	forget_drained(s);
	pthread_mutex_lock(&s->rules_lock);
	at = pool_index(s, name);
	for (unsigned i = 1; i < FAIR_POOLS; i++) {
		used += s->pools[i].name[0] != '\0';
		if (i != at)
			sum += s->pools[i].slots;
	}
	if (sum > SHARE_POOL_SLOTS_MAX)
		wrong = "all dedicated pools together have at most 128 slots";
	else if (!at && used == FAIR_POOLS - 1)
		wrong = "there are as many pools as there can be (or one was removed that still works off its queue)";
	pthread_mutex_unlock(&s->rules_lock);
	return wrong;
}

bool share_pool_named(struct gh_core *c, const char *name, struct share_pool *ret)
{
	struct share *s = c->share;

	pthread_mutex_lock(&s->rules_lock);
	const unsigned at = pool_index(s, name);
	pthread_mutex_unlock(&s->rules_lock);
	return at && share_pool_at(c, at, ret);
}

/* Its old place, or a free one; 0: there is none. */
static unsigned pool_place(struct share *s, const char *name, unsigned slots, unsigned queue)
{
	unsigned at;

	pthread_mutex_lock(&s->rules_lock);
	at = pool_index(s, name);
	for (unsigned i = 1; i < FAIR_POOLS && !at; i++)
		if (!s->pools[i].name[0])
			at = i;
	if (at) {
		snprintf(s->pools[at].name, sizeof(s->pools[at].name), "%s", name);
		s->pools[at].slots = slots;
		s->pools[at].queue = queue;
	}
	pthread_mutex_unlock(&s->rules_lock);
	return at;
}

/* For every slot a thread: of those that were lent too, and for what still runs in pools that were made smaller or
 * removed. */
static unsigned threads_wanted(struct gh_core *c)
{
	unsigned sum = atomic_load(&c->share->lent);

	for (unsigned i = 0; i < FAIR_POOLS; i++) {
		struct share_pool p;
		(void)share_pool_at(c, i, &p);
		sum += i && p.running > p.slots ? p.running : p.slots;
	}
	return sum;
}

void share_lend(struct gh_core *c, bool login, unsigned held)
{
	struct share *s = c->share;
	struct share_desk *d = login ? &s->login : &s->wait;
	const unsigned lent = held < SHARE_LENT_MAX ? held : SHARE_LENT_MAX;
	const unsigned slots = login ? s->cfg.login_threads : s->pools[0].slots;

	if (s->cfg.off)
		return;
	if (!login)
		atomic_store(&s->lent, lent);
	/* Threads first: whoever has a slot has one. */
	if (gh_pool_grow(*d->pool, login ? slots + lent : threads_wanted(c)) != GH_OK)
		return;
	pthread_mutex_lock(&d->lock);
	(void)fair_pool_set(d->fair, 0, slots + lent, login ? 0 : share_kept(s->cfg.workers, 1),
			    login ? s->cfg.login_queue_max : s->cfg.queue_max);
	pthread_mutex_unlock(&d->lock);
	share_kick_desk(d);
}

enum gh_status share_pool_put(struct gh_core *c, const char *name, unsigned slots, unsigned queue)
{
	struct share *s = c->share;
	struct taking k = { c, 0 };

	forget_drained(s);
	const unsigned at = pool_place(s, name, slots, queue);
	if (!at)
		return GH_LIMIT;
	if (s->cfg.off)
		return GH_OK;
	/* Threads first: whoever has a slot has one. */
	const enum gh_status st = gh_pool_grow(c->wait_pool, threads_wanted(c));
	if (st != GH_OK)
		return st;
	pthread_mutex_lock(&s->wait.lock);
	(void)fair_pool_set(s->wait.fair, at, slots, share_kept(slots, 0), queue);
	pthread_mutex_unlock(&s->wait.lock);
	share_kick(c);
	tenants_each(c, take_over, &k);
	return GH_OK;
}

void share_pool_remove(struct gh_core *c, const char *name)
{
	struct share *s = c->share;
	struct taking k = { c, 0 };

	pthread_mutex_lock(&s->rules_lock);
	const unsigned at = pool_index(s, name);
	if (at)
		s->pools[at].slots = 0;
	pthread_mutex_unlock(&s->rules_lock);
	if (!at)
		return;
	pthread_mutex_lock(&s->wait.lock);
	(void)fair_pool_set(s->wait.fair, at, 0, 0, 0);
	pthread_mutex_unlock(&s->wait.lock);
	tenants_each(c, take_over, &k);
	forget_drained(s);
}

bool share_pool_at(struct gh_core *c, unsigned index, struct share_pool *ret)
{
	struct share *s = c->share;

	if (index >= FAIR_POOLS)
		return false;
	pthread_mutex_lock(&s->rules_lock);
	*ret = s->pools[index];
	pthread_mutex_unlock(&s->rules_lock);
	pthread_mutex_lock(&s->wait.lock);
	const struct fair_sums sums = fair_sums(s->wait.fair, index);
	pthread_mutex_unlock(&s->wait.lock);
	ret->waiting = sums.waiting;
	ret->running = sums.running;
	return ret->slots != 0;
}

/* ---- settings ---- */

static void load_pool(struct gh_core *c, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const json_int_t slots = json_integer_value(json_object_get(o, "slots"));
	const json_int_t queue = json_integer_value(json_object_get(o, "queue"));

	if (!name || slots < 1 || slots > SHARE_POOL_SLOTS_MAX || queue < 1 || queue > 1000000 ||
	    share_pool_wrong(c, name, (unsigned)slots, (unsigned)queue) ||
	    share_pool_put(c, name, (unsigned)slots, (unsigned)queue) != GH_OK)
		gh_log(GH_LOG_WARN, "share-pool", "name=\"%s\" hint=\"left out\"", name ? name : "");
}

static void load_share(struct gh_core *c, uint64_t tenant, const json_t *o)
{
	const json_int_t weight = json_integer_value(json_object_get(o, "weight"));
	const json_int_t cap = json_integer_value(json_object_get(o, "cap"));
	const char *pool = json_string_value(json_object_get(o, "pool"));
	const uint32_t w = weight < 1 || weight > FAIR_WEIGHT_MAX ? FAIR_WEIGHT_DEFAULT : (uint32_t)weight;

	if (rule_put(c->share, tenant, w, cap > 0 && cap <= UINT32_MAX ? (uint32_t)cap : 0, pool ? pool : "") != GH_OK)
		gh_log(GH_LOG_WARN, "share", "tenant=%llu hint=\"left out\"", (unsigned long long)tenant);
}

static enum gh_status load_kind(struct gh_core *c, const char *kind)
{
	unsigned count = PAGE;

	for (uint64_t after = 0; count == PAGE;) {
		struct gh_arena *a = gh_arena_new(16u << 20);
		struct meta_call call = { .arena = a, .op = "share" };
		struct meta_setting *rows;
		const enum gh_status st = a ? meta_settings(c->meta, &call, kind, after, PAGE, &rows, &count) : GH_NOMEM;
		for (unsigned i = 0; st == GH_OK && i < count; i++) {
			json_t *o = json_loads(rows[i].doc, 0, NULL);
			if (!strcmp(kind, SHARE_POOL_KIND))
				load_pool(c, o);
			else
				load_share(c, rows[i].id, o);
			json_decref(o);
			after = rows[i].id;
		}
		gh_arena_free(&a);
		if (st != GH_OK)
			return st;
	}
	return GH_OK;
}

enum gh_status share_load(struct gh_core *c)
{
	struct taking k = { c, 0 };
	enum gh_status st = load_kind(c, SHARE_POOL_KIND);

	if (st == GH_OK)
		st = load_kind(c, SHARE_KIND);
	tenants_each(c, take_over, &k);
	return st;
}

/* Which pools there are by the settings. */
static enum gh_status pools_stored(struct gh_core *c, json_t *names)
{
	struct gh_arena *a = gh_arena_new(16u << 20);
	struct meta_call call = { .arena = a, .op = "share" };
	struct meta_setting *rows;
	unsigned count;
	const enum gh_status st = a ? meta_settings(c->meta, &call, SHARE_POOL_KIND, 0, PAGE, &rows, &count) : GH_NOMEM;

	for (unsigned i = 0; st == GH_OK && i < count; i++) {
		json_t *o = json_loads(rows[i].doc, 0, NULL);
		const char *name = json_string_value(json_object_get(o, "name"));
		if (name)
			json_object_set_new(names, name, json_true());
		json_decref(o);
	}
	gh_arena_free(&a);
	return st;
}

enum gh_status share_reload(struct gh_core *c)
{
	json_t *names = json_object();
	enum gh_status st = names ? pools_stored(c, names) : GH_NOMEM;
	struct share_pool p;

	for (unsigned i = 1; st == GH_OK && i < FAIR_POOLS; i++)
		if (share_pool_at(c, i, &p) && !json_object_get(names, p.name))
			share_pool_remove(c, p.name);
	json_decref(names);
	return st == GH_OK ? share_load(c) : st;
}
