/* The desks in front of the workers. See fair.h. */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/fair_loop.h"
#include "core/fair_room.h"

#define RESERVED_MAX 16u /* threads of a class of its own: with all pools and all that are lent, what a pool can grow by */
#define COMPANY_NS GH_S_NS /* so long after a job of another tenant nobody is alone */

/* ---- counting ---- */

void share_waited(struct gh_core *c, struct tenant *t, unsigned class, uint64_t wait_ns)
{
	gh_metric_observe_ns(GH_M_FAIR_WAIT, class, wait_ns);
	if (!t)
		return;
	live_count(c, t, LIVE_WAITS, 1);
	live_count(c, t, LIVE_WAITED_NS, wait_ns);
	unsigned k = 0;
	for (uint64_t u = wait_ns / 100000; u && k < 19; u >>= 1)
		k++;
	if (atomic_fetch_add_explicit(&t->seat.waits[k], 1, memory_order_relaxed) >= 4096)
		for (unsigned i = 0; i < 20; i++)
			atomic_store_explicit(&t->seat.waits[i],
					      atomic_load_explicit(&t->seat.waits[i], memory_order_relaxed) / 2,
					      memory_order_relaxed);
}

void share_shed(struct gh_core *c, struct tenant *t, unsigned where)
{
	gh_metric_add(GH_M_FAIR_SHED, where, 1);
	if (!t)
		return;
	live_count(c, t, LIVE_SHED, 1);
	atomic_fetch_add_explicit(&t->seat.shed, 1, memory_order_relaxed);
}

static unsigned where_of(const struct share_desk *d, const struct share_job *j)
{
	return d->login ? SHARE_IN_LOGIN : j->item.pool ? SHARE_IN_DEDICATED : SHARE_IN_SHARED;
}

static void count_waiting(struct share_desk *d, const struct share_job *j, int by)
{
	gh_metric_add(GH_M_FAIR_WAITING, where_of(d, j), by);
	atomic_fetch_add_explicit(&d->waiting, (unsigned)by, memory_order_relaxed);
}

static enum gh_status refusal(const struct share_desk *d)
{
	return d->login ? GH_BUSY : GH_OVERSHARE; /* whoever logs in has no share yet */
}

static unsigned class_of(const struct share_desk *d, const struct share_job *j)
{
	return d->login ? VFS_C_LOGIN : j->item.class;
}

/* ---- running ---- */

static struct share_job *job_of(struct fair_item *it)
{
	return (struct share_job *)it;
}

static void run_job(struct gh_job *job)
{
	struct share_job *j = (struct share_job *)((char *)job - offsetof(struct share_job, job));

	j->started_ns = gh_mono_ns();
	j->run(j);
}

/* It has its slot, and so a thread; mine: the one that asks. */
static enum gh_status start(struct share_desk *d, struct share_job *j, uint64_t now_ns, bool mine)
{
	share_waited(d->core, j->tenant, class_of(d, j), now_ns > j->item.queued_ns ? now_ns - j->item.queued_ns : 0);
	gh_metric_add(GH_M_FAIR_RUNNING, where_of(d, j), 1);
	j->job.run = run_job;
	return mine ? gh_pool_submit_next(*d->pool, &j->job) : gh_pool_submit(*d->pool, &j->job);
}

/* Gives a slot back and finds who gets it, and what else may run now: a list by job.next. Under the lock. */
static struct gh_job *take_all(struct share_desk *d, uint64_t now_ns)
{
	struct gh_job *first = NULL, **end = &first;
	struct fair_item *it;

	while ((it = fair_take(d->fair, now_ns))) {
		*end = &job_of(it)->job;
		end = &(*end)->next;
		*end = NULL;
	}
	return first;
}

/* mine: a worker at its end asks, and takes the first of them. */
static void start_all(struct share_desk *d, struct gh_job *list, uint64_t now_ns, bool mine)
{
	for (struct gh_job *next; list; list = next, mine = false) {
		struct share_job *j = (struct share_job *)((char *)list - offsetof(struct share_job, job));
		next = list->next;
		count_waiting(d, j, -1);
		const enum gh_status st = start(d, j, now_ns, mine);
		if (st == GH_OK)
			continue;
		gh_metric_add(GH_M_FAIR_RUNNING, where_of(d, j), -1);
		pthread_mutex_lock(&d->lock);
		fair_settle(d->fair, &j->item, 0, now_ns);
		pthread_mutex_unlock(&d->lock);
		j->out(j, st, 1);
	}
}

