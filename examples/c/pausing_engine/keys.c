/* RSA and EC keys: the default provider's, kept for us. */
#include "provider.h"

static struct key *new_key(void *provider, const char *type)
{
    struct key *key = OPENSSL_zalloc(sizeof(*key));

    if (key != NULL) {
        key->provider = provider;
        key->type = type;
    }
    return key;
}

static void *new_rsa(void *provider)
{
    return new_key(provider, "RSA");
}

static void *new_ec(void *provider)
{
    return new_key(provider, "EC");
}

static void free_key(void *arg)
{
    struct key *key = arg;

    if (key != NULL)
        EVP_PKEY_free(key->pkey);
    OPENSSL_free(key);
}

static EVP_PKEY_CTX *context(const struct key *key)
{
    return EVP_PKEY_CTX_new_from_name(key->provider->inner, key->type, NULL);
}

static int import(void *arg, int selection, const OSSL_PARAM params[])
{
    struct key *key = arg;
    EVP_PKEY_CTX *ctx = context(key);
    int good = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
               EVP_PKEY_fromdata(ctx, &key->pkey, selection, (OSSL_PARAM *)params) == 1;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

static int export(void *arg, int selection, OSSL_CALLBACK *callback, void *callback_arg)
{
    struct key *key = arg;
    OSSL_PARAM *params = NULL;
    int good = key->pkey != NULL && EVP_PKEY_todata(key->pkey, selection, &params) == 1 &&
               callback(params, callback_arg);

    OSSL_PARAM_free(params);
    return good;
}

/* Whether it has all that is asked for: a key pair has a private part if it exports one. */
static int ignore(const OSSL_PARAM params[], void *arg)
{
    (void)arg;
    return OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY) != NULL ||
           OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_D) != NULL;
}

static int has(const void *arg, int selection)
{
    const struct key *key = arg;

    if (key->pkey == NULL)
        return 0;
    return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) ||
           export((void *)key, EVP_PKEY_KEYPAIR, ignore, NULL);
}

static int match(const void *one, const void *other, int selection)
{
    const EVP_PKEY *a = ((const struct key *)one)->pkey, *b = ((const struct key *)other)->pkey;

    if (a == NULL || b == NULL)
        return 0;
    return (selection & OSSL_KEYMGMT_SELECT_KEYPAIR ? EVP_PKEY_eq(a, b)
                                                    : EVP_PKEY_parameters_eq(a, b)) == 1;
}

static int get_params(void *arg, OSSL_PARAM params[])
{
    struct key *key = arg;
    return key->pkey != NULL && EVP_PKEY_get_params(key->pkey, params);
}

static int set_params(void *arg, const OSSL_PARAM params[])
{
    struct key *key = arg;
    return key->pkey != NULL && EVP_PKEY_set_params(key->pkey, (OSSL_PARAM *)params);
}

static const OSSL_PARAM known[] = {
    OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
    OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
    OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
    OSSL_PARAM_END,
};

static const OSSL_PARAM *gettable(void *provider)
{
    (void)provider;
    return known;
}

static const OSSL_PARAM settable_list[] = {
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
    OSSL_PARAM_END,
};

static const OSSL_PARAM *settable(void *provider)
{
    (void)provider;
    return settable_list;
}

/* What keys are made of, when they come and go. */
static const OSSL_PARAM parts[] = {
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_D, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_PRIV_KEY, NULL, 0),
    OSSL_PARAM_END,
};

static const OSSL_PARAM *types(int selection)
{
    (void)selection;
    return parts;
}

/* ---- New keys ---- */

struct making {
    struct key *key; /* what it will go into */
    EVP_PKEY_CTX *ctx;
    int selection;
};

static void end_making(void *arg)
{
    struct making *making = arg;

    if (making == NULL)
        return;
    free_key(making->key);
    EVP_PKEY_CTX_free(making->ctx);
    OPENSSL_free(making);
}

