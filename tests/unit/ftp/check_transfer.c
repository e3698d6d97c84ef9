/* Transfers and listings over real sockets, and what may happen beside one. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/ftp/house.h"

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

int main(void)
{
	TCase *t = tcase_create("transfer");

	tcase_add_checked_fixture(t, setup, teardown);
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
	return run_cases("ftp/transfer", &t, 1);
}
