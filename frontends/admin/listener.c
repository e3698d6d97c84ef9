/* The admin listener: probes and metrics over HTTP, with a libmicrohttpd daemon on a loop of its own, so that it answers
 * when the data loops are in trouble. It shows nothing that a login would protect and changes nothing. See admin.h.
 *
 * Threads: open and close on the main thread; everything between on the listener's loop; `draining` from any.
 */
#include "frontends/admin/admin.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/metrics.h"
#include "core/run/doorstep.h"
#include "core/run/loop.h"

#if MHD_VERSION >= 0x00097002
typedef enum MHD_Result mhd_result;
#else
typedef int mhd_result;
#endif

#define CONNECTIONS_MAX 64
/* A connection carries one short exchange: whoever has not ended it by then is in somebody's way. */
#define CONNECTION_MS 5000u
#define METRICS_MAX (4u << 20)

struct admin_listener {
	struct gh_core *core;
	const char *(*not_ready)(struct gh_core *core);
	struct gh_loop *loop;
	struct MHD_Daemon *daemon;
	struct gh_engine engine;
	bool started; /* the loop has a thread */
	atomic_bool draining;
};

/* libmicrohttpd's own time limit begins anew with every byte, so that one byte at a time would hold a connection for ever. */
struct admin_conn {
	struct gh_timer timer;
	int fd;
};

static void time_is_up(struct gh_timer *t, void *arg)
{
	struct admin_conn *c = arg;

	(void)t;
	shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees that and closes it */
}

static void connection_notify(void *arg, struct MHD_Connection *mhd, void **socket_context,
			      enum MHD_ConnectionNotificationCode code)
{
	struct admin_listener *l = arg;
	struct admin_conn *c = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (c)
			gh_timer_cancel(&c->timer);
		free(c);
		*socket_context = NULL;
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return; /* libmicrohttpd's own limit is left */
	c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	gh_timer_init(&c->timer, time_is_up, c);
	gh_timer_set(&c->timer, l->loop, CONNECTION_MS);
	*socket_context = c;
}

static mhd_result reply(struct MHD_Connection *c, unsigned code, struct gh_buf *body, const char *type)
{
	struct MHD_Response *r;
	mhd_result rc;

	if (body->failed || !body->data) {
		gh_buf_fini(body);
		return MHD_NO;
	}
	r = MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		gh_buf_fini(body);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	/* Probes are short and rare: no connection is kept. */
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	rc = MHD_queue_response(c, code, r);
	MHD_destroy_response(r);
	return rc;
}

static mhd_result reply_text(struct MHD_Connection *c, unsigned code, const char *text)
{
	struct gh_buf b;

	gh_buf_init(&b, 1024);
	gh_buf_printf(&b, "%s\n", text);
	return reply(c, code, &b, "text/plain; charset=utf-8");
}

static mhd_result reply_metrics(struct MHD_Connection *c)
{
	struct gh_buf b;

	gh_buf_init(&b, METRICS_MAX);
	gh_metrics_render(&b);
	return reply(c, MHD_HTTP_OK, &b, "text/plain; version=0.0.4; charset=utf-8");
}

static mhd_result reply_ready(struct admin_listener *l, struct MHD_Connection *c)
{
	const char *why = atomic_load(&l->draining) ? "stopping" : l->not_ready(l->core);

	return why ? reply_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, why) : reply_text(c, MHD_HTTP_OK, "ready");
}

static mhd_result handle(void *arg, struct MHD_Connection *c, const char *url, const char *method, const char *version,
			 const char *body, size_t *body_len, void **state)
{
	struct admin_listener *l = arg;
	static const char seen;

	(void)version;
	(void)body;
	/* The first call comes after the header, before any body. What has a body is answered at once and closed. */
	if (!*state && !strcmp(method, MHD_HTTP_METHOD_GET)) {
		*state = (void *)&seen;
		return MHD_YES;
	}
	*body_len = 0;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return reply_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
	if (!strcmp(url, "/healthz"))
		return reply_text(c, MHD_HTTP_OK, "ok");
	if (!strcmp(url, "/readyz"))
		return reply_ready(l, c);
	if (!strcmp(url, "/metrics"))
		return reply_metrics(c);
	return reply_text(c, MHD_HTTP_NOT_FOUND, "here are /healthz, /readyz and /metrics");
}

