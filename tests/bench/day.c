/* A day's load, by the clock: requests are due at times that chance chose before (a Poisson stream of the wanted rate),
 * whether the server keeps up or not, and each one's time counts from when it was due. A server that stalls delays its
 * measuring by nothing: what waits for a connection of its tenant, or came late out of this program, has waited. Every
 * answer is judged. One thread, epoll, loopback; each tenant has connections of its own, which are kept.
 *
 *   day [-t TENANTS] [-d FOLDERS] [-f FILES] [-c CONNECTIONS] [-n RUN] ADDR:PORT PASSWORD WHAT
 *   day mix
 *
 * Tenants are t0000 and so on, the user is admin. WHAT is login: a look by each of them, two at a time, so that
 * passwords are verified; fill: makes FOLDERS folders with FILES files each, 64 at a time; warm: looks at each of them;
 * or run RATE SECONDS: the mix (day_mix.c), over CONNECTIONS connections for each tenant. Prints one JSON object; exit
 * status 1 if it couldn't work, not for wrong answers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/day.h"

#define S_NS 1000000000ull
#define LATE_NS 5000000ull   /* out of this program so long after it was due: said in the report */
#define GRACE_NS (10 * S_NS) /* after the last request, for answers */
#define WRONG_TOLD 5         /* answers that are wrong, told one by one */
#define EVENTS 256

struct conn {
	int fd; /* -1: to be dialled when it is needed */
	struct day_ask *ask;
	struct day_answer answer;
};

struct tenant {
	struct day_ask *first, **last; /* that wait for a connection */
};

static struct {
	struct sockaddr_in to;
	struct day_layout layout;
	unsigned each;   /* connections of a tenant */
	unsigned window; /* so many at a time, without a clock; 0: by the clock */
	double rate, seconds;
	bool login, warm;
} cfg = { .layout = { .tenants = 1000, .folders = 4, .files = 15 }, .each = 2 };

static struct conn *conns;
static struct tenant *tenants;
static int ep;
static uint64_t rng = 88172645463325252ull;

static struct {
	uint32_t *us;
	unsigned count, cap;
} times[DAY_CLASSES];
static unsigned status_count[600], sent, in_flight, made, waited, late, wrong, lost, unanswered;
static uint64_t lag_max_ns;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * S_NS + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "day: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- what came of it ---- */

static void timed(const struct day_ask *a, uint64_t now)
{
	const uint64_t us = (now - a->due_ns) / 1000;
	const enum day_class k = day_mix_class(a);

	if (times[k].count == times[k].cap) {
		times[k].cap = times[k].cap ? 2 * times[k].cap : 65536;
		times[k].us = realloc(times[k].us, times[k].cap * sizeof(*times[k].us));
		if (!times[k].us)
			die("memory");
	}
	times[k].us[times[k].count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* ---- connections ---- */

static void dial(struct conn *c)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	const int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	if (connect(c->fd, (struct sockaddr *)&cfg.to, sizeof(cfg.to)) < 0) /* loopback: at once, or never */
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e) < 0)
		die("epoll_ctl");
}

static void hang_up(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
}

static void send_on(struct conn *c, struct day_ask *a)
{
	char text[DAY_REQUEST_MAX];
	const size_t len = day_mix_render(a, text);

	if (c->fd < 0)
		dial(c);
	c->ask = a;
	c->answer.at = DAY_HEAD;
	c->answer.len = 0;
	c->answer.body_bytes = 0;
	sent++;
	if (send(c->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len)
		return;
	lost++; /* cut just now */
	in_flight--;
	free(c->ask);
	c->ask = NULL;
	hang_up(c);
}

static void start(struct day_ask *a)
{
	struct conn *c = &conns[a->tenant * cfg.each];
	struct tenant *t = &tenants[a->tenant];

	in_flight++;
	for (unsigned i = 0; i < cfg.each; i++, c++) {
		if (c->ask)
			continue;
		send_on(c, a);
		return;
	}
	waited++;
	a->next = NULL;
	*t->last = a;
	t->last = &a->next;
}

static void next_of_tenant(struct conn *c, unsigned tenant)
{
	struct tenant *t = &tenants[tenant];

	while (t->first && !c->ask) {
		struct day_ask *a = t->first;

		t->first = a->next;
		if (!t->first)
			t->last = &t->first;
		send_on(c, a);
	}
}

static void told_wrong(const struct day_ask *a, const struct day_answer *r)
{
	if (wrong++ < WRONG_TOLD)
		fprintf(stderr, "day: %s, tenant %u, folder %u, file %u, serial %u: %u with %ju bytes\n",
			day_mix_name(a), a->tenant, a->folder, a->file, a->serial, r->status, (uintmax_t)r->body_bytes);
}

static void answered(struct conn *c, uint64_t now)
{
	struct day_ask *a = c->ask;
	const unsigned tenant = a->tenant;

	timed(a, now);
	status_count[c->answer.status < 600 ? c->answer.status : 599]++;
	if (!day_mix_answered(a, c->answer.status, c->answer.body_bytes))
		told_wrong(a, &c->answer);
	in_flight--;
	free(a);
	c->ask = NULL;
	if (c->answer.closes)
		hang_up(c);
	next_of_tenant(c, tenant);
}

/* Shut by the server: between two requests it may. */
static void shut(struct conn *c)
{
	struct day_ask *a = c->ask;

	hang_up(c);
	if (!a)
		return;
	lost++;
	in_flight--;
	c->ask = NULL;
	next_of_tenant(c, a->tenant);
	free(a);
}

static void readable(struct conn *c)
{
	static char buf[65536];
	const ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || !c->ask) {
		shut(c);
		return;
	}
	day_answer_take(&c->answer, day_mix_bodyless(c->ask), buf, (size_t)n);
	if (c->answer.at == DAY_WHOLE)
		answered(c, now_ns());
	else if (c->answer.at == DAY_BROKEN)
		shut(c);
}

