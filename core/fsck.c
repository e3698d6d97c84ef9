/* See fsck.h. Works beside a running gateway: what changes under its feet (a blob that dies and is collected, one that
 * is stored and not yet committed) is looked at again before it is called a loss, or is only a note. */
#include "core/fsck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 500
#define TEXTS_MAX 1000
#define ARENA_MAX (32u << 20)

struct fsck {
	struct meta_store *meta;
	const struct blob_ops *ops;
	struct blob_backend *be;
	bool verify;
	struct gh_arena *arena;
	json_t *losses, *notes;
	uint64_t loss, note;
	uint64_t blobs, blob_bytes, dead, damaged, orphans, orphan_bytes;
	enum gh_status failed; /* of a callback */
};

static struct meta_call call_of(const struct fsck *f)
{
	return (struct meta_call){ .arena = f->arena, .op = "fsck" };
}

static void finding(void *arg, bool loss, const char *text)
{
	struct fsck *f = arg;
	json_t *list = loss ? f->losses : f->notes;

	if (loss)
		f->loss++;
	else
		f->note++;
	if (json_array_size(list) < TEXTS_MAX)
		json_array_append_new(list, json_string(text));
}

/* ---- rows against bytes ---- */

/* One block, the last: it is there, it is this blob's, it is whole, and nothing was cut off. */
static enum gh_status look(const struct fsck *f, const struct meta_blob_row *row)
{
	struct blob_reader *r = NULL;
	char byte;
	size_t n = 0;
	enum gh_status st = f->ops->reader_open(f->be, row->tenant, row->id, &row->loc, row->size, true, &r);

	if (st == GH_OK && row->size) {
		st = f->ops->reader_read(r, row->size - 1, &byte, 1, true, &n);
		if (st == GH_END || (st == GH_OK && !n))
			st = GH_DAMAGED;
	}
	if (r)
		f->ops->reader_close(&r);
	return st;
}

/* Is the row still there and alive? It may have died and been collected since it was read. */
static enum gh_status still_alive(const struct fsck *f, const struct meta_blob_row *row, bool *ret)
{
	struct meta_call call = call_of(f);
	struct meta_blob_row *now;
	unsigned count;
	enum gh_status st = meta_blobs(f->meta, &call, row->tenant, row->id - 1, 1, &now, &count);

	*ret = st == GH_OK && count && now->tenant == row->tenant && now->id == row->id && !now->dead;
	return st;
}

static enum gh_status check_blob(struct fsck *f, const struct meta_blob_row *row)
{
	char msg[256] = "", text[512];
	bool alive;
	enum gh_status st, again;

	if (f->verify && f->ops->caps & BLOB_CAP_VERIFY)
		st = f->ops->verify(f->be, row->tenant, row->id, &row->loc, row->size, msg);
	else
		st = look(f, row);
	if (st == GH_OK)
		return GH_OK;
	if (st != GH_DAMAGED && st != GH_NOTFOUND && st != GH_IO)
		return st;
	again = still_alive(f, row, &alive);
	if (again != GH_OK || !alive)
		return again;
	snprintf(text, sizeof(text), "tenant %" PRIu64 " blob %" PRIu64 " (%" PRIu64 " bytes): %s%s%s", row->tenant,
		 row->id, row->size,
		 st == GH_NOTFOUND ? "missing"
		 : st == GH_IO     ? "unreadable"
				   : "damaged",
		 *msg ? ": " : "", msg);
	finding(f, true, text);
	return GH_OK;
}

static enum gh_status check_rows(struct fsck *f)
{
	uint64_t tenant = 0, id = 0;
	unsigned count = PAGE;

