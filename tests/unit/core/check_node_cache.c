/* What the node cache (core/node_cache.h) takes from changes that come home, in every order they can come in. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/metrics.h"
#include "core/base/rcu.h"
#include "core/node_cache.h"

#define TENANT 1u
#define FOLDER 5u

static struct node_cache *nc;
static struct gh_arena *arena;

static void open_cache(void)
{
	ck_assert_int_eq(node_cache_new(64 << 20, &nc), GH_OK); /* so many buckets that no two names here meet */
	arena = gh_arena_new(16 << 20);
	gh_rcu_register();
}

static void close_cache(void)
{
	gh_rcu_unregister();
	node_cache_free(&nc);
	gh_arena_free(&arena);
}

static struct meta_node row(const char *key, uint64_t id, uint64_t rev)
{
	return (struct meta_node){ .id = id, .parent = FOLDER, .type = META_FILE, .name = key, .key = key, .rev = rev,
				   .name_len = (uint16_t)strlen(key), .key_len = (uint16_t)strlen(key), .size = 10 * rev };
}

/* Of FOLDER's name `key`, which is found with node id at rev (0: free). */
struct change {
	struct meta_slot was;
	struct node_flight flight;
};

static void depart(struct change *c, const char *key, uint64_t id, uint64_t rev)
{
	c->was = (struct meta_slot){ FOLDER, key, id, rev };
	node_cache_depart(nc, TENANT, &c->was, &c->flight);
}

/* Home: the name holds that now, or nothing. */
static void arrive(struct change *c, uint64_t id, uint64_t rev)
{
	const struct meta_node now = id ? row(c->was.key, id, rev) : (struct meta_node){ 0 };
	node_cache_arrive(nc, &c->flight, &now, true);
}

static void change(const char *key, uint64_t id, uint64_t rev, uint64_t now_id, uint64_t now_rev)
{
	struct change c;
	depart(&c, key, id, rev);
	arrive(&c, now_id, now_rev);
}

static uint32_t mark(const char *key)
{
	return node_cache_mark(nc, TENANT, FOLDER, key, strlen(key));
}

static void fill(const char *key, uint64_t id, uint64_t rev, uint32_t at)
{
	const struct meta_node n = row(key, id, rev);
	node_cache_fill(nc, TENANT, FOLDER, key, strlen(key), id ? &n : NULL, at);
}

static void drop(const char *key)
{
	node_cache_drop(nc, TENANT, FOLDER, key, strlen(key));
}

/* What memory says of the name: "?" nothing, "-" that it is free, else id and rev. */
static const char *says(const char *key)
{
	struct meta_node n;
	gh_rcu_quiescent();
	if (node_cache_get(nc, TENANT, FOLDER, key, strlen(key), arena, &n) != GH_OK)
		return "?";
	if (!n.id)
		return "-";
	ck_assert_str_eq(n.name, key);
	ck_assert_uint_eq(n.size, 10 * n.rev);
	return gh_printf(arena, "%u.%u", (unsigned)n.id, (unsigned)n.rev);
}

static struct meta_page page_of(const struct meta_node *nodes, unsigned count)
{
	struct meta_page p = { .count = count, .nodes = gh_alloc_array(arena, count + 1, sizeof(*nodes)) };
	for (unsigned i = 0; i < count; i++)
		p.nodes[i] = nodes[i];
	return p;
}

static void fill_listing(const struct meta_node *nodes, unsigned count)
{
	const struct meta_page p = page_of(nodes, count);
	node_cache_fill_members(nc, TENANT, FOLDER, &p, node_cache_mark_members(nc, TENANT, FOLDER));
}

/* "a1.1 b2.7 ", or "?". */
static const char *lists(void)
{
	struct meta_page p;
	gh_rcu_quiescent();
	if (node_cache_members(nc, TENANT, FOLDER, arena, &p) != GH_OK)
		return "?";
	char *out = gh_alloc(arena, 32 * p.count + 1);
	out[0] = '\0';
	for (unsigned i = 0; i < p.count; i++) {
		ck_assert_str_eq(p.nodes[i].name, p.nodes[i].key);
		sprintf(out + strlen(out), "%s%u.%u ", p.nodes[i].name, (unsigned)p.nodes[i].id, (unsigned)p.nodes[i].rev);
	}
	return out;
}

