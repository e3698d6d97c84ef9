/* Tokens with which programs use the admin API: made (and shown once), listed, ended. See control.h. A token has a role
 * of its own and belongs to the house, not to the operator who made it. */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/control_work.h"
#include "core/operators_work.h"

#define DAYS_MAX 36500

static enum gh_status commit(struct control_call *c, struct meta_step *step, const char *name, const char *detail)
{
	const char *what = gh_printf(c->arena, "token:%s", name);
	enum gh_status st = what ? control_commit(c, NULL, what, detail, UINT64_MAX, step, 1) : GH_NOMEM, again;

	if (st != GH_OK && st != GH_STALE)
		return st;
	again = operators_load(c->core);
	return again != GH_OK ? again : st;
}

/* ---- add ---- */

static enum gh_status add_once(struct control_call *c, void *arg)
{
	const struct operator_token_row *row = arg;
	const struct meta_setting s = { .kind = OPERATOR_TOKEN_KIND,
					.id = row->id,
					.doc = operator_token_doc_write(c->arena, row) };
	struct meta_step put = { .kind = META_SETTING_PUT, .setting = &s };
	struct operator_table t;
	enum gh_status st = s.doc ? operators_copy(c->core, &t) : GH_NOMEM;

	if (st != GH_OK)
		return st;
	if (t.token_count >= OPERATORS_MAX)
		st = control_fail(c, GH_LIMIT, "there are %u tokens already; revoke one first", t.token_count);
	for (unsigned i = 0; st == GH_OK && i < t.token_count; i++) {
		if (!strcmp(t.tokens[i].name, row->name))
			st = control_fail(c, GH_EXISTS, "there is a token \"%s\" already", row->name);
	}
	operator_table_free(&t);
	return st == GH_OK ? commit(c, &put, row->name, control_role_name(row->role)) : st;
}

enum gh_status control_operator_token_add(struct control_call *c)
{
	struct operator_token_row row = { .id = gh_id_new(), .made_us = gh_real_us() };
	const char *name, *role;
	int64_t days = 0;
	bool days_given;
	const struct control_arg args[] = {
		{ "name", CONTROL_TEXT, true, &name, NULL },
		{ "role", CONTROL_TEXT, true, &role, NULL },
		{ "days", CONTROL_NUMBER, false, &days, &days_given },
	};
	char secret[PW_GENERATED_MAX];
	struct gh_component n;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_name(c, "token", name, &n);
	if (st == GH_OK && !control_role_parse(role, &row.role))
		st = control_fail(c, GH_INVALID, "the role \"%.32s\" is unknown: viewer, operator, owner", role);
	if (st == GH_OK && days_given && (days < 1 || days > DAYS_MAX))
		st = control_fail(c, GH_INVALID, "argument \"days\": 1 to %d", DAYS_MAX);
	if (st != GH_OK)
		return st;
	snprintf(row.name, sizeof(row.name), "%s", n.name);
	snprintf(row.by, sizeof(row.by), "%s", c->actor);
	row.expires_us = days ? row.made_us + days * 86400 * GH_S_US : 0;
	pw_operator_token_generate(row.id, secret);
	pw_digest(secret, row.digest);
	st = control_retry(c, add_once, &row);
	if (st == GH_OK)
		st = control_result(c, json_pack("{s:s, s:o, s:s, s:s, s:o}", "token", secret, "id", control_id(row.id),
						 "name", row.name, "role", control_role_name(row.role), "expires",
						 control_time(row.expires_us)));
	explicit_bzero(secret, sizeof(secret));
	return st;
}

/* ---- list, revoke ---- */

enum gh_status control_operator_token_list(struct control_call *c)
{
	struct operator_table t;
	json_t *items;
	enum gh_status st = control_args(c, NULL, 0);

	if (st == GH_OK)
		st = operators_copy(c->core, &t);
	if (st != GH_OK)
		return st;
	items = control_items(c);
	if (!items)
		st = GH_NOMEM;
	for (unsigned i = 0; st == GH_OK && i < t.token_count; i++) {
		const struct operator_token_row *r = &t.tokens[i];

		st = control_item(items,
				  json_pack("{s:s, s:o, s:s, s:s, s:o, s:o}", "name", r->name, "id", control_id(r->id),
					    "role", control_role_name(r->role), "by", r->by, "made",
					    control_time(r->made_us), "expires", control_time(r->expires_us)));
	}
	operator_table_free(&t);
	return st;
}

static enum gh_status revoke_once(struct control_call *c, void *arg)
{
	const uint64_t id = *(const uint64_t *)arg;
	struct meta_setting s = { .kind = OPERATOR_TOKEN_KIND, .id = id };
	struct meta_step away = { .kind = META_SETTING_DELETE, .setting = &s };
	char name[LOGIN_NAME_MAX + 1] = "";
	struct operator_table t;
	enum gh_status st = operators_copy(c->core, &t);

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < t.token_count; i++) {
		if (t.tokens[i].id == id) {
			s.rev = t.tokens[i].rev;
			memcpy(name, t.tokens[i].name, sizeof(name));
		}
	}
	operator_table_free(&t);
	return *name ? commit(c, &away, name, "") : control_fail(c, GH_NOTFOUND, "there is no token with that id");
}

enum gh_status control_operator_token_revoke(struct control_call *c)
{
	uint64_t id;
	const struct control_arg args[] = { { "id", CONTROL_ID, true, &id, NULL } };
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	return st == GH_OK ? control_retry(c, revoke_once, &id) : st;
}
