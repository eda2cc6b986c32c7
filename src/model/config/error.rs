//! What is wrong with a config.json, and where.

/// A config.json that cannot be planned with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not a JSON object.
    #[error("{place}: {problem}")]
    NotJson {
        /// The file or address.
        place: String,
        /// What the parser says, with line and column.
        problem: String,
    },
    /// A field that the architecture needs is not there.
    #[error("{place}: {field}: missing, expected {expected}")]
    Missing {
        /// The file or address.
        place: String,
        /// The field, with the objects that it stands in: `text_config.hidden_size`.
        field: String,
        /// What should be there.
        expected: String,
    },
    /// A field holds something that makes no sense.
    #[error("{place}: {field}: expected {expected}, found {found}")]
    Invalid {
        /// The file or address.
        place: String,
        /// The field, with the objects that it stands in: `text_config.hidden_size`.
        field: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}
