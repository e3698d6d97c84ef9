/* Batches: every step does what its line in core/meta.h says, every guard alone makes a batch stale and leaves nothing,
 * an operation happens once. How batches go together: check_group.c. */
#include "backends/metadata/route.h"
#include "tests/unit/metadata/help.h"

static struct fix f;

static void setup(void)
{
	fix_new(&f);
}

static void teardown(void)
{
	fix_free(&f);
}

static uint64_t rows_written(void)
{
	struct db_conn *c = NULL;

	meta_quiet(f.m); /* the writer is the committing thread's until then */
	OK(f.m->central->drv->writer(f.m->central->db, &c));
	return c->drv->changes_total(c);
}

static unsigned event_count(void)
{
	struct meta_event *e;
	unsigned n;

	OK(meta_events(f.m, &f.call, TENANT, 0, 1000000, &e, &n));
	return n;
}

static struct meta_tenant tenant_read(void)
{
	struct meta_tenant *t;

	OK(meta_tenant_by_name(f.m, &f.call, "acme", &t));
	return *t;
}

static struct meta_blob_row *blob_read(uint64_t id)
{
	struct meta_blob_row *r;
	unsigned n;

	OK(meta_blobs(f.m, &f.call, TENANT, id - 1, 1, &r, &n));
	return n && r->id == id ? r : NULL;
}

/* ---- what a batch costs ---- */

START_TEST(a_small_put_writes_four_rows_and_nothing_else)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);
	struct meta_tenant before = tenant_read(), after;
	uint64_t rows = rows_written();

	b.tree_gen = before.tree_gen;
	b.rights_epoch = before.rights_epoch;
	b.route_epoch = before.route_epoch;
	b.lock_seen = 0;
	OK(meta_commit(f.m, &f.call, &b));
	ck_assert_uint_eq(rows_written() - rows, 4);
	after = tenant_read();
	ck_assert_uint_eq(after.tree_gen, before.tree_gen);
	ck_assert_uint_eq(after.rights_epoch, before.rights_epoch);
	ck_assert_int_gt(b.time_us, 0);
	ck_assert(!b.done_before);
	SOUND(&f);
}
END_TEST

/* ---- once ---- */

START_TEST(an_operation_that_was_done_is_not_done_again)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);
	unsigned events;
	int64_t time_us;
	uint64_t rows;

	OK(meta_commit(f.m, &f.call, &b));
	events = event_count();
	time_us = b.time_us;
	rows = rows_written();
	OK(meta_commit(f.m, &f.call, &b)); /* its slot guard does not hold any more */
	ck_assert(b.done_before);
	ck_assert_int_eq(b.time_us, time_us);
	ck_assert_uint_eq(rows_written(), rows);
	ck_assert_uint_eq(event_count(), events);
	b.slot_count = 0; /* nor would the guards' absence let it through */
	OK(meta_commit(f.m, &f.call, &b));
	ck_assert(b.done_before);
	SOUND(&f);
}
END_TEST

START_TEST(the_same_operation_id_in_two_tenants_is_two_operations)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);

	tenant_make(&f, TENANT + 100, ROOT + 100, TRASH + 100, "other");
	OK(meta_commit(f.m, &f.call, &b));
	b.tenant = TENANT + 100;
	s[0].node.parent = b.slots[0].parent = ROOT + 100;
	OK(meta_commit(f.m, &f.call, &b));
	ck_assert(!b.done_before);
	SOUND(&f);
}
END_TEST

/* ---- guards ---- */

static void stale(struct meta_batch *b)
{
	unsigned events = event_count();
	uint64_t node = b->steps[0].node.id;

	IS(GH_STALE, meta_commit(f.m, &f.call, b));
	ck_assert_uint_eq(event_count(), events);
	ck_assert_ptr_null(node_read(&f, node));
	SOUND(&f);
}

START_TEST(each_epoch_guard_alone_makes_a_batch_stale)
{
	struct meta_tenant t = tenant_read();
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);

	b.tree_gen = t.tree_gen + 1;
	stale(&b);
	b.tree_gen = t.tree_gen;
	b.rights_epoch = t.rights_epoch + 1;
	stale(&b);
	b.rights_epoch = t.rights_epoch;
	b.route_epoch = t.route_epoch + 1;
	stale(&b);
	b.route_epoch = 0;
	stale(&b);
	b.route_epoch = t.route_epoch;
	OK(meta_commit(f.m, &f.call, &b));
	SOUND(&f);
}
END_TEST

