/* Arguments, look-ups, commits and JSON of the control operations. See control_work.h. */
#include "core/control_work.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/people/loginname.h"

#define RETRIES 8
#define TENANTS_PAGE 500 /* at a time */
#define TENANTS_PAGE_BYTES (16u << 20)

/* ---- messages ---- */

enum gh_status control_fail(struct control_call *c, enum gh_status st, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->message, sizeof(c->message), fmt, ap);
	va_end(ap);
	return st;
}

enum gh_status control_done(struct control_call *c, enum gh_status st)
{
	if (st != GH_OK && !c->message[0])
		snprintf(c->message, sizeof(c->message), "%s", gh_status_text(st));
	return st;
}

/* ---- arguments ---- */

static const char *type_name(enum control_type type)
{
	switch (type) {
	case CONTROL_TEXT:
		return "a string";
	case CONTROL_BOOL:
		return "true or false";
	case CONTROL_NUMBER:
		return "a whole number";
	case CONTROL_TEXTS:
		return "a list of strings";
	case CONTROL_ID:
		return "an id";
	case CONTROL_ANY:
		return "a value";
	}
	return "something else";
}

static bool take_id(const json_t *v, uint64_t *into)
{
	const char *text = json_string_value(v);
	char *end;

	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*into = (uint64_t)json_integer_value(v);
		return true;
	}
	if (!text || !*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 19)
		return false;
	*into = strtoull(text, &end, 10);
	return true;
}

static bool take_texts(const json_t *v, const json_t **into)
{
	for (size_t i = 0; i < json_array_size(v); i++) {
		if (!json_is_string(json_array_get(v, i)))
			return false;
	}
	*into = v;
	return json_is_array(v);
}

/* From a query string: 100, true. */
static bool take_written(const struct control_arg *a, const char *text)
{
	char *end;

	if (a->type == CONTROL_BOOL) {
		*(bool *)a->into = !strcmp(text, "true");
		return !strcmp(text, "true") || !strcmp(text, "false");
	}
	if (a->type != CONTROL_NUMBER || !*text || strlen(text) > 18 || strspn(text, "-0123456789") != strlen(text))
		return false;
	*(int64_t *)a->into = strtoll(text, &end, 10);
	return !*end;
}

static bool take(const struct control_call *c, const struct control_arg *a, const json_t *v)
{
	if (c->texts && json_is_string(v) && (a->type == CONTROL_BOOL || a->type == CONTROL_NUMBER))
		return take_written(a, json_string_value(v));
	switch (a->type) {
	case CONTROL_TEXT:
		if (json_is_string(v))
			*(const char **)a->into = json_string_value(v);
		return json_is_string(v);
	case CONTROL_BOOL:
		if (json_is_boolean(v))
			*(bool *)a->into = json_is_true(v);
		return json_is_boolean(v);
	case CONTROL_NUMBER:
		if (json_is_integer(v))
			*(int64_t *)a->into = json_integer_value(v);
		return json_is_integer(v);
	case CONTROL_TEXTS:
		return take_texts(v, a->into);
	case CONTROL_ID:
		return take_id(v, a->into);
	case CONTROL_ANY:
		*(const json_t **)a->into = v;
		return true;
	}
	return false;
}

static enum gh_status refuse_unknown(struct control_call *c, const struct control_arg *args, size_t count)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)c->args, key, value)
	{
		size_t i = 0;

		while (i < count && strcmp(args[i].name, key) != 0)
			i++;
		if (i == count)
			return control_fail(c, GH_INVALID, "unknown argument \"%.64s\"", key);
	}
	return GH_OK;
}

static const char *type_word(enum control_type type)
{
	static const char *const words[] = { [CONTROL_TEXT] = "string", [CONTROL_BOOL] = "boolean",
					     [CONTROL_NUMBER] = "integer", [CONTROL_TEXTS] = "array",
					     [CONTROL_ID] = "id", [CONTROL_ANY] = "any" };

	return words[type];
}

static enum gh_status describe(struct control_call *c, const struct control_arg *args, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		json_t *o = json_pack("{s:s, s:s, s:b}", "name", args[i].name, "type", type_word(args[i].type), "required",
				      args[i].required);

		if (json_array_append_new(c->describe, o))
			return GH_NOMEM;
	}
	return GH_END;
}

