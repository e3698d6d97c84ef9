/* Passwords: Argon2id hashes in their encoded form, random passwords, and the shape of app passwords.
 *
 * Hashing takes about 66 ms and 19 MiB; a worker of the login pool calls it, never a loop. No globals; any thread.
 */
#ifndef GH_CORE_PEOPLE_PASSWORD_H
#define GH_CORE_PEOPLE_PASSWORD_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

#define PW_MAX 1024         /* bytes of a password; longer ones never match */
#define PW_HASH_MAX 256     /* room for an encoded hash with its NUL */
#define PW_GENERATED_MAX 64 /* room for a generated password or app password with its NUL */

/* Cost, as OWASP's password storage guidance has it for Argon2id: 19 MiB, two passes, one lane. */
#define PW_MEMORY_KIB 19456u
#define PW_PASSES 2u
#define PW_LANES 1u

/* Encoded hash with a fresh salt into ret (PW_HASH_MAX). GH_INVALID: empty or longer than PW_MAX. GH_NOMEM. */
GH_MUST_CHECK enum gh_status pw_hash(const char *password, char *ret);
/* GH_OK: it matches. GH_UNAUTH: it does not. GH_NOMEM, GH_DAMAGED (the stored hash is no hash). hash NULL or "" (no
 * such user, or no password login) never matches and costs as much as one that might; so does an empty password, which
 * matches nothing. */
GH_MUST_CHECK enum gh_status pw_verify(const char *hash, const char *password);

/* Twenty characters of 32 that are hard to mix up, in groups: 100 bits. ret: PW_GENERATED_MAX. */
void pw_generate(char *ret);

/* App passwords: gh_<id>_<secret>, id 13 and secret 32 characters of base32 (160 bits), so that exactly one stored hash
 * is looked up and tried. */
void pw_token_generate(uint64_t token, char *ret);
/* Has it that shape? *ret_token: whose. */
bool pw_token_parse(const char *password, uint64_t *ret_token);

/* Operators' tokens: gho_<id>_<secret>, shaped alike. Nobody guesses 160 bits, so their hash is a plain SHA-256 and is
 * compared on a loop with every request. */
#define PW_DIGEST_BYTES 32
void pw_operator_token_generate(uint64_t token, char *ret);
bool pw_operator_token_parse(const char *text, uint64_t *ret_token);
void pw_digest(const char *text, unsigned char *ret); /* PW_DIGEST_BYTES */

#endif
