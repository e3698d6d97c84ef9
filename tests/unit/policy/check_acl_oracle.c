/* The trie against an oracle written apart from it: a plain array of nodes with parents, entries and children found by
 * scanning, and every question answered one right at a time, by the words of the rule. 2,000 random trees, each grown
 * by updates (set, move, drop), with 50 questions and more between them: over 10^5 of each kind. Seeds are fixed, so a
 * failure comes again. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/acl_trie.h"

enum { NODES = 24, ENTRIES = 4, TREES = 2000, UPDATES = 25, QUERIES = 50, DEEP = 6, USERS = 3, GROUPS = 4 };

/* Check reports every assertion to its parent process; with millions of them that is most of the time. */
#define agree(got, want)                                                                                               \
	do {                                                                                                           \
		uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                                             \
                                                                                                                       \
		if (got_ != want_)                                                                                     \
			ck_abort_msg("%s is %ju, not %ju", #got, (uintmax_t)got_, (uintmax_t)want_);                   \
	} while (0)

/* ---- the world: a folder tree with entries, held naively ---- */

struct folder {
	bool alive;
	int parent; /* index; -1 for the root */
	char key[4];
	uint64_t id;
	bool inherit_off;
	unsigned count;
	struct acl_entry entries[ENTRIES];
};

static struct folder world[NODES];
static uint64_t next_id;
static uint64_t rng;

static unsigned roll(unsigned n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng >> 33) % n;
}

static int child_by_key(int parent, const char *key)
{
	for (int i = 0; i < NODES; i++) {
		if (world[i].alive && world[i].parent == parent && !strcmp(world[i].key, key))
			return i;
	}
	return -1;
}

static int chain_to(int node, int *chain) /* from the root, the root included */
{
	int n = 0, up[NODES];

	for (int at = node; at >= 0; at = world[at].parent)
		up[n++] = at;
	for (int i = 0; i < n; i++)
		chain[i] = up[n - 1 - i];
	return n;
}

static bool is_below(int node, int above) /* or the same */
{
	for (; node >= 0; node = world[node].parent) {
		if (node == above)
			return true;
	}
	return false;
}

/* The dead keep their parent index until the slot is used again, so is_below stays sound while some are dead already.
 */
static void kill_tree(int node)
{
	for (int i = 0; i < NODES; i++) {
		if (is_below(i, node))
			world[i].alive = false;
	}
}

/* ---- the oracle ---- */

struct who {
	struct acl_caller c;
	uint64_t groups[GROUPS];
};

static bool names(const struct acl_entry *e, const struct who *w)
{
	if (e->who == 'e')
		return true;
	if (e->who == 'u')
		return e->id == w->c.user;
	for (unsigned i = 0; i < w->c.group_count; i++) {
		if (w->groups[i] == e->id)
			return true;
	}
	return false;
}

enum verdict { UNDECIDED, NO, YES };

/* One right at a node of the world; *ret_node, *ret_why: who decided. */
static bool oracle_right(int node, const struct who *w, unsigned right, struct acl_why *why)
{
	int chain[NODES], n = chain_to(node, chain);
	enum verdict verdict = UNDECIDED;

	memset(why, 0, sizeof(*why));
	why->reason = ACL_WHY_NOTHING;
	if (w->c.owner) {
		why->reason = ACL_WHY_OWNER;
		return why->allowed = true;
	}
	for (int i = 0; i < n; i++) {
		const struct folder *f = &world[chain[i]];
		const struct acl_entry *deny = NULL, *allow = NULL;

		if (f->inherit_off) {
			if (verdict != UNDECIDED) {
				why->reason = ACL_WHY_INHERIT_OFF;
				why->node = f->id;
				why->depth = (unsigned)i;
			}
			verdict = UNDECIDED;
		}
		for (int k = (int)f->count - 1; k >= 0; k--) {
			const struct acl_entry *e = &f->entries[k];

			if (!(e->rights & right) || !names(e, w))
				continue;
			if (e->deny)
				deny = e;
			else
				allow = e;
		}
		if (deny || allow) {
			verdict = deny ? NO : YES;
			why->reason = ACL_WHY_ENTRY;
			why->node = f->id;
			why->depth = (unsigned)i;
			why->entry = deny ? *deny : *allow;
		}
	}
	why->allowed = verdict == YES;
	return why->allowed;
}

static unsigned oracle_rights(int node, const struct who *w)
{
	struct acl_why ignored;
	unsigned bits = 0;

	for (unsigned right = 1; right < ACL_FULL; right <<= 1)
		bits |= oracle_right(node, w, right, &ignored) ? right : 0;
	return bits;
}

static bool has_entries(int node)
{
	return world[node].count || world[node].inherit_off;
}

