/* powerpc64, little endian: 64-Bit ELF V2 ABI 1.4, sections 2.2 (registers, frame),
 * 2.3.2 (r12 at a global entry point), 3.7 (TLS).
 *
 * The design and the picture of a `Link` are at the head of x86_64.S. What differs:
 *
 *   reserved = r30, fp = r31
 *   A landing finds r3 = word, r4 = tag, r5 = link, r1 = the sp of the record entered.
 *   Words are returned in r3 and r4, so a landing has nothing to move.
 *   Not saved by any switch: signal mask, FPSCR, VRSAVE, which no compiler writes. Not
 *   touched: r13.
 *
 * The two sides may lie in different shared objects, each with a TOC of its own. So each
 * keeps r2 where its own frame has a doubleword for that, free between calls: 24(r1).
 *
 * There are no frame pointers: a chain of sps leads from frame to frame. The trampoline's
 * frame names link + 56 as the next, where the outer sp is, and so the next again.
 *
 * Jumps go through ctr: through lr they would be returns to the predictor. `bcl 20, 31` to
 * the next instruction is no call to it, but the way to ask for the address.
 */
#include "macros.h"

        .abiversion 2
        TEXT

/* All stubs keep the same frame, so one CFI state describes each:
 *
 *     CFA +  16  lr                       CFA - 480  v20
 *     CFA +   8  cr                         ...
 *     CFA - 144  f14                      CFA - 304  v31
 *       ...                               CFA - 496  r6, CFA - 504 r7, CFA - 512 r8
 *     CFA -   8  f31                      CFA - 520  r2
 *     CFA - 288  r14                      CFA - 544  the caller's r1 (back chain)
 *       ...
 *     CFA - 152  r31
 *
 * r6 to r8 are resume's own: what it passes on, and to whom.
 */
#define FRAME 544
#define R2 24
#define OWN 32
#define VECTOR(n) (64 + 16 * (n - 20))
#define GENERAL(n) (256 + 8 * (n - 14))
#define FLOAT(n) (400 + 8 * (n - 14))
/* cr2, cr3 and cr4 are registers of their own to an unwinder, found in one word. To gdb they
 * are nothing: so ci/cfi.sh, which falsifies what it finds as directives, need not see these.
 * DW_CFA_offset_extended_sf, at CFA - 8 * -1; DW_CFA_undefined. */
#define CR_FIELDS_SAVED .cfi_escape 0x11, 70, 0x7f, 0x11, 71, 0x7f, 0x11, 72, 0x7f
#define CR_FIELDS_UNDEFINED .cfi_escape 0x07, 70, 0x07, 71, 0x07, 72

        .macro SAVE_REGISTERS
        mflr    %r0
        mfcr    %r12
        std     %r0, 16(%r1)
        .cfi_offset lr, 16
        stw     %r12, 8(%r1)
        CR_FIELDS_SAVED
        stdu    %r1, -FRAME(%r1)
        .cfi_adjust_cfa_offset FRAME
        std     %r2, R2(%r1)
        .cfi_rel_offset r2, R2
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        std     %r\n, GENERAL(\n)(%r1)
        .cfi_rel_offset \n, GENERAL(\n)
        stfd    %f\n, FLOAT(\n)(%r1)
        .cfi_rel_offset 32 + \n, FLOAT(\n)
        .endr
        .irp n, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        li      %r12, VECTOR(\n)
        stvx    %v\n, %r1, %r12
        .cfi_rel_offset 77 + \n, VECTOR(\n)
        .endr
        std     %r6, OWN + 16(%r1)
        std     %r7, OWN + 8(%r1)
        std     %r8, OWN(%r1)
        .endm

/* lr and cr are in the caller's frame: there they stay. */
        .macro RESTORE_REGISTERS
        ld      %r6, OWN + 16(%r1)
        ld      %r7, OWN + 8(%r1)
        ld      %r12, OWN(%r1)
        .irp n, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        li      %r0, VECTOR(\n)
        lvx     %v\n, %r1, %r0
        .cfi_restore 77 + \n
        .endr
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        lfd     %f\n, FLOAT(\n)(%r1)
        .cfi_restore 32 + \n
        ld      %r\n, GENERAL(\n)(%r1)
        .cfi_restore \n
        .endr
        ld      %r2, R2(%r1)
        .cfi_restore r2
        addi    %r1, %r1, FRAME
        .cfi_adjust_cfa_offset -FRAME
        lwz     %r11, 8(%r1)
        ld      %r0, 16(%r1)
        mtocrf  0x20, %r11
        mtocrf  0x10, %r11
        mtocrf  0x08, %r11
        mtlr    %r0
        .endm

