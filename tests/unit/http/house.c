/* See house.h. The test's thread is the client; the loop's thread is the server. */
#include "tests/unit/http/house.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"

static struct {
	const char *key;
	int64_t value;
} settings[8];
static unsigned setting_count;

void house_set(const char *key, int64_t value)
{
	settings[setting_count].key = key;
	settings[setting_count++].value = value;
}

static int64_t number(const struct fe_env *env, const char *key)
{
	for (unsigned i = 0; i < setting_count; i++)
		if (!strcmp(settings[i].key, key))
			return settings[i].value;
	return 0;
}

void house_sleep(unsigned ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

static void listen_here(struct house *h)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	h->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(h->listen_fd, (struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(listen(h->listen_fd, 512), 0);
	ck_assert_int_eq(getsockname(h->listen_fd, (struct sockaddr *)&a, &len), 0);
	h->port = ntohs(a.sin_port);
}

void house_open(struct house *h)
{
	char err[256];

	signal(SIGPIPE, SIG_IGN);
	memset(h, 0, sizeof(*h));
	h->core = fake_new();
	fake_live_reset();
	ck_assert_int_eq(gh_loop_new(0, &h->loop), GH_OK);
	h->loops[0] = h->loop;
	h->env = (struct fe_env){ .core = h->core, .loops = h->loops, .loop_count = 1, .number = number };
	ck_assert_int_eq(fe_http.open(&h->env, &h->door, err, sizeof(err)), GH_OK);
	ck_assert_int_eq(fe_http.start(h->door, h->loop), GH_OK);
	listen_here(h);
	ck_assert_int_eq(gh_loop_start(h->loop), GH_OK);
}

/* ---- things done on the loop's thread ---- */

struct errand {
	struct gh_task task;
	struct house *house;
	int fd;
	bool result;
	atomic_bool done;
};

static void errand_run(struct house *h, struct errand *e, void (*fn)(struct gh_task *))
{
	e->house = h;
	e->task.fn = fn;
	gh_loop_post(h->loop, &e->task);
	while (!atomic_load(&e->done))
		house_sleep(1);
}

static void accept_there(struct gh_task *t)
{
	struct errand *e = (struct errand *)t;
	struct gh_peer p = { .addr_len = sizeof(struct sockaddr_in), .text = "127.0.0.1" };

	((struct sockaddr_in *)&p.addr)->sin_family = AF_INET;
	fe_http.accept(e->house->door, e->house->loop, e->fd, &p, NULL);
	atomic_store(&e->done, true);
}

static void quiesce_there(struct gh_task *t)
{
	struct errand *e = (struct errand *)t;

	e->result = fe_http.quiesce(e->house->door, e->house->loop);
	atomic_store(&e->done, true);
}

bool house_quiesce(struct house *h)
{
	struct errand e = { .result = false };

	errand_run(h, &e, quiesce_there);
	return e.result;
}

int house_connect(struct house *h)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)h->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct errand e = { .result = false };

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	e.fd = accept4(h->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ge(e.fd, 0);
	errand_run(h, &e, accept_there);
	return fd;
}

static void until_nothing_is_left(struct house *h)
{
	for (unsigned i = 0; i < 300 && atomic_load(&h->core->reqs); i++)
		house_sleep(10); /* detached work runs to its end */
	ck_assert_uint_eq(atomic_load(&h->core->reqs), 0);
	ck_assert_uint_eq(atomic_load(&h->core->contents), 0);
	ck_assert_uint_eq(atomic_load(&h->core->uploads), 0);
	ck_assert_uint_eq(atomic_load(&h->core->sessions), 0);
}

void house_close(struct house *h)
{
	unsigned live;

	fe_http.drain(h->door, &live);
	for (unsigned i = 0; !house_quiesce(h); i++) {
		ck_assert_uint_lt(i, 1000);
		house_sleep(1);
	}
	until_nothing_is_left(h);
	gh_loop_stop(h->loop);
	fe_http.drain(h->door, &live);
	ck_assert_uint_eq(live, 0);
	fe_http.close(&h->door);
	gh_loop_free(&h->loop);
	fake_free(h->core);
	close(h->listen_fd);
	setting_count = 0;
}

/* ---- the client ---- */

void say_bytes(int fd, const void *p, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, (const char *)p + at, len - at, MSG_NOSIGNAL);

		if (n < 0)
			return; /* the server has enough; what it says is what counts */
		at += (size_t)n;
	}
}

void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* One byte; -1 at the end, after an error, or after 5 s of silence. */
static int byte(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned char c;

	if (poll(&p, 1, 5000) <= 0)
		return -1;
	return recv(fd, &c, 1, 0) == 1 ? c : -1;
}

static bool head_read(int fd, struct heard *a)
{
	size_t n = 0;
	int c;

	while ((c = byte(fd)) >= 0 && n + 1 < sizeof(a->head)) {
		a->head[n++] = (char)c;
		if (n >= 4 && !memcmp(a->head + n - 4, "\r\n\r\n", 4))
			return true;
	}
	return false;
}

const char *heard_field(const struct heard *a, const char *name)
{
	static char value[1024];
	size_t len = strlen(name);

	for (const char *p = strstr(a->head, "\r\n"); p && p[2]; p = strstr(p + 2, "\r\n")) {
		if (strncasecmp(p + 2, name, len) || p[2 + len] != ':')
			continue;
		p += 2 + len + 1;
		p += strspn(p, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(p, "\r"), p);
		return value;
	}
	return NULL;
}

static void append(struct heard *a, size_t want, int fd)
{
	a->body = realloc(a->body, a->len + want + 1);
	while (want) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n = poll(&p, 1, 5000) > 0 ? recv(fd, a->body + a->len, want, 0) : -1;

		if (n <= 0) {
			a->cut = true;
			break;
		}
		a->len += (size_t)n;
		want -= (size_t)n;
	}
	a->body[a->len] = '\0';
}

static void chunks_read(int fd, struct heard *a)
{
	for (;;) {
		char size[32];
		size_t n = 0;
		int c;

		while ((c = byte(fd)) >= 0 && c != '\n' && n + 1 < sizeof(size))
			size[n++] = (char)c;
		size[n] = '\0';
		n = c < 0 ? 0 : strtoul(size, NULL, 16);
		a->cut |= c < 0;
		if (n)
			append(a, n, fd);
		a->cut |= byte(fd) != '\r' || byte(fd) != '\n';
		if (!n || a->cut)
			return;
	}
}

void hear(int fd, const char *method, struct heard *a)
{
	const char *length, *coding;

	memset(a, 0, sizeof(*a));
	a->body = calloc(1, 1);
	if (!head_read(fd, a))
		return;
	a->status = atoi(a->head + 9);
	if (!strcmp(method, "HEAD") || a->status < 200 || a->status == 204 || a->status == 304)
		return;
	coding = heard_field(a, "Transfer-Encoding");
	if (coding) {
		chunks_read(fd, a);
		return;
	}
	length = heard_field(a, "Content-Length");
	if (length) {
		append(a, strtoul(length, NULL, 10), fd);
		return;
	}
	for (int c; (c = byte(fd)) >= 0;) {
		a->body = realloc(a->body, a->len + 2);
		a->body[a->len++] = (char)c;
		a->body[a->len] = '\0';
	}
}

void unhear(struct heard *a)
{
	free(a->body);
	a->body = NULL;
}

bool closed_within(int fd, unsigned ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	return poll(&p, 1, (int)ms) > 0 && recv(fd, &c, 1, 0) <= 0;
}
