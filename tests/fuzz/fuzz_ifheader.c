/* The If header, Lock-Token and Timeout. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/webdav/dav.h"

/* strndup would look for a NUL behind the input. */
static char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = 0;
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct gh_name_rule rule = { .case_sensitive = false };
	struct gh_arena *a = gh_arena_new((size_t)1 << 20);
	struct vfs_cond cond = { .list_count = 0 };
	char *text = fuzz_text(data, size < DAV_IF_MAX ? size : DAV_IF_MAX);

	if (dav_if_parse(a, text, &(struct dav_here){ .host = "h" }, &rule, &cond) == GH_OK) {
		unsigned tokens = 0;

		if (cond.list_count == 0)
			abort();
		for (unsigned i = 0; i < cond.list_count; i++) {
			if (cond.lists[i].count == 0 || (cond.lists[i].foreign && cond.lists[i].path))
				abort();
			for (unsigned j = 0; j < cond.lists[i].count; j++)
				tokens += cond.lists[i].conds[j].token != NULL;
		}
		if (tokens != cond.token_count)
			abort();
	}
	(void)dav_token_parse(a, text);
	(void)dav_timeout_parse(text);
	free(text);
	gh_arena_free(&a);
	return 0;
}
