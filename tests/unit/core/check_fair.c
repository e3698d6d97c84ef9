/* The fair share at run time: who is refused when workers hang, who runs, pools, caps, what leaves a queue, credit on a
 * loop, and many threads at one desk. */
#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/blob/fault.h"
#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/metrics.h"
#include "core/fair_loop.h"
#include "tests/unit/core/fixture.h"

#define WORKERS 8 /* the fixture's; in company one more is kept for who has nothing running */
#define QUEUE 16

static struct house_fixture f;
static struct tenant *other;
static struct vfs_session *neighbour;

static void is(enum gh_status got, enum gh_status want)
{
	ck_assert_msg(got == want, "got %s, want %s", gh_status_name(got), gh_status_name(want));
}

/* A second tenant with an owner. */
static struct tenant *tenant_made(const char *name, struct vfs_session **ret)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	const struct meta_tenant row = { .id = gh_id_new(), .name = name, .hosts = "", .root = gh_id_new(),
					 .trash = gh_id_new() };
	struct meta_step step = { .kind = META_TENANT_PUT, .tenant = &row };
	struct tenant *t;
	is(house_commit(f.core, a, NULL, "test", "tenant.add", "", &step, 1), GH_OK);
	is(tenant_get(f.core, name, &t), GH_OK);
	const struct meta_user u = { .id = gh_id_new(), .name = "owner", .key = "owner", .owner = true,
				     .password_hash = "" };
	struct meta_step steps[] = { { .kind = META_USER_PUT, .user = &u }, { .kind = META_RIGHTS_EPOCH } };
	is(house_commit(f.core, a, t, "test", "user.add", "", steps, 2), GH_OK);
	gh_arena_free(&a);
	*ret = session_new(t, u.id, UINT64_MAX, "owner");
	return t;
}

static void open_house(void)
{
	f.queue_max = QUEUE;
	fixture_open(&f);
	other = tenant_made("other", &neighbour);
}

static void close_house(void)
{
	f.queue_wait_ms = 0;
	blob_fault_clear(f.blobs);
	vfs_session_unref(&neighbour);
	fixture_close(&f);
}

static void hang(void)
{
	const struct blob_fault all = { .op = BLOB_FAULT_PUT, .how = BLOB_FAULT_HANG };
	blob_fault_set(f.blobs, &all);
}

/* ---- writes that come home some time ---- */

struct write {
	struct vfs_req *r;
	sem_t done;
	enum gh_status st, said; /* said: at once */
	uint32_t retry_s;
	atomic_uint times;
	bool pending;
};

static void home(struct vfs_req *r, void *door)
{
	struct write *w = door;
	w->st = r->status;
	w->retry_s = r->retry_after_s;
	atomic_fetch_add(&w->times, 1);
	vfs_req_free(&r);
	sem_post(&w->done);
}

static void submit(void *arg)
{
	struct write *w = arg;
	w->pending = vfs_submit(w->r, home, w) == VFS_PENDING;
	if (w->pending)
		return;
	w->st = w->r->status;
	w->retry_s = w->r->retry_after_s;
	vfs_req_free(&w->r);
}

static struct vfs_upload *begun(struct vfs_session *s, const char *path)
{
	struct vfs_req *r = fixture_req(&f, VFS_WRITE_BEGIN, s, path, NULL);
	struct vfs_upload *u = NULL;
	is(fixture_run(&f, r), GH_OK);
	vfs_upload_take(r, &u);
	fixture_free(&f, &r);
	is(vfs_upload_push(u, path, strlen(path), NULL, NULL), GH_OK);
	return u;
}

static void prepare(struct write *w, struct vfs_session *s, const char *path)
{
	memset(w, 0, sizeof(*w));
	sem_init(&w->done, 0, 0);
	struct vfs_upload *u = begun(s, path);
	w->r = fixture_req(&f, VFS_WRITE_COMMIT, s, NULL, NULL);
	w->r->upload = u;
}

static void start(struct write *w, struct vfs_session *s, unsigned n)
{
	char path[32];
	snprintf(path, sizeof(path), "/f%u", n);
	prepare(w, s, path);
	fixture_on_loop(&f, submit, w);
}

