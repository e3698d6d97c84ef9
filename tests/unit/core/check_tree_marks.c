/* Which entries are true, in every order of: a node read and kept, a commit, the stream hearing of it, the stream lost and found.
 * The log's places are numbers that the test makes up. */
#include <check.h>

#include "core/tree_marks.h"

static struct tree_marks *m;
static uint64_t name; /* somebody's */

/* A reading that hears of nothing but what `heard` says, and sees everything below `horizon`. */
static void reading(bool anew, uint64_t heard, uint64_t horizon)
{
	const uint64_t number = tree_marks_begin(m, anew);

	if (heard)
		tree_marks_name(m, name, heard);
	if (anew)
		tree_marks_since(m, 50);
	tree_marks_end(m, number, 7, horizon);
}

static struct tree_view view(void)
{
	struct tree_view v;

	ck_assert(tree_marks_view(m, &v));
	return v;
}

/* An entry of that horizon, looked up now. */
static bool is_true(uint64_t horizon)
{
	const struct tree_view v = view();

	return tree_marks_true(m, &v, name, horizon);
}

static void setup(void)
{
	ck_assert_int_eq(tree_marks_new(&m), GH_OK);
	name = tree_marks_hash(m, 1, 2, "name", 4);
	reading(true, 0, 100);
}

static void teardown(void)
{
	tree_marks_free(&m);
}

/* ---- views ---- */

START_TEST(before_anything_was_heard_there_is_no_view)
{
	struct tree_marks *fresh;
	struct tree_view v;

	ck_assert_int_eq(tree_marks_new(&fresh), GH_OK);
	ck_assert(!tree_marks_view(fresh, &v));
	(void)tree_marks_begin(fresh, true);
	tree_marks_since(fresh, 1);
	ck_assert(!tree_marks_view(fresh, &v));
	tree_marks_end(fresh, 1, 7, 100);
	ck_assert(tree_marks_view(fresh, &v));
	ck_assert_uint_eq(v.log, 7);
	ck_assert_uint_eq(v.horizon, 100);
	tree_marks_free(&fresh);
}
END_TEST

START_TEST(a_view_has_the_horizon_of_the_last_reading_that_ended)
{
	uint64_t number;

	reading(false, 0, 200);
	ck_assert_uint_eq(view().horizon, 200);
	number = tree_marks_begin(m, false);
	ck_assert_uint_eq(view().horizon, 200);
	tree_marks_end(m, number, 7, 300);
	ck_assert_uint_eq(view().horizon, 300);
}
END_TEST

/* ---- read, committed, heard ---- */

START_TEST(what_nobody_touched_is_true)
{
	ck_assert(is_true(50));
	ck_assert(is_true(100));
	ck_assert(is_true(UINT64_MAX)); /* of a gateway that has heard more */
}
END_TEST

START_TEST(what_was_read_before_a_commit_is_over_once_it_is_heard_of)
{
	ck_assert(is_true(90));
	reading(false, 150, 200);
	ck_assert(!is_true(90));
	ck_assert(!is_true(150)); /* the commit at 150 need not have been visible to who read with it */
	ck_assert(is_true(151));
	ck_assert(is_true(200));
}
END_TEST

START_TEST(commits_that_are_heard_of_out_of_order_count_by_their_place)
{
	reading(false, 180, 120); /* 150 still runs: it holds the horizon */
	ck_assert(!is_true(120));
	reading(false, 150, 200);
	ck_assert(!is_true(180));
	ck_assert(is_true(181));
}
END_TEST

START_TEST(the_same_event_twice_changes_nothing)
{
	reading(false, 150, 200);
	reading(false, 150, 200);
	ck_assert(is_true(200));
	ck_assert(!is_true(150));
}
END_TEST

START_TEST(a_commit_that_is_not_heard_of_yet_makes_nothing_false)
{
	/* as with what memory has: this gateway is behind, and catches up */
	ck_assert(is_true(100));
	(void)tree_marks_begin(m, false);
	ck_assert(is_true(100));
	tree_marks_name(m, name, 150);
	ck_assert(!is_true(100)); /* from that moment on, not only from the end of the reading */
}
END_TEST

