/* What happens when the headers of a request are there: guard, route, method, login, service. Also the answers that no
 * service owns: probes, OPTIONS *, and refusals outside every service. On the connection's loop.
 */
#include "frontends/http/http.h"

#include <string.h>
#include <strings.h>

#include "core/base/log.h"
#include "core/base/metrics.h"

/* ---- headers ---- */

struct collect {
	struct http_field *fields;
	unsigned count, room;
};

static enum MHD_Result field_collect(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
				     const char *value, size_t value_size)
{
	struct collect *c = cls;

	if (c->count == c->room)
		return MHD_NO;
	c->fields[c->count++] = (struct http_field){ .name = key, .name_len = (unsigned)key_size,
						     .value = value ? value : "",
						     .value_len = value ? (unsigned)value_size : 0 };
	return MHD_YES;
}

/* One more than may be, so that the guard sees that there are too many. */
static bool fields_collect(struct http_call *k)
{
	struct collect c = { .room = HTTP_FIELDS_MAX + 1 };
	int n = MHD_get_connection_values_n(k->conn->mhd, MHD_HEADER_KIND, NULL, NULL);

	if (n < 0)
		return false;
	if ((unsigned)n < c.room)
		c.room = (unsigned)n;
	k->fields = c.fields = gh_alloc_array(k->ex.arena, c.room + 1, sizeof(*c.fields));
	if (!c.fields)
		return false;
	MHD_get_connection_values_n(k->conn->mhd, MHD_HEADER_KIND, field_collect, &c);
	k->field_count = c.count;
	return true;
}

const char *http_header(const struct http_ex *ex, const char *name)
{
	const struct http_call *k = (const struct http_call *)ex;
	size_t len = strlen(name);

	for (unsigned i = 0; i < k->field_count; i++)
		if (k->fields[i].name_len == len && !strncasecmp(k->fields[i].name, name, len))
			return k->fields[i].value;
	return NULL;
}

/* ---- refusals outside every service ---- */

static void plain_refuse(struct http_ex *ex, enum gh_status st, const struct vfs_req *req)
{
	char *text = gh_printf(ex->arena, "%s\n", gh_status_text(st));

	http_reply_header(ex, "Content-Type", "text/plain; charset=utf-8");
	http_reply(ex, http_code_of(st), text ? text : "", text ? strlen(text) : 0);
}

static void plain_nothing(struct http_ex *ex)
{
}

const struct http_service http_plain = {
	.name = "http",
	.proto = VFS_WEB,
	.prefix = "",
	.begin = plain_nothing,
	.end = plain_nothing,
	.refuse = plain_refuse,
};

static void guard_refuse(struct http_call *k, int code, const char *why)
{
	char peer[80], *text = gh_printf(k->ex.arena, "%s\n", why);

	gh_metric_add(GH_M_GUARD_REFUSED, 0, 1);
	gh_log(GH_LOG_INFO, "http_refused", "request=%s peer=%s code=%d why=\"%s\"", k->id,
	       gh_log_quote(peer, sizeof(peer), k->conn->peer.text), code, why);
	/* What follows on this connection may be a second request in disguise: it is never read. */
	k->answer.close = k->conn->linger = true;
	http_reply_header(&k->ex, "Content-Type", "text/plain; charset=utf-8");
	http_reply(&k->ex, code, text ? text : "", text ? strlen(text) : 0);
}

/* ---- routing ---- */

static const struct http_service *service_at(const struct http_call *k, unsigned i)
{
	return k->conn->shard->door->services[i];
}

static size_t prefix_matches(const struct http_service *s, const char *path, size_t len)
{
	size_t n = strlen(s->prefix);

	while (n && s->prefix[n - 1] == '/')
		n--;
	if (n > len || memcmp(s->prefix, path, n) || (n < len && path[n] != '/'))
		return SIZE_MAX;
	return n;
}