enum gh_status control_args(struct control_call *c, const struct control_arg *args, size_t count)
{
	enum gh_status st;

	if (c->describe)
		return describe(c, args, count);
	if (c->args && !json_is_object(c->args))
		return control_fail(c, GH_INVALID, "arguments are an object");
	st = refuse_unknown(c, args, count);
	if (st != GH_OK)
		return st;
	for (size_t i = 0; i < count; i++) {
		const json_t *v = json_object_get(c->args, args[i].name);

		if (args[i].given)
			*args[i].given = v != NULL;
		if (!v && args[i].required)
			return control_fail(c, GH_INVALID, "argument \"%s\" is missing", args[i].name);
		if (v && !take(c, &args[i], v))
			return control_fail(c, GH_INVALID, "argument \"%s\" must be %s", args[i].name,
					    type_name(args[i].type));
	}
	return GH_OK;
}

/* ---- look-ups ---- */

struct meta_call control_meta(const struct control_call *c)
{
	return (struct meta_call){ .arena = c->arena, .op = "control" };
}

enum gh_status control_tenant(struct control_call *c, const char *name, struct tenant **ret)
{
	enum gh_status st = tenant_name_ok(name) ? tenant_get(c->core, name, ret) : GH_NOTFOUND;

	if (st == GH_NOTFOUND)
		return control_fail(c, st, "there is no tenant \"%.64s\"", name);
	return st;
}

enum gh_status control_name(struct control_call *c, const char *noun, const char *name, struct gh_component *ret)
{
	enum gh_status st = people_name_check(c->arena, name, strlen(name), ret);

	if (st == GH_TOOLONG)
		return control_fail(c, st, "a %s's name has at most %d bytes", noun, LOGIN_NAME_MAX);
	if (st == GH_BADNAME)
		return control_fail(c, st,
				    "\"%.64s\" cannot be a %s's name: no / \\ $ : or controls, no space at an end, "
				    "not \".\" or \"..\"",
				    name, noun);
	return st;
}

/* One page; *after: where the next begins. */
static enum gh_status tenants_page(struct control_call *c, struct gh_arena *a, control_tenant_fn *fn, void *arg,
				   uint64_t *after, unsigned *ret_count)
{
	struct meta_call call = control_meta(c);
	struct meta_tenant *rows;
	enum gh_status st;

	call.arena = a;
	st = meta_tenants(c->core->meta, &call, *after, TENANTS_PAGE, &rows, ret_count);
	for (unsigned i = 0; st == GH_OK && i < *ret_count; i++) {
		*after = rows[i].id;
		st = fn(c, &rows[i], arg);
	}
	return st;
}

enum gh_status control_tenants_each(struct control_call *c, control_tenant_fn *fn, void *arg)
{
	struct gh_arena *a = gh_arena_new(TENANTS_PAGE_BYTES);
	enum gh_status st = a ? GH_OK : GH_NOMEM;
	unsigned count = TENANTS_PAGE;

	for (uint64_t after = 0; st == GH_OK && count == TENANTS_PAGE;) {
		st = tenants_page(c, a, fn, arg, &after, &count);
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
	return st;
}

enum gh_status control_user(struct control_call *c, struct tenant *t, const char *name, struct meta_user **ret)
{
	struct meta_call call = control_meta(c);
	struct gh_component n;
	enum gh_status st = control_name(c, "user", name, &n);

	if (st != GH_OK)
		return st;
	st = meta_user_by_name(c->core->meta, &call, t->id, n.key, ret);
	if (st == GH_NOTFOUND)
		return control_fail(c, st, "there is no user \"%s\" in tenant %s", n.name, t->name);
	return st;
}

enum gh_status control_group(struct control_call *c, struct tenant *t, const char *name, struct meta_group **ret)
{
	struct meta_call call = control_meta(c);
	struct meta_group *groups;
	struct gh_component n, g;
	unsigned count;
	enum gh_status st = control_name(c, "group", name, &n);

