/* See node_cache.h. Buckets are singly linked lists whose heads and links are published with release stores; an entry
 * never changes once published (but for its used mark), it is replaced. A folder's members are an entry like any other,
 * below the folder and of the key that no name has: the empty one. */
#include "core/node_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/base/metrics.h"
#include "core/base/rcu.h"

#define STRIPES 256u
#define TYPICAL_ENTRY_BYTES 512u

struct entry {
	struct entry *next;
	uint64_t tenant, parent;
	uint64_t hash;
	uint32_t bytes;
	atomic_bool used;
	struct meta_node node;     /* name and key point into text */
	struct meta_node *members; /* of a listing: they come first in text, their strings behind them */
	uint32_t member_count;
	_Alignas(struct meta_node) char text[]; /* of a node: key NUL name NUL */
};

struct bucket {
	struct entry *head;
	atomic_uint drops;
};

struct stripe {
	_Alignas(64) pthread_mutex_t lock;
	uint64_t bytes;
	uint32_t hand; /* next bucket of this stripe that the clock looks at */
};

struct node_cache {
	struct gh_sipkey key;
	uint64_t stripe_max;
	uint32_t buckets; /* power of two, at least STRIPES; bucket i belongs to stripe i % STRIPES */
	struct bucket *bucket;
	struct stripe stripe[STRIPES];
};

enum gh_status node_cache_new(uint64_t max_bytes, struct node_cache **ret)
{
	struct node_cache *nc = aligned_alloc(64, (sizeof(*nc) + 63) / 64 * 64);
	if (!nc)
		return GH_NOMEM;
	memset(nc, 0, sizeof(*nc));
	nc->buckets = STRIPES;
	while ((uint64_t)nc->buckets * TYPICAL_ENTRY_BYTES < max_bytes && nc->buckets < (1u << 22))
		nc->buckets *= 2;
	nc->stripe_max = max_bytes / STRIPES;
	nc->bucket = calloc(nc->buckets, sizeof(*nc->bucket));
	if (!nc->bucket) {
		free(nc);
		return GH_NOMEM;
	}
	gh_random(&nc->key, sizeof(nc->key));
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_init(&nc->stripe[i].lock, NULL);
	*ret = nc;
	return GH_OK;
}

void node_cache_free(struct node_cache **ncp)
{
	struct node_cache *nc = *ncp;
	if (!nc)
		return;
	node_cache_clear(nc);
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&nc->stripe[i].lock);
	free(nc->bucket);
	free(nc);
	*ncp = NULL;
}

static uint64_t hash_of(const struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key, size_t len)
{
	const struct gh_sipkey k = { nc->key.k0 ^ tenant, nc->key.k1 ^ parent };
	return gh_siphash(&k, key, len);
}

static bool entry_is(const struct entry *e, uint64_t hash, uint64_t tenant, uint64_t parent, const char *key,
		     size_t len)
{
	return e->hash == hash && e->tenant == tenant && e->parent == parent && e->node.key_len == len &&
	       memcmp(e->node.key, key, len) == 0;
}

/* And marks it as used. */
static struct entry *find(struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key, size_t len)
{
	const uint64_t hash = hash_of(nc, tenant, parent, key, len);
	struct entry *e = gh_rcu_read(&nc->bucket[hash & (nc->buckets - 1)].head);
	while (e && !entry_is(e, hash, tenant, parent, key, len))
		e = gh_rcu_read(&e->next);
	if (e && !atomic_load_explicit(&e->used, memory_order_relaxed))
		atomic_store_explicit(&e->used, true, memory_order_relaxed);
	return e;
}

enum gh_status node_cache_get(struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key, size_t len,
			      struct gh_arena *a, struct meta_node *ret)
{
	const struct entry *e = find(nc, tenant, parent, key, len);
	gh_metric_add(GH_M_NODE_CACHE, e ? 0 : 1, 1);
	if (!e)
		return GH_AGAIN;
	*ret = e->node;
	ret->name = a ? gh_strndup(a, e->node.name, e->node.name_len) : NULL;
	ret->key = a ? gh_strndup(a, e->node.key, e->node.key_len) : NULL;
	return a && !ret->key ? GH_NOMEM : GH_OK;
}

