/* The pages over the HTTP door and a fake core. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontends/http/exchange.h"
#include "tests/unit/http/house.h"

extern const struct http_service *const http_services[];
const struct http_service *const http_services[] = { &http_service_web, NULL };

static struct house h;

static void setup(void)
{
	house_open(&h);
	fake_put(h.core, "/a.txt", "hello", 5, 1700000000000000);
	fake_put(h.core, "/x.html", "<script>alert(1)</script>", 25, 1700000000000000);
	fake_put(h.core, "/dir", NULL, 0, 0);
	fake_put(h.core, "/dir/<img src=x onerror=alert(1)>&\"'.html", "x", 1, 0);
	fake_put(h.core, "/dav", NULL, 0, 0);
	fake_put(h.core, "/davy", NULL, 0, 0);
	fake_put(h.core, "/empty", NULL, 0, 0);
}

static void teardown(void)
{
	house_close(&h);
}

static void ask(const char *target, struct heard *a)
{
	int fd = house_connect(&h);
	char text[1024];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" AS_ANN "\r\n", target);
	say(fd, text);
	hear(fd, "GET", a);
	close(fd);
}

#define HAS(a, text) ck_assert_msg(strstr((a).body, text) != NULL, "no %s in %s", text, (a).body)
#define LACKS(a, text) ck_assert_msg(strstr((a).body, text) == NULL, "%s in %s", text, (a).body)

START_TEST(a_folder_is_a_page)
{
	struct heard a;

	ask("/", &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(heard_field(&a, "Content-Type"), "text/html; charset=utf-8");
	HAS(a, "<a href=\"/a.txt\">a.txt</a></td><td class=\"n\">5 B</td>");
	HAS(a, "<time datetime=\"2023-11-14T22:13:20.000Z\">2023-11-14 22:13</time>");
	HAS(a, "<a href=\"/dir/\">dir/</a>");
	unhear(&a);
	ask("/empty", &a);
	HAS(a, "Nothing here.");
	unhear(&a);
}
END_TEST

START_TEST(names_never_become_markup)
{
	struct heard a;

	ask("/dir/", &a);
	ck_assert_int_eq(a.status, 200);
	LACKS(a, "<img");
	HAS(a, "&lt;img src=x onerror=alert(1)&gt;&amp;&quot;");
	HAS(a, "href=\"/dir/%3Cimg%20src=x%20onerror=alert(1)%3E%26%22'.html\"");
	HAS(a, "<a href=\"/\">Files</a><span>/</span><a href=\"/dir/\" aria-current=\"page\">dir</a>");
	unhear(&a);
}
END_TEST

START_TEST(pages_allow_no_script_and_only_their_own_style)
{
	struct heard a;
	char nonce[33], expected[64];
	const char *policy;

	ask("/", &a);
	policy = heard_field(&a, "Content-Security-Policy");
	ck_assert_ptr_nonnull(policy);
	ck_assert_int_eq(strncmp(policy, "default-src 'none'; style-src 'nonce-", 37), 0);
	memcpy(nonce, policy + 37, 32);
	nonce[32] = '\0';
	snprintf(expected, sizeof(expected), "<style nonce=\"%s\">", nonce);
	HAS(a, expected);
	ck_assert_ptr_null(strstr(policy, "unsafe"));
	LACKS(a, "<script");
	LACKS(a, " style=");
	ck_assert_str_eq(heard_field(&a, "X-Content-Type-Options"), "nosniff");
	unhear(&a);
}
END_TEST

START_TEST(files_are_served_and_active_ones_sandboxed)
{
	struct heard a;

	ask("/a.txt", &a);
	ck_assert_str_eq(a.body, "hello");
	ck_assert_int_eq(strncmp(heard_field(&a, "Content-Disposition"), "inline;", 7), 0);
	unhear(&a);
	ask("/x.html", &a);
	ck_assert_str_eq(heard_field(&a, "Content-Security-Policy"), "sandbox");
	ck_assert_str_eq(heard_field(&a, "X-Content-Type-Options"), "nosniff");
	unhear(&a);
	ask("/dir/%3Cimg%20src=x%20onerror=alert(1)%3E&%22'.html?download", &a);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(heard_field(&a, "Content-Disposition"),
			 "attachment; filename=\"<img src=x onerror=alert(1)>&_'.html\"; filename*=UTF-8''"
			 "%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%26%22%27.html");
	unhear(&a);
}
END_TEST

START_TEST(folders_named_like_a_door_stay_reachable)
{
	struct heard a;

	ask("/", &a);
	HAS(a, "<a href=\"/%64av/\">dav/</a>");
	HAS(a, "<a href=\"/davy/\">davy/</a>");
	unhear(&a);
	ask("/%64av/", &a);
	ck_assert_int_eq(a.status, 200);
	unhear(&a);
}
END_TEST

START_TEST(a_long_folder_is_cut_into_pages)
{
	const char *next;
	struct heard a;
	char target[100], path[64];

	fake_put(h.core, "/many", NULL, 0, 0);
	for (unsigned i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "/many/f%03u", i);
		fake_put(h.core, path, "x", 1, 0);
	}
	ask("/many/", &a);
	HAS(a, "f499</a>");
	LACKS(a, "f500</a>");
	next = strstr(a.body, "<a rel=\"next\" href=\"");
	ck_assert_ptr_nonnull(next);
	snprintf(target, sizeof(target), "/many/%.*s", (int)strcspn(next + 20, "\""), next + 20);
	unhear(&a);
	ask(target, &a);
	HAS(a, "f500</a>");
	HAS(a, "f599</a>");
	LACKS(a, "f499</a>");
	LACKS(a, "rel=\"next\"");
	unhear(&a);
	ask("/many/?after=zz", &a);
	ck_assert_int_eq(a.status, 400);
	unhear(&a);
}
END_TEST

START_TEST(refusals_are_pages)
{
	struct heard a;

	ask("/none", &a);
	ck_assert_int_eq(a.status, 404);
	HAS(a, "<h1>no such file or folder</h1>");
	HAS(a, heard_field(&a, "X-Request-Id"));
	unhear(&a);
	h.core->fail[VFS_READ] = GH_OFF;
	h.core->message = "use <https>";
	ask("/a.txt", &a);
	ck_assert_int_eq(a.status, 503);
	HAS(a, "<p>use &lt;https&gt;</p>");
	unhear(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("web");
	TCase *t = tcase_create("pages");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_folder_is_a_page);
	tcase_add_test(t, names_never_become_markup);
	tcase_add_test(t, pages_allow_no_script_and_only_their_own_style);
	tcase_add_test(t, files_are_served_and_active_ones_sandboxed);
	tcase_add_test(t, folders_named_like_a_door_stay_reachable);
	tcase_add_test(t, a_long_folder_is_cut_into_pages);
	tcase_add_test(t, refusals_are_pages);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
