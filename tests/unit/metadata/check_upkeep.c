/* Upkeep: dead blobs and orphans, the trash walker, the ledger's fold, the event log, fsck's findings. */
#include <pthread.h>
#include <stdatomic.h>

#include "core/base/metrics.h"
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

static void usage_is(uint64_t bytes, uint64_t files)
{
	uint64_t b, n;

	OK(meta_usage(f.m, &f.call, TENANT, &b, &n));
	ck_assert_uint_eq(b, bytes);
	ck_assert_uint_eq(n, files);
}

static void damage(const char *sql)
{
	fix_sql(&f, sql);
}

/* ---- blobs ---- */

START_TEST(dead_blobs_are_told_after_their_grace_and_forgotten)
{
	struct meta_node n = file_make(&f, ROOT, "a", 10);
	struct meta_blob_row *r;
	unsigned count;

	file_make(&f, ROOT, "b", 10);
	OK(run_step(&f, (struct meta_step){ .kind = META_BLOB_UNREF, .part = { .blob = n.blob } }));
	OK(meta_blobs_dead(f.m, &f.call, gh_real_us() - GH_S_US, 10, &r, &count));
	ck_assert_uint_eq(count, 0);
	OK(meta_blobs_dead(f.m, &f.call, gh_real_us() + GH_S_US, 10, &r, &count));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(r->tenant, TENANT);
	ck_assert_uint_eq(r->id, n.blob);
	ck_assert_uint_eq(r->size, 10);
	ck_assert_uint_eq(r->loc.len, 4);
	ck_assert_mem_eq(r->loc.bytes, n.loc.bytes, 4);
	ck_assert(r->dead);
	OK(meta_blob_forget(f.m, &f.call, TENANT, n.blob));
	IS(GH_NOTFOUND, meta_blob_forget(f.m, &f.call, TENANT, n.blob));
	OK(meta_blobs(f.m, &f.call, 0, 0, 10, &r, &count));
	ck_assert_uint_eq(count, 1);
	IS(GH_NOTFOUND, meta_blob_forget(f.m, &f.call, TENANT, r->id)); /* it is in use */
}
END_TEST

START_TEST(upkeep_keeps_out_of_a_tenant_that_is_on_its_way)
{
	struct meta_step s = { .kind = META_BLOB_UNREF }, touch = { .kind = META_NODE_TOUCH };
	const struct meta_node n = file_make(&f, ROOT, "a", 10);
	struct meta_batch b = batch_new(&touch, 1);
	const struct blob_object o = { .tenant = TENANT, .id = 4711, .size = 10, .loc = { .len = 2, .bytes = { 7, 8 } } };
	struct meta_blob_row *r;
	unsigned count;
	bool left;

	s.part.blob = n.blob;
	OK(run_step(&f, s));
	s = (struct meta_step){ .kind = META_NODE_PLACE, .node = n };
	s.node.parent = TRASH;
	OK(run_step(&f, s));
	fix_sql(&f, "UPDATE tenant SET state = 1");
	OK(meta_blobs_dead(f.m, &f.call, gh_real_us() + GH_S_US, 10, &r, &count));
	ck_assert_uint_eq(count, 0);
	IS(GH_NOTFOUND, meta_blob_forget(f.m, &f.call, TENANT, n.blob));
	IS(GH_BUSY, meta_blob_claim(f.m, &f.call, &o));
	OK(meta_trash_step(f.m, &f.call, 10, &left));
	ck_assert(!left);
	ck_assert_ptr_nonnull(node_read(&f, n.id));
	touch.node.id = n.id;
	b.tells = true; /* it may be changed by who tells */
	OK(shard_commit(f.m->central, &f.call, &b));
	fix_sql(&f, "UPDATE tenant SET state = 0");
	OK(meta_blobs_dead(f.m, &f.call, gh_real_us() + GH_S_US, 10, &r, &count));
	ck_assert_uint_eq(count, 1);
	OK(meta_trash_step(f.m, &f.call, 10, &left));
	ck_assert(left);
	ck_assert_ptr_null(node_read(&f, n.id));
}
END_TEST

