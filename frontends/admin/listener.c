/* The admin listener's life: a loop, a door, a doorstep and two pools of its own, so that it answers while the doors
 * for users are full, their loops and workers are busy, and their logins queue. What it says is in site_*.c.
 *
 * Whoever only opens connections gets little: a whole header in five seconds, 128 idle ones before the oldest goes, and
 * descriptors from the reserve that the other doors leave. An administrator who comes behind a crowd of them waits for
 * the moment that this takes, and is never the one turned away.
 *
 * Threads: open and close on the main thread; everything between on the listener's loop and pools; `draining` from any.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "core/base/clock.h"
#include "frontends/admin/site.h"
#include "frontends/http/door.h"

enum {
	CONNECTIONS_MAX = 256,
	CALLS_WAITING_MAX = 64,
	LOGINS_WAITING_MAX = 16,
	SEND_BUFFER = 64 << 10,
	RESERVE_FDS = 16, /* of those that limits.reserve_descriptors keeps from the others */
	POLL_MS = 5,
	POOL_LABEL = 2, /* "admin" of GH_M_WORKER_QUEUE */
};

/* What the door asks its configuration for. */
static int64_t setting(const struct fe_env *env, const char *key)
{
	static const struct {
		const char *key;
		int64_t value;
	} own[] = {
		{ "http.pool", 64 << 10 },      { "http.header_timeout", 5000 }, { "http.idle_timeout", 30000 },
		{ "http.body_timeout", 10000 }, { "http.total_timeout", 0 },     { "http.idle_memory", 8 << 20 },
	};

	(void)env;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (!strcmp(own[i].key, key))
			return own[i].value;
	}
	return 0;
}

static const char *no_text(const struct fe_env *env, const char *key)
{
	(void)env;
	(void)key;
	return "";
}

static const struct http_service *const services[] = { &site_api, &site_pages, NULL };

/* ---- open ---- */

/* What somebody who takes nothing may leave in the kernel: an event stream that fills it stands still, and the door's
 * deadline ends it. */
static void let_in(void *door, struct gh_loop *loop, int fd, const struct gh_peer *peer, struct gh_ticket *ticket)
{
	const int bytes = SEND_BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	fe_http.accept(door, loop, fd, peer, ticket);
}

static enum gh_status door_make(struct admin_listener *l, char *ret_addr, char *err)
{
	const struct http_door_config door = { .env = &l->env, .services = services, .administrators = true };
	const struct gh_doorstep_limits limits = { .per_address = CONNECTIONS_MAX,
						   .total = CONNECTIONS_MAX,
						   .reserve_fds = RESERVE_FDS,
						   .full_waits = true,
						   .trusted = l->cfg.trusted };
	enum gh_status st;

	l->env = (struct fe_env){
		.core = l->cfg.core, .loops = &l->loop, .loop_count = 1, .number = setting, .text = no_text, .config = l
	};
	st = http_door_open(&door, &l->door, err, 256);
	if (st == GH_OK)
		st = fe_http.start(l->door, l->loop);
	if (st == GH_OK)
		st = gh_doorstep_new(&l->loop, 1, &limits, &l->doorstep);
	if (st == GH_OK)
		st = gh_doorstep_listen(l->doorstep, l->cfg.address, VFS_ADMIN, let_in, l->door, ret_addr, err, 256);
	return st;
}

static enum gh_status make(struct admin_listener *l, char *ret_addr, char *err)
{
	enum gh_status st;

	snprintf(err, 256, "the admin listener cannot have its loop and threads");
	st = gh_loop_new(0, &l->loop);
	if (st == GH_OK)
		st = site_sessions_new(l->cfg.session_idle_ms, l->cfg.session_ms, &l->sessions);
	if (st == GH_OK)
		st = gh_pool_new("admin", POOL_LABEL, l->cfg.threads, CALLS_WAITING_MAX, &l->calls);
	if (st == GH_OK)
		st = gh_pool_new("admin-login", POOL_LABEL, 1, LOGINS_WAITING_MAX, &l->logins);
	if (st == GH_OK)
		st = door_make(l, ret_addr, err);
	if (st == GH_OK)
		st = gh_loop_start(l->loop);
	l->cfg.trusted = NULL; /* the caller's */
	l->running = st == GH_OK;
	return st;
}

enum gh_status admin_listener_open(const struct admin_listener_config *cfg, char *ret_addr, struct admin_listener **ret,
				   char *err)
{
	struct admin_listener *l = calloc(1, sizeof(*l));
	enum gh_status st;

	if (!l) {
		snprintf(err, 256, "out of memory");
		return GH_NOMEM;
	}
	l->cfg = *cfg;
	l->cfg.host_names = cfg->host_names ? cfg->host_names : "";
	l->cfg.session_idle_ms = cfg->session_idle_ms ? cfg->session_idle_ms : 30 * 60000;
	l->cfg.session_ms = cfg->session_ms ? cfg->session_ms : 12 * 3600000;
	l->cfg.threads = cfg->threads ? cfg->threads : 4;
	gh_buf_init(&l->openapi, 1 << 20);
	st = make(l, ret_addr, err);
	if (st != GH_OK) {
		(void)admin_listener_close(&l, 0);
		return st;
	}
	*ret = l;
	return GH_OK;
}

void admin_listener_drain(struct admin_listener *l)
{
	if (l)
		atomic_store(&l->draining, true);
}

/* ---- close ---- */

struct errand {
	struct gh_task task;
	struct admin_listener *l;
	bool quiet;
	sem_t done;
};

static void quiesce(struct gh_task *t)
{
	struct errand *e = (struct errand *)t;

	e->quiet = fe_http.quiesce(e->l->door, e->l->loop);
	sem_post(&e->done);
}

/* One pass on the loop; true when no connection is left. */
static bool quiesce_pass(struct admin_listener *l)
{
	struct errand e = { .task.fn = quiesce, .l = l };

	sem_init(&e.done, 0, 0);
	gh_loop_post(l->loop, &e.task);
	while (sem_wait(&e.done) && errno == EINTR)
		;
	sem_destroy(&e.done);
	return e.quiet;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000l }, NULL);
}

static void connections_end(struct admin_listener *l)
{
	unsigned live;

	if (l->doorstep)
		gh_doorstep_shut(l->doorstep);
	fe_http.drain(l->door, &live);
	while (!quiesce_pass(l))
		nap();
}

/* Those that run come home to the loop, which still turns. */
static bool jobs_end(struct admin_listener *l, unsigned wait_ms)
{
	const uint64_t until = gh_mono_ns() + wait_ms * GH_MS_NS;

	while (atomic_load(&l->jobs)) {
		if (gh_mono_ns() > until)
			return false;
		nap();
	}
	return true;
}

bool admin_listener_close(struct admin_listener **pl, unsigned wait_ms)
{
	struct admin_listener *l = *pl;

	if (!l)
		return true;
	*pl = NULL;
	atomic_store(&l->stopping, true);
	if (l->running) {
		connections_end(l);
		if (!jobs_end(l, wait_ms))
			return false;
		gh_loop_stop(l->loop);
	}
	gh_pool_free(&l->calls);
	gh_pool_free(&l->logins);
	if (l->doorstep)
		gh_doorstep_free(&l->doorstep);
	if (l->door)
		fe_http.close(&l->door);
	if (l->loop)
		gh_loop_free(&l->loop);
	site_sessions_free(&l->sessions);
	gh_buf_fini(&l->openapi);
	free(l);
	return true;
}