START_TEST(a_batch_of_an_unknown_tenant_is_stale)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);

	b.tenant = 555;
	stale(&b);
}
END_TEST

START_TEST(each_slot_guard_alone_makes_a_batch_stale)
{
	struct meta_node there = file_make(&f, ROOT, "there", 1);
	uint64_t empty = folder_make(&f, ROOT, "empty");
	const struct meta_slot good[META_SLOTS_MAX] = {
		{ ROOT, "there", there.id, 1 }, { ROOT, "free", 0, 0 }, { empty, NULL, 0, 0 },
		{ ROOT, "there", there.id, UINT64_MAX },
	};
	const struct meta_slot bad[] = {
		{ ROOT, "there", 0, 0 },	     /* taken */
		{ ROOT, "there", there.id, 2 },	     /* changed */
		{ ROOT, "there", there.id + 1, 1 },  /* another */
		{ ROOT, "gone", there.id, 1 },	     /* not there */
		{ empty, "there", there.id, 1 },     /* elsewhere */
		{ ROOT, NULL, 0, 0 },		     /* not empty */
	};
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);

	b.slot_count = META_SLOTS_MAX;
	for (unsigned at = 0; at < META_SLOTS_MAX; at++)
		for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			memcpy(b.slots, good, sizeof(good));
			b.slots[at] = bad[i];
			stale(&b);
		}
	memcpy(b.slots, good, sizeof(good));
	OK(meta_commit(f.m, &f.call, &b));
	SOUND(&f);
}
END_TEST

static struct meta_lock lock_at(const char *token, const char *path_key, uint64_t node)
{
	return (struct meta_lock){ .id = gh_id_new(), .token = token, .node = node, .user = 7, .path_key = path_key,
				   .path = path_key, .exclusive = true, .expires_us = gh_real_us() + 3600 * GH_S_US,
				   .timeout_s = 3600, .owner_xml = "<o/>", .user_name = "ann" };
}

static void lock_make(const char *token, const char *path_key, uint64_t node)
{
	struct meta_lock l = lock_at(token, path_key, node);

	OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_INSERT, .lock = &l }));
}

static uint64_t locks_seen(unsigned *ret_count)
{
	struct meta_lock *l;
	uint64_t seen;

	OK(meta_locks(f.m, &f.call, TENANT, &l, ret_count, &seen));
	return seen;
}

START_TEST(a_lock_that_was_not_seen_makes_a_batch_stale_where_it_matters)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);
	static const struct {
		const char *below;
		bool stale;
	} cases[] = { { NULL, true }, { "/", true }, { "/d", true }, { "/d/e", true }, { "/d/e/f", false }, { "/d/f", false },
		      { "/d/e0", false }, { "/d/", false }, { "/c", false } };
	unsigned n;

	b.lock_seen = locks_seen(&n);
	lock_make("urn:uuid:1", "/d/e", ROOT);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		b.lock_below = cases[i].below;
		if (cases[i].stale) {
			stale(&b);
		} else {
			put_steps(s, ROOT, gh_printf(f.a, "n%u", i), 10);
			b.slot_count = 0;
			b.op = gh_id_new();
			OK(meta_commit(f.m, &f.call, &b));
		}
	}
	b.lock_below = NULL;
	b.lock_seen = locks_seen(&n);
	put_steps(s, ROOT, "last", 10);
	b.op = gh_id_new();
	OK(meta_commit(f.m, &f.call, &b));
	SOUND(&f);
}
END_TEST

START_TEST(a_lock_with_an_older_id_that_comes_later_is_noticed)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);
	struct meta_lock old = lock_at("urn:uuid:old", "/x", ROOT);
	unsigned n;

	lock_make("urn:uuid:new", "/y", ROOT);
	b.lock_seen = locks_seen(&n);
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_INSERT, .lock = &old }));
	stale(&b);
	/* nor does it help that the higher one is gone */
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_DELETE, .lock = &(struct meta_lock){ .token = "urn:uuid:new" } }));
	stale(&b);
	ck_assert_uint_gt(locks_seen(&n), b.lock_seen);
	ck_assert_uint_eq(n, 1);
}
END_TEST

/* ---- steps: the tree ---- */

