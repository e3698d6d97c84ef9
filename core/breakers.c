/* Calls to stores and what their outcomes mean. See breakers.h; breakers_room.h has the locks. */
#include "core/breakers_room.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/metrics.h"

static const char *const names[] = {
#define X(symbol, name) [SERVICE_##symbol] = name,
#include "core/services.tbl.h"
#undef X
};

const char *service_name(enum service s)
{
	return names[s];
}

bool service_parse(const char *name, enum service *ret)
{
	for (unsigned i = 0; i < SERVICE_COUNT; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*ret = (enum service)i;
		return true;
	}
	return false;
}

uint64_t breaker_now_ms(void)
{
	return gh_mono_ns() / GH_MS_NS;
}

uint32_t breaker_random(struct breakers *b)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return (uint32_t)(b->seed >> 32);
}

/* ---- what an outcome says about the service ---- */

/* DEADLINE is the dependency's fault only if the call had time: what began with its deadline nearly over was not given
 * a chance. IO of a metadata commit is that of content synced in it. A full disk still reads; a damaged object is found
 * by a store that works, and who asks for it again and again must not shut the others' out. */
static enum breaker_outcome outcome_of(const struct breakers *b, enum service s, enum gh_status st, uint32_t took_ms)
{
	switch (gh_status_class(st)) {
	case GH_CLASS_FLOW:
	case GH_CLASS_CALLER:
	case GH_CLASS_TENANT:
		return BREAKER_GOOD;
	case GH_CLASS_DEPENDENCY:
		if (st == GH_NOSPACE || st == GH_DAMAGED || st == GH_TRIPPED || (st == GH_IO && s == SERVICE_METADATA))
			return BREAKER_UNCOUNTED;
		return BREAKER_FAILED;
	case GH_CLASS_INTERNAL:
		if (st == GH_UNKNOWN || (st == GH_DEADLINE && b->cfg.slow_ms && took_ms >= b->cfg.slow_ms))
			return BREAKER_FAILED;
		return BREAKER_UNCOUNTED;
	}
	return BREAKER_UNCOUNTED;
}

/* ---- telling ---- */

/* Locked. A paper that is full leaves out the line in the log, nothing else. */
static void report(struct breakers *b, struct breaker_paper *paper, enum service s, uint64_t tenant,
		   const struct breaker_seat *seat, struct breaker_sums window, const char *why, uint64_t now_ms)
{
	atomic_store(&b->changed, true);
	if (seat->b.state == BREAKER_OPEN)
		gh_metric_add(tenant ? GH_M_BREAKER_TENANT_OPENINGS : GH_M_BREAKER_OPENINGS, s, 1);
	if (paper->count == BREAKER_NEWS)
		return;
	paper->of[paper->count++] = (struct breaker_news){
		.service = s, .tenant = tenant, .to = seat->b.state, .window = window, .why = why,
		.wait_ms = seat->b.state == BREAKER_OPEN ? seat->b.until_ms - now_ms : 0,
	};
}

void breaker_tell(struct breakers *b, const struct breaker_paper *paper)
{
	(void)b;
	for (unsigned i = 0; i < paper->count; i++) {
		const struct breaker_news *n = &paper->of[i];

		gh_log(GH_LOG_WARN, "breaker",
		       "service=%s tenant=%llu state=%s why=\"%s\" calls=%u failed=%u slow=%u rests_ms=%llu",
		       service_name(n->service), (unsigned long long)n->tenant, breaker_state_name(n->to), n->why,
		       n->window.calls, n->window.failed, n->window.slow, (unsigned long long)n->wait_ms);
	}
}

/* ---- judging; all under the lock ---- */

_Static_assert(2 * SERVICE_COUNT <= BREAKER_SCOUTS, "a scout may be one for each service, and its tenant's");

static struct breaker_seat *seat_of(struct breakers *b, enum service s, uint64_t tenant)
{
	struct breaker_tenant *t;

