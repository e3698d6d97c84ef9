/* The PostgreSQL driver: the store's other tests all over again on a server of its own, and what only a server can do: go
 * away, come back, make others wait, have several writers. One private cluster for all of it (tests/lib/pgcluster.sh). */
#include <errno.h>
#include <libgen.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#include "backends/metadata/store.h"
#include "core/base/metrics.h"
#include "tests/unit/metadata/help.h"

static char cluster[64], programs[512];
static struct fix f;

static void setup(void)
{
	fix_new(&f);
}

static void teardown(void)
{
	fix_free(&f);
}

/* "start" prints the conninfo, which becomes everybody's. Gives the script's exit status. */
static int cluster_do(const char *verb, const char *setting)
{
	const char *src = getenv("srcdir");
	char cmd[1024], line[256] = "";
	FILE *p;
	int status;

	snprintf(cmd, sizeof(cmd), "%s/tests/lib/pgcluster.sh %s %s %s", src ? src : ".", verb, cluster, setting);
	p = popen(cmd, "r");
	if (!p)
		return 1;
	if (fgets(line, sizeof(line), p)) {
		line[strcspn(line, "\n")] = '\0';
		setenv("GATEHOUSE_TEST_POSTGRESQL", line, 1);
	}
	status = pclose(p);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

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
	IS(GH_DATABASE, open_after("DELETE FROM schema_version WHERE version = 6", err));
	ck_assert_msg(strstr(err, "already exists"), "%s", err);
	IS(GH_DAMAGED, open_after("DROP TABLE schema_version", err));
	ck_assert_msg(strstr(err, "another program"), "%s", err);
}
END_TEST

START_TEST(a_migration_that_was_cut_off_is_taken_up)
{
	char err[DB_ERR_MAX];

	OK(open_after("DELETE FROM schema_version WHERE version = 6; DROP TABLE moving;"
		      " ALTER TABLE tenant DROP COLUMN hold_us; ALTER TABLE tenant DROP COLUMN mover", err));
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

static enum gh_status put_one(const char *name)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, name, 10);

	return meta_commit(f.m, &f.call, &b);
}

static enum gh_status look_one(void)
{
	struct meta_tenant *t;

	return meta_tenant_by_name(f.m, &f.call, "acme", &t);
}

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

static enum gh_status agrees(void *arg)
{
	(void)arg;
	return GH_OK;
}

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

/* ---- waiting ---- */

static PGconn *hold(const char *sql)
{
	PGconn *h = PQconnectdb(f.conninfo);
	PGresult *r = PQexec(h, sql);

	ck_assert_msg(PQresultStatus(r) == PGRES_COMMAND_OK, "%s", PQerrorMessage(h));
	PQclear(r);
	return h;
}

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
	struct meta_config cfg = { .conninfo = f.conninfo, .statement_ms = 100 };
	struct meta_call c = { .arena = f.a, .op = "fsck" };
	char err[DB_ERR_MAX];
	PGconn *h;

	meta_close(&f.m);
	OK(meta_open(&cfg, &f.m, err));
	h = hold("BEGIN; LOCK TABLE node IN ACCESS EXCLUSIVE MODE");
	ck_assert_int_eq(PQsendQuery(h, "SELECT pg_sleep(1); COMMIT"), 1);
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

/* ---- round trips ---- */

static int64_t trips_since(int64_t before)
{
	return gh_metric_get(GH_M_DB_ROUND_TRIPS, 0) - before;
}

START_TEST(an_operation_is_one_round_trip)
{
	struct gh_component comp[3] = { { .key = "d", .key_len = 1 }, { .key = "e", .key_len = 1 }, { .key = "f", .key_len = 1 } };
	uint64_t d = folder_make(&f, ROOT, "d"), e = folder_make(&f, d, "e"), seen;
	struct meta_node *nodes;
	struct meta_page page;
	struct meta_lock *locks;
	struct meta_step s[3];
	struct meta_batch b;
	unsigned n;
	int64_t before;

	OK(look_one()); /* the connection, and its clock */
	before = trips_since(0);
	b = put_batch(s, e, "f", 10);
	OK(meta_commit(f.m, &f.call, &b));
	ck_assert_int_eq(trips_since(before), 1);
	IS(GH_STALE, meta_commit(f.m, &f.call, (b = put_batch(s, e, "f", 10), &b)));
	ck_assert_int_eq(trips_since(before), 2);
	OK(meta_resolve(f.m, &f.call, TENANT, ROOT, comp, 3, &nodes, &n));
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(trips_since(before), 3);
	OK(meta_list(f.m, &f.call, TENANT, e, "", 100, &page));
	ck_assert_int_eq(trips_since(before), 4);
	OK(meta_locks(f.m, &f.call, TENANT, &locks, &n, &seen));
	ck_assert_int_eq(trips_since(before), 5);
	b = put_batch(s, e, "g", 10);
	b.before = agrees; /* its content is durable before it sets out */
	OK(meta_commit(f.m, &f.call, &b));
	ck_assert_int_eq(trips_since(before), 6);
}
END_TEST

