/* HTTP Basic (RFC 7617): decoded here, verified by the core with every request - its cache of verified credentials
 * makes that cheap, and a revoked password ends at the very next one. Called by http_call_open; on the connection's
 * loop.
 */
#include "frontends/http/http.h"

#include <string.h>
#include <strings.h>

enum { USER_MAX = 256, PASSWORD_MAX = 1024, DECODED_MAX = USER_MAX + 1 + PASSWORD_MAX };

/* RFC 4648 section 4; -1 for what is not in the alphabet. */
static int base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict (RFC 4648): whole groups, padding only at the end, no stray bits. Returns the length, or SIZE_MAX. */
static size_t base64_decode(const char *in, size_t len, char *out)
{
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
			int v = k < left ? base64_value((unsigned char)in[i + k]) : 0;

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

enum gh_status http_basic_parse(struct gh_arena *a, const char *value, const char **ret_user,
				const char **ret_password)
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
		vfs_live_who(&k->conn->reg, ex->session);
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
