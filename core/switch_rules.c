/* The rules: read from the store, made into a board, ended in time. See switches.h.
 *
 * Two changes at once commit in some order and then read in some order. A reading has a number, taken before it begins;
 * only one that began later than the published one replaces it. So whoever returns from switches_load has a board whose
 * reading began after its own commit, and no lock is held while the store is asked.
 */
#include "core/switches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/base/rcu.h"
#include "core/control_house.h"
#include "core/live.h"

#define RULES_BYTES (256u << 20)
#define PAGE 500u
#define AGAIN_MS 5000 /* the store did not let an ended rule be removed */

/* ---- sets of rules ---- */

struct switch_rules *switch_rules_ref(struct switches *s)
{
	pthread_mutex_lock(&s->lock);
	struct switch_rules *r = s->rules;
	atomic_fetch_add(&r->refs, 1);
	pthread_mutex_unlock(&s->lock);
	return r;
}

void switch_rules_unref(struct switch_rules **rp)
{
	struct switch_rules *r = *rp;
	*rp = NULL;
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	gh_arena_free(&r->arena);
	free(r->of);
	free(r);
}

static struct switch_rules *rules_new(void)
{
	struct switch_rules *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	atomic_store(&r->refs, 1);
	r->arena = gh_arena_new(RULES_BYTES);
	if (!r->arena)
		switch_rules_unref(&r);
	return r;
}

static const struct switch_kept *rules_find(const struct switch_rules *r, uint64_t id)
{
	unsigned lo = 0, hi = r ? r->count : 0;
	while (lo < hi) {
		const unsigned mid = lo + (hi - lo) / 2;
		if (r->of[mid].rule.id == id)
			return &r->of[mid];
		if (r->of[mid].rule.id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* When does it end, on the clock that nobody sets? Known rules keep what was computed once. A new one has as long as its
 * document says, but never longer than it was made for, should the clock have been set back since. */
static int64_t end_of(const struct switch_kept *k, const struct switch_rules *known)
{
	const struct switch_kept *old = rules_find(known, k->rule.id);
	if (!k->until_us)
		return SWITCH_NEVER;
	if (old && old->until_us == k->until_us)
		return old->rule.expires_ms;
	int64_t left_us = k->until_us - gh_real_us();
	if (k->made_us && left_us > k->until_us - k->made_us)
		left_us = k->until_us - k->made_us;
	return switch_now_ms() + left_us / 1000;
}

static bool rules_grow(struct switch_rules *r, unsigned more)
{
	struct switch_kept *of = realloc(r->of, (r->count + more + 1) * sizeof(*of));
	if (!of)
		return false;
	r->of = of;
	return true;
}

static enum gh_status rules_read(struct gh_core *c, const struct switch_rules *known, struct switch_rules *r)
{
	struct meta_call call = { .arena = r->arena, .op = "switches" };
	unsigned count = PAGE;
	for (uint64_t after = 0; count == PAGE;) {
		struct meta_setting *rows;
		enum gh_status st = meta_settings(c->meta, &call, SWITCH_KIND, after, PAGE, &rows, &count);
		if (st == GH_OK && !rules_grow(r, count))
			st = GH_NOMEM;
		for (unsigned i = 0; st == GH_OK && i < count; i++) {
			struct switch_kept *k = &r->of[r->count];
			after = rows[i].id;
			st = switch_doc_read(r->arena, &rows[i], k);
			if (st == GH_INVALID) {
				gh_log(GH_LOG_WARN, "switch.unreadable", "rule=%llu", (unsigned long long)rows[i].id);
				st = GH_OK;
				continue;
			}
			k->rule.expires_ms = end_of(k, known);
			r->count++;
		}
		if (st != GH_OK)
			return st;
	}
	return GH_OK;
}

/* ---- boards ---- */

static struct switchboard *board_of(const struct switches *s, const struct switch_rules *r,
				    const struct switch_kept *extra)
{
	struct switch_rule *all = calloc((r ? r->count : 0) + 2u, sizeof(*all));
	unsigned n = 0, left_out = 0;
	if (!all)
		return NULL;
	for (unsigned i = 0; r && i < r->count; i++)
		if (!extra || !switch_rule_same_scope(&extra->rule, &r->of[i].rule))
			all[n++] = r->of[i].rule;
	if (extra)
		all[n++] = extra->rule;
	struct switchboard *b =
		switchboard_new(all, n, &s->here, switch_now_ms(), switch_flags, VFS_FLAG_COUNT, &left_out);
	free(all);
	if (b && left_out)
		gh_log(GH_LOG_WARN, "switch.left_out", "rules=%u hint=\"not known to this release\"", left_out);
	return b;
}

struct switchboard *switches_try(struct switches *s, const struct switch_kept *rule)
{
	struct switch_rules *r = switch_rules_ref(s);
	struct switchboard *b = board_of(s, r, rule);
	switch_rules_unref(&r);
	return b;
}

/* Is a whole host meant to get no new work? Everything is drained, or shut by a rule that names this place: what is off
 * everywhere has words for its users, and a balancer that turned away would keep them from being heard. */
static bool is_emptied(const struct switchboard *b)
{
	static const enum switch_proto doors[] = { SWITCH_WEBDAV, SWITCH_FTP, SWITCH_REST, SWITCH_WEB };
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++) {
		for (unsigned class = 0; class < VFS_CLASS_COUNT; class++) {
			const struct switch_ask ask = { .proto = doors[i], .class = class };
			struct switch_answer a;
			switchboard_ask(b, &ask, switch_now_ms(), &a);
			if (a.mode != SWITCH_DRAIN && !(a.mode == SWITCH_OFF && a.by_place))
				return false;
		}
	}
	return true;
}

static void board_free(void *arg)
{
	struct switchboard *b = arg;
	switchboard_free(&b);
}

/* With the lock. */
static void board_publish(struct switches *s, struct switchboard *b)
{
	struct switchboard *old = s->board;
	gh_rcu_publish(&s->board, b);
	atomic_store(&s->emptied, is_emptied(b));
	gh_metric_set(GH_M_SWITCH_RULES, 0, switchboard_count(b));
	s->next_end_ms = switchboard_next_expiry(b);
	if (old)
		gh_rcu_defer(board_free, old);
	pthread_cond_signal(&s->wake);
}

enum gh_status switches_load(struct gh_core *c)
{
	struct switches *s = c->switches;
	const uint64_t number = atomic_fetch_add(&s->reads, 1) + 1;
	struct switch_rules *known = switch_rules_ref(s), *r = rules_new();
	enum gh_status st = r ? rules_read(c, known, r) : GH_NOMEM;
	struct switchboard *b = st == GH_OK ? board_of(s, r, NULL) : NULL;
	switch_rules_unref(&known);
	if (st == GH_OK && !b)
		st = GH_NOMEM;
	if (st == GH_OK) {
		pthread_mutex_lock(&s->lock);
		if (number > s->read) {
			struct switch_rules *old = s->rules;
			s->read = number;
			s->rules = r;
			r = old;
			board_publish(s, b);
			b = NULL;
		}
		pthread_mutex_unlock(&s->lock);
	}
	switchboard_free(&b);
	switch_rules_unref(&r);
	return st;
}

/* ---- the keeper ---- */

/* A rule has ended: the board without it, made of what is in memory. */
static void board_renew(struct switches *s)
{
	pthread_mutex_lock(&s->lock);
	struct switchboard *b = board_of(s, s->rules, NULL);
	if (b)
		board_publish(s, b);
	else
		s->next_end_ms = switch_now_ms() + 1000; /* asks look at the end themselves: nothing is wrong meanwhile */
	pthread_mutex_unlock(&s->lock);
}

static enum gh_status remove_ended(struct gh_core *c, struct gh_arena *a, const struct switch_kept *k)
{
	const struct meta_setting row = { .kind = SWITCH_KIND, .id = k->rule.id, .rev = k->rev };
	struct meta_step step = { .kind = META_SETTING_DELETE, .setting = &row };
	const struct house_change h = {
		.actor = "expiry",
		.what = k->rule.flag ? "flag.expire" : "switch.expire",
		.path = switch_doc_scope(a, k),
		.detail = switch_mode_name(k->rule.mode),
		.rights_epoch = UINT64_MAX,
		.steps = &step,
		.count = 1,
	};
	const enum gh_status st = house_change(c, a, NULL, &h);
	return st == GH_STALE ? GH_OK : st; /* somebody was faster */
}

/* false: again later. */
static bool purge(struct gh_core *c)
{
	struct switch_rules *r = switch_rules_ref(c->switches);
	struct gh_arena *a = gh_arena_new(16u << 20);
	bool good = a != NULL, any = false;
	for (unsigned i = 0; good && i < r->count; i++) {
		if (r->of[i].rule.expires_ms > switch_now_ms())
			continue;
		good = remove_ended(c, a, &r->of[i]) == GH_OK;
		gh_arena_reset(a);
		any = true;
	}
	gh_arena_free(&a);
	switch_rules_unref(&r);
	if (good && any)
		good = switches_load(c) == GH_OK;
	return good;
}

static bool has_ended(const struct switch_rules *r, int64_t now_ms)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->of[i].rule.expires_ms <= now_ms)
			return true;
	return false;
}

