/* HTTP dates (RFC 9110 section 5.6.7): IMF-fixdate out; IMF-fixdate, RFC 850 and asctime in. Called by conditions, by
 * every file served, by services. Pure; no locale, no time zone, no allocation.
 */
#include "frontends/http/exchange.h"

#include <string.h>
#include <strings.h>

#include "core/base/clock.h"

static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct civil {
	int64_t year;
	unsigned month, day; /* 1-based */
};

/* Days since 1970-01-01 to the proleptic Gregorian calendar and back, in eras of 400 years. */
static struct civil civil_of_days(int64_t days)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	struct civil c = { .day = doy - (153 * mp + 2) / 5 + 1, .month = mp < 10 ? mp + 3 : mp - 9 };

	c.year = (int64_t)yoe + era * 400 + (c.month <= 2);
	return c;
}

static int64_t days_of_civil(struct civil c)
{
	int64_t y = c.year - (c.month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (c.month > 2 ? c.month - 3 : c.month + 9) + 2) / 5 + c.day - 1;

	return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static char *put2(char *p, unsigned v)
{
	p[0] = (char)('0' + v / 10 % 10);
	p[1] = (char)('0' + v % 10);
	return p + 2;
}

void http_date_format(char *out, int64_t time_us)
{
	int64_t s = time_us / GH_S_US - (time_us % GH_S_US < 0);
	int64_t days = s / 86400 - (s % 86400 < 0);
	unsigned sec = (unsigned)(s - days * 86400);
	struct civil c = civil_of_days(days);
	char *p = out;

	/* Four digits is all the format has. */
	if (c.year < 0)
		c.year = 0;
	if (c.year > 9999)
		c.year = 9999;
	memcpy(p, day_names[((days + 4) % 7 + 7) % 7], 3);
	memcpy(p + 3, ", ", 2);
	p = put2(p + 5, c.day);
	*p++ = ' ';
	memcpy(p, month_names[c.month - 1], 3);
	p[3] = ' ';
	p = put2(p + 4, (unsigned)c.year / 100);
	p = put2(p, (unsigned)c.year % 100);
	*p++ = ' ';
	p = put2(p, sec / 3600);
	*p++ = ':';
	p = put2(p, sec / 60 % 60);
	*p++ = ':';
	p = put2(p, sec % 60);
	memcpy(p, " GMT", 5);
}

void http_rfc3339_format(char *out, int64_t time_us)
{
	int64_t ms = time_us / 1000 - (time_us % 1000 < 0), s = ms / 1000 - (ms % 1000 < 0);
	int64_t days = s / 86400 - (s % 86400 < 0);
	unsigned sec = (unsigned)(s - days * 86400);
	struct civil c = civil_of_days(days);

	const unsigned year = (unsigned)(c.year < 0 ? 0 : c.year) % 10000, part = (unsigned)(ms - s * 1000);
	char *p = put2(put2(out, year / 100), year % 100);

	*p++ = '-';
	p = put2(p, c.month);
	*p++ = '-';
	p = put2(p, c.day);
	*p++ = 'T';
	p = put2(p, sec / 3600);
	*p++ = ':';
	p = put2(p, sec / 60 % 60);
	*p++ = ':';
	p = put2(p, sec % 60);
	*p++ = '.';
	*p++ = (char)('0' + part / 100);
	p = put2(p, part % 100);
	memcpy(p, "Z", 2);
}

/* ---- parsing: a cursor that is NULL once anything did not fit ---- */

static const char *want(const char *p, const char *literal)
{
	size_t n = strlen(literal);

	return p && !strncmp(p, literal, n) ? p + n : NULL;
}

static const char *number(const char *p, unsigned digits, unsigned *ret)
{
	unsigned v = 0;

	if (!p)
		return NULL;
	for (unsigned i = 0; i < digits; i++) {
		if (p[i] < '0' || p[i] > '9')
			return NULL;
		v = v * 10 + (unsigned)(p[i] - '0');
	}
	*ret = v;
	return p + digits;
}

static const char *month_of(const char *p, unsigned *ret)
{
	for (unsigned i = 0; p && i < 12; i++) {
		if (!strncmp(p, month_names[i], 3)) {
			*ret = i + 1;
			return p + 3;
		}
	}
	return NULL;
}

static const char *clock_of(const char *p, unsigned *ret_sec)
{
	unsigned h = 0, m = 0, s = 0;

	p = number(want(number(want(number(p, 2, &h), ":"), 2, &m), ":"), 2, &s);
	if (!p || h > 23 || m > 59 || s > 60) /* 60: a leap second */
		return NULL;
	*ret_sec = h * 3600 + m * 60 + s;
	return p;
}

static bool is_day_name(const char *p, size_t len)
{
	static const char *const longs[7] = { "Sunday", "Monday", "Tuesday", "Wednesday",
					      "Thursday", "Friday", "Saturday" };

	for (int i = 0; i < 7; i++)
		if ((len == 3 && !memcmp(p, day_names[i], 3)) ||
		    (len == strlen(longs[i]) && !memcmp(p, longs[i], len)))
			return true;
	return false;
}

/* RFC 9110 section 5.6.7: a two-digit year more than 50 years ahead is one in the past. */
static int64_t full_year(unsigned yy)
{
	struct civil now = civil_of_days(gh_real_us() / GH_S_US / 86400);
	int64_t y = now.year / 100 * 100 + yy;

	return y > now.year + 50 ? y - 100 : y;
}

bool http_date_parse(const char *text, int64_t *ret_us)
{
	size_t word = strcspn(text, ", ");
	unsigned day = 0, month = 0, year = 0, yy = 0, sec = 0;
	const char *p = text + word, *end;
	struct civil c;

	if (!is_day_name(text, word))
		return false;
	if (*p == ',' && word == 3) {
		p = want(month_of(want(number(want(p, ", "), 2, &day), " "), &month), " ");
		end = want(clock_of(want(number(p, 4, &year), " "), &sec), " GMT");
		c.year = year;
	} else if (*p == ',') {
		p = want(month_of(want(number(want(p, ", "), 2, &day), "-"), &month), "-");
		end = want(clock_of(want(number(p, 2, &yy), " "), &sec), " GMT");
		c.year = end ? full_year(yy) : 0;
	} else {
		p = want(month_of(want(p, " "), &month), " ");
		p = p && *p == ' ' ? number(p + 1, 1, &day) : number(p, 2, &day);
		end = number(want(clock_of(want(p, " "), &sec), " "), 4, &year);
		c.year = year;
	}
	if (!end || *end || day < 1 || day > 31)
		return false;
	c.month = month;
	c.day = day;
	/* 31 February would come back as another day. */
	if (civil_of_days(days_of_civil(c)).day != day)
		return false;
	*ret_us = (days_of_civil(c) * 86400 + sec) * GH_S_US;
	return true;
}
