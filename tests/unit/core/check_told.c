/* What commits tell memory (core/outcome.h, core/node_cache.h): after each of many operations at random, every row and every
 * listing that memory has is the store's, field by field. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/metrics.h"
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

/* ---- comparing ---- */

static const char *const names[] = { "a", "B", "c" };
#define NAMES 3u

static void same_row(const struct meta_node *got, const struct meta_node *want, const char *where)
{
	ck_assert_msg(got->id == want->id, "%s: node", where);
	ck_assert_msg(got->parent == want->parent, "%s: parent", where);
	ck_assert_msg(got->type == want->type, "%s: type", where);
	ck_assert_str_eq(got->name, want->name);
	ck_assert_str_eq(got->key, want->key);
	ck_assert_msg(got->name_len == want->name_len && got->key_len == want->key_len, "%s: lengths", where);
	ck_assert_msg(got->owner == want->owner, "%s: owner", where);
	ck_assert_msg(got->version == want->version, "%s: version", where);
	ck_assert_msg(got->rev == want->rev, "%s: rev %u, not %u", where, (unsigned)got->rev, (unsigned)want->rev);
	ck_assert_msg(got->size == want->size, "%s: size", where);
	ck_assert_msg(got->made_us == want->made_us, "%s: made_us", where);
	ck_assert_msg(got->mtime_us == want->mtime_us, "%s: mtime_us", where);
	ck_assert_msg(got->has_props == want->has_props, "%s: has_props", where);
	ck_assert_msg(got->parts == want->parts, "%s: parts", where);
	ck_assert_msg(got->blob == want->blob, "%s: blob", where);
	ck_assert_msg(got->loc.len == want->loc.len && !memcmp(got->loc.bytes, want->loc.bytes, want->loc.len), "%s: loc", where);
	ck_assert_msg(got->crc == want->crc, "%s: crc", where);
}

struct comparing {
	struct gh_arena *arena;
	uint64_t folder;
	struct meta_page page; /* the store's */
	unsigned *found;
};

static const struct meta_node *member(const struct meta_page *page, const char *key)
{
	for (unsigned i = 0; i < page->count; i++)
		if (!strcmp(page->nodes[i].key, key))
			return &page->nodes[i];
	return NULL;
}

static void compare_on_loop(void *arg)
{
	struct comparing *c = arg;
	struct node_cache *nc = f.core->nodes;
	struct meta_page listing;
	for (unsigned i = 0; i < NAMES; i++) {
		char key[2] = { names[i][0] | 32, '\0' };
		const struct meta_node *want = member(&c->page, key);
		struct meta_node got;
		if (node_cache_get(nc, f.tenant->id, c->folder, key, 1, c->arena, &got) != GH_OK)
			continue;
		++*c->found;
		ck_assert_msg((got.id != 0) == (want != NULL), "%s is %s there", key, want ? "" : "not");
		if (want)
			same_row(&got, want, key);
	}
	if (node_cache_members(nc, f.tenant->id, c->folder, c->arena, &listing) != GH_OK)
		return;
	++*c->found;
	ck_assert_uint_eq(listing.count, c->page.count);
	for (unsigned i = 0; i < listing.count; i++)
		same_row(&listing.nodes[i], &c->page.nodes[i], "in a listing");
}

/* Of a folder and all below it, and of names that are not there. */
static void compare_below(struct gh_arena *a, uint64_t folder, unsigned *found)
{
	struct meta_call call = { .arena = a, .op = "test" };
	struct comparing c = { .arena = a, .folder = folder, .found = found };
	ck_assert_int_eq(meta_list(f.meta, &call, f.tenant->id, folder, "", 1000, &c.page), GH_OK);
	fixture_on_loop(&f, compare_on_loop, &c);
	for (unsigned i = 0; i < c.page.count; i++)
		if (c.page.nodes[i].type == META_FOLDER)
			compare_below(a, c.page.nodes[i].id, found);
}

/* How many looks memory answered. */
static unsigned compare(void)
{
	struct gh_arena *a = gh_arena_new(64 << 20);
	unsigned found = 0;
	compare_below(a, f.tenant->root, &found);
	gh_arena_free(&a);
	return found;
}

/* ---- operations at random ---- */

struct dice {
	uint64_t seed;
	char path[32], dest[32];
};

