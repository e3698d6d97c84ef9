/* The check of everything stored, over a real metadata store and blobs whose fate the test decides. */
#include "tests/unit/core/control_help.h"

#include "core/fsck.h"

static struct tenant *acme;

static void setup(void)
{
	core_open();
	done("tenant.add", "{'name':'acme'}");
	ck_assert_int_eq(tenant_get(core, "acme", &acme), GH_OK);
}

/* A file of one blob, rows and bytes; the returned blob's state may be changed. */
static struct fake_blob *file_make(const char *name, uint64_t size)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct fake_blob *b = &backend.blobs[backend.count++];
	struct meta_node n = {
		.id = gh_id_new(),
		.parent = acme->root,
		.type = META_FILE,
		.name = name,
		.key = name,
		.name_len = (uint16_t)strlen(name),
		.key_len = (uint16_t)strlen(name),
		.version = gh_id_new(),
		.size = size,
		.parts = 1,
		.blob = gh_id_new(),
	};
	struct meta_part part = { .blob = n.blob, .blob_size = size, .len = size, .loc = loc_of(n.blob) };
	struct meta_batch batch = {
		.tenant = acme->id,
		.op = gh_id_new(),
		.tree_gen = UINT64_MAX,
		.rights_epoch = UINT64_MAX,
		.route_epoch = UINT64_MAX,
		.lock_seen = UINT64_MAX,
		.event = { .user_name = "tester",
			   .what = "write",
			   .door = "internal",
			   .path = name,
			   .dest = "",
			   .request_id = "",
			   .bytes = (int64_t)size,
			   .files = 1 },
	};
	struct meta_call call = { .arena = a, .op = "test" };

	n.loc = part.loc;
	const struct meta_step steps[] = {
		{ .kind = META_BLOB_INSERT, .node = n, .part = part },
		{ .kind = META_NODE_INSERT, .node = n },
		{ .kind = META_VERSION_INSERT, .node = n },
	};

	batch.steps = steps;
	batch.step_count = 3;
	ck_assert_int_eq(meta_commit(store, &call, &batch), GH_OK);
	*b = (struct fake_blob){ .tenant = acme->id, .id = n.blob, .size = size, .state = GH_OK };
	gh_arena_free(&a);
	return b;
}

static json_int_t count_of(const json_t *o, const char *key)
{
	ck_assert_msg(json_is_integer(json_object_get(o, key)), "no number \"%s\"", key);
	return json_integer_value(json_object_get(o, key));
}

static void expect(const char *args, json_int_t loss, const char *word)
{
	json_t *o = ok("fsck", args);
	char *text = json_dumps(json_object_get(o, "losses"), 0);

	ck_assert_msg(count_of(o, "loss") == loss, "%s", text);
	ck_assert_int_eq(json_is_true(json_object_get(o, "ok")), loss == 0);
	ck_assert_msg(strstr(text, word) != NULL, "%s does not say %s", text, word);
	free(text);
	json_decref(o);
}

START_TEST(a_whole_house_is_clean)
{
	json_t *o;

	file_make("a", 10);
	file_make("b", 20);
	expect("{}", 0, "");
	expect("{'verify':true}", 0, "");
	o = ok("fsck", "{}");
	ck_assert_int_eq(count_of(o, "blobs"), 2);
	ck_assert_int_eq(count_of(o, "blob_bytes"), 30);
	ck_assert_int_eq(count_of(o, "orphans"), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "notes")), 0);
	json_decref(o);
}
END_TEST

START_TEST(a_missing_blob_is_a_loss_named_by_its_id)
{
	struct fake_blob *b = file_make("a", 10);
	char id[32];

	file_make("b", 10);
	b->state = GH_NOTFOUND;
	snprintf(id, sizeof(id), "blob %ju", (uintmax_t)b->id);
	expect("{}", 1, id);
	expect("{'verify':true}", 1, "missing");
}
END_TEST

START_TEST(a_shortened_blob_is_a_loss_without_reading_it_all)
{
	struct fake_blob *b = file_make("a", 100);

	b->size = 99;
	expect("{}", 1, "damaged");
}
END_TEST

