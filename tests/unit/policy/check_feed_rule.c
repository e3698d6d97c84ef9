/* What readers of the event feed are told, against readers that carry it out: on random trees with random entries, users and
 * groups, each user keeps the set of paths that it was told of, and after every event that must be what a naive check, node
 * by node and user by user, says it may see. And no word may have a name in it that the user could see neither before nor
 * after. The naive side knows nothing of tries, classes and covers. Seeds are fixed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/acl_class.h"
#include "policy/feed_rule.h"

enum { NODES = 22, ENTRIES = 3, TREES = 250, EVENTS = 60, USERS = 6, GROUPS = 3, PATH = 96, DEEP = NODES };

struct node {
	bool alive;
	int parent;
	char key[4];
	bool inherit_off;
	unsigned count;
	struct acl_entry entries[ENTRIES];
};
struct user {
	bool owner;
	unsigned group_count;
	uint64_t groups[GROUPS];
};
struct world {
	struct node node[NODES];
	struct user user[USERS];
};
/* What one user was told that there is. */
struct reader {
	unsigned count;
	char path[2 * NODES][PATH];
};

static struct world now, old;
static struct reader reader[USERS];
static uint64_t rng;

static unsigned roll(unsigned n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng >> 33) % n;
}

/* ---- the naive side ---- */

static bool is_below(const struct world *w, int i, int above)
{
	for (; i >= 0; i = w->node[i].parent)
		if (i == above)
			return true;
	return false;
}

static void path_of(const struct world *w, int i, char *out)
{
	char head[PATH] = "";

	if (i == 0) {
		strcpy(out, "/");
		return;
	}
	if (w->node[i].parent > 0)
		path_of(w, w->node[i].parent, head);
	snprintf(out, PATH, "%.80s/%s", head, w->node[i].key);
}

static bool names(const struct acl_entry *e, const struct user *u, uint64_t id)
{
	bool in = e->who == 'e' || (e->who == 'u' && e->id == id);

	for (unsigned g = 0; g < u->group_count; g++)
		in |= e->who == 'g' && u->groups[g] == e->id;
	return in;
}

static bool has_right(const struct world *w, int i, unsigned who, unsigned right)
{
	const struct user *u = &w->user[who];
	int chain[NODES], n = 0;
	int verdict = 0;

	if (u->owner)
		return true;
	for (int at = i; at >= 0; at = w->node[at].parent)
		chain[n++] = at;
	while (n--) {
		const struct node *f = &w->node[chain[n]];
		bool allow = false, deny = false;

		if (f->inherit_off)
			verdict = 0;
		for (unsigned k = 0; k < f->count; k++) {
			const struct acl_entry *e = &f->entries[k];

			if (names(e, u, who + 1) && e->rights & right)
				*(e->deny ? &deny : &allow) = true;
		}
		verdict = deny ? -1 : allow ? 1 : verdict;
	}
	return verdict > 0;
}

static bool has_any(const struct world *w, int i, unsigned who)
{
	for (unsigned right = 1; right < ACL_FULL; right <<= 1)
		if (has_right(w, i, who, right))
			return true;
	return false;
}

static bool may_see(const struct world *w, int i, unsigned who)
{
	if (has_any(w, i, who))
		return true;
	for (int k = 0; k < NODES; k++)
		if (w->node[k].alive && k != i && is_below(w, k, i) &&
		    (has_right(w, k, who, ACL_LIST) || has_right(w, k, who, ACL_READ)))
			return true;
	return false;
}

/* Listings lead to it: not where a folder above may not be seen, or not be listed. */
static bool is_found(const struct world *w, int i, unsigned who)
{
	for (int at = i; at >= 0; at = w->node[at].parent) {
		if (!may_see(w, at, who))
			return false;
		if (at != i && has_any(w, at, who) && !has_right(w, at, who, ACL_LIST))
			return false;
	}
	return true;
}

static bool sees_path(const struct world *w, const char *path, unsigned who)
{
	char p[PATH];

	for (int i = 0; i < NODES; i++) {
		if (!w->node[i].alive)
			continue;
		path_of(w, i, p);
		if (!strcmp(p, path))
			return is_found(w, i, who);
	}
	return false;
}

