/* A tenant goes to another shard: one step at a time, so that no administrator waits for all of it. See control.h. */
#include <string.h>

#include "core/control_work.h"

#define ERR_MAX 512
#define HOLD_S_MAX 600

/* A gateway of another release may write what this one does not know to bring over. */
static enum gh_status all_of_one_release(struct control_call *c)
{
	struct meta_call call = control_meta(c);
	struct meta_gateway *rows;
	unsigned count = 0;
	const struct meta_gateway *first = NULL;
	enum gh_status st = meta_gateways(c->core->meta, &call, &rows, &count);

	for (unsigned i = 0; st == GH_OK && i < count; i++) {
		if (!rows[i].alive)
			continue;
		if (!first)
			first = &rows[i];
		if (strcmp(rows[i].version, first->version) != 0)
			return control_fail(c, GH_CONFLICT, "gateways %.60s and %.60s are of different releases (%.20s, %.20s):"
					    " end the upgrade first", first->name, rows[i].name, first->version, rows[i].version);
	}
	return st;
}

static enum gh_status abandon(struct control_call *c, const char *name)
{
	struct meta_call call = control_meta(c);
	char err[ERR_MAX] = "";
	enum gh_status st = meta_tenant_move_abandon(c->core->meta, &call, name, err);

	if (st != GH_OK)
		return *err ? control_fail(c, st, "%.250s", err) : st;
	st = control_commit(c, NULL, "", name, UINT64_MAX, NULL, 0);
	return st == GH_OK ? control_result(c, json_pack("{s:s, s:s, s:b}", "tenant", name, "step", "abandoned", "done", true)) :
			     st;
}

enum gh_status control_tenant_move(struct control_call *c)
{
	const char *name, *to = NULL;
	bool give_up = false;
	int64_t hold_s = 0;
	const struct control_arg args[] = {
		{ "name", CONTROL_TEXT, true, &name, NULL },
		{ "to", CONTROL_TEXT, false, &to, NULL },
		{ "hold_s", CONTROL_NUMBER, false, &hold_s, NULL },
		{ "abandon", CONTROL_BOOL, false, &give_up, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));
	struct meta_call call;
	struct meta_move move;
	char err[ERR_MAX] = "";

	if (st == GH_OK && give_up == (to != NULL))
		st = control_fail(c, GH_INVALID, "give either \"to\" or \"abandon\"");
	if (st == GH_OK && (hold_s < 0 || hold_s > HOLD_S_MAX))
		st = control_fail(c, GH_INVALID, "\"hold_s\" is too long: at most %d seconds", HOLD_S_MAX);
	if (st != GH_OK)
		return st;
	if (give_up)
		return abandon(c, name);
	st = all_of_one_release(c);
	if (st != GH_OK)
		return st;
	call = control_meta(c);
	st = meta_tenant_move(c->core->meta, &call, name, to, (uint32_t)(hold_s * 1000), &move, err);
	if (st != GH_OK)
		return *err ? control_fail(c, st, "%.250s", err) : st;
	if (!strcmp(move.step, "switching")) /* the house's log says when */
		st = control_commit(c, NULL, "", name, UINT64_MAX, NULL, 0);
	if (st != GH_OK)
		return st;
	return control_result(c, json_pack("{s:s, s:s, s:I, s:I, s:f, s:I, s:i, s:i, s:b, s:b}", "tenant", name, "step",
					   move.step, "rows", (json_int_t)move.rows, "differed", (json_int_t)move.differed,
					   "frozen_ms", (double)move.frozen_us / 1000.0, "frozen_rows",
					   (json_int_t)move.frozen_rows, "rounds", (int)move.rounds, "holds", (int)move.holds,
					   "moved", move.moved, "done", move.done));
}
