/* The shared cache as the core uses it, over one that gives what the test says; and its secret. The house is real. */
#include <check.h>
#include <string.h>
#include <time.h>

#include "core/base/metrics.h"
#include "core/cache_secret.h"
#include "core/house.h"
#include "core/shared.h"
#include "tests/unit/core/fixture.h"

static struct house_fixture f;
static struct gh_core *core;
static struct gh_arena *arena;

/* ---- the cache ---- */

struct cache {
	enum gh_status st;
	atomic_uint gets, puts;
	uint32_t life_min_s, life_max_s;
	char last[16];
};
static struct cache cache;

static enum gh_status fake_get(struct cache *c, const struct cache_key *k, struct gh_arena *a, struct cache_answer *ret)
{
	(void)k;
	(void)a;
	atomic_fetch_add(&c->gets, 1);
	ret->value = "there";
	ret->len = 5;
	ret->refusal = CACHE_OTHER_KEY;
	return c->st;
}

static void fake_put(struct cache *c, const struct cache_key *k, const void *value, size_t len, uint32_t life_s)
{
	(void)k;
	c->life_min_s = life_s < c->life_min_s ? life_s : c->life_min_s;
	c->life_max_s = life_s > c->life_max_s ? life_s : c->life_max_s;
	snprintf(c->last, sizeof(c->last), "%.*s", (int)len, (const char *)value);
	atomic_fetch_add(&c->puts, 1);
}

static const struct cache_ops ops = { .abi = CACHE_ABI, .size = sizeof(struct cache_ops), .name = "fake", .get = fake_get,
				      .put = fake_put };

static void setup(void)
{
	const struct shared_config cfg = { &ops, &cache, 1u << CACHE_SESSIONS | 1u << CACHE_RIGHTS | 1u << CACHE_TREE, 1000 };

	fixture_open(&f);
	core = f.core;
	cache = (struct cache){ .st = GH_NOTFOUND, .life_min_s = UINT32_MAX };
	ck_assert_int_eq(shared_new(&cfg, &core->shared), GH_OK);
	arena = gh_arena_new(1 << 20);
}

static void teardown(void)
{
	gh_arena_free(&arena);
	fixture_close(&f);
}

static const struct cache_key key = { CACHE_RIGHTS, "key", 3, 7 };

START_TEST(without_a_cache_everything_is_loaded_and_nobody_waits)
{
	struct shared_try t;
	struct cache_answer got;

	shared_free(&core->shared);
	ck_assert(!shared_is_there(core, CACHE_RIGHTS));
	ck_assert(!shared_begin(core, &key, arena, &t, &got));
	ck_assert_uint_eq(t.seat, 0);
	shared_end(core, &t, "x", 1);
	ck_assert_uint_eq(cache.puts, 0);
}
END_TEST

START_TEST(a_kind_that_is_not_kept_is_not_asked_for)
{
	const struct shared_config cfg = { &ops, &cache, 1u << CACHE_SESSIONS, 1000 };
	struct shared_try t;
	struct cache_answer got;

	cache.st = GH_OK;
	ck_assert(shared_is_there(core, CACHE_RIGHTS));
	shared_free(&core->shared);
	ck_assert_int_eq(shared_new(&cfg, &core->shared), GH_OK);
	ck_assert(!shared_is_there(core, CACHE_RIGHTS));
	ck_assert(shared_is_there(core, CACHE_SESSIONS));
	ck_assert(!shared_begin(core, &key, arena, &t, &got));
	shared_end(core, &t, "x", 1);
	ck_assert_uint_eq(cache.gets, 0);
	ck_assert_uint_eq(cache.puts, 0);
}
END_TEST

START_TEST(what_is_there_is_taken)
{
	struct shared_try t;
	struct cache_answer got;

	cache.st = GH_OK;
	ck_assert(shared_begin(core, &key, arena, &t, &got));
	ck_assert_mem_eq(got.value, "there", 5);
}
END_TEST

