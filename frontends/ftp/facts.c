/* See facts.h. Own calendar arithmetic (proleptic Gregorian): no time zone, no locale, no libc state. */
#include "frontends/ftp/facts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY_S 86400
#define HALF_YEAR_S (DAY_S * 365 / 2)

struct civil {
	int64_t year;
	unsigned month, day, hour, minute, second;
};

/* Days since 1970-01-01; March is the first month, so that the leap day is the last of its year. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static struct civil civil_of(int64_t time_us)
{
	int64_t s = time_us / 1000000 - (time_us % 1000000 < 0);
	int64_t days = s / DAY_S - (s % DAY_S < 0);
	unsigned rest = (unsigned)(s - days * DAY_S);
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	struct civil c = {
		.day = doy - (153 * mp + 2) / 5 + 1,
		.month = mp < 10 ? mp + 3 : mp - 9,
		.hour = rest / 3600,
		.minute = rest / 60 % 60,
		.second = rest % 60,
	};

	c.year = (int64_t)yoe + era * 400 + (c.month <= 2);
	if (c.year < 1)
		return (struct civil){ .year = 1, .month = 1, .day = 1 };
	if (c.year > 9999)
		return (struct civil){ .year = 9999, .month = 12, .day = 31, .hour = 23, .minute = 59, .second = 59 };
	return c;
}

void ftp_time_format(char out[FTP_TIME_MAX], int64_t time_us)
{
	struct civil c = civil_of(time_us);

	snprintf(out, FTP_TIME_MAX, "%04u%02u%02u%02u%02u%02u", (unsigned)c.year % 10000u, c.month % 100u, c.day % 100u,
		 c.hour % 100u, c.minute % 100u, c.second % 100u);
}

/* n digits at p; -1 when one is none. */
static int digits(const char *p, unsigned n)
{
	int v = 0;

	for (unsigned i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

static int month_days(int year, int month)
{
	static const unsigned char days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && ((year % 4 == 0 && year % 100) || year % 400 == 0));
}

enum gh_status ftp_time_parse(const char *text, size_t len, int64_t *ret_us)
{
	int year, month, day, hour, minute, second, us = 0;

	if (len < 14)
		return GH_INVALID;
	year = digits(text, 4);
	month = digits(text + 4, 2);
	day = digits(text + 6, 2);
	hour = digits(text + 8, 2);
	minute = digits(text + 10, 2);
	second = digits(text + 12, 2);
	/* Second 60 is a leap second (RFC 3659 section 2.3): the next one, to us. */
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour < 0 || hour > 23 ||
	    minute < 0 || minute > 59 || second < 0 || second > 60)
		return GH_INVALID;
	if (len > 14) {
		int scale = 100000;

		if (text[14] != '.' || len == 15)
			return GH_INVALID;
		for (size_t i = 15; i < len; i++, scale /= 10) {
			if (text[i] < '0' || text[i] > '9')
				return GH_INVALID;
			us += scale * (text[i] - '0');
		}
	}
	*ret_us =
		(days_of(year, (unsigned)month, (unsigned)day) * DAY_S + hour * 3600 + minute * 60 + second) * 1000000 +
		us;
	return GH_OK;
}

/* What a mode can say of rights: others get what the caller has, for that is who looks. */
static unsigned mode_of(const struct vfs_node *n)
{
	unsigned mode = 0;

	if (n->type == VFS_FOLDER) {
		if (n->navigable || !(n->rights & ACL_LIST))
			return 0111;
		return n->rights & (ACL_CREATE | ACL_DELETE) ? 0755 : 0555;
	}
	if (n->rights & ACL_READ)
		mode |= 0444;
	if (n->rights & ACL_WRITE)
		mode |= 0200;
	return mode;
}

