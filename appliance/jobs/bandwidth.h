/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How several cycles share one bandwidth. */

#include <glib.h>

/* Shares total bytes a second among count cycles: what one may not use by its own limit goes to the
 * others, in equal parts. limits and total 0: no limit; shares[i] 0: none. */
void bandwidth_share(guint64 total, const guint64 *limits, guint64 *shares, gsize count);
