/* SPDX-License-Identifier: Apache-2.0 */

/* measure: runs one command and says what it cost.
 *
 *   measure [--warm-mib N] [--server PID]… -- COMMAND [ARGUMENT]…
 *
 * Prints one line, tab-separated: wall s, user s, system s, peak resident MiB, CPU s that the
 * servers used meanwhile. The command's own standard output goes to standard error. Exits as the
 * command did.
 *
 * --warm-mib touches and frees that much memory first. On a virtual machine that reports free pages
 * to its host, memory that lay free for some seconds must be fetched back page by page, and whoever
 * runs then, usually the tool that goes through the page cache, pays for it in seconds per GiB. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child of its own: a peak that this process once had would be inherited by the command. */
static void warm_memory(gsize length_bytes)
{
    pid_t child = fork();
    if (child != 0) {
        if (child > 0)
            waitpid(child, NULL, 0);
        return;
    }
    guint8 *memory =
        mmap(NULL, length_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    for (gsize i = 0; i < length_bytes; i += 4096)
        ((volatile guint8 *)memory)[i] = 1;
    _exit(0);
}

/* CPU seconds of a process so far, or 0 when it is gone. */
static double process_cpu_s(int pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    /* The name in parentheses may hold spaces: fields are counted after the last one. */
    const char *rest = strrchr(text, ')');
    g_auto(GStrv) fields = g_strsplit(rest ? rest + 1 : "", " ", 0);
    if (g_strv_length(fields) < 15)
        return 0;
    double ticks = g_ascii_strtod(fields[12], NULL) + g_ascii_strtod(fields[13], NULL);
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

static double servers_cpu_s(const GArray *servers)
{
    double total_s = 0;
    for (guint i = 0; i < servers->len; i++)
        total_s += process_cpu_s(g_array_index(servers, int, i));
    return total_s;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* vfork, because a forked child starts with the parent's resident set and the kernel counts it into
 * the child's peak. */
static pid_t start(char **command)
{
    pid_t child = vfork();
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execvp(command[0], command);
        _exit(127);
    }
    return child;
}

static int collect_servers(char **texts, GArray *servers)
{
    for (; texts && *texts; texts++) {
        guint64 pid;
        if (!g_ascii_string_to_unsigned(*texts, 10, 1, G_MAXINT, &pid, NULL))
            return -1;
        int server = (int)pid;
        g_array_append_val(servers, server);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int warm_mib = 0;
    g_auto(GStrv) server_texts = NULL;
    g_auto(GStrv) command = NULL;
    const GOptionEntry entries[] = {
        {"warm-mib", 0, 0, G_OPTION_ARG_INT, &warm_mib, "memory to touch first", "N"},
        {"server", 0, 0, G_OPTION_ARG_STRING_ARRAY, &server_texts, "a server's process", "PID"},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &command, NULL, "COMMAND…"},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) servers = g_array_new(FALSE, FALSE, sizeof(int));
    if (!g_option_context_parse(context, &argc, &argv, &error) || !command || warm_mib < 0 ||
        collect_servers(server_texts, servers) < 0) {
        fprintf(stderr, "measure: %s\n", error ? error->message : "wrong usage");
        return 2;
    }
    if (warm_mib > 0)
        warm_memory((gsize)warm_mib << 20);

    double servers_before_s = servers_cpu_s(servers);
    gint64 start_us = g_get_monotonic_time();
    pid_t child = start(command);
    int status = 0;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child) {
        fprintf(stderr, "measure: %s: %s\n", command[0], g_strerror(errno));
        return 1;
    }
    double wall_s = (double)(g_get_monotonic_time() - start_us) / 1e6;
    printf("%.4f\t%.3f\t%.3f\t%.1f\t%.2f\n", wall_s, seconds(usage.ru_utime),
           seconds(usage.ru_stime), (double)usage.ru_maxrss / 1024,
           servers_cpu_s(servers) - servers_before_s);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
