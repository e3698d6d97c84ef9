/* Each rule of policy/acl_trie.h is a test here. Paths are written "/a/b"; a node's id is the hash of its path unless
 * a test says otherwise, so that chains need not be spelt out. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "policy/acl_trie.h"

#define ROOT 1
#define ANN 10
#define BOB 11
#define STAFF 20
#define GUESTS 21

struct chain {
	unsigned depth;
	struct acl_key keys[16];
	uint64_t ids[16];
};

static uint64_t path_id(const char *path, size_t len)
{
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)path[i]) * 1099511628211u;
	return h;
}

static struct chain chain_of(const char *path)
{
	struct chain c = { .depth = 0 };

	for (const char *p = path; *p;) {
		size_t len;

		p += *p == '/';
		len = strcspn(p, "/");
		if (!len)
			break;
		c.keys[c.depth] = (struct acl_key){ p, (uint16_t)len };
		p += len;
		c.ids[c.depth++] = path_id(path, (size_t)(p - path));
	}
	return c;
}

static void set(struct acl_trie **t, const char *path, bool inherit_off, const struct acl_entry *entries,
		unsigned count)
{
	struct chain c = chain_of(path);
	struct acl_trie *next = acl_trie_set(*t, c.ids, c.keys, c.depth, inherit_off, entries, count);

	ck_assert_ptr_nonnull(next);
	acl_trie_unref(t);
	*t = next;
}

/* "u+:10:1" would be unreadable: one entry, by its parts. */
static void one(struct acl_trie **t, const char *path, char who, uint64_t id, bool deny, unsigned rights)
{
	set(t, path, false, &(struct acl_entry){ who, id, deny, rights }, 1);
}

static void move(struct acl_trie **t, const char *from, const char *to)
{
	struct chain a = chain_of(from), b = chain_of(to);
	struct acl_trie *next = acl_trie_move(*t, a.keys, a.depth, b.ids, b.keys, b.depth);

	ck_assert_ptr_nonnull(next);
	acl_trie_unref(t);
	*t = next;
}

static void drop(struct acl_trie **t, const char *path)
{
	struct chain c = chain_of(path);
	struct acl_trie *next = acl_trie_drop(*t, c.keys, c.depth);

	ck_assert_ptr_nonnull(next);
	acl_trie_unref(t);
	*t = next;
}

static const struct acl_caller ann = { .user = ANN };
static const struct acl_caller bob = { .user = BOB };
static const uint64_t both_groups[] = { STAFF, GUESTS };
static const struct acl_caller ann_in_both = { .user = ANN, .groups = both_groups, .group_count = 2 };
static const struct acl_caller boss = { .user = 12, .owner = true };

static unsigned rights(const struct acl_trie *t, const struct acl_caller *who, const char *path)
{
	struct chain c = chain_of(path);

	return acl_trie_rights(t, who, c.keys, c.depth);
}

static unsigned below(const struct acl_trie *t, const struct acl_caller *who, const char *path)
{
	struct chain c = chain_of(path);

	return acl_trie_rights_below(t, who, c.keys, c.depth);
}

static bool navigable(const struct acl_trie *t, const struct acl_caller *who, const char *path)
{
	struct chain c = chain_of(path);

	return acl_navigable(t, who, c.keys, c.depth);
}

static struct acl_why why(const struct acl_trie *t, const struct acl_caller *who, const char *path,
			  enum acl_right right)
{
	struct chain c = chain_of(path);
	struct acl_why ret;

	acl_explain(t, who, c.keys, c.depth, right, &ret);
	return ret;
}

static struct acl_trie *trie;

static void setup(void)
{
	trie = acl_trie_new(ROOT);
	ck_assert_ptr_nonnull(trie);
}

static void teardown(void)
{
	acl_trie_unref(&trie);
	ck_assert_ptr_null(trie);
}

START_TEST(an_empty_trie_allows_nothing)
{
	ck_assert_uint_eq(rights(trie, &ann, "/"), 0);
	ck_assert_uint_eq(rights(trie, &ann, "/a/b"), 0);
	ck_assert_uint_eq(why(trie, &ann, "/a", ACL_READ).reason, ACL_WHY_NOTHING);
	ck_assert_uint_eq(acl_trie_nodes(trie), 1);
}
END_TEST

