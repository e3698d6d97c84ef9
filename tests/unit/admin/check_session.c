/* Who is signed in to the console: secrets, ends, bounds; over a real core, because each use asks whether the operator
 * is still what it was. */
#include "tests/unit/core/control_help.h"

#include "frontends/admin/site.h"

enum { IDLE_MS = 1800000, LIFE_MS = 43200000 };

static struct site_sessions *sessions;
static struct operator_who ada;
static char cookie[SITE_SECRET_HEX], csrf[SITE_SECRET_HEX];
static struct site_who found;

static uint64_t now_ns = 7 * GH_S_NS;

static void pass_ms(uint64_t ms)
{
	now_ns += ms * GH_MS_NS;
}

static void setup(void)
{
	const struct operator_ask ask = { .name = "ada", .password = "correct horse", .peer = "192.0.2.1" };
	unsigned retry;

	core_open();
	done("operator.add", "{'name':'ada','role':'owner','password':'correct horse'}");
	done("operator.add", "{'name':'bob','role':'owner','password':'correct horse'}");
	ck_assert_int_eq(operator_sign_in(core, &ask, &ada, &retry), GH_OK);
	ck_assert_int_eq(site_sessions_new(IDLE_MS, LIFE_MS, &sessions), GH_OK);
	site_session_make(sessions, &ada, now_ns, cookie, csrf);
}

static void teardown(void)
{
	site_sessions_free(&sessions);
	core_close();
}

static bool find(const char *secret, bool touch)
{
	return site_session_find(sessions, core, secret, now_ns, touch, &found);
}

START_TEST(a_session_is_found_by_its_secret_and_by_nothing_else)
{
	char wrong[SITE_SECRET_HEX];

	ck_assert(find(cookie, true));
	ck_assert_str_eq(found.who.actor, "ada");
	ck_assert_int_eq(found.who.role, CONTROL_OWNER);
	ck_assert_str_eq(found.csrf, csrf);
	ck_assert_uint_eq(strlen(cookie), SITE_SECRET_HEX - 1);
	ck_assert_str_ne(cookie, csrf);
	memcpy(wrong, cookie, sizeof(wrong));
	wrong[10] ^= 1;
	ck_assert(!find(wrong, true));
	ck_assert(!find("", true));
	ck_assert(!find(csrf, true));
}
END_TEST

START_TEST(every_session_has_secrets_of_its_own)
{
	char second[SITE_SECRET_HEX], other[SITE_SECRET_HEX];

	site_session_make(sessions, &ada, now_ns, second, other);
	ck_assert_str_ne(cookie, second);
	ck_assert_str_ne(csrf, other);
	site_session_drop(sessions, second);
	ck_assert(!find(second, true));
	ck_assert(find(cookie, true));
}
END_TEST

START_TEST(what_is_not_used_ends_and_watching_is_no_use)
{
	for (unsigned i = 0; i < 4; i++) {
		pass_ms(IDLE_MS / 3);
		(void)find(cookie, false);
	}
	ck_assert(!find(cookie, true));
	site_session_make(sessions, &ada, now_ns, cookie, csrf);
	for (unsigned i = 0; i < 4; i++) {
		pass_ms(IDLE_MS / 3);
		ck_assert(find(cookie, true));
	}
}
END_TEST

START_TEST(even_what_is_used_ends)
{
	for (uint64_t passed = 0; passed < LIFE_MS; passed += IDLE_MS / 2) {
		ck_assert(find(cookie, true));
		pass_ms(IDLE_MS / 2);
	}
	ck_assert(find(cookie, true));
	pass_ms(1);
	ck_assert(!find(cookie, true));
}
END_TEST

START_TEST(a_session_ends_when_its_operator_is_another)
{
	done("operator.set", "{'name':'ada','role':'viewer'}");
	ck_assert(!find(cookie, true));
	done("operator.set", "{'name':'ada','role':'owner'}");
	ck_assert(!find(cookie, true)); /* it does not come back */
}
END_TEST

START_TEST(who_changes_itself_stays_here_and_nowhere_else)
{
	char second[SITE_SECRET_HEX];

	site_session_make(sessions, &ada, now_ns, second, csrf);
	site_session_changing(sessions, cookie);
	done("operator.set", "{'name':'ada','role':'operator'}");
	ck_assert(find(cookie, true)); /* its answer is on the way */
	ck_assert_int_eq(found.who.role, CONTROL_OWNER);
	site_session_renew(sessions, core, cookie);
	ck_assert(find(cookie, true));
	ck_assert_int_eq(found.who.role, CONTROL_OPERATOR);
	ck_assert(!find(second, true));

	site_session_changing(sessions, cookie);
	done("operator.set", "{'name':'ada','password':'x'}");
	done("operator.set", "{'name':'ada','password':'y'}"); /* somebody else was there too */
	site_session_renew(sessions, core, cookie);
	ck_assert(!find(cookie, true));
}
END_TEST

START_TEST(of_too_many_the_one_unused_longest_gives_way)
{
	char first[SITE_SECRET_HEX], other[SITE_SECRET_HEX];

	site_sessions_free(&sessions);
	ck_assert_int_eq(site_sessions_new(60000, 60000, &sessions), GH_OK);
	site_session_make(sessions, &ada, now_ns, first, csrf);
	site_session_make(sessions, &ada, now_ns, cookie, csrf);
	pass_ms(1);
	ck_assert(find(first, true));
	for (unsigned i = 0; i < 255; i++)
		site_session_make(sessions, &ada, now_ns, other, csrf);
	ck_assert(find(first, false));
	ck_assert(find(other, false));
	ck_assert(!find(cookie, false));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sessions of the console");
	TCase *t = tcase_create("sessions");
	SRunner *r = srunner_create(s);

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_session_is_found_by_its_secret_and_by_nothing_else);
	tcase_add_test(t, every_session_has_secrets_of_its_own);
	tcase_add_test(t, what_is_not_used_ends_and_watching_is_no_use);
	tcase_add_test(t, even_what_is_used_ends);
	tcase_add_test(t, a_session_ends_when_its_operator_is_another);
	tcase_add_test(t, who_changes_itself_stays_here_and_nowhere_else);
	tcase_add_test(t, of_too_many_the_one_unused_longest_gives_way);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
