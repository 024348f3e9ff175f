/* Bugs in a job, for ci/c_examples.sh: memcheck and AddressSanitizer must see them.
 *   planted heap    reads what was freed before the job was resumed
 *   planted stack   reads past an array on the job's stack (AddressSanitizer alone can)
 *   planted unset   decides by a variable of the job that has no value (memcheck alone) */
#include <siding/async.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *volatile shared;

/* What the compiler does not look into. */
__attribute__((noinline)) static int read_at(char *place, int index)
{
    return place[index];
}

static int heap(void *arg)
{
    (void)arg;
    shared = calloc(1, 16);
    ASYNC_pause_job();
    return read_at(shared, 0);
}

static int stack(void *arg)
{
    char array[16] = "";

    ASYNC_pause_job();
    return read_at(array, *(int *)arg);
}

static int unset(void *arg)
{
    char array[16];

    (void)arg;
    ASYNC_pause_job();
    if (read_at(array, 3))
        puts("by chance");
    return 0;
}

int main(int argc, char **argv)
{
    const char *bug = argc > 1 ? argv[1] : "";
    int (*func)(void *) = !strcmp(bug, "heap") ? heap : !strcmp(bug, "stack") ? stack : unset;
    ASYNC_JOB *job = NULL;
    int ret = 0, past_the_end = 16;

    while (ASYNC_start_job(&job, NULL, &ret, func, &past_the_end, sizeof(int)) == ASYNC_PAUSE)
        free(shared);
    return ret;
}
