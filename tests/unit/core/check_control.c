/* Control operations over a real store: what they do, what they refuse, and what the event log says afterwards. */
#include "tests/unit/core/control_help.h"

#include "core/people/login.h"
#include "core/people/password.h"

#define ACME "{'name':'acme'}"

static void setup(void)
{
	core_open();
	done("tenant.add", ACME);
}

static void with_people(void)
{
	done("user.add", "{'tenant':'acme','user':'Ann','password':'secret'}");
	done("user.add", "{'tenant':'acme','user':'bob','password':'secret'}");
	done("group.add", "{'tenant':'acme','group':'Staff','members':['ann','bob']}");
}

static enum gh_status login_by(const char *key, const char *password, enum vfs_proto proto)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct meta_call call = { .arena = a, .op = "login" };
	struct people_answer who;
	struct tenant *t;
	enum gh_status st;

	ck_assert_int_eq(tenant_get(core, "acme", &t), GH_OK);
	struct people_ask ask = { .tenant = t->id,
				  .user_key = key,
				  .password = password,
				  .proto = proto,
				  .now_ns = gh_mono_ns(),
				  .now_us = gh_real_us() };
	st = people_login(core->people, &call, &ask, &who);
	gh_arena_free(&a);
	return st;
}

static bool login_cached(const char *key, const char *password)
{
	struct tenant *t;
	struct people_answer who = { 0 };

	ck_assert_int_eq(tenant_get(core, "acme", &t), GH_OK);
	return people_cached(core->people, t->id, key, password, VFS_WEBDAV, gh_mono_ns(), &who);
}

/* ---- the table and the arguments ---- */

START_TEST(every_operation_has_a_name_a_synopsis_and_a_function)
{
	for (const struct control_op *op = control_ops; op->name; op++) {
		ck_assert_ptr_nonnull(op->args);
		ck_assert_ptr_nonnull(op->help);
		ck_assert_ptr_nonnull(op->run);
		for (const struct control_op *other = control_ops; other != op; other++)
			ck_assert_str_ne(op->name, other->name);
	}
	refused(GH_NOTFOUND, "tenant.fly", "{}", "tenant.fly");
}
END_TEST

/* The synopsis in the table is what people read, control_args what counts. */
START_TEST(a_synopsis_names_exactly_the_arguments_that_are_taken)
{
	for (const struct control_op *op = control_ops; op->name; op++) {
		json_t *args = control_describe(op), *a;
		unsigned named = 0;
		size_t i;

		ck_assert_msg(args != NULL, "%s", op->name);
		json_array_foreach(args, i, a)
		{
			char word[80];

			snprintf(word, sizeof(word), " %s%s ", json_string_value(json_object_get(a, "name")),
				 json_is_true(json_object_get(a, "required")) ? "" : "?");
			char *synopsis = NULL;

			ck_assert_int_gt(asprintf(&synopsis, " %s ", op->args), 0);
			ck_assert_msg(strstr(synopsis, word) != NULL, "%s: \"%s\" has no%s", op->name, op->args, word);
			free(synopsis);
		}
		for (const char *p = op->args; *p; p += strcspn(p, " "), p += strspn(p, " "))
			named++;
		ck_assert_msg(named == json_array_size(args), "%s: \"%s\"", op->name, op->args);
		json_decref(args);
	}
}
END_TEST

START_TEST(a_role_that_is_too_little_runs_nothing)
{
	for (const struct control_op *op = control_ops; op->name; op++) {
		struct control_call call = { .core = core, .actor = "viewer", .args = json_object() };

		ck_assert(!op->mutates || op->role > CONTROL_VIEWER);
		for (unsigned role = CONTROL_VIEWER; role < op->role; role++) {
			call.role = (enum control_role)role;
			ck_assert_int_eq(control_run(op->name, &call), GH_DENIED);
			ck_assert_msg(strstr(call.message, control_role_name(op->role)), "%s", call.message);
		}
		json_decref((json_t *)call.args);
	}
}
END_TEST

START_TEST(unknown_missing_and_mistyped_arguments_are_named)
{
	refused(GH_INVALID, "tenant.add", "{'name':'x','colour':'red'}", "colour");
	refused(GH_INVALID, "tenant.add", "{}", "name");
	refused(GH_INVALID, "tenant.add", "{'name':7}", "name");
	refused(GH_INVALID, "tenant.add", "{'name':'x','case_sensitive':'yes'}", "case_sensitive");
	refused(GH_INVALID, "tenant.add", "{'name':'x','hosts':'a.example'}", "hosts");
	refused(GH_INVALID, "tenant.add", "{'name':'x','hosts':[1]}", "hosts");
	refused(GH_INVALID, "events.list", "{'limit':'many'}", "limit");
	refused(GH_INVALID, "events.list", "{'limit':0}", "limit");
	refused(GH_INVALID, "events.list", "{'after':'12x'}", "after");
	refused(GH_INVALID, "status", "{'deep':true}", "deep");
	refused(GH_INVALID, "token.revoke", "{'tenant':'acme','user':'ann','id':'-1'}", "id");
	/* every operation refuses a stranger among its arguments */
	for (const struct control_op *op = control_ops; op->name; op++)
		refused(GH_INVALID, op->name, "{'no such':1}", "no such");
}
END_TEST