START_TEST(new_content_replaces_the_old_and_gives_it_back)
{
	struct meta_node n = file_make(&f, ROOT, "a", 10), *r;
	struct meta_step s[5];
	struct meta_batch b;

	put_steps(s, ROOT, "a", 25);
	s[0].kind = META_NODE_CONTENT;
	s[0].node.id = s[1].node.id = n.id;
	s[3] = (struct meta_step){ .kind = META_BLOB_UNREF, .part = { .blob = n.blob } };
	s[4] = (struct meta_step){ .kind = META_VERSION_DELETE, .node = { .id = n.id, .version = n.version } };
	b = batch_new(s, 5);
	b.event.bytes = 15;
	OK(meta_commit(f.m, &f.call, &b));
	r = node_read(&f, n.id);
	ck_assert_uint_eq(r->version, s[0].node.version);
	ck_assert_uint_eq(r->size, 25);
	ck_assert_uint_eq(r->rev, 2);
	ck_assert_uint_eq(r->blob, s[0].node.blob);
	ck_assert_uint_eq(blob_read(n.blob)->refs, 0);
	ck_assert(blob_read(n.blob)->dead);
	ck_assert_int_eq(blob_read(n.blob)->dead_us, b.time_us);
	ck_assert_uint_eq(blob_read(r->blob)->refs, 1);
	SOUND(&f);
}
END_TEST

START_TEST(a_step_on_what_is_not_there_leaves_nothing_of_its_batch)
{
	struct meta_node n = file_make(&f, ROOT, "a", 10), ghost = node_named(ROOT, "g", META_FILE);
	uint64_t folder = folder_make(&f, ROOT, "d");
	static const enum meta_step_kind kinds[] = { META_NODE_CONTENT, META_NODE_PLACE, META_NODE_DELETE, META_BLOB_REF,
						     META_LOCK_REFRESH };
	struct meta_lock lock = { .token = "urn:uuid:none" };
	unsigned events = event_count();
	struct meta_step s[2];

	ghost.version = ghost.blob = 1;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		s[0] = (struct meta_step){ .kind = META_NODE_TOUCH, .node = { .id = n.id } };
		s[1] = (struct meta_step){ .kind = kinds[i], .node = ghost, .part = { .blob = 99 }, .lock = &lock };
		IS(GH_STALE, run_steps(&f, s, 2));
	}
	/* a folder has no content; a name that is taken; a folder with something in it; a place that is no folder; roots */
	ghost.id = folder;
	IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_NODE_CONTENT, .node = ghost }));
	ghost = node_named(ROOT, "a", META_FOLDER);
	IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_NODE_INSERT, .node = ghost }));
	ghost.id = folder;
	IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_NODE_PLACE, .node = ghost }));
	ghost = node_named(n.id, "x", META_FOLDER);
	ghost.id = folder;
	IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_NODE_PLACE, .node = ghost }));
	ghost.parent = folder;
	IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_NODE_PLACE, .node = ghost }));
	IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_NODE_DELETE, .node = { .id = ROOT } }));
	ck_assert_uint_eq(node_read(&f, n.id)->rev, 1);
	ck_assert_uint_eq(event_count(), events);
	file_make(&f, folder, "child", 1);
	IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_NODE_DELETE, .node = { .id = folder } }));
	SOUND(&f);
}
END_TEST

START_TEST(a_moved_node_keeps_its_id_and_content)
{
	struct meta_node n = file_make(&f, ROOT, "a", 10), *r, to;
	uint64_t folder = folder_make(&f, ROOT, "d");

	to = node_named(folder, "B", META_FILE);
	to.id = n.id;
	to.key = "b";
	OK(run_step(&f, (struct meta_step){ .kind = META_NODE_PLACE, .node = to }));
	r = node_read(&f, n.id);
	ck_assert_uint_eq(r->parent, folder);
	ck_assert_str_eq(r->name, "B");
	ck_assert_str_eq(r->key, "b");
	ck_assert_uint_eq(r->rev, 2);
	ck_assert_uint_eq(r->version, n.version);
	SOUND(&f);
}
END_TEST

START_TEST(touch_raises_the_revision_and_sets_the_time_if_there_is_one)
{
	struct meta_node n = file_make(&f, ROOT, "a", 10);

	OK(run_step(&f, (struct meta_step){ .kind = META_NODE_TOUCH, .node = { .id = n.id } }));
	ck_assert_int_eq(node_read(&f, n.id)->mtime_us, 6);
	OK(run_step(&f, (struct meta_step){ .kind = META_NODE_TOUCH, .node = { .id = n.id, .mtime_us = 99 } }));
	ck_assert_int_eq(node_read(&f, n.id)->mtime_us, 99);
	ck_assert_uint_eq(node_read(&f, n.id)->rev, 3);
}
END_TEST

