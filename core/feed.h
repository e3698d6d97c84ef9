/* The event feed for clients: who may see it hears what came, changed, moved and went (policy/feed_rule.h says what is
 * told). vfs.h has what doors use: VFS_EVENTS reads behind a cursor, struct vfs_watch waits.
 *
 * Of each tenant that somebody follows there is a hall: the newest stretch of its log, read from the store once, in
 * blocks that never change, shared by all readers by reference. Every block remembers the rights of its time, so that
 * what lay hidden then stays hidden after it was moved into the open. What a class of equal rights (policy/acl_class.h)
 * is told of a block is decided once, and is a page that everybody of that class is given.
 *
 * Any of it can be dropped at any moment: what is asked for and not there is read again; where rights have changed
 * meanwhile, the rights of that time are gone, and a reader who is not an owner is told `resync /` in place of those
 * events.
 *
 * Threads: loops read what is in memory, workers read the log. `lock` of a hall is held for moments and never over a call
 * to the store; `load` is held by the worker that reads the log. Lock order: load, lock.
 */
#ifndef GH_CORE_FEED_H
#define GH_CORE_FEED_H

#include "core/house.h"

struct feeds;
struct feed_hall;

GH_MUST_CHECK enum gh_status feeds_new(struct gh_core *c, struct feeds **ret);
GH_MUST_CHECK enum gh_status feeds_start(struct gh_core *c);
void feeds_stop(struct gh_core *c); /* nobody is woken any more */
void feeds_free(struct feeds **f);  /* all watches have ended, no worker runs */

/* Something of the tenant's was committed, here or elsewhere. Any thread, never blocks; costs a load where nobody follows
 * it. */
void feed_poke(struct gh_core *c, struct tenant *t);

/* VFS_EVENTS for the caller of w (after gate_enter), behind r->cursor. */
GH_MUST_CHECK enum gh_status feed_read(struct vfs_work *w);

/* ---- cursors as text (feed_cursor.c): opaque to clients. They give no right and are no secret: what one reads is decided
 * by who reads. The sum at their end tells a cursor of another tenant, and one that was tampered with or cut. ---- */
void feed_cursor_write(char out[VFS_CURSOR_LEN + 1], uint64_t tenant, const struct meta_cursor *at);
bool feed_cursor_read(const char *text, uint64_t tenant, struct meta_cursor *ret);

#endif
