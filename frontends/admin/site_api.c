/* /admin/v1: one exchange from its headers to its answer. See site.h and, for what it promises, README.md and
 * /admin/v1/openapi.json.
 *
 *   POST OP  {arguments}      any control operation (core/control.h)
 *   GET  OP?argument=text     those that change nothing
 *   sign-in, sign-out, session, live, openapi.json
 *
 * Everything before the body is memory only: who it is, whether there is such an operation, whether it may be asked for
 * this way. The role is control_run's to check. On the listener's loop, but for op_work.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "frontends/admin/site.h"

enum { NAME_MAX_LEN = 64, BODY_MAX = 1 << 20, SMALL_BODY_MAX = 16384 };
#define ANSWER_MAX (64u << 20)

struct admin_listener *site_of(const struct http_ex *ex)
{
	union {
		const void *c;
		struct admin_listener *l;
	} config = { .c = ex->env->config };

	return config.l;
}

/* ---- answers ---- */

static void api_headers(struct http_ex *ex, const char *type)
{
	http_reply_header(ex, "Content-Type", type);
	http_reply_header(ex, "Cache-Control", "no-store");
	http_reply_header(ex, "X-Content-Type-Options", "nosniff");
	http_reply_header(ex, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
	http_reply_header(ex, "Referrer-Policy", "no-referrer");
}

void site_problem(struct http_ex *ex, int code, const char *reason, const char *detail, unsigned retry_after_s)
{
	json_t *o = json_pack("{s:s, s:i, s:s, s:s}", "title", http_reason_of(code), "status",
			      code, "detail", detail, "reason", reason);
	char *text, number[16];

	if (o && retry_after_s)
		json_object_set_new(o, "retry_after", json_integer(retry_after_s));
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	api_headers(ex, "application/problem+json");
	if (retry_after_s) {
		snprintf(number, sizeof(number), "%u", retry_after_s);
		http_reply_header(ex, "Retry-After", number);
	}
	/* A scheme that no browser opens a window for (RFC 6750 section 3). */
	if (code == 401)
		http_reply_header(ex, "WWW-Authenticate", "Bearer realm=\"Gatehouse\"");
	/* Who is nobody holds no connection. */
	if (code == 401 || code == 429)
		http_reply_header(ex, "Connection", "close");
	http_reply(ex, code, text ? text : "{}", text ? strlen(text) : 2);
	free(text);
	json_decref(o);
}

void site_refuse(struct http_ex *ex, enum gh_status st, const char *detail, unsigned retry_after_s)
{
	int code = st == GH_TOOLONG ? 400 : http_code_of(st); /* a name in a body, not the address */

	site_problem(ex, code, gh_status_name(st), detail && *detail ? detail : gh_status_text(st),
		     !retry_after_s && code == 503 ? 1 : retry_after_s);
}

void site_json_text(struct http_ex *ex, struct gh_buf *text)
{
	api_headers(ex, "application/json");
	http_reply_buf(ex, 200, text);
}

void site_json(struct http_ex *ex, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	if (text) {
		api_headers(ex, "application/json");
		http_reply(ex, 200, text, strlen(text));
	} else {
		site_refuse(ex, GH_NOMEM, NULL, 0);
	}
	free(text);
	json_decref(o);
}

/* ---- control operations ---- */

struct op_job {
	struct site_job job;
	const struct control_op *op;
	json_t *args;
	bool texts;
	char own[SITE_SECRET_HEX]; /* cookie of a session whose operator changes itself; "" */
	struct operator_who who;
	enum gh_status st;
	char message[256];
	struct gh_buf out;
};

static int dump_add(const char *data, size_t len, void *arg)
{
	struct gh_buf *out = arg;

	gh_buf_add(out, data, len);
	return out->failed ? -1 : 0;
}

static void count(enum gh_status st)
{
	const enum gh_status_class class = gh_status_class(st);

	gh_metric_add(GH_M_ADMIN_CALLS,
		      st == GH_OK                                            ? 0
		      : class == GH_CLASS_CALLER || class == GH_CLASS_TENANT ? 1
									     : 2,
		      1);
}

static void op_work(struct site_job *job)
{
	struct op_job *j = (struct op_job *)job;
	struct control_call c = {
		.core = job->l->cfg.core, .args = j->args, .texts = j->texts, .actor = j->who.actor, .role = j->who.role
	};
	const uint64_t began_ns = gh_mono_ns();
	char actor[2 * OPERATOR_ACTOR_MAX];

	j->st = job->l->cfg.run(j->op->name, &c);
	memcpy(j->message, c.message, sizeof(j->message));
	if (j->st == GH_OK && json_dump_callback(c.result, dump_add, &j->out, JSON_COMPACT | JSON_REAL_PRECISION(6))) {
		j->st = j->out.failed ? GH_TOOLARGE : GH_NOMEM;
		snprintf(j->message, sizeof(j->message), "the answer is too large; ask for less");
	}
	json_decref(c.result);
	count(j->st);
	if (j->op->mutates || j->st != GH_OK)
		gh_log(GH_LOG_INFO, "admin.call", "op=%s actor=%s status=%s ms=%ju", j->op->name,
		       gh_log_quote(actor, sizeof(actor), j->who.actor), gh_status_name(j->st),
		       (uintmax_t)((gh_mono_ns() - began_ns) / GH_MS_NS));
}

/* Is it a change that whoever is signed in makes of itself? */
static bool is_own_change(const struct control_op *op, const json_t *args, const struct site_who *who)
{
	const char *name = json_string_value(json_object_get(args, "name"));

	return *who->csrf && name && !strcasecmp(name, who->who.actor) &&
	       (!strcmp(op->name, "operator.set") || !strcmp(op->name, "operator.totp"));
}

static void op_finish(struct site_job *job)
{
	struct op_job *j = (struct op_job *)job;

	if (j->st == GH_OK)
		site_json_text(job->ex, &j->out);
	else
		site_refuse(job->ex, j->st, j->message, 0);
}

static void op_free(struct site_job *job)
{
	struct op_job *j = (struct op_job *)job;

	if (*j->own)
		site_session_renew(job->l->sessions, job->l->cfg.core, j->own);
	explicit_bzero(j->own, sizeof(j->own));
	json_decref(j->args);
	gh_buf_fini(&j->out);
	free(j);
}

/* ?tenant=acme&limit=10 as an object of texts. NULL: why says what is wrong. */
static json_t *args_of_query(struct http_ex *ex, const char **why)
{
	json_t *args = json_object();

	*why = "an argument is not text";
	for (const char *p = ex->query; args && p && *p; p += *p == '&') {
		size_t len = strcspn(p, "&"), key_len = strspn(p, "abcdefghijklmnopqrstuvwxyz_0123456789");
		char key[NAME_MAX_LEN];
		const char *value = NULL;

		if (key_len && key_len < sizeof(key) && key_len <= len) {
			snprintf(key, sizeof(key), "%.*s", (int)key_len, p);
			value = p[key_len] == '=' ? http_query(ex, key) : NULL;
		}
		if (!value || json_object_get(args, key) || json_object_set_new(args, key, json_string(value))) {
			json_decref(args);
			return NULL;
		}
		p += len;
	}
	return args;
}

static json_t *args_of_body(const struct gh_buf *body, json_error_t *why)
{
	json_t *args = body->len ? json_loadb(body->data, body->len, JSON_REJECT_DUPLICATES, why) : json_object();

	if (args && !json_is_object(args)) {
		snprintf(why->text, sizeof(why->text), "arguments are an object");
		json_decref(args);
		return NULL;
	}
	return args;
}

static void op_run(struct http_ex *ex, struct site_call *call)
{
	json_error_t why = { .text = "out of memory" };
	const char *wrong = why.text;
	json_t *args = ex->method == HTTP_GET ? args_of_query(ex, &wrong) : args_of_body(&call->body, &why);
	struct op_job *j = args ? calloc(1, sizeof(*j)) : NULL;

	if (!j) {
		json_decref(args);
		site_refuse(ex, GH_INVALID, args ? "out of memory" : wrong, 0);
		return;
	}
	j->op = call->op;
	j->args = args;
	j->texts = ex->method == HTTP_GET;
	j->who = call->who.who;
	if (is_own_change(j->op, args, &call->who)) {
		snprintf(j->own, sizeof(j->own), "%s", site_cookie(ex));
		site_session_changing(site_of(ex)->sessions, j->own);
	}
	gh_buf_init(&j->out, ANSWER_MAX);
	j->job.work = op_work;
	j->job.finish = op_finish;
	j->job.free = op_free;
	site_job_start(ex, call, site_of(ex)->calls, &j->job);
}

/* ---- what is no control operation ---- */

static void openapi(struct http_ex *ex, struct site_call *call)
{
	struct gh_buf *kept = &site_of(ex)->openapi, out;

	(void)call;
	if (!kept->len && site_openapi(kept) != GH_OK) {
		site_refuse(ex, GH_NOMEM, NULL, 0);
		return;
	}
	gh_buf_init(&out, kept->len);
	gh_buf_add(&out, kept->data, kept->len);
	site_json_text(ex, &out);
}

static const struct site_door doors[] = {
	{ "sign-in", HTTP_POST, true, SMALL_BODY_MAX, site_sign_in },
	{ "sign-out", HTTP_POST, false, SMALL_BODY_MAX, site_sign_out },
	{ "session", HTTP_GET, false, 0, site_session },
	{ "live", HTTP_GET, false, 0, site_live },
	{ "openapi.json", HTTP_GET, false, 0, openapi },
	{ NULL, HTTP_GET, false, 0, NULL },
};

/* ---- one exchange ---- */

static const struct site_door *door_find(const char *name)
{
	for (const struct site_door *d = doors; d->name; d++) {
		if (!strcmp(d->name, name))
			return d;
	}
	return NULL;
}

static void refuse_method(struct http_ex *ex, const char *allow)
{
	http_reply_header(ex, "Allow", allow);
	site_problem(ex, 405, "invalid", "this operation is not called by this method", 0);
}

/* Who is it, and may it come this way? false: refused. */
static bool admit(struct http_ex *ex, struct site_call *call)
{
	const bool token = http_header(ex, "Authorization") != NULL;
	enum gh_status st;

	if (!token && !site_host_ok(ex)) {
		site_problem(
			ex, 403, "denied",
			"this host name is not the console's: use an address, or list the name under admin.host_names",
			0);
		return false;
	}
	if (call->door && call->door->open_to_all) {
		if (site_origin_ok(ex))
			return true;
		site_problem(ex, 403, "denied", "this comes from another site", 0);
		return false;
	}
	st = site_authenticate(ex, &call->who);
	if (st == GH_DENIED)
		site_problem(ex, 403, "denied",
			     "the header X-CSRF-Token does not name this session, or it comes from another site", 0);
	else if (st != GH_OK)
		site_refuse(ex, st, "sign in first, or send a token", 0);
	return st == GH_OK;
}

/* Is there such an operation, called like this, with such a body? false: refused. */
static bool fits(struct http_ex *ex, const struct site_call *call, const char *name)
{
	const size_t most = call->door ? call->door->body_max : ex->method == HTTP_POST ? BODY_MAX : 0;

	if (!call->door && !call->op) {
		char text[NAME_MAX_LEN + 40];

		snprintf(text, sizeof(text), "there is no operation \"%.64s\"", name);
		site_refuse(ex, GH_NOTFOUND, text, 0);
		return false;
	}
	if (call->door ? ex->method != call->door->method : ex->method == HTTP_GET && call->op->mutates) {
		refuse_method(ex, call->door && call->door->method == HTTP_GET ? "GET" : "POST");
		return false;
	}
	if (ex->method == HTTP_POST && !site_is_json(ex)) {
		site_problem(ex, 415, "invalid", "the body is application/json", 0);
		return false;
	}
	if (ex->has_body && ex->body_declared != UINT64_MAX && ex->body_declared > most) {
		site_refuse(ex, GH_TOOLARGE, NULL, 0);
		return false;
	}
	return true;
}

static void api_begin(struct http_ex *ex)
{
	struct site_call *call = gh_alloc(ex->arena, sizeof(*call));
	char name[NAME_MAX_LEN + 1] = "";

	if (!call) {
		site_refuse(ex, GH_NOMEM, NULL, 0);
		return;
	}
	ex->state = call;
	if (ex->path_len > 1 && ex->path_len <= NAME_MAX_LEN)
		memcpy(name, ex->path + 1, ex->path_len - 1);
	call->door = door_find(name);
	call->op = control_op_find(name);
	gh_buf_init(&call->body, call->door ? call->door->body_max : BODY_MAX);
	if (admit(ex, call))
		(void)fits(ex, call, name);
}

static enum gh_status api_body(struct http_ex *ex, const void *data, size_t len)
{
	struct site_call *call = ex->state;

	gh_buf_add(&call->body, data, len);
	return call->body.failed ? GH_TOOLARGE : GH_OK;
}

static void api_end(struct http_ex *ex)
{
	struct site_call *call = ex->state;

	if (call->door)
		call->door->run(ex, call);
	else
		op_run(ex, call);
}

static void api_gone(struct http_ex *ex)
{
	struct site_call *call = ex->state;

	if (!call)
		return;
	if (call->job)
		call->job->ex = NULL; /* it runs to its end, and nobody is told */
	call->job = NULL;
	site_live_gone(call);
	gh_buf_fini(&call->body);
}

static bool api_open(const struct http_ex *ex)
{
	(void)ex;
	return true; /* operators are no users: admit() asks */
}

static void api_refuse(struct http_ex *ex, enum gh_status st, const struct vfs_req *req)
{
	(void)req;
	site_refuse(ex, st, NULL, 0);
}

const struct http_service site_api = {
	.name = "admin",
	.proto = VFS_ADMIN,
	.prefix = "/admin/v1",
	.methods = 1u << HTTP_GET | 1u << HTTP_POST,
	.open_to_all = api_open,
	.begin = api_begin,
	.body = api_body,
	.end = api_end,
	.gone = api_gone,
	.refuse = api_refuse,
};
