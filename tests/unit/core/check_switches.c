/* Rules through the control operations over a real store: what they decide, what is refused, how they end, that they
 * stay; and a board that is swapped while threads ask it. */
#include "tests/unit/core/control_help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "core/switches.h"

static void setup(void)
{
	core_open();
	done("tenant.add", "{'name':'acme'}");
	done("tenant.add", "{'name':'other'}");
	done("user.add", "{'tenant':'acme','user':'ann','password':'secret'}");
}

static struct switch_ask ask_of(enum switch_proto proto, enum vfs_class class, const char *tenant)
{
	struct switch_ask a = { .proto = proto, .class = class };
	struct tenant *t;

	if (tenant) {
		ck_assert_int_eq(tenant_get(core, tenant, &t), GH_OK);
		a.tenant = t->id;
	}
	return a;
}

static struct switch_stand stand(enum switch_proto proto, enum vfs_class class, const char *tenant, bool writes)
{
	struct switch_ask a = ask_of(proto, class, tenant);
	struct switch_stand s;

	gh_rcu_online();
	s = switches_stand(core->switches, &a, writes);
	gh_rcu_offline();
	return s;
}

static enum gh_status read_by(enum switch_proto proto, const char *tenant)
{
	return stand(proto, VFS_C_READ, tenant, false).status;
}

static char *id_of(const json_t *result)
{
	static char id[32];

	snprintf(id, sizeof(id), "%s", text_of(result, "id"));
	return id;
}

static unsigned rules(void)
{
	json_t *list = ok("switch.list", "{}");
	unsigned n = (unsigned)item_count(list);

	json_decref(list);
	return n;
}

static bool has_event(const char *what, const char *path)
{
	json_t *list = ok("events.list", "{'limit':1000}"), *item;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		found |= !strcmp(text_of(item, "what"), what) && !strcmp(text_of(item, "path"), path);
	}
	json_decref(list);
	return found;
}

START_TEST(a_rule_decides_at_once_and_for_those_it_names)
{
	json_t *r = ok("switch.set", "{'protocols':['ftp'],'tenant':'acme','mode':'off','message':'Use https'}");
	struct switch_stand s = stand(SWITCH_FTP, VFS_C_LOOKUP, "acme", false);

	ck_assert_int_eq(s.status, GH_OFF);
	ck_assert_str_eq(s.message, "Use https");
	ck_assert_uint_gt(s.retry_after_s, 0);
	ck_assert_int_eq(json_integer_value(json_object_get(r, "live_after")), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(r, "hit"), "sessions")), 0);
	ck_assert_int_eq(read_by(SWITCH_FTPS, "acme"), GH_OFF);
	ck_assert_int_eq(read_by(SWITCH_FTP, "other"), GH_OK);
	ck_assert_int_eq(read_by(SWITCH_WEBDAV, "acme"), GH_OK);
	ck_assert(has_event("switch.set", "ftp tenant=acme"));
	json_decref(r);
	done("switch.clear", "{'protocols':['ftp'],'tenant':'acme'}");
	ck_assert_int_eq(read_by(SWITCH_FTP, "acme"), GH_OK);
	ck_assert(has_event("switch.clear", "ftp tenant=acme"));
	refused(GH_NOTFOUND, "switch.clear", "{'protocols':['ftp'],'tenant':'acme'}", "no such rule");
}
END_TEST

