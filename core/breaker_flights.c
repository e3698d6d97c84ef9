/* Calls under way, and the thread that watches them.
 *
 *   FREE -> FILLING -> OUT -> FREE           its call
 *                      OUT <-> BORROWED      the watcher, for a few instructions, once it has been out for slow_ms
 *
 * A call takes the first free place from one that belongs to its thread, so that in practice each thread has its own line
 * of memory; where all are taken it goes unwatched. Once a tick (a quarter of slow_ms, 10 to 250 ms) the watcher
 *
 *   counts each call that has been out for slow_ms as one slow call, and again for every further slow_ms: a probe that
 *   hangs has failed, and a few calls that hang for long are as much evidence as many that were slow;
 *   opens the breaker whose `stuck` calls hang at once;
 *   has the pools lend a thread for each that is held;
 *   brings what went well into the windows.
 */
#include "core/breakers_room.h"

#include <sched.h>
#include <signal.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"

static unsigned place_of_thread(void)
{
	static atomic_uint next;
	static _Thread_local unsigned mine; /* 1 + place; where its thread looks first, no more than a hint */

	if (!mine)
		mine = 1 + atomic_fetch_add_explicit(&next, 2, memory_order_relaxed) % BREAKER_FLIGHTS;
	return mine - 1;
}

unsigned flight_begin(struct breakers *b, const struct breaker_pass *p)
{
	const unsigned first = place_of_thread();

	for (unsigned i = 0; i < 8; i++) {
		const unsigned at = (first + i) % BREAKER_FLIGHTS;
		struct flight *f = &b->flight[at];
		unsigned was = FLIGHT_FREE;

		if (!atomic_compare_exchange_strong_explicit(&f->state, &was, FLIGHT_FILLING, memory_order_acquire,
							     memory_order_relaxed))
			continue;
		f->of_service = p->of_service;
		f->of_tenant = p->of_tenant;
		f->tenant = p->tenant;
		f->service = p->service;
		f->asked = p->asked;
		f->pool = (uint8_t)gh_pool_here();
		f->told = 0;
		atomic_store_explicit(&f->started_ms, p->started_ns / GH_MS_NS, memory_order_relaxed);
		atomic_store_explicit(&f->state, FLIGHT_OUT, memory_order_release);
		return at + 1;
	}
	return 0;
}

uint32_t flight_end(struct breakers *b, unsigned flight)
{
	struct flight *f = &b->flight[flight - 1];
	unsigned was = FLIGHT_OUT;

	while (!atomic_compare_exchange_weak_explicit(&f->state, &was, FLIGHT_FILLING, memory_order_acquire,
						      memory_order_relaxed)) {
		was = FLIGHT_OUT; /* the watcher has it, for a moment */
		sched_yield();
	}
	const uint32_t told = f->told;
	atomic_store_explicit(&f->state, FLIGHT_FREE, memory_order_release);
	return told;
}

/* ---- the watcher ---- */

struct stuck {
	uint64_t tenant;
	struct breaker_permit of_service, of_tenant;
	uint32_t more; /* times that it has become slow since it was last looked at */
	bool first, asked;
	uint8_t service, pool;
};

/* Looks at one that may be slow. false: it is not (any more). */
static bool borrow(struct breakers *b, struct flight *f, uint64_t now_ms, struct stuck *ret)
{
	unsigned was = FLIGHT_OUT;

	if (atomic_load_explicit(&f->state, memory_order_relaxed) != FLIGHT_OUT ||
	    now_ms < atomic_load_explicit(&f->started_ms, memory_order_relaxed) + b->cfg.slow_ms ||
	    !atomic_compare_exchange_strong_explicit(&f->state, &was, FLIGHT_BORROWED, memory_order_acquire,
						     memory_order_relaxed))
		return false;
	/* It may be another call's by now. */
	const uint64_t started = atomic_load_explicit(&f->started_ms, memory_order_relaxed);
	const uint64_t times = now_ms < started ? 0 : (now_ms - started) / b->cfg.slow_ms;
	*ret = (struct stuck){ f->tenant, f->of_service, f->of_tenant, (uint32_t)times - f->told, f->told == 0, f->asked,
			       f->service, f->pool };
	f->told = (uint32_t)times;
	atomic_store_explicit(&f->state, FLIGHT_OUT, memory_order_release);
	return times > 0;
}

static unsigned gather(struct breakers *b, uint64_t now_ms, struct stuck *ret)
{
	unsigned n = 0;

	for (unsigned i = 0; i < BREAKER_FLIGHTS && n < BREAKER_STUCK_MAX; i++)
		n += borrow(b, &b->flight[i], now_ms, &ret[n]);
	return n;
}

/* A sync of content that hangs holds up the commits that bring content. They are evidence against the blobs then, until
 * those are shut; if commits hang even so, they have to be kept away from metadata as well. */
static bool sync_hangs(const struct stuck *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (s[i].service == SERVICE_BLOBS && !s[i].asked)
			return true;
	return false;
}

static void shift_blame(struct breakers *b, struct stuck *s, unsigned n)
{
	const bool hangs = sync_hangs(s, n);

	atomic_store(&b->sync_hangs, hangs);
	if (!hangs || breaker_word_state(atomic_load(&b->service[SERVICE_BLOBS].word)) != BREAKER_CLOSED)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (s[i].service != SERVICE_METADATA || s[i].of_service.probe || s[i].of_tenant.probe)
			continue;
		s[i].service = SERVICE_BLOBS;
		s[i].tenant = 0;
	}
}

