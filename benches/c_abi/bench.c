/*
 * What a C program pays for a job: whichever library provides ASYNC_*, libcrypto or, if it
 * is preloaded, siding. Prints "<case>\t<nanoseconds>" for each batch; a batch of every case
 * in turn, so that what disturbs one disturbs all. rows.sh compares.
 *
 *   bench [rounds [case]]
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <openssl/async.h>
#include <siding.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRIPS 10000

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* ---- What jobs do ---- */

static volatile int stop;

#define DEEPER(name, inner)                                                                        \
    __attribute__((noinline)) static void name(void)                                               \
    {                                                                                              \
        inner();                                                                                   \
        __asm__ volatile("");                                                                      \
    }

/* Frames that return between two pauses cost more than a loop that pauses itself. */
DEEPER(depth_4, ASYNC_pause_job)
DEEPER(depth_3, depth_4)
DEEPER(depth_2, depth_3)
DEEPER(depth_1, depth_2)

static int flat(void *arg)
{
    while (!stop)
        ASYNC_pause_job();
    return arg == NULL;
}

static int deep(void *arg)
{
    while (!stop)
        depth_1();
    return arg == NULL;
}

static int at_once(void *arg)
{
    return arg == NULL;
}

static int pauses_once(void *arg)
{
    ASYNC_pause_job();
    return arg == NULL;
}

/* ---- Cases: each does TRIPS of something ---- */

static ASYNC_WAIT_CTX *ctx;

static void go(ASYNC_JOB **job, int (*func)(void *), void *args, size_t size, int expected)
{
    int ret;
    check(ASYNC_start_job(job, ctx, &ret, func, args, size) == expected, "ASYNC_start_job");
}

static ASYNC_JOB *flat_job, *deep_job;

static void resume_and_pause(void)
{
    for (int i = 0; i < TRIPS; i++)
        go(&flat_job, flat, NULL, 0, ASYNC_PAUSE);
}

static void resume_and_pause_deep(void)
{
    for (int i = 0; i < TRIPS; i++)
        go(&deep_job, deep, NULL, 0, ASYNC_PAUSE);
}

static void start_and_finish(void)
{
    ASYNC_JOB *job = NULL;

    for (int i = 0; i < TRIPS; i++)
        go(&job, at_once, NULL, 0, ASYNC_FINISH);
}

static void start_and_finish_args(void)
{
    char args[40] = ""; /* what libssl's are */
    ASYNC_JOB *job = NULL;

    for (int i = 0; i < TRIPS; i++)
        go(&job, at_once, args, sizeof(args), ASYNC_FINISH);
}

static void whole_life(void)
{
    ASYNC_JOB *job = NULL;

    for (int i = 0; i < TRIPS; i++) {
        go(&job, pauses_once, NULL, 0, ASYNC_PAUSE);
        go(&job, pauses_once, NULL, 0, ASYNC_FINISH);
    }
}

static size_t (*run)(siding_run_t *, size_t); /* NULL with libcrypto */
static siding_run_t batch[32];

static void run_batches(size_t size)
{
    for (size_t i = 0; i < TRIPS / size; i++)
        check(run(batch, size) == size, "siding_run");
}

static void run_1(void) { run_batches(1); }
static void run_8(void) { run_batches(8); }
static void run_32(void) { run_batches(32); }

static const struct {
    const char *name;
    void (*trips)(void);
    int with_siding_only;
} cases[] = {
    {"resume + pause", resume_and_pause, 0},
    {"resume + pause, 4 frames deep", resume_and_pause_deep, 0},
    {"start + finish", start_and_finish, 0},
    {"start + finish, 40 bytes of args", start_and_finish_args, 0},
    {"start + pause + resume + finish", whole_life, 0},
    {"siding_run, 1 job", run_1, 1},
    {"siding_run, 8 jobs", run_8, 1},
    {"siding_run, 32 jobs", run_32, 1},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 30;

    ctx = ASYNC_WAIT_CTX_new();
    go(&flat_job, flat, NULL, 0, ASYNC_PAUSE);
    go(&deep_job, deep, NULL, 0, ASYNC_PAUSE);
    *(void **)&run = dlsym(RTLD_DEFAULT, "siding_run");
    for (size_t i = 0; run != NULL && i < 32; i++)
        batch[i] = (siding_run_t){.ctx = ctx, .func = flat};
    if (run != NULL)
        check(run(batch, 32) == 32, "siding_run");

    for (int round = -1; round < rounds; round++) /* the first one warms up */
        for (size_t i = 0; i < CASES; i++) {
            double begin = seconds();

            if ((cases[i].with_siding_only && run == NULL) ||
                (argc > 2 && strcmp(argv[2], cases[i].name) != 0))
                continue;
            cases[i].trips();
            if (round >= 0)
                printf("%s\t%.2f\n", cases[i].name, (seconds() - begin) * 1e9 / TRIPS);
        }
    stop = 1;
    go(&flat_job, flat, NULL, 0, ASYNC_FINISH);
    go(&deep_job, deep, NULL, 0, ASYNC_FINISH);
    return EXIT_SUCCESS;
}
