/* Breakers at run time: what counts, whose trouble it is, that nothing grows, and that it holds with many threads. The
 * house is real, its breakers are made anew with a short configuration. */
#include <check.h>
#include <pthread.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/breakers_room.h"
#include "tests/unit/core/fixture.h"

static struct house_fixture f;
static struct gh_core *core;
static const struct breaker_config cfg = {
	.window_ms = 2000, .min_calls = 10, .fail_percent = 50, .slow_percent = 80, .slow_ms = 60, .stuck = 4,
	.probes = 2, .probes_needed = 2, .probe_ms = 5000, .base_ms = 40, .max_ms = 80,
};

static void setup(void)
{
	fixture_open(&f);
	core = f.core;
	breakers_free(&core->breakers);
	ck_assert_int_eq(breakers_new(core, &cfg, &core->breakers), GH_OK);
}

static void setup_watched(void)
{
	setup();
	ck_assert_int_eq(breakers_start(core), GH_OK);
}

static void teardown(void)
{
	breakers_stop(core);
	fixture_close(&f);
}

static void nap(unsigned ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

static enum gh_status call(enum service s, uint64_t tenant, enum gh_status st)
{
	return ASK(core, s, tenant, st);
}

struct seen {
	enum service service;
	uint64_t tenant;
	bool found;
	struct breaker_view view;
};

static void look(void *arg, const struct breaker_view *v)
{
	struct seen *k = arg;

	if (v->service != k->service || v->tenant != k->tenant)
		return;
	k->found = true;
	k->view = *v;
}

static struct breaker_view view(enum service s, uint64_t tenant)
{
	struct seen k = { .service = s, .tenant = tenant };

	breakers_each(core, look, &k);
	return k.view;
}

static void state_is(enum service s, uint64_t tenant, enum breaker_state want)
{
	ck_assert_int_eq(view(s, tenant).state, want);
}

START_TEST(only_failures_of_the_dependency_count)
{
	const enum gh_status harmless[] = { GH_OK, GH_NOTFOUND, GH_EXISTS, GH_STALE, GH_DENIED, GH_QUOTA, GH_LOCKED,
					    GH_NOSPACE, GH_DAMAGED, GH_NOMEM, GH_END, GH_UNAUTH, GH_STOPPING };

	for (unsigned i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		for (unsigned k = 0; k < 3 * cfg.min_calls; k++)
			ck_assert_int_eq(call(SERVICE_BLOBS, 7, harmless[i]), harmless[i]);
	ck_assert_uint_eq(view(SERVICE_BLOBS, 0).window.failed, 0);
	ck_assert_uint_eq(atomic_load(&core->breakers->tenants), 0);
	/* content that was not synced is no fault of the metadata store that waited for it */
	for (unsigned k = 0; k < 3 * cfg.min_calls; k++)
		ck_assert_int_eq(call(SERVICE_METADATA, 7, GH_IO), GH_IO);
	ck_assert_uint_eq(view(SERVICE_METADATA, 0).window.failed, 0);
	ck_assert_uint_eq(breakers_count_open(core), 0);
}
END_TEST

START_TEST(a_deadline_that_was_nearly_over_is_no_evidence_and_one_that_was_used_up_is)
{
	for (unsigned k = 0; k < 3 * cfg.min_calls; k++)
		ck_assert_int_eq(call(SERVICE_METADATA, 7, GH_DEADLINE), GH_DEADLINE);
	ck_assert_uint_eq(view(SERVICE_METADATA, 0).window.failed, 0);
	struct breaker_pass p;
	ck_assert_int_eq(breakers_enter(core, SERVICE_METADATA, 7, &p), GH_OK);
	nap(cfg.slow_ms + 5);
	ck_assert_int_eq(breakers_leave(&p, GH_DEADLINE), GH_DEADLINE);
	ck_assert_uint_eq(view(SERVICE_METADATA, 0).window.failed, 1);
}
END_TEST

START_TEST(one_tenants_failures_shut_out_that_tenant_alone)
{
	for (unsigned i = 0; i < 10 * cfg.min_calls; i++) {
		ck_assert_int_eq(call(SERVICE_METADATA, 8, GH_OK), GH_OK);
		const enum gh_status st = call(SERVICE_METADATA, 7, GH_DATABASE);
		ck_assert_int_eq(st, i < cfg.min_calls ? GH_DATABASE : GH_TRIPPED);
	}
	state_is(SERVICE_METADATA, 7, BREAKER_OPEN);
	state_is(SERVICE_METADATA, 0, BREAKER_CLOSED);
	ck_assert_int_eq(call(SERVICE_BLOBS, 7, GH_OK), GH_OK); /* another service */
	uint32_t retry_s = 0;
	ck_assert_int_eq(breakers_shut(core, 1u << SERVICE_METADATA, 7, &retry_s, NULL), GH_TRIPPED);
	ck_assert_uint_ge(retry_s, 1);
	ck_assert_int_eq(breakers_shut(core, 1u << SERVICE_METADATA, 8, &retry_s, NULL), GH_OK);
	ck_assert_int_eq(breakers_shut(core, 1u << SERVICE_BLOBS, 7, &retry_s, NULL), GH_OK);
}
END_TEST

START_TEST(an_outage_opens_the_service_once_and_no_tenant)
{
	unsigned tripped = 0;

	for (unsigned i = 0; i < 20 * cfg.min_calls; i++)
		tripped += call(SERVICE_METADATA, 1 + i % 5, GH_DATABASE) == GH_TRIPPED;
	ck_assert_uint_eq(tripped, 19 * cfg.min_calls);
	state_is(SERVICE_METADATA, 0, BREAKER_OPEN);
	ck_assert_uint_eq(breakers_count_open(core), 1);
}
END_TEST

START_TEST(an_outage_that_one_tenant_met_first_becomes_the_services)
{
	for (unsigned i = 0; i < cfg.min_calls; i++)
		(void)call(SERVICE_METADATA, 7, GH_DATABASE);
	state_is(SERVICE_METADATA, 7, BREAKER_OPEN); /* nobody else was there to tell */
	for (unsigned i = 0; i < cfg.min_calls; i++)
		(void)call(SERVICE_METADATA, 8, GH_DATABASE);
	state_is(SERVICE_METADATA, 0, BREAKER_OPEN);
	ck_assert_uint_eq(breakers_count_open(core), 1);
}
END_TEST

START_TEST(a_tenant_in_trouble_again_and_again_does_not_become_everybodys)
{
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 3 * cfg.min_calls; i++) {
			ck_assert_int_eq(call(SERVICE_METADATA, 8, GH_OK), GH_OK);
			(void)call(SERVICE_METADATA, 7, GH_DATABASE);
		}
		state_is(SERVICE_METADATA, 7, BREAKER_OPEN);
		nap(cfg.max_ms * 5 / 4 + 5);
		for (unsigned i = 0; i < cfg.probes_needed; i++)
			ck_assert_int_eq(call(SERVICE_METADATA, 7, GH_OK), GH_OK);
		state_is(SERVICE_METADATA, 7, BREAKER_CLOSED);
		state_is(SERVICE_METADATA, 0, BREAKER_CLOSED);
	}
}
END_TEST

