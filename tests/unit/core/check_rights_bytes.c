/* Rights as bytes, there and back; and what is no such bytes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/rights_bytes.h"

static struct gh_arena *arena;
static struct gh_buf buf;

static void setup(void)
{
	arena = gh_arena_new(1 << 20);
	gh_buf_init(&buf, 1 << 20);
}

static void teardown(void)
{
	gh_arena_free(&arena);
	gh_buf_fini(&buf);
}

static uint64_t groups[] = { 7, 9, UINT64_MAX };
static struct meta_ace aces[] = { { 'u', 11, false, 0x7f }, { 'g', 7, true, 2 }, { 'e', 0, false, 0x80000001u } };
static struct meta_acl_node nodes[] = {
	{ .id = 1, .parent = 0, .key = "", .name = "" },
	{ .id = 2, .parent = 1, .key = "stra\xc3\x9f" "e", .name = "Stra\xc3\x9f" "e", .inherit_off = true, .ace_count = 3, .aces = aces },
	{ .id = UINT64_MAX, .parent = 2, .key = "x", .name = "x", .ace_count = 1, .aces = aces },
};
static struct meta_user users[] = {
	{ .id = 11, .name = "ann", .key = "ann", .gen = 99, .owner = true, .password_hash = "" },
	{ .id = 12, .name = "bob", .key = "bob", .gen = 1, .disabled = true, .password_hash = "", .group_count = 3, .groups = groups },
};
static const struct meta_rights all = { .rights_epoch = 5, .tree_gen = 6, .acl_count = 3, .user_count = 2, .acl = nodes, .users = users };

static enum gh_status unpack(size_t len, struct meta_rights **ret)
{
	void *exact = gh_memdup(arena, buf.data, len); /* never one byte more */

	return rights_unpack(arena, exact, len, ret);
}

START_TEST(everything_that_decides_comes_back)
{
	struct meta_rights *m;

	rights_pack(&all, &buf);
	ck_assert(!buf.failed);
	ck_assert_int_eq(unpack(buf.len, &m), GH_OK);
	ck_assert_uint_eq(m->rights_epoch, 5);
	ck_assert_uint_eq(m->tree_gen, 6);
	ck_assert_uint_eq(m->acl_count, 3);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(m->acl[i].id, nodes[i].id);
		ck_assert_uint_eq(m->acl[i].parent, nodes[i].parent);
		ck_assert_str_eq(m->acl[i].key, nodes[i].key);
		ck_assert_int_eq(m->acl[i].inherit_off, nodes[i].inherit_off);
		ck_assert_uint_eq(m->acl[i].ace_count, nodes[i].ace_count);
		for (unsigned k = 0; k < nodes[i].ace_count; k++) {
			ck_assert_int_eq(m->acl[i].aces[k].who, aces[k].who);
			ck_assert_uint_eq(m->acl[i].aces[k].who_id, aces[k].who_id);
			ck_assert_int_eq(m->acl[i].aces[k].deny, aces[k].deny);
			ck_assert_uint_eq(m->acl[i].aces[k].rights, aces[k].rights);
		}
	}
	ck_assert_uint_eq(m->user_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(m->users[i].id, users[i].id);
		ck_assert_uint_eq(m->users[i].gen, users[i].gen);
		ck_assert_int_eq(m->users[i].owner, users[i].owner);
		ck_assert_int_eq(m->users[i].disabled, users[i].disabled);
		ck_assert_uint_eq(m->users[i].group_count, users[i].group_count);
	}
	ck_assert_mem_eq(m->users[1].groups, groups, sizeof(groups));
}
END_TEST

START_TEST(names_and_hashes_do_not_go_along)
{
	rights_pack(&all, &buf);
	ck_assert_ptr_null(memmem(buf.data, buf.len, "ann", 3));
	ck_assert_ptr_null(memmem(buf.data, buf.len, "Stra", 4));
}
END_TEST

START_TEST(a_tenant_with_nothing_is_something_too)
{
	const struct meta_rights none = { .rights_epoch = 1 };
	struct meta_rights *m;

	rights_pack(&none, &buf);
	ck_assert_int_eq(unpack(buf.len, &m), GH_OK);
	ck_assert_uint_eq(m->acl_count + m->user_count, 0);
}
END_TEST

START_TEST(what_is_cut_or_longer_is_refused)
{
	struct meta_rights *m;

	rights_pack(&all, &buf);
	for (size_t i = 0; i < buf.len; i++)
		ck_assert_int_eq(unpack(i, &m), GH_DAMAGED);
	gh_buf_char(&buf, 0);
	ck_assert_int_eq(unpack(buf.len, &m), GH_DAMAGED);
}
END_TEST

START_TEST(another_version_is_refused)
{
	struct meta_rights *m;

	rights_pack(&all, &buf);
	buf.data[0]++;
	ck_assert_int_eq(unpack(buf.len, &m), GH_DAMAGED);
}
END_TEST

START_TEST(counts_that_cannot_be_are_refused_before_memory_is_taken)
{
	const size_t before = gh_arena_used(arena);
	struct meta_rights *m;

	rights_pack(&all, &buf);
	memset(buf.data + 17, 0xff, 8);
	ck_assert_int_eq(unpack(buf.len, &m), GH_DAMAGED);
	ck_assert_uint_lt(gh_arena_used(arena) - before, 4096);
}
END_TEST

START_TEST(more_than_a_cache_takes_is_said)
{
	struct gh_buf small;

	gh_buf_init(&small, 64);
	rights_pack(&all, &small);
	ck_assert(small.failed);
	gh_buf_fini(&small);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rights_bytes");
	TCase *c = tcase_create("rights_bytes");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, everything_that_decides_comes_back);
	tcase_add_test(c, names_and_hashes_do_not_go_along);
	tcase_add_test(c, a_tenant_with_nothing_is_something_too);
	tcase_add_test(c, what_is_cut_or_longer_is_refused);
	tcase_add_test(c, another_version_is_refused);
	tcase_add_test(c, counts_that_cannot_be_are_refused_before_memory_is_taken);
	tcase_add_test(c, more_than_a_cache_takes_is_said);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
