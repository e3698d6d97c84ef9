/* The fair share at run time (policy/fairshare.h decides, here it is owned and shared).
 *
 * In front of the workers stands a desk: one scheduler behind one mutex, touched only by what needs a worker. It gives
 * out as many slots as the pool has threads, so that the pool's own queue holds nothing. In company a few are kept for
 * who has nothing running, so that whoever asks for little does not wait for one who floods. What has waited, how long a job
 * held its worker, and who was refused is measured here. The login pool has a desk of its own, whose "tenants" are
 * address prefixes and whose classes are tenants by hash: nobody is anybody before the password was checked.
 *
 * On the loops everything that memory can answer runs at once as long as its tenant has credit there; out of credit it
 * waits in the loop's own scheduler (fair_loop.h). Bytes of transfers are work of their loop, and bound by their
 * tenant's rate.
 *
 *   share_job:  idle -> waits (desk) -> runs (a worker) -> idle, by share_done
 *                         |-> withdrawn by its owner (deadline, client left)
 *                         `-> out (evicted for one that is below its share, or the house closes): job->out
 */
#ifndef GH_CORE_FAIR_H
#define GH_CORE_FAIR_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/run/pool.h"
#include "policy/fairshare.h"
#include "policy/purse.h"

struct gh_core;
struct tenant;
struct share;
struct share_desk;
struct share_loop;

#define SHARE_POOL_NAME_MAX 32
#define SHARE_POOL_SLOTS_MAX 128 /* of all dedicated pools together */
#define SHARE_SHARED_NAME "shared"

/* Part of struct tenant; zero is a good start. */
struct share_seat {
	_Atomic uint64_t rule;     /* packed; 0 = not looked up yet */
	_Atomic uint64_t bytes_s;  /* 0 = no limit */
	atomic_flag rate_lock;     /* over the purse; held for a few instructions; only tenants with a limit take it */
	struct purse rate;
	bool rate_begun;
	_Atomic uint64_t shed;     /* since the start */
	/* Waits of late, by powers of two of 100 us: counts are halved now and then. */
	_Atomic uint32_t waits[20];
};

/* Something that wants a worker. Part of its owner's struct; stays put until it is done, withdrawn, or out. */
struct share_job {
	struct fair_item item; /* first */
	struct gh_job job;
	struct share_desk *desk;
	struct tenant *tenant; /* NULL: nobody's */
	uint64_t started_ns;
	bool afloat; /* it has given its slot back, and is still under way */
	void (*run)(struct share_job *j);  /* on a worker; calls share_done before anybody else may touch j */
	/* It will not run. Any thread; posts to whom it concerns. */
	void (*out)(struct share_job *j, enum gh_status st, uint32_t retry_after_s);
};

struct share_config {
	bool off; /* first come, first served: for measuring, and for who wants it so */
	unsigned workers, login_threads, queue_max, login_queue_max;
};
GH_MUST_CHECK enum gh_status share_new(struct gh_core *c, const struct share_config *cfg, struct share **ret);
/* Weights, caps and pools as the house's settings have them; blocking. */
GH_MUST_CHECK enum gh_status share_load(struct gh_core *c);
/* Again, after another gateway has changed something: what is no more is forgotten, too. */
GH_MUST_CHECK enum gh_status share_reload(struct gh_core *c);
void share_tell_live(struct gh_core *c); /* once live counts */
void share_stop(struct gh_core *c); /* what waits is out; nothing is taken any more. Before the pools are freed. */
void share_free(struct share **s);  /* after the loops have no work of the house any more */

/* GH_OK: it runs, or waits for that, or will be out. GH_OVERSHARE (login desk: GH_BUSY), GH_STOPPING: it is not taken, and
 * *ret_retry_s says when to come again. Any thread; never blocks. */
GH_MUST_CHECK enum gh_status share_submit(struct gh_core *c, struct share_job *j, struct tenant *t, unsigned class,
					  uint32_t *ret_retry_s);
GH_MUST_CHECK enum gh_status share_submit_login(struct gh_core *c, struct share_job *j, uint64_t prefix,
						const char *whom, uint32_t *ret_retry_s);
/* Nobody waits here, and the tenant has neither a pool of its own nor a bound on what runs at once: what is short, and needs no
 * worker, is nobody's loss. Any thread; lock-free. */
