//! Panics cross from a coroutine to its resumer, and dropping a suspended one unwinds it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::rc::Rc;
use std::sync::Once;
use std::thread;

use siding::coroutine::CoroutineState::{Complete, Yielded};
use siding::coroutine::{Coroutine, Yielder, scope};
use siding::stack::{GuardedStack, StackConfig};

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    fn note(&self, what: &'static str) {
        self.0.borrow_mut().push(what);
    }

    /// Notes `what` when it is dropped.
    fn at_drop(&self, what: &'static str) -> impl Drop + use<> {
        struct AtDrop(Log, &'static str);
        impl Drop for AtDrop {
            fn drop(&mut self) {
                self.0.note(self.1);
            }
        }
        AtDrop(self.clone(), what)
    }

    fn entries(&self) -> Vec<&'static str> {
        self.0.borrow().clone()
    }
}

fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(f))
}

/// How often the panic hook was called on this thread while `f` ran.
fn hook_calls(f: impl FnOnce()) -> u32 {
    thread_local!(static CALLS: Cell<u32> = const { Cell::new(0) });
    static COUNT: Once = Once::new();
    COUNT.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            CALLS.set(CALLS.get() + 1);
            usual(info);
        }));
    });
    let before = CALLS.get();
    f();
    CALLS.get() - before
}

/// A coroutine that has suspended inside `inside`.
fn suspended(inside: impl FnOnce(&Yielder<(), ()>) + 'static) -> Coroutine<(), (), ()> {
    let mut coroutine = Coroutine::new(move |yielder, ()| inside(yielder));
    assert_eq!(coroutine.resume(()), Yielded(()));
    coroutine
}

mod panics {
    use super::*;

    /// `f` inside `depth` coroutines, one in the other.
    fn nested(depth: u32, f: fn()) {
        if depth == 0 {
            return f();
        }
        let mut coroutine = Coroutine::<(), (), ()>::new(move |_, ()| nested(depth - 1, f));
        coroutine.resume(());
    }

    #[test]
    fn a_payload_arrives_unchanged_through_three_coroutines() {
        thread_local!(static ADDRESS: Cell<usize> = const { Cell::new(0) });
        let payload = catch(|| {
            nested(3, || {
                let payload = Box::new([7_u64; 4]);
                ADDRESS.set((&raw const *payload).addr());
                resume_unwind(payload);
            });
        });
        let payload = payload.unwrap_err().downcast::<[u64; 4]>().expect("the same type");
        assert_eq!((&raw const *payload).addr(), ADDRESS.get());
    }

    #[test]
    fn the_hook_is_called_once_for_a_panic_that_crosses_three_coroutines() {
        let calls = hook_calls(|| {
            let _ = catch(|| nested(3, || panic!("as it must")));
        });
        assert_eq!(calls, 1);
    }

    #[test]
    fn a_panic_after_a_suspension_reaches_the_resume_that_follows_it() {
        let mut coroutine = suspended(|yielder| {
            yielder.suspend(());
            panic_any("late");
        });
        let payload = catch(|| coroutine.resume(())).unwrap_err();
        assert_eq!(*payload.downcast_ref::<&str>().unwrap(), "late");
    }

    #[test]
    fn a_panic_caught_inside_stays_inside() {
        let mut coroutine = suspended(|yielder| {
            let _ = catch(|| {
                yielder.suspend(());
                panic!("as it must");
            });
        });
        assert_eq!(coroutine.resume(()), Complete(()));
    }

    #[test]
    fn panics_on_both_sides_at_once_do_not_mix() {
        let log = Log::default();
        let notes = log.clone();
        let mut coroutine = suspended(move |yielder| {
            struct SuspendAtDrop<'a>(&'a Yielder<(), ()>, Log);
            impl Drop for SuspendAtDrop<'_> {
                fn drop(&mut self) {
                    self.0.suspend(());
                    self.1.note("resumed in a destructor");
                }
            }
            let payload = catch(|| {
                let _suspend = SuspendAtDrop(yielder, notes.clone());
                yielder.suspend(());
                panic_any("inner");
            });
            notes.note(payload.unwrap_err().downcast_ref::<&str>().unwrap());
        });
        coroutine.resume(());
        let payload = catch(|| panic_any("outer")).unwrap_err();
        log.note(payload.downcast_ref::<&str>().unwrap());
        coroutine.resume(());
        assert_eq!(log.entries(), ["outer", "resumed in a destructor", "inner"]);
    }

    #[test]
    fn the_thread_is_not_panicking_after_a_caught_panic_of_a_coroutine() {
        let _ = catch(|| nested(3, || panic!("as it must")));
        assert!(!thread::panicking());
    }
}

