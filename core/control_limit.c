/* Limits of tenants and users: set, list; and where each account stands. A change is a setting and its event in one
 * batch of the tenant, which raises its rights epoch (core/quota.h says why); tighter limits are in force before it is
 * stored, wider ones after it. See control.h. */
#include <stdlib.h>
#include <string.h>

#include "core/base/id.h"
#include "core/control_work.h"
#include "core/live.h"
#include "core/quota_room.h"

#define KIND "limit"
#define BYTES_MAX (1ull << 60)

/* What makes sense; to shut somebody out altogether is a switch's business. */
static const struct {
	uint64_t least, most;
	bool size; /* text may have a unit */
} ranges[QUOTA_KINDS] = {
	[QUOTA_BYTES] = { 0, BYTES_MAX, true },       [QUOTA_FILES] = { 0, 1000000000000, false },
	[QUOTA_SESSIONS] = { 1, 1000000, false },     [QUOTA_TRANSFERS] = { 1, 1000000, false },
	[QUOTA_REQUESTS_S] = { 1, 1000000, false },   [QUOTA_BYTES_S] = { 1024, 1ull << 40, true },
	[QUOTA_MONTH_BYTES] = { 0, BYTES_MAX, true },
};

/* ---- values ---- */

/* Digits, and KiB, MiB, GiB or TiB where it is a size. */
static bool text_parse(const char *text, bool size, uint64_t *ret)
{
	static const char *const units[] = { "", "KiB", "MiB", "GiB", "TiB" };
	uint64_t v = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return false;
	for (unsigned i = 0; i < (size ? 5 : 1); i++)
		if (!strcmp(text, units[i])) {
			*ret = v << 10 * i;
			return v << 10 * i >> 10 * i == v;
		}
	return false;
}

static enum gh_status value_take(struct control_call *c, enum quota_kind k, const json_t *v, uint64_t *ret)
{
	const char *text = json_string_value(v);
	bool understood = json_is_integer(v) && json_integer_value(v) >= 0;

	if (json_is_null(v) || (text && !strcmp(text, "none"))) {
		*ret = QUOTA_NONE;
		return GH_OK;
	}
	if (text)
		understood = text_parse(text, ranges[k].size, ret);
	else if (understood)
		*ret = (uint64_t)json_integer_value(v);
	if (understood && *ret >= ranges[k].least && *ret <= ranges[k].most)
		return GH_OK;
	return control_fail(
		c, GH_INVALID, "argument \"%s\" must be a whole number from %llu to %llu%s, or %s for no limit",
		quota_kind_names[k], (unsigned long long)ranges[k].least, (unsigned long long)ranges[k].most,
		ranges[k].size ? ", as text also with KiB, MiB, GiB or TiB" : "", "null (\"none\")");
}

static json_t *value_json(uint64_t v)
{
	return v == QUOTA_NONE ? json_null() : json_integer((json_int_t)v);
}

static void limits_json(json_t *into, const struct quota_limits *l)
{
	for (unsigned k = 0; k < QUOTA_KINDS; k++)
		json_object_set_new(into, quota_kind_names[k], value_json(l->of[k]));
}

/* ---- set ---- */

struct limit_change {
	struct tenant *t;
	uint64_t user;
	const char *user_name; /* NULL: the tenant itself */
	const json_t *values[QUOTA_KINDS];
	bool given[QUOTA_KINDS];
	struct quota_limits limits; /* as they are then */
};

/* The setting of that account, or a new one (rev 0). */
static enum gh_status setting_read(struct control_call *c, const struct limit_change *k, struct meta_setting *ret)
{
	const uint64_t id = k->user ? k->user : k->t->id;
	struct meta_call call = control_meta(c);
	struct meta_setting *rows;
	unsigned count;
	const enum gh_status st = meta_settings(c->core->meta, &call, KIND, id - 1, 1, &rows, &count);

	if (st != GH_OK)
		return st;
	*ret = (struct meta_setting){ .id = id, .tenant = k->t->id, .user = k->user, .doc = "{}" };
	if (count && rows->id == id)
		*ret = *rows;
	ret->kind = KIND;
	return GH_OK;
}

/* What is stored, with the change; fields that are not known here stay. */
static const char *doc_merge(struct control_call *c, const char *was, const struct quota_limits *l)
{
	json_t *o = json_loads(was, 0, NULL);
	char *text;
	const char *kept;

	if (!json_is_object(o)) {
		json_decref(o);
		o = json_object();
	}
	for (unsigned k = 0; o && k < QUOTA_KINDS; k++) {
		if (l->of[k] == QUOTA_NONE)
			json_object_del(o, quota_kind_names[k]);
		else
			json_object_set_new(o, quota_kind_names[k], json_integer((json_int_t)l->of[k]));
	}
	text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(o);
	kept = text ? gh_strdup(c->arena, text) : NULL;
	free(text);
	return kept;
}

