//! From a ring's bytes to what they say.

use bytemuck::AnyBitPattern;
use detector_common::{
    ABI_VERSION, Header, KIND_CALL, KIND_REFUSAL, KIND_STEP, call::Call, refusal::Refusal, step::Step,
};

/// One record of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A step with its size (rungs A, B).
    Step(Step),
    /// A call that set the clock (rungs C, D).
    Call(Call),
    /// An attempt that was refused.
    Refusal(Refusal),
}

/// Bytes that are no record of ours: the object in the kernel and this program are not of one build.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another layout.
    #[error("record of ABI version {0}, this is {ABI_VERSION}")]
    Abi(u32),
    /// A kind that this version does not know.
    #[error("record of unknown kind {0}")]
    Kind(u32),
    /// Shorter than its kind.
    #[error("record of {0} bytes is cut short")]
    Short(usize),
}

impl Record {
    /// Decodes one item of a ring.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let header: Header = read(bytes)?;
        if header.abi != ABI_VERSION {
            return Err(RecordError::Abi(header.abi));
        }
        match header.kind {
            KIND_STEP => read(bytes).map(Self::Step),
            KIND_CALL => read(bytes).map(Self::Call),
            KIND_REFUSAL => read(bytes).map(Self::Refusal),
            kind => Err(RecordError::Kind(kind)),
        }
    }
}

fn read<T: AnyBitPattern>(bytes: &[u8]) -> Result<T, RecordError> {
    bytes.get(..size_of::<T>()).map(bytemuck::pod_read_unaligned).ok_or(RecordError::Short(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_foreign_and_unknown_are_told_apart() {
        assert_eq!(Record::decode(&[]), Err(RecordError::Short(0)));
        let mut bytes = [0; size_of::<Step>()];
        assert_eq!(Record::decode(&bytes), Err(RecordError::Abi(0)));
        bytes[..4].copy_from_slice(&ABI_VERSION.to_ne_bytes());
        bytes[4] = 9;
        assert_eq!(Record::decode(&bytes), Err(RecordError::Kind(9)));
        bytes[4] = 1;
        bytes[8] = 7;
        assert!(matches!(Record::decode(&bytes), Ok(Record::Step(Step { sequence: 7, .. }))));
        assert_eq!(Record::decode(&bytes[..100]), Err(RecordError::Short(100)));
    }
}
