/* Stores and core, opened in their order and closed in the other: what serve and fsck have in common. Main thread. */
#ifndef GH_FRONTENDS_MAIN_HOUSE_H
#define GH_FRONTENDS_MAIN_HOUSE_H

#include "core/cache_secret.h"
#include "core/core.h"
#include "frontends/main/config.h"
#include "frontends/main/datadir.h"

struct house {
	struct gateway *gateway; /* NULL: embedded */
	struct meta_store *meta;
	const struct blob_ops *blob_ops;
	struct blob_backend *blobs;
	const struct cache_ops *cache_ops; /* NULL: none */
	struct cache *cache;
	unsigned cache_kinds;
	unsigned char cache_secret[CACHE_SECRET_ALL_BYTES];
	struct gh_core *core;
	char host[65]; /* gateway.host, or the system's name */
};

/* read_only: the stores alone, for fsck; nothing is written or repaired. err: CONFIG_ERR_MAX. On failure *h is closed. */
GH_MUST_CHECK enum gh_status house_open(const struct config *cfg, const struct datadir *dir, bool read_only, struct house *h,
					char *err);
void house_close(struct house *h);
/* What the configuration says about metadata. path: of the embedded database, the caller's. */
struct meta_config house_meta_config(const struct config *cfg, const char *path, bool read_only);
bool house_meta_is_embedded(const struct config *cfg);

#endif
