//! Random sequences of operations on a wait context and two jobs that have it, on siding and
//! on libcrypto: both must answer the same, all the way.

mod dlopened;

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use dlopened::Api;
use proptest::prelude::*;

/// What the caller of a job and the job itself may do to the context.
#[derive(Clone, Debug)]
enum Op {
    Set { key: usize, fd: c_int, cleanup: bool },
    Clear { key: usize },
    SetCallback(Option<usize>),
    SetStatus(c_int),
    BlockedPause,
    Unblock,
}

#[derive(Clone, Debug)]
enum Step {
    Caller(Op),
    /// Starts or resumes one of the jobs, which does this, and then pauses or finishes.
    Job {
        which: usize,
        ops: Vec<Op>,
        finish: bool,
    },
}

const KEYS: usize = 3;
const STEPS: usize = 40;
const OPS: usize = 4;
/// For as many fds as there can be.
const ROOM: usize = STEPS * OPS + 1;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..KEYS, 0..9, any::<bool>()).prop_map(|(key, fd, cleanup)| Op::Set { key, fd, cleanup }),
        6 => (0..KEYS).prop_map(|key| Op::Clear { key }),
        1 => prop::option::of(0..9_usize).prop_map(Op::SetCallback),
        1 => (0..4).prop_map(Op::SetStatus),
        1 => Just(Op::BlockedPause),
        1 => Just(Op::Unblock),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let job = (0..2_usize, prop::collection::vec(op(), 0..OPS), prop::bool::weighted(0.2));
    prop_oneof![
        1 => op().prop_map(Step::Caller),
        2 => job.prop_map(|(which, ops, finish)| Step::Job { which, ops, finish }),
    ]
}

/// What a job finds when it goes on: what to do, and whether to finish then.
type Orders = (Vec<Op>, bool);

struct World {
    api: &'static Api,
    ctx: *mut c_void,
    orders: Cell<Option<Orders>>,
    log: RefCell<Vec<String>>,
}

thread_local! {
    static CLEANED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C" fn cleanup(_: *mut c_void, key: *const c_void, fd: c_int, data: *mut c_void) {
    CLEANED.with_borrow_mut(|log| log.push(format!("cleanup {} {fd} {}", key.addr(), data.addr())));
}

unsafe extern "C" fn callback(_: *mut c_void) -> c_int {
    unreachable!("nobody calls it")
}

unsafe extern "C" fn job(world: *mut c_void) -> c_int {
    // SAFETY: started with the address of a world.
    let world = unsafe { *world.cast::<*const World>() };
    // SAFETY: it outlives its jobs.
    let world = unsafe { &*world };
    loop {
        let (ops, finish) = world.orders.take().expect("orders, whenever it goes on");
        for op in &ops {
            world.act(op);
        }
        if finish {
            return ops.len() as c_int;
        }
        let answer = (world.api.pause_job)();
        world.say(format!("paused {answer}"));
    }
}

impl World {
    fn say(&self, line: String) {
        self.log.borrow_mut().push(line);
    }

    fn act(&self, op: &Op) {
        let (api, ctx) = (self.api, self.ctx);
        let answer = match *op {
            Op::Set { key, fd, cleanup: with } => {
                let cleanup: Option<dlopened::Cleanup> = with.then_some(cleanup);
                (api.wait_ctx_set_wait_fd)(ctx, key, fd, 10 * key, cleanup)
            }
            Op::Clear { key } => (api.wait_ctx_clear_fd)(ctx, key),
            Op::SetCallback(arg) => {
                let function: Option<dlopened::Function> = arg.map(|_| callback as _);
                (api.wait_ctx_set_callback)(ctx, function, arg.unwrap_or(0))
            }
            Op::SetStatus(status) => (api.wait_ctx_set_status)(ctx, status),
            // Balanced: what is left blocked at a job's end is another matter.
            Op::BlockedPause => {
                (api.block_pause)();
                let answer = (api.pause_job)();
                (api.unblock_pause)();
                answer
            }
            Op::Unblock => {
                (api.unblock_pause)();
                0
            }
        };
        self.say(format!("{op:?}: {answer}"));
        self.look();
    }

    /// Everything there is to see.
    fn look(&self) {
        let (api, ctx) = (self.api, self.ctx);
        let (mut all, mut adds, mut dels) = ([-1; ROOM], [-1; ROOM], [-1; ROOM]);
        let (mut n, mut added, mut deleted) = (0, 0, 0);
        let (mut function, mut arg) = (None, 77);
        let answers = [
            (api.wait_ctx_get_all_fds)(ctx, all.as_mut_ptr(), &mut n),
            (api.wait_ctx_get_changed_fds)(
                ctx,
                adds.as_mut_ptr(),
                &mut added,
                dels.as_mut_ptr(),
                &mut deleted,
            ),
            (api.wait_ctx_get_callback)(ctx, &mut function, &mut arg),
            (api.wait_ctx_get_status)(ctx),
            c_int::from((api.get_current_job)().is_null()),
        ];
        let mut found = [(0, -7, 77); KEYS + 1];
        for (key, (got, fd, data)) in found.iter_mut().enumerate() {
            *got = (api.wait_ctx_get_fd)(ctx, key, fd, data);
        }
        self.say(format!(
            "{answers:?} {:?} {:?} {:?} {function} {arg} {found:?}",
            &all[..=n],
            &adds[..=added],
            &dels[..=deleted],
            function = function.is_some(),
        ));
    }

    /// Starts a job or goes on with it.
    fn run(&self, handle: &mut *mut c_void, orders: Orders) {
        self.orders.set(Some(orders));
        let (world, mut ret) = (ptr::from_ref(self), -77);
        let (args, size) = (ptr::from_ref(&world).cast(), size_of_val(&world));
        let code = (self.api.start_job)(handle, self.ctx, &mut ret, job, args, size);
        self.say(format!("ran {code} {ret} {}", handle.is_null()));
        if !handle.is_null() {
            assert_eq!((self.api.get_wait_ctx)(*handle), self.ctx);
        }
        self.look();
    }
}

/// Does it all, and returns what there was to see.
fn play(api: &'static Api, steps: &[Step]) -> Vec<String> {
    let ctx = (api.wait_ctx_new)();
    let world = World { api, ctx, orders: Cell::new(None), log: RefCell::default() };
    let mut handles = [ptr::null_mut(); 2];
    for step in steps {
        match step {
            Step::Caller(op) => world.act(op),
            Step::Job { which, ops, finish } => {
                world.run(&mut handles[*which], (ops.clone(), *finish));
            }
        }
    }
    for handle in handles.iter_mut().filter(|handle| !handle.is_null()) {
        world.run(handle, (vec![], true));
    }
    (api.wait_ctx_free)(ctx);
    let mut log = world.log.into_inner();
    log.append(&mut CLEANED.take());
    log
}

fn apis() -> &'static [Api; 2] {
    static APIS: OnceLock<[Api; 2]> = OnceLock::new();
    APIS.get_or_init(|| [Api::load("libcrypto.so.3"), Api::load(&dlopened::siding())])
}

#[test]
fn the_two_implementations_are_two() {
    let [libcrypto, siding] = apis();
    assert_ne!(libcrypto.start_job as usize, siding.start_job as usize);
    assert_ne!(libcrypto.wait_ctx_new as usize, siding.wait_ctx_new as usize);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 5000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_of_calls_is_answered_the_same(
        steps in prop::collection::vec(step(), 0..STEPS)
    ) {
        let [libcrypto, siding] = apis();
        prop_assert_eq!(play(siding, &steps), play(libcrypto, &steps));
    }
}
