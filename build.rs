//! Assembles `asm/<arch>.S`, the out-of-line switch and the entry trampoline.

use std::env;

/// Architectures with assembly.
const ASSEMBLY: [&str; 7] = ["x86_64", "aarch64", "riscv64", "x86", "arm", "powerpc64", "s390x"];

fn main() {
    // `cc` prints no `rerun-if-changed` for assembly, and the first line printed
    // switches cargo's own default off: name everything.
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=asm");

    let arch = variable("CARGO_CFG_TARGET_ARCH");
    if env::var_os("CARGO_CFG_SIDING_UCONTEXT").is_some() {
        ucontext();
    } else if has_assembly(&arch) {
        assemble(&arch);
    } else if env::var_os("CARGO_CFG_UNIX").is_some() && variable("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!(
            "cargo::warning=siding has no assembly for {}: switches go through ucontext, and are slow",
            variable("TARGET")
        );
        println!("cargo::rustc-cfg=siding_ucontext");
        ucontext();
    } else {
        println!(
            "cargo::error=siding has no context switch for {}; supported are {}, and what else has \
             glibc's ucontext",
            variable("TARGET"),
            ASSEMBLY.join(", ")
        );
    }
}

/// Not all of an architecture are alike.
fn has_assembly(arch: &str) -> bool {
    let fits = match arch {
        // Its prefetch and its control word of floating point, which i586 lacks.
        "x86" => variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "sse"),
        // What holds for the targets that have VFP registers and are not Thumb code.
        "arm" => {
            variable("CARGO_CFG_TARGET_ABI") == "eabihf" && !variable("TARGET").starts_with("thumb")
        }
        // The big-endian ABI is another one.
        "powerpc64" => variable("CARGO_CFG_TARGET_ENDIAN") == "little",
        _ => true,
    };
    fits && ASSEMBLY.contains(&arch)
}

/// Compiles the switch by the C library.
fn ucontext() {
    let mut build = cc::Build::new();
    build.file("asm/ucontext.c").std("gnu11");
    // Other frames are unwound through ours; and a user's flags must not make it slower still.
    build.flag("-fexceptions").flag("-fasynchronous-unwind-tables").flag("-fvisibility=hidden");
    build.opt_level(2).warnings_into_errors(true).extra_warnings(true);
    build.compile("siding_asm");
}

fn assemble(arch: &str) {
    let mut build = cc::Build::new();
    build.file(format!("asm/{arch}.S"));
    if arch == "riscv64" {
        // The registers it saves. Where there is no system `cc` would take the soft-float ABI.
        build.flag("-mabi=lp64d");
    }
    if env::var_os("CARGO_FEATURE_STD").is_none() {
        // Nothing of an operating system: write and abort, sanitizers, thread-locals.
        build.define("SIDING_NO_STD", None);
    }
    if arch.starts_with("x86") && variable("CARGO_CFG_TARGET_OS") == "linux" {
        // Defines __CET__, which <cet.h> turns into the IBT note and endbr.
        build.flag("-fcf-protection=branch");
    }
    build.compile("siding_asm");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
