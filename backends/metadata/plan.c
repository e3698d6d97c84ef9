/* A batch into commands: which statements run, with which values, and which of them must change exactly one row. Done
 * by the caller's thread before it queues for the writer, so that the writer only binds and steps.
 *
 * Statements of a batch begin with tenant and operation; the values of a step follow in the order of its statement in
 * sql.tbl.h.
 */
#include "backends/metadata/store.h"
#include "backends/metadata/told.h"

#include <stdlib.h>
#include <string.h>

/* No name that a client can send has these: one has a slash, the other is below no folder. */
#define ROOT_KEY "/"
#define TRASH_KEY "/trash"

/* ---- growing ---- */

static bool room(struct plan *p, void **at, unsigned count, unsigned *cap, size_t size, const void *here)
{
	unsigned want = *cap * 2;
	void *more;

	if (count < *cap)
		return true;
	more = *at == here ? malloc(want * size) : realloc(*at, want * size);
	if (!more) {
		p->failed = true;
		return false;
	}
	if (*at == here)
		memcpy(more, here, count * size);
	*at = more;
	*cap = want;
	return true;
}

static void add(struct plan *p, struct db_value v)
{
	void *at = p->values;

	if (!room(p, &at, p->value_count, &p->value_cap, sizeof(v), p->values_here))
		return;
	p->values = at;
	p->values[p->value_count++] = v;
	p->cmds[p->cmd_count - 1].count++;
}

static void add_u64(struct plan *p, uint64_t v)
{
	add(p, (struct db_value){ .type = DB_I64, .i = (int64_t)v });
}

static void add_time(struct plan *p, int64_t us)
{
	if (us)
		add(p, (struct db_value){ .type = DB_I64, .i = us });
	else
		add(p, (struct db_value){ .type = DB_NOW });
}

static void add_bytes(struct plan *p, const void *bytes, size_t len)
{
	add(p, (struct db_value){ .type = DB_BLOB, .len = (uint32_t)len, .p = bytes });
}

static void add_blob(struct plan *p, const char *s)
{
	add_bytes(p, s ? s : "", s ? strlen(s) : 0);
}

static void add_text(struct plan *p, const char *s)
{
	s = s ? s : "";
	add(p, (struct db_value){ .type = DB_TEXT, .len = (uint32_t)strlen(s), .p = s });
}

/* path_key, and the range of all keys below it: from key/ to key0, the character after the slash. */
static void add_below(struct plan *p, const char *path_key)
{
	const char *from = gh_printf(p->arena, "%s/", path_key), *to = gh_printf(p->arena, "%s0", path_key);

	if (!from || !to)
		p->failed = true;
	add_blob(p, path_key);
	add_blob(p, from);
	add_blob(p, to);
}

static void cmd(struct plan *p, const struct meta_batch *b, enum sql_id sql)
{
	void *at = p->cmds;

	if (p->failed || !room(p, &at, p->cmd_count, &p->cmd_cap, sizeof(*p->cmds), p->cmds_here))
		return;
	p->cmds = at;
	p->cmds[p->cmd_count++] = (struct db_cmd){ .sql = sql, .first = p->value_count };
	add_u64(p, b->tenant);
	add_u64(p, b->op);
}

static void cmd_one(struct plan *p, const struct meta_batch *b, enum sql_id sql)
{
	cmd(p, b, sql);
	p->cmds[p->cmd_count - 1].exactly_one = true;
}

/* A statement about one thing by its id. */
static void cmd_id(struct plan *p, const struct meta_batch *b, enum sql_id sql, uint64_t id)
{
	cmd(p, b, sql);
	add_u64(p, id);
}

static void people(struct plan *p)
{
	p->cmds[p->cmd_count - 1].unique_is_people = true;
}

/* ---- what it touches (core/meta.h) ---- */

