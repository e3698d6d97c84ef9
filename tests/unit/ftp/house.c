/* See house.h. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/rcu.h"
#include "tests/unit/ftp/house.h"

struct gh_loop *the_loop;
struct fe_door *door;
int ctl = -1;
char big[3 << 20];
static int listener = -1;

/* Settings, by key, in milliseconds and bytes; 0 = the door's default. */
static int64_t idle_ms, login_ms, data_ms, stall_ms;

static int64_t number(const struct fe_env *env, const char *key)
{
	return !strcmp(key, "ftp.idle_timeout")    ? idle_ms
	       : !strcmp(key, "ftp.login_timeout") ? login_ms
	       : !strcmp(key, "ftp.data_timeout")  ? data_ms
	       : !strcmp(key, "ftp.stall_timeout") ? stall_ms
						   : 0;
}

static const char *text(const struct fe_env *env, const char *key)
{
	return !strcmp(key, "ftp.passive_ports") ? "0" : "";
}

void nap_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

/* ---- the door's life ---- */

struct arrival {
	struct gh_task task;
	int fd;
	struct gh_peer peer;
};

static void arrive(struct gh_task *t)
{
	struct arrival *a = (struct arrival *)t;

	fe_ftp.accept(door, the_loop, a->fd, &a->peer, NULL);
	free(a);
}

int dial(unsigned port, const char *from)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in local = { .sin_family = AF_INET };
	struct timeval five = { .tv_sec = 5 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(inet_pton(AF_INET, from, &local.sin_addr), 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &five, sizeof(five)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &five, sizeof(five)), 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		return -1;
	}
	return fd;
}

int client_new(void)
{
	struct arrival *a = calloc(1, sizeof(*a));
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd;

	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	fd = dial(ntohs(((struct sockaddr_in *)&sa)->sin_port), "127.0.0.1");
	len = sizeof(sa);
	a->fd = accept4(listener, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ge(a->fd, 0);
	gh_peer_init(&a->peer, (struct sockaddr *)&sa, len);
	a->task.fn = arrive;
	gh_loop_post(the_loop, &a->task);
	return fd;
}

static void door_start(void)
{
	struct fe_env env = { .loops = &the_loop, .loop_count = 1, .number = number, .text = text };
	struct sockaddr_in any = { .sin_family = AF_INET };
	char err[256] = "";

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 251);
	fake_reset();
	fake_live_reset();
	fake_file("/old", "old content", 11);
	ck_assert_int_eq(gh_loop_new(0, &the_loop), GH_OK);
	fake_loop(the_loop);
	ck_assert_msg(fe_ftp.open(&env, &door, err, sizeof(err)) == GH_OK, "%s", err);
	ck_assert_int_eq(fe_ftp.start(door, the_loop), GH_OK);
	ck_assert_int_eq(gh_loop_start(the_loop), GH_OK);
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	ctl = client_new();
}

void setup(void)
{
	idle_ms = login_ms = data_ms = stall_ms = 0;
	door_start();
}

void setup_hasty(void)
{
	idle_ms = 800; /* not so little that a busy machine misses them between two commands */
	login_ms = 1500;
	data_ms = 300;
	stall_ms = 300;
	door_start();
}

struct quiesce {
	struct gh_task task;
	atomic_int done; /* 1 again, 2 yes */
};

static void quiesce(struct gh_task *t)
{
	struct quiesce *q = (struct quiesce *)t;

	atomic_store(&q->done, fe_ftp.quiesce(door, the_loop) ? 2 : 1);
}

void teardown(void)
{
	struct quiesce q = { .task.fn = quiesce };
	unsigned live;

	if (ctl >= 0)
		close(ctl);
	close(listener);
	fake_hold_streams(false);
	for (unsigned op = 0; op < VFS_OP_COUNT; op++)
		fake_hold(op, false);
	fe_ftp.drain(door, &live);
	do {
		atomic_store(&q.done, 0);
		gh_loop_post(the_loop, &q.task);
		while (!atomic_load(&q.done))
			nap_ms(1);
	} while (atomic_load(&q.done) != 2);
	fe_ftp.drain(door, &live);
	ck_assert_uint_eq(live, 0);
	fake_release(the_loop);
	for (unsigned i = 0; i < 300 && fake_live(); i++)
		nap_ms(10);
	ck_assert_uint_eq(fake_live(), 0);
	ck_assert_uint_eq(fake_live_count(the_loop), 0);
	gh_loop_stop(the_loop);
	gh_loop_free(&the_loop);
	fe_ftp.close(&door);
	gh_rcu_barrier();
	fake_reset();
}

/* ---- a client ---- */

char reply_text[1 << 18];

/* One whole reply; 0 at the end of the connection, -1 when none came in time. */
int reply(void)
{
	size_t n = 0, line = 0;
	int code = 0;

	for (;;) {
		ssize_t got = recv(ctl, reply_text + n, 1, 0);

		if (got <= 0) {
			reply_text[n] = '\0';
			return got == 0 || errno == ECONNRESET ? 0 : -1;
		}
		ck_assert_uint_lt(n, sizeof(reply_text) - 1);
		if (reply_text[n++] != '\n')
			continue;
		reply_text[n] = '\0';
		if (n - line >= 5 && reply_text[line] >= '1' && reply_text[line] <= '5' && reply_text[line + 3] == ' ')
			return code ? code : atoi(reply_text + line);
		if (!code)
			code = atoi(reply_text);
		line = n;
	}
}

void say(const char *line)
{
	char bytes[8192];
	int n = snprintf(bytes, sizeof(bytes), "%s\r\n", line);

	ck_assert_int_lt(n, (int)sizeof(bytes));
	ck_assert_int_eq(send(ctl, bytes, (size_t)n, MSG_NOSIGNAL), n);
}

int command(const char *line)
{
	say(line);
	return reply();
}

/* Nothing more comes within a while. */
void expect_silence(void)
{
	struct pollfd p = { .fd = ctl, .events = POLLIN };

	ck_assert_msg(poll(&p, 1, 60) == 0, "an unexpected reply");
}

void login(void)
{
	EXPECT_REPLY(220);
	EXPECT("USER ann", 331);
	EXPECT("PASS right", 230);
	EXPECT("TYPE I", 200);
}

static int passive_from(const char *from)
{
	const char *p;

	EXPECT("EPSV", 229);
	p = strstr(reply_text, "|||");
	ck_assert_ptr_nonnull(p);
	return dial((unsigned)atoi(p + 3), from);
}

int passive(void)
{
	return passive_from("127.0.0.1");
}

/* Everything until the end. *ret_reset: it did not end in order. */
size_t drain(int fd, char *buf, size_t cap, bool *ret_reset)
{
	size_t n = 0;
	ssize_t got;

	while ((got = recv(fd, buf + n, cap - n, 0)) > 0)
		n += (size_t)got;
	*ret_reset = got < 0;
	close(fd);
	return n;
}

void reset(int fd)
{
	struct linger now = { .l_onoff = 1 };

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
}

bool live_settles_at(unsigned count)
{
	for (unsigned i = 0; i < 300; i++) {
		if (fake_live() == count)
			return true;
		nap_ms(10);
	}
	return false;
}

int run_cases(const char *name, TCase *const *cases, unsigned count)
{
	Suite *s = suite_create(name);
	SRunner *r = srunner_create(s);
	int failed;

	for (unsigned i = 0; i < count; i++) {
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(s, cases[i]);
	}
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
