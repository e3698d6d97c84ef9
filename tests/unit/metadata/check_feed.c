/* The event log in the order of commits (core/meta.h): for feeds, by cursor; for caches, as a stream. Runs on both databases;
 * what needs transactions side by side only where there are some. */
#include "tests/unit/metadata/help.h"

#include <pthread.h>

static struct fix f;

static void setup(void)
{
	fix_new(&f);
}

static void teardown(void)
{
	fix_free(&f);
}

struct page {
	struct meta_event *e;
	unsigned count;
	struct meta_cursor next;
};

static struct page feed_read(uint64_t tenant, struct meta_cursor after, unsigned limit)
{
	struct page p;

	OK(meta_feed(f.m, &f.call, tenant, &after, limit, &p.e, &p.count, &p.next));
	return p;
}

static struct meta_cursor newest(void)
{
	struct meta_cursor old, new;

	OK(meta_feed_ends(f.m, &f.call, TENANT, &old, &new));
	return new;
}

static bool same_place(struct meta_cursor a, struct meta_cursor b)
{
	return a.feed == b.feed && a.pos == b.pos && a.op == b.op;
}

/* ---- a tenant's log ---- */

START_TEST(a_log_is_read_in_pages_and_ends_where_it_goes_on)
{
	const char *names[] = { "a", "b", "c", "d", "e" };
	struct meta_cursor at = newest();
	unsigned seen = 0;

	for (unsigned i = 0; i < 5; i++)
		file_make(&f, ROOT, names[i], 10 + i);
	for (;;) {
		struct page p = feed_read(TENANT, at, 2);

		if (!p.count) {
			ck_assert(same_place(p.next, at));
			break;
		}
		ck_assert_uint_le(p.count, 2);
		for (unsigned i = 0; i < p.count; i++, seen++) {
			ck_assert_int_eq(p.e[i].bytes, 10 + (int)seen);
			ck_assert_uint_eq(p.e[i].tenant, TENANT);
			ck_assert(p.e[i].at.feed && p.e[i].at.pos && p.e[i].at.op == p.e[i].op);
		}
		at = p.next;
	}
	ck_assert_uint_eq(seen, 5);
	ck_assert(same_place(at, newest()));
}
END_TEST

START_TEST(a_log_is_in_the_order_of_commits_not_of_operations)
{
	struct meta_cursor at = newest();
	uint64_t early = gh_id_new();
	struct meta_step s[3];
	struct meta_batch b;
	struct page p;

	file_make(&f, ROOT, "first", 1);
	b = put_batch(s, ROOT, "second", 2);
	b.op = early; /* thought of before, committed after */
	OK(meta_commit(f.m, &f.call, &b));
	p = feed_read(TENANT, at, 10);
	ck_assert_uint_eq(p.count, 2);
	ck_assert_int_eq(p.e[0].bytes, 1);
	ck_assert_int_eq(p.e[1].bytes, 2);
	ck_assert_uint_lt(p.e[1].op, p.e[0].op);
}
END_TEST

START_TEST(a_log_is_its_tenants_alone)
{
	const struct meta_cursor start = { 0 };

	tenant_make(&f, 2000, 2001, 2002, "other");
	file_make(&f, ROOT, "a", 1);
	for (unsigned i = 0; i < 2; i++) {
		const uint64_t tenant = i ? TENANT : 2000;
		struct page p = feed_read(tenant, start, 100);

		ck_assert_uint_eq(p.count, i ? 2 : 1);
		for (unsigned k = 0; k < p.count; k++)
			ck_assert_uint_eq(p.e[k].tenant, tenant);
	}
}
END_TEST

START_TEST(a_cursor_ends_when_what_follows_it_is_dropped)
{
	struct meta_cursor before = newest(), old, new;
	struct meta_event *e;
	unsigned count;

	for (unsigned i = 0; i < 3; i++)
		file_make(&f, ROOT, (const char *[]){ "a", "b", "c" }[i], 1);
	usleep(5000);
	OK(meta_events_fold(f.m, &f.call, gh_real_us() + 1000000));
	IS(GH_NOTFOUND, meta_feed(f.m, &f.call, TENANT, &before, 10, &e, &count, &new));
	OK(meta_feed_ends(f.m, &f.call, TENANT, &old, &new));
	ck_assert_uint_eq(feed_read(TENANT, old, 10).count, 1); /* the newest always stays */
	ck_assert_uint_eq(feed_read(TENANT, new, 10).count, 0);
	ck_assert_uint_eq(feed_read(TENANT, (struct meta_cursor){ 0 }, 10).count, 1);
}
END_TEST

