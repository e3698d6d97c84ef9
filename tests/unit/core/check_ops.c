/* Operations of the core against real stores: rights by effect, moves, copies, parts, races, dropped caches. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void shows(const char *path, const char *want)
{
	size_t len;
	enum gh_status st;
	char *got = fixture_get(&f, f.admin, path, &len, &st);
	if (!want) {
		ck_assert_msg(st == GH_NOTFOUND, "%s: %s, want nothing there", path, gh_status_name(st));
	} else {
		ck_assert_msg(st == GH_OK, "%s: %s", path, gh_status_name(st));
		ck_assert_str_eq(got, want);
	}
	free(got);
}

static void is(enum gh_status got, enum gh_status want)
{
	ck_assert_msg(got == want, "got %s, want %s", gh_status_name(got), gh_status_name(want));
}

START_TEST(a_file_reads_back_what_was_written)
{
	is(put(f.admin, "/a.txt", "hello"), GH_OK);
	shows("/a.txt", "hello");
	is(put(f.admin, "/A.TXT", "again"), GH_OK);
	shows("/a.txt", "again");
	is(put(f.admin, "/empty", ""), GH_OK);
	shows("/empty", "");
}
END_TEST

START_TEST(a_large_file_goes_through_staging_and_reads_back)
{
	const size_t len = 9u << 20;
	char *data = malloc(len), *got;
	size_t got_len;
	enum gh_status st;
	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 2654435761u >> 24);
	is(fixture_put(&f, f.admin, "/big", data, len, 0, 0), GH_OK);
	got = fixture_get(&f, f.admin, "/big", &got_len, &st);
	is(st, GH_OK);
	ck_assert_uint_eq(got_len, len);
	ck_assert(memcmp(got, data, len) == 0);
	free(got);
	free(data);
}
END_TEST

START_TEST(missing_parents_and_wrong_kinds_are_told_apart)
{
	is(put(f.admin, "/no/file", "x"), GH_NOPARENT);
	is(op(VFS_MKDIR, f.admin, "/no/folder", NULL), GH_NOPARENT);
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/D", NULL), GH_EXISTS);
	is(put(f.admin, "/d", "x"), GH_ISDIR);
	is(put(f.admin, "/f", "x"), GH_OK);
	is(put(f.admin, "/f/below", "x"), GH_NOPARENT);
	is(op(VFS_STAT, f.admin, "/f/below", NULL), GH_NOTFOUND);
	is(op(VFS_LIST, f.admin, "/f", NULL), GH_NOTDIR);
	is(op(VFS_READ, f.admin, "/d", NULL), GH_ISDIR);
	is(fixture_do(&f, VFS_REMOVE, f.admin, "/d", NULL, VFS_ONLY_FILE), GH_ISDIR);
	is(op(VFS_REMOVE, f.admin, "/", NULL), GH_DENIED);
}
END_TEST

START_TEST(an_empty_folder_is_removed_and_a_full_one_is_kept)
{
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	is(put(f.admin, "/d/x", "x"), GH_OK);
	is(fixture_do(&f, VFS_REMOVE, f.admin, "/d", NULL, VFS_MUST_BE_EMPTY), GH_NOTEMPTY);
	is(op(VFS_REMOVE, f.admin, "/d/x", NULL), GH_OK);
	is(fixture_do(&f, VFS_REMOVE, f.admin, "/d", NULL, VFS_MUST_BE_EMPTY), GH_OK);
	is(op(VFS_STAT, f.admin, "/d", NULL), GH_NOTFOUND);
}
END_TEST

START_TEST(a_removed_tree_is_gone_with_all_below)
{
	is(op(VFS_MKDIR, f.admin, "/t", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/t/u", NULL), GH_OK);
	is(put(f.admin, "/t/u/x", "x"), GH_OK);
	shows("/t/u/x", "x");
	is(op(VFS_REMOVE, f.admin, "/t", NULL), GH_OK);
	shows("/t/u/x", NULL);
	is(put(f.admin, "/t/u/x", "x"), GH_NOPARENT);
}
END_TEST

START_TEST(a_moved_tree_takes_its_members_and_ids_along)
{
	is(op(VFS_MKDIR, f.admin, "/a", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/a/b", NULL), GH_OK);
	is(put(f.admin, "/a/b/x", "x"), GH_OK);
	struct vfs_req *r = fixture_req(&f, VFS_STAT, f.admin, "/a/b", NULL);
	is(fixture_run(&f, r), GH_OK);
	const uint64_t id = r->node.id;
	fixture_free(&f, &r);
	is(op(VFS_MOVE, f.admin, "/a", "/c"), GH_OK);
	shows("/a/b/x", NULL);
	shows("/c/b/x", "x");
	r = fixture_req(&f, VFS_STAT, f.admin, "/c/b", NULL);
	is(fixture_run(&f, r), GH_OK);
	ck_assert_uint_eq(r->node.id, id);
	fixture_free(&f, &r);
	is(op(VFS_MOVE, f.admin, "/c", "/c/b/c"), GH_LOOP);
	is(op(VFS_MOVE, f.admin, "/c/b", "/c"), GH_LOOP);
	is(op(VFS_MOVE, f.admin, "/c", "/c"), GH_SAMEFILE);
	is(op(VFS_MOVE, f.admin, "/c", "/no/c"), GH_NOPARENT);
}
END_TEST

START_TEST(a_file_moved_onto_a_file_keeps_the_targets_node)
{
	is(put(f.admin, "/doc", "old"), GH_OK);
	is(put(f.admin, "/tmp", "new"), GH_OK);
	struct vfs_req *r = fixture_req(&f, VFS_STAT, f.admin, "/doc", NULL);
	is(fixture_run(&f, r), GH_OK);
	const uint64_t id = r->node.id;
	fixture_free(&f, &r);
	is(fixture_do(&f, VFS_MOVE, f.admin, "/tmp", "/doc", VFS_NO_OVERWRITE), GH_PRECONDITION);
	is(op(VFS_MOVE, f.admin, "/tmp", "/doc"), GH_OK);
	shows("/tmp", NULL);
	shows("/doc", "new");
	r = fixture_req(&f, VFS_STAT, f.admin, "/doc", NULL);
	is(fixture_run(&f, r), GH_OK);
	ck_assert_uint_eq(r->node.id, id);
	fixture_free(&f, &r);
}
END_TEST

START_TEST(only_the_spelling_of_a_name_can_be_changed)
{
	is(put(f.admin, "/readme", "x"), GH_OK);
	is(op(VFS_MOVE, f.admin, "/readme", "/README"), GH_OK);
	struct vfs_req *r = fixture_req(&f, VFS_STAT, f.admin, "/readme", NULL);
	is(fixture_run(&f, r), GH_OK);
	ck_assert_str_eq(r->node.name, "README");
	fixture_free(&f, &r);
	is(op(VFS_MOVE, f.admin, "/readme", "/README"), GH_SAMEFILE);
}
END_TEST

START_TEST(a_folder_replaces_what_it_is_moved_onto)
{
	is(op(VFS_MKDIR, f.admin, "/from", NULL), GH_OK);
	is(put(f.admin, "/from/new", "new"), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/to", NULL), GH_OK);
	is(put(f.admin, "/to/old", "old"), GH_OK);
	is(op(VFS_MOVE, f.admin, "/from", "/to"), GH_OK);
	shows("/to/new", "new");
	shows("/to/old", NULL);
	is(put(f.admin, "/file", "file"), GH_OK);
	is(op(VFS_MOVE, f.admin, "/file", "/to"), GH_OK);
	shows("/to", "file");
}
END_TEST

START_TEST(a_copied_tree_is_whole_and_independent)
{
	char path[64], text[64];
	is(op(VFS_MKDIR, f.admin, "/src", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/src/sub", NULL), GH_OK);
	for (unsigned i = 0; i < 400; i++) { /* more than one page */
		snprintf(path, sizeof(path), "/src/sub/f%u", i);
		snprintf(text, sizeof(text), "text %u", i);
		is(put(f.admin, path, text), GH_OK);
	}
	is(op(VFS_COPY, f.admin, "/src", "/dst"), GH_OK);
	for (unsigned i = 0; i < 400; i += 7) {
		snprintf(path, sizeof(path), "/dst/sub/f%u", i);
		snprintf(text, sizeof(text), "text %u", i);
		shows(path, text);
	}
	is(put(f.admin, "/src/sub/f0", "changed"), GH_OK);
	is(op(VFS_REMOVE, f.admin, "/src/sub/f7", NULL), GH_OK);
	shows("/dst/sub/f0", "text 0");
	shows("/dst/sub/f7", "text 7");
	is(op(VFS_COPY, f.admin, "/src", "/src/sub/x"), GH_LOOP);
	is(fixture_do(&f, VFS_COPY, f.admin, "/src", "/shallow", VFS_SHALLOW), GH_OK);
	is(op(VFS_STAT, f.admin, "/shallow", NULL), GH_OK);
	is(op(VFS_STAT, f.admin, "/shallow/sub", NULL), GH_NOTFOUND);
}
END_TEST

