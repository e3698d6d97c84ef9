/* The table of control operations and how one of them runs. See control.h; one file per noun has the functions. */
#include <stdio.h>
#include <string.h>

#include "core/control_work.h"
#include "core/live.h"

#define ARENA_MAX (64u << 20)

const struct control_op control_ops[] = {
	{ "shard.add", "name conninfo", "make an empty database a shard", true, CONTROL_OWNER, control_shard_add },
	{ "shard.list", "", "databases that tenants can be in", false, CONTROL_VIEWER, control_shard_list },
	{ "shard.drain", "name", "no new tenants there; tells how many are left", true, CONTROL_OWNER, control_shard_drain },
	{ "shard.open", "name", "new tenants again", true, CONTROL_OWNER, control_shard_open },
	{ "schema.check", "all_shards?", "compare the schemas of databases with this program's", false, CONTROL_VIEWER,
	  control_schema_check },
	{ "tenant.add", "name case_sensitive? hosts? shard?", "make a tenant", true, CONTROL_OWNER, control_tenant_add },
	{ "tenant.list", "", "all tenants with what they hold", false, CONTROL_VIEWER, control_tenant_list },
	{ "tenant.set", "name hosts? disabled?", "change a tenant's host names, shut or open it",
	  true, CONTROL_OWNER, control_tenant_set },
	{ "tenant.move", "name to? hold_s? abandon?", "take a tenant to another shard: the next step of it", true, CONTROL_OWNER,
	  control_tenant_move },
	{ "user.add", "tenant user password owner?", "make a user", true, CONTROL_OWNER, control_user_add },
	{ "user.list", "tenant", "users of a tenant", false, CONTROL_VIEWER, control_user_list },
	{ "user.remove", "tenant user", "remove a user with its tokens and entries",
	  true, CONTROL_OWNER, control_user_remove },
	{ "user.passwd", "tenant user password", "change a password", true, CONTROL_OWNER, control_user_passwd },
	{ "user.set", "tenant user owner? disabled?", "make a user an owner, shut it out",
	  true, CONTROL_OWNER, control_user_set },
	{ "token.add", "tenant user name scope? days?", "make an app password, shown once",
	  true, CONTROL_OWNER, control_token_add },
	{ "token.list", "tenant user", "a user's app passwords", false, CONTROL_VIEWER, control_token_list },
	{ "token.revoke", "tenant user id", "end an app password", true, CONTROL_OWNER, control_token_revoke },
	{ "group.add", "tenant group members?", "make a group", true, CONTROL_OWNER, control_group_add },
	{ "group.list", "tenant", "groups of a tenant with their members", false, CONTROL_VIEWER, control_group_list },
	{ "group.remove", "tenant group", "remove a group with its entries",
	  true, CONTROL_OWNER, control_group_remove },
	{ "group.join", "tenant group members", "put users into a group", true, CONTROL_OWNER, control_group_join },
	{ "group.leave", "tenant group members", "take users out of a group",
	  true, CONTROL_OWNER, control_group_leave },
	{ "acl.grant", "tenant path who rights", "allow", true, CONTROL_OWNER, control_acl_grant },
	{ "acl.deny", "tenant path who rights", "deny", true, CONTROL_OWNER, control_acl_deny },
	{ "acl.revoke", "tenant path who", "remove somebody's entries at a path",
	  true, CONTROL_OWNER, control_acl_revoke },
	{ "acl.inherit", "tenant path on", "let rights come from above, or not",
	  true, CONTROL_OWNER, control_acl_inherit },
	{ "acl.list", "tenant path?", "entries at a path, or all of a tenant",
	  false, CONTROL_VIEWER, control_acl_list },
	{ "acl.explain", "tenant user path right", "may this user, and which entry decides",
	  false, CONTROL_VIEWER, control_acl_explain },
	{ "locks.list", "tenant?", "locks that are held", false, CONTROL_VIEWER, control_locks_list },
	{ "locks.break", "tenant token", "take a lock away", true, CONTROL_OPERATOR, control_locks_break },
	{ "status", "", "what the gateway is doing", false, CONTROL_VIEWER, control_status },
	{ "live.now", "", "requests, latency, queue and tenants of the last second",
	  false, CONTROL_VIEWER, control_live_now },
	{ "live.history", "seconds? points? tenants?", "the same for the last hour, thinned",
	  false, CONTROL_VIEWER, control_live_history },
	{ "doctor", "", "is the machine under the gateway well", false, CONTROL_VIEWER, control_doctor },
	{ "events.list", "tenant? after? limit?", "who changed what", false, CONTROL_VIEWER, control_events_list },
	{ "defender.clear", "tenant user?", "forget failed logins", true, CONTROL_OPERATOR, control_defender_clear },
	{ "fsck", "verify?", "check everything that is stored", false, CONTROL_OPERATOR, control_fsck },
	{ "switch.set",
	  "mode protocols? classes? tenant? user? host? pod? dc? everywhere? for_s? until? message? why? dry_run?",
	  "shut a door, open it for some, drain it, make it read-only", true, CONTROL_OPERATOR, control_switch_set },
	{ "switch.list", "", "rules in force", false, CONTROL_VIEWER, control_switch_list },
	{ "switch.clear", "id? protocols? classes? tenant? user? host? pod? dc? everywhere?", "remove a rule",
	  true, CONTROL_OPERATOR, control_switch_clear },
	{ "flag.list", "", "feature flags and what they are", false, CONTROL_VIEWER, control_flag_list },
	{ "flag.describe", "key", "one flag, its range and rules", false, CONTROL_VIEWER, control_flag_describe },
	{ "flag.set",
	  "key value percent? protocols? classes? tenant? user? host? pod? dc? everywhere? for_s? until? why?",
	  "set a flag for all, for some, or for a share of tenants", true, CONTROL_OPERATOR, control_flag_set },
	{ "flag.clear", "id? key? protocols? classes? tenant? user? host? pod? dc? everywhere?", "remove a flag's rule", true, CONTROL_OPERATOR, control_flag_clear },
	{ "session.list", "tenant? proto? limit?", "live sessions and what they do",
	  false, CONTROL_VIEWER, control_session_list },
	{ "session.kill", "id? tenant? user?", "end a session, or all of a tenant or user",
	  true, CONTROL_OPERATOR, control_session_kill },
	{ "breaker.list", "", "circuit breakers of services, and of tenants in trouble", false, CONTROL_VIEWER,
	  control_breaker_list },
	{ "breaker.open", "service tenant?", "let nobody, or not that tenant, ask a service until it is reset",
	  true, CONTROL_OPERATOR, control_breaker_open },
	{ "breaker.reset", "service tenant?", "close a breaker: the service is asked again", true, CONTROL_OPERATOR,
	  control_breaker_reset },
	{ "upload.list", "tenant?", "uploads under way", false, CONTROL_VIEWER, control_upload_list },
	{ "share.list", "", "what each tenant is due, and has", false, CONTROL_VIEWER, control_share_list },
	{ "share.set", "tenant weight? cap? pool?", "change a tenant's weight, cap or pool",
	  true, CONTROL_OPERATOR, control_share_set },
	{ "pool.list", "", "dedicated pools of workers", false, CONTROL_VIEWER, control_pool_list },
	{ "pool.set", "name slots? queue?", "make a dedicated pool, or change its size",
	  true, CONTROL_OPERATOR, control_pool_set },
	{ "pool.remove", "name", "remove a dedicated pool; its tenants share with all",
	  true, CONTROL_OPERATOR, control_pool_remove },
	{ "operator.add", "name role password?", "let somebody work the gate; without a password one is made",
	  true, CONTROL_OWNER, control_operator_add },
	{ "operator.list", "", "who works the gate", false, CONTROL_VIEWER, control_operator_list },
	{ "operator.set", "name role? password? disabled?", "change an operator, who has to sign in anew",
	  true, CONTROL_OWNER, control_operator_set },
	{ "operator.remove", "name", "remove an operator", true, CONTROL_OWNER, control_operator_remove },
	{ "operator.totp", "name on", "ask an operator for one-time codes (the secret is shown once), or no longer",
	  true, CONTROL_OWNER, control_operator_totp },
	{ "operator.token.add", "name role days?", "make a token for a program, shown once",
	  true, CONTROL_OWNER, control_operator_token_add },
	{ "operator.token.list", "", "tokens of programs", false, CONTROL_VIEWER, control_operator_token_list },
	{ "operator.token.revoke", "id", "end a token", true, CONTROL_OWNER, control_operator_token_revoke },
	{ "limit.set", "tenant user? bytes? files? sessions? transfers? requests_s? bytes_s? month_bytes?",
	  "bound a tenant or a user; null removes a limit", true, CONTROL_OPERATOR, control_limit_set },
	{ "limit.list", "tenant?", "limits of tenants and users", false, CONTROL_VIEWER, control_limit_list },
	{ "quota.list", "tenant?", "what tenants and limited users have used of their limits",
	  false, CONTROL_VIEWER, control_quota_list },
	{ NULL, NULL, NULL, false, CONTROL_OWNER, NULL },
};

