/* Opening and closing one database: the driver, the schema, the queue. Called by route.c. */
#include "backends/metadata/store.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef HAVE_POSTGRESQL
enum gh_status meta_conninfo_check(const char *conninfo, char *err)
{
	(void)conninfo;
	snprintf(err, DB_ERR_MAX, "this gatehouse was built without PostgreSQL; install libpq's development files and build it"
		 " again, or keep metadata in sqlite");
	return GH_UNSUPPORTED;
}
#endif

enum gh_status driver_for(const struct meta_config *cfg, const struct db_driver **ret, char *err)
{
	*ret = &db_sqlite;
	if (!cfg->conninfo)
		return GH_OK;
#ifdef HAVE_POSTGRESQL
	*ret = &db_pgsql;
#endif
	return meta_conninfo_check(cfg->conninfo, err);
}

enum gh_status shard_open(const struct meta_config *cfg, struct shard_store **ret, char *err)
{
	struct shard_store *m = calloc(1, sizeof(*m));
	struct db_conn *c;
	enum gh_status st;

	err[0] = '\0';
	if (!m) {
		snprintf(err, DB_ERR_MAX, "out of memory");
		return GH_NOMEM;
	}
	m->read_only = cfg->read_only;
	m->hurry = cfg->hurry;
	feed_bell_init(&m->bell);
	atomic_store(&m->fence_ns, UINT64_MAX);
	st = driver_for(cfg, &m->drv, err);
	if (st == GH_OK)
		st = m->drv->open(cfg, &m->db, err);
	if (st == GH_OK)
		st = m->drv->writer(m->db, &c);
	if (st == GH_OK)
		st = migrate(c, cfg->read_only, m->drv->label(m->db), err);
	if (st == GH_OK)
		st = m->drv->start(m->db, err);
	if (st == GH_OK && (st = commit_queue_open(m)) == GH_OK && (st = commit_ahead_open(m)) == GH_OK)
		st = look_open(m);
	if (st != GH_OK && !err[0])
		snprintf(err, DB_ERR_MAX, "cannot start the threads that talk to %s", m->drv->label(m->db));
	if (st == GH_OK)
		st = feed_open(m, err);
	if (st != GH_OK) {
		shard_close(&m);
		return st;
	}
	*ret = m;
	return GH_OK;
}

void shard_close(struct shard_store **ret)
{
	struct shard_store *m = *ret;

	if (!m)
		return;
	look_close(m);
	commit_ahead_close(m);
	commit_queue_close(m);
	m->drv->close(&m->db);
	feed_bell_fini(&m->bell);
	free(m);
	*ret = NULL;
}
