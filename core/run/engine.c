/* Engines: something with an epoll of its own that is run from a pass (a libmicrohttpd daemon in external mode). Called
 * by the HTTP glue; on the loop's thread. */
#include "core/base/clock.h"
#include "core/run/loop_impl.h"

/* More would keep descriptors, timers and tasks waiting; what is left runs in the next pass, which does not sleep. */
enum { RUNS_A_PASS = 4 };

static void engine_readable(struct gh_io *io, unsigned ready, void *arg)
{
	struct gh_engine *e = arg;

	(void)io;
	(void)ready;
	e->poked = true;
}

enum gh_status gh_loop_add_engine(struct gh_loop *l, struct gh_engine *e)
{
	enum gh_status st;

	e->loop = NULL;
	st = gh_io_init(&e->io, l, e->fd, engine_readable, e);
	if (st != GH_OK)
		return st;
	st = gh_io_want(&e->io, GH_IO_READ);
	if (st != GH_OK) {
		gh_io_fini(&e->io);
		return st;
	}
	e->loop = l;
	e->poked = true; /* it may hold something from before */
	e->next = l->engines;
	l->engines = e;
	return GH_OK;
}

void gh_loop_remove_engine(struct gh_engine *e)
{
	struct gh_loop *l = e->loop;

	if (!l)
		return;
	gh_io_fini(&e->io);
	for (struct gh_engine **p = &l->engines; *p; p = &(*p)->next) {
		if (*p == e) {
			*p = e->next;
			break;
		}
	}
	if (l->engine_next == e)
		l->engine_next = e->next;
	if (l->engine_running == e)
		l->engine_running = NULL;
	e->next = NULL;
	e->loop = NULL;
}

void gh_engine_poke(struct gh_engine *e)
{
	e->poked = true;
}

/* An engine may remove itself while it runs, and be gone: then engine_running is no longer it. */
static void engine_run(struct gh_loop *l, struct gh_engine *e)
{
	int runs = 0;

	l->engine_running = e;
	while (l->engine_running == e && runs++ < RUNS_A_PASS && (e->poked || e->timeout_ms(e->arg) == 0)) {
		e->poked = false;
		e->run(e->arg);
	}
	l->engine_running = NULL;
}

void loop_engines_run(struct gh_loop *l)
{
	struct gh_engine *e;

	for (e = l->engines; e; e = l->engine_next) {
		l->engine_next = e->next;
		engine_run(l, e);
	}
}

uint64_t loop_engines_wait_ns(struct gh_loop *l)
{
	uint64_t wait = UINT64_MAX;

	for (struct gh_engine *e = l->engines; e; e = e->next) {
		int64_t ms = e->poked ? 0 : e->timeout_ms(e->arg);

		if (ms >= 0 && (uint64_t)ms < wait / GH_MS_NS)
			wait = (uint64_t)ms * GH_MS_NS;
	}
	return wait;
}
