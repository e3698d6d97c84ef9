/* The PostgreSQL driver: the store's other tests all over again on a server of its own, and what only a server can do: go
 * away, come back, make others wait, pass on words. Round trips and groups: check_pgsql_trips.c. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "tests/unit/metadata/help_cluster.h"

/* ---- the same tests ---- */

static const char *const same[] = { "check_commit", "check_group", "check_read", "check_look", "check_people", "check_settings", "check_quota",
				    "check_upkeep", "check_feed", "check_move",
				    "check_gateway", "check_route" };

START_TEST(what_holds_in_a_file_holds_on_a_server)
{
	char path[640];

	snprintf(path, sizeof(path), "%s/%s", programs, same[_i]);
	if (access(path, X_OK)) { /* libtool's and a plain build have them side by side */
		ck_abort_msg("%s: %s", path, strerror(errno));
	}
	ck_assert_msg(system(path) == 0, "%s fails on PostgreSQL", same[_i]);
}
END_TEST

/* ---- schemas ---- */

struct columns {
	char text[32768];
	size_t len;
};

static void add_column(struct columns *c, const char *table, const char *column, const char *type)
{
	static const char *const names[][2] = { { "INTEGER", "bigint" }, { "BLOB", "bytea" }, { "TEXT", "text" } };

	for (unsigned i = 0; i < 3; i++)
		if (!strcmp(type, names[i][0]))
			type = names[i][1];
	c->len += (size_t)snprintf(c->text + c->len, sizeof(c->text) - c->len, "%s.%s %s\n", table, column, type);
}

static void columns_of_file(struct columns *c)
{
	char path[160], err[DB_ERR_MAX];
	struct meta_config cfg = { .path = path };
	struct meta_store *m;
	sqlite3_stmt *st;
	sqlite3 *h;

	snprintf(path, sizeof(path), "%s/other.db", f.dir);
	OK(meta_open(&cfg, &m, err));
	meta_close(&m);
	ck_assert_int_eq(sqlite3_open(path, &h), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(h, "SELECT m.name, c.name, c.type FROM sqlite_schema m, pragma_table_info(m.name) c"
					       " WHERE m.type = 'table' ORDER BY m.name, c.cid", -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW)
		add_column(c, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1),
			   (const char *)sqlite3_column_text(st, 2));
	sqlite3_finalize(st);
	sqlite3_close(h);
}

static void columns_of_server(struct columns *c)
{
	PGconn *h = PQconnectdb(f.conninfo);
	PGresult *r = PQexec(h, "SELECT table_name, column_name, data_type FROM information_schema.columns"
				" WHERE table_schema = current_schema() ORDER BY table_name COLLATE \"C\", ordinal_position");

	ck_assert_int_eq(PQresultStatus(r), PGRES_TUPLES_OK);
	for (int i = 0; i < PQntuples(r); i++)
		add_column(c, PQgetvalue(r, i, 0), PQgetvalue(r, i, 1), PQgetvalue(r, i, 2));
	PQclear(r);
	PQfinish(h);
}

START_TEST(both_databases_get_the_same_tables_and_columns)
{
	static struct columns file, server;

	columns_of_file(&file);
	columns_of_server(&server);
	ck_assert_uint_gt(file.len, 1000);
	ck_assert_str_eq(file.text, server.text);
}
END_TEST

/* Opens the store again after sql; what it says. */
static enum gh_status open_after(const char *sql, char *err)
{
	struct meta_config cfg = { .conninfo = f.conninfo };
	struct meta_store *m;
	enum gh_status st;

	fix_sql(&f, sql);
	st = meta_open(&cfg, &m, err);
	if (st == GH_OK)
		meta_close(&m);
	return st;
}

START_TEST(a_schema_that_is_not_this_programs_is_refused_in_words)
{
	char err[DB_ERR_MAX];

	IS(GH_UNSUPPORTED, open_after("INSERT INTO schema_version VALUES (9999, '9999_later', 0)", err));
	ck_assert_msg(strstr(err, "9999") && strstr(err, "newer") && strstr(err, "gatehouse@"), "%s", err);
	IS(GH_DAMAGED, open_after("DELETE FROM schema_version WHERE version = 9999; DROP TABLE usage_month", err));
	ck_assert_msg(strstr(err, "usage_month") && strstr(err, "missing"), "%s", err);
	IS(GH_DATABASE, open_after("DELETE FROM schema_version WHERE version = 7", err));
	ck_assert_msg(strstr(err, "already exists"), "%s", err);
	IS(GH_DAMAGED, open_after("DROP TABLE schema_version", err));
	ck_assert_msg(strstr(err, "another program"), "%s", err);
}
END_TEST

