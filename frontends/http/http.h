/* Inside the HTTP door: connections, exchanges and answers, as libmicrohttpd's callbacks and our own deadlines move
 * them. Nothing outside this room includes it.
 *
 *   door    one for users, one for administrators (door.h); a shard per loop
 *   shard   one libmicrohttpd daemon in external epoll mode, hung into its loop as an engine; its connections
 *   conn    one socket; libmicrohttpd reads, writes and closes it, we only ever shut it down
 *   call    the one exchange a connection has at a time (public part: struct http_ex)
 *   answer  what will be said, put together first, handed over in one piece
 *
 * Life of a call, in what libmicrohttpd calls us for:
 *
 *   CALL_NONE -> LINE      request line seen (URI callback)
 *   LINE -> HEADERS        first handler call: guard, route, login, service->begin; held any number of times
 *   HEADERS -> BODY        the body is wanted, or there is none: an answer that is queued any earlier costs the
 *                          connection
 *   BODY -> REPLY          handler call without bytes: service->end, then the answer is queued
 *   HEADERS -> REPLY       refused before its body: queued at once, and the connection ends with it
 *   any -> NONE            completion callback; service->gone
 *
 * Holding: `held` says that the exchange waits for the core; the callback that finds it set suspends the connection
 * before it returns, whoever clears it resumes it if it was suspended. Both happen on the loop's thread alone, so that
 * there is exactly one resume for a suspend.
 */
#ifndef GH_FRONTENDS_HTTP_HTTP_H
#define GH_FRONTENDS_HTTP_HTTP_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "core/run/doorstep.h"
#include "frontends/http/exchange.h"
#include "frontends/http/guard.h"

#define HTTP_DRAIN_MAX 65536u    /* bytes of a refused body that are read and forgotten before the connection is cut */
#define HTTP_WINDOW 65536u       /* streams and content that passes through our memory */
#define HTTP_REPLY_FIELDS_MAX 24

struct http_settings {
	size_t pool_bytes;
	uint64_t header_ms, idle_ms, body_ms, total_ms; /* total 0 = none */
	uint64_t idle_bytes_per_loop;
	bool strict_hosts; /* a host name that no tenant claims is refused */
};

enum http_call_stage { CALL_NONE, CALL_LINE, CALL_HEADERS, CALL_BODY, CALL_REPLY };

enum http_answer_kind { ANSWER_BYTES, ANSWER_CONTENT, ANSWER_STREAM };

struct http_answer {
	int code;
	enum http_answer_kind kind;
	bool close; /* the connection ends with it */
	unsigned field_count;
	struct {
		const char *name, *value; /* in the exchange's arena, or static */
	} fields[HTTP_REPLY_FIELDS_MAX];
	const void *bytes;        /* ANSWER_BYTES: alive until the exchange ends */
	uint64_t length;          /* of bytes, or of content */
	uint64_t unsent_length;   /* 304: of the file that is not sent */
	struct gh_buf owned;      /* http_reply_buf's memory; a stream's window */
	size_t owned_sent;
	struct vfs_req *req;      /* http_reply_inline: its arena holds the bytes */
	struct vfs_content *content;
	uint64_t content_offset;
	http_fill_fn *fill;
};

struct http_put;

struct http_serve { /* http_serve, until the file is open */
	const char *disposition;
	http_then_fn *on_folder;
};

struct http_call {
	struct http_ex ex; /* first: services get &call->ex */
	struct http_conn *conn;
	enum http_call_stage stage;
	bool begun, ended;        /* service->begin came (gone is due), service->end came */
	bool dead;                /* nobody is left to answer: cut at the next callback */
	bool suspended;           /* in libmicrohttpd */
	bool again;               /* a stream's request was answered at once: fill may go on */
	bool expects_continue;
	uint64_t drained_bytes;   /* of a body that nobody wants */
	uint64_t started_ns;
	char *target_raw;         /* as the URI callback gave it; in the arena */
	size_t target_raw_len;
	struct http_field *fields;
	unsigned field_count;
	struct vfs_req *pending;  /* the core works on it */
	http_then_fn *pending_then;
	struct http_put *put;
	struct http_serve *serve;
	struct http_answer answer;
	uint64_t uncounted, acked; /* bytes of content on their way that were not counted yet; the peer's mark at the last look */
	char id[24];
};

struct http_conn {
	struct http_shard *shard;
	struct MHD_Connection *mhd; /* NULL until libmicrohttpd has told us */
	int fd;
	struct gh_peer peer;
	uint64_t peer_prefix;
	struct gh_ticket *ticket;
	struct http_conn *next, *prev;           /* all of the shard */
	struct http_conn *idle_next, *idle_prev; /* while idle, oldest first */
	bool idle, cut, linger;
	unsigned served;
	struct vfs_live reg; /* in the core's register: its latest request's user */
	bool drained;        /* told to end when nothing runs */
	/* deadlines: deadline.c */
	struct gh_timer timer;
	uint64_t phase_ns;   /* when the current phase began */
	uint64_t mark_ns, mark_bytes; /* progress as last looked at */
	uint64_t header_due_ns;       /* idle: bytes of a next request have been seen; 0 = none */
	struct gh_timer watch_timer;  /* held for a while: then its departure is worth watching for */
	struct gh_io watch;
	bool watching;
	struct http_call call;
};

