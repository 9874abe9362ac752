/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Faults at the border to libvirt, for tests: the program's own definition of a libvirt function
 * comes before the library's, does what SNAPSHOT_FAULT says, and calls the real one. Included once.
 *
 *   SNAPSHOT_FAULT=FUNCTION:WHAT[:MILLISECONDS]
 *     kill-before  the program is killed when it would call the function
 *     kill-after   … when libvirt has done it, before the program knows
 *     fail-after   libvirt does it, and the program is told that it failed
 *     delay        the call takes that much longer */

#include <dlfcn.h>
#include <glib.h>
#include <libvirt/libvirt.h>
#include <signal.h>
#include <string.h>

static char **fault_for(const char *function)
{
    const char *text = g_getenv("SNAPSHOT_FAULT");
    char **fault = text ? g_strsplit(text, ":", 3) : NULL;
    if (fault && strcmp(fault[0], function) == 0)
        return fault;
    g_strfreev(fault);
    return NULL;
}

static void fault_before(char **fault)
{
    if (fault && strcmp(fault[1], "kill-before") == 0)
        raise(SIGKILL);
    if (fault && strcmp(fault[1], "delay") == 0)
        g_usleep(g_ascii_strtoull(fault[2], NULL, 10) * 1000);
}

static int fault_after(char **fault, int result)
{
    if (fault && strcmp(fault[1], "kill-after") == 0)
        raise(SIGKILL);
    int told = fault && strcmp(fault[1], "fail-after") == 0 ? -1 : result;
    g_strfreev(fault);
    return told;
}

#define FAULTY(function, parameters, arguments)                                                    \
    int function parameters                                                                        \
    {                                                                                              \
        int(*real) parameters = NULL;                                                              \
        *(void **)&real = dlsym(RTLD_NEXT, #function);                                             \
        char **fault = fault_for(#function);                                                       \
        fault_before(fault);                                                                       \
        return fault_after(fault, real arguments);                                                 \
    }

FAULTY(virDomainBackupBegin,
       (virDomainPtr domain, const char *backup, const char *checkpoint, unsigned flags),
       (domain, backup, checkpoint, flags))
FAULTY(virDomainAbortJob, (virDomainPtr domain), (domain))
FAULTY(virDomainCheckpointDelete, (virDomainCheckpointPtr checkpoint, unsigned flags),
       (checkpoint, flags))
FAULTY(virDomainCreateWithFlags, (virDomainPtr domain, unsigned flags), (domain, flags))
FAULTY(virDomainDestroyFlags, (virDomainPtr domain, unsigned flags), (domain, flags))
FAULTY(virDomainFSFreeze,
       (virDomainPtr domain, const char **mountpoints, unsigned count, unsigned flags),
       (domain, mountpoints, count, flags))
FAULTY(virDomainFSThaw,
       (virDomainPtr domain, const char **mountpoints, unsigned count, unsigned flags),
       (domain, mountpoints, count, flags))
