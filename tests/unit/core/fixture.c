/* See fixture.h. */
#include "tests/unit/core/fixture.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/blob/fault.h"
#include "core/base/id.h"

static void must(enum gh_status st, const char *what)
{
	if (st == GH_OK)
		return;
	fprintf(stderr, "fixture: %s: %s\n", what, gh_status_name(st));
	abort();
}

void fixture_open(struct house_fixture *f)
{
	char err[512] = "", path[256], password[64];
	const unsigned queue_max = f->queue_max, queue_wait_ms = f->queue_wait_ms;
	memset(f, 0, sizeof(*f));
	f->queue_max = queue_max;
	f->queue_wait_ms = queue_wait_ms;
	snprintf(f->dir, sizeof(f->dir), "%s/gatehouse-unit-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(f->dir))
		abort();
	gh_id_init(0, 0);
	must(gh_loop_new(0, &f->loop), "loop");
	must(gh_loop_start(f->loop), "loop start");
	snprintf(path, sizeof(path), "%s/meta.db", f->dir);
	const struct meta_config mc = { .path = path, .readers = 4 };
	must(meta_open(&mc, &f->meta, err), err);
	char blob_dir[256];
	snprintf(blob_dir, sizeof(blob_dir), "%s/blobs", f->dir);
	const struct blob_ops *ops = &blob_ops_fault;
	const struct blob_config bc = { .path = blob_dir, .pack_size_bytes = 4 << 20 };
	must(ops->open(&bc, &f->blobs, err), err);
	const struct gh_core_config cc = {
		.meta = f->meta, .blob_ops = ops, .blobs = f->blobs, .blob_kind = "local", .workers = 8,
		.queue_max = f->queue_max, .queue_wait_ms = f->queue_wait_ms, .access_log = "",
	};
	must(gh_core_new(&cc, &f->core, err), err);
	must(gh_core_bootstrap(f->core, "secret", password), "bootstrap");
	must(tenant_get(f->core, "default", &f->tenant), "tenant");
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct meta_call call = { .arena = a, .op = "test" };
	struct meta_user *u;
	must(meta_user_by_name(f->meta, &call, f->tenant->id, "admin", &u), "admin");
	f->admin = session_new(f->tenant, u->id, UINT64_MAX, "admin");
	gh_arena_free(&a);
}

void fixture_close(struct house_fixture *f)
{
	char cmd[256];
	vfs_session_unref(&f->admin);
	gh_core_free(&f->core);
	gh_loop_stop(f->loop);
	gh_loop_free(&f->loop);
	blob_ops_fault.close(&f->blobs);
	meta_close(&f->meta);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
	if (system(cmd) != 0)
		fprintf(stderr, "cannot remove %s\n", f->dir);
}

struct vfs_session *fixture_user(struct house_fixture *f, const char *name, uint64_t *ret_id)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	const struct meta_user u = { .id = gh_id_new(), .name = name, .key = name, .password_hash = "" };
	struct meta_step steps[] = { { .kind = META_USER_PUT, .user = &u }, { .kind = META_RIGHTS_EPOCH } };
	must(house_commit(f->core, a, f->tenant, "test", "user.add", "", steps, 2), "user");
	gh_arena_free(&a);
	*ret_id = u.id;
	return session_new(f->tenant, u.id, UINT64_MAX, name);
}

void fixture_grant(struct house_fixture *f, const char *path, uint64_t user, unsigned allow, unsigned deny)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct house_place p;
	must(house_place(f->core, a, f->tenant, path, &p), path);
	struct meta_ace aces[2];
	struct meta_acl_node n = { .id = p.nodes[p.path->depth].id, .aces = aces };
	if (allow)
		aces[n.ace_count++] = (struct meta_ace){ 'u', user, false, allow };
	if (deny)
		aces[n.ace_count++] = (struct meta_ace){ 'u', user, true, deny };
	struct meta_step steps[] = { { .kind = META_ACL_SET, .acl = &n }, { .kind = META_RIGHTS_EPOCH } };
	must(house_commit(f->core, a, f->tenant, "test", "acl.grant", path, steps, 2), "grant");
	gh_arena_free(&a);
}

