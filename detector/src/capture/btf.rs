//! Where a structure's members lie, from the kernel's own type information.
//!
//! The format is the kernel's Documentation/bpf/btf.rst. aya reads BTF to find functions but does not tell member
//! offsets, hence this walker; it reads the file once and keeps nothing. What aya then reads is a digest of it.

use std::{fs, io, ops::Range, path::Path};

use memchr::memmem;

/// Where the kernel offers its types.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why an offset cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file is missing (`CONFIG_DEBUG_INFO_BTF` is off) or unreadable.
    #[error("no BTF: {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The error.
        source: io::Error,
    },
    /// The bytes are not BTF.
    #[error("malformed BTF: {0}")]
    Malformed(&'static str),
    /// No structure of this name.
    #[error("BTF has no struct {0}")]
    NoStruct(String),
    /// The structure has no such member.
    #[error("BTF has no member {0}")]
    NoMember(String),
}

const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// Bytes common to all kinds: name, kind and count, size or type.
const TYPE: usize = 12;
/// Nesting of anonymous members and typedefs followed before the BTF is taken for malformed (a loop).
const MAX_DEPTH: u32 = 32;

/// The types of one kernel.
#[derive(Debug)]
pub struct KernelBtf {
    bytes: Vec<u8>,
    types: Range<usize>,
    strings: Range<usize>,
    /// Position in `bytes` of each type id, from 1.
    positions: Vec<u32>,
}

