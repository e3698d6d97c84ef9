/* The request guard, the target parser and the host check, rule by rule. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/http/guard.h"

enum { FIELDS_MAX = 200 };

struct request {
	struct http_raw raw;
	struct http_field fields[FIELDS_MAX];
	struct http_guarded got;
	const char *why;
};

/* "Name: value" each, NULL at the end; a Host is not added. */
static int judge(struct request *r, const char *method, const char *target, const char *version,
		 const char *const *lines)
{
	memset(r, 0, sizeof(*r));
	r->raw = (struct http_raw){ .method = method, .version = version, .target = target,
				    .target_len = strlen(target), .fields = r->fields };
	for (; *lines; lines++) {
		const char *colon = strstr(*lines, ": ");
		struct http_field *f = &r->fields[r->raw.field_count++];

		ck_assert_ptr_nonnull(colon);
		*f = (struct http_field){ .name = strndup(*lines, (size_t)(colon - *lines)),
					  .name_len = (unsigned)(colon - *lines), .value = colon + 2,
					  .value_len = (unsigned)strlen(colon + 2) };
	}
	return http_guard(&r->raw, &r->got, &r->why);
}

static void forget(struct request *r)
{
	for (unsigned i = 0; i < r->raw.field_count; i++)
		free((void *)r->fields[i].name);
}

#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define VERDICT(code, method, target, version, ...)                                                    \
	do {                                                                                           \
		struct request rq;                                                                     \
		int is = judge(&rq, method, target, version, LINES(__VA_ARGS__));                      \
		ck_assert_msg(is == (code), "%s %s: %d (%s), not %d", method, target, is,              \
			      rq.why ? rq.why : "passed", code);                                       \
		forget(&rq);                                                                           \
	} while (0)
#define GET_WITH(code, ...) VERDICT(code, "GET", "/a", "HTTP/1.1", "Host: h", __VA_ARGS__)
#define PUT_WITH(code, ...) VERDICT(code, "PUT", "/a", "HTTP/1.1", "Host: h", __VA_ARGS__)

START_TEST(rule_1_names_are_tokens_and_values_hold_no_controls)
{
	GET_WITH(0, "X-A!#$%&'*+-.^_`|~9: v");
	GET_WITH(400, "X A: v");
	GET_WITH(400, "X-A : v");
	GET_WITH(400, "X\xc3\xa4: v");
	GET_WITH(400, "X(a): v");
	GET_WITH(400, ": v");
	GET_WITH(400, "X-A: a\rb");
	GET_WITH(400, "X-A: a\nb");
	GET_WITH(400, "X-A: a\x01");
	GET_WITH(400, "X-A: a\x7f");
	GET_WITH(0, "X-A: tab\there and \xc3\xa4");
}
END_TEST

START_TEST(rule_2_there_is_exactly_one_valid_host)
{
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Accept: a/b");
	VERDICT(0, "GET", "/a", "HTTP/1.0", "Accept: a/b");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: a", "Host: a");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: a", "host: b");
	VERDICT(400, "GET", "/a", "HTTP/1.0", "Host: a", "host: b");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: ");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: a b");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: a/b");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: u@h");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: h:99999");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: h:8x");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: h:80:80");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: [::1");
	VERDICT(400, "GET", "/a", "HTTP/1.1", "Host: [g::1]");
	VERDICT(0, "GET", "/a", "HTTP/1.1", "Host: h:");
	VERDICT(0, "GET", "/a", "HTTP/1.1", "Host: h:8080");
	VERDICT(0, "GET", "/a", "HTTP/1.1", "Host: [::1]:8080");
	VERDICT(0, "GET", "/a", "HTTP/1.1", "Host: x.example.com");
}
END_TEST