/* Locked. Each is a slow call once more; a probe is over with the first time. */
static void count_slow(struct breakers *b, const struct stuck *s, unsigned n, uint64_t now_ms,
		       struct breaker_paper *paper)
{
	for (unsigned i = 0; i < n; i++) {
		const bool probe = s[i].of_service.probe || s[i].of_tenant.probe;

		if (probe && s[i].first) {
			breaker_settle_probe(b, s[i].service, 0, s[i].of_service, now_ms, BREAKER_FAILED, b->cfg.slow_ms,
					     paper);
			breaker_settle_probe(b, s[i].service, s[i].tenant, s[i].of_tenant, now_ms, BREAKER_FAILED,
					     b->cfg.slow_ms, paper);
		}
		if (probe)
			continue;
		for (uint32_t k = 0; k < s[i].more && k < 4; k++)
			breaker_judge(b, s[i].service, s[i].tenant, now_ms, BREAKER_GOOD, b->cfg.slow_ms, paper);
	}
}

static unsigned how_many(const struct stuck *s, unsigned n, enum service service, uint64_t tenant, bool all)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++)
		k += s[i].service == service && (all || s[i].tenant == tenant);
	return k;
}

/* Locked. Those of nobody in particular are everybody's. */
static void judge_stuck(struct breakers *b, const struct stuck *s, unsigned n, uint64_t now_ms,
			struct breaker_paper *paper)
{
	for (unsigned i = 0; i < n; i++) {
		const enum service service = s[i].service;
		const unsigned all = how_many(s, n, service, 0, true);

		if (!s[i].first || b->service[service].b.state != BREAKER_CLOSED)
			continue;
		struct breaker_tenant *t = breaker_tenant_make(b, s[i].tenant, now_ms);
		if (s[i].tenant && (!t || t->of[service].b.state != BREAKER_CLOSED))
			continue;
		const unsigned mine = s[i].tenant ? how_many(s, n, service, s[i].tenant, false) : 0;
		breaker_convict(b, service, t,
				breaker_blame_stuck(&b->cfg, all, mine, breaker_others_open(b, service, s[i].tenant)),
				now_ms, "calls hang", paper);
	}
}

static void lend(struct breakers *b, const struct stuck *s, unsigned n)
{
	for (unsigned pool = 0; pool < 2; pool++) {
		unsigned held = 0;

		for (unsigned i = 0; i < n; i++)
			held += s[i].pool == pool + 1;
		if (held == b->lent[pool])
			continue;
		b->lent[pool] = held;
		share_lend(b->core, pool == 0, held);
	}
}

static void gauges(struct breakers *b)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		const enum breaker_state state = breaker_word_state(atomic_load(&b->service[s].word));
		gh_metric_set(GH_M_BREAKER_STATE, s, state == BREAKER_CLOSED ? 0 : state == BREAKER_HALF_OPEN ? 1 : 2);
	}
}

static void tick(struct breakers *b)
{
	static struct stuck stuck[BREAKER_STUCK_MAX]; /* the watcher's alone */
	struct breaker_paper paper = { .count = 0 };
	const uint64_t now = breaker_now_ms();
	const unsigned n = b->cfg.slow_ms ? gather(b, now, stuck) : 0;

	shift_blame(b, stuck, n);
	pthread_mutex_lock(&b->lock);
	count_slow(b, stuck, n, now, &paper);
	judge_stuck(b, stuck, n, now, &paper);
	breaker_table_sweep(b, now);
	pthread_mutex_unlock(&b->lock);
	lend(b, stuck, n);
	gauges(b);
	breaker_tell(b, &paper);
	if (atomic_exchange(&b->changed, false))
		live_tell(b->core, "breaker");
}

static uint64_t tick_ms(const struct breakers *b)
{
	const uint64_t ms = b->cfg.slow_ms && b->cfg.slow_ms < b->cfg.window_ms ? b->cfg.slow_ms / 4 :
										   b->cfg.window_ms / BREAKER_SLOTS;

	return ms < 10 ? 10 : ms > 250 ? 250 : ms;
}

static void *watch(void *arg)
{
	struct breakers *b = arg;
	struct timespec until;

	pthread_setname_np(pthread_self(), "breakers");
	pthread_mutex_lock(&b->nap_lock);
	while (!b->stopping) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		const uint64_t ns = (uint64_t)until.tv_nsec + tick_ms(b) * GH_MS_NS;
		until.tv_sec += (time_t)(ns / GH_S_NS);
		until.tv_nsec = (long)(ns % GH_S_NS);
		if (pthread_cond_timedwait(&b->nap, &b->nap_lock, &until) == 0)
			continue;
		pthread_mutex_unlock(&b->nap_lock);
		tick(b);
		pthread_mutex_lock(&b->nap_lock);
	}
	pthread_mutex_unlock(&b->nap_lock);
	return NULL;
}

enum gh_status flights_watch(struct breakers *b)
{
	sigset_t all, old;

	/* Signals go to the thread that waits for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	b->watching = pthread_create(&b->watcher, NULL, watch, b) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return b->watching ? GH_OK : GH_NOMEM;
}

void flights_stop(struct breakers *b)
{
	if (!b->watching)
		return;
	pthread_mutex_lock(&b->nap_lock);
	b->stopping = true;
	pthread_cond_signal(&b->nap);
	pthread_mutex_unlock(&b->nap_lock);
	pthread_join(b->watcher, NULL);
	b->watching = false;
	for (unsigned pool = 0; pool < 2; pool++)
		if (b->lent[pool])
			share_lend(b->core, pool == 0, 0);
}
