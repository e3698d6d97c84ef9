/* The PostgreSQL driver: what is configured, making connections, the pool of readers, the writer.
 *
 * A connection that the server has dropped is noticed when it is handed out, by a look at its socket, and replaced. While
 * none can be made, one of those who ask tries, after a pause that doubles up to RETRY_MAX_MS, less a random part, so that
 * many gateways do not come all at once. The others wait for that pause to end, no longer.
 */
#include "backends/metadata/pgsql.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_READERS 8
#define SERVER_MIN 140000 /* recovers from lost clients by itself (client_connection_check_interval) */
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 250 /* a server that comes back is found out soon; one try is cheap */
#define SAY_EVERY_NS (5 * GH_S_NS)
#define CLOCK_EVERY_NS (60 * GH_S_NS)
#define CLOCK_SQL "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text"

/* ---- the conninfo ---- */

static const char *option(const PQconninfoOption *o, const char *keyword)
{
	for (; o && o->keyword; o++)
		if (!strcmp(o->keyword, keyword))
			return o->val;
	return NULL;
}

enum gh_status meta_conninfo_check(const char *conninfo, char *err)
{
	char *text = NULL, line[256];
	PQconninfoOption *o = PQconninfoParse(conninfo, &text);
	const char *dbname = option(o, "dbname");
	enum gh_status st = o && ((dbname && *dbname) || option(o, "service")) ? GH_OK : GH_INVALID;

	pg_one_line(line, sizeof(line), text);
	if (!o)
		snprintf(err, DB_ERR_MAX, "%s", text ? line : "out of memory");
	else if (st != GH_OK)
		snprintf(err, DB_ERR_MAX, "it names no database; give dbname=NAME");
	PQconninfoFree(o);
	PQfreemem(text);
	return st;
}

/* "NAME at HOSTS": never the password. */
static char *label_of(const char *conninfo)
{
	PQconninfoOption *o = PQconninfoParse(conninfo, NULL);
	const char *dbname = option(o, "dbname"), *host = option(o, "host"), *port = option(o, "port");
	char text[256];

	snprintf(text, sizeof(text), "%s%s%s%s%s", dbname ? dbname : "postgresql", host ? "@" : "", host ? host : "",
		 host && port ? ":" : "", host && port ? port : "");
	PQconninfoFree(o);
	return strdup(text);
}

const char *pg_label(struct db *db)
{
	return db->label;
}

/* ---- the clock ---- */

/* Taken if it is nearly as exact as the last one, or that is old. */
static void clock_set(struct db *db, int64_t server_us, uint64_t sent_ns, uint64_t got_ns)
{
	const int64_t slack_us = (int64_t)((got_ns - sent_ns) / 1000);

	pthread_mutex_lock(&db->lock);
	if (!db->clock_at_ns || slack_us <= 2 * db->clock_slack_us || got_ns - db->clock_at_ns > CLOCK_EVERY_NS) {
		db->clock_us = server_us - (int64_t)(sent_ns / 2 / 1000 + got_ns / 2 / 1000);
		db->clock_slack_us = slack_us;
		db->clock_at_ns = got_ns;
	}
	pthread_mutex_unlock(&db->lock);
}

static enum gh_status clock_ask(struct pg_conn *c)
{
	const uint64_t sent_ns = gh_mono_ns();
	PGresult *r = NULL;
	enum gh_status st = pg_simple(c, CLOCK_SQL, &r);

	if (st == GH_OK && PQntuples(r) == 1)
		clock_set(c->db, strtoll(PQgetvalue(r, 0, 0), NULL, 10), sent_ns, gh_mono_ns());
	PQclear(r);
	return st;
}

int64_t pg_now_us(struct db_conn *base)
{
	struct db *db = ((struct pg_conn *)base)->db;
	int64_t us;

	pthread_mutex_lock(&db->lock);
	us = db->clock_us;
	pthread_mutex_unlock(&db->lock);
	return us + (int64_t)(gh_mono_ns() / 1000);
}

/* ---- one connection ---- */

static void conn_free(struct pg_conn **ret)
{
	struct pg_conn *c = *ret;

	if (!c)
		return;
	pg_stmts_free(c);
	PQfinish(c->h);
	free(c->expected);
	free(c);
	*ret = NULL;
}

