//! Who this instance is. Its transactional ids carry the name, so that after a restart it ends what
//! its dead predecessor left open, at once; and no other instance may carry it, or the two would
//! fence each other for ever.

use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;

use super::{KafkaSettings, LogError};

/// Instances that share one directory, e.g. on a developer's machine.
const MOST: u32 = 64;

/// An instance's name, held while it runs.
pub(super) struct Slot {
    name: String,
    /// Locked; the system lets go of it when the process ends, however.
    _file: Option<File>,
}

impl Slot {
    /// The configured name, or one that is kept in the directory and that no live process holds.
    pub(super) fn take(settings: &KafkaSettings) -> Result<Self, LogError> {
        if let Some(name) = &settings.instance {
            return Ok(Self { name: name.clone(), _file: None });
        }
        let dir = &settings.state_dir;
        fs::create_dir_all(dir).map_err(|error| unusable(dir, &error))?;
        for number in 1..=MOST {
            let path = dir.join(format!("instance-{number}"));
            let mut file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|error| unusable(&path, &error))?;
            match file.try_lock() {
                Ok(()) => {
                    let name = name(&mut file).map_err(|error| unusable(&path, &error))?;
                    return Ok(Self { name, _file: Some(file) });
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(unusable(&path, &error)),
            }
        }
        Err(LogError::Open {
            path: dir.display().to_string(),
            problem: format!("{MOST} instances run on it already: give this one its own data_dir"),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The name in the file, made up if it is new.
fn name(file: &mut File) -> std::io::Result<String> {
    let mut name = String::new();
    file.take(64).read_to_string(&mut name)?;
    let name = name.trim();
    if !name.is_empty() {
        return Ok(name.to_owned());
    }
    let name = format!("{:016x}", fastrand::u64(..));
    writeln!(file, "{name}")?;
    file.sync_all()?;
    Ok(name)
}

fn unusable(path: &Path, error: &std::io::Error) -> LogError {
    LogError::Open {
        path: path.display().to_string(),
        problem: format!("{error}: set data_dir to a local directory you may write"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_with_its_instance_and_no_two_have_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let settings = KafkaSettings::new("localhost:9092", dir.path());
        let one = Slot::take(&settings).unwrap();
        let two = Slot::take(&settings).unwrap();
        assert_ne!(one.name(), two.name());
        let name = one.name().to_owned();
        drop(one);
        assert_eq!(Slot::take(&settings).unwrap().name(), name);
        let named = KafkaSettings { instance: Some("pod-0".to_owned()), ..settings };
        assert_eq!(Slot::take(&named).unwrap().name(), "pod-0");
    }
}
