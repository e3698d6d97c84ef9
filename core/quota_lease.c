/* Taking from an account, and going to the store for more. See quota.h for who calls, policy/quota.h for the
 * arithmetic.
 *
 *   at rest -> renewing (one thread, at the store) -> at rest
 *
 * While it renews, numbers may still be reserved and settled, but nothing is claimed: what a commit rests on is
 * decided between two grants. Whoever needs more waits for the one at the store (not for long), looks again, then goes itself; what
 * it went for it takes in the same moment in which the grant is entered, so that it cannot be taken away under its
 * hands. */
#include <errno.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/quota_room.h"

enum { RENEWAL_GRANTED, RENEWAL_SHORT, RENEWAL_FAILED }; /* order of the metric's values */

/* The most that a lease holds beyond what is needed. */
static const uint64_t chunks[QUOTA_STOCKS] = { [QUOTA_BYTES] = 256ull << 20, [QUOTA_FILES] = 1000 };
#define SEATS_CHUNK 64u
#define MONTH_CHUNK (64ull << 20)
#define WAIT_S 2 /* for another who is at the store */

int64_t quota_month_now(void)
{
	return quota_month_of(gh_real_us());
}

/* ---- taking; under the account's lock ---- */

static void give_up(struct quota_account *a, struct quota_take *t, unsigned stocks)
{
	for (unsigned k = 0; k < stocks; k++) {
		if (t->claim)
			quota_stock_settle(&a->stock[k], t->n[k], false);
		else
			quota_stock_unreserve(&a->stock[k], t->n[k]);
		if (t->claim && t->held[k])
			a->stock[k].reserved += *t->held[k];
	}
}

static bool take_stock(struct quota_account *a, struct quota_take *t, enum quota_kind k)
{
	if (!quota_has(a, k))
		t->n[k] = 0;
	if (!t->claim)
		return quota_stock_reserve(&a->stock[k], t->n[k]);
	const uint64_t held = t->held[k] ? *t->held[k] : 0;
	if (t->n[k])
		return quota_stock_claim(&a->stock[k], t->n[k], held);
	quota_stock_unreserve(&a->stock[k], held); /* it adds nothing after all */
	return true;
}

static bool take_month(struct quota_account *a, uint64_t n)
{
	if (!n || !quota_has(a, QUOTA_MONTH_BYTES))
		return true;
	if (a->month != quota_month_now() || a->month_left < n)
		return false;
	a->month_left -= n;
	return true;
}

static bool rests_on_lease(const struct quota_account *a, const struct quota_take *t)
{
	if (quota_takes_seat(t))
		return quota_shares(a);
	return t->claim &&
	       ((t->n[QUOTA_BYTES] && quota_has(a, QUOTA_BYTES)) || (t->n[QUOTA_FILES] && quota_has(a, QUOTA_FILES)));
}

static bool take_seats(struct quota_account *a, struct quota_take *t)
{
	for (unsigned i = 0; i < QUOTA_SEATS; i++)
		if (t->seat[i] && !seats_take(&a->seats[i])) {
			t->missing = QUOTA_SESSIONS + i;
			return false; /* nobody takes two */
		}
	return true;
}

bool quota_take_here(struct quota_account *a, struct quota_take *t)
{
	quota_touch(a);
	if (rests_on_lease(a, t) && !quota_lease_lives(a))
		return false;
	if (quota_takes_seat(t))
		return take_seats(a, t);
	for (unsigned k = 0; k < QUOTA_STOCKS; k++)
		if (!take_stock(a, t, k)) {
			t->missing = k;
			give_up(a, t, k);
			return false;
		}
	if (!take_month(a, t->month)) {
		t->missing = QUOTA_MONTH_BYTES;
		give_up(a, t, QUOTA_STOCKS);
		return false;
	}
	for (unsigned k = 0; t->claim && k < QUOTA_STOCKS; k++)
		if (t->held[k])
			*t->held[k] = 0; /* it is in the claim now */
	t->lease = a->lease;
	return true;
}

/* ---- at the store ---- */

