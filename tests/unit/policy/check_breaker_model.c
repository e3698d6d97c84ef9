/* The breaker walked through whole: every state that a small configuration can reach, by every event, breadth first; and
 * a long random life beside a window that keeps every single call.
 *
 * A state of the walk is a breaker with the permits that are out. Two states that differ only by when they are (all times
 * moved alike) or by generations that nobody holds are one.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/breaker.h"

/* As ck_assert, but it says nothing while all is well: there are millions of them. */
#define HOLDS(what) ((what) ? (void)0 : ck_abort_msg("line %d: %s", __LINE__, #what))

/* One millisecond is one slot; a window that is still closed is let hold two calls, the third has to open it. */
static const struct breaker_config small = {
	.window_ms = BREAKER_SLOTS, .min_calls = 2, .fail_percent = 60, .slow_percent = 100, .slow_ms = 2, .stuck = 0,
	.probes = 2, .probes_needed = 2, .probe_ms = 3, .base_ms = 2, .max_ms = 4,
};
enum { CALLS_MAX = 2, HELD_MAX = 2, STALE_MAX = 1, START_MS = 1000 };

struct world {
	struct breaker b;
	uint64_t now;
	unsigned held;
	struct breaker_permit permit[HELD_MAX + 2]; /* and some of an earlier generation */
	unsigned stale;
};

/* ---- telling states apart ---- */

struct key {
	uint8_t bytes[64];
};

static uint8_t clipped(uint64_t v, uint64_t max)
{
	return (uint8_t)(v < max ? v : max);
}

static struct key key_of(const struct world *w)
{
	const struct breaker *b = &w->b;
	static const struct breaker_slot none;
	struct key k = { 0 };
	unsigned n = 0, probes = 0, plain = 0, stale = 0;

	for (unsigned i = 0; i < w->held + w->stale; i++) {
		if (w->permit[i].generation != b->generation)
			stale++;
		else if (w->permit[i].probe)
			probes++;
		else
			plain++;
	}
	k.bytes[n++] = (uint8_t)b->state;
	k.bytes[n++] = b->forced;
	k.bytes[n++] = clipped(b->openings, 3);
	k.bytes[n++] = (uint8_t)b->probing;
	k.bytes[n++] = (uint8_t)b->probed_good;
	k.bytes[n++] = b->state == BREAKER_OPEN ? clipped(b->until_ms > w->now ? b->until_ms - w->now : 0, 200) : 0;
	k.bytes[n++] = b->state == BREAKER_CLOSED && b->openings ? clipped(w->now - b->since_ms, small.window_ms) : 0;
	k.bytes[n++] = b->probing ? clipped(w->now - b->probe_started_ms, small.probe_ms) : 0;
	k.bytes[n++] = (uint8_t)probes;
	k.bytes[n++] = (uint8_t)plain;
	k.bytes[n++] = (uint8_t)stale;
	for (unsigned age = 0; b->state == BREAKER_CLOSED && age < BREAKER_SLOTS; age++) {
		const struct breaker_slot *s = &b->slots[(w->now - age) % BREAKER_SLOTS];
		if (s->start_ms != w->now - age)
			s = &none;
		k.bytes[n++] = (uint8_t)s->calls;
		k.bytes[n++] = (uint8_t)(s->failed << 4 | s->slow);
	}
	return k;
}

/* ---- the set of states met, which is also the queue ---- */

struct met {
	struct world *worlds;
	struct key *keys;
	size_t count, room;
	uint32_t *table; /* 1 + index */
	size_t slots;
};

static size_t place_of(const struct met *m, const struct key *k)
{
	uint64_t h = 1469598103934665603ull;

	for (size_t i = 0; i < sizeof(k->bytes); i++)
		h = (h ^ k->bytes[i]) * 1099511628211ull;
	size_t at = h % m->slots;
	while (m->table[at] && memcmp(&m->keys[m->table[at] - 1], k, sizeof(*k)) != 0)
		at = (at + 1) % m->slots;
	return at;
}

static void meet(struct met *m, const struct world *w)
{
	const struct key k = key_of(w);
	const size_t at = place_of(m, &k);

	if (m->table[at])
		return;
	HOLDS(m->count < m->slots / 2);
	if (m->count == m->room) {
		m->room = m->room ? m->room * 2 : 1024;
		m->worlds = realloc(m->worlds, m->room * sizeof(*m->worlds));
		m->keys = realloc(m->keys, m->room * sizeof(*m->keys));
		HOLDS(m->worlds && m->keys);
	}
	m->worlds[m->count] = *w;
	m->keys[m->count] = k;
	m->table[at] = (uint32_t)++m->count;
}

