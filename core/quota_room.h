/* The inside of quota*.c: accounts and how something is taken from one. See quota.h. */
#ifndef GH_CORE_QUOTA_ROOM_H
#define GH_CORE_QUOTA_ROOM_H

#include <pthread.h>

#include "core/base/clock.h"
#include "core/house.h"
#include "core/quota.h"
#include "core/quota_seats.h"
#include "policy/quota.h"

#define QUOTA_BUCKETS 256u
#define QUOTA_STOCKS 2 /* QUOTA_BYTES, QUOTA_FILES */
#define QUOTA_SEATS 2  /* QUOTA_SESSIONS, QUOTA_TRANSFERS: in this order */

struct quota_rate {
	atomic_flag lock; /* held for a few instructions */
	bool begun;
	struct purse purse;
};

struct quota_account {
	struct quota_account *_Atomic next_user; /* in its bucket */
	struct quota_account *next_all;
	struct gh_core *core;
	struct tenant *tenant;
	uint64_t user; /* 0: the tenant's own */
	_Atomic uint64_t limit[QUOTA_KINDS];
	struct quota_seats seats[QUOTA_SEATS];
	_Atomic uint64_t full_until_ns[QUOTA_SEATS]; /* there were none at the store: before that it is not asked again */
	struct quota_rate requests, bytes;
	_Atomic uint64_t gateways; /* that share its rates, with this one: at least 1 */

	atomic_bool called; /* another gateway needs what is not in use here: the keeper's to see to */
	atomic_bool used;   /* since the keeper looked */
	_Atomic uint64_t until_ns; /* monotonic, some time before the store lets the lease end; 0: there is none */

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t renewed;
	bool renewing; /* somebody is at the store for it */
	bool stored;   /* quota_reload has met it */
	bool calling;  /* somebody has called back what others hold, and waits for it */
	unsigned waiting; /* so many who need a seat wait for that */
	uint64_t vain_until_ns[2]; /* a call was in vain, for room, for seats: none before that */
	uint64_t lease; /* its name; 0: none */
	struct quota_stock stock[QUOTA_STOCKS];
	int64_t month;
	uint64_t month_left; /* paid ahead in that month, not used yet */
};

/* Of one tenant; made with its first limit. Chains only grow at their heads. */
struct quota_book {
	struct quota_account *own;
	struct quota_account *_Atomic users[QUOTA_BUCKETS];
};

struct quota {
	uint32_t lease_ms;
	pthread_mutex_t lock; /* over making books and accounts, and the keeper's state */
	pthread_cond_t wake;
	struct quota_account *_Atomic all; /* grows at its head */
	pthread_t keeper;
	bool running, stop;
	bool called; /* an account is */
};

static inline bool quota_has(const struct quota_account *a, enum quota_kind k)
{
	return a && atomic_load_explicit(&a->limit[k], memory_order_relaxed) != QUOTA_NONE;
}

/* Its seats and rates are shared with other gateways, and so rest on a lease. The only gateway of its store has all of
 * them, and needs none. */
bool quota_shares(const struct quota_account *a);
static inline bool quota_lease_lives(const struct quota_account *a)
{
	return atomic_load_explicit(&a->until_ns, memory_order_relaxed) > gh_mono_ns();
}
static inline void quota_touch(struct quota_account *a)
{
	if (!atomic_load_explicit(&a->used, memory_order_relaxed))
		atomic_store_explicit(&a->used, true, memory_order_relaxed);
}

/* The tenant's account and the user's; NULL where there is none. */
struct quota_slot quota_accounts(struct tenant *t, uint64_t user);

/* ---- quota_lease.c ---- */

/* What is wanted of an account, all or nothing. */
struct quota_take {
	uint64_t n[QUOTA_STOCKS]; /* of stocks without a limit nothing is taken: 0 afterwards */
	bool claim;               /* rather than reserve; from: */
	uint64_t *held[QUOTA_STOCKS]; /* NULL: nothing was */
	uint64_t month;
	bool seat[QUOTA_SEATS];
	enum quota_kind missing; /* result of a refusal */
	uint64_t lease;          /* result of a claim: what it rests on */
};
/* GH_OK; GH_QUOTA; GH_AGAIN: the store has to be asked, and call is NULL; GH_BUSY: somebody is there for too long; else
 * the store's. */
GH_MUST_CHECK enum gh_status quota_take(struct quota_account *a, struct quota_take *t, struct meta_call *call);
void quota_month_return(struct quota_account *a, int64_t month, uint64_t n);
int64_t quota_month_now(void);
/* One look at an account: its lease is made longer, or given back. */
void quota_keep(struct quota_account *a, struct gh_arena *arena, bool all_back);
/* What is not in use goes back to the store now, because another gateway asks for it. */
void quota_give_back(struct quota_account *a, struct gh_arena *arena);
/* Locked at both ends, not in between. The store is asked for room for more; NULL: what is not in use goes back.
 * ret_with_others: the limit has room for it, in leases of other gateways; NULL: no matter. */
GH_MUST_CHECK enum gh_status quota_renew(struct quota_account *a, const struct quota_take *more, struct meta_call *call,
					 bool *ret_with_others);
static inline bool quota_takes_seat(const struct quota_take *t)
{
	return t->seat[0] || t->seat[1];
}
/* Takes what has been granted. Locked. */
GH_MUST_CHECK bool quota_take_here(struct quota_account *a, struct quota_take *t);
/* Until nobody is at the store for it. Locked. false: that takes too long; a store that hangs for one must not hold the
 * workers of all who wait for it. */
GH_MUST_CHECK bool quota_wait_at_rest(struct quota_account *a);

/* ---- quota_call.c ---- */

/* The room is there, but leased to other gateways: it is called back, waited for, and taken. Locked at both ends, not in
 * between; blocks for a second at most. GH_OK, GH_QUOTA, or the store's. */
GH_MUST_CHECK enum gh_status quota_call_back(struct quota_account *a, struct quota_take *t, struct meta_call *call);

/* The others look at their leases, and at how many gateways there are. Not locked. */
GH_MUST_CHECK enum gh_status quota_tell_others(struct quota_account *a, struct meta_call *call);

/* ---- quota_count.c ---- */

/* The tenant's bytes a second, for this gateway, where they are metered. */
void quota_rate_enter(struct quota_account *a);
/* Why not, of a stock or a month; in the arena. ret_left: of bytes or files. */
const char *quota_words(struct gh_arena *arena, struct quota_account *a, enum quota_kind k, uint64_t *ret_left);
/* The refusal's words into the request. */
enum gh_status quota_refuse(struct vfs_work *w, enum gh_status st, struct quota_account *a, enum quota_kind k);

#endif
