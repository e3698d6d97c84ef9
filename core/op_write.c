/* write: begin decides everything that can be decided before the first byte; commit decides it again and makes the
 * content visible, whole and durable, or not at all. Bytes are durable in the blob store before the metadata commit
 * names them; a commit that fails gives the blob back. */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/id.h"
#include "core/change.h"
#include "core/compact.h"
#include "core/content.h"
#include "core/switches.h"
#include "core/upload.h"

/* No version has more parts than this; they are rewritten in the background long before. */
#define PARTS_MAX 240u
/* After a wrong guess: how many writes of that tenant ask instead. */
#define UNLUCKY 64u

/* Everything that decides, for begin and commit alike. */
static enum gh_status decide(struct vfs_work *w, struct place *p, struct locks **ret_locks)
{
	struct vfs_req *r = &w->req;
	enum gh_status st = gate_enter(w);
	if (st == GH_OK)
		st = place_find(w, r->path, p);
	if (st != GH_OK)
		return st;
	if (place_is_root(p))
		return GH_ISDIR;
	if (!place_has_parent(p))
		return GH_NOPARENT;
	st = gate_check(w, p, NULL);
	if (st != GH_OK)
		return st == GH_NOTFOUND && !p->exists ? GH_NOPARENT : st;
	if (p->exists && p->node.type == META_FOLDER)
		return GH_ISDIR;
	if (r->path->trailing_slash)
		return GH_BADNAME; /* that spells a folder */
	st = locks_get(r->core, w->tenant, w->may_block, ret_locks);
	if (st == GH_OK)
		st = cond_check(w, p, *ret_locks);
	if (st == GH_OK)
		st = lock_check(w, *ret_locks, r->path, p->exists ? LOCK_SELF : LOCK_SELF | LOCK_MEMBER);
	if (st == GH_OK && (r->flags & VFS_KEEP_HEAD) && r->offset > (p->exists ? p->node.size : 0))
		st = GH_RANGE;
	return st;
}

/* Most small writes make a file, of a name that memory does not know. To ask the store for it first costs more than the
 * guard that the commit carries anyway; where the name is taken after all it is found out there. Not where the answer
 * itself depends on what is there. */
static bool may_guess(const struct vfs_work *w)
{
	const struct vfs_req *r = &w->req;
	struct tenant *t = r->session->tenant;
	if (w->attempts || r->cond || r->flags & (VFS_APPEND | VFS_KEEP_HEAD) || quota_limited(t))
		return false;
	unsigned n = atomic_load_explicit(&t->unlucky, memory_order_relaxed);
	if (n) /* about as many, whoever else counts */
		atomic_store_explicit(&t->unlucky, n - 1, memory_order_relaxed);
	return n == 0;
}

/* As decide; what is refused on a guess is decided on what is there. */
static enum gh_status decide_commit(struct vfs_work *w, struct place *p, struct locks **ret_locks)
{
	if (w->attempts == 1 && w->guess)
		atomic_store_explicit(&w->tenant->unlucky, UNLUCKY, memory_order_relaxed);
	w->guess = may_guess(w);
	enum gh_status st = decide(w, p, ret_locks);
	if (st != GH_OK && w->guess) {
		w->guess = false;
		locks_unref(ret_locks);
		st = decide(w, p, ret_locks);
	}
	w->guess = st == GH_OK && p->guessed; /* what is refused may not even have looked */
	return st;
}

/* Memory could not decide, and nobody waits for the word before the bytes. */
static bool left_to_commit(const struct vfs_work *w, enum gh_status st)
{
	const struct vfs_req *r = &w->req;
	return st == GH_AGAIN && !w->may_block && (r->flags & VFS_UNASKED) && !quota_limited(w->tenant) &&
	       r->declared <= r->core->blob_ops->put_max(r->core->blobs);
}

