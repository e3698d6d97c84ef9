/* `gatehouse doctor`: is everything well around a gateway, whether it runs or not? What a running one can tell it tells
 * itself (control operation doctor); the rest is looked at from here. Nothing is changed.
 *
 * Exit status: 0 nothing failed (warnings are none), 1 something did.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/log.h"
#include "core/doctor.h"
#include "core/meta.h"
#include "frontends/admin/admin.h"
#include "frontends/main/cli.h"
#include "frontends/main/config.h"
#include "frontends/main/datadir.h"
#include "frontends/main/doctor_ports.h"
#include "frontends/main/house.h"

#define ANSWER_S 5

enum served { SERVED_BY_NOBODY, SERVED, SERVED_SILENTLY };

/* ---- configuration ---- */

static struct config *config_say(struct cli *c, json_t *items)
{
	char err[CONFIG_ERR_MAX];
	struct config *cfg = NULL;
	enum gh_status st = config_load(c->config, &cfg, err);

	if (!st && c->dir)
		st = config_override(cfg, "data", c->dir, "-D", err);
	if (!st)
		st = config_check(cfg, err);
	if (st) {
		doctor_say(items, "configuration", DOCTOR_FAIL, "see gatehouse.conf(5); gatehouse serve --check tells the same",
			   "%s", err);
		config_free(&cfg);
		return NULL;
	}
	if (c->config)
		doctor_say(items, "configuration", DOCTOR_OK, NULL, "%s is good", c->config);
	else
		doctor_say(items, "configuration", DOCTOR_OK, NULL, "there is no file: everything is as by default");
	return cfg;
}

/* ---- does it run ---- */

/* The pid in the lock file, when somebody holds the lock; 0 = nobody, -1 = it does not say. */
static long lock_holder(const char *folder)
{
	char path[4200], text[32] = "";
	long pid = 0;
	int fd;

	snprintf(path, sizeof(path), "%.4096s/run/lock", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK) {
		pid = read(fd, text, sizeof(text) - 1) > 0 ? strtol(text, NULL, 10) : 0;
		pid = pid > 0 ? pid : -1;
	}
	close(fd);
	return pid;
}

/* Whether it answers anything at all: a gateway that hangs must not hang the doctor. */
static bool answers(int fd)
{
	static const char ask[] = "{\"op\":\"status\",\"args\":{}}\n";
	const struct timeval limit = { .tv_sec = ANSWER_S };
	char byte;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) == sizeof(ask) - 1 && recv(fd, &byte, 1, 0) == 1;
}

static enum served served_by(const char *folder, json_t *items)
{
	char err[256];
	int fd;
	enum gh_status st = admin_socket_connect(folder, &fd, err);
	long pid;

	if (!st) {
		const bool alive = answers(fd);

		close(fd);
		if (alive)
			return SERVED;
		doctor_say(items, "server", DOCTOR_FAIL, "see its log; if it stays so, end it by SIGTERM, then SIGKILL, and start it again",
			   "it does not answer on its socket within %d s", ANSWER_S);
		return SERVED_SILENTLY;
	}
	pid = lock_holder(folder);
	if (pid) {
		doctor_say(items, "server", DOCTOR_FAIL, "wait if it starts or ends; else see its log",
			   "pid %ld holds %s, but has no socket to answer on", pid, folder);
		return SERVED_SILENTLY;
	}
	if (st != GH_NOTFOUND)
		doctor_say(items, "server", DOCTOR_FAIL, "run this as the user that serves it, or as root", "%s", err);
	else
		doctor_say(items, "server", DOCTOR_OK, NULL, "nobody serves %s now", folder);
	return st == GH_NOTFOUND ? SERVED_BY_NOBODY : SERVED_SILENTLY;
}

/* ---- where none runs ---- */

static void newest_say(struct meta_store *m, json_t *items)
{
	struct meta_call call = { .arena = gh_arena_new(1 << 20), .op = "doctor" };
	uint64_t newest;

	if (call.arena && meta_id_floor(m, &call, &newest) == GH_OK)
		doctor_newest_id(items, newest);
	gh_arena_free(&call.arena);
}