START_TEST(a_tenant_that_is_frozen_or_elsewhere_takes_no_change)
{
	static const char *const states[] = { "UPDATE tenant SET state = 2", "UPDATE tenant SET state = 3" };
	const struct meta_node n = file_make(&f, ROOT, "a", 10);
	struct meta_tenant *t;
	unsigned count;

	for (unsigned i = 0; i < 2; i++) {
		fix_sql(&f, states[i]);
		IS(GH_STALE, run_step(&f, (struct meta_step){ .kind = META_NODE_TOUCH, .node = { .id = n.id } }));
		OK(meta_tenants(f.m, &f.call, 0, 10, &t, &count));
		ck_assert_uint_eq(count, i == 0); /* what is elsewhere is not here */
	}
	ck_assert_uint_eq(node_read(&f, n.id)->rev, n.rev ? n.rev : 1);
}
END_TEST

START_TEST(an_orphan_is_claimed_and_a_late_commit_of_its_id_fails)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);
	struct blob_object o = { .tenant = TENANT, .id = s[2].part.blob, .size = 10, .loc = { .len = 2, .bytes = { 7, 8 } } };
	struct meta_blob_row *r;
	unsigned count;

	OK(meta_blob_claim(f.m, &f.call, &o));
	IS(GH_EXISTS, meta_blob_claim(f.m, &f.call, &o));
	IS(GH_STALE, meta_commit(f.m, &f.call, &b));
	ck_assert_ptr_null(node_read(&f, s[0].node.id));
	OK(meta_blobs_dead(f.m, &f.call, gh_real_us() + GH_S_US, 10, &r, &count));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(r->loc.bytes[1], 8);
	SOUND(&f);
}
END_TEST

START_TEST(blobs_are_paged_over_tenants)
{
	struct meta_blob_row *r;
	unsigned count, seen = 0;
	uint64_t tenant = 0, id = 0;

	tenant_make(&f, 2000, 2001, 2002, "b");
	for (unsigned i = 0; i < 5; i++) {
		struct blob_object o = { .tenant = i < 3 ? TENANT : 2000, .id = 10 + i };

		OK(meta_blob_claim(f.m, &f.call, &o));
	}
	do {
		OK(meta_blobs(f.m, &f.call, tenant, id, 2, &r, &count));
		for (unsigned i = 0; i < count; i++) {
			ck_assert_uint_eq(r[i].id, 10 + seen++);
			tenant = r[i].tenant;
			id = r[i].id;
		}
	} while (count);
	ck_assert_uint_eq(seen, 5);
}
END_TEST

START_TEST(a_blob_marked_as_damaged_is_a_finding)
{
	struct meta_node n = file_make(&f, ROOT, "a", 10);
	struct meta_blob_row *r;
	unsigned count;

	OK(meta_blob_mark_damaged(f.m, &f.call, TENANT, n.blob));
	OK(meta_blobs(f.m, &f.call, 0, 0, 10, &r, &count));
	ck_assert(r->damaged);
	ck_assert_uint_eq(fix_check(&f), 1);
}
END_TEST

/* ---- the trash ---- */

/* A folder of `files` files and as many folders below as depth says, moved to the trash. */
static void trash_tree(unsigned files, unsigned depth)
{
	uint64_t top = folder_make(&f, ROOT, "tree"), at = top;
	struct meta_node to;
	char key[32];

	for (unsigned d = 0; d < depth; d++) {
		for (unsigned i = 0; i < files; i++) {
			struct meta_node n;
			struct meta_prop p = { .ns = "x", .name = "y", .xml = "z", .lang = "" };
			struct meta_lock l = { .id = gh_id_new(), .token = gh_printf(f.a, "t%u-%u", d, i), .path_key = "/tree",
					       .path = "/tree", .expires_us = INT64_MAX };
			struct meta_ace e = { 'e', 0, false, 1 };
			struct meta_acl_node acl = { .ace_count = 1, .aces = &e };

			n = file_make(&f, at, gh_printf(f.a, "f%u", i), 10);
			p.node = l.node = acl.id = n.id;
			OK(run_step(&f, (struct meta_step){ .kind = META_PROP_SET, .prop = &p }));
			OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_INSERT, .lock = &l }));
			OK(run_step(&f, (struct meta_step){ .kind = META_ACL_SET, .acl = &acl }));
		}
		at = folder_make(&f, at, "a-sub"); /* before its files in the order of keys */
	}
	snprintf(key, sizeof(key), "%llu", (unsigned long long)top);
	to = node_named(TRASH, key, META_FOLDER);
	to.id = top;
	OK(run_step(&f, (struct meta_step){ .kind = META_NODE_PLACE, .node = to }));
}

