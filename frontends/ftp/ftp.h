/* The FTP door from the inside. One session is one control connection and at most one data connection; everything of a
 * session happens on its loop's thread, so nothing here is locked. Only the door's two counters are atomic.
 *
 *   door.c      open, accept, drain, close; the halls (one per loop: its sessions)
 *   session.c   the control connection: reading, one command at a time, replies, deadlines, the end
 *   reply.c     how each status sounds (one exhaustive switch), reply text
 *   commands.c  the command table and the small commands      login.c   USER, PASS, HOST, REIN
 *   switch.c    what the switchboard and administrators say to an open session
 *   path.c      an argument becomes a request's path           change.c  renaming, removing, times
 *   data.c      PASV, EPSV, PORT, EPRT; listening, dialling    transfer.c  what all transfers share; ABOR
 *   retr.c, stor.c, list.c   the three kinds of transfer
 *   line.c, parse.c, ascii.c, facts.c   pure
 *
 * One command at a time: while one runs (session->busy) the next waits unread. During a transfer ABOR, STAT, NOOP and
 * QUIT are carried out at once; anything else is parked. Each command gets exactly one final reply: ftp_end, or ftp_bye
 * which also ends the session.
 *
 * A session dies in two steps: ftp_cut closes and gives back everything at once and marks it dead; the memory goes in a
 * task of the loop, so that the callers above may still look at ->dead.
 */
#ifndef GH_FRONTENDS_FTP_FTP_H
#define GH_FRONTENDS_FTP_FTP_H

#include <stdatomic.h>

#include "core/fe_api.h"
#include "frontends/ftp/ascii.h"
#include "frontends/ftp/facts.h"
#include "frontends/ftp/line.h"

#define FTP_WINDOW (256u * 1024)    /* bytes of content in memory per transfer */
#define FTP_INLINE_MAX (64u * 1024) /* files up to this come back with the request itself */
#define FTP_OUT_MAX (512u * 1024)   /* replies that wait for the client to read them */
#define FTP_OUT_PAUSE (16u * 1024)  /* above this no further command is read */
#define FTP_WINDOWS_KEPT 4          /* spare windows per loop */

struct ftp_session;
struct ftp_command;

struct ftp_hall { /* one per loop */
	struct fe_door *door;
	struct gh_loop *loop;
	struct ftp_session *first;
	unsigned dying; /* cut, memory not yet freed */
	struct gh_task drain_task;
	char *windows[FTP_WINDOWS_KEPT];
	unsigned window_count;
};

struct fe_door {
	struct gh_core *core;
	/* settings, constant after open */
	unsigned passive_first, passive_last;
	struct sockaddr_storage passive_address; /* ss_family 0: the control connection's own */
	struct gh_nets trusted; /* from where balancers connect */
	uint32_t idle_ms, login_ms, data_ms, stall_ms;
	uint64_t min_rate; /* bytes a second */
	struct ftp_hall *halls;
	unsigned hall_count;
	atomic_uint live; /* sessions of all halls */
	atomic_bool draining;
};

enum ftp_data_state { FTP_D_NONE, FTP_D_LISTEN, FTP_D_DIAL, FTP_D_DIALLING, FTP_D_READY, FTP_D_OPEN };

struct ftp_data {
	enum ftp_data_state state;
	bool wanted; /* a transfer waits for it */
	int fd;      /* listener or connection, by state; -1 */
	struct gh_io io;
	struct gh_timer timer;      /* connect deadline, life of an unused listener, then the transfer's minimum rate */
	struct sockaddr_storage to; /* DIAL: where to */
	struct ftp_guest *guest;    /* LISTEN: a balancer that is asked for whom it connects */
};

enum ftp_kind { FTP_RETR, FTP_STOR, FTP_LIST, FTP_NLST, FTP_MLSD, FTP_STAT };
/* OPENING: the core decides. CONNECTING: 150 was said, the data connection is awaited. COMMITTING: all bytes are here,
 * nothing can stop it any more. */
enum ftp_stage { FTP_T_NONE, FTP_T_OPENING, FTP_T_CONNECTING, FTP_T_MOVING, FTP_T_COMMITTING };

