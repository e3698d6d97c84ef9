/* Worker threads behind one bounded queue. Called by the core (submit, any thread) and main (life).
 *
 * State under `lock`: the list of waiting jobs with its length, how many workers sleep, `waking`, and `stopping`, which
 * only rises. A job belongs to the queue from submit until a worker takes it out, then to itself.
 *
 * One worker at a time is on its way out of sleep (`waking`); arrived, it takes a job, and sends the next one if more
 * wait. So a burst of short jobs is run by the few that are awake, and jobs that block find a thread each all the same.
 */
#include "core/run/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/metrics.h"
#include "core/base/rcu.h"

struct gh_pool {
	unsigned label, queue_max, threads, thread_room; /* threads: under lock once it is shared */
	char name[12];
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct gh_job *first, **tail;
	_Atomic unsigned waiting; /* written under lock, read anywhere */
	unsigned asleep;
	bool waking, stopping;
	pthread_t thread[];
};

static _Thread_local unsigned here; /* set once, when the thread begins */

unsigned gh_pool_here(void)
{
	return here;
}

void gh_pool_online(void)
{
	gh_rcu_online();
}

void gh_pool_offline(void)
{
	gh_rcu_offline();
}

/* Locked. true: signal, once the lock is free, which the woken one wants first. */
static bool must_wake(struct gh_pool *p)
{
	if (!p->first || !p->asleep || p->waking)
		return false;
	p->waking = true;
	return true;
}

static void sleep_for_work(struct gh_pool *p)
{
	p->asleep++;
	while (!p->first && !p->stopping) {
		pthread_cond_wait(&p->work, &p->lock);
		p->waking = false; /* it is here, or another that woke by itself: that one looks as well */
	}
	p->asleep--;
}

/* The next job, or NULL at the end. Waits. */
static struct gh_job *job_take(struct gh_pool *p)
{
	struct gh_job *job;
	bool wake;

	pthread_mutex_lock(&p->lock);
	if (!p->first && !p->stopping)
		sleep_for_work(p);
	job = p->first;
	if (job) {
		p->first = job->next;
		if (!p->first)
			p->tail = &p->first;
		atomic_fetch_sub(&p->waiting, 1);
	}
	wake = must_wake(p);
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->work);
	if (job)
		gh_metric_add(GH_M_WORKER_QUEUE, p->label, -1);
	return job;
}

static void *worker(void *arg)
{
	struct gh_pool *p = arg;
	struct gh_job *job;

	const struct sched_param normal = { .sched_priority = 0 };

	here = 1 + p->label;
	pthread_setname_np(pthread_self(), p->name);
	/* Being woken is no reason to push a loop, or the worker that does the waking for many, off its CPU. */
	(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &normal);
	gh_rcu_register();
	gh_rcu_offline();
	while ((job = job_take(p)))
		job->run(job);
	gh_rcu_unregister();
	return NULL;
}

enum gh_status gh_pool_grow(struct gh_pool *p, unsigned threads)
{
	sigset_t all, old;

	if (threads > p->thread_room)
		threads = p->thread_room;
	/* Signals go to the thread that waits for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_mutex_lock(&p->lock);
	while (p->threads < threads && !p->stopping && pthread_create(&p->thread[p->threads], NULL, worker, p) == 0)
		p->threads++;
	const bool enough = p->threads >= threads;
	pthread_mutex_unlock(&p->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return enough ? GH_OK : GH_NOMEM;
}

enum gh_status gh_pool_new(const char *name, unsigned label, unsigned threads, unsigned queue_max,
			   struct gh_pool **ret_pool)
{
	struct gh_pool *p = calloc(1, sizeof(*p) + (threads + POOL_GROW_MAX) * sizeof(p->thread[0]));
	if (!p)
		return GH_NOMEM;
	GH_ASSERT(threads > 0);
	p->thread_room = threads + POOL_GROW_MAX;
	p->label = label;
	p->queue_max = queue_max;
	snprintf(p->name, sizeof(p->name), "%s", name);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	p->tail = &p->first;
	const enum gh_status st = gh_pool_grow(p, threads);
	if (st != GH_OK) {
		gh_pool_free(&p);
		return st;
	}
	*ret_pool = p;
	return GH_OK;
}

static enum gh_status submit(struct gh_pool *p, struct gh_job *job, bool somebody_comes)
{
	enum gh_status st = GH_OK;
	bool wake;

	job->next = NULL;
	/* Counted before a worker can take it, so that the gauge never goes below nought. */
	gh_metric_add(GH_M_WORKER_QUEUE, p->label, 1);
	pthread_mutex_lock(&p->lock);
	if (p->stopping) {
		st = GH_STOPPING;
	} else if (atomic_load(&p->waiting) >= p->queue_max) {
		st = GH_BUSY;
	} else {
		*p->tail = job;
		p->tail = &job->next;
		atomic_fetch_add(&p->waiting, 1);
	}
	wake = !somebody_comes && must_wake(p);
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->work);
	if (st != GH_OK)
		gh_metric_add(GH_M_WORKER_QUEUE, p->label, -1);
	if (st == GH_BUSY)
		gh_metric_add(GH_M_SHED, p->label, 1);
	return st;
}

enum gh_status gh_pool_submit(struct gh_pool *p, struct gh_job *job)
{
	return submit(p, job, false);
}

enum gh_status gh_pool_submit_next(struct gh_pool *p, struct gh_job *job)
{
	return submit(p, job, gh_pool_here() == 1 + p->label);
}

unsigned gh_pool_waiting(const struct gh_pool *p)
{
	return atomic_load(&p->waiting);
}

void gh_pool_free(struct gh_pool **pool)
{
	struct gh_pool *p = *pool;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
	*pool = NULL;
}
