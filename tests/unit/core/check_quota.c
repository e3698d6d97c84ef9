/* Limits at run time: many threads at one account, limits that come and go under them, what is kept for uploads, whose
 * a file is, leases that idle, and what the unlimited pay. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/quota_room.h"
#include "core/upload.h"
#include "tests/unit/core/fixture.h"

#define SIZE 1000u
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define UNLIMITED_NS 1000u /* every load is looked at */
#else
#define UNLIMITED_NS 100u
#endif

static struct house_fixture f;

static void is(enum gh_status got, enum gh_status want)
{
	ck_assert_msg(got == want, "got %s, want %s", gh_status_name(got), gh_status_name(want));
}

static void open_house(void)
{
	fixture_open(&f);
}

static void close_house(void)
{
	fixture_close(&f);
}

/* As control_limit.c does it. */
static void limit(uint64_t user, enum quota_kind k, uint64_t to)
{
	struct quota_limits l = quota_limits_of(f.tenant, user);
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct meta_step steps[] = { { .kind = META_RIGHTS_EPOCH }, { .kind = META_OWNED_COUNT, .n = user } };

	l.of[k] = to;
	is(quota_limits_set(f.core, f.tenant, user, &l), GH_OK);
	is(house_commit(f.core, a, f.tenant, "test", "limit.set", "", steps, user ? 2 : 1), GH_OK);
	gh_arena_free(&a);
}

static struct meta_quota_books books(uint64_t user)
{
	const struct meta_quota_ask ask = { .tenant = f.tenant->id, .user = user, .month = quota_month_now() };
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct meta_call call = { .arena = a, .op = "test" };
	struct meta_quota_books b;

	is(meta_quota_books(f.meta, &call, &ask, &b), GH_OK);
	gh_arena_free(&a);
	return b;
}

static enum gh_status put(struct vfs_session *s, const char *path, size_t len)
{
	static const char zeroes[100000];

	return fixture_put(&f, s, path, zeroes, len, 0, 0);
}

static struct quota_account *account(uint64_t user)
{
	return quota_accounts(f.tenant, user).of[user != 0];
}

/* Nothing is kept for anybody any more. */
static void at_rest(uint64_t user)
{
	struct quota_account *a = account(user);

	fixture_wait_quiet(&f);
	pthread_mutex_lock(&a->lock);
	for (unsigned k = 0; k < QUOTA_STOCKS; k++)
		ck_assert_uint_eq(quota_stock_need(&a->stock[k], 0), 0);
	pthread_mutex_unlock(&a->lock);
	ck_assert_uint_eq(seats_taken(&a->seats[1]), 0);
}

/* ---- many threads ---- */

struct writer {
	pthread_t thread;
	unsigned number, acked, refused, rounds;
};

static void *write_on(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 0; i < w->rounds; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/w%u-%u", w->number, i);
		const enum gh_status st = put(f.admin, path, SIZE);
		if (st == GH_OK)
			w->acked++;
		else if (st == GH_QUOTA)
			w->refused++;
		else
			ck_abort_msg("%s", gh_status_name(st));
	}
	return NULL;
}

static void all_write(struct writer *w, unsigned count, unsigned rounds)
{
	for (unsigned i = 0; i < count; i++) {
		w[i] = (struct writer){ .number = i, .rounds = rounds };
		ck_assert_int_eq(pthread_create(&w[i].thread, NULL, write_on, &w[i]), 0);
	}
}

static unsigned all_done(struct writer *w, unsigned count)
{
	unsigned acked = 0;

	for (unsigned i = 0; i < count; i++) {
		pthread_join(w[i].thread, NULL);
		acked += w[i].acked;
	}
	return acked;
}

START_TEST(many_threads_stop_exactly_at_the_limit)
{
	struct writer w[6];

	limit(0, QUOTA_BYTES, 60 * SIZE + SIZE / 2);
	limit(f.admin->user, QUOTA_FILES, 1000);
	all_write(w, 6, 20);
	ck_assert_uint_eq(all_done(w, 6), 60);
	ck_assert_uint_eq(books(0).used_bytes, 60 * SIZE);
	ck_assert_uint_eq(books(f.admin->user).used_files, 60);
	at_rest(0);
	at_rest(f.admin->user);
	is(put(f.admin, "/rest", SIZE / 2 + 1), GH_QUOTA);
	is(put(f.admin, "/rest", SIZE / 2), GH_OK);
	is(put(f.admin, "/one", 1), GH_QUOTA);
}
END_TEST

