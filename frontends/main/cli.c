/* The command line: finds the command and hands it its arguments. */
#include "frontends/main/cli.h"

#include <stdio.h>
#include <string.h>

int cli_main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("gatehouse " PACKAGE_VERSION);
		return CLI_DONE;
	}
	fputs("usage: gatehouse COMMAND ...\n", stderr);
	return CLI_USAGE;
}
