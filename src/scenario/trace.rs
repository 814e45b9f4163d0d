//! What was measured: traffic traces and lists of durations, from CSV files.
//!
//! A file is read once, row by row, in memory bounded by the rows that are kept. Fields may stand in quotes, but hold
//! neither commas nor line breaks.

use super::fingerprint::Fingerprint;
use super::units::LONGEST;
use super::{InputError, LoadError, Piece};
use crate::time::nanos;
use csv::{ReaderBuilder, StringRecord};
use humantime::format_duration;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The highest rate of requests per second that can be asked for.
pub(super) const HIGHEST_RATE: f64 = 1e7;

const MOST_BYTES: u64 = 256 << 20;
const MOST_BYTES_A_LINE: usize = 64 << 10;
const MOST_TRACE_ROWS: usize = 5_000_000;
const MOST_DURATIONS: usize = 1_000_000;
const LONGEST_TRACE: Duration = Duration::from_hours(100 * 366 * 24);

/// Offered load as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trace {
    /// The rate from each row to the next one, the first at 0; at least one.
    pub(super) pieces: Vec<Piece>,
    /// From the first row to one interval after the last.
    pub(super) lasts: Duration,
}

/// A CSV file and how much of it goes into the fingerprint: all.
pub(super) struct Source<'a> {
    /// The file.
    pub(super) path: PathBuf,
    /// Takes in what is read.
    pub(super) fingerprint: &'a mut Fingerprint,
}

impl Source<'_> {
    /// Reads `timestamp,value`, where each value was counted over `interval`; rates are multiplied by `scale`.
    pub(super) fn read_trace(self, interval: Duration, scale: f64) -> Result<Trace, LoadError> {
        let mut rows = Rows::open(self)?;
        rows.next("timestamp,value")?.holds(
            |row| row.fields() == ["timestamp", "value"],
            "",
            "must be timestamp,value",
        )?;
        let mut clock = None;
        let mut first = 0;
        let mut closest = Duration::MAX;
        let mut pieces: Vec<Piece> = Vec::new();
        while let Some(row) = rows.read()? {
            row.holds(|row| row.record.len() == 2, "", "must hold two values, a timestamp and a value")?;
            row.holds(|_| pieces.len() < MOST_TRACE_ROWS, "", "must be one of at most 5,000,000 rows")?;
            let (kind, moment) = row.moment(clock)?;
            clock = Some(kind);
            if pieces.is_empty() {
                first = moment;
            }
            let is_later = pieces.last().is_none_or(|piece| i128::from(nanos(piece.starts)) < moment - first);
            row.holds(|_| is_later, "timestamp", "must be later than the one before")?;
            let starts = u64::try_from(moment - first).ok().map(Duration::from_nanos);
            let starts = starts.filter(|starts| *starts <= LONGEST_TRACE);
            let starts = starts.ok_or_else(|| row.breaks("timestamp", "must be within 100 years of the first one"))?;
            if let Some(last) = pieces.last() {
                let apart = starts.saturating_sub(last.starts);
                let problem =
                    format!("must be at least the interval of {} after the one before", format_duration(interval));
                row.holds(|_| apart >= interval, "timestamp", &problem)?;
                closest = closest.min(apart);
            }
            let rate = row.number(1, "value", "must be a number, 0 or more")? / interval.as_secs_f64() * scale;
            row.holds(|_| rate <= HIGHEST_RATE, "value", "must come to at most 10,000,000 requests per second")?;
            pieces.push(Piece { starts, rate });
        }
        if pieces.len() > 1 && closest > interval {
            let (closest, interval) = (format_duration(closest), format_duration(interval));
            let problem = format!("must be the interval of {interval} apart, but the closest two are {closest} apart");
            return Err(rows.breaks("timestamp", problem));
        }
        match pieces.last() {
            Some(last) => Ok(Trace { lasts: last.starts + interval, pieces }),
            None => Err(rows.breaks("", "must hold at least one row")),
        }
    }

    /// Reads one column of seconds under any header; sorted, at least one.
    pub(super) fn read_durations(self) -> Result<Vec<f64>, LoadError> {
        let mut rows = Rows::open(self)?;
        let header = rows.next("a name such as seconds")?;
        header.holds(|row| row.record.len() == 1, "", "must be one column")?;
        header.holds(|row| row.field(0).parse::<f64>().is_err(), "", "must be a header such as seconds")?;
        let mut durations = Vec::new();
        while let Some(row) = rows.read()? {
            row.holds(|row| row.record.len() == 1, "", "must hold one value")?;
            row.holds(|_| durations.len() < MOST_DURATIONS, "", "must be one of at most 1,000,000 rows")?;
            let duration = row.number(0, "", "must be a number of seconds, 0 or more")?;
            row.holds(|_| duration <= LONGEST.as_secs_f64(), "", "must be at most 366 days")?;
            durations.push(duration);
        }
        if durations.is_empty() {
            return Err(rows.breaks("", "must hold at least one value"));
        }
        durations.sort_by(f64::total_cmp);
        Ok(durations)
    }
}

