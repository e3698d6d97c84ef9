/* The doorstep: addresses, limits per address and in total, running out of descriptors, shutting. Real sockets on
 * loopback, ports from the kernel. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/run/doorstep.h"
#include "core/run/tickets.h"

/* ---- addresses ---- */

static const char *round_trip(const char *text)
{
	static char out[80];
	struct sockaddr_storage ss;
	struct gh_peer p;
	socklen_t len;

	if (gh_addr_parse(text, &ss, &len) != GH_OK)
		return "refused";
	gh_peer_init(&p, (struct sockaddr *)&ss, len);
	ck_assert_uint_eq(p.addr_len, len);
	snprintf(out, sizeof(out), "%s %u", p.text, p.port);
	return out;
}

START_TEST(addresses_are_numbers_with_a_port)
{
	ck_assert_str_eq(round_trip("127.0.0.1:8080"), "127.0.0.1 8080");
	ck_assert_str_eq(round_trip("[::1]:0"), "::1 0");
	ck_assert_str_eq(round_trip(":65535"), ":: 65535");
	ck_assert_str_eq(round_trip("[::ffff:10.0.0.1]:1"), "10.0.0.1 1");
	ck_assert_str_eq(round_trip("127.0.0.1"), "refused");
	ck_assert_str_eq(round_trip("127.0.0.1:"), "refused");
	ck_assert_str_eq(round_trip("127.0.0.1:65536"), "refused");
	ck_assert_str_eq(round_trip("127.0.0.1:-1"), "refused");
	ck_assert_str_eq(round_trip("127.0.0.1:80x"), "refused");
	ck_assert_str_eq(round_trip("localhost:80"), "refused");
	ck_assert_str_eq(round_trip("::1:80"), "refused");
	ck_assert_str_eq(round_trip("[::1:80"), "refused");
	ck_assert_str_eq(round_trip("[]:80"), "refused");
	ck_assert_str_eq(round_trip("[127.0.0.1]:80"), "refused");
	ck_assert_str_eq(round_trip(""), "refused");
	ck_assert_str_eq(round_trip("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:80"), "refused");
}
END_TEST

/* ---- tickets ---- */

static enum ticket_refusal take(struct tickets *t, const char *text, struct gh_ticket **ret)
{
	struct sockaddr_storage ss;
	socklen_t len;

	ck_assert_int_eq(gh_addr_parse(text, &ss, &len), GH_OK);
	return tickets_take(t, (struct sockaddr *)&ss, 1, ret);
}

START_TEST(one_network_of_ipv6_and_one_address_of_ipv4_are_counted_together)
{
	struct tickets *t = tickets_new(2, 100);
	struct gh_ticket *k[8] = { NULL };

	ck_assert_int_eq(take(t, "[2001:db8:1:2::1]:1", &k[0]), TICKET_GIVEN);
	ck_assert_int_eq(take(t, "[2001:db8:1:2:ffff::9]:2", &k[1]), TICKET_GIVEN);
	ck_assert_int_eq(take(t, "[2001:db8:1:2::1]:3", &k[2]), TICKET_ADDRESS_LIMIT);
	ck_assert_int_eq(take(t, "[2001:db8:1:3::1]:3", &k[2]), TICKET_GIVEN);
	ck_assert_int_eq(take(t, "10.0.0.1:1", &k[3]), TICKET_GIVEN);
	ck_assert_int_eq(take(t, "[::ffff:10.0.0.1]:1", &k[4]), TICKET_GIVEN);
	ck_assert_int_eq(take(t, "10.0.0.1:1", &k[5]), TICKET_ADDRESS_LIMIT);
	ck_assert_int_eq(take(t, "10.0.0.2:1", &k[5]), TICKET_GIVEN);
	ck_assert_uint_eq(tickets_out(t), 6);
	ck_assert_int_eq(gh_metric_get(GH_M_CONNECTIONS, 1), 6);
	gh_ticket_return(&k[3]);
	ck_assert_ptr_null(k[3]);
	gh_ticket_return(&k[3]);
	ck_assert_int_eq(take(t, "10.0.0.1:1", &k[3]), TICKET_GIVEN);
	/* A ticket may come back after its doorstep is gone. */
	tickets_unref(t);
	for (int i = 0; i < 8; i++)
		gh_ticket_return(&k[i]);
	ck_assert_int_eq(gh_metric_get(GH_M_CONNECTIONS, 1), 0);
}
END_TEST

