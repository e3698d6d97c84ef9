/* A load generator for every door: so many connections, each with one request at a time; flat out, or so many requests a
 * second in all, whose time then counts from when they were due (a server that stalls cannot slow its own measuring). One
 * thread, epoll, loopback. Used by tests/conformance/fair.py and tests/bench/fair.py.
 *
 *   flood DOOR ADDR:PORT USER PASSWORD WHAT CONNECTIONS SECONDS [RATE]
 *
 * DOOR: webdav, rest, ftp. WHAT: get (of /f4k, which has to be there; FTP: SIZE and RETR of it in turn), put (of 1 KiB to
 * names that are new; FTP: MKD). Prints one JSON object: what was answered, how fast, and what refusals promised.
 * Times are of what was done; refused_max_ms is of what was refused (503, 429, 450, 421).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUF 32768
#define TIMES_MAX 8000000u
#define TIMES_TOLD 10000u /* where there are no more, each is told */
#define CLIENTS_MAX 4096u
#define S_NS 1000000000ull

enum step { IDLE, HTTP, FTP_GREETING, FTP_USER, FTP_PASS, FTP_TYPE, FTP_ONE, FTP_EPSV, FTP_RETR, FTP_DATA, DEAD };

struct client {
	int fd, data;
	enum step step;
	uint64_t since_ns;
	size_t len;
	unsigned turn;
	char buf[BUF];
};

static struct {
	const char *door, *user, *password, *what;
	struct sockaddr_in to;
	unsigned clients;
	double seconds, rate;
	bool ftp, put;
	char auth[512];
} cfg;

static struct client *all;
static struct client *idle[CLIENTS_MAX];
static unsigned idle_count;
static int ep;
static uint64_t end_ns, serial;
static uint32_t *times; /* us */
static unsigned time_count, status_count[600], errors, retry_min = UINT32_MAX, retry_max;
static uint64_t refused_max_ns, first_ns;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * S_NS + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- sockets ---- */