START_TEST(a_tenant_owner_has_every_right_in_spite_of_denies)
{
	one(&trie, "/", 'e', 0, true, ACL_FULL);
	ck_assert_uint_eq(rights(trie, &boss, "/a"), ACL_FULL);
	ck_assert_uint_eq(below(trie, &boss, "/"), ACL_FULL);
	ck_assert_uint_eq(why(trie, &boss, "/a", ACL_DELETE).reason, ACL_WHY_OWNER);
	ck_assert(why(trie, &boss, "/a", ACL_DELETE).allowed);
	ck_assert(!navigable(trie, &boss, "/"));
}
END_TEST

START_TEST(rights_are_inherited_from_root_to_node)
{
	one(&trie, "/", 'u', ANN, false, ACL_LIST | ACL_READ);
	one(&trie, "/a/b", 'u', ANN, false, ACL_WRITE);
	ck_assert_uint_eq(rights(trie, &ann, "/"), ACL_LIST | ACL_READ);
	ck_assert_uint_eq(rights(trie, &ann, "/a"), ACL_LIST | ACL_READ);
	ck_assert_uint_eq(rights(trie, &ann, "/a/b"), ACL_LIST | ACL_READ | ACL_WRITE);
	ck_assert_uint_eq(rights(trie, &ann, "/a/b/c/d"), ACL_LIST | ACL_READ | ACL_WRITE);
	ck_assert_uint_eq(rights(trie, &bob, "/a/b"), 0);
}
END_TEST

START_TEST(a_deny_beats_an_allow_at_the_same_node_whoever_they_name)
{
	struct acl_entry entries[] = { { 'u', ANN, false, ACL_READ | ACL_WRITE },
				       { 'g', STAFF, true, ACL_READ },
				       { 'e', 0, false, ACL_LIST } };

	set(&trie, "/a", false, entries, 3);
	ck_assert_uint_eq(rights(trie, &ann, "/a"), ACL_LIST | ACL_READ | ACL_WRITE);
	ck_assert_uint_eq(rights(trie, &ann_in_both, "/a"), ACL_LIST | ACL_WRITE);
	ck_assert_uint_eq(rights(trie, &bob, "/a"), ACL_LIST);
}
END_TEST

START_TEST(an_allow_deeper_beats_a_deny_above_and_a_deny_deeper_an_allow_above)
{
	one(&trie, "/", 'u', ANN, true, ACL_READ);
	one(&trie, "/a", 'u', ANN, false, ACL_READ);
	one(&trie, "/a/b", 'u', ANN, true, ACL_READ);
	ck_assert_uint_eq(rights(trie, &ann, "/x"), 0);
	ck_assert_uint_eq(rights(trie, &ann, "/a"), ACL_READ);
	ck_assert_uint_eq(rights(trie, &ann, "/a/b"), 0);
	ck_assert_uint_eq(rights(trie, &ann, "/a/c"), ACL_READ);
}
END_TEST

START_TEST(each_right_is_decided_alone)
{
	one(&trie, "/", 'e', 0, false, ACL_FULL);
	one(&trie, "/a", 'e', 0, true, ACL_DELETE);
	ck_assert_uint_eq(rights(trie, &ann, "/a"), ACL_FULL & ~ACL_DELETE);
}
END_TEST

START_TEST(inherit_off_forgets_what_came_from_above_before_the_nodes_own_entries_speak)
{
	struct acl_entry entry = { 'u', ANN, false, ACL_READ };

	one(&trie, "/", 'e', 0, false, ACL_FULL);
	set(&trie, "/a", true, &entry, 1);
	ck_assert_uint_eq(rights(trie, &ann, "/a/x"), ACL_READ);
	ck_assert_uint_eq(rights(trie, &bob, "/a/x"), 0);
	ck_assert_uint_eq(rights(trie, &bob, "/b"), ACL_FULL);
}
END_TEST

START_TEST(inherit_off_also_forgets_denies)
{
	one(&trie, "/", 'e', 0, true, ACL_FULL);
	set(&trie, "/a", true, NULL, 0);
	one(&trie, "/a/b", 'u', ANN, false, ACL_LIST);
	ck_assert_uint_eq(rights(trie, &ann, "/a/b"), ACL_LIST);
}
END_TEST

START_TEST(groups_are_matched_by_membership_only)
{
	one(&trie, "/", 'g', GUESTS, false, ACL_LIST);
	ck_assert_uint_eq(rights(trie, &ann, "/"), 0);
	ck_assert_uint_eq(rights(trie, &ann_in_both, "/"), ACL_LIST);
	/* a user whose id is a group's number is not that group */
	ck_assert_uint_eq(rights(trie, &(struct acl_caller){ .user = GUESTS }, "/"), 0);
}
END_TEST

