/* See two_places.h. */
#include "core/two_places.h"

enum gh_status two_places_enter(struct vfs_work *w, struct two_places *b, unsigned from_locks)
{
	struct vfs_req *r = &w->req;
	enum gh_status st = gate_enter(w);
	if (st == GH_OK)
		st = place_find(w, r->path, &b->from);
	if (st == GH_OK && !b->from.exists)
		st = GH_NOTFOUND;
	if (st == GH_OK)
		st = place_find(w, r->dest, &b->to);
	if (st != GH_OK)
		return st;
	if (place_is_root(&b->from))
		return GH_DENIED;
	if (gh_path_below(r->dest, r->path) && b->from.node.type == META_FOLDER)
		return GH_LOOP;
	if (gh_path_below(r->path, r->dest))
		return GH_LOOP; /* onto its own ancestor: that would take the source away with the target */
	if (!place_has_parent(&b->to))
		return place_is_root(&b->to) ? GH_DENIED : GH_NOPARENT;
	st = gate_check(w, &b->from, &b->to);
	if (st == GH_OK)
		st = locks_get(r->core, w->tenant, true, &b->locks);
	if (st == GH_OK)
		st = cond_check(w, &b->from, b->locks);
	if (st == GH_OK)
		st = lock_check(w, b->locks, r->path, from_locks);
	if (st == GH_OK)
		st = lock_check(w, b->locks, r->dest, LOCK_SELF | LOCK_MEMBER | LOCK_BELOW);
	if (st == GH_OK && b->to.exists && (r->flags & VFS_NO_OVERWRITE) && !gh_path_equal(r->path, r->dest))
		st = GH_PRECONDITION;
	return st;
}