START_TEST(a_cursor_of_another_log_is_refused)
{
	struct meta_cursor at = newest(), none;
	struct meta_event *e;
	unsigned count;

	at.feed ^= 4;
	IS(GH_NOTFOUND, meta_feed(f.m, &f.call, TENANT, &at, 10, &e, &count, &none));
	at.feed ^= 4;
	OK(meta_feed_renew(f.m, &f.call, TENANT)); /* one tenant's */
	IS(GH_NOTFOUND, meta_feed(f.m, &f.call, TENANT, &at, 10, &e, &count, &none));
	at = newest();
	OK(meta_feed_renew(f.m, &f.call, 0)); /* everybody's */
	IS(GH_NOTFOUND, meta_feed(f.m, &f.call, TENANT, &at, 10, &e, &count, &none));
	ck_assert_uint_ne(newest().feed, at.feed);
}
END_TEST

START_TEST(the_order_goes_on_after_a_restart)
{
	struct meta_cursor at;
	struct page p;

	file_make(&f, ROOT, "a", 1);
	at = newest();
	meta_close(&f.m);
	fix_open(&f);
	file_make(&f, ROOT, "b", 2);
	p = feed_read(TENANT, at, 10);
	ck_assert_uint_eq(p.count, 1);
	ck_assert_int_eq(p.e[0].bytes, 2);
}
END_TEST

START_TEST(events_of_the_release_before_have_their_place)
{
	struct meta_cursor at;
	struct page p;

	if (!f.conninfo[0]) /* an embedded database is one program's at a time, and never an older one's again */
		return;
	file_make(&f, ROOT, "a", 1);
	at = newest();
	fix_sql(&f, "INSERT INTO event (tenant, op, time_us, user_id, user_name, what, door, path, dest, request_id, node, bytes,"
		    " files, late) VALUES (1000, 5, 0, 0, '', 'old', '', '', '', '', 0, 0, 0, 0)");
	p = feed_read(TENANT, at, 10);
	ck_assert_uint_eq(p.count, 1);
	ck_assert_str_eq(p.e[0].what, "old");
	ck_assert_str_eq(p.e[0].touched, "");
}
END_TEST

/* ---- what it touches ---- */

static const char *last_touched(void)
{
	struct meta_cursor none = { 0 };
	struct page p = feed_read(TENANT, none, 1000);

	ck_assert_uint_gt(p.count, 0);
	return p.e[p.count - 1].touched;
}

START_TEST(an_event_says_what_caches_have_to_forget)
{
	struct meta_user u = { .id = 77, .name = "ann", .key = "ann", .password_hash = "" };
	struct meta_lock l = { .id = 9, .token = "urn:uuid:1", .node = ROOT, .path_key = "/x", .path = "/x", .owner_xml = "",
			       .user_name = "" };
	struct meta_step structural[] = { { .kind = META_TREE_GEN }, { .kind = META_RIGHTS_EPOCH } };

	ck_assert_str_eq(last_touched(), "T");
	file_make(&f, ROOT, "a b", 1);
	ck_assert_str_eq(last_touched(), "s1001:3:a b");
	OK(run_step(&f, (struct meta_step){ .kind = META_USER_PUT, .user = &u }));
	ck_assert_str_eq(last_touched(), "u77 r");
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_INSERT, .lock = &l }));
	ck_assert_str_eq(last_touched(), "l");
	OK(run_steps(&f, structural, 2));
	ck_assert_str_eq(last_touched(), "t r");
	folder_make(&f, ROOT, "unseen"); /* no slot: nobody can have it in memory */
	ck_assert_str_eq(last_touched(), "-");
}
END_TEST

/* ---- the stream ---- */

struct seen {
	unsigned count;
	uint64_t ops[1000];
};

static void see(void *arg, const struct meta_event *e)
{
	struct seen *s = arg;

	ck_assert_uint_lt(s->count, 1000);
	s->ops[s->count++] = e->op;
}

static unsigned stream_read(struct meta_stream *at, struct seen *s)
{
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct meta_call call = { .arena = a, .op = "stream" };
	const unsigned before = s->count;

	OK(meta_stream(f.m, &call, 0, at, see, s));
	gh_arena_free(&a);
	return s->count - before;
}

START_TEST(a_stream_gives_all_tenants_events_once_from_where_it_began)
{
	static struct meta_stream at;
	static struct seen s;
	char name[16];

	memset(&at, 0, sizeof(at));
	s.count = 0;
	file_make(&f, ROOT, "before", 1);
	ck_assert_uint_eq(stream_read(&at, &s), 0);
	ck_assert_uint_eq(stream_read(&at, &s), 0);
	tenant_make(&f, 2000, 2001, 2002, "other");
	file_make(&f, ROOT, "a", 1);
	ck_assert_uint_eq(stream_read(&at, &s), 2);
	ck_assert_uint_eq(stream_read(&at, &s), 0);
	for (unsigned i = 0; i < 450; i++) { /* pages */
		snprintf(name, sizeof(name), "n%u", i);
		folder_make(&f, ROOT, name);
	}
	ck_assert_uint_eq(stream_read(&at, &s), 450);
	ck_assert_uint_eq(stream_read(&at, &s), 0);
}
END_TEST

