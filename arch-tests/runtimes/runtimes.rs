//! The same jobs on tokio, smol's executor and `futures`.

use std::io::{ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::rc::Rc;
use std::time::{Duration, Instant};

use siding::future::{self, AsyncIo, Reactor, Tokio, block_on};
use siding::job::{self, Interest, Key, Options, WaitCtx, WaitError};
use siding::offload::offload;

/// Waits for a descriptor and for an instant, offloads, awaits.
async fn everything<R: Reactor + Copy + 'static>(reactor: R) {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let task = future::run_with(Options::new(), reactor, move || {
        let begin = Instant::now();
        job::sleep(Duration::from_millis(5)).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(5));
        let soon = Instant::now() + Duration::from_millis(2);
        let late = job::wait_fd(&reader, Interest::Readable, Some(soon));
        assert!(matches!(late, Err(WaitError::TimedOut)));
        let sender = offload(move || writer.write_all(b"x").map(|()| writer)).unwrap().unwrap();
        job::wait_fd(&reader, Interest::Readable, None).unwrap();
        job::wait_fd(&sender, Interest::Writable, None).unwrap();
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"x");
        block_on(async { 6 * 7 }).unwrap()
    });
    assert_eq!(task.await.unwrap(), 42);
}

/// A plain pause, as an engine's, with an fd in the wait context.
async fn an_engine<R: Reactor + Copy + 'static>(reactor: R) {
    static KEY: u8 = 0;
    let ctx = WaitCtx::new();
    let inside = ctx.clone();
    let options = Options::new().wait_ctx(ctx);
    let task = future::run_with(options, reactor, move || {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        inside.set_wait_fd(Key::of(&KEY), std::os::fd::AsRawFd::as_raw_fd(&reader)).unwrap();
        let device = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            writer.write_all(b"done").unwrap();
        });
        job::pause().unwrap();
        let mut answer = String::new();
        reader.read_to_string(&mut answer).unwrap();
        device.join().unwrap();
        answer
    });
    assert_eq!(task.await.unwrap(), "done");
}

/// An error is all that there is to report: nothing can be read or has ended.
async fn an_error<R: Reactor + Copy + 'static>(reactor: R) {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(nobody).unwrap();
    let task = future::run_with(Options::new(), reactor, move || {
        socket.send(b"x").unwrap();
        job::wait_fd(&socket, Interest::Readable, None).unwrap();
        socket.recv(&mut [0]).unwrap_err().kind()
    });
    assert_eq!(task.await.unwrap(), ErrorKind::ConnectionRefused);
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn on_tokio() {
    let local = tokio::task::LocalSet::new();
    local.block_on(&tokio(), async {
        let tasks: Vec<_> = (0..20).map(|_| tokio::task::spawn_local(everything(Tokio))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        an_engine(Tokio).await;
    });
}

#[test]
fn on_one_tokio_a_core() {
    let run = || tokio::task::LocalSet::new().block_on(&tokio(), everything(Tokio));
    let threads = [std::thread::spawn(run), std::thread::spawn(run)];
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn on_smols_executor() {
    let executor = Rc::new(async_executor::LocalExecutor::new());
    let tasks: Vec<_> = (0..20).map(|_| executor.spawn(everything(AsyncIo))).collect();
    async_io::block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
        an_engine(AsyncIo).await;
    }));
}

#[test]
fn on_futures_own_executor() {
    futures::executor::block_on(everything(AsyncIo));
}

#[test]
fn an_error_alone_ends_a_wait_for_data() {
    tokio().block_on(an_error(Tokio));
    async_io::block_on(an_error(AsyncIo));
}

#[test]
fn a_job_that_loses_a_race_is_cancelled() {
    struct Dropped(Rc<std::cell::Cell<u32>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let ended = Rc::new(std::cell::Cell::new(0));
    tokio().block_on(async {
        for _ in 0..10 {
            let local = Dropped(Rc::clone(&ended));
            let task = future::run_with(Options::new(), Tokio, move || {
                let _local = local;
                let _ = job::sleep(Duration::from_secs(3600));
            });
            assert!(tokio::time::timeout(Duration::from_millis(1), task).await.is_err());
        }
    });
    assert_eq!(ended.get(), 10);
}