static enum gh_status outcome(struct write *w)
{
	while (w->pending && sem_wait(&w->done) != 0)
		;
	sem_destroy(&w->done);
	return w->st;
}

/* The default tenant holds every worker that is not kept and every place in the queue; its neighbour was there just now. */
static void flood_all(struct write *w)
{
	static struct write before;
	char path[32];
	start(&before, neighbour, 0); /* its rights and nodes are known, too */
	is(outcome(&before), GH_OK);
	for (unsigned i = 0; i < WORKERS + QUEUE; i++) {
		snprintf(path, sizeof(path), "/f%u", i);
		prepare(&w[i], f.admin, path);
	}
	hang();
	for (unsigned i = 0; i < WORKERS + QUEUE; i++) {
		fixture_on_loop(&f, submit, &w[i]);
		ck_assert(w[i].pending);
		if (i == WORKERS - 1)
			fixture_wait_hanging(&f, WORKERS);
	}
	ck_assert_uint_eq(share_counts(f.core).waiting, QUEUE);
}

START_TEST(one_that_floods_is_refused_and_its_neighbour_is_not)
{
	static struct write w[WORKERS + QUEUE], more, b[4];
	for (unsigned i = 0; i < 4; i++)
		prepare(&b[i], neighbour, i ? "/b1" : "/b0");
	prepare(&more, f.admin, "/more");
	flood_all(w);
	fixture_on_loop(&f, submit, &more);
	ck_assert(!more.pending);
	is(more.st, GH_OVERSHARE);
	ck_assert_uint_ge(more.retry_s, 1);
	ck_assert_uint_le(more.retry_s, 60);
	for (unsigned i = 0; i < 4; i++) {
		fixture_on_loop(&f, submit, &b[i]);
		ck_assert(b[i].pending);
		if (!i)
			fixture_wait_hanging(&f, WORKERS + 1); /* a slot was kept for it: it runs, whatever waits */
	}
	ck_assert_uint_eq(share_counts(f.core).waiting, QUEUE); /* never past its bound */
	for (unsigned i = 0; i < 3; i++) { /* the flooder's newest made room, each time */
		is(outcome(&w[WORKERS + QUEUE - 1 - i]), GH_OVERSHARE);
		ck_assert_uint_ge(w[WORKERS + QUEUE - 1 - i].retry_s, 1);
	}
	blob_fault_clear(f.blobs);
	for (unsigned i = 0; i < 4; i++)
		is(outcome(&b[i]), GH_OK);
	for (unsigned i = 0; i < WORKERS + QUEUE - 3; i++)
		is(outcome(&w[i]), GH_OK);
	fixture_wait_quiet(&f);
	struct share_figures a;
	share_tenant_figures(f.core, f.tenant, &a);
	ck_assert_uint_eq(a.shed, 4);
	share_tenant_figures(f.core, other, &a);
	ck_assert_uint_eq(a.shed, 0);
	sem_destroy(&more.done);
}
END_TEST

static void let_go(void *arg)
{
	struct write *w = arg;
	vfs_req_free(&w->r);
}

START_TEST(alone_a_tenant_has_the_slot_that_is_kept_too)
{
	static struct write w[WORKERS + 2];
	struct share_pool p;
	for (unsigned i = 0; i < WORKERS + 2; i++)
		prepare(&w[i], f.admin, "/x");
	hang();
	for (unsigned i = 0; i < WORKERS + 2; i++)
		fixture_on_loop(&f, submit, &w[i]);
	fixture_wait_hanging(&f, WORKERS + 1);
	ck_assert(share_pool_at(f.core, 0, &p));
	ck_assert_uint_eq(p.running, WORKERS + 1);
	ck_assert_uint_eq(p.waiting, 1);
	blob_fault_clear(f.blobs);
	for (unsigned i = 0; i < WORKERS + 2; i++)
		is(outcome(&w[i]), GH_OK);
}
END_TEST