START_TEST(modes_have_their_own_statuses)
{
	done("switch.set", "{'tenant':'acme','mode':'read-only'}");
	ck_assert_int_eq(stand(SWITCH_REST, VFS_C_WRITE, "acme", true).status, GH_FROZEN);
	ck_assert_uint_eq(stand(SWITCH_REST, VFS_C_WRITE, "acme", true).retry_after_s, 0);
	ck_assert_int_eq(read_by(SWITCH_REST, "acme"), GH_OK);
	done("switch.set", "{'tenant':'acme','mode':'read-only','for_s':600}");
	ck_assert_int_eq(stand(SWITCH_REST, VFS_C_WRITE, "acme", true).status, GH_READONLY);
	ck_assert_uint_le(stand(SWITCH_REST, VFS_C_WRITE, "acme", true).retry_after_s, 600);
	ck_assert_uint_ge(stand(SWITCH_REST, VFS_C_WRITE, "acme", true).retry_after_s, 595);
	ck_assert_uint_eq(rules(), 1); /* the second took the first one's place */
	done("switch.set", "{'tenant':'acme','mode':'drain'}");
	ck_assert_int_eq(read_by(SWITCH_REST, "acme"), GH_DRAINING);
	done("switch.set", "{'tenant':'acme','classes':['read'],'mode':'off'}");
	ck_assert_int_eq(read_by(SWITCH_REST, "acme"), GH_OFF); /* the other classes are drained: nothing is left */
	done("switch.clear", "{'tenant':'acme'}");
	ck_assert_int_eq(read_by(SWITCH_REST, "acme"), GH_SUSPENDED);
	ck_assert_int_eq(stand(SWITCH_REST, VFS_C_LIST, "acme", false).status, GH_OK);
}
END_TEST

START_TEST(an_exception_opens_what_a_wider_rule_shuts)
{
	done("switch.set", "{'protocols':['ftp'],'mode':'off'}");
	done("switch.set", "{'protocols':['ftp'],'tenant':'acme','mode':'on'}");
	ck_assert_int_eq(read_by(SWITCH_FTP, "acme"), GH_OK);
	ck_assert_int_eq(read_by(SWITCH_FTP, "other"), GH_OFF);
}
END_TEST

START_TEST(what_cannot_be_a_rule_is_refused_with_the_reason_and_leaves_nothing)
{
	char args[12000], text[11000];

	refused(GH_INVALID, "switch.set", "{'mode':'off'}", "no scope");
	refused(GH_INVALID, "switch.set", "{'mode':'off','everywhere':true,'tenant':'acme'}", "one or the other");
	refused(GH_INVALID, "switch.set", "{'tenant':'acme'}", "mode");
	refused(GH_INVALID, "switch.set", "{'tenant':'acme','mode':'shut'}", "shut");
	refused(GH_INVALID, "switch.set", "{'protocols':['gopher'],'mode':'off'}", "gopher");
	refused(GH_INVALID, "switch.set", "{'protocols':['admin'],'mode':'off'}", "cannot be shut");
	refused(GH_INVALID, "switch.set", "{'classes':['paint'],'mode':'off'}", "paint");
	refused(GH_NOTFOUND, "switch.set", "{'tenant':'nobody','mode':'off'}", "nobody");
	refused(GH_NOTFOUND, "switch.set", "{'tenant':'acme','user':'zed','mode':'off'}", "zed");
	refused(GH_INVALID, "switch.set", "{'user':'ann','mode':'off'}", "without its tenant");
	refused(GH_INVALID, "switch.set", "{'tenant':'acme','mode':'off','for_s':0}", "past");
	refused(GH_INVALID, "switch.set", "{'tenant':'acme','mode':'off','for_s':-4}", "past");
	refused(GH_INVALID, "switch.set", "{'tenant':'acme','mode':'off','until':'2001-01-01T00:00:00Z'}", "past");
	refused(GH_INVALID, "switch.set", "{'tenant':'acme','mode':'off','until':'tomorrow'}", "tomorrow");
	refused(GH_INVALID, "switch.set", "{'tenant':'acme','mode':'off','for_s':5,'until':'2101-01-01T00:00:00Z'}",
		"two ends");
	refused(GH_INVALID, "switch.set", "{'tenant':'acme','mode':'off','message':'a\\nb'}", "line breaks");
	refused(GH_INVALID, "switch.set", "{'tenant':'acme','mode':'off','message':'a\\u0007'}", "control");
	memset(text, 'x', 10240);
	text[10240] = '\0';
	snprintf(args, sizeof(args), "{'tenant':'acme','mode':'off','message':'%.7000s'}", text);
	refused(GH_INVALID, "switch.set", args, "too long");
	ck_assert_uint_eq(rules(), 0);
	ck_assert_int_eq(read_by(SWITCH_FTP, "acme"), GH_OK);
}
END_TEST

