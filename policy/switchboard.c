/* The board: all rules at once, made ready for asking. See switchboard.h for what it promises.
 *
 * Rules are sorted by precedence. What an ask needs is then found in at most three look-ups, in buckets: the rules of
 * one switch or flag that name one (tenant, user), one tenant, or neither. A bucket has a cell for each protocol and
 * class with the rules that can win there, best first. For switches that is one rule. For flags it is one, too, where a
 * tenant is named (a roll-out is decided while building); else those whose percentages rise, because a rule that takes
 * in no more tenants than a better one never wins.
 *
 * Places are decided while building, too. Expiry is the one thing that changes later: when the winner has expired, the
 * rules are walked in their order.
 *
 * Called by core/switches.c. Pure: building allocates, asking touches nothing but the board.
 */
#include "policy/switch_rule.h"

#include <stdlib.h>
#include <string.h>

enum level { LEVEL_ALL = 1, LEVEL_TENANT = 2, LEVEL_USER = 4 };

struct rule {
	struct switch_rule r; /* texts in the board's memory */
	unsigned what;        /* 0: a switch; else 1 + the flag's index */
	unsigned protos, classes; /* that it matches */
	bool by_place;
};

struct bucket {
	uint64_t tenant, user;
	unsigned what;
	uint32_t cells[SWITCH_PROTO_COUNT][SWITCH_CLASS_MAX]; /* into chain */
};

struct switchboard {
	unsigned count, bucket_count, what_count;
	struct rule *rules; /* by precedence */
	struct bucket *buckets;
	uint16_t *chain; /* rule's index + 1 each; 0 ends one */
	size_t chain_len, chain_room;
	uint32_t *slots; /* bucket's index + 1; open addressing */
	uint32_t slot_mask;
	uint8_t *levels;      /* of each what: at which levels there are rules */
	uint64_t *key_hashes; /* of each what's flag */
	int64_t next_expiry;
	bool loud[SWITCH_PROTO_COUNT];    /* some rule may refuse */
	bool excepts[SWITCH_PROTO_COUNT]; /* some tenant's or user's rule may open */
	const struct flag_spec *specs;
	char *texts;
};

/* ---- asking ---- */

static uint32_t slot_of(unsigned what, uint64_t tenant, uint64_t user)
{
	uint64_t x = (tenant * 0x9e3779b97f4a7c15ull) ^ (user * 0xc2b2ae3d27d4eb4full) ^ what;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
	return (uint32_t)(x >> 32);
}

static const struct bucket *bucket_find(const struct switchboard *b, unsigned what, uint64_t tenant, uint64_t user)
{
	for (uint32_t at = slot_of(what, tenant, user) & b->slot_mask; b->slots[at]; at = (at + 1) & b->slot_mask) {
		const struct bucket *k = &b->buckets[b->slots[at] - 1];

		if (k->tenant == tenant && k->user == user && k->what == what)
			return k;
	}
	return NULL;
}

static bool takes(const struct switchboard *b, const struct rule *r, uint64_t tenant)
{
	if (r->r.percent >= 100)
		return true;
	return tenant && switch_rollout_slot(b->key_hashes[r->what], tenant) < r->r.percent;
}

static bool matches(const struct rule *r, const struct switch_ask *ask)
{
	return r->protos & 1u << ask->proto && r->classes & 1u << ask->class &&
	       (!r->r.tenant || r->r.tenant == ask->tenant) && (!r->r.user || r->r.user == ask->user);
}

/* The long way: a winner has expired. */
static const struct rule *walk(const struct switchboard *b, unsigned what, const struct switch_ask *ask, int64_t now_ms)
{
	for (unsigned i = 0; i < b->count; i++) {
		const struct rule *r = &b->rules[i];

		if (r->what == what && matches(r, ask) && r->r.expires_ms > now_ms && takes(b, r, ask->tenant))
			return r;
	}
	return NULL;
}

/* The winner of one bucket, expired or not. */
static const struct rule *bucket_best(const struct switchboard *b, unsigned what, const struct switch_ask *ask,
				      uint64_t tenant, uint64_t user)
{
	const struct bucket *k = bucket_find(b, what, tenant, user);

	if (!k)
		return NULL;
	for (const uint16_t *c = b->chain + k->cells[ask->proto][ask->class]; *c; c++) {
		const struct rule *r = &b->rules[*c - 1];

		if (takes(b, r, ask->tenant))
			return r;
	}
	return NULL;
}