/* Plans are made once and for indexes: the statements are, and a table that was empty when a plan was made will not be.
 * What fsck asks reads everything and takes its time. */
static enum gh_status session_set(struct pg_conn *c)
{
	const struct db *db = c->db;
	char sql[512];

	snprintf(sql, sizeof(sql),
		 "SET statement_timeout = %u; SET lock_timeout = %u; SET idle_in_transaction_session_timeout = %u;"
		 " SET synchronous_commit = on; SET client_connection_check_interval = 1000; SET client_min_messages = error;"
		 " SET plan_cache_mode = force_generic_plan; SET enable_seqscan = %s; SET jit = off;"
		 " SET default_transaction_read_only = %s; SET bytea_output = hex",
		 db->read_only ? 0 : db->statement_ms, db->lock_ms, db->read_only ? 0 : db->statement_ms,
		 db->read_only ? "on" : "off", db->read_only ? "on" : "off");
	return pg_simple(c, sql, NULL);
}

/* What an administrator does about a connection that could not be made. The words are libpq's own, not the server's. */
static const char *what_helps(PGconn *h, const char *why)
{
	if (strstr(why, "read-only") || strstr(why, "hot standby"))
		return "it takes no writes: promote it, or name the primary in postgresql.conninfo";
	if (PQconnectionNeedsPassword(h))
		return "give a passfile or a password in postgresql.conninfo";
	if (PQconnectionUsedPassword(h))
		return "check user, password and passfile in postgresql.conninfo";
	return "check that the server runs, and postgresql.conninfo";
}

static enum gh_status conn_check(struct pg_conn *c, const char *why, char *err)
{
	const char *encoding;

	if (PQstatus(c->h) != CONNECTION_OK) {
		char line[300];

		pg_one_line(line, sizeof(line), why);
		snprintf(err, DB_ERR_MAX, "cannot open metadata database %.80s: %.290s; %s", c->db->label, line,
			 what_helps(c->h, why));
		return GH_DATABASE;
	}
	encoding = PQparameterStatus(c->h, "server_encoding");
	if (PQserverVersion(c->h) < SERVER_MIN) {
		snprintf(err, DB_ERR_MAX, "metadata database %.100s is on PostgreSQL %d; 14 or newer is needed", c->db->label,
			 PQserverVersion(c->h) / 10000);
		return GH_UNSUPPORTED;
	}
	if (!encoding || strcmp(encoding, "UTF8")) {
		snprintf(err, DB_ERR_MAX, "metadata database %.100s has encoding %.40s; make one with ENCODING 'UTF8'",
			 c->db->label, encoding ? encoding : "unknown");
		return GH_UNSUPPORTED;
	}
	return GH_OK;
}

static enum gh_status conn_open(struct db *db, struct pg_conn **ret, char *err)
{
	struct pg_conn *c = calloc(1, sizeof(*c));
	char why[DB_ERR_MAX];
	enum gh_status st;

	if (!c) {
		snprintf(err, DB_ERR_MAX, "out of memory");
		return GH_NOMEM;
	}
	c->base.drv = &db_pgsql;
	c->db = db;
	c->h = pg_dial(db, why);
	c->deadline_ns = gh_mono_ns() + db->connect_ms * GH_MS_NS;
	st = conn_check(c, why, err);
	if (st == GH_OK) {
		if (PQsetnonblocking(c->h, 1))
			st = pg_lose(c, "connect", PQerrorMessage(c->h));
		if (st == GH_OK)
			st = session_set(c);
		if (st == GH_OK)
			st = clock_ask(c);
		if (st != GH_OK)
			snprintf(err, DB_ERR_MAX, "metadata database %.100s does not answer", db->label);
	}
	if (st != GH_OK) {
		conn_free(&c);
		return st;
	}
	*ret = c;
	return GH_OK;
}

/* ---- when to try again ---- */

static bool may_dial(struct db *db, uint64_t *ret_wait_ns)
{
	const uint64_t now = gh_mono_ns();
	bool ok;

	pthread_mutex_lock(&db->lock);
	ok = now >= db->retry_at_ns;
	*ret_wait_ns = ok ? 0 : db->retry_at_ns - now;
	if (ok && db->retry_ms) /* one at a time, as long as none came through */
		db->retry_at_ns = now + db->connect_ms * GH_MS_NS;
	pthread_mutex_unlock(&db->lock);
	return ok;
}

