/* What the gateway is doing, what was done, and the defender. See control.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/control_work.h"
#include "core/people/login.h"

#define EVENTS_DEFAULT 100
#define EVENTS_MAX 1000

/* ---- status ---- */

static json_t *by_door(enum gh_metric m)
{
	json_t *o = json_object();

	for (unsigned p = VFS_INTERNAL; p < VFS_PROTO_COUNT; p++) {
		int64_t n = gh_metric_get(m, p);

		if (n)
			json_object_set_new(o, vfs_proto_name((enum vfs_proto)p), json_integer(n));
	}
	return o;
}

static void count_tenant(struct tenant *t, void *arg)
{
	(void)t;
	++*(json_int_t *)arg;
}

static json_t *blobs_json(const struct gh_core *c)
{
	struct blob_space space;

	if (!c->blob_ops->space || c->blob_ops->space(c->blobs, &space) != GH_OK)
		return json_pack("{s:s}", "kind", c->blob_ops->name);
	return json_pack("{s:s, s:I, s:I}", "kind", c->blob_ops->name, "free_bytes", (json_int_t)space.free_bytes,
			 "total_bytes", (json_int_t)space.total_bytes);
}

static json_int_t sum_of_kinds(enum gh_metric m)
{
	json_int_t n = 0;

	for (unsigned k = 0; k < CACHE_KINDS; k++)
		n += gh_metric_get(m, k);
	return n;
}

static void breaker_of_cache(void *arg, const struct breaker_view *v)
{
	if (v->service == SERVICE_CACHE && !v->tenant)
		*(const char **)arg = breaker_state_name(v->state);
}

/* Of the shared cache; null where there is none. */
static json_t *cache_json(struct gh_core *c)
{
	const char *state = "closed";

	if (!c->cfg.cache.ops)
		return json_null();
	breakers_each(c, breaker_of_cache, &state);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "kind", c->cfg.cache.ops->name, "breaker", state, "hits",
			 sum_of_kinds(GH_M_CACHE_HITS), "misses", sum_of_kinds(GH_M_CACHE_MISSES), "disbelieved",
			 sum_of_kinds(GH_M_CACHE_DISBELIEVED), "errors", sum_of_kinds(GH_M_CACHE_ERRORS));
}

enum gh_status control_status(struct control_call *c)
{
	const char *why;
	json_int_t tenants = 0;
	json_t *logins, *queue;
	enum gh_status st = control_args(c, NULL, 0);

	if (st != GH_OK)
		return st;
	why = gh_core_not_ready(c->core);
	tenants_each(c->core, count_tenant, &tenants);
	const struct share_counts waits = share_counts(c->core);
	queue = json_pack("{s:i, s:i}", "login", (int)waits.login_waiting, "wait", (int)waits.waiting);
	/* metrics.tbl.h, row LOGINS */
	logins = json_pack("{s:I, s:I, s:I, s:I, s:I}", "cached", (json_int_t)gh_metric_get(GH_M_LOGINS, 0), "verified",
			   (json_int_t)gh_metric_get(GH_M_LOGINS, 1), "failed",
			   (json_int_t)gh_metric_get(GH_M_LOGINS, 2), "throttled",
			   (json_int_t)gh_metric_get(GH_M_LOGINS, 3), "shared",
			   (json_int_t)gh_metric_get(GH_M_LOGINS, 5));
	return control_result(c, json_pack("{s:s, s:i, s:I, s:i, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "state",
					   why ? why : "ready", "pid", (int)getpid(), "tenants", tenants, "pending",
					   (int)atomic_load(&c->core->pending), "queue", queue, "connections",
					   by_door(GH_M_CONNECTIONS), "requests", by_door(GH_M_REQUESTS), "errors",
					   by_door(GH_M_ERRORS), "logins", logins, "node_cache_bytes",
					   (json_int_t)gh_metric_get(GH_M_NODE_CACHE_BYTES, 0), "blobs",
					   blobs_json(c->core), "cache", cache_json(c->core)));
}

/* ---- events ---- */

struct tenant_name {
	uint64_t id;
	const char *name;
};

static void match_tenant(struct tenant *t, void *arg)
{
	struct tenant_name *n = arg;

	if (t->id == n->id)
		n->name = t->name;
}

static json_t *event_time(int64_t us)
{
	json_t *whole = control_time(us);
	const char *text = json_string_value(whole);
	char fine[48];

	if (!text)
		return whole;
	snprintf(fine, sizeof(fine), "%.*s.%06dZ", (int)strlen(text) - 1, text, (int)(us % GH_S_US));
	json_decref(whole);
	return json_string(fine);
}

static json_t *event_json(const struct meta_event *e, const char *tenant)
{
	return json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "id", control_id(e->op), "time",
			 event_time(e->time_us), "tenant", tenant, "user", e->user_name, "door", e->door, "what",
			 e->what, "path", e->path, "dest", e->dest, "bytes", (json_int_t)e->bytes, "files",
			 (json_int_t)e->files, "request", e->request_id);
}

enum gh_status control_events_list(struct control_call *c)
{
	const char *tenant = NULL;
	uint64_t after = 0;
	int64_t limit = EVENTS_DEFAULT;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, false, &tenant, NULL },
		{ "after", CONTROL_ID, false, &after, NULL },
		{ "limit", CONTROL_NUMBER, false, &limit, NULL },
	};
	struct meta_call call = control_meta(c);
	struct tenant_name last = { 0, "-" }; /* the house's own events */
	struct tenant *t = NULL;
	struct meta_event *events;
	unsigned count;
	json_t *items;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK && (limit < 1 || limit > EVENTS_MAX))
		st = control_fail(c, GH_INVALID, "argument \"limit\": 1 to %d", EVENTS_MAX);
	if (st == GH_OK && tenant)
		st = control_tenant(c, tenant, &t);
	if (st == GH_OK)
		st = meta_events(c->core->meta, &call, t ? t->id : 0, after, (unsigned)limit, &events, &count);
	if (st != GH_OK)
		return st;
	items = control_items(c);
	if (!items)
		return GH_NOMEM;
	for (unsigned i = 0; st == GH_OK && i < count; i++) {
		if (!t && events[i].tenant != last.id) {
			last = (struct tenant_name){ events[i].tenant, events[i].tenant ? "?" : "-" };
			tenants_each(c->core, match_tenant, &last);
		}
		st = control_item(items, event_json(&events[i], t ? t->name : last.name));
	}
	return st;
}

/* ---- the defender ---- */

enum gh_status control_defender_clear(struct control_call *c)
{
	const char *tenant, *user = NULL;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "user", CONTROL_TEXT, false, &user, NULL },
	};
	struct gh_component n = { .key = NULL };
	struct tenant *t;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &t);
	/* the user need not exist: guesses at names that do not are counted as well */
	if (st == GH_OK && user)
		st = control_name(c, "user", user, &n);
	if (st == GH_OK)
		st = control_commit(c, t, "", n.key ? n.name : "everybody", UINT64_MAX, NULL, 0);
	if (st != GH_OK)
		return st;
	return control_result(c, json_pack("{s:i}", "cleared", (int)people_forgive(c->core->people, t->id, n.key)));
}
