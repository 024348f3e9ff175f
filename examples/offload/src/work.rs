//! What is done with each chunk, whoever waits for it; and the tally.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use indicatif::ProgressBar;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate;
use sha2::{Digest, Sha256};

use crate::chunks::Chunk;
use crate::measure;

/// Has things done by somebody else and waits until they are.
pub trait Wait {
    /// Runs `closure` on a worker.
    fn offload<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Box<dyn Error>>;

    fn sleep(&self, time: Duration) -> Result<(), Box<dyn Error>>;
}

/// One run of the program.
pub struct Run {
    key: Arc<SigningKey>,
    chunks: Mutex<VecDeque<Chunk>>,
    total: usize,
    most_at_once: usize,
    latency: Duration,
    pub bar: ProgressBar,

    verified: AtomicUsize,
    failure: Mutex<Option<String>>,
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
    memory_before: u64,
    memory_each: OnceLock<f64>,
}

impl Run {
    pub fn new(
        chunks: VecDeque<Chunk>,
        most_at_once: usize,
        latency: Duration,
        bar: ProgressBar,
    ) -> Self {
        Run {
            key: Arc::new(SigningKey::generate()),
            total: chunks.len(),
            chunks: Mutex::new(chunks),
            most_at_once,
            latency,
            bar,
            verified: AtomicUsize::new(0),
            failure: Mutex::new(None),
            waiting: AtomicUsize::new(0),
            most_waiting: AtomicUsize::new(0),
            memory_before: measure::memory(),
            memory_each: OnceLock::new(),
        }
    }

    /// How many jobs or threads there may be at once.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once
    }

    /// The next chunk that nobody has taken.
    pub fn next_chunk(&self) -> Option<Chunk> {
        self.chunks().pop_front()
    }

    /// Leaves the remaining chunks alone.
    pub fn abandon(&self) {
        self.chunks().clear();
    }

    fn chunks(&self) -> MutexGuard<'_, VecDeque<Chunk>> {
        self.chunks.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Called when as many jobs or threads wait as ever will; later calls do nothing.
    pub fn all_started(&self) {
        self.memory_each.get_or_init(|| {
            let grown = measure::memory().saturating_sub(self.memory_before);
            grown as f64 / self.most_at_once as f64
        });
    }

    /// Signs one chunk and verifies the signature.
    pub fn process(&self, chunk: Chunk, wait: &impl Wait) {
        match self.sign_and_verify(chunk, wait) {
            Ok(()) => {
                self.verified.fetch_add(1, Relaxed);
                self.bar.set_message(format!("{} wait", self.waiting.load(Relaxed)));
                self.bar.inc(1);
            }
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// Straight-line code: that each step waits is nothing it has to know.
    fn sign_and_verify(&self, chunk: Chunk, wait: &impl Wait) -> Result<(), Box<dyn Error>> {
        let key = Arc::clone(&self.key);
        let to_sign = chunk.clone();
        let signature: Signature = self.waiting(|| {
            wait.sleep(self.latency)?;
            wait.offload(move || key.sign_prehash(&Sha256::digest(&*to_sign)))
        })??;
        let public = *self.key.verifying_key();
        self.waiting(|| {
            wait.offload(move || public.verify_prehash(&Sha256::digest(&*chunk), &signature))
        })??;
        Ok(())
    }

    /// Notes that somebody waits in `body`.
    fn waiting<T>(&self, body: impl FnOnce() -> T) -> T {
        let waiting = self.waiting.fetch_add(1, Relaxed) + 1;
        self.most_waiting.fetch_max(waiting, Relaxed);
        let result = body();
        self.waiting.fetch_sub(1, Relaxed);
        result
    }

    fn fail(&self, message: String) {
        self.failure.lock().unwrap_or_else(|poison| poison.into_inner()).get_or_insert(message);
    }

    pub fn total(&self) -> usize {
        self.total
    }

    pub fn verified(&self) -> usize {
        self.verified.load(Relaxed)
    }

    pub fn most_waiting(&self) -> usize {
        self.most_waiting.load(Relaxed)
    }

    /// Bytes for each job or thread; `None` where a few pages of other things would count.
    pub fn memory_each(&self) -> Option<f64> {
        self.memory_each.get().copied().filter(|_| self.most_at_once >= 100)
    }

    /// An error unless every signature was verified.
    pub fn outcome(&self) -> Result<(), Box<dyn Error>> {
        let failure = self.failure.lock().unwrap_or_else(|poison| poison.into_inner()).take();
        let missing = self.total - self.verified();
        match failure {
            Some(message) => Err(message.into()),
            None if missing > 0 => Err(format!("{missing} signatures were not verified").into()),
            None => Ok(()),
        }
    }
}
