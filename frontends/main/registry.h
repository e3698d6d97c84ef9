/* The doors that serve opens. */
#ifndef GH_FRONTENDS_MAIN_REGISTRY_H
#define GH_FRONTENDS_MAIN_REGISTRY_H

#include "core/fe_api.h"

struct registry_door {
	const struct fe_ops *ops;
	const char *listener; /* name in addresses.json */
	const char *key;      /* configuration key of its address */
};
#define REGISTRY_DOORS_MAX 8
extern const struct registry_door registry_doors[]; /* ends with ops NULL */

#endif
