/* liburcu's QSBR flavour, told to ThreadSanitizer, and the process's one reclaimer. Called by loops, workers and by the
 * owners of read-mostly structures; any thread. No other file includes urcu.
 *
 * The reclaimer is a thread made by the first gh_rcu_defer. It lets what waits become more for a moment, takes all of it at
 * once, waits one grace period, calls them in order. State under `lock`: the list, how many were posted, how many have run.
 */
#include "core/base/rcu.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <urcu-qsbr.h>

#include "core/base/status.h"

/* Readers release here when they let go of what they read, whoever ends a grace period acquires here. */
#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif

#ifdef TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
static char edge;
#define READERS_RELEASE() __tsan_release(&edge)
#define READERS_ACQUIRE() __tsan_acquire(&edge)
#else
#define READERS_RELEASE() ((void)0)
#define READERS_ACQUIRE() ((void)0)
#endif

#define GATHER_NS 10000000

struct deferred {
	struct deferred *next;
	void (*fn)(void *);
	void *arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t posted_some = PTHREAD_COND_INITIALIZER;
static pthread_cond_t ran_some = PTHREAD_COND_INITIALIZER;
static pthread_cond_t hurry = PTHREAD_COND_INITIALIZER;
static unsigned waiting; /* for all that was posted to have run */
static struct deferred *first, **tail = &first;
static uint64_t posted, ran;
static bool running; /* the reclaimer exists */

void gh_rcu_register(void)
{
	urcu_qsbr_register_thread();
}

void gh_rcu_unregister(void)
{
	READERS_RELEASE();
	urcu_qsbr_unregister_thread();
}

void gh_rcu_online(void)
{
	urcu_qsbr_thread_online();
}

void gh_rcu_offline(void)
{
	READERS_RELEASE();
	urcu_qsbr_thread_offline();
}

void gh_rcu_quiescent(void)
{
	READERS_RELEASE();
	urcu_qsbr_quiescent_state();
}

void gh_rcu_synchronize(void)
{
	urcu_qsbr_synchronize_rcu();
	READERS_ACQUIRE();
}

/* Under load something is deferred with every change. A thread that wakes for each, and waits for every reader, costs more
 * than what it frees. Locked. */
static void let_gather(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += GATHER_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!waiting && pthread_cond_timedwait(&hurry, &lock, &until) == 0)
		;
}

/* The reclaimer never registers: it reads nothing that is protected, so it is always through. */
static void *reclaim(void *unused)
{
	struct deferred *batch, *next;
	uint64_t n;

	(void)unused;
	pthread_mutex_lock(&lock);
	for (;;) {
		while (!first)
			pthread_cond_wait(&posted_some, &lock);
		let_gather();
		batch = first;
		first = NULL;
		tail = &first;
		pthread_mutex_unlock(&lock);

		gh_rcu_synchronize();
		for (n = 0; batch; batch = next, n++) {
			next = batch->next;
			batch->fn(batch->arg);
			free(batch);
		}

		pthread_mutex_lock(&lock);
		ran += n;
		pthread_cond_broadcast(&ran_some);
	}
	return NULL;
}

static void reclaimer_start(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;

	/* Signals are for the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	GH_ASSERT(pthread_create(&thread, &attr, reclaim, NULL) == 0);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	running = true;
}

void gh_rcu_defer(void (*fn)(void *), void *arg)
{
	struct deferred *d = malloc(sizeof(*d));
	bool was_empty;

	GH_ASSERT(d); /* neither leaking nor freeing at once would be right */
	*d = (struct deferred){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&lock);
	if (!running)
		reclaimer_start();
	was_empty = !first;
	*tail = d;
	tail = &d->next;
	posted++;
	if (was_empty)
		pthread_cond_signal(&posted_some);
	pthread_mutex_unlock(&lock);
}

void gh_rcu_barrier(void)
{
	bool online = urcu_qsbr_read_ongoing();
	uint64_t until;

	/* An online caller would hold the very grace period that it waits for. */
	if (online)
		gh_rcu_offline();
	pthread_mutex_lock(&lock);
	until = posted;
	waiting++;
	pthread_cond_signal(&hurry);
	while (ran < until)
		pthread_cond_wait(&ran_some, &lock);
	waiting--;
	pthread_mutex_unlock(&lock);
	if (online)
		gh_rcu_online();
}
