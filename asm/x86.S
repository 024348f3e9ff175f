/* x86 with 32 bits: System V i386 psABI 1.1, sections 2.2.1 (registers), 2.2.2 (frame).
 *
 * As x86_64.S, with these differences:
 *
 *     reserved = esi, fp = ebp; a link is half as large (32 bytes), offsets are halves
 *     eax = word    edx = tag    ecx = link    on landing
 *
 * All arguments lie on the stack. A structure is returned in memory: a hidden pointer to it is
 * the first argument, which the callee takes off the stack (`ret 4`) and returns in eax.
 * Code finds its own address by calling the next instruction: that is no call to the return
 * predictor (nor to a shadow stack).
 */
#include "macros.h"
#ifdef __CET__
# include <cet.h>
#else
# define _CET_ENDBR endbr32
#endif

        .intel_syntax noprefix
        TEXT

/* All stubs keep the same frame, so one CFI state describes each:
 *
 *     CFA +  4  word                   CFA +  0  where the result goes
 *     CFA +  8  tag                    CFA -  4  return address
 *     CFA + 12  link                   CFA -  8  ebp
 *     CFA + 16  a, or another link     CFA - 12  ebx
 *     CFA + 20  b                      CFA - 16  esi
 *     CFA + 24  then                   CFA - 20  edi, where esp is
 */
#define RESULT [esp + 20]
#define WORD   [esp + 24]
#define TAG    [esp + 28]
#define LINK   [esp + 32]
#define TO     [esp + 36]
#define THEN   [esp + 44]

        .macro SAVE_REGISTERS
        push    ebp
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset ebp, 0
        push    ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset ebx, 0
        push    esi
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset esi, 0
        push    edi
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset edi, 0
        .endm

        .macro RESTORE_REGISTERS
        pop     edi
        .cfi_adjust_cfa_offset -4
        .cfi_restore edi
        pop     esi
        .cfi_adjust_cfa_offset -4
        .cfi_restore esi
        pop     ebx
        .cfi_adjust_cfa_offset -4
        .cfi_restore ebx
        pop     ebp
        .cfi_adjust_cfa_offset -4
        .cfi_restore ebp
        .endm

/* edi = the address of a label. */
        .macro ADDRESS_OF label
        call    1f
1:
        .cfi_adjust_cfa_offset 4
        pop     edi
        .cfi_adjust_cfa_offset -4
        lea     edi, [edi + \label - 1b]
        .endm

/* Between the load of esp and the landing, the frame that was left is found
 * through its record: CFA = *(register + \record + 12) + 20. */
        .macro CFA_FROM_RECORD breg, record
        .cfi_escape 0x0f, 5, \breg, \record + 12, 0x06, 0x23, 20
        .endm
#define BREG_ECX 0x71
#define BREG_EBX 0x73

        /* struct Words resume(Word word, Word tag, Link *link, a, b, then)
         *
         * [esp + 4] = where the result goes, [esp + 8] = word, [esp + 12] = tag,
         * [esp + 16] = link, [esp + 20] = a, [esp + 24] = b, [esp + 28] = then.
         * When somebody pauses or finishes, goes on in
         *     then(word, tag, link of who came back, a, b)
         * in its own place: its arguments, and where its result goes, are where ours were. */
FUNCTION(resume)
SIDING(resume):
        .cfi_startproc
        _CET_ENDBR
        SAVE_REGISTERS
        ADDRESS_OF SIDING(resume_landing)
        mov     eax, WORD
        mov     edx, TAG
        mov     ecx, LINK
        mov     [ecx + 16], esi
        mov     [ecx + 20], ebp
        mov     [ecx + 24], edi
        mov     [ecx + 28], esp
        mov     esp, [ecx + 12]
        .cfi_remember_state
        CFA_FROM_RECORD BREG_ECX, 16
        jmp     [ecx + 8]
        .cfi_restore_state
        nop
LABEL(resume_landing)
        _CET_ENDBR
        mov     WORD, eax
        mov     TAG, edx
        mov     LINK, ecx
        mov     eax, THEN
        RESTORE_REGISTERS
        jmp     eax
        .cfi_endproc
END(resume)

        /* struct Words pause(Word word, Word tag, Link *link)
         *
         * [esp + 4] = where the result goes, [esp + 8] = word, [esp + 12] = tag,
         * [esp + 16] = link of the job that pauses.
         * Stores there what was handed over by whoever resumed it, and returns eax = there. */
FUNCTION(pause)
SIDING(pause):
        .cfi_startproc
        _CET_ENDBR
        SAVE_REGISTERS
        ADDRESS_OF SIDING(pause_landing)
        mov     eax, WORD
        mov     edx, TAG
        mov     ecx, LINK
        mov     [ecx + 0], esi
        mov     [ecx + 4], ebp
        mov     [ecx + 8], edi
        mov     [ecx + 12], esp
        mov     esp, [ecx + 28]
        .cfi_remember_state
        CFA_FROM_RECORD BREG_ECX, 0
        jmp     [ecx + 24]
        .cfi_restore_state
        nop
