/* See guess.h. A word: "guess" what tenant prefix user, numbers and the user's bytes in hexadecimal; "-" for all users. */
#include "core/people/guess.h"

#include <stdio.h>
#include <string.h>

#define HEAD "guess "
#define NUMBER 16 /* digits */

static const char letters[] = "wrp"; /* by guess.what */

bool guess_write(char word[META_WORD_MAX + 1], const struct guess *g)
{
	const size_t len = strnlen(g->user, sizeof(g->user));
	char *at = word;

	if (len > GUESS_USER_MAX || (len == 0 && !g->all))
		return false;
	at += snprintf(at, META_WORD_MAX + 1, HEAD "%c %016llx %016llx ", letters[g->what], (unsigned long long)g->tenant,
		       (unsigned long long)g->prefix);
	if (g->all)
		*at++ = '-';
	for (size_t i = 0; !g->all && i < len; i++)
		at += sprintf(at, "%02x", (unsigned char)g->user[i]);
	*at = '\0';
	return true;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NUMBER digits and a space. */
static bool read_number(const char **at, uint64_t *ret)
{
	*ret = 0;
	for (unsigned i = 0; i < NUMBER; i++, ++*at) {
		const int d = digit(**at);

		if (d < 0)
			return false;
		*ret = *ret << 4 | (unsigned)d;
	}
	return *(*at)++ == ' ';
}

static bool read_user(const char *at, struct guess *g)
{
	size_t n = 0;

	for (; *at; at += 2) {
		const int high = digit(at[0]), low = high < 0 ? -1 : digit(at[1]);

		if (low < 0 || (high | low) == 0 || n == GUESS_USER_MAX)
			return false;
		g->user[n++] = (char)(high << 4 | low);
	}
	g->user[n] = '\0';
	return n > 0;
}

bool guess_read(const char *word, struct guess *ret)
{
	const char *at = word + strlen(HEAD), *letter;

	*ret = (struct guess){ .what = GUESS_WRONG };
	if (strncmp(word, HEAD, strlen(HEAD)) || !*at || !(letter = strchr(letters, *at)) || at[1] != ' ')
		return false;
	ret->what = (unsigned)(letter - letters);
	at += 2;
	if (!read_number(&at, &ret->tenant) || !read_number(&at, &ret->prefix))
		return false;
	ret->all = ret->what == GUESS_PARDON && !strcmp(at, "-");
	return ret->all || read_user(at, ret);
}
