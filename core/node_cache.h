/* The node cache: (tenant, parent, name key) -> node, never whole paths, so that a folder's move drops one entry. Holds
 * "nothing of that name here" too (node id 0), on an embedded store: there is one gateway, so nobody else can make it
 * appear behind our back (place.c).
 *
 * Of small folders it also holds the members, whole and in order. They go with the first of them that is dropped: whoever
 * drops a name, there or not there, drops the listing that it would be in.
 *
 * Reading is lock-free under RCU; a found entry is copied into the caller's arena. Filling and dropping take a stripe's
 * mutex. A fill notes its bucket's drop count before the store is read and gives up if it moved. A lower rev never
 * replaces a higher. Bounded in bytes; entries not used since the hand last passed give way. Can be emptied at any
 * moment without changing an answer.
 *
 * Who commits a change of a name tells it the new row, which goes where the old one was, in the listing too. It is
 * taken only from a change that was alone on its way: none of its bucket's was under way when it left or came home, none
 * came home in between, and nothing was dropped. Then what is in memory is what was decided on, or was read after the
 * commit. Else the name is dropped, as it is where the row is not known whole: changes may come home in another order
 * than they were committed in, and another gateway's later one may have been heard of before. Taking a row in moves the
 * drop count, so that no fill that was begun before it puts the old one back. A change of another name of the folder is
 * none of a listing's business: it brings its own member.
 */
#ifndef GH_CORE_NODE_CACHE_H
#define GH_CORE_NODE_CACHE_H

#include "core/meta.h"

struct node_cache;

#define NODE_CACHE_MEMBERS_MAX 200u /* of larger folders nothing is kept: a loop has to copy and to show them all */

GH_MUST_CHECK enum gh_status node_cache_new(uint64_t max_bytes, struct node_cache **ret);
void node_cache_free(struct node_cache **nc);

/* RCU-online threads. GH_OK: *ret filled, strings in arena (a NULL: strings left NULL, for walking). ret->id 0 =
 * known to be absent. GH_AGAIN = not held. */
GH_MUST_CHECK enum gh_status node_cache_get(struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key,
					    size_t key_len, struct gh_arena *a, struct meta_node *ret);
/* Before reading the store. */
uint32_t node_cache_mark(struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key, size_t key_len);
/* node NULL = absent. Any thread. */
void node_cache_fill(struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key, size_t key_len,
		     const struct meta_node *node, uint32_t mark);
/* The name's node, and the listing of its parent. */
void node_cache_drop(struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key, size_t key_len);
/* A folder's members: as node_cache_get, the page in arena. The mark is taken before the store is read; a page that is not
 * whole or too large is not kept. */
GH_MUST_CHECK enum gh_status node_cache_members(struct node_cache *nc, uint64_t tenant, uint64_t folder,
						struct gh_arena *a, struct meta_page *ret);
uint32_t node_cache_mark_members(struct node_cache *nc, uint64_t tenant, uint64_t folder);
void node_cache_fill_members(struct node_cache *nc, uint64_t tenant, uint64_t folder, const struct meta_page *page,
			     uint32_t mark);
void node_cache_clear(struct node_cache *nc);

/* A change of one name on its way: depart before its batch is sent, then one of the other two, once. Any thread. */
struct node_flight {
	uint64_t tenant, hash;
	const struct meta_slot *slot; /* as it was before; the caller's. Without a key it is no name: nothing happens */
	uint32_t drops;
	bool alone;
};
void node_cache_depart(struct node_cache *nc, uint64_t tenant, const struct meta_slot *slot, struct node_flight *ret);
/* Nothing happened. */
void node_cache_turn_back(struct node_cache *nc, const struct node_flight *f);
/* It is committed. now: what is there, id 0: nothing; NULL: not known. absent: that nothing is there may be remembered. */
void node_cache_arrive(struct node_cache *nc, const struct node_flight *f, const struct meta_node *now, bool absent);

#endif