static int dial(uint16_t port)
{
	struct sockaddr_in to = cfg.to;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (port)
		to.sin_port = htons(port);
	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) { /* loopback: at once, or never */
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void watch(int fd, struct client *c)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static void say(struct client *c, const char *text, size_t len)
{
	if (send(c->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		errors++;
}

/* ---- answers ---- */

static void answered(struct client *c, unsigned status, unsigned retry_s)
{
	const uint64_t took = now_ns() - c->since_ns;
	const bool refused = status == 503 || status == 429 || status == 450 || status == 421;

	status_count[status < 600 ? status : 599]++;
	c->step = IDLE;
	c->len = 0;
	idle[idle_count++] = c;
	if (!refused) {
		if (status < 400 && time_count < TIMES_MAX)
			times[time_count++] = took / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(took / 1000);
		return;
	}
	refused_max_ns = took > refused_max_ns ? took : refused_max_ns;
	retry_min = retry_s < retry_min ? retry_s : retry_min;
	retry_max = retry_s > retry_max ? retry_s : retry_max;
}

static void begin(struct client *c)
{
	c->len = 0;
	c->data = -1;
	c->fd = dial(0);
	if (c->fd < 0) {
		c->step = DEAD;
		errors++;
		return;
	}
	watch(c->fd, c);
	c->step = cfg.ftp ? FTP_GREETING : IDLE;
	if (!cfg.ftp)
		idle[idle_count++] = c;
}

static void lost(struct client *c)
{
	if (c->step != IDLE)
		errors++;
	else /* shut between two requests: nothing was lost */
		for (unsigned i = 0; i < idle_count; i++)
			if (idle[i] == c)
				idle[i--] = idle[--idle_count];
	if (c->data >= 0)
		close(c->data);
	close(c->fd);
	begin(c);
}

/* ---- HTTP ---- */

static void http_send(struct client *c)
{
	static const char body[1024];
	const char *prefix = !strcmp(cfg.door, "rest") ? "/api/v1/content" : "/dav";
	char text[4096];
	int n;

	if (cfg.put)
		n = snprintf(text, 2048, "PUT %s/p%d-%llu HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\nContent-Length: 1024\r\n\r\n",
			     prefix, (int)getpid(), (unsigned long long)serial++, cfg.auth);
	else
		n = snprintf(text, 2048, "GET %s/f4k HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\n\r\n", prefix, cfg.auth);
	if (cfg.put) {
		memcpy(text + n, body, sizeof(body));
		n += (int)sizeof(body);
	}
	c->step = HTTP;
	say(c, text, (size_t)n);
}

static const char *header(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at ? at + strlen(name) : NULL;
}

/* false: not whole yet. */
static bool http_got(struct client *c)
{
	char *end = memmem(c->buf, c->len, "\r\n\r\n", 4);
	const char *v;

	if (!end)
		return false;
	*end = '\0';
	const unsigned status = (unsigned)atoi(c->buf + 9);
	const size_t length = (v = header(c->buf, "\r\ncontent-length:")) ? (size_t)atol(v) : 0;
	const unsigned retry_s = (v = header(c->buf, "\r\nretry-after:")) ? (unsigned)atoi(v) : 0;
	const bool closes = header(c->buf, "\r\nconnection: close") != NULL;
	if (c->len < (size_t)(end + 4 - c->buf) + length) {
		*end = '\r';
		return false;
	}
	answered(c, status, retry_s);
	if (closes)
		lost(c);
	return true;
}

/* ---- FTP ---- */

static void ftp_say(struct client *c, enum step next, const char *verb, const char *arg)
{
	char text[512];
	const int n = snprintf(text, sizeof(text), "%s%s%s\r\n", verb, *arg ? " " : "", arg);

	c->step = next;
	say(c, text, (size_t)n);
}

static void ftp_send(struct client *c)
{
	char name[64];

	snprintf(name, sizeof(name), "d%d-%llu", (int)getpid(), (unsigned long long)serial++);
	if (cfg.put)
		ftp_say(c, FTP_ONE, "MKD", name);
	else if (c->turn++ % 2)
		ftp_say(c, FTP_EPSV, "EPSV", "");
	else
		ftp_say(c, FTP_ONE, "SIZE", "f4k");
}

/* "... try again in N s." */
static unsigned ftp_retry(const char *text)
{
	const char *at = strstr(text, "again in ");

	return at ? (unsigned)atoi(at + 9) : 0;
}

static void ftp_end(struct client *c, unsigned code, const char *text)
{
	if (c->data >= 0)
		close(c->data);
	c->data = -1;
	answered(c, code, ftp_retry(text));
}

static void ftp_reply(struct client *c, unsigned code, const char *text)
{
	const char *at;

	switch (c->step) {
	case FTP_GREETING:
		ftp_say(c, FTP_USER, "USER", cfg.user);
		return;
	case FTP_USER:
		ftp_say(c, FTP_PASS, "PASS", cfg.password);
		return;
	case FTP_PASS:
		if (code != 230) {
			lost(c);
			return;
		}
		ftp_say(c, FTP_TYPE, "TYPE", "I");
		return;
	case FTP_TYPE:
		c->step = IDLE;
		idle[idle_count++] = c;
		return;
	case FTP_EPSV:
		at = strstr(text, "(|||");
		c->data = code == 229 && at ? dial((uint16_t)atoi(at + 4)) : -1;
		if (c->data < 0)
			ftp_end(c, code, text);
		else
			ftp_say(c, FTP_RETR, "RETR", "f4k");
		return;
	case FTP_RETR:
		if (code == 150 || code == 125)
			c->step = FTP_DATA; /* 4 KiB fit into the socket: read when the reply says that all is sent */
		else
			ftp_end(c, code, text);
		return;
	case FTP_ONE:
	case FTP_DATA:
		ftp_end(c, code, text);
		return;
	case IDLE: /* "421 Timeout." and the like */
	case HTTP:
	case DEAD:
		return;
	}
}

static bool ftp_got(struct client *c)
{
	char *end = memmem(c->buf, c->len, "\r\n", 2);

	if (!end)
		return false;
	*end = '\0';
	const size_t used = (size_t)(end + 2 - c->buf);
	char line[512];
	snprintf(line, sizeof(line), "%.511s", c->buf);
	c->len -= used;
	memmove(c->buf, c->buf + used, c->len);
	if (strlen(line) >= 4 && line[3] == ' ')
		ftp_reply(c, (unsigned)atoi(line), line);
	return c->len > 0;
}

/* ---- the loop ---- */

static void readable(struct client *c)
{
	const ssize_t n = recv(c->fd, c->buf + c->len, BUF - 1 - c->len, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		lost(c);
		return;
	}
	c->len += (size_t)n;
	c->buf[c->len] = '\0';
	if (c->step == HTTP)
		(void)http_got(c);
	else if (cfg.ftp)
		while (ftp_got(c))
			;
}

static void send_one(uint64_t since_ns)
{
	struct client *c = idle[--idle_count];

	c->since_ns = since_ns;
	if (cfg.ftp)
		ftp_send(c);
	else
		http_send(c);
}

/* What is due now; when the next is, or UINT64_MAX. */
static uint64_t send_due(uint64_t start_ns, uint64_t *due)
{
	const uint64_t now = now_ns();

	if (!cfg.rate) {
		while (idle_count)
			send_one(now_ns());
		return UINT64_MAX;
	}
	for (;;) {
		const uint64_t at = start_ns + (uint64_t)((double)*due * 1e9 / cfg.rate);
		if (at > now || !idle_count)
			return at > now ? at : UINT64_MAX;
		send_one(at);
		++*due;
	}
}

static void flood(void)
{
	struct epoll_event e[256];
	uint64_t due = 0;

	for (uint64_t now; (now = now_ns()) < end_ns;) {
		uint64_t next = send_due(first_ns, &due);
		next = next < end_ns ? next : end_ns;
		now = now_ns();
		const uint64_t wait = next > now ? next - now : 0;
		const struct timespec t = { .tv_sec = (time_t)(wait / S_NS), .tv_nsec = (long)(wait % S_NS) };
		const int n = epoll_pwait2(ep, e, 256, &t, NULL);
		for (int i = 0; i < n; i++)
			readable(e[i].data.ptr);
	}
}

/* Logins are not what is measured: everybody is in before the first request. */
static void log_in(void)
{
	const uint64_t until = now_ns() + 30 * S_NS;
	struct epoll_event e[256];

	while (idle_count < cfg.clients && now_ns() < until) {
		const int n = epoll_wait(ep, e, 256, 100);
		for (int i = 0; i < n; i++)
			readable(e[i].data.ptr);
	}
	if (idle_count < cfg.clients) {
		fprintf(stderr, "flood: %u of %u connections came in\n", idle_count, cfg.clients);
		exit(1);
	}
	errors = 0;
}

static int by_time(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double part_ms(double part)
{
	if (!time_count)
		return 0;
	const unsigned at = (unsigned)(part * time_count);
	return times[at < time_count ? at : time_count - 1] / 1000.0;
}

static void report(void)
{
	const char *comma = "";
	/* What never came back has waited until now, refused or not. */
	uint64_t longest = 0, hanging = 0;

	for (unsigned i = 0; i < cfg.clients; i++) {
		const uint64_t took = now_ns() - all[i].since_ns;
		if (all[i].step == IDLE || all[i].step == DEAD)
			continue;
		hanging++;
		longest = took > longest ? took : longest;
	}
	qsort(times, time_count, sizeof(*times), by_time);
	printf("{\"served\": %u, \"rate\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"refused_max_ms\": %.3f, "
	       "\"open\": %llu, \"open_ms\": %.3f, \"errors\": %u, \"retry\": [%u, %u], \"status\": {",
	       time_count, time_count / cfg.seconds, part_ms(0.5), part_ms(0.99), part_ms(1), (double)refused_max_ns / 1e6,
	       (unsigned long long)hanging, (double)longest / 1e6, errors, retry_max ? retry_min : 0, retry_max);
	for (unsigned s = 0; s < 600; s++) {
		if (!status_count[s])
			continue;
		printf("%s\"%u\": %u", comma, s, status_count[s]);
		comma = ", ";
	}
	printf("}, \"times_us\": [");
	for (unsigned i = 0; time_count <= TIMES_TOLD && i < time_count; i++)
		printf("%s%u", i ? ", " : "", times[i]);
	printf("]}\n");
}

static void auth_make(void)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char plain[256];
	const unsigned n = (unsigned)snprintf(plain, sizeof(plain), "%s:%s", cfg.user, cfg.password);
	char *at = cfg.auth;

	for (unsigned i = 0; i < n; i += 3) {
		const unsigned left = n - i;
		const unsigned v = (unsigned)(unsigned char)plain[i] << 16 |
				   (left > 1 ? (unsigned)(unsigned char)plain[i + 1] << 8 : 0) |
				   (left > 2 ? (unsigned)(unsigned char)plain[i + 2] : 0);
		*at++ = digits[v >> 18];
		*at++ = digits[v >> 12 & 63];
		*at++ = left > 1 ? digits[v >> 6 & 63] : '=';
		*at++ = left > 2 ? digits[v & 63] : '=';
	}
	*at = '\0';
}

int main(int argc, char **argv)
{
	char host[64];
	unsigned port;

	if (argc < 8 || sscanf(argv[2], "%63[0-9.]:%u", host, &port) != 2) {
		fprintf(stderr, "flood DOOR ADDR:PORT USER PASSWORD get|put CONNECTIONS SECONDS [RATE]\n");
		return 2;
	}
	cfg.door = argv[1];
	cfg.user = argv[3];
	cfg.password = argv[4];
	cfg.what = argv[5];
	cfg.clients = (unsigned)atoi(argv[6]);
	cfg.seconds = atof(argv[7]);
	cfg.rate = argc > 8 ? atof(argv[8]) : 0;
	cfg.ftp = !strcmp(cfg.door, "ftp");
	cfg.put = !strcmp(cfg.what, "put");
	cfg.to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	inet_pton(AF_INET, host, &cfg.to.sin_addr);
	auth_make();
	all = calloc(cfg.clients, sizeof(*all));
	times = calloc(TIMES_MAX, sizeof(*times));
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!all || !times || ep < 0 || !cfg.clients || cfg.clients > CLIENTS_MAX)
		return 2;
	for (unsigned i = 0; i < cfg.clients; i++) {
		all[i].turn = i;
		begin(&all[i]);
	}
	log_in();
	first_ns = now_ns();
	end_ns = first_ns + (uint64_t)(cfg.seconds * 1e9);
	flood();
	report();
	free(times);
	free(all);
	return 0;
}
