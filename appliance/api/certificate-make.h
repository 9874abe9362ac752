/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The self-signed certificate of the first start. */

#include <glib.h>

/* Writes both files: an elliptic key (P-256) that only its owner may read, and a certificate for
 * ten years that names this machine: its host name, localhost and its addresses. */
gboolean certificate_make(const char *key_path, const char *certificate_path, GError **error);
