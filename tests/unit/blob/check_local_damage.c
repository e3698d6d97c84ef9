/* What the local backend says when its bytes are not what they were. */
#include "tests/unit/blob/local_test.h"

enum { FLIPS = 200 };

static void flips_are_seen(uint64_t id, const struct blob_loc *loc, const uint8_t *data, size_t len)
{
	char path[256], msg[256];
	off_t from, to;
	uint64_t x = 88172645463325252ull;

	blob_file(7, id, loc, path, &from, &to);
	for (int i = 0; i < FLIPS; i++) {
		off_t at;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		at = from + (off_t)(x % (uint64_t)(to - from));
		if (i < 40) /* the header's and the footer's bytes are few: make sure of them */
			at = i % 2 ? from + i : to - 1 - i;
		flip(path, at, (uint8_t)(1 << (x >> 40) % 8));
		ck_assert_msg(read_back(local, be, 7, id, loc, data, len) == GH_DAMAGED, "read: flip at %lld",
			      (long long)at);
		msg[0] = '\0';
		ck_assert_msg(local->verify(be, 7, id, loc, len, msg) == GH_DAMAGED, "verify: flip at %lld",
			      (long long)at);
		ck_assert_int_ne(msg[0], 0);
		flip(path, at, (uint8_t)(1 << (x >> 40) % 8));
		ck_ok(read_back(local, be, 7, id, loc, data, len));
		ck_ok(local->verify(be, 7, id, loc, len, msg));
	}
}

START_TEST(every_flipped_bit_of_a_pack_is_seen_by_read_and_verify)
{
	uint8_t *data = pattern_new(100000, 1);
	struct blob_loc small, two_blocks;

	ck_ok(local->put(be, 7, 1, data, 300, &small));
	ck_ok(local->put(be, 7, 2, data, 100000, &two_blocks));
	flips_are_seen(1, &small, data, 300);
	flips_are_seen(2, &two_blocks, data, 100000);
	free(data);
}
END_TEST

START_TEST(every_flipped_bit_of_a_file_is_seen_by_read_and_verify)
{
	uint8_t *data = pattern_new(200000, 1);
	struct blob_loc loc;
	uint32_t crc;

	ck_ok(stage_whole(local, be, 7, 3, data, 200000, 65536, &loc, &crc));
	flips_are_seen(3, &loc, data, 200000);
	free(data);
}
END_TEST

START_TEST(a_part_of_a_damaged_block_is_not_given_out_but_other_blocks_are)
{
	uint8_t *data = pattern_new(200000, 1), got[1000];
	struct blob_reader *r = NULL;
	struct blob_loc loc;
	char path[256];
	off_t from, to;
	uint32_t crc;
	size_t n;

	ck_ok(stage_whole(local, be, 7, 3, data, 200000, 65536, &loc, &crc));
	blob_file(7, 3, &loc, path, &from, &to);
	flip(path, 70000, 1);
	ck_ok(local->reader_open(be, 7, 3, &loc, 200000, true, &r));
	ck_ok(local->reader_read(r, 1000, got, 1000, true, &n));
	ck_status(local->reader_read(r, 120000, got, 1000, true, &n), GH_DAMAGED);
	ck_ok(local->reader_read(r, 150000, got, 1000, true, &n));
	ck_assert_mem_eq(got, data + 150000, 1000);
	local->reader_close(&r);
	free(data);
}
END_TEST

START_TEST(a_truncated_pack_or_file_is_damage_and_the_rest_is_served)
{
	uint8_t *data = pattern_new(200000, 1);
	struct blob_loc first, second, large;
	char path[256], msg[256];
	off_t from, to;
	uint32_t crc;

	ck_ok(local->put(be, 7, 1, data, 5000, &first));
	ck_ok(local->put(be, 7, 2, data, 5000, &second));
	ck_ok(stage_whole(local, be, 7, 3, data, 200000, 65536, &large, &crc));
	blob_file(7, 2, &second, path, &from, &to);
	ck_assert_int_eq(truncate(path, to - 1), 0);
	ck_ok(read_back(local, be, 7, 1, &first, data, 5000));
	ck_status(read_back(local, be, 7, 2, &second, data, 5000), GH_DAMAGED);
	ck_status(local->verify(be, 7, 2, &second, 5000, msg), GH_DAMAGED);
	ck_ok(local->remove(be, 7, 2, &second, 5000));
	blob_file(7, 3, &large, path, &from, &to);
	for (off_t cut = 1; cut < 200000; cut *= 7) {
		ck_assert_int_eq(truncate(path, to - cut), 0);
		ck_status(read_back(local, be, 7, 3, &large, data, 200000), GH_DAMAGED);
		ck_status(local->verify(be, 7, 3, &large, 200000, msg), GH_DAMAGED);
	}
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_status(local->verify(be, 7, 3, &large, 200000, msg), GH_DAMAGED);
	ck_assert_int_eq(unlink(path), 0);
	ck_status(local->verify(be, 7, 3, &large, 200000, msg), GH_NOTFOUND);
	free(data);
}
END_TEST