static void look(uint64_t wait_ns)
{
	const struct timespec t = { .tv_sec = (time_t)(wait_ns / S_NS), .tv_nsec = (long)(wait_ns % S_NS) };
	struct epoll_event e[EVENTS];
	const int n = epoll_pwait2(ep, e, EVENTS, &t, NULL);

	for (int i = 0; i < n; i++)
		readable(e[i].data.ptr);
}

/* ---- when ---- */

static struct day_ask *ask_new(void)
{
	struct day_ask *a = calloc(1, sizeof(*a));

	if (!a)
		die("memory");
	return a;
}

/* Time to the next request, in ns. */
static double gap(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return -log(((double)(rng >> 11) + 1) / 9007199254740993.0) * 1e9 / cfg.rate;
}

static void make_one(uint64_t due_ns, uint64_t now)
{
	struct day_ask *a = ask_new();

	day_mix_any(a, &rng);
	a->due_ns = due_ns;
	made++;
	if (now - due_ns > lag_max_ns)
		lag_max_ns = now - due_ns;
	late += now - due_ns > LATE_NS;
	start(a);
}

static void by_clock(void)
{
	const uint64_t began = now_ns(), end = began + (uint64_t)(cfg.seconds * 1e9);
	double due = (double)began + gap();

	for (uint64_t now = began; (uint64_t)due < end; now = now_ns()) {
		while ((uint64_t)due <= now && (uint64_t)due < end) {
			make_one((uint64_t)due, now);
			due += gap();
		}
		now = now_ns();
		look((uint64_t)due > now ? (uint64_t)due - now : 0);
	}
	for (uint64_t now = now_ns(); in_flight && now < end + GRACE_NS; now = now_ns())
		look(GRACE_NS / 100);
}

static bool next_step(struct day_ask *a, unsigned n)
{
	if (!cfg.login)
		return cfg.warm ? day_mix_warm(a, n) : day_mix_fill(a, n);
	a->tenant = n;
	day_mix_login(a);
	return n < cfg.layout.tenants;
}

static void by_window(void)
{
	struct day_ask *a = ask_new();

	while (next_step(a, made) || in_flight) {
		if (!next_step(a, made) || in_flight >= cfg.window) {
			look(S_NS);
			continue;
		}
		next_step(a, made++);
		a->due_ns = now_ns();
		start(a);
		a = ask_new();
	}
	free(a);
}

/* ---- the report ---- */

