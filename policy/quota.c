/* See quota.h. */
#include "policy/quota.h"

#include <stdio.h>

#define DAY_US 86400000000ll

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t left(uint64_t of, uint64_t taken)
{
	return of > taken ? of - taken : 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t quota_stock_room(const struct quota_stock *s)
{
	return left(s->granted, sum(sum(s->spent, s->claimed), s->reserved));
}

bool quota_stock_reserve(struct quota_stock *s, uint64_t n)
{
	if (n > quota_stock_room(s))
		return false;
	s->reserved += n;
	return true;
}

void quota_stock_unreserve(struct quota_stock *s, uint64_t n)
{
	s->reserved = left(s->reserved, n);
}

bool quota_stock_claim(struct quota_stock *s, uint64_t n, uint64_t held)
{
	const uint64_t others = n <= held ? 0 : left(s->reserved, held); /* within his own he takes nobody's */

	if (n > left(s->granted, sum(sum(s->spent, s->claimed), others)))
		return false;
	quota_stock_unreserve(s, held);
	s->claimed += n;
	return true;
}

void quota_stock_settle(struct quota_stock *s, uint64_t n, bool added)
{
	s->claimed = left(s->claimed, n);
	if (added)
		s->spent = sum(s->spent, n);
}

uint64_t quota_stock_need(const struct quota_stock *s, uint64_t n)
{
	return sum(sum(s->claimed, s->reserved), n);
}

uint64_t quota_stock_mark(const struct quota_stock *s)
{
	return s->spent;
}

bool quota_stock_covers(const struct quota_stock *s, uint64_t n)
{
	return n >= s->claimed;
}

void quota_stock_granted(struct quota_stock *s, uint64_t granted, uint64_t mark)
{
	s->granted = granted;
	s->spent = left(s->spent, mark);
}

uint64_t quota_grant(const struct quota_books *b, uint64_t need, uint64_t chunk)
{
	const uint64_t room = left(b->limit, sum(b->used, b->others));

	if (need >= room)
		return room;
	return need + smaller(chunk, (room - need) / 4);
}

bool quota_lies_with_others(const struct quota_books *b, uint64_t need)
{
	return need > left(b->limit, sum(b->used, b->others)) && need <= left(b->limit, b->used);
}

uint64_t quota_prepay(uint64_t limit, uint64_t used, uint64_t need, uint64_t chunk)
{
	const struct quota_books b = { .limit = limit, .used = used };
	const uint64_t n = quota_grant(&b, need, chunk);

	return n < need ? 0 : n;
}

/* ---- months ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days since 1970-01-01 of the first of March of a year: years that begin in March have their leap day at the end. */
static int64_t march_first(int64_t year)
{
	return 365 * year + floor_div(year, 4) - floor_div(year, 100) + floor_div(year, 400) - 719468;
}

/* Where month 0 is March: 31 30 31 30 31, 31 30 31 30 31, 31 and February. */
static int64_t days_before(int64_t month)
{
	return (153 * month + 2) / 5;
}

int64_t quota_month_begin(int64_t month)
{
	const int64_t since_march = month - 2, year = floor_div(since_march, 12);

	return (march_first(year) + days_before(since_march - 12 * year)) * DAY_US;
}

int64_t quota_month_of(int64_t us)
{
	/* Within a month of it by the mean length, 30.436875 days, then exactly. */
	int64_t month = floor_div(us, 2629746000000ll) + 1970 * 12;

	while (quota_month_begin(month) > us)
		month--;
	while (quota_month_begin(month + 1) <= us)
		month++;
	return month;
}

void quota_month_text(char *out, int64_t month)
{
	const int64_t year = floor_div(month, 12);

	snprintf(out, 24, "%04lld-%02u", (long long)year, (unsigned)(month - 12 * year + 1) % 100);
}