START_TEST(a_migration_that_was_cut_off_is_taken_up)
{
	char err[DB_ERR_MAX];

	OK(open_after("DELETE FROM schema_version WHERE version = 7; ALTER TABLE quota_lease DROP COLUMN sessions,"
		      " DROP COLUMN transfers", err));
}
END_TEST

static void *open_one(void *arg)
{
	struct meta_config cfg = { .conninfo = f.conninfo };
	struct meta_store *m = NULL;
	char err[DB_ERR_MAX];

	*(enum gh_status *)arg = meta_open(&cfg, &m, err);
	meta_close(&m);
	return NULL;
}

START_TEST(gateways_that_start_together_migrate_once)
{
	enum gh_status st[4];
	pthread_t t[4];

	fix_sql(&f, "DO $$BEGIN EXECUTE 'DROP SCHEMA ' || current_schema() || ' CASCADE; CREATE SCHEMA ' ||"
		    " current_schema(); END$$");
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, open_one, &st[i]), 0);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		ck_assert_int_eq(st[i], GH_OK);
	}
}
END_TEST

/* ---- refusals when it is opened ---- */

static enum gh_status open_at(const char *conninfo, char *err)
{
	struct meta_config cfg = { .conninfo = conninfo };
	struct meta_store *m = NULL;
	enum gh_status st = meta_open(&cfg, &m, err);

	meta_close(&m);
	return st;
}

START_TEST(a_database_that_cannot_be_reached_is_named_in_one_line)
{
	static const struct {
		const char *more, *words;
		enum gh_status st;
	} cases[] = {
		{ "dbname=nothing", "does not exist", GH_DATABASE },
		{ "user=nobody_here", "nobody_here", GH_DATABASE },
		{ "port=1", "No such file", GH_DATABASE },
		{ "colour=red", "colour", GH_INVALID },
		{ "dbname=''", "names no database", GH_INVALID },
	};
	char conninfo[400], err[DB_ERR_MAX];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(conninfo, sizeof(conninfo), "%s password=secret %s", pg_conninfo(), cases[i].more);
		IS(cases[i].st, open_at(conninfo, err));
		ck_assert_msg(strstr(err, cases[i].words) && !strchr(err, '\n') && !strstr(err, "secret"), "%s", err);
	}
}
END_TEST

START_TEST(of_several_hosts_the_one_that_can_be_written_to_is_taken)
{
	char conninfo[400], err[DB_ERR_MAX];

	snprintf(conninfo, sizeof(conninfo), "host=/nowhere,%s user=gatehouse dbname=gatehouse", cluster);
	OK(open_at(conninfo, err));
	fix_sql(&f, "CREATE DATABASE standby");
	fix_sql(&f, "ALTER DATABASE standby SET default_transaction_read_only = on");
	snprintf(conninfo, sizeof(conninfo), "host=%s user=gatehouse dbname=standby", cluster);
	IS(GH_DATABASE, open_at(conninfo, err));
	ck_assert_msg(strstr(err, "read-only"), "%s", err);
}
END_TEST

/* ---- a server that goes away ---- */