START_TEST(a_stream_tells_what_was_before_it_began_newest_first)
{
	static struct meta_stream at, few;
	static struct seen s;

	memset(&at, 0, sizeof(at));
	memset(&few, 0, sizeof(few));
	s.count = 0;
	for (unsigned i = 0; i < 5; i++)
		folder_make(&f, ROOT, (const char *[]){ "a", "b", "c", "d", "e" }[i]);
	at.back = 1000;
	ck_assert_uint_ge(stream_read(&at, &s), 5);
	ck_assert_uint_gt(s.ops[0], s.ops[1]);
	ck_assert_uint_eq(at.since, 1); /* all that there is */
	ck_assert_uint_gt(at.horizon, 1);
	ck_assert_uint_ne(at.log, 0);
	ck_assert_uint_eq(stream_read(&at, &s), 0);
	folder_make(&f, ROOT, "f");
	ck_assert_uint_eq(stream_read(&at, &s), 1);
	few.back = 2;
	ck_assert_uint_eq(stream_read(&few, &s), 2);
	ck_assert_uint_gt(few.since, 1); /* not before those two */
	ck_assert_uint_le(few.since, at.horizon);
	ck_assert_uint_eq(few.log, at.log);
}
END_TEST

START_TEST(what_was_dropped_of_the_log_is_not_said_to_have_been_told)
{
	static struct meta_stream at;
	static struct seen s;

	memset(&at, 0, sizeof(at));
	s.count = 0;
	folder_make(&f, ROOT, "a");
	fix_sql(&f, "INSERT INTO feed (tenant, epoch, cut_pos, cut_op) VALUES (1000, 0, 77, 5)");
	at.back = 1000;
	(void)stream_read(&at, &s);
	ck_assert_uint_eq(at.since, 78);
}
END_TEST

START_TEST(a_log_that_was_renewed_is_another_one)
{
	static struct meta_stream at;
	static struct seen s;
	uint64_t log;

	memset(&at, 0, sizeof(at));
	at.back = 1;
	s.count = 0;
	(void)stream_read(&at, &s);
	log = at.log;
	OK(meta_feed_renew(f.m, &f.call, 0));
	(void)stream_read(&at, &s);
	ck_assert_uint_ne(at.log, log);
}
END_TEST

static void *file_later(void *arg)
{
	(void)arg;
	usleep(50000);
	file_make(&f, ROOT, "later", 1);
	return NULL;
}

START_TEST(who_waits_is_woken_by_a_commit)
{
	uint64_t seen = 0, none = 0, since;
	pthread_t t;

	meta_wait(f.m, 0, false, &seen, 60000); /* never looked: at once */
	meta_wait(f.m, 0, true, &none, 60000);
	since = gh_mono_ns();
	ck_assert_int_eq(pthread_create(&t, NULL, file_later, NULL), 0);
	meta_wait(f.m, 0, false, &seen, 60000);
	ck_assert_uint_lt(gh_mono_ns() - since, 30 * GH_S_NS);
	pthread_join(t, NULL);
	meta_wait_end(f.m);
	meta_wait(f.m, 0, false, &seen, 60000);
}
END_TEST

#ifdef HAVE_POSTGRESQL
/* ---- transactions side by side ---- */

#define INSERT_EVENT(op)                                                                                                   \
	"INSERT INTO event (tenant, op, time_us, user_id, user_name, what, door, path, dest, request_id, node, bytes, files,"  \
	" late) VALUES (1000, " op ", 0, 0, '', 'other', '', '', '', '', 0, 0, 0, 0)"

static void say(PGconn *h, const char *sql)
{
	PGresult *r = PQexec(h, sql);

	ck_assert_msg(PQresultStatus(r) == PGRES_COMMAND_OK, "%s: %s", sql, PQerrorMessage(h));
	PQclear(r);
}

/* The first transaction begins first, has the higher operation or the lower, and commits last. */
static void out_of_order(const char *first, const char *second, void (*look)(void *arg), void *arg)
{
	PGconn *a = PQconnectdb(f.conninfo), *b = PQconnectdb(f.conninfo);

	say(a, "BEGIN");
	say(a, first);
	say(b, second);
	look(arg);
	say(a, "COMMIT");
	look(arg);
	PQfinish(a);
	PQfinish(b);
}

struct reader {
	struct meta_cursor at;
	unsigned seen, looks;
	uint64_t ops[8];
};

static void reader_look(void *arg)
{
	struct reader *r = arg;
	struct page p = feed_read(TENANT, r->at, 10);

	for (unsigned i = 0; i < p.count; i++)
		r->ops[r->seen++] = p.e[i].op;
	r->at = p.next;
	if (++r->looks == 1)
		ck_assert_uint_eq(r->seen, 0); /* the second may not be given before the first */
}

