/* The rights' words: "read,write" to bits and back, for the administrator's commands. Pure; any thread. */
#include <string.h>

#include "policy/acl_trie.h"

/* In the order of the bits. */
static const char *const words[ACL_RIGHT_COUNT] = { "list", "read", "create", "write", "delete", "share", "manage" };

static unsigned word_bits(const char *word, size_t len)
{
	if (len == 4 && !memcmp(word, "full", 4))
		return ACL_FULL;
	for (unsigned i = 0; i < ACL_RIGHT_COUNT; i++) {
		if (strlen(words[i]) == len && !memcmp(words[i], word, len))
			return 1u << i;
	}
	return 0;
}

unsigned acl_rights_parse(const char *text)
{
	unsigned bits = 0;

	for (;;) {
		size_t len;
		unsigned one;

		text += strspn(text, ", ");
		if (!*text)
			return bits;
		len = strcspn(text, ", ");
		one = word_bits(text, len);
		if (!one)
			return 0;
		bits |= one;
		text += len;
	}
}

void acl_rights_format(unsigned rights, char *out)
{
	*out = '\0';
	if ((rights & ACL_FULL) == ACL_FULL) {
		strcpy(out, "full");
		return;
	}
	for (unsigned i = 0; i < ACL_RIGHT_COUNT; i++) {
		if (!(rights & 1u << i))
			continue;
		if (*out)
			strcat(out, ",");
		strcat(out, words[i]);
	}
}
