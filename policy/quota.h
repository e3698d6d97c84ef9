/* Quota by leases: how much of a limit a gateway may use up on its own, and when that ends. Pure arithmetic on plain
 * values, single-owner; books and time are arguments. core/quota.h owns accounts, locks and the store.
 *
 * A stock (bytes, files) is what is there: it rises and falls. Its limit is held by leases: the store grants a holder
 * room above what was used at that moment, while used + all living leases stay within the limit. The holder then adds
 * without asking. In his hands
 *
 *   granted >= spent + claimed      always: no commit is sent that is not covered
 *   granted >= ... + reserved       when something is reserved; a lowered limit may break it, then the claim is refused
 *
 *   reserve -> (grow) -> claim -> settle       an upload: room is kept from its begin on
 *              claim -> settle                 what knows its size only at its commit
 *
 * spent counts from the moment a grant is asked for, not from when it comes: what is settled in between may be in the
 * store's books or not, and is taken as not. What is freed is not added to a lease at all; the next grant knows of it.
 * Both err on the side of less room, until the next grant.
 *
 * A month's transfer only rises. Its chunks are paid ahead and what was not used is given back, so that a holder that
 * dies has used up too much rather than too little.
 */
#ifndef GH_POLICY_QUOTA_H
#define GH_POLICY_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#define QUOTA_NONE UINT64_MAX /* no limit */

/* One stock of one account, as one holder has it. Zero is a good start: nothing granted. */
struct quota_stock {
	uint64_t granted;  /* room above what the store had when it was asked */
	uint64_t spent;    /* added since it was asked */
	uint64_t claimed;  /* by commits under way */
	uint64_t reserved; /* by uploads under way */
};

/* What is neither spent nor spoken for. */
uint64_t quota_stock_room(const struct quota_stock *s);
/* Keeps n for later. false: not granted (any more); ask the store for quota_stock_need(s, n). */
bool quota_stock_reserve(struct quota_stock *s, uint64_t n);
void quota_stock_unreserve(struct quota_stock *s, uint64_t n);
/* n are about to be committed, by whom held of the reserved are; these go when it is true. */
bool quota_stock_claim(struct quota_stock *s, uint64_t n, uint64_t held);
/* The commit's end: it added n (or nobody knows), or nothing. */
void quota_stock_settle(struct quota_stock *s, uint64_t n, bool added);

/* What a grant has to cover for n more. */
uint64_t quota_stock_need(const struct quota_stock *s, uint64_t n);
/* A grant that is asked for now knows of all that is spent until now: pass it on with the answer. */
uint64_t quota_stock_mark(const struct quota_stock *s);
/* Does a lease of n cover the commits under way? If not (it had run out, and others took the room; or the limit was
 * lowered) it has to be a lease of another name, so that they fail, who name the old one. */
bool quota_stock_covers(const struct quota_stock *s, uint64_t n);
void quota_stock_granted(struct quota_stock *s, uint64_t granted, uint64_t mark);

/* The store's books at one moment: others, the living leases of all other holders. */
struct quota_books {
	uint64_t limit, used, others;
};
/* A lease for who needs so much: all of it, and up to chunk more, a quarter of what is left then, so that near the
 * limit leases are small; or, where there is not as much, what there is. used + others + lease <= limit, whatever
 * comes in. */
uint64_t quota_grant(const struct quota_books *b, uint64_t need, uint64_t chunk);
/* There is not as much as he needs, but there would be if others gave back what they may not be using. */
bool quota_lies_with_others(const struct quota_books *b, uint64_t need);
/* The same for what is paid ahead: all of need or nothing. */
uint64_t quota_prepay(uint64_t limit, uint64_t used, uint64_t need, uint64_t chunk);

/* ---- months, in UTC; times are microseconds since 1970 ---- */

int64_t quota_month_of(int64_t us);    /* months since year 0: comparable, and one more is the next */
int64_t quota_month_begin(int64_t month);
/* "2026-11"; out: at least 24 bytes. */
void quota_month_text(char *out, int64_t month);

#endif
