//! A program whose lines are awaited as it prints them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use tempfile::TempDir;

use crate::log_conformance::GENEROUS;

/// A running program. Killed when dropped.
pub(crate) struct Lines {
    child: Child,
    printed: mpsc::Receiver<String>,
    errors: TempDir,
}

impl Lines {
    pub(crate) fn of(mut command: Command) -> Self {
        let errors = TempDir::new().unwrap();
        let file = File::create(errors.path().join("stderr")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, printed) = mpsc::channel();
        // Ends with the program, or with whoever listens.
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
        });
        Self { child, printed, errors }
    }

    /// The next line that it prints.
    pub(crate) fn next(&self) -> String {
        self.printed.recv_timeout(GENEROUS).unwrap_or_else(|_| {
            let errors = std::fs::read_to_string(self.errors.path().join("stderr")).unwrap();
            panic!("it prints nothing more: {errors}")
        })
    }

    /// The next line that it prints; none once it has ended.
    pub(crate) fn next_if_any(&self) -> Option<String> {
        self.printed.recv().ok()
    }

    /// Waits until it has ended: what it says of why it failed, if it did.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        let status = self.child.wait().unwrap();
        let errors = std::fs::read_to_string(self.errors.path().join("stderr")).unwrap();
        if status.success() { Ok(()) } else { Err(errors) }
    }

    /// What it printed and nobody has taken yet.
    pub(crate) fn rest(&self) -> Vec<String> {
        self.printed.try_iter().collect()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