/* ---- one name ---- */

START_TEST(a_change_that_was_alone_tells_its_row)
{
	ck_assert_str_eq(says("a"), "?");
	change("a", 0, 0, 7, 1);
	ck_assert_str_eq(says("a"), "7.1");
	change("a", 7, 1, 7, 2);
	ck_assert_str_eq(says("a"), "7.2");
	change("a", 7, 2, 0, 0);
	ck_assert_str_eq(says("a"), "-");
	change("a", 0, 0, 8, 1);
	ck_assert_str_eq(says("a"), "8.1");
}
END_TEST

START_TEST(a_free_name_is_remembered_only_where_it_may_be)
{
	struct change c;
	const struct meta_node none = { 0 };
	change("a", 0, 0, 7, 1);
	depart(&c, "a", 7, 1);
	node_cache_arrive(nc, &c.flight, &none, false);
	ck_assert_str_eq(says("a"), "?");
}
END_TEST

START_TEST(a_row_that_is_not_known_is_dropped)
{
	struct change c;
	change("a", 0, 0, 7, 1);
	depart(&c, "a", 7, 1);
	node_cache_arrive(nc, &c.flight, NULL, true);
	ck_assert_str_eq(says("a"), "?");
}
END_TEST

START_TEST(nothing_is_told_after_a_drop)
{
	struct change c;
	depart(&c, "a", 7, 1);
	drop("a");
	arrive(&c, 7, 2);
	ck_assert_str_eq(says("a"), "?");
	depart(&c, "a", 7, 2);
	node_cache_clear(nc);
	arrive(&c, 7, 3);
	ck_assert_str_eq(says("a"), "?");
	drop("a");
	change("a", 7, 3, 7, 4);
	ck_assert_str_eq(says("a"), "7.4");
}
END_TEST

/* One was committed before the other; which one, whoever comes home cannot know. */
START_TEST(of_two_on_their_way_neither_tells)
{
	struct change first, second;
	for (unsigned i = 0; i < 2; i++) {
		change("a", 7, 1, 7, 2);
		depart(&first, "a", 7, 2);
		depart(&second, "a", 7, 3);
		arrive(i ? &first : &second, 7, i ? 3 : 4);
		ck_assert_str_eq(says("a"), "?");
		arrive(i ? &second : &first, 7, i ? 4 : 3);
		ck_assert_str_eq(says("a"), "?");
		change("a", 7, 4, 7, 5);
		ck_assert_str_eq(says("a"), "7.5");
		drop("a");
	}
}
END_TEST

START_TEST(one_that_came_to_nothing_does_not_matter_afterwards)
{
	struct change first, second;
	depart(&first, "a", 7, 1);
	depart(&second, "a", 7, 1);
	node_cache_turn_back(nc, &second.flight);
	arrive(&first, 7, 2);
	ck_assert_str_eq(says("a"), "7.2");
	depart(&first, "a", 7, 2);
	depart(&second, "a", 7, 2);
	node_cache_turn_back(nc, &first.flight);
	arrive(&second, 7, 3); /* it was not alone when it left */
	ck_assert_str_eq(says("a"), "?");
}
END_TEST

START_TEST(what_was_read_before_a_change_is_not_put_back)
{
	const uint32_t before = mark("a");
	const struct meta_page old = page_of((struct meta_node[]){ row("a", 7, 1) }, 1);
	const uint32_t members_before = node_cache_mark_members(nc, TENANT, FOLDER);
	change("a", 7, 1, 7, 2);
	fill("a", 7, 1, before);
	node_cache_fill_members(nc, TENANT, FOLDER, &old, members_before);
	ck_assert_str_eq(says("a"), "7.2");
	ck_assert_str_eq(lists(), "?");
	const uint32_t again = mark("a");
	change("a", 7, 2, 0, 0);
	fill("a", 7, 2, again);
	ck_assert_str_eq(says("a"), "-");
}
END_TEST

