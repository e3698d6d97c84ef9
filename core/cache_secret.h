/* What the gateways of one installation know and their cache does not: a random secret, a setting of the house, made by the first
 * that asks for it. With it entries are sealed and found (backends/cache), and passwords are told apart in them (core/people).
 * Taking the row away makes another one at the next start, and everything that was kept before is nothing any more. */
#ifndef GH_CORE_CACHE_SECRET_H
#define GH_CORE_CACHE_SECRET_H

#include "core/meta.h"

#define CACHE_SECRET_ALL_BYTES 64 /* the first half is the cache's, the second people's */

/* Blocks; at the start. err (256 bytes). The store's errors; GH_DAMAGED: the row says something else. */
GH_MUST_CHECK enum gh_status cache_secret(struct meta_store *m, unsigned char ret[CACHE_SECRET_ALL_BYTES], char *err);

#endif
