//! Random operations on a wait context against a model that keeps its books as OpenSSL does:
//! newest entry at the head, two flags an entry, two counts beside the list.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use siding::job::{self, AsyncFd, Key, Options, Progress, WaitCtx};

#[derive(Clone, Debug)]
enum Op {
    Set {
        key: usize,
        fd: AsyncFd,
        cleanup: bool,
    },
    Clear {
        key: usize,
    },
    /// A job with this context is resumed.
    Reset,
}

#[derive(Clone, Debug)]
struct Item {
    key: usize,
    fd: AsyncFd,
    cleanup: bool,
    add: bool,
    del: bool,
}

#[derive(Default)]
struct Model {
    items: Vec<Item>,
    numadd: usize,
    numdel: usize,
}

impl Model {
    fn find(&self, key: usize) -> Option<usize> {
        (0..self.items.len()).find(|&i| self.items[i].key == key && !self.items[i].del)
    }

    fn set(&mut self, key: usize, fd: AsyncFd, cleanup: bool) {
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

    /// Whose cleanups run in the end.
    fn cleaned(self) -> Vec<(usize, AsyncFd)> {
        let left = self.items.into_iter().filter(|item| !item.del && item.cleanup);
        left.map(|item| (item.key, item.fd)).collect()
    }

    fn fds(&self, wanted: impl Fn(&Item) -> bool) -> Vec<AsyncFd> {
        self.items.iter().filter(|item| wanted(item)).map(|item| item.fd).collect()
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..4_usize, -1..100 as AsyncFd, any::<bool>()).prop_map(|(key, fd, cleanup)| Op::Set { key, fd, cleanup }),
        8 => (0..4_usize).prop_map(|key| Op::Clear { key }),
        4 => Just(Op::Reset),
    ]
}

/// Has a job on this context resumed.
fn reset(ctx: &WaitCtx) {
    let started = Options::new().wait_ctx(ctx.clone()).start(|| job::pause().unwrap());
    let Ok(Progress::Paused(job)) = started else { panic!("{started:?}") };
    assert!(matches!(job.resume(), Progress::Finished(())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_operations_shows_what_the_model_shows(
        ops in prop::collection::vec(op(), 0..60)
    ) {
        let cleaned = Arc::new(Mutex::new(Vec::new()));
        let ctx = WaitCtx::new();
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Set { key, fd, cleanup } => {
                    if cleanup {
                        let cleaned = cleaned.clone();
                        let note = move |_: &WaitCtx, its_key: Key, its_fd| {
                            assert_eq!(its_key, Key::from(key));
                            cleaned.lock().unwrap().push((key, its_fd));
                        };
                        ctx.set_wait_fd_with(Key::from(key), fd, note).unwrap();
                    } else {
                        ctx.set_wait_fd(Key::from(key), fd).unwrap();
                    }
                    model.set(key, fd, cleanup);
                }
                Op::Clear { key } => {
                    prop_assert_eq!(ctx.clear_fd(Key::from(key)), model.clear(key));
                }
                Op::Reset => {
                    reset(&ctx);
                    model.reset();
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
        prop_assert_eq!(&*cleaned.lock().unwrap(), &model.cleaned());
    }
}