START_TEST(a_deleted_file_is_gone_with_all_that_was_its)
{
	struct meta_node n = file_make(&f, ROOT, "a", 10);
	struct meta_prop p = { n.id, "x", "y", "z", "" };
	struct meta_step s[5] = {
		{ .kind = META_BLOB_UNREF, .part = { .blob = n.blob } },
		{ .kind = META_VERSION_DELETE, .node = n },
		{ .kind = META_PROPS_DELETE, .node = n },
		{ .kind = META_LOCKS_BELOW, .lock = &(struct meta_lock){ .path_key = "/a" } },
		{ .kind = META_NODE_DELETE, .node = n },
	};
	struct meta_batch b;
	unsigned count;
	uint64_t bytes, files;

	OK(run_step(&f, (struct meta_step){ .kind = META_PROP_SET, .prop = &p }));
	lock_make("urn:uuid:1", "/a", n.id);
	b = batch_new(s, 5);
	b.event.bytes = -10;
	b.event.files = -1;
	OK(meta_commit(f.m, &f.call, &b));
	ck_assert_ptr_null(node_read(&f, n.id));
	locks_seen(&count);
	ck_assert_uint_eq(count, 0);
	OK(meta_usage(f.m, &f.call, TENANT, &bytes, &files));
	ck_assert_uint_eq(bytes + files, 0);
	SOUND(&f);
}
END_TEST

START_TEST(a_file_moved_onto_a_file_gives_it_its_versions)
{
	struct meta_node from = file_make(&f, ROOT, "a", 10), to = file_make(&f, ROOT, "b", 20), now = from;
	struct meta_step s[5];
	struct meta_batch b;

	now.id = to.id;
	s[0] = (struct meta_step){ .kind = META_VERSION_GIVE, .node = { .id = to.id }, .n = from.id };
	s[1] = (struct meta_step){ .kind = META_NODE_CONTENT, .node = now };
	s[2] = (struct meta_step){ .kind = META_BLOB_UNREF, .part = { .blob = to.blob } };
	s[3] = (struct meta_step){ .kind = META_VERSION_DELETE, .node = to };
	s[4] = (struct meta_step){ .kind = META_NODE_DELETE, .node = from };
	b = batch_new(s, 5);
	b.event.bytes = -20;
	b.event.files = -1;
	OK(meta_commit(f.m, &f.call, &b));
	ck_assert_uint_eq(node_read(&f, to.id)->version, from.version);
	SOUND(&f);
}
END_TEST

START_TEST(a_dead_blob_cannot_be_referenced_and_its_id_not_used_again)
{
	struct meta_node n = file_make(&f, ROOT, "a", 10);
	struct meta_step s[3];
	struct meta_batch b;

	b = put_batch(s, ROOT, "b", 10);
	s[2] = (struct meta_step){ .kind = META_BLOB_REF, .part = { .blob = n.blob } };
	s[0].node.blob = s[1].node.blob = n.blob;
	OK(meta_commit(f.m, &f.call, &b));
	ck_assert_uint_eq(blob_read(n.blob)->refs, 2);
	SOUND(&f);
	for (int i = 0; i < 2; i++)
		OK(run_step(&f, (struct meta_step){ .kind = META_BLOB_UNREF, .part = { .blob = n.blob } }));
	IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_BLOB_REF, .part = { .blob = n.blob } }));
	IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_BLOB_INSERT, .part = { .blob = n.blob } }));
}
END_TEST

