//! A publisher of views without a node around it.

use std::sync::Arc;

use convoke_core::{Engine, NodeId};

use crate::clock::Clock;
use crate::publish::{Published, Publisher};
use crate::view::View;

/// Publishes views of an engine as the driver of a node does: for benches, and not a part of the
/// interface.
#[derive(Debug)]
pub struct LonePublisher {
    publisher: Publisher,
    published: Arc<Published>,
    clock: Clock,
}

impl LonePublisher {
    /// Publishes all that the engine knows.
    pub fn new(engine: &Engine) -> Self {
        let (clock, local) = (Clock::start(), engine.profile().name.clone());
        let (publisher, published) = Publisher::new(engine, clock, "convoke".into(), local);
        Self {
            publisher,
            published,
            clock,
        }
    }

    /// Publishes what the engine now says of one member.
    pub fn publish(&mut self, engine: &Engine, changed: NodeId) {
        self.publisher.on_changed(engine, changed);
        self.publisher.publish(engine, self.clock.now());
    }

    /// What was published last.
    pub fn view(&self) -> Arc<View> {
        self.published.view.load_full()
    }
}
