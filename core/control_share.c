/* The fair share as an administrator sets it: a tenant's weight, cap and pool, and the dedicated pools. Each change is a
 * setting and its event in one batch, applied to this gateway before the operation answers. See control.h. */
#include <stdlib.h>
#include <string.h>

#include "core/base/id.h"
#include "core/control_work.h"
#include "core/fair.h"
#include "core/live.h"

#define PAGE 500
#define QUEUE_DEFAULT 256
#define MEMBERS_MAX 900 /* tenants that leave a pool with one change: a batch holds META_STEPS_MAX steps */

/* ---- settings ---- */

/* A setting and its document, which keeps fields that are not known here. */
struct kept {
	struct meta_setting row;
	json_t *doc; /* the caller decrefs */
};

static const char *doc_text(struct control_call *c, const json_t *doc)
{
	char *text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
	const char *kept = text ? gh_strdup(c->arena, text) : NULL;

	free(text);
	return kept;
}

static json_t *doc_of(const struct meta_setting *row)
{
	json_t *o = json_loads(row->doc, 0, NULL);

	if (json_is_object(o))
		return o;
	json_decref(o);
	return json_object();
}

static const char *pool_of(const json_t *doc)
{
	const char *pool = json_string_value(json_object_get(doc, "pool"));

	return pool && strcmp(pool, SHARE_SHARED_NAME) ? pool : "";
}

/* The tenant's setting, or a new one. */
static enum gh_status share_read(struct control_call *c, uint64_t tenant, struct kept *ret)
{
	struct meta_call call = control_meta(c);
	struct meta_setting *rows;
	unsigned count;
	const enum gh_status st = meta_settings(c->core->meta, &call, SHARE_KIND, tenant - 1, 1, &rows, &count);

	if (st != GH_OK)
		return st;
	if (count && rows->id == tenant)
		*ret = (struct kept){ *rows, doc_of(rows) };
	else
		*ret = (struct kept){ { .kind = SHARE_KIND, .id = tenant, .tenant = tenant }, json_object() };
	ret->row.kind = SHARE_KIND;
	return ret->doc ? GH_OK : GH_NOMEM;
}

/* The setting of the pool of that name, or a new one. */
static enum gh_status pool_read(struct control_call *c, const char *name, struct kept *ret)
{
	struct meta_call call = control_meta(c);
	struct meta_setting *rows;
	unsigned count;
	const enum gh_status st = meta_settings(c->core->meta, &call, SHARE_POOL_KIND, 0, PAGE, &rows, &count);

	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < count; i++) {
		const char *other;

		*ret = (struct kept){ rows[i], doc_of(&rows[i]) };
		ret->row.kind = SHARE_POOL_KIND;
		other = json_string_value(json_object_get(ret->doc, "name"));
		if (other && !strcmp(other, name))
			return GH_OK;
		json_decref(ret->doc);
	}
	*ret = (struct kept){ { .kind = SHARE_POOL_KIND, .id = gh_id_new() }, json_object() };
	return ret->doc ? GH_OK : GH_NOMEM;
}

static enum gh_status applied(struct control_call *c, enum gh_status st)
{
	if (st == GH_OK)
		return st;
	return control_fail(c, st, "it is stored, but this gateway could not apply it before its next start: %s",
			    gh_status_text(st));
}

/* ---- shares ---- */

struct share_change {
	struct tenant *t;
	int64_t weight, cap;
	const char *pool;
	bool has_weight, has_cap, has_pool;
};

static enum gh_status share_check(struct control_call *c, const struct share_change *k)
{
	struct share_pool p;

	if (!k->has_weight && !k->has_cap && !k->has_pool)
		return control_fail(c, GH_INVALID, "nothing to change: give \"weight\", \"cap\" or \"pool\"");
	if (k->has_weight && (k->weight < 1 || k->weight > FAIR_WEIGHT_MAX))
		return control_fail(c, GH_INVALID,
				    "a weight is a number from 1 to %d, and 100 is usual; to shut a tenant out, use a switch",
				    FAIR_WEIGHT_MAX);
	if (k->has_cap && (k->cap < 0 || k->cap > SHARE_CAP_MAX))
		return control_fail(c, GH_INVALID, "a cap is how many operations run at once, 1 to %d, or 0 for no cap",
				    SHARE_CAP_MAX);
	if (k->has_pool && *k->pool && !share_pool_named(c->core, k->pool, &p))
		return control_fail(c, GH_NOTFOUND, "there is no pool \"%.64s\"; make it first, or say \"%s\"", k->pool,
				    SHARE_SHARED_NAME);
	return GH_OK;
}

