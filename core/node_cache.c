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

/* So many changes in a row keep up a listing that nobody reads. */
#define UNREAD_MAX 4u

struct entry {
	struct entry *next;
	uint64_t tenant, parent;
	uint64_t hash;
	uint32_t bytes;
	atomic_bool used;
	uint8_t unread; /* of a listing: changes that it was kept up with and not used in between */
	struct meta_node node;     /* name and key point into text */
	struct meta_node *members; /* of a listing: they come first in text, their strings behind them */
	uint32_t member_count;
	_Alignas(struct meta_node) char text[]; /* of a node: key NUL name NUL */
};

struct bucket {
	struct entry *head;
	atomic_uint drops;
	atomic_uint flights; /* changes of its names that are being committed */
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

/* With the stripe's lock. *ret points to NULL where there is none. */
static struct entry **link_of(struct node_cache *nc, uint64_t hash, uint64_t tenant, uint64_t parent, const char *key,
			      size_t len)
{
	struct entry **link = &nc->bucket[hash & (nc->buckets - 1)].head;
	while (*link && !entry_is(*link, hash, tenant, parent, key, len))
		link = &(*link)->next;
	return link;
}

/* With the stripe's lock: in place of *link, so that nobody misses it meanwhile, or as a new one. */
static void put_in(struct node_cache *nc, unsigned stripe, struct entry **link, struct entry *fresh)
{
	struct stripe *s = &nc->stripe[stripe];
	struct entry **head = &nc->bucket[fresh->hash & (nc->buckets - 1)].head;
	struct entry *old = *link;
	if (!old)
		make_room(nc, stripe, fresh->bytes);
	s->bytes += fresh->bytes;
	gh_metric_add(GH_M_NODE_CACHE_BYTES, 0, fresh->bytes);
	if (old) {
		fresh->next = old;
		gh_rcu_publish(link, fresh);
		unlink_entry(s, &fresh->next);
		make_room(nc, stripe, 0);
	} else {
		fresh->next = *head;
		gh_rcu_publish(head, fresh);
	}
}

/* Into its bucket, in place of what is there, unless something was dropped since the mark. */
static void publish(struct node_cache *nc, struct entry *fresh, uint32_t mark)
{
	const uint32_t i = fresh->hash & (nc->buckets - 1);
	struct stripe *s = &nc->stripe[i % STRIPES];
	pthread_mutex_lock(&s->lock);
	struct entry **link =
		link_of(nc, fresh->hash, fresh->tenant, fresh->parent, fresh->node.key, fresh->node.key_len);
	const bool raced = atomic_load(&nc->bucket[i].drops) != mark;
	const bool older =
		*link && fresh->node.id && (*link)->node.id == fresh->node.id && (*link)->node.rev > fresh->node.rev;
	if (raced || older || fresh->bytes > nc->stripe_max) {
		gh_metric_add(GH_M_NODE_CACHE, 2, 1);
		free(fresh);
	} else {
		put_in(nc, i % STRIPES, link, fresh);
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
	struct entry **link = link_of(nc, hash, tenant, parent, key, len);
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

static size_t strings_bytes(const struct meta_node *n)
{
	return n->key_len + n->name_len + 2u;
}

/* Without members yet. NULL: too large, or no memory. */
static struct entry *listing_new(struct node_cache *nc, uint64_t tenant, uint64_t folder, unsigned count,
				 size_t strings)
{
	const size_t bytes = offsetof(struct entry, text) + count * sizeof(struct meta_node) + strings + 1;
	struct entry *e = count > NODE_CACHE_MEMBERS_MAX || bytes > nc->stripe_max / 4 ? NULL : malloc(bytes);
	if (!e)
		return NULL;
	memset(e, 0, offsetof(struct entry, text));
	e->tenant = tenant;
	e->parent = folder;
	e->hash = hash_of(nc, tenant, folder, "", 0);
	e->bytes = (uint32_t)bytes;
	e->node.key = e->node.name = "";
	e->members = (struct meta_node *)(void *)e->text;
	return e;
}

static char *put_string(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	at[len] = '\0';
	return at + len + 1;
}

/* One after another, in order; strings: where theirs go. */
static void add_members(struct entry *e, char **strings, const struct meta_node *from, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct meta_node *m = &e->members[e->member_count++];
		*m = from[i];
		m->key = *strings;
		*strings = put_string(*strings, from[i].key, m->key_len);
		m->name = *strings;
		*strings = put_string(*strings, from[i].name, m->name_len);
	}
}

void node_cache_fill_members(struct node_cache *nc, uint64_t tenant, uint64_t folder, const struct meta_page *page,
			     uint32_t mark)
{
	size_t strings = 0;
	if (page->more)
		return;
	for (unsigned i = 0; i < page->count; i++)
		strings += strings_bytes(&page->nodes[i]);
	struct entry *e = listing_new(nc, tenant, folder, page->count, strings);
	if (!e)
		return;
	char *at = e->text + page->count * sizeof(struct meta_node);
	add_members(e, &at, page->nodes, page->count);
	publish(nc, e, mark);
}

/* ---- changes on their way ---- */

void node_cache_depart(struct node_cache *nc, uint64_t tenant, const struct meta_slot *slot, struct node_flight *ret)
{
	*ret = (struct node_flight){ .tenant = tenant, .slot = slot };
	if (!slot->key)
		return;
	ret->hash = hash_of(nc, tenant, slot->parent, slot->key, strlen(slot->key));
	struct bucket *b = &nc->bucket[ret->hash & (nc->buckets - 1)];
	ret->alone = atomic_fetch_add(&b->flights, 1) == 0;
	ret->drops = atomic_load(&b->drops);
}

void node_cache_turn_back(struct node_cache *nc, const struct node_flight *f)
{
	if (f->slot->key)
		atomic_fetch_sub(&nc->bucket[f->hash & (nc->buckets - 1)].flights, 1);
}

enum fit { KEEP, TAKE, CLASH };

/* What is in memory of a name (NULL: that nothing is there) against what a change found there and what it left.
 * Something else than both is of another gateway, and which came first cannot be told. */
static enum fit fit(const struct meta_node *have, const struct meta_slot *was, const struct meta_node *now)
{
	const uint64_t id = have ? have->id : 0;
	if (id == now->id)
		return !id || have->rev >= now->rev ? KEEP : TAKE;
	return id == was->node && (!id || have->rev <= was->rev) ? TAKE : CLASH;
}

/* The name itself. Does what arrives count? */
static bool arrive_name(struct node_cache *nc, const struct node_flight *f, const struct meta_node *now, bool absent)
{
	const uint32_t i = f->hash & (nc->buckets - 1);
	struct bucket *b = &nc->bucket[i];
	struct stripe *s = &nc->stripe[i % STRIPES];
	const struct meta_slot *slot = f->slot;
	const size_t len = strlen(slot->key);
	struct entry *fresh = NULL;
	enum fit how = TAKE;
	if (now && (now->id || absent))
		fresh = entry_new(f->hash, f->tenant, slot->parent, slot->key, len, now->id ? now : NULL);
	pthread_mutex_lock(&s->lock);
	struct entry **link = link_of(nc, f->hash, f->tenant, slot->parent, slot->key, len);
	bool counts = now && f->alone && atomic_load(&b->flights) == 1 && atomic_load(&b->drops) == f->drops;
	if (counts && *link)
		how = fit(&(*link)->node, slot, now);
	counts &= how != CLASH;
	atomic_fetch_add(&b->drops, 1);
	if (counts && how == TAKE && fresh && fresh->bytes <= nc->stripe_max) {
		atomic_init(&fresh->used, *link && atomic_load_explicit(&(*link)->used, memory_order_relaxed));
		put_in(nc, i % STRIPES, link, fresh);
		fresh = NULL;
	} else if (*link && !(counts && how == KEEP)) {
		unlink_entry(s, link);
	}
	pthread_mutex_unlock(&s->lock);
	free(fresh);
	return counts;
}

/* Where key is among the members, or would be. */
static unsigned member_at(const struct entry *e, const char *key, size_t len, bool *ret_there)
{
	unsigned lo = 0, hi = e->member_count;
	*ret_there = false;
	while (lo < hi) {
		const unsigned mid = lo + (hi - lo) / 2;
		const struct meta_node *m = &e->members[mid];
		int order = memcmp(m->key, key, m->key_len < len ? m->key_len : len);
		if (order == 0)
			order = m->key_len < len ? -1 : m->key_len > len;
		*ret_there |= order == 0;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The listing after that change. NULL: it is not kept any more. */
static struct entry *listing_after(struct node_cache *nc, struct entry *old, const struct meta_slot *was,
				   const struct meta_node *now)
{
	bool there;
	const unsigned i = member_at(old, was->key, strlen(was->key), &there);
	const enum fit how = fit(there ? &old->members[i] : NULL, was, now);
	const bool read = atomic_load_explicit(&old->used, memory_order_relaxed);
	if (how == KEEP)
		return old;
	if (how == CLASH || (!read && old->unread == UNREAD_MAX))
		return NULL;
	size_t strings = now->id ? strings_bytes(now) : 0;
	for (unsigned k = 0; k < old->member_count; k++)
		strings += k == i && there ? 0 : strings_bytes(&old->members[k]);
	const unsigned count = old->member_count - there + (now->id != 0), next = i + there;
	struct entry *e = listing_new(nc, old->tenant, old->parent, count, strings);
	if (!e)
		return NULL;
	char *at = e->text + count * sizeof(struct meta_node);
	add_members(e, &at, old->members, i);
	add_members(e, &at, now, now->id != 0);
	add_members(e, &at, old->members + next, old->member_count - next);
	e->unread = read ? 0 : old->unread + 1;
	return e;
}

/* The listing that the name is in. What another gateway did to the name meanwhile was dropped by name first. */
static void arrive_member(struct node_cache *nc, const struct node_flight *f, const struct meta_node *now, bool counts)
{
	const uint64_t folder = f->slot->parent, hash = hash_of(nc, f->tenant, folder, "", 0);
	const uint32_t i = hash & (nc->buckets - 1);
	struct stripe *s = &nc->stripe[i % STRIPES];
	pthread_mutex_lock(&s->lock);
	counts &= atomic_load(&nc->bucket[f->hash & (nc->buckets - 1)].drops) == f->drops + 1;
	atomic_fetch_add(&nc->bucket[i].drops, 1);
	struct entry **link = link_of(nc, hash, f->tenant, folder, "", 0);
	struct entry *fresh = *link && counts ? listing_after(nc, *link, f->slot, now) : NULL;
	if (fresh && fresh != *link)
		put_in(nc, i % STRIPES, link, fresh);
	else if (!fresh && *link)
		unlink_entry(s, link);
	pthread_mutex_unlock(&s->lock);
}

void node_cache_arrive(struct node_cache *nc, const struct node_flight *f, const struct meta_node *now, bool absent)
{
	if (!f->slot->key)
		return;
	const bool counts = arrive_name(nc, f, now, absent);
	gh_metric_add(GH_M_NODE_CACHE, 4, counts);
	if (f->slot->parent)
		arrive_member(nc, f, now, counts);
	node_cache_turn_back(nc, f);
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
