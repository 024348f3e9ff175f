/*
 * Giving paused jobs up. A client goes away while a device still works for it; the job's
 * frames must stay until the device is done, because it writes into them.
 *
 *   cc -pthread cancel.c $(pkg-config --cflags --libs siding)
 */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <siding.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int key; /* its address names the job's eventfd in the wait context */

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* The request that a device works on. It lies on the job's stack. */
struct request {
    int fd;
    int result;
};

/* The device: takes its time (until main() lets it), writes the result, says so. */
static sem_t time_passes;

static void *device(void *arg)
{
    struct request *request = arg;
    const uint64_t one = 1;

    sem_wait(&time_passes);
    request->result = 42;
    check(write(request->fd, &one, sizeof(one)) == sizeof(one), "eventfd");
    return NULL;
}

/* Runs in a job. Asks the device twice and returns the sum; -1 if it was given up. */
static int ask_device(void *arg)
{
    struct request request = {.fd = eventfd(0, EFD_CLOEXEC)};
    ASYNC_WAIT_CTX *ctx = ASYNC_get_wait_ctx(ASYNC_get_current_job());
    int times, wanted = 1, sum = 0;
    uint64_t count;
    pthread_t thread;

    (void)arg;
    check(ASYNC_WAIT_CTX_set_wait_fd(ctx, &key, request.fd, NULL, NULL), "set_wait_fd");
    for (times = 0; times < 2 && wanted; times++) {
        check(pthread_create(&thread, NULL, device, &request) == 0, "thread");
        wanted = ASYNC_pause_job();
        pthread_join(thread, NULL); /* wanted or not: it writes into our frame */
        check(read(request.fd, &count, sizeof(count)) == sizeof(count), "eventfd");
        sum += request.result;
    }
    ASYNC_WAIT_CTX_clear_fd(ctx, &key);
    close(request.fd);
    return wanted ? sum : -1;
}

/* Runs in a job that waits for nothing in particular. */
static int wait_for_ever(void *arg)
{
    int *pauses = *(int **)arg;

    while (ASYNC_pause_job() == 1)
        ++*pauses;
    return 7;
}

/* Notes what a job returned: its arg is where. */
static void ended(void *arg, int ret)
{
    *(int *)arg = ret;
}

/* The device decides when the job goes on. Its wait context may be freed at once. */
static void cancel_on_wake(void)
{
    ASYNC_WAIT_CTX *ctx = ASYNC_WAIT_CTX_new();
    struct pollfd orphans = {.fd = siding_orphans_fd(), .events = POLLIN};
    ASYNC_JOB *job = NULL;
    int result = 0;

    check(orphans.fd >= 0, "siding_orphans_fd");
    check(ASYNC_start_job(&job, ctx, NULL, ask_device, NULL, 0) == ASYNC_PAUSE, "start");
    check(siding_job_cancel(job, SIDING_CANCEL_ON_WAKE, ended, &result), "cancel");
    ASYNC_WAIT_CTX_free(ctx);
    check(result == 0 && siding_orphans_poll() == 1, "the job waits for its device");
    sem_post(&time_passes);
    sem_post(&time_passes);

    /* An event loop would have the descriptor among its own. */
    while (siding_orphans_poll() > 0)
        poll(&orphans, 1, -1);
    printf("cancelled on wake: the job returned %d\n", result);
    check(result == -1, "the first pause ended well, the second did not");
}

/* A job that waits for nothing ends in the call itself. */
static void cancel_now(void)
{
    int pauses = 0, result = 0, *counter = &pauses;
    ASYNC_JOB *job = NULL;

    check(ASYNC_start_job(&job, NULL, NULL, wait_for_ever, &counter, sizeof(counter)) ==
              ASYNC_PAUSE, "start");
    check(ASYNC_start_job(&job, NULL, NULL, NULL, NULL, 0) == ASYNC_PAUSE, "resume");
    check(siding_job_cancel(job, SIDING_CANCEL_NOW, ended, &result), "cancel");
    printf("cancelled now: %d pause, the job returned %d\n", pauses, result);
    check(pauses == 1 && result == 7, "its pause returned 0");
    check(!siding_job_cancel(job, SIDING_CANCEL_NOW, NULL, NULL), "a stale handle is refused");
}

/* The job takes all the pauses it wants, and nobody waits in between. */
static void drain(void)
{
    ASYNC_WAIT_CTX *ctx = ASYNC_WAIT_CTX_new();
    ASYNC_JOB *job = NULL;
    struct pollfd orphans = {.fd = siding_orphans_fd(), .events = POLLIN};
    int result = 0;

    check(ASYNC_start_job(&job, ctx, NULL, ask_device, NULL, 0) == ASYNC_PAUSE, "start");
    check(siding_job_cancel(job, SIDING_CANCEL_DRAIN, ended, &result), "cancel");
    sem_post(&time_passes);
    sem_post(&time_passes);
    while (siding_orphans_poll() > 0)
        poll(&orphans, 1, -1);
    ASYNC_WAIT_CTX_free(ctx);
    printf("drained: the job returned %d\n", result);
    check(result == 84, "its pauses went on as ever");
}

int main(void)
{
    siding_stats_t stats;

    sem_init(&time_passes, 0, 0);
    cancel_on_wake();
    cancel_now();
    drain();
    check(siding_stats(&stats, sizeof(stats)), "siding_stats");
    printf("%d jobs started, %d drained, %d live\n", (int)stats.started, (int)stats.drained,
           (int)stats.live);
    check(stats.started == 3 && stats.drained == 3 && stats.live == 0, "nothing is left");
    return EXIT_SUCCESS;
}
