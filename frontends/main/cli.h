/* The command line: a table of commands (cli_commands.c), one parser for all of them (cli.c), the call to a running
 * gateway (cli_call.c) and how its answers look (cli_print.c). Single-threaded.
 */
#ifndef GH_FRONTENDS_MAIN_CLI_H
#define GH_FRONTENDS_MAIN_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Exit statuses of every command. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

int cli_main(int argc, char **argv);

/* ---- the table ---- */

enum cli_option_kind {
	CLI_TRUE, CLI_FALSE, /* no value; sets key to that */
	CLI_STRING, CLI_NUMBER,
	CLI_DURATION, /* "4h"; sets key to seconds */
	CLI_LIST,     /* may be repeated, and holds a,b */
	CLI_GLOBAL,   /* one that every command knows */
	CLI_SERVE,    /* serve: overrides the configuration key */
	CLI_SPECIAL,  /* handled by name */
};

struct cli_option {
	const char *name, *value; /* "--days", "N" (NULL = takes none) */
	enum cli_option_kind kind;
	const char *key;          /* argument of the control operation, or configuration key */
	unsigned bit;
	const char *help;
};

struct cli_command;
struct cli {
	const struct cli_command *command;
	const char *dir, *config, *admin; /* NULL = not given */
	bool json, help, check, watch, password_stdin;
	bool quiet; /* cli_fail says nothing: the caller looks at the result */
	json_t *args;                     /* of the control operation */
	struct {
		const char *key, *value, *where;
	} overrides[8];
	size_t override_count;
};

struct cli_command {
	const char *words;      /* "user token add" */
	const char *op;         /* control operation; NULL = run does it all */
	const char *positional; /* "TENANT/USER ID"; [X] may be left out; X... is one or more */
	unsigned options;       /* bits of cli_options */
	const char *help;
	int (*run)(struct cli *c); /* NULL = call op and print */
};

extern const struct cli_command cli_commands[]; /* ends with words NULL */
extern const struct cli_option cli_options[];   /* ends with name NULL */

/* ---- pieces ---- */

/* Message on stderr, "gatehouse: ...", and with --json an object on stdout; returns CLI_FAILED. */
int cli_fail(const struct cli *c, const char *status, const char *message);
/* As above with a hint at --help; returns CLI_USAGE. */
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The data directory: -D, else that of the configuration -c, else the default. NULL: said why. Lives as long as c. */
const char *cli_folder(struct cli *c);
/* Runs c->command->op; *ret_result (new reference) on CLI_DONE. absent (may be NULL) is set, and nothing is said, when
 * nobody serves the directory. */
int cli_call(struct cli *c, json_t **ret_result, bool *absent);
/* Adds "password" to c->args from stdin or the terminal. */
int cli_password(struct cli *c);
void cli_print_help(const struct cli_command *command, FILE *out); /* NULL = the overview */
void cli_print_result(const struct cli *c, const json_t *result);

/* ---- commands with a function of their own ---- */
int cli_serve(struct cli *c);
int cli_fsck(struct cli *c);
int cli_migrate(struct cli *c);
int cli_backup(struct cli *c);
int cli_restore(struct cli *c);
int cli_status(struct cli *c);
int cli_doctor(struct cli *c);
int cli_schema_check(struct cli *c);
int cli_tenant_move(struct cli *c);
int cli_switch_set(struct cli *c);
int cli_switch_list(struct cli *c);

#endif
