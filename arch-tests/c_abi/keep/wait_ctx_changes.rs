//! What counts as changed: since the last pause that was resumed.

use crate::api::*;
use crate::wait::Ctx;

type Fds = (Vec<Fd>, Vec<Fd>, Vec<Fd>);

fn fds<const A: usize, const B: usize, const C: usize>(
    all: [Fd; A],
    added: [Fd; B],
    deleted: [Fd; C],
) -> Fds {
    (all.to_vec(), added.to_vec(), deleted.to_vec())
}

#[test]
fn the_reset_is_the_last_act_of_a_pause() {
    let ctx = Ctx::new();
    ctx.set(1, 10);
    let mut job = Job::with(&ctx);
    let inside = ctx.0;
    job.start(move || {
        let ctx = Ctx::borrow(inside);
        assert_eq!(ctx.changed().0, [10]); // a start resets nothing
        pause();
        assert_eq!(ctx.changed().0, []);
        0
    });
    assert_eq!(ctx.changed().0, [10]); // nor does the pause before it is resumed
    job.finish();
    assert_eq!(ctx.fds(), fds([10], [], []));
}

#[test]
fn changes_after_the_last_pause_stay_until_another_job_is_resumed() {
    let ctx = Ctx::new();
    let mut job = Job::with(&ctx);
    let inside = ctx.0;
    job.start(move || {
        pause();
        Ctx::borrow(inside).set(1, 10)
    });
    job.finish();
    assert_eq!(ctx.changed().0, [10]);
    let mut next = Job::with(&ctx);
    assert_eq!(next.start(|| 0), Finish);
    assert_eq!(next.start(|| pause_then(0)), Pause);
    assert_eq!(ctx.changed().0, [10]);
    next.finish();
    assert_eq!(ctx.changed().0, []);
}

#[test]
fn a_blocked_pause_resets_nothing() {
    let ctx = Ctx::new();
    ctx.set(1, 10);
    Job::with(&ctx).start(|| {
        ASYNC_block_pause();
        pause();
        ASYNC_unblock_pause();
        0
    });
    assert_eq!(ctx.changed().0, [10]);
}

/// Each line: what the caller sees after a call, and what the job did before it.
#[test]
fn the_example_of_five_calls() {
    let ctx = Ctx::new();
    ctx.set(1, 10);
    assert_eq!(ctx.fds(), fds([10], [10], []));
    let mut job = Job::with(&ctx);
    let inside = ctx.0;
    let body = move || {
        let ctx = Ctx::borrow(inside);
        ctx.set(2, 20);
        pause();
        pause();
        ctx.set(3, 30);
        ctx.clear(2);
        pause();
        ctx.clear(3);
        ctx.set(3, 30);
        pause();
        ctx.set(4, 40);
        ctx.clear(3)
    };
    assert_eq!((job.start(body), ctx.fds()), (Pause, fds([20, 10], [20, 10], [])));
    assert_eq!((job.resume(), ctx.fds()), (Pause, fds([20, 10], [], [])));
    assert_eq!((job.resume(), ctx.fds()), (Pause, fds([30, 10], [30], [20])));
    assert_eq!((job.resume(), ctx.fds()), (Pause, fds([30, 10], [30], [30])));
    assert_eq!((job.resume(), ctx.fds()), (Finish, fds([40, 10], [40], [30])));
    let mut next = Job::with(&ctx);
    let code = next.start(|| pause_then(0));
    assert_eq!((code, ctx.fds()), (Pause, fds([40, 10], [40], [30])));
    assert_eq!((next.resume(), ctx.fds()), (Finish, fds([40, 10], [], [])));
}

#[test]
fn either_of_two_jobs_on_one_ctx_resets_it() {
    let ctx = Ctx::new();
    let (mut a, mut b) = (Job::with(&ctx), Job::with(&ctx));
    a.start(|| pause_then(1));
    b.start(|| pause_then(2));
    ctx.set(1, 10);
    assert_eq!(ctx.changed().0, [10]);
    assert_eq!((b.finish(), ctx.changed().0), (2, vec![]));
    ctx.set(2, 20);
    assert_eq!((a.finish(), ctx.changed().0), (1, vec![]));
}
