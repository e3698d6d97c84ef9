/* The databases of shards are opened here, side by side, when the gateway starts, when one is added, and again whenever one
 * could not be: a few threads go round what is shut, and each takes what no other is at. So one that does not answer keeps
 * its own tenants waiting, and neither the start nor a shard that comes back.
 */
#include "backends/metadata/route.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"

#define OPEN_MS 1000
#define START_MS 1000u /* so long a start waits for shards: half of what it may take */

static void seat_trouble(struct meta_store *m, struct seat *s, const char *text)
{
	bool news;

	pthread_rwlock_wrlock(&m->lock);
	news = strcmp(s->trouble, text) != 0;
	snprintf(s->trouble, sizeof(s->trouble), "%s", text);
	pthread_rwlock_unlock(&m->lock);
	if (news && *text)
		gh_log(GH_LOG_ERROR, "meta.shard_shut", "shard=%s why=\"%s\"", s->name, text);
	else if (news)
		gh_log(GH_LOG_INFO, "meta.shard_open", "shard=%s", s->name);
}

static void seat_open(struct meta_store *m, struct seat *s)
{
	struct meta_config cfg = m->cfg;
	struct meta_call call = { .arena = gh_arena_new(1 << 20), .op = "shard" };
	struct shard_store *store = NULL;
	char err[DB_ERR_MAX] = "out of memory", text[DB_ERR_MAX];

	cfg.conninfo = s->conninfo;
	if (call.arena && shard_open(&cfg, &store, err) == GH_OK && shard_identity_check(store, &call, s, err) != GH_OK)
		shard_close(&store);
	gh_arena_free(&call.arena);
	if (!store) {
		snprintf(text, sizeof(text), "shard %s: %.450s", s->name, err);
		seat_trouble(m, s, text);
		return;
	}
	pthread_rwlock_wrlock(&m->lock);
	atomic_store_explicit(&s->store, store, memory_order_release);
	feed_bell_on_back(&store->bell, m->back, m->back_arg);
	pthread_rwlock_unlock(&m->lock);
	atomic_store(&store->fence_ns, atomic_load(&m->fence_ns));
	seat_trouble(m, s, "");
}

static void open_shut(struct meta_store *m)
{
	for (unsigned i = 0; i < atomic_load(&m->seat_count); i++) {
		struct seat *s = m->seat[i];

		if (seat_store(s) || atomic_exchange(&s->taken, true))
			continue;
		if (!seat_store(s)) /* it was another's a moment ago */
			seat_open(m, s);
		atomic_store(&s->tried, true);
		atomic_store(&s->taken, false);
	}
}

static void *opener_main(void *arg)
{
	struct meta_store *m = arg;

	pthread_setname_np(pthread_self(), "shards");
	do {
		open_shut(m);
		if (!atomic_flag_test_and_set(&m->rescues)) {
			moves_rescue(m);
			atomic_flag_clear(&m->rescues);
		}
	} while (!route_nap(m, OPEN_MS));
	return NULL;
}

static bool all_tried(struct meta_store *m)
{
	for (unsigned i = 0; i < atomic_load(&m->seat_count); i++)
		if (!seat_store(m->seat[i]) && !atomic_load(&m->seat[i]->tried))
			return false;
	return true;
}

enum gh_status openers_start(struct meta_store *m)
{
	const uint64_t until_ns = gh_mono_ns() + START_MS * GH_MS_NS;
	const struct timespec pause = { .tv_nsec = 2000000 };

	for (; m->openers < OPENERS; m->openers++)
		if (pthread_create(&m->opener[m->openers], NULL, opener_main, m))
			return GH_NOMEM;
	while (!all_tried(m) && gh_mono_ns() < until_ns)
		nanosleep(&pause, NULL);
	return GH_OK;
}

void openers_join(struct meta_store *m)
{
	for (; m->openers; m->openers--)
		pthread_join(m->opener[m->openers - 1], NULL);
}
