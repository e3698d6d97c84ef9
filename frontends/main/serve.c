/* The composition root: opens everything in its order and closes it in the other. Whatever can fail fails here, in front
 * of the operator, before a client is let in. See serve.h.
 *
 * Up:    configuration, data directory, log, stores, core, loops, doors, listeners, admin; addresses.json is last.
 * Down:  doors drained (serve_run.c), doors closed with the loops parked, admin, core (whose last completions still find
 *        their loops), loops, stores, data directory.
 */
#include "frontends/main/serve.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/rcu.h"
#include "core/control.h"

#define DESCRIPTORS_MAX (1u << 20)
#define ADMIN_WAIT_MS 10000

/* ---- configuration ---- */

struct config *serve_config(struct cli *c)
{
	char err[CONFIG_ERR_MAX];
	struct config *cfg = NULL;
	enum gh_status st = config_load(c->config, &cfg, err);

	if (!st && c->dir)
		st = config_override(cfg, "data", c->dir, "-D", err);
	if (!st && c->admin)
		st = config_override(cfg, "listen.admin", c->admin, "--admin", err);
	for (size_t i = 0; i < c->override_count && !st; i++)
		st = config_override(cfg, c->overrides[i].key, c->overrides[i].value, c->overrides[i].where, err);
	if (!st)
		st = config_check(cfg, err);
	if (st) {
		cli_fail(c, gh_status_name(st), err);
		config_free(&cfg);
		return NULL;
	}
	return cfg;
}

static int64_t env_number(const struct fe_env *env, const char *key)
{
	return config_number(env->config, key);
}

static const char *env_text(const struct fe_env *env, const char *key)
{
	return config_text(env->config, key);
}

/* ---- the process ---- */

static void descriptors_raise(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max < DESCRIPTORS_MAX ? r.rlim_max : DESCRIPTORS_MAX;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

/* Signals are taken by the main thread only, with sigwaitinfo; blocked before there is a second thread. */
static void signals_block(struct serve *s)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&s->signals);
	sigaddset(&s->signals, SIGTERM);
	sigaddset(&s->signals, SIGINT);
	sigaddset(&s->signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &s->signals, NULL);
}

static void user_find(struct serve *s)
{
	const char *name = config_text(s->config, "user");
	struct passwd *pw = *name && geteuid() == 0 ? getpwnam(name) : NULL;

	s->uid = pw ? pw->pw_uid : (uid_t)-1;
	s->gid = pw ? pw->pw_gid : (gid_t)-1;
	s->user = name;
}

/* Files are made as that user from the start; root comes back once, to open the listeners. */
static bool user_become(struct serve *s, bool for_good)
{
	if (s->uid == (uid_t)-1)
		return true;
	if (for_good)
		return !seteuid(0) && !setgid(s->gid) && !setuid(s->uid) && (!s->uid || seteuid(0));
	return !initgroups(s->user, s->gid) && !setegid(s->gid) && !seteuid(s->uid);
}

static bool user_be_root(struct serve *s)
{
	return s->uid == (uid_t)-1 || !seteuid(0);
}

static bool log_start(struct serve *s, char *err)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	const char *path = config_text(s->config, "log.path"), *level = config_text(s->config, "log.level");
	unsigned i = 0;

	while (i < GH_LOG_DEBUG && strcmp(names[i], level))
		i++;
	if (!gh_log_open(strcmp(path, "-") ? path : NULL, (enum gh_log_level)i))
		return true;
	snprintf(err, CONFIG_ERR_MAX, "%.300s: the log cannot be opened", path);
	return false;
}

/* ---- loops and doors ---- */

static unsigned cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

static enum gh_status loops_make(struct serve *s, char *err)
{
	unsigned count = (unsigned)config_number(s->config, "loops");

	count = count ? count : cpu_count();
	s->loops = calloc(count, sizeof(struct gh_loop *));
	snprintf(err, CONFIG_ERR_MAX, "an event loop cannot be made");
	if (!s->loops)
		return GH_NOMEM;
	for (; s->loop_count < count; s->loop_count++) {
		enum gh_status st = gh_loop_new(s->loop_count, &s->loops[s->loop_count]);

		if (st)
			return st;
	}
	return GH_OK;
}

