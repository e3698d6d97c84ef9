/* The timer wheel of one loop, without a clock: ticks come in as arguments. Used by loop.c and timer.c only; on the
 * loop's thread.
 *
 * A timer hangs in slot due_tick % slots, whatever the revolution; a visit leaves those of later revolutions. While it
 * waits to be called, in the list of what has expired, its due_tick is 0.
 */
#ifndef GH_CORE_RUN_WHEEL_H
#define GH_CORE_RUN_WHEEL_H

#include "core/run/loop.h"

enum { WHEEL_SLOTS = 2048 }; /* a power of two; 20.48 s a revolution */
#define WHEEL_NEVER UINT64_MAX

struct wheel {
	uint64_t tick; /* all slots up to this one have been visited */
	uint64_t next; /* nothing is due before it; may be too early after a cancel, never too late */
	unsigned count;
	struct gh_timer *expired, *expired_last;
	struct gh_timer *slot[WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t tick);
/* t is in no wheel. A due tick that has been visited becomes the next one. */
void wheel_add(struct wheel *w, struct gh_timer *t, uint64_t due_tick);
/* t is in this wheel. */
void wheel_remove(struct wheel *w, struct gh_timer *t);
/* Moves what is due at now into the list of the expired, in order of due ticks unless a whole revolution was missed. */
void wheel_turn(struct wheel *w, uint64_t now);
/* The first of the expired, taken out; NULL when there is none. */
struct gh_timer *wheel_pop(struct wheel *w);
/* The tick to look again at, WHEEL_NEVER when nothing is set. */
uint64_t wheel_next(const struct wheel *w);

#endif
