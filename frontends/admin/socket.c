/* admin.sock, server side: a few threads that share one listening socket; each takes a connection, answers its lines one
 * after another, and takes the next. Blocking with deadlines: an idle or slow caller is cut. See admin.h.
 *
 * Shared state: `stopping` (set once, then the event descriptor wakes everyone) and `running` (threads that have not
 * ended), under `lock`.
 */
#include "frontends/admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/rcu.h"
#include "core/control.h"
#include "frontends/admin/socket_path.h"

#define REPLY_MAX (64u << 20)
#define THREADS_MAX 16

struct admin_socket {
	struct admin_socket_config cfg;
	int folder_fd, listen_fd, stop_fd;
	unsigned threads;
	pthread_t ids[THREADS_MAX];
	atomic_bool stopping;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned running;
};

struct caller {
	struct admin_socket *s;
	int fd;
	char actor[32]; /* "uid:0" */
	struct gh_buf in;
};

/* ---- one call ---- */

static void reply_add_failure(struct gh_buf *out, enum gh_status st, const char *message)
{
	const char *text = message && *message ? message : gh_status_text(st);
	json_t *o = json_pack("{s:b, s:s, s:s}", "ok", 0, "status", gh_status_name(st), "message", text);
	char *line = o ? json_dumps(o, JSON_COMPACT) : NULL;

	gh_buf_clear(out);
	gh_buf_str(out, line ? line : "{\"ok\":false,\"status\":\"nomem\",\"message\":\"out of memory\"}");
	gh_buf_char(out, '\n');
	free(line);
	json_decref(o);
}

static int dump_add(const char *data, size_t len, void *arg)
{
	struct gh_buf *out = arg;

	gh_buf_add(out, data, len);
	return out->failed ? -1 : 0;
}

static void reply_add_result(struct gh_buf *out, const json_t *result)
{
	gh_buf_str(out, "{\"ok\":true,\"result\":");
	if (!result)
		gh_buf_str(out, "{}");
	else if (json_dump_callback(result, dump_add, out, JSON_COMPACT))
		out->failed = true;
	gh_buf_str(out, "}\n");
	if (out->failed)
		reply_add_failure(out, GH_TOOLARGE, "the answer is too large; ask for less");
}

/* The request line (without its newline) into the reply. */
static void call_run(struct caller *c, const char *line, size_t len, struct gh_buf *out)
{
	struct control_call call = { .core = c->s->cfg.core, .actor = c->actor, .role = CONTROL_OWNER };
	const char *op = NULL;
	json_t *args = NULL, *root;
	json_error_t why;
	enum gh_status st;

	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	if (!root) {
		char message[sizeof(why.text) + 32];

		snprintf(message, sizeof(message), "not JSON: %s", why.text);
		reply_add_failure(out, GH_INVALID, message);
		return;
	}
	if (json_unpack_ex(root, &why, JSON_STRICT, "{s:s, s?o}", "op", &op, "args", &args) ||
	    (args && !json_is_object(args))) {
		reply_add_failure(out, GH_INVALID, "a call is {\"op\": NAME, \"args\": {...}}");
		json_decref(root);
		return;
	}
	args = args ? json_incref(args) : json_object();
	call.args = args;
	st = args ? c->s->cfg.run(op, &call) : GH_NOMEM;
	if (st)
		reply_add_failure(out, st, call.message);
	else
		reply_add_result(out, call.result);
	json_decref(call.result);
	json_decref(args);
	json_decref(root);
}

/* ---- one connection ---- */

/* Waits for the socket or the stop signal: true = socket ready. A server that stops cuts callers who say nothing. */
static bool caller_wait(struct caller *c, short events, uint64_t deadline_ns)
{
	struct pollfd p[2] = { { .fd = c->fd, .events = events }, { .fd = c->s->stop_fd, .events = POLLIN } };

	for (;;) {
		uint64_t now = gh_mono_ns();
		int n;

		if (now >= deadline_ns)
			return false;
		n = poll(p, events & POLLIN ? 2 : 1, (int)((deadline_ns - now) / GH_MS_NS) + 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || (events & POLLIN && p[1].revents))
			return false;
		return true;
	}
}

static bool caller_send(struct caller *c, const struct gh_buf *out)
{
	uint64_t deadline = gh_mono_ns() + c->s->cfg.line_timeout_ms * GH_MS_NS;
	size_t sent = 0;

	while (sent < out->len) {
		ssize_t n = send(c->fd, out->data + sent, out->len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (!caller_wait(c, POLLOUT, deadline))
				return false;
		} else
			return false;
	}
	return true;
}

