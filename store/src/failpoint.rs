//! Named places where a test build kills itself, as `kill -9` would, or panics, if the environment says so. Without the
//! feature `failpoints` nothing of it is in the program.

/// A place where a process of a test may die.
///
/// With the feature `failpoints` and `FAILPOINTS="name=return"` in the environment the process
/// kills itself here; with `name=panic` this thread panics; `name=3*off->return` lets three pass first. Where
/// several pass the same place each may be named alone: `name@one=return`. Without the feature it is
/// nothing.
#[macro_export]
macro_rules! failpoint {
    ($name:expr) => {
        $crate::failpoint::reached($name)
    };
    ($name:expr, $of:expr) => {
        $crate::failpoint::reached_by($name, $of)
    };
}

/// Called by [`failpoint!`](crate::failpoint!).
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn reached(_name: &str) {}

/// Called by [`failpoint!`](crate::failpoint!) for one of several.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn reached_by(_name: &str, _of: &str) {}

/// Called by [`failpoint!`](crate::failpoint!) for one of several.
#[cfg(feature = "failpoints")]
pub fn reached_by(name: &str, of: &str) {
    reached(name);
    reached(&format!("{name}@{of}"));
}

/// Whether a test build takes a protection away here: `FAILPOINTS="name=return"`. For control runs, which show that a
/// test notices the missing protection.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn is_weakened(_name: &str) -> bool {
    false
}

/// Whether a test build takes a protection away here: `FAILPOINTS="name=return"`. For control runs, which show that a
/// test notices the missing protection.
#[cfg(feature = "failpoints")]
pub fn is_weakened(name: &str) -> bool {
    from_environment();
    fail::fail_point!(name, |_| true);
    false
}

/// Called by [`failpoint!`](crate::failpoint!).
#[cfg(feature = "failpoints")]
pub fn reached(name: &str) {
    from_environment();
    fail::fail_point!(name, |_| die());
}

/// As `kill -9` ends a process: nothing of it runs any more, no handler and no destructor.
#[cfg(feature = "failpoints")]
fn die() -> ! {
    use rustix::process::{Signal, getpid, kill_process};
    let error = kill_process(getpid(), Signal::KILL);
    // A signal that a process sends itself arrives before the call returns.
    unreachable!("still alive: {error:?}")
}

/// Reads the environment once. Not by `FailScenario`, which would shut tests out that configure
/// failpoints in process.
#[cfg(feature = "failpoints")]
#[expect(clippy::disallowed_methods, reason = "failpoints have no other configuration")]
fn from_environment() {
    static READ: std::sync::Once = std::sync::Once::new();
    READ.call_once(|| {
        let configured = std::env::var("FAILPOINTS").unwrap_or_default();
        for (name, actions) in configured.split(';').filter_map(|point| point.split_once('=')) {
            if let Err(error) = fail::cfg(name, actions) {
                tracing::error!(name, actions, error, "failpoint");
            }
        }
    });
}
