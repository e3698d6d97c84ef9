/* mkdir, remove, set-times, set-props: changes of one place. */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/change.h"
#include "core/node_cache.h"

/* The row's rights, conditions, locks. */
static enum gh_status check(struct vfs_work *w, const struct place *p, struct locks **ret_locks, unsigned lock_what)
{
	enum gh_status st = gate_check(w, p, NULL);
	if (st == GH_OK)
		st = locks_get(w->req.core, w->tenant, true, ret_locks);
	if (st == GH_OK)
		st = cond_check(w, p, *ret_locks);
	if (st == GH_OK)
		st = lock_check(w, *ret_locks, w->req.path, lock_what);
	return st;
}

/* What each of these begins with: gate, place, and all that. */
static enum gh_status enter(struct vfs_work *w, struct place *p, struct locks **ret_locks, unsigned lock_what)
{
	enum gh_status st = gate_enter(w);
	if (st == GH_OK)
		st = place_find(w, w->req.path, p);
	if (st == GH_OK && !p->exists)
		st = GH_NOTFOUND;
	return st == GH_OK ? check(w, p, ret_locks, lock_what) : st;
}

static enum gh_status try_mkdir(struct vfs_work *w, struct locks **l)
{
	struct vfs_req *r = &w->req;
	struct place p;
	enum gh_status st = gate_enter(w);
	if (st == GH_OK)
		st = place_find(w, r->path, &p);
	if (st != GH_OK)
		return st;
	if (p.exists)
		return gate_visible(w, r->path, r->path->depth) ? GH_EXISTS : GH_DENIED;
	if (!place_has_parent(&p))
		return GH_NOPARENT;
	st = check(w, &p, l, LOCK_SELF | LOCK_MEMBER);
	if (st != GH_OK)
		return st == GH_NOTFOUND ? GH_NOPARENT : st;

	const struct gh_component *c = &r->path->comp[r->path->depth - 1];
	struct change ch;
	change_init(&ch, w, 2);
	change_slot(&ch, &p);
	struct meta_node n = {
		.id = gh_id_new(),
		.parent = place_parent_id(&p),
		.type = META_FOLDER,
		.name = c->name,
		.name_len = c->name_len,
		.key = c->key,
		.key_len = c->key_len,
		.owner = w->caller.user,
		.made_us = gh_real_us(),
		.mtime_us = r->mtime_us != INT64_MIN ? r->mtime_us : gh_real_us(),
	};
	change_step(&ch, META_NODE_INSERT)->node = n;
	ch.batch.event.node = n.id;
	st = change_commit(&ch);
	if (st == GH_OK) {
		r->created = true;
		node_show(&r->node, &n, gate_rights(w, r->path, r->path->depth));
	}
	return st;
}

enum gh_status op_mkdir(struct vfs_work *w)
{
	struct locks *l = NULL;
	const enum gh_status st = try_mkdir(w, &l);
	locks_unref(&l);
	return st;
}

/* ---- remove ---- */

static enum gh_status has_members(struct vfs_work *w, const struct place *p, bool *ret)
{
	struct meta_call call = work_call(w);
	struct meta_page page;
	const enum gh_status st = ASK(w->req.core, SERVICE_METADATA, w->tenant->id,
				      meta_list(w->req.core->meta, &call, w->tenant->id, p->node.id, "", 1, &page));
	*ret = st == GH_OK && page.count > 0;
	return st;
}

static enum gh_status try_remove(struct vfs_work *w, struct locks **l)
{
	struct vfs_req *r = &w->req;
	struct place p;
	enum gh_status st = enter(w, &p, l, LOCK_SELF | LOCK_MEMBER | LOCK_BELOW);
	if (st != GH_OK)
		return st;
	const bool folder = p.node.type == META_FOLDER;
	if (place_is_root(&p))
		return GH_DENIED;
	if (folder && (r->flags & VFS_ONLY_FILE))
		return GH_ISDIR;
	if (!folder && (r->flags & VFS_ONLY_FOLDER))
		return GH_NOTDIR;
	struct change ch;
	change_init(&ch, w, 600);
	change_slot(&ch, &p);
	if (folder && (r->flags & VFS_MUST_BE_EMPTY)) {
		bool members;
		st = has_members(w, &p, &members);
		if (st != GH_OK || members)
			return st != GH_OK ? st : GH_NOTEMPTY;
		/* and none may appear until it is gone */
		ch.batch.slots[ch.batch.slot_count++] = (struct meta_slot){ .parent = p.node.id, .key = NULL };
	}
	st = change_remove(&ch, &p, *l);
	return st == GH_OK ? change_commit(&ch) : st;
}