START_TEST(connections_that_the_server_dropped_meanwhile_are_not_noticed)
{
	OK(look_one());
	OK(put_one("a"));
	fix_sql(&f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gatehouse'");
	usleep(100000); /* until they have gone */
	OK(look_one());
	OK(put_one("b"));
	SOUND(&f);
}
END_TEST

static void count_signs(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
}

START_TEST(a_server_that_is_down_is_a_failure_and_one_that_is_back_is_used_within_two_seconds)
{
	atomic_uint signs = 0;
	uint64_t back;

	meta_on_back(f.m, count_signs, &signs);
	OK(put_one("a"));
	ck_assert_int_eq(cluster_do("stop", ""), 0);
	IS(GH_DATABASE, look_one());
	for (unsigned i = 0; i < 20; i++) {
		enum gh_status st = put_one("b");

		ck_assert_msg(st == GH_DATABASE, "%s", gh_status_name(st));
		usleep(50000);
	}
	ck_assert_uint_eq(atomic_load(&signs), 0);
	ck_assert_int_eq(cluster_do("start", ""), 0);
	back = gh_mono_ns();
	while (put_one("c") != GH_OK || look_one() != GH_OK) {
		ck_assert_uint_lt(gh_mono_ns() - back, 2 * GH_S_NS);
		usleep(10000);
	}
	while (!atomic_load(&signs)) {
		ck_assert_uint_lt(gh_mono_ns() - back, 2 * GH_S_NS);
		usleep(10000);
	}
	meta_on_back(f.m, NULL, NULL);
	ck_assert_int_eq(put_one("a"), GH_STALE); /* it is there */
	SOUND(&f);
}
END_TEST

/* Every process of the cluster that a gateway has to do with. */
static unsigned servers(pid_t *pids, unsigned max)
{
	PGconn *h = PQconnectdb(f.conninfo);
	PGresult *r = PQexec(h, "SELECT pid FROM pg_stat_activity WHERE application_name = 'gatehouse'");
	char path[96];
	unsigned n = 0;
	FILE *p;
	int first;

	for (; n < (unsigned)PQntuples(r) && n + 1 < max; n++)
		pids[n] = atoi(PQgetvalue(r, (int)n, 0));
	PQclear(r);
	PQfinish(h);
	snprintf(path, sizeof(path), "%s/data/postmaster.pid", cluster);
	p = fopen(path, "r");
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(fscanf(p, "%d", &first), 1);
	fclose(p);
	pids[n++] = first;
	return n;
}

static void signal_all(const pid_t *pids, unsigned n, int sig)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(kill(pids[i], sig), 0);
}

START_TEST(a_server_that_stands_still_is_a_failure_in_time_and_well_when_it_goes_on)
{
	struct meta_config cfg = { .conninfo = f.conninfo, .statement_ms = 400, .lock_ms = 200, .connect_ms = 2000 };
	struct meta_call late = { .arena = f.a, .op = "late" };
	struct meta_step s[3];
	struct meta_batch b;
	struct meta_tenant *t;
	char err[DB_ERR_MAX];
	enum gh_status read, written;
	pid_t pids[32];
	unsigned n;
	uint64_t start;

	meta_close(&f.m);
	OK(meta_open(&cfg, &f.m, err));
	OK(put_one("a"));
	OK(look_one());
	n = servers(pids, 32);
	ck_assert_uint_ge(n, 3);
	signal_all(pids, n, SIGSTOP);
	start = gh_mono_ns();
	late.deadline_ns = start + 200 * GH_MS_NS;
	read = meta_tenant_by_name(f.m, &late, "acme", &t);
	b = put_batch(s, ROOT, "b", 10);
	written = meta_commit(f.m, &f.call, &b);
	signal_all(pids, n, SIGCONT); /* before anything can end this test */
	ck_assert_int_eq(read, GH_DEADLINE);
	ck_assert_int_eq(written, GH_UNKNOWN); /* its COMMIT lies in the server's buffer */
	ck_assert_uint_lt(gh_mono_ns() - start, 15 * GH_S_NS);
	start = gh_mono_ns();
	while (meta_commit(f.m, &f.call, &b) != GH_OK) { /* done before or done now, and once */
		ck_assert_uint_lt(gh_mono_ns() - start, 5 * GH_S_NS);
		usleep(10000);
	}
	OK(look_one());
	SOUND(&f);
}
END_TEST

struct looker {
	struct meta_look look; /* first */
	sem_t done;
};

static void is_done(struct meta_look *l)
{
	sem_post(&((struct looker *)l)->done);
}

static bool look_begin(struct looker *k)
{
	static const struct gh_component a = { "a", "a", 1, 1 };

	*k = (struct looker){ .look = { .tenant = TENANT, .from = ROOT, .comp = &a, .n = 1, .arena = f.a, .done = is_done } };
	sem_init(&k->done, 0, 0);
	return meta_look(f.m, &k->look);
}