	if (!tenant)
		return &b->service[s];
	t = breaker_tenant_find(b, tenant);
	return t ? &t->of[s] : NULL;
}

static void open_seat(struct breakers *b, enum service s, uint64_t tenant, struct breaker_seat *seat, uint64_t now_ms,
		      const char *why, struct breaker_paper *paper)
{
	const struct breaker_sums window = breaker_window(&seat->b, &b->cfg, now_ms);

	breaker_trip(&seat->b, &b->cfg, now_ms, breaker_random(b));
	breaker_mirror(seat);
	report(b, paper, s, tenant, seat, window, why, now_ms);
}

void breaker_convict(struct breakers *b, enum service s, struct breaker_tenant *t, enum breaker_blame blame,
		     uint64_t now_ms, const char *why, struct breaker_paper *paper)
{
	/* With several databases the trouble of one is its tenants', however many they are. */
	if (blame == BREAKER_SERVICE && s == SERVICE_METADATA && meta_is_many(b->core->meta))
		blame = t && breaker_ill(&b->cfg, breaker_window(&t->of[s].b, &b->cfg, now_ms)) ? BREAKER_TENANT
												: BREAKER_NOBODY;
	switch (blame) {
	case BREAKER_NOBODY:
		break;
	case BREAKER_TENANT:
		if (!t || t->of[s].b.state != BREAKER_CLOSED)
			break;
		breaker_forget(&b->service[s].b, &t->of[s].b);
		open_seat(b, s, atomic_load(&t->tenant), &t->of[s], now_ms, why, paper);
		break;
	case BREAKER_SERVICE:
		if (b->service[s].b.state != BREAKER_CLOSED)
			break;
		open_seat(b, s, 0, &b->service[s], now_ms, why, paper);
		breaker_tenants_close(b, s, now_ms);
		break;
	}
}

void breaker_judge(struct breakers *b, enum service s, uint64_t tenant, uint64_t now_ms, enum breaker_outcome outcome,
		   uint32_t took_ms, struct breaker_paper *paper)
{
	struct breaker_seat *all = &b->service[s];
	struct breaker_tenant *t;
	struct breaker_sums mine = { 0 }, sums;

	if (all->b.state != BREAKER_CLOSED)
		return;
	t = breaker_tenant_make(b, tenant, now_ms);
	breaker_fold_service(b, s, now_ms);
	breaker_count(&all->b, &b->cfg, now_ms, outcome, took_ms);
	if (t) {
		breaker_fold_tenant(b, t, s, now_ms);
		breaker_count(&t->of[s].b, &b->cfg, now_ms, outcome, took_ms);
		mine = breaker_window(&t->of[s].b, &b->cfg, now_ms);
	}
	sums = breaker_window(&all->b, &b->cfg, now_ms);
	if (tenant && !t) /* unknown how much of it is its own: blames nobody */
		return;
	const bool others_open = breaker_ill(&b->cfg, mine) && breaker_others_open(b, s, tenant); /* looks at them all */
	breaker_convict(b, s, t, breaker_blame(&b->cfg, sums, mine, others_open), now_ms, "calls fail or are slow", paper);
}

void breaker_settle_probe(struct breakers *b, enum service s, uint64_t tenant, struct breaker_permit p,
			  uint64_t now_ms, enum breaker_outcome outcome, uint32_t took_ms, struct breaker_paper *paper)
{
	struct breaker_seat *seat = seat_of(b, s, tenant);

	if (!p.probe || !seat)
		return;
	if (breaker_settle(&seat->b, &b->cfg, now_ms, p, outcome, took_ms, breaker_random(b)))
		report(b, paper, s, tenant, seat, (struct breaker_sums){ 0 },
		       seat->b.state == BREAKER_CLOSED ? "probes went well" : "a probe failed", now_ms);
	breaker_mirror(seat);
}

/* ---- a call ---- */

