/* Exchanges through the whole door: a real loop, real sockets, libmicrohttpd, and a core that answers as each test
 * wants. Every test ends with a check that nothing is left behind. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/http/service.h"

/* ---- answers ---- */

START_TEST(a_file_is_served_with_its_validators)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, GET("/a.txt"));
	hear(fd, "GET", &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(a.body, "hello");
	ck_assert_str_eq(heard_field(&a, "ETag"), "\"0000000000000001\"");
	ck_assert_str_eq(heard_field(&a, "Last-Modified"), "Tue, 14 Nov 2023 22:13:20 GMT");
	ck_assert_str_eq(heard_field(&a, "Accept-Ranges"), "bytes");
	ck_assert_str_eq(heard_field(&a, "Cache-Control"), "private, no-cache");
	ck_assert_str_eq(heard_field(&a, "X-Content-Type-Options"), "nosniff");
	ck_assert_ptr_nonnull(heard_field(&a, "Date"));
	ck_assert_ptr_nonnull(heard_field(&a, "X-Request-Id"));
	ck_assert_ptr_null(heard_field(&a, "Content-Security-Policy"));
	unhear(&a);
	say(fd, GET("/page.html"));
	hear(fd, "GET", &a);
	ck_assert_str_eq(heard_field(&a, "Content-Security-Policy"), "sandbox");
	unhear(&a);
	close(fd);
}
END_TEST

START_TEST(head_says_what_get_says_and_sends_nothing)
{
	static const char *const paths[] = { "/a.txt", "/big" };

	for (unsigned i = 0; i < 2; i++) {
		int fd = house_connect(&h);
		struct heard get, head;
		char text[200];

		snprintf(text, sizeof(text), "GET /t%s HTTP/1.1\r\n" AS_ANN "\r\n", paths[i]);
		say(fd, text);
		hear(fd, "GET", &get);
		snprintf(text, sizeof(text), "HEAD /t%s HTTP/1.1\r\n" AS_ANN "\r\n", paths[i]);
		say(fd, text);
		hear(fd, "HEAD", &head);
		ck_assert_str_eq(heard_field(&head, "Content-Length"), i ? "1048576" : "5");
		/* All but the id and the time are the same lines. */
		*strstr(get.head, "X-Request-Id") = *strstr(head.head, "X-Request-Id") = '\0';
		ck_assert_str_eq(get.head, head.head);
		unhear(&get);
		unhear(&head);
		expect(fd, GET("/a.txt"), "GET", 200, "hello"); /* nothing of a body in between */
		close(fd);
	}
}
END_TEST

START_TEST(conditions_and_ranges_answer_304_412_206_416)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, "GET /t/a.txt HTTP/1.1\r\n" AS_ANN "If-None-Match: \"0000000000000001\"\r\n\r\n");
	hear(fd, "GET", &a);
	ck_assert_int_eq(a.status, 304);
	ck_assert_str_eq(heard_field(&a, "ETag"), "\"0000000000000001\"");
	ck_assert_str_eq(heard_field(&a, "Content-Length"), "5");
	unhear(&a);
	expect(fd, "GET /t/a.txt HTTP/1.1\r\n" AS_ANN "If-Match: \"0000000000000009\"\r\n\r\n", "GET", 412,
	       "precondition");
	say(fd, "GET /t/a.txt HTTP/1.1\r\n" AS_ANN "Range: bytes=1-3\r\n\r\n");
	hear(fd, "GET", &a);
	ck_assert_int_eq(a.status, 206);
	ck_assert_str_eq(a.body, "ell");
	ck_assert_str_eq(heard_field(&a, "Content-Range"), "bytes 1-3/5");
	unhear(&a);
	say(fd, "GET /t/a.txt HTTP/1.1\r\n" AS_ANN "Range: bytes=5-\r\n\r\n");
	hear(fd, "GET", &a);
	ck_assert_int_eq(a.status, 416);
	ck_assert_str_eq(heard_field(&a, "Content-Range"), "bytes */5");
	unhear(&a);
	close(fd);
}
END_TEST

