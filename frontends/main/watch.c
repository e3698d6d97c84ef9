/* See watch.h. On a terminal: the other screen, keys one by one, everything put back at the end, whichever way it comes:
 * q, Ctrl-C, a signal, the gateway's end. The only global state is what the signal handlers need for that.
 */
#include "frontends/main/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "frontends/main/cli.h"

#define PICTURE_MAX (256u << 10)
#define ENTER "\x1b[?1049h\x1b[?25l"
#define LEAVE "\x1b[?25h\x1b[?1049l"

static struct termios terminal_was;
static volatile sig_atomic_t keys_changed, resized;

/* ---- the terminal ---- */

static void put_all(const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

/* Also from a signal handler. */
static void terminal_restore(void)
{
	put_all(LEAVE, sizeof(LEAVE) - 1);
	if (keys_changed)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal_was);
}

static void on_end(int sig)
{
	terminal_restore();
	_exit(sig == SIGINT ? CLI_DONE : 128 + sig);
}

static void on_resize(int sig)
{
	(void)sig;
	resized = 1;
}

static void terminal_take(void)
{
	struct sigaction end = { .sa_handler = on_end }, resize = { .sa_handler = on_resize };
	struct termios quiet;

	if (!tcgetattr(STDIN_FILENO, &terminal_was)) {
		quiet = terminal_was;
		quiet.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		keys_changed = !tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
	}
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	sigaction(SIGQUIT, &end, NULL);
	sigaction(SIGWINCH, &resize, NULL);
	signal(SIGTSTP, SIG_IGN); /* stopping would leave the shell on the other screen */
	put_all(ENTER, sizeof(ENTER) - 1);
}

static void size_of_terminal(struct watch_view *v)
{
	struct winsize w;

	v->rows = 24;
	v->columns = 80;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_row && w.ws_col) {
		v->rows = w.ws_row;
		v->columns = w.ws_col;
	}
}

/* A key that leaves, within that time? A resize ends the wait. */
static bool wants_to_leave(uint64_t until_ns)
{
	struct pollfd p = { .fd = keys_changed ? STDIN_FILENO : -1, .events = POLLIN };
	uint64_t now;
	char key;

	while (!resized && (now = gh_mono_ns()) < until_ns) {
		if (poll(&p, 1, (int)((until_ns - now) / GH_MS_NS) + 1) <= 0)
			continue;
		if (read(STDIN_FILENO, &key, 1) != 1)
			return true;
		if (key == 'q' || key == 'Q' || key == 4)
			return true;
	}
	return false;
}

/* ---- the gateway ---- */

/* The answer to op, or NULL; says nothing of its own but that the gateway is gone. */
static json_t *ask(const struct cli *c, const char *op, json_t *args, bool *gone)
{
	struct cli_command command = *c->command;
	struct cli one = *c;
	json_t *result = NULL;
	bool absent = false;

	command.op = op;
	one.command = &command;
	one.args = args;
	one.quiet = true;
	if (cli_call(&one, &result, &absent) && gone)
		*gone = absent;
	json_decref(args);
	return result;
}

static json_t *items_of(const struct cli *c, const char *op)
{
	json_t *result = ask(c, op, json_object(), NULL), *items = json_incref(json_object_get(result, "items"));

	json_decref(result);
	return items;
}

/* The latest sample; NULL: none yet, or *gone. */
static json_t *sample_latest(const struct cli *c, bool *gone)
{
	json_t *result = ask(c, "live.history", json_pack("{s:i, s:i}", "seconds", 1, "points", 1), gone), *s;

	s = json_incref(json_array_get(json_object_get(result, "items"), 0));
	json_decref(result);
	return s;
}

/* ---- both ---- */

/* false: the gateway is gone. */
static bool picture_show(const struct cli *c)
{
	struct watch_view v;
	struct gh_buf out;
	bool gone = false;
	json_t *sample = sample_latest(c, &gone), *status = gone ? NULL : ask(c, "status", json_object(), &gone);
	json_t *switches = gone ? NULL : items_of(c, "switch.list"), *breakers = NULL;

	if (json_integer_value(json_object_get(sample, "breakers_open")) > 0)
		breakers = items_of(c, "breaker.list");
	if (!gone) {
		v = (struct watch_view){ .sample = sample, .status = status, .switches = switches, .breakers = breakers };
		size_of_terminal(&v);
		gh_buf_init(&out, PICTURE_MAX);
		watch_draw(&v, &out);
		if (!out.failed)
			put_all(out.data, out.len);
		gh_buf_fini(&out);
	}
	json_decref(sample);
	json_decref(status);
	json_decref(switches);
	json_decref(breakers);
	return !gone;
}

static int watch_terminal(struct cli *c)
{
	uint64_t next = gh_mono_ns();
	bool here = true, leave = false;

	terminal_take();
	while (!leave) {
		resized = 0;
		here = picture_show(c);
		if (!here)
			break;
		if (gh_mono_ns() >= next)
			next = gh_mono_ns() + GH_S_NS;
		leave = wants_to_leave(next);
	}
	terminal_restore();
	return here ? CLI_DONE : cli_fail(c, "notfound", "the gateway has ended");
}

static int watch_lines(struct cli *c)
{
	struct gh_buf out;
	json_int_t last = 0;

	for (;;) {
		bool gone = false;
		json_t *s = sample_latest(c, &gone);
		const json_int_t t = json_integer_value(json_object_get(s, "t"));

		if (s && t != last) {
			last = t;
			gh_buf_init(&out, PICTURE_MAX);
			watch_line(s, &out);
			if (c->json)
				json_dumpf(s, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
			else
				fputs(out.data ? out.data : "", stdout);
			putchar('\n');
			gh_buf_fini(&out);
		}
		json_decref(s);
		if (fflush(stdout) || ferror(stdout))
			return CLI_FAILED;
		if (gone)
			return cli_fail(c, "notfound", "the gateway has ended");
		(void)wants_to_leave(gh_mono_ns() + GH_S_NS);
	}
}

int cli_watch(struct cli *c)
{
	json_t *status = NULL;
	int rc = cli_call(c, &status, NULL); /* what is wrong is said before the screen changes */

	json_decref(status);
	if (rc)
		return rc;
	if (isatty(STDOUT_FILENO) && !c->json)
		return watch_terminal(c);
	return watch_lines(c);
}
