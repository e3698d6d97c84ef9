/* What every blob backend promises (core/blob.h), asked of each: memory, local, and the failing one with no fault set.
 * A new backend adds its line to `kinds`. */
#include "backends/blob/fault.h"
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "tests/unit/blob/blob_test.h"

static const struct {
	const char *kind;
	bool with_path;
} kinds[] = {
	{ "memory", false },
	{ "local", true },
	{ "fault", false },
	{ "fault", true },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), THREADS = 16 };

static const struct blob_ops *ops;
static struct blob_backend *be;
static char dir[128];

static void setup(void)
{
	dir[0] = '\0';
}

static void teardown(void)
{
	if (ops)
		ops->close(&be);
	if (dir[0])
		tree_remove(dir);
}

static void begin(int i)
{
	struct blob_config cfg = { .pack_size_bytes = 4u << 20 };
	char err[256] = "";

	if (kinds[i].with_path) {
		scratch_make(dir);
		cfg.path = dir;
	}
	ops = blob_backend_find(kinds[i].kind);
	ck_assert_ptr_nonnull(ops);
	ck_ok(ops->open(&cfg, &be, err));
	ck_assert_str_eq(err, "");
}

START_TEST(the_table_is_complete)
{
	begin(_i);
	ck_assert_uint_eq(ops->abi, BLOB_ABI);
	ck_assert_uint_eq(ops->size, sizeof(*ops));
	ck_assert_str_eq(ops->name, kinds[_i].kind);
	ck_assert(ops->put && ops->put_max && ops->stage_begin && ops->stage_write && ops->stage_flush);
	ck_assert(ops->stage_commit && ops->stage_abort && ops->reader_open && ops->reader_read && ops->reader_fd);
	ck_assert(ops->reader_close && ops->remove && ops->iterate && ops->verify && ops->space);
	ck_assert_uint_ge(ops->put_max(be), 4096);
}
END_TEST

static const size_t small_sizes[] = { 0, 1, 63, 64, 4095, 4096, 65535, 65536, 65537, 100000, 131072 };

START_TEST(a_small_blob_reads_back_and_verifies)
{
	begin(_i);
	for (size_t i = 0; i < sizeof(small_sizes) / sizeof(small_sizes[0]); i++) {
		const size_t len = small_sizes[i];
		uint8_t *data = pattern_new(len, i);
		struct blob_loc loc;
		char msg[256] = "";

		ck_ok(ops->put(be, 7, 100 + i, data, len, &loc));
		ck_assert_uint_le(loc.len, BLOB_LOCATOR_MAX);
		ck_assert_uint_gt(loc.len, 0);
		ck_ok(read_back(ops, be, 7, 100 + i, &loc, data, len));
		ck_ok(ops->verify(be, 7, 100 + i, &loc, len, msg));
		free(data);
	}
}
END_TEST

static const size_t large_sizes[] = { 0, 1, 65535, 65536, 65537, 1000000, 5 * 65536, 9000001 };

START_TEST(a_large_blob_reads_back_verifies_and_tells_its_checksum)
{
	begin(_i);
	for (size_t i = 0; i < sizeof(large_sizes) / sizeof(large_sizes[0]); i++) {
		const size_t len = large_sizes[i];
		uint8_t *data = pattern_new(len, 50 + i);
		struct blob_loc loc;
		uint32_t crc = 1;
		char msg[256] = "";

		ck_ok(stage_whole(ops, be, 7, 200 + i, data, len, 70001, &loc, &crc));
		ck_assert_uint_eq(crc, gh_crc32c(0, data, len));
		ck_ok(read_back(ops, be, 7, 200 + i, &loc, data, len));
		ck_ok(ops->verify(be, 7, 200 + i, &loc, len, msg));
		free(data);
	}
}
END_TEST

