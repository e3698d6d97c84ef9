/* Arbitrary bytes from a cache: nothing is believed but what was sealed, and then it is what was sealed. The input is taken as it
 * is, and sealed as a value, with one byte changed where its first two say. */
#include <stdlib.h>
#include <string.h>

#include "backends/cache/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool try_open(const struct envelope_keys *keys, const void *p, size_t len, struct envelope *e)
{
	enum cache_refusal why = CACHE_REFUSALS;
	const bool ok = envelope_open(keys, p, len, 1000, e, &why);

	GH_ASSERT(ok || why < CACHE_REFUSALS);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned char secret[CACHE_SECRET_BYTES] = "not known to who makes the input";
	const struct cache_key key = { CACHE_RIGHTS, "key", 3, 5 };
	struct envelope e = { .kind = CACHE_RIGHTS, .gen = 5, .end_s = 2000, .value = data, .len = size };
	struct envelope_keys keys;
	unsigned char *sealed;
	size_t len = size + ENVELOPE_EXTRA_BYTES, at;

	if (size > 60000)
		return 0;
	envelope_keys(secret, &keys);
	envelope_id(&keys, &key, e.id);
	GH_ASSERT(!try_open(&keys, data, size, &e));
	sealed = malloc(len);
	GH_ASSERT(sealed);
	envelope_seal(&keys, &e, sealed);
	GH_ASSERT(try_open(&keys, sealed, len, &e) && e.len == size && (!size || !memcmp(e.value, data, size)));
	at = size < 2 ? 0 : (data[0] | (size_t)data[1] << 8) % len;
	sealed[at] ^= size ? data[size - 1] | 1 : 1;
	GH_ASSERT(!try_open(&keys, sealed, len, &e));
	GH_ASSERT(!try_open(&keys, sealed, at, &e));
	free(sealed);
	return 0;
}
