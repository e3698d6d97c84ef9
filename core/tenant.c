/* The registry of tenants and their two snapshots. Look-ups by name and host are lock-free: the hash chains only ever
 * grow at their heads, and host lists are replaced whole under RCU. */
#include "core/tenant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/rcu.h"
#include "core/house.h"
#include "core/rights_bytes.h"
#include "core/shared.h"
#include "core/tree_shared.h"

#define TENANT_BUCKETS 8192u

struct host {
	char *name;
	struct tenant *tenant;
};
/* All host names of all tenants, sorted; replaced whole when one changes. */
struct hosts {
	unsigned count;
	struct host *host;
};

struct tenants {
	pthread_mutex_t lock; /* writers */
	struct gh_sipkey key;
	struct tenant *_Atomic by_name[TENANT_BUCKETS];
	struct tenant *_Atomic by_id[TENANT_BUCKETS];
	struct hosts *hosts; /* RCU */
};

enum gh_status tenants_new(struct tenants **ret)
{
	struct tenants *ts = calloc(1, sizeof(*ts));
	if (!ts)
		return GH_NOMEM;
	pthread_mutex_init(&ts->lock, NULL);
	gh_random(&ts->key, sizeof(ts->key));
	*ret = ts;
	return GH_OK;
}

static unsigned bucket_of(const struct tenants *ts, const char *name)
{
	return (unsigned)gh_siphash(&ts->key, name, strlen(name)) % TENANT_BUCKETS;
}

static void hosts_free(void *p)
{
	struct hosts *h = p;
	if (!h)
		return;
	for (unsigned i = 0; i < h->count; i++)
		free(h->host[i].name);
	free(h->host);
	free(h);
}

static void tenant_free(struct tenant *t)
{
	rights_unref(&t->rights);
	locks_unref(&t->locks);
	pthread_mutex_destroy(&t->load);
	pthread_mutex_destroy(&t->tries);
	free(t);
}

void tenants_free(struct tenants **tp)
{
	struct tenants *ts = *tp;
	if (!ts)
		return;
	for (unsigned i = 0; i < TENANT_BUCKETS; i++)
		for (struct tenant *t = ts->by_name[i], *next; t; t = next) {
			next = t->next_name;
			tenant_free(t);
		}
	hosts_free(ts->hosts);
	pthread_mutex_destroy(&ts->lock);
	free(ts);
	*tp = NULL;
}

struct tenant *tenant_find(struct gh_core *c, const char *name)
{
	struct tenant *t = atomic_load_explicit(&c->tenants->by_name[bucket_of(c->tenants, name)], memory_order_acquire);
	while (t && strcmp(t->name, name) != 0)
		t = atomic_load_explicit(&t->next_name, memory_order_acquire);
	return t;
}

/* Ids made together differ in their lowest bits, and in time. */
static unsigned id_bucket(uint64_t id)
{
	return (unsigned)((id ^ id >> 21) % TENANT_BUCKETS);
}

struct tenant *tenant_by_id(struct gh_core *c, uint64_t id)
{
	struct tenant *t = atomic_load_explicit(&c->tenants->by_id[id_bucket(id)], memory_order_acquire);
	while (t && t->id != id)
		t = atomic_load_explicit(&t->next_id, memory_order_acquire);
	return t;
}

void tenant_raise_tree_gen(struct tenant *t, uint64_t to)
{
	uint64_t now = atomic_load(&t->tree_gen);
	while (now < to && !atomic_compare_exchange_weak(&t->tree_gen, &now, to))
		;
}

void tenants_each(struct gh_core *c, void (*fn)(struct tenant *t, void *arg), void *arg)
{
	for (unsigned i = 0; i < TENANT_BUCKETS; i++)
		for (struct tenant *t = atomic_load_explicit(&c->tenants->by_name[i], memory_order_acquire); t;
		     t = atomic_load_explicit(&t->next_name, memory_order_acquire))
			fn(t, arg);
}

static int host_cmp(const void *a, const void *b)
{
	return strcasecmp(((const struct host *)a)->name, ((const struct host *)b)->name);
}

struct tenant *tenant_of_host(struct gh_core *c, const char *host)
{
	const struct hosts *h = gh_rcu_read(&c->tenants->hosts);
	if (!h || h->count == 0 || !host || !*host)
		return NULL;
	char name[256];
	size_t len = strcspn(host, host[0] == '[' ? "]" : ":"); /* the port is not part of the name */
	if (len >= sizeof(name))
		return NULL;
	memcpy(name, host, len);
	name[len] = '\0';
	const struct host key = { .name = name };
	const struct host *found = bsearch(&key, h->host, h->count, sizeof(*h->host), host_cmp);
	return found ? found->tenant : NULL;
}

