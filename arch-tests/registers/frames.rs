//! Windows: who looks for the caller of a stub, with the unwind information that Windows wants,
//! finds it from where a record says that it goes on, and from each instruction on the way.

use std::arch::naked_asm;
use std::cell::RefCell;
use std::mem;
use std::ops::Range;

use windows_sys::Win32::Foundation::EXCEPTION_SINGLE_STEP;
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, CONTEXT, EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_CONTINUE_SEARCH,
    EXCEPTION_POINTERS, EXCEPTION_RECORD, RemoveVectoredExceptionHandler, RtlLookupFunctionEntry,
    RtlVirtualUnwind, UNW_FLAG_NHANDLER,
};

use super::machine::{NAMES, Values, fill_call_store_stub};
use super::*;
use crate::arch::Record;

/// The caller of the frame that `context` is in.
fn caller(context: &CONTEXT) -> CONTEXT {
    let (mut context, mut image) = (*context, 0);
    let (mut data, mut frame) = (ptr::null_mut(), 0);
    // SAFETY: any address can be asked for.
    let function = unsafe { RtlLookupFunctionEntry(context.Rip, &mut image, ptr::null_mut()) };
    if function.is_null() {
        // By convention there is no frame: a return address lies at the top.
        // SAFETY: a stack pointer.
        context.Rip = unsafe { ptr::with_exposed_provenance::<u64>(context.Rsp as usize).read() };
        context.Rsp += 8;
        return context;
    }
    // SAFETY: the context is that of a frame which is there, and whose unwind information this is.
    unsafe {
        RtlVirtualUnwind(
            UNW_FLAG_NHANDLER,
            image,
            context.Rip,
            function,
            &mut context,
            &mut data,
            &mut frame,
            ptr::null_mut(),
        );
    }
    context
}

/// What the caller of a stub should find: what [`fill_call_store_stub`] has filled.
fn found(context: &CONTEXT) -> [u64; 6] {
    let CONTEXT { Rbx, Rbp, R12, R13, R14, R15, .. } = *context;
    [Rbx, Rbp, R12, R13, R14, R15]
}

fn expected(values: &Values) -> [u64; 6] {
    ["rbx", "rbp", "r12", "r13", "r14", "r15"].map(|name| {
        let place = NAMES.iter().position(|known| *known == name);
        values[place.expect("a register")]
    })
}

/// Whether `pc` lies in [`fill_call_store_stub`].
fn is_the_filler(pc: u64) -> bool {
    let start = fill_call_store_stub as *const () as u64;
    (start + 1..start + 512).contains(&pc)
}

/// Whether this is what called a stub with these values.
fn is_right(caller: &CONTEXT, values: &Values) -> bool {
    is_the_filler(caller.Rip) && found(caller) == expected(values)
}

fn check(caller: &CONTEXT, values: &Values) {
    assert_eq!(found(caller), expected(values));
    assert!(is_right(caller, values), "{:x}", caller.Rip);
}

/// Where a record says that it goes on.
fn context_of(record: &Record) -> CONTEXT {
    // SAFETY: all zero is a context.
    let mut context: CONTEXT = unsafe { mem::zeroed() };
    (context.Rip, context.Rsp) = (record.pc as u64, record.sp as u64);
    (context.Rbx, context.Rbp) = (record.reserved as u64, record.fp as u64);
    context
}

/// What a job gets: it looks for the caller of its resumer, or pauses in a way of its own.
struct Task {
    side: Side,
    /// The job to hand over to, if any.
    to: *mut Link,
    /// What it is to call instead of the stub.
    pause: *const (),
    caller: Option<CONTEXT>,
}

impl Task {
    fn new(pause: *const (), to: *mut Link) -> Self {
        Task { side: Side::new(2), to, pause, caller: None }
    }
}

asm_abi! {
/// A job that pauses, or hands over, as its [`Task`] says.
unsafe fn pauses(word: Word, _: usize, link: *mut Link) -> Words {
    let task = ptr::with_exposed_provenance_mut::<Task>(from_word(word));
    // SAFETY: the test looks at it only when we have paused.
    let Task { side, to, pause, .. } = unsafe { &mut *task };
    if !to.is_null() {
        // SAFETY: of a link that is valid, and no switch is under way.
        let resumer = unsafe { (*link).outer };
        // SAFETY: as is the other, which is not running.
        unsafe { (**to).outer = resumer };
    }
    let arguments = [0, PAUSED, link.expose_provenance(), to.expose_provenance(), 0, 0];
    // SAFETY: called by the job of this link; the other is fresh.
    match unsafe { side.call_stub(*pause, arguments) } {
        Ok(_) => Words { word: to_word(0), tag: FINISHED },
        Err(lost) => give_up(lost),
    }
}
}

asm_abi! {
/// A job that looks for the caller of its resumer.
unsafe fn looks(word: Word, _: usize, link: *mut Link) -> Words {
    if from_word(word) != 0 {
        let task = ptr::with_exposed_provenance_mut::<Task>(from_word(word));
        // SAFETY: the resumer's record is filled.
        let context = context_of(unsafe { &(*link).outer });
        // SAFETY: the test's, which waits for us.
        unsafe { (*task).caller = Some(caller(&context)) };
    }
    Words { word: to_word(0), tag: FINISHED }
}
}

