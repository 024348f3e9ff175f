//! Random operations against a model that keeps its books as OpenSSL does: newest entry at
//! the head, two flags an entry, two counts beside the list.

use crate::sys::fd::AsyncFd;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Calls, WaitCtx, note};
use crate::job::Key;

#[derive(Clone, Copy, Debug)]
enum Cleanup {
    None,
    Closure,
    C,
}

#[derive(Clone, Debug)]
enum Op {
    Set { key: usize, fd: AsyncFd, cleanup: Cleanup },
    Clear { key: usize },
    Reset,
    Shut,
}

#[derive(Clone, Debug)]
struct Item {
    key: usize,
    fd: AsyncFd,
    cleanup: Cleanup,
    add: bool,
    del: bool,
}

#[derive(Default)]
struct Model {
    items: Vec<Item>,
    numadd: usize,
    numdel: usize,
    cleaned: Vec<(usize, AsyncFd)>,
}

impl Model {
    fn find(&self, key: usize) -> Option<usize> {
        (0..self.items.len()).find(|&i| self.items[i].key == key && !self.items[i].del)
    }

    fn set(&mut self, key: usize, fd: AsyncFd, cleanup: Cleanup) {
        self.items.insert(0, Item { key, fd, cleanup, add: true, del: false });
        self.numadd += 1;
    }

    fn clear(&mut self, key: usize) -> bool {
        let Some(i) = self.find(key) else { return false };
        if self.items[i].add {
            self.items.remove(i);
            self.numadd -= 1;
        } else {
            self.items[i].del = true;
            self.numdel += 1;
        }
        true
    }

    fn reset(&mut self) {
        self.numadd = 0;
        self.numdel = 0;
        self.items.retain(|item| !item.del);
        self.items.iter_mut().for_each(|item| item.add = false);
    }

    fn free(&mut self) {
        self.numadd = 0;
        self.numdel = 0;
        for item in self.items.drain(..) {
            if !item.del && !matches!(item.cleanup, Cleanup::None) {
                self.cleaned.push((item.key, item.fd));
            }
        }
    }

    fn fds(&self, wanted: impl Fn(&Item) -> bool) -> Vec<AsyncFd> {
        self.items.iter().filter(|item| wanted(item)).map(|item| item.fd).collect()
    }
}

fn op() -> impl Strategy<Value = Op> {
    let cleanup = prop_oneof![Just(Cleanup::None), Just(Cleanup::Closure), Just(Cleanup::C)];
    prop_oneof![
        8 => (0..4_usize, -1..100 as AsyncFd, cleanup).prop_map(|(key, fd, cleanup)| Op::Set { key, fd, cleanup }),
        8 => (0..4_usize).prop_map(|key| Op::Clear { key }),
        4 => Just(Op::Reset),
        1 => Just(Op::Shut),
    ]
}

fn set(ctx: &WaitCtx, calls: &Arc<Calls>, key: usize, fd: AsyncFd, cleanup: Cleanup) {
    let done = match cleanup {
        Cleanup::None => ctx.set_wait_fd(Key::from(key), fd),
        Cleanup::Closure => {
            let calls = calls.clone();
            let note = move |ctx: &WaitCtx, _: Key, fd| {
                calls.lock().unwrap().push((ctx.as_ptr().addr(), key, fd));
            };
            ctx.set_wait_fd_with(Key::from(key), fd, note)
        }
        Cleanup::C => {
            let data = Arc::as_ptr(calls).cast_mut().cast();
            // SAFETY: `note` takes such a list, which outlives the context.
            unsafe { ctx.set_wait_fd_c(Key::from(key), fd, data, Some(note)) }
        }
    };
    done.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 5 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_of_operations_shows_what_the_model_shows(
        ops in prop::collection::vec(op(), 0..60)
    ) {
        let calls = Arc::new(Calls::default());
        let ctx = WaitCtx::new();
        let address = ctx.as_ptr().addr();
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Set { key, fd, cleanup } => {
                    set(&ctx, &calls, key, fd, cleanup);
                    model.set(key, fd, cleanup);
                }
                Op::Clear { key } => {
                    prop_assert_eq!(ctx.clear_fd(Key::from(key)), model.clear(key));
                }
                Op::Reset => {
                    ctx.reset();
                    model.reset();
                }
                Op::Shut => {
                    ctx.shut();
                    model.free();
                }
            }
            let (added, deleted) = ctx.changed_fds();
            prop_assert_eq!(added.len(), model.numadd);
            prop_assert_eq!(deleted.len(), model.numdel);
            prop_assert_eq!(added, model.fds(|item| item.add && !item.del));
            prop_assert_eq!(deleted, model.fds(|item| item.del && !item.add));
            prop_assert_eq!(ctx.all_fds(), model.fds(|item| !item.del));
            for key in 0..5 {
                let expected = model.find(key).map(|i| model.items[i].fd);
                prop_assert_eq!(ctx.fd(Key::from(key)), expected);
            }
        }
        drop(ctx);
        model.free();
        let expected: Vec<_> = model.cleaned.iter().map(|&(key, fd)| (address, key, fd)).collect();
        prop_assert_eq!(&*calls.lock().unwrap(), &expected);
    }
}
