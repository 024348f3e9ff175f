/*
 * An OpenSSL provider whose signatures (RSA, ECDSA) and SHA-256 are done by a slow device;
 * in a job they pause meanwhile. The mathematics is that of the default provider.
 */
#include "provider.h"
#include "device.h"

#include <openssl/provider.h>
#include <stdlib.h>

#define OURS "provider=pausing"

static const OSSL_ALGORITHM all_keys[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", OURS, rsa_keys, NULL},
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", OURS, ec_keys, NULL},
    {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM all_signatures[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", OURS, signatures, NULL},
    {"ECDSA", OURS, signatures, NULL},
    {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM all_digests[] = {
    {"SHA2-256:SHA-256:SHA256:2.16.840.1.101.3.4.2.1", OURS, sha256, NULL},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT: return all_keys;
    case OSSL_OP_SIGNATURE: return all_signatures;
    case OSSL_OP_DIGEST: return all_digests;
    default: return NULL;
    }
}

static const OSSL_PARAM known[] = {
    OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
    OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
    OSSL_PARAM_END,
};

static const OSSL_PARAM *gettable(void *provider)
{
    (void)provider;
    return known;
}

static int get_params(void *provider, OSSL_PARAM params[])
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME);

    (void)provider;
    if (p != NULL && !OSSL_PARAM_set_utf8_ptr(p, "operations that take a while and pause meanwhile"))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);
    return p == NULL || OSSL_PARAM_set_int(p, 1);
}

/* libssl takes a group from the provider that has its keys: with our EC keys, from us. */
static int get_capabilities(void *arg, const char *capability, OSSL_CALLBACK *callback,
                            void *callback_arg)
{
    struct provider *provider = arg;
    return OSSL_PROVIDER_get_capabilities(provider->original, capability, callback, callback_arg);
}

static void teardown(void *arg)
{
    struct provider *provider = arg;

    device_stop();
    EVP_MD_free(provider->sha256);
    if (provider->original != NULL)
        OSSL_PROVIDER_unload(provider->original);
    OSSL_LIB_CTX_free(provider->inner);
    free(provider);
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (any_fn)query},
    {OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (any_fn)gettable},
    {OSSL_FUNC_PROVIDER_GET_PARAMS, (any_fn)get_params},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (any_fn)get_capabilities},
    {OSSL_FUNC_PROVIDER_TEARDOWN, (any_fn)teardown},
    {0, NULL},
};

/* In the configuration: latency = <microseconds>. */
static void configure(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core)
{
    char *latency = NULL;
    OSSL_PARAM wanted[] = {OSSL_PARAM_utf8_ptr("latency", &latency, 0), OSSL_PARAM_END};

    for (; core->function_id != 0; core++)
        if (core->function_id == OSSL_FUNC_CORE_GET_PARAMS)
            OSSL_FUNC_core_get_params(core)(handle, wanted);
    if (latency != NULL)
        device_set_latency(strtoul(latency, NULL, 10));
}

int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                       const OSSL_DISPATCH **out, void **context);

int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                       const OSSL_DISPATCH **out, void **context)
{
    struct provider *provider = calloc(1, sizeof(*provider));

    if (provider == NULL)
        return 0;
    provider->inner = OSSL_LIB_CTX_new();
    if (provider->inner != NULL)
        provider->original = OSSL_PROVIDER_load(provider->inner, "default");
    if (provider->original != NULL)
        provider->sha256 = EVP_MD_fetch(provider->inner, "SHA2-256", NULL);
    if (provider->sha256 == NULL) {
        teardown(provider);
        return 0;
    }
    configure(handle, in);
    *out = functions;
    *context = provider;
    return 1;
}
