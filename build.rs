//! Assembles `asm/<arch>.S`, the out-of-line switch and the entry trampoline.

use std::env;

fn main() {
    // `cc` prints no `rerun-if-changed` for assembly, and the first line printed
    // switches cargo's own default off: name everything.
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=asm");

    if env::var_os("CARGO_FEATURE_STD").is_some() && !lists("CARGO_CFG_TARGET_HAS_ATOMIC", "64") {
        println!(
            "cargo::error=siding needs atomic integers of 64 bits, which {} has not: leave out the \
             feature std",
            variable("TARGET")
        );
    }
    let arch = variable("CARGO_CFG_TARGET_ARCH");
    if env::var_os("CARGO_CFG_SIDING_UCONTEXT").is_some() {
        ucontext();
    } else if has_assembly(&arch) {
        if cannot_be_inlined(&arch) {
            println!("cargo::rustc-cfg=siding_outline");
        }
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
            "cargo::error=siding has no context switch for {}, nor has that glibc's ucontext: see \
             \"Platforms\" in README.md",
            variable("TARGET")
        );
    }
}

/// Whether the assembly is for this target. An architecture has several ABIs, and an assembler
/// takes the code of one for another without a word.
fn has_assembly(arch: &str) -> bool {
    let (os, target) = (variable("CARGO_CFG_TARGET_OS"), variable("TARGET"));
    let wide = variable("CARGO_CFG_TARGET_POINTER_WIDTH") == "64";
    let coff = matches!(&*os, "windows" | "uefi" | "cygwin");
    let feature = |name| lists("CARGO_CFG_TARGET_FEATURE", name);
    match arch {
        // Of what calls like Windows, `asm_abi` and the assembly know Windows alone; and of its
        // assemblers GNU's syntax.
        "x86_64" => wide && (!coff || os == "windows" && variable("CARGO_CFG_TARGET_ENV") == "gnu"),
        // Elsewhere structures are returned in registers. SSE: the prefetch and the control word
        // of floating point, which i586 lacks.
        "x86" => matches!(&*os, "linux" | "android" | "none") && feature("sse"),
        "aarch64" => wide && !coff && feature("neon"),
        // The extension D, which a stable compiler does not name.
        "riscv64" => !target.starts_with("riscv64im"),
        // What holds for the targets that have VFP registers and are not Thumb code.
        "arm" => {
            matches!(&*os, "linux" | "none")
                && variable("CARGO_CFG_TARGET_ABI") == "eabihf"
                && !target.starts_with("thumb")
        }
        // The big-endian ABI is another one.
        "powerpc64" => variable("CARGO_CFG_TARGET_ENDIAN") == "little",
        // Without a system there are no floating-point registers.
        "s390x" => os == "linux",
        _ => false,
    }
}

/// Whether the switch has to be a call.
fn cannot_be_inlined(arch: &str) -> bool {
    match arch {
        "x86_64" => has_registers_without_a_name(),
        // There a function may be Thumb code (`instruction_set(arm::t32)`), where the addresses and
        // the frame pointer are others; the compiler inlines all the same (until its LLVM is 23).
        "arm" => variable("CARGO_CFG_TARGET_OS") == "none",
        _ => false,
    }
}

/// Whether this is built for processors with APX. Stable `asm!` cannot name their r16 to r31, so the
/// inlined switch would lose what the compiler keeps there; a call loses nothing. As long as the
/// feature is unstable cargo does not tell, but the flags do.
fn has_registers_without_a_name() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    // `-C` stands before the rest, or by itself.
    let mut options = flags.split('\x1f').map(|flag| {
        let flag = flag.strip_prefix("-C").or(flag.strip_prefix("--codegen=")).unwrap_or(flag);
        flag.split_once('=').unwrap_or((flag, ""))
    });
    let brings_them = |(name, value): (&str, &str)| match (name, value) {
        ("target-feature", list) => list.split(',').any(|each| matches!(each, "+apxf" | "+egpr")),
        ("target-cpu", "native") => host_has_apx(),
        ("target-cpu", cpu) => matches!(cpu, "diamondrapids" | "novalake"),
        _ => false,
    };
    lists("CARGO_CFG_TARGET_FEATURE", "apxf") || options.any(brings_them)
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, unused_unsafe, reason = "Rust 1.88 wants it, later ones do not")]
fn host_has_apx() -> bool {
    use std::arch::x86_64::__cpuid_count;
    const APX_F: u32 = 1 << 21;
    // SAFETY: every 64-bit processor has the instruction.
    let leaf = |leaf, part| unsafe { __cpuid_count(leaf, part) };
    leaf(0, 0).eax >= 7 && leaf(7, 0).eax >= 1 && leaf(7, 1).edx & APX_F != 0
}

/// Then the target's processor is not the host's.
#[cfg(not(target_arch = "x86_64"))]
fn host_has_apx() -> bool {
    false
}

/// Compiles the switch by the C library.
fn ucontext() {
    let mut build = cc::Build::new();
    build.file("asm/ucontext.c").std("gnu11");
    // Other frames are unwound through ours; and a user's flags must not make it slower still.
    build.flag("-fexceptions").flag("-fasynchronous-unwind-tables").flag("-fvisibility=hidden");
    build.opt_level(2).extra_warnings(true);
    build.compile("siding_asm");
}

fn assemble(arch: &str) {
    // docs.rs links nothing, and has no cross compilers.
    if env::var_os("DOCS_RS").is_some() {
        return;
    }
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

/// Whether `item` is in a list of cargo's, which sets no empty ones.
fn lists(name: &str, item: &str) -> bool {
    env::var(name).is_ok_and(|list| list.split(',').any(|each| each == item))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
