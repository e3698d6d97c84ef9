/* The worker pool: every accepted job runs once, the queue has its bound, shutting down loses nothing. */
#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/metrics.h"
#include "core/base/rcu.h"
#include "core/run/pool.h"

static struct gh_pool *pool;

struct counted {
	struct gh_job job;
	int runs; /* by one worker at a time; the join makes it visible */
};

static void counted_run(struct gh_job *job)
{
	((struct counted *)job)->runs++;
}

enum { SUBMITTERS = 4, JOBS = 5000 };
static struct counted jobs[SUBMITTERS][JOBS];
static atomic_int accepted;

static void *submitter(void *arg)
{
	struct counted *mine = arg;

	for (int i = 0; i < JOBS; i++) {
		enum gh_status st;

		mine[i].job.run = counted_run;
		while ((st = gh_pool_submit(pool, &mine[i].job)) == GH_BUSY)
			usleep(100);
		if (st == GH_STOPPING)
			break;
		ck_assert_int_eq(st, GH_OK);
		atomic_fetch_add(&accepted, 1);
	}
	return NULL;
}

START_TEST(every_accepted_job_runs_exactly_once)
{
	pthread_t thread[SUBMITTERS];
	int total = 0;

	ck_assert_int_eq(gh_pool_new("test", 1, 3, 50, &pool), GH_OK);
	for (int i = 0; i < SUBMITTERS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, submitter, jobs[i]), 0);
	for (int i = 0; i < SUBMITTERS; i++)
		pthread_join(thread[i], NULL);
	gh_pool_free(&pool);
	ck_assert_ptr_null(pool);
	for (int i = 0; i < SUBMITTERS; i++)
		for (int k = 0; k < JOBS; k++) {
			ck_assert_int_le(jobs[i][k].runs, 1);
			total += jobs[i][k].runs;
		}
	ck_assert_int_eq(total, atomic_load(&accepted));
	ck_assert_int_eq(total, SUBMITTERS * JOBS);
	ck_assert_int_eq(gh_metric_get(GH_M_WORKER_QUEUE, 1), 0);
}
END_TEST

static sem_t entered, go;

static void blocked_run(struct gh_job *job)
{
	(void)job;
	sem_post(&entered);
	sem_wait(&go);
}

/* ---- one job after another ---- */

enum { CHAIN = 100 };
struct link {
	struct gh_job job;
	pthread_t by;
	struct link *next;
	sem_t *end;
};

static void link_run(struct gh_job *job)
{
	struct link *l = (struct link *)job;

	l->by = pthread_self();
	if (l->next)
		ck_assert_int_eq(gh_pool_submit_next(pool, &l->next->job), GH_OK);
	else
		sem_post(l->end);
	usleep(500); /* long enough for whoever was woken to take it */
}

/* How often the chain went from one worker to another. */
static int chain_changes(void)
{
	static struct link chain[CHAIN];
	sem_t end;
	int changes = 0;

	sem_init(&end, 0, 0);
	for (int i = 0; i < CHAIN; i++)
		chain[i] = (struct link){ .job.run = link_run, .next = i + 1 < CHAIN ? &chain[i + 1] : NULL, .end = &end };
	ck_assert_int_eq(gh_pool_submit_next(pool, &chain[0].job), GH_OK); /* from outside: somebody is woken */
	while (sem_wait(&end) != 0)
		;
	for (int i = 1; i < CHAIN; i++)
		changes += !pthread_equal(chain[i].by, chain[i - 1].by);
	sem_destroy(&end);
	return changes;
}

