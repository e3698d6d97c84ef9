/* Logging in over a store in memory (fake_meta.c), on a clock of the test's own. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/people/login.h"
#include "core/people/password.h"
#include "tests/unit/people/fake_meta.h"

#define T 3
#define ANN 101
#define BOB 102
#define HOME 0x7f000001

static struct meta_store store;
static struct people *people;
static struct gh_arena *arena;
static uint64_t now_ns;
static int64_t now_us;
static char ann_hash[PW_HASH_MAX], token_hash[PW_HASH_MAX], token_text[PW_GENERATED_MAX];

/* Once for the program: hashing is slow. */
static void hash_once(void)
{
	ck_assert_int_eq(pw_hash("right", ann_hash), GH_OK);
	pw_token_generate(55, token_text);
	ck_assert_int_eq(pw_hash(token_text, token_hash), GH_OK);
}

static void setup(void)
{
	struct people_config cfg = { .credential_ttl_s = 300 };

	store = (struct meta_store){ .tenant = T };
	store.users[store.user_count++] =
		(struct meta_user){ .id = ANN, .name = "Ann", .key = "ann", .gen = 9, .password_hash = ann_hash };
	store.users[store.user_count++] =
		(struct meta_user){ .id = BOB, .name = "Bob", .key = "bob", .gen = 1, .password_hash = "" };
	store.tokens[store.token_count++] =
		(struct meta_token){ .id = 55, .user = ANN, .name = "laptop", .hash = token_hash };
	now_ns = 1000 * GH_S_NS;
	now_us = 1700000000 * GH_S_US;
	arena = gh_arena_new(1 << 20);
	ck_assert_ptr_nonnull(arena);
	ck_assert_int_eq(people_new(&store, &cfg, &people), GH_OK);
}

static void teardown(void)
{
	people_free(&people);
	gh_arena_free(&arena);
}

static struct people_answer answer;

static enum gh_status login_at(uint64_t tenant, const char *key, const char *password, enum vfs_proto proto)
{
	struct people_ask ask = { .tenant = tenant,
				  .user_key = key,
				  .password = password,
				  .proto = proto,
				  .prefix = HOME,
				  .now_ns = now_ns,
				  .now_us = now_us };
	struct meta_call call = { .arena = arena, .op = "login" };

	return people_login(people, &call, &ask, &answer);
}

static enum gh_status login(const char *key, const char *password)
{
	return login_at(T, key, password, VFS_WEBDAV);
}

static bool cached(const char *key, const char *password, enum vfs_proto proto)
{
	struct people_answer who = { 0 };

	if (!people_cached(people, T, key, password, proto, now_ns, &who))
		return false;
	ck_assert_uint_eq(who.user, ANN);
	ck_assert_uint_eq(who.gen, 9);
	ck_assert_uint_eq(who.proof.print, answer.proof.print);
	return true;
}

START_TEST(the_right_password_says_who_it_is_and_is_remembered)
{
	ck_assert(!cached("ann", "right", VFS_FTP));
	ck_assert_int_eq(login("ann", "right"), GH_OK);
	ck_assert_uint_eq(answer.user, ANN);
	ck_assert_uint_eq(answer.gen, 9);
	ck_assert_uint_eq(answer.proof.token, 0);
	ck_assert_str_eq(answer.user_name, "Ann");
	ck_assert(cached("ann", "right", VFS_FTP));
	ck_assert(!cached("ann", "wrong", VFS_FTP));
	ck_assert(!cached("ann", "", VFS_FTP));
	ck_assert(!cached("ann", NULL, VFS_FTP));
	now_ns += 300 * GH_S_NS;
	ck_assert(!cached("ann", "right", VFS_FTP));
}
END_TEST

START_TEST(wrong_unknown_and_disabled_sound_the_same)
{
	store.users[1].password_hash = ann_hash;
	store.users[1].disabled = true;
	ck_assert_int_eq(login("ann", "wrong"), GH_UNAUTH);
	ck_assert_int_eq(login("nobody", "right"), GH_UNAUTH);
	ck_assert_int_eq(login("bob", "right"), GH_UNAUTH);
	ck_assert_int_eq(login_at(0, "ann", "right", VFS_WEBDAV), GH_UNAUTH);
	ck_assert_int_eq(login_at(T + 1, "ann", "right", VFS_WEBDAV), GH_UNAUTH);
	ck_assert(!cached("bob", "right", VFS_WEBDAV));
}
END_TEST

