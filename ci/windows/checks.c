/* What a C program finds on Windows; prints a line for each group of checks. With an argument:
 * raises an exception in a job, and must not come back. */
#include <windows.h>

#include <errno.h>
#include <setjmp.h>
#include <siding.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"

static void check(int good, const char *what)
{
    if (!good) {
        printf("failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static int key; /* its address names an event in a wait context */

static DWORD WINAPI set_event(void *event)
{
    Sleep(20); /* most likely somebody waits by then */
    SetEvent(event);
    return 0;
}

static void in_a_thread(LPTHREAD_START_ROUTINE function, void *arg)
{
    HANDLE thread = CreateThread(NULL, 0, function, arg, 0, NULL);
    check(thread != NULL, "CreateThread");
    CloseHandle(thread);
}

/* Asks a device twice, and says how many of the pauses went well. */
static int ask_device(void *arg)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    ASYNC_WAIT_CTX *ctx = ASYNC_get_wait_ctx(ASYNC_get_current_job());
    int times, went_well = 0;

    (void)arg;
    check(ASYNC_WAIT_CTX_set_wait_fd(ctx, &key, event, NULL, NULL), "set_wait_fd");
    for (times = 0; times < 2; times++) {
        in_a_thread(set_event, event);
        went_well += ASYNC_pause_job();
        WaitForSingleObject(event, INFINITE);
        ResetEvent(event);
    }
    ASYNC_WAIT_CTX_clear_fd(ctx, &key);
    CloseHandle(event);
    return went_well;
}

/* Whoever resumes the job waits for its handle. */
static void wait_contexts(void)
{
    ASYNC_WAIT_CTX *ctx = ASYNC_WAIT_CTX_new();
    ASYNC_JOB *job = NULL;
    HANDLE event, same = OSSL_BAD_ASYNC_FD;
    size_t added, deleted;
    int ret = -1, pauses = 0;

    while (ASYNC_start_job(&job, ctx, &ret, ask_device, NULL, 0) == ASYNC_PAUSE) {
        check(ASYNC_WAIT_CTX_get_changed_fds(ctx, NULL, &added, NULL, &deleted), "changed");
        check(added == (pauses == 0) && deleted == 0, "added before the first pause");
        check(ASYNC_WAIT_CTX_get_all_fds(ctx, &event, &added) && added == 1, "all");
        check(ASYNC_WAIT_CTX_get_fd(ctx, &key, &same, NULL) && same == event, "by its key");
        check(WaitForSingleObject(event, INFINITE) == WAIT_OBJECT_0, "wait");
        pauses++;
    }
    check(pauses == 2 && ret == 2, "two pauses");
    ASYNC_WAIT_CTX_free(ctx);
    puts("wait contexts");
}

static int pause_once(void *arg)
{
    (void)arg;
    return ASYNC_pause_job();
}

static DWORD WINAPI leave_a_job(void *job)
{
    check(ASYNC_init_thread(2, 1), "init_thread");
    check(ASYNC_start_job(job, NULL, NULL, pause_once, NULL, 0) == ASYNC_PAUSE, "start");
    return 0;
}

/* The job of a thread that has ended can be adopted. */
static void threads(void)
{
    ASYNC_JOB *job = NULL;
    HANDLE thread = CreateThread(NULL, 0, leave_a_job, &job, 0, NULL);
    int ret = 0;

    check(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0, "thread");
    CloseHandle(thread);
    check(ASYNC_start_job(&job, NULL, &ret, NULL, NULL, 0) == ASYNC_ERR, "nobody's");
    check(siding_job_adopt(job) && !siding_job_adopt(job), "adopt");
    check(ASYNC_start_job(&job, NULL, &ret, NULL, NULL, 0) == ASYNC_FINISH && ret, "resume");
    puts("threads");
}

static DWORD WINAPI wake(void *handle)
{
    siding_wake(*(siding_wake_t *)handle);
    return 0;
}

static void wakes(void)
{
    ASYNC_JOB *job = NULL;
    siding_wake_t handle;
    HANDLE woken = siding_wakes_fd();
    int ret = 0;

    check(woken != OSSL_BAD_ASYNC_FD && siding_next_woken() == NULL, "nobody was woken");
    check(ASYNC_start_job(&job, NULL, NULL, pause_once, NULL, 0) == ASYNC_PAUSE, "start");
    check(siding_get_wake(job, &handle), "get_wake");
    check(WaitForSingleObject(woken, 0) == WAIT_TIMEOUT, "not set yet");
    in_a_thread(wake, &handle);
    check(WaitForSingleObject(woken, INFINITE) == WAIT_OBJECT_0, "set");
    check(siding_next_woken() == job && siding_next_woken() == NULL, "next_woken");
    check(WaitForSingleObject(woken, 0) == WAIT_TIMEOUT, "not set any more");
    check(ASYNC_start_job(&job, NULL, &ret, NULL, NULL, 0) == ASYNC_FINISH && ret, "resume");
    puts("wakes");
}

static void ended(void *arg, int ret)
{
    *(int *)arg = ret;
}

/* Gives a job up, and returns what it has returned. */
static int cancelled(int (*function)(void *), int mode)
{
    ASYNC_WAIT_CTX *ctx = ASYNC_WAIT_CTX_new();
    ASYNC_JOB *job = NULL;
    int result = -1;

    check(ASYNC_start_job(&job, ctx, NULL, function, NULL, 0) == ASYNC_PAUSE, "start");
    check(siding_job_cancel(job, mode, ended, &result), "cancel");
    ASYNC_WAIT_CTX_free(ctx);
    while (siding_orphans_poll() > 0)
        check(WaitForSingleObject(siding_orphans_fd(), 60000) == WAIT_OBJECT_0, "orphans");
    return result;
}

/* Waits for what cannot be waited for. */
static int wait_for_nothing(void *arg)
{
    ASYNC_WAIT_CTX *ctx = ASYNC_get_wait_ctx(ASYNC_get_current_job());

    (void)arg;
    check(ASYNC_WAIT_CTX_set_wait_fd(ctx, &key, OSSL_BAD_ASYNC_FD, NULL, NULL), "set_wait_fd");
    return ASYNC_pause_job();
}

static void orphans(void)
{
    check(cancelled(ask_device, SIDING_CANCEL_DRAIN) == 2, "its pauses went on as ever");
    check(cancelled(ask_device, SIDING_CANCEL_ON_WAKE) == 1, "the second one failed");
    check(cancelled(ask_device, SIDING_CANCEL_NOW) == 0, "both failed");
    check(cancelled(wait_for_nothing, SIDING_CANCEL_DRAIN) == 0, "it ended at once");
    puts("orphans");
}

/* Whether both errors are those from before the pause. */
static int keeps_errors(void *arg)
{
    (void)arg;
    errno = 7;
    SetLastError(70);
    ASYNC_get_wait_ctx(ASYNC_get_current_job());
    ASYNC_block_pause();
    ASYNC_unblock_pause();
    ASYNC_WAIT_CTX_free(ASYNC_WAIT_CTX_new());
    ASYNC_pause_job();
    return errno == 7 && GetLastError() == 70;
}

static void errors(void)
{
    const unsigned flags[] = {0, SIDING_ERRNO};
    ASYNC_JOB *job = NULL;
    int i, ret = -1;

    for (i = 0; i < 2; i++) {
        check(siding_set_job_options(0, 0, flags[i]), "options");
        check(ASYNC_start_job(&job, NULL, NULL, keeps_errors, NULL, 0) == ASYNC_PAUSE, "start");
        check(errno == 7 && GetLastError() == 70, "out of the job");
        errno = 5;
        SetLastError(50);
        check(ASYNC_start_job(&job, NULL, &ret, NULL, NULL, 0) == ASYNC_FINISH, "resume");
        check(ret == i, "errors of its own, if it was asked for");
    }
    check(siding_set_job_options(0, 0, 0), "options");
    check(!siding_report_overflows(), "overflows are not reported");
    siding_last_error();
    check(!siding_set_job_options(0, 0, SIDING_CXX_EXCEPTIONS), "there is no C++ here");
    check(siding_last_error() != 0, "an error that siding remembers");
    puts("errors");
}

static jmp_buf back;

static int jump(int depth)
{
    if (depth > 0)
        return jump(depth - 1) + 1;
    if (ASYNC_pause_job())
        longjmp(back, 9);
    return 0;
}

/* The frames of C that a jump leaves, and a fault that the system handles, on a job's stack. */
static int unwinds(void *arg)
{
    int landed = setjmp(back);

    (void)arg;
    if (landed == 0)
        return jump(5);
    return IsBadReadPtr((void *)8, 1) ? landed : -1;
}

static int starts_another(void *arg)
{
    ASYNC_JOB *job = NULL;
    int ret = -1;

    (void)arg;
    check(ASYNC_start_job(&job, NULL, &ret, unwinds, NULL, 0) == ASYNC_PAUSE, "nested");
    ASYNC_pause_job();
    check(ASYNC_start_job(&job, NULL, &ret, NULL, NULL, 0) == ASYNC_FINISH, "nested");
    return ret;
}

static void unwinding(void)
{
    ASYNC_JOB *job = NULL;
    int ret = -1;

    check(ASYNC_start_job(&job, NULL, &ret, starts_another, NULL, 0) == ASYNC_PAUSE, "start");
    check(ASYNC_start_job(&job, NULL, &ret, NULL, NULL, 0) == ASYNC_FINISH, "resume");
    check(ret == 9, "back in the frame that it jumped to");
    puts("unwinding");
}

/* A libcrypto that is a DLL, and comes late: see crypto.c. */
static set_default_fn *set_default;

static int with_a_default_of_its_own(void *arg)
{
    (void)arg;
    set_default("inside");
    ASYNC_pause_job();
    return strcmp(set_default(NULL), "inside") == 0;
}

static void libcrypto(void)
{
    HMODULE crypto = LoadLibraryA("libcrypto-3-x64.dll");
    last_reason_fn *last_reason;
    ASYNC_JOB *job = NULL;
    int ret = -1;

    check(crypto != NULL, "LoadLibrary");
    last_reason = (last_reason_fn *)(void *)GetProcAddress(crypto, "last_reason");
    set_default = (set_default_fn *)(void *)GetProcAddress(crypto, "OSSL_LIB_CTX_set0_default");
    check(!ASYNC_init_thread(1, 2) && last_reason() == 103, "invalid pool size, on its queue");
    set_default("outside");
    check(ASYNC_start_job(&job, NULL, &ret, with_a_default_of_its_own, NULL, 0) == ASYNC_PAUSE,
          "start");
    check(strcmp(set_default(NULL), "outside") == 0, "each side has its own");
    check(ASYNC_start_job(&job, NULL, &ret, NULL, NULL, 0) == ASYNC_FINISH && ret, "resume");
    check(strcmp(set_default(NULL), "outside") == 0, "each side has its own");
    puts("libcrypto");
}

static int raises(void *arg)
{
    (void)arg;
    RaiseException(0xe0000042, 0, 0, NULL);
    return 0;
}

int main(int argc, char **argv)
{
    ASYNC_JOB *job = NULL;
    siding_stats_t stats;

    (void)argv;
    if (argc > 1) {
        ASYNC_start_job(&job, NULL, NULL, raises, NULL, 0);
        return EXIT_SUCCESS;
    }
    setvbuf(stdout, NULL, _IONBF, 0); /* to see how far it came */
    threads(); /* first */
    wait_contexts();
    wakes();
    orphans();
    errors();
    unwinding();
    libcrypto();
    check(siding_stats(&stats, sizeof(stats)), "stats");
    printf("%d jobs started, %d live\n", (int)stats.started, (int)stats.live);
    return EXIT_SUCCESS;
}
