/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the rooms and the kernel: a program that is linked with FILE_LAYER_LDFLAGS (Makefile)
 * calls these functions where it would call open, pwrite, rename … Everything is done for real;
 * what is done below a recorded folder goes into a disk log, too, and may be made to fail. */

#include "tests/crash/disk-log.h"

/* Records what is done below the log's root from now on, until file_layer_stop. Borrowed. */
void file_layer_record(struct disk_log *log);
void file_layer_stop(void);

/* The operation after so many more fails with errnum, and so do all of its kind after it, until
 * recording stops. Reads, and closing, do not count and do not fail. */
void file_layer_fail_after(guint count, int errnum);

/* How often something was made to fail since recording began. */
guint file_layer_failures(void);
