//! The one task that owns the engine.
//!
//! ```text
//!   inputs (bounded) ──▶ take a batch ──▶ hand it in ──▶ due timers ──▶ drain outputs ──▶ publish
//!        ▲                                                                   │
//!        └──────────── dials and streams, in tasks of their own ◀────────────┘
//! ```
//!
//! It waits for inputs and for the engine's next deadline, and for nothing else: no peer, no disk,
//! no reader. It drains before it judges: what waits to be read is handed in before a timer is
//! taken to have expired, and after a pause (a stopped process, a starved host) the tasks that
//! read the sockets get time to catch up first.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use convoke_core::output::{JoinError, LeaveError};
use convoke_core::{
    Class, Engine, Event, Instant, NodeId, Output, Signal, Target, Transmit, codec,
};
use tokio::sync::mpsc;

use crate::callbacks::{Call, Caller};
use crate::dial::Dials;
use crate::input::{Command, Input, Reply};
use crate::knock::Knocker;
use crate::link::Close;
use crate::memory::Memory;
use crate::options::Callbacks;
use crate::publish::Publisher;
use crate::rim::Rim;
use crate::seeds::{self, Seeds};

/// Inputs that are handed in before outputs are drained.
const BATCH_MAX: usize = 256;
/// Batches that are handed in before a timer is judged, however many more wait.
const BATCHES_BEFORE_JUDGING_MAX: usize = 64;
/// A timer this late tells of a pause.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// After a pause: time for the readers of sockets, so often, until nothing more comes.
const CATCH_UP_STEP: Duration = Duration::from_millis(2);
const CATCH_UP_STEPS_MIN: u32 = 2;
const CATCH_UP_STEPS_MAX: u32 = 25;
/// Time between two looks at the connections, where there is something else to do then …
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// … and where there is not.
const SWEEP_INTERVAL_MAX: Duration = Duration::from_millis(1400);
/// How long the connections to a member that left stay open, for what is under way.
const PARTING: Duration = Duration::from_millis(500);
/// How long an answer waits for the disk.
const DISK_TIMEOUT: Duration = Duration::from_secs(2);

/// The engine, and everything that its outputs go to.
pub(crate) struct Driver {
    rim: Arc<Rim>,
    engine: Engine,
    dials: Dials,
    knocker: Arc<Knocker>,
    seeds: Seeds,
    publisher: Publisher,
    memory: Memory,
    caller: Caller,
    deadline: Option<Instant>,
    swept: Instant,
    joining: Option<Reply<Result<(), JoinError>>>,
    leaving: Option<Reply<Result<(), LeaveError>>>,
}

impl Driver {
    /// A driver that is about to [`Driver::run`].
    pub(crate) fn new(
        rim: Arc<Rim>,
        engine: Engine,
        knocker: Knocker,
        publisher: Publisher,
        memory: Memory,
        callbacks: Callbacks,
    ) -> Self {
        let knocker = Arc::new(knocker);
        Self {
            dials: Dials::new(rim.clone(), knocker.clone(), engine.config()),
            seeds: Seeds::default(),
            caller: Caller::start(callbacks, rim.clone()),
            swept: rim.now(),
            rim,
            engine,
            knocker,
            publisher,
            memory,
            deadline: None,
            joining: None,
            leaving: None,
        }
    }

