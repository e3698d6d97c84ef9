/* The login defender: see policy/defender.h for what it promises, who calls it and how it is shared.
 *
 * Two tables. Triples remember the times of their last wrong passwords, as many as the limit allows in a minute: while
 * the oldest of those is younger than a minute, no further password is checked. So no minute, wherever it begins, sees
 * more than the limit. Prefixes hold a leaking count of wrong passwords over all names: above its limit, names that
 * have already failed from that prefix wait; a name with no failure there is let through, so that one guesser behind a
 * company's proxy shuts out only the names it guesses at.
 *
 * A table is set-associative: a keyed hash picks a set of WAYS slots, and when a set is full its stalest slot gives
 * way. The key is random, so nobody can choose whose slot that is.
 */
#include "policy/defender.h"

#include <stdlib.h>
#include <string.h>

enum { WAYS = 8, MINUTE_S = 60, TRIPLE_LIMIT_MAX = 32 };

struct triple {
	uint64_t tag;    /* of tenant, user and prefix; 0 = free */
	uint64_t person; /* of tenant and user alone */
	uint64_t tenant, prefix;
	uint64_t last_s;                     /* its latest failure */
	unsigned count;                      /* failures remembered, at most the limit */
	unsigned next;                       /* ring: where the next one goes */
	uint32_t failed_s[TRIPLE_LIMIT_MAX]; /* monotonic seconds: 136 years */
};

struct prefix {
	uint64_t tag; /* 0 = free */
	uint64_t prefix;
	uint64_t last_s;
	double level; /* failures, leaking at the limit per minute */
};

struct defender {
	struct defender_config cfg;
	unsigned triple_sets, prefix_sets;
	struct triple *triples;
	struct prefix *prefixes;
};

/* ---- SipHash-2-4 (Aumasson, Bernstein 2012) over words and a string; the room links nothing that has one ---- */

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
	v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

/* Never 0. */
static uint64_t keyed(const struct defender *d, uint64_t kind, uint64_t a, uint64_t b, const char *text)
{
	uint64_t v[4] = { d->cfg.key0 ^ 0x736f6d6570736575, d->cfg.key1 ^ 0x646f72616e646f6d,
			  d->cfg.key0 ^ 0x6c7967656e657261, d->cfg.key1 ^ 0x7465646279746573 };
	size_t len = text ? strlen(text) : 0;
	uint64_t hash;

	sip_word(v, kind);
	sip_word(v, a);
	sip_word(v, b);
	for (size_t at = 0; at < len; at += 8) {
		uint64_t word = 0;

		memcpy(&word, text + at, len - at < 8 ? len - at : 8);
		sip_word(v, word);
	}
	sip_word(v, len);
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		sip_round(v);
	hash = v[0] ^ v[1] ^ v[2] ^ v[3];
	return hash ? hash : 1;
}

static uint64_t person_tag(const struct defender *d, uint64_t tenant, const char *user)
{
	return keyed(d, 1, tenant, 0, user);
}

static uint64_t triple_tag(const struct defender *d, uint64_t tenant, const char *user, uint64_t prefix)
{
	return keyed(d, 2, person_tag(d, tenant, user), prefix, NULL);
}

/* ---- tables ---- */

struct defender *defender_new(const struct defender_config *cfg)
{
	struct defender *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->cfg = *cfg;
	if (!d->cfg.slots)
		d->cfg.slots = 16384;
	if (!d->cfg.triple_per_minute)
		d->cfg.triple_per_minute = 10;
	if (d->cfg.triple_per_minute > TRIPLE_LIMIT_MAX)
		d->cfg.triple_per_minute = TRIPLE_LIMIT_MAX;
	if (!d->cfg.prefix_per_minute)
		d->cfg.prefix_per_minute = 120;
	d->triple_sets = d->cfg.slots / WAYS ? d->cfg.slots / WAYS : 1;
	d->prefix_sets = d->triple_sets;
	d->triples = calloc((size_t)d->triple_sets * WAYS, sizeof(*d->triples));
	d->prefixes = calloc((size_t)d->prefix_sets * WAYS, sizeof(*d->prefixes));
	if (!d->triples || !d->prefixes)
		defender_free(&d);
	return d;
}

void defender_free(struct defender **d)
{
	if (*d) {
		free((*d)->triples);
		free((*d)->prefixes);
		free(*d);
	}
	*d = NULL;
}

static struct triple *triple_find(const struct defender *d, uint64_t tag)
{
	struct triple *set = &d->triples[tag % d->triple_sets * WAYS];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].tag == tag)
			return &set[i];
	}
	return NULL;
}

/* A slot to fill: a free one, else the stalest. */
static struct triple *triple_take(const struct defender *d, uint64_t tag)
{
	struct triple *set = &d->triples[tag % d->triple_sets * WAYS], *stalest = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (!set[i].tag)
			return &set[i];
		if (set[i].last_s < stalest->last_s)
			stalest = &set[i];
	}
	return stalest;
}

