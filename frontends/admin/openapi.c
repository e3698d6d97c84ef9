/* /admin/v1/openapi.json: the API described from the table of control operations and from the arguments that each of
 * them takes, so that it cannot say anything else than the code. Pure; the listener's loop, once.
 */
#include <string.h>

#include "frontends/admin/site.h"

static json_t *type_json(const char *type)
{
	if (!strcmp(type, "array"))
		return json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "string");
	if (!strcmp(type, "id"))
		return json_pack("{s:s, s:s}", "type", "string", "pattern", "^[0-9]{1,19}$");
	if (!strcmp(type, "any"))
		return json_object();
	return json_pack("{s:s}", "type", type);
}

/* The body of a POST: an object with exactly these. */
static json_t *body_schema(const json_t *args)
{
	json_t *properties = json_object(), *required = json_array(), *a;
	size_t i;

	json_array_foreach(args, i, a)
	{
		const char *name = json_string_value(json_object_get(a, "name"));

		json_object_set_new(properties, name, type_json(json_string_value(json_object_get(a, "type"))));
		if (json_is_true(json_object_get(a, "required")))
			json_array_append_new(required, json_string(name));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required", required,
			 "additionalProperties", 0);
}

static json_t *query_parameters(const json_t *args)
{
	json_t *list = json_array(), *a;
	size_t i;

	json_array_foreach(args, i, a)
		json_array_append_new(list, json_pack("{s:O, s:s, s:O, s:o}", "name", json_object_get(a, "name"), "in",
						      "query", "required", json_object_get(a, "required"), "schema",
						      type_json(json_string_value(json_object_get(a, "type")))));
	return list;
}

static json_t *answers(void)
{
	return json_pack("{s:{s:s, s:{s:{s:{s:s}}}}, s:{s:s}}", "200", "description", "done", "content",
			 "application/json", "schema", "type", "object", "default", "$ref",
			 "#/components/responses/problem");
}

/* key: "post.tenant.add" */
static json_t *method_json(const struct control_op *op, const char *method)
{
	char id[80];

	snprintf(id, sizeof(id), "%s.%s", method, op->name);
	return json_pack("{s:s, s:s, s:s, s:o}", "operationId", id, "summary", op->help, "x-role",
			 control_role_name(op->role), "responses", answers());
}

static json_t *path_json(const struct control_op *op)
{
	json_t *args = control_describe(op), *post = method_json(op, "post"), *get, *path;

	json_object_set_new(post, "requestBody",
			    json_pack("{s:{s:{s:o}}}", "content", "application/json", "schema", body_schema(args)));
	path = json_pack("{s:o}", "post", post);
	if (path && !op->mutates) {
		get = method_json(op, "get");
		json_object_set_new(get, "parameters", query_parameters(args));
		json_object_set_new(path, "get", get);
	}
	json_decref(args);
	return path;
}

static json_t *components(void)
{
	return json_pack("{s:{s:{s:s, s:s}, s:{s:s, s:s, s:s}}, s:{s:{s:s, s:{s:{s:{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, "
			 "s:{s:s}}}}}}}}",
			 "securitySchemes", "token", "type", "http", "scheme", "bearer", "console", "type", "apiKey",
			 "in", "cookie", "name", SITE_COOKIE, "responses", "problem", "description",
			 "refused; reason is a word for programs, detail says what to do", "content",
			 "application/problem+json", "schema", "type", "object", "properties", "title", "type",
			 "string", "status", "type", "integer", "detail", "type", "string", "reason", "type", "string");
}

enum gh_status site_openapi(struct gh_buf *out)
{
	json_t *paths = json_object(), *root;
	char *text;

	for (const struct control_op *op = control_ops; paths && op->name; op++) {
		char path[96];

		snprintf(path, sizeof(path), "/admin/v1/%s", op->name);
		if (json_object_set_new(paths, path, path_json(op))) {
			json_decref(paths);
			return GH_NOMEM;
		}
	}
	root = json_pack("{s:s, s:{s:s, s:s}, s:o, s:o, s:[{s:[]}, {s:[]}]}", "openapi", "3.1.0", "info", "title",
			 "Gatehouse administration", "version", PACKAGE_VERSION, "paths", paths, "components",
			 components(), "security", "token", "console");
	text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	gh_buf_str(out, text ? text : "");
	free(text);
	return text && !out->failed ? GH_OK : GH_NOMEM;
}
