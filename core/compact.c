/* See compact.h. */
#include "core/compact.h"

#include <stdlib.h>

#include "core/base/id.h"
#include "core/base/log.h"
#include "core/content.h"
#include "core/tree_shared.h"

#define WINDOW_BYTES (256u * 1024)
#define STEPS 600u

struct rewrite {
	struct gh_core *core;
	struct tenant *tenant;
	struct gh_arena *arena;
	struct meta_node *node;
	struct meta_part *parts;
	unsigned count;
	struct meta_part fresh;
	uint32_t crc;
};

static struct meta_call call_of(const struct rewrite *r)
{
	return (struct meta_call){ .arena = r->arena, .op = "compact" };
}

/* All bytes of the old parts, in order, into a staged blob. */
static enum gh_status copy_bytes(struct rewrite *r)
{
	const struct blob_ops *ops = r->core->blob_ops;
	struct vfs_content *from = content_new(r->core, NULL, r->tenant, r->node->version, r->node->size, r->parts,
					       r->count);
	uint8_t *window = malloc(WINDOW_BYTES);
	struct blob_stage *stage = NULL;
	enum gh_status st = from && window ? GH_OK : GH_NOMEM;
	r->fresh = (struct meta_part){ .blob = gh_id_new(), .blob_size = r->node->size, .len = r->node->size };
	if (st == GH_OK)
		st = ASK(r->core, SERVICE_BLOBS, r->tenant->id,
			 ops->stage_begin(r->core->blobs, r->tenant->id, r->fresh.blob, r->node->size, &stage));
	for (uint64_t at = 0; st == GH_OK && at < r->node->size;) {
		size_t n = 0;
		st = content_read(from, at, window, WINDOW_BYTES, true, &n);
		if (st == GH_OK)
			st = ops->stage_write(stage, window, n);
		at += n;
	}
	if (st == GH_OK)
		st = ASK(r->core, SERVICE_BLOBS, r->tenant->id, ops->stage_commit(&stage, &r->fresh.loc, &r->crc));
	ops->stage_abort(&stage);
	vfs_content_free(&from);
	free(window);
	return st;
}

static enum gh_status swap_parts(struct rewrite *r)
{
	struct meta_step *s = gh_alloc_array(r->arena, STEPS, sizeof(*s));
	struct meta_node n = *r->node;
	unsigned k = 0;
	if (!s || r->count + 6 > STEPS)
		return GH_LIMIT;
	n.parts = 1;
	n.blob = r->fresh.blob;
	n.loc = r->fresh.loc;
	n.crc = r->crc;
	s[k++] = (struct meta_step){ .kind = META_NODE_CONTENT, .node = n };
	s[k++] = (struct meta_step){ .kind = META_BLOB_INSERT, .part = r->fresh, .node = { .crc = r->crc } };
	for (unsigned i = 0; i < r->count; i++)
		s[k++] = (struct meta_step){ .kind = META_BLOB_UNREF, .part = r->parts[i] };
	s[k++] = (struct meta_step){ .kind = META_PARTS_DELETE, .node = { .version = n.version } };
	s[k++] = (struct meta_step){ .kind = META_VERSION_DELETE, .node = { .id = n.id, .version = n.version } };
	s[k++] = (struct meta_step){ .kind = META_VERSION_INSERT, .node = n, .n = n.owner };
	struct meta_batch b = {
		.tenant = r->tenant->id,
		.op = gh_id_new(),
		.tree_gen = UINT64_MAX,
		.rights_epoch = UINT64_MAX,
		.route_epoch = r->tenant->route_epoch,
		.lock_seen = UINT64_MAX,
		.slot_count = 1,
		.slots = { { n.parent, n.key, n.id, r->node->rev } },
		.event = { .user_name = "", .what = "compact", .door = "internal", .path = "", .dest = "",
			   .request_id = "", .node = n.id },
		.step_count = k,
		.steps = s,
	};
	struct meta_call call = call_of(r);
	const enum gh_status st = ASK(r->core, SERVICE_METADATA, r->tenant->id, meta_commit(r->core->meta, &call, &b));
	if (st == GH_OK || st == GH_UNKNOWN)
		tree_forget(r->core, r->tenant->id, n.parent, n.key, n.key_len);
	else
		(void)r->core->blob_ops->remove(r->core->blobs, r->tenant->id, r->fresh.blob, &r->fresh.loc,
						r->fresh.blob_size);
	return st;
}

enum gh_status compact_now(struct gh_core *c, struct tenant *t, uint64_t node)
{
	struct rewrite r = { .core = c, .tenant = t, .arena = gh_arena_new(8u << 20) };
	if (!r.arena)
		return GH_NOMEM;
	struct meta_call call = call_of(&r);
	enum gh_status st = ASK(c, SERVICE_METADATA, t->id, meta_node_get(c->meta, &call, t->id, node, &r.node));
	if (st == GH_OK && r.node->parts > COMPACT_ABOVE) {
		st = ASK(c, SERVICE_METADATA, t->id,
			 meta_version_parts(c->meta, &call, t->id, r.node->version, &r.parts, &r.count));
		if (st == GH_OK)
			st = copy_bytes(&r);
		if (st == GH_OK)
			st = swap_parts(&r);
	} else if (st == GH_NOTFOUND) {
		st = GH_OK;
	}
	gh_arena_free(&r.arena);
	return st;
}

struct later {
	struct share_job job; /* first */
	struct gh_core *core;
	struct tenant *tenant;
	uint64_t node;
};

static void run_later(struct share_job *job)
{
	struct later *l = (struct later *)job;
	const enum gh_status st = compact_now(l->core, l->tenant, l->node);
	if (st != GH_OK && st != GH_STALE) /* stale: it is being written to, a later append asks again */
		gh_log(GH_LOG_WARN, "compact", "tenant=%llu node=%llu status=%s", (unsigned long long)l->tenant->id,
		       (unsigned long long)l->node, gh_status_name(st));
	share_done(&l->job);
	free(l);
}

/* A later append asks again. */
static void no_room(struct share_job *job, enum gh_status st, uint32_t retry_after_s)
{
	(void)st;
	(void)retry_after_s;
	free(job);
}

void compact_later(struct gh_core *c, struct tenant *t, uint64_t node)
{
	struct later *l = malloc(sizeof(*l));
	if (!l)
		return;
	*l = (struct later){ .job = { .run = run_later, .out = no_room }, .core = c, .tenant = t, .node = node };
	uint32_t retry_s;
	if (share_submit(c, &l->job, t, VFS_C_BULK, &retry_s) != GH_OK)
		free(l);
}
