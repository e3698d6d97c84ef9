/* The event feed over a real house: readers with different rights follow a tree that changes all the time, each at its own
 * pace, carrying out what they are told; whenever one has caught up, it knows exactly what listings show it. Halls are
 * dropped in between. A folder that one of them may never see wanders about, and is never told of. */
#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/feed_room.h"
#include "tests/unit/core/fixture.h"

enum { READERS = 4, PATHS = 200, PATH = 200, STEPS = 500 };

struct reader {
	struct vfs_session *s;
	uint64_t user;
	char cursor[VFS_CURSOR_LEN + 1];
	unsigned count;
	char path[PATHS][PATH];
	uint64_t id[PATHS]; /* of the node there; 0: not known */
	unsigned told, whole; /* words; of which: look at everything */
};

static struct house_fixture f;
static struct reader reader[READERS];
static uint64_t rng;

static unsigned roll(unsigned n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng >> 33) % n;
}

static void setup(void)
{
	static const char *const names[READERS] = { "", "ann", "bob", "carl" };

	memset(reader, 0, sizeof(reader));
	fixture_open(&f);
	ck_assert_int_eq(feeds_start(f.core), GH_OK);
	reader[0].s = f.admin;
	for (unsigned i = 1; i < READERS; i++)
		reader[i].s = fixture_user(&f, names[i], &reader[i].user);
}

static void teardown(void)
{
	for (unsigned i = 1; i < READERS; i++)
		vfs_session_unref(&reader[i].s);
	fixture_close(&f);
}

/* ---- a reader ---- */

static bool lies_in(const char *path, const char *root)
{
	const size_t n = strlen(root);

	return n == 1 || (!strncmp(path, root, n) && (path[n] == '/' || !path[n]));
}

static int find(const struct reader *r, const char *path)
{
	for (unsigned i = 0; i < r->count; i++)
		if (!strcmp(r->path[i], path))
			return (int)i;
	return -1;
}

static bool knows(const struct reader *r, const char *path)
{
	return find(r, path) >= 0;
}

static bool is_there(const struct reader *r, const char *path, uint64_t id)
{
	const int i = find(r, path);

	return i >= 0 && r->id[i] == id;
}

static void learn(struct reader *r, const char *path, uint64_t id)
{
	ck_assert(r->count < PATHS);
	if (knows(r, path))
		return;
	r->id[r->count] = id;
	snprintf(r->path[r->count++], PATH, "%s", path);
}

static void forget(struct reader *r, const char *path)
{
	for (unsigned i = 0; i < r->count;)
		if (lies_in(r->path[i], path)) {
			r->id[i] = r->id[--r->count];
			memmove(r->path[i], r->path[r->count], PATH);
		} else {
			i++;
		}
}

static void rename_all(struct reader *r, const char *path, const char *dest)
{
	struct reader was = *r;

	forget(r, path);
	forget(r, dest);
	for (unsigned i = 0; i < was.count; i++) {
		char p[2 * PATH];

		if (!lies_in(was.path[i], path))
			continue;
		snprintf(p, sizeof(p), "%s%s", dest, was.path[i] + strlen(path));
		learn(r, p, was.id[i]);
	}
}

/* What listings lead to. */
static void walk(struct reader *into, struct vfs_session *s, const char *path)
{
	struct vfs_req *r = fixture_req(&f, VFS_LIST, s, path, NULL);

	if (fixture_run(&f, r) == GH_OK)
		for (unsigned i = 0; i < r->node_count; i++) {
			char p[PATH];

			snprintf(p, sizeof(p), "%s/%s", strcmp(path, "/") ? path : "", r->nodes[i].name);
			learn(into, p, r->nodes[i].navigable ? 0 : r->nodes[i].id);
			if (r->nodes[i].type == VFS_FOLDER)
				walk(into, s, p);
		}
	fixture_free(&f, &r);
}

static void look(struct reader *r, const char *path)
{
	struct reader all = { 0 };

	walk(&all, r->s, "/");
	forget(r, path);
	for (unsigned i = 0; i < all.count; i++)
		if (lies_in(all.path[i], path))
			learn(r, all.path[i], all.id[i]);
}