/* Reads up to a newline into c->in; *ret_len without it. false: gone, too slow, stopping. */
static bool caller_line(struct caller *c, size_t *ret_len, bool *ret_too_long)
{
	uint64_t deadline = gh_mono_ns() + c->s->cfg.line_timeout_ms * GH_MS_NS;
	size_t searched = 0;

	*ret_too_long = false;
	for (;;) {
		char *nl = c->in.len > searched ? memchr(c->in.data + searched, '\n', c->in.len - searched) : NULL;
		char part[16384];
		ssize_t n;

		if (nl) {
			*ret_len = (size_t)(nl - c->in.data);
			return true;
		}
		searched = c->in.len;
		if (!caller_wait(c, POLLIN, deadline))
			return false;
		n = recv(c->fd, part, sizeof(part), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return false;
		gh_buf_add(&c->in, part, (size_t)n);
		if (c->in.failed) {
			*ret_too_long = true;
			return false;
		}
	}
}

/* What follows the line stays for the next one. */
static void caller_consume(struct caller *c, size_t used)
{
	memmove(c->in.data, c->in.data + used, c->in.len - used);
	c->in.len -= used;
}

static void caller_serve(struct caller *c)
{
	struct gh_buf out;
	bool too_long = false;
	size_t len;

	gh_buf_init(&out, REPLY_MAX);
	while (caller_line(c, &len, &too_long)) {
		gh_buf_clear(&out);
		call_run(c, c->in.data, len, &out);
		caller_consume(c, len + 1);
		if (!caller_send(c, &out))
			break;
	}
	if (too_long) {
		reply_add_failure(&out, GH_TOOLARGE, "a request line holds at most 1 MiB");
		(void)caller_send(c, &out);
	}
	gh_buf_fini(&out);
}

/* Root and the server's own user, by the kernel's word. */
static bool caller_admit(struct caller *c)
{
	socklen_t len = sizeof(struct ucred);
	struct ucred who;

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &who, &len))
		return false;
	snprintf(c->actor, sizeof(c->actor), "uid:%u", who.uid);
	if (who.uid == 0 || who.uid == geteuid())
		return true;
	gh_log(GH_LOG_WARN, "admin.refused", "actor=%s pid=%d", c->actor, who.pid);
	return false;
}

static void connection_take(struct admin_socket *s)
{
	struct caller c = { .s = s };

	c.fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (c.fd < 0) {
		/* Another thread took it, or it left; out of descriptors: give them time to come back. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
		return;
	}
	gh_buf_init(&c.in, ADMIN_LINE_MAX + 1);
	if (caller_admit(&c)) {
		caller_serve(&c);
	} else {
		struct gh_buf out;

		gh_buf_init(&out, 4096);
		reply_add_failure(&out, GH_DENIED, "only root and the user whom the server runs as may do this");
		(void)caller_send(&c, &out);
		gh_buf_fini(&out);
	}
	gh_buf_fini(&c.in);
	close(c.fd);
}

static void *thread_main(void *arg)
{
	struct admin_socket *s = arg;
	struct pollfd p[2] = { { .fd = s->listen_fd, .events = POLLIN }, { .fd = s->stop_fd, .events = POLLIN } };

	gh_rcu_register();
	gh_rcu_offline();
	while (!atomic_load(&s->stopping)) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents && !atomic_load(&s->stopping))
			connection_take(s);
	}
	gh_rcu_unregister();
	pthread_mutex_lock(&s->lock);
	s->running--;
	pthread_cond_signal(&s->ended);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- life ---- */

static enum gh_status socket_listen(struct admin_socket *s, char *err)
{
	struct sockaddr_un addr;
	mode_t mask;
	int rc;

	s->folder_fd = open(s->cfg.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder_fd < 0)
		goto failed;
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listen_fd < 0)
		goto failed;
	admin_socket_address(s->folder_fd, &addr);
	if (unlinkat(s->folder_fd, ADMIN_SOCKET_NAME, 0) && errno != ENOENT)
		goto failed;
	mask = umask(0177);
	rc = bind(s->listen_fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (rc || listen(s->listen_fd, 64))
		goto failed;
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stop_fd < 0)
		goto failed;
	return GH_OK;
failed:
	snprintf(err, 256, "%.150s/" ADMIN_SOCKET_NAME ": %s", s->cfg.folder, strerror(errno));
	return GH_IO;
}

static void socket_free(struct admin_socket *s)
{
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->stop_fd >= 0)
		close(s->stop_fd);
	if (s->folder_fd >= 0)
		close(s->folder_fd);
	pthread_cond_destroy(&s->ended);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

enum gh_status admin_socket_open(const struct admin_socket_config *cfg, struct admin_socket **ret, char *err)
{
	struct admin_socket *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	enum gh_status st;

	if (!s) {
		snprintf(err, 256, "out of memory");
		return GH_NOMEM;
	}
	s->cfg = *cfg;
	s->cfg.threads = cfg->threads && cfg->threads <= THREADS_MAX ? cfg->threads : 4;
	s->cfg.line_timeout_ms = cfg->line_timeout_ms ? cfg->line_timeout_ms : 10000;
	s->folder_fd = s->listen_fd = s->stop_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->ended, &attr);
	pthread_condattr_destroy(&attr);
	st = socket_listen(s, err);
	if (st) {
		socket_free(s);
		return st;
	}
	for (; s->threads < s->cfg.threads; s->threads++) {
		pthread_mutex_lock(&s->lock);
		s->running++;
		pthread_mutex_unlock(&s->lock);
		if (pthread_create(&s->ids[s->threads], NULL, thread_main, s)) {
			pthread_mutex_lock(&s->lock);
			s->running--;
			pthread_mutex_unlock(&s->lock);
			snprintf(err, 256, "cannot make a thread for " ADMIN_SOCKET_NAME);
			(void)admin_socket_close(&s, 10000);
			return GH_NOMEM;
		}
	}
	*ret = s;
	return GH_OK;
}

bool admin_socket_close(struct admin_socket **ps, unsigned wait_ms)
{
	struct admin_socket *s = *ps;
	struct timespec until;
	bool all;

	if (!s)
		return true;
	*ps = NULL;
	atomic_store(&s->stopping, true);
	(void)!write(s->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	unlinkat(s->folder_fd, ADMIN_SOCKET_NAME, 0);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&s->lock);
	while (s->running && pthread_cond_timedwait(&s->ended, &s->lock, &until) != ETIMEDOUT)
		;
	all = !s->running;
	pthread_mutex_unlock(&s->lock);
	if (!all)
		return false;
	for (unsigned i = 0; i < s->threads; i++)
		pthread_join(s->ids[i], NULL);
	socket_free(s);
	return true;
}
