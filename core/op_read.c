/* read: opens a version. Small ones come back whole in the request; for the rest the door pulls. */
#include "core/change.h"
#include "core/content.h"
#include "core/place.h"
#include "core/switches.h"

static enum gh_status read_inline(struct vfs_work *w, uint64_t length)
{
	struct vfs_req *r = &w->req;
	uint8_t *buf = gh_alloc(r->arena, length + 1);
	if (!buf)
		return GH_NOMEM;
	for (size_t done = 0, n; done < length; done += n) {
		const enum gh_status st =
			content_read(r->content, r->offset + done, buf + done, length - done, w->may_block, &n);
		if (st == GH_AGAIN)
			w->wants_blobs = true;
		if (st != GH_OK)
			return st == GH_END ? GH_DAMAGED : st;
	}
	r->data = buf;
	r->data_len = length;
	return GH_OK;
}

/* A transfer, paid ahead; a small one goes at once, and nothing of it comes back. */
static enum gh_status count_download(struct vfs_work *w, uint64_t length)
{
	struct vfs_req *r = &w->req;
	struct quota_slot slot = { { NULL } };
	const uint64_t bytes = length < r->may_send ? length : r->may_send;
	if (!bytes)
		return GH_OK;
	enum gh_status st = quota_transfer_begin(w, &slot);
	if (st == GH_OK)
		st = quota_download(w, bytes);
	if (st != GH_OK)
		quota_transfer_end(&slot);
	else if (length > r->inline_max)
		content_counted(r->content, r->session, w->caller.user, &slot);
	else
		quota_sent(r->session, bytes);
	quota_transfer_end(&slot);
	return st;
}

static enum gh_status open_version(struct vfs_work *w, const struct meta_node *n)
{
	struct vfs_req *r = &w->req;
	struct meta_part *parts;
	unsigned count;
	enum gh_status st = content_parts(w, n, &parts, &count);
	if (st != GH_OK)
		return st;
	uint64_t sum = 0;
	for (unsigned i = 0; i < count; i++)
		sum += parts[i].len;
	if (sum != n->size)
		return GH_DAMAGED;
	vfs_content_free(&r->content); /* an earlier attempt's */
	r->content = content_new(r->core, r->loop, w->tenant, n->version, n->size, parts, count);
	if (!r->content)
		return GH_NOMEM;
	if (!core_flag(r->core, VFS_FLAG_SENDFILE, r->proto, r->session, w->may_block))
		content_pull_only(r->content);
	const uint64_t rest = n->size - r->offset;
	const uint64_t length = r->length < rest ? r->length : rest;
	st = quota_limited(w->tenant) ? count_download(w, length) : GH_OK;
	if (st != GH_OK)
		return st;
	if (length <= r->inline_max)
		return read_inline(w, length);
	return content_available(r->content, r->offset, &r->retry_after_s);
}

enum gh_status op_read(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct place p;
	struct locks *l = NULL;
	enum gh_status st = gate_enter(w);
	if (st == GH_OK)
		st = place_find(w, r->path, &p);
	if (st == GH_OK && !p.exists)
		st = GH_NOTFOUND;
	if (st == GH_OK)
		st = gate_check(w, &p, NULL);
	/* A folder has no content to be denied: who sees it is told what it is, and may ask for its listing. */
	if (st == GH_DENIED && p.node.type == META_FOLDER)
		st = GH_OK;
	if (st != GH_OK)
		return st;
	node_show(&r->node, &p.node, gate_rights(w, r->path, r->path->depth));
	if (p.node.type == META_FOLDER)
		return GH_ISDIR;
	if (cond_uses_locks(r->cond)) {
		st = locks_get(r->core, w->tenant, w->may_block, &l);
		if (st != GH_OK)
			return st;
	}
	st = cond_check(w, &p, l);
	if (w->may_block)
		locks_unref(&l);
	if (st == GH_OK && r->offset > p.node.size)
		st = GH_RANGE;
	if (st == GH_OK)
		st = open_version(w, &p.node);
	return st;
}