/* Between commit and arrival others read the store. */
START_TEST(what_was_read_after_the_commit_stays_or_goes)
{
	struct change c;
	depart(&c, "a", 7, 1);
	fill("a", 7, 2, mark("a"));
	arrive(&c, 7, 2);
	ck_assert_str_eq(says("a"), "7.2");
	depart(&c, "a", 7, 2);
	fill("a", 7, 9, mark("a")); /* another gateway's: not heard of yet */
	arrive(&c, 7, 3);
	ck_assert_str_eq(says("a"), "7.9");
	depart(&c, "a", 7, 9);
	fill("a", 8, 1, mark("a")); /* likewise */
	arrive(&c, 7, 10);
	ck_assert_str_eq(says("a"), "?");
	depart(&c, "b", 0, 0);
	fill("b", 0, 0, mark("b"));
	arrive(&c, 4, 1);
	ck_assert_str_eq(says("b"), "4.1");
	depart(&c, "b", 4, 1);
	fill("b", 4, 1, mark("b"));
	arrive(&c, 0, 0);
	ck_assert_str_eq(says("b"), "-");
	depart(&c, "b", 4, 1);
	arrive(&c, 4, 2); /* memory held that it is free, which is neither what was found nor what was left */
	ck_assert_str_eq(says("b"), "?");
}
END_TEST

START_TEST(an_older_row_in_memory_gives_way)
{
	fill("a", 7, 1, mark("a"));
	change("a", 7, 5, 7, 6); /* decided on what the store said */
	ck_assert_str_eq(says("a"), "7.6");
}
END_TEST

START_TEST(the_condition_that_a_folder_is_empty_is_no_name)
{
	struct change c = { .was = { .parent = FOLDER, .key = NULL } };
	const struct meta_node none = { 0 };
	fill_listing(NULL, 0);
	node_cache_depart(nc, TENANT, &c.was, &c.flight);
	node_cache_arrive(nc, &c.flight, &none, true);
	node_cache_depart(nc, TENANT, &c.was, &c.flight);
	node_cache_turn_back(nc, &c.flight);
	ck_assert_str_eq(lists(), "");
}
END_TEST

/* ---- listings ---- */

START_TEST(a_listing_is_kept_up_in_order)
{
	fill_listing(NULL, 0);
	change("m", 0, 0, 1, 1);
	ck_assert_str_eq(lists(), "m1.1 ");
	change("mm", 0, 0, 2, 1);
	change("a", 0, 0, 3, 1);
	change("z", 0, 0, 4, 1);
	ck_assert_str_eq(lists(), "a3.1 m1.1 mm2.1 z4.1 ");
	change("m", 1, 1, 1, 2);
	change("z", 4, 1, 4, 2);
	ck_assert_str_eq(lists(), "a3.1 m1.2 mm2.1 z4.2 ");
	change("a", 3, 1, 0, 0);
	change("mm", 2, 1, 0, 0);
	ck_assert_str_eq(lists(), "m1.2 z4.2 ");
	change("m", 1, 2, 9, 1); /* another in its place */
	ck_assert_str_eq(lists(), "m9.1 z4.2 ");
	change("z", 4, 2, 0, 0);
	change("m", 9, 1, 0, 0);
	ck_assert_str_eq(lists(), "");
}
END_TEST

START_TEST(two_names_of_a_folder_do_not_wait_for_each_other)
{
	struct change a, b;
	fill_listing(NULL, 0);
	depart(&a, "a", 0, 0);
	depart(&b, "b", 0, 0);
	arrive(&b, 2, 1);
	arrive(&a, 1, 1);
	ck_assert_str_eq(lists(), "a1.1 b2.1 ");
}
END_TEST

START_TEST(a_listing_goes_where_its_order_cannot_be_told)
{
	struct change a, b;
	const struct meta_node rows[] = { row("a", 7, 1) };
	fill_listing(rows, 1);
	depart(&a, "a", 7, 1);
	depart(&b, "a", 7, 2);
	arrive(&b, 7, 3);
	ck_assert_str_eq(lists(), "?");
	arrive(&a, 7, 2);
	fill_listing(rows, 1);
	depart(&a, "a", 7, 1);
	drop("a");
	fill_listing(rows, 1);
	arrive(&a, 7, 2);
	ck_assert_str_eq(lists(), "?");
	fill_listing(rows, 1);
	change("a", 8, 1, 8, 2); /* was another there? */
	ck_assert_str_eq(lists(), "?");
	fill_listing(rows, 1);
	depart(&a, "a", 7, 1);
	node_cache_arrive(nc, &a.flight, NULL, true);
	ck_assert_str_eq(lists(), "?");
}
END_TEST