static const struct rule *best(const struct switchboard *b, unsigned what, const struct switch_ask *ask, int64_t now_ms)
{
	const unsigned levels = b->levels[what];
	const struct rule *r = NULL;

	if (!levels || (unsigned)ask->proto >= SWITCH_PROTO_COUNT || ask->class >= SWITCH_CLASS_MAX)
		return NULL;
	if (levels & LEVEL_USER && ask->user && ask->tenant)
		r = bucket_best(b, what, ask, ask->tenant, ask->user);
	if (!r && levels & LEVEL_TENANT && ask->tenant)
		r = bucket_best(b, what, ask, ask->tenant, 0);
	if (!r && levels & LEVEL_ALL)
		r = bucket_best(b, what, ask, 0, 0);
	if (r && r->r.expires_ms <= now_ms)
		return walk(b, what, ask, now_ms);
	return r;
}

void switchboard_ask(const struct switchboard *b, const struct switch_ask *ask, int64_t now_ms, struct switch_answer *ret)
{
	const struct rule *r = best(b, 0, ask, now_ms);

	if (!r) {
		*ret = (struct switch_answer){ .mode = SWITCH_ON, .message = "", .expires_ms = SWITCH_NEVER };
		return;
	}
	*ret = (struct switch_answer){ .mode = r->r.mode,
				       .rule = r->r.id,
				       .message = r->r.message,
				       .expires_ms = r->r.expires_ms,
				       .by_place = r->by_place };
}

int64_t switchboard_flag(const struct switchboard *b, unsigned flag, const struct switch_ask *ask, int64_t now_ms)
{
	const struct rule *r = best(b, flag + 1, ask, now_ms);

	return r ? r->r.value : b->specs[flag].fallback;
}

bool switchboard_excepts(const struct switchboard *b, const struct switch_ask *ask, int64_t now_ms)
{
	if ((unsigned)ask->proto >= SWITCH_PROTO_COUNT || ask->class >= SWITCH_CLASS_MAX || ask->user ||
	    !b->excepts[ask->proto])
		return false;
	for (unsigned i = 0; i < b->count && b->rules[i].r.tenant; i++) {
		const struct rule *r = &b->rules[i];

		/* What the ask knows already is in its answer: a rule that names no more than that excepts nobody new. */
		if (r->what || (ask->tenant && (r->r.tenant != ask->tenant || !r->r.user)))
			continue;
		if (r->protos & 1u << ask->proto && r->classes & 1u << ask->class && r->r.expires_ms > now_ms &&
		    (r->r.mode == SWITCH_ON || r->r.mode == SWITCH_READONLY))
			return true;
	}
	return false;
}

bool switchboard_quiet(const struct switchboard *b, enum switch_proto proto)
{
	return (unsigned)proto >= SWITCH_PROTO_COUNT || !b->loud[proto];
}

int64_t switchboard_next_expiry(const struct switchboard *b)
{
	return b->next_expiry;
}

unsigned switchboard_count(const struct switchboard *b)
{
	return b->count;
}

/* ---- building: which rules ---- */

static bool is_here(const char *named, const char *here)
{
	return !switch_given(named) || (switch_given(here) && !strcmp(named, here));
}

/* 1 + the flag's index; 0: not among the specs, or the value is out of its range. */
static unsigned flag_of(const struct switch_rule *r, const struct flag_spec *specs, unsigned spec_count)
{
	for (unsigned i = 0; i < spec_count; i++)
		if (!strcmp(specs[i].key, r->flag))
			return r->value >= specs[i].min && r->value <= specs[i].max ? i + 1 : 0;
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;

	return x->r.id > y->r.id ? -1 : x->r.id < y->r.id;
}

static int by_precedence(const void *a, const void *b)
{
	return switch_rule_compare(&((const struct rule *)a)->r, &((const struct rule *)b)->r);
}

