/* The command line. */
#ifndef GH_FRONTENDS_MAIN_CLI_H
#define GH_FRONTENDS_MAIN_CLI_H

/* Exit statuses of every command. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

int cli_main(int argc, char **argv);

#endif
