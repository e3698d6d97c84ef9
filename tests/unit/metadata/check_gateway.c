/* Gateways on one database: slots, signs of life, leases, the fence. Runs on both databases, though only one is shared. */
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

static enum gh_status join(const char *name, uint64_t token, uint64_t predecessor, uint32_t life_ms, unsigned *ret_slot)
{
	struct meta_gateway g = { .name = name, .version = "1", .token = token };
	enum gh_status st = meta_gateway_join(f.m, &f.call, &g, predecessor, life_ms);

	if (ret_slot)
		*ret_slot = g.slot;
	return st;
}

START_TEST(each_gateway_has_a_slot_of_its_own)
{
	struct meta_gateway *g;
	unsigned a, b, c, count;

	OK(join("a", 1, 0, 60000, &a));
	OK(join("b", 2, 0, 60000, &b));
	OK(join("c", 3, 0, 60000, &c));
	ck_assert(a != b && b != c && a != c && a < META_GATEWAYS && b < META_GATEWAYS && c < META_GATEWAYS);
	OK(meta_gateways(f.m, &f.call, &g, &count));
	ck_assert_uint_eq(count, 3);
	for (unsigned i = 0; i < count; i++)
		ck_assert(g[i].alive);
	OK(meta_gateway_leave(f.m, &f.call, b, 2));
	OK(meta_gateways(f.m, &f.call, &g, &count));
	ck_assert_uint_eq(count, 2);
}
END_TEST

START_TEST(a_name_is_one_living_gateways)
{
	unsigned first, second;

	OK(join("a", 1, 0, 60000, &first));
	IS(GH_EXISTS, join("a", 2, 0, 60000, NULL));
	IS(GH_EXISTS, join("a", 2, 77, 60000, NULL)); /* another's predecessor */
	OK(join("a", 2, 1, 60000, &second));          /* its own run of before, which is known to be over */
	ck_assert_uint_ne(first, second);             /* what that sent last may still be on its way */
	IS(GH_NOTFOUND, meta_gateway_beat(f.m, &f.call, first, 1, 60000));
	OK(meta_gateway_beat(f.m, &f.call, second, 2, 60000));
	OK(join("b", 3, 0, 1, NULL));
	usleep(50000);
	OK(join("b", 4, 0, 60000, NULL)); /* ended by the store's clock */
}
END_TEST

START_TEST(a_slot_rests_before_it_is_anothers)
{
	unsigned slot, other;
	char sql[320];

	OK(join("a", 1, 0, 1, &slot));
	usleep(50000);
	snprintf(sql, sizeof(sql), "INSERT INTO gateway (slot, name, token, version, started_us, expires_us) WITH RECURSIVE n(i)"
		 " AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1023) SELECT i, CAST('g' || i AS %s), 5, '', 0,"
		 " 9000000000000000 FROM n", f.conninfo[0] ? "bytea" : "BLOB");
	fix_sql(&f, sql);
	IS(GH_LIMIT, join("late", 2, 0, 60000, NULL));
	snprintf(sql, sizeof(sql), "UPDATE gateway SET expires_us = expires_us - 61000000 WHERE slot = %u", slot);
	fix_sql(&f, sql);
	OK(join("late", 2, 0, 60000, &other));
	ck_assert_uint_eq(other, slot);
	IS(GH_NOTFOUND, meta_gateway_beat(f.m, &f.call, slot, 1, 60000));
}
END_TEST

START_TEST(a_lease_is_one_holders_until_it_ends)
{
	OK(meta_lease_take(f.m, &f.call, "upkeep", 0, 0, 1, 60000));
	OK(meta_lease_take(f.m, &f.call, "upkeep", 0, 0, 1, 60000));
	IS(GH_BUSY, meta_lease_take(f.m, &f.call, "upkeep", 0, 0, 2, 60000));
	OK(meta_lease_take(f.m, &f.call, "upkeep", 0, 1, 2, 60000));
	OK(meta_lease_drop(f.m, &f.call, "upkeep", 0, 0, 2)); /* not its holder */
	IS(GH_BUSY, meta_lease_take(f.m, &f.call, "upkeep", 0, 0, 2, 60000));
	OK(meta_lease_drop(f.m, &f.call, "upkeep", 0, 0, 1));
	OK(meta_lease_take(f.m, &f.call, "upkeep", 0, 0, 2, 1));
	usleep(50000);
	OK(meta_lease_take(f.m, &f.call, "upkeep", 0, 0, 3, 60000));
}
END_TEST

START_TEST(leases_live_and_end_with_their_gateway)
{
	unsigned slot;

	OK(join("a", 11, 0, 60000, &slot));
	OK(meta_lease_take(f.m, &f.call, "k", 0, 0, 11, 1));
	OK(meta_gateway_beat(f.m, &f.call, slot, 11, 60000));
	usleep(50000);
	IS(GH_BUSY, meta_lease_take(f.m, &f.call, "k", 0, 0, 2, 60000));
	OK(meta_gateway_leave(f.m, &f.call, slot, 11));
	OK(meta_lease_take(f.m, &f.call, "k", 0, 0, 2, 60000));
}
END_TEST

START_TEST(the_walker_leaves_what_is_in_the_making)
{
	const uint64_t tree = folder_make(&f, TRASH, "5");
	bool left = true;

	folder_make(&f, tree, "member");
	OK(meta_lease_take(f.m, &f.call, META_LEASE_MAKING, TENANT, tree, 1, 60000));
	OK(meta_trash_step(f.m, &f.call, 100, &left));
	ck_assert(!left); /* nothing that it could do */
	ck_assert_ptr_nonnull(node_read(&f, tree));
	OK(meta_lease_drop(f.m, &f.call, META_LEASE_MAKING, TENANT, tree, 1));
	for (unsigned i = 0; i < 10 && node_read(&f, tree); i++)
		OK(meta_trash_step(f.m, &f.call, 100, &left));
	ck_assert_ptr_null(node_read(&f, tree));
}
END_TEST

START_TEST(nothing_is_committed_behind_the_fence)
{
	meta_fence(f.m, gh_mono_ns() - 1);
	IS(GH_TRIPPED, run_step(&f, (struct meta_step){ .kind = META_TREE_GEN }));
	OK(join("a", 1, 0, 60000, NULL)); /* a sign of life gets through */
	meta_fence(f.m, gh_mono_ns() + 60 * GH_S_NS);
	OK(run_step(&f, (struct meta_step){ .kind = META_TREE_GEN }));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gateways");
	TCase *tc = tcase_create("gateways");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, each_gateway_has_a_slot_of_its_own);
	tcase_add_test(tc, a_name_is_one_living_gateways);
	tcase_add_test(tc, a_slot_rests_before_it_is_anothers);
	tcase_add_test(tc, a_lease_is_one_holders_until_it_ends);
	tcase_add_test(tc, leases_live_and_end_with_their_gateway);
	tcase_add_test(tc, the_walker_leaves_what_is_in_the_making);
	tcase_add_test(tc, nothing_is_committed_behind_the_fence);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
