/* See doctor_ports.h. The holder of a port is found as `ss -lp` does it: its inode in /proc/net/tcp, and the process that
 * has that inode open (of other users only when we are root). */
#include "frontends/main/doctor_ports.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/doctor.h"
#include "core/run/doorstep.h"

#define ANSWER_MS 3000
#define LISTENING 0x0a /* of /proc/net/tcp */

struct holder {
	char text[96]; /* "" = nobody was found */
};

/* ---- who ---- */

static unsigned long inode_of_port(const char *table, unsigned port)
{
	FILE *f = fopen(table, "re");
	unsigned long found = 0;
	char line[512];

	if (!f)
		return 0;
	while (!found && fgets(line, sizeof(line), f)) {
		unsigned local = 0, state = 0;
		unsigned long inode = 0;

		if (sscanf(line, " %*[^:]: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*s %*s %lu", &local, &state, &inode) == 3 &&
		    local == port && state == LISTENING)
			found = inode;
	}
	fclose(f);
	return found;
}

static bool has_inode(const char *pid, unsigned long inode)
{
	char path[300], target[64], want[64];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

		if (n > 0) {
			target[n] = 0;
			found = !strcmp(target, want);
		}
	}
	if (d)
		closedir(d);
	return found;
}

static void name_of_pid(const char *pid, char *out, size_t size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(out, (int)size, f))
		snprintf(out, size, "?");
	out[strcspn(out, "\n")] = 0;
	if (f)
		fclose(f);
}

static struct holder holder_of(unsigned port)
{
	unsigned long inode = inode_of_port("/proc/net/tcp", port);
	struct holder h = { "" };
	struct dirent *e;
	DIR *d;

	if (!inode)
		inode = inode_of_port("/proc/net/tcp6", port);
	d = inode ? opendir("/proc") : NULL;
	while (d && !*h.text && (e = readdir(d))) {
		char name[32];

		if (isdigit((unsigned char)e->d_name[0]) && has_inode(e->d_name, inode)) {
			name_of_pid(e->d_name, name, sizeof(name));
			snprintf(h.text, sizeof(h.text), "%.31s, pid %.20s", name, e->d_name);
		}
	}
	if (d)
		closedir(d);
	return h;
}

/* ---- may we have it ---- */

/* 0, or why not. */
static int bind_try(const struct sockaddr_storage *ss, socklen_t len)
{
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, why = 0;

	if (fd < 0)
		return errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)ss, len) || listen(fd, 1))
		why = errno;
	close(fd);
	return why;
}

static unsigned port_of(const struct sockaddr_storage *ss)
{
	return ntohs(ss->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)ss)->sin6_port :
						 ((const struct sockaddr_in *)ss)->sin_port);
}

static void listener_say(json_t *items, const char *key, const char *address)
{
	struct sockaddr_storage ss;
	socklen_t len;
	char check[64], remedy[200];
	struct holder h;
	int why;

	snprintf(check, sizeof(check), "port.%s", key + strlen("listen."));
	if (gh_addr_parse(address, &ss, &len))
		return; /* said by the check of the configuration */
	why = bind_try(&ss, len);
	switch (why) {
	case 0:
		doctor_say(items, check, DOCTOR_OK, NULL, "%s is free", address);
		return;
	case EADDRINUSE:
		h = holder_of(port_of(&ss));
		snprintf(remedy, sizeof(remedy), "stop it, or give %s another port", key);
		doctor_say(items, check, DOCTOR_FAIL, remedy, "somebody else listens on %s%s%s%s", address,
			   *h.text ? " (" : "", h.text, *h.text ? ")" : "");
		return;
	case EACCES:
		doctor_say(items, check, DOCTOR_FAIL,
			   "start it as root with the key user, or give it CAP_NET_BIND_SERVICE, or take a port from 1024 on",
			   "%s: the port is reserved", address);
		return;
	case EADDRNOTAVAIL:
		doctor_say(items, check, DOCTOR_FAIL, "name an address of this machine, or 0.0.0.0 for all",
			   "%s: no such address on this machine", address);
		return;
	}
	doctor_say(items, check, DOCTOR_FAIL, NULL, "%s: %s", address, strerror(why));
}

static void passive_say(json_t *items, const struct config *cfg)
{
	const int64_t range = config_number(cfg, "ftp.passive_ports");
	const unsigned first = (unsigned)(range / 65536), last = (unsigned)(range % 65536);
	unsigned taken = 0;

	for (unsigned port = first; port <= last; port++) {
		struct sockaddr_storage ss = { .ss_family = AF_INET };

		((struct sockaddr_in *)&ss)->sin_port = htons((uint16_t)port);
		taken += bind_try(&ss, sizeof(struct sockaddr_in)) != 0;
	}
	doctor_say(items, "port.passive", taken == last - first + 1 ? DOCTOR_FAIL : taken ? DOCTOR_WARN : DOCTOR_OK,
		   "each FTP transfer needs a port of its own: choose another range for ftp.passive_ports",
		   "of the passive ports %u-%u, %u are taken", first, last, taken);
}

void doctor_ports_free(json_t *items, const struct config *cfg)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const char *address = config_text(cfg, config_keys[i].name);

		if (config_keys[i].kind == CONFIG_ADDRESS && *address && !strncmp(config_keys[i].name, "listen.", 7))
			listener_say(items, config_keys[i].name, address);
	}
	if (*config_text(cfg, "listen.ftp"))
		passive_say(items, cfg);
}

/* ---- does it answer ---- */

/* A listener for all addresses is reached at the loopback. */
static void to_loopback(struct sockaddr_storage *ss)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	if (ss->ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY))
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		v6->sin6_addr = in6addr_loopback;
}

static int connect_try(const struct sockaddr_storage *ss, socklen_t len)
{
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), why = 0;
	socklen_t size = sizeof(why);
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)ss, len)) {
		why = errno;
		if (why == EINPROGRESS) {
			why = ETIMEDOUT;
			if (poll(&p, 1, ANSWER_MS) == 1)
				(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size);
		}
	}
	close(fd);
	return why;
}

void doctor_ports_answer(json_t *items, const char *folder)
{
	char path[4200];
	json_t *all, *v;
	const char *name;

	snprintf(path, sizeof(path), "%.4096s/run/addresses.json", folder);
	all = json_load_file(path, 0, NULL);
	if (!all) {
		doctor_say(items, "port", DOCTOR_WARN, "it may still be starting, or be ending: ask again",
			   "%s cannot be read, so nobody knows where it listens", path);
		return;
	}
	json_object_foreach (all, name, v) {
		struct sockaddr_storage ss;
		char check[64];
		socklen_t len;
		int why;

		snprintf(check, sizeof(check), "port.%.40s", name);
		if (!json_is_string(v) || gh_addr_parse(json_string_value(v), &ss, &len))
			continue;
		to_loopback(&ss);
		why = connect_try(&ss, len);
		if (why)
			doctor_say(items, check, DOCTOR_FAIL, "look for a firewall on this machine; see the log", "%s does not answer: %s",
				   json_string_value(v), strerror(why));
		else
			doctor_say(items, check, DOCTOR_OK, NULL, "%s answers", json_string_value(v));
	}
	json_decref(all);
}
