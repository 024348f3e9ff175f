/* SHA-256: finishing it takes the device. */
#include "provider.h"
#include "device.h"

struct hash {
    const struct provider *provider;
    EVP_MD_CTX *ctx;
};

static void free_hash(void *arg)
{
    struct hash *hash = arg;

    EVP_MD_CTX_free(hash->ctx);
    OPENSSL_free(hash);
}

static void *new_hash(void *provider)
{
    struct hash *hash = OPENSSL_zalloc(sizeof(*hash));

    if (hash == NULL)
        return NULL;
    hash->provider = provider;
    hash->ctx = EVP_MD_CTX_new();
    if (hash->ctx == NULL) {
        free_hash(hash);
        return NULL;
    }
    return hash;
}

static void *copy_hash(void *arg)
{
    struct hash *hash = arg, *copy = new_hash((void *)hash->provider);

    if (copy != NULL && EVP_MD_CTX_get0_md(hash->ctx) != NULL &&
        !EVP_MD_CTX_copy_ex(copy->ctx, hash->ctx)) {
        free_hash(copy);
        return NULL;
    }
    return copy;
}

static int init(void *arg, const OSSL_PARAM params[])
{
    struct hash *hash = arg;
    return EVP_DigestInit_ex2(hash->ctx, hash->provider->sha256, params);
}

static int update(void *arg, const unsigned char *data, size_t count)
{
    struct hash *hash = arg;
    return EVP_DigestUpdate(hash->ctx, data, count);
}

struct finishing {
    EVP_MD_CTX *ctx;
    unsigned char *out;
    unsigned count;
};

static int do_final(void *arg)
{
    struct finishing *f = arg;
    return EVP_DigestFinal_ex(f->ctx, f->out, &f->count);
}

static int final(void *arg, unsigned char *out, size_t *count, size_t size)
{
    struct hash *hash = arg;
    struct finishing f = {hash->ctx, out, 0};

    if (size < (size_t)EVP_MD_get_size(hash->provider->sha256) || !device_run(do_final, &f))
        return 0;
    *count = f.count;
    return 1;
}

static const OSSL_PARAM known[] = {
    OSSL_PARAM_size_t(OSSL_DIGEST_PARAM_BLOCK_SIZE, NULL),
    OSSL_PARAM_size_t(OSSL_DIGEST_PARAM_SIZE, NULL),
    OSSL_PARAM_int(OSSL_DIGEST_PARAM_ALGID_ABSENT, NULL),
    OSSL_PARAM_END,
};

static const OSSL_PARAM *gettable(void *provider)
{
    (void)provider;
    return known;
}

static int get_params(OSSL_PARAM params[])
{
    OSSL_PARAM *p;

    p = OSSL_PARAM_locate(params, OSSL_DIGEST_PARAM_BLOCK_SIZE);
    if (p != NULL && !OSSL_PARAM_set_size_t(p, 64))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_DIGEST_PARAM_SIZE);
    if (p != NULL && !OSSL_PARAM_set_size_t(p, 32))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_DIGEST_PARAM_ALGID_ABSENT);
    return p == NULL || OSSL_PARAM_set_int(p, 1);
}

const OSSL_DISPATCH sha256[] = {
    {OSSL_FUNC_DIGEST_NEWCTX, (any_fn)new_hash},
    {OSSL_FUNC_DIGEST_FREECTX, (any_fn)free_hash},
    {OSSL_FUNC_DIGEST_DUPCTX, (any_fn)copy_hash},
    {OSSL_FUNC_DIGEST_INIT, (any_fn)init},
    {OSSL_FUNC_DIGEST_UPDATE, (any_fn)update},
    {OSSL_FUNC_DIGEST_FINAL, (any_fn)final},
    {OSSL_FUNC_DIGEST_GET_PARAMS, (any_fn)get_params},
    {OSSL_FUNC_DIGEST_GETTABLE_PARAMS, (any_fn)gettable},
    {0, NULL},
};