START_TEST(what_does_not_exist_is_decided_at_its_nearest_ancestor)
{
	one(&trie, "/a", 'u', ANN, false, ACL_CREATE);
	ck_assert_uint_eq(rights(trie, &ann, "/a/no/such/thing"), ACL_CREATE);
}
END_TEST

START_TEST(a_key_that_begins_like_another_is_another)
{
	one(&trie, "/ab", 'u', ANN, false, ACL_READ);
	ck_assert_uint_eq(rights(trie, &ann, "/a"), 0);
	ck_assert_uint_eq(rights(trie, &ann, "/abc"), 0);
	ck_assert_uint_eq(rights(trie, &ann, "/ab"), ACL_READ);
}
END_TEST

START_TEST(an_update_leaves_the_old_root_as_it_was)
{
	struct acl_trie *old;

	one(&trie, "/a", 'u', ANN, false, ACL_READ);
	old = acl_trie_ref(trie);
	one(&trie, "/a", 'u', ANN, false, ACL_WRITE);
	move(&trie, "/a", "/b");
	ck_assert_uint_eq(rights(old, &ann, "/a"), ACL_READ);
	ck_assert_uint_eq(rights(old, &ann, "/b"), 0);
	ck_assert_uint_eq(rights(trie, &ann, "/b"), ACL_WRITE);
	acl_trie_unref(&old);
}
END_TEST

START_TEST(removing_the_last_entries_removes_ancestors_that_only_led_there)
{
	size_t empty_bytes = acl_trie_bytes(trie);

	one(&trie, "/a/b/c", 'u', ANN, false, ACL_READ);
	ck_assert_uint_eq(acl_trie_nodes(trie), 4);
	ck_assert_uint_gt(acl_trie_bytes(trie), empty_bytes);
	one(&trie, "/a", 'u', ANN, false, ACL_LIST);
	set(&trie, "/a/b/c", false, NULL, 0);
	ck_assert_uint_eq(acl_trie_nodes(trie), 2);
	set(&trie, "/a", false, NULL, 0);
	ck_assert_uint_eq(acl_trie_nodes(trie), 1);
	ck_assert_uint_eq(acl_trie_bytes(trie), empty_bytes);
	set(&trie, "/never/was", false, NULL, 0);
	ck_assert_uint_eq(acl_trie_nodes(trie), 1);
}
END_TEST

START_TEST(removing_a_nodes_entries_keeps_those_below_it)
{
	one(&trie, "/a", 'u', ANN, false, ACL_LIST);
	one(&trie, "/a/b", 'u', ANN, false, ACL_READ);
	set(&trie, "/a", false, NULL, 0);
	ck_assert_uint_eq(rights(trie, &ann, "/a"), 0);
	ck_assert_uint_eq(rights(trie, &ann, "/a/b"), ACL_READ);
}
END_TEST

START_TEST(entries_travel_with_the_moved_subtree)
{
	one(&trie, "/x", 'u', ANN, false, ACL_LIST);
	one(&trie, "/a", 'u', ANN, true, ACL_DELETE);
	one(&trie, "/a/b/c", 'u', ANN, false, ACL_READ);
	move(&trie, "/a", "/x/y/z");
	ck_assert_uint_eq(rights(trie, &ann, "/a/b/c"), 0);
	ck_assert_uint_eq(rights(trie, &ann, "/x/y/z/b/c"), ACL_LIST | ACL_READ);
	ck_assert_uint_eq(why(trie, &ann, "/x/y/z", ACL_DELETE).reason, ACL_WHY_ENTRY);
	ck_assert_uint_eq(acl_trie_nodes(trie), 6);
}
END_TEST

START_TEST(a_move_drops_what_was_at_the_target)
{
	one(&trie, "/a", 'u', ANN, false, ACL_READ);
	one(&trie, "/b/sub", 'u', ANN, false, ACL_FULL);
	move(&trie, "/a", "/b");
	ck_assert_uint_eq(rights(trie, &ann, "/b"), ACL_READ);
	ck_assert_uint_eq(rights(trie, &ann, "/b/sub"), ACL_READ);
	ck_assert_uint_eq(acl_trie_nodes(trie), 2);
}
END_TEST

