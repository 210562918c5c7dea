//! The `convoke` program, and runs of it that end.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it logged or complained of.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Run {
    /// Asserts the exit code; the message has everything that the command said.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "exit code, after {self:#?}");
        self
    }

    /// Asserts that stderr has all of these words, in any case of letters.
    #[track_caller]
    pub fn expect_complaint(&self, words: &[&str]) -> &Self {
        let stderr = self.stderr.to_lowercase();
        for word in words {
            assert!(
                stderr.contains(&word.to_lowercase()),
                "no {word:?} on stderr: {self:#?}"
            );
        }
        assert!(!stderr.contains("panicked"), "a panic: {self:#?}");
        self
    }
}

/// The program under test: built once a process where `TESTS_BINARY_BUILT` is not set.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = std::env::current_exe().expect("a running test has a path");
        // target/debug/deps/test-0123 or target/debug/soak → target/debug
        let folder = test.parent().expect("a program lies in a folder");
        let profile = match folder.parent() {
            Some(profile) if folder.ends_with("deps") => profile,
            _ => folder,
        };
        if std::env::var_os("TESTS_BINARY_BUILT").is_none() {
            build(profile.ends_with("release"));
        }
        let binary = profile.join("convoke");
        assert!(
            binary.exists(),
            "{} is missing: cargo build -p convoke-cli",
            binary.display()
        );
        binary
    })
}

fn build(release: bool) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--quiet",
        "--package",
        "convoke-cli",
        "--bin",
        "convoke",
    ]);
    if release {
        cargo.arg("--release");
    }
    let status = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo build -p convoke-cli failed");
}

/// Runs a command to its end, 60 s at most.
pub fn run(command: &mut Command) -> Run {
    run_within(command, Duration::from_secs(60))
}

/// Runs a command to its end.
///
/// # Panics
/// When it takes longer than `limit`; it is killed first.
pub fn run_within(command: &mut Command, limit: Duration) -> Run {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    // Files, not pipes: a full pipe would stop a command that talks much.
    let create =
        |name| std::fs::File::create(folder.path().join(name)).expect("a fresh folder is writable");
    let read = |name| std::fs::read(folder.path().join(name)).expect("written by the command");
    let text = |name| String::from_utf8_lossy(&read(name)).into_owned();
    command
        .stdin(Stdio::null())
        .stdout(create("out"))
        .stderr(create("err"));
    let began = Instant::now();
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let status: ExitStatus = loop {
        match child.try_wait().expect("the child is ours") {
            Some(status) => break status,
            None if began.elapsed() > limit => {
                child.kill().expect("the child is ours");
                child.wait().expect("the child is ours");
                panic!(
                    "{command:?} did not end within {limit:?}:\n{}\n{}",
                    text("out"),
                    text("err")
                );
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    Run {
        code: status.code(),
        stdout: text("out"),
        stderr: text("err"),
        took: began.elapsed(),
    }
}
