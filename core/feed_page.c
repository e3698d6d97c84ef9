/* From a block of the log to what a class of equal rights is told of it: decided once, kept with the block, given to all
 * of that class. Everything here runs under the hall's lock; see feed_room.h.
 *
 * A user's class over time is told by the row of snapshots from the block's to the newest, since two who are the same now
 * may have been different then. Later changes of rights matter, too: what they take out of a reader's sight is not told
 * of any more, and what a later `gone` or `resync` covers need not be.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/feed_room.h"

#define PAGE_ARENA_MAX (32u << 20)
#define NOBODY UINT32_MAX

int feed_cursor_cmp(const struct meta_cursor *a, const struct meta_cursor *b)
{
	if (a->pos != b->pos)
		return a->pos < b->pos ? -1 : 1;
	return a->op < b->op ? -1 : a->op > b->op;
}

/* ---- snapshots ---- */

enum gh_status feed_snap_new(struct rights *r, struct feed_snap **ret)
{
	struct feed_snap *s = calloc(1, sizeof(*s));
	struct acl_caller *callers = calloc(r->user_count + 1u, sizeof(*callers));

	if (s && callers) {
		for (unsigned i = 0; i < r->user_count; i++)
			callers[i] = (struct acl_caller){ r->users[i].id, r->users[i].groups, r->users[i].group_count,
							  r->users[i].owner };
		s->classes = acl_classes_new(r->trie, callers, r->user_count);
	}
	free(callers);
	if (!s || !s->classes) {
		free(s);
		rights_unref(&r);
		return GH_NOMEM;
	}
	atomic_store(&s->refs, 1);
	s->rights = r;
	s->bytes = acl_classes_bytes(s->classes) + gh_arena_used(r->arena) + acl_trie_bytes(r->trie);
	*ret = s;
	return GH_OK;
}

