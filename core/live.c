/* The sampler, its memory of the last hour, and who is told. See live.h.
 *
 * Threads: the sampler makes a sample a second. `lock` covers the ring and the stop flag and is held for moments.
 * `sources_lock` and `told_lock` are held while a source fills or a subscriber is called, so that either is called no
 * more once it was taken out; nobody holds two of the three at a time.
 */
#include "core/live.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/house.h"
#include "core/house_gauges.h"
#include "core/live_work.h"

#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(6))

struct live_subscriber {
	live_event_fn *fn;
	void *arg;
	struct live_subscriber *next;
};

/* What a door's counters were a second ago. */
struct door_seen {
	uint64_t refused, errors, in, out, bucket[GH_METRIC_BUCKETS];
};

struct live {
	struct gh_core *core;
	struct live_busy busy;
	pthread_t thread;
	bool running;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	struct live_ring ring;

	pthread_mutex_t sources_lock;
	struct live_source *sources;

	pthread_mutex_t told_lock;
	struct live_subscriber *told;

	/* the sampler's */
	struct house_gauges gauges;
	uint64_t last_ns, shed_seen;
	struct door_seen seen[LIVE_DOORS];
};

struct live_busy *live_busy_of(struct gh_core *c)
{
	return &c->live->busy;
}

/* ---- one sample ---- */

static double delta(uint64_t *seen, int64_t now)
{
	const uint64_t d = (uint64_t)now - *seen;

	*seen = (uint64_t)now;
	return (double)d;
}

static void door_sample(struct live_door *d, struct door_seen *seen, unsigned proto, double passed_s)
{
	uint64_t bucket[GH_METRIC_BUCKETS], count = 0;
	const int64_t connections = gh_metric_get(GH_M_CONNECTIONS, proto);

	gh_metric_buckets(GH_M_LATENCY, proto, bucket);
	for (unsigned b = 0; b < GH_METRIC_BUCKETS; b++) {
		const uint64_t now = bucket[b];

		bucket[b] = now - seen->bucket[b];
		seen->bucket[b] = now;
		count += bucket[b];
	}
	d->requests = (float)((double)count / passed_s);
	d->p50_ms = live_percentile_ms(bucket, 50);
	d->p95_ms = live_percentile_ms(bucket, 95);
	d->p99_ms = live_percentile_ms(bucket, 99);
	d->refused = (float)(delta(&seen->refused, gh_metric_get(GH_M_REFUSED, proto)) / passed_s);
	d->errors = (float)(delta(&seen->errors, gh_metric_get(GH_M_ERRORS, proto)) / passed_s);
	d->in_bytes = delta(&seen->in, gh_metric_get(GH_M_BYTES_IN, proto)) / passed_s;
	d->out_bytes = delta(&seen->out, gh_metric_get(GH_M_BYTES_OUT, proto)) / passed_s;
	d->connections = connections > 0 ? (uint32_t)connections : 0;
}

static void own_sample(struct live *l, struct live_sample *s, double passed_s)
{
	s->t_s = gh_real_us() / GH_S_US;
	for (unsigned d = 0; d < LIVE_DOORS; d++)
		door_sample(&s->door[d], &l->seen[d], VFS_WEBDAV + d, passed_s);
	s->shed = (float)(delta(&l->shed_seen, gh_metric_get(GH_M_SHED, 0) + gh_metric_get(GH_M_SHED, 1)) / passed_s);
	s->queue_waiting = gh_pool_waiting(l->core->login_pool) + gh_pool_waiting(l->core->wait_pool);
	live_busy_collect(&l->busy, s, passed_s);
}

static void sources_fill(struct live *l, struct live_sample *s, uint64_t passed_ns)
{
	pthread_mutex_lock(&l->sources_lock);
	for (struct live_source *src = l->sources; src; src = src->next)
		src->fill(src, s, passed_ns);
	pthread_mutex_unlock(&l->sources_lock);
}

static void tell_all(struct live *l, const char *name, json_t *what)
{
	char *text = what ? json_dumps(what, JSON_FLAGS) : NULL;

	json_decref(what);
	if (!text)
		return; /* no memory for it: the next one comes in a second */
	pthread_mutex_lock(&l->told_lock);
	for (struct live_subscriber *t = l->told; t; t = t->next)
		t->fn(t->arg, name, text, strlen(text));
	pthread_mutex_unlock(&l->told_lock);
	free(text);
}

static bool anybody(struct live *l)
{
	pthread_mutex_lock(&l->told_lock);
	const bool some = l->told != NULL;
	pthread_mutex_unlock(&l->told_lock);
	return some;
}

void live_tick(struct live *l, bool keep)
{
	const uint64_t now = gh_mono_ns(), passed_ns = now - l->last_ns;
	struct live_sample s = { 0 };

	l->last_ns = now;
	house_gauges_look(l->core, &l->gauges);
	own_sample(l, &s, passed_ns ? (double)passed_ns / 1e9 : 1);
	sources_fill(l, &s, passed_ns);
	gh_metric_set(GH_M_QUEUE_WAITING, 0, s.queue_waiting);
	gh_metric_set(GH_M_QUEUE_OLDEST, 0, s.queue_oldest_ms);
	gh_metric_set(GH_M_BREAKERS_OPEN, 0, s.breakers_open);
	if (!keep)
		return;
	pthread_mutex_lock(&l->lock);
	live_ring_push(&l->ring, &s);
	pthread_mutex_unlock(&l->lock);
	if (anybody(l))
		tell_all(l, "sample", live_json(&s, LIVE_TENANTS));
}

