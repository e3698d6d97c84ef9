/* Encoding and checking of what lies on the local disk (record.h has the pictures). Called by the local backend only;
 * no I/O, no state, any thread. */
#include "backends/blob/record.h"

#include <endian.h>
#include <string.h>

#include "core/base/hash.h"

#define RECORD_MAGIC 0x52424847u /* "GHBR" */
#define FOOTER_MAGIC 0x46424847u /* "GHBF" */
enum { FORMAT = 1, RECORD_CRC_AT = 36, FOOT_CRC_AT = 48 };

static void put32(uint8_t *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof(v));
}

static void put64(uint8_t *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof(v));
}

static uint32_t get32(const uint8_t *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const uint8_t *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof(v));
	return le64toh(v);
}

void pack_start_encode(uint8_t out[PACK_START], uint64_t pack)
{
	static const char name[16] = "Gatehouse pack\n";

	memset(out, 0, PACK_START);
	memcpy(out, name, sizeof(name));
	out[16] = FORMAT;
	put64(out + 24, pack);
	put32(out + 32, gh_crc32c(0, out, 32));
}

/* The header's bytes around its own crc, and where the record is. */
static uint32_t head_crc(const uint8_t *head, size_t len, uint64_t pack, uint64_t offset)
{
	uint8_t where[16];
	uint32_t crc;

	put64(where, pack);
	put64(where + 8, offset);
	crc = gh_crc32c(0, where, sizeof(where));
	crc = gh_crc32c(crc, head, RECORD_CRC_AT);
	return gh_crc32c(crc, head + RECORD_FIXED, len - RECORD_FIXED);
}

void record_encode(struct record *r, uint64_t pack, uint64_t offset, uint8_t out[RECORD_HEAD_MAX])
{
	uint64_t blocks = blob_blocks(r->len);

	memset(out, 0, RECORD_FIXED);
	put32(out, RECORD_MAGIC);
	out[4] = FORMAT;
	put64(out + 8, r->tenant);
	put64(out + 16, r->id);
	put64(out + 24, (uint64_t)r->made_us);
	put32(out + 32, r->len);
	for (uint64_t i = 0; i < blocks; i++)
		put32(out + RECORD_FIXED + 4 * i, r->crc[i]);
	r->head_crc = head_crc(out, record_head_bytes(r->len), pack, offset);
	put32(out + RECORD_CRC_AT, r->head_crc);
}

bool record_decode(const uint8_t *in, size_t have, uint64_t pack, uint64_t offset, struct record *ret)
{
	struct record r = { 0 };

	if (have < RECORD_FIXED || get32(in) != RECORD_MAGIC || in[4] != FORMAT)
		return false;
	r.len = get32(in + 32);
	if (r.len > RECORD_DATA_MAX || record_head_bytes(r.len) > have)
		return false;
	r.head_crc = get32(in + RECORD_CRC_AT);
	if (r.head_crc != head_crc(in, record_head_bytes(r.len), pack, offset))
		return false;
	r.tenant = get64(in + 8);
	r.id = get64(in + 16);
	r.made_us = (int64_t)get64(in + 24);
	for (uint64_t i = 0; i < blob_blocks(r.len); i++)
		r.crc[i] = get32(in + RECORD_FIXED + 4 * i);
	*ret = r;
	return true;
}

void footer_encode(struct footer *f, uint8_t out[FOOTER_BYTES])
{
	memset(out, 0, FOOTER_BYTES);
	put32(out, FOOTER_MAGIC);
	out[4] = FORMAT;
	put64(out + 8, f->tenant);
	put64(out + 16, f->id);
	put64(out + 24, (uint64_t)f->made_us);
	put64(out + 32, f->size);
	put32(out + 40, f->whole_crc);
	put32(out + 44, f->table_crc);
	f->foot_crc = gh_crc32c(0, out, FOOT_CRC_AT);
	put32(out + FOOT_CRC_AT, f->foot_crc);
}

