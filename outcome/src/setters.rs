//! Generates setter methods for structs of settings.

/// Adds a setter for each named field of a `#[non_exhaustive]` struct, so that other crates can create one:
/// `Limits::default().cpu(limit)`.
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
