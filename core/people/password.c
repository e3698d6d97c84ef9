/* Argon2id by libargon2, and secrets that we make ourselves. See password.h. */
#include "core/people/password.h"

#include <argon2.h>
#include <openssl/sha.h>
#include <string.h>

#include "core/base/hash.h"

enum { SALT_BYTES = 16, HASH_BYTES = 32, ID_CHARS = 13, SECRET_CHARS = 32 };

/* Crockford's: no i, l, o, u. */
static const char base32[33] = "0123456789abcdefghjkmnpqrstvwxyz";

static bool password_fits(const char *password, size_t *ret_len)
{
	size_t len = password ? strnlen(password, PW_MAX + 1) : 0;

	*ret_len = len;
	return len > 0 && len <= PW_MAX;
}

enum gh_status pw_hash(const char *password, char *ret)
{
	unsigned char salt[SALT_BYTES];
	size_t len;
	int err;

	if (!password_fits(password, &len))
		return GH_INVALID;
	gh_random(salt, sizeof(salt));
	err = argon2id_hash_encoded(PW_PASSES, PW_MEMORY_KIB, PW_LANES, password, len, salt, sizeof(salt), HASH_BYTES,
				    ret, PW_HASH_MAX);
	return err == ARGON2_OK ? GH_OK : GH_NOMEM;
}

/* The same work for nothing. */
static enum gh_status spend(const char *password, size_t len)
{
	static const unsigned char salt[SALT_BYTES] = "nobody's salt..";
	unsigned char hash[HASH_BYTES];

	if (argon2id_hash_raw(PW_PASSES, PW_MEMORY_KIB, PW_LANES, password, len, salt, sizeof(salt), hash,
			      sizeof(hash)))
		return GH_NOMEM;
	return GH_UNAUTH;
}

enum gh_status pw_verify(const char *hash, const char *password)
{
	size_t len;
	bool fits = password_fits(password, &len);
	int err;

	if (!fits)
		return spend("", 0);
	if (!hash || !*hash)
		return spend(password, len);
	err = argon2id_verify(hash, password, len);
	if (err == ARGON2_OK)
		return GH_OK;
	if (err == ARGON2_VERIFY_MISMATCH)
		return GH_UNAUTH;
	return err == ARGON2_MEMORY_ALLOCATION_ERROR ? GH_NOMEM : GH_DAMAGED;
}

/* 256 is a multiple of 32, so the low bits of a random byte are a fair choice. */
static char *put_random(char *out, unsigned chars)
{
	unsigned char bytes[SECRET_CHARS];

	gh_random(bytes, chars);
	for (unsigned i = 0; i < chars; i++)
		*out++ = base32[bytes[i] & 31];
	explicit_bzero(bytes, sizeof(bytes));
	return out;
}

void pw_generate(char *ret)
{
	for (unsigned group = 0; group < 4; group++) {
		if (group)
			*ret++ = '-';
		ret = put_random(ret, 5);
	}
	*ret = '\0';
}

static void token_generate(const char *prefix, uint64_t token, char *ret)
{
	ret = stpcpy(ret, prefix);
	for (int shift = 5 * (ID_CHARS - 1); shift >= 0; shift -= 5)
		*ret++ = base32[token >> shift & 31];
	*ret++ = '_';
	ret = put_random(ret, SECRET_CHARS);
	*ret = '\0';
}

void pw_token_generate(uint64_t token, char *ret)
{
	token_generate("gh_", token, ret);
}

void pw_operator_token_generate(uint64_t token, char *ret)
{
	token_generate("gho_", token, ret);
}

static int digit_of(char c)
{
	const char *at = c ? strchr(base32, c) : NULL;

	return at ? (int)(at - base32) : -1;
}

static bool token_parse(const char *prefix, const char *text, uint64_t *ret_token)
{
	const size_t prefix_len = strlen(prefix);
	uint64_t token = 0;

	if (!text || strnlen(text, PW_GENERATED_MAX) != prefix_len + ID_CHARS + 1 + SECRET_CHARS)
		return false;
	if (memcmp(text, prefix, prefix_len) != 0 || text[prefix_len + ID_CHARS] != '_')
		return false;
	for (unsigned i = 0; i < ID_CHARS + 1 + SECRET_CHARS; i++) {
		int digit = digit_of(text[prefix_len + i]);

		if (i == ID_CHARS)
			continue;
		if (digit < 0)
			return false;
		if (i < ID_CHARS)
			token = token << 5 | (unsigned)digit;
	}
	*ret_token = token;
	return true;
}

bool pw_token_parse(const char *password, uint64_t *ret_token)
{
	return token_parse("gh_", password, ret_token);
}

bool pw_operator_token_parse(const char *text, uint64_t *ret_token)
{
	return token_parse("gho_", text, ret_token);
}

void pw_digest(const char *text, unsigned char *ret)
{
	SHA256((const unsigned char *)text, strlen(text), ret);
}