/// A job that leaves nothing in the registers that its resumer has to find again.
#[unsafe(naked)]
unsafe extern "sysv64-unwind" fn scrambles(_: Word, _: usize, _: *mut Link) -> Words {
    naked_asm!(
        "xor eax, eax",
        "mov rbx, rax",
        "mov r12, rax",
        "mov r13, rax",
        "mov r14, rax",
        "mov r15, rax",
        "mov edx, {}",
        "ret",
        const FINISHED,
    )
}

/// Resumes a job by `resume`, the stub or what goes on there.
fn resume_by(resume: *const (), side: &mut Side, link: *mut Link, word: usize) -> usize {
    let mut came_back = ptr::null_mut::<Link>();
    let came_back = (&raw mut came_back).expose_provenance();
    let then = (note as *const ()).expose_provenance();
    let arguments = [word, 0, link.expose_provenance(), came_back, 0, then];
    // SAFETY: the tests resume fresh and paused links only.
    let words = unsafe { side.call_stub(resume, arguments) }.expect("registers changed outside");
    let crossing = Crossing { link, word: from_word(words.word), tag: words.tag };
    fail_if_lost(&crossing);
    crossing.tag
}

#[test]
fn from_the_record_of_a_resumer_its_caller_is_found() {
    let stack = new_stack();
    let link = new_link(&stack);
    let (mut side, mut task) = (Side::new(1), Task::new(ptr::null(), ptr::null_mut()));
    start(link, looks, link.addr());
    let word = (&raw mut task).expose_provenance();
    assert_eq!(resume_by(stub_resume as *const (), &mut side, link, word), FINISHED);
    check(&task.caller.expect("it has looked"), &side.values);
}

#[test]
fn from_the_record_of_a_paused_job_its_caller_is_found() {
    let stack = new_stack();
    let link = new_link(&stack);
    let mut task = Task::new(stub_pause as *const (), ptr::null_mut());
    let (mut side, word) = (Side::new(1), (&raw mut task).expose_provenance());
    start(link, pauses, link.addr());
    assert_eq!(resume_by(stub_resume as *const (), &mut side, link, word), PAUSED);
    // SAFETY: it has paused.
    let context = context_of(unsafe { &(*link).inner });
    check(&caller(&context), &task.side.values);
    assert_eq!(resume_by(stub_resume as *const (), &mut side, link, word), FINISHED);
}

/// What a handler sees of the instructions of the stubs, each of which ends in an exception.
struct Steps {
    /// The stack of the side that is looked at.
    stack: Range<u64>,
    values: *const Values,
    /// Instructions that were reached with the frame on this stack, and with another one.
    inside: usize,
    elsewhere: usize,
    wrong: Option<(CONTEXT, CONTEXT)>,
}

thread_local! {
    static STEPS: RefCell<Option<Steps>> = const { RefCell::new(None) };
}

/// The flag in rflags that ends every instruction in an exception.
const TRAP: u32 = 1 << 8;

unsafe extern "system" fn on_step(info: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system's, for this call.
    let EXCEPTION_POINTERS { ExceptionRecord, ContextRecord } = unsafe { *info };
    // SAFETY: as above.
    let code = unsafe { (*ExceptionRecord).ExceptionCode };
    // SAFETY: as above.
    let context = unsafe { &mut *ContextRecord };
    let mut steps = STEPS.take();
    let Some(Steps { stack, values, inside, elsewhere, wrong }) = &mut steps else {
        return EXCEPTION_CONTINUE_SEARCH;
    };
    if code != EXCEPTION_SINGLE_STEP {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    let stubs = stub_resume as *const () as u64..arch::prepare() as u64;
    let here = stack.contains(&context.Rsp);
    if stubs.contains(&context.Rip) && here {
        *inside += 1;
        let caller = caller(context);
        // SAFETY: of a side that waits.
        if !is_right(&caller, unsafe { &**values }) && wrong.is_none() {
            *wrong = Some((*context, caller));
        }
    } else if stubs.contains(&context.Rip) {
        *elsewhere += 1;
    }
    let over = here && *inside > 0 && is_the_filler(context.Rip);
    context.EFlags = if over { context.EFlags & !TRAP } else { context.EFlags | TRAP };
    STEPS.set(steps);
    EXCEPTION_CONTINUE_EXECUTION
}

/// Goes on in a stub, and sets the trap flag before.
macro_rules! stepping {
    ($($name:ident: $stub:ident),+) => {
        $(#[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                "pushfq",
                "or dword ptr [rsp], {trap}",
                "popfq",
                "jmp {stub}",
                trap = const TRAP,
                stub = sym $stub,
            )
        })+
    };
}
stepping!(step_resume: stub_resume, step_pause: stub_pause, step_hand_over: stub_hand_over);

