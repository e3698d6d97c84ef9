/* Answers: put together by services through exchange.h, kept in the call, then handed to libmicrohttpd in one piece. On
 * the connection's loop.
 *
 * Whatever an answer's bytes live in (the exchange's arena, a taken buffer, a request's arena) is kept until the
 * exchange is completed: libmicrohttpd never copies and never frees it.
 */
#include "frontends/http/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/log.h"

enum { RETRY_AFTER_S = 5, RAW_MAX = 64 << 10 };

static const char challenge[] = "Basic realm=\"Gatehouse\", charset=\"UTF-8\""; /* RFC 7617 section 2.1 */

const char *http_date_now(struct http_shard *s)
{
	int64_t now_us = gh_real_us(), now_s = now_us / GH_S_US;

	if (now_s != s->date_s) {
		s->date_s = now_s;
		http_date_format(s->date, now_us);
	}
	return s->date;
}

/* ---- fields ---- */

static bool has_field(const struct http_answer *a, const char *name)
{
	for (unsigned i = 0; i < a->field_count; i++)
		if (!strcasecmp(a->fields[i].name, name))
			return true;
	return false;
}

/* name and value stay where they are. */
static void field_set(struct http_answer *a, const char *name, const char *value)
{
	unsigned i = 0;

	while (i < a->field_count && strcasecmp(a->fields[i].name, name))
		i++;
	GH_ASSERT(i < HTTP_REPLY_FIELDS_MAX);
	a->fields[i].name = name;
	a->fields[i].value = value;
	if (i == a->field_count)
		a->field_count++;
}

void http_reply_header(struct http_ex *ex, const char *name, const char *value)
{
	char *n = gh_strdup(ex->arena, name), *v = gh_strdup(ex->arena, value);

	if (!n || !v)
		return;
	/* Whatever came in from outside and ended up here cannot begin a line of its own. */
	for (char *p = v; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	field_set(&http_call_of(ex)->answer, n, v);
}

/* ---- the kinds of answer ---- */

static struct http_answer *answer(struct http_ex *ex, int code, enum http_answer_kind kind)
{
	struct http_answer *a = &http_call_of(ex)->answer;

	GH_ASSERT(!ex->answered);
	ex->answered = true;
	a->code = code;
	a->kind = kind;
	return a;
}

void http_reply(struct http_ex *ex, int code, const void *body, size_t len)
{
	struct http_answer *a = answer(ex, code, ANSWER_BYTES);

	a->bytes = len ? gh_memdup(ex->arena, body, len) : NULL;
	a->length = a->bytes ? len : 0;
}

void http_reply_static(struct http_ex *ex, int code, const char *body)
{
	struct http_answer *a = answer(ex, code, ANSWER_BYTES);

	a->bytes = body;
	a->length = strlen(body);
}

void http_reply_buf(struct http_ex *ex, int code, struct gh_buf *body)
{
	struct http_answer *a;

	if (body->failed) {
		gh_buf_fini(body);
		http_refuse(ex, GH_NOMEM, NULL);
		return;
	}
	a = answer(ex, code, ANSWER_BYTES);
	a->owned = *body;
	gh_buf_init(body, body->max);
	a->bytes = a->owned.data;
	a->length = a->owned.len;
}

void http_reply_inline(struct http_ex *ex, int code, struct vfs_req *req, const void *data, size_t len)
{
	struct http_answer *a = answer(ex, code, ANSWER_BYTES);

	a->req = req;
	a->bytes = data;
	a->length = len;
}

void http_reply_content(struct http_ex *ex, int code, struct vfs_content **c, uint64_t offset, uint64_t length)
{
	struct http_answer *a = answer(ex, code, ANSWER_CONTENT);

	a->content = *c;
	a->content_offset = offset;
	a->length = length;
	*c = NULL;
}

void http_reply_stream(struct http_ex *ex, int code, http_fill_fn *fill)
{
	struct http_answer *a = answer(ex, code, ANSWER_STREAM);

	a->fill = fill;
	gh_buf_init(&a->owned, 2 * HTTP_WINDOW);
}

void http_refuse(struct http_ex *ex, enum gh_status st, const struct vfs_req *req)
{
	int code = http_code_of(st);
	uint32_t after_s = req ? req->retry_after_s : 0;

	if (st == GH_DRAINING)
		http_call_of(ex)->answer.close = true;
	if (st == GH_UNAUTH)
		field_set(&http_call_of(ex)->answer, "WWW-Authenticate", challenge);
	if (!after_s && (code == 503 || code == 429))
		after_s = RETRY_AFTER_S;
	if (after_s) {
		char text[16];

		snprintf(text, sizeof(text), "%u", after_s);
		http_reply_header(ex, "Retry-After", text);
	}
	if (req) /* the request is the door's, only its service must not touch it */
		vfs_req_log((struct vfs_req *)req, http_method_name(ex->method), code, 0);
	ex->service->refuse(ex, st, req);
}

void http_answer_fini(struct http_answer *a)
{
	vfs_req_free(&a->req);
	vfs_content_free(&a->content);
	gh_buf_fini(&a->owned);
}

/* ---- handing over ---- */

/* What every answer carries, and what its code must not go without. */
static void complete_fields(struct http_call *k)
{
	struct http_answer *a = &k->answer;

	field_set(a, "X-Request-Id", k->id);
	field_set(a, "Date", http_date_now(k->conn->shard));
	if (a->close || k->conn->drained || atomic_load_explicit(&k->conn->shard->door->draining, memory_order_relaxed))
		field_set(a, "Connection", "close");
	if (a->code == 401 && !has_field(a, "WWW-Authenticate"))
		field_set(a, "WWW-Authenticate", challenge);
	if (a->code == 405 && !has_field(a, "Allow"))
		field_set(a, "Allow", "OPTIONS, GET, HEAD, DELETE");
}

static ssize_t nothing_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	return MHD_CONTENT_READER_END_WITH_ERROR; /* HEAD and 304: never asked */
}

