/* Signatures: the default provider's, made by the device. Verifying needs none. */
#include "provider.h"
#include "device.h"

#include <openssl/err.h>

struct signature {
    const struct provider *provider;
    EVP_PKEY_CTX *raw;  /* of what the caller has digested, or */
    EVP_MD_CTX *digest; /* of what we digest */
};

static void *new_signature(void *provider, const char *properties)
{
    struct signature *s = OPENSSL_zalloc(sizeof(*s));

    (void)properties;
    if (s != NULL)
        s->provider = provider;
    return s;
}

static void free_signature(void *arg)
{
    struct signature *s = arg;

    EVP_PKEY_CTX_free(s->raw);
    EVP_MD_CTX_free(s->digest);
    OPENSSL_free(s);
}

static void *copy_signature(void *arg)
{
    struct signature *s = arg, *copy = new_signature((void *)s->provider, NULL);
    int good = copy != NULL;

    if (good && s->raw != NULL)
        good = (copy->raw = EVP_PKEY_CTX_dup(s->raw)) != NULL;
    if (good && s->digest != NULL)
        good = (copy->digest = EVP_MD_CTX_new()) != NULL &&
               EVP_MD_CTX_copy_ex(copy->digest, s->digest);
    if (good)
        return copy;
    if (copy != NULL)
        free_signature(copy);
    return NULL;
}

/* ---- Of a digest ---- */

/* Without a key: once more with the one there is. */
static int begin_raw(struct signature *s, struct key *key, int (*begin)(EVP_PKEY_CTX *),
                     const OSSL_PARAM params[])
{
    if (key != NULL) {
        EVP_PKEY_CTX_free(s->raw);
        s->raw = EVP_PKEY_CTX_new_from_pkey(s->provider->inner, key->pkey, NULL);
    }
    return s->raw != NULL && begin(s->raw) == 1 &&
           (params == NULL || EVP_PKEY_CTX_set_params(s->raw, params) == 1);
}

static int sign_init(void *arg, void *key, const OSSL_PARAM params[])
{
    return begin_raw(arg, key, EVP_PKEY_sign_init, params);
}

static int verify_init(void *arg, void *key, const OSSL_PARAM params[])
{
    return begin_raw(arg, key, EVP_PKEY_verify_init, params);
}

/* What the device is told: to sign what `tbs` is, or else what was digested. */
struct signing {
    struct signature *s;
    unsigned char *sig;
    size_t *siglen;
    const unsigned char *tbs;
    size_t tbslen;
};

static int do_sign(void *arg)
{
    struct signing *o = arg;

    if (o->tbs != NULL)
        return EVP_PKEY_sign(o->s->raw, o->sig, o->siglen, o->tbs, o->tbslen) == 1;
    return EVP_DigestSignFinal(o->s->digest, o->sig, o->siglen) == 1;
}

static int by_device(struct signing order, size_t sigsize)
{
    if (order.sig == NULL) /* how long will it be? */
        return do_sign(&order);
    *order.siglen = sigsize;
    if (device_run(do_sign, &order))
        return 1;
    ERR_raise(ERR_LIB_USER, ERR_R_OPERATION_FAIL);
    return 0;
}

static int sign(void *arg, unsigned char *sig, size_t *siglen, size_t sigsize,
                const unsigned char *tbs, size_t tbslen)
{
    return by_device((struct signing){arg, sig, siglen, tbs, tbslen}, sigsize);
}

static int verify(void *arg, const unsigned char *sig, size_t siglen, const unsigned char *tbs,
                  size_t tbslen)
{
    struct signature *s = arg;
    return EVP_PKEY_verify(s->raw, sig, siglen, tbs, tbslen) == 1;
}

/* ---- Of data ---- */

typedef int (*digest_init_fn)(EVP_MD_CTX *, EVP_PKEY_CTX **, const char *, OSSL_LIB_CTX *,
                              const char *, EVP_PKEY *, const OSSL_PARAM[]);

static int begin_digest(struct signature *s, const char *name, struct key *key,
                        digest_init_fn begin, const OSSL_PARAM params[])
{
    EVP_PKEY *pkey = key != NULL ? key->pkey : NULL;

    if (key != NULL) {
        EVP_MD_CTX_free(s->digest);
        s->digest = EVP_MD_CTX_new();
    }
    return s->digest != NULL &&
           begin(s->digest, NULL, name, s->provider->inner, NULL, pkey, params) == 1;
}

static int digest_sign_init(void *arg, const char *name, void *key, const OSSL_PARAM params[])
{
    return begin_digest(arg, name, key, EVP_DigestSignInit_ex, params);
}

static int digest_verify_init(void *arg, const char *name, void *key, const OSSL_PARAM params[])
{
    return begin_digest(arg, name, key, EVP_DigestVerifyInit_ex, params);
}

static int digest_sign_update(void *arg, const unsigned char *data, size_t count)
{
    struct signature *s = arg;
    return EVP_DigestSignUpdate(s->digest, data, count) == 1;
}

static int digest_verify_update(void *arg, const unsigned char *data, size_t count)
{
    struct signature *s = arg;
    return EVP_DigestVerifyUpdate(s->digest, data, count) == 1;
}

static int digest_sign_final(void *arg, unsigned char *sig, size_t *siglen, size_t sigsize)
{
    return by_device((struct signing){arg, sig, siglen, NULL, 0}, sigsize);
}

static int digest_verify_final(void *arg, const unsigned char *sig, size_t siglen)
{
    struct signature *s = arg;
    return EVP_DigestVerifyFinal(s->digest, sig, siglen) == 1;
}

/* ---- Settings ---- */

static EVP_PKEY_CTX *current(struct signature *s)
{
    return s->digest != NULL ? EVP_MD_CTX_get_pkey_ctx(s->digest) : s->raw;
}

static int get_params(void *arg, OSSL_PARAM params[])
{
    EVP_PKEY_CTX *ctx = current(arg);
    return ctx != NULL && EVP_PKEY_CTX_get_params(ctx, params) == 1;
}

static int set_params(void *arg, const OSSL_PARAM params[])
{
    EVP_PKEY_CTX *ctx = current(arg);
    return params == NULL || (ctx != NULL && EVP_PKEY_CTX_set_params(ctx, params) == 1);
}

static const OSSL_PARAM known[] = {
    OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PROPERTIES, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_PROPERTIES, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
    OSSL_PARAM_END,
};

static const OSSL_PARAM *known_params(void *signature, void *provider)
{
    (void)signature, (void)provider;
    return known;
}

const OSSL_DISPATCH signatures[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (any_fn)new_signature},
    {OSSL_FUNC_SIGNATURE_FREECTX, (any_fn)free_signature},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (any_fn)copy_signature},
    {OSSL_FUNC_SIGNATURE_SIGN_INIT, (any_fn)sign_init},
    {OSSL_FUNC_SIGNATURE_SIGN, (any_fn)sign},
    {OSSL_FUNC_SIGNATURE_VERIFY_INIT, (any_fn)verify_init},
    {OSSL_FUNC_SIGNATURE_VERIFY, (any_fn)verify},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (any_fn)digest_sign_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (any_fn)digest_sign_update},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (any_fn)digest_sign_final},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, (any_fn)digest_verify_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, (any_fn)digest_verify_update},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, (any_fn)digest_verify_final},
    {OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (any_fn)get_params},
    {OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (any_fn)known_params},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (any_fn)set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (any_fn)known_params},
    {0, NULL},
};
