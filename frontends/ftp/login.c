/* Who is it? HOST (RFC 7151), USER, PASS, REIN. The core takes the user apart (tenant/user, user$tenant) and decides;
 * the answer to an unknown user is that to a wrong password, and both come late. */
#include "frontends/ftp/ftp.h"

#include <stdlib.h>
#include <string.h>

#include "frontends/ftp/parse.h"

#define USER_MAX 512
#define FAILED_DELAY_MS 1000
#define FAILURES_MAX 5

/* The tenant of that name is shut: no need to ask for a password first. */
static void host_shut(struct ftp_session *s, struct vfs_req *shut)
{
	shut->peer = gh_strdup(shut->arena, s->peer.text);
	ftp_bye(s, 421, "%.1000s", ftp_shut_text(shut));
	vfs_req_log(shut, s->verb, s->code, 0);
	vfs_req_free(&shut);
}

void ftp_cmd_host(struct ftp_session *s, char *arg, size_t len)
{
	struct vfs_req *shut;

	if (s->who || s->user)
		ftp_end(s, 503, "HOST comes before USER.");
	else if (!ftp_host_valid(arg))
		ftp_end(s, 501, "That is no host name.");
	else if (!ftp_keep(&s->host, arg, len))
		ftp_end_status(s, GH_NOMEM, NULL);
	else if ((shut = vfs_req_shut(s->door->core, s->loop, VFS_FTP, false, s->host)))
		host_shut(s, shut);
	else
		ftp_end(s, 220, "Gatehouse FTP ready.");
}

void ftp_cmd_user(struct ftp_session *s, char *arg, size_t len)
{
	/* Whoever is somebody stays it: nothing of one user may reach another through a half-changed session. */
	if (s->who)
		ftp_end(s, 503, "You are logged in; REIN or a new connection changes that.");
	else if (len > USER_MAX)
		ftp_end(s, 501, "That name is too long.");
	else if (!ftp_keep(&s->user, arg, len))
		ftp_end_status(s, GH_NOMEM, NULL);
	else
		ftp_end(s, 331, "Password, please.");
}

static void forget_user(struct ftp_session *s)
{
	free(s->user);
	s->user = NULL;
}

static void refused(struct gh_timer *t, void *arg)
{
	struct ftp_session *s = arg;

	if (++s->login_failures >= FAILURES_MAX)
		ftp_bye(s, 421, "Login incorrect; too many failures.");
	else
		ftp_end_status(s, GH_UNAUTH, NULL);
	ftp_settle(s);
}

static void welcome(struct ftp_session *s, struct vfs_req *req)
{
	struct vfs_verdict v;

	s->who = vfs_session_ref(req->new_session);
	s->login_failures = 0;
	s->garbage = 0;
	vfs_live_who(&s->reg, s->who);
	/* A rule that was set while the password was checked has found nobody here yet. */
	v = vfs_live_session(s->door->core, &s->reg);
	if (v.status == GH_OK)
		ftp_end(s, 230, "Logged in.");
	else
		ftp_bye(s, 421, "%.1000s", ftp_verdict_text(&v));
}

static bool decided(struct ftp_session *s, struct vfs_req *req)
{
	struct ftp_answer a = ftp_answer_of(req->status);

	forget_user(s);
	if (req->status == GH_OK) {
		welcome(s, req);
	} else if (req->status == GH_UNAUTH || a.code == 501 || a.code == 553) {
		/* The reply is counted now and given later; meanwhile the next command waits. */
		s->code = 530;
		gh_timer_init(&s->delay, refused, s);
		gh_timer_set(&s->delay, s->loop, FAILED_DELAY_MS);
	} else if (gh_status_class(req->status) == GH_CLASS_TENANT && req->message && *req->message) {
		ftp_bye(s, 421, "%.1000s", req->message);
	} else if (req->status == GH_DENIED) { /* the password is right, but not for this door */
		ftp_end(s, 530, "Login is not allowed here.");
	} else {
		ftp_bye(s, 421, "%s", a.text);
	}
	return false;
}

void ftp_cmd_pass(struct ftp_session *s, char *arg, size_t len)
{
	struct sockaddr_storage peer = s->peer.addr;
	struct vfs_req *req;

	if (s->who || !s->user) {
		ftp_reader_wipe(&s->reader);
		ftp_end(s, 503, s->who ? "You are logged in." : "USER comes first.");
		return;
	}
	req = ftp_req(s, VFS_LOGIN);
	if (!req)
		return;
	req->host = gh_strdup(req->arena, s->host ? s->host : "");
	req->user = gh_strdup(req->arena, s->user);
	req->password = gh_strndup(req->arena, arg, len);
	req->peer_prefix = vfs_peer_prefix((struct sockaddr *)&peer);
	ftp_reader_wipe(&s->reader);
	if (gh_arena_overflowed(req->arena)) {
		vfs_req_free(&req);
		ftp_end_status(s, GH_NOMEM, NULL);
		return;
	}
	ftp_submit(s, req, decided);
}

void ftp_cmd_rein(struct ftp_session *s, char *arg, size_t len)
{
	/* A transfer under way was finished before this command's turn came (RFC 959). */
	ftp_data_close(s, false);
	vfs_session_unref(&s->who);
	vfs_live_who(&s->reg, NULL);
	forget_user(s);
	free(s->host);
	free(s->rename_from);
	s->host = s->rename_from = NULL;
	s->binary = s->epsv_all = false;
	s->rest = 0;
	s->facts = FTP_FACT_ALL;
	strcpy(s->cwd, "/"); /* never shorter */
	gh_timer_set(&s->timer, s->loop, s->door->login_ms);
	ftp_end(s, 220, "Gatehouse FTP ready.");
}
