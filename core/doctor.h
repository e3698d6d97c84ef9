/* What may be wrong with the machine under a gateway: each check adds an item {check, ok, level, says, do} to a JSON
 * array. level: "ok", "warn" (look at it), "fail" (does not work, or soon will not; ok is false). do: what to do, where
 * there is something.
 *
 * Called by the control operation `doctor` (admin thread of a running gateway) and by `gatehouse doctor` where none
 * runs. Blocks: writes a small file and syncs it.
 */
#ifndef GH_CORE_DOCTOR_H
#define GH_CORE_DOCTOR_H

#include <jansson.h>
#include <stdint.h>

#include "core/base/status.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

/* remedy may be NULL. */
void doctor_say(json_t *items, const char *check, enum doctor_level level, const char *remedy, const char *fmt, ...)
	GH_PRINTF(5, 6);
/* Space, inodes; writing and syncing, and the file system's clock. folder exists. */
void doctor_disk(json_t *items, const char *folder);
/* Is the wall clock plausible, and kept by somebody? */
void doctor_clock(json_t *items);
/* id: the highest in the database. Is it older than now? */
void doctor_newest_id(json_t *items, uint64_t id);
/* used: descriptors open now, 0 = not known. */
void doctor_descriptors(json_t *items, unsigned used);
/* There are none yet. */
void doctor_certificates(json_t *items);

/* Judgements on numbers, apart from where they come from. */
enum doctor_level doctor_judge_space(uint64_t free_bytes, uint64_t total_bytes);
enum doctor_level doctor_judge_inodes(uint64_t free_count, uint64_t total);
enum doctor_level doctor_judge_sync(uint64_t median_us);
enum doctor_level doctor_judge_descriptors(uint64_t limit, uint64_t used);

#endif