struct talk {
	struct quota_account *a;
	uint64_t limit[QUOTA_STOCKS], month_limit;
	struct quota_stock was[QUOTA_STOCKS];
	uint64_t need[QUOTA_STOCKS], month_need;
	uint64_t seats_limit[QUOTA_SEATS], seats_need[QUOTA_SEATS];
	bool idle;   /* give back what is not in use */
	bool shares; /* its seats and rates */
	bool joins;  /* had no lease */
	bool stays;  /* keeps one, though nothing may be on it: for its rates */
	uint64_t others; /* how many share the account */
	uint64_t month_back;
	int64_t month;
	bool with_others; /* there is room for all of it, but leased to others */
	struct meta_quota_grant said;
};

/* What the answer says of one kind. */
struct verdict {
	bool any;         /* there is something to be held */
	bool lacks, full; /* less than is needed: it lies with others, there is none */
};

static uint64_t grant(struct verdict *v, const struct talk *t, const struct quota_books *b, uint64_t need, uint64_t chunk)
{
	const uint64_t n = quota_grant(b, need, t->idle ? 0 : chunk);
	const bool with_others = quota_lies_with_others(b, need);

	v->any = v->any || !t->idle || n;
	v->lacks = v->lacks || with_others;
	v->full = v->full || (n < need && !with_others);
	return n;
}

/* By the committing thread, perhaps twice. */
static void decide(void *arg, const struct meta_quota_books *b, struct meta_quota_grant *ret)
{
	struct talk *t = arg;
	const struct quota_books stocks[QUOTA_STOCKS] = {
		[QUOTA_BYTES] = { t->limit[QUOTA_BYTES], b->used_bytes, b->leased_bytes },
		[QUOTA_FILES] = { t->limit[QUOTA_FILES], b->used_files, b->leased_files },
	};
	const struct quota_books seats[QUOTA_SEATS] = {
		{ t->seats_limit[0], 0, b->leased_sessions },
		{ t->seats_limit[1], 0, b->leased_transfers },
	};
	uint64_t n[QUOTA_STOCKS] = { 0 }, s[QUOTA_SEATS] = { 0 };
	struct verdict v = { .any = t->shares && (!t->idle || t->stays) };
	bool covers = true;

	for (unsigned k = 0; k < QUOTA_STOCKS; k++) {
		if (t->limit[k] == QUOTA_NONE)
			continue;
		n[k] = grant(&v, t, &stocks[k], t->need[k], chunks[k]);
		covers = covers && quota_stock_covers(&t->was[k], n[k]);
	}
	for (unsigned i = 0; i < QUOTA_SEATS; i++)
		if (t->shares && t->seats_limit[i] != QUOTA_NONE)
			s[i] = grant(&v, t, &seats[i], t->seats_need[i], SEATS_CHUNK);
	t->with_others = v.lacks && !v.full;
	t->others = b->holders;
	ret->bytes = n[QUOTA_BYTES];
	ret->files = n[QUOTA_FILES];
	ret->sessions = s[0];
	ret->transfers = s[1];
	ret->lease = !v.any ? 0 : covers && t->a->lease ? t->a->lease : gh_id_new();
	ret->month = -(int64_t)t->month_back;
	if (t->month_need)
		ret->month = (int64_t)quota_prepay(t->month_limit, b->month, t->month_need, MONTH_CHUNK);
	t->said = *ret;
}

/* Seats that are free are nobody's until the store has answered. */
static void talk_of_seats(struct talk *t, struct quota_account *a, const struct quota_take *more)
{
	t->shares = quota_shares(a);
	t->joins = !a->lease;
	t->stays = t->idle && atomic_load(&a->used);
	for (unsigned i = 0; t->shares && i < QUOTA_SEATS; i++) {
		t->seats_limit[i] = atomic_load(&a->limit[QUOTA_SESSIONS + i]);
		if (t->seats_limit[i] != QUOTA_NONE)
			t->seats_need[i] = seats_freeze(&a->seats[i]) + (more && more->seat[i]);
	}
}

