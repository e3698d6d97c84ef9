/* The house of accounts: made with a tenant's first limit, found without a lock, looked after by the keeper. See
 * quota.h. */
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/quota_room.h"

#define PAGE 500

const char *const quota_kind_names[QUOTA_KINDS] = {
	[QUOTA_BYTES] = "bytes",
	[QUOTA_FILES] = "files",
	[QUOTA_SESSIONS] = "sessions",
	[QUOTA_TRANSFERS] = "transfers",
	[QUOTA_REQUESTS_S] = "requests_s",
	[QUOTA_BYTES_S] = "bytes_s",
	[QUOTA_MONTH_BYTES] = "month_bytes",
};

/* Its waits end by the monotonic clock. */
static void cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

enum gh_status quota_new(uint32_t lease_ms, struct quota **ret)
{
	struct quota *q = calloc(1, sizeof(*q));

	if (!q)
		return GH_NOMEM;
	q->lease_ms = lease_ms;
	pthread_mutex_init(&q->lock, NULL);
	cond_init(&q->wake);
	*ret = q;
	return GH_OK;
}

static void account_free(struct quota_account *a)
{
	if (!a->user)
		free(atomic_load(&a->tenant->quota));
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->renewed);
	free(a);
}

void quota_free(struct quota **qp)
{
	struct quota *q = *qp;

	*qp = NULL;
	if (!q)
		return;
	for (struct quota_account *a = atomic_load(&q->all), *next; a; a = next) {
		next = a->next_all;
		account_free(a);
	}
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->wake);
	free(q);
}

/* ---- accounts ---- */

static struct quota_book *book_of(const struct tenant *t)
{
	return atomic_load_explicit(&t->quota, memory_order_acquire);
}

static unsigned bucket_of(uint64_t user)
{
	return (unsigned)((user * 0x9e3779b97f4a7c15u) >> 56) %
	       QUOTA_BUCKETS; /* ids of one moment are near each other */
}

static struct quota_account *user_find(const struct quota_book *b, uint64_t user)
{
	struct quota_account *a = atomic_load_explicit(&b->users[bucket_of(user)], memory_order_acquire);

	while (a && a->user != user)
		a = atomic_load_explicit(&a->next_user, memory_order_acquire);
	return a;
}

struct quota_slot quota_accounts(struct tenant *t, uint64_t user)
{
	const struct quota_book *b = book_of(t);

	return b ? (struct quota_slot){ { b->own, user ? user_find(b, user) : NULL } }
		 : (struct quota_slot){ { NULL } };
}

static struct quota_account *account_find(struct tenant *t, uint64_t user)
{
	return quota_accounts(t, user).of[user != 0];
}

static struct quota_account *account_new(struct gh_core *c, struct tenant *t, uint64_t user)
{
	struct quota_account *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->core = c;
	a->tenant = t;
	a->user = user;
	atomic_store(&a->gateways, 1);
	for (unsigned k = 0; k < QUOTA_KINDS; k++)
		atomic_store(&a->limit[k], QUOTA_NONE);
	for (unsigned i = 0; i < QUOTA_SEATS; i++)
		seats_allow(&a->seats[i], SEATS_ANY);
	pthread_mutex_init(&a->lock, NULL);
	cond_init(&a->renewed);
	return a;
}

static void account_enter(struct quota *q, struct quota_account *a)
{
	a->next_all = atomic_load(&q->all);
	atomic_store_explicit(&q->all, a, memory_order_release);
}

/* The house locked. */
static struct quota_book *book_make(struct gh_core *c, struct tenant *t)
{
	struct quota_book *b = calloc(1, sizeof(*b));

	if (!b || !(b->own = account_new(c, t, 0))) {
		free(b);
		return NULL;
	}
	account_enter(c->quota, b->own);
	atomic_store_explicit(&t->quota, b, memory_order_release);
	return b;
}

