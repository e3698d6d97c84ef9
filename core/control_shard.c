/* Shards: add, list, drain, and whether their schemas are this program's. See control.h. */
#include <stdio.h>
#include <string.h>

#include "core/control_work.h"

#define SHARD_NAME_MAX 40
#define ERR_MAX 512

static const char *const state_names[] = { "open", "draining", "closed" };

static enum gh_status shard_named(struct control_call *c, const char *name, struct meta_shard *ret)
{
	struct meta_call call = control_meta(c);
	struct meta_shard *rows;
	unsigned count;
	enum gh_status st = meta_shard_list(c->core->meta, &call, &rows, &count);

	for (unsigned i = 0; st == GH_OK && i < count; i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		*ret = rows[i];
		return GH_OK;
	}
	return st == GH_OK ? control_fail(c, GH_NOTFOUND, "there is no shard \"%.64s\"", name) : st;
}

enum gh_status control_shard_list(struct control_call *c)
{
	enum gh_status st = control_args(c, NULL, 0);
	struct meta_call call;
	struct meta_shard *rows;
	unsigned count = 0;
	json_t *items;

	if (st != GH_OK)
		return st;
	call = control_meta(c);
	st = meta_shard_list(c->core->meta, &call, &rows, &count);
	items = st == GH_OK ? control_items(c) : NULL;
	if (st == GH_OK && !items)
		return GH_NOMEM;
	for (unsigned i = 0; st == GH_OK && i < count; i++)
		st = control_item(items, json_pack("{s:s, s:s, s:I, s:b, s:s, s:s}", "shard", rows[i].name, "state",
						   state_names[rows[i].state], "tenants", (json_int_t)rows[i].tenants,
						   "reached", rows[i].open, "trouble", rows[i].trouble, "conninfo",
						   rows[i].conninfo));
	return st;
}

/* The house's log says who. What it is made of is none of the log's business. */
static enum gh_status note(struct control_call *c, const char *name)
{
	return control_commit(c, NULL, "", name, UINT64_MAX, NULL, 0);
}

enum gh_status control_shard_add(struct control_call *c)
{
	const char *name, *conninfo;
	const struct control_arg args[] = {
		{ "name", CONTROL_TEXT, true, &name, NULL },
		{ "conninfo", CONTROL_TEXT, true, &conninfo, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));
	struct meta_call call;
	char err[ERR_MAX] = "";

	if (st != GH_OK)
		return st;
	if (!*name || strlen(name) > SHARD_NAME_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != strlen(name))
		return control_fail(c, GH_BADNAME, "\"%.80s\" cannot be a shard's name: a-z 0-9 - _ . only, at most %d", name,
				    SHARD_NAME_MAX);
	call = control_meta(c);
	st = meta_shard_add(c->core->meta, &call, name, conninfo, err);
	if (st != GH_OK)
		return *err ? control_fail(c, st, "%.250s", err) : st;
	st = note(c, name);
	return st == GH_OK ? control_result(c, json_pack("{s:s, s:s}", "shard", name, "state", "open")) : st;
}

static enum gh_status set_state(struct control_call *c, enum meta_shard_state state)
{
	const char *name;
	const struct control_arg args[] = { { "name", CONTROL_TEXT, true, &name, NULL } };
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));
	struct meta_shard s = { .tenants = 0 };
	struct meta_call call;

	if (st == GH_OK)
		st = shard_named(c, name, &s);
	if (st != GH_OK)
		return st;
	call = control_meta(c);
	st = meta_shard_set(c->core->meta, &call, name, state);
	if (st == GH_NOTFOUND)
		return control_fail(c, GH_UNSUPPORTED, "there is no other shard than %s: add one first", name);
	if (st == GH_OK)
		st = note(c, name);
	if (st != GH_OK)
		return st;
	return control_result(c, json_pack("{s:s, s:s, s:I}", "shard", name, "state", state_names[state], "tenants_left",
					   (json_int_t)s.tenants));
}

enum gh_status control_shard_drain(struct control_call *c)
{
	return set_state(c, META_SHARD_DRAINING);
}

enum gh_status control_shard_open(struct control_call *c)
{
	return set_state(c, META_SHARD_OPEN);
}

/* ---- schemas ---- */

static void schema_finding(void *arg, bool loss, const char *text)
{
	(void)loss;
	(void)!json_array_append_new(arg, json_string(text));
}

enum gh_status control_schema_check(struct control_call *c)
{
	bool all = false;
	const struct control_arg args[] = { { "all_shards", CONTROL_BOOL, false, &all, NULL } };
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));
	struct meta_call call;
	json_t *found;

	if (st != GH_OK)
		return st;
	found = json_array();
	if (!found)
		return GH_NOMEM;
	call = control_meta(c);
	st = meta_schema_check(c->core->meta, &call, all, schema_finding, found);
	if (st == GH_OK)
		st = control_result(c, json_pack("{s:b, s:O}", "ok", json_array_size(found) == 0, "differences", found));
	json_decref(found);
	return st;
}
