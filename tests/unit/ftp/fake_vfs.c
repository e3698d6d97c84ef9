/* See fake_vfs.h. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/fe_api.h"
#include "tests/unit/ftp/fake_inner.h"

struct fake fake = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- the test's hand ---- */

void fake_reset(void)
{
	LOCKED
	{
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
	LOCKED
	{
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
	LOCKED
	{
		fake.push_fails_after = after;
		fake.push_status = st;
	}
}

void fake_reading(bool give_fd, size_t missing, bool inline_too)
{
	LOCKED
	{
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

static void release(struct gh_task *t)
{
	struct vfs_work *held[HELD];
	unsigned n = 0;
	void (*ready)(void *) = NULL;
	void *arg = NULL;

	LOCKED
	{
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

		LOCKED req->status = fake_run(w);
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
	LOCKED
	{
		strncpy(verb, fake.log_verb, size - 1);
		verb[size - 1] = '\0';
		*code = fake.log_code;
		*bytes = fake.log_bytes;
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
	LOCKED
	{
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

	w->req = (struct vfs_req){ .arena = a,
				   .core = core,
				   .loop = loop,
				   .op = op,
				   .proto = proto,
				   .work = w,
				   .session = session ? vfs_session_ref(session) : NULL,
				   .after = "" };
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

	LOCKED
	{
		w->held = fake.hold[req->op];
		if (w->held) {
			GH_ASSERT(fake.held_count < HELD);
			w->done = done;
			w->door = door;
			fake.held[fake.held_count++] = w;
		} else {
			req->status = fake_run(w);
		}
	}
	return w->held ? VFS_PENDING : VFS_DONE;
}

void vfs_count_sent(struct gh_core *core, const struct vfs_session *s, enum vfs_proto p, uint64_t bytes)
{
	(void)core;
	(void)s;
	(void)p;
	(void)bytes;
}

void vfs_req_log(struct vfs_req *req, const char *verb, int reply_code, uint64_t bytes)
{
	LOCKED
	{
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
	LOCKED
	{
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

enum gh_status vfs_content_offer(struct vfs_content *c, uint64_t want, uint64_t *ret_n, void (*ready)(void *arg), void *arg)
{
	*ret_n = want;
	return GH_OK;
}

void vfs_content_moved(struct vfs_content *c, uint64_t offered, uint64_t moved)
{
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

	LOCKED
	{
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

	LOCKED
	{
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

struct vfs_req *vfs_upload_refused(struct vfs_upload *u, enum gh_status st)
{
	(void)u;
	(void)st;
	return NULL;
}

void vfs_upload_abort(struct vfs_upload **u)
{
	LOCKED
	{
		if (*u) {
			fake_upload_free(*u);
			fake.ready = NULL;
		}
	}
	*u = NULL;
}

uint64_t vfs_peer_prefix(const struct sockaddr *sa)
{
	return 1;
}

const struct vfs_op_row vfs_ops[VFS_OP_COUNT] = {
#define X(sym, name, class, path, parent, dest, destparent, services, mutates, fast) [VFS_##sym] = { name, class, 0, 0, 0, 0, 0, mutates, fast },
#include "core/ops.tbl.h"
#undef X
};

/* Everything about the switchboard and the register is in tests/unit/fake_live.c. */

const char *vfs_class_name(enum vfs_class c)
{
	return "?";
}

const char *vfs_upload_path(const struct vfs_upload *u)
{
	return "/?";
}
