/* A door in a house of its own: a loop, a listener, a client's sockets, and the fake core behind. What the tests of the
 * session share; one test at a time. */
#ifndef GH_TESTS_UNIT_FTP_HOUSE_H
#define GH_TESTS_UNIT_FTP_HOUSE_H

#include <check.h>

#include "core/fe_api.h"
#include "tests/unit/fake_live.h"
#include "tests/unit/ftp/fake_vfs.h"

extern struct gh_loop *the_loop;
extern struct fe_door *door;
extern int ctl;           /* the client's control connection; -1: the test closed it */
extern char big[3 << 20]; /* content that no socket buffer takes whole */
extern char reply_text[1 << 18];

void setup(void);       /* default deadlines */
void setup_hasty(void); /* deadlines of 300 to 1500 ms */
void teardown(void);    /* nothing may be left */

void nap_ms(unsigned ms);
int client_new(void); /* another control connection */
int dial(unsigned port, const char *from);

/* One whole reply; 0 at the end of the connection, -1 when none came in time. */
int reply(void);
void say(const char *line);
int command(const char *line);
void expect_silence(void); /* nothing more comes within a while */
void login(void);
int passive(void); /* a data connection by EPSV */
/* Everything until the end. *ret_reset: it did not end in order. */
size_t drain(int fd, char *buf, size_t cap, bool *ret_reset);
void reset(int fd); /* closes with a RST */
/* Do what the door holds of the core become so many within 3 s? */
bool live_settles_at(unsigned count);

#define EXPECT(line, code) ck_assert_msg(command(line) == (code), "%s: wanted %d, got %s", line, code, reply_text)
#define EXPECT_REPLY(code)                                                                                             \
	do {                                                                                                           \
		int got_ = reply();                                                                                    \
		ck_assert_msg(got_ == (code), "wanted %d, got %d: %s", code, got_, reply_text);                        \
	} while (0)

/* Runs the cases, returns the exit status. */
int run_cases(const char *name, TCase *const *cases, unsigned count);

#endif