static void big_is_whole(unsigned range)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, range ? "GET /t/big HTTP/1.1\r\n" AS_ANN "Range: bytes=300000-\r\n\r\n" : GET("/big"));
	hear(fd, "GET", &a);
	ck_assert_int_eq(a.status, range ? 206 : 200);
	ck_assert_uint_eq(a.len, sizeof(big) - range);
	ck_assert_int_eq(memcmp(a.body, big + range, a.len), 0);
	unhear(&a);
	expect(fd, GET("/a.txt"), "GET", 200, "hello");
	close(fd);
}

START_TEST(large_content_comes_whole_by_descriptor_and_by_windows)
{
	big_is_whole(0);
	big_is_whole(300000);
	h.core->content_by_fd = true;
	big_is_whole(0);
	big_is_whole(300000);
	h.core->content_by_fd = false;
	h.core->pull_wait_ms = 1;
	big_is_whole(300000);
}
END_TEST

START_TEST(damage_on_the_way_cuts_and_is_never_a_short_answer)
{
	int fd = house_connect(&h);
	struct heard a;

	h.core->damage_at = 500000;
	say(fd, GET("/big"));
	hear(fd, "GET", &a);
	ck_assert_str_eq(heard_field(&a, "Content-Length"), "1048576");
	ck_assert(a.cut);
	ck_assert_uint_lt(a.len, sizeof(big));
	unhear(&a);
	close(fd);
}
END_TEST

START_TEST(everything_works_when_the_core_takes_its_time)
{
	int fd = house_connect(&h);

	for (unsigned i = 0; i < VFS_OP_COUNT; i++)
		h.core->delay_ms[i] = 20;
	for (unsigned i = 0; i < 3; i++) {
		expect(fd, GET("/a.txt"), "GET", 200, "hello");
		expect(fd, GET("/none"), "GET", 404, "notfound");
		expect(fd, "PUT /t/b HTTP/1.1\r\n" AS_ANN "Content-Length: 3\r\n\r\nabc", "PUT", i ? 204 : 201, "");
		expect(fd, GET("/b"), "GET", 200, "abc");
	}
	ck_assert(atomic_load(&in_order));
	close(fd);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	int fd = house_connect(&h);

	h.core->delay_ms[VFS_READ] = 10;
	say(fd, GET("/a.txt") GET("/none") GET("/page.html"));
	expect(fd, "", "GET", 200, "hello");
	expect(fd, "", "GET", 404, "notfound");
	expect(fd, "", "GET", 200, "<p>");
	ck_assert(atomic_load(&in_order));
	close(fd);
}
END_TEST

START_TEST(hundreds_of_requests_at_once_are_all_answered)
{
	enum { MANY = 256 }; /* a multiple of what the library below takes from epoll at once */
	int fds[MANY];

	h.core->delay_ms[VFS_READ] = 5;
	for (unsigned i = 0; i < MANY; i++)
		fds[i] = house_connect(&h);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < MANY; i++)
			say(fds[i], GET("/a.txt"));
		for (unsigned i = 0; i < MANY; i++)
			expect(fds[i], "", "GET", 200, "hello");
	}
	for (unsigned i = 0; i < MANY; i++)
		close(fds[i]);
}
END_TEST

START_TEST(a_service_that_never_answers_is_a_500)
{
	int fd = house_connect(&h);

	expect(fd, GET("/silent"), "GET", 500, "bug");
	expect(fd, GET("/a.txt"), "GET", 200, "hello");
	close(fd);
}
END_TEST

START_TEST(no_value_begins_a_header_of_its_own)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, GET("/forge"));
	hear(fd, "GET", &a);
	ck_assert_str_eq(a.body, "static");
	ck_assert_str_eq(heard_field(&a, "X-A"), "a??X-B: b");
	ck_assert_ptr_null(heard_field(&a, "X-B"));
	unhear(&a);
	close(fd);
}
END_TEST

/* ---- streams ---- */

static void stream_is_whole(const char *request)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, request);
	hear(fd, "GET", &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert(!a.cut);
	ck_assert_int_eq(strncmp(a.body, "line 1\nline 2\n", 14), 0);
	ck_assert_str_eq(a.body + a.len - 9, "line 100\n");
	unhear(&a);
	close(fd);
}