static void talk_begin(struct talk *t, struct quota_account *a, const struct quota_take *more)
{
	const int64_t month = quota_month_now();

	a->renewing = true;
	if (a->month != month) { /* what is left of the old month is lost with it */
		a->month = month;
		a->month_left = 0;
	}
	*t = (struct talk){
		.a = a, .month = month, .idle = !more, .month_limit = atomic_load(&a->limit[QUOTA_MONTH_BYTES])
	};
	for (unsigned k = 0; k < QUOTA_STOCKS; k++) {
		const uint64_t n = more ? more->n[k] : 0, held = more && more->held[k] ? *more->held[k] : 0;

		t->limit[k] = atomic_load(&a->limit[k]);
		t->was[k] = a->stock[k];
		t->need[k] = quota_stock_need(&a->stock[k], n > held ? n - held : 0);
	}
	talk_of_seats(t, a, more);
	if (more && more->month > a->month_left && t->month_limit != QUOTA_NONE)
		t->month_need = more->month - a->month_left;
	if (t->idle) {
		t->month_back = a->month_left;
		a->month_left = 0;
	}
}

static void seats_granted(struct talk *t, struct quota_account *a)
{
	const uint64_t n[QUOTA_SEATS] = { t->said.sessions, t->said.transfers };

	for (unsigned i = 0; t->shares && i < QUOTA_SEATS; i++) /* where the limit is another now, all were taken away */
		if (t->seats_limit[i] != QUOTA_NONE && t->seats_limit[i] == atomic_load(&a->limit[QUOTA_SESSIONS + i]))
			seats_allow(&a->seats[i], n[i] < SEATS_ANY ? n[i] : SEATS_ANY - 1);
	atomic_store(&a->gateways, t->others + 1);
}

static void talk_end(struct talk *t, enum gh_status st, uint64_t until_ns)
{
	struct quota_account *a = t->a;

	a->renewing = false;
	if (st == GH_OK) {
		const uint64_t n[QUOTA_STOCKS] = { t->said.bytes, t->said.files };

		for (unsigned k = 0; k < QUOTA_STOCKS; k++)
			quota_stock_granted(&a->stock[k], t->limit[k] == atomic_load(&a->limit[k]) ? n[k] : 0,
					    quota_stock_mark(&t->was[k]));
		a->lease = t->said.lease;
		seats_granted(t, a);
		atomic_store(&a->until_ns, a->lease ? until_ns : 0);
		if (t->said.month > 0 && a->month == t->month)
			a->month_left += (uint64_t)t->said.month;
	} else {
		atomic_store(&a->until_ns, 0); /* who knows what the store has: ask again before the next claim */
		if (st != GH_UNKNOWN)
			a->month_left += t->month_back;
	}
	pthread_cond_broadcast(&a->renewed);
}

/* One more gateway than the others know of, to divide a second's worth with. */
static bool joined(const struct talk *t)
{
	return t->shares && t->joins && t->said.lease && t->others &&
	       (quota_has(t->a, QUOTA_REQUESTS_S) || quota_has(t->a, QUOTA_BYTES_S));
}

enum gh_status quota_renew(struct quota_account *a, const struct quota_take *more, struct meta_call *call,
			   bool *ret_with_others)
{
	const uint32_t life_ms = a->core->quota->lease_ms;
	const uint64_t until_ns = gh_mono_ns() + (uint64_t)life_ms * GH_MS_NS * 7 / 8;
	struct talk t;

	talk_begin(&t, a, more);
	const struct meta_quota_ask ask = { .tenant = a->tenant->id,
					    .user = a->user,
					    .lease = a->lease,
					    .life_ms = life_ms,
					    .month = t.month,
					    .decide = decide,
					    .arg = &t };
	pthread_mutex_unlock(&a->lock);
	const enum gh_status st =
		ASK(a->core, SERVICE_METADATA, a->tenant->id, meta_quota_lease(a->core->meta, call, &ask));
	if (st == GH_OK && joined(&t) && quota_tell_others(a, call) != GH_OK)
		gh_log(GH_LOG_WARN, "quota-join", "tenant=%s hint=\"other gateways divide its rates anew when they look next\"",
		       a->tenant->name);
	pthread_mutex_lock(&a->lock);
	talk_end(&t, st, until_ns);
	quota_rate_enter(a);
	if (ret_with_others)
		*ret_with_others = st == GH_OK && t.with_others;
	return st;
}

