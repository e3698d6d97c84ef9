/* TYPE A conversion: the result must not depend on where the chunks' borders fall. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/ftp/ascii.h"

/* Converts in chunks of step bytes, in place as the door does. */
static size_t run(bool in, const char *from, size_t len, size_t step, char *out)
{
	struct ftp_ascii a = { 0 };
	char work[512];
	size_t n = 0;

	for (size_t i = 0; i < len; i += step) {
		size_t chunk = len - i < step ? len - i : step, got;

		if (in) {
			memcpy(work + 1, from + i, chunk);
			got = ftp_ascii_in(&a, work, work + 1, chunk);
		} else {
			memcpy(work + chunk, from + i, chunk);
			got = ftp_ascii_out(&a, work, work + chunk, chunk);
		}
		memcpy(out + n, work, got);
		n += got;
	}
	if (in)
		n += ftp_ascii_in_end(&a, out + n);
	return n;
}

static void expect(bool in, const char *from, const char *to)
{
	char out[512];

	for (size_t step = 1; step <= strlen(from) + 1; step++) {
		size_t n = run(in, from, strlen(from), step, out);

		ck_assert_uint_eq(n, strlen(to));
		ck_assert_mem_eq(out, to, n);
	}
}

START_TEST(crlf_becomes_lf_wherever_the_border_falls)
{
	expect(true, "a\r\nb\r\n", "a\nb\n");
	expect(true, "\r\n\r\n\r\n", "\n\n\n");
}
END_TEST

START_TEST(bare_cr_and_bare_lf_stay_on_the_way_in)
{
	expect(true, "a\rb", "a\rb");
	expect(true, "a\nb\n", "a\nb\n");
	expect(true, "a\r\r\nb", "a\r\nb");
	expect(true, "\r\r\r", "\r\r\r");
}
END_TEST

START_TEST(a_cr_at_the_very_end_is_not_lost)
{
	expect(true, "a\r", "a\r");
	expect(true, "a\r\n\r", "a\n\r");
}
END_TEST

START_TEST(lf_becomes_crlf_and_crlf_is_not_doubled)
{
	expect(false, "a\nb\n", "a\r\nb\r\n");
	expect(false, "a\r\nb\n", "a\r\nb\r\n");
	expect(false, "\n\n", "\r\n\r\n");
	expect(false, "a\rb\r", "a\rb\r");
}
END_TEST

START_TEST(text_with_lf_survives_both_ways)
{
	static const char text[] = "one\ntwo\n\nthree\rfour\n";
	char wire[128], back[128];

	for (size_t step = 1; step < sizeof(text); step++) {
		size_t n = run(false, text, sizeof(text) - 1, step, wire);

		n = run(true, wire, n, step, back);
		ck_assert_uint_eq(n, sizeof(text) - 1);
		ck_assert_mem_eq(back, text, n);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ftp/ascii");
	TCase *t = tcase_create("ascii");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, crlf_becomes_lf_wherever_the_border_falls);
	tcase_add_test(t, bare_cr_and_bare_lf_stay_on_the_way_in);
	tcase_add_test(t, a_cr_at_the_very_end_is_not_lost);
	tcase_add_test(t, lf_becomes_crlf_and_crlf_is_not_doubled);
	tcase_add_test(t, text_with_lf_survives_both_ways);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
