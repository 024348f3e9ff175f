/* A job that is paused, one that is cancelled and waits, and one that runs, for gdb. */
#include <stdio.h>
#include <stdlib.h>
#include <siding.h>

static int fetch_key(void *arg)
{
    (void)arg;
    return ASYNC_pause_job();
}

static int cancelled(void *arg)
{
    (void)arg;
    return ASYNC_pause_job();
}

static int wait_for_a_line(void *arg)
{
    (void)arg;
    puts("ready");
    fflush(stdout);
    return getchar();
}

static ASYNC_JOB *start(int (*func)(void *), ASYNC_WAIT_CTX *ctx, int expected)
{
    ASYNC_JOB *job = NULL;
    int value;

    if (ASYNC_start_job(&job, ctx, &value, func, NULL, 0) != expected)
        abort();
    return job;
}

int main(void)
{
    ASYNC_WAIT_CTX *ctx = ASYNC_WAIT_CTX_new();

    ASYNC_WAIT_CTX_set_wait_fd(ctx, &ctx, 0, NULL, NULL);
    start(fetch_key, NULL, ASYNC_PAUSE);
    siding_job_cancel(start(cancelled, ctx, ASYNC_PAUSE), SIDING_CANCEL_ON_WAKE, NULL, NULL);
    start(wait_for_a_line, NULL, ASYNC_FINISH);
    return 0;
}
