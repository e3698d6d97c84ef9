/* Which tenants have breakers of their own: those with trouble of late, in a table of fixed size. A tenant gets its entry
 * with its first failure and loses it once its window holds none and its breakers are closed; so the table is empty while
 * all is well, and nobody looks into it. What a tenant did well before its first failure is not known to its window:
 * min_calls is what keeps a few failures from looking like many.
 *
 * Found without a lock (keys are atomic); made, emptied and judged under the room's lock. A success that is counted into
 * an entry which changes hands in that moment is counted for its next owner: one good call.
 */
#include <string.h>

#include "core/breakers_room.h"

void breaker_mirror(struct breaker_seat *s)
{
	atomic_store(&s->until_ms, s->b.until_ms);
	atomic_store(&s->word, (uint64_t)s->b.generation << 8 | s->b.state);
}

static struct breaker_tenant *bucket_of(struct breakers *b, uint64_t tenant)
{
	return b->of[(tenant * 0x9e3779b97f4a7c15ull) >> 56];
}

struct breaker_tenant *breaker_tenant_find(struct breakers *b, uint64_t tenant)
{
	struct breaker_tenant *t = bucket_of(b, tenant);

	if (!tenant || !atomic_load_explicit(&b->tenants, memory_order_relaxed))
		return NULL;
	for (unsigned i = 0; i < BREAKER_WAYS; i++)
		if (atomic_load_explicit(&t[i].tenant, memory_order_acquire) == tenant)
			return &t[i];
	return NULL;
}

static bool has_trouble(const struct breakers *b, const struct breaker_tenant *t, uint64_t now_ms)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		const struct breaker_seat *seat = &t->of[s];
		const struct breaker_sums sums = breaker_window(&seat->b, &b->cfg, now_ms);

		if (seat->b.state != BREAKER_CLOSED || sums.failed || sums.slow || atomic_load(&seat->scouts))
			return true;
		if (seat->b.openings && now_ms - seat->b.since_ms < b->cfg.window_ms)
			return true;
	}
	return false;
}

static void give_back(struct breakers *b, struct breaker_tenant *t)
{
	atomic_store(&t->tenant, 0);
	atomic_fetch_sub(&b->tenants, 1);
}

/* All closed, none on its way: it loses a few failures that it had counted. */
static bool may_be_replaced(const struct breaker_tenant *t)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (t->of[s].b.state != BREAKER_CLOSED || atomic_load(&t->of[s].scouts))
			return false;
	return true;
}

static void take_over(struct breakers *b, struct breaker_tenant *t, uint64_t tenant, uint64_t now_ms)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		breaker_init(&t->of[s].b, now_ms);
		atomic_store(&t->of[s].good, 0);
		breaker_mirror(&t->of[s]);
	}
	atomic_fetch_add(&b->tenants, 1);
	atomic_store_explicit(&t->tenant, tenant, memory_order_release);
}

struct breaker_tenant *breaker_tenant_make(struct breakers *b, uint64_t tenant, uint64_t now_ms)
{
	struct breaker_tenant *t = breaker_tenant_find(b, tenant), *bucket = bucket_of(b, tenant), *place = NULL;

	if (t || !tenant)
		return t;
	for (unsigned i = 0; i < BREAKER_WAYS; i++) {
		if (!atomic_load(&bucket[i].tenant)) {
			take_over(b, &bucket[i], tenant, now_ms);
			return &bucket[i];
		}
		if (may_be_replaced(&bucket[i]) && (!place || bucket[i].of[0].b.since_ms < place->of[0].b.since_ms))
			place = &bucket[i];
	}
	if (!place)
		return NULL;
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		breaker_forget(&b->service[s].b, &place->of[s].b);
	give_back(b, place);
	take_over(b, place, tenant, now_ms);
	return place;
}

bool breaker_others_open(const struct breakers *b, enum service s, uint64_t tenant)
{
	if (!atomic_load(&b->tenants))
		return false;
	for (unsigned i = 0; i < BREAKER_BUCKETS; i++)
		for (unsigned k = 0; k < BREAKER_WAYS; k++) {
			const struct breaker_tenant *t = &b->of[i][k];
			const uint64_t whose = atomic_load(&t->tenant);

			if (whose && whose != tenant && t->of[s].b.state != BREAKER_CLOSED && !t->of[s].b.forced)
				return true;
		}
	return false;
}

static unsigned hasten(struct breaker_seat *seat, uint64_t now_ms)
{
	const bool waited = breaker_hasten(&seat->b, now_ms);

	breaker_mirror(seat);
	return waited;
}

unsigned breaker_hasten_all(struct breakers *b, enum service s, uint64_t now_ms)
{
	unsigned n = hasten(&b->service[s], now_ms);

	for (unsigned i = 0; atomic_load(&b->tenants) && i < BREAKER_BUCKETS; i++)
		for (unsigned k = 0; k < BREAKER_WAYS; k++)
			if (atomic_load(&b->of[i][k].tenant))
				n += hasten(&b->of[i][k].of[s], now_ms);
	return n;
}