START_TEST(a_user_without_a_password_cannot_log_in_with_one)
{
	ck_assert_int_eq(login("bob", "x"), GH_UNAUTH);
	ck_assert_int_eq(login("bob", ""), GH_UNAUTH);
	ck_assert_int_eq(login("bob", NULL), GH_UNAUTH);
}
END_TEST

START_TEST(a_missing_secret_is_refused_without_reading_or_counting)
{
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_int_eq(login("ann", ""), GH_UNAUTH);
		ck_assert_int_eq(login("ann", NULL), GH_UNAUTH);
	}
	ck_assert_uint_eq(store.user_reads, 0);
	ck_assert_int_eq(login("ann", "right"), GH_OK);
}
END_TEST

START_TEST(ten_wrong_passwords_make_even_the_right_one_wait)
{
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(login("ann", "wrong"), GH_UNAUTH);
	store.user_reads = 0;
	ck_assert_int_eq(login("ann", "right"), GH_THROTTLED);
	ck_assert_uint_ge(answer.retry_after_s, 1);
	ck_assert_uint_eq(store.user_reads, 0);
	/* the same at every door */
	ck_assert_int_eq(login_at(T, "ann", "right", VFS_FTP), GH_THROTTLED);
	now_ns += answer.retry_after_s * GH_S_NS;
	ck_assert_int_eq(login("ann", "right"), GH_OK);
}
END_TEST

START_TEST(guesses_at_unknown_names_are_counted_alike)
{
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(login("nobody", "guess"), GH_UNAUTH);
	ck_assert_int_eq(login("nobody", "guess"), GH_THROTTLED);
}
END_TEST

START_TEST(forgiving_a_user_ends_the_wait)
{
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(login("ann", "wrong"), GH_UNAUTH);
	ck_assert_int_eq(login("ann", "right"), GH_THROTTLED);
	ck_assert_uint_eq(people_forgive(people, T, "ann"), 1);
	ck_assert_int_eq(login("ann", "right"), GH_OK);
}
END_TEST

START_TEST(a_failing_store_is_nobodys_wrong_password)
{
	store.fails = GH_DATABASE;
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(login("ann", "right"), GH_DATABASE);
	store.fails = GH_OK;
	ck_assert_int_eq(login("ann", "right"), GH_OK);
}
END_TEST

START_TEST(an_app_password_opens_what_its_scope_allows)
{
	store.tokens[0].scope = 1u << VFS_WEBDAV | 1u << VFS_REST;
	ck_assert_int_eq(login_at(T, "ann", token_text, VFS_FTP), GH_UNAUTH);
	ck_assert_int_eq(login_at(T, "ann", token_text, VFS_WEBDAV), GH_OK);
	ck_assert_uint_eq(answer.user, ANN);
	ck_assert_uint_eq(answer.proof.token, 55);
	ck_assert(cached("ann", token_text, VFS_WEBDAV));
	ck_assert(cached("ann", token_text, VFS_REST));
	ck_assert(!cached("ann", token_text, VFS_FTP));
	/* still refused where it does not belong, in spite of the cache, and not counted as wrong */
	for (unsigned i = 0; i < 12; i++)
		ck_assert_int_eq(login_at(T, "ann", token_text, VFS_FTP), GH_UNAUTH);
}
END_TEST

START_TEST(an_app_password_ends_at_its_expiry_cached_or_not)
{
	store.tokens[0].expires_us = now_us + 10 * GH_S_US;
	ck_assert_int_eq(login("ann", token_text), GH_OK);
	ck_assert(cached("ann", token_text, VFS_WEBDAV));
	now_ns += 10 * GH_S_NS;
	now_us += 10 * GH_S_US;
	ck_assert(!cached("ann", token_text, VFS_WEBDAV));
	ck_assert_int_eq(login("ann", token_text), GH_UNAUTH);
}
END_TEST

START_TEST(an_app_password_of_another_user_or_with_a_wrong_secret_is_refused)
{
	char forged[PW_GENERATED_MAX];

	ck_assert_int_eq(login("bob", token_text), GH_UNAUTH);
	pw_token_generate(55, forged);
	ck_assert_int_eq(login("ann", forged), GH_UNAUTH);
	pw_token_generate(56, forged);
	ck_assert_int_eq(login("ann", forged), GH_UNAUTH);
	store.token_count = 0;
	ck_assert_int_eq(login("ann", token_text), GH_UNAUTH);
}
END_TEST

