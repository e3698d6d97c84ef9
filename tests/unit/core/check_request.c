/* The life of a request, and what failing stores leave behind: deadlines, detaching, full queues, lost answers. */
#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/blob/fault.h"
#include "core/base/metrics.h"
#include "core/fair.h"
#include "core/node_cache.h"
#include "tests/unit/core/fixture.h"

static struct house_fixture f;

static void open_house(void)
{
	f.queue_max = 16;
	fixture_open(&f);
}

static void close_house(void)
{
	blob_fault_clear(f.blobs);
	fixture_close(&f);
}

static void is(enum gh_status got, enum gh_status want)
{
	ck_assert_msg(got == want, "got %s, want %s", gh_status_name(got), gh_status_name(want));
}

static enum gh_status put(const char *path, const char *text)
{
	return fixture_put(&f, f.admin, path, text, strlen(text), 0, 0);
}

static void shows(const char *path, const char *want)
{
	size_t len;
	enum gh_status st;
	char *got = fixture_get(&f, f.admin, path, &len, &st);
	is(st, want ? GH_OK : GH_NOTFOUND);
	if (want)
		ck_assert_str_eq(got, want);
	free(got);
}

static void fault(enum blob_fault_op op, enum blob_fault_how how, enum gh_status st)
{
	const struct blob_fault b = { .op = op, .how = how, .nth = 1, .status = st };
	blob_fault_set(f.blobs, &b);
}

static struct vfs_upload *begun(const char *path, const char *text)
{
	struct vfs_req *r = fixture_req(&f, VFS_WRITE_BEGIN, f.admin, path, NULL);
	struct vfs_upload *u = NULL;
	is(fixture_run(&f, r), GH_OK);
	vfs_upload_take(r, &u);
	fixture_free(&f, &r);
	is(vfs_upload_push(u, text, strlen(text), NULL, NULL), GH_OK);
	return u;
}

START_TEST(a_store_that_fails_leaves_the_old_file)
{
	is(put("/a", "old"), GH_OK);
	fault(BLOB_FAULT_PUT, BLOB_FAULT_FAIL, GH_IO);
	is(put("/a", "new"), GH_IO);
	shows("/a", "old");
	fault(BLOB_FAULT_PUT, BLOB_FAULT_FAIL, GH_NOSPACE);
	is(put("/b", "new"), GH_NOSPACE);
	shows("/b", NULL);
	fault(BLOB_FAULT_PUT, BLOB_FAULT_LOSE, GH_IO);
	is(put("/a", "new"), GH_IO);
	shows("/a", "old");
	is(put("/a", "new"), GH_OK);
	shows("/a", "new");
}
END_TEST

START_TEST(staging_that_fails_anywhere_leaves_the_old_file)
{
	const enum blob_fault_op ops[] = { BLOB_FAULT_STAGE_BEGIN, BLOB_FAULT_STAGE_WRITE, BLOB_FAULT_STAGE_FLUSH,
					   BLOB_FAULT_STAGE_COMMIT };
	const size_t len = 20u << 20;
	char *big = calloc(1, len);
	is(put("/a", "old"), GH_OK);
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		fault(ops[i], BLOB_FAULT_FAIL, GH_NOSPACE);
		is(fixture_put(&f, f.admin, "/a", big, len, 0, 0), GH_NOSPACE);
		shows("/a", "old");
	}
	free(big);
}
END_TEST

START_TEST(a_read_that_fails_is_an_error_and_never_short)
{
	size_t len;
	enum gh_status st;
	is(put("/a", "hello"), GH_OK);
	fault(BLOB_FAULT_READER_READ, BLOB_FAULT_FAIL, GH_DAMAGED);
	char *got = fixture_get(&f, f.admin, "/a", &len, &st);
	is(st, GH_DAMAGED);
	free(got);
	shows("/a", "hello");
}
END_TEST

struct waiting {
	struct vfs_req *r;
	sem_t done;
	enum gh_status st;
	unsigned times;
};

