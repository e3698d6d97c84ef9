/* Named places where a test may kill the process, so that what survives a crash there can be looked at.
 *
 * GATEHOUSE_CRASH_AT=NAME in the environment at start: the process gets SIGKILL when it first passes that point;
 * NAME:N at its Nth pass. Without the variable a point costs one predictable branch. Any thread.
 */
#ifndef GH_CORE_BASE_CRASH_H
#define GH_CORE_BASE_CRASH_H

#include <stdbool.h>

/* Written before main() and by gh_crash_reload only; read by everyone. */
extern bool gh_crash_armed;

void gh_crash_pass(const char *name); /* only through gh_crash_point */

static inline void gh_crash_point(const char *name)
{
	if (__builtin_expect(gh_crash_armed, 0))
		gh_crash_pass(name);
}

/* Reads the environment again: for a test's child, after fork and setenv, while it has one thread. */
void gh_crash_reload(void);

#endif
