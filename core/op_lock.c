/* lock, refresh, unlock: WebDAV's locks (RFC 4918 sections 6 and 7), durable, and respected by every door. A lock on a
 * file raises the file's rev, a lock on a folder the tree's generation: batches decided before it was taken are stale. */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/id.h"
#include "core/change.h"

#define LOCKS_PER_RESOURCE 64u
#define LOCKS_PER_USER 1000u
#define LOCKS_PER_TENANT 10000u
#define LOCK_MIN_S 10u

static void show(struct vfs_work *w, const struct meta_lock *k)
{
	struct gh_arena *a = w->req.arena;
	w->req.lock = (struct vfs_lock){
		.token = gh_strdup(a, k->token),
		.path = gh_strdup(a, k->path),
		.owner_xml = gh_strdup(a, k->owner_xml),
		.user = gh_strdup(a, k->user_name),
		.exclusive = k->exclusive,
		.deep = k->deep,
		.mine = true,
		.timeout_s = k->timeout_s,
		.remaining_s = k->timeout_s,
	};
}

static uint32_t clamp_timeout(const struct vfs_work *w, uint32_t asked)
{
	const uint32_t max = w->req.core->cfg.lock_timeout_max_s;
	if (asked == 0 || asked > max)
		return max;
	return asked < LOCK_MIN_S ? LOCK_MIN_S : asked;
}

