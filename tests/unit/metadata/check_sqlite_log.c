/* The log's writes are put together, and whoever reads sees no difference: with the calls of SQLite's files counted, and
 * made to fail. */
#include <errno.h>
#include <unistd.h>

#include "backends/metadata/sqlite.h"
#include "tests/unit/metadata/help.h"

static char dir[64], path[128];
static sqlite3 *h;
static unsigned writes;
static bool full; /* the disk */

static ssize_t counted_pwrite(int fd, const void *data, size_t len, off_t at)
{
	writes++;
	if (!full)
		return pwrite(fd, data, len, at);
	errno = ENOSPC;
	return -1;
}

static void count_writes(void)
{
	static const char *const names[] = { "pwrite", "pwrite64" };
	sqlite3_vfs *system = sqlite3_vfs_find(NULL);

	for (unsigned i = 0; i < 2; i++)
		(void)system->xSetSystemCall(system, names[i], (sqlite3_syscall_ptr)counted_pwrite);
}

static void run(sqlite3 *on, const char *sql)
{
	char *why = NULL;

	ck_assert_msg(sqlite3_exec(on, sql, NULL, NULL, &why) == SQLITE_OK, "%s: %s", sql, why ? why : "");
}

static int number(sqlite3 *on, const char *sql)
{
	sqlite3_stmt *s;
	int n;

	ck_assert_int_eq(sqlite3_prepare_v2(on, sql, -1, &s, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return n;
}

static sqlite3 *opened(void)
{
	sqlite3 *ret;

	ck_assert_ptr_nonnull(sq_log_vfs());
	ck_assert_int_eq(sqlite3_open_v2(path, &ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, sq_log_vfs()), SQLITE_OK);
	run(ret, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;");
	return ret;
}

static void setup(void)
{
	snprintf(dir, sizeof(dir), "%s/gh-log-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/meta.db", dir);
	full = false;
	count_writes();
	h = opened();
	run(h, "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)");
}

static void teardown(void)
{
	char cmd[96];

	sqlite3_close(h);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

#define ROWS(n) "INSERT INTO t (b) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < " #n ") " \
		"SELECT randomblob(3000) FROM c"

START_TEST(a_commit_of_many_pages_is_one_write)
{
	run(h, ROWS(1)); /* the log has its head */
	writes = 0;
	run(h, ROWS(20));
	ck_assert_uint_eq(writes, 1);
}
END_TEST

START_TEST(what_is_committed_is_there_for_others_and_after_the_end)
{
	sqlite3 *other = opened();

	for (int i = 1; i <= 20; i++) {
		run(h, ROWS(60));
		ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), i * 60);
		if (i % 5 == 0)
			run(other, "PRAGMA wal_checkpoint(PASSIVE)");
	}
	sqlite3_close(other);
	sqlite3_close(h);
	h = opened();
	ck_assert_int_eq(number(h, "SELECT count(*) FROM t"), 1200);
	ck_assert_int_eq(number(h, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}
END_TEST

/* More than the page cache holds goes to the log before the commit, and is read from there; then all of it goes back. */
START_TEST(what_a_transaction_wrote_early_it_reads_and_takes_back)
{
	run(h, ROWS(100));
	run(h, "PRAGMA cache_size = 10; BEGIN IMMEDIATE");
	for (int i = 0; i < 10; i++) {
		run(h, ROWS(50));
		run(h, "UPDATE t SET b = randomblob(2900) WHERE a % 7 = 0");
		ck_assert_int_eq(number(h, "SELECT count(*) FROM t WHERE length(b) IN (2900, 3000)"), 150 + i * 50);
	}
	run(h, "ROLLBACK");
	ck_assert_int_eq(number(h, "SELECT count(*) FROM t WHERE length(b) = 3000"), 100);
	run(h, ROWS(10));
	ck_assert_int_eq(number(h, "SELECT count(*) FROM t"), 110);
	ck_assert_int_eq(number(h, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}
END_TEST

START_TEST(a_full_disk_fails_the_commit_and_what_follows_is_sound)
{
	char *why = NULL;

	run(h, ROWS(5));
	full = true;
	ck_assert_int_eq(sqlite3_exec(h, ROWS(20), NULL, NULL, &why), SQLITE_FULL);
	sqlite3_free(why);
	full = false;
	ck_assert_int_eq(number(h, "SELECT count(*) FROM t"), 5);
	run(h, ROWS(1));
	sqlite3_close(h);
	h = opened();
	ck_assert_int_eq(number(h, "SELECT count(*) FROM t"), 6);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sqlite log");
	TCase *t = tcase_create("log");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_commit_of_many_pages_is_one_write);
	tcase_add_test(t, what_is_committed_is_there_for_others_and_after_the_end);
	tcase_add_test(t, what_a_transaction_wrote_early_it_reads_and_takes_back);
	tcase_add_test(t, a_full_disk_fails_the_commit_and_what_follows_is_sound);
	suite_add_tcase(s, t);
	return run_suite(s);
}
