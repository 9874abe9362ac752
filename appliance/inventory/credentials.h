/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What it takes to get into a host: its URI, and the sealed secrets of owner host/NAME: "password"
 * for libvirt's questions, "ssh-key" for ssh. ssh takes a key from a file alone: it lies in
 * RUNTIME/keys/NAME, for its owner's eyes, for as long as the host is watched. */

#include "appliance/state/state.h"

struct credentials {
    char *uri;        /* with keyfile=, and no_tty=1 for ssh: nobody is there to be asked */
    char *user;       /* of the URI, or NULL */
    GBytes *password; /* text that a 0 follows, or NULL */
};

/* The caller owns it. Errors: missing (no such host), source (the key cannot be written), and those
 * of the state. */
struct credentials *credentials_load(struct state *state, const char *runtime_dir, const char *host,
                                     GError **error);
void credentials_free(struct credentials *credentials);

/* Removes the key file of a host, or, when host is NULL, of all: also those of a process that was
 * killed. */
void credentials_forget(const char *runtime_dir, const char *host);
