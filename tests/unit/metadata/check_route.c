/* Central's row of where a tenant is: two who change it from the same one do not undo each other. */
#include "backends/metadata/route.h"
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

static struct route_row new_row(void)
{
	return (struct route_row){ .t = { .id = 7, .name = "seven", .hosts = "a b", .root = 71, .trash = 72, .route_epoch = 1 },
				   .shard = 2 };
}

static struct route_row row_now(void)
{
	struct route_row *row;

	OK(route_row_get(f.m, &f.call, 7, &row));
	return *row;
}

START_TEST(a_row_is_replaced_only_by_who_knows_it)
{
	struct route_row row = new_row(), moving, set;

	OK(route_replace(f.m, &f.call, &row));
	moving = set = row_now();
	moving.step = ROUTE_COPYING;
	moving.target = 3;
	OK(route_replace(f.m, &f.call, &moving));
	set.t.hosts = "c";
	IS(GH_STALE, route_replace(f.m, &f.call, &set));
	row = row_now();
	ck_assert_int_eq(row.step, ROUTE_COPYING);
	ck_assert_uint_eq(row.target, 3);
	ck_assert_str_eq(row.t.hosts, "a b");
	row.t.hosts = "c";
	OK(route_replace(f.m, &f.call, &row));
	ck_assert_str_eq(row_now().t.hosts, "c");
}
END_TEST

START_TEST(a_new_row_does_not_take_the_place_of_one_that_is_there)
{
	struct route_row row = new_row();

	OK(route_replace(f.m, &f.call, &row));
	row.t.hosts = "other";
	IS(GH_STALE, route_replace(f.m, &f.call, &row));
	ck_assert_str_eq(row_now().t.hosts, "a b");
}
END_TEST

/* As after an answer that was lost on its way. */
START_TEST(what_is_done_already_is_done_once)
{
	struct route_row row = new_row();
	uint64_t changed;

	OK(route_replace(f.m, &f.call, &row));
	changed = row_now().changed;
	OK(route_replace(f.m, &f.call, &row));
	ck_assert_uint_eq(row_now().changed, changed);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata route");
	TCase *t = tcase_create("rows");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_row_is_replaced_only_by_who_knows_it);
	tcase_add_test(t, a_new_row_does_not_take_the_place_of_one_that_is_there);
	tcase_add_test(t, what_is_done_already_is_done_once);
	suite_add_tcase(s, t);
	return run_suite(s);
}
