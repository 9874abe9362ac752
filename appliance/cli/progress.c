/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/progress.h"
#include "appliance/cli/text.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_CELLS_MAX 30
#define COLUMNS_DEFAULT 80
#define TEXT_COLUMNS 52 /* everything of a line but the bar */
#define PLAIN_INTERVAL_US (5 * G_USEC_PER_SEC)
#define RATE_AFTER_S 0.2 /* a rate over less time than this tells nothing */

struct progress {
    gboolean quiet;
    gboolean terminal;
    gboolean open; /* a bar stands on the current line */
    char *label;
    gint64 started_us;
    gint64 printed_us; /* last plain line */
    guint64 started_bytes;
};

struct progress *progress_new(gboolean quiet)
{
    struct progress *progress = g_new0(struct progress, 1);
    progress->quiet = quiet;
    progress->terminal = isatty(STDERR_FILENO) == 1;
    return progress;
}

void progress_free(struct progress *progress)
{
    if (!progress)
        return;
    progress_finish(progress);
    g_free(progress->label);
    g_free(progress);
}

static int bar_cells(void)
{
    struct winsize size;
    int columns = COLUMNS_DEFAULT;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    return CLAMP(columns - TEXT_COLUMNS, 0, BAR_CELLS_MAX);
}

static void start(struct progress *progress, const char *label, guint64 done_bytes)
{
    progress_finish(progress);
    g_free(progress->label);
    progress->label = g_strdup(label);
    progress->started_us = g_get_monotonic_time();
    progress->printed_us = progress->started_us;
    progress->started_bytes = done_bytes;
}

/* "123.4 MiB/s, 0:42 left"; "4.0 GiB", the total, while nothing can be said of the rate. */
static char *describe_rate(const struct progress *progress, guint64 done_bytes, guint64 total_bytes)
{
    double seconds = (double)(g_get_monotonic_time() - progress->started_us) / G_USEC_PER_SEC;
    double rate = seconds > 0 ? (double)(done_bytes - progress->started_bytes) / seconds : 0;
    g_autofree char *size = text_bytes((guint64)rate);
    if (rate < 1 || seconds < RATE_AFTER_S)
        return text_bytes(total_bytes);
    if (done_bytes >= total_bytes)
        return g_strdup_printf("%s/s", size);
    guint64 left = (guint64)((double)(total_bytes - done_bytes) / rate);
    return g_strdup_printf("%s/s, %" G_GUINT64_FORMAT ":%02u left", size, left / 60,
                           (unsigned)(left % 60));
}

static void draw_bar(struct progress *progress, unsigned percent, const char *rate)
{
    int cells = bar_cells(), full = cells * (int)percent / 100;
    fprintf(stderr, "\r%-8s ", progress->label);
    if (cells > 0) {
        fputc('[', stderr);
        for (int i = 0; i < cells; i++)
            fputc(i < full ? '#' : '-', stderr);
        fputs("] ", stderr);
    }
    fprintf(stderr, "%3u %%  %s\033[K", percent, rate);
    fflush(stderr);
    progress->open = TRUE;
}

void progress_update(struct progress *progress, const char *label, guint64 done_bytes,
                     guint64 total_bytes)
{
    if (progress->quiet || total_bytes == 0)
        return;
    if (g_strcmp0(label, progress->label) != 0)
        start(progress, label, done_bytes);
    done_bytes = MIN(done_bytes, total_bytes);
    unsigned percent =
        total_bytes ? (unsigned)((double)done_bytes * 100 / (double)total_bytes) : 100;
    g_autofree char *rate = describe_rate(progress, done_bytes, total_bytes);
    if (progress->terminal) {
        draw_bar(progress, percent, rate);
    } else if (g_get_monotonic_time() - progress->printed_us >= PLAIN_INTERVAL_US) {
        fprintf(stderr, "%s: %u %%, %s\n", label, percent, rate);
        progress->printed_us = g_get_monotonic_time();
    }
}

void progress_finish(struct progress *progress)
{
    if (progress->open)
        fputc('\n', stderr);
    progress->open = FALSE;
    g_clear_pointer(&progress->label, g_free);
}
