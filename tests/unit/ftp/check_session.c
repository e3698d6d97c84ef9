/* The door as a client meets it, over real sockets and a core of the test's own (fake_vfs.h): one reply per command at
 * every interruption, nothing left behind, nothing stored that was not whole. */
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
#include "core/fe_api.h"
#include "tests/unit/ftp/fake_vfs.h"

static struct gh_loop *the_loop;
static struct fe_door *door;
static int listener = -1, ctl = -1;
static char big[3 << 20];

/* Settings, by key, in milliseconds and bytes; 0 = the door's default. */
static int64_t idle_ms, login_ms, data_ms, stall_ms;

static int64_t number(const struct fe_env *env, const char *key)
{
	return !strcmp(key, "ftp.idle_timeout") ? idle_ms : !strcmp(key, "ftp.login_timeout") ? login_ms :
	       !strcmp(key, "ftp.data_timeout") ? data_ms : !strcmp(key, "ftp.stall_timeout") ? stall_ms : 0;
}

static const char *text(const struct fe_env *env, const char *key)
{
	return !strcmp(key, "ftp.passive_ports") ? "0" : "";
}

static void nap_ms(unsigned ms)
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

static int dial(unsigned port, const char *from)
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

static int client_new(void)
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

static void setup(void)
{
	idle_ms = login_ms = data_ms = stall_ms = 0;
	door_start();
}

static void setup_hasty(void)
{
	idle_ms = 400;
	login_ms = 400;
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

static void teardown(void)
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
	gh_loop_stop(the_loop);
	gh_loop_free(&the_loop);
	fe_ftp.close(&door);
	gh_rcu_barrier();
	fake_reset();
}

/* ---- a client ---- */

static char reply_text[1 << 18];

/* One whole reply; 0 at the end of the connection, -1 when none came in time. */
static int reply(void)
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

static void say(const char *line)
{
	char bytes[8192];
	int n = snprintf(bytes, sizeof(bytes), "%s\r\n", line);

	ck_assert_int_lt(n, (int)sizeof(bytes));
	ck_assert_int_eq(send(ctl, bytes, (size_t)n, MSG_NOSIGNAL), n);
}

static int command(const char *line)
{
	say(line);
	return reply();
}

#define EXPECT(line, code) ck_assert_msg(command(line) == (code), "%s: wanted %d, got %s", line, code, reply_text)
#define EXPECT_REPLY(code)                                                                    \
	do {                                                                                  \
		int got_ = reply();                                                           \
		ck_assert_msg(got_ == (code), "wanted %d, got %d: %s", code, got_, reply_text); \
	} while (0)

/* Nothing more comes within a while. */
static void expect_silence(void)
{
	struct pollfd p = { .fd = ctl, .events = POLLIN };

	ck_assert_msg(poll(&p, 1, 60) == 0, "an unexpected reply");
}

static void login(void)
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

static int passive(void)
{
	return passive_from("127.0.0.1");
}

/* Everything until the end. *ret_reset: it did not end in order. */
static size_t drain(int fd, char *buf, size_t cap, bool *ret_reset)
{
	size_t n = 0;
	ssize_t got;

	while ((got = recv(fd, buf + n, cap - n, 0)) > 0)
		n += (size_t)got;
	*ret_reset = got < 0;
	close(fd);
	return n;
}

static void reset(int fd)
{
	struct linger now = { .l_onoff = 1 };

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
}

static bool live_settles_at(unsigned count)
{
	for (unsigned i = 0; i < 300; i++) {
		if (fake_live() == count)
			return true;
		nap_ms(10);
	}
	return false;
}

/* ---- login ---- */

START_TEST(commands_before_login_are_refused)
{
	EXPECT_REPLY(220);
	EXPECT("RETR old", 530);
	EXPECT("SITE HELP", 530);
	EXPECT("PASV", 530);
	EXPECT("FEAT", 211);
	EXPECT("OPTS UTF8 ON", 200);
	EXPECT("HOST files.example", 220);
	EXPECT("PASS right", 503);
	EXPECT("USER ann", 331);
	EXPECT("HOST files.example", 503);
	EXPECT("PASS right", 230);
	EXPECT("USER bob", 503);
}
END_TEST