bool quota_wait_at_rest(struct quota_account *a)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	while (a->renewing)
		if (pthread_cond_timedwait(&a->renewed, &a->lock, &until) == ETIMEDOUT)
			return !a->renewing;
	return true;
}

static void count_renewal(enum gh_status st)
{
	gh_metric_add(GH_M_QUOTA_RENEWALS,
		      st == GH_OK      ? RENEWAL_GRANTED
		      : st == GH_QUOTA ? RENEWAL_SHORT
				       : RENEWAL_FAILED,
		      1);
}

/* Locked. */
static enum gh_status take_or_renew(struct quota_account *a, struct quota_take *t, struct meta_call *call)
{
	bool with_others;

	if (!(t->claim && a->renewing) && quota_take_here(a, t))
		return GH_OK;
	if (!call)
		return GH_AGAIN;
	if (!quota_wait_at_rest(a))
		return GH_BUSY;
	if (quota_take_here(a, t)) /* what somebody else brought was enough */
		return GH_OK;
	enum gh_status st = quota_renew(a, t, call, &with_others);
	if (st == GH_OK && !quota_take_here(a, t))
		st = with_others ? quota_call_back(a, t, call) : GH_QUOTA;
	count_renewal(st);
	return st;
}

enum gh_status quota_take(struct quota_account *a, struct quota_take *t, struct meta_call *call)
{
	pthread_mutex_lock(&a->lock);
	const enum gh_status st = take_or_renew(a, t, call);
	pthread_mutex_unlock(&a->lock);
	return st;
}

void quota_month_return(struct quota_account *a, int64_t month, uint64_t n)
{
	pthread_mutex_lock(&a->lock);
	if (a->month == month)
		a->month_left += n;
	pthread_mutex_unlock(&a->lock);
}

/* ---- the keeper's visit ---- */

static bool in_use(const struct quota_account *a)
{
	for (unsigned k = 0; k < QUOTA_STOCKS; k++)
		if (quota_stock_need(&a->stock[k], 0))
			return true;
	return quota_shares(a) && (seats_taken(&a->seats[0]) || seats_taken(&a->seats[1]));
}

static void say_failure(const struct quota_account *a, enum gh_status st)
{
	if (st != GH_OK)
		gh_log(GH_LOG_WARN, "quota-keep", "tenant=%s user=%llu status=%s", a->tenant->name,
		       (unsigned long long)a->user, gh_status_name(st));
}

void quota_keep(struct quota_account *a, struct gh_arena *arena, bool all_back)
{
	static const struct quota_take nothing = { .month = 0 };
	struct meta_call call = { .arena = arena, .op = "quota" };
	enum gh_status st = GH_OK;

	pthread_mutex_lock(&a->lock);
	const bool busy = in_use(a), idle = !atomic_exchange(&a->used, false) && !busy;
	if (!a->renewing && busy && !all_back)
		st = quota_renew(a, &nothing, &call, NULL);
	else if (!a->renewing && (idle || all_back) && (a->lease || a->month_left))
		st = quota_renew(a, NULL, &call, NULL);
	pthread_mutex_unlock(&a->lock);
	say_failure(a, st);
}

void quota_give_back(struct quota_account *a, struct gh_arena *arena)
{
	struct meta_call call = { .arena = arena, .op = "quota" };
	enum gh_status st = GH_BUSY;

	pthread_mutex_lock(&a->lock);
	if (quota_wait_at_rest(a))
		st = a->lease || a->month_left ? quota_renew(a, NULL, &call, NULL) : GH_OK;
	pthread_mutex_unlock(&a->lock);
	say_failure(a, st);
}