START_TEST(a_move_of_what_has_no_entries_is_the_same_trie)
{
	struct chain from = chain_of("/plain"), to = chain_of("/else");
	struct acl_trie *same = acl_trie_move(trie, from.keys, 1, to.ids, to.keys, 1);

	ck_assert_ptr_eq(same, trie);
	acl_trie_unref(&same);
}
END_TEST

START_TEST(a_move_of_what_has_no_entries_onto_a_dead_node_drops_the_dead_nodes_entries)
{
	struct chain from = chain_of("/plain"), to = chain_of("/b");
	uint64_t arriving = 77;
	struct acl_trie *next;

	one(&trie, "/b", 'u', ANN, false, ACL_READ);
	next = acl_trie_move(trie, from.keys, 1, &arriving, to.keys, 1);
	ck_assert_uint_eq(rights(next, &ann, "/b"), 0);
	acl_trie_unref(&next);
	/* the target's own node stays: file onto file */
	next = acl_trie_move(trie, from.keys, 1, to.ids, to.keys, 1);
	ck_assert_uint_eq(rights(next, &ann, "/b"), ACL_READ);
	acl_trie_unref(&next);
}
END_TEST

START_TEST(drop_removes_the_subtree_and_ancestors_that_only_led_there)
{
	one(&trie, "/a/b", 'u', ANN, false, ACL_READ);
	one(&trie, "/a/b/c", 'u', ANN, false, ACL_WRITE);
	one(&trie, "/d", 'u', ANN, false, ACL_LIST);
	drop(&trie, "/a/b");
	ck_assert_uint_eq(acl_trie_nodes(trie), 2);
	ck_assert_uint_eq(rights(trie, &ann, "/a/b/c"), 0);
	drop(&trie, "/not/there");
	ck_assert_uint_eq(acl_trie_nodes(trie), 2);
	drop(&trie, "/");
	ck_assert_uint_eq(acl_trie_nodes(trie), 1);
}
END_TEST

START_TEST(entries_of_a_dead_folder_do_not_pass_to_its_successor)
{
	struct chain c = chain_of("/a/b");
	uint64_t new_ids[] = { 501, 502 };
	struct acl_entry entry = { 'u', BOB, false, ACL_LIST };
	struct acl_trie *next;

	one(&trie, "/a", 'u', ANN, false, ACL_FULL);
	one(&trie, "/a/x", 'u', ANN, false, ACL_FULL);
	next = acl_trie_set(trie, new_ids, c.keys, 2, false, &entry, 1);
	ck_assert_uint_eq(rights(next, &ann, "/a/b"), 0);
	ck_assert_uint_eq(rights(next, &ann, "/a/x"), 0);
	ck_assert_uint_eq(rights(next, &bob, "/a/b"), ACL_LIST);
	acl_trie_unref(&next);
}
END_TEST

START_TEST(more_entries_than_the_limit_are_refused)
{
	static struct acl_entry many[ACL_ENTRIES_MAX + 1];
	struct chain c = chain_of("/a");
	struct acl_trie *next;

	for (unsigned i = 0; i <= ACL_ENTRIES_MAX; i++)
		many[i] = (struct acl_entry){ 'u', i + 1, false, ACL_READ };
	ck_assert_ptr_null(acl_trie_set(trie, c.ids, c.keys, 1, false, many, ACL_ENTRIES_MAX + 1));
	next = acl_trie_set(trie, c.ids, c.keys, 1, false, many, ACL_ENTRIES_MAX);
	ck_assert_ptr_nonnull(next);
	acl_trie_unref(&next);
}
END_TEST

START_TEST(a_cursor_gives_each_childs_rights)
{
	struct chain c = chain_of("/a");
	struct acl_cursor cur;

	one(&trie, "/a", 'u', ANN, false, ACL_LIST | ACL_READ);
	one(&trie, "/a/secret", 'u', ANN, true, ACL_READ);
	acl_cursor_init(&cur, trie, &ann, c.keys, c.depth);
	ck_assert_uint_eq(acl_cursor_child(&cur, &ann, (struct acl_key){ "secret", 6 }), ACL_LIST);
	ck_assert_uint_eq(acl_cursor_child(&cur, &ann, (struct acl_key){ "open", 4 }), ACL_LIST | ACL_READ);
	c = chain_of("/a/beyond/the/trie");
	acl_cursor_init(&cur, trie, &ann, c.keys, c.depth);
	ck_assert_uint_eq(acl_cursor_child(&cur, &ann, (struct acl_key){ "x", 1 }), ACL_LIST | ACL_READ);
	acl_cursor_init(&cur, trie, &boss, c.keys, c.depth);
	ck_assert_uint_eq(acl_cursor_child(&cur, &boss, (struct acl_key){ "x", 1 }), ACL_FULL);
}
END_TEST

