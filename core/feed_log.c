/* From the log to blocks: what an event means, where rights change, and what rights were in force in between. Workers, under
 * the hall's load. See feed_room.h.
 *
 * Rights of a time are known when a snapshot was loaded after the last change that was read, and has the rights epoch that
 * this change made: then no other change, still unread, is in it. Changes that came so close together that only the rights
 * before all and after all of them are known make one block. Where the epochs do not meet, rights before are not known,
 * and who is no owner is told to look at everything anew.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/metrics.h"
#include "core/feed_room.h"
#include "core/gateway.h"
#include "core/stream.h"
#include "core/touched.h"

#define BLOCK_ARENA_MAX (16u << 20)
#define READ_ARENA_MAX (16u << 20)
#define MEET_TRIES 20u /* so often is the log asked for the change that a snapshot has in it already */
#define MEET_NAP_MS 5

/* ---- what an event means ---- */

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* Is a word of that kind in what the event touched? Where it does not tell, anything may be. */
static bool touches(const struct meta_event *e, char kind)
{
	const char *at = e->touched ? e->touched : "";
	struct touched w;

	while (touched_next(&at, &w))
		if (w.kind == kind || w.kind == '?')
			return true;
	return false;
}

static enum feed_kind kind_of(const struct meta_event *e)
{
	static const struct {
		const char *what;
		enum feed_kind kind;
	} kinds[] = {
		{ "mkdir", FEED_CREATED },   { "remove", FEED_REMOVED },   { "move", FEED_MOVED },
		{ "copy", FEED_ARRIVED },    { "set-times", FEED_CHANGED }, { "set-props", FEED_CHANGED },
		{ "refresh", FEED_NOTHING }, { "unlock", FEED_NOTHING },   { "compact", FEED_NOTHING },
		{ "copy-part", FEED_NOTHING }, { "purge", FEED_NOTHING },
	};

	if (!strcmp(e->what, "write") || !strcmp(e->what, "lock")) {
		if (e->files > 0)
			return FEED_CREATED;
		return e->what[0] == 'w' ? FEED_CHANGED : FEED_NOTHING;
	}
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(e->what, kinds[i].what))
			return kinds[i].kind;
	if (begins(e->what, "acl."))
		return FEED_RIGHTS;
	if (begins(e->what, "user.") || begins(e->what, "group."))
		return FEED_PEOPLE;
	if (begins(e->what, "token.") || begins(e->what, "limit.") || begins(e->what, "tenant.") || begins(e->what, "locks.") ||
	    begins(e->what, "quota."))
		return FEED_NOTHING;
	if (!touches(e, 'r') && !touches(e, 't') && !touches(e, 's'))
		return FEED_NOTHING;
	return FEED_ANYTHING; /* of a release that knows more than this one */
}

static bool raises_epoch(const struct meta_event *e, enum feed_kind kind)
{
	if (e->touched && *e->touched)
		return touches(e, 'r');
	return kind == FEED_RIGHTS || kind == FEED_PEOPLE || begins(e->what, "token.") || begins(e->what, "limit.set");
}

static const char *parse(struct gh_arena *a, const struct tenant *t, const char *text, struct feed_path *ret)
{
	struct acl_key *keys;
	struct gh_path *p;

	*ret = (struct feed_path){ 0 };
	if (!text || !*text || gh_path_parse(a, text, strlen(text), 0, &t->rule, &p) != GH_OK)
		return NULL;
	keys = gh_alloc_array(a, p->depth + 1u, sizeof(*keys));
	if (!keys)
		return NULL;
	for (unsigned i = 0; i < p->depth; i++)
		keys[i] = (struct acl_key){ p->comp[i].key, p->comp[i].key_len };
	*ret = (struct feed_path){ keys, p->depth };
	return p->text;
}

