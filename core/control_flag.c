/* Feature flags: what there are, what they are here, set, clear. See control.h. */
#include "core/control_switch.h"

#include <stdio.h>
#include <string.h>

static const struct flag_spec *flag_find(const char *key, unsigned *ret_index)
{
	for (unsigned i = 0; i < VFS_FLAG_COUNT; i++) {
		if (!strcmp(switch_flags[i].key, key)) {
			*ret_index = i;
			return &switch_flags[i];
		}
	}
	return NULL;
}

static enum gh_status flag_get(struct control_call *c, const char *key, const struct flag_spec **ret)
{
	unsigned index;

	*ret = flag_find(key, &index);
	if (!*ret)
		return control_fail(c, GH_NOTFOUND, "there is no flag \"%.64s\"; flag.list has them all", key);
	return GH_OK;
}

static json_t *value_json(const struct flag_spec *f, int64_t v)
{
	switch (f->type) {
	case FLAG_BOOL:
		return json_boolean(v != 0);
	case FLAG_NUMBER:
		return json_integer(v);
	}
	return NULL;
}

/* The best rule that names nobody and takes everybody, or the fallback: what most get. */
static int64_t common_value(const struct switch_rules *all, const struct flag_spec *f, unsigned *ret_rules)
{
	int64_t v = f->fallback;

	*ret_rules = 0;
	for (unsigned i = 0; i < all->count; i++) {
		const struct switch_rule *r = &all->of[i].rule;

		if (!r->flag || strcmp(r->flag, f->key) || r->expires_ms <= switch_now_ms())
			continue;
		++*ret_rules;
		if (r->everywhere && r->percent == 100)
			v = r->value;
	}
	return v;
}

static json_t *flag_json(const struct switch_rules *all, const struct flag_spec *f)
{
	unsigned rules;
	int64_t v = common_value(all, f, &rules);

	return json_pack("{s:s, s:s, s:o, s:o, s:i, s:s}", "key", f->key, "type", f->type == FLAG_BOOL ? "bool" : "number",
			 "value", value_json(f, v), "fallback", value_json(f, f->fallback), "rules", (int)rules, "help",
			 f->help);
}

enum gh_status control_flag_list(struct control_call *c)
{
	struct switch_rules *all;
	json_t *items;
	enum gh_status st = control_args(c, NULL, 0);

	if (st != GH_OK)
		return st;
	items = control_items(c);
	if (!items)
		return GH_NOMEM;
	all = switch_rules_ref(c->core->switches);
	for (unsigned i = 0; st == GH_OK && i < VFS_FLAG_COUNT; i++)
		st = control_item(items, flag_json(all, &switch_flags[i]));
	switch_rules_unref(&all);
	return st;
}

static enum gh_status rules_add(struct control_call *c, const struct switch_rules *all, const struct flag_spec *f,
				json_t *list)
{
	for (unsigned i = 0; i < all->count; i++) {
		const struct switch_kept *k = &all->of[i];
		json_t *o;

		if (!k->rule.flag || strcmp(k->rule.flag, f->key) || k->rule.expires_ms <= switch_now_ms())
			continue;
		o = control_rule_json(c, k);
		if (o) {
			json_object_set_new(o, "value", value_json(f, k->rule.value));
			json_object_set_new(o, "percent", json_integer(k->rule.percent));
		}
		if (control_item(list, o) != GH_OK)
			return GH_NOMEM;
	}
	return GH_OK;
}

enum gh_status control_flag_describe(struct control_call *c)
{
	const char *key;
	const struct control_arg args[] = { { "key", CONTROL_TEXT, true, &key, NULL } };
	const struct flag_spec *f;
	struct switch_rules *all;
	json_t *o, *list;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = flag_get(c, key, &f);
	if (st != GH_OK)
		return st;
	all = switch_rules_ref(c->core->switches);
	o = flag_json(all, f);
	list = json_array();
	st = o && list ? rules_add(c, all, f, list) : GH_NOMEM;
	switch_rules_unref(&all);
	if (o) {
		json_object_set_new(o, "min", value_json(f, f->min));
		json_object_set_new(o, "max", value_json(f, f->max));
		json_object_set_new(o, "rules", list);
	} else {
		json_decref(list);
	}
	c->result = o;
	return st;
}

/* Typed by the JSON, or by its text from a command line. */
static enum gh_status value_take(struct control_call *c, const struct flag_spec *f, const json_t *v, int64_t *ret)
{
	const char *text = json_is_boolean(v) ? (json_is_true(v) ? "true" : "false") : json_string_value(v), *wrong;
	char number[24];

