/* The loop: its thread, its passes, posting to it. Called by main (life) and by everybody (post, now). One thread per
 * loop; what others may touch is atomic and named in loop_impl.h.
 */
#include "core/run/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/rcu.h"
#include "core/run/loop_impl.h"

/* How often a stopping loop lets its last tasks post new ones. */
enum { LAST_ROUNDS = 64 };

static _Thread_local const struct gh_loop *here;

void loop_awake(struct gh_loop *l)
{
	if (l->online)
		return;
	gh_rcu_online();
	l->online = true;
	atomic_store(&l->asleep, false);
	l->now_ns = gh_mono_ns();
}

bool loop_running(const struct gh_loop *l)
{
	return atomic_load(&l->running);
}

static void log_libevent(int severity, const char *msg)
{
	gh_log(severity == EVENT_LOG_ERR ? GH_LOG_ERROR : GH_LOG_WARN, "libevent", "msg=\"%s\"", msg);
}

static void log_redirect(void)
{
	event_set_log_callback(log_libevent);
}

static void wake_ready(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	loop_awake(arg);
	if (read(fd, &n, sizeof(n)) < 0)
		GH_ASSERT(errno == EAGAIN || errno == EINTR);
}

static void alarm_ready(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	loop_awake(arg);
}

static struct event_base *base_new(void)
{
	struct event_config *c = event_config_new();
	struct event_base *base = NULL;

	if (c && event_config_set_flag(c, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(c);
	if (c)
		event_config_free(c);
	return base;
}

static enum gh_status loop_init(struct gh_loop *l)
{
	l->base = base_new();
	if (!l->base)
		return GH_NOMEM;
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake_fd < 0)
		return GH_IO;
	l->wake_event = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, wake_ready, l);
	l->alarm = evtimer_new(l->base, alarm_ready, l);
	if (!l->wake_event || !l->alarm)
		return GH_NOMEM;
	if (event_add(l->wake_event, NULL) != 0)
		return GH_IO;
	return loop_hangup_init(l);
}

enum gh_status gh_loop_new(unsigned index, struct gh_loop **ret_loop)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct gh_loop *l = calloc(1, sizeof(*l));
	enum gh_status st;

	if (!l)
		return GH_NOMEM;
	pthread_once(&once, log_redirect);
	l->index = index;
	l->wake_fd = l->hangup_fd = -1;
	l->now_ns = gh_mono_ns();
	wheel_init(&l->wheel, l->now_ns / TICK_NS);
	st = loop_init(l);
	if (st != GH_OK) {
		gh_loop_free(&l);
		return st;
	}
	*ret_loop = l;
	return GH_OK;
}

/* Takes what was posted so far, oldest first; what is posted meanwhile is for the next round. */
static void tasks_run(struct gh_loop *l)
{
	struct gh_task *newest = atomic_exchange(&l->posted, NULL), *oldest = NULL, *next;

	for (; newest; newest = next) {
		next = newest->next;
		newest->next = oldest;
		oldest = newest;
	}
	for (; oldest; oldest = next) {
		next = oldest->next; /* fn may free it, or post it again */
		oldest->fn(oldest);
	}
}

void gh_loop_post(struct gh_loop *l, struct gh_task *t)
{
	uint64_t one = 1;

	t->next = atomic_load(&l->posted);
	while (!atomic_compare_exchange_weak(&l->posted, &t->next, t))
		;
	if (atomic_exchange(&l->asleep, false) && write(l->wake_fd, &one, sizeof(one)) < 0)
		GH_ASSERT(errno == EAGAIN); /* then it is readable anyway */
}

/* Nanoseconds that the loop may sleep, UINT64_MAX = until something happens. */
static uint64_t sleep_ns(struct gh_loop *l)
{
	uint64_t wait = loop_engines_wait_ns(l), next = wheel_next(&l->wheel), now;

	if (wait == 0 || next == WHEEL_NEVER)
		return wait;
	now = gh_mono_ns();
	if (next * TICK_NS <= now)
		return 0;
	return next * TICK_NS - now < wait ? next * TICK_NS - now : wait;
}

