/* What all architectures share: symbol names and notes. Never anything that
 * depends on the architecture. */

#include "names.h"

/* Begins a function: global for the rest of the crate, hidden from everyone else. */
#define FUNCTION(name)            \
    .p2align 4;                   \
    .globl SIDING(name);          \
    .hidden SIDING(name);         \
    .type SIDING(name), %function

/* For `.cfi_personality`: DW_EH_PE_pcrel | DW_EH_PE_sdata4. */
#define PCREL_SDATA4 0x1b
/* From the C++ ABI's unwind.h. */
#define UA_FORCE_UNWIND 8
#define URC_CONTINUE_UNWIND 8

#ifndef SIDING_NO_STD
/* What is said when an exception or a panic would leave a job. */
        .pushsection .rodata
        .p2align 1 /* s390x has only even addresses relative to pc */
escaped:
        .ascii "siding: an exception or a panic would leave a job\n"
        .set ESCAPED_SIZE, . - escaped
        .popsection
#endif

#define END(name) .size SIDING(name), . - SIDING(name)

/* A label that tests and tools find: an address inside the function before it. */
#define LABEL(name)               \
    .globl SIDING(name);          \
    .hidden SIDING(name);         \
    SIDING(name):

#if __SIZEOF_POINTER__ == 8
# define POINTER .quad
#else
# define POINTER .long
#endif

#ifndef SIDING_NO_STD
/* What the runtime of a sanitizer defines, if there is one in the program; else zero. In the
 * order of `Sanitizer` in src/arch/stub.rs. */
        .macro IF_THERE name:vararg
        .irp function, \name
        .weak   \function
        POINTER \function
        .endr
        .endm
        .pushsection .data.rel.ro, "aw", %progbits
        .p2align 3
        .globl SIDING(sanitizer)
        .hidden SIDING(sanitizer)
        .type SIDING(sanitizer), %object
SIDING(sanitizer):
        IF_THERE __sanitizer_start_switch_fiber, __sanitizer_finish_switch_fiber
        IF_THERE __lsan_register_root_region, __lsan_unregister_root_region
        IF_THERE __tsan_get_current_fiber, __tsan_create_fiber, __tsan_destroy_fiber
        IF_THERE __tsan_switch_to_fiber
        END(sanitizer)
        .popsection
#endif
