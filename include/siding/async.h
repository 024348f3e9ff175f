/*
 * siding/async.h - OpenSSL's asynchronous jobs, without OpenSSL.
 *
 * The functions, types and constants of <openssl/async.h> of OpenSSL 3.0 and later, as
 * libsiding provides them; see ASYNC_start_job(3) and ASYNC_WAIT_CTX_new(3). Include
 * either this header or OpenSSL's: they declare the same things.
 *
 * Where libcrypto would crash siding answers with an error: NULL arguments, a job that
 * has finished, is running, or belongs to another thread. Jobs may start jobs.
 *
 * On Windows wait contexts hold HANDLEs. What has to do with them is declared only after
 * <windows.h>, as by OpenSSL.
 */
#ifndef SIDING_ASYNC_H
#define SIDING_ASYNC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef OPENSSL_ASYNC_H

/* What ASYNC_start_job() returns. */
#define ASYNC_ERR 0     /* see the error queue, or siding_last_error(); *job is NULL if it
                         * named no job, and otherwise as it was, the job unharmed */
#define ASYNC_NO_JOBS 1 /* the limit is reached, or memory is short: try again later */
#define ASYNC_PAUSE 2   /* *job is the paused job */
#define ASYNC_FINISH 3  /* *ret is what the function returned; *job is NULL */

/* What ASYNC_WAIT_CTX_get_status() returns, unless somebody set another value. */
#define ASYNC_STATUS_UNSUPPORTED 0
#define ASYNC_STATUS_ERR 1
#define ASYNC_STATUS_OK 2
#define ASYNC_STATUS_EAGAIN 3

/* A job: a handle to keep and to hand back, not to look into. */
typedef struct async_job_st ASYNC_JOB;
typedef struct async_wait_ctx_st ASYNC_WAIT_CTX;

typedef int (*ASYNC_callback_fn)(void *arg);

#endif /* OPENSSL_ASYNC_H */

#ifndef OSSL_ASYNC_FD
#if !defined(_WIN32)
#define OSSL_ASYNC_FD int
#define OSSL_BAD_ASYNC_FD -1
#elif defined(BASETYPES) || defined(_WINDEF_H)
#define OSSL_ASYNC_FD HANDLE
#define OSSL_BAD_ASYNC_FD INVALID_HANDLE_VALUE
#endif
#endif

/* OpenSSL has these since 3.2. */
#if !defined(OPENSSL_ASYNC_H) || OPENSSL_VERSION_NUMBER < 0x30200000L
typedef void *(*ASYNC_stack_alloc_fn)(size_t *num);
typedef void (*ASYNC_stack_free_fn)(void *addr);
#endif

/* 1; 0 on a thread with a hardware shadow stack, where a job is ASYNC_ERR, not a crash. */
int ASYNC_is_capable(void);

/*
 * Limits this thread to max_size jobs, paused ones included (0: no limit), and has init_size
 * of them ready, each of which takes a page of memory.
 * 1, or 0 if init_size > max_size (even without a limit, as in OpenSSL) or max_size > INT_MAX.
 */
int ASYNC_init_thread(size_t max_size, size_t init_size);
/* Frees this thread's idle jobs and lifts its limit. Paused jobs stay usable. */
void ASYNC_cleanup_thread(void);

/*
 * With *job NULL: starts func with a copy of the size bytes at args, aligned as by malloc
 * (NULL if there are none). Otherwise: goes on with the paused *job, ignoring ctx, func, args and size. On
 * the thread that started the job. ret may be NULL.
 */
int ASYNC_start_job(ASYNC_JOB **job, ASYNC_WAIT_CTX *ctx, int *ret, int (*func)(void *),
                    void *args, size_t size);
/*
 * Returns to whoever started or resumed the current job; 1 when it is resumed. Without a
 * current job, or while pausing is blocked, 1 at once. 0 in a job that is cancelled; and if a
 * Rust scheduler or future drives the job and cannot wait for a descriptor of its wait
 * context: then this pause alone has failed.
 */
int ASYNC_pause_job(void);

/* The innermost job running on this thread, or NULL. */
ASYNC_JOB *ASYNC_get_current_job(void);
/* The wait context a job was started with; NULL if it has ended. From any thread. */
ASYNC_WAIT_CTX *ASYNC_get_wait_ctx(ASYNC_JOB *job);

/* Keep the current job from pausing; they nest, and the count belongs to the job. */
void ASYNC_block_pause(void);
void ASYNC_unblock_pause(void);

ASYNC_WAIT_CTX *ASYNC_WAIT_CTX_new(void);
/* Runs the cleanups of the descriptors in it. A paused job that has it goes on without. */
void ASYNC_WAIT_CTX_free(ASYNC_WAIT_CTX *ctx);
#ifdef OSSL_ASYNC_FD
int ASYNC_WAIT_CTX_set_wait_fd(ASYNC_WAIT_CTX *ctx, const void *key, OSSL_ASYNC_FD fd,
                               void *custom_data,
                               void (*cleanup)(ASYNC_WAIT_CTX *, const void *, OSSL_ASYNC_FD,
                                               void *));
int ASYNC_WAIT_CTX_get_fd(ASYNC_WAIT_CTX *ctx, const void *key, OSSL_ASYNC_FD *fd,
                          void **custom_data);
int ASYNC_WAIT_CTX_get_all_fds(ASYNC_WAIT_CTX *ctx, OSSL_ASYNC_FD *fd, size_t *numfds);
int ASYNC_WAIT_CTX_get_changed_fds(ASYNC_WAIT_CTX *ctx, OSSL_ASYNC_FD *addfd,
                                   size_t *numaddfds, OSSL_ASYNC_FD *delfd,
                                   size_t *numdelfds);
#endif
int ASYNC_WAIT_CTX_clear_fd(ASYNC_WAIT_CTX *ctx, const void *key);
int ASYNC_WAIT_CTX_set_callback(ASYNC_WAIT_CTX *ctx, ASYNC_callback_fn callback,
                                void *callback_arg);
int ASYNC_WAIT_CTX_get_callback(ASYNC_WAIT_CTX *ctx, ASYNC_callback_fn *callback,
                                void **callback_arg);
int ASYNC_WAIT_CTX_set_status(ASYNC_WAIT_CTX *ctx, int status);
int ASYNC_WAIT_CTX_get_status(ASYNC_WAIT_CTX *ctx);

/*
 * Memory for stacks, before the first one is made: alloc gets the size wanted, may change
 * it, and returns the lowest address; a NULL function keeps the one there is. 1, or 0 once
 * a stack has been made. (Of the default size: others, by siding_set_job_options(), are always
 * siding's own.)
 */
int ASYNC_set_mem_functions(ASYNC_stack_alloc_fn alloc_fn, ASYNC_stack_free_fn free_fn);
void ASYNC_get_mem_functions(ASYNC_stack_alloc_fn *alloc_fn, ASYNC_stack_free_fn *free_fn);

#ifdef __cplusplus
}
#endif

#endif /* SIDING_ASYNC_H */