START_TEST(appending_and_keeping_a_head_join_old_and_new_bytes)
{
	is(put(f.admin, "/byte", "abc"), GH_OK);
	is(fixture_put(&f, f.admin, "/byte", "", 0, VFS_KEEP_HEAD, 1), GH_OK);
	shows("/byte", "a");
	is(fixture_put(&f, f.admin, "/byte", "b", 1, VFS_APPEND, 0), GH_OK);
	shows("/byte", "ab");
	is(put(f.admin, "/log", "one,"), GH_OK);
	is(fixture_put(&f, f.admin, "/log", "two,", 4, VFS_APPEND, 0), GH_OK);
	is(fixture_put(&f, f.admin, "/log", "three", 5, VFS_APPEND, 0), GH_OK);
	shows("/log", "one,two,three");
	is(fixture_put(&f, f.admin, "/log", "X", 1, VFS_KEEP_HEAD, 6), GH_OK);
	shows("/log", "one,twX");
	is(fixture_put(&f, f.admin, "/log", "Y", 1, VFS_KEEP_HEAD, 99), GH_RANGE);
	is(fixture_put(&f, f.admin, "/log", "", 0, VFS_KEEP_HEAD, 3), GH_OK);
	shows("/log", "one");
	is(fixture_put(&f, f.admin, "/fresh", "abc", 3, VFS_APPEND, 0), GH_OK);
	shows("/fresh", "abc");
	is(op(VFS_COPY, f.admin, "/log", "/copy"), GH_OK);
	is(op(VFS_REMOVE, f.admin, "/log", NULL), GH_OK);
	shows("/copy", "one");
}
END_TEST

