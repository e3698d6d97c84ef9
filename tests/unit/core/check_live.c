/* Live: the arithmetic on crafted inputs, the ring and its thinning, tenants' counters under threads, subscribers and
 * sources, and samples of a core that was given work. Ticks come from the test, so nothing waits for a second. */
#include "tests/unit/core/fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/live_work.h"

/* ---- percentiles ---- */

START_TEST(no_latencies_have_no_percentile)
{
	const uint64_t none[GH_METRIC_BUCKETS] = { 0 };

	ck_assert_float_eq(live_percentile_ms(none, 50), 0);
	ck_assert_float_eq(live_percentile_ms(none, 99), 0);
}
END_TEST

START_TEST(a_percentile_lies_in_the_bucket_that_holds_its_rank)
{
	uint64_t bucket[GH_METRIC_BUCKETS] = { 0 };

	bucket[3] = 90; /* 0.5 to 1 ms */
	bucket[6] = 10; /* 5 to 10 ms */
	ck_assert_float_eq_tol(live_percentile_ms(bucket, 90), 1, 0.001f);
	ck_assert_float_eq_tol(live_percentile_ms(bucket, 45), 0.75f, 0.001f);
	ck_assert_float_eq_tol(live_percentile_ms(bucket, 95), 7.5f, 0.001f);
	ck_assert_float_eq_tol(live_percentile_ms(bucket, 100), 10, 0.001f);
}
END_TEST

START_TEST(beyond_the_last_edge_its_lower_one_is_told)
{
	uint64_t bucket[GH_METRIC_BUCKETS] = { 0 };

	bucket[GH_METRIC_BUCKETS - 1] = 1;
	ck_assert_float_eq(live_percentile_ms(bucket, 50), 30000);
}
END_TEST

START_TEST(percentiles_never_fall)
{
	unsigned seed = 7;

	for (unsigned round = 0; round < 1000; round++) {
		uint64_t bucket[GH_METRIC_BUCKETS];
		float before = 0;

		for (unsigned b = 0; b < GH_METRIC_BUCKETS; b++)
			bucket[b] = rand_r(&seed) % 4 ? 0 : (uint64_t)rand_r(&seed) % 1000;
		for (unsigned p = 1; p <= 100; p++) {
			const float v = live_percentile_ms(bucket, p);

			ck_assert_float_ge(v, before);
			before = v;
		}
	}
}
END_TEST

/* ---- the busiest ---- */

static struct live_tenant row_of(const struct tenant *t, float requests)
{
	return (struct live_tenant){ .tenant = t, .name = "t", .requests = requests };
}

START_TEST(the_twenty_busiest_are_kept_in_order)
{
	static struct tenant tenants[500];
	struct live_sample s = { 0 };

	for (unsigned i = 0; i < 500; i++) {
		const struct live_tenant row = row_of(&tenants[i], (float)(i * 7919 % 500)); /* every number once */

		live_top_add(&s, &row);
	}
	ck_assert_uint_eq(s.tenant_count, LIVE_TENANTS);
	for (unsigned i = 0; i < LIVE_TENANTS; i++)
		ck_assert_float_eq(s.tenant[i].requests, (float)(499 - i));
}
END_TEST

START_TEST(bytes_and_refusals_make_busy_too)
{
	static struct tenant tenants[3];
	struct live_sample s = { 0 };
	struct live_tenant row = row_of(&tenants[0], 10);

	live_top_add(&s, &row);
	row = row_of(&tenants[1], 1);
	row.bytes = 100 << 20;
	live_top_add(&s, &row);
	row = row_of(&tenants[2], 0);
	row.shed = 50;
	live_top_add(&s, &row);
	ck_assert_ptr_eq(s.tenant[0].tenant, &tenants[1]);
	ck_assert_ptr_eq(s.tenant[1].tenant, &tenants[2]);
	ck_assert_ptr_eq(s.tenant[2].tenant, &tenants[0]);
}
END_TEST

/* ---- ring ---- */

static struct live_ring ring;

static void ring_fill(unsigned room, unsigned count, int64_t first_s)
{
	ck_assert_int_eq(live_ring_init(&ring, room), GH_OK);
	for (unsigned i = 0; i < count; i++) {
		struct live_sample s = { .t_s = first_s + i, .queue_waiting = i, .breakers_open = i == 50 };

		s.door[0].requests = (float)i;
		s.door[0].p99_ms = i == 60 ? 900 : 1;
		s.door[1].in_bytes = i % 2 ? 1000 : 3000;
		live_ring_push(&ring, &s);
	}
}

