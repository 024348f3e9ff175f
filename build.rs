//! Assembles `asm/<arch>.S`, the out-of-line switch and the entry trampoline.

use std::env;

const SUPPORTED: [&str; 1] = ["x86_64"];

fn main() {
    // `cc` prints no `rerun-if-changed` for assembly, and the first line printed
    // switches cargo's own default off: name everything.
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=asm");

    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");
    if !SUPPORTED.contains(&arch.as_str()) {
        // The sentence for the user is the compile_error! in src/arch/mod.rs.
        return;
    }
    let mut build = cc::Build::new();
    build.file(format!("asm/{arch}.S"));
    if arch == "x86_64" {
        // Defines __CET__, which <cet.h> turns into the IBT note and endbr64.
        build.flag("-fcf-protection=branch");
    }
    build.compile("siding_asm");
}
