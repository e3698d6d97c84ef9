/* Calling back leases. A limit's last bytes may lie unused in the lease of a gateway that happens to have been asked before,
 * and a client is not to be refused for that: who falls short where the limit has room tells the others by an event
 * (QUOTA_CALL), and their keepers give back what is not in use (quota_called). He asks the store again and again until what he
 * needs is there, or for a second. Nothing else changes: room is granted by the store alone, so no limit is ever passed,
 * and a gateway that does not hear (it is dead, or of a release before) has its lease end by itself.
 *
 * A call in vain (the others do use it) is not made again for a while, so a limit that is nearly reached holds no workers.
 * Called by quota_lease.c, on workers. Threads: all who fall short of one account wait for one call, for seats a few. */
#include <time.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/metrics.h"
#include "core/quota_room.h"

#define FIRST_PAUSE_MS 8u
/* For room, for seats. A seat comes and goes with every request, so that a call in vain says little of the next moment; who
 * is refused one comes again by itself, and must not hold many workers until then. */
static const uint64_t wait_ms[] = { 1000, 300 }; /* the first: the longest that an event may take */
static const uint64_t vain_ms[] = { 3000, 500 };
#define WAIT_FOR_SEATS 4u /* at once */

/* The event is all of it. */
enum gh_status quota_tell_others(struct quota_account *a, struct meta_call *call)
{
	struct meta_batch b = {
		.tenant = a->tenant->id,
		.op = gh_id_new(),
		.tree_gen = UINT64_MAX,
		.rights_epoch = UINT64_MAX,
		.route_epoch = a->tenant->route_epoch,
		.lock_seen = UINT64_MAX,
		.event = { .user = a->user, .user_name = "", .what = QUOTA_CALL, .door = "internal", .path = "", .dest = "",
			   .request_id = "" },
	};

	return ASK(a->core, SERVICE_METADATA, a->tenant->id, meta_commit(a->core->meta, call, &b));
}

/* Somebody may bring it earlier. */
static void rest(struct quota_account *a, uint64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000 * GH_MS_NS);
	if (until.tv_nsec >= (long)GH_S_NS) {
		until.tv_sec++;
		until.tv_nsec -= (long)GH_S_NS;
	}
	pthread_cond_timedwait(&a->renewed, &a->lock, &until);
}

/* As long as the room is with others, and time is left. */
static enum gh_status wait_for_it(struct quota_account *a, struct quota_take *t, struct meta_call *call)
{
	const bool seat = quota_takes_seat(t);
	uint64_t until_ns = gh_mono_ns() + wait_ms[seat] * GH_MS_NS;
	bool with_others = true;

	if (call->deadline_ns && call->deadline_ns < until_ns)
		until_ns = call->deadline_ns;
	for (uint64_t pause_ms = FIRST_PAUSE_MS; with_others && gh_mono_ns() < until_ns; pause_ms *= 2) {
		rest(a, pause_ms < wait_ms[seat] / 4 ? pause_ms : wait_ms[seat] / 4);
		if (!quota_wait_at_rest(a))
			return GH_BUSY;
		if (quota_take_here(a, t))
			return GH_OK;
		const enum gh_status st = quota_renew(a, t, call, &with_others);
		if (st != GH_OK)
			return st;
		if (quota_take_here(a, t))
			return GH_OK;
	}
	if (with_others)
		a->vain_until_ns[seat] = gh_mono_ns() + vain_ms[seat] * GH_MS_NS;
	return GH_QUOTA;
}

enum gh_status quota_call_back(struct quota_account *a, struct quota_take *t, struct meta_call *call)
{
	enum gh_status st = GH_OK;

	const bool seat = quota_takes_seat(t);
	if (!meta_is_shared(a->core->meta) || gh_mono_ns() < a->vain_until_ns[seat] || (seat && a->waiting == WAIT_FOR_SEATS))
		return GH_QUOTA;
	const bool first = !a->calling;
	a->waiting += seat;
	if (first) {
		a->calling = true;
		pthread_mutex_unlock(&a->lock);
		st = quota_tell_others(a, call);
		pthread_mutex_lock(&a->lock);
	}
	if (st == GH_OK || st == GH_UNKNOWN)
		st = wait_for_it(a, t, call);
	else if (st == GH_STALE) /* the tenant is on its way to another shard */
		st = GH_BUSY;
	a->waiting -= seat;
	if (first) {
		a->calling = false;
		gh_metric_add(GH_M_QUOTA_CALLS, st != GH_OK, 1);
	}
	return st;
}
