//! A private key that is held elsewhere, by a device or another machine: signing with it takes
//! some milliseconds. For OpenSSL it is a key with a method of its own, called in the middle
//! of a handshake; there, the job is paused while a worker waits for the signature.
//!
//! # Safety
//!
//! Functions that `openssl-sys` does not declare are declared as in OpenSSL's `ec.h`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uchar, c_uint};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use std::{io, ptr, slice, thread};

use foreign_types::ForeignType;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl_sys::{BIGNUM, EC_KEY};
use siding::offload::Workers;

/// Who can sign.
pub struct Device {
    key: EcKey<Private>,
    workers: Workers,
    time: Duration,
    in_place: AtomicBool,
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
}

/// OpenSSL's functions know a key, and no device.
static DEVICE: OnceLock<Device> = OnceLock::new();

impl Device {
    /// A device with a new key that signs up to `at_once` digests, in `time` each.
    pub fn open(at_once: usize, time: Duration) -> io::Result<&'static Device> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        let device = Device {
            key: EcKey::generate(&group)?,
            workers: Workers::new(at_once)?,
            time,
            in_place: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            most_waiting: AtomicUsize::new(0),
        };
        DEVICE.set(device).map_err(|_| io::Error::other("there is one device"))?;
        DEVICE.get().ok_or_else(|| io::Error::other("just set"))
    }

    /// To compare with: the thread waits for each signature, and so does all that it runs.
    pub fn sign_in_place(&self, in_place: bool) {
        self.in_place.store(in_place, Relaxed);
    }

    /// Most handshakes that waited for a signature at once.
    pub fn most_waiting(&self) -> usize {
        self.most_waiting.load(Relaxed)
    }

    /// The key as such, for the certificate.
    pub fn plain_key(&self) -> Result<PKey<Private>, ErrorStack> {
        PKey::from_ec_key(self.key.clone())
    }

    fn sign(&'static self, digest: Vec<u8>) -> Option<Vec<u8>> {
        let signature = move || {
            thread::sleep(self.time);
            EcdsaSig::sign(&digest, &self.key)?.to_der()
        };
        if self.in_place.load(Relaxed) {
            return signature().ok();
        }
        self.most_waiting.fetch_max(self.waiting.fetch_add(1, Relaxed) + 1, Relaxed);
        let result = self.workers.offload(signature);
        self.waiting.fetch_sub(1, Relaxed);
        result.ok()?.ok()
    }
}

/// The device's key as one that libssl can use. Whoever signs with it should be a job.
pub fn remote_key(device: &'static Device) -> Result<PKey<Private>, ErrorStack> {
    let (group, point) = (device.key.group(), device.key.public_key());
    // OpenSSL wants to see a private part; that of the method is never looked at.
    let key = EcKey::from_private_components(group, device.key.private_key(), point)?;
    // SAFETY: no precondition.
    let usual = unsafe { EC_KEY_OpenSSL() };
    // SAFETY: a method, to be copied.
    let method = unsafe { EC_KEY_METHOD_new(usual) };
    if method.is_null() {
        return Err(ErrorStack::get());
    }
    let (mut setup, mut sign_sig) = (None, None);
    // SAFETY: a method, and places for what it does besides.
    unsafe { EC_KEY_METHOD_get_sign(usual, ptr::null_mut(), &mut setup, &mut sign_sig) };
    // SAFETY: a method of ours; `sign` does what `ec.h` asks for.
    unsafe { EC_KEY_METHOD_set_sign(method, Some(sign), setup, sign_sig) };
    // SAFETY: a live key that nobody else has; the method is never freed.
    if unsafe { EC_KEY_set_method(key.as_ptr(), method) } != 1 {
        return Err(ErrorStack::get());
    }
    PKey::from_ec_key(key)
}

/// # Safety
/// As OpenSSL calls it: a digest of `len` bytes, and room for a signature with this key.
unsafe extern "C" fn sign(
    _: c_int,
    digest: *const c_uchar,
    len: c_int,
    signature: *mut c_uchar,
    signature_len: *mut c_uint,
    _: *const BIGNUM,
    _: *const BIGNUM,
    _: *mut EC_KEY,
) -> c_int {
    let len = usize::try_from(len).unwrap_or(0);
    // SAFETY: by this function's contract.
    let digest = unsafe { slice::from_raw_parts(digest, len) }.to_vec();
    let Some(der) = DEVICE.get().and_then(|device| device.sign(digest)) else { return 0 };
    // SAFETY: there is room for the longest signature of this curve.
    unsafe { ptr::copy_nonoverlapping(der.as_ptr(), signature, der.len()) };
    // SAFETY: OpenSSL's own variable.
    unsafe { *signature_len = der.len() as c_uint };
    1
}

#[repr(C)]
struct EcKeyMethod {
    opaque: [u8; 0],
}

type Sign = unsafe extern "C" fn(
    c_int,
    *const c_uchar,
    c_int,
    *mut c_uchar,
    *mut c_uint,
    *const BIGNUM,
    *const BIGNUM,
    *mut EC_KEY,
) -> c_int;

/// Passed on, never called here.
type Other = Option<unsafe extern "C" fn()>;

unsafe extern "C" {
    fn EC_KEY_OpenSSL() -> *const EcKeyMethod;
    fn EC_KEY_METHOD_new(like: *const EcKeyMethod) -> *mut EcKeyMethod;
    fn EC_KEY_METHOD_get_sign(
        method: *const EcKeyMethod,
        sign: *mut Option<Sign>,
        setup: *mut Other,
        sign_sig: *mut Other,
    );
    fn EC_KEY_METHOD_set_sign(
        method: *mut EcKeyMethod,
        sign: Option<Sign>,
        setup: Other,
        sign_sig: Other,
    );
    fn EC_KEY_set_method(key: *mut EC_KEY, method: *const EcKeyMethod) -> c_int;
}
