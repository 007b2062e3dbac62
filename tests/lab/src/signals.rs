//! The signals that ask us to end. They are noted, and asked about wherever `lab` waits: so a scene
//! that is interrupted ends like one that fails. Its programs are killed and its folder goes; then
//! the signal does to us what it does to anyone.

use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::libc::c_int;
use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

const SIGNALS: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// The first that came; 0 before it.
static NOTED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(number: c_int) {
    let _ = NOTED.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
}

/// From now on these signals are noted, but for those that we were started to ignore, as by nohup.
/// A second one of a kind ends us at once.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART | SaFlags::SA_RESETHAND, SigSet::empty());
        for signal in SIGNALS {
            // SAFETY: the handler writes one atomic number.
            let before = unsafe { sigaction(signal, &action) };
            if let Ok(before) = before
                && matches!(before.handler(), SigHandler::SigIgn)
            {
                // SAFETY: to ignore needs no handler.
                let _ = unsafe { sigaction(signal, &before) };
            }
        }
    });
}

/// The signal that has come, if one has.
pub fn noted() -> Option<Signal> {
    Signal::try_from(NOTED.load(Ordering::Relaxed)).ok()
}

/// An error that names the signal, once one has come.
pub fn check() -> Result<()> {
    match noted() {
        Some(signal) => bail!("ended by {signal}"),
        None => Ok(()),
    }
}

/// Sleeps for so long, or until a signal comes.
pub fn sleep(duration: Duration) {
    // An error is that of the signal.
    let _ = poll(&mut [], PollTimeout::try_from(duration).unwrap_or(PollTimeout::MAX));
}

/// What `look` finds, looking again and again for so long, a breath between; none if it finds nothing.
/// Fails as `look` does, or if a signal has come.
pub fn wait<T>(limit: Duration, breath: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let start = Instant::now();
    loop {
        let found = look()?;
        if found.is_some() || start.elapsed() > limit {
            return Ok(found);
        }
        check()?;
        thread::sleep(breath);
    }
}

/// Ends us by the signal that has come, if one has.
pub fn obey() {
    if let Some(signal) = noted() {
        // SA_RESETHAND has restored its default action.
        let _ = raise(signal);
    }
}