static void read_ranges(uint64_t id, const struct blob_loc *loc, const uint8_t *data, size_t len)
{
	struct blob_reader *r = NULL;
	uint8_t *got = malloc(len + 16);
	uint64_t x = id;
	size_t n;

	ck_ok(ops->reader_open(be, 7, id, loc, len, true, &r));
	for (int i = 0; i < 300; i++) {
		size_t from, want;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		from = (size_t)(x >> 33) % (len + 10);
		want = (size_t)(x >> 13) % (i % 2 ? len : 3000);
		ck_ok(ops->reader_read(r, from, got, want, true, &n));
		ck_assert_uint_eq(n, from >= len ? 0 : want < len - from ? want : len - from);
		if (n)
			ck_assert_mem_eq(got, data + from, n);
	}
	ops->reader_close(&r);
	ck_assert_ptr_null(r);
	free(got);
}

START_TEST(what_was_put_ahead_is_there_once_it_is_settled)
{
	struct blob_ticket ticket[8] = { 0 };
	struct blob_loc loc[8];
	uint8_t data[5000];

	begin(_i);
	if (!ops->put_ahead) {
		ck_assert_ptr_null(ops->settle); /* both or none */
		return;
	}
	for (unsigned i = 0; i < 8; i++) {
		pattern(data, sizeof(data), (uint8_t)i);
		ck_ok(ops->put_ahead(be, 7, 100 + i, data, sizeof(data), &loc[i], &ticket[i]));
	}
	for (unsigned i = 8; i-- > 0;) {
		ck_ok(ops->settle(be, &ticket[i]));
		ck_assert_ptr_null(ticket[i].at);
		ck_ok(ops->settle(be, &ticket[i]));
		pattern(data, sizeof(data), (uint8_t)i);
		read_ranges(100 + i, &loc[i], data, sizeof(data));
	}
}
END_TEST

START_TEST(any_range_of_a_blob_can_be_read)
{
	const size_t small = 131000, large = 700000;
	uint8_t *data = pattern_new(large, 3);
	struct blob_loc loc;
	uint32_t crc;

	begin(_i);
	ck_ok(ops->put(be, 7, 1, data, small, &loc));
	read_ranges(1, &loc, data, small);
	ck_ok(stage_whole(ops, be, 7, 2, data, large, 65536, &loc, &crc));
	read_ranges(2, &loc, data, large);
	free(data);
}
END_TEST

START_TEST(reading_from_a_loop_gives_the_same_bytes_or_again)
{
	uint8_t data[9000], got[9000];
	struct blob_reader *r = NULL;
	struct blob_loc loc;
	size_t n;
	enum gh_status st;

	begin(_i);
	pattern(data, sizeof(data), 9);
	ck_ok(ops->put(be, 7, 5, data, sizeof(data), &loc));
	st = ops->reader_open(be, 7, 5, &loc, sizeof(data), false, &r);
	if (st == GH_OK) {
		st = ops->reader_read(r, 0, got, sizeof(got), false, &n);
		ops->reader_close(&r);
	}
	ck_assert(st == GH_OK || st == GH_AGAIN);
	if (st == GH_OK)
		ck_assert_mem_eq(got, data, n);
}
END_TEST

START_TEST(a_descriptor_if_promised_leads_to_the_bytes)
{
	const size_t len = 300000;
	uint8_t *data = pattern_new(len, 4), *got = malloc(len);
	struct blob_reader *r = NULL;
	struct blob_loc loc;
	uint32_t crc;
	off_t base = -1;
	int fd = -1;
	enum gh_status st;

	begin(_i);
	for (int large = 0; large < 2; large++) {
		const size_t n = large ? len : 100000;

		if (large)
			ck_ok(stage_whole(ops, be, 7, 8, data, n, 65536, &loc, &crc));
		else
			ck_ok(ops->put(be, 7, 9, data, n, &loc));
		ck_ok(ops->reader_open(be, 7, large ? 8 : 9, &loc, n, true, &r));
		st = ops->reader_fd(r, &fd, &base);
		if (!(ops->caps & BLOB_CAP_FD)) {
			ck_assert_int_ne(st, GH_OK);
		} else {
			ck_ok(st);
			ck_assert_int_eq(pread(fd, got, n, base), (ssize_t)n);
			ck_assert_mem_eq(got, data, n);
		}
		ops->reader_close(&r);
	}
	free(data);
	free(got);
}
END_TEST

