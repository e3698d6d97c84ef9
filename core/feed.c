/* Halls, who waits in them, and who wakes them. See feed.h.
 *
 * A commit here, or news of one elsewhere (stream.h), pokes the tenant's hall. Where somebody waits a job reads the log on a worker, at
 * once after silence, then at most every 50 ms, and wakes those for whom there is something. The thread "feed" sends the
 * jobs that were put off, looks every five seconds for whatever no poke told of, and drops what is old.
 *
 *   on_its_way  set by who submits the job, cleared by the job before it looks whether it was poked again
 *   a watch     listed (hall's lock) -> posted (its loop's task is under way) -> done (ready was called); ended by its loop
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/feed_room.h"
#include "core/place.h"

#define TICK_NS GH_S_NS
#define LOOK_NS (5 * GH_S_NS)       /* for what no poke told of */
#define OLDEST_NS (60 * GH_S_NS)    /* so long is the end of the log believed to be where it was */
#define LIMIT_DEFAULT 1000u
#define RUNS_MAX 2000u
#define WAKE_AT_A_TIME 256u
#define ROUNDS_MAX 4u

struct feeds {
	struct gh_core *core;
	struct feed_hall *_Atomic halls;
	_Atomic int64_t bytes;
	pthread_mutex_t lock; /* of the members below, and the makers of halls */
	pthread_cond_t wake;
	bool stop, running;
	uint64_t due_ns;
	pthread_t thread;
};

enum watch_state { WATCH_LISTED, WATCH_POSTED, WATCH_DONE };

struct vfs_watch {
	struct gh_task task;
	struct gh_loop *loop;
	struct feed_hall *hall;
	struct vfs_watch *next, **at; /* in the hall's row, or a waker's */
	enum watch_state state;
	bool ended;                   /* the loop's */
	uint64_t user;
	struct meta_cursor cursor;    /* nothing for it up to here */
	void (*ready)(void *arg);
	void *arg;
};

void feed_bytes_add(struct gh_core *c, int64_t bytes)
{
	atomic_fetch_add(&c->feeds->bytes, bytes);
	gh_metric_add(GH_M_FEED_BYTES, 0, bytes);
}

uint64_t feed_bytes(struct gh_core *c)
{
	const int64_t n = atomic_load(&c->feeds->bytes);

	return n > 0 ? (uint64_t)n : 0;
}

/* ---- who waits ---- */

static void watch_list(struct vfs_watch **row, struct vfs_watch *w)
{
	w->next = *row;
	w->at = row;
	if (w->next)
		w->next->at = &w->next;
	*row = w;
}

static void watch_unlist(struct vfs_watch *w)
{
	*w->at = w->next;
	if (w->next)
		w->next->at = w->at;
}

static void watch_fired(struct gh_task *t)
{
	struct vfs_watch *w = (struct vfs_watch *)((char *)t - offsetof(struct vfs_watch, task));

	if (w->ended) {
		free(w);
		return;
	}
	pthread_mutex_lock(&w->hall->lock);
	w->state = WATCH_DONE;
	pthread_mutex_unlock(&w->hall->lock);
	w->ready(w->arg);
}

static void watch_wake(struct vfs_watch *w)
{
	watch_unlist(w);
	w->state = WATCH_POSTED;
	atomic_fetch_sub(&w->hall->waiting, 1);
	gh_loop_post(w->loop, &w->task);
}

/* Is there something for the user behind the cursor? Goes over what there is nothing in. */
static bool anything_for(struct feed_hall *h, uint64_t user, struct meta_cursor *cursor)
{
	unsigned i;

	if (!h->open || h->head.feed != cursor->feed || !feed_find(h, cursor, &i))
		return true; /* whatever it is, its reader finds out */
	for (; i < h->block_count; i++) {
		struct feed_page *p = feed_page_of(h, i, user);
		const bool some = !p || feed_page_behind(p, cursor) < p->count;

		feed_page_unref(p);
		if (some)
			return true;
	}
	if (feed_cursor_cmp(cursor, &h->head) < 0)
		*cursor = h->head;
	return false;
}