/* Longest prefix wins; "/" itself goes to whoever answers the method there. */
static const struct http_service *route(const struct http_call *k, enum http_method m, const char *path, size_t len,
					size_t *ret_prefix)
{
	const struct http_service *best = NULL, *s;
	size_t n, best_len = 0;

	for (unsigned i = 0; (s = service_at(k, i)); i++) {
		if (len == 1 && (s->root_methods & 1u << m)) {
			*ret_prefix = len;
			return s;
		}
		n = prefix_matches(s, path, len);
		if (n != SIZE_MAX && (!best || n > best_len)) {
			best = s;
			best_len = n;
		}
	}
	*ret_prefix = best_len;
	return best;
}

static void allow_header(struct http_ex *ex, unsigned methods)
{
	struct gh_buf b;

	gh_buf_init(&b, 512);
	for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
		if (!(methods & 1u << m))
			continue;
		gh_buf_str(&b, b.len ? ", " : "");
		gh_buf_str(&b, http_method_name((enum http_method)m));
	}
	http_reply_header(ex, "Allow", b.data ? b.data : "");
	gh_buf_fini(&b);
}

/* OPTIONS where the service has no answer of its own, and OPTIONS *: what there is, without a login. Windows probes
 * every ancestor of a drive for DAV. */
static void answer_options(struct http_ex *ex, unsigned methods)
{
	const struct http_call *k = http_call_of(ex);
	const struct http_service *s;

	for (unsigned i = 0; (s = service_at(k, i)); i++) {
		if (ex->service == &http_plain)
			methods |= s->methods;
		if (s->proto == VFS_WEBDAV && (ex->service == &http_plain || !strcmp(ex->target, "/"))) {
			http_reply_header(ex, "DAV", "1, 2, 3");
			http_reply_header(ex, "MS-Author-Via", "DAV");
		}
	}
	allow_header(ex, methods | 1u << HTTP_OPTIONS);
	http_reply(ex, 200, NULL, 0);
}

static bool answer_probe(struct http_call *k)
{
	struct http_ex *ex = &k->ex;
	bool ready = !strcmp(ex->target, "/readyz");

	if (k->conn->shard->door->administrators)
		return false;
	if (!ready && strcmp(ex->target, "/healthz"))
		return false;
	if (ex->method != HTTP_GET && ex->method != HTTP_HEAD) {
		allow_header(ex, 1u << HTTP_GET | 1u << HTTP_HEAD);
		http_reply(ex, 405, NULL, 0);
		return true;
	}
	http_reply_header(ex, "Content-Type", "text/plain; charset=utf-8");
	http_reply_header(ex, "Cache-Control", "no-store");
	if (ready && (atomic_load(&k->conn->shard->door->draining) || vfs_not_ready(ex->core)))
		http_reply_static(ex, 503, "draining\n");
	else
		http_reply_static(ex, 200, "ok\n");
	return true;
}

/* ---- one after the other ---- */

/* RFC 9110 section 15.5.20. Without a name (HTTP/1.0) there is nothing to look up. */
static bool misdirected(struct http_call *k)
{
	struct http_ex *ex = &k->ex;
	const char *name;

	if (!k->conn->shard->door->set.strict_hosts || !*ex->host)
		return false;
	name = gh_strndup(ex->arena, ex->host, http_host_name_len(ex->host, strlen(ex->host)));
	return !name || !vfs_host_known(ex->core, name);
}

static bool describe(struct http_call *k, const struct http_guarded *g)
{
	struct http_ex *ex = &k->ex;
	const struct http_target *t = &g->target;

	ex->method = g->method;
	ex->http10 = g->http10;
	ex->has_body = g->has_body;
	ex->body_declared = g->declared;
	k->expects_continue = g->expects_continue;
	/* The raw target is our copy: cut it where its parts end. */
	if (t->query) {
		k->target_raw[t->query - k->target_raw - 1] = '\0';
		ex->query = t->query;
	}
	ex->target = t->path;
	ex->host = gh_strndup(ex->arena, g->host, g->host_len);
	return ex->host != NULL;
}