static void dialled(struct db *db, bool ok)
{
	uint32_t part;

	gh_random(&part, sizeof(part));
	pthread_mutex_lock(&db->lock);
	if (ok) {
		db->retry_ms = 0;
		db->retry_at_ns = 0;
	} else {
		db->retry_ms = db->retry_ms ? db->retry_ms * 2 : RETRY_MIN_MS;
		if (db->retry_ms > RETRY_MAX_MS)
			db->retry_ms = RETRY_MAX_MS;
		db->retry_at_ns = gh_mono_ns() + (db->retry_ms - part % (db->retry_ms / 2)) * GH_MS_NS;
	}
	pthread_mutex_unlock(&db->lock);
	if (!ok)
		pg_miss(db);
}

/* The same again and again is one line in SAY_EVERY_NS. */
static bool is_news(struct db *db, const char *err)
{
	const uint64_t now = gh_mono_ns();
	bool news;

	pthread_mutex_lock(&db->lock);
	news = !db->said_ns || now - db->said_ns >= SAY_EVERY_NS || strcmp(db->said, err);
	if (news) {
		db->said_ns = now;
		snprintf(db->said, sizeof(db->said), "%s", err);
	}
	pthread_mutex_unlock(&db->lock);
	return news;
}

static enum gh_status conn_again(struct db *db, struct pg_conn **ret)
{
	char err[DB_ERR_MAX] = "", quoted[DB_ERR_MAX];
	enum gh_status st;
	uint64_t wait_ns;

	if (!may_dial(db, &wait_ns)) {
		const uint64_t most_ns = RETRY_MAX_MS * GH_MS_NS;

		nanosleep(&(struct timespec){ .tv_nsec = (long)(wait_ns < most_ns ? wait_ns : most_ns) }, NULL);
		if (!may_dial(db, &wait_ns))
			return GH_DATABASE;
	}
	st = conn_open(db, ret, err);
	dialled(db, st == GH_OK);
	if (st != GH_OK && is_news(db, err))
		gh_log(GH_LOG_ERROR, "meta.unreachable", "text=%s", gh_log_quote(quoted, sizeof(quoted), err));
	return st == GH_UNSUPPORTED ? GH_DATABASE : st;
}

enum gh_status pg_redial(struct pg_conn *c)
{
	struct pg_conn *other;
	enum gh_status st = conn_again(c->db, &other);
	PGconn *h;

	if (st != GH_OK)
		return st;
	h = c->h;
	c->h = other->h;
	other->h = h;
	c->lost = false;
	c->expected_at = c->expected_count = 0;
	pg_stmts_forget(c);
	conn_free(&other);
	return GH_OK;
}

/* Has the server let go of it meanwhile? What it said last and the end of the stream are there to be read then. */
static bool conn_alive(struct pg_conn *c)
{
	struct pollfd p = { .fd = PQsocket(c->h), .events = POLLIN };

	for (unsigned i = 0; i < 8 && !c->lost && poll(&p, 1, 0) > 0; i++)
		c->lost = !PQconsumeInput(c->h) || PQstatus(c->h) == CONNECTION_BAD;
	return !c->lost;
}

/* ---- the pool ---- */

enum gh_status pg_reader(struct db *db, uint64_t deadline_ns, struct db_conn **ret)
{
	struct timespec until = { (time_t)(deadline_ns / GH_S_NS), (long)(deadline_ns % GH_S_NS) };
	enum gh_status st = GH_OK;
	struct pg_conn *c;

