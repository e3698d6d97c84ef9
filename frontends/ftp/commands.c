/* The command table: a line becomes a function call, after the checks that no function may forget. And the small
 * commands: modes, features, help, state. */
#include "frontends/ftp/ftp.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "frontends/ftp/parse.h"

#define GARBAGE_MAX 5 /* lines that are no FTP, or unknown verbs before login */
#define OVERLONG_MAX 3

static const struct ftp_command commands[] = {
#define X(verb, flags, fn) { verb, flags, fn },
#include "frontends/ftp/commands.tbl.h"
#undef X
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static size_t verb_len(const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);

	return space ? (size_t)(space - line) : len;
}

static bool is_letter(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Letters only, so that comparing without case needs no locale and no byte beyond ASCII is ever changed. */
static bool is_verb(const char *line, size_t len)
{
	if (!len || len > 12)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_letter((unsigned char)line[i]))
			return false;
	return true;
}

const struct ftp_command *ftp_command_find(const char *line, size_t len)
{
	size_t n = verb_len(line, len);

	if (!is_verb(line, n))
		return NULL;
	for (unsigned i = 0; i < COMMAND_COUNT; i++)
		if (strlen(commands[i].verb) == n && !strncasecmp(commands[i].verb, line, n))
			return &commands[i];
	return NULL;
}

size_t ftp_line_cap(const char *line, size_t len)
{
	const struct ftp_command *c = ftp_command_find(line, len);

	return c && c->flags & FTP_PATH ? FTP_PATH_LINE_MAX : FTP_LINE_MAX;
}

/* A browser that was tricked into talking to this port (ALPACA): a request line, or a header. */
static bool is_http(const char *line, size_t len)
{
	static const char *const methods[] = { "GET",     "POST",  "HEAD",  "PUT",      "DELETE",   "OPTIONS",
					       "CONNECT", "PATCH", "TRACE", "PROPFIND", "PROPPATCH" };
	size_t n = verb_len(line, len);

	for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strlen(methods[i]) == n && !strncasecmp(methods[i], line, n))
			return true;
	return n >= 5 && !strncasecmp(line, "Host:", 5);
}

bool ftp_line_is_live(struct ftp_session *s)
{
	const struct gh_buf *line = &s->reader.line;
	const struct ftp_command *c = ftp_command_find(line->data, line->len);

	if (!c || !(c->flags & FTP_LIVE))
		return false;
	/* Once the commit is under way its outcome is the only honest answer; ABOR waits for it. */
	if (c->run == ftp_cmd_abor)
		return s->t.stage != FTP_T_COMMITTING;
	/* STAT with a path is a listing, and asks the core. */
	return c->run != ftp_cmd_stat || line->len <= verb_len(line->data, line->len) + 1;
}

static void unknown(struct ftp_session *s, bool garbage)
{
	if ((garbage || !s->who) && ++s->garbage >= GARBAGE_MAX)
		ftp_bye(s, 421, "This is an FTP server; too many unknown commands.");
	else
		ftp_end(s, 500, "Unknown command.");
}

void ftp_overlong(struct ftp_session *s)
{
	s->busy = true;
	if (++s->overlong >= OVERLONG_MAX)
		ftp_bye(s, 421, "Too many lines that are too long.");
	else
		ftp_end(s, 500, "The line is too long.");
}

static bool arg_is_odd(const char *arg, size_t len, unsigned flags)
{
	if (flags & FTP_ODD)
		return memchr(arg, 0, len) != NULL;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)arg[i] < 0x20 || arg[i] == 0x7f)
			return true;
	return false;
}

