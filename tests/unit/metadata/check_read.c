/* Reading: what was committed comes back, one moment at a time, in key order. */
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

static struct gh_component comp(const char *key)
{
	return (struct gh_component){ key, key, (uint16_t)strlen(key), (uint16_t)strlen(key) };
}

START_TEST(a_new_file_comes_back_whole)
{
	struct meta_node n = file_make(&f, ROOT, "a.txt", 123);
	struct meta_node *r = node_read(&f, n.id);

	ck_assert_ptr_nonnull(r);
	ck_assert_uint_eq(r->parent, ROOT);
	ck_assert_int_eq(r->type, META_FILE);
	ck_assert_str_eq(r->name, "a.txt");
	ck_assert_str_eq(r->key, "a.txt");
	ck_assert_uint_eq(r->name_len, 5);
	ck_assert_uint_eq(r->owner, 7);
	ck_assert_uint_eq(r->version, n.version);
	ck_assert_uint_eq(r->rev, 1);
	ck_assert_uint_eq(r->size, 123);
	ck_assert_int_eq(r->made_us, 5);
	ck_assert_int_eq(r->mtime_us, 6);
	ck_assert(!r->has_props);
	ck_assert_uint_eq(r->parts, 1);
	ck_assert_uint_eq(r->blob, n.blob);
	ck_assert_uint_eq(r->loc.len, 4);
	ck_assert_mem_eq(r->loc.bytes, n.loc.bytes, 4);
	ck_assert_uint_eq(r->crc, 77);
	SOUND(&f);
}
END_TEST

START_TEST(a_node_of_another_tenant_is_not_found)
{
	struct meta_node n = file_make(&f, ROOT, "a", 1), *r;

	IS(GH_NOTFOUND, meta_node_get(f.m, &f.call, TENANT + 1, n.id, &r));
}
END_TEST

START_TEST(a_path_resolves_to_all_its_nodes_or_as_far_as_it_goes)
{
	uint64_t a = folder_make(&f, ROOT, "a"), b = folder_make(&f, a, "b");
	struct meta_node file = file_make(&f, b, "c", 3), *r;
	struct gh_component c[4] = { comp("a"), comp("b"), comp("c"), comp("d") };
	unsigned found = 99;

	OK(meta_resolve(f.m, &f.call, TENANT, ROOT, c, 3, &r, &found));
	ck_assert_uint_eq(found, 3);
	ck_assert_uint_eq(r[0].id, a);
	ck_assert_uint_eq(r[1].id, b);
	ck_assert_uint_eq(r[2].id, file.id);
	OK(meta_resolve(f.m, &f.call, TENANT, ROOT, c, 4, &r, &found));
	ck_assert_uint_eq(found, 3);
	OK(meta_resolve(f.m, &f.call, TENANT, ROOT, c + 1, 2, &r, &found));
	ck_assert_uint_eq(found, 0);
	OK(meta_resolve(f.m, &f.call, TENANT, a, c + 1, 2, &r, &found));
	ck_assert_uint_eq(found, 2);
	OK(meta_resolve(f.m, &f.call, TENANT, ROOT, c, 0, &r, &found));
	ck_assert_uint_eq(found, 0);
	OK(meta_resolve(f.m, &f.call, TENANT + 1, ROOT, c, 3, &r, &found));
	ck_assert_uint_eq(found, 0);
}
END_TEST

START_TEST(paths_of_every_depth_resolve)
{
	struct gh_component c[GH_DEPTH_MAX];
	uint64_t ids[GH_DEPTH_MAX], at = ROOT;
	struct meta_node *r;
	unsigned found;

	for (unsigned i = 0; i < GH_DEPTH_MAX; i++) {
		c[i] = comp(gh_printf(f.a, "d%u", i));
		ids[i] = at = folder_make(&f, at, c[i].key);
	}
	for (unsigned n = 1; n <= GH_DEPTH_MAX; n++) {
		OK(meta_resolve(f.m, &f.call, TENANT, ROOT, c, n, &r, &found));
		ck_assert_uint_eq(found, n);
		for (unsigned i = 0; i < n; i++)
			ck_assert_uint_eq(r[i].id, ids[i]);
	}
	c[40] = comp("gap");
	OK(meta_resolve(f.m, &f.call, TENANT, ROOT, c, GH_DEPTH_MAX, &r, &found));
	ck_assert_uint_eq(found, 40);
}
END_TEST