static bool ask_seat(struct breakers *b, struct breaker_seat *seat, struct breaker_permit *ret)
{
	const uint64_t word = atomic_load_explicit(&seat->word, memory_order_acquire);
	uint32_t wait_ms;

	*ret = (struct breaker_permit){ breaker_word_generation(word), false };
	if (breaker_word_state(word) == BREAKER_CLOSED)
		return true;
	pthread_mutex_lock(&b->lock);
	const bool may = breaker_ask(&seat->b, &b->cfg, breaker_now_ms(), ret, &wait_ms);
	breaker_mirror(seat);
	pthread_mutex_unlock(&b->lock);
	return may;
}

static enum gh_status refused(enum service s)
{
	gh_metric_add(GH_M_BREAKER_REFUSED, s, 1);
	return GH_TRIPPED;
}

static void take_back(struct breakers *b, enum service s, struct breaker_permit p)
{
	struct breaker_paper paper = { .count = 0 };

	if (!p.probe)
		return;
	pthread_mutex_lock(&b->lock);
	breaker_settle_probe(b, s, 0, p, breaker_now_ms(), BREAKER_UNCOUNTED, 0, &paper);
	pthread_mutex_unlock(&b->lock);
}

enum gh_status breakers_enter(struct gh_core *c, enum service s, uint64_t tenant, struct breaker_pass *ret)
{
	struct breakers *b = c->breakers;
	struct breaker_tenant *t;

	*ret = (struct breaker_pass){ .b = b, .tenant = tenant, .service = (uint8_t)s, .asked = true };
	if (!b)
		return GH_OK;
	if (!ask_seat(b, &b->service[s], &ret->of_service))
		return refused(s);
	t = breaker_tenant_find(b, tenant);
	if (t && !ask_seat(b, &t->of[s], &ret->of_tenant)) {
		take_back(b, s, ret->of_service);
		return refused(s);
	}
	ret->started_ns = gh_mono_ns();
	ret->flight = flight_begin(b, ret);
	return GH_OK;
}

void breakers_watch(struct gh_core *c, enum service s, uint64_t tenant, struct breaker_pass *ret)
{
	struct breakers *b = c->breakers;

	*ret = (struct breaker_pass){ .b = b, .tenant = tenant, .service = (uint8_t)s };
	if (!b)
		return;
	ret->of_service.generation = breaker_word_generation(atomic_load(&b->service[s].word));
	ret->started_ns = gh_mono_ns();
	ret->flight = flight_begin(b, ret);
}

/* A commit of metadata that waited for content to be synced was slow for that. */
static bool held_up_by_a_sync(const struct breakers *b, const struct breaker_pass *p)
{
	return p->service == SERVICE_METADATA &&
	       (atomic_load(&b->sync_hangs) || atomic_load(&b->sync_slow_ns) > p->started_ns);
}

/* Not good, slow, or a probe: what it says is said under the lock. */
static void settle(struct breakers *b, const struct breaker_pass *p, enum breaker_outcome outcome, uint32_t took_ms,
		   uint32_t told)
{
	struct breaker_paper paper = { .count = 0 };
	const uint64_t now = breaker_now_ms();
	const bool probe = p->of_service.probe || p->of_tenant.probe;

	if (outcome == BREAKER_GOOD && told)
		outcome = BREAKER_UNCOUNTED; /* it was counted as slow while it was out; as a probe it was settled */
	pthread_mutex_lock(&b->lock);
	const bool current = p->of_service.generation == b->service[p->service].b.generation;
	if (probe && !told) {
		breaker_settle_probe(b, p->service, 0, p->of_service, now, outcome, took_ms, &paper);
		breaker_settle_probe(b, p->service, p->tenant, p->of_tenant, now, outcome, took_ms, &paper);
	}
	if (!probe && current && outcome != BREAKER_UNCOUNTED)
		breaker_judge(b, p->service, p->tenant, now, outcome, took_ms, &paper);
	pthread_mutex_unlock(&b->lock);
	breaker_tell(b, &paper);
}

