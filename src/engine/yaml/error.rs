//! What can be wrong with a YAML text before anybody looks at its meaning.

use crate::engine::arguments::Place;

/// A YAML text that is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}:{}: {problem}", place.file, place.line, place.column)]
pub struct YamlError {
    /// File, line and column of the first thing that is wrong.
    pub place: Place,
    /// What is wrong there.
    pub problem: YamlProblem,
}

/// The ways in which a YAML text is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlProblem {
    /// The bytes are another encoding than UTF-8.
    #[error("the file is {0}, and a configuration must be UTF-8; convert it with `iconv -f {0} -t UTF-8`")]
    OtherEncoding(&'static str),
    /// A byte sequence that no UTF-8 text has.
    #[error("a byte that is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// A control character that YAML forbids.
    #[error("the control character U+{0:04X}, which YAML does not allow")]
    ControlCharacter(u32),
    /// More text than any configuration has.
    #[error("the file has {0} bytes; a configuration may have {limit} at most", limit = super::MAX_BYTES)]
    TooLarge(usize),
    /// A tab outside quotes and comments.
    #[error("a tab; YAML is indented and separated with spaces only")]
    Tab,
    /// Not YAML.
    #[error("not valid YAML: {0}")]
    Syntax(String),
    /// More than one document where one is expected.
    #[error("a second document starts here; the file must hold one")]
    SecondDocument,
    /// No document at all where one is expected.
    #[error("the file is empty; it must hold a mapping of flags, such as `max-model-len: 8192`")]
    Empty,
    /// Something else than a mapping at the top.
    #[error("the top level is {0}; it must be a mapping of flags, such as `max-model-len: 8192`")]
    NotAMapping(&'static str),
    /// A key given twice in one mapping.
    #[error("`{key}` stands here again; it was set in line {first}, and PyYAML would take the last silently; keep one")]
    DuplicateKey {
        /// The key as it stands here.
        key: String,
        /// Line of its first appearance.
        first: usize,
    },
    /// A flag given twice under two spellings.
    #[error("`{key}` is the same flag as `{earlier}` in line {first}; keep one")]
    DuplicateFlag {
        /// The key as it stands here.
        key: String,
        /// The key as it stood before.
        earlier: String,
        /// Line of its first appearance.
        first: usize,
    },
    /// A key that is a list or a mapping.
    #[error("a key is {0}; keys must be plain words")]
    KeyNotScalar(&'static str),
    /// A key that is not a word: null, a number, a boolean.
    #[error("the key `{0}` is not a flag name; quote it if it is one")]
    KeyNotText(String),
    /// A flag written with its dashes.
    #[error("`{0}` starts with dashes; in a file, flags stand without them: `{bare}`", bare = .0.trim_start_matches('-'))]
    DashedFlag(String),
    /// Nested too deeply.
    #[error("nested more than {limit} levels deep", limit = super::MAX_DEPTH)]
    TooDeep,
    /// More values than any configuration has, aliases expanded.
    #[error("more than {limit} values once aliases are expanded", limit = super::MAX_NODES)]
    TooManyNodes,
    /// An alias inside the value that it names.
    #[error("an alias refers to the value that it stands in")]
    AliasToItself,
    /// A merge key without mappings to merge.
    #[error("`<<` merges mappings, and this is {0}")]
    MergeOfOther(&'static str),
    /// A tag that asks for another type than the value's own.
    #[error("the tag `{0}` is refused; write the value without it")]
    Tag(String),
    /// `--set` or `--env` without an equals sign, or with a bad name before it.
    #[error("`{given}` is not {wanted}")]
    NotAnAssignment {
        /// What was given.
        given: String,
        /// What it should look like.
        wanted: &'static str,
    },
}