/* What was told may have been listed already: a listing shows what is, not what was at the cursor. */
static void move(struct reader *r, const struct vfs_feed_item *it)
{
	const bool here = is_there(r, it->path, it->node);

	if (is_there(r, it->dest, it->node)) {
		if (here && strcmp(it->path, it->dest) != 0)
			forget(r, it->path);
	} else if (here) {
		rename_all(r, it->path, it->dest);
	} else { /* newer, or a file that was moved onto a file, which keeps its node */
		look(r, it->dest);
		look(r, it->path);
	}
}

static void carry_out(struct reader *r, const struct vfs_feed_item *it)
{
	r->told++;
	ck_assert_msg(r != &reader[1] || (!strstr(it->path, "hid") && (!it->dest || !strstr(it->dest, "hid"))),
		      "told of %s", it->path);
	switch (it->word) {
	case VFS_FEED_CREATED:
		if (knows(r, it->path) && !is_there(r, it->path, it->node))
			look(r, it->path);
		else
			learn(r, it->path, it->node);
		break;
	case VFS_FEED_CHANGED:
		break;
	case VFS_FEED_MOVED:
		move(r, it);
		break;
	case VFS_FEED_GONE:
		forget(r, it->path);
		break;
	case VFS_FEED_RESYNC:
		r->whole += !strcmp(it->path, "/");
		look(r, it->path);
		break;
	}
}

/* One answer; how many words. */
static unsigned follow(struct reader *r, unsigned limit)
{
	struct vfs_req *q = fixture_req(&f, VFS_EVENTS, r->s, "/", NULL);
	unsigned n;

	q->cursor = r->cursor;
	q->limit = limit;
	ck_assert_int_eq(fixture_run(&f, q), GH_OK);
	n = q->feed_count;
	for (unsigned i = 0; i < q->run_count; i++)
		for (unsigned k = 0; k < q->runs[i].count; k++)
			carry_out(r, q->runs[i].items[k]);
	strcpy(r->cursor, q->feed_next);
	fixture_free(&f, &q);
	return n;
}

static void catch_up(struct reader *r, unsigned limit)
{
	while (follow(r, limit))
		;
}

static void knows_what_is_shown(struct reader *r)
{
	struct reader all = { 0 };

	walk(&all, r->s, "/");
	for (unsigned i = 0; i < all.count; i++)
		ck_assert_msg(knows(r, all.path[i]), "reader %td does not know of %s", r - reader, all.path[i]);
	for (unsigned i = 0; i < r->count; i++)
		ck_assert_msg(knows(&all, r->path[i]), "reader %td still knows of %s", r - reader, r->path[i]);
}

static void begin(struct reader *r)
{
	r->cursor[0] = '\0';
	ck_assert_uint_eq(follow(r, 0), 0);
	ck_assert_uint_eq(strlen(r->cursor), VFS_CURSOR_LEN);
	look(r, "/");
}

/* ---- what happens ---- */

static const char *random_path(char *out)
{
	const struct reader *all = &reader[0];

	snprintf(out, PATH, "%s", all->count ? all->path[roll(all->count)] : "");
	if (!roll(4))
		out[0] = '\0';
	return out;
}

