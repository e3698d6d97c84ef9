/* See setting_put.h. */
#include "core/setting_put.h"

#include "core/base/id.h"

enum gh_status setting_put(struct meta_store *m, struct meta_call *call, const char *what, const struct meta_setting *s)
{
	const struct meta_step step = { .kind = META_SETTING_PUT, .setting = s };
	struct meta_batch b = {
		.op = gh_id_new(),
		.tree_gen = UINT64_MAX,
		.rights_epoch = UINT64_MAX,
		.route_epoch = UINT64_MAX,
		.lock_seen = UINT64_MAX,
		.event = { .user_name = "", .what = what, .door = "internal", .path = "", .dest = "", .request_id = "" },
		.step_count = 1,
		.steps = &step,
	};

	return s->doc ? meta_commit(m, call, &b) : GH_NOMEM;
}