/* Room for what was declared, less what goes when it is there; and its place among the transfers. */
static enum gh_status make_room(struct vfs_work *w, const struct place *p, struct vfs_upload *u)
{
	const struct vfs_req *r = &w->req;
	struct quota_wish wish = { .owner = p->exists ? p->node.owner : w->caller.user, .makes_file = !p->exists };
	if (r->declared != UINT64_MAX)
		wish.bytes = r->declared;
	if (p->exists && !(r->flags & VFS_APPEND))
		wish.frees = p->node.size - (r->flags & VFS_KEEP_HEAD ? r->offset : 0);
	const enum gh_status st = quota_transfer_begin(w, &u->counted);
	return st == GH_OK ? quota_hold_begin(w, &wish, &u->hold) : st;
}

enum gh_status op_write_begin(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct place p;
	struct locks *l = NULL;
	p.exists = false; /* for all that is known where nothing is decided */
	enum gh_status st = decide(w, &p, &l);
	if (w->may_block)
		locks_unref(&l);
	if (st != GH_OK && !left_to_commit(w, st))
		return st;
	if (r->declared != UINT64_MAX && r->declared > r->core->cfg.upload_max_bytes)
		return GH_TOOLARGE;
	const unsigned content = r->declared ? 1u << SERVICE_BLOBS : 0;
	st = breakers_shut(r->core, 1u << SERVICE_METADATA | content, w->tenant->id, &r->retry_after_s, NULL);
	if (st != GH_OK)
		return st; /* before a body is sent that could not be kept */
	r->created = !p.exists;
	vfs_upload_abort(&r->upload); /* an earlier attempt's */
	r->upload = upload_new(w);
	if (!r->upload)
		return GH_NOMEM;
	st = quota_limited(w->tenant) ? make_room(w, &p, r->upload) : GH_OK;
	if (st != GH_OK)
		vfs_upload_abort(&r->upload);
	return st;
}

/* ---- commit ---- */

/* The parts of the new version: what is kept of the old one, then what was sent. */
static enum gh_status new_parts(struct vfs_work *w, const struct place *p, struct meta_part **ret, unsigned *ret_count,
				unsigned *ret_kept)
{
	struct vfs_req *r = &w->req;
	struct meta_part *old = NULL;
	unsigned old_count = 0, n = 0;
	uint64_t keep = 0;
	if (p->exists && (r->flags & VFS_APPEND))
		keep = p->node.size;
	else if (p->exists && (r->flags & VFS_KEEP_HEAD))
		keep = r->offset;
	if (keep) {
		const enum gh_status st = content_parts(w, &p->node, &old, &old_count);
		if (st != GH_OK)
			return st;
	}
	struct meta_part *parts = gh_alloc_array(r->arena, old_count + 2, sizeof(*parts));
	if (!parts)
		return GH_NOMEM;
	for (unsigned i = 0; i < old_count && keep; i++) {
		parts[n] = old[i];
		if (parts[n].len > keep)
			parts[n].len = keep;
		keep -= parts[n++].len;
	}
	*ret_kept = n;
	if (w->stored.len)
		parts[n++] = w->stored;
	*ret = parts;
	*ret_count = n;
	return GH_OK;
}

static bool is_plain(const struct meta_part *parts, unsigned count)
{
	return count == 1 && parts[0].offset == 0 && parts[0].len == parts[0].blob_size;
}

/* One part that is not a whole blob has no place in the node's row: two halves do. */
static void split_single(struct meta_part *parts, unsigned *count)
{
	parts[1] = parts[0];
	parts[0].len /= 2;
	parts[1].offset += parts[0].len;
	parts[1].len -= parts[0].len;
	*count = 2;
}

/* A single byte that is kept of more has no halves: it becomes a blob of its own. */
static enum gh_status store_single(struct vfs_work *w, struct meta_part *part)
{
	struct gh_core *c = w->req.core;
	struct vfs_content *from = content_new(c, NULL, w->tenant, gh_id_new(), 1, part, 1);
	struct meta_part own = { .blob = gh_id_new(), .blob_size = 1, .len = 1 };
	uint8_t byte;
	size_t n = 0;
	enum gh_status st = from ? content_read(from, 0, &byte, 1, true, &n) : GH_NOMEM;
	vfs_content_free(&from);
	if (st == GH_OK)
		st = ASK(c, SERVICE_BLOBS, w->tenant->id,
			 c->blob_ops->put(c->blobs, w->tenant->id, own.blob, &byte, 1, &own.loc));
	if (st != GH_OK)
		return st;
	*part = w->stored = own;
	w->stored_crc = gh_crc32c(0, &byte, 1);
	w->stored_is_kept = true;
	return GH_OK;
}

