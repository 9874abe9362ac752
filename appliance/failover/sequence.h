/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which steps an operation has, and which of them is next, as tables and arithmetic over the
 * journal. Nothing here runs a step or asks anybody. */

#include "appliance/state/failovers.h"

enum sequence_runner {
    RUN_STEP,   /* landfall failover-step */
    RUN_PASSES, /* cycles, until the last one is short enough */
    RUN_FINAL,  /* the last cycle, of the machine that is off */
};

struct sequence_step {
    const char *name;   /* the journal's word */
    const char *undoes; /* or NULL; needed only if that step has begun */
    enum sequence_runner runner;
    unsigned when;     /* only with such options and such a target */
    gboolean live;     /* when it is done, the test or the move stands: there is no going back */
    gboolean of_first; /* undoes what sequence_input.first has made, unless that has copied disks */
};

/* What decides; all borrowed. */
struct sequence_input {
    const struct state_failover *failover;
    gboolean nbd;             /* the target does not see the store */
    const GPtrArray *journal; /* struct state_failover_step */
    const GPtrArray *subject; /* likewise, of the operation that this one ends; or NULL */
    const GPtrArray *first;   /* likewise, of the move by which a machine came to where it has gone
                               * home from; or NULL */
    gint64 serve_us;          /* what was served before then is served once more first; or 0 */
    gboolean serve_only;      /* and nothing else is to be done */
};

/* The next step, by the operation's state: forward, or back while it is returning. One that has
 * begun and not ended comes again. NULL: there is none left. */
const struct sequence_step *sequence_next(const struct sequence_input *input);

/* Whether the step has begun, and whether it was done, since the operation started. */
gboolean sequence_has_begun(const struct sequence_input *input, const char *step);
gboolean sequence_has_done(const struct sequence_input *input, const char *step);

/* Whether something was undone already: then there is no way but back. */
gboolean sequence_is_undoing(const struct sequence_input *input);

/* What somebody asked for, or what is meant where nothing was said. */
gint64 option_number(const struct state_failover *failover, const char *name, gint64 otherwise);
gboolean option_boolean(const struct state_failover *failover, const char *name,
                        gboolean otherwise);
const char *option_text(const struct state_failover *failover, const char *name,
                        const char *otherwise);
