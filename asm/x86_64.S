/* x86_64: System V AMD64 psABI 1.0, sections 3.2.1 (registers), 3.2.2 (frame).
 *
 * A job and whoever resumed it share one `Link`, 64 bytes at the top of the job's stack:
 *
 *     link +  0  reserved (rbx)  |
 *          +  8  fp       (rbp)  |  inner record: where the paused job goes on
 *          + 16  pc              |
 *          + 24  sp              |
 *          + 32  reserved (rbx)  \
 *          + 40  fp       (rbp)   |  outer record: where the resumer goes on
 *          + 48  pc               |
 *          + 56  sp              /
 *
 * fp and pc stand side by side as in any stack frame, so a frame pointer set to
 * link + 40 continues the frame-pointer chain into whoever resumed the job last.
 *
 * Every landing, in here or inlined in Rust, is reached by a jump (never by `ret`:
 * the return predictor must not notice a switch) with
 *
 *     rdi = word carried across     rsi = tag carried across
 *     rdx = the link of the job that was entered or left
 *     rsp = the sp of the record that was entered
 *
 * and everything else undefined. The landing reloads what its own side needs.
 * The nop before a landing is never run. A job's frames are unwound into the exact pc of
 * its resumer's landing, and LLVM's unwinder takes the row of unwind information that
 * holds just before a pc: it must be that of the landing already.
 * Not saved by any switch: signal mask, MXCSR, x87 control word.
 */
#include "macros.h"
/* Windows has unwind information of its own kind. It cannot say that a frame is found through a
 * record: for the one instruction after the load of rsp there is none. */
#ifdef _WIN32
# define FRAME 120
# define SEH(...) __VA_ARGS__
#else
# define FRAME 80
# define SEH(...)
#endif
#if defined(__CET__) && defined(__ELF__)
# include <cet.h>
#else
# define _CET_ENDBR endbr64
#endif
#ifdef __ELF__
# define CALLED(name) name@PLT
#else
# define CALLED(name) LIBC(name)
#endif

        .intel_syntax noprefix
        TEXT

/* All stubs keep the same frame, so one CFI state describes each:
 *
 *     CFA -  8  return address         CFA - 40  r13
 *     CFA - 16  rbp                    CFA - 48  r14
 *     CFA - 24  rbx                    CFA - 56  r15
 *     CFA - 32  r12                    CFA - 64  rcx, CFA - 72 r8, CFA - 80 r9
 *
 * The last three are resume's own: what it passes on, and to whom. On Windows five more words
 * follow, of the thread's block (the TEB): ExceptionList, StackBase, DeallocationStack,
 * GuaranteedStackBytes and StackLimit, by which it knows the stack it is on. So does the
 * inlined switch. (On x86_64 only wine uses the first.) StackLimit is the last, since a push
 * may change it: one that touches the page where the thread's stack ends so far makes it grow,
 * and begins again.
 */
        .macro SAVE_REGISTERS
        push    rbp
        SEH(.seh_pushreg rbp)
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        push    rbx
        SEH(.seh_pushreg rbx)
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        push    r12
        SEH(.seh_pushreg r12)
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        push    r13
        SEH(.seh_pushreg r13)
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        push    r14
        SEH(.seh_pushreg r14)
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        push    r15
        SEH(.seh_pushreg r15)
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        push    rcx
        SEH(.seh_stackalloc 8)
        .cfi_adjust_cfa_offset 8
        push    r8
        SEH(.seh_stackalloc 8)
        .cfi_adjust_cfa_offset 8
        push    r9
        SEH(.seh_stackalloc 8)
        .cfi_adjust_cfa_offset 8
#ifdef _WIN32
        .irp    field, 0, 0x08, 0x1478, 0x1748, 0x10
        push    qword ptr gs:[\field]
        .seh_stackalloc 8
        SEH(.cfi_adjust_cfa_offset 8)
        .endr
        .seh_endprologue
#endif
        .endm

        .macro FROM_FRAME place, field
        mov     rcx, [rsp + \place]
        mov     gs:[\field], rcx
        .endm

        .macro RESTORE_REGISTERS