static void alarm_set(struct gh_loop *l, uint64_t wait_ns)
{
	uint64_t us = wait_ns / 1000 + 1;
	struct timeval tv = { .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000) };

	if (wait_ns == UINT64_MAX)
		event_del(l->alarm);
	else
		GH_ASSERT(event_add(l->alarm, &tv) == 0);
}

/* Waits for events and calls back for those that are ready. */
static void poll_events(struct gh_loop *l)
{
	uint64_t wait = sleep_ns(l);

	if (wait) {
		alarm_set(l, wait);
		atomic_store(&l->asleep, true);
		if (atomic_load(&l->posted) || atomic_load(&l->stopping)) {
			atomic_store(&l->asleep, false);
			wait = 0;
		}
	}
	if (wait) {
		if (!l->rested_ns)
			l->rested_ns = gh_mono_ns();
		l->online = false;
		gh_rcu_offline();
	} else {
		l->now_ns = gh_mono_ns();
	}
	/* EVLOOP_NONBLOCK alone goes round until nothing is ready, and an engine's descriptor stays ready until it is run. */
	GH_ASSERT(event_base_loop(l->base, EVLOOP_ONCE | (wait ? 0 : EVLOOP_NONBLOCK)) >= 0);
	loop_awake(l);
}

static void pass(struct gh_loop *l)
{
	poll_events(l);
	loop_timers_run(l);
	tasks_run(l);
	loop_engines_run(l);
	loop_dead_free(l);
	gh_rcu_quiescent();
}

static void *loop_thread(void *arg)
{
	struct gh_loop *l = arg;
	char name[16];

	here = l;
	snprintf(name, sizeof(name), "loop-%u", l->index);
	pthread_setname_np(pthread_self(), name);
	gh_rcu_register();
	l->online = true;
	l->now_ns = gh_mono_ns();
	while (!atomic_load(&l->stopping))
		pass(l);
	for (int i = 0; i < LAST_ROUNDS && atomic_load(&l->posted); i++)
		tasks_run(l);
	gh_rcu_unregister();
	l->online = false;
	here = NULL;
	atomic_store(&l->running, false);
	return NULL;
}

enum gh_status gh_loop_start(struct gh_loop *l)
{
	sigset_t all, old;
	int err;

	/* Signals go to the thread that waits for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	atomic_store(&l->running, true);
	err = pthread_create(&l->thread, NULL, loop_thread, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		atomic_store(&l->running, false);
		return GH_NOMEM;
	}
	l->joinable = true;
	return GH_OK;
}

void gh_loop_stop(struct gh_loop *l)
{
	uint64_t one = 1;

	atomic_store(&l->stopping, true);
	if (write(l->wake_fd, &one, sizeof(one)) < 0)
		GH_ASSERT(errno == EAGAIN);
}

void gh_loop_free(struct gh_loop **loop)
{
	struct gh_loop *l = *loop;

	if (!l)
		return;
	if (l->joinable) {
		gh_loop_stop(l);
		pthread_join(l->thread, NULL);
	}
	/* Posted behind the thread's back: a task is promised to run. */
	for (int i = 0; i < LAST_ROUNDS && atomic_load(&l->posted); i++)
		tasks_run(l);
	loop_dead_free(l);
	if (l->ios)
		gh_log(GH_LOG_WARN, "loop_left", "loop=%u descriptors=%u", l->index, l->ios);
	loop_hangup_fini(l);
	if (l->alarm)
		event_free(l->alarm);
	if (l->wake_event)
		event_free(l->wake_event);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->base)
		event_base_free(l->base);
	free(l);
	*loop = NULL;
}

uint64_t gh_loop_cpu_ns(const struct gh_loop *l)
{
	struct timespec t;
	clockid_t clock;

	if (pthread_getcpuclockid(l->thread, &clock) || clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * GH_S_NS + (uint64_t)t.tv_nsec;
}

unsigned gh_loop_index(const struct gh_loop *l)
{
	return l->index;
}

bool gh_loop_here(const struct gh_loop *l)
{
	return here == l;
}

uint64_t gh_loop_now_ns(const struct gh_loop *l)
{
	return l->now_ns;
}

uint64_t gh_loop_rested_ns(const struct gh_loop *l)
{
	return l->rested_ns;
}

void gh_loop_rest_forget(struct gh_loop *l)
{
	l->rested_ns = 0;
}
