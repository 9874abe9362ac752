/* SPDX-License-Identifier: Apache-2.0 */

/* measure: runs one command and says what it cost.
 *
 *   measure [--warm-mib N] [--server PID]… [--events FILE] -- COMMAND [ARGUMENT]…
 *
 * Prints one figure a line, its name and its value with a tab between: wall (s), cpu (s, user and
 * system, of the command and its children), peak (resident MiB of the largest process), server
 * (CPU s that the servers used meanwhile). Exits as the command did.
 *
 * The command's own standard output goes to standard error, or, with --events, to a file: each line
 * after the second at which it came.
 *
 * --warm-mib touches and frees that much memory first. On a virtual machine that reports free pages
 * to its host, memory that lay free for some seconds must be fetched back page by page, and whoever
 * runs then, usually the tool that goes through the page cache, pays for it in seconds per GiB. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
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
static pid_t start(char **command, int output_fd)
{
    pid_t child = vfork();
    if (child == 0) {
        dup2(output_fd, STDOUT_FILENO);
        execvp(command[0], command);
        _exit(127);
    }
    return child;
}

/* Until the last process that has the pipe is gone. */
static gboolean note_events(int pipe_fd, const char *path, gint64 start_us)
{
    FILE *pipe = fdopen(pipe_fd, "r");
    FILE *file = fopen(path, "we");
    char *line = NULL;
    size_t size = 0;
    gboolean ok = pipe && file;
    while (ok && getline(&line, &size, pipe) > 0)
        ok = fprintf(file, "%.4f\t%s", (double)(g_get_monotonic_time() - start_us) / 1e6, line) > 0;
    free(line);
    if (pipe)
        fclose(pipe);
    return file && fclose(file) == 0 && ok;
}

/* Runs the command to its end. */
static gboolean run(char **command, const char *events, gint64 start_us, int *ret_status,
                    struct rusage *ret_usage)
{
    int ends[2] = {-1, STDERR_FILENO};
    if (events && pipe2(ends, O_CLOEXEC) < 0)
        return FALSE;
    pid_t child = start(command, ends[1]);
    gboolean ok = TRUE;
    if (events) {
        close(ends[1]);
        ok = note_events(ends[0], events, start_us);
    }
    return child > 0 && wait4(child, ret_status, 0, ret_usage) == child && ok;
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
    g_autofree char *events = NULL;
    g_auto(GStrv) server_texts = NULL;
    g_auto(GStrv) command = NULL;
    const GOptionEntry entries[] = {
        {"warm-mib", 0, 0, G_OPTION_ARG_INT, &warm_mib, "memory to touch first", "N"},
        {"server", 0, 0, G_OPTION_ARG_STRING_ARRAY, &server_texts, "a server's process", "PID"},
        {"events", 0, 0, G_OPTION_ARG_FILENAME, &events, "where its output goes, timed", "FILE"},
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
    int status = 0;
    struct rusage usage;
    if (!run(command, events, start_us, &status, &usage)) {
        fprintf(stderr, "measure: %s: %s\n", command[0], g_strerror(errno));
        return 1;
    }
    double wall_s = (double)(g_get_monotonic_time() - start_us) / 1e6;
    printf("wall\t%.4f\ncpu\t%.3f\npeak\t%.1f\nserver\t%.2f\n", wall_s,
           seconds(usage.ru_utime) + seconds(usage.ru_stime), (double)usage.ru_maxrss / 1024,
           servers_cpu_s(servers) - servers_before_s);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
