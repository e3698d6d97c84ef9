/* The failing backend does what it is told, when it is told, and nothing else. */
#include "backends/blob/fault.h"
#include "core/base/clock.h"
#include "tests/unit/blob/blob_test.h"

static const struct blob_ops *const ops = &blob_ops_fault;
static struct blob_backend *be;

static void setup(void)
{
	char err[256] = "";

	ck_ok(ops->open(&(struct blob_config){ 0 }, &be, err));
}

static void teardown(void)
{
	ops->close(&be);
}

static enum gh_status put(uint64_t id)
{
	struct blob_loc loc;

	return ops->put(be, 7, id, "x", 1, &loc);
}

static bool count(void *arg, const struct blob_object *o)
{
	(void)o;
	++*(unsigned *)arg;
	return true;
}

static unsigned stored(void)
{
	unsigned n = 0;

	ck_ok(ops->iterate(be, count, &n));
	return n;
}

START_TEST(the_nth_call_fails_and_no_other)
{
	blob_fault_set(be, &(struct blob_fault){ BLOB_FAULT_PUT, BLOB_FAULT_FAIL, .nth = 3, .status = GH_IO });
	for (uint64_t i = 1; i <= 5; i++)
		ck_status(put(i), i == 3 ? GH_IO : GH_OK);
	ck_assert_uint_eq(blob_fault_calls(be, BLOB_FAULT_PUT), 5);
	ck_assert_uint_eq(blob_fault_calls(be, BLOB_FAULT_REMOVE), 0);
	ck_assert_uint_eq(stored(), 4);
}
END_TEST

START_TEST(without_a_number_every_call_fails_until_cleared)
{
	blob_fault_set(be, &(struct blob_fault){ BLOB_FAULT_PUT, BLOB_FAULT_FAIL, .status = GH_NOSPACE });
	for (uint64_t i = 1; i <= 3; i++)
		ck_status(put(i), GH_NOSPACE);
	blob_fault_clear(be);
	ck_ok(put(4));
}
END_TEST

START_TEST(a_lost_answer_leaves_the_blob)
{
	blob_fault_set(be, &(struct blob_fault){ BLOB_FAULT_PUT, BLOB_FAULT_LOSE, .nth = 1, .status = GH_IO });
	ck_status(put(1), GH_IO);
	ck_assert_uint_eq(stored(), 1);
}
END_TEST

START_TEST(a_slow_call_takes_its_time_and_succeeds)
{
	const uint64_t before = gh_mono_ns();

	blob_fault_set(be, &(struct blob_fault){ BLOB_FAULT_PUT, BLOB_FAULT_SLOW, .nth = 1, .delay_ms = 50 });
	ck_ok(put(1));
	ck_assert_uint_ge(gh_mono_ns() - before, 50 * GH_MS_NS);
}
END_TEST

static void *put_in_thread(void *arg)
{
	return (void *)(uintptr_t)put((uintptr_t)arg);
}

START_TEST(who_hangs_goes_on_when_cleared)
{
	pthread_t t;
	void *status;

	blob_fault_set(be, &(struct blob_fault){ BLOB_FAULT_PUT, BLOB_FAULT_HANG, .nth = 1 });
	ck_assert_int_eq(pthread_create(&t, NULL, put_in_thread, (void *)1), 0);
	while (!blob_fault_hanging(be))
		usleep(1000);
	ck_ok(put(2)); /* others do not */
	ck_assert_uint_eq(stored(), 1);
	blob_fault_clear(be);
	pthread_join(t, &status);
	ck_status((enum gh_status)(uintptr_t)status, GH_OK);
	ck_assert_uint_eq(stored(), 2);
}
END_TEST

START_TEST(a_failed_commit_takes_the_stage_and_stores_nothing)
{
	struct blob_stage *stage = NULL;
	struct blob_loc loc;
	uint32_t crc;

	ck_ok(ops->stage_begin(be, 7, 1, 0, &stage));
	ck_ok(ops->stage_write(stage, "x", 1));
	blob_fault_set(be, &(struct blob_fault){ BLOB_FAULT_STAGE_COMMIT, BLOB_FAULT_FAIL, .status = GH_IO });
	ck_status(ops->stage_commit(&stage, &loc, &crc), GH_IO);
	ck_assert_ptr_null(stage);
	ck_assert_uint_eq(stored(), 0);
}
END_TEST

START_TEST(a_release_does_not_know_the_kind_but_this_program_does)
{
	ck_assert_ptr_eq(blob_backend_find("fault"), ops);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("failing blob backend");
	TCase *t = tcase_create("faults");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_nth_call_fails_and_no_other);
	tcase_add_test(t, without_a_number_every_call_fails_until_cleared);
	tcase_add_test(t, a_lost_answer_leaves_the_blob);
	tcase_add_test(t, a_slow_call_takes_its_time_and_succeeds);
	tcase_add_test(t, who_hangs_goes_on_when_cleared);
	tcase_add_test(t, a_failed_commit_takes_the_stage_and_stores_nothing);
	tcase_add_test(t, a_release_does_not_know_the_kind_but_this_program_does);
	suite_add_tcase(s, t);
	return run_suite(s);
}