START_TEST(the_total_is_a_limit_too)
{
	struct tickets *t = tickets_new(10, 3);
	struct gh_ticket *k[3], *more;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(take(t, "10.0.0.1:1", &k[i]), TICKET_GIVEN);
	ck_assert_int_eq(take(t, "10.9.9.9:1", &more), TICKET_TOTAL_LIMIT);
	ck_assert_uint_eq(tickets_out(t), 3);
	for (int i = 0; i < 3; i++)
		gh_ticket_return(&k[i]);
	tickets_unref(t);
}
END_TEST

static struct tickets *busy;

static void *take_and_return(void *arg)
{
	struct gh_ticket *k;
	char text[32];

	for (unsigned i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "10.0.%u.%u:1", *(unsigned *)arg % 2, i % 50);
		if (take(busy, text, &k) == TICKET_GIVEN)
			gh_ticket_return(&k);
	}
	return NULL;
}

START_TEST(tickets_balance_over_threads)
{
	unsigned number[4] = { 0, 1, 2, 3 };
	pthread_t thread[4];

	busy = tickets_new(1, 3);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, take_and_return, &number[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(tickets_out(busy), 0);
	tickets_unref(busy);
}
END_TEST

/* ---- the whole ---- */

enum { LOOPS = 2, KEPT = 4096 };

static struct gh_loop *loops[LOOPS];
static struct gh_doorstep *doorstep;
static char address[64], err[200];
static sem_t admitted;
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept {
	int fd;
	struct gh_ticket *ticket;
} kept[KEPT];
static unsigned kept_count;

/* Keeps the connection until kept_drop. */
static void admit(void *door, struct gh_loop *l, int fd, const struct gh_peer *peer, struct gh_ticket *ticket)
{
	ck_assert_ptr_eq(door, &admitted);
	ck_assert(gh_loop_here(l));
	ck_assert_str_eq(peer->text, "127.0.0.1");
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	pthread_mutex_lock(&kept_lock);
	ck_assert_uint_lt(kept_count, KEPT);
	kept[kept_count++] = (struct kept){ fd, ticket };
	pthread_mutex_unlock(&kept_lock);
	sem_post(&admitted);
}

static void kept_drop(void)
{
	pthread_mutex_lock(&kept_lock);
	while (kept_count) {
		close(kept[--kept_count].fd);
		gh_ticket_return(&kept[kept_count].ticket);
	}
	pthread_mutex_unlock(&kept_lock);
}

static void open_limited(const struct gh_doorstep_limits *limits, unsigned loop_count, bool start_first)
{
	sem_init(&admitted, 0, 0);
	for (unsigned i = 0; i < LOOPS; i++)
		ck_assert_int_eq(gh_loop_new(i, &loops[i]), GH_OK);
	for (unsigned i = 0; i < LOOPS && start_first; i++)
		ck_assert_int_eq(gh_loop_start(loops[i]), GH_OK);
	ck_assert_int_eq(gh_doorstep_new(loops, loop_count, limits, &doorstep), GH_OK);
	ck_assert_int_eq(gh_doorstep_listen(doorstep, "127.0.0.1:0", 2, admit, &admitted, address, err, sizeof(err)), GH_OK);
	for (unsigned i = 0; i < LOOPS && !start_first; i++)
		ck_assert_int_eq(gh_loop_start(loops[i]), GH_OK);
}

static void open_house(unsigned per_address, bool start_first)
{
	open_limited(&(struct gh_doorstep_limits){ .per_address = per_address }, LOOPS, start_first);
}

static void close_house(void)
{
	gh_doorstep_free(&doorstep);
	kept_drop();
	for (unsigned i = 0; i < LOOPS; i++)
		gh_loop_free(&loops[i]);
}

static int dial(void)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(gh_addr_parse(address, &ss, &len), GH_OK);
	if (connect(fd, (struct sockaddr *)&ss, len) == 0)
		return fd;
	close(fd);
	return -1;
}

