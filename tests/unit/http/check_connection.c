/* Connections through the whole door: those that leave, are slow or idle, must log in, and are there when the house
 * closes. Every test ends with a check that nothing is left behind. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "tests/unit/http/service.h"

/* ---- clients that leave, deadlines ---- */

START_TEST(a_client_that_leaves_while_the_core_works_is_noticed)
{
	int fd = house_connect(&h);

	h.core->delay_ms[VFS_READ] = 2000;
	say(fd, GET("/a.txt"));
	house_sleep(150);
	close(fd);
	for (unsigned i = 0; i < 100 && !atomic_load(&h.core->detached); i++)
		house_sleep(10);
	ck_assert_uint_eq(atomic_load(&h.core->detached), 1);
	house_sleep(50);
	ck_assert_uint_eq(atomic_load(&gone), 1);
}
END_TEST

START_TEST(the_cores_deadline_is_a_504)
{
	int fd = house_connect(&h);

	h.core->fail[VFS_READ] = GH_DEADLINE;
	expect(fd, GET("/a.txt"), "GET", 504, "deadline");
	close(fd);
}
END_TEST

START_TEST(slow_headers_are_cut)
{
	int silent, slow;

	teardown();
	house_set("http.header_timeout", 300);
	setup();
	silent = house_connect(&h);
	slow = house_connect(&h);
	say(slow, "GET /t/a.txt HT");
	house_sleep(100);
	say(slow, "TP/1.1\r\nHo");
	ck_assert(closed_within(slow, 1000));
	ck_assert(closed_within(silent, 1000));
	close(slow);
	close(silent);
}
END_TEST

START_TEST(a_kept_connection_is_shut_after_its_time)
{
	uint64_t from;
	int fd;

	teardown();
	house_set("http.idle_timeout", 400);
	setup();
	fd = house_connect(&h);
	expect(fd, GET("/a.txt"), "GET", 200, "hello");
	from = gh_mono_ns();
	ck_assert(closed_within(fd, 4000));
	ck_assert_uint_ge(gh_mono_ns() - from, 350 * GH_MS_NS);
	close(fd);
}
END_TEST

START_TEST(a_body_that_trickles_is_cut)
{
	bool cut = false;
	int fd;

	teardown();
	house_set("http.body_timeout", 600);
	setup();
	fd = house_connect(&h);
	say(fd, "PUT /t/x HTTP/1.1\r\n" AS_ANN "Content-Length: 100000\r\n\r\n");
	for (unsigned i = 0; i < 40 && !cut; i++) {
		say(fd, "x");
		cut = closed_within(fd, 100);
	}
	ck_assert(cut);
	close(fd);
}
END_TEST

START_TEST(an_answer_that_nobody_reads_is_cut)
{
	int fd;
	static char huge[16 << 20];

	teardown();
	house_set("http.body_timeout", 600);
	setup();
	fake_put(h.core, "/huge", huge, sizeof(huge), 0);
	h.core->content_by_fd = true;
	fd = house_connect(&h);
	say(fd, GET("/huge"));
	house_sleep(3500);
	for (unsigned i = 0; i < 200 && atomic_load(&begun) != atomic_load(&gone); i++)
		house_sleep(10);
	ck_assert_uint_eq(atomic_load(&gone), 1); /* while the client still holds its end open */
	close(fd);
}
END_TEST

START_TEST(an_exchange_has_a_longest_time)
{
	int fd;

	teardown();
	house_set("http.total_timeout", 300);
	setup();
	h.core->delay_ms[VFS_READ] = 4000;
	fd = house_connect(&h);
	expect(fd, GET("/a.txt"), "GET", 504, "deadline");
	ck_assert(closed_within(fd, 1000));
	close(fd);
}
END_TEST

