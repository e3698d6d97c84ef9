/* Stores and core. See house.h. */
#include "frontends/main/house.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/id.h"
#include "core/gateway.h"
#include "core/installation.h"

bool house_meta_is_embedded(const struct config *cfg)
{
	return !strcmp(config_text(cfg, "metadata"), "sqlite");
}

struct meta_config house_meta_config(const struct config *cfg, const char *path, bool read_only)
{
	struct meta_config mc = { .read_only = read_only };

	if (house_meta_is_embedded(cfg)) {
		mc.path = path;
		mc.readers = (unsigned)config_number(cfg, "sqlite.readers");
		return mc;
	}
	mc.conninfo = config_text(cfg, "postgresql.conninfo");
	mc.readers = (unsigned)config_number(cfg, "postgresql.readers");
	mc.connect_ms = (uint32_t)config_number(cfg, "postgresql.connect_timeout");
	mc.statement_ms = (uint32_t)config_number(cfg, "postgresql.statement_timeout");
	mc.lock_ms = (uint32_t)config_number(cfg, "postgresql.lock_timeout");
	return mc;
}

/* One of several: a slot of its own, and a sign of life. */
static enum gh_status gateway_begin(const struct config *cfg, const struct datadir *dir, struct house *h, char *err)
{
	char name[64];
	struct gateway_config gc = { .meta = h->meta, .name = name, .version = PACKAGE_VERSION,
				     .predecessor = datadir_token(dir) };
	enum gh_status st = datadir_gateway_name(dir, config_text(cfg, "gateway.name"), name, err);

	if (!st)
		st = gateway_join(&gc, &h->gateway, err);
	if (!st)
		st = datadir_token_keep(dir, gateway_token(h->gateway), err);
	if (!st && (st = gateway_start(h->gateway)))
		snprintf(err, CONFIG_ERR_MAX, "cannot start a thread");
	return st;
}

static enum gh_status meta_start(const struct config *cfg, const struct datadir *dir, bool read_only, struct house *h,
				 char *err)
{
	struct meta_config mc;
	char *path = datadir_join(dir, "meta.db");
	struct meta_call call = { .op = "start" };
	uint64_t floor = 0;
	enum gh_status st;

	if (!path)
		return GH_NOMEM;
	mc = house_meta_config(cfg, path, read_only);
	st = meta_open(&mc, &h->meta, err);
	free(path);
	if (st || read_only)
		return st;
	if (meta_is_shared(h->meta))
		return gateway_begin(cfg, dir, h, err);
	call.arena = gh_arena_new(1 << 20);
	if (!call.arena)
		return GH_NOMEM;
	st = meta_id_floor(h->meta, &call, &floor);
	if (st)
		snprintf(err, CONFIG_ERR_MAX, "the metadata does not tell its highest id: %s", gh_status_text(st));
	else
		gh_id_init(0, floor);
	gh_arena_free(&call.arena);
	return st;
}

static enum gh_status blobs_start(const struct config *cfg, const struct datadir *dir, bool read_only, struct house *h,
				  char *err)
{
	const char *configured = config_text(cfg, "blobs.path"), *kind = config_text(cfg, "blobs.kind");
	struct blob_config bc = { .pack_size_bytes = (uint64_t)config_number(cfg, "blobs.pack_size"),
				  .pack_max_blob_bytes = (uint64_t)config_number(cfg, "blobs.pack_max_blob"),
				  .read_only = read_only };
	char *path = *configured ? strdup(configured) : datadir_join(dir, "blobs");
	enum gh_status st;

	if (!path)
		return GH_NOMEM;
	h->blob_ops = blob_backend_find(kind);
	GH_ASSERT(h->blob_ops && h->blob_ops->abi == BLOB_ABI && h->blob_ops->size == sizeof(*h->blob_ops));
	bc.path = path;
	st = h->blob_ops->open(&bc, &h->blobs, err);
	if (!st && !read_only && meta_is_shared(h->meta)) {
		const struct installation in = { h->meta, h->blob_ops, h->blobs, gateway_token(h->gateway), path };

		st = installation_check(&in, err);
	}
	free(path);
	return st;
}

/* Of one kind: its own servers, else those of all. */
static const char *cache_servers(const struct config *cfg, const char *key)
{
	const char *own = config_text(cfg, key);
	const char *all = strcmp(key, "cache.tree") ? config_text(cfg, "cache.memcached") : ""; /* that one is asked for by name */
	const char *text = *own ? own : all;

	return strcmp(text, "off") ? text : "";
}

static enum gh_status cache_start(const struct config *cfg, struct house *h, char *err)
{
	struct cache_config cc = { .servers = { [CACHE_SESSIONS] = cache_servers(cfg, "cache.sessions"),
						[CACHE_RIGHTS] = cache_servers(cfg, "cache.rights"),
						[CACHE_TREE] = cache_servers(cfg, "cache.tree") },
				   .budget_ms = (uint32_t)config_number(cfg, "cache.budget") };
	enum gh_status st;