START_TEST(the_oldest_makes_room)
{
	ring_fill(10, 25, 100);
	ck_assert_uint_eq(ring.count, 10);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(live_ring_get(&ring, i)->t_s, 115 + i);
	live_ring_fini(&ring);
}
END_TEST

START_TEST(few_seconds_are_told_one_by_one)
{
	struct live_sample out[100];

	ring_fill(3600, 40, 1000);
	ck_assert_uint_eq(live_ring_thin(&ring, 3600, 100, out), 40);
	ck_assert_int_eq(out[0].t_s, 1000);
	ck_assert_float_eq(out[39].door[0].requests, 39);
	ck_assert_uint_eq(live_ring_thin(&ring, 7, 100, out), 7);
	ck_assert_int_eq(out[0].t_s, 1033);
	ck_assert_uint_eq(live_ring_thin(&ring, 0, 100, out), 0);
	live_ring_fini(&ring);
}
END_TEST

START_TEST(thinning_means_rates_and_keeps_the_worst)
{
	struct live_sample out[11];
	unsigned n;
	float worst = 0;
	uint32_t open = 0;

	ring_fill(3600, 100, 1000);
	n = live_ring_thin(&ring, 3600, 11, out);
	ck_assert_uint_eq(n, 10);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_eq(out[i].t_s, 1009 + 10 * i);
		ck_assert_float_eq_tol(out[i].door[0].requests, 10.0f * (float)i + 4.5f, 0.01f);
		ck_assert_double_eq_tol(out[i].door[1].in_bytes, 2000, 0.01);
		ck_assert_uint_eq(out[i].queue_waiting, 10 * i + 9);
		worst = out[i].door[0].p99_ms > worst ? out[i].door[0].p99_ms : worst;
		open += out[i].breakers_open;
	}
	ck_assert_float_eq(worst, 900);
	ck_assert_uint_eq(open, 1);
	live_ring_fini(&ring);
}
END_TEST

START_TEST(never_more_points_than_asked_for_and_no_second_is_lost)
{
	struct live_sample *out = calloc(400, sizeof(*out));

	for (unsigned count = 1; count < 400; count += 13) {
		for (unsigned points = 1; points < 60; points++) {
			double sum = 0;
			unsigned n;

			ring_fill(300, count, 12345); /* also wraps around */
			n = live_ring_thin(&ring, 3600, points, out);
			ck_assert_uint_le(n, points);
			for (unsigned i = 0; i < n; i++)
				sum = out[i].queue_waiting > sum ? out[i].queue_waiting : sum;
			ck_assert_double_eq(sum, count - 1); /* the newest is in the last */
			ck_assert_int_eq(out[n - 1].t_s, 12345 + count - 1);
			live_ring_fini(&ring);
		}
	}
	free(out);
}
END_TEST

START_TEST(missing_seconds_do_not_push_out_the_newest)
{
	struct live_sample out[20];
	unsigned n;

	ck_assert_int_eq(live_ring_init(&ring, 3600), GH_OK);
	for (unsigned i = 0; i < 200; i++) {
		const struct live_sample s = { .t_s = 1000 + 1000 * i };

		live_ring_push(&ring, &s);
	}
	n = live_ring_thin(&ring, 3600, 20, out);
	ck_assert_uint_le(n, 20);
	ck_assert_int_eq(out[n - 1].t_s, 1000 + 1000 * 199);
	live_ring_fini(&ring);
}
END_TEST

START_TEST(tenants_of_several_seconds_become_one_row_each)
{
	static struct tenant tenants[2];
	struct live_sample out;

	ck_assert_int_eq(live_ring_init(&ring, 10), GH_OK);
	for (unsigned i = 0; i < 4; i++) {
		struct live_sample s = { .t_s = i };
		struct live_tenant a = row_of(&tenants[0], 8), b = row_of(&tenants[1], 100);

		a.wait_ms = (float)i;
		live_top_add(&s, &a);
		if (i == 2)
			live_top_add(&s, &b);
		live_ring_push(&ring, &s);
	}
	live_ring_merge(&ring, 0, 4, &out);
	ck_assert_uint_eq(out.tenant_count, 2);
	ck_assert_ptr_eq(out.tenant[0].tenant, &tenants[1]);
	ck_assert_float_eq(out.tenant[0].requests, 25);
	ck_assert_float_eq(out.tenant[1].requests, 8);
	ck_assert_float_eq(out.tenant[1].wait_ms, 3);
	live_ring_fini(&ring);
}
END_TEST

