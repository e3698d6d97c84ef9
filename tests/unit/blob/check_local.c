/* The local backend's own promises: links are never followed, what it is opened on is checked, descriptors are bounded,
 * many threads put at once. */
#include "tests/unit/blob/local_test.h"

enum { LARGE = 150000, THREADS = 16, PUTS = 500 };

/* Where the test is not about durability. */
static int sync_nothing(int fd)
{
	(void)fd;
	return 0;
}

/* ---- links (a hand in the blob folder must not lead us out of it) ---- */

static char outside[128];

static void setup_links(void)
{
	setup();
	scratch_make(outside);
}

static void teardown_links(void)
{
	teardown();
	tree_remove(outside);
}

static unsigned count_outside(void)
{
	unsigned n = 0;
	struct dirent *e;
	DIR *d = opendir(outside);

	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void replace_by_link(const char *path)
{
	char aside[300];

	snprintf(aside, sizeof(aside), "%s.aside", path);
	ck_assert_int_eq(rename(path, aside), 0);
	ck_assert_int_eq(symlink(outside, path), 0);
}

START_TEST(a_link_in_place_of_a_folder_is_refused_at_open)
{
	static const char *const names[] = { "packs", "files", "staging", "format" };
	struct blob_config cfg = { .path = dir };
	char path[200], aside[220], err[256];

	local->close(&be);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		snprintf(aside, sizeof(aside), "%s.aside", path);
		replace_by_link(path);
		err[0] = '\0';
		ck_assert_int_ne(local->open(&cfg, &be, err), GH_OK);
		ck_assert_ptr_nonnull(strstr(err, names[i]));
		ck_assert_ptr_null(be);
		ck_assert_int_eq(unlink(path), 0);
		ck_assert_int_eq(rename(aside, path), 0);
	}
	ck_assert_uint_eq(count_outside(), 0);
	local_open_with((struct blob_config){ 0 });
}
END_TEST

START_TEST(a_link_on_the_way_to_a_file_is_not_followed)
{
	uint8_t *data = pattern_new(LARGE, 1);
	const uint64_t id = 3ull << 47 | 1; /* files/0003/00 */
	char upper[200], lower[220], file[256];
	struct blob_loc loc, again;
	uint32_t crc;
	off_t from, to;

	ck_ok(stage_whole(local, be, 7, id, data, LARGE, 65536, &loc, &crc));
	blob_file(7, id, &loc, file, &from, &to);
	snprintf(upper, sizeof(upper), "%s/files/0003", dir);
	snprintf(lower, sizeof(lower), "%s/00", upper);
	ck_assert_int_eq(strncmp(file, lower, strlen(lower)), 0);

	replace_by_link(file);
	ck_status(read_back(local, be, 7, id, &loc, data, LARGE), GH_DAMAGED);
	ck_assert_uint_eq(count_objects(), 0);
	ck_ok(local->remove(be, 7, id, &loc, LARGE)); /* takes the link, not what it leads to */

	replace_by_link(lower);
	ck_status(read_back(local, be, 7, id, &loc, data, LARGE), GH_DAMAGED);
	ck_status(stage_whole(local, be, 7, id + 1, data, LARGE, 65536, &again, &crc), GH_IO);
	ck_assert_int_ne(local->remove(be, 7, id, &loc, LARGE), GH_OK);
	ck_assert_uint_eq(count_objects(), 0);
	ck_assert_int_eq(unlink(lower), 0);

	replace_by_link(upper);
	ck_status(stage_whole(local, be, 7, id + 1, data, LARGE, 65536, &again, &crc), GH_IO);
	ck_assert_uint_eq(count_outside(), 0);
	free(data);
}
END_TEST

START_TEST(a_link_or_a_pipe_in_place_of_a_pack_is_damage)
{
	struct blob_loc loc;
	char path[256], aside[300];
	off_t from, to;

	ck_ok(local->put(be, 7, 1, "one", 3, &loc));
	local_reopen();
	blob_file(7, 1, &loc, path, &from, &to);
	snprintf(aside, sizeof(aside), "%s.aside", path);
	ck_assert_int_eq(rename(path, aside), 0);
	ck_assert_int_eq(symlink(aside, path), 0); /* even to the true bytes */
	ck_status(read_back(local, be, 7, 1, &loc, (const uint8_t *)"one", 3), GH_DAMAGED);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_ne(read_back(local, be, 7, 1, &loc, (const uint8_t *)"one", 3), GH_OK);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rename(aside, path), 0);
	ck_ok(read_back(local, be, 7, 1, &loc, (const uint8_t *)"one", 3));
}
END_TEST

