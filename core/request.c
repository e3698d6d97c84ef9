/* Requests and their life: made, submitted, run on the loop or a worker, completed or detached. See vfs.h for what a
 * door may rely on.
 *
 * States of a submitted request (all changes on its loop's thread):
 *   running   work->pending        a worker (or a queue) has it
 *   home      !pending             results may be read, may be freed
 *   detached  pending && detached  nobody waits; the completion frees it
 * The worker only ever reads `detached`-independent fields, so no state word is shared but `fate`: a mutation that is
 * detached before its commit was sent ends without one; once it was sent it runs to its end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/access_log.h"
#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/id.h"
#include "core/base/metrics.h"
#include "core/change.h"
#include "core/house.h"
#include "core/switches.h"

#define ARENA_BYTES (1u << 20)
#define ARENA_LIST_BYTES (4u << 20)
#define ASK_AGAIN_NS (100 * GH_MS_NS)

static const uint32_t class_deadline_ms[] = {
	[VFS_C_LOGIN] = 15000, [VFS_C_LOOKUP] = 15000, [VFS_C_LIST] = 30000, [VFS_C_READ] = 30000,
	[VFS_C_WRITE] = 60000, [VFS_C_CHANGE] = 60000, [VFS_C_BULK] = 600000, [VFS_C_WATCH] = 120000,
};

struct vfs_req *vfs_req_new(struct gh_core *core, struct gh_loop *loop, enum vfs_op op, enum vfs_proto proto,
			    struct vfs_session *session)
{
	struct gh_arena *a = gh_arena_new(op == VFS_LIST ? ARENA_LIST_BYTES : ARENA_BYTES);
	struct vfs_work *w = a ? gh_alloc(a, sizeof(*w)) : NULL;
	if (!w) {
		gh_arena_free(&a);
		return NULL;
	}
	struct vfs_req *r = &w->req;
	r->arena = a;
	r->core = core;
	r->loop = loop;
	r->op = op;
	r->proto = proto;
	r->session = session ? vfs_session_ref(session) : NULL;
	r->length = UINT64_MAX;
	r->declared = UINT64_MAX;
	r->mtime_us = INT64_MIN;
	r->quota_available = r->quota_files_available = UINT64_MAX;
	r->may_send = UINT64_MAX;
	r->after = "";
	snprintf(r->id, sizeof(r->id), "%llx", (unsigned long long)gh_id_new());
	w->started_ns = gh_loop_now_ns(loop);
	return r;
}

static void req_destroy(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	vfs_content_free(&r->content);
	vfs_upload_abort(&r->upload);
	vfs_session_unref(&r->new_session);
	vfs_session_unref(&r->session);
	free(w->steps);
	struct gh_arena *a = r->arena;
	gh_arena_free(&a);
}

/* Out of whatever queue it waits in. false: it waits in none (any more). */
static bool leave_queue(struct vfs_work *w, enum gh_status *ret_st, uint32_t *ret_retry_s)
{
	if (share_turn_cancel(&w->turn)) {
		*ret_st = GH_OVERSHARE;
		*ret_retry_s = 1;
		return true;
	}
	return share_withdraw(&w->job, ret_st, ret_retry_s);
}

/* Cached logins happen with every HTTP request and tell nothing; the begin of a write that went well is told by its
 * commit; a look at the event feed that found nothing by what its waiting comes to. */
static bool only_a_step(const struct vfs_work *w)
{
	return w->req.status == GH_OK &&
	       ((w->req.op == VFS_LOGIN && !w->may_block) || w->req.op == VFS_WRITE_BEGIN || w->req.will_wait);
}

static bool worth_a_line(const struct vfs_work *w)
{
	return !w->logged && !only_a_step(w);
}

static void count_result(const struct vfs_work *w);

