/* What one database does for its tenants: the functions of core/meta.h, by the same names and with the same meaning, asked of
 * one shard. route.c finds the shard and calls these; the files behind them know nothing of other shards.
 */
#ifndef GH_BACKENDS_METADATA_SHARD_H
#define GH_BACKENDS_METADATA_SHARD_H

#include "core/meta.h"

struct shard_store; /* store.h */

GH_MUST_CHECK enum gh_status shard_open(const struct meta_config *cfg, struct shard_store **ret, char *err);
void shard_close(struct shard_store **m);

GH_MUST_CHECK enum gh_status shard_tenants(struct shard_store *m, struct meta_call *c, uint64_t after_id,
					   unsigned limit, struct meta_tenant **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_tenant_by_name(struct shard_store *m, struct meta_call *c, const char *name,
						  struct meta_tenant **ret);
GH_MUST_CHECK enum gh_status shard_resolve(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t from,
					   const struct gh_component *comp, unsigned n, struct meta_node **ret_nodes,
					   unsigned *ret_found);
bool shard_look(struct shard_store *m, struct meta_look *l); /* look.c */
GH_MUST_CHECK enum gh_status shard_node_get(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t id,
					    struct meta_node **ret);
GH_MUST_CHECK enum gh_status shard_list(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t parent,
					const char *after_key, unsigned limit, struct meta_page *ret);
GH_MUST_CHECK enum gh_status shard_version_parts(struct shard_store *m, struct meta_call *c, uint64_t tenant,
						 uint64_t version, struct meta_part **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_props(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t node,
					 struct meta_prop **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_props_of_children(struct shard_store *m, struct meta_call *c, uint64_t tenant,
						     uint64_t parent, const char *after_key, const char *last_key,
						     struct meta_prop **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_locks(struct shard_store *m, struct meta_call *c, uint64_t tenant,
					 struct meta_lock **ret, unsigned *ret_count, uint64_t *ret_seen);
GH_MUST_CHECK enum gh_status shard_rights_mark(struct shard_store *m, struct meta_call *c, uint64_t tenant,
					       struct meta_mark *ret);
GH_MUST_CHECK enum gh_status shard_rights_load(struct shard_store *m, struct meta_call *c, uint64_t tenant,
					       struct meta_rights **ret);
GH_MUST_CHECK enum gh_status shard_user_by_name(struct shard_store *m, struct meta_call *c, uint64_t tenant,
						const char *key, struct meta_user **ret);
GH_MUST_CHECK enum gh_status shard_users(struct shard_store *m, struct meta_call *c, uint64_t tenant,
					 const char *after_key, unsigned limit, struct meta_user **ret,
					 unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_groups(struct shard_store *m, struct meta_call *c, uint64_t tenant,
					  struct meta_group **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_tokens(struct shard_store *m, struct meta_call *c, uint64_t tenant, uint64_t user,
					  struct meta_token **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_usage(struct shard_store *m, struct meta_call *c, uint64_t tenant,
					 uint64_t *ret_bytes, uint64_t *ret_files);
GH_MUST_CHECK enum gh_status shard_events(struct shard_store *m, struct meta_call *c, uint64_t tenant,
					  uint64_t after_op, unsigned limit, struct meta_event **ret,
					  unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_feed(struct shard_store *m, struct meta_call *c, uint64_t tenant,
					const struct meta_cursor *after, unsigned limit, struct meta_event **ret,
					unsigned *ret_count, struct meta_cursor *ret_next);
GH_MUST_CHECK enum gh_status shard_feed_ends(struct shard_store *m, struct meta_call *c, uint64_t tenant,
					     struct meta_cursor *ret_oldest, struct meta_cursor *ret_newest);
GH_MUST_CHECK enum gh_status shard_feed_renew(struct shard_store *m, struct meta_call *c, uint64_t tenant);
GH_MUST_CHECK enum gh_status shard_stream(struct shard_store *m, struct meta_call *c, struct meta_stream *s,
					  meta_stream_fn *fn, void *arg);
GH_MUST_CHECK enum gh_status shard_gateway_join(struct shard_store *m, struct meta_call *c, struct meta_gateway *g,
						uint64_t predecessor, uint32_t life_ms);
GH_MUST_CHECK enum gh_status shard_gateway_beat(struct shard_store *m, struct meta_call *c, unsigned slot, uint64_t token,
						uint32_t life_ms);
GH_MUST_CHECK enum gh_status shard_gateway_leave(struct shard_store *m, struct meta_call *c, unsigned slot, uint64_t token);
GH_MUST_CHECK enum gh_status shard_gateways(struct shard_store *m, struct meta_call *c, struct meta_gateway **ret,
					    unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_lease_take(struct shard_store *m, struct meta_call *c, const char *kind, uint64_t tenant,
					      uint64_t id, uint64_t holder, uint32_t life_ms);
GH_MUST_CHECK enum gh_status shard_lease_drop(struct shard_store *m, struct meta_call *c, const char *kind, uint64_t tenant,
					      uint64_t id, uint64_t holder);
GH_MUST_CHECK enum gh_status shard_settings(struct shard_store *m, struct meta_call *c, const char *kind,
					    uint64_t after_id, unsigned limit, struct meta_setting **ret,
					    unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_commit(struct shard_store *m, struct meta_call *c, struct meta_batch *b);
void shard_commit_later(struct shard_store *m, struct meta_call *c, struct meta_batch *b, meta_landed_fn *landed,
			void *arg);
void shard_quiet(struct shard_store *m);
GH_MUST_CHECK enum gh_status shard_quota_lease(struct shard_store *m, struct meta_call *c,
					       const struct meta_quota_ask *a);
GH_MUST_CHECK enum gh_status shard_quota_books(struct shard_store *m, struct meta_call *c,
					       const struct meta_quota_ask *a, struct meta_quota_books *ret);
GH_MUST_CHECK enum gh_status shard_blobs_dead(struct shard_store *m, struct meta_call *c, int64_t dead_before_us,
					      unsigned limit, struct meta_blob_row **ret, unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_blob_forget(struct shard_store *m, struct meta_call *c, uint64_t tenant,
					       uint64_t id);
GH_MUST_CHECK enum gh_status shard_blob_claim(struct shard_store *m, struct meta_call *c, const struct blob_object *o);
GH_MUST_CHECK enum gh_status shard_blob_mark_damaged(struct shard_store *m, struct meta_call *c, uint64_t tenant,
						     uint64_t id);
GH_MUST_CHECK enum gh_status shard_blobs(struct shard_store *m, struct meta_call *c, uint64_t after_tenant,
					 uint64_t after_id, unsigned limit, struct meta_blob_row **ret,
					 unsigned *ret_count);
GH_MUST_CHECK enum gh_status shard_trash_step(struct shard_store *m, struct meta_call *c, unsigned limit,
					      bool *ret_left);
GH_MUST_CHECK enum gh_status shard_locks_expire(struct shard_store *m, struct meta_call *c);
GH_MUST_CHECK enum gh_status shard_events_fold(struct shard_store *m, struct meta_call *c, int64_t drop_before_us);
GH_MUST_CHECK enum gh_status shard_check(struct shard_store *m, struct meta_call *c, meta_finding_fn *fn, void *arg);
GH_MUST_CHECK enum gh_status shard_id_floor(struct shard_store *m, struct meta_call *c, uint64_t *ret);

#endif
