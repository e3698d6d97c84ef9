/* What connections hear when rules change while they are open, and when they are ended by name: the words where an answer
 * can still be given, a cut where part of one could be taken for the whole, nothing where it does not concern them. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/http/service.h"

#define PUT_HEAD(length) "PUT /t/a.txt HTTP/1.1\r\n" AS_ANN "Content-Length: " length "\r\n\r\n"

static void rule(enum gh_status st)
{
	fake_live_rule(st, "words");
	fake_live_tell(h.loop);
}

/* The refusal, with when to come again; fd is closed. */
static void hears(int fd, const char *method, const char *reason)
{
	struct heard a;

	hear(fd, method, &a);
	ck_assert_msg(a.status == 503, "%d: %s%s", a.status, a.head, a.body);
	ck_assert_str_eq(a.body, reason);
	ck_assert_str_eq(heard_field(&a, "Retry-After"), "17");
	unhear(&a);
	close(fd);
}

static bool is_old(void)
{
	size_t len;
	const char *now = fake_get(h.core, "/a.txt", &len);

	return now && len == 5 && !memcmp(now, "hello", 5);
}

/* A download under way of which a first part was read, its head among it. */
static int downloading(void)
{
	static char first[1024];
	int fd = house_connect(&h);

	h.core->pull_wait_ms = 5;
	say(fd, GET("/big"));
	ck_assert_int_eq(recv(fd, first, sizeof(first), MSG_WAITALL), (ssize_t)sizeof(first));
	return fd;
}

static bool ends_short(int fd)
{
	static char rest[sizeof(big)];
	size_t n = 1024;
	ssize_t got;

	while (n < sizeof(big) && (got = recv(fd, rest, sizeof(rest), 0)) > 0)
		n += (size_t)got;
	close(fd);
	return n < sizeof(big);
}

START_TEST(a_shut_door_refuses_before_it_asks_for_a_password)
{
	int fd = house_connect(&h);

	fake_live_shut(GH_OFF, "words");
	say(fd, "GET /t/a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
	hears(fd, "GET", "off");
	fd = house_connect(&h);
	expect(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", "GET", 200, "ok\n"); /* that is no door */
	close(fd);
}
END_TEST

START_TEST(an_idle_connection_stays_and_its_next_request_hears_the_words)
{
	int fd = house_connect(&h);

	expect(fd, GET("/a.txt"), "GET", 200, "hello");
	rule(GH_OFF);
	fake_live_shut(GH_OFF, "words");
	say(fd, GET("/a.txt"));
	hears(fd, "GET", "off");
}
END_TEST

START_TEST(a_request_that_waits_for_the_core_is_answered_with_the_words)
{
	int fd = house_connect(&h);

	h.core->delay_ms[VFS_READ] = 1000;
	say(fd, GET("/a.txt"));
	while (!atomic_load(&h.core->submitted[VFS_READ]))
		house_sleep(2);
	rule(GH_OFF);
	hears(fd, "GET", "off");
	ck_assert_uint_eq(atomic_load(&h.core->detached), 1);
}
END_TEST

START_TEST(a_login_under_way_is_answered_too)
{
	int fd = house_connect(&h);

	h.core->delay_ms[VFS_LOGIN] = 1000;
	say(fd, GET("/a.txt"));
	while (!atomic_load(&h.core->submitted[VFS_LOGIN]))
		house_sleep(2);
	rule(GH_OFF);
	hears(fd, "GET", "off");
}
END_TEST

START_TEST(an_upload_is_refused_in_the_middle_of_its_body_and_stores_nothing)
{
	int fd = house_connect(&h);

	say(fd, PUT_HEAD("100000"));
	say_bytes(fd, big, 50000);
	house_sleep(50);
	rule(GH_OFF);
	hears(fd, "PUT", "off");
	ck_assert(is_old());
}
END_TEST

START_TEST(a_client_that_goes_on_sending_after_that_is_let_down_gently)
{
	int fd = house_connect(&h);

	say(fd, PUT_HEAD("1000000"));
	say_bytes(fd, big, 50000);
	house_sleep(50);
	rule(GH_OFF);
	/* It has not looked at the answer yet: no reset may overtake that. */
	for (unsigned i = 0; i < 10; i++)
		(void)!send(fd, big, 4096, MSG_NOSIGNAL);
	hears(fd, "PUT", "off");
}
END_TEST

START_TEST(a_client_that_falls_silent_after_that_is_cut)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, PUT_HEAD("100000"));
	say_bytes(fd, big, 50000);
	house_sleep(50);
	rule(GH_OFF);
	hear(fd, "PUT", &a);
	ck_assert_int_eq(a.status, 503);
	unhear(&a);
	ck_assert(closed_within(fd, 3000));
	close(fd);
}
END_TEST

START_TEST(read_only_refuses_uploads_and_leaves_the_rest_alone)
{
	int up = house_connect(&h), down = downloading();

	say(up, PUT_HEAD("100000"));
	say_bytes(up, big, 50000);
	house_sleep(50);
	fake_live_class(VFS_C_WRITE, GH_READONLY, "words");
	fake_live_tell(h.loop);
	hears(up, "PUT", "readonly");
	ck_assert(!ends_short(down));
	ck_assert(is_old());
}
END_TEST