START_TEST(a_reader_with_a_cursor_misses_no_commit_whatever_their_order)
{
	if (!f.conninfo[0])
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct reader r = { .at = newest() };

		out_of_order(i ? INSERT_EVENT("11") : INSERT_EVENT("12"), i ? INSERT_EVENT("14") : INSERT_EVENT("10"), reader_look,
			     &r);
		ck_assert_uint_eq(r.seen, 2);
		ck_assert_uint_eq(r.ops[0], i ? 11 : 12);
		ck_assert_uint_eq(r.ops[1], i ? 14 : 10);
	}
}
END_TEST

struct stream_reader {
	struct meta_stream at;
	struct seen seen;
	unsigned looks;
};

static void stream_look(void *arg)
{
	struct stream_reader *r = arg;

	ck_assert_uint_eq(stream_read(&r->at, &r->seen), 1); /* each as soon as it is there, and once */
	ck_assert_uint_eq(stream_read(&r->at, &r->seen), 0);
	ck_assert_uint_eq(r->seen.ops[r->looks], r->looks ? 12 : 10);
	r->looks++;
}

START_TEST(a_stream_waits_for_nobody_and_misses_nothing)
{
	static struct stream_reader r;

	if (!f.conninfo[0])
		return;
	memset(&r, 0, sizeof(r));
	stream_read(&r.at, &r.seen);
	out_of_order(INSERT_EVENT("12"), INSERT_EVENT("10"), stream_look, &r);
	ck_assert_uint_eq(r.looks, 2);
}
END_TEST

START_TEST(a_commit_of_another_process_wakes_who_waits_for_others)
{
	struct meta_config cfg = { .conninfo = f.conninfo };
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "theirs", 1);
	struct meta_store *other;
	uint64_t seen = 0, since;
	char err[512];

	if (!f.conninfo[0])
		return;
	OK(meta_open(&cfg, &other, err));
	for (unsigned i = 0; i < 20; i++) /* until both listen, and nothing rings any more */
		meta_wait(f.m, 0, true, &seen, 100);
	since = gh_mono_ns();
	OK(meta_commit(other, &f.call, &b));
	meta_wait(f.m, 0, true, &seen, 60000);
	ck_assert_uint_lt(gh_mono_ns() - since, 30 * GH_S_NS);
	meta_close(&other);
}
END_TEST

START_TEST(a_log_that_comes_from_another_server_begins_anew)
{
	struct meta_cursor at, none;
	struct meta_event *e;
	unsigned count;

	if (!f.conninfo[0])
		return;
	file_make(&f, ROOT, "a", 1);
	at = newest();
	meta_close(&f.m);
	fix_sql(&f, "UPDATE event SET pos = pos + 1000000000");
	fix_open(&f);
	IS(GH_NOTFOUND, meta_feed(f.m, &f.call, TENANT, &at, 10, &e, &count, &none));
	at = newest();
	file_make(&f, ROOT, "b", 2);
	ck_assert_uint_eq(feed_read(TENANT, at, 10).count, 1);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("feed");
	TCase *tc = tcase_create("feed");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_log_is_read_in_pages_and_ends_where_it_goes_on);
	tcase_add_test(tc, a_log_is_in_the_order_of_commits_not_of_operations);
	tcase_add_test(tc, a_log_is_its_tenants_alone);
	tcase_add_test(tc, a_cursor_ends_when_what_follows_it_is_dropped);
	tcase_add_test(tc, a_cursor_of_another_log_is_refused);
	tcase_add_test(tc, the_order_goes_on_after_a_restart);
	tcase_add_test(tc, events_of_the_release_before_have_their_place);
	tcase_add_test(tc, an_event_says_what_caches_have_to_forget);
	tcase_add_test(tc, a_stream_gives_all_tenants_events_once_from_where_it_began);
	tcase_add_test(tc, a_stream_tells_what_was_before_it_began_newest_first);
	tcase_add_test(tc, what_was_dropped_of_the_log_is_not_said_to_have_been_told);
	tcase_add_test(tc, a_log_that_was_renewed_is_another_one);
	tcase_add_test(tc, who_waits_is_woken_by_a_commit);
#ifdef HAVE_POSTGRESQL
	tcase_add_test(tc, a_reader_with_a_cursor_misses_no_commit_whatever_their_order);
	tcase_add_test(tc, a_stream_waits_for_nobody_and_misses_nothing);
	tcase_add_test(tc, a_commit_of_another_process_wakes_who_waits_for_others);
	tcase_add_test(tc, a_log_that_comes_from_another_server_begins_anew);
#endif
	suite_add_tcase(s, tc);
	return run_suite(s);
}
