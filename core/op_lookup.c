/* stat, list, quota: what is there, as far as the caller may see it. */
#include "core/gateway.h"
#include "core/node_cache.h"
#include "core/place.h"
#include "core/switches.h"

static enum gh_status props_of(struct vfs_work *w, const struct meta_node *n, struct vfs_node *ret)
{
	if (!n->has_props)
		return GH_OK;
	if (!w->may_block)
		return GH_AGAIN;
	struct meta_call call = work_call(w);
	struct meta_prop *rows;
	unsigned count;
	const enum gh_status st = ASK(w->req.core, SERVICE_METADATA, w->tenant->id,
				      meta_props(w->req.core->meta, &call, w->tenant->id, n->id, &rows, &count));
	if (st != GH_OK)
		return st;
	ret->props = gh_alloc_array(w->req.arena, count + 1, sizeof(*ret->props));
	if (!ret->props)
		return GH_NOMEM;
	for (unsigned i = 0; i < count; i++)
		ret->props[ret->prop_count++] =
			(struct vfs_prop){ rows[i].ns, rows[i].name, rows[i].xml, rows[i].lang };
	return GH_OK;
}

enum gh_status op_stat(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct place p;
	struct locks *l = NULL;
	enum gh_status st = gate_enter(w);
	if (st == GH_OK)
		st = place_find(w, r->path, &p);
	if (st == GH_OK && !p.exists)
		st = GH_NOTFOUND;
	if (st == GH_OK)
		st = gate_check(w, &p, NULL);
	if (st != GH_OK)
		return st;
	if ((r->flags & VFS_ONLY_FILE) && p.node.type == META_FOLDER)
		return GH_ISDIR;
	if ((r->flags & VFS_ONLY_FOLDER) && p.node.type == META_FILE)
		return GH_NOTDIR;
	node_show(&r->node, &p.node, gate_rights(w, r->path, r->path->depth));
	if (r->node.navigable)
		return GH_OK;
	if ((r->flags & VFS_WITH_LOCKS) || cond_uses_locks(r->cond)) {
		st = locks_get(r->core, w->tenant, w->may_block, &l);
		if (st != GH_OK)
			return st;
	}
	st = cond_check(w, &p, l);
	if (st == GH_OK && (r->flags & VFS_WITH_LOCKS))
		st = node_show_locks(w, l, r->path, &r->node);
	if (w->may_block)
		locks_unref(&l);
	if (st == GH_OK && (r->flags & VFS_WITH_PROPS))
		st = props_of(w, &p.node, &r->node);
	return st;
}

/* ---- list ---- */


static enum gh_status page_props(struct vfs_work *w, uint64_t folder, const struct meta_page *page)
{
	struct vfs_req *r = &w->req;
	bool any = false;
	for (unsigned i = 0; i < page->count; i++)
		any |= page->nodes[i].has_props;
	if (!any)
		return GH_OK;
	if (!w->may_block)
		return GH_AGAIN;
	struct meta_call call = work_call(w);
	struct meta_prop *rows;
	unsigned count;
	const char *last = page->nodes[page->count - 1].key;
	enum gh_status st = ASK(r->core, SERVICE_METADATA, w->tenant->id,
				meta_props_of_children(r->core->meta, &call, w->tenant->id, folder, r->after, last,
						       &rows, &count));
	if (st != GH_OK)
		return st;
	struct vfs_prop *props = gh_alloc_array(r->arena, count + 1, sizeof(*props));
	if (!props)
		return GH_NOMEM;
	for (unsigned i = 0; i < count; i++)
		props[i] = (struct vfs_prop){ rows[i].ns, rows[i].name, rows[i].xml, rows[i].lang };
	/* rows come sorted by node; nodes come by key: find each node's run */
	for (unsigned k = 0; k < r->node_count; k++) {
		unsigned lo = 0, hi = count;
		while (lo < hi) {
			const unsigned mid = lo + (hi - lo) / 2;
			if (rows[mid].node < r->nodes[k].id)
				lo = mid + 1;
			else
				hi = mid;
		}
		for (hi = lo; hi < count && rows[hi].node == r->nodes[k].id; hi++)
			;
		r->nodes[k].props = props + lo;
		r->nodes[k].prop_count = hi - lo;
	}
	return GH_OK;
}

static enum gh_status page_locks(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct locks *l = NULL;
	enum gh_status st = locks_get(r->core, w->tenant, w->may_block, &l);
	if (st != GH_OK)
		return st;
	for (unsigned i = 0; st == GH_OK && l->count && i < r->node_count; i++) {
		struct gh_path *child = gh_path_child(r->arena, r->path, r->nodes[i].name, r->nodes[i].key);
		st = child ? node_show_locks(w, l, child, &r->nodes[i]) : GH_NOMEM;
	}
	if (w->may_block)
		locks_unref(&l);
	return st;
}