/// How timestamps are written, the same way throughout a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Seconds,
    DateTime,
    Instant,
}

/// The rows of a file that is being read.
struct Rows<'a> {
    path: PathBuf,
    reader: csv::Reader<Watched<'a, File>>,
    record: StringRecord,
}

/// The row that was read last.
struct Row<'a> {
    path: &'a Path,
    line: usize,
    record: &'a StringRecord,
}

impl<'a> Rows<'a> {
    fn open(source: Source<'a>) -> Result<Self, LoadError> {
        let Source { path, fingerprint } = source;
        let file = File::open(&path).map_err(|error| LoadError::Io(path.clone(), error))?;
        let watched = Watched { inner: file, fingerprint, bytes: 0, bytes_of_line: 0, ended: false };
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).quoting(false).from_reader(watched);
        Ok(Rows { path, reader, record: StringRecord::new() })
    }

    /// The next row that is not blank.
    fn read(&mut self) -> Result<Option<Row<'_>>, LoadError> {
        loop {
            match self.reader.read_record(&mut self.record) {
                Ok(false) => return Ok(None),
                Ok(true) if self.record.iter().all(|field| field.trim().is_empty()) => {}
                Ok(true) => break,
                Err(error) => return Err(self.told(error)),
            }
        }
        Ok(Some(Row { path: &self.path, line: self.line(), record: &self.record }))
    }

    /// The header, which must be there.
    fn next(&mut self, what: &str) -> Result<Row<'_>, LoadError> {
        let empty = self.breaks("", format!("must begin with the header {what}"));
        self.read()?.ok_or(empty)
    }

    /// The line that is being read.
    fn line_begun(&self) -> usize {
        usize::try_from(self.reader.position().line()).unwrap_or(usize::MAX)
    }

    /// The line of the last record: the reader stands behind its line break, because [`Watched`] ends every line with
    /// one. The record's own position would be that of the blank lines before it.
    fn line(&self) -> usize {
        self.line_begun().saturating_sub(1).max(1)
    }

    fn breaks(&self, field: &str, problem: impl Into<String>) -> LoadError {
        error_at(&self.path, self.line(), field, problem)
    }

    fn told(&self, error: csv::Error) -> LoadError {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Excess>()) {
                Some(Excess(problem)) => error_at(&self.path, self.line_begun(), "", *problem),
                None => LoadError::Io(self.path.clone(), error),
            },
            _ => self.breaks("", "must be UTF-8"),
        }
    }
}

fn error_at(path: &Path, line: usize, field: &str, problem: impl Into<String>) -> LoadError {
    InputError { file: path.to_owned(), line, field: field.to_owned(), problem: problem.into() }.into()
}

impl Row<'_> {
    fn fields(&self) -> Vec<&str> {
        self.record.iter().map(unquoted).collect()
    }

    fn field(&self, column: usize) -> &str {
        self.record.get(column).map_or("", unquoted)
    }

    fn breaks(&self, field: &str, problem: impl Into<String>) -> LoadError {
        error_at(self.path, self.line, field, problem)
    }

    fn holds(&self, holds: impl FnOnce(&Self) -> bool, field: &str, problem: &str) -> Result<(), LoadError> {
        if holds(self) { Ok(()) } else { Err(self.breaks(field, problem)) }
    }

    /// A finite number, 0 or more.
    fn number(&self, column: usize, field: &str, problem: &str) -> Result<f64, LoadError> {
        let number = self.field(column).parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| self.breaks(field, problem))
    }

    /// The timestamp in nanoseconds since some moment, written the way the rows before were.
    fn moment(&self, before: Option<Clock>) -> Result<(Clock, i128), LoadError> {
        let text = self.field(0);
        let problem = "must be a number of seconds, or a date and time such as 2014-04-10 00:04:00";
        let moment = read_moment(text).ok_or_else(|| self.breaks("timestamp", problem))?;
        let alike = before.is_none_or(|before| before == moment.0);
        self.holds(|_| alike, "timestamp", "must be written the same way as those before")?;
        Ok(moment)
    }
}

