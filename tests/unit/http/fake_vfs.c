/* See fake_vfs.h. Everything but the counters belongs to the one loop's thread. */
#include "tests/unit/http/fake_vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/fe_api.h"

struct fake_file {
	struct fake_file *next; /* sorted by path */
	char *path;
	bool folder;
	char *data;
	size_t len;
	uint64_t version;
	int64_t mtime_us;
};

struct vfs_session {
	struct gh_core *core;
	atomic_uint refs;
	struct gh_name_rule rule;
};

struct vfs_work {
	struct vfs_req req;
	vfs_done_fn *done;
	void *door;
	struct gh_timer timer;
	bool pending, detached;
};

struct vfs_content {
	struct gh_core *core;
	struct gh_loop *loop;
	char *data;
	size_t len;
	uint64_t version;
	struct gh_timer timer;
	bool ready;
	void (*fn)(void *arg);
	void *arg;
};

struct vfs_upload {
	struct gh_core *core;
	struct gh_loop *loop;
	char *path;
	uint64_t declared;
	int64_t mtime_us;
	char *data;
	size_t len;
	struct gh_timer timer;
	bool waited;
	void (*fn)(void *arg);
	void *arg;
};

/* The rows themselves are the core's. */
const struct vfs_op_row vfs_ops[VFS_OP_COUNT] = {
#define X(sym, name, class, path, parent, dest, destparent, services, mutates, fast) \
	[VFS_##sym] = { name, class, path, parent, dest, destparent, services, mutates, fast },
#include "core/ops.tbl.h"
#undef X
};

/* ---- the store ---- */

static struct fake_file *find(struct gh_core *c, const char *path)
{
	struct fake_file *f = c->files;

	while (f && strcmp(f->path, path))
		f = f->next;
	return f;
}

uint64_t fake_put(struct gh_core *c, const char *path, const void *data, size_t len, int64_t mtime_us)
{
	struct fake_file *f = find(c, path), **at = &c->files;

	if (!f) {
		while (*at && strcmp((*at)->path, path) < 0)
			at = &(*at)->next;
		f = calloc(1, sizeof(*f));
		f->path = strdup(path);
		f->next = *at;
		*at = f;
	}
	free(f->data);
	f->folder = !data;
	f->data = malloc(len + 1);
	if (len)
		memcpy(f->data, data, len);
	f->len = len;
	f->mtime_us = mtime_us;
	f->version = f->folder ? 0 : ++c->next_version;
	return f->version;
}

const char *fake_get(struct gh_core *c, const char *path, size_t *ret_len)
{
	struct fake_file *f = find(c, path);

	if (!f || f->folder)
		return NULL;
	*ret_len = f->len;
	return f->data;
}

struct gh_core *fake_new(void)
{
	struct gh_core *c = calloc(1, sizeof(*c));

	fake_put(c, "/", NULL, 0, 0);
	return c;
}

void fake_free(struct gh_core *c)
{
	while (c->files) {
		struct fake_file *f = c->files;

		c->files = f->next;
		free(f->path);
		free(f->data);
		free(f);
	}
	free(c);
}

static void remove_tree(struct gh_core *c, const char *path)
{
	size_t len = strlen(path);

	for (struct fake_file **at = &c->files; *at;) {
		struct fake_file *f = *at;

		if (strncmp(f->path, path, len) || (f->path[len] && f->path[len] != '/')) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		free(f->path);
		free(f->data);
		free(f);
	}
}

static void show(struct vfs_node *n, struct gh_arena *a, const struct fake_file *f)
{
	const char *slash = strrchr(f->path, '/');

	*n = (struct vfs_node){ .id = (uint64_t)(uintptr_t)f, .version = f->version, .size = f->len,
				.type = f->folder ? VFS_FOLDER : VFS_FILE, .mtime_us = f->mtime_us,
				.made_us = f->mtime_us, .rights = ACL_FULL };
	n->name = gh_strdup(a, slash + 1);
	n->name_len = (uint16_t)strlen(n->name);
}

/* ---- sessions ---- */

struct vfs_session *vfs_session_ref(struct vfs_session *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void vfs_session_unref(struct vfs_session **sp)
{
	struct vfs_session *s = *sp;

	*sp = NULL;
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	atomic_fetch_sub(&s->core->sessions, 1);
	free(s);
}

bool vfs_host_known(struct gh_core *core, const char *host)
{
	(void)core;
	(void)host;
	return true;
}

void vfs_session_over(struct vfs_session *s)
{
}

bool vfs_session_limited(const struct vfs_session *s)
{
	return false;
}

const struct gh_name_rule *vfs_session_rule(const struct vfs_session *s)
{
	return &s->rule;
}

static enum gh_status do_login(struct vfs_req *r)
{
	struct vfs_session *s;

	if (strcmp(r->user, "ann") || strcmp(r->password, "secret"))
		return GH_UNAUTH;
	s = calloc(1, sizeof(*s));
	s->core = r->core;
	s->refs = 1;
	atomic_fetch_add(&r->core->sessions, 1);
	r->new_session = s;
	return GH_OK;
}

/* ---- operations ---- */

static bool tag_matches(const struct vfs_etags *e, const struct fake_file *f)
{
	if (!f)
		return false;
	for (unsigned i = 0; i < e->count; i++)
		if (e->versions[i] == f->version)
			return true;
	return e->any;
}

static enum gh_status check_cond(const struct vfs_req *r, const struct fake_file *f)
{
	const struct vfs_cond *c = r->cond;

	if (!c)
		return GH_OK;
	if (c->if_match.present && !tag_matches(&c->if_match, f))
		return GH_PRECONDITION;
	if (c->unmodified_since_us && f && f->mtime_us / GH_S_US > c->unmodified_since_us / GH_S_US)
		return GH_PRECONDITION;
	if (c->if_none_match.present && tag_matches(&c->if_none_match, f))
		return r->op == VFS_READ ? GH_NOTMODIFIED : GH_PRECONDITION;
	if (c->modified_since_us && f && f->mtime_us / GH_S_US <= c->modified_since_us / GH_S_US)
		return GH_NOTMODIFIED;
	return GH_OK;
}

static enum gh_status do_read(struct vfs_req *r)
{
	struct fake_file *f = find(r->core, r->path->text);
	enum gh_status st;

	if (!f)
		return GH_NOTFOUND;
	show(&r->node, r->arena, f);
	if (f->folder)
		return GH_ISDIR;
	st = check_cond(r, f);
	if (st != GH_OK)
		return st;
	r->content = calloc(1, sizeof(*r->content));
	*r->content = (struct vfs_content){ .core = r->core, .loop = r->loop, .len = f->len, .version = f->version };
	atomic_fetch_add(&r->core->contents, 1);
	r->content->data = malloc(f->len + 1);
	memcpy(r->content->data, f->data, f->len);
	if (f->len <= r->inline_max) {
		r->data = gh_memdup(r->arena, f->data, f->len);
		r->data_len = f->len;
	}
	return GH_OK;
}

static enum gh_status do_list(struct vfs_req *r)
{
	struct fake_file *folder = find(r->core, r->path->text);
	size_t len = r->path->depth ? r->path->text_len : 0;
	unsigned limit = r->core->page ? r->core->page : r->limit ? r->limit : 1000;
	const char *last = NULL;

	if (!folder)
		return GH_NOTFOUND;
	if (!folder->folder)
		return GH_NOTDIR;
	if (limit > r->limit && r->limit)
		limit = r->limit;
	r->nodes = gh_alloc_array(r->arena, limit + 1, sizeof(*r->nodes));
	for (struct fake_file *f = r->core->files; f; f = f->next) {
		const char *name = f->path + len + 1;

		if (strncmp(f->path, folder->path, len) || f->path[len] != '/' || !*name || strchr(name, '/') ||
		    strcmp(name, r->after) <= 0)
			continue;
		if (r->node_count == limit) {
			r->next_after = last;
			break;
		}
		show(&r->nodes[r->node_count], r->arena, f);
		last = r->nodes[r->node_count++].name;
	}
	return GH_OK;
}

static enum gh_status do_begin(struct vfs_req *r)
{
	struct fake_file *f = find(r->core, r->path->text);
	struct vfs_upload *u;
	enum gh_status st = check_cond(r, f);

	if (f && f->folder)
		return GH_ISDIR;
	if (st != GH_OK)
		return st;
	u = r->upload = calloc(1, sizeof(*u));
	*u = (struct vfs_upload){ .core = r->core, .loop = r->loop, .path = strdup(r->path->text),
				  .declared = r->declared, .mtime_us = r->mtime_us };
	atomic_fetch_add(&r->core->uploads, 1);
	return GH_OK;
}

static enum gh_status do_commit(struct vfs_req *r)
{
	struct vfs_upload *u = r->upload;
	enum gh_status st = GH_OK;

	r->created = !find(r->core, u->path);
	if (u->declared != UINT64_MAX && u->declared != u->len)
		st = GH_SHORT;
	if (st == GH_OK) {
		fake_put(r->core, u->path, u->data ? u->data : "", u->len,
			 u->mtime_us != INT64_MIN ? u->mtime_us : gh_real_us());
		show(&r->node, r->arena, find(r->core, u->path));
	}
	vfs_upload_abort(&r->upload);
	atomic_fetch_sub(&r->core->aborted, 1); /* that was none */
	return st;
}

static void cursor_write(char *out, unsigned n)
{
	snprintf(out, VFS_CURSOR_LEN + 1, "%0*u", VFS_CURSOR_LEN, n);
}

static enum gh_status do_events(struct vfs_req *r)
{
	const unsigned limit = r->limit, all = r->core->feed_count;
	const unsigned from = *r->cursor ? (unsigned)strtoul(r->cursor, NULL, 10) : all;
	struct vfs_feed_item *items;
	const struct vfs_feed_item **row;
	unsigned n = from < all ? all - from : 0;

	if (from > all)
		return GH_NOTFOUND;
	n = n < limit ? n : limit;
	items = gh_alloc_array(r->arena, n + 1, sizeof(*items));
	row = gh_alloc_array(r->arena, n + 1, sizeof(*row));
	for (unsigned i = 0; i < n; i++) {
		items[i] = (struct vfs_feed_item){ i % 2 ? VFS_FEED_MOVED : VFS_FEED_CREATED, gh_printf(r->arena, "/e%u", from + i),
						   i % 2 ? "/q\"" : NULL, i % 2 ? 7 : 0, 1700000000123456, "" };
		cursor_write(items[i].cursor, from + i + 1);
		row[i] = &items[i];
	}
	r->runs = gh_alloc(r->arena, sizeof(*r->runs));
	*r->runs = (struct vfs_feed_run){ row, n };
	r->run_count = n > 0;
	r->feed_count = n;
	cursor_write(r->feed_next, from + n);
	cursor_write(r->feed_oldest, 0);
	cursor_write(r->feed_newest, all);
	return GH_OK;
}

static enum gh_status run(struct vfs_req *r)
{
	struct fake_file *f;

	if (r->core->fail[r->op] != GH_OK) {
		r->message = r->core->message;
		r->blocker = "bob";
		r->blocker_path = "/x";
		r->retry_after_s = r->core->fail[r->op] == GH_OFF ? 17 : 0;
		return r->core->fail[r->op];
	}
	if (r->core->fail_after[r->op] && atomic_load(&r->core->submitted[r->op]) > r->core->fail_after[r->op])
		return GH_IO;
	if (gh_arena_overflowed(r->arena))
		return GH_NOMEM;
	switch (r->op) {
	case VFS_LOGIN:
		return do_login(r);
	case VFS_STAT:
		f = find(r->core, r->path->text);
		if (f)
			show(&r->node, r->arena, f);
		return f ? GH_OK : GH_NOTFOUND;
	case VFS_LIST:
		return do_list(r);
	case VFS_READ:
		return do_read(r);
	case VFS_WRITE_BEGIN:
		return do_begin(r);
	case VFS_WRITE_COMMIT:
		return do_commit(r);
	case VFS_REMOVE:
		f = find(r->core, r->path->text);
		if (!f)
			return GH_NOTFOUND;
		if (check_cond(r, f) != GH_OK)
			return GH_PRECONDITION;
		remove_tree(r->core, r->path->text);
		return GH_OK;
	case VFS_EVENTS:
		return do_events(r);
	default:
		return GH_UNSUPPORTED;
	}
}

/* ---- requests ---- */

struct vfs_req *vfs_req_new(struct gh_core *core, struct gh_loop *loop, enum vfs_op op, enum vfs_proto proto,
			    struct vfs_session *session)
{
	struct vfs_work *w = calloc(1, sizeof(*w));

	w->req = (struct vfs_req){ .arena = gh_arena_new(4 << 20), .core = core, .loop = loop, .op = op,
				   .proto = proto, .length = UINT64_MAX, .declared = UINT64_MAX,
				   .mtime_us = INT64_MIN, .after = "", .work = w };
	if (session)
		w->req.session = vfs_session_ref(session);
	atomic_fetch_add(&core->reqs, 1);
	return &w->req;
}

static void destroy(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;

	vfs_content_free(&r->content);
	vfs_upload_abort(&r->upload);
	vfs_session_unref(&r->new_session);
	vfs_session_unref(&r->session);
	gh_arena_free(&r->arena);
	atomic_fetch_sub(&r->core->reqs, 1);
	free(w);
}

void vfs_req_free(struct vfs_req **rp)
{
	struct vfs_req *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	if (r->work->pending) {
		r->work->detached = true;
		atomic_fetch_add(&r->core->detached, 1);
		return;
	}
	destroy(r->work);
}

enum gh_status vfs_req_path(struct vfs_req *r, const char *bytes, size_t len, unsigned flags)
{
	return gh_path_parse(r->arena, bytes, len, flags, vfs_session_rule(r->session), &r->path);
}

static void due(struct gh_timer *t, void *arg)
{
	struct vfs_work *w = arg;

	w->pending = false;
	w->req.status = run(&w->req);
	if (w->detached)
		destroy(w);
	else
		w->done(&w->req, w->door);
}

enum vfs_submitted vfs_submit(struct vfs_req *r, vfs_done_fn *done, void *door)
{
	struct vfs_work *w = r->work;

	atomic_fetch_add(&r->core->submitted[r->op], 1);
	if (!r->core->delay_ms[r->op]) {
		r->status = run(r);
		return VFS_DONE;
	}
	w->done = done;
	w->door = door;
	w->pending = true;
	gh_timer_init(&w->timer, due, w);
	gh_timer_set(&w->timer, r->loop, r->core->delay_ms[r->op]);
	return VFS_PENDING;
}

struct vfs_watch {
	struct gh_core *core;
	struct gh_timer timer;
	void (*ready)(void *arg);
	void *arg;
};

static void watch_due(struct gh_timer *t, void *arg)
{
	struct vfs_watch *w = arg;

	w->core->feed_count++;
	w->ready(w->arg);
}

enum gh_status vfs_watch_begin(struct gh_core *core, struct gh_loop *loop, struct vfs_session *s, const char *cursor,
			       void (*ready)(void *arg), void *arg, struct vfs_watch **ret)
{
	struct vfs_watch *w = calloc(1, sizeof(*w));

	*w = (struct vfs_watch){ .core = core, .ready = ready, .arg = arg };
	gh_timer_init(&w->timer, watch_due, w);
	if (core->feed_wakes_ms)
		gh_timer_set(&w->timer, loop, core->feed_wakes_ms);
	atomic_fetch_add(&core->watches, 1);
	*ret = w;
	return GH_OK;
}

void vfs_watch_end(struct vfs_watch **w)
{
	if (*w) {
		gh_timer_cancel(&(*w)->timer);
		atomic_fetch_sub(&(*w)->core->watches, 1);
	}
	free(*w);
	*w = NULL;
}

void vfs_count_sent(struct gh_core *core, const struct vfs_session *s, enum vfs_proto p, uint64_t bytes)
{
}

void vfs_req_log(struct vfs_req *req, const char *verb, int reply_code, uint64_t bytes)
{
}

/* ---- content ---- */

void vfs_content_take(struct vfs_req *req, struct vfs_content **ret)
{
	*ret = req->content;
	req->content = NULL;
}

void vfs_content_free(struct vfs_content **cp)
{
	struct vfs_content *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	gh_timer_cancel(&c->timer);
	atomic_fetch_sub(&c->core->contents, 1);
	free(c->data);
	free(c);
}

bool vfs_content_fd(struct vfs_content *c, uint64_t offset, uint64_t length, int *ret_fd, uint64_t *ret_offset)
{
	int fd = c->core->content_by_fd ? memfd_create("content", MFD_CLOEXEC) : -1;

	if (fd < 0)
		return false;
	if (pwrite(fd, c->data, c->len, 7) != (ssize_t)c->len)
		abort();
	*ret_fd = fd;
	*ret_offset = offset + 7;
	return true;
}

static void window_due(struct gh_timer *t, void *arg)
{
	struct vfs_content *c = arg;

	c->ready = true;
	c->fn(c->arg);
}

enum gh_status vfs_content_pull(struct vfs_content *c, uint64_t offset, void *buf, size_t cap, size_t *ret_n,
				void (*ready)(void *arg), void *arg)
{
	size_t n = offset < c->len ? c->len - offset : 0;

	if (!n)
		return GH_END;
	if (c->core->damage_at && offset >= c->core->damage_at)
		return GH_DAMAGED;
	if (c->core->pull_wait_ms && !c->ready) {
		c->fn = ready;
		c->arg = arg;
		gh_timer_init(&c->timer, window_due, c);
		gh_timer_set(&c->timer, c->loop, c->core->pull_wait_ms);
		return GH_WAIT;
	}
	c->ready = false;
	if (n > cap)
		n = cap;
	memcpy(buf, c->data + offset, n);
	*ret_n = n;
	return GH_OK;
}

/* ---- uploads ---- */

void vfs_upload_take(struct vfs_req *req, struct vfs_upload **ret)
{
	*ret = req->upload;
	req->upload = NULL;
}

static void push_due(struct gh_timer *t, void *arg)
{
	struct vfs_upload *u = arg;

	u->fn(u->arg);
}

enum gh_status vfs_upload_push(struct vfs_upload *u, const void *data, size_t len, void (*ready)(void *arg), void *arg)
{
	struct gh_core *c = u->core;

	if (c->push_fail != GH_OK)
		return c->push_fail;
	if (u->declared != UINT64_MAX && u->len + len > u->declared)
		return GH_TOOLARGE;
	if (c->push_wait_every && !u->waited && ++c->pushes % c->push_wait_every == 0) {
		u->waited = true;
		u->fn = ready;
		u->arg = arg;
		gh_timer_init(&u->timer, push_due, u);
		gh_timer_set(&u->timer, u->loop, 5);
		return GH_WAIT;
	}
	u->waited = false;
	u->data = realloc(u->data, u->len + len + 1);
	memcpy(u->data + u->len, data, len);
	u->len += len;
	return GH_OK;
}

struct vfs_req *vfs_upload_refused(struct vfs_upload *u, enum gh_status st)
{
	(void)u;
	(void)st;
	return NULL;
}

void vfs_upload_abort(struct vfs_upload **up)
{
	struct vfs_upload *u = *up;

	*up = NULL;
	if (!u)
		return;
	gh_timer_cancel(&u->timer);
	atomic_fetch_add(&u->core->aborted, 1);
	atomic_fetch_sub(&u->core->uploads, 1);
	free(u->path);
	free(u->data);
	free(u);
}

/* ---- small things ---- */

void vfs_etag(char *out, uint64_t version)
{
	snprintf(out, 20, "\"%016llx\"", (unsigned long long)version);
}

const char *vfs_content_type(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (dot && !strcmp(dot, ".html"))
		return "text/html";
	return dot && !strcmp(dot, ".txt") ? "text/plain" : "application/octet-stream";
}

uint64_t vfs_peer_prefix(const struct sockaddr *sa)
{
	return 1;
}

/* Everything about the switchboard and the register is in tests/unit/fake_live.c. */

const char *vfs_class_name(enum vfs_class c)
{
	return "?";
}

const char *vfs_upload_path(const struct vfs_upload *u)
{
	return "/?";
}
