/* A program built for a sanitizer that uses the plain library: ci/sanitizers.sh.
 *   host          jobs that pause, nest, jump and end: nothing is to be found
 *   host <bug>    the same with a bug in a job: heap, stack, leak or race */
#include <pthread.h>
#include <setjmp.h>
#include <siding/async.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS 50

static const char *bug = "";
static char *volatile shared;
static int counter;

static int is_bug(const char *name)
{
    return strcmp(bug, name) == 0;
}

/* Pauses n functions deep; each has an array that must be whole afterwards. */
__attribute__((noinline)) static int pause_inside(int n)
{
    char array[100];

    memset(array, n, sizeof array);
    if (n > 0)
        n += pause_inside(n - 1);
    else
        ASYNC_pause_job();
    return array[is_bug("stack") ? 100 : 99];
}

static int nested(void *arg)
{
    (void)arg;
    ASYNC_pause_job();
    return 7;
}

/* Leaves frames by a jump: what was known of them is void. */
__attribute__((noinline)) static int jump(void)
{
    jmp_buf here;
    char array[200];

    if (setjmp(here) != 0)
        return 0;
    memset(array, 1, sizeof array);
    pause_inside(1);
    longjmp(here, array[7]);
}

static int job(void *arg)
{
    char *mine = strdup("held by a paused job alone");
    ASYNC_JOB *inner = NULL;
    int ret = 0, sum;

    (void)arg;
    sum = pause_inside(5);
    while (ASYNC_start_job(&inner, NULL, &ret, nested, NULL, 0) == ASYNC_PAUSE)
        ASYNC_pause_job();
    sum += jump() + pause_inside(2);
    if (is_bug("heap")) {
        shared = mine;
        ASYNC_pause_job(); /* main frees it */
    }
    sum += mine[0] == 'h';
    if (is_bug("leak"))
        mine = NULL;
    if (is_bug("race"))
        counter++;
    free(is_bug("heap") ? NULL : mine);
    return ret + sum;
}

static void *count(void *arg)
{
    (void)arg;
    counter++;
    return NULL;
}

int main(int argc, char **argv)
{
    ASYNC_JOB *jobs[JOBS] = {NULL};
    int done[JOBS] = {0}, left = JOBS, sum = 0;
    pthread_t thread;

    if (argc > 1)
        bug = argv[1];
    if (pthread_create(&thread, NULL, count, NULL) != 0)
        return 2;
    while (left > 0) {
        for (int i = 0; i < JOBS; i++) {
            int ret = 0;

            if (done[i])
                continue;
            switch (ASYNC_start_job(&jobs[i], NULL, &ret, job, NULL, 0)) {
            case ASYNC_PAUSE:
                free(shared);
                shared = NULL;
                break;
            case ASYNC_FINISH:
                sum += ret;
                done[i] = 1;
                left--;
                break;
            default:
                return 2;
            }
        }
    }
    pthread_join(thread, NULL);
    printf("%d\n", sum);
    return sum == (7 + 5 + 2 + 1) * JOBS ? 0 : 2;
}
