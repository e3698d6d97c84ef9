/* Quota leases in the store: batches that rest on one, the books behind it, what users own through everything that adds
 * and frees, and a month's transfer. */
#include <time.h>

#include "tests/unit/metadata/help.h"

#define ANN 7ull /* owner of what help.h makes */
#define BOB 8ull

static struct fix f;

static void setup(void)
{
	fix_new(&f);
}

static void teardown(void)
{
	fix_free(&f);
}

struct wish {
	struct meta_quota_grant grant;
	struct meta_quota_books books;
};

static void decide(void *arg, const struct meta_quota_books *books, struct meta_quota_grant *ret)
{
	struct wish *w = arg;

	w->books = *books;
	*ret = w->grant;
}

static struct meta_quota_books lease(uint64_t user, uint64_t held, uint64_t name, uint64_t bytes, uint32_t life_ms)
{
	struct wish w = { .grant = { .lease = name, .bytes = bytes, .files = bytes / 10, .sessions = bytes / 100,
				     .transfers = bytes / 200 } };
	const struct meta_quota_ask a = { .tenant = TENANT, .user = user, .lease = held, .life_ms = life_ms,
					  .month = 24300, .decide = decide, .arg = &w };

	OK(meta_quota_lease(f.m, &f.call, &a));
	return w.books;
}

static struct meta_quota_books look(uint64_t user)
{
	const struct meta_quota_ask a = { .tenant = TENANT, .user = user, .month = 24300 };
	struct meta_quota_books b;

	OK(meta_quota_books(f.m, &f.call, &a, &b));
	return b;
}

static void nap_ms(long ms)
{
	const struct timespec t = { 0, ms * 1000000 };

	nanosleep(&t, NULL);
}

static enum gh_status put_resting_on(const char *name, unsigned count, uint64_t first, uint64_t second)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, name, 100);

	b.lease_count = count;
	b.leases[0] = first;
	b.leases[1] = second;
	return meta_commit(f.m, &f.call, &b);
}

START_TEST(batch_rests_on_leases_that_live)
{
	lease(0, 0, 501, 1000, 60000);
	lease(ANN, 0, 502, 1000, 60000);
	OK(put_resting_on("a", 1, 501, 0));
	OK(put_resting_on("b", 2, 501, 502));
	IS(GH_STALE, put_resting_on("c", 1, 503, 0));
	IS(GH_STALE, put_resting_on("d", 2, 501, 503));
	lease(0, 501, 504, 1000, 60000); /* another name */
	IS(GH_STALE, put_resting_on("e", 1, 501, 0));
	OK(put_resting_on("f", 1, 504, 0));
	lease(0, 504, 0, 0, 60000); /* given back */
	IS(GH_STALE, put_resting_on("g", 1, 504, 0));
	OK(put_resting_on("h", 0, 0, 0));
	SOUND(&f);
}
END_TEST

START_TEST(batch_does_not_rest_on_a_lease_that_has_ended)
{
	lease(0, 0, 501, 1000, 30);
	nap_ms(600);
	IS(GH_STALE, put_resting_on("a", 1, 501, 0));
	lease(0, 501, 501, 1000, 60000);
	OK(put_resting_on("a", 1, 501, 0));
}
END_TEST

START_TEST(books_tell_use_and_the_living_leases_of_others)
{
	struct meta_quota_books b = lease(0, 0, 501, 400, 60000);

	ck_assert_uint_eq(b.used_bytes + b.used_files + b.leased_bytes + b.leased_files, 0);
	ck_assert_uint_eq(b.leased_sessions + b.leased_transfers + b.holders, 0);
	file_make(&f, ROOT, "a", 123);
	b = lease(0, 0, 502, 300, 500);
	ck_assert_uint_eq(b.used_bytes, 123);
	ck_assert_uint_eq(b.used_files, 1);
	ck_assert_uint_eq(b.leased_bytes, 400);
	ck_assert_uint_eq(b.leased_files, 40);
	ck_assert_uint_eq(b.leased_sessions, 4);
	ck_assert_uint_eq(b.leased_transfers, 2);
	ck_assert_uint_eq(b.holders, 1);
	ck_assert_uint_eq(look(0).leased_bytes, 700);
	ck_assert_uint_eq(look(0).holders, 2);
	nap_ms(600);
	ck_assert_uint_eq(lease(0, 501, 501, 400, 60000).leased_bytes, 0); /* 502 has ended, 501 is the asker's */
	ck_assert_uint_eq(look(0).leased_bytes, 400);
	ck_assert_uint_eq(look(ANN).leased_bytes, 0);
}
END_TEST

START_TEST(use_is_the_same_before_and_after_a_fold)
{
	for (int i = 0; i < 5; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		file_make(&f, ROOT, name, 10);
		ck_assert_uint_eq(look(0).used_bytes, 10u * (unsigned)(i + 1));
		if (i % 2)
			OK(meta_events_fold(f.m, &f.call, 0));
		ck_assert_uint_eq(look(0).used_files, (unsigned)(i + 1));
		ck_assert_uint_eq(lease(0, 501, 501, 5, 60000).used_bytes, 10u * (unsigned)(i + 1));
	}
	SOUND(&f);
}
END_TEST

/* ---- what users own ---- */

