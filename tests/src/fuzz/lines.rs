//! What programs write into logs.

use timejump::clock::WallNs;
use timejump::node::kubelet_log;
use timejump::node::logs::{Words, read_messages};

/// A line of kubelet's: what it says of a stuck cache can be true.
pub fn kubelet(bytes: &[u8]) {
    if let Some(stuck) = kubelet_log::parse(&String::from_utf8_lossy(bytes)) {
        assert!(stuck.new <= stuck.cached && stuck.new > WallNs(0), "{stuck:?}");
    }
}

/// Lines of anybody's: each is read, whatever is in the others.
pub fn any(bytes: &[u8]) {
    let words = Words::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if words.read(line).is_some() {
            assert_eq!(
                words.read(line),
                words.read(&[b"node: ", line].concat()),
                "what stands before it changes nothing"
            );
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let second = 1_000_000_000;
    let messages =
        text.lines().zip(1_u64..).map(|(line, number)| (number, WallNs(i128::from(number) * second), line));
    let reading = read_messages("fuzz", messages);
    assert_eq!(reading.lines, text.lines().count() as u64, "each line is counted");
}