bool share_is_calm(struct gh_core *c, struct tenant *t);
/* Takes it out of the queue. false: it is not there (it runs, or is out already). *ret_st: how its wait that came to
 * nothing should sound, OVERSHARE or, where nothing moves for anybody, BUSY. */
bool share_withdraw(struct share_job *j, enum gh_status *ret_st, uint32_t *ret_retry_s);
void share_done(struct share_job *j); /* on the worker, or wherever its work ended */
/* On the worker, which is about to leave the job to the thread that commits: its slot goes to the next one, so that what
 * is committed together is not bounded by the workers. Not in company (others' jobs came within the last second), not where
 * too many are out so already, nor for a tenant with a bound on what runs at once: these keep their slots. share_done follows in any case. */
#define SHARE_AFLOAT_MAX 64u
void share_float(struct share_job *j);
/* What left its worker to wait for something, and kept its slot, runs again: j->run on a worker. Any thread; never blocks.
 * GH_STOPPING after share_stop. */
GH_MUST_CHECK enum gh_status share_go_on(struct share_job *j);
/* So many workers are held by calls that hang: as many more may run, on threads of their own (at most SHARE_LENT_MAX).
 * The breakers' watcher tells it, with every change. */
#define SHARE_LENT_MAX 96
void share_lend(struct gh_core *c, bool login, unsigned held);
void share_kick(struct gh_core *c);   /* slots have become more: who may run now runs */

struct share_counts {
	unsigned waiting, oldest_ms, login_waiting;
	unsigned queue_max;
};
struct share_counts share_counts(struct gh_core *c);

/* ---- rules ---- */

struct fair_tenant_rule share_rule(struct gh_core *c, struct tenant *t); /* any thread */
/* A tenant's bytes per second, all transfers in both directions together; 0 = no limit. Any thread; live. */
void fair_set_rate(struct gh_core *c, struct tenant *t, uint64_t bytes_s);
/* How many of want bytes may be moved now: 0 and *ret_wait_ms until it is worth asking again. Spends what it gives. */
uint64_t share_rate_offer(struct tenant *t, uint64_t want, uint64_t now_ns, unsigned *ret_wait_ms);
/* All of it is moved if anything may be: for what cannot be cut. */
bool share_rate_take(struct tenant *t, uint64_t bytes, uint64_t now_ns, unsigned *ret_wait_ms);

void share_rate_return(struct tenant *t, uint64_t bytes); /* what was given and not moved */

/* ---- for control_share.c: blocking, after the setting was committed; one caller at a time ---- */

/* Settings: kind "share", id of the tenant, {"weight", "cap", "pool"}; kind "pool", id by name, {"name", "slots", "queue"}. */
#define SHARE_KIND "share"
#define SHARE_POOL_KIND "pool"
#define SHARE_CAP_MAX 100000

struct share_pool {
	char name[SHARE_POOL_NAME_MAX + 1];
	unsigned slots, queue;
	unsigned waiting, running;
};
/* index 0 is the shared one; false: no pool there. */
bool share_pool_at(struct gh_core *c, unsigned index, struct share_pool *ret);
/* A dedicated pool by its name; false: none. */
bool share_pool_named(struct gh_core *c, const char *name, struct share_pool *ret);
/* Could it be so: NULL, or why not (static). */
const char *share_pool_wrong(struct gh_core *c, const char *name, unsigned slots, unsigned queue);
GH_MUST_CHECK enum gh_status share_pool_put(struct gh_core *c, const char *name, unsigned slots, unsigned queue);
void share_pool_remove(struct gh_core *c, const char *name);
/* pool: a name, "" or "shared" for the shared one; a name that is none (yet) means the shared one until it is made. */
GH_MUST_CHECK enum gh_status share_tenant_put(struct gh_core *c, uint64_t tenant, uint32_t weight, uint32_t cap,
					      const char *pool);
struct share_figures {
	uint32_t weight, cap;
	char pool[SHARE_POOL_NAME_MAX + 1];
	unsigned waiting, running, wait_p99_ms;
	uint64_t shed, bytes_s;
};
void share_tenant_figures(struct gh_core *c, struct tenant *t, struct share_figures *ret);

#endif
