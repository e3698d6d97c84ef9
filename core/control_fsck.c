/* fsck as a control operation: the check itself is fsck.c. One at a time: it takes as long as there is data, and whoever
 * asks for several would have all threads that answer administrators. */
#include "core/control_work.h"
#include "core/fsck.h"

enum gh_status control_fsck(struct control_call *c)
{
	bool verify = false;
	const struct control_arg args[] = { { "verify", CONTROL_BOOL, false, &verify, NULL } };
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st != GH_OK)
		return st;
	if (atomic_exchange(&c->core->checking, true))
		return control_fail(c, GH_BUSY, "a check is running already; wait for it to end");
	st = fsck_run(c->core->meta, c->core->blob_ops, c->core->blobs, verify, &c->result);
	atomic_store(&c->core->checking, false);
	return st;
}