static const char *const role_names[CONTROL_ROLE_COUNT] = { "viewer", "operator", "owner" };

const char *control_role_name(enum control_role role)
{
	GH_ASSERT(role < CONTROL_ROLE_COUNT);
	return role_names[role];
}

bool control_role_parse(const char *name, enum control_role *ret)
{
	for (unsigned i = 0; i < CONTROL_ROLE_COUNT; i++) {
		if (strcmp(role_names[i], name) != 0)
			continue;
		*ret = (enum control_role)i;
		return true;
	}
	return false;
}

const struct control_op *control_op_find(const char *name)
{
	for (const struct control_op *op = control_ops; op->name; op++) {
		if (!strcmp(op->name, name))
			return op;
	}
	return NULL;
}

/* Every operation takes its arguments before it does anything, and control_args stops it there. */
json_t *control_describe(const struct control_op *op)
{
	struct control_call c = { .actor = "", .op = op->name, .describe = json_array() };

	if (c.describe && op->run(&c) != GH_END) {
		json_decref(c.describe);
		c.describe = NULL;
	}
	return c.describe;
}

/* "switch.set" -> event change {"what": "switch"}. */
static void tell_change(struct gh_core *core, const char *op)
{
	char what[32];

	snprintf(what, sizeof(what), "%.*s", (int)strcspn(op, "."), op);
	live_tell(core, what);
}

enum gh_status control_run(const char *name, struct control_call *c)
{
	const struct control_op *op = control_op_find(name);
	enum gh_status st;

	c->result = NULL;
	c->message[0] = '\0';
	if (!op)
		return control_fail(c, GH_NOTFOUND, "there is no operation \"%.64s\"", name);
	if (op->role > c->role)
		return control_fail(c, GH_DENIED, "this takes the role %s, and %.64s is %s", control_role_name(op->role),
				    c->actor, control_role_name(c->role));
	c->op = op->name;
	c->arena = gh_arena_new(ARENA_MAX);
	if (!c->arena)
		return control_done(c, GH_NOMEM);
	st = op->run(c);
	if (st == GH_OK && !c->result)
		st = control_result(c, json_object());
	if (st != GH_OK) {
		json_decref(c->result);
		c->result = NULL;
	}
	gh_arena_free(&c->arena);
	if (st == GH_OK && op->mutates)
		tell_change(c->core, op->name);
	return control_done(c, st);
}
