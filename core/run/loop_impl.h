/* What loop.c, io.c, timer.c and engine.c share of a loop, and the doorstep's way of asking whether it runs. Nobody
 * outside core/run includes it. */
#ifndef GH_CORE_RUN_LOOP_IMPL_H
#define GH_CORE_RUN_LOOP_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/run/wheel.h"

struct event;
struct event_base;
struct io_impl;

#define TICK_NS 10000000ull

struct gh_loop {
	unsigned index;
	struct event_base *base;
	pthread_t thread;
	bool joinable;
	atomic_bool running; /* its thread exists; from then on only that thread touches what is not atomic here */
	atomic_bool stopping;

	/* Posting: `posted` is a stack, newest first. Whoever finds `asleep` set clears it and writes the eventfd; the
	 * loop sets it before it looks at `posted` a last time and sleeps, so one of the two sees the other. */
	_Atomic(struct gh_task *) posted;
	atomic_bool asleep;
	int wake_fd;
	struct event *wake_event;

	struct event *alarm; /* ends the sleep when a timer or an engine is due */
	uint64_t now_ns;
	uint64_t rested_ns; /* gh_loop_rested_ns */
	bool online;

	struct wheel wheel;
	struct gh_engine *engines;
	struct gh_engine *engine_next, *engine_running; /* the pass's place in the list; removal keeps them right */

	int hangup_fd; /* epoll of our own, see io.c */
	struct event *hangup_event;
	struct io_impl *dead; /* ended in this pass, freed after it */
	unsigned ios;
};

/* Every callback from libevent begins with this: the loop may have been asleep, and offline. */
void loop_awake(struct gh_loop *l);
bool loop_running(const struct gh_loop *l);

enum gh_status loop_hangup_init(struct gh_loop *l);
void loop_hangup_fini(struct gh_loop *l);
void loop_dead_free(struct gh_loop *l);

void loop_timers_run(struct gh_loop *l);

void loop_engines_run(struct gh_loop *l);
/* Until when the engines let the loop sleep: nanoseconds from now, 0 = not at all, UINT64_MAX = for ever. */
uint64_t loop_engines_wait_ns(struct gh_loop *l);

#endif
