/* A tenant's rows in two databases: brought together (move_rows.c), and what has changed since brought after by what batches have
 * told (move_follow.c, told.c). Two stores, without a router between: what is committed goes to the first. */
#include "backends/metadata/move.h"
#include "backends/metadata/tables.h"
#include "backends/metadata/told.h"
#include "tests/unit/metadata/help.h"

#define MOVER 77u
#define ANN 3001ull
#define BOB 3002ull
#define STAFF 3003ull

static struct fix f, g; /* from, to */
static struct move mv;
static struct move_trail trail;
static struct move_tally tally;

/* Both hold other tenants too, of lower and higher numbers, with a file each: nobody touches those. */
static void neighbours(struct fix *x)
{
	struct meta_step s[3];

	for (unsigned i = 0; i < 2; i++) {
		const uint64_t id = i ? TENANT + 100 : TENANT - 100;
		struct meta_batch b;

		tenant_make(x, id, id + 1, id + 2, i ? "zebra" : "aardvark");
		b = put_batch(s, id + 1, "theirs", 5);
		b.tenant = id;
		OK(meta_commit(x->m, &x->call, &b));
	}
}

static void is_copied(void)
{
	fix_sql(&f, "UPDATE tenant SET state = 1, mover = 77 WHERE id = 1000");
}

static void setup(void)
{
	fix_new(&f);
	fix_new(&g);
	neighbours(&f);
	neighbours(&g);
	fix_sql(&g, "DELETE FROM node WHERE tenant = 1000; DELETE FROM event WHERE tenant = 1000;"
		    " DELETE FROM usage_total WHERE tenant = 1000; UPDATE tenant SET state = 3, route_epoch = 2, mover = 77 WHERE id = 1000");
	mv = (struct move){ TENANT, 2, MOVER, f.m->central, g.m->central, NULL, NULL };
}

static void teardown(void)
{
	fix_free(&f);
	fix_free(&g);
}

/* A batch of a tenant that is on its way. */
static enum gh_status told_steps(struct meta_step *steps, unsigned count)
{
	struct meta_batch b = batch_new(steps, count);

	b.tells = true;
	return shard_commit(f.m->central, &f.call, &b);
}

static enum gh_status told_step(struct meta_step step)
{
	return told_steps(&step, 1);
}

static struct meta_node told_file(uint64_t parent, const char *name, uint64_t size, uint64_t owner)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, parent, name, size);

	b.tells = true;
	b.owned_count = 1;
	b.owned[0] = (struct meta_owned){ owner, (int64_t)size, 1 };
	OK(shard_commit(f.m->central, &f.call, &b));
	return s[0].node;
}

static void copy_it(void)
{
	is_copied();
	OK(move_trail_begin(&mv, &f.call, &trail));
	OK(move_mend(&mv, &f.call, &tally));
}

static void follow_it(void)
{
	tally = (struct move_tally){ 0 };
	OK(move_follow(&mv, &f.call, &trail, &tally));
}

/* A pass over everything finds nothing. */
static void both_are_equal(const char *when)
{
	struct move_tally t;

	OK(move_mend(&mv, &f.call, &t));
	ck_assert_msg(!t.differed && t.rows, "%s: %u of %u rows differ", when, (unsigned)t.differed, (unsigned)t.rows);
}

/* ---- all rows ---- */

START_TEST(an_empty_place_gets_every_row)
{
	char name[16];

	for (unsigned i = 0; i < 600; i++) { /* more than two pages */
		snprintf(name, sizeof(name), "f%u", i * 7919 % 600);
		file_make(&f, ROOT, name, i);
	}
	copy_it();
	ck_assert_uint_eq(tally.rows, tally.differed);
	ck_assert_uint_ge(tally.rows, 600 * 4 + 3);
	both_are_equal("copied");
}
END_TEST

