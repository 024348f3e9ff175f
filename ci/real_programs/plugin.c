/* A library that uses jobs, linked with libcrypto alone: for plugin_host.c. */
#include <openssl/async.h>

static int twice(void *arg)
{
    ASYNC_pause_job();
    ASYNC_pause_job();
    return *(int *)arg;
}

/* Runs a job that pauses twice; its result if all was as it should be. */
int run_job(int value)
{
    ASYNC_JOB *job = NULL;
    ASYNC_WAIT_CTX *ctx = ASYNC_WAIT_CTX_new();
    int i, ret = -1;

    for (i = 0; i < 2; i++)
        if (ASYNC_start_job(&job, ctx, &ret, twice, &value, sizeof(value)) != ASYNC_PAUSE)
            return -2;
    if (ASYNC_start_job(&job, ctx, &ret, twice, &value, sizeof(value)) != ASYNC_FINISH)
        return -3;
    ASYNC_WAIT_CTX_free(ctx);
    return ret;
}
