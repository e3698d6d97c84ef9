/* Users and their app passwords. See control.h. A change of a user rewrites its row, so each rests on the rights epoch
 * that it read: two administrators at once cannot undo each other, nor bring back a user that was removed. */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/control_work.h"
#include "core/people/loginname.h"
#include "core/people/password.h"

#define PAGE 500
#define TOKENS_MAX 64 /* per user: each login with one reads them all */
#define DAYS_MAX 36500

/* "user:ann", for the event log. */
static const char *user_text(struct control_call *c, const char *name)
{
	const char *text = gh_printf(c->arena, "user:%s", name);

	return text ? text : "user:?";
}

/* ---- users ---- */

enum gh_status control_password(struct control_call *c, const char *password)
{
	uint64_t token;
	size_t len = strlen(password);

	if (len < 1 || len > PW_MAX)
		return control_fail(c, GH_INVALID, "argument \"password\": a password has 1 to %d bytes", PW_MAX);
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)password[i];

		/* C1 controls are c2 80 to c2 9f in UTF-8 */
		if (ch < 0x20 || ch == 0x7f || (ch == 0xc2 && (unsigned char)password[i + 1] < 0xa0))
			return control_fail(c, GH_INVALID, "argument \"password\": controls are not allowed");
	}
	if (pw_token_parse(password, &token))
		return control_fail(c, GH_INVALID, "argument \"password\": it has the shape of an app password");
	return GH_OK;
}

enum gh_status control_user_add(struct control_call *c)
{
	const char *tenant, *name, *password;
	bool owner = false;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "user", CONTROL_TEXT, true, &name, NULL },
		{ "password", CONTROL_TEXT, true, &password, NULL },
		{ "owner", CONTROL_BOOL, false, &owner, NULL },
	};
	struct meta_call call = control_meta(c);
	struct gh_component n;
	struct tenant *t;
	struct meta_user *there;
	char hash[PW_HASH_MAX];
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &t);
	if (st == GH_OK)
		st = control_name(c, "user", name, &n);
	if (st == GH_OK)
		st = control_password(c, password);
	if (st != GH_OK)
		return st;
	st = meta_user_by_name(c->core->meta, &call, t->id, n.key, &there);
	if (st == GH_OK)
		return control_fail(c, GH_EXISTS, "user %s exists already in tenant %s", there->name, t->name);
	if (st == GH_NOTFOUND)
		st = pw_hash(password, hash);
	if (st != GH_OK)
		return st;
	const struct meta_user user = {
		.id = gh_id_new(),
		.name = n.name,
		.key = n.key,
		.owner = owner,
		.password_hash = hash,
	};
	struct meta_step steps[] = { { .kind = META_USER_PUT, .user = &user }, { .kind = META_RIGHTS_EPOCH } };

	st = control_commit(c, t, user_text(c, n.name), owner ? "owner" : "", UINT64_MAX, steps, 2);
	if (st == GH_EXISTS)
		return control_fail(c, st, "user %s exists already in tenant %s", n.name, t->name);
	if (st != GH_OK)
		return st;
	return control_result(
		c, json_pack("{s:s, s:s, s:o}", "tenant", t->name, "user", n.name, "id", control_id(user.id)));
}

static json_t *user_json(const struct meta_user *u, const struct control_names *groups)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < u->group_count; i++)
		json_array_append_new(list, json_string(control_named(groups, u->groups[i])));
	return json_pack("{s:s, s:o, s:b, s:b, s:b, s:o}", "user", u->name, "id", control_id(u->id), "owner", u->owner,
			 "disabled", u->disabled, "password", u->password_hash && *u->password_hash, "groups", list);
}