START_TEST(what_differs_is_made_the_same_and_nothing_else_is_written)
{
	for (unsigned i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%03u", i);
		file_make(&f, ROOT, name, i);
	}
	copy_it();
	fix_sql(&g, "UPDATE node SET size = 4711 WHERE tenant = 1000 AND name_key = x'66303030'");	/* f000 */
	fix_sql(&g, "DELETE FROM node WHERE tenant = 1000 AND name_key = x'66323939'");			/* f299 */
	fix_sql(&g, "INSERT INTO lock_seq VALUES (1000, 5)");						/* one too many */
	OK(move_mend(&mv, &f.call, &tally));
	ck_assert_uint_eq(tally.differed, 3);
	both_are_equal("mended");
}
END_TEST

START_TEST(places_that_were_changed_for_each_other_come_right)
{
	const struct meta_node a = file_make(&f, ROOT, "a", 1), z = file_make(&f, ROOT, "z", 2);
	char sql[300];

	copy_it();
	snprintf(sql, sizeof(sql), "UPDATE node SET name_key = x'71' WHERE tenant = 1000 AND id = %llu;", (unsigned long long)a.id);
	fix_sql(&f, sql);
	snprintf(sql, sizeof(sql), "UPDATE node SET name_key = x'61' WHERE tenant = 1000 AND id = %llu;", (unsigned long long)z.id);
	fix_sql(&f, sql);
	snprintf(sql, sizeof(sql), "UPDATE node SET name_key = x'7a' WHERE tenant = 1000 AND id = %llu;", (unsigned long long)a.id);
	fix_sql(&f, sql);
	OK(move_mend(&mv, &f.call, &tally));
	both_are_equal("after one pass");
}
END_TEST

START_TEST(neighbours_are_left_alone)
{
	struct meta_node *n;
	unsigned found = 0;

	file_make(&f, ROOT, "mine", 9);
	copy_it();
	mv.from = NULL; /* and all of it goes again */
	OK(move_mend(&mv, &f.call, &tally));
	ck_assert_uint_ge(tally.differed, 6);
	for (unsigned i = 0; i < 2; i++) {
		const struct gh_component c = { .key = "theirs", .key_len = 6 };
		const uint64_t id = i ? TENANT + 100 : TENANT - 100;

		OK(shard_resolve(g.m->central, &g.call, id, id + 1, &c, 1, &n, &found));
		ck_assert_uint_eq(found, 1);
	}
	OK(shard_node_get(g.m->central, &g.call, TENANT - 100, TENANT - 99, &n));
	IS(GH_NOTFOUND, shard_node_get(g.m->central, &g.call, TENANT, ROOT, &n));
}
END_TEST

START_TEST(nothing_is_written_for_a_mover_that_was_taken_for_dead)
{
	file_make(&f, ROOT, "x", 1);
	mv.mover = MOVER + 1;
	IS(GH_STALE, move_mend(&mv, &f.call, &tally));
	mv.mover = MOVER;
	mv.epoch = 3;
	IS(GH_STALE, move_mend(&mv, &f.call, &tally));
	mv.epoch = 2;
	fix_sql(&g, "UPDATE tenant SET state = 0 WHERE id = 1000");
	IS(GH_STALE, move_mend(&mv, &f.call, &tally));
}
END_TEST

/* ---- what is told ---- */

START_TEST(who_does_not_tell_may_not_write)
{
	struct meta_step s = { .kind = META_TREE_GEN };

	is_copied();
	IS(GH_STALE, run_step(&f, s));
	OK(told_step(s));
	fix_sql(&f, "UPDATE tenant SET hold_us = 9000000000000000 WHERE id = 1000");
	IS(GH_STALE, told_step(s)); /* held */
	fix_sql(&f, "UPDATE tenant SET hold_us = 5 WHERE id = 1000");
	OK(told_step(s)); /* it has ended */
	fix_sql(&f, "UPDATE tenant SET hold_us = 0, state = 2 WHERE id = 1000");
	IS(GH_STALE, told_step(s));
}
END_TEST