/* Those whom it concerns; all: everybody. A few at a time, so that loops never wait long for the lock. */
static void wake(struct feed_hall *h, bool all)
{
	struct vfs_watch *row;
	unsigned n = 0;

	pthread_mutex_lock(&h->lock);
	row = h->watches;
	h->watches = NULL;
	if (row)
		row->at = &row;
	while (row) { /* watch_wake and watch_unlist move it on */
		struct vfs_watch *w = row;

		if (all || anything_for(h, w->user, &w->cursor)) {
			watch_wake(w);
		} else {
			watch_unlist(w);
			watch_list(&h->watches, w);
		}
		if (++n % WAKE_AT_A_TIME == 0) {
			pthread_mutex_unlock(&h->lock);
			pthread_mutex_lock(&h->lock);
		}
	}
	pthread_mutex_unlock(&h->lock);
}

enum gh_status vfs_watch_begin(struct gh_core *core, struct gh_loop *loop, struct vfs_session *s, const char *cursor,
			       void (*ready)(void *arg), void *arg, struct vfs_watch **ret)
{
	struct feed_hall *h = atomic_load_explicit(&s->tenant->feed, memory_order_acquire);
	struct vfs_watch *w;
	struct meta_cursor at;
	bool some;

	if (!h || !feed_cursor_read(cursor, s->tenant->id, &at))
		return GH_AGAIN;
	w = calloc(1, sizeof(*w));
	if (!w)
		return GH_NOMEM;
	*w = (struct vfs_watch){ .task.fn = watch_fired, .loop = loop, .hall = h, .user = s->user, .cursor = at,
				 .ready = ready, .arg = arg };
	pthread_mutex_lock(&h->lock);
	some = anything_for(h, w->user, &w->cursor);
	if (!some) {
		watch_list(&h->watches, w);
		atomic_fetch_add(&h->waiting, 1);
	}
	pthread_mutex_unlock(&h->lock);
	if (some) {
		free(w);
		return GH_AGAIN;
	}
	gh_metric_add(GH_M_FEED_WAITING, 0, 1);
	*ret = w;
	if (feed_is_behind(h)) /* committed between its last look and now */
		feed_poke(core, s->tenant);
	return GH_OK;
}

void vfs_watch_end(struct vfs_watch **wp)
{
	struct vfs_watch *w = *wp;
	enum watch_state was;

	*wp = NULL;
	if (!w)
		return;
	gh_metric_add(GH_M_FEED_WAITING, 0, -1);
	pthread_mutex_lock(&w->hall->lock);
	was = w->state;
	if (was == WATCH_LISTED) {
		watch_unlist(w);
		atomic_fetch_sub(&w->hall->waiting, 1);
	}
	pthread_mutex_unlock(&w->hall->lock);
	w->ended = true;
	if (was != WATCH_POSTED)
		free(w);
}

/* ---- the job ---- */

static void at_the_latest(struct feeds *f, uint64_t due_ns)
{
	pthread_mutex_lock(&f->lock);
	if (!f->due_ns || due_ns < f->due_ns) {
		f->due_ns = due_ns;
		pthread_cond_signal(&f->wake);
	}
	pthread_mutex_unlock(&f->lock);
}

static void job_send(struct feed_hall *h)
{
	uint32_t retry_s;

	if (atomic_exchange(&h->on_its_way, true))
		return;
	atomic_store(&h->job_ns, gh_mono_ns());
	if (share_submit(h->core, &h->job, h->tenant, VFS_C_WATCH, &retry_s) != GH_OK)
		atomic_store(&h->on_its_way, false); /* the thread sends it again */
}

void feed_poke(struct gh_core *c, struct tenant *t)
{
	struct feed_hall *h = atomic_load_explicit(&t->feed, memory_order_acquire);
	uint64_t now, due;

	if (!h)
		return;
	atomic_fetch_add(&h->poked, 1);
	if (!atomic_load(&h->waiting) || atomic_load(&h->on_its_way))
		return;
	now = gh_mono_ns();
	due = atomic_load(&h->job_ns) + FEED_EVERY_NS;
	if (due <= now)
		job_send(h);
	else
		at_the_latest(c->feeds, due);
}

