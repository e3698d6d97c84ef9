/* A node as bytes, there and back; and what is no such bytes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/tree_bytes.h"

static struct gh_buf buf;
static char *exact; /* never one byte more */

static void setup(void)
{
	gh_buf_init(&buf, TREE_BYTES_MAX);
	exact = NULL;
}

static void teardown(void)
{
	gh_buf_fini(&buf);
	free(exact);
}

static enum gh_status unpack(size_t len, struct meta_node *ret, uint64_t *horizon)
{
	free(exact);
	exact = malloc(len ? len : 1);
	memcpy(exact, buf.data, len);
	return tree_unpack(exact, len, ret, horizon);
}

static const struct meta_node file = {
	.id = 11, .parent = 5, .type = META_FILE, .name = "Stra\xc3\x9f" "e", .key = "strasse", .name_len = 7, .key_len = 7,
	.owner = UINT64_MAX, .version = 12, .rev = 13, .size = 14, .made_us = -15, .mtime_us = INT64_MAX, .has_props = true,
	.parts = 1, .blob = 16, .loc = { 3, "abc" }, .crc = 0xfedcba98u,
};
static const struct meta_node folder = { .id = 1, .type = META_FOLDER, .name = "f", .key = "f", .name_len = 1, .key_len = 1 };

static void comes_back(const struct meta_node *n, uint64_t horizon)
{
	struct meta_node got;
	uint64_t h;

	buf.len = 0;
	tree_pack(n, horizon, &buf);
	ck_assert(!buf.failed);
	ck_assert_int_eq(unpack(buf.len, &got, &h), GH_OK);
	ck_assert_uint_eq(h, horizon);
	ck_assert_uint_eq(got.id, n->id);
	ck_assert_int_eq(got.type, n->type);
	ck_assert_str_eq(got.name, n->name);
	ck_assert_uint_eq(got.name_len, n->name_len);
	ck_assert_uint_eq(got.owner, n->owner);
	ck_assert_uint_eq(got.version, n->version);
	ck_assert_uint_eq(got.rev, n->rev);
	ck_assert_uint_eq(got.size, n->size);
	ck_assert_int_eq(got.made_us, n->made_us);
	ck_assert_int_eq(got.mtime_us, n->mtime_us);
	ck_assert_int_eq(got.has_props, n->has_props);
	ck_assert_uint_eq(got.parts, n->parts);
	ck_assert_uint_eq(got.blob, n->blob);
	ck_assert_uint_eq(got.crc, n->crc);
	ck_assert_uint_eq(got.loc.len, n->loc.len);
	ck_assert_mem_eq(got.loc.bytes, n->loc.bytes, sizeof(got.loc.bytes));
	ck_assert_ptr_null(got.key); /* the caller's, like the parent */
	ck_assert_uint_eq(got.parent, 0);
}

START_TEST(everything_that_a_look_up_gives_comes_back)
{
	comes_back(&file, 1);
	comes_back(&folder, UINT64_MAX);
}
END_TEST

START_TEST(the_longest_name_and_locator_fit)
{
	struct meta_node n = file;
	char name[GH_NAME_MAX + 1];

	memset(name, 'n', GH_NAME_MAX);
	name[GH_NAME_MAX] = '\0';
	n.name = name;
	n.name_len = GH_NAME_MAX;
	n.loc.len = BLOB_LOCATOR_MAX;
	memset(n.loc.bytes, 0xff, sizeof(n.loc.bytes));
	comes_back(&n, 9);
}
END_TEST

START_TEST(what_is_cut_or_longer_is_refused)
{
	struct meta_node n;
	uint64_t h;

	tree_pack(&file, 9, &buf);
	for (size_t i = 0; i < buf.len; i++)
		ck_assert_int_eq(unpack(i, &n, &h), GH_DAMAGED);
	gh_buf_char(&buf, 0);
	ck_assert_int_eq(unpack(buf.len, &n, &h), GH_DAMAGED);
}
END_TEST

static void refused(const struct meta_node *n, uint64_t horizon)
{
	struct meta_node got;
	uint64_t h;

	buf.len = 0;
	tree_pack(n, horizon, &buf);
	ck_assert_int_eq(unpack(buf.len, &got, &h), GH_DAMAGED);
}

START_TEST(what_no_row_is_like_is_refused)
{
	struct meta_node n = file;

	refused(&n, 0);
	n.id = 0; /* absent: not kept */
	refused(&n, 9);
	n = file;
	n.type = (enum meta_type)3;
	refused(&n, 9);
	n = file;
	n.name_len = 0;
	refused(&n, 9);
	n = file;
	n.name = "a\0b";
	n.name_len = 3;
	refused(&n, 9);
}
END_TEST

START_TEST(another_layout_and_a_locator_that_is_too_long_are_refused)
{
	struct meta_node n;
	uint64_t h;

	tree_pack(&folder, 9, &buf);
	buf.data[0]++;
	ck_assert_int_eq(unpack(buf.len, &n, &h), GH_DAMAGED);
	buf.data[0]--;
	ck_assert_int_eq(unpack(buf.len, &n, &h), GH_OK);
	buf.data[buf.len - 5] = (char)(BLOB_LOCATOR_MAX + 1);
	ck_assert_int_eq(unpack(buf.len, &n, &h), GH_DAMAGED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tree_bytes");
	TCase *c = tcase_create("tree_bytes");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, everything_that_a_look_up_gives_comes_back);
	tcase_add_test(c, the_longest_name_and_locator_fit);
	tcase_add_test(c, what_is_cut_or_longer_is_refused);
	tcase_add_test(c, what_no_row_is_like_is_refused);
	tcase_add_test(c, another_layout_and_a_locator_that_is_too_long_are_refused);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