START_TEST(dropping_a_user_forgets_its_credentials)
{
	ck_assert_int_eq(login("ann", "right"), GH_OK);
	people_drop_user(people, T, BOB);
	ck_assert(cached("ann", "right", VFS_WEBDAV));
	people_drop_user(people, T, ANN);
	ck_assert(!cached("ann", "right", VFS_WEBDAV));
	ck_assert_int_eq(login("ann", "right"), GH_OK);
	people_drop_tenant(people, T);
	ck_assert(!cached("ann", "right", VFS_WEBDAV));
}
END_TEST

static void change_ann(struct meta_store *m)
{
	(void)m;
	people_drop_user(people, T, ANN);
}

START_TEST(a_user_changed_while_a_login_is_under_way_is_not_remembered_as_it_was)
{
	store.between = change_ann;
	ck_assert_int_eq(login("ann", "right"), GH_OK);
	ck_assert(!cached("ann", "right", VFS_WEBDAV));
}
END_TEST

START_TEST(a_damaged_stored_hash_refuses_and_counts_nobody)
{
	store.users[0].password_hash = "$argon2id$garbage";
	for (unsigned i = 0; i < 12; i++)
		ck_assert_int_eq(login("ann", "right"), GH_UNAUTH);
}
END_TEST

/* Of the processor: whoever else runs on this machine has no part in it. */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * GH_S_NS + (uint64_t)ts.tv_nsec;
}

static uint64_t cheapest_ns(const char *key, const char *password)
{
	uint64_t best_ns = UINT64_MAX;

	for (unsigned i = 0; i < 5; i++) {
		uint64_t from_ns = cpu_ns(), took_ns;

		ck_assert_int_eq(login(key, password), GH_UNAUTH);
		took_ns = cpu_ns() - from_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	return best_ns;
}

START_TEST(an_unknown_user_a_wrong_password_and_a_wrong_token_cost_alike)
{
	char forged[PW_GENERATED_MAX];
	uint64_t wrong_ns, unknown_ns, token_ns;

	pw_token_generate(56, forged);
	wrong_ns = cheapest_ns("ann", "wrong");
	unknown_ns = cheapest_ns("nobody", "wrong");
	token_ns = cheapest_ns("nobody", forged);
	ck_assert_uint_lt(wrong_ns, 3 * unknown_ns);
	ck_assert_uint_lt(unknown_ns, 3 * wrong_ns);
	ck_assert_uint_lt(token_ns, 3 * wrong_ns);
	ck_assert_uint_lt(wrong_ns, 3 * token_ns);
}
END_TEST

static void *login_thread(void *arg)
{
	struct people_ask ask = {
		.tenant = T, .user_key = "ann", .password = arg, .prefix = HOME, .now_ns = now_ns, .now_us = now_us
	};
	struct gh_arena *own = gh_arena_new(65536);
	struct meta_call call = { .arena = own, .op = "login" };
	struct people_answer ret;
	uintptr_t good = 0;

	for (unsigned i = 0; i < 4; i++) {
		struct people_answer who;

		good += people_login(people, &call, &ask, &ret) == GH_OK;
		people_cached(people, T, "ann", arg, VFS_FTP, now_ns, &who);
	}
	gh_arena_free(&own);
	return (void *)good;
}

START_TEST(logins_of_one_user_at_once_neither_deadlock_nor_mix)
{
	pthread_t threads[4];
	void *good;

	store.between = NULL;
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, login_thread, i % 2 ? "right" : "wrong");
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], &good);
		if (i % 2)
			ck_assert_uint_eq((uintptr_t)good, 4);
		else
			ck_assert_uint_eq((uintptr_t)good, 0);
	}
}
END_TEST

static enum gh_status still(void)
{
	struct people_ask ask = { .tenant = T, .user_key = "ann", .proto = VFS_FTP, .now_us = now_us };
	struct meta_call call = { .arena = arena, .op = "test" };
	uint64_t gen = 0;
	enum gh_status st = people_still(people, &call, &ask, ANN, &answer.proof, &gen);

