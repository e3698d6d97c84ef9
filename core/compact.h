/* Rewrites a version of many parts as one blob, under the same version id: the entity tag does not change, nor does
 * anything a client sees. */
#ifndef GH_CORE_COMPACT_H
#define GH_CORE_COMPACT_H

#include "core/house.h"

#define COMPACT_ABOVE 64u /* parts; a read of more is more seeks than it is worth */

/* Worker. GH_OK also when there is nothing to do (any more); GH_STALE when the node changed meanwhile. */
GH_MUST_CHECK enum gh_status compact_now(struct gh_core *c, struct tenant *t, uint64_t node);
/* Any thread: on a worker, some time; a full queue forgets it. */
void compact_later(struct gh_core *c, struct tenant *t, uint64_t node);

#endif
