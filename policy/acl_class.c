/* See acl_class.h. First everybody whom an entry names, sorted; then for each caller those of them that it is: its
 * signature. Equal signatures are one class, found by a hash table over them. */
#include "policy/acl_class.h"

#include <stdlib.h>
#include <string.h>

#include "policy/acl_node.h"

struct name {
	uint64_t id;
	char who;
};

struct class {
	bool owner;
	unsigned first, count; /* in signed_by */
	uint64_t hash;
};

struct acl_classes {
	unsigned caller_count, class_count, class_room;
	unsigned *class_of;
	struct class *classes;
	struct name *signed_by; /* signatures, one after another */
	unsigned signed_count, signed_room;
	unsigned *table; /* class + 1; 0 = free; open addressing */
	unsigned table_size;
};

struct names {
	struct name *name;
	unsigned count, room;
	bool failed;
};

static int by_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->who != y->who)
		return x->who < y->who ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Room for one more of size bytes; NULL: none. */
static void *grown(void *p, unsigned count, unsigned *room, size_t size)
{
	void *more;

	if (count < *room)
		return p;
	more = realloc(p, (size_t)(*room ? 2 * *room : 16) * size);
	if (more)
		*room = *room ? 2 * *room : 16;
	return more;
}

static void collect(struct names *n, const struct acl_node *node)
{
	for (unsigned i = 0; i < node->entry_count && !n->failed; i++) {
		const struct acl_entry *e = &node->entries[i];
		struct name *more;

		if (e->who == 'e')
			continue;
		more = grown(n->name, n->count, &n->room, sizeof(*more));
		n->failed = !more;
		if (!more)
			return;
		n->name = more;
		n->name[n->count++] = (struct name){ e->id, e->who };
	}
	for (unsigned i = 0; i < node->child_count && !n->failed; i++)
		collect(n, node->children[i]);
}

static void sort_once(struct names *n)
{
	unsigned kept = 0;

	if (!n->count)
		return;
	qsort(n->name, n->count, sizeof(*n->name), by_name);
	for (unsigned i = 0; i < n->count; i++)
		if (!i || by_name(&n->name[i], &n->name[kept - 1]))
			n->name[kept++] = n->name[i];
	n->count = kept;
}

static bool is_named(const struct names *n, char who, uint64_t id)
{
	const struct name key = { id, who };

	return n->count && bsearch(&key, n->name, n->count, sizeof(key), by_name);
}

static bool sign(struct acl_classes *c, char who, uint64_t id)
{
	struct name *more = grown(c->signed_by, c->signed_count, &c->signed_room, sizeof(*more));

	if (!more)
		return false;
	c->signed_by = more;
	c->signed_by[c->signed_count++] = (struct name){ id, who };
	return true;
}

static uint64_t stir(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* The caller's signature, at the end of all; not kept yet. */
static bool signature(struct acl_classes *c, const struct names *n, const struct acl_caller *who, struct class *ret)
{
	*ret = (struct class){ .owner = who->owner, .first = c->signed_count, .hash = who->owner };
	if (who->owner)
		return true;
	if (is_named(n, 'u', who->user) && !sign(c, 'u', who->user))
		return false;
	for (unsigned i = 0; i < who->group_count; i++)
		if (is_named(n, 'g', who->groups[i]) && !sign(c, 'g', who->groups[i]))
			return false;
	ret->count = c->signed_count - ret->first;
	for (unsigned i = 0; i < ret->count; i++)
		ret->hash = stir(stir(ret->hash, (uint64_t)c->signed_by[ret->first + i].who), c->signed_by[ret->first + i].id);
	return true;
}

bool acl_class_same(const struct acl_classes *c, unsigned i, const struct acl_classes *there, unsigned k)
{
	const struct class *a = &c->classes[i], *b = &there->classes[k];

	if (a->owner != b->owner || a->count != b->count)
		return false;
	for (unsigned n = 0; n < a->count; n++)
		if (by_name(&c->signed_by[a->first + n], &there->signed_by[b->first + n]))
			return false;
	return true;
}

static bool table_double(struct acl_classes *c)
{
	const unsigned size = c->table_size ? 2 * c->table_size : 64;
	unsigned *table = calloc(size, sizeof(*table));

	if (!table)
		return false;
	for (unsigned i = 0; i < c->class_count; i++) {
		unsigned at = (unsigned)c->classes[i].hash & (size - 1);

		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = i + 1;
	}
	free(c->table);
	c->table = table;
	c->table_size = size;
	return true;
}

/* The class of the signature, which is kept if it is the first of its kind. */
static bool classify(struct acl_classes *c, const struct class *of, unsigned *ret)
{
	struct class *more = grown(c->classes, c->class_count, &c->class_room, sizeof(*more));
	unsigned at;

	if (!more)
		return false;
	c->classes = more;
	if (2 * (c->class_count + 1) > c->table_size && !table_double(c))
		return false;
	c->classes[c->class_count] = *of;
	at = (unsigned)of->hash & (c->table_size - 1);
	for (; c->table[at]; at = (at + 1) & (c->table_size - 1)) {
		const unsigned k = c->table[at] - 1;

		if (c->classes[k].hash == of->hash && acl_class_same(c, k, c, c->class_count)) {
			c->signed_count = of->first;
			*ret = k;
			return true;
		}
	}
	*ret = c->class_count++;
	c->table[at] = *ret + 1;
	return true;
}

struct acl_classes *acl_classes_new(const struct acl_trie *t, const struct acl_caller *callers, unsigned count)
{
	struct acl_classes *c = calloc(1, sizeof(*c));
	struct names named = { 0 };
	bool ok = c && (c->class_of = calloc((size_t)count + 1, sizeof(*c->class_of)));

	if (ok) {
		c->caller_count = count;
		collect(&named, t->root);
		ok = !named.failed;
	}
	if (ok)
		sort_once(&named);
	for (unsigned i = 0; ok && i < count; i++) {
		struct class of;

		ok = signature(c, &named, &callers[i], &of) && classify(c, &of, &c->class_of[i]);
	}
	free(named.name);
	if (!ok)
		acl_classes_free(&c);
	return c;
}

void acl_classes_free(struct acl_classes **cp)
{
	struct acl_classes *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	free(c->class_of);
	free(c->classes);
	free(c->signed_by);
	free(c->table);
	free(c);
}

unsigned acl_class_of(const struct acl_classes *c, unsigned i)
{
	return c->class_of[i];
}

unsigned acl_classes_count(const struct acl_classes *c)
{
	return c->class_count;
}

size_t acl_classes_bytes(const struct acl_classes *c)
{
	return sizeof(*c) + c->caller_count * sizeof(*c->class_of) + c->class_room * sizeof(*c->classes) +
	       c->signed_room * sizeof(*c->signed_by) + c->table_size * sizeof(*c->table);
}