/* A small write whose begin memory could not decide, and whose commit takes the name for free at first. */
static enum gh_status put_unasked(const char *path, const char *text)
{
	node_cache_clear(f.core->nodes);
	is(op(VFS_STAT, f.admin, "/d", NULL), GH_OK); /* the parent alone is known */
	return fixture_put(&f, f.admin, path, text, strlen(text), VFS_UNASKED, 0);
}

START_TEST(a_write_whose_name_was_thought_free_finds_what_is_there)
{
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/d/folder", NULL), GH_OK);
	is(put_unasked("/d/a", "old"), GH_OK);
	is(put_unasked("/d/a", "new"), GH_OK);
	shows("/d/a", "new");
	ck_assert_uint_gt(atomic_load(&f.tenant->unlucky), 0); /* it was a guess, and it was wrong */
	for (unsigned i = 0; i < 2; i++) {
		atomic_store(&f.tenant->unlucky, i ? 9 : 0);
		is(put_unasked("/d/folder", "x"), GH_ISDIR);
		is(put_unasked("/d/a/below", "x"), GH_NOPARENT);
		is(put_unasked("/d/none/b", "x"), GH_NOPARENT);
	}
}
END_TEST

START_TEST(many_appends_stay_readable)
{
	size_t len;
	enum gh_status st;
	for (unsigned i = 0; i < 600; i++)
		is(fixture_put(&f, f.admin, "/many", "0123456789", 10, VFS_APPEND, 0), GH_OK);
	char *got = fixture_get(&f, f.admin, "/many", &len, &st);
	is(st, GH_OK);
	ck_assert_uint_eq(len, 6000);
	for (unsigned i = 0; i < len; i++)
		ck_assert_int_eq(got[i], '0' + (int)(i % 10));
	free(got);
}
END_TEST

/* ---- rights by effect ---- */

START_TEST(without_rights_nothing_exists)
{
	uint64_t id;
	struct vfs_session *bob = fixture_user(&f, "bob", &id);
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	is(put(f.admin, "/d/x", "x"), GH_OK);
	is(op(VFS_STAT, bob, "/d/x", NULL), GH_NOTFOUND);
	is(op(VFS_READ, bob, "/d/x", NULL), GH_NOTFOUND);
	is(op(VFS_REMOVE, bob, "/d/x", NULL), GH_NOTFOUND);
	is(put(bob, "/d/y", "y"), GH_NOPARENT);
	vfs_session_unref(&bob);
}
END_TEST