/* ---- the engine on its loop ---- */

static int64_t engine_timeout_ms(void *arg)
{
	struct admin_listener *l = arg;
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(l->daemon, &ms) == MHD_YES ? (int64_t)ms : -1;
}

static void engine_run(void *arg)
{
	struct admin_listener *l = arg;

	MHD_run(l->daemon);
}

/* ---- life ---- */

static int listen_on(const char *addr, char *ret_addr, char *err)
{
	struct sockaddr_storage ss;
	struct gh_peer where;
	socklen_t len;
	int fd, on = 1;

	if (gh_addr_parse(addr, &ss, &len)) {
		snprintf(err, 256, "\"%.100s\" is not ADDR:PORT", addr);
		return -1;
	}
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		goto failed;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ss.ss_family == AF_INET6) {
		on = 0;
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (bind(fd, (struct sockaddr *)&ss, len) || listen(fd, 64) || getsockname(fd, (struct sockaddr *)&ss, &len))
		goto failed;
	gh_peer_init(&where, (struct sockaddr *)&ss, len);
	snprintf(ret_addr, 64, strchr(where.text, ':') ? "[%s]:%u" : "%s:%u", where.text, where.port);
	return fd;
failed:
	snprintf(err, 256, "cannot listen on %.100s: %s", addr, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static enum gh_status daemon_start(struct admin_listener *l, int fd, char *err)
{
	const union MHD_DaemonInfo *info;

	l->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, l,
				     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
				     MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_MS / 1000, MHD_OPTION_STRICT_FOR_CLIENT, 1,
				     MHD_OPTION_NOTIFY_CONNECTION, connection_notify, l,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384, MHD_OPTION_END);
	if (!l->daemon) {
		close(fd);
		snprintf(err, 256, "the admin listener's HTTP daemon does not start");
		return GH_NOMEM;
	}
	info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	GH_ASSERT(info);
	l->engine = (struct gh_engine){ .fd = info->epoll_fd, .timeout_ms = engine_timeout_ms, .run = engine_run, .arg = l };
	return GH_OK;
}

enum gh_status admin_listener_open(const char *addr, struct gh_core *core, const char *(*not_ready)(struct gh_core *core),
				   char *ret_addr, struct admin_listener **ret, char *err)
{
	struct admin_listener *l = calloc(1, sizeof(*l));
	enum gh_status st;
	int fd;

	if (!l) {
		snprintf(err, 256, "out of memory");
		return GH_NOMEM;
	}
	l->core = core;
	l->not_ready = not_ready;
	fd = listen_on(addr, ret_addr, err);
	st = fd < 0 ? GH_IO : daemon_start(l, fd, err);
	if (st) {
		free(l);
		return st;
	}
	snprintf(err, 256, "no loop for the admin listener");
	st = gh_loop_new(0, &l->loop);
	if (!st)
		st = gh_loop_add_engine(l->loop, &l->engine);
	if (!st)
		st = gh_loop_start(l->loop);
	l->started = !st;
	if (st) {
		admin_listener_close(&l);
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

struct removal {
	struct gh_task task;
	struct admin_listener *l;
};

/* On the loop's thread, where the connections' timers are: nothing may touch the daemon after this. */
static void engine_leave(struct gh_task *t)
{
	struct removal *r = (struct removal *)t;

	gh_loop_remove_engine(&r->l->engine);
	MHD_stop_daemon(r->l->daemon);
	r->l->daemon = NULL;
	gh_loop_stop(r->l->loop);
}

void admin_listener_close(struct admin_listener **pl)
{
	struct admin_listener *l = *pl;
	struct removal r = { .task.fn = engine_leave, .l = l };

	if (!l)
		return;
	*pl = NULL;
	if (l->started)
		gh_loop_post(l->loop, &r.task);
	else if (l->engine.loop)
		gh_loop_remove_engine(&l->engine);
	if (l->loop)
		gh_loop_free(&l->loop);
	if (l->daemon) /* it never ran */
		MHD_stop_daemon(l->daemon);
	free(l);
}
