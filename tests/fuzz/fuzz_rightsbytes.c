/* Arbitrary bytes where a snapshot of rights should be: refused, or taken and written back as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "core/rights_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gh_arena *a = gh_arena_new(16 << 20);
	struct meta_rights *m;
	struct gh_buf b;

	GH_ASSERT(a);
	gh_buf_init(&b, size + 1);
	if (rights_unpack(a, data, size, &m) == GH_OK) {
		rights_pack(m, &b);
		GH_ASSERT(b.len == size && !memcmp(b.data, data, size));
	}
	gh_buf_fini(&b);
	gh_arena_free(&a);
	return 0;
}
