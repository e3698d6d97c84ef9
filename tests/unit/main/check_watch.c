/* The picture of status --watch: it fits whatever the terminal is, and nothing in it moves the cursor. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/main/watch.h"

static struct gh_buf out;
static json_t *sample;

static void setup(void)
{
	gh_buf_init(&out, 1 << 20);
	sample = json_loads("{\"t\":1,\"doors\":{\"webdav\":{\"requests\":12,\"in_bytes\":2048,\"p99_ms\":3.5},"
			    "\"ftp\":{\"requests\":1,\"out_bytes\":5000000}},\"shed\":4,\"queue\":{\"waiting\":7,\"oldest_ms\":90},"
			    "\"breakers_open\":1,\"cpu\":{\"loop_busy\":0.5},\"tenants\":["
			    "{\"tenant\":\"acme\",\"share\":0.75,\"requests\":10,\"bytes\":1024},"
			    "{\"tenant\":\"b\\u001b[2J\\n\\u00e4\",\"share\":7,\"requests\":1}]}", 0, NULL);
	ck_assert_ptr_nonnull(sample);
}

static void teardown(void)
{
	gh_buf_fini(&out);
	json_decref(sample);
}

/* Escape sequences other than the three that are ours, and other controls than the line's end. */
static unsigned strangers(const char *s)
{
	unsigned n = 0;

	for (; *s; s++) {
		if (*s == '\x1b' && (!strncmp(s, "\x1b[H", 3) || !strncmp(s, "\x1b[K", 3) || !strncmp(s, "\x1b[J", 3)))
			s += 2;
		else if ((unsigned char)*s < 0x20 && *s != '\r' && *s != '\n')
			n++;
	}
	return n;
}

/* Lines, and the widest of them in code points. */
static unsigned lines_of(const char *s, unsigned *ret_widest)
{
	unsigned lines = 1, width = 0;

	*ret_widest = 0;
	for (; *s; s++) {
		if (*s == '\x1b')
			s += 2;
		else if (*s == '\n')
			lines++, width = 0;
		else if (*s != '\r' && ((unsigned char)*s & 0xc0) != 0x80 && ++width > *ret_widest)
			*ret_widest = width;
	}
	return lines;
}

START_TEST(the_picture_has_what_the_sample_has)
{
	const struct watch_view v = { .sample = sample, .rows = 40, .columns = 120 };

	watch_draw(&v, &out);
	ck_assert_ptr_nonnull(strstr(out.data, "13 requests/s"));
	ck_assert_ptr_nonnull(strstr(out.data, "in 2.0 KiB/s"));
	ck_assert_ptr_nonnull(strstr(out.data, "queue 7 waiting, oldest 90 ms   shed 4/s   breakers open 1"));
	ck_assert_ptr_nonnull(strstr(out.data, "############...."));
	ck_assert_ptr_nonnull(strstr(out.data, "loops 50 %"));
}
END_TEST

START_TEST(no_name_moves_the_cursor)
{
	json_t *switches = json_pack("[{s:s, s:s, s:[s,s]}]", "mode", "off", "message", "a\x1b[5mb\r\n", "protocols", "ftp", "\x1b]0;x");
	const struct watch_view v = { .sample = sample, .switches = switches, .rows = 40, .columns = 120 };

	watch_draw(&v, &out);
	ck_assert_uint_eq(strangers(out.data), 0);
	ck_assert_ptr_nonnull(strstr(out.data, "mode=off"));
	json_decref(switches);
}
END_TEST

START_TEST(it_fits_every_terminal)
{
	for (unsigned rows = 0; rows < 30; rows++) {
		for (unsigned columns = 0; columns < 130; columns += 7) {
			const struct watch_view v = { .sample = sample, .rows = rows, .columns = columns };
			unsigned widest;

			gh_buf_clear(&out);
			watch_draw(&v, &out);
			ck_assert(!out.failed);
			ck_assert_uint_le(lines_of(out.data, &widest), rows ? rows : 1);
			ck_assert_uint_le(widest, columns ? columns : 1);
		}
	}
}
END_TEST

START_TEST(before_the_first_second_it_says_so)
{
	const struct watch_view v = { .rows = 5, .columns = 80 };

	watch_draw(&v, &out);
	ck_assert_ptr_nonnull(strstr(out.data, "waiting"));
}
END_TEST

START_TEST(a_line_has_numbers_only_and_the_busiest)
{
	watch_line(sample, &out);
	ck_assert_ptr_nonnull(strstr(out.data, "requests=13 "));
	ck_assert_ptr_nonnull(strstr(out.data, " busiest=acme share=0.75"));
	ck_assert_ptr_null(strchr(out.data, '\n'));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("watch");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_picture_has_what_the_sample_has);
	tcase_add_test(tc, no_name_moves_the_cursor);
	tcase_add_test(tc, it_fits_every_terminal);
	tcase_add_test(tc, before_the_first_second_it_says_so);
	tcase_add_test(tc, a_line_has_numbers_only_and_the_busiest);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
