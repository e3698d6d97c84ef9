/* The register of live sessions: who is told what when rules change or somebody loses the way in, what lists show, and
 * rounds over loops where sessions come and go meanwhile (TSan watches). Doors are made of paper. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/control.h"
#include "core/sessions.h"
#include "tests/unit/core/fixture.h"

#define GUESTS 12

/* A session of a door that does nothing but listen. */
struct guest {
	struct vfs_live live; /* first */
	unsigned told, ended;
	enum gh_status last;
	bool by_name, drains, up;
	char said[128];
};

static struct house_fixture f;
static struct guest guests[GUESTS];
static unsigned guest_count;

static void told(struct vfs_live *l, const struct vfs_verdict *v)
{
	struct guest *g = (struct guest *)l;

	g->told++;
	g->last = v->status;
	g->by_name = v->by_name;
	g->drains = v->drains;
	snprintf(g->said, sizeof(g->said), "%s", v->message ? v->message : "");
	if (v->by_name) {
		g->ended++;
		vfs_live_leave(l);
	}
}

static void look(struct vfs_live *l, struct vfs_live_look *ret)
{
	const struct guest *g = (struct guest *)l;

	ret->doing = g->up ? "write" : "idle";
	ret->path = g->up ? "/big.bin" : NULL;
	ret->up = g->up;
	ret->moved = g->up ? 512 : 0;
	ret->size = g->up ? 1024 : 0;
	ret->bytes_in = ret->moved;
}

static const struct vfs_live_ops paper = { .told = told, .look = look };

static void enter(void *arg)
{
	struct guest *g = arg;

	vfs_live_enter(f.core, f.loop, &g->live);
}

static struct guest *guest_new(enum vfs_proto proto, struct vfs_session *who)
{
	struct guest *g = &guests[guest_count++];

	g->live = (struct vfs_live){ .ops = &paper, .proto = proto, .peer = "192.0.2.1" };
	g->last = GH_STATUS_COUNT;
	vfs_live_who(&g->live, who);
	fixture_on_loop(&f, enter, g);
	return g;
}

static void leave_all(void *arg)
{
	for (unsigned i = 0; i < guest_count; i++)
		vfs_live_leave(&guests[i].live);
}

static void open_house(void)
{
	guest_count = 0;
	memset(guests, 0, sizeof(guests));
	fixture_open(&f);
}

static void close_house(void)
{
	fixture_on_loop(&f, leave_all, NULL);
	fixture_close(&f);
}

/* args is JSON with ' for ". */
static json_t *ok(const char *op, const char *args)
{
	struct control_call call = { .core = f.core, .actor = "tester", .role = CONTROL_OWNER };
	char text[512];
	enum gh_status st;

	snprintf(text, sizeof(text), "%s", args);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	call.args = json_loads(text, 0, NULL);
	ck_assert_msg(call.args != NULL, "%s", text);
	st = control_run(op, &call);
	ck_assert_msg(st == GH_OK, "%s %s: %s", op, args, call.message);
	json_decref((json_t *)call.args);
	return call.result;
}

static void done(const char *op, const char *args)
{
	json_decref(ok(op, args));
}

static size_t listed(const char *op, const char *args)
{
	json_t *r = ok(op, args);
	const size_t n = json_array_size(json_object_get(r, "items"));

	json_decref(r);
	return n;
}

/* A login over FTP as a door makes it; the session is the caller's. */
static void login_make(void *arg)
{
	*(struct vfs_req **)arg = vfs_req_new(f.core, f.loop, VFS_LOGIN, VFS_FTP, NULL);
}

static enum gh_status login(const char *user, const char *password, struct vfs_session **ret)
{
	struct vfs_req *r;
	enum gh_status st;

	fixture_on_loop(&f, login_make, &r);
	r->host = "";
	r->user = gh_strdup(r->arena, user);
	r->password = gh_strdup(r->arena, password);
	st = fixture_run(&f, r);
	*ret = st == GH_OK ? vfs_session_ref(r->new_session) : NULL;
	fixture_free(&f, &r);
	return st;
}

static struct vfs_session *logged_in(const char *user, const char *password)
{
	struct vfs_session *s;

	ck_assert_int_eq(login(user, password, &s), GH_OK);
	return s;
}

static enum gh_status asks(struct vfs_session *s)
{
	return fixture_do(&f, VFS_STAT, s, "/", NULL, 0);
}