START_TEST(limit_that_comes_while_all_write_is_not_passed)
{
	const struct timespec nap = { 0, 20000000 };
	struct writer w[6];

	all_write(w, 6, 60);
	nanosleep(&nap, NULL);
	const uint64_t then = books(0).used_bytes + 40 * SIZE;
	limit(0, QUOTA_BYTES, then);
	const uint64_t before = books(0).used_bytes; /* what got through before it was set may be more already */
	all_done(w, 6);
	ck_assert_uint_le(books(0).used_bytes, before > then ? before : then);
	at_rest(0);
}
END_TEST

START_TEST(limits_that_change_all_the_time_leave_nothing_behind)
{
	struct writer w[4];

	limit(0, QUOTA_BYTES, 100 * SIZE);
	all_write(w, 4, 25);
	for (unsigned i = 0; i < 30; i++)
		limit(i % 2 ? f.admin->user : 0, i % 3 ? QUOTA_BYTES : QUOTA_FILES, i % 5 ? (20 + i) * SIZE : QUOTA_NONE);
	ck_assert_uint_eq(all_done(w, 4) * SIZE, books(0).used_bytes);
	at_rest(0);
	at_rest(f.admin->user);
}
END_TEST

/* ---- uploads ---- */

START_TEST(room_is_kept_from_the_begin_on_and_given_back)
{
	struct vfs_req *r = fixture_req(&f, VFS_WRITE_BEGIN, f.admin, "/kept", NULL);

	limit(0, QUOTA_BYTES, 10 * SIZE);
	r->declared = 8 * SIZE;
	is(fixture_run(&f, r), GH_OK);
	is(put(f.admin, "/other", 3 * SIZE), GH_QUOTA);
	is(put(f.admin, "/other", 2 * SIZE), GH_OK);
	fixture_free(&f, &r); /* aborted */
	at_rest(0);
	is(put(f.admin, "/kept", 8 * SIZE), GH_OK);
}
END_TEST

START_TEST(replacing_counts_the_difference)
{
	limit(0, QUOTA_BYTES, 10 * SIZE);
	is(put(f.admin, "/a", 10 * SIZE), GH_OK);
	is(put(f.admin, "/a", 10 * SIZE), GH_OK);
	is(put(f.admin, "/a", 10 * SIZE + 1), GH_QUOTA);
	is(put(f.admin, "/a", 4 * SIZE), GH_OK);
	is(put(f.admin, "/b", 6 * SIZE), GH_OK);
	is(fixture_put(&f, f.admin, "/b", "x", 1, VFS_APPEND, 0), GH_QUOTA);
	is(fixture_do(&f, VFS_REMOVE, f.admin, "/a", NULL, 0), GH_OK);
	is(fixture_put(&f, f.admin, "/b", "x", 1, VFS_APPEND, 0), GH_OK);
	ck_assert_uint_eq(books(0).used_bytes, 6 * SIZE + 1);
	at_rest(0);
}
END_TEST

START_TEST(tree_copy_that_does_not_fit_leaves_nothing)
{
	is(fixture_do(&f, VFS_MKDIR, f.admin, "/tree", NULL, 0), GH_OK);
	for (unsigned i = 0; i < 5; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/tree/%u", i);
		is(put(f.admin, path, SIZE), GH_OK);
	}
	limit(0, QUOTA_FILES, 9);
	is(fixture_do(&f, VFS_COPY, f.admin, "/tree", "/twin", 0), GH_QUOTA);
	is(fixture_do(&f, VFS_STAT, f.admin, "/twin", NULL, 0), GH_NOTFOUND);
	limit(0, QUOTA_FILES, 10);
	is(fixture_do(&f, VFS_COPY, f.admin, "/tree", "/twin", 0), GH_OK);
	at_rest(0);
}
END_TEST

START_TEST(file_is_its_makers_whoever_writes_it)
{
	uint64_t ann;
	struct vfs_session *s = fixture_user(&f, "ann", &ann);

	fixture_grant(&f, "/", ann, ACL_FULL, 0);
	limit(ann, QUOTA_BYTES, 5 * SIZE);
	is(put(s, "/hers", 3 * SIZE), GH_OK);
	is(put(f.admin, "/hers", 5 * SIZE), GH_OK);
	ck_assert_uint_eq(books(ann).used_bytes, 5 * SIZE);
	is(put(f.admin, "/his", 6 * SIZE), GH_OK);
	is(fixture_do(&f, VFS_MOVE, f.admin, "/his", "/hers", 0), GH_QUOTA);
	is(fixture_do(&f, VFS_COPY, s, "/his", "/hers2", 0), GH_QUOTA);
	is(fixture_do(&f, VFS_REMOVE, f.admin, "/hers", NULL, 0), GH_OK);
	ck_assert_uint_eq(books(ann).used_bytes, 0);
	at_rest(ann);
	vfs_session_unref(&s);
}
END_TEST

/* ---- leases ---- */