static unsigned oracle_below(int node, const struct who *w)
{
	unsigned bits = oracle_rights(node, w);

	for (int i = 0; i < NODES; i++) {
		if (world[i].alive && is_below(i, node))
			bits &= oracle_rights(i, w);
	}
	return bits;
}

static bool oracle_navigable(int node, const struct who *w)
{
	unsigned here = oracle_rights(node, w);

	if (here & ACL_LIST)
		return false;
	for (int i = 0; i < NODES; i++) {
		if (world[i].alive && i != node && is_below(i, node) &&
		    oracle_rights(i, w) & (ACL_LIST | ACL_READ) & ~here)
			return true;
	}
	return false;
}

static unsigned oracle_trie_nodes(void)
{
	unsigned n = 0;

	for (int i = 0; i < NODES; i++) {
		bool leads = !i;

		for (int k = 0; world[i].alive && k < NODES; k++)
			leads = leads || (world[k].alive && is_below(k, i) && has_entries(k));
		n += world[i].alive && leads;
	}
	return n;
}

/* ---- the same, with the trie ---- */

struct path {
	unsigned depth;
	struct acl_key keys[NODES + DEEP];
	uint64_t ids[NODES + DEEP];
};

static struct path path_to(int node)
{
	struct path p = { .depth = 0 };
	int chain[NODES], n = chain_to(node, chain);

	for (int i = 1; i < n; i++) {
		p.ids[p.depth] = world[chain[i]].id;
		p.keys[p.depth++] = (struct acl_key){ world[chain[i]].key, (uint16_t)strlen(world[chain[i]].key) };
	}
	return p;
}

static int random_alive(void)
{
	int i;

	do
		i = (int)roll(NODES);
	while (!world[i].alive);
	return i;
}

static void random_key(char *key)
{
	/* Few of them, some a prefix of another, so that they meet. */
	static const char *const keys[] = { "a", "aa", "ab", "b", "\xc3\xa4" };

	strcpy(key, keys[roll(5)]);
}

static void grow(void)
{
	for (int i = 1; i < NODES; i++) {
		int parent;
		char key[4];

		if (world[i].alive)
			continue;
		parent = random_alive();
		random_key(key);
		if (child_by_key(parent, key) >= 0)
			continue;
		world[i] = (struct folder){ .alive = true, .parent = parent, .id = next_id++ };
		strcpy(world[i].key, key);
	}
}

static struct acl_trie *update_set(struct acl_trie *t)
{
	int node = random_alive();
	struct folder *f = &world[node];
	struct path p = path_to(node);

	f->inherit_off = !roll(5);
	f->count = roll(3) ? roll(ENTRIES + 1) : 0;
	for (unsigned i = 0; i < f->count; i++) {
		static const char kinds[] = { 'u', 'g', 'g', 'e' };
		char who = kinds[roll(4)];

		f->entries[i] = (struct acl_entry){
			.who = who,
			.id = who == 'u'   ? 1 + roll(USERS)
			      : who == 'g' ? 1 + roll(GROUPS)
					   : 0,
			.deny = !roll(3),
			.rights = 1 + roll(ACL_FULL),
		};
	}
	return acl_trie_set(t, p.ids, p.keys, p.depth, f->inherit_off, f->entries, f->count);
}

static struct acl_trie *update_move(struct acl_trie *t)
{
	int node = random_alive(), parent = random_alive(), replaced;
	struct path from = path_to(node), to;
	char key[4];

	random_key(key);
	replaced = child_by_key(parent, key);
	if (!node || is_below(parent, node) || (replaced >= 0 && is_below(node, replaced)))
		return acl_trie_ref(t);
	if (replaced >= 0 && replaced != node)
		kill_tree(replaced);
	/* from's keys point into the world: the key is to change, so ask the trie for a copy of it first */
	char old_key[4];

	strcpy(old_key, world[node].key);
	from.keys[from.depth - 1].bytes = old_key;
	world[node].parent = parent;
	strcpy(world[node].key, key);
	to = path_to(node);
	return acl_trie_move(t, from.keys, from.depth, to.ids, to.keys, to.depth);
}

static struct acl_trie *update_drop(struct acl_trie *t)
{
	int node = random_alive();
	struct path p = path_to(node);

	if (!node)
		return acl_trie_ref(t);
	kill_tree(node);
	return acl_trie_drop(t, p.keys, p.depth);
}

static struct acl_trie *update(struct acl_trie *t)
{
	struct acl_trie *next;
	unsigned kind = roll(8);

	if (kind == 0)
		next = update_drop(t);
	else if (kind < 3)
		next = update_move(t);
	else
		next = update_set(t);
	ck_assert_ptr_nonnull(next);
	acl_trie_unref(&t);
	return next;
}

