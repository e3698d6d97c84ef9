/* The HTTP door: one libmicrohttpd daemon per loop in external epoll mode (its own polling loops lose sockets and
 * wake-ups), without a listen socket, fed by the doorstep. Life and threads: core/fe_api.h.
 *
 * Draining: the flag makes every answer close its connection and every new request a refusal; idle connections are shut
 * at once. Quiescing, on each loop: whatever is suspended is answered 503 and resumed, and libmicrohttpd is stopped
 * only when none is left - stopping it with one suspended would abort the process.
 */
#include "frontends/http/door.h"

#include "frontends/http/http.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"

enum {
	POOL_BYTES = 64 << 10, HEADER_MS = 10000, IDLE_MS = 75000, BODY_MS = 30000, IDLE_BYTES = 64 << 20,
	QUIET_PASSES_MAX = 100,
};

/* ---- what libmicrohttpd calls ---- */

/* Its own decoding would turn %00 into the end of a string: paths are decoded once, by the core. */
static size_t unescape_nothing(void *cls, struct MHD_Connection *mhd, char *text)
{
	return strlen(text);
}

/* Mostly that a client has left. What concerns a connection as a whole is told by conn.c and call.c. */
static void library_log(void *cls, const char *fmt, va_list ap) GH_PRINTF(2, 0);
static void library_log(void *cls, const char *fmt, va_list ap)
{
	char text[256], quoted[320];

	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\r\n")] = '\0';
	gh_log(GH_LOG_DEBUG, "http_library", "said=%s", gh_log_quote(quoted, sizeof(quoted), text));
}

/* ---- the engine ---- */

static int64_t engine_timeout_ms(void *arg)
{
	struct http_shard *s = arg;
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(s->daemon, &ms) == MHD_YES ? (int64_t)ms : -1;
}

static void engine_run(void *arg)
{
	struct http_shard *s = arg;

	MHD_run(s->daemon);
	if (s->arriving)
		http_conn_forget_failed(s);
}

/* ---- open, start ---- */

static int64_t setting(const struct fe_env *env, const char *key, int64_t fallback)
{
	int64_t v = env->number ? env->number(env, key) : 0;

	return v > 0 ? v : fallback;
}

static struct MHD_Daemon *daemon_start(struct http_shard *s)
{
	const struct http_settings *set = &s->door->set;
	const unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL }, /* else large files go out 4 KiB at a time */
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)set->pool_bytes, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (intptr_t)(set->pool_bytes / 2), NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, 1 << 20, NULL }, /* the doorstep counts, and says so */
		{ MHD_OPTION_CONNECTION_TIMEOUT, 0, NULL },
#if MHD_VERSION >= 0x01000000
		{ MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, NULL },
#else
		{ MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
#endif
		{ MHD_OPTION_END, 0, NULL },
	};

	/* The logger first: it is used while the other options are read. */
	return MHD_start_daemon(flags, 0, NULL, NULL, http_call_step, s, MHD_OPTION_EXTERNAL_LOGGER, library_log, s,
				MHD_OPTION_URI_LOG_CALLBACK, http_call_line, s, MHD_OPTION_UNESCAPE_CALLBACK,
				unescape_nothing, s, MHD_OPTION_NOTIFY_CONNECTION, http_conn_notify, s,
				MHD_OPTION_NOTIFY_COMPLETED, http_call_completed, s, MHD_OPTION_ARRAY, options,
				MHD_OPTION_END);
}

static bool shard_open(struct http_shard *s, struct http_door *d, struct gh_loop *l)
{
	const union MHD_DaemonInfo *info;

	s->door = d;
	s->loop = l;
	s->daemon = daemon_start(s);
	info = s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info)
		return false;
	s->engine = (struct gh_engine){ .fd = info->epoll_fd, .timeout_ms = engine_timeout_ms, .run = engine_run,
					.arg = s };
	return true;
}

static void door_close(struct fe_door **door);

enum gh_status http_door_open(const struct http_door_config *cfg, struct fe_door **ret, char *err, unsigned err_len)
{
	const struct fe_env *env = cfg->env;
	struct http_door *d = calloc(1, sizeof(*d));
	struct fe_door *made = (struct fe_door *)d;

	if (d)
		d->shards = calloc(env->loop_count, sizeof(*d->shards));
	if (!d || !d->shards) {
		free(d);
		snprintf(err, err_len, "http: out of memory");
		return GH_NOMEM;
	}
	d->env = env;
	d->services = cfg->services;
	d->administrators = cfg->administrators;
	d->shard_count = env->loop_count;
	d->set.pool_bytes = (size_t)setting(env, "http.pool", POOL_BYTES);
	d->set.header_ms = (uint64_t)setting(env, "http.header_timeout", HEADER_MS);
	d->set.idle_ms = (uint64_t)setting(env, "http.idle_timeout", IDLE_MS);
	d->set.body_ms = (uint64_t)setting(env, "http.body_timeout", BODY_MS);
	d->set.total_ms = (uint64_t)setting(env, "http.total_timeout", 0);
	d->set.strict_hosts = setting(env, "http.strict_hosts", 0) != 0;
	d->set.idle_bytes_per_loop = (uint64_t)setting(env, "http.idle_memory", IDLE_BYTES) / env->loop_count;
	for (unsigned i = 0; i < d->shard_count; i++) {
		if (!shard_open(&d->shards[i], d, env->loops[i])) {
			snprintf(err, err_len, "http: libmicrohttpd %s does not start in epoll mode",
				 MHD_get_version());
			door_close(&made);
			return GH_IO;
		}
	}
	*ret = made;
	return GH_OK;
}