#ifdef _WIN32
        /* All, before the frame is given up: unwind information holds for all of a function
         * but what unwinders take for an epilogue, and they disagree about that. */
        FROM_FRAME 0, 0x10
        FROM_FRAME 8, 0x1748
        FROM_FRAME 16, 0x1478
        FROM_FRAME 24, 0x08
        FROM_FRAME 32, 0
        mov     r9, [rsp + 40]
        mov     r8, [rsp + 48]
        mov     rcx, [rsp + 56]
        mov     r15, [rsp + 64]
        mov     r14, [rsp + 72]
        mov     r13, [rsp + 80]
        mov     r12, [rsp + 88]
        mov     rbx, [rsp + 96]
        mov     rbp, [rsp + 104]
        add     rsp, 112
        SEH(.cfi_adjust_cfa_offset -112)
        SEH(.cfi_restore r15)
        SEH(.cfi_restore r14)
        SEH(.cfi_restore r13)
        SEH(.cfi_restore r12)
        SEH(.cfi_restore rbx)
        SEH(.cfi_restore rbp)
#else
        pop     r9
        .cfi_adjust_cfa_offset -8
        pop     r8
        .cfi_adjust_cfa_offset -8
        pop     rcx
        .cfi_adjust_cfa_offset -8
        pop     r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        pop     r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        pop     r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        pop     r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        pop     rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        pop     rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
#endif
        .endm

/* Between the load of rsp and the landing, the frame that was left is found
 * through its record: CFA = *(register + \record + 24) + FRAME.
 * DW_CFA_def_cfa_expression, 5 bytes: DW_OP_breg<n>, DW_OP_deref, DW_OP_plus_uconst FRAME. */
        .macro CFA_FROM_RECORD breg, record
        .cfi_escape 0x0f, 5, \breg, \record + 24, 0x06, 0x23, FRAME
        .endm
#define BREG_RAX 0x70
#define BREG_RDX 0x71

        /* struct Words resume(Word word, Word tag, Link *link, a, b, then)
         *
         * rdi = word, rsi = tag, rdx = link, rcx = a, r8 = b, r9 = then.
         * When somebody pauses or finishes, goes on in
         *     then(word, tag, link of who came back, a, b)
         * in its own place: one frame fewer between the switch and the caller, so one
         * return fewer that is predicted wrong. */
FUNCTION(resume)
SIDING(resume):
        SEH(.seh_proc SIDING(resume))
        .cfi_startproc
        _CET_ENDBR
        SAVE_REGISTERS
        lea     rax, [rip + SIDING(resume_landing)]
        mov     [rdx + 32], rbx
        mov     [rdx + 40], rbp
        mov     [rdx + 48], rax
        mov     [rdx + 56], rsp
        mov     rsp, [rdx + 24]
        .cfi_remember_state
        CFA_FROM_RECORD BREG_RDX, 32
        jmp     [rdx + 16]
        .cfi_restore_state
        nop
LABEL(resume_landing)
        _CET_ENDBR
        RESTORE_REGISTERS
        SEH(.seh_endproc)
        jmp     r9
        .cfi_endproc
END(resume)

        /* struct Words pause(Word word, Word tag, Link *link)
         *
         * rdi = word, rsi = tag, rdx = link of the job that pauses; rcx = anything.
         * Returns rax = word, rdx = tag, handed over by whoever resumed it. */
FUNCTION(pause)
SIDING(pause):
        SEH(.seh_proc SIDING(pause))
        .cfi_startproc
        _CET_ENDBR
        SAVE_REGISTERS
        lea     rax, [rip + SIDING(pause_landing)]
        mov     [rdx + 0], rbx
        mov     [rdx + 8], rbp
        mov     [rdx + 16], rax
        mov     [rdx + 24], rsp
        mov     rsp, [rdx + 56]
        .cfi_remember_state
        CFA_FROM_RECORD BREG_RDX, 0
        jmp     [rdx + 48]
        .cfi_restore_state
        nop
LABEL(pause_landing)
        _CET_ENDBR
        mov     rax, rdi
        mov     rdx, rsi
        RESTORE_REGISTERS
        ret
        .cfi_endproc
        SEH(.seh_endproc)
END(pause)

        /* struct Words hand_over(Word word, Word tag, Link *from, Link *to)
         *
         * rdi = word, rsi = tag, rdx = link of the job that pauses, rcx = link of the
         * paused job that goes on in its place, its outer record already filled in.
         * Lands, later, where `pause` does. */
FUNCTION(hand_over)
SIDING(hand_over):
        SEH(.seh_proc SIDING(hand_over))
        .cfi_startproc
        _CET_ENDBR
        SAVE_REGISTERS
        lea     rax, [rip + SIDING(pause_landing)]
        mov     [rdx + 0], rbx
        mov     [rdx + 8], rbp
        mov     [rdx + 16], rax
        mov     [rdx + 24], rsp
        mov     rax, rdx
        mov     rdx, rcx
        mov     rsp, [rdx + 24]
        CFA_FROM_RECORD BREG_RAX, 0
        jmp     [rdx + 16]
        .cfi_endproc
        SEH(.seh_endproc)
