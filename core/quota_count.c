/* What is metered (requests, bytes a second, a month's downloads), and the words of every refusal. A second's worth is
 * divided among the gateways that serve the account. See quota.h. */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/quota_room.h"

/* ---- words ---- */

static const char *whose(const struct quota_account *a)
{
	return a->user ? "this user" : "this tenant";
}

static uint32_t seconds_to_next_month(void)
{
	const int64_t now = gh_real_us();

	return (uint32_t)((quota_month_begin(quota_month_of(now) + 1) - now) / GH_S_US) + 1;
}

static const char *month_words(struct gh_arena *a, const struct quota_account *acc)
{
	char next[24];

	quota_month_text(next, quota_month_now() + 1);
	return gh_printf(a, "The transfer that %s may have in a month is used up; the next one begins on %s-01.",
			 whose(acc), next);
}

/* What is left, where everything that there was has been asked for already. */
static const char *stock_words(struct gh_arena *arena, struct quota_account *a, enum quota_kind k, uint64_t *ret_left)
{
	pthread_mutex_lock(&a->lock);
	*ret_left = quota_stock_room(&a->stock[k]);
	pthread_mutex_unlock(&a->lock);
	return gh_printf(arena, "The quota of %s is used up: of %llu %s, %llu are left.", whose(a),
			 (unsigned long long)atomic_load(&a->limit[k]), quota_kind_names[k],
			 (unsigned long long)*ret_left);
}

const char *quota_words(struct gh_arena *arena, struct quota_account *a, enum quota_kind k, uint64_t *ret_left)
{
	*ret_left = UINT64_MAX;
	return k == QUOTA_MONTH_BYTES ? month_words(arena, a) : stock_words(arena, a, k, ret_left);
}

enum gh_status quota_refuse(struct vfs_work *w, enum gh_status st, struct quota_account *a, enum quota_kind k)
{
	uint64_t left;

	struct vfs_req *r = &w->req;
	const unsigned long long limit = atomic_load(&a->limit[k]);

	gh_metric_add(GH_M_QUOTA_REFUSED, k, 1);
	switch (k) {
	case QUOTA_BYTES:
	case QUOTA_FILES:
		r->message = quota_words(r->arena, a, k, &left);
		if (k == QUOTA_BYTES)
			r->quota_available = left;
		break;
	case QUOTA_SESSIONS:
		r->message = gh_printf(r->arena, "As many sessions as %s may have (%llu) are open.", whose(a), limit);
		r->retry_after_s = 5;
		break;
	case QUOTA_TRANSFERS:
		r->message =
			gh_printf(r->arena, "As many transfers as %s may have (%llu) are running.", whose(a), limit);
		r->retry_after_s = 5;
		break;
	case QUOTA_REQUESTS_S:
		r->message = gh_printf(r->arena, "More requests than %s may send (%llu in a second).", whose(a), limit);
		break;
	case QUOTA_MONTH_BYTES:
		r->message = quota_words(r->arena, a, k, &left);
		r->retry_after_s = seconds_to_next_month();
		break;
	case QUOTA_BYTES_S: /* never refused: it goes slower */
	case QUOTA_KINDS:
		break;
	}
	return st;
}

/* ---- rates ---- */

static struct purse *rate_lock(struct quota_rate *r, const struct purse_rule *rule, uint64_t now_ns)
{
	while (atomic_flag_test_and_set_explicit(&r->lock, memory_order_acquire))
		;
	if (!r->begun) {
		purse_init(&r->purse, rule, now_ns);
		r->begun = true;
	}
	return &r->purse;
}

static void rate_unlock(struct quota_rate *r)
{
	atomic_flag_clear_explicit(&r->lock, memory_order_release);
}

/* This gateway's; 0: no limit. */
static uint64_t rate_of(const struct quota_account *a, enum quota_kind k)
{
	const uint64_t n = atomic_load_explicit(&a->limit[k], memory_order_relaxed),
		       gateways = atomic_load_explicit(&a->gateways, memory_order_relaxed);

	return n == QUOTA_NONE ? 0 : n > gateways ? n / gateways : 1;
}

void quota_rate_enter(struct quota_account *a)
{
	if (!a->user)
		fair_set_rate(a->core, a->tenant, rate_of(a, QUOTA_BYTES_S));
}

/* A second's worth may come at once. */
static struct purse_rule requests_rule(const struct quota_account *a)
{
	const uint64_t n = rate_of(a, QUOTA_REQUESTS_S);

	return (struct purse_rule){ .per_s = n, .burst = n };
}

static bool request_taken(struct quota_account *a, uint64_t *ret_wait_ns)
{
	const struct purse_rule rule = requests_rule(a);
	const uint64_t now = gh_mono_ns();

	if (!rule.per_s)
		return true;
	struct purse *p = rate_lock(&a->requests, &rule, now);
	const bool may = purse_ask(p, &rule, now, ret_wait_ns);
	if (may)
		purse_spend(p, &rule, now, 1);
	rate_unlock(&a->requests);
	return may;
}