void vfs_req_free(struct vfs_req **rp)
{
	struct vfs_req *r = *rp;
	*rp = NULL;
	if (!r)
		return;
	struct vfs_work *w = work_of(r);
	if (w->pending && leave_queue(w, &r->status, &r->retry_after_s)) {
		r->status = GH_GONE; /* it had not begun */
		breaker_scout_home(&w->scout);
		gh_timer_cancel(&w->timer);
		if (!w->counted)
			count_result(w);
		atomic_fetch_sub(&r->core->pending, 1);
		w->done = NULL;
	} else if (w->pending) {
		w->detached = true;
		atomic_fetch_or(&w->fate, WORK_GIVEN_UP);
		gh_timer_cancel(&w->timer);
		return;
	}
	if (w->done && worth_a_line(w))
		access_log_write(r->core->access, w);
	req_destroy(w);
}

enum gh_status vfs_req_path(struct vfs_req *r, const char *bytes, size_t len, unsigned flags)
{
	return gh_path_parse(r->arena, bytes, len, flags, vfs_session_rule(r->session), &r->path);
}

enum gh_status vfs_req_dest(struct vfs_req *r, const char *bytes, size_t len, unsigned flags)
{
	return gh_path_parse(r->arena, bytes, len, flags, vfs_session_rule(r->session), &r->dest);
}

void vfs_req_log(struct vfs_req *r, const char *verb, int reply_code, uint64_t bytes)
{
	struct vfs_work *w = work_of(r);
	w->verb = verb ? gh_strdup(r->arena, verb) : w->verb;
	w->reply_code = reply_code;
	if (bytes)
		w->bytes = bytes;
}

struct meta_call work_call(const struct vfs_work *w)
{
	return (struct meta_call){ .arena = w->req.arena, .deadline_ns = w->deadline_ns, .op = vfs_ops[w->req.op].name };
}

enum gh_status work_settle(struct vfs_work *w)
{
	const struct blob_ops *ops = w->req.core->blob_ops;
	struct breaker_pass pass;
	if (!ops->settle)
		return GH_OK;
	if (!w->stored_ticket.at)
		return ops->settle(w->req.core->blobs, &w->stored_ticket);
	/* Whoever leads syncs for all that wait: what comes of it is nobody's in particular. */
	breakers_watch(w->req.core, SERVICE_BLOBS, 0, &pass);
	return breakers_leave(&pass, ops->settle(w->req.core->blobs, &w->stored_ticket));
}

/* ---- running ---- */

static void count_result(const struct vfs_work *w)
{
	const enum vfs_proto p = w->req.proto;
	switch (gh_status_class(w->req.status)) {
	case GH_CLASS_FLOW:
		break;
	case GH_CLASS_CALLER:
	case GH_CLASS_TENANT:
		gh_metric_add(GH_M_REFUSED, p, 1);
		if (w->req.rule)
			gh_metric_add(GH_M_SWITCHED, p, 1);
		break;
	case GH_CLASS_DEPENDENCY:
	case GH_CLASS_INTERNAL:
		gh_metric_add(GH_M_ERRORS, p, 1);
		break;
	}
	if (only_a_step(w))
		return;
	gh_metric_observe_ns(GH_M_LATENCY, p, gh_mono_ns() - w->started_ns);
	live_count(w->req.core, w->req.session ? w->req.session->tenant : NULL, LIVE_REQUESTS, 1);
}

/* One attempt of the operation after another until the state it was decided on is the state it was committed on. Others
 * that keep changing the same names make it go round; each round somebody got through. GH_WAIT: w->change is to be sent. */
#define ATTEMPTS_MAX 100

static bool once_more(struct vfs_work *w, enum gh_status st)
{
	return st == GH_STALE && ++w->attempts < ATTEMPTS_MAX;
}

/* Where other gateways write, a change may be refused for something that is not so any more. A change that is made holds by
 * its guards; one that is refused has to be refused for what is stored. */
