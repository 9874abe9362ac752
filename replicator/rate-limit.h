/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A token bucket over bytes per second, shared by all lanes; the rate may change while it runs. */

#include <glib.h>

struct rate_limit;

/* bytes_per_second 0: no limit. */
struct rate_limit *rate_limit_new(guint64 bytes_per_second);
void rate_limit_free(struct rate_limit *limit);
void rate_limit_set(struct rate_limit *limit, guint64 bytes_per_second);

/* Takes bytes when there are tokens and returns 0; otherwise takes nothing and returns the
 * milliseconds (at least 1) after which to ask again. Thread-safe. */
guint rate_limit_take(struct rate_limit *limit, guint64 bytes);
