//! Working folders that do not stay behind: each goes with its owner, and what an owner that was
//! killed has left goes when the next one starts.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context, Result, anyhow};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{getuid, mkdtemp};

const PREFIX: &str = "lab-";

/// The file in a folder that its owner keeps locked for as long as it lives.
const OWNER: &str = ".owner";

/// A new folder among those for temporary files; dropping it removes it.
pub struct Folder {
    path: PathBuf,
    _owner: Flock<File>,
}

impl Folder {
    /// Makes one, after having removed, once in a process, those whose owners are gone.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn new() -> Result<Folder> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let make = || -> Result<Folder> {
            let path = mkdtemp(&env::temp_dir().join(format!("{PREFIX}XXXXXX")))?;
            // It is locked before it has the name that others look for.
            let nameless = path.join(".owner-to-be");
            let owner = Flock::lock(File::create(&nameless)?, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| anyhow!(error))?;
            fs::rename(&nameless, path.join(OWNER))?;
            Ok(Folder { path, _owner: owner })
        };
        make().with_context(|| format!("cannot make a working folder in {}", env::temp_dir().display()))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays for the next sweep.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes our user's folders that nobody owns any more; one that cannot be removed stays.
fn sweep() {
    for entry in fs::read_dir(env::temp_dir()).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX) && entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == getuid().as_raw());
        if is_ours
            && let Ok(owner) = File::open(entry.path().join(OWNER))
            && let Ok(_locked) = Flock::lock(owner, FlockArg::LockExclusiveNonblock)
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
