/* The ACL trie, building: new roots out of old ones. See policy/acl_trie.h for rules and ownership, acl_query.c for the
 * questions.
 *
 * Every update is the same walk: down along the path, do one thing at its end (set, hang, drop), and on the way back
 * copy each node of the path with its one child replaced. A node that is left with nothing to say - no entries, no cut,
 * no children - vanishes, and with it ancestors that only led there. The walk recurses as deep as the path is long,
 * which the core bounds (GH_DEPTH_MAX).
 *
 * Where the chain names another node id than the trie holds under that key, the trie's node is one that is gone from
 * that place: it and all below give way, so that nobody inherits the entries of a dead folder.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/acl_node.h"

static int key_compare(const char *a, unsigned a_len, const char *b, unsigned b_len)
{
	unsigned least = a_len < b_len ? a_len : b_len;
	int order = least ? memcmp(a, b, least) : 0;

	if (order)
		return order;
	return a_len < b_len ? -1 : a_len > b_len;
}

struct acl_node *acl_node_find(const struct acl_node *n, struct acl_key key, unsigned *ret_at)
{
	unsigned low = 0, high = n->child_count;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		const struct acl_node *child = n->children[mid];
		int order = key_compare(child->key, child->key_len, key.bytes, key.len);

		if (order == 0) {
			*ret_at = mid;
			return n->children[mid];
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_at = low;
	return NULL;
}

static struct acl_node *node_ref(struct acl_node *n)
{
	if (n)
		n->refs++;
	return n;
}

static void node_unref(struct acl_node *n)
{
	if (!n || --n->refs)
		return;
	for (unsigned i = 0; i < n->child_count; i++)
		node_unref(n->children[i]);
	free(n);
}

/* What a node is made of; children come by make's caller. */
struct node_parts {
	uint64_t id;
	struct acl_key key;
	bool inherit_off;
	const struct acl_entry *entries;
	unsigned entry_count, child_count;
};

/* A node with room for its children, which the caller fills in (taking references) before node_sum. */
static struct acl_node *node_alloc(const struct node_parts *p)
{
	size_t children_bytes = p->child_count * sizeof(struct acl_node *);
	size_t entries_bytes = p->entry_count * sizeof(struct acl_entry);
	size_t bytes = sizeof(struct acl_node) + children_bytes + entries_bytes + p->key.len;
	struct acl_node *n = calloc(1, bytes);
	char *key;

	if (!n)
		return NULL;
	n->id = p->id;
	n->refs = 1;
	n->child_count = p->child_count;
	n->entry_count = p->entry_count;
	n->inherit_off = p->inherit_off;
	n->bytes = bytes;
	n->entries = (struct acl_entry *)((char *)(n + 1) + children_bytes);
	if (entries_bytes)
		memcpy(n->entries, p->entries, entries_bytes);
	key = (char *)(n->entries + p->entry_count);
	if (p->key.len)
		memcpy(key, p->key.bytes, p->key.len);
	n->key = key;
	n->key_len = p->key.len;
	return n;
}

static void node_sum(struct acl_node *n)
{
	n->nodes = 1;
	if (n->inherit_off)
		n->risk = ACL_FULL;
	for (unsigned i = 0; i < n->entry_count; i++) {
		if (n->entries[i].deny)
			n->risk |= n->entries[i].rights;
		else
			n->grants |= n->entries[i].rights;
	}
	for (unsigned i = 0; i < n->child_count; i++) {
		n->risk |= n->children[i]->risk;
		n->grants |= n->children[i]->grants;
		n->nodes += n->children[i]->nodes;
		n->bytes += n->children[i]->bytes;
	}
}

static struct node_parts parts_of(const struct acl_node *n)
{
	return (struct node_parts){
		.id = n->id,
		.key = { n->key, n->key_len },
		.inherit_off = n->inherit_off,
		.entries = n->entries,
		.entry_count = n->entry_count,
		.child_count = n->child_count,
	};
}

/* A copy of what p says with all children of old (NULL: none). */
static struct acl_node *node_with_children_of(struct node_parts p, const struct acl_node *old)
{
	struct acl_node *n;

