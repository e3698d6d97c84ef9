/* Transfers: each window of bytes asks for its tenant's rate and for its turn on the loop. See fair_loop.h. */
#include "core/base/clock.h"
#include "core/fair_room.h"
#include "core/fair_loop.h"

#define EVICTED_MS 100

static void call_ready(struct share_transfer *x)
{
	void (*ready)(void *) = x->ready;

	x->ready = NULL;
	if (ready)
		ready(x->arg);
}

static void time_has_come(struct gh_timer *timer, void *arg)
{
	(void)timer;
	call_ready(arg);
}

static void turn_has_come(struct share_turn *t)
{
	call_ready((struct share_transfer *)t);
}

void share_transfer_later(struct share_transfer *x, struct gh_loop *l, unsigned wait_ms, void (*ready)(void *arg),
			  void *arg)
{
	x->ready = ready;
	x->arg = arg;
	gh_timer_init(&x->timer, time_has_come, x);
	gh_timer_set(&x->timer, l, wait_ms);
}

/* Too many wait: a transfer that has begun is not refused for that, it tries again. */
static void put_off(struct share_turn *t, uint32_t retry_after_s)
{
	struct share_transfer *x = (struct share_transfer *)t;

	(void)retry_after_s;
	share_transfer_later(x, x->loop, EVICTED_MS, x->ready, x->arg);
}

enum gh_status share_transfer_ask(struct share_transfer *x, struct gh_core *c, struct gh_loop *l, struct tenant *t,
				  uint64_t want, bool whole, uint64_t *ret_n, void (*ready)(void *arg), void *arg)
{
	const uint64_t now = gh_mono_ns();
	unsigned wait_ms = 0;
	uint32_t retry_s;

	*ret_n = want;
	x->loop = l;
	x->turn.run = turn_has_come;
	x->turn.out = put_off;
	x->ready = ready;
	x->arg = arg;
	const enum gh_status st = share_may(c, l, t, now, &x->turn, &retry_s);
	if (st == GH_WAIT)
		return st;
	if (st != GH_OK) {
		share_transfer_later(x, l, EVICTED_MS, ready, arg);
		return GH_WAIT;
	}
	const bool some = !t || (whole ? share_rate_take(t, want, now, &wait_ms) :
					 (*ret_n = share_rate_offer(t, want, now, &wait_ms)) > 0);
	if (some) {
		x->ready = NULL;
		return GH_OK;
	}
	share_transfer_later(x, l, wait_ms, ready, arg);
	return GH_WAIT;
}

void share_transfer_cancel(struct share_transfer *x)
{
	(void)share_turn_cancel(&x->turn);
	gh_timer_cancel(&x->timer);
	x->ready = NULL;
}