static bool may_be_hearsay(const struct vfs_work *w, enum gh_status st)
{
	if (!w->req.core->stream || w->fresh || w->op_done || (!vfs_ops[w->req.op].mutates && w->req.op != VFS_WRITE_BEGIN))
		return false;
	switch ((int)st) {
	case GH_PRECONDITION:
	case GH_NOTFOUND:
	case GH_NOPARENT:
	case GH_EXISTS:
	case GH_NOTDIR:
	case GH_ISDIR:
	case GH_NOTEMPTY:
	case GH_LOCKED:
	case GH_NOLOCK:
		return true;
	}
	return false;
}

static uint64_t tenant_id(const struct vfs_work *w)
{
	return w->req.session ? w->req.session->tenant->id : w->tenant ? w->tenant->id : 0;
}

static enum gh_status run_attempts(struct vfs_work *w)
{
	op_fn *fn = op_function(w->req.op);
	const bool certain = w->req.core->stream && (w->req.flags & VFS_CERTAIN);
	enum gh_status st;
	if (certain && !w->may_block)
		return GH_AGAIN;
	do {
		w->fresh = certain || w->attempts > 0;
		if (w->fresh && w->may_block)
			stream_catch_up(w->req.core, tenant_id(w)); /* what another gateway has made stale is known here then */
		w->lock_seen = UINT64_MAX;
		st = fn(w);
		if (w->may_block)
			rights_unref(&w->rights);
		w->rights = NULL;
		if (may_be_hearsay(w, st))
			st = w->may_block ? GH_STALE : GH_AGAIN;
	} while (once_more(w, st));
	if (st == GH_STALE)
		st = GH_CONFLICT;
	if (gh_arena_overflowed(w->req.arena) && (st == GH_OK || st == GH_AGAIN))
		st = GH_NOMEM;
	return st;
}

/* For people, where a number is not shown otherwise (FTP). */
static void say_when(struct vfs_req *r)
{
	if (r->status == GH_TRIPPED && !r->retry_after_s)
		r->retry_after_s = breakers_retry_s(r->core, tenant_id(work_of(r)));
	if (r->status == GH_TRIPPED && !r->message)
		r->message = gh_printf(r->arena, "A service behind this one is being given a rest; try again in %u s.",
				       r->retry_after_s);
	if (r->status == GH_OVERSHARE && !r->message)
		r->message = gh_printf(r->arena, "More than your share is waiting already; try again in %u s.",
				       r->retry_after_s);
}

static void at_home(struct vfs_work *w)
{
	struct gh_core *c = w->req.core;
	w->pending = false;
	breaker_scout_home(&w->scout);
	gh_timer_cancel(&w->timer);
	say_when(&w->req);
	if (!w->counted)
		count_result(w);
	if (w->detached)
		req_destroy(w);
	else
		w->done(&w->req, w->door);
	atomic_fetch_sub(&c->pending, 1);
}

static void come_home(struct gh_task *task)
{
	at_home((struct vfs_work *)((char *)task - offsetof(struct vfs_work, task)));
}

/* What has waited for its worker asks the switchboard once more. */
static enum gh_status shut_meanwhile(struct vfs_work *w)
{
	if (w->job.started_ns - w->job.item.queued_ns < ASK_AGAIN_NS)
		return GH_OK;
	gh_pool_online();
	const enum gh_status st = switches_gate(w);
	gh_pool_offline();
	return st;
}

/* Its work away from the loop is done. Worker, or the thread that commits. */
static void send_home(struct vfs_work *w, enum gh_status st)
{
	w->req.status = st;
	(void)work_settle(w); /* where it came to no commit: nobody names the bytes, but the backend counts on it */
	share_done(&w->job);
	w->task.fn = come_home;
	gh_loop_post(w->req.loop, &w->task);
}

/* On the thread that commits, which must not block: success ends here, all else goes on on a worker. */
static void change_landed(struct vfs_work *w, enum gh_status st)
{
	w->req.status = st;
	if (st != GH_OK && share_go_on(&w->job) == GH_OK)
		return;
	send_home(w, op_write_landed(w, st == GH_STALE ? GH_STOPPING : st)); /* stale: nobody begins anew any more */
}

