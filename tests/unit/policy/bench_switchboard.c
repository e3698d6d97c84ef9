/* How long an ask takes with 1,000 rules and 10,000 tenants, and how long a board takes to build. Prints figures, judges
 * nothing. bench_switchboard [RULES [TENANTS]] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "policy/switchboard.h"

#define ASKS 20000000u

static const struct flag_spec spec = { "core.fast", FLAG_BOOL, 1, 0, 1, "" };

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

/* A tenth of the rules for users, a few for all, the rest for tenants; some about the flag. */
static void fill(struct switch_rule *r, unsigned n, unsigned tenants)
{
	uint64_t x = 88172645463325252ull;

	for (unsigned i = 0; i < n; i++) {
		r[i] = (struct switch_rule){ .id = i + 1, .protocols = 1u << next(&x) % SWITCH_PROTO_COUNT,
					     .mode = (enum switch_mode)(next(&x) % 4), .percent = 100,
					     .expires_ms = SWITCH_NEVER, .message = "closed" };
		if (i % 50)
			r[i].tenant = 1 + next(&x) % tenants;
		if (i % 50 && i % 10 == 0)
			r[i].user = 1 + next(&x) % 4;
		if (i % 20 == 3) {
			r[i].flag = spec.key;
			r[i].percent = 1 + (unsigned)(next(&x) % 100);
		}
	}
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 1000, tenants = argc > 2 ? (unsigned)atoi(argv[2]) : 10000;
	struct switch_rule *r = calloc(n, sizeof(*r));
	struct switch_place here = { "", "", "" };
	uint64_t x = 1234567, sum = 0;
	struct switchboard *b;
	double start;

	if (!r)
		return 1;
	fill(r, n, tenants);
	start = seconds();
	b = switchboard_new(r, n, &here, 0, &spec, 1, NULL);
	if (!b)
		return 1;
	printf("build: %u rules in %.2f ms\n", switchboard_count(b), (seconds() - start) * 1e3);
	start = seconds();
	for (unsigned i = 0; i < ASKS; i++) {
		const uint64_t v = next(&x);
		const struct switch_ask a = { (enum switch_proto)(v % SWITCH_PROTO_COUNT), v >> 8 & 7,
					      1 + (v >> 16) % tenants, 1 + (v >> 48) % 4 };
		struct switch_answer answer;

		switchboard_ask(b, &a, 5, &answer);
		sum += answer.rule;
	}
	printf("ask: %.1f ns\n", (seconds() - start) * 1e9 / ASKS);
	start = seconds();
	for (unsigned i = 0; i < ASKS; i++) {
		const uint64_t v = next(&x);
		const struct switch_ask a = { (enum switch_proto)(v % SWITCH_PROTO_COUNT), v >> 8 & 7,
					      1 + (v >> 16) % tenants, 1 + (v >> 48) % 4 };

		sum += (uint64_t)switchboard_flag(b, 0, &a, 5);
	}
	printf("flag: %.1f ns (%llu)\n", (seconds() - start) * 1e9 / ASKS, (unsigned long long)sum);
	switchboard_free(&b);
	free(r);
	return 0;
}
