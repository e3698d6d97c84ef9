/* See stream.h. Here: reading, and what is forgotten at once; stream_later.c: what the store has to be asked for. */
#include "core/stream.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/base/rcu.h"
#include "core/feed.h"
#include "core/gateway.h"
#include "core/node_cache.h"
#include "core/quota.h"
#include "core/stream_later.h"
#include "core/touched.h"
#include "core/tree_marks.h"
#include "core/upkeep.h"

#define TRUST_MS 1000u
#define POLL_MS 500u
#define AGAIN_MS 100u
#define READ_MIN_MS 250u
#define ARENA_BYTES (32u << 20) /* a page of events */
#define BACK 20000u             /* so many events of before it begins are read, where names are kept in the shared cache */

/* `reading` is held while the log is read and what it says is done, over calls of the store; it covers place, arena and
 * owed. */
struct stream_shard {
	struct gh_core *core;
	unsigned shard;
	pthread_t thread;
	bool runs;
	atomic_bool stop;
	pthread_mutex_t reading;
	struct meta_stream place;
	struct gh_arena *arena;
	struct stream_later owed;
	struct tree_marks *marks;       /* NULL: what is at a name is not kept in the shared cache */
	_Atomic uint64_t begun, done;   /* numbers of readings: the last that began, and that ended well */
	_Atomic uint64_t trusted_until_ns;
	/* Tenants that came here from another shard, whose last words may not have been heard; what was forgotten for all those
	 * before is told by `settled`. */
	_Atomic uint64_t arrivals, settled;
};

/* Shards are added while it runs; the first one's thread begins with them. */
#define SHARDS_MAX 256
struct stream {
	atomic_uint count;
	struct stream_shard *of[SHARDS_MAX];
};

static bool is_heard(const struct stream_shard *s, uint64_t now_ns)
{
	return now_ns <= atomic_load_explicit(&s->trusted_until_ns, memory_order_acquire);
}

static bool is_trusted(struct stream_shard *s, uint64_t now_ns)
{
	return is_heard(s, now_ns) &&
	       atomic_load_explicit(&s->arrivals, memory_order_acquire) ==
		       atomic_load_explicit(&s->settled, memory_order_acquire);
}

bool stream_ready(struct gh_core *c)
{
	return is_heard(c->stream->of[0], gh_mono_ns());
}

bool stream_trusted(struct gh_core *c, uint64_t tenant)
{
	const unsigned shard = meta_shard_of(c->meta, tenant);

	/* one that came just now is not listened to yet */
	return shard < atomic_load_explicit(&c->stream->count, memory_order_acquire) &&
	       is_trusted(c->stream->of[shard], gh_mono_ns());
}

static bool keeps_nodes(const struct gh_core *c)
{
	return c->cfg.cache.kinds & 1u << CACHE_TREE;
}

struct tree_marks *stream_marks(struct gh_core *c, uint64_t tenant)
{
	unsigned shard;

	if (!c->stream || !keeps_nodes(c))
		return NULL;
	shard = meta_shard_of(c->meta, tenant);
	return shard < atomic_load_explicit(&c->stream->count, memory_order_acquire) ? c->stream->of[shard]->marks : NULL;
}

/* ---- one event ---- */

/* Before anything is dropped: who marks the memory after that finds it here. Also of this gateway's own. */
static void note(struct tree_marks *m, const struct meta_event *e)
{
	const char *at = e->touched;
	struct touched w;

	while (m && touched_next(&at, &w)) {
		if (w.kind == 's')
			tree_marks_name(m, tree_marks_hash(m, e->tenant, w.id, w.text, w.len), e->at.pos);
		else if (w.kind == '?')
			tree_marks_all(m, e->at.pos);
	}
}

static void note_old(void *arg, const struct meta_event *e)
{
	note(arg, e);
}

static void forget_tenant(struct stream_shard *s, struct tenant *t, uint64_t id)
{
	node_cache_clear(s->core->nodes); /* it is not sorted by tenants; this is rare */
	if (t) {
		tenant_drop_locks(t);
		tenant_drop_rights(t);
	}
	stream_later_tenant(&s->owed, id);
	stream_later_user(&s->owed, id, 0);
	if (!id)
		stream_later_settings(&s->owed, NULL, 0);
}

static void forget_word(struct stream_shard *s, struct tenant *t, uint64_t tenant, const struct touched *w)
{
	switch (w->kind) {
	case 's':
		node_cache_drop(s->core->nodes, tenant, w->id, w->text, w->len);
		return;
	case 'l':
		if (t)
			tenant_drop_locks(t);
		return;
	case 'r':
	case 't':
		if (t)
			tenant_drop_rights(t);
		return;
	case 'u':
		people_drop_user(s->core->people, tenant, w->id);
		stream_later_user(&s->owed, tenant, w->id);
		return;
	case 'T':
		if (t)
			tenant_drop_rights(t);
		stream_later_tenant(&s->owed, tenant);
		return;
	case 'k':
		stream_later_settings(&s->owed, w->text, w->len);
		return;
	case '?':
		forget_tenant(s, t, tenant);
		return;
	}
}