/* With the lock: until the next rule ends, somebody publishes, or the store is to be tried again. */
static void keeper_wait(struct switches *s, int64_t again_ms)
{
	const int64_t at = again_ms && again_ms < s->next_end_ms ? again_ms : s->next_end_ms;
	if (at == SWITCH_NEVER) {
		pthread_cond_wait(&s->wake, &s->lock);
		return;
	}
	const struct timespec until = { at / 1000, at % 1000 * 1000000 };
	if (at > switch_now_ms())
		(void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static void *keeper_main(void *arg)
{
	struct gh_core *c = arg;
	struct switches *s = c->switches;
	int64_t again_ms = 0;
	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		const int64_t now_ms = switch_now_ms();
		if (again_ms <= now_ms)
			again_ms = 0;
		const bool due = s->next_end_ms <= now_ms;
		const bool clean = !again_ms && has_ended(s->rules, now_ms);
		if (!due && !clean) {
			keeper_wait(s, again_ms);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		if (due) {
			board_renew(s);
			(void)switches_tell(c);
			live_tell(c, "switch");
		}
		again_ms = purge(c) ? 0 : switch_now_ms() + AGAIN_MS;
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- life ---- */

enum gh_status switches_new(const struct switch_place *here, struct switches **ret)
{
	struct switches *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	if (!s)
		return GH_NOMEM;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	s->here = *here;
	s->rules = rules_new();
	s->board = s->rules ? board_of(s, s->rules, NULL) : NULL;
	s->next_end_ms = SWITCH_NEVER;
	if (!s->board) {
		switches_free(&s);
		return GH_NOMEM;
	}
	*ret = s;
	return GH_OK;
}

void switches_free(struct switches **sp)
{
	struct switches *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	switchboard_free(&s->board);
	switch_rules_unref(&s->rules);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

enum gh_status switches_start(struct gh_core *c)
{
	if (pthread_create(&c->switches->keeper, NULL, keeper_main, c) != 0)
		return GH_NOMEM;
	c->switches->running = true;
	return GH_OK;
}

void switches_stop(struct gh_core *c)
{
	struct switches *s = c->switches;
	if (!s || !s->running)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->keeper, NULL);
	s->running = false;
}
