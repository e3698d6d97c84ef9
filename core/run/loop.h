/* One event loop per CPU (libevent inside, nowhere else). Carries everything that waits: sockets, timers, completions
 * from workers, and engines such as libmicrohttpd's epoll descriptor.
 *
 * A pass: ready descriptors and due timers -> posted tasks -> engines that were readable, were poked, or whose next
 * timeout is 0 -> RCU quiescent. The loop is RCU-offline while it sleeps and online in every callback, so callbacks may
 * hold RCU-protected pointers, but not across passes. (TSan: gh_rcu_* of core/base/rcu.h.)
 * Everything except gh_loop_post and gh_loop_stop is for the loop's own thread (or before gh_loop_start, or while that
 * thread stands in a task that waits for the caller).
 * Callbacks must not block and should return within a millisecond.
 */
#ifndef GH_CORE_RUN_LOOP_H
#define GH_CORE_RUN_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct gh_loop;

GH_MUST_CHECK enum gh_status gh_loop_new(unsigned index, struct gh_loop **ret_loop);
GH_MUST_CHECK enum gh_status gh_loop_start(struct gh_loop *l); /* makes its thread */
void gh_loop_stop(struct gh_loop *l);                          /* any thread; returns at once */
void gh_loop_free(struct gh_loop **l);                         /* joins the thread; nothing may be registered any more */
unsigned gh_loop_index(const struct gh_loop *l);
bool gh_loop_here(const struct gh_loop *l); /* is the caller its thread? */
uint64_t gh_loop_now_ns(const struct gh_loop *l); /* monotonic, taken once a pass */
/* Since gh_loop_rest_forget, when did the loop first have nothing to do? 0 = it has not slept yet. */
uint64_t gh_loop_rested_ns(const struct gh_loop *l);
void gh_loop_rest_forget(struct gh_loop *l);

/* CPU time its thread has used. Any thread, from gh_loop_start to gh_loop_free. */
uint64_t gh_loop_cpu_ns(const struct gh_loop *l);

/* Descriptors. The struct belongs to the caller and must stay put until gh_io_fini. */
enum { GH_IO_READ = 1, GH_IO_WRITE = 2, GH_IO_HANGUP = 4 /* peer closed its side (RDHUP), level */ };
struct gh_io;
typedef void gh_io_fn(struct gh_io *io, unsigned ready, void *arg);
struct gh_io {
	struct gh_loop *loop;
	int fd;
	unsigned want;
	gh_io_fn *fn;
	void *arg;
	void *impl; /* the loop's own */
};
GH_MUST_CHECK enum gh_status gh_io_init(struct gh_io *io, struct gh_loop *l, int fd, gh_io_fn *fn, void *arg);
GH_MUST_CHECK enum gh_status gh_io_want(struct gh_io *io, unsigned want); /* level-triggered; 0 = nothing */
void gh_io_fini(struct gh_io *io); /* does not close fd; safe inside its own callback; safe twice */

/* Timers: one hashed wheel per loop, 10 ms ticks, O(1) set and cancel; never early, at most two ticks late. */
struct gh_timer;
typedef void gh_timer_fn(struct gh_timer *t, void *arg);
struct gh_timer {
	struct gh_timer *next, *prev; /* the wheel's */
	uint64_t due_tick;
	struct gh_loop *loop; /* non-NULL while set */
	gh_timer_fn *fn;
	void *arg;
};
void gh_timer_init(struct gh_timer *t, gh_timer_fn *fn, void *arg);
void gh_timer_set(struct gh_timer *t, struct gh_loop *l, uint64_t after_ms); /* again = moved */
void gh_timer_cancel(struct gh_timer *t); /* not set: nothing happens */

/* Run fn on the loop, from any thread: a lock-free list and one eventfd write when it was empty. Order per poster is
 * kept. The struct must stay put until fn runs. */
struct gh_task {
	struct gh_task *next;
	void (*fn)(struct gh_task *t);
};
void gh_loop_post(struct gh_loop *l, struct gh_task *t);

/* An engine with a life of its own behind one pollable descriptor (a libmicrohttpd daemon in external epoll mode). */
struct gh_engine {
	int fd;
	int64_t (*timeout_ms)(void *arg); /* 0 = run at once, -1 = no timeout */
	void (*run)(void *arg);
	void *arg;
	bool poked; /* set by gh_engine_poke */
	struct gh_engine *next;
	struct gh_loop *loop;
	struct gh_io io;
};
GH_MUST_CHECK enum gh_status gh_loop_add_engine(struct gh_loop *l, struct gh_engine *e);
void gh_loop_remove_engine(struct gh_engine *e);
void gh_engine_poke(struct gh_engine *e); /* run it in this pass (it was given something) */

#endif