START_TEST(the_oldest_idle_connection_makes_room)
{
	int fds[6];

	teardown();
	house_set("http.idle_memory", 4 * 65536);
	setup();
	for (unsigned i = 0; i < 6; i++) {
		fds[i] = house_connect(&h);
		expect(fds[i], GET("/a.txt"), "GET", 200, "hello");
	}
	ck_assert(closed_within(fds[0], 1000));
	ck_assert(closed_within(fds[1], 1000));
	for (unsigned i = 2; i < 6; i++)
		expect(fds[i], GET("/a.txt"), "GET", 200, "hello");
	for (unsigned i = 0; i < 6; i++)
		close(fds[i]);
}
END_TEST

/* ---- logins, routes ---- */

START_TEST(a_login_is_asked_for_and_its_refusals_are_told_apart)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, "GET /t/a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
	hear(fd, "GET", &a);
	ck_assert_int_eq(a.status, 401);
	ck_assert_str_eq(heard_field(&a, "WWW-Authenticate"), "Basic realm=\"Gatehouse\", charset=\"UTF-8\"");
	unhear(&a);
	ck_assert_uint_eq(atomic_load(&h.core->submitted[VFS_LOGIN]), 0);
	expect(fd, "GET /t/a.txt HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YW5uOndyb25n\r\n\r\n", "GET", 401,
	       "unauth");
	expect(fd, "GET /t/a.txt HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YQBi\r\n\r\n", "GET", 400, "invalid");
	expect(fd, "GET /t/a.txt HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\n\r\n", "GET", 401, "unauth");
	h.core->fail[VFS_LOGIN] = GH_THROTTLED;
	say(fd, GET("/a.txt"));
	hear(fd, "GET", &a);
	ck_assert_int_eq(a.status, 429);
	ck_assert_ptr_nonnull(heard_field(&a, "Retry-After"));
	unhear(&a);
	h.core->fail[VFS_LOGIN] = GH_BUSY;
	say(fd, GET("/a.txt"));
	hear(fd, "GET", &a);
	ck_assert_int_eq(a.status, 503);
	ck_assert_ptr_nonnull(heard_field(&a, "Retry-After"));
	unhear(&a);
	close(fd);
}
END_TEST

