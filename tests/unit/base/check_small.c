/* The small parts of base: status table, hashes, ids, log, metrics. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/base/status.h"

START_TEST(every_status_has_a_name_a_text_and_its_class)
{
	for (int i = 0; i < GH_STATUS_COUNT; i++) {
		ck_assert_ptr_nonnull(gh_status_text(i));
		ck_assert_uint_gt(strlen(gh_status_name(i)), 1);
		for (const char *s = gh_status_name(i); *s; s++)
			ck_assert(*s >= 'a' && *s <= 'z');
	}
	ck_assert_str_eq(gh_status_name(GH_NOTFOUND), "notfound");
	ck_assert_str_eq(gh_status_name(GH_PRECONDITION), "precondition");
	ck_assert_int_eq(gh_status_class(GH_OK), GH_CLASS_FLOW);
	ck_assert_int_eq(gh_status_class(GH_QUOTA), GH_CLASS_TENANT);
	ck_assert_int_eq(gh_status_class(GH_NOSPACE), GH_CLASS_DEPENDENCY);
	ck_assert_str_eq(gh_status_name((enum gh_status)9999), "bug");
}
END_TEST

START_TEST(errno_becomes_a_storage_status)
{
	ck_assert_int_eq(gh_status_of_errno(ENOSPC), GH_NOSPACE);
	ck_assert_int_eq(gh_status_of_errno(EDQUOT), GH_NOSPACE);
	ck_assert_int_eq(gh_status_of_errno(ENOMEM), GH_NOMEM);
	ck_assert_int_eq(gh_status_of_errno(ENOENT), GH_NOTFOUND);
	ck_assert_int_eq(gh_status_of_errno(EIO), GH_IO);
	ck_assert_int_eq(gh_status_of_errno(EMFILE), GH_IO);
}
END_TEST

START_TEST(crc32c_gives_the_known_values)
{
	unsigned char block[48];
	uint32_t crc;

	ck_assert_uint_eq(gh_crc32c(0, "", 0), 0);
	ck_assert_uint_eq(gh_crc32c(0, "123456789", 9), 0xe3069283);
	/* RFC 3720 appendix B.4 */
	memset(block, 0, 32);
	ck_assert_uint_eq(gh_crc32c(0, block, 32), 0x8a9136aa);
	memset(block, 0xff, 32);
	ck_assert_uint_eq(gh_crc32c(0, block, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		block[i] = (unsigned char)i;
	ck_assert_uint_eq(gh_crc32c(0, block, 32), 0x46dd794e);
	for (size_t cut = 0; cut <= 32; cut++) {
		crc = gh_crc32c(0, block, cut);
		ck_assert_uint_eq(gh_crc32c(crc, block + cut, 32 - cut), 0x46dd794e);
	}
}
END_TEST

START_TEST(siphash_gives_the_authors_vectors)
{
	/* Key 00..0f, message 00..0e: the paper's appendix A; the 128-bit ones are of the authors' vectors.h. */
	static const unsigned char wide0[16] = { 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
						 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93 };
	struct gh_sipkey key = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull };
	unsigned char message[15];
	uint64_t wide[2];

	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (unsigned char)i;
	ck_assert_uint_eq(gh_siphash(&key, message, 15), 0xa129ca6149be45e5ull);
	ck_assert_uint_eq(gh_siphash(&key, message, 0), 0x726fdb47dd0e0e31ull);
	gh_siphash128(&key, message, 0, wide);
	ck_assert_mem_eq(wide, wide0, 16);
}
END_TEST

START_TEST(random_hex_and_equality)
{
	unsigned char a[32], b[32];
	char hex[65];

	gh_random(a, sizeof(a));
	gh_random(b, sizeof(b));
	ck_assert(!gh_ct_equal(a, b, sizeof(a)));
	memcpy(b, a, sizeof(b));
	ck_assert(gh_ct_equal(a, b, sizeof(a)));
	b[31] ^= 1;
	ck_assert(!gh_ct_equal(a, b, sizeof(a)));
	ck_assert(gh_ct_equal(a, b, 0));
	gh_hex(hex, "\x00\xff\x1a", 3);
	ck_assert_str_eq(hex, "00ff1a");
}
END_TEST

enum { ID_THREADS = 4, IDS_EACH = 20000 };
static uint64_t ids[ID_THREADS][IDS_EACH];

