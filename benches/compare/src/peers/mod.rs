//! The libraries, a file each.

use std::io;

use crate::peer::Visitor;

#[cfg(boost)]
mod boost;
mod corosensei;
mod generator;
mod openssl;
mod siding;
pub use siding::CONFIG;
mod swapcontext;
mod wasmtime;

/// Shows the visitor every peer that is here; returns the others, and why they are not.
pub fn each(visitor: &mut impl Visitor) -> Vec<(&'static str, String)> {
    let mut absent = Vec::new();
    visitor.visit::<siding::Siding>();
    visitor.visit::<siding::SidingJob>();
    visitor.visit::<corosensei::Corosensei>();
    visitor.visit::<generator::Generator>();
    #[cfg(boost)]
    visitor.visit::<boost::Boost>();
    #[cfg(not(boost))]
    absent.push(("Boost.Context", "not there when this was built: libboost-context-dev".into()));
    visitor.visit::<wasmtime::Wasmtime>();
    match openssl::load() {
        Ok(()) => visitor.visit::<openssl::OpenSsl>(),
        Err(why) => absent.push(("libcrypto ASYNC", why)),
    }
    visitor.visit::<swapcontext::Swapcontext>();
    absent
}

fn out_of_stacks(error: impl ToString) -> io::Error {
    io::Error::other(error.to_string())
}