START_TEST(what_was_loaded_is_put_for_a_little_less_than_it_may_be_kept)
{
	struct shared_try t;
	struct cache_answer got;

	for (unsigned i = 0; i < 200; i++) {
		ck_assert(!shared_begin(core, &key, arena, &t, &got));
		shared_end(core, &t, "loaded", 6);
	}
	ck_assert_uint_eq(cache.puts, 200);
	ck_assert_str_eq(cache.last, "loaded");
	ck_assert_uint_ge(cache.life_min_s, 875);
	ck_assert_uint_le(cache.life_max_s, 1000);
	ck_assert_uint_gt(cache.life_max_s, cache.life_min_s + 50);
}
END_TEST

START_TEST(a_node_leads_nobody_and_is_told_without_a_flight)
{
	const struct cache_key node = { CACHE_TREE, "key", 3, 7 };
	struct shared_try t;
	struct cache_answer got;

	ck_assert(!shared_begin(core, &node, arena, &t, &got));
	ck_assert_uint_eq(t.seat, 0);
	shared_tell(core, &node, "node", 4);
	ck_assert_uint_eq(cache.puts, 1);
	ck_assert_str_eq(cache.last, "node");
	shared_free(&core->shared);
	shared_tell(core, &node, "node", 4);
	ck_assert_uint_eq(cache.puts, 1);
}
END_TEST

START_TEST(what_could_not_be_loaded_is_not_put)
{
	struct shared_try t;
	struct cache_answer got;

	ck_assert(!shared_begin(core, &key, arena, &t, &got));
	shared_end(core, &t, NULL, 0);
	ck_assert_uint_eq(cache.puts, 0);
}
END_TEST

START_TEST(what_is_not_believed_is_loaded_and_counted)
{
	const int64_t before = gh_metric_get(GH_M_CACHE_REFUSED, CACHE_OTHER_KEY);
	struct shared_try t;
	struct cache_answer got;

	cache.st = GH_STALE;
	ck_assert(!shared_begin(core, &key, arena, &t, &got));
	shared_end(core, &t, "x", 1);
	ck_assert_uint_eq(cache.puts, 1);
	ck_assert_int_eq(gh_metric_get(GH_M_CACHE_REFUSED, CACHE_OTHER_KEY), before + 1);
}
END_TEST

START_TEST(a_cache_that_fails_is_not_asked_for_a_while)
{
	struct shared_try t;
	struct cache_answer got;
	unsigned asked;

	cache.st = GH_IO;
	for (unsigned i = 0; i < 200; i++) {
		ck_assert(!shared_begin(core, &key, arena, &t, &got));
		ck_assert_uint_eq(t.seat, 0); /* nobody waits for a leader then */
		shared_end(core, &t, "x", 1);
	}
	asked = cache.gets;
	ck_assert_uint_lt(asked, 60);
	ck_assert_uint_eq(cache.puts, 0);
	cache.st = GH_OK;
	ck_assert(!shared_begin(core, &key, arena, &t, &got));
	ck_assert_uint_eq(cache.gets, asked);
	breakers_reset(core, SERVICE_CACHE, 0);
	ck_assert(shared_begin(core, &key, arena, &t, &got));
}
END_TEST

START_TEST(one_server_that_rests_shuts_nothing)
{
	struct shared_try t;
	struct cache_answer got;

	cache.st = GH_TRIPPED;
	for (unsigned i = 0; i < 100; i++) {
		ck_assert(!shared_begin(core, &key, arena, &t, &got));
		shared_end(core, &t, "x", 1);
	}
	ck_assert_uint_eq(cache.gets, 100);
	ck_assert_uint_eq(cache.puts, 0);
}
END_TEST

/* ---- single flight ---- */

struct follower {
	pthread_t thread;
	struct cache_key key;
	bool got;
	char text[16];
};

static void *follow(void *arg)
{
	struct follower *w = arg;
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct shared_try t;
	struct cache_answer got;

	w->got = shared_begin(core, &w->key, a, &t, &got);
	if (w->got)
		snprintf(w->text, sizeof(w->text), "%.*s", (int)got.len, (const char *)got.value);
	else
		shared_end(core, &t, NULL, 0);
	gh_arena_free(&a);
	return NULL;
}

static void until_asked(unsigned n)
{
	for (unsigned i = 0; atomic_load(&cache.gets) < n && i < 20000; i++)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	ck_assert_uint_ge(cache.gets, n);
}