/* ---- tenants ---- */

START_TEST(a_tenant_is_made_listed_and_changed)
{
	json_t *list, *item;

	done("tenant.add", "{'name':'big','case_sensitive':true,'hosts':['Files.Example.org','b.example']}");
	list = ok("tenant.list", "{}");
	ck_assert_uint_eq(item_count(list), 2);
	item = item_where(list, "tenant", "big");
	ck_assert(json_is_true(json_object_get(item, "case_sensitive")));
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(item, "hosts"), 0)), "files.example.org");
	ck_assert(json_is_false(json_object_get(item, "disabled")));
	json_decref(list);
	done("tenant.set", "{'name':'big','disabled':true,'hosts':[]}");
	list = ok("tenant.list", "{}");
	item = item_where(list, "tenant", "big");
	ck_assert(json_is_true(json_object_get(item, "disabled")));
	ck_assert(json_is_true(json_object_get(item, "case_sensitive")));
	ck_assert_uint_eq(json_array_size(json_object_get(item, "hosts")), 0);
	json_decref(list);
	refused(GH_EXISTS, "tenant.add", "{'name':'big'}", "big");
	refused(GH_NOTFOUND, "tenant.set", "{'name':'none','disabled':true}", "none");
	refused(GH_INVALID, "tenant.set", "{'name':'big'}", "nothing");
}
END_TEST

START_TEST(a_changed_tenant_is_known_to_the_running_core)
{
	struct tenant *t;

	done("tenant.set", "{'name':'acme','hosts':['acme.example']}");
	gh_rcu_online();
	t = tenant_of_host(core, "ACME.example:8080");
	ck_assert_ptr_nonnull(t);
	ck_assert_str_eq(t->name, "acme");
	ck_assert(!atomic_load(&t->disabled));
	gh_rcu_offline();
	done("tenant.set", "{'name':'acme','disabled':true}");
	ck_assert(atomic_load(&t->disabled));
	gh_rcu_online();
	ck_assert_ptr_eq(tenant_of_host(core, "acme.example"), t);
	gh_rcu_offline();
}
END_TEST

/* More than a page of them. */
START_TEST(lists_go_over_all_tenants_however_many)
{
	static const char *const lists[] = { "tenant.list", "share.list", "quota.list" };
	char args[96];
	json_t *o;

	for (unsigned i = 0; i < 520; i++) {
		snprintf(args, sizeof(args), "{'name':'t%03u','hosts':['t%03u.example']}", i, i);
		done("tenant.add", args);
	}
	for (unsigned i = 0; i < 3; i++) {
		o = ok(lists[i], "{}");
		ck_assert_uint_ge(json_array_size(json_object_get(o, "items")), 520);
		ck_assert_ptr_nonnull(item_where(o, "tenant", "t000"));
		ck_assert_ptr_nonnull(item_where(o, "tenant", "t519"));
		json_decref(o);
	}
	done("limit.set", "{'tenant':'t519','files':7}");
	o = ok("limit.list", "{}");
	ck_assert_ptr_nonnull(item_where(o, "tenant", "t519"));
	json_decref(o);
	refused(GH_EXISTS, "tenant.add", "{'name':'other','hosts':['t519.example']}", "t519");
}
END_TEST

START_TEST(a_host_name_leads_to_one_tenant)
{
	done("tenant.set", "{'name':'acme','hosts':['a.example','b.example']}");
	refused(GH_EXISTS, "tenant.add", "{'name':'other','hosts':['c.example','B.example']}", "acme");
	done("tenant.set", "{'name':'acme','hosts':['b.example']}");
	done("tenant.add", "{'name':'other','hosts':['a.example']}");
}
END_TEST

