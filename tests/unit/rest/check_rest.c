/* The REST door over the HTTP door and a fake core: what it says, byte for byte where that is a promise. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontends/http/exchange.h"
#include "tests/unit/http/house.h"

extern const struct http_service *const http_services[];
const struct http_service *const http_services[] = { &http_service_rest, NULL };

static struct house h;

static void setup(void)
{
	house_open(&h);
	fake_put(h.core, "/a.txt", "hello", 5, 1700000000123456);
	fake_put(h.core, "/dir", NULL, 0, 0);
	fake_put(h.core, "/dir/q\"\\.txt", "x", 1, 0);
	fake_put(h.core, "/dir/\xc3\xa4", "x", 1, 0);
}

static void teardown(void)
{
	house_close(&h);
}

static void ask(int fd, const char *method, const char *target, struct heard *a)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\n" AS_ANN "\r\n", method, target);
	say(fd, text);
	hear(fd, method, a);
}

static void ask_status(int fd, const char *method, const char *target, int status)
{
	struct heard a;

	ask(fd, method, target, &a);
	ck_assert_msg(a.status == status, "%s %s gave %d: %s", method, target, a.status, a.body);
	unhear(&a);
}

#define HAS(a, text) ck_assert_msg(strstr((a).body, text) != NULL, "no %s in %s", text, (a).body)

START_TEST(content_is_put_read_and_removed)
{
	int fd = house_connect(&h);
	struct heard a;

	say(fd, "PUT /api/v1/content/new%20one.txt HTTP/1.1\r\n" AS_ANN "Content-Length: 3\r\n\r\nabc");
	hear(fd, "PUT", &a);
	ck_assert_int_eq(a.status, 201);
	ck_assert_ptr_nonnull(heard_field(&a, "ETag"));
	ck_assert_str_eq(heard_field(&a, "Location"), "/api/v1/content/new%20one.txt");
	unhear(&a);
	ask(fd, "GET", "/api/v1/content/new%20one.txt", &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(a.body, "abc");
	unhear(&a);
	say(fd, "PUT /api/v1/content/new%20one.txt HTTP/1.1\r\n" AS_ANN "Content-Length: 1\r\n\r\nd");
	hear(fd, "PUT", &a);
	ck_assert_int_eq(a.status, 204);
	ck_assert_ptr_null(heard_field(&a, "Location"));
	unhear(&a);
	ask_status(fd, "DELETE", "/api/v1/content/new%20one.txt", 204);
	ask_status(fd, "GET", "/api/v1/content/new%20one.txt", 404);
	ask_status(fd, "DELETE", "/api/v1/content/new%20one.txt", 404);
	ask_status(fd, "DELETE", "/api/v1/content/dir", 204);
	ask_status(fd, "GET", "/api/v1/list/dir", 404);
	close(fd);
}
END_TEST

START_TEST(a_file_is_described)
{
	int fd = house_connect(&h);
	struct heard a;

	ask(fd, "GET", "/api/v1/stat/a.txt", &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(heard_field(&a, "Content-Type"), "application/json");
	ck_assert_str_eq(heard_field(&a, "Cache-Control"), "no-store");
	HAS(a, "{\"name\":\"a.txt\",\"type\":\"file\",\"id\":\"");
	HAS(a, ",\"size\":5,\"etag\":\"\\\"0000000000000001\\\"\"");
	HAS(a, ",\"mtime\":\"2023-11-14T22:13:20.123Z\",\"mtime_ms\":1700000000123,");
	HAS(a, "\"rights\":[\"list\",\"read\",\"create\",\"write\",\"delete\",\"share\",\"manage\"]}");
	unhear(&a);
	ask(fd, "GET", "/api/v1/stat/dir/", &a);
	HAS(a, "\"type\":\"folder\"");
	ck_assert_ptr_null(strstr(a.body, "etag"));
	unhear(&a);
	ask_status(fd, "HEAD", "/api/v1/stat/a.txt", 200);
	close(fd);
}
END_TEST

START_TEST(a_listing_escapes_its_names)
{
	int fd = house_connect(&h);
	struct heard a;

	ask(fd, "GET", "/api/v1/list/dir", &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert_int_eq(strncmp(a.body, "{\"path\":\"/dir\",\"entries\":[\n{\"name\":\"q\\\"\\\\.txt\"", 46), 0);
	HAS(a, "{\"name\":\"\xc3\xa4\"");
	HAS(a, "\n],\"next\":null}\n");
	unhear(&a);
	ask(fd, "GET", "/api/v1/list", &a);
	HAS(a, "{\"path\":\"/\"");
	HAS(a, "\"name\":\"a.txt\"");
	unhear(&a);
	ask_status(fd, "GET", "/api/v1/list/a.txt", 409);
	close(fd);
}
END_TEST

static unsigned entries(const char *body)
{
	unsigned n = 0;

	for (const char *p = body; (p = strstr(p, "{\"name\":")); p++)
		n++;
	return n;
}

static void fill_many(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/many/f%05u", i);
		fake_put(h.core, path, "x", 1, 0);
	}
	fake_put(h.core, "/many", NULL, 0, 0);
}

START_TEST(cursors_walk_the_whole_folder_once)
{
	int fd = house_connect(&h);
	char target[200] = "/api/v1/list/many?limit=7", *next;
	unsigned n = 0, pages = 0;
	struct heard a;

	fill_many(50);
	do {
		ask(fd, "GET", target, &a);
		ck_assert_int_eq(a.status, 200);
		ck_assert_uint_le(entries(a.body), 7);
		n += entries(a.body);
		pages++;
		next = strstr(a.body, "\"next\":\"");
		if (next)
			snprintf(target, sizeof(target), "/api/v1/list/many?after=%.*s&limit=7",
				 (int)strcspn(next + 8, "\""), next + 8);
		unhear(&a);
	} while (next);
	ck_assert_uint_eq(n, 50);
	ck_assert_uint_eq(pages, 8);
	close(fd);
}
END_TEST

START_TEST(long_listings_are_streamed_page_by_page)
{
	static const unsigned delays[] = { 0, 1 };

	fill_many(2500);
	for (unsigned i = 0; i < 2; i++) {
		int fd = house_connect(&h);
		struct heard a;

		h.core->delay_ms[VFS_LIST] = delays[i];
		ask(fd, "GET", "/api/v1/list/many?limit=2400", &a);
		ck_assert_int_eq(a.status, 200);
		ck_assert_str_eq(heard_field(&a, "Transfer-Encoding"), "chunked");
		ck_assert(!a.cut);
		ck_assert_uint_eq(entries(a.body), 2400);
		HAS(a, "\"next\":\"663032333939\"}"); /* f02399 */
		unhear(&a);
		ask(fd, "GET", "/api/v1/list/many?limit=9999999", &a);
		ck_assert_uint_eq(entries(a.body), 2500);
		HAS(a, "\"next\":null}");
		unhear(&a);
		close(fd);
	}
}
END_TEST

