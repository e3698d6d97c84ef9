/* Who gets how much: weights, caps, pools, rates. Kept in the house's settings ("share", "pool"), here in memory; a tenant's
 * rule is found through its seat without a lock. See fair.h. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/fair_room.h"

#define PAGE 500
#define RATE_BURST_BYTES (256u * 1024)

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

enum gh_status share_tenant_put(struct gh_core *c, uint64_t tenant, uint32_t weight, uint32_t cap, const char *pool)
{
	struct share *s = c->share;
	struct taking k = { c, tenant };

	pthread_mutex_lock(&s->rules_lock);
	const unsigned at = row_at(s, tenant);
	if (at == s->rule_count || s->rules[at].tenant != tenant) {
		if (s->rule_count == s->rule_room) {
			const unsigned room = s->rule_room ? 2 * s->rule_room : 64;
			struct share_rule *more = realloc(s->rules, room * sizeof(*more));
			if (!more) {
				pthread_mutex_unlock(&s->rules_lock);
				return GH_NOMEM;
			}
			s->rules = more;
			s->rule_room = room;
		}
		memmove(s->rules + at + 1, s->rules + at, (s->rule_count - at) * sizeof(*s->rules));
		s->rule_count++;
	}
	s->rules[at] = (struct share_rule){ .tenant = tenant, .weight = weight, .cap = cap };
	snprintf(s->rules[at].pool, sizeof(s->rules[at].pool), "%s", strcmp(pool, SHARE_SHARED_NAME) ? pool : "");
	pthread_mutex_unlock(&s->rules_lock);
	tenants_each(c, take_over, &k);
	share_kick(c); /* a cap may have been lifted */
	return GH_OK;
}

/* ---- pools ---- */

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

static unsigned pool_place(struct share *s, const char *name, unsigned slots, unsigned queue, unsigned *ret_threads)
{
	unsigned at, sum = 0;

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
	for (unsigned i = 0; i < FAIR_POOLS; i++)
		sum += s->pools[i].slots;
	*ret_threads = sum;
	pthread_mutex_unlock(&s->rules_lock);
	return at;
}

enum gh_status share_pool_put(struct gh_core *c, const char *name, unsigned slots, unsigned queue)
{
	struct share *s = c->share;
	struct taking k = { c, 0 };
	unsigned threads;

	if (s->cfg.off)
		return GH_OK;
	forget_drained(s);
	const unsigned at = pool_place(s, name, slots, queue, &threads);
	if (!at)
		return GH_LIMIT;
	/* Threads first: whoever has a slot has one. */
	const enum gh_status st = gh_pool_grow(c->wait_pool, threads + SHARE_POOL_SLOTS_MAX / 8);
	if (st != GH_OK)
		return st;
	pthread_mutex_lock(&s->wait.lock);
	(void)fair_pool_set(s->wait.fair, at, slots, queue);
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
	(void)fair_pool_set(s->wait.fair, at, 0, 0);
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

	if (share_tenant_put(c, tenant, w, cap > 0 && cap <= UINT32_MAX ? (uint32_t)cap : 0, pool ? pool : "") != GH_OK)
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
			if (!strcmp(kind, "pool"))
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
	const enum gh_status st = load_kind(c, "pool");
	return st == GH_OK ? load_kind(c, "share") : st;
}

/* ---- rates ---- */

void fair_set_rate(struct gh_core *c, struct tenant *t, uint64_t bytes_s)
{
	(void)c;
	atomic_store_explicit(&t->seat.bytes_s, bytes_s, memory_order_relaxed);
}

/* A quarter of a second's worth, at most 256 KiB for the slow and a tenth of a second for the fast. */
static struct purse_rule rate_rule(uint64_t bytes_s)
{
	uint64_t burst = bytes_s / 4;

	if (burst > RATE_BURST_BYTES)
		burst = bytes_s / 10 > RATE_BURST_BYTES ? bytes_s / 10 : RATE_BURST_BYTES;
	return (struct purse_rule){ .per_s = bytes_s, .burst = burst ? burst : 1 };
}

