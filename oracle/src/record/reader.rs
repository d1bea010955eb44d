//! Reads records.

use super::{Answer, Answered, Begun, Op};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// How each line begins.
const START: &[u8] = b"{\"call\":";

/// Characters of a line that is shown to a person.
const SHOWN_MAX: usize = 120;

/// What the clients of one process were told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The calls, in the order in which they began.
    pub calls: Vec<Call>,
    /// Whether the last line is torn: its process was killed while it wrote it.
    pub is_torn: bool,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number in the file.
    pub number: u64,
    /// When it began, Unix time in milliseconds by the client's clock.
    pub began_at: u64,
    /// Which sale.
    pub sid: String,
    /// Which buyer.
    pub uid: String,
    /// What was asked.
    pub op: Op,
    /// What was told, and when; `None`: nothing, as far as anybody knows.
    pub answer: Option<(u64, Answer)>,
}

/// A record that no [`Recorder`](super::Recorder) has written.
#[derive(Debug, thiserror::Error)]
pub enum Garbage {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line is not what it would have to be.
    #[error("{}:{line}: {what}: {text}", path.display())]
    Line {
        /// In which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
        /// As much of it as a person wants to see.
        text: String,
    },
}

// === impl Record ===

impl Record {
    /// Reads a file, also one that is still being written.
    ///
    /// # Errors
    /// [`Garbage`], which names the line and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Garbage> {
        let bytes = fs::read(path).map_err(|error| Garbage::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        Self::parse(&bytes).map_err(|(line, what, text)| Garbage::Line {
            path: path.to_owned(),
            line,
            what,
            text,
        })
    }

    /// Reads the bytes of a file; an error is the line's number, what is wrong, and its text.
    fn parse(bytes: &[u8]) -> Result<Self, (usize, String, String)> {
        let mut record = Self::default();
        let mut places = HashMap::new();
        for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let read = match line.strip_suffix(b"\n") {
                Some(line) => record.take(&mut places, line),
                // The last one. It was not written to its end, so nobody acted on it.
                None if line.starts_with(START) || START.starts_with(line) => {
                    record.is_torn = true;
                    Ok(())
                }
                None => Err("the last line is not the beginning of one".to_owned()),
            };
            read.map_err(|what| (number, what, shown(line)))?;
        }
        Ok(record)
    }

    fn take(&mut self, places: &mut HashMap<u64, usize>, line: &[u8]) -> Result<(), String> {
        let line: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        if line.get("answer").is_none() {
            let Begun {
                call: number,
                at: began_at,
                sid,
                uid,
                op,
            } = Begun::deserialize(line).map_err(|error| error.to_string())?;
            if places.insert(number, self.calls.len()).is_some() {
                return Err(format!("call {number} begins a second time"));
            }
            self.calls.push(Call {
                number,
                began_at,
                sid,
                uid,
                op,
                answer: None,
            });
            return Ok(());
        }
        let Answered { call, at, answer } =
            Answered::deserialize(line).map_err(|error| error.to_string())?;
        let place = places.get(&call);
        let asked = place
            .and_then(|place| self.calls.get_mut(*place))
            .ok_or_else(|| format!("call {call} is answered and never began"))?;
        if asked.answer.is_some() {
            return Err(format!("call {call} is answered a second time"));
        }
        if !asked.op.can_have(&answer) {
            return Err(format!("a {} cannot be answered like this", asked.op));
        }
        asked.answer = Some((at, answer));
        Ok(())
    }
}

// === impl Call ===

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}: ", self.uid, self.began_at, self.op)?;
        match &self.answer {
            Some((_, answer)) => write!(f, "{answer}"),
            None => f.write_str("no answer"),
        }
    }
}

fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown: String = text.trim_end().chars().take(SHOWN_MAX).collect();
    if shown.len() < text.trim_end().len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::{Recorder, Rejection};
    use super::*;

    const BEGUN: &str = r#"{"call":1,"at":5,"sid":"1","uid":"u7","op":"try","qty":1}"#;
    const TOLD: &str = r#"{"call":1,"at":6,"answer":"rejected","verdict":"SOLDOUT"}"#;

    fn try_for(qty: u32, token: Option<&str>) -> Op {
        let token = token.map(str::to_owned);
        Op::Try { qty, token }
    }

    #[test]
    fn a_record_reads_back_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("buyers.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        let first = recorder.begin("1", "u7", try_for(2, Some("t"))).unwrap();
        let rid = "5-2".to_owned();
        let confirm = Op::Confirm { rid: rid.clone() };
        let second = recorder.begin("1", "u7", confirm.clone()).unwrap();
        recorder.answer(second, Answer::Confirmed).unwrap();
        let accepted = Answer::Accepted { rid };
        recorder.answer(first, accepted.clone()).unwrap();
        drop(recorder.begin("1", "u8", try_for(1, None)).unwrap());

        let record = Record::read(&path).unwrap();
        let told = |call: &Call| call.answer.clone().map(|(_, answer)| answer);
        let read: Vec<_> = record
            .calls
            .iter()
            .map(|call| (&call.op, told(call)))
            .collect();
        assert_eq!(
            read,
            [
                (&try_for(2, Some("t")), Some(accepted)),
                (&confirm, Some(Answer::Confirmed)),
                (&try_for(1, None), None),
            ]
        );
        assert!(!record.is_torn);
        assert!(Recorder::create(&path).is_err(), "it would be written over");
    }

    #[test]
    fn lines_have_the_documented_shape() {
        let record = Record::parse(format!("{BEGUN}\n{TOLD}\n").as_bytes()).unwrap();
        let verdict = Rejection::SoldOut;
        assert_eq!(
            record.calls,
            [Call {
                number: 1,
                began_at: 5,
                sid: "1".to_owned(),
                uid: "u7".to_owned(),
                op: try_for(1, None),
                answer: Some((6, Answer::Rejected { verdict })),
            }]
        );
    }

    #[test]
    fn a_file_cut_anywhere_is_torn_and_no_garbage() {
        let whole = format!("{BEGUN}\n{TOLD}\n");
        for cut in 0..=whole.len() {
            let record = Record::parse(&whole.as_bytes()[..cut]).unwrap();
            let lines = whole[..cut].matches('\n').count();
            assert_eq!(record.calls.len(), lines.min(1), "{cut}");
            let answers = record.calls.iter().filter(|call| call.answer.is_some());
            assert_eq!(answers.count(), lines.saturating_sub(1), "{cut}");
            assert_eq!(record.is_torn, cut > 0 && !whole[..cut].ends_with('\n'));
        }
    }

    #[test]
    fn garbage_is_named_with_its_line() {
        for (text, line, what) in [
            (format!("{BEGUN}\nrubbish\n"), 2, "expected value"),
            (format!("{BEGUN}\nrubbish"), 2, "not the beginning"),
            (format!("{}\n{TOLD}\n", &BEGUN[..9]), 1, "EOF"),
            (format!("{TOLD}\n"), 1, "never began"),
            (
                format!("{BEGUN}\n{TOLD}\n{TOLD}\n"),
                3,
                "answered a second time",
            ),
            (format!("{BEGUN}\n{BEGUN}\n"), 2, "begins a second time"),
            (
                format!("{BEGUN}\n{}\n", r#"{"call":1,"at":6,"answer":"confirmed"}"#),
                2,
                "cannot be answered",
            ),
        ] {
            let (number, said, _) = Record::parse(text.as_bytes()).unwrap_err();
            assert_eq!(number, line, "{text}");
            assert!(said.contains(what), "{text}: {said}");
        }
    }

    #[test]
    fn an_answer_that_no_such_question_has_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Recorder::create(&folder.path().join("r.jsonl")).unwrap();
        let call = recorder.begin("1", "u7", try_for(1, None)).unwrap();
        assert!(recorder.answer(call, Answer::Cancelled).is_err());
    }
}