static void random_caller(struct who *w)
{
	unsigned n = 0;

	for (uint64_t g = 1; g <= GROUPS; g++) {
		if (roll(2))
			w->groups[n++] = g;
	}
	w->c = (struct acl_caller){
		.user = 1 + roll(USERS), .groups = w->groups, .group_count = n, .owner = !roll(20)
	};
}

static void compare_why(const struct acl_trie *t, const struct who *w, const struct path *p, int node)
{
	unsigned held = acl_trie_rights(t, &w->c, p->keys, p->depth);

	for (unsigned right = 1; right < ACL_FULL; right <<= 1) {
		struct acl_why got, want;

		oracle_right(node, w, right, &want);
		acl_explain(t, &w->c, p->keys, p->depth, (enum acl_right)right, &got);
		agree(got.allowed, want.allowed);
		agree(got.allowed, !!(held & right));
		agree(got.reason, want.reason);
		if (want.reason == ACL_WHY_ENTRY || want.reason == ACL_WHY_INHERIT_OFF) {
			agree(got.node, want.node);
			agree(got.depth, want.depth);
		}
		if (want.reason != ACL_WHY_ENTRY)
			continue;
		agree(got.entry.who, want.entry.who);
		agree(got.entry.id, want.entry.id);
		agree(got.entry.deny, want.entry.deny);
		agree(got.entry.rights, want.entry.rights);
	}
}

static void query(const struct acl_trie *t)
{
	struct who w;
	int node = random_alive();
	struct path p = path_to(node);
	struct acl_cursor cur;

	random_caller(&w);
	agree(acl_trie_rights(t, &w.c, p.keys, p.depth), oracle_rights(node, &w));
	agree(acl_trie_rights_below(t, &w.c, p.keys, p.depth), oracle_below(node, &w));
	agree(acl_navigable(t, &w.c, p.keys, p.depth), oracle_navigable(node, &w));
	acl_cursor_init(&cur, t, &w.c, p.keys, p.depth);
	for (int i = 0; i < NODES; i++) {
		struct acl_key key = { world[i].key, (uint16_t)strlen(world[i].key) };

		if (world[i].alive && world[i].parent == node)
			agree(acl_cursor_child(&cur, &w.c, key), oracle_rights(i, &w));
	}
	compare_why(t, &w, &p, node);
	/* something that does not exist below it */
	p.keys[p.depth++] = (struct acl_key){ "none", 4 };
	p.keys[p.depth++] = (struct acl_key){ "a", 1 };
	agree(acl_trie_rights(t, &w.c, p.keys, p.depth), oracle_rights(node, &w));
	agree(acl_trie_rights_below(t, &w.c, p.keys, p.depth), oracle_rights(node, &w));
}

START_TEST(the_trie_agrees_with_a_plain_list_of_entries)
{
	for (unsigned tree = 0; tree < TREES; tree++) {
		struct acl_trie *t = acl_trie_new(1);

		rng = 0x9e3779b97f4a7c15u * (tree + 1);
		memset(world, 0, sizeof(world));
		world[0] = (struct folder){ .alive = true, .parent = -1, .id = 1 };
		next_id = 2;
		for (unsigned u = 0; u < UPDATES; u++) {
			grow();
			t = update(t);
			for (unsigned q = 0; q < QUERIES / UPDATES; q++)
				query(t);
		}
		ck_assert_msg(acl_trie_nodes(t) == oracle_trie_nodes(), "tree %u: %u nodes, not %u", tree,
			      acl_trie_nodes(t), oracle_trie_nodes());
		acl_trie_unref(&t);
	}
}
END_TEST

/* Old roots stay what they were while new ones are made from them, and nothing leaks (under ASan). */
START_TEST(an_old_root_answers_as_before_after_many_updates)
{
	struct acl_trie *t = acl_trie_new(1), *old;
	struct folder then[NODES];

	rng = 42;
	memset(world, 0, sizeof(world));
	world[0] = (struct folder){ .alive = true, .parent = -1, .id = 1 };
	next_id = 2;
	for (unsigned u = 0; u < 40; u++) {
		grow();
		t = update(t);
	}
	old = acl_trie_ref(t);
	memcpy(then, world, sizeof(world));
	for (unsigned u = 0; u < 200; u++) {
		grow();
		t = update(t);
	}
	memcpy(world, then, sizeof(world));
	for (unsigned q = 0; q < 500; q++)
		query(old);
	acl_trie_unref(&t);
	for (unsigned q = 0; q < 500; q++)
		query(old);
	acl_trie_unref(&old);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("acl_oracle");
	TCase *tc = tcase_create("random trees");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, the_trie_agrees_with_a_plain_list_of_entries);
	tcase_add_test(tc, an_old_root_answers_as_before_after_many_updates);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
