/* See change.h. */
#include "core/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/feed.h"
#include "core/outcome.h"
#include "core/tree_shared.h"
#include "core/upkeep.h"

void change_init(struct change *ch, struct vfs_work *w, unsigned cap)
{
	*ch = (struct change){ .w = w, .cap = cap };
	ch->batch = (struct meta_batch){
		.tenant = w->tenant->id,
		.op = gh_id_new(),
		.tree_gen = w->tree_gen,
		.rights_epoch = w->rights->epoch,
		.route_epoch = w->tenant->route_epoch,
		.lock_seen = w->lock_seen,
		.lock_below = w->req.path && !w->req.dest ? w->req.path->key : NULL,
		.event = {
			.user = w->caller.user,
			.user_name = w->req.session->user_name,
			.what = vfs_ops[w->req.op].name,
			.door = vfs_proto_name(w->req.proto),
			.path = w->req.path ? w->req.path->text : "",
			.dest = w->req.dest ? w->req.dest->text : "",
			.request_id = w->req.id,
		},
	};
}

void change_slot(struct change *ch, const struct place *p)
{
	GH_ASSERT(ch->batch.slot_count < META_SLOTS_MAX);
	if (p->exists)
		ch->was[ch->batch.slot_count] = p->node;
	ch->batch.slots[ch->batch.slot_count++] = place_slot(p);
}

/* The steps' memory is the request's, not the attempt's: many retries must not use up its arena. */
static bool make_room(struct change *ch)
{
	struct vfs_work *w = ch->w;
	if (ch->batch.step_count >= ch->cap)
		return false;
	if (ch->batch.step_count < w->steps_room)
		return true;
	const unsigned room = w->steps_room ? 2 * w->steps_room : 16;
	struct meta_step *steps = realloc(w->steps, room * sizeof(*steps));
	if (!steps)
		return false;
	w->steps = steps;
	w->steps_room = room;
	return true;
}

struct meta_step *change_step(struct change *ch, enum meta_step_kind kind)
{
	static _Thread_local struct meta_step spare; /* where a step goes that does not fit; the commit refuses */
	struct meta_step *s = &spare;
	if (ch->overflow || !make_room(ch))
		ch->overflow = true;
	else
		s = &ch->w->steps[ch->batch.step_count++];
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	return s;
}

void change_count(struct change *ch, uint64_t owner, int64_t bytes, int64_t files)
{
	struct meta_batch *b = &ch->batch;
	unsigned i = 0;
	b->event.bytes += bytes;
	b->event.files += files;
	while (i < b->owned_count && b->owned[i].user != owner)
		i++;
	if (i == META_OWNED_MAX) {
		ch->overflow = true;
		return;
	}
	if (i == b->owned_count)
		b->owned[b->owned_count++] = (struct meta_owned){ .user = owner };
	b->owned[i].bytes += bytes;
	b->owned[i].files += files;
}

void change_tree(struct change *ch)
{
	if (!ch->tree)
		change_step(ch, META_TREE_GEN);
	ch->tree = true;
}

void change_guard_locks(struct change *ch, const struct locks *l, const struct gh_path *path)
{
	ch->batch.lock_seen = l->seen;
	ch->batch.lock_below = path->key;
}

void change_drop_locks(struct change *ch, const struct locks *l, const struct gh_path *path)
{
	for (unsigned i = 0; i < l->count; i++)
		if (lock_is_below(&l->lock[i], path, INT64_MIN)) { /* expired ones too: rows are rows */
			struct meta_lock *where = gh_alloc(ch->w->req.arena, sizeof(*where));
			if (!where)
				return; /* sticky: the commit refuses */
			where->path_key = path->key;
			change_step(ch, META_LOCKS_BELOW)->lock = where;
			ch->locks = true;
			return;
		}
}

void change_drop_entries(struct change *ch, const struct gh_path *path)
{
	struct acl_key keys[GH_DEPTH_MAX];
	for (unsigned i = 0; i < path->depth; i++)
		keys[i] = (struct acl_key){ path->comp[i].key, path->comp[i].key_len };
	if (!ch->rights && acl_trie_holds(ch->w->rights->trie, keys, path->depth)) {
		change_step(ch, META_RIGHTS_EPOCH);
		ch->rights = true;
	}
}