void ftp_dispatch(struct ftp_session *s)
{
	char *line = s->reader.line.data;
	size_t len = s->reader.line.len, n = verb_len(line, len);
	const struct ftp_command *c = ftp_command_find(line, len);
	char *arg = line + n + (n < len);
	size_t arg_len = (size_t)(line + len - arg);

	s->live = s->busy;
	s->busy = true;
	if (!s->live) {
		s->verb = c ? c->verb : "-";
		s->code = 0;
	}
	if (!c && is_http(line, len))
		ftp_bye(s, 421, "This is an FTP server.");
	else if (!c)
		unknown(s, !is_verb(line, n));
	else if (c->flags & FTP_LOGIN && !s->who)
		ftp_end(s, 530, "Log in with USER and PASS first.");
	else if (arg_is_odd(arg, arg_len, c->flags))
		ftp_end(s, 501, "The argument holds control characters.");
	else if (c->flags & FTP_ARG && !arg_len)
		ftp_end(s, 501, "%s needs an argument.", c->verb);
	else
		c->run(s, arg, arg_len);
	s->live = false;
}

/* ---- modes ---- */

void ftp_cmd_type(struct ftp_session *s, char *arg, size_t len)
{
	switch (ftp_parse_type(arg)) {
	case FTP_TYPE_ASCII:
		s->binary = false;
		ftp_end(s, 200, "Type is ASCII.");
		return;
	case FTP_TYPE_BINARY:
		s->binary = true;
		ftp_end(s, 200, "Type is binary.");
		return;
	case FTP_TYPE_OTHER:
		ftp_end(s, 504, "Types are A, I and L 8.");
		return;
	}
}

void ftp_cmd_mode(struct ftp_session *s, char *arg, size_t len)
{
	if (!strcasecmp(arg, "S"))
		ftp_end(s, 200, "Mode is stream.");
	else
		ftp_end(s, 504, "Only mode S is supported.");
}

void ftp_cmd_stru(struct ftp_session *s, char *arg, size_t len)
{
	if (!strcasecmp(arg, "F"))
		ftp_end(s, 200, "Structure is file.");
	else
		ftp_end(s, 504, "Only structure F is supported.");
}

void ftp_cmd_allo(struct ftp_session *s, char *arg, size_t len)
{
	/* "n" or "n R m". A promise of the client's; what counts is what arrives. */
	if (strspn(arg, "0123456789 Rr") != len || arg[0] < '0' || arg[0] > '9')
		ftp_end(s, 501, "ALLO takes a number of bytes.");
	else
		ftp_end(s, 202, "No allocation is needed.");
}

void ftp_cmd_rest(struct ftp_session *s, char *arg, size_t len)
{
	uint64_t at;

	if (ftp_parse_u64(arg, &at) != GH_OK) {
		ftp_end(s, 501, "REST takes a position in bytes.");
		return;
	}
	/* A position in text whose line ends are being changed means different bytes at each side. */
	if (at && !s->binary) {
		ftp_end(s, 501, "REST needs TYPE I.");
		return;
	}
	s->rest = at;
	ftp_end(s, 350, "Restarting at %llu.", (unsigned long long)at);
}

/* ---- features and help ---- */

void ftp_cmd_feat(struct ftp_session *s, char *arg, size_t len)
{
	struct gh_buf facts;

	gh_buf_init(&facts, 256);
	ftp_facts_feat(&facts, s->facts);
	ftp_say_first(s, 211, "Features:");
	ftp_say_line(s, "AVBL");
	ftp_say_line(s, "EPRT");
	ftp_say_line(s, "EPSV");
	ftp_say_line(s, "HOST");
	ftp_say_line(s, "MDTM");
	ftp_say_line(s, "MFMT");
	ftp_say_line(s, "MLST %s", facts.data ? facts.data : "");
	ftp_say_line(s, "REST STREAM");
	ftp_say_line(s, "SIZE");
	ftp_say_line(s, "TVFS");
	ftp_say_line(s, "UTF8");
	ftp_end(s, 211, "End");
	gh_buf_fini(&facts);
}