START_TEST(a_dry_run_changes_nothing)
{
	json_t *r = ok("switch.set", "{'tenant':'acme','mode':'off','dry_run':true}");

	ck_assert_ptr_nonnull(json_object_get(r, "hit"));
	ck_assert_ptr_null(json_object_get(r, "id"));
	json_decref(r);
	ck_assert_uint_eq(rules(), 0);
	ck_assert_int_eq(read_by(SWITCH_WEB, "acme"), GH_OK);
}
END_TEST

START_TEST(a_rule_ends_by_itself_and_is_removed_with_an_event)
{
	const struct timespec nap = { 0, 20000000 };

	ck_assert_int_eq(gh_core_start(core), GH_OK);
	done("switch.set", "{'protocols':['web'],'mode':'off','for_s':1}");
	ck_assert_int_eq(read_by(SWITCH_WEB, NULL), GH_OFF);
	for (unsigned i = 0; i < 250 && !has_event("switch.expire", "web"); i++)
		nanosleep(&nap, NULL);
	ck_assert(has_event("switch.expire", "web"));
	ck_assert_int_eq(read_by(SWITCH_WEB, NULL), GH_OK);
	ck_assert_uint_eq(rules(), 0);
}
END_TEST

START_TEST(rules_are_there_again_after_a_restart)
{
	struct gh_core_config cc = core->cfg;
	char err[512], id[32], args[64];
	json_t *r = ok("switch.set", "{'protocols':['ftp'],'tenant':'acme','mode':'off','for_s':1000,'message':'m'}");

	strcpy(id, id_of(r));
	json_decref(r);
	gh_rcu_unregister();
	gh_core_free(&core);
	ck_assert_int_eq(gh_core_new(&cc, &core, err), GH_OK);
	gh_rcu_register();
	gh_rcu_offline();
	ck_assert_int_eq(read_by(SWITCH_FTP, "acme"), GH_OFF);
	ck_assert_uint_le(stand(SWITCH_FTP, VFS_C_READ, "acme", false).retry_after_s, 1000);
	snprintf(args, sizeof(args), "{'id':'%s'}", id);
	done("switch.clear", args);
	ck_assert_int_eq(read_by(SWITCH_FTP, "acme"), GH_OK);
}
END_TEST

START_TEST(a_host_that_is_drained_is_not_ready_and_one_that_is_off_everywhere_is)
{
	done("switch.set", "{'everywhere':true,'mode':'off'}");
	ck_assert_ptr_null(gh_core_not_ready(core));
	done("switch.set", "{'everywhere':true,'mode':'drain'}");
	ck_assert_ptr_nonnull(gh_core_not_ready(core));
	done("switch.set", "{'everywhere':true,'mode':'on'}");
	ck_assert_ptr_null(gh_core_not_ready(core));
}
END_TEST

/* A rule as another gateway, or this one before its restart, has stored it. */
static void store_rule(uint64_t id, int64_t made_us, int64_t until_us)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	const struct switch_kept k = {
		.rule = { .id = id, .protocols = 1u << SWITCH_REST, .mode = SWITCH_OFF, .percent = 100 },
		.made_us = made_us,
		.until_us = until_us,
	};
	const struct meta_setting row = { .kind = SWITCH_KIND, .id = id, .doc = switch_doc_write(a, &k) };
	struct meta_step step = { .kind = META_SETTING_PUT, .setting = &row };

	ck_assert_int_eq(house_commit(core, a, NULL, "tester", "switch.set", "", &step, 1), GH_OK);
	gh_arena_free(&a);
	ck_assert_int_eq(switches_load(core), GH_OK);
}

static int64_t left_ms(uint64_t id)
{
	struct switch_rules *r = switch_rules_ref(core->switches);
	int64_t left = -1;

	for (unsigned i = 0; i < r->count; i++)
		if (r->of[i].rule.id == id)
			left = r->of[i].rule.expires_ms - switch_now_ms();
	switch_rules_unref(&r);
	return left;
}