static enum gh_status begin_on_worker(struct vfs_work *w)
{
	const enum gh_status shut = shut_meanwhile(w);
	if (gh_mono_ns() > w->deadline_ns)
		return GH_DEADLINE; /* nobody waits any more: do not spend a worker on it */
	w->attempts = 0; /* the one on the loop was with what memory had */
	return shut != GH_OK ? shut : run_attempts(w);
}

/* Its commit came back without success. */
static enum gh_status go_on_on_worker(struct vfs_work *w)
{
	const enum gh_status st = op_write_landed(w, w->req.status);
	w->change = NULL;
	if (st != GH_STALE)
		return st;
	return once_more(w, st) ? run_attempts(w) : GH_CONFLICT;
}

static void run_on_worker(struct share_job *job)
{
	struct vfs_work *w = (struct vfs_work *)((char *)job - offsetof(struct vfs_work, job));
	const enum gh_status st = w->change ? go_on_on_worker(w) : begin_on_worker(w);
	if (st != GH_WAIT) {
		send_home(w, st);
		return;
	}
	share_float(job);
	change_send(w->change, change_landed); /* w is not ours any more */
}

/* Put out of a queue, from whatever thread: for one whose tenant is below its share, or because the house closes. */
static void put_out(struct vfs_work *w, enum gh_status st, uint32_t retry_after_s)
{
	w->req.status = st;
	w->req.retry_after_s = retry_after_s;
	w->task.fn = come_home;
	gh_loop_post(w->req.loop, &w->task);
}

static void put_out_of_desk(struct share_job *job, enum gh_status st, uint32_t retry_after_s)
{
	put_out((struct vfs_work *)((char *)job - offsetof(struct vfs_work, job)), st, retry_after_s);
}

static void put_out_of_loop(struct share_turn *t, uint32_t retry_after_s)
{
	put_out((struct vfs_work *)((char *)t - offsetof(struct vfs_work, turn)), GH_OVERSHARE, retry_after_s);
}

/* The deadline came first. The door gets a request without results in place of the one that a worker still holds. */
static void deadline_passed(struct vfs_work *w)
{
	struct vfs_req *shell = vfs_req_new(w->req.core, w->req.loop, w->req.op, w->req.proto, w->req.session);
	if (!shell) { /* no memory for bad news: wait for the worker after all */
		gh_timer_set(&w->timer, w->req.loop, 1000);
		return;
	}
	w->detached = true;
	struct vfs_work *s = work_of(shell);
	memcpy(shell->id, w->req.id, sizeof(shell->id));
	shell->peer = w->req.peer ? gh_strdup(shell->arena, w->req.peer) : NULL;
	shell->status = atomic_fetch_or(&w->fate, WORK_GIVEN_UP) & WORK_SENT ? GH_UNKNOWN : GH_DEADLINE;
	s->started_ns = w->started_ns;
	s->done = w->done;
	count_result(s); /* this is what the client sees, and it must not wait for a store that hangs */
	w->counted = true;
	w->done(shell, w->door);
}

static void time_is_up(struct gh_timer *t, void *arg)
{
	struct vfs_work *w = arg;
	const uint64_t now = gh_mono_ns();
	if (leave_queue(w, &w->req.status, &w->req.retry_after_s))
		at_home(w);
	else if (now < w->deadline_ns)
		gh_timer_set(t, w->req.loop, (w->deadline_ns - now) / GH_MS_NS + 1);
	else
		deadline_passed(w);
}

/* It is under way; in a queue it waits no longer than the house's bound. */
static enum vfs_submitted pending(struct vfs_work *w, uint32_t deadline_ms)
{
	const uint32_t wait_ms = w->req.core->cfg.queue_wait_ms;
	gh_timer_init(&w->timer, time_is_up, w);
	gh_timer_set(&w->timer, w->req.loop, wait_ms < deadline_ms ? wait_ms : deadline_ms);
	return VFS_PENDING;
}