static void touch_step(struct gh_buf *out, const struct meta_step *s, bool *tree, bool *rights, bool *locks)
{
	switch (s->kind) {
	case META_TREE_GEN:
		*tree = true;
		return;
	case META_RIGHTS_EPOCH:
	case META_ACL_SET:
	case META_GROUP_PUT:
	case META_GROUP_DELETE:
	case META_MEMBER_ADD:
	case META_MEMBER_REMOVE:
		*rights = true;
		return;
	case META_LOCK_INSERT:
	case META_LOCK_REFRESH:
	case META_LOCK_DELETE:
	case META_LOCKS_BELOW:
		*locks = true;
		return;
	case META_USER_PUT:
	case META_USER_DELETE:
		*rights = true;
		gh_buf_printf(out, "u%llu ", (unsigned long long)s->user->id);
		return;
	case META_TOKEN_PUT:
	case META_TOKEN_DELETE:
		*rights = true; /* a user's gen is read with them */
		if (s->token->user)
			gh_buf_printf(out, "u%llu ", (unsigned long long)s->token->user);
		else
			gh_buf_str(out, "u0 ");
		return;
	case META_SETTING_PUT:
	case META_SETTING_DELETE:
		gh_buf_printf(out, "k%llu:%s ", (unsigned long long)s->setting->id, s->setting->kind);
		return;
	case META_TENANT_PUT:
		gh_buf_str(out, "T ");
		return;
	default: /* nodes: by their slots; nothing else is kept in memory */
		return;
	}
}

static const char *touched_of(struct plan *p, const struct meta_batch *b)
{
	bool tree = false, rights = false, locks = false;
	const char *text = NULL;
	struct gh_buf out;

	gh_buf_init(&out, 1 << 20);
	for (unsigned i = 0; i < b->slot_count; i++) {
		const struct meta_slot *s = &b->slots[i];

		if (s->key)
			gh_buf_printf(&out, "s%llu:%zu:%s ", (unsigned long long)s->parent, strlen(s->key), s->key);
	}
	for (unsigned i = 0; i < b->step_count; i++)
		touch_step(&out, &b->steps[i], &tree, &rights, &locks);
	if (tree && b->tree_gen != UINT64_MAX)
		gh_buf_printf(&out, "t%llu ", (unsigned long long)b->tree_gen + 1);
	else if (tree)
		gh_buf_str(&out, "t ");
	if (rights)
		gh_buf_str(&out, "r ");
	if (locks)
		gh_buf_str(&out, "l ");
	if (!out.failed)
		text = out.len ? gh_strndup(p->arena, out.data, out.len - 1) : "-";
	gh_buf_fini(&out);
	p->failed |= !text;
	return text;
}

/* ---- the event ---- */

/* The house itself is no tenant that has to exist. */
static bool is_house(const struct meta_batch *b)
{
	return b->tenant == 0;
}

static void plan_event(struct plan *p, const struct meta_batch *b, bool makes_tenant)
{
	const struct meta_event *e = &b->event;
	bool epochs = b->tree_gen != UINT64_MAX || b->rights_epoch != UINT64_MAX || b->route_epoch != UINT64_MAX;

	cmd_one(p, b, SQL_EVENT_0 + b->slot_count);
	add_time(p, 0);
	add_u64(p, e->user);
	add_text(p, e->user_name);
	add_text(p, e->what);
	add_text(p, e->door);
	add_text(p, e->path);
	add_text(p, e->dest);
	add_text(p, e->request_id);
	add_u64(p, e->node);
	add_u64(p, (uint64_t)e->bytes);
	add_u64(p, (uint64_t)e->files);
	/* Guards. UINT64_MAX, not asked, is -1 there. */
	if ((makes_tenant && !epochs) || is_house(b))
		add_u64(p, 1);
	else
		add_u64(p, b->tells ? UINT64_MAX : 0);
	add_u64(p, b->tree_gen);
	add_u64(p, b->rights_epoch);
	add_u64(p, b->route_epoch);
	add_u64(p, b->lock_seen);
	if (b->lock_below && strcmp(b->lock_below, "/")) {
		add_below(p, b->lock_below);
	} else {
		for (int i = 0; i < 3; i++)
			add(p, (struct db_value){ .type = DB_NULL });
	}
	add_u64(p, b->lease_count);
	for (unsigned i = 0; i < META_LEASES_MAX; i++)
		add_u64(p, i < b->lease_count ? b->leases[i] : 0);
	add_text(p, touched_of(p, b));
	for (unsigned i = 0; i < b->slot_count; i++) {
		add_u64(p, b->slots[i].parent);
		if (b->slots[i].key)
			add_blob(p, b->slots[i].key);
		else
			add(p, (struct db_value){ .type = DB_NULL });
		add_u64(p, b->slots[i].node);
		add_u64(p, b->slots[i].rev);
	}
}