	if (st == GH_OK)
		st = meta_groups(c->core->meta, &call, t->id, &groups, &count);
	if (st != GH_OK)
		return st;
	/* Groups have no key of their own in the store; they are few. */
	for (unsigned i = 0; i < count; i++) {
		st = people_name_check(c->arena, groups[i].name, strlen(groups[i].name), &g);
		if (st == GH_OK && !strcmp(g.key, n.key)) {
			*ret = &groups[i];
			return GH_OK;
		}
	}
	return control_fail(c, GH_NOTFOUND, "there is no group \"%s\" in tenant %s", n.name, t->name);
}

static int by_id(const void *a, const void *b)
{
	const struct control_named *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

enum gh_status control_users_named(struct control_call *c, struct tenant *t, struct control_names *ret)
{
	struct meta_call call = control_meta(c);
	struct meta_rights *rights;
	enum gh_status st = meta_rights_load(c->core->meta, &call, t->id, &rights);

	if (st != GH_OK)
		return st;
	ret->count = rights->user_count;
	ret->of = gh_alloc_array(c->arena, rights->user_count + 1u, sizeof(*ret->of));
	if (!ret->of)
		return GH_NOMEM;
	for (unsigned i = 0; i < rights->user_count; i++)
		ret->of[i] = (struct control_named){ rights->users[i].id, rights->users[i].name };
	qsort(ret->of, ret->count, sizeof(*ret->of), by_id);
	return GH_OK;
}

enum gh_status control_groups_named(struct control_call *c, struct tenant *t, struct control_names *ret)
{
	struct meta_call call = control_meta(c);
	struct meta_group *groups;
	unsigned count;
	enum gh_status st = meta_groups(c->core->meta, &call, t->id, &groups, &count);

	if (st != GH_OK)
		return st;
	ret->count = count;
	ret->of = gh_alloc_array(c->arena, count + 1u, sizeof(*ret->of));
	if (!ret->of)
		return GH_NOMEM;
	for (unsigned i = 0; i < count; i++)
		ret->of[i] = (struct control_named){ groups[i].id, groups[i].name };
	qsort(ret->of, ret->count, sizeof(*ret->of), by_id);
	return GH_OK;
}

const char *control_named(const struct control_names *n, uint64_t id)
{
	const struct control_named key = { .id = id };
	const struct control_named *found = n->count ? bsearch(&key, n->of, n->count, sizeof(key), by_id) : NULL;

	return found ? found->name : "?";
}

/* ---- changes ---- */

enum gh_status control_commit(struct control_call *c, struct tenant *t, const char *path, const char *detail,
			      uint64_t epoch, struct meta_step *steps, unsigned count)
{
	const struct house_change h = {
		.actor = c->actor,
		.what = c->op,
		.path = path,
		.detail = detail,
		.rights_epoch = epoch,
		.steps = steps,
		.count = count,
	};

	return house_change(c->core, c->arena, t, &h);
}

enum gh_status control_epoch(struct control_call *c, struct tenant *t, uint64_t *ret)
{
	struct meta_call call = control_meta(c);
	struct meta_tenant *row;
	enum gh_status st = meta_tenant_by_name(c->core->meta, &call, t->name, &row);

	if (st == GH_OK)
		*ret = row->rights_epoch;
	return st;
}

enum gh_status control_retry(struct control_call *c, control_once_fn *once, void *arg)
{
	enum gh_status st = GH_STALE;

	pthread_mutex_lock(&c->core->change_lock);
	for (unsigned i = 0; i < RETRIES && st == GH_STALE; i++)
		st = once(c, arg);
	pthread_mutex_unlock(&c->core->change_lock);
	return st == GH_STALE ? GH_CONFLICT : st;
}

/* ---- JSON ---- */

json_t *control_id(uint64_t id)
{
	char text[24];

	snprintf(text, sizeof(text), "%ju", (uintmax_t)id);
	return json_string(text);
}

json_t *control_time(int64_t us)
{
	time_t s = (time_t)(us / GH_S_US);
	struct tm tm;
	char text[32];

	if (!us || !gmtime_r(&s, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_null();
	return json_string(text);
}

json_t *control_items(struct control_call *c)
{
	json_t *items = json_array();

	c->result = json_pack("{s:o}", "items", items);
	return c->result ? items : NULL;
}

enum gh_status control_item(json_t *items, json_t *item)
{
	/* takes the reference even when it fails; refuses NULL */
	return json_array_append_new(items, item) ? GH_NOMEM : GH_OK;
}

enum gh_status control_result(struct control_call *c, json_t *o)
{
	c->result = o;
	return o ? GH_OK : GH_NOMEM;
}