static enum gh_status limits_commit(struct control_call *c, const struct limit_change *k, struct meta_setting *s)
{
	const bool counts = k->limits.of[QUOTA_BYTES] != QUOTA_NONE || k->limits.of[QUOTA_FILES] != QUOTA_NONE;
	const char *was = s->doc, *doc = doc_merge(c, was, &k->limits);
	const bool empty = doc && !strcmp(doc, "{}");
	struct meta_step steps[3];
	unsigned n = 0;

	if (!doc)
		return GH_NOMEM;
	s->doc = doc;
	if (!empty)
		steps[n++] = (struct meta_step){ .kind = META_SETTING_PUT, .setting = s };
	else if (s->rev)
		steps[n++] = (struct meta_step){ .kind = META_SETTING_DELETE, .setting = s };
	if (k->user)
		steps[n++] = (struct meta_step){ .kind = counts ? META_OWNED_COUNT : META_OWNED_FORGET, .n = k->user };
	steps[n++] = (struct meta_step){ .kind = META_RIGHTS_EPOCH };
	return control_commit(c, k->t, k->user ? k->user_name : "", doc, UINT64_MAX, steps, n);
}

static enum gh_status set_once(struct control_call *c, void *arg)
{
	struct limit_change *k = arg;
	const struct quota_limits old = quota_limits_of(k->t, k->user);
	struct quota_limits tight;
	struct meta_setting s;
	enum gh_status st = setting_read(c, k, &s);

	k->limits = old;
	for (unsigned i = 0; st == GH_OK && i < QUOTA_KINDS; i++)
		if (k->given[i])
			st = value_take(c, i, k->values[i], &k->limits.of[i]);
	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < QUOTA_KINDS; i++)
		tight.of[i] = old.of[i] < k->limits.of[i] ? old.of[i] : k->limits.of[i];
	st = quota_limits_set(c->core, k->t, k->user, &tight);
	if (st != GH_OK)
		return st;
	st = limits_commit(c, k, &s);
	const enum gh_status set =
		quota_limits_set(c->core, k->t, k->user, st == GH_OK || st == GH_UNKNOWN ? &k->limits : &old);
	return st == GH_OK ? set : st;
}

static enum gh_status set_result(struct control_call *c, const struct limit_change *k)
{
	json_t *o = json_pack("{s:s, s:s?}", "tenant", k->t->name, "user", k->user_name);

	if (o)
		limits_json(o, &k->limits);
	return control_result(c, o);
}

enum gh_status control_limit_set(struct control_call *c)
{
	struct limit_change k = { .t = NULL };
	const char *tenant, *user = NULL;
	bool any = false;
	struct control_arg args[2 + QUOTA_KINDS] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "user", CONTROL_TEXT, false, &user, NULL },
	};

	for (unsigned i = 0; i < QUOTA_KINDS; i++)
		args[2 + i] =
			(struct control_arg){ quota_kind_names[i], CONTROL_ANY, false, &k.values[i], &k.given[i] };
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));
	for (unsigned i = 0; i < QUOTA_KINDS; i++)
		any |= k.given[i];
	if (st == GH_OK && !any)
		st = control_fail(c, GH_INVALID,
				  "nothing to change: give \"bytes\", \"files\", \"sessions\", \"transfers\","
				  " \"requests_s\", \"bytes_s\" or \"month_bytes\"");
	if (st == GH_OK)
		st = control_tenant(c, tenant, &k.t);
	if (st == GH_OK && user) {
		struct meta_user *u;

		st = control_user(c, k.t, user, &u);
		if (st == GH_OK) {
			k.user = u->id;
			k.user_name = u->name;
		}
	}
	if (st == GH_OK)
		st = control_retry(c, set_once, &k);
	if (st == GH_OK)
		live_tell(c->core, "limit");
	return st == GH_OK ? set_result(c, &k) : st;
}

/* ---- lists ---- */

/* One list for both operations: every account of a tenant, the tenant's own first. */
struct listing {
	struct control_call *c;
	struct tenant *t;
	struct control_names names;
	json_t *items;
	json_t *(*row)(struct listing *l, uint64_t user, const struct quota_limits *limits);
	bool all_tenants; /* also those without a limit */
	enum gh_status st;
};