/* The old list without t's names, plus those in `names`. */
static struct hosts *hosts_with(const struct hosts *old, struct tenant *t, const char *names)
{
	unsigned room = (old ? old->count : 0) + 1;
	for (const char *p = names; *p; p++)
		room += *p == ' ';
	struct hosts *h = calloc(1, sizeof(*h));
	if (!h || !(h->host = calloc(room, sizeof(*h->host)))) {
		hosts_free(h);
		return NULL;
	}
	for (unsigned i = 0; old && i < old->count; i++)
		if (old->host[i].tenant != t) {
			h->host[h->count] = (struct host){ strdup(old->host[i].name), old->host[i].tenant };
			if (!h->host[h->count++].name)
				goto fail;
		}
	while (*names) {
		size_t len = strcspn(names, " ");
		if (len) {
			h->host[h->count] = (struct host){ strndup(names, len), t };
			if (!h->host[h->count++].name)
				goto fail;
		}
		names += len + (names[len] == ' ');
	}
	qsort(h->host, h->count, sizeof(*h->host), host_cmp);
	return h;
fail:
	hosts_free(h);
	return NULL;
}

static struct tenant *tenant_make(const struct meta_tenant *row)
{
	struct tenant *t = aligned_alloc(_Alignof(struct tenant), sizeof(*t)); /* its counters lie on lines of their own */
	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->id = row->id;
	t->root = row->root;
	t->trash = row->trash;
	t->route_epoch = row->route_epoch;
	t->rule.case_sensitive = row->case_sensitive;
	snprintf(t->name, sizeof(t->name), "%s", row->name);
	atomic_store(&t->tree_gen, row->tree_gen);
	pthread_mutex_init(&t->load, NULL);
	pthread_mutex_init(&t->tries, NULL);
	return t;
}

enum gh_status tenant_refresh(struct gh_core *c, const struct meta_tenant *row, struct tenant **ret)
{
	struct tenants *ts = c->tenants;
	enum gh_status st = GH_NOMEM;
	pthread_mutex_lock(&ts->lock);
	struct tenant *t = tenant_find(c, row->name);
	if (!t) {
		t = tenant_make(row);
		if (!t)
			goto out;
		struct tenant *_Atomic *head = &ts->by_name[bucket_of(ts, t->name)];
		atomic_store(&t->next_name, atomic_load(head));
		atomic_store_explicit(head, t, memory_order_release);
		head = &ts->by_id[id_bucket(t->id)];
		atomic_store(&t->next_id, atomic_load(head));
		atomic_store_explicit(head, t, memory_order_release);
	}
	atomic_store(&t->disabled, row->disabled);
	if (row->tree_gen > atomic_load(&t->tree_gen)) /* the stream has not heard of why */
		tree_doubt_all(c, t->id);
	tenant_raise_tree_gen(t, row->tree_gen);
	struct hosts *fresh = hosts_with(ts->hosts, t, row->hosts ? row->hosts : "");
	if (!fresh)
		goto out;
	struct hosts *old = ts->hosts;
	gh_rcu_publish(&ts->hosts, fresh);
	if (old)
		gh_rcu_defer(hosts_free, old);
	*ret = t;
	st = GH_OK;
out:
	pthread_mutex_unlock(&ts->lock);
	return st;
}

enum gh_status tenant_get(struct gh_core *c, const char *name, struct tenant **ret)
{
	*ret = tenant_find(c, name);
	if (*ret)
		return GH_OK;
	struct gh_arena *a = gh_arena_new(65536);
	if (!a)
		return GH_NOMEM;
	struct meta_call call = { .arena = a, .op = "tenant" };
	struct meta_tenant *row;
	enum gh_status st = ASK(c, SERVICE_METADATA, 0, meta_tenant_by_name(c->meta, &call, name, &row));
	if (st == GH_OK)
		st = tenant_refresh(c, row, ret);
	gh_arena_free(&a);
	return st;
}

