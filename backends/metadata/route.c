/* The contract of core/meta.h, for what is about one tenant: each call goes to the database that has it (shard.h). Any
 * worker. See route.h.
 */
#include "backends/metadata/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"

#define TRIES 4

/* ---- opening ---- */

enum gh_status meta_open(const struct meta_config *cfg, struct meta_store **ret, char *err)
{
	struct meta_store *m = calloc(1, sizeof(*m));
	enum gh_status st;

	if (!m) {
		snprintf(err, DB_ERR_MAX, "out of memory");
		return GH_NOMEM;
	}
	m->hurry.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->hurry.fd < 0) {
		snprintf(err, DB_ERR_MAX, "no descriptor is left");
		free(m);
		return GH_NOMEM;
	}
	m->cfg = *cfg;
	m->cfg.hurry = &m->hurry;
	atomic_store(&m->fence_ns, UINT64_MAX);
	atomic_flag_clear(&m->rescues);
	st = shard_open(&m->cfg, &m->central, err);
	if (st != GH_OK) {
		close(m->hurry.fd);
		free(m);
		return st;
	}
	st = routes_open(m, err);
	if (st != GH_OK) {
		if (!*err)
			snprintf(err, DB_ERR_MAX, "%s", gh_status_text(st));
		meta_close(&m);
		return st;
	}
	*ret = m;
	return GH_OK;
}

void meta_close(struct meta_store **ret)
{
	struct meta_store *m = *ret;

	if (!m)
		return;
	meta_hurry(m);
	routes_close(m);
	shard_close(&m->central);
	close(m->hurry.fd);
	free(m);
	*ret = NULL;
}

void meta_hurry(struct meta_store *m)
{
	const uint64_t one = 1;

	if (!atomic_exchange(&m->hurry.since_ns, gh_mono_ns()) && write(m->hurry.fd, &one, sizeof(one)) < 0)
		gh_log(GH_LOG_WARN, "meta.hurry", "errno=%d", errno); /* it was never written to, so it takes this */
}

/* ---- changes ---- */

static const struct meta_tenant *tenant_put_of(const struct meta_batch *b)
{
	for (unsigned i = 0; i < b->step_count && b->step_count <= META_STEPS_MAX; i++)
		if (b->steps[i].kind == META_TENANT_PUT && b->steps[i].tenant)
			return b->steps[i].tenant;
	return NULL;
}

/* What the batch requires of the place it is sent to. */
static void address(struct meta_batch *b, const struct route *r)
{
	if (r->epoch)
		b->route_epoch = r->epoch;
	b->tells = route_is_told(r);
}

/* A guard that did not hold may have been the route's: then there is another place to send it to. */
static bool has_moved(struct meta_store *m, struct meta_call *c, const struct route *used, enum gh_status *st)
{
	struct shard_store *s;
	struct route now;

	if (!atomic_load(&m->many))
		return false;
	route_suspect(m, used->tenant);
	const enum gh_status found = route_home_to_write(m, c, used->tenant, &now, &s);

	if (found != GH_OK) {
		*st = found;
		return false;
	}
	return now.epoch != used->epoch || now.seat != used->seat || route_is_told(&now) != route_is_told(used);
}

static bool is_setting(const struct meta_step *s)
{
	return s->kind == META_SETTING_PUT || s->kind == META_SETTING_DELETE;
}

/* Settings are central's. Where a tenant's batch changes some and the tenant is in another database, they go first, with an
 * event of the house; then the rest. If that fails, what is asked again says the same. */
static enum gh_status commit_settings(struct meta_store *m, struct meta_call *c, const struct meta_batch *b,
				      struct meta_batch *ret_rest)
{
	struct meta_step *steps = gh_alloc_array(c->arena, b->step_count + 1u, sizeof(*steps));
	struct meta_batch house = *b;
	unsigned settings = 0, rest = b->step_count;

	*ret_rest = *b;
	for (unsigned i = 0; steps && i < b->step_count; i++)
		steps[is_setting(&b->steps[i]) ? settings++ : --rest] = b->steps[i];
	if (!steps || !settings)
		return steps ? GH_OK : GH_NOMEM;
	for (unsigned i = rest, k = b->step_count - 1; i < k; i++, k--) { /* in their order again */
		const struct meta_step swap = steps[i];

		steps[i] = steps[k];
		steps[k] = swap;
	}
	ret_rest->steps = steps + rest;
	ret_rest->step_count = b->step_count - rest;
	house.steps = steps;
	house.step_count = settings;
	house.tenant = 0;
	house.tells = false;
	house.tree_gen = house.rights_epoch = house.route_epoch = house.lock_seen = UINT64_MAX;
	house.slot_count = house.lease_count = house.owned_count = 0;
	house.event.bytes = house.event.files = 0;
	return shard_commit(m->central, c, &house);
}