START_TEST(the_table_of_tenants_does_not_grow_and_keeps_those_that_are_shut_out)
{
	ck_assert_int_eq(breakers_open(core, SERVICE_METADATA, 1000), GH_OK);
	for (uint64_t tenant = 1; tenant <= 5000; tenant++) {
		if (tenant == 1000)
			continue;
		(void)call(SERVICE_METADATA, tenant, GH_DATABASE);
		breakers_reset(core, SERVICE_METADATA, 0);
	}
	ck_assert_uint_le(atomic_load(&core->breakers->tenants), BREAKER_BUCKETS * BREAKER_WAYS);
	ck_assert_int_eq(call(SERVICE_METADATA, 1000, GH_OK), GH_TRIPPED);
	breakers_reset(core, SERVICE_METADATA, 1000);
	/* when the failures have left the window the entries are given back */
	nap(cfg.window_ms + 50);
	pthread_mutex_lock(&core->breakers->lock);
	breaker_table_sweep(core->breakers, breaker_now_ms());
	pthread_mutex_unlock(&core->breakers->lock);
	ck_assert_uint_eq(atomic_load(&core->breakers->tenants), 0);
}
END_TEST

START_TEST(while_it_is_open_few_set_out_and_all_of_them_come_home)
{
	struct breaker_scout scout[6] = { 0 };
	uint32_t retry_s;
	unsigned gone = 0;

	for (unsigned i = 0; i < cfg.min_calls; i++)
		(void)call(SERVICE_METADATA, 7, GH_DATABASE);
	ck_assert_int_eq(breakers_shut(core, 1u << SERVICE_METADATA, 7, &retry_s, &scout[0]), GH_TRIPPED);
	nap(cfg.base_ms * 5 / 4 + 5);
	for (unsigned i = 0; i < 6; i++)
		gone += breakers_shut(core, 1u << SERVICE_METADATA | 1u << SERVICE_BLOBS, 7, &retry_s, &scout[i]) == GH_OK;
	ck_assert_uint_eq(gone, cfg.probes);
	for (unsigned i = 0; i < 6; i++)
		breaker_scout_home(&scout[i]);
	breaker_scout_home(&scout[0]); /* once is enough */
	ck_assert_uint_eq(atomic_load(&breaker_tenant_find(core->breakers, 7)->of[SERVICE_METADATA].scouts), 0);
	ck_assert_int_eq(breakers_shut(core, 1u << SERVICE_METADATA, 7, &retry_s, &scout[0]), GH_OK);
	breaker_scout_home(&scout[0]);
}
END_TEST