void breaker_tenants_close(struct breakers *b, enum service s, uint64_t now_ms)
{
	for (unsigned i = 0; i < BREAKER_BUCKETS; i++)
		for (unsigned k = 0; k < BREAKER_WAYS; k++) {
			struct breaker_tenant *t = &b->of[i][k];

			if (!atomic_load(&t->tenant) || t->of[s].b.forced)
				continue;
			breaker_reset(&t->of[s].b, now_ms);
			breaker_mirror(&t->of[s]);
		}
}

void breaker_fold_service(struct breakers *b, enum service s, uint64_t now_ms)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < BREAKER_STRIPES; i++)
		if (atomic_load_explicit(&b->stripe[i].good[s], memory_order_relaxed))
			n += atomic_exchange(&b->stripe[i].good[s], 0);
	breaker_add_good(&b->service[s].b, &b->cfg, now_ms, n);
}

void breaker_fold_tenant(struct breakers *b, struct breaker_tenant *t, enum service s, uint64_t now_ms)
{
	breaker_add_good(&t->of[s].b, &b->cfg, now_ms, atomic_exchange(&t->of[s].good, 0));
}

void breaker_table_sweep(struct breakers *b, uint64_t now_ms)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		breaker_fold_service(b, s, now_ms);
	if (!atomic_load(&b->tenants))
		return;
	for (unsigned i = 0; i < BREAKER_BUCKETS; i++)
		for (unsigned k = 0; k < BREAKER_WAYS; k++) {
			struct breaker_tenant *t = &b->of[i][k];

			if (!atomic_load(&t->tenant))
				continue;
			for (unsigned s = 0; s < SERVICE_COUNT; s++)
				breaker_fold_tenant(b, t, s, now_ms);
			if (!has_trouble(b, t, now_ms))
				give_back(b, t);
		}
}

/* ---- for administrators ---- */

static struct breaker_view view_of(const struct breakers *b, enum service s, uint64_t tenant, const struct breaker *of,
				   uint64_t now_ms)
{
	const bool waits = of->state == BREAKER_OPEN && !of->forced && of->until_ms > now_ms;

	return (struct breaker_view){ s, tenant, of->state, of->forced, breaker_window(of, &b->cfg, now_ms), of->openings,
				      waits ? of->until_ms - now_ms : 0 };
}

static bool worth_showing(const struct breaker_view *v)
{
	return v->state != BREAKER_CLOSED || v->window.failed || v->window.slow;
}

void breakers_each(struct gh_core *c, void (*fn)(void *arg, const struct breaker_view *v), void *arg)
{
	struct breakers *b = c->breakers;
	const uint64_t now = breaker_now_ms();
	struct breaker_view v[BREAKER_WAYS * SERVICE_COUNT];

	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		pthread_mutex_lock(&b->lock);
		breaker_fold_service(b, s, now);
		v[0] = view_of(b, s, 0, &b->service[s].b, now);
		pthread_mutex_unlock(&b->lock);
		fn(arg, &v[0]);
	}
	for (unsigned i = 0; i < BREAKER_BUCKETS && atomic_load(&b->tenants); i++) {
		unsigned n = 0;

		pthread_mutex_lock(&b->lock);
		for (unsigned k = 0; k < BREAKER_WAYS; k++) {
			const uint64_t whose = atomic_load(&b->of[i][k].tenant);

			for (unsigned s = 0; whose && s < SERVICE_COUNT; s++) {
				breaker_fold_tenant(b, &b->of[i][k], s, now);
				v[n] = view_of(b, s, whose, &b->of[i][k].of[s].b, now);
				n += worth_showing(&v[n]);
			}
		}
		pthread_mutex_unlock(&b->lock);
		for (unsigned k = 0; k < n; k++)
			fn(arg, &v[k]);
	}
}

static void count_open(void *arg, const struct breaker_view *v)
{
	*(unsigned *)arg += v->state != BREAKER_CLOSED;
}

unsigned breakers_count_open(struct gh_core *c)
{
	unsigned n = 0;

	breakers_each(c, count_open, &n);
	return n;
}

enum gh_status breakers_open(struct gh_core *c, enum service s, uint64_t tenant)
{
	struct breakers *b = c->breakers;
	const uint64_t now = breaker_now_ms();
	struct breaker_seat *seat = &b->service[s];

	pthread_mutex_lock(&b->lock);
	if (tenant) {
		struct breaker_tenant *t = breaker_tenant_make(b, tenant, now);
		seat = t ? &t->of[s] : NULL;
	}
	if (seat) {
		breaker_force_open(&seat->b, now);
		breaker_mirror(seat);
	}
	pthread_mutex_unlock(&b->lock);
	return seat ? GH_OK : GH_LIMIT;
}

void breakers_reset(struct gh_core *c, enum service s, uint64_t tenant)
{
	struct breakers *b = c->breakers;
	struct breaker_seat *seat = &b->service[s];

	pthread_mutex_lock(&b->lock);
	if (tenant) {
		struct breaker_tenant *t = breaker_tenant_find(b, tenant);
		seat = t ? &t->of[s] : NULL;
	}
	if (seat && tenant)
		breaker_forget(&b->service[s].b, &seat->b);
	if (seat) {
		breaker_reset(&seat->b, breaker_now_ms());
		breaker_mirror(seat);
	}
	pthread_mutex_unlock(&b->lock);
}
