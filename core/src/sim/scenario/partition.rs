//! The network falls apart, and is whole again after a while.

use std::time::Duration;

use super::super::protocol::Protocol;
use super::super::report::Cut;
use super::super::world::World;
use super::stage::Stage;

const LENGTH: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(120);
/// One pair of hosts for so many is cut off from each other, where pairs are cut.
const PAIRS_ONE_IN: usize = 16;

pub(super) fn play<P: Protocol>(stage: &mut Stage<'_, P>) {
    let time = stage.params.duration.unwrap_or(LENGTH);
    stage.plan(time + Duration::from_secs(30));
    stage.settle();
    stage.measure();
    cut(stage);
    stage.pass(time);
    stage.stop_measuring();
    stage.world.network.mend();
    stage.world.network.host_loss.clear();
    stage.mark("the network is whole");
    let healed = stage.until(LIMIT, World::is_converged);
    stage.run.healed.extend(healed);
    stage.run.missed += u64::from(healed.is_none());
    stage.pass(Duration::from_secs(20));
    stage.conclude(&stage.world.running(), healed.is_some());
}

fn cut<P: Protocol>(stage: &mut Stage<'_, P>) {
    let mut nodes = stage.world.running();
    stage.rng.shuffle(&mut nodes);
    if stage.params.cut == Some(Cut::Pairs) {
        let pairs = (nodes.len() / PAIRS_ONE_IN).max(1);
        for pair in nodes.chunks_exact(2).take(pairs) {
            stage.world.network.cut_pair(pair[0], pair[1]);
        }
        stage.mark(format!("{pairs} pairs are cut"));
        return;
    }
    let parts = stage.params.split.clone().unwrap_or_else(|| vec![1, 1]);
    let sides = sides(&nodes, &parts);
    let sizes: Vec<_> = sides.iter().map(|side| side.len().to_string()).collect();
    let network = &mut stage.world.network;
    match stage.params.cut {
        Some(Cut::OneWay) => network.cut_into_one_way(&sides),
        Some(Cut::Lossy) => {
            for &host in sides.iter().skip(1).flatten() {
                network.host_loss.push((host, 0.8, 0.8));
            }
        }
        _ => network.cut_into(&sides),
    }
    stage.mark(format!("cut: {}", sizes.join(" | ")));
}

/// Divides the nodes in the proportion of `parts`, everyone in some side and no side empty.
fn sides(nodes: &[usize], parts: &[u32]) -> Vec<Vec<usize>> {
    let total = u64::from(parts.iter().sum::<u32>().max(1));
    let (mut sides, mut begin, mut before) = (Vec::new(), 0, 0_u64);
    for (number, &part) in parts.iter().enumerate() {
        before += u64::from(part);
        let left = parts.len() - number - 1;
        let end = (nodes.len() as u64 * before / total) as usize;
        let end = end.max(begin + 1).min(nodes.len() - left);
        sides.push(nodes[begin..end].to_vec());
        begin = end;
    }
    sides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_in_proportion_and_never_empty() {
        let sizes = |count: usize, parts: &[u32]| {
            let nodes: Vec<_> = (0..count).collect();
            let sides = sides(&nodes, parts);
            sides.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(256, &[1, 1]), [128, 128]);
        assert_eq!(sizes(1000, &[9, 1]), [900, 100]);
        assert_eq!(sizes(256, &[254, 1, 1]), [254, 1, 1]);
        assert_eq!(sizes(4, &[100, 1, 1]), [2, 1, 1]);
        assert_eq!(sizes(100, &[1, 1, 1]), [33, 33, 34]);
    }
}