/* The change on what is stored: k has all three afterwards. */
static bool share_merge(struct control_call *c, struct share_change *k, json_t *doc)
{
	const json_t *weight = json_object_get(doc, "weight");
	bool bad = false;

	if (!k->has_weight)
		k->weight = json_is_integer(weight) ? json_integer_value(weight) : FAIR_WEIGHT_DEFAULT;
	if (!k->has_cap)
		k->cap = json_integer_value(json_object_get(doc, "cap"));
	k->pool = gh_strdup(c->arena, k->has_pool ? k->pool : pool_of(doc)); /* the document's own goes with its field */
	if (!k->pool)
		return false;
	bad |= json_object_set_new(doc, "weight", json_integer(k->weight));
	bad |= json_object_set_new(doc, "cap", json_integer(k->cap));
	bad |= json_object_set_new(doc, "pool", json_string(k->pool));
	return !bad;
}

static enum gh_status share_put(struct control_call *c, struct share_change *k, struct kept *s)
{
	struct meta_step step = { .kind = META_SETTING_PUT, .setting = &s->row };
	const char *detail;
	enum gh_status st;

	if (!share_merge(c, k, s->doc))
		return GH_NOMEM;
	s->row.doc = doc_text(c, s->doc);
	detail = gh_printf(c->arena, "weight %lld, cap %lld, pool %s", (long long)k->weight, (long long)k->cap,
			   *k->pool ? k->pool : SHARE_SHARED_NAME);
	if (!s->row.doc || !detail)
		return GH_NOMEM;
	st = control_commit(c, NULL, k->t->name, detail, UINT64_MAX, &step, 1);
	if (st != GH_OK)
		return st;
	return applied(c, share_tenant_put(c->core, k->t->id, (uint32_t)k->weight, (uint32_t)k->cap, k->pool));
}

static enum gh_status share_once(struct control_call *c, void *arg)
{
	struct share_change k = *(struct share_change *)arg; /* anew each time: it is merged with what is stored */
	struct kept s = { .doc = NULL };
	enum gh_status st = share_check(c, &k);

	if (st == GH_OK)
		st = share_read(c, k.t->id, &s);
	if (st == GH_OK)
		st = share_put(c, &k, &s);
	json_decref(s.doc);
	if (st != GH_OK)
		return st;
	return control_result(c, json_pack("{s:s, s:I, s:I, s:s, s:b}", "tenant", k.t->name, "weight",
					   (json_int_t)k.weight, "cap", (json_int_t)k.cap, "pool", k.pool, "in_force",
					   !c->core->cfg.share_off));
}

/* A name; "shared", "" and null are the pool of all. */
static enum gh_status pool_take(struct control_call *c, const json_t *v, struct share_change *k)
{
	if (!k->has_pool)
		return GH_OK;
	if (!json_is_null(v) && !json_is_string(v))
		return control_fail(c, GH_INVALID, "argument \"pool\" must be a string, or null for the shared one");
	k->pool = json_is_string(v) ? json_string_value(v) : "";
	if (!strcmp(k->pool, SHARE_SHARED_NAME))
		k->pool = "";
	return GH_OK;
}

enum gh_status control_share_set(struct control_call *c)
{
	struct share_change k = { .t = NULL };
	const char *tenant;
	const json_t *pool = NULL;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "weight", CONTROL_NUMBER, false, &k.weight, &k.has_weight },
		{ "cap", CONTROL_NUMBER, false, &k.cap, &k.has_cap },
		{ "pool", CONTROL_ANY, false, &pool, &k.has_pool },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = pool_take(c, pool, &k);
	if (st == GH_OK)
		st = control_tenant(c, tenant, &k.t);
	if (st == GH_OK)
		st = control_retry(c, share_once, &k);
	if (st == GH_OK)
		live_tell(c->core, "share");
	return st;
}

/* ---- the list of shares ---- */

static const struct live_tenant *busy_row(const struct live_sample *s, const char *name)
{
	for (unsigned i = 0; i < s->tenant_count; i++)
		if (!strcmp(s->tenant[i].name, name))
			return &s->tenant[i];
	return NULL;
}

/* Of the last second are known those who did most; with fewer than the sample holds, the others did nothing. */
static json_t *share_json(struct control_call *c, struct tenant *t, const struct live_sample *s)
{
	const struct live_tenant *busy = busy_row(s, t->name);
	const bool unknown = !busy && s->tenant_count == LIVE_TENANTS;
	struct share_figures f;

	share_tenant_figures(c->core, t, &f);
	return json_pack("{s:s, s:I, s:I, s:s, s:o, s:I, s:I, s:I, s:I, s:o}", "tenant", t->name, "weight",
			 (json_int_t)f.weight, "cap", (json_int_t)f.cap, "pool",
			 strcmp(f.pool, SHARE_SHARED_NAME) ? f.pool : "", "share",
			 unknown ? json_null() : json_real(busy ? (double)busy->share : 0), "waiting",
			 (json_int_t)f.waiting, "running", (json_int_t)f.running, "shed", (json_int_t)f.shed,
			 "wait_p99_ms", (json_int_t)f.wait_p99_ms, "bytes_s",
			 unknown ? json_null() : json_integer(busy ? (json_int_t)busy->bytes : 0));
}

