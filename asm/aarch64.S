/* aarch64: AAPCS64, "Machine Registers" and "The Frame Pointer".
 *
 * The design and the picture of a `Link` are at the head of x86_64.S. What differs:
 *
 *   reserved = x19, fp = x29
 *   A landing finds x0 = word, x1 = tag, x2 = link, sp = the sp of the record entered.
 *   Words are returned in x0 and x1, so a landing has nothing to move.
 *   Not saved by any switch: signal mask, FPCR, FPSR. Not touched: x18.
 *
 * Branches go through x17: a `bti j` and a `bti c` both accept that, and it is no
 * return to the predictor. Pads are written as hints, which any assembler takes and
 * old cores ignore. x30 is stored as it comes and reloaded on the same stack: a caller
 * that signs return addresses signs and authenticates its own copy, with its own sp.
 * Nothing is signed here, so the note at the end claims BTI and not PAC.
 */
#include "macros.h"
#define BTI_C hint 34
#define BTI_J hint 36

        TEXT

/* All stubs keep the same frame, so one CFI state describes each:
 *
 *     CFA - 192  x29, x30      CFA - 128  x25, x26      CFA - 64  d12, d13
 *     CFA - 176  x19, x20      CFA - 112  x27, x28      CFA - 48  d14, d15
 *     CFA - 160  x21, x22      CFA -  96  d8, d9        CFA - 32  x3, x4
 *     CFA - 144  x23, x24      CFA -  80  d10, d11      CFA - 16  x5
 *
 * The last three are resume's own: what it passes on, and to whom.
 */
        .macro SAVE first, second, at
        stp     \first, \second, [sp, \at]
        .cfi_rel_offset \first, \at
        .cfi_rel_offset \second, \at + 8
        .endm

        .macro RESTORE first, second, at
        ldp     \first, \second, [sp, \at]
        .cfi_restore \first
        .cfi_restore \second
        .endm

        .macro SAVE_REGISTERS
        sub     sp, sp, 192
        .cfi_adjust_cfa_offset 192
        SAVE    x29, x30, 0
        SAVE    x19, x20, 16
        SAVE    x21, x22, 32
        SAVE    x23, x24, 48
        SAVE    x25, x26, 64
        SAVE    x27, x28, 80
        SAVE    d8, d9, 96
        SAVE    d10, d11, 112
        SAVE    d12, d13, 128
        SAVE    d14, d15, 144
        stp     x3, x4, [sp, 160]
        str     x5, [sp, 176]
        .endm

        .macro RESTORE_REGISTERS
        ldr     x16, [sp, 176]
        ldp     x3, x4, [sp, 160]
        RESTORE d14, d15, 144
        RESTORE d12, d13, 128
        RESTORE d10, d11, 112
        RESTORE d8, d9, 96
        RESTORE x27, x28, 80
        RESTORE x25, x26, 64
        RESTORE x23, x24, 48
        RESTORE x21, x22, 32
        RESTORE x19, x20, 16
        RESTORE x29, x30, 0
        add     sp, sp, 192
        .cfi_adjust_cfa_offset -192
        .endm

/* Between the load of sp and the landing, the frame that was left is found
 * through its record: CFA = *(register + \record + 24) + 192.
 * DW_CFA_def_cfa_expression, 6 bytes: DW_OP_breg<n>, DW_OP_deref, DW_OP_plus_uconst 192. */
        .macro CFA_FROM_RECORD breg, record
        .cfi_escape 0x0f, 6, \breg, \record + 24, 0x06, 0x23, 0xc0, 0x01
        .endm
#define BREG_X2 0x72
#define BREG_X4 0x74

        /* struct Words resume(Word word, Word tag, Link *link, a, b, then)
         *
         * x0 = word, x1 = tag, x2 = link, x3 = a, x4 = b, x5 = then.
         * When somebody pauses or finishes, goes on in
         *     then(word, tag, link of who came back, a, b)
         * in its own place: one frame fewer between the switch and the caller, so one
         * return fewer that is predicted wrong. */
FUNCTION(resume)
SIDING(resume):
        .cfi_startproc
        BTI_C
        SAVE_REGISTERS
        adr     x16, SIDING(resume_landing)
        mov     x17, sp
        stp     x19, x29, [x2, 32]
        stp     x16, x17, [x2, 48]
        ldp     x17, x16, [x2, 16]
        mov     sp, x16
        .cfi_remember_state
        CFA_FROM_RECORD BREG_X2, 32
        br      x17
        .cfi_restore_state
        nop
LABEL(resume_landing)
        BTI_J
        RESTORE_REGISTERS
        /* By x16, so that a function may be entered as if it were called. */
        br      x16
        .cfi_endproc
END(resume)

        /* struct Words pause(Word word, Word tag, Link *link)
         *
         * x0 = word, x1 = tag, x2 = link of the job that pauses; x3 = anything.
         * Returns x0 = word, x1 = tag, handed over by whoever resumed it. */
FUNCTION(pause)
SIDING(pause):
        .cfi_startproc
        BTI_C
        SAVE_REGISTERS
        adr     x16, SIDING(pause_landing)
        mov     x17, sp
        stp     x19, x29, [x2, 0]
        stp     x16, x17, [x2, 16]
        ldp     x17, x16, [x2, 48]
        mov     sp, x16
        .cfi_remember_state
        CFA_FROM_RECORD BREG_X2, 0
        br      x17
        .cfi_restore_state
        nop