START_TEST(a_question_of_several_statements_is_one_round_trip)
{
	uint64_t group = 40, bytes, files;
	struct meta_user u = { .id = 41, .name = "ann", .key = "ann", .password_hash = "", .groups = &group, .group_count = 1 }, *ann;
	struct meta_group g = { .id = group, .name = "staff" };
	struct meta_step s[3] = { { .kind = META_USER_PUT, .user = &u }, { .kind = META_GROUP_PUT, .group = &g },
				  { .kind = META_MEMBER_ADD, .user = &u, .group = &g } };
	struct meta_rights *rights;
	int64_t before;

	OK(run_steps(&f, s, 3));
	file_make(&f, ROOT, "a", 10);
	OK(look_one()); /* the connection, and its clock */
	before = trips_since(0);
	OK(meta_rights_load(f.m, &f.call, TENANT, &rights));
	ck_assert_int_eq(trips_since(before), 1);
	ck_assert_uint_eq(rights->user_count, 1);
	ck_assert_uint_eq(rights->users[0].groups[0], group);
	OK(meta_user_by_name(f.m, &f.call, TENANT, "ann", &ann));
	ck_assert_int_eq(trips_since(before), 2);
	ck_assert_uint_eq(ann->group_count, 1);
	ck_assert_uint_eq(ann->groups[0], group);
	IS(GH_NOTFOUND, meta_user_by_name(f.m, &f.call, TENANT, "bob", &ann));
	OK(meta_user_by_name(f.m, &f.call, TENANT, "ann", &ann)); /* what was asked for in vain is not taken for an answer */
	ck_assert_uint_eq(ann->group_count, 1);
	ck_assert_int_eq(trips_since(before), 4);
	OK(meta_usage(f.m, &f.call, TENANT, &bytes, &files));
	ck_assert_int_eq(trips_since(before), 5);
	ck_assert_uint_eq(bytes, 10);
	IS(GH_NOTFOUND, meta_usage(f.m, &f.call, TENANT + 1, &bytes, &files));
}
END_TEST

