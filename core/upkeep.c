/* See upkeep.h. */
#include "core/upkeep.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/gateway.h"
#include "core/house.h"

#define FOLD_S 2 /* at a time: with many tenants, so that it ends soon when the server does; the rest in the next round */
#define TRASH_STEP 200u
#define DEAD_BATCH 100u
#define PACE_MS 2u          /* between removed blobs: ext4 creates slowly for minutes after a burst of unlinks */
#define ORPHANS_EVERY_S 3600u

struct upkeep {
	struct gh_core *core;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop, poked;
	uint64_t next_orphans_ns, next_fold_ns, next_collect_ns;
};

static bool stopping(struct upkeep *u)
{
	pthread_mutex_lock(&u->lock);
	const bool s = u->stop;
	pthread_mutex_unlock(&u->lock);
	return s;
}

static void nap(struct upkeep *u, unsigned ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000l;
	if (until.tv_nsec >= 1000000000l) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000l;
	}
	pthread_mutex_lock(&u->lock);
	while (!u->stop && !(u->poked && ms >= 1000))
		if (pthread_cond_timedwait(&u->wake, &u->lock, &until) == ETIMEDOUT)
			break;
	if (ms >= 1000)
		u->poked = false;
	pthread_mutex_unlock(&u->lock);
}

static struct meta_call call_in(struct gh_arena *a, const char *op)
{
	return (struct meta_call){ .arena = a, .op = op };
}

static void empty_trash(struct upkeep *u, struct gh_arena *a)
{
	bool left = true;
	while (left && !stopping(u)) {
		/* A tree that is being copied lies in the trash too until it is attached. */
		if (pthread_rwlock_trywrlock(&u->core->trash_lock) != 0)
			return;
		struct meta_call call = call_in(a, "trash");
		const enum gh_status st = meta_trash_step(u->core->meta, &call, TRASH_STEP, &left);
		pthread_rwlock_unlock(&u->core->trash_lock);
		gh_arena_reset(a);
		if (st != GH_OK)
			return;
		nap(u, PACE_MS);
	}
}

/* The row is dead and the grace is over: first the bytes, then the row. Died in between: the row brings us back. */
static void collect_dead(struct upkeep *u, struct gh_arena *a)
{
	const struct blob_ops *ops = u->core->blob_ops;
	const int64_t before = gh_real_us() - (int64_t)u->core->cfg.collect_grace_s * GH_S_US;
	for (unsigned count = DEAD_BATCH; count == DEAD_BATCH && !stopping(u);) {
		struct meta_call call = call_in(a, "collect");
		struct meta_blob_row *rows;
		if (meta_blobs_dead(u->core->meta, &call, before, DEAD_BATCH, &rows, &count) != GH_OK)
			return;
		for (unsigned i = 0; i < count && !stopping(u); i++) {
			const enum gh_status st =
				ops->remove(u->core->blobs, rows[i].tenant, rows[i].id, &rows[i].loc, rows[i].size);
			gh_crash_point("collect.after_remove");
			if (st == GH_OK &&
			    meta_blob_forget(u->core->meta, &call, rows[i].tenant, rows[i].id) == GH_OK)
				gh_metric_add(GH_M_COLLECTED, 0, 1);
			nap(u, PACE_MS);
		}
		gh_arena_reset(a);
	}
}

struct orphan_hunt {
	struct upkeep *u;
	struct gh_arena *arena;
	int64_t before_us;
};

/* An object without a row: claimed as dead first, so that a late commit of its id collides; collected after the grace
 * like any other dead one. */
static bool look_at_object(void *arg, const struct blob_object *o)
{
	struct orphan_hunt *h = arg;
	if (o->made_us > h->before_us)
		return true;
	struct meta_call call = call_in(h->arena, "orphans");
	const enum gh_status st = meta_blob_claim(h->u->core->meta, &call, o);
	if (st == GH_OK) {
		gh_metric_add(GH_M_COLLECTED, 1, 1);
		gh_log(GH_LOG_INFO, "orphan-claimed", "tenant=%llu blob=%llu bytes=%llu",
		       (unsigned long long)o->tenant, (unsigned long long)o->id, (unsigned long long)o->size);
	}
	gh_arena_reset(h->arena);
	return !stopping(h->u);
}

