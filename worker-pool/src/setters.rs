//! Methods that set the fields of a struct of settings.

/// Gives a `#[non_exhaustive]` struct a method for each field that is named, so that other crates can make one:
/// `Options::default().concurrency(1)`.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($type:ident { $($field:ident: $value:ty),* $(,)? }) => {
        impl $type {
            $(
                #[doc = concat!("Sets the field `", stringify!($field), "`.")]
                #[must_use]
                pub fn $field(mut self, $field: $value) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}
