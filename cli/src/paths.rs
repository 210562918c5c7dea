//! Where things lie on this machine when nobody says otherwise.

use std::path::{Path, PathBuf};

use convoke_core::NodeName;

use crate::config::Environment;

/// The longest path of a Unix socket in bytes: what `sun_path` holds, less the final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The places that the user and the environment decide.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    environment: Environment,
    root: bool,
}

impl Places {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        Self {
            environment: Environment::of_process(),
            root: rustix::process::geteuid().is_root(),
        }
    }

    /// Those of a made-up process.
    #[cfg(test)]
    pub(crate) fn of(environment: Environment, root: bool) -> Self {
        Self { environment, root }
    }

    /// What a node remembers.
    pub(crate) fn data_dir(&self, name: &NodeName) -> PathBuf {
        let base = match self.environment.path("XDG_STATE_HOME") {
            Some(state) => state.join("convoke"),
            None if self.root => PathBuf::from("/var/lib/convoke"),
            None => self.home().join(".local/state/convoke"),
        };
        base.join(name.as_str())
    }

    /// The cluster's secret.
    pub(crate) fn secret_file(&self) -> PathBuf {
        let config = self.environment.path("XDG_CONFIG_HOME");
        config
            .unwrap_or_else(|| self.home().join(".config"))
            .join("convoke/secret")
    }

    /// Where running nodes are registered.
    pub(crate) fn run_dir(&self) -> PathBuf {
        if let Some(runtime) = self.environment.path("XDG_RUNTIME_DIR") {
            return runtime.join("convoke");
        }
        match self.environment.path("XDG_STATE_HOME") {
            Some(state) => state.join("convoke/run"),
            None if self.root => PathBuf::from("/run/convoke"),
            None => self.home().join(".local/state/convoke/run"),
        }
    }

    /// The control socket of a node: in its data directory, or in the run directory where that
    /// path is too long for the system.
    pub(crate) fn control_socket(&self, name: &NodeName, data_dir: &Path) -> PathBuf {
        let beside = data_dir.join("control.sock");
        match beside.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            true => beside,
            false => self.run_dir().join(format!("{}.sock", name.id())),
        }
    }

    fn home(&self) -> PathBuf {
        self.environment
            .path("HOME")
            .unwrap_or_else(|| PathBuf::from("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)], root: bool) -> Places {
        Places::of(Environment::of(variables), root)
    }

    fn name() -> NodeName {
        "convoke1@127.0.0.1".parse().unwrap()
    }

    #[test]
    fn the_data_directory_follows_xdg_then_the_user() {
        let home = ("HOME", "/home/u");
        let cases = [
            (
                places(&[home, ("XDG_STATE_HOME", "/s")], true),
                "/s/convoke/convoke1@127.0.0.1",
            ),
            (places(&[home], true), "/var/lib/convoke/convoke1@127.0.0.1"),
            (
                places(&[home], false),
                "/home/u/.local/state/convoke/convoke1@127.0.0.1",
            ),
            (
                places(&[home, ("XDG_STATE_HOME", "")], false),
                "/home/u/.local/state/convoke/convoke1@127.0.0.1",
            ),
        ];
        for (places, expected) in cases {
            assert_eq!(places.data_dir(&name()), Path::new(expected));
        }
    }

    #[test]
    fn the_run_directory_follows_xdg_then_the_user() {
        let home = ("HOME", "/home/u");
        let state = ("XDG_STATE_HOME", "/s");
        let cases = [
            (
                places(&[home, state, ("XDG_RUNTIME_DIR", "/r")], true),
                "/r/convoke",
            ),
            (places(&[home, state], false), "/s/convoke/run"),
            (places(&[home], true), "/run/convoke"),
            (places(&[home], false), "/home/u/.local/state/convoke/run"),
        ];
        for (places, expected) in cases {
            assert_eq!(places.run_dir(), Path::new(expected));
        }
    }

    #[test]
    fn the_secret_lies_in_the_users_configuration() {
        let home = ("HOME", "/home/u");
        assert_eq!(
            places(&[home], true).secret_file(),
            Path::new("/home/u/.config/convoke/secret")
        );
        let set = places(&[home, ("XDG_CONFIG_HOME", "/c")], false);
        assert_eq!(set.secret_file(), Path::new("/c/convoke/secret"));
    }

    #[test]
    fn a_socket_path_that_is_too_long_moves_to_the_run_directory() {
        let places = places(&[("XDG_RUNTIME_DIR", "/r")], false);
        let short = PathBuf::from("/d");
        assert_eq!(
            places.control_socket(&name(), &short),
            Path::new("/d/control.sock")
        );
        let fits = PathBuf::from(format!("/{}", "d".repeat(SOCKET_PATH_BYTES_MAX - 14)));
        assert_eq!(
            places.control_socket(&name(), &fits).as_os_str().len(),
            SOCKET_PATH_BYTES_MAX
        );
        let long = PathBuf::from(format!("/{}", "d".repeat(SOCKET_PATH_BYTES_MAX - 13)));
        let moved = places.control_socket(&name(), &long);
        assert!(moved.starts_with("/r/convoke"), "{}", moved.display());
    }
}
