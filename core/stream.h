/* What other gateways have changed, made known to this one's memory: a thread for each shard reads the log of events (core/meta.h,
 * meta_stream) as soon as it hears of one, and every half second anyway, and forgets what they touched: node cache entries,
 * snapshots of rights and locks, verified credentials, tenants' rows, settings. Its own gateway's events were taken care of
 * by whoever committed them; for nodes in the shared cache (core/tree_marks.h) they are noted all the same. Guards of batches
 * hold against stale memory anyway; this is about what reads show.
 *
 * In the order of core/tenant.h: cache entries, snapshots, then the generation.
 *
 * Trust. Memory may be used for TRUST_MS from when the log was last read to its end. If it cannot be read for that long,
 * nothing in memory is believed until it has been: caches answer "ask the store". When the log is there again, everything is
 * forgotten and it is read from then on, so nothing has to be made up for.
 *
 * Embedded stores have one process: no stream, and nothing of this.
 *
 * Threads: start and stop by the house; the rest from anywhere. catch_up blocks.
 */
#ifndef GH_CORE_STREAM_H
#define GH_CORE_STREAM_H

#include <stdint.h>

#include "core/base/status.h"

struct gh_core;
struct stream;
struct tree_marks;

GH_MUST_CHECK enum gh_status stream_start(struct gh_core *c); /* reads once, or fails */
void stream_stop(struct gh_core *c); /* memory is not trusted any more, soon */
void stream_free(struct gh_core *c); /* nothing of the house runs any more */
/* May what is in memory of a tenant be used now? Its shard's log decides; 0: central's. c->stream is not NULL. */
bool stream_trusted(struct gh_core *c, uint64_t tenant);
/* ... for /readyz: the central database's log is read. */
bool stream_ready(struct gh_core *c);
/* What a tenant's stream has heard of names (core/tree_marks.h). NULL: none is kept, or it is not listened to yet. */
struct tree_marks *stream_marks(struct gh_core *c, uint64_t tenant);
/* What was committed before the call in central and in the tenant's shard is known in memory when it returns, if their logs can
 * be read; a second at most for each that cannot. */
void stream_catch_up(struct gh_core *c, uint64_t tenant);

#endif