/* What central knows of a user who was removed elsewhere. */
static enum gh_status settings_forget(struct db_conn *c, void *arg, int64_t now_us)
{
	const struct meta_batch *b = arg;
	enum gh_status st = GH_OK;

	(void)now_us;
	for (unsigned i = 0; st == GH_OK && i < b->step_count; i++) {
		const struct db_value v[] = { V_I64(b->tenant),
					      V_I64(b->steps[i].kind == META_USER_DELETE ? b->steps[i].user->id : 0) };

		if (b->steps[i].kind == META_USER_DELETE)
			st = job_statement(c, SQL_SETTINGS_FORGET, v, 2);
	}
	return st;
}

static bool removes_user(const struct meta_batch *b)
{
	for (unsigned i = 0; i < b->step_count; i++)
		if (b->steps[i].kind == META_USER_DELETE)
			return true;
	return false;
}

/* In a database that is not central's. */
static enum gh_status commit_away(struct meta_store *m, struct meta_call *c, struct shard_store *s, struct meta_batch *b)
{
	struct meta_batch rest;
	enum gh_status st = commit_settings(m, c, b, &rest);

	if (st != GH_OK)
		return st;
	st = shard_commit(s, c, &rest);
	b->done_before = rest.done_before;
	b->time_us = rest.time_us;
	/* what is left behind means nobody any more */
	if (st == GH_OK && removes_user(b) && commit_job(m->central, c, settings_forget, b) != GH_OK)
		gh_log(GH_LOG_WARN, "meta.settings_left", "tenant=%llu", (unsigned long long)b->tenant);
	return st;
}

enum gh_status meta_commit(struct meta_store *m, struct meta_call *c, struct meta_batch *b)
{
	const struct meta_tenant *put = tenant_put_of(b);
	struct shard_store *s;
	struct route r;
	enum gh_status st = GH_STALE;

	if (put && atomic_load(&m->many))
		return route_commit_tenant(m, c, b, put);
	if (put && put->shard && *put->shard && strcmp(put->shard, "main"))
		return GH_NOTFOUND;
	for (unsigned i = 0; i < TRIES; i++) {
		st = route_home_to_write(m, c, b->tenant, &r, &s);
		if (st != GH_OK)
			return st;
		address(b, &r);
		st = s == m->central ? shard_commit(s, c, b) : commit_away(m, c, s, b);
		if (st != GH_STALE || !b->tenant || !has_moved(m, c, &r, &st))
			return st;
	}
	return st;
}

/* On the way back from the thread that commits, which must not ask anybody. */
struct later {
	struct meta_store *m;
	uint64_t tenant;
	meta_landed_fn *landed;
	void *arg;
};

static void later_landed(void *arg, enum gh_status st)
{
	const struct later l = *(struct later *)arg;

	if (st == GH_STALE)
		route_suspect(l.m, l.tenant); /* who decides anew is led to the right place */
	l.landed(l.arg, st);
}

void meta_commit_later(struct meta_store *m, struct meta_call *c, struct meta_batch *b, meta_landed_fn *landed, void *arg)
{
	struct shard_store *s;
	struct later *l;
	struct route r;
	enum gh_status st;

	if (!atomic_load_explicit(&m->many, memory_order_relaxed)) {
		shard_commit_later(m->central, c, b, landed, arg);
		return;
	}
	l = gh_alloc(c->arena, sizeof(*l));
	st = l ? route_home_to_write(m, c, b->tenant, &r, &s) : GH_NOMEM;
	if (st != GH_OK) {
		landed(arg, st);
		return;
	}
	*l = (struct later){ m, b->tenant, landed, arg };
	address(b, &r);
	shard_commit_later(s, c, b, later_landed, l);
}

enum gh_status meta_quota_lease(struct meta_store *m, struct meta_call *c, const struct meta_quota_ask *a)
{
	struct shard_store *s;
	struct route r;
	enum gh_status st = GH_STALE;

	for (unsigned i = 0; i < TRIES; i++) {
		st = route_home_to_write(m, c, a->tenant, &r, &s);
		if (st == GH_OK)
			st = shard_quota_lease(s, c, a);
		if (st != GH_STALE || !has_moved(m, c, &r, &st))
			break;
	}
	return st == GH_STALE ? GH_BUSY : st;
}

/* ---- the other calls ---- */

static enum gh_status home(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct shard_store **ret)
{
	struct route r;

	return route_home(m, c, tenant, &r, ret);
}

enum gh_status meta_resolve(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t from,
			    const struct gh_component *comp, unsigned n, struct meta_node **ret_nodes,
			    unsigned *ret_found)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_resolve(s, c, tenant, from, comp, n, ret_nodes, ret_found) : st;
}