/* Fills the record at \record of the link in \link, to land at \landing. */
        .macro FILL link, record, landing
        bcl     20, 31, .Lhere\@
.Lhere\@:
        mflr    %r12
        addi    %r12, %r12, \landing - .Lhere\@
        std     %r30, \record(\link)
        std     %r31, \record + 8(\link)
        std     %r12, \record + 16(\link)
        std     %r1, \record + 24(\link)
        .endm

/* Between the load of sp and the landing, the frame that was left is found
 * through its record: CFA = *(register + \record + 24) + 544.
 * DW_CFA_def_cfa_expression, 6 bytes: DW_OP_breg<n>, DW_OP_deref, DW_OP_plus_uconst 544. */
        .macro CFA_FROM_RECORD breg, record
        .cfi_escape 0x0f, 6, \breg, \record + 24, 0x06, 0x23, 0xa0, 0x04
        .endm
#define BREG_R5 0x75
#define BREG_R9 0x79

        /* struct Words resume(Word word, Word tag, Link *link, a, b, then)
         *
         * r3 = word, r4 = tag, r5 = link, r6 = a, r7 = b, r8 = then.
         * When somebody pauses or finishes, goes on in
         *     then(word, tag, link of who came back, a, b)
         * in its own place: one frame fewer between the switch and the caller, so one
         * return fewer that is predicted wrong. */
FUNCTION(resume)
SIDING(resume):
        .cfi_startproc
        SAVE_REGISTERS
        FILL    %r5, 32, SIDING(resume_landing)
        ld      %r12, 16(%r5)
        mtctr   %r12
        ld      %r1, 24(%r5)
        .cfi_remember_state
        CFA_FROM_RECORD BREG_R5, 32
        bctr
        .cfi_restore_state
        nop
LABEL(resume_landing)
        RESTORE_REGISTERS
        mtctr   %r12
        bctr
        .cfi_endproc
END(resume)

        /* struct Words pause(Word word, Word tag, Link *link)
         *
         * r3 = word, r4 = tag, r5 = link of the job that pauses; r6 = anything.
         * Returns r3 = word, r4 = tag, handed over by whoever resumed it. */
FUNCTION(pause)
SIDING(pause):
        .cfi_startproc
        SAVE_REGISTERS
        FILL    %r5, 0, SIDING(pause_landing)
        ld      %r12, 48(%r5)
        mtctr   %r12
        ld      %r1, 56(%r5)
        .cfi_remember_state
        CFA_FROM_RECORD BREG_R5, 0
        bctr
        .cfi_restore_state
        nop
LABEL(pause_landing)
        RESTORE_REGISTERS
        blr
        .cfi_endproc
END(pause)

        /* struct Words hand_over(Word word, Word tag, Link *from, Link *to)
         *
         * r3 = word, r4 = tag, r5 = link of the job that pauses, r6 = link of the
         * paused job that goes on in its place, its outer record already filled in.
         * Lands, later, where `pause` does. */
FUNCTION(hand_over)
SIDING(hand_over):
        .cfi_startproc
        SAVE_REGISTERS
        FILL    %r5, 0, SIDING(pause_landing)
        mr      %r9, %r5
        mr      %r5, %r6
        ld      %r12, 16(%r5)
        mtctr   %r12
        ld      %r1, 24(%r5)
        CFA_FROM_RECORD BREG_R9, 0
        bctr
        .cfi_endproc
END(hand_over)

        /* switch 5/7: a job's first landing. Its initial inner record holds the entry
         * function in `reserved`, and here in `pc`.
         *
         * r3 = word, r4 = tag, r5 = link, r1 = 16-byte aligned.
         * Calls entry(word, tag, link), which returns r3 = word, r4 = tag, and
         * makes the job's last switch with them. The inner pc is cleared before: so a
         * debugger can tell a context that has ended from one that is paused.
         *
         * r31 = link + 56 for as long as the job runs: there is the resumer's sp, its pc
         * is at [r31 - 8], its r31 at [r31 - 16] and its r30 at [r31 - 24]; its r2 is 24
         * above its sp. The frame is what any callee wants: where to save lr and cr.
         * `.cfi_signal_frame` and the nop: as in x86_64.S. */
        .p2align 4
        .cfi_startproc simple
        .cfi_signal_frame