static void hunt_orphans(struct upkeep *u, struct gh_arena *a)
{
	struct orphan_hunt h = { u, a, gh_real_us() - (int64_t)u->core->cfg.collect_grace_s * GH_S_US };
	if (u->core->blob_ops->caps & BLOB_CAP_ITERATE)
		(void)u->core->blob_ops->iterate(u->core->blobs, look_at_object, &h);
}

/* Of several gateways one at a time does this. That two do it for a moment, because one was asleep longer than its lease,
 * is harmless: each step is a transaction that looks again, and bytes are only taken of rows that are dead for good. */
static bool is_ours(struct upkeep *u, struct gh_arena *a)
{
	struct meta_call call = call_in(a, "upkeep");
	struct gateway *g = u->core->cfg.gateway;
	const bool ours = !g || meta_lease_take(u->core->meta, &call, "upkeep", 0, 0, gateway_token(g),
						GATEWAY_LIFE_MS) == GH_OK;
	gh_arena_reset(a);
	return ours;
}

/* false: the store has said why. One that ran out of time goes on in the next round, and holds up nothing else. */
static bool fold(struct upkeep *u, struct gh_arena *a, uint64_t now)
{
	const int64_t drop = gh_real_us() - (int64_t)u->core->cfg.event_days * 86400 * GH_S_US;
	struct meta_call call = call_in(a, "upkeep");
	call.deadline_ns = gh_mono_ns() + FOLD_S * GH_S_NS;
	const enum gh_status st = meta_events_fold(u->core->meta, &call, drop);
	gh_arena_reset(a);
	if (st == GH_OK)
		u->next_fold_ns = now + 60 * GH_S_NS;
	return st == GH_OK || st == GH_DEADLINE;
}

static void one_round(struct upkeep *u, struct gh_arena *a)
{
	const uint64_t now = gh_mono_ns();
	struct meta_call call = call_in(a, "upkeep");
	if (!is_ours(u, a))
		return;
	empty_trash(u, a);
	if (meta_locks_expire(u->core->meta, &call) != GH_OK)
		return; /* the store has said why; everything here can wait for the next round */
	gh_arena_reset(a);
	if (now >= u->next_collect_ns) {
		collect_dead(u, a);
		u->next_collect_ns = now + u->core->cfg.collect_every_s * GH_S_NS;
	}
	if (now >= u->next_fold_ns && !fold(u, a, now))
		return;
	if (now >= u->next_orphans_ns) {
		hunt_orphans(u, a);
		u->next_orphans_ns = now + ORPHANS_EVERY_S * GH_S_NS;
	}
}

static void *upkeep_main(void *arg)
{
	struct upkeep *u = arg;
	struct gh_arena *a = gh_arena_new(16u << 20);
	nap(u, 1000);
	while (a && !stopping(u)) {
		one_round(u, a);
		gh_arena_reset(a);
		nap(u, u->core->cfg.collect_every_s < 10 ? 1000 : 10000);
	}
	gh_arena_free(&a);
	return NULL;
}

enum gh_status upkeep_start(struct gh_core *c, struct upkeep **ret)
{
	struct upkeep *u = calloc(1, sizeof(*u));
	if (!u)
		return GH_NOMEM;
	u->core = c;
	u->next_orphans_ns = gh_mono_ns() + 30 * GH_S_NS; /* not while everybody wants the first answer */
	pthread_mutex_init(&u->lock, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&u->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&u->thread, NULL, upkeep_main, u) != 0) {
		pthread_cond_destroy(&u->wake);
		pthread_mutex_destroy(&u->lock);
		free(u);
		return GH_NOMEM;
	}
	*ret = u;
	return GH_OK;
}

void upkeep_poke(struct upkeep *u)
{
	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	u->poked = true;
	pthread_cond_signal(&u->wake);
	pthread_mutex_unlock(&u->lock);
}

void upkeep_stop(struct upkeep **up)
{
	struct upkeep *u = *up;
	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	u->stop = true;
	pthread_cond_signal(&u->wake);
	pthread_mutex_unlock(&u->lock);
	pthread_join(u->thread, NULL);
	pthread_cond_destroy(&u->wake);
	pthread_mutex_destroy(&u->lock);
	free(u);
	*up = NULL;
}