fn unquoted(field: &str) -> &str {
    field.trim().trim_matches('"').trim()
}

fn read_moment(text: &str) -> Option<(Clock, i128)> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some((Clock::Seconds, i128::from(seconds) * 1_000_000_000));
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.abs() <= 1e12).then_some((Clock::Seconds, (seconds * 1e9).round() as i128));
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some((Clock::Instant, instant.as_nanosecond()));
    }
    let instant = Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?;
    Some((Clock::DateTime, instant.as_nanosecond()))
}

/// A reader that takes the fingerprint of what passes, ends every line with one line feed and refuses what is too
/// long.
struct Watched<'a, R> {
    inner: R,
    fingerprint: &'a mut Fingerprint,
    bytes: u64,
    bytes_of_line: usize,
    ended: bool,
}

/// There is more in a file than may be.
#[derive(Debug)]
struct Excess(&'static str);

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Excess {}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read == 0 && !buffer.is_empty() && !self.ended {
            self.ended = true;
            buffer[0] = b'\n';
            return Ok(usize::from(self.bytes_of_line > 0));
        }
        self.fingerprint.add(&buffer[..read]);
        self.bytes += read as u64;
        if self.bytes > MOST_BYTES {
            return Err(io::Error::other(Excess("must end within the file's first 256 MiB")));
        }
        for byte in &mut buffer[..read] {
            self.bytes_of_line = if *byte == b'\n' { 0 } else { self.bytes_of_line + 1 };
            if self.bytes_of_line > MOST_BYTES_A_LINE {
                return Err(io::Error::other(Excess("must be at most 65,536 bytes long")));
            }
            if *byte == b'\r' {
                *byte = b' ';
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read<T>(content: &[u8], read: impl FnOnce(Source<'_>) -> Result<T, LoadError>) -> Result<T, String> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("it.csv");
        fs::write(&path, content).expect("a file for the test");
        let mut fingerprint = Fingerprint::new();
        let result = read(Source { path, fingerprint: &mut fingerprint });
        result.map_err(|error| match error {
            LoadError::Input(error) => InputError { file: "it.csv".into(), ..error }.to_string(),
            LoadError::Io(_, error) => error.to_string(),
        })
    }

    fn durations(content: &str) -> Result<Vec<f64>, String> {
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general over its lifetime")]
        read(content.as_bytes(), |source| source.read_durations())
    }

    fn trace(content: &str) -> Result<Trace, String> {
        read(content.as_bytes(), |source| source.read_trace(Duration::from_mins(5), 2.0))
    }

    /// Starts in seconds and rates; 300 requests in five minutes are one a second, here doubled.
    fn pieces(content: &str) -> Vec<(u64, f64)> {
        let trace = trace(content).expect(content);
        trace.pieces.iter().map(|piece| (piece.starts.as_secs(), piece.rate)).collect()
    }

    #[test]
    fn a_rate_holds_until_the_next_row_even_over_a_gap() {
        let trace = trace("timestamp,value\n100,300\n400,600\n1300,0\n").expect("a good trace");
        let piece = |starts, rate| Piece { starts: Duration::from_secs(starts), rate };
        assert_eq!(trace.pieces, [piece(0, 2.0), piece(300, 4.0), piece(1200, 0.0)]);
        assert_eq!(trace.lasts, Duration::from_mins(25));
    }

    #[test]
    fn moments_are_written_in_many_ways() {
        let then = vec![(0, 2.0), (300, 4.0)];
        for rows in [
            "0,300\n300,600",
            "0.5,300\n300.5,600\n",
            "1e3,300\r\n1.3e3,600\r\n\r\n",
            "2014-04-10 00:04:00,300\n2014-04-10 00:09:00,600\n",
            "\"2014-04-10 00:04:00\",300\n\n\"2014-04-10 00:09:00\", 600\n",
            "2014-04-10T00:04:00,300\n2014-04-10T00:09:00,600\n",
            "2014-04-10T00:04:00Z,300\n2014-04-10T02:09:00+02:00,600\n",
        ] {
            assert_eq!(pieces(&format!("timestamp,value\n{rows}")), then, "{rows}");
        }
        assert_eq!(pieces("\u{feff}timestamp,value\n0,300\n"), [(0, 2.0)]);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (content, then) in [
            ("", "it.csv:1: must begin with the header timestamp,value"),
            ("0,1\n", "it.csv:1: must be timestamp,value"),
            ("timestamp,value\n", "it.csv:1: must hold at least one row"),
            ("timestamp,value\n0,1\n0,1\n", "it.csv:3: timestamp: must be later than the one before"),
            ("timestamp,value\n5,1\n0,1\n", "it.csv:3: timestamp: must be later than the one before"),
            ("timestamp,value\r\n\r\n0,1\r\n300,x", "it.csv:4: value: must be a number, 0 or more"),
            ("timestamp,value\n\n\n0,1\n\n300,-1\n", "it.csv:6: value: must be a number, 0 or more"),
            (
                "timestamp,value\n0,1\n60,1\n",
                "it.csv:3: timestamp: must be at least the interval of 5m after the one before",
            ),
            (
                "timestamp,value\n0,1\n3600,1\n7200,1\n",
                "it.csv:4: timestamp: must be the interval of 5m apart, but the closest two are 1h apart",
            ),
            ("timestamp,value\n0,NaN\n", "it.csv:2: value: must be a number, 0 or more"),
            ("timestamp,value\n0,inf\n", "it.csv:2: value: must be a number, 0 or more"),
            ("timestamp,value\n0,1e300\n", "it.csv:2: value: must come to at most 10,000,000 requests per second"),
            ("timestamp,value\n0,1,2\n", "it.csv:2: must hold two values, a timestamp and a value"),
            ("timestamp,value\n0,1\n9e11,1\n", "it.csv:3: timestamp: must be within 100 years of the first one"),
            (
                "timestamp,value\nnoon,1\n",
                "it.csv:2: timestamp: must be a number of seconds, or a date and time such as 2014-04-10 00:04:00",
            ),
            (
                "timestamp,value\n0,1\n2014-04-10 00:04:00,1\n",
                "it.csv:3: timestamp: must be written the same way as those before",
            ),
        ] {
            assert_eq!(trace(content).expect_err(content), then, "{content}");
        }
    }

    #[test]
    fn rubbish_is_refused_early() {
        let trace = |content: &[u8]| read(content, |source| source.read_trace(Duration::from_secs(1), 1.0));
        assert_eq!(trace(&vec![0; 1 << 20]).expect_err("zeros"), "it.csv:1: must be at most 65,536 bytes long");
        let bytes = b"timestamp,value\n0,\xff\n";
        assert_eq!(trace(bytes).expect_err("no text"), "it.csv:2: must be UTF-8");
    }

    #[cfg(unix)]
    #[test]
    fn an_endless_file_ends() {
        let source = |fingerprint| Source { path: "/dev/zero".into(), fingerprint };
        let error = source(&mut Fingerprint::new()).read_durations().expect_err("no durations");
        assert_eq!(error.to_string(), "/dev/zero:1: must be at most 65,536 bytes long");
    }

    #[test]
    fn durations_come_sorted() {
        assert_eq!(durations("seconds\n3\n1.5\n\n2e0\n"), Ok(vec![1.5, 2.0, 3.0]));
        for (content, then) in [
            ("", "it.csv:1: must begin with the header a name such as seconds"),
            ("1.5\n2\n", "it.csv:1: must be a header such as seconds"),
            ("a,b\n1,2\n", "it.csv:1: must be one column"),
            ("seconds\n", "it.csv:1: must hold at least one value"),
            ("seconds\n1\n1,2\n", "it.csv:3: must hold one value"),
            ("seconds\n1\n-1\n", "it.csv:3: must be a number of seconds, 0 or more"),
            ("seconds\n1\n31622401\n", "it.csv:3: must be at most 366 days"),
        ] {
            assert_eq!(durations(content), Err(then.to_owned()), "{content}");
        }
    }

    #[test]
    fn everything_read_goes_into_the_fingerprint() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("it.csv");
        fs::write(&path, "seconds\r\n1").expect("a file for the test");
        let mut read = Fingerprint::new();
        Source { path, fingerprint: &mut read }.read_durations().expect("a good file");
        let mut expected = Fingerprint::new();
        expected.add(b"seconds\r\n1");
        assert_eq!(read.value(), expected.value());
    }
}
