/* Worker threads behind one bounded queue. Workers run what blocks; they touch no socket and no libmicrohttpd call.
 * Each is RCU-registered and offline except inside gh_pool_online()/gh_pool_offline() sections of a job. */
#ifndef GH_CORE_RUN_POOL_H
#define GH_CORE_RUN_POOL_H

#include "core/base/status.h"

struct gh_pool;

struct gh_job {
	struct gh_job *next;
	void (*run)(struct gh_job *job);
};

/* label: its index among the label values of GH_M_WORKER_QUEUE and GH_M_SHED (0 login, 1 wait, 2 admin). */
GH_MUST_CHECK enum gh_status gh_pool_new(const char *name, unsigned label, unsigned threads, unsigned queue_max,
					 struct gh_pool **ret_pool);
/* More threads, up to so many in all (at most POOL_GROW_MAX more than it was made with); never fewer. */
#define POOL_GROW_MAX 260
GH_MUST_CHECK enum gh_status gh_pool_grow(struct gh_pool *p, unsigned threads);
/* GH_OK, or GH_BUSY when queue_max jobs wait already, or GH_STOPPING. Never blocks. Any thread. */
GH_MUST_CHECK enum gh_status gh_pool_submit(struct gh_pool *p, struct gh_job *job);
/* As gh_pool_submit, from a worker of this pool at the end of its own job: it takes what waits itself when it has returned,
 * so nobody is woken for it. */
GH_MUST_CHECK enum gh_status gh_pool_submit_next(struct gh_pool *p, struct gh_job *job);
/* Around what reads RCU-protected pointers in a job; nothing in between may block. */
void gh_pool_online(void);
void gh_pool_offline(void);
/* Which pool does this thread belong to: 1 + its label; 0: none. */
unsigned gh_pool_here(void);
unsigned gh_pool_waiting(const struct gh_pool *p);
/* Runs what waits, joins, frees. Leaves NULL behind. */
void gh_pool_free(struct gh_pool **p);

#endif
