/* What the REST door says: nodes and problems as JSON, written by hand (strings are escaped by gh_buf_json). Ids are
 * strings, because they do not fit a double. Nodes are what listings are made of: no printf there, which took most of
 * their time. Called on the exchange's loop; no state.
 */
#include "frontends/rest/rest.h"

#include <string.h>

/* ,"name": */
static void begin_member(struct gh_buf *out, const char *name)
{
	gh_buf_str(out, ",\"");
	gh_buf_str(out, name);
	gh_buf_str(out, "\":");
}

static void member(struct gh_buf *out, const char *name, const char *value)
{
	begin_member(out, name);
	gh_buf_char(out, '"');
	gh_buf_json(out, value, strlen(value));
	gh_buf_char(out, '"');
}

static void time_members(struct gh_buf *out, const char *name, const char *name_ms, int64_t time_us)
{
	const int64_t ms = time_us / 1000 - (time_us % 1000 < 0);
	char text[HTTP_DATE_LEN];

	http_rfc3339_format(text, time_us);
	begin_member(out, name);
	gh_buf_char(out, '"');
	gh_buf_str(out, text);
	gh_buf_char(out, '"');
	begin_member(out, name_ms);
	if (ms < 0)
		gh_buf_char(out, '-');
	gh_buf_u64(out, ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms);
}

static void rights_member(struct gh_buf *out, unsigned rights)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[ACL_RIGHT_COUNT] = {
		{ ACL_LIST, "list" }, { ACL_READ, "read" }, { ACL_CREATE, "create" }, { ACL_WRITE, "write" },
		{ ACL_DELETE, "delete" }, { ACL_SHARE, "share" }, { ACL_MANAGE, "manage" },
	};
	bool any = false;

	gh_buf_str(out, ",\"rights\":[");
	for (unsigned i = 0; i < ACL_RIGHT_COUNT; i++) {
		if (!(rights & names[i].bit))
			continue;
		gh_buf_str(out, any ? ",\"" : "\"");
		gh_buf_str(out, names[i].name);
		gh_buf_char(out, '"');
		any = true;
	}
	gh_buf_char(out, ']');
}

void rest_node(struct gh_buf *out, const struct vfs_node *n)
{
	gh_buf_str(out, "{\"name\":\"");
	gh_buf_json(out, n->name, n->name_len);
	gh_buf_str(out, n->type == VFS_FOLDER ? "\",\"type\":\"folder\"" : "\",\"type\":\"file\"");
	if (!n->navigable) {
		gh_buf_str(out, ",\"id\":\"");
		gh_buf_u64(out, n->id);
		gh_buf_char(out, '"');
		if (n->type == VFS_FILE) {
			char etag[20];

			vfs_etag(etag, n->version);
			gh_buf_str(out, ",\"size\":");
			gh_buf_u64(out, n->size);
			member(out, "etag", etag);
		}
		time_members(out, "mtime", "mtime_ms", n->mtime_us);
		time_members(out, "created", "created_ms", n->made_us);
		rights_member(out, n->rights);
	}
	gh_buf_char(out, '}');
}

static void room_members(struct gh_buf *out, const char *unit, uint64_t used, uint64_t available)
{
	gh_buf_printf(out, "\"used_%s\":%llu,\"available_%s\":", unit, (unsigned long long)used, unit);
	if (available == UINT64_MAX)
		gh_buf_str(out, "null");
	else
		gh_buf_u64(out, available);
}

void rest_quota(struct gh_buf *out, const struct vfs_req *quota)
{
	if (out->failed)
		return;
	GH_ASSERT(out->data[out->len - 1] == '}');
	out->len--;
	gh_buf_str(out, ",\"quota\":{");
	room_members(out, "bytes", quota->quota_used, quota->quota_available);
	gh_buf_char(out, ',');
	room_members(out, "files", quota->quota_files, quota->quota_files_available);
	gh_buf_str(out, "}}");
}

void rest_json_headers(struct http_ex *ex, const char *type)
{
	http_reply_header(ex, "Content-Type", type);
	http_reply_header(ex, "X-Content-Type-Options", "nosniff");
	http_reply_header(ex, "Cache-Control", "no-store");
}

void rest_problem_json(struct gh_buf *out, enum gh_status st, int code, const struct vfs_req *req)
{
	gh_buf_printf(out, "{\"type\":\"urn:gatehouse:problem:%s\"", gh_status_name(st));
	member(out, "title", gh_status_text(st));
	gh_buf_printf(out, ",\"status\":%d", code);
	member(out, "reason", gh_status_name(st));
	if (req && req->message)
		member(out, "detail", req->message);
	if (req && req->rule) /* the administrator's words, where a rule refuses */
		member(out, "text", req->message ? req->message : gh_status_text(st));
	if (req && st == GH_LOCKED && req->blocker)
		member(out, "holder", req->blocker);
	if (req && st == GH_LOCKED && req->blocker_path)
		member(out, "locked_path", req->blocker_path);
	if (req && st == GH_QUOTA && req->quota_available != UINT64_MAX)
		gh_buf_printf(out, ",\"available_bytes\":%llu", (unsigned long long)req->quota_available);
	if (req && req->retry_after_s)
		gh_buf_printf(out, ",\"retry_after\":%u", req->retry_after_s);
}

void rest_problem(struct http_ex *ex, enum gh_status st, const struct vfs_req *req)
{
	struct gh_buf b;
	int code = http_code_of(st);

	gh_buf_init(&b, 64 << 10);
	rest_problem_json(&b, st, code, req);
	member(&b, "request_id", ex->request_id);
	gh_buf_str(&b, "}\n");
	rest_json_headers(ex, "application/problem+json");
	if (b.failed)
		http_reply(ex, code, NULL, 0);
	else
		http_reply(ex, code, b.data, b.len);
	gh_buf_fini(&b);
}