	ck_assert_uint_eq(gen, st == GH_OK ? store.users[0].gen : 0);
	return st;
}

START_TEST(what_opened_a_session_is_good_until_it_changes)
{
	ck_assert_int_eq(login("ann", "right"), GH_OK);
	store.users[0].gen++; /* a group joined, a token made */
	ck_assert_int_eq(still(), GH_OK);
	store.users[0].password_hash = token_hash; /* whichever: another one */
	ck_assert_int_eq(still(), GH_UNAUTH);
	store.users[0].password_hash = ann_hash;
	ck_assert_int_eq(still(), GH_OK);
	store.users[0].disabled = true;
	ck_assert_int_eq(still(), GH_UNAUTH);
	store.users[0].disabled = false;
	store.users[0].id++; /* removed, and another made with the same name and hash */
	ck_assert_int_eq(still(), GH_UNAUTH);
}
END_TEST

START_TEST(an_app_password_opens_a_session_until_it_is_revoked_or_over)
{
	ck_assert_int_eq(login_at(T, "ann", token_text, VFS_FTP), GH_OK);
	ck_assert_int_eq(answer.proof.expires_us, 0);
	store.users[0].password_hash = ""; /* is none of its business */
	ck_assert_int_eq(still(), GH_OK);
	store.tokens[0].expires_us = now_us - 1;
	ck_assert_int_eq(still(), GH_UNAUTH);
	store.tokens[0].expires_us = 0;
	ck_assert_int_eq(still(), GH_OK);
	store.token_count = 0;
	ck_assert_int_eq(still(), GH_UNAUTH);
}
END_TEST

/* ---- what other gateways have verified ---- */

struct told {
	bool yes;
	unsigned asked, learned, right;
	struct people_fact fact;
};

static bool told_known(void *arg, const struct people_fact *f)
{
	struct told *k = arg;

	k->asked++;
	k->fact = *f;
	return k->yes;
}

static void told_learned(void *arg, bool right)
{
	struct told *k = arg;

	k->learned++;
	k->right += right;
}

static enum gh_status login_told(struct told *k, const char *key, const char *password)
{
	struct people_ask ask = { .tenant = T, .user_key = key, .password = password, .proto = VFS_WEBDAV, .prefix = HOME,
				  .now_ns = now_ns, .now_us = now_us, .known = told_known, .learned = told_learned, .arg = k };
	struct meta_call call = { .arena = arena, .op = "login" };

	return people_login(people, &call, &ask, &answer);
}

static void share(void)
{
	static const unsigned char secret[PEOPLE_SECRET_BYTES] = "a secret of the installation";

	people_share(people, secret);
}

START_TEST(without_a_secret_nothing_is_told)
{
	struct told k = { .yes = true };

	ck_assert_int_eq(login_told(&k, "ann", "wrong"), GH_UNAUTH);
	ck_assert_uint_eq(k.asked, 0);
}
END_TEST

START_TEST(what_was_verified_is_told_and_what_is_told_is_not_verified)
{
	struct told k = { .yes = false };

	share();
	ck_assert_int_eq(login_told(&k, "ann", "right"), GH_OK);
	ck_assert(!answer.shared);
	ck_assert_uint_eq(k.learned, 1);
	ck_assert_uint_eq(k.right, 1);
	ck_assert_uint_eq(k.fact.gen, 9);
	/* That nothing is verified is seen by a hash that nothing fits. It is another fact, of course. */
	k.yes = true;
	store.users[0].password_hash = token_hash;
	ck_assert_int_eq(login_told(&k, "ann", "right"), GH_OK);
	ck_assert(answer.shared);
	ck_assert_uint_eq(k.learned, 1);
	ck_assert(cached("ann", "right", VFS_FTP));
}
END_TEST

START_TEST(a_wrong_secret_is_told_to_nobody)
{
	struct told k = { .yes = false };

	share();
	ck_assert_int_eq(login_told(&k, "ann", "wrong"), GH_UNAUTH);
	ck_assert_int_eq(login_told(&k, "nobody", "right"), GH_UNAUTH);
	ck_assert_int_eq(login_told(&k, "bob", "right"), GH_UNAUTH);
	ck_assert_uint_eq(k.asked, 3); /* those that are unknown cost alike */
	ck_assert_uint_eq(k.learned, 3);
	ck_assert_uint_eq(k.right, 0);
}
END_TEST

