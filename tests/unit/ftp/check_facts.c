/* Times and listing lines. The calendar is checked against libc over its whole range. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontends/ftp/facts.h"

static int64_t us_of(const char *text)
{
	int64_t us;

	if (ftp_time_parse(text, strlen(text), &us) != GH_OK)
		ck_abort_msg("%s was refused", text);
	return us;
}

START_TEST(times_agree_with_libc_both_ways)
{
	/* A step that meets every month, hour and leap rule from year 1 to 9999. */
	for (int64_t t = -62135596800; t < 253402300800; t += 86400 * 11 + 3607) {
		time_t sec = (time_t)t;
		struct tm tm;
		char libc[32], ours[FTP_TIME_MAX];

		gmtime_r(&sec, &tm);
		snprintf(libc, sizeof(libc), "%04d%02d%02d%02d%02d%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			 tm.tm_hour, tm.tm_min, tm.tm_sec);
		ftp_time_format(ours, t * 1000000);
		if (!strcmp(ours, libc) && us_of(ours) == t * 1000000)
			continue; /* an assertion that holds is written down each time */
		ck_abort_msg("%lld: %s, and libc says %s", (long long)t, ours, libc);
	}
}
END_TEST

START_TEST(times_before_1970_and_beyond_2038_are_right)
{
	char out[FTP_TIME_MAX];

	ck_assert_int_eq(us_of("19691231235959"), -1000000);
	ftp_time_format(out, -1);
	ck_assert_str_eq(out, "19691231235959");
	ck_assert_int_eq(us_of("20380119031408"), 2147483648LL * 1000000);
	ftp_time_format(out, INT64_MAX);
	ck_assert_str_eq(out, "99991231235959");
	ftp_time_format(out, INT64_MIN);
	ck_assert_str_eq(out, "00010101000000");
}
END_TEST

START_TEST(fractions_are_kept_and_leap_seconds_become_the_next)
{
	ck_assert_int_eq(us_of("19700101000001.5"), 1500000);
	ck_assert_int_eq(us_of("19700101000001.123456789"), 1123456);
	ck_assert_int_eq(us_of("19700101000060"), 60000000);
}
END_TEST

START_TEST(dates_that_do_not_exist_are_refused)
{
	static const char *const bad[] = { "",
					   "2024",
					   "20240230000000",
					   "20230229000000",
					   "20241301000000",
					   "20240100000000",
					   "20240101240000",
					   "20240101006000",
					   "20240101000061",
					   "2024010100000x",
					   "20240101000000.",
					   "20240101000000.1x",
					   "20240101000000 ",
					   "00000101000000",
					   "-0240101000000",
					   "19000229000000",
					   "202401010000001" };
	int64_t us;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(ftp_time_parse(bad[i], strlen(bad[i]), &us) == GH_INVALID, "\"%s\" passed", bad[i]);
	ck_assert_int_eq(us_of("20000229000000"), 951782400LL * 1000000);
}
END_TEST

static struct vfs_node file = { .id = 0xabc, .type = VFS_FILE, .size = 1234, .rights = ACL_FULL };
static struct vfs_node folder = { .id = 0xdef, .type = VFS_FOLDER, .rights = ACL_FULL };

static const char *list_line(const struct vfs_node *n, const char *name, int64_t now_us)
{
	static struct gh_buf b = { .max = 8192 };

	gh_buf_clear(&b);
	ftp_list_line(&b, n, name, now_us);
	return b.data;
}

static const char *facts_line(const struct vfs_node *n, unsigned facts, const char *name)
{
	static struct gh_buf b = { .max = 8192 };

	gh_buf_clear(&b);
	ftp_facts_line(&b, n, facts, name);
	return b.data;
}

START_TEST(list_lines_look_like_ls)
{
	file.mtime_us = us_of("20240305070809");
	folder.mtime_us = us_of("20010101000000");
	ck_assert_str_eq(list_line(&file, "a b", us_of("20240401000000")),
			 "-rw-r--r--   1 ftp      ftp          1234 Mar  5 07:08 a b\r\n");
	ck_assert_str_eq(list_line(&file, "a", us_of("20260401000000")),
			 "-rw-r--r--   1 ftp      ftp          1234 Mar  5  2024 a\r\n");
	ck_assert_str_eq(list_line(&folder, "d", us_of("20240401000000")),
			 "drwxr-xr-x   1 ftp      ftp             0 Jan  1  2001 d\r\n");
}
END_TEST

START_TEST(a_time_in_the_future_shows_its_year)
{
	file.mtime_us = us_of("20380119031408");
	ck_assert_ptr_nonnull(strstr(list_line(&file, "a", us_of("20240401000000")), " Jan 19  2038 a\r\n"));
}
END_TEST

START_TEST(facts_come_before_exactly_one_space)
{
	file.mtime_us = us_of("20240305070809");
	ck_assert_str_eq(facts_line(&file, FTP_FACT_ALL, " x"),
			 "type=file;size=1234;modify=20240305070809;unique=abc;perm=adfrw;UNIX.mode=0644;  x");
	ck_assert_str_eq(facts_line(&folder, FTP_FACT_TYPE | FTP_FACT_SIZE | FTP_FACT_PERM, "d"),
			 "type=dir;perm=cdeflmp; d");
	ck_assert_str_eq(facts_line(&file, 0, "x"), " x");
}
END_TEST

START_TEST(facts_say_no_more_than_the_caller_may)
{
	struct vfs_node n = file;

	n.rights = ACL_READ;
	ck_assert_str_eq(facts_line(&n, FTP_FACT_PERM | FTP_FACT_MODE, "x"), "perm=r;UNIX.mode=0444; x");
	n = folder;
	n.rights = 0;
	n.navigable = true;
	ck_assert_str_eq(facts_line(&n, FTP_FACT_ALL, "x"), "type=dir;perm=e; x");
}
END_TEST

START_TEST(opts_mlst_takes_names_of_any_case_and_ignores_others)
{
	struct gh_buf b;

	ck_assert_uint_eq(ftp_facts_parse("Type;SIZE;unix.mode;charset;"),
			  FTP_FACT_TYPE | FTP_FACT_SIZE | FTP_FACT_MODE);
	ck_assert_uint_eq(ftp_facts_parse(""), 0);
	ck_assert_uint_eq(ftp_facts_parse(";;;"), 0);
	gh_buf_init(&b, 256);
	ftp_facts_feat(&b, FTP_FACT_TYPE | FTP_FACT_MODE);
	ck_assert_str_eq(b.data, "type*;size;modify;unique;perm;UNIX.mode*;");
	gh_buf_clear(&b);
	ftp_facts_names(&b, FTP_FACT_TYPE | FTP_FACT_SIZE);
	ck_assert_str_eq(b.data, "type;size;");
	gh_buf_fini(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ftp/facts");
	TCase *t = tcase_create("facts");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, times_agree_with_libc_both_ways);
	tcase_add_test(t, times_before_1970_and_beyond_2038_are_right);
	tcase_add_test(t, fractions_are_kept_and_leap_seconds_become_the_next);
	tcase_add_test(t, dates_that_do_not_exist_are_refused);
	tcase_add_test(t, list_lines_look_like_ls);
	tcase_add_test(t, a_time_in_the_future_shows_its_year);
	tcase_add_test(t, facts_come_before_exactly_one_space);
	tcase_add_test(t, facts_say_no_more_than_the_caller_may);
	tcase_add_test(t, opts_mlst_takes_names_of_any_case_and_ignores_others);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