static void wait_admitted(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 30;
	ck_assert_msg(sem_timedwait(&admitted, &ts) == 0, "not admitted within 30 s");
}

/* Did the other side close before it sent a byte? */
static bool closed_on_us(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	return poll(&p, 1, wait_ms) == 1 && recv(fd, &c, 1, MSG_DONTWAIT) <= 0;
}

START_TEST(connections_are_counted_and_handed_over_on_a_loop)
{
	int fd[20], extra;

	open_house(20, _i);
	ck_assert_str_ne(address, "127.0.0.1:0");
	for (int i = 0; i < 20; i++) {
		fd[i] = dial();
		wait_admitted();
	}
	ck_assert_uint_eq(gh_doorstep_open(doorstep), 20);
	ck_assert_int_eq(gh_metric_get(GH_M_ACCEPTED, 2), 20);
	ck_assert_int_eq(gh_metric_get(GH_M_CONNECTIONS, 2), 20);
	extra = dial();
	ck_assert(closed_on_us(extra, 30000));
	close(extra);
	ck_assert_int_eq(gh_metric_get(GH_M_DOORSTEP_REFUSED, 0), 1);
	kept_drop();
	ck_assert_uint_eq(gh_doorstep_open(doorstep), 0);
	extra = dial();
	wait_admitted();
	close(extra);
	for (int i = 0; i < 20; i++)
		close(fd[i]);
	close_house();
}
END_TEST

START_TEST(above_the_total_they_wait_where_the_door_makes_room_by_itself)
{
	struct gh_doorstep_limits limits = { .per_address = 3, .total = 3, .full_waits = true };
	int fd[3], last;

	open_limited(&limits, 1, true);
	for (int i = 0; i < 3; i++) {
		fd[i] = dial();
		wait_admitted();
	}
	last = dial();
	ck_assert(!closed_on_us(last, 300));
	ck_assert_uint_eq(gh_doorstep_open(doorstep), 3);
	ck_assert_int_eq(gh_metric_get(GH_M_DOORSTEP_REFUSED, 0) + gh_metric_get(GH_M_DOORSTEP_REFUSED, 1), 0);
	kept_drop();
	wait_admitted();
	close(last);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	close_house();
}
END_TEST

START_TEST(after_shutting_nobody_is_accepted_and_old_connections_stay)
{
	int fd;

	open_house(0, true);
	fd = dial();
	wait_admitted();
	gh_doorstep_shut(doorstep);
	gh_doorstep_shut(doorstep);
	ck_assert_int_eq(dial(), -1);
	ck_assert(!closed_on_us(fd, 50));
	ck_assert_uint_eq(gh_doorstep_open(doorstep), 1);
	close(fd);
	close_house();
}
END_TEST

START_TEST(a_port_that_somebody_listens_on_is_refused_by_name)
{
	struct gh_doorstep *second;
	char got[64];

	open_house(0, true);
	ck_assert_int_eq(gh_doorstep_new(loops, LOOPS, NULL, &second), GH_OK);
	ck_assert_int_eq(gh_doorstep_listen(second, address, 2, admit, NULL, got, err, sizeof(err)), GH_IO);
	ck_assert_ptr_nonnull(strstr(err, address));
	ck_assert_ptr_nonnull(strstr(err, strerror(EADDRINUSE)));
	ck_assert_int_eq(gh_doorstep_listen(second, "nonsense", 2, admit, NULL, got, err, sizeof(err)), GH_INVALID);
	ck_assert_ptr_nonnull(strstr(err, "nonsense"));
	ck_assert_int_eq(gh_doorstep_listen(second, ":0", 2, admit, NULL, got, err, sizeof(err)), GH_OK);
	gh_doorstep_free(&second);
	close_house();
}
END_TEST

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * GH_S_NS + (uint64_t)ts.tv_nsec;
}

/* Not through dial(): the socket is made while there still are descriptors. */
static void dial_with(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len;

	ck_assert_int_eq(gh_addr_parse(address, &ss, &len), GH_OK);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
}

