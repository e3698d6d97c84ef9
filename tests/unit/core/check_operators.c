/* Operators over a real store: what they may be, signing in, one-time codes, tokens, that they stay. */
#include "tests/unit/core/control_help.h"

#include "core/operators_work.h"

static unsigned wait_s;
static struct operator_who who;

static enum gh_status sign_in(const char *name, const char *password, const char *code)
{
	const struct operator_ask ask = {
		.name = name, .password = password, .code = code, .peer = "192.0.2.1", .prefix = 7
	};

	return operator_sign_in(core, &ask, &who, &wait_s);
}

static void setup(void)
{
	core_open();
	done("operator.add", "{'name':'Ada','role':'owner','password':'correct horse'}");
}

/* The gateway starts anew over the same store. */
static void reopen(void)
{
	gh_core_free(&core);
	meta_close(&store);
	core_start();
}

START_TEST(who_knows_the_password_signs_in_with_its_role)
{
	done("operator.add", "{'name':'wat','role':'viewer','password':'battery staple'}");
	ck_assert_int_eq(sign_in("ada", "correct horse", NULL), GH_OK);
	ck_assert_str_eq(who.actor, "Ada");
	ck_assert_int_eq(who.role, CONTROL_OWNER);
	ck_assert_int_eq(sign_in("wat", "battery staple", ""), GH_OK);
	ck_assert_int_eq(who.role, CONTROL_VIEWER);
	ck_assert_int_eq(sign_in("wat", "correct horse", NULL), GH_UNAUTH);
	ck_assert_int_eq(sign_in("nobody", "correct horse", NULL), GH_UNAUTH);
	ck_assert_int_eq(sign_in("a/b", "correct horse", NULL), GH_UNAUTH);
	ck_assert_int_eq(sign_in("", "", NULL), GH_UNAUTH);
}
END_TEST

START_TEST(a_sign_in_is_on_record)
{
	json_t *list, *item;

	ck_assert_int_eq(sign_in("ada", "correct horse", NULL), GH_OK);
	list = ok("operator.list", "{}");
	item = item_where(list, "name", "Ada");
	ck_assert(json_is_string(json_object_get(item, "seen")));
	json_decref(list);
	list = ok("events.list", "{}");
	ck_assert_ptr_nonnull(item_where(list, "what", "operator.sign-in"));
	ck_assert_str_eq(text_of(item_where(list, "what", "operator.sign-in"), "user"), "Ada");
	json_decref(list);
}
END_TEST

START_TEST(wrong_passwords_are_counted_and_then_refused_for_a_while)
{
	enum gh_status st = GH_UNAUTH;
	unsigned tries = 0;

	for (; st == GH_UNAUTH && tries < 50; tries++)
		st = sign_in("ada", "wrong", NULL);
	ck_assert_int_eq(st, GH_THROTTLED);
	ck_assert_uint_ge(tries, 5);
	ck_assert_uint_ge(wait_s, 1);
	ck_assert_int_eq(sign_in("ada", "correct horse", NULL), GH_THROTTLED);
}
END_TEST

START_TEST(what_is_asked_for_wrongly_is_refused_with_the_reason)
{
	refused(GH_EXISTS, "operator.add", "{'name':'ADA','role':'owner','password':'x'}", "exists");
	refused(GH_INVALID, "operator.add", "{'name':'bob','role':'king','password':'x'}", "king");
	refused(GH_INVALID, "operator.add", "{'name':'bob','role':'viewer','password':''}", "password");
	refused(GH_BADNAME, "operator.add", "{'name':'a:b','role':'viewer'}", "a:b");
	refused(GH_INVALID, "operator.set", "{'name':'ada'}", "nothing");
	refused(GH_NOTFOUND, "operator.set", "{'name':'bob','role':'viewer'}", "bob");
	refused(GH_NOTFOUND, "operator.remove", "{'name':'bob'}", "bob");
	refused(GH_NOTFOUND, "operator.totp", "{'name':'bob','on':true}", "bob");
	refused(GH_NOTFOUND, "operator.token.revoke", "{'id':'12'}", "token");
	refused(GH_INVALID, "operator.token.add", "{'name':'x','role':'viewer','days':0}", "days");
}
END_TEST

