/* The house behind vfs.h: what the composition root opens and closes. Frontends do not include this. */
#ifndef GH_CORE_CORE_H
#define GH_CORE_CORE_H

#include "core/blob.h"
#include "core/cache.h"
#include "core/meta.h"
#include "core/run/loop.h"
#include "core/vfs.h"
#include "policy/breaker.h"

struct gateway; /* gateway.h */

struct gh_core_config {
	struct meta_store *meta;            /* borrowed, closed by the caller after the core */
	const struct blob_ops *blob_ops;
	struct blob_backend *blobs;         /* borrowed */
	const char *blob_kind;
	unsigned workers;                   /* threads for what waits; default 32 */
	unsigned login_threads;             /* Argon2 at once; default number of CPUs */
	unsigned queue_max;                 /* operations waiting for a worker; default 1024 */
	unsigned login_queue_max;           /* logins waiting for a password check; default 64 */
	uint32_t queue_wait_ms;             /* longest wait in a queue; default 10000 */
	bool share_off;                     /* no fair share: first come, first served */
	struct breaker_config breaker;      /* all zero: breaker_defaults */
	uint64_t node_cache_bytes;          /* default 64 MiB */
	uint32_t credential_ttl_s;          /* default 300 */
	uint64_t upload_max_bytes;          /* largest file; default 1 TiB */
	uint32_t lock_timeout_max_s;        /* default 3600 */
	uint32_t collect_every_s;           /* default 60 */
	uint32_t collect_grace_s;           /* default 3600 */
	uint32_t event_days;                /* default 90 */
	uint32_t quota_lease_ms;            /* life of a quota lease; default 30000 */
	/* The cache that gateways share; ops NULL: none. Borrowed; the secret (cache_secret.h) is copied. */
	struct {
		const struct cache_ops *ops;
		struct cache *cache;
		unsigned kinds;                 /* bits of enum cache_kind */
		uint32_t keep_s;                /* default 3600 */
		const unsigned char *secret;
	} cache;
	struct gateway *gateway;            /* on a shared store, else NULL; borrowed */
	const char *folder;                 /* data directory, for the doctor; NULL = none */
	struct { const char *host, *pod, *dc; } place; /* where this gateway is, for rules; NULL or "" = unknown */
	const char *access_log;             /* file; "" = off, "-" = stderr */
};

/* err: 256 bytes. */
GH_MUST_CHECK enum gh_status gh_core_new(const struct gh_core_config *cfg, struct gh_core **ret, char *err);
/* Background work (collector, trash walker, lock sweeper, ledger) starts. */
GH_MUST_CHECK enum gh_status gh_core_start(struct gh_core *c);
/* After the doors are closed. Waits for workers. */
void gh_core_free(struct gh_core **c);
/* Is it able to serve? For /readyz; NULL = ready, else why not. */
const char *gh_core_not_ready(struct gh_core *c);

/* SIGHUP: log files are opened anew. */
void gh_core_reopen_logs(struct gh_core *c);

/* First start: tenant `default` with user `admin` (owner). password NULL = generate; ret_password (64 bytes) gets it,
 * "" when they existed already. */
GH_MUST_CHECK enum gh_status gh_core_bootstrap(struct gh_core *c, const char *password, char *ret_password);
/* Likewise the operator `admin`, an owner, if there is no operator yet. */
GH_MUST_CHECK enum gh_status gh_core_bootstrap_operator(struct gh_core *c, const char *password, char *ret_password);

#endif
