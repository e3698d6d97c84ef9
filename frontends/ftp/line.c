/* See line.h. */
#include "frontends/ftp/line.h"

#include <string.h>

enum { SE = 240, DM = 242, IP = 244, SB = 250, WILL = 251, WONT = 252, DO = 253, DONT = 254, IAC = 255 };

void ftp_reader_init(struct ftp_reader *r, ftp_cap_fn *cap)
{
	memset(r, 0, sizeof(*r));
	gh_buf_init(&r->line, FTP_PATH_LINE_MAX + 16);
	r->cap = cap;
}

void ftp_reader_fini(struct ftp_reader *r)
{
	gh_buf_fini(&r->line);
}

void ftp_reader_wipe(struct ftp_reader *r)
{
	if (r->line.data)
		explicit_bzero(r->line.data, r->line.cap);
}

/* RFC 854: refuse every option, but only once each, or two refusing ends would talk for ever. */
static void option_answer(struct ftp_reader *r, unsigned char option, struct gh_buf *out)
{
	unsigned char *seen;

	if (r->verb != WILL && r->verb != DO)
		return;
	seen = &r->answered[r->verb == DO][option / 8];
	if (*seen & (1u << option % 8))
		return;
	*seen |= (unsigned char)(1u << option % 8);
	gh_buf_char(out, (char)IAC);
	gh_buf_char(out, (char)(r->verb == WILL ? DONT : WONT));
	gh_buf_char(out, (char)option);
}

static void line_add(struct ftp_reader *r, unsigned char c)
{
	size_t cap = FTP_LINE_MAX;

	if (r->skipping)
		return;
	/* One byte of room for the CR of the line's end. */
	if (r->line.len >= FTP_LINE_MAX + (c == '\r'))
		cap = r->cap(r->line.data, r->line.len);
	if (r->line.len >= cap + (c == '\r')) {
		r->skipping = true;
		gh_buf_clear(&r->line);
		return;
	}
	gh_buf_char(&r->line, (char)c);
}

/* A byte after IAC. true: it is a byte of the line. */
static bool command_byte(struct ftp_reader *r, unsigned char c)
{
	r->telnet = FTP_TN_DATA;
	r->after_ip = c == IP;
	switch (c) {
	case IAC:
		return true;
	case SB:
		r->telnet = FTP_TN_SUB;
		return false;
	case WILL:
	case WONT:
	case DO:
	case DONT:
		r->verb = c;
		r->telnet = FTP_TN_OPTION;
		return false;
	default: /* NOP, DM, BRK, IP, AO, AYT, EC, EL, GA: nothing to do; anything else is not Telnet at all */
		return false;
	}
}

/* true: a line has ended. */
static bool data_byte(struct ftp_reader *r, unsigned char c)
{
	bool dm = r->after_ip && c == DM;

	r->after_ip = false;
	if (c == IAC) {
		r->telnet = FTP_TN_IAC;
		return false;
	}
	if (c == '\n')
		return true;
	if (!dm)
		line_add(r, c);
	return false;
}

static bool byte_in(struct ftp_reader *r, unsigned char c, struct gh_buf *out)
{
	switch (r->telnet) {
	case FTP_TN_DATA:
		return data_byte(r, c);
	case FTP_TN_IAC:
		if (command_byte(r, c))
			line_add(r, c);
		return false;
	case FTP_TN_OPTION:
		r->telnet = FTP_TN_DATA;
		option_answer(r, c, out);
		return false;
	case FTP_TN_SUB:
		if (c == IAC)
			r->telnet = FTP_TN_SUB_IAC;
		else if (c == '\n') /* a subnegotiation that never ends must not swallow the session */
			r->telnet = FTP_TN_DATA;
		return false;
	case FTP_TN_SUB_IAC:
		r->telnet = c == SE ? FTP_TN_DATA : FTP_TN_SUB;
		return false;
	}
	return false;
}

enum ftp_fed ftp_reader_feed(struct ftp_reader *r, const unsigned char *p, size_t len, size_t *ret_used,
			     struct gh_buf *out)
{
	size_t i;

	if (r->taken) {
		r->taken = false;
		gh_buf_clear(&r->line);
	}
	for (i = 0; i < len; i++) {
		if (!byte_in(r, p[i], out))
			continue;
		*ret_used = i + 1;
		r->taken = true;
		if (!r->line.len)
			gh_buf_str(&r->line, ""); /* data is a string even for an empty line */
		if (r->skipping || r->line.failed) {
			r->skipping = false;
			return FTP_FED_OVERLONG;
		}
		if (r->line.len && r->line.data[r->line.len - 1] == '\r')
			r->line.data[--r->line.len] = '\0';
		return FTP_FED_LINE;
	}
	*ret_used = len;
	return FTP_FED_MORE;
}
