/* What an open session hears when rules change, and when it is ended by name: its words, once, whatever it is doing; and
 * nothing is stored that was not whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/ftp/house.h"

#define WORDS "Please use https."

static void rule(enum gh_status st)
{
	fake_live_rule(st, WORDS);
	fake_live_tell(the_loop);
}

static void expect_words(int code)
{
	EXPECT_REPLY(code);
	ck_assert_msg(strstr(reply_text, WORDS) != NULL, "%s", reply_text);
}

static void expect_farewell(void)
{
	expect_words(421);
	EXPECT_REPLY(0);
}

/* An upload under way; its data connection. */
static int uploading(void)
{
	int fd;

	login();
	fd = passive();
	say("STOR old");
	EXPECT_REPLY(150);
	ck_assert_int_eq(send(fd, big, 1 << 16, 0), 1 << 16);
	return fd;
}

static int downloading(void)
{
	int fd;

	login();
	fake_file("/big", big, sizeof(big));
	fake_reading(false, 0, false);
	fd = passive();
	say("RETR big");
	EXPECT_REPLY(150);
	return fd;
}

static bool is_cut(int fd)
{
	static char got[sizeof(big) + 1];
	bool was_reset;
	size_t n = drain(fd, got, sizeof(got), &was_reset);

	return was_reset || n < sizeof(big);
}

START_TEST(a_shut_door_greets_with_the_words)
{
	login();
	fake_live_shut(GH_OFF, WORDS);
	close(ctl);
	ctl = client_new();
	expect_farewell();
	fake_live_shut(GH_OK, NULL);
	close(ctl);
	ctl = client_new();
	EXPECT_REPLY(220);
}
END_TEST

START_TEST(a_tenant_that_is_shut_is_told_so_at_its_host_name)
{
	EXPECT_REPLY(220);
	fake_live_shut(GH_OFF, WORDS);
	say("HOST acme.example");
	expect_farewell();
}
END_TEST

START_TEST(an_idle_session_hears_the_words_and_ends)
{
	login();
	rule(GH_OFF);
	expect_farewell();
}
END_TEST

START_TEST(a_session_without_a_login_hears_them_too)
{
	EXPECT_REPLY(220);
	EXPECT("USER ann", 331);
	rule(GH_OFF);
	expect_farewell();
}
END_TEST

START_TEST(a_command_under_way_is_answered_by_the_words)
{
	login();
	fake_hold(VFS_REMOVE, true);
	say("DELE old");
	ck_assert(fake_wait_held(1));
	rule(GH_OFF);
	expect_farewell();
}
END_TEST

START_TEST(the_delayed_answer_to_a_wrong_password_is_given_up_for_the_words)
{
	EXPECT_REPLY(220);
	EXPECT("USER ann", 331);
	say("PASS wrong");
	nap_ms(50);
	rule(GH_OFF);
	expect_farewell();
	nap_ms(1100); /* and nothing comes of it later */
}
END_TEST

START_TEST(off_cuts_an_upload_and_stores_nothing)
{
	int fd = uploading(), code;
	uint64_t bytes;
	char verb[16];

	rule(GH_OFF);
	EXPECT_REPLY(426);
	expect_farewell();
	ck_assert(is_cut(fd));
	ck_assert(fake_is("/old", "old content", 11));
	fake_last_log(verb, sizeof(verb), &code, &bytes);
	ck_assert_str_eq(verb, "STOR");
	ck_assert_int_eq(code, 426);
	ck_assert_uint_le(bytes, 1 << 16);
}
END_TEST

START_TEST(off_cuts_a_download)
{
	int fd = downloading();

	rule(GH_OFF);
	EXPECT_REPLY(426);
	expect_farewell();
	ck_assert(is_cut(fd));
}
END_TEST

START_TEST(off_between_150_and_the_data_connection_ends_both)
{
	login();
	EXPECT("EPSV", 229);
	say("STOR old");
	EXPECT_REPLY(150);
	rule(GH_OFF);
	EXPECT_REPLY(426);
	expect_farewell();
}
END_TEST

START_TEST(an_upload_that_is_being_committed_is_answered_first)
{
	int fd = uploading();

	fake_hold(VFS_WRITE_COMMIT, true);
	close(fd);
	ck_assert(fake_wait_held(1));
	rule(GH_OFF);
	expect_silence();
	fake_release(the_loop);
	EXPECT_REPLY(226);
	expect_farewell();
	ck_assert(fake_is("/old", big, 1 << 16));
}
END_TEST

START_TEST(drain_lets_an_upload_end_and_then_says_the_words)
{
	int fd = uploading();

	rule(GH_DRAINING);
	expect_silence();
	say("NOOP");
	EXPECT_REPLY(200);
	say("MKD more"); /* parked behind the transfer; the session ends before its turn comes */
	close(fd);
	EXPECT_REPLY(226);
	expect_farewell();
	ck_assert(fake_is("/old", big, 1 << 16));
	ck_assert(!fake_exists("/more"));
}
END_TEST

START_TEST(drain_ends_an_idle_session)
{
	login();
	rule(GH_DRAINING);
	expect_farewell();
}
END_TEST

START_TEST(a_drain_that_is_taken_back_leaves_the_session_alone)
{
	int fd = uploading();

	rule(GH_DRAINING);
	rule(GH_OK);
	close(fd);
	EXPECT_REPLY(226);
	EXPECT("NOOP", 200);
	expect_silence();
}
END_TEST