static unsigned rules_choose(struct switchboard *b, const struct switch_rule *rules, unsigned count,
			     const struct switch_place *here, int64_t now_ms, unsigned spec_count)
{
	unsigned left_out = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct switch_rule *r = &rules[i];
		unsigned what = r->flag ? flag_of(r, b->specs, spec_count) : 0;

		/* An expiry just behind INT64_MIN is never past: only the rest of the rule is looked at. */
		if (switch_rule_wrong(r, INT64_MIN) || (r->flag && !what)) {
			left_out++;
			continue;
		}
		if (r->expires_ms <= now_ms || !is_here(r->host, here->host) || !is_here(r->pod, here->pod) ||
		    !is_here(r->dc, here->dc))
			continue;
		if (r->flag && r->tenant && !flag_rollout_takes(r->flag, r->tenant, r->percent))
			continue;
		b->rules[b->count++] = (struct rule){ .r = *r,
						      .what = what,
						      .protos = switch_protos_matched(r->protocols),
						      .classes = r->classes ? r->classes : SWITCH_CLASSES_ALL,
						      .by_place = switch_given(r->host) || switch_given(r->pod) ||
								  switch_given(r->dc) };
	}
	if (b->count > SWITCH_RULES_MAX) {
		qsort(b->rules, b->count, sizeof(*b->rules), newest_first);
		b->count = SWITCH_RULES_MAX;
	}
	if (b->count)
		qsort(b->rules, b->count, sizeof(*b->rules), by_precedence);
	return left_out;
}

/* Only messages are ever said again; the names were for choosing, and for precedence. */
static bool texts_copy(struct switchboard *b)
{
	size_t len = 1;
	char *to;

	for (unsigned i = 0; i < b->count; i++)
		len += b->rules[i].r.message ? strlen(b->rules[i].r.message) + 1 : 0;
	b->texts = to = malloc(len);
	if (!to)
		return false;
	*to++ = '\0';
	for (unsigned i = 0; i < b->count; i++) {
		struct switch_rule *r = &b->rules[i].r;
		size_t n = r->message ? strlen(r->message) + 1 : 0;

		if (n)
			memcpy(to, r->message, n);
		r->message = n ? to : b->texts;
		r->flag = r->host = r->pod = r->dc = r->who = r->why = NULL;
		to += n;
	}
	return true;
}

/* ---- building: buckets ---- */

static int same_bucket_together(const void *a, const void *b)
{
	const struct rule *x = *(const struct rule *const *)a, *y = *(const struct rule *const *)b;

	if (x->what != y->what)
		return x->what < y->what ? -1 : 1;
	if (x->r.tenant != y->r.tenant)
		return x->r.tenant < y->r.tenant ? -1 : 1;
	if (x->r.user != y->r.user)
		return x->r.user < y->r.user ? -1 : 1;
	return x < y ? -1 : x > y; /* precedence */
}

static bool chain_add(struct switchboard *b, uint16_t v)
{
	if (b->chain_len == b->chain_room) {
		size_t room = b->chain_room ? 2 * b->chain_room : 256;
		uint16_t *chain = realloc(b->chain, room * sizeof(*chain));

		if (!chain)
			return false;
		b->chain = chain;
		b->chain_room = room;
	}
	b->chain[b->chain_len++] = v;
	return true;
}

/* Those of the group that can win in this cell, appended; *ret: where. The same as the last cell's is kept once. */
static bool cell_make(struct switchboard *b, const struct rule *const *group, unsigned count, unsigned proto,
		      unsigned class, size_t *last, uint32_t *ret)
{
	const size_t start = b->chain_len;
	unsigned most = 0;

	for (unsigned i = 0; i < count && most < 100; i++) {
		/* Where a tenant is named the roll-out was decided already. */
		const unsigned percent = group[i]->r.tenant ? 100 : group[i]->r.percent;

		if (!(group[i]->protos & 1u << proto) || !(group[i]->classes & 1u << class) || percent <= most)
			continue;
		most = percent;
		if (!chain_add(b, (uint16_t)(group[i] - b->rules + 1)))
			return false;
	}
	if (!chain_add(b, 0))
		return false;
	if (*last != SIZE_MAX && start - *last == b->chain_len - start &&
	    !memcmp(b->chain + *last, b->chain + start, (b->chain_len - start) * sizeof(*b->chain)))
		b->chain_len = start;
	else
		*last = start;
	*ret = (uint32_t)*last;
	return true;
}

