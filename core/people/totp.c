/* One-time codes. See totp.h. */
#include "core/people/totp.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/base/status.h"

static const char base32[33] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

void totp_secret_make(unsigned char *ret)
{
	gh_random(ret, TOTP_SECRET_BYTES);
}

/* 20 bytes are four groups of five: no padding. */
void totp_secret_text(const unsigned char *secret, char *ret)
{
	for (unsigned group = 0; group < TOTP_SECRET_BYTES; group += 5) {
		uint64_t bits = 0;

		for (unsigned i = 0; i < 5; i++)
			bits = bits << 8 | secret[group + i];
		for (int shift = 35; shift >= 0; shift -= 5)
			*ret++ = base32[bits >> shift & 31];
	}
	*ret = '\0';
}

bool totp_secret_parse(const char *text, unsigned char *ret)
{
	if (!text || strlen(text) != TOTP_TEXT_MAX - 1)
		return false;
	for (unsigned group = 0; group < TOTP_SECRET_BYTES; group += 5) {
		uint64_t bits = 0;

		for (unsigned i = 0; i < 8; i++) {
			const char *at = strchr(base32, *text++);

			if (!at)
				return false;
			bits = bits << 5 | (uint64_t)(at - base32);
		}
		for (int shift = 32; shift >= 0; shift -= 8)
			*ret++ = (unsigned char)(bits >> shift);
	}
	return true;
}

/* RFC 4226 section 5.3: dynamic truncation. */
uint32_t totp_code(const unsigned char *secret, uint64_t step)
{
	unsigned char counter[8], mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0, at;
	uint32_t code;

	for (int i = 7; i >= 0; i--, step >>= 8)
		counter[i] = (unsigned char)step;
	/* Fails only without memory, or in a library without SHA-1: nobody gets in by that. */
	GH_ASSERT(HMAC(EVP_sha1(), secret, TOTP_SECRET_BYTES, counter, sizeof(counter), mac, &mac_len) &&
		  mac_len == 20);
	at = mac[19] & 15;
	code = (uint32_t)(mac[at] & 0x7f) << 24 | (uint32_t)mac[at + 1] << 16 | (uint32_t)mac[at + 2] << 8 |
	       mac[at + 3];
	explicit_bzero(mac, sizeof(mac));
	return code % 1000000;
}

bool totp_check(const unsigned char *secret, const char *code, int64_t now_s, int64_t used_step, int64_t *ret_step)
{
	const int64_t now = now_s / TOTP_STEP_S;
	uint32_t given, good = 0;

	if (strlen(code) != TOTP_DIGITS || strspn(code, "0123456789") != TOTP_DIGITS)
		return false;
	given = (uint32_t)strtoul(code, NULL, 10);
	/* All three, whichever it is: no difference in time. */
	for (int64_t step = now - 1; step <= now + 1; step++) {
		const uint32_t same = totp_code(secret, (uint64_t)step) == given && step > used_step;

		if (same)
			*ret_step = step;
		good |= same;
	}
	return good;
}