void ftp_cmd_opts(struct ftp_session *s, char *arg, size_t len)
{
	size_t n = verb_len(arg, len);
	const char *value = arg + n + (n < len);
	struct gh_buf names;

	if ((n == 4 && !strncasecmp(arg, "UTF8", 4)) || (n == 5 && !strncasecmp(arg, "UTF-8", 5))) {
		if (!*value || !strcasecmp(value, "ON"))
			ftp_end(s, 200, "Names are UTF-8.");
		else
			ftp_end(s, 504, "Names are always UTF-8.");
		return;
	}
	if (n != 4 || strncasecmp(arg, "MLST", 4) != 0) {
		ftp_end(s, 501, "No such option.");
		return;
	}
	s->facts = ftp_facts_parse(value);
	gh_buf_init(&names, 256);
	ftp_facts_names(&names, s->facts);
	ftp_end(s, 200, "MLST OPTS %s", names.data ? names.data : "");
	gh_buf_fini(&names);
}

void ftp_cmd_syst(struct ftp_session *s, char *arg, size_t len)
{
	ftp_end(s, 215, "UNIX Type: L8");
}

void ftp_cmd_help(struct ftp_session *s, char *arg, size_t len)
{
	char row[96];
	size_t n = 0;

	ftp_say_first(s, 214, "Commands:");
	for (unsigned i = 0; i < COMMAND_COUNT; i++) {
		size_t verb = strlen(commands[i].verb);

		if (commands[i].run == ftp_cmd_unsupported)
			continue;
		memcpy(row + n, commands[i].verb, verb);
		n += verb;
		row[n++] = ' ';
		if (n > 64) {
			ftp_say_line(s, "%.*s", (int)n - 1, row);
			n = 0;
		}
	}
	if (n)
		ftp_say_line(s, "%.*s", (int)n - 1, row);
	ftp_end(s, 214, "End");
}

void ftp_cmd_site(struct ftp_session *s, char *arg, size_t len)
{
	if (!strcasecmp(arg, "HELP"))
		ftp_end(s, 214, "There are no SITE commands.");
	else
		ftp_end(s, 504, "No such SITE command.");
}

void ftp_cmd_clnt(struct ftp_session *s, char *arg, size_t len)
{
	ftp_end(s, 200, "Noted.");
}

void ftp_cmd_acct(struct ftp_session *s, char *arg, size_t len)
{
	ftp_end(s, 202, "No account is needed.");
}

void ftp_cmd_unsupported(struct ftp_session *s, char *arg, size_t len)
{
	ftp_end(s, 502, "Not implemented.");
}

void ftp_cmd_noop(struct ftp_session *s, char *arg, size_t len)
{
	ftp_end(s, 200, "Still here.");
}

void ftp_cmd_quit(struct ftp_session *s, char *arg, size_t len)
{
	/* RFC 959: a transfer under way is finished first; the farewell comes when nothing runs. */
	s->quit = true;
	if (!s->live)
		s->busy = false;
}

void ftp_cmd_pwd(struct ftp_session *s, char *arg, size_t len)
{
	char quoted[2 * GH_PATH_MAX + 1];
	size_t n = 0;

	for (const char *p = s->cwd; *p && n < sizeof(quoted) - 2; p++) {
		if (*p == '"')
			quoted[n++] = '"';
		quoted[n++] = *p;
	}
	quoted[n] = '\0';
	ftp_end(s, 257, "\"%s\" is the current folder.", quoted);
}

static void state_of_session(struct ftp_session *s)
{
	ftp_say_first(s, 211, "Gatehouse FTP");
	ftp_say_line(s, "Connected from %s", s->peer.text);
	ftp_say_line(s, "Logged in as %s in %s", vfs_session_user(s->who), vfs_session_tenant(s->who));
	ftp_say_line(s, "TYPE: %s, STRU: F, MODE: S", s->binary ? "I" : "A");
	if (s->t.stage != FTP_T_NONE)
		ftp_say_line(s, "%s: %llu bytes so far", s->verb, (unsigned long long)s->t.bytes);
	else
		ftp_say_line(s, "No transfer runs");
	ftp_end(s, 211, "End");
}

void ftp_cmd_stat(struct ftp_session *s, char *arg, size_t len)
{
	if (len)
		ftp_list_stat(s, arg, len);
	else
		state_of_session(s);
}