START_TEST(a_clock_that_was_set_back_does_not_make_a_rule_last_longer_than_it_was_made_for)
{
	const int64_t now_us = gh_real_us(), hour_us = 3600 * GH_S_US;

	store_rule(7, now_us + 24 * hour_us, now_us + 25 * hour_us); /* made for an hour, tomorrow */
	ck_assert_int_eq(read_by(SWITCH_REST, NULL), GH_OFF);
	ck_assert_int_le(left_ms(7), 3600 * 1000);
}
END_TEST

START_TEST(what_this_gateway_knows_ends_when_it_was_going_to_whatever_the_clock_says_meanwhile)
{
	struct switch_rules *r;
	int64_t first;

	done("switch.set", "{'protocols':['rest'],'mode':'off','for_s':100}");
	r = switch_rules_ref(core->switches);
	/* As if the clock had been set by a minute since: computed anew, the end would be another. */
	first = r->of[0].rule.expires_ms += 60000;
	switch_rules_unref(&r);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(switches_load(core), GH_OK);
	r = switch_rules_ref(core->switches);
	ck_assert_int_eq(r->of[0].rule.expires_ms, first);
	switch_rules_unref(&r);
	ck_assert_int_eq(read_by(SWITCH_REST, NULL), GH_OFF);
}
END_TEST

START_TEST(flags_have_types_ranges_and_rules)
{
	struct gh_core *c = core;
	json_t *r;

	refused(GH_NOTFOUND, "flag.set", "{'key':'no.such','value':true}", "no.such");
	refused(GH_INVALID, "flag.set", "{'key':'core.fastpath','value':7}", "wrong type");
	refused(GH_INVALID, "flag.set", "{'key':'core.fastpath','value':'perhaps'}", "true or false");
	refused(GH_INVALID, "flag.set", "{'key':'list.page','value':true}", "whole number");
	refused(GH_INVALID, "flag.set", "{'key':'list.page','value':5}", "10 to 1000");
	refused(GH_INVALID, "flag.set", "{'key':'list.page','value':{}}", "wrong type");
	refused(GH_INVALID, "flag.set", "{'key':'list.page','value':50,'percent':0}", "1 to 100");
	refused(GH_INVALID, "flag.set", "{'key':'list.page','value':50,'percent':101}", "1 to 100");
	done("flag.set", "{'key':'list.page','value':'50'}");
	ck_assert_int_eq(core_flag(c, VFS_FLAG_LIST_PAGE, VFS_REST, NULL, true), 50);
	r = ok("flag.set", "{'key':'list.page','value':70}");
	ck_assert_int_eq(core_flag(c, VFS_FLAG_LIST_PAGE, VFS_REST, NULL, true), 70);
	json_decref(r);
	r = ok("flag.describe", "{'key':'list.page'}");
	ck_assert_int_eq(json_integer_value(json_object_get(r, "value")), 70);
	ck_assert_uint_eq(json_array_size(json_object_get(r, "rules")), 1);
	char args[64];
	snprintf(args, sizeof(args), "{'id':'%s'}", text_of(json_array_get(json_object_get(r, "rules"), 0), "id"));
	json_decref(r);
	ck_assert_uint_eq(rules(), 0); /* a flag is no switch */
	done("flag.clear", args);
	ck_assert_int_eq(core_flag(c, VFS_FLAG_LIST_PAGE, VFS_REST, NULL, true), 1000);
}
END_TEST

START_TEST(a_rule_of_a_flag_is_cleared_by_key_and_scope_too)
{
	done("flag.set", "{'key':'list.page','value':50}");
	done("flag.set", "{'key':'list.page','value':60,'protocols':['rest']}");
	refused(GH_INVALID, "flag.clear", "{}", "by its id");
	refused(GH_NOTFOUND, "flag.clear", "{'key':'no.such'}", "no.such");
	refused(GH_NOTFOUND, "flag.clear", "{'key':'list.page','protocols':['ftp']}", "exactly this scope");
	done("flag.clear", "{'key':'list.page','protocols':['rest']}");
	ck_assert_int_eq(core_flag(core, VFS_FLAG_LIST_PAGE, VFS_REST, NULL, true), 50);
	done("flag.clear", "{'key':'list.page'}");
	ck_assert_int_eq(core_flag(core, VFS_FLAG_LIST_PAGE, VFS_REST, NULL, true), 1000);
}
END_TEST