impl KernelBtf {
    /// Reads the file at `path`, `/sys/kernel/btf/vmlinux` as a rule.
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        let bytes =
            fs::read(path).map_err(|source| BtfError::Read { path: path.display().to_string(), source })?;
        Self::parse(bytes)
    }

    /// Reads little-endian BTF.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        if bytes.get(..3) != Some(&[0x9f, 0xeb, 1]) {
            return Err(BtfError::Malformed("no magic, or an unknown version"));
        }
        let header = |at: usize| word(&bytes, at).map(|word| word as usize);
        let body = header(4)?;
        let section = |at: usize| {
            let start = body.checked_add(header(at)?);
            let end = start.zip(Some(header(at + 4)?)).and_then(|(start, length)| start.checked_add(length));
            match (start, end) {
                (Some(start), Some(end)) if end <= bytes.len() => Ok(start..end),
                _ => Err(BtfError::Malformed("section beyond the end")),
            }
        };
        let types = section(8)?;
        let strings = section(16)?;
        let mut positions = vec![0];
        let mut at = types.start;
        while at < types.end {
            positions.push(u32::try_from(at).map_err(|_| BtfError::Malformed("too large"))?);
            at += TYPE + trailing_bytes(word(&bytes, at + 4)?)?;
        }
        if at != types.end {
            return Err(BtfError::Malformed("cut short"));
        }
        Ok(Self { bytes, types, strings, positions })
    }

    /// How many type ids there are, 0 (`void`) included.
    pub fn type_count(&self) -> usize {
        self.positions.len()
    }

    /// The same type ids, up to the last of these functions and types (of raw tracepoints' arguments), with nothing but them:
    /// all that attaching asks for. A loader takes some 20 MiB for the types of a kernel, and searches them by name for each.
    pub fn digest(&self, names: &[&str]) -> Result<Vec<u8>, BtfError> {
        let too_large = |_| BtfError::Malformed("too large");
        // What is zero is a type of no kind.
        let mut types = vec![0; self.positions.len() * TYPE];
        let mut strings = vec![0];
        let mut end = 0;
        let wanted: Vec<_> = names.iter().map(|name| (*name, self.offsets(name))).collect();
        for (place, &position) in (0..).step_by(TYPE).zip(self.positions.iter().skip(1)) {
            let at = position as usize;
            let info = self.word(at + 4)?;
            if !matches!(kind(info), KIND_FUNC | KIND_TYPEDEF) {
                continue;
            }
            let name = self.word(at)?;
            let Some((name, _)) = wanted.iter().find(|(_, offsets)| offsets.contains(&name)) else {
                continue;
            };
            let offset = u32::try_from(strings.len()).map_err(too_large)?;
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
            end = place + TYPE;
            for (to, word) in types[place..end].chunks_exact_mut(4).zip([offset, info, self.word(at + 8)?]) {
                to.copy_from_slice(&word.to_le_bytes());
            }
        }
        types.truncate(end);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(too_large);
        let (types_length, strings_length) = (length(&types)?, length(&strings)?);
        let mut digest = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types_length, types_length, strings_length] {
            digest.extend(word.to_le_bytes());
        }
        digest.append(&mut types);
        digest.append(&mut strings);
        Ok(digest)
    }

    /// Offset in bytes of `path` within `structure`: a member's name, or several joined by dots. Members of anonymous
    /// structures and unions count as the outer one's, as in C.
    pub fn member_offset(&self, structure: &str, path: &str) -> Result<u32, BtfError> {
        let mut id = self.find_struct(structure)?;
        let mut offset = 0;
        for name in path.split('.') {
            let (bits, member) = self
                .find_member(id, name, 0)?
                .ok_or_else(|| BtfError::NoMember(format!("{structure}.{path}")))?;
            offset += bits / 8;
            id = member;
        }
        Ok(offset)
    }

    fn find_struct(&self, name: &str) -> Result<u32, BtfError> {
        let offsets = self.offsets(name);
        for (id, &position) in self.positions.iter().enumerate().skip(1) {
            let at = position as usize;
            if kind(self.word(at + 4)?) == KIND_STRUCT && offsets.contains(&self.word(at)?) {
                return u32::try_from(id).map_err(|_| BtfError::Malformed("too large"));
            }
        }
        Err(BtfError::NoStruct(name.to_owned()))
    }

    /// Offset in bits and type of the member `name` of structure or union `id`.
    fn find_member(&self, id: u32, name: &str, depth: u32) -> Result<Option<(u32, u32)>, BtfError> {
        if depth > MAX_DEPTH {
            return Err(BtfError::Malformed("types nested without end"));
        }
        let at = self.position(id)?;
        let info = self.word(at + 4)?;
        match kind(info) {
            KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                return self.find_member(self.word(at + 8)?, name, depth + 1);
            }
            KIND_STRUCT | KIND_UNION => {}
            _ => return Ok(None),
        }
        for member in 0..(info & 0xffff) as usize {
            let member = at + TYPE + member * 12;
            let member_name = self.name(self.word(member)?);
            let member_type = self.word(member + 4)?;
            let raw = self.word(member + 8)?;
            // With the kind flag the upper byte is a bit field's size.
            let bits = if info >> 31 == 1 { raw & 0x00ff_ffff } else { raw };
            if member_name == name.as_bytes() {
                return Ok(Some((bits, member_type)));
            }
            if member_name.is_empty()
                && let Some((inner, found)) = self.find_member(member_type, name, depth + 1)?
            {
                return Ok(Some((bits.saturating_add(inner), found)));
            }
        }
        Ok(None)
    }

    /// The word at `at`, which is within the types.
    fn word(&self, at: usize) -> Result<u32, BtfError> {
        word(&self.bytes[..self.types.end], at)
    }

    fn position(&self, id: u32) -> Result<usize, BtfError> {
        match self.positions.get(id as usize) {
            Some(&position) if id != 0 => Ok(position as usize),
            _ => Err(BtfError::Malformed("unknown type id")),
        }
    }

    /// Where `name` stands among the strings; once, as a rule. Types are compared by that: a kernel has a hundred thousand.
    fn offsets(&self, name: &str) -> Vec<u32> {
        let strings = &self.bytes[self.strings.clone()];
        let whole = [name.as_bytes(), b"\0"].concat();
        memmem::find_iter(strings, &whole).filter_map(|at| u32::try_from(at).ok()).collect()
    }

    fn name(&self, at: u32) -> &[u8] {
        let rest = self.bytes[self.strings.clone()].get(at as usize..).unwrap_or_default();
        rest.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

fn kind(info: u32) -> u32 {
    (info >> 24) & 0x1f
}

/// Bytes after the [`TYPE`] common to all kinds.
fn trailing_bytes(info: u32) -> Result<usize, BtfError> {
    let count = (info & 0xffff) as usize;
    Ok(match kind(info) {
        KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => count * 12,
        KIND_ENUM | KIND_FUNC_PROTO => count * 8,
        0..=KIND_ENUM64 => 0,
        _ => return Err(BtfError::Malformed("unknown kind of type")),
    })
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let word = at.checked_add(4).and_then(|end| bytes.get(at..end));
    word.and_then(|word| word.try_into().ok()).map(u32::from_le_bytes).ok_or(BtfError::Malformed("cut short"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct timekeeper { int a; union { struct { long b; }; long offs_tai; }; }`, as a compiler lays it out.
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0long\0timekeeper\0a\0b\0offs_tai\0";
        let at = |name: &str| {
            let needle = [name.as_bytes(), b"\0"].concat();
            u32::try_from(strings.windows(needle.len()).position(|window| window == needle).unwrap()).unwrap()
        };
        let int = |name, size: u32| vec![at(name), KIND_INT << 24, size, size * 8];
        let mut words: Vec<u32> = Vec::new();
        words.extend(int("int", 4)); // 1
        words.extend(int("long", 8)); // 2
        words.extend([0, KIND_STRUCT << 24 | 1, 8, at("b"), 2, 0]); // 3
        words.extend([0, KIND_UNION << 24 | 2, 8, 0, 3, 0, at("offs_tai"), 2, 0]); // 4
        words.extend([at("timekeeper"), KIND_STRUCT << 24 | 2, 16, at("a"), 1, 0, 0, 4, 64]); // 5
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        let (types_len, strings_len) =
            (u32::try_from(types.len()).unwrap(), u32::try_from(strings.len()).unwrap());
        for word in [24, 0, types_len, types_len, strings_len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn members_of_anonymous_members() {
        let btf = KernelBtf::parse(sample()).unwrap();
        for (member, offset) in [("a", 0), ("b", 8), ("offs_tai", 8)] {
            assert_eq!(btf.member_offset("timekeeper", member).unwrap(), offset, "{member}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let btf = KernelBtf::parse(sample()).unwrap();
        assert_eq!(btf.member_offset("gone", "a").unwrap_err().to_string(), "BTF has no struct gone");
        let error = btf.member_offset("timekeeper", "gone").unwrap_err();
        assert_eq!(error.to_string(), "BTF has no member timekeeper.gone");
        assert!(btf.member_offset("timekeeper", "a.b").is_err());
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_an_error_or_an_answer() {
        let whole = sample();
        for end in 0..whole.len() {
            assert!(KernelBtf::parse(whole[..end].to_vec()).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                if let Ok(btf) = KernelBtf::parse(bytes) {
                    let _ = btf.member_offset("timekeeper", "offs_tai");
                }
            }
        }
    }

    #[test]
    fn this_machines_kernel() {
        match KernelBtf::read(Path::new(VMLINUX)) {
            Ok(btf) => {
                let names = ["do_adjtimex", "btf_trace_sys_exit"];
                let digest = KernelBtf::parse(btf.digest(&names).unwrap()).unwrap();
                assert!(digest.positions.len() <= btf.positions.len());
                for name in names {
                    let of = |btf: &KernelBtf| {
                        let is_it = |&at: &u32| {
                            at != 0 && btf.name(btf.word(at as usize).unwrap()) == name.as_bytes()
                        };
                        btf.positions.iter().position(is_it)
                    };
                    assert_eq!(of(&digest), of(&btf), "ids are what attaching goes by");
                    assert!(of(&btf).is_some());
                }
                let real = btf.member_offset("timekeeper", "offs_real").unwrap();
                let boot = btf.member_offset("timekeeper", "offs_boot").unwrap();
                assert_eq!(boot, real + 8);
                assert!(btf.member_offset("mm_struct", "arg_start").unwrap() > 0);
            }
            Err(error) => assert!(error.to_string().starts_with("no BTF"), "{error}"),
        }
    }
}
