/* See gateway.h. */
#include "core/gateway.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/id.h"
#include "core/base/log.h"

#define BEAT_MS (GATEWAY_LIFE_MS / 3)
#define BEAT_AGAIN_MS 500u
#define COMPANY_MS (2 * BEAT_MS) /* looked at again before */
#define ARENA_BYTES (1u << 20)

struct gateway {
	struct meta_store *meta;
	char *name, *version;
	_Atomic uint64_t token;
	atomic_uint slot;
	_Atomic uint64_t until_ns; /* as long as it lives for sure */
	_Atomic uint64_t company_until_ns;
	atomic_bool displaced;     /* another one goes by its name */
	pthread_mutex_t lock;      /* stop */
	pthread_cond_t wake;
	bool runs, stop;
	pthread_t thread;
};

uint64_t gateway_token(const struct gateway *g)
{
	return atomic_load(&g->token);
}

unsigned gateway_slot(const struct gateway *g)
{
	return atomic_load(&g->slot);
}

const char *gateway_not_ready(const struct gateway *g)
{
	if (atomic_load(&g->displaced))
		return "another gateway has this one's name";
	if (gh_mono_ns() > atomic_load(&g->until_ns))
		return "the database has not heard of this gateway for too long, so it does not write";
	return NULL;
}

bool gateway_alone(const struct gateway *g)
{
	return gh_mono_ns() > atomic_load_explicit(&g->company_until_ns, memory_order_relaxed);
}

void gateway_met(struct gateway *g)
{
	atomic_store_explicit(&g->company_until_ns, gh_mono_ns() + COMPANY_MS * GH_MS_NS, memory_order_relaxed);
}

/* Who else lives? Who cannot tell is not alone. */
static void look_around(struct gateway *g, struct meta_call *call)
{
	struct meta_gateway *rows = NULL;
	unsigned count = 0, others = 0;
	const enum gh_status st = meta_gateways(g->meta, call, &rows, &count);

	for (unsigned i = 0; st == GH_OK && i < count; i++)
		others += rows[i].alive && rows[i].token != gateway_token(g);
	if (st != GH_OK || others)
		gateway_met(g);
}

/* The sign of life was sent at that moment, at the earliest. */
static void lives(struct gateway *g, uint64_t sent_ns)
{
	const uint64_t until_ns = sent_ns + GATEWAY_LIFE_MS * GH_MS_NS;

	atomic_store(&g->until_ns, until_ns);
	meta_fence(g->meta, until_ns);
}

static uint64_t new_token(void)
{
	uint64_t t;

	gh_random(&t, sizeof(t));
	return t >> 1 | 1;
}

static enum gh_status join(struct gateway *g, uint64_t predecessor)
{
	struct gh_arena *a = gh_arena_new(ARENA_BYTES);
	struct meta_call call = { .arena = a, .op = "join" };
	struct meta_gateway row = { .token = new_token(), .name = g->name, .version = g->version };
	const uint64_t sent_ns = gh_mono_ns();
	uint64_t floor = 0;
	enum gh_status st = a ? meta_gateway_join(g->meta, &call, &row, predecessor, GATEWAY_LIFE_MS) : GH_NOMEM;

	if (st == GH_OK)
		st = meta_id_floor(g->meta, &call, &floor);
	if (st == GH_OK) {
		atomic_store(&g->token, row.token);
		atomic_store(&g->slot, row.slot);
		gh_id_init(row.slot, floor);
		lives(g, sent_ns);
		look_around(g, &call);
		gh_log(GH_LOG_INFO, "gateway-joined", "name=%s slot=%u", g->name, row.slot);
	}
	gh_arena_free(&a);
	return st;
}

static void gateway_free(struct gateway *g)
{
	pthread_cond_destroy(&g->wake);
	pthread_mutex_destroy(&g->lock);
	free(g->name);
	free(g->version);
	free(g);
}

static void say_why(const struct gateway *g, enum gh_status st, char *err)
{
	if (st == GH_EXISTS)
		snprintf(err, 512, "a gateway named %.64s lives on this database already; give this one another name"
			 " (gateway.name), or wait %u seconds if it was killed", g->name, GATEWAY_LIFE_MS / 1000);
	else if (st == GH_LIMIT)
		snprintf(err, 512, "all %d slots for gateways are taken; one that was killed is free again after a minute",
			 META_GATEWAYS);
	else
		snprintf(err, 512, "cannot take a slot for this gateway in the database: %s", gh_status_text(st));
}

