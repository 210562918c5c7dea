//! Seeds from the domain name system: A, AAAA or SRV records of one name.
//!
//! Whoever runs the fleet keeps a name whose records are its nodes: a headless service, a zone file.
//! Addresses alone say nothing of ports and names, so A and AAAA records give nodes of one name,
//! `app@address`, whose port follows from the port rule. SRV records (RFC 2782) bring their port,
//! and give addresses; priority and weight mean nothing here, for every member is as good.
//!
//! An answer is used for as long as its records live, and then asked for anew, at once: a record
//! that lives shorter than the interval between passes is not waited for, and one that lives longer
//! costs the server nothing meanwhile. That there is *nothing* is never remembered: a node that
//! starts before its records are written finds them at its next pass.

mod answer;
mod error;
mod options;
mod question;

use tokio::time::Instant;

use crate::seed::Seed;
use crate::strategy::{BoxFuture, DiscoverError, Strategy};
use answer::Kept;
pub use error::DnsError;
pub use options::{DnsOptions, DnsOptionsError, DnsRecord};
use question::Question;

/// Finds the nodes that the records of a name list. Registers nowhere: the records are others'
/// business.
#[derive(Debug)]
pub struct Dns {
    options: DnsOptions,
    kept: Kept,
}

impl Dns {
    /// A strategy that asks for this. Nothing is sent before it is asked.
    pub fn new(options: DnsOptions) -> Self {
        Self {
            options,
            kept: Kept::default(),
        }
    }

    async fn find(&self) -> Result<Vec<Seed>, DnsError> {
        if let Some(seeds) = self.kept.fresh(Instant::now()) {
            return Ok(seeds);
        }
        self.kept.on_asked();
        let question = Question::new(&self.options)?;
        let Some(answer) = question.ask().await? else {
            return Ok(Vec::new());
        };
        let seeds = answer.seeds.clone();
        self.kept.keep(answer, Instant::now());
        Ok(seeds)
    }
}

impl Strategy for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn source(&self) -> String {
        let DnsOptions {
            name,
            record,
            server,
            ..
        } = &self.options;
        let at = server.map_or_else(|| "the system's resolver".to_owned(), |at| at.to_string());
        format!("{record} records of {name} at {at}")
    }

    fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>> {
        Box::pin(async { self.find().await.map_err(DiscoverError::source) })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.kept.ran_out())
    }
}
