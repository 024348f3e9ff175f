/* As much of a libcrypto as siding asks for, with OpenSSL's types: the last error, the default
 * library context of a thread. */
#include <stddef.h>

#include "crypto.h"

#define EXPORT __declspec(dllexport)

static int reason;

EXPORT last_reason_fn last_reason;
EXPORT set_default_fn OSSL_LIB_CTX_set0_default;

int last_reason(void)
{
    return reason;
}

EXPORT void ERR_new(void)
{
}

EXPORT void ERR_set_debug(const char *file, int line, const char *function)
{
    (void)file;
    (void)line;
    (void)function;
}

EXPORT void ERR_set_error(int library, int code, const char *format, ...)
{
    (void)format;
    reason = library == 51 ? code : -1;
}

EXPORT int ERR_set_mark(void)
{
    return 0;
}

EXPORT int ERR_pop_to_mark(void)
{
    return 0;
}

EXPORT void ERR_clear_error(void)
{
    reason = 0;
}

static char global[] = "global";
static const void *present; /* one thread asks */

EXPORT void *OSSL_LIB_CTX_get0_global_default(void)
{
    return global;
}

const void *OSSL_LIB_CTX_set0_default(const void *context)
{
    const void *before = present != NULL ? present : global;

    if (context != NULL)
        present = context == global ? NULL : context;
    return before;
}