/* A leader that takes its time: each of four asks for the same, or for something else. */
static void fly(struct follower *w, const char *value, bool end)
{
	struct shared_try t;
	struct cache_answer got;

	ck_assert(!shared_begin(core, &key, arena, &t, &got));
	ck_assert_uint_ne(t.seat, 0);
	for (unsigned i = 0; i < 4; i++) {
		w[i].key = w[i].key.len ? w[i].key : key;
		ck_assert_int_eq(pthread_create(&w[i].thread, NULL, follow, &w[i]), 0);
	}
	until_asked(5);
	nanosleep(&(struct timespec){ 0, 20000000 }, NULL); /* most of them have begun to wait; it matters to none */
	if (end)
		shared_end(core, &t, value, value ? strlen(value) : 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(w[i].thread, NULL);
	if (!end)
		shared_end(core, &t, value, strlen(value));
}

START_TEST(those_who_miss_the_same_take_what_the_first_one_loads)
{
	const int64_t before = gh_metric_get(GH_M_CACHE_FLIGHTS, 1);
	struct follower w[4] = { 0 };
	unsigned took = 0;

	fly(w, "loaded", true);
	for (unsigned i = 0; i < 4; i++) {
		took += w[i].got;
		if (w[i].got)
			ck_assert_str_eq(w[i].text, "loaded");
	}
	ck_assert_int_eq(gh_metric_get(GH_M_CACHE_FLIGHTS, 1), before + took);
	ck_assert_uint_ge(took, 1);
}
END_TEST

START_TEST(nobody_waits_for_long)
{
	struct follower w[4] = { 0 };

	fly(w, "late", false);
	for (unsigned i = 0; i < 4; i++)
		ck_assert(!w[i].got);
}
END_TEST

START_TEST(a_leader_that_brings_nothing_lets_the_others_load)
{
	struct follower w[4] = { 0 };

	fly(w, NULL, true);
	for (unsigned i = 0; i < 4; i++)
		ck_assert(!w[i].got);
}
END_TEST

START_TEST(another_key_kind_or_generation_is_another_flight)
{
	struct follower w[4] = { { .key = { CACHE_RIGHTS, "kez", 3, 7 } }, { .key = { CACHE_SESSIONS, "key", 3, 7 } },
				 { .key = { CACHE_RIGHTS, "key", 3, 8 } }, { .key = { CACHE_RIGHTS, "key2", 4, 7 } } };

	fly(w, "loaded", true);
	for (unsigned i = 0; i < 4; i++)
		ck_assert(!w[i].got);
}
END_TEST

/* ---- the secret ---- */

START_TEST(the_secret_is_made_once_and_stays)
{
	unsigned char one[CACHE_SECRET_ALL_BYTES] = { 0 }, two[CACHE_SECRET_ALL_BYTES] = { 1 };
	const unsigned char zero[CACHE_SECRET_ALL_BYTES] = { 0 };
	char err[256];

	ck_assert_int_eq(cache_secret(f.meta, one, err), GH_OK);
	ck_assert_mem_ne(one, zero, sizeof(one));
	ck_assert_int_eq(cache_secret(f.meta, two, err), GH_OK);
	ck_assert_mem_eq(one, two, sizeof(one));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shared");
	TCase *c = tcase_create("shared");
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, without_a_cache_everything_is_loaded_and_nobody_waits);
	tcase_add_test(c, a_kind_that_is_not_kept_is_not_asked_for);
	tcase_add_test(c, what_is_there_is_taken);
	tcase_add_test(c, what_was_loaded_is_put_for_a_little_less_than_it_may_be_kept);
	tcase_add_test(c, a_node_leads_nobody_and_is_told_without_a_flight);
	tcase_add_test(c, what_could_not_be_loaded_is_not_put);
	tcase_add_test(c, what_is_not_believed_is_loaded_and_counted);
	tcase_add_test(c, a_cache_that_fails_is_not_asked_for_a_while);
	tcase_add_test(c, one_server_that_rests_shuts_nothing);
	tcase_add_test(c, those_who_miss_the_same_take_what_the_first_one_loads);
	tcase_add_test(c, nobody_waits_for_long);
	tcase_add_test(c, a_leader_that_brings_nothing_lets_the_others_load);
	tcase_add_test(c, another_key_kind_or_generation_is_another_flight);
	tcase_add_test(c, the_secret_is_made_once_and_stays);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
