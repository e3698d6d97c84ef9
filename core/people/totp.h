/* One-time codes: RFC 6238 with HMAC-SHA-1, steps of 30 s and six digits, which is what every authenticator speaks, and
 * the base32 (RFC 4648 section 6) that secrets are typed in. The secret is 160 bits (RFC 4226 section 4, R6).
 *
 * Pure but for the random secret; any thread. HMAC is libcrypto's.
 */
#ifndef GH_CORE_PEOPLE_TOTP_H
#define GH_CORE_PEOPLE_TOTP_H

#include <stdbool.h>
#include <stdint.h>

enum { TOTP_SECRET_BYTES = 20, TOTP_TEXT_MAX = 33, TOTP_STEP_S = 30, TOTP_DIGITS = 6 };

void totp_secret_make(unsigned char *ret);                      /* TOTP_SECRET_BYTES */
void totp_secret_text(const unsigned char *secret, char *ret);  /* TOTP_TEXT_MAX */
bool totp_secret_parse(const char *text, unsigned char *ret);   /* what totp_secret_text gave */
uint32_t totp_code(const unsigned char *secret, uint64_t step); /* 0..999999 */

/* Is code (six digits, as typed) good at now_s? The step before and the one after count too, for clocks that differ and
 * people who are slow (RFC 6238 section 5.2). A code of used_step or before was used, and is refused. *ret_step: its
 * own, to be remembered as used. */
bool totp_check(const unsigned char *secret, const char *code, int64_t now_s, int64_t used_step, int64_t *ret_step);

#endif