static enum gh_status doors_open(struct serve *s, char *err)
{
	s->env = (struct fe_env){ .core = s->house.core, .loops = s->loops, .loop_count = s->loop_count,
				  .number = env_number, .text = env_text, .config = s->config };
	for (const struct registry_door *row = registry_doors; row->ops; row++) {
		struct serve_door *d = &s->doors[s->door_count];
		enum gh_status st;

		if (!*config_text(s->config, row->key))
			continue;
		GH_ASSERT(row->ops->abi == FE_ABI && s->door_count < REGISTRY_DOORS_MAX);
		snprintf(err, CONFIG_ERR_MAX, "the door %s cannot be opened", row->listener);
		st = row->ops->open(&s->env, &d->door, err, CONFIG_ERR_MAX);
		if (st)
			return st;
		d->row = row;
		s->door_count++;
		for (unsigned i = 0; i < s->loop_count; i++) {
			st = row->ops->start(d->door, s->loops[i]);
			if (st) {
				snprintf(err, CONFIG_ERR_MAX, "the door %s cannot be started: %s", row->listener,
					 gh_status_text(st));
				return st;
			}
		}
	}
	return GH_OK;
}

/* What config_check has seen. */
static struct gh_nets trusted(const struct serve *s)
{
	struct gh_nets nets = { 0 };
	char bad[8];

	return gh_nets_parse(config_text(s->config, "proxy.trusted"), &nets, bad, sizeof(bad)) ? (struct gh_nets){ 0 } : nets;
}

static enum gh_status doors_listen(struct serve *s, char *err)
{
	const struct gh_nets nets = trusted(s);
	struct gh_doorstep_limits limits = {
		.per_address = (unsigned)config_number(s->config, "limits.per_address"),
		.total = (unsigned)config_number(s->config, "limits.total"),
		.reserve_fds = (unsigned)config_number(s->config, "limits.reserve_descriptors"),
		.trusted = &nets,
	};
	enum gh_status st;

	snprintf(err, CONFIG_ERR_MAX, "out of memory");
	st = gh_doorstep_new(s->loops, s->loop_count, &limits, &s->doorstep);
	for (unsigned i = 0; i < s->door_count && !st; i++) {
		struct serve_door *d = &s->doors[i];

		st = gh_doorstep_listen(s->doorstep, config_text(s->config, d->row->key), d->row->ops->label,
					d->row->ops->accept, d->door, d->address, err, CONFIG_ERR_MAX);
	}
	return st;
}

static enum gh_status loops_start(struct serve *s, char *err)
{
	for (unsigned i = 0; i < s->loop_count; i++) {
		enum gh_status st = gh_loop_start(s->loops[i]);

		if (st) {
			/* Those that run already end with the process: nobody was told an address yet. */
			snprintf(err, CONFIG_ERR_MAX, "the thread of an event loop cannot be started");
			s->loop_count = i;
			s->loops_running = i > 0;
			return st;
		}
	}
	s->loops_running = true;
	return GH_OK;
}

static void loops_busy(struct live_source *src, struct live_sample *sample, uint64_t passed_ns)
{
	struct serve *s = (struct serve *)((char *)src - offsetof(struct serve, loops_live));
	uint64_t cpu_ns = 0;
	float busy;

	for (unsigned i = 0; i < s->loop_count; i++)
		cpu_ns += gh_loop_cpu_ns(s->loops[i]);
	busy = passed_ns ? (float)((double)(cpu_ns - s->loops_cpu_ns) / (double)passed_ns / s->loop_count) : 0;
	sample->loop_busy = busy < 1 ? busy : 1;
	gh_metric_add(GH_M_LOOP_CPU, 0, (int64_t)(cpu_ns / GH_MS_NS - s->loops_cpu_ns / GH_MS_NS));
	s->loops_cpu_ns = cpu_ns;
}

static void loops_tell(struct serve *s)
{
	gh_metric_set(GH_M_LOOPS, 0, s->loop_count);
	s->loops_live.name = "loops";
	s->loops_live.fill = loops_busy;
	live_source_add(s->house.core, &s->loops_live);
}

/* ---- the whole house ---- */

static enum gh_status bootstrap(struct serve *s, char *err)
{
	const char *given = getenv("GATEHOUSE_ADMIN_PASSWORD");
	enum gh_status st;

	given = given && *given ? given : NULL;
	s->password_given = given != NULL;
	st = gh_core_bootstrap(s->house.core, given, s->password);
	/* One password to write down, where both are made now. */
	if (!st)
		st = gh_core_bootstrap_operator(s->house.core, *s->password ? s->password : given, s->operator_password);
	if (st)
		snprintf(err, CONFIG_ERR_MAX, "the first tenant, user and operator cannot be made: %s", gh_status_text(st));
	return st;
}

static enum gh_status admin_listen(struct serve *s, char *err)
{
	const struct gh_nets nets = trusted(s);
	const struct admin_listener_config lc = {
		.address = config_text(s->config, "listen.admin"),
		.core = s->house.core,
		.not_ready = gh_core_not_ready,
		.run = control_run,
		.host_names = config_text(s->config, "admin.host_names"),
		.trusted = &nets,
		.session_idle_ms = (uint64_t)config_number(s->config, "admin.session_idle"),
		.session_ms = (uint64_t)config_number(s->config, "admin.session_max"),
	};

