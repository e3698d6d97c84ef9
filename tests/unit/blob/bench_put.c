/* How many small blobs a second become durable, by 1, 8, 16 and 32 threads: bench_put DIR [SECONDS [BYTES [KIND]]]. A
 * tool, not a test. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/blob.h"

enum { THREADS_MAX = 32 };

struct run {
	const struct blob_ops *ops;
	struct blob_backend *be;
	size_t bytes;
	uint64_t until_ns;
	atomic_ullong next_id, done, failed;
};

static void *putter(void *arg)
{
	struct run *run = arg;
	char *data = malloc(run->bytes);
	struct blob_loc loc;

	memset(data, 'x', run->bytes);
	while (gh_mono_ns() < run->until_ns) {
		const uint64_t id = atomic_fetch_add(&run->next_id, 1);

		if (run->ops->put(run->be, 1, id, data, run->bytes, &loc) == GH_OK)
			atomic_fetch_add(&run->done, 1);
		else
			atomic_fetch_add(&run->failed, 1);
	}
	free(data);
	return NULL;
}

static void measure(struct run *run, int threads, double seconds)
{
	pthread_t t[THREADS_MAX];
	const uint64_t began = gh_mono_ns();

	run->until_ns = began + (uint64_t)(seconds * 1e9);
	run->done = 0;
	for (int i = 0; i < threads; i++)
		pthread_create(&t[i], NULL, putter, run);
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	printf("threads=%d puts_per_s=%.0f failed=%llu\n", threads,
	       (double)run->done / ((double)(gh_mono_ns() - began) / 1e9), (unsigned long long)run->failed);
}

int main(int argc, char **argv)
{
	static const int threads[] = { 1, 8, 16, 32 };
	const double seconds = argc > 2 ? atof(argv[2]) : 3;
	struct blob_config cfg = { .path = argc > 1 ? argv[1] : NULL };
	struct run run = { .ops = blob_backend_find(argc > 4 ? argv[4] : "local"), .bytes = 4096 };
	char err[256];

	if (argc < 2 || !run.ops) {
		fprintf(stderr, "usage: bench_put DIR [SECONDS [BYTES [KIND]]]\n");
		return 2;
	}
	if (argc > 3)
		run.bytes = strtoul(argv[3], NULL, 10);
	run.next_id = (unsigned long long)gh_real_us();
	if (run.ops->open(&cfg, &run.be, err) != GH_OK) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
		measure(&run, threads[i], seconds);
	run.ops->close(&run.be);
	return 0;
}