static struct purse *rate_lock(struct share_seat *s, const struct purse_rule *r, uint64_t now_ns)
{
	while (atomic_flag_test_and_set_explicit(&s->rate_lock, memory_order_acquire))
		;
	if (!s->rate_begun) {
		purse_init(&s->rate, r, now_ns);
		s->rate_begun = true;
	}
	return &s->rate;
}

static unsigned wait_of(uint64_t wait_ns)
{
	const uint64_t ms = wait_ns / GH_MS_NS + 1;
	return ms > 1000 ? 1000 : (unsigned)ms; /* the limit may be lifted meanwhile */
}

uint64_t share_rate_offer(struct tenant *t, uint64_t want, uint64_t now_ns, unsigned *ret_wait_ms)
{
	const uint64_t bytes_s = atomic_load_explicit(&t->seat.bytes_s, memory_order_relaxed);
	uint64_t wait = 0;

	if (!bytes_s)
		return want;
	const struct purse_rule r = rate_rule(bytes_s);
	struct purse *p = rate_lock(&t->seat, &r, now_ns);
	const uint64_t n = purse_offer(p, &r, now_ns, want, &wait);
	purse_spend(p, &r, now_ns, n);
	atomic_flag_clear_explicit(&t->seat.rate_lock, memory_order_release);
	*ret_wait_ms = wait_of(wait);
	return n;
}

bool share_rate_take(struct tenant *t, uint64_t bytes, uint64_t now_ns, unsigned *ret_wait_ms)
{
	const uint64_t bytes_s = atomic_load_explicit(&t->seat.bytes_s, memory_order_relaxed);
	uint64_t wait = 0;

	if (!bytes_s)
		return true;
	const struct purse_rule r = rate_rule(bytes_s);
	struct purse *p = rate_lock(&t->seat, &r, now_ns);
	const bool may = purse_ask(p, &r, now_ns, &wait);
	if (may)
		purse_spend(p, &r, now_ns, bytes);
	atomic_flag_clear_explicit(&t->seat.rate_lock, memory_order_release);
	*ret_wait_ms = wait_of(wait);
	return may;
}

void share_rate_return(struct tenant *t, uint64_t bytes)
{
	const uint64_t bytes_s = atomic_load_explicit(&t->seat.bytes_s, memory_order_relaxed);

	if (!bytes_s || !bytes)
		return;
	const struct purse_rule r = rate_rule(bytes_s);
	struct purse *p = rate_lock(&t->seat, &r, 0);
	purse_return(p, &r, bytes);
	atomic_flag_clear_explicit(&t->seat.rate_lock, memory_order_release);
}

/* ---- figures ---- */

/* Upper end of the bucket in which the 99th of a hundred waits lies. */
static unsigned p99_ms(const struct share_seat *seat)
{
	uint64_t n[20], sum = 0, seen = 0;

	for (unsigned i = 0; i < 20; i++)
		sum += n[i] = atomic_load_explicit(&seat->waits[i], memory_order_relaxed);
	for (unsigned i = 0; i < 20 && sum; i++) {
		seen += n[i];
		if (seen * 100 >= sum * 99)
			return (unsigned)(((1u << i) + 9) / 10) * (i > 0);
	}
	return 0;
}

void share_tenant_figures(struct gh_core *c, struct tenant *t, struct share_figures *ret)
{
	struct share *s = c->share;
	const struct fair_tenant_rule r = share_rule(c, t);

	pthread_mutex_lock(&s->wait.lock);
	const struct fair_sums sums = fair_tenant_sums(s->wait.fair, t->id);
	pthread_mutex_unlock(&s->wait.lock);
	*ret = (struct share_figures){ .weight = r.weight, .cap = r.cap, .waiting = sums.waiting, .running = sums.running,
				       .wait_p99_ms = p99_ms(&t->seat), .shed = atomic_load(&t->seat.shed),
				       .bytes_s = atomic_load(&t->seat.bytes_s) };
	pthread_mutex_lock(&s->rules_lock);
	snprintf(ret->pool, sizeof(ret->pool), "%s", s->pools[r.pool].name);
	pthread_mutex_unlock(&s->rules_lock);
}