START_TEST(a_folder_above_something_visible_is_navigable)
{
	one(&trie, "/a/b/c", 'g', STAFF, false, ACL_READ);
	ck_assert(navigable(trie, &ann_in_both, "/"));
	ck_assert(navigable(trie, &ann_in_both, "/a"));
	ck_assert(navigable(trie, &ann_in_both, "/a/b"));
	ck_assert(!navigable(trie, &ann_in_both, "/a/b/c"));
	ck_assert(!navigable(trie, &ann_in_both, "/x"));
	ck_assert(!navigable(trie, &ann, "/a"));
	/* what may be listed need not be navigated */
	one(&trie, "/a", 'g', STAFF, false, ACL_LIST);
	ck_assert(!navigable(trie, &ann_in_both, "/a"));
}
END_TEST

START_TEST(rights_that_show_nothing_make_nothing_navigable)
{
	one(&trie, "/a/b", 'u', ANN, false, ACL_CREATE | ACL_WRITE);
	ck_assert(!navigable(trie, &ann, "/a"));
	/* an allow that a deny at the same node takes back */
	set(&trie, "/c/d", false, (struct acl_entry[]){ { 'u', ANN, false, ACL_READ }, { 'e', 0, true, ACL_READ } }, 2);
	ck_assert(!navigable(trie, &ann, "/c"));
}
END_TEST

START_TEST(reading_without_listing_does_not_open_names)
{
	one(&trie, "/drop", 'u', ANN, false, ACL_READ);
	one(&trie, "/drop/x", 'u', ANN, true, ACL_WRITE);
	ck_assert(!navigable(trie, &ann, "/drop"));
	one(&trie, "/drop/y", 'u', ANN, false, ACL_LIST);
	ck_assert(navigable(trie, &ann, "/drop"));
}
END_TEST

START_TEST(rights_below_hold_at_the_path_and_at_everything_under_it)
{
	one(&trie, "/", 'u', ANN, false, ACL_FULL);
	ck_assert_uint_eq(below(trie, &ann, "/"), ACL_FULL);
	one(&trie, "/a/b/c", 'u', ANN, true, ACL_DELETE);
	set(&trie, "/a/off", true, NULL, 0);
	one(&trie, "/d/e", 'u', BOB, true, ACL_FULL);
	ck_assert_uint_eq(below(trie, &ann, "/a/b"), ACL_FULL & ~ACL_DELETE);
	ck_assert_uint_eq(below(trie, &ann, "/a"), 0);
	ck_assert_uint_eq(below(trie, &ann, "/d"), ACL_FULL);
	ck_assert_uint_eq(below(trie, &ann, "/a/b/c/x"), ACL_FULL & ~ACL_DELETE);
	/* given below, but not at the path: does not count */
	one(&trie, "/z/y", 'u', BOB, false, ACL_READ);
	ck_assert_uint_eq(below(trie, &bob, "/z"), 0);
}
END_TEST

START_TEST(explain_names_the_entry_that_decides)
{
	struct acl_why w;

	set(&trie, "/a", false, (struct acl_entry[]){ { 'e', 0, false, ACL_READ }, { 'g', STAFF, true, ACL_READ } }, 2);
	w = why(trie, &ann_in_both, "/a/b/c", ACL_READ);
	ck_assert(!w.allowed);
	ck_assert_uint_eq(w.reason, ACL_WHY_ENTRY);
	ck_assert_uint_eq(w.depth, 1);
	ck_assert_uint_eq(w.node, path_id("/a", 2));
	ck_assert_int_eq(w.entry.who, 'g');
	ck_assert(w.entry.deny);
	w = why(trie, &ann, "/a/b/c", ACL_READ);
	ck_assert(w.allowed);
	ck_assert_int_eq(w.entry.who, 'e');
	ck_assert_uint_eq(why(trie, &ann, "/a", ACL_WRITE).reason, ACL_WHY_NOTHING);
	ck_assert_uint_eq(why(trie, &ann, "/", ACL_READ).reason, ACL_WHY_NOTHING);
}
END_TEST

