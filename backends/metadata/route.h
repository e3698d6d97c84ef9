/* The store that core sees: a router over databases. One is central; each tenant is on one shard, and central may be a shard
 * as well. Embedded, and with nothing but a conninfo, there is one database that is both.
 */
#ifndef GH_BACKENDS_METADATA_ROUTE_H
#define GH_BACKENDS_METADATA_ROUTE_H

#include "backends/metadata/store.h"

struct meta_store {
	struct shard_store *central;
};

#endif