/* ---- what must hold ---- */

static void check_always(const struct world *w)
{
	const struct breaker *b = &w->b;
	unsigned probes = 0;

	for (unsigned i = 0; i < w->held + w->stale; i++)
		probes += w->permit[i].generation == b->generation && w->permit[i].probe;
	HOLDS(b->probing <= small.probes);
	HOLDS(probes <= b->probing);
	HOLDS(b->probed_good < small.probes_needed);
	HOLDS(!b->forced || b->state == BREAKER_OPEN);
	if (b->state != BREAKER_HALF_OPEN)
		HOLDS(b->probing == 0);
	if (b->state == BREAKER_OPEN && !b->forced)
		HOLDS(b->until_ms <= b->since_ms + small.max_ms + small.max_ms / 4);
}

/* How long an opening waits: base doubled for each in a row up to max, and up to a quarter on top. */
static void check_pause(const struct breaker *b)
{
	uint64_t ms = (uint64_t)small.base_ms << (b->openings - 1 < 20 ? b->openings - 1 : 20);

	if (ms > small.max_ms)
		ms = small.max_ms;
	HOLDS(b->until_ms - b->since_ms >= ms);
	HOLDS(b->until_ms - b->since_ms <= ms + ms / 4);
}

/* Whatever has happened: if the dependency is well from now on (and nobody's hand keeps it open) it closes, in bounded
 * time. */
static void check_way_out(struct world w)
{
	struct breaker_permit p;
	uint32_t wait;
	uint64_t waited = 0;

	if (w.b.forced)
		breaker_reset(&w.b, w.now);
	for (unsigned i = 0; w.b.state != BREAKER_CLOSED; i++) {
		HOLDS(i < 100);
		if (breaker_ask(&w.b, &small, w.now, &p, &wait)) {
			breaker_settle(&w.b, &small, w.now, p, BREAKER_GOOD, 0, 0);
			continue;
		}
		HOLDS(wait >= 1);
		w.now += wait;
		waited += wait;
	}
	HOLDS(waited <= small.max_ms + small.max_ms / 4 + 2 * small.probe_ms);
}

static void check_step(const struct world *was, const struct world *is, bool told)
{
	const enum breaker_state from = was->b.state, to = is->b.state;

	HOLDS(told == (from != to));
	if (from == to)
		return;
	HOLDS(was->b.generation != is->b.generation);
	switch (to) {
	case BREAKER_OPEN:
		HOLDS(!is->b.forced);
		check_pause(&is->b);
		break;
	case BREAKER_HALF_OPEN:
		ck_abort_msg("a settlement cannot let probes in");
		break;
	case BREAKER_CLOSED:
		HOLDS(from == BREAKER_HALF_OPEN);
		HOLDS(was->b.probed_good == small.probes_needed - 1);
		HOLDS(breaker_window(&is->b, &small, is->now).calls == 0);
		break;
	}
}

/* ---- events ---- */

static void drop_permit(struct world *w, unsigned i)
{
	const unsigned last = w->held + w->stale - 1;

	memmove(&w->permit[i], &w->permit[i + 1], (last - i) * sizeof(w->permit[0]));
	if (i < w->held)
		w->held--;
	else
		w->stale--;
}

/* Permits of an earlier generation go to the end; more than one of them are forgotten: their callers died. */
static void sort_permits(struct world *w)
{
	struct breaker_permit now[HELD_MAX + 2], old[HELD_MAX + 2];
	unsigned n = 0, o = 0;

	for (unsigned i = 0; i < w->held + w->stale; i++) {
		if (w->permit[i].generation == w->b.generation)
			now[n++] = w->permit[i];
		else
			old[o++] = w->permit[i];
	}
	o = o > STALE_MAX ? STALE_MAX : o;
	memcpy(w->permit, now, n * sizeof(now[0]));
	memcpy(w->permit + n, old, o * sizeof(old[0]));
	w->held = n;
	w->stale = o;
}

static void arrive(struct met *m, struct world *w)
{
	sort_permits(w);
	check_always(w);
	check_way_out(*w);
	meet(m, w);
}

