/* The door as a client meets it, over real sockets: login, lines, who may connect, renaming, deadlines. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/ftp/house.h"

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
	for (int i = 0; i < 14; i++) {
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
	tcase_add_test(t, commands_before_login_are_refused);
	tcase_add_test(t, a_wrong_password_is_answered_late_and_five_end_the_session);
	tcase_add_test(t, overload_at_login_is_421_never_530);
	tcase_add_test(t, rein_forgets_who_it_was);
	tcase_add_test(t, pipelined_commands_are_answered_in_order_each_once);
	tcase_add_test(t, garbage_ends_the_session_after_a_few_lines_and_http_at_once);
	tcase_add_test(t, control_characters_in_arguments_are_refused);
	tcase_add_test(t, a_client_that_never_reads_is_not_read_either);
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
	tcase_add_test(t, who_does_not_log_in_is_shown_out);
	tcase_add_test(t, idle_sessions_end_and_transfers_are_not_idle);
	tcase_add_test(t, a_stalled_transfer_is_cut);
	tcase_add_test(t, a_data_connection_that_never_comes_is_425);
	return t;
}

int main(void)
{
	TCase *cases[] = { tests(), hasty_tests() };

	return run_cases("ftp/session", cases, 2);
}
