/* fsck as a control operation: the check itself is fsck.c. */
#include "core/control_work.h"
#include "core/fsck.h"

enum gh_status control_fsck(struct control_call *c)
{
	bool verify = false;
	const struct control_arg args[] = { { "verify", CONTROL_BOOL, false, &verify, NULL } };
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st != GH_OK)
		return st;
	return fsck_run(c->core->meta, c->core->blob_ops, c->core->blobs, verify, &c->result);
}