	return *lc.address ? admin_listener_open(&lc, s->admin_address, &s->admin_listener, err) : GH_OK;
}

/* As the user that the server becomes: its commands are that user's, and root's. */
static enum gh_status admin_socket(struct serve *s, char *err)
{
	const struct admin_socket_config sc = { .folder = s->dir.path, .core = s->house.core, .run = control_run };

	return admin_socket_open(&sc, &s->admin_socket, err);
}

static enum gh_status serve_open(struct serve *s, char *err)
{
	enum gh_status st;

	descriptors_raise();
	umask(0077);
	user_find(s);
	st = datadir_open(config_text(s->config, "data"), false, s->uid, s->gid, &s->dir, err);
	if (st)
		return st;
	snprintf(err, CONFIG_ERR_MAX, "cannot become user \"%s\"", s->user);
	if (!user_become(s, false))
		return GH_DENIED;
	if (!log_start(s, err))
		return GH_IO;
	st = datadir_gateway_name(&s->dir, config_text(s->config, "gateway.name"), s->gateway, err);
	if (!st)
		st = house_open(s->config, &s->dir, false, &s->house, err);
	if (!st)
		st = bootstrap(s, err);
	if (!st)
		st = loops_make(s, err);
	if (!st)
		st = doors_open(s, err);
	if (!st && !user_be_root(s))
		st = GH_DENIED;
	if (!st)
		st = doors_listen(s, err);
	if (!st)
		st = admin_listen(s, err);
	if (!st && !user_become(s, true)) {
		snprintf(err, CONFIG_ERR_MAX, "cannot become user \"%s\"", s->user);
		st = GH_DENIED;
	}
	if (!st)
		st = admin_socket(s, err);
	if (!st)
		st = gh_core_start(s->house.core);
	if (!st)
		st = loops_start(s, err);
	if (!st) {
		loops_tell(s);
		st = greeting_publish(s, err);
	}
	return st;
}

static void doors_close(struct serve *s)
{
	/* Doors give their connections' tickets back, so the doorstep goes last. */
	while (s->door_count) {
		struct serve_door *d = &s->doors[--s->door_count];

		if (d->door)
			d->row->ops->close(&d->door);
	}
	if (s->doorstep)
		gh_doorstep_free(&s->doorstep);
}

static void serve_close(struct serve *s)
{
	if (s->loops_running) {
		serve_drain(s);
		serve_with_loops_parked(s, doors_close);
	} else {
		doors_close(s);
	}
	if (!admin_listener_close(&s->admin_listener, ADMIN_WAIT_MS) ||
	    !admin_socket_close(&s->admin_socket, ADMIN_WAIT_MS)) {
		/* A long check still runs. What is acknowledged is on disk: ending now is what kill -9 would be. */
		gh_log(GH_LOG_WARN, "serve.end", "pid=%ld admin=busy", (long)getpid());
		_exit(CLI_DONE);
	}
	if (s->house.core)
		gh_core_free(&s->house.core);
	for (unsigned i = 0; i < s->loop_count; i++)
		gh_loop_stop(s->loops[i]);
	for (unsigned i = 0; i < s->loop_count; i++)
		gh_loop_free(&s->loops[i]);
	free(s->loops);
	gh_rcu_barrier();
	house_close(&s->house);
	datadir_close(&s->dir);
	config_free(&s->reloaded);
}

int cli_serve(struct cli *c)
{
	struct serve s = { .cli = c, .dir.lock_fd = -1 };
	char err[CONFIG_ERR_MAX] = "";
	struct config *cfg = serve_config(c);
	enum gh_status st;
	int rc = CLI_DONE;

	if (!cfg)
		return CLI_FAILED;
	if (c->check) {
		printf("%s: the configuration is good\n", c->config ? c->config : "defaults");
		config_free(&cfg);
		return CLI_DONE;
	}
	s.config = cfg;
	s.drain_ms = (uint64_t)config_number(cfg, "drain");
	signals_block(&s);
	st = serve_open(&s, err);
	if (st) {
		rc = cli_fail(c, gh_status_name(st), *err ? err : gh_status_text(st));
	} else {
		gh_log(GH_LOG_INFO, "serve.ready", "pid=%ld gateway=%s version=" PACKAGE_VERSION, (long)getpid(), s.gateway);
		greeting_print(&s);
		serve_run(&s);
	}
	serve_close(&s);
	if (!st)
		gh_log(GH_LOG_INFO, "serve.end", "pid=%ld", (long)getpid());
	config_free(&cfg);
	return rc;
}
