/* See envelope.h. */
#include "backends/cache/envelope.h"

#include <endian.h>
#include <string.h>

#define MAGIC 0x31434847u /* "GHC1" */
enum { MAC_BYTES = 16 };

static void put32(unsigned char *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof(v));
}

static void put64(unsigned char *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof(v));
}

static uint32_t get32(const unsigned char *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const unsigned char *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof(v));
	return le64toh(v);
}

static void hash(const struct gh_sipkey *key, const void *p, size_t len, unsigned char ret[MAC_BYTES])
{
	uint64_t h[2];

	gh_siphash128(key, p, len, h);
	put64(ret, h[0]);
	put64(ret + 8, h[1]);
}

void envelope_keys(const unsigned char secret[CACHE_SECRET_BYTES], struct envelope_keys *ret)
{
	ret->id = (struct gh_sipkey){ get64(secret), get64(secret + 8) };
	ret->mac = (struct gh_sipkey){ get64(secret + 16), get64(secret + 24) };
}

void envelope_id(const struct envelope_keys *keys, const struct cache_key *k, unsigned char ret[ENVELOPE_ID_BYTES])
{
	unsigned char text[1 + CACHE_KEY_MAX];

	GH_ASSERT(k->len && k->len <= CACHE_KEY_MAX && k->kind < CACHE_KINDS);
	text[0] = (unsigned char)k->kind;
	memcpy(text + 1, k->bytes, k->len);
	hash(&keys->id, text, 1 + k->len, ret);
}

void envelope_seal(const struct envelope_keys *keys, const struct envelope *e, unsigned char *out)
{
	GH_ASSERT(e->len <= CACHE_VALUE_MAX);
	memset(out, 0, ENVELOPE_HEAD_BYTES);
	put32(out, MAGIC);
	out[4] = (unsigned char)e->kind;
	put64(out + 8, e->gen);
	put64(out + 16, e->end_s);
	put32(out + 24, (uint32_t)e->len);
	memcpy(out + 32, e->id, ENVELOPE_ID_BYTES);
	if (e->len)
		memcpy(out + ENVELOPE_HEAD_BYTES, e->value, e->len);
	hash(&keys->mac, out, ENVELOPE_HEAD_BYTES + e->len, out + ENVELOPE_HEAD_BYTES + e->len);
}

/* Whole, and sealed by one of us. */
static bool is_ours(const struct envelope_keys *keys, const unsigned char *p, size_t len)
{
	unsigned char mac[MAC_BYTES];

	if (len < ENVELOPE_EXTRA_BYTES || len > ENVELOPE_MAX || get32(p) != MAGIC || get32(p + 24) != len - ENVELOPE_EXTRA_BYTES)
		return false;
	hash(&keys->mac, p, len - MAC_BYTES, mac);
	return gh_ct_equal(mac, p + len - MAC_BYTES, MAC_BYTES);
}

bool envelope_open(const struct envelope_keys *keys, const void *data, size_t len, uint64_t now_s, struct envelope *want,
		   enum cache_refusal *ret_why)
{
	const unsigned char *p = data;

	if (!is_ours(keys, p, len))
		*ret_why = CACHE_DAMAGED;
	else if (p[4] != want->kind || memcmp(p + 32, want->id, ENVELOPE_ID_BYTES) != 0)
		*ret_why = CACHE_OTHER_KEY;
	else if (get64(p + 8) != want->gen)
		*ret_why = CACHE_OTHER_GEN;
	else if (get64(p + 16) <= now_s)
		*ret_why = CACHE_EXPIRED;
	else {
		want->end_s = get64(p + 16);
		want->value = p + ENVELOPE_HEAD_BYTES;
		want->len = len - ENVELOPE_EXTRA_BYTES;
		return true;
	}
	return false;
}