/* Shows what of the page is visible. */
static enum gh_status page_show(struct vfs_work *w, const struct meta_page *page)
{
	struct vfs_req *r = &w->req;
	struct acl_key keys[GH_DEPTH_MAX];
	struct acl_cursor cur;
	const unsigned depth = r->path->depth;
	for (unsigned i = 0; i < depth; i++)
		keys[i] = (struct acl_key){ r->path->comp[i].key, r->path->comp[i].key_len };
	acl_cursor_init(&cur, w->rights->trie, &w->caller, keys, depth);

	r->nodes = gh_alloc_array(r->arena, page->count + 1, sizeof(*r->nodes));
	if (!r->nodes)
		return GH_NOMEM;
	for (unsigned i = 0; i < page->count; i++) {
		const struct meta_node *n = &page->nodes[i];
		const struct acl_key key = { n->key, n->key_len };
		const unsigned rights = w->caller.owner ? ACL_FULL : acl_cursor_child(&cur, &w->caller, key);
		if (!rights) {
			if (depth == GH_DEPTH_MAX)
				continue;
			keys[depth] = key;
			if (!acl_navigable(w->rights->trie, &w->caller, keys, depth + 1))
				continue;
		}
		node_show(&r->nodes[r->node_count], n, rights);
		r->node_count++;
	}
	return GH_OK;
}

/* A listing says what is not there, too: among several gateways it comes from the store, since who has just made something
 * through one looks for it through another. */
static bool may_remember(const struct gh_core *c)
{
	return !c->cfg.gateway || gateway_alone(c->cfg.gateway);
}

/* A page from memory, where the folder is small; else from the store, which is worth a worker. */
static enum gh_status page_get(struct vfs_work *w, uint64_t folder, unsigned limit, struct meta_page *page)
{
	struct vfs_req *r = &w->req;
	struct node_cache *nc = r->core->nodes;
	const bool whole = !r->after || !*r->after;
	if (!w->may_block) {
		if (!whole || w->fresh || !may_remember(r->core) || !core_trusts_memory(r->core, w->tenant->id))
			return GH_AGAIN;
		const enum gh_status st = node_cache_members(nc, w->tenant->id, folder, r->arena, page);
		return st == GH_OK && page->count > limit ? GH_AGAIN : st;
	}
	struct meta_call call = work_call(w);
	const uint32_t mark = node_cache_mark_members(nc, w->tenant->id, folder);
	const enum gh_status st = ASK(r->core, SERVICE_METADATA, w->tenant->id,
				      meta_list(r->core->meta, &call, w->tenant->id, folder, r->after, limit, page));
	if (st == GH_OK && whole && may_remember(r->core))
		node_cache_fill_members(nc, w->tenant->id, folder, page, mark);
	return st;
}

enum gh_status op_list(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct place p;
	enum gh_status st = gate_enter(w);
	if (st == GH_OK)
		st = place_find(w, r->path, &p);
	if (st == GH_OK && !p.exists)
		st = GH_NOTFOUND;
	if (st == GH_OK)
		st = gate_check(w, &p, NULL);
	if (st == GH_OK && p.node.type == META_FILE)
		st = GH_NOTDIR;
	if (st != GH_OK)
		return st;

	struct meta_page page;
	const unsigned most = (unsigned)core_flag(r->core, VFS_FLAG_LIST_PAGE, r->proto, r->session, w->may_block);
	const unsigned limit = r->limit && r->limit < most ? r->limit : most;
	r->node_count = 0;
	st = page_get(w, p.node.id, limit, &page);
	if (st == GH_OK)
		st = page_show(w, &page);
	if (st == GH_OK && (r->flags & VFS_WITH_PROPS) && page.count)
		st = page_props(w, p.node.id, &page);
	if (st == GH_OK && (r->flags & VFS_WITH_LOCKS))
		st = page_locks(w);
	if (st == GH_OK)
		r->next_after = page.more ? page.nodes[page.count - 1].key : NULL;
	return st;
}

enum gh_status op_quota(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct place p;
	enum gh_status st = gate_enter(w);
	if (st == GH_OK)
		st = place_find(w, r->path, &p);
	if (st == GH_OK && !p.exists)
		st = GH_NOTFOUND;
	if (st == GH_OK)
		st = gate_check(w, &p, NULL);
	if (st != GH_OK)
		return st;
	if (!w->may_block)
		return GH_AGAIN;
	node_show(&r->node, &p.node, gate_rights(w, r->path, r->path->depth));
	struct meta_call call = work_call(w);
	struct quota_view v;
	st = quota_look(r->core, &call, w->tenant, w->caller.user, &v);
	if (st != GH_OK)
		return st;
	r->quota_used = v.used_bytes;
	r->quota_files = v.used_files;
	r->quota_available = v.free_bytes;
	r->quota_files_available = v.free_files;
	struct blob_space space;
	if (r->core->blob_ops->space(r->core->blobs, &space) == GH_OK && space.free_bytes < r->quota_available)
		r->quota_available = space.free_bytes;
	return GH_OK;
}
