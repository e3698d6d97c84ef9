/* Jobs of the admin listener: what blocks runs on a small pool of its own and comes home to the loop. See site.h. */
#include "frontends/admin/site.h"

static void come_home(struct gh_task *t)
{
	struct site_job *j = (struct site_job *)((char *)t - offsetof(struct site_job, home));
	struct admin_listener *l = j->l;
	struct http_ex *ex = j->ex;

	if (ex) {
		j->call->job = NULL;
		/* Who waited for it may have been told already that the server stops. */
		if (!ex->answered) {
			j->finish(j);
			http_ready(ex);
		}
	}
	j->free(j);
	atomic_fetch_sub(&l->jobs, 1);
}

static void work(struct gh_job *job)
{
	struct site_job *j = (struct site_job *)job;

	j->work(j);
	gh_loop_post(j->l->loop, &j->home);
}

void site_job_start(struct http_ex *ex, struct site_call *call, struct gh_pool *pool, struct site_job *j)
{
	struct admin_listener *l = site_of(ex);
	enum gh_status st = atomic_load(&l->stopping) ? GH_STOPPING : GH_OK;

	j->job.run = work;
	j->home.fn = come_home;
	j->l = l;
	j->ex = ex;
	j->call = call;
	atomic_fetch_add(&l->jobs, 1);
	if (st == GH_OK)
		st = gh_pool_submit(pool, &j->job);
	if (st == GH_OK) {
		call->job = j;
		ex->held = true;
		return;
	}
	atomic_fetch_sub(&l->jobs, 1);
	j->free(j);
	site_refuse(ex, st, NULL, 1);
}
