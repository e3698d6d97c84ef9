/* Shares and pools as an administrator sets them, over a real store: what is kept, what is in force at once and after a
 * start, what is refused and why, and what the event log says. */
#include "tests/unit/core/control_help.h"

#include "core/fair.h"
#include "core/house.h"

static struct tenant *acme;

static void setup(void)
{
	core_open();
	done("tenant.add", "{'name':'acme'}");
	ck_assert_int_eq(tenant_get(core, "acme", &acme), GH_OK);
}

/* The gateway ends and starts again on what is stored. */
static void start_again(bool share_off)
{
	struct gh_core_config cc = { .blob_ops = &fake_ops, .blobs = &backend, .blob_kind = "fake", .access_log = "",
				     .workers = 1, .login_threads = 1, .meta = store, .share_off = share_off };
	char err[256];

	gh_core_free(&core);
	ck_assert_msg(gh_core_new(&cc, &core, err) == GH_OK, "%s", err);
	ck_assert_int_eq(tenant_get(core, "acme", &acme), GH_OK);
}

static long long number_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	ck_assert_msg(json_is_integer(v), "no number \"%s\"", key);
	return json_integer_value(v);
}

static void share_is(const char *tenant, long long weight, long long cap, const char *pool)
{
	json_t *list = ok("share.list", "{}"), *item = item_where(list, "tenant", tenant);

	ck_assert_ptr_nonnull(item);
	ck_assert_int_eq(number_of(item, "weight"), weight);
	ck_assert_int_eq(number_of(item, "cap"), cap);
	ck_assert_str_eq(text_of(item, "pool"), pool);
	json_decref(list);
}

static bool event_says(const char *what, const char *path, const char *detail)
{
	json_t *list = ok("events.list", "{'limit':1000}"), *item;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(list, "items"), i, item)
		found |= !strcmp(text_of(item, "what"), what) && !strcmp(text_of(item, "path"), path) &&
			 strstr(text_of(item, "dest"), detail);
	json_decref(list);
	return found;
}

/* ---- shares ---- */

START_TEST(everybody_has_the_usual_share_until_it_is_changed)
{
	json_t *list = ok("share.list", "{}"), *item = item_where(list, "tenant", "acme");

	ck_assert_uint_eq(item_count(list), 1);
	ck_assert_int_eq(number_of(item, "shed"), 0);
	ck_assert_int_eq(number_of(item, "running"), 0);
	ck_assert_int_eq(number_of(item, "waiting"), 0);
	ck_assert_int_eq(number_of(item, "wait_p99_ms"), 0);
	ck_assert(json_is_number(json_object_get(item, "share")));
	ck_assert(json_is_number(json_object_get(item, "bytes_s")));
	json_decref(list);
	share_is("acme", 100, 0, "");
}
END_TEST

START_TEST(a_changed_share_is_in_force_when_the_command_returns)
{
	json_t *result;

	ck_assert_uint_eq(share_rule(core, acme).weight, 100); /* looked up, and so remembered */
	result = ok("share.set", "{'tenant':'acme','weight':300,'cap':4}");
	ck_assert_int_eq(number_of(result, "weight"), 300);
	ck_assert(json_is_true(json_object_get(result, "in_force")));
	json_decref(result);
	ck_assert_uint_eq(share_rule(core, acme).weight, 300);
	ck_assert_uint_eq(share_rule(core, acme).cap, 4);
	/* what is not named stays as it is */
	done("share.set", "{'tenant':'acme','cap':0}");
	share_is("acme", 300, 0, "");
	done("share.set", "{'tenant':'acme','weight':1000}");
	share_is("acme", 1000, 0, "");
	done("share.set", "{'tenant':'acme','weight':1}");
	ck_assert_uint_eq(share_rule(core, acme).weight, 1);
}
END_TEST

START_TEST(a_share_survives_a_restart)
{
	done("pool.set", "{'name':'gold','slots':3,'queue':7}");
	done("share.set", "{'tenant':'acme','weight':250,'cap':9,'pool':'gold'}");
	start_again(false);
	share_is("acme", 250, 9, "gold");
	ck_assert_uint_eq(share_rule(core, acme).weight, 250);
	ck_assert_uint_ne(share_rule(core, acme).pool, 0);
}
END_TEST

