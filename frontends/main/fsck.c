/* `gatehouse fsck`: asks the running gateway, or opens the stores itself, reading only, when nobody serves them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fsck.h"
#include "frontends/main/cli.h"
#include "frontends/main/config.h"
#include "frontends/main/datadir.h"
#include "frontends/main/house.h"

/* Loss and damage decide the exit status; what the collector will take away does not. */
static int verdict(const struct cli *c, const json_t *result)
{
	const json_t *loss = json_object_get(result, "loss");

	cli_print_result(c, result);
	if (json_is_integer(loss) && json_integer_value(loss) == 0)
		return CLI_DONE;
	if (!c->json)
		fputs("gatehouse: the check found loss or damage\n", stderr);
	return CLI_FAILED;
}

static int check_alone(struct cli *c, const struct config *cfg, const struct datadir *dir)
{
	bool verify = json_is_true(json_object_get(c->args, "verify"));
	json_t *result = NULL;
	char err[CONFIG_ERR_MAX];
	struct house house;
	enum gh_status st;
	int rc;

	st = house_open(cfg, dir, true, &house, err);
	if (st)
		return cli_fail(c, gh_status_name(st), err);
	st = fsck_run(house.meta, house.blob_ops, house.blobs, verify, &result);
	if (st)
		rc = cli_fail(c, gh_status_name(st), gh_status_text(st));
	else
		rc = verdict(c, result);
	json_decref(result);
	house_close(&house);
	return rc;
}

/* Nothing is made in a folder that only looks like one of ours. */
static bool is_data(const char *path, char *err)
{
	struct datadir d = { .path = (char *)path };
	char *file = datadir_join(&d, "meta.db");
	bool there = file && !access(file, F_OK);

	if (!there)
		snprintf(err, CONFIG_ERR_MAX, "%.300s is not a data directory: it has no meta.db (if its metadata is on a server, give -c FILE)", path);
	free(file);
	return there;
}

int cli_fsck(struct cli *c)
{
	json_t *result = NULL;
	struct config *cfg = NULL;
	char err[CONFIG_ERR_MAX];
	struct datadir dir;
	enum gh_status st;
	bool absent;
	int rc = cli_call(c, &result, &absent);

	if (!absent) {
		if (!rc)
			rc = verdict(c, result);
		json_decref(result);
		return rc;
	}
	st = config_load(c->config, &cfg, err);
	if (!st && c->dir)
		st = config_override(cfg, "data", c->dir, "-D", err);
	if (!st && house_meta_is_embedded(cfg) && !is_data(config_text(cfg, "data"), err))
		st = GH_NOTFOUND;
	if (!st)
		st = datadir_open(config_text(cfg, "data"), true, (uid_t)-1, (gid_t)-1, &dir, err);
	if (st) {
		rc = cli_fail(c, gh_status_name(st), err);
	} else {
		rc = check_alone(c, cfg, &dir);
		datadir_close(&dir);
	}
	config_free(&cfg);
	return rc;
}