static struct quota_account *account_make(struct gh_core *c, struct tenant *t, uint64_t user)
{
	pthread_mutex_lock(&c->quota->lock);
	struct quota_book *b = book_of(t) ? book_of(t) : book_make(c, t);
	struct quota_account *a = !b ? NULL : user ? user_find(b, user) : b->own;
	if (b && !a && (a = account_new(c, t, user))) {
		struct quota_account *_Atomic *head = &b->users[bucket_of(user)];
		atomic_store(&a->next_user, atomic_load(head));
		account_enter(c->quota, a);
		atomic_store_explicit(head, a, memory_order_release);
	}
	pthread_mutex_unlock(&c->quota->lock);
	return a;
}

/* ---- limits ---- */

/* What was granted was so under the old one. Locked. */
static void limit_enter(struct quota_account *a, enum quota_kind k, uint64_t limit)
{
	if (atomic_load(&a->limit[k]) == limit)
		return;
	atomic_store(&a->limit[k], limit);
	if (k < QUOTA_STOCKS) {
		a->stock[k].granted = 0;
	} else if (k < QUOTA_STOCKS + QUOTA_SEATS) {
		const bool shared = limit != QUOTA_NONE && meta_is_shared(a->core->meta);

		seats_allow(&a->seats[k - QUOTA_STOCKS], shared ? 0 : limit);
		atomic_store(&a->full_until_ns[k - QUOTA_STOCKS], 0);
	}
}

static void limits_enter(struct quota_account *a, const struct quota_limits *l)
{
	pthread_mutex_lock(&a->lock);
	for (unsigned k = 0; k < QUOTA_KINDS; k++)
		limit_enter(a, k, l->of[k]);
	pthread_mutex_unlock(&a->lock);
	quota_rate_enter(a);
}

enum gh_status quota_limits_set(struct gh_core *c, struct tenant *t, uint64_t user, const struct quota_limits *l)
{
	struct quota_account *a = account_make(c, t, user);

	if (!a)
		return GH_NOMEM;
	limits_enter(a, l);
	return GH_OK;
}

struct quota_limits quota_limits_of(struct tenant *t, uint64_t user)
{
	const struct quota_account *a = account_find(t, user);
	struct quota_limits l;

	for (unsigned k = 0; k < QUOTA_KINDS; k++)
		l.of[k] = a ? atomic_load(&a->limit[k]) : QUOTA_NONE;
	return l;
}

void quota_user_gone(struct tenant *t, uint64_t user)
{
	struct quota_account *a = account_find(t, user);
	struct quota_limits none;

	for (unsigned k = 0; k < QUOTA_KINDS; k++)
		none.of[k] = QUOTA_NONE;
	if (a)
		limits_enter(a, &none);
}

bool quota_limited(const struct tenant *t)
{
	return book_of(t) != NULL;
}

/* ---- settings ---- */

/* All tenants by id, while settings are read. */
struct by_id {
	struct tenant **of;
	size_t count, room;
	bool failed;
};

static void by_id_add(struct tenant *t, void *arg)
{
	struct by_id *b = arg;

	if (b->count == b->room) {
		const size_t room = b->room ? 2 * b->room : 64;
		struct tenant **more = realloc(b->of, room * sizeof(struct tenant *));
		if (!more) {
			b->failed = true;
			return;
		}
		b->of = more;
		b->room = room;
	}
	b->of[b->count++] = t;
}

static int by_id_order(const void *x, const void *y)
{
	const uint64_t a = (*(struct tenant *const *)x)->id, b = (*(struct tenant *const *)y)->id;

	return a < b ? -1 : a > b;
}

static struct tenant *by_id_find(const struct by_id *b, uint64_t id)
{
	size_t lo = 0, hi = b->count;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		if (b->of[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < b->count && b->of[lo]->id == id ? b->of[lo] : NULL;
}

static struct quota_limits limits_read(const char *doc)
{
	json_t *o = json_loads(doc, 0, NULL);
	struct quota_limits l;

	for (unsigned k = 0; k < QUOTA_KINDS; k++) {
		const json_t *v = json_object_get(o, quota_kind_names[k]);
		l.of[k] =
			json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v) : QUOTA_NONE;
	}
	json_decref(o);
	return l;
}

static enum gh_status load_one(struct gh_core *c, const struct by_id *all, const struct meta_setting *s)
{
	const struct quota_limits l = limits_read(s->doc);
	struct tenant *t = by_id_find(all, s->tenant);

