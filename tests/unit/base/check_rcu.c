/* RCU: readers never see what was reclaimed, deferred calls run, a sleeper that is offline holds nobody up. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/rcu.h"
#include "core/base/status.h"

enum { READERS = 3, UPDATES = 300 };

struct pair {
	int a, b;
};

static struct pair *current;
static atomic_bool stop, reading;
static atomic_int freed;

static void pair_free(void *arg)
{
	struct pair *p = arg;

	p->a = p->b = -1; /* a reader that still held it would race here */
	free(p);
	atomic_fetch_add(&freed, 1);
}

static struct pair *pair_new(int v)
{
	struct pair *p = malloc(sizeof(*p));

	*p = (struct pair){ v, v };
	return p;
}

static void *reader(void *arg)
{
	long seen = 0;

	(void)arg;
	gh_rcu_register();
	while (!atomic_load(&stop)) {
		for (int i = 0; i < 10; i++) {
			struct pair *p = gh_rcu_read(&current);

			/* Held for a while: long enough for an updater to replace it. */
			for (int k = 0; k < 5; k++) {
				GH_ASSERT(p->a == p->b && p->a >= 0);
				sched_yield();
			}
			seen++;
		}
		atomic_store(&reading, true);
		gh_rcu_quiescent();
		if (seen % 1000 == 0) {
			gh_rcu_offline();
			usleep(100);
			gh_rcu_online();
		}
	}
	gh_rcu_unregister();
	return NULL;
}

START_TEST(readers_never_see_what_was_reclaimed)
{
	pthread_t thread[READERS];
	struct pair *old;

	atomic_store(&stop, false);
	gh_rcu_publish(&current, pair_new(0));
	for (int i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, reader, NULL), 0);
	while (!atomic_load(&reading))
		usleep(100);
	for (int i = 1; i <= UPDATES; i++) {
		sched_yield();
		old = current;
		gh_rcu_publish(&current, pair_new(i));
		if (i % 10) {
			gh_rcu_defer(pair_free, old);
		} else {
			gh_rcu_synchronize();
			pair_free(old);
		}
	}
	gh_rcu_barrier();
	ck_assert_int_eq(atomic_load(&freed), UPDATES);
	atomic_store(&stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	free(current);
}
END_TEST

static void count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void *poster(void *arg)
{
	for (int i = 0; i < 1000; i++)
		gh_rcu_defer(count, arg);
	return NULL;
}

START_TEST(deferred_from_many_threads_all_run_before_the_barrier_returns)
{
	static atomic_int n;
	pthread_t thread[4];

	gh_rcu_barrier(); /* nothing deferred yet: returns */
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, poster, &n), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	gh_rcu_barrier();
	ck_assert_int_eq(atomic_load(&n), 4000);
}
END_TEST

START_TEST(an_online_thread_may_wait_at_the_barrier)
{
	static atomic_int n;

	gh_rcu_register();
	gh_rcu_defer(count, &n);
	gh_rcu_barrier();
	ck_assert_int_eq(atomic_load(&n), 1);
	gh_rcu_unregister();
}
END_TEST

static void *sleeper(void *arg)
{
	gh_rcu_register();
	gh_rcu_offline();
	atomic_store((atomic_bool *)arg, true);
	while (!atomic_load(&stop))
		usleep(1000);
	gh_rcu_online();
	gh_rcu_unregister();
	return NULL;
}

START_TEST(an_offline_sleeper_holds_no_grace_period)
{
	static atomic_bool asleep;
	uint64_t start;
	pthread_t thread;

	atomic_store(&stop, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, sleeper, &asleep), 0);
	while (!atomic_load(&asleep))
		usleep(100);
	start = gh_mono_ns();
	gh_rcu_synchronize();
	ck_assert_uint_lt(gh_mono_ns() - start, 5 * GH_S_NS);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rcu");
	TCase *t = tcase_create("rcu");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, readers_never_see_what_was_reclaimed);
	tcase_add_test(t, deferred_from_many_threads_all_run_before_the_barrier_returns);
	tcase_add_test(t, an_online_thread_may_wait_at_the_barrier);
	tcase_add_test(t, an_offline_sleeper_holds_no_grace_period);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