static atomic_bool swapping;

/* Exchanges the folder with a link to the outside and back, as fast as it can. */
static void *swapper(void *arg)
{
	const char *folder = arg;
	char other[300];

	snprintf(other, sizeof(other), "%s.link", folder);
	ck_assert_int_eq(symlink(outside, other), 0);
	while (atomic_load(&swapping))
		ck_assert_int_eq(renameat2(AT_FDCWD, folder, AT_FDCWD, other, RENAME_EXCHANGE), 0);
	return NULL;
}

START_TEST(a_folder_that_is_swapped_for_a_link_during_puts_leads_nowhere)
{
	uint8_t data[100] = { 1 };
	char folder[200];
	struct blob_loc loc;
	unsigned stored = 0;
	pthread_t t;
	uint32_t crc;

	ck_ok(stage_whole(local, be, 7, 1, data, sizeof(data), 100, &loc, &crc));
	snprintf(folder, sizeof(folder), "%s/files/0000", dir);
	atomic_store(&swapping, true);
	ck_assert_int_eq(pthread_create(&t, NULL, swapper, folder), 0);
	be->sync_folder = be->sync_data = sync_nothing;
	for (uint64_t id = 2; id < 1000; id++) {
		if (stage_whole(local, be, 7, id, data, sizeof(data), 100, &loc, &crc) == GH_OK)
			stored++;
	}
	atomic_store(&swapping, false);
	pthread_join(t, NULL);
	ck_assert_uint_eq(count_outside(), 0);
	ck_assert_uint_gt(stored, 0);
	ck_assert_uint_lt(stored, 998); /* the link was met */
}
END_TEST

/* ---- opening ---- */

static void refuse(struct blob_config cfg, enum gh_status status, const char *says)
{
	struct blob_backend *other = NULL;
	char err[256] = "";

	ck_status(local->open(&cfg, &other, err), status);
	ck_assert_ptr_null(other);
	ck_assert_msg(strstr(err, says), "%s", err);
}

START_TEST(what_cannot_be_opened_is_refused_with_its_reason)
{
	char path[200], below[220];
	FILE *f;

	refuse((struct blob_config){ 0 }, GH_INVALID, "name a folder");
	snprintf(path, sizeof(path), "%s/packs/no/such", dir);
	refuse((struct blob_config){ .path = path }, GH_IO, path);
	refuse((struct blob_config){ .path = dir, .pack_max_blob_bytes = 2u << 20 }, GH_INVALID, "1 MiB");
	refuse((struct blob_config){ .path = dir, .pack_size_bytes = 4096 }, GH_INVALID, "pack");
	snprintf(path, sizeof(path), "%s/format", dir);
	refuse((struct blob_config){ .path = path }, GH_IO, "folder");
	f = fopen(path, "w");
	fputs("gatehouse blobs 2\n", f);
	fclose(f);
	refuse((struct blob_config){ .path = dir }, GH_UNSUPPORTED, "format");
	unlink(path);
	refuse((struct blob_config){ .path = dir }, GH_IO, "is this a blob folder");
	snprintf(path, sizeof(path), "%s/home", dir);
	mkdir(path, 0700);
	snprintf(below, sizeof(below), "%s/letters", path);
	mkdir(below, 0700);
	refuse((struct blob_config){ .path = path }, GH_IO, "is this a blob folder");
}
END_TEST

START_TEST(the_failing_backend_cannot_be_named_without_the_test_library)
{
	ck_assert_ptr_null(blob_backend_find("fault"));
	ck_assert_ptr_eq(blob_backend_find("local"), local);
}
END_TEST

START_TEST(read_only_reads_and_touches_nothing)
{
	struct blob_loc small, large, ignored;
	uint8_t *data = pattern_new(LARGE, 1);
	struct blob_stage *stage = NULL;
	struct blob_backend *reader = NULL;
	struct blob_config cfg = { .path = dir, .read_only = true };
	char msg[256], err[256];
	uint32_t crc;

	ck_ok(local->put(be, 7, 1, data, 100, &small));
	ck_ok(stage_whole(local, be, 7, 2, data, LARGE, 65536, &large, &crc));
	ck_ok(local->open(&cfg, &reader, err));
	ck_ok(read_back(local, reader, 7, 1, &small, data, 100));
	ck_ok(local->verify(reader, 7, 2, &large, LARGE, msg));
	ck_status(local->put(reader, 7, 3, data, 100, &ignored), GH_READONLY);
	ck_status(local->stage_begin(reader, 7, 3, 0, &stage), GH_READONLY);
	ck_status(local->remove(reader, 7, 1, &small, 100), GH_READONLY);
	ck_assert_uint_eq(count_files("packs", ".open"), 1);
	local->close(&reader);
	ck_assert_uint_eq(count_files("packs", ".open"), 1);
	ck_ok(read_back(local, be, 7, 1, &small, data, 100));
	free(data);
}
END_TEST