START_TEST(names_of_tenants_that_could_climb_or_break_out_are_refused)
{
	static const char *const bad[] = { "",   ".",   "..",     "a/../b",   "a%2fb",    "A",  "-a",
					   "_a", "a b", "a\\\\b", "\xc3\xa4", "a\\u0001", "a'", "tenant$x" };
	char args[600];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (strchr(bad[i], '\''))
			continue;
		snprintf(args, sizeof(args), "{'name':'%s'}", bad[i]);
		refused(GH_BADNAME, "tenant.add", args, "name");
	}
	snprintf(args, sizeof(args), "{'name':'%0300d'}", 0);
	refused(GH_BADNAME, "tenant.add", args, "name");
	refused(GH_INVALID, "tenant.add", "{'name':'x','hosts':['a b']}", "hosts");
	refused(GH_INVALID, "tenant.add", "{'name':'x','hosts':['']}", "hosts");
}
END_TEST

/* ---- users ---- */

START_TEST(a_user_is_made_listed_changed_and_removed)
{
	json_t *list, *item;

	with_people();
	list = ok("user.list", "{'tenant':'acme'}");
	ck_assert_uint_eq(item_count(list), 2);
	item = item_where(list, "user", "Ann");
	ck_assert(json_is_false(json_object_get(item, "owner")));
	ck_assert(json_is_true(json_object_get(item, "password")));
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(item, "groups"), 0)), "Staff");
	json_decref(list);
	ck_assert_int_eq(login_by("ann", "secret", VFS_WEBDAV), GH_OK);

	done("user.set", "{'tenant':'acme','user':'ANN','owner':true}");
	list = ok("user.list", "{'tenant':'acme'}");
	ck_assert(json_is_true(json_object_get(item_where(list, "user", "Ann"), "owner")));
	ck_assert(json_is_false(json_object_get(item_where(list, "user", "Ann"), "disabled")));
	json_decref(list);

	done("user.remove", "{'tenant':'acme','user':'ann'}");
	list = ok("user.list", "{'tenant':'acme'}");
	ck_assert_ptr_null(item_where(list, "user", "Ann"));
	json_decref(list);
	refused(GH_NOTFOUND, "user.remove", "{'tenant':'acme','user':'ann'}", "ann");
	ck_assert_int_eq(login_by("ann", "secret", VFS_WEBDAV), GH_UNAUTH);
}
END_TEST

START_TEST(no_answer_holds_a_hash)
{
	json_t *list;
	char *text;

	with_people();
	done("token.add", "{'tenant':'acme','user':'ann','name':'laptop'}");
	list = ok("user.list", "{'tenant':'acme'}");
	text = json_dumps(list, 0);
	ck_assert_ptr_null(strstr(text, "argon2"));
	free(text);
	json_decref(list);
	list = ok("token.list", "{'tenant':'acme','user':'ann'}");
	text = json_dumps(list, 0);
	ck_assert_ptr_null(strstr(text, "argon2"));
	ck_assert_ptr_null(strstr(text, "gh_"));
	free(text);
	json_decref(list);
	list = ok("events.list", "{}");
	text = json_dumps(list, 0);
	ck_assert_ptr_null(strstr(text, "argon2"));
	ck_assert_ptr_null(strstr(text, "secret"));
	free(text);
	json_decref(list);
}
END_TEST

START_TEST(a_users_name_is_unique_whatever_its_case)
{
	with_people();
	refused(GH_EXISTS, "user.add", "{'tenant':'acme','user':'ANN','password':'x'}", "Ann");
	done("tenant.add", "{'name':'other'}");
	done("user.add", "{'tenant':'other','user':'ann','password':'x'}");
}
END_TEST

START_TEST(names_of_people_that_could_climb_or_break_out_are_refused)
{
	static const char *const bad[] = { "",    ".",  "..", "a/../b",   "a/b",  "a\\\\b", "a$b",
					   "a:b", " a", "a ", "a\\u0007", "a\\n", "\\u007f" };
	char args[600];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(args, sizeof(args), "{'tenant':'acme','user':'%s','password':'x'}", bad[i]);
		refused(GH_BADNAME, "user.add", args, "name");
		snprintf(args, sizeof(args), "{'tenant':'acme','group':'%s'}", bad[i]);
		refused(GH_BADNAME, "group.add", args, "name");
	}
	snprintf(args, sizeof(args), "{'tenant':'acme','user':'%0300d','password':'x'}", 0);
	refused(GH_TOOLONG, "user.add", args, "64");
	snprintf(args, sizeof(args), "{'tenant':'acme','user':'%065d','password':'x'}", 0);
	refused(GH_TOOLONG, "user.add", args, "64");
}
END_TEST

