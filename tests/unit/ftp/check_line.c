/* The line reader: Telnet, caps, line ends, whatever the borders of what recv returned. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/ftp/line.h"

static struct ftp_reader reader;
static struct gh_buf answers;

static size_t cap(const char *line, size_t len)
{
	return len >= 5 && !memcmp(line, "PATH ", 5) ? FTP_PATH_LINE_MAX : FTP_LINE_MAX;
}

static void setup(void)
{
	ftp_reader_init(&reader, cap);
	gh_buf_init(&answers, 4096);
}

static void teardown(void)
{
	ftp_reader_fini(&reader);
	gh_buf_fini(&answers);
}

/* Feeds in steps; lines and overlong marks come back joined by '|'. */
static const char *run(const char *bytes, size_t len, size_t step)
{
	static char out[65536];
	size_t n = 0;

	for (size_t i = 0; i < len;) {
		size_t chunk = len - i < step ? len - i : step, used;
		enum ftp_fed fed = ftp_reader_feed(&reader, (const unsigned char *)bytes + i, chunk, &used, &answers);

		ck_assert_uint_le(used, chunk);
		i += used;
		if (fed == FTP_FED_MORE) {
			ck_assert_uint_eq(used, chunk);
			continue;
		}
		if (fed == FTP_FED_LINE) {
			memcpy(out + n, reader.line.data, reader.line.len);
			n += reader.line.len;
		} else {
			out[n++] = '!';
		}
		out[n++] = '|';
	}
	out[n] = '\0';
	return out;
}

static void expect(const char *bytes, size_t len, const char *lines)
{
	for (size_t step = 1; step <= len; step++) {
		teardown();
		setup();
		ck_assert_str_eq(run(bytes, len, step), lines);
	}
}
#define EXPECT(bytes, lines) expect(bytes, sizeof(bytes) - 1, lines)

START_TEST(lines_end_with_lf_and_lose_one_cr)
{
	EXPECT("NOOP\r\nQUIT\n", "NOOP|QUIT|");
	EXPECT("A\r\r\n", "A\r|");
	EXPECT("\n\r\n", "||");
}
END_TEST

START_TEST(trailing_and_leading_spaces_are_the_lines_own)
{
	EXPECT("RETR  a \r\n", "RETR  a |");
}
END_TEST

START_TEST(doubled_iac_is_a_byte_of_the_name)
{
	EXPECT("RETR \xff\xff\r\n", "RETR \xff|");
	EXPECT("\xff\xff\xff\xff\n", "\xff\xff|");
}
END_TEST

START_TEST(synch_before_abor_vanishes)
{
	EXPECT("\xff\xf4\xff\xf2"
	       "ABOR\r\n",
	       "ABOR|");
	EXPECT("\xff\xf4\xf2"
	       "ABOR\r\n",
	       "ABOR|"); /* the mark ate the second IAC */
	EXPECT("\xf2"
	       "ABOR\r\n",
	       "\xf2"
	       "ABOR|"); /* without IP it is just a byte */
}
END_TEST

START_TEST(options_are_refused_once_each)
{
	static const char in[] = "\xff\xfb\x01\xff\xfd\x01\xff\xfb\x01\xff\xfd\x01\xff\xfc\x05\xff\xfe\x05NOOP\r\n";

	ck_assert_str_eq(run(in, sizeof(in) - 1, 3), "NOOP|");
	ck_assert_uint_eq(answers.len, 6);
	ck_assert_mem_eq(answers.data, "\xff\xfe\x01\xff\xfc\x01", 6);
}
END_TEST

START_TEST(subnegotiations_vanish_and_cannot_swallow_the_session)
{
	EXPECT("\xff\xfa\x18"
	       "abc\xff\xf0NOOP\r\n",
	       "NOOP|");
	EXPECT("\xff\xfa\x18 never ended\nNOOP\r\n", "NOOP|");
}
END_TEST

START_TEST(a_run_of_iac_at_any_border_is_counted_in_pairs)
{
	char in[70], want[70];

	for (unsigned n = 1; n <= 64; n += 2) {
		memset(in, 0xff, n * 2 > 64 ? 64 : n * 2);
		size_t len = n * 2 > 64 ? 64 : n * 2;

		memset(want, 0xff, len / 2);
		strcpy(want + len / 2, "|");
		in[len] = '\n';
		expect(in, len + 1, want);
	}
}
END_TEST

START_TEST(nul_bytes_are_kept_for_the_dispatcher_to_refuse)
{
	size_t used;

	ck_assert_int_eq(ftp_reader_feed(&reader, (const unsigned char *)"USER a\0b\r\n", 10, &used, &answers),
			 FTP_FED_LINE);
	ck_assert_uint_eq(reader.line.len, 8);
	ck_assert_mem_eq(reader.line.data, "USER a\0b", 8);
}
END_TEST

static char *long_line(const char *head, size_t total)
{
	char *line = malloc(total + 2);

	memset(line, 'x', total);
	memcpy(line, head, strlen(head));
	line[total] = '\r';
	line[total + 1] = '\n';
	return line;
}

START_TEST(a_line_of_exactly_the_cap_passes_and_one_byte_more_does_not)
{
	char *line = long_line("NOOP ", FTP_LINE_MAX);

	run(line, FTP_LINE_MAX + 2, 1000);
	ck_assert_uint_eq(reader.line.len, FTP_LINE_MAX);
	free(line);
	line = long_line("NOOP ", FTP_LINE_MAX + 1);
	ck_assert_str_eq(run(line, FTP_LINE_MAX + 3, 1000), "!|");
	free(line);
}
END_TEST

START_TEST(path_commands_may_be_longer)
{
	char *line = long_line("PATH ", FTP_PATH_LINE_MAX);

	run(line, FTP_PATH_LINE_MAX + 2, 777);
	ck_assert_uint_eq(reader.line.len, FTP_PATH_LINE_MAX);
	free(line);
	line = long_line("PATH ", FTP_PATH_LINE_MAX + 1);
	ck_assert_str_eq(run(line, FTP_PATH_LINE_MAX + 3, 777), "!|");
	free(line);
}
END_TEST

START_TEST(a_megabyte_without_an_end_costs_one_answer_and_no_memory)
{
	size_t len = 1 << 20;
	char *bytes = malloc(len + 8);

	memset(bytes, 'y', len);
	memcpy(bytes + len, "\nNOOP\r\n", 7);
	ck_assert_str_eq(run(bytes, len + 7, 1024), "!|NOOP|");
	ck_assert_uint_le(reader.line.cap, FTP_PATH_LINE_MAX + 32);
	free(bytes);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ftp/line");
	TCase *t = tcase_create("line");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, lines_end_with_lf_and_lose_one_cr);
	tcase_add_test(t, trailing_and_leading_spaces_are_the_lines_own);
	tcase_add_test(t, doubled_iac_is_a_byte_of_the_name);
	tcase_add_test(t, synch_before_abor_vanishes);
	tcase_add_test(t, options_are_refused_once_each);
	tcase_add_test(t, subnegotiations_vanish_and_cannot_swallow_the_session);
	tcase_add_test(t, a_run_of_iac_at_any_border_is_counted_in_pairs);
	tcase_add_test(t, nul_bytes_are_kept_for_the_dispatcher_to_refuse);
	tcase_add_test(t, a_line_of_exactly_the_cap_passes_and_one_byte_more_does_not);
	tcase_add_test(t, path_commands_may_be_longer);
	tcase_add_test(t, a_megabyte_without_an_end_costs_one_answer_and_no_memory);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
