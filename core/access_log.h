/* One structured line per operation. Lines gather in memory per loop and reach the file every 200 ms or 64 KiB, by one
 * write(2); a crash may lose the last of them (the audit trail is the event log, which is durable). */
#ifndef GH_CORE_ACCESS_LOG_H
#define GH_CORE_ACCESS_LOG_H

#include "core/base/status.h"

struct access_log;
struct vfs_work;

/* path "" = off (everything below does nothing), "-" = stderr. err: 256 bytes. */
GH_MUST_CHECK enum gh_status access_log_new(const char *path, struct access_log **ret, char *err);
void access_log_free(struct access_log **l);
/* Loop thread. */
void access_log_write(struct access_log *l, const struct vfs_work *w);
/* Any thread: reopen after rotation. */
void access_log_reopen(struct access_log *l);

#endif
