/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/tls-cipher.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Read by GnuTLS: its manual, "Disabling algorithms and protocols". */
#define CONFIGURATION_VARIABLE "GNUTLS_SYSTEM_PRIORITY_FILE"

static const char configuration[] = "[overrides]\n"
                                    "tls-disabled-cipher = CHACHA20-POLY1305\n";

static gboolean has_aes(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("aes");
#else
    return FALSE; /* not measured: leave the choice to GnuTLS */
#endif
}

/* With --stdin the sources are not known yet. */
static gboolean may_use_tls(char **argv)
{
    for (char **argument = argv + 1; *argument; argument++)
        if (strstr(*argument, "nbds:") || strstr(*argument, "nbds+unix:") ||
            strcmp(*argument, "--stdin") == 0)
            return TRUE;
    return FALSE;
}

void tls_cipher_prefer_aes(char **argv)
{
    char path[64];
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    if (g_getenv(CONFIGURATION_VARIABLE) || !may_use_tls(argv) || !has_aes())
        return;
    int fd = memfd_create("landfall-gnutls", MFD_CLOEXEC);
    if (fd < 0)
        return;
    /* The file has to outlive the exec. */
    if (fcntl(fd, F_SETFD, 0) == 0 &&
        write(fd, configuration, strlen(configuration)) == (gssize)strlen(configuration)) {
        g_snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        g_setenv(CONFIGURATION_VARIABLE, path, TRUE);
        /* By its own name where that still leads there: the kernel names the process after it. */
        if (program)
            execv(program, argv);
        execv("/proc/self/exe", argv);
        g_unsetenv(CONFIGURATION_VARIABLE);
    }
    close(fd);
}