/* Nobody has noticed yet that the connection is lost when several statements are sent on it at once. */
START_TEST(a_question_of_several_statements_survives_a_connection_that_was_dropped)
{
	struct meta_rights *rights;

	OK(meta_rights_load(f.m, &f.call, TENANT, &rights));
	pg_run(pg_conninfo(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()");
	OK(meta_rights_load(f.m, &f.call, TENANT, &rights));
	ck_assert_uint_eq(rights->rights_epoch, 1);
}
END_TEST

#define SENT 48

static void count_landed(void *arg, enum gh_status st)
{
	__atomic_add_fetch((unsigned *)arg, st == GH_OK, __ATOMIC_RELAXED);
}

/* A table that is locked keeps the first of them waiting; the others gather. */
START_TEST(a_group_is_one_round_trip_however_many_it_has)
{
	struct meta_step steps[SENT][3];
	struct meta_batch b[SENT];
	unsigned landed = 0;
	int64_t before;
	PGconn *h;

	OK(put_one("first"));
	h = hold("BEGIN; LOCK TABLE node IN ACCESS EXCLUSIVE MODE");
	before = trips_since(0);
	for (unsigned i = 0; i < SENT; i++) {
		b[i] = put_batch(steps[i], ROOT, gh_printf(f.a, "n%u", i), 10);
		meta_commit_later(f.m, &f.call, &b[i], count_landed, &landed);
	}
	PQfinish(h);
	meta_quiet(f.m);
	ck_assert_uint_eq(landed, SENT);
	ck_assert_int_lt(trips_since(before), SENT / 4);
	SOUND(&f);
}
END_TEST

/* ---- groups ---- */

struct sent {
	struct meta_step steps[3];
	struct meta_batch b;
	enum gh_status st;
};

static void note_landed(void *arg, enum gh_status st)
{
	((struct sent *)arg)->st = st;
}

static void send_all(struct sent *g, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		meta_commit_later(f.m, &f.call, &g[i].b, note_landed, &g[i]);
}

/* Of one transaction: behind another, which a locked table holds up. How many round trips both were. */
static int64_t send_as_group(struct sent *g, unsigned n)
{
	PGconn *h = hold("BEGIN; LOCK TABLE node IN ACCESS EXCLUSIVE MODE");
	const int64_t before = trips_since(0);
	struct sent first = { .b = put_batch(first.steps, ROOT, gh_printf(f.a, "first%llu", (unsigned long long)g->b.op), 1) };
	PGresult *r;
	bool waits;

	send_all(&first, 1);
	do {
		r = PQexec(h, "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'node'::regclass");
		waits = PQntuples(r) == 1;
		PQclear(r);
	} while (!waits);
	send_all(g, n);
	PQfinish(h);
	meta_quiet(f.m);
	OK(first.st);
	return trips_since(before);
}

START_TEST(whose_guards_do_not_hold_sinks_alone_in_the_one_round_trip_of_its_group)
{
	struct sent g[4] = { 0 };

	OK(put_one("taken"));
	for (unsigned i = 0; i < 4; i++)
		g[i].b = put_batch(g[i].steps, ROOT, i == 1 ? "taken" : gh_printf(f.a, "n%u", i), 10);
	ck_assert_int_eq(send_as_group(g, 4), 2);
	for (unsigned i = 0; i < 4; i++)
		IS(i == 1 ? GH_STALE : GH_OK, g[i].st);
	ck_assert(!node_read(&f, g[1].steps[0].node.id));
	SOUND(&f);
}
END_TEST

/* Twice the same batch: once one whose guards would hold again, once one whose would not. */
START_TEST(what_was_done_before_is_not_done_again_in_a_group)
{
	const uint64_t d = folder_make(&f, ROOT, "d"), e = folder_make(&f, ROOT, "e");
	struct sent g[5] = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		g[i].steps[0] = (struct meta_step){ .kind = META_NODE_TOUCH, .node.id = i ? e : d };
		g[i].b = batch_new(g[i].steps, 1);
	}
	g[1].b.slot_count = 1;
	g[1].b.slots[0] = (struct meta_slot){ ROOT, "e", e, 1 };
	for (unsigned i = 2; i < 5; i++)
		g[i].b = put_batch(g[i].steps, ROOT, gh_printf(f.a, "n%u", i), 10);
	OK(meta_commit(f.m, &f.call, &g[0].b));
	OK(meta_commit(f.m, &f.call, &g[1].b));
	ck_assert_uint_eq(node_read(&f, e)->rev, 2);
	for (unsigned first = 0; first < 2; first++) {
		send_as_group(g + first, first ? 1 : 5);
		for (unsigned i = 0; i < 5; i++) {
			OK(g[i].st);
			ck_assert_int_eq(g[i].b.done_before, i < 2);
		}
	}
	ck_assert_uint_eq(node_read(&f, d)->rev, 2);
	ck_assert_uint_eq(node_read(&f, e)->rev, 2);
	SOUND(&f);
}
END_TEST

START_TEST(a_step_that_cannot_be_done_sinks_its_own_batch_alone)
{
	struct sent g[4] = { 0 };

	for (unsigned i = 0; i < 4; i++)
		g[i].b = put_batch(g[i].steps, ROOT, gh_printf(f.a, "n%u", i), 10);
	g[2].steps[2].kind = META_BLOB_REF; /* of one that is not there */
	send_as_group(g, 4);
	for (unsigned i = 0; i < 4; i++)
		IS(i == 2 ? GH_STALE : GH_OK, g[i].st);
	ck_assert(!node_read(&f, g[2].steps[0].node.id));
	SOUND(&f);
}
END_TEST

/* How many rows the planner believes in; below zero: nobody has looked. */
static long believed_rows(void)
{
	PGconn *h = PQconnectdb(f.conninfo);
	PGresult *r = PQexec(h, "SELECT reltuples::bigint FROM pg_class WHERE oid = 'node'::regclass");
	long n = strtol(PQgetvalue(r, 0, 0), NULL, 10);

	PQclear(r);
	PQfinish(h);
	return n;
}

START_TEST(the_planner_knows_of_a_folder_that_was_just_filled)
{
	ck_assert_int_lt(believed_rows(), 10);
	for (unsigned i = 0; i < 300; i++)
		OK(put_one(gh_printf(f.a, "n%u", i)));
	meta_quiet(f.m);
	ck_assert_int_gt(believed_rows(), 50);
}
END_TEST

/* ---- several writers ---- */

#define GATEWAYS 3
#define NAMES 150

struct gateway {
	pthread_t thread;
	unsigned number, done, stale, other;
};

/* The same names in the same folder, as a store of its own. */
static void *run_gateway(void *arg)
{
	struct gateway *g = arg;
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct meta_call call = { .arena = a, .op = "gateway" };
	struct meta_config cfg = { .conninfo = f.conninfo };
	struct meta_store *m = NULL;
	char err[DB_ERR_MAX];

	g->other += meta_open(&cfg, &m, err) != GH_OK;
	for (unsigned i = 0; m && i < NAMES; i++) {
		struct meta_step s[3];
		char name[16];
		struct meta_batch b;
		enum gh_status st;

		snprintf(name, sizeof(name), "n%03u", (i * 7) % NAMES);
		b = put_batch(s, ROOT, name, 10);
		b.op = s[0].node.id + 5; /* made in one process: the numbers are unique */
		st = meta_commit(m, &call, &b);
		g->done += st == GH_OK;
		g->stale += st == GH_STALE;
		g->other += st != GH_OK && st != GH_STALE;
		if (i % 50 == 49) /* jobs shut all others out for a moment */
			g->other += meta_events_fold(m, &call, 0) != GH_OK;
		gh_arena_reset(a);
	}
	meta_close(&m);
	gh_arena_free(&a);
	return NULL;
}

START_TEST(each_name_is_won_by_one_of_several_gateways)
{
	struct gateway g[GATEWAYS] = { 0 };
	uint64_t bytes, files;
	unsigned done = 0;

	for (unsigned i = 0; i < GATEWAYS; i++)
		ck_assert_int_eq(pthread_create(&g[i].thread, NULL, run_gateway, &g[i]), 0);
	for (unsigned i = 0; i < GATEWAYS; i++) {
		pthread_join(g[i].thread, NULL);
		ck_assert_uint_eq(g[i].other, 0);
		ck_assert_uint_eq(g[i].done + g[i].stale, NAMES);
		done += g[i].done;
	}
	ck_assert_uint_eq(done, NAMES);
	OK(meta_usage(f.m, &f.call, TENANT, &bytes, &files));
	ck_assert_uint_eq(files, NAMES);
	SOUND(&f);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("metadata on PostgreSQL");
	TCase *t = tcase_create("pgsql"), *others = tcase_create("the same");
	int status;
	char cmd[96];

	(void)argc;
	snprintf(programs, sizeof(programs), "%s", dirname(argv[0]));
	/* Not below TMPDIR: its name would make a socket's path too long. */
	snprintf(cluster, sizeof(cluster), "/tmp/gh-pg-XXXXXX");
	if (!mkdtemp(cluster))
		return 1;
	status = cluster_do("start", "");
	if (status) {
		fprintf(stderr, status == 77 ? "SKIP: PostgreSQL's server is not installed\n" : "the cluster does not start\n");
		rmdir(cluster);
		return status;
	}
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
	tcase_add_test(t, connections_that_the_server_dropped_meanwhile_are_not_noticed);
	tcase_add_test(t, a_server_that_is_down_is_a_failure_and_one_that_is_back_is_used_within_two_seconds);
	tcase_add_test(t, a_read_that_has_to_wait_gives_up_at_its_deadline_and_the_next_one_is_well);
	tcase_add_test(t, the_check_may_take_longer_than_other_statements);
	tcase_add_test(t, a_write_that_others_lock_out_is_refused_after_the_lock_timeout);
	tcase_add_test(t, a_first_write_that_others_lock_out_is_refused_and_no_outcome_is_in_doubt);
	tcase_add_test(t, an_operation_is_one_round_trip);
	tcase_add_test(t, a_question_of_several_statements_is_one_round_trip);
	tcase_add_test(t, a_question_of_several_statements_survives_a_connection_that_was_dropped);
	tcase_add_test(t, a_group_is_one_round_trip_however_many_it_has);
	tcase_add_test(t, whose_guards_do_not_hold_sinks_alone_in_the_one_round_trip_of_its_group);
	tcase_add_test(t, what_was_done_before_is_not_done_again_in_a_group);
	tcase_add_test(t, a_step_that_cannot_be_done_sinks_its_own_batch_alone);
	tcase_add_test(t, the_planner_knows_of_a_folder_that_was_just_filled);
	tcase_add_test(t, each_name_is_won_by_one_of_several_gateways);
	suite_add_tcase(s, t);
	suite_add_tcase(s, others);
	status = run_suite(s);
	(void)cluster_do("stop", "");
	snprintf(cmd, sizeof(cmd), "rm -rf %s", cluster);
	if (system(cmd))
		fprintf(stderr, "left behind: %s\n", cluster);
	return status;
}