static bool any_limit(const struct quota_limits *l)
{
	for (unsigned k = 0; k < QUOTA_KINDS; k++)
		if (l->of[k] != QUOTA_NONE)
			return true;
	return false;
}

static void list_account(uint64_t user, void *arg)
{
	struct listing *l = arg;
	const struct quota_limits limits = quota_limits_of(l->t, user);

	if (l->st == GH_OK && (any_limit(&limits) || (!user && l->all_tenants))) {
		json_t *row = l->row(l, user, &limits);
		l->st = l->st == GH_OK ? control_item(l->items, row) : l->st;
	}
}

static enum gh_status list_tenant(struct listing *l, const char *name)
{
	l->st = control_tenant(l->c, name, &l->t);
	if (l->st == GH_OK && quota_limited(l->t))
		l->st = control_users_named(l->c, l->t, &l->names);
	list_account(0, l);
	if (l->st == GH_OK)
		quota_users_each(l->t, list_account, l);
	return l->st;
}

static enum gh_status list_row(struct control_call *c, const struct meta_tenant *row, void *l)
{
	gh_arena_reset(c->arena);
	return list_tenant(l, row->name);
}

static enum gh_status list(struct listing *l)
{
	const char *tenant = NULL;
	const struct control_arg args[] = { { "tenant", CONTROL_TEXT, false, &tenant, NULL } };
	const enum gh_status st = control_args(l->c, args, CONTROL_ARG_COUNT(args));

	if (st != GH_OK)
		return st;
	l->items = control_items(l->c);
	if (!l->items)
		return GH_NOMEM;
	return tenant ? list_tenant(l, tenant) : control_tenants_each(l->c, list_row, l);
}

static json_t *row_begin(const struct listing *l, uint64_t user)
{
	return json_pack("{s:s, s:s?}", "tenant", l->t->name, "user", user ? control_named(&l->names, user) : NULL);
}

static json_t *limit_row(struct listing *l, uint64_t user, const struct quota_limits *limits)
{
	json_t *o = row_begin(l, user);

	if (o)
		limits_json(o, limits);
	return o;
}

enum gh_status control_limit_list(struct control_call *c)
{
	struct listing l = { .c = c, .row = limit_row };

	return list(&l);
}

/* null: nobody counts it, because nobody bounds it. */
static json_t *used_json(const struct listing *l, const struct meta_quota_books *b, const struct quota_figures *f,
			 const struct quota_limits *limits)
{
	const bool counted = quota_limited(l->t), monthly = limits->of[QUOTA_MONTH_BYTES] != QUOTA_NONE;
	const uint64_t month = b->month > f->month_left ? b->month - f->month_left : 0;

	return json_pack("{s:I, s:I, s:o, s:o, s:o}", "bytes", (json_int_t)b->used_bytes, "files",
			 (json_int_t)b->used_files, "sessions", value_json(counted ? f->sessions : QUOTA_NONE),
			 "transfers", value_json(counted ? f->transfers : QUOTA_NONE), "month_bytes",
			 value_json(monthly ? month : QUOTA_NONE));
}

static json_t *quota_row(struct listing *l, uint64_t user, const struct quota_limits *limits)
{
	const struct meta_quota_ask ask = { .tenant = l->t->id, .user = user, .month = quota_month_now() };
	const struct quota_figures f = quota_figures(l->t, user);
	struct meta_call call = control_meta(l->c);
	struct meta_quota_books b;
	json_t *o, *limit = json_object();

	l->st = meta_quota_books(l->c->core->meta, &call, &ask, &b);
	if (l->st != GH_OK || !limit) {
		json_decref(limit);
		return NULL;
	}
	for (unsigned k = 0; k < QUOTA_KINDS; k++)
		if (limits->of[k] != QUOTA_NONE)
			json_object_set_new(limit, quota_kind_names[k], value_json(limits->of[k]));
	o = row_begin(l, user);
	if (!o) {
		json_decref(limit);
		return NULL;
	}
	json_object_set_new(o, "used", used_json(l, &b, &f, limits));
	json_object_set_new(
		o, "leased",
		json_pack("{s:I, s:I}", "bytes", (json_int_t)b.leased_bytes, "files", (json_int_t)b.leased_files));
	json_object_set_new(o, "limit", limit);
	return o;
}

enum gh_status control_quota_list(struct control_call *c)
{
	struct listing l = { .c = c, .row = quota_row, .all_tenants = true };

	return list(&l);
}
