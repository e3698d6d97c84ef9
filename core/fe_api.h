/* The frontend contract: a door is one struct and one folder.
 *
 *   open   everything that can fail in front of the operator; err says what and where
 *   accept every connection the doorstep let in (core/run/doorstep.h)
 *   drain  stop taking new work; finish what runs; *live tells how many connections are left; polled by the
 *          composition root until 0 or the drain deadline
 *   close  cuts what is left, frees; after the loops have been drained, before they are freed
 *
 * open and close run on the main thread; loops are running between them. start runs on each loop before it starts
 * (engines, per-loop state). quiesce runs on each loop's own thread after the drain (resume what is suspended, cut what
 * is left) and reports false while it needs another pass.
 */
#ifndef GH_CORE_FE_API_H
#define GH_CORE_FE_API_H

#include "core/run/doorstep.h"
#include "core/vfs.h"

#define FE_ABI 1

struct fe_door; /* instance */

struct fe_env {
	struct gh_core *core;
	struct gh_loop **loops;
	unsigned loop_count;
	/* settings that doors read: typed look-ups into the configuration; missing keys give the documented default */
	int64_t (*number)(const struct fe_env *env, const char *key); /* bytes, milliseconds or counts */
	const char *(*text)(const struct fe_env *env, const char *key);
	const void *config;
};

struct fe_ops {
	unsigned abi;
	const char *name;      /* "http", "ftp" */
	enum vfs_proto label;  /* for metrics of the doorstep */
	enum gh_status (*open)(const struct fe_env *env, struct fe_door **ret, char *err, unsigned err_len);
	enum gh_status (*start)(struct fe_door *d, struct gh_loop *l);
	gh_accept_fn *accept; /* door argument = struct fe_door * */
	void (*drain)(struct fe_door *d, unsigned *live);          /* main thread */
	bool (*quiesce)(struct fe_door *d, struct gh_loop *l);     /* loop thread */
	void (*close)(struct fe_door **d);
};

extern const struct fe_ops fe_http, fe_ftp; /* frontends/registry in frontends/main */

#endif
