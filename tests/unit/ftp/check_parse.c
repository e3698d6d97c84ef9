/* Arguments that are not paths. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/ftp/parse.h"

static struct sockaddr_storage sa;

static const char *shown(void)
{
	static char text[INET6_ADDRSTRLEN + 16];
	char host[INET6_ADDRSTRLEN];
	const void *addr = sa.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&sa)->sin_addr
						   : (void *)&((struct sockaddr_in6 *)&sa)->sin6_addr;

	inet_ntop(sa.ss_family, addr, host, sizeof(host));
	snprintf(text, sizeof(text), "%s %u", host, ftp_port_of(&sa));
	return text;
}

START_TEST(port_takes_six_bytes_and_nothing_else)
{
	static const char *const bad[] = {
		"",           "1,2,3,4,5",      "1,2,3,4,5,6,7", "1,2,3,4,5,256", "256,0,0,1,4,1",
		"1,2,3,4,5,", ",1,2,3,4,5",     "1,2,3,4,5,-1",  "1,2,3,4,5,6 ",  " 1,2,3,4,5,6",
		"1,2,3,4,,6", "0001,2,3,4,5,6", "a,b,c,d,e,f",   "1.2.3.4,5,6",   "99999999999999999999,0,0,1,4,1"
	};

	ck_assert_int_eq(ftp_parse_port("10,0,0,7,19,137", &sa), GH_OK);
	ck_assert_str_eq(shown(), "10.0.0.7 5001");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(ftp_parse_port(bad[i], &sa) == GH_INVALID, "\"%s\" passed", bad[i]);
}
END_TEST

START_TEST(eprt_takes_both_families_and_any_delimiter)
{
	ck_assert_int_eq(ftp_parse_eprt("|1|132.235.1.2|6275|", &sa), GH_OK);
	ck_assert_str_eq(shown(), "132.235.1.2 6275");
	ck_assert_int_eq(ftp_parse_eprt("|2|1080::8:800:200C:417A|5282|", &sa), GH_OK);
	ck_assert_str_eq(shown(), "1080::8:800:200c:417a 5282");
	ck_assert_int_eq(ftp_parse_eprt("!1!1.2.3.4!80!", &sa), GH_OK);
}
END_TEST

START_TEST(eprt_refuses_what_is_malformed_mapped_or_foreign)
{
	static const char *const bad[] = { "",
					   "|",
					   "|1",
					   "|1|",
					   "|1|1.2.3.4|",
					   "|1|1.2.3.4|80",
					   "|1|1.2.3.4|80||",
					   "|1|1.2.3.4|65536|",
					   "|1|1.2.3|80|",
					   "|1|::1|80|",
					   "|2|1.2.3.4|80|",
					   "|2|::ffff:1.2.3.4|80|",
					   "|1|1.2.3.4|-1|",
					   "11|1.2.3.4|80|",
					   "|1|1.2.3.4!80|",
					   "|1||80|",
					   "|2|1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc|1|" };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(ftp_parse_eprt(bad[i], &sa) == GH_INVALID, "\"%s\" passed", bad[i]);
	ck_assert_int_eq(ftp_parse_eprt("|3|1.2.3.4|80|", &sa), GH_UNSUPPORTED);
}
END_TEST

START_TEST(epsv_tells_its_arguments_apart)
{
	ck_assert_int_eq(ftp_parse_epsv(""), FTP_EPSV_ANY);
	ck_assert_int_eq(ftp_parse_epsv("1"), FTP_EPSV_4);
	ck_assert_int_eq(ftp_parse_epsv("2"), FTP_EPSV_6);
	ck_assert_int_eq(ftp_parse_epsv("all"), FTP_EPSV_ALL);
	ck_assert_int_eq(ftp_parse_epsv("3"), FTP_EPSV_OTHER);
	ck_assert_int_eq(ftp_parse_epsv("1 "), FTP_EPSV_BAD);
	ck_assert_int_eq(ftp_parse_epsv("x"), FTP_EPSV_BAD);
}
END_TEST

START_TEST(types_other_than_a_i_and_l8_are_refused)
{
	ck_assert_int_eq(ftp_parse_type("A"), FTP_TYPE_ASCII);
	ck_assert_int_eq(ftp_parse_type("a n"), FTP_TYPE_ASCII);
	ck_assert_int_eq(ftp_parse_type("I"), FTP_TYPE_BINARY);
	ck_assert_int_eq(ftp_parse_type("l 8"), FTP_TYPE_BINARY);
	ck_assert_int_eq(ftp_parse_type("A T"), FTP_TYPE_OTHER);
	ck_assert_int_eq(ftp_parse_type("A C"), FTP_TYPE_OTHER);
	ck_assert_int_eq(ftp_parse_type("E"), FTP_TYPE_OTHER);
	ck_assert_int_eq(ftp_parse_type("L 7"), FTP_TYPE_OTHER);
	ck_assert_int_eq(ftp_parse_type(""), FTP_TYPE_OTHER);
}
END_TEST

START_TEST(numbers_are_digits_within_an_off_t)
{
	uint64_t v;

	ck_assert_int_eq(ftp_parse_u64("9223372036854775807", &v), GH_OK);
	ck_assert_uint_eq(v, INT64_MAX);
	ck_assert_int_eq(ftp_parse_u64("9223372036854775808", &v), GH_INVALID);
	ck_assert_int_eq(ftp_parse_u64("18446744073709551616", &v), GH_INVALID);
	ck_assert_int_eq(ftp_parse_u64("-1", &v), GH_INVALID);
	ck_assert_int_eq(ftp_parse_u64("+1", &v), GH_INVALID);
	ck_assert_int_eq(ftp_parse_u64(" 1", &v), GH_INVALID);
	ck_assert_int_eq(ftp_parse_u64("1 ", &v), GH_INVALID);
	ck_assert_int_eq(ftp_parse_u64("0x10", &v), GH_INVALID);
	ck_assert_int_eq(ftp_parse_u64("", &v), GH_INVALID);
}
END_TEST

START_TEST(port_ranges_are_ordered)
{
	unsigned a, b;

	ck_assert_int_eq(ftp_parse_ports("2200-2299", &a, &b), GH_OK);
	ck_assert_uint_eq(a, 2200);
	ck_assert_uint_eq(b, 2299);
	ck_assert_int_eq(ftp_parse_ports("0", &a, &b), GH_OK);
	ck_assert_uint_eq(a | b, 0);
	ck_assert_int_eq(ftp_parse_ports("2200", &a, &b), GH_OK);
	ck_assert_uint_eq(b, 2200);
	ck_assert_int_eq(ftp_parse_ports("2299-2200", &a, &b), GH_INVALID);
	ck_assert_int_eq(ftp_parse_ports("0-10", &a, &b), GH_INVALID);
	ck_assert_int_eq(ftp_parse_ports("1-65536", &a, &b), GH_INVALID);
	ck_assert_int_eq(ftp_parse_ports("1-2x", &a, &b), GH_INVALID);
}
END_TEST

START_TEST(hosts_are_names_or_bracketed_literals)
{
	ck_assert(ftp_host_valid("files.example.org"));
	ck_assert(ftp_host_valid("192.0.2.1"));
	ck_assert(ftp_host_valid("[2001:db8::1]"));
	ck_assert(!ftp_host_valid("2001:db8::1"));
	ck_assert(!ftp_host_valid("[2001:db8::1"));
	ck_assert(!ftp_host_valid("[]"));
	ck_assert(!ftp_host_valid("a b"));
	ck_assert(!ftp_host_valid("../x"));
	ck_assert(!ftp_host_valid(""));
}
END_TEST

START_TEST(a_mapped_address_is_the_ipv4_address_in_it)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(2121) };
	struct sockaddr_storage a = { 0 };

	ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:10.1.2.3", &six.sin6_addr), 1);
	memcpy(&a, &six, sizeof(six));
	ck_assert_int_eq(ftp_parse_port("10,1,2,3,8,73", &sa), GH_OK);
	ck_assert(ftp_same_host(&a, &sa));
	ftp_unmap(&a);
	ck_assert_int_eq(a.ss_family, AF_INET);
	ck_assert_uint_eq(ftp_port_of(&a), 2121);
	ck_assert_int_eq(ftp_parse_port("10,1,2,4,8,73", &sa), GH_OK);
	ck_assert(!ftp_same_host(&a, &sa));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ftp/parse");
	TCase *t = tcase_create("parse");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, port_takes_six_bytes_and_nothing_else);
	tcase_add_test(t, eprt_takes_both_families_and_any_delimiter);
	tcase_add_test(t, eprt_refuses_what_is_malformed_mapped_or_foreign);
	tcase_add_test(t, epsv_tells_its_arguments_apart);
	tcase_add_test(t, types_other_than_a_i_and_l8_are_refused);
	tcase_add_test(t, numbers_are_digits_within_an_off_t);
	tcase_add_test(t, port_ranges_are_ordered);
	tcase_add_test(t, hosts_are_names_or_bracketed_literals);
	tcase_add_test(t, a_mapped_address_is_the_ipv4_address_in_it);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
