//! One round of each figure, on nodes in this process.

use std::time::Instant;

use tokio::time::sleep;

use super::cluster::Cluster;
use super::error::Error;
use super::figure::{Figure, Quantity};
use super::ground::Ground;
use super::meter::{Used, held};
use super::outcome::{Assignment, Outcome};
use super::samples::Samples;
use super::subject::Subject;
use super::views::{Sight, until};

/// What one round needs.
pub(super) struct Round<'a, S> {
    /// What is measured.
    pub(super) subject: &'a S,
    /// Where.
    pub(super) ground: &'a Ground,
    /// What is done.
    pub(super) assignment: &'a Assignment,
}

fn is_up(sight: Sight) -> bool {
    sight == Sight::Up
}

fn is_down(sight: Sight) -> bool {
    sight != Sight::Up
}

fn is_failed(sight: Sight) -> bool {
    sight == Sight::Failed
}

impl<S: Subject> Round<'_, S> {
    /// Measures.
    ///
    /// # Errors
    /// When there is nothing to measure: the nodes do not become one cluster, or what it takes is
    /// missing.
    pub(super) async fn measure(&self) -> Result<Outcome, Error> {
        match self.assignment.figure {
            Figure::Join => self.join().await,
            Figure::Idle => self.idle().await,
            Figure::Leave => self.leave().await,
            Figure::Crash | Figure::Kill => self.crash(1).await,
            Figure::Crash10 => self.crash(self.assignment.nodes.div_ceil(10)).await,
            Figure::Loss5 => self.loss(5).await,
            Figure::Loss20 => self.loss(20).await,
            Figure::Partition => self.partition().await,
        }
    }

    /// A cluster that is whole.
    async fn settled(&self) -> Result<Cluster<S>, Error> {
        let (cluster, whole) = self.gathered().await?;
        whole.map(|()| cluster)
    }

    async fn gathered(&self) -> Result<(Cluster<S>, Result<(), Error>), Error> {
        let Assignment { nodes, times, .. } = self.assignment;
        Cluster::gathered(self.subject, *nodes, times.settle).await
    }

    async fn join(&self) -> Result<Outcome, Error> {
        let cluster = Cluster::start(self.subject, self.assignment.nodes).await?;
        let used = Used::now(S::WHOSE)?;
        let joined = cluster.join().await;
        let used = used.since_then()?;
        let (all, mut outcome) = (cluster.all(), Outcome::default());
        outcome.pairs = cluster.views().samples(&all, &all, joined.since, is_up);
        let whole = joined.whole.then(|| outcome.pairs.last()).flatten();
        outcome.took(Quantity::Whole, whole, Figure::Join.limit());
        let nodes = self.assignment.nodes as f64;
        outcome.is(Quantity::CpuSpent, used.cpu.as_secs_f64() * 1e3 / nodes);
        outcome.is(Quantity::BytesSpent, used.bytes as f64 / 1e3 / nodes);
        Ok(outcome)
    }

    async fn idle(&self) -> Result<Outcome, Error> {
        let before = held(S::WHOSE)?;
        let (cluster, whole) = self.gathered().await?;
        let used = Used::now(S::WHOSE)?;
        sleep(self.assignment.times.idle).await;
        let used = used.since_then()?;
        let held = held(S::WHOSE)?.saturating_sub(before);
        let nodes = self.assignment.nodes as f64;
        let node_seconds = nodes * used.lasted.as_secs_f64();
        let mut outcome = Outcome::default();
        outcome.is(Quantity::Cpu, used.cpu.as_secs_f64() * 1e6 / node_seconds);
        outcome.is(Quantity::Bytes, used.bytes as f64 / node_seconds);
        outcome.is(Quantity::Packets, used.packets as f64 / node_seconds);
        outcome.is(Quantity::Memory, held as f64 / 1e6 / nodes);
        if let Some(connections) = cluster.connections() {
            outcome.is(Quantity::Connections, connections as f64 / nodes);
        }
        Self::count_failures(&cluster, &mut outcome);
        // What it costs is worth knowing all the same.
        outcome
            .notes
            .extend(whole.err().map(|error| error.to_string()));
        Ok(outcome)
    }

    async fn leave(&self) -> Result<Outcome, Error> {
        let cluster = self.settled().await?;
        let (gone, stay) = self.draw(&cluster, 1);
        let since = Instant::now();
        tokio::spawn(S::leave(cluster.node(gone[0]).clone()));
        Ok(self.known(&cluster, &stay, &gone, since, is_down).await)
    }

    async fn crash(&self, victims: usize) -> Result<Outcome, Error> {
        let cluster = self.settled().await?;
        let (dead, alive) = self.draw(&cluster, victims);
        let since = Instant::now();
        self.ground.silence(&dead)?;
        dead.iter()
            .for_each(|number| S::abort(cluster.node(*number)));
        Ok(self.known(&cluster, &alive, &dead, since, is_down).await)
    }

    /// Waits until the observers see the subjects so.
    async fn known(
        &self,
        cluster: &Cluster<S>,
        observers: &[usize],
        subjects: &[usize],
        since: Instant,
        is: fn(Sight) -> bool,
    ) -> Outcome {
        let (views, limit) = (cluster.views(), self.assignment.figure.limit());
        until(limit, || views.all(observers, subjects, is)).await;
        let pairs = views.samples(observers, subjects, since, is);
        knowledge(pairs, self.assignment.figure)
    }

    async fn loss(&self, percent: u8) -> Result<Outcome, Error> {
        let cluster = self.settled().await?;
        self.ground.lose_percent(percent)?;
        sleep(self.assignment.times.loss).await;
        let mut outcome = Outcome::default();
        Self::count_failures(&cluster, &mut outcome);
        self.heal(&cluster, &mut outcome).await?;
        Ok(outcome)
    }

    async fn partition(&self) -> Result<Outcome, Error> {
        let cluster = self.settled().await?;
        let (left, right) = self.draw(&cluster, self.assignment.nodes / 2);
        let (views, lasts) = (cluster.views(), self.assignment.times.partition);
        let since = Instant::now();
        self.ground.cut(&left, &right)?;
        sleep(lasts).await;
        let mut cut = views.samples(&left, &right, since, is_failed);
        cut.merge(&views.samples(&right, &left, since, is_failed));
        let mut outcome = Outcome::default();
        outcome.took(Quantity::Cut, cut.last(), lasts);
        let healing = self.heal(&cluster, &mut outcome).await?;
        outcome.pairs = views.samples(&left, &right, healing, is_up);
        outcome
            .pairs
            .merge(&views.samples(&right, &left, healing, is_up));
        Ok(outcome)
    }

    /// Mends the network, and waits until all are one cluster. Returns when it was mended.
    async fn heal(&self, cluster: &Cluster<S>, outcome: &mut Outcome) -> Result<Instant, Error> {
        let (views, limit) = (cluster.views(), self.assignment.figure.limit());
        let since = Instant::now();
        self.ground.mend()?;
        let whole = until(limit, || views.is_whole()).await;
        let all = cluster.all();
        let last = views.samples(&all, &all, since, is_up).last();
        outcome.took(Quantity::Healed, last.filter(|_| whole), limit);
        Ok(since)
    }

    fn count_failures(cluster: &Cluster<S>, outcome: &mut Outcome) {
        let (failures, nodes) = cluster.views().failures();
        outcome.is(Quantity::FalseFailures, failures as f64);
        outcome.is(Quantity::WronglyFailed, nodes as f64);
    }

    /// So many nodes by the seed, and the others.
    fn draw(&self, cluster: &Cluster<S>, count: usize) -> (Vec<usize>, Vec<usize>) {
        let mut drawn = cluster.all();
        fastrand::Rng::with_seed(self.assignment.seed).shuffle(&mut drawn);
        let others = drawn.split_off(count);
        (drawn, others)
    }
}

/// When the first of these pairs knew, and when all.
pub(super) fn knowledge(pairs: Samples, figure: Figure) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.took(Quantity::First, pairs.first(), figure.limit());
    outcome.took(Quantity::All, pairs.last(), figure.limit());
    outcome.pairs = pairs;
    outcome
}