enum gh_status tenants_load(struct gh_core *c)
{
	uint64_t after = 0;
	enum gh_status st = GH_OK;
	for (unsigned count = 1; st == GH_OK && count;) {
		struct gh_arena *a = gh_arena_new(4 << 20);
		if (!a)
			return GH_NOMEM;
		struct meta_call call = { .arena = a, .op = "tenants" };
		struct meta_tenant *rows, *row;
		struct tenant *t;
		st = atomic_load(&c->stopping) ? GH_DRAINING : meta_tenants(c->meta, &call, after, 500, &rows, &count);
		for (unsigned i = 0; st == GH_OK && i < count; i++) {
			row = &rows[i];
			after = row->id;
			st = tenant_refresh(c, row, &t);
		}
		gh_arena_free(&a);
	}
	return st;
}

enum gh_status tenants_load_since(struct gh_core *c, uint64_t asked_ns)
{
	enum gh_status st = GH_OK;

	pthread_mutex_lock(&c->load_lock);
	if (c->loaded_from_ns <= asked_ns) {
		const uint64_t began_ns = gh_mono_ns();

		st = tenants_load(c);
		if (st == GH_OK)
			c->loaded_from_ns = began_ns;
	}
	pthread_mutex_unlock(&c->load_lock);
	return st;
}

/* ---- rights ---- */

static void rights_destroy(struct rights *r)
{
	/* The tries' counts are not atomic. Not the lock of the loader, who may hang: this runs where memory is reclaimed
	 * for all. */
	pthread_mutex_lock(&r->tenant->tries);
	acl_trie_unref(&r->trie);
	pthread_mutex_unlock(&r->tenant->tries);
	gh_arena_free(&r->arena);
	free(r);
}

void rights_unref(struct rights **rp)
{
	struct rights *r = *rp;
	*rp = NULL;
	if (r && atomic_fetch_sub(&r->refs, 1) == 1)
		rights_destroy(r);
}

static void rights_unref_later(void *p)
{
	struct rights *r = p;
	rights_unref(&r);
}

const struct rights_user *rights_user(const struct rights *r, uint64_t user)
{
	unsigned lo = 0, hi = r->user_count;
	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		if (r->users[mid].id < user)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->user_count && r->users[lo].id == user ? &r->users[lo] : NULL;
}

static int by_node_id(const void *a, const void *b)
{
	const uint64_t x = ((const struct meta_acl_node *)a)->id, y = ((const struct meta_acl_node *)b)->id;
	return x < y ? -1 : x > y;
}

/* Rows sorted by id. */
static const struct meta_acl_node *acl_row(const struct meta_rights *m, uint64_t id)
{
	const struct meta_acl_node key = { .id = id };
	return m->acl_count ? bsearch(&key, m->acl, m->acl_count, sizeof(*m->acl), by_node_id) : NULL;
}

/* Entries into a trie; the chain of a row is found by its parents' rows. */
static enum gh_status trie_build(const struct tenant *t, const struct meta_rights *m, struct acl_trie **ret)
{
	struct acl_trie *trie = acl_trie_new(t->root);
	if (m->acl_count)
		qsort(m->acl, m->acl_count, sizeof(*m->acl), by_node_id);
	for (unsigned i = 0; trie && i < m->acl_count; i++) {
		const struct meta_acl_node *n = &m->acl[i];
		if (n->ace_count == 0 && !n->inherit_off)
			continue; /* only an ancestor */
		uint64_t ids[GH_DEPTH_MAX];
		struct acl_key keys[GH_DEPTH_MAX];
		unsigned depth = 0, at = GH_DEPTH_MAX;
		const struct meta_acl_node *up = n;
		while (up && up->id != t->root && depth < GH_DEPTH_MAX) {
			at--, depth++;
			ids[at] = up->id;
			keys[at] = (struct acl_key){ up->key, (uint16_t)strlen(up->key) };
			const uint64_t parent = up->parent;
			up = acl_row(m, parent);
			if (!up && parent != t->root)
				depth = GH_DEPTH_MAX + 1; /* in the trash or broken: decides nothing */
		}
		if (depth > GH_DEPTH_MAX)
			continue;
		struct acl_entry e[ACL_ENTRIES_MAX];
		unsigned count = 0;
		for (unsigned k = 0; k < n->ace_count && count < ACL_ENTRIES_MAX; k++)
			e[count++] = (struct acl_entry){ n->aces[k].who, n->aces[k].who_id, n->aces[k].deny,
							 n->aces[k].rights };
		struct acl_trie *next = acl_trie_set(trie, ids + at, keys + at, depth, n->inherit_off, e, count);
		acl_trie_unref(&trie);
		trie = next;
	}
	*ret = trie;
	return trie ? GH_OK : GH_NOMEM;
}

static int by_user_id(const void *a, const void *b)
{
	const uint64_t x = ((const struct rights_user *)a)->id, y = ((const struct rights_user *)b)->id;
	return x < y ? -1 : x > y;
}

