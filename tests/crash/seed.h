/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Numbers by chance that can be had again: LANDFALL_SEED, or one that is printed. */

#include <glib.h>

static guint64 seed_value;
static GRand *seed_numbers;

static inline void seed_restart(guint64 seed)
{
    guint32 parts[] = {(guint32)seed, (guint32)(seed >> 32)};
    seed_value = seed;
    g_clear_pointer(&seed_numbers, g_rand_free);
    seed_numbers = g_rand_new_with_seed_array(parts, G_N_ELEMENTS(parts));
    g_random_set_seed((guint32)seed);
}

static inline void seed_init(void)
{
    const char *text = g_getenv("LANDFALL_SEED");
    guint64 seed = g_random_int();
    if (text)
        g_assert_true(g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &seed, NULL));
    seed_restart(seed);
    g_test_message("LANDFALL_SEED=%" G_GUINT64_FORMAT, seed);
}

static inline guint64 seed_get(void)
{
    return seed_value;
}

static inline guint64 seed_next(void)
{
    return (guint64)g_rand_int(seed_numbers) << 32 | g_rand_int(seed_numbers);
}

static inline gboolean seed_is_long(void)
{
    return g_getenv("LANDFALL_LONG") != NULL;
}
