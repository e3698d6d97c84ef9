/* Listings of small folders in memory (core/node_cache.h): when they are kept, when they go, and who sees what of them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/metrics.h"
#include "core/base/rcu.h"
#include "core/node_cache.h"
#include "tests/unit/core/fixture.h"

static struct house_fixture f;

static void open_house(void)
{
	fixture_open(&f);
}

static void close_house(void)
{
	fixture_close(&f);
}

static enum gh_status put(struct vfs_session *s, const char *path, const char *text)
{
	return fixture_put(&f, s, path, text, strlen(text), 0, 0);
}

static enum gh_status op(enum vfs_op o, struct vfs_session *s, const char *path, const char *dest)
{
	return fixture_do(&f, o, s, path, dest, 0);
}

static void is(enum gh_status got, enum gh_status want)
{
	ck_assert_msg(got == want, "got %s, want %s", gh_status_name(got), gh_status_name(want));
}

/* What a listing of /d says, name by name and size by size, and whether memory said it. */
static char *listed(struct vfs_session *s, bool *ret_memory)
{
	(void)op(VFS_STAT, s, "/", NULL); /* rights are in memory then, whatever has dropped them */
	struct vfs_req *r = fixture_req(&f, VFS_LIST, s, "/d", NULL);
	const int64_t before = gh_metric_get(GH_M_LIST_CACHE, 0);
	char *out = calloc(1, 4096);
	ck_assert_ptr_nonnull(out);
	is(fixture_run(&f, r), GH_OK);
	*ret_memory = gh_metric_get(GH_M_LIST_CACHE, 0) > before;
	for (unsigned i = 0; i < r->node_count; i++)
		snprintf(out + strlen(out), 64, "%s:%u ", r->nodes[i].name, (unsigned)r->nodes[i].size);
	fixture_free(&f, &r);
	return out;
}

static void shows(const char *want, bool memory)
{
	bool was_memory;
	char *got = listed(f.admin, &was_memory);
	ck_assert_str_eq(got, want);
	ck_assert_msg(was_memory == memory, "listing \"%s\"", want);
	free(got);
}

/* From memory, which the change was told; and what the store says is the same, and remembered again. */
static void lists(const char *want)
{
	shows(want, true);
	node_cache_clear(f.core->nodes);
	shows(want, false);
	shows(want, true);
}

/* From the store: another folder, or the change could not be told. */
static void lists_anew(const char *want)
{
	shows(want, false);
	shows(want, true);
}