static void job_run(struct share_job *job)
{
	struct feed_hall *h = (struct feed_hall *)((char *)job - offsetof(struct feed_hall, job));
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct meta_call call = { .arena = a, .op = "events", .deadline_ns = gh_mono_ns() + 15 * GH_S_NS };
	enum gh_status st = GH_NOMEM;

	if (a) {
		pthread_mutex_lock(&h->load);
		st = h->open ? feed_catch_up(h, &call, NULL) : GH_NOTFOUND;
		pthread_mutex_unlock(&h->load);
	}
	gh_arena_free(&a);
	if (st == GH_OK || st == GH_NOTFOUND || st == GH_LIMIT)
		wake(h, st != GH_OK);
	share_done(job);
	atomic_store(&h->on_its_way, false);
	if (feed_is_behind(h) && atomic_load(&h->waiting))
		at_the_latest(h->core->feeds, gh_mono_ns() + FEED_EVERY_NS);
}

static void job_out(struct share_job *job, enum gh_status st, uint32_t retry_after_s)
{
	struct feed_hall *h = (struct feed_hall *)((char *)job - offsetof(struct feed_hall, job));

	atomic_store(&h->on_its_way, false); /* the thread sends it again */
}

/* ---- the thread ---- */

static void look_after(struct feed_hall *h, uint64_t now)
{
	if (atomic_load(&h->waiting)) {
		const uint64_t age = now - atomic_load(&h->job_ns);

		if (age >= LOOK_NS || (feed_is_behind(h) && age >= FEED_EVERY_NS))
			job_send(h);
	}
	pthread_mutex_lock(&h->lock);
	if (h->open && !h->watches && h->used_ns + FEED_AGE_NS < now)
		feed_hall_forget(h);
	else
		feed_hall_trim(h, now, FEED_BYTES_MAX);
	pthread_mutex_unlock(&h->lock);
}

static void *thread_main(void *arg)
{
	struct feeds *f = arg;

	pthread_setname_np(pthread_self(), "feed");
	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		const uint64_t now = gh_mono_ns();

		if (!atomic_load(&f->halls) && !f->due_ns) {
			pthread_cond_wait(&f->wake, &f->lock);
			continue;
		}
		if (!f->due_ns)
			f->due_ns = now + TICK_NS;
		if (f->due_ns > now) {
			const struct timespec t = { (time_t)(f->due_ns / GH_S_NS), (long)(f->due_ns % GH_S_NS) };

			pthread_cond_timedwait(&f->wake, &f->lock, &t);
			continue;
		}
		f->due_ns = 0;
		pthread_mutex_unlock(&f->lock);
		for (struct feed_hall *h = atomic_load(&f->halls); h; h = h->next)
			look_after(h, now);
		pthread_mutex_lock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- life ---- */

enum gh_status feeds_new(struct gh_core *c, struct feeds **ret)
{
	struct feeds *f = calloc(1, sizeof(*f));
	pthread_condattr_t attr;

	if (!f)
		return GH_NOMEM;
	f->core = c;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->wake, &attr);
	pthread_condattr_destroy(&attr);
	*ret = f;
	return GH_OK;
}

enum gh_status feeds_start(struct gh_core *c)
{
	if (pthread_create(&c->feeds->thread, NULL, thread_main, c->feeds) != 0)
		return GH_NOMEM;
	c->feeds->running = true;
	return GH_OK;
}

void feeds_stop(struct gh_core *c)
{
	struct feeds *f = c->feeds;

	if (!f || !f->running)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	f->running = false;
}

static void hall_free(struct feed_hall *h)
{
	pthread_mutex_lock(&h->lock);
	GH_ASSERT(!h->watches);
	feed_hall_forget(h);
	pthread_mutex_unlock(&h->lock);
	free(h->block);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->load);
	free(h);
}

void feeds_free(struct feeds **fp)
{
	struct feeds *f = *fp;

	if (!f)
		return;
	for (struct feed_hall *h = atomic_load(&f->halls), *next; h; h = next) {
		next = h->next;
		atomic_store(&h->tenant->feed, NULL);
		hall_free(h);
	}
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->lock);
	free(f);
	*fp = NULL;
}

static struct feed_hall *hall_of(struct gh_core *c, struct tenant *t)
{
	struct feeds *f = c->feeds;
	struct feed_hall *h;

	pthread_mutex_lock(&f->lock);
	h = atomic_load(&t->feed);
	if (!h && (h = calloc(1, sizeof(*h)))) {
		h->core = c;
		h->tenant = t;
		h->job.run = job_run;
		h->job.out = job_out;
		pthread_mutex_init(&h->lock, NULL);
		pthread_mutex_init(&h->load, NULL);
		h->next = atomic_load(&f->halls);
		atomic_store(&f->halls, h);
		atomic_store_explicit(&t->feed, h, memory_order_release);
		pthread_cond_signal(&f->wake);
	}
	pthread_mutex_unlock(&f->lock);
	return h;
}

