//! `timejump diagnose`, run as its users run it, on copies of nodes whose stories are known.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod hostile;
mod journal;
mod live;
mod missing;
mod recorded;
mod redhat79;
mod run;
