/* Arbitrary bytes where a record, a footer or a locator should be: refused, or taken and written back as the same
 * bytes. Nothing read from a disk or a row may lead outside its buffer. */
#include <stdlib.h>
#include <string.h>

#include "backends/blob/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_record(const uint8_t *data, size_t size)
{
	struct record r;
	uint8_t again[RECORD_HEAD_MAX];

	if (!record_decode(data, size, 1, 64, &r))
		return;
	GH_ASSERT(r.len <= RECORD_DATA_MAX && record_head_bytes(r.len) <= size);
	record_encode(&r, 1, 64, again);
	GH_ASSERT(memcmp(again + 8, data + 8, record_head_bytes(r.len) - 8) == 0);
}

static void try_place(const uint8_t *data, size_t size)
{
	struct blob_loc loc = { 0 }, again;
	struct place p;

	loc.len = (uint8_t)(size < BLOB_LOCATOR_MAX ? size : BLOB_LOCATOR_MAX);
	memcpy(loc.bytes, data, loc.len);
	if (!place_decode(&loc, &p))
		return;
	GH_ASSERT(p.kind == PLACE_FILE || p.size <= RECORD_DATA_MAX);
	place_encode(&p, &again);
	GH_ASSERT(again.len == loc.len && memcmp(again.bytes, loc.bytes, loc.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct footer f;
	uint8_t again[FOOTER_BYTES];

	try_record(data, size);
	try_place(data, size);
	if (size >= FOOTER_BYTES && footer_decode(data, &f)) {
		footer_encode(&f, again);
		GH_ASSERT(memcmp(again + 8, data + 8, FOOTER_BYTES - 8) == 0);
	}
	return 0;
}