static void grant(void *arg, const struct meta_quota_books *books, struct meta_quota_grant *ret)
{
	(void)arg;
	(void)books;
	*ret = (struct meta_quota_grant){ .lease = gh_id_new(), .bytes = 10, .files = 1, .month = 7 };
}

static enum gh_status lease_it(void)
{
	const struct meta_quota_ask a = { .tenant = TENANT, .life_ms = 60000, .month = 24000, .decide = grant };

	return shard_quota_lease(f.m->central, &f.call, &a);
}

START_TEST(quota_leases_are_told_too)
{
	copy_it();
	OK(lease_it());
	follow_it();
	ck_assert_uint_eq(tally.told, 1);
	both_are_equal("leased");
	fix_sql(&f, "UPDATE tenant SET hold_us = 9000000000000000 WHERE id = 1000");
	IS(GH_STALE, lease_it());
}
END_TEST

START_TEST(a_round_reads_what_has_changed_however_much_there_is)
{
	uint64_t read[2];

	for (unsigned round = 0, n = 0; round < 2; round++) {
		for (unsigned end = round ? 1200 : 100; n < end; n++) {
			char name[16];

			snprintf(name, sizeof(name), "f%u", n);
			fix_sql(&f, "UPDATE tenant SET state = 0 WHERE id = 1000");
			file_make(&f, ROOT, name, n);
		}
		copy_it();
		for (unsigned i = 0; i < 5; i++) {
			char name[16];

			snprintf(name, sizeof(name), "new%u.%u", round, i);
			told_file(ROOT, name, 10, 7);
		}
		follow_it();
		read[round] = tally.read;
		ck_assert_uint_eq(tally.told, 5);
		ck_assert_int_eq(tally.files, 5);
		ck_assert_int_eq(tally.bytes, 50);
		both_are_equal("after the round");
	}
	ck_assert_uint_eq(read[0], read[1]);
	ck_assert_uint_le(read[0], 5 * 6);
}
END_TEST

START_TEST(nothing_is_left_when_all_was_brought_after)
{
	struct meta_step s = { .kind = META_TREE_GEN };
	struct db_conn *c;

	copy_it();
	told_file(ROOT, "x", 1, 7);
	OK(f.m->central->drv->reader(f.m->central->db, 0, &c));
	IS(GH_STALE, move_is_all(c, TENANT, &trail));
	follow_it();
	OK(move_is_all(c, TENANT, &trail));
	OK(told_step(s));
	IS(GH_STALE, move_is_all(c, TENANT, &trail));
	f.m->central->drv->reader_done(f.m->central->db, c);
}
END_TEST

START_TEST(a_writer_that_does_not_tell_is_found_out)
{
	copy_it();
	fix_sql(&f, "UPDATE tenant SET state = 0 WHERE id = 1000"); /* as a release would that knows nothing of it */
	file_make(&f, ROOT, "x", 1);
	is_copied();
	IS(GH_CONFLICT, move_follow(&mv, &f.call, &trail, &tally));
}
END_TEST

START_TEST(what_was_told_is_cleared)
{
	struct meta_step s = { .kind = META_TREE_GEN };
	struct move_trail begin;

	is_copied();
	OK(move_trail_begin(&mv, &f.call, &begin));
	for (unsigned i = 0; i < 5; i++)
		OK(told_step(s));
	OK(move_told_clear(f.m->central, &f.call, TENANT));
	tally = (struct move_tally){ 0 };
	IS(GH_CONFLICT, move_follow(&mv, &f.call, &begin, &tally)); /* five events, of which nothing is told any more */
	ck_assert_uint_eq(tally.told, 0);
}
END_TEST

START_TEST(words_that_are_not_understood_are_damage)
{
	const char *bad[] = { "x5", "n5x", "=nowhere", "e n1 q" };

	for (unsigned i = 0; i < 4; i++) {
		const char *at = bad[i];
		enum gh_status st;
		struct told w;

		while ((st = told_next(&at, &w)) == GH_OK)
			;
		ck_assert_msg(st == GH_DAMAGED, "%s: %s", bad[i], gh_status_name(st));
	}
}
END_TEST

