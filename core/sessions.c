/* See sessions.h.
 *
 * hall   the list of one loop; made when its first session comes, found again by the loop's index. Only the table of
 *        halls is shared: written under `lock`, read without.
 * round  reference-counted by its legs, one per hall, so that a loop that answers too late finds memory that is still
 *        there and hears that nobody waits. The round's lock is held while a leg calls fn: that is what makes
 *        `abandoned` a promise, and the caller's arg safe.
 *
 * A leg takes sessions from the head of the list and puts them at its end, marked with the round's number; it is through
 * when the head has the mark. So sessions may come and go between two passes.
 */
#include "core/sessions.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/house.h"

#define HALLS_MAX 512u /* twice the most loops there may be */
#define PER_PASS 256u

struct live_hall {
	struct gh_loop *loop;
	struct vfs_live ends; /* of the ring */
	uint64_t round;       /* the latest that was here */
};

struct sessions {
	pthread_mutex_t lock;   /* the table's writers */
	pthread_mutex_t rounds; /* one at a time; held while it is waited for */
	uint64_t round;
	struct live_hall *_Atomic halls[HALLS_MAX];
};

struct round {
	pthread_mutex_t lock;
	pthread_cond_t done;
	unsigned refs, running;
	bool abandoned;
	uint64_t number;
	sessions_fn *fn;
	void *arg;
};

struct leg {
	struct gh_task task;
	struct round *round;
	struct live_hall *hall; /* not after the round was abandoned */
	struct gh_loop *loop;
};

enum gh_status sessions_new(struct sessions **ret)
{
	struct sessions *s = calloc(1, sizeof(*s));
	if (!s)
		return GH_NOMEM;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->rounds, NULL);
	*ret = s;
	return GH_OK;
}

void sessions_free(struct sessions **sp)
{
	struct sessions *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	for (unsigned i = 0; i < HALLS_MAX; i++)
		free(atomic_load(&s->halls[i]));
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->rounds);
	free(s);
}

/* ---- halls ---- */

static struct live_hall *hall_make(struct sessions *s, struct gh_loop *loop)
{
	struct live_hall *h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->loop = loop;
	h->ends.next = h->ends.prev = &h->ends;
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < HALLS_MAX; i++) {
		struct live_hall *_Atomic *at = &s->halls[(gh_loop_index(loop) + i) % HALLS_MAX];
		if (!atomic_load_explicit(at, memory_order_relaxed)) {
			atomic_store_explicit(at, h, memory_order_release);
			pthread_mutex_unlock(&s->lock);
			return h;
		}
	}
	pthread_mutex_unlock(&s->lock);
	free(h);
	return NULL;
}

/* Loops of different owners may have the same index: the next free place is theirs. */
static struct live_hall *hall_of(struct sessions *s, struct gh_loop *loop)
{
	for (unsigned i = 0; i < HALLS_MAX; i++) {
		struct live_hall *h = atomic_load_explicit(&s->halls[(gh_loop_index(loop) + i) % HALLS_MAX],
							   memory_order_acquire);
		if (!h)
			return hall_make(s, loop);
		if (h->loop == loop)
			return h;
	}
	return NULL;
}

static void ring_add(struct live_hall *h, struct vfs_live *l)
{
	l->next = &h->ends;
	l->prev = h->ends.prev;
	l->prev->next = l->next->prev = l;
}

static void ring_remove(struct vfs_live *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->next = l->prev = NULL;
}

void vfs_live_enter(struct gh_core *core, struct gh_loop *loop, struct vfs_live *l)
{
	struct live_hall *h = core && core->sessions ? hall_of(core->sessions, loop) : NULL;
	l->hall = h;
	l->id = gh_id_new();
	l->since_us = gh_real_us();
	if (!h)
		return;
	l->mark = h->round;
	ring_add(h, l);
}

void vfs_live_leave(struct vfs_live *l)
{
	vfs_session_unref(&l->who);
	if (!l->hall)
		return;
	ring_remove(l);
	l->hall = NULL;
}

void vfs_live_who(struct vfs_live *l, struct vfs_session *who)
{
	if (l->who == who)
		return;
	vfs_session_unref(&l->who);
	if (who)
		l->who = vfs_session_ref(who);
}

/* ---- rounds ---- */

static void round_unref_locked(struct round *r)
{
	const bool last = --r->refs == 0;
	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	pthread_cond_destroy(&r->done);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* true: there is more. */
static bool leg_pass(struct leg *g)
{
	struct live_hall *h = g->hall;
	const struct round *r = g->round;
	h->round = r->number;
	for (unsigned i = 0; i < PER_PASS; i++) {
		struct vfs_live *l = h->ends.next;
		if (l == &h->ends || l->mark == r->number)
			return false;
		ring_remove(l);
		l->mark = r->number;
		ring_add(h, l);
		r->fn(l, r->arg);
	}
	return true;
}

static void leg_run(struct gh_task *task)
{
	struct leg *g = (struct leg *)task;
	struct round *r = g->round;
	pthread_mutex_lock(&r->lock);
	if (!r->abandoned && leg_pass(g)) {
		pthread_mutex_unlock(&r->lock);
		gh_loop_post(g->loop, task);
		return;
	}
	r->running--;
	pthread_cond_signal(&r->done);
	free(g);
	round_unref_locked(r);
}

static struct round *round_new(struct sessions *s, sessions_fn *fn, void *arg)
{
	struct round *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;
	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->done, &attr);
	pthread_condattr_destroy(&attr);
	r->refs = 1;
	r->number = ++s->round;
	r->fn = fn;
	r->arg = arg;
	return r;
}

static bool round_send(struct sessions *s, struct round *r)
{
	for (unsigned i = 0; i < HALLS_MAX; i++) {
		struct live_hall *h = atomic_load_explicit(&s->halls[i], memory_order_acquire);
		struct leg *g = h ? calloc(1, sizeof(*g)) : NULL;
		if (h && !g)
			return false;
		if (!h)
			continue;
		*g = (struct leg){ { NULL, leg_run }, r, h, h->loop };
		pthread_mutex_lock(&r->lock);
		r->refs++;
		r->running++;
		pthread_mutex_unlock(&r->lock);
		gh_loop_post(h->loop, &g->task);
	}
	return true;
}

static struct timespec until(unsigned ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000l;
	if (t.tv_nsec >= 1000000000l) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000l;
	}
	return t;
}

bool sessions_each(struct gh_core *c, sessions_fn *fn, void *arg, unsigned timeout_ms)
{
	struct sessions *s = c->sessions;
	const struct timespec end = until(timeout_ms);
	pthread_mutex_lock(&s->rounds);
	struct round *r = round_new(s, fn, arg);
	bool all = r && round_send(s, r);
	if (r) {
		pthread_mutex_lock(&r->lock);
		while (r->running && pthread_cond_timedwait(&r->done, &r->lock, &end) == 0)
			;
		all &= !r->running;
		r->abandoned = true;
		round_unref_locked(r);
	}
	pthread_mutex_unlock(&s->rounds);
	return all;
}