struct seen {
	unsigned count[64];
	struct blob_object last[64];
	unsigned strange, stop_after;
};

static bool see(void *arg, const struct blob_object *o)
{
	struct seen *s = arg;

	if (o->tenant == 7 && o->id < 64) {
		s->count[o->id]++;
		s->last[o->id] = *o;
	} else {
		s->strange++;
	}
	return s->stop_after == 0 || --s->stop_after > 0;
}

START_TEST(iterate_shows_exactly_what_is_stored)
{
	const int64_t before = gh_real_us();
	uint8_t *data = pattern_new(200000, 6);
	struct seen s = { 0 };
	struct blob_loc loc[20];
	uint32_t crc;

	begin(_i);
	for (uint64_t id = 0; id < 20; id++) {
		if (id % 2)
			ck_ok(ops->put(be, 7, id, data, 1000 * id, &loc[id]));
		else
			ck_ok(stage_whole(ops, be, 7, id, data, 9000 * id, 65536, &loc[id], &crc));
	}
	for (uint64_t id = 0; id < 20; id += 3)
		ck_ok(ops->remove(be, 7, id, &loc[id], id % 2 ? 1000 * id : 9000 * id));
	ck_ok(ops->iterate(be, see, &s));
	ck_assert_uint_eq(s.strange, 0);
	for (uint64_t id = 0; id < 20; id++) {
		ck_assert_uint_eq(s.count[id], id % 3 ? 1 : 0);
		if (id % 3 == 0)
			continue;
		ck_assert_uint_eq(s.last[id].size, id % 2 ? 1000 * id : 9000 * id);
		ck_assert_uint_eq(s.last[id].loc.len, loc[id].len);
		ck_assert_mem_eq(s.last[id].loc.bytes, loc[id].bytes, loc[id].len);
		ck_assert(s.last[id].made_us >= before - GH_S_US && s.last[id].made_us <= gh_real_us());
	}
	s = (struct seen){ .stop_after = 2 };
	ck_ok(ops->iterate(be, see, &s));
	ck_assert_uint_eq(s.stop_after, 0);
	free(data);
}
END_TEST

START_TEST(what_was_removed_is_gone_and_stays_gone)
{
	uint8_t *data = pattern_new(200000, 1);
	struct blob_loc small, large, kept;
	struct blob_reader *r = NULL;
	uint8_t *got = malloc(200000);
	uint32_t crc;
	char msg[256];
	size_t n;

	begin(_i);
	ck_ok(ops->put(be, 7, 1, data, 5000, &small));
	ck_ok(ops->put(be, 7, 2, data, 5000, &kept));
	ck_ok(stage_whole(ops, be, 7, 3, data, 200000, 65536, &large, &crc));
	ck_ok(ops->reader_open(be, 7, 3, &large, 200000, true, &r));
	for (int again = 0; again < 2; again++) {
		ck_ok(ops->remove(be, 7, 1, &small, 5000));
		ck_ok(ops->remove(be, 7, 3, &large, 200000));
	}
	ck_status(read_back(ops, be, 7, 1, &small, data, 5000), GH_NOTFOUND);
	ck_status(read_back(ops, be, 7, 3, &large, data, 200000), GH_NOTFOUND);
	ck_status(ops->verify(be, 7, 1, &small, 5000, msg), GH_NOTFOUND);
	ck_status(ops->verify(be, 7, 3, &large, 200000, msg), GH_NOTFOUND);
	ck_ok(read_back(ops, be, 7, 2, &kept, data, 5000));
	ck_ok(ops->reader_read(r, 0, got, 200000, true, &n)); /* opened before: undisturbed */
	ck_assert_uint_eq(n, 200000);
	ck_assert_mem_eq(got, data, n);
	ops->reader_close(&r);
	free(got);
	free(data);
}
END_TEST

