/* Is everything that is stored whole? Rows against rows, rows against bytes, bytes against rows. Reads only. */
#ifndef GH_CORE_FSCK_H
#define GH_CORE_FSCK_H

#include <jansson.h>

#include "core/blob.h"
#include "core/meta.h"

/* Blocks, for long where there is much; worker or admin thread, or alone on stores that nobody serves. verify: read and
 * check every byte; else one block of each blob, so that a missing or shortened one shows.
 *
 * GH_OK means that the check ran to its end, whatever it found. *ret_report (the caller decrefs):
 *   ok       nothing is lost or damaged
 *   loss     how many things are; losses: the first thousand of them in words
 *   notes    what the collector will take away or repair, in words, at most a thousand
 *   blobs, blob_bytes, dead, damaged, orphans, orphan_bytes, verified
 */
GH_MUST_CHECK enum gh_status fsck_run(struct meta_store *meta, const struct blob_ops *ops, struct blob_backend *be,
				      bool verify, json_t **ret_report);

#endif
