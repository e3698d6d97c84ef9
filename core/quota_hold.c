/* Uploads and commits: room is kept from the begin on, and claimed for what a batch really adds. See quota.h. */
#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/change.h"
#include "core/quota_room.h"
#include "core/upload.h"

/* ---- uploads ---- */

/* Reserves up to so much in all; *ret_short: which account has not got it. */
static enum gh_status reserve(struct quota_hold *h, uint64_t bytes, uint64_t files, struct meta_call *call,
			      struct quota_account **ret_short, enum quota_kind *ret_kind)
{
	for (unsigned i = 0; i < 2; i++) {
		struct quota_take t = { .n = { bytes > h->bytes[i] ? bytes - h->bytes[i] : 0,
					       files > h->files[i] ? files - h->files[i] : 0 } };

		if (!h->of[i] || (!t.n[0] && !t.n[1]))
			continue;
		const enum gh_status st = quota_take(h->of[i], &t, call);
		if (st != GH_OK) {
			*ret_short = h->of[i];
			*ret_kind = t.missing;
			return st;
		}
		h->bytes[i] += t.n[QUOTA_BYTES];
		h->files[i] += t.n[QUOTA_FILES];
	}
	return GH_OK;
}

/* Pays for so much in all, of both or of none. */
static enum gh_status pay(struct quota_hold *h, uint64_t total, struct meta_call *call,
			  struct quota_account **ret_short)
{
	struct quota_take t = { .month = total > h->paid ? total - h->paid : 0 };

	for (unsigned i = 0; i < 2 && t.month; i++) {
		const enum gh_status st = h->payer[i] ? quota_take(h->payer[i], &t, call) : GH_OK;
		if (st != GH_OK) {
			if (i && h->payer[0])
				quota_month_return(h->payer[0], quota_month_now(), t.month);
			*ret_short = h->payer[i];
			return st;
		}
	}
	h->paid += t.month;
	return GH_OK;
}

static uint64_t adds(const struct quota_hold *h, uint64_t total)
{
	return total > h->credit ? total - h->credit : 0;
}

enum gh_status quota_hold_begin(struct vfs_work *w, const struct quota_wish *wish, struct quota_hold *h)
{
	struct meta_call call = work_call(w), *may = w->may_block ? &call : NULL;
	struct quota_account *lacks;
	enum quota_kind kind = QUOTA_MONTH_BYTES;

	*h = (struct quota_hold){ .credit = wish->frees, .month = quota_month_now() };
	if (!quota_limited(w->tenant))
		return GH_OK;
	const struct quota_slot owner = quota_accounts(w->tenant, wish->owner);
	const struct quota_slot sender = quota_accounts(w->tenant, w->caller.user);
	for (unsigned i = 0; i < 2; i++) {
		h->of[i] = owner.of[i];
		h->payer[i] = quota_has(sender.of[i], QUOTA_MONTH_BYTES) ? sender.of[i] : NULL;
	}
	enum gh_status st = reserve(h, adds(h, wish->bytes), wish->makes_file, may, &lacks, &kind);
	if (st == GH_OK) {
		kind = QUOTA_MONTH_BYTES;
		st = pay(h, wish->bytes, may, &lacks);
	}
	if (st == GH_OK)
		return st;
	quota_hold_end(h, 0);
	return st == GH_QUOTA ? quota_refuse(w, st, lacks, kind) : st;
}

enum gh_status quota_hold_grow(struct quota_hold *h, uint64_t total)
{
	struct quota_account *lacks;
	enum quota_kind kind;
	const enum gh_status st = reserve(h, adds(h, total), 0, NULL, &lacks, &kind);

	return st == GH_OK ? pay(h, total, NULL, &lacks) : st;
}

enum gh_status quota_hold_lease(struct gh_core *c, struct quota_hold *h, uint64_t total, struct gh_arena *words)
{
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct meta_call call = { .arena = a, .op = "quota", .deadline_ns = gh_mono_ns() + 60 * GH_S_NS };
	struct quota_account *lacks;
	enum quota_kind kind = QUOTA_MONTH_BYTES;

	if (!a)
		return GH_NOMEM;
	enum gh_status st = reserve(h, adds(h, total), 0, &call, &lacks, &kind);
	if (st == GH_OK)
		st = pay(h, total, &call, &lacks);
	gh_arena_free(&a);
	if (st == GH_QUOTA) {
		gh_metric_add(GH_M_QUOTA_REFUSED, kind, 1);
		h->refusal = quota_words(words, lacks, kind, &h->left);
		if (kind != QUOTA_BYTES)
			h->left = UINT64_MAX;
	}
	return st;
}

