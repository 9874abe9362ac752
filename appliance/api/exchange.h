/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between libmicrohttpd and the handlers: takes a request in, refuses what is not allowed, calls
 * its handler, and gives the answer back. */

#include <microhttpd.h>

/* libmicrohttpd's callbacks; data is the struct api. */
enum MHD_Result exchange_handle(void *data, struct MHD_Connection *http, const char *path,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_bytes, void **context);
void exchange_completed(void *data, struct MHD_Connection *http, void **context,
                        enum MHD_RequestTerminationCode code);