static void apply(void *arg, const struct meta_event *e)
{
	struct stream_shard *s = arg;
	const char *at = e->touched;
	struct tenant *t;
	struct touched w;
	uint64_t gen = 0;
	bool moved = false;

	gh_metric_add(GH_M_STREAM_EVENTS, 0, 1);
	note(s->marks, e);
	if (s->core->cfg.gateway && gh_id_slot(e->op) == gateway_slot(s->core->cfg.gateway))
		return;
	if (s->core->cfg.gateway)
		gateway_met(s->core->cfg.gateway);
	t = e->tenant ? tenant_by_id(s->core, e->tenant) : NULL;
	while (touched_next(&at, &w)) {
		forget_word(s, t, e->tenant, &w);
		if (w.kind == 't') {
			moved = true;
			gen = w.id;
		}
	}
	if (moved && t && gen)
		tenant_raise_tree_gen(t, gen);
	else if (moved)
		stream_later_tenant(&s->owed, e->tenant);
	if (t && !strcmp(e->what, QUOTA_CALL))
		quota_called(s->core, t, e->user);
	if (t)
		feed_poke(s->core, t);
	if (moved)
		upkeep_poke(s->core->upkeep); /* there may be something in the trash, and its emptying ours */
	gh_metric_observe_ns(GH_M_STREAM_LAG, 0, gh_real_us() > e->time_us ? (uint64_t)(gh_real_us() - e->time_us) * 1000 : 0);
}

/* ---- reading ---- */

/* Nothing that is in memory was looked after for a while, or ever. */
static void forget_all(struct stream_shard *s)
{
	node_cache_clear(s->core->nodes);
	stream_later_all(&s->owed);
}

/* Another log than the one that it began with: what was heard of may have been taken back. */
static enum gh_status begin_anew(struct stream_shard *s)
{
	atomic_store(&s->trusted_until_ns, 0);
	return GH_AGAIN;
}

/* lost: from now on, and of what was before as much as tells which nodes in the shared cache are true. */
static enum gh_status read_log(struct stream_shard *s, struct meta_call *call, bool lost)
{
	struct tree_marks *m = s->marks;
	const uint64_t log = s->place.log, number = m ? tree_marks_begin(m, lost) : 0;
	enum gh_status st;

	s->place.back = m ? BACK : 0;
	if (lost)
		s->place.seen[0] = '\0';
	if (!lost || !m)
		st = meta_stream(s->core->meta, call, s->shard, &s->place, apply, s);
	else
		st = meta_stream(s->core->meta, call, s->shard, &s->place, note_old, m);
	if (st != GH_OK || !m)
		return st;
	if (!lost && log != s->place.log)
		return begin_anew(s);
	if (lost)
		tree_marks_since(m, s->place.since);
	tree_marks_end(m, number, s->place.log, s->place.horizon);
	return GH_OK;
}

/* With `reading`. */
static enum gh_status read_now(struct stream_shard *s)
{
	const uint64_t began_ns = gh_mono_ns(), until_ns = atomic_load(&s->trusted_until_ns);
	const uint64_t arrivals = atomic_load(&s->arrivals);
	const bool lost = began_ns > until_ns || arrivals != atomic_load(&s->settled);
	const uint64_t number = atomic_fetch_add(&s->begun, 1) + 1;
	struct meta_call call = { .arena = s->arena, .op = "stream" };
	enum gh_status st;

	call.deadline_ns = (lost || until_ns < began_ns + READ_MIN_MS * GH_MS_NS ? began_ns + READ_MIN_MS * GH_MS_NS : until_ns);
	if (lost) /* from now on, and everything before is forgotten after that */
		call.deadline_ns = began_ns + TRUST_MS * GH_MS_NS;
	gh_arena_reset(s->arena);
	st = read_log(s, &call, lost);
	if (st == GH_OK && lost)
		forget_all(s);
	if (st == GH_OK)
		st = stream_later_do(s->core, &s->owed);
	if (st != GH_OK)
		return st;
	atomic_store(&s->done, number);
	atomic_store(&s->settled, arrivals);
	/* Another reading than one that began in trust cannot give any: what it was not told of was not forgotten. */
	atomic_store_explicit(&s->trusted_until_ns, began_ns + TRUST_MS * GH_MS_NS, memory_order_release);
	return GH_OK;
}

static bool is_lost(const struct stream_shard *s)
{
	return !is_heard(s, gh_mono_ns());
}

static enum gh_status shard_start(struct gh_core *c, unsigned shard);