static void item_fill(struct gh_arena *a, const struct tenant *t, const struct meta_event *e, struct feed_item *ret)
{
	enum feed_kind kind = kind_of(e);
	const char *dest = kind == FEED_MOVED || kind == FEED_ARRIVED ? e->dest : NULL;

	*ret = (struct feed_item){ .node = e->node, .at = e->at, .time_us = e->time_us };
	if (kind != FEED_NOTHING && kind != FEED_PEOPLE && kind != FEED_ANYTHING) {
		ret->path = parse(a, t, e->path, &ret->event.path);
		ret->dest = parse(a, t, dest, &ret->event.dest);
		if (!ret->path || (dest && !ret->dest))
			kind = FEED_ANYTHING; /* a path that says nothing here */
	}
	if (kind == FEED_ARRIVED && e->touched && !strcmp(e->touched, "-"))
		kind = FEED_NOTHING; /* a tree in the making; it arrives with the event that touches its name */
	if (kind == FEED_ARRIVED && e->files == 1) { /* one new file, on nothing */
		kind = FEED_CREATED;
		ret->path = ret->dest;
		ret->event.path = ret->event.dest;
	}
	if (kind == FEED_PEOPLE || kind == FEED_ANYTHING)
		ret->path = "/";
	ret->event.kind = kind;
	ret->raises = raises_epoch(e, kind);
	ret->border = kind == FEED_ANYTHING || (ret->raises && kind != FEED_NOTHING);
}

/* ---- a batch of the log ---- */

struct batch {
	struct feed_hall *hall;
	struct feed_block **block; /* each with what one call gave; rights still to be told */
	unsigned count, room;
	struct meta_cursor start, end;
	unsigned events, raised;
	bool any_border;
	bool others; /* some of it is another gateway's */
};

static void batch_fini(struct batch *b)
{
	for (unsigned i = 0; i < b->count; i++)
		feed_block_unref(&b->block[i]);
	free(b->block);
}

static bool row_grow(struct feed_block ***row, unsigned count, unsigned *room)
{
	const unsigned more = *room ? 2 * *room : 16;
	struct feed_block **p;

	if (count < *room)
		return true;
	p = realloc(*row, more * sizeof(struct feed_block *));
	if (!p)
		return false;
	*row = p;
	*room = more;
	return true;
}

static struct feed_block *block_new(void)
{
	struct feed_block *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	atomic_store(&b->refs, 1);
	b->used_ns = gh_mono_ns();
	b->arena = gh_arena_new(BLOCK_ARENA_MAX);
	if (!b->arena)
		feed_block_unref(&b);
	return b;
}

static void block_close(struct feed_block *b, const struct meta_cursor *start)
{
	b->start = *start;
	b->end = b->items[b->count - 1].at;
	b->bytes = sizeof(*b) + gh_arena_used(b->arena);
	for (unsigned i = 0; i < b->count; i++)
		b->moves |= b->items[i].event.kind == FEED_MOVED || b->items[i].event.kind == FEED_ARRIVED;
}

static enum gh_status batch_add(struct batch *b, const struct meta_event *e, unsigned count)
{
	struct feed_block *k = row_grow(&b->block, b->count, &b->room) ? block_new() : NULL;
	const struct gateway *g = b->hall->core->cfg.gateway;
	const unsigned own = g ? gateway_slot(g) : 0;

	if (!k)
		return GH_NOMEM;
	b->block[b->count++] = k;
	k->items = gh_alloc_array(k->arena, count, sizeof(*k->items));
	for (unsigned i = 0; k->items && i < count; i++) {
		item_fill(k->arena, b->hall->tenant, &e[i], &k->items[k->count++]);
		b->raised += k->items[i].raises;
		b->any_border |= k->items[i].border;
		b->others |= gh_id_slot(e[i].op) != own;
	}
	if (!k->items || gh_arena_overflowed(k->arena))
		return GH_NOMEM;
	block_close(k, &b->end);
	b->events += count;
	return GH_OK;
}

/* What there is behind b->end, up to the end of the log or `until`. */
static enum gh_status batch_read(struct batch *b, struct meta_call *call, const struct meta_cursor *until)
{
	struct gh_core *c = b->hall->core;
	struct gh_arena *a = gh_arena_new(READ_ARENA_MAX), *keep = call->arena;
	enum gh_status st = a ? GH_OK : GH_NOMEM;
	unsigned count = FEED_READ_EVENTS;

	call->arena = a;
	while (st == GH_OK && count == FEED_READ_EVENTS && b->events <= FEED_BEHIND_MAX) {
		struct meta_cursor next;
		struct meta_event *e;
		bool there = false;

		gh_arena_reset(a);
		st = ASK(c, SERVICE_METADATA, b->hall->tenant->id,
			 meta_feed(c->meta, call, b->hall->tenant->id, &b->end, FEED_READ_EVENTS, &e, &count, &next));
		if (st != GH_OK)
			break;
		gh_metric_add(GH_M_FEED_READS, 0, 1);
		for (unsigned i = 0; until && i < count; i++)
			if (feed_cursor_cmp(&e[i].at, until) > 0) {
				count = i;
				there = true;
			}
		if (count)
			st = batch_add(b, e, count);
		if (st == GH_OK)
			b->end = next;
		if (there)
			break;
	}
	call->arena = keep;
	gh_arena_free(&a);
	return st;
}

