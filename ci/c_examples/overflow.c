/* C code that is built without stack probes and touches little of its frames cannot step over
 * the guard while they are no larger than that (64 KiB): it dies of SIGSEGV there, and the
 * report names its function. */
#include <signal.h>
#include <siding.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Recurses with frames of so many bytes, of which it touches the lowest one. By a pointer, or
 * the compiler makes one frame of several. */
#define RECURSES(name, size)                                                                       \
    static int name##_deep(int depth);                                                             \
    static int (*volatile name##_next)(int) = name##_deep;                                         \
    static int name##_deep(int depth)                                                              \
    {                                                                                              \
        volatile char frame[size];                                                                 \
        frame[0] = (char)depth;                                                                    \
        return depth == 0 ? 0 : name##_next(depth - 1) + frame[0];                                 \
    }                                                                                              \
    static int name(void *depth) { return name##_deep(*(int *)depth); }

RECURSES(small, 8 << 10)
RECURSES(large, 40 << 10)
RECURSES(largest, 60 << 10)

/* The signal that ended a job of so many frames; 0 if it came back. */
static int ended_by(int (*func)(void *), int depth)
{
    const struct rlimit no_core = {0, 0};
    int status, ret;
    pid_t child = fork();

    if (child == 0) {
        ASYNC_JOB *job = NULL;

        setrlimit(RLIMIT_CORE, &no_core);
        if (!siding_report_overflows())
            _exit(1);
        _exit(ASYNC_start_job(&job, NULL, &ret, func, &depth, sizeof(depth)) != ASYNC_FINISH);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || (WIFEXITED(status) && WEXITSTATUS(status)))
        return -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

int main(void)
{
    int (*const funcs[])(void *) = {small, large, largest};
    int sizes[] = {8, 40, 60}, failed = 0;

    for (int i = 0; i < 3; i++) {
        int fits = ended_by(funcs[i], 200 / sizes[i] - 1), dies = ended_by(funcs[i], 1000);

        printf("frames of %d KiB: %d, %d\n", sizes[i], fits, dies);
        failed |= fits != 0 || dies != SIGSEGV;
    }
    fflush(stdout);
    return failed;
}