static void begin_with_new_ones(struct gh_core *c)
{
	unsigned n = atomic_load(&c->stream->count);

	while (n < meta_shards(c->meta) && n < SHARDS_MAX && shard_start(c, n) == GH_OK)
		n++;
}

static void *stream_main(void *arg)
{
	struct stream_shard *s = arg;
	uint64_t seen = 0;
	bool said = false;

	pthread_setname_np(pthread_self(), "stream");
	gh_rcu_register();
	gh_rcu_offline();
	while (!atomic_load(&s->stop)) {
		enum gh_status st;

		pthread_mutex_lock(&s->reading);
		st = read_now(s);
		pthread_mutex_unlock(&s->reading);
		if (st != GH_OK && is_lost(s) && !said) {
			gh_log(GH_LOG_WARN, "stream-lost", "shard=%u status=%s hint=\"what other gateways change is not"
			       " heard of; memory is not trusted\"", s->shard, gh_status_name(st));
			said = true;
		} else if (st == GH_OK && said) {
			gh_log(GH_LOG_INFO, "stream-found", "shard=%u", s->shard);
			said = false;
		}
		if (!s->shard)
			begin_with_new_ones(s->core);
		meta_wait(s->core->meta, s->shard, true, &seen, st == GH_OK ? POLL_MS : AGAIN_MS);
	}
	gh_rcu_unregister();
	return NULL;
}

static void catch_up(struct stream_shard *s)
{
	const uint64_t begun = atomic_load(&s->begun);

	pthread_mutex_lock(&s->reading);
	if (atomic_load(&s->done) <= begun && read_now(s) != GH_OK)
		gh_log(GH_LOG_DEBUG, "stream-behind", "shard=%u", s->shard);
	pthread_mutex_unlock(&s->reading);
}

void stream_catch_up(struct gh_core *c, uint64_t tenant)
{
	const unsigned count = c->stream ? atomic_load_explicit(&c->stream->count, memory_order_acquire) : 0;
	const unsigned shard = count ? meta_shard_of(c->meta, tenant) : 0;

	if (count)
		catch_up(c->stream->of[0]);
	if (shard && shard < count)
		catch_up(c->stream->of[shard]);
}

/* A tenant is in that shard now. One that is not listened to yet begins with forgetting. */
static void arrived(void *arg, unsigned shard)
{
	struct stream *all = arg;

	if (shard < atomic_load_explicit(&all->count, memory_order_acquire))
		atomic_fetch_add(&all->of[shard]->arrivals, 1);
}

/* ---- life ---- */

/* Without the first, central, nothing begins; another may be away now and come back. */
static enum gh_status shard_start(struct gh_core *c, unsigned shard)
{
	struct stream_shard *s = calloc(1, sizeof(*s));
	enum gh_status st = GH_OK;

	if (!s)
		return GH_NOMEM;
	s->core = c;
	s->shard = shard;
	pthread_mutex_init(&s->reading, NULL);
	s->arena = gh_arena_new(ARENA_BYTES);
	if (keeps_nodes(c))
		st = tree_marks_new(&s->marks);
	c->stream->of[shard] = s;
	atomic_store(&c->stream->count, shard + 1);
	if (!s->arena || st != GH_OK)
		return GH_NOMEM;
	if (!shard) {
		pthread_mutex_lock(&s->reading);
		st = read_now(s);
		pthread_mutex_unlock(&s->reading);
	}
	if (st == GH_OK && pthread_create(&s->thread, NULL, stream_main, s))
		st = GH_NOMEM;
	s->runs = st == GH_OK;
	return st;
}

enum gh_status stream_start(struct gh_core *c)
{
	if (!meta_is_shared(c->meta))
		return GH_OK;
	c->stream = calloc(1, sizeof(*c->stream));
	if (!c->stream)
		return GH_NOMEM;
	meta_on_move(c->meta, arrived, c->stream);
	return shard_start(c, 0);
}

static void shard_stop(struct stream_shard *s)
{
	atomic_store(&s->stop, true);
	meta_wait_end(s->core->meta);
	if (s->runs)
		pthread_join(s->thread, NULL);
	s->runs = false;
}

/* The first one first: it begins with others. */
void stream_stop(struct gh_core *c)
{
	if (c->stream)
		meta_on_move(c->meta, NULL, NULL);
	for (unsigned i = 0; c->stream && i < atomic_load(&c->stream->count); i++)
		shard_stop(c->stream->of[i]);
}

void stream_free(struct gh_core *c)
{
	if (!c->stream)
		return;
	for (unsigned i = 0; i < atomic_load(&c->stream->count); i++) {
		struct stream_shard *s = c->stream->of[i];

		gh_arena_free(&s->arena);
		tree_marks_free(&s->marks);
		pthread_mutex_destroy(&s->reading);
		free(s);
	}
	free(c->stream);
	c->stream = NULL;
}