/* ---- a reader ---- */

static bool lies_in(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (n == 1)
		return true;
	return !strncmp(path, root, n) && (path[n] == '/' || !path[n]);
}

static bool knows(const struct reader *r, const char *path)
{
	for (unsigned i = 0; i < r->count; i++)
		if (!strcmp(r->path[i], path))
			return true;
	return false;
}

static void learn(struct reader *r, const char *path)
{
	if (!knows(r, path))
		strcpy(r->path[r->count++], path);
}

static void forget(struct reader *r, const char *path)
{
	for (unsigned i = 0; i < r->count;)
		if (lies_in(r->path[i], path))
			memmove(r->path[i], r->path[--r->count], PATH);
		else
			i++;
}

static void look(struct reader *r, unsigned who, const char *path)
{
	char p[PATH];

	forget(r, path);
	for (int i = 0; i < NODES; i++) {
		if (!now.node[i].alive || !is_found(&now, i, who))
			continue;
		path_of(&now, i, p);
		if (lies_in(p, path))
			learn(r, p);
	}
}

static void rename_all(struct reader *r, const char *path, const char *dest)
{
	struct reader was = *r;

	forget(r, path);
	forget(r, dest);
	for (unsigned i = 0; i < was.count; i++) {
		char p[2 * PATH];

		if (!lies_in(was.path[i], path))
			continue;
		snprintf(p, sizeof(p), "%s%s", dest, was.path[i] + strlen(path));
		ck_assert(strlen(p) < PATH);
		learn(r, p);
	}
}

/* ---- the other side: tries, views ---- */

struct keys {
	unsigned depth;
	struct acl_key keys[DEEP];
	uint64_t ids[DEEP];
};

static void keys_to(const struct world *w, int i, struct keys *ret)
{
	int chain[NODES], n = 0;

	for (int at = i; at > 0; at = w->node[at].parent)
		chain[n++] = at;
	ret->depth = 0;
	while (n--) {
		const struct node *f = &w->node[chain[n]];

		ret->ids[ret->depth] = (uint64_t)chain[n] + 100;
		ret->keys[ret->depth++] = (struct acl_key){ f->key, (uint16_t)strlen(f->key) };
	}
}

static struct acl_trie *trie_of(const struct world *w)
{
	struct acl_trie *t = acl_trie_new(100);

	for (int i = 0; i < NODES; i++) {
		const struct node *f = &w->node[i];
		struct acl_trie *next;
		struct keys k;

		if (!f->alive || (!f->count && !f->inherit_off))
			continue;
		keys_to(w, i, &k);
		next = acl_trie_set(t, k.ids, k.keys, k.depth, f->inherit_off, f->entries, f->count);
		acl_trie_unref(&t);
		t = next;
	}
	return t;
}

static struct acl_caller caller_of(const struct world *w, unsigned who)
{
	const struct user *u = &w->user[who];

	return (struct acl_caller){ who + 1, u->groups, u->group_count, u->owner };
}

static struct acl_classes *classes_of(const struct world *w, const struct acl_trie *t)
{
	struct acl_caller c[USERS];

	for (unsigned i = 0; i < USERS; i++)
		c[i] = caller_of(w, i);
	return acl_classes_new(t, c, USERS);
}

static const char *name_of(const struct feed_path *p, unsigned depth)
{
	static char out[2][PATH];
	static unsigned turn;
	char *text = out[turn++ % 2];
	size_t len = 0;

	strcpy(text, depth ? "" : "/");
	for (unsigned i = 0; i < depth; i++)
		len += (size_t)snprintf(text + len, PATH - len, "/%.*s", p->keys[i].len, p->keys[i].bytes);
	return text;
}