static void happen(void)
{
	char path[PATH], dest[PATH], parent[PATH];
	const char key = "abc"[roll(3)];

	random_path(path);
	random_path(parent);
	switch (roll(9)) {
	case 0: case 1:
		snprintf(dest, sizeof(dest), "%.180s/%c", parent, key);
		if (strlen(dest) < 14 || strstr(dest, "hid"))
			(void)fixture_do(&f, VFS_MKDIR, f.admin, dest, NULL, 0);
		break;
	case 2: case 3:
		snprintf(dest, sizeof(dest), "%.180s/%c.txt", parent, key);
		(void)fixture_put(&f, f.admin, dest, "x", 1, 0, 0);
		break;
	case 4:
		if (*path && roll(2) && !strstr(path, "/hid"))
			(void)fixture_do(&f, VFS_REMOVE, f.admin, path, NULL, 0);
		break;
	case 5: case 6: {
		const char *last = strrchr(path, '/');
		const bool hid = last && !strcmp(last, "/hid");

		snprintf(dest, sizeof(dest), "%.180s/%s", parent, hid ? "hid" : (char[]){ key, '\0' });
		if (*path && strlen(dest) < 16 && (hid || !strstr(path, "/hid")) && !strstr(dest, "/hid/hid"))
			(void)fixture_do(&f, VFS_MOVE, f.admin, path, dest, 0);
		break;
	}
	case 7:
		snprintf(dest, sizeof(dest), "%.180s/%c", parent, key);
		if (*path && strlen(dest) < 14 && !strstr(path, "hid") && reader[0].count < 60)
			(void)fixture_do(&f, VFS_COPY, f.admin, path, dest, 0);
		break;
	default:
		if (!roll(2) && !strstr(path, "hid"))
			fixture_grant(&f, *path ? path : "/", reader[1 + roll(READERS - 1)].user, roll(ACL_FULL + 1),
				      roll(3) ? 0 : ACL_LIST | ACL_READ);
		break;
	}
}

static void drop_hall(void)
{
	struct feed_hall *h = atomic_load(&f.tenant->feed);

	pthread_mutex_lock(&h->load);
	pthread_mutex_lock(&h->lock);
	feed_hall_forget(h);
	pthread_mutex_unlock(&h->lock);
	pthread_mutex_unlock(&h->load);
}

static void follow_at_random(uint64_t seed, bool drops)
{
	unsigned told = 0;

	rng = 0x9e3779b97f4a7c15ull * (seed + 1);
	fixture_grant(&f, "/", reader[2].user, ACL_LIST | ACL_READ, 0);
	ck_assert_int_eq(fixture_do(&f, VFS_MKDIR, f.admin, "/hid", NULL, 0), GH_OK);
	fixture_grant(&f, "/hid", reader[1].user, 0, ACL_FULL);
	for (unsigned i = 0; i < READERS; i++)
		begin(&reader[i]);
	for (unsigned i = 0; i < STEPS; i++) {
		struct reader *r = &reader[roll(READERS)];

		happen();
		catch_up(&reader[0], 0); /* the owner's knowledge is what steps are made of */
		if (drops && !roll(25))
			drop_hall();
		if (roll(4))
			continue;
		catch_up(r, 1 + roll(20));
		knows_what_is_shown(r);
	}
	for (unsigned i = 0; i < READERS; i++) {
		catch_up(&reader[i], 0);
		knows_what_is_shown(&reader[i]);
		told += reader[i].told;
	}
	ck_assert_uint_gt(told, STEPS / 4);
}

START_TEST(readers_know_what_they_are_shown_at_any_pace)
{
	unsigned told = 0, whole = 0;

	follow_at_random((uint64_t)_i, false);
	for (unsigned i = 0; i < READERS; i++) {
		told += reader[i].told;
		whole += reader[i].whole;
	}
	ck_assert_uint_eq(reader[0].whole, 0); /* who may see everything never has to look at everything */
	ck_assert_msg(whole * 4 < told, "%u of %u words were to look at everything", whole, told);
}
END_TEST

START_TEST(what_is_dropped_from_memory_changes_no_answer)
{
	follow_at_random((uint64_t)_i + 100, true);
}
END_TEST

START_TEST(a_move_across_a_border_of_rights_is_gone_or_comes)
{
	struct reader *ann = &reader[1], *bob = &reader[2];

	ck_assert_int_eq(fixture_do(&f, VFS_MKDIR, f.admin, "/in", NULL, 0), GH_OK);
	ck_assert_int_eq(fixture_do(&f, VFS_MKDIR, f.admin, "/out", NULL, 0), GH_OK);
	fixture_grant(&f, "/in", ann->user, ACL_LIST | ACL_READ, 0);
	fixture_grant(&f, "/out", bob->user, ACL_LIST | ACL_READ, 0);
	begin(ann);
	begin(bob);
	ck_assert_int_eq(fixture_put(&f, f.admin, "/in/a", "x", 1, 0, 0), GH_OK);
	ck_assert_int_eq(fixture_do(&f, VFS_MOVE, f.admin, "/in/a", "/out/b", 0), GH_OK);
	ck_assert_uint_eq(follow(ann, 0), 2); /* created, gone */
	ck_assert_uint_eq(follow(bob, 0), 1);
	ck_assert(!knows(ann, "/in/a") && !knows(ann, "/out") && knows(bob, "/out/b") && !knows(bob, "/in"));
	ck_assert_uint_eq(ann->whole + bob->whole, 0);
}
END_TEST

