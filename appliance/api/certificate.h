/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What HTTPS shows: a key and a certificate, two PEM files in the state folder. On the first start
 * they are made, self-signed; the operator may put others in their place. */

#include <glib.h>

struct certificate {
    char *key_pem;
    char *certificate_pem;
    char *fingerprint; /* "AB:CD:…", SHA-256 of the certificate */
    char *pin;         /* "sha256//…" of the public key, as curl's --pinnedpubkey takes it */
};

/* Reads folder/https-key.pem and folder/https-certificate.pem, which are made when neither is
 * there. Errors: config (only one is there, not PEM, not a pair, a key that others may read),
 * internal. */
struct certificate *certificate_load(const char *folder, GError **error);
void certificate_free(struct certificate *certificate);
