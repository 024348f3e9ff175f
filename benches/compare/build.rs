//! Builds the part of Boost.Context's peer that is C++, if this system has that library
//! (Debian: libboost-context-dev); else the peer is absent, and the table says so.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/peers/boost.cpp");
    // Looked at again when it is installed.
    println!("cargo::rerun-if-changed=/usr/include/boost/context/fiber.hpp");
    let built = cc::Build::new()
        .cpp(true)
        .file("src/peers/boost.cpp")
        .cargo_warnings(false)
        .try_compile("siding_peer_boost");
    if built.is_ok() {
        println!("cargo::rustc-link-lib=boost_context");
        println!("cargo::rustc-cfg=boost");
    }
}
