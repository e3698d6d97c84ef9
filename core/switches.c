/* Asking the board, and telling live sessions. See switches.h. */
#include "core/switches.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/base/rcu.h"
#include "core/sessions.h"

#define RETRY_LASTING_S 300u /* nobody knows when: often enough to notice, seldom enough to be no load */
#define RETRY_DRAIN_S 10u    /* another gateway, or this one after its restart */
#define RETRY_MAX_S 86400u
#define TELL_MS 2000u

const struct flag_spec switch_flags[VFS_FLAG_COUNT] = {
#define X(sym, key, type, fallback, min, max, help) [VFS_FLAG_##sym] = { key, FLAG_##type, fallback, min, max, help },
#include "core/flags.tbl.h"
#undef X
};

const char *vfs_class_name(enum vfs_class c)
{
	switch (c) {
	case VFS_C_LOGIN: return "login";
	case VFS_C_LOOKUP: return "lookup";
	case VFS_C_LIST: return "list";
	case VFS_C_READ: return "read";
	case VFS_C_WRITE: return "write";
	case VFS_C_CHANGE: return "change";
	case VFS_C_BULK: return "bulk";
	case VFS_C_WATCH: return "watch";
	case VFS_CLASS_COUNT: break;
	}
	return "?";
}

int64_t switch_now_ms(void)
{
	return (int64_t)(gh_mono_ns() / GH_MS_NS);
}

/* ---- one answer ---- */

bool switch_proto_of(enum vfs_proto p, bool secure, enum switch_proto *ret)
{
	switch (p) {
	case VFS_WEBDAV: *ret = SWITCH_WEBDAV; return true;
	case VFS_FTP: *ret = secure ? SWITCH_FTPS : SWITCH_FTP; return true;
	case VFS_REST: *ret = SWITCH_REST; return true;
	case VFS_WEB: *ret = SWITCH_WEB; return true;
	case VFS_INTERNAL: /* our own work */
	case VFS_ADMIN:    /* the way back */
	case VFS_PROTO_COUNT:
		break;
	}
	return false;
}

/* Is every class refused, or only some? */
static bool is_whole(const struct switchboard *b, const struct switch_ask *ask, int64_t now_ms)
{
	struct switch_ask any = *ask;
	for (any.class = 0; any.class < VFS_CLASS_COUNT; any.class++) {
		struct switch_answer a;
		switchboard_ask(b, &any, now_ms, &a);
		if (a.mode == SWITCH_ON || a.mode == SWITCH_READONLY)
			return false;
	}
	return true;
}

static enum gh_status status_of(const struct switchboard *b, const struct switch_ask *ask,
				const struct switch_answer *a, bool writes, int64_t now_ms)
{
	switch (a->mode) {
	case SWITCH_ON:
		return GH_OK;
	case SWITCH_READONLY:
		return !writes ? GH_OK : a->expires_ms == SWITCH_NEVER ? GH_FROZEN : GH_READONLY;
	case SWITCH_DRAIN:
		return is_whole(b, ask, now_ms) ? GH_DRAINING : GH_SUSPENDED;
	case SWITCH_OFF:
		return is_whole(b, ask, now_ms) ? GH_OFF : GH_SUSPENDED;
	}
	return GH_OK;
}

static uint32_t retry_after(enum gh_status st, const struct switch_answer *a, int64_t now_ms)
{
	if (a->expires_ms == SWITCH_NEVER)
		return st == GH_FROZEN ? 0 : st == GH_DRAINING ? RETRY_DRAIN_S : RETRY_LASTING_S;
	const int64_t s = (a->expires_ms - now_ms + 999) / 1000;
	return s < 1 ? 1 : s > RETRY_MAX_S ? RETRY_MAX_S : (uint32_t)s;
}

static struct switch_stand stand(const struct switchboard *b, const struct switch_ask *ask, bool writes, int64_t now_ms)
{
	struct switch_answer a;
	switchboard_ask(b, ask, now_ms, &a);
	const enum gh_status st = status_of(b, ask, &a, writes, now_ms);
	if (st == GH_OK)
		return (struct switch_stand){ .status = GH_OK };
	return (struct switch_stand){ st, a.mode == SWITCH_DRAIN, retry_after(st, &a, now_ms), a.rule, a.message };
}

struct switch_stand switches_stand(struct switches *s, const struct switch_ask *ask, bool writes)
{
	return stand(gh_rcu_read(&s->board), ask, writes, switch_now_ms());
}

/* ---- requests ---- */