START_TEST(who_leaves_while_waiting_is_out_of_the_queue)
{
	static struct write w[WORKERS + QUEUE];
	flood_all(w);
	for (unsigned i = WORKERS; i < WORKERS + QUEUE; i++) {
		fixture_on_loop(&f, let_go, &w[i]);
		ck_assert_uint_eq(share_counts(f.core).waiting, QUEUE - 1 - (i - WORKERS));
	}
	ck_assert_uint_eq(atomic_load(&f.core->pending), WORKERS);
	blob_fault_clear(f.blobs);
	for (unsigned i = 0; i < WORKERS; i++)
		is(outcome(&w[i]), GH_OK);
	fixture_wait_quiet(&f);
	for (unsigned i = WORKERS; i < WORKERS + QUEUE; i++)
		ck_assert_uint_eq(atomic_load(&w[i].times), 0);
}
END_TEST

START_TEST(a_wait_has_a_bound_and_where_nothing_moves_nobody_is_blamed)
{
	static struct write w[WORKERS + QUEUE];
	close_house();
	f.queue_wait_ms = 150;
	open_house();
	const uint64_t began = gh_mono_ns();
	flood_all(w);
	for (unsigned i = WORKERS; i < WORKERS + QUEUE; i++)
		is(outcome(&w[i]), GH_BUSY);
	ck_assert_uint_ge(gh_mono_ns() - began, 100 * GH_MS_NS);
	ck_assert_uint_eq(share_counts(f.core).waiting, 0);
	blob_fault_clear(f.blobs);
	for (unsigned i = 0; i < WORKERS; i++)
		is(outcome(&w[i]), GH_OK);
}
END_TEST

START_TEST(a_house_that_closes_tells_who_waits)
{
	static struct write w[WORKERS + QUEUE];
	flood_all(w);
	share_stop(f.core);
	for (unsigned i = WORKERS; i < WORKERS + QUEUE; i++)
		is(outcome(&w[i]), GH_STOPPING);
	blob_fault_clear(f.blobs);
	for (unsigned i = 0; i < WORKERS; i++)
		is(outcome(&w[i]), GH_OK);
}
END_TEST

START_TEST(a_dedicated_pool_has_workers_of_its_own)
{
	static struct write w[WORKERS + QUEUE], b[3];
	struct share_pool p;
	for (unsigned i = 0; i < 3; i++)
		prepare(&b[i], neighbour, i ? "/b1" : "/b0");
	flood_all(w);
	is(share_pool_put(f.core, "gold", 2, 10), GH_OK);
	is(share_tenant_put(f.core, other->id, 100, 0, "gold"), GH_OK);
	for (unsigned i = 0; i < 3; i++)
		fixture_on_loop(&f, submit, &b[i]);
	fixture_wait_hanging(&f, WORKERS + 2); /* its two, though the shared pool is full and more */
	ck_assert(share_pool_at(f.core, 1, &p));
	ck_assert_str_eq(p.name, "gold");
	ck_assert_uint_eq(p.running, 2);
	ck_assert_uint_eq(p.waiting, 1);
	ck_assert(share_pool_at(f.core, 0, &p));
	ck_assert_uint_eq(p.running, WORKERS);
	ck_assert_uint_eq(p.waiting, QUEUE);
	/* It is removed: what is in it ends there, what comes goes to the shared one. */
	share_pool_remove(f.core, "gold");
	ck_assert(!share_pool_at(f.core, 1, &p));
	blob_fault_clear(f.blobs);
	for (unsigned i = 0; i < 3; i++)
		is(outcome(&b[i]), GH_OK);
	for (unsigned i = 0; i < WORKERS + QUEUE; i++)
		is(outcome(&w[i]), GH_OK);
	ck_assert_uint_eq(share_rule(f.core, other).pool, 0);
	is(share_pool_put(f.core, "gold", 3, 10), GH_OK);
	ck_assert_uint_eq(share_rule(f.core, other).pool, 1);
}
END_TEST

