//! Configuration: defaults, then the file, then the environment, then flags; the last word holds.
//!
//! Each source yields assignments of raw values to known keys. All are read and checked, the
//! overruled ones too, so that a mistake does not hide behind a flag. Whatever is wrong is
//! collected with its place; nothing starts on a configuration with a problem.

mod addresses;
mod choice;
mod detector;
mod env;
mod error;
mod file;
mod key;
mod kinds;
mod origin;
pub(crate) mod settings;
mod template;
mod validate;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use choice::{Choice, Discovery, LogFormat, OnDown, PortMapping};
pub(crate) use env::Environment;
pub(crate) use error::{ConfigError, nearest};
pub(crate) use kinds::{Hidden, Tag, cli_duration, cli_name, cli_peer, parse_peer};
pub(crate) use origin::Origin;
pub(crate) use settings::Settings;
pub(crate) use template::{show, template};
pub(crate) use value::{Parse, Raw, local_name, show_duration};

use error::Problem;
use file::Document;
use key::Key;

/// One value for one key.
#[derive(Clone)]
struct Assignment {
    key: &'static Key,
    raw: Raw,
    origin: Origin,
}

/// A flag of the command line that sets a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    /// The key's dotted name.
    pub(crate) key: String,
    /// The value; lists by comma.
    pub(crate) value: String,
    /// The flag, as the user wrote it.
    pub(crate) flag: String,
}

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// The file that `--config` names.
    pub(crate) file: Option<PathBuf>,
    /// The environment.
    pub(crate) environment: Environment,
    /// Flags, in their order.
    pub(crate) flags: Vec<Flag>,
}

/// A configuration that is complete and checked.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    /// The values.
    pub(crate) settings: Settings,
    /// The file that was read, if any.
    pub(crate) file: Option<PathBuf>,
    origins: BTreeMap<&'static str, Origin>,
}

impl Effective {
    /// The keys whose values differ in another configuration, in the order of the template.
    pub(crate) fn differing(&self, other: &Self) -> Vec<&'static str> {
        differing(&self.settings, &other.settings)
    }

    /// Where a key's value came from.
    pub(crate) fn origin(&self, path: &str) -> Origin {
        self.origins.get(path).cloned().unwrap_or(Origin::Default)
    }
}

/// Reads every source and puts them together.
///
/// # Errors
/// Everything that is wrong with any source.
pub(crate) fn load(sources: &Sources) -> Result<Effective, ConfigError> {
    let file = file::locate(
        sources.file.as_deref(),
        sources.environment.text(env::CONFIG),
    );
    let document = file.as_deref().map(Document::open).transpose()?;
    let mut problems = Vec::new();
    let mut assignments = document
        .map(|document| document.assignments(&mut problems))
        .unwrap_or_default();
    assignments.extend(sources.environment.assignments(&mut problems));
    assignments.extend(
        sources
            .flags
            .iter()
            .filter_map(|flag| from_flag(flag, &mut problems)),
    );
    finish(file, assignments, problems)
}

/// What flags alone come to: neither a file nor the environment has a say.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn from_flags(flags: &[Flag]) -> Result<Effective, ConfigError> {
    let mut problems = Vec::new();
    let assignments = flags
        .iter()
        .filter_map(|flag| from_flag(flag, &mut problems))
        .collect();
    finish(None, assignments, problems)
}

/// The dotted names of all keys, in the order of the template.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    key::all().iter().map(|key| key.path)
}

/// Checks a file as if it were the only source.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn check_file(path: &Path) -> Result<Effective, ConfigError> {
    check(path, &Document::open(path)?)
}

fn check(path: &Path, document: &Document) -> Result<Effective, ConfigError> {
    let mut problems = Vec::new();
    let assignments = document.assignments(&mut problems);
    finish(Some(path.to_path_buf()), assignments, problems)
}

fn finish(
    file: Option<PathBuf>,
    assignments: Vec<Assignment>,
    mut problems: Vec<Problem>,
) -> Result<Effective, ConfigError> {
    let mut effective = Effective {
        settings: Settings::default(),
        file,
        origins: BTreeMap::new(),
    };
    // The profile sets what single values then change, so it comes first, from whichever source.
    let (profile, others): (Vec<_>, Vec<_>) = assignments
        .into_iter()
        .partition(|assignment| assignment.key.path == detector::PROFILE);
    effective.apply(profile, &mut problems);
    effective.take_profile();
    effective.apply(others.clone(), &mut problems);
    if problems.is_empty() {
        problems.extend(effective.tune().err());
        // Single values win over what follows from the knobs.
        effective.apply(others, &mut problems);
        effective.note_knobs();
    }
    if problems.is_empty() {
        problems = validate::problems(&effective);
    }
    if problems.is_empty() {
        Ok(effective)
    } else {
        problems.sort_by_key(|problem| problem.origin.order());
        Err(ConfigError { problems })
    }
}

