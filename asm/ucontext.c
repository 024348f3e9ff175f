/* The switch by the C library's ucontext: the reference that the assembly is compared with,
 * and what there is for targets without assembly. Slow: each switch asks the kernel for the
 * signal mask, and each side keeps a whole ucontext_t on its stack.
 *
 * These are the functions of x86_64.S, by the same names and types. In a record only two
 * words count: `pc`, by which fresh, paused and ended contexts are told apart, and `sp`, the
 * address of the `struct side` that waits on the stack of who has left.
 */
#define _GNU_SOURCE
#include <fenv.h>
#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

#include "names.h"

struct record {
    uintptr_t reserved, fp, pc, sp;
};

struct link {
    struct record inner, outer;
};

struct words {
    void *word;
    uintptr_t tag;
};

typedef struct words entry_function(void *word, uintptr_t tag, struct link *link);
typedef struct words then_function(void *word, uintptr_t tag, struct link *link, void *a, void *b);

/* Where one side goes on, and what it finds there. */
struct side {
    ucontext_t context;
    fenv_t fp;
    struct words words;
    struct link *link;
};

void SIDING(trampoline)(unsigned high, unsigned low);

/* Goes over to `to`, and comes back when somebody does the same to `from`. A ucontext_t has
 * a signal mask and floating-point control of its own; here they are the thread's. */
static void leave(struct side *from, struct side *to, struct link *link, struct words words)
{
    to->words = words;
    to->link = link;
    fegetenv(&to->fp);
    sigprocmask(SIG_SETMASK, 0, &to->context.uc_sigmask);
    if (swapcontext(&from->context, &to->context) != 0)
        __builtin_trap(); /* No system says when it could. */
    fesetenv(&from->fp);
}

/* Leaves `from` for the inner side of `link`. */
static void enter(struct side *from, struct link *link, struct words words)
{
    if (link->inner.pc != (uintptr_t)SIDING(trampoline)) {
        leave(from, (struct side *)link->inner.sp, link, words);
        return;
    }
    /* Only the end of the stack counts, where the first frame goes. */
    enum { SOME = 4096 };
    struct side fresh;
    uint64_t address = (uintptr_t)link;
    getcontext(&fresh.context);
    fresh.context.uc_stack.ss_sp = (void *)(link->inner.sp - SOME);
    fresh.context.uc_stack.ss_size = SOME;
    fresh.context.uc_link = 0;
    makecontext(&fresh.context, (void (*)(void))SIDING(trampoline), 2,
                (unsigned)(address >> 32), (unsigned)address);
    link->inner.sp = (uintptr_t)&fresh;
    leave(from, &fresh, link, words);
}

struct words SIDING(resume)(void *word, uintptr_t tag, struct link *link, void *a, void *b, then_function *then)
{
    struct side outer;
    link->outer.sp = (uintptr_t)&outer;
    enter(&outer, link, (struct words){word, tag});
    return then(outer.words.word, outer.words.tag, outer.link, a, b);
}

/* The inner side of `link` waits in `inner`. */
static void wait_in(struct link *link, struct side *inner)
{
    link->inner.pc = (uintptr_t)SIDING(resume);
    link->inner.sp = (uintptr_t)inner;
}

struct words SIDING(pause)(void *word, uintptr_t tag, struct link *link)
{
    struct side inner;
    wait_in(link, &inner);
    leave(&inner, (struct side *)link->outer.sp, link, (struct words){word, tag});
    return inner.words;
}

struct words SIDING(hand_over)(void *word, uintptr_t tag, struct link *from, struct link *to)
{
    struct side inner;
    wait_in(from, &inner);
    enter(&inner, to, (struct words){word, tag});
    return inner.words;
}

/* Runs the entry of a context, on its stack; its address is the pc of a fresh one. */
void SIDING(trampoline)(unsigned high, unsigned low)
{
    struct link *self = (struct link *)(uintptr_t)((uint64_t)high << 32 | low);
    /* In the frame of who has entered, who may go on before this ends. */
    const struct side *arrived = (struct side *)self->inner.sp;
    struct words words = arrived->words;
    fesetenv(&arrived->fp);
    entry_function *entry = (entry_function *)self->inner.reserved;
    self->inner.pc = (uintptr_t)SIDING(resume);
    words = entry(words.word, words.tag, self);
    self->inner.pc = 0;
    struct side nobody;
    leave(&nobody, (struct side *)self->outer.sp, self, words);
}

/* Two words a thread, for the C ABI. */
static __thread uintptr_t words_of_thread[2];

uintptr_t *SIDING(thread_words)(void)
{
    return words_of_thread;
}

/* The control words of floating point, by C's own functions. */
void SIDING(fp_read)(fenv_t *control)
{
    fegetenv(control);
}

void SIDING(fp_write)(const fenv_t *control)
{
    fexcept_t raised;
    fegetexceptflag(&raised, FE_ALL_EXCEPT);
    fesetenv(control);
    fesetexceptflag(&raised, FE_ALL_EXCEPT);
}

_Static_assert(sizeof(fenv_t) <= 32 && _Alignof(fenv_t) <= 8, "see FpControl");

/* What the runtime of a sanitizer defines, as in macros.h. */
#define IF_THERE(name) extern void name(void) __attribute__((weak))
IF_THERE(__sanitizer_start_switch_fiber);
IF_THERE(__sanitizer_finish_switch_fiber);
IF_THERE(__lsan_register_root_region);
IF_THERE(__lsan_unregister_root_region);
IF_THERE(__tsan_get_current_fiber);
IF_THERE(__tsan_create_fiber);
IF_THERE(__tsan_destroy_fiber);
IF_THERE(__tsan_switch_to_fiber);

void (*const SIDING(sanitizer)[])(void) = {
    __sanitizer_start_switch_fiber, __sanitizer_finish_switch_fiber,
    __lsan_register_root_region, __lsan_unregister_root_region,
    __tsan_get_current_fiber, __tsan_create_fiber,
    __tsan_destroy_fiber, __tsan_switch_to_fiber,
};