enum gh_status gateway_join(const struct gateway_config *cfg, struct gateway **ret, char *err)
{
	struct gateway *g = calloc(1, sizeof(*g));
	enum gh_status st = GH_NOMEM;

	if (!g)
		return GH_NOMEM;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->wake, NULL);
	g->meta = cfg->meta;
	g->name = strdup(cfg->name);
	g->version = strdup(cfg->version);
	if (g->name && g->version)
		st = join(g, cfg->predecessor);
	if (st != GH_OK) {
		say_why(g, st, err);
		gateway_free(g);
		return st;
	}
	*ret = g;
	return GH_OK;
}

/* ---- signs of life ---- */

/* Taken for dead, and the slot may be another's: what was begun under it fails, what comes now has a new one. */
static enum gh_status again(struct gateway *g)
{
	const enum gh_status st = join(g, atomic_load(&g->token));

	atomic_store(&g->displaced, st == GH_EXISTS);
	if (st == GH_EXISTS)
		gh_log(GH_LOG_ERROR, "gateway-displaced", "name=%s hint=\"another gateway runs by this name: give one of them"
		       " another\"", g->name);
	return st;
}

/* Milliseconds until the next: none where the answer came so late that it says nothing about now. */
static unsigned beat(struct gateway *g, struct gh_arena *a)
{
	struct meta_call call = { .arena = a, .op = "beat", .deadline_ns = gh_mono_ns() + GATEWAY_LIFE_MS * GH_MS_NS };
	const bool lapsed = gh_mono_ns() > atomic_load(&g->until_ns);
	const uint64_t sent_ns = gh_mono_ns();
	enum gh_status st = meta_gateway_beat(g->meta, &call, gateway_slot(g), gateway_token(g), GATEWAY_LIFE_MS);

	if (st == GH_OK)
		lives(g, sent_ns);
	else if (st == GH_NOTFOUND)
		st = again(g);
	look_around(g, &call);
	const bool alive = gh_mono_ns() <= atomic_load(&g->until_ns);
	if (lapsed && alive)
		gh_log(GH_LOG_INFO, "gateway-lives", "name=%s slot=%u", g->name, gateway_slot(g));
	if (!lapsed && !alive)
		gh_log(GH_LOG_WARN, "gateway-lapsed", "name=%s hint=\"no writes until the database hears of it\"", g->name);
	gh_arena_reset(a);
	return st != GH_OK ? BEAT_AGAIN_MS : alive ? BEAT_MS : 0;
}

static void *beat_main(void *arg)
{
	struct gateway *g = arg;
	struct gh_arena *a = gh_arena_new(ARENA_BYTES);
	unsigned ms = BEAT_MS;

	pthread_setname_np(pthread_self(), "gateway");
	pthread_mutex_lock(&g->lock);
	while (a && !g->stop) {
		const uint64_t until_ns = gh_mono_ns() + ms * GH_MS_NS;
		const struct timespec until = { (time_t)(until_ns / GH_S_NS), (long)(until_ns % GH_S_NS) };

		if (pthread_cond_clockwait(&g->wake, &g->lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&g->lock);
		ms = beat(g, a);
		pthread_mutex_lock(&g->lock);
	}
	pthread_mutex_unlock(&g->lock);
	gh_arena_free(&a);
	return NULL;
}

enum gh_status gateway_start(struct gateway *g)
{
	g->runs = pthread_create(&g->thread, NULL, beat_main, g) == 0;
	return g->runs ? GH_OK : GH_NOMEM;
}

void gateway_leave(struct gateway **gp)
{
	struct gateway *g = *gp;
	struct gh_arena *a;

	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->stop = true;
	pthread_cond_signal(&g->wake);
	pthread_mutex_unlock(&g->lock);
	if (g->runs)
		pthread_join(g->thread, NULL);
	a = gh_arena_new(ARENA_BYTES);
	if (a) {
		struct meta_call call = { .arena = a, .op = "leave", .deadline_ns = gh_mono_ns() + 2 * GH_S_NS };

		if (meta_gateway_leave(g->meta, &call, gateway_slot(g), gateway_token(g)) != GH_OK)
			gh_log(GH_LOG_WARN, "gateway-leave", "name=%s hint=\"its slot ends by itself\"", g->name);
	}
	gh_arena_free(&a);
	gateway_free(g);
	*gp = NULL;
}
