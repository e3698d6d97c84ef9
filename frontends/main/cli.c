/* One parser for all commands. Options of every command may stand anywhere, -D and --admin also before it. See cli.h. */
#include "frontends/main/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/main/config.h"

int cli_usage(const char *fmt, ...)
{
	va_list ap;

	fputs("gatehouse: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("; see --help\n", stderr);
	return CLI_USAGE;
}

/* ---- finding the command ---- */

/* Do argv's words begin with this command? Number of words it takes, or 0. */
static int words_match(const char *words, int argc, char **argv)
{
	int n = 0;

	while (*words) {
		size_t len = strcspn(words, " ");

		if (n >= argc || strlen(argv[n]) != len || memcmp(argv[n], words, len))
			return 0;
		n++;
		words += len;
		words += strspn(words, " ");
	}
	return n;
}

static const struct cli_command *command_find(int argc, char **argv, int *ret_words)
{
	const struct cli_command *best = NULL;

	*ret_words = 0;
	for (const struct cli_command *c = cli_commands; c->words; c++) {
		int n = words_match(c->words, argc, argv);

		if (n > *ret_words) {
			*ret_words = n;
			best = c;
		}
	}
	return best;
}

/* ---- options ---- */

static const struct cli_option *option_find(const struct cli_command *command, const char *arg, const char **ret_value)
{
	size_t len = strcspn(arg, "=");

	for (const struct cli_option *o = cli_options; o->name; o++) {
		if (o->kind != CLI_GLOBAL && !(command && command->options & o->bit))
			continue;
		if (!strncmp(o->name, arg, len) && !o->name[len]) {
			*ret_value = arg[len] ? arg + len + 1 : NULL;
			return o;
		}
	}
	return NULL;
}

static int list_add(json_t *args, const char *key, const char *text)
{
	json_t *list = json_object_get(args, key);

	if (!list) {
		list = json_array();
		if (json_object_set_new(args, key, list))
			return CLI_FAILED;
	}
	while (*text) {
		size_t n = strcspn(text, ",");

		if (n && json_array_append_new(list, json_stringn(text, n)))
			return cli_usage("\"%s\" is not valid UTF-8", text);
		text += n + (text[n] == ',');
	}
	return CLI_DONE;
}

static int number_set(json_t *args, const struct cli_option *o, const char *text)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || !*text || *end || v < 0)
		return cli_usage("%s: \"%s\" is not a number", o->name, text);
	return json_object_set_new(args, o->key, json_integer(v)) ? CLI_FAILED : CLI_DONE;
}

static int duration_set(json_t *args, const struct cli_option *o, const char *text)
{
	const struct config_key how = { .name = o->name, .kind = CONFIG_DURATION, .max = INT64_MAX };
	char err[CONFIG_ERR_MAX];
	int64_t ms;

	if (config_parse_number(&how, text, &ms, err))
		return cli_usage("%s: %s", o->name, err);
	/* less than a second is a second: 0 would be refused as if it were over */
	return json_object_set_new(args, o->key, json_integer((ms + 999) / 1000)) ? CLI_FAILED : CLI_DONE;
}

static void global_set(struct cli *c, const struct cli_option *o, const char *value)
{
	if (!strcmp(o->name, "-D"))
		c->dir = value;
	else if (!strcmp(o->name, "-c"))
		c->config = value;
	else if (!strcmp(o->name, "--admin"))
		c->admin = value;
	else if (!strcmp(o->name, "--json"))
		c->json = true;
	else
		c->help = true;
}

