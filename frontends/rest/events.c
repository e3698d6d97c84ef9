/* GET /api/v1/events: what has come, changed, moved and gone, as far as the caller may see it.
 *
 *   ?after=CURSOR   behind it; without one: nothing but where the log ends now ("next": list, then go on from there)
 *   &limit=N        at most so many, and what belongs to the last of them (1000, at most 10000)
 *   &wait=SECONDS   where there is nothing, until there is (at most 60)
 *
 *   {"events":[{"type":"changed","path":"/a.txt","time":"...","cursor":"..."}, ...],"next":"...","oldest":"...","newest":"..."}
 *
 * With Accept: text/event-stream the same as server-sent events without an end: event names are types, ids are cursors, and
 * Last-Event-ID, which a browser sends by itself, goes before `after`. A cursor that is of no use any more is answered 410.
 *
 * A held exchange is a watch of the core (vfs_watch_begin) and a timer. On the exchange's loop.
 */
#include "frontends/rest/rest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/run/loop.h"

enum { LIMIT_MAX = 10000, LIMIT_STREAM = 1000, WAIT_MAX_S = 60, BEAT_MS = 15000, FILL_BYTES = 48 << 10, ANSWER_MAX = 32 << 20 };

struct follow {
	struct rest_state state; /* first */
	struct http_ex *ex;
	char cursor[VFS_CURSOR_LEN + 1]; /* told up to here; "" = nothing yet */
	unsigned limit;
	uint64_t until_ns; /* long poll */
	struct vfs_watch *watch;
	struct gh_timer timer;
	/* stream */
	bool streams, begun, asks, waits, beats, ending, over;
	struct vfs_req *req;   /* being told */
	unsigned run, at;      /* next of it */
	struct gh_buf words;   /* the last ones */
};

static struct follow *follow_of(struct http_ex *ex)
{
	return ex->state;
}

/* ---- how an event sounds ---- */

static void tell_item(struct gh_buf *out, const struct vfs_feed_item *it)
{
	static const char *const names[] = { "created", "changed", "moved", "gone", "resync" };
	char time[HTTP_DATE_LEN];

	gh_buf_printf(out, "{\"type\":\"%s\",\"path\":\"", names[it->word]);
	gh_buf_json(out, it->path, strlen(it->path));
	if (it->dest) {
		gh_buf_str(out, "\",\"to\":\"");
		gh_buf_json(out, it->dest, strlen(it->dest));
	}
	http_rfc3339_format(time, it->time_us);
	if (it->node)
		gh_buf_printf(out, "\",\"id\":\"%llu", (unsigned long long)it->node);
	gh_buf_printf(out, "\",\"time\":\"%s\",\"cursor\":\"%s\"}", time, it->cursor);
}

static void tell_ends(struct gh_buf *out, const struct vfs_req *req)
{
	gh_buf_printf(out, "\"next\":\"%s\",\"oldest\":\"%s\",\"newest\":\"%s\"}", req->feed_next, req->feed_oldest,
		      req->feed_newest);
}

static void tell_all(struct http_ex *ex, struct vfs_req *req)
{
	struct gh_buf b;
	bool any = false;

	gh_buf_init(&b, ANSWER_MAX);
	gh_buf_str(&b, "{\"events\":[");
	for (unsigned r = 0; r < req->run_count; r++)
		for (unsigned i = 0; i < req->runs[r].count; i++) {
			gh_buf_str(&b, any ? ",\n" : "\n");
			tell_item(&b, req->runs[r].items[i]);
			any = true;
		}
	gh_buf_str(&b, any ? "\n]," : "],");
	tell_ends(&b, req);
	gh_buf_char(&b, '\n');
	vfs_req_log(req, http_method_name(ex->method), 200, 0);
	vfs_req_free(&req);
	rest_json_headers(ex, "application/json");
	http_reply_buf(ex, 200, &b);
}

/* ---- refusals ---- */

static void cursor_problem(struct gh_buf *out)
{
	gh_buf_str(out, "{\"type\":\"urn:gatehouse:problem:cursor-expired\",\"title\":\"the cursor cannot be used any more\","
			"\"status\":410,\"reason\":\"cursor-expired\",\"detail\":\"Events behind it are not kept any more, or it "
			"is not one of this tenant's. Ask for events without a cursor, list again, and go on from the cursor "
			"that was got.\"");
}

static void refuse_cursor(struct http_ex *ex, struct vfs_req *req)
{
	struct gh_buf b;

	gh_buf_init(&b, 4096);
	cursor_problem(&b);
	gh_buf_printf(&b, ",\"request_id\":\"%s\"}\n", ex->request_id);
	if (req)
		vfs_req_log(req, http_method_name(ex->method), 410, 0);
	rest_json_headers(ex, "application/problem+json");
	http_reply_buf(ex, 410, &b);
}

static void refuse(struct http_ex *ex, struct vfs_req *req)
{
	if (req->status == GH_NOTFOUND)
		refuse_cursor(ex, req);
	else
		http_refuse(ex, req->status, req);
	vfs_req_free(&req);
}