START_TEST(passwords_are_bounded_and_hold_no_controls)
{
	char args[3000], token[PW_GENERATED_MAX];

	refused(GH_INVALID, "user.add", "{'tenant':'acme','user':'ann','password':''}", "password");
	refused(GH_INVALID, "user.add", "{'tenant':'acme','user':'ann','password':'a\\nb'}", "password");
	refused(GH_INVALID, "user.add", "{'tenant':'acme','user':'ann','password':'a\\u0085'}", "password");
	snprintf(args, sizeof(args), "{'tenant':'acme','user':'ann','password':'%01025d'}", 0);
	refused(GH_INVALID, "user.add", args, "1024");
	pw_token_generate(1, token);
	snprintf(args, sizeof(args), "{'tenant':'acme','user':'ann','password':'%s'}", token);
	refused(GH_INVALID, "user.add", args, "app password");
	done("user.add", "{'tenant':'acme','user':'ann','password':'p\xc3\xa4ss w\xc2\xa0rd'}");
}
END_TEST

START_TEST(a_changed_password_works_at_once_and_the_old_one_no_more)
{
	with_people();
	ck_assert_int_eq(login_by("ann", "secret", VFS_WEBDAV), GH_OK);
	ck_assert(login_cached("ann", "secret"));
	done("user.passwd", "{'tenant':'acme','user':'ann','password':'other'}");
	ck_assert(!login_cached("ann", "secret"));
	ck_assert_int_eq(login_by("ann", "secret", VFS_WEBDAV), GH_UNAUTH);
	ck_assert_int_eq(login_by("ann", "other", VFS_WEBDAV), GH_OK);
	done("user.set", "{'tenant':'acme','user':'ann','disabled':true}");
	ck_assert(!login_cached("ann", "other"));
	ck_assert_int_eq(login_by("ann", "other", VFS_WEBDAV), GH_UNAUTH);
	done("user.set", "{'tenant':'acme','user':'ann','disabled':false}");
	ck_assert_int_eq(login_by("ann", "other", VFS_WEBDAV), GH_OK);
	refused(GH_NOTFOUND, "user.passwd", "{'tenant':'acme','user':'none','password':'x'}", "none");
}
END_TEST

/* ---- app passwords ---- */

START_TEST(an_app_password_is_made_used_listed_and_revoked)
{
	char args[200], password[PW_GENERATED_MAX];
	json_t *made, *list, *item;

	with_people();
	made = ok("token.add", "{'tenant':'acme','user':'ann','name':'laptop','scope':['webdav'],'days':90}");
	strcpy(password, text_of(made, "password"));
	ck_assert(json_is_string(json_object_get(made, "expires")));
	snprintf(args, sizeof(args), "{'tenant':'acme','user':'ann','id':'%s'}", text_of(made, "id"));
	json_decref(made);
	ck_assert_int_eq(login_by("ann", password, VFS_WEBDAV), GH_OK);
	ck_assert_int_eq(login_by("ann", password, VFS_FTP), GH_UNAUTH);
	list = ok("token.list", "{'tenant':'acme','user':'ann'}");
	item = item_where(list, "name", "laptop");
	ck_assert_uint_eq(json_array_size(json_object_get(item, "scope")), 1);
	json_decref(list);
	refused(GH_EXISTS, "token.add", "{'tenant':'acme','user':'ann','name':'laptop'}", "laptop");
	ck_assert(login_cached("ann", password));
	done("token.revoke", args);
	ck_assert(!login_cached("ann", password));
	ck_assert_int_eq(login_by("ann", password, VFS_WEBDAV), GH_UNAUTH);
	refused(GH_NOTFOUND, "token.revoke", args, "id");
	ck_assert_int_eq(login_by("ann", "secret", VFS_FTP), GH_OK);
}
END_TEST

START_TEST(bad_app_passwords_are_refused)
{
	with_people();
	refused(GH_INVALID, "token.add", "{'tenant':'acme','user':'ann','name':'x','scope':['telnet']}", "telnet");
	refused(GH_INVALID, "token.add", "{'tenant':'acme','user':'ann','name':'x','scope':['admin']}", "admin");
	refused(GH_INVALID, "token.add", "{'tenant':'acme','user':'ann','name':'x','days':0}", "days");
	refused(GH_INVALID, "token.add", "{'tenant':'acme','user':'ann','name':'x','days':-5}", "days");
	refused(GH_BADNAME, "token.add", "{'tenant':'acme','user':'ann','name':''}", "name");
	refused(GH_NOTFOUND, "token.add", "{'tenant':'acme','user':'none','name':'x'}", "none");
}
END_TEST

/* ---- groups ---- */

static size_t members_of(const char *group)
{
	json_t *list = ok("group.list", "{'tenant':'acme'}"), *item = item_where(list, "group", group);
	size_t n = item ? json_array_size(json_object_get(item, "members")) : 99;

	json_decref(list);
	return n;
}

