/* The cache contract over a cache in memory that lies (fake_wire.c). */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "tests/unit/cache/fake_wire.h"

static const struct cache_ops *ops;
static struct cache *cache;
static struct gh_arena *arena;
static struct cache_answer answer;

static void open_for(const char *rights, uint32_t budget_ms)
{
	struct cache_config cfg = { .servers = { "one,two", rights }, .budget_ms = budget_ms, .secret = "secret" };
	char err[256];

	ck_assert_int_eq(cache_open_on(&wire_fake, &cfg, &ops, &cache, err), GH_OK);
}

static void open_with(uint32_t budget_ms)
{
	open_for("one,two", budget_ms);
}

static void setup(void)
{
	fake_reset();
	arena = gh_arena_new(4 << 20);
	open_with(10000);
}

static void teardown(void)
{
	fake_lie(FAKE_HONEST);
	ops->close(&cache);
	gh_arena_free(&arena);
	fake_reset();
}

static struct cache_key key_of(const char *text, uint64_t gen)
{
	return (struct cache_key){ CACHE_SESSIONS, text, strlen(text), gen };
}

static enum gh_status get(const char *text, uint64_t gen)
{
	const struct cache_key k = key_of(text, gen);

	return ops->get(cache, &k, arena, &answer);
}

static unsigned sets(void)
{
	unsigned n;

	pthread_mutex_lock(&fake.lock);
	n = fake.sets;
	pthread_mutex_unlock(&fake.lock);
	return n;
}

/* Puts are done by and by. */
static void put(const char *text, uint64_t gen, const char *value, uint32_t life_s)
{
	const struct cache_key k = key_of(text, gen);
	const struct timespec nap = { 0, 1000000 };
	const unsigned before = sets();

	ops->put(cache, &k, value, strlen(value), life_s);
	for (unsigned i = 0; sets() == before && i < 20000; i++)
		nanosleep(&nap, NULL);
	ck_assert_uint_eq(sets(), before + 1);
}

START_TEST(what_was_put_is_got)
{
	ck_assert_int_eq(get("a", 1), GH_NOTFOUND);
	put("a", 1, "value", 60);
	ck_assert_int_eq(get("a", 1), GH_OK);
	ck_assert_uint_eq(answer.len, 5);
	ck_assert_mem_eq(answer.value, "value", 5);
	ck_assert_uint_eq(fake.entry[0].life_s, 60);
	ck_assert_uint_eq(fake.resets, 0);
}
END_TEST

START_TEST(names_in_the_cache_tell_nothing)
{
	put("tenant/ann:password", 1, "value", 60);
	ck_assert_ptr_null(strstr(fake.entry[0].name, "ann"));
	ck_assert_uint_eq(strlen(fake.entry[0].name), 36);
}
END_TEST

START_TEST(another_generation_is_not_believed_and_no_reason_to_begin_anew)
{
	put("a", 1, "value", 60);
	ck_assert_int_eq(get("a", 2), GH_STALE);
	ck_assert_int_eq(answer.refusal, CACHE_OTHER_GEN);
	ck_assert_uint_eq(fake.resets, 0);
	put("a", 2, "newer", 60);
	ck_assert_int_eq(get("a", 1), GH_STALE);
	ck_assert_int_eq(get("a", 2), GH_OK);
}
END_TEST

START_TEST(a_lie_is_not_believed_and_the_connection_begins_anew)
{
	static const struct {
		enum fake_lie lie;
		enum cache_refusal why;
	} lies[] = { { FAKE_OTHER_KEY, CACHE_OTHER_KEY }, { FAKE_TRUNCATED, CACHE_DAMAGED }, { FAKE_RANDOM, CACHE_DAMAGED },
		     { FAKE_EMPTY, CACHE_DAMAGED } };

	put("a", 1, "value", 60);
	put("b", 1, "other", 60);
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		fake_lie(lies[i].lie);
		ck_assert_int_eq(get("a", 1), GH_STALE);
		ck_assert_int_eq(answer.refusal, lies[i].why);
		ck_assert_uint_eq(fake.resets, i + 1);
	}
	fake_lie(FAKE_HONEST);
	ck_assert_int_eq(get("a", 1), GH_OK);
}
END_TEST

START_TEST(a_failure_is_told)
{
	fake_lie(FAKE_FAILS);
	ck_assert_int_eq(get("a", 1), GH_IO);
}
END_TEST

START_TEST(a_kind_without_servers_is_not_kept)
{
	const struct cache_key k = { CACHE_RIGHTS, "a", 1, 1 };

	ops->close(&cache);
	open_for("", 10000);
	ops->put(cache, &k, "x", 1, 60);
	ck_assert_int_eq(ops->get(cache, &k, arena, &answer), GH_NOTFOUND);
	ck_assert_uint_eq(fake.gets, 0);
}
END_TEST