struct on_loop {
	struct gh_task task;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void on_loop_run(struct gh_task *t)
{
	struct on_loop *o = (struct on_loop *)t;
	o->fn(o->arg);
	sem_post(&o->done);
}

void fixture_on_loop(struct house_fixture *f, void (*fn)(void *arg), void *arg)
{
	struct on_loop o = { .task = { .fn = on_loop_run }, .fn = fn, .arg = arg };
	sem_init(&o.done, 0, 0);
	gh_loop_post(f->loop, &o.task);
	while (sem_wait(&o.done) != 0)
		;
	sem_destroy(&o.done);
}

struct making {
	struct house_fixture *f;
	enum vfs_op op;
	struct vfs_session *s;
	const char *path, *dest;
	struct vfs_req *r;
};

static void make_req(void *arg)
{
	struct making *m = arg;
	m->r = vfs_req_new(m->f->core, m->f->loop, m->op, VFS_INTERNAL, m->s);
	if (m->path)
		must(vfs_req_path(m->r, m->path, strlen(m->path), 0), m->path);
	if (m->dest)
		must(vfs_req_dest(m->r, m->dest, strlen(m->dest), 0), m->dest);
}

struct vfs_req *fixture_req(struct house_fixture *f, enum vfs_op op, struct vfs_session *s, const char *path,
			    const char *dest)
{
	struct making m = { f, op, s, path, dest, NULL };
	fixture_on_loop(f, make_req, &m);
	return m.r;
}

struct running {
	struct vfs_req *r;
	sem_t done;
	enum gh_status st;
};

static void home(struct vfs_req *r, void *door)
{
	struct running *g = door;
	g->r = r;
	sem_post(&g->done);
}

static void submit(void *arg)
{
	struct running *g = arg;
	if (vfs_submit(g->r, home, g) == VFS_DONE)
		sem_post(&g->done);
}

enum gh_status fixture_run(struct house_fixture *f, struct vfs_req *r)
{
	struct running g = { .r = r };
	sem_init(&g.done, 0, 0);
	fixture_on_loop(f, submit, &g);
	while (sem_wait(&g.done) != 0)
		;
	sem_destroy(&g.done);
	return g.r->status;
}

static void free_req(void *arg)
{
	vfs_req_free(arg);
}

void fixture_free(struct house_fixture *f, struct vfs_req **r)
{
	fixture_on_loop(f, free_req, r);
}

enum gh_status fixture_do(struct house_fixture *f, enum vfs_op op, struct vfs_session *s, const char *path,
			  const char *dest, unsigned flags)
{
	struct vfs_req *r = fixture_req(f, op, s, path, dest);
	r->flags = flags;
	const enum gh_status st = fixture_run(f, r);
	fixture_free(f, &r);
	return st;
}

struct pushing {
	struct vfs_upload *u;
	const uint8_t *data;
	size_t len, at;
	enum gh_status st;
	sem_t done;
};

static void push_ready(void *arg);

static void push_more(void *arg)
{
	struct pushing *p = arg;
	while (p->at < p->len) {
		const size_t n = p->len - p->at < 65536 ? p->len - p->at : 65536;
		p->st = vfs_upload_push(p->u, p->data + p->at, n, push_ready, p);
		if (p->st == GH_WAIT)
			return;
		if (p->st != GH_OK)
			break;
		p->at += n;
	}
	sem_post(&p->done);
}

static void push_ready(void *arg)
{
	push_more(arg);
}

enum gh_status fixture_put(struct house_fixture *f, struct vfs_session *s, const char *path, const void *data, size_t len,
			   unsigned flags, uint64_t offset)
{
	struct vfs_req *r = fixture_req(f, VFS_WRITE_BEGIN, s, path, NULL);
	struct pushing p = { .data = data, .len = len };
	r->flags = flags;
	r->offset = offset;
	r->declared = len;
	enum gh_status st = fixture_run(f, r);
	if (st == GH_OK)
		vfs_upload_take(r, &p.u);
	fixture_free(f, &r);
	if (st != GH_OK)
		return st;
	sem_init(&p.done, 0, 0);
	fixture_on_loop(f, push_more, &p);
	while (sem_wait(&p.done) != 0)
		;
	sem_destroy(&p.done);
	r = fixture_req(f, VFS_WRITE_COMMIT, s, NULL, NULL);
	r->upload = p.u;
	st = fixture_run(f, r);
	fixture_free(f, &r);
	return p.st != GH_OK ? p.st : st;
}

struct pulling {
	struct vfs_content *c;
	char *data;
	uint64_t at, size;
	enum gh_status st;
	sem_t done;
};

static void pull_more(void *arg)
{
	struct pulling *p = arg;
	while (p->at < p->size) {
		size_t n = 0;
		p->st = vfs_content_pull(p->c, p->at, p->data + p->at, p->size - p->at, &n, pull_more, p);
		if (p->st == GH_WAIT)
			return;
		if (p->st != GH_OK)
			break;
		p->at += n;
	}
	vfs_content_free(&p->c);
	sem_post(&p->done);
}

char *fixture_get(struct house_fixture *f, struct vfs_session *s, const char *path, size_t *ret_len,
		  enum gh_status *ret_st)
{
	struct vfs_req *r = fixture_req(f, VFS_READ, s, path, NULL);
	struct pulling p = { 0 };
	*ret_st = fixture_run(f, r);
	if (*ret_st == GH_OK) {
		p.size = r->node.size;
		vfs_content_take(r, &p.c);
	}
	fixture_free(f, &r);
	if (*ret_st != GH_OK)
		return NULL;
	p.data = calloc(1, p.size + 1);
	sem_init(&p.done, 0, 0);
	fixture_on_loop(f, pull_more, &p);
	while (sem_wait(&p.done) != 0)
		;
	sem_destroy(&p.done);
	*ret_st = p.at == p.size ? GH_OK : p.st;
	*ret_len = p.size;
	return p.data;
}

void fixture_wait_hanging(struct house_fixture *f, unsigned n)
{
	const struct timespec nap = { 0, 1000000 };
	for (unsigned i = 0; blob_fault_hanging(f->blobs) < n && i < 30000; i++)
		nanosleep(&nap, NULL);
	must(blob_fault_hanging(f->blobs) >= n ? GH_OK : GH_DEADLINE, "calls of the blob store hang");
}

void fixture_wait_quiet(struct house_fixture *f)
{
	const struct timespec nap = { 0, 1000000 };
	for (unsigned i = 0; atomic_load(&f->core->pending) && i < 30000; i++)
		nanosleep(&nap, NULL);
	must(atomic_load(&f->core->pending) ? GH_DEADLINE : GH_OK, "the house comes to rest");
}