/* ---- reading ---- */

static void say_next(struct vfs_req *r, const struct feed_hall *h, const struct meta_cursor *next)
{
	feed_cursor_write(r->feed_next, h->tenant->id, next);
	feed_cursor_write(r->feed_newest, h->tenant->id, &h->head);
	feed_cursor_write(r->feed_oldest, h->tenant->id, &h->oldest);
}

static void add_run(struct vfs_req *r, const struct vfs_feed_item *const *items, unsigned count)
{
	r->runs[r->run_count++] = (struct vfs_feed_run){ items, count };
	r->feed_count += count;
}

/* So many of the page's items from `first` on; what is about one event is not parted. */
static unsigned within(const struct feed_page *p, unsigned first, unsigned most)
{
	unsigned n = p->count - first < most ? p->count - first : most;

	while (n && first + n < p->count && p->item_of[first + n] == p->item_of[first + n - 1])
		n++;
	return n;
}

/* Under the hall's lock. */
static enum gh_status gather(struct feed_hall *h, struct vfs_work *w, const struct meta_cursor *after, unsigned i)
{
	struct vfs_req *r = &w->req;
	const unsigned limit = r->limit ? r->limit : LIMIT_DEFAULT;
	struct meta_cursor next = *after;

	r->run_count = r->feed_count = 0;
	if (i < h->block_count && !r->runs)
		r->runs = gh_alloc_array(r->arena, RUNS_MAX, sizeof(*r->runs));
	if (i < h->block_count && !r->runs)
		return GH_NOMEM;
	for (; i < h->block_count && r->run_count < RUNS_MAX && r->feed_count < limit; i++) {
		struct feed_page *p = feed_page_of(h, i, w->caller.user);
		unsigned first, n;

		if (!p)
			return GH_NOMEM;
		h->block[i]->used_ns = h->used_ns;
		first = feed_page_behind(p, after);
		n = within(p, first, limit - r->feed_count);
		next = h->block[i]->end;
		if (n && first + n < p->count)
			next = p->block->items[p->item_of[first + n - 1]].at;
		if (n) {
			add_run(r, p->told + first, n);
			gh_defer(r->arena, feed_page_unref, p);
		} else {
			feed_page_unref(p);
		}
	}
	if (i == h->block_count && feed_cursor_cmp(&next, &h->head) < 0 && r->feed_count < limit)
		next = h->head;
	say_next(r, h, &next);
	return GH_OK;
}

/* GH_AGAIN: memory does not have it, or not for sure. */
static enum gh_status read_memory(struct feed_hall *h, struct vfs_work *w, const struct meta_cursor *after)
{
	enum gh_status st = GH_AGAIN;
	unsigned i;

	pthread_mutex_lock(&h->lock);
	h->used_ns = gh_mono_ns();
	if (!h->open) {
		st = GH_AGAIN;
	} else if (!after && feed_is_behind(h)) {
		st = GH_AGAIN; /* who begins now need not hear of what is over */
	} else if (!after) {
		say_next(&w->req, h, &h->head);
		st = GH_OK;
	} else if (h->head.feed == after->feed && h->epoch >= w->rights->epoch && feed_find(h, after, &i)) {
		st = gather(h, w, after, i);
		if (st == GH_OK && !w->req.feed_count && feed_is_behind(h))
			st = GH_AGAIN;
	}
	pthread_mutex_unlock(&h->lock);
	return st;
}

static enum gh_status ends(struct feed_hall *h, struct meta_call *call, struct meta_cursor *ret_newest)
{
	struct meta_cursor oldest;
	const enum gh_status st = ASK(h->core, SERVICE_METADATA, h->tenant->id,
				      meta_feed_ends(h->core->meta, call, h->tenant->id, &oldest, ret_newest));

	if (st != GH_OK)
		return st;
	pthread_mutex_lock(&h->lock);
	h->oldest = oldest;
	h->oldest_ns = gh_mono_ns();
	pthread_mutex_unlock(&h->lock);
	return GH_OK;
}