static void go_on(struct gh_job *job)
{
	struct share_job *j = (struct share_job *)((char *)job - offsetof(struct share_job, job));

	j->run(j);
}

enum gh_status share_go_on(struct share_job *j)
{
	struct share_desk *d = j->desk;
	enum gh_status st = GH_STOPPING;

	j->job.run = go_on;
	pthread_mutex_lock(&d->lock); /* after share_stop the pool may be gone */
	if (!d->stopping)
		st = gh_pool_submit(*d->pool, &j->job);
	pthread_mutex_unlock(&d->lock);
	return st;
}

/* Its slot is the next one's, which this worker takes, if it is one: it will be free in a moment. */
static void give_back(struct share_desk *d, struct share_job *j)
{
	const uint64_t now = gh_mono_ns(), cost = now - j->started_ns;
	if (j->tenant)
		live_count(d->core, j->tenant, LIVE_WORKED_NS, cost);
	gh_metric_add(GH_M_FAIR_RUNNING, where_of(d, j), -1);
	atomic_store_explicit(&d->settled_ns, now, memory_order_relaxed);
	pthread_mutex_lock(&d->lock);
	fair_settle(d->fair, &j->item, cost, now);
	struct gh_job *next = take_all(d, now);
	pthread_mutex_unlock(&d->lock);
	start_all(d, next, now, true);
}

/* Whoever has a bound on what runs at once is held to it, commits included; and so is everybody in company, where slots are
 * what weights divide. */
static bool may_float(struct share_desk *d, const struct share_job *j)
{
	if (d->off || j->afloat || j->item.pool || j->item.rule.cap ||
	    gh_mono_ns() < atomic_load_explicit(&d->company_until_ns, memory_order_relaxed))
		return false;
	if (atomic_fetch_add_explicit(&d->afloat, 1, memory_order_relaxed) < SHARE_AFLOAT_MAX)
		return true;
	atomic_fetch_sub_explicit(&d->afloat, 1, memory_order_relaxed);
	return false;
}

void share_float(struct share_job *j)
{
	if (!may_float(j->desk, j))
		return;
	j->afloat = true;
	give_back(j->desk, j);
}

void share_done(struct share_job *j)
{
	struct share_desk *d = j->desk;

	if (d->off)
		return;
	if (!j->afloat) {
		give_back(d, j);
		return;
	}
	j->afloat = false;
	atomic_fetch_sub_explicit(&d->afloat, 1, memory_order_relaxed);
}

void share_kick_desk(struct share_desk *d)
{
	const uint64_t now = gh_mono_ns();

	pthread_mutex_lock(&d->lock);
	struct gh_job *next = take_all(d, now);
	pthread_mutex_unlock(&d->lock);
	start_all(d, next, now, true);
}

void share_kick(struct gh_core *c)
{
	share_kick_desk(&c->share->wait);
}

/* ---- submitting ---- */

/* Under the lock. The house's own jobs are nobody's company. */
static void note_company(struct share_desk *d, uint64_t tenant, uint64_t now_ns)
{
	if (!tenant || tenant == d->tenant)
		return;
	if (d->tenant)
		atomic_store_explicit(&d->company_until_ns, now_ns + COMPANY_NS, memory_order_relaxed);
	d->tenant = tenant;
}

static enum gh_status submit(struct share_desk *d, struct share_job *j, uint32_t *ret_retry_s)
{
	const uint64_t now = gh_mono_ns();
	struct fair_item *victim = NULL;
	uint32_t retry_s = 1;

	j->desk = d;
	if (d->off) {
		j->job.run = run_job;
		const enum gh_status st = gh_pool_submit(*d->pool, &j->job);
		if (st != GH_OK)
			*ret_retry_s = 2;
		return st;
	}
	pthread_mutex_lock(&d->lock);
	if (d->stopping) {
		pthread_mutex_unlock(&d->lock);
		return GH_STOPPING;
	}
	note_company(d, j->item.tenant, now);
	const enum fair_pushed said = fair_push(d->fair, &j->item, now, &victim);
	switch (said) {
	case FAIR_RUN:
		break;
	case FAIR_QUEUED: /* counted here, where nobody can have taken it yet */
		count_waiting(d, j, 1);
		break;
	case FAIR_REFUSED:
		*ret_retry_s = fair_retry_after_s(d->fair, j->item.tenant, j->item.class);
		break;
	case FAIR_EVICTED: /* one more, one less; a victim is of the same pool */
		retry_s = fair_retry_after_s(d->fair, victim->tenant, victim->class);
		break;
	}
	pthread_mutex_unlock(&d->lock);
	switch (said) {
	case FAIR_RUN: {
		const enum gh_status st = start(d, j, now, false);
		if (st != GH_OK) {
			gh_metric_add(GH_M_FAIR_RUNNING, where_of(d, j), -1);
			pthread_mutex_lock(&d->lock);
			fair_settle(d->fair, &j->item, 0, now);
			pthread_mutex_unlock(&d->lock);
		}
		return st;
	}
	case FAIR_QUEUED:
		return GH_OK;
	case FAIR_REFUSED:
		share_shed(d->core, j->tenant, where_of(d, j));
		return refusal(d);
	case FAIR_EVICTED: {
		struct share_job *v = job_of(victim);
		share_shed(d->core, v->tenant, where_of(d, v));
		v->out(v, refusal(d), retry_s);
		return GH_OK;
	}
	}
	return GH_BUG;
}