	if (deadline_ns && deadline_ns <= gh_mono_ns())
		return GH_DEADLINE; /* rather than begin what has to be given up, and a connection with it */
	pthread_mutex_lock(&db->lock);
	while (!db->idle && db->open_readers >= db->reader_max && st == GH_OK) {
		if (!deadline_ns)
			pthread_cond_wait(&db->freed, &db->lock);
		else if (pthread_cond_clockwait(&db->freed, &db->lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT)
			st = GH_DEADLINE;
	}
	c = db->idle;
	if (c)
		db->idle = c->next;
	else if (db->open_readers < db->reader_max)
		db->open_readers++;
	else {
		pthread_mutex_unlock(&db->lock);
		return st;
	}
	pthread_mutex_unlock(&db->lock);
	st = GH_OK;
	if (c && !conn_alive(c))
		conn_free(&c);
	if (!c)
		st = conn_again(db, &c);
	if (st != GH_OK) {
		pg_reader_done(db, NULL);
		return st;
	}
	c->fresh = true;
	c->callers = deadline_ns != 0;
	c->deadline_ns = deadline_ns;
	if (!deadline_ns && !db->read_only)
		c->deadline_ns = gh_mono_ns() + 6 * db->statement_ms * GH_MS_NS;
	*ret = &c->base;
	return GH_OK;
}

/* NULL, or lost: its place is free. */
void pg_reader_done(struct db *db, struct db_conn *base)
{
	struct pg_conn *c = (struct pg_conn *)base;

	if (c && c->lost)
		conn_free(&c);
	pthread_mutex_lock(&db->lock);
	if (c) {
		c->next = db->idle;
		db->idle = c;
	} else {
		db->open_readers--;
	}
	pthread_cond_signal(&db->freed);
	pthread_mutex_unlock(&db->lock);
}

/* ---- the writer ---- */

enum gh_status pg_writer(struct db *db, struct db_conn **ret)
{
	if (db->writer && !db->writer->begun && !conn_alive(db->writer))
		conn_free(&db->writer);
	if (!db->writer) {
		enum gh_status st = conn_again(db, &db->writer);

		if (st != GH_OK)
			return st;
	}
	db->writer->deadline_ns = gh_mono_ns() + db->statement_ms * GH_MS_NS;
	*ret = &db->writer->base;
	return GH_OK;
}

/* What is well stays: a transaction that failed was rolled back. */
void pg_writer_reset(struct db *db)
{
	if (db->writer && (db->writer->lost || PQtransactionStatus(db->writer->h) != PQTRANS_IDLE))
		conn_free(&db->writer);
}

void pg_writer_idle(struct db *db)
{
	const uint64_t now = gh_mono_ns();

	if (!db->writer || db->writer->lost)
		return;
	db->writer->deadline_ns = now + db->statement_ms * GH_MS_NS;
	pg_young_tables(db);
	if (db->writer->lost || now - db->clock_asked_ns < CLOCK_EVERY_NS)
		return;
	db->clock_asked_ns = now;
	(void)clock_ask(db->writer); /* logged; the connection is then replaced */
}

/* ---- opening ---- */

enum gh_status pg_open(const struct meta_config *cfg, struct db **ret, char *err)
{
	struct db *db = calloc(1, sizeof(*db));
	enum gh_status st = GH_NOMEM;

	if (db) {
		pthread_mutex_init(&db->lock, NULL);
		pthread_cond_init(&db->freed, NULL);
		db->conninfo = strdup(cfg->conninfo);
		db->label = label_of(cfg->conninfo);
		db->read_only = cfg->read_only;
		db->reader_max = cfg->readers ? cfg->readers : DEFAULT_READERS;
		db->connect_ms = cfg->connect_ms ? cfg->connect_ms : 5000;
		db->statement_ms = cfg->statement_ms ? cfg->statement_ms : 10000;
		db->lock_ms = cfg->lock_ms ? cfg->lock_ms : 5000;
		db->clock_asked_ns = gh_mono_ns();
		db->analyze_next = 500;
		db->hurry = cfg->hurry;
		if (db->conninfo && db->label && pg_hosts(db))
			st = conn_open(db, &db->writer, err);
		else
			snprintf(err, DB_ERR_MAX, "out of memory");
	}
	if (st != GH_OK) {
		pg_close(&db);
		return st;
	}
	*ret = db;
	return GH_OK;
}

/* Readers are opened when they are needed. */
enum gh_status pg_start(struct db *db, char *err)
{
	(void)db;
	(void)err;
	return GH_OK;
}

void pg_close(struct db **ret)
{
	struct db *db = *ret;

	if (!db)
		return;
	pg_listen_end(db);
	while (db->idle) {
		struct pg_conn *c = db->idle;

		db->idle = c->next;
		conn_free(&c);
	}
	conn_free(&db->writer);
	pthread_cond_destroy(&db->freed);
	pthread_mutex_destroy(&db->lock);
	if (db->conninfo) /* it may hold a password */
		explicit_bzero(db->conninfo, strlen(db->conninfo));
	free(db->conninfo);
	pg_hosts_free(db);
	free(db->label);
	free(db);
	*ret = NULL;
}
