//! Comparison of optional shared objects.

/// Compares values of a type by the identity of the shared object that they may have. `Debug` shows one of the two words.
macro_rules! by_identity {
    ($type:ident, $some:literal, $none:literal) => {
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                match (&self.0, &other.0) {
                    (None, None) => true,
                    (Some(one), Some(other)) => std::sync::Arc::ptr_eq(one, other),
                    _ => false,
                }
            }
        }

        impl Eq for $type {}

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let word = if self.0.is_some() { $some } else { $none };
                write!(f, concat!(stringify!($type), "({})"), word)
            }
        }
    };
}
pub(super) use by_identity;