START_TEST(a_page_that_fails_in_the_middle_cuts)
{
	int fd = house_connect(&h);
	struct heard a;

	fill_many(50);
	h.core->page = 10;
	h.core->fail_after[VFS_LIST] = 3;
	ask(fd, "GET", "/api/v1/list/many?limit=50", &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert(a.cut);
	unhear(&a);
	close(fd);
}
END_TEST

START_TEST(bad_parameters_are_400)
{
	static const char *const bad[] = { "?limit=0", "?limit=x", "?limit=1x", "?limit=", "?after=zz", "?after=6",
					   "?after=00" };
	int fd = house_connect(&h);

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char target[100];

		snprintf(target, sizeof(target), "/api/v1/list/dir%s", bad[i]);
		ask_status(fd, "GET", target, 400);
	}
	close(fd);
}
END_TEST

START_TEST(problems_are_told_in_full)
{
	int fd = house_connect(&h);
	struct heard a;

	ask(fd, "GET", "/api/v1/content/none", &a);
	ck_assert_int_eq(a.status, 404);
	ck_assert_str_eq(heard_field(&a, "Content-Type"), "application/problem+json");
	HAS(a, "{\"type\":\"urn:gatehouse:problem:notfound\",\"title\":\"no such file or folder\",\"status\":404,"
	       "\"reason\":\"notfound\",\"request_id\":\"");
	ck_assert_ptr_nonnull(strstr(a.body, heard_field(&a, "X-Request-Id")));
	unhear(&a);
	h.core->fail[VFS_READ] = GH_LOCKED;
	h.core->message = "lunch \"break\"";
	ask(fd, "GET", "/api/v1/content/a.txt", &a);
	ck_assert_int_eq(a.status, 423);
	HAS(a, ",\"detail\":\"lunch \\\"break\\\"\"");
	HAS(a, ",\"holder\":\"bob\",\"locked_path\":\"/x\"");
	unhear(&a);
	h.core->fail[VFS_READ] = GH_OFF;
	ask(fd, "GET", "/api/v1/content/a.txt", &a);
	ck_assert_int_eq(a.status, 503);
	ck_assert_str_eq(heard_field(&a, "Retry-After"), "17");
	HAS(a, ",\"retry_after\":17,");
	unhear(&a);
	close(fd);
}
END_TEST

