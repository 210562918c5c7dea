//! The proof: what Convoke promises about time, load and false alarms, measured beside memberlist
//! and SWIM, as one table.
//!
//! A [`Plan`] says which clusters are simulated, how often, and which line of the table reads what
//! of them; [`run`] runs it over all cores; [`markdown`] makes the table, and [`replace`] puts it
//! into a text. The same plan gives the same table on every machine.

mod crew;
mod figures;
mod markers;
mod plan;
mod reading;
mod rows;
mod scale;
mod table;
mod times;
mod words;

pub use crew::run;
pub use figures::Figures;
pub use markers::{BEGIN, END, MarkerError, replace};
pub use plan::{Plan, Request};
pub use rows::ROWS;
pub use table::markdown;
