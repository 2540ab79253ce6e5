//! Exit codes from errors.

use cairndb::types::ErrorKind;

/// Damage that a command found and printed.
#[derive(Debug)]
pub struct Damaged(pub usize);

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places = if self.0 == 1 { "place is" } else { "places are" };
        write!(f, "{} {places} damaged; restore the files named above from a copy", self.0)
    }
}

impl std::error::Error for Damaged {}

/// Something that is not what it should be, by a proof or for want of one.
#[derive(Debug)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Something a user named that is not there.
#[derive(Debug)]
pub struct NotFound(pub String);

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotFound {}

/// A command that was run for the caller ended with this code, other than 0.
#[derive(Debug)]
pub struct Passed(pub u8);

impl std::fmt::Display for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the command ended with {}", self.0)
    }
}

impl std::error::Error for Passed {}

/// The code to pass on without a word, if there is one.
pub fn passed(error: &anyhow::Error) -> Option<u8> {
    error.downcast_ref().map(|Passed(code)| *code)
}

/// The exit code for an error: 1 not found, 2 usage, 3 damaged, 4 unavailable, 5 not allowed.
pub fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<Damaged>() || cause.is::<Refused>() {
            return 3;
        }
        if cause.is::<NotFound>() {
            return 1;
        }
        if cause.is::<crate::cmd::lock::Unavailable>() {
            return 4;
        }
        let engine =
            cause.downcast_ref::<cairndb::engine::Error>().map(cairndb::engine::Error::kind);
        let log = cause.downcast_ref::<cairndb::log::Error>().map(cairndb::log::Error::kind);
        let file = cause.downcast_ref::<cairndb::vfs::Error>().map(cairndb::vfs::Error::kind);
        let keys = cause.downcast_ref::<cairndb::keys::Error>().map(cairndb::keys::Error::kind);
        let auth = cause.downcast_ref::<cairndb::auth::Error>().map(cairndb::auth::Error::kind);
        let cache = cause.downcast_ref::<cairn_cache::Error>().map(cairn_cache::Error::kind);
        let graph = cause.downcast_ref::<cairn_graph::Error>().map(cairn_graph::Error::kind);
        let adapter = cache.or(graph);
        if let Some(kind) = adapter.or(engine).or(keys).or(log).or(file).or(auth) {
            return match kind {
                ErrorKind::NotFound => 1,
                ErrorKind::Invalid | ErrorKind::Conflict => 2,
                ErrorKind::Corrupt | ErrorKind::Unsupported => 3,
                ErrorKind::Denied => 5,
                _ => 4,
            };
        }
        if let Some(kind) = proof_kind(cause) {
            return match kind {
                ErrorKind::NotFound => 1,
                ErrorKind::Invalid | ErrorKind::Conflict => 2,
                // What is not proven is not believed.
                ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::Denied => 3,
                _ => 4,
            };
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return if io.kind() == std::io::ErrorKind::NotFound { 1 } else { 4 };
        }
    }
    2
}

/// What an error of proofs asks for.
fn proof_kind(cause: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    use cairndb::engine::proof;
    use cairndb::merkle;
    let proof = cause.downcast_ref::<proof::Error>().map(proof::Error::kind);
    let tree = cause.downcast_ref::<merkle::Error>().map(merkle::Error::kind);
    let map = cause.downcast_ref::<merkle::map::Error>().map(merkle::map::Error::kind);
    let dag = cause.downcast_ref::<merkle::dag::Error>().map(merkle::dag::Error::kind);
    proof.or(tree).or(map).or(dag)
}

/// Whether the reader of our output went away, as `head` does.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
