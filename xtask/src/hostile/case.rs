//! A test that covers a scenario.

/// A test's name, and the package that contains it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) package: String,
    pub(super) name: String,
    /// The test takes minutes and runs on its own.
    pub(super) nightly: bool,
}
