/* What lies in the cache: a value and what has to be known to believe it. Pure; time is an argument; any thread.
 *
 *   0  magic "GHC1"         4  kind        5  0 0 0
 *   8  generation          16  end of its life, seconds since 1970
 *  24  length of the value 28  0 0 0 0
 *  32  id of kind and key, 16 bytes
 *  48  the value
 *   +  MAC over all of it, 16 bytes
 *
 * Little-endian. Id and MAC are SipHash-2-4-128, each with its half of the installation's secret; so neither can a key be
 * recognised, nor a value be made, by who does not have it. The id is also the name in the cache. */
#ifndef GH_BACKENDS_CACHE_ENVELOPE_H
#define GH_BACKENDS_CACHE_ENVELOPE_H

#include "core/base/hash.h"
#include "core/cache.h"

#define ENVELOPE_ID_BYTES 16
#define ENVELOPE_HEAD_BYTES 48
#define ENVELOPE_EXTRA_BYTES (ENVELOPE_HEAD_BYTES + 16)
#define ENVELOPE_MAX (CACHE_VALUE_MAX + ENVELOPE_EXTRA_BYTES)

struct envelope_keys {
	struct gh_sipkey id, mac;
};

struct envelope {
	enum cache_kind kind;
	uint64_t gen, end_s;
	unsigned char id[ENVELOPE_ID_BYTES];
	const void *value; /* of open: within what was given */
	size_t len;
};

void envelope_keys(const unsigned char secret[CACHE_SECRET_BYTES], struct envelope_keys *ret);
void envelope_id(const struct envelope_keys *keys, const struct cache_key *k, unsigned char ret[ENVELOPE_ID_BYTES]);
/* out: e->len + ENVELOPE_EXTRA_BYTES. */
void envelope_seal(const struct envelope_keys *keys, const struct envelope *e, unsigned char *out);
/* Is that what was sealed for want's kind, id and generation, and is it still alive? true: value and len of *want and its
 * end. false: why not. */
bool envelope_open(const struct envelope_keys *keys, const void *data, size_t len, uint64_t now_s, struct envelope *want,
		   enum cache_refusal *ret_why);

#endif
