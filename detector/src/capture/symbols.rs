//! Names for kernel addresses, from `/proc/kallsyms`.
//!
//! Reading them takes the kernel as long as loading programs does, and all of them are some 6 MB: [`KernelNames`] reads once
//! something asks, and keeps those that decide what a step is.

use std::{
    cell::OnceCell,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use super::verdict;

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

/// Stands for a function whose name was not kept.
pub(super) const SOME_FUNCTION: &str = "?";

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
        let mut symbols = Self::default();
        for_each_line(path, |line| {
            symbols.add(line);
            true
        })?;
        if symbols.entries.is_empty() {
            return Err(SymbolsError::Hidden { path: path.display().to_string() });
        }
        symbols.entries.sort_unstable();
        Ok(symbols)
    }

    /// Those with wanted names alone. Of the others it is still known where they are, not what they are called: such an
    /// address is in [`SOME_FUNCTION`].
    fn abridged(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let mut few =
            Self { names: format!("{SOME_FUNCTION}\n"), owners: self.owners.clone(), ..Self::default() };
        let name = |entry: &Entry| self.name(*entry).filter(|name| wanted(without_padding(name)));
        let mut last_was_wanted = false;
        for (at, entry) in self.entries.iter().enumerate() {
            let owner_of = |at: usize| self.entries.get(at).map(|entry| entry.owner);
            // What ends a function: the next one's beginning, or that another's code begins.
            let is_edge = owner_of(at + 1) != Some(entry.owner)
                || at.checked_sub(1).and_then(owner_of) != Some(entry.owner);
            let name = name(entry);
            if name.is_some() || last_was_wanted || is_edge {
                let kept = name.map_or(Some(0), |_| u32::try_from(few.names.len()).ok());
                few.entries.extend(kept.map(|name| Entry { name, ..*entry }));
                few.names.extend(name.into_iter().flat_map(|name| [name, "\n"]));
            }
            last_was_wanted = name.is_some();
        }
        few.entries.shrink_to_fit();
        few.names.shrink_to_fit();
        few
    }

    /// `address type name [module]`; functions only, hidden addresses (0) passed over.
    fn add(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        if !is_code(kind) {
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
            if !self.name(entry).is_some_and(|name| wanted(without_padding(name))) {
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

/// By the letters of nm(1).
fn is_code(kind: &str) -> bool {
    matches!(kind, "t" | "T" | "w" | "W")
}

fn is_function(line: &str) -> bool {
    line.split_ascii_whitespace().nth(1).is_some_and(is_code)
}

/// A function's name. From 6.2 each has its padding before it, by a name of its own.
fn without_padding(name: &str) -> &str {
    name.strip_prefix("__pfx_").unwrap_or(name)
}

/// Hands over one line after the other, for as long as `more` says so.
fn for_each_line(path: &Path, mut more: impl FnMut(&str) -> bool) -> Result<(), SymbolsError> {
    let failed = |source| SymbolsError::Read { path: path.display().to_string(), source };
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
    let mut line = String::new();
    while reader.read_line(&mut line).map_err(failed)? != 0 && more(&line) {
        line.clear();
    }
    Ok(())
}

/// The running kernel's functions, read once they are asked for.
#[derive(Debug)]
pub struct KernelNames {
    path: PathBuf,
    known: OnceCell<Option<Symbols>>,
}

impl Default for KernelNames {
    fn default() -> Self {
        Self { path: "/proc/kallsyms".into(), known: OnceCell::new() }
    }
}

/// Functions by whose being there it is told how return probes work.
pub(super) const OF_RETURN_PROBES: [&str; 2] = ["rethook_find_ret_addr", "kretprobe_find_ret_addr"];

impl KernelNames {
    /// Functions by which most steps can be told; others are in there without their names. Nothing where names are hidden.
    pub fn known(&self) -> Option<&Symbols> {
        let matters =
            |name: &str| verdict::tells(name) || is_tracing(name) || OF_RETURN_PROBES.contains(&name);
        self.known.get_or_init(|| self.all().map(|all| all.abridged(matters))).as_ref()
    }

    /// All functions as of now, those of modules loaded since the first reading as well.
    pub fn all(&self) -> Option<Symbols> {
        let read = Symbols::read(&self.path);
        let hidden = |error: SymbolsError| {
            tracing::debug!(
                "{error}: clock_settime and settimeofday are not told apart, kernel callers not named"
            );
        };
        read.map_err(hidden).ok()
    }

    /// Whether there are names to be had; looks no further than the first function.
    pub fn are_there(&self) -> bool {
        let mut first = Symbols::default();
        let looked = for_each_line(&self.path, |line| {
            first.add(line);
            !is_function(line)
        });
        looked.is_ok() && !first.entries.is_empty()
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

    fn names(text: &str) -> (tempfile::NamedTempFile, KernelNames) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let names = KernelNames { path: file.path().to_owned(), ..KernelNames::default() };
        (file, names)
    }

    #[test]
    fn what_is_kept_tells_as_much_of_where_a_function_is() {
        let text = "ffffffff81000000 T _text\nffffffff81000100 T first\nffffffff81000800 t __pfx___x64_sys_clock_settime\n\
            ffffffff81000810 T __x64_sys_clock_settime\nffffffff81001000 T after\nffffffff81002000 T last\n\
            ffffffffc0001000 t hv_begin\t[hv_utils]\nffffffffc0001400 t hv_set_host_time\t[hv_utils]\n\
            ffffffffc0001800 t hv_end\t[hv_utils]\nffffffffc0002000 t bpf_trampoline_6442\t[bpf]\n";
        let (_file, names) = names(text);
        let (all, few) = (names.all().unwrap(), names.known().unwrap());
        let kept = ["__x64_sys_clock_settime", "__pfx___x64_sys_clock_settime", "bpf_trampoline_6442"];
        for address in (0xffff_ffff_8100_0000..0xffff_ffff_8100_4000_u64)
            .chain(0xffff_ffff_c000_0000..0xffff_ffff_c000_9000)
            .step_by(8)
        {
            let want =
                all.function(address).map(|name| if kept.contains(&name) { name } else { SOME_FUNCTION });
            assert_eq!(few.function(address), want, "{address:x}");
        }
        let is_setter = |name: &str| name == "__x64_sys_clock_settime";
        assert_eq!(few.ranges(is_setter), all.ranges(is_setter));
        assert!(few.names.len() < all.names.len());
    }

    #[test]
    fn this_machines_kernel() {
        let names = KernelNames::default();
        let (Some(all), true) = (names.all(), names.are_there()) else {
            assert!(names.known().is_none(), "hidden from one is hidden from all");
            return;
        };
        let few = names.known().unwrap();
        assert!(few.contains("do_settimeofday64"));
        assert!(few.entries.len() * 10 < all.entries.len(), "{} of {}", few.entries.len(), all.entries.len());
    }

    #[test]
    fn names_are_there_if_the_first_function_has_an_address() {
        let per_cpu = "0000000000000000 A fixed_percpu_data\n";
        for (text, there) in [
            (format!("{per_cpu}ffffffff81000000 T _text\n"), true),
            (format!("{per_cpu}0000000000000000 T _text\nffffffff81000000 T unlikely\n"), false),
            (String::new(), false),
        ] {
            let (_file, names) = names(&text);
            assert_eq!(names.are_there(), there, "{text}");
        }
        let nowhere = KernelNames { path: "/nonexistent".into(), ..KernelNames::default() };
        assert!(!nowhere.are_there());
        assert!(nowhere.known().is_none());
    }

    #[test]
    fn hidden_addresses_are_said_to_be() {
        let error = read("0000000000000000 T _text\n").unwrap_err();
        assert!(error.to_string().contains("hidden"), "{error}");
    }
}
