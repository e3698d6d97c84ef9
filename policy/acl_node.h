/* Inside the ACL trie: what a node is. Included by acl_trie.c (building), acl_query.c (asking) and
 * acl_class.c (whom entries name), by nobody else.
 *
 * A node is one allocation: the struct, then its children (sorted by key), its entries, its key. It never changes once
 * made; several roots share it, counted in refs. Each node sums up its subtree, itself included, so that questions
 * about a whole tree skip what cannot matter:
 *   risk    rights that some entry denies or some cut of inheritance takes away
 *   grants  rights that some entry allows
 */
#ifndef GH_POLICY_ACL_NODE_H
#define GH_POLICY_ACL_NODE_H

#include "policy/acl_trie.h"

struct acl_node {
	uint64_t id;
	unsigned refs;
	unsigned child_count, entry_count;
	unsigned risk, grants;
	unsigned nodes; /* in the subtree */
	size_t bytes;   /* of the subtree */
	uint16_t key_len;
	bool inherit_off;
	const char *key;
	struct acl_entry *entries;
	struct acl_node *children[];
};

struct acl_trie {
	unsigned refs;
	struct acl_node *root; /* always there */
};

/* The child of that key, or NULL; *ret_at: where it is or would go. */
struct acl_node *acl_node_find(const struct acl_node *n, struct acl_key key, unsigned *ret_at);

#endif
