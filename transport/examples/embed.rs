//! Two nodes in one process form a cluster: `cargo run -p convoke --example embed`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use convoke::{Callbacks, Event, Node, Options, Peer, Received, Secret};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = Secret::generate(); // Real nodes share a file: Secret::load_or_create(path).
    let options = |name: &str| -> Result<Options, Box<dyn Error>> {
        let mut options = Options::new(name.parse()?, secret.clone());
        options.listen = Some("127.0.0.1:0".parse()?); // Any free port: the default follows the name.
        Ok(options)
    };
    let first = Node::start(options("app1@127.0.0.1")?).await?;
    let mut options = options("app2@127.0.0.1")?;
    options.callbacks = Callbacks::default()
        .on_prepare(async |change| println!("app2 stops for a {change:?}"))
        .on_resume(async |change, done| println!("app2 goes on after a {change:?} (done: {done})"));
    let second = Node::start(options).await?;
    let mut events = first.subscribe();
    second.join(&Peer::Address(first.gossip_address())).await?;
    for member in second.view().members() {
        println!("{} at {} is {}", member.name, member.address, member.state);
    }
    second.leave().await?;
    while let Some(Received::Notice(notice)) = events.next().await {
        println!("app1 saw {:?}", notice.event);
        if matches!(notice.event, Event::MemberLeft(_)) {
            break;
        }
    }
    tokio::join!(first.shutdown(), second.shutdown());
    Ok(())
}
