//! Jobs that are cancelled, and schedulers that are dropped.

use super::*;

/// Counts what is dropped.
struct Drops(Rc<Cell<usize>>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn dropping_it_unwinds_its_jobs() {
    let drops = Rc::new(Cell::new(0));
    let (reader, _writer) = UnixStream::pair().unwrap();
    let reader = Rc::new(reader);
    let waits: [Box<dyn FnOnce()>; 4] = [
        Box::new(|| drop(park())),
        Box::new(|| drop(sleep(LONG))),
        Box::new(move || drop(wait_fd(&*reader, Interest::Readable, None))),
        Box::new(|| drop(yield_now())),
    ];
    let scheduler = scheduler();
    for wait in waits {
        let drops = Drops(Rc::clone(&drops));
        let body = move || {
            let _drops = drops;
            wait();
            wait_for_ever();
        };
        scheduler.spawn(body).unwrap();
    }
    scheduler.turn(Some(Duration::ZERO)).unwrap();
    let never_run = Drops(Rc::clone(&drops));
    scheduler.spawn(move || drop(never_run)).unwrap();
    drop(scheduler);
    assert_eq!(drops.get(), 5);
}

fn wait_for_ever() {
    while park().is_ok() {}
}

#[test]
fn dropping_it_lets_jobs_in_return_mode_find_their_way_out() {
    let found = Rc::new(Cell::new(false));
    let ours = Rc::clone(&found);
    let scheduler = scheduler();
    let options = Options::new().cancel_mode(CancelMode::Return);
    let body = move || ours.set(matches!(park(), Err(WaitError::Cancelled)));
    scheduler.spawn_with(&options, body).unwrap();
    scheduler.turn(Some(Duration::ZERO)).unwrap();
    drop(scheduler);
    assert!(found.get());
}

#[test]
fn a_cancelled_job_says_so() {
    let scheduler = scheduler();
    let job = scheduler.spawn(park).unwrap();
    scheduler.turn(Some(Duration::ZERO)).unwrap();
    assert!(job.cancel());
    assert!(matches!(job.join(), Err(JoinError::Cancelled)));
}

#[test]
fn a_job_that_has_not_run_can_be_cancelled() {
    let scheduler = scheduler();
    let ran = Rc::new(Cell::new(false));
    let ours = Rc::clone(&ran);
    let job = scheduler.spawn(move || ours.set(true)).unwrap();
    assert!(job.cancel());
    scheduler.run().unwrap();
    assert!(!ran.get());
}

#[test]
fn a_job_cannot_cancel_itself() {
    let scheduler = scheduler();
    let own = Rc::new(RefCell::new(None));
    let ours = Rc::clone(&own);
    let job = scheduler
        .spawn(move || {
            let own: Option<siding::scheduler::JoinHandle<()>> = ours.take();
            let cancelled = own.unwrap().cancel();
            assert!(!cancelled);
        })
        .unwrap();
    let id = job.id();
    *own.borrow_mut() = Some(job);
    scheduler.run().unwrap();
    assert!(own.borrow().is_none(), "{id:?} has run");
}

#[test]
fn a_job_cancels_another() {
    let scheduler = scheduler();
    let drops = Rc::new(Cell::new(0));
    let theirs = Drops(Rc::clone(&drops));
    let body = move || {
        let _theirs = theirs;
        wait_for_ever();
    };
    let victim = scheduler.spawn(body).unwrap();
    let job = scheduler
        .spawn(move || {
            yield_now().unwrap();
            victim.cancel()
        })
        .unwrap();
    scheduler.run().unwrap();
    assert!(job.join().unwrap());
    assert_eq!(drops.get(), 1);
}

#[test]
fn cancelling_the_one_waited_for_ends_the_wait() {
    let scheduler = scheduler();
    let victim = Rc::new(scheduler.spawn(park).unwrap());
    let waiter = Rc::clone(&victim);
    let body = move || while !waiter.is_finished() && yield_now().is_ok() {};
    scheduler.spawn(body).unwrap();
    scheduler.turn(Some(Duration::ZERO)).unwrap();
    victim.cancel();
    assert!(scheduler.run().is_ok());
}

#[test]
fn no_job_is_spawned_while_it_ends() {
    struct Spawns(siding::scheduler::Spawner, Rc<Cell<bool>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let error = self.0.spawn(park).unwrap_err().error;
            self.1.set(matches!(error, job::StartError::NoScheduler));
        }
    }
    let scheduler = scheduler();
    let refused = Rc::new(Cell::new(false));
    let spawns = Spawns(scheduler.spawner(), Rc::clone(&refused));
    let body = move || {
        let _spawns = spawns;
        wait_for_ever();
    };
    scheduler.spawn(body).unwrap();
    scheduler.turn(Some(Duration::ZERO)).unwrap();
    drop(scheduler);
    assert!(refused.get());
}

#[test]
fn a_forked_child_is_refused() {
    let scheduler = scheduler();
    scheduler.spawn(park).unwrap();
    scheduler.turn(Some(Duration::ZERO)).unwrap();
    common::passes(|| assert!(matches!(scheduler.run(), Err(RunError::Forked))));
}

#[test]
fn a_forked_child_can_have_one_of_its_own() {
    let parents = scheduler();
    parents.spawn(park).unwrap();
    common::passes(|| {
        let scheduler = scheduler();
        let job = scheduler.spawn(|| sleep(Duration::from_millis(2)).is_ok()).unwrap();
        scheduler.run().unwrap();
        assert!(job.join().unwrap());
    });
}
