/* The structured log: one write(2) a line, so that lines of several threads do not mix. Called by whoever owns a
 * request; any thread.
 *
 * State: the descriptor and the level. The descriptor number never changes once it is a file: reopening lays the new
 * file over the old number (dup3 is atomic), so a thread in the middle of write() is never left with a closed one.
 */
#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"

enum { LINE_MAX_BYTES = 4096 };

static _Atomic int log_fd = STDERR_FILENO;
static _Atomic int log_max = GH_LOG_INFO;
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER; /* one gh_log_open at a time */

static enum gh_status log_target(const char *path)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640) : STDERR_FILENO;
	int old = atomic_load(&log_fd);
	enum gh_status st = GH_OK;

	if (fd < 0) {
		fprintf(stderr, "cannot open log file %s: %s\n", path, strerror(errno));
		return GH_IO;
	}
	if (old == STDERR_FILENO) {
		atomic_store(&log_fd, fd);
		return GH_OK;
	}
	if (dup3(fd, old, O_CLOEXEC) < 0) {
		fprintf(stderr, "cannot reopen the log: %s\n", strerror(errno));
		st = GH_IO;
	}
	if (path)
		close(fd);
	return st;
}

enum gh_status gh_log_open(const char *path, enum gh_log_level max)
{
	enum gh_status st;

	pthread_mutex_lock(&open_lock);
	st = log_target(path);
	if (st == GH_OK)
		atomic_store(&log_max, (int)max);
	pthread_mutex_unlock(&open_lock);
	return st;
}

static const char *level_name(enum gh_log_level level)
{
	switch (level) {
	case GH_LOG_ERROR:
		return "error";
	case GH_LOG_WARN:
		return "warn";
	case GH_LOG_INFO:
		return "info";
	case GH_LOG_DEBUG:
		return "debug";
	}
	return "unknown";
}

/* "2026-01-02T03:04:05.678901Z". Our own calendar: gmtime_r takes a lock of the whole process for the time zone. The
 * days-to-date arithmetic counts years from March, so that the leap day is the last of its year. */
static void time_text(char *out, size_t size, int64_t us)
{
	int64_t s = us / GH_S_US, days = s / 86400, in_day = s % 86400;
	int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	int64_t day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
	int64_t year = yoe + era * 400 + (month <= 2);

	snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", (int)year, (int)month, (int)day,
			(int)(in_day / 3600), (int)(in_day / 60 % 60), (int)(in_day % 60), (int)(us % GH_S_US));
}

/* Whatever was formatted, a line stays one line: controls that slipped through unquoted become question marks. */
static void controls_hide(char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = '?';
}

void gh_log(enum gh_log_level level, const char *event, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES + 1], stamp[64];
	const size_t room = LINE_MAX_BYTES - 1; /* the newline */
	size_t len;
	va_list ap;
	int n;

	if ((int)level > atomic_load_explicit(&log_max, memory_order_relaxed))
		return;
	time_text(stamp, sizeof(stamp), gh_real_us());
	n = snprintf(line, room + 1, "ts=%s level=%s event=%s%s", stamp, level_name(level), event, *fmt ? " " : "");
	len = n < 0 ? 0 : (size_t)n > room ? room : (size_t)n;
	va_start(ap, fmt);
	n = vsnprintf(line + len, room + 1 - len, fmt, ap);
	va_end(ap);
	if (n > 0)
		len += (size_t)n > room - len ? room - len : (size_t)n;
	controls_hide(line, len);
	line[len++] = '\n';
	/* A log that cannot be written must not stop the service; there is nobody to tell either. */
	while (write(atomic_load_explicit(&log_fd, memory_order_relaxed), line, len) < 0 && errno == EINTR)
		;
}

/* Length of the printable UTF-8 sequence of two or more bytes at s (NUL-terminated), 0 if there is none. C1 controls
 * are not printable: terminals act on them. */
static size_t utf8_printable(const unsigned char *s)
{
	unsigned min, cp, len;

	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2, cp = s[0] & 0x1fu, min = 0xa0;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3, cp = s[0] & 0x0fu, min = 0x800;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4, cp = s[0] & 0x07u, min = 0x10000;
	else
		return 0;
	for (unsigned i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	return cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff) ? 0 : len;
}

const char *gh_log_quote(char *out, size_t size, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t len = 0, step, taken;
	char piece[8];

	if (size < 3) {
		if (size)
			out[0] = '\0';
		return out;
	}
	if (!s)
		return strcpy(out, "-");
	out[len++] = '"';
	for (; *p; p += taken, len += step) {
		taken = utf8_printable(p);
		if (taken) {
			step = taken;
			memcpy(piece, p, taken);
		} else {
			taken = 1;
			if (*p == '"' || *p == '\\')
				step = (size_t)snprintf(piece, sizeof(piece), "\\%c", *p);
			else if (*p >= 0x20 && *p < 0x7f)
				step = (size_t)snprintf(piece, sizeof(piece), "%c", *p);
			else
				step = (size_t)snprintf(piece, sizeof(piece), "\\x%02x", *p);
		}
		if (len + step + 2 > size)
			break;
		memcpy(out + len, piece, step);
	}
	out[len++] = '"';
	out[len] = '\0';
	return out;
}
