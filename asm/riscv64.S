/* riscv64: RISC-V ELF psABI 1.0, "Integer Register Convention", "Frame Pointer
 * Convention"; lp64d.
 *
 * The design and the picture of a `Link` are at the head of x86_64.S. What differs:
 *
 *   reserved = s1, fp = s0
 *   A landing finds a0 = word, a1 = tag, a2 = link, sp = the sp of the record entered.
 *   Words are returned in a0 and a1, so a landing has nothing to move.
 *   Not saved by any switch: signal mask, fcsr. Not touched: gp, tp.
 *
 * Jumps go through t2: through x1 or x5 they would be returns to the predictor, and
 * through x7 (t2) alone a target needs no `lpad` (Zicfilp).
 */
#include "macros.h"

        TEXT

/* All stubs keep the same frame, so one CFI state describes each:
 *
 *     CFA -   8  ra                       CFA - 112  fs0
 *     CFA -  16  s0                       CFA - 120  fs1
 *     CFA -  24  s1                         ...
 *       ...                               CFA - 200  fs11
 *     CFA - 104  s11                      CFA - 208  a3, CFA - 216 a4, CFA - 224 a5
 *
 * The last three are resume's own: what it passes on, and to whom.
 */
        .macro SAVE store, register, at
        \store  \register, \at(sp)
        .cfi_rel_offset \register, \at
        .endm

        .macro RESTORE load, register, at
        \load   \register, \at(sp)
        .cfi_restore \register
        .endm

        .macro SAVE_REGISTERS
        addi    sp, sp, -224
        .cfi_adjust_cfa_offset 224
        SAVE    sd, ra, 216
        SAVE    sd, s0, 208
        SAVE    sd, s1, 200
        SAVE    sd, s2, 192
        SAVE    sd, s3, 184
        SAVE    sd, s4, 176
        SAVE    sd, s5, 168
        SAVE    sd, s6, 160
        SAVE    sd, s7, 152
        SAVE    sd, s8, 144
        SAVE    sd, s9, 136
        SAVE    sd, s10, 128
        SAVE    sd, s11, 120
        SAVE    fsd, fs0, 112
        SAVE    fsd, fs1, 104
        SAVE    fsd, fs2, 96
        SAVE    fsd, fs3, 88
        SAVE    fsd, fs4, 80
        SAVE    fsd, fs5, 72
        SAVE    fsd, fs6, 64
        SAVE    fsd, fs7, 56
        SAVE    fsd, fs8, 48
        SAVE    fsd, fs9, 40
        SAVE    fsd, fs10, 32
        SAVE    fsd, fs11, 24
        sd      a3, 16(sp)
        sd      a4, 8(sp)
        sd      a5, 0(sp)
        .endm

        .macro RESTORE_REGISTERS
        ld      a3, 16(sp)
        ld      a4, 8(sp)
        ld      t2, 0(sp)
        RESTORE fld, fs11, 24
        RESTORE fld, fs10, 32
        RESTORE fld, fs9, 40
        RESTORE fld, fs8, 48
        RESTORE fld, fs7, 56
        RESTORE fld, fs6, 64
        RESTORE fld, fs5, 72
        RESTORE fld, fs4, 80
        RESTORE fld, fs3, 88
        RESTORE fld, fs2, 96
        RESTORE fld, fs1, 104
        RESTORE fld, fs0, 112
        RESTORE ld, s11, 120
        RESTORE ld, s10, 128
        RESTORE ld, s9, 136
        RESTORE ld, s8, 144
        RESTORE ld, s7, 152
        RESTORE ld, s6, 160
        RESTORE ld, s5, 168
        RESTORE ld, s4, 176
        RESTORE ld, s3, 184
        RESTORE ld, s2, 192
        RESTORE ld, s1, 200
        RESTORE ld, s0, 208
        RESTORE ld, ra, 216
        addi    sp, sp, 224
        .cfi_adjust_cfa_offset -224
        .endm

/* Between the load of sp and the landing, the frame that was left is found
 * through its record: CFA = *(register + \record + 24) + 224.
 * DW_CFA_def_cfa_expression, 6 bytes: DW_OP_breg<n>, DW_OP_deref, DW_OP_plus_uconst 224. */
        .macro CFA_FROM_RECORD breg, record
        .cfi_escape 0x0f, 6, \breg, \record + 24, 0x06, 0x23, 0xe0, 0x01
        .endm
#define BREG_A2 0x7c
#define BREG_A4 0x7e

        /* struct Words resume(Word word, Word tag, Link *link, a, b, then)
         *
         * a0 = word, a1 = tag, a2 = link, a3 = a, a4 = b, a5 = then.
         * When somebody pauses or finishes, goes on in
         *     then(word, tag, link of who came back, a, b)
         * in its own place: one frame fewer between the switch and the caller, so one
         * return fewer that is predicted wrong. */
FUNCTION(resume)
SIDING(resume):
        .cfi_startproc
        SAVE_REGISTERS
        lla     t1, SIDING(resume_landing)
        sd      s1, 32(a2)
        sd      s0, 40(a2)
        sd      t1, 48(a2)
        sd      sp, 56(a2)
        ld      t2, 16(a2)
        ld      sp, 24(a2)
        .cfi_remember_state
        CFA_FROM_RECORD BREG_A2, 32
        jr      t2
        .cfi_restore_state
        nop