/* ---- asking and waiting, both ways ---- */

static enum gh_status ask(struct http_ex *ex, struct vfs_req **ret)
{
	struct follow *f = follow_of(ex);
	struct vfs_req *req;
	enum gh_status st = http_req(ex, VFS_EVENTS, &req);

	if (st != GH_OK)
		return st;
	req->path = NULL;
	req->cursor = gh_strdup(req->arena, f->cursor);
	req->limit = f->limit;
	*ret = req;
	return GH_OK;
}

static void stop_waiting(struct follow *f)
{
	f->waits = false;
	gh_timer_cancel(&f->timer);
	vfs_watch_end(&f->watch);
}

static void follow_gone(struct http_ex *ex)
{
	struct follow *f = follow_of(ex);

	stop_waiting(f);
	vfs_req_free(&f->req);
	gh_buf_fini(&f->words);
}

static void woken(void *arg);
static void time_came(struct gh_timer *t, void *arg);

/* AGAIN: do not wait, there is something. */
static enum gh_status wait_for(struct follow *f, uint64_t ms)
{
	struct http_ex *ex = f->ex;
	enum gh_status st = vfs_watch_begin(ex->core, ex->loop, ex->session, f->cursor, woken, f, &f->watch);

	if (st != GH_OK)
		return st;
	f->waits = true;
	gh_timer_set(&f->timer, ex->loop, ms);
	return GH_OK;
}

/* ---- long poll ---- */

static uint64_t left_ms(const struct follow *f)
{
	const uint64_t now = gh_mono_ns();

	return f->until_ns > now ? (f->until_ns - now) / GH_MS_NS + 1 : 0;
}

static void polled(struct http_ex *ex, struct vfs_req *req);

static void poll(struct http_ex *ex)
{
	struct vfs_req *req;
	enum gh_status st = ask(ex, &req);

	if (st != GH_OK)
		http_refuse(ex, st, NULL);
	else
		http_submit(ex, req, polled);
}

static void polled(struct http_ex *ex, struct vfs_req *req)
{
	struct follow *f = follow_of(ex);
	enum gh_status st;

	if (req->status != GH_OK) {
		refuse(ex, req);
		return;
	}
	if (req->feed_count || !f->cursor[0] || !left_ms(f)) {
		tell_all(ex, req);
		return;
	}
	memcpy(f->cursor, req->feed_next, sizeof(f->cursor));
	req->will_wait = true;
	vfs_req_free(&req);
	st = wait_for(f, left_ms(f));
	if (st == GH_OK)
		http_hold(ex);
	else if (st == GH_AGAIN)
		poll(ex);
	else
		http_refuse(ex, st, NULL);
}

/* ---- the stream ---- */

static void say(struct gh_buf *out, const struct vfs_feed_item *it)
{
	gh_buf_printf(out, "id: %s\ndata: ", it->cursor);
	tell_item(out, it);
	gh_buf_str(out, "\n\n");
}

/* What it was told, as far as there is room. */
static void say_some(struct follow *f, struct gh_buf *out)
{
	struct vfs_req *req = f->req;

	while (f->run < req->run_count && out->len < FILL_BYTES) {
		say(out, req->runs[f->run].items[f->at]);
		if (++f->at == req->runs[f->run].count) {
			f->at = 0;
			f->run++;
		}
	}
	if (f->run == req->run_count)
		vfs_req_free(&f->req);
}

/* An event without data is none; its id is remembered all the same, so that a long silence is not read over again. */
static void say_alive(struct follow *f, struct gh_buf *out)
{
	f->beats = false;
	gh_buf_printf(out, ": alive\nid: %s\n\n", f->cursor);
}

static void end_with(struct follow *f, const struct vfs_req *why)
{
	const enum gh_status st = why ? why->status : GH_STOPPING;

	stop_waiting(f);
	f->ending = true;
	gh_buf_str(&f->words, "event: end\ndata: ");
	if (st == GH_NOTFOUND)
		cursor_problem(&f->words);
	else
		rest_problem_json(&f->words, st, http_code_of(st), why);
	gh_buf_str(&f->words, "}\n\n");
}

bool rest_events_last_words(struct http_ex *ex, const struct vfs_req *why)
{
	struct follow *f = follow_of(ex);

	if (f->ending)
		return true;
	end_with(f, why);
	return !f->words.failed;
}

static void heard(struct http_ex *ex, struct vfs_req *req)
{
	struct follow *f = follow_of(ex);

	if (f->ending) { /* told so while it was asked */
		vfs_req_free(&req);
		return;
	}
	if (req->status != GH_OK) {
		end_with(f, req);
		vfs_req_free(&req);
		return;
	}
	memcpy(f->cursor, req->feed_next, sizeof(f->cursor));
	if (req->feed_count) {
		f->req = req;
		f->run = f->at = 0;
		f->asks = true; /* there may be more */
		return;
	}
	req->will_wait = f->begun;
	vfs_req_free(&req);
	f->asks = wait_for(f, BEAT_MS) != GH_OK;
}

