/* The files of the fake core and what operations do to them. See fake_vfs.h. */
#include "tests/unit/ftp/fake_inner.h"

#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

static struct node *find(const char *path)
{
	for (unsigned i = 0; i < fake.node_count; i++)
		if (fake.nodes[i].path && !strcmp(fake.nodes[i].path, path))
			return &fake.nodes[i];
	return NULL;
}

static bool is_child(const char *path, const char *of)
{
	size_t n = strcmp(of, "/") ? strlen(of) : 0;

	return strcmp(path, "/") != 0 && !strncmp(path, of, n) && path[n] == '/' && !strchr(path + n + 1, '/');
}

static struct node *put(const char *path, bool folder, const void *data, size_t len)
{
	struct node *n = find(path);

	if (!n) {
		GH_ASSERT(fake.node_count < NODES);
		n = &fake.nodes[fake.node_count++];
		n->path = strdup(path);
		n->id = fake.next_id++;
	}
	free(n->data);
	n->folder = folder;
	n->data = malloc(len + 1);
	if (len)
		memcpy(n->data, data, len);
	n->len = len;
	n->version = fake.next_id++;
	n->mtime_us = 1700000000000000;
	return n;
}

static void drop(struct node *n)
{
	free(n->path);
	n->path = NULL;
}

void fake_file(const char *path, const void *data, size_t len)
{
	LOCKED put(path, false, data, len);
}

void fake_folder(const char *path)
{
	LOCKED put(path, true, NULL, 0);
}

bool fake_is(const char *path, const void *data, size_t len)
{
	bool is = false;

	LOCKED
	{
		struct node *n = find(path);

		is = n && !n->folder && n->len == len && !memcmp(n->data, data, len);
	}
	return is;
}

bool fake_exists(const char *path)
{
	bool is = false;

	LOCKED is = find(path) != NULL;
	return is;
}

/* ---- operations; under the lock ---- */

static void show(const struct node *n, struct vfs_node *ret, struct gh_arena *a)
{
	const char *name = gh_strdup(a, strrchr(n->path, '/') + 1);

	*ret = (struct vfs_node){ .id = n->id,
				  .version = n->folder ? 0 : n->version,
				  .type = n->folder ? VFS_FOLDER : VFS_FILE,
				  .name = name,
				  .name_len = (uint16_t)strlen(name),
				  .size = n->len,
				  .mtime_us = n->mtime_us,
				  .rights = ACL_FULL };
}

static enum gh_status op_list(struct vfs_req *r, const struct node *n)
{
	unsigned limit = r->limit ? r->limit : 1000, from = (unsigned)strtoul(r->after, NULL, 10), i;

	fake.lists++;
	if (!n->folder)
		return GH_NOTDIR;
	r->nodes = gh_alloc_array(r->arena, limit, sizeof(*r->nodes));
	for (i = from; i < fake.node_count && r->node_count < limit; i++)
		if (fake.nodes[i].path && is_child(fake.nodes[i].path, n->path))
			show(&fake.nodes[i], &r->nodes[r->node_count++], r->arena);
	if (i < fake.node_count)
		r->next_after = gh_printf(r->arena, "%u", i);
	return GH_OK;
}

static enum gh_status op_read(struct vfs_req *r, const struct node *n)
{
	if (n->folder)
		return GH_ISDIR;
	if (fake.inline_too && n->len <= r->inline_max) {
		r->data = gh_memdup(r->arena, n->data, n->len + 1);
		r->data_len = n->len;
	}
	r->content = calloc(1, sizeof(*r->content));
	r->content->data = malloc(n->len + 1);
	memcpy(r->content->data, n->data, n->len);
	r->content->len = n->len;
	fake.live++;
	return GH_OK;
}

static enum gh_status op_begin(struct vfs_req *r, const struct node *n)
{
	struct vfs_upload *u;

