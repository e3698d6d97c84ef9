/* The If header (RFC 4918 section 10.4), the lock headers and Depth: text into struct vfs_cond, for every method. The
 * core evaluates; a token anywhere in the header counts as submitted.
 *
 *   If            = 1*List | 1*(Resource-Tag 1*List)
 *   List          = "(" 1*( ["Not"] ( "<" token ">" | "[" entity-tag "]" ) ) ")"
 */
#include "frontends/webdav/dav.h"

#include <string.h>
#include <strings.h>

struct scan {
	const char *p;
	struct gh_arena *a;
	struct vfs_cond *cond;
	unsigned token_room;
};

static void skip_space(struct scan *s)
{
	while (*s->p == ' ' || *s->p == '\t')
		s->p++;
}

/* "<...>": what stands inside; at least one character, none of them a space or control. */
static bool scan_coded_url(struct scan *s, const char **ret, size_t *ret_len)
{
	const char *start = ++s->p;

	while (*s->p && *s->p != '>') {
		if ((unsigned char)*s->p <= ' ' || *s->p == 0x7F || *s->p == '<')
			return false;
		s->p++;
	}
	if (*s->p != '>' || s->p == start)
		return false;
	*ret = start;
	*ret_len = (size_t)(s->p - start);
	s->p++;
	return true;
}

/* A quoted entity tag of ours is 16 hex digits (vfs_etag); any other, and a weak one, matches nothing: strong
 * comparison is what a write needs. */
static uint64_t version_of(const char *tag, size_t len)
{
	uint64_t v = 0;

	if (len != 16)
		return 0;
	for (size_t i = 0; i < len; i++) {
		const char *digits = "0123456789abcdef", *d = tag[i] ? strchr(digits, tag[i]) : NULL;

		if (!d)
			return 0;
		v = v << 4 | (uint64_t)(d - digits);
	}
	return v;
}

/* "[" entity-tag "]" */
static bool scan_etag(struct scan *s, struct vfs_if_cond *c)
{
	bool weak = false;
	const char *start;

	s->p++;
	skip_space(s);
	if (s->p[0] == 'W' && s->p[1] == '/') {
		weak = true;
		s->p += 2;
	}
	if (*s->p != '"')
		return false;
	start = ++s->p;
	while (*s->p && *s->p != '"') {
		if ((unsigned char)*s->p < ' ' || *s->p == 0x7F)
			return false;
		s->p++;
	}
	if (*s->p != '"')
		return false;
	c->version = weak ? 0 : version_of(start, (size_t)(s->p - start));
	s->p++;
	skip_space(s);
	if (*s->p != ']')
		return false;
	s->p++;
	return true;
}

static bool scan_token(struct scan *s, struct vfs_if_cond *c)
{
	const char *token;
	size_t len;

	if (!scan_coded_url(s, &token, &len))
		return false;
	c->token = gh_strndup(s->a, token, len);
	if (c->token && s->cond->token_count < s->token_room)
		s->cond->tokens[s->cond->token_count++] = c->token;
	return true;
}

/* How many conditions the list that begins here can have at most. */
static unsigned list_room(const char *p)
{
	unsigned n = 0;

	for (; *p && *p != ')'; p++) {
		char close = *p == '<' ? '>' : *p == '"' ? '"' : 0;

		n += *p == '<' || *p == '[';
		if (close && !(p = strchr(p + 1, close))) /* what stands inside is not counted */
			break;
	}
	return n;
}

static bool scan_list(struct scan *s, struct vfs_if_list *list)
{
	unsigned room = list_room(s->p);

	s->p++;
	list->conds = gh_alloc_array(s->a, room ? room : 1, sizeof(*list->conds));
	if (!list->conds)
		return true; /* the arena remembers */
	for (;;) {
		struct vfs_if_cond *c = &list->conds[list->count];

		skip_space(s);
		if (*s->p == ')')
			break;
		if (list->count == room)
			return false;
		if (!strncasecmp(s->p, "Not", 3)) {
			c->negate = true;
			s->p += 3;
			skip_space(s);
		}
		if (*s->p == '<') {
			if (!scan_token(s, c))
				return false;
		} else if (*s->p != '[' || !scan_etag(s, c)) {
			return false;
		}
		list->count++;
	}
	s->p++;
	return list->count > 0;
}

struct tag { /* of the lists that follow it */
	const struct gh_path *path;
	bool foreign;
};

/* A tag that names nothing of ours is no error: its lists are false. */
static bool scan_tag(struct scan *s, const struct dav_here *here, const struct gh_name_rule *rule, struct tag *tag)
{
	const char *uri, *rest;
	size_t len, rest_len;
	struct gh_path *path;

	if (!scan_coded_url(s, &uri, &len))
		return false;
	*tag = (struct tag){ NULL, true };
	switch (dav_uri(here, uri, len, &rest, &rest_len)) {
	case DAV_MALFORMED:
		return false;
	case DAV_OUTSIDE:
	case DAV_FOREIGN:
		return true;
	case DAV_INSIDE:
		break;
	}
	if (gh_path_parse(s->a, rest, rest_len, GH_PATH_PERCENT, rule, &path) == GH_OK)
		*tag = (struct tag){ path, false };
	return true;
}

