/* PROPPATCH (RFC 4918 section 9.2): all changes in document order, or none. Loop thread of the exchange.
 *
 *   (stat, where something has to be known first) -> set-props -> (set-times) -> 207
 *
 * Windows keeps its file times and attributes in four properties of its own: stored like any other, and
 * Win32LastModifiedTime is the file's time at every door. Office sends these four without the token of the lock it
 * holds; from the lock's owner they are taken as if it had.
 */
#include "frontends/webdav/dav.h"

#include <string.h>

#define WIN32_NS "urn:schemas-microsoft-com:"

/* ---- the document ---- */

/* Changes one after the other: e is a property element; pass NULL first. */
struct walk {
	const struct dav_el *update, *e;
	bool remove;
};

static bool walk_into(struct walk *w, const struct dav_el *update)
{
	for (; update; update = update->next) {
		const struct dav_el *prop;

		if (!update->name || !(dav_is(update, "set") || dav_is(update, "remove")))
			continue;
		prop = dav_child(update, "prop");
		w->update = update;
		w->remove = dav_is(update, "remove");
		for (w->e = prop ? prop->first : NULL; w->e; w->e = w->e->next) {
			if (w->e->name)
				return true;
		}
	}
	return false;
}

static bool walk_next(struct walk *w, const struct dav_el *root)
{
	if (!w->update)
		return walk_into(w, root->first);
	while ((w->e = w->e->next) != NULL) {
		if (w->e->name)
			return true;
	}
	return walk_into(w, w->update->next);
}

static bool is_win32(const struct dav_el *e)
{
	return !strcmp(e->ns, WIN32_NS) &&
	       (!strcmp(e->name, "Win32CreationTime") || !strcmp(e->name, "Win32LastAccessTime") ||
		!strcmp(e->name, "Win32LastModifiedTime") || !strcmp(e->name, "Win32FileAttributes"));
}

struct summary {
	unsigned count;
	int protected; /* index of the first live property, or -1 */
	bool win32_only;
	const struct dav_el *mtime; /* the last Win32LastModifiedTime that is set */
};

static struct summary summarize(const struct dav_el *root)
{
	struct summary s = { .protected = -1, .win32_only = true };
	struct walk w = { 0 };

	while (walk_next(&w, root)) {
		if (s.protected < 0 && dav_live_find(w.e->ns, w.e->name) >= 0)
			s.protected = (int)s.count;
		if (!is_win32(w.e))
			s.win32_only = false;
		else if (!w.remove && !strcmp(w.e->name, "Win32LastModifiedTime"))
			s.mtime = w.e;
		s.count++;
	}
	s.win32_only &= s.count > 0;
	return s;
}

static const struct dav_el *document(struct http_ex *ex)
{
	struct dav_state *s = ex->state;
	struct dav_el *root;

	/* It has been read before: this cannot fail now. */
	return s->xml && dav_xml_finish(s->xml, &root) == GH_OK ? root : NULL;
}

/* ---- the answer ---- */

static bool same_name(const struct dav_el *a, const struct dav_el *b)
{
	return !strcmp(a->name, b->name) && !strcmp(a->ns, b->ns);
}

static bool named_before(const struct dav_el *root, const struct dav_el *e)
{
	struct walk w = { 0 };

	while (walk_next(&w, root) && w.e != e) {
		if (same_name(w.e, e))
			return true;
	}
	return false;
}

static void put_status(struct gh_buf *b, int code)
{
	DAV_LIT(b, "</D:prop><D:status>");
	dav_status_line(b, code);
	DAV_LIT(b, "</D:status>");
}

/* Every property once, except this one (NULL: none is left out). */
static void put_others(struct gh_buf *b, const struct dav_el *root, const struct dav_el *except, int code)
{
	struct walk w = { 0 };
	size_t start = b->len, open;

	DAV_LIT(b, "<D:propstat><D:prop>");
	open = b->len;
	while (walk_next(&w, root)) {
		if (!(except && same_name(except, w.e)) && !named_before(root, w.e))
			dav_prop_element(b, w.e->ns, w.e->name, NULL, NULL);
	}
	if (b->len == open && except) {
		b->len = start;
		return;
	}
	put_status(b, code);
	DAV_LIT(b, "</D:propstat>");
}

static void put_failed(struct gh_buf *b, const struct dav_el *e, int code)
{
	DAV_LIT(b, "<D:propstat><D:prop>");
	dav_prop_element(b, e->ns, e->name, NULL, NULL);
	put_status(b, code);
	if (code == 403)
		DAV_LIT(b, "<D:error><D:cannot-modify-protected-property/></D:error>");
	DAV_LIT(b, "</D:propstat>");
}

static const struct dav_el *change_at(const struct dav_el *root, int index)
{
	struct walk w = { 0 };

	while (index >= 0 && walk_next(&w, root)) {
		if (index-- == 0)
			return w.e;
	}
	return NULL;
}

/* failed: index of the change that was refused with code, or -1. */
static void reply(struct http_ex *ex, struct vfs_req *req, int failed, int code)
{
	const struct dav_el *root = document(ex), *e = change_at(root, failed);
	struct gh_buf b;

	gh_buf_init(&b, (size_t)4 << 20);
	DAV_LIT(&b, DAV_XML_HEAD "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>");
	dav_href(&b, req->path->text, req->node.type == VFS_FOLDER || req->path->trailing_slash);
	DAV_LIT(&b, "</D:href>");
	if (e)
		put_failed(&b, e, code);
	put_others(&b, root, e, e ? 424 : 200);
	DAV_LIT(&b, "</D:response></D:multistatus>");
	dav_reply_xml(ex, 207, &b, req);
}

