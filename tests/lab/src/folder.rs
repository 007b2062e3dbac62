//! Working folders that are removed: each by its owner, and the folder of an owner that was killed by
//! the next one that starts.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{self, Path, PathBuf};
use std::process;
use std::sync::Once;

use anyhow::{Context, Result};
use nix::unistd::getuid;

const PREFIX: &str = "lab-";

/// The file in a folder that its owner keeps locked for as long as it lives.
const OWNER: &str = ".owner";

/// A new folder among those for temporary files; dropping it removes it.
pub struct Folder {
    path: PathBuf,
    _owner: File,
}

impl Folder {
    /// Makes one, after having removed, once in a process, those whose owners are gone.
    /// Fails if it cannot be made.
    pub fn new() -> Result<Folder> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let own = |path: &Path| -> Result<File> {
            // It is locked before it has the name that others look for.
            let nameless = path.join(".owner-to-be");
            let owner = File::create(&nameless)?;
            owner.try_lock()?;
            fs::rename(&nameless, path.join(OWNER))?;
            Ok(owner)
        };
        let make = || -> Result<Folder> {
            let path = new_folder()?;
            let owner = own(&path).inspect_err(|_| drop(fs::remove_dir_all(&path)))?;
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
        // A folder that cannot be removed is left for the next sweep.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The folder for temporary files, by a path that holds in every working folder.
fn temp_dir() -> io::Result<PathBuf> {
    let folder = env::temp_dir();
    path::absolute(if folder.as_os_str().is_empty() { Path::new("/tmp") } else { &folder })
}

/// A folder that nobody else has, for us alone.
fn new_folder() -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        let path = temp_dir()?.join(format!("{PREFIX}{}-{number}", process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            outcome => return outcome.map(|()| path),
        }
    }
}

/// Removes our user's folders that nobody owns any more; one that cannot be removed stays.
fn sweep() {
    for entry in temp_dir().and_then(fs::read_dir).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX) && entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == getuid().as_raw());
        if is_ours
            && let Ok(owner) = File::open(entry.path().join(OWNER))
            && owner.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
