/* The administrator's ways in, apart from the doors that users come through: the socket DIR/admin.sock, over which the
 * command line runs control operations (core/control.h), and the admin listener with probes and metrics. Both have
 * threads of their own and no part in the data loops: they answer when those are in trouble.
 */
#ifndef GH_FRONTENDS_ADMIN_ADMIN_H
#define GH_FRONTENDS_ADMIN_ADMIN_H

#include "core/core.h"

/* ---- admin.sock ----
 * One line of JSON in, one out, any number of times on a connection:
 *     {"op": "tenant.add", "args": {"name": "acme"}}
 *     {"ok": true, "result": {...}}     {"ok": false, "status": "exists", "message": "..."}
 * A caller is let in when the kernel says that it is root or the user whom the server runs as (SO_PEERCRED).
 */
#define ADMIN_LINE_MAX (1u << 20)

struct admin_socket;
struct control_call; /* core/control.h */

struct admin_socket_config {
	const char *folder;       /* the data directory; the socket is FOLDER/admin.sock */
	struct gh_core *core;
	unsigned threads;         /* calls at once; 0 = 4 */
	uint32_t line_timeout_ms; /* for a whole request line, and for a reply to be taken; 0 = 10 s */
	/* runs one operation: control_run, or a test's own */
	enum gh_status (*run)(const char *op, struct control_call *call);
};

/* The caller holds the lock of the data directory: a socket that lies there is a dead one's and is replaced. err: 256
 * bytes. */
GH_MUST_CHECK enum gh_status admin_socket_open(const struct admin_socket_config *cfg, struct admin_socket **ret, char *err);
/* Takes no new calls, waits until those that run have ended, but not longer than wait_ms (then false, and the rest stays
 * as it is: the process is about to end). Removes the socket. Leaves NULL. */
bool admin_socket_close(struct admin_socket **s, unsigned wait_ms);

/* Client side. GH_NOTFOUND: nobody serves FOLDER. fd is blocking. err: 256 bytes. */
GH_MUST_CHECK enum gh_status admin_socket_connect(const char *folder, int *ret_fd, char *err);

/* ---- admin listener ----
 * HTTP with a loop, threads and descriptors of its own:
 *   /            the console (frontends/admin/console)     /healthz /readyz   probes
 *   /admin/v1/   the API: every control operation          /metrics           Prometheus text
 */
struct admin_listener;

struct admin_listener_config {
	const char *address; /* as gh_addr_parse */
	struct gh_core *core;
	const char *(*not_ready)(struct gh_core *core);
	enum gh_status (*run)(const char *op, struct control_call *call); /* control_run, or a test's own */
	const char *host_names;            /* the console is also reached by these; comma between them; NULL = none */
	const struct gh_nets *trusted;     /* gh_doorstep_limits; used by open only */
	uint64_t session_idle_ms, session_ms; /* 0 = 30 minutes, 12 hours */
	unsigned threads;                  /* calls at once; 0 = 4 */
};

/* ret_addr (64 bytes) gets the address with the real port. err: 256 bytes. */
GH_MUST_CHECK enum gh_status admin_listener_open(const struct admin_listener_config *cfg, char *ret_addr,
						 struct admin_listener **ret, char *err);
/* From now on /readyz says 503. Any thread. */
void admin_listener_drain(struct admin_listener *l);
/* Takes no new calls, waits for those that run, but not longer than wait_ms (then false, and the rest stays as it is: the
 * process is about to end). Leaves NULL; accepts NULL inside. */
bool admin_listener_close(struct admin_listener **l, unsigned wait_ms);

#endif