struct ftp_transfer {
	enum ftp_kind kind;
	enum ftp_stage stage;
	bool is_ascii, waiting; /* waiting: the core will call ready */
	bool eof;
	uint64_t bytes;   /* of content moved */
	uint64_t checked; /* bytes when the minimum rate was last looked at */
	struct ftp_ascii ascii;
	char *window;    /* FTP_WINDOW bytes, from the hall */
	size_t pos, len; /* [pos, len) of the window is on its way */
	/* RETR */
	struct vfs_req *req; /* READ; holds inline bytes and the access line */
	struct vfs_content *content;
	const char *inline_data;
	int file_fd;
	uint64_t file_offset;  /* of the next byte in file_fd */
	uint64_t offset, size; /* of the next byte to fetch; of the whole */
	/* STOR */
	struct vfs_upload *upload;
	enum gh_status verdict; /* not OK: refused midway; what still comes is thrown away, drain_left bytes at most */
	size_t drain_left;
	struct vfs_req *refusal; /* tells more about it; NULL: there is no more */
	/* LIST, NLST, MLSD, STAT */
	struct gh_buf page;
	char *after, *prefix, *where; /* next page; before each name (NLST; STOU: its name); what is listed */
	bool listing;                 /* the first page was there */
};

typedef bool ftp_then_fn(struct ftp_session *s, struct vfs_req *req);

enum ftp_parked { FTP_PARKED_NONE, FTP_PARKED_LINE, FTP_PARKED_OVERLONG };

struct ftp_session {
	struct ftp_hall *hall;
	struct fe_door *door;
	struct gh_loop *loop;
	struct ftp_session *next, **link;
	struct gh_task reap;
	struct gh_ticket *ticket;
	struct gh_peer peer;
	struct sockaddr_storage local; /* of the control connection */
	struct vfs_live reg;           /* in the core's register */
	char *shut;                    /* what is said when nothing runs any more, which ends the session */
	bool doomed;                   /* ended by name: no change of the rules lifts that */
	uint64_t bytes_in, bytes_out;  /* of transfers that have ended */

	/* control connection */
	int fd;
	struct gh_io io;
	struct gh_timer timer; /* login, idle or lingering deadline */
	struct gh_timer delay; /* before the answer to a failed login; the end of an upload, or of draining a refused one */
	struct ftp_reader reader;
	unsigned char raw[1024];
	unsigned raw_pos, raw_len;
	struct gh_buf out;
	size_t out_sent;
	bool dead, pumping, quit;
	bool leaving, parting, lingering; /* a farewell was said; is on its way out; was taken */
	bool ended;                       /* a command has ended since the idle deadline was set */
	bool live; /* the command that runs was let in beside a transfer: its end is not the transfer's */
	enum ftp_parked parked;
	unsigned garbage, overlong, login_failures;

	/* the command that runs */
	bool busy;
	const char *verb;    /* of the table; for the access log */
	int code;            /* of the reply given last */
	struct vfs_req *req; /* pending in the core */
	ftp_then_fn *then;
	void (*drained)(struct ftp_session *s); /* STAT of a folder: the page was read, next */

	/* who and where */
	struct vfs_session *who;
	char *host, *user; /* HOST; USER that waits for its PASS */
	char *cwd;         /* canonical */
	/* modes */
	bool binary, epsv_all;
	uint64_t rest;
	unsigned facts;
	char *rename_from;
	uint64_t rename_id;
	unsigned rename_tries;
	char *later; /* MDTM's argument, while it is asked what it means */

	struct ftp_data data;
	struct ftp_transfer t;
};

/* ---- door.c ---- */
char *ftp_window_get(struct ftp_hall *h); /* NULL: out of memory */
void ftp_window_put(struct ftp_hall *h, char **w);

/* ---- session.c ---- */
void ftp_session_open(struct ftp_hall *h, int fd, const struct gh_peer *peer, struct gh_ticket *ticket);
void ftp_cut(struct ftp_session *s);
/* At the end of every callback: carries out what waits, sends, sets what the loop shall watch. */
void ftp_settle(struct ftp_session *s);
/* The door drains: says goodbye when nothing runs. */
void ftp_session_drain(struct ftp_session *s);
bool ftp_control_gone(const struct ftp_session *s);
/* Submits; fn comes now or later. It returns true when it keeps the request. */
void ftp_submit(struct ftp_session *s, struct vfs_req *req, ftp_then_fn *fn);
/* A request of this session's user; NULL: the reply was given. */
struct vfs_req *ftp_req(struct ftp_session *s, enum vfs_op op);

/* ---- reply.c ---- */
struct ftp_answer {
	int code;
	const char *text;
};
struct ftp_answer ftp_answer_of(enum gh_status st);
/* A line of text; control characters become '?', at most 6 KiB. */
void ftp_say(struct ftp_session *s, int code, const char *fmt, ...) GH_PRINTF(3, 4);
/* "ddd-text" and the lines between; the last one is an ftp_say or ftp_end. */
void ftp_say_first(struct ftp_session *s, int code, const char *fmt, ...) GH_PRINTF(3, 4);
void ftp_say_line(struct ftp_session *s, const char *fmt, ...) GH_PRINTF(2, 3); /* begins with a space */
/* The final reply of the command that runs. */
void ftp_end(struct ftp_session *s, int code, const char *fmt, ...) GH_PRINTF(3, 4);
/* The same with the words for a status; req may be NULL. Ends the session where the reply is 421. */
void ftp_end_status(struct ftp_session *s, enum gh_status st, const struct vfs_req *req);
/* Reply, then the end of the session as soon as it was sent. */
void ftp_bye(struct ftp_session *s, int code, const char *fmt, ...) GH_PRINTF(3, 4);

