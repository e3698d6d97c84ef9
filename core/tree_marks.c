/* See tree_marks.h. All numbers rise within an era, each is an atomic of its own, and none is locked. What their order rests on:
 *
 *   begin anew: horizon 0, then the era, then the table; end: the log, then the horizon. So who sees the same era before and
 *   after, and a horizon, has the log that goes with it.
 *   end: after all of the reading is in the table. So who finds that a reading has ended finds what it said.
 */
#include "core/tree_marks.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/hash.h"
#include "core/base/name.h"

#define SLOTS (1u << 17) /* 2 MiB */

struct slot {
	_Atomic uint64_t last;  /* 0: untouched in this era */
	_Atomic uint64_t since; /* number of the reading whose end ends doubts */
};

struct tree_marks {
	struct gh_sipkey key;
	_Atomic uint64_t era, log, horizon, floor;
	_Atomic uint64_t begun, done; /* readings */
	_Atomic uint64_t all_since;   /* as a slot's */
	uint64_t begins, unknown;     /* the stream's: floor is the higher one */
	struct slot slot[SLOTS];
};

enum gh_status tree_marks_new(struct tree_marks **ret)
{
	struct tree_marks *m = calloc(1, sizeof(*m));

	if (!m)
		return GH_NOMEM;
	gh_random(&m->key, sizeof(m->key));
	*ret = m;
	return GH_OK;
}

void tree_marks_free(struct tree_marks **m)
{
	free(*m);
	*m = NULL;
}

uint64_t tree_marks_hash(const struct tree_marks *m, uint64_t tenant, uint64_t parent, const char *key, size_t len)
{
	struct gh_sipkey k = m->key;

	k.k0 ^= tenant; /* ids are no secret, and nobody chooses them */
	k.k1 ^= parent;
	return gh_siphash(&k, key, len);
}

static struct slot *slot_of(struct tree_marks *m, uint64_t hash)
{
	return &m->slot[hash % SLOTS];
}

static void raise_to(_Atomic uint64_t *at, uint64_t to)
{
	uint64_t now = atomic_load(at);

	while (now < to && !atomic_compare_exchange_weak(at, &now, to))
		;
}

/* ---- the stream ---- */

static void floor_set(struct tree_marks *m)
{
	atomic_store(&m->floor, m->begins > m->unknown ? m->begins : m->unknown);
}

uint64_t tree_marks_begin(struct tree_marks *m, bool anew)
{
	if (anew) {
		atomic_store(&m->horizon, 0);
		atomic_fetch_add(&m->era, 1);
		m->begins = UINT64_MAX;
		m->unknown = 0;
		floor_set(m);
		for (unsigned i = 0; i < SLOTS; i++)
			atomic_store_explicit(&m->slot[i].last, 0, memory_order_relaxed);
	}
	return atomic_fetch_add(&m->begun, 1) + 1;
}

void tree_marks_since(struct tree_marks *m, uint64_t place)
{
	m->begins = place;
	floor_set(m);
}

void tree_marks_name(struct tree_marks *m, uint64_t hash, uint64_t place)
{
	raise_to(&slot_of(m, hash)->last, place);
}

void tree_marks_all(struct tree_marks *m, uint64_t place)
{
	if (m->unknown <= place)
		m->unknown = place + 1;
	floor_set(m);
}

void tree_marks_end(struct tree_marks *m, uint64_t number, uint64_t log, uint64_t horizon)
{
	atomic_store(&m->log, log);
	atomic_store(&m->horizon, horizon);
	raise_to(&m->done, number);
}

/* ---- others ---- */

void tree_marks_doubt(struct tree_marks *m, uint64_t hash)
{
	raise_to(&slot_of(m, hash)->since, atomic_load(&m->begun) + 1);
}

void tree_marks_doubt_all(struct tree_marks *m)
{
	raise_to(&m->all_since, atomic_load(&m->begun) + 1);
}

bool tree_marks_view(struct tree_marks *m, struct tree_view *ret)
{
	ret->era = atomic_load(&m->era);
	ret->horizon = atomic_load(&m->horizon);
	ret->log = atomic_load(&m->log);
	return ret->horizon && ret->era == atomic_load(&m->era);
}

static bool untouched(struct tree_marks *m, const struct tree_view *v, uint64_t hash, uint64_t horizon)
{
	return horizon > atomic_load(&slot_of(m, hash)->last) && horizon >= atomic_load(&m->floor) &&
	       v->era == atomic_load(&m->era);
}

bool tree_marks_true(struct tree_marks *m, const struct tree_view *v, uint64_t hash, uint64_t horizon)
{
	const uint64_t done = atomic_load(&m->done);

	return done >= atomic_load(&slot_of(m, hash)->since) && done >= atomic_load(&m->all_since) &&
	       untouched(m, v, hash, horizon);
}

bool tree_marks_lasts(struct tree_marks *m, const struct tree_view *v, uint64_t hash)
{
	return untouched(m, v, hash, v->horizon);
}
