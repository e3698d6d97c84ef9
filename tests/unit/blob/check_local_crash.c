/* What is left when the process dies at each named step, and what failing syncs do. */
#include <signal.h>
#include <sys/wait.h>

#include "core/base/crash.h"
#include "tests/unit/blob/local_test.h"

enum { SMALL = 3000, LARGE = 150000, BLOBS = 12 };

struct ack {
	uint64_t id, size;
	struct blob_loc loc;
};

/* The child: stores blobs, small and large in turn, and tells each that was promised to be durable. */
static void child(int out, const char *crash_at)
{
	uint8_t *data = malloc(LARGE);

	setenv("GATEHOUSE_CRASH_AT", crash_at, 1);
	gh_crash_reload();
	local_open_with((struct blob_config){ 0 });
	for (uint64_t id = 1; id <= BLOBS; id++) {
		struct ack ack = { .id = id, .size = id % 3 ? SMALL : LARGE };
		uint32_t crc;

		pattern(data, ack.size, id);
		if (id % 3)
			ck_ok(local->put(be, 7, id, data, ack.size, &ack.loc));
		else
			ck_ok(stage_whole(local, be, 7, id, data, ack.size, 65536, &ack.loc, &crc));
		ck_assert_int_eq(write(out, &ack, sizeof(ack)), (ssize_t)sizeof(ack));
	}
	_exit(0);
}

static const char *const points[] = {
	"blob.pack_written", "blob.pack_written:5", "blob.pack_synced", "blob.pack_synced:4",  "blob.stage_synced",
	"blob.stage_synced:3", "blob.stage_linked", "blob.stage_linked:2", "blob.dir_synced", "blob.dir_synced:3",
};

static unsigned check_acks(int in)
{
	uint8_t *data = malloc(LARGE);
	unsigned count = 0;
	struct ack ack;
	char msg[256] = "";

	while (read(in, &ack, sizeof(ack)) == (ssize_t)sizeof(ack)) {
		pattern(data, ack.size, ack.id);
		ck_ok(read_back(local, be, 7, ack.id, &ack.loc, data, ack.size));
		ck_ok(local->verify(be, 7, ack.id, &ack.loc, ack.size, msg));
		count++;
	}
	free(data);
	return count;
}

