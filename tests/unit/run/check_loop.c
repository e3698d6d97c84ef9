/* The loop: posting, timers, descriptors, hang-ups, engines, sleep and RCU. Every test starts a real loop; waiting is for
 * a semaphore with a deadline. */
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/rcu.h"
#include "core/run/loop.h"

static struct gh_loop *loop;
static sem_t done;

static void setup(void)
{
	ck_assert_int_eq(gh_loop_new(3, &loop), GH_OK);
	sem_init(&done, 0, 0);
}

static void teardown(void)
{
	gh_loop_free(&loop);
	ck_assert_ptr_null(loop);
	sem_destroy(&done);
}

static void wait_done(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 30;
	ck_assert_msg(sem_timedwait(&done, &ts) == 0, "nothing happened for 30 s");
}

static void start(void)
{
	ck_assert_int_eq(gh_loop_start(loop), GH_OK);
}

/* ---- doing something on the loop and waiting for it ---- */

struct call {
	struct gh_task task;
	void (*fn)(void);
};

static void call_run(struct gh_task *t)
{
	((struct call *)t)->fn();
	sem_post(&done);
}

static void on_loop(void (*fn)(void))
{
	struct call c = { .task.fn = call_run, .fn = fn };

	gh_loop_post(loop, &c.task);
	wait_done();
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * GH_S_NS + (uint64_t)ts.tv_nsec;
}

/* The loop may have things to do, but it must not spin. */
static void must_sleep(void)
{
	uint64_t before = cpu_ns();

	usleep(300000);
	ck_assert_uint_lt(cpu_ns() - before, 100 * GH_MS_NS);
}

/* ---- posting ---- */

enum { POSTERS = 4, POSTS = 20000 };

struct numbered {
	struct gh_task task;
	int poster, number;
};

static struct numbered numbered[POSTERS][POSTS];
static int next_number[POSTERS], tasks_seen;

static void numbered_run(struct gh_task *t)
{
	struct numbered *n = (struct numbered *)t;

	ck_assert(gh_loop_here(loop));
	ck_assert_int_eq(n->number, next_number[n->poster]++);
	if (++tasks_seen == POSTERS * POSTS)
		sem_post(&done);
}

static void *poster(void *arg)
{
	struct numbered *mine = arg;

	for (int i = 0; i < POSTS; i++) {
		mine[i].number = i;
		mine[i].task.fn = numbered_run;
		gh_loop_post(loop, &mine[i].task);
		if (i % 1000 == 0)
			usleep(200); /* let the loop fall asleep now and then */
	}
	return NULL;
}

START_TEST(posts_of_many_threads_all_run_in_each_ones_order)
{
	pthread_t thread[POSTERS];

	start();
	ck_assert_uint_eq(gh_loop_index(loop), 3);
	ck_assert(!gh_loop_here(loop));
	for (int i = 0; i < POSTERS; i++) {
		for (int k = 0; k < POSTS; k++)
			numbered[i][k].poster = i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, poster, numbered[i]), 0);
	}
	wait_done();
	for (int i = 0; i < POSTERS; i++)
		pthread_join(thread[i], NULL);
}
END_TEST

static struct gh_task again;
static int rounds;

static void again_run(struct gh_task *t)
{
	if (++rounds < 1000)
		gh_loop_post(loop, t);
	else
		sem_post(&done);
}

START_TEST(a_task_may_post_itself_again)
{
	again.fn = again_run;
	gh_loop_post(loop, &again); /* before the start, too */
	start();
	wait_done();
	must_sleep();
}
END_TEST

static int ran;

static void count_run(struct gh_task *t)
{
	(void)t;
	ran++;
}

START_TEST(what_was_posted_runs_even_when_the_loop_stops)
{
	struct gh_task early = { .fn = count_run }, late = { .fn = count_run };

	start();
	gh_loop_post(loop, &early);
	gh_loop_stop(loop);
	usleep(50000);
	gh_loop_post(loop, &late);
	gh_loop_free(&loop);
	ck_assert_int_eq(ran, 2);
}
END_TEST