/* To whoever takes the tenant to another shard. */
static void plan_tell(struct plan *p, const struct meta_batch *b)
{
	const char *text = told_of(p->arena, b);

	cmd(p, b, SQL_MOVING_PUT);
	add_text(p, text);
	p->failed |= !text;
}

/* ---- steps ---- */

static void plan_node_insert(struct plan *p, const struct meta_batch *b, const struct meta_node *n)
{
	cmd_one(p, b, SQL_NODE_INSERT);
	add_u64(p, n->parent);
	add_bytes(p, n->key, n->key_len);
	add_u64(p, n->id);
	add_u64(p, n->type);
	add_bytes(p, n->name, n->name_len);
	add_u64(p, n->owner);
	add_u64(p, n->version);
	add_u64(p, n->rev ? n->rev : 1);
	add_u64(p, n->size);
	add_time(p, n->made_us);
	add_time(p, n->mtime_us);
	add_u64(p, n->has_props);
	add_u64(p, n->parts);
	add_u64(p, n->blob);
	add_bytes(p, n->loc.bytes, n->loc.len);
	add_u64(p, n->crc);
}

static void plan_node_content(struct plan *p, const struct meta_batch *b, const struct meta_node *n)
{
	cmd_one(p, b, SQL_NODE_CONTENT);
	add_u64(p, n->id);
	add_u64(p, n->version);
	add_u64(p, n->size);
	add_time(p, n->mtime_us);
	add_u64(p, n->parts);
	add_u64(p, n->blob);
	add_bytes(p, n->loc.bytes, n->loc.len);
	add_u64(p, n->crc);
}

static void plan_node_place(struct plan *p, const struct meta_batch *b, const struct meta_node *n)
{
	cmd_one(p, b, SQL_NODE_PLACE);
	add_u64(p, n->id);
	add_u64(p, n->parent);
	add_bytes(p, n->name, n->name_len);
	add_bytes(p, n->key, n->key_len);
}

static void plan_version_insert(struct plan *p, const struct meta_batch *b, const struct meta_node *n, uint64_t author)
{
	cmd_one(p, b, SQL_VERSION_INSERT);
	add_u64(p, n->version);
	add_u64(p, n->id);
	add_u64(p, n->size);
	add_time(p, n->mtime_us);
	add_time(p, 0);
	add_u64(p, author);
	add_u64(p, n->parts);
	add_u64(p, n->blob);
	add_u64(p, n->crc);
}

static void plan_part_insert(struct plan *p, const struct meta_batch *b, const struct meta_step *s)
{
	cmd_one(p, b, SQL_PART_INSERT);
	add_u64(p, s->node.version);
	add_u64(p, s->n);
	add_u64(p, s->part.blob);
	add_u64(p, s->part.offset);
	add_u64(p, s->part.len);
}

static void plan_blob_insert(struct plan *p, const struct meta_batch *b, const struct meta_step *s)
{
	cmd_one(p, b, SQL_BLOB_INSERT);
	add_u64(p, s->part.blob);
	add_bytes(p, s->part.loc.bytes, s->part.loc.len);
	add_u64(p, s->part.blob_size);
	add_u64(p, s->node.crc);
}

