//! Modules found at link time.

use super::Module;

/// A module that is linked into the program; created by [`register!`](crate::register).
pub struct Registration {
    make: fn() -> Box<dyn Module>,
}

impl Registration {
    /// Registers the module that this function creates.
    #[must_use]
    pub const fn new(make: fn() -> Box<dyn Module>) -> Self {
        Self { make }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}

inventory::collect!(Registration);

/// Returns every module linked into the program, sorted by name, because the linker's order is arbitrary.
pub(crate) fn discovered() -> Vec<Box<dyn Module>> {
    let mut modules: Vec<_> = inventory::iter::<Registration>
        .into_iter()
        .map(|registration| (registration.make)())
        .collect();
    modules.sort_by(|a, b| a.name().cmp(b.name()));
    modules
}

/// Makes a module part of every host of the program that calls
/// [`HostBuilder::discover`](crate::HostBuilder::discover). Takes an expression whose value is the module.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// # struct Metrics;
/// # impl isopod_host::Module for Metrics {
/// #     fn name(&self) -> &str { "metrics" }
/// # }
/// isopod::host::register!(Metrics);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! register {
    ($module:expr) => {
        $crate::inventory::submit! {
            $crate::Registration::new(|| ::std::boxed::Box::new($module))
        }
    };
}
