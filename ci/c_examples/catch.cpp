// A function that pauses inside a catch handler, while its resumer throws and catches: with
// SIDING_CXX_EXCEPTIONS each side rethrows its own exception, without it the other's.
#include <siding.h>

#include <cstdio>

static int inside(void *) {
    try {
        throw 1;
    } catch (...) {
        ASYNC_pause_job();
        try {
            throw;
        } catch (int own) {
            return own;
        }
    }
}

static int round(unsigned flags) {
    ASYNC_JOB *job = nullptr;
    int ret = 0;
    if (!siding_set_job_options(0, 0, flags)) return -1;
    if (ASYNC_start_job(&job, nullptr, &ret, inside, nullptr, 0) != ASYNC_PAUSE) return -2;
    try {
        throw 2;
    } catch (int) {
        if (ASYNC_start_job(&job, nullptr, &ret, inside, nullptr, 0) != ASYNC_FINISH) return -3;
    }
    return ret;
}

int main() {
    int with = round(SIDING_CXX_EXCEPTIONS);
    std::printf("its own exception: %d\n", with);
    return with == 1 ? 0 : 1;
}
