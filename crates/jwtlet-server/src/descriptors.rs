//! The limit on open files, of which each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// What the process opens besides the connections of its clients: Kubernetes, Vault, the database, files.
const OTHERS: u64 = 256;

/// Raises the soft limit to the hard one, and warns when both ports may have more connections than that allows. The usual
/// soft limit of 1024 is for programs that cannot count further.
pub fn raise_limit(max_connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    // A limit that cannot be raised stays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let wanted = u64::try_from(max_connections).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(OTHERS);
    if let Some(limit) = getrlimit(Resource::Nofile).current
        && limit < wanted
    {
        warn!(limit, wanted, "the limit on open files is too low for http.max_connections on both ports");
    }
}
