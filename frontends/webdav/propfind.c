/* PROPFIND (RFC 4918 section 9.1): stat, quota when it is asked for, then the listing page by page into a 207. What
 * fits into 1 MiB is answered whole; longer ones are streamed with two pages and 64 KiB of text in memory: while one is
 * rendered and sent, the store is asked for the next. Pages are long for a client that waits for the store, and short for one
 * that the store waits for, so that who reads slowly holds little. Loop thread of the exchange.
 *
 *   stat -> (quota) -> (list) -> answer, which lists again from within the stream
 */
#include "frontends/webdav/dav.h"

#include <stdlib.h>
#include <string.h>

/* Children a page: half of what a listing holds in memory, times the listings that run at once. Of a long one the store
 * makes and reads parts at the same time (shard_list): 10,000 members take 0.9 of the time that pages of 250 take. */
#define PAGE_LEAST 250u
#define PAGE_MOST 1000u
#define WHOLE_BYTES ((size_t)1 << 20)
#define ENTRY_BYTES ((size_t)8 << 20) /* one entry with all its dead properties */
#define FILL_BYTES 60000u
#define MULTISTATUS DAV_XML_HEAD "<D:multistatus xmlns:D=\"DAV:\">"
#define MULTISTATUS_END "</D:multistatus>"

struct dav_listing {
	struct dav_ask ask;
	enum dav_depth depth;
	bool noroot;
	struct vfs_req *self;     /* stat of the resource itself */
	struct vfs_req *page;     /* of its members, while they are rendered */
	struct vfs_req *ahead;    /* the next one, where it is here already */
	bool asked;               /* it is on its way */
	bool awaited;             /* and the client has had all that came before */
	unsigned entries;         /* of the page that is asked for next */
	unsigned next;            /* in the page */
	struct gh_buf href, path; /* of the folder, with a slash at the end; behind it the name of one member */
	size_t href_len, path_len;
	/* stream */
	struct gh_buf text;
	size_t text_sent;
	bool ended, cut;
};

static struct dav_listing *listing_of(struct http_ex *ex)
{
	return ((struct dav_state *)ex->state)->listing;
}

void dav_propfind_gone(struct http_ex *ex)
{
	struct dav_listing *l = listing_of(ex);

	if (!l)
		return;
	vfs_req_free(&l->self);
	vfs_req_free(&l->page);
	vfs_req_free(&l->ahead);
	gh_buf_fini(&l->href);
	gh_buf_fini(&l->path);
	gh_buf_fini(&l->text);
}

/* ---- rendering ---- */

/* An entry that can't be rendered (out of memory) is reported alone; the listing goes on. */
static void put_entry(struct gh_buf *b, const struct dav_listing *l, const char *path, const struct vfs_node *n)
{
	size_t start = b->len;

	dav_entry(b, &l->ask, l->href.data, l->href.len, path, n);
	if (!b->failed || b->max == WHOLE_BYTES)
		return;
	b->failed = false;
	b->len = start;
	DAV_LIT(b, "<D:response><D:href>");
	gh_buf_add(b, l->href.data, l->href.len);
	DAV_LIT(b, "</D:href><D:status>HTTP/1.1 507 Insufficient Storage</D:status></D:response>");
}

static void put_self(struct gh_buf *b, struct dav_listing *l)
{
	const struct vfs_req *r = l->self;

	gh_buf_clear(&l->href);
	dav_href(&l->href, r->path->text, r->node.type == VFS_FOLDER);
	l->href_len = l->href.len;
	gh_buf_clear(&l->path);
	gh_buf_str(&l->path, r->path->text);
	if (r->path->depth > 0)
		gh_buf_char(&l->path, '/');
	l->path_len = l->path.len;
	if (!l->noroot)
		put_entry(b, l, r->path->text, &r->node);
}

static void put_member(struct gh_buf *b, struct dav_listing *l, const struct vfs_node *n)
{
	l->href.len = l->href_len;
	gh_buf_href(&l->href, n->name, n->name_len);
	if (n->type == VFS_FOLDER)
		gh_buf_char(&l->href, '/');
	if (n->lock_count > 0) {
		l->path.len = l->path_len;
		gh_buf_add(&l->path, n->name, n->name_len);
	}
	if (l->href.failed || l->path.failed)
		b->failed = true;
	else
		put_entry(b, l, l->path.data, n);
}

