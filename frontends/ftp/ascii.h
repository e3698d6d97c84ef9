/* TYPE A: line ends on the wire are CRLF, in the store LF (RFC 959 section 3.1.1.1). Pure; the state carries what a
 * chunk's border cut apart, so that the result does not depend on where the borders fall.
 *
 * In:  CRLF becomes LF; a CR alone stays. Out: an LF without a CR before it becomes CRLF; a CRLF that a binary upload
 * left in the store is not doubled. */
#ifndef GH_FRONTENDS_FTP_ASCII_H
#define GH_FRONTENDS_FTP_ASCII_H

#include <stdbool.h>
#include <stddef.h>

struct ftp_ascii {
	bool cr; /* the byte before was a CR (in: it is held back) */
};

/* Writes at most len + 1 bytes to out; in may lie one byte or more behind out (in place). */
size_t ftp_ascii_in(struct ftp_ascii *a, char *out, const char *in, size_t len);
/* After the last chunk: a CR that was held back. At most one byte. */
size_t ftp_ascii_in_end(struct ftp_ascii *a, char *out);
/* Writes at most 2 * len bytes to out; in may lie len bytes or more behind out (in place). */
size_t ftp_ascii_out(struct ftp_ascii *a, char *out, const char *in, size_t len);

#endif
