/* Batches together: each of a group stands alone, what must be durable first is, and nobody is told before it is done,
 * waiting or not. What one batch does: check_commit.c. */
#include <pthread.h>
#include <semaphore.h>

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

/* ---- many at once ---- */

#define THREADS 16
#define EACH 500

struct runner {
	pthread_t thread;
	unsigned number, done, stale, other, asked;
};

static enum gh_status before_fails(void *arg)
{
	*(unsigned *)arg += 1;
	return GH_IO;
}

/* Every third batch is stale, every seventh fails in its last step, every eleventh is not let into a group; nobody else
 * may notice. */
static void *run_many(void *arg)
{
	struct runner *r = arg;
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct meta_call call = { .arena = a, .op = "many" };

	for (unsigned i = 0; i < EACH; i++) {
		struct meta_step s[4];
		char name[32];
		struct meta_batch b;
		enum gh_status st;

		snprintf(name, sizeof(name), "t%02u-%04u", r->number, i);
		b = put_batch(s, ROOT, name, 10);
		if (i % 3 == 0)
			b.slots[0].node = 4711;
		if (i % 7 == 0) {
			s[3] = (struct meta_step){ .kind = META_BLOB_REF, .part = { .blob = 1 } };
			b.step_count = 4;
		}
		if (i % 11 == 0) {
			b.before = before_fails;
			b.before_arg = &r->asked;
		}
		st = meta_commit(f.m, &call, &b);
		r->done += st == GH_OK;
		r->stale += st == GH_STALE;
		r->other += st != GH_OK && st != GH_STALE;
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
	return NULL;
}

START_TEST(sixteen_threads_commit_and_each_batch_stands_alone)
{
	struct runner r[THREADS] = { 0 };
	unsigned want = 0, stale = 0, failed = 0, done = 0;
	uint64_t bytes, files;

	for (unsigned i = 0; i < EACH; i++)
		if (i % 11 == 0)
			failed++;
		else if (i % 3 == 0 || i % 7 == 0)
			stale++;
		else
			want++;
	for (unsigned i = 0; i < THREADS; i++) {
		r[i].number = i;
		ck_assert_int_eq(pthread_create(&r[i].thread, NULL, run_many, &r[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(r[i].thread, NULL);
		ck_assert_uint_eq(r[i].done, want);
		ck_assert_uint_eq(r[i].stale, stale);
		ck_assert_uint_eq(r[i].other, failed);
		ck_assert_uint_eq(r[i].asked, failed);
		done += r[i].done;
	}
	OK(meta_usage(f.m, &f.call, TENANT, &bytes, &files));
	ck_assert_uint_eq(files, done);
	ck_assert_uint_eq(bytes, done * 10);
	SOUND(&f);
}
END_TEST

/* What is asked before: has the row been seen by anyone else yet? */
static enum gh_status before_looks(void *arg)
{
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct meta_call call = { .arena = a, .op = "look" };
	struct meta_node *n;

	*(enum gh_status *)arg = meta_node_get(f.m, &call, TENANT, 4242, &n);
	gh_arena_free(&a);
	return GH_OK;
}

START_TEST(what_must_be_durable_first_is_asked_for_before_anyone_sees_the_rows)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);
	enum gh_status seen = GH_BUG;

	s[0].node.id = 4242;
	b.before = before_looks;
	b.before_arg = &seen;
	OK(meta_commit(f.m, &f.call, &b));
	ck_assert_int_eq(seen, GH_NOTFOUND);
	ck_assert_ptr_nonnull(node_read(&f, 4242));
}
END_TEST

START_TEST(what_cannot_be_made_durable_is_not_committed)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);
	unsigned asked = 0;

	b.before = before_fails;
	b.before_arg = &asked;
	IS(GH_IO, meta_commit(f.m, &f.call, &b));
	ck_assert_uint_eq(asked, 1);
	ck_assert_ptr_null(node_read(&f, s[0].node.id));
}
END_TEST

/* ---- content that takes its time ---- */

static sem_t let_go;

static enum gh_status before_waits(void *arg)
{
	(void)arg;
	while (sem_wait(&let_go))
		;
	return GH_OK;
}

