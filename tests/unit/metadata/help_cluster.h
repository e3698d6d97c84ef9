/* For the tests of the PostgreSQL driver: a server of the program's own (tests/lib/pgcluster.sh), and a store on it for each
 * test. */
#ifndef TESTS_UNIT_METADATA_HELP_CLUSTER_H
#define TESTS_UNIT_METADATA_HELP_CLUSTER_H

#include <libgen.h>
#include <sys/wait.h>

#include "backends/metadata/store.h"
#include "core/base/metrics.h"
#include "tests/unit/metadata/help.h"

static char cluster[64], programs[512];
static struct fix f;

static inline void setup(void)
{
	fix_new(&f);
}

static inline void teardown(void)
{
	fix_free(&f);
}

/* "start" prints the conninfo, which becomes everybody's. Gives the script's exit status. */
static inline int cluster_do(const char *verb, const char *setting)
{
	const char *src = getenv("srcdir");
	char cmd[1024], line[256] = "";
	FILE *p;
	int status;

	snprintf(cmd, sizeof(cmd), "%s/tests/lib/pgcluster.sh %s %s %s", src ? src : ".", verb, cluster, setting);
	p = popen(cmd, "r");
	if (!p)
		return 1;
	if (fgets(line, sizeof(line), p)) {
		line[strcspn(line, "\n")] = '\0';
		setenv("GATEHOUSE_TEST_POSTGRESQL", line, 1);
	}
	status = pclose(p);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static inline enum gh_status put_one(const char *name)
{
	struct meta_step s[3];
	struct meta_batch b = put_batch(s, ROOT, name, 10);

	return meta_commit(f.m, &f.call, &b);
}

static inline enum gh_status look_one(void)
{
	struct meta_tenant *t;

	return meta_tenant_by_name(f.m, &f.call, "acme", &t);
}

static inline PGconn *hold(const char *sql)
{
	PGconn *h = PQconnectdb(f.conninfo);
	PGresult *r = PQexec(h, sql);

	ck_assert_msg(PQresultStatus(r) == PGRES_COMMAND_OK, "%s", PQerrorMessage(h));
	PQclear(r);
	return h;
}

/* 0, or what the program ends with: 77 where no server is installed. */
static inline int cluster_begin(char *program)
{
	int status;

	snprintf(programs, sizeof(programs), "%s", dirname(program));
	/* Not below TMPDIR: its name would make a socket's path too long. */
	snprintf(cluster, sizeof(cluster), "/tmp/gh-pg-XXXXXX");
	if (!mkdtemp(cluster))
		return 1;
	status = cluster_do("start", "");
	if (!status)
		return 0;
	fprintf(stderr, status == 77 ? "SKIP: PostgreSQL's server is not installed\n" : "the cluster does not start\n");
	rmdir(cluster);
	return status;
}

static inline void cluster_end(void)
{
	char cmd[96];

	(void)cluster_do("stop", "");
	snprintf(cmd, sizeof(cmd), "rm -rf %s", cluster);
	if (system(cmd))
		fprintf(stderr, "left behind: %s\n", cluster);
}

#endif