/* ---- streamed ---- */

static void page_came(struct http_ex *ex, struct vfs_req *req)
{
	struct dav_listing *l = listing_of(ex);

	l->ahead = req;
	l->asked = false;
}

static enum gh_status list_req(struct http_ex *ex, const char *after, struct vfs_req **ret_req)
{
	struct dav_listing *l = listing_of(ex);
	enum gh_status st = http_req(ex, VFS_LIST, ret_req);

	if (st != GH_OK)
		return st;
	(*ret_req)->flags = dav_ask_flags(&l->ask);
	(*ret_req)->limit = l->entries;
	(*ret_req)->after = gh_strdup((*ret_req)->arena, after);
	return GH_OK;
}

/* The page behind the one at hand, if there is one. */
static enum gh_status ask_ahead(struct http_ex *ex, struct dav_listing *l)
{
	struct vfs_req *req;
	enum gh_status st;

	if (!l->page || !l->page->next_after)
		return GH_OK;
	st = list_req(ex, l->page->next_after, &req);
	if (st != GH_OK)
		return st;
	l->asked = true;
	l->awaited = false;
	http_submit_ahead(ex, req, page_came);
	return GH_OK;
}

/* The page at hand is used up, and was not the last. */
static enum gh_status turn_page(struct http_ex *ex, struct dav_listing *l)
{
	if (l->asked) {
		l->awaited = true;
		return GH_WAIT;
	}
	if (l->cut)
		return GH_NOMEM;
	l->entries = !l->awaited ? PAGE_LEAST : l->entries < PAGE_MOST ? l->entries * 2 : PAGE_MOST;
	vfs_req_free(&l->page);
	l->page = l->ahead;
	l->ahead = NULL;
	l->next = 0;
	return l->page->status == GH_OK ? ask_ahead(ex, l) : l->page->status; /* never a short listing: the connection is cut */
}

/* More text, from the page at hand or the next one. */
static enum gh_status render_more(struct http_ex *ex, struct dav_listing *l)
{
	gh_buf_clear(&l->text);
	l->text_sent = 0;
	while (l->page && l->next < l->page->node_count && l->text.len < FILL_BYTES / 2)
		put_member(&l->text, l, &l->page->nodes[l->next++]);
	if (l->text.failed)
		return GH_NOMEM;
	if (l->text.len > 0)
		return GH_OK;
	if (l->page && l->page->next_after)
		return turn_page(ex, l);
	l->ended = true;
	DAV_LIT(&l->text, MULTISTATUS_END);
	return GH_OK;
}

static enum gh_status fill(struct http_ex *ex, struct gh_buf *out)
{
	struct dav_listing *l = listing_of(ex);
	size_t start = out->len;

	while (out->len - start < FILL_BYTES) {
		size_t room = FILL_BYTES - (out->len - start), n = l->text.len - l->text_sent;
		enum gh_status st;

		if (n > 0) {
			n = n < room ? n : room;
			gh_buf_add(out, l->text.data + l->text_sent, n);
			l->text_sent += n;
			continue;
		}
		if (l->ended)
			return out->len > start ? GH_OK : GH_END;
		/* What is there goes out before anything is waited for. */
		if (out->len > start && (!l->page || l->next >= l->page->node_count))
			return GH_OK;
		st = render_more(ex, l);
		if (st != GH_OK)
			return st;
	}
	return out->failed ? GH_NOMEM : GH_OK;
}

/* ---- one step after the other ---- */

static bool reply_whole(struct http_ex *ex, struct dav_listing *l)
{
	struct gh_buf b;

	gh_buf_init(&b, WHOLE_BYTES);
	DAV_LIT(&b, MULTISTATUS);
	put_self(&b, l);
	for (unsigned i = 0; l->page && i < l->page->node_count && !b.failed; i++)
		put_member(&b, l, &l->page->nodes[i]);
	DAV_LIT(&b, MULTISTATUS_END);
	if (b.failed) {
		gh_buf_fini(&b);
		return false;
	}
	dav_reply_xml(ex, 207, &b, l->page ? l->page : l->self);
	return true;
}