static unsigned count_char(const char *s, char c)
{
	unsigned n = 0;

	while ((s = strchr(s, c)) != NULL) {
		n++;
		s++;
	}
	return n;
}

enum gh_status dav_if_parse(struct gh_arena *a, const char *text, const struct dav_here *here,
			    const struct gh_name_rule *rule, struct vfs_cond *cond)
{
	struct scan s = { .p = text, .a = a, .cond = cond };
	unsigned list_room_all = count_char(text, '(');
	bool tagged = false;
	struct tag tag = { NULL, false };
	unsigned since_tag = 1;

	s.token_room = count_char(text, '<');
	cond->list_count = cond->token_count = 0;
	cond->lists = gh_alloc_array(a, list_room_all ? list_room_all : 1, sizeof(*cond->lists));
	cond->tokens = gh_alloc_array(a, s.token_room ? s.token_room : 1, sizeof(*cond->tokens));
	if (gh_arena_overflowed(a))
		return GH_TOOLARGE;
	for (skip_space(&s); *s.p; skip_space(&s)) {
		if (*s.p == '<') {
			/* No tags after untagged lists, no tag without a list. */
			if ((cond->list_count > 0 && !tagged) || since_tag == 0 || !scan_tag(&s, here, rule, &tag))
				return GH_INVALID;
			tagged = true;
			since_tag = 0;
		} else if (*s.p == '(' && cond->list_count < list_room_all) {
			struct vfs_if_list *list = &cond->lists[cond->list_count];

			list->path = tag.path;
			list->foreign = tag.foreign;
			if (!scan_list(&s, list))
				return GH_INVALID;
			cond->list_count++;
			since_tag++;
		} else {
			return GH_INVALID;
		}
		if (gh_arena_overflowed(a))
			return GH_TOOLARGE;
	}
	return cond->list_count > 0 && since_tag > 0 ? GH_OK : GH_INVALID;
}

struct dav_here dav_here(const struct http_ex *ex)
{
	return (struct dav_here){ ex->host ? ex->host : "", ex->core, ex->session };
}

enum gh_status dav_cond(struct http_ex *ex, struct vfs_req *req)
{
	const char *text = http_header(ex, "If");
	struct dav_here here = dav_here(ex);

	req->cond = http_cond(ex, req->arena);
	if (!text)
		return GH_OK;
	if (!req->cond)
		req->cond = gh_alloc(req->arena, sizeof(*req->cond));
	if (!req->cond)
		return GH_NOMEM;
	return dav_if_parse(req->arena, text, &here, vfs_session_rule(ex->session), req->cond);
}

struct vfs_cond *dav_put_cond(struct http_ex *ex, struct vfs_req *req, enum gh_status *ret_st)
{
	*ret_st = dav_cond(ex, req);
	return req->cond;
}

void dav_cond_add_token(struct vfs_req *req, const char *token)
{
	struct vfs_cond *c = req->cond;
	const char **tokens;

	if (!c)
		c = req->cond = gh_alloc(req->arena, sizeof(*c));
	if (!c)
		return;
	tokens = gh_alloc_array(req->arena, c->token_count + 1, sizeof(*tokens));
	if (!tokens)
		return;
	if (c->token_count)
		memcpy(tokens, c->tokens, c->token_count * sizeof(*tokens));
	tokens[c->token_count] = gh_strdup(req->arena, token);
	if (tokens[c->token_count])
		c->token_count++;
	c->tokens = tokens;
}

char *dav_token_parse(struct gh_arena *a, const char *text)
{
	const char *end = text + strlen(text);

	while (*text == ' ' || *text == '\t')
		text++;
	while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (end - text >= 2 && text[0] == '<' && end[-1] == '>') {
		text++;
		end--;
	}
	if (text == end)
		return NULL;
	for (const char *p = text; p < end; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7F || *p == '<' || *p == '>')
			return NULL;
	}
	return gh_strndup(a, text, (size_t)(end - text));
}

/* RFC 4918 section 10.7: a list of wishes, the first that is understood counts. */
uint32_t dav_timeout_parse(const char *text)
{
	while (text && *text) {
		text += strspn(text, " \t,");
		if (!strncasecmp(text, "Infinite", 8))
			return 0;
		if (!strncasecmp(text, "Second-", 7) && text[7] >= '0' && text[7] <= '9') {
			uint64_t n = 0;

			for (text += 7; *text >= '0' && *text <= '9'; text++)
				n = n > UINT32_MAX ? n : n * 10 + (uint64_t)(*text - '0');
			return n == 0 ? 1 : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
		}
		text += strcspn(text, ",");
	}
	return 0;
}

enum dav_depth dav_depth(const char *header, bool *ret_noroot)
{
	*ret_noroot = false;
	if (!header)
		return DAV_DEPTH_ABSENT;
	if (!strcmp(header, "0"))
		return DAV_DEPTH_0;
	if (!strcmp(header, "1"))
		return DAV_DEPTH_1;
	if (!strcasecmp(header, "infinity"))
		return DAV_DEPTH_INFINITY;
	*ret_noroot = !strcasecmp(header, "1,noroot");
	return *ret_noroot ? DAV_DEPTH_1 : DAV_DEPTH_BAD;
}
