/* What all architectures share: symbol names and notes, in ELF, Mach-O and COFF. Never
 * anything that depends on the architecture.
 *
 * One statement a line, in macros of the assembler: a `;` begins a comment in Apple's. */

#include "names.h"

#if defined(__ELF__)
# define TEXT .section .text.siding, "ax", %progbits
# define RODATA .section .rodata
# define DATA .section .data.rel.ro, "aw", %progbits
#elif defined(__APPLE__)
# define TEXT .section __TEXT,__text,regular,pure_instructions
# define RODATA .section __TEXT,__const
# define DATA .section __DATA,__const
#else
# define TEXT .text
# define RODATA .section .rdata, "dr"
# define DATA .section .rdata, "dr"
#endif

        /* For the rest of the crate, and nobody else. */
        .macro INTERNAL symbol
        .globl  \symbol
#if defined(__ELF__)
        .hidden \symbol
#elif defined(__APPLE__)
        .private_extern \symbol
#endif
        .endm

        .macro TYPE symbol, type
#ifdef __ELF__
        .type   \symbol, %\type
#endif
        .endm

        .macro SIZE symbol
#ifdef __ELF__
        .size   \symbol, . - \symbol
#endif
        .endm

        /* Begins a function. */
#define FUNCTION(name) BEGIN SIDING(name)
        .macro BEGIN symbol
        .p2align 4
        INTERNAL \symbol
        TYPE    \symbol, function
        .endm

#define END(name) SIZE SIDING(name)

        /* Apple's linker cuts code at symbols, but for those. */
        .macro WITHIN symbol
#ifdef __APPLE__
        .alt_entry \symbol
#endif
        .endm

        /* A label that tests and tools find: an address inside the function before it. */
#define LABEL(name) INNER SIDING(name)
        .macro INNER symbol
        WITHIN  \symbol
        INTERNAL \symbol
\symbol:
        .endm

/* Two words a thread, for the C ABI, whose functions are not inlined into anyone:
 * initial-exec, so one load and an addition away. Elsewhere see src/arch/words.rs. */
#if defined(__linux__) && !defined(__ANDROID__) && !defined(SIDING_NO_STD)
# define THREAD_WORDS 1
        .section .tbss, "awT", %nobits
        .p2align 3
        INTERNAL SIDING(thread_words)
        TYPE    SIDING(thread_words), object
SIDING(thread_words):
        .zero   2 * __SIZEOF_POINTER__
        END(thread_words)
#endif

/* For `.cfi_personality`: DW_EH_PE_pcrel | DW_EH_PE_sdata4, and for Apple's linker
 * DW_EH_PE_indirect. */
#ifdef __APPLE__
# define PCREL_SDATA4 0x9b
#else
# define PCREL_SDATA4 0x1b
#endif
/* From the C++ ABI's unwind.h. */
#define UA_FORCE_UNWIND 8
#define URC_CONTINUE_UNWIND 8

/* A function of the C library. */
#ifdef __APPLE__
# define LIBC(name) _##name
#else
# define LIBC(name) name
#endif

/* What ends the process where an exception or a panic would leave a job. */
#if !defined(SIDING_NO_STD) && !defined(_WIN32)
# define PERSONALITY 1
# define ESCAPED_SIZE 50
        RODATA
        .p2align 1 /* s390x has only even addresses relative to pc */
escaped:
        .ascii "siding: an exception or a panic would leave a job\n"
        .if . - escaped != ESCAPED_SIZE
        .error "ESCAPED_SIZE"
        .endif
#endif

#if __SIZEOF_POINTER__ == 8
# define POINTER .quad
#else
# define POINTER .long
#endif

#ifndef SIDING_NO_STD
/* What the runtime of a sanitizer defines, if there is one in the program; else zero. In the
 * order of `Sanitizer` in src/arch/stub.rs. Other linkers than ELF's want a definition. */
        .macro IF_THERE name:vararg
        .irp function, \name
#ifdef __ELF__
        .weak   \function
        POINTER \function
#else
        POINTER 0
#endif
        .endr
        .endm
        DATA
        .p2align 3
        INTERNAL SIDING(sanitizer)
        TYPE    SIDING(sanitizer), object
SIDING(sanitizer):
        IF_THERE __sanitizer_start_switch_fiber, __sanitizer_finish_switch_fiber
        IF_THERE __lsan_register_root_region, __lsan_unregister_root_region
        IF_THERE __tsan_get_current_fiber, __tsan_create_fiber, __tsan_destroy_fiber
        IF_THERE __tsan_switch_to_fiber
        END(sanitizer)
#endif

/* Not every linker takes the stack not to be executable unless told. */
#ifdef __ELF__
        .section .note.GNU-stack, "", %progbits
#endif
