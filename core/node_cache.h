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

#endif
