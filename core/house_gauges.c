/* Gauges of the house itself: its start, disk, descriptors, and whether the wall clock keeps step. The sampler's thread
 * calls; the disk and the descriptors are looked at every ten seconds. */
#include <dirent.h>
#include <sys/resource.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/house.h"
#include "core/house_gauges.h"

#define LOOK_EVERY_NS (10 * GH_S_NS)
#define JUMP_US (2 * GH_S_US)

unsigned house_descriptors_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n > 3 ? n - 3 : 0; /* ., .., and its own */
}

/* Wall clock minus monotonic clock stays what it is, unless somebody sets the clock. Slow correction of a few ms a
 * second is none. */
static void clock_look(struct house_gauges *g)
{
	const int64_t apart_us = gh_real_us() - (int64_t)(gh_mono_ns() / 1000), by_us = apart_us - g->clock_apart_us;

	if (g->started && (by_us > JUMP_US || by_us < -JUMP_US)) {
		gh_metric_add(GH_M_CLOCK_JUMPS, 0, 1);
		gh_log(GH_LOG_WARN, "clock.jumped", "by_s=%lld hint=\"the wall clock was set; see gatehouse doctor\"",
		       (long long)(by_us / GH_S_US));
	}
	g->clock_apart_us = apart_us;
}

static void disk_look(struct gh_core *c)
{
	struct blob_space space;

	if (!c->blob_ops->space || c->blob_ops->space(c->blobs, &space) != GH_OK)
		return;
	gh_metric_set(GH_M_DISK_FREE, 0, (int64_t)space.free_bytes);
	gh_metric_set(GH_M_DISK_TOTAL, 0, (int64_t)space.total_bytes);
}

static void descriptors_look(void)
{
	struct rlimit limit;

	gh_metric_set(GH_M_DESCRIPTORS, 0, house_descriptors_open());
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		gh_metric_set(GH_M_DESCRIPTORS_MAX, 0, (int64_t)limit.rlim_cur);
}

void house_gauges_look(struct gh_core *c, struct house_gauges *g)
{
	const uint64_t now = gh_mono_ns();

	clock_look(g);
	if (g->started && now < g->next_ns)
		return;
	if (!g->started)
		gh_metric_set(GH_M_STARTED, 0, gh_real_us() / GH_S_US);
	g->started = true;
	g->next_ns = now + LOOK_EVERY_NS;
	disk_look(c);
	descriptors_look();
}
