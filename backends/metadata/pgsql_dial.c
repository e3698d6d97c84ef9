/* The PostgreSQL driver: making one connection, and waiting for a socket.
 *
 * libpq would go through the hosts of a conninfo by itself, with connect_timeout for each of their addresses, but only in a call
 * that nothing can end. So it is asked for one address after the other, and what it waits for is waited for here, where the end of
 * the program is seen. What is left to it, and blocks, is nothing; but names are looked up by getaddrinfo, which takes as long as
 * the resolver does.
 */
#include "backends/metadata/pgsql.h"

#include "core/base/clock.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ADDRESSES_MAX 16 /* of one host */

/* ---- waiting ---- */

bool pg_wait(struct db *db, int fd, short events, short *ret, uint64_t until_ns)
{
	const uint64_t begun = gh_mono_ns();

	for (uint64_t now = begun;; now = gh_mono_ns()) {
		const uint64_t since = hurry_since(db->hurry);
		struct pollfd p[2] = { { .fd = fd, .events = events },
				       { .fd = db->hurry && !since ? db->hurry->fd : -1, .events = POLLIN } };
		uint64_t end = until_ns;

		if (since) {
			const uint64_t last = atomic_load(&db->given_up) ? now : (since > begun ? since : begun) + HURRY_MS * GH_MS_NS;

			end = end && end < last ? end : last;
		}
		if (poll(p, 2, !end ? -1 : end > now ? (int)((end - now) / GH_MS_NS) + 1 : 0) > 0 && p[0].revents) {
			*ret = p[0].revents;
			return true;
		}
		if (end && gh_mono_ns() >= end) {
			if (since)
				atomic_store(&db->given_up, true);
			return false;
		}
	}
}

/* ---- which hosts there are ---- */

static const char *option(const PQconninfoOption *o, const char *keyword)
{
	for (; o && o->keyword; o++)
		if (!strcmp(o->keyword, keyword))
			return o->val ? o->val : "";
	return "";
}

/* host, hostaddr and port: NULL or "", what the conninfo says, or libpq's default. */
static PGconn *start(const struct db *db, const char *host, const char *hostaddr, const char *port)
{
	char connect_s[16], tcp_ms[16];
	/* What stands before dbname can be said otherwise in the conninfo; what stands behind it cannot. */
	const char *const keys[] = { "connect_timeout", "tcp_user_timeout", "keepalives_idle", "keepalives_interval",
				     "keepalives_count", "application_name", "target_session_attrs", "dbname",
				     "client_encoding", "host", "hostaddr", "port", NULL };
	const char *const values[] = { connect_s, tcp_ms, "10", "5", "3", "gatehouse", db->read_only ? "any" : "read-write",
				       db->conninfo, "UTF8", host, hostaddr, port, NULL };

	snprintf(connect_s, sizeof(connect_s), "%u", (db->connect_ms + 999) / 1000);
	snprintf(tcp_ms, sizeof(tcp_ms), "%u", db->statement_ms);
	return PQconnectStartParams(keys, values, 1);
}

/* The part of a list with commas that is number i, or the only one. false: there is none, or it is empty. */
static bool part(const char *list, unsigned i, char *out, size_t size)
{
	const char *end;

	if (!strchr(list, ','))
		i = 0;
	for (; i && list; i--) {
		list = strchr(list, ',');
		list = list ? list + 1 : NULL;
	}
	if (!list)
		return false;
	end = strchrnul(list, ',');
	if (end == list || (size_t)(end - list) >= size)
		return false;
	memcpy(out, list, (size_t)(end - list));
	out[end - list] = '\0';
	return true;
}

static unsigned parts(const char *list)
{
	unsigned n = *list ? 1 : 0;

	for (; *list; list++)
		n += *list == ',';
	return n;
}

