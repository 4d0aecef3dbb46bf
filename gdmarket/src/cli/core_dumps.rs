//! Core dumps contain the database's password and names of persons, so the program writes none unless the setting
//! `telemetry.core_dumps` permits them.

use rustix::io;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Forbids core dumps; called before a secret is read.
pub(super) fn forbid() -> io::Result<()> {
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: Some(0), ..limit })?;
    // The limit doesn't apply to a handler that the kernel pipes dumps to.
    set_dumpable(false)
}

/// Permits core dumps, as far as the system's own limit does.
pub(super) fn permit() -> io::Result<()> {
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, ..limit })?;
    set_dumpable(true)
}

#[cfg(target_os = "linux")]
fn set_dumpable(is_dumpable: bool) -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(if is_dumpable {
        DumpableBehavior::Dumpable
    } else {
        DumpableBehavior::NotDumpable
    })
}

#[cfg(not(target_os = "linux"))]
fn set_dumpable(_: bool) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn core_dumps_are_forbidden_and_permitted() {
        let before = getrlimit(Resource::Core);
        forbid().unwrap();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
        permit().unwrap();
        assert_eq!(getrlimit(Resource::Core).current, before.maximum);
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::Dumpable));
        setrlimit(Resource::Core, before).unwrap();
    }
}
