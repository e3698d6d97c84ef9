/* What gateways tell each other of guesses, so that who guesses at several of them is counted once (policy/defender.h): a
 * word (meta_say) for each wrong secret, for each right one that ends a count, and for each pardon. Pure. */
#ifndef GH_CORE_PEOPLE_GUESS_H
#define GH_CORE_PEOPLE_GUESS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/meta.h"

#define GUESS_USER_MAX 255 /* bytes of a name's key; longer ones are nobody's, and are told to nobody */

struct guess {
	enum { GUESS_WRONG, GUESS_RIGHT, GUESS_PARDON } what;
	uint64_t tenant, prefix;
	bool all; /* pardon: of every user of the tenant */
	char user[GUESS_USER_MAX + 1];
};

/* false: it is not to be told. */
bool guess_write(char word[META_WORD_MAX + 1], const struct guess *g);
/* false: it is none, or one of another release's. */
bool guess_read(const char *word, struct guess *ret);

#endif