static void request_returned(struct quota_account *a)
{
	const struct purse_rule rule = requests_rule(a);

	if (!rule.per_s)
		return;
	struct purse *p = rate_lock(&a->requests, &rule, gh_mono_ns());
	purse_return(p, &rule, 1);
	rate_unlock(&a->requests);
}

enum gh_status quota_request(struct vfs_work *w, struct vfs_session *s)
{
	uint64_t wait_ns = 0;

	if (!quota_limited(s->tenant))
		return GH_OK;
	const struct quota_slot a = quota_accounts(s->tenant, s->user);
	for (unsigned i = 0; i < 2; i++) {
		if (!a.of[i] || request_taken(a.of[i], &wait_ns))
			continue;
		if (i)
			request_returned(a.of[0]);
		w->req.retry_after_s = (uint32_t)(wait_ns / GH_S_NS) + 1;
		return quota_refuse(w, GH_PACED, a.of[i], QUOTA_REQUESTS_S);
	}
	return GH_OK;
}

struct quota_account *quota_rated(struct tenant *t, uint64_t user)
{
	if (!quota_limited(t))
		return NULL;
	struct quota_account *a = quota_accounts(t, user).of[1];
	return quota_has(a, QUOTA_BYTES_S) ? a : NULL;
}

/* A quarter of a second's worth. */
static struct purse_rule bytes_rule(const struct quota_account *a)
{
	const uint64_t n = rate_of(a, QUOTA_BYTES_S);

	return (struct purse_rule){ .per_s = n, .burst = n / 4 ? n / 4 : 1 };
}

uint64_t quota_rate_offer(struct quota_account *a, uint64_t want, bool whole, unsigned *ret_wait_ms)
{
	const uint64_t now = gh_mono_ns();
	uint64_t wait_ns = 0, n = want;

	if (!a)
		return want;
	const struct purse_rule rule = bytes_rule(a);
	struct purse *p = rate_lock(&a->bytes, &rule, now);
	if (whole)
		n = purse_ask(p, &rule, now, &wait_ns) ? want : 0;
	else
		n = purse_offer(p, &rule, now, want, &wait_ns);
	purse_spend(p, &rule, now, n);
	rate_unlock(&a->bytes);
	*ret_wait_ms = wait_ns < GH_S_NS ? (unsigned)(wait_ns / GH_MS_NS) + 1 : 1000; /* it may be lifted meanwhile */
	return n;
}

void quota_rate_return(struct quota_account *a, uint64_t n)
{
	if (!a || !n)
		return;
	const struct purse_rule rule = bytes_rule(a);
	struct purse *p = rate_lock(&a->bytes, &rule, gh_mono_ns());
	purse_return(p, &rule, n);
	rate_unlock(&a->bytes);
}

/* ---- a month's downloads ---- */

enum gh_status quota_download(struct vfs_work *w, uint64_t bytes)
{
	struct vfs_session *s = w->req.session;
	struct meta_call call = work_call(w);
	struct quota_take t = { .month = bytes };

	if (!bytes || !quota_limited(w->tenant))
		return GH_OK;
	const struct quota_slot a = quota_accounts(w->tenant, w->caller.user);
	for (unsigned i = 0; i < 2; i++) {
		const enum gh_status st = a.of[i] ? quota_take(a.of[i], &t, w->may_block ? &call : NULL) : GH_OK;
		if (st == GH_OK)
			continue;
		if (i)
			quota_month_return(a.of[0], quota_month_now(), bytes);
		return st == GH_QUOTA ? quota_refuse(w, GH_PACED, a.of[i], QUOTA_MONTH_BYTES) : st;
	}
	if (quota_has(a.of[0], QUOTA_MONTH_BYTES) || quota_has(a.of[1], QUOTA_MONTH_BYTES)) {
		atomic_store(&s->paid_month, quota_month_now());
		atomic_fetch_add(&s->paid, bytes);
	}
	return GH_OK;
}

void quota_sent(struct vfs_session *s, uint64_t bytes)
{
	uint64_t paid = atomic_load_explicit(&s->paid, memory_order_relaxed);

	while (paid && !atomic_compare_exchange_weak(&s->paid, &paid, paid > bytes ? paid - bytes : 0))
		;
}

void quota_download_end(struct vfs_session *s)
{
	const uint64_t left = atomic_exchange(&s->paid, 0);
	const struct quota_slot a = left ? quota_accounts(s->tenant, s->user) : (struct quota_slot){ { NULL } };

	for (unsigned i = 0; i < 2; i++)
		if (quota_has(a.of[i], QUOTA_MONTH_BYTES))
			quota_month_return(a.of[i], atomic_load(&s->paid_month), left);
}
