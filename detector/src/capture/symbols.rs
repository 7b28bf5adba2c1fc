//! Names for kernel addresses, from `/proc/kallsyms`.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

/// The kernel's functions by address. Compact, since a kernel has tens of thousands.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Ascending by address.
    entries: Vec<Entry>,
    /// All names, each ended by a newline.
    names: String,
    /// Modules' names as they stand in the file; the kernel itself is the empty one.
    owners: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    start: u64,
    /// Where the name begins in `names`.
    name: u32,
    /// Which of `owners`.
    owner: u32,
}

/// Code is mapped by pages: within one there is one owner.
const PAGE: u64 = 4096;

/// Why addresses have no names.
#[derive(Debug, thiserror::Error)]
pub enum SymbolsError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The error.
        source: std::io::Error,
    },
    /// It shows zeros instead of addresses.
    #[error("{path}: addresses are hidden (kernel.kptr_restrict, or no CAP_SYSLOG)")]
    Hidden {
        /// The file.
        path: String,
    },
}

impl Symbols {
    /// Reads all functions from the file at `path`.
    pub fn read(path: &Path) -> Result<Self, SymbolsError> {
        let name = || path.display().to_string();
        let read_error = |source| SymbolsError::Read { path: name(), source };
        let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(read_error)?);
        let mut symbols = Self::default();
        let mut line = String::new();
        while reader.read_line(&mut line).map_err(read_error)? != 0 {
            symbols.add(&line);
            line.clear();
        }
        if symbols.entries.is_empty() {
            return Err(SymbolsError::Hidden { path: name() });
        }
        symbols.entries.sort_unstable();
        symbols.entries.shrink_to_fit();
        symbols.names.shrink_to_fit();
        Ok(symbols)
    }

    /// `address type name [module]`; functions only, hidden addresses (0) passed over.
    fn add(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        if !matches!(kind, "t" | "T" | "w" | "W") {
            return;
        }
        let Ok(start) = u64::from_str_radix(address, 16) else { return };
        let Ok(at) = u32::try_from(self.names.len()) else { return };
        if start != 0 {
            let owner = self.owner(words.next().unwrap_or_default());
            self.entries.push(Entry { start, name: at, owner });
            self.names.push_str(name);
            self.names.push('\n');
        }
    }

    fn owner(&mut self, module: &str) -> u32 {
        // The file lists one module after the other.
        let known = self.owners.iter().rposition(|owner| owner == module);
        let at = known.unwrap_or_else(|| {
            self.owners.push(module.to_owned());
            self.owners.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// The function that holds `address`, a return address: the call is before it, except where a return probe has put
    /// its trampoline in the address's place. Nothing for code that has come since the file was read.
    pub fn function(&self, address: u64) -> Option<&str> {
        let next = self.entries.partition_point(|entry| entry.start < address);
        if let Some(entry) = self.entries.get(next)
            && entry.start == address
            && let Some(name) = self.name(*entry).filter(|name| is_tracing(name))
        {
            return Some(name);
        }
        let holder = *self.entries.get(next.checked_sub(1)?)?;
        let neighbour = self.entries.get(next).is_some_and(|entry| entry.owner == holder.owner);
        let page_end = (holder.start / PAGE + 1) * PAGE;
        if neighbour || address <= page_end { self.name(holder) } else { None }
    }

    /// Beginning and end of the functions whose names are wanted, neighbours as one.
    pub fn ranges(&self, wanted: impl Fn(&str) -> bool) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        let ends = self.entries.iter().skip(1).map(|entry| entry.start).chain([u64::MAX]);
        for (&entry, end) in self.entries.iter().zip(ends) {
            // From 6.2 each function has its padding before it, by a name of its own.
            if !self.name(entry).is_some_and(|name| wanted(name.strip_prefix("__pfx_").unwrap_or(name))) {
                continue;
            }
            match ranges.last_mut() {
                Some((_, last)) if *last == entry.start => *last = end,
                _ => ranges.push((entry.start, end)),
            }
        }
        ranges
    }

    /// Whether there is a function of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.names.lines().any(|known| known == name)
    }

    fn name(&self, entry: Entry) -> Option<&str> {
        self.names.get(entry.name as usize..)?.split('\n').next()
    }

    /// Names of the functions on a stack, innermost first, without what tracing itself puts there.
    pub fn frames(&self, stack: &[u64]) -> Vec<&str> {
        let named = stack.iter().filter_map(|&address| self.function(address));
        named.filter(|name| !is_tracing(name)).collect()
    }
}