static void carry_out(unsigned who, const struct feed_event *e, const struct feed_told *t)
{
	struct reader *r = &reader[who];
	const char *path = name_of(t->dest ? &e->dest : &e->path, t->depth), *dest;

	switch (t->word) {
	case FEED_SAY_CREATED:
		ck_assert_msg(sees_path(&now, path, who), "user %u was told of %s", who, path);
		learn(r, path);
		break;
	case FEED_SAY_CHANGED:
		ck_assert_msg(knows(r, path), "user %u was told of a change of %s", who, path);
		break;
	case FEED_SAY_GONE:
		ck_assert_msg(sees_path(&old, path, who), "user %u was told that %s is gone", who, path);
		forget(r, path);
		break;
	case FEED_SAY_RESYNC:
		ck_assert_msg(t->depth == 0 || sees_path(&now, path, who), "user %u is to look at %s", who, path);
		look(r, who, path);
		break;
	case FEED_SAY_MOVED:
		dest = name_of(&e->dest, e->dest.depth);
		ck_assert_msg(sees_path(&old, path, who) && sees_path(&now, dest, who), "user %u was told of %s to %s", who, path,
			      dest);
		rename_all(r, path, dest);
		break;
	}
}

/* ---- what happens ---- */

static int any_alive(void)
{
	int i;

	do
		i = (int)roll(NODES);
	while (!now.node[i].alive);
	return i;
}

static int free_node(void)
{
	for (int i = 1; i < NODES; i++)
		if (!now.node[i].alive)
			return i;
	return -1;
}

static int child_named(int parent, const char *key)
{
	for (int i = 1; i < NODES; i++)
		if (now.node[i].alive && now.node[i].parent == parent && !strcmp(now.node[i].key, key))
			return i;
	return -1;
}

static void kill(int top)
{
	bool below[NODES];

	for (int i = 0; i < NODES; i++)
		below[i] = now.node[i].alive && is_below(&now, i, top);
	for (int i = 0; i < NODES; i++)
		now.node[i].alive &= !below[i];
}

static void new_key(char *key)
{
	static const char *const keys[] = { "a", "aa", "b", "c" };

	strcpy(key, keys[roll(4)]);
}

static bool make_node(int parent, const char *key, int *ret)
{
	int i = free_node();

	if (i < 0 || child_named(parent, key) >= 0)
		return false;
	now.node[i] = (struct node){ .alive = true, .parent = parent };
	strcpy(now.node[i].key, key);
	*ret = i;
	return true;
}

static void new_entries(struct node *f)
{
	f->inherit_off = !roll(5);
	f->count = roll(4) ? roll(ENTRIES + 1) : 0;
	for (unsigned i = 0; i < f->count; i++) {
		const char who = "uge"[roll(3)];

		f->entries[i] = (struct acl_entry){ who, who == 'e' ? 0 : 1 + roll(who == 'u' ? USERS : GROUPS), !roll(3),
						    1 + roll(ACL_FULL) };
	}
}

static void new_groups(struct user *u)
{
	u->group_count = 0;
	for (uint64_t g = 1; g <= GROUPS; g++)
		if (roll(2))
			u->groups[u->group_count++] = g;
	u->owner = !roll(12);
}

static bool try_move(bool copy, struct keys *from, struct keys *to, int *ret)
{
	int i = any_alive(), parent = any_alive(), there;
	char key[4];

	new_key(key);
	there = child_named(parent, key);
	if (!i || is_below(&now, parent, i) || (there >= 0 && (there == i || is_below(&now, i, there) ||
								is_below(&now, parent, there))))
		return false;
	keys_to(&old, i, from);
	if (there >= 0)
		kill(there);
	if (copy) { /* of a file: entries are not copied */
		if (!make_node(parent, key, &i))
			return false;
	} else {
		now.node[i].parent = parent;
		strcpy(now.node[i].key, key);
	}
	keys_to(&now, i, to);
	*ret = i;
	return true;
}