START_TEST(what_is_not_known_to_be_about_one_name_is_about_all)
{
	tree_marks_all(m, 150);
	ck_assert(!is_true(150));
	ck_assert(is_true(151));
	tree_marks_all(m, 120);
	ck_assert(is_true(151));
}
END_TEST

START_TEST(names_that_share_a_slot_look_changed_together_and_others_do_not)
{
	const uint64_t slots = 1u << 17;
	const struct tree_view v = view();

	tree_marks_name(m, name + slots, 150);
	ck_assert(!tree_marks_true(m, &v, name, 100));
	ck_assert(tree_marks_true(m, &v, name + 1, 100));
	ck_assert(tree_marks_true(m, &v, name - 1, 100));
	tree_marks_doubt(m, name + 1);
	ck_assert(!tree_marks_true(m, &v, name + 1 + slots, 100));
	ck_assert(tree_marks_true(m, &v, name - 1, 100));
}
END_TEST

START_TEST(a_place_is_its_tenant_its_folder_and_its_key)
{
	ck_assert_uint_eq(tree_marks_hash(m, 1, 2, "name", 4), name);
	ck_assert_uint_ne(tree_marks_hash(m, 2, 2, "name", 4), name);
	ck_assert_uint_ne(tree_marks_hash(m, 1, 1, "name", 4), name);
	ck_assert_uint_ne(tree_marks_hash(m, 2, 1, "name", 4), name);
	ck_assert_uint_ne(tree_marks_hash(m, 1, 2, "names", 5), name);
}
END_TEST

/* ---- found out past the stream ---- */

START_TEST(after_a_commit_of_ones_own_nothing_is_true_until_a_reading_that_began_later_has_ended)
{
	uint64_t number = tree_marks_begin(m, false);

	tree_marks_doubt(m, name); /* the reading that is under way may have begun before the commit */
	ck_assert(!is_true(UINT64_MAX));
	tree_marks_end(m, number, 7, 150);
	ck_assert(!is_true(UINT64_MAX));
	number = tree_marks_begin(m, false);
	ck_assert(!is_true(UINT64_MAX));
	tree_marks_name(m, name, 160);
	tree_marks_end(m, number, 7, 200);
	ck_assert(!is_true(160)); /* what was put before the commit */
	ck_assert(is_true(161));
}
END_TEST

START_TEST(a_reading_that_failed_ends_no_doubt)
{
	tree_marks_doubt(m, name);
	(void)tree_marks_begin(m, false);
	ck_assert(!is_true(UINT64_MAX));
	reading(false, 0, 200);
	ck_assert(is_true(200));
}
END_TEST

START_TEST(doubts_about_everything_are_about_every_name)
{
	const struct tree_view v = view();

	tree_marks_doubt_all(m);
	ck_assert(!tree_marks_true(m, &v, name, 100));
	ck_assert(!tree_marks_true(m, &v, name + 1, 100));
	reading(false, 0, 200);
	ck_assert(is_true(200));
}
END_TEST

START_TEST(doubts_do_not_keep_what_was_read_from_being_told)
{
	const struct tree_view v = view();

	tree_marks_doubt(m, name);
	ck_assert(tree_marks_lasts(m, &v, name));
	tree_marks_name(m, name, 100); /* nobody would take it */
	ck_assert(!tree_marks_lasts(m, &v, name));
}
END_TEST

/* ---- lost and found ---- */

START_TEST(while_the_stream_begins_anew_nothing_is_true)
{
	const struct tree_view before = view();
	struct tree_view v;
	uint64_t number = tree_marks_begin(m, true);

	ck_assert(!tree_marks_view(m, &v));
	ck_assert(!tree_marks_true(m, &before, name, 100));
	ck_assert(!tree_marks_lasts(m, &before, name));
	tree_marks_since(m, 50);
	tree_marks_end(m, number, 7, 200);
	ck_assert(!tree_marks_true(m, &before, name, 200)); /* asked for in the other era */
	ck_assert(is_true(200));
}
END_TEST