LABEL(resume_landing)
        RESTORE_REGISTERS
        jr      t2
        .cfi_endproc
END(resume)

        /* struct Words pause(Word word, Word tag, Link *link)
         *
         * a0 = word, a1 = tag, a2 = link of the job that pauses; a3 = anything.
         * Returns a0 = word, a1 = tag, handed over by whoever resumed it. */
FUNCTION(pause)
SIDING(pause):
        .cfi_startproc
        SAVE_REGISTERS
        lla     t1, SIDING(pause_landing)
        sd      s1, 0(a2)
        sd      s0, 8(a2)
        sd      t1, 16(a2)
        sd      sp, 24(a2)
        ld      t2, 48(a2)
        ld      sp, 56(a2)
        .cfi_remember_state
        CFA_FROM_RECORD BREG_A2, 0
        jr      t2
        .cfi_restore_state
        nop
LABEL(pause_landing)
        RESTORE_REGISTERS
        ret
        .cfi_endproc
END(pause)

        /* struct Words hand_over(Word word, Word tag, Link *from, Link *to)
         *
         * a0 = word, a1 = tag, a2 = link of the job that pauses, a3 = link of the
         * paused job that goes on in its place, its outer record already filled in.
         * Lands, later, where `pause` does. */
FUNCTION(hand_over)
SIDING(hand_over):
        .cfi_startproc
        SAVE_REGISTERS
        lla     t1, SIDING(pause_landing)
        sd      s1, 0(a2)
        sd      s0, 8(a2)
        sd      t1, 16(a2)
        sd      sp, 24(a2)
        mv      a4, a2
        mv      a2, a3
        ld      t2, 16(a2)
        ld      sp, 24(a2)
        CFA_FROM_RECORD BREG_A4, 0
        jr      t2
        .cfi_endproc
END(hand_over)

        /* switch 5/7: a job's first landing. Its initial inner record holds the entry
         * function in `reserved`, and here in `pc`.
         *
         * a0 = word, a1 = tag, a2 = link, sp = 16-byte aligned.
         * Calls entry(word, tag, link), which returns a0 = word, a1 = tag, and
         * makes the job's last switch with them. The inner pc is cleared before: so a
         * debugger can tell a context that has ended from one that is paused.
         *
         * s0 = link + 56 for as long as the job runs, because a frame pointer on
         * RISC-V stands above its pair: the resumer's fp and pc are at [s0 - 16] and
         * [s0 - 8], its sp at [s0] and its s1 at [s0 - 24].
         * `.cfi_signal_frame` and the nop: as in x86_64.S. */
        .p2align 4
        .cfi_startproc simple
        .cfi_signal_frame
#ifdef PERSONALITY
        .cfi_personality PCREL_SDATA4, SIDING(personality)
#endif
        /* CFA = *(a2 + 56); s1 at a2 + 32, s0 at a2 + 40, pc at a2 + 48.
         * DW_CFA_def_cfa_expression: DW_OP_breg12 (a2) 56, DW_OP_deref.
         * DW_CFA_expression: DW_OP_breg12 (a2) n.  [registers: 9 s1, 8 s0, 1 ra] */
        .cfi_escape 0x0f, 3, 0x7c, 56, 0x06
        .cfi_escape 0x10, 9, 2, 0x7c, 32
        .cfi_escape 0x10, 8, 2, 0x7c, 40
        .cfi_escape 0x10, 1, 2, 0x7c, 48
        .irp register, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
        .cfi_undefined \register
        .endr
        .irp register, fs0, fs1, fs2, fs3, fs4, fs5, fs6, fs7, fs8, fs9, fs10, fs11
        .cfi_undefined \register
        .endr
        nop
FUNCTION(trampoline)
SIDING(trampoline):
        addi    s0, a2, 56
        /* The same through s0 (breg8): offsets 0, -24 (SLEB 0x68), -16 (0x70), -8 (0x78). */
        .cfi_escape 0x0f, 3, 0x78, 0, 0x06
        .cfi_escape 0x10, 9, 2, 0x78, 0x68
        .cfi_escape 0x10, 8, 2, 0x78, 0x70
        .cfi_escape 0x10, 1, 2, 0x78, 0x78
        ld      t2, 0(a2)
        jalr    t2
        sd      zero, -40(s0)
        addi    a2, s0, -56
        ld      t2, -8(s0)
        ld      sp, 0(s0)
        jr      t2
        .cfi_endproc
END(trampoline)
LABEL(end)

#ifdef PERSONALITY
        /* What unwinds may not leave a job: see x86_64.S.
         *
         * _Unwind_Reason_Code personality(int version, _Unwind_Action actions, ...)
         *
         * a0 = version, a1 = actions. */
FUNCTION(personality)
SIDING(personality):
        .cfi_startproc
        andi    a1, a1, UA_FORCE_UNWIND
        beqz    a1, 1f
        li      a0, URC_CONTINUE_UNWIND
        ret
1:      addi    sp, sp, -16
        .cfi_def_cfa_offset 16
        sd      ra, 8(sp)
        .cfi_offset ra, -8
        li      a0, 2
        lla     a1, escaped
        li      a2, ESCAPED_SIZE
        call    write@plt
        call    abort@plt
        .cfi_endproc
END(personality)
#endif