START_TEST(properties_are_set_replaced_copied_and_removed_and_the_flag_follows)
{
	struct meta_node a = file_make(&f, ROOT, "a", 1), b = file_make(&f, ROOT, "b", 1);
	struct meta_prop p = { a.id, "ns", "n", "<one/>", "en" }, *r;
	unsigned n;

	OK(run_step(&f, (struct meta_step){ .kind = META_PROP_SET, .prop = &p }));
	ck_assert(node_read(&f, a.id)->has_props);
	p.xml = "<two/>";
	p.lang = "";
	OK(run_step(&f, (struct meta_step){ .kind = META_PROP_SET, .prop = &p }));
	OK(run_step(&f, (struct meta_step){ .kind = META_PROPS_COPY, .node = b, .n = a.id }));
	ck_assert(node_read(&f, b.id)->has_props);
	OK(meta_props(f.m, &f.call, TENANT, b.id, &r, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(r->xml, "<two/>");
	ck_assert_str_eq(r->lang, "");
	OK(run_step(&f, (struct meta_step){ .kind = META_PROP_REMOVE, .prop = &p }));
	ck_assert(!node_read(&f, a.id)->has_props);
	OK(run_step(&f, (struct meta_step){ .kind = META_PROPS_DELETE, .node = b }));
	ck_assert(!node_read(&f, b.id)->has_props);
	SOUND(&f);
}
END_TEST

START_TEST(parts_are_removed_with_their_version)
{
	struct meta_step s[6] = { 0 };
	struct meta_node n = node_named(ROOT, "p", META_FILE);
	struct meta_part *p;
	unsigned count;

	n.version = gh_id_new();
	n.parts = 2;
	n.size = 20;
	s[0] = (struct meta_step){ .kind = META_NODE_INSERT, .node = n };
	s[1] = (struct meta_step){ .kind = META_VERSION_INSERT, .node = n };
	for (unsigned i = 0; i < 2; i++) {
		s[2 + i] = (struct meta_step){ .kind = META_BLOB_INSERT, .part = { .blob = 60 + i, .blob_size = 10 } };
		s[4 + i] = (struct meta_step){ .kind = META_PART_INSERT, .node = n, .n = i,
					       .part = { .blob = 60 + i, .len = 10 } };
	}
	OK(run_steps(&f, s, 6));
	ck_assert_uint_eq(fix_check(&f), 2); /* the event did not say bytes and files */
	OK(run_step(&f, (struct meta_step){ .kind = META_PARTS_DELETE, .node = n }));
	OK(meta_version_parts(f.m, &f.call, TENANT, n.version, &p, &count));
	ck_assert_uint_eq(count, 0);
	ck_assert_uint_gt(fix_check(&f), 3);
}
END_TEST

/* ---- steps: locks, epochs ---- */

START_TEST(locks_come_back_refresh_and_go)
{
	struct meta_lock l = lock_at("urn:uuid:1", "/a", ROOT), *r;
	uint64_t seen;
	unsigned n;

	l.deep = true;
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_INSERT, .lock = &l }));
	OK(meta_locks(f.m, &f.call, TENANT, &r, &n, &seen));
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(seen, l.id);
	ck_assert_uint_eq(r->id, l.id);
	ck_assert_str_eq(r->token, l.token);
	ck_assert_uint_eq(r->node, ROOT);
	ck_assert_uint_eq(r->user, 7);
	ck_assert_str_eq(r->path_key, "/a");
	ck_assert_str_eq(r->path, "/a");
	ck_assert(r->exclusive && r->deep);
	ck_assert_int_eq(r->expires_us, l.expires_us);
	ck_assert_uint_eq(r->timeout_s, 3600);
	ck_assert_str_eq(r->owner_xml, "<o/>");
	ck_assert_str_eq(r->user_name, "ann");
	IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_LOCK_INSERT, .lock = &l })); /* its token is used */
	l.timeout_s = 60;
	l.expires_us += 5;
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_REFRESH, .lock = &l }));
	OK(meta_locks(f.m, &f.call, TENANT, &r, &n, &seen));
	ck_assert_uint_eq(r->timeout_s, 60);
	ck_assert_int_eq(r->expires_us, l.expires_us);
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_DELETE, .lock = &l }));
	ck_assert_uint_eq(locks_seen(&n), l.id); /* highest ever */
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(locks_below_a_path_go_and_those_beside_it_stay)
{
	static const char *const paths[] = { "/a", "/a/b", "/a/b/c", "/a0", "/a-b", "/b" };
	struct meta_lock *r, at = { .path_key = "/a" };
	uint64_t seen;
	unsigned n;

	for (unsigned i = 0; i < 6; i++)
		lock_make(paths[i], paths[i], ROOT);
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCKS_BELOW, .lock = &at }));
	OK(meta_locks(f.m, &f.call, TENANT, &r, &n, &seen));
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(r[0].path_key, "/a-b");
	ck_assert_str_eq(r[1].path_key, "/a0");
	ck_assert_str_eq(r[2].path_key, "/b");
	at.path_key = "/";
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCKS_BELOW, .lock = &at }));
	locks_seen(&n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(expired_locks_are_not_told_and_then_removed)
{
	struct meta_lock l = lock_at("urn:uuid:1", "/a", ROOT);
	unsigned n;

	l.expires_us = gh_real_us() - 1;
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_INSERT, .lock = &l }));
	locks_seen(&n);
	ck_assert_uint_eq(n, 0);
	OK(meta_locks_expire(f.m, &f.call));
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_INSERT, .lock = &l })); /* its token is free */
}
END_TEST