static int option_set(struct cli *c, const struct cli_option *o, const char *value)
{
	switch (o->kind) {
	case CLI_TRUE:
	case CLI_FALSE:
		return json_object_set_new(c->args, o->key, json_boolean(o->kind == CLI_TRUE)) ? CLI_FAILED : CLI_DONE;
	case CLI_STRING:
		if (json_object_set_new(c->args, o->key, json_string(value)))
			return cli_usage("%s: not valid UTF-8", o->name);
		return CLI_DONE;
	case CLI_NUMBER:
		return number_set(c->args, o, value);
	case CLI_DURATION:
		return duration_set(c->args, o, value);
	case CLI_LIST:
		return list_add(c->args, o->key, value);
	case CLI_GLOBAL:
		global_set(c, o, value);
		return CLI_DONE;
	case CLI_SERVE:
		if (c->override_count == sizeof(c->overrides) / sizeof(c->overrides[0]))
			return cli_usage("%s is given too often", o->name);
		c->overrides[c->override_count].key = o->key;
		c->overrides[c->override_count].value = value;
		c->overrides[c->override_count++].where = o->name;
		return CLI_DONE;
	case CLI_SPECIAL:
		if (!strcmp(o->name, "--check"))
			c->check = true;
		else if (!strcmp(o->name, "--watch"))
			c->watch = true;
		else
			c->password_stdin = true;
		return CLI_DONE;
	}
	return CLI_USAGE;
}

/* Takes argv[*at] and its value; moves *at past them. */
static int option_take(struct cli *c, int argc, char **argv, int *at)
{
	const char *arg = argv[*at], *value;
	const struct cli_option *o = option_find(c->command, arg, &value);

	++*at;
	if (!o)
		return cli_usage("unknown option %s", arg);
	if (!o->value) {
		if (value)
			return cli_usage("%s takes no value", o->name);
	} else if (!value) {
		if (*at >= argc)
			return cli_usage("%s needs a value: %s", o->name, o->value);
		value = argv[(*at)++];
	}
	return option_set(c, o, value);
}

/* ---- positional arguments ---- */

static int text_set(json_t *args, const char *key, const char *text)
{
	if (json_object_set_new(args, key, json_string(text)))
		return cli_usage("\"%s\" is not valid UTF-8", text);
	return CLI_DONE;
}

/* tenant/name; without a tenant it is the one called default. */
static int pair_set(json_t *args, const char *key, const char *text)
{
	const char *slash = strchr(text, '/');

	if (slash ? slash == text || !slash[1] : !*text)
		return cli_usage("\"%s\" is not TENANT/NAME", text);
	if (json_object_set_new(args, "tenant", slash ? json_stringn(text, (size_t)(slash - text)) : json_string("default")))
		return cli_usage("\"%s\" is not valid UTF-8", text);
	return text_set(args, key, slash ? slash + 1 : text);
}

/* One argument by the name that it has in the table. */
static int positional_set(json_t *args, const char *name, size_t len, const char *text)
{
	static const struct {
		const char *name, *key;
	} plain[] = { { "NAME", "name" }, { "TENANT", "tenant" }, { "PATH", "path" }, { "WHO", "who" }, { "USER", "user" },
		      { "RIGHTS", "rights" }, { "RIGHT", "right" }, { "TOKEN", "token" }, { "ID", "id" },
		      { "KEY", "key" },	      { "VALUE", "value" }, { "SERVICE", "service" },
		      { "FOLDER", "folder" } };

	if (len == 11 && !memcmp(name, "TENANT/USER", len))
		return pair_set(args, "user", text);
	if (len == 12 && !memcmp(name, "TENANT/GROUP", len))
		return pair_set(args, "group", text);
	if (len == 6 && !memcmp(name, "MEMBER", len))
		return list_add(args, "members", text);
	if (len == 8 && !memcmp(name, "PROTOCOL", len))
		return list_add(args, "protocols", text);
	if (len == 6 && !memcmp(name, "ON|OFF", len)) {
		if (strcmp(text, "on") && strcmp(text, "off"))
			return cli_usage("\"%s\" is neither on nor off", text);
		return json_object_set_new(args, "on", json_boolean(!strcmp(text, "on"))) ? CLI_FAILED : CLI_DONE;
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strlen(plain[i].name) == len && !memcmp(plain[i].name, name, len))
			return text_set(args, plain[i].key, text);
	}
	abort(); /* a name in the table that is not here */
}

