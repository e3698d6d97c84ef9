/* Conditions: HTTP's in the order of RFC 9110 section 13.2.2, then WebDAV's If (RFC 4918 section 10.4). Evaluated on the
 * resolved state, at begin and again in every attempt to commit, whose batch requires that very state. */
#include <string.h>

#include "core/base/clock.h"
#include "core/place.h"

static bool etags_match(const struct vfs_etags *e, const struct place *p)
{
	if (!p->exists)
		return false;
	if (e->any)
		return true;
	for (unsigned i = 0; i < e->count; i++)
		if (p->node.version && e->versions[i] == p->node.version)
			return true;
	return false;
}

static enum gh_status check_http(const struct vfs_work *w, const struct place *p)
{
	const struct vfs_cond *c = w->req.cond;
	const bool reading = !vfs_ops[w->req.op].mutates && w->req.op != VFS_WRITE_BEGIN;
	const int64_t mtime_s = p->exists ? p->node.mtime_us / GH_S_US : 0;

	if (c->if_match.present) {
		if (!etags_match(&c->if_match, p))
			return GH_PRECONDITION;
	} else if (c->unmodified_since_us && p->exists && mtime_s > c->unmodified_since_us / GH_S_US) {
		return GH_PRECONDITION;
	}
	if (c->if_none_match.present) {
		if (etags_match(&c->if_none_match, p))
			return reading ? GH_NOTMODIFIED : GH_PRECONDITION;
	} else if (reading && c->modified_since_us && p->exists && mtime_s <= c->modified_since_us / GH_S_US) {
		return GH_NOTMODIFIED;
	}
	return GH_OK;
}

static bool token_holds(const struct locks *l, const struct gh_path *path, const char *token, int64_t now)
{
	for (unsigned i = 0; i < l->count; i++)
		if (lock_covers(&l->lock[i], path, now) && strcmp(l->lock[i].token, token) == 0)
			return true;
	return false;
}

static bool list_holds(const struct vfs_if_list *list, const struct place *p, const struct locks *l, int64_t now)
{
	for (unsigned i = 0; i < list->count; i++) {
		const struct vfs_if_cond *c = &list->conds[i];
		const bool is = c->token ? token_holds(l, p->path, c->token, now) :
					   p->exists && c->version && c->version == p->node.version;
		if (is == c->negate)
			return false;
	}
	return true;
}

static enum gh_status check_if(struct vfs_work *w, const struct place *p, const struct locks *l)
{
	const struct vfs_cond *c = w->req.cond;
	const int64_t now = gh_real_us();
	struct place *other = NULL;
	for (unsigned i = 0; i < c->list_count; i++) {
		const struct vfs_if_list *list = &c->lists[i];
		const struct place *on = p;
		if (list->foreign)
			continue;
		if (list->path && !gh_path_equal(list->path, p->path)) {
			if (!other && !(other = gh_alloc(w->req.arena, sizeof(*other))))
				return GH_NOMEM;
			const enum gh_status st = place_find(w, list->path, other);
			if (st != GH_OK)
				return st;
			if (!gate_visible(w, list->path, list->path->depth))
				continue; /* what the caller may not see tells nothing through a condition either */
			on = other;
		}
		if (list_holds(list, on, l, now))
			return GH_OK;
	}
	return GH_PRECONDITION;
}

bool cond_uses_locks(const struct vfs_cond *c)
{
	return c && c->list_count > 0;
}

enum gh_status cond_check(struct vfs_work *w, const struct place *p, const struct locks *l)
{
	if (!w->req.cond)
		return GH_OK;
	const enum gh_status st = check_http(w, p);
	if (st != GH_OK || w->req.cond->list_count == 0)
		return st;
	GH_ASSERT(l != NULL);
	return check_if(w, p, l);
}