START_TEST(the_epochs_rise_by_one)
{
	struct meta_tenant a = tenant_read(), b;

	OK(run_step(&f, (struct meta_step){ .kind = META_TREE_GEN }));
	OK(run_step(&f, (struct meta_step){ .kind = META_RIGHTS_EPOCH }));
	OK(run_step(&f, (struct meta_step){ .kind = META_RIGHTS_EPOCH }));
	b = tenant_read();
	ck_assert_uint_eq(b.tree_gen, a.tree_gen + 1);
	ck_assert_uint_eq(b.rights_epoch, a.rights_epoch + 2);
}
END_TEST

START_TEST(a_batch_that_makes_no_sense_is_a_bug_and_does_nothing)
{
	struct meta_step s = { .kind = META_STEP_COUNT };
	struct meta_batch b = batch_new(&s, 1);
	uint64_t rows = rows_written();

	IS(GH_BUG, meta_commit(f.m, &f.call, &b));
	b = batch_new(&s, META_STEPS_MAX + 1);
	IS(GH_BUG, meta_commit(f.m, &f.call, &b));
	b = batch_new(&s, 0);
	b.op = 0;
	IS(GH_BUG, meta_commit(f.m, &f.call, &b));
	ck_assert_uint_eq(rows_written(), rows);
}
END_TEST

START_TEST(a_thousand_steps_are_one_batch)
{
	struct meta_step *s = calloc(META_STEPS_MAX, sizeof(*s));

	for (unsigned i = 0; i < META_STEPS_MAX; i++)
		s[i] = (struct meta_step){ .kind = META_NODE_INSERT,
					   .node = node_named(ROOT, gh_printf(f.a, "f%04u", i), META_FOLDER) };
	OK(run_steps(&f, s, META_STEPS_MAX));
	s[META_STEPS_MAX - 1].node.id = gh_id_new(); /* its name is taken: none of them happens again */
	s[0].node = node_named(ROOT, "new", META_FOLDER);
	IS(GH_STALE, run_steps(&f, s, META_STEPS_MAX));
	ck_assert_ptr_null(node_read(&f, s[0].node.id));
	free(s);
	SOUND(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata commits");
	TCase *t = tcase_create("commit");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 240);
	tcase_add_test(t, a_small_put_writes_four_rows_and_nothing_else);
	tcase_add_test(t, an_operation_that_was_done_is_not_done_again);
	tcase_add_test(t, the_same_operation_id_in_two_tenants_is_two_operations);
	tcase_add_test(t, each_epoch_guard_alone_makes_a_batch_stale);
	tcase_add_test(t, a_batch_of_an_unknown_tenant_is_stale);
	tcase_add_test(t, each_slot_guard_alone_makes_a_batch_stale);
	tcase_add_test(t, a_lock_that_was_not_seen_makes_a_batch_stale_where_it_matters);
	tcase_add_test(t, a_lock_with_an_older_id_that_comes_later_is_noticed);
	tcase_add_test(t, new_content_replaces_the_old_and_gives_it_back);
	tcase_add_test(t, a_step_on_what_is_not_there_leaves_nothing_of_its_batch);
	tcase_add_test(t, a_moved_node_keeps_its_id_and_content);
	tcase_add_test(t, touch_raises_the_revision_and_sets_the_time_if_there_is_one);
	tcase_add_test(t, a_deleted_file_is_gone_with_all_that_was_its);
	tcase_add_test(t, a_file_moved_onto_a_file_gives_it_its_versions);
	tcase_add_test(t, a_dead_blob_cannot_be_referenced_and_its_id_not_used_again);
	tcase_add_test(t, properties_are_set_replaced_copied_and_removed_and_the_flag_follows);
	tcase_add_test(t, parts_are_removed_with_their_version);
	tcase_add_test(t, locks_come_back_refresh_and_go);
	tcase_add_test(t, locks_below_a_path_go_and_those_beside_it_stay);
	tcase_add_test(t, expired_locks_are_not_told_and_then_removed);
	tcase_add_test(t, the_epochs_rise_by_one);
	tcase_add_test(t, a_batch_that_makes_no_sense_is_a_bug_and_does_nothing);
	tcase_add_test(t, a_thousand_steps_are_one_batch);
	suite_add_tcase(s, t);
	return run_suite(s);
}