static void describe(struct meta_node *n, const struct vfs_work *w, const struct meta_part *parts, unsigned count,
		     uint64_t version, int64_t mtime_us)
{
	n->version = version;
	n->mtime_us = mtime_us;
	n->parts = count;
	for (unsigned i = 0; i < count; i++)
		n->size += parts[i].len;
	if (count == 1) {
		n->blob = parts[0].blob;
		n->loc = parts[0].loc;
		n->crc = parts[0].blob == w->stored.blob ? w->stored_crc : 0;
	}
}

static void add_content(struct change *ch, const struct meta_node *n, const struct meta_part *parts, unsigned count,
			unsigned kept)
{
	const struct vfs_work *w = ch->w;
	struct meta_step *s = change_step(ch, META_VERSION_INSERT);
	s->node = *n;
	s->n = w->caller.user;
	if (w->stored.len) {
		s = change_step(ch, META_BLOB_INSERT);
		s->part = w->stored;
		s->node.crc = w->stored_crc;
	}
	for (unsigned i = 0; i < kept; i++)
		change_step(ch, META_BLOB_REF)->part = parts[i];
	for (unsigned i = 0; count > 1 && i < count; i++) {
		s = change_step(ch, META_PART_INSERT);
		s->node.version = n->version;
		s->n = i;
		s->part = parts[i];
	}
}

/* By the committing thread, for everyone in its group: bytes before the rows that name them. */
static enum gh_status stored_settle(void *arg)
{
	return work_settle(arg);
}

/* A new version on its way, in the request's arena. */
struct arrival {
	struct change change; /* first: w->change */
	struct meta_node node;
	unsigned rights; /* of the caller there */
	bool created;
};

/* The version takes the place of what is there, or a new one. */
static enum gh_status plan_version(struct vfs_work *w, const struct place *p, const struct meta_part *parts,
				   unsigned count, unsigned kept, struct arrival *a)
{
	struct vfs_req *r = &w->req;
	struct change *ch = &a->change;
	struct meta_node *n = &a->node;
	change_init(ch, w, META_STEPS_MAX); /* three for each kept part, a handful more */
	change_slot(ch, p);
	*n = (struct meta_node){ .type = META_FILE, .owner = w->caller.user };
	describe(n, w, parts, count, gh_id_new(), r->mtime_us != INT64_MIN ? r->mtime_us : gh_real_us());
	if (p->exists) {
		n->id = p->node.id;
		change_step(ch, META_NODE_CONTENT)->node = *n;
		add_content(ch, n, parts, count, kept);
		const enum gh_status st = change_release(ch, &p->node);
		if (st != GH_OK)
			return st;
		n->name = p->node.name;
		n->name_len = p->node.name_len;
		n->key = p->node.key;
		n->made_us = p->node.made_us;
	} else {
		const struct gh_component *c = &r->path->comp[r->path->depth - 1];
		n->id = gh_id_new();
		n->parent = place_parent_id(p);
		n->name = c->name;
		n->name_len = c->name_len;
		n->key = c->key;
		n->key_len = c->key_len;
		n->made_us = gh_real_us();
		change_step(ch, META_NODE_INSERT)->node = *n;
		add_content(ch, n, parts, count, kept);
		change_count(ch, n->owner, 0, 1);
	}
	ch->batch.event.node = n->id;
	change_count(ch, p->exists ? p->node.owner : n->owner, (int64_t)n->size, 0);
	ch->batch.before = stored_settle;
	ch->batch.before_arg = w;
	a->created = !p->exists;
	a->rights = gate_rights(w, r->path, r->path->depth);
	return GH_OK;
}

/* Nobody will ever name these bytes. With an unknown outcome somebody might: then they stay for the collector, which
 * asks the database first. */
