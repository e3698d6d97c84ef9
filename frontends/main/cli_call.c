/* Calls to a running gateway over its admin socket, and what they need: the data directory, a password. See cli.h. */
#include "frontends/main/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "frontends/admin/admin.h"
#include "frontends/main/config.h"
#include "frontends/main/watch.h"

#define REPLY_MAX (80u << 20)
#define PASSWORD_MAX 1024

int cli_fail(const struct cli *c, const char *status, const char *message)
{
	if (c->quiet)
		return CLI_FAILED;
	fprintf(stderr, "gatehouse: %s\n", message);
	if (c->json) {
		json_t *o = json_pack("{s:{s:s, s:s}}", "error", "status", status, "message", message);

		if (o) {
			json_dumpf(o, stdout, JSON_COMPACT);
			putchar('\n');
		}
		json_decref(o);
	}
	return CLI_FAILED;
}

const char *cli_folder(struct cli *c)
{
	static char folder[4096];
	char err[CONFIG_ERR_MAX];
	struct config *cfg;

	if (c->dir)
		return c->dir;
	if (config_load(c->config, &cfg, err)) {
		cli_fail(c, "invalid", err);
		return NULL;
	}
	snprintf(folder, sizeof(folder), "%s", config_text(cfg, "data"));
	config_free(&cfg);
	return folder;
}

static bool send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* One line, without its end. */
static bool line_read(int fd, struct gh_buf *in)
{
	char part[65536];
	ssize_t n;

	for (;;) {
		n = recv(fd, part, sizeof(part), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		gh_buf_add(in, part, (size_t)n);
		if (in->failed)
			return false;
		if (in->data[in->len - 1] == '\n')
			return true;
	}
}

/* The server's answer to {op, args}, or NULL. */
static json_t *exchange(int fd, const char *op, json_t *args)
{
	json_t *call = json_pack("{s:s, s:O}", "op", op, "args", args), *reply = NULL;
	char *text = call ? json_dumps(call, JSON_COMPACT) : NULL;
	struct gh_buf in;

	gh_buf_init(&in, REPLY_MAX);
	/* A refusal comes without the call being read, so a failed send does not mean that there is no answer. */
	if (text) {
		(void)(send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1));
		if (line_read(fd, &in))
			reply = json_loadb(in.data, in.len, 0, NULL);
	}
	gh_buf_fini(&in);
	free(text);
	json_decref(call);
	return reply;
}

int cli_call(struct cli *c, json_t **ret_result, bool *absent)
{
	const char *folder, *status = "io", *message = "the gateway gave no answer; its log may say why";
	enum gh_status st;
	json_t *reply, *result = NULL;
	char err[256];
	int fd, ok = 0, rc;

	if (absent)
		*absent = false;
	if (c->admin)
		return cli_usage("--admin is for serve; a running gateway is reached by its data directory, -D DIR");
	folder = cli_folder(c);
	if (!folder)
		return CLI_FAILED;
	st = admin_socket_connect(folder, &fd, err);
	if (st == GH_NOTFOUND && absent) {
		*absent = true;
		return CLI_FAILED;
	}
	if (st)
		return cli_fail(c, gh_status_name(st), err);
	reply = exchange(fd, c->command->op, c->args);
	close(fd);
	if (reply && !json_unpack(reply, "{s:b, s:o}", "ok", &ok, "result", &result) && ok) {
		*ret_result = json_incref(result);
		rc = CLI_DONE;
	} else {
		if (reply)
			(void)json_unpack(reply, "{s:s, s:s}", "status", &status, "message", &message);
		rc = cli_fail(c, status, message);
	}
	json_decref(reply);
	return rc;
}

/* ---- passwords ---- */

/* One line from stdin without its end; echo off on a terminal. */
static int password_line(char *out, size_t size)
{
	struct termios was, quiet;
	bool terminal = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &was);
	char *got;

	if (terminal) {
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	got = fgets(out, (int)size, stdin);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	if (!got)
		return cli_usage("there is no password on standard input");
	if (!strchr(out, '\n') && strlen(out) == size - 1)
		return cli_usage("a password has at most %d bytes", PASSWORD_MAX);
	out[strcspn(out, "\r\n")] = 0;
	if (!*out)
		return cli_usage("the password is empty");
	return CLI_DONE;
}

int cli_password(struct cli *c)
{
	char first[PASSWORD_MAX + 2], again[PASSWORD_MAX + 2];
	int rc;

	if (!c->password_stdin) {
		if (!isatty(STDIN_FILENO))
			return cli_usage("%s needs --password-stdin here", c->command->words);
		fputs("Password: ", stderr);
	}
	rc = password_line(first, sizeof(first));
	if (!rc && !c->password_stdin) {
		fputs("Again: ", stderr);
		rc = password_line(again, sizeof(again));
		if (!rc && strcmp(first, again))
			rc = cli_usage("the two are not the same");
	}
	if (!rc && json_object_set_new(c->args, "password", json_string(first)))
		rc = cli_usage("the password is not valid UTF-8");
	explicit_bzero(first, sizeof(first));
	explicit_bzero(again, sizeof(again));
	return rc;
}

/* ---- status ---- */

int cli_status(struct cli *c)
{
	json_t *result = NULL;
	int rc;

	if (c->watch)
		return cli_watch(c);
	rc = cli_call(c, &result, NULL);
	if (!rc)
		cli_print_result(c, result);
	json_decref(result);
	return rc;
}