/* Until then, or the end. Seconds are counted from the start, not from the last sample, so that none gets lost; after a
 * standstill (a suspended machine) they begin anew. */
static bool wait_until(struct live *l, uint64_t due_ns)
{
	const struct timespec t = { .tv_sec = (time_t)(due_ns / GH_S_NS), .tv_nsec = (long)(due_ns % GH_S_NS) };
	bool stop;

	pthread_mutex_lock(&l->lock);
	while (!l->stop && pthread_cond_timedwait(&l->wake, &l->lock, &t) != ETIMEDOUT)
		;
	stop = l->stop;
	pthread_mutex_unlock(&l->lock);
	return !stop;
}

static void *sampler_main(void *arg)
{
	struct live *l = arg;
	uint64_t due = gh_mono_ns() + GH_S_NS;

	pthread_setname_np(pthread_self(), "live");
	l->last_ns = gh_mono_ns();
	live_tick(l, false); /* where the counters begin */
	while (wait_until(l, due)) {
		live_tick(l, true);
		due += GH_S_NS;
		if (due < gh_mono_ns())
			due = gh_mono_ns() + GH_S_NS;
	}
	return NULL;
}

/* ---- life ---- */

enum gh_status live_new(struct gh_core *c, struct live **ret)
{
	struct live *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;

	if (!l || live_ring_init(&l->ring, LIVE_SECONDS) != GH_OK) {
		free(l);
		return GH_NOMEM;
	}
	l->core = c;
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->sources_lock, NULL);
	pthread_mutex_init(&l->told_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_condattr_destroy(&attr);
	*ret = l;
	return GH_OK;
}

enum gh_status live_start(struct live *l)
{
	if (pthread_create(&l->thread, NULL, sampler_main, l) != 0)
		return GH_NOMEM;
	l->running = true;
	return GH_OK;
}

void live_stop(struct live *l)
{
	if (!l || !l->running)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	l->running = false;
}

void live_free(struct live **lp)
{
	struct live *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	live_stop(l);
	GH_ASSERT(!l->told);
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->sources_lock);
	pthread_mutex_destroy(&l->told_lock);
	live_ring_fini(&l->ring);
	free(l);
}

/* ---- sources, subscribers ---- */

void live_source_add(struct gh_core *c, struct live_source *s)
{
	pthread_mutex_lock(&c->live->sources_lock);
	s->next = c->live->sources;
	c->live->sources = s;
	pthread_mutex_unlock(&c->live->sources_lock);
}

void live_source_remove(struct gh_core *c, struct live_source *s)
{
	pthread_mutex_lock(&c->live->sources_lock);
	for (struct live_source **at = &c->live->sources; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			break;
		}
	}
	pthread_mutex_unlock(&c->live->sources_lock);
}

enum gh_status live_subscribe(struct gh_core *c, live_event_fn *fn, void *arg, struct live_subscriber **ret)
{
	struct live_subscriber *s = calloc(1, sizeof(*s));

	if (!s)
		return GH_NOMEM;
	s->fn = fn;
	s->arg = arg;
	pthread_mutex_lock(&c->live->told_lock);
	s->next = c->live->told;
	c->live->told = s;
	pthread_mutex_unlock(&c->live->told_lock);
	*ret = s;
	return GH_OK;
}

void live_unsubscribe(struct gh_core *c, struct live_subscriber **sp)
{
	struct live_subscriber *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	pthread_mutex_lock(&c->live->told_lock);
	for (struct live_subscriber **at = &c->live->told; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			break;
		}
	}
	pthread_mutex_unlock(&c->live->told_lock);
	free(s);
}

void live_tell(struct gh_core *c, const char *what)
{
	if (c->live && anybody(c->live))
		tell_all(c->live, "change", json_pack("{s:s}", "what", what));
}

/* ---- reading ---- */

bool live_now(struct gh_core *c, struct live_sample *ret)
{
	struct live *l = c->live;
	bool some;

	pthread_mutex_lock(&l->lock);
	some = l->ring.count > 0;
	if (some)
		*ret = *live_ring_get(&l->ring, l->ring.count - 1);
	pthread_mutex_unlock(&l->lock);
	return some;
}

json_t *live_history_json(struct gh_core *c, unsigned seconds, unsigned points, unsigned tenants_max)
{
	struct live *l = c->live;
	struct live_sample *thin;
	json_t *o, *items;
	unsigned count;

	points = points < 1 ? 1 : points > LIVE_SECONDS ? LIVE_SECONDS : points;
	thin = calloc(points, sizeof(*thin));
	o = json_pack("{s:[]}", "items");
	items = json_object_get(o, "items");
	if (!thin || !items) {
		free(thin);
		json_decref(o);
		return NULL;
	}
	pthread_mutex_lock(&l->lock);
	count = live_ring_thin(&l->ring, seconds, points, thin);
	pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < count; i++) {
		if (json_array_append_new(items, live_json(&thin[i], tenants_max))) {
			json_decref(o);
			o = NULL;
			break;
		}
	}
	free(thin);
	return o;
}
