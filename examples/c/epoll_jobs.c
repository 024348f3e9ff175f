/*
 * Many jobs on one thread, one epoll loop. Each job waits a few times, for a timer of its
 * own that stands for a slow device; together they take as long as the slowest.
 *
 *   cc epoll_jobs.c $(pkg-config --cflags --libs siding)
 *   ./a.out [jobs]
 */
#include <siding/async.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define WAITS 3
#define MILLISECONDS 10

struct task {
    ASYNC_JOB *job;
    ASYNC_WAIT_CTX *ctx;
    int number;
};

static int key; /* its address names a job's timer in the wait context */

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static void close_timer(ASYNC_WAIT_CTX *ctx, const void *name, OSSL_ASYNC_FD fd, void *data)
{
    (void)ctx;
    (void)name;
    (void)data;
    close(fd);
}

/* The slow operation, as a library would offer it: with a job it pauses until the device
 * is done, without one it blocks. */
static int slow_double(int number)
{
    const struct itimerspec delay = {.it_value.tv_nsec = MILLISECONDS * 1000000L};
    ASYNC_JOB *job = ASYNC_get_current_job();
    ASYNC_WAIT_CTX *ctx;
    uint64_t expirations;
    void *data;
    int timer;

    if (job == NULL) {
        nanosleep(&delay.it_value, NULL);
        return 2 * number;
    }
    ctx = ASYNC_get_wait_ctx(job);
    if (!ASYNC_WAIT_CTX_get_fd(ctx, &key, &timer, &data)) {
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (timer < 0 || !ASYNC_WAIT_CTX_set_wait_fd(ctx, &key, timer, NULL, close_timer))
            die("timer");
    }
    timerfd_settime(timer, 0, &delay, NULL);
    /* A job may be resumed for any reason: the device says when it is done. */
    do
        ASYNC_pause_job();
    while (read(timer, &expirations, sizeof(expirations)) < 0);
    return 2 * number;
}

/* What the job runs, with a copy of its number. */
static int job_function(void *arg)
{
    int i, number = *(int *)arg;

    for (i = 0; i < WAITS; i++)
        number = slow_double(number);
    return number;
}

/* Starts or resumes a task. Returns 1 when it is done, and adds its result to the sum. */
static int run(struct task *task, int epoll, long *sum)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = task};
    size_t added, deleted;
    int result, fd;

    switch (ASYNC_start_job(&task->job, task->ctx, &result, job_function, &task->number,
                            sizeof(task->number))) {
    case ASYNC_FINISH:
        *sum += result;
        ASYNC_WAIT_CTX_free(task->ctx); /* closes the timer, which ends epoll's interest */
        return 1;
    case ASYNC_PAUSE:
        break;
    default:
        fprintf(stderr, "job %d cannot be started\n", task->number);
        exit(EXIT_FAILURE);
    }
    /* What a job waits for is new once; epoll remembers. */
    ASYNC_WAIT_CTX_get_changed_fds(task->ctx, NULL, &added, NULL, &deleted);
    if (added == 1) {
        ASYNC_WAIT_CTX_get_changed_fds(task->ctx, &fd, &added, NULL, &deleted);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            die("epoll_ctl");
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct epoll_event events[64];
    int jobs = argc > 1 ? atoi(argv[1]) : 200;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int i, ready, left = jobs;
    long sum = 0;
    struct task *tasks = calloc(jobs > 0 ? (size_t)jobs : 1, sizeof(*tasks));

    if (epoll < 0 || tasks == NULL)
        die("setup");
    for (i = 0; i < jobs; i++) {
        tasks[i].number = i;
        tasks[i].ctx = ASYNC_WAIT_CTX_new();
        left -= run(&tasks[i], epoll, &sum);
    }
    while (left > 0) {
        ready = epoll_wait(epoll, events, 64, -1);
        for (i = 0; i < ready; i++)
            left -= run(events[i].data.ptr, epoll, &sum);
    }
    printf("%d jobs, %d waits of %d ms each, sum %ld\n", jobs, WAITS, MILLISECONDS, sum);
    free(tasks);
    close(epoll);
    return sum == 4L * jobs * (jobs - 1) ? EXIT_SUCCESS : EXIT_FAILURE;
}