/* ---- timers ---- */

enum { TIMERS = 200 };

struct timed {
	struct gh_timer t;
	uint64_t from_ns, late_ns, after_ms;
};

static struct timed timed[TIMERS];
static int timers_left;
static struct gh_timer victim, repeat;
static int repeats;

static void timed_due(struct gh_timer *t, void *arg)
{
	struct timed *x = arg;
	uint64_t now = gh_mono_ns(), due = x->from_ns + x->after_ms * GH_MS_NS;

	ck_assert_ptr_eq(t, &x->t);
	ck_assert_msg(now >= due, "early");
	x->late_ns = now - due;
	if (--timers_left == 0)
		sem_post(&done);
}

static void timers_set(void)
{
	timers_left = TIMERS;
	for (int i = 0; i < TIMERS; i++) {
		struct timed *x = &timed[i];

		gh_timer_init(&x->t, timed_due, x);
		gh_timer_set(&x->t, loop, 100000);
		x->after_ms = (uint64_t)i * 2;
		x->from_ns = gh_mono_ns();
		gh_timer_set(&x->t, loop, x->after_ms); /* moved */
	}
}

START_TEST(timers_are_never_early_and_hardly_late)
{
	int on_time = 0;

	start();
	on_loop(timers_set);
	wait_done();
	/* At most two ticks late, says the contract; the machine may be busy, so most of them. */
	for (int i = 0; i < TIMERS; i++)
		on_time += timed[i].late_ns < 25 * GH_MS_NS;
	ck_assert_int_ge(on_time, TIMERS / 2);
	must_sleep();
}
END_TEST

static void never(struct gh_timer *t, void *arg)
{
	(void)t;
	(void)arg;
	ck_abort_msg("a cancelled timer was called");
}

static void repeat_due(struct gh_timer *t, void *arg)
{
	(void)arg;
	gh_timer_cancel(&victim);
	gh_timer_cancel(&victim);
	if (++repeats < 5)
		gh_timer_set(t, loop, 0);
	else
		sem_post(&done);
}

static void repeat_set(void)
{
	/* Both due in the same tick: the first cancels the second. */
	gh_timer_init(&repeat, repeat_due, NULL);
	gh_timer_init(&victim, never, NULL);
	gh_timer_cancel(&victim);
	gh_timer_set(&victim, loop, 100);
	gh_timer_set(&repeat, loop, 20);
	ck_assert_ptr_eq(repeat.loop, loop);
}

START_TEST(a_timer_may_set_itself_again_and_cancel_another)
{
	start();
	on_loop(repeat_set);
	wait_done();
	ck_assert_int_eq(repeats, 5);
	usleep(150000);
}
END_TEST

/* ---- descriptors ---- */

static int pair[2][2];
static struct gh_io io[2];
static int io_calls;

static void read_one(struct gh_io *i, unsigned ready, void *arg)
{
	char c;

	ck_assert_uint_eq(ready, GH_IO_READ);
	ck_assert_ptr_eq(arg, &pair);
	ck_assert_int_eq(read(i->fd, &c, 1), 1);
	if (++io_calls == 3)
		sem_post(&done);
}

static void pairs_make(void)
{
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair[i]), 0);
}

static void pairs_close(void)
{
	for (int i = 0; i < 2; i++) {
		gh_io_fini(&io[i]);
		close(pair[i][0]);
		close(pair[i][1]);
	}
}

static void read_begin(void)
{
	pairs_make();
	ck_assert_int_eq(gh_io_init(&io[0], loop, pair[0][0], read_one, &pair), GH_OK);
	ck_assert_int_eq(gh_io_want(&io[0], GH_IO_READ), GH_OK);
	ck_assert_int_eq(gh_io_want(&io[0], GH_IO_READ), GH_OK);
}

static void read_off(void)
{
	ck_assert_int_eq(gh_io_want(&io[0], 0), GH_OK);
}

