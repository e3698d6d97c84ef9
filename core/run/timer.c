/* Timers: the clock's side of the wheel. Called by every door and by the core; on the loop's thread. */
#include "core/base/clock.h"
#include "core/run/loop_impl.h"

void gh_timer_init(struct gh_timer *t, gh_timer_fn *fn, void *arg)
{
	*t = (struct gh_timer){ .fn = fn, .arg = arg };
}

void gh_timer_set(struct gh_timer *t, struct gh_loop *l, uint64_t after_ms)
{
	uint64_t ns;

	gh_timer_cancel(t);
	/* From the clock, not from the pass's time, which is past: never early. Two hundred years are for ever. */
	if (after_ms > UINT64_MAX / 4 / GH_MS_NS)
		after_ms = UINT64_MAX / 4 / GH_MS_NS;
	ns = gh_mono_ns() + after_ms * GH_MS_NS;
	t->loop = l;
	wheel_add(&l->wheel, t, (ns + TICK_NS - 1) / TICK_NS);
}

void gh_timer_cancel(struct gh_timer *t)
{
	if (!t->loop)
		return;
	wheel_remove(&t->loop->wheel, t);
	t->loop = NULL;
}

/* What a callback sets anew is due in a later tick, so this ends. */
void loop_timers_run(struct gh_loop *l)
{
	struct gh_timer *t;

	wheel_turn(&l->wheel, l->now_ns / TICK_NS);
	while ((t = wheel_pop(&l->wheel))) {
		t->loop = NULL;
		t->fn(t, t->arg);
	}
}
