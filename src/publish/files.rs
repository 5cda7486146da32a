//! Files under one root: read within bounds, replaced in one step, never outside the root.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use tempfile::NamedTempFile;

use super::error::{PublishError, Result};

/// Bytes of the largest file that is read. Prompts are a thousandth of it.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// A folder that no path given to it leads out of.
pub(super) struct Files {
    root: PathBuf,
    scratch: PathBuf,
}

impl Files {
    /// `root` must be canonical. New contents are written in `scratch` first, on the same file system
    /// and out of sight, so that being killed there leaves nothing in the work tree.
    pub(super) fn new(root: PathBuf, scratch: PathBuf) -> Self {
        Self { root, scratch }
    }

    /// The whole path of a file.
    pub(super) fn absolute(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// The text of a file; none if it does not exist.
    pub(super) fn read(&self, path: &Path) -> Result<Option<String>> {
        let whole = self.checked(path)?;
        let file = match fs::File::open(&whole) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &whole, source)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| failed("read", &whole, source))?;
        let garbled = |problem: &str| PublishError::Garbled {
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_BYTES) {
            return Err(garbled("it is larger than 8 MiB"));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| garbled("it is not UTF-8"))
    }

    /// The names of what is in a folder, sorted; none if it does not exist.
    pub(super) fn names(&self, folder: &Path) -> Result<Vec<String>> {
        let whole = self.checked(folder)?;
        let entries = match fs::read_dir(&whole) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed("read", &whole, source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| failed("read", &whole, source))?;
            names.extend(entry.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// Replaces the file in one step if it still says `before` (or still does not exist); its
    /// permissions stay. `false` if somebody was faster.
    pub(super) fn replace(&self, path: &Path, before: Option<&str>, after: &str) -> Result<bool> {
        let whole = self.checked(path)?;
        let temporary = self.prepared(&whole, after)?;
        // As late as can be: what a person saves from here on is lost, and here is microseconds.
        if self.read(path)?.as_deref() != before {
            return Ok(false);
        }
        put(temporary, &whole)?;
        Ok(true)
    }

    /// Makes the file say `text`, whatever it holds: for files in which nobody else has a say. One that
    /// says so already is not touched.
    pub(super) fn overwrite(&self, path: &Path, text: &str) -> Result<()> {
        let whole = self.checked(path)?;
        if self.read(path).is_ok_and(|found| found.as_deref() == Some(text)) {
            return Ok(());
        }
        put(self.prepared(&whole, text)?, &whole)
    }

    /// A file of `text`, out of sight, with the permissions that `whole` has or would get.
    fn prepared(&self, whole: &Path, text: &str) -> Result<NamedTempFile> {
        let write = || {
            let folder = whole.parent().unwrap_or(&self.root);
            fs::create_dir_all(folder)?;
            fs::create_dir_all(&self.scratch)?;
            let mut temporary = NamedTempFile::new_in(&self.scratch)?;
            temporary.write_all(text.as_bytes())?;
            temporary.as_file().set_permissions(permissions(whole)?)?;
            temporary.as_file().sync_all()?;
            Ok(temporary)
        };
        write().map_err(|source| failed("write", whole, source))
    }

    /// The whole path, if no part of it leads elsewhere.
    fn checked(&self, path: &Path) -> Result<PathBuf> {
        let unsafe_path = |problem| PublishError::UnsafePath { path: path.to_owned(), problem };
        let mut whole = self.root.clone();
        for component in path.components() {
            let Component::Normal(name) = component else {
                return Err(unsafe_path("it leads out of the repository"));
            };
            whole.push(name);
            match fs::symlink_metadata(&whole) {
                Ok(metadata) if metadata.is_symlink() => {
                    return Err(unsafe_path("a part of it is a symbolic link: use a real file"));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(failed("read", &whole, source)),
            }
        }
        Ok(whole)
    }
}

fn put(temporary: NamedTempFile, whole: &Path) -> Result<()> {
    match temporary.persist(whole) {
        Ok(_file) => Ok(()),
        Err(error) => Err(failed("write", whole, error.error)),
    }
}

/// The permissions that the new file gets: the old one's, else what git gives a file.
fn permissions(path: &Path) -> std::io::Result<fs::Permissions> {
    use std::os::unix::fs::PermissionsExt as _;
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.permissions()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(fs::Permissions::from_mode(0o644)),
        Err(error) => Err(error),
    }
}

fn failed(doing: &'static str, path: &Path, source: std::io::Error) -> PublishError {
    PublishError::File { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let files = Files::new(root.clone(), root.join(".scratch"));
        (folder, files)
    }

    #[test]
    fn a_file_is_replaced_in_one_step_and_keeps_its_permissions() {
        let (folder, files) = files();
        let path = Path::new("a/b.yaml");
        assert_eq!(files.read(path).unwrap(), None);
        assert!(files.replace(path, None, "one").unwrap());
        let whole = folder.path().join(path);
        fs::set_permissions(&whole, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(files.replace(path, Some("one"), "two").unwrap());
        assert_eq!(fs::metadata(&whole).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(!files.replace(path, Some("one"), "three").unwrap(), "somebody was faster");
        assert!(!files.replace(path, None, "three").unwrap());
        assert_eq!(files.read(path).unwrap().unwrap(), "two");
        assert_eq!(files.names(Path::new("a")).unwrap(), ["b.yaml"]);
    }

    #[test]
    fn no_path_leads_out() {
        let (folder, files) = files();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("f"), "secret").unwrap();
        symlink(outside.path(), folder.path().join("link")).unwrap();
        symlink(outside.path().join("f"), folder.path().join("file")).unwrap();
        for path in ["../f", "link/f", "file", "/etc/passwd"] {
            let path = Path::new(path);
            let refused = |error| matches!(error, PublishError::UnsafePath { .. });
            assert!(files.read(path).is_err_and(refused), "{path:?}");
            assert!(files.replace(path, None, "x").is_err_and(refused), "{path:?}");
            assert!(files.overwrite(path, "x").is_err_and(refused), "{path:?}");
        }
        assert_eq!(fs::read_to_string(outside.path().join("f")).unwrap(), "secret");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let (folder, files) = files();
        fs::write(folder.path().join("f"), [0xff, 0xfe]).unwrap();
        fs::write(folder.path().join("g"), "x".repeat(9 << 20)).unwrap();
        for path in ["f", "g"] {
            let error = files.read(Path::new(path)).unwrap_err();
            assert!(matches!(error, PublishError::Garbled { .. }), "{error}");
            files.overwrite(Path::new(path), "text").unwrap();
            assert_eq!(files.read(Path::new(path)).unwrap().unwrap(), "text");
        }
    }
}