void quota_hold_end(struct quota_hold *h, uint64_t came)
{
	for (unsigned i = 0; i < 2; i++) {
		struct quota_account *a = h->of[i];

		if (a && (h->bytes[i] || h->files[i])) {
			pthread_mutex_lock(&a->lock);
			quota_stock_unreserve(&a->stock[QUOTA_BYTES], h->bytes[i]);
			quota_stock_unreserve(&a->stock[QUOTA_FILES], h->files[i]);
			pthread_mutex_unlock(&a->lock);
		}
		if (h->payer[i] && h->paid > came)
			quota_month_return(h->payer[i], h->month,
					   h->paid - came); /* of a past month nothing is worth anything */
	}
	*h = (struct quota_hold){ .credit = 0 };
}

/* ---- commits ---- */

static void claim_held(struct quota_take *t, struct vfs_upload *u, const struct quota_account *a)
{
	for (unsigned i = 0; u && i < 2; i++)
		if (u->hold.of[i] == a) {
			t->held[QUOTA_BYTES] = &u->hold.bytes[i];
			t->held[QUOTA_FILES] = &u->hold.files[i];
		}
}

static enum gh_status claim(struct change *ch, struct quota_claims *k, struct quota_account *a, int64_t bytes,
			    int64_t files)
{
	struct quota_take t = { .claim = true,
				.n = { bytes > 0 ? (uint64_t)bytes : 0, files > 0 ? (uint64_t)files : 0 } };
	struct meta_call call = work_call(ch->w);

	if (!a || (!t.n[QUOTA_BYTES] && !t.n[QUOTA_FILES]))
		return GH_OK;
	claim_held(&t, ch->w->upload, a);
	const enum gh_status st = quota_take(a, &t, &call);
	if (st != GH_OK)
		return st == GH_QUOTA ? quota_refuse(ch->w, st, a, t.missing) : st;
	if (!t.n[QUOTA_BYTES] && !t.n[QUOTA_FILES])
		return GH_OK;                  /* no limit on any of it */
	GH_ASSERT(k->count < META_LEASES_MAX); /* the tenant, and at most two who get something */
	k->claims[k->count++] =
		(struct quota_claim){ a, t.n[QUOTA_BYTES], t.n[QUOTA_FILES], t.held[QUOTA_BYTES], t.held[QUOTA_FILES] };
	ch->batch.leases[ch->batch.lease_count++] = t.lease;
	return GH_OK;
}

enum gh_status quota_claim(struct change *ch, struct quota_claims *ret)
{
	struct meta_batch *b = &ch->batch;

	*ret = (struct quota_claims){ .count = 0 };
	b->lease_count = 0;
	if (!quota_limited(ch->w->tenant)) {
		b->owned_count = 0; /* nobody keeps sums */
		return GH_OK;
	}
	enum gh_status st = claim(ch, ret, quota_accounts(ch->w->tenant, 0).of[0], b->event.bytes, b->event.files);
	for (unsigned i = 0; st == GH_OK && i < b->owned_count; i++)
		st = claim(ch, ret, quota_accounts(ch->w->tenant, b->owned[i].user).of[1], b->owned[i].bytes,
			   b->owned[i].files);
	if (st != GH_OK)
		quota_settle(ret, st);
	return st;
}

void quota_settle(struct quota_claims *k, enum gh_status st)
{
	const bool added = st == GH_OK || st == GH_UNKNOWN;

	for (unsigned i = 0; i < k->count; i++) {
		struct quota_claim *c = &k->claims[i];

		pthread_mutex_lock(&c->of->lock);
		quota_stock_settle(&c->of->stock[QUOTA_BYTES], c->bytes, added);
		quota_stock_settle(&c->of->stock[QUOTA_FILES], c->files, added);
		if (!added && c->held_bytes) { /* for the next attempt */
			*c->held_bytes += c->bytes;
			*c->held_files += c->files;
			c->of->stock[QUOTA_BYTES].reserved += c->bytes;
			c->of->stock[QUOTA_FILES].reserved += c->files;
		}
		if (st == GH_STALE)
			c->of->until_ns = 0;
		pthread_mutex_unlock(&c->of->lock);
	}
	k->count = 0;
}