static void try_ask(struct met *m, const struct world *from)
{
	struct world w = *from;
	struct breaker_permit p;
	uint32_t wait = 0;
	const bool may = breaker_ask(&w.b, &small, w.now, &p, &wait);

	switch (from->b.state) {
	case BREAKER_CLOSED:
		HOLDS(may && !p.probe);
		break;
	case BREAKER_OPEN:
		HOLDS(may == (!from->b.forced && from->now >= from->b.until_ms));
		HOLDS(!may || (p.probe && w.b.state == BREAKER_HALF_OPEN));
		break;
	case BREAKER_HALF_OPEN:
		HOLDS(may == (from->b.probing < small.probes ||
					      from->now - from->b.probe_started_ms >= small.probe_ms));
		HOLDS(!may || p.probe);
		break;
	}
	HOLDS(may || wait >= 1);
	if (may && w.held == (p.probe ? HELD_MAX : 1))
		drop_permit(&w, 0); /* its caller died: it stays out, unsettled */
	if (may)
		for (unsigned i = w.held + w.stale; i > w.held; i--)
			w.permit[i] = w.permit[i - 1];
	if (may)
		w.permit[w.held++] = p;
	arrive(m, &w);
}

static void try_settle(struct met *m, const struct world *from, unsigned i, enum breaker_outcome outcome, uint32_t took,
		       uint32_t random)
{
	struct world w = *from;
	const struct breaker_permit p = w.permit[i];
	const struct breaker_sums before = breaker_window(&from->b, &small, from->now);
	const bool counts = p.generation == from->b.generation && outcome != BREAKER_UNCOUNTED;

	drop_permit(&w, i);
	const bool told = breaker_settle(&w.b, &small, w.now, p, outcome, took, random);
	check_step(from, &w, told);
	if (!counts)
		HOLDS(w.b.state == from->b.state);
	if (from->b.state == BREAKER_CLOSED && counts) {
		const uint32_t calls = before.calls + 1, failed = before.failed + (outcome == BREAKER_FAILED),
			       slow = before.slow + (took >= small.slow_ms);
		const bool enough = calls >= 2 && (failed * 10 >= calls * 6 || slow == calls);
		HOLDS((w.b.state == BREAKER_OPEN) == enough);
	}
	if (w.b.state == BREAKER_CLOSED && breaker_window(&w.b, &small, w.now).calls > CALLS_MAX)
		return; /* keeps the walk small */
	if (from->b.state == BREAKER_HALF_OPEN && counts && p.probe)
		HOLDS((w.b.state == BREAKER_OPEN) == (outcome == BREAKER_FAILED || took >= small.slow_ms));
	arrive(m, &w);
}

static void try_all(struct met *m, const struct world *from)
{
	struct world w;

	try_ask(m, from);
	for (unsigned i = 0; i < from->held + from->stale; i++) {
		try_settle(m, from, i, BREAKER_GOOD, 0, 0);
		try_settle(m, from, i, BREAKER_GOOD, 2, UINT32_MAX);
		try_settle(m, from, i, BREAKER_FAILED, 0, 0);
		try_settle(m, from, i, BREAKER_FAILED, 0, UINT32_MAX);
		try_settle(m, from, i, BREAKER_UNCOUNTED, 2, 0);
	}
	w = *from;
	w.now++;
	arrive(m, &w);
	w = *from;
	breaker_force_open(&w.b, w.now);
	HOLDS(w.b.forced && w.b.state == BREAKER_OPEN);
	arrive(m, &w);
	w = *from;
	breaker_reset(&w.b, w.now);
	HOLDS(w.b.state == BREAKER_CLOSED && !w.b.openings && breaker_window(&w.b, &small, w.now).calls == 0);
	arrive(m, &w);
	w = *from;
	breaker_trip(&w.b, &small, w.now, 0);
	HOLDS(w.b.state == BREAKER_OPEN);
	if (!w.b.forced)
		check_pause(&w.b);
	arrive(m, &w);
}