	if (t) {
		const enum gh_status st = quota_limits_set(c, t, s->user, &l);
		if (st == GH_OK)
			account_find(t, s->user)->stored = true;
		return st;
	}
	gh_log(GH_LOG_WARN, "quota-load", "tenant=%llu hint=\"a limit of a tenant that is not there\"",
	       (unsigned long long)s->tenant);
	return GH_OK;
}

enum gh_status quota_load(struct gh_core *c)
{
	struct by_id all = { .of = NULL };
	unsigned count = PAGE;

	tenants_each(c, by_id_add, &all);
	if (all.count)
		qsort(all.of, all.count, sizeof(struct tenant *), by_id_order);
	enum gh_status st = all.failed ? GH_NOMEM : GH_OK;
	for (uint64_t after = 0; st == GH_OK && count == PAGE;) {
		struct gh_arena *a = gh_arena_new(16u << 20);
		struct meta_call call = { .arena = a, .op = "quota" };
		struct meta_setting *rows;
		st = a ? meta_settings(c->meta, &call, "limit", after, PAGE, &rows, &count) : GH_NOMEM;
		for (unsigned i = 0; st == GH_OK && i < count; i++) {
			after = rows[i].id;
			st = load_one(c, &all, &rows[i]);
		}
		gh_arena_free(&a);
	}
	free(all.of);
	return st;
}

static void forget_met(struct gh_core *c)
{
	for (struct quota_account *a = atomic_load(&c->quota->all); a; a = a->next_all)
		a->stored = false;
}

static void end_those_not_met(struct gh_core *c)
{
	struct quota_limits none;

	for (unsigned k = 0; k < QUOTA_KINDS; k++)
		none.of[k] = QUOTA_NONE;
	for (struct quota_account *a = atomic_load(&c->quota->all); a; a = a->next_all)
		if (!a->stored)
			limits_enter(a, &none);
}

/* With the change lock: who sets limits here holds it, and so does whoever reloads. */
enum gh_status quota_reload(struct gh_core *c)
{
	enum gh_status st;