static void swap_bytes(const char *path, off_t a, off_t b, size_t len)
{
	uint8_t *one = malloc(len), *other = malloc(len);
	int fd = open(path, O_RDWR);

	ck_assert_int_eq(pread(fd, one, len, a), (ssize_t)len);
	ck_assert_int_eq(pread(fd, other, len, b), (ssize_t)len);
	ck_assert_int_eq(pwrite(fd, one, len, b), (ssize_t)len);
	ck_assert_int_eq(pwrite(fd, other, len, a), (ssize_t)len);
	close(fd);
	free(one);
	free(other);
}

START_TEST(swapped_records_of_one_pack_are_damage)
{
	uint8_t data[3000];
	struct blob_loc a, b;
	char path[256], msg[256];
	off_t from_a, from_b, to;

	pattern(data, sizeof(data), 1);
	ck_ok(local->put(be, 7, 1, data, sizeof(data), &a));
	ck_ok(local->put(be, 7, 2, data, sizeof(data), &b));
	blob_file(7, 1, &a, path, &from_a, &to);
	blob_file(7, 2, &b, path, &from_b, &to);
	swap_bytes(path, from_a, from_b, (size_t)(to - from_b));
	ck_status(read_back(local, be, 7, 1, &a, data, sizeof(data)), GH_DAMAGED);
	ck_status(local->verify(be, 7, 2, &b, sizeof(data), msg), GH_DAMAGED);
	ck_assert_uint_eq(count_objects(), 0); /* what is in the wrong place is nobody's */
	ck_ok(local->remove(be, 7, 1, &a, sizeof(data)));
	swap_bytes(path, from_a, from_b, (size_t)(to - from_b)); /* removing did not touch what it could not prove */
	ck_ok(read_back(local, be, 7, 1, &a, data, sizeof(data)));
	ck_ok(read_back(local, be, 7, 2, &b, data, sizeof(data)));
}
END_TEST

START_TEST(swapped_files_and_swapped_packs_are_damage)
{
	uint8_t *data = pattern_new(200000, 1);
	struct blob_loc a, b, la, lb;
	char one[256], other[256], spare[256], msg[256];
	off_t from, to;
	uint32_t crc;

	ck_ok(local->put(be, 7, 1, data, 3000, &a));
	local_reopen();
	ck_ok(local->put(be, 7, 2, data, 3000, &b));
	ck_ok(stage_whole(local, be, 7, 3, data, 200000, 65536, &la, &crc));
	ck_ok(stage_whole(local, be, 7, 4, data, 200000, 65536, &lb, &crc));
	local_reopen();
	snprintf(spare, sizeof(spare), "%s/spare", dir);
	for (int files = 0; files < 2; files++) {
		blob_file(7, files ? 3 : 1, files ? &la : &a, one, &from, &to);
		blob_file(7, files ? 4 : 2, files ? &lb : &b, other, &from, &to);
		ck_assert_str_ne(one, other);
		ck_assert_int_eq(rename(one, spare), 0);
		ck_assert_int_eq(rename(other, one), 0);
		ck_assert_int_eq(rename(spare, other), 0);
	}
	ck_status(local->verify(be, 7, 1, &a, 3000, msg), GH_DAMAGED);
	ck_status(local->verify(be, 7, 2, &b, 3000, msg), GH_DAMAGED);
	ck_status(local->verify(be, 7, 3, &la, 200000, msg), GH_DAMAGED);
	ck_status(read_back(local, be, 7, 4, &lb, data, 200000), GH_DAMAGED);
	ck_assert_uint_eq(count_objects(), 0);
	free(data);
}
END_TEST

START_TEST(iterate_goes_on_behind_damage_and_keeps_the_pack)
{
	uint8_t data[3000];
	struct blob_loc loc[5];
	char path[256];
	off_t from, to;

	pattern(data, sizeof(data), 1);
	for (uint64_t i = 0; i < 5; i++)
		ck_ok(local->put(be, 7, i, data, sizeof(data), &loc[i]));
	blob_file(7, 2, &loc[2], path, &from, &to);
	flip(path, from + 16, 1); /* its id */
	ck_assert_uint_eq(count_objects(), 4);
	for (uint64_t i = 0; i < 5; i++)
		ck_ok(local->remove(be, 7, i, &loc[i], sizeof(data)));
	local_reopen();
	ck_assert_uint_eq(count_objects(), 0);
	ck_assert_uint_eq(count_files("packs", ".pack"), 1); /* there is something that may yet be wanted */
	blob_file(7, 2, &loc[2], path, &from, &to);
	flip(path, from + 16, 1);
	ck_ok(read_back(local, be, 7, 2, &loc[2], data, sizeof(data)));
	ck_ok(local->remove(be, 7, 2, &loc[2], sizeof(data)));
	ck_assert_uint_eq(count_objects(), 0);
	ck_assert_uint_eq(count_files("packs", ".pack"), 0);
	ck_status(read_back(local, be, 7, 2, &loc[2], data, sizeof(data)), GH_NOTFOUND);
}
END_TEST