START_TEST(what_was_hidden_stays_hidden_when_it_has_moved_away)
{
	struct reader *ann = &reader[1];

	ck_assert_int_eq(fixture_do(&f, VFS_MKDIR, f.admin, "/open", NULL, 0), GH_OK);
	fixture_grant(&f, "/open", ann->user, ACL_LIST | ACL_READ, 0);
	ck_assert_int_eq(fixture_do(&f, VFS_MKDIR, f.admin, "/open/hid", NULL, 0), GH_OK);
	fixture_grant(&f, "/open/hid", ann->user, 0, ACL_FULL);
	begin(ann);
	ck_assert_int_eq(fixture_put(&f, f.admin, "/open/hid/name", "x", 1, 0, 0), GH_OK);
	ck_assert_int_eq(fixture_do(&f, VFS_MOVE, f.admin, "/open/hid", "/elsewhere-hid", 0), GH_OK);
	ck_assert_int_eq(fixture_put(&f, f.admin, "/open/b", "x", 1, 0, 0), GH_OK);
	catch_up(ann, 0);
	ck_assert(knows(ann, "/open/b"));
	ck_assert_uint_eq(ann->whole, 0);
	drop_hall(); /* nor for one who comes later, when the rights of that time are known no more */
	begin(ann);
	catch_up(ann, 0);
}
END_TEST

/* ---- cursors ---- */

START_TEST(a_cursor_is_taken_whole_by_its_tenant_alone)
{
	const struct meta_cursor at = { 0x1122334455667788ull, 42, UINT64_MAX };
	struct meta_cursor back;
	char text[VFS_CURSOR_LEN + 1];

	feed_cursor_write(text, 7, &at);
	ck_assert(feed_cursor_read(text, 7, &back));
	ck_assert_mem_eq(&at, &back, sizeof(at));
	ck_assert(!feed_cursor_read(text, 8, &back));
	for (unsigned i = 0; i < VFS_CURSOR_LEN; i++) {
		const char was = text[i];

		text[i] = was == '3' ? '4' : '3';
		ck_assert(!feed_cursor_read(text, 7, &back));
		text[i] = was == 'f' ? 'F' : 'g';
		ck_assert(!feed_cursor_read(text, 7, &back));
		text[i] = '\0';
		ck_assert(!feed_cursor_read(text, 7, &back));
		text[i] = was;
	}
}
END_TEST

static enum gh_status status_behind(struct reader *r, const char *cursor)
{
	struct vfs_req *q = fixture_req(&f, VFS_EVENTS, r->s, "/", NULL);
	enum gh_status st;

	q->cursor = cursor;
	st = fixture_run(&f, q);
	fixture_free(&f, &q);
	return st;
}

START_TEST(a_cursor_is_refused_once_the_log_was_dropped_behind_it)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct meta_call call = { .arena = a, .op = "test" };
	struct reader *r = &reader[0];

	begin(r);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(fixture_put(&f, f.admin, "/a", "x", 1, 0, 0), GH_OK);
	ck_assert_int_eq(status_behind(r, r->cursor), GH_OK);
	ck_assert_int_eq(meta_events_fold(f.meta, &call, INT64_MAX), GH_OK);
	ck_assert_int_eq(status_behind(r, r->cursor), GH_OK); /* memory still has it */
	drop_hall();
	ck_assert_int_eq(status_behind(r, r->cursor), GH_NOTFOUND);
	begin(r);
	ck_assert_int_eq(fixture_put(&f, f.admin, "/b", "x", 1, 0, 0), GH_OK);
	ck_assert_uint_eq(follow(r, 0), 1);
	gh_arena_free(&a);
}
END_TEST

/* ---- waiting ---- */