enum gh_status content_parts(struct vfs_work *w, const struct meta_node *n, struct meta_part **ret, unsigned *ret_count)
{
	*ret = NULL;
	*ret_count = 0;
	if (n->parts == 0)
		return GH_OK;
	if (n->parts > 1) {
		if (!w->may_block)
			return GH_AGAIN;
		struct meta_call call = work_call(w);
		return ASK(w->req.core, SERVICE_METADATA, w->tenant->id,
			   meta_version_parts(w->req.core->meta, &call, w->tenant->id, n->version, ret, ret_count));
	}
	struct meta_part *p = gh_alloc(w->req.arena, sizeof(*p));
	if (!p)
		return GH_NOMEM;
	*p = (struct meta_part){ .blob = n->blob, .blob_size = n->size, .len = n->size, .loc = n->loc };
	*ret = p;
	*ret_count = 1;
	return GH_OK;
}

enum gh_status change_release(struct change *ch, const struct meta_node *n)
{
	struct meta_part *parts;
	unsigned count;
	const enum gh_status st = content_parts(ch->w, n, &parts, &count);
	if (st != GH_OK)
		return st;
	for (unsigned i = 0; i < count; i++)
		change_step(ch, META_BLOB_UNREF)->part = parts[i];
	if (count > 1)
		change_step(ch, META_PARTS_DELETE)->node.version = n->version;
	struct meta_step *s = change_step(ch, META_VERSION_DELETE);
	s->node.id = n->id;
	s->node.version = n->version;
	change_count(ch, n->owner, -(int64_t)n->size, 0);
	return GH_OK;
}

static void to_trash(struct change *ch, const struct place *p)
{
	struct meta_step *s = change_step(ch, META_NODE_PLACE);
	s->node.id = p->node.id;
	s->node.parent = ch->w->tenant->trash;
	/* in the trash the key is the node's id: no two meet */
	s->node.key = gh_printf(ch->w->req.arena, "%llu", (unsigned long long)p->node.id);
	s->node.name = p->node.name;
	s->node.key_len = s->node.key ? (uint16_t)strlen(s->node.key) : 0;
	s->node.name_len = p->node.name_len;
}

enum gh_status change_remove(struct change *ch, const struct place *p, const struct locks *l)
{
	change_drop_locks(ch, l, p->path);
	change_drop_entries(ch, p->path);
	change_guard_locks(ch, l, p->path);
	if (p->node.type == META_FOLDER) {
		to_trash(ch, p);
		change_tree(ch);
		return GH_OK;
	}
	const enum gh_status st = change_release(ch, &p->node);
	if (st != GH_OK)
		return st;
	if (p->node.has_props)
		change_step(ch, META_PROPS_DELETE)->node.id = p->node.id;
	if (ch->rights) {
		struct meta_acl_node *none = gh_alloc(ch->w->req.arena, sizeof(*none));
		if (!none)
			return GH_NOMEM;
		none->id = p->node.id;
		change_step(ch, META_ACL_SET)->acl = none;
	}
	change_step(ch, META_NODE_DELETE)->node.id = p->node.id;
	change_count(ch, p->node.owner, 0, -1);
	return GH_OK;
}

/* What memory has of the names becomes what was committed, where that is known. That a name is free can be remembered where
 * nobody else writes (place.c). */
static void tell(struct change *ch, bool known)
{
	struct gh_core *c = ch->w->req.core;
	struct outcome now[META_SLOTS_MAX];
	if (known)
		outcome_of(&ch->batch, ch->was, now);
	for (unsigned i = 0; i < ch->batch.slot_count; i++) {
		const struct meta_slot *s = &ch->batch.slots[i];
		if (s->key) /* before memory, as in tree_forget */
			tree_doubt(c, ch->w->tenant->id, s->parent, s->key, strlen(s->key));
		node_cache_arrive(c->nodes, &ch->flights[i], known && now[i].known ? &now[i].node : NULL, !c->stream);
	}
}