	while (count == PAGE) {
		struct meta_call call = call_of(f);
		struct meta_blob_row *rows;
		enum gh_status st = meta_blobs(f->meta, &call, tenant, id, PAGE, &rows, &count);

		for (unsigned i = 0; st == GH_OK && i < count; i++) {
			tenant = rows[i].tenant;
			id = rows[i].id;
			if (rows[i].dead) {
				f->dead++;
				continue;
			}
			f->blobs++;
			f->blob_bytes += rows[i].size;
			/* what is marked already, meta_check has told */
			if (rows[i].damaged)
				f->damaged++;
			else
				st = check_blob(f, &rows[i]);
		}
		if (st != GH_OK)
			return st;
		gh_arena_reset(f->arena);
	}
	return GH_OK;
}

/* ---- bytes against rows ---- */

static bool same_place(const struct blob_loc *a, const struct blob_loc *b)
{
	return a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

static bool check_object(void *arg, const struct blob_object *o)
{
	struct fsck *f = arg;
	struct meta_call call = call_of(f);
	struct meta_blob_row *row;
	unsigned count;

	f->failed = o->id ? meta_blobs(f->meta, &call, o->tenant, o->id - 1, 1, &row, &count) : GH_OK;
	if (f->failed != GH_OK)
		return false;
	if (!o->id || !count || row->tenant != o->tenant || row->id != o->id || !same_place(&row->loc, &o->loc)) {
		f->orphans++;
		f->orphan_bytes += o->size;
	}
	gh_arena_reset(f->arena);
	return true;
}

static enum gh_status check_objects(struct fsck *f)
{
	char text[160];
	enum gh_status st;

	if (!(f->ops->caps & BLOB_CAP_ITERATE))
		return GH_OK;
	st = f->ops->iterate(f->be, check_object, f);
	if (f->failed != GH_OK)
		return f->failed;
	if (st == GH_DAMAGED || st == GH_IO) {
		/* an unreadable folder or a torn record hides orphans at most; blobs with rows were checked one by one
		 */
		finding(f, false, "not every stored object could be listed; orphans may be more");
		st = GH_OK;
	}
	if (f->orphans) {
		snprintf(text, sizeof(text),
			 "%" PRIu64 " stored objects (%" PRIu64 " bytes) belong to no row; the collector takes "
			 "them away",
			 f->orphans, f->orphan_bytes);
		finding(f, false, text);
	}
	return st;
}

/* ---- the whole ---- */

static json_t *report(struct fsck *f)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:O, s:O}", "ok", !f->loss, "loss",
			 (json_int_t)f->loss, "blobs", (json_int_t)f->blobs, "blob_bytes", (json_int_t)f->blob_bytes,
			 "dead", (json_int_t)f->dead, "damaged", (json_int_t)f->damaged, "orphans",
			 (json_int_t)f->orphans, "orphan_bytes", (json_int_t)f->orphan_bytes, "verified", f->verify,
			 "losses", f->losses, "notes", f->notes);
}

enum gh_status fsck_run(struct meta_store *meta, const struct blob_ops *ops, struct blob_backend *be, bool verify,
			json_t **ret_report)
{
	struct fsck f = { .meta = meta, .ops = ops, .be = be, .verify = verify };
	struct meta_call call;
	enum gh_status st = GH_NOMEM;

	f.losses = json_array();
	f.notes = json_array();
	f.arena = gh_arena_new(ARENA_MAX);
	if (!f.losses || !f.notes || !f.arena)
		goto out;
	call = call_of(&f);
	st = meta_check(meta, &call, finding, &f);
	gh_arena_reset(f.arena);
	if (st == GH_OK)
		st = check_rows(&f);
	if (st == GH_OK)
		st = check_objects(&f);
	if (st == GH_DAMAGED) {
		finding(&f, true, "the database itself is damaged; the log names the file and the place");
		st = GH_OK;
	}
	if (st != GH_OK)
		goto out;
	*ret_report = report(&f);
	st = *ret_report ? GH_OK : GH_NOMEM;
out:
	gh_arena_free(&f.arena);
	json_decref(f.losses);
	json_decref(f.notes);
	return st;
}
