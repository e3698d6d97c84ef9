/* What is read out of headers: dates, conditions, ranges, credentials, query parameters; and the table of codes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "frontends/http/http.h"

static struct http_call call;
static struct http_field fields[8];

/* A GET with these headers, "name", "value" in turn. */
static struct http_ex *request(unsigned n, const char *const *pairs)
{
	memset(&call, 0, sizeof(call));
	call.ex.arena = gh_arena_new(1 << 16);
	call.ex.method = HTTP_GET;
	call.fields = fields;
	for (unsigned i = 0; i + 1 < n; i += 2)
		fields[call.field_count++] = (struct http_field){ pairs[i], pairs[i + 1], (unsigned)strlen(pairs[i]),
								  (unsigned)strlen(pairs[i + 1]) };
	return &call.ex;
}
#define WITH(...) \
	request(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), (const char *const[]){ __VA_ARGS__ })

static void done(void)
{
	gh_arena_free(&call.ex.arena);
}

/* ---- dates ---- */

START_TEST(dates_are_written_as_rfc_9110_wants)
{
	static const struct {
		int64_t s;
		const char *text;
	} rows[] = {
		{ 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" },
		{ 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
		{ -1, "Wed, 31 Dec 1969 23:59:59 GMT" },
		{ 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
		{ 4102444799, "Thu, 31 Dec 2099 23:59:59 GMT" },
		{ 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
		{ -62135596800, "Mon, 01 Jan 0001 00:00:00 GMT" },
	};
	char out[HTTP_DATE_LEN];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int64_t back = 0;

		http_date_format(out, rows[i].s * GH_S_US);
		ck_assert_str_eq(out, rows[i].text);
		ck_assert(http_date_parse(out, &back));
		ck_assert_int_eq(back, rows[i].s * GH_S_US);
	}
	http_date_format(out, -1); /* a microsecond before 1970 is in 1969 */
	ck_assert_str_eq(out, "Wed, 31 Dec 1969 23:59:59 GMT");
	http_rfc3339_format(out, 1700000000123456);
	ck_assert_str_eq(out, "2023-11-14T22:13:20.123Z");
	http_rfc3339_format(out, -1);
	ck_assert_str_eq(out, "1969-12-31T23:59:59.999Z");
}
END_TEST

START_TEST(dates_are_read_in_all_three_forms)
{
	int64_t us = 0;

	ck_assert(http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT", &us));
	ck_assert_int_eq(us, 784111777 * GH_S_US);
	ck_assert(http_date_parse("Sunday, 06-Nov-94 08:49:37 GMT", &us));
	ck_assert_int_eq(us, 784111777 * GH_S_US);
	ck_assert(http_date_parse("Sun Nov  6 08:49:37 1994", &us));
	ck_assert_int_eq(us, 784111777 * GH_S_US);
	ck_assert(http_date_parse("Wed Nov 16 08:49:37 1994", &us));
}
END_TEST

START_TEST(what_is_no_date_is_refused)
{
	static const char *const bad[] = {
		"", "x", "Sun", "Sun,", "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT", "Xxx, 06 Nov 1994 08:49:37 GMT", "784111777",
		"Sun, 06 Nov 94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
	};
	int64_t us;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(!http_date_parse(bad[i], &us), "%s", bad[i]);
}
END_TEST

/* ---- conditions ---- */

START_TEST(no_conditional_header_is_no_condition)
{
	struct http_ex *ex = WITH("Accept", "*/*");

	ck_assert_ptr_null(http_cond(ex, ex->arena));
	done();
}
END_TEST

START_TEST(only_our_own_tags_become_versions)
{
	struct http_ex *ex = WITH("if-none-match",
				  "\"00000000000000ff\", W/\"0000000000000001\",\"x\", junk, \"00000000000000FF\" ,"
				  "\"a, b\",\"000000000000000a\"");
	struct vfs_cond *c = http_cond(ex, ex->arena);

	ck_assert(c->if_none_match.present && !c->if_none_match.any);
	ck_assert_uint_eq(c->if_none_match.count, 3);
	ck_assert_uint_eq(c->if_none_match.versions[0], 0xff);
	ck_assert_uint_eq(c->if_none_match.versions[1], 1); /* weak comparison */
	ck_assert_uint_eq(c->if_none_match.versions[2], 10);
	done();
}
END_TEST

START_TEST(if_match_compares_strongly)
{
	struct http_ex *ex = WITH("If-Match", "W/\"0000000000000001\"");
	struct vfs_cond *c = http_cond(ex, ex->arena);

	ck_assert(c->if_match.present);
	ck_assert_uint_eq(c->if_match.count, 0);
	done();
	ex = WITH("If-Match", " * ");
	c = http_cond(ex, ex->arena);
	ck_assert(c->if_match.any);
	done();
	ex = WITH("If-Match", "");
	c = http_cond(ex, ex->arena);
	ck_assert(c->if_match.present && !c->if_match.any && !c->if_match.count);
	done();
}
END_TEST

START_TEST(dates_give_way_to_tags)
{
	static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
	struct http_ex *ex = WITH("If-None-Match", "\"x\"", "If-Modified-Since", date, "If-Unmodified-Since", date);
	struct vfs_cond *c = http_cond(ex, ex->arena);

	ck_assert_int_eq(c->modified_since_us, 0);
	ck_assert_int_eq(c->unmodified_since_us, 784111777 * GH_S_US);
	done();
	ex = WITH("If-Match", "\"x\"", "If-Unmodified-Since", date);
	c = http_cond(ex, ex->arena);
	ck_assert_int_eq(c->unmodified_since_us, 0);
	done();
	ex = WITH("If-Modified-Since", date);
	ex->method = HTTP_PUT;
	c = http_cond(ex, ex->arena);
	ck_assert_int_eq(c->modified_since_us, 0);
	done();
	ex = WITH("If-Modified-Since", "yesterday");
	c = http_cond(ex, ex->arena);
	ck_assert_int_eq(c->modified_since_us, 0);
	done();
}
END_TEST

/* ---- ranges ---- */

static void range_is(struct http_ex *ex, uint64_t size, int code, uint64_t offset, uint64_t length)
{
	uint64_t o = 77, l = 77;

	ck_assert_int_eq(http_range(ex, size, 5, 1000 * GH_S_US, &o, &l), code);
	if (code != 416) {
		ck_assert_uint_eq(o, offset);
		ck_assert_uint_eq(l, length);
	}
	done();
}

START_TEST(one_range_is_honoured)
{
	range_is(WITH("Range", "bytes=0-0"), 10, 206, 0, 1);
	range_is(WITH("Range", "bytes=2-5"), 10, 206, 2, 4);
	range_is(WITH("Range", "BYTES= 2-5 "), 10, 206, 2, 4);
	range_is(WITH("Range", "bytes=2-"), 10, 206, 2, 8);
	range_is(WITH("Range", "bytes=2-99"), 10, 206, 2, 8);
	range_is(WITH("Range", "bytes=9-99999999999999999999999"), 10, 206, 9, 1);
	range_is(WITH("Range", "bytes=-3"), 10, 206, 7, 3);
	range_is(WITH("Range", "bytes=-30"), 10, 206, 0, 10);
}
END_TEST

START_TEST(a_range_outside_the_file_is_416)
{
	range_is(WITH("Range", "bytes=10-"), 10, 416, 0, 0);
	range_is(WITH("Range", "bytes=-0"), 10, 416, 0, 0);
	range_is(WITH("Range", "bytes=0-"), 0, 416, 0, 0);
	range_is(WITH("Range", "bytes=18446744073709551616-"), 10, 416, 0, 0);
}
END_TEST

START_TEST(anything_else_is_the_whole_file)
{
	static const char *const whole[] = { "", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=1-2x",
					     "lines=1-2", "bytes=0-1,3-4", "bytes=1 - 2", "bytes=--1", "bytes=+1-2" };

	for (unsigned i = 0; i < sizeof(whole) / sizeof(*whole); i++)
		range_is(WITH("Range", whole[i]), 10, 200, 0, 10);
	range_is(WITH("Accept", "x"), 10, 200, 0, 10);
	range_is(WITH("Range", "bytes=-5"), 0, 200, 0, 0);
	WITH("Range", "bytes=0-1");
	call.ex.method = HTTP_HEAD;
	range_is(&call.ex, 10, 200, 0, 10);
}
END_TEST

START_TEST(if_range_that_does_not_hold_gives_the_whole_file)
{
	range_is(WITH("Range", "bytes=0-1", "If-Range", "\"0000000000000005\""), 10, 206, 0, 2);
	range_is(WITH("Range", "bytes=0-1", "If-Range", "\"0000000000000006\""), 10, 200, 0, 10);
	range_is(WITH("Range", "bytes=0-1", "If-Range", "W/\"0000000000000005\""), 10, 200, 0, 10);
	range_is(WITH("Range", "bytes=0-1", "If-Range", "\"0000000000000005"), 10, 200, 0, 10);
	range_is(WITH("Range", "bytes=0-1", "If-Range", "Thu, 01 Jan 1970 00:16:40 GMT"), 10, 206, 0, 2);
	range_is(WITH("Range", "bytes=0-1", "If-Range", "Thu, 01 Jan 1970 00:16:41 GMT"), 10, 200, 0, 10);
	range_is(WITH("Range", "bytes=0-1", "If-Range", "junk"), 10, 200, 0, 10);
	/* Unsatisfiable, but of another version: the whole file, not 416. */
	range_is(WITH("Range", "bytes=99-", "If-Range", "\"0000000000000006\""), 10, 200, 0, 10);
}
END_TEST

/* ---- credentials ---- */

static enum gh_status basic(const char *value, const char **user, const char **password)
{
	WITH("a", "b");
	*user = *password = NULL;
	return http_basic_parse(call.ex.arena, value, user, password);
}

START_TEST(credentials_are_decoded)
{
	const char *user, *password;

	ck_assert_int_eq(basic("Basic YW5uOnNlY3JldA==", &user, &password), GH_OK);
	ck_assert_str_eq(user, "ann");
	ck_assert_str_eq(password, "secret");
	done();
	ck_assert_int_eq(basic("bAsIc   YTpiOmM= ", &user, &password), GH_OK);
	ck_assert_str_eq(user, "a");
	ck_assert_str_eq(password, "b:c");
	done();
	ck_assert_int_eq(basic("Basic Og==", &user, &password), GH_OK);
	ck_assert_str_eq(user, "");
	ck_assert_str_eq(password, "");
	done();
}
END_TEST

START_TEST(malformed_credentials_are_refused)
{
	static const char *const invalid[] = {
		"Basic", "Basic ", "Basic !", "Basic YW5u", "Basic YW5uOnNlY3JldA", "Basic YW5uOnNlY3JldA=",
		"Basic YW5uOnNlY3JldA=== ", "Basic YW5uOnNlY3JldB==", "Basic YTo= YTo=", "Basic =Og=", "Basic Og==Og==",
		"Basic YQBiOmM=" /* a NUL */, "Basic YTpiAA==" /* NUL at the end */, "Basic YTpiCg==" /* line feed */,
		"Basic YX86Yg==" /* DEL */,
	};
	const char *user, *password;

	for (unsigned i = 0; i < sizeof(invalid) / sizeof(*invalid); i++) {
		ck_assert_msg(basic(invalid[i], &user, &password) == GH_INVALID, "%s", invalid[i]);
		done();
	}
	ck_assert_int_eq(basic("Bearer abc", &user, &password), GH_UNAUTH);
	done();
	ck_assert_int_eq(basic("Basically YTpi", &user, &password), GH_UNAUTH);
	done();
	ck_assert_int_eq(basic("", &user, &password), GH_UNAUTH);
	done();
}
END_TEST

START_TEST(credentials_have_a_longest_length)
{
	const char *user, *password;
	char value[4096] = "Basic ";

	memset(value + 6, 'Q', 4000); /* "AAA..." for users and no colon: far too long */
	ck_assert_int_eq(basic(value, &user, &password), GH_INVALID);
	done();
	/* 255 letters, one more, then a colon: 256 is allowed, 258 is not. */
	memset(value + 6, 0, sizeof(value) - 6);
	for (unsigned i = 0; i < 85; i++)
		memcpy(value + 6 + 4 * i, "YWFh", 4);
	memcpy(value + 6 + 340, "YTpi", 5);
	ck_assert_int_eq(basic(value, &user, &password), GH_OK);
	ck_assert_uint_eq(strlen(user), 256);
	done();
	memcpy(value + 6 + 340, "YWFhOmE=", 9);
	ck_assert_int_eq(basic(value, &user, &password), GH_INVALID);
	done();
}
END_TEST

/* ---- query, methods, codes ---- */

START_TEST(query_parameters_are_decoded)
{
	struct http_ex *ex = WITH("a", "b");

	ex->query = "a=1&bb=x%20y+z%2B&flag&a=2&bad=%zz&nul=%00&cut=%4";
	ck_assert_str_eq(http_query(ex, "a"), "1");
	ck_assert_str_eq(http_query(ex, "bb"), "x y z+");
	ck_assert_str_eq(http_query(ex, "flag"), "");
	ck_assert_ptr_null(http_query(ex, "b"));
	ck_assert_ptr_null(http_query(ex, "bad"));
	ck_assert_ptr_null(http_query(ex, "nul"));
	ck_assert_ptr_null(http_query(ex, "cut"));
	ex->query = NULL;
	ck_assert_ptr_null(http_query(ex, "a"));
	done();
}
END_TEST

START_TEST(every_method_has_a_name_and_back)
{
	for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
		enum http_method back;

		ck_assert(http_method_of(http_method_name((enum http_method)m), &back));
		ck_assert_uint_eq(back, m);
	}
}
END_TEST

START_TEST(codes_follow_the_class_of_a_status)
{
	for (unsigned st = 0; st < GH_STATUS_COUNT; st++) {
		int code = http_code_of((enum gh_status)st);

		switch (gh_status_class((enum gh_status)st)) {
		case GH_CLASS_FLOW:
			ck_assert(code == 200 || code == 304 || code == 500);
			break;
		case GH_CLASS_CALLER:
			ck_assert((code >= 400 && code < 500) || code == 501 || code == 507);
			break;
		case GH_CLASS_TENANT:
			ck_assert(code == 429 || code == 503 || code == 507 || (st == GH_FROZEN && code == 403));
			break;
		case GH_CLASS_DEPENDENCY:
		case GH_CLASS_INTERNAL:
			ck_assert(code >= 500);
			break;
		}
	}
	ck_assert_int_eq(http_code_of(GH_BUSY), 503); /* never 401: clients would forget their password */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("message");
	TCase *t = tcase_create("headers");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, dates_are_written_as_rfc_9110_wants);
	tcase_add_test(t, dates_are_read_in_all_three_forms);
	tcase_add_test(t, what_is_no_date_is_refused);
	tcase_add_test(t, no_conditional_header_is_no_condition);
	tcase_add_test(t, only_our_own_tags_become_versions);
	tcase_add_test(t, if_match_compares_strongly);
	tcase_add_test(t, dates_give_way_to_tags);
	tcase_add_test(t, one_range_is_honoured);
	tcase_add_test(t, a_range_outside_the_file_is_416);
	tcase_add_test(t, anything_else_is_the_whole_file);
	tcase_add_test(t, if_range_that_does_not_hold_gives_the_whole_file);
	tcase_add_test(t, credentials_are_decoded);
	tcase_add_test(t, malformed_credentials_are_refused);
	tcase_add_test(t, credentials_have_a_longest_length);
	tcase_add_test(t, query_parameters_are_decoded);
	tcase_add_test(t, every_method_has_a_name_and_back);
	tcase_add_test(t, codes_follow_the_class_of_a_status);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
