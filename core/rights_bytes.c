/* See rights_bytes.h. Little-endian:
 *
 *   version 1 byte, rights_epoch 8, tree_gen 8, entries' nodes 4, users 4
 *   each node: id 8, parent 8, inherit_off 1, entries 2, key's length 2, key, a zero; each entry: who 1, id 8, deny 1, rights 4
 *   each user: id 8, gen 8, owner 1 | disabled 2 in 1, groups 4, each 8
 */
#include "core/rights_bytes.h"

#include <endian.h>
#include <string.h>

#include "policy/acl_trie.h"

enum { LAYOUT = 1, NODE_MIN = 22, ACE = 14, USER_MIN = 21 };

/* ---- out ---- */

static void put(struct gh_buf *out, uint64_t v, unsigned bytes)
{
	v = htole64(v);
	gh_buf_add(out, &v, bytes);
}

static void pack_node(struct gh_buf *out, const struct meta_acl_node *n)
{
	const size_t len = strlen(n->key);

	put(out, n->id, 8);
	put(out, n->parent, 8);
	put(out, n->inherit_off, 1);
	put(out, n->ace_count, 2);
	put(out, len, 2);
	gh_buf_add(out, n->key, len + 1);
	for (unsigned i = 0; i < n->ace_count; i++) {
		const struct meta_ace *e = &n->aces[i];

		put(out, (unsigned char)e->who, 1);
		put(out, e->who_id, 8);
		put(out, e->deny, 1);
		put(out, e->rights, 4);
	}
}

static void pack_user(struct gh_buf *out, const struct meta_user *u)
{
	put(out, u->id, 8);
	put(out, u->gen, 8);
	put(out, (u->owner ? 1u : 0) | (u->disabled ? 2u : 0), 1);
	put(out, u->group_count, 4);
	for (unsigned i = 0; i < u->group_count; i++)
		put(out, u->groups[i], 8);
}

void rights_pack(const struct meta_rights *m, struct gh_buf *out)
{
	put(out, LAYOUT, 1);
	put(out, m->rights_epoch, 8);
	put(out, m->tree_gen, 8);
	put(out, m->acl_count, 4);
	put(out, m->user_count, 4);
	for (unsigned i = 0; i < m->acl_count && !out->failed; i++)
		pack_node(out, &m->acl[i]);
	for (unsigned i = 0; i < m->user_count && !out->failed; i++)
		pack_user(out, &m->users[i]);
}

/* ---- in ---- */

struct in {
	const unsigned char *at;
	size_t left;
	bool bad; /* sticky */
};

static uint64_t take(struct in *in, unsigned bytes)
{
	uint64_t v = 0;

	if (in->bad || in->left < bytes) {
		in->bad = true;
		return 0;
	}
	memcpy(&v, in->at, bytes);
	in->at += bytes;
	in->left -= bytes;
	return le64toh(v);
}

static bool take_bool(struct in *in)
{
	const uint64_t v = take(in, 1);

	in->bad |= v > 1;
	return v == 1;
}

/* How many of at least so many bytes each: no more than there can be. */
static unsigned take_count(struct in *in, unsigned bytes, unsigned each)
{
	const uint64_t n = take(in, bytes);

	in->bad |= n > in->left / each;
	return in->bad ? 0 : (unsigned)n;
}

static void take_ace(struct in *in, struct meta_ace *e)
{
	e->who = (char)take(in, 1);
	e->who_id = take(in, 8);
	e->deny = take_bool(in);
	e->rights = (unsigned)take(in, 4);
	in->bad |= e->who != 'u' && e->who != 'g' && e->who != 'e';
}

static bool take_node(struct in *in, struct gh_arena *a, struct meta_acl_node *n)
{
	size_t len;

	n->id = take(in, 8);
	n->parent = take(in, 8);
	n->inherit_off = take_bool(in);
	n->ace_count = (unsigned)take(in, 2);
	len = (size_t)take(in, 2);
	if (in->bad || len >= in->left || memchr(in->at, 0, len) || in->at[len]) {
		in->bad = true;
		return true;
	}
	n->key = (const char *)in->at;
	n->name = "";
	in->at += len + 1;
	in->left -= len + 1;
	in->bad |= n->ace_count > in->left / ACE;
	if (in->bad || !n->ace_count)
		return true;
	n->aces = gh_alloc_array(a, n->ace_count, sizeof(*n->aces));
	for (unsigned i = 0; n->aces && i < n->ace_count; i++)
		take_ace(in, &n->aces[i]);
	return n->aces != NULL;
}

static bool take_user(struct in *in, struct gh_arena *a, struct meta_user *u)
{
	unsigned flags;

	u->name = u->key = u->password_hash = "";
	u->id = take(in, 8);
	u->gen = take(in, 8);
	flags = (unsigned)take(in, 1);
	u->owner = flags & 1;
	u->disabled = flags & 2;
	in->bad |= flags > 3;
	u->group_count = take_count(in, 4, 8);
	if (in->bad || !u->group_count)
		return true;
	u->groups = gh_alloc_array(a, u->group_count, sizeof(*u->groups));
	for (unsigned i = 0; u->groups && i < u->group_count; i++)
		u->groups[i] = take(in, 8);
	return u->groups != NULL;
}

enum gh_status rights_unpack(struct gh_arena *a, const void *data, size_t len, struct meta_rights **ret)
{
	struct in in = { data, len, false };
	struct meta_rights *m = gh_alloc(a, sizeof(*m));
	bool room = true;

	if (!m)
		return GH_NOMEM;
	in.bad = take(&in, 1) != LAYOUT;
	m->rights_epoch = take(&in, 8);
	m->tree_gen = take(&in, 8);
	m->acl_count = take_count(&in, 4, NODE_MIN);
	m->user_count = take_count(&in, 4, USER_MIN);
	if (in.bad)
		return GH_DAMAGED;
	m->acl = gh_alloc_array(a, m->acl_count + 1u, sizeof(*m->acl));
	m->users = gh_alloc_array(a, m->user_count + 1u, sizeof(*m->users));
	room = m->acl && m->users;
	for (unsigned i = 0; room && !in.bad && i < m->acl_count; i++)
		room = take_node(&in, a, &m->acl[i]);
	for (unsigned i = 0; room && !in.bad && i < m->user_count; i++)
		room = take_user(&in, a, &m->users[i]);
	if (!room)
		return GH_NOMEM;
	if (in.bad || in.left)
		return GH_DAMAGED;
	*ret = m;
	return GH_OK;
}
