/* Transfers that are cut: one reply per command at every interruption, nothing left behind, nothing stored that was not
 * whole. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/ftp/house.h"

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
		ck_assert_int_eq(send(ctl,
				      "\xf2"
				      "ABOR\r\n",
				      7, 0),
				 7);
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

int main(void)
{
	TCase *t = tcase_create("interrupt");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, each_interruption_gives_one_reply_each_and_leaves_nothing, 0,
			    3 * STAGE_COUNT * CUT_COUNT);
	tcase_add_test(t, an_upload_whose_client_died_is_not_stored);
	return run_cases("ftp/interrupt", &t, 1);
}