/* ---- rights ---- */

/* As they are now, in any case those of what was read so far. */
static enum gh_status snap_load(struct feed_hall *h, struct feed_snap **ret)
{
	struct rights *r = NULL;
	enum gh_status st;

	tenant_drop_rights(h->tenant); /* what is published may be older than what another gateway has committed */
	st = rights_get(h->core, h->tenant, true, &r);
	return st == GH_OK ? feed_snap_new(r, ret) : st;
}

static void nap(void)
{
	const struct timespec t = { 0, MEET_NAP_MS * 1000000l };

	nanosleep(&t, NULL);
}

/* The rights after the batch, and whether those before it are the hall's: a snapshot can have changes in it that the log
 * does not give out yet. Reads on until they meet. */
static enum gh_status batch_meet(struct batch *b, struct meta_call *call, struct feed_snap **ret, bool *ret_exact)
{
	struct feed_hall *h = b->hall;
	const bool fresh = !h->open;
	enum gh_status st = GH_OK;

	*ret = NULL;
	*ret_exact = false;
	for (unsigned i = 0; st == GH_OK && i < MEET_TRIES; i++) {
		const uint64_t due = h->epoch + b->raised;
		const unsigned raised = b->raised;

		if (!*ret || (!fresh && (*ret)->rights->epoch < due) || (fresh && i)) {
			feed_snap_unref(ret);
			st = snap_load(h, ret);
			if (st != GH_OK)
				break;
		}
		if (!fresh && (*ret)->rights->epoch == due) {
			*ret_exact = true;
			break;
		}
		if (!fresh && (*ret)->rights->epoch < due)
			break; /* the hall's own were newer than they looked */
		if (!fresh && i)
			nap();
		st = batch_read(b, call, NULL);
		if (fresh && raised == b->raised)
			break; /* none has come in between */
	}
	return st;
}

/* ---- cutting it ---- */

/* Items [first, end) of block b as a block of their own; the arena is shared, by a reference. */
static struct feed_block *block_part(struct feed_block *b, unsigned first, unsigned end)
{
	struct feed_block *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	atomic_store(&k->refs, 1);
	k->used_ns = b->used_ns;
	k->items = b->items + first;
	k->count = end - first;
	k->whole = b->whole ? b->whole : b;
	atomic_fetch_add(&k->whole->refs, 1);
	k->start = first ? b->items[first - 1].at : b->start;
	k->end = b->items[end - 1].at;
	k->moves = b->moves;
	k->bytes = sizeof(*k) + b->bytes * k->count / b->count;
	return k;
}

static void block_rights(struct feed_block *b, struct feed_snap *before, struct feed_snap *after)
{
	b->before = before ? feed_snap_ref(before) : NULL;
	b->after = after ? feed_snap_ref(after) : NULL;
}

/* Is it about entries alone, or people? Others move names about. */
static bool moves_no_names(const struct feed_item *it)
{
	return it->event.kind == FEED_RIGHTS || it->event.kind == FEED_PEOPLE;
}

struct cut {
	unsigned first_block, first_item, last_block, last_item; /* that change rights */
	unsigned borders;
	bool names_move;
};

static struct cut cut_of(const struct batch *b)
{
	struct cut c = { 0 };

	for (unsigned i = 0; i < b->count; i++)
		for (unsigned k = 0; k < b->block[i]->count; k++) {
			const struct feed_item *it = &b->block[i]->items[k];

			if (!it->border)
				continue;
			if (!c.borders++) {
				c.first_block = i;
				c.first_item = k;
			}
			c.last_block = i;
			c.last_item = k;
			c.names_move |= !moves_no_names(it);
		}
	return c;
}

static bool out_add(struct batch *out, struct feed_block *from, unsigned first, unsigned end, struct feed_snap *before,
		    struct feed_snap *after)
{
	struct feed_block *k;

	if (first >= end)
		return true;
	k = row_grow(&out->block, out->count, &out->room) ? block_part(from, first, end) : NULL;
	if (!k)
		return false;
	block_rights(k, before, after);
	out->block[out->count++] = k;
	return true;
}

/* The batch's blocks with rights: `before` up to its first change of rights, `after` behind its last one. before may be
 * NULL. Blocks in between end with the rights after all of it. */
