//! What to do about an error, kept beside the error type.

/// An error that may know what its reader should do next.
pub trait Hint {
    /// One imperative sentence without a full stop, or `None` when the message says it all.
    fn hint(&self) -> Option<String>;
}