START_TEST(what_is_older_than_what_was_read_back_is_not_true)
{
	ck_assert(is_true(50));
	ck_assert(!is_true(49));
	(void)tree_marks_begin(m, true);
	tree_marks_since(m, 170);
	tree_marks_end(m, 2, 7, 200);
	ck_assert(!is_true(169));
	ck_assert(is_true(170));
}
END_TEST

START_TEST(what_was_committed_while_nobody_listened_is_found_when_it_is_read_back)
{
	reading(true, 150, 200);
	ck_assert(!is_true(150));
	ck_assert(is_true(151));
	ck_assert(!is_true(49));
}
END_TEST

START_TEST(what_is_about_all_and_was_read_back_counts)
{
	const uint64_t number = tree_marks_begin(m, true);

	tree_marks_all(m, 150);
	tree_marks_since(m, 50);
	tree_marks_end(m, number, 7, 200);
	ck_assert(!is_true(150));
	ck_assert(is_true(151));
}
END_TEST

START_TEST(a_beginning_that_failed_leaves_nothing_true)
{
	struct tree_view v;

	(void)tree_marks_begin(m, true);
	tree_marks_name(m, name, 150);
	ck_assert(!tree_marks_view(m, &v));
	reading(true, 150, 200); /* it comes again */
	ck_assert(!is_true(150));
	ck_assert(is_true(151));
}
END_TEST

START_TEST(places_of_another_log_are_forgotten)
{
	uint64_t number;

	reading(false, 1000000, 1000001);
	number = tree_marks_begin(m, true); /* restored: its numbers are lower */
	tree_marks_since(m, 1);
	tree_marks_end(m, number, 8, 30);
	ck_assert_uint_eq(view().log, 8);
	ck_assert(is_true(30));
}
END_TEST

START_TEST(doubts_outlive_a_beginning)
{
	(void)tree_marks_begin(m, true);
	tree_marks_doubt(m, name); /* that reading may not see the commit */
	tree_marks_since(m, 50);
	tree_marks_end(m, 2, 7, 200);
	ck_assert(!is_true(200));
	reading(false, 0, 200);
	ck_assert(is_true(200));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tree_marks");
	TCase *c = tcase_create("tree_marks");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, before_anything_was_heard_there_is_no_view);
	tcase_add_test(c, a_view_has_the_horizon_of_the_last_reading_that_ended);
	tcase_add_test(c, what_nobody_touched_is_true);
	tcase_add_test(c, what_was_read_before_a_commit_is_over_once_it_is_heard_of);
	tcase_add_test(c, commits_that_are_heard_of_out_of_order_count_by_their_place);
	tcase_add_test(c, the_same_event_twice_changes_nothing);
	tcase_add_test(c, a_commit_that_is_not_heard_of_yet_makes_nothing_false);
	tcase_add_test(c, what_is_not_known_to_be_about_one_name_is_about_all);
	tcase_add_test(c, names_that_share_a_slot_look_changed_together_and_others_do_not);
	tcase_add_test(c, a_place_is_its_tenant_its_folder_and_its_key);
	tcase_add_test(c, after_a_commit_of_ones_own_nothing_is_true_until_a_reading_that_began_later_has_ended);
	tcase_add_test(c, a_reading_that_failed_ends_no_doubt);
	tcase_add_test(c, doubts_about_everything_are_about_every_name);
	tcase_add_test(c, doubts_do_not_keep_what_was_read_from_being_told);
	tcase_add_test(c, while_the_stream_begins_anew_nothing_is_true);
	tcase_add_test(c, what_is_older_than_what_was_read_back_is_not_true);
	tcase_add_test(c, what_was_committed_while_nobody_listened_is_found_when_it_is_read_back);
	tcase_add_test(c, what_is_about_all_and_was_read_back_counts);
	tcase_add_test(c, a_beginning_that_failed_leaves_nothing_true);
	tcase_add_test(c, places_of_another_log_are_forgotten);
	tcase_add_test(c, doubts_outlive_a_beginning);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
