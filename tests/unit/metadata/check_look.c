/* Look-ups for loops: they find what a resolve finds, each what it asked for, and never at the price of another's wait. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "core/base/clock.h"
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

struct looker {
	struct meta_look look; /* first */
	sem_t done;
};

static void is_done(struct meta_look *l)
{
	sem_post(&((struct looker *)l)->done);
}

static bool look(struct looker *k, struct gh_arena *a, const struct gh_component *c, unsigned n)
{
	bool taken;

	*k = (struct looker){ .look = { .tenant = TENANT, .from = ROOT, .comp = c, .n = n, .arena = a, .done = is_done } };
	sem_init(&k->done, 0, 0);
	taken = meta_look(f.m, &k->look);
	if (taken)
		sem_wait(&k->done);
	sem_destroy(&k->done);
	return taken;
}

START_TEST(a_look_finds_what_a_resolve_finds)
{
	uint64_t at = ROOT, made[META_LOOK_MAX];
	struct gh_component c[META_LOOK_MAX + 1];
	struct looker k;

	for (unsigned i = 0; i < META_LOOK_MAX; i++) {
		c[i] = comp(gh_printf(f.a, "d%u", i));
		made[i] = at = folder_make(&f, at, c[i].key);
	}
	c[META_LOOK_MAX] = comp("none");
	for (unsigned n = 1; n <= META_LOOK_MAX; n++) {
		struct meta_node *nodes;
		unsigned found;

		ck_assert(look(&k, f.a, c, n));
		OK(k.look.status);
		OK(meta_resolve(f.m, &f.call, TENANT, ROOT, c, n, &nodes, &found));
		ck_assert_uint_eq(k.look.found, n);
		ck_assert_uint_eq(found, n);
		for (unsigned i = 0; i < n; i++) {
			ck_assert_uint_eq(k.look.nodes[i].id, made[i]);
			ck_assert_str_eq(k.look.nodes[i].name, nodes[i].name);
		}
	}
	ck_assert(!look(&k, f.a, c, META_LOOK_MAX + 1)); /* the long way */
	ck_assert(!look(&k, f.a, c, 0));
	c[3] = comp("none");
	ck_assert(look(&k, f.a, c, 6));
	OK(k.look.status);
	ck_assert_uint_eq(k.look.found, 3);
	ck_assert(look(&k, f.a, &c[3], 1));
	OK(k.look.status);
	ck_assert_uint_eq(k.look.found, 0);
}
END_TEST

#define THREADS 8
#define EACH 300

struct runner {
	pthread_t thread;
	unsigned number, wrong;
};

/* Each asks for its own names, every fifth for one that is not there; again and again, where it is not taken since others are
 * out for long. */
static void *run_many(void *arg)
{
	struct runner *r = arg;
	struct gh_arena *a = gh_arena_new(1u << 20);

	for (unsigned i = 0; i < EACH; i++) {
		char name[32];
		struct gh_component c[2] = { comp("d"), { 0 } };
		struct looker k;

		snprintf(name, sizeof(name), i % 5 ? "t%u" : "none%u", r->number);
		c[1] = comp(name);
		while (!look(&k, a, c, 2))
			usleep(100);
		r->wrong += k.look.status != GH_OK || k.look.found != (i % 5 ? 2 : 1);
		if (k.look.status == GH_OK && k.look.found == 2)
			r->wrong += k.look.nodes[1].size != 100 + r->number || strcmp(k.look.nodes[1].name, name);
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
	return NULL;
}

START_TEST(many_look_at_once_and_each_gets_its_own)
{
	const uint64_t d = folder_make(&f, ROOT, "d");
	struct runner r[THREADS] = { 0 };

	for (unsigned i = 0; i < THREADS; i++)
		file_make(&f, d, gh_printf(f.a, "t%u", i), 100 + i);
	for (unsigned i = 0; i < THREADS; i++) {
		r[i].number = i;
		pthread_create(&r[i].thread, NULL, run_many, &r[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(r[i].thread, NULL);
		ck_assert_uint_eq(r[i].wrong, 0);
	}
}
END_TEST

struct slow {
	struct meta_look look; /* first */
	sem_t begun;
	atomic_bool done;
};

static void done_slowly(struct meta_look *l)
{
	struct slow *k = (struct slow *)l;

	sem_post(&k->begun);
	nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
	atomic_store(&k->done, true);
}

START_TEST(in_a_quiet_store_nobody_is_told_anything)
{
	const struct gh_component c = comp("none");
	struct slow k = { .look = { .tenant = TENANT, .from = ROOT, .comp = &c, .n = 1, .arena = f.a, .done = done_slowly } };

	sem_init(&k.begun, 0, 0);
	ck_assert(meta_look(f.m, &k.look));
	sem_wait(&k.begun);
	meta_quiet(f.m);
	ck_assert(atomic_load(&k.done));
	sem_destroy(&k.begun);
}
END_TEST

START_TEST(an_arena_that_is_full_is_its_owners_trouble_alone)
{
	struct gh_arena *small = gh_arena_new(4096);
	const struct gh_component c = comp("a");
	struct looker k;

	file_make(&f, ROOT, "a", 1);
	(void)gh_alloc(small, 3000);
	(void)gh_alloc(small, 3000); /* it has overflowed */
	ck_assert(look(&k, small, &c, 1));
	IS(GH_NOMEM, k.look.status);
	ck_assert(look(&k, f.a, &c, 1)); /* nobody rests for that */
	OK(k.look.status);
	gh_arena_free(&small);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metadata looks");
	TCase *t = tcase_create("look");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_look_finds_what_a_resolve_finds);
	tcase_add_test(t, many_look_at_once_and_each_gets_its_own);
	tcase_add_test(t, in_a_quiet_store_nobody_is_told_anything);
	tcase_add_test(t, an_arena_that_is_full_is_its_owners_trouble_alone);
	suite_add_tcase(s, t);
	return run_suite(s);
}