static int by_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static enum gh_status rights_fill(struct tenant *t, struct rights *r, const struct meta_rights *m)
{
	r->epoch = m->rights_epoch;
	r->users = gh_alloc_array(r->arena, m->user_count + 1, sizeof(*r->users));
	if (!r->users)
		return GH_NOMEM;
	r->user_count = m->user_count;
	for (unsigned i = 0; i < m->user_count; i++) {
		struct meta_user *u = &m->users[i];
		if (u->group_count > 1) /* with none there is no array to sort */
			qsort(u->groups, u->group_count, sizeof(*u->groups), by_u64);
		r->users[i] = (struct rights_user){ u->id, u->gen, u->owner, u->disabled, u->group_count, u->groups };
	}
	qsort(r->users, r->user_count, sizeof(*r->users), by_user_id);
	return trie_build(t, m, &r->trie);
}

/* What the cache has under the mark of this moment is what the store would give; the mark is the store's. */
static bool rights_known(struct gh_core *c, const struct cache_key *key, const struct meta_mark *mark, struct meta_call *call,
			 struct shared_try *flight, struct meta_rights **ret)
{
	struct cache_answer got;

	if (!shared_begin(c, key, call->arena, flight, &got))
		return false;
	if (rights_unpack(call->arena, got.value, got.len, ret) == GH_OK && (*ret)->rights_epoch == mark->rights_epoch &&
	    (*ret)->tree_gen == mark->tree_gen)
		return true;
	shared_refuse(key);
	return false;
}

static void rights_tell(struct gh_core *c, const struct meta_mark *mark, const struct meta_rights *m, struct shared_try *flight)
{
	struct gh_buf b;

	gh_buf_init(&b, CACHE_VALUE_MAX);
	if (m && m->rights_epoch == mark->rights_epoch && m->tree_gen == mark->tree_gen)
		rights_pack(m, &b);
	shared_end(c, flight, b.len && !b.failed ? b.data : NULL, b.len);
	gh_buf_fini(&b);
}

static enum gh_status rights_read(struct gh_core *c, struct tenant *t, struct meta_call *call, struct meta_rights **ret)
{
	struct {
		uint64_t tenant;
		struct meta_mark mark;
	} of = { .tenant = t->id };
	const struct cache_key key = { CACHE_RIGHTS, &of, sizeof(of), 0 };
	struct shared_try flight;
	enum gh_status st;

	if (!shared_is_there(c, CACHE_RIGHTS))
		return meta_rights_load(c->meta, call, t->id, ret);
	st = meta_rights_mark(c->meta, call, t->id, &of.mark);
	if (st != GH_OK || rights_known(c, &key, &of.mark, call, &flight, ret))
		return st;
	st = meta_rights_load(c->meta, call, t->id, ret);
	rights_tell(c, &of.mark, st == GH_OK ? *ret : NULL, &flight);
	return st;
}

static enum gh_status rights_load(struct gh_core *c, struct tenant *t, struct rights **ret)
{
	struct rights *r = calloc(1, sizeof(*r));
	if (!r)
		return GH_NOMEM;
	atomic_store(&r->refs, 1);
	r->tenant = t;
	r->arena = gh_arena_new(64 << 20);
	struct meta_call call = { .arena = r->arena, .op = "rights" };
	struct meta_rights *m;
	enum gh_status st = r->arena ? rights_read(c, t, &call, &m) : GH_NOMEM;
	pthread_mutex_lock(&t->tries);
	if (st == GH_OK)
		st = rights_fill(t, r, m);
	if (st != GH_OK)
		acl_trie_unref(&r->trie);
	pthread_mutex_unlock(&t->tries);
	if (st != GH_OK) {
		gh_arena_free(&r->arena);
		free(r);
		return st;
	}
	*ret = r;
	return GH_OK;
}

static struct rights *rights_ref_published(struct tenant *t)
{
	gh_rcu_online();
	struct rights *r = gh_rcu_read(&t->rights);
	if (r)
		atomic_fetch_add(&r->refs, 1);
	gh_rcu_offline();
	return r;
}

