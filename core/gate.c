/* The gate's rights: who is the caller now, what does the operation's row ask, by effect, on every path it touches. Runs
 * at submission and again in every attempt to commit; the batch then requires the rights epoch it was decided under. */
#include "core/base/clock.h"
#include "core/place.h"

static unsigned keys_of(const struct gh_path *path, struct acl_key *keys, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		keys[i] = (struct acl_key){ path->comp[i].key, path->comp[i].key_len };
	return depth;
}

enum gh_status gate_enter(struct vfs_work *w)
{
	struct vfs_session *s = w->req.session;
	GH_ASSERT(s != NULL);
	w->tenant = s->tenant;
	if (atomic_load_explicit(&w->tenant->disabled, memory_order_relaxed)) {
		w->req.message = "this tenant is disabled";
		return GH_OFF;
	}
	w->tree_gen = atomic_load_explicit(&w->tenant->tree_gen, memory_order_acquire);
	if (w->may_block)
		rights_unref(&w->rights); /* of an earlier entry in this attempt: a write that guessed wrong */
	const enum gh_status st = rights_get(w->req.core, w->tenant, w->may_block, &w->rights);
	if (st != GH_OK)
		return st;
	const struct rights_user *u = rights_user(w->rights, s->user);
	if (!u || u->disabled)
		return GH_UNAUTH; /* removed or disabled since the login: as if it had never been */
	if (s->proof.expires_us && s->proof.expires_us <= gh_real_us())
		return GH_UNAUTH;
	/* Other password, fewer tokens? A snapshot may be older than the login, never the other way round. */
	if (u->gen > atomic_load_explicit(&s->user_gen, memory_order_relaxed)) {
		const enum gh_status still = session_still(w);
		if (still != GH_OK)
			return still;
	}
	w->caller = (struct acl_caller){ u->id, u->groups, u->group_count, u->owner };
	return GH_OK;
}

unsigned gate_rights(const struct vfs_work *w, const struct gh_path *path, unsigned depth)
{
	if (w->caller.owner)
		return ACL_FULL;
	struct acl_key keys[GH_DEPTH_MAX];
	keys_of(path, keys, depth);
	return acl_trie_rights(w->rights->trie, &w->caller, keys, depth);
}

bool gate_visible(const struct vfs_work *w, const struct gh_path *path, unsigned depth)
{
	if (gate_rights(w, path, depth))
		return true;
	struct acl_key keys[GH_DEPTH_MAX];
	keys_of(path, keys, depth);
	return acl_navigable(w->rights->trie, &w->caller, keys, depth);
}

static unsigned rights_below(const struct vfs_work *w, const struct gh_path *path)
{
	if (w->caller.owner)
		return ACL_FULL;
	struct acl_key keys[GH_DEPTH_MAX];
	keys_of(path, keys, path->depth);
	return acl_trie_rights_below(w->rights->trie, &w->caller, keys, path->depth);
}

static bool takes_whole_tree(enum vfs_op op)
{
	return op == VFS_REMOVE || op == VFS_MOVE || op == VFS_COPY;
}

/* The caller must hold `need` at the first `depth` components; what it may not see is not there. */
static enum gh_status need_at(struct vfs_work *w, const struct gh_path *path, unsigned depth, unsigned need)
{
	const unsigned have = gate_rights(w, path, depth);
	if (need && (have & need) == need)
		return GH_OK;
	if (!gate_visible(w, path, depth))
		return GH_NOTFOUND;
	return need ? GH_DENIED : GH_OK;
}

static enum gh_status need_on_path(struct vfs_work *w, const struct place *p)
{
	const struct vfs_op_row *row = &vfs_ops[w->req.op];
	if (!p->exists) {
		if (!row->need_parent)
			return GH_OK; /* the operation will say that nothing is there */
		return need_at(w, p->path, p->path->depth ? p->path->depth - 1 : 0, row->need_parent);
	}
	enum gh_status st = need_at(w, p->path, p->path->depth, row->need_path);
	if (st == GH_OK && takes_whole_tree(w->req.op) && p->node.type == META_FOLDER &&
	    !(w->req.flags & VFS_SHALLOW) && (rights_below(w, p->path) & row->need_path) != row->need_path)
		st = GH_DENIED; /* a member refuses; which one is not told */
	/* A folder that may be entered only: its listing shows the visible children, which needs no right of its own. */
	if (st == GH_DENIED && w->req.op == VFS_LIST && gate_rights(w, p->path, p->path->depth) == 0)
		st = GH_OK;
	return st;
}

static enum gh_status need_on_dest(struct vfs_work *w, const struct place *p, const struct place *dest)
{
	const struct vfs_op_row *row = &vfs_ops[w->req.op];
	if (dest->path->depth == 0)
		return GH_DENIED; /* nothing replaces the root */
	if (dest->exists && dest->node.type == META_FILE && p->node.type == META_FILE)
		return need_at(w, dest->path, dest->path->depth, ACL_WRITE);
	enum gh_status st = GH_OK;
	if (dest->exists) {
		st = need_at(w, dest->path, dest->path->depth, row->need_dest);
		if (st == GH_OK && (rights_below(w, dest->path) & row->need_dest) != row->need_dest)
			st = GH_DENIED;
	}
	if (st == GH_OK)
		st = need_at(w, dest->path, dest->path->depth - 1, row->need_destparent);
	return st == GH_NOTFOUND ? GH_DENIED : st;
}

enum gh_status gate_check(struct vfs_work *w, const struct place *p, const struct place *dest)
{
	enum gh_status st = need_on_path(w, p);
	/* Renaming within one folder, case included, makes nothing new for others to be denied: still the row's rights. */
	if (st == GH_OK && dest && p->exists)
		st = need_on_dest(w, p, dest);
	return st;
}
