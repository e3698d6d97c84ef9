/* The table of control operations and how one of them runs. See control.h; one file per noun has the functions. */
#include <string.h>

#include "core/control_work.h"

#define ARENA_MAX (64u << 20)

const struct control_op control_ops[] = {
	{ "tenant.add", "name case_sensitive? hosts?", "make a tenant", true, control_tenant_add },
	{ "tenant.list", "", "all tenants with what they hold", false, control_tenant_list },
	{ "tenant.set", "name hosts? disabled?", "change a tenant's host names, shut or open it", true,
	  control_tenant_set },
	{ "user.add", "tenant user password owner?", "make a user", true, control_user_add },
	{ "user.list", "tenant", "users of a tenant", false, control_user_list },
	{ "user.remove", "tenant user", "remove a user with its tokens and entries", true, control_user_remove },
	{ "user.passwd", "tenant user password", "change a password", true, control_user_passwd },
	{ "user.set", "tenant user owner? disabled?", "make a user an owner, shut it out", true, control_user_set },
	{ "token.add", "tenant user name scope? days?", "make an app password, shown once", true, control_token_add },
	{ "token.list", "tenant user", "a user's app passwords", false, control_token_list },
	{ "token.revoke", "tenant user id", "end an app password", true, control_token_revoke },
	{ "group.add", "tenant group members?", "make a group", true, control_group_add },
	{ "group.list", "tenant", "groups of a tenant with their members", false, control_group_list },
	{ "group.remove", "tenant group", "remove a group with its entries", true, control_group_remove },
	{ "group.join", "tenant group members", "put users into a group", true, control_group_join },
	{ "group.leave", "tenant group members", "take users out of a group", true, control_group_leave },
	{ "acl.grant", "tenant path who rights", "allow", true, control_acl_grant },
	{ "acl.deny", "tenant path who rights", "deny", true, control_acl_deny },
	{ "acl.revoke", "tenant path who", "remove somebody's entries at a path", true, control_acl_revoke },
	{ "acl.inherit", "tenant path on", "let rights come from above, or not", true, control_acl_inherit },
	{ "acl.list", "tenant path?", "entries at a path, or all of a tenant", false, control_acl_list },
	{ "acl.explain", "tenant user path right", "may this user, and which entry decides", false,
	  control_acl_explain },
	{ "locks.list", "tenant?", "locks that are held", false, control_locks_list },
	{ "locks.break", "tenant token", "take a lock away", true, control_locks_break },
	{ "status", "", "what the gateway is doing", false, control_status },
	{ "live.now", "", "requests, latency, queue and tenants of the last second", false, control_live_now },
	{ "live.history", "seconds? points? tenants?", "the same for the last hour, thinned", false, control_live_history },
	{ "doctor", "", "is the machine under the gateway well", false, control_doctor },
	{ "events.list", "tenant? after? limit?", "who changed what", false, control_events_list },
	{ "defender.clear", "tenant user?", "forget failed logins", true, control_defender_clear },
	{ "fsck", "verify?", "check everything that is stored", false, control_fsck },
	{ "switch.set",
	  "mode protocols? classes? tenant? user? host? pod? dc? everywhere? for_s? until? message? why? dry_run?",
	  "shut a door, open it for some, drain it, make it read-only", true, control_switch_set },
	{ "switch.list", "", "rules in force", false, control_switch_list },
	{ "switch.clear", "id? protocols? classes? tenant? user? host? pod? dc? everywhere?", "remove a rule", true,
	  control_switch_clear },
	{ "flag.list", "", "feature flags and what they are", false, control_flag_list },
	{ "flag.describe", "key", "one flag, its range and rules", false, control_flag_describe },
	{ "flag.set",
	  "key value percent? protocols? classes? tenant? user? host? pod? dc? everywhere? for_s? until? why?",
	  "set a flag for all, for some, or for a share of tenants", true, control_flag_set },
	{ "flag.clear", "id", "remove a flag's rule", true, control_flag_clear },
	{ "session.list", "tenant? proto? limit?", "live sessions and what they do", false, control_session_list },
	{ "session.kill", "id? tenant? user?", "end a session, or all of a tenant or user", true,
	  control_session_kill },
	{ "upload.list", "tenant?", "uploads under way", false, control_upload_list },
	{ NULL, NULL, NULL, false, NULL },
};

static const struct control_op *op_find(const char *name)
{
	for (const struct control_op *op = control_ops; op->name; op++) {
		if (!strcmp(op->name, name))
			return op;
	}
	return NULL;
}

enum gh_status control_run(const char *name, struct control_call *c)
{
	const struct control_op *op = op_find(name);
	enum gh_status st;

	c->result = NULL;
	c->message[0] = '\0';
	if (!op)
		return control_fail(c, GH_NOTFOUND, "there is no operation \"%.64s\"", name);
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
	return control_done(c, st);
}