static bool batch_cut(const struct batch *b, struct feed_snap *before, struct feed_snap *after, bool exact, struct batch *out)
{
	const struct cut c = cut_of(b);
	struct feed_snap *known = exact && !(c.borders > 1 && c.names_move) ? before : NULL;
	bool ok = true;

	for (unsigned i = 0; ok && i < b->count; i++) {
		struct feed_block *k = b->block[i];
		unsigned first = k->count, last = k->count; /* of what changes rights in it: [first, last) */

		if (!c.borders) {
			ok = out_add(out, k, 0, k->count, after, after);
			continue;
		}
		if (i < c.first_block) {
			first = last = k->count;
		} else if (i <= c.last_block) {
			first = i == c.first_block ? c.first_item : 0;
			last = i == c.last_block ? c.last_item + 1 : k->count;
		} else {
			first = last = 0;
		}
		ok = out_add(out, k, 0, first, exact ? before : NULL, exact ? before : after) &&
		     out_add(out, k, first, last, known, after) && out_add(out, k, last, k->count, after, after);
	}
	return ok;
}

/* ---- into the hall: under its lock ---- */

static void block_drop(struct feed_hall *h, struct feed_block *b)
{
	h->bytes -= b->bytes + b->page_bytes;
	feed_bytes_add(h->core, -(int64_t)(b->bytes + b->page_bytes));
	feed_block_forget_pages(b);
	feed_block_unref(&b);
}

static void drop_first(struct feed_hall *h, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		block_drop(h, h->block[i]);
	h->block_count -= n;
	if (n && h->block_count)
		memmove(h->block, h->block + n, h->block_count * sizeof(struct feed_block *));
	/* Rights that no block needs any more; those of now stay. */
	const unsigned needed = h->block_count ? h->block[0]->before_seq : h->snap_seq + h->snap_count - 1;
	while (h->snap_count > 1 && h->snap_seq < needed) {
		h->bytes -= h->snap[0]->bytes;
		feed_bytes_add(h->core, -(int64_t)h->snap[0]->bytes);
		feed_snap_unref(&h->snap[0]);
		h->snap_count--;
		h->snap_seq++;
		memmove(h->snap, h->snap + 1, h->snap_count * sizeof(struct feed_snap *));
	}
}

static void snap_push(struct feed_hall *h, struct feed_snap *s)
{
	while (h->snap_count == FEED_SNAPS_MAX) { /* away with the oldest rights, and all that need them */
		unsigned n = 0;

		while (n < h->block_count && h->block[n]->before_seq <= h->snap_seq)
			n++;
		drop_first(h, n);
		if (h->snap_count == FEED_SNAPS_MAX) /* no block had them */
			drop_first(h, 0);
		GH_ASSERT(h->snap_count < FEED_SNAPS_MAX);
	}
	h->snap[h->snap_count++] = feed_snap_ref(s);
	h->bytes += s->bytes;
	feed_bytes_add(h->core, (int64_t)s->bytes);
}

static bool put_in(struct feed_hall *h, unsigned at, struct batch *out)
{
	if (!out->count) /* nor any room, perhaps */
		return true;
	while (h->block_room < h->block_count + out->count)
		if (!row_grow(&h->block, h->block_room, &h->block_room))
			return false;
	memmove(h->block + at + out->count, h->block + at, (h->block_count - at) * sizeof(struct feed_block *));
	memcpy(h->block + at, out->block, out->count * sizeof(struct feed_block *));
	for (unsigned i = 0; i < out->count; i++) {
		h->bytes += out->block[i]->bytes;
		feed_bytes_add(h->core, (int64_t)out->block[i]->bytes);
	}
	h->block_count += out->count;
	out->count = 0;
	return true;
}

void feed_hall_forget(struct feed_hall *h)
{
	drop_first(h, h->block_count);
	while (h->snap_count) {
		struct feed_snap **s = &h->snap[--h->snap_count];

		h->bytes -= (*s)->bytes;
		feed_bytes_add(h->core, -(int64_t)(*s)->bytes);
		feed_snap_unref(s);
	}
	h->snap_seq++; /* pages of before are nobody's any more */
	h->open = false;
	h->epoch = 0;
	h->oldest_ns = 0;
}

