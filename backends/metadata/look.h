/* Look-ups for loops (meta_look): what memory lacks and the database finds by a key, at once, without a worker.
 *
 * One thread takes all that wait and asks for them together: one round trip, one transaction, one wake-up of either side for as
 * many as there are (an embedded database is asked for one after the other). Meanwhile the next ones gather, so groups are as large as the load makes them, and whoever is alone waits
 * for nobody.
 *
 * It is a short cut, for as long as it is one. A group that is not back within LOOK_PATIENCE_NS is with a server that fetches
 * from its disk, or does not answer; then nobody else is taken, nor for a while after a group that failed. Who is not taken, or
 * comes back without an answer, goes the long way: a worker, a connection and a deadline of his own, and his breaker's
 * judgement. So nothing here needs to be fair, or to try twice.
 *
 * Threads: shard_look from any, never blocks. `done` is called on the thread of this file.
 */
#ifndef GH_BACKENDS_METADATA_LOOK_H
#define GH_BACKENDS_METADATA_LOOK_H

#include "core/meta.h"

#include <pthread.h>

#define LOOK_GROUP 32u
#define LOOK_WAITING_MAX 128u
#define LOOK_PATIENCE_NS (5 * GH_MS_NS)
#define LOOK_DEADLINE_NS GH_S_NS /* of a group that was sent; what is in it goes the long way then */
#define LOOK_REST_NS GH_S_NS     /* after one that failed */

struct shard_store;

/* States: opened -> closed. `lock` covers all but the thread. */
struct look_queue {
	pthread_mutex_t lock;
	pthread_cond_t filled, quiet;
	struct meta_look *head, **tail;
	unsigned waiting;
	uint64_t since_ns; /* a group is on its way; 0: none */
	uint64_t rest_until_ns;
	bool idle, closed, runs;
	pthread_t thread;
};

GH_MUST_CHECK enum gh_status look_open(struct shard_store *m); /* starts its thread */
/* Returns when nobody waits, and the thread has returned from every done(). */
void look_quiet(struct shard_store *m);
void look_close(struct shard_store *m); /* nobody calls any more; what was never opened may be closed */
#endif
