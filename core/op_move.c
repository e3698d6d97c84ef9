/* move: the moved node keeps its id. Onto a file, a file's content goes to the target's node, which keeps its id, entries
 * and versions (Office saves by moving a temporary file onto the document). Onto a folder, or a folder onto anything:
 * what is there is removed first, in the same batch. */
#include <string.h>

#include "core/two_places.h"

static void place_at(struct change *ch, const struct place *from, const struct place *to)
{
	const struct gh_component *c = &to->path->comp[to->path->depth - 1];
	struct meta_step *s = change_step(ch, META_NODE_PLACE);
	s->node.id = from->node.id;
	s->node.parent = place_parent_id(to);
	s->node.name = c->name;
	s->node.name_len = c->name_len;
	s->node.key = c->key;
	s->node.key_len = c->key_len;
}

static bool same_spelling(const struct two_places *b)
{
	const struct gh_component *x = &b->from.path->comp[b->from.path->depth - 1];
	const struct gh_component *y = &b->to.path->comp[b->to.path->depth - 1];
	/* what it is called now, not how the request spelled it */
	return strcmp(b->from.node.name ? b->from.node.name : x->name, y->name) == 0;
}

/* Onto an existing file: its node takes over the content. */
static enum gh_status file_onto_file(struct vfs_work *w, struct change *ch, const struct two_places *b)
{
	struct meta_node n = b->from.node;
	n.id = b->to.node.id;
	change_step(ch, META_NODE_CONTENT)->node = n;
	enum gh_status st = change_release(ch, &b->to.node);
	if (st != GH_OK)
		return st;
	change_count(ch, b->from.node.owner, -(int64_t)n.size, -1);
	change_count(ch, b->to.node.owner, (int64_t)n.size, 0);
	struct meta_step *s = change_step(ch, META_VERSION_GIVE);
	s->n = b->from.node.id;
	s->node.id = b->to.node.id;
	if (b->to.node.has_props)
		change_step(ch, META_PROPS_DELETE)->node.id = b->to.node.id;
	if (b->from.node.has_props) {
		s = change_step(ch, META_PROPS_COPY);
		s->n = b->from.node.id;
		s->node.id = b->to.node.id;
		change_step(ch, META_PROPS_DELETE)->node.id = b->from.node.id;
	}
	change_drop_entries(ch, w->req.path);
	if (ch->rights) {
		struct meta_acl_node *none = gh_alloc(w->req.arena, sizeof(*none));
		if (!none)
			return GH_NOMEM;
		none->id = b->from.node.id;
		change_step(ch, META_ACL_SET)->acl = none;
	}
	change_step(ch, META_NODE_DELETE)->node.id = b->from.node.id;
	return GH_OK;
}

static enum gh_status try_move(struct vfs_work *w, struct two_places *b)
{
	struct vfs_req *r = &w->req;
	enum gh_status st = two_places_enter(w, b, LOCK_SELF | LOCK_MEMBER | LOCK_BELOW);
	if (st != GH_OK)
		return st;
	const bool in_place = gh_path_equal(r->path, r->dest);
	if (in_place && same_spelling(b))
		return GH_SAMEFILE;
	const bool folder = b->from.node.type == META_FOLDER;
	struct change ch;
	change_init(&ch, w, 700);
	change_slot(&ch, &b->from);
	change_drop_locks(&ch, b->locks, r->path); /* locks never travel */
	if (in_place) { /* only its spelling changes: /a to /A */
		place_at(&ch, &b->from, &b->to);
	} else {
		change_slot(&ch, &b->to);
		if (b->to.exists && !folder && b->to.node.type == META_FILE) {
			st = file_onto_file(w, &ch, b);
		} else {
			if (b->to.exists)
				st = change_remove(&ch, &b->to, b->locks);
			place_at(&ch, &b->from, &b->to);
		}
	}
	if (st != GH_OK)
		return st;
	/* no lock may have come at or below either end: asked of the whole tenant, a new lock anywhere costs a retry */
	ch.batch.lock_seen = b->locks->seen;
	ch.batch.lock_below = NULL;
	/* a folder takes names below it along; a file with entries takes its place in the trie */
	change_drop_entries(&ch, r->path);
	if (folder || ch.rights)
		change_tree(&ch);
	ch.batch.event.node = b->from.node.id;
	st = change_commit(&ch);
	if (st == GH_OK) {
		r->created = in_place || !b->to.exists;
		struct meta_node n = b->from.node;
		n.name = r->dest->comp[r->dest->depth - 1].name;
		n.name_len = r->dest->comp[r->dest->depth - 1].name_len;
		node_show(&r->node, &n, gate_rights(w, r->dest, r->dest->depth));
	}
	return st;
}

enum gh_status op_move(struct vfs_work *w)
{
	struct two_places *b = gh_alloc(w->req.arena, sizeof(*b));
	if (!b)
		return GH_NOMEM;
	if (!w->req.dest)
		return GH_INVALID;
	const enum gh_status st = try_move(w, b);
	locks_unref(&b->locks);
	return st;
}