void feed_hall_trim(struct feed_hall *h, uint64_t now_ns, uint64_t bytes_max)
{
	unsigned n = 0;

	if (!h->open)
		return;
	while (n < h->block_count && h->block[n]->used_ns + FEED_AGE_NS < now_ns)
		n++;
	if (h->block_count - n > FEED_BLOCKS_MAX)
		n = h->block_count - FEED_BLOCKS_MAX;
	if (n)
		drop_first(h, n);
	while (h->block_count && feed_bytes(h->core) > bytes_max)
		drop_first(h, (h->block_count + 7) / 8);
}

/* ---- what others call ---- */

static enum gh_status append(struct feed_hall *h, struct batch *b, struct feed_snap *after, bool exact)
{
	struct batch out = { .hall = h };
	struct feed_snap *before = h->snap_count ? h->snap[h->snap_count - 1] : NULL;
	bool ok;

	pthread_mutex_lock(&h->lock);
	ok = batch_cut(b, before, after, exact, &out);
	if (ok && after != before)
		snap_push(h, after); /* may drop what `before` came from: blocks have references */
	if (ok) {
		const unsigned now = h->snap_seq + h->snap_count - 1;

		for (unsigned i = 0; i < out.count; i++) {
			struct feed_block *k = out.block[i];

			k->after_seq = k->after == after ? now : now - 1;
			k->before_seq = k->before == after || !k->before ? now : now - 1;
		}
		ok = put_in(h, h->block_count, &out);
	}
	if (ok) {
		h->open = true;
		h->head = b->end;
		h->epoch = after == before ? h->epoch + b->raised : after->rights->epoch;
		feed_hall_trim(h, gh_mono_ns(), FEED_BYTES_MAX);
	} else {
		feed_hall_forget(h);
	}
	pthread_mutex_unlock(&h->lock);
	batch_fini(&out);
	return ok ? GH_OK : GH_NOMEM;
}

enum gh_status feed_catch_up(struct feed_hall *h, struct meta_call *call, const struct meta_cursor *from)
{
	struct batch b = { .hall = h, .start = h->open ? h->head : *from, .end = h->open ? h->head : *from };
	struct feed_snap *after = NULL;
	bool exact = true;
	const unsigned poked = atomic_load(&h->poked);
	enum gh_status st;

	st = batch_read(&b, call, NULL);
	if (st == GH_OK && b.events > FEED_BEHIND_MAX)
		st = GH_LIMIT;
	if (st == GH_OK && (b.others || !h->open))
		stream_catch_up(h->core, h->tenant->id); /* who is told of it, or given a cursor behind it, finds it when he looks */
	if (st == GH_OK && (b.any_border || !h->open))
		st = batch_meet(&b, call, &after, &exact);
	if (st == GH_OK && !after)
		after = feed_snap_ref(h->snap[h->snap_count - 1]);
	if (st == GH_OK)
		st = append(h, &b, after, exact);
	feed_snap_unref(&after);
	batch_fini(&b);
	if (st == GH_OK) {
		atomic_store(&h->read, poked); /* what came since may be in it, or not */
		return GH_OK;
	}
	if (st == GH_NOTFOUND || st == GH_LIMIT) {
		pthread_mutex_lock(&h->lock);
		feed_hall_forget(h);
		pthread_mutex_unlock(&h->lock);
	}
	return st;
}

enum gh_status feed_reach_back(struct feed_hall *h, struct meta_call *call, const struct meta_cursor *from)
{
	struct batch b = { .hall = h, .start = *from, .end = *from }, out = { .hall = h };
	const struct meta_cursor first = h->block_count ? h->block[0]->start : h->head;
	struct feed_block *oldest = h->block_count ? h->block[0] : NULL;
	struct feed_snap *then = oldest ? oldest->before : h->snap[h->snap_count - 1];
	enum gh_status st = batch_read(&b, call, &first);

	if (st == GH_OK && b.events > FEED_BEHIND_MAX)
		st = GH_LIMIT;
	pthread_mutex_lock(&h->lock);
	if (st == GH_OK && h->block_count && h->block[0] != oldest)
		st = GH_AGAIN; /* trimmed meanwhile */
	if (st == GH_OK && !batch_cut(&b, NULL, then, false, &out))
		st = GH_NOMEM;
	for (unsigned i = 0; st == GH_OK && i < out.count; i++)
		out.block[i]->before_seq = out.block[i]->after_seq = oldest ? oldest->before_seq : h->snap_seq + h->snap_count - 1;
	if (st == GH_OK && !put_in(h, 0, &out))
		st = GH_NOMEM;
	pthread_mutex_unlock(&h->lock);
	batch_fini(&out);
	batch_fini(&b);
	return st;
}