/* false: nothing came of it. */
static bool happen(struct feed_event *e, struct keys *from, struct keys *to)
{
	int i = any_alive();
	char key[4];

	new_key(key);
	from->depth = to->depth = 0;
	switch (roll(10)) {
	case 0: case 1:
		e->kind = FEED_CREATED;
		if (!make_node(i, key, &i))
			return false;
		keys_to(&now, i, from);
		break;
	case 2:
		e->kind = FEED_CHANGED;
		keys_to(&now, i, from);
		break;
	case 3:
		e->kind = FEED_REMOVED;
		if (!i || roll(2))
			return false;
		keys_to(&old, i, from);
		kill(i);
		break;
	case 4: case 5: case 6:
		e->kind = FEED_MOVED;
		if (!try_move(false, from, to, &i))
			return false;
		break;
	case 7:
		e->kind = FEED_ARRIVED;
		if (!try_move(true, from, to, &i))
			return false;
		break;
	case 8:
		e->kind = FEED_RIGHTS;
		new_entries(&now.node[i]);
		keys_to(&now, i, from);
		break;
	default:
		e->kind = FEED_PEOPLE;
		new_groups(&now.user[roll(USERS)]);
		break;
	}
	e->path = (struct feed_path){ from->keys, from->depth };
	e->dest = (struct feed_path){ to->keys, to->depth };
	return true;
}

static void hear(const struct feed_event *e)
{
	struct acl_trie *before = trie_of(&old), *after = trie_of(&now);
	struct acl_classes *was = classes_of(&old, before), *is = classes_of(&now, after);

	for (unsigned u = 0; u < USERS; u++) {
		const struct feed_view v = { before, caller_of(&old, u) }, w = { after, caller_of(&now, u) };
		struct feed_told told[FEED_TOLD_MAX];
		const bool same = acl_class_same(was, acl_class_of(was, u), is, acl_class_of(is, u));
		const unsigned n = feed_decide(e, &v, &w, same, told);
		struct reader naive = { 0 };

		ck_assert_uint_le(n, FEED_TOLD_MAX);
		for (unsigned i = 0; i < n; i++)
			carry_out(u, e, &told[i]);
		if (e->kind == FEED_CHANGED) /* and those who may read it are told of every change */
			ck_assert_uint_eq(n, knows(&reader[u], name_of(&e->path, e->path.depth)) &&
						     acl_trie_rights(after, &w.caller, e->path.keys, e->path.depth));
		look(&naive, u, "/");
		ck_assert_msg(naive.count == reader[u].count, "user %u knows of %u, may see %u after kind %d", u, reader[u].count,
			      naive.count, e->kind);
		for (unsigned i = 0; i < naive.count; i++)
			ck_assert_msg(knows(&reader[u], naive.path[i]), "user %u does not know of %s after kind %d", u,
				      naive.path[i], e->kind);
	}
	acl_classes_free(&was);
	acl_classes_free(&is);
	acl_trie_unref(&before);
	acl_trie_unref(&after);
}

static void plant(unsigned seed)
{
	int ignored;

	rng = 0x9e3779b97f4a7c15ull * (seed + 1);
	memset(&now, 0, sizeof(now));
	now.node[0] = (struct node){ .alive = true, .parent = -1 };
	for (unsigned i = 0; i < NODES; i++) {
		char key[4];

		new_key(key);
		(void)make_node(any_alive(), key, &ignored);
	}
	for (int i = 0; i < NODES; i++)
		if (now.node[i].alive && !roll(3))
			new_entries(&now.node[i]);
	for (unsigned u = 0; u < USERS; u++)
		new_groups(&now.user[u]);
	memset(reader, 0, sizeof(reader));
	for (unsigned u = 0; u < USERS; u++)
		look(&reader[u], u, "/");
}

START_TEST(readers_know_what_they_may_see_after_every_event)
{
	unsigned heard[FEED_ANYTHING + 1] = { 0 };

	for (unsigned t = 0; t < TREES; t++) {
		plant(t);
		for (unsigned i = 0; i < EVENTS; i++) {
			struct keys from, to;
			struct feed_event e = { 0 };

			old = now;
			if (!happen(&e, &from, &to)) {
				now = old;
				continue;
			}
			heard[e.kind]++;
			hear(&e);
		}
	}
	for (enum feed_kind k = FEED_CREATED; k <= FEED_PEOPLE; k++)
		ck_assert_msg(heard[k] > 200, "only %u events of kind %d", heard[k], k);
}
END_TEST