struct share_listing {
	json_t *items;
	struct live_sample now;
};

static enum gh_status share_row(struct control_call *c, const struct meta_tenant *row, void *arg)
{
	const struct share_listing *l = arg;
	struct tenant *t;
	enum gh_status st = tenant_get(c->core, row->name, &t);

	return st == GH_OK ? control_item(l->items, share_json(c, t, &l->now)) : st;
}

enum gh_status control_share_list(struct control_call *c)
{
	struct share_listing l = { 0 };
	enum gh_status st = control_args(c, NULL, 0);

	if (st != GH_OK)
		return st;
	l.items = control_items(c);
	if (!l.items)
		return GH_NOMEM;
	(void)live_now(c->core, &l.now);
	return control_tenants_each(c, share_row, &l);
}

/* ---- pools ---- */

struct pool_change {
	const char *name;
	int64_t slots, queue;
	bool has_slots, has_queue;
};

static unsigned within(int64_t n)
{
	return n < 0 ? 0 : n > UINT32_MAX ? UINT32_MAX : (unsigned)n;
}

static enum gh_status pool_once(struct control_call *c, void *arg)
{
	struct pool_change k = *(struct pool_change *)arg;
	struct kept s = { .doc = NULL };
	struct meta_step step = { .kind = META_SETTING_PUT, .setting = &s.row };
	struct share_pool there;
	const bool is_there = share_pool_named(c->core, k.name, &there);
	const char *wrong, *detail;
	enum gh_status st;

	if (!is_there && !k.has_slots)
		return control_fail(c, GH_INVALID, "argument \"slots\" is missing: how many operations run at once in it");
	k.slots = k.has_slots ? k.slots : there.slots;
	k.queue = k.has_queue ? k.queue : is_there ? there.queue : QUEUE_DEFAULT;
	wrong = share_pool_wrong(c->core, k.name, within(k.slots), within(k.queue));
	if (wrong)
		return control_fail(c, GH_INVALID, "%s", wrong);
	st = pool_read(c, k.name, &s);
	if (st != GH_OK)
		return st;
	if (json_object_set_new(s.doc, "name", json_string(k.name)) ||
	    json_object_set_new(s.doc, "slots", json_integer(k.slots)) ||
	    json_object_set_new(s.doc, "queue", json_integer(k.queue)))
		st = GH_NOMEM;
	s.row.doc = doc_text(c, s.doc);
	json_decref(s.doc);
	detail = gh_printf(c->arena, "slots %lld, queue %lld", (long long)k.slots, (long long)k.queue);
	if (st != GH_OK || !s.row.doc || !detail)
		return GH_NOMEM;
	st = control_commit(c, NULL, k.name, detail, UINT64_MAX, &step, 1);
	if (st == GH_OK)
		st = applied(c, share_pool_put(c->core, k.name, (unsigned)k.slots, (unsigned)k.queue));
	if (st != GH_OK)
		return st;
	return control_result(c, json_pack("{s:s, s:I, s:I, s:b}", "name", k.name, "slots", (json_int_t)k.slots, "queue",
					   (json_int_t)k.queue, "in_force", !c->core->cfg.share_off));
}

enum gh_status control_pool_set(struct control_call *c)
{
	struct pool_change k = { .name = NULL };
	const struct control_arg args[] = {
		{ "name", CONTROL_TEXT, true, &k.name, NULL },
		{ "slots", CONTROL_NUMBER, false, &k.slots, &k.has_slots },
		{ "queue", CONTROL_NUMBER, false, &k.queue, &k.has_queue },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_retry(c, pool_once, &k);
	if (st == GH_OK)
		live_tell(c->core, "pool");
	return st;
}

enum gh_status control_pool_list(struct control_call *c)
{
	enum gh_status st = control_args(c, NULL, 0);
	struct share_pool p;
	json_t *items;

	if (st != GH_OK)
		return st;
	items = control_items(c);
	if (!items)
		return GH_NOMEM;
	for (unsigned i = 1; st == GH_OK && i < FAIR_POOLS; i++)
		if (share_pool_at(c->core, i, &p))
			st = control_item(items, json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", p.name, "slots",
							   (json_int_t)p.slots, "queue", (json_int_t)p.queue, "running",
							   (json_int_t)p.running, "waiting", (json_int_t)p.waiting));
	return st;
}

