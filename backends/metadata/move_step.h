/* What the steps of a move share: move.c (who moves, which step comes), move_tenant.c (a tenant's row in a shard),
 * move_switch.c (the hold and the switch), move_rescue.c (of one whose mover died). See move.h. */
#ifndef GH_BACKENDS_METADATA_MOVE_STEP_H
#define GH_BACKENDS_METADATA_MOVE_STEP_H

#include "backends/metadata/move.h"

struct mover {
	struct meta_store *m;
	struct meta_call *c;
	const char *name;
	char *err;
	uint64_t number, renewed_ns; /* number: of this mover, never 0 */
	uint32_t hold_ms;	     /* so long it may be held */
	uint64_t held_ns;	     /* since when it is; 0: it is not */
	struct route_row *row;
	struct seat *home, *away; /* of row->shard and row->target */
	struct move_trail trail;
};

/* Says why, if nobody has yet. */
enum gh_status mover_fail(struct mover *v, enum gh_status st, const char *what);

/* ---- move.c ---- */
/* GH_BUSY: another moves it at this moment. */
GH_MUST_CHECK enum gh_status mover_lease(struct mover *v);
GH_MUST_CHECK enum gh_status mover_alive(void *v);
void mover_end(struct mover *v); /* gives the lease back; one that is not given back ends by itself */
GH_MUST_CHECK enum gh_status mover_read_again(struct mover *v);
/* Central's row, if it is still the one that this was decided from. GH_STALE. */
GH_MUST_CHECK enum gh_status mover_row_step(struct mover *v, struct route_row row, enum route_step step);
/* From the tenant's home to where it goes. */
struct move mover_move(struct mover *v);
/* Opens it where it is. */
GH_MUST_CHECK enum gh_status mover_land(struct mover *v);

/* ---- move_tenant.c ---- */
/* from: this or any before; it may be there already. Ends a hold. GH_STALE. */
GH_MUST_CHECK enum gh_status tenant_turn(struct mover *v, struct seat *s, uint64_t epoch, enum tenant_state from,
					 enum tenant_state to);
/* The new shard has its row, of how it is now, and serves it to nobody. */
GH_MUST_CHECK enum gh_status tenant_come(struct mover *v);
/* Nobody may change it for a while. 0: everybody may again. GH_STALE: another moves it. */
GH_MUST_CHECK enum gh_status tenant_hold(struct mover *v, uint32_t ms);
/* Nobody may ever change it there again. GH_STALE: something has happened that the new shard does not have. */
GH_MUST_CHECK enum gh_status tenant_seal(struct mover *v);
/* Marks of what is in the making come along, for as long as they would have held. */
GH_MUST_CHECK enum gh_status tenant_bring_marks(struct mover *v);
/* Nothing of it is left there. */
GH_MUST_CHECK enum gh_status tenant_clear(struct mover *v, struct seat *s, uint64_t epoch, struct move_tally *ret);

/* ---- move_switch.c ---- */
/* Both are equal, but for what the trail leads to. GH_OK: it has landed. GH_BUSY: it is changed too fast. */
GH_MUST_CHECK enum gh_status mover_switch(struct mover *v, struct meta_move *ret);
/* Served again where it is; state to: TENANT_COPIED or TENANT_HOME. */
GH_MUST_CHECK enum gh_status mover_thaw(struct mover *v, enum tenant_state to);

#endif
