/* See shared.h. `lock` covers the seats. A seat is FREE, or LED (somebody loads), or OVER: what was brought is taken by those who
 * waited, and the last of them frees it. */
#include "core/shared.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/metrics.h"
#include "core/house.h"

#define SEATS 64u

enum { MET_HIT, MET_MISS, MET_REFUSED, MET_ERROR, MET_BYPASSED, MET_COUNT };
enum { FLIGHT_LED, FLIGHT_WAITED, FLIGHT_VAIN }; /* order of the metric's values */
enum { REFUSED_CONTENT = CACHE_REFUSALS, REFUSED_OUTDATED }; /* behind the contract's own */

struct seat {
	enum { SEAT_FREE, SEAT_LED, SEAT_OVER } state;
	uint64_t id[2];
	unsigned waiting;
	void *value; /* OVER; NULL: the leader has none */
	size_t len;
	pthread_cond_t over;
};

struct shared {
	struct shared_config cfg;
	struct gh_sipkey key;
	pthread_mutex_t lock;
	struct seat seat[SEATS];
};

enum gh_status shared_new(const struct shared_config *cfg, struct shared **ret)
{
	struct shared *s;
	pthread_condattr_t attr;

	*ret = NULL;
	if (!cfg->ops)
		return GH_OK;
	GH_ASSERT(cfg->ops->abi == CACHE_ABI && cfg->ops->size == sizeof(*cfg->ops) && cfg->keep_s >= 1);
	s = calloc(1, sizeof(*s));
	if (!s)
		return GH_NOMEM;
	s->cfg = *cfg;
	gh_random(&s->key, sizeof(s->key));
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	for (unsigned i = 0; i < SEATS; i++)
		pthread_cond_init(&s->seat[i].over, &attr);
	pthread_condattr_destroy(&attr);
	*ret = s;
	return GH_OK;
}

