/* Arbitrary bytes where a node should be: refused, or taken and written back as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "core/tree_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meta_node n;
	uint64_t horizon;
	struct gh_buf b;

	gh_buf_init(&b, size + 1);
	if (tree_unpack(data, size, &n, &horizon) == GH_OK) {
		tree_pack(&n, horizon, &b);
		GH_ASSERT(b.len == size && !memcmp(b.data, data, size));
	}
	gh_buf_fini(&b);
	return 0;
}