/* Makes keys by `ctx`, which it takes. */
static int make_by(struct making *making, EVP_PKEY_CTX *ctx)
{
    EVP_PKEY_CTX_free(making->ctx);
    making->ctx = ctx;
    return ctx != NULL && (making->selection & OSSL_KEYMGMT_SELECT_KEYPAIR
                               ? EVP_PKEY_keygen_init(ctx)
                               : EVP_PKEY_paramgen_init(ctx)) == 1;
}

static int set_making(void *arg, const OSSL_PARAM params[])
{
    struct making *making = arg;
    return params == NULL || EVP_PKEY_CTX_set_params(making->ctx, params) == 1;
}

static void *begin(struct key *key, int selection, const OSSL_PARAM params[])
{
    struct making *making = OPENSSL_zalloc(sizeof(*making));

    if (key == NULL || making == NULL) {
        free_key(key);
        OPENSSL_free(making);
        return NULL;
    }
    making->key = key;
    making->selection = selection;
    if (!make_by(making, context(key)) || !set_making(making, params)) {
        end_making(making);
        return NULL;
    }
    return making;
}

static void *begin_rsa(void *provider, int selection, const OSSL_PARAM params[])
{
    return begin(new_rsa(provider), selection, params);
}

static void *begin_ec(void *provider, int selection, const OSSL_PARAM params[])
{
    return begin(new_ec(provider), selection, params);
}

static int set_template(void *arg, void *like)
{
    struct key *key = like;
    return make_by(arg, EVP_PKEY_CTX_new_from_pkey(key->provider->inner, key->pkey, NULL));
}

static const OSSL_PARAM choices[] = {
    OSSL_PARAM_size_t(OSSL_PKEY_PARAM_RSA_BITS, NULL),
    OSSL_PARAM_size_t(OSSL_PKEY_PARAM_RSA_PRIMES, NULL),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_ENCODING, NULL, 0),
    OSSL_PARAM_END,
};

static const OSSL_PARAM *settable_making(void *making, void *provider)
{
    (void)making, (void)provider;
    return choices;
}

static void *make(void *arg, OSSL_CALLBACK *progress, void *progress_arg)
{
    struct making *making = arg;
    struct key *key = making->key;

    (void)progress, (void)progress_arg;
    if (EVP_PKEY_generate(making->ctx, &key->pkey) != 1)
        return NULL;
    making->key = NULL;
    return key;
}

static const char *name_of_operation(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : operation == OSSL_OP_KEYEXCH ? "ECDH" : NULL;
}

/* clang-format off */
#define KEYS(new, begin) \
    {OSSL_FUNC_KEYMGMT_NEW, (any_fn)new}, \
    {OSSL_FUNC_KEYMGMT_FREE, (any_fn)free_key}, \
    {OSSL_FUNC_KEYMGMT_HAS, (any_fn)has}, \
    {OSSL_FUNC_KEYMGMT_MATCH, (any_fn)match}, \
    {OSSL_FUNC_KEYMGMT_IMPORT, (any_fn)import}, \
    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (any_fn)types}, \
    {OSSL_FUNC_KEYMGMT_EXPORT, (any_fn)export}, \
    {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (any_fn)types}, \
    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (any_fn)get_params}, \
    {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (any_fn)gettable}, \
    {OSSL_FUNC_KEYMGMT_SET_PARAMS, (any_fn)set_params}, \
    {OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, (any_fn)settable}, \
    {OSSL_FUNC_KEYMGMT_GEN_INIT, (any_fn)begin}, \
    {OSSL_FUNC_KEYMGMT_GEN_SET_TEMPLATE, (any_fn)set_template}, \
    {OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (any_fn)set_making}, \
    {OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, (any_fn)settable_making}, \
    {OSSL_FUNC_KEYMGMT_GEN, (any_fn)make}, \
    {OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (any_fn)end_making}

const OSSL_DISPATCH rsa_keys[] = {KEYS(new_rsa, begin_rsa), {0, NULL}};
const OSSL_DISPATCH ec_keys[] = {
    KEYS(new_ec, begin_ec),
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (any_fn)name_of_operation},
    {0, NULL},
};
