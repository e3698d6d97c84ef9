/* What survives: a kill at every named step of a commit and of a migration, a full disk, damage, other programs' files,
 * newer schemas. A store is never open across a fork. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/base/crash.h"
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

static enum gh_status try_open(bool read_only, char *err)
{
	struct meta_config cfg = { .path = f.path, .read_only = read_only, .readers = 2 };

	return meta_open(&cfg, &f.m, err);
}

static void sql(const char *path, const char *text)
{
	sqlite3 *h;
	char *err = NULL;

	ck_assert_int_eq(sqlite3_open(path, &h), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(h, text, NULL, NULL, &err) == SQLITE_OK, "%s: %s", text, err);
	sqlite3_close(h);
}

/* ---- kills ---- */

#define CHILD_THREADS 4
#define CHILD_BATCHES 40

struct child {
	pthread_t thread;
	unsigned number;
	int out;
};

/* Names go to the parent only after the store has said yes. */
static void *child_writes(void *arg)
{
	struct child *c = arg;
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct meta_call call = { .arena = a, .op = "child" };

	for (unsigned i = 0; i < CHILD_BATCHES; i++) {
		struct meta_step s[3];
		char name[24];
		struct meta_batch b;

		snprintf(name, sizeof(name), "%u-%04u", c->number, i);
		b = put_batch(s, ROOT, name, 10);
		b.op = 1000000 * (c->number + 1) + i + 1;
		if (meta_commit(f.m, &call, &b) != GH_OK || write(c->out, name, 7) != 7)
			_exit(3);
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
	return NULL;
}

static void child_main(const char *point, unsigned threads, int out)
{
	struct child c[CHILD_THREADS];
	char err[512];

	setenv("GATEHOUSE_CRASH_AT", point, 1);
	gh_crash_reload();
	if (try_open(false, err) != GH_OK)
		_exit(2);
	for (unsigned i = 0; i < threads; i++) {
		c[i] = (struct child){ .number = i, .out = out };
		if (pthread_create(&c[i].thread, NULL, child_writes, &c[i]))
			_exit(2);
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(c[i].thread, NULL);
	_exit(0);
}

static bool exists(const char *name)
{
	struct gh_component c = { name, name, 6, 6 };
	struct meta_node *n;
	unsigned found;

	OK(meta_resolve(f.m, &f.call, TENANT, ROOT, &c, 1, &n, &found));
	return found == 1;
}

/* Every batch of the child, run again by its id: it happened in whole, or it happens now. */
static void run_all_again(unsigned threads)
{
	for (unsigned t = 0; t < threads; t++)
		for (unsigned i = 0; i < CHILD_BATCHES; i++) {
			struct meta_step s[3];
			char name[24];
			struct meta_batch b;
			bool there;

			snprintf(name, sizeof(name), "%u-%04u", t, i);
			there = exists(name);
			b = put_batch(s, ROOT, name, 10);
			b.op = 1000000 * (t + 1) + i + 1;
			OK(meta_commit(f.m, &f.call, &b));
			ck_assert(b.done_before == there);
		}
}

static void kill_at(const char *point, unsigned threads)
{
	int fd[2], status;
	unsigned acked = 0;
	uint64_t bytes, files;
	char name[24] = "";
	pid_t pid;

	meta_close(&f.m);
	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(fd[0]);
		child_main(point, threads, fd[1]);
	}
	close(fd[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: child ended with %x", point, status);
	fix_open(&f);
	for (; read(fd[0], name, 7) == 7; acked++)
		ck_assert_msg(exists(name), "%s: %s was acknowledged and is lost", point, name);
	close(fd[0]);
	ck_assert_uint_lt(acked, threads * CHILD_BATCHES);
	OK(meta_usage(f.m, &f.call, TENANT, &bytes, &files));
	ck_assert_uint_ge(files, acked);
	ck_assert_uint_le(files, acked + threads);
	ck_assert_uint_eq(bytes, files * 10);
	SOUND(&f);
	run_all_again(threads);
	OK(meta_usage(f.m, &f.call, TENANT, &bytes, &files));
	ck_assert_uint_eq(files, threads * CHILD_BATCHES);
	SOUND(&f);
}

static const char *const points[] = { "meta.before_begin", "meta.after_event", "meta.after_steps", "meta.before_commit",
				      "meta.after_commit" };
static const char *const passes[] = { "", ":7", ":19" };

START_TEST(a_kill_at_a_step_of_a_commit_loses_nothing_that_was_acknowledged)
{
	char point[64];

	snprintf(point, sizeof(point), "%s%s", points[_i / 3], passes[_i % 3]);
	kill_at(point, 1);
}
END_TEST

START_TEST(a_kill_at_a_step_of_a_group_loses_nothing_that_was_acknowledged)
{
	char point[64];

	snprintf(point, sizeof(point), "%s%s", points[_i / 3], passes[_i % 3]);
	kill_at(point, CHILD_THREADS);
}
END_TEST

START_TEST(a_kill_during_migration_is_taken_up_at_the_next_start)
{
	static const char *const where[] = { "meta.before_begin", "meta.before_commit", "meta.after_commit" };
	int status;
	pid_t pid;

	meta_close(&f.m);
	snprintf(f.path, sizeof(f.path), "%s/fresh.db", f.dir);
	pid = fork();
	if (pid == 0)
		child_main(where[_i], 0, -1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	fix_open(&f);
	tenant_make(&f, TENANT, ROOT, TRASH, "acme");
	file_make(&f, ROOT, "a", 1);
	SOUND(&f);
}
END_TEST

/* ---- opening ---- */

START_TEST(a_store_opens_again_with_everything_and_migrates_only_once)
{
	struct meta_node n = file_make(&f, ROOT, "a", 10);
	struct meta_setting *rows;
	unsigned count;
	struct stat sb;

	for (unsigned i = 0; i < 3; i++) {
		meta_close(&f.m);
		fix_open(&f);
	}
	ck_assert_ptr_nonnull(node_read(&f, n.id));
	ck_assert_int_eq(stat(f.path, &sb), 0);
	ck_assert_uint_eq(sb.st_mode & 0777, 0600);
	meta_close(&f.m);
	sql(f.path, "INSERT INTO setting SELECT x'726f7773', count(*), 0, 0, 1, max(version) FROM schema_version");
	fix_open(&f);
	OK(meta_settings(f.m, &f.call, "rows", 0, 1, &rows, &count));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(rows->id, strtoull(rows->doc, NULL, 10)); /* each was done once, and none is missing */
	SOUND(&f);
}
END_TEST

START_TEST(processes_that_open_a_new_store_at_once_all_find_it_made)
{
	pid_t pid[8];
	int status;
	char err[512];

	meta_close(&f.m);
	for (unsigned round = 0; round < 5; round++) {
		snprintf(f.path, sizeof(f.path), "%s/fresh%u.db", f.dir, round);
		for (unsigned i = 0; i < 8; i++) {
			pid[i] = fork();
			if (pid[i] == 0) {
				if (try_open(false, err) != GH_OK)
					_exit(1);
				meta_close(&f.m);
				_exit(0);
			}
		}
		for (unsigned i = 0; i < 8; i++) {
			ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
			ck_assert_int_eq(status, 0);
		}
	}
	fix_open(&f);
	SOUND(&f);
}
END_TEST

START_TEST(a_newer_schema_is_refused_and_named)
{
	char err[512];

	meta_close(&f.m);
	sql(f.path, "INSERT INTO schema_version VALUES (9999, '9999_later', 0)");
	IS(GH_UNSUPPORTED, try_open(false, err));
	ck_assert(strstr(err, f.path) && strstr(err, "9999") && strstr(err, "newer"));
	ck_assert_ptr_null(f.m);
}
END_TEST

START_TEST(read_only_reads_and_refuses_to_write)
{
	struct meta_node n = file_make(&f, ROOT, "a", 10);
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "b", 1);
	char err[512];

	meta_close(&f.m);
	OK(try_open(true, err));
	ck_assert_ptr_nonnull(node_read(&f, n.id));
	IS(GH_READONLY, meta_commit(f.m, &f.call, &b));
	SOUND(&f);
	meta_close(&f.m);
	snprintf(f.path, sizeof(f.path), "%s/none.db", f.dir);
	IS(GH_NOTFOUND, try_open(true, err));
	ck_assert(strstr(err, f.path));
	ck_assert_int_ne(access(f.path, F_OK), 0);
}
END_TEST

/* ---- damage ---- */

static char *file_read(const char *path, size_t *ret_len)
{
	FILE *in = fopen(path, "rb");
	char *p = malloc(32u << 20);

	ck_assert_ptr_nonnull(in);
	*ret_len = fread(p, 1, 32u << 20, in);
	fclose(in);
	return p;
}

static void file_write(const char *path, const char *p, size_t len)
{
	FILE *out = fopen(path, "wb");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(p, 1, len, out), len);
	fclose(out);
}

/* Refused, named, and not one byte of it changed. */
static void refused(void)
{
	char err[512], *before, *after;
	size_t len, len_after;

	before = file_read(f.path, &len);
	IS(GH_DAMAGED, try_open(false, err));
	ck_assert_msg(strstr(err, f.path) != NULL, "%s", err);
	after = file_read(f.path, &len_after);
	ck_assert_uint_eq(len, len_after);
	ck_assert(!memcmp(before, after, len));
	free(before);
	free(after);
}

START_TEST(a_file_that_is_no_database_is_refused_and_left_alone)
{
	meta_close(&f.m);
	file_write(f.path, "this is my thesis, not a database, and there is more than a hundred bytes of it, so that its"
			   " header can be read as one", 118);
	refused();
	file_write(f.path, "short", 5);
	refused();
}
END_TEST

START_TEST(a_truncated_database_is_refused_and_left_alone)
{
	char *p;
	size_t len;

	file_make(&f, ROOT, "a", 10);
	meta_close(&f.m);
	p = file_read(f.path, &len);
	ck_assert_uint_gt(len, 3 * 4096);
	file_write(f.path, p, len - 4096);
	refused();
	file_write(f.path, p, 4096);
	refused();
	free(p);
}
END_TEST

START_TEST(a_lost_database_beside_its_log_is_refused)
{
	char wal[160], err[512];

	meta_close(&f.m);
	snprintf(wal, sizeof(wal), "%s-wal", f.path);
	file_write(wal, "something", 9);
	file_write(f.path, "", 0);
	refused();
	unlink(f.path);
	IS(GH_DAMAGED, try_open(false, err));
	ck_assert(strstr(err, f.path));
	ck_assert_int_ne(access(f.path, F_OK), 0);
}
END_TEST

START_TEST(the_database_of_another_program_is_refused)
{
	char err[512];

	meta_close(&f.m);
	snprintf(f.path, sizeof(f.path), "%s/other.db", f.dir);
	sql(f.path, "CREATE TABLE bookmarks (x)");
	IS(GH_DAMAGED, try_open(false, err));
	ck_assert(strstr(err, f.path) && strstr(err, "another program"));
	sql(f.path, "PRAGMA application_id = 77");
	refused();
}
END_TEST

START_TEST(a_damaged_page_fails_what_needs_it_and_nothing_else)
{
	struct meta_page p;
	char page[4096], name[16];
	FILE *db;
	unsigned hit = 0;

	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "f%05u", i);
		file_make(&f, ROOT, name, 10);
	}
	meta_close(&f.m);
	db = fopen(f.path, "r+b");
	ck_assert_ptr_nonnull(db);
	for (long at = 4096; fseek(db, at, SEEK_SET) == 0 && fread(page, sizeof(page), 1, db) == 1; at += 4096)
		if (memmem(page, sizeof(page), "f01500", 6)) {
			memset(page, 0xff, sizeof(page));
			ck_assert_int_eq(fseek(db, at, SEEK_SET), 0);
			ck_assert_uint_eq(fwrite(page, sizeof(page), 1, db), 1);
			hit++;
		}
	ck_assert_uint_gt(hit, 0);
	ck_assert_int_eq(fclose(db), 0);
	fix_open(&f);
	IS(GH_DAMAGED, meta_list(f.m, &f.call, TENANT, ROOT, "f01499", 10, &p));
	OK(meta_list(f.m, &f.call, TENANT, ROOT, "", 100, &p));
	ck_assert_uint_eq(p.count, 100);
	ck_assert_uint_gt(fix_check(&f), 0);
	folder_make(&f, ROOT, "a-new");
	OK(meta_list(f.m, &f.call, TENANT, ROOT, "", 1, &p));
	ck_assert_str_eq(p.nodes[0].key, "a-new");
}
END_TEST

