/* Sessions, and the login that makes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/base/rcu.h"
#include "core/breakers.h"
#include "core/house.h"
#include "core/people/login.h"
#include "core/people/loginname.h"
#include "core/shared.h"
#include "core/switches.h"

enum { LOGIN_CACHED, LOGIN_VERIFIED, LOGIN_FAILED, LOGIN_THROTTLED, LOGIN_SHARED = 5 }; /* order of the metric's values */

struct vfs_session *session_new(struct tenant *t, uint64_t user, uint64_t gen, const char *name)
{
	struct vfs_session *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	atomic_store(&s->refs, 1);
	s->tenant = t;
	s->user = user;
	atomic_store(&s->user_gen, gen);
	snprintf(s->user_name, sizeof(s->user_name), "%s", name);
	return s;
}

struct vfs_session *vfs_session_ref(struct vfs_session *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void vfs_session_unref(struct vfs_session **sp)
{
	struct vfs_session *s = *sp;
	*sp = NULL;
	if (s && atomic_fetch_sub(&s->refs, 1) == 1) {
		quota_session_end(s);
		free(s);
	}
}

const char *vfs_session_user(const struct vfs_session *s)
{
	return s->user_name;
}

const char *vfs_session_tenant(const struct vfs_session *s)
{
	return s->tenant->name;
}

const struct gh_name_rule *vfs_session_rule(const struct vfs_session *s)
{
	return &s->tenant->rule;
}

void vfs_session_over(struct vfs_session *s)
{
	quota_session_end(s);
}

bool vfs_session_limited(const struct vfs_session *s)
{
	return quota_limited(s->tenant);
}

bool vfs_session_host(struct gh_core *core, const struct vfs_session *s, const char *host)
{
	return tenant_of_host(core, host) == s->tenant;
}

bool vfs_host_known(struct gh_core *core, const char *host)
{
	return tenant_of_host(core, host) != NULL;
}

/* GH_OK with *ret NULL: no such tenant, which must sound like a wrong password. */
static enum gh_status tenant_meant(struct vfs_work *w, const struct login_name *n, struct tenant **ret)
{
	struct gh_core *c = w->req.core;
	const char *name;
	if (w->may_block)
		gh_rcu_online();
	struct tenant *by_host = tenant_of_host(c, w->req.host);
	if (w->may_block)
		gh_rcu_offline();
	enum gh_status st = login_name_tenant(n, by_host ? by_host->name : NULL, &name);
	*ret = NULL;
	if (st != GH_OK)
		return st;
	*ret = by_host ? by_host : tenant_find(c, name);
	if (*ret)
		return GH_OK;
	if (!w->may_block)
		return GH_AGAIN;
	st = tenant_get(c, name, ret);
	return st == GH_NOTFOUND ? GH_OK : st;
}

/* A login of HTTP is a request of its own, each time: counted once, so behind what may have to ask the store. */
static enum gh_status within_limits(struct vfs_work *w, struct vfs_session *s)
{
	const enum gh_status st = quota_session_begin(w, s);
	return st == GH_OK && w->req.proto != VFS_FTP ? quota_request(w, s) : st;
}

static enum gh_status welcome(struct vfs_work *w, struct tenant *t, const struct people_answer *who)
{
	bool may_except;
	const enum gh_status st = switches_login(w, t->id, who->user, &may_except);
	if (st != GH_OK)
		return st;
	w->req.message = NULL; /* of a refusal that this user is excepted from */
	w->req.retry_after_s = 0;
	w->req.rule = 0;
	vfs_session_unref(&w->req.new_session);
	w->req.new_session = session_new(t, who->user, who->gen, who->user_name);
	if (!w->req.new_session)
		return GH_NOMEM;
	w->req.new_session->proof = who->proof;
	w->req.new_session->proto = w->req.proto;
	const enum gh_status full = within_limits(w, w->req.new_session);
	if (full != GH_OK) {
		vfs_session_unref(&w->req.new_session);
		return full;
	}
	/* the access line names who it turned out to be */
	if (!w->req.session)
		w->req.session = vfs_session_ref(w->req.new_session);
	return GH_OK;
}

/* The calls that a login makes to the store pass by the breaker of its tenant; the password check between them does not. */
struct login_calls {
	struct gh_core *core;
	uint64_t tenant;
	struct breaker_pass pass;
	struct gh_arena *arena;
	struct people_fact fact;
	struct shared_try flight;
};

static enum gh_status call_enter(void *arg)
{
	struct login_calls *l = arg;
	return breakers_enter(l->core, SERVICE_METADATA, l->tenant, &l->pass);
}

static enum gh_status call_leave(void *arg, enum gh_status st)
{
	struct login_calls *l = arg;
	return breakers_leave(&l->pass, st);
}

/* The value says nothing: that it is there, under that key, is what is known. */
static bool fact_known(void *arg, const struct people_fact *f)
{
	struct login_calls *l = arg;
	l->fact = *f;
	const struct cache_key key = { CACHE_SESSIONS, l->fact.id, sizeof(l->fact.id), l->fact.gen };
	struct cache_answer answer;
	return shared_begin(l->core, &key, l->arena, &l->flight, &answer);
}

static void fact_learned(void *arg, bool right)
{
	struct login_calls *l = arg;
	shared_end(l->core, &l->flight, right ? "1" : NULL, right);
}

static void guard_calls(struct people_ask *ask, struct login_calls *l, struct gh_core *c)
{
	l->core = c;
	l->tenant = ask->tenant;
	ask->enter = call_enter;
	ask->leave = call_leave;
	ask->known = fact_known;
	ask->learned = fact_learned;
	ask->arg = l;
}

static enum gh_status verify(struct vfs_work *w, struct tenant *t, struct people_ask *ask)
{
	struct vfs_req *r = &w->req;
	struct people_answer who = { 0 };
	struct meta_call call = work_call(w);
	struct login_calls calls;
	guard_calls(ask, &calls, r->core);
	calls.arena = r->arena;
	ask->now_us = gh_real_us();
	const enum gh_status st = people_login(r->core->people, &call, ask, &who);
	switch (st) {
	case GH_OK:
		gh_metric_add(GH_M_LOGINS, who.shared ? LOGIN_SHARED : LOGIN_VERIFIED, 1);
		return welcome(w, t, &who);
	case GH_THROTTLED:
		gh_metric_add(GH_M_LOGINS, LOGIN_THROTTLED, 1);
		r->retry_after_s = who.retry_after_s;
		break;
	case GH_UNAUTH:
		gh_metric_add(GH_M_LOGINS, LOGIN_FAILED, 1);
		break;
	default:
		break;
	}
	return st;
}

enum gh_status op_login(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct login_name n;
	struct tenant *t;
	if (!r->user || !r->password)
		return GH_UNAUTH;
	enum gh_status st = login_name_parse(r->arena, r->user, strlen(r->user), &n);
	if (st != GH_OK)
		return st == GH_NOMEM ? st : GH_UNAUTH;
	st = tenant_meant(w, &n, &t);
	if (st != GH_OK)
		return st;
	if (t && atomic_load(&t->disabled)) {
		r->message = "this tenant is disabled";
		return GH_OFF;
	}
	/* The tenant is known now: is this door shut for it? Where one of its users is excepted, whoever logs in is told
	 * only once it is known that it is not that one - with a wrong password too, because a sync client that hears 401
	 * for a shut door asks its user for another password. */
	bool may_except = false;
	enum gh_status shut = t ? switches_login(w, t->id, 0, &may_except) : GH_OK;
	if (shut != GH_OK && !may_except)
		return shut;
	struct people_ask ask = {
		.tenant = t ? t->id : 0,
		.user_key = n.key,
		.password = r->password,
		.proto = r->proto,
		.prefix = r->peer_prefix,
		.now_ns = gh_mono_ns(),
	};
	if (w->may_block) {
		st = verify(w, t, &ask);
		return st == GH_UNAUTH && shut != GH_OK ? shut : st;
	}
	struct people_answer who = { .user_name = n.user };
	if (!t || !core_trusts_memory(r->core, t->id) ||
	    !people_cached(r->core->people, t->id, n.key, r->password, r->proto, ask.now_ns, &who)) {
		w->tenant = t; /* whose breaker is asked before a worker is */
		return GH_AGAIN;
	}
	gh_metric_add(GH_M_LOGINS, LOGIN_CACHED, 1);
	return welcome(w, t, &who);
}

enum gh_status session_still(struct vfs_work *w)
{
	struct vfs_session *s = w->req.session;
	struct people_ask ask = { .tenant = s->tenant->id, .proto = s->proto, .now_us = gh_real_us() };
	struct meta_call call = work_call(w);
	struct gh_component name;
	uint64_t gen;
	if (!w->may_block)
		return GH_AGAIN;
	enum gh_status st = people_name_check(w->req.arena, s->user_name, strlen(s->user_name), &name);
	if (st != GH_OK)
		return st;
	ask.user_key = name.key;
	struct login_calls calls;
	guard_calls(&ask, &calls, w->req.core);
	st = people_still(w->req.core->people, &call, &ask, s->user, &s->proof, &gen);
	if (st == GH_OK)
		atomic_store(&s->user_gen, gen);
	return st;
}

void vfs_count_sent(struct gh_core *core, const struct vfs_session *s, enum vfs_proto p, uint64_t bytes)
{
	gh_metric_add(GH_M_BYTES_OUT, p, (int64_t)bytes);
	live_count(core, s ? s->tenant : NULL, LIVE_OUT_BYTES, bytes);
	if (s) /* an identity does not change; what it has paid ahead does */
		quota_sent((struct vfs_session *)s, bytes);
}
