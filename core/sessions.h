/* The register of live sessions from the inside: who walks it, and how. What doors see of it is in fe_api.h.
 *
 * One list per loop, touched by that loop alone: entering, leaving and being found there cost no lock and no atomic.
 * Who wants something of all of them (a changed switchboard, a list for an administrator) makes a round: a task on each
 * loop, a few hundred sessions a pass, waited for with a deadline.
 */
#ifndef GH_CORE_SESSIONS_H
#define GH_CORE_SESSIONS_H

#include "core/fe_api.h"

struct sessions;
GH_MUST_CHECK enum gh_status sessions_new(struct sessions **ret);
void sessions_free(struct sessions **s); /* all doors are closed */

/* On the session's loop. May end the session. */
typedef void sessions_fn(struct vfs_live *l, void *arg);
/* Calls fn for every live session, on its loop, and waits. Never two calls at a time, so arg needs no lock; fn does not
 * block. false: a loop did not come to it in time; fn is not called any more. Any thread but a loop. */
bool sessions_each(struct gh_core *c, sessions_fn *fn, void *arg, unsigned timeout_ms);

#endif