static void home(struct vfs_req *r, void *door)
{
	struct waiting *w = door;
	w->st = r->status;
	w->times++;
	vfs_req_free(&r);
	sem_post(&w->done);
}

static void submit(void *arg)
{
	struct waiting *w = arg;
	ck_assert(vfs_submit(w->r, home, w) == VFS_PENDING);
}

static void submit_and_free(void *arg)
{
	struct waiting *w = arg;
	ck_assert(vfs_submit(w->r, home, w) == VFS_PENDING);
	vfs_req_free(&w->r);
}

START_TEST(a_deadline_answers_while_the_work_goes_on)
{
	struct waiting w = { 0 };
	sem_init(&w.done, 0, 0);
	fault(BLOB_FAULT_PUT, BLOB_FAULT_HANG, GH_OK);
	w.r = fixture_req(&f, VFS_WRITE_COMMIT, f.admin, NULL, NULL);
	w.r->upload = begun("/a", "late");
	w.r->deadline_ms = 100;
	const enum vfs_proto door = w.r->proto;
	const int64_t errors = gh_metric_get(GH_M_ERRORS, door);
	fixture_on_loop(&f, submit, &w);
	while (sem_wait(&w.done) != 0)
		;
	ck_assert_int_eq(gh_metric_get(GH_M_ERRORS, door), errors + 1); /* now, not when the store has come round */
	is(w.st, GH_DEADLINE); /* its commit was not sent: nothing may come of it that was not asked again */
	ck_assert_uint_eq(blob_fault_hanging(f.blobs), 1);
	blob_fault_clear(f.blobs);
	fixture_wait_quiet(&f);
	ck_assert_uint_eq(w.times, 1);
	ck_assert_int_eq(gh_metric_get(GH_M_ERRORS, door), errors + 1);
	shows("/a", NULL);
	sem_destroy(&w.done);
}
END_TEST

START_TEST(a_request_freed_before_its_commit_has_no_effect)
{
	struct waiting w = { 0 };
	sem_init(&w.done, 0, 0);
	fault(BLOB_FAULT_PUT, BLOB_FAULT_HANG, GH_OK);
	w.r = fixture_req(&f, VFS_WRITE_COMMIT, f.admin, NULL, NULL);
	w.r->upload = begun("/a", "gone");
	fixture_on_loop(&f, submit_and_free, &w);
	fixture_wait_hanging(&f, 1);
	blob_fault_clear(f.blobs);
	fixture_wait_quiet(&f);
	ck_assert_uint_eq(w.times, 0); /* nobody is told, and nothing happened */
	shows("/a", NULL);
	sem_destroy(&w.done);
}
END_TEST

/* 8 workers hang, 16 wait: the next is refused at once, and when the trouble ends all that was taken is done. */
START_TEST(a_full_queue_refuses_at_once_and_loses_nothing)
{
	struct waiting w[25] = { 0 }; /* 8 workers, the one that is kept for others where there are any, 16 in the queue */
	struct vfs_upload *u[26];
	char path[32];
	for (unsigned i = 0; i < 26; i++) {
		snprintf(path, sizeof(path), "/f%u", i);
		u[i] = begun(path, path);
	}
	const struct blob_fault all = { .op = BLOB_FAULT_PUT, .how = BLOB_FAULT_HANG };
	blob_fault_set(f.blobs, &all);
	for (unsigned i = 0; i < 25; i++) {
		sem_init(&w[i].done, 0, 0);
		w[i].r = fixture_req(&f, VFS_WRITE_COMMIT, f.admin, NULL, NULL);
		w[i].r->upload = u[i];
		fixture_on_loop(&f, submit, &w[i]);
		if (i == 8)
			fixture_wait_hanging(&f, 9);
	}
	struct vfs_req *r = fixture_req(&f, VFS_WRITE_COMMIT, f.admin, NULL, NULL);
	r->upload = u[25];
	is(fixture_run(&f, r), GH_OVERSHARE);
	ck_assert_uint_gt(r->retry_after_s, 0);
	fixture_free(&f, &r);
	blob_fault_clear(f.blobs);
	for (unsigned i = 0; i < 25; i++) {
		while (sem_wait(&w[i].done) != 0)
			;
		is(w[i].st, GH_OK);
		sem_destroy(&w[i].done);
		snprintf(path, sizeof(path), "/f%u", i);
		shows(path, path);
	}
	shows("/f25", NULL);
}
END_TEST

