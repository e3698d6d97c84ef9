/* Inside the event feed: what its files share (feed.c: halls, who waits, who is woken; feed_log.c: from the log to blocks;
 * feed_page.c: from blocks to what a class is told). See feed.h. */
#ifndef GH_CORE_FEED_ROOM_H
#define GH_CORE_FEED_ROOM_H

#include "core/feed.h"
#include "policy/acl_class.h"
#include "policy/feed_rule.h"

#define FEED_READ_EVENTS 500u        /* of the log in one call, and in a block */
#define FEED_BYTES_MAX (256ull << 20)/* of all halls together */
#define FEED_BEHIND_MAX 150000u      /* events that are read for who is behind; more: list again */
#define FEED_AGE_NS (120 * GH_S_NS)  /* a block that old is dropped when it was not read meanwhile */
#define FEED_BLOCKS_MAX 4096u
#define FEED_SNAPS_MAX 16u           /* changes of rights that are remembered */
#define FEED_EVERY_NS (50 * GH_MS_NS)/* at most so often is a hall that is written to all the time read for who waits */

/* Rights at a time, with the classes of their users. Immutable, counted. */
struct feed_snap {
	atomic_uint refs;
	struct rights *rights;
	struct acl_classes *classes; /* of rights->users, in their order */
	size_t bytes;
};
GH_MUST_CHECK enum gh_status feed_snap_new(struct rights *r, struct feed_snap **ret); /* takes the reference, also in failing */
struct feed_snap *feed_snap_ref(struct feed_snap *s);
void feed_snap_unref(struct feed_snap **s); /* accepts NULL inside */

struct feed_item {
	struct feed_event event;
	const char *path, *dest;
	uint64_t node;
	struct meta_cursor at;
	int64_t time_us;
	bool raises; /* the tenant's rights epoch */
	bool border; /* rights before it are not those after it */
};

/* What one class is told of a block. */
struct feed_page {
	atomic_uint refs;
	struct feed_block *block; /* referenced: its strings are used */
	uint64_t key;
	struct feed_page *next;   /* in its bucket */
	bool whole;               /* one word for all of the block */
	size_t bytes;
	unsigned count;
	unsigned *item_of;        /* which of the block's items each is about; ascending */
	const struct vfs_feed_item **told; /* the block's, or in the arena */
	struct gh_arena *arena;
};

/* A stretch of the log: (start, end], end being its last item's place. Plain: before and after are the same. Else it begins and ends with changes of
 * rights. before NULL: the rights of its time are not known. */
struct feed_block {
	atomic_uint refs;
	struct feed_snap *before, *after;
	unsigned before_seq, after_seq; /* their places in the hall's row of snaps */
	struct meta_cursor start, end;
	unsigned count;
	struct feed_item *items;
	struct gh_arena *arena;
	struct feed_block *whole; /* it is a part of: there are its items and their arena. Or NULL */
	size_t bytes;
	uint64_t used_ns;
	bool moves; /* some of its items do */
	struct vfs_feed_item *said; /* under the hall's lock: of each item what was said of it first; most classes are told the same */
	/* under the hall's lock: pages by their keys */
	struct feed_page **table;
	unsigned table_size, page_count;
	size_t page_bytes;
};
void feed_block_unref(struct feed_block **b);
void feed_block_forget_pages(struct feed_block *b); /* first, when the hall drops it: they hold it */
void feed_page_unref(void *page);

struct feed_hall {
	struct gh_core *core;
	struct tenant *tenant;
	struct feed_hall *next; /* of all halls; only ever grows at its head */
	atomic_uint poked, read; /* pokes in all, and as the log was last read: while they differ there may be more in it */
	atomic_bool on_its_way; /* the job is */
	atomic_uint waiting;
	_Atomic uint64_t job_ns; /* when it last began */
	struct share_job job;

	pthread_mutex_t load;

	pthread_mutex_t lock;
	bool open;                 /* the members below mean something */
	struct meta_cursor head;   /* read up to here */
	struct meta_cursor oldest; /* of the log, as last asked */
	uint64_t oldest_ns;
	uint64_t epoch;            /* of rights, as of head */
	struct feed_snap *snap[FEED_SNAPS_MAX]; /* the last is that of head; snap[i] has number snap_seq + i */
	unsigned snap_count, snap_seq;
	struct feed_block **block; /* in order, without gaps */
	unsigned block_count, block_room;
	size_t bytes;
	struct vfs_watch *watches; /* who waits */
	uint64_t used_ns;
};

static inline bool feed_is_behind(struct feed_hall *h)
{
	return atomic_load(&h->poked) != atomic_load(&h->read);
}

/* Order of two places in one log. */
int feed_cursor_cmp(const struct meta_cursor *a, const struct meta_cursor *b);

/* ---- feed_log.c: worker, under load ---- */
/* Reads the log up to its end, from `from` where nothing is known yet. GH_NOTFOUND: it is another log by now, or events
 * behind what is known have been dropped; nothing is known then. */
GH_MUST_CHECK enum gh_status feed_catch_up(struct feed_hall *h, struct meta_call *call, const struct meta_cursor *from);
/* Reads what lies between `from` and the oldest block. GH_LIMIT: too much; the reader is told to look at everything anew. */
GH_MUST_CHECK enum gh_status feed_reach_back(struct feed_hall *h, struct meta_call *call, const struct meta_cursor *from);
void feed_hall_forget(struct feed_hall *h);                  /* under lock */
void feed_hall_trim(struct feed_hall *h, uint64_t now_ns, uint64_t bytes_max); /* under lock */

/* ---- feed_page.c: under lock ---- */
/* The page of user for the block at index i, with a reference. NULL: no memory. */
struct feed_page *feed_page_of(struct feed_hall *h, unsigned i, uint64_t user);
/* Which of its items are behind the cursor: from the returned index on. */
unsigned feed_page_behind(const struct feed_page *p, const struct meta_cursor *after);
/* Index of the first block with something behind the cursor; block_count: none. false: the cursor is before all of them. */
bool feed_find(const struct feed_hall *h, const struct meta_cursor *after, unsigned *ret);

void feed_bytes_add(struct gh_core *c, int64_t bytes);
uint64_t feed_bytes(struct gh_core *c);

#endif