static void count(uint64_t user, bool on)
{
	OK(run_step(&f, (struct meta_step){ .kind = on ? META_OWNED_COUNT : META_OWNED_FORGET, .n = user }));
}

static void make(const char *name, uint64_t parent, uint64_t size)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, parent, name, size);

	b.owned_count = 1;
	b.owned[0] = (struct meta_owned){ ANN, (int64_t)size, 1 };
	OK(meta_commit(f.m, &f.call, &b));
}

START_TEST(what_was_there_before_is_counted_once)
{
	make("a", ROOT, 11);
	make("b", ROOT, 22);
	ck_assert_uint_eq(look(ANN).used_bytes, 0); /* nobody counts */
	count(ANN, true);
	ck_assert_uint_eq(look(ANN).used_bytes, 33);
	count(ANN, true);
	ck_assert_uint_eq(look(ANN).used_bytes, 33);
	ck_assert_uint_eq(look(ANN).used_files, 2);
	ck_assert_uint_eq(look(BOB).used_bytes, 0);
	SOUND(&f);
	count(ANN, false);
	make("c", ROOT, 44);
	ck_assert_uint_eq(look(ANN).used_bytes, 0);
	count(ANN, true);
	ck_assert_uint_eq(look(ANN).used_bytes, 77);
	SOUND(&f);
}
END_TEST

START_TEST(sums_follow_what_users_make_and_what_the_walker_takes)
{
	const uint64_t folder = folder_make(&f, ROOT, "folder");
	struct meta_step s = { .kind = META_NODE_PLACE, .node = { .id = folder, .parent = TRASH, .name = "folder",
								  .key = "1", .name_len = 6, .key_len = 1 } };
	bool left = true;

	count(ANN, true);
	count(BOB, true);
	make("a", ROOT, 100);
	for (int i = 0; i < 7; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		make(name, folder, 10);
	}
	ck_assert_uint_eq(look(ANN).used_bytes, 170);
	OK(meta_events_fold(f.m, &f.call, 0));
	ck_assert_uint_eq(look(ANN).used_bytes, 170);
	OK(run_step(&f, s));
	ck_assert_uint_eq(look(ANN).used_bytes, 170); /* the trash counts until it is emptied */
	while (left)
		OK(meta_trash_step(f.m, &f.call, 3, &left));
	ck_assert_uint_eq(look(ANN).used_bytes, 100);
	ck_assert_uint_eq(look(ANN).used_files, 1);
	ck_assert_uint_eq(look(BOB).used_bytes, 0);
	SOUND(&f);
	OK(meta_events_fold(f.m, &f.call, 0));
	SOUND(&f);
}
END_TEST

START_TEST(wrong_sums_are_found)
{
	count(ANN, true);
	make("a", ROOT, 100);
	SOUND(&f);
	fix_sql(&f, "UPDATE usage_user SET bytes = bytes + 1");
	ck_assert_uint_eq(fix_check(&f), 1);
}
END_TEST

START_TEST(sums_go_with_their_user)
{
	const struct meta_user bob = { .id = BOB, .name = "bob", .key = "bob", .password_hash = "" };

	OK(run_step(&f, (struct meta_step){ .kind = META_USER_PUT, .user = &bob }));
	count(BOB, true);
	OK(run_step(&f, (struct meta_step){ .kind = META_USER_DELETE, .user = &bob }));
	count(ANN, true);
	make("a", ROOT, 5);
	ck_assert_uint_eq(look(ANN).used_bytes, 5);
	SOUND(&f);
}
END_TEST

/* ---- months ---- */

static uint64_t transfer(uint64_t user, int64_t month, int64_t add)
{
	struct wish w = { .grant = { .month = add } };
	struct meta_quota_ask a = { .tenant = TENANT, .user = user, .month = month, .decide = decide, .arg = &w };
	struct meta_quota_books b;

	OK(meta_quota_lease(f.m, &f.call, &a));
	OK(meta_quota_books(f.m, &f.call, &a, &b));
	return b.month;
}

START_TEST(each_month_begins_at_nothing)
{
	ck_assert_uint_eq(transfer(0, 24300, 1000), 1000);
	ck_assert_uint_eq(transfer(0, 24300, 500), 1500);
	ck_assert_uint_eq(transfer(0, 24300, -200), 1300); /* paid ahead and not used */
	ck_assert_uint_eq(transfer(0, 24301, 0), 0);
	ck_assert_uint_eq(transfer(ANN, 24300, 7), 7);
	ck_assert_uint_eq(look(0).month, 1300);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quota");
	TCase *c = tcase_create("quota");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, batch_rests_on_leases_that_live);
	tcase_add_test(c, batch_does_not_rest_on_a_lease_that_has_ended);
	tcase_add_test(c, books_tell_use_and_the_living_leases_of_others);
	tcase_add_test(c, use_is_the_same_before_and_after_a_fold);
	tcase_add_test(c, what_was_there_before_is_counted_once);
	tcase_add_test(c, sums_follow_what_users_make_and_what_the_walker_takes);
	tcase_add_test(c, wrong_sums_are_found);
	tcase_add_test(c, sums_go_with_their_user);
	tcase_add_test(c, each_month_begins_at_nothing);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	return run_suite(s);
}
