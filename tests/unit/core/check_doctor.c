/* The doctor's judgements on numbers, and its words for folders that are in a bad way. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/doctor.h"

#define GIB (1024ull * 1024 * 1024)

static json_t *items;

static void setup(void)
{
	items = json_array();
}

static void teardown(void)
{
	json_decref(items);
}

static const char *level_of(const char *check)
{
	json_t *item;
	size_t i;

	json_array_foreach (items, i, item) {
		if (!strcmp(json_string_value(json_object_get(item, "check")), check))
			return json_string_value(json_object_get(item, "level"));
	}
	return "absent";
}

START_TEST(space_is_judged_by_what_is_left_and_by_its_share)
{
	ck_assert_int_eq(doctor_judge_space(500 * GIB, 1000 * GIB), DOCTOR_OK);
	ck_assert_int_eq(doctor_judge_space(50 * GIB, 1000 * GIB), DOCTOR_WARN);
	ck_assert_int_eq(doctor_judge_space(5 * GIB, 1000 * GIB), DOCTOR_FAIL);
	ck_assert_int_eq(doctor_judge_space(GIB, 2 * GIB), DOCTOR_WARN);
	ck_assert_int_eq(doctor_judge_space(GIB / 8, GIB), DOCTOR_FAIL);
	ck_assert_int_eq(doctor_judge_space(0, 0), DOCTOR_FAIL);
}
END_TEST

START_TEST(inodes_that_are_not_counted_never_run_out)
{
	ck_assert_int_eq(doctor_judge_inodes(0, 0), DOCTOR_OK);
	ck_assert_int_eq(doctor_judge_inodes(900000, 1000000), DOCTOR_OK);
	ck_assert_int_eq(doctor_judge_inodes(40000, 1000000), DOCTOR_WARN);
	ck_assert_int_eq(doctor_judge_inodes(900, 1000000), DOCTOR_FAIL);
}
END_TEST

START_TEST(a_slow_sync_is_a_warning_and_a_very_slow_one_a_failure)
{
	ck_assert_int_eq(doctor_judge_sync(200), DOCTOR_OK);
	ck_assert_int_eq(doctor_judge_sync(80000), DOCTOR_WARN);
	ck_assert_int_eq(doctor_judge_sync(3000000), DOCTOR_FAIL);
}
END_TEST

START_TEST(descriptors_are_judged_by_the_limit_and_by_what_is_open)
{
	ck_assert_int_eq(doctor_judge_descriptors(20000, 100), DOCTOR_OK);
	ck_assert_int_eq(doctor_judge_descriptors(1024, 100), DOCTOR_WARN);
	ck_assert_int_eq(doctor_judge_descriptors(20000, 17000), DOCTOR_WARN);
	ck_assert_int_eq(doctor_judge_descriptors(20000, 19990), DOCTOR_FAIL);
	ck_assert_int_eq(doctor_judge_descriptors(128, 10), DOCTOR_FAIL);
}
END_TEST

START_TEST(a_database_from_the_future_is_a_failure)
{
	const int64_t epoch_us = gh_id_time_us(0);

	doctor_newest_id(items, (uint64_t)((gh_real_us() - epoch_us) / 1000 + 3600000) << 21);
	ck_assert_str_eq(level_of("clock.database"), "fail");
	json_array_clear(items);
	doctor_newest_id(items, (uint64_t)((gh_real_us() - epoch_us) / 1000 - 1000) << 21);
	ck_assert_str_eq(level_of("clock.database"), "ok");
	json_array_clear(items);
	doctor_newest_id(items, 0);
	ck_assert_str_eq(level_of("clock.database"), "ok");
}
END_TEST

START_TEST(a_good_folder_is_written_to_and_left_as_it_was)
{
	char dir[200];

	snprintf(dir, sizeof(dir), "%s/gatehouse-unit-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	doctor_disk(items, dir);
	ck_assert_str_ne(level_of("disk.write"), "fail");
	ck_assert_str_ne(level_of("disk.write"), "absent");
	ck_assert_str_eq(level_of("clock.files"), "ok");
	ck_assert_int_eq(rmdir(dir), 0); /* empty */
}
END_TEST

START_TEST(a_folder_that_cannot_be_written_is_a_failure_with_words)
{
	doctor_disk(items, "/proc/self"); /* nobody may make files there, not even root */
	ck_assert_str_eq(level_of("disk.write"), "fail");
	json_array_clear(items);
	doctor_disk(items, "/nonexistent");
	ck_assert_str_eq(level_of("disk.space"), "fail");
	ck_assert_str_eq(level_of("disk.write"), "fail");
}
END_TEST

START_TEST(what_is_well_needs_no_remedy)
{
	doctor_say(items, "a", DOCTOR_OK, "do something", "all is well");
	doctor_say(items, "b", DOCTOR_FAIL, "do something", "it is not");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(items, 0), "do")), "");
	ck_assert(json_is_true(json_object_get(json_array_get(items, 0), "ok")));
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(items, 1), "do")), "do something");
	ck_assert(json_is_false(json_object_get(json_array_get(items, 1), "ok")));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("doctor");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, space_is_judged_by_what_is_left_and_by_its_share);
	tcase_add_test(tc, inodes_that_are_not_counted_never_run_out);
	tcase_add_test(tc, a_slow_sync_is_a_warning_and_a_very_slow_one_a_failure);
	tcase_add_test(tc, descriptors_are_judged_by_the_limit_and_by_what_is_open);
	tcase_add_test(tc, a_database_from_the_future_is_a_failure);
	tcase_add_test(tc, a_good_folder_is_written_to_and_left_as_it_was);
	tcase_add_test(tc, a_folder_that_cannot_be_written_is_a_failure_with_words);
	tcase_add_test(tc, what_is_well_needs_no_remedy);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