START_TEST(a_listing_is_paged_by_key_bytes_and_complete)
{
	static const char *const names[] = { "A", "Z", "a", "a b", "a.b", "b", "\xc3\xa4", "\xf0\x9f\x98\x80" };
	struct meta_page p;
	const char *after = "";
	unsigned seen = 0;

	for (int i = 7; i >= 0; i--)
		file_make(&f, ROOT, names[i], 1);
	do {
		OK(meta_list(f.m, &f.call, TENANT, ROOT, after, 3, &p));
		for (unsigned i = 0; i < p.count; i++)
			ck_assert_str_eq(p.nodes[i].key, names[seen++]);
		ck_assert(p.more == (seen < 8));
		after = p.count ? p.nodes[p.count - 1].key : after;
	} while (p.more);
	ck_assert_uint_eq(seen, 8);
	OK(meta_list(f.m, &f.call, TENANT, ROOT, "", 8, &p));
	ck_assert(!p.more);
	OK(meta_list(f.m, &f.call, TENANT, 4711, "", 8, &p));
	ck_assert_uint_eq(p.count, 0);
}
END_TEST

/* count of all the members f0000 ..., from number `from` on. */
static void listed(unsigned from, unsigned limit, unsigned all)
{
	const unsigned there = all - from, count = there < limit ? there : limit;
	char after[16] = "", want[16];
	struct meta_page p;

	if (from)
		snprintf(after, sizeof(after), "f%04u", from - 1);
	OK(meta_list(f.m, &f.call, TENANT, ROOT, after, limit, &p));
	ck_assert_uint_eq(p.count, count);
	ck_assert(p.more == (there > limit));
	for (unsigned i = 0; i < count; i++) {
		snprintf(want, sizeof(want), "f%04u", from + i);
		ck_assert_str_eq(p.nodes[i].key, want);
		ck_assert_uint_eq(p.nodes[i].size, 1);
	}
}

START_TEST(long_listing_is_complete_wherever_its_parts_end)
{
	enum { ALL = 1030 };
	static const unsigned limits[] = { 1, 255, 256, 257, 511, 512, 513, 767, 768, 999, 1000 };
	struct meta_call small = { .op = "test" };
	char name[16];
	struct meta_page p;

	for (unsigned i = 0; i < ALL; i++) {
		snprintf(name, sizeof(name), "f%04u", i);
		file_make(&f, ROOT, name, 1);
	}
	for (unsigned i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		listed(0, limits[i], ALL);
		for (unsigned there = limits[i] - 1; there <= limits[i] + 1; there++)
			listed(ALL - there, limits[i], ALL);
	}
	small.arena = gh_arena_new(100 << 10);
	IS(GH_NOMEM, meta_list(f.m, &small, TENANT, ROOT, "", 1000, &p)); /* given up in the middle */
	gh_arena_free(&small.arena);
	listed(3, 1000, ALL);
}
END_TEST

START_TEST(parts_come_in_order_with_where_their_blobs_lie)
{
	struct meta_step s[8] = { 0 };
	struct meta_node n = node_named(ROOT, "p", META_FILE);
	struct meta_part *p;
	unsigned count;
	struct meta_batch b;

	n.version = gh_id_new();
	n.parts = 3;
	n.size = 60;
	s[0] = (struct meta_step){ .kind = META_NODE_INSERT, .node = n };
	s[1] = (struct meta_step){ .kind = META_VERSION_INSERT, .node = n };
	s[2] = (struct meta_step){ .kind = META_BLOB_INSERT,
				   .part = { .blob = 50, .blob_size = 40, .loc = { .len = 1, .bytes = { 9 } } } };
	s[3] = (struct meta_step){ .kind = META_BLOB_INSERT, .part = { .blob = 51, .blob_size = 30 } };
	s[4] = (struct meta_step){ .kind = META_BLOB_REF, .part = { .blob = 50 } };
	for (unsigned i = 0; i < 3; i++)
		s[5 + i] = (struct meta_step){ .kind = META_PART_INSERT, .n = i, .node = n,
					       .part = { .blob = i == 1 ? 51 : 50, .offset = 10 * i, .len = 20 } };
	b = batch_new(s, 8);
	b.event.bytes = 60;
	b.event.files = 1;
	OK(meta_commit(f.m, &f.call, &b));
	OK(meta_version_parts(f.m, &f.call, TENANT, n.version, &p, &count));
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(p[0].blob, 50);
	ck_assert_uint_eq(p[0].blob_size, 40);
	ck_assert_uint_eq(p[0].loc.bytes[0], 9);
	ck_assert_uint_eq(p[1].blob, 51);
	ck_assert_uint_eq(p[1].offset, 10);
	ck_assert_uint_eq(p[2].blob, 50);
	ck_assert_uint_eq(p[2].offset, 20);
	ck_assert_uint_eq(p[2].len, 20);
	SOUND(&f);
}
END_TEST