static void note_status(void *arg, enum gh_status st)
{
	*(enum gh_status *)arg = st;
}

START_TEST(whose_content_hangs_holds_up_nobody_without_any)
{
	struct meta_step s[3], t[3];
	struct meta_batch slow = put_batch(s, ROOT, "slow", 10), quick = put_batch(t, ROOT, "quick", 10);
	enum gh_status landed = GH_BUG;

	sem_init(&let_go, 0, 0);
	slow.before = before_waits;
	meta_commit_later(f.m, &f.call, &slow, note_status, &landed);
	OK(meta_commit(f.m, &f.call, &quick));
	ck_assert_int_eq(landed, GH_BUG);
	sem_post(&let_go);
	meta_quiet(f.m);
	OK(landed);
	ck_assert_ptr_nonnull(node_read(&f, s[0].node.id));
	sem_destroy(&let_go);
}
END_TEST

START_TEST(a_commit_whose_time_is_over_does_not_begin)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);
	struct meta_call late = { .arena = f.a, .op = "late", .deadline_ns = 1 };

	IS(GH_DEADLINE, meta_commit(f.m, &late, &b));
	ck_assert_ptr_null(node_read(&f, s[0].node.id));
	OK(meta_commit(f.m, &f.call, &b));
}
END_TEST

/* ---- without waiting ---- */

#define SENT 200

struct sent {
	struct meta_step steps[3];
	struct meta_batch b;
	struct meta_call call;
	enum gh_status landed;
	unsigned times;
};

static void note_landed(void *arg, enum gh_status st)
{
	struct sent *s = arg;

	s->landed = st;
	s->times++;
}

START_TEST(what_is_sent_lands_once_and_is_durable_then)
{
	struct sent *s = calloc(SENT, sizeof(*s));

	for (unsigned i = 0; i < SENT; i++) {
		s[i].b = put_batch(s[i].steps, ROOT, gh_printf(f.a, "n%u", i / 2), 10); /* the second of a name is stale */
		s[i].call = f.call;
		s[i].call.deadline_ns = i % 50 == 49 ? 1 : 0;
		meta_commit_later(f.m, &s[i].call, &s[i].b, note_landed, &s[i]);
	}
	meta_quiet(f.m);
	for (unsigned i = 0; i < SENT; i++) {
		ck_assert_uint_eq(s[i].times, 1);
		ck_assert_int_eq(s[i].landed, i % 50 == 49 ? GH_DEADLINE : i % 2 ? GH_STALE : GH_OK);
		ck_assert_int_eq(s[i].b.time_us > 0, s[i].landed == GH_OK || s[i].landed == GH_STALE);
		ck_assert_int_eq(node_read(&f, s[i].steps[0].node.id) != NULL, s[i].landed == GH_OK);
	}
	SOUND(&f);
	free(s);
}
END_TEST

START_TEST(what_makes_no_sense_lands_at_once)
{
	struct sent s = { .b = batch_new(s.steps, 1), .call = f.call };

	s.steps[0] = (struct meta_step){ .kind = META_LOCK_INSERT };
	s.b.step_count = META_STEPS_MAX + 1;
	meta_commit_later(f.m, &s.call, &s.b, note_landed, &s);
	ck_assert_uint_eq(s.times, 1);
	ck_assert_int_eq(s.landed, GH_BUG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata groups");
	TCase *t = tcase_create("group");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 240);
	tcase_add_test(t, sixteen_threads_commit_and_each_batch_stands_alone);
	tcase_add_test(t, what_must_be_durable_first_is_asked_for_before_anyone_sees_the_rows);
	tcase_add_test(t, what_cannot_be_made_durable_is_not_committed);
	tcase_add_test(t, whose_content_hangs_holds_up_nobody_without_any);
	tcase_add_test(t, a_commit_whose_time_is_over_does_not_begin);
	tcase_add_test(t, what_is_sent_lands_once_and_is_durable_then);
	tcase_add_test(t, what_makes_no_sense_lands_at_once);
	suite_add_tcase(s, t);
	return run_suite(s);
}