/* Whoever is with the server waits; nobody else is kept, and the one gets word after a second. */
START_TEST(looks_at_a_server_that_stands_still_go_the_long_way)
{
	struct looker first, second, third;
	bool took_first, took_second, took_third;
	uint64_t start;
	pid_t pids[32];
	unsigned n;

	OK(put_one("a"));
	ck_assert(look_begin(&first));
	sem_wait(&first.done);
	OK(first.look.status);
	ck_assert_uint_eq(first.look.found, 1);
	n = servers(pids, 32);
	signal_all(pids, n, SIGSTOP);
	start = gh_mono_ns();
	took_first = look_begin(&first);
	usleep(20000);
	took_second = look_begin(&second);
	if (took_first)
		sem_wait(&first.done);
	took_third = look_begin(&third);
	signal_all(pids, n, SIGCONT);
	ck_assert(took_first);
	ck_assert_int_ne(first.look.status, GH_OK);
	ck_assert_uint_lt(gh_mono_ns() - start, 3 * GH_S_NS);
	ck_assert(!took_second);
	ck_assert(!took_third);
	while (!look_begin(&third))
		ck_assert_uint_lt(gh_mono_ns() - start, 10 * GH_S_NS);
	sem_wait(&third.done);
	OK(third.look.status);
}
END_TEST

/* ---- words ---- */

struct ear {
	pthread_mutex_t lock;
	unsigned count;
	char last[META_WORD_MAX + 1];
};

static void hear(void *arg, const char *word)
{
	struct ear *e = arg;

	pthread_mutex_lock(&e->lock);
	e->count++;
	snprintf(e->last, sizeof(e->last), "%s", word);
	pthread_mutex_unlock(&e->lock);
}

static unsigned heard(struct ear *e)
{
	unsigned n;

	pthread_mutex_lock(&e->lock);
	n = e->count;
	pthread_mutex_unlock(&e->lock);
	return n;
}

/* Both listen only after a moment, so the first words may be lost. */
START_TEST(what_one_says_the_others_hear_and_not_itself)
{
	struct ear own = { .lock = PTHREAD_MUTEX_INITIALIZER }, other = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct meta_config cfg = { .conninfo = f.conninfo };
	const uint64_t end = gh_mono_ns() + 10 * GH_S_NS;
	char longest[META_WORD_MAX + 1], err[DB_ERR_MAX];
	struct meta_store *m;
	unsigned before;

	OK(meta_open(&cfg, &m, err));
	meta_on_word(f.m, hear, &own);
	meta_on_word(m, hear, &other);
	while (!heard(&other) && gh_mono_ns() < end) {
		meta_say(f.m, "are you there");
		usleep(20000);
	}
	ck_assert_uint_gt(heard(&other), 0);
	usleep(300000);
	before = heard(&other);
	for (unsigned i = 0; i < 10; i++)
		meta_say(f.m, "the same"); /* each counts */
	while (heard(&other) < before + 10 && gh_mono_ns() < end)
		usleep(10000);
	ck_assert_uint_eq(heard(&other), before + 10);
	memset(longest, 'z', META_WORD_MAX);
	longest[META_WORD_MAX] = '\0';
	meta_say(f.m, longest);
	while (heard(&other) < before + 11 && gh_mono_ns() < end)
		usleep(10000);
	meta_on_word(m, NULL, NULL);
	ck_assert_str_eq(other.last, longest);
	for (unsigned i = 0; i < 10000; i++)
		meta_say(f.m, "too many at once are not all heard");
	meta_on_word(f.m, NULL, NULL);
	ck_assert_uint_eq(own.count, 0);
	meta_close(&m);
}
END_TEST

/* ---- waiting ---- */

START_TEST(a_read_that_has_to_wait_gives_up_at_its_deadline_and_the_next_one_is_well)
{
	PGconn *h = hold("BEGIN; LOCK TABLE tenant IN ACCESS EXCLUSIVE MODE");
	struct meta_call late = { .arena = f.a, .op = "late", .deadline_ns = gh_mono_ns() + 200 * GH_MS_NS };
	struct meta_tenant *t;

	IS(GH_DEADLINE, meta_tenant_by_name(f.m, &late, "acme", &t));
	PQfinish(h);
	OK(look_one());
}
END_TEST

static void none_is_found(void *arg, bool loss, const char *text)
{
	(void)arg;
	(void)loss;
	ck_abort_msg("%s", text);
}

