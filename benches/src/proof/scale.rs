//! How large and how often: all that is chosen so that the whole takes as long as it may.

use std::time::Duration;

use super::plan::Request;

/// How many nodes, and how many seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) nodes: usize,
    pub(super) seeds: u64,
}

/// Lifeguard's grid: how many stop, for how long, and for how long they run in between.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) anomalous: &'static [usize],
    pub(super) stops_ms: &'static [u64],
    pub(super) runs_ms: &'static [u64],
}

/// The sizes of everything.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// What a fleet of any size is to do alike: a leave, a crash, rest.
    pub(super) fleets: [Size; 3],
    /// Leaves under loss, of which a percentile is read.
    pub(super) lossy: Size,
    /// Mass crashes.
    pub(super) dying: Size,
    /// Lifeguard's grids.
    pub(super) slow: Size,
    pub(super) grid: Grid,
    /// Loss on every link, and its length.
    pub(super) losing: Size,
    pub(super) loss: Duration,
    /// Loss and cuts of single nodes.
    pub(super) unsteady: Size,
    /// Partitions, those of a larger fleet, and long ones with their length.
    pub(super) cut: Size,
    pub(super) cut_large: Size,
    pub(super) cut_long: Size,
    pub(super) long_cut: Duration,
    /// Everybody joins, everybody restarts.
    pub(super) storm: Size,
    /// Nodes in several regions.
    pub(super) regions: Size,
}

const fn size(nodes: usize, seeds: u64) -> Size {
    Size { nodes, seeds }
}

/// What the README shows.
const FULL: Scale = Scale {
    fleets: [size(128, 40), size(1000, 10), size(10_000, 2)],
    lossy: size(128, 200),
    dying: size(1000, 3),
    slow: size(128, 1),
    grid: Grid {
        anomalous: &[4, 16, 32],
        stops_ms: &[512, 8192, 32_768],
        runs_ms: &[1, 64, 4096],
    },
    losing: size(256, 1),
    loss: Duration::from_secs(600),
    unsteady: size(256, 3),
    cut: size(256, 5),
    cut_large: size(1000, 1),
    cut_long: size(256, 1),
    long_cut: Duration::from_secs(1800),
    storm: size(1000, 2),
    regions: size(128, 20),
};

/// A look.
const QUICK: Scale = Scale {
    fleets: [size(32, 10), size(128, 10), size(1000, 1)],
    lossy: size(32, 40),
    dying: size(200, 2),
    slow: size(48, 1),
    grid: Grid {
        anomalous: &[8],
        stops_ms: &[512, 32_768],
        runs_ms: &[1, 4096],
    },
    losing: size(48, 1),
    loss: Duration::from_secs(120),
    unsteady: size(100, 1),
    cut: size(48, 2),
    cut_large: size(100, 1),
    cut_long: size(48, 1),
    long_cut: Duration::from_secs(300),
    storm: size(200, 2),
    regions: size(32, 10),
};

impl Scale {
    /// What the request comes to.
    pub(super) fn new(request: &Request) -> Self {
        let mut scale = if request.quick { QUICK } else { FULL };
        if let Some(seeds) = request.seeds {
            scale.sizes().for_each(|size| size.seeds = seeds);
        }
        scale
    }

    fn sizes(&mut self) -> impl Iterator<Item = &mut Size> {
        let others = [
            &mut self.lossy,
            &mut self.dying,
            &mut self.slow,
            &mut self.losing,
            &mut self.unsteady,
            &mut self.cut,
            &mut self.cut_large,
            &mut self.cut_long,
            &mut self.storm,
            &mut self.regions,
        ];
        self.fleets.iter_mut().chain(others)
    }
}
