/* See faults.h. One mutex around the rules; nobody waits with it. */
#include "tests/faulty/faults.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 64

enum how { LOG, FAIL, HANG, SLOW };
static const char *const how_names[] = { "log", "fail", "hang", "slow" };

struct rule {
	char service[16], op[32], tenant[24];
	enum how how;
	unsigned ms;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[RULES_MAX];
static unsigned rule_count;
static struct stat seen;

static bool read_line(const char *line, struct rule *r)
{
	char how[16];

	r->ms = 0;
	if (sscanf(line, "%15s %31s %23s %15s %u", r->service, r->op, r->tenant, how, &r->ms) < 4)
		return false;
	for (unsigned i = 0; i < sizeof(how_names) / sizeof(how_names[0]); i++) {
		r->how = (enum how)i;
		if (strcmp(how, how_names[i]) == 0)
			return true;
	}
	return false;
}

/* Locked. */
static void look_again(void)
{
	const char *path = getenv("GATEHOUSE_FAULTS");
	struct stat now = { 0 };
	char line[256];

	if (!path || stat(path, &now) != 0) {
		rule_count = 0;
		return;
	}
	if (now.st_ino == seen.st_ino && now.st_size == seen.st_size && now.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec)
		return;
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	rule_count = 0;
	while (rule_count < RULES_MAX && fgets(line, sizeof(line), f))
		rule_count += read_line(line, &rules[rule_count]);
	fclose(f);
	seen = now;
}

static bool fits(const char *pattern, const char *text)
{
	return strcmp(pattern, "*") == 0 || strcmp(pattern, text) == 0;
}

static bool find(const char *service, const char *op, const char *tenant, struct rule *ret)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	look_again();
	for (unsigned i = 0; i < rule_count && !found; i++) {
		found = strcmp(rules[i].service, service) == 0 && fits(rules[i].op, op) && fits(rules[i].tenant, tenant);
		if (found)
			*ret = rules[i];
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static void leave_line(const char *service, const char *op, const char *tenant, const char *how)
{
	const char *path = getenv("GATEHOUSE_FAULTS_LOG");
	char line[128];

	if (!path)
		return;
	const int n = snprintf(line, sizeof(line), "%s %s %s %s\n", service, op, tenant, how);
	const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, line, (size_t)n) != n)
		perror(path);
	close(fd);
}

static void nap(unsigned ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

bool faults_ask(const char *service, const char *op, uint64_t tenant, bool may_wait, bool *ret_again)
{
	char id[24];
	struct rule r;

	*ret_again = false;
	snprintf(id, sizeof(id), "%llu", (unsigned long long)tenant);
	if (!find(service, op, id, &r))
		return false;
	if (!may_wait) {
		*ret_again = r.how != LOG;
		return false;
	}
	leave_line(service, op, id, how_names[r.how]);
	switch (r.how) {
	case LOG:
		return false;
	case FAIL:
		return true;
	case SLOW:
		nap(r.ms);
		return false;
	case HANG:
		while (find(service, op, id, &r) && r.how == HANG)
			nap(10);
		return false;
	}
	return false;
}
