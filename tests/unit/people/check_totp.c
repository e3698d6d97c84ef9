/* One-time codes against the vectors of RFC 6238 appendix B and RFC 4648 section 10. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/people/totp.h"

static const unsigned char secret[] = "12345678901234567890";

START_TEST(codes_are_those_of_the_standard)
{
	static const struct {
		uint64_t time_s;
		uint32_t code;
	} vectors[] = {
		{ 59, 287082 },       { 1111111109, 81804 },  { 1111111111, 50471 },
		{ 1234567890, 5924 }, { 2000000000, 279037 }, { 20000000000, 353130 },
	};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		ck_assert_uint_eq(totp_code(secret, vectors[i].time_s / TOTP_STEP_S), vectors[i].code);
}
END_TEST

START_TEST(a_secret_is_written_in_base32_and_read_back)
{
	unsigned char back[TOTP_SECRET_BYTES];
	char text[TOTP_TEXT_MAX];

	totp_secret_text(secret, text);
	ck_assert_str_eq(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
	ck_assert(totp_secret_parse(text, back));
	ck_assert_mem_eq(back, secret, TOTP_SECRET_BYTES);
	ck_assert(!totp_secret_parse("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ1", back));
	ck_assert(!totp_secret_parse("GEZDGNBV", back));
	ck_assert(!totp_secret_parse("", back));
	ck_assert(!totp_secret_parse(NULL, back));
}
END_TEST

static bool good_at(int64_t now_s, int64_t code_s, int64_t used, int64_t *ret_step)
{
	char code[16];

	snprintf(code, sizeof(code), "%06u", totp_code(secret, (uint64_t)(code_s / TOTP_STEP_S)));
	return totp_check(secret, code, now_s, used, ret_step);
}

START_TEST(one_step_early_or_late_is_taken_and_no_more)
{
	const int64_t now = 1700000010;
	int64_t step = 0;

	ck_assert(good_at(now, now, 0, &step));
	ck_assert_int_eq(step, now / TOTP_STEP_S);
	ck_assert(good_at(now, now - 30, 0, &step));
	ck_assert_int_eq(step, now / TOTP_STEP_S - 1);
	ck_assert(good_at(now, now + 30, 0, &step));
	ck_assert(!good_at(now, now - 60, 0, &step));
	ck_assert(!good_at(now, now + 60, 0, &step));
}
END_TEST

START_TEST(a_code_is_taken_once)
{
	const int64_t now = 1700000010;
	int64_t step = 0, again = 0;

	ck_assert(good_at(now, now, 0, &step));
	ck_assert(!good_at(now, now, step, &again));
	ck_assert(!good_at(now + 5, now, step, &again));
	ck_assert(!good_at(now, now - 30, step, &again)); /* an older one neither */
	ck_assert(good_at(now + 30, now + 30, step, &again));
}
END_TEST

START_TEST(what_is_no_code_is_refused)
{
	static const char *const wrong[] = { "", "12345", "1234567", "12345a", "-12345", " 12345", "12 345", "+12345" };
	int64_t step;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert(!totp_check(secret, wrong[i], 59, 0, &step));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("one-time codes");
	TCase *tc = tcase_create("totp");
	SRunner *r = srunner_create(s);

	tcase_add_test(tc, codes_are_those_of_the_standard);
	tcase_add_test(tc, a_secret_is_written_in_base32_and_read_back);
	tcase_add_test(tc, one_step_early_or_late_is_taken_and_no_more);
	tcase_add_test(tc, a_code_is_taken_once);
	tcase_add_test(tc, what_is_no_code_is_refused);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
