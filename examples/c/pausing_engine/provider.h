/* What the parts of the provider share. */
#ifndef PROVIDER_H
#define PROVIDER_H

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

/* The provider's context: where OpenSSL's own implementations come from. */
struct provider {
    OSSL_LIB_CTX *inner; /* has the default provider alone */
    OSSL_PROVIDER *original; /* that one */
    EVP_MD *sha256;
};

/* A key of ours is one of OpenSSL's. */
struct key {
    const struct provider *provider;
    const char *type;
    EVP_PKEY *pkey; /* NULL: nothing in it yet */
};

extern const OSSL_DISPATCH rsa_keys[], ec_keys[], signatures[], sha256[];

/* As functions in a dispatch table are kept. */
typedef void (*any_fn)(void);

#endif
