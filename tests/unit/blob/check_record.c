/* Formats and checksums by themselves (record.h). */
#include "backends/blob/record.h"
#include "core/base/hash.h"
#include "tests/unit/blob/blob_test.h"

START_TEST(joined_checksums_are_the_checksum_of_the_whole)
{
	uint8_t *data = pattern_new(200000, 1);

	for (size_t cut = 0; cut <= 200000; cut = cut * 3 + 1) {
		const size_t left = 200000 - cut;
		struct crc_shift shift;

		crc_shift_init(&shift, left);
		ck_assert_uint_eq(crc_join(gh_crc32c(0, data, cut), gh_crc32c(0, data + cut, left), &shift),
				  gh_crc32c(0, data, 200000));
	}
	free(data);
}
END_TEST

static struct record sample(uint32_t len)
{
	struct record r = { .tenant = 3, .id = 0x123456789abcdefull, .made_us = 1700000000000000, .len = len };

	for (unsigned i = 0; i < blob_blocks(len); i++)
		r.crc[i] = 0x01010101u * i + 7;
	return r;
}

START_TEST(a_record_header_comes_back_as_it_was)
{
	static const uint32_t lens[] = { 0, 1, 65536, 65537, 1 << 20 };

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct record r = sample(lens[i]), back;
		uint8_t head[RECORD_HEAD_MAX];

		record_encode(&r, 77, 640, head);
		ck_assert(record_decode(head, sizeof(head), 77, 640, &back));
		ck_assert_mem_eq(&back, &r, sizeof(r));
		ck_assert(record_decode(head, record_head_bytes(r.len), 77, 640, &back));
		ck_assert(!record_decode(head, record_head_bytes(r.len) - 1, 77, 640, &back));
		ck_assert(!record_decode(head, sizeof(head), 78, 640, &back));
		ck_assert(!record_decode(head, sizeof(head), 77, 704, &back));
		ck_assert_uint_eq(record_span(r.len) % RECORD_ALIGN, 0);
		ck_assert_uint_ge(record_span(r.len), record_head_bytes(r.len) + r.len);
	}
}
END_TEST

START_TEST(a_record_header_with_a_flipped_bit_is_refused)
{
	struct record r = sample(100000), back;
	uint8_t head[RECORD_HEAD_MAX];

	record_encode(&r, 77, 640, head);
	for (size_t bit = 0; bit < 8 * record_head_bytes(r.len); bit++) {
		head[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert(!record_decode(head, sizeof(head), 77, 640, &back));
		head[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

START_TEST(a_footer_comes_back_and_with_a_flipped_bit_is_refused)
{
	struct footer f = { 3, 4, 500000, 1700000000000000, 11, 12, 0 }, back;
	uint8_t foot[FOOTER_BYTES], again[FOOTER_BYTES];

	footer_encode(&f, foot);
	ck_assert(footer_decode(foot, &back));
	ck_assert_uint_eq(back.tenant, 3);
	ck_assert_uint_eq(back.id, 4);
	ck_assert_uint_eq(back.size, 500000);
	ck_assert_uint_eq(back.foot_crc, f.foot_crc);
	footer_encode(&back, again);
	ck_assert_mem_eq(again, foot, sizeof(foot));
	for (size_t bit = 0; bit < 8 * sizeof(foot); bit++) {
		foot[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert(!footer_decode(foot, &back));
		foot[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

START_TEST(a_locator_comes_back_and_of_a_wrong_length_is_refused)
{
	const struct place places[] = {
		{ PLACE_PACK, 0x1234567812345678ull, 64ull * 0xffffffffull, RECORD_DATA_MAX, 5 },
		{ PLACE_FILE, 0, 0, 1ull << 50, 6 },
	};

	for (int i = 0; i < 2; i++) {
		struct blob_loc loc;
		struct place back;
		const uint8_t *bytes = loc.bytes;

		place_encode(&places[i], &loc);
		ck_assert(place_decode(&loc, &back));
		ck_assert_int_eq(back.kind, places[i].kind);
		ck_assert_uint_eq(back.pack, places[i].pack);
		ck_assert_uint_eq(back.offset, places[i].offset);
		ck_assert_uint_eq(back.size, places[i].size);
		ck_assert_uint_eq(back.head_crc, places[i].head_crc);
		ck_assert_uint_eq(bytes[0], 1);
		for (unsigned len = 0, right = loc.len; len <= BLOB_LOCATOR_MAX; len++) {
			loc.len = (uint8_t)len;
			ck_assert_int_eq(place_decode(&loc, &back), len == right);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("blob formats");
	TCase *t = tcase_create("formats");

	tcase_add_test(t, joined_checksums_are_the_checksum_of_the_whole);
	tcase_add_test(t, a_record_header_comes_back_as_it_was);
	tcase_add_test(t, a_record_header_with_a_flipped_bit_is_refused);
	tcase_add_test(t, a_footer_comes_back_and_with_a_flipped_bit_is_refused);
	tcase_add_test(t, a_locator_comes_back_and_of_a_wrong_length_is_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