static bool bucket_make(struct switchboard *b, const struct rule *const *group, unsigned count)
{
	const struct rule *first = group[0];
	struct bucket *k = &b->buckets[b->bucket_count++];
	uint32_t at = slot_of(first->what, first->r.tenant, first->r.user) & b->slot_mask;
	size_t last = SIZE_MAX;

	k->tenant = first->r.tenant;
	k->user = first->r.user;
	k->what = first->what;
	for (unsigned p = 0; p < SWITCH_PROTO_COUNT; p++)
		for (unsigned c = 0; c < SWITCH_CLASS_MAX; c++)
			if (!cell_make(b, group, count, p, c, &last, &k->cells[p][c]))
				return false;
	while (b->slots[at])
		at = (at + 1) & b->slot_mask;
	b->slots[at] = b->bucket_count;
	b->levels[k->what] |= k->user ? LEVEL_USER : k->tenant ? LEVEL_TENANT : LEVEL_ALL;
	return true;
}

static bool buckets_make(struct switchboard *b)
{
	const struct rule **group = calloc(b->count + 1u, sizeof(*group));
	unsigned buckets = 0, slots = 8;
	bool ok = group != NULL;

	for (unsigned i = 0; ok && i < b->count; i++)
		group[i] = &b->rules[i];
	if (ok && b->count)
		qsort(group, b->count, sizeof(*group), same_bucket_together);
#define BORDER(i) ((i) == 0 || group[i]->what != group[(i) - 1]->what || \
		   group[i]->r.tenant != group[(i) - 1]->r.tenant || group[i]->r.user != group[(i) - 1]->r.user)
	for (unsigned i = 0; ok && i < b->count; i++)
		buckets += BORDER(i);
	while (slots < 2 * buckets)
		slots *= 2;
	b->buckets = calloc(buckets + 1u, sizeof(*b->buckets));
	b->slots = calloc(slots, sizeof(*b->slots));
	b->slot_mask = slots - 1;
	ok = ok && b->buckets && b->slots;
	for (unsigned i = 0, end; ok && i < b->count; i = end) {
		for (end = i + 1; end < b->count && !BORDER(end); end++)
			;
		ok = bucket_make(b, group + i, end - i);
	}
#undef BORDER
	free(group);
	return ok;
}

/* ---- building: the rest ---- */

static void summarise(struct switchboard *b)
{
	b->next_expiry = SWITCH_NEVER;
	for (unsigned i = 0; i < b->count; i++) {
		const struct rule *r = &b->rules[i];

		if (r->r.expires_ms < b->next_expiry)
			b->next_expiry = r->r.expires_ms;
		for (unsigned p = 0; !r->what && p < SWITCH_PROTO_COUNT; p++) {
			if (!(r->protos & 1u << p))
				continue;
			b->loud[p] |= r->r.mode != SWITCH_ON;
			b->excepts[p] |= r->r.tenant && (r->r.mode == SWITCH_ON || r->r.mode == SWITCH_READONLY);
		}
	}
}

struct switchboard *switchboard_new(const struct switch_rule *rules, unsigned count, const struct switch_place *here,
				    int64_t now_ms, const struct flag_spec *specs, unsigned spec_count,
				    unsigned *ret_left_out)
{
	struct switchboard *b = calloc(1, sizeof(*b));
	unsigned left_out = 0;
	bool ok;

	if (!b)
		return NULL;
	b->specs = specs;
	b->what_count = spec_count + 1;
	b->rules = calloc(count + 1u, sizeof(*b->rules));
	b->levels = calloc(b->what_count, sizeof(*b->levels));
	b->key_hashes = calloc(b->what_count, sizeof(*b->key_hashes));
	ok = b->rules && b->levels && b->key_hashes;
	for (unsigned i = 0; ok && i < spec_count; i++)
		b->key_hashes[i + 1] = switch_key_hash(specs[i].key);
	if (ok)
		left_out = rules_choose(b, rules, count, here, now_ms, spec_count);
	ok = ok && texts_copy(b) && buckets_make(b);
	if (!ok) {
		switchboard_free(&b);
		return NULL;
	}
	summarise(b);
	if (ret_left_out)
		*ret_left_out = left_out;
	return b;
}

void switchboard_free(struct switchboard **bp)
{
	struct switchboard *b = *bp;

	*bp = NULL;
	if (!b)
		return;
	free(b->rules);
	free(b->buckets);
	free(b->chain);
	free(b->slots);
	free(b->levels);
	free(b->key_hashes);
	free(b->texts);
	free(b);
}