static void schema_say(const struct config *cfg, const char *folder, json_t *items)
{
	struct datadir d = { .path = (char *)folder };
	char *path = datadir_join(&d, "meta.db");
	char err[CONFIG_ERR_MAX] = "";
	struct meta_store *m = NULL;
	struct meta_config mc = house_meta_config(cfg, path, true);
	enum gh_status st;

	mc.readers = 1;
	if (path && mc.path && access(path, F_OK)) {
		doctor_say(items, "schema", DOCTOR_OK, NULL, "there is no database yet; serve will make it");
	} else if (path) {
		st = meta_open(&mc, &m, err);
		if (st) {
			doctor_say(items, "schema", DOCTOR_FAIL, "do what it says before the server is started", "%s", err);
		} else {
			doctor_say(items, "schema", DOCTOR_OK, NULL, "the database has the schema of this program");
			newest_say(m, items);
			meta_close(&m);
		}
	}
	free(path);
}

static void blobs_say(const struct config *cfg, const char *folder, json_t *items)
{
	const char *path = config_text(cfg, "blobs.path");
	struct stat data, blobs;

	if (!*path)
		return;
	if (stat(path, &blobs))
		doctor_say(items, "blobs", errno == ENOENT ? DOCTOR_OK : DOCTOR_FAIL, "look at blobs.path", "%s: %s", path,
			   errno == ENOENT ? "serve will make it" : strerror(errno));
	else if (stat(folder, &data) || data.st_dev != blobs.st_dev)
		doctor_disk(items, path);
}

static void look_alone(const struct config *cfg, json_t *items)
{
	const char *folder = config_text(cfg, "data");
	struct stat sb;

	if (stat(folder, &sb)) {
		doctor_say(items, "data", errno == ENOENT ? DOCTOR_OK : DOCTOR_FAIL, "look at the key data, or -D", "%s: %s", folder,
			   errno == ENOENT ? "it is not there yet; serve will make it" : strerror(errno));
	} else {
		schema_say(cfg, folder, items);
		doctor_disk(items, folder);
	}
	blobs_say(cfg, folder, items);
	doctor_ports_free(items, cfg);
	doctor_clock(items);
	doctor_descriptors(items, 0);
	doctor_certificates(items);
}

/* ---- where one runs ---- */

static void look_with_server(struct cli *c, const char *folder, json_t *items)
{
	json_t *result = NULL, *theirs;
	bool absent = false;

	if (cli_call(c, &result, &absent)) {
		doctor_say(items, "server", DOCTOR_FAIL, "is it of the same version as this command?", absent ?
			   "it has just ended" : "it did not run the check");
	} else {
		theirs = json_object_get(result, "items");
		json_array_extend(items, theirs);
	}
	json_decref(result);
	doctor_ports_answer(items, folder);
}

/* ---- what is said ---- */

static unsigned items_print(const struct cli *c, json_t *items)
{
	unsigned failed = 0;
	json_t *item;
	size_t i;

	json_array_foreach (items, i, item) {
		const char *level = json_string_value(json_object_get(item, "level"));
		const char *remedy = json_string_value(json_object_get(item, "do"));

		failed += !json_is_true(json_object_get(item, "ok"));
		if (c->json)
			continue;
		printf("%-4s  %-15s  %s\n", level, json_string_value(json_object_get(item, "check")),
		       json_string_value(json_object_get(item, "says")));
		if (remedy && *remedy)
			printf("      %-15s  -> %s\n", "", remedy);
	}
	return failed;
}

int cli_doctor(struct cli *c)
{
	json_t *result = json_pack("{s:[]}", "items"), *items = json_object_get(result, "items");
	struct config *cfg = result ? config_say(c, items) : NULL;
	unsigned failed;

	if (cfg) {
		const char *folder = config_text(cfg, "data");

		c->dir = folder; /* the one that the call goes to, whichever way it was named */
		switch (served_by(folder, items)) {
		case SERVED:
			look_with_server(c, folder, items);
			break;
		case SERVED_BY_NOBODY:
			look_alone(cfg, items);
			break;
		case SERVED_SILENTLY:
			doctor_disk(items, folder);
			doctor_clock(items);
			break;
		}
	}
	failed = items_print(c, items);
	if (c->json) {
		json_dumpf(result, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (failed) {
		fflush(stdout);
		fprintf(stderr, "gatehouse: %u of %zu checks failed\n", failed, json_array_size(items));
	}
	json_decref(result);
	config_free(&cfg);
	return failed || !result ? CLI_FAILED : CLI_DONE;
}
