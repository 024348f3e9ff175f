//! OpenSSL's own jobs, by the libcrypto of this system. They carry no values, so those stay
//! at home; its stacks are 32 KiB, from a pool, without a guard.

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::mem;
use std::ptr;
use std::sync::OnceLock;

use crate::peer::{Body, Peer};

type StartJob = unsafe extern "C" fn(
    *mut *mut c_void,
    *mut c_void,
    *mut c_int,
    unsafe extern "C" fn(*mut c_void) -> c_int,
    *mut c_void,
    usize,
) -> c_int;
type PauseJob = unsafe extern "C" fn() -> c_int;
type NewContext = unsafe extern "C" fn() -> *mut c_void;

const ASYNC_PAUSE: c_int = 2;
const ASYNC_FINISH: c_int = 3;

struct Library {
    start: StartJob,
    pause: PauseJob,
    /// One wait context for all of them: they need none.
    context: usize,
}

static LIBRARY: OnceLock<Library> = OnceLock::new();

/// Why there are none, if so.
pub fn load() -> Result<(), String> {
    if LIBRARY.get().is_some() {
        return Ok(());
    }
    // SAFETY: a NUL-terminated name of a library made for being loaded.
    let library = unsafe { libc::dlopen(c"libcrypto.so.3".as_ptr(), libc::RTLD_NOW) };
    if library.is_null() {
        return Err("no libcrypto.so.3 here".into());
    }
    // SAFETY: the type is that of <openssl/async.h>.
    let start: StartJob = unsafe { mem::transmute(symbol(library, c"ASYNC_start_job")?) };
    // SAFETY: as above.
    let pause: PauseJob = unsafe { mem::transmute(symbol(library, c"ASYNC_pause_job")?) };
    // SAFETY: as above.
    let new: NewContext = unsafe { mem::transmute(symbol(library, c"ASYNC_WAIT_CTX_new")?) };
    // SAFETY: no preconditions.
    let context = unsafe { new() } as usize;
    LIBRARY.get_or_init(|| Library { start, pause, context });
    Ok(())
}

fn symbol(library: *mut c_void, name: &CStr) -> Result<*mut c_void, String> {
    // SAFETY: a loaded library and a NUL-terminated name.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    if address.is_null() { Err(format!("{name:?} is missing")) } else { Ok(address) }
}

pub struct OpenSsl {
    library: &'static Library,
    job: *mut c_void,
}

/// What OpenSSL copies for the job.
type Arguments = (Body<OpenSsl>, usize, &'static Library);

unsafe extern "C" fn entry(arguments: *mut c_void) -> c_int {
    // SAFETY: OpenSSL's copy of what `start` passes.
    let (body, value, library) = unsafe { arguments.cast::<Arguments>().read() };
    body(&library.pause, value);
    1
}

impl OpenSsl {
    #[inline(always)]
    fn go(&mut self, arguments: *mut c_void, size: usize) -> c_int {
        let mut answer = 0;
        let context = self.library.context as *mut c_void;
        let start = self.library.start;
        // SAFETY: a job of its own, or null for a new one; the arguments are copied.
        unsafe { start(&raw mut self.job, context, &mut answer, entry, arguments, size) }
    }
}

impl Peer for OpenSsl {
    const NAME: &'static str = "libcrypto ASYNC";
    type Inside = PauseJob;

    fn start(body: Body<Self>, value: usize) -> io::Result<Self> {
        let library = LIBRARY.get().expect("loaded");
        let mut job = OpenSsl { library, job: ptr::null_mut() };
        let mut arguments: Arguments = (body, value, library);
        match job.go((&raw mut arguments).cast(), size_of::<Arguments>()) {
            ASYNC_PAUSE | ASYNC_FINISH => Ok(job),
            _ => Err(io::Error::other("ASYNC_start_job fails")),
        }
    }

    /// Its pool cannot be left out.
    fn start_unpooled(_: Body<Self>, _: usize) -> Option<io::Result<Self>> {
        None
    }

    #[inline(always)]
    fn resume(&mut self, value: usize) -> usize {
        self.go(ptr::null_mut(), 0);
        value
    }

    #[inline(always)]
    fn pause(inside: &Self::Inside, value: usize) -> usize {
        // SAFETY: no preconditions.
        unsafe { inside() };
        value
    }
}
