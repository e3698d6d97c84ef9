/* Locks that are held: list, break. See control.h. */
#include <string.h>

#include "core/base/clock.h"
#include "core/control_work.h"


static json_t *lock_json(const char *tenant, const struct meta_lock *l, int64_t now_us)
{
	int64_t left_s = (l->expires_us - now_us) / GH_S_US;

	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:s}", "tenant", tenant, "path", l->path, "user", l->user_name,
			 "scope", l->exclusive ? "exclusive" : "shared", "deep", l->deep, "remaining_s",
			 (json_int_t)(left_s > 0 ? left_s : 0), "token", l->token);
}

static enum gh_status list_tenant(struct control_call *c, json_t *items, uint64_t tenant, const char *name)
{
	struct meta_call call = control_meta(c);
	struct meta_lock *locks;
	unsigned count;
	uint64_t seen;
	int64_t now_us = gh_real_us();
	enum gh_status st = meta_locks(c->core->meta, &call, tenant, &locks, &count, &seen);

	for (unsigned i = 0; st == GH_OK && i < count; i++)
		st = control_item(items, lock_json(name, &locks[i], now_us));
	return st;
}

static enum gh_status list_row(struct control_call *c, const struct meta_tenant *row, void *items)
{
	gh_arena_reset(c->arena);
	return list_tenant(c, items, row->id, row->name);
}

enum gh_status control_locks_list(struct control_call *c)
{
	const char *tenant = NULL;
	const struct control_arg args[] = { { "tenant", CONTROL_TEXT, false, &tenant, NULL } };
	struct tenant *t = NULL;
	json_t *items;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK && tenant)
		st = control_tenant(c, tenant, &t);
	if (st != GH_OK)
		return st;
	items = control_items(c);
	if (!items)
		return GH_NOMEM;
	return t ? list_tenant(c, items, t->id, t->name) : control_tenants_each(c, list_row, items);
}

enum gh_status control_locks_break(struct control_call *c)
{
	const char *tenant, *token;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "token", CONTROL_TEXT, true, &token, NULL },
	};
	struct meta_call call = control_meta(c);
	const struct meta_lock *found = NULL;
	struct meta_lock *locks;
	struct tenant *t;
	unsigned count;
	uint64_t seen;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &t);
	if (st == GH_OK)
		st = meta_locks(c->core->meta, &call, t->id, &locks, &count, &seen);
	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < count && !found; i++) {
		if (!strcmp(locks[i].token, token))
			found = &locks[i];
	}
	if (!found)
		return control_fail(c, GH_NOLOCK, "tenant %s has no such lock; it may have ended by itself", t->name);
	struct meta_step step = { .kind = META_LOCK_DELETE, .lock = found };

	return control_commit(c, t, found->path, found->user_name, UINT64_MAX, &step, 1);
}
