/* The PostgreSQL driver: telling other gateways of commits, and hearing of theirs, on a thread and a connection of its own.
 *
 * NOTIFY makes commits wait for each other, so it is never part of one: it goes out afterwards, in a transaction of its own
 * that nobody waits for, at once after silence and then every PAUSE_MS at most. It says only that there is something; what it
 * is stands in the event log. Words (meta_say) go out with it, as notes with a text. A note that is lost, with a connection or a server, costs time and nothing else: whoever waits
 * looks by itself as well.
 *
 * Nothing here blocks but connecting; while that fails it is tried again, with a pause. So this thread is also the one that
 * finds out when a server that was missed (pg_miss) can be reached again, and says so (feed_bell_back): whoever keeps away
 * from it meanwhile, as a circuit breaker does for longer and longer, need not wait to the end.
 */
#include "backends/metadata/pgsql.h"

#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/hash.h"
#include "core/base/log.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PAUSE_MS 50
#define AGAIN_MS 250
#define ANSWER_MS 5000 /* to one NOTIFY; then another connection is made */
#define WORDS_MAX 16   /* at a time; what is said beyond that is not heard */

/* stop and poked are anybody's, words under their lock; the rest is the thread's. */
struct pg_listen {
	struct db *db;
	struct feed_bell *bell;
	pthread_t thread;
	int wake; /* eventfd */
	atomic_bool stop, poked;
	pthread_mutex_t words_lock;
	unsigned word_count;
	char words[WORDS_MAX][META_WORD_MAX + 1];
	uint32_t said_count;
	PGconn *h;
	char channel[32];
	bool owed; /* a NOTIFY */
	uint64_t next_ns; /* when one may go out */
	uint64_t look_ns; /* when a server that was missed may be looked for */
	uint64_t asked_ns; /* since when an answer is waited for; 0: it is not */
	bool said; /* that there is no connection */
};

static void drop(struct pg_listen *l, const char *why)
{
	char line[DB_ERR_MAX], quoted[DB_ERR_MAX];

	pg_one_line(line, sizeof(line), why);
	if (!l->said && !atomic_load(&l->stop))
		gh_log(GH_LOG_WARN, "meta.listen_lost", "database=%s text=%s hint=\"changes of other gateways are looked for"
		       " every half second\"", l->db->label, gh_log_quote(quoted, sizeof(quoted), line));
	l->said = true;
	PQfinish(l->h);
	l->h = NULL;
	l->asked_ns = 0;
	l->next_ns = gh_mono_ns() + AGAIN_MS * GH_MS_NS;
}

/* Several commands, and what the last of them says, within ANSWER_MS. */
static bool run_now(struct pg_listen *l, const char *sql, char *ret, size_t size)
{
	const uint64_t until_ns = gh_mono_ns() + ANSWER_MS * GH_MS_NS;
	bool ok = PQsendQuery(l->h, sql) != 0, over = false;
	PGresult *r;
	short seen;

	while (ok && !over) {
		const int unsent = PQflush(l->h);

		if (unsent < 0)
			return false;
		if (PQisBusy(l->h)) {
			ok = pg_wait(l->db, PQsocket(l->h), (short)(POLLIN | (unsent ? POLLOUT : 0)), &seen, until_ns) &&
			     PQconsumeInput(l->h);
			continue;
		}
		r = PQgetResult(l->h);
		over = !r;
		ok = over || PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_COMMAND_OK;
		if (!over && ok && ret)
			snprintf(ret, size, "%s", PQntuples(r) && !PQgetisnull(r, 0, 0) ? PQgetvalue(r, 0, 0) : "");
		PQclear(r);
	}
	return ok;
}

/* Shards may be schemas of one database; a channel is the database's, and its name is short. */
static void name_channel(struct pg_listen *l, const char *schema)
{
	static const struct gh_sipkey fixed = { 0x6761746568617573ull, 0x6368616e6e656c73ull };

	snprintf(l->channel, sizeof(l->channel), "gatehouse_%016llx",
		 (unsigned long long)gh_siphash(&fixed, schema, strlen(schema)));
}