	p.child_count = old ? old->child_count : 0;
	n = node_alloc(&p);
	if (!n)
		return NULL;
	for (unsigned i = 0; i < p.child_count; i++)
		n->children[i] = node_ref(old->children[i]);
	node_sum(n);
	return n;
}

/* A copy of what p says with the children of old (NULL: none), but at place `at` fresh (consumed; NULL: none) instead
 * of what is there (replaces: something is). */
static struct acl_node *node_with_child(struct node_parts p, const struct acl_node *old, unsigned at, bool replaces,
					struct acl_node *fresh)
{
	unsigned had = old ? old->child_count : 0, filled = 0;
	struct acl_node *n;

	p.child_count = had - replaces + (fresh != NULL);
	n = node_alloc(&p);
	if (!n) {
		node_unref(fresh);
		return NULL;
	}
	for (unsigned i = 0; i < at; i++)
		n->children[filled++] = node_ref(old->children[i]);
	if (fresh)
		n->children[filled++] = fresh;
	for (unsigned i = at + replaces; i < had; i++)
		n->children[filled++] = node_ref(old->children[i]);
	node_sum(n);
	return n;
}

/* One update: the path, and what happens at its end. */
struct edit {
	const uint64_t *ids; /* NULL: whatever the trie holds there is meant (drop) */
	const struct acl_key *keys;
	unsigned depth;
	/* old: what is at the end of the path now, or NULL. *ret: an own reference to what shall be there, or NULL for
	 * nothing. false: out of memory. */
	bool (*leaf)(const struct edit *e, const struct acl_node *old, struct acl_key key, struct acl_node **ret);
	/* set */
	uint64_t root_id;
	bool inherit_off;
	const struct acl_entry *entries;
	unsigned entry_count;
	/* hang */
	const struct acl_node *subtree;
};

static bool leaf_set(const struct edit *e, const struct acl_node *old, struct acl_key key, struct acl_node **ret)
{
	struct node_parts p = {
		.id = e->depth ? e->ids[e->depth - 1] : e->root_id,
		.key = key,
		.inherit_off = e->inherit_off,
		.entries = e->entries,
		.entry_count = e->entry_count,
	};

	*ret = node_with_children_of(p, old);
	return *ret != NULL;
}

static bool leaf_hang(const struct edit *e, const struct acl_node *old, struct acl_key key, struct acl_node **ret)
{
	struct node_parts p = parts_of(e->subtree);

	(void)old;
	p.id = e->ids[e->depth - 1];
	p.key = key;
	*ret = node_with_children_of(p, e->subtree);
	return *ret != NULL;
}

static bool leaf_drop(const struct edit *e, const struct acl_node *old, struct acl_key key, struct acl_node **ret)
{
	(void)e, (void)old, (void)key;
	*ret = NULL;
	return true;
}

static bool says_nothing(const struct acl_node *n)
{
	return !n->entry_count && !n->inherit_off && !n->child_count;
}

/* The node at `level` of the path as it shall be. old: as it is, NULL when the trie does not reach there. */
static bool edit_at(const struct edit *e, const struct acl_node *old, unsigned level, struct acl_node **ret)
{
	struct acl_key key = level ? e->keys[level - 1] : (struct acl_key){ NULL, 0 };
	struct acl_node *child = NULL, *fresh = NULL, *n;
	struct node_parts p = { .key = key };
	unsigned at = 0;
	bool replaces;

	if (level == e->depth)
		return e->leaf(e, old, key, ret);
	if (old) {
		child = acl_node_find(old, e->keys[level], &at);
		p = parts_of(old);
	} else {
		p.id = e->ids ? e->ids[level - 1] : 0;
	}
	replaces = child != NULL;
	if (child && e->ids && child->id != e->ids[level])
		child = NULL;
	if (!edit_at(e, child, level + 1, &fresh))
		return false;
	if (fresh && says_nothing(fresh)) {
		node_unref(fresh);
		fresh = NULL;
	}
	n = node_with_child(p, old, at, replaces, fresh);
	if (!n)
		return false;
	*ret = n;
	return true;
}

