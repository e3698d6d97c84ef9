/* What the fair share costs while so many tenants wait. Prints figures, judges nothing: the nanoseconds of a turn (settle,
 * take, push) have to grow with the logarithm of the tenants. bench_fairshare [TENANTS...] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "policy/fairshare.h"

#define TURNS 1000000u
#define SLOTS 32u

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void bench(unsigned tenants)
{
	const struct fair_config cfg = { .slots = { SLOTS }, .queue_max = { tenants + SLOTS } };
	struct fair *f = fair_new(&cfg);
	struct fair_item *it = calloc(tenants + SLOTS, sizeof(*it)), **running = calloc(SLOTS, sizeof(*running)), *victim;
	unsigned n = 0;

	if (!f || !it || !running)
		exit(1);
	double t0 = seconds();
	for (unsigned i = 0; i < tenants + SLOTS; i++) {
		it[i].tenant = i;
		it[i].class = i % FAIR_CLASSES;
		it[i].rule = (struct fair_tenant_rule){ .weight = 1 + i * 7919 % FAIR_WEIGHT_MAX };
		if (fair_push(f, &it[i], 1000 + i, &victim) == FAIR_RUN)
			running[n++] = &it[i];
	}
	const double pushed = seconds() - t0;
	t0 = seconds();
	for (unsigned i = 0; i < TURNS; i++) {
		struct fair_item *x = running[i % SLOTS];
		const uint64_t now = 1000000 + i * 1000ull;
		fair_settle(f, x, 500000 + i * 7919 % 1000000, now);
		running[i % SLOTS] = fair_take(f, now);
		(void)fair_push(f, x, now, &victim);
	}
	const double turned = seconds() - t0;
	printf("%7u tenants wait: first push %5.0f ns, turn (settle, take, push) %5.0f ns\n", tenants,
	       pushed * 1e9 / (tenants + SLOTS), turned * 1e9 / TURNS);
	for (unsigned i = 0; i < SLOTS; i++)
		fair_settle(f, running[i], 0, 1);
	for (unsigned i = 0; i < tenants + SLOTS; i++)
		(void)fair_cancel(f, &it[i]);
	fair_free(&f);
	free(running);
	free(it);
}

int main(int argc, char **argv)
{
	static const unsigned sizes[] = { 10, 100, 1000, 10000, 100000 };

	for (int i = 1; i < argc; i++)
		bench((unsigned)atoi(argv[i]));
	for (unsigned i = 0; argc < 2 && i < 5; i++)
		bench(sizes[i]);
	return 0;
}
