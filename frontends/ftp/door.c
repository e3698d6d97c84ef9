/* The door itself: settings, the halls (one per loop), drain and end. Called by the composition root through fe_ftp;
 * open and close on the main thread, everything else on the loops, except that drain only posts. */
#include "frontends/ftp/ftp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontends/ftp/parse.h"

char *ftp_window_get(struct ftp_hall *h)
{
	return h->window_count ? h->windows[--h->window_count] : malloc(FTP_WINDOW);
}

void ftp_window_put(struct ftp_hall *h, char **w)
{
	if (*w && h->window_count < FTP_WINDOWS_KEPT)
		h->windows[h->window_count++] = *w;
	else
		free(*w);
	*w = NULL;
}

/* A key that the configuration does not give, or gives as 0, means the default. */
static int64_t number_or(const struct fe_env *env, const char *key, int64_t otherwise)
{
	int64_t v = env->number ? env->number(env, key) : 0;

	return v > 0 ? v : otherwise;
}

static uint32_t ms_or(const struct fe_env *env, const char *key, int64_t otherwise)
{
	int64_t v = number_or(env, key, otherwise);

	return v > INT32_MAX ? INT32_MAX : (uint32_t)v;
}

static const char *text_or(const struct fe_env *env, const char *key, const char *otherwise)
{
	const char *v = env->text ? env->text(env, key) : NULL;

	return v && *v ? v : otherwise;
}

static enum gh_status settings_read(struct fe_door *d, const struct fe_env *env, char *err, unsigned err_len)
{
	const char *ports = text_or(env, "ftp.passive_ports", "2200-2299");
	const char *address = text_or(env, "ftp.passive_address", "");
	char with_port[128], bad[80];
	socklen_t len;

	if (gh_nets_parse(text_or(env, "proxy.trusted", ""), &d->trusted, bad, sizeof(bad)) != GH_OK) {
		snprintf(err, err_len, "proxy.trusted: \"%s\" is no address or network", bad);
		return GH_INVALID;
	}

	if (ftp_parse_ports(ports, &d->passive_first, &d->passive_last) != GH_OK) {
		snprintf(err, err_len, "ftp.passive_ports: \"%.40s\" is no port range; write it as 2200-2299", ports);
		return GH_INVALID;
	}
	if (*address) {
		snprintf(with_port, sizeof(with_port), "%.100s:0", address);
		if (gh_addr_parse(with_port, &d->passive_address, &len) != GH_OK ||
		    d->passive_address.ss_family != AF_INET) {
			snprintf(err, err_len, "ftp.passive_address: \"%.100s\" is no IPv4 address", address);
			return GH_INVALID;
		}
	}
	d->idle_ms = ms_or(env, "ftp.idle_timeout", 300000);
	d->login_ms = ms_or(env, "ftp.login_timeout", 60000);
	d->data_ms = ms_or(env, "ftp.data_timeout", 30000);
	d->stall_ms = ms_or(env, "ftp.stall_timeout", 60000);
	d->min_rate = (uint64_t)number_or(env, "ftp.min_rate", 128);
	return GH_OK;
}

static enum gh_status door_open(const struct fe_env *env, struct fe_door **ret, char *err, unsigned err_len)
{
	struct fe_door *d = calloc(1, sizeof(*d));
	enum gh_status st;

	if (!d)
		return GH_NOMEM;
	d->core = env->core;
	d->hall_count = env->loop_count;
	d->halls = calloc(env->loop_count, sizeof(*d->halls));
	st = d->halls ? settings_read(d, env, err, err_len) : GH_NOMEM;
	if (st != GH_OK) {
		free(d->halls);
		free(d);
		return st;
	}
	for (unsigned i = 0; i < env->loop_count; i++) {
		d->halls[i].door = d;
		d->halls[i].loop = env->loops[i];
	}
	*ret = d;
	return GH_OK;
}

static enum gh_status door_start(struct fe_door *d, struct gh_loop *l)
{
	return GH_OK;
}

static struct ftp_hall *hall_of(struct fe_door *d, const struct gh_loop *l)
{
	for (unsigned i = 0; i < d->hall_count; i++)
		if (d->halls[i].loop == l)
			return &d->halls[i];
	return NULL;
}

static void door_accept(void *door, struct gh_loop *l, int fd, const struct gh_peer *peer, struct gh_ticket *ticket)
{
	struct ftp_hall *h = hall_of(door, l);

	GH_ASSERT(h);
	ftp_session_open(h, fd, peer, ticket);
}

static void hall_drain(struct gh_task *t)
{
	struct ftp_hall *h = (struct ftp_hall *)((char *)t - offsetof(struct ftp_hall, drain_task));
	struct ftp_session *s, *next;

	for (s = h->first; s; s = next) {
		next = s->next; /* draining one ends at most that one */
		ftp_session_drain(s);
	}
}

static void door_drain(struct fe_door *d, unsigned *live)
{
	if (!atomic_exchange(&d->draining, true)) {
		for (unsigned i = 0; i < d->hall_count; i++) {
			d->halls[i].drain_task.fn = hall_drain;
			gh_loop_post(d->halls[i].loop, &d->halls[i].drain_task);
		}
	}
	*live = atomic_load(&d->live);
}

static bool door_quiesce(struct fe_door *d, struct gh_loop *l)
{
	struct ftp_hall *h = hall_of(d, l);

	while (h && h->first)
		ftp_cut(h->first);
	return !h || !h->dying;
}

static void door_close(struct fe_door **d)
{
	if (!*d)
		return;
	for (unsigned i = 0; i < (*d)->hall_count; i++) {
		struct ftp_hall *h = &(*d)->halls[i];

		while (h->window_count)
			free(h->windows[--h->window_count]);
	}
	free((*d)->halls);
	free(*d);
	*d = NULL;
}

const struct fe_ops fe_ftp = {
	.abi = FE_ABI,
	.name = "ftp",
	.label = VFS_FTP,
	.open = door_open,
	.start = door_start,
	.accept = door_accept,
	.drain = door_drain,
	.quiesce = door_quiesce,
	.close = door_close,
};
