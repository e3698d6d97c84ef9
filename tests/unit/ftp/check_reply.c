/* How each status sounds, and that no text can break out of its line. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/ftp/ftp.h"

static struct ftp_session s;

static void setup(void)
{
	memset(&s, 0, sizeof(s));
	gh_buf_init(&s.out, FTP_OUT_MAX);
	s.busy = true;
}

static void teardown(void)
{
	gh_buf_fini(&s.out);
}

START_TEST(every_status_has_a_code_and_a_sentence)
{
	for (int st = 0; st < GH_STATUS_COUNT; st++) {
		struct ftp_answer a = ftp_answer_of((enum gh_status)st);

		ck_assert_int_ge(a.code, st == GH_OK ? 200 : 400);
		ck_assert_int_lt(a.code, st == GH_OK ? 300 : 600);
		ck_assert_ptr_nonnull(a.text);
		ck_assert_int_gt((int)strlen(a.text), 3);
	}
}
END_TEST

START_TEST(refusals_sound_as_designed)
{
	static const struct {
		enum gh_status st;
		int code;
	} want[] = { { GH_OFF, 421 },     { GH_READONLY, 450 }, { GH_TRIPPED, 451 },   { GH_BUSY, 450 },
		     { GH_QUOTA, 552 },   { GH_NOSPACE, 552 },  { GH_LOCKED, 450 },    { GH_DENIED, 550 },
		     { GH_RANGE, 554 },   { GH_UNAUTH, 530 },   { GH_THROTTLED, 421 }, { GH_STOPPING, 421 },
		     { GH_BADNAME, 553 }, { GH_NOTFOUND, 550 }, { GH_TOOLARGE, 552 } };

	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		ck_assert_int_eq(ftp_answer_of(want[i].st).code, want[i].code);
}
END_TEST

START_TEST(no_text_breaks_out_of_its_line)
{
	ftp_end(&s, 250, "%s", "a\r\n230 Logged in.\x01\x7f");
	ck_assert_str_eq(s.out.data, "250 a? 230 Logged in.??\r\n");
}
END_TEST

START_TEST(multi_line_replies_indent_what_is_between)
{
	ftp_say_first(&s, 211, "Features:");
	ftp_say_line(&s, "%s", "211 End");
	ftp_end(&s, 211, "End");
	ck_assert_str_eq(s.out.data, "211-Features:\r\n 211 End\r\n211 End\r\n");
	ck_assert(!s.busy);
}
END_TEST

START_TEST(a_lock_is_refused_with_its_holders_name)
{
	struct vfs_req req = { .status = GH_LOCKED, .blocker = "ann" };

	ftp_end_status(&s, GH_LOCKED, &req);
	ck_assert_str_eq(s.out.data, "450 Locked by ann.\r\n");
}
END_TEST

START_TEST(a_switch_speaks_the_administrators_words_and_ends_the_session)
{
	struct vfs_req req = { .status = GH_OFF, .message = "use https://files.example\nuntil noon" };

	ftp_end_status(&s, GH_OFF, &req);
	ck_assert_str_eq(s.out.data, "421 use https://files.example until noon\r\n");
	ck_assert(s.leaving);
}
END_TEST

START_TEST(a_text_of_any_length_fits)
{
	char *text = malloc(100000);

	memset(text, 'x', 99999);
	text[99999] = '\0';
	ftp_end(&s, 250, "%s", text);
	ck_assert(!s.out.failed);
	ck_assert_int_eq(memcmp(s.out.data + s.out.len - 3, "x\r\n", 3), 0);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ftp/reply");
	TCase *t = tcase_create("reply");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_status_has_a_code_and_a_sentence);
	tcase_add_test(t, refusals_sound_as_designed);
	tcase_add_test(t, no_text_breaks_out_of_its_line);
	tcase_add_test(t, multi_line_replies_indent_what_is_between);
	tcase_add_test(t, a_lock_is_refused_with_its_holders_name);
	tcase_add_test(t, a_switch_speaks_the_administrators_words_and_ends_the_session);
	tcase_add_test(t, a_text_of_any_length_fits);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
