//! What `journalctl -o json` writes: an object a line. A field is a string; an array of numbers if it has bytes that no
//! string may have; an array of those if the entry has it several times; null if it is longer than journalctl shows.

use std::{borrow::Cow, fmt, io::BufRead};

use serde::{
    Deserializer, de,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{data::MOST_TEXT, export::Entry, gather::Gathered};
use crate::node::lines::Lines;

/// A line is no longer: journalctl leaves out what is longer than 4 KiB unless it is told not to.
const LONGEST: usize = 1 << 20;

/// Reads a stream to its end. An error says what could not be read.
pub(super) fn read(lines: &mut Lines<impl BufRead>, gathered: &mut Gathered) -> Result<(), String> {
    let (mut long, mut damaged) = (0_u64, 0_u64);
    while let Some(line) = lines.next(LONGEST)? {
        if line.cut {
            long += 1;
            continue;
        }
        if line.bytes.trim_ascii().is_empty() {
            continue;
        }
        let mut entry = Entry::default();
        let mut line = serde_json::Deserializer::from_slice(line.bytes);
        match line.deserialize_map(Object(&mut entry)).and_then(|()| line.end()) {
            Ok(()) => entry.end(gathered),
            Err(_) => damaged += 1,
        }
    }
    match (damaged, long) {
        (0, 0) => Ok(()),
        (_, 0) => Err(format!("damaged or cut off: {damaged} lines are no JSON")),
        _ => Err(format!("{damaged} lines are no JSON, {long} are longer than 1 MiB")),
    }
}

struct Object<'e>(&'e mut Entry);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Name>()? {
            match name.0.as_ref() {
                "__REALTIME_TIMESTAMP"
                | "__MONOTONIC_TIMESTAMP"
                | "_BOOT_ID"
                | "__CURSOR"
                | "MESSAGE"
                | "_COMM"
                | "SYSLOG_IDENTIFIER"
                | "_TRANSPORT"
                | "_PID"
                | "_UID"
                | "_EXE"
                | "_SYSTEMD_UNIT" => {
                    if let Field(Some(text)) = map.next_value()? {
                        self.0.field(name.0.as_bytes(), &text);
                    }
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A name, which is copied only if it has escapes.
#[derive(serde::Deserialize)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

/// A field's text, the first if there are several.
struct Field<'de>(Option<Cow<'de, [u8]>>);

impl<'de> de::Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string, an array or null")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field(Some(Cow::Borrowed(text.as_bytes()))))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field(Some(Cow::Owned(text.as_bytes().to_vec()))))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Field<'de>, E> {
        Ok(Field(Some(Cow::Owned(number.to_string().into_bytes()))))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Field<'de>, E> {
        Ok(Field(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field<'de>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(element) = seq.next_element::<Element>()? {
            match element {
                Element::Byte(byte) if bytes.len() < MOST_TEXT => bytes.push(byte),
                Element::Text(text) => {
                    while seq.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Field(Some(Cow::Owned(text))));
                }
                Element::Byte(_) | Element::Other(_) => {}
            }
        }
        Ok(Field(Some(Cow::Owned(bytes))))
    }
}

/// Of an array.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Element {
    Byte(u8),
    #[serde(deserialize_with = "text")]
    Text(Vec<u8>),
    Other(IgnoredAny),
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    <Cow<'de, str> as de::Deserialize>::deserialize(deserializer).map(|text| text.as_bytes().to_vec())
}
