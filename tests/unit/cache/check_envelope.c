/* What is believed of what lies in a cache, and what is not. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cache/envelope.h"

#define NOW 1000000u

static struct envelope_keys keys;
static unsigned char sealed[4096];

static void setup(void)
{
	unsigned char secret[CACHE_SECRET_BYTES];

	for (unsigned i = 0; i < sizeof(secret); i++)
		secret[i] = (unsigned char)(i * 7 + 1);
	envelope_keys(secret, &keys);
}

static struct envelope of(enum cache_kind kind, const char *key, uint64_t gen)
{
	struct envelope e = { .kind = kind, .gen = gen };
	const struct cache_key k = { kind, key, strlen(key), gen };

	envelope_id(&keys, &k, e.id);
	return e;
}

static size_t seal(enum cache_kind kind, const char *key, uint64_t gen, uint64_t end_s, const char *value)
{
	struct envelope e = of(kind, key, gen);

	e.end_s = end_s;
	e.value = value;
	e.len = strlen(value);
	envelope_seal(&keys, &e, sealed);
	return e.len + ENVELOPE_EXTRA_BYTES;
}

/* CACHE_REFUSALS: it was believed. */
static enum cache_refusal open_as(size_t len, enum cache_kind kind, const char *key, uint64_t gen, struct envelope *ret)
{
	enum cache_refusal why = CACHE_REFUSALS;
	unsigned char *exact = malloc(len ? len : 1); /* so that a sanitizer sees a step too far */

	*ret = of(kind, key, gen);
	memcpy(exact, sealed, len);
	if (envelope_open(&keys, exact, len, NOW, ret, &why)) {
		ck_assert_uint_eq((uintptr_t)ret->value, (uintptr_t)(exact + ENVELOPE_HEAD_BYTES));
		ret->value = sealed + ENVELOPE_HEAD_BYTES;
		why = CACHE_REFUSALS;
	}
	free(exact);
	return why;
}

START_TEST(what_was_sealed_is_opened)
{
	struct envelope e;
	const size_t len = seal(CACHE_RIGHTS, "key", 7, NOW + 10, "the value");

	ck_assert_int_eq(open_as(len, CACHE_RIGHTS, "key", 7, &e), CACHE_REFUSALS);
	ck_assert_uint_eq(e.len, 9);
	ck_assert_mem_eq(e.value, "the value", 9);
	ck_assert_uint_eq(e.end_s, NOW + 10);
}
END_TEST

START_TEST(a_value_may_be_empty)
{
	struct envelope e;
	const size_t len = seal(CACHE_RIGHTS, "key", 7, NOW + 10, "");

	ck_assert_int_eq(open_as(len, CACHE_RIGHTS, "key", 7, &e), CACHE_REFUSALS);
	ck_assert_uint_eq(e.len, 0);
}
END_TEST

START_TEST(the_value_of_another_key_kind_or_generation_is_refused)
{
	struct envelope e;
	const size_t len = seal(CACHE_RIGHTS, "key", 7, NOW + 10, "the value");

	ck_assert_int_eq(open_as(len, CACHE_RIGHTS, "other", 7, &e), CACHE_OTHER_KEY);
	ck_assert_int_eq(open_as(len, CACHE_SESSIONS, "key", 7, &e), CACHE_OTHER_KEY);
	ck_assert_int_eq(open_as(len, CACHE_RIGHTS, "key", 6, &e), CACHE_OTHER_GEN);
	ck_assert_int_eq(open_as(len, CACHE_RIGHTS, "key", 8, &e), CACHE_OTHER_GEN);
}
END_TEST

START_TEST(what_has_ended_is_refused_even_if_the_cache_still_has_it)
{
	struct envelope e;

	ck_assert_int_eq(open_as(seal(CACHE_RIGHTS, "key", 7, NOW, "v"), CACHE_RIGHTS, "key", 7, &e), CACHE_EXPIRED);
	ck_assert_int_eq(open_as(seal(CACHE_RIGHTS, "key", 7, NOW + 1, "v"), CACHE_RIGHTS, "key", 7, &e), CACHE_REFUSALS);
}
END_TEST

START_TEST(every_single_bit_counts)
{
	const size_t len = seal(CACHE_RIGHTS, "key", 7, NOW + 10, "the value");
	struct envelope e;

	for (size_t i = 0; i < len * 8; i++) {
		sealed[i / 8] ^= (unsigned char)(1u << i % 8);
		ck_assert_int_eq(open_as(len, CACHE_RIGHTS, "key", 7, &e), CACHE_DAMAGED);
		sealed[i / 8] ^= (unsigned char)(1u << i % 8);
	}
}
END_TEST

START_TEST(every_cut_is_noticed)
{
	const size_t len = seal(CACHE_RIGHTS, "key", 7, NOW + 10, "the value");
	struct envelope e;

	for (size_t i = 0; i < len; i++)
		ck_assert_int_eq(open_as(i, CACHE_RIGHTS, "key", 7, &e), CACHE_DAMAGED);
	ck_assert_int_eq(open_as(len + 1, CACHE_RIGHTS, "key", 7, &e), CACHE_DAMAGED);
}
END_TEST

START_TEST(another_installation_finds_and_believes_nothing)
{
	const size_t len = seal(CACHE_RIGHTS, "key", 7, NOW + 10, "the value");
	const struct envelope before = of(CACHE_RIGHTS, "key", 7);
	unsigned char other[CACHE_SECRET_BYTES] = { 1 };
	struct envelope e;

	envelope_keys(other, &keys);
	e = of(CACHE_RIGHTS, "key", 7);
	ck_assert_mem_ne(e.id, before.id, sizeof(e.id));
	ck_assert_int_eq(open_as(len, CACHE_RIGHTS, "key", 7, &e), CACHE_DAMAGED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("envelope");
	TCase *c = tcase_create("envelope");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, what_was_sealed_is_opened);
	tcase_add_test(c, a_value_may_be_empty);
	tcase_add_test(c, the_value_of_another_key_kind_or_generation_is_refused);
	tcase_add_test(c, what_has_ended_is_refused_even_if_the_cache_still_has_it);
	tcase_add_test(c, every_single_bit_counts);
	tcase_add_test(c, every_cut_is_noticed);
	tcase_add_test(c, another_installation_finds_and_believes_nothing);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