END(hand_over)

        /* switch 5/7: a job's first landing. Its initial inner record holds the entry
         * function in `reserved`, and here in `pc`.
         *
         * rdi = word, rsi = tag, rdx = link, rsp = 16-byte aligned.
         * Calls entry(word, tag, link), which returns rax = word, rdx = tag, and
         * makes the job's last switch with them. The inner pc is cleared before: so a
         * debugger can tell a context that has ended from one that is paused.
         *
         * rbp = link + 40 for as long as the job runs: the resumer's fp, pc and sp
         * are at [rbp], [rbp + 8] and [rbp + 16], its rbx at [rbp - 8]. That is the
         * frame-pointer chain, and the CFI below, into whoever resumed the job last.
         * `.cfi_signal_frame`: without it gdb stops where the resumer's stack lies
         * below the job's. The nop: unwinders look up the pc before a return address. */
        .p2align 4
        .cfi_startproc simple
        .cfi_signal_frame
#ifdef PERSONALITY
        .cfi_personality PCREL_SDATA4, SIDING(personality)
#endif
        /* CFA = *(rdx + 56); rbx at rdx + 32, rbp at rdx + 40, pc at rdx + 48.
         * DW_CFA_def_cfa_expression: DW_OP_breg1 (rdx) 56, DW_OP_deref.
         * DW_CFA_expression: DW_OP_breg1 (rdx) n.  [registers: 1 rdx, 3 rbx, 6 rbp, 16 ra] */
        .cfi_escape 0x0f, 3, 0x71, 56, 0x06
        .cfi_escape 0x10, 3, 2, 0x71, 32
        .cfi_escape 0x10, 6, 2, 0x71, 40
        .cfi_escape 0x10, 16, 2, 0x71, 48
        .cfi_undefined r12
        .cfi_undefined r13
        .cfi_undefined r14
        .cfi_undefined r15
        nop
WITHIN SIDING(trampoline)
FUNCTION(trampoline)
SIDING(trampoline):
        _CET_ENDBR
#ifdef _WIN32
        /* Here the frames end: who unwinds finds a return to nowhere. And the thread hears
         * of its stack, whose bottom is in `fp` of the initial record. */
        .seh_proc SIDING(trampoline)
        push    0
        push    0
        .seh_stackalloc 8
        .seh_endprologue
        mov     rax, [rdx + 8]
        mov     qword ptr gs:[0], -1
        mov     gs:[0x08], rdx
        mov     gs:[0x10], rax
        mov     gs:[0x1478], rax
        mov     qword ptr gs:[0x1748], 0
#endif
        lea     rbp, [rdx + 40]
        /* The same through rbp (breg6): offsets 16, -8 (SLEB 0x78), 0, 8. */
        .cfi_escape 0x0f, 3, 0x76, 16, 0x06
        .cfi_escape 0x10, 3, 2, 0x76, 0x78
        .cfi_escape 0x10, 6, 2, 0x76, 0
        .cfi_escape 0x10, 16, 2, 0x76, 8
        call    [rdx]
        mov     qword ptr [rbp - 24], 0
        mov     rdi, rax
        mov     rsi, rdx
        lea     rdx, [rbp - 40]
        mov     rsp, [rbp + 16]
        jmp     [rbp + 8]
#ifdef _WIN32
        .seh_endproc
#endif
        .cfi_endproc
END(trampoline)
LABEL(end)

#ifdef PERSONALITY
        /* What unwinds may not leave a job: nobody below the trampoline is prepared for that.
         * Only the end of the thread passes (pthread_exit), which asks nobody.
         *
         * _Unwind_Reason_Code personality(int version, _Unwind_Action actions, ...)
         *
         * edi = version, esi = actions. */
FUNCTION(personality)
SIDING(personality):
        .cfi_startproc
        _CET_ENDBR
        test    esi, UA_FORCE_UNWIND
        jz      1f
        mov     eax, URC_CONTINUE_UNWIND
        ret
1:      sub     rsp, 8
        .cfi_adjust_cfa_offset 8
        mov     edi, 2
        lea     rsi, [rip + escaped]
        mov     edx, ESCAPED_SIZE
        call    CALLED(write)
        call    CALLED(abort)
        .cfi_endproc
END(personality)
#endif