START_TEST(every_state_that_can_be_reached_keeps_the_promises_and_has_a_way_out)
{
	struct met m = { .slots = 1u << 21 };
	struct world w = { .now = START_MS };
	unsigned seen[3] = { 0 };

	m.table = calloc(m.slots, sizeof(*m.table));
	HOLDS(m.table);
	breaker_init(&w.b, w.now);
	meet(&m, &w);
	for (size_t i = 0; i < m.count; i++) {
		w = m.worlds[i]; /* the array moves */
		seen[w.b.state]++;
		try_all(&m, &w);
	}
	printf("%zu states: %u closed, %u open, %u half-open\n", m.count, seen[0], seen[1], seen[2]);
	HOLDS(seen[BREAKER_CLOSED] > 1000);
	HOLDS(seen[BREAKER_OPEN] > 10);
	HOLDS(seen[BREAKER_HALF_OPEN] > 10);
	free(m.table);
	free(m.worlds);
	free(m.keys);
}
END_TEST

/* ---- the naive window: every call with its time ---- */

struct told {
	uint64_t slot;
	bool failed, slow;
};
struct naive {
	struct told of[20000];
	unsigned count;
};

static struct breaker_sums naive_sums(const struct naive *n, const struct breaker_config *cfg, uint64_t now)
{
	struct breaker_sums s = { 0 };
	const uint64_t slot = now / (cfg->window_ms / BREAKER_SLOTS);

	for (unsigned i = 0; i < n->count; i++) {
		if (slot - n->of[i].slot >= BREAKER_SLOTS)
			continue;
		s.calls++;
		s.failed += n->of[i].failed;
		s.slow += n->of[i].slow;
	}
	return s;
}

static uint32_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 32);
}

/* One life: calls that go as chance has it, seldom badly enough to open, and time that passes in small and large steps. */
static void live(uint64_t seed)
{
	static struct naive n;
	const struct breaker_config cfg = { .window_ms = 100, .min_calls = 12, .fail_percent = 40, .slow_percent = 50,
					    .slow_ms = 10, .probes = 1, .probes_needed = 1, .probe_ms = 50, .base_ms = 5,
					    .max_ms = 20 };
	struct breaker b;
	struct breaker_permit p;
	uint64_t now = draw(&seed);
	uint32_t wait;
	const uint32_t badness = draw(&seed) % 100;

	n.count = 0;
	breaker_init(&b, now);
	for (unsigned i = 0; i < 3000; i++) {
		now += draw(&seed) % 50 ? draw(&seed) % 4 : draw(&seed) % 250;
		if (!breaker_ask(&b, &cfg, now, &p, &wait))
			continue;
		const enum breaker_outcome o = draw(&seed) % 100 < badness	? BREAKER_FAILED :
					       draw(&seed) % 10 == 0 ? BREAKER_UNCOUNTED :
									 BREAKER_GOOD;
		const uint32_t took = draw(&seed) % 100 < badness ? 10 : 9;
		const bool was_closed = b.state == BREAKER_CLOSED;
		if (was_closed && draw(&seed) % 8 == 0) {
			breaker_add_good(&b, &cfg, now, 2);
			for (int k = 0; k < 2; k++)
				n.of[n.count++] = (struct told){ now / 10, false, false };
		}
		if (was_closed && o != BREAKER_UNCOUNTED)
			n.of[n.count++] = (struct told){ now / 10, o == BREAKER_FAILED, took >= 10 };
		const struct breaker_sums want = naive_sums(&n, &cfg, now);
		const bool ill = want.calls >= 12 && (want.failed * 100 >= want.calls * 40 || want.slow * 100 >= want.calls * 50);
		breaker_settle(&b, &cfg, now, p, o, took, draw(&seed));
		if (was_closed)
			HOLDS((b.state == BREAKER_OPEN) == ill);
		if (b.state != BREAKER_CLOSED || !was_closed) {
			n.count = 0; /* the next window begins empty */
			continue;
		}
		const struct breaker_sums got = breaker_window(&b, &cfg, now);
		HOLDS(got.calls == want.calls);
		HOLDS(got.failed == want.failed);
		HOLDS(got.slow == want.slow);
	}
}

START_TEST(the_window_agrees_with_one_that_keeps_every_call)
{
	for (uint64_t seed = 1; seed <= 200; seed++)
		live(seed * 0x9e3779b97f4a7c15ull);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("breaker_model");
	TCase *t = tcase_create("breaker_model");

	tcase_add_test(t, every_state_that_can_be_reached_keeps_the_promises_and_has_a_way_out);
	tcase_add_test(t, the_window_agrees_with_one_that_keeps_every_call);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	const int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