struct waiting {
	struct reader *r;
	struct vfs_watch *watch;
	enum gh_status st;
	sem_t woken;
	bool ended;
};

static void woken(void *arg)
{
	sem_post(&((struct waiting *)arg)->woken);
}

static void wait_begin(void *arg)
{
	struct waiting *w = arg;

	w->st = vfs_watch_begin(f.core, f.loop, w->r->s, w->r->cursor, woken, w, &w->watch);
}

static void wait_end(void *arg)
{
	vfs_watch_end(&((struct waiting *)arg)->watch);
}

static bool comes(struct waiting *w, unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000l;
	if (t.tv_nsec >= 1000000000l) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000l;
	}
	return sem_timedwait(&w->woken, &t) == 0;
}

START_TEST(a_commit_wakes_those_whom_it_concerns)
{
	struct waiting owner = { .r = &reader[0] }, ann = { .r = &reader[1] };

	sem_init(&owner.woken, 0, 0);
	sem_init(&ann.woken, 0, 0);
	ck_assert_int_eq(fixture_do(&f, VFS_MKDIR, f.admin, "/in", NULL, 0), GH_OK);
	fixture_grant(&f, "/in", ann.r->user, ACL_LIST | ACL_READ, 0);
	begin(owner.r);
	begin(ann.r);
	fixture_on_loop(&f, wait_begin, &owner);
	fixture_on_loop(&f, wait_begin, &ann);
	ck_assert_int_eq(owner.st, GH_OK);
	ck_assert_int_eq(ann.st, GH_OK);
	ck_assert_int_eq(fixture_put(&f, f.admin, "/x", "x", 1, 0, 0), GH_OK);
	ck_assert(comes(&owner, 5000));
	ck_assert(!comes(&ann, 200)); /* none of her business */
	ck_assert_uint_eq(follow(owner.r, 0), 1);
	ck_assert_int_eq(fixture_put(&f, f.admin, "/in/x", "x", 1, 0, 0), GH_OK);
	ck_assert(comes(&ann, 5000));
	ck_assert_uint_eq(follow(ann.r, 0), 1);
	fixture_on_loop(&f, wait_end, &owner);
	fixture_on_loop(&f, wait_end, &ann);
	/* What has happened since the cursor is not waited for. */
	ck_assert_int_eq(fixture_put(&f, f.admin, "/in/y", "x", 1, 0, 0), GH_OK);
	fixture_on_loop(&f, wait_begin, &ann);
	ck_assert(ann.st == GH_AGAIN || comes(&ann, 5000));
	fixture_on_loop(&f, wait_end, &ann);
	sem_destroy(&owner.woken);
	sem_destroy(&ann.woken);
}
END_TEST

START_TEST(an_answer_parts_no_event_and_keeps_the_limit)
{
	struct reader *r = &reader[0];
	unsigned n, answers = 0, all = 0;

	begin(r);
	for (unsigned i = 0; i < 30; i++) {
		char path[20];

		snprintf(path, sizeof(path), "/n%u", i);
		ck_assert_int_eq(fixture_put(&f, f.admin, path, "x", 1, 0, 0), GH_OK);
	}
	for (; (n = follow(r, 7)); answers++, all += n)
		ck_assert_uint_le(n, 7);
	ck_assert_uint_eq(all, 30);
	ck_assert_uint_eq(answers, 5);
	knows_what_is_shown(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("feed");
	TCase *t = tcase_create("feed");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, readers_know_what_they_are_shown_at_any_pace, 0, 3);
	tcase_add_loop_test(t, what_is_dropped_from_memory_changes_no_answer, 0, 2);
	tcase_add_test(t, a_move_across_a_border_of_rights_is_gone_or_comes);
	tcase_add_test(t, what_was_hidden_stays_hidden_when_it_has_moved_away);
	tcase_add_test(t, a_cursor_is_taken_whole_by_its_tenant_alone);
	tcase_add_test(t, a_cursor_is_refused_once_the_log_was_dropped_behind_it);
	tcase_add_test(t, a_commit_wakes_those_whom_it_concerns);
	tcase_add_test(t, an_answer_parts_no_event_and_keeps_the_limit);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
