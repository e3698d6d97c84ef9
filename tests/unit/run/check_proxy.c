/* PROXY headers, byte by byte. Every header is also given in every shorter length, which is more to come. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/doorstep.h"
#include "core/run/proxy.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define V4_BODY "\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x67\x00\x50" /* 192.0.2.1:4711 to 198.51.100.2:80 */
#define V6_BODY                                                                                                        \
	"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"                                             \
	"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x12\x67\x00\x50"
#define BYTES(literal) literal, sizeof(literal) - 1

static struct proxy_header h;

static const char *text_of(const struct sockaddr_storage *ss)
{
	static char out[2][80];
	static int which;
	struct gh_peer p;

	gh_peer_init(&p, (const struct sockaddr *)ss, h.addr_len);
	which = !which;
	snprintf(out[which], sizeof(out[which]), "%s %u", p.text, p.port);
	return out[which];
}

/* Whole; with a client's bytes behind it; and every beginning of it is more to come. */
static void is_header(const char *bytes, size_t len)
{
	char more[4096] = "";

	for (size_t n = 0; n < len; n++)
		ck_assert_msg(proxy_parse(bytes, n, &h) == PROXY_MORE, "with %zu bytes of %zu", n, len);
	memcpy(more, bytes, len);
	memcpy(more + len, "\r\nPROXY ", 8);
	memset(&h, 0xff, sizeof(h));
	ck_assert_int_eq(proxy_parse(more, len + 8, &h), PROXY_HEADER);
	ck_assert_uint_eq(h.len, len);
	memset(&h, 0xff, sizeof(h));
	ck_assert_int_eq(proxy_parse(bytes, len, &h), PROXY_HEADER);
	ck_assert_uint_eq(h.len, len);
}

static void names(const char *bytes, size_t len, const char *from, const char *to)
{
	is_header(bytes, len);
	ck_assert(h.addressed);
	ck_assert_str_eq(text_of(&h.from), from);
	ck_assert_str_eq(text_of(&h.to), to);
}

static void names_nobody(const char *bytes, size_t len)
{
	is_header(bytes, len);
	ck_assert(!h.addressed);
}

static void is_bad(const char *bytes, size_t len)
{
	ck_assert_msg(proxy_parse(bytes, len, &h) == PROXY_BAD, "%.*s", (int)len, bytes);
}

