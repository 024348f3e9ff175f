/* arm: AAPCS32, "Core registers", "VFP register usage" and "The Frame Pointer"; EHABI32.
 *
 * The design and the picture of a `Link` are at the head of x86_64.S, with words of four
 * bytes here: the outer record is at link + 16. What differs:
 *
 *   reserved = r6, fp = r11
 *   A landing finds r1 = word, r2 = tag, r3 = link, sp = the sp of the record entered.
 *   Words are returned in memory, whose address the caller passes in r0, before all else.
 *   Not saved by any switch: signal mask, FPSCR.
 *
 * Jumps are `bx` through r0 or r12: through lr, or by a load into pc, they would be returns
 * to the predictor. `bx` also enters Thumb code, where an entry or a `then` is such.
 *
 * Exceptions and backtraces are led by EHABI's tables (.fnstart to .fnend), which know one
 * state for each function: that at its landing, or while the entry runs. The CFI, right at
 * each instruction, is for debuggers.
 */
#include "macros.h"
/* EHABI32, section 9.2; the other codes and flags are those of macros.h. */
#define URC_FAILURE 9
/* Without std nobody unwinds, and the functions that the tables name are not there. */
#ifdef SIDING_NO_STD
# define EHABI(...)
#else
# define EHABI(...) __VA_ARGS__
#endif

        .syntax unified
        .arm
        .cfi_sections .debug_frame
        TEXT

