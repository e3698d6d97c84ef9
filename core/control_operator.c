/* Operators: add, list, set, remove, one-time codes. See control.h. Their tokens: control_operator_token.c.
 *
 * Each change copies the row, changes the copy and puts it back against the rev that it had (core/operators_work.h).
 */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/control_work.h"
#include "core/operators_work.h"

/* ---- what they share ---- */

static enum gh_status role_take(struct control_call *c, const char *word, enum control_role *ret)
{
	if (!control_role_parse(word, ret))
		return control_fail(c, GH_INVALID, "the role \"%.32s\" is unknown: viewer, operator, owner", word);
	return GH_OK;
}

static enum gh_status row_find(struct control_call *c, const char *name, struct operator_row *ret)
{
	struct gh_component n;
	enum gh_status st = control_name(c, "operator", name, &n);

	if (st == GH_OK)
		st = operators_find(c->core, n.key, ret);
	if (st == GH_NOTFOUND)
		return control_fail(c, st, "there is no operator \"%.64s\"", name);
	return st;
}

/* Somebody must be left who can let others in. */
static enum gh_status owner_left(struct control_call *c, uint64_t without)
{
	struct operator_table t;
	enum gh_status st = operators_copy(c->core, &t);
	unsigned others = 0;
	bool concerned = false;

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < t.count; i++) {
		const bool owns = t.rows[i].role == CONTROL_OWNER && !t.rows[i].disabled;

		concerned |= owns && t.rows[i].id == without;
		others += owns && t.rows[i].id != without;
	}
	operator_table_free(&t);
	if (concerned && !others)
		return control_fail(c, GH_PRECONDITION,
				    "this is the last owner who can sign in; make another one first");
	return GH_OK;
}

static enum gh_status row_put(struct control_call *c, const struct operator_row *row, const char *detail)
{
	const struct meta_setting s = {
		.kind = OPERATOR_KIND, .id = row->id, .rev = row->rev, .doc = operator_doc_write(c->arena, row)
	};
	struct meta_step put = { .kind = META_SETTING_PUT, .setting = &s };
	const char *what = gh_printf(c->arena, "operator:%s", row->name);
	enum gh_status st = s.doc && what ? control_commit(c, NULL, what, detail, UINT64_MAX, &put, 1) : GH_NOMEM;

	if (st == GH_OK || st == GH_STALE) {
		const enum gh_status again = operators_load(c->core);

		return again != GH_OK ? again : st;
	}
	return st;
}

/* ---- add ---- */

static enum gh_status add_once(struct control_call *c, void *arg)
{
	const struct operator_row *row = arg;
	struct operator_table t;
	enum gh_status st = operators_copy(c->core, &t);

	if (st == GH_OK && t.count >= OPERATORS_MAX)
		st = control_fail(c, GH_LIMIT, "there are %u operators already", t.count);
	for (unsigned i = 0; st == GH_OK && i < t.count; i++) {
		if (!strcmp(t.rows[i].key, row->key))
			st = control_fail(c, GH_EXISTS, "operator %s exists already", t.rows[i].name);
	}
	operator_table_free(&t);
	return st == GH_OK ? row_put(c, row, control_role_name(row->role)) : st;
}

static enum gh_status row_make(struct control_call *c, const char *name, const char *role, const char *password,
			       struct operator_row *row)
{
	struct gh_component n;
	enum gh_status st = control_name(c, "operator", name, &n);

	*row = (struct operator_row){ .id = gh_id_new(), .made_us = gh_real_us() };
	if (st == GH_OK)
		st = role_take(c, role, &row->role);
	if (st == GH_OK)
		st = control_password(c, password);
	if (st == GH_OK)
		st = pw_hash(password, row->hash);
	if (st != GH_OK)
		return st;
	snprintf(row->name, sizeof(row->name), "%s", n.name);
	snprintf(row->key, sizeof(row->key), "%s", n.key);
	return GH_OK;
}

enum gh_status control_operator_add(struct control_call *c)
{
	const char *name, *role, *password = NULL;
	const struct control_arg args[] = {
		{ "name", CONTROL_TEXT, true, &name, NULL },
		{ "role", CONTROL_TEXT, true, &role, NULL },
		{ "password", CONTROL_TEXT, false, &password, NULL },
	};
	char made[PW_GENERATED_MAX] = "";
	struct operator_row row;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st != GH_OK)
		return st;
	if (!password)
		pw_generate(made);
	st = row_make(c, name, role, password ? password : made, &row);
	if (st == GH_OK)
		st = control_retry(c, add_once, &row);
	if (st == GH_OK)
		st = control_result(c, json_pack("{s:s, s:s, s:o}", "name", row.name, "role",
						 control_role_name(row.role), "id", control_id(row.id)));
	if (st == GH_OK && !password && json_object_set_new(c->result, "password", json_string(made)))
		st = GH_NOMEM;
	explicit_bzero(made, sizeof(made));
	explicit_bzero(&row, sizeof(row));
	return st;
}

/* ---- list ---- */

enum gh_status control_operator_list(struct control_call *c)
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
	for (unsigned i = 0; st == GH_OK && i < t.count; i++) {
		const struct operator_row *r = &t.rows[i];

		st = control_item(items, json_pack("{s:s, s:o, s:s, s:b, s:b, s:o, s:o}", "name", r->name, "id",
						   control_id(r->id), "role", control_role_name(r->role), "disabled",
						   r->disabled, "totp", r->totp, "made", control_time(r->made_us),
						   "seen", control_time(r->seen_us)));
	}
	operator_table_free(&t);
	return st;
}