START_TEST(version_1_names_the_client_and_where_it_went)
{
	names(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n"), "192.0.2.1 4711", "198.51.100.2 80");
	names(BYTES("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), "0.0.0.0 0", "255.255.255.255 65535");
	names(BYTES("PROXY TCP6 2001:db8::1 2001:DB8::2 4711 80\r\n"), "2001:db8::1 4711", "2001:db8::2 80");
	names(BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), "192.0.2.1 1", "::1 2");
	names(BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535");
}
END_TEST

START_TEST(version_1_may_know_nothing)
{
	names_nobody(BYTES("PROXY UNKNOWN\r\n"));
	names_nobody(BYTES("PROXY UNKNOWN whatever  it says \t\r\n"));
	/* the longest line there is: 107 bytes */
	names_nobody(BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
			   " 65535 65535\r\n"));
	ck_assert_uint_eq(h.len, PROXY_V1_MAX);
}
END_TEST

START_TEST(version_1_has_one_spelling)
{
	static const char *const wrong[] = {
		"PROXY\r\n", "PROXY \r\n", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4\r\n", "PROXY TCP4 1.2.3.4\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
		"PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY UNKNOWNS\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n",
		"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "GET / HTTP/1.1\r\n", "PROXX", "\n", "USER ann\r\n",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		is_bad(wrong[i], strlen(wrong[i]));
	is_bad(BYTES("PROXY UNKNOWN \0\r\n"));
}
END_TEST

START_TEST(version_1_ends_within_107_bytes_or_never)
{
	char line[200];

	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	ck_assert_int_eq(proxy_parse(line, PROXY_V1_MAX - 1, &h), PROXY_MORE);
	is_bad(line, PROXY_V1_MAX);
	is_bad(line, sizeof(line));
	memcpy(line + PROXY_V1_MAX - 1, "\r\n", 2); /* its last byte would be the 108th */
	is_bad(line, sizeof(line));
	line[PROXY_V1_MAX - 2] = '\r';
	line[PROXY_V1_MAX - 1] = '\n';
	ck_assert_int_eq(proxy_parse(line, sizeof(line), &h), PROXY_HEADER);
}
END_TEST

START_TEST(version_2_names_the_client_and_where_it_went)
{
	names(BYTES(V2 "\x21\x11\x00\x0c" V4_BODY), "192.0.2.1 4711", "198.51.100.2 80");
	names(BYTES(V2 "\x21\x21\x00\x24" V6_BODY), "2001:db8::1 4711", "2001:db8::2 80");
}
END_TEST

START_TEST(version_2_may_say_more_which_is_skipped)
{
	names(BYTES(V2 "\x21\x11\x00\x13" V4_BODY "\x05\x00\x04" "abcd"), "192.0.2.1 4711", "198.51.100.2 80");
	/* not even whole TLVs: nobody looks */
	names(BYTES(V2 "\x21\x21\x00\x26" V6_BODY "\x05\xff"), "2001:db8::1 4711", "2001:db8::2 80");
}
END_TEST

START_TEST(version_2_may_name_nobody)
{
	char unix_header[16 + 216] = V2 "\x21\x31\x00\xd8";

	names_nobody(BYTES(V2 "\x20\x00\x00\x00"));
	names_nobody(BYTES(V2 "\x20\x11\x00\x0c" V4_BODY)); /* LOCAL: what it says besides is to be ignored */
	names_nobody(BYTES(V2 "\x20\xee\x00\x02" "xx"));
	names_nobody(BYTES(V2 "\x21\x00\x00\x00"));
	names_nobody(BYTES(V2 "\x21\x00\x00\x05" "hello"));
	names_nobody(unix_header, sizeof(unix_header));
}
END_TEST

START_TEST(version_2_that_means_nothing_is_refused_as_soon_as_that_is_seen)
{
	is_bad(BYTES(V2 "\x11\x11\x00\x0c"));	    /* version 1 in binary */
	is_bad(BYTES(V2 "\x31"));		    /* version 3 */
	is_bad(BYTES(V2 "\x22"));		    /* a command of tomorrow */
	is_bad(BYTES(V2 "\x21\x12\x00\x0c" V4_BODY)); /* datagrams */
	is_bad(BYTES(V2 "\x21\x10\x00\x0c" V4_BODY));
	is_bad(BYTES(V2 "\x21\x41\x00\x0c" V4_BODY));
	is_bad(BYTES(V2 "\x21\x11\x00\x0b" V4_BODY)); /* too short for its family */
	is_bad(BYTES(V2 "\x21\x21\x00\x23" V6_BODY));
	is_bad(BYTES(V2 "\x21\x31\x00\xd7"));
	is_bad(BYTES("\r\n\r\n\0\r\nQUIT\r"));
	is_bad(BYTES("\r\n\r\n\x01"));
}
END_TEST

START_TEST(version_2_has_a_bound)
{
	char header[PROXY_HEADER_MAX] = V2 "\x21\x11\x08\x00" V4_BODY;

	names(header, sizeof(header), "192.0.2.1 4711", "198.51.100.2 80");
	is_bad(BYTES(V2 "\x21\x11\x08\x01"));
	is_bad(BYTES(V2 "\x20\x00\xff\xff"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("PROXY protocol");
	TCase *t = tcase_create("headers");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, version_1_names_the_client_and_where_it_went);
	tcase_add_test(t, version_1_may_know_nothing);
	tcase_add_test(t, version_1_has_one_spelling);
	tcase_add_test(t, version_1_ends_within_107_bytes_or_never);
	tcase_add_test(t, version_2_names_the_client_and_where_it_went);
	tcase_add_test(t, version_2_may_say_more_which_is_skipped);
	tcase_add_test(t, version_2_may_name_nobody);
	tcase_add_test(t, version_2_that_means_nothing_is_refused_as_soon_as_that_is_seen);
	tcase_add_test(t, version_2_has_a_bound);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