START_TEST(reading_is_level_triggered_and_can_be_switched_off)
{
	start();
	on_loop(read_begin);
	must_sleep();
	ck_assert_int_eq(write(pair[0][1], "abc", 3), 3); /* one byte a call */
	wait_done();
	on_loop(read_off);
	ck_assert_int_eq(write(pair[0][1], "d", 1), 1);
	must_sleep();
	ck_assert_int_eq(io_calls, 3);
	on_loop(pairs_close);
}
END_TEST

/* Both are ready in the same pass; whoever comes first ends both and puts new ones in their place. */
static void end_both(struct gh_io *i, unsigned ready, void *arg)
{
	(void)i;
	(void)ready;
	(void)arg;
	io_calls++;
	pairs_close();
	memset(io, 0x5a, sizeof(io)); /* the structs are the caller's, and gone */
	pairs_make();
	for (int k = 0; k < 2; k++)
		ck_assert_int_eq(gh_io_init(&io[k], loop, pair[k][0], end_both, NULL), GH_OK);
	if (io_calls == 1) {
		ck_assert_int_eq(gh_io_want(&io[0], GH_IO_WRITE | GH_IO_HANGUP), GH_OK);
		ck_assert_int_eq(gh_io_want(&io[1], GH_IO_WRITE | GH_IO_HANGUP), GH_OK);
		shutdown(pair[0][1], SHUT_WR);
		shutdown(pair[1][1], SHUT_WR);
	} else {
		sem_post(&done);
	}
}

static void end_both_begin(void)
{
	pairs_make();
	for (int k = 0; k < 2; k++) {
		ck_assert_int_eq(gh_io_init(&io[k], loop, pair[k][0], end_both, NULL), GH_OK);
		ck_assert_int_eq(gh_io_want(&io[k], GH_IO_READ | GH_IO_HANGUP), GH_OK);
		ck_assert_int_eq(write(pair[k][1], "x", 1), 1);
		shutdown(pair[k][1], SHUT_WR);
	}
}

START_TEST(a_callback_may_end_itself_and_others_of_its_pass)
{
	start();
	on_loop(end_both_begin);
	wait_done();
	usleep(20000);
	ck_assert_int_eq(io_calls, 2);
	on_loop(pairs_close);
	must_sleep();
}
END_TEST

static int tcp[2];
static unsigned hangups;
static bool keep_wanting;

/* A connected pair of TCP sockets: only they can be reset. */
static void tcp_make(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(l, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&sa, &len), 0);
	tcp[1] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(tcp[1], (struct sockaddr *)&sa, len), 0);
	tcp[0] = accept(l, NULL, NULL);
	close(l);
}

static void hung_up(struct gh_io *i, unsigned ready, void *arg)
{
	(void)arg;
	ck_assert_uint_eq(ready, GH_IO_HANGUP);
	if (++hangups == 1)
		sem_post(&done);
	if (!keep_wanting || hangups == 3)
		ck_assert_int_eq(gh_io_want(i, 0), GH_OK);
}

static void hangup_begin(void)
{
	tcp_make();
	ck_assert_int_eq(gh_io_init(&io[0], loop, tcp[0], hung_up, NULL), GH_OK);
	ck_assert_int_eq(gh_io_want(&io[0], GH_IO_HANGUP), GH_OK);
}

static void hangup_end(void)
{
	gh_io_fini(&io[0]);
	gh_io_fini(&io[0]);
	close(tcp[0]);
}

START_TEST(a_half_close_is_a_hangup_although_nobody_reads)
{
	keep_wanting = true;
	start();
	on_loop(hangup_begin);
	ck_assert_int_eq(write(tcp[1], "unread", 6), 6);
	must_sleep(); /* data is no hangup */
	ck_assert_uint_eq(hangups, 0);
	shutdown(tcp[1], SHUT_WR);
	wait_done();
	usleep(50000);
	on_loop(hangup_end);
	ck_assert_uint_eq(hangups, 3); /* level-triggered until it is not wanted */
	close(tcp[1]);
}
END_TEST