uint32_t node_cache_mark(struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key, size_t len)
{
	const uint64_t hash = hash_of(nc, tenant, parent, key, len);
	return atomic_load(&nc->bucket[hash & (nc->buckets - 1)].drops);
}

static void unlink_entry(struct stripe *s, struct entry **link)
{
	struct entry *e = *link;
	gh_rcu_publish(link, e->next);
	s->bytes -= e->bytes;
	gh_metric_add(GH_M_NODE_CACHE_BYTES, 0, -(int64_t)e->bytes);
	gh_rcu_defer(free, e);
}

/* Second-chance clock over the stripe's own buckets. */
static void make_room(struct node_cache *nc, unsigned stripe, uint32_t bytes)
{
	struct stripe *s = &nc->stripe[stripe];
	const uint32_t own = nc->buckets / STRIPES;
	for (uint32_t looked = 0; s->bytes + bytes > nc->stripe_max && looked < 2 * own; looked++) {
		struct entry **link = &nc->bucket[stripe + STRIPES * (s->hand++ % own)].head;
		while (*link) {
			if (atomic_exchange_explicit(&(*link)->used, false, memory_order_relaxed)) {
				link = &(*link)->next;
				continue;
			}
			unlink_entry(s, link);
			gh_metric_add(GH_M_NODE_CACHE, 3, 1);
		}
	}
}

static struct entry *entry_new(uint64_t hash, uint64_t tenant, uint64_t parent, const char *key, size_t len,
			       const struct meta_node *node)
{
	const size_t name_len = node ? node->name_len : 0;
	const size_t bytes = sizeof(struct entry) + len + name_len + 2;
	struct entry *e = malloc(bytes);
	if (!e)
		return NULL;
	memset(e, 0, sizeof(*e));
	e->tenant = tenant;
	e->parent = parent;
	e->hash = hash;
	e->bytes = (uint32_t)bytes;
	if (node)
		e->node = *node;
	memcpy(e->text, key, len);
	e->text[len] = '\0';
	if (name_len)
		memcpy(e->text + len + 1, node->name, name_len);
	e->text[len + 1 + name_len] = '\0';
	e->node.key = e->text;
	e->node.key_len = (uint16_t)len;
	e->node.name = e->text + len + 1;
	e->node.name_len = (uint16_t)name_len;
	return e;
}

/* Into its bucket, in place of what is there, unless something was dropped since the mark. */
static void publish(struct node_cache *nc, struct entry *fresh, uint32_t mark)
{
	const uint32_t i = fresh->hash & (nc->buckets - 1);
	struct stripe *s = &nc->stripe[i % STRIPES];
	pthread_mutex_lock(&s->lock);
	struct entry **link = &nc->bucket[i].head;
	while (*link &&
	       !entry_is(*link, fresh->hash, fresh->tenant, fresh->parent, fresh->node.key, fresh->node.key_len))
		link = &(*link)->next;
	const bool raced = atomic_load(&nc->bucket[i].drops) != mark;
	const bool older =
		*link && fresh->node.id && (*link)->node.id == fresh->node.id && (*link)->node.rev > fresh->node.rev;
	if (raced || older || fresh->bytes > nc->stripe_max) {
		gh_metric_add(GH_M_NODE_CACHE, 2, 1);
		free(fresh);
	} else {
		if (*link)
			unlink_entry(s, link);
		make_room(nc, i % STRIPES, fresh->bytes);
		fresh->next = nc->bucket[i].head;
		s->bytes += fresh->bytes;
		gh_metric_add(GH_M_NODE_CACHE_BYTES, 0, fresh->bytes);
		gh_rcu_publish(&nc->bucket[i].head, fresh);
	}
	pthread_mutex_unlock(&s->lock);
}

void node_cache_fill(struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key, size_t len,
		     const struct meta_node *node, uint32_t mark)
{
	struct entry *fresh = entry_new(hash_of(nc, tenant, parent, key, len), tenant, parent, key, len, node);
	if (fresh)
		publish(nc, fresh, mark);
}