START_TEST(a_download_is_cut_whichever_way_it_goes_out)
{
	for (unsigned by_fd = 0; by_fd < 2; by_fd++) {
		int fd;

		h.core->content_by_fd = by_fd != 0;
		fd = downloading();
		rule(GH_OFF);
		/* From a descriptor all of it may be on its way already; never less than all without a cut. */
		if (!by_fd)
			ck_assert(ends_short(fd));
		else
			close(fd);
		rule(GH_OK);
	}
}
END_TEST

START_TEST(a_stream_is_cut_so_that_nobody_takes_it_for_whole)
{
	int fd = house_connect(&h);
	struct heard a;

	h.core->delay_ms[VFS_STAT] = 20;
	say(fd, GET("/stream"));
	house_sleep(100);
	rule(GH_OFF);
	hear(fd, "GET", &a);
	ck_assert(a.cut);
	unhear(&a);
	close(fd);
}
END_TEST

START_TEST(drain_lets_what_runs_end_and_then_closes)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, PUT_HEAD("100000"));
	say_bytes(fd, big, 50000);
	house_sleep(50);
	rule(GH_DRAINING);
	say_bytes(fd, big + 50000, 50000);
	hear(fd, "PUT", &a);
	ck_assert_int_eq(a.status, 204);
	ck_assert_str_eq(heard_field(&a, "Connection"), "close");
	unhear(&a);
	ck_assert(closed_within(fd, 2000));
	close(fd);
}
END_TEST

START_TEST(a_drain_that_is_taken_back_keeps_the_connection)
{
	int fd = house_connect(&h);

	say(fd, PUT_HEAD("100000"));
	say_bytes(fd, big, 50000);
	house_sleep(50);
	rule(GH_DRAINING);
	rule(GH_OK);
	say_bytes(fd, big + 50000, 50000);
	expect(fd, "", "PUT", 204, NULL);
	expect(fd, GET("/page.html"), "GET", 200, "<p>");
	close(fd);
}
END_TEST

START_TEST(a_connection_that_is_ended_by_name_goes_even_if_it_idles)
{
	int fd = house_connect(&h);

	expect(fd, GET("/a.txt"), "GET", 200, "hello");
	fake_live_kill(h.loop);
	ck_assert(closed_within(fd, 2000));
	close(fd);
}
END_TEST

START_TEST(an_administrator_sees_what_a_connection_does)
{
	int fd = house_connect(&h);
	struct vfs_live_look l;
	char path[256];

	say(fd, PUT_HEAD("100000"));
	say_bytes(fd, big, 50000);
	house_sleep(50);
	l = fake_live_look(h.loop, path);
	ck_assert_str_eq(path, "/a.txt");
	ck_assert(l.up && !l.down);
	ck_assert_uint_eq(l.moved, 50000);
	ck_assert_uint_eq(l.size, 100000);
	ck_assert_uint_ge(l.bytes_in, 50000);
	close(fd);
}
END_TEST

START_TEST(without_the_early_answer_a_refused_upload_is_read_a_little_first)
{
	int fd = house_connect(&h);
	struct heard a;

	fake_live_flag(VFS_FLAG_EARLY_ANSWER, 0);
	h.core->fail[VFS_WRITE_BEGIN] = GH_DENIED;
	say(fd, "PUT /t/a.txt HTTP/1.1\r\n" AS_ANN "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
	hear(fd, "PUT", &a);
	ck_assert_int_eq(a.status, 100);
	unhear(&a);
	say_bytes(fd, big, 1000);
	expect(fd, "", "PUT", 403, "denied");
	expect(fd, GET("/a.txt"), "GET", 200, "hello"); /* which saves the connection */
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http/switch");
	TCase *t = group(s, "switch");

	tcase_add_test(t, a_shut_door_refuses_before_it_asks_for_a_password);
	tcase_add_test(t, an_idle_connection_stays_and_its_next_request_hears_the_words);
	tcase_add_test(t, a_request_that_waits_for_the_core_is_answered_with_the_words);
	tcase_add_test(t, a_login_under_way_is_answered_too);
	tcase_add_test(t, an_upload_is_refused_in_the_middle_of_its_body_and_stores_nothing);
	tcase_add_test(t, a_client_that_goes_on_sending_after_that_is_let_down_gently);
	tcase_add_test(t, a_client_that_falls_silent_after_that_is_cut);
	tcase_add_test(t, read_only_refuses_uploads_and_leaves_the_rest_alone);
	tcase_add_test(t, a_download_is_cut_whichever_way_it_goes_out);
	tcase_add_test(t, a_stream_is_cut_so_that_nobody_takes_it_for_whole);
	tcase_add_test(t, drain_lets_what_runs_end_and_then_closes);
	tcase_add_test(t, a_drain_that_is_taken_back_keeps_the_connection);
	tcase_add_test(t, a_connection_that_is_ended_by_name_goes_even_if_it_idles);
	tcase_add_test(t, an_administrator_sees_what_a_connection_does);
	tcase_add_test(t, without_the_early_answer_a_refused_upload_is_read_a_little_first);
	return run_suite(s);
}
