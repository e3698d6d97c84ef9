/* Tenants, users, groups, app passwords, entries: put, read, removed with all that hangs on them. */
#include "tests/unit/metadata/help.h"

static struct fix f;

static void setup(void)
{
	fix_new(&f);
}

static void teardown(void)
{
	fix_free(&f);
}

static enum gh_status user_put(uint64_t id, const char *name, bool owner)
{
	struct meta_user u = { .id = id, .name = name, .key = name, .owner = owner, .password_hash = "$argon2id$x" };

	return run_step(&f, (struct meta_step){ .kind = META_USER_PUT, .user = &u });
}

static enum gh_status group_put(uint64_t id, const char *name)
{
	struct meta_group g = { .id = id, .name = name };

	return run_step(&f, (struct meta_step){ .kind = META_GROUP_PUT, .group = &g });
}

static enum gh_status member(enum meta_step_kind kind, uint64_t group, uint64_t user)
{
	struct meta_group g = { .id = group };
	struct meta_user u = { .id = user };

	return run_step(&f, (struct meta_step){ .kind = kind, .group = &g, .user = &u });
}

static struct meta_user *user_read(const char *key)
{
	struct meta_user *u = NULL;
	enum gh_status st = meta_user_by_name(f.m, &f.call, TENANT, key, &u);

	ck_assert(st == GH_OK || st == GH_NOTFOUND);
	return u;
}

static void acl_put(uint64_t node, bool inherit_off, unsigned count, struct meta_ace *aces)
{
	struct meta_acl_node n = { .id = node, .inherit_off = inherit_off, .ace_count = count, .aces = aces };

	OK(run_step(&f, (struct meta_step){ .kind = META_ACL_SET, .acl = &n }));
}

static struct meta_rights *rights(void)
{
	struct meta_rights *r;

	OK(meta_rights_load(f.m, &f.call, TENANT, &r));
	return r;
}

/* ---- tenants ---- */

