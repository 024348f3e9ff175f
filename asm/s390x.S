/* s390x: ELF Application Binary Interface s390x Supplement 1.6, sections 1.2.1 (registers),
 * 1.2.2 (stack frame), 1.2.3 (parameters), 1.2.5 (return values).
 *
 * The design and the picture of a `Link` are at the head of x86_64.S. What differs:
 *
 *   reserved = r10, fp = r11: side by side, so that one instruction moves both. LLVM
 *   reserves r11 alone.
 *   A landing finds r3 = word, r4 = tag, r5 = link, r15 = the sp of the record entered.
 *   Words are returned in memory, at the address that the caller has put into r2: the entry
 *   and `then` have their arguments where a landing finds them.
 *   There is no chain of frame pointers in this ABI, and the chain of stack pointers that
 *   replaces it, the back chain, is kept by none of its functions unless it was compiled for
 *   that: it ends at a trampoline, and r11 is there for the unwind information alone.
 *   Not saved by any switch: signal mask, fpc. Not touched: a0, a1 (the thread pointer).
 *
 * Jumps go through r1: r14 is for returns.
 */
#include "macros.h"

        TEXT

/* Whoever calls provides 160 bytes at its sp, for the callee to save registers in: CFA is
 * where they end. That is enough for the stubs; sp does not move, and what was saved stays
 * there till they return, so one CFI state describes all of each:
 *
 *     sp +   0  the caller's back chain, not ours to touch, nor is what follows it
 *        +  16  f8 ... f11               f0 and the like would be at sp + 128,
 *        +  48  r6 ... r14               and r2 to r5 at sp + 16
 *        + 120  r2, where the Words go   r15's own place: it needs none
 *        + 128  f12 ... f15
 *        + 160  CFA: the arguments that the registers did not hold
 */
        /* `column` is the register's DWARF number, in the order of the pairs that once were
         * the extended registers: GNU as 2.40, given names, takes f9 for 25. */
        .macro SAVE_FLOAT register, column, at
        std     \register, \at(%r15)
        .cfi_rel_offset \column, \at
        .endm

        .macro SAVE_REGISTERS
        /* The CFA is no stack pointer of anybody's. */
        .cfi_val_offset %r15, -160
        stmg    %r6, %r14, 48(%r15)
        .cfi_rel_offset %r6, 48
        .cfi_rel_offset %r7, 56
        .cfi_rel_offset %r8, 64
        .cfi_rel_offset %r9, 72
        .cfi_rel_offset %r10, 80
        .cfi_rel_offset %r11, 88
        .cfi_rel_offset %r12, 96
        .cfi_rel_offset %r13, 104
        .cfi_rel_offset %r14, 112
        stg     %r2, 120(%r15)
        SAVE_FLOAT %f8, 24, 16
        SAVE_FLOAT %f9, 28, 24
        SAVE_FLOAT %f10, 25, 32
        SAVE_FLOAT %f11, 29, 40
        SAVE_FLOAT %f12, 26, 128
        SAVE_FLOAT %f13, 30, 136
        SAVE_FLOAT %f14, 27, 144
        SAVE_FLOAT %f15, 31, 152
        .endm

        .macro RESTORE_REGISTERS
        ld      %f8, 16(%r15)
        ld      %f9, 24(%r15)
        ld      %f10, 32(%r15)
        ld      %f11, 40(%r15)
        ld      %f12, 128(%r15)
        ld      %f13, 136(%r15)
        ld      %f14, 144(%r15)
        ld      %f15, 152(%r15)
        lg      %r2, 120(%r15)
        lmg     %r6, %r14, 48(%r15)
        .endm

/* Between the load of r15 and the landing, the frame that was left is found
 * through its record: CFA = *(register + \record + 24) + 160.
 * DW_CFA_def_cfa_expression, 6 bytes: DW_OP_breg<n>, DW_OP_deref, DW_OP_plus_uconst 160. */
        .macro CFA_FROM_RECORD breg, record
        .cfi_escape 0x0f, 6, \breg, \record + 24, 0x06, 0x23, 0xa0, 0x01
        .endm
#define BREG_R2 0x72
#define BREG_R5 0x75

        /* struct Words resume(Word word, Word tag, Link *link, a, b, then)
         *
         * r2 = where the Words go, r3 = word, r4 = tag, r5 = link, r6 = a; b and then on the
         * stack, at 160(%r15) and 168(%r15).
         * When somebody pauses or finishes, goes on in
         *     then(word, tag, link of who came back, a, b)
         * in its own place: one frame fewer between the switch and the caller, so one
         * return fewer that is predicted wrong. `then` finds r2, r6 and b as they were. */
FUNCTION(resume)
SIDING(resume):
        .cfi_startproc
        SAVE_REGISTERS
        larl    %r14, SIDING(resume_landing)
        stmg    %r10, %r11, 32(%r5)
        stmg    %r14, %r15, 48(%r5)
        lg      %r1, 16(%r5)
        lg      %r15, 24(%r5)
        .cfi_remember_state
        CFA_FROM_RECORD BREG_R5, 32
        br      %r1
        .cfi_restore_state
        nopr
LABEL(resume_landing)
        RESTORE_REGISTERS
        lg      %r1, 168(%r15)
        br      %r1
        .cfi_endproc
END(resume)

        /* struct Words pause(Word word, Word tag, Link *link)
         *
         * r2 = where the Words go, r3 = word, r4 = tag, r5 = link of the job that pauses.
         * Returns the word and the tag handed over by whoever resumed it. */
