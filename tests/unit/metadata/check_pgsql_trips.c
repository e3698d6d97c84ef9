/* The PostgreSQL driver: what an operation and a group of them cost in round trips, and what becomes of each of a group where
 * several gateways write. */
#include <pthread.h>

#include "tests/unit/metadata/help_cluster.h"

/* ---- round trips ---- */

static enum gh_status agrees(void *arg)
{
	(void)arg;
	return GH_OK;
}

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
	Suite *s = suite_create("groups on PostgreSQL");
	TCase *t = tcase_create("trips");
	int status = cluster_begin(argv[0]);

	(void)argc;
	if (status)
		return status;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
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
	status = run_suite(s);
	cluster_end();
	return status;
}