/* Too far behind for being told event by event: from here on, and everything is looked at anew. */
static enum gh_status jump(struct feed_hall *h, struct vfs_work *w, struct meta_call *call)
{
	struct vfs_req *r = &w->req;
	struct vfs_feed_item *all = gh_alloc(r->arena, sizeof(*all));
	const struct vfs_feed_item **row = gh_alloc(r->arena, sizeof(*row));
	struct meta_cursor newest;
	enum gh_status st = all && row ? GH_OK : GH_NOMEM;

	r->runs = gh_alloc_array(r->arena, RUNS_MAX, sizeof(*r->runs));
	if (st == GH_OK && !h->open)
		st = ends(h, call, &newest);
	if (st == GH_OK && !h->open)
		st = feed_catch_up(h, call, &newest);
	if (st != GH_OK || !r->runs)
		return st != GH_OK ? st : GH_NOMEM;
	pthread_mutex_lock(&h->lock);
	say_next(r, h, &h->head);
	pthread_mutex_unlock(&h->lock);
	*all = (struct vfs_feed_item){ .word = VFS_FEED_RESYNC, .path = "/", .time_us = gh_real_us() };
	memcpy(all->cursor, r->feed_next, sizeof(all->cursor));
	r->run_count = r->feed_count = 0;
	*row = all;
	add_run(r, row, 1);
	return GH_OK;
}

/* Brings memory to where `after` can be read from. */
static enum gh_status bring(struct feed_hall *h, struct vfs_work *w, struct meta_call *call, const struct meta_cursor *after)
{
	struct meta_cursor newest = { 0 };
	enum gh_status st = GH_OK;
	unsigned i;

	if (!h->oldest_ns || gh_mono_ns() - h->oldest_ns > OLDEST_NS || (!after && !h->open))
		st = ends(h, call, &newest);
	if (st == GH_OK) {
		const bool was_open = h->open;

		st = feed_catch_up(h, call, after ? after : &newest);
		if (st == GH_NOTFOUND && was_open)
			st = after ? feed_catch_up(h, call, after) : GH_AGAIN;
	}
	if (st != GH_OK || !after)
		return st;
	if (h->head.feed != after->feed)
		return GH_NOTFOUND;
	return feed_find(h, after, &i) ? GH_OK : feed_reach_back(h, call, after);
}

static enum gh_status read_log(struct feed_hall *h, struct vfs_work *w, const struct meta_cursor *after)
{
	struct meta_call call = work_call(w);
	enum gh_status st = GH_AGAIN;

	for (unsigned i = 0; st == GH_AGAIN && i < ROUNDS_MAX; i++) {
		pthread_mutex_lock(&h->load);
		st = read_memory(h, w, after); /* another has brought it while this one waited */
		if (st == GH_AGAIN) {
			st = bring(h, w, &call, after);
			st = st == GH_OK ? read_memory(h, w, after) : st == GH_LIMIT ? jump(h, w, &call) : st;
		}
		pthread_mutex_unlock(&h->load);
	}
	if (st == GH_AGAIN) { /* rights are ahead of the log, or the log runs away: nothing is told for now */
		const struct timespec t = { 0, 50000000 };

		nanosleep(&t, NULL);
		w->req.run_count = w->req.feed_count = 0;
		pthread_mutex_lock(&h->lock);
		say_next(&w->req, h, after ? after : &h->head);
		pthread_mutex_unlock(&h->lock);
		st = GH_OK;
	}
	return st;
}

enum gh_status feed_read(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct feed_hall *h = atomic_load_explicit(&w->tenant->feed, memory_order_acquire);
	struct meta_cursor at, *after = NULL;

	if (r->cursor && *r->cursor) {
		if (!feed_cursor_read(r->cursor, w->tenant->id, &at))
			return GH_NOTFOUND;
		after = &at;
	}
	if (!w->may_block)
		return h ? read_memory(h, w, after) : GH_AGAIN;
	h = hall_of(r->core, w->tenant);
	return h ? read_log(h, w, after) : GH_NOMEM;
}

enum gh_status op_events(struct vfs_work *w)
{
	enum gh_status st = gate_enter(w);

	if (st == GH_OK)
		st = feed_read(w);
	if (st == GH_OK)
		gh_metric_add(GH_M_FEED_TOLD, 0, w->req.feed_count);
	return st;
}