static enum gh_status fill(struct http_ex *ex, struct gh_buf *out)
{
	struct follow *f = follow_of(ex);
	struct vfs_req *req;
	enum gh_status st;

	if (f->over)
		return GH_END;
	if (f->ending) {
		gh_buf_add(out, f->words.data, f->words.len);
		f->over = true;
		return GH_OK;
	}
	if (f->beats)
		say_alive(f, out);
	if (f->req)
		say_some(f, out);
	if (out->len)
		return GH_OK;
	if (!f->asks)
		return GH_WAIT;
	f->asks = false;
	st = ask(ex, &req);
	if (st != GH_OK)
		return st;
	http_submit_in_stream(ex, req, heard);
	return GH_WAIT;
}

/* The first look came before the answer, so that a refusal is one. */
static void begin_stream(struct http_ex *ex, struct vfs_req *req)
{
	struct follow *f = follow_of(ex);

	if (req->status != GH_OK) {
		refuse(ex, req);
		return;
	}
	vfs_req_log(req, http_method_name(ex->method), 200, 0);
	f->beats = true; /* a reader without a cursor has one at once */
	heard(ex, req);
	f->begun = true;
	http_reply_header(ex, "Content-Type", "text/event-stream");
	http_reply_header(ex, "Cache-Control", "no-store");
	http_reply_header(ex, "X-Content-Type-Options", "nosniff");
	http_reply_header(ex, "X-Accel-Buffering", "no"); /* nginx in front must not collect it */
	http_reply_stream(ex, 200, fill);
}

/* ---- being woken ---- */

static void go_on(struct follow *f, bool beats)
{
	stop_waiting(f);
	if (!f->streams) {
		http_let_go(f->ex, poll);
		return;
	}
	f->asks = true;
	f->beats = beats;
	http_ready(f->ex);
}

static void woken(void *arg)
{
	go_on(arg, false);
}

static void time_came(struct gh_timer *t, void *arg)
{
	go_on(arg, true);
}

/* ---- the beginning ---- */

static bool number(const char *text, unsigned long least, unsigned long most, unsigned long *ret)
{
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 9)
		return false;
	*ret = strtoul(text, &end, 10);
	if (*ret > most)
		*ret = most;
	return !*end && *ret >= least;
}

/* Is text/event-stream among the types of Accept? Which others are preferred is not asked. */
static bool wants_stream(const struct http_ex *ex)
{
	static const char type[] = "text/event-stream";
	const char *p = http_header(ex, "Accept");

	for (; p && *p; p += *p == ',') {
		p += strspn(p, " \t");
		if (!strncasecmp(p, type, sizeof(type) - 1) && strcspn(p, " \t;,") == sizeof(type) - 1)
			return true;
		p += strcspn(p, ",");
	}
	return false;
}

static enum gh_status read_query(struct http_ex *ex, struct follow *f)
{
	const char *limit = http_query(ex, "limit"), *wait = http_query(ex, "wait"), *after = http_query(ex, "after");
	const char *last = f->streams ? http_header(ex, "Last-Event-ID") : NULL;
	unsigned long n;

	f->limit = 1000;
	f->until_ns = 0;
	if (limit && !number(limit, 1, LIMIT_MAX, &n))
		return GH_INVALID;
	if (limit)
		f->limit = (unsigned)n;
	if (f->streams && f->limit > LIMIT_STREAM)
		f->limit = LIMIT_STREAM;
	if (wait && !number(wait, 0, WAIT_MAX_S, &n))
		return GH_INVALID;
	if (wait && n)
		f->until_ns = gh_mono_ns() + n * GH_S_NS;
	if (last && *last)
		after = last;
	if (after && strlen(after) != VFS_CURSOR_LEN)
		return *after ? GH_NOTFOUND : GH_OK;
	if (after)
		memcpy(f->cursor, after, VFS_CURSOR_LEN);
	return GH_OK;
}

void rest_events(struct http_ex *ex)
{
	struct follow *f = gh_alloc(ex->arena, sizeof(*f));
	struct vfs_req *req;
	enum gh_status st;

	if (!f || ex->path_len) {
		http_refuse(ex, f ? GH_NOTFOUND : GH_NOMEM, NULL);
		return;
	}
	f->state.gone = follow_gone;
	f->ex = ex;
	gh_buf_init(&f->words, 64 << 10);
	gh_timer_init(&f->timer, time_came, f);
	ex->state = f;
	f->streams = wants_stream(ex);
	st = read_query(ex, f);
	if (st == GH_NOTFOUND) {
		refuse_cursor(ex, NULL);
		return;
	}
	if (st == GH_OK && f->streams)
		st = ask(ex, &req);
	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	ex->watches = true;
	if (f->streams)
		http_submit(ex, req, begin_stream);
	else
		poll(ex);
}
