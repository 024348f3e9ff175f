//! Many wakes from several threads.

use std::hint;

use super::*;

const JOBS: usize = 16;
const WAKERS: u64 = 4;
const WAKES: u64 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

/// What wakers have for one job.
struct Target {
    mail: AtomicU64,
    wake: Wake,
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Sends mail to random jobs, waking each, until it has sent its share.
fn waker(seed: u64, targets: &[Arc<Target>]) {
    let mut state = seed;
    for n in 0..WAKES / WAKERS {
        let target = &targets[random(&mut state) as usize % targets.len()];
        target.mail.fetch_add(1, Ordering::Release);
        target.wake.wake();
        if n % 64 == 0 && random(&mut state).is_multiple_of(4) {
            thread::sleep(Duration::from_micros(50)); // let the scheduler fall asleep
        }
    }
}

/// A job that counts its mail, and parks whenever it has found none.
fn count_mail(target: &Target, total: &Cell<u64>, sent_all: &AtomicBool) {
    loop {
        let mail = target.mail.swap(0, Ordering::Acquire);
        total.set(total.get() + mail);
        if mail == 0 {
            if sent_all.load(Ordering::Acquire) {
                return;
            }
            park().unwrap();
        }
    }
}

/// Runs until no job is left. Whoever sleeps although there was a wake is woken by the
/// timeout.
fn run_without_losing_a_wake(scheduler: &Scheduler) {
    loop {
        let start = Instant::now();
        if scheduler.turn(Some(LONG)).unwrap() == Turn::Idle {
            return;
        }
        assert!(start.elapsed() < LONG, "a wake was lost");
    }
}

#[test]
fn of_many_random_wakes_from_four_threads_none_is_lost() {
    let scheduler = scheduler();
    let total = Rc::new(Cell::new(0));
    let sent_all = Arc::new(AtomicBool::new(false));
    let targets = Rc::new(RefCell::new(Vec::<Arc<Target>>::new()));
    for _ in 0..JOBS {
        let (total, sent_all) = (Rc::clone(&total), Arc::clone(&sent_all));
        let targets = Rc::clone(&targets);
        let body = move || {
            let target = Arc::new(Target { mail: AtomicU64::new(0), wake: own() });
            targets.borrow_mut().push(Arc::clone(&target));
            count_mail(&target, &total, &sent_all);
        };
        scheduler.spawn(body).unwrap();
    }
    turn_a_few_times(&scheduler);
    let targets = targets.take();
    let wakers: Vec<_> = (1..=WAKERS)
        .map(|seed| {
            let targets = targets.clone();
            thread::spawn(move || waker(seed, &targets))
        })
        .collect();
    let last = thread::spawn(move || {
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        sent_all.store(true, Ordering::Release);
        targets.iter().for_each(|target| target.wake.wake());
    });
    run_without_losing_a_wake(&scheduler);
    last.join().unwrap();
    assert_eq!(total.get(), WAKES);
}

/// Each job that ends makes room for one whose handle nobody else has.
#[test]
fn wakes_that_race_with_the_end_of_their_job_never_reach_its_successor() {
    let (send, receive) = mpsc::channel::<Wake>();
    let thread = thread::spawn(move || {
        let mut late = VecDeque::new();
        for wake in receive {
            wake.wake();
            late.push_back(wake);
            if late.len() > 4 {
                late.pop_front().unwrap().wake();
            }
        }
    });
    let scheduler = scheduler();
    let woken = Rc::new(Cell::new(0));
    for _ in 0..1000 {
        let send = send.clone();
        let first = scheduler
            .spawn(move || {
                send.send(own()).unwrap();
                park().unwrap();
            })
            .unwrap();
        let woken = Rc::clone(&woken);
        let successor = move || {
            let _ = first.join();
            let _own = own();
            (0..3).for_each(|_| yield_now().unwrap());
            woken.set(woken.get() + u32::from(is_woken()));
        };
        scheduler.spawn(successor).unwrap();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
    }
    drop(send);
    scheduler.run().unwrap();
    thread.join().unwrap();
    assert_eq!(woken.get(), 0);
}

/// Each wake comes when the scheduler is about to fall asleep.
#[test]
fn of_wakes_that_come_just_as_the_scheduler_falls_asleep_none_is_lost() {
    const ROUNDS: u64 = if cfg!(debug_assertions) { 5_000 } else { 30_000 };
    let scheduler = scheduler();
    let (send, receive) = mpsc::channel();
    let round = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&round);
    let body = move || {
        send.send(own()).unwrap();
        for n in 1..=ROUNDS {
            seen.store(n, Ordering::Release);
            park().unwrap();
        }
    };
    scheduler.spawn(body).unwrap();
    let waker = thread::spawn(move || {
        let wake = receive.recv().unwrap();
        for n in 1..=ROUNDS {
            let mut spins = 0;
            while round.load(Ordering::Acquire) < n {
                spins += 1;
                if spins % 1000 == 0 { thread::yield_now() } else { hint::spin_loop() }
            }
            // At a different moment each time.
            (0..n % 64).for_each(|_| hint::spin_loop());
            wake.wake();
        }
    });
    run_without_losing_a_wake(&scheduler);
    waker.join().unwrap();
}

#[test]
fn a_handle_is_used_by_several_threads_at_once() {
    in_a_job(|| {
        let done = Arc::new(Mutex::new(0));
        let wake = own();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (wake, done) = (wake.clone(), Arc::clone(&done));
                thread::spawn(move || {
                    *done.lock().unwrap() += 1;
                    wake.wake();
                })
            })
            .collect();
        drop(wake);
        while *done.lock().unwrap() < 8 {
            park().unwrap();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
