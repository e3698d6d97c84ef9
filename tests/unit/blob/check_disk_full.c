/* A full disk: writes are refused as such, reads go on, and room that comes back is used. Needs a small file system of
 * its own: a tmpfs in a mount namespace that ends with this process. Skips (77) where that is not allowed. */
#include <sched.h>
#include <sys/mount.h>

#include "tests/unit/blob/local_test.h"

enum { DISK_BYTES = 8 << 20, PACK_BYTES = 2 << 20, SMALL = 4000, LARGE = 3 << 20 };

static char mount_point[128];

static void setup_small(void)
{
	snprintf(dir, sizeof(dir), "%.100s/blobs", mount_point);
	local_open_with((struct blob_config){ .pack_size_bytes = PACK_BYTES });
}

static void teardown_small(void)
{
	local->close(&be);
	tree_remove(dir);
}

START_TEST(small_blobs_fill_the_disk_until_nospace_and_are_still_read)
{
	static struct blob_loc loc[4000];
	uint8_t data[SMALL];
	uint64_t count;
	enum gh_status st = GH_OK;

	for (count = 0; count < 4000; count++) {
		pattern(data, sizeof(data), count);
		st = local->put(be, 7, count, data, sizeof(data), &loc[count]);
		if (st != GH_OK)
			break;
	}
	ck_status(st, GH_NOSPACE);
	ck_assert_uint_gt(count, 1000);
	ck_status(local->put(be, 7, 9999, data, sizeof(data), &loc[count]), GH_NOSPACE);
	for (uint64_t i = 0; i < count; i++) {
		pattern(data, sizeof(data), i);
		ck_ok(read_back(local, be, 7, i, &loc[i], data, sizeof(data)));
	}
	ck_assert_uint_eq(count_objects(), count);
	local_reopen(); /* a full disk does not keep us from starting */
	ck_assert_uint_eq(count_objects(), count);
	for (uint64_t i = 0; i < count / 2; i++)
		ck_ok(local->remove(be, 7, i, &loc[i], SMALL));
	local->close(&be);
	local_open_with((struct blob_config){ .pack_size_bytes = PACK_BYTES });
	ck_ok(local->put(be, 7, 9999, data, sizeof(data), &loc[0]));
}
END_TEST

START_TEST(a_large_blob_that_does_not_fit_is_refused_and_leaves_nothing)
{
	uint8_t *data = pattern_new(LARGE, 1);
	struct blob_loc one, two;
	struct blob_space before, after;
	struct blob_stage *stage = NULL;
	enum gh_status st = GH_OK;
	uint32_t crc;

	ck_status(local->stage_begin(be, 7, 1, 9 << 20, &stage), GH_NOSPACE); /* declared: refused at once */
	ck_ok(stage_whole(local, be, 7, 2, data, LARGE, 65536, &one, &crc));
	ck_ok(local->space(be, &before));
	ck_ok(local->stage_begin(be, 7, 3, 0, &stage)); /* undeclared: when it happens */
	for (int i = 0; i < 200 && st == GH_OK; i++)
		st = local->stage_write(stage, data, 65536);
	ck_status(st, GH_NOSPACE);
	ck_status(local->stage_write(stage, data, 1), GH_NOSPACE);
	ck_status(local->stage_commit(&stage, &two, &crc), GH_NOSPACE);
	ck_assert_ptr_null(stage);
	ck_ok(local->space(be, &after));
	ck_assert_uint_eq(after.free_bytes, before.free_bytes);
	ck_assert_uint_eq(count_objects(), 1);
	ck_ok(read_back(local, be, 7, 2, &one, data, LARGE));
	free(data);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("local blobs: full disk");
	TCase *t = tcase_create("full disk");
	char size[32];
	int status;

	snprintf(mount_point, sizeof(mount_point), "/tmp/gh-full.XXXXXX");
	if (!mkdtemp(mount_point))
		return EXIT_FAILURE;
	snprintf(size, sizeof(size), "size=%d", DISK_BYTES);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("gh-test", mount_point, "tmpfs", 0, size) < 0) {
		printf("skipped: a small tmpfs cannot be mounted here (%s); run as root\n", strerror(errno));
		rmdir(mount_point);
		return 77;
	}
	tcase_add_checked_fixture(t, setup_small, teardown_small);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, small_blobs_fill_the_disk_until_nospace_and_are_still_read);
	tcase_add_test(t, a_large_blob_that_does_not_fit_is_refused_and_leaves_nothing);
	suite_add_tcase(s, t);
	status = run_suite(s);
	umount(mount_point);
	rmdir(mount_point);
	return status;
}
