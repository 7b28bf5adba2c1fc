//! The audit of all that one daemon wrote: whatever happened, the ledger balances.

use anyhow::{Context, Result, bail, ensure};

use crate::lines::{Jump, Line, Refused, Status, Summary};

/// What a scenario allows beyond the usual.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// Lines of type `lagged` and a summary with drops are fine.
    pub may_lag: bool,
    /// Alarms of these kinds are fine.
    pub may_alarm: &'static [&'static str],
    /// A hook may go silent: alarms of that kind and more status lines are fine.
    pub may_fall_silent: bool,
}

/// All that one daemon wrote, audited.
#[derive(Debug)]
pub struct Report {
    /// The first line.
    pub status: Status,
    /// Every jump in order.
    pub jumps: Vec<Jump>,
    /// The sum over the `lagged` lines.
    pub lagged: u64,
    /// Every `refused` line in order.
    pub refused: Vec<Refused>,
    /// The kind of every `alarm` line in order.
    pub alarms: Vec<String>,
    /// The last line.
    pub summary: Summary,
}

impl Report {
    /// Sorts the lines and checks what must hold always.
    pub fn audit(lines: &[Line], expect: &Expect) -> Result<Self> {
        let [Line::Status(status), between @ .., Line::Summary(summary)] = lines else {
            bail!(
                "the first line must be the status and the last the summary, but: {:?} … {:?}",
                lines.first(),
                lines.last()
            );
        };
        let (mut jumps, mut refused, mut lagged, mut alarms) = (Vec::new(), Vec::new(), 0, Vec::new());
        for line in between {
            match line {
                Line::Jump(jump) => jumps.push((**jump).clone()),
                Line::Refused(of) => refused.push((**of).clone()),
                Line::Lagged { missed, at } if at == "capture" => lagged += missed,
                Line::Lagged { missed, .. } => bail!("standard output lost {missed} lines"),
                Line::Alarm { kind, .. } if expect.may_fall_silent && kind == "hook_silent" => {
                    alarms.push(kind.clone());
                }
                Line::Alarm { kind, .. } if expect.may_alarm.contains(&kind.as_str()) => {
                    alarms.push(kind.clone());
                }
                Line::Status(_) if expect.may_fall_silent => {}
                Line::Alarm { kind, message } => bail!("alarm {kind}: {message}"),
                Line::Impact(_) | Line::Remedy(_) | Line::Other => {}
                Line::Status(_) | Line::Summary(_) => bail!("a second status or summary: {line:?}"),
            }
        }
        let (status, summary) = ((**status).clone(), summary.clone());
        let report = Self { status, jumps, lagged, refused, alarms, summary };
        report.check_chain()?;
        report.check_balance()?;
        if !expect.may_lag {
            let summary = &report.summary;
            ensure!(report.lagged == 0 && summary.missed == 0, "events were missed: {summary:?}");
            ensure!(summary.dropped == 0, "events were dropped: {summary:?}");
        }
        Ok(report)
    }

    fn check_chain(&self) -> Result<()> {
        let mut offset = self.status.offset_ns;
        let mut sequence = None;
        for jump in &self.jumps {
            ensure!(jump.old_offset_ns == offset, "the chain is broken: expected {offset} before {jump:?}");
            ensure!(
                jump.delta_ns == jump.new_offset_ns - jump.old_offset_ns,
                "delta is not new - old: {jump:?}"
            );
            ensure!(jump.delta_ns != 0, "a jump by nothing: {jump:?}");
            ensure!(jump.delta_error_ns >= 0, "a negative error: {jump:?}");
            ensure!(
                jump.wall_after_ns() - jump.wall_before_ns() == i128::from(jump.delta_ns),
                "wall_after - wall_before is not the delta: {jump:?}"
            );
            ensure!(jump.boot_id == self.status.boot_id, "another boot id: {jump:?}");
            ensure!(sequence < Some(jump.sequence), "sequence does not grow: {jump:?}");
            sequence = Some(jump.sequence);
            offset = jump.new_offset_ns;
        }
        ensure!(offset == self.summary.offset_now_ns, "the chain ends at {offset}, but {:?}", self.summary);
        Ok(())
    }

    fn check_balance(&self) -> Result<()> {
        let summary = &self.summary;
        let told = self.jumps.iter().map(|jump| jump.delta_ns).sum::<i64>();
        ensure!(told == summary.sum_of_deltas_ns, "the deltas told sum up to {told}, but {summary:?}");
        ensure!(
            summary.sum_of_deltas_ns == summary.offset_now_ns - summary.offset_at_start_ns,
            "the ledger does not balance: {summary:?}"
        );
        ensure!(summary.residual_ns == 0, "a residual: {summary:?}");
        ensure!(
            summary.offset_at_start_ns == self.status.offset_ns,
            "the summary starts elsewhere than the status, {}: {summary:?}",
            self.status.offset_ns
        );
        let count = u64::try_from(self.jumps.len())?;
        // What was captured and then did not fit on the way to those who are told came as numbers and sums.
        let summed_up = self.lagged > summary.missed;
        ensure!(
            count == summary.jumps || summed_up && count < summary.jumps,
            "{count} jumps told, {} lagged, but {summary:?}",
            self.lagged
        );
        Ok(())
    }

    /// The one jump there must be.
    pub fn only_jump(&self) -> Result<&Jump> {
        ensure!(self.jumps.len() == 1, "expected one jump, got {}: {:?}", self.jumps.len(), self.jumps);
        self.jumps.first().context("one jump")
    }

    /// There must be exactly `count` jumps.
    pub fn has_jumps(&self, count: usize) -> Result<()> {
        ensure!(
            self.jumps.len() == count,
            "expected {count} jumps, got {}: {:#?}",
            self.jumps.len(),
            self.jumps
        );
        Ok(())
    }

    /// The final offset must be the referee's.
    pub fn ends_at(&self, wall_offset: i64) -> Result<()> {
        let summary = &self.summary;
        let off_by = (summary.offset_now_ns - wall_offset).abs();
        ensure!(
            off_by <= summary.offset_error_ns,
            "the summary is {off_by} ns off the referee's {wall_offset}: {summary:?}"
        );
        Ok(())
    }
}
