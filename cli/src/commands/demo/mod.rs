//! `convoke demo`: a whole cluster in one process, through everything that can happen to one.
//!
//! Every step does something to real nodes, waits until all of those concerned know by their own
//! views, and checks that nothing else happened: nobody was found dead who was not, and all
//! fingerprints are one again. The first step that is not as it must be ends the demonstration.

mod expect;
mod stage;
mod timeline;
mod watch;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use convoke::{MemberState, NodeName, View};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::args::DemoArgs;
use expect::{all_alive, is, one_fingerprint, sees_cut, summary};
use stage::{Actor, Stage};
use timeline::{Row, Screen};
use watch::{Known, Knows, failures, until_known};

/// How long news of something that nodes were told may take.
const NEWS_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to find a member dead.
const DETECTION_WAIT: Duration = Duration::from_secs(40);
/// The whole demonstration of up to 16 nodes, and what each further node adds.
const TOTAL_WAIT: Duration = Duration::from_secs(85);
const WAIT_PER_NODE: Duration = Duration::from_secs(1);
/// How many nodes a complaint names at the most.
const NAMED_MAX: usize = 6;

pub(super) async fn run(args: &DemoArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut screen = Screen::new(out);
    screen.header(args.nodes)?;
    let beyond = u32::from(args.nodes.saturating_sub(16));
    let limit = TOTAL_WAIT + WAIT_PER_NODE * beyond;
    let play = Play {
        stage: Stage::new()?,
        screen,
        began: Instant::now(),
        rows: Vec::new(),
    };
    tokio::select! {
        ended = tokio::time::timeout(limit, play.perform(args.nodes)) => {
            ended.unwrap_or_else(|_| bail!("the demonstration took longer than {limit:?}: is this machine overloaded?"))
        }
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

/// The demonstration, under way.
struct Play<'a> {
    stage: Stage,
    screen: Screen<'a>,
    began: Instant,
    rows: Vec<Row>,
}

/// Whom a step may find dead: (observer, member).
type MayFail<'f> = &'f dyn Fn(&NodeName, &NodeName) -> bool;

fn nobody(_: &NodeName, _: &NodeName) -> bool {
    false
}

impl Play<'_> {
    async fn perform(mut self, nodes: u16) -> anyhow::Result<()> {
        if let Err(error) = self.steps(nodes).await {
            self.screen.failed()?;
            return Err(error);
        }
        self.screen
            .footer(&self.rows, self.stage.actors.len(), self.began.elapsed())?;
        self.farewell().await;
        Ok(())
    }

    async fn steps(&mut self, nodes: u16) -> anyhow::Result<()> {
        self.start(nodes).await?;
        self.join_storm().await?;
        self.leave().await?;
        let (number, address) = self.crash().await?;
        self.rejoin(number, address).await?;
        let size = self.cut().await?;
        self.heal(size).await?;
        self.force_leave().await
    }

    async fn start(&mut self, nodes: u16) -> anyhow::Result<()> {
        let since = self.begin("start");
        let known = self.stage.start_all(nodes).await?;
        let views = self.stage.actors.iter().map(|actor| actor.node.view());
        let clusters: BTreeSet<String> = views
            .filter(|view| view.size() == 1 && view.quorum())
            .map(|view| view.cluster_id().to_string())
            .collect();
        let apart = clusters.len() == usize::from(nodes);
        ensure!(
            apart,
            "start: not every node is alone in a cluster of its own"
        );
        self.record(
            format!("{nodes} nodes come up, each a cluster of its own"),
            since,
            known,
        )
    }

    async fn join_storm(&mut self) -> anyhow::Result<()> {
        let since = self.begin("join storm");
        let (seed, all) = (self.stage.seed(), self.stage.actors.len());
        let mut joining = JoinSet::new();
        for actor in &self.stage.actors[1..] {
            let (node, seed, name) = (actor.node.clone(), seed.clone(), actor.name.clone());
            joining.spawn(async move {
                node.join(&seed)
                    .await
                    .with_context(|| format!("{name} cannot join"))
            });
        }
        let known = self
            .until("join storm", since, NEWS_WAIT, move |view| {
                all_alive(view, all)
            })
            .await?;
        while let Some(joined) = joining.join_next().await {
            joined.context("a join panicked")??;
        }
        let what = format!(
            "{} nodes join {} at once, all know all",
            all - 1,
            self.stage.actors[0].name
        );
        self.passed(what, since, known, &nobody).await
    }

    async fn leave(&mut self) -> anyhow::Result<()> {
        let since = self.begin("leave");
        let leaver = self.stage.take(self.stage.actors.len() - 1);
        let (name, node) = (leaver.name.clone(), leaver.node.clone());
        let leaving = tokio::spawn(async move { node.leave().await });
        let gone = name.clone();
        let known = self
            .until("leave", since, NEWS_WAIT, move |view| {
                is(view, &gone, MemberState::Left)
            })
            .await?;
        leaving
            .await
            .context("the leave panicked")?
            .with_context(|| format!("{name} cannot leave"))?;
        self.alone(&leaver)?;
        leaver.node.shutdown().await;
        self.passed(
            format!("{name} says goodbye and goes on alone"),
            since,
            known,
            &nobody,
        )
        .await
    }

    /// Returns the crashed node's number and address.
    async fn crash(&mut self) -> anyhow::Result<(u16, std::net::SocketAddr)> {
        let since = self.begin("crash");
        let victim = self.stage.take(self.stage.actors.len() - 1);
        let (name, number, address) = (
            victim.name.clone(),
            victim.number(),
            victim.node.gossip_address(),
        );
        victim.node.abort();
        drop(victim);
        let dead = name.clone();
        let fails =
            move |view: &View| is(view, &dead, MemberState::Failed) && view.partition().is_none();
        let known = self.until("crash", since, DETECTION_WAIT, fails).await?;
        let what = format!("{name} dies without a word and is found failed");
        self.passed(what, since, known, &|_, member| *member == name)
            .await?;
        Ok((number, address))
    }

    async fn rejoin(&mut self, number: u16, address: std::net::SocketAddr) -> anyhow::Result<()> {
        let since = self.begin("rejoin");
        self.stage.start_again(number, address).await?;
        let all = self.stage.actors.len();
        let known = self
            .until("rejoin", since, NEWS_WAIT, move |view| all_alive(view, all))
            .await?;
        let name = &self.stage.actors[all - 1].name;
        let what = format!("{name} starts again and finds back by itself");
        self.passed(what, since, known, &nobody).await
    }

    /// Returns how many nodes are on the first side.
    async fn cut(&mut self) -> anyhow::Result<usize> {
        let since = self.begin("cut");
        let all = self.stage.actors.len();
        let size = all.div_ceil(2);
        let names: Vec<NodeName> = self
            .stage
            .actors
            .iter()
            .map(|actor| actor.name.clone())
            .collect();
        let sides = Arc::new((names[..size].to_vec(), names[size..].to_vec()));
        self.stage.cut_after(size);
        let seen = sides.clone();
        let known = self
            .until("cut", since, DETECTION_WAIT, move |view| {
                sees_cut(view, &seen)
            })
            .await?;
        let what = format!(
            "the network is cut: {} | {}, both sides see it",
            size,
            all - size
        );
        let across = |observer: &NodeName, member: &NodeName| {
            sides.0.contains(observer) != sides.0.contains(member)
        };
        self.check(size, &across).await?;
        self.record(what, since, known)?;
        Ok(size)
    }

    async fn heal(&mut self, size: usize) -> anyhow::Result<()> {
        let since = self.begin("heal");
        self.stage.faults.heal();
        let all = self.stage.actors.len();
        let whole =
            move |view: &View| all_alive(view, all) && view.partition().is_none() && view.quorum();
        let known = self.until("heal", since, DETECTION_WAIT, whole).await?;
        let what = format!(
            "the network is whole, {} and {} nodes grow together",
            size,
            all - size
        );
        // A verdict of the other side may be heard before its refutation: that is no mistake.
        self.passed(what, since, known, &|_, _| true).await
    }

    async fn force_leave(&mut self) -> anyhow::Result<()> {
        let since = self.begin("force-leave");
        let removed = self.stage.take(self.stage.actors.len() - 1);
        let name = removed.name.clone();
        let (node, of) = (self.stage.actors[0].node.clone(), name.clone());
        let removing = tokio::spawn(async move { node.force_leave(&of).await });
        let gone = name.clone();
        let known = self
            .until("force-leave", since, NEWS_WAIT, move |view| {
                view.member(&gone).is_none()
            })
            .await?;
        removing
            .await
            .context("the removal panicked")?
            .with_context(|| format!("{name} cannot be removed"))?;
        let alone: Knows = Arc::new(|view: &View| view.size() == 1);
        let removed = [removed];
        let told = until_known(&removed, alone, since, NEWS_WAIT, &mut self.screen).await;
        ensure!(
            told.is_ok(),
            "force-leave: {name} was not told that it was removed"
        );
        self.alone(&removed[0])?;
        removed[0].node.shutdown().await;
        self.passed(
            format!("{name} is removed while it runs, and told so"),
            since,
            known,
            &nobody,
        )
        .await
    }

    async fn farewell(self) {
        let mut leaving = JoinSet::new();
        for actor in self.stage.actors {
            leaving.spawn(async move { actor.node.shutdown().await });
        }
        while leaving.join_next().await.is_some() {}
    }

    fn begin(&mut self, step: &'static str) -> Instant {
        self.screen.begin(step);
        Instant::now()
    }

    async fn until(
        &mut self,
        step: &str,
        since: Instant,
        wait: Duration,
        knows: impl Fn(&View) -> bool + Send + Sync + 'static,
    ) -> anyhow::Result<Known> {
        let known = until_known(
            &self.stage.actors,
            Arc::new(knows),
            since,
            wait,
            &mut self.screen,
        )
        .await;
        known.map_err(|late| {
            let wait = wait.as_secs();
            anyhow::anyhow!(
                "{step}: {} did not see it within {wait} s: {}",
                late.len(),
                self.sight(&late)
            )
        })
    }

    /// What the late ones see instead.
    fn sight(&self, late: &[NodeName]) -> String {
        let actors = self
            .stage
            .actors
            .iter()
            .filter(|actor| late.contains(&actor.name));
        let seen = actors
            .take(NAMED_MAX)
            .map(|actor| format!("{} sees {}", actor.name, summary(&actor.node.view())));
        seen.collect::<Vec<_>>().join("; ")
    }

    /// Checks what must hold after a step, and draws its line.
    async fn passed(
        &mut self,
        what: String,
        since: Instant,
        known: Known,
        may_fail: MayFail<'_>,
    ) -> anyhow::Result<()> {
        self.check(self.stage.actors.len(), may_fail).await?;
        self.record(what, since, known)
    }

    fn record(&mut self, what: String, since: Instant, known: Known) -> anyhow::Result<()> {
        let row = Row {
            step: self.screen.step(),
            what,
            begun: since - self.began,
            known,
        };
        self.screen.passed(&row)?;
        self.rows.push(row);
        Ok(())
    }

    /// Nobody was found dead who may not be, and all of each side have one fingerprint.
    async fn check(&mut self, size: usize, may_fail: MayFail<'_>) -> anyhow::Result<()> {
        let (left, right) = self.stage.actors.split_at(size);
        for side in [left, right].into_iter().filter(|side| !side.is_empty()) {
            one_fingerprint(side)
                .await
                .with_context(|| self.screen.step())?;
        }
        for actor in &mut self.stage.actors {
            let wrong = failures(actor)
                .into_iter()
                .find(|member| !may_fail(&actor.name, member));
            if let Some(member) = wrong {
                bail!(
                    "{}: {} found {member} failed, which it was not",
                    self.screen.step(),
                    actor.name
                );
            }
        }
        Ok(())
    }

    fn alone(&self, actor: &Actor) -> anyhow::Result<()> {
        let (own, others) = (actor.node.view(), self.stage.actors[0].node.view());
        let alone = own.size() == 1 && own.cluster_id() != others.cluster_id();
        ensure!(
            alone,
            "{} should be alone in a cluster of its own, and sees {}",
            actor.name,
            summary(&own)
        );
        Ok(())
    }
}