START_TEST(the_check_may_take_longer_than_other_statements)
{
	struct meta_config cfg = { .conninfo = f.conninfo, .statement_ms = 400 };
	struct meta_call c = { .arena = f.a, .op = "fsck" };
	char err[DB_ERR_MAX];
	PGconn *h;

	meta_close(&f.m);
	OK(meta_open(&cfg, &f.m, err));
	h = hold("BEGIN; LOCK TABLE node IN ACCESS EXCLUSIVE MODE");
	ck_assert_int_eq(PQsendQuery(h, "SELECT pg_sleep(3); COMMIT"), 1);
	OK(meta_check(f.m, &c, none_is_found, NULL));
	PQfinish(h);
	OK(look_one()); /* and the connection is like others again */
	h = hold("BEGIN; LOCK TABLE tenant IN ACCESS EXCLUSIVE MODE");
	IS(GH_DATABASE, look_one());
	PQfinish(h);
}
END_TEST

START_TEST(a_write_that_others_lock_out_is_refused_after_the_lock_timeout)
{
	struct meta_config cfg = { .conninfo = f.conninfo, .lock_ms = 200 };
	char err[DB_ERR_MAX];
	PGconn *h;

	meta_close(&f.m);
	OK(meta_open(&cfg, &f.m, err));
	OK(put_one("a"));
	h = hold("BEGIN; LOCK TABLE node IN ACCESS EXCLUSIVE MODE");
	IS(GH_BUSY, put_one("b"));
	PQfinish(h);
	OK(put_one("b"));
	SOUND(&f);
}
END_TEST

/* Its statements are not known to the server yet, and wait for the lock when they are made known. */
START_TEST(a_first_write_that_others_lock_out_is_refused_and_no_outcome_is_in_doubt)
{
	struct meta_config cfg = { .conninfo = f.conninfo, .lock_ms = 200 };
	char err[DB_ERR_MAX];
	uint64_t began_ns;
	PGconn *h;

	OK(put_one("a"));
	meta_close(&f.m);
	OK(meta_open(&cfg, &f.m, err));
	h = hold("BEGIN; LOCK TABLE node IN ACCESS EXCLUSIVE MODE");
	began_ns = gh_mono_ns();
	IS(GH_BUSY, put_one("b"));
	ck_assert_int_lt(gh_mono_ns() - began_ns, 5 * GH_S_NS);
	PQfinish(h);
	OK(put_one("b"));
	SOUND(&f);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("metadata on PostgreSQL");
	TCase *t = tcase_create("pgsql"), *others = tcase_create("the same");
	int status = cluster_begin(argv[0]);

	(void)argc;
	if (status)
		return status;
	tcase_set_timeout(others, 600);
	tcase_add_loop_test(others, what_holds_in_a_file_holds_on_a_server, 0, sizeof(same) / sizeof(same[0]));
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, both_databases_get_the_same_tables_and_columns);
	tcase_add_test(t, a_schema_that_is_not_this_programs_is_refused_in_words);
	tcase_add_test(t, a_migration_that_was_cut_off_is_taken_up);
	tcase_add_test(t, gateways_that_start_together_migrate_once);
	tcase_add_test(t, a_database_that_cannot_be_reached_is_named_in_one_line);
	tcase_add_test(t, of_several_hosts_the_one_that_can_be_written_to_is_taken);
	tcase_add_test(t, a_server_that_stands_still_is_a_failure_in_time_and_well_when_it_goes_on);
	tcase_add_test(t, looks_at_a_server_that_stands_still_go_the_long_way);
	tcase_add_test(t, what_one_says_the_others_hear_and_not_itself);
	tcase_add_test(t, connections_that_the_server_dropped_meanwhile_are_not_noticed);
	tcase_add_test(t, a_server_that_is_down_is_a_failure_and_one_that_is_back_is_used_within_two_seconds);
	tcase_add_test(t, a_read_that_has_to_wait_gives_up_at_its_deadline_and_the_next_one_is_well);
	tcase_add_test(t, the_check_may_take_longer_than_other_statements);
	tcase_add_test(t, a_write_that_others_lock_out_is_refused_after_the_lock_timeout);
	tcase_add_test(t, a_first_write_that_others_lock_out_is_refused_and_no_outcome_is_in_doubt);
	suite_add_tcase(s, t);
	suite_add_tcase(s, others);
	status = run_suite(s);
	cluster_end();
	return status;
}