/* ---- every step there is ---- */

static unsigned seen[META_STEP_COUNT];

static struct meta_node files[40]; /* id 0: none */
static unsigned file_count;
static uint64_t folder;

static unsigned any(unsigned n)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (unsigned)(x % n);
}

static struct meta_node *a_file(void)
{
	return &files[any(file_count)];
}

static void do_it(struct meta_step *s, unsigned count)
{
	const enum gh_status st = told_steps(s, count);

	ck_assert_msg(st == GH_OK || st == GH_STALE, "step %d: %s", s->kind, gh_status_name(st));
	for (unsigned i = 0; st == GH_OK && i < count; i++)
		seen[s[i].kind]++;
}

static void one(struct meta_step s)
{
	do_it(&s, 1);
}

static void people_begin(void)
{
	struct meta_user u[] = { { .id = ANN, .name = "ann", .key = "ann", .password_hash = "x" },
				 { .id = BOB, .name = "bob", .key = "bob", .password_hash = "y" } };
	struct meta_group g1 = { .id = STAFF, .name = "staff" };

	for (unsigned i = 0; i < 2; i++)
		one((struct meta_step){ .kind = META_USER_PUT, .user = &u[i] });
	one((struct meta_step){ .kind = META_GROUP_PUT, .group = &g1 });
	one((struct meta_step){ .kind = META_MEMBER_ADD, .group = &g1, .user = &u[0] });
	one((struct meta_step){ .kind = META_OWNED_COUNT, .n = ANN });
}

static void people_some(unsigned i)
{
	char name[24];
	struct meta_user u = { .id = any(2) ? ANN : BOB, .name = name, .key = name, .password_hash = "z" };
	struct meta_group g1 = { .id = STAFF + any(2), .name = name };
	struct meta_token t = { .id = 4000 + any(4), .user = ANN, .name = name, .hash = "h" };

	snprintf(name, sizeof(name), "n%u", any(1000));
	switch (i) {
	case 0:
		one((struct meta_step){ .kind = META_USER_PUT, .user = &u });
		return;
	case 1:
		one((struct meta_step){ .kind = META_GROUP_PUT, .group = &g1 });
		return;
	case 2:
		one((struct meta_step){ .kind = META_MEMBER_ADD, .group = &g1, .user = &u });
		return;
	case 3:
		one((struct meta_step){ .kind = META_MEMBER_REMOVE, .group = &g1, .user = &u });
		return;
	case 4:
		one((struct meta_step){ .kind = META_TOKEN_PUT, .token = &t });
		return;
	case 5:
		one((struct meta_step){ .kind = META_TOKEN_DELETE, .token = &t });
		return;
	case 6:
		g1.id = STAFF + 1;
		one((struct meta_step){ .kind = META_GROUP_DELETE, .group = &g1 });
		return;
	case 7:
		u.id = BOB;
		one((struct meta_step){ .kind = META_USER_DELETE, .user = &u });
		return;
	case 8:
		one((struct meta_step){ .kind = META_OWNED_COUNT, .n = ANN });
		return;
	case 9:
		if (!any(4))
			one((struct meta_step){ .kind = META_OWNED_FORGET, .n = ANN });
		return;
	}
}

static void locks_some(unsigned i)
{
	char token[32];
	struct meta_lock l = { .id = gh_id_new(), .token = token, .node = a_file()->id, .user = ANN, .path_key = "/f",
			       .path = "/f", .expires_us = 9000000000000000, .timeout_s = 60, .owner_xml = "", .user_name = "ann" };

	snprintf(token, sizeof(token), "urn:uuid:%u", any(12));
	if (i == 0) {
		one((struct meta_step){ .kind = META_LOCK_DELETE, .lock = &l });
		one((struct meta_step){ .kind = META_LOCK_INSERT, .lock = &l });
	} else if (i == 1) {
		l.expires_us += any(100);
		one((struct meta_step){ .kind = META_LOCK_REFRESH, .lock = &l });
	} else if (i == 2) {
		one((struct meta_step){ .kind = META_LOCK_DELETE, .lock = &l });
	} else if (!any(5)) {
		one((struct meta_step){ .kind = META_LOCKS_BELOW, .lock = &l });
	}
}

