/* Resolution: components are looked up one by one in the node cache; the first that is not there is asked of the store
 * together with all that follow, in one statement, by the worker itself or for a loop, which then comes again - or of what other
 * gateways have told of it (core/tree_shared.h), one after another for as long as they have. */
#include "core/place.h"

#include <string.h>

#include "core/base/rcu.h"
#include "core/node_cache.h"
#include "core/shared.h"
#include "core/tree_shared.h"

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

/* The next component, from what other gateways have read. Into memory on the same terms as from the store. */
static bool take_one(struct vfs_work *w, struct place *p, const struct tree_look *look)
{
	struct node_cache *nc = w->req.core->nodes;
	const uint64_t parent = p->ids[p->found];
	const struct gh_component *c = &p->path->comp[p->found];
	const uint32_t mark = node_cache_mark(nc, w->tenant->id, parent, c->key, c->key_len);
	struct meta_node n;

	if (!tree_take(look, parent, c, w->req.arena, &n))
		return false;
	node_cache_fill(nc, w->tenant->id, parent, c->key, c->key_len, &n, mark);
	found_one(p, &n);
	p->below_file = n.type == META_FILE && p->found < p->path->depth;
	return true;
}

/* The last name, where the commit proves that it is free. */
static bool may_guess(const struct vfs_work *w, const struct place *p)
{
	return w->guess && p->found + 1 == p->path->depth && p->node.type == META_FOLDER;
}

/* As far as entries are there. GH_OK: settled. GH_AGAIN: the store has the rest. */
static enum gh_status walk_shared(struct vfs_work *w, struct place *p, const struct tree_look *look)
{
	enum gh_status st = GH_AGAIN;
	while (st == GH_AGAIN && !may_guess(w, p) && take_one(w, p, look)) {
		if (p->below_file)
			return GH_OK;
		gh_rcu_online();
		st = walk_cache(w, p);
		gh_rcu_offline();
	}
	return st;
}

/* What the store said of the components from p->found on: what it has been seen to be, an entry may not be older than. */
static void tell_shared(const struct vfs_work *w, const struct place *p, const struct tree_look *look,
			const struct meta_node *nodes, unsigned found)
{
	for (unsigned i = 0; i <= found && p->found + i < p->path->depth; i++) {
		const struct gh_component *c = &p->path->comp[p->found + i];
		const uint64_t parent = i ? nodes[i - 1].id : p->ids[p->found];

		tree_doubt(w->req.core, w->tenant->id, parent, c->key, c->key_len);
		if (i < found && look)
			tree_give(look, parent, c, &nodes[i]);
	}
}

/* Only the first one's parent is known before the read, so only that one may enter the cache now. The next walk finds it there
 * and brings in the next: a chain is held whole after as many visits as it is deep. */
static uint32_t mark_of_first(const struct vfs_work *w, const struct place *p)
{
	const struct gh_component *first = &p->path->comp[p->found];
	return node_cache_mark(w->req.core->nodes, w->tenant->id, p->ids[p->found], first->key, first->key_len);
}

/* What the store has below the last that was found. */
static void take_chain(struct vfs_work *w, struct place *p, const struct meta_node *nodes, unsigned found, uint32_t mark)
{
	struct gh_core *c = w->req.core;
	const struct gh_component *first = &p->path->comp[p->found];

	if (found || !c->stream)
		node_cache_fill(c->nodes, w->tenant->id, p->ids[p->found], first->key, first->key_len, found ? nodes : NULL, mark);
	for (unsigned i = 0; i < found; i++) {
		found_one(p, &nodes[i]);
		if (nodes[i].type == META_FILE && p->found < p->path->depth) {
			p->below_file = true;
			return;
		}
	}
}

static enum gh_status walk_store(struct vfs_work *w, struct place *p, const struct tree_look *look)
{
	struct gh_core *c = w->req.core;
	struct meta_call call = work_call(w);
	struct meta_node *nodes;
	unsigned found;
	const uint32_t mark = mark_of_first(w, p);
	const enum gh_status st = ASK(c, SERVICE_METADATA, w->tenant->id,
				      meta_resolve(c->meta, &call, w->tenant->id, p->ids[p->found], &p->path->comp[p->found],
						   p->path->depth - p->found, &nodes, &found));
	if (st != GH_OK)
		return st;
	tell_shared(w, p, look, nodes, found);
	take_chain(w, p, nodes, found, mark);
	return GH_OK;
}

/* What memory does not have. What has to be certain is asked of the store alone. */
static enum gh_status walk_on_worker(struct vfs_work *w, struct place *p)
{
	struct tree_look look;
	enum gh_status st = GH_AGAIN;
	const bool shared = tree_look_begin(w->req.core, w->tenant->id, &look);

	if (shared && !w->fresh)
		st = walk_shared(w, p, &look);
	if (st == GH_AGAIN && may_guess(w, p)) {
		p->guessed = true;
		return GH_OK;
	}
	return st == GH_AGAIN ? walk_store(w, p, shared ? &look : NULL) : st;
}

/* ---- on a loop ---- */

/* What changes something is not decided by it: its guard would know a tree that is younger than what was looked at. And what
 * other gateways have read is not for loops to ask for. */
static bool may_look(const struct vfs_work *w, const struct place *p)
{
	return !w->look && !vfs_ops[w->req.op].mutates && w->req.op != VFS_WRITE_BEGIN &&
	       p->path->depth - p->found <= META_LOOK_MAX && !shared_is_there(w->req.core, CACHE_TREE);
}

/* Notes what is to be looked up. */
static void want_chain(struct vfs_work *w, const struct place *p)
{
	struct work_look *l = may_look(w, p) ? gh_alloc(w->req.arena, sizeof(*l)) : NULL;
	if (!l)
		return;
	*l = (struct work_look){
		.ask = { .tenant = w->tenant->id, .from = p->ids[p->found], .comp = &p->path->comp[p->found],
			 .n = p->path->depth - p->found, .arena = w->req.arena },
		.mark = mark_of_first(w, p),
		.rights_epoch = w->rights->epoch,
		.tree_gen = w->tree_gen,
	};
	w->look = l;
}

/* It was looked up, for the state that is still the one. */
static bool has_chain(const struct vfs_work *w, const struct place *p)
{
	const struct work_look *l = w->look;
	return l && l->asked && l->ask.status == GH_OK && l->ask.from == p->ids[p->found] &&
	       l->ask.comp == &p->path->comp[p->found] && l->rights_epoch == w->rights->epoch && l->tree_gen == w->tree_gen;
}

static enum gh_status walk_on_loop(struct vfs_work *w, struct place *p)
{
	if (may_guess(w, p)) {
		p->guessed = true;
		return GH_OK;
	}
	if (!has_chain(w, p)) {
		want_chain(w, p);
		return GH_AGAIN;
	}
	tell_shared(w, p, NULL, w->look->ask.nodes, w->look->ask.found);
	take_chain(w, p, w->look->ask.nodes, w->look->ask.found, w->look->mark);
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
	if (st == GH_AGAIN)
		st = w->may_block ? walk_on_worker(w, p) : walk_on_loop(w, p);
	if (st != GH_OK || p->guessed)
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