START_TEST(a_stream_asks_the_core_as_it_goes)
{
	stream_is_whole(GET("/stream"));
	stream_is_whole("GET /t/stream HTTP/1.0\r\n" AS_ANN "\r\n");
	h.core->delay_ms[VFS_STAT] = 1;
	stream_is_whole(GET("/stream"));
	stream_is_whole("GET /t/stream HTTP/1.0\r\n" AS_ANN "\r\n");
}
END_TEST

START_TEST(a_stream_that_fails_is_cut)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, GET("/stream?fail"));
	hear(fd, "GET", &a);
	ck_assert(a.cut);
	unhear(&a);
	close(fd);
}
END_TEST

/* ---- bodies ---- */

START_TEST(a_put_is_whole_whatever_the_windows)
{
	static const unsigned waits[] = { 0, 1, 3 };
	size_t len;

	for (unsigned i = 0; i < 3; i++) {
		int fd = house_connect(&h);

		h.core->push_wait_every = waits[i];
		say(fd, "PUT /t/up HTTP/1.1\r\n" AS_ANN "Content-Length: 1048576\r\n\r\n");
		say_bytes(fd, big, sizeof(big));
		expect(fd, "", "PUT", i ? 204 : 201, "");
		ck_assert_int_eq(memcmp(fake_get(h.core, "/up", &len), big, sizeof(big)), 0);
		ck_assert_uint_eq(len, sizeof(big));
		expect(fd, "PUT /t/ch HTTP/1.1\r\n" AS_ANN "Transfer-Encoding: chunked\r\n\r\n"
		       "5\r\nhello\r\n1;ext=1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n", "PUT", i ? 204 : 201, "");
		expect(fd, GET("/ch"), "GET", 200, "hello world");
		expect(fd, "PUT /t/empty HTTP/1.1\r\n" AS_ANN "\r\n", "PUT", i ? 204 : 201, "");
		expect(fd, GET("/empty"), "GET", 200, "");
		close(fd);
	}
}
END_TEST

START_TEST(a_put_tells_its_tag_and_takes_a_time)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, "PUT /t/m HTTP/1.1\r\n" AS_ANN "X-OC-Mtime: 1000000000\r\nContent-Length: 1\r\n\r\nx");
	hear(fd, "PUT", &a);
	ck_assert_int_eq(a.status, 201);
	ck_assert_ptr_nonnull(heard_field(&a, "ETag"));
	ck_assert_str_eq(heard_field(&a, "X-OC-MTime"), "accepted");
	unhear(&a);
	say(fd, GET("/m"));
	hear(fd, "GET", &a);
	ck_assert_str_eq(heard_field(&a, "Last-Modified"), "Sun, 09 Sep 2001 01:46:40 GMT");
	unhear(&a);
	expect(fd, "PUT /t/m HTTP/1.1\r\n" AS_ANN "Content-Range: bytes 0-0/5\r\nContent-Length: 1\r\n\r\nx", "PUT",
	       400, "invalid");
	expect(fd, "PUT /t/m HTTP/1.1\r\n" AS_ANN "If-None-Match: *\r\nContent-Length: 1\r\n\r\nx", "PUT", 412,
	       "precondition");
	close(fd);
}
END_TEST

START_TEST(a_put_that_comes_short_changes_nothing)
{
	static const char head[] = "PUT /t/a.txt HTTP/1.1\r\n" AS_ANN "Content-Length: 100\r\n\r\nshort";
	size_t len;

	h.core->delay_ms[VFS_WRITE_BEGIN] = 20; /* before the loop has anything to read it for */
	for (unsigned round = 0; round < 2; round++) {
		int fd = house_connect(&h);

		say(fd, head);
		shutdown(fd, SHUT_WR);
		ck_assert(closed_within(fd, 5000));
		close(fd);
		fd = house_connect(&h);
		say(fd, head);
		close(fd);
	}
	for (unsigned i = 0; i < 500 && atomic_load(&h.core->uploads); i++)
		house_sleep(10);
	ck_assert_uint_eq(atomic_load(&h.core->uploads), 0);
	ck_assert_str_eq(fake_get(h.core, "/a.txt", &len) ? "there" : "gone", "there");
	ck_assert_uint_eq(len, 5);
}
END_TEST