static void admits_again(void)
{
	int admissions = 0;

	for (int i = 0; i < 100 && !admissions; i++) {
		int client = dial();

		usleep(20000);
		admissions += sem_trywait(&admitted) == 0;
		close(client);
	}
	ck_assert_int_gt(admissions, 0);
}

START_TEST(out_of_descriptors_a_client_is_closed_instead_of_left_waiting)
{
	struct rlimit rl = { .rlim_cur = 128, .rlim_max = 128 };
	int hog[512], hogs = 0, client;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	open_house(0, true);
	client = socket(AF_INET, SOCK_STREAM, 0);
	while ((hog[hogs] = open("/dev/null", O_RDONLY)) >= 0)
		hogs++;
	ck_assert_int_eq(errno, EMFILE);
	/* Accepting needs one more, which only the reserve has. */
	dial_with(client);
	ck_assert(closed_on_us(client, 30000));
	ck_assert_int_ge(gh_metric_get(GH_M_DOORSTEP_REFUSED, 2), 1);
	close(client);
	while (hogs)
		close(hog[--hogs]);
	admits_again();
	close_house();
}
END_TEST

START_TEST(when_even_the_reserve_does_not_help_it_rests_and_comes_back)
{
	struct rlimit rl = { .rlim_cur = 128, .rlim_max = 128 };
	uint64_t cpu;
	int client;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	open_house(0, true);
	client = socket(AF_INET, SOCK_STREAM, 0);
	/* Below what is open already: no number is free, not even the one that the reserve gives back. */
	rl.rlim_cur = 4;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	dial_with(client);
	cpu = cpu_ns();
	usleep(500000);
	ck_assert_uint_lt(cpu_ns() - cpu, 100 * GH_MS_NS);
	/* Every tenth of a second a look, on the one loop that has the client. */
	ck_assert_int_ge(gh_metric_get(GH_M_DOORSTEP_REFUSED, 2), 2);
	ck_assert_int_le(gh_metric_get(GH_M_DOORSTEP_REFUSED, 2), 7);
	rl.rlim_cur = 128;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	wait_admitted(); /* it had waited in the queue */
	close(client);
	admits_again();
	close_house();
}
END_TEST

START_TEST(the_last_descriptors_are_kept_for_the_stores)
{
	struct rlimit rl = { .rlim_cur = 100, .rlim_max = 100 };
	int fd[100], n = 0, files = 0;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	open_house(0, true);
	/* The clients are of this process too: each connection takes two. The total limit is 75. */
	while (n < 100 && (fd[n] = dial()) >= 0 && !closed_on_us(fd[n], 100))
		n++;
	ck_assert_int_eq(gh_metric_get(GH_M_DOORSTEP_REFUSED, 2), 1);
	while (files < 30 && open("/dev/null", O_RDONLY) >= 0)
		files++;
	ck_assert_int_ge(files, 20); /* 25 less the one or two that the client's side has taken */
	for (int i = 0; i < n; i++)
		close(fd[i]);
	close_house();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("doorstep");
	TCase *t = tcase_create("doorstep");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, addresses_are_numbers_with_a_port);
	tcase_add_test(t, one_network_of_ipv6_and_one_address_of_ipv4_are_counted_together);
	tcase_add_test(t, the_total_is_a_limit_too);
	tcase_add_test(t, tickets_balance_over_threads);
	tcase_add_loop_test(t, connections_are_counted_and_handed_over_on_a_loop, 0, 2);
	tcase_add_test(t, above_the_total_they_wait_where_the_door_makes_room_by_itself);
	tcase_add_test(t, after_shutting_nobody_is_accepted_and_old_connections_stay);
	tcase_add_test(t, a_port_that_somebody_listens_on_is_refused_by_name);
	tcase_add_test(t, out_of_descriptors_a_client_is_closed_instead_of_left_waiting);
	tcase_add_test(t, when_even_the_reserve_does_not_help_it_rests_and_comes_back);
	tcase_add_test(t, the_last_descriptors_are_kept_for_the_stores);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