enum gh_status share_submit(struct gh_core *c, struct share_job *j, struct tenant *t, unsigned class,
			    uint32_t *ret_retry_s)
{
	j->tenant = t;
	j->item = (struct fair_item){ .tenant = t ? t->id : 0, .class = class,
				      .rule = t ? share_rule(c, t) : fair_tenant_default };
	return submit(&c->share->wait, j, ret_retry_s);
}

bool share_is_calm(struct gh_core *c, struct tenant *t)
{
	const struct fair_tenant_rule rule = share_rule(c, t);

	return !rule.cap && !rule.pool && !atomic_load_explicit(&c->share->wait.waiting, memory_order_relaxed);
}

/* FNV-1a: the login's classes are tenants by hash, so that a flood at one tenant is one flood. */
static uint32_t hash_of(const char *text)
{
	uint32_t h = 2166136261u;
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h ^ h >> 15;
}

enum gh_status share_submit_login(struct gh_core *c, struct share_job *j, uint64_t prefix, const char *whom,
				  uint32_t *ret_retry_s)
{
	j->tenant = NULL;
	j->item = (struct fair_item){ .tenant = prefix, .class = hash_of(whom) % FAIR_CLASSES,
				      .rule = fair_tenant_default };
	return submit(&c->share->login, j, ret_retry_s);
}

bool share_withdraw(struct share_job *j, enum gh_status *ret_st, uint32_t *ret_retry_s)
{
	struct share_desk *d = j->desk;

	if (!d || d->off)
		return false;
	pthread_mutex_lock(&d->lock);
	const bool was = fair_cancel(d->fair, &j->item);
	if (was) {
		/* Over its share is who has at least as much waiting as those who wait have on the average. */
		const struct fair_sums all = fair_sums(d->fair, j->item.pool);
		const struct fair_sums own = fair_tenant_sums(d->fair, j->item.tenant);
		const bool over = (uint64_t)(own.waiting + 1) * (all.tenants + !own.waiting) >= all.waiting + 1;
		const bool moves = atomic_load_explicit(&d->settled_ns, memory_order_relaxed) > j->item.queued_ns;
		*ret_retry_s = fair_retry_after_s(d->fair, j->item.tenant, j->item.class);
		*ret_st = over && moves ? refusal(d) : GH_BUSY;
		count_waiting(d, j, -1);
	}
	pthread_mutex_unlock(&d->lock);
	return was;
}

/* ---- figures ---- */

static unsigned age_ms(uint64_t since_ns, uint64_t now_ns)
{
	return since_ns && now_ns > since_ns ? (unsigned)((now_ns - since_ns) / GH_MS_NS) : 0;
}

struct share_counts share_counts(struct gh_core *c)
{
	struct share *s = c->share;
	struct share_counts n = { .queue_max = s->cfg.queue_max };
	const uint64_t now = gh_mono_ns();

	if (s->cfg.off) {
		n.waiting = gh_pool_waiting(c->wait_pool);
		n.login_waiting = gh_pool_waiting(c->login_pool);
		return n;
	}
	pthread_mutex_lock(&s->wait.lock);
	for (unsigned i = 0; i < FAIR_POOLS; i++) {
		const struct fair_sums sums = fair_sums(s->wait.fair, i);
		const unsigned old = age_ms(sums.oldest_queued_ns, now);
		n.waiting += sums.waiting;
		n.oldest_ms = old > n.oldest_ms ? old : n.oldest_ms;
	}
	pthread_mutex_unlock(&s->wait.lock);
	pthread_mutex_lock(&s->login.lock);
	n.login_waiting = fair_sums(s->login.fair, 0).waiting;
	pthread_mutex_unlock(&s->login.lock);
	return n;
}