START_TEST(a_cap_holds_and_can_be_lifted_while_something_waits)
{
	static struct write w[4], extra;
	is(share_tenant_put(f.core, other->id, 100, 2, ""), GH_OK);
	start(&extra, neighbour, 9);
	is(outcome(&extra), GH_OK);
	for (unsigned i = 0; i < 4; i++)
		prepare(&w[i], neighbour, i ? "/x" : "/y");
	hang();
	for (unsigned i = 0; i < 4; i++)
		fixture_on_loop(&f, submit, &w[i]);
	fixture_wait_hanging(&f, 2);
	struct share_figures a;
	share_tenant_figures(f.core, other, &a);
	ck_assert_uint_eq(a.running, 2);
	ck_assert_uint_eq(a.waiting, 2);
	is(share_tenant_put(f.core, other->id, 100, 0, ""), GH_OK);
	fixture_wait_hanging(&f, 4);
	blob_fault_clear(f.blobs);
	for (unsigned i = 0; i < 4; i++)
		is(outcome(&w[i]), GH_OK);
}
END_TEST

START_TEST(pools_that_cannot_be_are_refused_with_the_reason)
{
	ck_assert_ptr_nonnull(share_pool_wrong(f.core, "", 1, 1));
	ck_assert_ptr_nonnull(share_pool_wrong(f.core, "Gold", 1, 1));
	ck_assert_ptr_nonnull(share_pool_wrong(f.core, "shared", 1, 1));
	ck_assert_ptr_nonnull(share_pool_wrong(f.core, "gold", 0, 1));
	ck_assert_ptr_nonnull(share_pool_wrong(f.core, "gold", 129, 1));
	ck_assert_ptr_nonnull(share_pool_wrong(f.core, "gold", 1, 0));
	ck_assert_ptr_null(share_pool_wrong(f.core, "gold", 100, 10));
	is(share_pool_put(f.core, "gold", 100, 10), GH_OK);
	ck_assert_ptr_nonnull(share_pool_wrong(f.core, "silver", 29, 10));
	ck_assert_ptr_null(share_pool_wrong(f.core, "gold", 128, 10)); /* instead of its 100 */
	for (unsigned i = 0; i < FAIR_POOLS - 2; i++) {
		char name[16];
		snprintf(name, sizeof(name), "p%u", i);
		is(share_pool_put(f.core, name, 1, 1), GH_OK);
	}
	ck_assert_ptr_nonnull(share_pool_wrong(f.core, "one-more", 1, 1));
}
END_TEST

/* ---- rates ---- */

START_TEST(a_rate_holds_over_all_transfers_together)
{
	uint64_t now = GH_S_NS, moved = 0;
	unsigned wait_ms;
	ck_assert_uint_eq(share_rate_offer(other, 1u << 30, now, &wait_ms), 1u << 30); /* none is set */
	fair_set_rate(f.core, other, 1000000);
	for (unsigned i = 0; now < 11 * GH_S_NS; i++) {
		if (i % 2 && share_rate_take(other, 30000, now, &wait_ms)) {
			moved += 30000;
			continue;
		}
		const uint64_t n = share_rate_offer(other, 60000, now, &wait_ms);
		moved += n;
		if (n)
			continue;
		ck_assert_uint_ge(wait_ms, 1);
		ck_assert_uint_le(wait_ms, 1000);
		now += wait_ms * GH_MS_NS;
	}
	ck_assert_uint_ge(moved, 9900000);
	ck_assert_uint_le(moved, 10000000 + 250000 + 60000);
	fair_set_rate(f.core, other, 0);
	ck_assert_uint_eq(share_rate_offer(other, 1u << 30, now, &wait_ms), 1u << 30);
}
END_TEST

/* ---- credit on a loop ---- */

struct greedy {
	struct share_turn turn;
	sem_t done;
	unsigned served;
	enum gh_status last, neighbours;
};

/* What runs on the loop tells its own time, from the beginning of the pass on: a machine that stops it for a while charges
 * that to nobody. Afterwards the clock of the house has to catch up. */
static void catch_up(uint64_t now_ns)
{
	share_unknown(f.core, f.loop, now_ns);
	while (gh_mono_ns() < now_ns)
		;
}