START_TEST(groups_gain_and_lose_members)
{
	with_people();
	ck_assert_uint_eq(members_of("Staff"), 2);
	done("group.leave", "{'tenant':'acme','group':'staff','members':['BOB']}");
	ck_assert_uint_eq(members_of("Staff"), 1);
	done("group.join", "{'tenant':'acme','group':'STAFF','members':['bob','ann']}");
	ck_assert_uint_eq(members_of("Staff"), 2);
	done("user.remove", "{'tenant':'acme','user':'bob'}");
	ck_assert_uint_eq(members_of("Staff"), 1);
	refused(GH_EXISTS, "group.add", "{'tenant':'acme','group':'STAFF'}", "Staff");
	refused(GH_NOTFOUND, "group.join", "{'tenant':'acme','group':'staff','members':['ann','bob']}", "bob");
	refused(GH_NOTFOUND, "group.add", "{'tenant':'acme','group':'new','members':['none']}", "none");
	ck_assert_uint_eq(members_of("new"), 99);
	refused(GH_NOTFOUND, "group.remove", "{'tenant':'acme','group':'none'}", "none");
	refused(GH_INVALID, "group.remove", "{'tenant':'acme','group':'staff','members':[]}", "members");
	done("group.remove", "{'tenant':'acme','group':'staff'}");
	ck_assert_uint_eq(members_of("Staff"), 99);
}
END_TEST

/* ---- entries ---- */

static bool allowed(const char *user, const char *path, const char *right)
{
	char args[300];
	json_t *o;
	bool yes;

	snprintf(args, sizeof(args), "{'tenant':'acme','user':'%s','path':'%s','right':'%s'}", user, path, right);
	o = ok("acl.explain", args);
	yes = json_is_true(json_object_get(o, "allowed"));
	json_decref(o);
	return yes;
}

START_TEST(granting_denying_and_revoking_show_at_once)
{
	with_people();
	folder_make("acme", "projects");
	ck_assert(!allowed("ann", "/projects/a.txt", "read"));
	done("acl.grant", "{'tenant':'acme','path':'/projects','who':'group:staff','rights':'read,write'}");
	ck_assert(allowed("ann", "/projects/a.txt", "read"));
	ck_assert(allowed("bob", "/Projects/a.txt", "write"));
	ck_assert(!allowed("bob", "/projects", "delete"));
	ck_assert(!allowed("bob", "/", "read"));
	done("acl.deny", "{'tenant':'acme','path':'/projects','who':'user:bob','rights':'write'}");
	ck_assert(!allowed("bob", "/projects/a.txt", "write"));
	ck_assert(allowed("bob", "/projects/a.txt", "read"));
	ck_assert(allowed("ann", "/projects/a.txt", "write"));
	done("acl.revoke", "{'tenant':'acme','path':'/projects','who':'user:bob'}");
	ck_assert(allowed("bob", "/projects/a.txt", "write"));
	refused(GH_NOTFOUND, "acl.revoke", "{'tenant':'acme','path':'/projects','who':'user:bob'}", "user:bob");
	done("group.leave", "{'tenant':'acme','group':'staff','members':['bob']}");
	ck_assert(!allowed("bob", "/projects/a.txt", "read"));
	done("user.set", "{'tenant':'acme','user':'bob','owner':true}");
	ck_assert(allowed("bob", "/projects/a.txt", "manage"));
}
END_TEST

START_TEST(what_was_asked_for_last_holds)
{
	json_t *list;

	with_people();
	folder_make("acme", "p");
	done("acl.grant", "{'tenant':'acme','path':'/p','who':'user:ann','rights':'full'}");
	done("acl.deny", "{'tenant':'acme','path':'/p','who':'user:ann','rights':'delete,share'}");
	ck_assert(!allowed("ann", "/p", "delete"));
	done("acl.grant", "{'tenant':'acme','path':'/p','who':'user:ann','rights':'delete'}");
	ck_assert(allowed("ann", "/p", "delete"));
	ck_assert(!allowed("ann", "/p", "share"));
	list = ok("acl.list", "{'tenant':'acme','path':'/p'}");
	ck_assert_uint_eq(item_count(list), 2);
	ck_assert_str_eq(text_of(item_where(list, "effect", "deny"), "rights"), "share");
	ck_assert_str_eq(text_of(item_where(list, "effect", "allow"), "who"), "user:Ann");
	json_decref(list);
	done("acl.grant", "{'tenant':'acme','path':'/p','who':'user:ann','rights':'share'}");
	list = ok("acl.list", "{'tenant':'acme'}");
	ck_assert_uint_eq(item_count(list), 1);
	ck_assert_str_eq(text_of(item_where(list, "effect", "allow"), "rights"), "full");
	ck_assert_str_eq(text_of(item_where(list, "effect", "allow"), "path"), "/p");
	json_decref(list);
}
END_TEST

