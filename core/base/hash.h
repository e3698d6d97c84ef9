/* Small keyed and unkeyed hashes. */
#ifndef GH_CORE_BASE_HASH_H
#define GH_CORE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), SSE4.2 where there is. Start with 0, feed on. */
uint32_t gh_crc32c(uint32_t crc, const void *p, size_t len);

/* SipHash-2-4 (Aumasson, Bernstein 2012): a PRF; key from gh_random. 64 bits for hash tables, 128 for MACs. */
struct gh_sipkey {
	uint64_t k0, k1;
};
uint64_t gh_siphash(const struct gh_sipkey *key, const void *p, size_t len);
void gh_siphash128(const struct gh_sipkey *key, const void *p, size_t len, uint64_t ret[2]);

/* Bytes from the kernel's CSPRNG; aborts when there are none. */
void gh_random(void *p, size_t len);
/* Equal? In constant time. */
int gh_ct_equal(const void *a, const void *b, size_t len);
/* Lower-case hex of len bytes into out (2*len+1). */
void gh_hex(char *out, const void *p, size_t len);

#endif
