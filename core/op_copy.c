/* copy: new nodes on the same blobs, without entries and locks, with dead properties. A file is one batch. A tree is
 * built in batches of at most 1,000 rows below the trash root, where nobody sees it, and attached by moving its root's
 * one row: all or nothing, whatever happens in between. The trash walker keeps out meanwhile; after a crash it finds
 * the half-built tree and purges it. */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/gateway.h"
#include "core/two_places.h"
#include "core/upkeep.h"

#define PAGE_NODES 150u /* at most 6 rows a node: stays below 1,000 rows a batch */
#define PARTS_STEPS 500u

/* Content steps of a copied file: a version of its own (n->version), one more reference on every blob. It is `owner`'s. */
static enum gh_status copy_content(struct change *ch, struct meta_node *n, const struct meta_node *from, uint64_t owner)
{
	struct meta_part *parts;
	unsigned count;
	const enum gh_status st = content_parts(ch->w, from, &parts, &count);
	if (st != GH_OK)
		return st;
	struct meta_step *s = change_step(ch, META_VERSION_INSERT);
	s->node = *n;
	s->n = ch->w->caller.user;
	for (unsigned i = 0; i < count; i++) {
		change_step(ch, META_BLOB_REF)->part = parts[i];
		if (count > 1) {
			s = change_step(ch, META_PART_INSERT);
			s->node.version = n->version;
			s->n = i;
			s->part = parts[i];
		}
	}
	change_count(ch, owner, (int64_t)n->size, 0);
	return GH_OK;
}

static void copy_props(struct change *ch, uint64_t to, const struct meta_node *from)
{
	if (!from->has_props)
		return;
	struct meta_step *s = change_step(ch, META_PROPS_COPY);
	s->n = from->id;
	s->node.id = to;
}

/* A new node like `from`; where it goes is the caller's. */
static struct meta_node twin(const struct vfs_work *w, const struct meta_node *from)
{
	struct meta_node n = *from;
	n.id = gh_id_new();
	n.owner = w->caller.user;
	n.rev = 0;
	n.made_us = gh_real_us();
	return n;
}

static void name_it(struct meta_node *n, const struct gh_path *dest)
{
	const struct gh_component *c = &dest->comp[dest->depth - 1];
	n->name = c->name;
	n->name_len = c->name_len;
	n->key = c->key;
	n->key_len = c->key_len;
}

static enum gh_status insert_copy(struct change *ch, struct meta_node *n, const struct meta_node *from)
{
	enum gh_status st = GH_OK;
	n->version = from->type == META_FILE ? gh_id_new() : 0;
	change_step(ch, META_NODE_INSERT)->node = *n;
	if (from->type == META_FILE) {
		st = copy_content(ch, n, from, n->owner);
		change_count(ch, n->owner, 0, 1);
	}
	copy_props(ch, n->id, from);
	return st;
}

/* ---- one file, or a folder without its members ---- */

static enum gh_status onto_file(struct change *ch, const struct two_places *b, struct meta_node *n)
{
	*n = b->from.node;
	n->id = b->to.node.id;
	n->made_us = b->to.node.made_us;
	n->version = gh_id_new();
	change_step(ch, META_NODE_CONTENT)->node = *n;
	enum gh_status st = copy_content(ch, n, &b->from.node, b->to.node.owner);
	if (st == GH_OK)
		st = change_release(ch, &b->to.node);
	if (b->to.node.has_props)
		change_step(ch, META_PROPS_DELETE)->node.id = b->to.node.id;
	copy_props(ch, n->id, &b->from.node);
	return st;
}

static enum gh_status copy_one(struct vfs_work *w, const struct two_places *b, struct meta_node *n)
{
	struct change ch;
	enum gh_status st = GH_OK;
	change_init(&ch, w, META_STEPS_MAX);
	change_slot(&ch, &b->from);
	change_slot(&ch, &b->to);
	if (b->to.exists && b->to.node.type == META_FILE && b->from.node.type == META_FILE) {
		st = onto_file(&ch, b, n);
	} else {
		if (b->to.exists)
			st = change_remove(&ch, &b->to, b->locks);
		*n = twin(w, &b->from.node);
		n->parent = place_parent_id(&b->to);
		name_it(n, w->req.dest);
		if (st == GH_OK)
			st = insert_copy(&ch, n, &b->from.node);
	}
	ch.batch.event.node = n->id;
	return st == GH_OK ? change_commit(&ch) : st;
}

/* ---- trees ---- */

/* Folders whose members are still to be copied. */
struct todo {
	struct todo *next;
	uint64_t from, to;
};