/* ---- a full disk ---- */

static void limit_files(rlim_t bytes)
{
	struct rlimit l;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &l), 0);
}

START_TEST(a_full_disk_refuses_writes_goes_on_reading_and_recovers)
{
	struct meta_step s[3];
	struct meta_batch b;
	enum gh_status st = GH_OK;
	char name[16];
	struct meta_page p;
	uint64_t bytes, files;
	unsigned made = 0;

	signal(SIGXFSZ, SIG_IGN);
	limit_files(400000);
	while (st == GH_OK && made < 10000) {
		snprintf(name, sizeof(name), "f%05u", made);
		b = put_batch(s, ROOT, name, 10);
		st = meta_commit(f.m, &f.call, &b);
		made += st == GH_OK;
	}
	ck_assert_int_eq(st, GH_NOSPACE);
	IS(GH_NOSPACE, meta_commit(f.m, &f.call, &b));
	OK(meta_list(f.m, &f.call, TENANT, ROOT, "", 1000, &p));
	OK(meta_usage(f.m, &f.call, TENANT, &bytes, &files));
	ck_assert_uint_eq(files, made);
	limit_files(RLIM_INFINITY);
	OK(meta_commit(f.m, &f.call, &b));
	ck_assert(!b.done_before);
	file_make(&f, ROOT, "after", 1);
	SOUND(&f);
	meta_close(&f.m);
	fix_open(&f);
	OK(meta_usage(f.m, &f.call, TENANT, &bytes, &files));
	ck_assert_uint_eq(files, made + 2);
	SOUND(&f);
}
END_TEST

