/* The URIs of Destination and If tags: which name something below /dav, and which are refused how. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/webdav/dav.h"

static enum dav_where where(const char *uri, const char *host, char *rest)
{
	const char *path;
	size_t len;
	/* exactly sized, so that a sanitizer sees a read past the end */
	char *copy = malloc(strlen(uri) ? strlen(uri) : 1);
	enum dav_where w;

	memcpy(copy, uri, strlen(uri));
	w = dav_uri(&(struct dav_here){ .host = host }, copy, strlen(uri), &path, &len);
	if (w == DAV_INSIDE && rest) {
		memcpy(rest, path, len);
		rest[len] = 0;
	}
	free(copy);
	return w;
}

START_TEST(every_legal_form_of_a_name_below_the_prefix_is_inside)
{
	static const char *const forms[] = {
		"/dav/a%20b",
		"http://files.example:8080/dav/a%20b",
		"https://files.example/dav/a%20b", /* behind a proxy that ends TLS */
		"HTTP://FILES.EXAMPLE/dav/a%20b",
		"http://ann:secret@files.example:1/dav/a%20b",
		"http://files.example./dav/a%20b",
		"  /dav/a%20b\t",
	};
	char rest[100];

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		ck_assert_msg(where(forms[i], "files.example:8080", rest) == DAV_INSIDE, "%s", forms[i]);
		ck_assert_str_eq(rest, "/a%20b");
	}
}
END_TEST

START_TEST(the_root_is_inside_with_and_without_its_slash)
{
	char rest[100];

	ck_assert_int_eq(where("/dav", "h", rest), DAV_INSIDE);
	ck_assert_str_eq(rest, "");
	ck_assert_int_eq(where("http://h/dav/", "h", rest), DAV_INSIDE);
	ck_assert_str_eq(rest, "/");
}
END_TEST

START_TEST(an_ipv6_literal_is_compared_with_its_brackets_and_without_its_port)
{
	ck_assert_int_eq(where("http://[::1]:99/dav/x", "[::1]:8080", NULL), DAV_INSIDE);
	ck_assert_int_eq(where("http://[::1]/dav/x", "[::1]", NULL), DAV_INSIDE);
	ck_assert_int_eq(where("http://[::2]/dav/x", "[::1]", NULL), DAV_FOREIGN);
}
END_TEST

START_TEST(another_authority_is_foreign)
{
	static const char *const forms[] = {
		"http://other/dav/x",
		"https://files.example.evil/dav/x",
		"http://files.example@evil/dav/x",
		"http://evil#@h/dav/x",
		"ftp://h/dav/x",
		"file:///dav/x",
		"http://h2/dav/x",
		"http://other",
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		enum dav_where w = where(forms[i], "h", NULL);

		if (strchr(forms[i], '#'))
			ck_assert_int_eq(w, DAV_MALFORMED);
		else
			ck_assert_msg(w == DAV_FOREIGN, "%s", forms[i]);
	}
	ck_assert_int_eq(where("http://h/dav/x", "", NULL), DAV_FOREIGN);
}
END_TEST

START_TEST(what_is_shorter_than_the_prefix_is_outside_or_malformed_and_never_read_past)
{
	ck_assert_int_eq(where("http://h/", "h", NULL), DAV_OUTSIDE);
	ck_assert_int_eq(where("/d", "h", NULL), DAV_OUTSIDE);
	ck_assert_int_eq(where("/", "h", NULL), DAV_OUTSIDE);
	ck_assert_int_eq(where("/davx/y", "h", NULL), DAV_OUTSIDE);
	ck_assert_int_eq(where("/x/../dav/y", "h", NULL), DAV_OUTSIDE);
	ck_assert_int_eq(where("/%64av/y", "h", NULL), DAV_OUTSIDE);
	ck_assert_int_eq(where("http://h", "h", NULL), DAV_MALFORMED);
	ck_assert_int_eq(where("", "h", NULL), DAV_MALFORMED);
	ck_assert_int_eq(where("   ", "h", NULL), DAV_MALFORMED);
}
END_TEST

START_TEST(what_is_no_uri_is_malformed)
{
	static const char *const forms[] = {
		"dav/x",      "x",         "http:",      "http:/",          "http:///dav/x",
		"://h/dav/x", "//h/dav/x", "mailto:a",   "1http://h/dav/x", "/dav/a b",
		"/dav/a?b",   "/dav/a#b",  "/dav/a\x01", "/dav/a\r\nX: y",  "http://h?/dav/x",
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		ck_assert_msg(where(forms[i], "h", NULL) == DAV_MALFORMED, "%s", forms[i]);
}
END_TEST

START_TEST(a_path_of_64_kib_is_taken_as_it_is)
{
	char *uri = malloc(65537), *rest = malloc(65537);

	memset(uri, 'a', 65536);
	memcpy(uri, "/dav/", 5);
	uri[65536] = 0;
	ck_assert_int_eq(where(uri, "h", rest), DAV_INSIDE);
	ck_assert_uint_eq(strlen(rest), 65532);
	free(uri);
	free(rest);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("destination");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, every_legal_form_of_a_name_below_the_prefix_is_inside);
	tcase_add_test(t, the_root_is_inside_with_and_without_its_slash);
	tcase_add_test(t, an_ipv6_literal_is_compared_with_its_brackets_and_without_its_port);
	tcase_add_test(t, another_authority_is_foreign);
	tcase_add_test(t, what_is_shorter_than_the_prefix_is_outside_or_malformed_and_never_read_past);
	tcase_add_test(t, what_is_no_uri_is_malformed);
	tcase_add_test(t, a_path_of_64_kib_is_taken_as_it_is);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