static int by_time(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double part_ms(const uint32_t *us, unsigned count, double part)
{
	const unsigned at = (unsigned)(part * count);

	return count ? us[at < count ? at : count - 1] / 1000.0 : 0;
}

static void tell_times(const char *name, uint32_t *us, unsigned count)
{
	if (count)
		qsort(us, count, sizeof(*us), by_time);
	printf("\"%s\": {\"count\": %u, \"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f}", name, count,
	       part_ms(us, count, 0.5), part_ms(us, count, 0.99), part_ms(us, count, 0.999), part_ms(us, count, 1));
}

/* What never came back has waited until now. */
static void count_unanswered(void)
{
	const uint64_t now = now_ns();

	for (unsigned i = 0; i < cfg.layout.tenants * cfg.each; i++) {
		if (conns[i].ask) {
			timed(conns[i].ask, now);
			unanswered++;
			free(conns[i].ask);
		}
	}
	for (unsigned i = 0; i < cfg.layout.tenants; i++) {
		for (struct day_ask *a = tenants[i].first, *next; a; a = next) {
			next = a->next;
			timed(a, now);
			unanswered++;
			free(a);
		}
	}
}

static void report(double took_s)
{
	struct rusage u;
	unsigned count = 0;
	uint32_t *all;
	const char *comma = "";

	getrusage(RUSAGE_SELF, &u);
	for (unsigned i = 0; i < DAY_CLASSES; i++)
		count += times[i].count;
	all = malloc((count + 1) * sizeof(*all));
	if (!all)
		die("memory");
	count = 0;
	for (unsigned i = 0; i < DAY_CLASSES; i++) {
		if (times[i].count)
			memcpy(all + count, times[i].us, times[i].count * sizeof(*all));
		count += times[i].count;
	}
	printf("{\"made\": %u, \"sent\": %u, \"seconds\": %.3f, \"wrong\": %u, \"lost\": %u, \"unanswered\": %u, "
	       "\"waited\": %u, \"late\": %u, \"lag_max_ms\": %.3f, \"cpu_s\": %.3f, \"ms\": {",
	       made, sent, took_s, wrong, lost, unanswered, waited, late, (double)lag_max_ns / 1e6,
	       (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	for (unsigned i = 0; i < DAY_CLASSES; i++) {
		tell_times(day_class_name[i], times[i].us, times[i].count);
		printf(", ");
	}
	tell_times("all", all, count);
	printf("}, \"status\": {");
	for (unsigned s = 0; s < 600; s++) {
		if (!status_count[s])
			continue;
		printf("%s\"%u\": %u", comma, s, status_count[s]);
		comma = ", ";
	}
	printf("}}\n");
	free(all);
}

/* ---- the command line ---- */

static bool options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "t:d:f:c:n:")) != -1) {
		const unsigned v = optarg ? (unsigned)atoi(optarg) : 0;

		if (o == 't')
			cfg.layout.tenants = v;
		else if (o == 'd')
			cfg.layout.folders = v;
		else if (o == 'f')
			cfg.layout.files = v;
		else if (o == 'c')
			cfg.each = v;
		else if (o == 'n')
			cfg.layout.run = v;
		else
			return false;
	}
	return cfg.layout.tenants && cfg.layout.folders && cfg.layout.files && cfg.each;
}

static bool arguments(int argc, char **argv)
{
	char host[64];
	unsigned port;

	if (argc < 3 || sscanf(argv[0], "%63[0-9.]:%u", host, &port) != 2)
		return false;
	cfg.to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	cfg.login = !strcmp(argv[2], "login");
	cfg.warm = !strcmp(argv[2], "warm");
	if (cfg.login || cfg.warm || !strcmp(argv[2], "fill")) {
		cfg.window = cfg.login ? 2 : 64;
		cfg.each = 1; /* a tenant's steps one after another */
	} else if (strcmp(argv[2], "run") || argc < 5) {
		return false;
	} else {
		cfg.rate = atof(argv[3]);
		cfg.seconds = atof(argv[4]);
	}
	return inet_pton(AF_INET, host, &cfg.to.sin_addr) == 1 && (cfg.window || (cfg.rate > 0 && cfg.seconds > 0));
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "mix")) {
		day_mix_tell();
		return 0;
	}
	if (!options(argc, argv) || !arguments(argc - optind, argv + optind)) {
		fprintf(stderr,
			"day [-t TENANTS] [-d FOLDERS] [-f FILES] [-c CONNECTIONS] [-n RUN] ADDR:PORT PASSWORD\n"
			"    login | fill | warm | run RATE SECONDS\nday mix\n");
		return 2;
	}
	rng += (uint64_t)cfg.layout.run << 20;
	conns = calloc((size_t)cfg.layout.tenants * cfg.each, sizeof(*conns));
	tenants = calloc(cfg.layout.tenants, sizeof(*tenants));
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || !tenants || ep < 0 || !day_mix_init(&cfg.layout, argv[optind + 1]))
		die("memory");
	for (unsigned i = 0; i < cfg.layout.tenants; i++)
		tenants[i].last = &tenants[i].first;
	for (unsigned i = 0; i < cfg.layout.tenants * cfg.each; i++)
		dial(&conns[i]);
	const uint64_t began = now_ns();
	if (cfg.window)
		by_window();
	else
		by_clock();
	const double took_s = (double)(now_ns() - began) / 1e9;
	count_unanswered();
	report(took_s);
	day_mix_fini();
	free(tenants);
	free(conns);
	return 0;
}