struct tree_copy {
	struct vfs_work *w;
	struct todo *todo;
	struct gh_arena *scratch; /* of one page */
	uint64_t root;            /* of the copy, below the trash root */
	uint64_t marked_ns;       /* when others were last kept out */
};

static enum gh_status add_todo(struct tree_copy *t, uint64_t from, uint64_t to)
{
	struct todo *d = gh_alloc(t->w->req.arena, sizeof(*d));
	if (!d)
		return GH_LIMIT; /* more folders than a request may remember */
	*d = (struct todo){ t->todo, from, to };
	t->todo = d;
	return GH_OK;
}

/* Rights may change while a tree is copied: what it rests on is asked for at the end. But limits come with a rights epoch,
 * and whoever goes by none of them must not get through after they were set. */
static enum gh_status epoch_now(struct vfs_work *w, uint64_t *ret)
{
	struct rights *r = NULL;
	const enum gh_status st = rights_get(w->req.core, w->tenant, true, &r);
	if (st == GH_OK)
		*ret = r->epoch;
	rights_unref(&r);
	return st;
}

/* Members are copied as they are when their page is read; a blob whose last reference goes in between makes the batch
 * stale, and the page is read again. */
static enum gh_status copy_page(struct tree_copy *t, uint64_t from, uint64_t to, const char *after, char *ret_after,
				bool *ret_more)
{
	struct vfs_work *w = t->w;
	struct meta_call call = work_call(w);
	struct meta_page page;
	struct change ch;
	struct gh_arena *keep = w->req.arena;
	call.arena = t->scratch;
	enum gh_status st = ASK(w->req.core, SERVICE_METADATA, w->tenant->id,
				meta_list(w->req.core->meta, &call, w->tenant->id, from, after, PAGE_NODES, &page));
	if (st != GH_OK)
		return st;
	w->req.arena = t->scratch; /* steps and parts of one page live as long as the page */
	change_init(&ch, w, META_STEPS_MAX);
	ch.hidden = true; /* decided when it is attached */
	ch.batch.lock_seen = UINT64_MAX;
	ch.batch.tree_gen = UINT64_MAX;
	st = epoch_now(w, &ch.batch.rights_epoch);
	ch.batch.event.what = "copy-part";
	for (unsigned i = 0; i < page.count && st == GH_OK; i++) {
		struct meta_node n = twin(w, &page.nodes[i]);
		n.parent = to;
		st = insert_copy(&ch, &n, &page.nodes[i]);
		w->req.arena = keep;
		if (st == GH_OK && n.type == META_FOLDER)
			st = add_todo(t, page.nodes[i].id, n.id);
		w->req.arena = t->scratch;
	}
	if (st == GH_OK && page.count)
		st = change_commit(&ch);
	w->req.arena = keep;
	*ret_more = page.more;
	if (page.count)
		snprintf(ret_after, GH_NAME_MAX + 1, "%s", page.nodes[page.count - 1].key);
	return st;
}

/* In this process the walker is kept out by a lock; others' walkers by a lease, which ends with this gateway. */
static enum gh_status tree_mark(struct tree_copy *t, bool making)
{
	struct gh_core *c = t->w->req.core;
	struct meta_call call = work_call(t->w);
	if (!c->cfg.gateway || !t->root)
		return GH_OK;
	const uint64_t token = gateway_token(c->cfg.gateway), tenant = t->w->tenant->id;
	t->marked_ns = gh_mono_ns();
	if (making)
		return ASK(c, SERVICE_METADATA, tenant,
			   meta_lease_take(c->meta, &call, META_LEASE_MAKING, tenant, t->root, token, GATEWAY_LIFE_MS));
	call.deadline_ns = 0;
	return ASK(c, SERVICE_METADATA, tenant,
		   meta_lease_drop(c->meta, &call, META_LEASE_MAKING, tenant, t->root, token));
}

/* What keeps a gateway's leases is central's; the mark is where the tenant is, and goes with it to another shard. */
static enum gh_status tree_mark_again(struct tree_copy *t)
{
	return gh_mono_ns() - t->marked_ns > GATEWAY_LIFE_MS / 5 * GH_MS_NS ? tree_mark(t, true) : GH_OK;
}

static enum gh_status copy_members(struct tree_copy *t, uint64_t from, uint64_t to)
{
	char after[GH_NAME_MAX + 1] = "";
	bool more = true;
	for (unsigned tries = 0; more;) {
		gh_arena_reset(t->scratch);
		if (gh_mono_ns() > t->w->deadline_ns)
			return GH_DEADLINE;
		char next[GH_NAME_MAX + 1];
		snprintf(next, sizeof(next), "%s", after);
		struct todo *mark = t->todo;
		enum gh_status st = tree_mark_again(t);
		if (st == GH_OK)
			st = copy_page(t, from, to, after, next, &more);
		if (st == GH_STALE && ++tries < 20) {
			t->todo = mark; /* nothing of the page happened */
			more = true;
			continue;
		}
		if (st != GH_OK)
			return st == GH_STALE ? GH_CONFLICT : st;
		memcpy(after, next, sizeof(after));
		gh_crash_point("copy.after_page");
	}
	return GH_OK;
}

