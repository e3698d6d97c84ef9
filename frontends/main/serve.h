/* `gatehouse serve`: a running house. serve.c brings it up and takes it down, serve_run.c is what happens in between
 * (signals, drain, reload), greeting.c tells people where it is. All of it on the main thread.
 */
#ifndef GH_FRONTENDS_MAIN_SERVE_H
#define GH_FRONTENDS_MAIN_SERVE_H

#include <signal.h>

#include "core/live.h"
#include "core/run/doorstep.h"
#include "frontends/admin/admin.h"
#include "frontends/main/cli.h"
#include "frontends/main/config.h"
#include "frontends/main/datadir.h"
#include "frontends/main/house.h"
#include "frontends/main/registry.h"

#define SERVE_ADDRESS_MAX 64

struct serve_door {
	const struct registry_door *row;
	struct fe_door *door;
	char address[SERVE_ADDRESS_MAX]; /* "" = does not listen */
};

struct serve {
	struct cli *cli;
	const struct config *config; /* as started: doors keep pointers into it */
	struct config *reloaded;     /* the latest that SIGHUP brought, or NULL */
	uint64_t drain_ms;
	sigset_t signals;
	struct datadir dir;
	char gateway[64];
	uid_t uid; /* to become, -1 = stay */
	gid_t gid;
	const char *user;
	struct house house;
	struct gh_loop **loops;
	unsigned loop_count;
	bool loops_running;
	struct live_source loops_live; /* how busy they are */
	uint64_t loops_cpu_ns;
	struct fe_env env;
	struct gh_doorstep *doorstep;
	struct serve_door doors[REGISTRY_DOORS_MAX];
	unsigned door_count;
	struct admin_socket *admin_socket;
	struct admin_listener *admin_listener;
	char admin_address[SERVE_ADDRESS_MAX];
	char password[64]; /* first password, "" when there was one already */
	char operator_password[64]; /* likewise of the first operator */
	bool password_given;
};

/* Loads the file and the options over it. NULL: said why. */
struct config *serve_config(struct cli *c);
/* Until SIGTERM or SIGINT. */
void serve_run(struct serve *s);
/* Nobody is let in any more; until the doors are empty, or the drain time is over and what is left was cut. */
void serve_drain(struct serve *s);
/* Runs fn with all loops standing still in a callback, so that it may touch what is theirs. */
void serve_with_loops_parked(struct serve *s, void (*fn)(struct serve *s));
/* DIR/run/addresses.json. err: DATADIR_ERR_MAX. */
GH_MUST_CHECK enum gh_status greeting_publish(const struct serve *s, char *err);
void greeting_print(const struct serve *s);

#endif
