/* The circuit breaker: see breaker.h for states and rules.
 *
 * The window is a ring of slots; a slot belongs to the stretch of time it was begun in, and is emptied when its place in
 * the ring comes up again, so that nothing has to be done when time merely passes.
 */
#include "policy/breaker.h"

#include <stddef.h>
#include <string.h>

const struct breaker_config breaker_defaults = {
	.window_ms = 10000, .min_calls = 20, .fail_percent = 50, .slow_percent = 80, .slow_ms = 2000, .stuck = 8,
	.probes = 2, .probes_needed = 3, .probe_ms = 30000, .base_ms = 1000, .max_ms = 60000,
};

const char *breaker_config_wrong(const struct breaker_config *cfg)
{
	if (cfg->window_ms < BREAKER_SLOTS || cfg->window_ms > 3600000)
		return "the window is out of range: 10 ms to 1 h";
	if (cfg->min_calls < 1)
		return "with no calls there is no evidence: at least 1";
	if (cfg->fail_percent < 1 || cfg->fail_percent > 100)
		return "the share of failures is out of range: 1 to 100 percent";
	if (cfg->slow_percent < 1 || cfg->slow_percent > 100)
		return "the share of slow calls is out of range: 1 to 100 percent";
	if (cfg->probes < 1 || cfg->probes_needed < 1)
		return "without a probe it would never close: at least 1";
	if (cfg->probe_ms < 1)
		return "a probe needs time: at least 1 ms";
	if (cfg->base_ms < 1)
		return "the first pause is too short: at least 1 ms";
	if (cfg->max_ms < cfg->base_ms)
		return "the longest pause is shorter than the first";
	if (cfg->max_ms > 86400000)
		return "the longest pause is out of range: at most a day";
	return NULL;
}

const char *breaker_state_name(enum breaker_state s)
{
	switch (s) {
	case BREAKER_CLOSED:
		return "closed";
	case BREAKER_OPEN:
		return "open";
	case BREAKER_HALF_OPEN:
		return "half-open";
	}
	return "?";
}

/* ---- the window ---- */

static uint64_t slot_ms(const struct breaker_config *cfg)
{
	return cfg->window_ms / BREAKER_SLOTS;
}

/* The slot of this moment, emptied if it was an earlier one's. */
static struct breaker_slot *slot_at(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms)
{
	const uint64_t n = now_ms / slot_ms(cfg), start = n * slot_ms(cfg);
	struct breaker_slot *s = &b->slots[n % BREAKER_SLOTS];

	if (s->start_ms != start)
		*s = (struct breaker_slot){ .start_ms = start };
	return s;
}

struct breaker_sums breaker_window(const struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms)
{
	const uint64_t now = now_ms / slot_ms(cfg);
	struct breaker_sums sums = { 0 };

	for (unsigned i = 0; i < BREAKER_SLOTS; i++) {
		const struct breaker_slot *s = &b->slots[i];
		const uint64_t n = s->start_ms / slot_ms(cfg);

		if (n > now || now - n >= BREAKER_SLOTS)
			continue;
		sums.calls += s->calls;
		sums.failed += s->failed;
		sums.slow += s->slow;
	}
	return sums;
}

static void add(uint32_t *to, uint32_t n)
{
	*to = n > UINT32_MAX / BREAKER_SLOTS - *to ? UINT32_MAX / BREAKER_SLOTS : *to + n;
}

static bool is_slow(const struct breaker_config *cfg, uint32_t took_ms)
{
	return cfg->slow_ms && took_ms >= cfg->slow_ms;
}

void breaker_count(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms, enum breaker_outcome outcome,
		   uint32_t took_ms)
{
	struct breaker_slot *s;

	if (b->state != BREAKER_CLOSED || outcome == BREAKER_UNCOUNTED)
		return;
	s = slot_at(b, cfg, now_ms);
	add(&s->calls, 1);
	add(&s->failed, outcome == BREAKER_FAILED);
	add(&s->slow, is_slow(cfg, took_ms));
}

void breaker_add_good(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms, uint32_t n)
{
	if (b->state == BREAKER_CLOSED && n)
		add(&slot_at(b, cfg, now_ms)->calls, n);
}

/* ---- evidence ---- */

static bool share_reached(uint32_t part, uint32_t of, uint32_t percent)
{
	return part && (uint64_t)part * 100 >= (uint64_t)of * percent;
}

static bool goes_badly(const struct breaker_config *cfg, struct breaker_sums s)
{
	return share_reached(s.failed, s.calls, cfg->fail_percent) || share_reached(s.slow, s.calls, cfg->slow_percent);
}

bool breaker_ill(const struct breaker_config *cfg, struct breaker_sums sums)
{
	return sums.calls >= cfg->min_calls && goes_badly(cfg, sums);
}