START_TEST(explain_names_the_folder_that_cut_inheritance)
{
	struct acl_why w;

	one(&trie, "/", 'e', 0, false, ACL_READ);
	set(&trie, "/a/b", true, NULL, 0);
	w = why(trie, &ann, "/a/b/c", ACL_READ);
	ck_assert(!w.allowed);
	ck_assert_uint_eq(w.reason, ACL_WHY_INHERIT_OFF);
	ck_assert_uint_eq(w.depth, 2);
	ck_assert_uint_eq(w.node, path_id("/a/b", 4));
}
END_TEST

START_TEST(rights_are_parsed_and_formatted_as_words)
{
	char out[64];

	ck_assert_uint_eq(acl_rights_parse("read,write"), ACL_READ | ACL_WRITE);
	ck_assert_uint_eq(acl_rights_parse("list create  delete, share manage"),
			  ACL_LIST | ACL_CREATE | ACL_DELETE | ACL_SHARE | ACL_MANAGE);
	ck_assert_uint_eq(acl_rights_parse("full"), ACL_FULL);
	ck_assert_uint_eq(acl_rights_parse("read,fly"), 0);
	ck_assert_uint_eq(acl_rights_parse("rea"), 0);
	ck_assert_uint_eq(acl_rights_parse("reads"), 0);
	ck_assert_uint_eq(acl_rights_parse(""), 0);
	acl_rights_format(ACL_FULL, out);
	ck_assert_str_eq(out, "full");
	acl_rights_format(0, out);
	ck_assert_str_eq(out, "");
	for (unsigned bits = 1; bits < ACL_FULL; bits++) {
		acl_rights_format(bits, out);
		ck_assert_uint_lt(strlen(out), 64);
		ck_assert_uint_eq(acl_rights_parse(out), bits);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("acl_trie");
	TCase *tc = tcase_create("rules");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_empty_trie_allows_nothing);
	tcase_add_test(tc, a_tenant_owner_has_every_right_in_spite_of_denies);
	tcase_add_test(tc, rights_are_inherited_from_root_to_node);
	tcase_add_test(tc, a_deny_beats_an_allow_at_the_same_node_whoever_they_name);
	tcase_add_test(tc, an_allow_deeper_beats_a_deny_above_and_a_deny_deeper_an_allow_above);
	tcase_add_test(tc, each_right_is_decided_alone);
	tcase_add_test(tc, inherit_off_forgets_what_came_from_above_before_the_nodes_own_entries_speak);
	tcase_add_test(tc, inherit_off_also_forgets_denies);
	tcase_add_test(tc, groups_are_matched_by_membership_only);
	tcase_add_test(tc, what_does_not_exist_is_decided_at_its_nearest_ancestor);
	tcase_add_test(tc, a_key_that_begins_like_another_is_another);
	tcase_add_test(tc, an_update_leaves_the_old_root_as_it_was);
	tcase_add_test(tc, removing_the_last_entries_removes_ancestors_that_only_led_there);
	tcase_add_test(tc, removing_a_nodes_entries_keeps_those_below_it);
	tcase_add_test(tc, entries_travel_with_the_moved_subtree);
	tcase_add_test(tc, a_move_drops_what_was_at_the_target);
	tcase_add_test(tc, a_move_of_what_has_no_entries_is_the_same_trie);
	tcase_add_test(tc, a_move_of_what_has_no_entries_onto_a_dead_node_drops_the_dead_nodes_entries);
	tcase_add_test(tc, drop_removes_the_subtree_and_ancestors_that_only_led_there);
	tcase_add_test(tc, entries_of_a_dead_folder_do_not_pass_to_its_successor);
	tcase_add_test(tc, more_entries_than_the_limit_are_refused);
	tcase_add_test(tc, a_cursor_gives_each_childs_rights);
	tcase_add_test(tc, a_folder_above_something_visible_is_navigable);
	tcase_add_test(tc, rights_that_show_nothing_make_nothing_navigable);
	tcase_add_test(tc, reading_without_listing_does_not_open_names);
	tcase_add_test(tc, rights_below_hold_at_the_path_and_at_everything_under_it);
	tcase_add_test(tc, explain_names_the_entry_that_decides);
	tcase_add_test(tc, explain_names_the_folder_that_cut_inheritance);
	tcase_add_test(tc, rights_are_parsed_and_formatted_as_words);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