static void found(struct pg_listen *l)
{
	if (!atomic_exchange(&l->db->missed, false))
		return;
	gh_log(GH_LOG_INFO, "meta.reachable", "database=%s", l->db->label);
	feed_bell_back(l->bell);
}

static void connect_again(struct pg_listen *l)
{
	char schema[128] = "", sql[64], why[DB_ERR_MAX];
	bool ok;

	l->h = pg_dial(l->db, why);
	ok = PQstatus(l->h) == CONNECTION_OK && PQsetnonblocking(l->h, 1) == 0 &&
	     run_now(l, "SET application_name = 'gatehouse listen'; SET synchronous_commit = off;"
		     " SET statement_timeout = 5000; SELECT current_schema()", schema, sizeof(schema));
	if (ok) {
		name_channel(l, schema);
		snprintf(sql, sizeof(sql), "LISTEN %s", l->channel);
		ok = run_now(l, sql, NULL, 0);
	}
	if (!ok) {
		drop(l, *why ? why : *PQerrorMessage(l->h) ? PQerrorMessage(l->h) : "no answer");
		return;
	}
	if (l->said)
		gh_log(GH_LOG_INFO, "meta.listening", "database=%s", l->db->label);
	l->said = false;
	feed_bell_ring(l->bell, false); /* who knows what was missed */
	found(l);
}

/* This thread's connection may be well, or wait for an answer: what counts is whether another can be made. */
static void look(struct pg_listen *l)
{
	char why[DB_ERR_MAX];
	PGconn *h = pg_dial(l->db, why);

	if (PQstatus(h) == CONNECTION_OK)
		found(l);
	PQfinish(h);
	l->look_ns = gh_mono_ns() + AGAIN_MS * GH_MS_NS;
}

/* The answer to a NOTIFY, and notes of others. */
static void take_in(struct pg_listen *l)
{
	bool others = false;
	PGnotify *n;
	PGresult *r;

	if (!PQconsumeInput(l->h)) {
		drop(l, PQerrorMessage(l->h));
		return;
	}
	while (l->asked_ns && !PQisBusy(l->h)) {
		r = PQgetResult(l->h);
		if (!r) {
			l->asked_ns = 0;
		} else if (PQresultStatus(r) == PGRES_FATAL_ERROR) {
			PQclear(r);
			drop(l, PQerrorMessage(l->h));
			return;
		}
		PQclear(r);
	}
	while ((n = PQnotifies(l->h))) {
		const char *word = strchr(n->extra, ' ');

		if (n->be_pid != PQbackendPID(l->h)) {
			others = true;
			if (word)
				feed_bell_word(l->bell, word + 1);
		}
		PQfreemem(n);
	}
	if (others)
		feed_bell_ring(l->bell, false);
}

/* The server lets notes through that are alike once; so each has a number of its own. */
static void add_words(struct pg_listen *l, char *sql, size_t size)
{
	size_t n = strlen(sql);

	pthread_mutex_lock(&l->words_lock);
	for (unsigned i = 0; i < l->word_count; i++)
		n += (size_t)snprintf(sql + n, size - n, "; NOTIFY %s, '%u %s'", l->channel, l->said_count++, l->words[i]);
	l->word_count = 0;
	pthread_mutex_unlock(&l->words_lock);
}

static void tell(struct pg_listen *l, uint64_t now)
{
	char sql[64 + WORDS_MAX * (META_WORD_MAX + 64)];

	l->owed = false;
	l->next_ns = now + PAUSE_MS * GH_MS_NS;
	snprintf(sql, sizeof(sql), "NOTIFY %s", l->channel);
	add_words(l, sql, sizeof(sql));
	if (!PQsendQuery(l->h, sql)) {
		l->owed = true;
		drop(l, PQerrorMessage(l->h));
		return;
	}
	l->asked_ns = now;
}