START_TEST(a_reset_is_a_hangup_and_does_not_spin)
{
	struct linger cut = { .l_onoff = 1 };

	start();
	on_loop(hangup_begin);
	setsockopt(tcp[1], SOL_SOCKET, SO_LINGER, &cut, sizeof(cut));
	close(tcp[1]);
	wait_done();
	must_sleep();
	ck_assert_uint_eq(hangups, 1);
	on_loop(hangup_end);
}
END_TEST

static void bad_want(void)
{
	int fd = eventfd(0, 0);

	ck_assert_int_eq(gh_io_init(&io[0], loop, fd, read_one, NULL), GH_OK);
	close(fd);
	ck_assert_int_eq(gh_io_want(&io[0], GH_IO_HANGUP), GH_IO);
	ck_assert_uint_eq(io[0].want, 0);
	gh_io_fini(&io[0]);
}

START_TEST(a_descriptor_that_cannot_be_watched_is_said_so)
{
	start();
	on_loop(bad_want);
}
END_TEST

/* ---- engines ---- */

static struct gh_engine engine, other;
static atomic_int runs;
static int64_t timeout_ms = -1;
static int until = 1;

static int64_t engine_timeout(void *arg)
{
	(void)arg;
	return timeout_ms;
}

static void engine_run(void *arg)
{
	uint64_t n;
	ssize_t got = read(engine.fd, &n, sizeof(n));

	(void)arg;
	/* The first run needs no reason; after it, something must have been written, or time be up. */
	ck_assert(got > 0 || timeout_ms == 0 || atomic_load(&runs) == 0);
	if (++runs == until)
		sem_post(&done);
}

static void engine_add(void)
{
	engine = (struct gh_engine){ .fd = eventfd(0, EFD_NONBLOCK), .timeout_ms = engine_timeout, .run = engine_run };
	ck_assert_int_eq(gh_loop_add_engine(loop, &engine), GH_OK);
}

static void engine_remove(void)
{
	gh_loop_remove_engine(&engine);
	gh_loop_remove_engine(&engine);
	close(engine.fd);
}

START_TEST(an_engine_runs_when_readable_and_sleeps_otherwise)
{
	uint64_t one = 1;

	start();
	on_loop(engine_add);
	wait_done(); /* the first run */
	must_sleep();
	ck_assert_int_eq(atomic_load(&runs), 1);
	until = 2;
	ck_assert_int_eq(write(engine.fd, &one, sizeof(one)), sizeof(one));
	wait_done();
	must_sleep();
	ck_assert_int_eq(atomic_load(&runs), 2);
	on_loop(engine_remove);
}
END_TEST

static void busy_begin(void)
{
	timeout_ms = 0;
	engine_add();
}

static void busy_end(void)
{
	timeout_ms = -1;
}

static void busy_again(void)
{
	timeout_ms = 0;
	gh_engine_poke(&engine);
}

/* Its timeout is 0, so no pass waits; then it becomes readable, and stays so until the pass goes on to run it. */
START_TEST(a_pass_that_does_not_wait_ends_while_an_engine_is_readable)
{
	uint64_t one = 1;

	start();
	on_loop(busy_begin);
	wait_done();
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(write(engine.fd, &one, sizeof(one)), sizeof(one));
		usleep(1000); /* for the write to meet a poll rather than a run */
		on_loop(busy_end);
		on_loop(busy_again);
	}
	on_loop(busy_end);
	on_loop(engine_remove);
}
END_TEST

START_TEST(an_engine_that_is_always_ready_starves_nobody)
{
	start();
	on_loop(busy_begin);
	wait_done();
	on_loop(timers_set);
	wait_done();
	on_loop(read_begin);
	io_calls = 2;
	ck_assert_int_eq(write(pair[0][1], "a", 1), 1);
	wait_done();
	on_loop(busy_end);
	must_sleep();
	on_loop(engine_remove);
	on_loop(pairs_close);
}
END_TEST

static uint64_t asked_at;

static int64_t soon(void *arg)
{
	uint64_t now = gh_mono_ns();

	(void)arg;
	if (!asked_at)
		return -1;
	return now >= asked_at + 50 * GH_MS_NS ? 0 : (int64_t)((asked_at + 50 * GH_MS_NS - now) / GH_MS_NS + 1);
}

