/* HTTP Basic (RFC 7617): decoded here, verified by the core with every request - its cache of verified credentials makes
 * that cheap, and a revoked password ends at the very next one. Called by http_call_open; on the connection's loop.
 */
#include "frontends/http/http.h"

#include <string.h>
#include <strings.h>

enum { USER_MAX = 256, PASSWORD_MAX = 1024, DECODED_MAX = USER_MAX + 1 + PASSWORD_MAX };

static const signed char *base64_values(void)
{
	/* clang-format off */
	static const signed char v[256] = {
#define A(c, n) [c] = (n) + 1
		A('A', 0), A('B', 1), A('C', 2), A('D', 3), A('E', 4), A('F', 5), A('G', 6), A('H', 7), A('I', 8), A('J', 9),
		A('K', 10), A('L', 11), A('M', 12), A('N', 13), A('O', 14), A('P', 15), A('Q', 16), A('R', 17), A('S', 18),
		A('T', 19), A('U', 20), A('V', 21), A('W', 22), A('X', 23), A('Y', 24), A('Z', 25), A('a', 26), A('b', 27),
		A('c', 28), A('d', 29), A('e', 30), A('f', 31), A('g', 32), A('h', 33), A('i', 34), A('j', 35), A('k', 36),
		A('l', 37), A('m', 38), A('n', 39), A('o', 40), A('p', 41), A('q', 42), A('r', 43), A('s', 44), A('t', 45),
		A('u', 46), A('v', 47), A('w', 48), A('x', 49), A('y', 50), A('z', 51), A('0', 52), A('1', 53), A('2', 54),
		A('3', 55), A('4', 56), A('5', 57), A('6', 58), A('7', 59), A('8', 60), A('9', 61), A('+', 62), A('/', 63),
#undef A
	};
	/* clang-format on */
	return v;
}

/* Strict (RFC 4648): whole groups, padding only at the end, no stray bits. Returns the length, or SIZE_MAX. */
static size_t base64_decode(const char *in, size_t len, char *out)
{
	const signed char *value = base64_values();
	size_t n = 0, pad = 0;

	if (len % 4)
		return SIZE_MAX;
	while (pad < 2 && len && in[len - 1] == '=') {
		pad++;
		len--;
	}
	for (size_t i = 0; i < len; i += 4) {
		unsigned left = len - i < 4 ? (unsigned)(len - i) : 4, bits = 0;

		for (unsigned k = 0; k < 4; k++) {
			int v = k < left ? value[(unsigned char)in[i + k]] - 1 : 0;

			if (v < 0)
				return SIZE_MAX;
			bits = bits << 6 | (unsigned)v;
		}
		if (left == 1 || (left == 2 && (bits & 0xffff)) || (left == 3 && (bits & 0xff)))
			return SIZE_MAX;
		for (unsigned k = 0; k + 1 < left; k++)
			out[n++] = (char)(bits >> (16 - 8 * k));
	}
	return n;
}

enum gh_status http_basic_parse(struct gh_arena *a, const char *value, const char **ret_user, const char **ret_password)
{
	size_t len, n;
	char *text, *colon;

	if (strncasecmp(value, "Basic", 5) || (value[5] != ' ' && value[5]))
		return GH_UNAUTH; /* another scheme: told by the challenge which one we take */
	value += 5;
	value += strspn(value, " ");
	len = strcspn(value, " \t");
	if (value[len + strspn(value + len, " \t")])
		return GH_INVALID;
	if (len > (DECODED_MAX + 2) / 3 * 4)
		return GH_INVALID;
	text = gh_alloc(a, len / 4 * 3 + 1);
	if (!text)
		return GH_NOMEM;
	n = base64_decode(value, len, text);
	if (n == SIZE_MAX)
		return GH_INVALID;
	text[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return GH_INVALID; /* NUL too: RFC 7617 section 2 */
	colon = strchr(text, ':');
	if (!colon || colon - text > USER_MAX || strlen(colon + 1) > PASSWORD_MAX)
		return GH_INVALID;
	*colon = '\0';
	*ret_user = text;
	*ret_password = colon + 1;
	return GH_OK;
}

static void login_done(struct http_ex *ex, struct vfs_req *req)
{
	struct http_call *k = http_call_of(ex);
	enum gh_status st = req->status;

	if (st == GH_OK) {
		ex->session = vfs_session_ref(req->new_session);
		vfs_req_free(&req);
		k->begun = true;
		ex->service->begin(ex);
		return;
	}
	http_refuse(ex, st, req);
	vfs_req_free(&req);
}

void http_login(struct http_call *k)
{
	struct http_ex *ex = &k->ex;
	const char *auth = http_header(ex, "Authorization");
	struct vfs_req *req;
	enum gh_status st;

	if (!auth) {
		http_refuse(ex, GH_UNAUTH, NULL);
		return;
	}
	req = vfs_req_new(ex->core, ex->loop, VFS_LOGIN, ex->service->proto, NULL);
	st = req ? http_basic_parse(req->arena, auth, &req->user, &req->password) : GH_NOMEM;
	if (st != GH_OK) {
		vfs_req_free(&req);
		http_refuse(ex, st, NULL);
		return;
	}
	memcpy(req->id, k->id, sizeof(req->id));
	req->host = gh_strndup(req->arena, ex->host, http_host_name_len(ex->host, strlen(ex->host)));
	req->peer = gh_strdup(req->arena, ex->peer);
	req->peer_prefix = k->conn->peer_prefix;
	http_submit(ex, req, login_done);
}
