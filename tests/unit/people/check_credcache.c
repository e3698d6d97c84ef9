#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/people/credcache.h"

#define T 5
#define S 1000000000ull

static struct credcache *cache;
static const uint64_t now_ns = 100 * S;

static void setup(void)
{
	ck_assert_int_eq(credcache_new(0, &cache), GH_OK);
}

static void teardown(void)
{
	credcache_free(&cache);
	ck_assert_ptr_null(cache);
}

static void put(uint64_t tenant, const char *user, const char *password, uint64_t id)
{
	struct cred cred = { .user = id, .gen = id * 10, .scope = 3, .token = 4, .expires_ns = now_ns + 10 * S };

	credcache_put(cache, credcache_ticket(cache), tenant, user, password, &cred, now_ns);
}

static uint64_t get(uint64_t tenant, const char *user, const char *password)
{
	struct cred cred;

	return credcache_get(cache, tenant, user, password, now_ns, &cred) ? cred.user : 0;
}

START_TEST(what_was_put_is_found_whole)
{
	struct cred cred;

	put(T, "ann", "pw", 7);
	ck_assert(credcache_get(cache, T, "ann", "pw", now_ns, &cred));
	ck_assert_uint_eq(cred.user, 7);
	ck_assert_uint_eq(cred.gen, 70);
	ck_assert_uint_eq(cred.scope, 3);
	ck_assert_uint_eq(cred.token, 4);
}
END_TEST

START_TEST(another_password_user_or_tenant_is_not_found)
{
	put(T, "ann", "pw", 7);
	ck_assert_uint_eq(get(T, "ann", "pW"), 0);
	ck_assert_uint_eq(get(T, "ann", ""), 0);
	ck_assert_uint_eq(get(T, "anN", "pw"), 0);
	ck_assert_uint_eq(get(T + 1, "ann", "pw"), 0);
	/* the border between name and password is part of the key */
	ck_assert_uint_eq(get(T, "an", "npw"), 0);
	ck_assert_uint_eq(get(T, "annp", "w"), 0);
}
END_TEST

START_TEST(an_entry_dies_at_its_time)
{
	struct cred cred;

	put(T, "ann", "pw", 7);
	ck_assert(credcache_get(cache, T, "ann", "pw", now_ns + 10 * S - 1, &cred));
	ck_assert(!credcache_get(cache, T, "ann", "pw", now_ns + 10 * S, &cred));
	cred.expires_ns = now_ns;
	credcache_put(cache, credcache_ticket(cache), T, "bob", "pw", &cred, now_ns);
	ck_assert_uint_eq(get(T, "bob", "pw"), 0);
}
END_TEST

START_TEST(dropping_a_user_drops_all_its_entries_and_nobody_elses)
{
	put(T, "ann", "pw", 7);
	put(T, "ann", "token", 7);
	put(T, "bob", "pw", 8);
	put(T + 1, "ann", "pw", 7);
	credcache_drop_user(cache, T, 7);
	ck_assert_uint_eq(get(T, "ann", "pw"), 0);
	ck_assert_uint_eq(get(T, "ann", "token"), 0);
	ck_assert_uint_eq(get(T, "bob", "pw"), 8);
	ck_assert_uint_eq(get(T + 1, "ann", "pw"), 7);
	credcache_drop_tenant(cache, T);
	ck_assert_uint_eq(get(T, "bob", "pw"), 0);
	ck_assert_uint_eq(get(T + 1, "ann", "pw"), 7);
	credcache_drop_all(cache);
	ck_assert_uint_eq(get(T + 1, "ann", "pw"), 0);
}
END_TEST

START_TEST(a_login_that_began_before_a_drop_does_not_bring_the_old_password_back)
{
	struct cred cred = { .user = 7, .expires_ns = now_ns + S };
	uint64_t ticket = credcache_ticket(cache);

	credcache_drop_user(cache, T, 7);
	credcache_put(cache, ticket, T, "ann", "old", &cred, now_ns);
	ck_assert_uint_eq(get(T, "ann", "old"), 0);
}
END_TEST

START_TEST(a_full_cache_stays_within_its_slots_and_keeps_the_newest)
{
	struct credcache *small;
	struct cred cred = { .user = 1 };
	unsigned alive = 0;
	char name[16];

	ck_assert_int_eq(credcache_new(64, &small), GH_OK);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		cred.expires_ns = now_ns + S + i;
		credcache_put(small, credcache_ticket(small), T, name, "pw", &cred, now_ns);
	}
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		alive += credcache_get(small, T, name, "pw", now_ns, &cred);
	}
	ck_assert_uint_eq(alive, 64);
	ck_assert(credcache_get(small, T, "u999", "pw", now_ns, &cred));
	credcache_free(&small);
}
END_TEST

START_TEST(names_and_passwords_longer_than_any_real_one_are_not_kept)
{
	static char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	put(T, "ann", text, 7);
	ck_assert_uint_eq(get(T, "ann", text), 0);
	put(T, text, "pw", 7);
	ck_assert_uint_eq(get(T, text, "pw"), 0);
}
END_TEST

/* Loops, logins and drops at once; TSan watches. A dropped generation never comes back. */
static atomic_uint current_gen;
static atomic_bool stop;

static void *logins(void *arg)
{
	while (!atomic_load(&stop)) {
		uint64_t ticket = credcache_ticket(cache);
		struct cred cred = { .user = 7, .gen = atomic_load(&current_gen), .expires_ns = now_ns + S };

		credcache_put(cache, ticket, T, "ann", "pw", &cred, now_ns);
	}
	return arg;
}

static void *looks(void *arg)
{
	uintptr_t stale = 0;

	while (!atomic_load(&stop)) {
		unsigned before = atomic_load(&current_gen);
		struct cred cred;

		/* gen rises first, then the drop: one behind may still be seen, two may not */
		if (credcache_get(cache, T, "ann", "pw", now_ns, &cred) && cred.gen + 1 < before)
			stale++;
	}
	(void)arg;
	return (void *)stale;
}

START_TEST(a_stale_generation_is_never_seen_after_its_drop)
{
	pthread_t a, b;
	void *stale;

	atomic_store(&stop, false);
	pthread_create(&a, NULL, logins, NULL);
	pthread_create(&b, NULL, looks, NULL);
	for (unsigned i = 0; i < 300; i++) {
		atomic_fetch_add(&current_gen, 1);
		credcache_drop_user(cache, T, 7);
	}
	atomic_store(&stop, true);
	pthread_join(a, NULL);
	pthread_join(b, &stale);
	ck_assert_uint_eq((uintptr_t)stale, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("credcache");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_put_is_found_whole);
	tcase_add_test(tc, another_password_user_or_tenant_is_not_found);
	tcase_add_test(tc, an_entry_dies_at_its_time);
	tcase_add_test(tc, dropping_a_user_drops_all_its_entries_and_nobody_elses);
	tcase_add_test(tc, a_login_that_began_before_a_drop_does_not_bring_the_old_password_back);
	tcase_add_test(tc, a_full_cache_stays_within_its_slots_and_keeps_the_newest);
	tcase_add_test(tc, names_and_passwords_longer_than_any_real_one_are_not_kept);
	tcase_add_test(tc, a_stale_generation_is_never_seen_after_its_drop);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