LABEL(pause_landing)
        _CET_ENDBR
        mov     ecx, RESULT
        mov     [ecx], eax
        mov     [ecx + 4], edx
        mov     eax, ecx
        RESTORE_REGISTERS
        ret     4
        .cfi_endproc
END(pause)

        /* struct Words hand_over(Word word, Word tag, Link *from, Link *to)
         *
         * As `pause`, and [esp + 20] = link of the paused job that goes on in its place, its
         * outer record already filled in. Lands, later, where `pause` does. */
FUNCTION(hand_over)
SIDING(hand_over):
        .cfi_startproc
        _CET_ENDBR
        SAVE_REGISTERS
        ADDRESS_OF SIDING(pause_landing)
        mov     eax, WORD
        mov     edx, TAG
        mov     ebx, LINK
        mov     ecx, TO
        mov     [ebx + 0], esi
        mov     [ebx + 4], ebp
        mov     [ebx + 8], edi
        mov     [ebx + 12], esp
        mov     esp, [ecx + 12]
        CFA_FROM_RECORD BREG_EBX, 0
        jmp     [ecx + 8]
        .cfi_endproc
END(hand_over)

        /* switch 5/7: a job's first landing. Its initial inner record holds the entry
         * function in `reserved`, and here in `pc`.
         *
         * eax = word, edx = tag, ecx = link, esp = 16-byte aligned.
         * Calls entry(word, tag, link), whose result goes to the top of the stack and which
         * returns eax = there, and makes the job's last switch with it. The inner pc is cleared
         * before: so a debugger can tell a context that has ended from one that is paused.
         *
         * ebp = link + 20 for as long as the job runs: the resumer's fp, pc and sp
         * are at [ebp], [ebp + 4] and [ebp + 8], its esi at [ebp - 4].
         * `.cfi_signal_frame` and the nop: as in x86_64.S. */
        .p2align 4
        .cfi_startproc simple
        .cfi_signal_frame
#ifdef PERSONALITY
        .cfi_personality PCREL_SDATA4, SIDING(personality)
#endif
        /* CFA = *(ecx + 28); esi at ecx + 16, ebp at ecx + 20, pc at ecx + 24.
         * [registers: 1 ecx, 5 ebp, 6 esi, 8 eip] */
        .cfi_escape 0x0f, 3, 0x71, 28, 0x06
        .cfi_escape 0x10, 6, 2, 0x71, 16
        .cfi_escape 0x10, 5, 2, 0x71, 20
        .cfi_escape 0x10, 8, 2, 0x71, 24
        .cfi_undefined ebx
        .cfi_undefined edi
        nop
FUNCTION(trampoline)
SIDING(trampoline):
        _CET_ENDBR
        lea     ebp, [ecx + 20]
        /* The same through ebp (breg5): offsets 8, -4 (SLEB 0x7c), 0, 4. */
        .cfi_escape 0x0f, 3, 0x75, 8, 0x06
        .cfi_escape 0x10, 6, 2, 0x75, 0x7c
        .cfi_escape 0x10, 5, 2, 0x75, 0
        .cfi_escape 0x10, 8, 2, 0x75, 4
        sub     esp, 16
        mov     ebx, esp
        push    ecx
        push    edx
        push    eax
        push    ebx
        call    [ecx]
        mov     dword ptr [ebp - 12], 0
        mov     edx, [eax + 4]
        mov     eax, [eax]
        lea     ecx, [ebp - 20]
        mov     esp, [ebp + 8]
        jmp     [ebp + 4]
        .cfi_endproc
END(trampoline)
LABEL(end)

#ifdef PERSONALITY
        /* What unwinds may not leave a job: see x86_64.S.
         *
         * _Unwind_Reason_Code personality(int version, _Unwind_Action actions, ...)
         *
         * [esp + 4] = version, [esp + 8] = actions. */
FUNCTION(personality)
SIDING(personality):
        .cfi_startproc
        _CET_ENDBR
        test    dword ptr [esp + 8], UA_FORCE_UNWIND
        jz      1f
        mov     eax, URC_CONTINUE_UNWIND
        ret
1:      push    ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset ebx, 0
        sub     esp, 24
        .cfi_adjust_cfa_offset 24
        call    2f
2:
        .cfi_adjust_cfa_offset 4
        pop     ebx
        .cfi_adjust_cfa_offset -4
        add     ebx, offset _GLOBAL_OFFSET_TABLE_ + (. - 2b)
        lea     eax, [ebx + escaped@GOTOFF]
        mov     dword ptr [esp], 2
        mov     [esp + 4], eax
        mov     dword ptr [esp + 8], ESCAPED_SIZE
        call    write@PLT
        call    abort@PLT
        .cfi_endproc
END(personality)
#endif