START_TEST(properties_are_read_by_node_and_by_page_of_children)
{
	struct meta_node a = file_make(&f, ROOT, "a", 1), b = file_make(&f, ROOT, "b", 1), c = file_make(&f, ROOT, "c", 1);
	struct meta_prop p[] = { { a.id, "urn:x", "one", "<v/>", "en" }, { b.id, "", "two", "t", "" },
				 { c.id, "urn:x", "three", "", "" } };
	struct meta_prop *r;
	unsigned count;

	for (unsigned i = 0; i < 3; i++)
		OK(run_step(&f, (struct meta_step){ .kind = META_PROP_SET, .prop = &p[i] }));
	OK(meta_props(f.m, &f.call, TENANT, a.id, &r, &count));
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(r->ns, "urn:x");
	ck_assert_str_eq(r->name, "one");
	ck_assert_str_eq(r->xml, "<v/>");
	ck_assert_str_eq(r->lang, "en");
	OK(meta_props_of_children(f.m, &f.call, TENANT, ROOT, "a", "c", &r, &count));
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(r[0].node, b.id);
	ck_assert_uint_eq(r[1].node, c.id);
	SOUND(&f);
}
END_TEST

START_TEST(a_read_gives_up_at_its_deadline)
{
	struct meta_call late = { .arena = f.a, .op = "late", .deadline_ns = 1 };
	struct meta_tenant *t;
	char name[16];
	enum gh_status st;

	/* In a file: a reader is free and the answer is there. From a server it could not come in no time. */
	IS(f.conninfo[0] ? GH_DEADLINE : GH_OK, meta_tenant_by_name(f.m, &late, "acme", &t));
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "f%05u", i);
		file_make(&f, ROOT, name, 1);
	}
	st = meta_id_floor(f.m, &late, &(uint64_t){ 0 });
	ck_assert(st == GH_OK || st == GH_DEADLINE);
}
END_TEST

START_TEST(an_arena_that_is_full_is_out_of_memory_and_nothing_else)
{
	struct gh_arena *small = gh_arena_new(8192);
	struct meta_call c = { .arena = small, .op = "small" };
	struct meta_page p;
	char name[16];

	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "f%05u", i);
		file_make(&f, ROOT, name, 1);
	}
	IS(GH_NOMEM, meta_list(f.m, &c, TENANT, ROOT, "", 1000, &p));
	OK(meta_list(f.m, &f.call, TENANT, ROOT, "", 1000, &p));
	ck_assert_uint_eq(p.count, 300);
	gh_arena_free(&small);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata reading");
	TCase *t = tcase_create("read");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_new_file_comes_back_whole);
	tcase_add_test(t, a_node_of_another_tenant_is_not_found);
	tcase_add_test(t, a_path_resolves_to_all_its_nodes_or_as_far_as_it_goes);
	tcase_add_test(t, paths_of_every_depth_resolve);
	tcase_add_test(t, a_listing_is_paged_by_key_bytes_and_complete);
	tcase_add_test(t, long_listing_is_complete_wherever_its_parts_end);
	tcase_add_test(t, parts_come_in_order_with_where_their_blobs_lie);
	tcase_add_test(t, properties_are_read_by_node_and_by_page_of_children);
	tcase_add_test(t, a_read_gives_up_at_its_deadline);
	tcase_add_test(t, an_arena_that_is_full_is_out_of_memory_and_nothing_else);
	suite_add_tcase(s, t);
	return run_suite(s);
}