	if (!meta_is_shared(h->meta)) /* the embedded database is nearer than any cache */
		cc.servers[CACHE_RIGHTS] = cc.servers[CACHE_TREE] = "";
	for (unsigned i = 0; i < CACHE_KINDS; i++)
		h->cache_kinds |= cc.servers[i] && *cc.servers[i] ? 1u << i : 0;
	if (!h->cache_kinds)
		return GH_OK;
	st = cache_secret(h->meta, h->cache_secret, err);
	if (st)
		return st;
	memcpy(cc.secret, h->cache_secret, sizeof(cc.secret));
	st = cache_open(&cc, &h->cache_ops, &h->cache, err);
	explicit_bzero(cc.secret, sizeof(cc.secret));
	return st;
}

static struct breaker_config breaker_of(const struct config *cfg)
{
	struct breaker_config b = breaker_defaults;

	b.window_ms = (uint32_t)config_number(cfg, "breaker.window");
	b.min_calls = (uint32_t)config_number(cfg, "breaker.min_calls");
	b.fail_percent = (uint32_t)config_number(cfg, "breaker.fail_percent");
	b.slow_ms = (uint32_t)config_number(cfg, "breaker.slow");
	b.slow_percent = (uint32_t)config_number(cfg, "breaker.slow_percent");
	b.stuck = (uint32_t)config_number(cfg, "breaker.stuck");
	b.base_ms = (uint32_t)config_number(cfg, "breaker.base");
	b.max_ms = (uint32_t)config_number(cfg, "breaker.max");
	b.probes = (uint32_t)config_number(cfg, "breaker.probes");
	b.probes_needed = (uint32_t)config_number(cfg, "breaker.probes_needed");
	return b;
}

static enum gh_status core_start(const struct config *cfg, const struct datadir *dir, struct house *h, char *err)
{
	const char *host = config_text(cfg, "gateway.host");

	if (*host)
		snprintf(h->host, sizeof(h->host), "%s", host);
	else if (gethostname(h->host, sizeof(h->host) - 1))
		h->host[0] = '\0';
	struct gh_core_config cc = {
		.meta = h->meta,
		.blob_ops = h->blob_ops,
		.blobs = h->blobs,
		.blob_kind = config_text(cfg, "blobs.kind"),
		.workers = (unsigned)config_number(cfg, "workers.threads"),
		.login_threads = (unsigned)config_number(cfg, "logins.threads"),
		.queue_max = (unsigned)config_number(cfg, "workers.queue"),
		.queue_wait_ms = (uint32_t)config_number(cfg, "workers.queue_wait"),
		.breaker = breaker_of(cfg),
		.share_off = !config_number(cfg, "workers.fair_share"),
		.login_queue_max = (unsigned)config_number(cfg, "logins.queue"),
		.node_cache_bytes = (uint64_t)config_number(cfg, "cache.nodes"),
		.credential_ttl_s = (uint32_t)(config_number(cfg, "logins.credential_ttl") / 1000),
		.upload_max_bytes = (uint64_t)config_number(cfg, "uploads.max_size"),
		.lock_timeout_max_s = (uint32_t)(config_number(cfg, "locks.max_timeout") / 1000),
		.collect_every_s = (uint32_t)(config_number(cfg, "collector.every") / 1000),
		.collect_grace_s = (uint32_t)(config_number(cfg, "collector.grace") / 1000),
		.quota_lease_ms = (uint32_t)config_number(cfg, "quota.lease"),
		.event_days = (uint32_t)(config_number(cfg, "events.keep") / 86400000),
		.cache = { h->cache_ops, h->cache, h->cache_kinds, (uint32_t)(config_number(cfg, "cache.keep") / 1000), h->cache_secret },
		.gateway = h->gateway,
		.folder = dir->path,
		.place = { h->host, config_text(cfg, "gateway.pod"), config_text(cfg, "gateway.dc") },
		.access_log = config_text(cfg, "log.access"),
	};

	const enum gh_status st = gh_core_new(&cc, &h->core, err);

	explicit_bzero(h->cache_secret, sizeof(h->cache_secret));
	return st;
}

enum gh_status house_open(const struct config *cfg, const struct datadir *dir, bool read_only, struct house *h, char *err)
{
	enum gh_status st;

	memset(h, 0, sizeof(*h));
	snprintf(err, CONFIG_ERR_MAX, "out of memory");
	st = meta_start(cfg, dir, read_only, h, err);
	if (!st)
		st = blobs_start(cfg, dir, read_only, h, err);
	if (!st && !read_only)
		st = cache_start(cfg, h, err);
	if (!st && !read_only)
		st = core_start(cfg, dir, h, err);
	if (st)
		house_close(h);
	return st;
}

void house_close(struct house *h)
{
	if (h->core)
		gh_core_free(&h->core);
	if (h->cache)
		h->cache_ops->close(&h->cache);
	if (h->blobs)
		h->blob_ops->close(&h->blobs);
	gateway_leave(&h->gateway);
	if (h->meta)
		meta_close(&h->meta);
}