START_TEST(inheritance_is_switched_off_and_on)
{
	json_t *o;

	with_people();
	folder_make("acme", "priv");
	done("acl.grant", "{'tenant':'acme','path':'/','who':'everyone','rights':'read'}");
	done("acl.inherit", "{'tenant':'acme','path':'/priv','on':false}");
	ck_assert(!allowed("ann", "/priv/x", "read"));
	o = ok("acl.explain", "{'tenant':'acme','user':'ann','path':'/priv/x','right':'read'}");
	ck_assert_str_eq(text_of(o, "path"), "/priv");
	ck_assert_str_eq(text_of(o, "entry"), "inherit-off");
	json_decref(o);
	o = ok("acl.list", "{'tenant':'acme','path':'/priv'}");
	ck_assert_uint_eq(item_count(o), 1);
	json_decref(o);
	done("acl.inherit", "{'tenant':'acme','path':'/priv','on':true}");
	ck_assert(allowed("ann", "/priv/x", "read"));
	o = ok("acl.list", "{'tenant':'acme'}");
	ck_assert_uint_eq(item_count(o), 1);
	json_decref(o);
	refused(GH_INVALID, "acl.inherit", "{'tenant':'acme','path':'/priv','on':'off'}", "on");
}
END_TEST

START_TEST(explain_names_the_entry_that_decides)
{
	json_t *o;

	with_people();
	folder_make("acme", "p");
	done("acl.grant", "{'tenant':'acme','path':'/p','who':'group:staff','rights':'read,list'}");
	o = ok("acl.explain", "{'tenant':'acme','user':'ann','path':'/p/deep/er','right':'read'}");
	ck_assert_str_eq(text_of(o, "path"), "/p");
	ck_assert_str_eq(text_of(o, "entry"), "allow group:Staff list,read");
	json_decref(o);
	o = ok("acl.explain", "{'tenant':'acme','user':'ann','path':'/p','right':'delete'}");
	ck_assert(json_is_false(json_object_get(o, "allowed")));
	ck_assert(json_is_null(json_object_get(o, "entry")));
	json_decref(o);
	done("user.set", "{'tenant':'acme','user':'ann','disabled':true}");
	ck_assert(!allowed("ann", "/p", "read"));
	refused(GH_INVALID, "acl.explain", "{'tenant':'acme','user':'ann','path':'/p','right':'full'}", "right");
	refused(GH_NOTFOUND, "acl.explain", "{'tenant':'acme','user':'none','path':'/p','right':'read'}", "none");
	refused(GH_BADNAME, "acl.explain", "{'tenant':'acme','user':'bob','path':'/p/../x','right':'read'}", "path");
}
END_TEST

START_TEST(bad_entries_are_refused)
{
	with_people();
	refused(GH_NOTFOUND, "acl.grant", "{'tenant':'acme','path':'/none','who':'everyone','rights':'read'}", "/none");
	refused(GH_INVALID, "acl.grant", "{'tenant':'acme','path':'/','who':'ann','rights':'read'}", "who");
	refused(GH_NOTFOUND, "acl.grant", "{'tenant':'acme','path':'/','who':'user:none','rights':'read'}", "none");
	refused(GH_NOTFOUND, "acl.grant", "{'tenant':'acme','path':'/','who':'group:none','rights':'read'}", "none");
	refused(GH_INVALID, "acl.grant", "{'tenant':'acme','path':'/','who':'everyone','rights':'fly'}", "rights");
	refused(GH_INVALID, "acl.grant", "{'tenant':'acme','path':'/','who':'everyone','rights':''}", "rights");
	refused(GH_INVALID, "acl.revoke", "{'tenant':'acme','path':'/','who':'everyone','rights':'read'}", "rights");
	refused(GH_NOTFOUND, "acl.grant", "{'tenant':'none','path':'/','who':'everyone','rights':'read'}", "none");
	refused(GH_NOTFOUND, "acl.list", "{'tenant':'acme','path':'/none'}", "/none");
}
END_TEST

/* Administrators at once: nothing that any of them did is lost, and none is sent away because others were faster. */
static void *grant_thread(void *arg)
{
	char args[200];
	uintptr_t failed = 0;

	gh_rcu_register();
	gh_rcu_offline();
	for (unsigned i = 0; i < 20; i++) {
		struct control_call call = { .core = core, .actor = arg, .role = CONTROL_OWNER };

		snprintf(args, sizeof(args), "{\"tenant\":\"acme\",\"path\":\"/\",\"who\":\"%s\",\"rights\":\"%s\"}",
			 (const char *)arg, i % 2 ? "read" : "write,delete");
		json_t *o = json_loads(args, 0, NULL);

		call.args = o;
		if (control_run(i % 3 != 1 ? "acl.grant" : "acl.deny", &call) != GH_OK) {
			fprintf(stderr, "%s: %s\n", args, call.message);
			failed++;
		}
		json_decref(call.result);
		json_decref(o);
	}
	gh_rcu_unregister();
	return (void *)failed;
}