static enum gh_status insert_root(struct tree_copy *t, const struct two_places *b, struct meta_node *n)
{
	struct vfs_work *w = t->w;
	struct change ch;
	change_init(&ch, w, 4);
	ch.hidden = true;
	ch.batch.tree_gen = ch.batch.rights_epoch = ch.batch.lock_seen = UINT64_MAX;
	*n = twin(w, &b->from.node);
	n->parent = w->tenant->trash;
	n->key = gh_printf(w->req.arena, "%llu", (unsigned long long)n->id);
	if (!n->key)
		return GH_NOMEM;
	n->key_len = (uint16_t)strlen(n->key);
	const enum gh_status st = insert_copy(&ch, n, &b->from.node);
	t->root = n->id;
	if (st != GH_OK)
		return st;
	const enum gh_status marked = tree_mark(t, true);
	return marked == GH_OK ? change_commit(&ch) : marked;
}

/* The one row that makes it visible, under every guard. */
static enum gh_status attach(struct vfs_work *w, struct tree_copy *t, const struct two_places *b)
{
	struct change ch;
	change_init(&ch, w, 20);
	change_slot(&ch, &b->from);
	change_slot(&ch, &b->to);
	enum gh_status st = b->to.exists ? change_remove(&ch, &b->to, b->locks) : GH_OK;
	if (st != GH_OK)
		return st;
	struct meta_step *s = change_step(&ch, META_NODE_PLACE);
	s->node.id = t->root;
	s->node.parent = place_parent_id(&b->to);
	name_it(&s->node, w->req.dest);
	change_tree(&ch);
	ch.batch.event.node = t->root;
	return change_commit(&ch);
}

static enum gh_status build(struct tree_copy *t, const struct two_places *b, struct meta_node *n)
{
	enum gh_status st = insert_root(t, b, n);
	if (st == GH_OK)
		st = add_todo(t, b->from.node.id, t->root);
	while (st == GH_OK && t->todo) {
		const struct todo d = *t->todo;
		t->todo = t->todo->next;
		st = copy_members(t, d.from, d.to);
	}
	return st;
}

static enum gh_status copy_tree(struct vfs_work *w, struct two_places *b, struct meta_node *n)
{
	struct tree_copy t = { .w = w };
	struct gh_core *c = w->req.core;
	/* Nothing but the destination is decided under the guards of the attaching batch, so whether the tree below the
	 * source may be read is asked before, and again by its rights epoch then. */
	t.scratch = gh_arena_new(8u << 20);
	if (!t.scratch)
		return GH_NOMEM;
	pthread_rwlock_rdlock(&c->trash_lock);
	enum gh_status st = build(&t, b, n);
	if (st == GH_OK)
		st = attach(w, &t, b);
	if (tree_mark(&t, false) != GH_OK) /* it ends with this gateway */
		gh_log(GH_LOG_WARN, "copy-mark", "tenant=%s node=%llu", w->tenant->name, (unsigned long long)t.root);
	pthread_rwlock_unlock(&c->trash_lock);
	if (st != GH_OK)
		upkeep_poke(c->upkeep); /* what was built counts until it is purged */
	gh_arena_free(&t.scratch);
	return st;
}

static enum gh_status try_copy(struct vfs_work *w, struct two_places *b)
{
	struct vfs_req *r = &w->req;
	struct meta_node n = { 0 };
	enum gh_status st = two_places_enter(w, b, 0);
	if (st != GH_OK)
		return st;
	if (gh_path_equal(r->path, r->dest))
		return GH_SAMEFILE;
	if (b->from.node.type == META_FOLDER && !(r->flags & VFS_SHALLOW))
		st = copy_tree(w, b, &n);
	else
		st = copy_one(w, b, &n);
	if (st == GH_OK) {
		r->created = !b->to.exists;
		name_it(&n, r->dest);
		node_show(&r->node, &n, gate_rights(w, r->dest, r->dest->depth));
	}
	return st;
}

enum gh_status op_copy(struct vfs_work *w)
{
	struct two_places *b = gh_alloc(w->req.arena, sizeof(*b));
	if (!b)
		return GH_NOMEM;
	if (!w->req.dest)
		return GH_INVALID;
	const enum gh_status st = try_copy(w, b);
	locks_unref(&b->locks);
	return st;
}
