//! Why a call failed: the list of strings that XenAPI clients get, a code and its parameters.

use std::fmt;

/// A failed call. The first string is the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub Vec<String>);

/// What a call gives.
pub type Reply<T = crate::value::Value> = Result<T, Failure>;

impl Failure {
    /// A failure with this code and these parameters.
    pub fn new<const N: usize>(code: &str, parameters: [&str; N]) -> Self {
        Self(std::iter::once(code).chain(parameters).map(str::to_owned).collect())
    }

    /// The code.
    pub fn code(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// The reference names no object of the class.
    pub fn handle(class: &str, reference: &str) -> Self {
        Self::new("HANDLE_INVALID", [class, reference])
    }

    /// Something the real server did not foresee either; it tells it in the words of its own language.
    pub fn internal(text: &str) -> Self {
        Self::new("INTERNAL_ERROR", [text])
    }

    /// The operation is not allowed on this object now.
    pub fn not_allowed(text: &str) -> Self {
        Self::new("OPERATION_NOT_ALLOWED", [text])
    }

    /// A value that is not allowed for a field.
    pub fn invalid_value(field: &str, value: &str) -> Self {
        Self::new("INVALID_VALUE", [field, value])
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("|"))
    }
}

impl std::error::Error for Failure {}