START_TEST(a_new_tenant_has_a_root_and_a_trash_that_no_client_can_name)
{
	struct meta_tenant *t;
	struct meta_node *root = node_read(&f, ROOT), *trash = node_read(&f, TRASH);
	struct meta_page p;
	unsigned n;

	OK(meta_tenants(f.m, &f.call, 0, 10, &t, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(t->id, TENANT);
	ck_assert_str_eq(t->name, "acme");
	ck_assert(!t->disabled && !t->case_sensitive);
	ck_assert_uint_eq(t->root, ROOT);
	ck_assert_uint_eq(t->trash, TRASH);
	ck_assert_uint_gt(t->tree_gen, 0);
	ck_assert_uint_gt(t->rights_epoch, 0);
	ck_assert_uint_gt(t->route_epoch, 0);
	ck_assert(root && root->parent == 0 && root->type == META_FOLDER && strchr(root->key, '/'));
	ck_assert(trash && trash->parent == 0 && trash->type == META_FOLDER && strchr(trash->key, '/'));
	OK(meta_list(f.m, &f.call, TENANT, ROOT, "", 10, &p));
	ck_assert_uint_eq(p.count, 0);
	SOUND(&f);
}
END_TEST

START_TEST(a_tenant_is_changed_without_touching_its_tree)
{
	struct meta_tenant t = { .id = TENANT, .name = "acme", .hosts = "a.example b.example", .disabled = true }, *r;
	struct meta_node n = file_make(&f, ROOT, "a", 1);

	OK(run_step(&f, (struct meta_step){ .kind = META_TENANT_PUT, .tenant = &t }));
	OK(meta_tenant_by_name(f.m, &f.call, "acme", &r));
	ck_assert_str_eq(r->hosts, "a.example b.example");
	ck_assert(r->disabled);
	ck_assert_uint_eq(r->root, ROOT);
	ck_assert_ptr_nonnull(node_read(&f, n.id));
	IS(GH_NOTFOUND, meta_tenant_by_name(f.m, &f.call, "acm", &r));
	SOUND(&f);
}
END_TEST

START_TEST(two_tenants_cannot_have_one_name)
{
	struct meta_tenant t = { .id = 5, .name = "acme", .hosts = "", .root = 6, .trash = 7 };
	struct meta_step s = { .kind = META_TENANT_PUT, .tenant = &t };
	struct meta_batch b = batch_new(&s, 1);
	struct meta_tenant *r;
	unsigned n;

	b.tenant = 5;
	IS(GH_EXISTS, meta_commit(f.m, &f.call, &b));
	OK(meta_tenants(f.m, &f.call, 0, 10, &r, &n));
	ck_assert_uint_eq(n, 1);
	b.tenant = 9; /* not the one it makes */
	IS(GH_BUG, meta_commit(f.m, &f.call, &b));
}
END_TEST

START_TEST(tenants_are_paged)
{
	struct meta_tenant *t;
	unsigned n;

	tenant_make(&f, 2000, 2001, 2002, "b");
	tenant_make(&f, 3000, 3001, 3002, "c");
	OK(meta_tenants(f.m, &f.call, 0, 2, &t, &n));
	ck_assert_uint_eq(n, 2);
	OK(meta_tenants(f.m, &f.call, t[1].id, 2, &t, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(t->name, "c");
}
END_TEST

/* ---- users and groups ---- */

START_TEST(a_user_is_put_changed_and_read_and_its_generation_rises)
{
	struct meta_user *u, *v;

	OK(user_put(10, "ann", true));
	u = user_read("ann");
	ck_assert_uint_eq(u->id, 10);
	ck_assert_str_eq(u->name, "ann");
	ck_assert(u->owner && !u->disabled);
	ck_assert_str_eq(u->password_hash, "$argon2id$x");
	ck_assert_uint_eq(u->group_count, 0);
	OK(user_put(10, "anna", false));
	ck_assert_ptr_null(user_read("ann"));
	v = user_read("anna");
	ck_assert(!v->owner);
	ck_assert_uint_gt(v->gen, u->gen);
	IS(GH_EXISTS, user_put(11, "anna", false));
	ck_assert_ptr_null(user_read("bob"));
}
END_TEST

START_TEST(users_are_paged_by_key_with_their_groups)
{
	struct meta_user *u;
	unsigned n;

	OK(user_put(10, "cy", false));
	OK(user_put(11, "ann", false));
	OK(user_put(12, "bob", false));
	OK(group_put(20, "staff"));
	OK(group_put(21, "admins"));
	OK(member(META_MEMBER_ADD, 20, 12));
	OK(member(META_MEMBER_ADD, 21, 12));
	OK(member(META_MEMBER_ADD, 20, 10));
	OK(meta_users(f.m, &f.call, TENANT, "", 2, &u, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(u[0].key, "ann");
	ck_assert_str_eq(u[1].key, "bob");
	ck_assert_uint_eq(u[1].group_count, 2);
	ck_assert_uint_eq(u[1].groups[0], 20);
	ck_assert_uint_eq(u[1].groups[1], 21);
	OK(meta_users(f.m, &f.call, TENANT, "bob", 2, &u, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(u[0].key, "cy");
	ck_assert_uint_eq(user_read("cy")->group_count, 1);
}
END_TEST

START_TEST(groups_have_members_and_unique_names)
{
	struct meta_group *g;
	unsigned n;

	OK(user_put(10, "ann", false));
	OK(user_put(11, "bob", false));
	OK(group_put(20, "staff"));
	OK(group_put(21, "admins"));
	IS(GH_EXISTS, group_put(22, "staff"));
	OK(member(META_MEMBER_ADD, 20, 11));
	OK(member(META_MEMBER_ADD, 20, 10));
	OK(member(META_MEMBER_ADD, 20, 10)); /* again changes nothing */
	OK(member(META_MEMBER_ADD, 20, 99)); /* nobody */
	OK(meta_groups(f.m, &f.call, TENANT, &g, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(g[0].name, "admins");
	ck_assert_uint_eq(g[0].member_count, 0);
	ck_assert_str_eq(g[1].name, "staff");
	ck_assert_uint_eq(g[1].member_count, 2);
	ck_assert_uint_eq(g[1].members[0], 10);
	OK(member(META_MEMBER_REMOVE, 20, 10));
	OK(group_put(20, "crew"));
	OK(meta_groups(f.m, &f.call, TENANT, &g, &n));
	ck_assert_str_eq(g[1].name, "crew");
	ck_assert_uint_eq(g[1].member_count, 1);
	SOUND(&f);
}
END_TEST

START_TEST(app_passwords_come_and_go_and_raise_their_users_generation)
{
	struct meta_token t = { .id = 30, .user = 10, .name = "laptop", .hash = "h", .scope = 2, .expires_us = 99 }, *r;
	uint64_t gen;
	unsigned n;

	OK(user_put(10, "ann", false));
	gen = user_read("ann")->gen;
	OK(run_step(&f, (struct meta_step){ .kind = META_TOKEN_PUT, .token = &t }));
	OK(meta_tokens(f.m, &f.call, TENANT, 10, &r, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(r->id, 30);
	ck_assert_uint_eq(r->user, 10);
	ck_assert_str_eq(r->name, "laptop");
	ck_assert_str_eq(r->hash, "h");
	ck_assert_uint_eq(r->scope, 2);
	ck_assert_int_gt(r->made_us, 0);
	ck_assert_int_eq(r->expires_us, 99);
	ck_assert_uint_gt(user_read("ann")->gen, gen);
	gen = user_read("ann")->gen;
	t.id = 31;
	IS(GH_EXISTS, run_step(&f, (struct meta_step){ .kind = META_TOKEN_PUT, .token = &t }));
	t.id = 30;
	OK(run_step(&f, (struct meta_step){ .kind = META_TOKEN_DELETE, .token = &t }));
	ck_assert_uint_gt(user_read("ann")->gen, gen);
	OK(meta_tokens(f.m, &f.call, TENANT, 10, &r, &n));
	ck_assert_uint_eq(n, 0);
}
END_TEST

/* ---- rights ---- */

START_TEST(rights_hold_nodes_with_entries_and_what_is_above_parents_first)
{
	uint64_t a = folder_make(&f, ROOT, "a"), b = folder_make(&f, a, "b"), c = folder_make(&f, b, "c");
	struct meta_ace e[2] = { { 'u', 10, true, 3 }, { 'g', 20, false, 5 } };
	struct meta_rights *r;
	uint64_t trashed = folder_make(&f, TRASH, "1");

	folder_make(&f, a, "beside");
	OK(user_put(11, "bob", true));
	OK(user_put(10, "ann", false));
	OK(group_put(20, "staff"));
	OK(member(META_MEMBER_ADD, 20, 10));
	acl_put(c, true, 2, e);
	acl_put(a, false, 1, e + 1);
	acl_put(trashed, false, 1, e);
	r = rights();
	ck_assert_uint_eq(r->acl_count, 4);
	ck_assert_uint_eq(r->acl[0].id, ROOT);
	ck_assert_uint_eq(r->acl[0].ace_count, 0);
	ck_assert_uint_eq(r->acl[1].id, a);
	ck_assert_uint_eq(r->acl[1].ace_count, 1);
	ck_assert_int_eq(r->acl[1].aces[0].who, 'g');
	ck_assert_uint_eq(r->acl[1].aces[0].who_id, 20);
	ck_assert_uint_eq(r->acl[2].id, b);
	ck_assert_uint_eq(r->acl[2].parent, a);
	ck_assert_str_eq(r->acl[2].key, "b");
	ck_assert_uint_eq(r->acl[3].id, c);
	ck_assert(r->acl[3].inherit_off);
	ck_assert_uint_eq(r->acl[3].ace_count, 2);
	ck_assert(r->acl[3].aces[0].deny);
	ck_assert_uint_eq(r->acl[3].aces[1].rights, 5);
	ck_assert_uint_eq(r->user_count, 2);
	ck_assert_uint_eq(r->users[0].id, 10);
	ck_assert_uint_eq(r->users[0].group_count, 1);
	ck_assert_uint_eq(r->users[0].groups[0], 20);
	ck_assert_uint_eq(r->users[1].group_count, 0);
	ck_assert(r->users[1].owner);
	ck_assert_str_eq(r->users[1].password_hash, "");
	acl_put(c, false, 0, NULL);
	acl_put(a, false, 0, NULL);
	ck_assert_uint_eq(rights()->acl_count, 0);
	IS(GH_NOTFOUND, meta_rights_load(f.m, &f.call, 99, &r));
}
END_TEST

static struct meta_mark mark(void)
{
	struct meta_mark m;

	OK(meta_rights_mark(f.m, &f.call, TENANT, &m));
	return m;
}

START_TEST(the_mark_of_rights_changes_with_them_and_with_nothing_else)
{
	const struct meta_mark before = mark();
	struct meta_rights *r = rights();
	struct meta_mark now;

	ck_assert_uint_eq(before.rights_epoch, r->rights_epoch);
	ck_assert_uint_eq(before.tree_gen, r->tree_gen);
	folder_make(&f, ROOT, "a");
	now = mark();
	ck_assert_mem_eq(&now, &before, sizeof(now));
	OK(run_step(&f, (struct meta_step){ .kind = META_RIGHTS_EPOCH }));
	now = mark();
	ck_assert_mem_ne(&now, &before, sizeof(now));
	IS(GH_NOTFOUND, meta_rights_mark(f.m, &f.call, 99, &now));
}
END_TEST

START_TEST(another_log_is_another_mark_though_everything_else_is_the_same)
{
	const struct meta_mark before = mark();
	struct meta_mark now;

	OK(meta_feed_renew(f.m, &f.call, 0));
	now = mark();
	ck_assert_uint_eq(now.rights_epoch, before.rights_epoch);
	ck_assert_mem_ne(&now, &before, sizeof(now));
}
END_TEST

START_TEST(a_deleted_user_takes_entries_tokens_and_memberships_along)
{
	uint64_t a = folder_make(&f, ROOT, "a"), b = folder_make(&f, ROOT, "b");
	struct meta_ace e[2] = { { 'u', 10, false, 3 }, { 'e', 0, false, 1 } };
	struct meta_token t = { .id = 30, .user = 10, .name = "laptop", .hash = "h" }, *tr;
	struct meta_rights *r;
	struct meta_group *g;
	unsigned n;

	OK(user_put(10, "ann", false));
	OK(group_put(20, "staff"));
	OK(member(META_MEMBER_ADD, 20, 10));
	OK(run_step(&f, (struct meta_step){ .kind = META_TOKEN_PUT, .token = &t }));
	acl_put(a, false, 1, e);
	acl_put(b, false, 2, e);
	OK(run_step(&f, (struct meta_step){ .kind = META_USER_DELETE, .user = &(struct meta_user){ .id = 10 } }));
	ck_assert_ptr_null(user_read("ann"));
	OK(meta_tokens(f.m, &f.call, TENANT, 10, &tr, &n));
	ck_assert_uint_eq(n, 0);
	OK(meta_groups(f.m, &f.call, TENANT, &g, &n));
	ck_assert_uint_eq(g->member_count, 0);
	r = rights();
	ck_assert_uint_eq(r->acl_count, 2); /* root, b */
	ck_assert_uint_eq(r->acl[1].id, b);
	ck_assert_uint_eq(r->acl[1].ace_count, 1);
	ck_assert_int_eq(r->acl[1].aces[0].who, 'e');
	SOUND(&f);
}
END_TEST

START_TEST(a_deleted_group_takes_entries_and_memberships_along)
{
	uint64_t a = folder_make(&f, ROOT, "a");
	struct meta_ace e[2] = { { 'u', 20, false, 3 }, { 'g', 20, false, 1 } };
	struct meta_rights *r;

	OK(user_put(10, "ann", false));
	OK(group_put(20, "staff"));
	OK(member(META_MEMBER_ADD, 20, 10));
	acl_put(a, false, 2, e);
	OK(run_step(&f, (struct meta_step){ .kind = META_GROUP_DELETE, .group = &(struct meta_group){ .id = 20 } }));
	r = rights();
	ck_assert_uint_eq(r->acl[1].ace_count, 1);
	ck_assert_int_eq(r->acl[1].aces[0].who, 'u'); /* a user of the same id is someone else */
	ck_assert_uint_eq(user_read("ann")->group_count, 0);
	SOUND(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata people");
	TCase *t = tcase_create("people");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_new_tenant_has_a_root_and_a_trash_that_no_client_can_name);
	tcase_add_test(t, a_tenant_is_changed_without_touching_its_tree);
	tcase_add_test(t, two_tenants_cannot_have_one_name);
	tcase_add_test(t, tenants_are_paged);
	tcase_add_test(t, a_user_is_put_changed_and_read_and_its_generation_rises);
	tcase_add_test(t, users_are_paged_by_key_with_their_groups);
	tcase_add_test(t, groups_have_members_and_unique_names);
	tcase_add_test(t, app_passwords_come_and_go_and_raise_their_users_generation);
	tcase_add_test(t, rights_hold_nodes_with_entries_and_what_is_above_parents_first);
	tcase_add_test(t, the_mark_of_rights_changes_with_them_and_with_nothing_else);
	tcase_add_test(t, another_log_is_another_mark_though_everything_else_is_the_same);
	tcase_add_test(t, a_deleted_user_takes_entries_tokens_and_memberships_along);
	tcase_add_test(t, a_deleted_group_takes_entries_and_memberships_along);
	suite_add_tcase(s, t);
	return run_suite(s);
}
