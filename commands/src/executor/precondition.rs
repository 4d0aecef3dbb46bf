//! The preconditions of HTTP, `If-Match` and `If-None-Match`, over the version of an aggregate.

/// Which versions of an aggregate a command may change. The default allows every version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// `If-Match`: the version must be one of these.
    pub one_of: Option<Vec<i64>>,
    /// `If-None-Match`: the version must be none of these.
    pub none_of: Vec<i64>,
    /// `If-None-Match: *`: the aggregate must not exist.
    pub must_be_new: bool,
}

impl Precondition {
    /// The precondition that the version is exactly this one.
    pub fn version(version: i64) -> Self {
        Self { one_of: Some(vec![version]), ..Self::default() }
    }

    /// Whether `If-Match` allows this version.
    pub(crate) fn is_matched_by(&self, version: i64) -> bool {
        self.one_of.as_ref().is_none_or(|allowed| allowed.contains(&version))
    }

    /// Whether `If-None-Match` excludes this version.
    pub(crate) fn excludes(&self, version: i64) -> bool {
        self.none_of.contains(&version) || (self.must_be_new && version > 0)
    }
}