START_TEST(removing_gives_the_space_back)
{
	uint8_t *data = pattern_new(100000, 1);
	struct blob_loc loc[100];
	struct stat before, after;
	char path[256];
	off_t from, to;

	for (uint64_t i = 0; i < 100; i++)
		ck_ok(local->put(be, 7, i, data, 100000, &loc[i]));
	local_reopen();
	blob_file(7, 0, &loc[0], path, &from, &to);
	ck_assert_int_eq(stat(path, &before), 0);
	ck_assert_int_le(before.st_size, 102 * 100000); /* sealing has cut off what was preallocated */
	for (uint64_t i = 0; i < 99; i++)
		ck_ok(local->remove(be, 7, i, &loc[i], 100000));
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_int_lt(after.st_blocks, before.st_blocks / 10);
	ck_assert_int_eq(after.st_size, before.st_size);
	ck_ok(read_back(local, be, 7, 99, &loc[99], data, 100000));
	ck_assert_uint_eq(count_objects(), 1);
	free(data);
}
END_TEST

static int64_t pack_blocks(const struct blob_loc *loc)
{
	char path[256];
	struct stat sb;
	off_t from, to;

	blob_file(7, 0, loc, path, &from, &to);
	ck_assert_int_eq(stat(path, &sb), 0);
	return sb.st_blocks;
}

START_TEST(blocks_shared_by_small_blobs_come_back_when_all_are_gone)
{
	struct blob_loc loc[200];
	int64_t before;
	uint8_t data[4096];

	pattern(data, sizeof(data), 1);
	for (uint64_t i = 0; i < 200; i++)
		ck_ok(local->put(be, 7, i, data, sizeof(data), &loc[i]));
	before = pack_blocks(&loc[0]);
	ck_assert_int_gt(before, 200 * 8);
	for (uint64_t i = 1; i < 50; i++) /* in a pack that is written to, zeros are left to be zeros */
		ck_ok(local->remove(be, 7, i, &loc[i], sizeof(data)));
	local_reopen();
	before = pack_blocks(&loc[0]);
	ck_assert_uint_eq(count_objects(), 151); /* and come back here */
	ck_assert_int_le(pack_blocks(&loc[0]), before - 48 * 8);
	before = pack_blocks(&loc[0]);
	for (uint64_t i = 50; i < 100; i++)
		ck_ok(local->remove(be, 7, i, &loc[i], sizeof(data)));
	ck_assert_int_le(pack_blocks(&loc[0]), before - 49 * 8);
	ck_ok(read_back(local, be, 7, 0, &loc[0], data, sizeof(data)));
	for (uint64_t i = 100; i < 200; i++)
		ck_ok(read_back(local, be, 7, i, &loc[i], data, sizeof(data)));
	ck_assert_uint_eq(count_objects(), 101);
}
END_TEST

static bool cut_at_first(void *arg, const struct blob_object *o)
{
	struct place at;
	char path[256];
	off_t from, to;

	ck_assert(place_decode((const struct blob_loc *)arg, &at));
	if (o->id == 0) {
		blob_file(7, 0, arg, path, &from, &to);
		ck_assert_int_eq(truncate(path, (off_t)(at.offset + record_span((uint32_t)at.size))), 0);
	}
	return true;
}

START_TEST(a_pack_that_is_sealed_during_a_walk_ends_the_walk)
{
	uint8_t *data = pattern_new(100000, 1);
	struct blob_loc loc[5];

	for (uint64_t i = 0; i < 5; i++) /* more than is read at once */
		ck_ok(local->put(be, 7, i, data, 100000, &loc[i]));
	ck_ok(local->remove(be, 7, 4, &loc[4], 100000));
	ck_ok(local->iterate(be, cut_at_first, &loc[4]));
	ck_assert_uint_eq(count_objects(), 4);
	free(data);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("local blobs: damage");
	TCase *t = tcase_create("damage");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_flipped_bit_of_a_pack_is_seen_by_read_and_verify);
	tcase_add_test(t, every_flipped_bit_of_a_file_is_seen_by_read_and_verify);
	tcase_add_test(t, a_part_of_a_damaged_block_is_not_given_out_but_other_blocks_are);
	tcase_add_test(t, a_truncated_pack_or_file_is_damage_and_the_rest_is_served);
	tcase_add_test(t, swapped_records_of_one_pack_are_damage);
	tcase_add_test(t, swapped_files_and_swapped_packs_are_damage);
	tcase_add_test(t, iterate_goes_on_behind_damage_and_keeps_the_pack);
	tcase_add_test(t, a_pack_that_is_sealed_during_a_walk_ends_the_walk);
	tcase_add_test(t, removing_gives_the_space_back);
	tcase_add_test(t, blocks_shared_by_small_blobs_come_back_when_all_are_gone);
	suite_add_tcase(s, t);
	return run_suite(s);
}
