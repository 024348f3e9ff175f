/*
 * The device without OpenSSL's cryptography around it: with and without a job, woken each
 * way, resumed too early, given up.
 */
#define _GNU_SOURCE
#include "device.h"

#include <dlfcn.h>
#include <openssl/async.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(fact) check((fact) != 0, #fact)

static void check(int good, const char *fact)
{
    if (!good) {
        fprintf(stderr, "failed: %s\n", fact);
        exit(EXIT_FAILURE);
    }
}

/* Stands before the library's: a job that was given up gets 0. */
static int given_up;

int ASYNC_pause_job(void)
{
    static int (*real)(void);

    if (real == NULL)
        real = (int (*)(void))dlsym(RTLD_NEXT, "ASYNC_pause_job");
    return given_up ? 0 : real();
}

/* Keeps the device from finishing before we have looked. */
static _Atomic int gated;
static sem_t gate;

static int triple(void *arg)
{
    if (gated)
        sem_wait(&gate);
    *(int *)arg *= 3;
    return 1;
}

/* What jobs run. The operand lies on the job's stack, as an engine's would. */
static int function(void *arg)
{
    int operand = *(int *)arg;

    return device_run(triple, &operand) ? operand : -1;
}

/* An operation that needs another one. */
static int nested(void *arg)
{
    return device_run(triple, arg) && device_run(triple, arg);
}

static int blocked(void *arg)
{
    int result;

    ASYNC_block_pause();
    result = function(arg);
    ASYNC_unblock_pause();
    return result;
}

static int seven = 7;

static int go(ASYNC_JOB **job, ASYNC_WAIT_CTX *ctx, int *ret, int (*func)(void *))
{
    return ASYNC_start_job(job, ctx, ret, func, &seven, sizeof(seven));
}

static void by_fd(ASYNC_WAIT_CTX *ctx)
{
    ASYNC_JOB *job = NULL;
    int ret = 0;
    size_t count;
    struct pollfd ready = {.events = POLLIN};

    gated = 1;
    CHECK(go(&job, ctx, &ret, function) == ASYNC_PAUSE);
    CHECK(ASYNC_WAIT_CTX_get_all_fds(ctx, NULL, &count) && count == 1);
    CHECK(ASYNC_WAIT_CTX_get_all_fds(ctx, &ready.fd, &count));
    CHECK(poll(&ready, 1, 0) == 0);
    sem_post(&gate);
    while (poll(&ready, 1, -1) == 1 && go(&job, ctx, &ret, function) == ASYNC_PAUSE)
        ;
    CHECK(job == NULL && ret == 21);
    CHECK(poll(&ready, 1, 0) == 0); /* the wake is used up */
}

static _Atomic int notifying;

/* A callback that is still at it when the job has been resumed. */
static int notify(void *arg)
{
    notifying = 1;
    eventfd_write(*(int *)arg, 1);
    usleep(20000);
    notifying = 0;
    return 1;
}

static void by_callback(void)
{
    ASYNC_WAIT_CTX *ctx = ASYNC_WAIT_CTX_new();
    ASYNC_JOB *job = NULL;
    int ret = 0, called = eventfd(0, 0);
    eventfd_t times;
    size_t count;

    CHECK(ASYNC_WAIT_CTX_set_callback(ctx, notify, &called));
    CHECK(go(&job, ctx, &ret, function) == ASYNC_PAUSE);
    CHECK(ASYNC_WAIT_CTX_get_all_fds(ctx, NULL, &count) && count == 0);
    sem_post(&gate);
    CHECK(eventfd_read(called, &times) == 0 && times == 1);
    CHECK(go(&job, ctx, &ret, function) == ASYNC_FINISH && ret == 21);
    CHECK(!notifying); /* nobody refers to the job any more */
    ASYNC_WAIT_CTX_free(ctx);
    close(called);
}

/* However often it is resumed, the job goes on when the device is done, not before. */
static void too_early(ASYNC_WAIT_CTX *ctx)
{
    ASYNC_JOB *job = NULL;
    int i, ret = 0;

    for (i = 0; i < 10; i++)
        CHECK(go(&job, ctx, &ret, function) == ASYNC_PAUSE);
    sem_post(&gate);
    while (go(&job, ctx, &ret, function) == ASYNC_PAUSE)
        ;
    CHECK(ret == 21);
}

/* The device must have let go of the job's stack when the job ends. */
static void abandoned(ASYNC_WAIT_CTX *ctx)
{
    ASYNC_JOB *job = NULL;
    int ret = 0;

    CHECK(go(&job, ctx, &ret, function) == ASYNC_PAUSE);
    gated = 0;
    device_set_latency(20000);
    given_up = 1;
    sem_post(&gate);
    CHECK(go(&job, ctx, &ret, function) == ASYNC_FINISH && ret == 21);
    CHECK(go(&job, ctx, &ret, function) == ASYNC_FINISH && ret == 21);
    given_up = 0;
}

/* Many at once, resumed in turn whether they are ready or not. */
static void many(void)
{
    enum { N = 200 };
    ASYNC_JOB *job[N] = {NULL};
    ASYNC_WAIT_CTX *ctx[N];
    int i, left = N, ret, done[N] = {0};

    device_set_latency(1000);
    for (i = 0; i < N; i++)
        ctx[i] = ASYNC_WAIT_CTX_new();
    while (left > 0)
        for (i = 0; i < N; i++)
            if (!done[i] && go(&job[i], ctx[i], &ret, function) == ASYNC_FINISH) {
                CHECK(ret == 21);
                done[i] = 1;
                left--;
            }
    for (i = 0; i < N; i++)
        ASYNC_WAIT_CTX_free(ctx[i]);
}

/* A forked child has no worker yet. */
static void in_child(void)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(function(&seven) == 21 ? EXIT_SUCCESS : EXIT_FAILURE);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    ASYNC_WAIT_CTX *ctx = ASYNC_WAIT_CTX_new();
    ASYNC_JOB *job = NULL;
    int ret = 0, five = 5;

    sem_init(&gate, 0, 0);
    CHECK(function(&seven) == 21); /* no job: it just takes longer */
    CHECK(device_run(nested, &five) && five == 45);
    by_fd(ctx);
    by_callback();
    too_early(ctx);
    abandoned(ctx);
    CHECK(go(&job, ctx, &ret, blocked) == ASYNC_FINISH && ret == 21);
    CHECK(go(&job, NULL, &ret, function) == ASYNC_FINISH && ret == 21); /* no way to wake it */
    many();
    in_child();
    ASYNC_WAIT_CTX_free(ctx);
    device_stop();
    CHECK(function(&seven) == 21); /* starts anew */
    device_stop();
    puts("the device keeps its promises");
    return EXIT_SUCCESS;
}
