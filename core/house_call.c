/* Blocking helpers for the control plane: see control_house.h. */
#include <string.h>

#include "core/base/id.h"
#include "core/control_house.h"
#include "core/feed.h"
#include "core/node_cache.h"
#include "core/people/login.h"

static struct meta_call call_in(struct gh_arena *a, const char *op)
{
	return (struct meta_call){ .arena = a, .op = op };
}

enum gh_status house_place(struct gh_core *c, struct gh_arena *a, struct tenant *t, const char *path,
			   struct house_place *ret)
{
	struct meta_call call = call_in(a, "place");
	struct meta_node *chain = NULL, *root;
	unsigned found = 0;
	ret->tree_gen = atomic_load(&t->tree_gen);
	enum gh_status st = gh_path_parse(a, path, strlen(path), 0, &t->rule, &ret->path);
	if (st == GH_OK)
		st = meta_node_get(c->meta, &call, t->id, t->root, &root);
	if (st == GH_OK && ret->path->depth)
		st = meta_resolve(c->meta, &call, t->id, t->root, ret->path->comp, ret->path->depth, &chain, &found);
	if (st == GH_OK && found != ret->path->depth)
		st = GH_NOTFOUND;
	if (st != GH_OK)
		return st;
	ret->nodes = gh_alloc_array(a, ret->path->depth + 1u, sizeof(*ret->nodes));
	if (!ret->nodes)
		return GH_NOMEM;
	ret->nodes[0] = *root;
	for (unsigned i = 0; i < found; i++)
		ret->nodes[i + 1] = chain[i];
	return GH_OK;
}

const char *house_path_of(struct gh_core *c, struct gh_arena *a, struct tenant *t, uint64_t node)
{
	const char *names[GH_DEPTH_MAX];
	unsigned depth = 0;
	struct meta_call call = call_in(a, "path");
	while (node != t->root) {
		struct meta_node *n;
		if (depth == GH_DEPTH_MAX || meta_node_get(c->meta, &call, t->id, node, &n) != GH_OK)
			return "?";
		names[depth++] = n->name;
		node = n->parent;
	}
	struct gh_buf b;
	gh_buf_init(&b, GH_PATH_MAX * 2);
	while (depth) {
		gh_buf_char(&b, '/');
		gh_buf_str(&b, names[--depth]);
	}
	const char *text = b.failed ? "?" : b.len ? gh_strndup(a, b.data, b.len) : "/";
	gh_buf_fini(&b);
	return text ? text : "?";
}

/* What has to be read again after these steps. */
struct concern {
	bool rights, locks, tree, people;
};

static struct concern concern_of(const struct meta_step *steps, unsigned count)
{
	struct concern k = { 0 };
	for (unsigned i = 0; i < count; i++)
		switch (steps[i].kind) {
		case META_ACL_SET:
		case META_RIGHTS_EPOCH:
			k.rights = true;
			break;
		case META_USER_PUT:
		case META_USER_DELETE:
		case META_GROUP_PUT:
		case META_GROUP_DELETE:
		case META_MEMBER_ADD:
		case META_MEMBER_REMOVE:
		case META_TOKEN_PUT:
		case META_TOKEN_DELETE:
			k.rights = k.people = true;
			break;
		case META_LOCK_INSERT:
		case META_LOCK_REFRESH:
		case META_LOCK_DELETE:
		case META_LOCKS_BELOW:
			k.locks = true;
			break;
		case META_TREE_GEN:
			k.tree = true;
			break;
		case META_TENANT_PUT:
			k.rights = true;
			break;
		default:
			break;
		}
	return k;
}

/* Learns a tenant's row anew: names, state and both generations. */
static enum gh_status reread(struct gh_core *c, struct gh_arena *a, const char *name)
{
	struct meta_call call = call_in(a, "tenant");
	struct meta_tenant *row;
	struct tenant *t;
	enum gh_status st = meta_tenant_by_name(c->meta, &call, name, &row);
	if (st == GH_OK)
		st = tenant_refresh(c, row, &t);
	return st;
}

enum gh_status house_change(struct gh_core *c, struct gh_arena *a, struct tenant *t, const struct house_change *h)
{
	struct meta_call call = call_in(a, h->what);
	const struct meta_tenant *row = NULL;
	for (unsigned i = 0; i < h->count; i++)
		if (h->steps[i].kind == META_TENANT_PUT)
			row = h->steps[i].tenant;
	struct meta_batch b = {
		.tenant = t ? t->id : row ? row->id : 0, /* 0: the house's own settings */
		.op = gh_id_new(),
		.tree_gen = UINT64_MAX,
		.rights_epoch = h->rights_epoch,
		.route_epoch = t ? t->route_epoch : UINT64_MAX,
		.lock_seen = UINT64_MAX,
		.event = { .user_name = h->actor, .what = h->what, .door = "admin", .path = h->path ? h->path : "",
			   .dest = h->detail ? h->detail : "", .request_id = "" },
		.step_count = h->count,
		.steps = h->steps,
	};
	const enum gh_status st = meta_commit(c->meta, &call, &b);
	if (st != GH_OK && st != GH_UNKNOWN)
		return st;
	const struct concern k = concern_of(h->steps, h->count);
	for (unsigned i = 0; t && i < h->count; i++)
		if (h->steps[i].kind == META_USER_DELETE)
			quota_user_gone(t, h->steps[i].user->id);
	if (t && k.locks)
		tenant_drop_locks(t);
	if (t && (k.rights || k.tree))
		tenant_drop_rights(t);
	if (t && k.people)
		people_drop_tenant(c->people, t->id);
	if (t)
		feed_poke(c, t);
	if (row || k.tree) {
		const enum gh_status again = reread(c, a, row ? row->name : t->name);
		if (st == GH_OK)
			return again;
	}
	return st;
}

enum gh_status house_commit(struct gh_core *c, struct gh_arena *a, struct tenant *t, const char *actor, const char *what,
			    const char *path, struct meta_step *steps, unsigned count)
{
	const struct house_change h = {
		.actor = actor, .what = what, .path = path, .rights_epoch = UINT64_MAX, .steps = steps, .count = count,
	};
	return house_change(c, a, t, &h);
}