static void *ids_take(void *arg)
{
	uint64_t *mine = arg;

	for (int i = 0; i < IDS_EACH; i++)
		mine[i] = gh_id_new();
	return NULL;
}

static int id_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(ids_rise_and_never_repeat_over_threads)
{
	pthread_t thread[ID_THREADS];

	gh_id_init(5, 0);
	for (int i = 0; i < ID_THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, ids_take, ids[i]), 0);
	for (int i = 0; i < ID_THREADS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < ID_THREADS; i++)
		for (int k = 1; k < IDS_EACH; k++)
			ck_assert_uint_gt(ids[i][k], ids[i][k - 1]);
	qsort(ids, (size_t)ID_THREADS * IDS_EACH, sizeof(uint64_t), id_compare);
	for (int k = 1; k < ID_THREADS * IDS_EACH; k++)
		ck_assert_uint_gt((&ids[0][0])[k], (&ids[0][0])[k - 1]);
	ck_assert_uint_eq(ids[0][0] >> 11 & 1023, 5);
	ck_assert_uint_eq(ids[0][0] >> 63, 0);
}
END_TEST

START_TEST(ids_hold_the_time_and_stay_above_their_floor)
{
	int64_t now = gh_real_us(), at;
	uint64_t id, floor;

	gh_id_init(0, 0);
	at = gh_id_time_us(gh_id_new());
	ck_assert(at >= now - 1000 && at < now + GH_S_US);
	/* A floor an hour ahead, of the highest slot: as after a clock that was set back. */
	floor = gh_id_new() + (3600ull * 1000 << 21) + (1023ull << 11);
	gh_id_init(1, floor);
	id = gh_id_new();
	ck_assert_uint_gt(id, floor);
	ck_assert_uint_gt(gh_id_new(), id);
}
END_TEST

static char log_path[] = "/tmp/check-log-XXXXXX";

static size_t log_read(char *out, size_t size)
{
	int fd = open(log_path, O_RDONLY);
	ssize_t n = read(fd, out, size - 1);

	ck_assert(n >= 0);
	out[n] = '\0';
	close(fd);
	return (size_t)n;
}

START_TEST(a_log_line_cannot_be_forged_or_grow)
{
	char text[16384], huge[6000], rotated[64];
	int fd = mkstemp(log_path);

	close(fd);
	ck_assert_int_eq(gh_log_open(log_path, GH_LOG_INFO), GH_OK);
	gh_log(GH_LOG_DEBUG, "hidden", "x=1");
	gh_log(GH_LOG_WARN, "put", "user=%s n=%d", "ann\nts=forged", 3);
	gh_log(GH_LOG_INFO, "bare", "%s", "");
	log_read(text, sizeof(text));
	ck_assert_ptr_null(strstr(text, "hidden"));
	ck_assert_ptr_nonnull(strstr(text, "Z level=warn event=put user=ann?ts=forged n=3\n"));
	ck_assert_ptr_nonnull(strstr(text, " event=bare"));
	ck_assert_int_eq(text[0] == 't' && text[1] == 's' && text[2] == '=' && text[7] == '-' && text[13] == 'T', 1);
	memset(huge, 'h', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	ck_assert_int_eq(truncate(log_path, 0), 0);
	gh_log(GH_LOG_ERROR, "big", "v=%s", huge);
	ck_assert_uint_eq(log_read(text, sizeof(text)), 4096);
	ck_assert_int_eq(text[4095], '\n');
	/* Rotation: the old file moved away, the second open goes on in a new one. */
	snprintf(rotated, sizeof(rotated), "%s.1", log_path);
	ck_assert_int_eq(rename(log_path, rotated), 0);
	ck_assert_int_eq(gh_log_open(log_path, GH_LOG_DEBUG), GH_OK);
	gh_log(GH_LOG_DEBUG, "fresh", "a=%d", 1);
	log_read(text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "level=debug event=fresh a=1\n"));
	ck_assert_int_eq(gh_log_open("/nonexistent/x", GH_LOG_DEBUG), GH_IO);
	ck_assert_int_eq(gh_log_open(NULL, GH_LOG_INFO), GH_OK);
	unlink(log_path);
	unlink(rotated);
}
END_TEST

