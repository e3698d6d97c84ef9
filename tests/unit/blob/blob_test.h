/* What the blob tests share: a folder of their own, and a backend opened in it. */
#ifndef GH_TESTS_UNIT_BLOB_TEST_H
#define GH_TESTS_UNIT_BLOB_TEST_H

#include <check.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/blob.h"

#define ck_ok(call) ck_assert_str_eq(gh_status_name(call), "ok")
#define ck_status(call, status) ck_assert_str_eq(gh_status_name(call), gh_status_name(status))

static inline int tree_remove_one(const char *path, const struct stat *sb, int kind, struct FTW *at)
{
	(void)sb;
	(void)kind;
	(void)at;
	return remove(path);
}

static inline void tree_remove(const char *path)
{
	nftw(path, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* An empty folder; out of room for a path. */
static inline void scratch_make(char out[128])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(out, 128, "%.100s/gh-blob.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(out));
}

/* Bytes that differ by seed and place. */
static inline void pattern(uint8_t *to, size_t len, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		to[i] = (uint8_t)x;
	}
}

static inline uint8_t *pattern_new(size_t len, uint64_t seed)
{
	uint8_t *p = malloc(len ? len : 1);

	ck_assert_ptr_nonnull(p);
	pattern(p, len, seed);
	return p;
}

/* The whole blob by one read, compared with data; the first thing that is not GH_OK. */
static inline enum gh_status read_back(const struct blob_ops *ops, struct blob_backend *be, uint64_t tenant,
				       uint64_t id, const struct blob_loc *loc, const uint8_t *data, size_t len)
{
	uint8_t *got = malloc(len + 1);
	struct blob_reader *r = NULL;
	size_t n = 0;
	enum gh_status st = ops->reader_open(be, tenant, id, loc, len, true, &r);

	if (st == GH_OK)
		st = ops->reader_read(r, 0, got, len + 1, true, &n);
	if (st == GH_OK) {
		ck_assert_uint_eq(n, len);
		ck_assert_mem_eq(got, data, len);
	}
	ops->reader_close(&r);
	free(got);
	return st;
}

/* A large blob in windows of `window` bytes. */
static inline enum gh_status stage_whole(const struct blob_ops *ops, struct blob_backend *be, uint64_t tenant,
					 uint64_t id, const uint8_t *data, size_t len, size_t window,
					 struct blob_loc *ret_loc, uint32_t *ret_crc)
{
	struct blob_stage *stage = NULL;
	enum gh_status st = ops->stage_begin(be, tenant, id, len, &stage);

	for (size_t at = 0; st == GH_OK && at < len; at += window) {
		st = ops->stage_write(stage, data + at, len - at < window ? len - at : window);
		if (st == GH_OK)
			st = ops->stage_flush(stage);
	}
	if (st == GH_OK)
		return ops->stage_commit(&stage, ret_loc, ret_crc);
	ops->stage_abort(&stage);
	return st;
}

static inline int run_suite(Suite *s)
{
	SRunner *runner = srunner_create(s);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