static void drop_one(struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key, size_t len)
{
	const uint64_t hash = hash_of(nc, tenant, parent, key, len);
	const uint32_t i = hash & (nc->buckets - 1);
	struct stripe *s = &nc->stripe[i % STRIPES];
	pthread_mutex_lock(&s->lock);
	atomic_fetch_add(&nc->bucket[i].drops, 1);
	struct entry **link = &nc->bucket[i].head;
	while (*link && !entry_is(*link, hash, tenant, parent, key, len))
		link = &(*link)->next;
	if (*link)
		unlink_entry(s, link);
	pthread_mutex_unlock(&s->lock);
}

void node_cache_drop(struct node_cache *nc, uint64_t tenant, uint64_t parent, const char *key, size_t len)
{
	drop_one(nc, tenant, parent, key, len);
	if (parent)
		drop_one(nc, tenant, parent, "", 0);
}

/* ---- listings ---- */

uint32_t node_cache_mark_members(struct node_cache *nc, uint64_t tenant, uint64_t folder)
{
	return node_cache_mark(nc, tenant, folder, "", 0);
}

enum gh_status node_cache_members(struct node_cache *nc, uint64_t tenant, uint64_t folder, struct gh_arena *a,
				  struct meta_page *ret)
{
	const struct entry *e = find(nc, tenant, folder, "", 0);
	gh_metric_add(GH_M_LIST_CACHE, e ? 0 : 1, 1);
	if (!e)
		return GH_AGAIN;
	const size_t bytes = e->bytes - offsetof(struct entry, text);
	char *copy = gh_alloc(a, bytes);
	if (!copy)
		return GH_NOMEM;
	memcpy(copy, e->text, bytes);
	*ret = (struct meta_page){ .count = e->member_count, .nodes = (struct meta_node *)(void *)copy };
	for (unsigned i = 0; i < ret->count; i++) {
		ret->nodes[i].key = copy + (e->members[i].key - e->text);
		ret->nodes[i].name = copy + (e->members[i].name - e->text);
	}
	return GH_OK;
}

static size_t members_bytes(const struct meta_page *page)
{
	size_t bytes = page->count * sizeof(struct meta_node);
	for (unsigned i = 0; i < page->count; i++)
		bytes += page->nodes[i].key_len + page->nodes[i].name_len + 2u;
	return bytes;
}

static char *put_string(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	at[len] = '\0';
	return at + len + 1;
}

void node_cache_fill_members(struct node_cache *nc, uint64_t tenant, uint64_t folder, const struct meta_page *page,
			     uint32_t mark)
{
	if (page->more || page->count > NODE_CACHE_MEMBERS_MAX)
		return;
	const size_t bytes = offsetof(struct entry, text) + members_bytes(page) + 1;
	if (bytes > nc->stripe_max / 4)
		return;
	struct entry *e = malloc(bytes);
	if (!e)
		return;
	memset(e, 0, offsetof(struct entry, text));
	e->tenant = tenant;
	e->parent = folder;
	e->hash = hash_of(nc, tenant, folder, "", 0);
	e->bytes = (uint32_t)bytes;
	e->node.key = e->node.name = "";
	e->members = (struct meta_node *)(void *)e->text;
	e->member_count = page->count;
	char *at = e->text + page->count * sizeof(struct meta_node);
	for (unsigned i = 0; i < page->count; i++) {
		struct meta_node *m = &e->members[i];
		*m = page->nodes[i];
		m->key = at;
		at = put_string(at, page->nodes[i].key, m->key_len);
		m->name = at;
		at = put_string(at, page->nodes[i].name, m->name_len);
	}
	publish(nc, e, mark);
}

void node_cache_clear(struct node_cache *nc)
{
	for (uint32_t i = 0; i < nc->buckets; i++) {
		struct stripe *s = &nc->stripe[i % STRIPES];
		pthread_mutex_lock(&s->lock);
		atomic_fetch_add(&nc->bucket[i].drops, 1);
		while (nc->bucket[i].head)
			unlink_entry(s, &nc->bucket[i].head);
		pthread_mutex_unlock(&s->lock);
	}
}
