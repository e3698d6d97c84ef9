/* See tree_shared.h. */
#include "core/tree_shared.h"

#include <string.h>

#include "core/base/metrics.h"
#include "core/house.h"
#include "core/node_cache.h"
#include "core/shared.h"
#include "core/stream.h"
#include "core/tree_bytes.h"

struct name {
	uint64_t log, stay, tenant, parent;
	char key[GH_NAME_MAX];
};
_Static_assert(sizeof(struct name) <= CACHE_KEY_MAX, "a name fits into a key");

static struct cache_key key_of(const struct tree_look *l, uint64_t parent, const struct gh_component *comp, struct name *n)
{
	GH_ASSERT(comp->key_len <= sizeof(n->key));
	n->log = l->view.log;
	n->stay = l->stay;
	n->tenant = l->tenant;
	n->parent = parent;
	memcpy(n->key, comp->key, comp->key_len);
	return (struct cache_key){ CACHE_TREE, n, offsetof(struct name, key) + comp->key_len, 0 };
}

bool tree_look_begin(struct gh_core *c, uint64_t tenant, struct tree_look *ret)
{
	struct tree_marks *m = stream_marks(c, tenant);

	if (!m || !shared_is_there(c, CACHE_TREE) || !core_trusts_memory(c, tenant))
		return false;
	*ret = (struct tree_look){ .core = c, .marks = m, .tenant = tenant, .stay = meta_stay_of(c->meta, tenant) };
	return tree_marks_view(m, &ret->view);
}

/* Is the tenant where it was, and its log heard of? */
static bool still(const struct tree_look *l)
{
	return stream_marks(l->core, l->tenant) == l->marks && meta_stay_of(l->core->meta, l->tenant) == l->stay &&
	       core_trusts_memory(l->core, l->tenant);
}

bool tree_take(const struct tree_look *l, uint64_t parent, const struct gh_component *comp, struct gh_arena *a,
	       struct meta_node *ret)
{
	const uint64_t hash = tree_marks_hash(l->marks, l->tenant, parent, comp->key, comp->key_len);
	struct name name;
	const struct cache_key key = key_of(l, parent, comp, &name);
	struct cache_answer got;
	struct shared_try t;
	uint64_t horizon;

	if (!tree_marks_true(l->marks, &l->view, hash, l->view.horizon)) /* nobody will have a much better one */
		return false;
	if (!shared_begin(l->core, &key, a, &t, &got))
		return false;
	if (tree_unpack(got.value, got.len, ret, &horizon) != GH_OK) {
		shared_refuse(&key);
		return false;
	}
	/* in this order: what is true in an era that was trusted since it was asked */
	if (!still(l) || !tree_marks_true(l->marks, &l->view, hash, horizon)) {
		shared_outdated(&key);
		return false;
	}
	tree_marks_doubt(l->marks, hash); /* it may know more than the stream: an older one that comes after it does not count */
	ret->parent = parent;
	ret->key = gh_strndup(a, comp->key, comp->key_len);
	ret->key_len = comp->key_len;
	return ret->key != NULL;
}

void tree_give(const struct tree_look *l, uint64_t parent, const struct gh_component *comp, const struct meta_node *n)
{
	const uint64_t hash = tree_marks_hash(l->marks, l->tenant, parent, comp->key, comp->key_len);
	struct name name;
	const struct cache_key key = key_of(l, parent, comp, &name);
	struct gh_buf b;

	if (!still(l) || !tree_marks_lasts(l->marks, &l->view, hash))
		return;
	gh_buf_init(&b, TREE_BYTES_MAX);
	tree_pack(n, l->view.horizon, &b);
	if (!b.failed)
		shared_tell(l->core, &key, b.data, b.len);
	gh_buf_fini(&b);
}

void tree_doubt(struct gh_core *c, uint64_t tenant, uint64_t parent, const char *key, size_t len)
{
	struct tree_marks *m = stream_marks(c, tenant);

	if (m)
		tree_marks_doubt(m, tree_marks_hash(m, tenant, parent, key, len));
}

void tree_doubt_all(struct gh_core *c, uint64_t tenant)
{
	struct tree_marks *m = stream_marks(c, tenant);

	if (m)
		tree_marks_doubt_all(m);
}

/* In this order: who marks the memory after the drop finds the doubt. */
void tree_forget(struct gh_core *c, uint64_t tenant, uint64_t parent, const char *key, size_t len)
{
	tree_doubt(c, tenant, parent, key, len);
	node_cache_drop(c->nodes, tenant, parent, key, len);
}
