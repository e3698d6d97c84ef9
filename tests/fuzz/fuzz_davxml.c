/* Request bodies of WebDAV: the first byte chooses the size of the pieces. Whatever parses is asked, rendered, and must
 * be the same after being written and read once more. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/webdav/dav.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct dav_el *root)
{
	struct dav_xml *again = dav_xml_new((size_t)4 << 20);
	struct gh_buf a, b;
	struct dav_el *root2;

	gh_buf_init(&a, (size_t)2 << 20);
	gh_buf_init(&b, (size_t)2 << 20);
	gh_buf_str(&a, "<p>");
	dav_xml_inner(&a, root);
	gh_buf_str(&a, "</p>");
	/* declarations may take it past a limit of the reader; else it must parse and be stable */
	if (again && !a.failed && dav_xml_feed(again, a.data, a.len) == GH_OK &&
	    dav_xml_finish(again, &root2) == GH_OK) {
		gh_buf_str(&b, "<p>");
		dav_xml_inner(&b, root2);
		gh_buf_str(&b, "</p>");
		if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
			abort();
	}
	gh_buf_fini(&a);
	gh_buf_fini(&b);
	dav_xml_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dav_xml *x;
	struct dav_el *root;
	struct gh_arena *arena;
	struct dav_ask ask;
	size_t step, at;

	if (size < 2)
		return 0;
	step = data[0] ? data[0] : size;
	x = dav_xml_new(65536);
	arena = gh_arena_new((size_t)1 << 20);
	for (at = 1; at < size && dav_xml_feed(x, data + at, size - at < step ? size - at : step) == GH_OK; at += step)
		;
	if (dav_xml_finish(x, &root) == GH_OK && root) {
		round_trip(root);
		if (dav_ask_parse(arena, root, &ask) == GH_OK) {
			struct vfs_node n = { .type = VFS_FOLDER, .name = "x", .name_len = 1 };
			struct gh_buf b;

			gh_buf_init(&b, (size_t)1 << 20);
			dav_entry(&b, &ask, "/dav/x", 6, "/x", &n);
			gh_buf_fini(&b);
		}
	}
	gh_arena_free(&arena);
	dav_xml_free(&x);
	return 0;
}
