/* How bytes lie on the local disk: records in packs, footers of files, locators. Nothing here does I/O. Any thread.
 * All numbers are little-endian.
 *
 * A pack begins with PACK_START bytes that name it, then records, each beginning at a multiple of RECORD_ALIGN:
 *     magic u32, format u8, 0 0 0, tenant u64, id u64, made_us i64, length u32, head crc u32, crc u32 per 64 KiB block,
 *     data, zeros up to the next multiple of RECORD_ALIGN
 * The head crc covers the header, the pack's number and the record's offset: a record that was copied elsewhere, or a
 * locator that points at another blob's record, does not pass. RECORD_ALIGN is far below a disk block, because most
 * blobs are small and rounding each to 4 KiB would nearly double what every group sync writes. Punching a record out
 * zeroes the parts of blocks that its neighbours share (a block comes back when all that shared it are gone), so zeros
 * where a record would begin mean "nothing here", and whole holes are skipped with SEEK_DATA.
 *
 * A file of its own holds the data from byte 0 (so that sendfile can have it), then a crc u32 per block, then
 * FOOTER_BYTES:
 *     magic u32, format u8, 0 0 0, tenant u64, id u64, made_us i64, size u64, whole crc u32, table crc u32,
 *     foot crc u32, zeros up to FOOTER_BYTES
 */
#ifndef GH_BACKENDS_BLOB_RECORD_H
#define GH_BACKENDS_BLOB_RECORD_H

#include <stdint.h>

#include "core/blob.h"

enum {
	PACK_START = 64,
	RECORD_ALIGN = 64,
	RECORD_FIXED = 40,       /* header without the block crcs */
	RECORD_BLOCKS_MAX = 16,  /* so a record holds at most 1 MiB */
	RECORD_HEAD_MAX = RECORD_FIXED + 4 * RECORD_BLOCKS_MAX,
	FOOTER_BYTES = 64,
	BLOCK_BYTES = 4096,      /* in which disks give space back */
};
#define RECORD_DATA_MAX ((size_t)RECORD_BLOCKS_MAX * BLOB_BLOCK)

struct record {
	uint64_t tenant, id;
	int64_t made_us;
	uint32_t len;
	uint32_t head_crc;
	uint32_t crc[RECORD_BLOCKS_MAX];
};

struct footer {
	uint64_t tenant, id, size;
	int64_t made_us;
	uint32_t whole_crc, table_crc, foot_crc;
};

/* What a locator says. */
struct place {
	enum { PLACE_PACK = 'p', PLACE_FILE = 'f' } kind;
	uint64_t pack, offset; /* PLACE_PACK: its number, where the record begins */
	uint64_t size;
	uint32_t head_crc; /* of the record, or the foot crc: binds the locator to exactly this blob */
};

static inline uint64_t blob_blocks(uint64_t size)
{
	return size / BLOB_BLOCK + (size % BLOB_BLOCK != 0);
}

static inline size_t record_head_bytes(uint32_t len)
{
	return RECORD_FIXED + 4 * (size_t)blob_blocks(len);
}

/* Header, data and padding. */
static inline uint64_t record_span(uint32_t len)
{
	return (record_head_bytes(len) + (uint64_t)len + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

void pack_start_encode(uint8_t out[PACK_START], uint64_t pack);
/* Fills out (record_head_bytes long) and r->head_crc. */
void record_encode(struct record *r, uint64_t pack, uint64_t offset, uint8_t out[RECORD_HEAD_MAX]);
/* False when in (of have bytes) is no whole, intact header of a record at this place. */
bool record_decode(const uint8_t *in, size_t have, uint64_t pack, uint64_t offset, struct record *ret);
void footer_encode(struct footer *f, uint8_t out[FOOTER_BYTES]); /* fills f->foot_crc too */
bool footer_decode(const uint8_t in[FOOTER_BYTES], struct footer *ret);
void place_encode(const struct place *p, struct blob_loc *ret);
bool place_decode(const struct blob_loc *loc, struct place *ret);
/* Does the data of one record, or a run of whole blocks (the last may be short), have these checksums? On false
 * *ret_bad is the first block that does not. */
bool blocks_intact(const void *data, size_t len, const uint32_t *crc, size_t *ret_bad);

/* CRC-32C of a run of bytes from the CRCs of its pieces. after: crc_after_block is BLOB_BLOCK bytes, precomputed. */
struct crc_shift {
	uint32_t column[32];
};
void crc_shift_init(struct crc_shift *s, uint64_t bytes);
uint32_t crc_join(uint32_t first, uint32_t second, const struct crc_shift *length_of_second);

#endif