/* ---- the end of a pool ---- */

struct pool_removal {
	const char *name;
	unsigned members;
	struct meta_setting row[MEMBERS_MAX + 1]; /* the pool's own first; then its tenants', as they are to become */
	struct meta_step step[MEMBERS_MAX + 1];
};

static enum gh_status member_leaves(struct control_call *c, struct pool_removal *m, const struct meta_setting *row)
{
	json_t *doc = doc_of(row);
	struct meta_setting *mine = &m->row[m->members + 1];
	enum gh_status st = GH_OK;

	if (!doc)
		return GH_NOMEM;
	if (strcmp(pool_of(doc), m->name) != 0) {
		json_decref(doc);
		return GH_OK;
	}
	if (m->members == MEMBERS_MAX) {
		st = control_fail(c, GH_LIMIT, "more than %d tenants are in pool %s; put some of them elsewhere first",
				  MEMBERS_MAX, m->name);
	} else if (json_object_set_new(doc, "pool", json_string(""))) {
		st = GH_NOMEM;
	} else {
		*mine = *row;
		mine->kind = SHARE_KIND;
		mine->doc = doc_text(c, doc);
		st = mine->doc ? GH_OK : GH_NOMEM;
		m->step[++m->members] = (struct meta_step){ .kind = META_SETTING_PUT, .setting = mine };
	}
	json_decref(doc);
	return st;
}

static enum gh_status members_find(struct control_call *c, struct pool_removal *m)
{
	struct meta_call call = control_meta(c);
	unsigned count = PAGE;
	enum gh_status st = GH_OK;

	for (uint64_t after = 0; st == GH_OK && count == PAGE;) {
		struct meta_setting *rows;

		st = meta_settings(c->core->meta, &call, SHARE_KIND, after, PAGE, &rows, &count);
		for (unsigned i = 0; st == GH_OK && i < count; i++) {
			after = rows[i].id;
			st = member_leaves(c, m, &rows[i]);
		}
	}
	return st;
}

static enum gh_status members_apply(struct control_call *c, const struct pool_removal *m)
{
	enum gh_status st = GH_OK;

	for (unsigned i = 1; st == GH_OK && i <= m->members; i++) {
		struct share_change k = { .t = NULL };
		json_t *doc = doc_of(&m->row[i]);

		if (!doc || !share_merge(c, &k, doc))
			st = GH_NOMEM;
		else
			st = share_tenant_put(c->core, m->row[i].id, (uint32_t)k.weight, (uint32_t)k.cap, "");
		json_decref(doc);
	}
	return st;
}

static enum gh_status remove_once(struct control_call *c, void *arg)
{
	struct pool_removal *m = gh_alloc(c->arena, sizeof(*m));
	struct share_pool there;
	struct kept s = { .doc = NULL };
	enum gh_status st;

	if (!m)
		return GH_NOMEM;
	m->name = arg;
	if (!strcmp(m->name, SHARE_SHARED_NAME))
		return control_fail(c, GH_INVALID, "the shared pool stays: somewhere tenants have to run");
	if (!share_pool_named(c->core, m->name, &there))
		return control_fail(c, GH_NOTFOUND, "there is no pool \"%.64s\"", m->name);
	st = pool_read(c, m->name, &s);
	json_decref(s.doc);
	if (st != GH_OK)
		return st;
	m->row[0] = s.row;
	m->step[0] = (struct meta_step){ .kind = META_SETTING_DELETE, .setting = &m->row[0] };
	st = members_find(c, m);
	if (st == GH_OK)
		st = control_commit(c, NULL, m->name, gh_printf(c->arena, "%u tenants to the shared pool", m->members),
				    UINT64_MAX, m->step, m->members + 1);
	if (st != GH_OK)
		return st;
	share_pool_remove(c->core, m->name);
	st = applied(c, members_apply(c, m));
	if (st != GH_OK)
		return st;
	return control_result(c, json_pack("{s:s, s:I, s:I, s:I}", "name", m->name, "moved", (json_int_t)m->members,
					   "running", (json_int_t)there.running, "waiting", (json_int_t)there.waiting));
}

/* Its tenants go to the shared pool; what runs or waits in it ends there. */
enum gh_status control_pool_remove(struct control_call *c)
{
	const char *name;
	const struct control_arg args[] = { { "name", CONTROL_TEXT, true, &name, NULL } };
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_retry(c, remove_once, (void *)name);
	if (st != GH_OK)
		return st;
	live_tell(c->core, "pool");
	live_tell(c->core, "share");
	return GH_OK;
}
