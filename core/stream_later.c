/* See stream_later.h. */
#include "core/stream_later.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/live.h"
#include "core/operators_work.h"
#include "core/people/loginname.h"
#include "core/sessions.h"
#include "core/stream.h"
#include "core/switch_doc.h"
#include "core/switches.h"

#define ROUND_MS 1000u
#define PROOFS_MAX 64

/* ---- noting ---- */

void stream_later_tenant(struct stream_later *l, uint64_t tenant)
{
	for (unsigned i = 0; i < l->tenant_count; i++)
		if (l->tenants[i] == tenant)
			return;
	if (l->tenant_count == STREAM_LATER_MAX)
		l->everything = true;
	else if (tenant)
		l->tenants[l->tenant_count++] = tenant;
}

void stream_later_user(struct stream_later *l, uint64_t tenant, uint64_t user)
{
	for (unsigned i = 0; i < l->user_count; i++)
		if (l->users[i].tenant == tenant && (l->users[i].user == user || !l->users[i].user))
			return;
	if (l->user_count == STREAM_LATER_MAX)
		l->everything = true;
	else if (tenant)
		l->users[l->user_count++] = (struct stream_user){ tenant, user };
}

void stream_later_settings(struct stream_later *l, const char *kind, size_t len)
{
	const struct {
		const char *kind;
		bool *flag;
	} all[] = { { SWITCH_KIND, &l->switches }, { SHARE_KIND, &l->shares }, { SHARE_POOL_KIND, &l->shares },
		    { "limit", &l->limits }, { OPERATOR_KIND, &l->operators }, { OPERATOR_TOKEN_KIND, &l->operators } };

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!kind || (strlen(all[i].kind) == len && !memcmp(kind, all[i].kind, len)))
			*all[i].flag = true;
}

void stream_later_all(struct stream_later *l)
{
	l->everything = true;
}

/* ---- settings ---- */

/* Who changes one here reads, commits and applies under the change lock: what is read under it is not older than what is
 * applied. */
static enum gh_status settings_do(struct gh_core *c, struct stream_later *l)
{
	enum gh_status st = GH_OK;

	pthread_mutex_lock(&c->change_lock);
	if (l->shares && (st = share_reload(c)) == GH_OK)
		l->shares = false;
	if (st == GH_OK && l->limits && (st = quota_reload(c)) == GH_OK)
		l->limits = false;
	if (st == GH_OK && l->operators && (st = operators_load(c)) == GH_OK)
		l->operators = false;
	pthread_mutex_unlock(&c->change_lock);
	return st;
}

static enum gh_status switches_do(struct gh_core *c, struct stream_later *l)
{
	const enum gh_status st = switches_load(c);

	if (st != GH_OK)
		return st;
	l->switches = false;
	if (!switches_tell(c))
		gh_log(GH_LOG_WARN, "stream-tell", "hint=\"not every session could be told of the switchboard in time\"");
	live_tell(c, "switch");
	return GH_OK;
}

/* ---- sessions whose way in may be gone ---- */

struct gather {
	const struct tenant *tenant;
	uint64_t user;
	unsigned count;
	struct proved {
		uint64_t user;
		struct people_proof proof;
		char name[GH_NAME_MAX + 1];
		bool over;
	} of[PROOFS_MAX];
};

static bool same_proof(const struct people_proof *a, const struct people_proof *b)
{
	return a->token == b->token && a->print == b->print;
}

static struct proved *proof_find(struct gather *g, const struct vfs_session *s)
{
	for (unsigned i = 0; i < g->count; i++)
		if (g->of[i].user == s->user && same_proof(&g->of[i].proof, &s->proof))
			return &g->of[i];
	return NULL;
}

static bool is_meant(const struct gather *g, const struct vfs_live *l)
{
	return !l->leaving && l->who && l->who->tenant == g->tenant && (!g->user || l->who->user == g->user);
}

static void gather_one(struct vfs_live *l, void *arg)
{
	struct gather *g = arg;

	if (!is_meant(g, l) || g->count == PROOFS_MAX || proof_find(g, l->who))
		return; /* those beyond are asked when they next do something */
	g->of[g->count] = (struct proved){ .user = l->who->user, .proof = l->who->proof };
	memcpy(g->of[g->count].name, l->who->user_name, sizeof(g->of[g->count].name));
	g->count++;
}