static void answer(struct http_ex *ex)
{
	struct dav_listing *l = listing_of(ex);

	if (!(l->page && l->page->next_after) && reply_whole(ex, l))
		return;
	l->next = 0;
	gh_buf_clear(&l->text);
	DAV_LIT(&l->text, MULTISTATUS);
	put_self(&l->text, l);
	vfs_req_log(l->page ? l->page : l->self, http_method_name(ex->method), 207, 0);
	http_reply_header(ex, "Content-Type", DAV_XML_TYPE);
	http_reply_header(ex, "Cache-Control", "private, no-store");
	http_reply_stream(ex, 207, fill);
	if (ask_ahead(ex, l) != GH_OK)
		l->cut = true;
}

static void listed(struct http_ex *ex, struct vfs_req *req)
{
	struct dav_listing *l = listing_of(ex);

	if (req->status != GH_OK) {
		http_refuse(ex, req->status, req);
		vfs_req_free(&req);
		return;
	}
	l->page = req;
	answer(ex);
}

static void list_members(struct http_ex *ex)
{
	struct dav_listing *l = listing_of(ex);
	struct vfs_req *req;
	enum gh_status st;

	if (l->self->node.type != VFS_FOLDER || l->depth == DAV_DEPTH_0) {
		answer(ex); /* of a file Depth says nothing */
		return;
	}
	st = list_req(ex, "", &req);
	if (st != GH_OK)
		http_refuse(ex, st, NULL);
	else
		http_submit(ex, req, listed);
}

/* Without an answer the properties are not there; the rest is. */
static void quota_told(struct http_ex *ex, struct vfs_req *req)
{
	struct dav_listing *l = listing_of(ex);

	if (req->status == GH_OK) {
		l->ask.quota_known = true;
		l->ask.quota_used = req->quota_used;
		l->ask.quota_available = req->quota_available;
	}
	vfs_req_free(&req);
	list_members(ex);
}

static void found(struct http_ex *ex, struct vfs_req *req)
{
	struct dav_listing *l = listing_of(ex);
	struct vfs_req *quota;
	bool folder;

	if (req->status != GH_OK) {
		http_refuse(ex, req->status, req);
		vfs_req_free(&req);
		return;
	}
	l->self = req;
	folder = req->node.type == VFS_FOLDER;
	if (folder && (l->depth == DAV_DEPTH_ABSENT || l->depth == DAV_DEPTH_INFINITY))
		dav_error(ex, 403, "propfind-finite-depth", "ask with Depth 0 or 1");
	else if (folder && dav_ask_wants_quota(&l->ask) && http_req(ex, VFS_QUOTA, &quota) == GH_OK)
		http_submit(ex, quota, quota_told);
	else
		list_members(ex);
}

void dav_propfind(struct http_ex *ex)
{
	struct dav_state *s = ex->state;
	struct dav_listing *l = gh_alloc(ex->arena, sizeof(*l));
	enum gh_status st;
	struct vfs_req *req;
	struct dav_el *body;

	if (!dav_body(ex, &body))
		return;
	if (!l) {
		http_refuse(ex, GH_NOMEM, NULL);
		return;
	}
	gh_buf_init(&l->href, 3 * GH_PATH_MAX + 3 * GH_NAME_MAX + 64);
	gh_buf_init(&l->path, GH_PATH_MAX + GH_NAME_MAX + 64);
	gh_buf_init(&l->text, ENTRY_BYTES);
	s->listing = l;
	l->entries = PAGE_LEAST;
	l->depth = dav_depth(http_header(ex, "Depth"), &l->noroot);
	st = l->depth == DAV_DEPTH_BAD ? GH_INVALID : dav_ask_parse(ex->arena, body, &l->ask);
	if (st == GH_OK)
		st = http_req(ex, VFS_STAT, &req);
	if (st != GH_OK) {
		http_refuse(ex, st, NULL);
		return;
	}
	req->flags = dav_ask_flags(&l->ask);
	st = dav_cond(ex, req);
	if (st != GH_OK) {
		vfs_req_free(&req);
		http_refuse(ex, st, NULL);
		return;
	}
	http_submit(ex, req, found);
}