START_TEST(every_status_has_a_problem)
{
	int fd = house_connect(&h);

	for (unsigned st = 1; st < GH_STATUS_COUNT; st++) {
		h.core->fail[VFS_STAT] = (enum gh_status)st;
		ask_status(fd, "GET", "/api/v1/stat/a.txt", http_code_of((enum gh_status)st));
		if (st == GH_DRAINING) { /* its connection ends with it */
			ck_assert(closed_within(fd, 2000));
			close(fd);
			fd = house_connect(&h);
		}
	}
	close(fd);
}
END_TEST

START_TEST(methods_and_places_that_are_not_there)
{
	int fd = house_connect(&h);
	struct heard a;

	ask_status(fd, "GET", "/api/v1", 404);
	ask_status(fd, "GET", "/api/v1/", 404);
	ask_status(fd, "GET", "/api/v1/contentx/a.txt", 404);
	ask(fd, "DELETE", "/api/v1/list/dir", &a);
	ck_assert_int_eq(a.status, 405);
	ck_assert_str_eq(heard_field(&a, "Allow"), "OPTIONS, GET, HEAD");
	unhear(&a);
	ask(fd, "POST", "/api/v1/content/a.txt", &a);
	ck_assert_int_eq(a.status, 405);
	unhear(&a);
	ask_status(fd, "GET", "/api/v1/content/dir", 405);
	ask_status(fd, "GET", "/api/v1/content/..%2fa.txt", 400);
	ask_status(fd, "GET", "/api/v1/content/a%00b", 400);
	ask_status(fd, "GET", "/api/v1/content/%c0%afa.txt", 400);
	ask_status(fd, "GET", "/api/v1/content/../../etc/passwd", 400);
	close(fd);
}
END_TEST

#define CURSOR(n) "000000000000000000000000000000000000000000000000000000000000000" n