static void plan_prop(struct plan *p, const struct meta_batch *b, const struct meta_prop *prop, bool set)
{
	cmd(p, b, set ? SQL_PROP_SET : SQL_PROP_REMOVE);
	add_u64(p, prop->node);
	add_blob(p, prop->ns);
	add_blob(p, prop->name);
	if (set) {
		add_text(p, prop->xml);
		add_text(p, prop->lang);
	}
	cmd_id(p, b, SQL_PROP_FLAG, prop->node);
}

static void plan_lock_insert(struct plan *p, const struct meta_batch *b, const struct meta_lock *l)
{
	cmd_id(p, b, SQL_LOCK_SEQ, l->id);
	cmd_one(p, b, SQL_LOCK_INSERT);
	add_blob(p, l->token);
	add_u64(p, l->id);
	add_u64(p, l->node);
	add_u64(p, l->user);
	add_text(p, l->user_name);
	add_blob(p, l->path_key);
	add_text(p, l->path);
	add_u64(p, l->exclusive);
	add_u64(p, l->deep);
	add_u64(p, (uint64_t)l->expires_us);
	add_u64(p, l->timeout_s);
	add_text(p, l->owner_xml);
}

/* A lock that is gone can't be refreshed: nobody may believe that he holds it. */
static void plan_lock_refresh(struct plan *p, const struct meta_batch *b, const struct meta_lock *l)
{
	cmd_one(p, b, SQL_LOCK_REFRESH);
	add_blob(p, l->token);
	add_u64(p, (uint64_t)l->expires_us);
	add_u64(p, l->timeout_s);
}

static void plan_locks_below(struct plan *p, const struct meta_batch *b, const char *path_key)
{
	bool all = !strcmp(path_key, "/");

	cmd(p, b, all ? SQL_LOCKS_ALL : SQL_LOCKS_BELOW);
	if (!all)
		add_below(p, path_key);
}

static void plan_acl_set(struct plan *p, const struct meta_batch *b, const struct meta_acl_node *acl)
{
	cmd_id(p, b, SQL_ACES_DELETE, acl->id);
	for (unsigned i = 0; i < acl->ace_count; i++) {
		cmd_id(p, b, SQL_ACE_INSERT, acl->id);
		add_u64(p, i);
		add_u64(p, (uint64_t)acl->aces[i].who);
		add_u64(p, acl->aces[i].who_id);
		add_u64(p, acl->aces[i].deny);
		add_u64(p, acl->aces[i].rights);
	}
	if (acl->ace_count || acl->inherit_off) {
		cmd_id(p, b, SQL_ACL_NODE_PUT, acl->id);
		add_u64(p, acl->inherit_off);
	} else {
		cmd_id(p, b, SQL_ACL_NODE_DELETE, acl->id);
	}
}

static void plan_entries_delete(struct plan *p, const struct meta_batch *b, char who, uint64_t id)
{
	cmd_id(p, b, SQL_ACES_DELETE_WHO, (uint64_t)who);
	add_u64(p, id);
	cmd(p, b, SQL_ACL_NODES_SWEEP);
}

static void plan_user_put(struct plan *p, const struct meta_batch *b, const struct meta_user *u)
{
	cmd_id(p, b, SQL_ACCOUNT_PUT, u->id);
	people(p);
	add_blob(p, u->name);
	add_blob(p, u->key);
	add_u64(p, u->owner);
	add_u64(p, u->disabled);
	add_text(p, u->password_hash);
}