    /// Runs until the node ends.
    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        self.drain();
        let mut timer = pin!(tokio::time::sleep_until(self.wake()));
        loop {
            let wake = self.wake();
            if timer.deadline() != wake || timer.is_elapsed() {
                timer.as_mut().reset(wake);
            }
            tokio::select! {
                biased;
                taken = inputs.recv_many(&mut batch, BATCH_MAX) => if taken == 0 { return },
                () = &mut timer => {}
            }
            self.hand_in(&mut batch);
            self.judge(&mut inputs, &mut batch).await;
            self.drain();
        }
    }

    /// When there is something to do without an input.
    fn wake(&self) -> tokio::time::Instant {
        let sweep = self.swept + SWEEP_INTERVAL_MAX;
        let wake = [self.deadline, self.memory.due()]
            .into_iter()
            .flatten()
            .fold(sweep, Instant::min);
        self.rim.clock.timer(wake)
    }

    fn hand_in(&mut self, batch: &mut Vec<Input>) {
        let now = self.rim.now();
        for input in batch.drain(..) {
            self.on_input(now, input);
        }
    }

    /// Lets time pass, after everything that already waits.
    async fn judge(&mut self, inputs: &mut mpsc::Receiver<Input>, batch: &mut Vec<Input>) {
        let now = self.rim.now();
        if let Some(deadline) = self.deadline.filter(|deadline| *deadline <= now) {
            if now - deadline >= PAUSE_MIN {
                self.catch_up(inputs, batch).await;
            } else {
                self.take_waiting(inputs, batch, BATCHES_BEFORE_JUDGING_MAX);
            }
            self.engine.handle_timeout(self.rim.now());
        }
        self.memory.on_time(&self.engine, now);
        if now - self.swept >= SWEEP_INTERVAL {
            self.swept = now;
            self.rim.pool.sweep(now);
        }
    }

    /// After a pause the sockets hold what came during it: waits for it to be read, until nothing
    /// more comes.
    async fn catch_up(&mut self, inputs: &mut mpsc::Receiver<Input>, batch: &mut Vec<Input>) {
        for step in 0..CATCH_UP_STEPS_MAX {
            tokio::time::sleep(CATCH_UP_STEP).await;
            let taken = self.take_waiting(inputs, batch, BATCHES_BEFORE_JUDGING_MAX);
            if taken == 0 && step + 1 >= CATCH_UP_STEPS_MIN {
                return;
            }
        }
    }

    fn take_waiting(
        &mut self,
        inputs: &mut mpsc::Receiver<Input>,
        batch: &mut Vec<Input>,
        batches_max: usize,
    ) -> usize {
        let mut taken = 0;
        for _ in 0..batches_max {
            while batch.len() < BATCH_MAX
                && let Ok(input) = inputs.try_recv()
            {
                batch.push(input);
            }
            if batch.is_empty() {
                break;
            }
            taken += batch.len();
            self.hand_in(batch);
        }
        taken
    }

    fn on_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Packet {
                from,
                class,
                packet,
            } => {
                self.engine.handle_packet(now, &from, class, packet);
            }
            Input::Dialed {
                target,
                result: Ok(link),
            } => {
                self.dials.end(&target, Ok(&link));
                self.tell_of_seed(&target, Ok(()));
            }
            Input::Dialed {
                target,
                result: Err(cause),
            } => {
                if self.dials.end(&target, Err(())) {
                    self.tell_of_seed(&target, Err(&cause));
                    self.engine.handle_unreachable(now, &target, &cause);
                }
            }
            Input::Unreachable { target, cause } => {
                self.engine.handle_unreachable(now, &target, &cause);
            }
            Input::Refused(contact) => self.engine.handle_refused(now, &contact),
            Input::Prepared => self.engine.prepared(now),
            Input::Parted(id) => self.on_parted(id),
            Input::Command(command) => self.on_command(now, command),
        }
    }

    fn tell_of_seed(&mut self, target: &Target, result: Result<(), &str>) {
        let node = self.rim.name();
        match (self.seeds.dialed(target, result.is_ok()), result) {
            (Some(seeds::Change::Found), _) => {
                tracing::info!(%node, seed = %seeds::address(target), "a seed is reached after all");
            }
            (Some(seeds::Change::Lost), Err(cause)) => {
                tracing::warn!(%node, "a seed is not reached: {cause}");
            }
            _ => {}
        }
    }

    fn on_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Join(target, reply) => match self.engine.join(now, target) {
                Ok(()) => self.joining = Some(reply),
                Err(error) => answer(reply, Err(error)),
            },
            Command::Leave(departure, reply) => match self.engine.leave(now, departure) {
                Ok(()) => self.leaving = Some(reply),
                Err(error) => answer(reply, Err(error)),
            },
            Command::ForceLeave(name, reply) => {
                let removed = self.engine.force_leave(now, &name);
                self.drain();
                match removed {
                    Ok(()) => {
                        self.memory.write(&self.engine);
                        self.answer_when_written(reply, Ok(()));
                    }
                    refused => answer(reply, refused),
                }
            }
            Command::SetTags(tags, reply) => {
                let set = self.engine.set_tags(now, tags);
                self.drain();
                answer(reply, set);
            }
            Command::SetDiscovery(on, reply) => {
                self.engine.set_discovery(on);
                self.drain();
                answer(reply, ());
            }
            Command::SetAutoclean(autoclean, reply) => {
                self.engine.set_autoclean(now, autoclean);
                answer(reply, ());
            }
            Command::Propose(target) => {
                self.seeds.propose(&target);
                self.engine.propose(now, target);
            }
            Command::Persist(reply) => {
                self.memory.write(&self.engine);
                self.answer_when_written(reply, ());
            }
        }
    }

    /// Does what the engine wants done, then shows what has changed.
    fn drain(&mut self) {
        let now = self.rim.now();
        let mut ended = Vec::new();
        loop {
            match self.engine.poll_output() {
                Output::Transmit(transmit) => self.transmit(now, transmit),
                Output::Knock(contact) => self.knocker.knock(contact),
                Output::Event(event) => self.on_event(now, event),
                Output::Signal(signal) => self.on_signal(now, signal, &mut ended),
                Output::Changed(id) => {
                    self.memory.on_members(now);
                    self.publisher.on_changed(&self.engine, id);
                }
                Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    break;
                }
            }
        }
        self.publisher.publish(&self.engine, now);
        // Whoever waits for a join or a leave finds it in the view.
        for outcome in ended {
            match outcome {
                Outcome::Join(result) => {
                    if let Some(reply) = self.joining.take() {
                        // Whom it met there, it finds again after a crash.
                        self.memory.write(&self.engine);
                        self.answer_when_written(reply, result);
                    }
                }
                Outcome::Leave => {
                    if let Some(reply) = self.leaving.take() {
                        self.answer_when_written(reply, Ok(()));
                    }
                }
            }
        }
    }

    fn transmit(&mut self, now: Instant, transmit: Transmit) {
        let Transmit { to, class, packet } = transmit;
        let bytes = codec::encode(&packet);
        let Target::Node(contact) = &to else {
            return self.dials.send(to, class, bytes);
        };
        let Some(link) = self.rim.pool.best(contact.id(), contact.address, now) else {
            return self.dials.send(to, class, bytes);
        };
        if class == Class::Reliable
            && link.liveness().is_stale(now)
            && self.dials.may_redial(contact.id(), now)
        {
            self.dials.send(to.clone(), class, bytes.clone());
        }
        link.send(&self.rim, class, bytes);
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match &event {
            Event::MemberSuspected(_) => self.dials.expect_silence(now),
            // Another try at it is to be a fresh connection: an old one would be backing off.
            Event::MemberFailed { member, .. } => {
                self.dials.expect_silence(now);
                self.rim
                    .pool
                    .close(member.name.id(), Close::Gone, "this node is held as failed");
            }
            Event::MemberLeft(member) | Event::MemberRemoved(member) => {
                let (id, rim) = (member.name.id(), self.rim.clone());
                self.memory.on_members(now);
                if matches!(event, Event::MemberRemoved(_)) {
                    self.memory.on_removed(now);
                }
                self.rim.tasks.spawn(async move {
                    tokio::time::sleep(PARTING).await;
                    rim.hand_in(Input::Parted(id)).await;
                });
            }
            _ => {}
        }
        self.publisher.on_event(event);
    }

    fn on_parted(&mut self, id: NodeId) {
        let back = self
            .engine
            .member(id)
            .is_some_and(|member| member.is_present());
        if !back && id != self.rim.name().id() {
            self.rim
                .pool
                .close(id, Close::Gone, "this node is no member any more");
        }
    }

    fn on_signal(&mut self, _now: Instant, signal: Signal, ended: &mut Vec<Outcome>) {
        let node = self.rim.name();
        match signal {
            Signal::Prepare(change) => {
                if !self.caller.call(Call::Prepare(change)) {
                    tracing::warn!(%node, "the callbacks hang: going on without them");
                    self.engine.prepared(self.rim.now());
                }
            }
            Signal::Resume(change, done) => {
                if !self.caller.call(Call::Resume(change, done)) {
                    tracing::warn!(%node, "the callbacks hang: one is left out");
                }
            }
            Signal::Down(down) => {
                if !self.caller.call(Call::Down(down)) {
                    tracing::warn!(%node, "the callbacks hang: one is left out");
                }
            }
            Signal::JoinEnded(result) => {
                match &result {
                    Ok(()) => tracing::info!(%node, "joined the cluster"),
                    Err(error) => tracing::warn!(%node, "not joined: {error}"),
                }
                ended.push(Outcome::Join(result));
            }
            Signal::LeaveEnded => {
                tracing::info!(%node, "left the cluster");
                ended.push(Outcome::Leave);
            }
            Signal::Membership(membership) => {
                self.memory.on_membership(&self.engine, &membership);
                self.publisher.on_whole_changed();
            }
            Signal::Removed => {
                tracing::warn!(%node, "this node was removed from its cluster by force-leave: it goes on alone");
            }
            Signal::NameConflict { winner } => {
                tracing::error!(%node, "another process at {winner} has this node's name, and started earlier: this one goes on alone. Stop it, or give it another name");
            }
            Signal::Refused {
                peer,
                by_us: true,
                refusal,
            } => {
                self.rim.log_limited(peer.address, || {
                    format!("({}) was refused: {refusal}", peer.name)
                });
            }
            Signal::Refused {
                peer,
                by_us: false,
                refusal,
            } => {
                self.rim.log_limited(peer.address, || {
                    format!("({}) refused this node: {refusal}", peer.name)
                });
            }
        }
    }

    /// Answers once everything that was to be remembered is on the disk; a disk that fails is not
    /// waited for (the journal logs it and goes on trying).
    fn answer_when_written<T: Send + 'static>(&self, reply: Reply<T>, value: T) {
        let journal = self.memory.journal();
        if !journal.is_kept() {
            return answer(reply, value);
        }
        self.rim.tasks.spawn(async move {
            let _ = tokio::time::timeout(DISK_TIMEOUT, journal.written()).await;
            answer(reply, value);
        });
    }
}

/// The end of something that a program waits for.
enum Outcome {
    Join(Result<(), JoinError>),
    Leave,
}

/// Answers, if anybody still waits.
fn answer<T>(reply: Reply<T>, value: T) {
    let _ = reply.send(value);
}
