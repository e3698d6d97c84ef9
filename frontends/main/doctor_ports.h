/* Are the configured addresses free, and if not, who has them? For `gatehouse doctor` where nothing is served. */
#ifndef GH_FRONTENDS_MAIN_DOCTOR_PORTS_H
#define GH_FRONTENDS_MAIN_DOCTOR_PORTS_H

#include <jansson.h>

#include "frontends/main/config.h"

/* Every listener and the passive ports: tries to bind them. */
void doctor_ports_free(json_t *items, const struct config *cfg);
/* addresses.json of a running gateway: does each answer? */
void doctor_ports_answer(json_t *items, const char *folder);

#endif
