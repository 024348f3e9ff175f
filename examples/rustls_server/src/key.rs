//! A key that rustls signs with, held where signing takes some milliseconds.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use siding::offload::Workers;

/// Signs as `key` does, on workers, while the job that wants the signature is paused.
pub struct Remote {
    pub key: Arc<dyn SigningKey>,
    pub workers: Arc<Workers>,
    pub time: Duration,
}

impl SigningKey for Remote {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = Arc::from(self.key.choose_scheme(offered)?);
        Some(Box::new(RemoteSigner { signer, workers: Arc::clone(&self.workers), time: self.time }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

struct RemoteSigner {
    signer: Arc<dyn Signer>,
    workers: Arc<Workers>,
    time: Duration,
}

impl Signer for RemoteSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let (signer, message, time) = (Arc::clone(&self.signer), message.to_vec(), self.time);
        let signature = self.workers.offload(move || {
            thread::sleep(time);
            signer.sign(&message)
        });
        signature.map_err(|error| Error::General(error.to_string()))?
    }

    fn scheme(&self) -> SignatureScheme {
        self.signer.scheme()
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

impl fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteSigner")
    }
}
