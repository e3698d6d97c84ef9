/* What the client hears: the status switch, and replies that no name and no administrator's text can forge.
 * RFC 959 section 4.2 for the codes. */
#include "frontends/ftp/ftp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 6144 /* a path of 4096 bytes and words around it */

struct ftp_answer ftp_answer_of(enum gh_status st)
{
	switch (st) {
	case GH_OK:
		return (struct ftp_answer){ 250, "Done." };
	case GH_PENDING:
	case GH_WAIT:
	case GH_AGAIN:
	case GH_STALE:
	case GH_END:
	case GH_NOTMODIFIED:
	case GH_BUG:
		return (struct ftp_answer){ 451, "Internal error." };
	case GH_INVALID:
		return (struct ftp_answer){ 501, "The argument is malformed." };
	case GH_BADNAME:
		return (struct ftp_answer){ 553, "That name is not allowed." };
	case GH_TOOLONG:
		return (struct ftp_answer){ 553, "That name or path is too long." };
	case GH_NOTFOUND:
		return (struct ftp_answer){ 550, "No such file or folder." };
	case GH_NOPARENT:
		return (struct ftp_answer){ 550, "The folder it should go into does not exist." };
	case GH_EXISTS:
		return (struct ftp_answer){ 550, "Something of that name exists already." };
	case GH_NOTDIR:
		return (struct ftp_answer){ 550, "It is a file, not a folder." };
	case GH_ISDIR:
		return (struct ftp_answer){ 550, "It is a folder, not a file." };
	case GH_NOTEMPTY:
		return (struct ftp_answer){ 550, "The folder is not empty." };
	case GH_SAMEFILE:
		return (struct ftp_answer){ 553, "Source and destination are the same." };
	case GH_LOOP:
		return (struct ftp_answer){ 553, "A folder cannot go into itself." };
	case GH_UNAUTH:
		return (struct ftp_answer){ 530, "Login incorrect." };
	case GH_DENIED:
		return (struct ftp_answer){ 550, "Permission denied." };
	case GH_PROTECTED:
		return (struct ftp_answer){ 550, "That is the server's to set." };
	case GH_PRECONDITION:
		return (struct ftp_answer){ 550, "Something of that name exists already." };
	case GH_LOCKED:
		return (struct ftp_answer){ 450, "Locked by another user." };
	case GH_NOLOCK:
		return (struct ftp_answer){ 550, "No such lock." };
	case GH_RANGE:
		return (struct ftp_answer){ 554, "The restart position lies behind the end of the file." };
	case GH_TOOLARGE:
		return (struct ftp_answer){ 552, "Larger than allowed." };
	case GH_SHORT:
		return (struct ftp_answer){ 426, "Fewer bytes arrived than were announced; nothing was stored." };
	case GH_DIGEST:
		return (struct ftp_answer){ 451, "The bytes do not match their checksum; nothing was stored." };
	case GH_LIMIT:
		return (struct ftp_answer){ 450, "Too many of these." };
	case GH_CONFLICT:
		return (struct ftp_answer){ 450, "Others are changing the same thing; try again." };
	case GH_UNSUPPORTED:
		return (struct ftp_answer){ 504, "Not supported." };
	case GH_GONE:
		return (struct ftp_answer){ 426, "The connection is gone." };
	case GH_THROTTLED:
		return (struct ftp_answer){ 421, "Too many failed logins; try again later." };
	case GH_QUOTA:
		return (struct ftp_answer){ 552, "The quota is used up." };
	case GH_OFF:
		return (struct ftp_answer){ 421, "This service is switched off." };
	case GH_DRAINING:
		return (struct ftp_answer){ 421, "This service is being shut; please come back later." };
	case GH_SUSPENDED:
		return (struct ftp_answer){ 450, "This is switched off for now; try again later." };
	case GH_READONLY:
		return (struct ftp_answer){ 450, "Read-only for now; try again later." };
	case GH_FROZEN:
		return (struct ftp_answer){ 550, "Read-only." };
	case GH_BUSY:
		return (struct ftp_answer){ 450, "Overloaded; try again shortly." };
	case GH_PACED:
		return (struct ftp_answer){ 450, "As much as is allowed at a time; try again later." };
	case GH_CROWDED:
		return (struct ftp_answer){ 421, "As many sessions as allowed are open; try again later." };
	case GH_OVERSHARE:
		return (struct ftp_answer){ 450, "More than your share is waiting already; try again later." };
	case GH_IO:
		return (struct ftp_answer){ 451, "The storage reported an error." };
	case GH_NOSPACE:
		return (struct ftp_answer){ 552, "The storage is full." };
	case GH_DAMAGED:
		return (struct ftp_answer){ 550, "The stored file is damaged." };
	case GH_DATABASE:
		return (struct ftp_answer){ 451, "The database reported an error; try again." };
	case GH_TRIPPED:
		return (struct ftp_answer){ 451, "A service behind this one is being given a rest; try again later." };
	case GH_DEADLINE:
		return (struct ftp_answer){ 451, "It took too long and was given up." };
	case GH_UNKNOWN:
		return (struct ftp_answer){ 451, "The outcome is not known; look before repeating it." };
	case GH_STOPPING:
		return (struct ftp_answer){ 421, "The server is stopping." };
	case GH_NOMEM:
		return (struct ftp_answer){ 451, "Out of memory; try again." };
	case GH_STATUS_COUNT:
		break;
	}
	return (struct ftp_answer){ 451, "Internal error." };
}

