/* The canonicaliser against anything: it refuses, or what it gives is its own canonical form. First byte: flags. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void same_again(struct gh_arena *a, const char *text, uint32_t len, const struct gh_name_rule *rule,
		       const char *want_key)
{
	struct gh_path *again;

	must(gh_path_parse(a, text, len, 0, rule, &again) == GH_OK);
	must(again->text_len == len && memcmp(again->text, text, len) == 0);
	must(strcmp(again->key, want_key) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gh_arena *a = gh_arena_new(1 << 18);
	struct gh_path *p;

	if (!a || !size)
		goto out;
	for (int sensitive = 0; sensitive < 2; sensitive++) {
		struct gh_name_rule rule = { .case_sensitive = sensitive };

		if (gh_path_parse(a, (const char *)data + 1, size - 1, data[0] & 3, &rule, &p) != GH_OK)
			continue;
		must(p->depth <= GH_DEPTH_MAX && p->text_len <= GH_PATH_MAX && p->key_len <= GH_PATH_MAX);
		must(strlen(p->text) == p->text_len && strlen(p->key) == p->key_len);
		same_again(a, p->text, p->text_len, &rule, p->key);
		same_again(a, p->key, p->key_len, &rule, p->key);
		for (unsigned i = 0; i < p->depth; i++) {
			struct gh_component one;

			must(gh_name_check(a, p->comp[i].name, p->comp[i].name_len, &rule, &one) == GH_OK);
			must(strcmp(one.name, p->comp[i].name) == 0 && strcmp(one.key, p->comp[i].key) == 0);
		}
	}
out:
	gh_arena_free(&a);
	return 0;
}