static unsigned roll(struct dice *d, unsigned below)
{
	d->seed = d->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(d->seed >> 33) % below;
}

static void some_path(struct dice *d, char *to)
{
	const unsigned depth = 1 + roll(d, 3);
	*to = '\0';
	for (unsigned i = 0; i < depth; i++) {
		const char c = names[roll(d, NAMES)][0];
		sprintf(to + strlen(to), "/%c", roll(d, 4) ? c : c ^ 32);
	}
}

static enum gh_status set_props(struct dice *d)
{
	struct vfs_req *r = fixture_req(&f, VFS_SET_PROPS, f.admin, d->path, NULL);
	struct vfs_prop_change changes[2];
	for (unsigned i = 0; i < 2; i++)
		changes[i] = (struct vfs_prop_change){ .remove = roll(d, 2), .prop = { "ns:", roll(d, 2) ? "x" : "y", "1", "" } };
	r->changes = changes;
	r->change_count = 1 + roll(d, 2);
	const enum gh_status st = fixture_run(&f, r);
	fixture_free(&f, &r);
	return st;
}

static enum gh_status set_times(struct dice *d)
{
	struct vfs_req *r = fixture_req(&f, VFS_SET_TIMES, f.admin, d->path, NULL);
	r->mtime_us = 1000000 + roll(d, 1000);
	const enum gh_status st = fixture_run(&f, r);
	fixture_free(&f, &r);
	return st;
}

static enum gh_status unlock(const char *path, const char *token)
{
	struct vfs_req *r = fixture_req(&f, VFS_UNLOCK, f.admin, path, NULL);
	r->lock_token = token;
	const enum gh_status st = fixture_run(&f, r);
	fixture_free(&f, &r);
	return st;
}

/* And unlocks at once, so that nothing is in the way of what comes; again, where others keep moving what is above it. */
static enum gh_status lock(struct dice *d)
{
	struct vfs_req *r = fixture_req(&f, VFS_LOCK, f.admin, d->path, NULL);
	r->lock_exclusive = true;
	enum gh_status st = fixture_run(&f, r), un = GH_CONFLICT;
	while (st == GH_OK && un == GH_CONFLICT)
		un = unlock(d->path, r->lock.token);
	ck_assert(st != GH_OK || un == GH_OK);
	fixture_free(&f, &r);
	return st;
}