START_TEST(a_wrong_password_is_answered_late_and_five_end_the_session)
{
	struct timespec a, b;

	EXPECT_REPLY(220);
	for (int i = 0; i < 5; i++) {
		EXPECT("USER ann", 331);
		clock_gettime(CLOCK_MONOTONIC, &a);
		EXPECT("PASS wrong", i < 4 ? 530 : 421);
		clock_gettime(CLOCK_MONOTONIC, &b);
		ck_assert_int_ge((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000, 900);
	}
	EXPECT_REPLY(0);
}
END_TEST

START_TEST(overload_at_login_is_421_never_530)
{
	EXPECT_REPLY(220);
	fake_status(VFS_LOGIN, GH_BUSY, NULL);
	EXPECT("USER ann", 331);
	EXPECT("PASS right", 421);
	EXPECT_REPLY(0);
}
END_TEST

START_TEST(rein_forgets_who_it_was)
{
	login();
	EXPECT("REIN", 220);
	EXPECT("PWD", 530);
	EXPECT("PASS right", 503);
	ck_assert(live_settles_at(0));
}
END_TEST

/* ---- lines ---- */

START_TEST(pipelined_commands_are_answered_in_order_each_once)
{
	login();
	say("PWD\r\nSIZE old\r\nNONSENSE\r\nCWD /\r\nMKD new\r\nNOOP");
	EXPECT_REPLY(257);
	EXPECT_REPLY(213);
	EXPECT_REPLY(500);
	EXPECT_REPLY(250);
	EXPECT_REPLY(257);
	EXPECT_REPLY(200);
	expect_silence();
}
END_TEST

START_TEST(garbage_ends_the_session_after_a_few_lines_and_http_at_once)
{
	EXPECT_REPLY(220);
	for (int i = 0; i < 4; i++)
		EXPECT("\xfe\xfe\xfe", 500);
	EXPECT("\x80", 421);
	EXPECT_REPLY(0);
	close(ctl);
	ctl = client_new();
	EXPECT_REPLY(220);
	say("GET / HTTP/1.1\r\nHost: x\r\n");
	EXPECT_REPLY(421);
	EXPECT_REPLY(0);
}
END_TEST

START_TEST(control_characters_in_arguments_are_refused)
{
	login();
	ck_assert_int_eq(send(ctl, "SIZE a\0b\r\n", 10, 0), 10);
	EXPECT_REPLY(501);
	EXPECT("SIZE a\rb", 501);
	EXPECT("SIZE a\tb", 501);
	EXPECT("DELE \x7f", 501);
}
END_TEST

START_TEST(a_client_that_never_reads_is_not_read_either)
{
	size_t sent = 0;

	login();
	/* Far more FEATs than fit into both socket buffers with their answers. */
	for (unsigned i = 0; i < 400000 && sent < (64u << 20); i++) {
		ssize_t n = send(ctl, "FEAT\r\nHELP\r\n", 12, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	ck_assert_uint_lt(sent, 32u << 20);
}
END_TEST

/* ---- transfers ---- */

START_TEST(small_and_large_files_come_back_whole_from_every_source)
{
	static char got[sizeof(big)];
	bool was_reset;

	login();
	fake_file("/big", big, sizeof(big));
	for (int source = 0; source < 3; source++) {
		int fd = passive();

		fake_reading(source == 1, 0, source != 0);
		fake_wait_every(source == 2 ? 3 : 0);
		EXPECT("RETR old", 150);
		ck_assert_uint_eq(drain(fd, got, sizeof(got), &was_reset), 11);
		ck_assert_mem_eq(got, "old content", 11);
		EXPECT_REPLY(226);
		fd = passive();
		EXPECT("REST 1000001", 350);
		EXPECT("RETR big", 150);
		ck_assert_uint_eq(drain(fd, got, sizeof(got), &was_reset), sizeof(big) - 1000001);
		ck_assert(!memcmp(got, big + 1000001, sizeof(big) - 1000001));
		EXPECT_REPLY(226);
	}
	ck_assert(live_settles_at(1)); /* the user */
}
END_TEST

START_TEST(uploads_arrive_whole_and_late_stores_only_slow_them)
{
	int code;
	uint64_t bytes;
	char verb[16];

	login();
	for (unsigned every = 0; every < 6; every += 2) {
		int fd = passive();

		fake_wait_every(every);
		EXPECT("STOR new", 150);
		ck_assert_int_eq(send(fd, big, sizeof(big), 0), sizeof(big));
		close(fd);
		EXPECT_REPLY(226);
		ck_assert(fake_is("/new", big, sizeof(big)));
		fake_last_log(verb, sizeof(verb), &code, &bytes);
		ck_assert_str_eq(verb, "STOR");
		ck_assert_int_eq(code, 226);
		ck_assert_uint_eq(bytes, sizeof(big));
	}
}
END_TEST

START_TEST(rest_and_appe_keep_what_is_there)
{
	int fd;

	login();
	fd = passive();
	EXPECT("REST 4", 350);
	EXPECT("STOR old", 150);
	ck_assert_int_eq(send(fd, "NEW", 3, 0), 3);
	close(fd);
	EXPECT_REPLY(226);
	ck_assert(fake_is("/old", "old NEW", 7));
	fd = passive();
	EXPECT("APPE old", 150);
	ck_assert_int_eq(send(fd, "!", 1, 0), 1);
	close(fd);
	EXPECT_REPLY(226);
	ck_assert(fake_is("/old", "old NEW!", 8));
	fd = passive();
	EXPECT("REST 9", 350);
	EXPECT("STOR old", 554);
	close(fd);
	fd = passive();
	EXPECT("REST 9", 350);
	EXPECT("RETR old", 554);
	close(fd);
	EXPECT("REST 3", 350);
	fd = passive();
	EXPECT("APPE old", 503);
	close(fd);
	ck_assert(fake_is("/old", "old NEW!", 8));
}
END_TEST

START_TEST(ascii_transfers_convert_both_ways)
{
	char got[64];
	bool was_reset;
	int fd;

	login();
	EXPECT("TYPE A", 200);
	EXPECT("REST 5", 501);
	EXPECT("SIZE old", 550);
	fd = passive();
	EXPECT("STOR t", 150);
	ck_assert_int_eq(send(fd, "a\r\nb\r", 5, 0), 5);
	nap_ms(50);
	ck_assert_int_eq(send(fd, "\nc\rd\r", 5, 0), 5);
	close(fd);
	EXPECT_REPLY(226);
	ck_assert(fake_is("/t", "a\nb\nc\rd\r", 8));
	fd = passive();
	EXPECT("RETR t", 150);
	ck_assert_uint_eq(drain(fd, got, sizeof(got), &was_reset), 10);
	ck_assert_mem_eq(got, "a\r\nb\r\nc\rd\r", 10);
	EXPECT_REPLY(226);
}
END_TEST

START_TEST(a_file_shorter_than_it_should_be_never_looks_whole)
{
	static char got[sizeof(big)];
	bool was_reset;

	login();
	fake_file("/big", big, sizeof(big));
	for (int fd_given = 0; fd_given < 2; fd_given++) {
		int fd = passive(), code;

		fake_reading(fd_given, 1000, false);
		EXPECT("RETR big", 150);
		ck_assert_uint_lt(drain(fd, got, sizeof(got), &was_reset), sizeof(big));
		ck_assert(was_reset);
		code = reply();
		ck_assert_msg(code == 451 || code == 550, "%s", reply_text);
	}
}
END_TEST

START_TEST(a_store_that_fills_up_midway_says_552_and_keeps_the_old_file)
{
	int fd;

	login();
	fake_push_fails(1000, GH_NOSPACE);
	fd = passive();
	EXPECT("STOR old", 150);
	ck_assert_int_eq(send(fd, big, 50000, 0), 50000);
	close(fd);
	EXPECT_REPLY(552);
	ck_assert(fake_is("/old", "old content", 11));
	EXPECT("NOOP", 200);
	ck_assert(live_settles_at(1));
}
END_TEST

START_TEST(a_switch_in_mid_transfer_is_426_and_then_421)
{
	int fd;

	login();
	fake_push_fails(1000, GH_OFF);
	fd = passive();
	EXPECT("STOR old", 150);
	ck_assert_int_eq(send(fd, big, 50000, 0), 50000);
	close(fd);
	EXPECT_REPLY(426);
	EXPECT_REPLY(421);
	EXPECT_REPLY(0);
	ck_assert(fake_is("/old", "old content", 11));
}
END_TEST

START_TEST(refusals_come_before_the_first_byte_is_invited)
{
	int fd;

	login();
	fake_status(VFS_WRITE_BEGIN, GH_LOCKED, "bob");
	fd = passive();
	EXPECT("STOR old", 450);
	ck_assert_ptr_nonnull(strstr(reply_text, "bob"));
	close(fd);
	fd = passive();
	EXPECT("RETR none", 550);
	close(fd);
	fd = passive();
	EXPECT("NLST none", 550);
	close(fd);
	fd = passive();
	EXPECT("MLSD old", 501);
	close(fd);
	EXPECT("RETR old", 425);
}
END_TEST

START_TEST(listings_go_page_by_page_as_the_client_takes_them)
{
	static char got[1 << 20];
	char name[32];
	bool was_reset;
	size_t n;
	int fd;

	login();
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "/d/%04d", i);
		fake_file(name, "", 0);
	}
	fake_folder("/d");
	fake_folder("/empty");
	fd = passive();
	EXPECT("NLST d", 150);
	n = drain(fd, got, sizeof(got), &was_reset);
	ck_assert(!was_reset);
	ck_assert_uint_eq(n, 3000 * strlen("d/0000\r\n"));
	ck_assert_mem_eq(got + n - 8, "d/2999\r\n", 8);
	EXPECT_REPLY(226);
	ck_assert_uint_ge(fake_lists(), 6);
	fd = passive();
	EXPECT("NLST empty", 150);
	ck_assert_uint_eq(drain(fd, got, sizeof(got), &was_reset), 0);
	EXPECT_REPLY(226);
	fd = passive();
	EXPECT("LIST -la old", 150);
	n = drain(fd, got, sizeof(got), &was_reset);
	ck_assert_mem_eq(got + n - 5, "old\r\n", 5);
	EXPECT_REPLY(226);
	for (int i = 1000; i < 3000; i++) {
		snprintf(name, sizeof(name), "DELE d/%04d", i);
		EXPECT(name, 250);
	}
	EXPECT("STAT d", 213);
	ck_assert_ptr_nonnull(strstr(reply_text, " 0000\r\n"));
	ck_assert_ptr_nonnull(strstr(reply_text, " 0999\r\n213 "));
	EXPECT("MLST old", 250);
	ck_assert_ptr_nonnull(strstr(reply_text, "\r\n type=file;size=11;"));
	ck_assert_ptr_nonnull(strstr(reply_text, "; /old\r\n250 "));
}
END_TEST

START_TEST(names_for_stou_are_new_and_told)
{
	char path[64] = "/";
	int fd;

	login();
	fd = passive();
	EXPECT("STOU", 150);
	ck_assert_int_eq(sscanf(reply_text, "150 FILE: %60s", path + 1), 1);
	close(fd);
	EXPECT_REPLY(226);
	ck_assert(fake_is(path, "", 0));
}
END_TEST

/* ---- while a transfer runs ---- */

START_TEST(noop_and_stat_are_answered_beside_a_transfer_and_others_wait)
{
	int fd;

	login();
	fd = passive();
	EXPECT("STOR new", 150);
	EXPECT("NOOP", 200);
	EXPECT("STAT", 211);
	ck_assert_ptr_nonnull(strstr(reply_text, "STOR: 0 bytes"));
	say("PWD\r\nREIN");
	expect_silence();
	close(fd);
	EXPECT_REPLY(226);
	EXPECT_REPLY(257);
	EXPECT_REPLY(220);
	ck_assert(fake_exists("/new"));
}
END_TEST

START_TEST(quit_lets_the_transfer_end_first)
{
	int fd;

	login();
	fd = passive();
	EXPECT("STOR new", 150);
	say("QUIT");
	expect_silence();
	ck_assert_int_eq(send(fd, "whole", 5, 0), 5);
	close(fd);
	EXPECT_REPLY(226);
	EXPECT_REPLY(221);
	EXPECT_REPLY(0);
	ck_assert(fake_is("/new", "whole", 5));
}
END_TEST

START_TEST(drain_lets_the_transfer_end_and_says_421)
{
	unsigned live;
	int fd;

	login();
	fd = passive();
	EXPECT("STOR new", 150);
	fe_ftp.drain(door, &live);
	ck_assert_uint_eq(live, 1);
	ck_assert_int_eq(send(fd, "whole", 5, 0), 5);
	close(fd);
	EXPECT_REPLY(226);
	EXPECT_REPLY(421);
	EXPECT_REPLY(0);
	ck_assert(fake_is("/new", "whole", 5));
	close(ctl);
	ctl = client_new();
	EXPECT_REPLY(421);
}
END_TEST

START_TEST(drain_ends_an_idle_session_at_once)
{
	unsigned live;

	login();
	fe_ftp.drain(door, &live);
	EXPECT_REPLY(421);
	EXPECT_REPLY(0);
}
END_TEST

/* ---- interruptions: each kind of transfer, at each stage, cut in each way ---- */

enum stage { OPENING, CONNECTING, FIRST, MIDWAY, STORE_LATE, COMMITTING, STAGE_COUNT };
enum cut { ABOR, ABOR_SYNCH, CONTROL_CLOSED, CONTROL_RESET, DATA_RESET, CUT_COUNT };
static const char *const verbs[] = { "RETR big", "STOR old", "NLST d" };
static const enum vfs_op opens[] = { VFS_READ, VFS_WRITE_BEGIN, VFS_LIST };

#define FTP_LINE 4000

/* Brings the transfer to the stage; the data descriptor, or -1 where there is none yet. */
static int bring(unsigned kind, enum stage stage)
{
	int fd = -1;
	char line[FTP_LINE] = { 0 };

	if (stage == OPENING)
		fake_hold(opens[kind], true);
	if (stage == STORE_LATE)
		fake_hold_streams(true);
	if (stage == COMMITTING)
		fake_hold(VFS_WRITE_COMMIT, true);
	if (stage == CONNECTING)
		EXPECT("EPSV", 229);
	else
		fd = passive();
	strcpy(line, verbs[kind]);
	if (kind == 2) /* each row begins with this: the socket buffers must not take the whole listing */
		memset(line + strlen(line), '/', sizeof(line) - 32);
	say(line);
	if (stage == OPENING) {
		ck_assert(fake_wait_held(1));
		return fd;
	}
	EXPECT_REPLY(150);
	if (kind == 1 && stage >= MIDWAY)
		ck_assert_int_eq(send(fd, big, 1 << 20, 0), 1 << 20);
	if (stage == MIDWAY)
		nap_ms(30);
	if (stage == STORE_LATE)
		ck_assert(fake_wait_held(1));
	if (stage == COMMITTING) {
		close(fd);
		ck_assert(fake_wait_held(1));
		return -1;
	}
	return fd;
}

static void cut_control(enum cut cut)
{
	if (cut == CONTROL_RESET)
		reset(ctl);
	else
		close(ctl);
	ctl = -1;
}

static void after_abor(enum stage stage)
{
	if (stage == COMMITTING) {
		/* Nothing stops a commit: its outcome first, then there is nothing to abort. */
		expect_silence();
		fake_release(the_loop);
		EXPECT_REPLY(226);
		EXPECT_REPLY(225);
	} else {
		EXPECT_REPLY(426);
		EXPECT_REPLY(226);
	}
	EXPECT("NOOP", 200);
	expect_silence();
}

static void interrupt(unsigned kind, enum stage stage, enum cut cut)
{
	int fd;

	login();
	fake_file("/big", big, sizeof(big));
	fake_folder("/d");
	for (int i = 0; i < 1200 && kind == 2; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/d/%d", i);
		fake_file(name, "", 0);
	}
	fake_reading(false, 0, false);
	fd = bring(kind, stage);
	switch (cut) {
	case ABOR:
		say("ABOR");
		after_abor(stage);
		break;
	case ABOR_SYNCH:
		ck_assert_int_eq(send(ctl, "\xff\xf4\xff", 3, MSG_OOB), 3);
		ck_assert_int_eq(send(ctl, "\xf2" "ABOR\r\n", 7, 0), 7);
		after_abor(stage);
		break;
	case CONTROL_CLOSED:
	case CONTROL_RESET:
		cut_control(cut);
		break;
	case DATA_RESET:
		reset(fd);
		fd = -1;
		if (stage == OPENING || stage == STORE_LATE) {
			nap_ms(30);
			fake_hold(opens[kind], false);
			fake_hold_streams(false);
			fake_release(the_loop);
		}
		if (stage == OPENING)
			EXPECT_REPLY(150);
		EXPECT_REPLY(426);
		EXPECT("NOOP", 200);
		expect_silence();
		break;
	case CUT_COUNT:
		break;
	}
	if (fd >= 0)
		close(fd);
	if (stage == COMMITTING) {
		if (ctl < 0) {
			nap_ms(50);
			fake_release(the_loop);
		}
		for (unsigned i = 0; i < 300 && !fake_is("/old", big, 1 << 20); i++)
			nap_ms(10);
		ck_assert(fake_is("/old", big, 1 << 20));
	} else {
		ck_assert(fake_is("/old", "old content", 11));
	}
	/* Nobody waits for what is held; it must give back what it had all the same. */
	for (unsigned op = 0; op < VFS_OP_COUNT; op++)
		fake_hold(op, false);
	fake_hold_streams(false);
	fake_release(the_loop);
	ck_assert(live_settles_at(ctl >= 0 ? 1 : 0));
}

/* Loop index: kind * STAGE_COUNT * CUT_COUNT + stage * CUT_COUNT + cut. */
START_TEST(each_interruption_gives_one_reply_each_and_leaves_nothing)
{
	enum cut cut = (enum cut)(_i % CUT_COUNT);
	enum stage stage = (enum stage)(_i / CUT_COUNT % STAGE_COUNT);
	unsigned kind = (unsigned)_i / CUT_COUNT / STAGE_COUNT;

	/* Only an upload commits; a listing asks for pages, not for streams; and where there is no data connection, yet
	 * or any more, none can be reset. */
	if ((stage == COMMITTING && kind != 1) || (stage == STORE_LATE && kind == 2) ||
	    (cut == DATA_RESET && (stage == CONNECTING || stage == COMMITTING)))
		return;
	interrupt(kind, stage, cut);
}
END_TEST

START_TEST(an_upload_whose_client_died_is_not_stored)
{
	int fd;

	login();
	fd = passive();
	EXPECT("STOR old", 150);
	ck_assert_int_eq(send(fd, big, 1000, 0), 1000);
	nap_ms(50);
	/* The order in which a killed process's descriptors close. */
	close(ctl);
	close(fd);
	ctl = -1;
	ck_assert(live_settles_at(0));
	ck_assert(fake_is("/old", "old content", 11));
}
END_TEST

/* ---- who may connect ---- */

START_TEST(a_stranger_on_the_passive_port_is_shut_out_and_the_peer_still_served)
{
	char got[64];
	bool was_reset;
	const char *p;
	unsigned port;
	int stranger, fd;

	login();
	EXPECT("EPSV", 229);
	p = strstr(reply_text, "|||");
	port = (unsigned)atoi(p + 3);
	stranger = dial(port, "127.0.0.2");
	ck_assert_int_ge(stranger, 0);
	ck_assert_int_le(recv(stranger, got, 1, 0), 0);
	close(stranger);
	fd = dial(port, "127.0.0.1");
	ck_assert_int_ge(fd, 0);
	EXPECT("RETR old", 150);
	ck_assert_uint_eq(drain(fd, got, sizeof(got), &was_reset), 11);
	EXPECT_REPLY(226);
	ck_assert_int_eq(dial(port, "127.0.0.1"), -1);
}
END_TEST

START_TEST(port_and_eprt_go_only_to_the_peer)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	char line[64], got[64];
	bool was_reset;
	int l, fd;

	login();
	EXPECT("PORT 10,0,0,1,10,0", 501);
	EXPECT("PORT 127,0,0,1,0,25", 501);
	EXPECT("PORT 127,0,0,2,10,0", 501);
	EXPECT("EPRT |1|10.0.0.1|5000|", 501);
	EXPECT("EPRT |2|::ffff:127.0.0.1|5000|", 501);
	EXPECT("EPRT |2|::1|5000|", 501);
	EXPECT("EPRT |3|x|5000|", 522);
	len = sizeof(sa);
	ck_assert_int_eq(getpeername(ctl, (struct sockaddr *)&sa, &len), 0);
	snprintf(line, sizeof(line), "EPRT |1|127.0.0.1|%u|", ntohs(sa.sin_port));
	EXPECT(line, 501); /* our own door */
	l = socket(AF_INET, SOCK_STREAM, 0);
	sa = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_eq(bind(l, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	len = sizeof(sa);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&sa, &len), 0);
	snprintf(line, sizeof(line), "PORT 127,0,0,1,%u,%u", ntohs(sa.sin_port) >> 8, ntohs(sa.sin_port) & 255);
	EXPECT(line, 200);
	EXPECT("RETR old", 150);
	fd = accept(l, NULL, NULL);
	ck_assert_uint_eq(drain(fd, got, sizeof(got), &was_reset), 11);
	EXPECT_REPLY(226);
	close(l);
	EXPECT(line, 200);
	EXPECT("RETR old", 150);
	EXPECT_REPLY(425);
	EXPECT("EPSV ALL", 200);
	EXPECT(line, 503);
	EXPECT("PASV", 503);
	EXPECT("EPSV 2", 522);
	EXPECT("EPSV 1", 229);
}
END_TEST