START_TEST(a_start_that_died_before_its_format_was_written_starts_again)
{
	char path[200];

	local->close(&be);
	tree_remove(dir);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/format", dir);
	ck_assert_int_ge(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	local_open_with((struct blob_config){ 0 });
	ck_ok(local->put(be, 7, 1, "x", 1, &(struct blob_loc){ 0 }));
}
END_TEST

/* ---- descriptors and loops ---- */

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	struct dirent *e;
	DIR *d = opendir("/proc/self/fd");

	while (d && (e = readdir(d)))
		n++;
	if (d)
		closedir(d);
	return n;
}

START_TEST(descriptors_of_packs_are_bounded)
{
	enum { PACKS = 600 };
	struct blob_loc loc[PACKS];
	struct blob_reader *held = NULL, *r = NULL;
	uint8_t data[4096], got[4096];
	size_t n;

	local->close(&be);
	local_open_with((struct blob_config){ .pack_size_bytes = 8192, .pack_max_blob_bytes = 4096 });
	be->sync_folder = be->sync_data = sync_nothing;
	for (uint64_t i = 0; i < PACKS; i++) {
		pattern(data, sizeof(data), i);
		ck_ok(local->put(be, 7, i, data, sizeof(data), &loc[i]));
		if (i == 0)
			ck_ok(local->reader_open(be, 7, 0, &loc[0], sizeof(data), false, &held));
	}
	ck_assert_uint_eq(count_files("packs", ""), PACKS);
	ck_assert_uint_lt(open_descriptors(), 290);
	ck_status(local->reader_open(be, 7, 1, &loc[1], sizeof(data), false, &r), GH_AGAIN);
	ck_ok(local->reader_open(be, 7, PACKS - 1, &loc[PACKS - 1], sizeof(data), false, &r));
	local->reader_close(&r);
	for (uint64_t i = 0; i < PACKS; i++) {
		pattern(data, sizeof(data), i);
		ck_ok(read_back(local, be, 7, i, &loc[i], data, sizeof(data)));
		ck_ok(local->reader_open(be, 7, i, &loc[i], sizeof(data), false, &r)); /* open now */
		local->reader_close(&r);
	}
	ck_assert_uint_lt(open_descriptors(), 290);
	pattern(data, sizeof(data), 0);
	ck_ok(local->reader_read(held, 0, got, sizeof(got), true, &n)); /* its descriptor was not pulled away */
	ck_assert_mem_eq(got, data, sizeof(data));
	local->reader_close(&held);
}
END_TEST

START_TEST(what_is_in_memory_is_read_from_a_loop)
{
	uint8_t *data = pattern_new(LARGE, 1), *got = malloc(LARGE);
	struct blob_loc small, large;
	struct blob_reader *r = NULL;
	struct stat sb;
	uint32_t crc;
	off_t base;
	size_t n;
	int fd;

	ck_ok(local->put(be, 7, 1, data, 5000, &small));
	ck_ok(stage_whole(local, be, 7, 2, data, LARGE, 65536, &large, &crc));
	ck_ok(local->reader_open(be, 7, 1, &small, 5000, false, &r));
	ck_ok(local->reader_read(r, 0, got, LARGE, false, &n));
	ck_assert_uint_eq(n, 5000);
	ck_assert_mem_eq(got, data, n);
	ck_ok(local->reader_fd(r, &fd, &base));
	ck_assert_int_gt(base, 0);
	local->reader_close(&r);
	ck_ok(local->reader_open(be, 7, 2, &large, LARGE, false, &r));
	ck_ok(local->reader_read(r, 0, got, LARGE, false, &n));
	ck_assert_mem_eq(got, data, n);
	ck_ok(local->reader_fd(r, &fd, &base));
	ck_assert_int_eq(base, 0);
	ck_assert_int_eq(fstat(fd, &sb), 0);
	ck_assert_int_gt(sb.st_size, LARGE);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (local->reader_read(r, 0, got, LARGE, false, &n) == GH_OK) /* the kernel may have kept it */
		ck_assert_mem_eq(got, data, LARGE);
	ck_ok(local->reader_read(r, 0, got, LARGE, true, &n));
	local->reader_close(&r);
	free(data);
	free(got);
}
END_TEST

