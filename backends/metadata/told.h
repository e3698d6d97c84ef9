/* What a batch changes, in words between spaces, so that whoever takes its tenant to another shard reads again just that
 * (table moving, move.h). Written by plan.c into the batch itself while its tenant is copied away; nobody else may write then
 * without telling. Pure.
 *
 *   e        the batch has an event, of its own operation (quota leases have none)
 *   nID      the node            vID  the version, and its parts; or all versions of that node
 *   bID      the blob            pID  the properties of that node
 *   oID      what that user owns: the row of this operation
 *   =TABLE   something in that table
 */
#ifndef GH_BACKENDS_METADATA_TOLD_H
#define GH_BACKENDS_METADATA_TOLD_H

#include "backends/metadata/tables.h"
#include "core/meta.h"

#define TOLD_QUOTA_LEASE "=quota_lease =usage_month" /* what granting one changes */

struct told {
	char kind;
	uint64_t id;
	enum table_id table; /* of '=' */
};

/* NULL: no memory. In the arena. */
char *told_of(struct gh_arena *a, const struct meta_batch *b);
/* The next word of *at, which is moved behind it. GH_END: no more. GH_DAMAGED: not understood. */
GH_MUST_CHECK enum gh_status told_next(const char **at, struct told *ret);

#endif
