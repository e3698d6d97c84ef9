/* What is done with paths that are canonical already: up, down, compare. Called by the core's operations; pure, any
 * thread. */
#include <string.h>

#include "core/base/name.h"

static struct gh_path *path_of_depth(struct gh_arena *a, unsigned depth)
{
	struct gh_path *p = gh_alloc(a, sizeof(*p) + depth * sizeof(struct gh_component));

	if (p)
		p->depth = depth;
	return p;
}

struct gh_path *gh_path_parent(struct gh_arena *a, const struct gh_path *p)
{
	struct gh_path *up;

	if (!p->depth)
		return NULL;
	up = path_of_depth(a, p->depth - 1);
	if (!up)
		return NULL;
	memcpy(up->comp, p->comp, up->depth * sizeof(up->comp[0]));
	/* Without "/name", but the root keeps its slash. */
	up->text_len = p->text_len - p->comp[up->depth].name_len - (up->depth ? 1 : 0);
	up->key_len = p->key_len - p->comp[up->depth].key_len - (up->depth ? 1 : 0);
	up->text = gh_strndup(a, p->text, up->text_len);
	up->key = gh_strndup(a, p->key, up->key_len);
	return up->text && up->key ? up : NULL;
}

static char *text_join(struct gh_arena *a, const char *text, uint32_t len, bool root, const char *name,
		       uint32_t name_len, uint32_t *ret_len)
{
	uint32_t head = root ? 0 : len;
	char *joined = gh_alloc(a, (size_t)head + 1 + name_len + 1);

	if (!joined)
		return NULL;
	memcpy(joined, text, head);
	joined[head] = '/';
	memcpy(joined + head + 1, name, name_len);
	*ret_len = head + 1 + name_len;
	return joined;
}

struct gh_path *gh_path_child(struct gh_arena *a, const struct gh_path *p, const char *name, const char *key)
{
	uint32_t name_len = (uint32_t)strlen(name), key_len = (uint32_t)strlen(key);
	struct gh_path *down = path_of_depth(a, p->depth + 1);
	struct gh_component *last;

	if (!down)
		return NULL;
	memcpy(down->comp, p->comp, p->depth * sizeof(p->comp[0]));
	down->text = text_join(a, p->text, p->text_len, !p->depth, name, name_len, &down->text_len);
	down->key = text_join(a, p->key, p->key_len, !p->depth, key, key_len, &down->key_len);
	if (!down->text || !down->key)
		return NULL;
	/* The caller's strings may not live as long; the tails of the joined ones do. */
	last = &down->comp[p->depth];
	*last = (struct gh_component){ down->text + down->text_len - name_len, down->key + down->key_len - key_len,
				       (uint16_t)name_len, (uint16_t)key_len };
	return down;
}

bool gh_path_equal(const struct gh_path *a, const struct gh_path *b)
{
	return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

bool gh_path_below(const struct gh_path *a, const struct gh_path *b)
{
	if (!b->depth)
		return a->depth > 0;
	return a->key_len > b->key_len && a->key[b->key_len] == '/' && memcmp(a->key, b->key, b->key_len) == 0;
}
