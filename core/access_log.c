/* See access_log.h. One buffer per loop index behind a mutex of its own (the flusher thread is the only other user), so
 * loops never wait for each other nor for the file. */
#include "core/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/house.h"

#define LOOPS_MAX 256u
#define BUFFER_MAX (1u << 20) /* a flusher that hangs loses lines, it does not eat memory */
#define FLUSH_EVERY_MS 200

struct lane {
	_Alignas(64) pthread_mutex_t lock;
	struct gh_buf buf;
	uint64_t lost;
};

struct access_log {
	char *path;
	int fd;
	pthread_t flusher;
	bool running;
	atomic_bool stop, reopen;
	struct lane lane[LOOPS_MAX];
};

static int open_file(const char *path)
{
	if (strcmp(path, "-") == 0)
		return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static void write_out(struct access_log *l, struct gh_buf *b)
{
	for (size_t done = 0; done < b->len;) {
		const ssize_t n = write(l->fd, b->data + done, b->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* a full disk: the lines are lost, the service goes on */
		done += (size_t)n;
	}
	gh_buf_clear(b);
}

static void flush_all(struct access_log *l, struct gh_buf *spare)
{
	for (unsigned i = 0; i < LOOPS_MAX; i++) {
		struct lane *n = &l->lane[i];
		pthread_mutex_lock(&n->lock);
		const struct gh_buf full = n->buf;
		n->buf = *spare;
		pthread_mutex_unlock(&n->lock);
		*spare = full;
		write_out(l, spare);
	}
}

static void *flusher(void *arg)
{
	struct access_log *l = arg;
	struct gh_buf spare;
	gh_buf_init(&spare, BUFFER_MAX);
	while (!atomic_load(&l->stop)) {
		const struct timespec nap = { 0, FLUSH_EVERY_MS * 1000000l };
		nanosleep(&nap, NULL);
		if (atomic_exchange(&l->reopen, false)) {
			const int fd = open_file(l->path);
			if (fd >= 0) {
				close(l->fd);
				l->fd = fd;
			}
		}
		flush_all(l, &spare);
	}
	flush_all(l, &spare);
	gh_buf_fini(&spare);
	return NULL;
}

enum gh_status access_log_new(const char *path, struct access_log **ret, char *err)
{
	*ret = NULL;
	if (!path || !*path)
		return GH_OK;
	struct access_log *l = aligned_alloc(64, (sizeof(*l) + 63) / 64 * 64);
	if (!l)
		return GH_NOMEM;
	memset(l, 0, sizeof(*l));
	for (unsigned i = 0; i < LOOPS_MAX; i++) {
		pthread_mutex_init(&l->lane[i].lock, NULL);
		gh_buf_init(&l->lane[i].buf, BUFFER_MAX);
	}
	l->path = strdup(path);
	l->fd = l->path ? open_file(path) : -1;
	if (l->fd < 0) {
		snprintf(err, 256, "cannot open access log %s: %s", path, strerror(errno));
		access_log_free(&l);
		return GH_IO;
	}
	if (pthread_create(&l->flusher, NULL, flusher, l) != 0) {
		snprintf(err, 256, "cannot start the access log's thread");
		access_log_free(&l);
		return GH_NOMEM;
	}
	l->running = true;
	*ret = l;
	return GH_OK;
}

void access_log_free(struct access_log **lp)
{
	struct access_log *l = *lp;
	if (!l)
		return;
	if (l->running) {
		atomic_store(&l->stop, true);
		pthread_join(l->flusher, NULL);
	}
	for (unsigned i = 0; i < LOOPS_MAX; i++) {
		gh_buf_fini(&l->lane[i].buf);
		pthread_mutex_destroy(&l->lane[i].lock);
	}
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	free(l);
	*lp = NULL;
}

void access_log_reopen(struct access_log *l)
{
	if (l)
		atomic_store(&l->reopen, true);
}

/* key="value" with quotes, backslashes and controls escaped: no value can forge a line or a key. */
static void add_quoted(struct gh_buf *b, const char *key, const char *value)
{
	char q[512];
	gh_buf_char(b, ' ');
	gh_buf_str(b, key);
	gh_buf_char(b, '=');
	gh_buf_str(b, gh_log_quote(q, sizeof(q), value));
}

static void add_number(struct gh_buf *b, const char *key, uint64_t v)
{
	gh_buf_char(b, ' ');
	gh_buf_str(b, key);
	gh_buf_char(b, '=');
	gh_buf_u64(b, v);
}

static void add_time(struct gh_buf *b)
{
	const int64_t us = gh_real_us();
	const time_t s = (time_t)(us / GH_S_US);
	struct tm tm;
	char text[40];
	gmtime_r(&s, &tm);
	const size_t n = strftime(text, sizeof(text), "ts=%Y-%m-%dT%H:%M:%S", &tm);
	gh_buf_add(b, text, n);
	gh_buf_printf(b, ".%03dZ", (int)(us / 1000 % 1000));
}

void access_log_write(struct access_log *l, const struct vfs_work *w)
{
	if (!l)
		return;
	const struct vfs_req *r = &w->req;
	struct lane *n = &l->lane[gh_loop_index(r->loop) % LOOPS_MAX];
	pthread_mutex_lock(&n->lock);
	struct gh_buf *b = &n->buf;
	const size_t start = b->len;
	add_time(b);
	gh_buf_str(b, " id=");
	gh_buf_str(b, r->id);
	gh_buf_str(b, " door=");
	gh_buf_str(b, vfs_proto_name(r->proto));
	gh_buf_str(b, " op=");
	gh_buf_str(b, vfs_ops[r->op].name);
	gh_buf_str(b, " status=");
	gh_buf_str(b, gh_status_name(r->status));
	if (w->verb)
		add_quoted(b, "verb", w->verb);
	if (w->reply_code)
		add_number(b, "code", (uint64_t)w->reply_code);
	if (r->rule)
		add_number(b, "rule", r->rule);
	add_quoted(b, "tenant", r->session ? vfs_session_tenant(r->session) : NULL);
	add_quoted(b, "user", r->session ? vfs_session_user(r->session) : r->user);
	add_quoted(b, "peer", r->peer);
	if (r->path)
		add_quoted(b, "path", r->path->text);
	if (r->dest)
		add_quoted(b, "dest", r->dest->text);
	add_number(b, "bytes", w->bytes);
	add_number(b, "us", (gh_mono_ns() - w->started_ns) / 1000);
	gh_buf_char(b, '\n');
	if (b->failed) { /* no room until the flusher comes by: the whole line goes, never half of one */
		b->failed = false;
		b->len = start;
		n->lost++;
	}
	pthread_mutex_unlock(&n->lock);
}
