/*
 * siding.h - what libsiding offers C beyond OpenSSL's ASYNC_* functions.
 *
 * Where no other result is named, functions return 1 for success and 0 for failure, and
 * a handle that is not that of a live job of this thread is a failure, never a crash.
 */
#ifndef SIDING_H
#define SIDING_H

#include <stddef.h>
#include <stdint.h>
/* With OpenSSL: after any of its headers, so that the jobs are declared by that. */
#ifdef OPENSSL_VERSION_NUMBER
#include <openssl/async.h>
#else
#include <siding/async.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What jobs are made of ------------------------------------------------------- */

/* Overwrites what a job used of its stack when it ends, before anything else uses it. */
#define SIDING_WIPE 1u
/* Notes how deep each function's jobs used their stacks: siding_high_water_mark(). */
#define SIDING_HIGH_WATER_MARK 2u
/* Gives a job that goes on its own C++ exceptions back: for functions that pause inside
 * a catch handler. */
#define SIDING_CXX_EXCEPTIONS 4u
/* Gives a job that goes on its own FP control words (rounding, traps) back. */
#define SIDING_FP_CONTROL 8u
/* Gives a job that goes on its own errno back; on Windows the last error, too. */
#define SIDING_ERRNO 16u

/* Sets what the jobs are made of that this thread starts from now on. Sizes are in bytes,
 * rounded up to pages; 0 stands for the default (256 KiB, guard 64 KiB). The guard is
 * there in addition to stack_size, which has to hold a signal frame of the machine and 8 KiB.
 * Stacks of other sizes than the default are siding's own, whatever ASYNC_set_mem_functions()
 * was given. 0 if a size cannot be had, a flag is not known, or SIDING_CXX_EXCEPTIONS is set and
 * no C++ runtime is there yet: then nothing is changed. */
int siding_set_job_options(size_t stack_size, size_t guard_size, unsigned flags);

/* ---- Many jobs at once ----------------------------------------------------------- */

/* A job to start (job == NULL) or to resume, and how far it got. */
typedef struct siding_run_st {
    ASYNC_JOB *job;        /* in and out, as ASYNC_start_job's */
    ASYNC_WAIT_CTX *ctx;   /* these four for a start only */
    int (*func)(void *);
    void *args;
    size_t size;
    int code;              /* out: ASYNC_ERR, ASYNC_NO_JOBS, ASYNC_PAUSE, ASYNC_FINISH */
    int ret;               /* out: func's value, with ASYNC_FINISH */
} siding_run_t;

/* Does for each element of an array what ASYNC_start_job() does, in order, and returns
 * how many of them are paused then. Cheaper than a call each, because the processor
 * predicts the returns of a loop that stays in place. pthread_exit() in such a job, or a
 * C++ exception that leaves it, ends the process. */
size_t siding_run(siding_run_t *jobs, size_t count);

/* ---- Cancelling ------------------------------------------------------------------ */

/* When a cancelled job goes on, and what ASYNC_pause_job() tells it. */
#define SIDING_CANCEL_ON_WAKE 0 /* when its fd or callback says so; 1, later pauses 0 */
#define SIDING_CANCEL_DRAIN 1   /* the same at each pause, as long as it has one: 1, then 0 */
#define SIDING_CANCEL_NOW 2     /* at once; 0, as all later pauses */

/* Called when a cancelled job has ended, with what its function returned. */
typedef void (*siding_ended_fn)(void *arg, int ret);

/* Gives a paused job of this thread up: its handle is of no more use to the caller. The
 * job runs to its end, in this call (NOW does) or in later calls of siding_orphans_poll(), and
 * then `ended` is called, unless NULL; in those later calls it is in no job. Until then
 * everything that the job's frames refer to must stay, the wait context's descriptors too;
 * ASYNC_WAIT_CTX_free() may be called. Meanwhile ASYNC_WAIT_CTX_get_callback() answers with a
 * callback of siding's in the place of the caller's. So a device has to ask for it when it is
 * done. (Its argument is the context: it must not be called any more when that has been freed and
 * the job has ended.) One that has asked before, and calls the caller's, wakes nothing; and if the
 * caller's was called before this, nothing more will come. So let that call siding_wake(), and if
 * it may have been called for this pause already, call siding_wake() once more after this, or
 * choose NOW. The limit of ASYNC_init_thread() is no hindrance. In a forked child the parent's
 * jobs that were given up are nobody's: see siding_job_adopt().
 * A job that pauses without a wait context that holds an fd or a callback cannot wait for
 * anything: it goes on NOW in any mode. Errors that the job raises are taken off the error queue.
 * On Windows its handles are waited for: an event that resets itself is reset by that. */
int siding_job_cancel(ASYNC_JOB *job, int mode, siding_ended_fn ended, void *arg);

/* ---- Orphans: jobs that nobody resumes any more ------------------------------------ */

#ifdef OSSL_ASYNC_FD
/* A descriptor that polls readable (on Windows an event, which is set) when
 * siding_orphans_poll() has something to do. Belongs to the thread and to siding;
 * OSSL_BAD_ASYNC_FD if none can be had. A forked child has another one. */
