/* Background work, one thread: empties the trash, sweeps expired locks, folds the ledger, collects dead blobs and
 * orphans. Everything here may stop at any point and be begun again. */
#ifndef GH_CORE_UPKEEP_H
#define GH_CORE_UPKEEP_H

#include "core/house.h"

struct upkeep;
GH_MUST_CHECK enum gh_status upkeep_start(struct gh_core *c, struct upkeep **ret);
void upkeep_stop(struct upkeep **u); /* waits */
/* Something was put into the trash: look soon. Any thread. */
void upkeep_poke(struct upkeep *u);

#endif