void shared_free(struct shared **sp)
{
	struct shared *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	for (unsigned i = 0; i < SEATS; i++) {
		GH_ASSERT(s->seat[i].state == SEAT_FREE);
		pthread_cond_destroy(&s->seat[i].over);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

bool shared_is_there(struct gh_core *c, enum cache_kind kind)
{
	return c->shared && c->shared->cfg.kinds & 1u << kind && breakers_closed(c, SERVICE_CACHE, 0);
}

/* ---- the cache ---- */

static void count(const struct cache_key *k, unsigned how)
{
	static const enum gh_metric rows[MET_COUNT] = { [MET_HIT] = GH_M_CACHE_HITS, [MET_MISS] = GH_M_CACHE_MISSES,
							[MET_REFUSED] = GH_M_CACHE_DISBELIEVED, [MET_ERROR] = GH_M_CACHE_ERRORS,
							[MET_BYPASSED] = GH_M_CACHE_BYPASSED };

	gh_metric_add(rows[how], k->kind, 1);
}

/* GH_OK, GH_NOTFOUND: load it, and tell. GH_IO: there is no cache now. */
static enum gh_status ask(struct gh_core *c, const struct cache_key *k, struct gh_arena *a, struct cache_answer *ret)
{
	struct shared *s = c->shared;
	struct breaker_pass pass;

	if (breakers_enter(c, SERVICE_CACHE, 0, &pass) != GH_OK) {
		count(k, MET_BYPASSED);
		return GH_IO;
	}
	switch (breakers_leave(&pass, s->cfg.ops->get(s->cfg.cache, k, a, ret))) {
	case GH_OK:
		count(k, MET_HIT);
		return GH_OK;
	case GH_NOTFOUND:
		count(k, MET_MISS);
		return GH_NOTFOUND;
	case GH_STALE:
		count(k, MET_REFUSED);
		gh_metric_add(GH_M_CACHE_REFUSED, ret->refusal, 1);
		return GH_NOTFOUND;
	case GH_TRIPPED:
		count(k, MET_BYPASSED);
		return GH_IO;
	default:
		count(k, MET_ERROR);
		return GH_IO;
	}
}

void shared_refuse(const struct cache_key *k)
{
	count(k, MET_REFUSED);
	gh_metric_add(GH_M_CACHE_REFUSED, REFUSED_CONTENT, 1);
}

void shared_outdated(const struct cache_key *k)
{
	count(k, MET_REFUSED);
	gh_metric_add(GH_M_CACHE_REFUSED, REFUSED_OUTDATED, 1);
}

/* ---- flights ---- */

static void id_of(const struct shared *s, const struct cache_key *k, uint64_t ret[2])
{
	unsigned char text[sizeof(k->gen) + 1 + CACHE_KEY_MAX];

	memcpy(text, &k->gen, sizeof(k->gen));
	text[sizeof(k->gen)] = (unsigned char)k->kind;
	memcpy(text + sizeof(k->gen) + 1, k->bytes, k->len);
	gh_siphash128(&s->key, text, sizeof(k->gen) + 1 + k->len, ret);
}

static void seat_empty(struct seat *s)
{
	free(s->value);
	s->value = NULL;
	s->state = SEAT_FREE;
}

/* Locked. Waits for its leader. true: *ret has what it brought. */
static bool seat_wait(struct shared *s, struct seat *seat, struct gh_arena *a, struct cache_answer *ret)
{
	const uint64_t until_ns = gh_mono_ns() + SHARED_WAIT_MS * GH_MS_NS;
	const struct timespec until = { .tv_sec = (time_t)(until_ns / GH_S_NS), .tv_nsec = (long)(until_ns % GH_S_NS) };
	bool brought;

	seat->waiting++;
	while (seat->state == SEAT_LED && !pthread_cond_timedwait(&seat->over, &s->lock, &until))
		;
	brought = seat->state == SEAT_OVER && seat->value;
	if (brought) {
		ret->len = seat->len;
		ret->value = gh_memdup(a, seat->value, seat->len);
		brought = ret->value != NULL;
	}
	if (!--seat->waiting && seat->state == SEAT_OVER)
		seat_empty(seat);
	gh_metric_add(GH_M_CACHE_FLIGHTS, brought ? FLIGHT_WAITED : FLIGHT_VAIN, 1);
	return brought;
}

/* true: somebody else's has brought it. */
static bool fly(struct shared *s, struct gh_arena *a, struct shared_try *t, struct cache_answer *ret)
{
	struct seat *free_seat = NULL;
	uint64_t id[2];
	bool brought = false;

	id_of(s, &t->key, id);
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < SEATS; i++) {
		struct seat *seat = &s->seat[i];

		if (seat->state == SEAT_LED && !memcmp(seat->id, id, sizeof(id))) {
			brought = seat_wait(s, seat, a, ret);
			goto out;
		}
		if (seat->state == SEAT_FREE && !free_seat)
			free_seat = seat;
	}
	if (free_seat) {
		free_seat->state = SEAT_LED;
		memcpy(free_seat->id, id, sizeof(id));
		t->seat = (unsigned)(free_seat - s->seat) + 1;
		gh_metric_add(GH_M_CACHE_FLIGHTS, FLIGHT_LED, 1);
	}
out:
	pthread_mutex_unlock(&s->lock);
	return brought;
}

static void land(struct shared *s, unsigned number, const void *value, size_t len)
{
	struct seat *seat = &s->seat[number - 1];

	pthread_mutex_lock(&s->lock);
	seat->state = SEAT_OVER;
	seat->len = len;
	if (value && seat->waiting) {
		seat->value = malloc(len ? len : 1);
		if (seat->value)
			memcpy(seat->value, value, len);
	}
	pthread_cond_broadcast(&seat->over);
	if (!seat->waiting)
		seat_empty(seat);
	pthread_mutex_unlock(&s->lock);
}

/* ---- both ---- */

bool shared_begin(struct gh_core *c, const struct cache_key *k, struct gh_arena *a, struct shared_try *t,
		  struct cache_answer *ret)
{
	enum gh_status st;

	*t = (struct shared_try){ .key = *k };
	*ret = (struct cache_answer){ .len = 0 };
	if (!c->shared || !(c->shared->cfg.kinds & 1u << k->kind))
		return false;
	GH_ASSERT(k->kind < CACHE_KINDS && k->len && k->len <= CACHE_KEY_MAX);
	st = ask(c, k, a, ret);
	if (st == GH_OK)
		return true;
	t->asked = st == GH_NOTFOUND;
	return t->asked && k->kind != CACHE_TREE && fly(c->shared, a, t, ret);
}

static uint32_t life_s(const struct shared *s)
{
	uint32_t r;

	gh_random(&r, sizeof(r));
	return s->cfg.keep_s - r % (s->cfg.keep_s / 8 + 1);
}

void shared_end(struct gh_core *c, struct shared_try *t, const void *value, size_t len)
{
	struct shared *s = c->shared;

	if (t->seat)
		land(s, t->seat, value, len);
	t->seat = 0;
	if (t->asked && value)
		s->cfg.ops->put(s->cfg.cache, &t->key, value, len, life_s(s));
}

void shared_tell(struct gh_core *c, const struct cache_key *k, const void *value, size_t len)
{
	if (shared_is_there(c, k->kind))
		c->shared->cfg.ops->put(c->shared->cfg.cache, k, value, len, life_s(c->shared));
}