/* As libpq reads them: from the conninfo, a service file or the environment. So it is libpq that is asked. */
bool pg_hosts(struct db *db)
{
	PGconn *h = start(db, NULL, NULL, NULL);
	PQconninfoOption *o = h ? PQconninfo(h) : NULL;
	const char *host = option(o, "host"), *hostaddr = option(o, "hostaddr"), *order = option(o, "load_balance_hosts");
	const long seconds = strtol(option(o, "connect_timeout"), NULL, 10);
	struct pg_hosts *list = &db->hosts;
	char text[256];

	list->host = strdup(host);
	list->hostaddr = strdup(hostaddr);
	list->port = strdup(option(o, "port"));
	list->count = *hostaddr ? parts(hostaddr) : parts(host);
	list->count = list->count ? list->count : 1;
	list->wait_ms = seconds > 0 && seconds < 3600 ? (uint32_t)seconds * 1000u : db->connect_ms;
	/* What is left out in a list is libpq's default, and cannot be said; and another order is libpq's to choose. */
	list->whole = !strcmp(option(o, "target_session_attrs"), "prefer-standby") || (*order && strcmp(order, "disable") != 0);
	for (unsigned i = 0; list->host && list->hostaddr && list->port && i < list->count && list->count > 1; i++)
		list->whole |= (*host && !part(host, i, text, sizeof(text))) ||
			       (*hostaddr && !part(hostaddr, i, text, sizeof(text))) ||
			       (*list->port && !part(list->port, i, text, sizeof(text)));
	PQconninfoFree(o);
	PQfinish(h);
	return list->host && list->hostaddr && list->port;
}

void pg_hosts_free(struct db *db)
{
	free(db->hosts.host);
	free(db->hosts.hostaddr);
	free(db->hosts.port);
}

/* ---- one address ---- */

static void add_why(char *why, const char *text)
{
	const size_t len = strlen(why);

	if (len + 2 < DB_ERR_MAX && *text)
		snprintf(why + len, DB_ERR_MAX - len, "%s%s", len ? "\n" : "", text);
	for (char *end = why + strlen(why); end > why && end[-1] == '\n'; end--)
		end[-1] = '\0';
}

static PGconn *attempt(struct db *db, const char *host, const char *hostaddr, const char *port, uint32_t wait_ms, char *why)
{
	const uint64_t until_ns = gh_mono_ns() + wait_ms * GH_MS_NS;
	PGconn *h = start(db, host, hostaddr, port);
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;
	char late[256];
	short seen;

	while (PQstatus(h) != CONNECTION_BAD && (want == PGRES_POLLING_READING || want == PGRES_POLLING_WRITING)) {
		if (!pg_wait(db, PQsocket(h), want == PGRES_POLLING_READING ? POLLIN : POLLOUT, &seen, until_ns)) {
			snprintf(late, sizeof(late), "connection to server at \"%.100s\", port %.10s failed: it does not answer",
				 PQhost(h), PQport(h));
			add_why(why, late);
			return h;
		}
		want = PQconnectPoll(h);
	}
	if (PQstatus(h) != CONNECTION_OK)
		add_why(why, PQerrorMessage(h));
	return h;
}

/* ---- all of them ---- */

/* Is that a name, of which there may be several addresses? */
static bool to_be_looked_up(const char *host, const char *hostaddr)
{
	return !*hostaddr && *host && *host != '/' && *host != '@';
}

/* A host with all its addresses. */
static PGconn *attempt_host(struct db *db, const char *host, const char *hostaddr, const char *port, char *why)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	char number[NI_MAXHOST];
	PGconn *h = NULL;
	unsigned tried = 0;

	if (to_be_looked_up(host, hostaddr) && getaddrinfo(host, NULL, &hints, &found))
		found = NULL; /* libpq says it better */
	for (const struct addrinfo *a = found; a && tried < ADDRESSES_MAX && PQstatus(h) != CONNECTION_OK; a = a->ai_next) {
		if (getnameinfo(a->ai_addr, a->ai_addrlen, number, sizeof(number), NULL, 0, NI_NUMERICHOST))
			continue;
		PQfinish(h);
		h = attempt(db, host, number, port, db->hosts.wait_ms, why);
		tried++;
	}
	if (found)
		freeaddrinfo(found);
	return tried ? h : attempt(db, host, hostaddr, port, db->hosts.wait_ms, why);
}

PGconn *pg_dial(struct db *db, char *why)
{
	const struct pg_hosts *list = &db->hosts;
	PGconn *h = NULL;

	why[0] = '\0';
	if (list->whole) /* with the time of all hosts together */
		return attempt(db, NULL, NULL, NULL, list->wait_ms * list->count, why);
	for (unsigned i = 0; i < list->count && PQstatus(h) != CONNECTION_OK; i++) {
		char host[256] = "", hostaddr[256] = "", port[256] = "";

		(void)part(list->host, i, host, sizeof(host));
		(void)part(list->hostaddr, i, hostaddr, sizeof(hostaddr));
		(void)part(list->port, i, port, sizeof(port));
		PQfinish(h);
		h = attempt_host(db, host, hostaddr, port, why);
	}
	return h;
}
