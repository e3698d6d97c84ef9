/* See purse.h. */
#include "policy/purse.h"

#define S_NS 1000000000u

__extension__ typedef unsigned __int128 wide;

static int64_t burst_of(const struct purse_rule *r)
{
	const uint64_t b = r->burst ? r->burst : 1;
	return b > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)b;
}

/* Whole units earned since the last time; the rest is kept. Asked with every operation, and the wide division is a call:
 * nearly always the narrow one does. */
static wide earn(struct purse *p, const struct purse_rule *r, uint64_t now_ns)
{
	const uint64_t passed = now_ns - p->at_ns;
	uint64_t product, sum;

	p->at_ns = now_ns;
	if (!__builtin_mul_overflow(passed, r->per_s, &product) && !__builtin_add_overflow(product, p->rest, &sum)) {
		p->rest = sum % S_NS;
		return sum / S_NS;
	}
	const wide earned = (wide)passed * r->per_s + p->rest;
	p->rest = (uint64_t)(earned % S_NS);
	return earned / S_NS;
}

static void refill(struct purse *p, const struct purse_rule *r, uint64_t now_ns)
{
	const int64_t burst = burst_of(r);

	if (now_ns > p->at_ns) {
		const wide units = earn(p, r, now_ns);
		/* credit <= burst always, so the difference fits */
		if (units >= (wide)((uint64_t)burst - (uint64_t)p->credit))
			p->credit = burst;
		else
			p->credit += (int64_t)units;
	}
	if (p->credit >= burst) { /* full, or the rule has become smaller */
		p->credit = burst;
		p->rest = 0;
	}
}

void purse_init(struct purse *p, const struct purse_rule *r, uint64_t now_ns)
{
	*p = (struct purse){ .credit = burst_of(r), .at_ns = now_ns };
}

/* Until there are so many units; refilled already. */
static uint64_t wait_ns(const struct purse *p, const struct purse_rule *r, int64_t units)
{
	const wide want = (wide)((uint64_t)units - (uint64_t)p->credit) * S_NS - p->rest;
	const wide ns = (want + r->per_s - 1) / r->per_s;
	return ns > UINT64_MAX ? UINT64_MAX : ns ? (uint64_t)ns : 1;
}

bool purse_ask(struct purse *p, const struct purse_rule *r, uint64_t now_ns, uint64_t *ret_wait_ns)
{
	if (!r->per_s)
		return true;
	refill(p, r, now_ns);
	if (p->credit > 0)
		return true;
	*ret_wait_ns = wait_ns(p, r, 1);
	return false;
}

void purse_spend(struct purse *p, const struct purse_rule *r, uint64_t now_ns, uint64_t units)
{
	if (!r->per_s)
		return;
	refill(p, r, now_ns);
	/* Never below what a clock of ours could not bring back. */
	const int64_t floor = -(INT64_MAX / 2);
	if (units > (uint64_t)p->credit - (uint64_t)floor)
		p->credit = floor;
	else
		p->credit -= (int64_t)units;
}

void purse_return(struct purse *p, const struct purse_rule *r, uint64_t units)
{
	const int64_t burst = burst_of(r);

	if (!r->per_s)
		return;
	if (p->credit >= burst || units >= (uint64_t)burst - (uint64_t)p->credit)
		p->credit = burst;
	else
		p->credit += (int64_t)units;
}

uint64_t purse_offer(struct purse *p, const struct purse_rule *r, uint64_t now_ns, uint64_t want, uint64_t *ret_wait_ns)
{
	if (!r->per_s || !want)
		return want;
	refill(p, r, now_ns);
	/* An eighth of the purse at a time, or all that is wanted: not byte by byte. */
	uint64_t least = (uint64_t)burst_of(r) / 8;
	if (least > want)
		least = want;
	if (!least)
		least = 1;
	if (p->credit < (int64_t)least) {
		*ret_wait_ns = wait_ns(p, r, (int64_t)least);
		return 0;
	}
	return (uint64_t)p->credit < want ? (uint64_t)p->credit : want;
}