static void rights_some(void)
{
	const struct meta_ace aces[] = { { .who = 'u', .who_id = ANN, .rights = 1 + any(7) }, { .who = 'e', .rights = 2 } };
	const struct meta_acl_node acl = { .id = a_file()->id, .inherit_off = any(2), .ace_count = any(3),
					   .aces = (struct meta_ace *)aces };

	one((struct meta_step){ .kind = META_ACL_SET, .acl = &acl });
	one((struct meta_step){ .kind = META_RIGHTS_EPOCH });
	one((struct meta_step){ .kind = META_TREE_GEN });
}

static void props_some(void)
{
	char name[8];
	const struct meta_prop p = { .node = a_file()->id, .ns = "urn:x", .name = name, .xml = any(2) ? "a" : "b", .lang = "" };
	const struct meta_node n = { .id = a_file()->id };

	snprintf(name, sizeof(name), "p%u", any(4));
	switch (any(5)) {
	case 0:
		one((struct meta_step){ .kind = META_PROP_REMOVE, .prop = &p });
		return;
	case 1:
		one((struct meta_step){ .kind = META_PROPS_DELETE, .node = n });
		return;
	case 2:
		one((struct meta_step){ .kind = META_PROPS_COPY, .node = n, .n = p.node });
		return;
	default:
		one((struct meta_step){ .kind = META_PROP_SET, .prop = &p });
	}
}

/* A new content of two parts, the old one kept or not. */
static void content_some(struct meta_node *n, bool keep)
{
	const struct meta_node old = *n;
	struct meta_step s[8];
	unsigned c = 0;

	n->version = gh_id_new();
	n->parts = 2;
	n->size = 10 + any(90);
	n->blob = 0;
	s[c++] = (struct meta_step){ .kind = META_NODE_CONTENT, .node = *n };
	s[c++] = (struct meta_step){ .kind = META_VERSION_INSERT, .node = *n, .n = ANN };
	for (unsigned i = 0; i < 2; i++) {
		const struct meta_part p = { .blob = gh_id_new(), .blob_size = 5, .len = 5, .loc = { .len = 2, .bytes = { 1, 2 } } };

		s[c++] = (struct meta_step){ .kind = META_BLOB_INSERT, .node = *n, .part = p };
		s[c++] = (struct meta_step){ .kind = META_PART_INSERT, .node = *n, .part = p, .n = i };
	}
	if (!keep && old.parts == 1)
		s[c++] = (struct meta_step){ .kind = META_BLOB_UNREF, .part = { .blob = old.blob } };
	if (!keep)
		s[c++] = (struct meta_step){ .kind = META_VERSION_DELETE, .node = old };
	do_it(s, c);
	if (!keep && old.parts == 2)
		one((struct meta_step){ .kind = META_PARTS_DELETE, .node = old });
}

/* Names are their nodes' until the test ends. */
static const char *kept(const char *name)
{
	static char names[4000][16];
	static unsigned count;

	ck_assert_uint_lt(count, sizeof(names) / sizeof(names[0]));
	ck_assert_uint_lt(strlen(name), sizeof(names[0]));
	return strcpy(names[count++], name);
}