static void plan_user_delete(struct plan *p, const struct meta_batch *b, uint64_t id)
{
	cmd_id(p, b, SQL_MEMBERS_DELETE_ACCOUNT, id);
	cmd_id(p, b, SQL_TOKENS_DELETE_ACCOUNT, id);
	cmd_id(p, b, SQL_SETTINGS_DELETE_ACCOUNT, id);
	cmd_id(p, b, SQL_USAGE_USER_DELETE, id);
	cmd_id(p, b, SQL_USAGE_CHANGES_DELETE, id);
	plan_entries_delete(p, b, 'u', id);
	cmd_id(p, b, SQL_ACCOUNT_DELETE, id);
}

static void plan_group_put(struct plan *p, const struct meta_batch *b, const struct meta_group *g)
{
	cmd_id(p, b, SQL_TEAM_PUT, g->id);
	people(p);
	add_blob(p, g->name);
}

static void plan_group_delete(struct plan *p, const struct meta_batch *b, uint64_t id)
{
	cmd_id(p, b, SQL_MEMBERS_DELETE_TEAM, id);
	plan_entries_delete(p, b, 'g', id);
	cmd_id(p, b, SQL_TEAM_DELETE, id);
}

static void plan_member(struct plan *p, const struct meta_batch *b, const struct meta_step *s, enum sql_id sql)
{
	cmd_id(p, b, sql, s->group->id);
	add_u64(p, s->user->id);
}

static void plan_token_put(struct plan *p, const struct meta_batch *b, const struct meta_token *t)
{
	cmd_id(p, b, SQL_TOKEN_PUT, t->id);
	people(p);
	add_u64(p, t->user);
	add_blob(p, t->name);
	add_text(p, t->hash);
	add_u64(p, t->scope);
	add_time(p, t->made_us);
	add_u64(p, (uint64_t)t->expires_us);
	cmd_id(p, b, SQL_ACCOUNT_GEN, t->user);
}

static void plan_setting(struct plan *p, const struct meta_batch *b, enum sql_id sql, const struct meta_setting *s)
{
	cmd_one(p, b, sql);
	add_blob(p, s->kind);
	add_u64(p, s->id);
	add_u64(p, s->rev);
	if (sql == SQL_SETTING_DELETE)
		return;
	add_u64(p, s->tenant);
	add_u64(p, s->user);
	add_text(p, s->doc);
}

static void plan_tenant_put(struct plan *p, const struct meta_batch *b, const struct meta_tenant *t)
{
	const struct {
		const char *key;
		uint64_t id;
	} roots[] = { { ROOT_KEY, t->root }, { TRASH_KEY, t->trash } };

	cmd(p, b, SQL_TENANT_PUT);
	people(p);
	add_blob(p, t->name);
	add_text(p, t->hosts);
	add_u64(p, t->disabled);
	add_u64(p, t->case_sensitive);
	add_u64(p, t->root);
	add_u64(p, t->trash);
	add_u64(p, t->tree_gen ? t->tree_gen : 1);
	add_u64(p, t->rights_epoch ? t->rights_epoch : 1);
	add_u64(p, t->route_epoch ? t->route_epoch : 1);
	for (unsigned i = 0; i < 2; i++) {
		cmd(p, b, SQL_TENANT_NODE);
		add_blob(p, roots[i].key);
		add_u64(p, roots[i].id);
		add_blob(p, "");
		add_time(p, 0);
	}
	cmd(p, b, SQL_TENANT_USAGE);
}

static void plan_owned(struct plan *p, const struct meta_batch *b, const struct meta_owned *o)
{
	if (!o->bytes && !o->files)
		return;
	cmd_id(p, b, SQL_USAGE_USER_CHANGE, o->user);
	add_u64(p, (uint64_t)o->bytes);
	add_u64(p, (uint64_t)o->files);
}

static void plan_owned_forget(struct plan *p, const struct meta_batch *b, uint64_t user)
{
	cmd_id(p, b, SQL_USAGE_USER_DELETE, user);
	cmd_id(p, b, SQL_USAGE_CHANGES_DELETE, user);
}

/* Without a tenant there is nothing but settings to change. */
static bool is_for_house(const struct meta_step *s)
{
	return s->kind == META_SETTING_PUT || s->kind == META_SETTING_DELETE;
}