static void count_good(struct breakers *b, const struct breaker_pass *p)
{
	struct breaker_tenant *t = breaker_tenant_find(b, p->tenant);

	atomic_fetch_add_explicit(&b->stripe[p->flight % BREAKER_STRIPES].good[p->service], 1, memory_order_relaxed);
	if (t)
		atomic_fetch_add_explicit(&t->of[p->service].good, 1, memory_order_relaxed);
}

enum gh_status breakers_leave(struct breaker_pass *p, enum gh_status st)
{
	struct breakers *b = p->b;

	if (!b)
		return st;
	const uint64_t now = gh_mono_ns(), took = (now - p->started_ns) / GH_MS_NS;
	const uint32_t took_ms = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	const uint32_t told = p->flight ? flight_end(b, p->flight) : 0;
	const bool slow = b->cfg.slow_ms && took_ms >= b->cfg.slow_ms;
	enum breaker_outcome outcome = outcome_of(b, p->service, st, took_ms);

	if (slow && p->service == SERVICE_BLOBS && !p->asked)
		atomic_store(&b->sync_slow_ns, now);
	if (outcome == BREAKER_GOOD && slow && held_up_by_a_sync(b, p))
		outcome = BREAKER_UNCOUNTED;
	if (outcome == BREAKER_GOOD && !slow && !told && !p->of_service.probe && !p->of_tenant.probe)
		count_good(b, p);
	else
		settle(b, p, outcome, took_ms, told);
	return st;
}

void breakers_failed(struct gh_core *c, enum service s, uint64_t tenant, enum gh_status st)
{
	struct breakers *b = c->breakers;
	struct breaker_paper paper = { .count = 0 };

	if (!b || outcome_of(b, s, st, 0) != BREAKER_FAILED)
		return;
	pthread_mutex_lock(&b->lock);
	breaker_judge(b, s, tenant, breaker_now_ms(), BREAKER_FAILED, 0, &paper);
	pthread_mutex_unlock(&b->lock);
	breaker_tell(b, &paper);
}

void breakers_hasten(struct gh_core *c, enum service s)
{
	struct breakers *b = c->breakers;

	pthread_mutex_lock(&b->lock);
	const unsigned waited = breaker_hasten_all(b, s, breaker_now_ms());
	pthread_mutex_unlock(&b->lock);
	if (waited)
		gh_log(GH_LOG_INFO, "breaker.hastened", "service=%s breakers=%u why=\"it can be reached again\"", service_name(s),
		       waited);
}

/* ---- before the queue ---- */

/* 0: it may go (as a scout, where one is given). Else the milliseconds to wait. */
static uint64_t look(struct breakers *b, struct breaker_seat *seat, struct breaker_scout *scout)
{
	const enum breaker_state state = breaker_word_state(atomic_load_explicit(&seat->word, memory_order_acquire));
	if (state == BREAKER_CLOSED)
		return 0;
	const uint64_t until = atomic_load(&seat->until_ms), now = breaker_now_ms();
	if (state == BREAKER_OPEN && now < until)
		return until == UINT64_MAX ? b->cfg.max_ms : until - now;
	if (!scout || scout->count == BREAKER_SCOUTS)
		return 0;
	if (atomic_fetch_add(&seat->scouts, 1) >= b->cfg.probes) {
		atomic_fetch_sub(&seat->scouts, 1);
		return b->cfg.base_ms;
	}
	scout->of[scout->count++] = &seat->scouts;
	return 0;
}

void breaker_scout_home(struct breaker_scout *s)
{
	while (s->count)
		atomic_fetch_sub(s->of[--s->count], 1);
}

/* Up, and up to a quarter more, so that those who were refused together do not come back together. */
static uint32_t retry_s(uint64_t wait_ms)
{
	wait_ms += wait_ms / 4 * (gh_mono_ns() >> 10 & 0xff) / 256;
	return wait_ms >= 3600000 ? 3600 : (uint32_t)(wait_ms / 1000) + 1;
}

enum gh_status breakers_shut(struct gh_core *c, unsigned services, uint64_t tenant, uint32_t *ret_retry_s,
			     struct breaker_scout *scout)
{
	struct breakers *b = c->breakers;
	struct breaker_tenant *t = b ? breaker_tenant_find(b, tenant) : NULL;