START_TEST(a_sign_of_health_lets_probes_through_for_all_who_wait)
{
	core->breakers->cfg.base_ms = core->breakers->cfg.max_ms = 60000;
	for (unsigned i = 0; i < cfg.min_calls; i++)
		(void)call(SERVICE_METADATA, 7, GH_DATABASE);
	state_is(SERVICE_METADATA, 7, BREAKER_OPEN);
	ck_assert_int_eq(call(SERVICE_METADATA, 7, GH_OK), GH_TRIPPED);
	ck_assert_int_eq(breakers_open(core, SERVICE_METADATA, 8), GH_OK);
	breakers_hasten(core, SERVICE_METADATA);
	ck_assert_int_eq(call(SERVICE_METADATA, 8, GH_OK), GH_TRIPPED); /* by hand */
	for (unsigned i = 0; i < cfg.probes_needed; i++)
		ck_assert_int_eq(call(SERVICE_METADATA, 7, GH_OK), GH_OK);
	state_is(SERVICE_METADATA, 7, BREAKER_CLOSED);
	for (unsigned i = 0; i < 2 * cfg.min_calls; i++) {
		(void)call(SERVICE_METADATA, 7, GH_DATABASE);
		(void)call(SERVICE_METADATA, 9, GH_DATABASE);
	}
	ck_assert_int_eq(call(SERVICE_METADATA, 10, GH_OK), GH_TRIPPED); /* everybody's */
	breakers_hasten(core, SERVICE_METADATA);
	ck_assert_int_eq(call(SERVICE_METADATA, 10, GH_OK), GH_OK);
}
END_TEST

