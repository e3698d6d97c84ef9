/* The data directory: one owner at a time, and nothing half written. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontends/main/datadir.h"

static char top[] = "/tmp/check_datadir.XXXXXX", path[64], err[DATADIR_ERR_MAX];

static void setup(void)
{
	strcpy(top + strlen(top) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/data", top);
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	ck_assert_int_eq(system(command), 0);
}

static struct datadir open_it(void)
{
	struct datadir d;
	enum gh_status st = datadir_open(path, false, (uid_t)-1, (gid_t)-1, &d, err);

	ck_assert_msg(st == GH_OK, "%s", err);
	return d;
}

START_TEST(it_is_made_for_its_owner_alone)
{
	struct datadir d = open_it();
	struct stat sb;

	ck_assert_int_eq(d.path[0], '/');
	ck_assert_int_eq(stat(path, &sb), 0);
	ck_assert_int_eq(sb.st_mode & 077, 0);
	datadir_close(&d);
}
END_TEST

START_TEST(a_second_owner_is_refused_and_told_the_pid_of_the_first)
{
	struct datadir d = open_it(), second;
	char pid[32];

	ck_assert_int_eq(datadir_open(path, false, (uid_t)-1, (gid_t)-1, &second, err), GH_BUSY);
	snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
	ck_assert_msg(strstr(err, pid) != NULL, "%s", err);
	datadir_close(&d);
	d = open_it();
	datadir_close(&d);
}
END_TEST

START_TEST(what_does_not_exist_is_not_made_when_only_looking)
{
	struct datadir d;

	ck_assert_int_eq(datadir_open(path, true, (uid_t)-1, (gid_t)-1, &d, err), GH_NOTFOUND);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_file_in_its_place_is_refused)
{
	FILE *f = fopen(path, "w");
	struct datadir d;

	ck_assert_ptr_nonnull(f);
	fclose(f);
	ck_assert_int_ne(datadir_open(path, false, (uid_t)-1, (gid_t)-1, &d, err), GH_OK);
	ck_assert_ptr_nonnull(strstr(err, path));
}
END_TEST

START_TEST(what_is_published_is_whole_and_goes_when_it_is_closed)
{
	struct datadir d = open_it();
	char *file = datadir_join(&d, "run/addresses.json"), text[16] = "";
	FILE *f;

	ck_assert_int_eq(datadir_publish(&d, "run/addresses.json", "old", err), GH_OK);
	ck_assert_int_eq(datadir_publish(&d, "run/addresses.json", "{}\n", err), GH_OK);
	f = fopen(file, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	fclose(f);
	ck_assert_str_eq(text, "{}\n");
	datadir_close(&d);
	ck_assert_int_ne(access(file, F_OK), 0);
	free(file);
}
END_TEST

START_TEST(a_gateway_keeps_the_name_that_it_was_given_first)
{
	struct datadir d = open_it();
	char first[64], again[64], configured[64];

	ck_assert_int_eq(datadir_gateway_name(&d, "", first, err), GH_OK);
	ck_assert_int_eq(datadir_gateway_name(&d, "", again, err), GH_OK);
	ck_assert_int_eq(datadir_gateway_name(&d, "north", configured, err), GH_OK);
	ck_assert_str_eq(first, again);
	ck_assert_str_eq(configured, "north");
	ck_assert_int_gt(strlen(first), 8);
	datadir_close(&d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("datadir");
	TCase *t = tcase_create("datadir");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, it_is_made_for_its_owner_alone);
	tcase_add_test(t, a_second_owner_is_refused_and_told_the_pid_of_the_first);
	tcase_add_test(t, what_does_not_exist_is_not_made_when_only_looking);
	tcase_add_test(t, a_file_in_its_place_is_refused);
	tcase_add_test(t, what_is_published_is_whole_and_goes_when_it_is_closed);
	tcase_add_test(t, a_gateway_keeps_the_name_that_it_was_given_first);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