bool meta_look(struct meta_store *m, struct meta_look *l)
{
	struct shard_store *s = route_certain(m, l->tenant);

	return s && shard_look(s, l);
}

enum gh_status meta_node_get(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t id,
			     struct meta_node **ret)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_node_get(s, c, tenant, id, ret) : st;
}

enum gh_status meta_list(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t parent,
			 const char *after_key, unsigned limit, struct meta_page *ret)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_list(s, c, tenant, parent, after_key, limit, ret) : st;
}

enum gh_status meta_version_parts(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t version,
				  struct meta_part **ret, unsigned *ret_count)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_version_parts(s, c, tenant, version, ret, ret_count) : st;
}

enum gh_status meta_props(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t node,
			  struct meta_prop **ret, unsigned *ret_count)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_props(s, c, tenant, node, ret, ret_count) : st;
}

enum gh_status meta_props_of_children(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t parent,
				      const char *after_key, const char *last_key, struct meta_prop **ret,
				      unsigned *ret_count)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_props_of_children(s, c, tenant, parent, after_key, last_key, ret, ret_count) : st;
}

enum gh_status meta_locks(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct meta_lock **ret,
			  unsigned *ret_count, uint64_t *ret_seen)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_locks(s, c, tenant, ret, ret_count, ret_seen) : st;
}

enum gh_status meta_rights_load(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct meta_rights **ret)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_rights_load(s, c, tenant, ret) : st;
}

enum gh_status meta_rights_mark(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct meta_mark *ret)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_rights_mark(s, c, tenant, ret) : st;
}

enum gh_status meta_user_by_name(struct meta_store *m, struct meta_call *c, uint64_t tenant, const char *key,
				 struct meta_user **ret)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_user_by_name(s, c, tenant, key, ret) : st;
}

enum gh_status meta_users(struct meta_store *m, struct meta_call *c, uint64_t tenant, const char *after_key,
			  unsigned limit, struct meta_user **ret, unsigned *ret_count)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_users(s, c, tenant, after_key, limit, ret, ret_count) : st;
}

enum gh_status meta_groups(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct meta_group **ret,
			   unsigned *ret_count)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_groups(s, c, tenant, ret, ret_count) : st;
}

enum gh_status meta_tokens(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t user,
			   struct meta_token **ret, unsigned *ret_count)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_tokens(s, c, tenant, user, ret, ret_count) : st;
}

enum gh_status meta_usage(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t *ret_bytes,
			  uint64_t *ret_files)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_usage(s, c, tenant, ret_bytes, ret_files) : st;
}

enum gh_status meta_quota_books(struct meta_store *m, struct meta_call *c, const struct meta_quota_ask *a,
				struct meta_quota_books *ret)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, a->tenant, &s);

	return st == GH_OK ? shard_quota_books(s, c, a, ret) : st;
}

enum gh_status meta_blob_forget(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t id)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_blob_forget(s, c, tenant, id) : st;
}

enum gh_status meta_blob_claim(struct meta_store *m, struct meta_call *c, const struct blob_object *o)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, o->tenant, &s);

	return st == GH_OK ? shard_blob_claim(s, c, o) : st;
}

enum gh_status meta_blob_mark_damaged(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t id)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_blob_mark_damaged(s, c, tenant, id) : st;
}

enum gh_status meta_feed(struct meta_store *m, struct meta_call *c, uint64_t tenant, const struct meta_cursor *after,
			 unsigned limit, struct meta_event **ret, unsigned *ret_count, struct meta_cursor *ret_next)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_feed(s, c, tenant, after, limit, ret, ret_count, ret_next) : st;
}

enum gh_status meta_feed_ends(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct meta_cursor *ret_oldest,
			      struct meta_cursor *ret_newest)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_feed_ends(s, c, tenant, ret_oldest, ret_newest) : st;
}

enum gh_status meta_feed_renew(struct meta_store *m, struct meta_call *c, uint64_t tenant)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_feed_renew(s, c, tenant) : st;
}

/* What is in the making is where its tenant is. */
enum gh_status meta_lease_take(struct meta_store *m, struct meta_call *c, const char *kind, uint64_t tenant, uint64_t id,
			       uint64_t holder, uint32_t life_ms)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_lease_take(s, c, kind, tenant, id, holder, life_ms) : st;
}

enum gh_status meta_lease_drop(struct meta_store *m, struct meta_call *c, const char *kind, uint64_t tenant, uint64_t id,
			       uint64_t holder)
{
	struct shard_store *s;
	enum gh_status st = home(m, c, tenant, &s);

	return st == GH_OK ? shard_lease_drop(s, c, kind, tenant, id, holder) : st;
}