static void give_blob_back(struct vfs_work *w)
{
	(void)work_settle(w);
	if (w->stored.len)
		(void)w->req.core->blob_ops->remove(w->req.core->blobs, w->tenant->id, w->stored.blob, &w->stored.loc,
						    w->stored.blob_size);
}

/* GH_WAIT: w->change is ready to be sent. */
static enum gh_status commit_version(struct vfs_work *w, const struct place *p)
{
	struct meta_part *parts;
	unsigned count, kept;
	if (w->stored_is_kept) { /* of an earlier attempt */
		give_blob_back(w);
		w->stored.len = 0;
		w->stored_is_kept = false;
	}
	enum gh_status st = new_parts(w, p, &parts, &count, &kept);
	if (st != GH_OK)
		return st;
	if (count > PARTS_MAX) { /* the background did not keep up: now, then decide again */
		st = compact_now(w->req.core, w->tenant, p->node.id);
		return st == GH_OK ? GH_STALE : st;
	}
	if (count == 1 && !is_plain(parts, 1) && parts[0].len > 1) {
		split_single(parts, &count);
		kept = count;
	} else if (count == 1 && !is_plain(parts, 1)) {
		st = store_single(w, parts);
		if (st != GH_OK)
			return st;
		kept = 0;
	}
	struct arrival *a = gh_alloc(w->req.arena, sizeof(*a));
	if (!a)
		return GH_NOMEM;
	st = plan_version(w, p, parts, count, kept, a);
	if (st != GH_OK)
		return st;
	w->change = &a->change;
	return GH_WAIT;
}

/* The begin's words hold unless the commit brings its own. */
static void take_over(struct vfs_work *w, const struct vfs_upload *u)
{
	struct vfs_req *r = &w->req;
	if (!r->path)
		r->path = u->path;
	if (!r->cond)
		r->cond = u->cond;
	r->flags |= u->flags & (VFS_APPEND | VFS_KEEP_HEAD);
	r->offset = u->offset;
	if (r->mtime_us == INT64_MIN)
		r->mtime_us = u->mtime_us;
	w->bytes = u->received;
}

static void upload_unref_later(void *u)
{
	struct vfs_upload *up = u;
	upload_unref(&up);
}

/* Nothing came of it: whoever counted on the bytes must not. */
static enum gh_status end_without(struct vfs_work *w, enum gh_status st)
{
	if (st != GH_STALE && st != GH_UNKNOWN && w->op_done) {
		give_blob_back(w);
		w->stored.len = 0;
	}
	return st;
}

enum gh_status op_write_commit(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct place p;
	struct locks *l = NULL;
	if (r->upload) {
		struct vfs_upload *u = r->upload;
		r->upload = NULL;
		w->upload = u;
		gh_defer(r->arena, upload_unref_later, u); /* its arena holds what the request now points to */
		take_over(w, u);
		if (u->declared != UINT64_MAX && u->received != u->declared)
			return GH_SHORT;
	}
	if (!w->upload)
		return GH_INVALID;
	enum gh_status st = decide_commit(w, &p, &l);
	locks_unref(&l);
	if (st == GH_OK && !w->op_done) {
		st = upload_store(w->upload, &w->stored, &w->stored_crc, &w->stored_ticket);
		w->op_done = st == GH_OK;
	}
	if (st == GH_OK)
		st = commit_version(w, &p);
	return st == GH_WAIT ? st : end_without(w, st);
}

enum gh_status op_write_landed(struct vfs_work *w, enum gh_status st)
{
	struct vfs_req *r = &w->req;
	const struct arrival *a = (const struct arrival *)w->change;
	if (st != GH_OK)
		return end_without(w, st);
	if (a->node.parts > COMPACT_ABOVE && a->node.parts % 32 == 1 &&
	    core_flag(r->core, VFS_FLAG_COMPACT, r->proto, r->session, true))
		compact_later(r->core, w->tenant, a->node.id);
	r->created = a->created;
	node_show(&r->node, &a->node, a->rights);
	return GH_OK;
}
