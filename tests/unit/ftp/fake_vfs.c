/* See fake_vfs.h. */
#include "tests/unit/ftp/fake_vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NODES 4096
#define HELD 16

struct node {
	char *path;
	bool folder;
	char *data;
	size_t len;
	uint64_t id, version;
	int64_t mtime_us;
};

struct vfs_session {
	unsigned refs;
	char user[64];
};

struct vfs_work {
	struct vfs_req req; /* first: the one is the other */
	vfs_done_fn *done;
	void *door;
	bool held, detached;
};

struct vfs_content {
	char *data;
	size_t len;
	unsigned pulls;
};

struct vfs_upload {
	char path[256];
	unsigned flags;
	uint64_t offset;
	bool none_match;
	char *data;
	size_t len;
	unsigned pushes;
	struct vfs_session *session;
};

static struct {
	pthread_mutex_t lock;
	struct node nodes[NODES];
	unsigned node_count;
	uint64_t next_id;
	enum gh_status status[VFS_OP_COUNT];
	const char *message;
	bool hold[VFS_OP_COUNT], hold_streams;
	unsigned wait_every;
	size_t push_fails_after;
	enum gh_status push_status;
	bool give_fd, inline_too;
	size_t missing;
	struct vfs_work *held[HELD];
	unsigned held_count;
	void (*ready)(void *);
	void *ready_arg;
	unsigned live, lists;
	char log_verb[16];
	int log_code;
	uint64_t log_bytes;
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define LOCKED for (bool once_ = (pthread_mutex_lock(&fake.lock), true); once_; once_ = (pthread_mutex_unlock(&fake.lock), false))

/* ---- the test's hand ---- */

void fake_reset(void)
{
	LOCKED {
		for (unsigned i = 0; i < fake.node_count; i++) {
			free(fake.nodes[i].path);
			free(fake.nodes[i].data);
		}
		memset((char *)&fake + sizeof(fake.lock), 0, sizeof(fake) - sizeof(fake.lock));
		fake.push_fails_after = SIZE_MAX;
		fake.inline_too = true;
		fake.next_id = 1;
	}
	fake_folder("/");
}

void fake_status(enum vfs_op op, enum gh_status st, const char *message)
{
	LOCKED {
		fake.status[op] = st;
		fake.message = message;
	}
}

void fake_hold(enum vfs_op op, bool on)
{
	LOCKED fake.hold[op] = on;
}

void fake_hold_streams(bool on)
{
	LOCKED fake.hold_streams = on;
}

void fake_wait_every(unsigned n)
{
	LOCKED fake.wait_every = n;
}

void fake_push_fails(size_t after, enum gh_status st)
{
	LOCKED {
		fake.push_fails_after = after;
		fake.push_status = st;
	}
}

void fake_reading(bool give_fd, size_t missing, bool inline_too)
{
	LOCKED {
		fake.give_fd = give_fd;
		fake.missing = missing;
		fake.inline_too = inline_too;
	}
}

bool fake_wait_held(unsigned count)
{
	for (unsigned i = 0; i < 500; i++) {
		unsigned n = 0;

		LOCKED n = fake.held_count + (fake.ready != NULL);
		if (n >= count)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return false;
}

static enum gh_status work_run(struct vfs_work *w);

static void release(struct gh_task *t)
{
	struct vfs_work *held[HELD];
	unsigned n = 0;
	void (*ready)(void *) = NULL;
	void *arg = NULL;

	LOCKED {
		n = fake.held_count;
		memcpy(held, fake.held, sizeof(held));
		fake.held_count = 0;
		ready = fake.ready;
		arg = fake.ready_arg;
		fake.ready = NULL;
	}
	for (unsigned i = 0; i < n; i++) {
		struct vfs_work *w = held[i];
		struct vfs_req *req = &w->req;

		LOCKED req->status = work_run(w);
		w->held = false;
		if (w->detached)
			vfs_req_free(&req);
		else
			w->done(req, w->door);
	}
	if (ready)
		ready(arg);
	free(t);
}

void fake_release(struct gh_loop *l)
{
	struct gh_task *t = calloc(1, sizeof(*t));

	t->fn = release;
	gh_loop_post(l, t);
}

unsigned fake_live(void)
{
	unsigned n = 0;

	LOCKED n = fake.live;
	return n;
}

unsigned fake_lists(void)
{
	unsigned n = 0;

	LOCKED n = fake.lists;
	return n;
}

void fake_last_log(char *verb, size_t size, int *code, uint64_t *bytes)
{
	LOCKED {
		strncpy(verb, fake.log_verb, size - 1);
		verb[size - 1] = '\0';
		*code = fake.log_code;
		*bytes = fake.log_bytes;
	}
}

/* ---- files ---- */

static struct node *find(const char *path)
{
	for (unsigned i = 0; i < fake.node_count; i++)
		if (fake.nodes[i].path && !strcmp(fake.nodes[i].path, path))
			return &fake.nodes[i];
	return NULL;
}

static bool is_child(const char *path, const char *of)
{
	size_t n = strcmp(of, "/") ? strlen(of) : 0;

	return strcmp(path, "/") != 0 && !strncmp(path, of, n) && path[n] == '/' && !strchr(path + n + 1, '/');
}

static struct node *put(const char *path, bool folder, const void *data, size_t len)
{
	struct node *n = find(path);

	if (!n) {
		GH_ASSERT(fake.node_count < NODES);
		n = &fake.nodes[fake.node_count++];
		n->path = strdup(path);
		n->id = fake.next_id++;
	}
	free(n->data);
	n->folder = folder;
	n->data = malloc(len + 1);
	if (len)
		memcpy(n->data, data, len);
	n->len = len;
	n->version = fake.next_id++;
	n->mtime_us = 1700000000000000;
	return n;
}

static void drop(struct node *n)
{
	free(n->path);
	n->path = NULL;
}

void fake_file(const char *path, const void *data, size_t len)
{
	LOCKED put(path, false, data, len);
}

void fake_folder(const char *path)
{
	LOCKED put(path, true, NULL, 0);
}

bool fake_is(const char *path, const void *data, size_t len)
{
	bool is = false;

	LOCKED {
		struct node *n = find(path);

		is = n && !n->folder && n->len == len && !memcmp(n->data, data, len);
	}
	return is;
}

bool fake_exists(const char *path)
{
	bool is = false;

	LOCKED is = find(path) != NULL;
	return is;
}

/* ---- operations; under the lock ---- */

static void show(const struct node *n, struct vfs_node *ret, struct gh_arena *a)
{
	const char *name = gh_strdup(a, strrchr(n->path, '/') + 1);

	*ret = (struct vfs_node){ .id = n->id, .version = n->folder ? 0 : n->version,
				  .type = n->folder ? VFS_FOLDER : VFS_FILE, .name = name,
				  .name_len = (uint16_t)strlen(name), .size = n->len, .mtime_us = n->mtime_us,
				  .rights = ACL_FULL };
}

static enum gh_status op_list(struct vfs_req *r, const struct node *n)
{
	unsigned limit = r->limit ? r->limit : 1000, from = (unsigned)strtoul(r->after, NULL, 10), i;

	fake.lists++;
	if (!n->folder)
		return GH_NOTDIR;
	r->nodes = gh_alloc_array(r->arena, limit, sizeof(*r->nodes));
	for (i = from; i < fake.node_count && r->node_count < limit; i++)
		if (fake.nodes[i].path && is_child(fake.nodes[i].path, n->path))
			show(&fake.nodes[i], &r->nodes[r->node_count++], r->arena);
	if (i < fake.node_count)
		r->next_after = gh_printf(r->arena, "%u", i);
	return GH_OK;
}

static enum gh_status op_read(struct vfs_req *r, const struct node *n)
{
	if (n->folder)
		return GH_ISDIR;
	if (fake.inline_too && n->len <= r->inline_max) {
		r->data = gh_memdup(r->arena, n->data, n->len + 1);
		r->data_len = n->len;
	}
	r->content = calloc(1, sizeof(*r->content));
	r->content->data = malloc(n->len + 1);
	memcpy(r->content->data, n->data, n->len);
	r->content->len = n->len;
	fake.live++;
	return GH_OK;
}

static enum gh_status op_begin(struct vfs_req *r, const struct node *n)
{
	struct vfs_upload *u;

	if (n && n->folder)
		return GH_ISDIR;
	if (r->flags & VFS_KEEP_HEAD && r->offset > (n ? n->len : 0))
		return GH_RANGE;
	u = calloc(1, sizeof(*u));
	strncpy(u->path, r->path->text, sizeof(u->path) - 1);
	u->flags = r->flags;
	u->offset = r->offset;
	u->none_match = r->cond && r->cond->if_none_match.any;
	if (u->none_match && n) {
		free(u);
		return GH_PRECONDITION;
	}
	r->upload = u;
	fake.live++;
	return GH_OK;
}

static void upload_free(struct vfs_upload *u)
{
	free(u->data);
	free(u);
	fake.live--;
}

static enum gh_status op_commit(struct vfs_req *r)
{
	struct vfs_upload *u = r->upload;
	struct node *n = find(u->path);
	size_t keep = !n ? 0 : u->flags & VFS_APPEND ? n->len : u->flags & VFS_KEEP_HEAD ? (size_t)u->offset : 0;
	char *all = malloc(keep + u->len + 1);

	if (keep)
		memcpy(all, n->data, keep);
	if (u->len)
		memcpy(all + keep, u->data, u->len);
	r->created = !n;
	n = put(u->path, false, all, keep + u->len);
	show(n, &r->node, r->arena);
	free(all);
	r->upload = NULL;
	upload_free(u);
	return GH_OK;
}

static enum gh_status op_move(struct vfs_req *r, struct node *n)
{
	struct node *to = find(r->dest->text);
	const struct vfs_cond *c = r->cond;

	if (to && r->flags & VFS_NO_OVERWRITE)
		return GH_PRECONDITION;
	if (c && c->list_count == 1 && (!to || to->version != c->lists[0].conds[0].version))
		return GH_PRECONDITION;
	if (to && to != n)
		drop(to);
	free(n->path);
	n->path = strdup(r->dest->text);
	return GH_OK;
}

static enum gh_status op_remove(struct vfs_req *r, struct node *n)
{
	if (r->flags & VFS_ONLY_FILE && n->folder)
		return GH_ISDIR;
	if (r->flags & VFS_ONLY_FOLDER && !n->folder)
		return GH_NOTDIR;
	if (n->folder)
		for (unsigned i = 0; i < fake.node_count; i++)
			if (fake.nodes[i].path && is_child(fake.nodes[i].path, n->path))
				return GH_NOTEMPTY;
	drop(n);
	return GH_OK;
}

static enum gh_status op_login(struct vfs_req *r)
{
	struct vfs_session *s;

	if (strcmp(r->password, "right") != 0)
		return GH_UNAUTH;
	s = calloc(1, sizeof(*s));
	s->refs = 1;
	strncpy(s->user, r->user, sizeof(s->user) - 1);
	fake.live++;
	r->new_session = s;
	return GH_OK;
}

static enum gh_status work_run(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct node *n = r->path ? find(r->path->text) : NULL;

	if (fake.status[r->op] != GH_OK) {
		r->message = fake.message;
		r->blocker = fake.message;
		if (r->op == VFS_WRITE_COMMIT) {
			upload_free(r->upload);
			r->upload = NULL;
		}
		return fake.status[r->op];
	}
	switch (r->op) {
	case VFS_LOGIN:
		return op_login(r);
	case VFS_WRITE_BEGIN:
		return op_begin(r, n);
	case VFS_WRITE_COMMIT:
		return op_commit(r);
	case VFS_MKDIR:
		if (n)
			return GH_EXISTS;
		put(r->path->text, true, NULL, 0);
		return GH_OK;
	default:
		break;
	}
	if (!n)
		return GH_NOTFOUND;
	switch (r->op) {
	case VFS_STAT:
		show(n, &r->node, r->arena);
		return r->flags & VFS_ONLY_FOLDER && !n->folder ? GH_NOTDIR : GH_OK;
	case VFS_LIST:
		return op_list(r, n);
	case VFS_READ:
		return op_read(r, n);
	case VFS_MOVE:
		return op_move(r, n);
	case VFS_REMOVE:
		return op_remove(r, n);
	case VFS_SET_TIMES:
		n->mtime_us = r->mtime_us;
		return GH_OK;
	default:
		return GH_UNSUPPORTED;
	}
}

/* ---- core/vfs.h ---- */

struct vfs_session *vfs_session_ref(struct vfs_session *s)
{
	LOCKED s->refs++;
	return s;
}

void vfs_session_unref(struct vfs_session **s)
{
	LOCKED {
		if (*s && !--(*s)->refs) {
			free(*s);
			fake.live--;
		}
	}
	*s = NULL;
}

const char *vfs_session_user(const struct vfs_session *s)
{
	return s->user;
}

const char *vfs_session_tenant(const struct vfs_session *s)
{
	return "default";
}

struct vfs_req *vfs_req_new(struct gh_core *core, struct gh_loop *loop, enum vfs_op op, enum vfs_proto proto,
			    struct vfs_session *session)
{
	struct gh_arena *a = gh_arena_new(4 << 20);
	struct vfs_work *w = gh_alloc(a, sizeof(*w));

	w->req = (struct vfs_req){ .arena = a, .core = core, .loop = loop, .op = op, .proto = proto, .work = w,
				   .session = session ? vfs_session_ref(session) : NULL, .after = "" };
	LOCKED fake.live++;
	return &w->req;
}

void vfs_req_free(struct vfs_req **req)
{
	struct vfs_work *w = (struct vfs_work *)*req;
	struct gh_arena *a;

	*req = NULL;
	if (!w)
		return;
	if (w->held) {
		w->detached = true;
		return;
	}
	vfs_content_free(&w->req.content);
	vfs_upload_abort(&w->req.upload);
	vfs_session_unref(&w->req.new_session);
	vfs_session_unref(&w->req.session);
	a = w->req.arena;
	gh_arena_free(&a);
	LOCKED fake.live--;
}

enum gh_status vfs_req_path(struct vfs_req *req, const char *bytes, size_t len, unsigned flags)
{
	const struct gh_name_rule rule = { .case_sensitive = true };

	return gh_path_parse(req->arena, bytes, len, flags, &rule, &req->path);
}

enum gh_status vfs_req_dest(struct vfs_req *req, const char *bytes, size_t len, unsigned flags)
{
	const struct gh_name_rule rule = { .case_sensitive = true };

	return gh_path_parse(req->arena, bytes, len, flags, &rule, &req->dest);
}

enum vfs_submitted vfs_submit(struct vfs_req *req, vfs_done_fn *done, void *door)
{
	struct vfs_work *w = (struct vfs_work *)req;

	LOCKED {
		w->held = fake.hold[req->op];
		if (w->held) {
			GH_ASSERT(fake.held_count < HELD);
			w->done = done;
			w->door = door;
			fake.held[fake.held_count++] = w;
		} else {
			req->status = work_run(w);
		}
	}
	return w->held ? VFS_PENDING : VFS_DONE;
}

void vfs_req_log(struct vfs_req *req, const char *verb, int reply_code, uint64_t bytes)
{
	LOCKED {
		strncpy(fake.log_verb, verb, sizeof(fake.log_verb) - 1);
		fake.log_code = reply_code;
		fake.log_bytes = bytes;
	}
}

void vfs_content_take(struct vfs_req *req, struct vfs_content **ret)
{
	*ret = req->content;
	req->content = NULL;
}

void vfs_content_free(struct vfs_content **c)
{
	LOCKED {
		if (*c) {
			free((*c)->data);
			free(*c);
			fake.live--;
			fake.ready = NULL;
		}
	}
	*c = NULL;
}

uint64_t vfs_content_size(const struct vfs_content *c)
{
	return c->len;
}

bool vfs_content_fd(struct vfs_content *c, uint64_t offset, uint64_t length, int *ret_fd, uint64_t *ret_offset)
{
	bool give = false;

	LOCKED give = fake.give_fd;
	if (!give)
		return false;
	*ret_fd = memfd_create("content", MFD_CLOEXEC);
	/* Somewhere inside a larger file. */
	GH_ASSERT(pwrite(*ret_fd, c->data, c->len - fake.missing, 1000) == (ssize_t)(c->len - fake.missing));
	*ret_offset = 1000 + offset;
	return true;
}

/* One stream at a time is late in these tests. */
static bool late(unsigned *calls, struct gh_loop *l, void (*ready)(void *), void *arg)
{
	bool hold = fake.hold_streams;

	if (!hold && (!fake.wait_every || ++*calls % fake.wait_every))
		return false;
	fake.ready = ready;
	fake.ready_arg = arg;
	if (!hold && l)
		fake_release(l);
	return true;
}

static struct gh_loop *the_loop;
void fake_loop(struct gh_loop *l)
{
	the_loop = l;
}

enum gh_status vfs_content_pull(struct vfs_content *c, uint64_t offset, void *buf, size_t cap, size_t *ret_n,
				void (*ready)(void *arg), void *arg)
{
	enum gh_status st = GH_OK;

	LOCKED {
		size_t there = c->len - fake.missing;

		if (late(&c->pulls, the_loop, ready, arg)) {
			st = GH_WAIT;
		} else if (offset >= there) {
			st = GH_END;
		} else {
			*ret_n = there - offset < cap ? (size_t)(there - offset) : cap;
			memcpy(buf, c->data + offset, *ret_n);
		}
	}
	return st;
}

void vfs_upload_take(struct vfs_req *req, struct vfs_upload **ret)
{
	*ret = req->upload;
	req->upload = NULL;
}

enum gh_status vfs_upload_push(struct vfs_upload *u, const void *data, size_t len, void (*ready)(void *arg), void *arg)
{
	enum gh_status st = GH_OK;

	LOCKED {
		if (u->len + len > fake.push_fails_after) {
			st = fake.push_status;
		} else if (late(&u->pushes, the_loop, ready, arg)) {
			st = GH_WAIT;
		} else {
			u->data = realloc(u->data, u->len + len);
			memcpy(u->data + u->len, data, len);
			u->len += len;
		}
	}
	return st;
}

void vfs_upload_abort(struct vfs_upload **u)
{
	LOCKED {
		if (*u) {
			upload_free(*u);
			fake.ready = NULL;
		}
	}
	*u = NULL;
}

uint64_t vfs_peer_prefix(const struct sockaddr *sa)
{
	return 1;
}
