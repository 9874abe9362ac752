/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The key that seals secrets: 32 bytes in a file that only its owner may read. */

#include "appliance/state/database.h"

/* Reads the key at path into key; with create and no file there, makes a new one. Without create a
 * missing key is an error: what was sealed by it could never be read again. */
gboolean seal_key_load(const char *path, gboolean create, guint8 key[STATE_KEY_BYTES],
                       GError **error);
