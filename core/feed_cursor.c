/* Cursors as text: four numbers of 16 hex digits each, the last a sum over the others and the tenant. Pure. */
#include <string.h>

#include "core/base/hash.h"
#include "core/feed.h"

#define DIGITS 16

/* Not a secret; it only has to be the same in every gateway. */
static const struct gh_sipkey sum_key = { 0x6761746568757365ull, 0x6665656463757273ull };

static uint64_t sum_of(uint64_t tenant, const struct meta_cursor *at)
{
	const uint64_t all[4] = { tenant, at->feed, at->pos, at->op };

	return gh_siphash(&sum_key, all, sizeof(all));
}

static void put(char *out, uint64_t v)
{
	for (int i = DIGITS - 1; i >= 0; i--, v >>= 4)
		out[i] = "0123456789abcdef"[v & 15];
}

static bool get(const char *text, uint64_t *ret)
{
	*ret = 0;
	for (int i = 0; i < DIGITS; i++) {
		const char c = text[i];
		unsigned v;

		if (c >= '0' && c <= '9')
			v = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = (unsigned)(c - 'a') + 10;
		else
			return false;
		*ret = *ret << 4 | v;
	}
	return true;
}

void feed_cursor_write(char out[VFS_CURSOR_LEN + 1], uint64_t tenant, const struct meta_cursor *at)
{
	_Static_assert(VFS_CURSOR_LEN == 4 * DIGITS, "four numbers");

	put(out, at->feed);
	put(out + DIGITS, at->pos);
	put(out + 2 * DIGITS, at->op);
	put(out + 3 * DIGITS, sum_of(tenant, at));
	out[VFS_CURSOR_LEN] = '\0';
}

bool feed_cursor_read(const char *text, uint64_t tenant, struct meta_cursor *ret)
{
	uint64_t sum;

	if (strnlen(text, VFS_CURSOR_LEN + 1) != VFS_CURSOR_LEN)
		return false;
	return get(text, &ret->feed) && get(text + DIGITS, &ret->pos) && get(text + 2 * DIGITS, &ret->op) &&
	       get(text + 3 * DIGITS, &sum) && sum == sum_of(tenant, ret);
}
