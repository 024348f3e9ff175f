/* One program with both archives, libsiding.a before libcrypto.a; for ci/c_examples.sh. */
#include <openssl/async.h>
#include <openssl/evp.h>
#include <siding.h>
#include <stdio.h>

static int digests(void *arg)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    (void)arg;
    ASYNC_pause_job();
    EVP_Digest("x", 1, digest, &length, EVP_sha256(), NULL);
    return (int)length;
}

int main(void)
{
    ASYNC_WAIT_CTX *ctx = ASYNC_WAIT_CTX_new();
    ASYNC_JOB *job = NULL;
    siding_stats_t stats;
    int ret = 0;

    while (ASYNC_start_job(&job, ctx, &ret, digests, NULL, 0) == ASYNC_PAUSE)
        ;
    ASYNC_WAIT_CTX_free(ctx);
    printf("%d\n", ret);
    return !(ret == 32 && siding_stats(&stats, sizeof(stats)) && stats.started == 1);
}