static void soon_run(void *arg)
{
	(void)arg;
	runs++;
	if (asked_at && gh_mono_ns() >= asked_at + 50 * GH_MS_NS) {
		asked_at = 0;
		sem_post(&done);
	}
}

static void soon_add(void)
{
	engine = (struct gh_engine){ .fd = eventfd(0, EFD_NONBLOCK), .timeout_ms = soon, .run = soon_run };
	asked_at = gh_mono_ns();
	ck_assert_int_eq(gh_loop_add_engine(loop, &engine), GH_OK);
}

START_TEST(an_engines_timeout_ends_the_sleep)
{
	uint64_t from = gh_mono_ns();

	start();
	on_loop(soon_add);
	wait_done();
	ck_assert_uint_ge(gh_mono_ns() - from, 50 * GH_MS_NS);
	ck_assert_int_le(atomic_load(&runs), 4); /* the first run, that one, and at most a rounding or two */
	on_loop(engine_remove);
}
END_TEST

/* An engine that pokes another behind it in the list, then takes itself out. */
static void leaving_run(void *arg)
{
	struct gh_engine *self = arg;

	gh_engine_poke(&engine);
	gh_loop_remove_engine(self);
	close(self->fd);
	memset(self, 0x5a, sizeof(*self));
}

static void leaving_add(void)
{
	engine_add();
	other = (struct gh_engine){ .fd = eventfd(0, EFD_NONBLOCK), .timeout_ms = engine_timeout, .run = leaving_run,
				    .arg = &other };
	ck_assert_int_eq(gh_loop_add_engine(loop, &other), GH_OK);
}

START_TEST(an_engine_may_poke_another_and_leave_while_it_runs)
{
	start();
	on_loop(leaving_add);
	wait_done();
	must_sleep();
	ck_assert_int_eq(atomic_load(&runs), 1);
	on_loop(engine_remove);
}
END_TEST

/* ---- RCU ---- */

static int *shared;

static void shared_look(void)
{
	ck_assert_int_ge(*gh_rcu_read(&shared), 0);
}

START_TEST(a_sleeping_loop_holds_no_grace_period_and_reads_safely)
{
	start();
	shared = calloc(1, sizeof(*shared));
	on_loop(shared_look);
	for (int i = 1; i < 50; i++) {
		int *old = shared, *new = malloc(sizeof(*new));

		*new = i;
		gh_rcu_publish(&shared, new);
		if (i % 2)
			on_loop(shared_look);
		gh_rcu_synchronize(); /* hangs, if the loop sleeps online */
		*old = -1;
		free(old);
	}
	free(shared);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop");
	TCase *t = tcase_create("loop");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, posts_of_many_threads_all_run_in_each_ones_order);
	tcase_add_test(t, a_task_may_post_itself_again);
	tcase_add_test(t, what_was_posted_runs_even_when_the_loop_stops);
	tcase_add_test(t, timers_are_never_early_and_hardly_late);
	tcase_add_test(t, a_timer_may_set_itself_again_and_cancel_another);
	tcase_add_test(t, reading_is_level_triggered_and_can_be_switched_off);
	tcase_add_test(t, a_callback_may_end_itself_and_others_of_its_pass);
	tcase_add_test(t, a_half_close_is_a_hangup_although_nobody_reads);
	tcase_add_test(t, a_reset_is_a_hangup_and_does_not_spin);
	tcase_add_test(t, a_descriptor_that_cannot_be_watched_is_said_so);
	tcase_add_test(t, an_engine_runs_when_readable_and_sleeps_otherwise);
	tcase_add_test(t, a_pass_that_does_not_wait_ends_while_an_engine_is_readable);
	tcase_add_test(t, an_engine_that_is_always_ready_starves_nobody);
	tcase_add_test(t, an_engines_timeout_ends_the_sleep);
	tcase_add_test(t, an_engine_may_poke_another_and_leave_while_it_runs);
	tcase_add_test(t, a_sleeping_loop_holds_no_grace_period_and_reads_safely);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
