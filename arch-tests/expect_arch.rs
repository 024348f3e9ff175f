//! Included by every test binary under a name that sorts first: on the wrong machine no
//! other result means anything. `ci/test` sets EXPECT_ARCH for each target.

#[test]
fn runs_on_the_expected_architecture() {
    if let Ok(expected) = std::env::var("EXPECT_ARCH") {
        assert_eq!(std::env::consts::ARCH, expected);
    }
}
