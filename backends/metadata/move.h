/* A tenant goes from one shard to another while it is worked on (move.c), by bringing the rows of both together (move_rows.c).
 *
 * Central's row of table route says how far it is, so that whoever asks for the same again goes on there:
 *   ROUTE_COPYING    rows are copied, and copied again; it is served where it was
 *   ROUTE_SWITCHING  every gateway asks the shard before each reading; then it is frozen, brought together and found equal
 *   ROUTE_LANDING    it is in the new shard from here on; there it is opened, in the old one it is closed
 *   ROUTE_CLEARING   what is left in the old one (column target) is removed, once no gateway needs it
 * Up to ROUTE_SWITCHING it can be abandoned. Movers exclude each other by a lease; one that lost it without knowing can do no
 * harm, since each change of the row requires the row that it was decided from, and each written page that the tenant is still
 * about to come there.
 */
#ifndef GH_BACKENDS_METADATA_MOVE_H
#define GH_BACKENDS_METADATA_MOVE_H

#include "backends/metadata/route.h"

struct move {
	uint64_t tenant, epoch;		    /* the epoch that it has in the new shard */
	struct shard_store *from, *to;	    /* from NULL: nothing is to be left */
	enum gh_status (*alive)(void *arg); /* after each page: may it go on? NULL: yes */
	void *arg;
};

struct move_tally {
	uint64_t rows, differed;
};

/* One pass over all tables of the tenant but its own row. Rows are counted where they come from. GH_STALE: it is not about to
 * come there any more. */
GH_MUST_CHECK enum gh_status move_mend(const struct move *m, struct meta_call *c, struct move_tally *ret);
/* In a job of the new shard. GH_STALE. */
GH_MUST_CHECK enum gh_status move_is_coming_in(struct db_conn *c, uint64_t tenant, uint64_t epoch);

#endif
