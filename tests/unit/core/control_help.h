/* What the control tests share: a core over an SQLite store in a folder of its own and blobs in memory, and control
 * calls in a line. Check runs each test in a process of its own, so what is static here starts fresh every time. */
#ifndef TESTS_UNIT_CORE_CONTROL_HELP_H
#define TESTS_UNIT_CORE_CONTROL_HELP_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/rcu.h"
#include "core/control.h"
#include "core/control_house.h"

/* ---- blobs: a table ---- */

#define BLOBS_MAX 16

struct fake_blob {
	uint64_t tenant, id, size;
	enum gh_status state; /* GH_OK: whole; GH_NOTFOUND: gone; GH_DAMAGED; GH_IO */
};

struct blob_backend {
	unsigned count;
	struct fake_blob blobs[BLOBS_MAX];
	void (*before_read)(void); /* once */
};

struct blob_reader {
	struct fake_blob *blob;
};

static struct blob_backend backend;
static struct blob_reader reader;

static struct blob_loc loc_of(uint64_t id)
{
	struct blob_loc loc = { .len = 8 };

	memcpy(loc.bytes, &id, 8);
	return loc;
}

static struct fake_blob *blob_find(uint64_t tenant, uint64_t id)
{
	void (*before)(void) = backend.before_read;

	backend.before_read = NULL;
	if (before)
		before();
	for (unsigned i = 0; i < backend.count; i++) {
		if (backend.blobs[i].tenant == tenant && backend.blobs[i].id == id)
			return &backend.blobs[i];
	}
	return NULL;
}

static enum gh_status fake_open(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
				uint64_t size, bool may_block, struct blob_reader **ret)
{
	reader.blob = blob_find(tenant, id);
	if (!reader.blob || reader.blob->state == GH_NOTFOUND)
		return GH_NOTFOUND;
	*ret = &reader;
	return GH_OK;
}

static enum gh_status fake_read(struct blob_reader *r, uint64_t offset, void *buf, size_t len, bool may_block,
				size_t *ret_n)
{
	if (r->blob->state != GH_OK)
		return r->blob->state;
	*ret_n = offset < r->blob->size ? len : 0;
	return GH_OK;
}

static void fake_close(struct blob_reader **r)
{
	*r = NULL;
}

static enum gh_status fake_iterate(struct blob_backend *be, blob_object_fn *fn, void *arg)
{
	for (unsigned i = 0; i < be->count; i++) {
		struct blob_object o = {
			.tenant = be->blobs[i].tenant,
			.id = be->blobs[i].id,
			.size = be->blobs[i].size,
			.loc = loc_of(be->blobs[i].id),
		};

		if (be->blobs[i].state != GH_NOTFOUND && !fn(arg, &o))
			break;
	}
	return GH_OK;
}

static enum gh_status fake_verify(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
				  uint64_t size, char *msg)
{
	struct fake_blob *b = blob_find(tenant, id);

	snprintf(msg, 256, "as the test wants");
	return b ? b->state : GH_NOTFOUND;
}

static enum gh_status fake_space(struct blob_backend *be, struct blob_space *ret)
{
	*ret = (struct blob_space){ 1000, 400 };
	return GH_OK;
}

static const struct blob_ops fake_ops = {
	.abi = BLOB_ABI,
	.size = sizeof(struct blob_ops),
	.name = "fake",
	.caps = BLOB_CAP_ITERATE | BLOB_CAP_VERIFY,
	.reader_open = fake_open,
	.reader_read = fake_read,
	.reader_close = fake_close,
	.iterate = fake_iterate,
	.verify = fake_verify,
	.space = fake_space,
};

/* ---- the core ---- */

static char folder[64], database[96];
static struct meta_store *store;
static struct gh_core *core;