void ftp_list_line(struct gh_buf *out, const struct vfs_node *n, const char *name, int64_t now_us)
{
	static const char month[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	static const char bits[] = "rwxrwxrwx";
	unsigned mode = mode_of(n);
	struct civil c = civil_of(n->mtime_us);
	int64_t age_s = (now_us - n->mtime_us) / 1000000;
	char modes[10], when[8];

	for (unsigned i = 0; i < 9; i++)
		modes[i] = (char)(mode & 0400u >> i ? bits[i] : '-');
	modes[9] = '\0';
	if (age_s >= -DAY_S && age_s < HALF_YEAR_S)
		snprintf(when, sizeof(when), "%02u:%02u", c.hour % 100u, c.minute % 100u);
	else
		snprintf(when, sizeof(when), "%5u", (unsigned)c.year % 10000u);
	gh_buf_printf(out, "%c%s   1 ftp      ftp  %12llu %s %2u %s ", n->type == VFS_FOLDER ? 'd' : '-', modes,
		      (unsigned long long)n->size, month[c.month - 1], c.day, when);
	gh_buf_str(out, name);
	gh_buf_str(out, "\r\n");
}

/* RFC 3659 section 7.5.5. */
static void perm_add(struct gh_buf *out, const struct vfs_node *n)
{
	unsigned r = n->navigable ? 0 : n->rights;

	if (n->type == VFS_FOLDER) {
		if (r & ACL_CREATE)
			gh_buf_char(out, 'c');
		if (r & ACL_DELETE)
			gh_buf_char(out, 'd');
		gh_buf_char(out, 'e');
		if (r & ACL_DELETE)
			gh_buf_char(out, 'f');
		if (r & ACL_LIST)
			gh_buf_char(out, 'l');
		if (r & ACL_CREATE)
			gh_buf_char(out, 'm');
		if (r & ACL_DELETE)
			gh_buf_char(out, 'p');
		return;
	}
	if (r & ACL_WRITE)
		gh_buf_char(out, 'a');
	if (r & ACL_DELETE)
		gh_buf_str(out, "df");
	if (r & ACL_READ)
		gh_buf_char(out, 'r');
	if (r & ACL_WRITE)
		gh_buf_char(out, 'w');
}

void ftp_facts_line(struct gh_buf *out, const struct vfs_node *n, unsigned facts, const char *name)
{
	char when[FTP_TIME_MAX];

	if (facts & FTP_FACT_TYPE)
		gh_buf_str(out, n->type == VFS_FOLDER ? "type=dir;" : "type=file;");
	if (!n->navigable) {
		if (facts & FTP_FACT_SIZE && n->type == VFS_FILE) {
			gh_buf_str(out, "size=");
			gh_buf_u64(out, n->size);
			gh_buf_char(out, ';');
		}
		if (facts & FTP_FACT_MODIFY) {
			ftp_time_format(when, n->mtime_us);
			gh_buf_str(out, "modify=");
			gh_buf_str(out, when);
			gh_buf_char(out, ';');
		}
		if (facts & FTP_FACT_UNIQUE)
			gh_buf_printf(out, "unique=%llx;", (unsigned long long)n->id);
	}
	if (facts & FTP_FACT_PERM) {
		gh_buf_str(out, "perm=");
		perm_add(out, n);
		gh_buf_char(out, ';');
	}
	if (facts & FTP_FACT_MODE && !n->navigable)
		gh_buf_printf(out, "UNIX.mode=0%03o;", mode_of(n));
	/* Exactly one space, whatever the name begins with. */
	gh_buf_char(out, ' ');
	gh_buf_str(out, name);
}

static const struct {
	unsigned bit;
	const char *name;
} fact_names[] = {
	{ FTP_FACT_TYPE, "type" },     { FTP_FACT_SIZE, "size" }, { FTP_FACT_MODIFY, "modify" },
	{ FTP_FACT_UNIQUE, "unique" }, { FTP_FACT_PERM, "perm" }, { FTP_FACT_MODE, "UNIX.mode" },
};
#define FACT_COUNT (sizeof(fact_names) / sizeof(fact_names[0]))

void ftp_facts_feat(struct gh_buf *out, unsigned facts)
{
	for (unsigned i = 0; i < FACT_COUNT; i++)
		gh_buf_printf(out, "%s%s;", fact_names[i].name, facts & fact_names[i].bit ? "*" : "");
}

void ftp_facts_names(struct gh_buf *out, unsigned facts)
{
	for (unsigned i = 0; i < FACT_COUNT; i++)
		if (facts & fact_names[i].bit)
			gh_buf_printf(out, "%s;", fact_names[i].name);
}

unsigned ftp_facts_parse(const char *arg)
{
	unsigned facts = 0;

	while (*arg) {
		size_t len = strcspn(arg, ";");

		for (unsigned i = 0; i < FACT_COUNT; i++)
			if (strlen(fact_names[i].name) == len && !strncasecmp(arg, fact_names[i].name, len))
				facts |= fact_names[i].bit;
		arg += len + (arg[len] == ';');
	}
	return facts;
}