/* All stubs keep the same frame, so one CFI state describes each:
 *
 *     CFA -  4  lr             CFA -  44  d15
 *     CFA -  8  r11              ...
 *       ...                    CFA - 100  d8
 *     CFA - 36  r4             CFA - 104  r0: where the words go
 *
 * What else resume passes on, and to whom, stays in the caller's frame: from CFA on.
 */
        .macro SAVE_REGISTERS
        push    {r4-r11, lr}
        EHABI(.save {r4-r11, lr})
        .cfi_adjust_cfa_offset 36
        .cfi_rel_offset r4, 0
        .cfi_rel_offset r5, 4
        .cfi_rel_offset r6, 8
        .cfi_rel_offset r7, 12
        .cfi_rel_offset r8, 16
        .cfi_rel_offset r9, 20
        .cfi_rel_offset r10, 24
        .cfi_rel_offset r11, 28
        .cfi_rel_offset lr, 32
        vpush   {d8-d15}
        EHABI(.vsave {d8-d15})
        .cfi_adjust_cfa_offset 64
        .cfi_rel_offset d8, 0
        .cfi_rel_offset d9, 8
        .cfi_rel_offset d10, 16
        .cfi_rel_offset d11, 24
        .cfi_rel_offset d12, 32
        .cfi_rel_offset d13, 40
        .cfi_rel_offset d14, 48
        .cfi_rel_offset d15, 56
        push    {r0}
        EHABI(.pad #4)
        .cfi_adjust_cfa_offset 4
        .endm

        .macro RESTORE_REGISTERS
        pop     {r0}
        .cfi_adjust_cfa_offset -4
        vpop    {d8-d15}
        .cfi_adjust_cfa_offset -64
        .irp register, d8, d9, d10, d11, d12, d13, d14, d15
        .cfi_restore \register
        .endr
        pop     {r4-r11, lr}
        .cfi_adjust_cfa_offset -36
        .irp register, r4, r5, r6, r7, r8, r9, r10, r11, lr
        .cfi_restore \register
        .endr
        .endm

/* Between the load of sp and the landing, the frame that was left is found
 * through its record: CFA = *(register + \record + 12) + 104.
 * DW_CFA_def_cfa_expression, 5 bytes: DW_OP_breg<n>, DW_OP_deref, DW_OP_plus_uconst 104. */
        .macro CFA_FROM_RECORD breg, record
        .cfi_escape 0x0f, 5, \breg, \record + 12, 0x06, 0x23, 104
        .endm
#define BREG_R3 0x73
#define BREG_R4 0x74

        /* struct Words resume(Word word, Word tag, Link *link, a, b, then)
         *
         * r0 = where the words go, r1 = word, r2 = tag, r3 = link; on the stack a, b, then.
         * When somebody pauses or finishes, goes on in
         *     then(word, tag, link of who came back, a, b)
         * in its own place, with r0 and the stack as they were: one frame fewer between the
         * switch and the caller, so one return fewer that is predicted wrong. */
FUNCTION(resume)
SIDING(resume):
        EHABI(.fnstart)
        .cfi_startproc
        SAVE_REGISTERS
        add     r4, r3, #16
        adr     r12, SIDING(resume_landing)
        mov     lr, sp
        stm     r4, {r6, r11, r12, lr}
        ldr     r0, [r3, #8]
        ldr     sp, [r3, #12]
        .cfi_remember_state
        CFA_FROM_RECORD BREG_R3, 16
        bx      r0
        .cfi_restore_state
        nop
LABEL(resume_landing)
        RESTORE_REGISTERS
        ldr     r12, [sp, #8]
        bx      r12
        .cfi_endproc
        EHABI(.fnend)
END(resume)

        /* struct Words pause(Word word, Word tag, Link *link)
         *
         * r0 = where the words go, r1 = word, r2 = tag, r3 = link of the job that pauses.
         * Stores there what was handed over by whoever resumed it. */
FUNCTION(pause)
SIDING(pause):
        EHABI(.fnstart)
        .cfi_startproc
        SAVE_REGISTERS
        adr     r12, SIDING(pause_landing)
        mov     lr, sp
        stm     r3, {r6, r11, r12, lr}
        ldr     r0, [r3, #24]
        ldr     sp, [r3, #28]
        .cfi_remember_state
        CFA_FROM_RECORD BREG_R3, 0
        bx      r0
        .cfi_restore_state
        nop
LABEL(pause_landing)
        RESTORE_REGISTERS
        stm     r0, {r1, r2}
        bx      lr
        .cfi_endproc
        EHABI(.fnend)
END(pause)

        /* struct Words hand_over(Word word, Word tag, Link *from, Link *to)
         *
         * r0 = where the words go, r1 = word, r2 = tag, r3 = link of the job that pauses; on
         * the stack the link of the paused job that goes on in its place, its outer record
         * already filled in. Lands, later, where `pause` does. */
FUNCTION(hand_over)
SIDING(hand_over):
        EHABI(.fnstart)
        .cfi_startproc
        SAVE_REGISTERS
        mov     r4, r3
        ldr     r3, [sp, #104]
        adr     r12, SIDING(pause_landing)
        mov     lr, sp
        stm     r4, {r6, r11, r12, lr}
        ldr     r0, [r3, #8]
        ldr     sp, [r3, #12]
        CFA_FROM_RECORD BREG_R4, 0
        bx      r0
        .cfi_endproc
        EHABI(.fnend)
END(hand_over)

        /* switch 5/7: a job's first landing. Its initial inner record holds the entry
         * function in `reserved`, and here in `pc`.
         *
         * r1 = word, r2 = tag, r3 = link, sp = 8-byte aligned.
         * Calls entry(word, tag, link), which leaves word and tag in the frame of this, and
         * makes the job's last switch with them. The inner pc is cleared before: so a
         * debugger can tell a context that has ended from one that is paused.
         *
         * r11 = link + 20 for as long as the job runs: a frame record, with the resumer's
         * fp and pc at [r11] and [r11 + 4], its sp at [r11 + 8] and its r6 at [r11 - 4].
         * `.cfi_signal_frame` and the nop: as in x86_64.S. */
        .p2align 4
        EHABI(.fnstart)
        .cfi_startproc simple
        .cfi_signal_frame
        /* CFA = *(r3 + 28); r6 at r3 + 16, r11 at r3 + 20, pc at r3 + 24.
         * DW_CFA_def_cfa_expression: DW_OP_breg3 (r3) 28, DW_OP_deref.
         * DW_CFA_expression: DW_OP_breg3 (r3) n.  [registers: 6 r6, 11 r11, 14 lr] */
        .cfi_escape 0x0f, 3, 0x73, 28, 0x06
        .cfi_escape 0x10, 6, 2, 0x73, 16
        .cfi_escape 0x10, 11, 2, 0x73, 20
        .cfi_escape 0x10, 14, 2, 0x73, 24
        .irp register, r4, r5, r7, r8, r9, r10
        .cfi_undefined \register
        .endr
        .irp register, d8, d9, d10, d11, d12, d13, d14, d15
        .cfi_undefined \register
        .endr
        nop
FUNCTION(trampoline)
SIDING(trampoline):
        add     r11, r3, #20
        /* The same through r11 (breg11): offsets 8, -4 (SLEB 0x7c), 0, 4. */
        .cfi_escape 0x0f, 3, 0x7b, 8, 0x06
        .cfi_escape 0x10, 6, 2, 0x7b, 0x7c
        .cfi_escape 0x10, 11, 2, 0x7b, 0
        .cfi_escape 0x10, 14, 2, 0x7b, 4
        sub     sp, sp, #8
        mov     r0, sp
        ldr     r12, [r3]
        blx     r12
        mov     r12, #0
        str     r12, [r11, #-12]
        pop     {r1, r2}
        sub     r3, r11, #20
        ldr     r0, [r11, #4]
        ldr     sp, [r11, #8]
        bx      r0
        .cfi_endproc
        /* EHABI's "vsp = r11; vsp -= 4; pop {r6, r11, lr}; pop {sp}", and pc = lr. */
        EHABI(.personality SIDING(personality))
        EHABI(.unwind_raw 0, 0x9b, 0x40, 0x84, 0x84, 0x82, 0x00)
        EHABI(.handlerdata)
        EHABI(.fnend)
END(trampoline)
LABEL(end)

#ifdef PERSONALITY
        /* What unwinds may not leave a job: see x86_64.S. A backtrace, too, comes by with
         * force, and it is the personality that takes it to the next frame.
         *
         * _Unwind_Reason_Code personality(_Unwind_State, _Unwind_Control_Block *, context)
         *
         * r0 = state, r1 = control block, r2 = context, as __gnu_unwind_frame wants the latter
         * two. */
FUNCTION(personality)
SIDING(personality):
        .fnstart
        tst     r0, #UA_FORCE_UNWIND
        push    {r4, lr}
        .save   {r4, lr}
        beq     1f
        mov     r0, r1
        mov     r1, r2
        bl      __gnu_unwind_frame
        cmp     r0, #0
        moveq   r0, #URC_CONTINUE_UNWIND
        movne   r0, #URC_FAILURE
        pop     {r4, pc}
1:      mov     r0, #2
        ldr     r1, 2f
        add     r1, pc, r1
3:      ldr     r2, 4f
        bl      write
        bl      abort
2:      .word   escaped - (3b + 4)
4:      .word   ESCAPED_SIZE
        .fnend
END(personality)
#endif