mod drops;

/// Code that catches the unwinding.
mod catching {
    use super::*;

    #[test]
    fn a_coroutine_that_catches_the_unwinding_once_still_ends() {
        let log = Log::default();
        let notes = log.clone();
        drop(suspended(move |yielder| {
            let _outer = notes.at_drop("outer");
            let _ = catch(|| {
                let _inner = notes.at_drop("inner");
                yielder.suspend(());
            });
            notes.note("between");
            yielder.suspend(());
            notes.note("ran on");
        }));
        assert_eq!(log.entries(), ["inner", "between", "outer"]);
    }

    /// Makes a coroutine that never lets itself be unwound, and drops it. Returns where it
    /// ran and how often it was tried.
    fn drop_endless() -> (usize, u32) {
        let seen = Rc::new(Cell::new((0, 0)));
        let shared = seen.clone();
        drop(suspended(move |yielder| {
            loop {
                let local = 0_u8;
                shared.set(((&raw const local).addr(), shared.get().1 + 1));
                let _ = catch(|| yielder.suspend(()));
            }
        }));
        seen.get()
    }

    fn others_stay_away_from(place: usize) -> bool {
        let mut others = Vec::new();
        (0..100).all(|_| {
            let mut other = Coroutine::<(), usize, ()>::new(|yielder, ()| {
                let local = 0_u8;
                yielder.suspend((&raw const local).addr());
            });
            let Yielded(other_place) = other.resume(()) else { panic!("it suspends") };
            others.push(other);
            other_place.abs_diff(place) > 256 << 10
        })
    }

    #[test]
    fn dropping_a_coroutine_that_keeps_catching_comes_to_an_end() {
        let (_, tries) = drop_endless();
        assert!(tries > 1);
    }

    #[test]
    fn the_stack_of_a_coroutine_that_keeps_catching_is_never_used_again() {
        let (place, _) = drop_endless();
        assert!(others_stay_away_from(place));
    }

    /// The drop unwinds at once, so the frames of the coroutine are still there.
    #[test]
    fn the_stack_is_never_used_again_if_a_yielded_value_panics_when_dropped() {
        struct PanicAtDrop(bool);
        impl Drop for PanicAtDrop {
            fn drop(&mut self) {
                if self.0 {
                    panic_any("as it must");
                }
            }
        }
        let place = Rc::new(Cell::new(0));
        let shared = place.clone();
        let mut coroutine = Coroutine::<(), PanicAtDrop, ()>::new(move |yielder, ()| {
            let local = 0_u8;
            shared.set((&raw const local).addr());
            let _ = catch(|| yielder.suspend(PanicAtDrop(false)));
            yielder.suspend(PanicAtDrop(true));
        });
        coroutine.resume(());
        let payload = catch(|| drop(coroutine)).unwrap_err();
        assert_eq!(*payload.downcast_ref::<&str>().unwrap(), "as it must");
        assert!(others_stay_away_from(place.get()));
    }
}

mod scopes {
    use super::*;

    #[test]
    fn a_panic_of_the_body_passes_through_after_the_coroutine_was_unwound() {
        let log = Log::default();
        let payload = catch(|| {
            let inside = |yielder: &Yielder<(), ()>, ()| {
                let _local = log.at_drop("coroutine");
                yielder.suspend(());
            };
            let _outside = log.at_drop("resumer");
            scope(inside, |mut coroutine| {
                coroutine.resume(());
                let _body = log.at_drop("body");
                panic_any("body panics");
            })
        });
        let payload = payload.map(|_: Result<(), _>| ()).unwrap_err();
        assert_eq!(*payload.downcast_ref::<&str>().unwrap(), "body panics");
        assert_eq!(log.entries(), ["body", "coroutine", "resumer"]);
    }

