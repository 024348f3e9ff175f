//! Assembles `asm/<arch>.S`, the out-of-line switch and the entry trampoline.

use std::env;

/// Architectures with a backend; all with 64-bit pointers.
const SUPPORTED: [&str; 3] = ["x86_64", "aarch64", "riscv64"];

fn main() {
    // `cc` prints no `rerun-if-changed` for assembly, and the first line printed
    // switches cargo's own default off: name everything.
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=asm");

    let arch = variable("CARGO_CFG_TARGET_ARCH");
    let wide = variable("CARGO_CFG_TARGET_POINTER_WIDTH") == "64";
    if !(wide && SUPPORTED.contains(&arch.as_str())) {
        println!(
            "cargo::error=siding has no context switch for {}; supported are 64-bit {}",
            variable("TARGET"),
            SUPPORTED.join(", ")
        );
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

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