struct filler {
	pthread_t thread;
	unsigned number, done, full, other;
};

static void *fill(void *arg)
{
	struct filler *r = arg;
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct meta_call call = { .arena = a, .op = "fill" };

	for (unsigned i = 0; i < 300; i++) {
		struct meta_step s[3];
		char name[32];
		struct meta_batch b;
		enum gh_status st;

		snprintf(name, sizeof(name), "t%02u-%04u", r->number, i);
		b = put_batch(s, ROOT, name, 10);
		st = meta_commit(f.m, &call, &b);
		r->done += st == GH_OK;
		r->full += st == GH_NOSPACE;
		r->other += st != GH_OK && st != GH_NOSPACE;
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
	return NULL;
}

START_TEST(a_group_on_a_full_disk_is_told_one_by_one_what_happened)
{
	struct filler r[8] = { 0 };
	uint64_t bytes, files;
	unsigned done = 0, full = 0;

	signal(SIGXFSZ, SIG_IGN);
	limit_files(600000);
	for (unsigned i = 0; i < 8; i++) {
		r[i].number = i;
		ck_assert_int_eq(pthread_create(&r[i].thread, NULL, fill, &r[i]), 0);
	}
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(r[i].thread, NULL);
		ck_assert_uint_eq(r[i].other, 0);
		done += r[i].done;
		full += r[i].full;
	}
	limit_files(RLIM_INFINITY);
	ck_assert_uint_gt(done, 0);
	ck_assert_uint_gt(full, 0);
	OK(meta_usage(f.m, &f.call, TENANT, &bytes, &files));
	ck_assert_uint_eq(files, done);
	file_make(&f, ROOT, "after", 1);
	SOUND(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata durability");
	TCase *t = tcase_create("durable");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 240);
	tcase_add_loop_test(t, a_kill_at_a_step_of_a_commit_loses_nothing_that_was_acknowledged, 0, 15);
	tcase_add_loop_test(t, a_kill_at_a_step_of_a_group_loses_nothing_that_was_acknowledged, 0, 15);
	tcase_add_loop_test(t, a_kill_during_migration_is_taken_up_at_the_next_start, 0, 3);
	tcase_add_test(t, a_store_opens_again_with_everything_and_migrates_only_once);
	tcase_add_test(t, processes_that_open_a_new_store_at_once_all_find_it_made);
	tcase_add_test(t, a_newer_schema_is_refused_and_named);
	tcase_add_test(t, read_only_reads_and_refuses_to_write);
	tcase_add_test(t, a_file_that_is_no_database_is_refused_and_left_alone);
	tcase_add_test(t, a_truncated_database_is_refused_and_left_alone);
	tcase_add_test(t, a_lost_database_beside_its_log_is_refused);
	tcase_add_test(t, the_database_of_another_program_is_refused);
	tcase_add_test(t, a_damaged_page_fails_what_needs_it_and_nothing_else);
	tcase_add_test(t, a_full_disk_refuses_writes_goes_on_reading_and_recovers);
	tcase_add_test(t, a_group_on_a_full_disk_is_told_one_by_one_what_happened);
	suite_add_tcase(s, t);
	return run_suite(s);
}