START_TEST(nothing_is_visible_before_commit_or_after_abort)
{
	uint8_t *data = pattern_new(200000, 2);
	struct blob_stage *stage = NULL;
	struct seen s = { 0 };

	begin(_i);
	ck_ok(ops->stage_begin(be, 7, 1, 0, &stage));
	ck_ok(ops->stage_write(stage, data, 200000));
	ck_ok(ops->stage_flush(stage));
	ck_ok(ops->iterate(be, see, &s));
	ck_assert_uint_eq(s.count[1] + s.strange, 0);
	ops->stage_abort(&stage);
	ck_assert_ptr_null(stage);
	ops->stage_abort(&stage);
	ck_ok(ops->iterate(be, see, &s));
	ck_assert_uint_eq(s.count[1] + s.strange, 0);
	free(data);
}
END_TEST

START_TEST(another_blobs_locator_gives_no_bytes)
{
	uint8_t *data = pattern_new(200000, 8);
	struct blob_loc a, b, la, lb;
	uint32_t crc;

	begin(_i);
	ck_ok(ops->put(be, 7, 1, data, 5000, &a));
	ck_ok(ops->put(be, 8, 1, data, 5000, &b));
	ck_ok(stage_whole(ops, be, 7, 2, data, 200000, 65536, &la, &crc));
	ck_ok(stage_whole(ops, be, 8, 2, data + 1, 199999, 65536, &lb, &crc));
	ck_assert_int_ne(read_back(ops, be, 7, 1, &b, data, 5000), GH_OK);
	ck_assert_int_ne(read_back(ops, be, 8, 1, &a, data, 5000), GH_OK);
	ck_assert_int_ne(read_back(ops, be, 7, 2, &lb, data, 200000), GH_OK);
	ck_assert_int_ne(read_back(ops, be, 7, 1, &a, data, 4999), GH_OK);
	ck_ok(read_back(ops, be, 7, 1, &a, data, 5000));
	ck_ok(read_back(ops, be, 8, 1, &b, data, 5000)); /* the same id in two tenants is two blobs */
	ck_ok(read_back(ops, be, 8, 2, &lb, data + 1, 199999));
	free(data);
}
END_TEST

START_TEST(a_locator_of_garbage_gives_no_bytes)
{
	struct blob_loc loc;
	uint8_t data[100] = { 0 };

	begin(_i);
	ck_ok(ops->put(be, 7, 1, data, sizeof(data), &loc));
	for (unsigned seed = 0; seed < 2000; seed++) {
		struct blob_loc bad = loc;
		struct blob_reader *r = NULL;
		enum gh_status st;
		uint8_t noise[BLOB_LOCATOR_MAX + 1];
		size_t n;

		pattern(noise, sizeof(noise), seed);
		if (seed % 2) {
			memcpy(bad.bytes, noise, BLOB_LOCATOR_MAX);
			bad.len = noise[BLOB_LOCATOR_MAX] % (BLOB_LOCATOR_MAX + 1);
		} else {
			bad.bytes[noise[0] % loc.len] ^= (uint8_t)(noise[1] | 1);
		}
		st = ops->reader_open(be, 7, 1, &bad, sizeof(data), true, &r);
		if (st == GH_OK)
			st = ops->reader_read(r, 0, data, sizeof(data), true, &n);
		ops->reader_close(&r);
		ck_assert_int_ne(st, GH_OK);
	}
}
END_TEST

START_TEST(too_large_for_put_is_refused)
{
	struct blob_loc loc;
	uint8_t *data;

	begin(_i);
	data = pattern_new(ops->put_max(be) + 1, 1);
	ck_ok(ops->put(be, 7, 1, data, ops->put_max(be), &loc));
	ck_status(ops->put(be, 7, 2, data, ops->put_max(be) + 1, &loc), GH_TOOLARGE);
	free(data);
}
END_TEST