START_TEST(what_is_in_memory_needs_no_worker)
{
	is(put("/a", "fast"), GH_OK);
	shows("/a", "fast");
	const struct blob_fault all = { .op = BLOB_FAULT_PUT, .how = BLOB_FAULT_HANG };
	blob_fault_set(f.blobs, &all);
	struct waiting w[8] = { 0 };
	for (unsigned i = 0; i < 8; i++) {
		char path[32];
		snprintf(path, sizeof(path), "/f%u", i);
		sem_init(&w[i].done, 0, 0);
		w[i].r = fixture_req(&f, VFS_WRITE_COMMIT, f.admin, NULL, NULL);
		w[i].r->upload = begun(path, path);
		fixture_on_loop(&f, submit, &w[i]);
	}
	fixture_wait_hanging(&f, 8); /* every worker is stuck: a cached read is answered all the same */
	struct vfs_req *r = fixture_req(&f, VFS_READ, f.admin, "/a", NULL);
	r->inline_max = 100;
	is(fixture_run(&f, r), GH_OK);
	ck_assert_str_eq(r->data, "fast");
	fixture_free(&f, &r);
	blob_fault_clear(f.blobs);
	for (unsigned i = 0; i < 8; i++) {
		while (sem_wait(&w[i].done) != 0)
			;
		sem_destroy(&w[i].done);
	}
}
END_TEST

/* ---- looks ---- */

enum { BY_LOOP, BY_WORKER, BY_LOOK };

static int64_t done_by(unsigned how)
{
	return gh_metric_get(GH_M_FASTPATH, how);
}

static void submit_and_touch(void *arg)
{
	submit(arg);
	tenant_raise_tree_gen(f.tenant, atomic_load(&f.tenant->tree_gen) + 1);
}

static enum gh_status stat_by(void (*how)(void *arg), const char *path)
{
	struct waiting w = { 0 };
	sem_init(&w.done, 0, 0);
	node_cache_clear(f.core->nodes);
	w.r = fixture_req(&f, VFS_STAT, f.admin, path, NULL);
	fixture_on_loop(&f, how, &w);
	while (sem_wait(&w.done) != 0)
		;
	sem_destroy(&w.done);
	return w.st;
}

START_TEST(what_memory_lacks_of_a_path_is_looked_up_without_a_worker)
{
	is(fixture_do(&f, VFS_MKDIR, f.admin, "/d", NULL, 0), GH_OK);
	is(put("/d/a", "x"), GH_OK);
	is(stat_by(submit, "/d/a"), GH_OK); /* whatever else was to be brought into memory is there now */
	const int64_t looks = done_by(BY_LOOK), workers = done_by(BY_WORKER);
	is(stat_by(submit, "/d/a"), GH_OK);
	is(stat_by(submit, "/d/none"), GH_NOTFOUND);
	is(stat_by(submit, "/d/a/below"), GH_NOTFOUND);
	ck_assert_int_eq(done_by(BY_LOOK), looks + 3);
	ck_assert_int_eq(done_by(BY_WORKER), workers);
}
END_TEST

/* Rights and tree that it went by are not those that are: it begins anew. */
START_TEST(a_look_from_before_a_change_decides_nothing)
{
	is(put("/a", "x"), GH_OK);
	is(stat_by(submit, "/a"), GH_OK);
	const int64_t looks = done_by(BY_LOOK), workers = done_by(BY_WORKER);
	is(stat_by(submit_and_touch, "/a"), GH_OK);
	ck_assert_int_eq(done_by(BY_LOOK), looks);
	ck_assert_int_eq(done_by(BY_WORKER), workers + 1);
}
END_TEST