START_TEST(what_needs_no_login_gets_none)
{
	int fd = house_connect(&h);
	struct heard a;

	expect(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", "GET", 200, "ok\n");
	expect(fd, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n", "GET", 200, "ok\n");
	expect(fd, "GET /elsewhere HTTP/1.1\r\nHost: h\r\n\r\n", "GET", 404, NULL);
	expect(fd, "GET /tt HTTP/1.1\r\nHost: h\r\n\r\n", "GET", 404, NULL);
	say(fd, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
	hear(fd, "OPTIONS", &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(heard_field(&a, "Allow"), "GET, HEAD, PUT, POST, OPTIONS");
	unhear(&a);
	say(fd, "DELETE /t/a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
	hear(fd, "DELETE", &a);
	ck_assert_int_eq(a.status, 405);
	ck_assert_str_eq(heard_field(&a, "Allow"), "GET, HEAD, PUT, POST, OPTIONS");
	unhear(&a);
	expect(fd, "GET /t/open HTTP/1.1\r\nHost: h\r\n\r\n", "GET", 401, NULL); /* begun without a session */
	close(fd);
}
END_TEST

/* ---- the end ---- */

START_TEST(draining_lets_transfers_end_and_refuses_new_work)
{
	int idle = house_connect(&h), busy = house_connect(&h);
	unsigned live = 0;
	struct heard a;

	expect(idle, GET("/a.txt"), "GET", 200, "hello");
	h.core->delay_ms[VFS_READ] = 300;
	say(busy, GET("/a.txt"));
	house_sleep(50);
	fe_http.drain(h.door, &live);
	ck_assert_uint_ge(live, 1); /* the idle one may be gone already */
	ck_assert(closed_within(idle, 1000));
	hear(busy, "GET", &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(heard_field(&a, "Connection"), "close");
	unhear(&a);
	ck_assert(closed_within(busy, 1000));
	for (unsigned i = 0; i < 100 && live; i++) {
		house_sleep(10);
		fe_http.drain(h.door, &live);
	}
	ck_assert_uint_eq(live, 0);
	close(idle);
	close(busy);
}
END_TEST

static unsigned sockets_open(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++) {
		int type;
		socklen_t len = sizeof(type);

		n += getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
	}
	return n;
}

/* An answer that is cut, or ends its connection, in a call that follows a wait. hear_it: else the client resets. */
static void ends_after_a_wait(const char *request, bool hear_it)
{
	const struct linger reset = { .l_onoff = 1 };
	unsigned before = sockets_open();
	int fd = house_connect(&h);
	struct heard a;

	say(fd, request);
	if (hear_it) {
		hear(fd, "GET", &a);
		unhear(&a);
	} else {
		house_sleep(100);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
	close(fd);
	for (unsigned i = 0; i < 100 && sockets_open() > before; i++)
		house_sleep(10);
	ck_assert_uint_eq(sockets_open(), before);
}

START_TEST(an_answer_that_ends_after_a_wait_gives_its_socket_back)
{
	h.core->pull_wait_ms = 1;
	h.core->damage_at = 500000;
	ends_after_a_wait(GET("/big"), true);
	h.core->delay_ms[VFS_STAT] = 1;
	ends_after_a_wait(GET("/stream?fail"), true);
	ends_after_a_wait("GET /t/stream HTTP/1.0\r\n" AS_ANN "\r\n", true);
	h.core->delay_ms[VFS_STAT] = 200;
	ends_after_a_wait(GET("/stream"), false);
}
END_TEST

START_TEST(quiescing_answers_what_still_waits)
{
	int waiting = house_connect(&h), streaming = house_connect(&h), uploading = house_connect(&h);
	unsigned live;
	struct heard a;

	h.core->delay_ms[VFS_READ] = h.core->delay_ms[VFS_STAT] = 1000;
	say(waiting, GET("/a.txt"));
	say(streaming, GET("/stream"));
	say(uploading, "PUT /t/u HTTP/1.1\r\n" AS_ANN "Content-Length: 10\r\n\r\nhalf");
	house_sleep(100);
	fe_http.drain(h.door, &live);
	while (!house_quiesce(&h))
		house_sleep(1);
	hear(waiting, "GET", &a);
	ck_assert_int_eq(a.status, 503);
	ck_assert_str_eq(heard_field(&a, "Connection"), "close");
	ck_assert_ptr_nonnull(heard_field(&a, "Retry-After"));
	unhear(&a);
	hear(streaming, "GET", &a);
	ck_assert(a.cut || !a.status);
	unhear(&a);
	ck_assert(closed_within(uploading, 1000));
	close(waiting);
	close(streaming);
	close(uploading);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("connection");
	TCase *t = group(s, "deadlines");

	tcase_add_test(t, a_client_that_leaves_while_the_core_works_is_noticed);
	tcase_add_test(t, the_cores_deadline_is_a_504);
	tcase_add_test(t, slow_headers_are_cut);
	tcase_add_test(t, a_kept_connection_is_shut_after_its_time);
	tcase_add_test(t, a_body_that_trickles_is_cut);
	tcase_add_test(t, an_answer_that_nobody_reads_is_cut);
	tcase_add_test(t, an_exchange_has_a_longest_time);
	tcase_add_test(t, the_oldest_idle_connection_makes_room);
	t = group(s, "doors");
	tcase_add_test(t, a_login_is_asked_for_and_its_refusals_are_told_apart);
	tcase_add_test(t, what_needs_no_login_gets_none);
	tcase_add_test(t, draining_lets_transfers_end_and_refuses_new_work);
	tcase_add_test(t, an_answer_that_ends_after_a_wait_gives_its_socket_back);
	tcase_add_test(t, quiescing_answers_what_still_waits);
	return run_suite(s);
}