	for (unsigned s = 0; b && s < SERVICE_COUNT; s++) {
		if (!(services & 1u << s))
			continue;
		uint64_t wait_ms = look(b, &b->service[s], scout);
		if (!wait_ms && t)
			wait_ms = look(b, &t->of[s], scout);
		if (!wait_ms)
			continue;
		if (scout)
			breaker_scout_home(scout);
		*ret_retry_s = retry_s(wait_ms);
		return refused(s);
	}
	return GH_OK;
}

static bool is_closed(const struct breaker_seat *seat)
{
	return breaker_word_state(atomic_load_explicit(&seat->word, memory_order_relaxed)) == BREAKER_CLOSED;
}

bool breakers_closed(struct gh_core *c, enum service s, uint64_t tenant)
{
	struct breakers *b = c->breakers;
	const struct breaker_tenant *t = b ? breaker_tenant_find(b, tenant) : NULL;

	return !b || (is_closed(&b->service[s]) && (!t || is_closed(&t->of[s])));
}

uint32_t breakers_retry_s(struct gh_core *c, uint64_t tenant)
{
	struct breakers *b = c->breakers;
	struct breaker_tenant *t = b ? breaker_tenant_find(b, tenant) : NULL;
	uint64_t wait_ms = 0;

	for (unsigned s = 0; b && s < SERVICE_COUNT; s++) {
		const uint64_t of_service = look(b, &b->service[s], NULL), of_tenant = t ? look(b, &t->of[s], NULL) : 0;
		wait_ms = of_service > wait_ms ? of_service : wait_ms;
		wait_ms = of_tenant > wait_ms ? of_tenant : wait_ms;
	}
	return retry_s(wait_ms);
}

/* ---- life ---- */

static void live_fill(struct live_source *src, struct live_sample *sample, uint64_t passed_ns)
{
	struct breakers *b = (struct breakers *)((char *)src - offsetof(struct breakers, live));

	(void)passed_ns;
	sample->breakers_open = breakers_count_open(b->core);
}

enum gh_status breakers_new(struct gh_core *c, const struct breaker_config *cfg, struct breakers **ret)
{
	struct breakers *b = NULL;
	pthread_condattr_t attr;

	if (breaker_config_wrong(cfg))
		return GH_INVALID;
	if (posix_memalign((void **)&b, 64, sizeof(*b)) != 0)
		return GH_NOMEM;
	memset(b, 0, sizeof(*b));
	b->core = c;
	b->cfg = *cfg;
	gh_random(&b->seed, sizeof(b->seed));
	b->seed |= 1;
	pthread_mutex_init(&b->lock, NULL);
	pthread_mutex_init(&b->nap_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->nap, &attr);
	pthread_condattr_destroy(&attr);
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		breaker_init(&b->service[s].b, breaker_now_ms());
		breaker_mirror(&b->service[s]);
	}
	b->live = (struct live_source){ .name = "breakers", .fill = live_fill };
	*ret = b;
	return GH_OK;
}

static void metadata_is_back(void *core)
{
	breakers_hasten(core, SERVICE_METADATA);
}

enum gh_status breakers_start(struct gh_core *c)
{
	if (c->meta)
		meta_on_back(c->meta, metadata_is_back, c);
	live_source_add(c, &c->breakers->live);
	return flights_watch(c->breakers);
}

void breakers_stop(struct gh_core *c)
{
	if (!c->breakers)
		return;
	if (c->meta)
		meta_on_back(c->meta, NULL, NULL);
	if (c->live)
		live_source_remove(c, &c->breakers->live);
	flights_stop(c->breakers);
}

void breakers_free(struct breakers **bp)
{
	struct breakers *b = *bp;

	*bp = NULL;
	if (!b)
		return;
	pthread_cond_destroy(&b->nap);
	pthread_mutex_destroy(&b->nap_lock);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