START_TEST(opened_by_hand_nobody_passes_until_it_is_reset)
{
	ck_assert_int_eq(breakers_open(core, SERVICE_BLOBS, 0), GH_OK);
	nap(cfg.max_ms * 2);
	ck_assert_int_eq(call(SERVICE_BLOBS, 7, GH_OK), GH_TRIPPED);
	ck_assert(view(SERVICE_BLOBS, 0).forced);
	ck_assert_int_eq(call(SERVICE_METADATA, 7, GH_OK), GH_OK);
	breakers_reset(core, SERVICE_BLOBS, 0);
	ck_assert_int_eq(call(SERVICE_BLOBS, 7, GH_OK), GH_OK);
}
END_TEST

/* ---- hanging ---- */

static void wait_for(enum service s, uint64_t tenant, enum breaker_state want)
{
	for (unsigned i = 0; i < 3000 && view(s, tenant).state != want; i++)
		nap(1);
	state_is(s, tenant, want);
}

START_TEST(calls_that_hang_open_it_while_they_hang)
{
	struct breaker_pass p[4], other;

	for (unsigned i = 0; i < 100; i++) /* however well it went before */
		ck_assert_int_eq(call(SERVICE_METADATA, 7, GH_OK), GH_OK);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(breakers_enter(core, SERVICE_METADATA, 7, &p[i]), GH_OK);
	ck_assert_int_eq(breakers_enter(core, SERVICE_METADATA, 8, &other), GH_OK);
	ck_assert_int_eq(breakers_leave(&other, GH_OK), GH_OK);
	wait_for(SERVICE_METADATA, 7, BREAKER_OPEN);
	state_is(SERVICE_METADATA, 0, BREAKER_CLOSED);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(breakers_leave(&p[i], GH_OK), GH_OK);
}
END_TEST

START_TEST(a_few_calls_that_hang_for_long_are_evidence_too)
{
	struct breaker_pass p[2];

	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(breakers_enter(core, SERVICE_METADATA, 7, &p[i]), GH_OK);
	wait_for(SERVICE_METADATA, 7, BREAKER_OPEN);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(breakers_leave(&p[i], GH_OK), GH_OK);
}
END_TEST

START_TEST(a_probe_that_hangs_has_failed)
{
	struct breaker_pass p;

	for (unsigned i = 0; i < cfg.min_calls; i++)
		(void)call(SERVICE_METADATA, 7, GH_DATABASE);
	nap(cfg.base_ms * 5 / 4 + 5);
	ck_assert_int_eq(breakers_enter(core, SERVICE_METADATA, 7, &p), GH_OK);
	state_is(SERVICE_METADATA, 7, BREAKER_HALF_OPEN);
	wait_for(SERVICE_METADATA, 7, BREAKER_OPEN);
	ck_assert_int_eq(breakers_leave(&p, GH_OK), GH_OK); /* too late */
	ck_assert_int_ne(view(SERVICE_METADATA, 7).state, BREAKER_CLOSED);
}
END_TEST

START_TEST(a_commit_that_waited_for_content_is_no_slow_commit)
{
	struct breaker_pass commit[2], sync;

	breakers_watch(core, SERVICE_BLOBS, 0, &sync);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(breakers_enter(core, SERVICE_METADATA, 7, &commit[i]), GH_OK);
	nap(cfg.slow_ms * 3 / 2);
	ck_assert_int_eq(breakers_leave(&sync, GH_OK), GH_OK);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(breakers_leave(&commit[i], GH_OK), GH_OK);
	ck_assert_uint_eq(view(SERVICE_METADATA, 0).window.slow, 0);
	ck_assert_uint_ge(view(SERVICE_BLOBS, 0).window.slow, 1);
}
END_TEST

