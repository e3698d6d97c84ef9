/* The checks of doctor.h. */
#include "core/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/id.h"

#define MIB (1024.0 * 1024)
#define SYNCS 3
#define SYNC_WARN_US 50000
#define SYNC_FAIL_US 1000000
#define SKEW_US (2 * GH_S_US)
#define RELEASED_S 1735689600 /* 2025-01-01: a clock before this is not set */

void doctor_say(json_t *items, const char *check, enum doctor_level level, const char *remedy, const char *fmt, ...)
{
	static const char *const names[] = { [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail" };
	char says[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(says, sizeof(says), fmt, ap);
	va_end(ap);
	json_array_append_new(items, json_pack("{s:s, s:b, s:s, s:s, s:s}", "check", check, "ok", level != DOCTOR_FAIL,
					       "level", names[level], "says", says, "do",
					       level != DOCTOR_OK && remedy ? remedy : ""));
}

/* ---- judgements ---- */

enum doctor_level doctor_judge_space(uint64_t free_bytes, uint64_t total_bytes)
{
	const double share = total_bytes ? (double)free_bytes / (double)total_bytes : 0;

	if ((double)free_bytes < 256 * MIB || share < 0.01)
		return DOCTOR_FAIL;
	return (double)free_bytes < 2048 * MIB || share < 0.1 ? DOCTOR_WARN : DOCTOR_OK;
}

enum doctor_level doctor_judge_inodes(uint64_t free_count, uint64_t total)
{
	if (!total) /* a file system that does not count them */
		return DOCTOR_OK;
	if (free_count < 1000 || free_count < total / 100)
		return DOCTOR_FAIL;
	return free_count < 10000 || free_count < total / 20 ? DOCTOR_WARN : DOCTOR_OK;
}

enum doctor_level doctor_judge_sync(uint64_t median_us)
{
	return median_us > SYNC_FAIL_US ? DOCTOR_FAIL : median_us > SYNC_WARN_US ? DOCTOR_WARN : DOCTOR_OK;
}

enum doctor_level doctor_judge_descriptors(uint64_t limit, uint64_t used)
{
	if (limit < 256 || used + 64 > limit)
		return DOCTOR_FAIL;
	return limit < 4096 || used > limit / 10 * 8 ? DOCTOR_WARN : DOCTOR_OK;
}

/* ---- disk ---- */

static void disk_space(json_t *items, const char *folder)
{
	struct statvfs v;

	if (statvfs(folder, &v)) {
		doctor_say(items, "disk.space", DOCTOR_FAIL, "look at the file system", "%s: %s", folder, strerror(errno));
		return;
	}
	const uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize, total = (uint64_t)v.f_blocks * v.f_frsize;

	doctor_say(items, "disk.space", doctor_judge_space(free_bytes, total),
		   "make room or grow the file system: when it is full every upload is refused with 507",
		   "%s: %.0f MiB of %.0f MiB free (%.0f %%)", folder, (double)free_bytes / MIB, (double)total / MIB,
		   total ? (double)free_bytes * 100 / (double)total : 0.0);
	doctor_say(items, "disk.inodes", doctor_judge_inodes(v.f_favail, v.f_files),
		   "files larger than a pack takes need one each: make room, or a file system with more of them",
		   v.f_files ? "%s: %llu of %llu inodes free" : "%s: the file system does not count inodes", folder,
		   (unsigned long long)v.f_favail, (unsigned long long)v.f_files);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void file_clock(json_t *items, int fd)
{
	const int64_t now = gh_real_us();
	struct stat sb;

	if (fstat(fd, &sb))
		return;
	const int64_t file = (int64_t)sb.st_mtim.tv_sec * GH_S_US + sb.st_mtim.tv_nsec / 1000, apart = now - file;

	doctor_say(items, "clock.files", apart > SKEW_US || apart < -SKEW_US ? DOCTOR_WARN : DOCTOR_OK,
		   "the file system's server has another time: let both keep theirs by NTP",
		   "the file system's clock and ours are %.1f s apart", (double)(apart < 0 ? -apart : apart) / 1e6);
}

/* The median of a few; UINT64_MAX: it failed, errno says why. */
static uint64_t syncs_time(int fd)
{
	uint64_t took[SYNCS];
	char block[4096] = "gatehouse doctor\n";

	for (unsigned i = 0; i < SYNCS; i++) {
		const uint64_t start = gh_mono_ns();

		if (pwrite(fd, block, sizeof(block), (off_t)(i * sizeof(block))) != sizeof(block) || fdatasync(fd))
			return UINT64_MAX;
		took[i] = (gh_mono_ns() - start) / 1000;
	}
	qsort(took, SYNCS, sizeof(took[0]), by_size);
	return took[SYNCS / 2];
}

static void disk_write(json_t *items, const char *folder)
{
	char path[4200];
	uint64_t us;
	int fd;

	snprintf(path, sizeof(path), "%.4096s/doctor-XXXXXX", folder);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path); /* whatever happens next, nothing stays behind */
	us = fd < 0 ? UINT64_MAX : syncs_time(fd);
	if (us == UINT64_MAX) {
		const char *remedy = errno == EROFS ? "mount it writable; the kernel does this after an I/O error: look at dmesg" :
				     errno == ENOSPC || errno == EDQUOT ? "make room" :
				     "give the folder to the user that serves it";

		doctor_say(items, "disk.write", DOCTOR_FAIL, remedy, "%s: a file cannot be written: %s", folder, strerror(errno));
	} else {
		doctor_say(items, "disk.write", doctor_judge_sync(us),
			   "every upload waits for this: look for other work on the disk, a worn disk, or a slow network file system",
			   "%s: writing and syncing 4 KiB takes %.2f ms", folder, (double)us / 1000);
		file_clock(items, fd);
	}
	if (fd >= 0)
		close(fd);
}

void doctor_disk(json_t *items, const char *folder)
{
	disk_space(items, folder);
	disk_write(items, folder);
}

/* ---- clocks ---- */

void doctor_clock(json_t *items)
{
	struct timex t = { 0 };
	const int64_t now_s = gh_real_us() / GH_S_US;
	const int state = adjtimex(&t);

	if (now_s < RELEASED_S)
		doctor_say(items, "clock", DOCTOR_FAIL, "set the clock: times of files, expiry of rights and tokens depend on it",
			   "the wall clock says a time before this program was made");
	else if (state < 0)
		doctor_say(items, "clock", DOCTOR_OK, NULL, "the wall clock is plausible; the kernel does not tell who keeps it");
	else
		doctor_say(items, "clock", t.status & STA_UNSYNC ? DOCTOR_WARN : DOCTOR_OK,
			   "let chrony or systemd-timesyncd keep the clock", t.status & STA_UNSYNC ?
			   "the wall clock is plausible, but nobody keeps it by NTP" : "the wall clock is kept by NTP");
}

void doctor_newest_id(json_t *items, uint64_t id)
{
	const int64_t ahead_us = id ? gh_id_time_us(id) - gh_real_us() : 0;

	if (ahead_us > SKEW_US)
		doctor_say(items, "clock.database", DOCTOR_FAIL,
			   "the clock was set back, or was ahead before: set it right; ids count on meanwhile, but expiries are late",
			   "the newest entry of the database is %.0f s in the future", (double)ahead_us / 1e6);
	else
		doctor_say(items, "clock.database", DOCTOR_OK, NULL, "no entry of the database is in the future");
}

/* ---- the process ---- */

void doctor_descriptors(json_t *items, unsigned used)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	/* serve raises the soft limit to the hard one. */
	const uint64_t limit = r.rlim_max == RLIM_INFINITY ? 1u << 20 : r.rlim_max;
	char now[40] = "";

	if (used)
		snprintf(now, sizeof(now), ", %u are open", used);
	doctor_say(items, "descriptors", doctor_judge_descriptors(limit, used),
		   "raise LimitNOFILE= in the unit, or ulimit -n: each connection and each open file needs one",
		   "at most %llu descriptors%s", (unsigned long long)limit, now);
}

void doctor_certificates(json_t *items)
{
	doctor_say(items, "certificates", DOCTOR_OK, NULL, "there are none: every listener speaks clear text");
}
