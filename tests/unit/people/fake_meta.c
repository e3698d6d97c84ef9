#include "tests/unit/people/fake_meta.h"

#include <string.h>

enum gh_status meta_user_by_name(struct meta_store *m, struct meta_call *c, uint64_t tenant, const char *key,
				 struct meta_user **ret)
{
	m->user_reads++;
	if (m->fails != GH_OK)
		return m->fails;
	for (unsigned i = 0; i < m->user_count; i++) {
		void (*between)(struct meta_store * m) = m->between;

		if (tenant != m->tenant || strcmp(m->users[i].key, key) != 0)
			continue;
		*ret = gh_memdup(c->arena, &m->users[i], sizeof(m->users[i]));
		if (between) {
			m->between = NULL;
			between(m);
		}
		return *ret ? GH_OK : GH_NOMEM;
	}
	return GH_NOTFOUND;
}

enum gh_status meta_tokens(struct meta_store *m, struct meta_call *c, uint64_t tenant, uint64_t user,
			   struct meta_token **ret, unsigned *ret_count)
{
	m->token_reads++;
	if (m->fails != GH_OK)
		return m->fails;
	*ret_count = 0;
	*ret = gh_alloc_array(c->arena, FAKE_MAX, sizeof(**ret));
	if (!*ret)
		return GH_NOMEM;
	for (unsigned i = 0; i < m->token_count; i++) {
		if (tenant == m->tenant && m->tokens[i].user == user)
			(*ret)[(*ret_count)++] = m->tokens[i];
	}
	return GH_OK;
}

void meta_say(struct meta_store *m, const char *word)
{
	(void)m;
	(void)word;
}