START_TEST(rule_3_framing_is_unambiguous)
{
	struct request r;

	PUT_WITH(400, "Content-Length: 5", "Transfer-Encoding: chunked");
	PUT_WITH(400, "Content-Length: 5", "Content-Length: 5");
	PUT_WITH(400, "Content-Length: 5", "content-length: 6");
	PUT_WITH(400, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked");
	PUT_WITH(400, "Transfer-Encoding: gzip, chunked");
	PUT_WITH(400, "Transfer-Encoding: identity");
	PUT_WITH(400, "Transfer-Encoding: chunked, chunked");
	PUT_WITH(400, "Transfer-Encoding: ");
	PUT_WITH(501, "Transfer-Encoding: gzip");
	PUT_WITH(501, "Transfer-Encoding: xchunked");
	PUT_WITH(501, "Transfer-Encoding: \"chunked\"");
	VERDICT(400, "PUT", "/a", "HTTP/1.0", "Transfer-Encoding: chunked");
	PUT_WITH(0, "Transfer-Encoding: ChUnKeD");
	PUT_WITH(400, "Content-Length: ");
	PUT_WITH(400, "Content-Length: +5");
	PUT_WITH(400, "Content-Length: -5");
	PUT_WITH(400, "Content-Length: 0x5");
	PUT_WITH(400, "Content-Length: 5, 5");
	PUT_WITH(400, "Content-Length: 5 ");
	PUT_WITH(400, "Content-Length: 12345678901234567890");
	PUT_WITH(0, "Content-Length: 9999999999999999999");
	ck_assert_int_eq(judge(&r, "PUT", "/a", "HTTP/1.1", LINES("Host: h", "Content-Length: 0017")), 0);
	ck_assert_uint_eq(r.got.declared, 17);
	ck_assert(r.got.has_body);
	forget(&r);
	ck_assert_int_eq(judge(&r, "PUT", "/a", "HTTP/1.1", LINES("Host: h", "Transfer-Encoding: chunked")), 0);
	ck_assert_uint_eq(r.got.declared, UINT64_MAX);
	ck_assert(r.got.has_body);
	forget(&r);
	ck_assert_int_eq(judge(&r, "PUT", "/a", "HTTP/1.1", LINES("Host: h")), 0);
	ck_assert_uint_eq(r.got.declared, 0);
	ck_assert(!r.got.has_body);
	forget(&r);
}
END_TEST

START_TEST(rule_4_version_and_method_are_known)
{
	VERDICT(505, "GET", "/a", "HTTP/1.2", "Host: h");
	VERDICT(505, "GET", "/a", "HTTP/2.0", "Host: h");
	VERDICT(505, "GET", "/a", "http/1.1", "Host: h");
	VERDICT(505, "GET", "/a", "", "Host: h");
	VERDICT(501, "get", "/a", "HTTP/1.1", "Host: h");
	VERDICT(501, "CONNECT", "/a", "HTTP/1.1", "Host: h");
	VERDICT(501, "TRACE", "/a", "HTTP/1.1", "Host: h");
	VERDICT(501, "GETX", "/a", "HTTP/1.1", "Host: h");
	VERDICT(0, "PROPFIND", "/a", "HTTP/1.1", "Host: h");
}
END_TEST

START_TEST(rule_5_lookalikes_of_framing_headers_are_refused)
{
	PUT_WITH(400, "X-Content-Length: 5");
	PUT_WITH(400, "Content-Lengthy: 5");
	PUT_WITH(400, "X-Transfer-Encoding: chunked");
	GET_WITH(400, "X-Host: a");
	GET_WITH(400, "Hostx: a");
	GET_WITH(400, "GHOST: a");
	GET_WITH(400, "X-Authorization: a");
	GET_WITH(400, "Destination-X: a");
	GET_WITH(0, "X-Forwarded-Host: a", "X-Original-Host: b", "Proxy-Authorization: c");
}
END_TEST

START_TEST(rule_6_what_stands_once_comes_once)
{
	static const char *const names[] = { "Destination", "Depth", "Overwrite", "If", "Lock-Token", "Range",
					     "If-Match", "If-None-Match", "If-Range", "If-Modified-Since",
					     "If-Unmodified-Since", "Upload-Offset", "Tus-Resumable", "Content-Type",
					     "Authorization", "Expect", "Content-Range" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char one[64], two[64];
		struct request r;

		snprintf(one, sizeof(one), "%s: 100-continue", names[i]);
		snprintf(two, sizeof(two), "%s: 100-continue", names[i]);
		two[0] = (char)(two[0] ^ 0x20); /* the other case is the same header */
		ck_assert_int_eq(judge(&r, "GET", "/a", "HTTP/1.1", LINES("Host: h", one)), 0);
		forget(&r);
		ck_assert_msg(judge(&r, "GET", "/a", "HTTP/1.1", LINES("Host: h", one, "A: b", two)) == 400, "%s",
			      names[i]);
		forget(&r);
	}
	GET_WITH(0, "Accept: a", "Accept: b", "Cookie: c", "Cookie: d");
}
END_TEST

START_TEST(rule_7_the_target_is_taken_apart_as_sent)
{
	struct request r;

	VERDICT(400, "GET", "", "HTTP/1.1", "Host: h");
	VERDICT(400, "GET", "a", "HTTP/1.1", "Host: h");
	VERDICT(400, "GET", "*", "HTTP/1.1", "Host: h");
	VERDICT(400, "PROPFIND", "*", "HTTP/1.1", "Host: h");
	VERDICT(0, "OPTIONS", "*", "HTTP/1.1", "Host: h");
	VERDICT(400, "GET", "http://h", "HTTP/1.1", "Host: h");
	VERDICT(400, "GET", "http:///a", "HTTP/1.1", "Host: h");
	VERDICT(400, "GET", "http://u:p@h/a", "HTTP/1.1", "Host: h");
	VERDICT(400, "GET", "ftp://h/a", "HTTP/1.1", "Host: h");
	VERDICT(400, "GET", "/a b", "HTTP/1.1", "Host: h");
	VERDICT(400, "GET", "/a\x01", "HTTP/1.1", "Host: h");
	VERDICT(400, "DELETE", "/a#frag", "HTTP/1.1", "Host: h");
	ck_assert_int_eq(judge(&r, "GET", "HTTP://other:81/x%2fy?q=1?2", "HTTP/1.1", LINES("Host: h")), 0);
	ck_assert_int_eq(strncmp(r.got.host, "other:81", r.got.host_len), 0);
	ck_assert_uint_eq(r.got.host_len, 8);
	ck_assert_uint_eq(r.got.target.path_len, 6);
	ck_assert_int_eq(strncmp(r.got.target.path, "/x%2fy", 6), 0);
	ck_assert_uint_eq(r.got.target.query_len, 5);
	forget(&r);
	VERDICT(0, "GET", "//a/../%2e%2e/", "HTTP/1.1", "Host: h"); /* the core's to judge */
}
END_TEST

START_TEST(rule_7_a_target_has_a_longest_length)
{
	char *target = malloc(HTTP_TARGET_MAX + 2);

	memset(target, 'a', HTTP_TARGET_MAX + 1);
	target[0] = '/';
	target[HTTP_TARGET_MAX + 1] = '\0';
	VERDICT(414, "GET", target, "HTTP/1.1", "Host: h");
	target[HTTP_TARGET_MAX] = '\0';
	VERDICT(0, "GET", target, "HTTP/1.1", "Host: h");
	free(target);
}
END_TEST

START_TEST(rule_8_codings_and_expectations_that_we_do_not_do)
{
	PUT_WITH(415, "Content-Length: 5", "Content-Encoding: gzip");
	PUT_WITH(415, "Transfer-Encoding: chunked", "Content-Encoding: aws-chunked");
	PUT_WITH(0, "Content-Length: 5", "Content-Encoding: Identity");
	PUT_WITH(417, "Content-Length: 5", "Expect: 200-ok");
	PUT_WITH(417, "Content-Length: 5", "Expect: 100-continue, x");
	PUT_WITH(0, "Content-Length: 5", "Expect: 100-Continue");
}
END_TEST

START_TEST(rule_8_the_interim_answer_is_for_bodies_on_1_1)
{
	struct request r;

	ck_assert_int_eq(judge(&r, "PUT", "/a", "HTTP/1.1",
			       LINES("Host: h", "Content-Length: 5", "Expect: 100-continue")), 0);
	ck_assert(r.got.expects_continue);
	forget(&r);
	ck_assert_int_eq(judge(&r, "PUT", "/a", "HTTP/1.0", LINES("Content-Length: 5", "Expect: 100-continue")), 0);
	ck_assert(!r.got.expects_continue);
	forget(&r);
	ck_assert_int_eq(judge(&r, "GET", "/a", "HTTP/1.1", LINES("Host: h", "Expect: 100-continue")), 0);
	ck_assert(!r.got.expects_continue);
	forget(&r);
}
END_TEST

START_TEST(rule_9_no_body_where_none_belongs)
{
	static const char *const none400[] = { "GET", "HEAD", "OPTIONS", "UNLOCK" };
	static const char *const none415[] = { "DELETE", "MKCOL", "COPY", "MOVE" };
	static const char *const some[] = { "PUT", "POST", "PATCH", "PROPFIND", "PROPPATCH", "LOCK", "REPORT" };

	for (unsigned i = 0; i < 4; i++) {
		VERDICT(400, none400[i], "/a", "HTTP/1.1", "Host: h", "Content-Length: 1");
		VERDICT(400, none400[i], "/a", "HTTP/1.1", "Host: h", "Transfer-Encoding: chunked");
		VERDICT(0, none400[i], "/a", "HTTP/1.1", "Host: h", "Content-Length: 0");
		VERDICT(415, none415[i], "/a", "HTTP/1.1", "Host: h", "Content-Length: 1");
		VERDICT(0, none415[i], "/a", "HTTP/1.1", "Host: h", "Content-Length: 0");
	}
	for (unsigned i = 0; i < sizeof(some) / sizeof(*some); i++)
		VERDICT(0, some[i], "/a", "HTTP/1.1", "Host: h", "Content-Length: 1");
}
END_TEST

START_TEST(rule_10_headers_are_counted)
{
	const char *lines[HTTP_FIELDS_MAX + 2] = { "Host: h" };
	struct request r;

	for (unsigned i = 1; i <= HTTP_FIELDS_MAX; i++)
		lines[i] = "A: b";
	ck_assert_int_eq(judge(&r, "GET", "/a", "HTTP/1.1", lines), 431);
	forget(&r);
	lines[HTTP_FIELDS_MAX] = NULL;
	ck_assert_int_eq(judge(&r, "GET", "/a", "HTTP/1.1", lines), 0);
	forget(&r);
}
END_TEST

START_TEST(the_name_of_a_host_ends_before_its_port)
{
	ck_assert_uint_eq(http_host_name_len("h:80", 4), 1);
	ck_assert_uint_eq(http_host_name_len("h", 1), 1);
	ck_assert_uint_eq(http_host_name_len("[::1]:80", 8), 5);
	ck_assert_uint_eq(http_host_name_len("[::1]", 5), 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard");
	TCase *t = tcase_create("rules");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, rule_1_names_are_tokens_and_values_hold_no_controls);
	tcase_add_test(t, rule_2_there_is_exactly_one_valid_host);
	tcase_add_test(t, rule_3_framing_is_unambiguous);
	tcase_add_test(t, rule_4_version_and_method_are_known);
	tcase_add_test(t, rule_5_lookalikes_of_framing_headers_are_refused);
	tcase_add_test(t, rule_6_what_stands_once_comes_once);
	tcase_add_test(t, rule_7_the_target_is_taken_apart_as_sent);
	tcase_add_test(t, rule_7_a_target_has_a_longest_length);
	tcase_add_test(t, rule_8_codings_and_expectations_that_we_do_not_do);
	tcase_add_test(t, rule_8_the_interim_answer_is_for_bodies_on_1_1);
	tcase_add_test(t, rule_9_no_body_where_none_belongs);
	tcase_add_test(t, rule_10_headers_are_counted);
	tcase_add_test(t, the_name_of_a_host_ends_before_its_port);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