START_TEST(space_is_told)
{
	struct blob_space space = { 0 };

	begin(_i);
	ck_ok(ops->space(be, &space));
	ck_assert_uint_gt(space.total_bytes, 0);
	ck_assert_uint_le(space.free_bytes, space.total_bytes);
}
END_TEST

/* Puts, reads and removes of its own ids, while the others do the same and one walks. */
static void *worker(void *arg)
{
	const uint64_t first = 1000 * (uint64_t)(uintptr_t)arg;
	uint8_t data[3000], got[3000];
	struct blob_loc loc, before = { 0 };
	uint32_t crc;

	for (uint64_t i = 0; i < 100; i++) {
		const uint64_t id = first + i;
		struct blob_reader *r = NULL;
		size_t n = 0;

		pattern(data, sizeof(data), id);
		if (i % 10 == 9)
			ck_ok(stage_whole(ops, be, 7, id, data, sizeof(data), 1000, &loc, &crc));
		else
			ck_ok(ops->put(be, 7, id, data, sizeof(data), &loc));
		ck_ok(ops->reader_open(be, 7, id, &loc, sizeof(data), true, &r));
		ck_ok(ops->reader_read(r, 0, got, sizeof(got), true, &n));
		ck_assert_uint_eq(n, sizeof(got));
		ck_assert_mem_eq(got, data, n);
		ops->reader_close(&r);
		if (i)
			ck_ok(ops->remove(be, 7, id - 1, &before, sizeof(data)));
		before = loc;
	}
	return NULL;
}

START_TEST(threads_do_not_disturb_each_other)
{
	pthread_t t[THREADS];
	struct seen s = { 0 };

	begin(_i);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, worker, (void *)(i + 1)), 0);
	for (int i = 0; i < 5; i++)
		ck_ok(ops->iterate(be, see, &s));
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	s = (struct seen){ 0 };
	ck_ok(ops->iterate(be, see, &s));
	ck_assert_uint_eq(s.strange, THREADS); /* the last of each */
}
END_TEST

START_TEST(an_unknown_kind_is_not_found)
{
	ck_assert_ptr_null(blob_backend_find("floppy"));
	ck_assert_ptr_null(blob_backend_find(""));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("blob conformance");
	TCase *t = tcase_create("every backend");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_table_is_complete, 0, KINDS);
	tcase_add_loop_test(t, a_small_blob_reads_back_and_verifies, 0, KINDS);
	tcase_add_loop_test(t, a_large_blob_reads_back_verifies_and_tells_its_checksum, 0, KINDS);
	tcase_add_loop_test(t, what_was_put_ahead_is_there_once_it_is_settled, 0, KINDS);
	tcase_add_loop_test(t, any_range_of_a_blob_can_be_read, 0, KINDS);
	tcase_add_loop_test(t, reading_from_a_loop_gives_the_same_bytes_or_again, 0, KINDS);
	tcase_add_loop_test(t, a_descriptor_if_promised_leads_to_the_bytes, 0, KINDS);
	tcase_add_loop_test(t, iterate_shows_exactly_what_is_stored, 0, KINDS);
	tcase_add_loop_test(t, what_was_removed_is_gone_and_stays_gone, 0, KINDS);
	tcase_add_loop_test(t, nothing_is_visible_before_commit_or_after_abort, 0, KINDS);
	tcase_add_loop_test(t, another_blobs_locator_gives_no_bytes, 0, KINDS);
	tcase_add_loop_test(t, a_locator_of_garbage_gives_no_bytes, 0, KINDS);
	tcase_add_loop_test(t, too_large_for_put_is_refused, 0, KINDS);
	tcase_add_loop_test(t, space_is_told, 0, KINDS);
	tcase_add_loop_test(t, threads_do_not_disturb_each_other, 0, KINDS);
	tcase_add_test(t, an_unknown_kind_is_not_found);
	suite_add_tcase(s, t);
	return run_suite(s);
}