/* ---- swapped while asked ---- */

static atomic_bool over;

static void *asks(void *arg)
{
	atomic_ulong *n = arg;
	struct switch_ask a = { .proto = SWITCH_FTP, .class = VFS_C_READ };

	gh_rcu_register();
	while (!atomic_load(&over)) {
		struct switch_stand s = switches_stand(core->switches, &a, false);

		ck_assert(s.status == GH_OK || s.status == GH_OFF);
		if (s.status == GH_OFF)
			ck_assert_str_eq(s.message, "closed");
		atomic_fetch_add(n, 1);
		gh_rcu_quiescent();
	}
	gh_rcu_unregister();
	return NULL;
}

static void *sets(void *arg)
{
	const char *tenant = arg;
	char args[128];

	for (unsigned i = 0; i < 30; i++) {
		snprintf(args, sizeof(args), "{\"tenant\":\"%s\",\"mode\":\"%s\"}", tenant, i % 2 ? "off" : "drain");
		struct control_call call = { .core = core, .actor = "tester", .role = CONTROL_OWNER,
					     .args = json_loads(args, 0, NULL) };

		ck_assert_int_eq(control_run("switch.set", &call), GH_OK);
		json_decref((json_t *)call.args);
		json_decref(call.result);
	}
	return NULL;
}

START_TEST(a_board_is_swapped_while_threads_ask_and_others_set)
{
	pthread_t askers[3], setters[2];
	atomic_ulong n = 0;
	static char acme[] = "acme", other[] = "other";

	for (unsigned i = 0; i < 3; i++)
		pthread_create(&askers[i], NULL, asks, &n);
	pthread_create(&setters[0], NULL, sets, acme);
	pthread_create(&setters[1], NULL, sets, other);
	for (unsigned i = 0; i < 30; i++)
		done("switch.set", i % 2 ? "{'protocols':['ftp'],'mode':'on'}"
					 : "{'protocols':['ftp'],'mode':'off','message':'closed'}");
	pthread_join(setters[0], NULL);
	pthread_join(setters[1], NULL);
	atomic_store(&over, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(askers[i], NULL);
	ck_assert_uint_gt(atomic_load(&n), 100);
	ck_assert_uint_eq(rules(), 3);
	ck_assert_int_eq(read_by(SWITCH_FTP, NULL), GH_OK);
	ck_assert_int_eq(read_by(SWITCH_REST, "acme"), GH_OFF);
	ck_assert_int_eq(read_by(SWITCH_REST, "other"), GH_OFF);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("switches");
	TCase *t = tcase_create("switches");

	tcase_add_checked_fixture(t, setup, core_close);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_rule_decides_at_once_and_for_those_it_names);
	tcase_add_test(t, modes_have_their_own_statuses);
	tcase_add_test(t, an_exception_opens_what_a_wider_rule_shuts);
	tcase_add_test(t, what_cannot_be_a_rule_is_refused_with_the_reason_and_leaves_nothing);
	tcase_add_test(t, a_dry_run_changes_nothing);
	tcase_add_test(t, a_rule_ends_by_itself_and_is_removed_with_an_event);
	tcase_add_test(t, rules_are_there_again_after_a_restart);
	tcase_add_test(t, a_host_that_is_drained_is_not_ready_and_one_that_is_off_everywhere_is);
	tcase_add_test(t, a_clock_that_was_set_back_does_not_make_a_rule_last_longer_than_it_was_made_for);
	tcase_add_test(t, what_this_gateway_knows_ends_when_it_was_going_to_whatever_the_clock_says_meanwhile);
	tcase_add_test(t, flags_have_types_ranges_and_rules);
	tcase_add_test(t, a_rule_of_a_flag_is_cleared_by_key_and_scope_too);
	tcase_add_test(t, a_board_is_swapped_while_threads_ask_and_others_set);
	suite_add_tcase(s, t);
	return run_suite(s);
}