impl Effective {
    fn take_profile(&mut self) {
        let before = self.settings.clone();
        self.settings.engine = self.settings.profile.engine();
        for path in differing(&before, &self.settings) {
            self.origins
                .insert(path, Origin::Follows(detector::PROFILE));
        }
    }

    /// Lets the detector's numbers follow from the knobs.
    fn tune(&mut self) -> Result<(), Problem> {
        let (engine, tuning) = (self.settings.engine.clone(), self.settings.tuning);
        self.settings.engine = engine.tuned(tuning).map_err(|error| Problem {
            origin: self.origin(detector::DETECT_WITHIN),
            key: Some(detector::DETECT_WITHIN.into()),
            message: error.to_string(),
        })?;
        for (path, knob) in detector::followers(tuning) {
            self.origins.insert(path, Origin::Follows(knob));
        }
        Ok(())
    }

    /// A knob that nobody set shows what the numbers come to.
    fn note_knobs(&mut self) {
        let (engine, default) = (&self.settings.engine, Settings::default().engine);
        let knobs = [
            (
                detector::DETECT_WITHIN,
                engine.detect_within() == default.detect_within(),
            ),
            (
                detector::TOLERATE_PAUSE,
                engine.tolerate_pause() == default.tolerate_pause(),
            ),
        ];
        for (path, _) in knobs.into_iter().filter(|(_, usual)| !usual) {
            let below = Origin::Follows("the values below");
            self.origins.entry(path).or_insert(below);
        }
    }

    fn apply(&mut self, assignments: Vec<Assignment>, problems: &mut Vec<Problem>) {
        for Assignment { key, raw, origin } in assignments {
            let field = (key.field)(&mut self.settings);
            let reason = match field.read(&raw) {
                Ok(()) => validate::range(key, field),
                Err(reason) => Err(mismatch(&field.expects(), &raw, &reason)),
            };
            match reason {
                Ok(()) => {
                    self.origins.insert(key.path, origin);
                }
                Err(message) => problems.push(Problem {
                    origin,
                    key: Some(key.path.into()),
                    message,
                }),
            }
        }
    }
}

fn differing(left: &Settings, right: &Settings) -> Vec<&'static str> {
    let (mut left, mut right) = (left.clone(), right.clone());
    let differs = |key: &&Key| (key.field)(&mut left).show() != (key.field)(&mut right).show();
    let keys = key::all().iter().filter(differs);
    keys.map(|key| key.path).collect()
}

fn mismatch(expects: &str, raw: &Raw, reason: &str) -> String {
    let separator = if reason.is_empty() { "" } else { ": " };
    format!(
        "expected {expects}, found {}{separator}{reason}",
        raw.describe()
    )
}

fn from_flag(flag: &Flag, problems: &mut Vec<Problem>) -> Option<Assignment> {
    let origin = Origin::Flag(flag.flag.clone());
    let Some(key) = key::find(&flag.key) else {
        problems.push(unknown_key(&flag.key, origin));
        return None;
    };
    Some(Assignment {
        key,
        raw: Raw::Word(flag.value.clone()),
        origin,
    })
}

fn unknown_key(path: &str, origin: Origin) -> Problem {
    let near = nearest(path, key::all().iter().map(|key| key.path));
    let hint = near
        .map(|near| format!(": did you mean {near}?"))
        .unwrap_or_default();
    Problem {
        origin,
        key: Some(path.to_owned()),
        message: format!("unknown key{hint}"),
    }
}

fn unknown_table(path: &str, origin: Origin) -> Problem {
    let tables = key::all().iter().map(|key| key.split().0);
    let hint = nearest(path, tables)
        .map(|near| format!(": did you mean [{near}]?"))
        .unwrap_or_default();
    Problem {
        origin,
        key: Some(path.to_owned()),
        message: format!("unknown table{hint}"),
    }
}

#[cfg(test)]
mod tests;