static enum gh_status refuse(struct vfs_req *r, const struct switch_stand *s)
{
	r->message = s->message && *s->message ? gh_strdup(r->arena, s->message) : NULL;
	r->retry_after_s = s->retry_after_s;
	r->rule = s->rule;
	return s->status;
}

/* Begun before the drain, and still part of it: the end of an upload, the next page of a listing. */
static bool finishes(const struct vfs_req *r)
{
	return (r->op == VFS_WRITE_COMMIT && r->upload) || (r->op == VFS_LIST && r->after && *r->after);
}

static bool op_writes(enum vfs_op op)
{
	return vfs_ops[op].mutates || vfs_ops[op].class == VFS_C_WRITE;
}

enum gh_status switches_gate(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	const struct switchboard *b = gh_rcu_read(&r->core->switches->board);
	struct switch_ask ask = { .class = vfs_ops[r->op].class };
	if (!switch_proto_of(r->proto, r->secure, &ask.proto) || switchboard_quiet(b, ask.proto))
		return GH_OK;
	if (r->session) {
		ask.tenant = r->session->tenant->id;
		ask.user = r->session->user;
	} else {
		const struct tenant *t = tenant_of_host(r->core, r->host);
		ask.tenant = t ? t->id : 0;
	}
	const int64_t now_ms = switch_now_ms();
	struct switch_answer a;
	switchboard_ask(b, &ask, now_ms, &a);
	const enum gh_status st = status_of(b, &ask, &a, op_writes(r->op), now_ms);
	if (st == GH_OK || (a.mode == SWITCH_DRAIN && finishes(r)))
		return GH_OK;
	/* Not yet known to be one of those that are excepted: the login will tell. */
	if (!r->session && switchboard_excepts(b, &ask, now_ms))
		return GH_OK;
	const struct switch_stand s = { st, false, retry_after(st, &a, now_ms), a.rule, a.message };
	return refuse(r, &s);
}

enum gh_status switches_login(struct vfs_work *w, uint64_t tenant, uint64_t user, bool *ret_may_except)
{
	struct vfs_req *r = &w->req;
	struct switch_ask ask = { .class = VFS_C_LOGIN, .tenant = tenant, .user = user };
	enum gh_status st = GH_OK;
	if (w->may_block)
		gh_rcu_online();
	const struct switchboard *b = gh_rcu_read(&r->core->switches->board);
	*ret_may_except = false;
	if (switch_proto_of(r->proto, r->secure, &ask.proto) && !switchboard_quiet(b, ask.proto)) {
		const struct switch_stand s = stand(b, &ask, false, switch_now_ms());
		*ret_may_except = s.status != GH_OK && switchboard_excepts(b, &ask, switch_now_ms());
		if (s.status != GH_OK)
			st = refuse(r, &s);
	}
	if (w->may_block)
		gh_rcu_offline();
	return st;
}

static void told_nobody(struct vfs_req *req, void *door)
{
	(void)req;
	(void)door;
}

/* Asked with every connection and request: nothing is made before there is something to refuse. */
struct vfs_req *vfs_req_shut(struct gh_core *core, struct gh_loop *loop, enum vfs_proto proto, bool secure,
			     const char *host)
{
	struct switch_ask ask = { .class = VFS_C_LOGIN };
	if (!core || !core->switches || !switch_proto_of(proto, secure, &ask.proto))
		return NULL;
	const struct switchboard *b = gh_rcu_read(&core->switches->board);
	if (switchboard_quiet(b, ask.proto))
		return NULL;
	const struct tenant *t = tenant_of_host(core, host ? host : "");
	ask.tenant = t ? t->id : 0;
	const int64_t now_ms = switch_now_ms();
	const struct switch_stand s = stand(b, &ask, false, now_ms);
	if (s.status == GH_OK || switchboard_excepts(b, &ask, now_ms))
		return NULL;
	struct vfs_req *r = vfs_req_new(core, loop, VFS_LOGIN, proto, NULL);
	if (!r)
		return NULL;
	r->secure = secure;
	r->host = gh_strdup(r->arena, host ? host : "");
	r->status = refuse(r, &s);
	work_of(r)->done = told_nobody; /* has a line in the access log */
	gh_metric_add(GH_M_REQUESTS, proto, 1);
	gh_metric_add(GH_M_REFUSED, proto, 1);
	gh_metric_add(GH_M_SWITCHED, proto, 1);
	return r;
}