START_TEST(idle_lease_is_given_back_and_one_in_use_is_kept)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct vfs_req *r = fixture_req(&f, VFS_WRITE_BEGIN, f.admin, "/long", NULL);

	limit(0, QUOTA_BYTES, 1000 * SIZE);
	r->declared = 5 * SIZE;
	is(fixture_run(&f, r), GH_OK);
	ck_assert_uint_ge(books(0).leased_bytes, 5 * SIZE);
	for (unsigned i = 0; i < 3; i++)
		quota_keep(account(0), a, false);
	ck_assert_uint_ge(books(0).leased_bytes, 5 * SIZE);
	fixture_free(&f, &r);
	fixture_wait_quiet(&f);
	quota_keep(account(0), a, false); /* it was used until now */
	quota_keep(account(0), a, false);
	ck_assert_uint_eq(books(0).leased_bytes, 0);
	gh_arena_free(&a);
}
END_TEST

/* ---- seats ---- */

static enum gh_status enter(struct vfs_req *r, struct vfs_session *s)
{
	struct vfs_work *w = work_of(r);

	*s = (struct vfs_session){ .tenant = f.tenant, .user = f.admin->user };
	w->may_block = true;
	return quota_session_begin(w, s);
}

START_TEST(as_many_are_in_as_may_be)
{
	const bool shared = meta_is_shared(f.meta);
	struct vfs_req *r = fixture_req(&f, VFS_STAT, f.admin, "/", NULL);
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct vfs_session s[4];

	limit(0, QUOTA_SESSIONS, 3);
	for (unsigned i = 0; i < 3; i++)
		is(enter(r, &s[i]), GH_OK);
	is(enter(r, &s[3]), GH_CROWDED);
	ck_assert_uint_gt(r->retry_after_s, 0);
	quota_session_end(&s[1]);
	is(enter(r, &s[1]), GH_OK);
	is(enter(r, &s[3]), GH_CROWDED);
	limit(0, QUOTA_SESSIONS, 2); /* who is in stays */
	quota_session_end(&s[1]);
	is(enter(r, &s[1]), GH_CROWDED);
	limit(0, QUOTA_SESSIONS, 4);
	is(enter(r, &s[1]), GH_OK);
	ck_assert_uint_eq(quota_figures(f.tenant, 0).sessions, 3);
	ck_assert_uint_ge(books(0).leased_sessions, shared ? 3 : 0);
	ck_assert_uint_le(books(0).leased_sessions, shared ? 4 : 0);
	for (unsigned i = 0; i < 3; i++)
		quota_session_end(&s[i]);
	for (unsigned i = 0; i < 2; i++)
		quota_keep(account(0), a, false);
	ck_assert_uint_eq(books(0).leased_sessions, 0);
	limit(0, QUOTA_SESSIONS, QUOTA_NONE);
	is(enter(r, &s[0]), GH_OK); /* counted all the same */
	ck_assert_uint_eq(quota_figures(f.tenant, 0).sessions, 1);
	quota_session_end(&s[0]);
	gh_arena_free(&a);
	fixture_free(&f, &r);
}
END_TEST

START_TEST(loop_is_told_to_ask_the_store_for_seats)
{
	struct vfs_req *r = fixture_req(&f, VFS_STAT, f.admin, "/", NULL);
	struct vfs_session s = { .tenant = f.tenant, .user = f.admin->user };
	const enum gh_status first = meta_is_shared(f.meta) ? GH_AGAIN : GH_OK;

	limit(0, QUOTA_REQUESTS_S, 100); /* what a second may bring is divided among those who hold a lease */
	work_of(r)->may_block = false;
	is(quota_session_begin(work_of(r), &s), first);
	quota_session_end(&s);
	is(enter(r, &s), GH_OK);
	quota_session_end(&s);
	work_of(r)->may_block = false;
	is(quota_session_begin(work_of(r), &s), GH_OK);
	quota_session_end(&s);
	fixture_free(&f, &r);
}
END_TEST

static struct quota_seats crowd;
static atomic_bool crowd_stop;

static void *come_and_go(void *arg)
{
	_Atomic unsigned long *came = arg;

	while (!atomic_load(&crowd_stop))
		if (seats_take(&crowd)) {
			atomic_fetch_add(came, 1);
			seats_leave(&crowd);
		}
	return NULL;
}

START_TEST(nobody_comes_into_frozen_seats)
{
	static _Atomic unsigned long came;
	pthread_t thread[3];
	uint32_t most = 0;

	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, come_and_go, &came), 0);
	for (unsigned round = 1; round <= 20000 || !atomic_load(&came); round++) {
		const uint32_t in = seats_freeze(&crowd);

		ck_assert_uint_le(in, most);
		ck_assert_uint_le(seats_taken(&crowd), in);
		most = in > round % 3 ? in : round % 3; /* who is in stays, though fewer may be */
		seats_allow(&crowd, round % 3);
	}
	atomic_store(&crowd_stop, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(seats_taken(&crowd), 0);
}
END_TEST

