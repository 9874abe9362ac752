/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether a layer is, byte for byte but for its data clusters, what layer-writer.c makes: header,
 * padding, tables, refcounts, and each data cluster in use once. The data are proven by the root
 * hash; together no byte of the file goes unlooked at. */

#include <glib.h>

/* The layer and the journal that goes with it must name the same blocks. Error corrupt says what is
 * wrong; unsupported, replica as layer_open. */
gboolean layer_check(const char *folder, const char *name, GError **error);
