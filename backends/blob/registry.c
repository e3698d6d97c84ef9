/* The blob backends by kind. Called by the composition root and by tests; no state, any thread. */
#include <string.h>

#include "core/blob.h"

extern const struct blob_ops blob_ops_local, blob_ops_memory;
/* Only test programs link it (libghblobtest.a); in a release this is NULL, and the kind unknown. */
extern const struct blob_ops blob_ops_fault __attribute__((weak));

const struct blob_ops *blob_backend_find(const char *kind)
{
	const struct blob_ops *const all[] = { &blob_ops_local, &blob_ops_memory, &blob_ops_fault };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i] && strcmp(all[i]->name, kind) == 0)
			return all[i];
	}
	return NULL;
}
