/* The doorstep in front of balancers: who the door is told about, what it finds in the socket, who is counted. Real sockets
 * on loopback, whose addresses 127.0.0.1 (trusted) and 127.0.0.2 (not) are both ours. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/metrics.h"
#include "core/run/doorstep.h"
#include "core/run/preface.h"

enum { KEPT = 64, REFUSED_ADDRESS = 0, REFUSED_HEADER = 3 };

static struct gh_loop *loop;
static struct gh_doorstep *doorstep;
static char address[64], err[200];
static sem_t admitted;
static struct kept {
	int fd;
	struct gh_peer peer;
	struct gh_ticket *ticket;
} kept[KEPT];
static unsigned kept_count;

static void admit(void *door, struct gh_loop *l, int fd, const struct gh_peer *peer, struct gh_ticket *ticket)
{
	ck_assert(gh_loop_here(l));
	ck_assert_uint_lt(kept_count, KEPT);
	kept[kept_count++] = (struct kept){ fd, *peer, ticket };
	sem_post(&admitted);
}

static void setup(void)
{
	struct gh_doorstep_limits limits = { .per_address = 3 };
	struct gh_nets trusted;

	ck_assert_int_eq(gh_nets_parse("127.0.0.1", &trusted, err, sizeof(err)), GH_OK);
	limits.trusted = &trusted;
	kept_count = 0;
	sem_init(&admitted, 0, 0);
	ck_assert_int_eq(gh_loop_new(0, &loop), GH_OK);
	ck_assert_int_eq(gh_loop_start(loop), GH_OK);
	ck_assert_int_eq(gh_doorstep_new(&loop, 1, &limits, &doorstep), GH_OK);
	ck_assert_int_eq(gh_doorstep_listen(doorstep, "127.0.0.1:0", 2, admit, &admitted, address, err, sizeof(err)), GH_OK);
}

static void teardown(void)
{
	gh_doorstep_free(&doorstep);
	while (kept_count) {
		close(kept[--kept_count].fd);
		gh_ticket_return(&kept[kept_count].ticket);
	}
	gh_loop_free(&loop);
}

static int dial(const char *from)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(inet_pton(AF_INET, from, &local.sin_addr), 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	ck_assert_int_eq(gh_addr_parse(address, &ss, &len), GH_OK);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static struct kept *wait_admitted(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 30;
	ck_assert_msg(sem_timedwait(&admitted, &ts) == 0, "not admitted within 30 s");
	return &kept[kept_count - 1];
}

/* Closed within that time? Also where bytes of ours were never read, which is a reset. */
static bool closed_on_us(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	return poll(&p, 1, wait_ms) == 1 && recv(fd, &c, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN;
}

static void finds(const struct kept *k, const char *text)
{
	struct pollfd p = { .fd = k->fd, .events = POLLIN };
	char got[256];

	ck_assert_int_eq(poll(&p, 1, 30000), 1);
	ck_assert_int_eq(recv(k->fd, got, sizeof(got), 0), (ssize_t)strlen(text));
	ck_assert(!memcmp(got, text, strlen(text)));
}

START_TEST(the_door_is_told_the_client_and_finds_what_the_client_sent)
{
	int fd = dial("127.0.0.1");
	char reached[INET_ADDRSTRLEN];
	struct kept *k;

	say(fd, "PROXY TCP4 192.0.2.7 198.51.100.2 4711 80\r\nUSER ann\r\n");
	k = wait_admitted();
	ck_assert_str_eq(k->peer.text, "192.0.2.7");
	ck_assert_uint_eq(k->peer.port, 4711);
	ck_assert(k->peer.proxied);
	inet_ntop(AF_INET, &((struct sockaddr_in *)&k->peer.reached)->sin_addr, reached, sizeof(reached));
	ck_assert_str_eq(reached, "198.51.100.2");
	finds(k, "USER ann\r\n");
	close(fd);
}
END_TEST

START_TEST(a_header_may_come_byte_by_byte)
{
	const char *text = "PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\nGET";
	int fd = dial("127.0.0.1");
	struct kept *k;

	for (; *text != 'G'; text++) {
		char one[2] = { *text, '\0' };

		ck_assert_uint_eq(kept_count, 0);
		say(fd, one);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	k = wait_admitted();
	ck_assert_str_eq(k->peer.text, "2001:db8::7");
	say(fd, text);
	finds(k, "GET");
	close(fd);
}
END_TEST

START_TEST(a_balancer_that_comes_for_itself_is_the_client)
{
	int fd = dial("127.0.0.1");
	struct kept *k;

	say(fd, "PROXY UNKNOWN\r\n");
	k = wait_admitted();
	ck_assert_str_eq(k->peer.text, "127.0.0.1");
	ck_assert(!k->peer.proxied);
	close(fd);
}
END_TEST

START_TEST(from_elsewhere_a_header_is_what_the_client_sent)
{
	const char *text = "PROXY TCP4 192.0.2.7 198.51.100.2 4711 80\r\n";
	int fd = dial("127.0.0.2");
	struct kept *k = wait_admitted(); /* before it has said a word */

	say(fd, text);
	ck_assert_str_eq(k->peer.text, "127.0.0.2");
	ck_assert(!k->peer.proxied);
	finds(k, text);
	close(fd);
}
END_TEST

/* The client sees its end a moment before it is counted. */
static void wait_open(unsigned want)
{
	for (unsigned i = 0; gh_doorstep_open(doorstep) != want && i < 10000; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert_uint_eq(gh_doorstep_open(doorstep), want);
}

START_TEST(clients_are_counted_and_their_balancer_is_not)
{
	int fd[12];

	for (int i = 0; i < 10; i++) {
		char text[80];

		fd[i] = dial("127.0.0.1");
		snprintf(text, sizeof(text), "PROXY TCP4 192.0.2.%d 198.51.100.2 4711 80\r\n", i / 3);
		say(fd[i], text);
		wait_admitted();
	}
	ck_assert_uint_eq(gh_doorstep_open(doorstep), 10);
	fd[10] = dial("127.0.0.1");
	say(fd[10], "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n");
	ck_assert(closed_on_us(fd[10], 30000));
	ck_assert_int_eq(gh_metric_get(GH_M_DOORSTEP_REFUSED, REFUSED_ADDRESS), 1);
	wait_open(10);
	fd[11] = dial("127.0.0.1");
	say(fd[11], "PROXY TCP4 192.0.2.3 198.51.100.2 4711 80\r\n"); /* had one */
	wait_admitted();
	for (int i = 0; i < 12; i++)
		close(fd[i]);
}
END_TEST

START_TEST(what_begins_otherwise_is_closed_and_counted)
{
	int fd = dial("127.0.0.1");

	say(fd, "GET / HTTP/1.1\r\n\r\n");
	ck_assert(closed_on_us(fd, PREFACE_MS / 2));
	close(fd);
	fd = dial("127.0.0.1");
	say(fd, "PROXY TCP4 ");
	shutdown(fd, SHUT_WR);
	ck_assert(closed_on_us(fd, PREFACE_MS / 2));
	close(fd);
	ck_assert_int_eq(gh_metric_get(GH_M_DOORSTEP_REFUSED, REFUSED_HEADER), 2);
	fd = dial("127.0.0.1"); /* is somebody there? */
	shutdown(fd, SHUT_WR);
	ck_assert(closed_on_us(fd, PREFACE_MS / 2));
	close(fd);
	ck_assert_int_eq(gh_metric_get(GH_M_DOORSTEP_REFUSED, REFUSED_HEADER), 2);
	wait_open(0);
	ck_assert_uint_eq(kept_count, 0);
}
END_TEST

START_TEST(who_says_nothing_is_counted_meanwhile_and_closed_in_the_end)
{
	int silent = dial("127.0.0.1"), slow = dial("127.0.0.1");

	say(slow, "PROXY TCP4 192.0.2.1");
	while (gh_doorstep_open(doorstep) < 2)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert(!closed_on_us(silent, 200));
	ck_assert(closed_on_us(silent, 30000));
	ck_assert(closed_on_us(slow, 30000));
	ck_assert_int_eq(gh_metric_get(GH_M_DOORSTEP_REFUSED, REFUSED_HEADER), 2);
	wait_open(0);
	close(silent);
	close(slow);
}
END_TEST

START_TEST(shutting_ends_those_that_have_not_said_who_they_are)
{
	int silent = dial("127.0.0.1"), fd = dial("127.0.0.1");

	say(fd, "PROXY UNKNOWN\r\n");
	wait_admitted();
	while (gh_doorstep_open(doorstep) < 2)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	gh_doorstep_shut(doorstep);
	ck_assert(closed_on_us(silent, 1000));
	ck_assert(!closed_on_us(fd, 50));
	wait_open(1);
	close(silent);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("balancers");
	TCase *t = tcase_create("doorstep");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_door_is_told_the_client_and_finds_what_the_client_sent);
	tcase_add_test(t, a_header_may_come_byte_by_byte);
	tcase_add_test(t, a_balancer_that_comes_for_itself_is_the_client);
	tcase_add_test(t, from_elsewhere_a_header_is_what_the_client_sent);
	tcase_add_test(t, clients_are_counted_and_their_balancer_is_not);
	tcase_add_test(t, what_begins_otherwise_is_closed_and_counted);
	tcase_add_test(t, who_says_nothing_is_counted_meanwhile_and_closed_in_the_end);
	tcase_add_test(t, shutting_ends_those_that_have_not_said_who_they_are);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
