/* The house is built, opened, and closed again. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/access_log.h"
#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/rcu.h"
#include "core/control_house.h"
#include "core/feed.h"
#include "core/gateway.h"
#include "core/live.h"
#include "core/node_cache.h"
#include "core/operators_work.h"
#include "core/people/login.h"
#include "core/people/loginname.h"
#include "core/people/password.h"
#include "core/sessions.h"
#include "core/shared.h"
#include "core/switches.h"
#include "core/upkeep.h"

static unsigned cpu_count(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static void fill_in_defaults(struct gh_core_config *cfg)
{
	if (!cfg->workers)
		cfg->workers = 32;
	if (!cfg->login_threads)
		cfg->login_threads = cpu_count();
	if (!cfg->queue_max)
		cfg->queue_max = 1024;
	if (!cfg->login_queue_max)
		cfg->login_queue_max = 64;
	if (!cfg->queue_wait_ms)
		cfg->queue_wait_ms = 10000;
	if (!cfg->node_cache_bytes)
		cfg->node_cache_bytes = 64ull << 20;
	if (!cfg->credential_ttl_s)
		cfg->credential_ttl_s = 300;
	if (!cfg->upload_max_bytes)
		cfg->upload_max_bytes = 1ull << 40;
	if (!cfg->lock_timeout_max_s)
		cfg->lock_timeout_max_s = 3600;
	if (!cfg->collect_every_s)
		cfg->collect_every_s = 60;
	if (!cfg->collect_grace_s)
		cfg->collect_grace_s = 3600;
	if (!cfg->event_days)
		cfg->event_days = 90;
	if (!cfg->breaker.window_ms)
		cfg->breaker = breaker_defaults;
	if (!cfg->cache.keep_s)
		cfg->cache.keep_s = 3600;
	if (!cfg->quota_lease_ms)
		cfg->quota_lease_ms = 30000;
	cfg->place.host = cfg->place.host ? cfg->place.host : "";
	cfg->place.pod = cfg->place.pod ? cfg->place.pod : "";
	cfg->place.dc = cfg->place.dc ? cfg->place.dc : "";
}

/* With fair share the queue is in front of a pool, and the pool's own never holds more than it has threads. */
static enum gh_status pools_new(struct gh_core *c)
{
	const struct share_config share = { .off = c->cfg.share_off, .workers = c->cfg.workers,
					    .login_threads = c->cfg.login_threads, .queue_max = c->cfg.queue_max,
					    .login_queue_max = c->cfg.login_queue_max };
	const bool off = c->cfg.share_off;
	enum gh_status st = gh_pool_new("login", 0, c->cfg.login_threads, off ? c->cfg.login_queue_max : UINT32_MAX,
					&c->login_pool);
	if (st == GH_OK)
		st = gh_pool_new("wait", 1, c->cfg.workers, off ? c->cfg.queue_max : UINT32_MAX, &c->wait_pool);
	if (st == GH_OK)
		st = share_new(c, &share, &c->share);
	return st;
}

static enum gh_status cache_begin(struct gh_core *c)
{
	const struct shared_config cfg = { c->cfg.cache.ops, c->cfg.cache.cache, c->cfg.cache.kinds,
					  c->cfg.cache.keep_s };
	const enum gh_status st = shared_new(&cfg, &c->shared);

	if (st == GH_OK && c->shared)
		people_share(c->people, c->cfg.cache.secret + CACHE_SECRET_BYTES);
	c->cfg.cache.secret = NULL; /* the caller's */
	return st;
}

