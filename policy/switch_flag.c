/* Flags by themselves: values as typed, and who is among a percentage. Pure; any thread. */
#include "policy/switch_rule.h"

#include <string.h>

static bool bool_parse(const char *text, int64_t *ret)
{
	static const struct {
		const char *word;
		int64_t value;
	} words[] = { { "true", 1 }, { "false", 0 }, { "on", 1 }, { "off", 0 }, { "yes", 1 }, { "no", 0 }, { "1", 1 }, { "0", 0 } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(words[i].word, text)) {
			*ret = words[i].value;
			return true;
		}
	}
	return false;
}

/* Decimal, nothing around it, 18 digits at most (so that it cannot overflow). */
static bool number_parse(const char *text, int64_t *ret)
{
	bool minus = *text == '-';
	int64_t v = 0;
	size_t n;

	text += minus;
	n = strlen(text);
	if (!n || n > 18 || strspn(text, "0123456789") != n)
		return false;
	for (; *text; text++)
		v = v * 10 + (*text - '0');
	*ret = minus ? -v : v;
	return true;
}

const char *flag_value_wrong(const struct flag_spec *spec, const char *text, int64_t *ret_value)
{
	int64_t v = 0;

	switch (spec->type) {
	case FLAG_BOOL:
		if (!bool_parse(text, &v))
			return "the flag is a switch: its value is true or false";
		break;
	case FLAG_NUMBER:
		if (!number_parse(text, &v))
			return "the flag is a number: its value is a whole number";
		break;
	}
	if (v < spec->min || v > spec->max)
		return "the value is outside the flag's range";
	*ret_value = v;
	return NULL;
}

uint64_t switch_key_hash(const char *key)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3ull;
	return h;
}

unsigned switch_rollout_slot(uint64_t key_hash, uint64_t tenant)
{
	uint64_t x = key_hash ^ tenant * 0x9e3779b97f4a7c15ull;

	/* splitmix64's finish: ids that follow each other fall anywhere */
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (unsigned)((x ^ x >> 31) % 100);
}

bool flag_rollout_takes(const char *key, uint64_t tenant, unsigned percent)
{
	if (percent >= 100)
		return true;
	return tenant && switch_rollout_slot(switch_key_hash(key), tenant) < percent;
}
