/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Keys and certificates for disks that are served by TCP, all signed by an authority of this
 * appliance's own:
 *
 *   FOLDER/ca-key.pem, ca-cert.pem                               the authority
 *   FOLDER/server/{ca-cert,server-cert,server-key}.pem           what the server shows
 *   FOLDER/targets/HOST/{ca-cert,client-cert,client-key}.pem     what host HOST shows
 *
 * The names of the files are those that QEMU looks for. Only the host that a machine is to run on
 * may use what is served for it. */

#include "appliance/steps/step-work.h"

/* What the server's certificate is for, whatever address it is reached by. */
#define NBD_TLS_HOSTNAME "landfall"

struct nbd_credentials {
    char *server_folder;
    char *client_folder;
    char *client_name; /* the client's subject, as QEMU compares it: "CN=…" */
};

/* Makes what is missing. Errors: config (no folder was given, a file cannot be had), conflict,
 * internal. */
gboolean nbd_credentials_prepare(const struct step_work *work, struct nbd_credentials *ret,
                                 GError **error);
void nbd_credentials_clear(struct nbd_credentials *credentials);