START_TEST(lease_that_ended_unseen_is_asked_for_again)
{
	limit(0, QUOTA_BYTES, 10 * SIZE);
	is(put(f.admin, "/a", SIZE), GH_OK);
	pthread_mutex_lock(&account(0)->lock);
	account(0)->lease++; /* of a name that the store does not know */
	pthread_mutex_unlock(&account(0)->lock);
	is(put(f.admin, "/b", SIZE), GH_OK);
	ck_assert_uint_eq(books(0).used_bytes, 2 * SIZE);
}
END_TEST

START_TEST(nobody_waits_long_behind_one_whom_the_store_keeps)
{
	limit(0, QUOTA_BYTES, 10 * SIZE);
	is(put(f.admin, "/a", SIZE), GH_OK);
	pthread_mutex_lock(&account(0)->lock);
	account(0)->renewing = true; /* as if somebody were at the store, which hangs */
	pthread_mutex_unlock(&account(0)->lock);
	is(put(f.admin, "/b", SIZE), GH_BUSY);
	is(fixture_do(&f, VFS_REMOVE, f.admin, "/a", NULL, 0), GH_OK); /* adds nothing: asks nobody */
	pthread_mutex_lock(&account(0)->lock);
	account(0)->renewing = false;
	pthread_mutex_unlock(&account(0)->lock);
	is(put(f.admin, "/b", SIZE), GH_OK);
	at_rest(0);
}
END_TEST

/* ---- months ---- */

START_TEST(what_was_not_sent_goes_back_to_the_month)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct vfs_req *r;

	is(put(f.admin, "/big", 90000), GH_OK);
	limit(0, QUOTA_MONTH_BYTES, 100000);
	for (unsigned i = 0; i < 2; i++) { /* the second has room only for what came back */
		r = fixture_req(&f, VFS_READ, f.admin, "/big", NULL);
		is(fixture_run(&f, r), GH_OK);
		vfs_count_sent(f.core, f.admin, VFS_REST, 10000);
		fixture_free(&f, &r);
	}
	r = fixture_req(&f, VFS_READ, f.admin, "/big", NULL);
	is(fixture_run(&f, r), GH_PACED);
	ck_assert_uint_gt(r->retry_after_s, 0);
	fixture_free(&f, &r);
	quota_keep(account(0), a, true);
	ck_assert_uint_eq(books(0).month, 20000);
	gh_arena_free(&a);
}
END_TEST

/* ---- the unlimited ---- */

START_TEST(without_limits_nothing_is_paid)
{
	struct vfs_req *r = fixture_req(&f, VFS_STAT, f.admin, "/", NULL);
	uint64_t best = UINT64_MAX;

	for (unsigned t = 0; t < 3; t++) {
		const uint64_t begun = gh_mono_ns();

		for (unsigned i = 0; i < 1000000; i++)
			if (quota_request(work_of(r), f.admin) != GH_OK)
				ck_abort();
		const uint64_t took = (gh_mono_ns() - begun) / 1000000;
		best = took < best ? took : best;
	}
	ck_assert_msg(best < UNLIMITED_NS, "%llu ns", (unsigned long long)best);
	fixture_free(&f, &r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quota");
	TCase *c = tcase_create("quota");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, open_house, close_house);
	tcase_add_test(c, many_threads_stop_exactly_at_the_limit);
	tcase_add_test(c, limit_that_comes_while_all_write_is_not_passed);
	tcase_add_test(c, limits_that_change_all_the_time_leave_nothing_behind);
	tcase_add_test(c, room_is_kept_from_the_begin_on_and_given_back);
	tcase_add_test(c, replacing_counts_the_difference);
	tcase_add_test(c, tree_copy_that_does_not_fit_leaves_nothing);
	tcase_add_test(c, file_is_its_makers_whoever_writes_it);
	tcase_add_test(c, idle_lease_is_given_back_and_one_in_use_is_kept);
	tcase_add_test(c, as_many_are_in_as_may_be);
	tcase_add_test(c, loop_is_told_to_ask_the_store_for_seats);
	tcase_add_test(c, nobody_comes_into_frozen_seats);
	tcase_add_test(c, lease_that_ended_unseen_is_asked_for_again);
	tcase_add_test(c, nobody_waits_long_behind_one_whom_the_store_keeps);
	tcase_add_test(c, what_was_not_sent_goes_back_to_the_month);
	tcase_add_test(c, without_limits_nothing_is_paid);
	tcase_set_timeout(c, 120);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