START_TEST(a_change_of_a_share_is_audited)
{
	done("share.set", "{'tenant':'acme','weight':200}");
	ck_assert(event_says("share.set", "acme", "weight 200, cap 0, pool shared"));
}
END_TEST

START_TEST(shares_that_cannot_be_are_refused_with_the_reason)
{
	refused(GH_INVALID, "share.set", "{'tenant':'acme','weight':0}", "1 to 1000");
	refused(GH_INVALID, "share.set", "{'tenant':'acme','weight':1001}", "1 to 1000");
	refused(GH_INVALID, "share.set", "{'tenant':'acme','weight':4294967396}", "1 to 1000"); /* 2^32 + 100 */
	refused(GH_INVALID, "share.set", "{'tenant':'acme','weight':-5}", "1 to 1000");
	refused(GH_INVALID, "share.set", "{'tenant':'acme','weight':1.5}", "weight");
	refused(GH_INVALID, "share.set", "{'tenant':'acme','weight':'much'}", "weight");
	refused(GH_INVALID, "share.set", "{'tenant':'acme','cap':-1}", "no cap");
	refused(GH_INVALID, "share.set", "{'tenant':'acme','cap':100001}", "100000");
	refused(GH_INVALID, "share.set", "{'tenant':'acme','pool':7}", "pool");
	refused(GH_INVALID, "share.set", "{'tenant':'acme'}", "nothing to change");
	refused(GH_NOTFOUND, "share.set", "{'tenant':'nobody','weight':5}", "nobody");
	refused(GH_NOTFOUND, "share.set", "{'tenant':'acme','pool':'gold'}", "gold");
	share_is("acme", 100, 0, "");
	ck_assert(!event_says("share.set", "acme", ""));
}
END_TEST

/* ---- pools ---- */

START_TEST(a_pool_is_made_changed_and_listed)
{
	json_t *list, *item;

	done("pool.set", "{'name':'gold','slots':3}");
	done("pool.set", "{'name':'silver','slots':1,'queue':5}");
	list = ok("pool.list", "{}");
	ck_assert_uint_eq(item_count(list), 2);
	item = item_where(list, "name", "gold");
	ck_assert_int_eq(number_of(item, "slots"), 3);
	ck_assert_int_eq(number_of(item, "queue"), 256);
	ck_assert_int_eq(number_of(item, "running"), 0);
	ck_assert_int_eq(number_of(item, "waiting"), 0);
	json_decref(list);
	done("pool.set", "{'name':'gold','queue':9}"); /* the slots stay */
	done("pool.set", "{'name':'silver','slots':2}");
	start_again(false);
	list = ok("pool.list", "{}");
	ck_assert_uint_eq(item_count(list), 2);
	ck_assert_int_eq(number_of(item_where(list, "name", "gold"), "slots"), 3);
	ck_assert_int_eq(number_of(item_where(list, "name", "gold"), "queue"), 9);
	ck_assert_int_eq(number_of(item_where(list, "name", "silver"), "slots"), 2);
	ck_assert_int_eq(number_of(item_where(list, "name", "silver"), "queue"), 5);
	json_decref(list);
	ck_assert(event_says("pool.set", "gold", "slots 3, queue 9"));
}
END_TEST

START_TEST(a_tenant_goes_into_a_pool_and_out_again)
{
	done("pool.set", "{'name':'gold','slots':3}");
	done("share.set", "{'tenant':'acme','pool':'gold'}");
	share_is("acme", 100, 0, "gold");
	ck_assert_uint_eq(share_rule(core, acme).pool, 1);
	done("share.set", "{'tenant':'acme','pool':null}");
	share_is("acme", 100, 0, "");
	done("share.set", "{'tenant':'acme','pool':'gold'}");
	done("share.set", "{'tenant':'acme','pool':'shared'}");
	share_is("acme", 100, 0, "");
	ck_assert_uint_eq(share_rule(core, acme).pool, 0);
}
END_TEST