static int positionals_set(struct cli *c, const char **given, int count)
{
	const char *p = c->command->positional;
	int used = 0, rc = CLI_DONE;

	while (*p && !rc) {
		size_t whole = strcspn(p, " "), len;
		bool optional = *p == '[', many;
		const char *name = p + optional;

		len = whole - 2 * optional;
		many = len > 3 && !memcmp(name + len - 3, "...", 3);
		if (many)
			len -= 3;
		if (used >= count && !optional)
			return cli_usage("%s: %.*s is missing", c->command->words, (int)len, name);
		while (used < count && !rc) {
			rc = positional_set(c->args, name, len, given[used++]);
			if (!many)
				break;
		}
		p += whole;
		p += strspn(p, " ");
	}
	if (!rc && used < count)
		return cli_usage("%s: \"%s\" is too much", c->command->words, given[used]);
	return rc;
}

/* ---- all of it ---- */

static int command_parse(struct cli *c, int argc, char **argv)
{
	const char **given = calloc((size_t)argc + 1, sizeof(*given));
	bool only_positional = false;
	int at = 0, count = 0, rc = CLI_DONE;

	if (!given)
		return CLI_FAILED;
	while (at < argc && !rc) {
		if (!only_positional && !strcmp(argv[at], "--")) {
			only_positional = true;
			at++;
		} else if (!only_positional && argv[at][0] == '-' && argv[at][1]) {
			rc = option_take(c, argc, argv, &at);
		} else {
			given[count++] = argv[at++];
		}
	}
	if (!rc && !c->help)
		rc = positionals_set(c, given, count);
	free(given);
	return rc;
}

static int unknown_command(int argc, char **argv)
{
	size_t len = strlen(argv[0]);
	bool group = false;

	for (const struct cli_command *c = cli_commands; c->words; c++)
		group |= !strncmp(c->words, argv[0], len) && c->words[len] == ' ';
	if (!group)
		return cli_usage("unknown command \"%s\"", argv[0]);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			cli_print_help(NULL, stdout);
			return CLI_DONE;
		}
	}
	return argc > 1 ? cli_usage("unknown command \"%s %s\"", argv[0], argv[1])
			: cli_usage("\"%s\" alone is not a command", argv[0]);
}

static int command_run(struct cli *c)
{
	json_t *result = NULL;
	int rc;

	if (c->command->run)
		return c->command->run(c);
	/* What has no other password, and what was told to read one. */
	if (!strcmp(c->command->op, "user.add") || !strcmp(c->command->op, "user.passwd") || c->password_stdin) {
		rc = cli_password(c);
		if (rc)
			return rc;
	}
	rc = cli_call(c, &result, NULL);
	if (!rc)
		cli_print_result(c, result);
	json_decref(result);
	return rc;
}

static int main_with(struct cli *c, int argc, char **argv)
{
	int at = 1, words, rc;

	while (at < argc && argv[at][0] == '-') {
		if (!strcmp(argv[at], "--version")) {
			puts("gatehouse " PACKAGE_VERSION);
			return CLI_DONE;
		}
		rc = option_take(c, argc, argv, &at);
		if (rc)
			return rc;
	}
	if (at == argc) {
		cli_print_help(NULL, c->help ? stdout : stderr);
		return c->help ? CLI_DONE : CLI_USAGE;
	}
	c->command = command_find(argc - at, argv + at, &words);
	if (!c->command)
		return unknown_command(argc - at, argv + at);
	rc = command_parse(c, argc - at - words, argv + at + words);
	if (rc)
		return rc;
	if (c->help) {
		cli_print_help(c->command, stdout);
		return CLI_DONE;
	}
	return command_run(c);
}

int cli_main(int argc, char **argv)
{
	struct cli c = { .args = json_object() };
	int rc;

	if (!c.args)
		return CLI_FAILED;
	rc = main_with(&c, argc, argv);
	json_decref(c.args);
	if (fflush(stdout) || ferror(stdout))
		rc = rc ? rc : CLI_FAILED;
	return rc;
}
