/* Resolution: components are looked up one by one in the node cache; the first that is not there is asked of the store
 * together with all that follow, in one statement. */
#include "core/place.h"

#include <string.h>

#include "core/base/rcu.h"
#include "core/node_cache.h"

static void found_one(struct place *p, const struct meta_node *n)
{
	p->ids[++p->found] = n->id;
	p->node = *n;
}

/* Walks as far as memory goes. GH_OK: settled (all found, or known to be absent, or stopped by a file). */
static enum gh_status walk_cache(struct vfs_work *w, struct place *p)
{
	struct node_cache *nc = w->req.core->nodes;
	while (p->found < p->path->depth) {
		const struct gh_component *c = &p->path->comp[p->found];
		struct meta_node n;
		const bool last = p->found + 1 == p->path->depth;
		enum gh_status st = node_cache_get(nc, w->tenant->id, p->ids[p->found], c->key, c->key_len,
						   last ? w->req.arena : NULL, &n);
		if (st != GH_OK)
			return st;
		if (n.id == 0) /* others may have made it meanwhile, where there are any */
			return w->req.core->stream ? GH_AGAIN : GH_OK;
		found_one(p, &n);
		if (n.type == META_FILE && !last) {
			p->below_file = true;
			return GH_OK;
		}
	}
	return GH_OK;
}

static enum gh_status walk_store(struct vfs_work *w, struct place *p)
{
	struct gh_core *c = w->req.core;
	const unsigned n = p->path->depth - p->found;
	const struct gh_component *comp = &p->path->comp[p->found];
	struct meta_call call = work_call(w);
	struct meta_node *nodes;
	unsigned found;

	/* Only the first one's parent is known before the read, so only that one may enter the cache now. The next walk
	 * finds it there and brings in the next: a chain is held whole after as many visits as it is deep. */
	const uint32_t mark = node_cache_mark(c->nodes, w->tenant->id, p->ids[p->found], comp[0].key, comp[0].key_len);
	enum gh_status st = ASK(c, SERVICE_METADATA, w->tenant->id,
				meta_resolve(c->meta, &call, w->tenant->id, p->ids[p->found], comp, n, &nodes, &found));
	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < found; i++) {
		if (i == 0)
			node_cache_fill(c->nodes, w->tenant->id, p->ids[p->found], comp[i].key, comp[i].key_len, &nodes[i],
					mark);
		found_one(p, &nodes[i]);
		if (nodes[i].type == META_FILE && p->found < p->path->depth) {
			p->below_file = true;
			return GH_OK;
		}
	}
	if (found == 0 && !c->stream)
		node_cache_fill(c->nodes, w->tenant->id, p->ids[p->found], comp[0].key, comp[0].key_len, NULL, mark);
	return GH_OK;
}

static enum gh_status find_root(struct vfs_work *w, struct place *p)
{
	struct gh_core *c = w->req.core;
	struct tenant *t = w->tenant;
	enum gh_status st = GH_AGAIN;
	p->ids[0] = t->root;
	if (p->path->depth > 0) { /* a folder that can't go away: its row is needed only when it is asked for */
		p->node = (struct meta_node){ .id = t->root, .type = META_FOLDER, .name = "", .key = "" };
		return GH_OK;
	}
	if (!w->fresh && core_trusts_memory(c, w->tenant->id))
		st = node_cache_get(c->nodes, t->id, 0, "", 0, w->req.arena, &p->node);
	if (st != GH_AGAIN || !w->may_block)
		return st;
	struct meta_call call = work_call(w);
	struct meta_node *n;
	const uint32_t mark = node_cache_mark(c->nodes, t->id, 0, "", 0);
	st = ASK(c, SERVICE_METADATA, t->id, meta_node_get(c->meta, &call, t->id, t->root, &n));
	if (st != GH_OK)
		return st;
	n->name = n->key = "";
	n->name_len = n->key_len = 0;
	node_cache_fill(c->nodes, t->id, 0, "", 0, n, mark);
	p->node = *n;
	return GH_OK;
}

enum gh_status place_find(struct vfs_work *w, const struct gh_path *path, struct place *p)
{
	memset(p, 0, offsetof(struct place, ids));
	memset(&p->node, 0, sizeof(p->node));
	p->path = path;
	enum gh_status st = find_root(w, p);
	if (st != GH_OK)
		return st;
	if (!w->fresh && core_trusts_memory(w->req.core, w->tenant->id)) {
		if (w->may_block)
			gh_rcu_online();
		st = walk_cache(w, p);
		if (w->may_block)
			gh_rcu_offline();
	} else {
		st = GH_AGAIN;
	}
	if (path->depth == 0)
		st = GH_OK;
	if (st == GH_AGAIN && w->guess && p->found + 1 == path->depth && p->node.type == META_FOLDER) {
		p->guessed = true;
		return GH_OK;
	}
	if (st == GH_AGAIN && w->may_block)
		st = walk_store(w, p);
	if (st != GH_OK)
		return st;
	p->exists = p->found == path->depth;
	return GH_OK;
}

bool place_is_root(const struct place *p)
{
	return p->path->depth == 0;
}

bool place_has_parent(const struct place *p)
{
	if (p->path->depth == 0)
		return false;
	if (p->exists)
		return true;
	return p->found + 1 == p->path->depth && p->node.type == META_FOLDER;
}

uint64_t place_parent_id(const struct place *p)
{
	return p->ids[p->path->depth - 1];
}

struct meta_slot place_slot(const struct place *p)
{
	return (struct meta_slot){
		.parent = place_parent_id(p),
		.key = p->path->comp[p->path->depth - 1].key,
		.node = p->exists ? p->node.id : 0,
		.rev = p->exists ? p->node.rev : 0,
	};
}

void node_show(struct vfs_node *ret, const struct meta_node *n, unsigned rights)
{
	*ret = (struct vfs_node){
		.id = n->id,
		.version = n->version,
		.type = n->type == META_FOLDER ? VFS_FOLDER : VFS_FILE,
		.name = n->name,
		.key = n->key,
		.name_len = n->name_len,
		.size = n->size,
		.made_us = n->made_us,
		.mtime_us = n->mtime_us,
		.rights = rights,
		.navigable = rights == 0,
	};
	if (ret->navigable) { /* name and type, nothing more */
		ret->version = ret->size = 0;
		ret->made_us = ret->mtime_us = 0;
	}
}
