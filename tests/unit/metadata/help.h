/* What the metadata tests share: a store in a folder of its own, or, where GATEHOUSE_TEST_POSTGRESQL says so, in a schema of
 * its own; one tenant, batches in a line. */
#ifndef TESTS_UNIT_METADATA_HELP_H
#define TESTS_UNIT_METADATA_HELP_H

#ifndef NO_CHECK
#include <check.h>
#else /* a program that is no test: what goes wrong ends it */
#define ck_assert_msg(cond, ...) ((cond) ? (void)0 : (void)(fprintf(stderr, __VA_ARGS__), abort()))
#define ck_assert_ptr_nonnull(p) ck_assert_msg((p) != NULL, "%s is NULL\n", #p)
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/meta.h"

#include <sqlite3.h>
#ifdef HAVE_POSTGRESQL
#include "tests/unit/metadata/help_pgsql.h"
#endif

#define TENANT 1000ull
#define ROOT 1001ull
#define TRASH 1002ull

struct fix {
	char dir[96], path[128];
	char conninfo[512]; /* "": in the file */
	struct meta_store *m;
	struct gh_arena *a;
	struct meta_call call;
	unsigned loss, other; /* findings */
	char last[512];
};

#define OK(expr)                                                                                                       \
	do {                                                                                                           \
		enum gh_status ok_st = (expr);                                                                         \
		ck_assert_msg(ok_st == GH_OK, "%s: %s", #expr, gh_status_name(ok_st));                                 \
	} while (0)
#define IS(status, expr)                                                                                               \
	do {                                                                                                           \
		enum gh_status is_st = (expr);                                                                         \
		ck_assert_msg(is_st == (status), "%s: %s", #expr, gh_status_name(is_st));                              \
	} while (0)

static inline void fix_open(struct fix *f)
{
	struct meta_config cfg = { .path = f->path, .readers = 3, .conninfo = f->conninfo[0] ? f->conninfo : NULL };
	char err[512];
	enum gh_status st = meta_open(&cfg, &f->m, err);

	ck_assert_msg(st == GH_OK, "open: %s: %s", gh_status_name(st), err);
}

static inline struct meta_batch batch_new(struct meta_step *steps, unsigned count)
{
	return (struct meta_batch){
		.tenant = TENANT, .op = gh_id_new(), .tree_gen = UINT64_MAX, .rights_epoch = UINT64_MAX,
		.route_epoch = UINT64_MAX, .lock_seen = UINT64_MAX, .steps = steps, .step_count = count,
		.event = { .what = "test", .door = "internal", .path = "/", .user_name = "tester" },
	};
}

static inline enum gh_status run_steps(struct fix *f, struct meta_step *steps, unsigned count)
{
	struct meta_batch b = batch_new(steps, count);

	return meta_commit(f->m, &f->call, &b);
}

static inline enum gh_status run_step(struct fix *f, struct meta_step step)
{
	return run_steps(f, &step, 1);
}

static inline void tenant_make(struct fix *f, uint64_t id, uint64_t root, uint64_t trash, const char *name)
{
	struct meta_tenant t = { .id = id, .name = name, .hosts = "", .root = root, .trash = trash };
	struct meta_step s = { .kind = META_TENANT_PUT, .tenant = &t };
	struct meta_batch b = batch_new(&s, 1);

	b.tenant = id;
	OK(meta_commit(f->m, &f->call, &b));
}

static inline void fix_new(struct fix *f)
{
	memset(f, 0, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "%s/gh-meta-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/meta.db", f->dir);
#ifdef HAVE_POSTGRESQL
	if (pg_conninfo())
		pg_schema_new(f->conninfo, sizeof(f->conninfo));
#endif
	gh_id_init(1, 0);
	f->a = gh_arena_new(64u << 20);
	f->call = (struct meta_call){ .arena = f->a, .op = "test" };
	fix_open(f);
	tenant_make(f, TENANT, ROOT, TRASH, "acme");
}

static inline void fix_finding(void *arg, bool loss, const char *text)
{
	struct fix *f = arg;

	if (loss)
		f->loss++;
	else
		f->other++;
	snprintf(f->last, sizeof(f->last), "%s", text);
}

/* fsck; how many losses. */
static inline unsigned fix_check(struct fix *f)
{
	f->loss = f->other = 0;
	f->last[0] = '\0';
	OK(meta_check(f->m, &f->call, fix_finding, f));
	return f->loss;
}

#define SOUND(f) ck_assert_msg(fix_check(f) == 0 && (f)->other == 0, "fsck: %s", (f)->last)

/* Straight into the database, past the store. Bytes are written x'61'. */
static inline void fix_sql(struct fix *f, const char *sql)
{
	sqlite3 *h;
	char *err = NULL;

#ifdef HAVE_POSTGRESQL
	if (f->conninfo[0]) {
		pg_run(f->conninfo, sql);
		return;
	}
#endif
	ck_assert_msg(sqlite3_open(f->path, &h) == SQLITE_OK, "%s", f->path);
	ck_assert_msg(sqlite3_exec(h, sql, NULL, NULL, &err) == SQLITE_OK, "%s: %s", sql, err);
	sqlite3_close(h);
}

static inline void fix_free(struct fix *f)
{
	char cmd[160];

	meta_close(&f->m);
#ifdef HAVE_POSTGRESQL
	if (f->conninfo[0])
		pg_schema_drop(f->conninfo);
#endif
	gh_arena_free(&f->a);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
	if (system(cmd))
		fprintf(stderr, "left behind: %s\n", f->dir);
}

static inline struct meta_node node_named(uint64_t parent, const char *name, enum meta_type type)
{
	size_t len = strlen(name);

	return (struct meta_node){ .id = gh_id_new(), .parent = parent, .type = type, .name = name, .key = name,
				   .name_len = (uint16_t)len, .key_len = (uint16_t)len, .owner = 7, .made_us = 5,
				   .mtime_us = 6 };
}

static inline uint64_t folder_make(struct fix *f, uint64_t parent, const char *name)
{
	struct meta_step s = { .kind = META_NODE_INSERT, .node = node_named(parent, name, META_FOLDER) };

	OK(run_step(f, s));
	return s.node.id;
}

/* The steps of a small PUT of a new file, three of them. */
static inline void put_steps(struct meta_step s[3], uint64_t parent, const char *name, uint64_t size)
{
	struct meta_node n = node_named(parent, name, META_FILE);

	n.version = gh_id_new();
	n.blob = gh_id_new();
	n.parts = 1;
	n.size = size;
	n.crc = 77;
	n.loc = (struct blob_loc){ .len = 4, .bytes = { 1, 2, 0, 4 } };
	memset(s, 0, 3 * sizeof(*s));
	s[0].kind = META_NODE_INSERT;
	s[0].node = n;
	s[1].kind = META_VERSION_INSERT;
	s[1].node = n;
	s[1].n = 7;
	s[2].kind = META_BLOB_INSERT;
	s[2].node = n;
	s[2].part = (struct meta_part){ .blob = n.blob, .blob_size = size, .len = size, .loc = n.loc };
}

static inline struct meta_batch put_batch(struct meta_step s[3], uint64_t parent, const char *name, uint64_t size)
{
	struct meta_batch b;

	put_steps(s, parent, name, size);
	b = batch_new(s, 3);
	b.slot_count = 1;
	b.slots[0] = (struct meta_slot){ parent, name, 0, 0 };
	b.event.bytes = (int64_t)size;
	b.event.files = 1;
	b.event.node = s[0].node.id;
	return b;
}

static inline struct meta_node file_make(struct fix *f, uint64_t parent, const char *name, uint64_t size)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, parent, name, size);

	OK(meta_commit(f->m, &f->call, &b));
	return s[0].node;
}

static inline struct meta_node *node_read(struct fix *f, uint64_t id)
{
	struct meta_node *n = NULL;
	enum gh_status st = meta_node_get(f->m, &f->call, TENANT, id, &n);

	ck_assert_msg(st == GH_OK || st == GH_NOTFOUND, "node_get: %s", gh_status_name(st));
	return n;
}

#ifndef NO_CHECK
static inline int run_suite(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif

#endif