/* ---- with a core ---- */

static struct house_fixture f;

static void setup(void)
{
	memset(&f, 0, sizeof(f));
	fixture_open(&f);
	live_tick(f.core->live, false);
}

static void teardown(void)
{
	fixture_close(&f);
}

enum { COUNTERS = 4, COUNTS = 20000 };

static void *count_much(void *arg)
{
	struct tenant **tenants = arg;

	for (unsigned i = 0; i < COUNTS; i++) {
		live_count(f.core, tenants[i % 3], LIVE_REQUESTS, 1);
		live_count(f.core, tenants[i % 3], LIVE_OUT_BYTES, 10);
	}
	return NULL;
}

START_TEST(what_threads_count_while_samples_are_taken_is_neither_lost_nor_counted_twice)
{
	struct live_busy *busy = live_busy_of(f.core);
	struct tenant *tenants[3];
	pthread_t thread[COUNTERS];
	double requests = 0, bytes = 0;

	for (unsigned i = 0; i < 3; i++) {
		tenants[i] = aligned_alloc(_Alignof(struct tenant), sizeof(struct tenant));
		memset(tenants[i], 0, sizeof(struct tenant));
	}
	for (unsigned i = 0; i < COUNTERS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, count_much, tenants), 0);
	for (unsigned round = 0; round < 201; round++) {
		struct live_sample s = { 0 };

		if (round == 200) { /* the last one, when all is said */
			for (unsigned i = 0; i < COUNTERS; i++)
				pthread_join(thread[i], NULL);
		}
		live_busy_collect(busy, &s, 1);
		ck_assert_uint_le(s.tenant_count, 3);
		for (unsigned i = 0; i < s.tenant_count; i++) {
			requests += (double)s.tenant[i].requests;
			bytes += s.tenant[i].bytes;
		}
	}
	ck_assert_double_eq_tol(requests, COUNTERS * COUNTS, 0.5);
	ck_assert_double_eq_tol(bytes, 10.0 * COUNTERS * COUNTS, 0.5);
	for (unsigned i = 0; i < 3; i++)
		free(tenants[i]);
}
END_TEST

START_TEST(the_sample_has_what_was_done)
{
	struct live_sample s;
	enum gh_status st;
	size_t len;
	char *got;

	ck_assert(!live_now(f.core, &s));
	ck_assert_int_eq(fixture_put(&f, f.admin, "/a", "12345", 5, 0, 0), GH_OK);
	got = fixture_get(&f, f.admin, "/a", &len, &st);
	free(got);
	ck_assert_int_eq(fixture_do(&f, VFS_STAT, f.admin, "/nothing", NULL, 0), GH_NOTFOUND);
	live_tick(f.core->live, true);
	ck_assert(live_now(f.core, &s));
	ck_assert_uint_eq(s.tenant_count, 1);
	ck_assert_str_eq(s.tenant[0].name, "default");
	ck_assert_float_eq(s.tenant[0].share, 1);
	ck_assert_double_gt(s.tenant[0].bytes, 0);
	live_tick(f.core->live, true);
	ck_assert(live_now(f.core, &s));
	ck_assert_uint_eq(s.tenant_count, 0);
}
END_TEST

struct heard {
	unsigned samples, changes;
	char last[4096];
};

static void hear(void *arg, const char *name, const char *json, size_t len)
{
	struct heard *h = arg;

	ck_assert_uint_eq(strlen(json), len);
	ck_assert_ptr_null(strchr(json, '\n'));
	*(strcmp(name, "sample") ? &h->changes : &h->samples) += 1;
	snprintf(h->last, sizeof(h->last), "%s", json);
}

START_TEST(subscribers_hear_samples_and_changes_until_they_leave)
{
	struct heard a = { 0 }, b = { 0 };
	struct live_subscriber *sa, *sb;

	ck_assert_int_eq(live_subscribe(f.core, hear, &a, &sa), GH_OK);
	live_tick(f.core->live, true);
	ck_assert_int_eq(live_subscribe(f.core, hear, &b, &sb), GH_OK);
	live_tell(f.core, "switch");
	ck_assert_str_eq(a.last, "{\"what\":\"switch\"}");
	live_unsubscribe(f.core, &sa);
	ck_assert_ptr_null(sa);
	live_tick(f.core->live, true);
	live_unsubscribe(f.core, &sb);
	live_tick(f.core->live, true);
	live_tell(f.core, "switch");
	ck_assert_uint_eq(a.samples, 1);
	ck_assert_uint_eq(a.changes, 1);
	ck_assert_uint_eq(b.samples, 1);
	ck_assert_uint_eq(b.changes, 1);
	ck_assert_ptr_nonnull(strstr(b.last, "\"doors\""));
}
END_TEST