START_TEST(read_only_refuses_an_upload_under_way_and_keeps_the_session)
{
	static const enum gh_status modes[] = { GH_READONLY, GH_FROZEN };
	static const int codes[] = { 450, 550 };
	int fd = uploading();

	for (unsigned i = 0;; i++) {
		fake_live_class(VFS_C_WRITE, modes[i], WORDS);
		fake_live_tell(the_loop);
		expect_words(codes[i]);
		ck_assert(is_cut(fd));
		EXPECT("NOOP", 200);
		ck_assert(fake_is("/old", "old content", 11));
		if (i)
			break;
		fake_live_class(VFS_C_WRITE, GH_OK, NULL);
		fd = passive();
		say("STOR old");
		EXPECT_REPLY(150);
	}
}
END_TEST

START_TEST(read_only_leaves_a_download_alone)
{
	int fd = downloading();

	fake_live_class(VFS_C_WRITE, GH_READONLY, WORDS);
	fake_live_tell(the_loop);
	ck_assert(!is_cut(fd));
	EXPECT_REPLY(226);
	EXPECT("NOOP", 200);
}
END_TEST

START_TEST(a_class_that_is_off_cuts_its_transfers_alone)
{
	int fd = downloading();

	fake_live_class(VFS_C_READ, GH_SUSPENDED, WORDS);
	fake_live_tell(the_loop);
	expect_words(426);
	ck_assert(is_cut(fd));
	EXPECT("NOOP", 200);
	expect_silence();
}
END_TEST

START_TEST(who_is_ended_by_name_goes_even_if_the_rules_change_meanwhile)
{
	int fd = uploading();

	fake_hold(VFS_WRITE_COMMIT, true);
	close(fd);
	ck_assert(fake_wait_held(1));
	fake_live_kill(the_loop);
	rule(GH_OK);
	fake_release(the_loop);
	EXPECT_REPLY(226);
	EXPECT_REPLY(421);
	EXPECT_REPLY(0);
}
END_TEST

START_TEST(a_rule_that_comes_during_the_login_is_met_at_its_end)
{
	EXPECT_REPLY(220);
	EXPECT("USER ann", 331);
	fake_hold(VFS_LOGIN, true);
	say("PASS right");
	ck_assert(fake_wait_held(1));
	fake_live_rule(GH_DRAINING, WORDS); /* told to nobody: the session was not there yet */
	fake_release(the_loop);
	expect_farewell();
}
END_TEST

START_TEST(a_user_who_is_none_any_more_is_sent_away_at_the_next_command)
{
	login();
	fake_status(VFS_STAT, GH_UNAUTH, NULL);
	EXPECT("MLST /old", 421);
	EXPECT_REPLY(0);
}
END_TEST

START_TEST(an_administrator_sees_what_a_session_does)
{
	struct vfs_live_look l;
	char path[256];
	int fd;

	ck_assert_uint_eq(fake_live_count(the_loop), 1);
	ck_assert_str_eq(fake_live_look(the_loop, NULL).doing, "idle");
	fd = downloading();
	nap_ms(50);
	l = fake_live_look(the_loop, path);
	ck_assert_str_eq(l.doing, "read");
	ck_assert_str_eq(path, "/big");
	ck_assert(l.down && !l.up);
	ck_assert_uint_eq(l.size, sizeof(big));
	ck_assert_uint_gt(l.moved, 0);
	ck_assert_uint_eq(l.moved, l.bytes_out);
	ck_assert(!is_cut(fd));
	EXPECT_REPLY(226);
	l = fake_live_look(the_loop, NULL);
	ck_assert_str_eq(l.doing, "idle");
	ck_assert_uint_eq(l.bytes_out, sizeof(big));
	EXPECT("QUIT", 221);
	EXPECT_REPLY(0);
	close(ctl);
	ctl = -1;
	for (unsigned i = 0; i < 300 && fake_live_count(the_loop); i++)
		nap_ms(10);
	ck_assert_uint_eq(fake_live_count(the_loop), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("switch");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_shut_door_greets_with_the_words);
	tcase_add_test(t, a_tenant_that_is_shut_is_told_so_at_its_host_name);
	tcase_add_test(t, an_idle_session_hears_the_words_and_ends);
	tcase_add_test(t, a_session_without_a_login_hears_them_too);
	tcase_add_test(t, a_command_under_way_is_answered_by_the_words);
	tcase_add_test(t, the_delayed_answer_to_a_wrong_password_is_given_up_for_the_words);
	tcase_add_test(t, off_cuts_an_upload_and_stores_nothing);
	tcase_add_test(t, off_cuts_a_download);
	tcase_add_test(t, off_between_150_and_the_data_connection_ends_both);
	tcase_add_test(t, an_upload_that_is_being_committed_is_answered_first);
	tcase_add_test(t, drain_lets_an_upload_end_and_then_says_the_words);
	tcase_add_test(t, drain_ends_an_idle_session);
	tcase_add_test(t, a_drain_that_is_taken_back_leaves_the_session_alone);
	tcase_add_test(t, read_only_refuses_an_upload_under_way_and_keeps_the_session);
	tcase_add_test(t, read_only_leaves_a_download_alone);
	tcase_add_test(t, a_class_that_is_off_cuts_its_transfers_alone);
	tcase_add_test(t, who_is_ended_by_name_goes_even_if_the_rules_change_meanwhile);
	tcase_add_test(t, a_rule_that_comes_during_the_login_is_met_at_its_end);
	tcase_add_test(t, a_user_who_is_none_any_more_is_sent_away_at_the_next_command);
	tcase_add_test(t, an_administrator_sees_what_a_session_does);
	return run_cases("ftp/switch", &t, 1);
}
