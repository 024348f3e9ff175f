/* What a cancelled job puts on the error queue is taken off again; what was there stays. */
#include <openssl/err.h>
#include <siding.h>
#include <stdio.h>

static int complain(void *unused)
{
    (void)unused;
    while (ASYNC_pause_job() == 1)
        ;
    ERR_raise(ERR_LIB_USER, 5);
    return 0;
}

static int round_with(int errors)
{
    ASYNC_JOB *job = NULL;
    int ret, i, found = 0;

    ERR_clear_error();
    for (i = 0; i < errors; i++)
        ERR_raise(ERR_LIB_USER, 7);
    if (ASYNC_start_job(&job, NULL, &ret, complain, NULL, 0) != ASYNC_PAUSE)
        return -1;
    if (!siding_job_cancel(job, SIDING_CANCEL_NOW, NULL, NULL))
        return -2;
    for (unsigned long error; (error = ERR_get_error()) != 0; found++)
        if (ERR_GET_REASON(error) != 7)
            return -3;
    return found;
}

int main(void)
{
    int empty = round_with(0), two = round_with(2);

    printf("left on the queue: %d, %d\n", empty, two);
    return empty == 0 && two == 2 ? 0 : 1;
}