#ifdef PERSONALITY
        .cfi_personality PCREL_SDATA4, SIDING(personality)
#endif
        /* CFA = *(r5 + 56); r30 at r5 + 32, r31 at r5 + 40, pc at r5 + 48, r2 at CFA + 24.
         * DW_CFA_def_cfa_expression: DW_OP_breg5 56, DW_OP_deref.
         * DW_CFA_expression: DW_OP_breg5 n; r2: DW_OP_breg5 56, DW_OP_deref,
         * DW_OP_plus_uconst 24.  [registers: 30, 31, 65 lr, 2] */
        .cfi_escape 0x0f, 3, 0x75, 56, 0x06
        .cfi_escape 0x10, 30, 2, 0x75, 32
        .cfi_escape 0x10, 31, 2, 0x75, 40
        .cfi_escape 0x10, 65, 2, 0x75, 48
        .cfi_escape 0x10, 2, 5, 0x75, 56, 0x06, 0x23, 24
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        .cfi_undefined \n
        .endr
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        .cfi_undefined 32 + \n
        .endr
        .irp n, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        .cfi_undefined 77 + \n
        .endr
        CR_FIELDS_UNDEFINED
        nop
FUNCTION(trampoline)
SIDING(trampoline):
        addi    %r31, %r5, 56
        /* The same through r31 (breg31): offsets 0, -24 (SLEB 0x68), -16 (0x70), -8 (0x78). */
        .cfi_escape 0x0f, 3, 0x8f, 0, 0x06
        .cfi_escape 0x10, 30, 2, 0x8f, 0x68
        .cfi_escape 0x10, 31, 2, 0x8f, 0x70
        .cfi_escape 0x10, 65, 2, 0x8f, 0x78
        .cfi_escape 0x10, 2, 5, 0x8f, 0, 0x06, 0x23, 24
        stdu    %r31, -32(%r1)
        ld      %r12, 0(%r5)
        mtctr   %r12
        bctrl
        li      %r0, 0
        std     %r0, -40(%r31)
        addi    %r5, %r31, -56
        ld      %r12, -8(%r31)
        mtctr   %r12
        ld      %r1, 0(%r31)
        bctr
        .cfi_endproc
END(trampoline)
LABEL(end)

#ifdef PERSONALITY
        /* What unwinds may not leave a job: see x86_64.S.
         *
         * _Unwind_Reason_Code personality(int version, _Unwind_Action actions, ...)
         *
         * r3 = version, r4 = actions; at the global entry r12 = its own address. */
FUNCTION(personality)
SIDING(personality):
        .cfi_startproc
0:      addis   %r2, %r12, .TOC. - 0b@ha
        addi    %r2, %r2, .TOC. - 0b@l
        .localentry SIDING(personality), . - 0b
        andi.   %r4, %r4, UA_FORCE_UNWIND
        beq     1f
        li      %r3, URC_CONTINUE_UNWIND
        blr
1:      mflr    %r0
        std     %r0, 16(%r1)
        .cfi_offset lr, 16
        stdu    %r1, -32(%r1)
        .cfi_def_cfa_offset 32
        li      %r3, 2
        addis   %r4, %r2, escaped@toc@ha
        addi    %r4, %r4, escaped@toc@l
        li      %r5, ESCAPED_SIZE
        bl      write
        nop
        bl      abort
        nop
        .cfi_endproc
END(personality)
#endif

#ifdef THREAD_WORDS
        /* size_t (*find_thread_words(void))[2]
         *
         * A function, because r2 must be right, and the compiler knows that of a call alone.
         * At the global entry r12 = its own address. Returns r3. */
FUNCTION(find_thread_words)
SIDING(find_thread_words):
        .cfi_startproc
0:      addis   %r2, %r12, .TOC. - 0b@ha
        addi    %r2, %r2, .TOC. - 0b@l
        .localentry SIDING(find_thread_words), . - 0b
        addis   %r3, %r2, SIDING(thread_words)@got@tprel@ha
        ld      %r3, SIDING(thread_words)@got@tprel@l(%r3)
        add     %r3, %r3, SIDING(thread_words)@tls
        blr
        .cfi_endproc
END(find_thread_words)
#endif
