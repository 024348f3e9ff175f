//! Single cases by the clock under criterion: for watching one figure over time. For comparing
//! libraries use `ci/bench`, which interleaves them.
//!
//! `cargo bench --bench single`

use criterion::{criterion_group, criterion_main};

mod cases;

criterion_group!(benches, cases::all);
criterion_main!(benches);