	if (n && n->folder)
		return GH_ISDIR;
	if (r->flags & VFS_KEEP_HEAD && r->offset > (n ? n->len : 0))
		return GH_RANGE;
	u = calloc(1, sizeof(*u));
	strncpy(u->path, r->path->text, sizeof(u->path) - 1);
	u->flags = r->flags;
	u->offset = r->offset;
	u->none_match = r->cond && r->cond->if_none_match.any;
	if (u->none_match && n) {
		free(u);
		return GH_PRECONDITION;
	}
	r->upload = u;
	fake.live++;
	return GH_OK;
}

void fake_upload_free(struct vfs_upload *u)
{
	free(u->data);
	free(u);
	fake.live--;
}

static enum gh_status op_commit(struct vfs_req *r)
{
	struct vfs_upload *u = r->upload;
	struct node *n = find(u->path);
	size_t keep = !n ? 0 : u->flags & VFS_APPEND ? n->len : u->flags & VFS_KEEP_HEAD ? (size_t)u->offset : 0;
	char *all = malloc(keep + u->len + 1);

	if (keep)
		memcpy(all, n->data, keep);
	if (u->len)
		memcpy(all + keep, u->data, u->len);
	r->created = !n;
	n = put(u->path, false, all, keep + u->len);
	show(n, &r->node, r->arena);
	free(all);
	r->upload = NULL;
	fake_upload_free(u);
	return GH_OK;
}

static enum gh_status op_move(struct vfs_req *r, struct node *n)
{
	struct node *to = find(r->dest->text);
	const struct vfs_cond *c = r->cond;

	if (to && r->flags & VFS_NO_OVERWRITE)
		return GH_PRECONDITION;
	if (c && c->list_count == 1 && (!to || to->version != c->lists[0].conds[0].version))
		return GH_PRECONDITION;
	if (to && to != n)
		drop(to);
	free(n->path);
	n->path = strdup(r->dest->text);
	return GH_OK;
}

static enum gh_status op_remove(struct vfs_req *r, struct node *n)
{
	if (r->flags & VFS_ONLY_FILE && n->folder)
		return GH_ISDIR;
	if (r->flags & VFS_ONLY_FOLDER && !n->folder)
		return GH_NOTDIR;
	if (n->folder)
		for (unsigned i = 0; i < fake.node_count; i++)
			if (fake.nodes[i].path && is_child(fake.nodes[i].path, n->path))
				return GH_NOTEMPTY;
	drop(n);
	return GH_OK;
}

static enum gh_status op_login(struct vfs_req *r)
{
	struct vfs_session *s;

	if (strcmp(r->password, "right") != 0)
		return GH_UNAUTH;
	s = calloc(1, sizeof(*s));
	s->refs = 1;
	strncpy(s->user, r->user, sizeof(s->user) - 1);
	fake.live++;
	r->new_session = s;
	return GH_OK;
}

enum gh_status fake_run(struct vfs_work *w)
{
	struct vfs_req *r = &w->req;
	struct node *n = r->path ? find(r->path->text) : NULL;

	if (fake.status[r->op] != GH_OK) {
		r->message = fake.message;
		r->blocker = fake.message;
		if (r->op == VFS_WRITE_COMMIT) {
			fake_upload_free(r->upload);
			r->upload = NULL;
		}
		return fake.status[r->op];
	}
	switch (r->op) {
	case VFS_LOGIN:
		return op_login(r);
	case VFS_WRITE_BEGIN:
		return op_begin(r, n);
	case VFS_WRITE_COMMIT:
		return op_commit(r);
	case VFS_MKDIR:
		if (n)
			return GH_EXISTS;
		put(r->path->text, true, NULL, 0);
		return GH_OK;
	default:
		break;
	}
	if (!n)
		return GH_NOTFOUND;
	switch (r->op) {
	case VFS_STAT:
		show(n, &r->node, r->arena);
		return r->flags & VFS_ONLY_FOLDER && !n->folder ? GH_NOTDIR : GH_OK;
	case VFS_LIST:
		return op_list(r, n);
	case VFS_READ:
		return op_read(r, n);
	case VFS_MOVE:
		return op_move(r, n);
	case VFS_REMOVE:
		return op_remove(r, n);
	case VFS_SET_TIMES:
		n->mtime_us = r->mtime_us;
		return GH_OK;
	default:
		return GH_UNSUPPORTED;
	}
}
