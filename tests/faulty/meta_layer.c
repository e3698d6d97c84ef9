/* A layer before the metadata store: the linker sends every call of these functions here first (--wrap, the list in
 * tests/faulty/Makefile.inc). A call that is to fail does nothing and answers GH_DATABASE. */
#include "core/meta.h"
#include "tests/faulty/faults.h"

#define UNPACK(...) __VA_ARGS__
/* name, parameters, arguments, tenant */
#define LAYER(name, params, args, tenant_id) \
	enum gh_status __real_meta_##name(UNPACK params); \
	enum gh_status __wrap_meta_##name(UNPACK params); \
	enum gh_status __wrap_meta_##name(UNPACK params) \
	{ \
		bool again; \
\
		if (faults_ask("metadata", #name, tenant_id, true, &again)) \
			return GH_DATABASE; \
		return __real_meta_##name(UNPACK args); \
	}

LAYER(tenant_by_name, (struct meta_store * m, struct meta_call *c, const char *name, struct meta_tenant **ret),
      (m, c, name, ret), 0)
LAYER(resolve,
      (struct meta_store * m, struct meta_call *c, uint64_t tenant, uint64_t from, const struct gh_component *comp,
       unsigned n, struct meta_node **ret_nodes, unsigned *ret_found),
      (m, c, tenant, from, comp, n, ret_nodes, ret_found), tenant)
/* A short cut to resolve, which can be told to fail. */
bool __wrap_meta_look(struct meta_store *m, struct meta_look *l);
bool __wrap_meta_look(struct meta_store *m, struct meta_look *l)
{
	(void)m;
	(void)l;
	return false;
}

LAYER(node_get, (struct meta_store * m, struct meta_call *c, uint64_t tenant, uint64_t id, struct meta_node **ret),
      (m, c, tenant, id, ret), tenant)
LAYER(list,
      (struct meta_store * m, struct meta_call *c, uint64_t tenant, uint64_t parent, const char *after_key,
       unsigned limit, struct meta_page *ret),
      (m, c, tenant, parent, after_key, limit, ret), tenant)
LAYER(version_parts,
      (struct meta_store * m, struct meta_call *c, uint64_t tenant, uint64_t version, struct meta_part **ret,
       unsigned *ret_count),
      (m, c, tenant, version, ret, ret_count), tenant)
LAYER(props,
      (struct meta_store * m, struct meta_call *c, uint64_t tenant, uint64_t node, struct meta_prop **ret,
       unsigned *ret_count),
      (m, c, tenant, node, ret, ret_count), tenant)
LAYER(props_of_children,
      (struct meta_store * m, struct meta_call *c, uint64_t tenant, uint64_t parent, const char *after_key,
       const char *last_key, struct meta_prop **ret, unsigned *ret_count),
      (m, c, tenant, parent, after_key, last_key, ret, ret_count), tenant)
LAYER(locks,
      (struct meta_store * m, struct meta_call *c, uint64_t tenant, struct meta_lock **ret, unsigned *ret_count,
       uint64_t *ret_seen),
      (m, c, tenant, ret, ret_count, ret_seen), tenant)
LAYER(rights_load, (struct meta_store * m, struct meta_call *c, uint64_t tenant, struct meta_rights **ret),
      (m, c, tenant, ret), tenant)
LAYER(user_by_name,
      (struct meta_store * m, struct meta_call *c, uint64_t tenant, const char *key, struct meta_user **ret),
      (m, c, tenant, key, ret), tenant)
LAYER(tokens,
      (struct meta_store * m, struct meta_call *c, uint64_t tenant, uint64_t user, struct meta_token **ret,
       unsigned *ret_count),
      (m, c, tenant, user, ret, ret_count), tenant)
LAYER(usage,
      (struct meta_store * m, struct meta_call *c, uint64_t tenant, uint64_t *ret_bytes, uint64_t *ret_files),
      (m, c, tenant, ret_bytes, ret_files), tenant)
void __real_meta_commit_later(struct meta_store *m, struct meta_call *c, struct meta_batch *b, meta_landed_fn *landed,
			      void *arg);
void __wrap_meta_commit_later(struct meta_store *m, struct meta_call *c, struct meta_batch *b, meta_landed_fn *landed,
			      void *arg);
void __wrap_meta_commit_later(struct meta_store *m, struct meta_call *c, struct meta_batch *b, meta_landed_fn *landed,
			      void *arg)
{
	bool again;

	if (faults_ask("metadata", "commit", b->tenant, true, &again))
		landed(arg, GH_DATABASE);
	else
		__real_meta_commit_later(m, c, b, landed, arg);
}

LAYER(commit, (struct meta_store * m, struct meta_call *c, struct meta_batch *b), (m, c, b), b->tenant)