/* In this order: cache entries, snapshots, generation; see tenant.h. */
static void remember(struct change *ch, bool known)
{
	struct vfs_work *w = ch->w;
	tell(ch, known);
	if (ch->locks)
		tenant_drop_locks(w->tenant);
	if (ch->rights || ch->tree)
		tenant_drop_rights(w->tenant);
	if (ch->tree) {
		tenant_raise_tree_gen(w->tenant, ch->batch.tree_gen + 1);
		upkeep_poke(w->req.core->upkeep); /* there may be something in the trash */
	}
}

/* Everything is ready, and somebody still wants it. From here on it cannot be taken back. */
static enum gh_status set_out(struct change *ch)
{
	struct vfs_work *w = ch->w;
	if (gh_arena_overflowed(w->req.arena))
		return GH_NOMEM;
	if (ch->overflow)
		return GH_LIMIT;
	ch->batch.steps = w->steps;
	if (ch->batch.event.node == 0 && ch->batch.slot_count)
		ch->batch.event.node = ch->batch.slots[0].node;
	ch->call = work_call(w);
	const enum gh_status st = quota_claim(ch, &ch->claims);
	if (st != GH_OK)
		return st;
	/* The client left, or was told that it took too long: then nothing may happen any more. An upload whose client was
	 * killed is caught here: the end of its data and that of its session come in either order, a moment apart. */
	if (atomic_fetch_or(&w->fate, WORK_SENT) & WORK_GIVEN_UP) {
		atomic_fetch_and(&w->fate, ~(unsigned)WORK_SENT);
		quota_settle(&ch->claims, GH_GONE);
		return GH_GONE;
	}
	for (unsigned i = 0; i < ch->batch.slot_count; i++)
		node_cache_depart(w->req.core->nodes, w->tenant->id, &ch->batch.slots[i], &ch->flights[i]);
	return GH_OK;
}

static void turn_back(struct change *ch)
{
	for (unsigned i = 0; i < ch->batch.slot_count; i++)
		node_cache_turn_back(ch->w->req.core->nodes, &ch->flights[i]);
}

static void arrive(struct change *ch, enum gh_status st)
{
	quota_settle(&ch->claims, st);
	if (ch->hidden || (st != GH_OK && st != GH_UNKNOWN))
		atomic_fetch_and(&ch->w->fate, ~(unsigned)WORK_SENT);
	if (st == GH_OK || st == GH_UNKNOWN) { /* unknown: what is forgotten is read again */
		remember(ch, st == GH_OK);
		feed_poke(ch->w->req.core, ch->w->tenant);
	} else {
		turn_back(ch);
	}
	gh_metric_add(GH_M_COMMITS, st == GH_OK ? 0 : st == GH_STALE ? 1 : 2, 1);
}

enum gh_status change_commit(struct change *ch)
{
	enum gh_status st = set_out(ch);
	if (st != GH_OK)
		return st;
	st = ASK(ch->w->req.core, SERVICE_METADATA, ch->w->tenant->id,
		 meta_commit(ch->w->req.core->meta, &ch->call, &ch->batch));
	arrive(ch, st);
	return st;
}

static void change_landed(void *arg, enum gh_status st)
{
	struct change *ch = arg;
	arrive(ch, breakers_leave(&ch->pass, st));
	ch->landed(ch->w, st);
}

void change_send(struct change *ch, void (*landed)(struct vfs_work *w, enum gh_status st))
{
	struct vfs_work *w = ch->w;
	enum gh_status st = set_out(ch);
	ch->landed = landed;
	if (st != GH_OK) {
		landed(w, st);
		return;
	}
	st = breakers_enter(w->req.core, SERVICE_METADATA, w->tenant->id, &ch->pass);
	if (st == GH_OK) {
		meta_commit_later(w->req.core->meta, &ch->call, &ch->batch, change_landed, ch);
		return;
	}
	arrive(ch, st);
	landed(w, st);
}