/* Replies are lines: whatever gets into one, a line end does not (names can't hold one, an operator's text may). */
static void text_add(struct gh_buf *out, const char *fmt, va_list ap) GH_PRINTF(2, 0);
static void text_add(struct gh_buf *out, const char *fmt, va_list ap)
{
	char text[TEXT_MAX];
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = text[i] == '\n' ? ' ' : '?';
	gh_buf_add(out, text, len);
	gh_buf_add(out, "\r\n", 2);
}

static void reply(struct ftp_session *s, int code, char sep, const char *fmt, va_list ap) GH_PRINTF(4, 0);
static void reply(struct ftp_session *s, int code, char sep, const char *fmt, va_list ap)
{
	char head[5] = { (char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10), (char)('0' + code % 10), sep, 0 };

	gh_buf_add(&s->out, head, 4);
	text_add(&s->out, fmt, ap);
	s->code = code;
}

void ftp_say(struct ftp_session *s, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reply(s, code, ' ', fmt, ap);
	va_end(ap);
}

void ftp_say_first(struct ftp_session *s, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reply(s, code, '-', fmt, ap);
	va_end(ap);
}

void ftp_say_line(struct ftp_session *s, const char *fmt, ...)
{
	va_list ap;

	/* The space keeps a line from looking like the last one (RFC 959 section 4.2). */
	gh_buf_char(&s->out, ' ');
	va_start(ap, fmt);
	text_add(&s->out, fmt, ap);
	va_end(ap);
}

void ftp_end(struct ftp_session *s, int code, const char *fmt, ...)
{
	va_list ap;

	GH_ASSERT(s->busy);
	va_start(ap, fmt);
	reply(s, code, ' ', fmt, ap);
	va_end(ap);
	s->ended = true;
	if (!s->live)
		s->busy = false;
}

void ftp_bye(struct ftp_session *s, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reply(s, code, ' ', fmt, ap);
	va_end(ap);
	s->busy = false;
	s->leaving = s->reg.leaving = true;
}

void ftp_end_status(struct ftp_session *s, enum gh_status st, const struct vfs_req *req)
{
	struct ftp_answer a = ftp_answer_of(st);
	const char *text = a.text;

	if (req && req->status == st) {
		if (st == GH_LOCKED && req->blocker && *req->blocker) {
			ftp_end(s, a.code, "Locked by %.255s.", req->blocker);
			return;
		}
		if (gh_status_class(st) == GH_CLASS_TENANT && req->message && *req->message)
			text = req->message;
	}
	if (st == GH_UNAUTH && s->who) /* removed, disabled, or of another password since the login */
		ftp_bye(s, 421, "Your account has changed; please log in again.");
	else if (a.code == 421)
		ftp_bye(s, 421, "%.1000s", text);
	else
		ftp_end(s, a.code, "%.1000s", text);
}