/* Version 4 UUID: unique for all time, not guessable. */
static const char *new_token(struct gh_arena *a)
{
	uint8_t b[16];
	char h[33];
	gh_random(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	gh_hex(h, b, sizeof(b));
	return gh_printf(a, "urn:uuid:%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12, h + 16, h + 20);
}

static enum gh_status conflict_with(struct vfs_work *w, const struct meta_lock *k)
{
	w->req.blocker = gh_strdup(w->req.arena, k->user_name);
	w->req.blocker_path = gh_strdup(w->req.arena, k->path);
	return GH_LOCKED;
}

/* Exclusive meets nothing, shared meets no exclusive: on itself, above (deep ones), and below when it is deep itself. */
static enum gh_status check_conflicts(struct vfs_work *w, const struct locks *l)
{
	const struct vfs_req *r = &w->req;
	const int64_t now = gh_real_us();
	unsigned here = 0, mine = 0, all = 0;
	for (unsigned i = 0; i < l->count; i++) {
		const struct meta_lock *k = &l->lock[i];
		if (k->expires_us <= now)
			continue;
		all++;
		mine += k->user == w->caller.user;
		const bool meets = lock_covers(k, r->path, now) || (r->lock_deep && lock_is_below(k, r->path, now));
		if (meets && (k->exclusive || r->lock_exclusive))
			return conflict_with(w, k);
		here += meets;
	}
	return here >= LOCKS_PER_RESOURCE || mine >= LOCKS_PER_USER || all >= LOCKS_PER_TENANT ? GH_LIMIT : GH_OK;
}

/* An unmapped name becomes an empty, ordinary file (RFC 4918 section 7.3). */
static struct meta_node empty_file(struct change *ch, const struct place *p)
{
	const struct vfs_work *w = ch->w;
	const struct gh_component *c = &p->path->comp[p->path->depth - 1];
	const int64_t now = gh_real_us();
	struct meta_node n = {
		.id = gh_id_new(),
		.parent = place_parent_id(p),
		.type = META_FILE,
		.name = c->name,
		.name_len = c->name_len,
		.key = c->key,
		.key_len = c->key_len,
		.owner = w->caller.user,
		.version = gh_id_new(),
		.made_us = now,
		.mtime_us = now,
	};
	change_step(ch, META_NODE_INSERT)->node = n;
	struct meta_step *s = change_step(ch, META_VERSION_INSERT);
	s->node = n;
	s->n = w->caller.user;
	change_count(ch, n.owner, 0, 1);
	return n;
}

static enum gh_status enter(struct vfs_work *w, struct place *p, struct locks **l)
{
	enum gh_status st = gate_enter(w);
	if (st == GH_OK)
		st = place_find(w, w->req.path, p);
	if (st == GH_OK && !p->exists && !place_has_parent(p))
		return GH_NOPARENT;
	if (st == GH_OK)
		st = gate_check(w, p, NULL);
	if (st == GH_NOTFOUND && !p->exists)
		st = GH_NOPARENT;
	if (st == GH_OK)
		st = locks_get(w->req.core, w->tenant, true, l);
	return st;
}

static enum gh_status take_lock(struct vfs_work *w, const struct place *p, const struct locks *l)
{
	struct vfs_req *r = &w->req;
	struct change ch;
	change_init(&ch, w, 8);
	if (!place_is_root(p))
		change_slot(&ch, p);
	struct meta_node n = p->exists ? p->node : empty_file(&ch, p);
	const uint32_t timeout = clamp_timeout(w, r->lock_timeout_s);
	struct meta_lock *k = gh_alloc(r->arena, sizeof(*k));
	if (!k)
		return GH_NOMEM;
	*k = (struct meta_lock){
		.id = gh_id_new(),
		.token = new_token(r->arena),
		.node = n.id,
		.user = w->caller.user,
		.path_key = r->path->key,
		.path = r->path->text,
		.exclusive = r->lock_exclusive,
		.deep = r->lock_deep && n.type == META_FOLDER,
		.expires_us = gh_real_us() + timeout * GH_S_US,
		.timeout_s = timeout,
		.owner_xml = r->lock_owner_xml ? r->lock_owner_xml : "",
		.user_name = r->session->user_name,
	};
	change_step(&ch, META_LOCK_INSERT)->lock = k;
	ch.locks = true;
	change_guard_locks(&ch, l, r->path);
	if (n.type == META_FOLDER) {
		change_tree(&ch);
	} else if (p->exists) {
		change_step(&ch, META_NODE_TOUCH)->node.id = n.id;
	}
	ch.batch.event.node = n.id;
	const enum gh_status st = change_commit(&ch);
	if (st == GH_OK) {
		show(w, k);
		r->created = !p->exists;
		node_show(&r->node, &n, gate_rights(w, r->path, r->path->depth));
	}
	return st;
}

enum gh_status op_lock(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct place p;
	struct locks *l = NULL;
	enum gh_status st = enter(w, &p, &l);
	if (st == GH_OK && !p.exists)
		st = lock_check(w, l, r->path, LOCK_MEMBER);
	if (st == GH_OK && place_is_root(&p) && r->lock_deep && !(gate_rights(w, r->path, 0) & ACL_MANAGE))
		st = GH_DENIED; /* nobody squats on the whole tenant */
	if (st == GH_OK)
		st = cond_check(w, &p, l);
	if (st == GH_OK)
		st = check_conflicts(w, l);
	if (st == GH_OK)
		st = take_lock(w, &p, l);
	locks_unref(&l);
	return st;
}

/* The submitted lock that covers the path, also when it was taken further up (indirect refresh). */
static const struct meta_lock *submitted_lock(const struct vfs_work *w, const struct locks *l)
{
	const int64_t now = gh_real_us();
	for (unsigned i = 0; i < l->count; i++)
		if (lock_covers(&l->lock[i], w->req.path, now) && lock_submitted(w, &l->lock[i]))
			return &l->lock[i];
	return NULL;
}

static enum gh_status try_refresh(struct vfs_work *w, struct locks **lp)
{
	struct vfs_req *r = &w->req;
	struct place p;
	enum gh_status st = enter(w, &p, lp);
	if (st == GH_OK && !p.exists)
		st = GH_NOTFOUND;
	if (st != GH_OK)
		return st;
	const struct meta_lock *old = submitted_lock(w, *lp);
	if (!old)
		return GH_PRECONDITION;
	st = cond_check(w, &p, *lp);
	if (st != GH_OK)
		return st;
	struct meta_lock *k = gh_memdup(r->arena, old, sizeof(*old));
	if (!k)
		return GH_NOMEM;
	k->timeout_s = clamp_timeout(w, r->lock_timeout_s);
	k->expires_us = gh_real_us() + k->timeout_s * GH_S_US;
	struct change ch;
	change_init(&ch, w, 1);
	change_step(&ch, META_LOCK_REFRESH)->lock = k;
	ch.locks = true;
	ch.batch.event.node = k->node;
	st = change_commit(&ch);
	if (st == GH_OK)
		show(w, k);
	return st;
}

enum gh_status op_refresh(struct vfs_work *w)
{
	struct locks *l = NULL;
	const enum gh_status st = try_refresh(w, &l);
	locks_unref(&l);
	return st;
}

static enum gh_status try_unlock(struct vfs_work *w, struct locks **lp)
{
	struct vfs_req *r = &w->req;
	struct place p;
	enum gh_status st = enter(w, &p, lp);
	if (st == GH_OK && !p.exists)
		st = GH_NOTFOUND;
	if (st == GH_OK && !r->lock_token)
		st = GH_INVALID;
	if (st != GH_OK)
		return st;
	const int64_t now = gh_real_us();
	const struct meta_lock *k = NULL;
	for (unsigned i = 0; i < (*lp)->count && !k; i++)
		if (lock_covers(&(*lp)->lock[i], r->path, now) && strcmp((*lp)->lock[i].token, r->lock_token) == 0)
			k = &(*lp)->lock[i];
	if (!k)
		return GH_NOLOCK;
	if (k->user != w->caller.user && !(gate_rights(w, r->path, r->path->depth) & ACL_MANAGE))
		return GH_DENIED;
	struct change ch;
	change_init(&ch, w, 1);
	change_step(&ch, META_LOCK_DELETE)->lock = k;
	ch.locks = true;
	ch.batch.event.node = k->node;
	return change_commit(&ch);
}

enum gh_status op_unlock(struct vfs_work *w)
{
	struct locks *l = NULL;
	const enum gh_status st = try_unlock(w, &l);
	locks_unref(&l);
	return st;
}