static void tree_some(void)
{
	struct meta_node *n = a_file(), *o = a_file();
	char name[16];

	snprintf(name, sizeof(name), "m%u", any(60));
	switch (any(8)) {
	case 0: { /* two change places by way of a third */
		struct meta_node third = *n;
		char none[] = "between";

		third.name = third.key = none;
		third.name_len = third.key_len = 7;
		if (n == o)
			return;
		one((struct meta_step){ .kind = META_NODE_PLACE, .node = third });
		third = *o;
		third.parent = n->parent, third.name = n->name, third.key = n->key;
		third.name_len = n->name_len, third.key_len = n->key_len;
		one((struct meta_step){ .kind = META_NODE_PLACE, .node = third });
		{
			const struct meta_node was = *n;
			struct meta_node back = *n;

			back.parent = o->parent, back.name = o->name, back.key = o->key;
			back.name_len = o->name_len, back.key_len = o->key_len;
			one((struct meta_step){ .kind = META_NODE_PLACE, .node = back });
			*n = back;
			o->parent = was.parent, o->name = was.name, o->key = was.key;
			o->name_len = was.name_len, o->key_len = was.key_len;
		}
		return;
	}
	case 1:
		n->mtime_us++;
		one((struct meta_step){ .kind = META_NODE_TOUCH, .node = *n });
		return;
	case 2:
		one((struct meta_step){ .kind = META_VERSION_GIVE, .node = *n, .n = o->id });
		return;
	case 3:
		if (n->parts == 1) {
			one((struct meta_step){ .kind = META_BLOB_REF, .part = { .blob = n->blob } });
			one((struct meta_step){ .kind = META_BLOB_UNREF, .part = { .blob = n->blob } });
		}
		return;
	case 4: { /* deleted, and another in its place */
		const char *again = kept(n->name);

		one((struct meta_step){ .kind = META_NODE_DELETE, .node = *n });
		*n = told_file(n->parent, again, 10 + any(90), ANN);
		seen[META_NODE_INSERT] += 1;
		return;
	}
	default:
		content_some(n, any(2));
	}
}

/* Whatever a batch does is known by what it told: a pass over all rows afterwards finds nothing. */
START_TEST(whatever_a_batch_does_comes_along_by_what_it_tells)
{
	char name[16];

	folder = folder_make(&f, ROOT, "folder");
	for (file_count = 0; file_count < 40; file_count++) {
		snprintf(name, sizeof(name), "f%u", file_count);
		files[file_count] = file_make(&f, file_count % 3 ? ROOT : folder, kept(name), 10);
	}
	copy_it();
	people_begin();
	for (unsigned round = 0; round < 60; round++) {
		for (unsigned i = any(60); i; i--) {
			const unsigned k = any(20);

			if (k < 10)
				people_some(k);
			else if (k < 13)
				locks_some(any(4));
			else if (k < 14)
				rights_some();
			else if (k < 16)
				props_some();
			else
				tree_some();
		}
		follow_it();
		both_are_equal("after a round");
	}
	for (unsigned k = 0; k < META_STEP_COUNT; k++)
		if (k != META_SETTING_PUT && k != META_SETTING_DELETE && k != META_TENANT_PUT)
			ck_assert_msg(seen[k], "step %u was never done", k);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata move");
	TCase *t = tcase_create("rows");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, an_empty_place_gets_every_row);
	tcase_add_test(t, what_differs_is_made_the_same_and_nothing_else_is_written);
	tcase_add_test(t, places_that_were_changed_for_each_other_come_right);
	tcase_add_test(t, neighbours_are_left_alone);
	tcase_add_test(t, nothing_is_written_for_a_mover_that_was_taken_for_dead);
	tcase_add_test(t, who_does_not_tell_may_not_write);
	tcase_add_test(t, quota_leases_are_told_too);
	tcase_add_test(t, a_round_reads_what_has_changed_however_much_there_is);
	tcase_add_test(t, nothing_is_left_when_all_was_brought_after);
	tcase_add_test(t, a_writer_that_does_not_tell_is_found_out);
	tcase_add_test(t, what_was_told_is_cleared);
	tcase_add_test(t, words_that_are_not_understood_are_damage);
	tcase_add_test(t, whatever_a_batch_does_comes_along_by_what_it_tells);
	suite_add_tcase(s, t);
	return run_suite(s);
}
