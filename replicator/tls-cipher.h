/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

/* GnuTLS, under libnbd, prefers ChaCha20-Poly1305 for sessions with a pre-shared key, which costs
 * three times the time of AES-128-GCM on a processor with AES instructions. libnbd has no say in
 * it; the one way is GnuTLS' own configuration, which it reads when it is loaded: so the program
 * starts itself again with an environment that names one.
 *
 * Returns when nothing is to be done: no TLS source among the arguments, no AES instructions, or
 * the environment names a configuration already, which is the operator's or our own from the time
 * before. Failure is not an error: the session is then as slow as it would have been. */
void tls_cipher_prefer_aes(char **argv);