START_TEST(a_change_of_the_rules_tells_each_session_how_it_stands_now)
{
	struct guest *ftp = guest_new(VFS_FTP, f.admin), *dav = guest_new(VFS_WEBDAV, f.admin);

	done("switch.set", "{'protocols':['ftp'],'mode':'off','message':'Use https'}");
	ck_assert_uint_eq(ftp->told, 1);
	ck_assert_int_eq(ftp->last, GH_OFF);
	ck_assert_str_eq(ftp->said, "Use https");
	ck_assert(!ftp->by_name);
	ck_assert_int_eq(dav->last, GH_OK);
	done("switch.set", "{'protocols':['ftp'],'mode':'drain'}");
	ck_assert_int_eq(ftp->last, GH_DRAINING);
	ck_assert(ftp->drains);
	done("switch.set", "{'protocols':['ftp'],'mode':'read-only'}");
	ck_assert_int_eq(ftp->last, GH_OK); /* as a whole it may stay */
	done("switch.clear", "{'protocols':['ftp']}");
	ck_assert_uint_eq(ftp->told, 4);
	ck_assert_int_eq(ftp->last, GH_OK);
}
END_TEST

START_TEST(nobody_is_told_of_a_rule_that_was_refused_or_only_tried)
{
	struct guest *g = guest_new(VFS_FTP, f.admin);
	json_t *r = ok("switch.set", "{'protocols':['ftp'],'mode':'off','dry_run':true}");

	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(r, "hit"), "sessions")), 1);
	json_decref(r);
	ck_assert_uint_eq(g->told, 0);
}
END_TEST

START_TEST(a_dry_run_counts_what_the_rule_would_decide_for)
{
	json_t *r, *hit;

	for (unsigned i = 0; i < 3; i++)
		guest_new(VFS_FTP, f.admin)->up = i == 0;
	guest_new(VFS_WEBDAV, f.admin)->up = true;
	r = ok("switch.set", "{'protocols':['ftp'],'mode':'off','dry_run':true}");
	hit = json_object_get(r, "hit");
	ck_assert_int_eq(json_integer_value(json_object_get(hit, "sessions")), 3);
	ck_assert_int_eq(json_integer_value(json_object_get(hit, "uploads")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(hit, "downloads")), 0);
	json_decref(r);
	r = ok("switch.set", "{'classes':['read'],'mode':'off','dry_run':true}");
	hit = json_object_get(r, "hit");
	ck_assert_int_eq(json_integer_value(json_object_get(hit, "sessions")), 4);
	ck_assert_int_eq(json_integer_value(json_object_get(hit, "uploads")), 0);
	json_decref(r);
}
END_TEST

START_TEST(lists_show_who_is_there_and_what_is_on_its_way)
{
	json_t *r, *item, *transfer;

	guest_new(VFS_FTP, f.admin)->up = true;
	guest_new(VFS_REST, NULL);
	ck_assert_uint_eq(listed("session.list", "{}"), 2);
	ck_assert_uint_eq(listed("session.list", "{'limit':1}"), 1);
	ck_assert_uint_eq(listed("session.list", "{'tenant':'default'}"), 1);
	ck_assert_uint_eq(listed("session.list", "{'proto':'rest'}"), 1);
	r = ok("session.list", "{'proto':'ftp'}");
	item = json_array_get(json_object_get(r, "items"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(item, "user")), "admin");
	ck_assert_str_eq(json_string_value(json_object_get(item, "doing")), "write");
	transfer = json_object_get(item, "transfer");
	ck_assert_str_eq(json_string_value(json_object_get(transfer, "direction")), "up");
	ck_assert_int_eq(json_integer_value(json_object_get(transfer, "bytes")), 512);
	ck_assert_int_eq(json_integer_value(json_object_get(transfer, "size")), 1024);
	json_decref(r);
	r = ok("upload.list", "{}");
	item = json_array_get(json_object_get(r, "items"), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(r, "items")), 1);
	ck_assert_str_eq(json_string_value(json_object_get(item, "path")), "/big.bin");
	json_decref(r);
}
END_TEST

