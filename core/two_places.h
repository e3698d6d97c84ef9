/* What move and copy have in common before anything is changed: both ends resolved, judged by the gate, checked for
 * locks and conditions. */
#ifndef GH_CORE_TWO_PLACES_H
#define GH_CORE_TWO_PLACES_H

#include "core/change.h"

struct two_places {
	struct place from, to;
	struct locks *locks; /* give back with locks_unref */
};

/* from_locks: enum LOCK_* bits asked at the source (move changes it, copy does not). */
GH_MUST_CHECK enum gh_status two_places_enter(struct vfs_work *w, struct two_places *b, unsigned from_locks);

#endif