START_TEST(a_fact_is_of_one_user_secret_hash_and_installation)
{
	static const unsigned char other[PEOPLE_SECRET_BYTES] = "another one";
	struct told k = { .yes = true };
	unsigned char seen[6][32];
	unsigned n = 0;

	share();
	for (unsigned i = 0; i < 2; i++) { /* it is the same when it is asked again */
		ck_assert_int_eq(login_told(&k, "ann", "right"), GH_OK);
		memcpy(seen[i], k.fact.id, 32);
	}
	ck_assert_mem_eq(seen[0], seen[1], 32);
	n = 1;
	ck_assert_int_eq(login_told(&k, "ann", "right2"), GH_OK);
	memcpy(seen[n++], k.fact.id, 32);
	store.users[1].password_hash = ann_hash;
	ck_assert_int_eq(login_told(&k, "bob", "right"), GH_OK);
	memcpy(seen[n++], k.fact.id, 32);
	store.users[0].password_hash = token_hash;
	ck_assert_int_eq(login_told(&k, "ann", "right"), GH_OK);
	memcpy(seen[n++], k.fact.id, 32);
	store.users[0].password_hash = ann_hash;
	people_share(people, other);
	ck_assert_int_eq(login_told(&k, "ann", "right"), GH_OK);
	memcpy(seen[n++], k.fact.id, 32);
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert_mem_ne(seen[i], seen[j], 32);
}
END_TEST

START_TEST(what_is_told_lets_nobody_in_who_is_disabled_or_out_of_scope)
{
	struct told k = { .yes = true };

	share();
	store.users[0].disabled = true;
	ck_assert_int_eq(login_told(&k, "ann", "right"), GH_UNAUTH);
	store.users[0].disabled = false;
	store.tokens[0].scope = 1u << VFS_FTP;
	ck_assert_int_eq(login_told(&k, "ann", token_text), GH_UNAUTH);
	store.tokens[0].scope = 0;
	store.tokens[0].expires_us = now_us - 1;
	ck_assert_int_eq(login_told(&k, "ann", token_text), GH_UNAUTH);
	store.tokens[0].expires_us = 0;
	ck_assert_int_eq(login_told(&k, "ann", token_text), GH_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("login");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, hash_once, NULL);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_right_password_says_who_it_is_and_is_remembered);
	tcase_add_test(tc, wrong_unknown_and_disabled_sound_the_same);
	tcase_add_test(tc, a_user_without_a_password_cannot_log_in_with_one);
	tcase_add_test(tc, a_missing_secret_is_refused_without_reading_or_counting);
	tcase_add_test(tc, ten_wrong_passwords_make_even_the_right_one_wait);
	tcase_add_test(tc, guesses_at_unknown_names_are_counted_alike);
	tcase_add_test(tc, forgiving_a_user_ends_the_wait);
	tcase_add_test(tc, a_failing_store_is_nobodys_wrong_password);
	tcase_add_test(tc, an_app_password_opens_what_its_scope_allows);
	tcase_add_test(tc, an_app_password_ends_at_its_expiry_cached_or_not);
	tcase_add_test(tc, an_app_password_of_another_user_or_with_a_wrong_secret_is_refused);
	tcase_add_test(tc, dropping_a_user_forgets_its_credentials);
	tcase_add_test(tc, a_user_changed_while_a_login_is_under_way_is_not_remembered_as_it_was);
	tcase_add_test(tc, a_damaged_stored_hash_refuses_and_counts_nobody);
	tcase_add_test(tc, an_unknown_user_a_wrong_password_and_a_wrong_token_cost_alike);
	tcase_add_test(tc, logins_of_one_user_at_once_neither_deadlock_nor_mix);
	tcase_add_test(tc, what_opened_a_session_is_good_until_it_changes);
	tcase_add_test(tc, an_app_password_opens_a_session_until_it_is_revoked_or_over);
	tcase_add_test(tc, without_a_secret_nothing_is_told);
	tcase_add_test(tc, what_was_verified_is_told_and_what_is_told_is_not_verified);
	tcase_add_test(tc, a_wrong_secret_is_told_to_nobody);
	tcase_add_test(tc, a_fact_is_of_one_user_secret_hash_and_installation);
	tcase_add_test(tc, what_is_told_lets_nobody_in_who_is_disabled_or_out_of_scope);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