START_TEST(a_sync_that_hangs_and_holds_commits_up_shuts_the_blobs_first)
{
	struct breaker_pass commit[4], sync;

	breakers_watch(core, SERVICE_BLOBS, 0, &sync);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(breakers_enter(core, SERVICE_METADATA, 7 + i, &commit[i]), GH_OK);
	wait_for(SERVICE_BLOBS, 0, BREAKER_OPEN);
	ck_assert_uint_eq(view(SERVICE_METADATA, 0).window.slow, 0);
	ck_assert_uint_eq(breakers_count_open(core), 1);
	wait_for(SERVICE_METADATA, 0, BREAKER_OPEN); /* if it goes on: nobody is to hang there for that */
	ck_assert_int_eq(breakers_leave(&sync, GH_OK), GH_OK);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(breakers_leave(&commit[i], GH_OK), GH_OK);
}
END_TEST

/* Workers of the pool that are held are replaced: the next job runs although all are held. */
struct held {
	struct share_job job;
	struct breaker_pass pass;
	atomic_bool *go;
	atomic_uint *running;
};

static void hold(struct share_job *j)
{
	struct held *h = (struct held *)j;
	const bool hangs = h->go != NULL;

	if (hangs)
		ck_assert_int_eq(breakers_enter(core, SERVICE_METADATA, 7, &h->pass), GH_OK);
	atomic_fetch_add(h->running, 1);
	while (hangs && !atomic_load(h->go))
		nap(1);
	if (hangs)
		(void)breakers_leave(&h->pass, GH_OK);
	share_done(j);
	atomic_fetch_sub(h->running, 1);
}

static void put_out(struct share_job *j, enum gh_status st, uint32_t retry_after_s)
{
	ck_abort_msg("put out");
}

START_TEST(a_worker_that_a_call_holds_is_replaced)
{
	static struct held held[9], next;
	atomic_bool go = false;
	atomic_uint hung = 0, ran = 0;
	uint32_t retry_s;

	for (unsigned i = 0; i < 9; i++) { /* all there are: 8, and the one that is kept for others */
		held[i] = (struct held){ .job = { .run = hold, .out = put_out }, .go = &go, .running = &hung };
		ck_assert_int_eq(share_submit(core, &held[i].job, f.tenant, VFS_C_LOOKUP, &retry_s), GH_OK);
	}
	for (unsigned i = 0; i < 3000 && atomic_load(&hung) < 9; i++)
		nap(1);
	next = (struct held){ .job = { .run = hold, .out = put_out }, .running = &ran };
	ck_assert_int_eq(share_submit(core, &next.job, NULL, VFS_C_LOOKUP, &retry_s), GH_OK);
	ck_assert_uint_eq(share_counts(core).waiting, 1);
	for (unsigned i = 0; i < 3000 && share_counts(core).waiting; i++)
		nap(1);
	ck_assert_uint_eq(share_counts(core).waiting, 0);
	ck_assert_uint_eq(atomic_load(&hung), 9); /* they still hang */
	atomic_store(&go, true);
	for (unsigned i = 0; i < 3000 && (atomic_load(&hung) || atomic_load(&ran)); i++)
		nap(1);
	ck_assert_uint_eq(atomic_load(&hung) + atomic_load(&ran), 0);
}
END_TEST

/* ---- many threads ---- */

static atomic_bool ill, over;
static atomic_uint probing[2]; /* of tenant 7, of the service: under way at this moment */
static atomic_uint too_many, calls_made, were_refused;

static void *caller(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15ull;

	while (!atomic_load(&over)) {
		struct breaker_pass p;
		struct breaker_scout scout = { .count = 0 };
		uint32_t retry_s;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		const uint64_t tenant = 7 + (seed >> 32) % 3;
		const bool set_out = breakers_shut(core, 1u << SERVICE_METADATA, tenant, &retry_s, &scout) == GH_OK;
		if (!set_out || breakers_enter(core, SERVICE_METADATA, tenant, &p) != GH_OK) {
			breaker_scout_home(&scout);
			atomic_fetch_add(&were_refused, 1);
			continue;
		}
		if (p.of_tenant.probe && tenant == 7 && atomic_fetch_add(&probing[0], 1) >= cfg.probes)
			atomic_fetch_add(&too_many, 1);
		if (p.of_service.probe && atomic_fetch_add(&probing[1], 1) >= cfg.probes)
			atomic_fetch_add(&too_many, 1);
		if ((seed & 15) == 0)
			nap(1);
		if (p.of_tenant.probe && tenant == 7)
			atomic_fetch_sub(&probing[0], 1);
		if (p.of_service.probe)
			atomic_fetch_sub(&probing[1], 1);
		(void)breakers_leave(&p, atomic_load(&ill) && (tenant == 7 || (seed & 1)) ? GH_DATABASE : GH_OK);
		breaker_scout_home(&scout);
		atomic_fetch_add(&calls_made, 1);
	}
	return NULL;
}