static void fill_breakers(struct live_source *src, struct live_sample *s, uint64_t passed_ns)
{
	(void)src;
	(void)passed_ns;
	s->breakers_open = 7;
	for (unsigned i = 0; i < s->tenant_count; i++)
		s->tenant[i].share = 0.25f;
}

START_TEST(a_source_adds_what_it_knows)
{
	struct live_source src = { .name = "test", .fill = fill_breakers };
	struct live_sample s;
	json_t *j;

	live_source_add(f.core, &src);
	live_count(f.core, f.tenant, LIVE_REQUESTS, 3);
	live_tick(f.core->live, true);
	live_source_remove(f.core, &src);
	ck_assert(live_now(f.core, &s));
	ck_assert_uint_eq(s.breakers_open, 7);
	ck_assert_float_eq(s.tenant[0].share, 0.25f);
	j = live_json(&s, LIVE_TENANTS);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "breakers_open")), 7);
	ck_assert_ptr_nonnull(json_object_get(json_object_get(j, "doors"), "webdav"));
	ck_assert_ptr_nonnull(json_object_get(json_object_get(j, "doors"), "web"));
	ck_assert_uint_eq(json_array_size(json_object_get(j, "tenants")), 1);
	json_decref(j);
	live_tick(f.core->live, true);
	ck_assert(live_now(f.core, &s));
	ck_assert_uint_eq(s.breakers_open, 0);
}
END_TEST

START_TEST(history_is_thinned_to_what_was_asked_for)
{
	json_t *j;

	for (unsigned i = 0; i < 30; i++)
		live_tick(f.core->live, true);
	j = live_history_json(f.core, 3600, 100, 20);
	ck_assert_uint_eq(json_array_size(json_object_get(j, "items")), 30);
	json_decref(j);
	j = live_history_json(f.core, 10, 100, 20);
	ck_assert_uint_eq(json_array_size(json_object_get(j, "items")), 10);
	json_decref(j);
	j = live_history_json(f.core, 3600, 1, 0);
	ck_assert_uint_eq(json_array_size(json_object_get(j, "items")), 1);
	json_decref(j);
}
END_TEST

START_TEST(the_sampler_starts_and_ends_with_the_core)
{
	ck_assert_int_eq(gh_core_start(f.core), GH_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("live");
	TCase *pure = tcase_create("pure"), *whole = tcase_create("whole");
	SRunner *r;
	int failed;

	tcase_add_test(pure, no_latencies_have_no_percentile);
	tcase_add_test(pure, a_percentile_lies_in_the_bucket_that_holds_its_rank);
	tcase_add_test(pure, beyond_the_last_edge_its_lower_one_is_told);
	tcase_add_test(pure, percentiles_never_fall);
	tcase_add_test(pure, the_twenty_busiest_are_kept_in_order);
	tcase_add_test(pure, bytes_and_refusals_make_busy_too);
	tcase_add_test(pure, the_oldest_makes_room);
	tcase_add_test(pure, few_seconds_are_told_one_by_one);
	tcase_add_test(pure, thinning_means_rates_and_keeps_the_worst);
	tcase_add_test(pure, never_more_points_than_asked_for_and_no_second_is_lost);
	tcase_add_test(pure, missing_seconds_do_not_push_out_the_newest);
	tcase_add_test(pure, tenants_of_several_seconds_become_one_row_each);
	suite_add_tcase(s, pure);
	tcase_set_timeout(whole, 60);
	tcase_add_checked_fixture(whole, setup, teardown);
	tcase_add_test(whole, what_threads_count_while_samples_are_taken_is_neither_lost_nor_counted_twice);
	tcase_add_test(whole, the_sample_has_what_was_done);
	tcase_add_test(whole, subscribers_hear_samples_and_changes_until_they_leave);
	tcase_add_test(whole, a_source_adds_what_it_knows);
	tcase_add_test(whole, history_is_thinned_to_what_was_asked_for);
	tcase_add_test(whole, the_sampler_starts_and_ends_with_the_core);
	suite_add_tcase(s, whole);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