enum gh_status control_user_list(struct control_call *c)
{
	const char *tenant, *after = "";
	const struct control_arg args[] = { { "tenant", CONTROL_TEXT, true, &tenant, NULL } };
	struct meta_call call = control_meta(c);
	struct control_names groups;
	struct tenant *t;
	unsigned count = PAGE;
	json_t *items;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &t);
	if (st == GH_OK)
		st = control_groups_named(c, t, &groups);
	if (st != GH_OK)
		return st;
	items = control_items(c);
	if (!items)
		return GH_NOMEM;
	while (count == PAGE) {
		struct meta_user *users;

		st = meta_users(c->core->meta, &call, t->id, after, PAGE, &users, &count);
		for (unsigned i = 0; st == GH_OK && i < count; i++) {
			after = users[i].key;
			st = control_item(items, user_json(&users[i], &groups));
		}
		if (st != GH_OK)
			return st;
	}
	return GH_OK;
}

/* What is to become of a user; NULL or absent = stays. */
struct user_change {
	struct tenant *t;
	const char *name, *hash, *detail;
	uint64_t id; /* of the user, once it was changed */
	bool owner, owner_given, disabled, disabled_given, remove;
};

static enum gh_status change_once(struct control_call *c, void *arg)
{
	struct user_change *k = arg;
	struct meta_user *u;
	uint64_t epoch;
	enum gh_status st = control_epoch(c, k->t, &epoch);

	if (st == GH_OK)
		st = control_user(c, k->t, k->name, &u);
	if (st != GH_OK)
		return st;
	if (k->hash)
		u->password_hash = k->hash;
	if (k->owner_given)
		u->owner = k->owner;
	if (k->disabled_given)
		u->disabled = k->disabled;
	k->id = u->id;
	struct meta_step steps[] = {
		{ .kind = k->remove ? META_USER_DELETE : META_USER_PUT, .user = u },
		{ .kind = META_RIGHTS_EPOCH },
	};

	return control_commit(c, k->t, user_text(c, u->name), k->detail, epoch, steps, 2);
}

/* Changes it, and ends the sessions that it may not have any more. */
static enum gh_status change(struct control_call *c, struct user_change *k)
{
	const struct people_proof password = people_password_proof(k->hash ? k->hash : "");
	struct control_end end = { .tenant = k->t, .status = GH_UNAUTH, .message = CONTROL_ACCOUNT_CHANGED };
	enum gh_status st = control_retry(c, change_once, k);

	end.user = k->id;
	if (k->hash)
		end.password = &password;
	if (st == GH_OK && (k->hash || k->remove || (k->disabled_given && k->disabled)))
		control_sessions_end(c, &end);
	return st;
}

enum gh_status control_user_remove(struct control_call *c)
{
	struct user_change k = { .remove = true };
	const char *tenant;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "user", CONTROL_TEXT, true, &k.name, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &k.t);
	return st == GH_OK ? change(c, &k) : st;
}

enum gh_status control_user_passwd(struct control_call *c)
{
	struct user_change k = { .t = NULL };
	const char *tenant, *password;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "user", CONTROL_TEXT, true, &k.name, NULL },
		{ "password", CONTROL_TEXT, true, &password, NULL },
	};
	struct meta_user *u;
	char hash[PW_HASH_MAX];
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &k.t);
	if (st == GH_OK)
		st = control_user(c, k.t, k.name, &u);
	if (st == GH_OK)
		st = control_password(c, password);
	if (st == GH_OK)
		st = pw_hash(password, hash);
	k.hash = hash;
	return st == GH_OK ? change(c, &k) : st;
}

enum gh_status control_user_set(struct control_call *c)
{
	struct user_change k = { .t = NULL };
	const char *tenant;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "user", CONTROL_TEXT, true, &k.name, NULL },
		{ "owner", CONTROL_BOOL, false, &k.owner, &k.owner_given },
		{ "disabled", CONTROL_BOOL, false, &k.disabled, &k.disabled_given },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK && !k.owner_given && !k.disabled_given)
		st = control_fail(c, GH_INVALID, "nothing to change: give \"owner\" or \"disabled\"");
	if (st == GH_OK)
		st = control_tenant(c, tenant, &k.t);
	if (st != GH_OK)
		return st;
	k.detail = gh_printf(c->arena, "%s%s", k.owner_given ? (k.owner ? "owner " : "no owner ") : "",
			     k.disabled_given ? (k.disabled ? "disabled" : "enabled") : "");
	return change(c, &k);
}