START_TEST(kinds_are_apart_on_the_same_servers)
{
	const struct cache_key k = { CACHE_RIGHTS, "a", 1, 1 };

	put("a", 1, "value", 60);
	ck_assert_int_eq(ops->get(cache, &k, arena, &answer), GH_NOTFOUND);
}
END_TEST

START_TEST(what_is_too_large_is_not_kept)
{
	const struct cache_key k = key_of("a", 1);
	char *large = calloc(1, CACHE_VALUE_MAX + 1);

	ops->put(cache, &k, large, CACHE_VALUE_MAX + 1, 60);
	free(large);
	put("b", 1, "x", 60);
	ck_assert_uint_eq(fake.count, 1);
}
END_TEST

START_TEST(nobody_waits_longer_than_the_budget_and_what_nobody_waits_for_is_not_asked)
{
	const int64_t dropped = gh_metric_get(GH_M_CACHE_PUTS, 2);
	const struct cache_key k = key_of("a", 1);
	unsigned asked;

	ops->close(&cache);
	open_with(5);
	fake_lie(FAKE_HANGS);
	for (unsigned i = 0; i < 20; i++) /* more than there are threads: all of them are held */
		ck_assert_int_eq(get("a", 1), GH_IO);
	pthread_mutex_lock(&fake.lock);
	asked = fake.gets;
	pthread_mutex_unlock(&fake.lock);
	ck_assert_uint_le(asked, 4);
	for (unsigned i = 0; i < 1000; i++) /* no more memory than so much is filled by what cannot be sent */
		ops->put(cache, &k, "value", 5, 60);
	ck_assert_int_ge(gh_metric_get(GH_M_CACHE_PUTS, 2) - dropped, 700);
	fake_lie(FAKE_HONEST);
	ops->close(&cache);
	ck_assert_uint_le(fake.gets, 4);
	open_with(10000);
}
END_TEST

static void *give_up_often(void *arg)
{
	struct gh_arena *a = gh_arena_new(4 << 20);
	const struct cache_key k = key_of("a", 1);
	struct cache_answer got;

	for (unsigned i = 0; i < 200; i++) {
		const enum gh_status st = ops->get(cache, &k, a, &got);

		ck_assert(st == GH_OK || st == GH_IO);
	}
	gh_arena_free(&a);
	return arg;
}

START_TEST(an_answer_that_comes_as_one_gives_up_harms_nobody)
{
	pthread_t t[4];

	put("a", 1, "value", 60);
	ops->close(&cache);
	open_with(1);
	fake_lie(FAKE_TARDY);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, give_up_often, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}
END_TEST

static void *ask_often(void *arg)
{
	struct gh_arena *a = gh_arena_new(4 << 20);
	struct cache_answer got;
	char text[2] = { 0 };

	for (unsigned i = 0; i < 300; i++) {
		const struct cache_key k = { CACHE_SESSIONS, text, 1, 1 };

		text[0] = (char)('a' + i % 8);
		if (ops->get(cache, &k, a, &got) == GH_OK) {
			ck_assert_uint_eq(got.len, 1);
			ck_assert_mem_eq(got.value, text, 1);
		} else {
			ops->put(cache, &k, text, 1, 60);
		}
	}
	gh_arena_free(&a);
	return arg;
}

START_TEST(many_may_ask_at_once)
{
	pthread_t t[8];

	for (unsigned i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, ask_often, NULL), 0);
	for (unsigned i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_le(fake.open, 4); /* one for each thread that talks, not for each kind */
}
END_TEST

struct looked {
	unsigned count, ill;
};

static void looked(void *arg, const char *server, const char *kinds, const char *trouble)
{
	struct looked *l = arg;

	l->count++;
	l->ill += *trouble != '\0';
	ck_assert_str_eq(kinds, "sessions, rights");
	ck_assert_ptr_nonnull(strchr(server, ':'));
}

START_TEST(each_server_is_looked_at_once)
{
	struct looked l = { 0 };

	ops->look(cache, looked, &l);
	ck_assert_uint_eq(l.count, 2);
	ck_assert_uint_eq(l.ill, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cache");
	TCase *c = tcase_create("cache");
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_was_put_is_got);
	tcase_add_test(c, names_in_the_cache_tell_nothing);
	tcase_add_test(c, another_generation_is_not_believed_and_no_reason_to_begin_anew);
	tcase_add_test(c, a_lie_is_not_believed_and_the_connection_begins_anew);
	tcase_add_test(c, a_failure_is_told);
	tcase_add_test(c, a_kind_without_servers_is_not_kept);
	tcase_add_test(c, kinds_are_apart_on_the_same_servers);
	tcase_add_test(c, what_is_too_large_is_not_kept);
	tcase_add_test(c, nobody_waits_longer_than_the_budget_and_what_nobody_waits_for_is_not_asked);
	tcase_add_test(c, an_answer_that_comes_as_one_gives_up_harms_nobody);
	tcase_add_test(c, many_may_ask_at_once);
	tcase_add_test(c, each_server_is_looked_at_once);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