START_TEST(replacing_needs_write_and_removing_needs_delete_whatever_the_verb)
{
	uint64_t id;
	struct vfs_session *bob = fixture_user(&f, "bob", &id);
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	is(put(f.admin, "/d/x", "x"), GH_OK);
	is(put(f.admin, "/d/y", "y"), GH_OK);
	fixture_grant(&f, "/d", id, ACL_LIST | ACL_READ | ACL_CREATE, 0);
	is(put(bob, "/d/new", "new"), GH_OK);
	is(put(bob, "/d/x", "over"), GH_DENIED);
	is(fixture_put(&f, bob, "/d/x", "over", 4, VFS_APPEND, 0), GH_DENIED);
	is(op(VFS_REMOVE, bob, "/d/x", NULL), GH_DENIED);
	is(op(VFS_MOVE, bob, "/d/x", "/d/z"), GH_DENIED);
	is(op(VFS_COPY, bob, "/d/y", "/d/x"), GH_DENIED);
	is(op(VFS_COPY, bob, "/d/y", "/d/copy"), GH_OK);
	is(op(VFS_LOCK, bob, "/d/x", NULL), GH_DENIED);
	fixture_grant(&f, "/d", id, ACL_LIST | ACL_READ | ACL_CREATE | ACL_WRITE, 0);
	is(put(bob, "/d/x", "over"), GH_OK);
	is(op(VFS_MOVE, bob, "/d/x", "/d/y"), GH_DENIED);
	is(op(VFS_COPY, bob, "/d/y", "/d/x"), GH_OK);
	shows("/d/x", "y");
	vfs_session_unref(&bob);
}
END_TEST

START_TEST(a_member_that_refuses_keeps_the_whole_tree)
{
	uint64_t id;
	struct vfs_session *bob = fixture_user(&f, "bob", &id);
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/d/e", NULL), GH_OK);
	is(put(f.admin, "/d/e/secret", "s"), GH_OK);
	fixture_grant(&f, "/", id, ACL_FULL, 0);
	fixture_grant(&f, "/d/e/secret", id, 0, ACL_READ | ACL_DELETE);
	is(op(VFS_COPY, bob, "/d", "/copy"), GH_DENIED);
	is(op(VFS_MOVE, bob, "/d", "/moved"), GH_DENIED);
	is(op(VFS_REMOVE, bob, "/d", NULL), GH_DENIED);
	shows("/d/e/secret", "s");
	is(op(VFS_STAT, f.admin, "/copy", NULL), GH_NOTFOUND);
	vfs_session_unref(&bob);
}
END_TEST

