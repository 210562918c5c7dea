//! The environment: every key has a variable, `node.name` is `CONVOKE_NODE_NAME`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::Assignment;
use super::error::{ConfigError, Problem, nearest};
use super::key;
use super::origin::Origin;
use super::value::Raw;

/// What every variable of ours begins with.
const PREFIX: &str = "CONVOKE_";
/// The variable that names the configuration file.
pub(super) const CONFIG: &str = "CONVOKE_CONFIG";
/// Turns epmd mode on.
const EPMD: &str = "WITH_EPMD";

/// What Kubernetes puts into every pod's environment when a service is named `convoke`. Nobody
/// wrote these for us, so they are no mistakes.
const SERVICE_LINKS: [&str; 3] = ["CONVOKE_SERVICE_", "CONVOKE_PORT_", "CONVOKE_PORT"];

/// A process's environment, or a made-up one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, OsString>,
}

impl Environment {
    /// The one of this process. Names that are not UTF-8 are nobody's we know.
    pub(crate) fn of_process() -> Self {
        let named =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self {
            variables: named.collect(),
        }
    }

    /// A made-up one.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let owned = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)));
        Self {
            variables: owned.collect(),
        }
    }

    /// A variable that is set, not empty, and UTF-8.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .and_then(|value| value.to_str())
            .filter(|value| !value.is_empty())
    }

    /// A variable that is set and not empty, as a path.
    pub(crate) fn path(&self, name: &str) -> Option<std::path::PathBuf> {
        self.variables
            .get(name)
            .filter(|value| !value.is_empty())
            .map(Into::into)
    }

    /// What the environment sets; an empty variable sets nothing.
    pub(super) fn assignments(&self, problems: &mut Vec<Problem>) -> Vec<Assignment> {
        let mut found = self.epmd();
        for (variable, value) in self.variables.iter().filter(|(name, _)| is_ours(name)) {
            let origin = Origin::Environment(variable.clone());
            match (
                key::all().iter().find(|key| key.variable() == *variable),
                value.to_str(),
            ) {
                (None, _) => problems.push(unknown(variable, origin)),
                (Some(_), Some("")) => {}
                (Some(key), Some(word)) => {
                    found.push(Assignment {
                        key,
                        raw: Raw::Word(word.to_owned()),
                        origin,
                    });
                }
                (Some(key), None) => {
                    let message = "the value is not UTF-8".to_owned();
                    problems.push(Problem {
                        origin,
                        key: Some(key.path.to_owned()),
                        message,
                    });
                }
            }
        }
        found
    }

    /// Variables that look like ours and are not, as a mistyped one does.
    ///
    /// # Errors
    /// All of them.
    pub(crate) fn check_names(&self) -> Result<(), ConfigError> {
        let strange = self
            .variables
            .keys()
            .filter(|name| is_ours(name) && !key::all().iter().any(|key| key.variable() == **name));
        let problems: Vec<Problem> = strange
            .map(|name| unknown(name, Origin::Environment(name.clone())))
            .collect();
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ConfigError { problems }),
        }
    }

    fn epmd(&self) -> Vec<Assignment> {
        let on = self
            .text(EPMD)
            .is_some_and(|value| !["0", "false", "no", "off"].contains(&value));
        let key = key::find("node.port_mapping").expect("the key exists: it is in the list");
        let (raw, origin) = (Raw::Word("epmd".into()), Origin::Environment(EPMD.into()));
        if on {
            vec![Assignment { key, raw, origin }]
        } else {
            Vec::new()
        }
    }
}

fn is_ours(name: &str) -> bool {
    let [service, ports, port] = SERVICE_LINKS;
    let link = name.starts_with(service) || name.starts_with(ports) || name == port;
    name.starts_with(PREFIX) && name != CONFIG && !link
}

fn unknown(variable: &str, origin: Origin) -> Problem {
    let variables: Vec<String> = key::all().iter().map(key::Key::variable).collect();
    let near = nearest(
        variable,
        variables.iter().map(String::as_str).chain([CONFIG]),
    );
    let hint = near
        .map(|near| format!(": did you mean {near}?"))
        .unwrap_or_default();
    let message = format!("no configuration key has this variable{hint}");
    Problem {
        origin,
        key: None,
        message,
    }
}
