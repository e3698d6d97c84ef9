/* How fast the store is: small PUTs by N threads, point look-ups, listings of 1,000. Prints figures, judges nothing.
 * [TMPDIR=FOLDER] bench_commit [THREADS [BATCHES-EACH [put]]]: put for the PUTs of all threads alone */
#include <pthread.h>

#include "core/base/metrics.h"

#define NO_CHECK
#include "tests/unit/metadata/help.h"

struct runner {
	struct fix *f;
	pthread_t thread;
	unsigned batches, number;
	uint64_t parent;
};

static void *put_many(void *arg)
{
	struct runner *r = arg;
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct meta_call call = { .arena = a, .op = "bench" };

	for (unsigned i = 0; i < r->batches; i++) {
		struct meta_step s[3];
		struct meta_batch b;
		char name[32];

		snprintf(name, sizeof(name), "t%02u-%07u", r->number, i);
		b = put_batch(s, r->parent, name, 4096);
		if (meta_commit(r->f->m, &call, &b) != GH_OK)
			abort();
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
	return NULL;
}

static double seconds_since(uint64_t start_ns)
{
	return (double)(gh_mono_ns() - start_ns) / 1e9;
}

static void bench_put(struct fix *f, unsigned threads, unsigned batches)
{
	struct runner r[64];
	uint64_t start = gh_mono_ns();
	int64_t groups;
	double s;

	for (unsigned i = 0; i < threads; i++) {
		r[i] = (struct runner){ .f = f, .batches = batches, .number = i,
					.parent = folder_make(f, ROOT, gh_printf(f->a, "w%llu", (unsigned long long)gh_id_new())) };
	}
	groups = gh_metric_get(GH_M_COMMIT_GROUPS, 0);
	start = gh_mono_ns();
	for (unsigned i = 0; i < threads; i++)
		pthread_create(&r[i].thread, NULL, put_many, &r[i]);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(r[i].thread, NULL);
	s = seconds_since(start);
	groups = gh_metric_get(GH_M_COMMIT_GROUPS, 0) - groups;
	printf("PUT: %u threads, %u batches: %.0f/s, %.1f in a group\n", threads, threads * batches, threads * batches / s,
	       (double)threads * batches / (double)groups);
}

static void bench_read(struct fix *f)
{
	struct gh_arena *a = gh_arena_new(64u << 20);
	struct meta_call call = { .arena = a, .op = "bench" };
	struct gh_component c[5];
	struct meta_node *r;
	struct meta_page p;
	uint64_t at = ROOT, start;
	unsigned found;
	char name[32];

	for (unsigned i = 0; i < 4; i++) {
		c[i].key = gh_printf(f->a, "deep%u", i);
		c[i].key_len = (uint16_t)strlen(c[i].key);
		at = folder_make(f, at, c[i].key);
	}
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "file%06u", i);
		file_make(f, at, name, 100);
	}
	c[4] = (struct gh_component){ .key = "file000500", .key_len = 10 };
	for (unsigned depth = 1; depth <= 5; depth++) {
		start = gh_mono_ns();
		for (unsigned i = 0; i < 20000; i++) {
			if (meta_resolve(f->m, &call, TENANT, ROOT, c, depth, &r, &found) != GH_OK || found != depth)
				abort();
			gh_arena_reset(a);
		}
		printf("resolve depth %u: %.1f us\n", depth, seconds_since(start) * 1e6 / 20000);
	}
	start = gh_mono_ns();
	for (unsigned i = 0; i < 500; i++) {
		if (meta_list(f->m, &call, TENANT, at, "", 1000, &p) != GH_OK || p.count != 1000)
			abort();
		gh_arena_reset(a);
	}
	printf("list 1000: %.3f ms\n", seconds_since(start) * 1e3 / 500);
	gh_arena_free(&a);
}

int main(int argc, char **argv)
{
	unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 16, batches = argc > 2 ? (unsigned)atoi(argv[2]) : 2000;
	struct fix f;

	fix_new(&f);
	if (argc < 4)
		bench_put(&f, 1, batches);
	bench_put(&f, threads < 64 ? threads : 64, batches);
	if (argc < 4)
		bench_read(&f);
	fix_free(&f);
	return 0;
}