START_TEST(a_pool_that_is_removed_gives_its_tenants_back_for_good)
{
	json_t *result;

	done("tenant.add", "{'name':'other'}");
	done("pool.set", "{'name':'gold','slots':3}");
	done("pool.set", "{'name':'silver','slots':3}");
	done("share.set", "{'tenant':'acme','weight':300,'cap':2,'pool':'gold'}");
	done("share.set", "{'tenant':'other','pool':'silver'}");
	result = ok("pool.remove", "{'name':'gold'}");
	ck_assert_int_eq(number_of(result, "moved"), 1);
	ck_assert_int_eq(number_of(result, "running"), 0);
	ck_assert_int_eq(number_of(result, "waiting"), 0);
	json_decref(result);
	share_is("acme", 300, 2, "");
	share_is("other", 100, 0, "silver");
	ck_assert_uint_eq(share_rule(core, acme).pool, 0);
	ck_assert(event_says("pool.remove", "gold", "1 tenants to the shared pool"));
	/* another pool of that name is another pool */
	done("pool.set", "{'name':'gold','slots':3}");
	ck_assert_uint_eq(share_rule(core, acme).pool, 0);
	start_again(false);
	share_is("acme", 300, 2, "");
	share_is("other", 100, 0, "silver");
}
END_TEST

START_TEST(pools_that_cannot_be_are_refused_with_the_reason)
{
	refused(GH_INVALID, "pool.set", "{'name':'gold'}", "slots");
	refused(GH_INVALID, "pool.set", "{'name':'gold','slots':0}", "1 to 128");
	refused(GH_INVALID, "pool.set", "{'name':'gold','slots':-1}", "1 to 128");
	refused(GH_INVALID, "pool.set", "{'name':'gold','slots':4294967299}", "1 to 128"); /* 2^32 + 3 */
	refused(GH_INVALID, "pool.set", "{'name':'gold','slots':1,'queue':0}", "queue");
	refused(GH_INVALID, "pool.set", "{'name':'Gold Medal','slots':1}", "a-z");
	refused(GH_INVALID, "pool.set", "{'name':'shared','slots':1}", "workers.threads");
	refused(GH_INVALID, "pool.set", "{'slots':1}", "name");
	done("pool.set", "{'name':'gold','slots':120}");
	refused(GH_INVALID, "pool.set", "{'name':'silver','slots':9}", "128"); /* of all together */
	done("pool.set", "{'name':'silver','slots':8}");
	refused(GH_NOTFOUND, "pool.remove", "{'name':'bronze'}", "bronze");
	refused(GH_INVALID, "pool.remove", "{'name':'shared'}", "shared");
	ck_assert(!event_says("pool.remove", "bronze", ""));
}
END_TEST

START_TEST(where_the_fair_share_is_off_settings_are_kept_and_said_not_to_be_in_force)
{
	json_t *result;

	start_again(true);
	result = ok("pool.set", "{'name':'gold','slots':3}");
	ck_assert(json_is_false(json_object_get(result, "in_force")));
	json_decref(result);
	result = ok("share.set", "{'tenant':'acme','weight':300,'pool':'gold'}");
	ck_assert(json_is_false(json_object_get(result, "in_force")));
	json_decref(result);
	share_is("acme", 300, 0, "gold");
	ck_assert_uint_eq(share_rule(core, acme).weight, 100);
	start_again(false);
	share_is("acme", 300, 0, "gold");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control_share");
	TCase *t = tcase_create("control_share");

	tcase_add_checked_fixture(t, setup, core_close);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, everybody_has_the_usual_share_until_it_is_changed);
	tcase_add_test(t, a_changed_share_is_in_force_when_the_command_returns);
	tcase_add_test(t, a_share_survives_a_restart);
	tcase_add_test(t, a_change_of_a_share_is_audited);
	tcase_add_test(t, shares_that_cannot_be_are_refused_with_the_reason);
	tcase_add_test(t, a_pool_is_made_changed_and_listed);
	tcase_add_test(t, a_tenant_goes_into_a_pool_and_out_again);
	tcase_add_test(t, a_pool_that_is_removed_gives_its_tenants_back_for_good);
	tcase_add_test(t, pools_that_cannot_be_are_refused_with_the_reason);
	tcase_add_test(t, where_the_fair_share_is_off_settings_are_kept_and_said_not_to_be_in_force);
	suite_add_tcase(s, t);
	return run_suite(s);
}