START_TEST(events_are_told_from_a_cursor_on)
{
	int fd = house_connect(&h);
	struct heard a;

	h.core->feed_count = 3;
	ask(fd, "GET", "/api/v1/events?limit=2&after=" CURSOR("0"), &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(heard_field(&a, "Content-Type"), "application/json");
	ck_assert_str_eq(a.body, "{\"events\":[\n"
		"{\"type\":\"created\",\"path\":\"/e0\",\"time\":\"2023-11-14T22:13:20.123Z\",\"cursor\":\"" CURSOR("1") "\"},\n"
		"{\"type\":\"moved\",\"path\":\"/e1\",\"to\":\"/q\\\"\",\"id\":\"7\",\"time\":\"2023-11-14T22:13:20.123Z\",\"cursor\":\"" CURSOR("2")
		"\"}\n],\"next\":\"" CURSOR("2") "\",\"oldest\":\"" CURSOR("0") "\",\"newest\":\"" CURSOR("3") "\"}\n");
	unhear(&a);
	ask(fd, "GET", "/api/v1/events", &a); /* no cursor: only where to begin, and without waiting */
	ck_assert_int_eq(a.status, 200);
	HAS(a, "\"events\":[],\"next\":\"" CURSOR("3") "\"");
	unhear(&a);
	close(fd);
}
END_TEST

START_TEST(a_long_poll_is_answered_when_something_happens_or_the_time_is_over)
{
	int fd = house_connect(&h);
	struct heard a;

	h.core->feed_wakes_ms = 50;
	ask(fd, "GET", "/api/v1/events?wait=20&after=" CURSOR("0"), &a);
	ck_assert_int_eq(a.status, 200);
	HAS(a, "\"path\":\"/e0\"");
	unhear(&a);
	h.core->feed_wakes_ms = 0;
	ask(fd, "GET", "/api/v1/events?wait=1&after=" CURSOR("1"), &a);
	ck_assert_int_eq(a.status, 200);
	HAS(a, "\"events\":[],\"next\":\"" CURSOR("1") "\"");
	unhear(&a);
	ck_assert_uint_eq(atomic_load(&h.core->watches), 0);
	close(fd);
}
END_TEST

START_TEST(a_client_that_leaves_stops_waiting)
{
	int fd = house_connect(&h);

	say(fd, "GET /api/v1/events?wait=50&after=" CURSOR("0") " HTTP/1.1\r\n" AS_ANN "\r\n");
	for (unsigned i = 0; i < 500 && !atomic_load(&h.core->watches); i++)
		usleep(10000);
	ck_assert_uint_eq(atomic_load(&h.core->watches), 1);
	close(fd);
	for (unsigned i = 0; i < 500 && atomic_load(&h.core->watches); i++)
		usleep(10000);
	ck_assert_uint_eq(atomic_load(&h.core->watches), 0);
}
END_TEST

START_TEST(a_useless_cursor_is_410_and_says_what_to_do)
{
	static const char *const bad[] = { "after=" CURSOR("9"), "after=abc", "after=" CURSOR("0") "0" };
	int fd = house_connect(&h);

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char target[200];
		struct heard a;

		snprintf(target, sizeof(target), "/api/v1/events?%s", bad[i]);
		ask(fd, "GET", target, &a);
		ck_assert_int_eq(a.status, 410);
		ck_assert_str_eq(heard_field(&a, "Content-Type"), "application/problem+json");
		HAS(a, "\"reason\":\"cursor-expired\"");
		HAS(a, "list again");
		unhear(&a);
	}
	ask_status(fd, "GET", "/api/v1/events?limit=0", 400);
	ask_status(fd, "GET", "/api/v1/events?limit=x", 400);
	ask_status(fd, "GET", "/api/v1/events?wait=-1", 400);
	ask_status(fd, "GET", "/api/v1/events?wait=1.5", 400);
	ask_status(fd, "GET", "/api/v1/events/a", 404);
	ask_status(fd, "PUT", "/api/v1/events", 405);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rest");
	TCase *t = tcase_create("door");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, content_is_put_read_and_removed);
	tcase_add_test(t, a_file_is_described);
	tcase_add_test(t, a_listing_escapes_its_names);
	tcase_add_test(t, cursors_walk_the_whole_folder_once);
	tcase_add_test(t, long_listings_are_streamed_page_by_page);
	tcase_add_test(t, a_page_that_fails_in_the_middle_cuts);
	tcase_add_test(t, bad_parameters_are_400);
	tcase_add_test(t, problems_are_told_in_full);
	tcase_add_test(t, every_status_has_a_problem);
	tcase_add_test(t, methods_and_places_that_are_not_there);
	tcase_add_test(t, events_are_told_from_a_cursor_on);
	tcase_add_test(t, a_long_poll_is_answered_when_something_happens_or_the_time_is_over);
	tcase_add_test(t, a_client_that_leaves_stops_waiting);
	tcase_add_test(t, a_useless_cursor_is_410_and_says_what_to_do);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