static enum gh_status plan_step(struct plan *p, const struct meta_batch *b, const struct meta_step *s)
{
	switch (s->kind) {
	case META_NODE_INSERT:
		plan_node_insert(p, b, &s->node);
		return GH_OK;
	case META_NODE_CONTENT:
		plan_node_content(p, b, &s->node);
		return GH_OK;
	case META_NODE_PLACE:
		plan_node_place(p, b, &s->node);
		return GH_OK;
	case META_NODE_TOUCH:
		cmd_id(p, b, SQL_NODE_TOUCH, s->node.id);
		add_u64(p, (uint64_t)s->node.mtime_us);
		return GH_OK;
	case META_NODE_DELETE:
		cmd_one(p, b, SQL_NODE_DELETE);
		add_u64(p, s->node.id);
		return GH_OK;
	case META_VERSION_INSERT:
		plan_version_insert(p, b, &s->node, s->n);
		return GH_OK;
	case META_VERSION_DELETE:
		cmd_id(p, b, SQL_VERSION_DELETE, s->node.version);
		add_u64(p, s->node.id);
		return GH_OK;
	case META_VERSION_GIVE:
		cmd_id(p, b, SQL_VERSION_GIVE, s->node.id);
		add_u64(p, s->n);
		return GH_OK;
	case META_PART_INSERT:
		plan_part_insert(p, b, s);
		return GH_OK;
	case META_PARTS_DELETE:
		cmd_id(p, b, SQL_PARTS_DELETE, s->node.version);
		return GH_OK;
	case META_BLOB_INSERT:
		plan_blob_insert(p, b, s);
		return GH_OK;
	case META_BLOB_REF:
		cmd_one(p, b, SQL_BLOB_REF);
		add_u64(p, s->part.blob);
		return GH_OK;
	case META_BLOB_UNREF:
		cmd_id(p, b, SQL_BLOB_UNREF, s->part.blob);
		add_time(p, 0);
		return GH_OK;
	case META_PROP_SET:
		plan_prop(p, b, s->prop, true);
		return GH_OK;
	case META_PROP_REMOVE:
		plan_prop(p, b, s->prop, false);
		return GH_OK;
	case META_PROPS_DELETE:
		cmd_id(p, b, SQL_PROPS_DELETE, s->node.id);
		cmd_id(p, b, SQL_PROP_FLAG, s->node.id);
		return GH_OK;
	case META_PROPS_COPY:
		cmd_id(p, b, SQL_PROPS_COPY, s->node.id);
		add_u64(p, s->n);
		cmd_id(p, b, SQL_PROP_FLAG, s->node.id);
		return GH_OK;
	case META_LOCK_INSERT:
		plan_lock_insert(p, b, s->lock);
		return GH_OK;
	case META_LOCK_REFRESH:
		plan_lock_refresh(p, b, s->lock);
		return GH_OK;
	case META_LOCK_DELETE:
		cmd(p, b, SQL_LOCK_DELETE);
		add_blob(p, s->lock->token);
		return GH_OK;
	case META_LOCKS_BELOW:
		plan_locks_below(p, b, s->lock->path_key);
		return GH_OK;
	case META_ACL_SET:
		plan_acl_set(p, b, s->acl);
		return GH_OK;
	case META_TREE_GEN:
		cmd(p, b, SQL_TREE_GEN);
		return GH_OK;
	case META_RIGHTS_EPOCH:
		cmd(p, b, SQL_RIGHTS_EPOCH);
		return GH_OK;
	case META_USER_PUT:
		plan_user_put(p, b, s->user);
		return GH_OK;
	case META_USER_DELETE:
		plan_user_delete(p, b, s->user->id);
		return GH_OK;
	case META_GROUP_PUT:
		plan_group_put(p, b, s->group);
		return GH_OK;
	case META_GROUP_DELETE:
		plan_group_delete(p, b, s->group->id);
		return GH_OK;
	case META_MEMBER_ADD:
		plan_member(p, b, s, SQL_MEMBER_ADD);
		return GH_OK;
	case META_MEMBER_REMOVE:
		plan_member(p, b, s, SQL_MEMBER_REMOVE);
		return GH_OK;
	case META_SETTING_PUT:
		plan_setting(p, b, s->setting->rev ? SQL_SETTING_UPDATE : SQL_SETTING_INSERT, s->setting);
		return GH_OK;
	case META_SETTING_DELETE:
		plan_setting(p, b, SQL_SETTING_DELETE, s->setting);
		return GH_OK;
	case META_TOKEN_PUT:
		plan_token_put(p, b, s->token);
		return GH_OK;
	case META_TOKEN_DELETE:
		cmd_id(p, b, SQL_ACCOUNT_GEN_OF_TOKEN, s->token->id);
		cmd_id(p, b, SQL_TOKEN_DELETE, s->token->id);
		return GH_OK;
	case META_OWNED_COUNT:
		cmd_id(p, b, SQL_USAGE_USER_COUNT, s->n);
		return GH_OK;
	case META_OWNED_FORGET:
		plan_owned_forget(p, b, s->n);
		return GH_OK;
	case META_TENANT_PUT:
		if (s->tenant->id != b->tenant)
			return GH_BUG;
		plan_tenant_put(p, b, s->tenant);
		return GH_OK;
	case META_STEP_COUNT:
		break;
	}
	return GH_BUG;
}

