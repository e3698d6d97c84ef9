/* The control connection's line reader: bytes of a client in, commands out. Filters Telnet (RFC 959 section 2.3,
 * RFC 854), caps the length. Pure: no I/O, no clock; session.c feeds it, tests/fuzz/fuzz_ftpline.c hammers it.
 *
 * Telnet: IAC IAC is a 0xFF of the name; WILL and DO are answered DONT and WONT, at most once per option;
 * subnegotiations and other commands vanish. A Synch is IAC IP IAC DM; the urgent byte arrives inline (SO_OOBINLINE),
 * and a DM that lost its IAC on the way through the urgent mark vanishes too.
 *
 * A line ends with LF; one CR before it belongs to the end. Everything else, NUL included, is the line's.
 */
#ifndef GH_FRONTENDS_FTP_LINE_H
#define GH_FRONTENDS_FTP_LINE_H

#include "core/base/buf.h"

#define FTP_LINE_MAX 4096      /* bytes of a command without its line end */
#define FTP_PATH_LINE_MAX 8192 /* where the argument is a path */

/* How long may a line become that begins with these (at least FTP_LINE_MAX) bytes? */
typedef size_t ftp_cap_fn(const char *line, size_t len);

enum ftp_telnet { FTP_TN_DATA, FTP_TN_IAC, FTP_TN_OPTION, FTP_TN_SUB, FTP_TN_SUB_IAC };

struct ftp_reader {
	struct gh_buf line;
	ftp_cap_fn *cap;
	enum ftp_telnet telnet;
	unsigned char verb;            /* WILL, WONT, DO or DONT that waits for its option */
	bool after_ip;                 /* the last command was IP: a bare DM may follow */
	bool skipping;                 /* the line was too long: its rest is thrown away */
	bool taken;                    /* line was given out: clear it before the next byte */
	unsigned char answered[2][32]; /* options already answered, for WILL and for DO */
};

enum ftp_fed {
	FTP_FED_MORE,    /* everything was eaten, no line yet */
	FTP_FED_LINE,    /* reader->line holds one, until the next feed */
	FTP_FED_OVERLONG /* one that was too long has ended */
};

void ftp_reader_init(struct ftp_reader *r, ftp_cap_fn *cap);
void ftp_reader_fini(struct ftp_reader *r);
/* Eats up to len bytes, *ret_used of them: stops behind a line's end. Telnet answers are appended to out. */
enum ftp_fed ftp_reader_feed(struct ftp_reader *r, const unsigned char *p, size_t len, size_t *ret_used,
			     struct gh_buf *out);
/* Wipes the line (a password was in it). */
void ftp_reader_wipe(struct ftp_reader *r);

#endif
