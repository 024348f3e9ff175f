//! Random sequences, and those that the fuzzer has kept.

use std::fs;
use std::path::Path;
use std::thread;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_calls_does_what_the_model_says(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        // On a thread of its own: what a failure leaves behind must not disturb the next try.
        let outcome = thread::spawn(move || siding_fuzz::run(&bytes)).join();
        prop_assert!(outcome.is_ok());
    }
}

#[test]
fn what_the_fuzzer_has_found_still_does_what_the_model_says() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut count = 0;
    for entry in fs::read_dir(corpus).expect("the corpus is there") {
        siding_fuzz::run(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 10, "only {count} files in the corpus");
}
