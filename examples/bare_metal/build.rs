//! Where the machine has its memory.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=machine");
    let variable = |name| env::var(name).expect("cargo sets it");
    if variable("CARGO_CFG_TARGET_OS") == "none" {
        let directory = variable("CARGO_MANIFEST_DIR");
        let arch = variable("CARGO_CFG_TARGET_ARCH");
        println!("cargo::rustc-link-arg-bins=-T{directory}/machine/{arch}.ld");
    }
}
