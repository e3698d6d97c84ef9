/* See feed_rule.h. */
#include "policy/feed_rule.h"

#include <string.h>

static unsigned rights(const struct feed_view *v, const struct feed_path *p, unsigned depth)
{
	return acl_trie_rights(v->trie, &v->caller, p->keys, depth);
}

/* Do listings lead to it? Then its name may be told. A folder is listed with the right to do so, or where there is no right on
 * it at all and it is only a way; other rights alone open no names. */
static bool sees(const struct feed_view *v, const struct feed_path *p, unsigned depth)
{
	if (v->caller.owner)
		return true;
	for (unsigned d = 0; d <= depth; d++) {
		const unsigned have = rights(v, p, d);

		if (!have && !acl_navigable(v->trie, &v->caller, p->keys, d))
			return false;
		if (d < depth && have && !(have & ACL_LIST))
			return false;
	}
	return true;
}

static unsigned say(struct feed_told *ret, unsigned n, enum feed_word word, bool dest, unsigned depth)
{
	ret[n] = (struct feed_told){ word, dest, depth };
	return n + 1;
}

/* The root does not go; there may be nothing left to see in it. */
static unsigned say_gone(struct feed_told *ret, unsigned n, bool dest, unsigned depth)
{
	return say(ret, n, depth ? FEED_SAY_GONE : FEED_SAY_RESYNC, dest, depth);
}

#define NOTHING UINT32_MAX

/* How much of the way to p is seen in `there` alone: the shortest part of it; p->depth where that is p itself, whatever it is
 * not_there (`itself`). NOTHING: none. What is seen through one folder can be what makes others ways, so that parts of the
 * way come and go even where its end is not seen at all. */
static unsigned only_in(const struct feed_view *there, const struct feed_view *not_there, const struct feed_path *p, bool itself)
{
	const bool seen = sees(there, p, p->depth);

	for (unsigned d = 0; there != not_there && d < p->depth; d++)
		if (sees(there, p, d) && !sees(not_there, p, d))
			return d;
	return seen && (itself || !sees(not_there, p, p->depth)) ? p->depth : NOTHING;
}

/* The place is hidden now, though a reader may have seen something else there: what is above it is to be looked at. */
static unsigned say_above(struct feed_told *ret, unsigned n, const struct feed_view *after, const struct feed_path *p)
{
	unsigned d = p->depth;

	while (d > 0 && !sees(after, p, --d))
		;
	return say(ret, n, FEED_SAY_RESYNC, true, d);
}

static unsigned decide_arrived(const struct feed_event *e, const struct feed_view *before, const struct feed_view *after,
			       struct feed_told *ret, unsigned n)
{
	const struct feed_path *p = &e->dest;
	const unsigned gained = only_in(after, before, p, true), lost = only_in(before, after, p, true);

	if (gained != NOTHING)
		return say(ret, n, FEED_SAY_RESYNC, true, gained);
	if (lost == NOTHING)
		return n;
	return lost < p->depth ? say_gone(ret, n, true, lost) : say_above(ret, n, after, p);
}

static unsigned decide_removed(const struct feed_event *e, const struct feed_view *before, const struct feed_view *after,
			       struct feed_told *ret)
{
	const unsigned lost = only_in(before, after, &e->path, true);

	return lost != NOTHING ? say_gone(ret, 0, false, lost) : 0;
}

static unsigned decide_moved(const struct feed_event *e, const struct feed_view *before, const struct feed_view *after,
			     struct feed_told *ret)
{
	const struct feed_path *from = &e->path, *to = &e->dest;
	unsigned n;

	if (only_in(before, after, from, true) == from->depth && only_in(after, before, to, true) == to->depth) {
		n = say(ret, 0, FEED_SAY_MOVED, false, from->depth);
		/* Other rights come down to it than before: below it, other things may be seen. */
		if (rights(before, from, from->depth) != rights(after, to, to->depth))
			n = say(ret, n, FEED_SAY_RESYNC, true, to->depth);
		return n;
	}
	n = decide_removed(e, before, after, ret);
	return decide_arrived(e, before, after, ret, n);
}

static unsigned decide_rights(const struct feed_event *e, const struct feed_view *before, const struct feed_view *after,
			      struct feed_told *ret)
{
	const struct feed_path *p = &e->path;
	unsigned d;

