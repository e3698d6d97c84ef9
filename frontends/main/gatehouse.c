/* The executable: everything it does is in cli_main. */
#include "frontends/main/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
