/* The ACL trie, asking: what a caller may do at a path, in a listing, in a whole tree, and why. See policy/acl_trie.h
 * for the rule. Reads only; any number of readers of one root at a time.
 *
 * The walk carries two bit sets, one bit per right: decided (some entry has spoken since inheritance was last cut) and
 * allowed (and it said yes). A right that is not decided is not allowed, so allowed alone answers.
 */
#include <stdlib.h>

#include "policy/acl_node.h"

#define VISIBLE (ACL_LIST | ACL_READ)

static bool in_groups(const struct acl_caller *c, uint64_t id)
{
	unsigned low = 0, high = c->group_count;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (c->groups[mid] == id)
			return true;
		if (c->groups[mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

static bool entry_matches(const struct acl_entry *e, const struct acl_caller *c)
{
	switch (e->who) {
	case 'u':
		return e->id == c->user;
	case 'g':
		return in_groups(c, e->id);
	case 'e':
		return true;
	}
	return false;
}

struct state {
	unsigned allowed, decided;
};

/* What holds at a node, from what holds above it. */
static struct state node_apply(const struct acl_node *n, const struct acl_caller *c, struct state above)
{
	struct state here = n->inherit_off ? (struct state){ 0, 0 } : above;
	unsigned allows = 0, denies = 0;

	for (unsigned i = 0; i < n->entry_count; i++) {
		const struct acl_entry *e = &n->entries[i];

		if (!entry_matches(e, c))
			continue;
		if (e->deny)
			denies |= e->rights;
		else
			allows |= e->rights;
	}
	here.allowed = ((here.allowed | allows) & ~denies) & ACL_FULL;
	here.decided = (here.decided | allows | denies) & ACL_FULL;
	return here;
}

/* Walks to the path. *ret_node: the node there, NULL when the trie ends above. */
static struct state walk(const struct acl_trie *t, const struct acl_caller *c, const struct acl_key *keys,
			 unsigned depth, const struct acl_node **ret_node)
{
	const struct acl_node *n = t->root;
	struct state s = node_apply(n, c, (struct state){ 0, 0 });
	unsigned at;

	for (unsigned i = 0; i < depth; i++) {
		n = acl_node_find(n, keys[i], &at);
		if (!n)
			break;
		s = node_apply(n, c, s);
	}
	*ret_node = n;
	return s;
}

unsigned acl_trie_rights(const struct acl_trie *t, const struct acl_caller *c, const struct acl_key *keys,
			 unsigned depth)
{
	const struct acl_node *n;

	if (c->owner)
		return ACL_FULL;
	return walk(t, c, keys, depth, &n).allowed;
}

void acl_cursor_init(struct acl_cursor *cur, const struct acl_trie *t, const struct acl_caller *c,
		     const struct acl_key *keys, unsigned depth)
{
	const struct acl_node *n;
	struct state s = walk(t, c, keys, depth, &n);

	*cur = (struct acl_cursor){
		.trie = t,
		.node = n,
		.allowed = c->owner ? ACL_FULL : s.allowed,
		.decided = c->owner ? ACL_FULL : s.decided,
		.owner = c->owner,
	};
}

unsigned acl_cursor_child(const struct acl_cursor *cur, const struct acl_caller *c, struct acl_key key)
{
	const struct acl_node *child;
	unsigned at;

	if (cur->owner || !cur->node)
		return cur->allowed;
	child = acl_node_find(cur->node, key, &at);
	if (!child)
		return cur->allowed;
	return node_apply(child, c, (struct state){ cur->allowed, cur->decided }).allowed;
}

/* Does the caller gain any of `want` somewhere below n? Only an entry that allows can give it. */
static bool gains_below(const struct acl_node *n, const struct acl_caller *c, struct state s, unsigned want)
{
	for (unsigned i = 0; i < n->child_count; i++) {
		const struct acl_node *child = n->children[i];
		struct state here;

		if (!(child->grants & want))
			continue;
		here = node_apply(child, c, s);
		if (here.allowed & want || gains_below(child, c, here, want))
			return true;
	}
	return false;
}

bool acl_navigable(const struct acl_trie *t, const struct acl_caller *c, const struct acl_key *keys, unsigned depth)
{
	const struct acl_node *n;
	struct state s;

	if (c->owner)
		return false;
	s = walk(t, c, keys, depth, &n);
	if (!n || s.allowed & ACL_LIST)
		return false;
	/* Reading without listing, passed down by the folder itself, opens no names: only what is given below counts.
	 */
	return gains_below(n, c, s, VISIBLE & ~s.allowed);
}

static unsigned rights_below(const struct acl_node *n, const struct acl_caller *c, struct state s)
{
	unsigned held = s.allowed;

	for (unsigned i = 0; held && i < n->child_count; i++) {
		const struct acl_node *child = n->children[i];

		/* Where nothing of what is still held can be taken away, all of it holds throughout. */
		if (child->risk & held)
			held &= rights_below(child, c, node_apply(child, c, s));
	}
	return held;
}

unsigned acl_trie_rights_below(const struct acl_trie *t, const struct acl_caller *c, const struct acl_key *keys,
			       unsigned depth)
{
	const struct acl_node *n;
	struct state s;

	if (c->owner)
		return ACL_FULL;
	s = walk(t, c, keys, depth, &n);
	return n ? rights_below(n, c, s) : s.allowed;
}

/* The entry that decides the right at this node alone: the first that denies, else the first that allows. */
static const struct acl_entry *deciding_entry(const struct acl_node *n, const struct acl_caller *c,
					      enum acl_right right)
{
	const struct acl_entry *allow = NULL;

	for (unsigned i = 0; i < n->entry_count; i++) {
		const struct acl_entry *e = &n->entries[i];

		if (!(e->rights & right) || !entry_matches(e, c))
			continue;
		if (e->deny)
			return e;
		if (!allow)
			allow = e;
	}
	return allow;
}

void acl_explain(const struct acl_trie *t, const struct acl_caller *c, const struct acl_key *keys, unsigned depth,
		 enum acl_right right, struct acl_why *ret)
{
	const struct acl_node *n = t->root;
	unsigned at;

	*ret = (struct acl_why){ .reason = ACL_WHY_NOTHING };
	if (c->owner) {
		ret->reason = ACL_WHY_OWNER;
		ret->allowed = true;
		return;
	}
	for (unsigned i = 0; n; i++) {
		const struct acl_entry *e = deciding_entry(n, c, right);

		/* A cut is the reason only where there was something to cut off. */
		if (n->inherit_off && ret->reason == ACL_WHY_ENTRY)
			*ret = (struct acl_why){ .reason = ACL_WHY_INHERIT_OFF, .node = n->id, .depth = i };
		if (e)
			*ret = (struct acl_why){
				.allowed = !e->deny, .reason = ACL_WHY_ENTRY, .node = n->id, .depth = i, .entry = *e
			};
		if (i == depth)
			break;
		n = acl_node_find(n, keys[i], &at);
	}
}