static int until_ms(uint64_t then, uint64_t now)
{
	return then > now ? (int)((then - now) / GH_MS_NS) + 1 : 0;
}

static int wait_ms(const struct pg_listen *l, uint64_t now)
{
	int ms = l->asked_ns ? ANSWER_MS : -1;

	if (!l->h || (l->owed && !l->asked_ns))
		return until_ms(l->next_ns, now);
	if (atomic_load(&l->db->missed) && (ms < 0 || until_ms(l->look_ns, now) < ms))
		ms = until_ms(l->look_ns, now);
	return ms;
}

static void pass(struct pg_listen *l)
{
	struct pollfd p[2] = { { .fd = l->wake, .events = POLLIN }, { .fd = -1 } };
	uint64_t now = gh_mono_ns(), n;

	if (!l->h && now >= l->next_ns)
		connect_again(l);
	now = gh_mono_ns();
	if (l->h && atomic_load(&l->db->missed) && now >= l->look_ns)
		look(l);
	now = gh_mono_ns();
	if (l->h && l->owed && !l->asked_ns && now >= l->next_ns)
		tell(l, now);
	if (l->h) {
		p[1].fd = PQsocket(l->h);
		p[1].events = POLLIN | (PQflush(l->h) == 1 ? POLLOUT : 0);
	}
	if (poll(p, 2, wait_ms(l, now)) < 0)
		return;
	if (p[0].revents && read(l->wake, &n, sizeof(n)) > 0)
		l->owed |= atomic_exchange(&l->poked, false);
	if (l->h && p[1].revents)
		take_in(l);
	if (l->h && l->asked_ns && gh_mono_ns() - l->asked_ns > ANSWER_MS * GH_MS_NS)
		drop(l, "no answer");
}

static void *listen_main(void *arg)
{
	struct pg_listen *l = arg;

	pthread_setname_np(pthread_self(), "listen");
	while (!atomic_load(&l->stop))
		pass(l);
	PQfinish(l->h);
	return NULL;
}

enum gh_status pg_listen(struct db *db, struct feed_bell *bell)
{
	struct pg_listen *l = calloc(1, sizeof(*l));

	if (!l)
		return GH_NOMEM;
	l->db = db;
	l->bell = bell;
	pthread_mutex_init(&l->words_lock, NULL);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake < 0 || pthread_create(&l->thread, NULL, listen_main, l)) {
		if (l->wake >= 0)
			close(l->wake);
		pthread_mutex_destroy(&l->words_lock);
		free(l);
		return GH_NOMEM;
	}
	db->listen = l;
	return GH_OK;
}

static void wake(struct pg_listen *l)
{
	const uint64_t one = 1;

	if (write(l->wake, &one, sizeof(one)) < 0) /* full: it is awake */
		return;
}

void pg_poke(struct db *db)
{
	struct pg_listen *l = db->listen;

	if (l && !atomic_exchange(&l->poked, true))
		wake(l);
}

static bool may_be_said(const char *word)
{
	return strlen(word) <= META_WORD_MAX &&
	       !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -")];
}

void pg_say(struct db *db, const char *word)
{
	struct pg_listen *l = db->listen;

	GH_ASSERT(may_be_said(word)); /* it stands in a statement */
	if (!l)
		return;
	pthread_mutex_lock(&l->words_lock);
	if (l->word_count < WORDS_MAX)
		snprintf(l->words[l->word_count++], META_WORD_MAX + 1, "%s", word);
	pthread_mutex_unlock(&l->words_lock);
	pg_poke(db);
}

void pg_miss(struct db *db)
{
	if (!atomic_exchange(&db->missed, true) && db->listen)
		wake(db->listen);
}

void pg_listen_end(struct db *db)
{
	struct pg_listen *l = db->listen;

	if (!l)
		return;
	atomic_store(&l->stop, true);
	wake(l);
	pthread_join(l->thread, NULL);
	close(l->wake);
	pthread_mutex_destroy(&l->words_lock);
	free(l);
	db->listen = NULL;
}