/// Whether a function is tracing's own.
fn is_tracing(name: &str) -> bool {
    name.starts_with("bpf_") || name.starts_with("ftrace_") || name.ends_with("_trampoline")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &str) -> Result<Symbols, SymbolsError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Symbols::read(file.path())
    }

    const TEXT: &str = "ffffffff81000000 T _text\nffffffff81002000 t do_settimeofday64\nffffffff81003000 D data\n\
        ffffffff81000800 T __x64_sys_clock_settime\nnonsense\nffffffffc0001000 t hv_set_host_time\t[hv_utils]\n\
        ffffffffc0002000 t bpf_trampoline_6442\t[bpf]\n";

    #[test]
    fn the_function_that_holds_the_call() {
        let symbols = read(TEXT).unwrap();
        for (address, name) in [
            (0xffff_ffff_8100_2001, Some("do_settimeofday64")),
            // A call as a function's last instruction returns to the next function's first byte.
            (0xffff_ffff_8100_2000, Some("__x64_sys_clock_settime")),
            (0xffff_ffff_c000_1fff, Some("hv_set_host_time")),
            (0xffff_ffff_8100_0000, None),
            (0, None),
        ] {
            assert_eq!(symbols.function(address), name, "{address:x}");
        }
    }

    #[test]
    fn tracings_own_frames_are_left_out() {
        let symbols = read(TEXT).unwrap();
        let stack = [0xffff_ffff_8100_2010, 0xffff_ffff_c000_2010, 0xffff_ffff_8100_0810, 0];
        assert_eq!(symbols.frames(&stack), ["do_settimeofday64", "__x64_sys_clock_settime"]);
    }

    #[test]
    fn a_return_probes_trampoline_is_not_its_neighbour() {
        let text = "ffffffff81000000 T elfcorehdr_read\nffffffff81000100 T kretprobe_trampoline\n";
        let symbols = read(text).unwrap();
        assert_eq!(symbols.function(0xffff_ffff_8100_0100), Some("kretprobe_trampoline"));
        assert!(symbols.frames(&[0xffff_ffff_8100_0100]).is_empty());
    }

    #[test]
    fn code_that_came_later_is_not_its_neighbours() {
        let symbols = read(TEXT).unwrap();
        assert_eq!(symbols.function(0xffff_ffff_c000_1fff), Some("hv_set_host_time"));
        // A trampoline made since, in a page that is nobody's in the file.
        assert_eq!(symbols.function(0xffff_ffff_c000_8010), None);
    }

    #[test]
    fn ranges_end_where_the_next_function_begins() {
        let symbols = read(TEXT).unwrap();
        let want = [(0xffff_ffff_8100_0800, 0xffff_ffff_8100_2000)];
        assert_eq!(symbols.ranges(|name| name == "__x64_sys_clock_settime"), want);
        let neighbours = [(0xffff_ffff_8100_0000, 0xffff_ffff_8100_2000)];
        assert_eq!(symbols.ranges(|name| name == "_text" || name == "__x64_sys_clock_settime"), neighbours);
        assert!(symbols.contains("hv_set_host_time"));
        assert!(!symbols.contains("hv_set"));
    }

    #[test]
    fn hidden_addresses_are_said_to_be() {
        let error = read("0000000000000000 T _text\n").unwrap_err();
        assert!(error.to_string().contains("hidden"), "{error}");
    }
}
