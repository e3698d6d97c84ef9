/* The ACL trie: who may do what where, decided in memory. Pure: no I/O, clock, threads, locks or atomics; allocation is
 * malloc. A trie is immutable once built; every update returns a new root that shares what did not change (nodes are
 * reference-counted without atomics, so all updates and frees of the tries of one tenant belong to one owner at a time;
 * readers hold a root that the owner frees only after a grace period - the core's business).
 *
 * Entries belong to nodes and travel with them. The trie holds the nodes that have entries and their ancestors, linked
 * by (parent, name key). Each right alone, from the root to the node: "inherit off" sets it to undecided; then of the
 * node's entries that match the caller (user, its groups, everyone: no precedence among them) a deny denies, else an
 * allow allows, else what was inherited stays. Undecided at the end is no. Tenant owners have all rights.
 * What does not exist is decided at its nearest existing ancestor, which follows from walking by key.
 */
#ifndef GH_POLICY_ACL_TRIE_H
#define GH_POLICY_ACL_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum acl_right {
	ACL_LIST = 1,   /* see a folder's children */
	ACL_READ = 2,   /* read content */
	ACL_CREATE = 4, /* make new things in a folder */
	ACL_WRITE = 8,  /* replace content, properties, times; lock */
	ACL_DELETE = 16,
	ACL_SHARE = 32,
	ACL_MANAGE = 64, /* change entries */
	ACL_FULL = 127,
};
#define ACL_RIGHT_COUNT 7
#define ACL_ENTRIES_MAX 256 /* per node */

struct acl_entry {
	char who;    /* 'u' user, 'g' group, 'e' everyone */
	uint64_t id; /* 0 for everyone */
	bool deny;
	unsigned rights;
};

/* The caller. groups sorted ascending. */
struct acl_caller {
	uint64_t user;
	const uint64_t *groups;
	unsigned group_count;
	bool owner;
};

struct acl_trie; /* a root */

struct acl_key {
	const char *bytes;
	uint16_t len;
};

/* An empty trie whose root is the tenant's root folder. NULL: out of memory (likewise below). */
struct acl_trie *acl_trie_new(uint64_t root_node);
struct acl_trie *acl_trie_ref(struct acl_trie *t);
void acl_trie_unref(struct acl_trie **t); /* leaves NULL */

/* New trie in which node (reached over the chain: ids[i], keys[i] from below the root; depth 0 = the root) has these
 * entries; count 0 and !inherit_off removes them (and ancestors that only led there). */
struct acl_trie *acl_trie_set(const struct acl_trie *t, const uint64_t *ids, const struct acl_key *keys, unsigned depth,
			      bool inherit_off, const struct acl_entry *entries, unsigned count);
/* New trie after a move: the subtree at `from` hangs at `to` (whose ids chain names the new ancestors; last id = moved
 * node). When the trie holds nothing at `from`, returns a reference to t itself. What was at `to` is dropped (but where
 * nothing travels and the trie's node at `to` is the last id itself, it stays: a file moved onto a file leaves the
 * target's node and entries; drop `from` then). */
struct acl_trie *acl_trie_move(const struct acl_trie *t, const struct acl_key *from, unsigned from_depth,
			       const uint64_t *to_ids, const struct acl_key *to, unsigned to_depth);
/* New trie without the subtree at the path. */
struct acl_trie *acl_trie_drop(const struct acl_trie *t, const struct acl_key *keys, unsigned depth);

/* The rights (bits) that the caller has at the path. */
unsigned acl_trie_rights(const struct acl_trie *t, const struct acl_caller *c, const struct acl_key *keys,
			 unsigned depth);
/* Rights of a child of an already walked folder: a cursor makes listings O(1) per child.
 * acl_cursor_init walks once; acl_cursor_child gives the rights at folder/key. */
struct acl_cursor {
	const struct acl_trie *trie;
	const void *node; /* NULL: the trie ends above */
	unsigned allowed, decided;
	bool owner;
};
void acl_cursor_init(struct acl_cursor *cur, const struct acl_trie *t, const struct acl_caller *c,
		     const struct acl_key *keys, unsigned depth);
unsigned acl_cursor_child(const struct acl_cursor *cur, const struct acl_caller *c, struct acl_key key);
/* Is anything strictly below folder/key visible (list or read) though the folder itself may not be listed? Such a
 * folder is navigable: stat gives name and type, listing shows only what is visible. What counts is a right that
 * something below has and the folder has not: a folder that may be read but not listed, passing reading down, does not
 * open its names. */
bool acl_navigable(const struct acl_trie *t, const struct acl_caller *c, const struct acl_key *keys, unsigned depth);
/* Rights that hold at the path AND at every node below it that has entries: the whole-tree question of DELETE, MOVE and
 * COPY. Uses per-node summaries of denies and inherit-offs below, so it is cheap where nothing is denied. */
unsigned acl_trie_rights_below(const struct acl_trie *t, const struct acl_caller *c, const struct acl_key *keys,
			       unsigned depth);

/* Which entry decides one right at the path. */
struct acl_why {
	bool allowed;
	enum { ACL_WHY_OWNER, ACL_WHY_ENTRY, ACL_WHY_INHERIT_OFF, ACL_WHY_NOTHING } reason;
	uint64_t node;          /* that holds the entry, or cut inheritance */
	unsigned depth;         /* of that node: 0 = root */
	struct acl_entry entry; /* ACL_WHY_ENTRY */
};
void acl_explain(const struct acl_trie *t, const struct acl_caller *c, const struct acl_key *keys, unsigned depth,
		 enum acl_right right, struct acl_why *ret);

/* Does the trie hold a node at the path (entries there or below)? */
bool acl_trie_holds(const struct acl_trie *t, const struct acl_key *keys, unsigned depth);

size_t acl_trie_bytes(const struct acl_trie *t); /* memory of this root, shared parts counted in full */
unsigned acl_trie_nodes(const struct acl_trie *t);

/* "read,write" -> bits; "full" is all. 0 = unknown word. And back, into out (64 bytes). */
unsigned acl_rights_parse(const char *text);
void acl_rights_format(unsigned rights, char *out);

#endif