START_TEST(what_a_worker_submits_at_its_end_it_runs_itself)
{
	static struct gh_job first[3] = { { .run = blocked_run }, { .run = blocked_run }, { .run = blocked_run } };
	int changes = CHAIN;

	sem_init(&entered, 0, 0);
	sem_init(&go, 0, 0);
	ck_assert_int_eq(gh_pool_new("test", 1, 3, 50, &pool), GH_OK);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(gh_pool_submit(pool, &first[i]), GH_OK);
	for (int i = 0; i < 3; i++)
		sem_wait(&entered);
	for (int i = 0; i < 3; i++)
		sem_post(&go);
	/* While the others sleep nobody is woken. One that has not gone to sleep yet takes part: then once more. */
	for (int i = 0; i < 5 && changes > 2; i++) {
		usleep(50000);
		changes = chain_changes();
	}
	gh_pool_free(&pool);
	ck_assert_int_le(changes, 2);
}
END_TEST

static struct gh_job late = { .run = blocked_run };
static enum gh_status late_status;

static void submits_run(struct gh_job *job)
{
	((struct counted *)job)->runs++;
	usleep(100000); /* the pool is being freed by now */
	late_status = gh_pool_submit(pool, &late);
}

START_TEST(the_queue_has_its_bound_and_shutdown_runs_what_waits)
{
	static struct counted waiting[2];
	static struct gh_job blocker = { .run = blocked_run };
	struct gh_job refused = { .run = counted_run };
	struct gh_pool *same;

	sem_init(&entered, 0, 0);
	sem_init(&go, 0, 0);
	ck_assert_int_eq(gh_pool_new("test", 0, 1, 2, &pool), GH_OK);
	ck_assert_int_eq(gh_pool_submit(pool, &blocker), GH_OK);
	sem_wait(&entered);
	ck_assert_uint_eq(gh_pool_waiting(pool), 0);
	waiting[0].job.run = submits_run;
	waiting[1].job.run = counted_run;
	ck_assert_int_eq(gh_pool_submit(pool, &waiting[0].job), GH_OK);
	ck_assert_int_eq(gh_pool_submit(pool, &waiting[1].job), GH_OK);
	ck_assert_int_eq(gh_pool_submit(pool, &refused), GH_BUSY);
	ck_assert_uint_eq(gh_pool_waiting(pool), 2);
	ck_assert_int_eq(gh_metric_get(GH_M_WORKER_QUEUE, 0), 2);
	ck_assert_int_eq(gh_metric_get(GH_M_SHED, 0), 1);
	same = pool;
	sem_post(&go);
	gh_pool_free(&same);
	ck_assert_int_eq(waiting[0].runs, 1);
	ck_assert_int_eq(waiting[1].runs, 1);
	ck_assert_int_eq(late_status, GH_STOPPING);
}
END_TEST

static int *shared;

static void reads_run(struct gh_job *job)
{
	gh_pool_online();
	ck_assert_int_ge(*gh_rcu_read(&shared), 0);
	gh_pool_offline();
	((struct counted *)job)->runs++;
	usleep(1000);
}

START_TEST(workers_hold_no_grace_period_outside_their_sections)
{
	static struct counted reads[200];

	shared = calloc(1, sizeof(*shared));
	ck_assert_int_eq(gh_pool_new("test", 1, 2, 1000, &pool), GH_OK);
	for (int i = 0; i < 200; i++) {
		reads[i].job.run = reads_run;
		ck_assert_int_eq(gh_pool_submit(pool, &reads[i].job), GH_OK);
	}
	for (int i = 1; i < 30; i++) {
		int *old = shared, *new = malloc(sizeof(*new));

		*new = i;
		gh_rcu_publish(&shared, new);
		gh_rcu_synchronize();
		*old = -1;
		free(old);
	}
	gh_pool_free(&pool);
	gh_rcu_synchronize(); /* idle or gone, nobody is waited for */
	free(shared);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool");
	TCase *t = tcase_create("pool");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_accepted_job_runs_exactly_once);
	tcase_add_test(t, what_a_worker_submits_at_its_end_it_runs_itself);
	tcase_add_test(t, the_queue_has_its_bound_and_shutdown_runs_what_waits);
	tcase_add_test(t, workers_hold_no_grace_period_outside_their_sections);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