static enum gh_status build(struct gh_core *c, char *err)
{
	const struct people_config people = { .credential_ttl_s = c->cfg.credential_ttl_s };
	enum gh_status st = tenants_new(&c->tenants);
	const struct switch_place here = { c->cfg.place.host, c->cfg.place.pod, c->cfg.place.dc };
	if (st == GH_OK)
		st = sessions_new(&c->sessions);
	if (st == GH_OK)
		st = switches_new(&here, &c->switches);
	if (st == GH_OK)
		st = operators_new(&c->operators);
	if (st == GH_OK)
		st = quota_new(c->cfg.quota_lease_ms, &c->quota);
	if (st == GH_OK)
		st = feeds_new(c, &c->feeds);
	if (st == GH_OK)
		st = node_cache_new(c->cfg.node_cache_bytes, &c->nodes);
	if (st == GH_OK)
		st = people_new(c->meta, &people, &c->people);
	if (st == GH_OK)
		meta_on_word(c->meta, people_heard, c->people);
	if (st == GH_OK)
		st = cache_begin(c);
	if (st == GH_OK)
		st = pools_new(c);
	if (st == GH_OK)
		st = breakers_new(c, &c->cfg.breaker, &c->breakers);
	if (st == GH_OK)
		st = live_new(c, &c->live);
	if (st == GH_OK)
		share_tell_live(c);
	if (st == GH_OK)
		st = access_log_new(c->cfg.access_log, &c->access, err);
	return st;
}

enum gh_status gh_core_new(const struct gh_core_config *cfg, struct gh_core **ret, char *err)
{
	struct gh_core *c = calloc(1, sizeof(*c));
	err[0] = '\0';
	if (!c) {
		snprintf(err, 256, "out of memory");
		return GH_NOMEM;
	}
	c->cfg = *cfg;
	fill_in_defaults(&c->cfg);
	c->meta = cfg->meta;
	c->blob_ops = cfg->blob_ops;
	c->blobs = cfg->blobs;
	pthread_rwlock_init(&c->trash_lock, NULL);
	pthread_mutex_init(&c->change_lock, NULL);
	pthread_mutex_init(&c->load_lock, NULL);
	enum gh_status st = build(c, err);
	if (st == GH_OK)
		st = tenants_load(c);
	if (st == GH_OK)
		st = share_load(c);
	if (st == GH_OK)
		st = quota_load(c);
	if (st == GH_OK)
		st = switches_load(c);
	if (st == GH_OK)
		st = operators_load(c);
	if (st != GH_OK) {
		if (!err[0])
			snprintf(err, 256, "cannot open the core: %s", gh_status_text(st));
		gh_core_free(&c);
		return st;
	}
	*ret = c;
	return GH_OK;
}

enum gh_status gh_core_start(struct gh_core *c)
{
	enum gh_status st = stream_start(c);
	if (st == GH_OK)
		st = switches_start(c);
	if (st == GH_OK)
		st = live_start(c->live);
	if (st == GH_OK)
		st = breakers_start(c);
	if (st == GH_OK)
		st = quota_start(c);
	if (st == GH_OK)
		st = feeds_start(c);
	if (st == GH_OK)
		st = upkeep_start(c, &c->upkeep);
	return st;
}

/* Jobs post their completions to loops that still run: wait until all have come home. */
static void wait_for_pending(struct gh_core *c)
{
	const struct timespec nap = { 0, 2000000 };
	for (unsigned i = 0; atomic_load(&c->pending) && i < 2500; i++)
		nanosleep(&nap, NULL);
	if (atomic_load(&c->pending))
		gh_log(GH_LOG_WARN, "core-close", "pending=%u hint=\"requests did not come home within 5 s\"",
		       atomic_load(&c->pending));
}

