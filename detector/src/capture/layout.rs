//! What the eBPF programs must know of this kernel's structures.

use super::btf::{BtfError, KernelBtf};

/// Offsets in bytes, by the names of the programs' globals; 0 is "not known".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// `timekeeper`: without it there is no rung A.
    pub timekeeper: Timekeeper,
    /// How tasks are read: one of `detector_common::task::READ_*`.
    pub read: u32,
    /// Whether user memory may be read.
    pub user_read: bool,
    /// `task_struct`, `mm_struct`: without it a process that is gone keeps neither parent nor command line.
    pub task: TaskLayout,
}

/// Members of `struct timekeeper`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timekeeper {
    pub offs_real: u32,
    pub offs_boot: u32,
    pub tai_offset: u32,
}

/// Members of `struct task_struct` and `struct mm_struct`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskLayout {
    pub real_parent: u32,
    pub tgid: u32,
    pub comm: u32,
    pub mm: u32,
    pub arg_start: u32,
    pub arg_end: u32,
    /// Plus one: at the very beginning is a place too.
    pub status_plus_one: u32,
}

impl Timekeeper {
    /// Finds the members; an error names the first that is missing.
    pub fn find(btf: &KernelBtf) -> Result<Self, BtfError> {
        let member = |name| btf.member_offset("timekeeper", name);
        Ok(Self {
            offs_real: member("offs_real")?,
            offs_boot: member("offs_boot")?,
            tai_offset: member("tai_offset")?,
        })
    }
}

impl TaskLayout {
    /// Finds the members; an error names the first that is missing. `thread_info.status` is x86's and optional.
    pub fn find(btf: &KernelBtf) -> Result<Self, BtfError> {
        let member = |name| btf.member_offset("task_struct", name);
        Ok(Self {
            real_parent: member("real_parent")?,
            tgid: member("tgid")?,
            comm: member("comm")?,
            mm: member("mm")?,
            arg_start: btf.member_offset("mm_struct", "arg_start")?,
            arg_end: btf.member_offset("mm_struct", "arg_end")?,
            status_plus_one: member("thread_info.status").map_or(0, |offset| offset + 1),
        })
    }
}