FUNCTION(pause)
SIDING(pause):
        .cfi_startproc
        SAVE_REGISTERS
        larl    %r14, SIDING(pause_landing)
        stmg    %r10, %r11, 0(%r5)
        stmg    %r14, %r15, 16(%r5)
        lg      %r1, 48(%r5)
        lg      %r15, 56(%r5)
        .cfi_remember_state
        CFA_FROM_RECORD BREG_R5, 0
        br      %r1
        .cfi_restore_state
        nopr
LABEL(pause_landing)
        RESTORE_REGISTERS
        stmg    %r3, %r4, 0(%r2)
        br      %r14
        .cfi_endproc
END(pause)

        /* struct Words hand_over(Word word, Word tag, Link *from, Link *to)
         *
         * r2 = where the Words go, r3 = word, r4 = tag, r5 = link of the job that pauses,
         * r6 = link of the paused job that goes on in its place, its outer record already
         * filled in. Lands, later, where `pause` does. */
FUNCTION(hand_over)
SIDING(hand_over):
        .cfi_startproc
        SAVE_REGISTERS
        larl    %r14, SIDING(pause_landing)
        stmg    %r10, %r11, 0(%r5)
        stmg    %r14, %r15, 16(%r5)
        lgr     %r2, %r5
        lgr     %r5, %r6
        lg      %r1, 16(%r5)
        lg      %r15, 24(%r5)
        CFA_FROM_RECORD BREG_R2, 0
        br      %r1
        .cfi_endproc
END(hand_over)

        /* switch 5/7: a job's first landing. Its initial inner record holds the entry
         * function in `reserved`, and here in `pc`.
         *
         * r3 = word, r4 = tag, r5 = link, r15 = 8-byte aligned.
         * Calls entry(word, tag, link), which returns word and tag in 16 bytes of our frame,
         * above the 160 that are its own, and makes the job's last switch with them. The
         * inner pc is cleared before: so a debugger can tell a context that has ended from
         * one that is paused.
         *
         * r11 = link + 40 for as long as the job runs: the resumer's r11, pc and sp are at
         * 0(%r11), 8(%r11) and 16(%r11), its r10 at -8(%r11).
         * `.cfi_signal_frame` and the nop: as in x86_64.S. */
        .p2align 4
        .cfi_startproc simple
        .cfi_signal_frame
#ifdef PERSONALITY
        .cfi_personality PCREL_SDATA4, SIDING(personality)
#endif
        /* CFA = *(r5 + 56) + 160; r10 at r5 + 32, r11 at r5 + 40, pc at r5 + 48.
         * DW_CFA_def_cfa_expression: DW_OP_breg5 56, DW_OP_deref, DW_OP_plus_uconst 160.
         * DW_CFA_expression: DW_OP_breg5 n.  [the return address has the column of r14] */
        .cfi_escape 0x0f, 6, 0x75, 56, 0x06, 0x23, 0xa0, 0x01
        .cfi_escape 0x10, 10, 2, 0x75, 32
        .cfi_escape 0x10, 11, 2, 0x75, 40
        .cfi_escape 0x10, 14, 2, 0x75, 48
        .cfi_val_offset %r15, -160
        .irp register, %r6, %r7, %r8, %r9, %r12, %r13
        .cfi_undefined \register
        .endr
        .irp register, 24, 25, 26, 27, 28, 29, 30, 31
        .cfi_undefined \register
        .endr
        nopr
FUNCTION(trampoline)
SIDING(trampoline):
        la      %r11, 40(%r5)
        /* The same through r11 (breg11): offsets 16, -8 (SLEB 0x78), 0, 8. */
        .cfi_escape 0x0f, 6, 0x7b, 16, 0x06, 0x23, 0xa0, 0x01
        .cfi_escape 0x10, 10, 2, 0x7b, 0x78
        .cfi_escape 0x10, 11, 2, 0x7b, 0
        .cfi_escape 0x10, 14, 2, 0x7b, 8
        aghi    %r15, -176
        mvghi   0(%r15), 0
        la      %r2, 160(%r15)
        lg      %r1, 0(%r5)
        basr    %r14, %r1
        lmg     %r3, %r4, 160(%r15)
        lay     %r5, -40(%r11)
        mvghi   16(%r5), 0
        lg      %r1, 8(%r11)
        lg      %r15, 16(%r11)
        br      %r1
        .cfi_endproc
END(trampoline)
LABEL(end)

#ifdef PERSONALITY
        /* What unwinds may not leave a job: see x86_64.S.
         *
         * _Unwind_Reason_Code personality(int version, _Unwind_Action actions, ...)
         *
         * r2 = version, r3 = actions. */
FUNCTION(personality)
SIDING(personality):
        .cfi_startproc
        tmll    %r3, UA_FORCE_UNWIND
        jz      1f
        lghi    %r2, URC_CONTINUE_UNWIND
        br      %r14
1:      stmg    %r14, %r15, 112(%r15)
        .cfi_rel_offset %r14, 112
        .cfi_rel_offset %r15, 120
        aghi    %r15, -160
        .cfi_adjust_cfa_offset 160
        lghi    %r2, 2
        larl    %r3, escaped
        lghi    %r4, ESCAPED_SIZE
        brasl   %r14, write@PLT
        brasl   %r14, abort@PLT
        .cfi_endproc
END(personality)
#endif
