//! An NTP server for one test: it tells a time of its own, which runs on however the wall clock is stepped.

use std::net::UdpSocket;
use std::thread;

use anyhow::{Context, Result};

use crate::sys::SECOND;
use crate::sys::clock::{boot_ns, wall_ns};

/// Seconds from 1900, where NTP counts from, to 1970.
const NTP_TO_UNIX: i64 = 2_208_988_800;
const PACKET: usize = 48;

/// Serves, on loopback and until this process ends, a time that is `ahead_ns` ahead of the wall clock's now. Returns
/// the port.
pub fn serve(ahead_ns: i64) -> Result<u16> {
    let socket = UdpSocket::bind("127.0.0.1:0").context("bind the NTP server")?;
    let port = socket.local_addr()?.port();
    let base = wall_ns() - boot_ns() + ahead_ns;
    thread::spawn(move || {
        let mut request = [0_u8; 256];
        while let Ok((length, from)) = socket.recv_from(&mut request) {
            let received = base + boot_ns();
            if let Some(question) = request[..length].first_chunk() {
                let _ = socket.send_to(&answer(question, received, base + boot_ns()), from);
            }
        }
    });
    Ok(port)
}

/// The answer of a stratum-1 server that received `question` and sends at these times, in ns since 1970.
fn answer(question: &[u8; PACKET], received: i64, sent: i64) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    let version = question[0] & 0b0011_1000;
    packet[0] = version | 4; // no leap warning, mode "server"
    packet[1] = 1; // stratum
    packet[2] = question[2]; // poll interval
    packet[3] = 0xec; // precision: 2^-20 s
    packet[12..16].copy_from_slice(b"TEST");
    packet[16..24].copy_from_slice(&stamp(received - SECOND));
    packet[24..32].copy_from_slice(&question[40..48]);
    packet[32..40].copy_from_slice(&stamp(received));
    packet[40..48].copy_from_slice(&stamp(sent));
    packet
}

/// NTP's 32.32 fixed-point form of ns since 1970.
fn stamp(unix_ns: i64) -> [u8; 8] {
    let seconds = unix_ns.div_euclid(SECOND) + NTP_TO_UNIX;
    let fraction = (unix_ns.rem_euclid(SECOND) << 32) / SECOND;
    // The seconds wrap in 2036, as NTP's do.
    let both = (seconds << 32) | fraction;
    both.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_count_from_1900() {
        assert_eq!(stamp(0), [0x83, 0xaa, 0x7e, 0x80, 0, 0, 0, 0]);
        assert_eq!(stamp(SECOND / 2)[4..], [0x80, 0, 0, 0]);
    }

    #[test]
    fn answers_name_the_question() {
        let mut question = [0; PACKET];
        question[0] = 0b0010_0011;
        question[40..].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let packet = answer(&question, SECOND, 2 * SECOND);
        assert_eq!(packet[0], 0b0010_0100);
        assert_eq!(packet[24..32], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(packet[40..48], stamp(2 * SECOND));
    }
}
