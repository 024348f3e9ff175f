/* Loads a library at run time and says how that went; for ci/c_examples.sh. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;

    printf("%s\n", library != NULL ? "loaded" : dlerror());
    return library == NULL || dlsym(library, "ASYNC_start_job") == NULL;
}
