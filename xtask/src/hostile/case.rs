//! A test that shows a scenario.

/// A test by its name, in the package that its file belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) package: String,
    pub(super) name: String,
    /// It takes minutes, and runs by itself.
    pub(super) nightly: bool,
}