START_TEST(quoting_escapes_and_always_closes)
{
	char out[32], tight[9];

	ck_assert_str_eq(gh_log_quote(out, sizeof(out), NULL), "-");
	ck_assert_str_eq(gh_log_quote(out, sizeof(out), ""), "\"\"");
	ck_assert_str_eq(gh_log_quote(out, sizeof(out), "a\"b\\c\n"), "\"a\\\"b\\\\c\\x0a\"");
	ck_assert_str_eq(gh_log_quote(out, sizeof(out), "\xc3\xa9\xe2\x82\xac"), "\"\xc3\xa9\xe2\x82\xac\"");
	ck_assert_str_eq(gh_log_quote(out, sizeof(out), "\xc2\x9b\xc3"), "\"\\xc2\\x9b\\xc3\"");
	ck_assert_str_eq(gh_log_quote(out, sizeof(out), "\xed\xa0\x80"), "\"\\xed\\xa0\\x80\"");
	for (size_t size = 3; size <= sizeof(tight); size++) {
		gh_log_quote(tight, size, "ab\n\xe2\x82\xac\"\"\"\"");
		ck_assert_uint_lt(strlen(tight), size);
		ck_assert_int_eq(tight[0], '"');
		ck_assert_int_eq(tight[strlen(tight) - 1], '"');
	}
}
END_TEST

static void *metrics_add(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10000; i++) {
		gh_metric_add(GH_M_REQUESTS, 2, 1);
		gh_metric_add(GH_M_CONNECTIONS, 1, i % 2 ? -1 : 1);
		gh_metric_observe_ns(GH_M_LATENCY, 1, 2000000);
	}
	return NULL;
}

START_TEST(metrics_lose_nothing_and_ignore_what_is_out_of_range)
{
	pthread_t thread[4];
	struct gh_buf b;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, metrics_add, NULL), 0);
	gh_buf_init(&b, 1 << 20);
	gh_metrics_render(&b);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	gh_metric_add(GH_M_REQUESTS, 6, 1);
	gh_metric_add(GH_M_REQUESTS, 99, 1);
	gh_metric_add(GH_METRIC_COUNT, 0, 1);
	ck_assert_int_eq(gh_metric_get(GH_M_REQUESTS, 6), 0);
	ck_assert_int_eq(gh_metric_get(GH_M_REQUESTS, 2), 40000);
	ck_assert_int_eq(gh_metric_get(GH_M_CONNECTIONS, 1), 0);
	ck_assert_int_eq(gh_metric_get(GH_M_LATENCY, 1), 40000);
	gh_metric_set(GH_M_NODE_CACHE_BYTES, 0, 123);
	gh_metric_add(GH_M_NODE_CACHE_BYTES, 0, 2);
	gh_metric_observe_ns(GH_M_LATENCY, 1, 100000);
	gh_metric_observe_ns(GH_M_LATENCY, 1, 60000000000ull);
	gh_buf_clear(&b);
	gh_metrics_render(&b);
	ck_assert(!b.failed);
	ck_assert_ptr_nonnull(strstr(b.data, "# TYPE gatehouse_requests_total counter\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "\ngatehouse_requests_total{door=\"ftp\"} 40000\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "\ngatehouse_node_cache_bytes 125\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "_bucket{door=\"webdav\",le=\"0.0001\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "_bucket{door=\"webdav\",le=\"0.001\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "_bucket{door=\"webdav\",le=\"0.0025\"} 40001\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "_bucket{door=\"webdav\",le=\"30\"} 40001\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "_bucket{door=\"webdav\",le=\"+Inf\"} 40002\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "_sum{door=\"webdav\"} 140.000100000\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "_count{door=\"webdav\"} 40002\n"));
	gh_buf_fini(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");
	TCase *t = tcase_create("base");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, every_status_has_a_name_a_text_and_its_class);
	tcase_add_test(t, errno_becomes_a_storage_status);
	tcase_add_test(t, crc32c_gives_the_known_values);
	tcase_add_test(t, siphash_gives_the_authors_vectors);
	tcase_add_test(t, random_hex_and_equality);
	tcase_add_test(t, ids_rise_and_never_repeat_over_threads);
	tcase_add_test(t, ids_hold_the_time_and_stay_above_their_floor);
	tcase_add_test(t, a_log_line_cannot_be_forged_or_grow);
	tcase_add_test(t, quoting_escapes_and_always_closes);
	tcase_add_test(t, metrics_lose_nothing_and_ignore_what_is_out_of_range);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