static enum vfs_submitted finish_here(struct vfs_work *w, enum gh_status st)
{
	w->req.status = st;
	breaker_scout_home(&w->scout);
	say_when(&w->req);
	count_result(w);
	return VFS_DONE;
}

/* Whose tenant is it that somebody logs in to, as far as that can be told from what was typed? */
static const char *login_whom(struct vfs_req *r)
{
	const char *at = r->user ? strchr(r->user, '/') : NULL;
	if (at)
		return gh_strndup(r->arena, r->user, (size_t)(at - r->user));
	at = r->user ? strrchr(r->user, '$') : NULL;
	return at ? at + 1 : r->host;
}

/* What it will ask of which service, as far as that is known: what begins on its loop has found out what it lacks. */
static unsigned services_wanted(const struct vfs_work *w)
{
	const struct vfs_op_row *row = &vfs_ops[w->req.op];
	if (row->fast)
		return 1u << (w->wants_blobs ? SERVICE_BLOBS : SERVICE_METADATA);
	if (w->req.upload && !vfs_upload_received(w->req.upload))
		return 1u << SERVICE_METADATA;
	return row->services;
}

/* Into the queue in front of the workers. */
static enum gh_status hand_over(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	const enum vfs_class class = vfs_ops[r->op].class;
	const enum gh_status shut = breakers_shut(r->core, services_wanted(w), tenant_id(w), &r->retry_after_s, &w->scout);
	if (shut != GH_OK)
		return shut;
	w->may_block = true;
	w->job.run = run_on_worker;
	w->job.out = put_out_of_desk;
	gh_metric_add(GH_M_FASTPATH, 1, 1);
	if (class == VFS_C_LOGIN) {
		const char *whom = login_whom(r);
		return share_submit_login(r->core, &w->job, r->peer_prefix, whom ? whom : "", &r->retry_after_s);
	}
	return share_submit(r->core, &w->job, r->session ? r->session->tenant : NULL, class, &r->retry_after_s);
}

/* ---- a look from the loop ---- */

/* It was looked up, or not. What is older than the house's patience asks the switchboard once more. */
static void look_home(struct gh_task *task)
{
	struct vfs_work *w = (struct vfs_work *)((char *)task - offsetof(struct vfs_work, task));
	struct vfs_req *r = &w->req;
	if (w->detached) {
		at_home(w);
		return;
	}
	share_here(r->core, r->loop, r->session->tenant, gh_mono_ns());
	enum gh_status st = switches_gate(w);
	if (st == GH_OK)
		st = w->look->ask.status == GH_OK ? run_attempts(w) : GH_AGAIN;
	if (st != GH_AGAIN)
		gh_metric_add(GH_M_FASTPATH, 2, 1);
	else if ((st = hand_over(w)) == GH_OK)
		return;
	r->status = st;
	at_home(w);
}

static void looked(struct meta_look *ask)
{
	struct work_look *l = (struct work_look *)ask;
	struct vfs_work *w = l->of;
	w->task.fn = look_home;
	gh_loop_post(w->req.loop, &w->task);
}

/* Past the queue, where all that is lacking is a look at the store, nobody waits for a worker, and the store is well. */
static bool look_up(struct vfs_work *w)
{
	struct work_look *l = w->look;
	if (!l || l->asked || !breakers_closed(w->req.core, SERVICE_METADATA, l->ask.tenant) ||
	    !share_is_calm(w->req.core, w->tenant))
		return false;
	l->of = w;
	l->ask.done = looked;
	l->asked = true;
	return meta_look(w->req.core->meta, &l->ask);
}

/* Memory does not have all that it needs. */
static enum gh_status leave_loop(struct vfs_work *w)
{
	return look_up(w) ? GH_OK : hand_over(w);
}