static struct MHD_Response *response_of(struct http_call *k)
{
	struct http_answer *a = &k->answer;
	union {
		const void *c;
		void *v;
	} bytes = { .c = a->bytes }; /* the library's signature lacks a const; PERSISTENT promises it */

	/* The library says a Content-Length with 304 too: then what a 200 would have had (RFC 9110 section 8.6). */
	if (a->code == 304)
		return MHD_create_response_from_callback(a->unsent_length, 1, nothing_read, NULL, NULL);
	if (a->kind == ANSWER_BYTES)
		return MHD_create_response_from_buffer(a->length, bytes.v, MHD_RESPMEM_PERSISTENT);
	if (k->ex.method == HTTP_HEAD && a->kind == ANSWER_CONTENT)
		return MHD_create_response_from_callback(a->length, 1, nothing_read, NULL, NULL);
	return http_answer_stream(k);
}

enum MHD_Result http_answer_queue(struct http_call *k)
{
	struct http_answer *a = &k->answer;
	struct MHD_Response *r = response_of(k);
	enum MHD_Result ok;

	if (!r) {
		k->dead = true;
		return MHD_NO;
	}
	complete_fields(k);
	for (unsigned i = 0; i < a->field_count; i++)
		MHD_add_response_header(r, a->fields[i].name, a->fields[i].value);
	k->stage = CALL_REPLY;
	http_deadline_phase(k->conn);
	ok = MHD_queue_response(k->conn->mhd, (unsigned)a->code, r);
	MHD_destroy_response(r);
	if (ok != MHD_YES)
		k->dead = true;
	return ok;
}

const char *http_reason_of(int code)
{
	return MHD_get_reason_phrase_for((unsigned)code);
}

void http_answer_raw(struct http_call *k)
{
	struct http_answer *a = &k->answer;
	struct gh_buf b;

	k->dead = true;
	if (a->kind != ANSWER_BYTES || a->length > RAW_MAX)
		return;
	a->close = true;
	complete_fields(k);
	gh_buf_init(&b, 2 * RAW_MAX);
	gh_buf_printf(&b, "HTTP/1.1 %d %s\r\n", a->code, http_reason_of(a->code));
	for (unsigned i = 0; i < a->field_count; i++)
		gh_buf_printf(&b, "%s: %s\r\n", a->fields[i].name, a->fields[i].value);
	gh_buf_printf(&b, "Content-Length: %llu\r\n\r\n", (unsigned long long)a->length);
	gh_buf_add(&b, a->bytes, a->length);
	/* Nothing of this exchange has been sent but a whole 100 Continue, and all before it is out: these bytes fit in
	 * the socket's buffer or they are lost with the connection. */
	if (!b.failed && send(k->conn->fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)b.len)
		k->conn->linger = true;
	gh_buf_fini(&b);
}