/* What changes who may do what, or where whole trees lie, excludes every other change of the tenant. */
static bool is_structural(const struct meta_step *s)
{
	return s->kind == META_TREE_GEN || s->kind == META_RIGHTS_EPOCH || s->kind == META_ACL_SET ||
	       s->kind == META_TENANT_PUT || (s->kind == META_LOCK_INSERT && s->lock->deep);
}

enum gh_status plan_make(struct plan *p, struct gh_arena *arena, const struct meta_batch *b, struct db_batch *ret)
{
	bool makes_tenant = false;
	enum gh_status st = GH_OK;

	p->arena = arena;
	p->cmds = p->cmds_here;
	p->cmd_cap = sizeof(p->cmds_here) / sizeof(p->cmds_here[0]);
	p->values = p->values_here;
	p->value_cap = sizeof(p->values_here) / sizeof(p->values_here[0]);
	p->cmd_count = p->value_count = 0;
	p->failed = false;
	if (b->slot_count > META_SLOTS_MAX || b->step_count > META_STEPS_MAX || !b->op ||
	    b->lease_count > META_LEASES_MAX || b->owned_count > META_OWNED_MAX)
		return GH_BUG;
	*ret = (struct db_batch){ .tenant = b->tenant, .slots = b->slots, .slot_count = b->slot_count };
	for (unsigned i = 0; i < b->step_count; i++) {
		if (is_house(b) && !is_for_house(&b->steps[i]))
			return GH_BUG;
		makes_tenant |= b->steps[i].kind == META_TENANT_PUT;
		ret->gate_exclusive |= is_structural(&b->steps[i]);
	}
	plan_event(p, b, makes_tenant);
	if (b->tells && !is_house(b))
		plan_tell(p, b);
	for (unsigned i = 0; st == GH_OK && i < b->step_count; i++)
		st = plan_step(p, b, &b->steps[i]);
	for (unsigned i = 0; i < b->owned_count; i++)
		plan_owned(p, b, &b->owned[i]);
	ret->cmds = p->cmds;
	ret->cmd_count = p->cmd_count;
	ret->values = p->values;
	return st == GH_OK && p->failed ? GH_NOMEM : st;
}

void plan_free(struct plan *p)
{
	if (p->cmds != p->cmds_here)
		free(p->cmds);
	if (p->values != p->values_here)
		free(p->values);
}