struct vfs_req *vfs_req_refused(struct gh_core *core, struct gh_loop *loop, enum vfs_proto proto,
				struct vfs_session *session, const struct vfs_verdict *v)
{
	struct vfs_req *r = vfs_req_new(core, loop, VFS_STAT, proto, session);
	if (!r)
		return NULL;
	const struct switch_stand s = { v->status, v->drains, v->retry_after_s, v->rule, v->message };
	r->status = refuse(r, &s);
	work_of(r)->done = told_nobody; /* has a line in the access log */
	if (v->rule)
		gh_metric_add(GH_M_SWITCHED, proto, 1);
	return r;
}

const char *vfs_not_ready(struct gh_core *core)
{
	return atomic_load_explicit(&core->switches->emptied, memory_order_relaxed) ? "this host is being drained" : NULL;
}

/* ---- flags ---- */

int64_t core_flag(struct gh_core *c, enum vfs_flag f, enum vfs_proto proto, const struct vfs_session *s, bool may_block)
{
	struct switch_ask ask = { .tenant = s ? s->tenant->id : 0, .user = s ? s->user : 0 };
	if (!switch_proto_of(proto, false, &ask.proto))
		return switch_flags[f].fallback;
	if (may_block)
		gh_rcu_online();
	const int64_t v = switchboard_flag(gh_rcu_read(&c->switches->board), f, &ask, switch_now_ms());
	if (may_block)
		gh_rcu_offline();
	return v;
}

int64_t vfs_flag(struct gh_core *core, enum vfs_flag flag, enum vfs_proto proto, const struct vfs_session *s)
{
	return core_flag(core, flag, proto, s, false);
}

/* ---- live sessions ---- */

struct switch_stand switches_session(const struct switchboard *b, const struct vfs_live *l, int64_t now_ms)
{
	struct switch_ask ask = { .tenant = l->who ? l->who->tenant->id : 0, .user = l->who ? l->who->user : 0 };
	struct switch_stand first = { .status = GH_OK };
	bool drain = false;
	if (!switch_proto_of(l->proto, l->secure, &ask.proto) || switchboard_quiet(b, ask.proto))
		return first;
	for (ask.class = VFS_C_LOGIN; ask.class < VFS_CLASS_COUNT; ask.class++) {
		struct switch_answer a;
		switchboard_ask(b, &ask, now_ms, &a);
		if (a.mode == SWITCH_ON || a.mode == SWITCH_READONLY)
			return (struct switch_stand){ .status = GH_OK };
		drain |= a.mode == SWITCH_DRAIN;
		if (!first.rule || ask.class == VFS_C_LOOKUP)
			first = (struct switch_stand){ GH_OFF, false, retry_after(GH_OFF, &a, now_ms), a.rule,
						       a.message };
	}
	ask.class = VFS_C_LOGIN;
	if (!l->who && switchboard_excepts(b, &ask, now_ms))
		return (struct switch_stand){ .status = GH_OK };
	first.status = drain ? GH_DRAINING : GH_OFF;
	first.drains = drain;
	return first;
}

static struct vfs_verdict verdict_of(const struct switch_stand *s)
{
	return (struct vfs_verdict){ .status = s->status, .drains = s->drains, .retry_after_s = s->retry_after_s,
				     .rule = s->rule, .message = s->message };
}

struct vfs_verdict vfs_live_session(struct gh_core *core, const struct vfs_live *l)
{
	const struct switch_stand s = switches_session(gh_rcu_read(&core->switches->board), l, switch_now_ms());
	return verdict_of(&s);
}

struct vfs_verdict vfs_live_stand(struct gh_core *core, const struct vfs_live *l, enum vfs_class class)
{
	struct switch_ask ask = { .class = class, .tenant = l->who ? l->who->tenant->id : 0,
				  .user = l->who ? l->who->user : 0 };
	if (!switch_proto_of(l->proto, l->secure, &ask.proto))
		return (struct vfs_verdict){ .status = GH_OK };
	const bool writes = class == VFS_C_WRITE || class == VFS_C_CHANGE || class == VFS_C_BULK;
	const struct switch_stand s = switches_stand(core->switches, &ask, writes);
	return verdict_of(&s);
}

static void tell(struct vfs_live *l, void *arg)
{
	struct gh_core *c = arg;
	if (l->leaving)
		return;
	const struct vfs_verdict v = vfs_live_session(c, l);
	l->ops->told(l, &v);
}

bool switches_tell(struct gh_core *c)
{
	return sessions_each(c, tell, c, TELL_MS);
}