/* ---- renaming ---- */

START_TEST(rename_replaces_a_file_and_never_a_folder)
{
	login();
	fake_file("/tmp", "fresh", 5);
	fake_folder("/d");
	fake_file("/d/x", "x", 1);
	EXPECT("RNTO old", 503);
	EXPECT("RNFR none", 550);
	EXPECT("RNFR tmp", 350);
	EXPECT("RNTO d", 550);
	ck_assert(fake_exists("/d/x"));
	EXPECT("RNTO old", 503);
	EXPECT("RNFR tmp", 350);
	EXPECT("RNTO old", 250);
	ck_assert(fake_is("/old", "fresh", 5));
	ck_assert(!fake_exists("/tmp"));
	EXPECT("RNFR old", 350);
	EXPECT("RNTO new", 250);
	ck_assert(fake_is("/new", "fresh", 5));
}
END_TEST

START_TEST(mdtm_with_a_time_sets_it_unless_a_file_is_named_so)
{
	login();
	EXPECT("MDTM 20200229120000 old", 213);
	EXPECT("MDTM old", 213);
	ck_assert_str_eq(reply_text, "213 20200229120000\r\n");
	fake_file("/20200101000000 old", "x", 1);
	EXPECT("MDTM 20200101000000 old", 213);
	EXPECT("MDTM old", 213);
	ck_assert_str_eq(reply_text, "213 20200229120000\r\n");
	EXPECT("MFMT 19691231235959 old", 213);
	EXPECT("MDTM old", 213);
	ck_assert_str_eq(reply_text, "213 19691231235959\r\n");
	EXPECT("MFMT 20200230000000 old", 501);
	EXPECT("MFMT 20200101000000", 501);
}
END_TEST

