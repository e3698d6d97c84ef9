/* The growing buffer: its maximum, its numbers, its escapes. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"

START_TEST(grows_to_its_maximum_and_not_one_byte_further)
{
	struct gh_buf b;

	for (size_t max = 0; max < 2000; max += 77) {
		gh_buf_init(&b, max);
		for (size_t i = 0; i < max; i++)
			gh_buf_char(&b, 'x');
		ck_assert(!b.failed);
		ck_assert_uint_eq(b.len, max);
		gh_buf_char(&b, 'y');
		ck_assert(b.failed);
		ck_assert_uint_eq(b.len, max);
		gh_buf_str(&b, "");
		ck_assert_ptr_null(gh_buf_room(&b, 0)); /* failure is sticky */
		gh_buf_clear(&b);
		ck_assert(!b.failed);
		gh_buf_fini(&b);
		gh_buf_fini(&b);
	}
}
END_TEST

START_TEST(what_does_not_fit_whole_is_not_added_at_all)
{
	struct gh_buf b;

	gh_buf_init(&b, 10);
	gh_buf_str(&b, "12345678");
	gh_buf_str(&b, "abc");
	ck_assert(b.failed);
	ck_assert_str_eq(b.data, "12345678");
	gh_buf_str(&b, "9");
	ck_assert_str_eq(b.data, "12345678");
	gh_buf_fini(&b);
	gh_buf_init(&b, SIZE_MAX);
	ck_assert_ptr_null(gh_buf_room(&b, SIZE_MAX));
	gh_buf_fini(&b);
}
END_TEST

START_TEST(numbers_are_those_of_printf)
{
	static const unsigned long long v[] = { 0,   1,	   9,	  10,	 11,	   99,	      100,
						101, 1234, 99999, 100000, UINT32_MAX, INT64_MAX, UINT64_MAX };
	char want[32];
	struct gh_buf b;

	gh_buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		snprintf(want, sizeof(want), "%llu", v[i]);
		gh_buf_clear(&b);
		gh_buf_u64(&b, v[i]);
		ck_assert_str_eq(b.data, want);
	}
	gh_buf_clear(&b);
	gh_buf_printf(&b, "%s=%d", "a", -5);
	gh_buf_printf(&b, "%500d", 1);
	ck_assert_uint_eq(b.len, 504);
	ck_assert_uint_eq(strlen(b.data), 504);
	gh_buf_fini(&b);
}
END_TEST

START_TEST(xml_escapes_what_has_a_meaning)
{
	struct gh_buf b;

	gh_buf_init(&b, 1000);
	gh_buf_xml(&b, "<a & 'b' \"c\"\r\n>\xc3\xa9", 18);
	ck_assert_str_eq(b.data, "&lt;a &amp; &#39;b&#39; &quot;c&quot;&#13;\n&gt;\xc3\xa9");
	gh_buf_fini(&b);
}
END_TEST

START_TEST(href_keeps_what_clients_compare_and_encodes_the_rest)
{
	static const char plain[] = "/!*'(),:@$+;=~-._abcXYZ019";
	struct gh_buf b;
	char c, want[8];

	gh_buf_init(&b, 1000);
	gh_buf_href(&b, plain, strlen(plain));
	ck_assert_str_eq(b.data, plain);
	gh_buf_clear(&b);
	gh_buf_href(&b, "a b%&?#\xc3\xa9", 9);
	ck_assert_str_eq(b.data, "a%20b%25%26%3F%23%C3%A9");
	for (int i = 0; i < 256; i++) {
		c = (char)i;
		gh_buf_clear(&b);
		gh_buf_href(&b, &c, 1);
		if (c && strchr(plain, c))
			continue;
		if ((i >= '0' && i <= '9') || (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z'))
			continue;
		snprintf(want, sizeof(want), "%%%02X", (unsigned)i);
		ck_assert_str_eq(b.data, want);
	}
	gh_buf_fini(&b);
}
END_TEST

START_TEST(json_escapes_quotes_backslashes_and_controls)
{
	struct gh_buf b;

	gh_buf_init(&b, 1000);
	gh_buf_json(&b, "a\"b\\c\n\r\t\b\f\x01\x1f/\xc3\xa9", 15);
	ck_assert_str_eq(b.data, "a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f/\xc3\xa9");
	gh_buf_fini(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("buf");
	TCase *t = tcase_create("buf");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, grows_to_its_maximum_and_not_one_byte_further);
	tcase_add_test(t, what_does_not_fit_whole_is_not_added_at_all);
	tcase_add_test(t, numbers_are_those_of_printf);
	tcase_add_test(t, xml_escapes_what_has_a_meaning);
	tcase_add_test(t, href_keeps_what_clients_compare_and_encodes_the_rest);
	tcase_add_test(t, json_escapes_quotes_backslashes_and_controls);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