	forget_met(c);
	st = quota_load(c);
	if (st == GH_OK)
		end_those_not_met(c);
	return st;
}

/* ---- the keeper ---- */

static void keep_all(struct gh_core *c, struct gh_arena *arena, bool all_back)
{
	for (struct quota_account *a = atomic_load_explicit(&c->quota->all, memory_order_acquire); a; a = a->next_all) {
		quota_keep(a, arena, all_back);
		gh_arena_reset(arena);
	}
}

static void give_back_called(struct gh_core *c, struct gh_arena *arena)
{
	for (struct quota_account *a = atomic_load_explicit(&c->quota->all, memory_order_acquire); a; a = a->next_all) {
		if (!atomic_exchange(&a->called, false))
			continue;
		quota_give_back(a, arena);
		gh_arena_reset(arena);
	}
}

static void *keeper_main(void *arg)
{
	struct gh_core *c = arg;
	struct quota *q = c->quota;
	struct gh_arena *arena = gh_arena_new(1u << 20);
	const uint64_t pause_ns = (uint64_t)q->lease_ms * GH_MS_NS / 3;
	uint64_t visit_ns = gh_mono_ns() + pause_ns;

	pthread_mutex_lock(&q->lock);
	while (arena && !q->stop) {
		const bool visit = gh_mono_ns() >= visit_ns;
		const struct timespec until = { .tv_sec = (time_t)(visit_ns / GH_S_NS), .tv_nsec = (long)(visit_ns % GH_S_NS) };

		if (!visit && !q->called) {
			pthread_cond_timedwait(&q->wake, &q->lock, &until);
			continue;
		}
		q->called = false;
		pthread_mutex_unlock(&q->lock);
		give_back_called(c, arena);
		if (visit) {
			keep_all(c, arena, false);
			visit_ns = gh_mono_ns() + pause_ns;
		}
		pthread_mutex_lock(&q->lock);
	}
	pthread_mutex_unlock(&q->lock);
	gh_arena_free(&arena);
	return NULL;
}

void quota_called(struct gh_core *c, struct tenant *t, uint64_t user)
{
	struct quota_account *a = account_find(t, user);

	if (!a)
		return;
	atomic_store(&a->called, true);
	pthread_mutex_lock(&c->quota->lock);
	c->quota->called = true;
	pthread_cond_signal(&c->quota->wake);
	pthread_mutex_unlock(&c->quota->lock);
}

enum gh_status quota_start(struct gh_core *c)
{
	if (pthread_create(&c->quota->keeper, NULL, keeper_main, c) != 0)
		return GH_NOMEM;
	c->quota->running = true;
	return GH_OK;
}

void quota_stop(struct gh_core *c)
{
	struct gh_arena *arena;

	if (!c->quota)
		return;
	if (c->quota->running) {
		pthread_mutex_lock(&c->quota->lock);
		c->quota->stop = true;
		pthread_cond_signal(&c->quota->wake);
		pthread_mutex_unlock(&c->quota->lock);
		pthread_join(c->quota->keeper, NULL);
		c->quota->running = false;
	}
	arena = gh_arena_new(1u << 20);
	if (arena)
		keep_all(c, arena, true);
	gh_arena_free(&arena);
}

/* ---- to be looked at ---- */

static uint64_t left(uint64_t limit, uint64_t used)
{
	return limit == QUOTA_NONE ? UINT64_MAX : limit > used ? limit - used : 0;
}

/* Of two accounts the one with less room speaks: its use and its room belong together (RFC 4331 section 4). */
static void look_at(struct quota_view *v, const struct quota_account *a, const struct meta_quota_books *b)
{
	const uint64_t bytes = left(atomic_load(&a->limit[QUOTA_BYTES]), b->used_bytes);
	const uint64_t files = left(atomic_load(&a->limit[QUOTA_FILES]), b->used_files);

	if (bytes < v->free_bytes) {
		v->free_bytes = bytes;
		v->used_bytes = b->used_bytes;
	}
	if (files < v->free_files) {
		v->free_files = files;
		v->used_files = b->used_files;
	}
}

enum gh_status quota_look(struct gh_core *c, struct meta_call *call, struct tenant *t, uint64_t user,
			  struct quota_view *ret)
{
	const struct quota_slot s = quota_accounts(t, user);
	struct meta_quota_books books;
	enum gh_status st =
		ASK(c, SERVICE_METADATA, t->id, meta_usage(c->meta, call, t->id, &books.used_bytes, &books.used_files));

	*ret = (struct quota_view){ books.used_bytes, books.used_files, UINT64_MAX, UINT64_MAX };
	if (st == GH_OK && s.of[0])
		look_at(ret, s.of[0], &books);
	if (st != GH_OK || !s.of[1])
		return st;
	const struct meta_quota_ask ask = { .tenant = t->id, .user = user, .month = quota_month_now() };
	st = ASK(c, SERVICE_METADATA, t->id, meta_quota_books(c->meta, call, &ask, &books));
	if (st == GH_OK)
		look_at(ret, s.of[1], &books);
	return st;
}

struct quota_figures quota_figures(struct tenant *t, uint64_t user)
{
	struct quota_account *a = account_find(t, user);
	struct quota_figures f = { 0 };

	if (!a)
		return f;
	pthread_mutex_lock(&a->lock);
	const struct quota_stock *b = &a->stock[QUOTA_BYTES], *n = &a->stock[QUOTA_FILES];
	f.leased_bytes = b->granted > b->spent ? b->granted - b->spent : 0;
	f.leased_files = n->granted > n->spent ? n->granted - n->spent : 0;
	f.month_left = a->month == quota_month_now() ? a->month_left : 0;
	pthread_mutex_unlock(&a->lock);
	f.sessions = seats_taken(&a->seats[0]);
	f.transfers = seats_taken(&a->seats[1]);
	return f;
}

void quota_users_each(struct tenant *t, void (*fn)(uint64_t user, void *arg), void *arg)
{
	const struct quota_book *b = book_of(t);

	for (unsigned i = 0; b && i < QUOTA_BUCKETS; i++)
		for (struct quota_account *a = atomic_load_explicit(&b->users[i], memory_order_acquire); a;
		     a = atomic_load_explicit(&a->next_user, memory_order_acquire))
			fn(a->user, arg);
}