/* ---- app passwords ---- */

static enum gh_status scope_parse(struct control_call *c, const json_t *scope, unsigned *ret)
{
	unsigned bits = 0;

	for (size_t i = 0; i < json_array_size(scope); i++) {
		const char *word = json_string_value(json_array_get(scope, i));
		unsigned proto = VFS_WEBDAV;

		while (proto < VFS_ADMIN && strcmp(vfs_proto_name((enum vfs_proto)proto), word) != 0)
			proto++;
		if (proto == VFS_ADMIN)
			return control_fail(c, GH_INVALID,
					    "argument \"scope\": \"%.32s\" is none of webdav ftp rest web", word);
		bits |= 1u << proto;
	}
	*ret = bits;
	return GH_OK;
}

static json_t *scope_json(unsigned scope)
{
	json_t *list = json_array();

	for (unsigned p = VFS_WEBDAV; p < VFS_ADMIN; p++) {
		if (!scope || scope & 1u << p)
			json_array_append_new(list, json_string(vfs_proto_name((enum vfs_proto)p)));
	}
	return list;
}

static enum gh_status token_name_check(struct control_call *c, const char *name, const char **ret)
{
	static const struct gh_name_rule as_typed = { .case_sensitive = true };
	struct gh_component n;
	enum gh_status st = gh_name_check(c->arena, name, strlen(name), &as_typed, &n);

	if (st == GH_NOMEM)
		return st;
	if (st != GH_OK || n.name_len > LOGIN_NAME_MAX)
		return control_fail(c, GH_BADNAME, "argument \"name\": 1 to %d bytes, no / \\ or controls",
				    LOGIN_NAME_MAX);
	*ret = n.name;
	return GH_OK;
}

struct token_change {
	struct tenant *t;
	const char *user;
	struct meta_token token;
};

static enum gh_status token_once(struct control_call *c, void *arg)
{
	struct token_change *k = arg;
	struct meta_call call = control_meta(c);
	struct meta_token *tokens;
	struct meta_user *u;
	unsigned count;
	uint64_t epoch;
	enum gh_status st = control_epoch(c, k->t, &epoch);

	if (st == GH_OK)
		st = control_user(c, k->t, k->user, &u);
	if (st == GH_OK)
		st = meta_tokens(c->core->meta, &call, k->t->id, u->id, &tokens, &count);
	if (st != GH_OK)
		return st;
	if (count >= TOKENS_MAX)
		return control_fail(c, GH_LIMIT, "a user has at most %d app passwords; revoke one first", TOKENS_MAX);
	for (unsigned i = 0; i < count; i++) {
		if (!strcmp(tokens[i].name, k->token.name))
			return control_fail(c, GH_EXISTS, "%s has an app password named \"%s\" already", u->name,
					    k->token.name);
	}
	k->token.user = u->id;
	struct meta_step steps[] = { { .kind = META_TOKEN_PUT, .token = &k->token }, { .kind = META_RIGHTS_EPOCH } };

	return control_commit(c, k->t, user_text(c, u->name), k->token.name, epoch, steps, 2);
}

