/* See touched.h. */
#include "core/touched.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Digits; false: none. */
static bool number(const char **p, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)**p))
		return false;
	*ret = strtoull(*p, &end, 10);
	*p = end;
	return true;
}

static bool slot(const char **p, struct touched *ret)
{
	uint64_t len;

	if (!number(p, &ret->id) || *(*p)++ != ':' || !number(p, &len) || *(*p)++ != ':' || strnlen(*p, len) < len)
		return false;
	ret->text = *p;
	ret->len = len;
	*p += len;
	return true;
}

static bool setting(const char **p, struct touched *ret)
{
	if (!number(p, &ret->id) || *(*p)++ != ':')
		return false;
	ret->text = *p;
	ret->len = strcspn(*p, " ");
	*p += ret->len;
	return ret->len > 0;
}

static bool word(const char **p, struct touched *ret)
{
	switch ((ret->kind = *(*p)++)) {
	case 's':
		return slot(p, ret);
	case 'u':
		return number(p, &ret->id);
	case 'k':
		return setting(p, ret);
	case 't':
		(void)number(p, &ret->id);
		return true;
	case 'r':
	case 'l':
	case 'T':
	case '-':
		return true;
	}
	return false;
}

bool touched_next(const char **at, struct touched *ret)
{
	const char *p = *at;

	if (!p)
		return false;
	*ret = (struct touched){ 0 };
	if (*p && word(&p, ret) && (!*p || *p == ' ')) {
		*at = *p && p[1] ? p + 1 : NULL;
		return true;
	}
	*ret = (struct touched){ .kind = '?' };
	*at = NULL;
	return true;
}
