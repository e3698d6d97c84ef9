/* Crash points (see crash.h). State: set up while there is one thread, then only the countdown moves. */
#include "core/base/crash.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool gh_crash_armed;
static char crash_name[64];
static int crash_countdown;

void gh_crash_pass(const char *name)
{
	if (strcmp(name, crash_name))
		return;
	if (__atomic_sub_fetch(&crash_countdown, 1, __ATOMIC_RELAXED) == 0)
		raise(SIGKILL);
}

void gh_crash_reload(void)
{
	const char *spec = getenv("GATEHOUSE_CRASH_AT");
	const char *colon = spec ? strrchr(spec, ':') : NULL;
	size_t len = colon ? (size_t)(colon - spec) : spec ? strlen(spec) : 0;

	gh_crash_armed = len > 0 && len < sizeof(crash_name);
	if (!gh_crash_armed)
		return;
	memcpy(crash_name, spec, len);
	crash_name[len] = '\0';
	crash_countdown = colon ? atoi(colon + 1) : 1;
}

__attribute__((constructor)) static void crash_start(void)
{
	gh_crash_reload();
}