START_TEST(users_of_a_class_have_equal_rights_everywhere)
{
	unsigned shared = 0;

	for (unsigned t = 0; t < TREES; t++) {
		struct acl_trie *trie;
		struct acl_classes *c;

		plant(t);
		trie = trie_of(&now);
		c = classes_of(&now, trie);
		for (unsigned a = 0; a < USERS; a++) {
			ck_assert_uint_lt(acl_class_of(c, a), acl_classes_count(c));
			for (unsigned b = 0; b < a; b++) {
				if (acl_class_of(c, a) != acl_class_of(c, b))
					continue;
				shared++;
				for (int i = 0; i < NODES; i++)
					for (unsigned right = 1; now.node[i].alive && right < ACL_FULL; right <<= 1)
						ck_assert(has_right(&now, i, a, right) == has_right(&now, i, b, right));
			}
		}
		acl_classes_free(&c);
		acl_trie_unref(&trie);
	}
	ck_assert_uint_gt(shared, 100);
}
END_TEST

START_TEST(many_users_without_entries_are_one_class)
{
	enum { MANY = 30000 };
	struct acl_caller *c = calloc(MANY, sizeof(*c));
	uint64_t groups[2] = { 1, 7 };
	const struct acl_entry e[] = { { 'g', 1, false, ACL_READ }, { 'u', 5, false, ACL_READ }, { 'e', 0, false, ACL_LIST } };
	struct acl_trie *empty = acl_trie_new(1), *t = acl_trie_set(empty, NULL, NULL, 0, false, e, 3);
	struct acl_classes *k;

	for (unsigned i = 0; i < MANY; i++)
		c[i] = (struct acl_caller){ .user = i + 1, .groups = groups, .group_count = i % 2 ? 2 : 0, .owner = i == 9 };
	k = acl_classes_new(t, c, MANY);
	ck_assert_uint_eq(acl_classes_count(k), 4); /* nobody, group 1, user 5, the owner */
	ck_assert_uint_eq(acl_class_of(k, 0), acl_class_of(k, 2));
	ck_assert_uint_eq(acl_class_of(k, 1), acl_class_of(k, 29999));
	ck_assert_uint_ne(acl_class_of(k, 4), acl_class_of(k, 2));
	acl_classes_free(&k);
	acl_trie_unref(&t);
	acl_trie_unref(&empty);
	free(c);
}
END_TEST

#define K(text) { text, sizeof(text) - 1 }

START_TEST(a_cover_is_a_place_with_all_below)
{
	const struct acl_key a[] = { K("a"), K("b"), K("c") }, other[] = { K("a"), K("bb") };
	const struct feed_event gone = { FEED_RIGHTS, { a, 2 }, { 0 } }, move = { FEED_MOVED, { other, 2 }, { a, 1 } },
				far = { FEED_MOVED, { other, 2 }, { other + 1, 1 } };
	const struct feed_told told[] = { { FEED_SAY_GONE, false, 2 } }, root[] = { { FEED_SAY_RESYNC, false, 0 } };
	struct feed_cover c = { 0 };
	bool overflow = false;

	feed_cover_add(&c, &gone, told, 1, &overflow);
	ck_assert(feed_covers(&c, &(struct feed_path){ a, 2 }));
	ck_assert(feed_covers(&c, &(struct feed_path){ a, 3 }));
	ck_assert(!feed_covers(&c, &(struct feed_path){ a, 1 }));
	ck_assert(!feed_covers(&c, &(struct feed_path){ other, 2 }));
	ck_assert(feed_cover_crossed(&c, &move)); /* something came to be above it */
	ck_assert(!feed_cover_crossed(&c, &far));
	for (unsigned i = 0; i < FEED_COVER_MAX; i++)
		feed_cover_add(&c, &gone, told, 1, &overflow);
	ck_assert(overflow && c.all);
	c = (struct feed_cover){ 0 };
	overflow = false;
	feed_cover_add(&c, &gone, root, 1, &overflow);
	ck_assert(!overflow && c.all && feed_covers(&c, &(struct feed_path){ other, 2 }));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("feed_rule");
	TCase *t = tcase_create("feed_rule");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 400);
	tcase_add_test(t, readers_know_what_they_may_see_after_every_event);
	tcase_add_test(t, users_of_a_class_have_equal_rights_everywhere);
	tcase_add_test(t, many_users_without_entries_are_one_class);
	tcase_add_test(t, a_cover_is_a_place_with_all_below);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