enum gh_status control_token_add(struct control_call *c)
{
	struct token_change k = { .token = { .id = gh_id_new() } };
	const char *tenant, *name;
	const json_t *scope = NULL;
	int64_t days = 0;
	bool days_given;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },       { "user", CONTROL_TEXT, true, &k.user, NULL },
		{ "name", CONTROL_TEXT, true, &name, NULL },           { "scope", CONTROL_TEXTS, false, &scope, NULL },
		{ "days", CONTROL_NUMBER, false, &days, &days_given },
	};
	char secret[PW_GENERATED_MAX], hash[PW_HASH_MAX];
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &k.t);
	if (st == GH_OK)
		st = token_name_check(c, name, &k.token.name);
	if (st == GH_OK)
		st = scope_parse(c, scope, &k.token.scope);
	if (st == GH_OK && days_given && (days < 1 || days > DAYS_MAX))
		st = control_fail(c, GH_INVALID, "argument \"days\": 1 to %d", DAYS_MAX);
	if (st != GH_OK)
		return st;
	pw_token_generate(k.token.id, secret);
	st = pw_hash(secret, hash);
	if (st != GH_OK)
		return st;
	k.token.hash = hash;
	k.token.made_us = gh_real_us();
	k.token.expires_us = days ? k.token.made_us + days * 86400 * GH_S_US : 0;
	st = control_retry(c, token_once, &k);
	if (st == GH_OK)
		st = control_result(c,
				    json_pack("{s:s, s:o, s:s, s:o}", "password", secret, "id", control_id(k.token.id),
					      "name", k.token.name, "expires", control_time(k.token.expires_us)));
	explicit_bzero(secret, sizeof(secret));
	return st;
}

/* The tokens of the user that tenant and user name. */
static enum gh_status tokens_of(struct control_call *c, const char *tenant, const char *user, struct tenant **ret_t,
				struct meta_user **ret_u, struct meta_token **ret, unsigned *ret_count)
{
	struct meta_call call = control_meta(c);
	enum gh_status st = control_tenant(c, tenant, ret_t);

	if (st == GH_OK)
		st = control_user(c, *ret_t, user, ret_u);
	if (st == GH_OK)
		st = meta_tokens(c->core->meta, &call, (*ret_t)->id, (*ret_u)->id, ret, ret_count);
	return st;
}

enum gh_status control_token_list(struct control_call *c)
{
	const char *tenant, *user;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "user", CONTROL_TEXT, true, &user, NULL },
	};
	struct meta_token *tokens;
	struct meta_user *u;
	struct tenant *t;
	unsigned count;
	json_t *items;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = tokens_of(c, tenant, user, &t, &u, &tokens, &count);
	if (st != GH_OK)
		return st;
	items = control_items(c);
	if (!items)
		return GH_NOMEM;
	for (unsigned i = 0; st == GH_OK && i < count; i++) {
		const struct meta_token *k = &tokens[i];

		st = control_item(items, json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", k->name, "id",
						   control_id(k->id), "scope", scope_json(k->scope), "made",
						   control_time(k->made_us), "expires", control_time(k->expires_us)));
	}
	return st;
}

enum gh_status control_token_revoke(struct control_call *c)
{
	const char *tenant, *user;
	uint64_t id;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "user", CONTROL_TEXT, true, &user, NULL },
		{ "id", CONTROL_ID, true, &id, NULL },
	};
	const struct meta_token *found = NULL;
	struct meta_token *tokens;
	struct meta_user *u;
	struct tenant *t;
	unsigned count;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = tokens_of(c, tenant, user, &t, &u, &tokens, &count);
	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < count; i++) {
		if (tokens[i].id == id)
			found = &tokens[i];
	}
	if (!found)
		return control_fail(c, GH_NOTFOUND, "%s has no app password with that id", u->name);
	struct meta_step steps[] = { { .kind = META_TOKEN_DELETE, .token = found }, { .kind = META_RIGHTS_EPOCH } };

	st = control_commit(c, t, user_text(c, u->name), found->name, UINT64_MAX, steps, 2);
	if (st == GH_OK) {
		struct control_end end = {
			.tenant = t, .user = u->id, .token = id,
			.status = GH_UNAUTH, .message = CONTROL_ACCOUNT_CHANGED,
		};

		control_sessions_end(c, &end);
	}
	return st;
}