	if (json_is_integer(v)) {
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		text = number;
	}
	/* 1 for a switch is a guess at what was meant, as is "on" for a number. */
	wrong = !text || (json_is_integer(v) && f->type == FLAG_BOOL) ? "it is of the wrong type" :
								       flag_value_wrong(f, text, ret);
	if (!wrong)
		return GH_OK;
	if (f->type == FLAG_BOOL)
		return control_fail(c, GH_INVALID, "%s: %s (true or false)", f->key, wrong);
	return control_fail(c, GH_INVALID, "%s: %s (%lld to %lld)", f->key, wrong, (long long)f->min, (long long)f->max);
}

static enum gh_status percent_take(struct control_call *c, int64_t percent, struct switch_kept *k)
{
	if (percent < 1 || percent > 100)
		return control_fail(c, GH_INVALID, "the percentage is out of range: 1 to 100");
	k->rule.percent = (unsigned)percent;
	return GH_OK;
}

/* A flag without a scope is one for all: unlike a kill switch it harms nobody by that. */
static void scope_default(struct switch_kept *k, const struct flag_spec *f)
{
	struct switch_rule *r = &k->rule;

	r->flag = f->key;
	r->everywhere = !(r->protocols || r->classes || r->tenant || r->host || r->pod || r->dc);
}

static enum gh_status set_now(struct control_call *c, const struct flag_spec *f, struct switch_kept *k)
{
	char detail[64];
	enum gh_status st;

	snprintf(detail, sizeof(detail), "%lld for %u%%", (long long)k->rule.value, k->rule.percent);
	st = control_rule_commit(c, k, detail);
	if (st != GH_OK)
		return st;
	return control_result(c, json_pack("{s:o, s:s, s:o, s:i, s:s}", "id", control_id(k->rule.id), "key", f->key,
					   "value", value_json(f, k->rule.value), "percent", (int)k->rule.percent, "scope",
					   switch_doc_scope(c->arena, k)));
}

enum gh_status control_flag_set(struct control_call *c)
{
	struct control_rule from = { 0 };
	const struct flag_spec *f = NULL;
	struct switch_kept k;
	const char *key;
	const json_t *value;
	int64_t percent = 100;
	const struct control_arg args[] = {
		{ "key", CONTROL_TEXT, true, &key, NULL },
		{ "value", CONTROL_ANY, true, &value, NULL },
		{ "percent", CONTROL_NUMBER, false, &percent, NULL },
		CONTROL_SCOPE_ARGS(from),
		CONTROL_END_ARGS(from),
		{ "why", CONTROL_TEXT, false, &from.why, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = flag_get(c, key, &f);
	if (st == GH_OK)
		st = control_rule_scope(c, &from, &k);
	if (st != GH_OK)
		return st;
	scope_default(&k, f);
	st = value_take(c, f, value, &k.rule.value);
	if (st == GH_OK)
		st = percent_take(c, percent, &k);
	if (st == GH_OK)
		st = control_rule_check(c, &from, &k);
	return st == GH_OK ? set_now(c, f, &k) : st;
}

static bool has_id(const struct switch_kept *k, const void *arg)
{
	return k->rule.flag && k->rule.id == *(const uint64_t *)arg;
}

static bool has_scope(const struct switch_kept *k, const void *arg)
{
	return switch_rule_same_scope(&k->rule, &((const struct switch_kept *)arg)->rule);
}

/* By its id, or by the flag and exactly the scope that it was set for. */
enum gh_status control_flag_clear(struct control_call *c)
{
	struct control_rule from = { 0 };
	const struct flag_spec *f = NULL;
	struct switch_kept k;
	const char *key = NULL;
	uint64_t id = 0;
	bool by_id;
	const struct control_arg args[] = {
		{ "id", CONTROL_ID, false, &id, &by_id },
		{ "key", CONTROL_TEXT, false, &key, NULL },
		CONTROL_SCOPE_ARGS(from),
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st != GH_OK)
		return st;
	if (by_id ? json_object_size(c->args) > 1 : !key)
		return control_fail(c, GH_INVALID, "a rule is named by its id, or by the flag's key and its scope");
	if (by_id)
		return control_rule_remove(c, has_id, &id, "rule of a flag");
	st = flag_get(c, key, &f);
	if (st == GH_OK)
		st = control_rule_scope(c, &from, &k);
	if (st != GH_OK)
		return st;
	scope_default(&k, f);
	return control_rule_remove(c, has_scope, &k, "rule of that flag with exactly this scope");
}