/* ---- many at once ---- */

static struct blob_loc placed[THREADS][PUTS];

static void *putter(void *arg)
{
	const uintptr_t me = (uintptr_t)arg;
	uint8_t data[700];

	for (uint64_t i = 0; i < PUTS; i++) {
		pattern(data, sizeof(data), me * PUTS + i);
		ck_ok(local->put(be, me, i, data, sizeof(data), &placed[me][i]));
	}
	return NULL;
}

START_TEST(sixteen_threads_put_five_hundred_each_over_several_packs)
{
	pthread_t t[THREADS];
	uint8_t data[700];

	local->close(&be);
	local_open_with((struct blob_config){ .pack_size_bytes = 1u << 20 });
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, putter, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_ge(count_files("packs", ".pack"), 5);
	local_reopen();
	ck_assert_uint_eq(count_files("packs", ".open"), 0);
	for (uint64_t me = 0; me < THREADS; me++) {
		for (uint64_t i = 0; i < PUTS; i++) {
			pattern(data, sizeof(data), me * PUTS + i);
			ck_ok(read_back(local, be, me, i, &placed[me][i], data, sizeof(data)));
		}
	}
	ck_assert_uint_eq(count_objects(), THREADS * PUTS);
}
END_TEST

/* ---- zeros ahead ---- */

START_TEST(a_record_after_the_first_sync_goes_where_blocks_are_written)
{
	char path[256];
	struct blob_loc at;
	off_t from, to;
	int fd;

	ck_ok(local->put(be, 7, 1, "x", 1, &at));
	blob_file(7, 1, &at, path, &from, &to);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(lseek(fd, 0, SEEK_HOLE), to + (512 << 10));
	close(fd);
}
END_TEST

#define WIDE 100000
#define WIDES 24
static struct blob_loc wide_at[THREADS][WIDES];

static int slow_sync(int fd)
{
	usleep(2000);
	return fdatasync(fd);
}

static void *wide_putter(void *arg)
{
	const uintptr_t me = (uintptr_t)arg;
	uint8_t *data = malloc(WIDE);

	for (uint64_t i = 0; i < WIDES; i++) {
		pattern(data, WIDE, me * WIDES + i);
		ck_ok(local->put(be, me, i, data, WIDE, &wide_at[me][i]));
	}
	free(data);
	return NULL;
}

/* More comes in the time of a sync than there are zeros ahead: records and zeros meet. */
START_TEST(zeros_ahead_never_take_a_records_place)
{
	uint8_t *data = malloc(WIDE);
	pthread_t t[THREADS];

	be->sync_data = slow_sync;
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, wide_putter, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	local_reopen();
	for (uint64_t me = 0; me < THREADS; me++) {
		for (uint64_t i = 0; i < WIDES; i++) {
			pattern(data, WIDE, me * WIDES + i);
			ck_ok(read_back(local, be, me, i, &wide_at[me][i], data, WIDE));
		}
	}
	free(data);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("local blobs");
	TCase *t = tcase_create("local"), *links = tcase_create("links");

	tcase_add_checked_fixture(links, setup_links, teardown_links);
	tcase_add_test(links, a_link_in_place_of_a_folder_is_refused_at_open);
	tcase_add_test(links, a_link_on_the_way_to_a_file_is_not_followed);
	tcase_add_test(links, a_link_or_a_pipe_in_place_of_a_pack_is_damage);
	tcase_add_test(links, a_folder_that_is_swapped_for_a_link_during_puts_leads_nowhere);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_set_timeout(links, 60);
	tcase_add_test(t, what_cannot_be_opened_is_refused_with_its_reason);
	tcase_add_test(t, a_record_after_the_first_sync_goes_where_blocks_are_written);
	tcase_add_test(t, zeros_ahead_never_take_a_records_place);
	tcase_add_test(t, the_failing_backend_cannot_be_named_without_the_test_library);
	tcase_add_test(t, read_only_reads_and_touches_nothing);
	tcase_add_test(t, a_start_that_died_before_its_format_was_written_starts_again);
	tcase_add_test(t, descriptors_of_packs_are_bounded);
	tcase_add_test(t, what_is_in_memory_is_read_from_a_loop);
	tcase_add_test(t, sixteen_threads_put_five_hundred_each_over_several_packs);
	suite_add_tcase(s, links);
	suite_add_tcase(s, t);
	return run_suite(s);
}