bool footer_decode(const uint8_t in[FOOTER_BYTES], struct footer *ret)
{
	if (get32(in) != FOOTER_MAGIC || in[4] != FORMAT)
		return false;
	if (get32(in + FOOT_CRC_AT) != gh_crc32c(0, in, FOOT_CRC_AT))
		return false;
	for (int i = FOOT_CRC_AT + 4; i < FOOTER_BYTES; i++) {
		if (in[i])
			return false;
	}
	*ret = (struct footer){
		.tenant = get64(in + 8),
		.id = get64(in + 16),
		.made_us = (int64_t)get64(in + 24),
		.size = get64(in + 32),
		.whole_crc = get32(in + 40),
		.table_crc = get32(in + 44),
		.foot_crc = get32(in + FOOT_CRC_AT),
	};
	return true;
}

void place_encode(const struct place *p, struct blob_loc *ret)
{
	uint8_t *to = ret->bytes;

	memset(ret, 0, sizeof(*ret));
	*to++ = FORMAT;
	*to++ = (uint8_t)p->kind;
	put64(to, p->size);
	put32(to + 8, p->head_crc);
	to += 12;
	if (p->kind == PLACE_PACK) {
		put64(to, p->pack);
		put32(to + 8, (uint32_t)(p->offset / RECORD_ALIGN));
		to += 12;
	}
	ret->len = (uint8_t)(to - ret->bytes);
}

bool place_decode(const struct blob_loc *loc, struct place *ret)
{
	struct place p = { 0 };

	if (loc->len < 14 || loc->bytes[0] != FORMAT)
		return false;
	p.size = get64(loc->bytes + 2);
	p.head_crc = get32(loc->bytes + 10);
	if (loc->bytes[1] == PLACE_PACK && loc->len == 26 && p.size <= RECORD_DATA_MAX) {
		p.kind = PLACE_PACK;
		p.pack = get64(loc->bytes + 14);
		p.offset = (uint64_t)get32(loc->bytes + 22) * RECORD_ALIGN;
	} else if (loc->bytes[1] == PLACE_FILE && loc->len == 14 && p.size <= INT64_MAX / 2) {
		p.kind = PLACE_FILE;
	} else {
		return false;
	}
	*ret = p;
	return true;
}

bool blocks_intact(const void *data, size_t len, const uint32_t *crc, size_t *ret_bad)
{
	const uint8_t *at = data;

	for (size_t i = 0; len; i++) {
		size_t n = len < BLOB_BLOCK ? len : BLOB_BLOCK;

		if (gh_crc32c(0, at, n) != crc[i]) {
			*ret_bad = i;
			return false;
		}
		at += n;
		len -= n;
	}
	return true;
}

/* ---- joining ----
 * Appending zero bytes to a message multiplies its CRC by x^8 in GF(2)[x] modulo the polynomial: a linear map on 32
 * bits, kept as the images of the single bits. Squaring the map doubles the number of bytes. The inversions before and
 * after cancel out: crc(ab) = map_len(b)(crc(a)) ^ crc(b). */

static uint32_t shift_apply(const struct crc_shift *s, uint32_t crc)
{
	uint32_t sum = 0;

	for (int bit = 0; crc; bit++, crc >>= 1) {
		if (crc & 1)
			sum ^= s->column[bit];
	}
	return sum;
}

/* ret = first a, then b */
static void shift_then(struct crc_shift *ret, const struct crc_shift *a, const struct crc_shift *b)
{
	struct crc_shift both;

	for (int bit = 0; bit < 32; bit++)
		both.column[bit] = shift_apply(b, a->column[bit]);
	*ret = both;
}

void crc_shift_init(struct crc_shift *s, uint64_t bytes)
{
	struct crc_shift power; /* of the number of bytes that the current bit of `bytes` stands for */

	power.column[0] = 0x82f63b78; /* one zero bit: reflected, so the lowest bit falls out */
	for (int bit = 1; bit < 32; bit++)
		power.column[bit] = 1u << (bit - 1);
	for (int doubling = 0; doubling < 3; doubling++)
		shift_then(&power, &power, &power);
	for (int bit = 0; bit < 32; bit++)
		s->column[bit] = 1u << bit;
	for (; bytes; bytes >>= 1) {
		if (bytes & 1)
			shift_then(s, s, &power);
		shift_then(&power, &power, &power);
	}
}

uint32_t crc_join(uint32_t first, uint32_t second, const struct crc_shift *length_of_second)
{
	return shift_apply(length_of_second, first) ^ second;
}