START_TEST(what_was_acknowledged_survives_a_crash_at_each_point)
{
	unsigned acked, objects;
	int pipe_fd[2], status;
	struct blob_loc loc;
	struct place at;
	char name[LOCAL_NAME_MAX], path[256];
	pid_t pid;

	local->close(&be);
	ck_assert_int_eq(pipe(pipe_fd), 0);
	pid = fork();
	if (pid == 0)
		child(pipe_fd[1], points[_i]);
	close(pipe_fd[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_uint_eq(count_files("packs", ".open"), 1);

	local_open_with((struct blob_config){ 0 });
	ck_assert_uint_eq(count_files("packs", ".open"), 0);
	ck_assert_uint_eq(count_files("staging", ""), 0);
	acked = check_acks(pipe_fd[0]);
	close(pipe_fd[0]);
	objects = count_objects();
	ck_assert_uint_ge(objects, acked);
	ck_assert_uint_le(objects, acked + 1); /* the one that was under way may be there, as an orphan */
	ck_ok(local->put(be, 7, 99, "new", 3, &loc));
	ck_assert(place_decode(&loc, &at));
	pack_name(name, at.pack, true);
	snprintf(path, sizeof(path), "%s/packs/%s", dir, name);
	ck_assert_int_ne(access(path, F_OK), 0); /* not into the dead run's pack, which is sealed */
	ck_assert_uint_eq(count_objects(), objects + 1);
}
END_TEST

START_TEST(a_living_gateways_pack_and_staging_are_left_alone)
{
	struct blob_backend *other = NULL;
	struct blob_config cfg = { .path = dir };
	struct blob_stage *stage = NULL;
	struct blob_loc a, b;
	uint32_t crc;
	char err[256];

	be->tmpfile = false; /* as on NFS */
	ck_ok(local->put(be, 7, 1, "one", 3, &a));
	ck_ok(local->stage_begin(be, 7, 2, 0, &stage));
	ck_assert_uint_eq(count_files("staging", ""), 1);
	ck_ok(local->open(&cfg, &other, err));
	ck_assert_uint_eq(count_files("staging", ""), 1);
	ck_assert_uint_eq(count_files("packs", ".open"), 1);
	ck_ok(local->put(other, 7, 3, "two", 3, &b));
	ck_ok(local->put(be, 7, 4, "three", 5, &a));
	ck_ok(local->stage_write(stage, "four", 4));
	ck_ok(local->stage_commit(&stage, &a, &crc));
	ck_assert_uint_eq(count_files("staging", ""), 0);
	ck_ok(read_back(local, other, 7, 2, &a, (const uint8_t *)"four", 4));
	ck_ok(read_back(local, be, 7, 3, &b, (const uint8_t *)"two", 3));
	ck_assert_uint_eq(count_objects(), 4);
	local->close(&other);
}
END_TEST

START_TEST(named_staging_of_a_dead_run_is_swept)
{
	struct blob_stage *stage = NULL;
	pid_t pid;
	int status;

	local->close(&be);
	pid = fork();
	if (pid == 0) {
		local_open_with((struct blob_config){ 0 });
		be->tmpfile = false;
		ck_ok(local->stage_begin(be, 7, 2, 0, &stage));
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_uint_eq(count_files("staging", ""), 1);
	local_open_with((struct blob_config){ .read_only = true });
	ck_assert_uint_eq(count_files("staging", ""), 1);
	local_reopen();
	ck_assert_uint_eq(count_files("staging", ""), 0);
}
END_TEST

/* ---- syncs ---- */

static atomic_int syncs, fail_next, after_failure;
static atomic_ullong failed_inode;

static int sync_counting(int fd)
{
	struct stat sb;

	fstat(fd, &sb);
	atomic_fetch_add(&syncs, 1);
	if (sb.st_ino == atomic_load(&failed_inode))
		atomic_fetch_add(&after_failure, 1);
	if (atomic_exchange(&fail_next, 0)) {
		atomic_store(&failed_inode, sb.st_ino);
		errno = EIO;
		return -1;
	}
	return 0;
}

START_TEST(a_failed_sync_fails_its_group_and_is_never_repeated)
{
	struct blob_loc before, lost, after;
	struct place a, b;

	be->sync_data = sync_counting;
	ck_ok(local->put(be, 7, 1, "before", 6, &before));
	atomic_store(&fail_next, 1);
	ck_status(local->put(be, 7, 2, "lost", 4, &lost), GH_IO);
	ck_ok(local->put(be, 7, 3, "after", 5, &after));
	ck_assert(place_decode(&before, &a) && place_decode(&after, &b));
	ck_assert_uint_ne(a.pack, b.pack);
	ck_ok(read_back(local, be, 7, 1, &before, (const uint8_t *)"before", 6));
	ck_ok(read_back(local, be, 7, 3, &after, (const uint8_t *)"after", 5));
	ck_assert_uint_eq(count_files("packs", ".pack"), 1); /* sealed at once */
	local_reopen();
	ck_assert_int_eq(atomic_load(&after_failure), 0);
}
END_TEST

START_TEST(one_sync_carries_all_that_was_put_ahead)
{
	struct blob_ticket ticket[5] = { 0 };
	struct blob_loc loc[5];
	int before;

	be->sync_data = sync_counting;
	ck_ok(local->put(be, 7, 9, "x", 1, &loc[0])); /* the pack is made */
	before = atomic_load(&syncs);
	for (unsigned i = 0; i < 5; i++)
		ck_ok(local->put_ahead(be, 7, i + 1, "ahead", 5, &loc[i], &ticket[i]));
	ck_assert_int_eq(atomic_load(&syncs), before);
	for (unsigned i = 0; i < 5; i++)
		ck_ok(local->settle(be, &ticket[i]));
	ck_assert_int_eq(atomic_load(&syncs), before + 1);
}
END_TEST

START_TEST(what_was_put_ahead_of_a_failed_sync_stays_failed)
{
	struct blob_ticket ticket[2] = { 0 };
	struct blob_loc loc;

	be->sync_data = sync_counting;
	ck_ok(local->put_ahead(be, 7, 1, "one", 3, &loc, &ticket[0]));
	ck_ok(local->put_ahead(be, 7, 2, "two", 3, &loc, &ticket[1]));
	atomic_store(&fail_next, 1);
	ck_status(local->settle(be, &ticket[1]), GH_IO);
	ck_status(local->settle(be, &ticket[1]), GH_IO);
	ck_status(local->settle(be, &ticket[0]), GH_IO);
	ck_assert_uint_eq(count_files("packs", ".pack"), 1); /* sealed with the last of them */
	ck_ok(local->put(be, 7, 3, "after", 5, &loc));
	local_reopen();
	ck_assert_int_eq(atomic_load(&after_failure), 0);
}
END_TEST

static atomic_int holding, hold_failed;

/* The first sync waits until told, so that a group gathers behind it. */
static int sync_held(int fd)
{
	(void)fd;
	if (atomic_fetch_add(&syncs, 1) == 0) {
		while (atomic_load(&holding))
			usleep(1000);
		if (atomic_load(&hold_failed)) {
			errno = ENOSPC;
			return -1;
		}
	}
	return 0;
}

static void *put_one(void *arg)
{
	struct blob_loc loc;

	return (void *)(uintptr_t)local->put(be, 7, (uintptr_t)arg, "x", 1, &loc);
}

static bool all_written(unsigned count)
{
	unsigned n = 0;

	ck_ok(local->iterate(be, count_object, &n));
	return n == count;
}

static void gather(bool fail, enum gh_status first, enum gh_status others)
{
	pthread_t t[10];
	void *status;

	be->sync_data = sync_held;
	atomic_store(&holding, 1);
	atomic_store(&hold_failed, fail);
	for (uintptr_t i = 0; i < 10; i++) {
		ck_assert_int_eq(pthread_create(&t[i], NULL, put_one, (void *)(i + 1)), 0);
		while (i == 0 && atomic_load(&syncs) == 0)
			usleep(1000);
	}
	while (!all_written(10))
		usleep(1000);
	usleep(20000); /* written is not yet waiting; a moment more makes one group of them */
	atomic_store(&holding, 0);
	for (int i = 0; i < 10; i++) {
		pthread_join(t[i], &status);
		ck_status((enum gh_status)(uintptr_t)status, i ? others : first);
	}
}

START_TEST(one_sync_serves_all_who_wait)
{
	gather(false, GH_OK, GH_OK);
	ck_assert_int_ge(atomic_load(&syncs), 2);
	ck_assert_int_le(atomic_load(&syncs), 4); /* 2, but for an unlucky scheduler */
}
END_TEST

START_TEST(who_wrote_into_a_pack_whose_sync_failed_gets_the_error)
{
	gather(true, GH_NOSPACE, GH_NOSPACE);
	ck_assert_int_eq(atomic_load(&syncs), 1);
	ck_ok(local->put(be, 7, 50, "x", 1, &(struct blob_loc){ 0 }));
}
END_TEST

static int sync_failing(int fd)
{
	(void)fd;
	errno = EIO;
	return -1;
}

START_TEST(a_large_blob_whose_sync_or_folder_sync_failed_does_not_appear)
{
	uint8_t *data = pattern_new(LARGE, 1);
	struct blob_loc loc;
	uint32_t crc;

	be->sync_data = sync_failing;
	ck_status(stage_whole(local, be, 7, 1, data, LARGE, 65536, &loc, &crc), GH_IO);
	be->sync_data = fdatasync;
	be->sync_folder = sync_failing;
	ck_status(stage_whole(local, be, 7, 1, data, LARGE, 65536, &loc, &crc), GH_IO);
	ck_status(local->put(be, 7, 2, data, 100, &loc), GH_IO); /* the new pack's name is not durable */
	ck_assert_uint_eq(count_objects(), 0);
	ck_assert_uint_eq(count_files("packs", ""), 0);
	be->sync_folder = fsync;
	ck_ok(stage_whole(local, be, 7, 1, data, LARGE, 65536, &loc, &crc));
	ck_ok(local->put(be, 7, 2, data, 100, &loc));
	ck_assert_uint_eq(count_objects(), 2);
	free(data);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("local blobs: crashes and syncs");
	TCase *t = tcase_create("crashes and syncs");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, what_was_acknowledged_survives_a_crash_at_each_point, 0,
			     sizeof(points) / sizeof(points[0]));
	tcase_add_test(t, a_living_gateways_pack_and_staging_are_left_alone);
	tcase_add_test(t, named_staging_of_a_dead_run_is_swept);
	tcase_add_test(t, a_failed_sync_fails_its_group_and_is_never_repeated);
	tcase_add_test(t, one_sync_carries_all_that_was_put_ahead);
	tcase_add_test(t, what_was_put_ahead_of_a_failed_sync_stays_failed);
	tcase_add_test(t, one_sync_serves_all_who_wait);
	tcase_add_test(t, who_wrote_into_a_pack_whose_sync_failed_gets_the_error);
	tcase_add_test(t, a_large_blob_whose_sync_or_folder_sync_failed_does_not_appear);
	suite_add_tcase(s, t);
	return run_suite(s);
}
