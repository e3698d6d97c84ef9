/* What a batch makes of the name slots that it names: from the rows that were decided on, which its guards prove, and its
 * steps. Where that does not tell the whole row, as the store has it, it is not known. Pure. */
#ifndef GH_CORE_OUTCOME_H
#define GH_CORE_OUTCOME_H

#include "core/meta.h"

struct outcome {
	bool known;
	struct meta_node node; /* id 0: nothing is there. Strings are those of was and of the steps */
};

/* was, ret: of each slot; was->name NULL: not known but for the id. */
void outcome_of(const struct meta_batch *b, const struct meta_node *was, struct outcome *ret);

#endif