START_TEST(an_administrator_ends_one_session_or_a_users)
{
	struct guest *one = guest_new(VFS_FTP, f.admin), *two = guest_new(VFS_FTP, f.admin), *other;
	uint64_t id;
	struct vfs_session *ann = fixture_user(&f, "ann", &id);
	char args[64];

	other = guest_new(VFS_WEBDAV, ann);
	snprintf(args, sizeof(args), "{'id':'%llu'}", (unsigned long long)one->live.id);
	done("session.kill", args);
	ck_assert_uint_eq(one->ended, 1);
	ck_assert_uint_eq(two->ended + other->ended, 0);
	done("session.kill", "{'tenant':'default','user':'ann'}");
	ck_assert_uint_eq(other->ended, 1);
	ck_assert_uint_eq(two->ended, 0);
	done("session.kill", "{'tenant':'default'}");
	ck_assert_uint_eq(two->ended, 1);
	vfs_session_unref(&ann);
}
END_TEST

START_TEST(a_new_password_ends_what_the_old_one_opened_and_nothing_else)
{
	struct vfs_session *by_password, *by_token, *nobody;
	struct guest *old, *app;
	json_t *token;

	done("user.add", "{'tenant':'default','user':'ann','password':'before'}");
	token = ok("token.add", "{'tenant':'default','user':'ann','name':'laptop'}");
	by_password = logged_in("ann", "before");
	by_token = logged_in("ann", json_string_value(json_object_get(token, "password")));
	old = guest_new(VFS_FTP, by_password);
	app = guest_new(VFS_FTP, by_token);
	done("group.add", "{'tenant':'default','group':'staff','members':['ann']}");
	done("token.add", "{'tenant':'default','user':'ann','name':'phone'}");
	ck_assert_uint_eq(old->told + app->told, 0); /* changes of the user, but not of the way in */
	ck_assert_int_eq(asks(by_password), GH_NOTFOUND); /* no rights at all: but it is a user */
	done("user.passwd", "{'tenant':'default','user':'ann','password':'after'}");
	ck_assert_uint_eq(old->ended, 1);
	ck_assert_uint_eq(app->ended, 0);
	ck_assert_int_eq(asks(by_password), GH_UNAUTH);
	ck_assert_int_eq(asks(by_token), GH_NOTFOUND);
	ck_assert_int_eq(login("ann", "before", &nobody), GH_UNAUTH);
	char args[128];
	snprintf(args, sizeof(args), "{'tenant':'default','user':'ann','id':'%s'}",
		 json_string_value(json_object_get(token, "id")));
	done("token.revoke", args);
	ck_assert_uint_eq(app->ended, 1);
	ck_assert_int_eq(asks(by_token), GH_UNAUTH);
	json_decref(token);
	vfs_session_unref(&by_password);
	vfs_session_unref(&by_token);
}
END_TEST

START_TEST(an_app_password_that_is_over_opens_nothing_more_to_an_open_session)
{
	json_t *token;
	struct vfs_session *s;

	done("user.add", "{'tenant':'default','user':'ann','password':'secret'}");
	token = ok("token.add", "{'tenant':'default','user':'ann','name':'laptop','days':1}");
	s = logged_in("ann", json_string_value(json_object_get(token, "password")));
	json_decref(token);
	ck_assert_int_eq(asks(s), GH_NOTFOUND);
	ck_assert_int_gt(s->proof.expires_us, gh_real_us());
	s->proof.expires_us = gh_real_us() - 1; /* a day later */
	ck_assert_int_eq(asks(s), GH_UNAUTH);
	vfs_session_unref(&s);
}
END_TEST

START_TEST(a_user_or_tenant_that_is_shut_out_is_ended_at_once)
{
	struct vfs_session *ann, *bob;
	struct guest *a, *b;

	done("user.add", "{'tenant':'default','user':'ann','password':'secret'}");
	done("user.add", "{'tenant':'default','user':'bob','password':'secret'}");
	ann = logged_in("ann", "secret");
	bob = logged_in("bob", "secret");
	a = guest_new(VFS_FTP, ann);
	b = guest_new(VFS_WEBDAV, bob);
	done("user.set", "{'tenant':'default','user':'ann','owner':true}");
	ck_assert_uint_eq(a->told, 0);
	done("user.set", "{'tenant':'default','user':'ann','disabled':true}");
	ck_assert_uint_eq(a->ended, 1);
	ck_assert_uint_eq(b->ended, 0);
	ck_assert_int_eq(asks(ann), GH_UNAUTH);
	done("tenant.set", "{'name':'default','disabled':true}");
	ck_assert_uint_eq(b->ended, 1);
	ck_assert_int_eq(asks(bob), GH_OFF);
	vfs_session_unref(&ann);
	vfs_session_unref(&bob);
}
END_TEST