static void end_one(struct vfs_live *l, void *arg)
{
	struct gather *g = arg;
	const bool off = atomic_load(&g->tenant->disabled);
	const struct vfs_verdict v = {
		.status = off ? GH_OFF : GH_UNAUTH,
		.message = off ? "This tenant is disabled." : "Your account has changed; please log in again.",
		.by_name = true,
	};
	const struct proved *p = is_meant(g, l) ? proof_find(g, l->who) : NULL;

	if (p && p->over)
		l->ops->told(l, &v);
}

static bool still_good(struct gh_core *c, struct gh_arena *a, const struct gather *g, const struct proved *p)
{
	struct people_ask ask = { .tenant = g->tenant->id, .now_us = gh_real_us() };
	struct meta_call call = { .arena = a, .op = "still", .deadline_ns = gh_mono_ns() + GH_S_NS };
	struct gh_component name;
	uint64_t gen;

	if (atomic_load(&g->tenant->disabled))
		return false;
	if (people_name_check(a, p->name, strlen(p->name), &name) != GH_OK)
		return true;
	ask.user_key = name.key;
	return people_still(c->people, &call, &ask, p->user, &p->proof, &gen) != GH_UNAUTH;
}

static void sessions_look(struct gh_core *c, struct gh_arena *a, uint64_t tenant, uint64_t user)
{
	static _Thread_local struct gather g;
	bool any = false;

	g.tenant = tenant_by_id(c, tenant);
	g.user = user;
	g.count = 0;
	if (!g.tenant || !sessions_each(c, gather_one, &g, ROUND_MS))
		return; /* they are asked when they next do something */
	for (unsigned i = 0; i < g.count; i++) {
		g.of[i].over = !still_good(c, a, &g, &g.of[i]);
		any |= g.of[i].over;
		gh_arena_reset(a);
	}
	if (any)
		(void)sessions_each(c, end_one, &g, ROUND_MS);
}

/* ---- tenants ---- */

static enum gh_status tenant_read(struct gh_core *c, struct gh_arena *a, uint64_t id)
{
	struct meta_call call = { .arena = a, .op = "tenant" };
	struct meta_tenant *row;
	struct tenant *t;
	unsigned count;
	enum gh_status st = meta_tenants(c->meta, &call, id - 1, 1, &row, &count);

	if (st == GH_OK && count && row->id == id)
		st = tenant_refresh(c, row, &t);
	gh_arena_reset(a);
	return st;
}

static void drop_snapshots(struct tenant *t, void *arg)
{
	(void)arg;
	tenant_drop_locks(t);
	tenant_drop_rights(t);
}

static enum gh_status everything_do(struct gh_core *c, struct stream_later *l)
{
	enum gh_status st;

	tenants_each(c, drop_snapshots, NULL);
	people_drop_all(c->people);
	st = tenants_load_since(c, gh_mono_ns());
	if (st != GH_OK)
		return st;
	*l = (struct stream_later){ .switches = true, .shares = true, .limits = true, .operators = true };
	return GH_OK;
}

static enum gh_status tenants_do(struct gh_core *c, struct gh_arena *a, struct stream_later *l)
{
	enum gh_status st = GH_OK;

	while (st == GH_OK && l->tenant_count) {
		st = tenant_read(c, a, l->tenants[l->tenant_count - 1]);
		if (st == GH_OK) {
			stream_later_user(l, l->tenants[l->tenant_count - 1], 0); /* it may be disabled */
			l->tenant_count--;
		}
	}
	return st;
}

enum gh_status stream_later_do(struct gh_core *c, struct stream_later *l)
{
	struct gh_arena *a;
	enum gh_status st = GH_OK;

	if (!l->everything && !l->tenant_count && !l->user_count && !l->switches && !l->shares && !l->limits && !l->operators)
		return GH_OK;
	a = gh_arena_new(1u << 20);
	if (!a)
		return GH_NOMEM;
	if (l->everything)
		st = everything_do(c, l);
	if (st == GH_OK)
		st = tenants_do(c, a, l);
	if (st == GH_OK && l->switches)
		st = switches_do(c, l);
	if (st == GH_OK && (l->shares || l->limits || l->operators))
		st = settings_do(c, l);
	for (; st == GH_OK && l->user_count; l->user_count--) {
		const struct stream_user u = l->users[l->user_count - 1];

		if (!u.user)
			people_drop_tenant(c->people, u.tenant);
		sessions_look(c, a, u.tenant, u.user);
	}
	gh_arena_free(&a);
	return st;
}
