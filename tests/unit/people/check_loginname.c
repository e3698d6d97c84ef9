#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/people/loginname.h"

static struct gh_arena *arena;
static struct login_name n;

static void setup(void)
{
	arena = gh_arena_new(65536);
	ck_assert_ptr_nonnull(arena);
}

static void teardown(void)
{
	gh_arena_free(&arena);
}

static enum gh_status parse(const char *text)
{
	memset(&n, 0, sizeof(n));
	return login_name_parse(arena, text, strlen(text), &n);
}

START_TEST(a_plain_name_names_no_tenant)
{
	ck_assert_int_eq(parse("Ann"), GH_OK);
	ck_assert_ptr_null(n.tenant);
	ck_assert_str_eq(n.user, "Ann");
	ck_assert_str_eq(n.key, "ann");
}
END_TEST

START_TEST(both_spellings_name_a_tenant)
{
	ck_assert_int_eq(parse("acme/ann"), GH_OK);
	ck_assert_str_eq(n.tenant, "acme");
	ck_assert_str_eq(n.key, "ann");
	ck_assert_int_eq(parse("ann$acme"), GH_OK);
	ck_assert_str_eq(n.tenant, "acme");
	ck_assert_str_eq(n.key, "ann");
	ck_assert_int_eq(parse("ACME/ann"), GH_OK);
	ck_assert_str_eq(n.tenant, "acme");
	ck_assert_int_eq(parse("ann@example.org"), GH_OK);
	ck_assert_ptr_null(n.tenant);
}
END_TEST

START_TEST(equivalent_spellings_of_a_user_have_one_key)
{
	char first[64];

	ck_assert_int_eq(parse("Ren\xc3\xa9"), GH_OK);
	strcpy(first, n.key);
	ck_assert_int_eq(parse("rene\xcc\x81"), GH_OK);
	ck_assert_str_eq(n.key, first);
}
END_TEST

START_TEST(names_that_could_climb_or_forge_are_refused)
{
	static const char *const bad[] = { "",
					   ".",
					   "..",
					   "acme/",
					   "/ann",
					   "acme/..",
					   "a/../b",
					   "DOMAIN\\ann",
					   "ann$",
					   "$acme",
					   "a/b/c",
					   "a$b$c",
					   "a/b$c",
					   "ann:x",
					   " ann",
					   "ann ",
					   "a\tb",
					   "a\177b",
					   "\xff\xfe",
					   "../ann",
					   "ac me/ann",
					   "-acme/ann",
					   "acme/ann\n" };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(parse(bad[i]) == GH_BADNAME, "%s passed", bad[i]);
	ck_assert_int_eq(login_name_parse(arena, "ann\0x", 5, &n), GH_BADNAME);
	ck_assert_int_eq(login_name_parse(arena, "ac\0me/ann", 9, &n), GH_BADNAME);
}
END_TEST

START_TEST(names_that_are_too_long_are_refused)
{
	char text[400];

	memset(text, 'a', sizeof(text));
	text[LOGIN_NAME_MAX] = '\0';
	ck_assert_int_eq(parse(text), GH_OK);
	text[LOGIN_NAME_MAX] = 'a';
	text[LOGIN_NAME_MAX + 1] = '\0';
	ck_assert_int_eq(parse(text), GH_BADNAME);
	text[LOGIN_NAME_MAX + 1] = 'a';
	text[300] = '\0';
	ck_assert_int_eq(parse(text), GH_BADNAME);
	text[300] = '/';
	text[302] = '\0';
	ck_assert_int_eq(parse(text), GH_BADNAME);
}
END_TEST

START_TEST(the_host_chooses_the_tenant_then_the_login_then_the_default)
{
	const char *tenant;

	ck_assert_int_eq(parse("ann"), GH_OK);
	ck_assert_int_eq(login_name_tenant(&n, "acme", &tenant), GH_OK);
	ck_assert_str_eq(tenant, "acme");
	ck_assert_int_eq(login_name_tenant(&n, NULL, &tenant), GH_OK);
	ck_assert_str_eq(tenant, "default");
	ck_assert_int_eq(parse("acme/ann"), GH_OK);
	ck_assert_int_eq(login_name_tenant(&n, NULL, &tenant), GH_OK);
	ck_assert_str_eq(tenant, "acme");
	ck_assert_int_eq(login_name_tenant(&n, "acme", &tenant), GH_OK);
	ck_assert_str_eq(tenant, "acme");
}
END_TEST

START_TEST(a_login_for_another_tenant_than_the_hosts_is_refused)
{
	const char *tenant = NULL;

	ck_assert_int_eq(parse("evil/ann"), GH_OK);
	ck_assert_int_eq(login_name_tenant(&n, "acme", &tenant), GH_UNAUTH);
	ck_assert_ptr_null(tenant);
}
END_TEST

START_TEST(tenant_names_are_narrow)
{
	char text[80];

	ck_assert(tenant_name_ok("a"));
	ck_assert(tenant_name_ok("0acme.org-x_y"));
	ck_assert(!tenant_name_ok(""));
	ck_assert(!tenant_name_ok("."));
	ck_assert(!tenant_name_ok(".."));
	ck_assert(!tenant_name_ok("-a"));
	ck_assert(!tenant_name_ok("A"));
	ck_assert(!tenant_name_ok("a/b"));
	ck_assert(!tenant_name_ok("a b"));
	ck_assert(!tenant_name_ok("a%2fb"));
	ck_assert(!tenant_name_ok("\xc3\xa4"));
	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	ck_assert(tenant_name_ok(text));
	text[63] = 'a';
	text[64] = '\0';
	ck_assert(!tenant_name_ok(text));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loginname");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_plain_name_names_no_tenant);
	tcase_add_test(tc, both_spellings_name_a_tenant);
	tcase_add_test(tc, equivalent_spellings_of_a_user_have_one_key);
	tcase_add_test(tc, names_that_could_climb_or_forge_are_refused);
	tcase_add_test(tc, names_that_are_too_long_are_refused);
	tcase_add_test(tc, the_host_chooses_the_tenant_then_the_login_then_the_default);
	tcase_add_test(tc, a_login_for_another_tenant_than_the_hosts_is_refused);
	tcase_add_test(tc, tenant_names_are_narrow);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