/* Defined by the composition root, NULL at the end; a test of this room alone has none. */
extern const struct http_service *const http_services[] __attribute__((weak));

static enum gh_status door_open(const struct fe_env *env, struct fe_door **ret, char *err, unsigned err_len)
{
	static const struct http_service *const none[] = { NULL };
	const struct http_door_config users = { .env = env, .services = http_services ? http_services : none };

	return http_door_open(&users, ret, err, err_len);
}

static struct http_shard *shard_of(struct fe_door *door, struct gh_loop *l)
{
	return &((struct http_door *)door)->shards[gh_loop_index(l)];
}

static enum gh_status door_start(struct fe_door *door, struct gh_loop *l)
{
	struct http_shard *s = shard_of(door, l);
	enum gh_status st = gh_loop_add_engine(l, &s->engine);

	s->engine_added = st == GH_OK;
	return st;
}

/* ---- drain, quiesce, close ---- */

/* Those who wait for events would wait on. */
static void watches_end(struct http_shard *s)
{
	const struct vfs_verdict stopping = { .status = GH_STOPPING };

	for (struct http_conn *c = s->conns; c; c = c->next) {
		struct http_call *k = &c->call;
		struct vfs_req *why;

		if (!k->ex.watches || k->stage == CALL_NONE)
			continue;
		why = vfs_req_refused(k->ex.core, s->loop, k->ex.service->proto, k->ex.session, &stopping);
		if (!why)
			continue; /* cut when the time is over */
		why->op = VFS_EVENTS;
		memcpy(why->id, k->id, sizeof(why->id));
		k->answer.close = c->drained = true;
		http_call_stop_watching(k, why);
		vfs_req_free(&why);
	}
}

static void drain_here(struct gh_task *t)
{
	struct http_shard *s = (struct http_shard *)((char *)t - offsetof(struct http_shard, drain_task));

	while (s->idle_oldest)
		http_conn_cut(s->idle_oldest);
	watches_end(s);
}

static void door_drain(struct fe_door *door, unsigned *live)
{
	struct http_door *d = (struct http_door *)door;

	if (!atomic_exchange(&d->draining, true)) {
		for (unsigned i = 0; i < d->shard_count; i++) {
			d->shards[i].drain_task.fn = drain_here;
			gh_loop_post(d->shards[i].loop, &d->shards[i].drain_task);
		}
	}
	*live = atomic_load(&d->live);
}

static unsigned expel_suspended(struct http_shard *s)
{
	unsigned n = 0;

	for (struct http_conn *c = s->conns; c; c = c->next) {
		if (!c->call.suspended)
			continue;
		n++;
		http_call_expel(&c->call, GH_STOPPING);
	}
	return n;
}

static void shard_stop(struct http_shard *s)
{
	http_linger_all_stop(s);
	if (s->engine_added)
		gh_loop_remove_engine(&s->engine);
	s->engine_added = false;
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	s->daemon = NULL;
	http_conn_forget_failed(s);
}

static bool door_quiesce(struct fe_door *door, struct gh_loop *l)
{
	struct http_shard *s = shard_of(door, l);
	unsigned expelled;

	if (!s->daemon)
		return true;
	s->quiescing = true;
	expelled = expel_suspended(s);
	/* What was resumed is looked at, and its answer leaves, in runs of libmicrohttpd. */
	engine_run(s);
	if (expelled || (s->conns && s->quiet_passes < QUIET_PASSES_MAX)) {
		if (s->quiet_passes++ == QUIET_PASSES_MAX / 2)
			for (struct http_conn *c = s->conns; c; c = c->next)
				http_conn_cut(c);
		return false;
	}
	shard_stop(s);
	return true;
}

static void door_close(struct fe_door **door)
{
	struct http_door *d = (struct http_door *)*door;

	if (!d)
		return;
	/* Only a door that never ran, or whose loops were stopped without a drain, has anything left here. */
	for (unsigned i = 0; i < d->shard_count; i++) {
		struct http_shard *s = &d->shards[i];

		if (!s->daemon)
			continue;
		s->quiescing = true;
		while (expel_suspended(s))
			engine_run(s);
		shard_stop(s);
	}
	free(d->shards);
	free(d);
	*door = NULL;
}

const struct fe_ops fe_http = {
	.abi = FE_ABI,
	.name = "http",
	.label = VFS_WEBDAV,
	.open = door_open,
	.start = door_start,
	.accept = http_conn_accept,
	.drain = door_drain,
	.quiesce = door_quiesce,
	.close = door_close,
};
