/* Counting connections, in total and per address. Used by doorstep.c only; any thread.
 *
 * The table outlives its doorstep for as long as tickets are out: it is counted, one for the doorstep, one per ticket.
 */
#ifndef GH_CORE_RUN_TICKETS_H
#define GH_CORE_RUN_TICKETS_H

#include "core/run/doorstep.h"

struct tickets;

enum ticket_refusal { TICKET_GIVEN, TICKET_ADDRESS_LIMIT, TICKET_TOTAL_LIMIT, TICKET_NO_MEMORY };

/* NULL when out of memory. */
struct tickets *tickets_new(unsigned per_address, unsigned total);
void tickets_unref(struct tickets *t);
/* door_label: which gauge of GH_M_CONNECTIONS the ticket counts in. sa NULL: of nobody's address, until it is named. */
enum ticket_refusal tickets_take(struct tickets *t, const struct sockaddr *sa, unsigned door_label,
				 struct gh_ticket **ret_ticket);
/* Once, for a ticket of nobody's address; also one that was refused is to be returned. */
enum ticket_refusal ticket_name(struct gh_ticket *ticket, const struct sockaddr *sa);
unsigned tickets_out(const struct tickets *t);
bool tickets_full(const struct tickets *t);

#endif
