/* How a node looks in FTP: times, the lines of LIST, the facts of MLST and MLSD (RFC 3659). Pure; facts.c. */
#ifndef GH_FRONTENDS_FTP_FACTS_H
#define GH_FRONTENDS_FTP_FACTS_H

#include <stdint.h>

#include "core/base/buf.h"
#include "core/vfs.h"

enum {
	FTP_FACT_TYPE = 1,
	FTP_FACT_SIZE = 2,
	FTP_FACT_MODIFY = 4,
	FTP_FACT_UNIQUE = 8,
	FTP_FACT_PERM = 16,
	FTP_FACT_MODE = 32,
	FTP_FACT_ALL = 63
};

#define FTP_TIME_MAX 16 /* "20240229235959" and its NUL */

/* Seconds since 1970 to "YYYYMMDDhhmmss", UTC; years outside 0001 to 9999 are moved to the border. */
void ftp_time_format(char out[FTP_TIME_MAX], int64_t time_us);
/* "YYYYMMDDhhmmss[.fff]" of len bytes. GH_OK, or GH_INVALID for any other text or a date that does not exist. */
GH_MUST_CHECK enum gh_status ftp_time_parse(const char *text, size_t len, int64_t *ret_us);

/* One line of LIST, CRLF included. */
void ftp_list_line(struct gh_buf *out, const struct vfs_node *n, const char *name, int64_t now_us);
/* "type=file;size=1; NAME" without a line end; facts: FTP_FACT_* bits. */
void ftp_facts_line(struct gh_buf *out, const struct vfs_node *n, unsigned facts, const char *name);
/* "type*;size;..." for FEAT: those that are on get their asterisk. */
void ftp_facts_feat(struct gh_buf *out, unsigned facts);
/* The argument of OPTS MLST: the known ones of "type;size;x;" (any case). */
unsigned ftp_facts_parse(const char *arg);
/* "type;size;", as OPTS MLST answers. */
void ftp_facts_names(struct gh_buf *out, unsigned facts);

#endif