LABEL(pause_landing)
        BTI_J
        RESTORE_REGISTERS
        ret
        .cfi_endproc
END(pause)

        /* struct Words hand_over(Word word, Word tag, Link *from, Link *to)
         *
         * x0 = word, x1 = tag, x2 = link of the job that pauses, x3 = link of the
         * paused job that goes on in its place, its outer record already filled in.
         * Lands, later, where `pause` does. */
FUNCTION(hand_over)
SIDING(hand_over):
        .cfi_startproc
        BTI_C
        SAVE_REGISTERS
        adr     x16, SIDING(pause_landing)
        mov     x17, sp
        stp     x19, x29, [x2, 0]
        stp     x16, x17, [x2, 16]
        mov     x4, x2
        mov     x2, x3
        ldp     x17, x16, [x2, 16]
        mov     sp, x16
        CFA_FROM_RECORD BREG_X4, 0
        br      x17
        .cfi_endproc
END(hand_over)

        /* switch 5/7: a job's first landing. Its initial inner record holds the entry
         * function in `reserved`, and here in `pc`.
         *
         * x0 = word, x1 = tag, x2 = link, sp = 16-byte aligned.
         * Calls entry(word, tag, link), which returns x0 = word, x1 = tag, and
         * makes the job's last switch with them. The inner pc is cleared before: so a
         * debugger can tell a context that has ended from one that is paused.
         *
         * x29 = link + 40 for as long as the job runs: a frame record, with the
         * resumer's fp and pc at [x29] and [x29 + 8], its sp at [x29 + 16] and its x19
         * at [x29 - 8]. `.cfi_signal_frame` and the nop: as in x86_64.S. */
        .p2align 4
        .cfi_startproc simple
        .cfi_signal_frame
#ifdef PERSONALITY
        .cfi_personality PCREL_SDATA4, SIDING(personality)
#endif
        /* CFA = *(x2 + 56); x19 at x2 + 32, x29 at x2 + 40, pc at x2 + 48.
         * DW_CFA_def_cfa_expression: DW_OP_breg2 (x2) 56, DW_OP_deref.
         * DW_CFA_expression: DW_OP_breg2 (x2) n.  [registers: 19 x19, 29 x29, 30 ra] */
        .cfi_escape 0x0f, 3, 0x72, 56, 0x06
        .cfi_escape 0x10, 19, 2, 0x72, 32
        .cfi_escape 0x10, 29, 2, 0x72, 40
        .cfi_escape 0x10, 30, 2, 0x72, 48
        .irp register, x20, x21, x22, x23, x24, x25, x26, x27, x28
        .cfi_undefined \register
        .endr
        .irp register, d8, d9, d10, d11, d12, d13, d14, d15
        .cfi_undefined \register
        .endr
        nop
WITHIN SIDING(trampoline)
FUNCTION(trampoline)
SIDING(trampoline):
        BTI_J
        add     x29, x2, 40
        /* The same through x29 (breg29): offsets 16, -8 (SLEB 0x78), 0, 8. */
        .cfi_escape 0x0f, 3, 0x8d, 16, 0x06
        .cfi_escape 0x10, 19, 2, 0x8d, 0x78
        .cfi_escape 0x10, 29, 2, 0x8d, 0
        .cfi_escape 0x10, 30, 2, 0x8d, 8
        ldr     x16, [x2]
        blr     x16
        str     xzr, [x29, -24]
        sub     x2, x29, 40
        ldp     x17, x16, [x29, 8]
        mov     sp, x16
        br      x17
        .cfi_endproc
END(trampoline)
LABEL(end)

#ifdef PERSONALITY
        /* What unwinds may not leave a job: see x86_64.S.
         *
         * _Unwind_Reason_Code personality(int version, _Unwind_Action actions, ...)
         *
         * w0 = version, w1 = actions. */
FUNCTION(personality)
SIDING(personality):
        .cfi_startproc
        BTI_C
        tst     w1, UA_FORCE_UNWIND
        b.eq    1f
        mov     w0, URC_CONTINUE_UNWIND
        ret
1:      stp     x29, x30, [sp, -16]!
        .cfi_def_cfa_offset 16
        .cfi_offset x29, -16
        .cfi_offset x30, -8
        mov     w0, 2
#ifdef __APPLE__
        adrp    x1, escaped@PAGE
        add     x1, x1, escaped@PAGEOFF
#else
        adrp    x1, escaped
        add     x1, x1, :lo12:escaped
#endif
        mov     x2, ESCAPED_SIZE
        bl      LIBC(write)
        bl      LIBC(abort)
        .cfi_endproc
END(personality)
#endif

#ifdef __ELF__
        /* NT_GNU_PROPERTY_TYPE_0: GNU_PROPERTY_AARCH64_FEATURE_1_AND = BTI. */
        .section .note.gnu.property, "a", %note
        .p2align 3
        .word   4, 16, 5
        .asciz  "GNU"
        .word   0xc0000000, 4, 1, 0
#endif
