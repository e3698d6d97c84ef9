/* The switchboard and the register behind core/fe_api.h as a door's tests need them: the test says how everybody stands,
 * then has everybody told; on the loop's thread, as the core does. One house at a time. */
#ifndef GH_TESTS_UNIT_FAKE_LIVE_H
#define GH_TESTS_UNIT_FAKE_LIVE_H

#include "core/fe_api.h"

void fake_live_reset(void); /* everything is open */
/* How every session stands as a whole, and each operation with it (GH_OFF, GH_DRAINING; GH_OK: open again). */
void fake_live_rule(enum gh_status st, const char *message);
/* How one class stands, whatever the whole does (GH_SUSPENDED, GH_READONLY, GH_FROZEN). */
void fake_live_class(enum vfs_class class, enum gh_status st, const char *message);
/* What vfs_req_shut says, for who comes now. */
void fake_live_shut(enum gh_status st, const char *message);
void fake_live_flag(enum vfs_flag flag, int64_t value); /* all are 1 */

/* Each waits until it was done on the loop. */
void fake_live_tell(struct gh_loop *l); /* a change of the rules */
void fake_live_kill(struct gh_loop *l); /* everybody is ended by name */
unsigned fake_live_count(struct gh_loop *l);
/* The one that entered first. path: at least 256 bytes. */
struct vfs_live_look fake_live_look(struct gh_loop *l, char *path);

#endif
