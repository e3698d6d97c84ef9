/* Limits of tenants and users at run time: bytes, files, sessions, transfers at a time, requests a second, bytes a
 * second, transfer in a month. policy/quota.h has the arithmetic of leases; here are accounts, who asks them, and when
 * the store is asked for more.
 *
 * What is unlimited costs one load: a tenant without any limit, of its own or of a user, has no book.
 *
 *   upload   begin  quota_hold_begin  reserves what is declared (less what it replaces)       loop, or worker to lease
 *            push   quota_hold_grow   reserves as bytes come, where nothing was declared      loop; GH_AGAIN: quota_hold_lease
 *            commit quota_claim       the real difference, in change_commit; the batch names the leases
 *                   quota_settle      done, or nothing happened
 *            end    quota_hold_end    what was reserved and not committed; month: what did not come
 *   others   quota_claim and quota_settle alone: copy, move onto another's file, a lock that makes a file
 *
 * What counts: the content of files as the tree shows them (once for each copy, though blobs are shared), and what is
 * in the trash until upkeep has emptied it. Folders, properties and locks count nothing. A user's account has what the
 * user's files hold, whoever wrote them: the owner is who made the file.
 *
 * Sessions and transfers take seats (quota_seats.h). Where gateways share the store, seats and the division of rates
 * rest on the same lease: what a loop has none of is asked for on a worker, before anything else is counted.
 *
 * Exact: a batch that adds is committed only under a claim, a claim only under a lease that the batch names and the
 * store looks at. Setting a limit raises the tenant's rights epoch, so that no batch decided without it gets through.
 *
 * Threads: everything may be called from any thread. An account's numbers are under its mutex, held for a few
 * instructions, never over a call of the store; `renewing` says that somebody is at the store for it: claims wait for
 * that, on workers. Seats are one atomic word each. Accounts live until the house closes.
 */
#ifndef GH_CORE_QUOTA_H
#define GH_CORE_QUOTA_H

#include <stdatomic.h>

#include "core/meta.h"
#include "policy/purse.h"

struct gh_core;
struct tenant;
struct change;
struct vfs_work;
struct vfs_session;
struct vfs_upload;
struct share_transfer;
struct quota;
struct quota_account;

enum quota_kind {
	QUOTA_BYTES, QUOTA_FILES, QUOTA_SESSIONS, QUOTA_TRANSFERS, QUOTA_REQUESTS_S, QUOTA_BYTES_S, QUOTA_MONTH_BYTES,
	QUOTA_KINDS
};
extern const char *const quota_kind_names[QUOTA_KINDS]; /* "bytes" ... "month_bytes" */

/* QUOTA_NONE (policy/quota.h) where there is none. */
struct quota_limits {
	uint64_t of[QUOTA_KINDS];
};

/* ---- the house's ---- */

GH_MUST_CHECK enum gh_status quota_new(uint32_t lease_ms, struct quota **ret);
GH_MUST_CHECK enum gh_status quota_load(struct gh_core *c);  /* settings; blocking, before the house opens */
/* Again, after another gateway has changed something: limits that are no more end. Blocking. */
GH_MUST_CHECK enum gh_status quota_reload(struct gh_core *c);
GH_MUST_CHECK enum gh_status quota_start(struct gh_core *c); /* the keeper: keeps leases in use alive, gives back idle ones and those called back */
/* Another gateway needs room that may lie idle here: an event of that name, with the account's user, 0: the tenant's own.
 * Never blocks; the keeper gives back. */
#define QUOTA_CALL "quota.call"
void quota_called(struct gh_core *c, struct tenant *t, uint64_t user);
void quota_stop(struct gh_core *c);  /* gives everything back that is not in use */
void quota_free(struct quota **q);   /* before the tenants: accounts name theirs */

/* ---- sessions and requests ----
 * A session is an FTP login, or a request of HTTP while it runs. A request is one of HTTP, or a command of FTP that asks
 * the core. Counted from when a limit is set. On refusal: status, message, retry_after_s of w. Begin, and that of a
 * transfer: GH_AGAIN on a loop that would have to ask the store. */
GH_MUST_CHECK enum gh_status quota_session_begin(struct vfs_work *w, struct vfs_session *s);
void quota_session_end(struct vfs_session *s);
GH_MUST_CHECK enum gh_status quota_request(struct vfs_work *w, struct vfs_session *s);

/* ---- transfers ---- */

