/* What crypto.c has, and a libcrypto too, but for the first. */
typedef int last_reason_fn(void);
typedef const void *set_default_fn(const void *);
