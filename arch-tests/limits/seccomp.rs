//! Where a filter forbids a system call, as sandboxes do.

use std::sync::mpsc;

use siding::scheduler::{RunError, park};
use siding::stack::{self, GuardMode};

use super::*;

/// This number is x86_64's, and nobody's elsewhere.
const EPOLL_WAIT: libc::c_long = 232;

/// From now on these system calls fail in this thread, and in threads that it starts.
pub fn forbid(calls: &[libc::c_long], errno: i32) {
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code: u16, skip: u8, k: u32| libc::sock_filter { code, jt: 0, jf: skip, k };
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let is = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let mut program = vec![step(load, 0, 0)];
    for call in calls {
        program.push(step(is, 1, *call as u32));
        program.push(step(RETURN, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    }
    program.push(step(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: no pointers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: a program with its length.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) }, 0);
}

/// Runs `test` in a thread of a child; afterwards all is well in another one, and no
/// descriptor has been left open.
pub fn sandboxed(test: impl FnOnce() + Send) {
    common::passes(|| {
        drop([Scheduler::new(), Scheduler::new()]); // but for the inboxes, which are kept
        let before = descriptors();
        thread::scope(|scope| scope.spawn(test).join().unwrap());
        assert_eq!(descriptors(), before);
        all_is_well();
    });
}

#[test]
fn without_advice_from_some_time_on_new_stacks_are_errors_and_the_old_ones_work() {
    sandboxed(|| {
        let first = paused_job().unwrap();
        let madvise = stack::guard_mode() == GuardMode::Madvise;
        forbid(&[libc::SYS_madvise, libc::SYS_process_madvise], libc::EPERM);
        let config = StackConfig::with_size(32 << 10);
        match Options::new().stack(config).start(|| ()).map_err(|refused| refused.error) {
            Err(StartError::Stack(StackError::Guard(error))) if madvise => {
                assert_eq!(error.raw_os_error(), Some(libc::EPERM));
            }
            Ok(_) if !madvise => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(first.resume(), Progress::Finished(true)));
    });
}

#[test]
fn a_scheduler_that_cannot_poll_is_an_error() {
    for call in [libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_eventfd2] {
        sandboxed(move || {
            // What is kept has its event.
            let _used_up =
                (call == libc::SYS_eventfd2).then(|| [Scheduler::new(), Scheduler::new()]);
            forbid(&[call], libc::EPERM);
            let error = Scheduler::new().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        });
    }
}

#[test]
fn a_descriptor_that_must_not_be_waited_for_is_the_waiting_jobs_error() {
    sandboxed(|| {
        let scheduler = Scheduler::new().unwrap();
        let (reader, _writer) = UnixStream::pair().unwrap();
        let reads = scheduler.spawn(move || wait_fd(&reader, Interest::Readable, None)).unwrap();
        let sleeps = scheduler.spawn(|| sleep(Duration::from_millis(1)).is_ok()).unwrap();
        forbid(&[libc::SYS_epoll_ctl], libc::EPERM);
        // `polling` sets its timer so: with one, the scheduler itself cannot go on either.
        assert!(matches!(scheduler.run(), Err(RunError::Io(_))));
        let Err(WaitError::Io(error)) = reads.join().unwrap() else { panic!("it waited") };
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        assert!(!sleeps.is_finished() && scheduler.live() == 1);
    });
}

#[test]
fn a_scheduler_that_can_wait_no_more_says_so_and_still_has_its_jobs() {
    sandboxed(|| {
        let scheduler = Scheduler::new().unwrap();
        let held = Rc::new(());
        let holds = Rc::clone(&held);
        let job = scheduler.spawn(move || (park().is_ok(), holds).0).unwrap();
        let keep = Rc::new(std::cell::RefCell::new(None));
        let keeps = Rc::clone(&keep);
        let wakes = move || *keeps.borrow_mut() = job::wake_handle();
        scheduler.spawn(wakes).unwrap();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        let waits = [EPOLL_WAIT, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2];
        forbid(&waits, libc::EPERM);
        match scheduler.turn(Some(Duration::from_millis(1))) {
            Err(RunError::Io(error)) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
            other => panic!("{other:?}"),
        }
        assert!(!job.is_finished() && scheduler.live() == 1);
        drop(scheduler);
        assert_eq!(Rc::strong_count(&held), 1, "the job was unwound");
    });
}

#[test]
fn without_threads_offloading_is_an_error_and_gives_the_closure_back() {
    sandboxed(|| {
        forbid(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN);
        assert!(Workers::new(2).is_err());
        let (sender, receiver) = mpsc::channel();
        let scheduler = Scheduler::new().unwrap();
        let body = move || match offload(move || sender.send(()).unwrap()) {
            Err(refused) => {
                assert!(matches!(refused.error, OffloadError::Threads(_)), "{refused}");
                refused.closure.unwrap()();
            }
            Ok(()) => panic!("by whom?"),
        };
        scheduler.spawn(body).unwrap();
        scheduler.run().unwrap();
        receiver.try_recv().unwrap();
    });
}