static void spin_us(unsigned us)
{
	const uint64_t until = gh_mono_ns() + us * 1000ull;
	while (gh_mono_ns() < until)
		;
}

static void turn_came(struct share_turn *t)
{
	struct greedy *g = (struct greedy *)t;
	uint32_t retry_s;
	is(share_may(f.core, f.loop, f.tenant, gh_mono_ns(), t, &retry_s), GH_OK);
	sem_post(&g->done);
}

static void uses_the_loop(void *arg)
{
	struct greedy *g = arg;
	struct share_turn little = { 0 };
	uint32_t retry_s;
	uint64_t now = gh_loop_now_ns(f.loop);
	g->turn.run = turn_came;
	g->last = GH_OK;
	is(share_may(f.core, f.loop, other, now, &little, &retry_s), GH_OK);
	for (g->served = 0; g->last == GH_OK && g->served < 1000; g->served++, now += 100000)
		g->last = share_may(f.core, f.loop, f.tenant, now, &g->turn, &retry_s);
	g->neighbours = share_may(f.core, f.loop, other, now, &little, &retry_s);
	catch_up(now);
}

static void uses_it_alone(void *arg)
{
	struct greedy *g = arg;
	uint32_t retry_s;
	uint64_t now = gh_loop_now_ns(f.loop);
	for (g->served = 0; g->served < 200; g->served++, now += 100000)
		is(share_may(f.core, f.loop, f.tenant, now, &g->turn, &retry_s), GH_OK);
	catch_up(now);
}

static void cancels(void *arg)
{
	struct greedy *g = arg;
	ck_assert(share_turn_cancel(&g->turn));
	ck_assert(!share_turn_cancel(&g->turn));
}

static void uses_and_leaves(void *arg)
{
	uses_the_loop(arg);
	cancels(arg);
}

START_TEST(credit_on_a_loop_ends_in_company_only_and_the_turn_comes)
{
	struct greedy g = { 0 };
	sem_init(&g.done, 0, 0);
	fixture_on_loop(&f, uses_it_alone, &g); /* 20 ms, alone */
	fixture_on_loop(&f, uses_the_loop, &g);
	is(g.last, GH_WAIT);
	ck_assert_uint_gt(g.served, 20); /* 2 ms, and what half of the loop's time adds */
	ck_assert_uint_lt(g.served, 60);
	is(g.neighbours, GH_OK);
	while (sem_wait(&g.done) != 0)
		;
	fixture_on_loop(&f, uses_and_leaves, &g);
	ck_assert_int_eq(gh_metric_get(GH_M_FAIR_WAITING, 3), 0);
	ck_assert_int_ne(sem_trywait(&g.done), 0);
	sem_destroy(&g.done);
}
END_TEST

/* One that is greedy, beside one that has hardly a share. */
struct pass {
	struct share_turn a, b;
	enum gh_status young, old;
};

static void never(struct share_turn *t)
{
	ck_abort_msg("it was cancelled");
}

static enum gh_status asks(struct tenant *t, struct share_turn *turn, uint64_t now_ns)
{
	uint32_t retry_s;
	turn->run = never;
	const enum gh_status st = share_may(f.core, f.loop, t, now_ns, turn, &retry_s);
	if (st == GH_WAIT)
		ck_assert(share_turn_cancel(turn));
	return st;
}

/* So long that it is greedy, and has no credit for a second or two. */
static uint64_t spends(struct tenant *t, struct share_turn *turn, uint64_t now_ns)
{
	for (unsigned i = 0; i < 10; i++, now_ns += 15 * GH_MS_NS) {
		(void)asks(t, turn, now_ns);
		share_unknown(f.core, f.loop, now_ns + 15 * GH_MS_NS);
	}
	return now_ns;
}

static void a_spends(void *arg)
{
	struct pass *p = arg;
	const uint64_t now = gh_loop_now_ns(f.loop);
	(void)asks(other, &p->b, now);
	catch_up(spends(f.tenant, &p->a, now));
}

static void both_spend(void *arg)
{
	struct pass *p = arg;
	catch_up(spends(f.tenant, &p->a, spends(other, &p->b, gh_loop_now_ns(f.loop))));
}