static struct prefix *prefix_find(const struct defender *d, uint64_t tag)
{
	struct prefix *set = &d->prefixes[tag % d->prefix_sets * WAYS];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].tag == tag)
			return &set[i];
	}
	return NULL;
}

static struct prefix *prefix_take(const struct defender *d, uint64_t tag)
{
	struct prefix *set = &d->prefixes[tag % d->prefix_sets * WAYS], *stalest = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (!set[i].tag)
			return &set[i];
		if (set[i].last_s < stalest->last_s)
			stalest = &set[i];
	}
	return stalest;
}

/* ---- counting ---- */

static uint64_t elapsed(uint64_t now_s, uint64_t then_s)
{
	return now_s > then_s ? now_s - then_s : 0;
}

static unsigned triple_wait(const struct defender *d, const struct triple *t, uint64_t now_s)
{
	uint64_t age_s;

	if (t->count < d->cfg.triple_per_minute)
		return 0;
	/* The ring is full, so the oldest is the one to be overwritten next. */
	age_s = elapsed(now_s, t->failed_s[t->next]);
	return age_s < MINUTE_S ? (unsigned)(MINUTE_S - age_s) : 0;
}

static void prefix_leak(const struct defender *d, struct prefix *p, uint64_t now_s)
{
	p->level -= (double)elapsed(now_s, p->last_s) * d->cfg.prefix_per_minute / MINUTE_S;
	if (p->level < 0)
		p->level = 0;
	p->last_s = now_s;
}

static unsigned prefix_wait(const struct defender *d, struct prefix *p, uint64_t now_s)
{
	double over;
	unsigned wait_s;

	prefix_leak(d, p, now_s);
	over = p->level + 1 - d->cfg.prefix_per_minute;
	if (over <= 0)
		return 0;
	wait_s = (unsigned)(over * MINUTE_S / d->cfg.prefix_per_minute) + 1;
	return wait_s > 3600 ? 3600 : wait_s;
}

unsigned defender_ask(struct defender *d, uint64_t now_s, uint64_t tenant, const char *user, uint64_t prefix)
{
	struct triple *t = triple_find(d, triple_tag(d, tenant, user, prefix));
	struct prefix *p;
	unsigned wait_s;

	if (!t)
		return 0;
	wait_s = triple_wait(d, t, now_s);
	if (wait_s)
		return wait_s;
	p = prefix_find(d, keyed(d, 3, prefix, 0, NULL));
	return p ? prefix_wait(d, p, now_s) : 0;
}

void defender_failed(struct defender *d, uint64_t now_s, uint64_t tenant, const char *user, uint64_t prefix)
{
	uint64_t tag = triple_tag(d, tenant, user, prefix), prefix_tag = keyed(d, 3, prefix, 0, NULL);
	struct triple *t = triple_find(d, tag);
	struct prefix *p = prefix_find(d, prefix_tag);

	if (!t) {
		t = triple_take(d, tag);
		*t = (struct triple){
			.tag = tag, .person = person_tag(d, tenant, user), .tenant = tenant, .prefix = prefix
		};
	}
	t->failed_s[t->next] = (uint32_t)now_s;
	t->next = (t->next + 1) % d->cfg.triple_per_minute;
	if (t->count < d->cfg.triple_per_minute)
		t->count++;
	t->last_s = now_s;
	if (!p) {
		p = prefix_take(d, prefix_tag);
		*p = (struct prefix){ .tag = prefix_tag, .prefix = prefix, .last_s = now_s };
	}
	prefix_leak(d, p, now_s);
	p->level += 1;
}

bool defender_succeeded(struct defender *d, uint64_t now_s, uint64_t tenant, const char *user, uint64_t prefix)
{
	struct triple *t = triple_find(d, triple_tag(d, tenant, user, prefix));

	(void)now_s;
	if (t)
		*t = (struct triple){ .tag = 0 };
	return t != NULL;
}

unsigned defender_clear(struct defender *d, uint64_t tenant, const char *user, uint64_t prefix)
{
	uint64_t person = user ? person_tag(d, tenant, user) : 0;
	unsigned cleared = 0;

	for (size_t i = 0; i < (size_t)d->triple_sets * WAYS; i++) {
		struct triple *t = &d->triples[i];
		bool meant = user ? t->person == person : prefix ? t->prefix == prefix : t->tenant == tenant;

		if (t->tag && meant) {
			*t = (struct triple){ .tag = 0 };
			cleared++;
		}
	}
	if (user || !prefix)
		return cleared;
	for (size_t i = 0; i < (size_t)d->prefix_sets * WAYS; i++) {
		struct prefix *p = &d->prefixes[i];

		if (p->tag && p->prefix == prefix) {
			*p = (struct prefix){ .tag = 0 };
			cleared++;
		}
	}
	return cleared;
}
