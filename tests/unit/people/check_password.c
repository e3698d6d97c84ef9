/* Hashing is slow on purpose; each test here hashes a few times at most. */
#include <argon2.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/people/password.h"

START_TEST(a_password_matches_its_own_hash_and_no_other)
{
	char hash[PW_HASH_MAX], again[PW_HASH_MAX];

	ck_assert_int_eq(pw_hash("s3cret", hash), GH_OK);
	ck_assert_int_eq(strncmp(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31), 0);
	ck_assert_int_eq(pw_verify(hash, "s3cret"), GH_OK);
	ck_assert_int_eq(pw_verify(hash, "s3cret "), GH_UNAUTH);
	ck_assert_int_eq(pw_hash("s3cret", again), GH_OK);
	ck_assert_str_ne(hash, again);
}
END_TEST

START_TEST(an_empty_password_or_an_empty_hash_never_matches)
{
	char hash[PW_HASH_MAX], of_nothing[PW_HASH_MAX];

	ck_assert_int_eq(pw_hash("", hash), GH_INVALID);
	ck_assert_int_eq(pw_hash(NULL, hash), GH_INVALID);
	ck_assert_int_eq(pw_verify("", ""), GH_UNAUTH);
	ck_assert_int_eq(pw_verify("", "x"), GH_UNAUTH);
	ck_assert_int_eq(pw_verify(NULL, NULL), GH_UNAUTH);
	ck_assert_int_eq(pw_verify(NULL, "x"), GH_UNAUTH);
	/* the true hash of an empty password, made elsewhere */
	ck_assert_int_eq(argon2id_hash_encoded(1, 64, 1, "", 0, "somesalt", 8, 32, of_nothing, sizeof(of_nothing)),
			 ARGON2_OK);
	ck_assert_int_eq(pw_verify(of_nothing, ""), GH_UNAUTH);
}
END_TEST

START_TEST(a_password_of_the_longest_length_works_and_one_byte_more_does_not)
{
	char hash[PW_HASH_MAX], text[PW_MAX + 2];

	memset(text, 'x', sizeof(text));
	text[PW_MAX + 1] = '\0';
	ck_assert_int_eq(pw_hash(text, hash), GH_INVALID);
	text[PW_MAX] = '\0';
	ck_assert_int_eq(pw_hash(text, hash), GH_OK);
	ck_assert_int_eq(pw_verify(hash, text), GH_OK);
	text[PW_MAX] = 'x';
	ck_assert_int_eq(pw_verify(hash, text), GH_UNAUTH);
}
END_TEST

START_TEST(a_damaged_hash_is_told_apart_from_a_wrong_password)
{
	ck_assert_int_eq(pw_verify("not a hash", "x"), GH_DAMAGED);
	ck_assert_int_eq(pw_verify("$argon2id$v=19$m=19456,t=2,p=1$", "x"), GH_DAMAGED);
	ck_assert_int_eq(pw_verify("$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA", "x"), GH_DAMAGED);
}
END_TEST

static uint64_t processor_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * GH_S_NS + (uint64_t)t.tv_nsec;
}

static uint64_t cheapest_ns(const char *hash)
{
	uint64_t best_ns = UINT64_MAX;

	for (unsigned i = 0; i < 5; i++) {
		uint64_t from_ns = processor_ns(), took_ns;

		ck_assert_int_eq(pw_verify(hash, "wrong"), GH_UNAUTH);
		took_ns = processor_ns() - from_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	return best_ns;
}

START_TEST(an_unknown_user_costs_what_a_wrong_password_costs)
{
	char hash[PW_HASH_MAX];
	uint64_t known_ns, unknown_ns;

	ck_assert_int_eq(pw_hash("right", hash), GH_OK);
	known_ns = cheapest_ns(hash);
	unknown_ns = cheapest_ns(NULL);
	/* wide, for busy machines: without the dummy it would be a factor of thousands */
	ck_assert_uint_lt(known_ns, 3 * unknown_ns);
	ck_assert_uint_lt(unknown_ns, 3 * known_ns);
}
END_TEST

START_TEST(generated_passwords_differ_and_are_plain)
{
	char a[PW_GENERATED_MAX], b[PW_GENERATED_MAX];

	pw_generate(a);
	pw_generate(b);
	ck_assert_uint_eq(strlen(a), 23);
	ck_assert_str_ne(a, b);
	ck_assert_uint_eq(strspn(a, "0123456789abcdefghjkmnpqrstvwxyz-"), 23);
}
END_TEST

START_TEST(an_app_password_names_its_token)
{
	static const uint64_t ids[] = { 1, 31, 32, 0x7fffffffffffffff, 0x0123456789abcdef };
	char text[PW_GENERATED_MAX], other[PW_GENERATED_MAX];
	uint64_t id;

	for (unsigned i = 0; i < 5; i++) {
		pw_token_generate(ids[i], text);
		pw_token_generate(ids[i], other);
		ck_assert_str_ne(text, other);
		ck_assert(pw_token_parse(text, &id));
		ck_assert_uint_eq(id, ids[i]);
	}
}
END_TEST

START_TEST(what_only_looks_like_an_app_password_is_none)
{
	char text[PW_GENERATED_MAX];
	uint64_t id;

	pw_token_generate(77, text);
	text[strlen(text) - 1] = '\0';
	ck_assert(!pw_token_parse(text, &id));
	pw_token_generate(77, text);
	text[5] = 'U';
	ck_assert(!pw_token_parse(text, &id));
	pw_token_generate(77, text);
	text[16] = '-';
	ck_assert(!pw_token_parse(text, &id));
	ck_assert(!pw_token_parse("", &id));
	ck_assert(!pw_token_parse(NULL, &id));
	ck_assert(!pw_token_parse("gh_", &id));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("password");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_password_matches_its_own_hash_and_no_other);
	tcase_add_test(tc, an_empty_password_or_an_empty_hash_never_matches);
	tcase_add_test(tc, a_password_of_the_longest_length_works_and_one_byte_more_does_not);
	tcase_add_test(tc, a_damaged_hash_is_told_apart_from_a_wrong_password);
	tcase_add_test(tc, an_unknown_user_costs_what_a_wrong_password_costs);
	tcase_add_test(tc, generated_passwords_differ_and_are_plain);
	tcase_add_test(tc, an_app_password_names_its_token);
	tcase_add_test(tc, what_only_looks_like_an_app_password_is_none);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
