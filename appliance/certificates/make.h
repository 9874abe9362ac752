/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Keys and certificates, as PEM files: the daemon's own of the first start, and those with which
 * hosts and this machine prove to each other who they are when disks are served. */

#include <glib.h>

enum certificate_purpose {
    CERTIFICATE_HTTPS,     /* a server's, signed by itself */
    CERTIFICATE_AUTHORITY, /* signs others, and itself */
    CERTIFICATE_SERVER,
    CERTIFICATE_CLIENT,
};

/* What is wanted; all borrowed. */
struct certificate_request {
    enum certificate_purpose purpose;
    const char *common_name;
    const char *alternative_names;  /* as OpenSSL takes them, "DNS:a,IP:1.2.3.4"; or NULL */
    const char *authority_key_path; /* of a server's or a client's */
    const char *authority_certificate_path;
};

/* Writes both files: an elliptic key (P-256) that only its owner may read, and a certificate for
 * ten years. Errors: config (a file cannot be read or written), internal. */
gboolean certificate_make(const struct certificate_request *request, const char *key_path,
                          const char *certificate_path, GError **error);

/* Host name, localhost and the addresses of this machine, as alternative names. The caller owns
 * the text. */
char *certificate_local_names(void);