static void took_off(struct vfs_work *w)
{
	w->pending = true;
	atomic_fetch_add(&w->req.core->pending, 1);
}

static void came_back(struct vfs_work *w)
{
	w->pending = false;
	atomic_fetch_sub(&w->req.core->pending, 1);
}

/* Its turn on the loop has come. */
static void run_in_turn(struct share_turn *t)
{
	struct vfs_work *w = (struct vfs_work *)((char *)t - offsetof(struct vfs_work, turn));
	struct vfs_req *r = &w->req;
	uint32_t retry_s;
	enum gh_status st = share_may(r->core, r->loop, r->session->tenant, gh_mono_ns(), t, &retry_s);
	if (st == GH_OK) /* always: it was granted */
		st = switches_gate(w);
	if (st == GH_OK)
		st = run_attempts(w);
	if (st != GH_AGAIN)
		gh_metric_add(GH_M_FASTPATH, 0, 1);
	else if ((st = leave_loop(w)) == GH_OK)
		return;
	r->status = st;
	at_home(w);
}

/* OK: the loop is its tenant's now. WAIT: its turn comes. */
static enum gh_status ask_for_loop(struct vfs_work *w, uint64_t now_ns)
{
	struct vfs_req *r = &w->req;
	if (!r->session) {
		share_unknown(r->core, r->loop, now_ns);
		return GH_OK;
	}
	w->turn.item.class = vfs_ops[r->op].class;
	w->turn.run = run_in_turn;
	w->turn.out = put_out_of_loop;
	return share_may(r->core, r->loop, r->session->tenant, now_ns, &w->turn, &r->retry_after_s);
}

/* Requests a second: over HTTP a login comes with each, and asks (session.c); a command of FTP asks here, once. */
static enum gh_status within_pace(struct vfs_work *w)
{
	const struct vfs_req *r = &w->req;
	if (r->proto != VFS_FTP || !r->session || r->op == VFS_LOGIN || r->op == VFS_WRITE_COMMIT)
		return GH_OK;
	return quota_request(w, r->session);
}

enum vfs_submitted vfs_submit(struct vfs_req *r, vfs_done_fn *done, void *door)
{
	struct vfs_work *w = work_of(r);
	const struct vfs_op_row *row = &vfs_ops[r->op];
	const uint32_t deadline_ms = r->deadline_ms ? r->deadline_ms : class_deadline_ms[row->class];
	const uint64_t now = gh_mono_ns();

	w->done = done;
	w->door = door;
	w->deadline_ns = now + deadline_ms * GH_MS_NS;
	gh_metric_add(GH_M_REQUESTS, r->proto, 1);
	if (gh_arena_overflowed(r->arena))
		return finish_here(w, GH_NOMEM);
	if (atomic_load_explicit(&r->core->stopping, memory_order_relaxed))
		return finish_here(w, GH_STOPPING);
	/* The switchboard, before anything is looked up. */
	const enum gh_status shut = switches_gate(w);
	if (shut != GH_OK)
		return finish_here(w, shut);
	const enum gh_status paced = within_pace(w);
	if (paced != GH_OK)
		return finish_here(w, paced);
	if (row->fast && core_flag(r->core, VFS_FLAG_FASTPATH, r->proto, r->session, false)) {
		enum gh_status st = ask_for_loop(w, now);
		if (st == GH_WAIT) {
			took_off(w);
			return pending(w, deadline_ms);
		}
		if (st == GH_OK)
			st = run_attempts(w);
		if (st != GH_AGAIN) {
			gh_metric_add(GH_M_FASTPATH, 0, 1);
			return finish_here(w, st);
		}
	} else if (r->session) {
		share_here(r->core, r->loop, r->session->tenant, now);
	}
	took_off(w);
	const enum gh_status st = leave_loop(w);
	if (st == GH_OK)
		return pending(w, deadline_ms);
	came_back(w);
	return finish_here(w, st);
}
