/* The status table turned into look-ups. Called by everybody; constant data only, any thread. */
#include "core/base/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct status_row {
	const char *name, *text;
	enum gh_status_class class;
};

static const struct status_row rows[GH_STATUS_COUNT] = {
#define X(name, class, text) [GH_##name] = { #name, text, GH_CLASS_##class },
#include "core/base/status.tbl.h"
#undef X
};

/* The symbols in lower case, made by the table too: logs and metrics want them without a conversion at run time. */
static char lower_of(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

enum { NAME_ROOM = 16 };
static char lower_names[GH_STATUS_COUNT][NAME_ROOM];

/* Filled before main starts, so that it is constant as far as any thread can see. */
__attribute__((constructor)) static void lower_names_fill(void)
{
	for (int i = 0; i < GH_STATUS_COUNT; i++)
		for (int k = 0; k < NAME_ROOM - 1 && rows[i].name[k]; k++)
			lower_names[i][k] = lower_of(rows[i].name[k]);
}

/* A value from outside the enum is a bug of ours; it must still not read outside the table. */
static unsigned row_of(enum gh_status st)
{
	return (unsigned)st < GH_STATUS_COUNT ? (unsigned)st : GH_BUG;
}

const char *gh_status_name(enum gh_status st)
{
	return lower_names[row_of(st)];
}

const char *gh_status_text(enum gh_status st)
{
	return rows[row_of(st)].text;
}

enum gh_status_class gh_status_class(enum gh_status st)
{
	return rows[row_of(st)].class;
}

enum gh_status gh_status_of_errno(int err)
{
	switch (err) {
	case ENOSPC:
	case EDQUOT:
		return GH_NOSPACE;
	case ENOMEM:
		return GH_NOMEM;
	case ENOENT:
		return GH_NOTFOUND;
	default:
		return GH_IO;
	}
}

_Noreturn void gh_assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
	abort();
}
