//! A libcrypto that is loaded late, and for itself, as for a plugin: siding finds it.

mod dlopened;

use std::ffi::{c_int, c_ulong, c_void};
use std::mem;
use std::ptr;
use std::sync::OnceLock;

use dlopened::{Api, find, open};

type SetDefault = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

static SET_DEFAULT: OnceLock<SetDefault> = OnceLock::new();

/// Makes a library context the thread's default; returns the one before.
fn set_default(ctx: *mut c_void) -> *mut c_void {
    // SAFETY: NULL, or a context that is never freed.
    unsafe { SET_DEFAULT.get().unwrap()(ctx) }
}

/// Where the job under test finds the functions.
static SIDING: OnceLock<Api> = OnceLock::new();

unsafe extern "C" fn switches_its_default(args: *mut c_void) -> c_int {
    // SAFETY: started with a library context.
    set_default(unsafe { *args.cast::<*mut c_void>() });
    (SIDING.get().unwrap().pause_job)()
}

unsafe extern "C" fn seven(_: *mut c_void) -> c_int {
    7
}

#[test]
fn a_libcrypto_that_comes_late_is_found() {
    let siding = SIDING.get_or_init(|| Api::load(&dlopened::siding()));
    let (mut job, mut ret, none) = (ptr::null_mut(), 0, ptr::null_mut());
    let start = |job: &mut *mut c_void, ret: &mut c_int, function, args, size| {
        (siding.start_job)(job, none, ret, function, args, size)
    };
    // Without it everything works, and errors go nowhere.
    assert_eq!(start(&mut job, &mut ret, seven, ptr::null(), 0), 3);
    job = ptr::without_provenance_mut(1);
    assert_eq!(start(&mut job, &mut ret, seven, ptr::null(), 0), 0);

    let crypto = open("libcrypto.so.3");
    macro_rules! function {
        ($name:literal as $type:ty) => {
            // SAFETY: it has had this type since OpenSSL 3.0.
            unsafe { mem::transmute::<*mut c_void, $type>(find(crypto, $name)) }
        };
    }
    let new = function!(c"OSSL_LIB_CTX_new" as extern "C" fn() -> *mut c_void);
    let get_error = function!(c"ERR_get_error" as extern "C" fn() -> c_ulong);
    let set = function!(c"OSSL_LIB_CTX_set0_default" as SetDefault);
    SET_DEFAULT.set(set).unwrap();
    assert_eq!(get_error(), 0);
    job = ptr::without_provenance_mut(1);
    assert_eq!(start(&mut job, &mut ret, seven, ptr::null(), 0), 0);
    assert_eq!((get_error(), get_error()), (51 << 23 | 0xC0103, 0));

    let (global, jobs) = (set_default(ptr::null_mut()), new());
    let args = ptr::from_ref(&jobs).cast();
    assert_eq!(start(&mut job, &mut ret, switches_its_default, args, size_of_val(&jobs)), 2);
    assert_eq!(set_default(ptr::null_mut()), global);
    assert_eq!(start(&mut job, &mut ret, seven, ptr::null(), 0), 3);
    assert_eq!(set_default(ptr::null_mut()), global);
}