void gh_core_free(struct gh_core **cp)
{
	struct gh_core *c = *cp;
	if (!c)
		return;
	atomic_store(&c->stopping, true);
	meta_hurry(c->meta); /* nobody is there any more to be told */
	stream_stop(c);
	live_stop(c->live);
	feeds_stop(c);
	breakers_stop(c); /* lends workers */
	share_stop(c);
	gh_pool_free(&c->wait_pool); /* its jobs poke the upkeep */
	gh_pool_free(&c->login_pool);
	meta_quiet(c->meta); /* what it tells, it tells loops that are still there */
	upkeep_stop(&c->upkeep);
	switches_stop(c);
	wait_for_pending(c);
	meta_quiet(c->meta); /* who told the last of them is out of its loop */
	quota_stop(c);
	stream_free(c);
	feeds_free(&c->feeds);
	share_free(&c->share);
	access_log_free(&c->access);
	node_cache_free(&c->nodes);
	gh_rcu_barrier(); /* dropped snapshots take their tenant's lock when they go: before the tenants do */
	live_free(&c->live);
	breakers_free(&c->breakers);
	quota_free(&c->quota);
	tenants_free(&c->tenants);
	meta_on_word(c->meta, NULL, NULL);
	people_free(&c->people);
	shared_free(&c->shared);
	gh_rcu_barrier();
	switches_free(&c->switches);
	sessions_free(&c->sessions);
	operators_free(&c->operators);
	pthread_rwlock_destroy(&c->trash_lock);
	pthread_mutex_destroy(&c->change_lock);
	pthread_mutex_destroy(&c->load_lock);
	free(c);
	*cp = NULL;
}

const char *gh_core_not_ready(struct gh_core *c)
{
	if (atomic_load(&c->stopping))
		return "stopping";
	if (vfs_not_ready(c))
		return vfs_not_ready(c);
	if (c->cfg.gateway && gateway_not_ready(c->cfg.gateway))
		return gateway_not_ready(c->cfg.gateway);
	if (c->stream && !stream_ready(c))
		return "the event stream of the database is lost: memory is not trusted, everything is asked of the database";
	if (share_counts(c).waiting >= c->cfg.queue_max)
		return "the queue for workers is full";
	return NULL;
}

void gh_core_reopen_logs(struct gh_core *c)
{
	access_log_reopen(c->access);
}

/* ---- first start ---- */

#define FIRST_USER "admin"

static enum gh_status make_default_tenant(struct gh_core *c, struct gh_arena *a, struct tenant **ret)
{
	enum gh_status st = tenant_get(c, TENANT_DEFAULT, ret);
	if (st != GH_NOTFOUND)
		return st;
	const struct meta_tenant row = {
		.id = gh_id_new(),
		.name = TENANT_DEFAULT,
		.hosts = "",
		.root = gh_id_new(),
		.trash = gh_id_new(),
	};
	struct meta_step step = { .kind = META_TENANT_PUT, .tenant = &row };
	st = house_commit(c, a, NULL, "first start", "tenant.add", "", &step, 1);
	return st == GH_OK ? tenant_get(c, TENANT_DEFAULT, ret) : st;
}

static enum gh_status make_first_user(struct gh_core *c, struct gh_arena *a, struct tenant *t, const char *password)
{
	char hash[PW_HASH_MAX];
	enum gh_status st = pw_hash(password, hash);
	if (st != GH_OK)
		return st;
	const struct meta_user user = {
		.id = gh_id_new(), .name = FIRST_USER, .key = FIRST_USER, .owner = true, .password_hash = hash,
	};
	struct meta_step steps[] = {
		{ .kind = META_USER_PUT, .user = &user },
		{ .kind = META_RIGHTS_EPOCH },
	};
	return house_commit(c, a, t, "first start", "user.add", "", steps, 2);
}

enum gh_status gh_core_bootstrap(struct gh_core *c, const char *password, char *ret_password)
{
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct tenant *t;
	struct meta_user *user;
	char made[PW_GENERATED_MAX];
	if (!a)
		return GH_NOMEM;
	struct meta_call call = { .arena = a, .op = "bootstrap" };
	ret_password[0] = '\0';
	enum gh_status st = make_default_tenant(c, a, &t);
	if (st == GH_OK)
		st = meta_user_by_name(c->meta, &call, t->id, FIRST_USER, &user);
	if (st == GH_NOTFOUND) {
		if (!password || !*password) {
			pw_generate(made);
			password = made;
		}
		st = make_first_user(c, a, t, password);
		if (st == GH_OK)
			snprintf(ret_password, PW_GENERATED_MAX, "%s", password);
	}
	gh_arena_free(&a);
	return st;
}