static void a_asks(void *arg)
{
	struct pass *p = arg;
	const uint64_t now = gh_loop_now_ns(f.loop);
	(void)asks(other, &p->b, now);
	p->young = asks(f.tenant, &p->a, now);
	p->old = asks(f.tenant, &p->a, now + GH_MS_NS);
	catch_up(now + GH_MS_NS);
}

START_TEST(who_is_greedy_alone_waits_only_when_a_pass_is_long)
{
	struct pass p = { 0 };
	is(share_tenant_put(f.core, f.tenant->id, 1, 0, ""), GH_OK);
	is(share_tenant_put(f.core, other->id, 1000, 0, ""), GH_OK);
	fixture_on_loop(&f, a_spends, &p);
	fixture_on_loop(&f, a_asks, &p);
	is(p.young, GH_OK);
	is(p.old, GH_WAIT);
	for (unsigned i = 0; i < 10; i++) { /* who was greedy is forgotten where the machine stands still for long */
		fixture_on_loop(&f, both_spend, &p);
		fixture_on_loop(&f, a_asks, &p);
		is(p.old, GH_WAIT);
		if (p.young == GH_WAIT) /* a share is taken from somebody now */
			return;
	}
	ck_abort_msg("it never waits");
}
END_TEST

/* ---- many tenants on a loop ---- */

#define MANY 3000
static struct tenant *many[MANY];

static void all_but_one(uint64_t now_ns)
{
	struct share_turn little = { 0 };
	uint32_t retry_s;
	for (unsigned i = 0; i < MANY; i++)
		if (i != MANY / 2)
			is(share_may(f.core, f.loop, many[i], now_ns + i, &little, &retry_s), GH_OK);
}

static void all_use_the_loop(void *arg)
{
	struct greedy *g = arg;
	uint32_t retry_s;
	uint64_t now = gh_loop_now_ns(f.loop);
	g->turn.run = turn_came;
	all_but_one(now); /* all are there */
	now += 2 * MANY;
	for (g->last = GH_OK, g->served = 0; g->last == GH_OK && g->served < 1000; g->served++, now += 100000)
		g->last = share_may(f.core, f.loop, many[MANY / 2], now, &g->turn, &retry_s);
	all_but_one(now); /* one is out of credit, all others have theirs */
	catch_up(now + 2 * MANY);
	cancels(g);
}

START_TEST(a_loop_keeps_thousands_of_tenants_apart)
{
	struct greedy g = { 0 };
	for (unsigned i = 0; i < MANY; i++) {
		many[i] = aligned_alloc(_Alignof(struct tenant), sizeof(struct tenant));
		ck_assert_ptr_nonnull(many[i]);
		memset(many[i], 0, sizeof(*many[i]));
		many[i]->id = 1000000 + i;
	}
	fixture_on_loop(&f, all_use_the_loop, &g);
	is(g.last, GH_WAIT);
	ck_assert_uint_ge(g.served, 20);
	ck_assert_uint_lt(g.served, 30);
}
END_TEST

/* ---- many threads at one desk ---- */

struct errand {
	struct share_job job; /* first */
	atomic_uint ran, out;
	bool withdrawn, refused;
};

static atomic_uint home_count;

static void runs(struct share_job *j)
{
	struct errand *e = (struct errand *)j;
	spin_us(20);
	share_done(j);
	atomic_fetch_add(&e->ran, 1);
	atomic_fetch_add(&home_count, 1);
}

static void is_out(struct share_job *j, enum gh_status st, uint32_t retry_after_s)
{
	struct errand *e = (struct errand *)j;
	ck_assert(st == GH_OVERSHARE || st == GH_STOPPING);
	ck_assert_uint_ge(retry_after_s, 1);
	atomic_fetch_add(&e->out, 1);
	atomic_fetch_add(&home_count, 1);
}

#define ERRANDS 4000
struct messenger {
	pthread_t thread;
	unsigned number;
	struct errand e[ERRANDS];
};