/* One loader at a time; who waits for it waits for the store. */
static enum gh_status rights_load_or_wait(struct gh_core *c, struct tenant *t, struct rights **ret)
{
	pthread_mutex_lock(&t->load);
	*ret = rights_ref_published(t);
	enum gh_status st = GH_OK;
	if (!*ret) {
		const unsigned drops = atomic_load(&t->rights_drops);
		st = rights_load(c, t, ret);
		if (st == GH_OK && drops == atomic_load(&t->rights_drops)) {
			atomic_fetch_add(&(*ret)->refs, 1); /* the tenant's own */
			gh_rcu_publish(&t->rights, *ret);
			if (drops != atomic_load(&t->rights_drops)) /* dropped between the two: it missed ours */
				tenant_drop_rights(t);
		}
	}
	pthread_mutex_unlock(&t->load);
	return st;
}

enum gh_status rights_get(struct gh_core *c, struct tenant *t, bool may_block, struct rights **ret)
{
	const bool trusted = core_trusts_memory(c, t->id);
	if (!may_block) {
		*ret = trusted ? gh_rcu_read(&t->rights) : NULL;
		return *ret ? GH_OK : GH_AGAIN;
	}
	if (!trusted)
		return ASK(c, SERVICE_METADATA, t->id, rights_load(c, t, ret));
	*ret = rights_ref_published(t);
	if (*ret)
		return GH_OK;
	return ASK(c, SERVICE_METADATA, t->id, rights_load_or_wait(c, t, ret));
}

void tenant_drop_rights(struct tenant *t)
{
	atomic_fetch_add(&t->rights_drops, 1);
	struct rights *old = __atomic_exchange_n(&t->rights, NULL, __ATOMIC_ACQ_REL);
	if (old)
		gh_rcu_defer(rights_unref_later, old);
}

/* ---- locks ---- */

void locks_unref(struct locks **lp)
{
	struct locks *l = *lp;
	*lp = NULL;
	if (l && atomic_fetch_sub(&l->refs, 1) == 1) {
		gh_arena_free(&l->arena);
		free(l);
	}
}

static void locks_unref_later(void *p)
{
	struct locks *l = p;
	locks_unref(&l);
}

static enum gh_status locks_load(struct gh_core *c, struct tenant *t, struct locks **ret)
{
	struct locks *l = calloc(1, sizeof(*l));
	if (!l)
		return GH_NOMEM;
	atomic_store(&l->refs, 1);
	l->arena = gh_arena_new(32 << 20);
	struct meta_call call = { .arena = l->arena, .op = "locks" };
	enum gh_status st = l->arena ? meta_locks(c->meta, &call, t->id, &l->lock, &l->count, &l->seen) : GH_NOMEM;
	if (st == GH_OK)
		*ret = l;
	else
		locks_unref(&l);
	return st;
}

static struct locks *locks_ref_published(struct tenant *t)
{
	gh_rcu_online();
	struct locks *l = gh_rcu_read(&t->locks);
	if (l)
		atomic_fetch_add(&l->refs, 1);
	gh_rcu_offline();
	return l;
}

/* One loader at a time; who waits for it waits for the store. */
static enum gh_status locks_load_or_wait(struct gh_core *c, struct tenant *t, struct locks **ret)
{
	pthread_mutex_lock(&t->load);
	*ret = locks_ref_published(t);
	enum gh_status st = GH_OK;
	if (!*ret) {
		const unsigned drops = atomic_load(&t->locks_drops);
		st = locks_load(c, t, ret);
		if (st == GH_OK && drops == atomic_load(&t->locks_drops)) {
			atomic_fetch_add(&(*ret)->refs, 1);
			gh_rcu_publish(&t->locks, *ret);
			if (drops != atomic_load(&t->locks_drops)) /* dropped between the two: it missed ours */
				tenant_drop_locks(t);
		}
	}
	pthread_mutex_unlock(&t->load);
	return st;
}

enum gh_status locks_get(struct gh_core *c, struct tenant *t, bool may_block, struct locks **ret)
{
	const bool trusted = core_trusts_memory(c, t->id);
	if (!may_block) {
		*ret = trusted ? gh_rcu_read(&t->locks) : NULL;
		return *ret ? GH_OK : GH_AGAIN;
	}
	if (!trusted)
		return ASK(c, SERVICE_METADATA, t->id, locks_load(c, t, ret));
	*ret = locks_ref_published(t);
	if (*ret)
		return GH_OK;
	return ASK(c, SERVICE_METADATA, t->id, locks_load_or_wait(c, t, ret));
}

void tenant_drop_locks(struct tenant *t)
{
	atomic_fetch_add(&t->locks_drops, 1);
	struct locks *old = __atomic_exchange_n(&t->locks, NULL, __ATOMIC_ACQ_REL);
	if (old)
		gh_rcu_defer(locks_unref_later, old);
}