static uint32_t less(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

/* A few of the others' are enough to tell an outage from one tenant's trouble, but a single one is an accident. */
static bool others_too(const struct breaker_config *cfg, struct breaker_sums others)
{
	const uint32_t enough = cfg->min_calls / 4 > 2 ? cfg->min_calls / 4 : 2;

	return goes_badly(cfg, others) && (others.failed >= enough || others.slow >= enough);
}

void breaker_forget(struct breaker *all, const struct breaker *mine)
{
	for (unsigned i = 0; i < BREAKER_SLOTS; i++) {
		struct breaker_slot *a = &all->slots[i];
		const struct breaker_slot *m = &mine->slots[i];

		if (a->start_ms != m->start_ms)
			continue;
		a->calls = less(a->calls, m->calls);
		a->failed = less(a->failed, m->failed);
		a->slow = less(a->slow, m->slow);
	}
}

enum breaker_blame breaker_blame(const struct breaker_config *cfg, struct breaker_sums all, struct breaker_sums mine,
				 bool others_open)
{
	const struct breaker_sums others = { less(all.calls, mine.calls), less(all.failed, mine.failed),
					     less(all.slow, mine.slow) };
	const bool i_am = breaker_ill(cfg, mine);

	if (breaker_ill(cfg, all) && others_too(cfg, others))
		return BREAKER_SERVICE;
	/* Those who are shut out already make no calls: their silence does not say that all is well. */
	if (i_am && others_open && (others.calls == 0 || goes_badly(cfg, others)))
		return BREAKER_SERVICE;
	return i_am ? BREAKER_TENANT : BREAKER_NOBODY;
}

enum breaker_blame breaker_blame_stuck(const struct breaker_config *cfg, uint32_t all, uint32_t mine, bool others_open)
{
	const uint32_t others = less(all, mine);

	if (!cfg->stuck || all < cfg->stuck)
		return BREAKER_NOBODY;
	if (others >= 2 && (uint64_t)others * 4 >= all)
		return BREAKER_SERVICE;
	if (mine < cfg->stuck)
		return BREAKER_NOBODY;
	return others_open ? BREAKER_SERVICE : BREAKER_TENANT;
}

/* ---- states ---- */

static void become(struct breaker *b, enum breaker_state s, uint64_t now_ms)
{
	b->state = s;
	b->generation++;
	b->since_ms = now_ms;
	b->probing = b->probed_good = 0;
	b->forced = false;
}

void breaker_init(struct breaker *b, uint64_t now_ms)
{
	memset(b, 0, sizeof(*b));
	b->since_ms = now_ms;
}

static uint64_t pause_ms(const struct breaker_config *cfg, uint32_t openings, uint32_t random)
{
	uint64_t ms = cfg->base_ms;

	for (uint32_t i = 1; i < openings && ms < cfg->max_ms; i++)
		ms *= 2;
	if (ms > cfg->max_ms)
		ms = cfg->max_ms;
	return ms + (ms / 4 * random >> 32);
}

void breaker_trip(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms, uint32_t random)
{
	if (b->forced)
		return;
	if (b->state == BREAKER_CLOSED && now_ms - b->since_ms >= cfg->window_ms)
		b->openings = 0;
	if (b->openings < UINT32_MAX)
		b->openings++;
	become(b, BREAKER_OPEN, now_ms);
	b->until_ms = now_ms + pause_ms(cfg, b->openings, random);
}

bool breaker_hasten(struct breaker *b, uint64_t now_ms)
{
	if (b->state != BREAKER_OPEN || b->forced || b->until_ms <= now_ms)
		return false;
	b->until_ms = now_ms;
	return true;
}

static void close_it(struct breaker *b, uint64_t now_ms)
{
	become(b, BREAKER_CLOSED, now_ms);
	memset(b->slots, 0, sizeof(b->slots));
}

void breaker_force_open(struct breaker *b, uint64_t now_ms)
{
	become(b, BREAKER_OPEN, now_ms);
	b->forced = true;
	b->until_ms = UINT64_MAX;
}

void breaker_reset(struct breaker *b, uint64_t now_ms)
{
	close_it(b, now_ms);
	b->openings = 0;
	b->until_ms = 0;
}

static uint32_t wait_of(uint64_t ms)
{
	return ms < 1 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static bool ask_half_open(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms,
			  struct breaker_permit *ret, uint32_t *ret_wait_ms)
{
	if (b->probing >= cfg->probes && now_ms - b->probe_started_ms >= cfg->probe_ms) {
		b->probing = 0;
		b->generation++; /* what they say when they come back after all counts no more */
	}
	if (b->probing >= cfg->probes) {
		*ret_wait_ms = wait_of(cfg->probe_ms - (now_ms - b->probe_started_ms));
		return false;
	}
	b->probing++;
	b->probe_started_ms = now_ms;
	*ret = (struct breaker_permit){ b->generation, true };
	return true;
}

bool breaker_ask(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms, struct breaker_permit *ret,
		 uint32_t *ret_wait_ms)
{
	switch (b->state) {
	case BREAKER_CLOSED:
		*ret = (struct breaker_permit){ b->generation, false };
		return true;
	case BREAKER_OPEN:
		if (b->forced || now_ms < b->until_ms) {
			*ret_wait_ms = wait_of(b->until_ms - now_ms);
			return false;
		}
		become(b, BREAKER_HALF_OPEN, now_ms);
		return ask_half_open(b, cfg, now_ms, ret, ret_wait_ms);
	case BREAKER_HALF_OPEN:
		return ask_half_open(b, cfg, now_ms, ret, ret_wait_ms);
	}
	return false;
}

static bool settle_probe(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms,
			 enum breaker_outcome outcome, uint32_t took_ms, uint32_t random)
{
	b->probing--;
	if (outcome == BREAKER_UNCOUNTED)
		return false;
	if (outcome == BREAKER_FAILED || is_slow(cfg, took_ms)) {
		breaker_trip(b, cfg, now_ms, random);
		return true;
	}
	if (++b->probed_good < cfg->probes_needed)
		return false;
	close_it(b, now_ms);
	return true;
}

bool breaker_settle(struct breaker *b, const struct breaker_config *cfg, uint64_t now_ms, struct breaker_permit p,
		    enum breaker_outcome outcome, uint32_t took_ms, uint32_t random)
{
	if (p.generation != b->generation)
		return false;
	if (p.probe)
		return settle_probe(b, cfg, now_ms, outcome, took_ms, random);
	breaker_count(b, cfg, now_ms, outcome, took_ms);
	if (!breaker_ill(cfg, breaker_window(b, cfg, now_ms)))
		return false;
	breaker_trip(b, cfg, now_ms, random);
	return true;
}