static void service_open(struct http_call *k)
{
	struct http_ex *ex = &k->ex;
	const struct http_service *s = ex->service;
	bool at_root = !strcmp(ex->target, "/") && (s->root_methods & 1u << ex->method);

	if (atomic_load(&k->conn->shard->door->draining)) {
		http_refuse(ex, GH_STOPPING, NULL);
	} else if (ex->method != HTTP_OPTIONS && http_shut(k)) {
		return; /* before anything else can be said: a 401, 404 or 405 would make a sync client do something */
	} else if (!at_root && !(s->methods & 1u << ex->method)) {
		if (ex->method == HTTP_OPTIONS) {
			answer_options(ex, s->methods);
			return;
		}
		allow_header(ex, s->methods | 1u << HTTP_OPTIONS);
		http_reply(ex, 405, NULL, 0);
	} else if (s->open_to_all && s->open_to_all(ex)) {
		k->begun = true;
		s->begin(ex);
	} else {
		http_login(k);
	}
}

void http_call_open(struct http_call *k, const char *method, const char *version)
{
	struct http_ex *ex = &k->ex;
	struct http_shard *s = k->conn->shard;
	struct http_raw raw = { .method = method, .version = version, .target = k->target_raw,
				.target_len = k->target_raw_len };
	struct http_guarded g;
	const char *why;
	size_t prefix;
	int code;

	k->conn->reg.proto = VFS_INTERNAL;
	vfs_live_who(&k->conn->reg, NULL);
	ex->service = &http_plain;
	ex->env = s->door->env;
	ex->core = s->door->env->core;
	ex->loop = s->loop;
	ex->peer = k->conn->peer.text;
	ex->peer_prefix = k->conn->peer_prefix;
	ex->target = ex->path = ex->host = "";
	if (!fields_collect(k)) {
		k->dead = true;
		return;
	}
	raw.fields = k->fields;
	raw.field_count = k->field_count;
	code = http_guard(&raw, &g, &why);
	if (code) {
		ex->http10 = !strcmp(version, "HTTP/1.0");
		guard_refuse(k, code, why);
		return;
	}
	if (!describe(k, &g)) {
		k->dead = true;
		return;
	}
	if (g.target.form == HTTP_TARGET_ASTERISK) {
		answer_options(ex, 0);
		return;
	}
	if (answer_probe(k))
		return;
	if (misdirected(k)) {
		guard_refuse(k, 421, "nothing is served under this host name");
		return;
	}
	ex->service = route(k, ex->method, g.target.path, g.target.path_len, &prefix);
	if (!ex->service) {
		ex->service = &http_plain;
		http_refuse(ex, GH_NOTFOUND, NULL);
		return;
	}
	k->conn->reg.proto = ex->service->proto;
	ex->path = g.target.path + prefix;
	ex->path_len = g.target.path_len - prefix;
	service_open(k);
}

enum gh_status http_req(struct http_ex *ex, enum vfs_op op, struct vfs_req **ret_req)
{
	struct vfs_req *req;
	enum gh_status st;

	if (!ex->session)
		return GH_UNAUTH; /* open_to_all, and then something that is not */
	req = vfs_req_new(ex->core, ex->loop, op, ex->service->proto, ex->session);
	if (!req)
		return GH_NOMEM;
	memcpy(req->id, ex->request_id, strlen(ex->request_id) + 1);
	req->peer = gh_strdup(req->arena, ex->peer); /* work never points into the door's half */
	st = vfs_req_path(req, ex->path, ex->path_len, GH_PATH_PERCENT);
	if (st != GH_OK) {
		vfs_req_free(&req);
		return st;
	}
	*ret_req = req;
	return GH_OK;
}
