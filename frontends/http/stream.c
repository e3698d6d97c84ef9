/* Bodies that are read while they are sent: content of files, and streams of unknown length. Called by libmicrohttpd on
 * the connection's loop.
 *
 * Content that is one plain stretch of a file goes out by sendfile, from a descriptor; other content, and all streams,
 * pass through a window of 64 KiB. A callback that has nothing yet suspends the connection: returning nothing without
 * that would make libmicrohttpd spin. Trouble cuts the connection: an answer that was begun is never short and whole
 * at the same time.
 *
 * The end of a connection is never told to libmicrohttpd by a callback's result: told so in the first call after a
 * resume, 0.9.75 closes the connection when it is neither in its epoll nor in its list of those to be looked at, and
 * never frees it. The socket is shut instead, and the write that fails ends the connection.
 */
#include "frontends/http/http.h"

#include <string.h>
#include <unistd.h>

#include "core/base/log.h"

static ssize_t end_connection(struct http_call *k, char *buf)
{
	k->dead = true;
	http_conn_cut(k->conn);
	*buf = '\0'; /* for the write that fails */
	return 1;
}

static ssize_t cut(struct http_call *k, char *buf, enum gh_status st)
{
	gh_log(GH_LOG_WARN, "http_answer_cut", "request=%s status=%s", k->id, gh_status_name(st));
	return end_connection(k, buf);
}

static ssize_t content_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct http_call *k = cls;
	struct http_answer *a = &k->answer;
	enum gh_status st;
	size_t n = 0;

	if (k->dead)
		return end_connection(k, buf);
	if (http_call_suspend(k))
		return 0;
	if (max > a->length - pos)
		max = (size_t)(a->length - pos);
	st = vfs_content_pull(a->content, a->content_offset + pos, buf, max, &n, http_ready, &k->ex);
	if (st == GH_OK && n)
		return (ssize_t)n;
	if (st != GH_WAIT)
		return cut(k, buf, st);
	k->ex.held = true;
	http_call_suspend(k);
	return 0;
}

static ssize_t window_take(struct http_answer *a, char *buf, size_t max)
{
	size_t n = a->owned.len - a->owned_sent;

	if (n > max)
		n = max;
	memcpy(buf, a->owned.data + a->owned_sent, n);
	a->owned_sent += n;
	return (ssize_t)n;
}

static ssize_t stream_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct http_call *k = cls;
	struct http_answer *a = &k->answer;

	while (a->owned_sent == a->owned.len) {
		enum gh_status st;

		if (k->dead)
			return end_connection(k, buf);
		if (http_call_suspend(k))
			return 0;
		gh_buf_clear(&a->owned);
		a->owned_sent = 0;
		k->again = false;
		st = a->fill(&k->ex, &a->owned);
		if (a->owned.failed)
			return cut(k, buf, GH_NOMEM);
		if (st == GH_END && !a->owned.len)
			return k->ex.http10 ? end_connection(k, buf) : MHD_CONTENT_READER_END_OF_STREAM;
		if (st == GH_OK || st == GH_END || k->again)
			continue; /* a fill that says END again is asked again, with nothing left to say */
		if (st != GH_WAIT)
			return cut(k, buf, st);
		if (a->owned.len)
			continue; /* send that first; a held exchange suspends at the next round */
		k->ex.held = true;
	}
	return window_take(a, buf, max);
}

struct MHD_Response *http_answer_stream(struct http_call *k)
{
	struct http_answer *a = &k->answer;
	struct MHD_Response *r;
	uint64_t offset;
	int fd;

	if (a->kind == ANSWER_STREAM)
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HTTP_WINDOW, stream_read, k, NULL);
	if (!vfs_content_fd(a->content, a->content_offset, a->length, &fd, &offset))
		return MHD_create_response_from_callback(a->length, HTTP_WINDOW, content_read, k, NULL);
	r = MHD_create_response_from_fd_at_offset64(a->length, fd, offset);
	if (!r)
		close(fd);
	return r;
}