static void *claim_thread(void *arg)
{
	json_t *o = json_pack("{s:s, s:[s]}", "name", (const char *)arg, "hosts", "one.example");
	struct control_call call = { .core = core, .actor = "test", .role = CONTROL_OWNER, .args = o };
	enum gh_status st;

	gh_rcu_register();
	gh_rcu_offline();
	st = control_run("tenant.add", &call);
	if (st != GH_OK)
		fprintf(stderr, "%s\n", call.message);
	gh_rcu_unregister();
	json_decref(call.result);
	json_decref(o);
	return (void *)(uintptr_t)st;
}

START_TEST(a_host_name_claimed_by_several_at_once_goes_to_one)
{
	static char names[][8] = { "t0", "t1", "t2", "t3", "t4", "t5" };
	pthread_t thread[6];
	unsigned won = 0;

	for (unsigned i = 0; i < 6; i++)
		pthread_create(&thread[i], NULL, claim_thread, names[i]);
	for (unsigned i = 0; i < 6; i++) {
		void *st;

		pthread_join(thread[i], &st);
		won += (uintptr_t)st == GH_OK;
		ck_assert((uintptr_t)st == GH_OK || (uintptr_t)st == GH_EXISTS);
	}
	ck_assert_uint_eq(won, 1);
}
END_TEST

START_TEST(administrators_at_once_neither_undo_nor_starve_each_other)
{
	static char who[][16] = { "user:ann", "user:bob", "group:staff", "everyone" };
	pthread_t thread[4];
	void *failed;

	with_people();
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, grant_thread, who[i]);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(thread[i], &failed);
		ck_assert_ptr_null(failed);
	}
	/* i = 19 denied read, i = 18 granted write and delete: for each of them */
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(allowed(i ? "ann" : "bob", "/", "write"));
		ck_assert(allowed(i ? "ann" : "bob", "/", "delete"));
		ck_assert(!allowed(i ? "ann" : "bob", "/", "read"));
	}
}
END_TEST

/* ---- locks, events, status, defender ---- */

START_TEST(locks_are_listed_and_broken)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	uint64_t node = folder_make("acme", "p");
	struct meta_lock lock = { .id = gh_id_new(),
				  .token = "urn:uuid:1",
				  .node = node,
				  .path_key = "/p",
				  .path = "/p",
				  .exclusive = true,
				  .expires_us = gh_real_us() + 60 * GH_S_US,
				  .timeout_s = 60,
				  .owner_xml = "",
				  .user_name = "ann" };
	struct meta_step s = { .kind = META_LOCK_INSERT, .lock = &lock };
	struct tenant *t;
	json_t *list, *item;

	ck_assert_int_eq(tenant_get(core, "acme", &t), GH_OK);
	ck_assert_int_eq(house_commit(core, a, t, "tester", "lock", "/p", &s, 1), GH_OK);
	gh_arena_free(&a);
	list = ok("locks.list", "{}");
	item = item_where(list, "token", "urn:uuid:1");
	ck_assert_str_eq(text_of(item, "tenant"), "acme");
	ck_assert_str_eq(text_of(item, "user"), "ann");
	ck_assert_str_eq(text_of(item, "scope"), "exclusive");
	json_decref(list);
	refused(GH_NOLOCK, "locks.break", "{'tenant':'acme','token':'urn:uuid:2'}", "lock");
	done("locks.break", "{'tenant':'acme','token':'urn:uuid:1'}");
	list = ok("locks.list", "{'tenant':'acme'}");
	ck_assert_uint_eq(item_count(list), 0);
	json_decref(list);
}
END_TEST