START_TEST(damage_and_read_errors_are_losses)
{
	file_make("a", 10)->state = GH_DAMAGED;
	file_make("b", 10)->state = GH_IO;
	expect("{'verify':true}", 2, "damaged");
	expect("{}", 2, "unreadable");
}
END_TEST

START_TEST(orphans_are_counted_and_no_loss)
{
	json_t *o;

	file_make("a", 10);
	backend.blobs[backend.count++] = (struct fake_blob){ .tenant = acme->id, .id = 1, .size = 7, .state = GH_OK };
	backend.blobs[backend.count++] = (struct fake_blob){ .tenant = 1, .id = 99, .size = 8, .state = GH_OK };
	o = ok("fsck", "{}");
	ck_assert_int_eq(count_of(o, "loss"), 0);
	ck_assert_int_eq(count_of(o, "orphans"), 2);
	ck_assert_int_eq(count_of(o, "orphan_bytes"), 15);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "notes")), 1);
	json_decref(o);
}
END_TEST

static struct fake_blob *doomed;

/* The collector takes the blob between the reading of its row and the reading of its bytes. */
static void collect_it(void)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	struct meta_call call = { .arena = a, .op = "test" };
	struct meta_page page;
	struct meta_batch batch = {
		.tenant = acme->id,
		.op = gh_id_new(),
		.tree_gen = UINT64_MAX,
		.rights_epoch = UINT64_MAX,
		.route_epoch = UINT64_MAX,
		.lock_seen = UINT64_MAX,
		.event = { .user_name = "tester",
			   .what = "remove",
			   .door = "internal",
			   .path = "a",
			   .dest = "",
			   .request_id = "",
			   .bytes = -10,
			   .files = -1 },
	};

	ck_assert_int_eq(meta_list(store, &call, acme->id, acme->root, "", 10, &page), GH_OK);
	ck_assert_uint_eq(page.count, 1);
	const struct meta_step steps[] = {
		{ .kind = META_BLOB_UNREF, .part = { .blob = doomed->id } },
		{ .kind = META_VERSION_DELETE, .node = page.nodes[0] },
		{ .kind = META_NODE_DELETE, .node = page.nodes[0] },
	};

	batch.steps = steps;
	batch.step_count = 3;
	ck_assert_int_eq(meta_commit(store, &call, &batch), GH_OK);
	ck_assert_int_eq(meta_blob_forget(store, &call, acme->id, doomed->id), GH_OK);
	doomed->state = GH_NOTFOUND;
	gh_arena_free(&a);
}

START_TEST(a_blob_that_is_collected_meanwhile_is_no_loss)
{
	doomed = file_make("a", 10);
	backend.before_read = collect_it;
	expect("{}", 0, "");
	ck_assert_ptr_null(backend.before_read);
	expect("{}", 0, "");
}
END_TEST

static void check_again(void)
{
	refused(GH_BUSY, "fsck", "{}", "running already");
}

START_TEST(one_runs_at_a_time)
{
	file_make("a", 10);
	backend.before_read = check_again;
	expect("{}", 0, "");
	ck_assert_ptr_null(backend.before_read);
	expect("{}", 0, "");
}
END_TEST

START_TEST(it_runs_alone_on_stores_that_nobody_serves)
{
	json_t *o;

	file_make("a", 10)->state = GH_DAMAGED;
	ck_assert_int_eq(fsck_run(store, &fake_ops, &backend, true, &o), GH_OK);
	ck_assert_int_eq(count_of(o, "loss"), 1);
	ck_assert(json_is_true(json_object_get(o, "verified")));
	json_decref(o);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fsck");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, core_close);
	tcase_add_test(tc, a_whole_house_is_clean);
	tcase_add_test(tc, a_missing_blob_is_a_loss_named_by_its_id);
	tcase_add_test(tc, a_shortened_blob_is_a_loss_without_reading_it_all);
	tcase_add_test(tc, damage_and_read_errors_are_losses);
	tcase_add_test(tc, orphans_are_counted_and_no_loss);
	tcase_add_test(tc, a_blob_that_is_collected_meanwhile_is_no_loss);
	tcase_add_test(tc, one_runs_at_a_time);
	tcase_add_test(tc, it_runs_alone_on_stores_that_nobody_serves);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
