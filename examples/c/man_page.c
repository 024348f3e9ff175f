/*
 * What the program of ASYNC_start_job(3) does, without OpenSSL: a job makes a pipe, tells
 * by its wait context that it waits for it, and pauses; main() selects and resumes. What
 * it prints is in ../man_page.txt.
 *
 *   cc man_page.c $(pkg-config --cflags --libs siding)
 */
#include <siding/async.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <unistd.h>

/* Its address names our descriptor in the wait context. */
static int unique;

/* Runs when the wait context is freed; `writer` is what was given with the descriptor. */
static void close_pipe(ASYNC_WAIT_CTX *ctx, const void *key, OSSL_ASYNC_FD reader, void *writer)
{
    (void)ctx;
    (void)key;
    close(reader);
    close(*(int *)writer);
    free(writer);
}

/* A pipe that the wait context owns; 0 if there is none to be had. */
static int make_pipe(int *reader, int *writer)
{
    int ends[2];
    int *kept = malloc(sizeof(*kept));
    ASYNC_WAIT_CTX *ctx = ASYNC_get_wait_ctx(ASYNC_get_current_job());

    if (kept == NULL || pipe(ends) != 0) {
        free(kept);
        return 0;
    }
    *reader = ends[0];
    *writer = *kept = ends[1];
    if (!ASYNC_WAIT_CTX_set_wait_fd(ctx, &unique, ends[0], kept, close_pipe)) {
        close_pipe(ctx, &unique, ends[0], kept);
        return 0;
    }
    return 1;
}

/* What the job runs, with a copy of main's message. */
static int job_function(void *message)
{
    int reader, writer;
    char byte = 'X';

    if (ASYNC_get_current_job() == NULL) {
        printf("Not executing within a job - should not happen\n");
        return 0;
    }
    printf("Executing within a job\n");
    printf("Passed in message is: %s\n", (const char *)message);
    if (!make_pipe(&reader, &writer)) {
        printf("Failed to create pipe\n");
        return 0;
    }

    /* Somebody else would write later: a device, a worker, the network. Here it has
     * happened by the time we pause. */
    if (write(writer, &byte, 1) != 1)
        return 0;

    /* Back to main(), until the pipe is readable. */
    ASYNC_pause_job();

    /* What would have blocked does not now. */
    if (read(reader, &byte, 1) != 1)
        return 0;
    printf("Resumed the job after a pause\n");
    return 1;
}

static void wait_until_readable(ASYNC_WAIT_CTX *ctx)
{
    OSSL_ASYNC_FD fd;
    size_t count;
    fd_set wanted;

    printf("Waiting for the job to be woken up\n");
    /* How many first: the array is not checked. */
    if (!ASYNC_WAIT_CTX_get_all_fds(ctx, NULL, &count) || count != 1) {
        printf("Unexpected number of fds\n");
        abort();
    }
    ASYNC_WAIT_CTX_get_all_fds(ctx, &fd, &count);
    FD_ZERO(&wanted);
    FD_SET(fd, &wanted);
    select(fd + 1, &wanted, NULL, NULL, NULL);
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
        wait_until_readable(ctx);
    }
    if (code == ASYNC_FINISH)
        printf("Job finished with return value %d\n", value);
    else
        printf("An error occurred\n");

    ASYNC_WAIT_CTX_free(ctx);
    printf("Finishing\n");
    return code == ASYNC_FINISH ? EXIT_SUCCESS : EXIT_FAILURE;
}