struct http_linger;

struct http_shard {
	struct http_door *door;
	struct gh_loop *loop;
	struct MHD_Daemon *daemon;
	struct gh_engine engine;
	bool engine_added, quiescing;
	unsigned quiet_passes;
	struct http_conn *conns;
	struct http_conn *arriving; /* given to libmicrohttpd, not yet told back (a stack through ->next) */
	struct http_conn *idle_oldest, *idle_newest;
	unsigned idle_count;
	struct http_linger *lingers;
	unsigned linger_count;
	int64_t date_s; /* second that date was made for */
	char date[HTTP_DATE_LEN];
	struct gh_task drain_task;
};

struct http_door {
	const struct fe_env *env;
	const struct http_service *const *services;
	bool administrators; /* see door.h */
	struct http_settings set;
	struct http_shard *shards;
	unsigned shard_count;
	atomic_bool draining;
	atomic_uint live;
};

/* ---- conn.c ---- */
struct http_conn *http_conn_of(struct MHD_Connection *mhd);
void http_conn_accept(void *door, struct gh_loop *l, int fd, const struct gh_peer *peer, struct gh_ticket *ticket);
void http_conn_notify(void *shard, struct MHD_Connection *mhd, void **socket_context,
		      enum MHD_ConnectionNotificationCode code);
void http_conn_forget_failed(struct http_shard *s); /* those that libmicrohttpd refused without a word */
/* Shuts the socket down; libmicrohttpd sees that and ends it. Never close: the descriptor is not ours. */
void http_conn_cut(struct http_conn *c);
void http_conn_idle(struct http_conn *c);  /* nothing is done for it: into the idle list, as its newest */
void http_conn_busy(struct http_conn *c);

/* ---- switch.c: the switchboard, and administrators ---- */
extern const struct vfs_live_ops http_live_ops;
/* Is the door shut for whoever asks? Then the exchange was refused. */
bool http_shut(struct http_call *k);

/* ---- deadline.c ---- */
uint64_t http_received_bytes(const struct http_conn *c); /* by the kernel's count */
uint64_t http_acked_bytes(const struct http_conn *c);
void http_deadline_start(struct http_conn *c);
void http_deadline_phase(struct http_conn *c); /* the call moved on */
void http_deadline_stop(struct http_conn *c);
void http_watch_start(struct http_conn *c); /* the connection was suspended */
void http_watch_stop(struct http_conn *c);

/* Counts the content bytes of an answer: few at once, many as the peer takes them. */
void http_sending_begin(struct http_call *k, uint64_t bytes);
void http_sending_end(struct http_call *k, bool whole);

/* ---- call.c ---- */
void *http_call_line(void *shard, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_call_step(void *shard, struct MHD_Connection *mhd, const char *url, const char *method,
			       const char *version, const char *data, size_t *size, void **call);
void http_call_completed(void *shard, struct MHD_Connection *mhd, void **call, enum MHD_RequestTerminationCode why);
/* If held: suspend in libmicrohttpd. From its callbacks only. true: suspended now. */
bool http_call_suspend(struct http_call *k);
void http_call_resume(struct http_call *k); /* if it was suspended */
/* The client left or the server stops: nothing more is said. From outside libmicrohttpd's callbacks. */
void http_call_abandon(struct http_call *k);
/* Suspended and must not stay so: answered with st where that is still possible, else cut. */
void http_call_expel(struct http_call *k, enum gh_status st);
/* The same with the words of a finished request, which the caller frees; also in the middle of a body: then the answer
 * goes onto the socket as it is, and the connection ends. */
void http_call_refuse(struct http_call *k, struct vfs_req *why);

/* For an exchange that watches: refused, or its stream ends with words of its own. The caller frees why. */
void http_call_stop_watching(struct http_call *k, struct vfs_req *why);

/* ---- open.c: what happens to the headers ---- */
void http_call_open(struct http_call *k, const char *method, const char *version);
extern const struct http_service http_plain; /* refusals outside every service */

/* ---- login.c ---- */
void http_login(struct http_call *k);
enum gh_status http_basic_parse(struct gh_arena *a, const char *value, const char **ret_user,
				const char **ret_password);

/* ---- reply.c, stream.c ---- */
enum MHD_Result http_answer_queue(struct http_call *k);
struct MHD_Response *http_answer_stream(struct http_call *k);  /* ANSWER_CONTENT, ANSWER_STREAM */
/* Past the point where libmicrohttpd takes an answer: bytes on the socket, then it is cut. */
void http_answer_raw(struct http_call *k);
void http_answer_fini(struct http_answer *a);
const char *http_date_now(struct http_shard *s);

/* ---- linger.c ---- */
/* libmicrohttpd closes next: keep the socket until the client has read what we said. Takes the ticket. */
void http_linger(struct http_conn *c);
void http_linger_all_stop(struct http_shard *s);

/* ---- put.c ---- */
void http_put_fini(struct http_call *k);

static inline struct http_call *http_call_of(struct http_ex *ex)
{
	return (struct http_call *)ex;
}

#endif