START_TEST(a_listing_that_was_read_after_the_commit_stays)
{
	struct change c;
	const struct meta_node with[] = { row("a", 7, 2) }, newer[] = { row("a", 7, 4) };
	depart(&c, "a", 7, 1);
	fill_listing(with, 1);
	arrive(&c, 7, 2);
	ck_assert_str_eq(lists(), "a7.2 ");
	depart(&c, "a", 7, 2);
	fill_listing(newer, 1);
	arrive(&c, 7, 3);
	ck_assert_str_eq(lists(), "a7.4 ");
	depart(&c, "a", 7, 4);
	fill_listing(NULL, 0);
	arrive(&c, 0, 0);
	ck_assert_str_eq(lists(), "");
}
END_TEST

START_TEST(a_listing_ends_at_its_bound)
{
	struct meta_node rows[NODE_CACHE_MEMBERS_MAX];
	for (unsigned i = 0; i < NODE_CACHE_MEMBERS_MAX; i++)
		rows[i] = row(gh_printf(arena, "%03u", i), i + 1, 1);
	fill_listing(rows, NODE_CACHE_MEMBERS_MAX - 1);
	change("199", 0, 0, 200, 1);
	change("199", 200, 1, 200, 2);
	ck_assert_ptr_nonnull(strstr(lists(), " 198199.1 199200.2 "));
	change("000", 1, 1, 0, 0);
	change("200", 0, 0, 201, 1);
	ck_assert_ptr_nonnull(strstr(lists(), " 199200.2 200201.1 "));
	change("201", 0, 0, 202, 1);
	ck_assert_str_eq(lists(), "?");
	ck_assert_str_eq(says("201"), "202.1");
}
END_TEST

START_TEST(a_listing_that_nobody_reads_is_not_kept_up)
{
	fill_listing(NULL, 0);
	ck_assert_str_eq(lists(), "");
	for (unsigned rev = 1; rev <= 5; rev++)
		change("a", rev > 1 ? 7 : 0, rev - 1, 7, rev);
	ck_assert_str_eq(lists(), "a7.5 "); /* the first of them came after it was read */
	for (unsigned rev = 6; rev <= 10; rev++)
		change("a", 7, rev - 1, 7, rev);
	ck_assert_str_eq(lists(), "a7.10 ");
	for (unsigned rev = 11; rev <= 16; rev++)
		change("a", 7, rev - 1, 7, rev);
	ck_assert_str_eq(lists(), "?");
}
END_TEST

START_TEST(what_is_told_stays_within_the_bound_of_memory)
{
	struct node_cache *small, *large = nc;
	struct meta_node rows[100];
	for (unsigned i = 0; i < 100; i++)
		rows[i] = row(gh_printf(arena, "%03u", i), i + 1, 1);
	ck_assert_int_eq(node_cache_new(256 * 2048, &small), GH_OK);
	nc = small;
	const int64_t before = gh_metric_get(GH_M_NODE_CACHE_BYTES, 0);
	for (unsigned i = 0; i < 20000; i++)
		change(gh_printf(arena, "%u", i), 0, 0, i + 1, 1);
	ck_assert_int_le(gh_metric_get(GH_M_NODE_CACHE_BYTES, 0) - before, 256 * 2048);
	fill_listing(rows, 100);
	ck_assert_str_eq(lists(), "?");
	node_cache_free(&small);
	ck_assert_int_eq(gh_metric_get(GH_M_NODE_CACHE_BYTES, 0), before);
	nc = large;
}
END_TEST

/* ---- all at once ---- */

#define NAMES 3u
#define ROUNDS 20000u

/* The store: what each name holds, and what of it has been acknowledged. Ids grow, too: of two rows of a name the greater
 * (id, rev) is the later. */