/// Runs `f`, in which a side with these values on a stack in this range steps through a stub.
fn steps(stack: Range<u64>, values: *const Values, f: impl FnOnce()) {
    STEPS.set(Some(Steps { stack, values, inside: 0, elsewhere: 0, wrong: None }));
    // SAFETY: a handler, which is taken away again.
    let handler = unsafe { AddVectoredExceptionHandler(1, Some(on_step)) };
    f();
    // SAFETY: as above.
    unsafe { RemoveVectoredExceptionHandler(handler) };
    let Steps { inside, elsewhere, wrong, .. } = STEPS.take().expect("left there");
    if let Some((at, caller)) = wrong {
        let offset = at.Rip - stub_resume as *const () as u64;
        // SAFETY: the side's.
        let expected = expected(unsafe { &*values });
        let (pc, found) = (caller.Rip, found(&caller));
        panic!("{offset:#x} behind resume: {pc:x} {found:x?} instead of {expected:x?}");
    }
    // All but the jump to the other side.
    assert!(inside > 40 && elsewhere == 1, "{inside} {elsewhere}");
}

fn this_stack() -> Range<u64> {
    let sp = arch::stack_pointer() as u64;
    sp - (64 << 10)..sp + (64 << 10)
}

fn range_of(stack: &GuardedStack) -> Range<u64> {
    stack.bottom().addr() as u64..stack.top().addr() as u64
}

#[test]
fn from_each_instruction_of_resume_its_caller_is_found() {
    let stack = new_stack();
    let link = new_link(&stack);
    let mut side = Side::new(1);
    start(link, scrambles, link.addr());
    let values = &raw const side.values;
    steps(this_stack(), values, || {
        assert_eq!(resume_by(step_resume as *const (), &mut side, link, 0), FINISHED);
    });
}

#[test]
fn from_each_instruction_of_pause_its_caller_is_found() {
    let stack = new_stack();
    let link = new_link(&stack);
    let mut task = Task::new(step_pause as *const (), ptr::null_mut());
    let task = &raw mut task;
    start(link, pauses, link.addr());
    // SAFETY: the test's.
    let values = unsafe { &raw const (*task).side.values };
    steps(range_of(&stack), values, || {
        for tag in [PAUSED, FINISHED] {
            assert_eq!(resume_inline(link, task.expose_provenance()), tag);
        }
    });
}

#[test]
fn from_each_instruction_of_hand_over_its_caller_is_found() {
    let stacks = [new_stack(), new_stack()];
    let [link, to] = stacks.each_ref().map(new_link);
    let mut task = Task::new(step_hand_over as *const (), to);
    let task = &raw mut task;
    start(link, pauses, link.addr());
    start(to, looks, to.addr());
    // SAFETY: the test's.
    let values = unsafe { &raw const (*task).side.values };
    steps(range_of(&stacks[0]), values, || {
        for _ in 0..2 {
            assert_eq!(resume_inline(link, task.expose_provenance()), FINISHED);
        }
    });
}

fn resume_inline(link: *mut Link, word: usize) -> usize {
    // SAFETY: the tests resume fresh and paused links only.
    let landed = unsafe { arch::imp::resume(link, to_word(word), 0) };
    let crossing = Crossing { link, word: from_word(landed.word), tag: landed.tag };
    fail_if_lost(&crossing);
    crossing.tag
}

/// Resumes `link` by the stub. Returns 0; or 1, if there is an exception meanwhile.
#[unsafe(naked)]
unsafe extern "C" fn resume_or_catch(link: *mut Link) -> usize {
    naked_asm!(
        ".seh_proc {this}",
        ".seh_handler {handler}, @except",
        "push rdi",
        ".seh_pushreg rdi",
        "push rsi",
        ".seh_pushreg rsi",
        "sub rsp, 40",
        ".seh_stackalloc 40",
        ".seh_endprologue",
        "mov rdx, rcx",
        "call {stub}",
        "xor eax, eax",
        "jmp {end}",
        ".seh_endproc",
        this = sym resume_or_catch,
        handler = sym catch,
        stub = sym stub_resume,
        end = sym end_of_resume_or_catch,
    )
}

/// Its end, from where on eax is the result.
#[unsafe(naked)]
unsafe extern "C" fn end_of_resume_or_catch() {
    naked_asm!("add rsp, 40", "pop rsi", "pop rdi", "ret")
}

/// The handler of [`resume_or_catch`]: has it return 1.
unsafe extern "C" fn catch(
    _: *mut EXCEPTION_RECORD,
    frame: u64,
    context: *mut CONTEXT,
    _: *mut (),
) -> i32 {
    const CONTINUE_EXECUTION: i32 = 0;
    // SAFETY: the system's, for this call.
    let context = unsafe { &mut *context };
    context.Rip = end_of_resume_or_catch as *const () as u64;
    (context.Rsp, context.Rax) = (frame, 1);
    CONTINUE_EXECUTION
}

#[test]
fn an_exception_in_the_stub_finds_the_handler_of_its_caller() {
    let stack = new_stack();
    let guard = stack.bottom().wrapping_sub(64).cast::<Link>();
    // SAFETY: the stub fails before it does anything, and who fails is caught.
    assert_eq!(unsafe { resume_or_catch(guard) }, 1);
}