/* ---- one step after the other ---- */

static void times_set(struct http_ex *ex, struct vfs_req *req)
{
	/* The properties are stored; where the time can't follow (a folder that is not the caller's) that is all. */
	if (req->status == GH_OK || gh_status_class(req->status) == GH_CLASS_CALLER)
		reply(ex, req, -1, 200);
	else
		http_refuse(ex, req->status, req);
	vfs_req_free(&req);
}

static enum gh_status request(struct http_ex *ex, enum vfs_op op, const char *token, struct vfs_req **ret)
{
	enum gh_status st = http_req(ex, op, ret);

	if (st != GH_OK)
		return st;
	st = dav_cond(ex, *ret);
	if (st != GH_OK) {
		vfs_req_free(ret);
		return st;
	}
	if (token)
		dav_cond_add_token(*ret, token);
	return GH_OK;
}

/* true: submitted. */
static bool set_times(struct http_ex *ex, const struct vfs_req *before)
{
	struct summary s = summarize(document(ex));
	const struct vfs_cond *c = before->cond;
	struct vfs_req *req;
	int64_t us;
	char *text = s.mtime ? dav_text(ex->arena, s.mtime) : NULL;

	if (!text || !http_date_parse(text, &us))
		return false;
	if (request(ex, VFS_SET_TIMES, c && c->token_count ? c->tokens[c->token_count - 1] : NULL, &req) != GH_OK)
		return false;
	req->mtime_us = us;
	http_submit(ex, req, times_set);
	return true;
}

static void props_set(struct http_ex *ex, struct vfs_req *req)
{
	enum gh_status st = req->status;

	if (st == GH_PROTECTED || st == GH_TOOLARGE || st == GH_TOOLONG)
		reply(ex, req, (int)req->failed_change, dav_code(ex, st));
	else if (st != GH_OK)
		http_refuse(ex, st, req);
	else if (!set_times(ex, req))
		reply(ex, req, -1, 200);
	vfs_req_free(&req);
}

static enum gh_status take_changes(struct vfs_req *req, const struct dav_el *root, unsigned count)
{
	struct walk w = { 0 };
	struct gh_buf value;

	req->changes = gh_alloc_array(req->arena, count, sizeof(*req->changes));
	gh_buf_init(&value, DAV_VALUES_MAX);
	while (req->changes && walk_next(&w, root)) {
		struct vfs_prop_change *c = &req->changes[req->change_count++];

		c->remove = w.remove;
		c->prop.ns = gh_strdup(req->arena, w.e->ns);
		c->prop.name = gh_strdup(req->arena, w.e->name);
		c->prop.lang = w.e->lang ? gh_strdup(req->arena, w.e->lang) : NULL;
		if (w.remove)
			continue;
		gh_buf_clear(&value);
		dav_xml_inner(&value, w.e);
		if (value.failed)
			break;
		c->prop.xml = value.len ? gh_strndup(req->arena, value.data, value.len) : "";
	}
	if (value.failed || gh_arena_overflowed(req->arena)) {
		gh_buf_fini(&value);
		return GH_TOOLARGE;
	}
	gh_buf_fini(&value);
	return GH_OK;
}

static void set_props(struct http_ex *ex, const char *token)
{
	const struct dav_el *root = document(ex);
	struct vfs_req *req;
	enum gh_status st = request(ex, VFS_SET_PROPS, token, &req);

	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	st = take_changes(req, root, summarize(root).count);
	if (st != GH_OK) {
		vfs_req_free(&req);
		http_refuse(ex, st, NULL);
		return;
	}
	http_submit(ex, req, props_set);
}

static const char *own_lock(const struct vfs_node *n)
{
	for (unsigned i = 0; i < n->lock_count; i++) {
		if (n->locks[i].mine)
			return n->locks[i].token;
	}
	return NULL;
}

static void found(struct http_ex *ex, struct vfs_req *req)
{
	struct summary s = summarize(document(ex));

	if (req->status != GH_OK)
		http_refuse(ex, req->status, req);
	else if (s.count == 0)
		reply(ex, req, -1, 200);
	else if (s.protected >= 0)
		reply(ex, req, s.protected, 403);
	else
		set_props(ex, own_lock(&req->node));
	vfs_req_free(&req);
}

void dav_proppatch(struct http_ex *ex)
{
	struct dav_el *root;
	struct summary s;
	struct vfs_req *req;
	enum gh_status st = GH_OK;

	if (!dav_body(ex, &root))
		return;
	if (!root || !dav_is(root, "propertyupdate")) {
		http_refuse(ex, GH_INVALID, NULL);
		return;
	}
	s = summarize(root);
	if (s.count > DAV_PATCH_MAX)
		st = GH_LIMIT;
	else if (s.count > 0 && s.protected < 0 && (!s.win32_only || http_header(ex, "If")))
		set_props(ex, NULL);
	else if ((st = request(ex, VFS_STAT, NULL, &req)) == GH_OK) {
		req->flags |= VFS_WITH_LOCKS | VFS_CERTAIN;
		http_submit(ex, req, found);
	}
	if (st != GH_OK)
		http_refuse(ex, st, NULL);
}
