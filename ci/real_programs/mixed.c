/*
 * Takes libcrypto's own functions by dlsym, as wrappers do, beside those that the linker
 * gives it: siding's, preloaded. Neither kind of job disturbs the other.
 */
#include <dlfcn.h>
#include <openssl/async.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(fact) check((fact) != 0, #fact)

static void check(int good, const char *fact)
{
    if (!good) {
        fprintf(stderr, "failed: %s\n", fact);
        exit(EXIT_FAILURE);
    }
}

typedef int (*start_fn)(ASYNC_JOB **, ASYNC_WAIT_CTX *, int *, int (*)(void *), void *, size_t);

static start_fn their_start;
static int (*their_pause)(void);
static int (*their_init)(size_t, size_t);

static int pauses(void *arg)
{
    (void)arg;
    return ASYNC_pause_job();
}

/* Runs in a job of theirs: we do not know of it, so our pause does nothing. */
static int in_theirs(void *arg)
{
    ASYNC_JOB *ours = NULL;
    int ret;

    (void)arg;
    CHECK(ASYNC_get_current_job() == NULL);
    CHECK(ASYNC_pause_job() == 1);
    CHECK(their_pause() == 1);
    CHECK(ASYNC_start_job(&ours, NULL, &ret, pauses, NULL, 0) == ASYNC_PAUSE);
    CHECK(ASYNC_start_job(&ours, NULL, &ret, pauses, NULL, 0) == ASYNC_FINISH && ret == 1);
    return 5;
}

int main(void)
{
    void *libcrypto = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_NOLOAD);
    ASYNC_WAIT_CTX *(*their_new)(void);
    ASYNC_WAIT_CTX *their_ctx, *ctx = ASYNC_WAIT_CTX_new();
    ASYNC_JOB *theirs = NULL, *ours = NULL, *copy;
    int ret = 0;

    CHECK(libcrypto != NULL);
    their_start = (start_fn)dlsym(libcrypto, "ASYNC_start_job");
    their_pause = (int (*)(void))dlsym(libcrypto, "ASYNC_pause_job");
    their_init = (int (*)(size_t, size_t))dlsym(libcrypto, "ASYNC_init_thread");
    their_new = (ASYNC_WAIT_CTX *(*)(void))dlsym(libcrypto, "ASYNC_WAIT_CTX_new");
    CHECK(their_start != ASYNC_start_job); /* else nothing is preloaded */
    their_ctx = their_new();

    /* Their first start makes a pool by a call that the linker sends to us. */
    CHECK(their_start(&theirs, their_ctx, &ret, in_theirs, NULL, 0) == ASYNC_PAUSE);
    /* A handle of theirs is none of ours. */
    copy = theirs;
    CHECK(ASYNC_start_job(&copy, ctx, &ret, pauses, NULL, 0) == ASYNC_ERR);
    ERR_clear_error();
    CHECK(ASYNC_start_job(&ours, ctx, &ret, pauses, NULL, 0) == ASYNC_PAUSE);
    CHECK(their_start(&theirs, their_ctx, &ret, in_theirs, NULL, 0) == ASYNC_FINISH && ret == 5);
    CHECK(ASYNC_start_job(&ours, ctx, &ret, pauses, NULL, 0) == ASYNC_FINISH && ret == 1);
    CHECK(their_init(4, 2) == 1);
    CHECK(ASYNC_init_thread(4, 2) == 1);
    ASYNC_cleanup_thread();
    ASYNC_WAIT_CTX_free(ctx);
    puts("both kinds side by side");
    return EXIT_SUCCESS;
}
