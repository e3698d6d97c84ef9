/* Signing in, out, and who is signed in. See site.h.
 *
 *   POST sign-in {name, password, code?} -> {name, role, csrf} and the cookie; 401 {reason "unauth" | "code"}; 429
 *   GET  session -> {name, role, csrf}
 *   POST sign-out -> {}
 *
 * Passwords are tried on a pool of the listener's own, so that neither logins at the doors for users nor control
 * operations keep an operator out. A sign-in always makes a new session and ends the one that was there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "frontends/admin/site.h"

struct sign_in {
	struct site_job job;
	json_t *args;
	struct operator_ask ask; /* its texts are args' */
	struct operator_who who;
	char peer[64];
	enum gh_status st;
	unsigned retry_after_s;
};

static void cookie_set(struct http_ex *ex, const char *value, bool gone)
{
	/* Secure where the browser says that it came by TLS, which ends in front of us. */
	const char *text = gh_printf(ex->arena, SITE_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict%s%s", value,
				     site_origin_https(ex) ? "; Secure" : "", gone ? "; Max-Age=0" : "");

	if (text)
		http_reply_header(ex, "Set-Cookie", text);
}

static json_t *session_json(const struct operator_who *who, const char *csrf)
{
	return json_pack("{s:s, s:s, s:s}", "name", who->actor, "role", control_role_name(who->role), "csrf", csrf);
}

static void sign_in_work(struct site_job *job)
{
	struct sign_in *s = (struct sign_in *)job;

	s->st = operator_sign_in(s->job.l->cfg.core, &s->ask, &s->who, &s->retry_after_s);
}

static void sign_in_finish(struct site_job *job)
{
	struct sign_in *s = (struct sign_in *)job;
	struct site_sessions *sessions = job->l->sessions;
	char cookie[SITE_SECRET_HEX], csrf[SITE_SECRET_HEX];
	const char *before;

	if (s->st == GH_PRECONDITION) {
		site_problem(job->ex, 401, "code",
			     s->ask.code && *s->ask.code ? "this one-time code is not right, or was used"
							 : "a one-time code is wanted",
			     0);
		return;
	}
	if (s->st != GH_OK) {
		site_refuse(job->ex, s->st, s->st == GH_UNAUTH ? "name or password is wrong" : NULL, s->retry_after_s);
		return;
	}
	before = site_cookie(job->ex);
	if (before)
		site_session_drop(sessions, before);
	site_session_make(sessions, &s->who, gh_mono_ns(), cookie, csrf);
	cookie_set(job->ex, cookie, false);
	explicit_bzero(cookie, sizeof(cookie));
	site_json(job->ex, session_json(&s->who, csrf));
}

static void wipe(json_t *text)
{
	union {
		const char *c;
		char *v;
	} bytes = { .c = json_string_value(text) }; /* ours alone by now */

	if (bytes.c)
		explicit_bzero(bytes.v, json_string_length(text));
}

static void sign_in_free(struct site_job *job)
{
	struct sign_in *s = (struct sign_in *)job;

	wipe(json_object_get(s->args, "password"));
	json_decref(s->args);
	free(s);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

void site_sign_in(struct http_ex *ex, struct site_call *call)
{
	json_error_t why;
	json_t *args = json_loadb(call->body.data ? call->body.data : "", call->body.len, JSON_REJECT_DUPLICATES, &why);
	const char *name, *password, *code = "";
	struct sign_in *s;

	if (json_unpack_ex(args, &why, JSON_STRICT, "{s:s, s:s, s?s}", "name", &name, "password", &password, "code",
			   &code)) {
		json_decref(args);
		site_refuse(ex, GH_INVALID, "signing in takes {\"name\": ..., \"password\": ..., \"code\"?: ...}", 0);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		json_decref(args);
		site_refuse(ex, GH_NOMEM, NULL, 0);
		return;
	}
	snprintf(s->peer, sizeof(s->peer), "%s", ex->peer);
	s->args = args;
	s->ask = (struct operator_ask){ .name = text_of(args, "name"),
					.password = text_of(args, "password"),
					.code = text_of(args, "code"),
					.peer = s->peer,
					.prefix = ex->peer_prefix };
	s->job.work = sign_in_work;
	s->job.finish = sign_in_finish;
	s->job.free = sign_in_free;
	site_job_start(ex, call, site_of(ex)->logins, &s->job);
}

void site_sign_out(struct http_ex *ex, struct site_call *call)
{
	const char *cookie = site_cookie(ex);

	(void)call;
	if (cookie)
		site_session_drop(site_of(ex)->sessions, cookie);
	cookie_set(ex, "", true);
	site_json(ex, json_object());
}

void site_session(struct http_ex *ex, struct site_call *call)
{
	site_json(ex, session_json(&call->who.who, call->who.csrf));
}
