/* A tenant goes from one shard to another while it is worked on (move.c): first both shards' rows are brought together
 * (move_rows.c), then what has changed since is brought after (move_follow.c), until so little is left that the tenant can be
 * held for it.
 *
 * Three rows say how far it is, so that whoever asks for the same again goes on there.
 *
 *   central's row of table route     the tenant's in the old shard         in the new one    who has it
 *   COPYING    rows are copied       COPIED: batches tell what they        ELSEWHERE         old
 *                                    change (table moving)
 *   SWITCHING  gateways ask the      COPIED; held (hold_us): nobody        ELSEWHERE         old; writers wait
 *              shard before each     may change it until then
 *              reading               FROZEN: sealed, for ever              ELSEWHERE         nobody
 *   LANDING    it is in the new one  FROZEN                                ELSEWHERE         nobody
 *                                    FROZEN, then ELSEWHERE                HOME              new
 *   CLEARING   what is left is       ELSEWHERE                             HOME              new
 *              removed
 *
 * Each change is one transaction in one database, and rests on what it was decided from:
 *   - Sealing looks, with all other writers kept out, whether anything has been told, or any event been written, that the new
 *     shard does not have. So it does not rest on clocks whether the hold was long enough: if it was not, there is no seal.
 *   - Central's row requires the row that it was decided from, so what was given up is not switched.
 *   - Written pages require that the tenant is still about to come there, by this very mover: each has a number of its own, which
 *     it writes into both shards when it begins. One that slept through its lease can do no harm.
 * A mover that dies leaves a tenant that is worked on (a hold ends by itself, in a second), or one that is sealed or landing:
 * whichever gateway does the upkeep finds that its lease has ended, and takes the one back, the other to its end
 * (move_rescue.c). Up to SWITCHING the move can be abandoned.
 */
#ifndef GH_BACKENDS_METADATA_MOVE_H
#define GH_BACKENDS_METADATA_MOVE_H

#include "backends/metadata/route.h"

struct move {
	uint64_t tenant, epoch;		    /* the epoch that it has in the new shard */
	uint64_t mover;			    /* its number there */
	struct shard_store *from, *to;	    /* from NULL: nothing is to be left */
	enum gh_status (*alive)(void *arg); /* after each page: may it go on? NULL: yes */
	void *arg;
};

struct move_tally {
	uint64_t rows;	  /* where they come from */
	uint64_t read;	  /* in both */
	uint64_t differed;
	uint64_t told;	  /* batches and leases that told */
	int64_t bytes, files; /* of the tenant's files, by how much the new shard has more of them now; move_follow alone */
};

/* Up to where the new shard has everything. */
struct move_trail {
	char seen[META_STREAM_TEXT];
};

/* From here on what changes is told: the tenant is in state TENANT_COPIED. */
GH_MUST_CHECK enum gh_status move_trail_begin(const struct move *m, struct meta_call *c, struct move_trail *ret);
/* One pass over all tables of the tenant but its own row, beside writers. After it the trail that began before it leads to
 * everything that has changed in the meantime. GH_STALE: it is not about to come there any more. */
GH_MUST_CHECK enum gh_status move_mend(const struct move *m, struct meta_call *c, struct move_tally *ret);
/* Brings after what was told since the trail's end. Then both are equal as of one moment, the trail's new end. GH_STALE.
 * GH_CONFLICT: somebody writes who does not tell. Adds to *tally. */
GH_MUST_CHECK enum gh_status move_follow(const struct move *m, struct meta_call *c, struct move_trail *trail,
					 struct move_tally *tally);
/* In a job of the old shard: GH_OK: nothing has happened since. GH_STALE: something has. */
GH_MUST_CHECK enum gh_status move_is_all(struct db_conn *c, uint64_t tenant, const struct move_trail *trail);
/* In a job of the new shard. GH_STALE. */
GH_MUST_CHECK enum gh_status move_is_coming_in(struct db_conn *c, const struct move *m);
/* Removes what was told. */
GH_MUST_CHECK enum gh_status move_told_clear(struct shard_store *s, struct meta_call *c, uint64_t tenant);

#endif