START_TEST(a_small_refused_body_is_read_and_the_connection_kept)
{
	int fd = house_connect(&h);

	expect(fd, "PUT /t/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "PUT", 401, "unauth");
	expect(fd, "PUT /t/dir HTTP/1.1\r\n" AS_ANN "Content-Length: 5\r\n\r\nhello", "PUT", 405, "isdir");
	expect(fd, "POST /t/bad HTTP/1.1\r\n" AS_ANN "Content-Length: 5\r\n\r\nhello", "POST", 400, "invalid");
	expect(fd, "POST /t/early HTTP/1.1\r\n" AS_ANN "Content-Length: 5\r\n\r\nhello", "POST", 202, "enough");
	expect(fd, GET("/a.txt"), "GET", 200, "hello");
	close(fd);
}
END_TEST

START_TEST(a_large_refused_body_is_answered_before_it_is_read)
{
	int fd = house_connect(&h);

	say(fd, "PUT /t/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n");
	say_bytes(fd, big, sizeof(big));
	expect(fd, "", "PUT", 401, "unauth");
	ck_assert(closed_within(fd, 3000));
	close(fd);
}
END_TEST

START_TEST(a_refusal_in_the_middle_of_a_body_is_heard)
{
	static const char *const forms[] = { "Content-Length: 1048576", "Transfer-Encoding: chunked" };

	h.core->push_fail = GH_QUOTA;
	for (unsigned i = 0; i < 2; i++) {
		int fd = house_connect(&h);
		char head[300];

		snprintf(head, sizeof(head), "PUT /t/x HTTP/1.1\r\n" AS_ANN "%s\r\n\r\n%s", forms[i],
			 i ? "100000\r\n" : "");
		say(fd, head);
		say_bytes(fd, big, sizeof(big));
		expect(fd, "", "PUT", 507, "quota");
		ck_assert(closed_within(fd, 3000));
		close(fd);
	}
}
END_TEST

START_TEST(a_client_that_waits_for_100_gets_the_final_answer_instead)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, "PUT /t/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	hear(fd, "PUT", &a);
	ck_assert_int_eq(a.status, 401);
	unhear(&a);
	close(fd);
	fd = house_connect(&h);
	h.core->delay_ms[VFS_WRITE_BEGIN] = 20; /* decided before the first byte is invited */
	say(fd, "PUT /t/x HTTP/1.1\r\n" AS_ANN "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	hear(fd, "PUT", &a);
	ck_assert_int_eq(a.status, 100);
	unhear(&a);
	ck_assert_uint_eq(atomic_load(&h.core->submitted[VFS_WRITE_BEGIN]), 1);
	expect(fd, "hello", "PUT", 201, "");
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exchange");
	TCase *t = group(s, "answers");

	tcase_add_test(t, a_file_is_served_with_its_validators);
	tcase_add_test(t, head_says_what_get_says_and_sends_nothing);
	tcase_add_test(t, conditions_and_ranges_answer_304_412_206_416);
	tcase_add_test(t, large_content_comes_whole_by_descriptor_and_by_windows);
	tcase_add_test(t, damage_on_the_way_cuts_and_is_never_a_short_answer);
	tcase_add_test(t, everything_works_when_the_core_takes_its_time);
	tcase_add_test(t, pipelined_requests_are_answered_in_order);
	tcase_add_test(t, hundreds_of_requests_at_once_are_all_answered);
	tcase_add_test(t, a_service_that_never_answers_is_a_500);
	tcase_add_test(t, no_value_begins_a_header_of_its_own);
	tcase_add_test(t, a_stream_asks_the_core_as_it_goes);
	tcase_add_test(t, a_stream_that_fails_is_cut);
	t = group(s, "bodies");
	tcase_add_test(t, a_put_is_whole_whatever_the_windows);
	tcase_add_test(t, a_put_tells_its_tag_and_takes_a_time);
	tcase_add_test(t, a_put_that_comes_short_changes_nothing);
	tcase_add_test(t, a_small_refused_body_is_read_and_the_connection_kept);
	tcase_add_test(t, a_large_refused_body_is_answered_before_it_is_read);
	tcase_add_test(t, a_refusal_in_the_middle_of_a_body_is_heard);
	tcase_add_test(t, a_client_that_waits_for_100_gets_the_final_answer_instead);
	return run_suite(s);
}
