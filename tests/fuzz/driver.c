/* Stands in for libFuzzer in plain builds: runs every file of the corpus, then a fixed number of mutations of them from
 * a fixed seed, so that a run is repeatable. Arguments: files to run instead (to look at a finding).
 *
 * The corpus of fuzz_X is $srcdir/tests/fuzz/corpus/X (srcdir defaults to "."); without one it starts from nothing.
 * GH_FUZZ_RUNS sets the number of mutations (default 20000).
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 65536
#define SEEDS_MAX 1024

struct seed {
	uint8_t *data;
	size_t len;
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x;
}

static int seed_read(const char *path, struct seed *s)
{
	FILE *f = fopen(path, "rb");

	if (!f)
		return -1;
	s->data = malloc(INPUT_MAX);
	if (!s->data) {
		fclose(f);
		return -1;
	}
	s->len = fread(s->data, 1, INPUT_MAX, f);
	fclose(f);
	return 0;
}

/* Exactly sized, so that a sanitizer sees the first byte past the end. */
static void run_one(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	if (len)
		memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static size_t mutate(uint8_t *buf, size_t len, const struct seed *other, uint64_t *rnd)
{
	unsigned changes = 1 + next_random(rnd) % 8;

	while (changes--) {
		size_t at = len ? next_random(rnd) % len : 0;

		switch (next_random(rnd) % 6) {
		case 0:
			if (len)
				buf[at] ^= (uint8_t)(1u << next_random(rnd) % 8);
			break;
		case 1:
			if (len)
				buf[at] = (uint8_t)next_random(rnd);
			break;
		case 2: /* insert */
			if (len < INPUT_MAX) {
				memmove(buf + at + 1, buf + at, len - at);
				buf[at] = (uint8_t)next_random(rnd);
				len++;
			}
			break;
		case 3: /* remove */
			if (len) {
				memmove(buf + at, buf + at + 1, len - at - 1);
				len--;
			}
			break;
		case 4: /* cut */
			len = at;
			break;
		case 5: /* splice */
			if (other->len) {
				size_t from = next_random(rnd) % other->len;
				size_t n = other->len - from;

				if (n > INPUT_MAX - at)
					n = INPUT_MAX - at;
				memcpy(buf + at, other->data + from, n);
				if (at + n > len)
					len = at + n;
			}
			break;
		}
	}
	return len;
}

static unsigned corpus_load(const char *program, struct seed *seeds)
{
	const char *srcdir = getenv("srcdir"), *name = strrchr(program, '/');
	char folder[1024], path[2048];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	name = name ? name + 1 : program;
	if (!strncmp(name, "fuzz_", 5))
		name += 5;
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", name);
	d = opendir(folder);
	if (!d)
		return 0;
	while (n < SEEDS_MAX && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (!seed_read(path, &seeds[n]))
			n++;
	}
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	static struct seed seeds[SEEDS_MAX + 1]; /* the last one stays empty */
	static uint8_t buf[INPUT_MAX];
	const char *runs_text = getenv("GH_FUZZ_RUNS");
	unsigned long runs = runs_text ? strtoul(runs_text, NULL, 10) : 20000;
	uint64_t rnd = 0x9e3779b97f4a7c15ull;
	unsigned n = 0;

	if (argc > 1) {
		for (int i = 1; i < argc && n < SEEDS_MAX; i++) {
			if (seed_read(argv[i], &seeds[n])) {
				perror(argv[i]);
				return 1;
			}
			n++;
		}
		runs = 0;
	} else {
		n = corpus_load(argv[0], seeds);
	}
	for (unsigned i = 0; i < n; i++)
		run_one(seeds[i].data, seeds[i].len);
	for (unsigned long i = 0; i < runs; i++) {
		const struct seed *s = &seeds[n ? next_random(&rnd) % n : 0], *o = &seeds[n ? next_random(&rnd) % n : 0];
		size_t len = s->len;

		if (len)
			memcpy(buf, s->data, len);
		len = mutate(buf, len, o, &rnd);
		run_one(buf, len);
	}
	for (unsigned i = 0; i < n; i++)
		free(seeds[i].data);
	printf("%u files, %lu mutations\n", n, runs);
	return 0;
}
