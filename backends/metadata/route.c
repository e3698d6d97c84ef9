/* The contract of core/meta.h over databases: each call goes to the one that has its tenant (shard.h). Any worker.
 */
#include "backends/metadata/route.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- opening ---- */

enum gh_status meta_open(const struct meta_config *cfg, struct meta_store **ret, char *err)
{
	struct meta_store *m = calloc(1, sizeof(*m));
	enum gh_status st;

	if (!m) {
		snprintf(err, DB_ERR_MAX, "out of memory");
		return GH_NOMEM;
	}
	st = shard_open(cfg, &m->central, err);
	if (st != GH_OK) {
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
	shard_close(&m->central);
	free(m);
	*ret = NULL;
}

/* ---- whose shard ---- */

static struct shard_store *of(struct meta_store *m, uint64_t tenant)
{
	(void)tenant;
	return m->central;
}

/* ---- the calls ---- */

enum gh_status meta_tenants(struct meta_store *m, struct meta_call *c, uint64_t after_id, unsigned limit,
			    struct meta_tenant **ret, unsigned *ret_count)
{
	return shard_tenants(m->central, c, after_id, limit, ret, ret_count);
}

enum gh_status meta_tenant_by_name(struct meta_store *m, struct meta_call *c, const char *name,
				   struct meta_tenant **ret)
{
	return shard_tenant_by_name(m->central, c, name, ret);
}

enum gh_status meta_resolve(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t from,
			    const struct gh_component *comp, unsigned n, struct meta_node **ret_nodes,
			    unsigned *ret_found)
{
	return shard_resolve(of(m, tenant), c, tenant, from, comp, n, ret_nodes, ret_found);
}

enum gh_status meta_node_get(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t id,
			     struct meta_node **ret)
{
	return shard_node_get(of(m, tenant), c, tenant, id, ret);
}

enum gh_status meta_list(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t parent,
			 const char *after_key, unsigned limit, struct meta_page *ret)
{
	return shard_list(of(m, tenant), c, tenant, parent, after_key, limit, ret);
}

enum gh_status meta_version_parts(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t version,
				  struct meta_part **ret, unsigned *ret_count)
{
	return shard_version_parts(of(m, tenant), c, tenant, version, ret, ret_count);
}

enum gh_status meta_props(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t node,
			  struct meta_prop **ret, unsigned *ret_count)
{
	return shard_props(of(m, tenant), c, tenant, node, ret, ret_count);
}

enum gh_status meta_props_of_children(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t parent,
				      const char *after_key, const char *last_key, struct meta_prop **ret,
				      unsigned *ret_count)
{
	return shard_props_of_children(of(m, tenant), c, tenant, parent, after_key, last_key, ret, ret_count);
}

enum gh_status meta_locks(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct meta_lock **ret,
			  unsigned *ret_count, uint64_t *ret_seen)
{
	return shard_locks(of(m, tenant), c, tenant, ret, ret_count, ret_seen);
}

enum gh_status meta_rights_load(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct meta_rights **ret)
{
	return shard_rights_load(of(m, tenant), c, tenant, ret);
}

enum gh_status meta_user_by_name(struct meta_store *m, struct meta_call *c, uint64_t tenant, const char *key,
				 struct meta_user **ret)
{
	return shard_user_by_name(of(m, tenant), c, tenant, key, ret);
}

enum gh_status meta_users(struct meta_store *m, struct meta_call *c, uint64_t tenant, const char *after_key,
			  unsigned limit, struct meta_user **ret, unsigned *ret_count)
{
	return shard_users(of(m, tenant), c, tenant, after_key, limit, ret, ret_count);
}

enum gh_status meta_groups(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct meta_group **ret,
			   unsigned *ret_count)
{
	return shard_groups(of(m, tenant), c, tenant, ret, ret_count);
}

enum gh_status meta_tokens(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t user,
			   struct meta_token **ret, unsigned *ret_count)
{
	return shard_tokens(of(m, tenant), c, tenant, user, ret, ret_count);
}

enum gh_status meta_usage(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t *ret_bytes,
			  uint64_t *ret_files)
{
	return shard_usage(of(m, tenant), c, tenant, ret_bytes, ret_files);
}

enum gh_status meta_events(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t after_op,
			   unsigned limit, struct meta_event **ret, unsigned *ret_count)
{
	return shard_events(of(m, tenant), c, tenant, after_op, limit, ret, ret_count);
}

enum gh_status meta_feed(struct meta_store *m, struct meta_call *c, uint64_t tenant, const struct meta_cursor *after,
			 unsigned limit, struct meta_event **ret, unsigned *ret_count, struct meta_cursor *ret_next)
{
	return shard_feed(of(m, tenant), c, tenant, after, limit, ret, ret_count, ret_next);
}

enum gh_status meta_feed_ends(struct meta_store *m, struct meta_call *c, uint64_t tenant, struct meta_cursor *ret_oldest,
			      struct meta_cursor *ret_newest)
{
	return shard_feed_ends(of(m, tenant), c, tenant, ret_oldest, ret_newest);
}

enum gh_status meta_feed_renew(struct meta_store *m, struct meta_call *c, uint64_t tenant)
{
	return shard_feed_renew(of(m, tenant), c, tenant);
}

unsigned meta_shards(struct meta_store *m)
{
	(void)m;
	return 1;
}

enum gh_status meta_stream(struct meta_store *m, struct meta_call *c, unsigned shard, struct meta_stream *s,
			   meta_stream_fn *fn, void *arg)
{
	(void)shard;
	return shard_stream(m->central, c, s, fn, arg);
}

void meta_wait(struct meta_store *m, unsigned shard, bool others_only, uint64_t *seen, uint32_t timeout_ms)
{
	(void)shard;
	feed_bell_wait(&m->central->bell, others_only, seen, timeout_ms);
}

void meta_wait_end(struct meta_store *m)
{
	feed_bell_end(&m->central->bell);
}

void meta_on_back(struct meta_store *m, void (*fn)(void *arg), void *arg)
{
	feed_bell_on_back(&m->central->bell, fn, arg);
}

/* ---- gateways: in central, but for what is in the making, which is where its tenant is ---- */

bool meta_is_shared(struct meta_store *m)
{
	return m->central->drv->listen != NULL;
}

enum gh_status meta_gateway_join(struct meta_store *m, struct meta_call *c, struct meta_gateway *g, uint64_t predecessor,
				 uint32_t life_ms)
{
	return shard_gateway_join(m->central, c, g, predecessor, life_ms);
}

enum gh_status meta_gateway_beat(struct meta_store *m, struct meta_call *c, unsigned slot, uint64_t token, uint32_t life_ms)
{
	return shard_gateway_beat(m->central, c, slot, token, life_ms);
}

enum gh_status meta_gateway_leave(struct meta_store *m, struct meta_call *c, unsigned slot, uint64_t token)
{
	return shard_gateway_leave(m->central, c, slot, token);
}

enum gh_status meta_gateways(struct meta_store *m, struct meta_call *c, struct meta_gateway **ret, unsigned *ret_count)
{
	return shard_gateways(m->central, c, ret, ret_count);
}

void meta_fence(struct meta_store *m, uint64_t until_ns)
{
	atomic_store(&m->central->fence_ns, until_ns);
}

enum gh_status meta_lease_take(struct meta_store *m, struct meta_call *c, const char *kind, uint64_t tenant, uint64_t id,
			       uint64_t holder, uint32_t life_ms)
{
	return shard_lease_take(of(m, tenant), c, kind, tenant, id, holder, life_ms);
}

enum gh_status meta_lease_drop(struct meta_store *m, struct meta_call *c, const char *kind, uint64_t tenant, uint64_t id,
			       uint64_t holder)
{
	return shard_lease_drop(of(m, tenant), c, kind, tenant, id, holder);
}

enum gh_status meta_settings(struct meta_store *m, struct meta_call *c, const char *kind, uint64_t after_id,
			     unsigned limit, struct meta_setting **ret, unsigned *ret_count)
{
	return shard_settings(m->central, c, kind, after_id, limit, ret, ret_count);
}

enum gh_status meta_commit(struct meta_store *m, struct meta_call *c, struct meta_batch *b)
{
	return shard_commit(of(m, b->tenant), c, b);
}

void meta_commit_later(struct meta_store *m, struct meta_call *c, struct meta_batch *b, meta_landed_fn *landed,
		       void *arg)
{
	shard_commit_later(of(m, b->tenant), c, b, landed, arg);
}

void meta_quiet(struct meta_store *m)
{
	shard_quiet(m->central);
}

enum gh_status meta_quota_lease(struct meta_store *m, struct meta_call *c, const struct meta_quota_ask *a)
{
	return shard_quota_lease(of(m, a->tenant), c, a);
}

enum gh_status meta_quota_books(struct meta_store *m, struct meta_call *c, const struct meta_quota_ask *a,
				struct meta_quota_books *ret)
{
	return shard_quota_books(of(m, a->tenant), c, a, ret);
}

enum gh_status meta_blobs_dead(struct meta_store *m, struct meta_call *c, int64_t dead_before_us, unsigned limit,
			       struct meta_blob_row **ret, unsigned *ret_count)
{
	return shard_blobs_dead(m->central, c, dead_before_us, limit, ret, ret_count);
}

enum gh_status meta_blob_forget(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t id)
{
	return shard_blob_forget(of(m, tenant), c, tenant, id);
}

enum gh_status meta_blob_claim(struct meta_store *m, struct meta_call *c, const struct blob_object *o)
{
	return shard_blob_claim(of(m, o->tenant), c, o);
}

enum gh_status meta_blob_mark_damaged(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t id)
{
	return shard_blob_mark_damaged(of(m, tenant), c, tenant, id);
}

enum gh_status meta_blobs(struct meta_store *m, struct meta_call *c, uint64_t after_tenant, uint64_t after_id,
			  unsigned limit, struct meta_blob_row **ret, unsigned *ret_count)
{
	return shard_blobs(m->central, c, after_tenant, after_id, limit, ret, ret_count);
}

enum gh_status meta_trash_step(struct meta_store *m, struct meta_call *c, unsigned limit, bool *ret_left)
{
	return shard_trash_step(m->central, c, limit, ret_left);
}

enum gh_status meta_locks_expire(struct meta_store *m, struct meta_call *c)
{
	return shard_locks_expire(m->central, c);
}

enum gh_status meta_events_fold(struct meta_store *m, struct meta_call *c, int64_t drop_before_us)
{
	return shard_events_fold(m->central, c, drop_before_us);
}

enum gh_status meta_check(struct meta_store *m, struct meta_call *c, meta_finding_fn *fn, void *arg)
{
	return shard_check(m->central, c, fn, arg);
}

enum gh_status meta_id_floor(struct meta_store *m, struct meta_call *c, uint64_t *ret)
{
	return shard_id_floor(m->central, c, ret);
}
