#define _GNU_SOURCE
#include "device.h"

#include <openssl/async.h>
#include <openssl/err.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* QUEUED -> DONE, the result is there -> RELEASED, the worker will not touch it again. In
 * between it wakes the job. One state would not do: a job that is woken before DONE would
 * pause for good; one that ended at DONE might pull the rug from under its waker. */
enum state { QUEUED, DONE, RELEASED };

/* Lies on the stack of whoever waits for it. */
struct request {
    int (*operation)(void *);
    void *arg;
    int result;
    _Atomic enum state state;
    struct timespec due;
    ASYNC_WAIT_CTX *ctx; /* how to wake the job: its callback, or */
    int fd; /* an eventfd; or -1: nobody pauses */
    struct request *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
/* All guarded by the lock. All requests take equally long: the first is due first. */
static struct request *first, **last = &first;
static pthread_t worker;
static pid_t running_in; /* the process that has the worker: a forked child has none */
static int stopping;
/* An operation may lead to another one: a signature digests. */
static _Thread_local int is_worker;
static long latency = -1;

/* Its address names our eventfd in a wait context. */
static const char key;

static void wake(const struct request *request)
{
    const uint64_t one = 1;
    ASYNC_callback_fn callback;
    void *callback_arg;

    /* Asked for only now: it is another one if the job was given up meanwhile. */
    if (request->ctx != NULL &&
        ASYNC_WAIT_CTX_get_callback(request->ctx, &callback, &callback_arg) && callback != NULL)
        callback(callback_arg);
    else if (request->fd >= 0 && write(request->fd, &one, sizeof(one)) < 0)
        abort(); /* an eventfd that is ours and not full */
}

static void *work(void *unused)
{
    struct request *request;

    is_worker = 1;
    pthread_mutex_lock(&lock);
    for (;;) {
        while ((request = first) == NULL && !stopping)
            pthread_cond_wait(&arrived, &lock);
        if (request == NULL)
            break;
        if ((first = request->next) == NULL)
            last = &first;
        pthread_mutex_unlock(&lock);

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &request->due, NULL);
        request->result = request->operation(request->arg);
        ERR_clear_error(); /* they are this thread's; the caller raises one of its own */

        request->state = DONE;
        wake(request);
        pthread_mutex_lock(&lock);
        request->state = RELEASED;
        pthread_cond_broadcast(&released);
    }
    pthread_mutex_unlock(&lock);
    return unused;
}

static int submit(struct request *request)
{
    const char *setting;
    int good = 1;

    pthread_mutex_lock(&lock);
    if (latency < 0)
        latency = (setting = getenv("PAUSING_LATENCY")) != NULL ? atol(setting) : 0;
    if (running_in != getpid()) {
        first = NULL;
        last = &first;
        stopping = 0;
        good = pthread_create(&worker, NULL, work, NULL) == 0;
        running_in = good ? getpid() : 0;
    }
    if (good) {
        clock_gettime(CLOCK_MONOTONIC, &request->due);
        request->due.tv_nsec += latency % 1000000 * 1000;
        request->due.tv_sec += latency / 1000000 + request->due.tv_nsec / 1000000000;
        request->due.tv_nsec %= 1000000000;
        *last = request;
        last = &request->next;
        pthread_cond_signal(&arrived);
    }
    pthread_mutex_unlock(&lock);
    return good;
}

static void close_fd(ASYNC_WAIT_CTX *ctx, const void *name, OSSL_ASYNC_FD fd, void *data)
{
    (void)ctx, (void)name, (void)data;
    close(fd);
}

/* Chooses how to wake the job: by its callback if there is one, else by an eventfd that
 * stays in its wait context. 0 if there is no job, or no way. */
static int can_pause(struct request *request)
{
    ASYNC_JOB *job = ASYNC_get_current_job();
    ASYNC_WAIT_CTX *ctx = job != NULL ? ASYNC_get_wait_ctx(job) : NULL;
    ASYNC_callback_fn callback;
    void *unused;

    request->fd = -1;
    if (ctx == NULL)
        return 0;
    if (ASYNC_WAIT_CTX_get_callback(ctx, &callback, &unused) && callback != NULL) {
        request->ctx = ctx;
        return 1;
    }
    if (ASYNC_WAIT_CTX_get_fd(ctx, &key, &request->fd, &unused))
        return 1;
    request->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (request->fd < 0)
        return 0;
    if (ASYNC_WAIT_CTX_set_wait_fd(ctx, &key, request->fd, NULL, close_fd))
        return 1;
    close(request->fd);
    request->fd = -1;
    return 0;
}

int device_run(int (*operation)(void *), void *arg)
{
    struct request request = {.operation = operation, .arg = arg};
    int pausing = can_pause(&request);
    uint64_t count;

    if (is_worker || !submit(&request))
        return operation(arg);
    /* Resumed does not mean done. 0: this job was given up, pauses are over. */
    while (pausing && request.state == QUEUED) {
        pausing = ASYNC_pause_job();
        sched_yield(); /* pausing may be blocked */
    }
    pthread_mutex_lock(&lock);
    while (request.state != RELEASED)
        pthread_cond_wait(&released, &lock);
    pthread_mutex_unlock(&lock);
    if (request.fd >= 0 && read(request.fd, &count, sizeof(count)) < 0)
        abort(); /* written before it was released */
    return request.result;
}

void device_set_latency(unsigned long microseconds)
{
    pthread_mutex_lock(&lock);
    latency = (long)microseconds;
    pthread_mutex_unlock(&lock);
}

void device_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = running_in == getpid();
    pthread_cond_signal(&arrived);
    pthread_mutex_unlock(&lock);
    if (stopping)
        pthread_join(worker, NULL);
    running_in = 0;
}