static enum gh_status write_some(struct dice *d, unsigned flags, uint64_t offset)
{
	const unsigned len = roll(d, 4) * 10;
	return fixture_put(&f, f.admin, d->path, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", len, flags, offset);
}

static enum gh_status something(struct dice *d)
{
	some_path(d, d->path);
	some_path(d, d->dest);
	switch (roll(d, 16)) {
	case 0:
	case 1:
	case 2:
		return write_some(d, 0, 0);
	case 3:
		return write_some(d, VFS_APPEND, 0);
	case 4:
		return write_some(d, VFS_KEEP_HEAD, roll(d, 12));
	case 5:
	case 6:
		return fixture_do(&f, VFS_MKDIR, f.admin, d->path, NULL, 0);
	case 7:
		return fixture_do(&f, VFS_REMOVE, f.admin, d->path, NULL, roll(d, 2) ? VFS_MUST_BE_EMPTY : 0);
	case 8:
	case 9:
		return fixture_do(&f, VFS_MOVE, f.admin, d->path, d->dest, 0);
	case 10:
		return fixture_do(&f, VFS_COPY, f.admin, d->path, d->dest, roll(d, 2) ? VFS_SHALLOW : 0);
	case 11:
		return set_props(d);
	case 12:
		return set_times(d);
	case 13:
		return lock(d);
	case 14:
		return fixture_do(&f, VFS_STAT, f.admin, d->path, NULL, 0);
	}
	return fixture_do(&f, VFS_LIST, f.admin, d->path, NULL, 0);
}

START_TEST(memory_is_the_store_after_every_operation)
{
	struct dice d = { .seed = 20261126u + (unsigned)_i };
	unsigned found = 0, done = 0;
	const int64_t told = gh_metric_get(GH_M_NODE_CACHE, 4);
	for (unsigned i = 0; i < 600; i++) {
		if (something(&d) == GH_OK)
			done++;
		found += compare();
		if (i % 200 == 199)
			node_cache_clear(f.core->nodes);
	}
	ck_assert_uint_gt(done, 90);
	ck_assert_uint_gt(found, 2000);
	ck_assert_int_gt(gh_metric_get(GH_M_NODE_CACHE, 4) - told, 100);
}
END_TEST

/* ---- one operation, and what memory knows after it ---- */

static void is(enum gh_status got, enum gh_status want)
{
	ck_assert_msg(got == want, "got %s, want %s", gh_status_name(got), gh_status_name(want));
}

static enum gh_status op(enum vfs_op o, const char *path, const char *dest)
{
	return fixture_do(&f, o, f.admin, path, dest, 0);
}

static enum gh_status put(const char *path, const char *text)
{
	return fixture_put(&f, f.admin, path, text, strlen(text), 0, 0);
}

/* A look at it needs no worker, but for rights, which folders that go drop. */
static void in_memory(const char *path, enum gh_status want)
{
	is(op(VFS_STAT, "/", NULL), GH_OK);
	const int64_t before = gh_metric_get(GH_M_FASTPATH, 1);
	is(op(VFS_STAT, path, NULL), want);
	ck_assert_msg(gh_metric_get(GH_M_FASTPATH, 1) == before, "%s is not in memory", path);
}

START_TEST(what_was_written_is_in_memory)
{
	is(op(VFS_MKDIR, "/d", NULL), GH_OK);
	in_memory("/d", GH_OK);
	is(put("/d/a", "one"), GH_OK);
	in_memory("/d/a", GH_OK);
	is(put("/d/A", "two"), GH_OK);
	in_memory("/d/a", GH_OK);
	is(op(VFS_MOVE, "/d/a", "/d/b"), GH_OK);
	in_memory("/d/a", GH_NOTFOUND);
	in_memory("/d/b", GH_OK);
	is(op(VFS_MOVE, "/d/b", "/d/B"), GH_OK);
	in_memory("/d/b", GH_OK);
	is(op(VFS_COPY, "/d/b", "/d/c"), GH_OK);
	in_memory("/d/b", GH_OK);
	in_memory("/d/c", GH_OK);
	is(op(VFS_MOVE, "/d/b", "/d/c"), GH_OK); /* onto another */
	in_memory("/d/b", GH_NOTFOUND);
	in_memory("/d/c", GH_OK);
	is(op(VFS_REMOVE, "/d/c", NULL), GH_OK);
	in_memory("/d/c", GH_NOTFOUND);
	ck_assert_uint_ge(compare(), 3);
}
END_TEST

START_TEST(a_folder_made_again_is_another)
{
	is(op(VFS_MKDIR, "/d", NULL), GH_OK);
	is(put("/d/a", "one"), GH_OK);
	is(op(VFS_MOVE, "/d", "/e"), GH_OK);
	in_memory("/e/a", GH_OK);
	is(op(VFS_MKDIR, "/d", NULL), GH_OK);
	is(op(VFS_STAT, "/d/a", NULL), GH_NOTFOUND);
	is(op(VFS_REMOVE, "/e", NULL), GH_OK);
	in_memory("/e/a", GH_NOTFOUND);
	is(op(VFS_MKDIR, "/e", NULL), GH_OK);
	is(op(VFS_STAT, "/e/a", NULL), GH_NOTFOUND);
	is(op(VFS_MOVE, "/d", "/e"), GH_OK); /* over the other */
	in_memory("/d", GH_NOTFOUND);
	compare();
}
END_TEST

/* ---- many at once ---- */

static void *do_things(void *arg)
{
	struct dice d = { .seed = (uintptr_t)arg };
	for (unsigned i = 0; i < 250; i++)
		(void)something(&d);
	return NULL;
}

START_TEST(memory_is_the_store_when_all_have_come_home)
{
	pthread_t t[4];
	for (uintptr_t round = 0; round < 4; round++) {
		for (uintptr_t i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, do_things, (void *)(100 * round + i));
		for (unsigned i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		fixture_wait_quiet(&f);
		compare();
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("core/told");
	TCase *t = tcase_create("told");
	tcase_add_checked_fixture(t, open_house, close_house);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, memory_is_the_store_after_every_operation, 0, 4);
	tcase_add_test(t, what_was_written_is_in_memory);
	tcase_add_test(t, a_folder_made_again_is_another);
	tcase_add_test(t, memory_is_the_store_when_all_have_come_home);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	const int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
