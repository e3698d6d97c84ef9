/* Which locks stand in the way of whom. Locks are compared by canonical key paths alone: a lock's root never moves with
 * its resource (RFC 4918 section 7.7), so the path it was taken on stays its path. */
#include <string.h>

#include "core/base/clock.h"
#include "core/place.h"

static bool key_below(const char *key, size_t key_len, const char *root)
{
	const size_t root_len = strlen(root);
	if (root_len == 1) /* "/" */
		return key_len > 1;
	return key_len > root_len && memcmp(key, root, root_len) == 0 && key[root_len] == '/';
}

bool lock_covers(const struct meta_lock *l, const struct gh_path *path, int64_t now_us)
{
	if (l->expires_us <= now_us)
		return false;
	return strcmp(l->path_key, path->key) == 0 || (l->deep && key_below(path->key, path->key_len, l->path_key));
}

bool lock_is_below(const struct meta_lock *l, const struct gh_path *path, int64_t now_us)
{
	if (l->expires_us <= now_us)
		return false;
	return strcmp(l->path_key, path->key) == 0 || key_below(l->path_key, strlen(l->path_key), path->key);
}

bool lock_submitted(const struct vfs_work *w, const struct meta_lock *l)
{
	const struct vfs_cond *c = w->req.cond;
	if (!c || l->user != w->caller.user)
		return false;
	for (unsigned i = 0; i < c->token_count; i++)
		if (strcmp(c->tokens[i], l->token) == 0)
			return true;
	return false;
}

static enum gh_status blocked(struct vfs_work *w, const struct meta_lock *l)
{
	w->req.blocker = gh_strdup(w->req.arena, l->user_name);
	w->req.blocker_path = gh_strdup(w->req.arena, l->path);
	return GH_LOCKED;
}

/* Of the locks that cover one resource, one submitted by its holder is enough: exclusive ones are alone anyway. */
static enum gh_status check_covering(struct vfs_work *w, const struct locks *l, const struct gh_path *path, int64_t now)
{
	const struct meta_lock *in_the_way = NULL;
	for (unsigned i = 0; i < l->count; i++) {
		if (!lock_covers(&l->lock[i], path, now))
			continue;
		if (lock_submitted(w, &l->lock[i]))
			return GH_OK;
		in_the_way = &l->lock[i];
	}
	return in_the_way ? blocked(w, in_the_way) : GH_OK;
}

static enum gh_status check_below(struct vfs_work *w, const struct locks *l, const struct gh_path *path, int64_t now)
{
	for (unsigned i = 0; i < l->count; i++)
		if (lock_is_below(&l->lock[i], path, now) && !lock_submitted(w, &l->lock[i]))
			return blocked(w, &l->lock[i]);
	return GH_OK;
}

enum gh_status lock_check(struct vfs_work *w, const struct locks *l, const struct gh_path *path, unsigned what)
{
	w->lock_seen = l->seen; /* the place may have been read after a lock came, and the locks before it: a guard of the batch */
	if (l->count == 0)
		return GH_OK;
	const int64_t now = gh_real_us();
	enum gh_status st = GH_OK;
	if (what & LOCK_SELF)
		st = check_covering(w, l, path, now);
	if (st == GH_OK && (what & LOCK_MEMBER) && path->depth > 0) {
		const struct gh_path *parent = gh_path_parent(w->req.arena, path);
		st = parent ? check_covering(w, l, parent, now) : GH_NOMEM;
	}
	if (st == GH_OK && (what & LOCK_BELOW))
		st = check_below(w, l, path, now);
	return st;
}

enum gh_status node_show_locks(struct vfs_work *w, const struct locks *l, const struct gh_path *path, struct vfs_node *ret)
{
	const int64_t now = gh_real_us();
	unsigned n = 0;
	for (unsigned i = 0; i < l->count; i++)
		n += lock_covers(&l->lock[i], path, now);
	if (n == 0)
		return GH_OK;
	struct gh_arena *a = w->req.arena;
	ret->locks = gh_alloc_array(a, n, sizeof(*ret->locks));
	for (unsigned i = 0; i < l->count && ret->locks; i++) {
		const struct meta_lock *k = &l->lock[i];
		if (!lock_covers(k, path, now))
			continue;
		/* copied: the snapshot may go before the answer is written */
		ret->locks[ret->lock_count++] = (struct vfs_lock){
			.token = gh_strdup(a, k->token),
			.path = gh_strdup(a, k->path),
			.owner_xml = gh_strdup(a, k->owner_xml),
			.user = gh_strdup(a, k->user_name),
			.exclusive = k->exclusive,
			.deep = k->deep,
			.mine = k->user == w->caller.user,
			.timeout_s = k->timeout_s,
			.remaining_s = (uint32_t)((k->expires_us - now) / GH_S_US),
		};
	}
	return gh_arena_overflowed(a) ? GH_NOMEM : GH_OK;
}