START_TEST(a_listing_follows_every_change_of_a_member)
{
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/e", NULL), GH_OK);
	lists_anew("");
	is(put(f.admin, "/d/b", "one"), GH_OK);
	lists("b:3 ");
	is(put(f.admin, "/d/B", "four"), GH_OK);
	lists("b:4 ");
	is(op(VFS_MKDIR, f.admin, "/d/a", NULL), GH_OK);
	lists("a:0 b:4 ");
	is(op(VFS_MOVE, f.admin, "/d/b", "/d/c"), GH_OK);
	lists("a:0 c:4 ");
	is(op(VFS_MOVE, f.admin, "/d/c", "/d/C"), GH_OK); /* another spelling */
	lists("a:0 C:4 ");
	is(op(VFS_COPY, f.admin, "/d/c", "/d/x"), GH_OK);
	lists("a:0 C:4 x:4 ");
	is(op(VFS_MOVE, f.admin, "/d/x", "/e/x"), GH_OK);
	lists("a:0 C:4 ");
	is(op(VFS_COPY, f.admin, "/e", "/d/tree"), GH_OK);
	lists_anew("a:0 C:4 tree:0 "); /* what was built elsewhere is not known whole */
	is(op(VFS_REMOVE, f.admin, "/d/tree", NULL), GH_OK);
	lists("a:0 C:4 ");
	is(op(VFS_REMOVE, f.admin, "/d/c", NULL), GH_OK);
	lists("a:0 ");
	is(op(VFS_MOVE, f.admin, "/d", "/e/d"), GH_OK); /* with its listing, to another place */
	is(put(f.admin, "/e/d/new", "12"), GH_OK);
	is(op(VFS_MOVE, f.admin, "/e/d", "/d"), GH_OK);
	lists("a:0 new:2 ");
	is(op(VFS_REMOVE, f.admin, "/d", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	lists_anew("");
}
END_TEST

START_TEST(a_listing_shows_each_what_he_may_see)
{
	uint64_t id;
	bool memory;
	char *got;
	struct vfs_session *s = fixture_user(&f, "user", &id);
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	is(put(f.admin, "/d/a", "1"), GH_OK);
	is(put(f.admin, "/d/b", "22"), GH_OK);
	fixture_grant(&f, "/d", id, ACL_LIST | ACL_READ, 0);
	fixture_grant(&f, "/d/b", id, 0, ACL_LIST | ACL_READ);
	lists_anew("a:1 b:2 ");
	got = listed(s, &memory);
	ck_assert_str_eq(got, "a:1 ");
	ck_assert_msg(memory, "the same listing serves both");
	free(got);
	fixture_grant(&f, "/d", id, 0, 0);
	is(fixture_do(&f, VFS_LIST, s, "/d", NULL, 0), GH_NOTFOUND);
	vfs_session_unref(&s);
}
END_TEST

START_TEST(a_large_folder_is_not_kept)
{
	char path[32];
	bool memory;
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	for (unsigned i = 0; i <= NODE_CACHE_MEMBERS_MAX; i++) {
		snprintf(path, sizeof(path), "/d/%03u", i);
		is(put(f.admin, path, ""), GH_OK);
	}
	for (unsigned i = 0; i < 2; i++) {
		free(listed(f.admin, &memory));
		ck_assert(!memory);
	}
	is(op(VFS_REMOVE, f.admin, "/d/000", NULL), GH_OK);
	free(listed(f.admin, &memory));
	free(listed(f.admin, &memory));
	ck_assert_msg(memory, "one fewer is");
}
END_TEST

/* What was read from the store before a member changed must not stand for what is there after it. */
START_TEST(what_was_read_before_a_change_is_not_kept)
{
	struct meta_node node = { .id = 7, .name = "x", .key = "x", .name_len = 1, .key_len = 1 };
	const struct meta_page old = { .count = 1, .nodes = &node };
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct node_cache *nc;
	struct meta_page page;
	is(node_cache_new(1 << 20, &nc), GH_OK);
	gh_rcu_register();
	const uint32_t mark = node_cache_mark_members(nc, 1, 5);
	node_cache_drop(nc, 1, 5, "y", 1); /* nobody has ever looked it up */
	node_cache_fill_members(nc, 1, 5, &old, mark);
	is(node_cache_members(nc, 1, 5, a, &page), GH_AGAIN);
	node_cache_fill_members(nc, 1, 5, &old, node_cache_mark_members(nc, 1, 5));
	is(node_cache_members(nc, 1, 5, a, &page), GH_OK);
	ck_assert_uint_eq(page.count, 1);
	ck_assert_str_eq(page.nodes[0].name, "x");
	is(node_cache_members(nc, 1, 6, a, &page), GH_AGAIN);
	is(node_cache_members(nc, 2, 5, a, &page), GH_AGAIN);
	node_cache_drop(nc, 1, 5, "y", 1);
	is(node_cache_members(nc, 1, 5, a, &page), GH_AGAIN);
	gh_rcu_unregister();
	node_cache_free(&nc);
	gh_arena_free(&a);
}
END_TEST

static Suite *listing_suite(void)
{
	Suite *s = suite_create("core/listing");
	TCase *t = tcase_create("listing");
	tcase_add_checked_fixture(t, open_house, close_house);
	tcase_add_test(t, a_listing_follows_every_change_of_a_member);
	tcase_add_test(t, a_listing_shows_each_what_he_may_see);
	tcase_add_test(t, a_large_folder_is_not_kept);
	tcase_add_test(t, what_was_read_before_a_change_is_not_kept);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(listing_suite());
	srunner_run_all(r, CK_ENV);
	const int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
