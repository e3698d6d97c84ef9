/* Lists of cache servers, and who of them rests. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "backends/cache/servers.h"
#include "core/base/clock.h"

static struct server_set set;
static char err[256];

static enum gh_status parse(const char *text)
{
	return servers_parse(text, &set, err);
}

static void teardown(void)
{
	servers_fini(&set);
}

START_TEST(servers_are_hosts_addresses_and_sockets)
{
	ck_assert_int_eq(parse("cache1, 10.0.0.7:11212,[2001:db8::1]:11213 ,\t/run/memcached.sock,[::1]"), GH_OK);
	ck_assert_uint_eq(set.count, 5);
	ck_assert_str_eq(set.server[0].text, "cache1:11211");
	ck_assert_str_eq(set.server[1].host, "10.0.0.7");
	ck_assert_uint_eq(set.server[1].port, 11212);
	ck_assert_str_eq(set.server[2].host, "2001:db8::1");
	ck_assert_str_eq(set.server[2].text, "[2001:db8::1]:11213");
	ck_assert_str_eq(set.server[3].host, "/run/memcached.sock");
	ck_assert_uint_eq(set.server[3].port, 0);
	ck_assert_str_eq(set.server[4].text, "[::1]:11211");
	ck_assert_uint_eq(servers_find(&set, "10.0.0.7", 11212), 1);
	ck_assert_uint_eq(servers_find(&set, "10.0.0.7", 11211), 5);
}
END_TEST

START_TEST(nothing_is_no_server)
{
	ck_assert_int_eq(parse(""), GH_OK);
	ck_assert_uint_eq(set.count, 0);
	teardown();
	ck_assert_int_eq(parse(NULL), GH_OK);
	ck_assert_uint_eq(set.count, 0);
}
END_TEST

START_TEST(what_is_no_server_is_named)
{
	static const char *const bad[] = { "a,,b", "a,", ",", " ", "a:0", "a:65536", "a:x", "a:", ":11211", "[::1", "[::1]x", "[]:1",
					   "::1", "a b", "a;b", "a,a", "a:11211,a", "h\xc3\xa4" };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err[0] = '\0';
		ck_assert_msg(parse(bad[i]) == GH_INVALID, "%s", bad[i]);
		ck_assert_msg(strlen(err) > 10, "%s: %s", bad[i], err);
	}
	parse("good, bad:99999");
	ck_assert_ptr_nonnull(strstr(err, "\"bad:99999\""));
}
END_TEST

START_TEST(there_is_an_end_to_how_many_and_how_long)
{
	char many[CACHE_SERVERS_MAX * 8 + 16] = "", longest[300];

	for (unsigned i = 0; i <= CACHE_SERVERS_MAX; i++)
		sprintf(many + strlen(many), "%sa%u", i ? "," : "", i);
	ck_assert_int_eq(parse(many), GH_INVALID);
	*strrchr(many, ',') = '\0';
	ck_assert_int_eq(parse(many), GH_OK);
	memset(longest, 'a', sizeof(longest));
	longest[256] = '\0';
	teardown();
	ck_assert_int_eq(parse(longest), GH_INVALID);
	longest[0] = '/';
	longest[200] = '\0';
	ck_assert_int_eq(parse(longest), GH_INVALID);
}
END_TEST

START_TEST(who_did_not_answer_rests_a_second)
{
	const uint64_t now = 5 * GH_S_NS;

	ck_assert_int_eq(parse("a,b"), GH_OK);
	ck_assert_int_eq(servers_ask(&set, 0, now), GH_OK);
	servers_tell(&set, 0, false, now);
	ck_assert_int_eq(servers_ask(&set, 0, now), GH_TRIPPED);
	ck_assert_int_eq(servers_ask(&set, 1, now), GH_OK);
	ck_assert_int_eq(servers_ask(&set, 0, now + GH_S_NS - 1), GH_TRIPPED);
	ck_assert_int_eq(servers_ask(&set, 0, now + GH_S_NS), GH_OK);
	servers_tell(&set, 0, false, now);
	servers_tell(&set, 0, true, now);
	ck_assert_int_eq(servers_ask(&set, 0, now), GH_OK);
}
END_TEST

START_TEST(when_all_rest_there_is_no_cache)
{
	ck_assert_int_eq(parse("a,b"), GH_OK);
	servers_tell(&set, 0, false, 1);
	servers_tell(&set, 1, false, 1);
	ck_assert_int_eq(servers_ask(&set, 0, 2), GH_IO);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("servers");
	TCase *c = tcase_create("servers");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, NULL, teardown);
	tcase_add_test(c, servers_are_hosts_addresses_and_sockets);
	tcase_add_test(c, nothing_is_no_server);
	tcase_add_test(c, what_is_no_server_is_named);
	tcase_add_test(c, there_is_an_end_to_how_many_and_how_long);
	tcase_add_test(c, who_did_not_answer_rests_a_second);
	tcase_add_test(c, when_all_rest_there_is_no_cache);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