/* ---- set, codes ---- */

struct change {
	const char *name, *role, *password;
	bool disabled, disabled_given;
	char hash[PW_HASH_MAX]; /* of password */
	bool totp, totp_given;
	unsigned char secret[TOTP_SECRET_BYTES];
	const char *detail;
};

static enum gh_status change_apply(struct control_call *c, const struct change *k, struct operator_row *row)
{
	if (k->role) {
		enum gh_status st = role_take(c, k->role, &row->role);

		if (st != GH_OK)
			return st;
	}
	if (k->password)
		memcpy(row->hash, k->hash, sizeof(row->hash));
	if (k->disabled_given)
		row->disabled = k->disabled;
	if (k->totp_given) {
		row->totp = k->totp;
		row->totp_step = 0;
		memcpy(row->secret, k->secret, sizeof(row->secret));
	}
	row->gen++;
	return GH_OK;
}

static enum gh_status change_once(struct control_call *c, void *arg)
{
	const struct change *k = arg;
	struct operator_row row;
	enum gh_status st = row_find(c, k->name, &row);

	if (st == GH_OK)
		st = change_apply(c, k, &row);
	if (st == GH_OK && (row.disabled || row.role != CONTROL_OWNER))
		st = owner_left(c, row.id);
	if (st == GH_OK)
		st = row_put(c, &row, k->detail);
	explicit_bzero(&row, sizeof(row));
	return st;
}

/* What changed, for the event log; never a secret. */
static const char *detail_of(struct control_call *c, const struct change *k)
{
	const char *text = gh_printf(c->arena, "%s%s%s%s", k->role ? k->role : "", k->password ? " password" : "",
				     k->disabled_given ? k->disabled ? " disabled" : " enabled" : "",
				     k->totp_given ? k->totp ? "codes on" : "codes off" : "");

	return text ? text + (*text == ' ') : "";
}

enum gh_status control_operator_set(struct control_call *c)
{
	struct change k = { 0 };
	const struct control_arg args[] = {
		{ "name", CONTROL_TEXT, true, &k.name, NULL },
		{ "role", CONTROL_TEXT, false, &k.role, NULL },
		{ "password", CONTROL_TEXT, false, &k.password, NULL },
		{ "disabled", CONTROL_BOOL, false, &k.disabled, &k.disabled_given },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st != GH_OK)
		return st;
	if (!k.role && !k.password && !k.disabled_given)
		return control_fail(c, GH_INVALID, "nothing to change: give role, password or disabled");
	if (k.password)
		st = control_password(c, k.password);
	if (st == GH_OK && k.password)
		st = pw_hash(k.password, k.hash);
	k.detail = detail_of(c, &k);
	if (st == GH_OK)
		st = control_retry(c, change_once, &k);
	explicit_bzero(&k, sizeof(k));
	return st;
}

/* otpauth://totp/Gatehouse:ada?secret=...&issuer=Gatehouse, what authenticators read. */
static json_t *codes_json(const char *name, const unsigned char *secret)
{
	char text[TOTP_TEXT_MAX];
	struct gh_buf uri;
	json_t *o;

	totp_secret_text(secret, text);
	gh_buf_init(&uri, 2048);
	gh_buf_str(&uri, "otpauth://totp/Gatehouse:");
	gh_buf_href(&uri, name, strlen(name));
	gh_buf_printf(&uri, "?secret=%s&issuer=Gatehouse", text);
	o = uri.failed ? NULL : json_pack("{s:s, s:s}", "secret", text, "uri", uri.data);
	gh_buf_fini(&uri);
	explicit_bzero(text, sizeof(text));
	return o;
}

enum gh_status control_operator_totp(struct control_call *c)
{
	struct change k = { .totp_given = true };
	const struct control_arg args[] = {
		{ "name", CONTROL_TEXT, true, &k.name, NULL },
		{ "on", CONTROL_BOOL, true, &k.totp, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st != GH_OK)
		return st;
	if (k.totp)
		totp_secret_make(k.secret);
	k.detail = detail_of(c, &k);
	st = control_retry(c, change_once, &k);
	if (st == GH_OK && k.totp)
		st = control_result(c, codes_json(k.name, k.secret));
	explicit_bzero(&k, sizeof(k));
	return st;
}

/* ---- remove ---- */

static enum gh_status remove_once(struct control_call *c, void *arg)
{
	struct operator_row row;
	enum gh_status st = row_find(c, arg, &row), again;

	if (st == GH_OK)
		st = owner_left(c, row.id);
	if (st != GH_OK)
		return st;
	const struct meta_setting s = { .kind = OPERATOR_KIND, .id = row.id, .rev = row.rev };
	struct meta_step away = { .kind = META_SETTING_DELETE, .setting = &s };
	const char *what = gh_printf(c->arena, "operator:%s", row.name);

	st = what ? control_commit(c, NULL, what, control_role_name(row.role), UINT64_MAX, &away, 1) : GH_NOMEM;
	explicit_bzero(&row, sizeof(row));
	if (st != GH_OK && st != GH_STALE)
		return st;
	again = operators_load(c->core);
	return again != GH_OK ? again : st;
}

enum gh_status control_operator_remove(struct control_call *c)
{
	const char *name;
	const struct control_arg args[] = { { "name", CONTROL_TEXT, true, &name, NULL } };
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	return st == GH_OK ? control_retry(c, remove_once, (void *)name) : st;
}