static void live_fill(struct live_source *src, struct live_sample *sample, uint64_t passed_ns)
{
	struct share *s = (struct share *)((char *)src - offsetof(struct share, live));
	const struct share_counts n = share_counts(s->core);
	int64_t shed = 0;

	for (unsigned i = SHARE_IN_SHARED; i <= SHARE_IN_LOOP; i++)
		shed += gh_metric_get(GH_M_FAIR_SHED, i);
	sample->shed += passed_ns ? (float)((double)(shed - s->shed_seen) * 1e9 / (double)passed_ns) : 0;
	s->shed_seen = shed;
	sample->queue_waiting = n.waiting + n.login_waiting;
	sample->queue_oldest_ms = n.oldest_ms;
}

/* ---- life ---- */

static enum gh_status desk_init(struct share_desk *d, struct gh_core *c, struct gh_pool **pool,
				const struct fair_config *cfg, bool off)
{
	d->core = c;
	d->pool = pool;
	d->off = off;
	pthread_mutex_init(&d->lock, NULL);
	d->fair = fair_new(cfg);
	return d->fair ? GH_OK : GH_NOMEM;
}

/* Who only looks or reads has a few workers on top, however many write or copy; so has who has nothing running, in
 * company. Copies of trees come after all others. */
static struct fair_config wait_config(const struct share_config *cfg)
{
	const unsigned reserved = cfg->workers / 16 < RESERVED_MAX ? cfg->workers / 16 : RESERVED_MAX;
	const unsigned kept = share_kept(cfg->workers, 1);
	struct fair_config f = { .slots = { cfg->workers + 2 * reserved + kept }, .kept = { kept },
				 .queue_max = { cfg->queue_max } };

	f.class_weight[VFS_C_BULK] = 25;
	f.class_reserved[VFS_C_LOOKUP] = f.class_reserved[VFS_C_READ] = reserved;
	f.estimate_ns[VFS_C_BULK] = 20 * GH_MS_NS;
	return f;
}

enum gh_status share_new(struct gh_core *c, const struct share_config *cfg, struct share **ret)
{
	struct share *s = calloc(1, sizeof(*s));
	if (!s)
		return GH_NOMEM;
	const struct fair_config wait = wait_config(cfg);
	const struct fair_config login = { .slots = { cfg->login_threads }, .queue_max = { cfg->login_queue_max },
					   .estimate_ns = { [0 ... FAIR_CLASSES - 1] = 30 * GH_MS_NS } };
	s->core = c;
	s->cfg = *cfg;
	s->login.login = true;
	pthread_mutex_init(&s->rules_lock, NULL);
	enum gh_status st = desk_init(&s->wait, c, &c->wait_pool, &wait, cfg->off);
	if (st == GH_OK)
		st = desk_init(&s->login, c, &c->login_pool, &login, cfg->off);
	memcpy(s->pools[0].name, SHARE_SHARED_NAME, sizeof(SHARE_SHARED_NAME));
	s->pools[0].slots = wait.slots[0];
	s->pools[0].queue = cfg->queue_max;
	if (st == GH_OK && !cfg->off)
		st = gh_pool_grow(c->wait_pool, wait.slots[0]);
	*ret = s;
	if (st != GH_OK) {
		share_free(ret);
		return st;
	}
	s->live = (struct live_source){ .name = "share", .fill = live_fill };
	return GH_OK;
}

void share_tell_live(struct gh_core *c)
{
	live_source_add(c, &c->share->live);
}

static void desk_stop(struct share_desk *d)
{
	struct fair_item *it;

	for (;;) {
		pthread_mutex_lock(&d->lock);
		d->stopping = true;
		it = NULL;
		for (unsigned i = 0; i < FAIR_POOLS && !it; i++)
			it = fair_oldest(d->fair, i);
		if (it)
			(void)fair_cancel(d->fair, it);
		pthread_mutex_unlock(&d->lock);
		if (!it)
			return;
		count_waiting(d, job_of(it), -1);
		job_of(it)->out(job_of(it), GH_STOPPING, 1);
	}
}

void share_stop(struct gh_core *c)
{
	if (!c->share)
		return;
	if (c->live)
		live_source_remove(c, &c->share->live);
	desk_stop(&c->share->wait);
	desk_stop(&c->share->login);
}

void share_free(struct share **sp)
{
	struct share *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	share_loops_free(s);
	fair_free(&s->wait.fair);
	fair_free(&s->login.fair);
	pthread_mutex_destroy(&s->wait.lock);
	pthread_mutex_destroy(&s->login.lock);
	pthread_mutex_destroy(&s->rules_lock);
	free(s->rules);
	free(s);
}