/* On the store as it is; also again, after both were closed. */
static void core_start(void)
{
	struct meta_config mc = { .path = database, .readers = 2 };
	struct gh_core_config cc = { .blob_ops = &fake_ops,
				     .blobs = &backend,
				     .blob_kind = "fake",
				     .access_log = "",
				     .workers = 1,
				     .login_threads = 1 };
	char err[512];

	ck_assert_msg(meta_open(&mc, &store, err) == GH_OK, "%s", err);
	cc.meta = store;
	ck_assert_msg(gh_core_new(&cc, &core, err) == GH_OK, "%s", err);
}

static void core_open(void)
{
	strcpy(folder, "/tmp/gh-control-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(database, sizeof(database), "%s/meta.db", folder);
	ck_assert_int_eq(gh_log_open(NULL, GH_LOG_WARN), GH_OK);
	gh_id_init(1, 0);
	core_start();
	gh_rcu_register();
	gh_rcu_offline();
}

static void core_close(void)
{
	static const char *const endings[] = { "", "-wal", "-shm" };
	char path[128];

	gh_rcu_unregister();
	gh_core_free(&core);
	meta_close(&store);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", database, endings[i]);
		unlink(path);
	}
	rmdir(folder);
}

/* ---- calls ---- */

static char message[256];

/* args is JSON with ' for ", so that it can be read. */
static enum gh_status try_call(const char *op, const char *args, json_t **ret)
{
	char text[8192];
	json_error_t why;
	struct control_call call = { .core = core, .actor = "tester", .role = CONTROL_OWNER };
	json_t *o;
	enum gh_status st;

	snprintf(text, sizeof(text), "%s", args);
	for (char *p = text; *p; p++) {
		if (*p == '\'')
			*p = '"';
	}
	o = json_loads(text, 0, &why);
	ck_assert_msg(o != NULL, "%s: %s", text, why.text);
	call.args = o;
	st = control_run(op, &call);
	ck_assert_int_eq(st == GH_OK, call.result != NULL);
	ck_assert_int_eq(st != GH_OK, call.message[0] != '\0');
	snprintf(message, sizeof(message), "%s", call.message);
	json_decref(o);
	if (ret)
		*ret = call.result;
	else
		json_decref(call.result);
	return st;
}

static json_t *ok(const char *op, const char *args)
{
	json_t *result;
	enum gh_status st = try_call(op, args, &result);

	ck_assert_msg(st == GH_OK, "%s %s: %s: %s", op, args, gh_status_name(st), message);
	return result;
}

static void done(const char *op, const char *args)
{
	json_decref(ok(op, args));
}

/* Refused with that status, and the message says that word. */
static inline void refused(enum gh_status want, const char *op, const char *args, const char *word)
{
	enum gh_status st = try_call(op, args, NULL);

	ck_assert_msg(st == want, "%s %s: %s: %s", op, args, gh_status_name(st), message);
	ck_assert_msg(strstr(message, word) != NULL, "\"%s\" does not say %s", message, word);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	ck_assert_msg(text != NULL, "no text \"%s\"", key);
	return text;
}

/* The item of a list whose key has that value; NULL: none. Borrowed. */
static inline json_t *item_where(const json_t *list, const char *key, const char *value)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		if (!strcmp(text_of(item, key), value))
			return item;
	}
	return NULL;
}

static inline size_t item_count(const json_t *list)
{
	return json_array_size(json_object_get(list, "items"));
}

/* A folder below the root of a tenant, put there by hand. */
static inline uint64_t folder_make(const char *tenant, const char *name)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct tenant *t;
	struct meta_step s = { .kind = META_NODE_INSERT };

	ck_assert_int_eq(tenant_get(core, tenant, &t), GH_OK);
	s.node = (struct meta_node){
		.id = gh_id_new(),
		.parent = t->root,
		.type = META_FOLDER,
		.name = name,
		.key = name,
		.name_len = (uint16_t)strlen(name),
		.key_len = (uint16_t)strlen(name),
	};
	ck_assert_int_eq(house_commit(core, a, t, "tester", "mkdir", name, &s, 1), GH_OK);
	gh_arena_free(&a);
	return s.node.id;
}

static inline int run_suite(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