START_TEST(with_many_threads_probes_stay_few_and_it_heals)
{
	pthread_t thread[8];

	for (uintptr_t i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, caller, (void *)(i + 1)), 0);
	for (unsigned round = 0; round < 6; round++) {
		atomic_store(&ill, true);
		nap(150);
		if (round == 3) {
			ck_assert_int_eq(breakers_open(core, SERVICE_METADATA, 9), GH_OK);
			breakers_reset(core, SERVICE_METADATA, 9);
		}
		atomic_store(&ill, false);
		nap(100);
	}
	nap(4 * cfg.max_ms);
	for (unsigned i = 0; i < 3000 && breakers_count_open(core); i++)
		nap(1);
	atomic_store(&over, true);
	for (unsigned i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(breakers_count_open(core), 0);
	ck_assert_uint_eq(atomic_load(&too_many), 0);
	ck_assert_uint_gt(atomic_load(&calls_made), 100);
	ck_assert_uint_gt(atomic_load(&were_refused), 10);
	for (unsigned i = 0; i < BREAKER_FLIGHTS; i++)
		ck_assert_uint_eq(atomic_load(&core->breakers->flight[i].state), FLIGHT_FREE);
	ck_assert_uint_eq(atomic_load(&core->breakers->service[SERVICE_METADATA].scouts), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("breakers");
	TCase *still = tcase_create("without a watcher"), *watched = tcase_create("watched");

	tcase_add_checked_fixture(still, setup, teardown);
	tcase_add_test(still, only_failures_of_the_dependency_count);
	tcase_add_test(still, a_deadline_that_was_nearly_over_is_no_evidence_and_one_that_was_used_up_is);
	tcase_add_test(still, one_tenants_failures_shut_out_that_tenant_alone);
	tcase_add_test(still, an_outage_opens_the_service_once_and_no_tenant);
	tcase_add_test(still, an_outage_that_one_tenant_met_first_becomes_the_services);
	tcase_add_test(still, a_tenant_in_trouble_again_and_again_does_not_become_everybodys);
	tcase_add_test(still, the_table_of_tenants_does_not_grow_and_keeps_those_that_are_shut_out);
	tcase_add_test(still, while_it_is_open_few_set_out_and_all_of_them_come_home);
	tcase_add_test(still, a_sign_of_health_lets_probes_through_for_all_who_wait);
	tcase_add_test(still, opened_by_hand_nobody_passes_until_it_is_reset);
	tcase_add_checked_fixture(watched, setup_watched, teardown);
	tcase_add_test(watched, calls_that_hang_open_it_while_they_hang);
	tcase_add_test(watched, a_few_calls_that_hang_for_long_are_evidence_too);
	tcase_add_test(watched, a_probe_that_hangs_has_failed);
	tcase_add_test(watched, a_commit_that_waited_for_content_is_no_slow_commit);
	tcase_add_test(watched, a_sync_that_hangs_and_holds_commits_up_shuts_the_blobs_first);
	tcase_add_test(watched, a_worker_that_a_call_holds_is_replaced);
	tcase_add_test(watched, with_many_threads_probes_stay_few_and_it_heals);
	suite_add_tcase(s, still);
	suite_add_tcase(s, watched);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	const int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
