/* Sessions and transfers at a time, counted in the accounts of tenant and user. The only gateway of its store lets in as
 * many as the limit says. Of several, each lets in as many as it has on lease, and asks the store for more (quota_lease.c);
 * what it asked for in vain it does not ask for again for a moment, so that who is refused costs the store nothing. */
#include "core/base/clock.h"
#include "core/quota_room.h"

#define FULL_MS 200u /* a seat that becomes free at another gateway is known here after that */

bool quota_shares(const struct quota_account *a)
{
	return meta_is_shared(a->core->meta) &&
	       (quota_has(a, QUOTA_SESSIONS) || quota_has(a, QUOTA_TRANSFERS) || quota_has(a, QUOTA_REQUESTS_S) ||
		quota_has(a, QUOTA_BYTES_S));
}

/* From the store. */
static enum gh_status lease_seat(struct quota_account *a, unsigned i, struct meta_call *call)
{
	struct quota_take t = { .seat = { [0] = i == 0, [1] = i == 1 } };
	const enum gh_status st = quota_take(a, &t, call);

	if (st == GH_QUOTA)
		atomic_store(&a->full_until_ns[i], gh_mono_ns() + FULL_MS * GH_MS_NS);
	if (st == GH_OK || st == GH_AGAIN || st == GH_QUOTA || quota_has(a, QUOTA_SESSIONS + i))
		return st;
	return seats_take(&a->seats[i]) ? GH_OK : GH_QUOTA; /* only rates rest on the lease: they stay as they were */
}

static enum gh_status seat(struct quota_account *a, unsigned i, struct meta_call *call)
{
	if (!quota_shares(a))
		return seats_take(&a->seats[i]) ? GH_OK : GH_QUOTA;
	quota_touch(a);
	if (quota_lease_lives(a) && seats_take(&a->seats[i]))
		return GH_OK;
	return gh_mono_ns() < atomic_load(&a->full_until_ns[i]) ? GH_QUOTA : lease_seat(a, i, call);
}

static void leave(struct quota_slot *s, unsigned i)
{
	for (unsigned k = 0; k < 2; k++)
		if (s->of[k])
			seats_leave(&s->of[k]->seats[i]);
	*s = (struct quota_slot){ { NULL } };
}

/* In both accounts or in none. */
static enum gh_status enter(struct vfs_work *w, const struct quota_slot *of, enum quota_kind k, enum gh_status refusal,
			    struct quota_slot *ret)
{
	struct meta_call call = work_call(w);
	const unsigned i = k - QUOTA_SESSIONS;

	*ret = (struct quota_slot){ { NULL } };
	for (unsigned n = 0; n < 2; n++) {
		const enum gh_status st = of->of[n] ? seat(of->of[n], i, w->may_block ? &call : NULL) : GH_OK;

		if (st != GH_OK) {
			leave(ret, i);
			return st == GH_QUOTA ? quota_refuse(w, refusal, of->of[n], k) : st;
		}
		ret->of[n] = of->of[n];
	}
	return GH_OK;
}

enum gh_status quota_session_begin(struct vfs_work *w, struct vfs_session *s)
{
	if (!quota_limited(s->tenant))
		return GH_OK;
	const struct quota_slot of = quota_accounts(s->tenant, s->user);
	return enter(w, &of, QUOTA_SESSIONS, GH_CROWDED, &s->counted);
}

void quota_session_end(struct vfs_session *s)
{
	quota_download_end(s);
	leave(&s->counted, 0);
}

enum gh_status quota_transfer_begin(struct vfs_work *w, struct quota_slot *slot)
{
	if (!quota_limited(w->tenant))
		return GH_OK;
	const struct quota_slot of = quota_accounts(w->tenant, w->caller.user);
	return enter(w, &of, QUOTA_TRANSFERS, GH_PACED, slot);
}

void quota_transfer_end(struct quota_slot *slot)
{
	leave(slot, 1);
}
