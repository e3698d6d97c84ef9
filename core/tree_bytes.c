/* See tree_bytes.h. Little-endian:
 *
 *   layout 1 byte, horizon 8, id 8, type 1, has_props 1, owner 8, version 8, rev 8, size 8, made_us 8, mtime_us 8
 *   parts 4, blob 8, crc 4, locator's length 1, locator, name's length 2, name, a zero
 */
#include "core/tree_bytes.h"

#include <endian.h>
#include <string.h>

enum { LAYOUT = 1 };

static void put(struct gh_buf *out, uint64_t v, unsigned bytes)
{
	v = htole64(v);
	gh_buf_add(out, &v, bytes);
}

void tree_pack(const struct meta_node *n, uint64_t horizon, struct gh_buf *out)
{
	put(out, LAYOUT, 1);
	put(out, horizon, 8);
	put(out, n->id, 8);
	put(out, n->type, 1);
	put(out, n->has_props, 1);
	put(out, n->owner, 8);
	put(out, n->version, 8);
	put(out, n->rev, 8);
	put(out, n->size, 8);
	put(out, (uint64_t)n->made_us, 8);
	put(out, (uint64_t)n->mtime_us, 8);
	put(out, n->parts, 4);
	put(out, n->blob, 8);
	put(out, n->crc, 4);
	put(out, n->loc.len, 1);
	gh_buf_add(out, n->loc.bytes, n->loc.len);
	put(out, n->name_len, 2);
	gh_buf_add(out, n->name, n->name_len);
	put(out, 0, 1);
}

struct in {
	const unsigned char *at;
	size_t left;
	bool bad; /* sticky */
};

static const void *take_bytes(struct in *in, size_t len)
{
	const unsigned char *at = in->at;

	in->bad |= in->left < len;
	if (in->bad)
		return NULL;
	in->at += len;
	in->left -= len;
	return at;
}

static uint64_t take(struct in *in, unsigned bytes)
{
	const void *at = take_bytes(in, bytes);
	uint64_t v = 0;

	if (at)
		memcpy(&v, at, bytes);
	return le64toh(v);
}

static void take_loc(struct in *in, struct blob_loc *loc)
{
	const void *at;

	loc->len = (uint8_t)take(in, 1);
	in->bad |= loc->len > sizeof(loc->bytes);
	at = take_bytes(in, loc->len);
	if (at)
		memcpy(loc->bytes, at, loc->len);
}

static void take_name(struct in *in, struct meta_node *n)
{
	n->name_len = (uint16_t)take(in, 2);
	in->bad |= !n->name_len || n->name_len > GH_NAME_MAX;
	n->name = take_bytes(in, n->name_len);
	in->bad |= take(in, 1) != 0 || (n->name && memchr(n->name, 0, n->name_len));
}

enum gh_status tree_unpack(const void *data, size_t len, struct meta_node *ret, uint64_t *ret_horizon)
{
	struct in in = { data, len, false };
	struct meta_node n = { 0 };
	uint64_t horizon, type, props;

	in.bad = take(&in, 1) != LAYOUT;
	horizon = take(&in, 8);
	n.id = take(&in, 8);
	type = take(&in, 1);
	props = take(&in, 1);
	n.owner = take(&in, 8);
	n.version = take(&in, 8);
	n.rev = take(&in, 8);
	n.size = take(&in, 8);
	n.made_us = (int64_t)take(&in, 8);
	n.mtime_us = (int64_t)take(&in, 8);
	n.parts = (uint32_t)take(&in, 4);
	n.blob = take(&in, 8);
	n.crc = (uint32_t)take(&in, 4);
	take_loc(&in, &n.loc);
	take_name(&in, &n);
	if (in.bad || in.left || !horizon || !n.id || (type != META_FILE && type != META_FOLDER) || props > 1)
		return GH_DAMAGED;
	n.type = (enum meta_type)type;
	n.has_props = props;
	*ret = n;
	*ret_horizon = horizon;
	return GH_OK;
}