static void *runs_errands(void *arg)
{
	struct messenger *m = arg;
	uint32_t retry_s;
	enum gh_status st;
	unsigned x = m->number * 7919 + 1;
	for (unsigned i = 0; i < ERRANDS; i++) {
		struct errand *e = &m->e[i];
		x = x * 1664525u + 1013904223u;
		e->job.run = runs;
		e->job.out = is_out;
		st = share_submit(f.core, &e->job, x >> 16 & 1 ? other : f.tenant, x >> 20 & 7, &retry_s);
		if (st != GH_OK) {
			is(st, GH_OVERSHARE);
			e->refused = true;
			atomic_fetch_add(&home_count, 1);
		} else if ((x >> 24 & 3) == 0 && share_withdraw(&e->job, &st, &retry_s)) {
			e->withdrawn = true;
			atomic_fetch_add(&home_count, 1);
		}
		if (i % 256 == 0)
			is(share_tenant_put(f.core, other->id, 1 + (x >> 8 & 511), x >> 12 & 7,
					    x >> 28 & 1 ? "gold" : ""), GH_OK);
		if (i % 500 == 250)
			is(share_pool_put(f.core, "gold", 1 + (x >> 8 & 3), 5), GH_OK);
	}
	return NULL;
}

START_TEST(many_threads_at_one_desk_lose_nothing)
{
	static struct messenger m[4];
	const struct timespec nap = { 0, 1000000 };
	atomic_store(&home_count, 0);
	is(share_pool_put(f.core, "gold", 2, 5), GH_OK);
	for (unsigned i = 0; i < 4; i++) {
		m[i].number = i;
		ck_assert_int_eq(pthread_create(&m[i].thread, NULL, runs_errands, &m[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(m[i].thread, NULL);
	for (unsigned i = 0; atomic_load(&home_count) < 4 * ERRANDS && i < 10000; i++)
		nanosleep(&nap, NULL);
	unsigned ran = 0, out = 0, left = 0, refused = 0;
	for (unsigned i = 0; i < 4 * ERRANDS; i++) {
		struct errand *e = &m[i / ERRANDS].e[i % ERRANDS];
		const unsigned r = atomic_load(&e->ran), o = atomic_load(&e->out);
		ck_assert_uint_eq(r + o + e->withdrawn + e->refused, 1); /* one end each */
		ran += r;
		out += o;
		left += e->withdrawn;
		refused += e->refused;
	}
	ck_assert_uint_gt(ran, 0);
	printf("ran %u, out %u, withdrawn %u, refused %u\n", ran, out, left, refused);
	ck_assert_uint_eq(share_counts(f.core).waiting, 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(gh_metric_get(GH_M_FAIR_WAITING, i), 0);
		ck_assert_int_eq(gh_metric_get(GH_M_FAIR_RUNNING, i), 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fair");
	TCase *t = tcase_create("fair");
	tcase_add_checked_fixture(t, open_house, close_house);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, one_that_floods_is_refused_and_its_neighbour_is_not);
	tcase_add_test(t, alone_a_tenant_has_the_slot_that_is_kept_too);
	tcase_add_test(t, who_leaves_while_waiting_is_out_of_the_queue);
	tcase_add_test(t, a_wait_has_a_bound_and_where_nothing_moves_nobody_is_blamed);
	tcase_add_test(t, a_house_that_closes_tells_who_waits);
	tcase_add_test(t, a_dedicated_pool_has_workers_of_its_own);
	tcase_add_test(t, a_cap_holds_and_can_be_lifted_while_something_waits);
	tcase_add_test(t, pools_that_cannot_be_are_refused_with_the_reason);
	tcase_add_test(t, a_rate_holds_over_all_transfers_together);
	tcase_add_test(t, credit_on_a_loop_ends_in_company_only_and_the_turn_comes);
	tcase_add_test(t, who_is_greedy_alone_waits_only_when_a_pass_is_long);
	tcase_add_test(t, a_loop_keeps_thousands_of_tenants_apart);
	tcase_add_test(t, many_threads_at_one_desk_lose_nothing);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	const int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
