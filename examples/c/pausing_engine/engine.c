/*
 * An OpenSSL 3 engine whose signatures (RSA, ECDSA) and SHA-256 are done by a slow device;
 * in a job they pause meanwhile. The mathematics is OpenSSL's.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "device.h"

#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

/* ---- Signatures: OpenSSL's methods, with a sign function of ours ---- */

typedef int (*sign_fn)(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t);

static const int key_types[] = {EVP_PKEY_RSA, EVP_PKEY_EC};
static EVP_PKEY_METHOD *methods[2]; /* the engine frees them */
static sign_fn originals[2];

struct signing {
    sign_fn original;
    EVP_PKEY_CTX *ctx;
    unsigned char *sig;
    size_t *siglen;
    const unsigned char *tbs;
    size_t tbslen;
};

static int do_sign(void *arg)
{
    struct signing *s = arg;
    return s->original(s->ctx, s->sig, s->siglen, s->tbs, s->tbslen);
}

static int sign(int which, EVP_PKEY_CTX *ctx, unsigned char *sig, size_t *siglen,
                const unsigned char *tbs, size_t tbslen)
{
    struct signing s = {originals[which], ctx, sig, siglen, tbs, tbslen};
    int result;

    if (sig == NULL) /* how long will it be? */
        return do_sign(&s);
    result = device_run(do_sign, &s);
    if (result <= 0)
        ERR_raise(ERR_LIB_USER, ERR_R_OPERATION_FAIL);
    return result;
}

static int sign_rsa(EVP_PKEY_CTX *ctx, unsigned char *sig, size_t *siglen,
                    const unsigned char *tbs, size_t tbslen)
{
    return sign(0, ctx, sig, siglen, tbs, tbslen);
}

static int sign_ec(EVP_PKEY_CTX *ctx, unsigned char *sig, size_t *siglen,
                   const unsigned char *tbs, size_t tbslen)
{
    return sign(1, ctx, sig, siglen, tbs, tbslen);
}

static int make_methods(void)
{
    static const sign_fn ours[] = {sign_rsa, sign_ec};
    int (*init)(EVP_PKEY_CTX *);
    const EVP_PKEY_METHOD *original;
    int i, id, flags;

    for (i = 0; i < 2; i++) {
        original = EVP_PKEY_meth_find(key_types[i]);
        EVP_PKEY_meth_get0_info(&id, &flags, original);
        methods[i] = EVP_PKEY_meth_new(key_types[i], flags);
        if (methods[i] == NULL)
            return 0;
        EVP_PKEY_meth_copy(methods[i], original);
        EVP_PKEY_meth_get_sign(original, &init, &originals[i]);
        EVP_PKEY_meth_set_sign(methods[i], init, ours[i]);
    }
    return 1;
}

static int give_method(ENGINE *e, EVP_PKEY_METHOD **method, const int **nids, int nid)
{
    (void)e;
    if (method == NULL) {
        *nids = key_types;
        return 2;
    }
    *method = nid == key_types[0] ? methods[0] : nid == key_types[1] ? methods[1] : NULL;
    return *method != NULL;
}

/* ---- SHA-256: finishing it takes the device ---- */

static EVP_MD *sha256;

struct finishing {
    unsigned char *md;
    SHA256_CTX *state;
};

static int do_final(void *arg)
{
    struct finishing *f = arg;
    return SHA256_Final(f->md, f->state);
}

static int init_sha256(EVP_MD_CTX *ctx)
{
    return SHA256_Init(EVP_MD_CTX_get0_md_data(ctx));
}

static int update_sha256(EVP_MD_CTX *ctx, const void *data, size_t count)
{
    return SHA256_Update(EVP_MD_CTX_get0_md_data(ctx), data, count);
}

static int final_sha256(EVP_MD_CTX *ctx, unsigned char *md)
{
    struct finishing f = {md, EVP_MD_CTX_get0_md_data(ctx)};
    return device_run(do_final, &f);
}

static int make_sha256(void)
{
    sha256 = EVP_MD_meth_new(NID_sha256, NID_sha256WithRSAEncryption);
    return sha256 != NULL && EVP_MD_meth_set_result_size(sha256, SHA256_DIGEST_LENGTH) &&
           EVP_MD_meth_set_input_blocksize(sha256, SHA256_CBLOCK) &&
           EVP_MD_meth_set_app_datasize(sha256, sizeof(SHA256_CTX)) &&
           EVP_MD_meth_set_flags(sha256, EVP_MD_FLAG_DIGALGID_ABSENT) &&
           EVP_MD_meth_set_init(sha256, init_sha256) &&
           EVP_MD_meth_set_update(sha256, update_sha256) &&
           EVP_MD_meth_set_final(sha256, final_sha256);
}

static int give_digest(ENGINE *e, const EVP_MD **digest, const int **nids, int nid)
{
    static const int all[] = {NID_sha256};

    (void)e;
    if (digest == NULL) {
        *nids = all;
        return 1;
    }
    *digest = nid == NID_sha256 ? sha256 : NULL;
    return *digest != NULL;
}

/* ---- The engine ---- */

#define LATENCY ENGINE_CMD_BASE

static const ENGINE_CMD_DEFN commands[] = {
    {LATENCY, "LATENCY", "microseconds that each operation takes", ENGINE_CMD_FLAG_NUMERIC},
    {0, NULL, NULL, 0},
};

static int control(ENGINE *e, int command, long number, void *pointer, void (*function)(void))
{
    (void)e, (void)pointer, (void)function;
    if (command != LATENCY || number < 0)
        return 0;
    device_set_latency((unsigned long)number);
    return 1;
}

static int destroy(ENGINE *e)
{
    (void)e;
    device_stop();
    EVP_MD_meth_free(sha256);
    sha256 = NULL;
    return 1;
}

static int set_up(ENGINE *e, const char *id)
{
    (void)id;
    return make_methods() && make_sha256() && ENGINE_set_id(e, "pausing") &&
           ENGINE_set_name(e, "operations that take a while and pause meanwhile") &&
           ENGINE_set_pkey_meths(e, give_method) && ENGINE_set_digests(e, give_digest) &&
           ENGINE_set_cmd_defns(e, commands) && ENGINE_set_ctrl_function(e, control) &&
           ENGINE_set_destroy_function(e, destroy);
}

IMPLEMENT_DYNAMIC_CHECK_FN()
IMPLEMENT_DYNAMIC_BIND_FN(set_up)