/* ---- deadlines ---- */

START_TEST(who_does_not_log_in_is_shown_out)
{
	EXPECT_REPLY(220);
	EXPECT("USER ann", 331);
	EXPECT_REPLY(421);
	EXPECT_REPLY(0);
}
END_TEST

START_TEST(idle_sessions_end_and_transfers_are_not_idle)
{
	int fd;

	login();
	fd = passive();
	EXPECT("STOR new", 150);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(send(fd, big, 1000, 0), 1000);
		nap_ms(100);
	}
	close(fd);
	EXPECT_REPLY(226);
	EXPECT_REPLY(421);
	EXPECT_REPLY(0);
}
END_TEST

START_TEST(a_stalled_transfer_is_cut)
{
	int fd;

	login();
	fd = passive();
	EXPECT("STOR old", 150);
	EXPECT_REPLY(426);
	close(fd);
	ck_assert(fake_is("/old", "old content", 11));
}
END_TEST

START_TEST(a_data_connection_that_never_comes_is_425)
{
	login();
	EXPECT("EPSV", 229);
	EXPECT("RETR old", 150);
	EXPECT_REPLY(425);
	EXPECT("NOOP", 200);
}
END_TEST

static TCase *tests(void)
{
	TCase *t = tcase_create("session");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, commands_before_login_are_refused);
	tcase_add_test(t, a_wrong_password_is_answered_late_and_five_end_the_session);
	tcase_add_test(t, overload_at_login_is_421_never_530);
	tcase_add_test(t, rein_forgets_who_it_was);
	tcase_add_test(t, pipelined_commands_are_answered_in_order_each_once);
	tcase_add_test(t, garbage_ends_the_session_after_a_few_lines_and_http_at_once);
	tcase_add_test(t, control_characters_in_arguments_are_refused);
	tcase_add_test(t, a_client_that_never_reads_is_not_read_either);
	tcase_add_test(t, small_and_large_files_come_back_whole_from_every_source);
	tcase_add_test(t, uploads_arrive_whole_and_late_stores_only_slow_them);
	tcase_add_test(t, rest_and_appe_keep_what_is_there);
	tcase_add_test(t, ascii_transfers_convert_both_ways);
	tcase_add_test(t, a_file_shorter_than_it_should_be_never_looks_whole);
	tcase_add_test(t, a_store_that_fills_up_midway_says_552_and_keeps_the_old_file);
	tcase_add_test(t, a_switch_in_mid_transfer_is_426_and_then_421);
	tcase_add_test(t, refusals_come_before_the_first_byte_is_invited);
	tcase_add_test(t, listings_go_page_by_page_as_the_client_takes_them);
	tcase_add_test(t, names_for_stou_are_new_and_told);
	tcase_add_test(t, noop_and_stat_are_answered_beside_a_transfer_and_others_wait);
	tcase_add_test(t, quit_lets_the_transfer_end_first);
	tcase_add_test(t, drain_lets_the_transfer_end_and_says_421);
	tcase_add_test(t, drain_ends_an_idle_session_at_once);
	tcase_add_loop_test(t, each_interruption_gives_one_reply_each_and_leaves_nothing, 0, 3 * STAGE_COUNT * CUT_COUNT);
	tcase_add_test(t, an_upload_whose_client_died_is_not_stored);
	tcase_add_test(t, a_stranger_on_the_passive_port_is_shut_out_and_the_peer_still_served);
	tcase_add_test(t, port_and_eprt_go_only_to_the_peer);
	tcase_add_test(t, rename_replaces_a_file_and_never_a_folder);
	tcase_add_test(t, mdtm_with_a_time_sets_it_unless_a_file_is_named_so);
	return t;
}

static TCase *hasty_tests(void)
{
	TCase *t = tcase_create("deadlines");

	tcase_add_checked_fixture(t, setup_hasty, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, who_does_not_log_in_is_shown_out);
	tcase_add_test(t, idle_sessions_end_and_transfers_are_not_idle);
	tcase_add_test(t, a_stalled_transfer_is_cut);
	tcase_add_test(t, a_data_connection_that_never_comes_is_425);
	return t;
}

int main(void)
{
	Suite *s = suite_create("ftp/session");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, tests());
	suite_add_tcase(s, hasty_tests());
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