START_TEST(a_password_that_was_not_given_is_made)
{
	json_t *made = ok("operator.add", "{'name':'bob','role':'operator'}");

	ck_assert_int_eq(sign_in("bob", text_of(made, "password"), NULL), GH_OK);
	json_decref(made);
}
END_TEST

START_TEST(the_last_owner_stays)
{
	refused(GH_PRECONDITION, "operator.remove", "{'name':'ada'}", "last owner");
	refused(GH_PRECONDITION, "operator.set", "{'name':'ada','role':'operator'}", "last owner");
	refused(GH_PRECONDITION, "operator.set", "{'name':'ada','disabled':true}", "last owner");
	done("operator.add", "{'name':'bob','role':'owner','password':'x'}");
	done("operator.set", "{'name':'bob','disabled':true}");
	refused(GH_PRECONDITION, "operator.remove", "{'name':'ada'}", "last owner");
	done("operator.set", "{'name':'bob','disabled':false}");
	done("operator.remove", "{'name':'ada'}");
	refused(GH_PRECONDITION, "operator.remove", "{'name':'bob'}", "last owner");
}
END_TEST

START_TEST(whoever_is_changed_is_no_longer_what_it_was)
{
	static const char *const changes[] = {
		"{'name':'bob','role':'viewer'}",
		"{'name':'bob','password':'y'}",
		"{'name':'bob','disabled':true}",
	};

	done("operator.add", "{'name':'bob','role':'owner','password':'x'}");
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(sign_in("bob", i < 2 ? "x" : "y", NULL), GH_OK);
		ck_assert(operator_still(core, who.id, who.gen));
		done("operator.set", changes[i]);
		ck_assert(!operator_still(core, who.id, who.gen));
	}
	ck_assert_int_eq(sign_in("bob", "y", NULL), GH_UNAUTH); /* disabled */
	done("operator.set", "{'name':'bob','disabled':false}");
	ck_assert_int_eq(sign_in("bob", "y", NULL), GH_OK);
	ck_assert(operator_still(core, who.id, who.gen)); /* a sign-in changes nothing */
	ck_assert_int_eq(sign_in("bob", "y", NULL), GH_OK);
	ck_assert(operator_still(core, who.id, who.gen));
	done("operator.remove", "{'name':'bob'}");
	ck_assert(!operator_still(core, who.id, who.gen));
}
END_TEST

static const char *code_now(const char *text, int steps)
{
	static char code[16];
	unsigned char secret[TOTP_SECRET_BYTES];

	ck_assert(totp_secret_parse(text, secret));
	snprintf(code, sizeof(code), "%06u",
		 totp_code(secret, (uint64_t)(gh_real_us() / GH_S_US / TOTP_STEP_S + steps)));
	return code;
}

START_TEST(a_code_is_wanted_once_and_works_once)
{
	json_t *on = ok("operator.totp", "{'name':'ada','on':true}"), *list;
	const char *secret = text_of(on, "secret");
	char code[16];

	ck_assert_ptr_nonnull(strstr(text_of(on, "uri"), secret));
	ck_assert_int_eq(sign_in("ada", "wrong", NULL), GH_UNAUTH);
	ck_assert_int_eq(sign_in("ada", "correct horse", NULL), GH_PRECONDITION);
	ck_assert_int_eq(sign_in("ada", "correct horse", "12345"), GH_PRECONDITION);
	snprintf(code, sizeof(code), "%s", code_now(secret, 0));
	ck_assert_int_eq(sign_in("ada", "wrong", code), GH_UNAUTH);
	ck_assert_int_eq(sign_in("ada", "correct horse", code), GH_OK);
	ck_assert_int_eq(sign_in("ada", "correct horse", code), GH_PRECONDITION);
	reopen();
	ck_assert_int_eq(sign_in("ada", "correct horse", code), GH_PRECONDITION);
	ck_assert_int_eq(sign_in("ada", "correct horse", code_now(secret, 1)), GH_OK);
	json_decref(on);
	list = ok("operator.list", "{}");
	ck_assert(json_is_true(json_object_get(item_where(list, "name", "Ada"), "totp")));
	json_decref(list);
	done("operator.totp", "{'name':'ada','on':false}");
	ck_assert_int_eq(sign_in("ada", "correct horse", NULL), GH_OK);
}
END_TEST