START_TEST(who_has_a_bound_or_a_pool_does_not_go_past_the_queue)
{
	is(put("/a", "x"), GH_OK);
	is(stat_by(submit, "/a"), GH_OK);
	is(share_tenant_put(f.core, f.tenant->id, 100, 2, ""), GH_OK);
	const int64_t looks = done_by(BY_LOOK), workers = done_by(BY_WORKER);
	is(stat_by(submit, "/a"), GH_OK);
	ck_assert_int_eq(done_by(BY_LOOK), looks);
	ck_assert_int_eq(done_by(BY_WORKER), workers + 1);
	is(share_tenant_put(f.core, f.tenant->id, 100, 0, ""), GH_OK);
	is(stat_by(submit, "/a"), GH_OK);
	ck_assert_int_eq(done_by(BY_LOOK), looks + 1);
}
END_TEST

START_TEST(a_request_freed_while_it_is_looked_up_tells_nobody)
{
	struct waiting w[50] = { 0 };
	is(put("/a", "x"), GH_OK);
	for (unsigned i = 0; i < 50; i++) {
		node_cache_clear(f.core->nodes);
		w[i].r = fixture_req(&f, VFS_STAT, f.admin, "/a", NULL);
		fixture_on_loop(&f, submit_and_free, &w[i]);
	}
	fixture_wait_quiet(&f);
	for (unsigned i = 0; i < 50; i++)
		ck_assert_uint_eq(w[i].times, 0);
}
END_TEST

START_TEST(a_short_upload_is_refused_and_leaves_nothing)
{
	struct vfs_req *r = fixture_req(&f, VFS_WRITE_BEGIN, f.admin, "/a", NULL);
	struct vfs_upload *u;
	r->declared = 10;
	is(fixture_run(&f, r), GH_OK);
	vfs_upload_take(r, &u);
	fixture_free(&f, &r);
	is(vfs_upload_push(u, "12345", 5, NULL, NULL), GH_OK);
	r = fixture_req(&f, VFS_WRITE_COMMIT, f.admin, NULL, NULL);
	r->upload = u;
	is(fixture_run(&f, r), GH_SHORT);
	fixture_free(&f, &r);
	shows("/a", NULL);
	r = fixture_req(&f, VFS_WRITE_BEGIN, f.admin, "/a", NULL);
	r->declared = 3;
	is(fixture_run(&f, r), GH_OK);
	vfs_upload_take(r, &u);
	fixture_free(&f, &r);
	is(vfs_upload_push(u, "12345", 5, NULL, NULL), GH_TOOLARGE);
	vfs_upload_abort(&u);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("requests");
	TCase *t = tcase_create("life");
	tcase_add_checked_fixture(t, open_house, close_house);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_store_that_fails_leaves_the_old_file);
	tcase_add_test(t, staging_that_fails_anywhere_leaves_the_old_file);
	tcase_add_test(t, a_read_that_fails_is_an_error_and_never_short);
	tcase_add_test(t, a_deadline_answers_while_the_work_goes_on);
	tcase_add_test(t, a_request_freed_before_its_commit_has_no_effect);
	tcase_add_test(t, a_full_queue_refuses_at_once_and_loses_nothing);
	tcase_add_test(t, what_is_in_memory_needs_no_worker);
	tcase_add_test(t, what_memory_lacks_of_a_path_is_looked_up_without_a_worker);
	tcase_add_test(t, a_look_from_before_a_change_decides_nothing);
	tcase_add_test(t, who_has_a_bound_or_a_pool_does_not_go_past_the_queue);
	tcase_add_test(t, a_request_freed_while_it_is_looked_up_tells_nobody);
	tcase_add_test(t, a_short_upload_is_refused_and_leaves_nothing);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	const int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
