/*
 * What the program of ASYNC_start_job(3) does, on Windows: ../man_page.c with an event in the
 * place of the pipe. What it prints is in ../../man_page.txt.
 *
 *   x86_64-w64-mingw32-gcc man_page.c $(pkg-config --static --cflags --libs siding)
 */
#include <windows.h> /* first: then the headers know of handles */

#include <siding/async.h>
#include <stdio.h>
#include <stdlib.h>

/* Its address names our event in the wait context. */
static int unique;

/* Runs when the wait context is freed. */
static void close_event(ASYNC_WAIT_CTX *ctx, const void *key, OSSL_ASYNC_FD event, void *data)
{
    (void)ctx;
    (void)key;
    (void)data;
    CloseHandle(event);
}

/* What the job runs, with a copy of main's message. */
static int job_function(void *message)
{
    ASYNC_WAIT_CTX *ctx = ASYNC_get_wait_ctx(ASYNC_get_current_job());
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);

    if (ASYNC_get_current_job() == NULL) {
        printf("Not executing within a job - should not happen\n");
        return 0;
    }
    printf("Executing within a job\n");
    printf("Passed in message is: %s\n", (const char *)message);
    if (event == NULL || !ASYNC_WAIT_CTX_set_wait_fd(ctx, &unique, event, NULL, close_event)) {
        printf("Failed to create event\n");
        return 0;
    }

    /* Somebody else would do that later: a device, a worker, the network. Here it has
     * happened by the time we pause. */
    SetEvent(event);

    /* Back to main(), until the event is set. */
    ASYNC_pause_job();

    /* What would have blocked does not now. */
    if (WaitForSingleObject(event, 0) != WAIT_OBJECT_0)
        return 0;
    printf("Resumed the job after a pause\n");
    return 1;
}

static void wait_until_set(ASYNC_WAIT_CTX *ctx)
{
    OSSL_ASYNC_FD event;
    size_t count;

    printf("Waiting for the job to be woken up\n");
    /* How many first: the array is not checked. */
    if (!ASYNC_WAIT_CTX_get_all_fds(ctx, NULL, &count) || count != 1) {
        printf("Unexpected number of handles\n");
        abort();
    }
    ASYNC_WAIT_CTX_get_all_fds(ctx, &event, &count);
    WaitForSingleObject(event, INFINITE);
}

int main(void)
{
    char message[] = "Hello world!";
    ASYNC_WAIT_CTX *ctx;
    ASYNC_JOB *job = NULL;
    int code, value;

    printf("Starting...\n");
    ctx = ASYNC_WAIT_CTX_new();
    if (ctx == NULL)
        abort();

    while ((code = ASYNC_start_job(&job, ctx, &value, job_function, message,
                                   sizeof(message))) == ASYNC_PAUSE) {
        printf("Job was paused\n");
        wait_until_set(ctx);
    }
    if (code == ASYNC_FINISH)
        printf("Job finished with return value %d\n", value);
    else
        printf("An error occurred\n");

    ASYNC_WAIT_CTX_free(ctx);
    printf("Finishing\n");
    return code == ASYNC_FINISH ? EXIT_SUCCESS : EXIT_FAILURE;
}
