/* See outcome.h. Steps are gone through in their order, as the store does; what they do to rows of `node` is in
 * backends/metadata/sql.tbl.h. */
#include "core/outcome.h"

#include <string.h>

struct slots {
	const struct meta_batch *b;
	struct outcome *of;
};

/* Where that node is now; NULL: in none of them. */
static struct outcome *holder(const struct slots *s, uint64_t node)
{
	for (unsigned i = 0; node && i < s->b->slot_count; i++)
		if (s->of[i].node.id == node)
			return &s->of[i];
	return NULL;
}

static struct outcome *slot(const struct slots *s, uint64_t parent, const char *key)
{
	for (unsigned i = 0; i < s->b->slot_count; i++) {
		const struct meta_slot *slot = &s->b->slots[i];
		if (slot->key && slot->parent == parent && strcmp(slot->key, key) == 0)
			return &s->of[i];
	}
	return NULL;
}

static void insert(const struct slots *s, const struct meta_node *n)
{
	struct outcome *o = slot(s, n->parent, n->key);
	if (!o)
		return;
	/* a time of 0 is the store's own, which is not told */
	*o = (struct outcome){ .known = n->made_us && n->mtime_us, .node = *n };
	if (!n->rev)
		o->node.rev = 1;
}

static void content(struct outcome *o, const struct meta_node *n)
{
	struct meta_node *to = &o->node;
	to->version = n->version;
	to->size = n->size;
	to->mtime_us = n->mtime_us;
	to->parts = n->parts;
	to->blob = n->blob;
	to->loc = n->loc;
	to->crc = n->crc;
	to->rev++;
	o->known &= n->mtime_us != 0;
}

/* From where it is, which may be none of the slots, to where it goes, likewise. */
static void place(const struct slots *s, const struct meta_node *n)
{
	struct outcome *from = holder(s, n->id), moved = { .node = { .id = n->id } };
	if (from) {
		moved = *from;
		*from = (struct outcome){ .known = true };
	}
	struct outcome *to = slot(s, n->parent, n->key);
	if (!to)
		return;
	moved.node.parent = n->parent;
	moved.node.name = n->name;
	moved.node.name_len = n->name_len;
	moved.node.key = n->key;
	moved.node.key_len = n->key_len;
	moved.node.rev++;
	*to = moved;
}

/* Has it any properties now? Whether one that goes was the last, only the store knows. */
static void property(const struct slots *s, uint64_t node, bool set)
{
	struct outcome *o = holder(s, node);
	if (!o)
		return;
	if (set)
		o->node.has_props = true;
	else if (o->node.has_props)
		o->known = false;
}

static void copy_properties(const struct slots *s, uint64_t from, uint64_t to)
{
	const struct outcome *f = holder(s, from);
	struct outcome *t = holder(s, to);
	if (!t)
		return;
	t->known &= f && f->known;
	t->node.has_props |= f && f->node.has_props;
}

static void step(const struct slots *s, const struct meta_step *step)
{
	struct outcome *o = holder(s, step->node.id);
	switch (step->kind) {
	case META_NODE_INSERT:
		insert(s, &step->node);
		return;
	case META_NODE_CONTENT:
		if (o)
			content(o, &step->node);
		return;
	case META_NODE_PLACE:
		place(s, &step->node);
		return;
	case META_NODE_TOUCH:
		if (!o)
			return;
		o->node.rev++;
		if (step->node.mtime_us)
			o->node.mtime_us = step->node.mtime_us;
		return;
	case META_NODE_DELETE:
		if (o)
			*o = (struct outcome){ .known = true };
		return;
	case META_PROP_SET:
		property(s, step->prop->node, true);
		return;
	case META_PROP_REMOVE:
		property(s, step->prop->node, false);
		return;
	case META_PROPS_DELETE:
		if (o)
			o->node.has_props = false;
		return;
	case META_PROPS_COPY:
		copy_properties(s, step->n, step->node.id);
		return;
	case META_VERSION_INSERT:
	case META_VERSION_DELETE:
	case META_VERSION_GIVE:
	case META_PART_INSERT:
	case META_PARTS_DELETE:
	case META_BLOB_INSERT:
	case META_BLOB_REF:
	case META_BLOB_UNREF:
	case META_LOCK_INSERT:
	case META_LOCK_REFRESH:
	case META_LOCK_DELETE:
	case META_LOCKS_BELOW:
	case META_ACL_SET:
	case META_TREE_GEN:
	case META_RIGHTS_EPOCH:
	case META_USER_PUT:
	case META_USER_DELETE:
	case META_GROUP_PUT:
	case META_GROUP_DELETE:
	case META_MEMBER_ADD:
	case META_MEMBER_REMOVE:
	case META_TOKEN_PUT:
	case META_TOKEN_DELETE:
	case META_SETTING_PUT:
	case META_SETTING_DELETE:
	case META_OWNED_COUNT:
	case META_OWNED_FORGET:
	case META_TENANT_PUT:
	case META_STEP_COUNT:
		return;
	}
}

void outcome_of(const struct meta_batch *b, const struct meta_node *was, struct outcome *ret)
{
	const struct slots s = { b, ret };
	for (unsigned i = 0; i < b->slot_count; i++) {
		const struct meta_slot *slot = &b->slots[i];
		ret[i] = (struct outcome){ 0 };
		if (slot->node == 0)
			ret[i].known = slot->key != NULL;
		else if (was[i].id == slot->node && was[i].rev == slot->rev && was[i].name)
			ret[i] = (struct outcome){ .known = true, .node = was[i] };
		else
			ret[i].node.id = slot->node;
	}
	for (unsigned i = 0; i < b->step_count; i++)
		step(&s, &b->steps[i]);
}