/* Two of everything: the tenant's account and the owner's. NULL where there is none. Zero is a good start. */
struct quota_slot {
	struct quota_account *of[2];
};
/* One more at a time; end accepts what was never begun. */
GH_MUST_CHECK enum gh_status quota_transfer_begin(struct vfs_work *w, struct quota_slot *slot);
void quota_transfer_end(struct quota_slot *slot);

/* How much of want a user with a rate may move now; 0: *ret_wait_ms. What was given and not moved goes back. user NULL:
 * no limit. */
struct quota_account *quota_rated(struct tenant *t, uint64_t user);
uint64_t quota_rate_offer(struct quota_account *a, uint64_t want, bool whole, unsigned *ret_wait_ms);
void quota_rate_return(struct quota_account *a, uint64_t n);

/* A download of so much is going to begin: it is paid ahead from the month of tenant and user. GH_AGAIN on a loop that
 * would have to ask the store. */
GH_MUST_CHECK enum gh_status quota_download(struct vfs_work *w, uint64_t bytes);
void quota_sent(struct vfs_session *s, uint64_t bytes); /* of it */
void quota_download_end(struct vfs_session *s);         /* what was not sent goes back */

/* ---- uploads ---- */

struct quota_hold {
	struct quota_account *of[2];    /* bytes, files: the tenant's, the owner's */
	struct quota_account *payer[2]; /* month: the tenant's, the sender's */
	uint64_t bytes[2], files[2];    /* reserved */
	uint64_t credit;                /* bytes that it frees when it is committed */
	int64_t month;
	uint64_t paid; /* in that month */
	const char *refusal; /* of a lease, and the bytes that were left; NULL: none */
	uint64_t left;
};
/* frees: bytes of what it replaces; owner: whose it is or will be. */
struct quota_wish {
	uint64_t owner, bytes, frees;
	bool makes_file;
};
GH_MUST_CHECK enum gh_status quota_hold_begin(struct vfs_work *w, const struct quota_wish *wish, struct quota_hold *h);
/* total: bytes of it so far, with those that come now. GH_AGAIN: quota_hold_lease, on a worker, then again. */
GH_MUST_CHECK enum gh_status quota_hold_grow(struct quota_hold *h, uint64_t total);
/* words: where a refusal's are kept. */
GH_MUST_CHECK enum gh_status quota_hold_lease(struct gh_core *c, struct quota_hold *h, uint64_t total,
					      struct gh_arena *words);
void quota_hold_end(struct quota_hold *h, uint64_t came);

/* ---- commits (change.c) ---- */

struct quota_claims {
	unsigned count;
	struct quota_claim {
		struct quota_account *of;
		uint64_t bytes, files;
		uint64_t *held_bytes, *held_files; /* of the upload's hold; NULL */
	} claims[META_LEASES_MAX];
};
/* For what the batch adds; names the leases in it. GH_QUOTA. Worker. */
GH_MUST_CHECK enum gh_status quota_claim(struct change *ch, struct quota_claims *ret);
/* st: the commit's. GH_STALE may mean that a lease had ended unseen: it is asked for anew next time. */
void quota_settle(struct quota_claims *k, enum gh_status st);

/* ---- to be looked at, and set ---- */

bool quota_limited(const struct tenant *t); /* the tenant, or any user of it */
/* Room for this user now, by its own and its tenant's limits; UINT64_MAX: no limit. Blocking. */
struct quota_view {
	uint64_t used_bytes, used_files, free_bytes, free_files;
};
GH_MUST_CHECK enum gh_status quota_look(struct gh_core *c, struct meta_call *call, struct tenant *t, uint64_t user,
					struct quota_view *ret);

struct quota_limits quota_limits_of(struct tenant *t, uint64_t user); /* user 0: the tenant's own */
/* In memory. Tighter limits are set before the setting is committed, wider ones after it. GH_NOMEM. */
GH_MUST_CHECK enum gh_status quota_limits_set(struct gh_core *c, struct tenant *t, uint64_t user,
					      const struct quota_limits *l);
/* The user is gone, and its limits with it. */
void quota_user_gone(struct tenant *t, uint64_t user);
struct quota_figures {
	uint64_t leased_bytes, leased_files, month_left; /* granted and not spent; paid ahead and not used */
	uint64_t sessions, transfers;
};
struct quota_figures quota_figures(struct tenant *t, uint64_t user);
/* Users of the tenant that have an account. */
void quota_users_each(struct tenant *t, void (*fn)(uint64_t user, void *arg), void *arg);

#endif
