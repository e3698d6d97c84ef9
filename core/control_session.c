/* Live sessions and uploads: list, end. See control.h. */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/control_work.h"
#include "core/sessions.h"

#define ROUND_MS 2000u
#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 10000

struct list {
	const char *proto; /* NULL: all */
	struct tenant *tenant;
	bool uploads_only;
	int64_t limit;
	json_t *items;
	struct gh_arena *arena;
	enum gh_status status;
};

static bool is_meant(const struct list *f, const struct vfs_live *l)
{
	if (l->leaving || f->status != GH_OK || (int64_t)json_array_size(f->items) >= f->limit)
		return false;
	if (f->tenant && (!l->who || l->who->tenant != f->tenant))
		return false;
	return !f->proto || !strcmp(vfs_proto_name(l->proto), f->proto);
}

static json_t *size_json(uint64_t v)
{
	return v == UINT64_MAX ? json_null() : json_integer((json_int_t)v);
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *session_json(const struct vfs_live *l, const struct vfs_live_look *k)
{
	json_t *o = json_pack("{s:o, s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:I, s:I}", "id", control_id(l->id), "proto",
			      l->proto == VFS_INTERNAL ? "-" : vfs_proto_name(l->proto), "tenant",
			      l->who ? l->who->tenant->name : "", "user", l->who ? l->who->user_name : "", "peer",
			      l->peer ? l->peer : "", "since", control_time(l->since_us), "doing",
			      k->doing ? k->doing : "idle", "path", text_or_null(k->path), "bytes_in",
			      (json_int_t)k->bytes_in, "bytes_out", (json_int_t)k->bytes_out);

	if (o && (k->up || k->down))
		json_object_set_new(o, "transfer",
				    json_pack("{s:o, s:s, s:I, s:o}", "path", text_or_null(k->path), "direction",
					      k->up ? "up" : "down", "bytes", (json_int_t)k->moved, "size",
					      size_json(k->size)));
	return o;
}

static json_t *upload_json(const struct vfs_live *l, const struct vfs_live_look *k)
{
	return json_pack("{s:o, s:s, s:s, s:o, s:s, s:I, s:o, s:o}", "id", control_id(l->id), "tenant",
			 l->who ? l->who->tenant->name : "", "user", l->who ? l->who->user_name : "", "path",
			 text_or_null(k->path), "proto", vfs_proto_name(l->proto), "received", (json_int_t)k->moved,
			 "declared", size_json(k->size), "since", control_time(l->since_us));
}

static void list_one(struct vfs_live *l, void *arg)
{
	struct list *f = arg;
	struct vfs_live_look look = { .arena = f->arena };

	if (!is_meant(f, l))
		return;
	l->ops->look(l, &look);
	if (!f->uploads_only)
		f->status = control_item(f->items, session_json(l, &look));
	else if (look.up)
		f->status = control_item(f->items, upload_json(l, &look));
	gh_arena_reset(f->arena);
}

static enum gh_status list_all(struct control_call *c, struct list *f, const char *tenant)
{
	enum gh_status st = GH_OK;
	bool all;

	if (f->limit < 1 || f->limit > LIMIT_MAX)
		return control_fail(c, GH_INVALID, "argument \"limit\": 1 to %d", LIMIT_MAX);
	if (tenant)
		st = control_tenant(c, tenant, &f->tenant);
	if (st != GH_OK)
		return st;
	f->items = control_items(c);
	f->arena = gh_arena_new(1u << 18);
	if (!f->items || !f->arena) {
		gh_arena_free(&f->arena);
		return GH_NOMEM;
	}
	all = sessions_each(c->core, list_one, f, ROUND_MS);
	gh_arena_free(&f->arena);
	if (!all)
		return control_fail(c, GH_BUSY, "the sessions could not be listed in time; try again");
	return f->status;
}

enum gh_status control_session_list(struct control_call *c)
{
	struct list f = { .limit = LIMIT_DEFAULT };
	const char *tenant = NULL;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, false, &tenant, NULL },
		{ "proto", CONTROL_TEXT, false, &f.proto, NULL },
		{ "limit", CONTROL_NUMBER, false, &f.limit, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	return st == GH_OK ? list_all(c, &f, tenant) : st;
}

enum gh_status control_upload_list(struct control_call *c)
{
	struct list f = { .limit = LIMIT_MAX, .uploads_only = true };
	const char *tenant = NULL;
	const struct control_arg args[] = { { "tenant", CONTROL_TEXT, false, &tenant, NULL } };
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	return st == GH_OK ? list_all(c, &f, tenant) : st;
}

/* ---- ending those whose way in is gone ---- */

static void end_one(struct vfs_live *l, void *arg)
{
	const struct control_end *e = arg;
	const struct vfs_verdict v = { .status = e->status, .message = e->message, .by_name = true };
	const struct people_proof *p = l->who ? &l->who->proof : NULL;

	if (l->leaving || !p || l->who->tenant != e->tenant || (e->user && l->who->user != e->user))
		return;
	if (e->token && p->token != e->token)
		return;
	if (e->password && (p->token || p->print == e->password->print))
		return;
	l->ops->told(l, &v);
}

void control_sessions_end(struct control_call *c, struct control_end *which)
{
	/* One that is not reached in time is refused at its next operation all the same. */
	(void)sessions_each(c->core, end_one, which, ROUND_MS);
}

/* ---- ending ---- */

struct kill {
	uint64_t id, user; /* 0: any */
	struct tenant *tenant;  /* of those killed, where one is meant; else of the one that was */
	char user_name[GH_NAME_MAX + 1];
	json_int_t killed;
};

static void kill_one(struct vfs_live *l, void *arg)
{
	const struct vfs_verdict v = { .status = GH_OFF, .message = "Ended by an administrator.", .by_name = true };
	struct kill *k = arg;

	if (l->leaving || (k->id && l->id != k->id))
		return;
	if (!k->id && (!l->who || l->who->tenant != k->tenant || (k->user && l->who->user != k->user)))
		return;
	k->killed++;
	if (k->id && l->who) {
		k->tenant = l->who->tenant;
		snprintf(k->user_name, sizeof(k->user_name), "%s", l->who->user_name);
	}
	l->ops->told(l, &v);
}

enum gh_status control_session_kill(struct control_call *c)
{
	struct kill k = { 0 };
	const char *tenant = NULL, *user = NULL;
	bool by_id;
	const struct control_arg args[] = {
		{ "id", CONTROL_ID, false, &k.id, &by_id },
		{ "tenant", CONTROL_TEXT, false, &tenant, NULL },
		{ "user", CONTROL_TEXT, false, &user, NULL },
	};
	struct tenant *t = NULL;
	struct meta_user *u;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK && (by_id == (tenant != NULL) || (user && !tenant)))
		st = control_fail(c, GH_INVALID, "name a session by its id, or a tenant, or a tenant and a user");
	if (st == GH_OK && tenant)
		st = control_tenant(c, tenant, &t);
	if (st == GH_OK && user) {
		st = control_user(c, t, user, &u);
		k.user = st == GH_OK ? u->id : 0;
	}
	if (st != GH_OK)
		return st;
	k.tenant = t;
	if (!sessions_each(c->core, kill_one, &k, ROUND_MS))
		return control_fail(c, GH_BUSY, "not every session could be reached in time; try again");
	if (by_id && !k.killed)
		return control_fail(c, GH_NOTFOUND, "there is no such session; it may have ended by itself");
	/* Nothing is stored by this; its event is all that remains. */
	if (k.tenant)
		st = control_commit(c, k.tenant, "", user ? user : t ? "everybody" : k.user_name, UINT64_MAX, NULL, 0);
	return st == GH_OK ? control_result(c, json_pack("{s:I}", "killed", k.killed)) : st;
}