/* ---- rounds while they come and go, on two loops ---- */

struct crowd {
	struct gh_task task;
	struct gh_loop *loop;
	struct guest of[40];
	unsigned left, in;
	atomic_bool done;
};

static void crowd_move(struct gh_task *t)
{
	struct crowd *c = (struct crowd *)t;
	struct guest *g = &c->of[c->left % 40];

	if (g->live.hall) {
		vfs_live_leave(&g->live);
	} else {
		g->live = (struct vfs_live){ .ops = &paper, .proto = VFS_FTP, .peer = "-" };
		vfs_live_who(&g->live, f.admin);
		vfs_live_enter(f.core, c->loop, &g->live);
	}
	if (--c->left) {
		gh_loop_post(c->loop, t);
		return;
	}
	for (unsigned i = 0; i < 40; i++)
		vfs_live_leave(&c->of[i].live);
	atomic_store(&c->done, true);
}

static void count(struct vfs_live *l, void *arg)
{
	ck_assert_ptr_nonnull(l->hall);
	++*(unsigned *)arg;
}

START_TEST(rounds_find_everybody_while_others_come_and_go)
{
	struct gh_loop *second;
	static struct crowd crowds[2];
	unsigned rounds = 0;

	for (unsigned i = 0; i < GUESTS; i++)
		guest_new(VFS_FTP, f.admin);
	ck_assert_int_eq(gh_loop_new(1, &second), GH_OK);
	ck_assert_int_eq(gh_loop_start(second), GH_OK);
	for (unsigned i = 0; i < 2; i++) {
		crowds[i].task.fn = crowd_move;
		crowds[i].loop = i ? second : f.loop;
		crowds[i].left = 20000;
		gh_loop_post(crowds[i].loop, &crowds[i].task);
	}
	while (!atomic_load(&crowds[0].done) || !atomic_load(&crowds[1].done) || rounds < 20) {
		unsigned n = 0;

		ck_assert(sessions_each(f.core, count, &n, 20000));
		ck_assert_uint_ge(n, GUESTS);
		ck_assert_uint_le(n, GUESTS + 80);
		rounds++;
	}
	gh_loop_stop(second);
	gh_loop_free(&second);
}
END_TEST

static void nap(struct gh_task *t)
{
	const struct timespec while_waited_for = { 0, 300000000 };

	nanosleep(&while_waited_for, NULL);
}

START_TEST(a_loop_that_is_busy_elsewhere_is_not_waited_for_beyond_the_deadline)
{
	struct gh_task busy = { .fn = nap };
	unsigned n = 0;

	guest_new(VFS_FTP, f.admin);
	guest_new(VFS_FTP, f.admin);
	gh_loop_post(f.loop, &busy);
	ck_assert(!sessions_each(f.core, count, &n, 50));
	ck_assert_uint_eq(n, 0);
	ck_assert(sessions_each(f.core, count, &n, 20000)); /* the next round is none the worse for it */
	ck_assert_uint_eq(n, 2); /* and the one before called nobody any more */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sessions");
	TCase *t = tcase_create("sessions");
	tcase_add_checked_fixture(t, open_house, close_house);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_change_of_the_rules_tells_each_session_how_it_stands_now);
	tcase_add_test(t, nobody_is_told_of_a_rule_that_was_refused_or_only_tried);
	tcase_add_test(t, a_dry_run_counts_what_the_rule_would_decide_for);
	tcase_add_test(t, lists_show_who_is_there_and_what_is_on_its_way);
	tcase_add_test(t, an_administrator_ends_one_session_or_a_users);
	tcase_add_test(t, a_new_password_ends_what_the_old_one_opened_and_nothing_else);
	tcase_add_test(t, an_app_password_that_is_over_opens_nothing_more_to_an_open_session);
	tcase_add_test(t, a_user_or_tenant_that_is_shut_out_is_ended_at_once);
	tcase_add_test(t, rounds_find_everybody_while_others_come_and_go);
	tcase_add_test(t, a_loop_that_is_busy_elsewhere_is_not_waited_for_beyond_the_deadline);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	const int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