	/* Entries below it are what they were, so that where the same comes down to them, all is as it was. */
	if (rights(before, p, p->depth) == rights(after, p, p->depth))
		return 0;
	d = only_in(before, after, p, false);
	if (d != NOTHING)
		return say_gone(ret, 0, false, d);
	d = only_in(after, before, p, true);
	return d != NOTHING ? say(ret, 0, FEED_SAY_RESYNC, false, d) : 0;
}

unsigned feed_decide(const struct feed_event *e, const struct feed_view *before, const struct feed_view *after, bool people,
		     struct feed_told ret[FEED_TOLD_MAX])
{
	switch (e->kind) {
	case FEED_NOTHING:
		return 0;
	case FEED_CREATED:
		return sees(after, &e->path, e->path.depth) ? say(ret, 0, FEED_SAY_CREATED, false, e->path.depth) : 0;
	case FEED_CHANGED: /* of a folder that is only a way, name and type are all that may be told */
		return rights(after, &e->path, e->path.depth) && sees(after, &e->path, e->path.depth)
			       ? say(ret, 0, FEED_SAY_CHANGED, false, e->path.depth)
			       : 0;
	case FEED_REMOVED:
		return decide_removed(e, before, after, ret);
	case FEED_MOVED:
		return decide_moved(e, before, after, ret);
	case FEED_ARRIVED:
		return decide_arrived(e, before, after, ret, 0);
	case FEED_RIGHTS:
		return decide_rights(e, before, after, ret);
	case FEED_PEOPLE:
		return people ? 0 : say(ret, 0, FEED_SAY_RESYNC, false, 0);
	case FEED_ANYTHING:
		return say(ret, 0, FEED_SAY_RESYNC, false, 0);
	}
	return 0;
}

static bool holds(const struct feed_path *p, const struct acl_trie *t)
{
	return acl_trie_holds(t, p->keys, p->depth);
}

bool feed_event_holds(const struct feed_event *e, const struct acl_trie *t)
{
	switch (e->kind) {
	case FEED_REMOVED:
		return holds(&e->path, t);
	case FEED_MOVED:
		return holds(&e->path, t) || holds(&e->dest, t);
	case FEED_ARRIVED:
		return holds(&e->dest, t);
	case FEED_NOTHING:
	case FEED_CREATED:
	case FEED_CHANGED:
	case FEED_RIGHTS:
	case FEED_PEOPLE:
	case FEED_ANYTHING:
		break;
	}
	return false;
}

/* ---- cover ---- */

/* Is p, or some folder above it, the place `at`? */
static bool lies_in(const struct feed_path *p, const struct feed_path *at)
{
	if (p->depth < at->depth)
		return false;
	for (unsigned i = 0; i < at->depth; i++)
		if (p->keys[i].len != at->keys[i].len || memcmp(p->keys[i].bytes, at->keys[i].bytes, at->keys[i].len))
			return false;
	return true;
}

void feed_cover_add(struct feed_cover *c, const struct feed_event *e, const struct feed_told *told, unsigned count,
		    bool *ret_overflow)
{
	for (unsigned i = 0; i < count; i++) {
		const struct feed_path *p = told[i].dest ? &e->dest : &e->path;

		if (told[i].word != FEED_SAY_GONE && told[i].word != FEED_SAY_RESYNC)
			continue;
		if (told[i].depth == 0) {
			c->all = true;
		} else if (c->count < FEED_COVER_MAX) {
			c->at[c->count++] = (struct feed_path){ p->keys, told[i].depth };
		} else {
			c->all = *ret_overflow = true;
		}
	}
}

bool feed_covers(const struct feed_cover *c, const struct feed_path *p)
{
	if (c->all)
		return true;
	for (unsigned i = 0; i < c->count; i++)
		if (lies_in(p, &c->at[i]))
			return true;
	return false;
}

static bool crosses(const struct feed_cover *c, const struct feed_path *p)
{
	for (unsigned i = 0; i < c->count; i++)
		if (lies_in(p, &c->at[i]) || lies_in(&c->at[i], p))
			return true;
	return false;
}

bool feed_cover_crossed(const struct feed_cover *c, const struct feed_event *e)
{
	if (c->all || (e->kind != FEED_MOVED && e->kind != FEED_ARRIVED))
		return false;
	return crosses(c, &e->dest) || (e->kind == FEED_MOVED && crosses(c, &e->path));
}