START_TEST(a_token_is_good_until_it_is_revoked)
{
	json_t *made = ok("operator.token.add", "{'name':'grafana','role':'viewer','days':3}"), *list;
	char token[128], other[128];

	snprintf(token, sizeof(token), "%s", text_of(made, "token"));
	json_decref(made);
	refused(GH_EXISTS, "operator.token.add", "{'name':'grafana','role':'owner'}", "grafana");
	reopen();
	ck_assert(operator_token(core, token, &who));
	ck_assert_str_eq(who.actor, "token:grafana");
	ck_assert_int_eq(who.role, CONTROL_VIEWER);
	snprintf(other, sizeof(other), "%s", token);
	other[strlen(other) - 1] ^= 1;
	ck_assert(!operator_token(core, other, &who));
	ck_assert(!operator_token(core, "", &who));
	ck_assert(!operator_token(core, "gho_", &who));
	list = ok("operator.token.list", "{}");
	snprintf(other, sizeof(other), "{'id':'%s'}", text_of(item_where(list, "name", "grafana"), "id"));
	ck_assert(json_is_string(json_object_get(item_where(list, "name", "grafana"), "expires")));
	json_decref(list);
	done("operator.token.revoke", other);
	ck_assert(!operator_token(core, token, &who));
}
END_TEST

START_TEST(no_secret_is_in_the_event_log)
{
	json_t *on = ok("operator.totp", "{'name':'ada','on':true}"), *list;
	char *text;

	done("operator.set", "{'name':'ada','password':'new secret'}");
	list = ok("events.list", "{}");
	text = json_dumps(list, 0);
	ck_assert_ptr_null(strstr(text, "new secret"));
	ck_assert_ptr_null(strstr(text, text_of(on, "secret")));
	ck_assert_ptr_nonnull(strstr(text, "operator:Ada"));
	free(text);
	json_decref(list);
	json_decref(on);
}
END_TEST

START_TEST(the_first_operator_is_made_once)
{
	char password[PW_GENERATED_MAX];

	ck_assert_int_eq(gh_core_bootstrap_operator(core, NULL, password), GH_OK);
	ck_assert_str_eq(password, ""); /* there is one */
	core_close();
	core_open();
	ck_assert_int_eq(gh_core_bootstrap_operator(core, NULL, password), GH_OK);
	ck_assert_int_eq(sign_in("admin", password, NULL), GH_OK);
	ck_assert_int_eq(who.role, CONTROL_OWNER);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("operators");
	TCase *tc = tcase_create("operators");
	SRunner *r = srunner_create(s);

	tcase_add_checked_fixture(tc, setup, core_close);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, who_knows_the_password_signs_in_with_its_role);
	tcase_add_test(tc, a_sign_in_is_on_record);
	tcase_add_test(tc, wrong_passwords_are_counted_and_then_refused_for_a_while);
	tcase_add_test(tc, what_is_asked_for_wrongly_is_refused_with_the_reason);
	tcase_add_test(tc, a_password_that_was_not_given_is_made);
	tcase_add_test(tc, the_last_owner_stays);
	tcase_add_test(tc, whoever_is_changed_is_no_longer_what_it_was);
	tcase_add_test(tc, a_code_is_wanted_once_and_works_once);
	tcase_add_test(tc, a_token_is_good_until_it_is_revoked);
	tcase_add_test(tc, no_secret_is_in_the_event_log);
	tcase_add_test(tc, the_first_operator_is_made_once);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
