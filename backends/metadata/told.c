/* See told.h. A step that is added says here what it changes; tests/unit/metadata/check_move.c has them all run. */
#include "backends/metadata/told.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1u << 20)

static void word(struct gh_buf *out, char kind, uint64_t id)
{
	gh_buf_printf(out, " %c%llu", kind, (unsigned long long)id);
}

static void table(struct gh_buf *out, enum table_id t)
{
	gh_buf_printf(out, " =%s", meta_tables[t].name);
}

static void entries(struct gh_buf *out)
{
	table(out, TABLE_ace);
	table(out, TABLE_acl_node);
}

static void owned_away(struct gh_buf *out)
{
	table(out, TABLE_usage_user);
	table(out, TABLE_usage_change);
}

static void user_away(struct gh_buf *out)
{
	table(out, TABLE_account);
	table(out, TABLE_member);
	table(out, TABLE_token);
	owned_away(out);
	entries(out);
}

static void step(struct gh_buf *out, const struct meta_step *s)
{
	switch (s->kind) {
	case META_NODE_INSERT:
	case META_NODE_CONTENT:
	case META_NODE_PLACE:
	case META_NODE_TOUCH:
	case META_NODE_DELETE:
		word(out, 'n', s->node.id);
		return;
	case META_VERSION_INSERT:
	case META_VERSION_DELETE:
	case META_PART_INSERT:
	case META_PARTS_DELETE:
		word(out, 'v', s->node.version);
		return;
	case META_VERSION_GIVE: /* where they were in the copy, where they are now */
		word(out, 'v', s->n);
		word(out, 'v', s->node.id);
		return;
	case META_BLOB_INSERT:
	case META_BLOB_REF:
	case META_BLOB_UNREF:
		word(out, 'b', s->part.blob);
		return;
	case META_PROP_SET:
	case META_PROP_REMOVE:
		word(out, 'p', s->prop->node);
		word(out, 'n', s->prop->node);
		return;
	case META_PROPS_DELETE:
	case META_PROPS_COPY:
		word(out, 'p', s->node.id);
		word(out, 'n', s->node.id);
		return;
	case META_LOCK_INSERT:
		table(out, TABLE_lock_seq);
		table(out, TABLE_locks);
		return;
	case META_LOCK_REFRESH:
	case META_LOCK_DELETE:
	case META_LOCKS_BELOW:
		table(out, TABLE_locks);
		return;
	case META_ACL_SET:
		entries(out);
		return;
	case META_TREE_GEN: /* the tenant's own row comes by itself */
	case META_RIGHTS_EPOCH:
		return;
	case META_USER_PUT:
		table(out, TABLE_account);
		return;
	case META_USER_DELETE:
		user_away(out);
		return;
	case META_GROUP_PUT:
		table(out, TABLE_team);
		return;
	case META_GROUP_DELETE:
		table(out, TABLE_team);
		table(out, TABLE_member);
		entries(out);
		return;
	case META_MEMBER_ADD:
	case META_MEMBER_REMOVE:
		table(out, TABLE_member);
		return;
	case META_TOKEN_PUT:
	case META_TOKEN_DELETE:
		table(out, TABLE_token);
		table(out, TABLE_account);
		return;
	case META_SETTING_PUT: /* the house's */
	case META_SETTING_DELETE:
		return;
	case META_OWNED_COUNT:
		table(out, TABLE_usage_user);
		return;
	case META_OWNED_FORGET:
		owned_away(out);
		return;
	case META_TENANT_PUT: /* one that is there has its root, its trash and its ledger */
		word(out, 'n', s->tenant->root);
		word(out, 'n', s->tenant->trash);
		table(out, TABLE_usage_total);
		return;
	case META_STEP_COUNT:
		return;
	}
}

char *told_of(struct gh_arena *a, const struct meta_batch *b)
{
	struct gh_buf out;
	char *text = NULL;

	gh_buf_init(&out, TEXT_MAX);
	gh_buf_char(&out, 'e');
	for (unsigned i = 0; i < b->step_count; i++)
		step(&out, &b->steps[i]);
	for (unsigned i = 0; i < b->owned_count; i++)
		if (b->owned[i].bytes || b->owned[i].files)
			word(&out, 'o', b->owned[i].user);
	if (!out.failed)
		text = gh_strndup(a, out.data, out.len);
	gh_buf_fini(&out);
	return text;
}

static enum gh_status table_named(const char *name, size_t len, enum table_id *ret)
{
	for (unsigned i = 0; i < TABLE_COUNT; i++)
		if (strlen(meta_tables[i].name) == len && !memcmp(meta_tables[i].name, name, len)) {
			*ret = (enum table_id)i;
			return GH_OK;
		}
	return GH_DAMAGED;
}

enum gh_status told_next(const char **at, struct told *ret)
{
	const char *w = *at + strspn(*at, " ");
	const size_t len = strcspn(w, " ");
	char *end;

	*at = w + len;
	*ret = (struct told){ .kind = *w };
	if (!len)
		return GH_END;
	if (*w == '=')
		return table_named(w + 1, len - 1, &ret->table);
	ret->id = strtoull(w + 1, &end, 10);
	if (end != w + len || !strchr("envbpo", *w))
		return GH_DAMAGED;
	return GH_OK;
}