enum gh_status op_remove(struct vfs_work *w)
{
	struct locks *l = NULL;
	const enum gh_status st = try_remove(w, &l);
	locks_unref(&l);
	return st;
}

/* ---- set-times, set-props ---- */

static enum gh_status try_set_times(struct vfs_work *w, struct locks **l)
{
	struct vfs_req *r = &w->req;
	struct place p;
	enum gh_status st = enter(w, &p, l, LOCK_SELF);
	if (st != GH_OK)
		return st;
	if (place_is_root(&p))
		return GH_DENIED;
	if (r->mtime_us == INT64_MIN || r->mtime_us == 0)
		return GH_INVALID;
	struct change ch;
	change_init(&ch, w, 1);
	change_slot(&ch, &p);
	struct meta_step *s = change_step(&ch, META_NODE_TOUCH);
	s->node.id = p.node.id;
	s->node.mtime_us = r->mtime_us;
	st = change_commit(&ch);
	if (st == GH_OK) {
		p.node.mtime_us = r->mtime_us;
		node_show(&r->node, &p.node, gate_rights(w, r->path, r->path->depth));
	}
	return st;
}

enum gh_status op_set_times(struct vfs_work *w)
{
	struct locks *l = NULL;
	const enum gh_status st = try_set_times(w, &l);
	locks_unref(&l);
	return st;
}

#define PROP_CHANGES_MAX 500u
#define PROP_XML_MAX 65536u
#define PROPS_PER_NODE_MAX 1000u

static enum gh_status check_changes(struct vfs_req *r)
{
	if (r->change_count > PROP_CHANGES_MAX)
		return GH_LIMIT;
	for (unsigned i = 0; i < r->change_count; i++) {
		r->failed_change = i;
		const struct vfs_prop *p = &r->changes[i].prop;
		if (strlen(p->name) > GH_NAME_MAX || strlen(p->ns) > 1024)
			return GH_TOOLONG;
		if (!r->changes[i].remove && p->xml && strlen(p->xml) > PROP_XML_MAX)
			return GH_TOOLARGE;
	}
	return GH_OK;
}

static enum gh_status count_props(struct vfs_work *w, const struct place *p)
{
	struct meta_call call = work_call(w);
	struct meta_prop *rows;
	unsigned count;
	if (!p->node.has_props)
		return GH_OK;
	const enum gh_status st = ASK(w->req.core, SERVICE_METADATA, w->tenant->id,
				      meta_props(w->req.core->meta, &call, w->tenant->id, p->node.id, &rows, &count));
	if (st != GH_OK)
		return st;
	return count + w->req.change_count > PROPS_PER_NODE_MAX ? GH_LIMIT : GH_OK;
}

static enum gh_status try_set_props(struct vfs_work *w, struct locks **l)
{
	struct vfs_req *r = &w->req;
	struct place p;
	enum gh_status st = check_changes(r);
	if (st == GH_OK)
		st = enter(w, &p, l, LOCK_SELF);
	if (st == GH_OK)
		st = count_props(w, &p);
	if (st != GH_OK)
		return st;
	if (place_is_root(&p) && !w->caller.owner)
		return GH_DENIED;
	struct change ch;
	change_init(&ch, w, PROP_CHANGES_MAX + 2);
	if (place_is_root(&p))
		change_tree(&ch); /* the root has no slot: its guard is the tree's generation */
	else
		change_slot(&ch, &p);
	for (unsigned i = 0; i < r->change_count; i++) {
		const struct vfs_prop *from = &r->changes[i].prop;
		struct meta_prop *prop = gh_alloc(r->arena, sizeof(*prop));
		if (!prop)
			return GH_NOMEM;
		*prop = (struct meta_prop){ p.node.id, from->ns, from->name, from->xml ? from->xml : "",
					    from->lang ? from->lang : "" };
		change_step(&ch, r->changes[i].remove ? META_PROP_REMOVE : META_PROP_SET)->prop = prop;
	}
	change_step(&ch, META_NODE_TOUCH)->node.id = p.node.id;
	ch.batch.event.node = p.node.id;
	st = change_commit(&ch);
	if (st == GH_OK && place_is_root(&p))
		node_cache_drop(r->core->nodes, w->tenant->id, 0, "", 0);
	return st;
}

enum gh_status op_set_props(struct vfs_work *w)
{
	struct locks *l = NULL;
	const enum gh_status st = try_set_props(w, &l);
	locks_unref(&l);
	return st;
}
