/* SPDX-License-Identifier: Apache-2.0 */

/* Turns of lanes: nobody is kept for long, whatever the others do. Cycles of other tests may take
 * turns meanwhile, so that how long one waits is known only by its bound. */

#include "replicator/turn.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_US (900 * G_TIME_SPAN_MILLISECOND) /* after a second a lane does without */
#define PATIENCE_US (5 * G_USEC_PER_SEC)

static guint turn_count(void)
{
    return g_get_num_processors();
}

static void take_all(struct turn **turns)
{
    for (guint i = 0; i < turn_count(); i++) {
        turns[i] = turn_new();
        g_assert_true(turn_may_read(turns[i], TRUE));
    }
}

static void test_alone(void)
{
    g_assert_true(turn_may_read(NULL, FALSE));
    struct turn *turn = turn_new();
    g_assert_true(turn_may_read(turn, TRUE));
    g_assert_true(turn_may_read(turn, FALSE));
    turn_free(turn);
}

/* A lane with reads under way goes on with them; an idle one waits, and then reads all the same:
 * whoever has the turns may have been stopped. */
static void test_nobody_hangs(void)
{
    g_autofree struct turn **turns = g_new0(struct turn *, turn_count());
    take_all(turns);
    struct turn *late = turn_new();
    g_assert_false(turn_may_read(late, FALSE));
    gint64 begun_us = g_get_monotonic_time();
    g_assert_true(turn_may_read(late, TRUE));
    g_assert_cmpint(g_get_monotonic_time() - begun_us, <, PATIENCE_US);
    g_assert_true(turn_may_read(late, FALSE));
    turn_free(late);
    for (guint i = 0; i < turn_count(); i++)
        turn_free(turns[i]);
}

/* What a killed process had is there for the next one, round after round. */
static void test_killed(void)
{
    for (guint round = 0; round < 2; round++) {
        g_autofree struct turn **turns = g_new0(struct turn *, turn_count());
        int ready[2];
        char byte;
        g_assert_cmpint(pipe(ready), ==, 0);
        pid_t child = fork();
        if (child == 0) {
            take_all(turns);
            if (write(ready[1], "", 1) == 1)
                pause();
            _exit(1);
        }
        g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
        kill(child, SIGKILL);
        g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
        gint64 begun_us = g_get_monotonic_time();
        take_all(turns);
        g_assert_cmpint(g_get_monotonic_time() - begun_us, <, WAIT_US);
        for (guint i = 0; i < turn_count(); i++)
            turn_free(turns[i]);
        close(ready[0]);
        close(ready[1]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/turn/alone", test_alone);
    g_test_add_func("/turn/nobody-hangs", test_nobody_hangs);
    g_test_add_func("/turn/killed", test_killed);
    return g_test_run();
}