struct feed_snap *feed_snap_ref(struct feed_snap *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void feed_snap_unref(struct feed_snap **sp)
{
	struct feed_snap *s = *sp;

	*sp = NULL;
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	acl_classes_free(&s->classes);
	rights_unref(&s->rights);
	free(s);
}

/* NOBODY: there was no such user then. */
static uint32_t class_in(const struct feed_snap *s, uint64_t user)
{
	const struct rights_user *u = rights_user(s->rights, user);

	return u ? acl_class_of(s->classes, (unsigned)(u - s->rights->users)) : NOBODY;
}

static struct feed_view view_of(const struct feed_snap *s, uint64_t user)
{
	const struct rights_user *u = rights_user(s->rights, user);

	return (struct feed_view){ s->rights->trie, { u->id, u->groups, u->group_count, u->owner } };
}

/* ---- deciding ---- */

/* One block's rights, as one user had them. */
struct time {
	bool known;
	bool people; /* named alike before and after */
	bool owner;  /* now */
	struct feed_view before, after;
};

static bool named_alike(const struct feed_block *b, uint64_t user)
{
	const uint32_t was = class_in(b->before, user), is = class_in(b->after, user);

	return was != NOBODY && is != NOBODY && acl_class_same(b->before->classes, was, b->after->classes, is);
}

static struct time time_of(const struct feed_hall *h, const struct feed_block *b, uint64_t user)
{
	const struct feed_snap *now = h->snap[h->snap_count - 1];
	const struct rights_user *u = rights_user(now->rights, user);
	const bool known = b->before && class_in(b->before, user) != NOBODY && class_in(b->after, user) != NOBODY;
	struct time t = { .known = known || (u && u->owner), .people = known && named_alike(b, user) };

	if (!t.known)
		return t;
	/* An owner may see it all, whatever it was. */
	t.before = view_of(u && u->owner ? now : b->before, user);
	t.after = view_of(u && u->owner ? now : b->after, user);
	t.owner = u && u->owner;
	return t;
}

static bool is_plain(const struct feed_block *b)
{
	return b->before && b->before == b->after;
}

static unsigned decide(const struct feed_block *b, const struct time *t, const struct feed_item *it,
		       struct feed_told told[FEED_TOLD_MAX])
{
	return feed_decide(&it->event, &t->before, is_plain(b) ? &t->before : &t->after, t->people, told);
}

/* Has something been moved to where it is covered, or from there, in blocks [from, to) or before item `until` of block to? Then
 * names from before that are others than the cover's. */
static bool crossed(const struct feed_hall *h, unsigned from, unsigned to, unsigned until, const struct feed_cover *cover)
{
	for (unsigned i = from; cover->count && i <= to; i++) {
		const struct feed_block *b = h->block[i];
		const unsigned end = i == to ? until : b->count;

		for (unsigned k = 0; b->moves && k < end; k++)
			if (feed_cover_crossed(cover, &b->items[k].event))
				return true;
	}
	return false;
}

/* What is looked at anew because of changes of rights in block k, for who reads from block i on. */
static bool cover_of(const struct feed_hall *h, unsigned i, unsigned k, const struct time *t, struct feed_cover *cover)
{
	const struct feed_block *b = h->block[k];
	struct feed_told told[FEED_TOLD_MAX];
	bool overflow = false;

	if (!t->known) {
		cover->all = true;
		return true;
	}
	for (unsigned n = 0; n < b->count && !cover->all; n++) {
		const unsigned before = cover->count;
		struct feed_cover fresh;

		if (!b->items[n].border)
			continue;
		feed_cover_add(cover, &b->items[n].event, told, decide(b, t, &b->items[n], told), &overflow);
		fresh = (struct feed_cover){ .count = cover->count - before };
		memcpy(fresh.at, cover->at + before, fresh.count * sizeof(fresh.at[0]));
		if (overflow || crossed(h, i, k, n, &fresh))
			return false;
	}
	return true;
}

/* Of all changes of rights from block i on. false: what happened in it cannot be told apart from what must not be told. */
static bool cover_later(const struct feed_hall *h, unsigned i, uint64_t user, struct feed_cover *cover)
{
	*cover = (struct feed_cover){ 0 };
	for (unsigned k = i; k < h->block_count && !cover->all; k++) {
		struct time t;

		if (is_plain(h->block[k]))
			continue;
		t = time_of(h, h->block[k], user);
		if (!t.owner && !cover_of(h, i, k, &t, cover))
			return false;
	}
	return true;
}

/* ---- pages ---- */

void feed_block_unref(struct feed_block **bp)
{
	struct feed_block *b = *bp;

	*bp = NULL;
	if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
		return;
	feed_snap_unref(&b->before);
	feed_snap_unref(&b->after);
	feed_block_unref(&b->whole);
	free(b->said);
	gh_arena_free(&b->arena);
	free(b);
}

void feed_page_unref(void *page)
{
	struct feed_page *p = page;

	if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	feed_block_unref(&p->block);
	gh_arena_free(&p->arena);
	free(p);
}

struct building {
	struct feed_page *page;
	unsigned room;
	struct feed_hall *hall;
	size_t said_bytes;
};

/* What is said of an item to most classes is one and the same. */
static const struct vfs_feed_item *said(struct building *m, unsigned item, enum vfs_feed_word word, const char *path,
					const char *dest, const struct meta_cursor *at)
{
	struct feed_block *b = m->page->block;
	const struct feed_item *it = &b->items[item];
	const bool own = path == it->path; /* and not a string of the page's */
	struct vfs_feed_item *s;

	if (own && !b->said && (b->said = calloc(b->count, sizeof(*b->said)))) {
		b->page_bytes += b->count * sizeof(*b->said);
		m->said_bytes = b->count * sizeof(*b->said);
	}
	s = own && b->said ? &b->said[item] : NULL;
	if (s && s->path && s->word == word)
		return s;
	if (!s || s->path)
		s = gh_alloc(m->page->arena, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct vfs_feed_item){ word, path, dest, 0, it->time_us, "" };
	if (word == VFS_FEED_CREATED || word == VFS_FEED_CHANGED || word == VFS_FEED_MOVED)
		s->node = it->node;
	feed_cursor_write(s->cursor, m->hall->tenant->id, at);
	return s;
}

static bool tell(struct building *m, unsigned item, enum vfs_feed_word word, const char *path, const char *dest,
		 const struct meta_cursor *at)
{
	struct feed_page *p = m->page;
	const struct vfs_feed_item *told = p->count ? p->told[p->count - 1] : NULL;

	/* Looking there once is enough, after the last of them. */
	if (told && word == VFS_FEED_RESYNC && told->word == word && path && !strcmp(told->path, path))
		p->count--;
	if (p->count == m->room) {
		const unsigned room = m->room ? 2 * m->room : 16;
		const struct vfs_feed_item **more = realloc((void *)p->told, room * sizeof(*more));
		unsigned *of = more ? realloc(p->item_of, room * sizeof(*of)) : NULL;

		p->told = more ? more : p->told;
		p->item_of = of ? of : p->item_of;
		if (!more || !of)
			return false;
		m->room = room;
	}
	told = path ? said(m, item, word, path, dest, at) : NULL;
	if (!told)
		return false;
	p->told[p->count] = told;
	p->item_of[p->count++] = item;
	return true;
}

/* The first depth components of a canonical path. */
static const char *shortened(struct gh_arena *a, const char *path, unsigned depth, unsigned whole)
{
	size_t len = 0;

	if (depth == whole)
		return path;
	for (unsigned i = 0; i < depth; i++)
		len += 1 + strcspn(path + len + 1, "/");
	return depth ? gh_strndup(a, path, len) : "/";
}

static bool tell_of(struct building *m, unsigned item, const struct feed_told *t)
{
	static const enum vfs_feed_word words[] = { VFS_FEED_CREATED, VFS_FEED_CHANGED, VFS_FEED_MOVED, VFS_FEED_GONE,
						    VFS_FEED_RESYNC };
	const struct feed_item *it = &m->page->block->items[item];
	const char *path = t->dest ? it->dest : it->path;
	const unsigned whole = t->dest ? it->event.dest.depth : it->event.path.depth;

	return tell(m, item, words[t->word], shortened(m->page->arena, path, t->depth, whole),
		    t->word == FEED_SAY_MOVED ? it->dest : NULL, &it->at);
}

/* All of the block in one word. */
static bool tell_resync(struct building *m)
{
	m->page->whole = true;
	return tell(m, m->page->block->count - 1, VFS_FEED_RESYNC, "/", NULL, &m->page->block->end);
}

/* Is what would be told looked at anew anyway? The changes of rights themselves are what says so. */
static bool told_later(const struct feed_cover *c, const struct feed_item *it, const struct feed_told *told, unsigned count)
{
	if (it->border)
		return false;
	for (unsigned i = 0; i < count; i++) {
		const struct feed_path *whole = told[i].dest ? &it->event.dest : &it->event.path;
		const struct feed_path p = { whole->keys, told[i].depth };

		if (!feed_covers(c, &p))
			return false;
		if (told[i].word == FEED_SAY_MOVED && !feed_covers(c, &it->event.dest))
			return false;
	}
	return count > 0;
}

static bool fill(struct building *m, unsigned i, uint64_t user)
{
	const struct feed_block *b = m->page->block;
	const struct time t = time_of(m->hall, b, user);
	struct feed_cover cover;

	if (!b->count)
		return true;
	if (!t.known || !cover_later(m->hall, i, user, &cover))
		return tell_resync(m);
	for (unsigned k = 0; k < b->count; k++) {
		struct feed_told told[FEED_TOLD_MAX];
		const unsigned n = decide(b, &t, &b->items[k], told);

		if (told_later(&cover, &b->items[k], told, n))
			continue;
		for (unsigned w = 0; w < n; w++)
			if (!tell_of(m, k, &told[w]))
				return false;
	}
	return true;
}

/* Two users with the same key are told the same of this block. */
static uint64_t key_of(const struct feed_hall *h, const struct feed_block *b, uint64_t user)
{
	uint64_t key = 0x51ed270b9d2b4d37ull ^ h->snap_seq ^ h->snap_count; /* a page knows all that is known now, and no more */

	for (unsigned seq = b->before_seq; seq < h->snap_seq + h->snap_count; seq++) {
		const uint32_t class = class_in(h->snap[seq - h->snap_seq], user);

		key = (key ^ class) * 0x9e3779b97f4a7c15ull;
		key ^= key >> 31;
	}
	return key;
}

static void free_told(void *told)
{
	free(told);
}

static struct feed_page *page_make(struct feed_hall *h, unsigned i, uint64_t user, uint64_t key)
{
	struct building m = { .page = calloc(1, sizeof(*m.page)), .hall = h };
	struct feed_page *p = m.page;
	bool ok;

	if (!p)
		return NULL;
	atomic_store(&p->refs, 1);
	p->key = key;
	p->block = h->block[i];
	atomic_fetch_add(&p->block->refs, 1);
	p->arena = gh_arena_new(PAGE_ARENA_MAX);
	ok = p->arena && fill(&m, i, user);
	h->bytes += m.said_bytes;
	feed_bytes_add(h->core, (int64_t)m.said_bytes);
	if (p->arena) {
		gh_defer(p->arena, free_told, (void *)p->told);
		gh_defer(p->arena, free_told, p->item_of);
	} else {
		free((void *)p->told);
		free(p->item_of);
	}
	if (!ok || gh_arena_overflowed(p->arena)) {
		feed_page_unref(p);
		return NULL;
	}
	p->bytes = sizeof(*p) + gh_arena_used(p->arena) + m.room * (sizeof(*p->told) + sizeof(*p->item_of));
	return p;
}

/* Buckets for twice as many pages; without memory for them chains grow longer. */
static void table_double(struct feed_block *b)
{
	const unsigned size = b->table_size ? 2 * b->table_size : 4;
	struct feed_page **table = calloc(size, sizeof(struct feed_page *));

	if (!table)
		return;
	for (unsigned i = 0; i < b->table_size; i++)
		for (struct feed_page *p = b->table[i], *next; p; p = next) {
			next = p->next;
			p->next = table[p->key & (size - 1)];
			table[p->key & (size - 1)] = p;
		}
	free(b->table);
	b->table = table;
	b->table_size = size;
}

static void page_keep(struct feed_hall *h, struct feed_block *b, struct feed_page *p)
{
	if (b->page_count >= b->table_size)
		table_double(b);
	if (!b->table_size)
		return;
	p->next = b->table[p->key & (b->table_size - 1)];
	b->table[p->key & (b->table_size - 1)] = p;
	atomic_fetch_add(&p->refs, 1);
	b->page_count++;
	b->page_bytes += p->bytes;
	h->bytes += p->bytes;
	feed_bytes_add(h->core, (int64_t)p->bytes);
}

struct feed_page *feed_page_of(struct feed_hall *h, unsigned i, uint64_t user)
{
	struct feed_block *b = h->block[i];
	const uint64_t key = key_of(h, b, user);
	struct feed_page *p = b->table_size ? b->table[key & (b->table_size - 1)] : NULL;

	while (p && p->key != key)
		p = p->next;
	if (p) {
		atomic_fetch_add(&p->refs, 1);
		return p;
	}
	p = page_make(h, i, user, key);
	if (p)
		page_keep(h, b, p);
	return p;
}

void feed_block_forget_pages(struct feed_block *b)
{
	for (unsigned i = 0; i < b->table_size; i++)
		for (struct feed_page *p = b->table[i], *next; p; p = next) {
			next = p->next;
			feed_page_unref(p);
		}
	free(b->table);
	b->table = NULL;
	b->table_size = b->page_count = 0;
	b->page_bytes = 0;
}

unsigned feed_page_behind(const struct feed_page *p, const struct meta_cursor *after)
{
	const struct feed_block *b = p->block;
	unsigned low = 0, high = p->count;

	if (feed_cursor_cmp(after, &b->end) >= 0)
		return p->count;
	if (p->whole || feed_cursor_cmp(after, &b->start) <= 0)
		return 0;
	while (low < high) {
		const unsigned mid = low + (high - low) / 2;

		if (feed_cursor_cmp(&b->items[p->item_of[mid]].at, after) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool feed_find(const struct feed_hall *h, const struct meta_cursor *after, unsigned *ret)
{
	unsigned low = 0, high = h->block_count;
	const struct meta_cursor *first = h->block_count ? &h->block[0]->start : &h->head;

	if (feed_cursor_cmp(after, first) < 0)
		return false;
	while (low < high) {
		const unsigned mid = low + (high - low) / 2;

		if (feed_cursor_cmp(&h->block[mid]->end, after) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret = low;
	return true;
}
