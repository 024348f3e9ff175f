/* Loads a plugin, and libcrypto with it, for itself alone. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    int (*run_job)(int) = plugin != NULL ? (int (*)(int))dlsym(plugin, "run_job") : NULL;

    if (run_job == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    printf("%d\n", run_job(42));
    return run_job(42) != 42;
}