OSSL_ASYNC_FD siding_orphans_fd(void);
#endif

/* Resumes this thread's cancelled jobs that can go on; returns how many are left; in `ended`, with
 * the one that this tells of. */
size_t siding_orphans_poll(void);

/* Shows each job of a thread that has ended, and each cancelled job that still waits. Any
 * thread may ask; `see` must not call siding. Returns how many. */
size_t siding_orphans_each(void (*see)(ASYNC_JOB *job, void *arg), void *arg);

/* Makes the calling thread the owner of a job whose thread has ended, or that was given up before
 * that or before a fork: it is paused then as if it had not been. The caller vouches
 * that the job's frames hold no address of that thread's variables (errno is one); and in a
 * forked child, where all other threads have ended, that the job did not run when it was
 * forked. Not for a job that ran when its thread ended, nor in a thread that is ending itself:
 * handlers of atexit() and static destructors run when the main thread has lost its jobs for good,
 * so finish or cancel them before exit(). */
int siding_job_adopt(ASYNC_JOB *job);

/* ---- Waking ---------------------------------------------------------------------- */

/* Names one run of one job: plain data, to be copied freely. All zero names nothing. */
typedef struct siding_wake_st {
    uintptr_t slot;
    uint64_t generation;
} siding_wake_t;

/* The wake handle of a live job of this thread; of the current one, if job is NULL. Fails for
 * want of memory, too, or of a descriptor (0xC0100). */
int siding_get_wake(ASYNC_JOB *job, siding_wake_t *wake);

/* Says that a job can go on: its thread finds it by siding_next_woken(). From any thread
 * and from signal handlers; errno is kept. Too late, twice, or for a job that has ended:
 * no effect. */
void siding_wake(siding_wake_t wake);

/* A callback for ASYNC_WAIT_CTX_set_callback(): `arg` points to a siding_wake_t, which
 * must stay until the job goes on. */
int siding_wake_callback(void *arg);

#ifdef OSSL_ASYNC_FD
/* A descriptor that polls readable (on Windows an event, which is set) when a job of this
 * thread was woken. Belongs to the thread and to siding; OSSL_BAD_ASYNC_FD if none can be
 * had. A forked child has another one. */
OSSL_ASYNC_FD siding_wakes_fd(void);
#endif

/* A paused job of this thread that was woken and has not been named since; NULL if there is
 * none. A wake that comes while the job runs is kept until it has paused: so ask before you
 * poll the descriptor. */
ASYNC_JOB *siding_next_woken(void);

/* ---- Looking ----------------------------------------------------------------------- */

typedef struct siding_stats_st {
    uint64_t started;       /* jobs of all threads, ever */
    uint64_t live;          /* jobs of all threads that have not ended */
    uint64_t orphaned;      /* of those, jobs whose thread has ended, and cancelled ones */
    uint64_t adopted;       /* ever */
    uint64_t drained;       /* cancelled jobs that have ended, ever */
    uint64_t refused_limit; /* starts answered ASYNC_NO_JOBS because of max_size, ever */
    uint64_t refused_stack; /* starts for which no stack was to be had, ever */
    uint64_t pool;          /* jobs of this thread, free ones included */
    uint64_t pool_free;     /* free ones */
    uint64_t stacks;        /* stacks of this thread in use, by free jobs too */
    uint64_t stack_bytes;   /* address space reserved for stacks, of all threads */
    uint64_t paused;        /* jobs of this thread that are paused, cancelled ones included */
} siding_stats_t;

/* Fills the first `size` bytes, sizeof(siding_stats_t) where the caller was compiled. */
int siding_stats(siding_stats_t *stats, size_t size);

/* The most bytes of stack that any job of this function used, of those that were started
 * under SIDING_HIGH_WATER_MARK and have ended; 0 if there was none. */
size_t siding_high_water_mark(int (*func)(void *));

/* Has each overflow of a job's stack named on standard error (function, stack, thread)
 * before the process dies of it, or goes on in the SIGSEGV handler that was there before.
 * For the whole process; a thread needs an alternate signal stack for that, which this gives
 * to the caller's thread unless it has one. On Windows 0: an overflow ends the process there
 * before anybody is asked. */
int siding_report_overflows(void);

/* The last error that siding raised on this thread, packed as OpenSSL packs errors (library
 * 51); 0 if there was none. Clears it. For programs without a libcrypto: where there is
 * one, the error is on its queue as well. Its reason, by `error & 0x7fffff`:
 *      103  ASYNC_init_thread(): sizes that do not fit each other
 *  0x80106  a size, a flag or a mode that cannot be
 *  0x80109  in a job: it was cancelled, or its descriptor cannot be waited for
 *  0x8010C  the thread has a hardware shadow stack; or there is no C++ runtime; or this system
 *           has no such thing
 *  0xC0100  no memory, or no descriptor
 *  0xC0102  an argument is NULL
 *  0xC0103  no paused job of this thread has that handle */
uint32_t siding_last_error(void);

/* The version of the library: 0x00MMmmpp. */
unsigned siding_version(void);

#ifdef __cplusplus
}
#endif

#endif