static struct {
	pthread_mutex_t lock;
	uint64_t next_id;
	struct { uint64_t id, rev, count; } at[NAMES]; /* count: of its changes */
	atomic_uint_fast64_t acked[NAMES];
	atomic_uint changers;
	bool others; /* another gateway writes too */
} store;

static const char *const name_of[NAMES] = { "a", "b", "c" };

static uint64_t roll(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

/* Changes carry the number of the change in their size, so that what is shown can be compared with what was acknowledged. */
static struct meta_node stored(unsigned i)
{
	struct meta_node n = row(name_of[i], store.at[i].id, store.at[i].rev);
	n.size = store.at[i].count;
	return n;
}

static void alter(unsigned i, uint64_t dice, struct meta_node *ret)
{
	if (!store.at[i].id) {
		store.at[i].id = ++store.next_id;
		store.at[i].rev = 1;
	} else if (dice % 3) {
		store.at[i].rev++;
	} else {
		store.at[i].id = store.at[i].rev = 0;
	}
	store.at[i].count++;
	*ret = stored(i);
}

static void *changer(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	for (unsigned k = 0; k < ROUNDS; k++) {
		const unsigned i = (unsigned)(roll(&seed) % NAMES);
		struct meta_node now;
		struct change c;
		pthread_mutex_lock(&store.lock);
		const uint64_t id = store.at[i].id, rev = store.at[i].rev;
		pthread_mutex_unlock(&store.lock);
		depart(&c, name_of[i], id, rev);
		pthread_mutex_lock(&store.lock);
		const bool holds = store.at[i].id == id && store.at[i].rev == rev;
		if (holds)
			alter(i, roll(&seed), &now);
		pthread_mutex_unlock(&store.lock);
		if (!holds) {
			node_cache_turn_back(nc, &c.flight);
			continue;
		}
		node_cache_arrive(nc, &c.flight, roll(&seed) % 16 ? &now : NULL, !store.others);
		uint64_t seen = atomic_load(&store.acked[i]);
		while (seen < now.size && !atomic_compare_exchange_weak(&store.acked[i], &seen, now.size))
			;
	}
	atomic_fetch_sub(&store.changers, 1);
	return NULL;
}

/* Another gateway: changes without this one's knowing, which hears of it in the order of commits, a little later. */
static void *other(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	unsigned late[4], count = 0;
	while (atomic_load(&store.changers)) {
		struct meta_node now;
		const unsigned i = (unsigned)(roll(&seed) % NAMES);
		pthread_mutex_lock(&store.lock);
		alter(i, roll(&seed), &now);
		pthread_mutex_unlock(&store.lock);
		late[count++] = i;
		for (unsigned k = 0; count == 4 && k < 4; k++)
			drop(name_of[late[k]]);
		count %= 4;
	}
	for (unsigned k = 0; k < count; k++)
		drop(name_of[late[k]]);
	return NULL;
}

static struct meta_page whole_folder(struct meta_node *rows)
{
	struct meta_page p = { .nodes = rows };
	for (unsigned i = 0; i < NAMES; i++)
		if (store.at[i].id)
			rows[p.count++] = stored(i);
	return p;
}

static void read_store(uint64_t dice)
{
	const unsigned i = (unsigned)(dice % NAMES);
	struct meta_node rows[NAMES];
	const uint32_t m = mark(name_of[i]), members = node_cache_mark_members(nc, TENANT, FOLDER);
	pthread_mutex_lock(&store.lock);
	struct meta_node n = stored(i);
	const struct meta_page p = whole_folder(rows);
	pthread_mutex_unlock(&store.lock);
	if (n.id || !store.others)
		node_cache_fill(nc, TENANT, FOLDER, name_of[i], 1, n.id ? &n : NULL, m);
	if (dice % 4 == 0)
		node_cache_fill_members(nc, TENANT, FOLDER, &p, members);
}

/* Where nobody else writes, memory never shows less than what was acknowledged before the look. */
static void *reader(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	struct gh_arena *a = gh_arena_new(1 << 20);
	gh_rcu_register();
	while (atomic_load(&store.changers)) {
		const unsigned i = (unsigned)(roll(&seed) % NAMES);
		const uint64_t acked = atomic_load(&store.acked[i]);
		struct meta_node n;
		struct meta_page p;
		if (node_cache_get(nc, TENANT, FOLDER, name_of[i], 1, a, &n) == GH_OK && n.id && !store.others)
			ck_assert_uint_ge(n.size, acked);
		if (node_cache_members(nc, TENANT, FOLDER, a, &p) == GH_OK)
			for (unsigned k = 0; k < p.count; k++)
				if (!store.others && !strcmp(p.nodes[k].key, name_of[i]))
					ck_assert_uint_ge(p.nodes[k].size, acked);
		gh_rcu_quiescent();
		gh_rcu_offline();
		read_store(roll(&seed));
		gh_rcu_online();
		gh_arena_reset(a);
	}
	gh_rcu_unregister();
	gh_arena_free(&a);
	return NULL;
}

static void all_at_once(bool others)
{
	pthread_t t[6];
	struct meta_node n;
	struct meta_page p;
	memset(&store.at, 0, sizeof(store.at));
	for (unsigned i = 0; i < NAMES; i++)
		atomic_store(&store.acked[i], 0);
	store.others = others;
	atomic_store(&store.changers, 3);
	gh_rcu_offline();
	for (uintptr_t i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, i < 3 ? changer : i < 5 || !others ? reader : other, (void *)(i + 1));
	for (unsigned i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	gh_rcu_online();
	for (unsigned i = 0; i < NAMES; i++) {
		if (node_cache_get(nc, TENANT, FOLDER, name_of[i], 1, arena, &n) != GH_OK)
			continue;
		ck_assert_uint_eq(n.id, store.at[i].id);
		ck_assert_uint_eq(n.rev, store.at[i].rev);
	}
	if (node_cache_members(nc, TENANT, FOLDER, arena, &p) != GH_OK)
		return;
	for (unsigned i = 0, k = 0; i < NAMES; i++) {
		if (!store.at[i].id)
			continue;
		ck_assert_uint_lt(k, p.count);
		ck_assert_uint_eq(p.nodes[k].id, store.at[i].id);
		ck_assert_uint_eq(p.nodes[k++].rev, store.at[i].rev);
	}
}

START_TEST(memory_never_falls_behind_what_was_acknowledged)
{
	const int64_t before = gh_metric_get(GH_M_NODE_CACHE, 4);
	pthread_mutex_init(&store.lock, NULL);
	for (unsigned i = 0; i < 8; i++)
		all_at_once(i % 2);
	ck_assert_int_gt(gh_metric_get(GH_M_NODE_CACHE, 4), before + 1000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("core/node_cache");
	TCase *t = tcase_create("node_cache");
	tcase_add_checked_fixture(t, open_cache, close_cache);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_change_that_was_alone_tells_its_row);
	tcase_add_test(t, a_free_name_is_remembered_only_where_it_may_be);
	tcase_add_test(t, a_row_that_is_not_known_is_dropped);
	tcase_add_test(t, nothing_is_told_after_a_drop);
	tcase_add_test(t, of_two_on_their_way_neither_tells);
	tcase_add_test(t, one_that_came_to_nothing_does_not_matter_afterwards);
	tcase_add_test(t, what_was_read_before_a_change_is_not_put_back);
	tcase_add_test(t, what_was_read_after_the_commit_stays_or_goes);
	tcase_add_test(t, an_older_row_in_memory_gives_way);
	tcase_add_test(t, the_condition_that_a_folder_is_empty_is_no_name);
	tcase_add_test(t, a_listing_is_kept_up_in_order);
	tcase_add_test(t, two_names_of_a_folder_do_not_wait_for_each_other);
	tcase_add_test(t, a_listing_goes_where_its_order_cannot_be_told);
	tcase_add_test(t, a_listing_that_was_read_after_the_commit_stays);
	tcase_add_test(t, a_listing_ends_at_its_bound);
	tcase_add_test(t, a_listing_that_nobody_reads_is_not_kept_up);
	tcase_add_test(t, what_is_told_stays_within_the_bound_of_memory);
	tcase_add_test(t, memory_never_falls_behind_what_was_acknowledged);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	const int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