/* ---- switch.c ---- */
extern const struct vfs_live_ops ftp_live_ops;
/* What the client is told: the administrator's words, or the status's own. As long-lived as what they come from. */
const char *ftp_verdict_text(const struct vfs_verdict *v);
const char *ftp_shut_text(const struct vfs_req *refused);

/* ---- commands.c ---- */
enum {
	FTP_LOGIN = 1, /* only after login */
	FTP_ARG = 2,   /* needs an argument */
	FTP_PATH = 4,  /* the argument is a path: longer lines */
	FTP_LIVE = 8,  /* also while a transfer runs */
	FTP_ODD = 16,  /* the argument may hold control characters (PASS) */
};
struct ftp_command {
	const char *verb;
	unsigned flags;
	void (*run)(struct ftp_session *s, char *arg, size_t len);
};
const struct ftp_command *ftp_command_find(const char *line, size_t len); /* NULL: none of ours */
size_t ftp_line_cap(const char *line, size_t len);
/* Carries out the line in the reader. */
void ftp_dispatch(struct ftp_session *s);
bool ftp_line_is_live(struct ftp_session *s);
void ftp_overlong(struct ftp_session *s);

#define X(verb, flags, fn) void fn(struct ftp_session *s, char *arg, size_t len);
#include "frontends/ftp/commands.tbl.h"
#undef X

/* ---- path.c ---- */
/* Argument relative to the working directory; ".." climbs. */
GH_MUST_CHECK enum gh_status ftp_path(struct ftp_session *s, struct vfs_req *req, const char *arg, size_t len);
GH_MUST_CHECK enum gh_status ftp_dest(struct ftp_session *s, struct vfs_req *req, const char *arg, size_t len);
/* New request with its path; NULL: the reply was given. */
struct vfs_req *ftp_path_req(struct ftp_session *s, enum vfs_op op, const char *arg, size_t len);
/* Copies and NUL-terminates into *to, freeing what was there; false: out of memory. */
bool ftp_keep(char **to, const char *from, size_t len);

/* ---- data.c ---- */
bool ftp_data_set(const struct ftp_session *s); /* was PASV, EPSV, PORT or EPRT given? */
void ftp_data_open(struct ftp_session *s); /* ftp_transfer_connected or ftp_transfer_unconnected comes, now or later */
void ftp_data_close(struct ftp_session *s, bool reset); /* reset: so that a short file can't pass for a whole one */
void ftp_data_fini(struct ftp_session *s);

/* ---- transfer.c ---- */
void ftp_transfer_begin(struct ftp_session *s, enum ftp_kind kind);
void ftp_transfer_connected(struct ftp_session *s);
void ftp_transfer_unconnected(struct ftp_session *s, const char *why);
void ftp_transfer_io(struct ftp_session *s, unsigned ready);
void ftp_transfer_want(struct ftp_session *s, unsigned want);
/* Frees what a transfer holds; no reply. code, for the access line. */
void ftp_transfer_drop(struct ftp_session *s, int code, bool reset);
void ftp_transfer_done(struct ftp_session *s, const char *text);                               /* 226 */
void ftp_transfer_refuse(struct ftp_session *s, enum gh_status st, const struct vfs_req *req); /* before or midway */
void ftp_transfer_broken(struct ftp_session *s, const char *why);                              /* 426 */
/* Sends [pos, len) of p; false: the socket is full, or the transfer has ended. */
void ftp_transfer_sent(struct ftp_session *s, size_t n); /* counts them */
bool ftp_transfer_send(struct ftp_session *s, const char *p, size_t *pos, size_t len);
void ftp_transfer_ready(void *arg); /* for vfs_content_pull and vfs_upload_push */

void ftp_retr_move(struct ftp_session *s);
void ftp_stor_move(struct ftp_session *s);
void ftp_stor_push(struct ftp_session *s);
void ftp_stor_drained(struct ftp_session *s);
void ftp_list_move(struct ftp_session *s);
void ftp_list_stat(struct ftp_session *s, const char *arg, size_t len); /* STAT PATH: over the control connection */

#endif
