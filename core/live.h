/* What the house is doing, second by second: one sampler thread turns metrics and tenants' counters into a sample, keeps
 * the last hour of them in memory, and hands each to those who subscribed (server-sent events).
 *
 * Counting (live_count.c) happens on loops and workers: a tenant's counters have one line of memory per stripe, every
 * thread adds to its own, nobody takes a lock. Only tenants that were counted since the last second are visited.
 * Everything else here is for the admin thread and the sampler: a mutex, never taken by a request.
 *
 * What the core does not know itself (the queue, breakers, loops) is put into the sample by a live_source.
 */
#ifndef GH_CORE_LIVE_H
#define GH_CORE_LIVE_H

#include <jansson.h>
#include <stdatomic.h>

#include "core/base/metrics.h"
#include "core/base/status.h"

struct gh_core;
struct live;
struct tenant;

enum { LIVE_DOORS = 4, LIVE_TENANTS = 20, LIVE_SECONDS = 3600 };

/* ---- a sample: rates are per second ---- */

/* webdav, ftp, rest, web: enum vfs_proto from VFS_WEBDAV on. connections of HTTP count under webdav. */
struct live_door {
	float requests, refused, errors; /* what a client sees as one request is one */
	float p50_ms, p95_ms, p99_ms;    /* 0 when there was none */
	double in_bytes, out_bytes;
	uint32_t connections;
};

struct live_tenant {
	const struct tenant *tenant; /* kept until the end, and so is its name */
	const char *name;
	float requests, shed, wait_ms, share; /* wait: the mean in the queue; share: 0..1 of what was worked */
	double bytes;                         /* in and out */
};

struct live_sample {
	int64_t t_s; /* wall clock, seconds */
	struct live_door door[LIVE_DOORS];
	float shed;
	uint32_t queue_waiting, queue_oldest_ms, breakers_open;
	float loop_busy; /* 0..1, mean over the loops */
	uint32_t tenant_count;
	struct live_tenant tenant[LIVE_TENANTS]; /* busiest first */
};

/* ---- counting: any thread, lock-free ---- */

enum live_what {
	LIVE_REQUESTS, LIVE_IN_BYTES, LIVE_OUT_BYTES, LIVE_WORKED_NS, LIVE_WAITED_NS, LIVE_WAITS, LIVE_SHED, LIVE_WHATS
};
/* Part of struct tenant; zero is a good start. */
enum { LIVE_STRIPES = 8 };
struct live_tally {
	struct live_stripe {
		_Alignas(64) _Atomic uint64_t n[LIVE_WHATS];
	} stripe[LIVE_STRIPES];
	_Alignas(64) atomic_bool busy; /* it is in the list of those that the sampler has to visit */
	struct tenant *next;           /* in that list */
	uint64_t seen[LIVE_WHATS];     /* the sampler's: sums of the last second */
};
/* NULL tenant: nothing happens (before anybody is logged in). */
void live_count(struct gh_core *c, struct tenant *t, enum live_what what, uint64_t n);

/* ---- life ---- */

GH_MUST_CHECK enum gh_status live_new(struct gh_core *c, struct live **ret);
GH_MUST_CHECK enum gh_status live_start(struct live *l); /* the sampler's thread */
/* Ends it; counting goes on. Before the pools it looks at are gone. */
void live_stop(struct live *l);
void live_free(struct live **l); /* nobody may count or be subscribed any more */

/* ---- sources ---- */

/* fill is called once a second by the sampler, with everything of the core's own already in the sample (the busiest
 * tenants chosen and in order): it adds what it knows and may overwrite. It must not block. passed_ns: since the call
 * before. The struct is the caller's and stays put until live_source_remove. */
struct live_source {
	const char *name;
	void (*fill)(struct live_source *s, struct live_sample *sample, uint64_t passed_ns);
	struct live_source *next;
};
void live_source_add(struct gh_core *c, struct live_source *s);
void live_source_remove(struct gh_core *c, struct live_source *s); /* not called any more once this returns */

/* ---- reading: any thread that may wait ---- */

/* The latest; false before the first second is over. */
bool live_now(struct gh_core *c, struct live_sample *ret);
json_t *live_json(const struct live_sample *s, unsigned tenants_max); /* NULL: out of memory */
/* {"items": [...]}, oldest first, of the last seconds; when they are more than points, each item is several seconds:
 * rates are their mean, percentiles, queue and breakers their worst. */
json_t *live_history_json(struct gh_core *c, unsigned seconds, unsigned points, unsigned tenants_max);

/* ---- subscribing ---- */

/* name: "sample" or "change"; json: one line, len bytes, gone after the call. From the sampler or whoever made a change:
 * it must not block, nor call into live.h. */
typedef void live_event_fn(void *arg, const char *name, const char *json, size_t len);
struct live_subscriber;
GH_MUST_CHECK enum gh_status live_subscribe(struct gh_core *c, live_event_fn *fn, void *arg,
					    struct live_subscriber **ret);
void live_unsubscribe(struct gh_core *c, struct live_subscriber **s); /* fn runs no more once this returns */
/* Something an administrator looks at has changed: "switch", "breaker", "share", ... -> event change {"what": "switch"}.
 * Any thread that may wait. */
void live_tell(struct gh_core *c, const char *what);

#endif