START_TEST(entries_travel_with_a_moved_folder)
{
	uint64_t id;
	struct vfs_session *bob = fixture_user(&f, "bob", &id);
	is(op(VFS_MKDIR, f.admin, "/pub", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/priv", NULL), GH_OK);
	is(put(f.admin, "/priv/x", "x"), GH_OK);
	fixture_grant(&f, "/pub", id, ACL_FULL, 0);
	fixture_grant(&f, "/priv", id, 0, ACL_FULL);
	is(op(VFS_MOVE, f.admin, "/priv", "/pub/y"), GH_OK);
	is(op(VFS_READ, bob, "/pub/y/x", NULL), GH_NOTFOUND);
	is(op(VFS_READ, bob, "/priv/x", NULL), GH_NOTFOUND);
	vfs_session_unref(&bob);
}
END_TEST

START_TEST(a_folder_above_something_visible_can_be_walked_through)
{
	uint64_t id;
	struct vfs_session *bob = fixture_user(&f, "bob", &id);
	is(op(VFS_MKDIR, f.admin, "/top", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/top/mine", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/top/theirs", NULL), GH_OK);
	fixture_grant(&f, "/top/mine", id, ACL_FULL, 0);
	struct vfs_req *r = fixture_req(&f, VFS_STAT, bob, "/top", NULL);
	is(fixture_run(&f, r), GH_OK);
	ck_assert(r->node.navigable);
	fixture_free(&f, &r);
	r = fixture_req(&f, VFS_LIST, bob, "/top", NULL);
	is(fixture_run(&f, r), GH_OK);
	ck_assert_uint_eq(r->node_count, 1);
	ck_assert_str_eq(r->nodes[0].name, "mine");
	fixture_free(&f, &r);
	is(op(VFS_STAT, bob, "/top/theirs", NULL), GH_NOTFOUND);
	vfs_session_unref(&bob);
}
END_TEST

START_TEST(rights_taken_away_stop_a_write_between_begin_and_commit)
{
	uint64_t id;
	struct vfs_session *bob = fixture_user(&f, "bob", &id);
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	fixture_grant(&f, "/d", id, ACL_FULL, 0);
	struct vfs_req *r = fixture_req(&f, VFS_WRITE_BEGIN, bob, "/d/x", NULL);
	is(fixture_run(&f, r), GH_OK);
	struct vfs_upload *u;
	vfs_upload_take(r, &u);
	fixture_free(&f, &r);
	fixture_grant(&f, "/d", id, ACL_LIST, 0);
	r = fixture_req(&f, VFS_WRITE_COMMIT, bob, NULL, NULL);
	r->upload = u;
	is(fixture_run(&f, r), GH_DENIED);
	fixture_free(&f, &r);
	shows("/d/x", NULL);
	vfs_session_unref(&bob);
}
END_TEST

struct late {
	struct vfs_upload *u;
	enum gh_status st;
};

static void push_five(void *arg)
{
	struct late *l = arg;
	l->st = vfs_upload_push(l->u, "12345", 5, NULL, NULL);
}

/* Begin where memory holds nothing; `flags` and the length that is declared decide whether the store is asked. */
static enum gh_status begin_cold(struct vfs_session *s, const char *path, unsigned flags, uint64_t declared,
				 bool *ret_asked, struct vfs_upload **ret)
{
	node_cache_clear(f.core->nodes);
	struct vfs_req *r = fixture_req(&f, VFS_WRITE_BEGIN, s, path, NULL);
	r->flags = flags;
	r->declared = declared;
	const enum gh_status st = fixture_run(&f, r);
	*ret_asked = work_of(r)->may_block;
	if (st == GH_OK)
		vfs_upload_take(r, ret);
	fixture_free(&f, &r);
	return st;
}

static enum gh_status commit_five(struct vfs_session *s, struct vfs_upload *u)
{
	struct late l = { .u = u };
	fixture_on_loop(&f, push_five, &l);
	is(l.st, GH_OK);
	struct vfs_req *r = fixture_req(&f, VFS_WRITE_COMMIT, s, NULL, NULL);
	r->upload = u;
	const enum gh_status st = fixture_run(&f, r);
	fixture_free(&f, &r);
	return st;
}

START_TEST(a_small_write_is_decided_by_its_commit_where_memory_cannot)
{
	uint64_t id;
	struct vfs_session *bob = fixture_user(&f, "bob", &id);
	struct vfs_upload *u = NULL;
	bool asked;
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	is(begin_cold(bob, "/d/x", VFS_UNASKED, 5, &asked, &u), GH_OK);
	ck_assert(!asked);
	is(commit_five(bob, u), GH_NOPARENT);
	is(begin_cold(f.admin, "/d", VFS_UNASKED, 5, &asked, &u), GH_OK);
	is(commit_five(f.admin, u), GH_ISDIR);
	is(begin_cold(f.admin, "/d/x", VFS_UNASKED, 5, &asked, &u), GH_OK);
	ck_assert(!asked);
	is(commit_five(f.admin, u), GH_OK);
	shows("/d/x", "12345");
	/* too large to lie in memory, or with somebody who waits for the word: the store is asked */
	is(begin_cold(bob, "/d/y", VFS_UNASKED, 1 << 20, &asked, &u), GH_NOPARENT);
	ck_assert(asked);
	is(begin_cold(bob, "/d/y", 0, 5, &asked, &u), GH_NOPARENT);
	ck_assert(asked);
	vfs_session_unref(&bob);
}
END_TEST

/* ---- locks ---- */

static const char *take_lock(struct vfs_session *s, const char *path, bool deep, char *token, enum gh_status want)
{
	struct vfs_req *r = fixture_req(&f, VFS_LOCK, s, path, NULL);
	r->lock_exclusive = true;
	r->lock_deep = deep;
	r->lock_timeout_s = 600;
	is(fixture_run(&f, r), want);
	if (want == GH_OK)
		snprintf(token, 64, "%s", r->lock.token);
	fixture_free(&f, &r);
	return token;
}

static enum gh_status with_token(enum vfs_op o, struct vfs_session *s, const char *path, const char *dest,
				 const char *token)
{
	struct vfs_req *r = fixture_req(&f, o, s, path, dest);
	const char *tokens[] = { token };
	struct vfs_cond cond = { .token_count = 1, .tokens = tokens };
	r->cond = &cond;
	r->lock_token = token;
	const enum gh_status st = fixture_run(&f, r);
	fixture_free(&f, &r);
	return st;
}

START_TEST(a_lock_stops_everyone_without_its_token)
{
	char token[64];
	is(op(VFS_MKDIR, f.admin, "/d", NULL), GH_OK);
	is(put(f.admin, "/d/x", "x"), GH_OK);
	take_lock(f.admin, "/d/x", false, token, GH_OK);
	is(put(f.admin, "/d/x", "y"), GH_LOCKED);
	is(op(VFS_REMOVE, f.admin, "/d/x", NULL), GH_LOCKED);
	is(op(VFS_REMOVE, f.admin, "/d", NULL), GH_LOCKED);
	is(op(VFS_MOVE, f.admin, "/d", "/e"), GH_LOCKED);
	is(with_token(VFS_MOVE, f.admin, "/d", "/e", token), GH_OK);
	is(put(f.admin, "/e/x", "locks never travel"), GH_OK);
	is(with_token(VFS_UNLOCK, f.admin, "/e/x", NULL, token), GH_NOLOCK);
}
END_TEST

START_TEST(another_users_token_is_worth_nothing)
{
	uint64_t id;
	char token[64];
	struct vfs_session *bob = fixture_user(&f, "bob", &id);
	is(put(f.admin, "/x", "x"), GH_OK);
	fixture_grant(&f, "/", id, ACL_LIST | ACL_READ | ACL_WRITE | ACL_CREATE | ACL_DELETE, 0);
	take_lock(f.admin, "/x", false, token, GH_OK);
	is(with_token(VFS_REMOVE, bob, "/x", NULL, token), GH_LOCKED);
	is(with_token(VFS_UNLOCK, bob, "/x", NULL, token), GH_DENIED);
	is(with_token(VFS_REFRESH, bob, "/x", NULL, token), GH_PRECONDITION);
	is(with_token(VFS_REFRESH, f.admin, "/x", NULL, token), GH_OK);
	is(with_token(VFS_UNLOCK, f.admin, "/x", NULL, token), GH_OK);
	is(op(VFS_REMOVE, bob, "/x", NULL), GH_OK);
	vfs_session_unref(&bob);
}
END_TEST

START_TEST(a_deep_lock_covers_what_is_below_and_a_shallow_one_the_members)
{
	char deep[64], shallow[64], other[64];
	is(op(VFS_MKDIR, f.admin, "/deep", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/deep/sub", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/flat", NULL), GH_OK);
	is(put(f.admin, "/flat/x", "x"), GH_OK);
	take_lock(f.admin, "/deep", true, deep, GH_OK);
	is(put(f.admin, "/deep/sub/new", "x"), GH_LOCKED);
	take_lock(f.admin, "/deep/sub", false, other, GH_LOCKED);
	take_lock(f.admin, "/flat", false, shallow, GH_OK);
	is(put(f.admin, "/flat/new", "x"), GH_LOCKED);
	is(put(f.admin, "/flat/x", "y"), GH_OK);
	is(op(VFS_REMOVE, f.admin, "/flat/x", NULL), GH_LOCKED);
	take_lock(f.admin, "/", true, other, GH_LOCKED);
}
END_TEST

START_TEST(a_lock_on_an_unmapped_name_makes_an_empty_file)
{
	char token[64];
	take_lock(f.admin, "/new", false, token, GH_OK);
	shows("/new", "");
	is(put(f.admin, "/new", "x"), GH_LOCKED);
}
END_TEST

/* ---- conditions ---- */

START_TEST(conditions_are_exact)
{
	uint64_t version[] = { 0 };
	is(put(f.admin, "/x", "x"), GH_OK);
	struct vfs_req *r = fixture_req(&f, VFS_READ, f.admin, "/x", NULL);
	is(fixture_run(&f, r), GH_OK);
	version[0] = r->node.version;
	fixture_free(&f, &r);
	struct vfs_cond match = { .if_match = { .present = true, .count = 1, .versions = version } };
	struct vfs_cond none = { .if_none_match = { .present = true, .any = true } };
	struct vfs_cond same = { .if_none_match = { .present = true, .count = 1, .versions = version } };
	r = fixture_req(&f, VFS_WRITE_BEGIN, f.admin, "/x", NULL);
	r->cond = &none;
	is(fixture_run(&f, r), GH_PRECONDITION);
	fixture_free(&f, &r);
	r = fixture_req(&f, VFS_READ, f.admin, "/x", NULL);
	r->cond = &same;
	is(fixture_run(&f, r), GH_NOTMODIFIED);
	fixture_free(&f, &r);
	is(put(f.admin, "/x", "y"), GH_OK);
	r = fixture_req(&f, VFS_REMOVE, f.admin, "/x", NULL);
	r->cond = &match;
	is(fixture_run(&f, r), GH_PRECONDITION);
	fixture_free(&f, &r);
}
END_TEST

/* ---- races and caches ---- */

struct racer {
	pthread_t thread;
	unsigned number, won;
};

/* Every racer adds to one counter file by read, If-Match, write: no step may be lost. */
static void *count_up(void *arg)
{
	struct racer *me = arg;
	while (me->won < 20) {
		struct vfs_req *r = fixture_req(&f, VFS_READ, f.admin, "/counter", NULL);
		r->inline_max = 100;
		if (fixture_run(&f, r) != GH_OK)
			abort();
		char text[32];
		uint64_t version[] = { r->node.version };
		const int n = snprintf(text, sizeof(text), "%d", atoi(r->data) + 1);
		fixture_free(&f, &r);
		struct vfs_cond match = { .if_match = { .present = true, .count = 1, .versions = version } };
		r = fixture_req(&f, VFS_WRITE_BEGIN, f.admin, "/counter", NULL);
		r->cond = &match;
		struct vfs_upload *u = NULL;
		if (fixture_run(&f, r) == GH_OK)
			vfs_upload_take(r, &u);
		fixture_free(&f, &r);
		if (!u)
			continue;
		if (vfs_upload_push(u, text, (size_t)n, NULL, NULL) != GH_OK)
			abort();
		r = fixture_req(&f, VFS_WRITE_COMMIT, f.admin, NULL, NULL);
		r->upload = u;
		me->won += fixture_run(&f, r) == GH_OK;
		fixture_free(&f, &r);
	}
	return NULL;
}

START_TEST(conditional_writers_lose_no_step)
{
	struct racer racers[6] = { 0 };
	is(put(f.admin, "/counter", "0"), GH_OK);
	for (unsigned i = 0; i < 6; i++)
		pthread_create(&racers[i].thread, NULL, count_up, &racers[i]);
	for (unsigned i = 0; i < 6; i++)
		pthread_join(racers[i].thread, NULL);
	shows("/counter", "120");
}
END_TEST

static void *cross_move(void *arg)
{
	const bool first = arg != NULL;
	for (unsigned i = 0; i < 60; i++) {
		if (first) {
			op(VFS_MOVE, f.admin, "/a", "/b/a");
			op(VFS_MOVE, f.admin, "/b/a", "/a");
		} else {
			op(VFS_MOVE, f.admin, "/b", "/a/b");
			op(VFS_MOVE, f.admin, "/a/b", "/b");
		}
	}
	return NULL;
}

START_TEST(crossing_moves_make_no_cycle)
{
	pthread_t one, two;
	is(op(VFS_MKDIR, f.admin, "/a", NULL), GH_OK);
	is(op(VFS_MKDIR, f.admin, "/b", NULL), GH_OK);
	is(put(f.admin, "/a/x", "x"), GH_OK);
	is(put(f.admin, "/b/y", "y"), GH_OK);
	pthread_create(&one, NULL, cross_move, NULL);
	pthread_create(&two, NULL, cross_move, &f);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	/* both are found from the root, wherever they ended */
	const bool a_top = op(VFS_STAT, f.admin, "/a", NULL) == GH_OK, b_top = op(VFS_STAT, f.admin, "/b", NULL) == GH_OK;
	ck_assert(a_top || b_top);
	is(op(VFS_STAT, f.admin, a_top ? "/a/x" : "/b/a/x", NULL), GH_OK);
	is(op(VFS_STAT, f.admin, b_top ? "/b/y" : "/a/b/y", NULL), GH_OK);
}
END_TEST

struct quarrel {
	pthread_t thread;
	unsigned number, odd;
};

/* Whatever happens to the few names they all use, nobody is told that memory ran out. */
static void *quarrel_on(void *arg)
{
	struct quarrel *q = arg;
	for (unsigned i = 0; i < 150; i++) {
		char a[16], b[16];
		snprintf(a, sizeof(a), "/q%u", (q->number + i) % 3);
		snprintf(b, sizeof(b), "/q%u", (q->number + i + 1) % 3);
		const enum gh_status st[] = { put(f.admin, a, a), op(VFS_MOVE, f.admin, a, b), op(VFS_COPY, f.admin, b, a),
					      op(VFS_REMOVE, f.admin, b, NULL) };
		for (unsigned k = 0; k < 4; k++)
			q->odd += st[k] != GH_OK && st[k] != GH_NOTFOUND && st[k] != GH_CONFLICT;
	}
	return NULL;
}

START_TEST(many_retries_do_not_use_up_a_requests_memory)
{
	struct quarrel q[8] = { 0 };
	for (unsigned i = 0; i < 8; i++) {
		q[i].number = i;
		pthread_create(&q[i].thread, NULL, quarrel_on, &q[i]);
	}
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(q[i].thread, NULL);
		ck_assert_uint_eq(q[i].odd, 0);
	}
}
END_TEST

static atomic_bool dropping;

static void *drop_caches(void *arg)
{
	while (atomic_load(&dropping)) {
		node_cache_clear(f.core->nodes);
		tenant_drop_rights(f.tenant);
		tenant_drop_locks(f.tenant);
		const struct timespec nap = { 0, 300000 };
		nanosleep(&nap, NULL);
	}
	return arg;
}

START_TEST(caches_can_be_dropped_at_any_moment)
{
	pthread_t dropper;
	char path[32], text[32];
	atomic_store(&dropping, true);
	pthread_create(&dropper, NULL, drop_caches, NULL);
	is(op(VFS_MKDIR, f.admin, "/d0", NULL), GH_OK);
	for (unsigned i = 0; i < 150; i++) {
		snprintf(path, sizeof(path), "/d%u/f", i);
		snprintf(text, sizeof(text), "%u", i);
		is(put(f.admin, path, text), GH_OK);
		shows(path, text);
		char from[32], to[32];
		snprintf(from, sizeof(from), "/d%u", i);
		snprintf(to, sizeof(to), "/d%u", i + 1);
		is(op(VFS_MOVE, f.admin, from, to), GH_OK);
		shows(path, NULL);
		snprintf(path, sizeof(path), "/d%u/f", i + 1);
		shows(path, text);
	}
	atomic_store(&dropping, false);
	pthread_join(dropper, NULL);
}
END_TEST

static Suite *ops_suite(void)
{
	Suite *s = suite_create("core operations");
	TCase *t = tcase_create("ops");
	tcase_add_checked_fixture(t, open_house, close_house);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_file_reads_back_what_was_written);
	tcase_add_test(t, a_large_file_goes_through_staging_and_reads_back);
	tcase_add_test(t, missing_parents_and_wrong_kinds_are_told_apart);
	tcase_add_test(t, an_empty_folder_is_removed_and_a_full_one_is_kept);
	tcase_add_test(t, a_removed_tree_is_gone_with_all_below);
	tcase_add_test(t, a_moved_tree_takes_its_members_and_ids_along);
	tcase_add_test(t, a_file_moved_onto_a_file_keeps_the_targets_node);
	tcase_add_test(t, only_the_spelling_of_a_name_can_be_changed);
	tcase_add_test(t, a_folder_replaces_what_it_is_moved_onto);
	tcase_add_test(t, a_copied_tree_is_whole_and_independent);
	tcase_add_test(t, appending_and_keeping_a_head_join_old_and_new_bytes);
	tcase_add_test(t, a_write_whose_name_was_thought_free_finds_what_is_there);
	tcase_add_test(t, many_appends_stay_readable);
	tcase_add_test(t, without_rights_nothing_exists);
	tcase_add_test(t, replacing_needs_write_and_removing_needs_delete_whatever_the_verb);
	tcase_add_test(t, a_member_that_refuses_keeps_the_whole_tree);
	tcase_add_test(t, entries_travel_with_a_moved_folder);
	tcase_add_test(t, a_folder_above_something_visible_can_be_walked_through);
	tcase_add_test(t, rights_taken_away_stop_a_write_between_begin_and_commit);
	tcase_add_test(t, a_small_write_is_decided_by_its_commit_where_memory_cannot);
	tcase_add_test(t, a_lock_stops_everyone_without_its_token);
	tcase_add_test(t, another_users_token_is_worth_nothing);
	tcase_add_test(t, a_deep_lock_covers_what_is_below_and_a_shallow_one_the_members);
	tcase_add_test(t, a_lock_on_an_unmapped_name_makes_an_empty_file);
	tcase_add_test(t, conditions_are_exact);
	tcase_add_test(t, conditional_writers_lose_no_step);
	tcase_add_test(t, crossing_moves_make_no_cycle);
	tcase_add_test(t, many_retries_do_not_use_up_a_requests_memory);
	tcase_add_test(t, caches_can_be_dropped_at_any_moment);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(ops_suite());
	srunner_run_all(r, CK_ENV);
	const int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
