//! What the guest's kernel says, and whether it means the end.

/// Signs that the guest is broken, whatever its command says.
const DEADLY: [&str; 9] = [
    "Failed to execute /init",
    "Kernel panic",
    "BUG: unable to handle",
    "BUG: kernel NULL pointer",
    "Oops:",
    "soft lockup",
    "hard LOCKUP",
    "rcu_sched self-detected stall",
    "rcu_preempt self-detected stall",
];
/// Lines of the log that a failure shows.
const TAIL: usize = 60;

/// The console's output.
#[derive(Debug, Default)]
pub(super) struct Console {
    log: Vec<u8>,
    searched: usize,
}

impl Console {
    /// Takes what came; the first sign of a broken guest is returned.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<&'static str> {
        self.log.extend_from_slice(bytes);
        // A sign may be split over two reads.
        let longest = DEADLY.iter().map(|sign| sign.len()).max().unwrap_or(0);
        let fresh = &self.log[self.searched.saturating_sub(longest)..];
        let found =
            DEADLY.into_iter().find(|sign| fresh.windows(sign.len()).any(|window| window == sign.as_bytes()));
        self.searched = self.log.len();
        found
    }

    /// Its last lines.
    pub(super) fn tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.log);
        let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_a_sign_split_over_reads() {
        let mut console = Console::default();
        assert_eq!(console.push(b"[    1.0] Kernel pa"), None);
        assert_eq!(console.push(b"nic - not syncing\r\n"), Some("Kernel panic"));
        assert_eq!(console.tail(), "[    1.0] Kernel panic - not syncing");
    }
}