    #[test]
    fn a_panic_of_the_coroutine_passes_through_body_and_scope() {
        let log = Log::default();
        let inside = |_: &Yielder<(), ()>, ()| panic_any("inside");
        let payload = catch(|| {
            scope(inside, |mut coroutine| {
                let _body = log.at_drop("body");
                coroutine.resume(());
            })
        });
        assert_eq!(*payload.unwrap_err().downcast_ref::<&str>().unwrap(), "inside");
        assert_eq!(log.entries(), ["body"]);
    }

    #[test]
    fn a_scope_in_a_coroutine_unwinds_with_it() {
        let log = Log::default();
        let notes = log.clone();
        drop(suspended(move |outer| {
            let inside = |inner: &Yielder<(), ()>, ()| {
                let _local = notes.at_drop("scoped");
                inner.suspend(());
            };
            let _local = notes.at_drop("outer");
            scope(inside, |mut scoped| {
                scoped.resume(());
                outer.suspend(());
            })
            .unwrap();
        }));
        assert_eq!(log.entries(), ["scoped", "outer"]);
    }
}

mod threads {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

    use super::*;

    thread_local! {
        static KEPT: RefCell<Vec<Coroutine<(), (), ()>>> = const { RefCell::new(Vec::new()) };
    }

    struct CountAtDrop(Arc<AtomicU32>);

    impl Drop for CountAtDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn unwound_at_thread_exit(keep_first: bool) -> u32 {
        let count = Arc::new(AtomicU32::new(0));
        let counts = count.clone();
        let thread = thread::spawn(move || {
            if keep_first {
                // Registered before the thread's pool of stacks, and destroyed after it.
                KEPT.with_borrow(Vec::len);
            }
            let kept: Vec<_> = (0..10)
                .map(|_| {
                    let local = CountAtDrop(counts.clone());
                    suspended(move |yielder| {
                        yielder.suspend(());
                        drop(local);
                    })
                })
                .collect();
            KEPT.set(kept);
        });
        thread.join().expect("the thread ends well");
        count.load(SeqCst)
    }

    #[test]
    fn coroutines_in_thread_locals_unwind_when_their_thread_ends() {
        assert_eq!(unwound_at_thread_exit(false), 10);
    }

    #[test]
    fn coroutines_are_leaked_once_the_pool_of_their_thread_is_gone() {
        assert_eq!(unwound_at_thread_exit(true), 0);
    }

    static IS_GONE: AtomicBool = AtomicBool::new(false);
    static CAME_TOO_LATE: AtomicBool = AtomicBool::new(false);

    struct Value;

    impl Drop for Value {
        fn drop(&mut self) {
            IS_GONE.store(true, SeqCst);
        }
    }

    thread_local! {
        static VALUE: Value = const { Value };
    }

    type Closure = fn(&Yielder<(), ()>);

    /// Ends a thread whose thread-local owns what `suspend` makes of a closure that refers to
    /// a later one.
    fn is_not_unwound(suspend: fn(Closure) -> Coroutine<(), (), ()>) {
        struct Looks<'a>(#[allow(dead_code, reason = "it only has to be held")] &'a Value);
        impl Drop for Looks<'_> {
            fn drop(&mut self) {
                CAME_TOO_LATE.fetch_or(IS_GONE.load(SeqCst), SeqCst);
            }
        }
        IS_GONE.store(false, SeqCst);
        let thread = thread::spawn(move || {
            // Registered first, and destroyed last.
            KEPT.with_borrow(Vec::len);
            KEPT.set(vec![suspend(|yielder| {
                VALUE.with(|value| {
                    let _looks = Looks(value);
                    yielder.suspend(());
                });
            })]);
        });
        thread.join().expect("the thread ends well");
        assert!(IS_GONE.load(SeqCst));
        assert!(!CAME_TOO_LATE.load(SeqCst));
    }

    #[test]
    fn a_coroutine_that_refers_to_a_thread_local_is_not_unwound_when_that_is_gone() {
        is_not_unwound(|closure| suspended(closure));
    }

    #[test]
    fn nor_is_one_on_a_stack_that_came_from_no_pool() {
        is_not_unwound(|closure| {
            let stack = GuardedStack::new(StackConfig::DEFAULT).unwrap();
            let made = Coroutine::with_stack(stack, move |yielder, ()| closure(yielder));
            let mut coroutine = made.expect("it is large enough");
            coroutine.resume(());
            coroutine
        });
    }
}
