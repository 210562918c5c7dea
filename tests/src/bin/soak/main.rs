//! The soak: random cuts, losses, kills, restarts, pauses, leaves and joins on twelve hosts, and
//! then a quiet time in which all must be well again.

mod ground;
mod schedule;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use ground::Ground;
use schedule::{HOSTS, Schedule};

/// Runs twelve nodes on hosts of their own through random cuts, losses, kills, restarts, pauses,
/// leaves and joins, and demands at the end that they are one cluster, that nobody crashed, and
/// that they hold no more memory than before. Exit status 1 where that is not so.
#[derive(Parser)]
#[command(name = "tests/soak", allow_negative_numbers = true)]
struct Arguments {
    /// What the schedule is drawn from
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// How long to go on
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// Print the schedule, and do nothing of it
    #[arg(long)]
    show: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let length = Duration::from_secs(arguments.minutes * 60);
    let schedule = Schedule::draw(arguments.seed, length);
    // Whoever reads may have gone: that is no reason to stop.
    let mut out = std::io::stdout();
    if arguments.show {
        for (at, step) in &schedule.0 {
            let _ = writeln!(out, "{:8.3} s  {step}", at.as_secs_f64());
        }
        return ExitCode::SUCCESS;
    }
    match soak(&schedule, length, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let (seed, minutes) = (arguments.seed, arguments.minutes);
            let _ = writeln!(
                std::io::stderr(),
                "{reason}\ntests/soak --seed {seed} --minutes {minutes}: failed"
            );
            ExitCode::FAILURE
        }
    }
}

/// Errors: what is not as it must be.
fn soak(schedule: &Schedule, length: Duration, out: &mut impl Write) -> Result<(), String> {
    let mut ground = Ground::new();
    let before = ground.memory();
    let _ = writeln!(out, "{HOSTS} nodes, one cluster; resident: {before}");
    let began = Instant::now();
    for (at, step) in &schedule.0 {
        std::thread::sleep(at.saturating_sub(began.elapsed()));
        let _ = writeln!(out, "{:8.3} s  {step}", began.elapsed().as_secs_f64());
        ground.apply(step);
        ground.check_processes()?;
    }
    std::thread::sleep(length.saturating_sub(began.elapsed()));
    let took = ground.mend()?;
    let _ = writeln!(out, "all mended; one cluster after {took:.2?}");
    ground.watch_quiet()?;
    ground.check_processes()?;
    ground.check_logs()?;
    let after = ground.memory();
    let _ = writeln!(out, "resident: {before} before, {after} after");
    after.check_flat(&before)?;
    let (steps, dropped) = (schedule.0.len(), ground.dropped());
    let _ = writeln!(out, "{steps} steps, {dropped} packets dropped: all is well");
    Ok(())
}