START_TEST(the_walker_empties_the_trash_in_steps_and_every_step_leaves_all_sound)
{
	struct meta_blob_row *r;
	bool left = true;
	unsigned steps = 0, count;
	struct meta_page p;
	struct meta_lock *l;
	uint64_t seen;

	file_make(&f, ROOT, "stays", 7);
	trash_tree(5, 4);
	usage_is(207, 21);
	for (; left; steps++) {
		OK(meta_trash_step(f.m, &f.call, 3, &left));
		SOUND(&f);
	}
	ck_assert_uint_gt(steps, 8);
	usage_is(7, 1);
	OK(meta_list(f.m, &f.call, TENANT, TRASH, "", 10, &p));
	ck_assert_uint_eq(p.count, 0);
	OK(meta_blobs_dead(f.m, &f.call, INT64_MAX, 1000, &r, &count));
	ck_assert_uint_eq(count, 20);
	OK(meta_locks(f.m, &f.call, TENANT, &l, &count, &seen));
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(a_file_of_many_parts_is_purged_over_several_steps)
{
	struct meta_step *s = calloc(META_STEPS_MAX, sizeof(*s));
	struct meta_node n = node_named(TRASH, "1", META_FILE);
	struct meta_batch b;
	unsigned steps = 0, total = 3 * 900, count;
	struct meta_blob_row *r;
	bool left = true;

	n.version = gh_id_new();
	n.parts = total;
	n.size = total;
	s[0] = (struct meta_step){ .kind = META_NODE_INSERT, .node = n };
	s[1] = (struct meta_step){ .kind = META_VERSION_INSERT, .node = n };
	s[2] = (struct meta_step){ .kind = META_BLOB_INSERT, .part = { .blob = 50, .blob_size = 1 } };
	b = batch_new(s, 3);
	b.event.files = 1;
	b.event.bytes = total;
	OK(meta_commit(f.m, &f.call, &b));
	for (unsigned at = 0; at < total; at += 450) {
		for (unsigned i = 0; i < 450; i++) {
			s[2 * i] = (struct meta_step){ .kind = META_PART_INSERT, .node = n, .n = at + i,
						       .part = { .blob = 50, .len = 1 } };
			s[2 * i + 1] = (struct meta_step){ .kind = at + i ? META_BLOB_REF : META_TREE_GEN,
							   .part = { .blob = 50 } };
		}
		OK(run_steps(&f, s, 900));
	}
	SOUND(&f);
	for (; left; steps++) {
		OK(meta_trash_step(f.m, &f.call, 100, &left));
		SOUND(&f);
	}
	ck_assert_uint_gt(steps, 3);
	usage_is(0, 0);
	OK(meta_blobs_dead(f.m, &f.call, INT64_MAX, 10, &r, &count));
	ck_assert_uint_eq(count, 1);
	free(s);
}
END_TEST

START_TEST(an_empty_trash_costs_nothing)
{
	bool left = true;

	OK(meta_trash_step(f.m, &f.call, 100, &left));
	ck_assert(!left);
}
END_TEST

/* ---- the ledger and the log ---- */

START_TEST(the_fold_changes_no_sum_and_drops_only_what_is_old)
{
	struct meta_event *e;
	unsigned n, before;

	for (unsigned i = 0; i < 10; i++)
		file_make(&f, ROOT, gh_printf(f.a, "f%u", i), i);
	OK(meta_events(f.m, &f.call, TENANT, 0, 100, &e, &before));
	ck_assert_uint_eq(before, 11);
	OK(meta_events_fold(f.m, &f.call, 0));
	usage_is(45, 10);
	OK(meta_events(f.m, &f.call, TENANT, 0, 100, &e, &n));
	ck_assert_uint_eq(n, before);
	OK(meta_events_fold(f.m, &f.call, gh_real_us() + GH_S_US));
	usage_is(45, 10);
	OK(meta_events(f.m, &f.call, TENANT, 0, 100, &e, &n));
	ck_assert_uint_eq(n, 1); /* the newest stays */
	OK(meta_events_fold(f.m, &f.call, gh_real_us() + GH_S_US));
	file_make(&f, ROOT, "more", 5);
	usage_is(50, 11);
	SOUND(&f);
}
END_TEST

START_TEST(an_operation_that_commits_after_the_fold_has_passed_its_id_counts_once)
{
	struct meta_step s[3];
	struct meta_batch early = put_batch(s, ROOT, "early", 100); /* its id is older than the next one's */

	file_make(&f, ROOT, "other", 10);
	OK(meta_events_fold(f.m, &f.call, 0));
	usage_is(10, 1);
	OK(meta_commit(f.m, &f.call, &early));
	usage_is(110, 2);
	SOUND(&f);
	OK(meta_events_fold(f.m, &f.call, 0));
	usage_is(110, 2);
	OK(meta_events_fold(f.m, &f.call, gh_real_us() + GH_S_US));
	usage_is(110, 2);
	SOUND(&f);
}
END_TEST

START_TEST(where_nothing_has_happened_a_fold_writes_nothing)
{
	int64_t groups;

	for (unsigned i = 0; i < 10; i++)
		file_make(&f, ROOT, gh_printf(f.a, "f%u", i), i);
	OK(meta_events_fold(f.m, &f.call, 0));
	groups = gh_metric_get(GH_M_COMMIT_GROUPS, 0);
	OK(meta_events_fold(f.m, &f.call, 0));
	ck_assert_int_le(gh_metric_get(GH_M_COMMIT_GROUPS, 0), groups + 1); /* the house's own */
	file_make(&f, ROOT, "more", 5);
	groups = gh_metric_get(GH_M_COMMIT_GROUPS, 0);
	OK(meta_events_fold(f.m, &f.call, 0));
	ck_assert_int_ge(gh_metric_get(GH_M_COMMIT_GROUPS, 0), groups + 2);
	usage_is(50, 11);
}
END_TEST

START_TEST(a_fold_that_is_out_of_time_goes_on_with_the_next)
{
	struct meta_call late = { .arena = f.a, .op = "fold", .deadline_ns = 1 };
	struct meta_event *e;
	unsigned n;

	file_make(&f, ROOT, "a", 5);
	file_make(&f, ROOT, "b", 5);
	IS(GH_DEADLINE, meta_events_fold(f.m, &late, gh_real_us() + GH_S_US));
	OK(meta_events(f.m, &f.call, TENANT, 0, 100, &e, &n));
	ck_assert_uint_eq(n, 3);
	OK(meta_events_fold(f.m, &f.call, gh_real_us() + GH_S_US));
	OK(meta_events(f.m, &f.call, TENANT, 0, 100, &e, &n));
	ck_assert_uint_eq(n, 1);
	usage_is(10, 2);
}
END_TEST

static atomic_bool folding;

static void *fold_on(void *arg)
{
	struct gh_arena *a = gh_arena_new(4u << 20);
	struct meta_call call = { .arena = a, .op = "fold" };

	while (atomic_load(&folding)) {
		ck_assert_int_eq(meta_events_fold(f.m, &call, gh_real_us() - 10000), GH_OK);
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
	return arg;
}

static void *write_on(void *arg)
{
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct meta_call call = { .arena = a, .op = "write" };

	for (unsigned i = 0; i < 300; i++) {
		struct meta_step s[3];
		char name[32];
		struct meta_batch b;

		snprintf(name, sizeof(name), "%s-%u", (const char *)arg, i);
		b = put_batch(s, ROOT, name, 3);
		ck_assert_int_eq(meta_commit(f.m, &call, &b), GH_OK);
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
	return NULL;
}

START_TEST(folding_while_others_commit_counts_everything_once)
{
	static const char *const names[4] = { "a", "b", "c", "d" };
	pthread_t folder, writers[4];

	atomic_store(&folding, true);
	ck_assert_int_eq(pthread_create(&folder, NULL, fold_on, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&writers[i], NULL, write_on, (void *)names[i]), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(writers[i], NULL);
	atomic_store(&folding, false);
	pthread_join(folder, NULL);
	usage_is(3600, 1200);
	SOUND(&f);
}
END_TEST

START_TEST(events_tell_who_did_what_oldest_first_for_one_tenant_or_all)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, "a", 10);
	struct meta_event *e;
	unsigned n;
	uint64_t first = b.op;

	b.event = (struct meta_event){ .user = 7, .user_name = "ann", .what = "write", .door = "ftp", .path = "/a",
				       .dest = "/b", .request_id = "r1", .node = 5, .bytes = 10, .files = 1 };
	OK(meta_commit(f.m, &f.call, &b));
	tenant_make(&f, 2000, 2001, 2002, "b");
	file_make(&f, ROOT, "c", 1);
	OK(meta_events(f.m, &f.call, TENANT, first - 1, 10, &e, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(e->op, first);
	ck_assert_uint_eq(e->tenant, TENANT);
	ck_assert_int_eq(e->time_us, b.time_us);
	ck_assert_uint_eq(e->user, 7);
	ck_assert_str_eq(e->user_name, "ann");
	ck_assert_str_eq(e->what, "write");
	ck_assert_str_eq(e->door, "ftp");
	ck_assert_str_eq(e->path, "/a");
	ck_assert_str_eq(e->dest, "/b");
	ck_assert_str_eq(e->request_id, "r1");
	ck_assert_uint_eq(e->node, 5);
	ck_assert_int_eq(e->bytes, 10);
	ck_assert_int_eq(e->files, 1);
	OK(meta_events(f.m, &f.call, 0, first - 1, 2, &e, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(e[0].op, first);
	ck_assert_uint_eq(e[1].tenant, 2000);
	OK(meta_events(f.m, &f.call, 0, e[1].op, 2, &e, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(e[0].tenant, TENANT);
}
END_TEST

START_TEST(the_id_floor_is_the_highest_of_all_ids)
{
	struct meta_node n = file_make(&f, ROOT, "a", 1);
	uint64_t floor, high = n.blob > n.version ? n.blob : n.version;
	struct meta_lock l = { .id = UINT64_C(1) << 61, .token = "t", .path_key = "/", .path = "/", .expires_us = 1 };

	OK(meta_id_floor(f.m, &f.call, &floor));
	ck_assert_uint_ge(floor, high);
	ck_assert_uint_lt(floor, gh_id_new());
	OK(run_step(&f, (struct meta_step){ .kind = META_LOCK_INSERT, .lock = &l }));
	OK(meta_id_floor(f.m, &f.call, &floor));
	ck_assert_uint_ge(floor, l.id);
}
END_TEST

/* ---- fsck ---- */

static const struct {
	const char *sql;
	bool loss;
	const char *words;
} ruins[] = {
	{ "DELETE FROM node WHERE id = 1002", true, "root or trash folder is missing" },
	{ "UPDATE node SET parent = 0, name_key = x'61' WHERE name = x'64'", true, "no root" },
	{ "UPDATE node SET parent = 4711 WHERE name = x'66'", true, "parent of node is missing" },
	{ "UPDATE node SET type = 1 WHERE name = x'64'", true, "parent of node is missing or no folder" },
	{ "UPDATE node SET parent = (SELECT id FROM node WHERE name = x'65') WHERE name = x'64'", true,
	  "reached from the root" },
	{ "DELETE FROM version", true, "current version of file is missing" },
	{ "UPDATE node SET size = 11 WHERE type = 1", true, "file and its current version differ" },
	{ "UPDATE version SET node = 4711", true, "version without node" },
	{ "INSERT INTO part VALUES (1000, 4711, 0, 1, 0, 1)", true, "part without version" },
	{ "UPDATE version SET parts = 2", true, "parts do not add up" },
	{ "DELETE FROM blob", true, "blob of version is missing" },
	{ "UPDATE blob SET refs = 0", true, "blob of version is missing or dead" },
	{ "UPDATE blob SET refs = 2", true, "miscounted" },
	{ "UPDATE blob SET size = 11", true, "differ in size" },
	{ "UPDATE blob SET loc = x'00'", true, "differ in locator" },
	{ "UPDATE node SET has_props = 1 WHERE type = 1", true, "properties of node" },
	{ "UPDATE event SET bytes = bytes + 1", true, "bytes of the ledger" },
	{ "UPDATE usage_total SET files = files - 1", true, "number of files" },
	{ "INSERT INTO prop VALUES (1000, 4711, x'61', x'62', '', '')", false, "property without node" },
	{ "INSERT INTO locks VALUES (1000, x'61', 1, 1, 4711, 1, '', x'61', '', 1, 1, 1, 1, '')", false, "lock without" },
	{ "INSERT INTO acl_node VALUES (1000, 4711, 0)", false, "rights without node" },
	{ "INSERT INTO ace VALUES (1000, 1001, 0, 101, 0, 0, 1)", false, "entry that no node lists" },
	{ "INSERT INTO member VALUES (1000, 1, 2)", false, "membership without" },
	{ "INSERT INTO token VALUES (1000, 1, 2, x'61', '', 0, 0, 0)", false, "app password without" },
};

struct search {
	const char *words;
	bool loss, found;
};

static void look_for(void *arg, bool loss, const char *text)
{
	struct search *s = arg;

	if (strstr(text, s->words) && loss == s->loss)
		s->found = true;
}

START_TEST(fsck_names_each_kind_of_ruin)
{
	struct search s = { ruins[_i].words, ruins[_i].loss, false };
	uint64_t d = folder_make(&f, ROOT, "d");

	folder_make(&f, d, "e");
	file_make(&f, d, "f", 10);
	SOUND(&f);
	damage(ruins[_i].sql);
	OK(meta_check(f.m, &f.call, look_for, &s));
	ck_assert_msg(s.found, "%s: not found: %s", ruins[_i].sql, ruins[_i].words);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata upkeep");
	TCase *t = tcase_create("upkeep");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 240);
	tcase_add_test(t, dead_blobs_are_told_after_their_grace_and_forgotten);
	tcase_add_test(t, upkeep_keeps_out_of_a_tenant_that_is_on_its_way);
	tcase_add_test(t, a_tenant_that_is_frozen_or_elsewhere_takes_no_change);
	tcase_add_test(t, an_orphan_is_claimed_and_a_late_commit_of_its_id_fails);
	tcase_add_test(t, blobs_are_paged_over_tenants);
	tcase_add_test(t, a_blob_marked_as_damaged_is_a_finding);
	tcase_add_test(t, the_walker_empties_the_trash_in_steps_and_every_step_leaves_all_sound);
	tcase_add_test(t, a_file_of_many_parts_is_purged_over_several_steps);
	tcase_add_test(t, an_empty_trash_costs_nothing);
	tcase_add_test(t, the_fold_changes_no_sum_and_drops_only_what_is_old);
	tcase_add_test(t, an_operation_that_commits_after_the_fold_has_passed_its_id_counts_once);
	tcase_add_test(t, where_nothing_has_happened_a_fold_writes_nothing);
	tcase_add_test(t, a_fold_that_is_out_of_time_goes_on_with_the_next);
	tcase_add_test(t, folding_while_others_commit_counts_everything_once);
	tcase_add_test(t, events_tell_who_did_what_oldest_first_for_one_tenant_or_all);
	tcase_add_test(t, the_id_floor_is_the_highest_of_all_ids);
	tcase_add_loop_test(t, fsck_names_each_kind_of_ruin, 0, sizeof(ruins) / sizeof(ruins[0]));
	suite_add_tcase(s, t);
	return run_suite(s);
}
