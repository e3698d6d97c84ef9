/* The hashed timer wheel: O(1) to set and cancel; a scan of the slots only when something was due, to find what comes
 * next. */
#include "core/run/wheel.h"

void wheel_init(struct wheel *w, uint64_t tick)
{
	*w = (struct wheel){ .tick = tick, .next = WHEEL_NEVER };
}

static struct gh_timer **head_of(struct wheel *w, const struct gh_timer *t)
{
	return t->due_tick ? &w->slot[t->due_tick % WHEEL_SLOTS] : &w->expired;
}

static void unlink_timer(struct wheel *w, struct gh_timer *t)
{
	if (t->prev)
		t->prev->next = t->next;
	else
		*head_of(w, t) = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else if (!t->due_tick)
		w->expired_last = t->prev;
	t->next = t->prev = NULL;
}

void wheel_add(struct wheel *w, struct gh_timer *t, uint64_t due_tick)
{
	struct gh_timer **head;

	t->due_tick = due_tick > w->tick ? due_tick : w->tick + 1;
	head = head_of(w, t);
	t->prev = NULL;
	t->next = *head;
	if (t->next)
		t->next->prev = t;
	*head = t;
	w->count++;
	if (t->due_tick < w->next)
		w->next = t->due_tick;
}

void wheel_remove(struct wheel *w, struct gh_timer *t)
{
	unlink_timer(w, t);
	w->count--;
	if (!w->count)
		w->next = WHEEL_NEVER;
}

static void expire(struct wheel *w, struct gh_timer *t)
{
	unlink_timer(w, t);
	t->due_tick = 0;
	t->prev = w->expired_last;
	if (t->prev)
		t->prev->next = t;
	else
		w->expired = t;
	w->expired_last = t;
}

/* The earliest due tick of all: slots in the order in which they come round, until one is of this revolution. */
static uint64_t next_of(const struct wheel *w)
{
	uint64_t next = WHEEL_NEVER;

	for (uint64_t tick = w->tick + 1; tick <= w->tick + WHEEL_SLOTS && next > tick; tick++)
		for (const struct gh_timer *t = w->slot[tick % WHEEL_SLOTS]; t; t = t->next)
			if (t->due_tick < next)
				next = t->due_tick;
	return next;
}

void wheel_turn(struct wheel *w, uint64_t now)
{
	if (now <= w->tick)
		return;
	if (now < w->next) {
		/* Nothing is due on the way. */
		w->tick = now;
		return;
	}
	for (uint64_t tick = w->next; tick <= now && tick < w->next + WHEEL_SLOTS; tick++) {
		struct gh_timer *t = w->slot[tick % WHEEL_SLOTS], *after;

		for (; t; t = after) {
			after = t->next;
			if (t->due_tick <= now)
				expire(w, t);
		}
	}
	w->tick = now;
	w->next = next_of(w);
}

struct gh_timer *wheel_pop(struct wheel *w)
{
	struct gh_timer *t = w->expired;

	if (t)
		wheel_remove(w, t);
	return t;
}

uint64_t wheel_next(const struct wheel *w)
{
	return w->expired ? w->tick : w->next;
}
