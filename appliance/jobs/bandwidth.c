/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/jobs/bandwidth.h"

/* A cycle that is let go by with nothing would never end. */
#define SHARE_MIN 4096u

/* Gives those their limit who want less than an equal part; FALSE: there are none. */
static gboolean settle_modest(guint64 part, const guint64 *limits, guint64 *shares, gsize count,
                              guint64 *left, gsize *open)
{
    gboolean any = FALSE;
    for (gsize i = 0; i < count; i++) {
        if (shares[i] || !limits[i] || limits[i] > part)
            continue;
        shares[i] = limits[i];
        *left -= limits[i];
        (*open)--;
        any = TRUE;
    }
    return any;
}

void bandwidth_share(guint64 total, const guint64 *limits, guint64 *shares, gsize count)
{
    guint64 left = total;
    gsize open = count;
    for (gsize i = 0; i < count; i++)
        shares[i] = total ? 0 : limits[i];
    if (!total)
        return;
    while (open > 0 && settle_modest(left / open, limits, shares, count, &left, &open)) {
    }
    for (gsize i = 0; i < count; i++)
        if (!shares[i])
            shares[i] = MAX(left / open, SHARE_MIN);
}
