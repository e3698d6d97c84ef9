/* Lists of networks, and who is in them. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/doorstep.h"
#include "core/run/nets.h"

static struct gh_nets nets;
static char bad[80];

static enum gh_status parse(const char *text)
{
	return gh_nets_parse(text, &nets, bad, sizeof(bad));
}

static bool has(const char *host)
{
	struct sockaddr_storage ss;
	char text[80];
	socklen_t len;

	snprintf(text, sizeof(text), strchr(host, ':') ? "[%s]:1" : "%s:1", host);
	ck_assert_int_eq(gh_addr_parse(text, &ss, &len), GH_OK);
	return gh_nets_have(&nets, (struct sockaddr *)&ss);
}

START_TEST(an_address_is_itself_and_a_prefix_is_what_begins_with_it)
{
	ck_assert_int_eq(parse("10.0.0.7, 10.1.0.0/20,2001:db8::/33 , ::1"), GH_OK);
	ck_assert_uint_eq(nets.count, 4);
	ck_assert(has("10.0.0.7"));
	ck_assert(!has("10.0.0.6"));
	ck_assert(has("10.1.15.255"));
	ck_assert(!has("10.1.16.0"));
	ck_assert(has("2001:db8:7fff::1"));
	ck_assert(!has("2001:db8:8000::1"));
	ck_assert(has("::1"));
	ck_assert(!has("::2"));
}
END_TEST

START_TEST(an_ipv4_address_inside_ipv6_is_that_address_and_no_other_family_matches)
{
	ck_assert_int_eq(parse("10.0.0.0/8"), GH_OK);
	ck_assert(has("::ffff:10.2.3.4"));
	ck_assert(!has("::10.2.3.4"));
	ck_assert(!has("a00::"));
	ck_assert_int_eq(parse("0.0.0.0/0"), GH_OK);
	ck_assert(has("192.0.2.1"));
	ck_assert(!has("2001:db8::1"));
	ck_assert_int_eq(parse("::/0"), GH_OK);
	ck_assert(has("192.0.2.1"));
	ck_assert(has("2001:db8::1"));
}
END_TEST

START_TEST(an_empty_list_has_nobody)
{
	ck_assert_int_eq(parse(""), GH_OK);
	ck_assert_int_eq(parse("  "), GH_OK);
	ck_assert_uint_eq(nets.count, 0);
	ck_assert(!has("127.0.0.1"));
	ck_assert(!gh_nets_have(&nets, &(struct sockaddr){ .sa_family = AF_UNIX }));
}
END_TEST

START_TEST(what_is_no_network_is_named)
{
	static const char *const wrong[] = { "balancer",   "10.0.0",	"10.0.0.1/33", "10.0.0.1/8",   "10.0.0.0/",  "10.0.0.0/-1",
					     "::1/129",	   "::1/64",	"10.0.0.0/08x", "010.0.0.1",   ",",	     "10.0.0.1,,10.0.0.2",
					     "10.0.0.1;", "[::1]",	"10.0.0.1:80", "10.0.0.0/0024" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(parse(wrong[i]) == GH_INVALID, "%s", wrong[i]);
	ck_assert_int_eq(parse("10.0.0.1, 10.0.0.1/8 , ::1"), GH_INVALID);
	ck_assert_str_eq(bad, "10.0.0.1/8");
}
END_TEST

START_TEST(there_is_a_bound_and_the_first_beyond_it_is_named)
{
	char text[2000] = "";

	for (unsigned i = 0; i <= NETS_MAX; i++)
		sprintf(text + strlen(text), "%s10.0.0.%u", i ? "," : "", i);
	ck_assert_int_eq(parse(text), GH_LIMIT);
	ck_assert_str_eq(bad, "10.0.0.64");
	*strrchr(text, ',') = '\0';
	ck_assert_int_eq(parse(text), GH_OK);
	ck_assert_uint_eq(nets.count, NETS_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("networks");
	TCase *t = tcase_create("networks");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, an_address_is_itself_and_a_prefix_is_what_begins_with_it);
	tcase_add_test(t, an_ipv4_address_inside_ipv6_is_that_address_and_no_other_family_matches);
	tcase_add_test(t, an_empty_list_has_nobody);
	tcase_add_test(t, what_is_no_network_is_named);
	tcase_add_test(t, there_is_a_bound_and_the_first_beyond_it_is_named);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