static struct acl_trie *trie_of(struct acl_node *root)
{
	struct acl_trie *t = calloc(1, sizeof(*t));

	if (!t) {
		node_unref(root);
		return NULL;
	}
	t->refs = 1;
	t->root = root;
	return t;
}

static struct acl_trie *trie_edit(const struct acl_trie *t, const struct edit *e)
{
	struct acl_node *root;

	if (!edit_at(e, t->root, 0, &root))
		return NULL;
	return trie_of(root);
}

struct acl_trie *acl_trie_new(uint64_t root_node)
{
	struct node_parts p = { .id = root_node };
	struct acl_node *root = node_with_children_of(p, NULL);

	return root ? trie_of(root) : NULL;
}

struct acl_trie *acl_trie_ref(struct acl_trie *t)
{
	t->refs++;
	return t;
}

void acl_trie_unref(struct acl_trie **t)
{
	struct acl_trie *dead = *t;

	*t = NULL;
	if (!dead || --dead->refs)
		return;
	node_unref(dead->root);
	free(dead);
}

/* The node that the path leads to, or NULL where the trie ends above it. */
static struct acl_node *trie_find(const struct acl_trie *t, const struct acl_key *keys, unsigned depth)
{
	struct acl_node *n = t->root;
	unsigned at;

	for (unsigned i = 0; n && i < depth; i++)
		n = acl_node_find(n, keys[i], &at);
	return n;
}

struct acl_trie *acl_trie_set(const struct acl_trie *t, const uint64_t *ids, const struct acl_key *keys, unsigned depth,
			      bool inherit_off, const struct acl_entry *entries, unsigned count)
{
	struct edit e = {
		.ids = ids,
		.keys = keys,
		.depth = depth,
		.leaf = leaf_set,
		.root_id = t->root->id,
		.inherit_off = inherit_off,
		.entries = entries,
		.entry_count = count,
	};

	if (count > ACL_ENTRIES_MAX)
		return NULL;
	return trie_edit(t, &e);
}

struct acl_trie *acl_trie_drop(const struct acl_trie *t, const struct acl_key *keys, unsigned depth)
{
	struct edit e = { .keys = keys, .depth = depth, .leaf = leaf_drop };

	if (!depth)
		return acl_trie_new(t->root->id);
	if (!trie_find(t, keys, depth))
		return acl_trie_ref((struct acl_trie *)t);
	return trie_edit(t, &e);
}

struct acl_trie *acl_trie_move(const struct acl_trie *t, const struct acl_key *from, unsigned from_depth,
			       const uint64_t *to_ids, const struct acl_key *to, unsigned to_depth)
{
	const struct acl_node *subtree = from_depth ? trie_find(t, from, from_depth) : NULL, *there;
	struct edit e = { .ids = to_ids, .keys = to, .depth = to_depth, .leaf = leaf_hang, .subtree = subtree };
	struct acl_trie *without, *moved;

	if (!subtree) {
		/* Nothing travels. A dead node's entries must not stay for what now stands at `to`; but a file moved
		 * onto a file leaves the target's node, and its entries, in place. */
		there = to_depth ? trie_find(t, to, to_depth) : NULL;
		if (there && there->id != to_ids[to_depth - 1])
			return acl_trie_drop(t, to, to_depth);
		return acl_trie_ref((struct acl_trie *)t);
	}
	if (!to_depth)
		return acl_trie_ref((struct acl_trie *)t);
	/* t keeps the subtree alive between the two steps. */
	without = acl_trie_drop(t, from, from_depth);
	if (!without)
		return NULL;
	moved = trie_edit(without, &e);
	acl_trie_unref(&without);
	return moved;
}

bool acl_trie_holds(const struct acl_trie *t, const struct acl_key *keys, unsigned depth)
{
	return trie_find(t, keys, depth) != NULL;
}

size_t acl_trie_bytes(const struct acl_trie *t)
{
	return sizeof(*t) + t->root->bytes;
}

unsigned acl_trie_nodes(const struct acl_trie *t)
{
	return t->root->nodes;
}
