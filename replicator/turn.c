/* SPDX-License-Identifier: Apache-2.0 */
#include "replicator/turn.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>

/* One set for the machine. Whoever makes it sets it; until then it is 0, and others wait. */
#define SEMAPHORE_KEY ((key_t)0x4c46544e)
#define SEMAPHORE_MODE 0600

/* Long against the milliseconds that reads under way take to end, short against a cycle. */
#define SLICE_US 10000
#define WAIT_S 1
/* Of its slices a lane uses at least this part itself, unless it waits for its source. */
#define BUSY_DIVISOR 16
#define JUDGED_SLICES 8u

struct turn {
    int semaphore; /* set once */
    gboolean off;  /* goes on without turns */
    gboolean mine;
    gint64 began_us; /* the slice */
    guint slices;    /* so far, and what of them was used */
    gint64 held_us;
    gint64 used_us;
    gint64 used_before_us; /* the thread's time when the slice began */
};

static gint64 thread_used_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * G_USEC_PER_SEC + used.tv_nsec / 1000;
}

static int open_semaphore(void)
{
    int made = semget(SEMAPHORE_KEY, 1, IPC_CREAT | IPC_EXCL | SEMAPHORE_MODE);
    if (made < 0)
        return semget(SEMAPHORE_KEY, 1, SEMAPHORE_MODE);
    semctl(made, 0, SETVAL, (int)g_get_num_processors());
    return made;
}

struct turn *turn_new(void)
{
    int semaphore = open_semaphore();
    if (semaphore < 0)
        return NULL;
    struct turn *turn = g_new0(struct turn, 1);
    turn->semaphore = semaphore;
    return turn;
}

static void give_back(struct turn *turn)
{
    struct sembuf back = {.sem_op = 1, .sem_flg = SEM_UNDO};
    turn->mine = FALSE;
    if (semop(turn->semaphore, &back, 1) < 0)
        turn->off = TRUE; /* removed: there are no turns any more */
}

void turn_free(struct turn *turn)
{
    if (turn && turn->mine)
        give_back(turn);
    g_free(turn);
}

static void begin_slice(struct turn *turn)
{
    turn->began_us = g_get_monotonic_time();
    turn->used_before_us = thread_used_us();
}

static void wait_for(struct turn *turn)
{
    struct sembuf take = {.sem_op = -1, .sem_flg = SEM_UNDO};
    const struct timespec patience = {.tv_sec = WAIT_S};
    turn->mine = semtimedop(turn->semaphore, &take, 1, &patience) == 0;
    if (turn->mine)
        begin_slice(turn);
    else
        turn->off = errno != EINTR;
}

/* The slice is over: the next in the line, or the lane again where nobody waits. */
static void end_slice(struct turn *turn, gint64 now_us)
{
    turn->slices++;
    turn->held_us += now_us - turn->began_us;
    turn->used_us += thread_used_us() - turn->used_before_us;
    turn->off = turn->slices >= JUDGED_SLICES && turn->used_us < turn->held_us / BUSY_DIVISOR;
    if (turn->off || semctl(turn->semaphore, 0, GETNCNT) != 0)
        give_back(turn);
    else
        begin_slice(turn);
}

gboolean turn_may_read(struct turn *turn, gboolean idle)
{
    if (!turn || turn->off)
        return TRUE;
    gint64 now_us = g_get_monotonic_time();
    if (turn->mine && now_us - turn->began_us >= SLICE_US)
        end_slice(turn, now_us);
    if (!turn->mine && !turn->off && idle)
        wait_for(turn);
    return turn->mine || turn->off;
}