START_TEST(every_change_leaves_an_event_that_says_who_and_what)
{
	static const char *const whats[] = { "tenant.add",  "user.add",  "user.add",       "group.add", "acl.grant",
					     "user.passwd", "token.add", "defender.clear", "tenant.set" };
	json_t *list, *item, *page;
	char args[100];
	size_t i, at = 0;

	with_people();
	done("acl.grant", "{'tenant':'acme','path':'/','who':'everyone','rights':'read'}");
	done("user.passwd", "{'tenant':'acme','user':'ann','password':'hush'}");
	done("token.add", "{'tenant':'acme','user':'ann','name':'laptop'}");
	done("defender.clear", "{'tenant':'acme'}");
	done("tenant.set", "{'name':'acme','disabled':true}");
	list = ok("events.list", "{'tenant':'acme'}");
	ck_assert_uint_eq(item_count(list), 9);
	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		ck_assert_str_eq(text_of(item, "what"), whats[at++]);
		ck_assert_str_eq(text_of(item, "user"), "tester");
		ck_assert_str_eq(text_of(item, "tenant"), "acme");
		ck_assert_str_eq(text_of(item, "door"), "admin");
	}
	item = item_where(list, "what", "acl.grant");
	ck_assert_str_eq(text_of(item, "path"), "/");
	ck_assert_str_eq(text_of(item, "dest"), "everyone read");
	ck_assert_str_eq(text_of(item_where(list, "what", "user.passwd"), "path"), "user:Ann");
	/* a refused call leaves none, and pages go on where the last one ended */
	refused(GH_EXISTS, "user.add", "{'tenant':'acme','user':'ann','password':'x'}", "Ann");
	snprintf(args, sizeof(args), "{'after':'%s','limit':2}", text_of(item, "id"));
	page = ok("events.list", args);
	ck_assert_uint_eq(item_count(page), 2);
	ck_assert_ptr_nonnull(item_where(page, "what", "user.passwd"));
	json_decref(page);
	json_decref(list);
}
END_TEST

START_TEST(status_tells_that_it_is_ready)
{
	json_t *o = ok("status", "{}");

	ck_assert_str_eq(text_of(o, "state"), "ready");
	ck_assert_int_eq(json_integer_value(json_object_get(o, "tenants")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(o, "blobs"), "free_bytes")), 400);
	json_decref(o);
}
END_TEST

START_TEST(the_defender_forgives_a_user)
{
	json_t *o;

	with_people();
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(login_by("ann", "wrong", VFS_FTP), GH_UNAUTH);
	ck_assert_int_eq(login_by("ann", "secret", VFS_FTP), GH_THROTTLED);
	o = ok("defender.clear", "{'tenant':'acme','user':'bob'}");
	ck_assert_int_eq(json_integer_value(json_object_get(o, "cleared")), 0);
	json_decref(o);
	o = ok("defender.clear", "{'tenant':'acme','user':'ANN'}");
	ck_assert_int_eq(json_integer_value(json_object_get(o, "cleared")), 1);
	json_decref(o);
	ck_assert_int_eq(login_by("ann", "secret", VFS_FTP), GH_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, core_close);
	tcase_add_test(tc, every_operation_has_a_name_a_synopsis_and_a_function);
	tcase_add_test(tc, a_synopsis_names_exactly_the_arguments_that_are_taken);
	tcase_add_test(tc, a_role_that_is_too_little_runs_nothing);
	tcase_add_test(tc, unknown_missing_and_mistyped_arguments_are_named);
	tcase_add_test(tc, a_tenant_is_made_listed_and_changed);
	tcase_add_test(tc, a_changed_tenant_is_known_to_the_running_core);
	tcase_add_test(tc, lists_go_over_all_tenants_however_many);
	tcase_add_test(tc, a_host_name_leads_to_one_tenant);
	tcase_add_test(tc, names_of_tenants_that_could_climb_or_break_out_are_refused);
	tcase_add_test(tc, a_user_is_made_listed_changed_and_removed);
	tcase_add_test(tc, no_answer_holds_a_hash);
	tcase_add_test(tc, a_users_name_is_unique_whatever_its_case);
	tcase_add_test(tc, names_of_people_that_could_climb_or_break_out_are_refused);
	tcase_add_test(tc, passwords_are_bounded_and_hold_no_controls);
	tcase_add_test(tc, a_changed_password_works_at_once_and_the_old_one_no_more);
	tcase_add_test(tc, an_app_password_is_made_used_listed_and_revoked);
	tcase_add_test(tc, bad_app_passwords_are_refused);
	tcase_add_test(tc, groups_gain_and_lose_members);
	tcase_add_test(tc, granting_denying_and_revoking_show_at_once);
	tcase_add_test(tc, what_was_asked_for_last_holds);
	tcase_add_test(tc, inheritance_is_switched_off_and_on);
	tcase_add_test(tc, explain_names_the_entry_that_decides);
	tcase_add_test(tc, bad_entries_are_refused);
	tcase_add_test(tc, a_host_name_claimed_by_several_at_once_goes_to_one);
	tcase_add_test(tc, administrators_at_once_neither_undo_nor_starve_each_other);
	tcase_add_test(tc, locks_are_listed_and_broken);
	tcase_add_test(tc, every_change_leaves_an_event_that_says_who_and_what);
	tcase_add_test(tc, status_tells_that_it_is_ready);
	tcase_add_test(tc, the_defender_forgives_a_user);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
