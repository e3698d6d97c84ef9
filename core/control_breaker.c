/* Circuit breakers as an administrator sees and moves them. See control.h. */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/control_work.h"

#include <string.h>

struct listing {
	struct control_call *c;
	json_t *items;
	enum gh_status st;
};

struct name_of {
	uint64_t id;
	const char *name;
};

static void match(struct tenant *t, void *arg)
{
	struct name_of *n = arg;

	if (t->id == n->id)
		n->name = t->name;
}

static void add(void *arg, const struct breaker_view *v)
{
	struct listing *l = arg;
	struct name_of whose = { v->tenant, NULL };
	json_t *o = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:I}", "service", service_name(v->service), "state",
			      breaker_state_name(v->state), "forced", v->forced, "calls", (json_int_t)v->window.calls,
			      "failed", (json_int_t)v->window.failed, "slow", (json_int_t)v->window.slow, "openings",
			      (json_int_t)v->openings);

	if (v->tenant)
		tenants_each(l->c->core, match, &whose);
	if (o && v->tenant)
		json_object_set_new(o, "tenant", whose.name ? json_string(whose.name) : control_id(v->tenant));
	if (o && v->wait_ms)
		json_object_set_new(o, "until", control_time(gh_real_us() + (int64_t)v->wait_ms * 1000));
	if (l->st == GH_OK)
		l->st = control_item(l->items, o);
	else
		json_decref(o);
}

enum gh_status control_breaker_list(struct control_call *c)
{
	struct listing l = { .c = c, .st = control_args(c, NULL, 0) };

	if (l.st == GH_OK && !(l.items = control_items(c)))
		l.st = GH_NOMEM;
	if (l.st == GH_OK)
		breakers_each(c->core, add, &l);
	return l.st;
}

/* service, tenant? */
static enum gh_status take(struct control_call *c, enum service *ret_service, struct tenant **ret_tenant)
{
	const char *service, *tenant = NULL;
	const struct control_arg args[] = {
		{ "service", CONTROL_TEXT, true, &service, NULL },
		{ "tenant", CONTROL_TEXT, false, &tenant, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	*ret_tenant = NULL;
	if (st == GH_OK && !service_parse(service, ret_service))
		return control_fail(c, GH_NOTFOUND, "there is no service \"%.64s\"; breaker.list has them all", service);
	if (st == GH_OK && tenant) {
		/* One that was met is found without the store: it may be the store that is ill. */
		*ret_tenant = tenant_find(c->core, tenant);
		if (!*ret_tenant)
			st = control_tenant(c, tenant, ret_tenant);
	}
	return st;
}

/* The event is kept by the metadata store. While that one rests it is told to the log alone: whoever moves a breaker must
 * not have to wait for what the breaker is about. */
static enum gh_status audit(struct control_call *c, bool may_ask, enum service s, const struct tenant *t, bool *ret_kept)
{
	*ret_kept = false;
	gh_log(GH_LOG_WARN, "breaker.by_hand", "op=%s service=%s tenant=%s actor=\"%s\"", c->op, service_name(s),
	       t ? t->name : "-", c->actor);
	if (!may_ask)
		return GH_OK;
	const enum gh_status st = control_commit(c, NULL, t ? t->name : "", service_name(s), UINT64_MAX, NULL, 0);
	*ret_kept = st == GH_OK;
	return st == GH_NOMEM ? st : GH_OK;
}

static enum gh_status answer(struct control_call *c, enum service s, const struct tenant *t, const char *state, bool kept)
{
	json_t *o = json_pack("{s:s, s:s, s:b}", "service", service_name(s), "state", state, "audited", kept);

	if (o && t)
		json_object_set_new(o, "tenant", json_string(t->name));
	return control_result(c, o);
}

enum gh_status control_breaker_open(struct control_call *c)
{
	enum service s;
	struct tenant *t;
	bool kept;
	enum gh_status st = take(c, &s, &t);

	if (st == GH_OK)
		st = audit(c, breakers_closed(c->core, SERVICE_METADATA, 0), s, t, &kept);
	if (st == GH_OK)
		st = breakers_open(c->core, s, t ? t->id : 0);
	if (st == GH_LIMIT)
		return control_fail(c, st, "too many tenants have open breakers already");
	return st == GH_OK ? answer(c, s, t, "open", kept) : st;
}

static void forced(void *arg, const struct breaker_view *v)
{
	*(bool *)arg |= v->forced && v->service == SERVICE_METADATA && !v->tenant;
}

enum gh_status control_breaker_reset(struct control_call *c)
{
	enum service s;
	struct tenant *t;
	bool kept, may_ask;
	enum gh_status st = take(c, &s, &t);

	if (st != GH_OK)
		return st;
	may_ask = breakers_closed(c->core, SERVICE_METADATA, 0);
	if (s == SERVICE_METADATA && !t) /* opened by hand it says nothing about the store */
		breakers_each(c->core, forced, &may_ask);
	breakers_reset(c->core, s, t ? t->id : 0);
	st = audit(c, may_ask, s, t, &kept);
	return st == GH_OK ? answer(c, s, t, "closed", kept) : st;
}
