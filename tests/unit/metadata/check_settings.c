/* The house's settings: put, read by kind, guarded by their rev, gone with the user they are about, told in the house's own
 * events. */
#include "tests/unit/metadata/help.h"

static struct fix f;

static void setup(void)
{
	fix_new(&f);
}

static void teardown(void)
{
	fix_free(&f);
}

static enum gh_status house(struct meta_step step, uint64_t *ret_op)
{
	struct meta_batch b = batch_new(&step, 1);

	b.tenant = 0;
	b.event.what = "switch.set";
	if (ret_op)
		*ret_op = b.op;
	return meta_commit(f.m, &f.call, &b);
}

static enum gh_status change(enum meta_step_kind kind, const char *of, uint64_t id, uint64_t rev, const char *doc)
{
	struct meta_setting s = { .kind = of, .id = id, .rev = rev, .doc = doc };

	return house((struct meta_step){ .kind = kind, .setting = &s }, NULL);
}

static struct meta_setting *list(const char *kind, unsigned want)
{
	struct meta_setting *s = NULL;
	unsigned n = 0;

	OK(meta_settings(f.m, &f.call, kind, 0, 1000, &s, &n));
	ck_assert_uint_eq(n, want);
	return s;
}

START_TEST(a_setting_is_read_as_it_was_put)
{
	struct meta_setting *s;

	OK(change(META_SETTING_PUT, "switch", 5, 0, "{\"mode\":\"off\"}"));
	OK(change(META_SETTING_PUT, "switch", 3, 0, "{}"));
	OK(change(META_SETTING_PUT, "share", 5, 0, "{\"weight\":7}"));
	s = list("switch", 2);
	ck_assert_uint_eq(s[0].id, 3);
	ck_assert_uint_eq(s[1].id, 5);
	ck_assert_uint_eq(s[1].rev, 1);
	ck_assert_str_eq(s[1].doc, "{\"mode\":\"off\"}");
	ck_assert_str_eq(list("share", 1)->doc, "{\"weight\":7}");
	list("operator", 0);
}
END_TEST

START_TEST(a_change_needs_the_rev_that_was_seen)
{
	OK(change(META_SETTING_PUT, "switch", 5, 0, "1"));
	IS(GH_STALE, change(META_SETTING_PUT, "switch", 5, 0, "2"));
	IS(GH_STALE, change(META_SETTING_PUT, "switch", 5, 2, "2"));
	OK(change(META_SETTING_PUT, "switch", 5, 1, "2"));
	IS(GH_STALE, change(META_SETTING_PUT, "switch", 5, 1, "3"));
	ck_assert_str_eq(list("switch", 1)->doc, "2");
	IS(GH_STALE, change(META_SETTING_DELETE, "switch", 5, 1, NULL));
	OK(change(META_SETTING_DELETE, "switch", 5, 2, NULL));
	list("switch", 0);
	IS(GH_STALE, change(META_SETTING_DELETE, "switch", 5, 2, NULL));
	IS(GH_STALE, change(META_SETTING_PUT, "switch", 5, 2, "3"));
}
END_TEST

START_TEST(settings_are_paged_by_id)
{
	struct meta_setting *s;
	unsigned n;

	for (uint64_t i = 1; i <= 7; i++)
		OK(change(META_SETTING_PUT, "k", i, 0, "{}"));
	OK(meta_settings(f.m, &f.call, "k", 0, 3, &s, &n));
	ck_assert_uint_eq(n, 3);
	OK(meta_settings(f.m, &f.call, "k", s[2].id, 10, &s, &n));
	ck_assert_uint_eq(n, 4);
	ck_assert_uint_eq(s[0].id, 4);
}
END_TEST

START_TEST(the_house_has_its_own_events)
{
	struct meta_setting s = { .kind = "switch", .id = 5, .doc = "{}" };
	struct meta_event *e;
	uint64_t op, floor;
	unsigned n;

	OK(house((struct meta_step){ .kind = META_SETTING_PUT, .setting = &s }, &op));
	OK(meta_events(f.m, &f.call, 0, 0, 1000, &e, &n));
	ck_assert_uint_eq(n, 2); /* the tenant was made, too */
	ck_assert_uint_eq(e[1].op, op);
	ck_assert_uint_eq(e[1].tenant, 0);
	ck_assert_str_eq(e[1].what, "switch.set");
	OK(meta_id_floor(f.m, &f.call, &floor));
	ck_assert_uint_ge(floor, op);
	SOUND(&f);
}
END_TEST

START_TEST(old_events_of_the_house_are_dropped_but_for_the_newest)
{
	struct meta_event *e;
	unsigned n;

	OK(change(META_SETTING_PUT, "k", 1, 0, "{}"));
	OK(change(META_SETTING_PUT, "k", 2, 0, "{}"));
	OK(change(META_SETTING_PUT, "k", 3, 0, "{}"));
	usleep(5000);
	OK(meta_events_fold(f.m, &f.call, gh_real_us()));
	OK(meta_events(f.m, &f.call, 0, 0, 1000, &e, &n));
	ck_assert_uint_eq(n, 2); /* the newest of the tenant, the newest of the house */
	list("k", 3);
}
END_TEST

START_TEST(the_house_can_change_nothing_but_settings)
{
	struct meta_step s = { .kind = META_NODE_INSERT, .node = node_named(ROOT, "x", META_FILE) };

	IS(GH_BUG, house(s, NULL));
}
END_TEST

START_TEST(what_is_set_for_a_user_goes_with_the_user)
{
	struct meta_user u = { .id = 70, .name = "ann", .key = "ann", .password_hash = "" };
	struct meta_setting s = { .kind = "limit", .id = 9, .tenant = TENANT, .user = 70, .doc = "{}" },
			    other = { .kind = "limit", .id = 10, .tenant = TENANT, .user = 71, .doc = "{}" };

	OK(run_step(&f, (struct meta_step){ .kind = META_USER_PUT, .user = &u }));
	OK(house((struct meta_step){ .kind = META_SETTING_PUT, .setting = &s }, NULL));
	OK(house((struct meta_step){ .kind = META_SETTING_PUT, .setting = &other }, NULL));
	OK(run_step(&f, (struct meta_step){ .kind = META_USER_DELETE, .user = &u }));
	ck_assert_uint_eq(list("limit", 1)->user, 71);
}
END_TEST

START_TEST(a_setting_may_change_in_a_batch_of_its_tenant)
{
	struct meta_setting s = { .kind = "limit", .id = 9, .tenant = TENANT, .doc = "{}" };

	OK(run_step(&f, (struct meta_step){ .kind = META_SETTING_PUT, .setting = &s }));
	ck_assert_uint_eq(list("limit", 1)->tenant, TENANT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata settings");
	TCase *t = tcase_create("settings");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_setting_is_read_as_it_was_put);
	tcase_add_test(t, a_change_needs_the_rev_that_was_seen);
	tcase_add_test(t, settings_are_paged_by_id);
	tcase_add_test(t, the_house_has_its_own_events);
	tcase_add_test(t, old_events_of_the_house_are_dropped_but_for_the_newest);
	tcase_add_test(t, the_house_can_change_nothing_but_settings);
	tcase_add_test(t, what_is_set_for_a_user_goes_with_the_user);
	tcase_add_test(t, a_setting_may_change_in_a_batch_of_its_tenant);
	suite_add_tcase(s, t);
	return run_suite(s);
}
