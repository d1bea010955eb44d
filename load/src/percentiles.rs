//! Every latency, in the text that HdrHistogram's plotter reads: the value in milliseconds, which share of
//! all was at most so slow, how many that were, and one over the share that was slower.

use hdrhistogram::Histogram;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

/// Rows for each halving of the share that was slower.
const ROWS_A_HALF: u32 = 5;

/// Writes a histogram of microseconds.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(latencies: &Histogram<u64>, file: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    writeln!(out)?;
    let ms = |us: u64| Duration::from_micros(us).as_secs_f64() * 1e3;
    let mut total = 0;
    for row in latencies.iter_quantiles(ROWS_A_HALF) {
        total += row.count_since_last_iteration();
        let share = row.quantile();
        write!(
            out,
            "{:>12.3} {share:>14.12} {total:>10}",
            ms(row.value_iterated_to()),
        )?;
        if share < 1.0 {
            write!(out, " {:>14.2}", 1.0 / (1.0 - share))?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]",
        latencies.mean() / 1e3,
        latencies.stdev() / 1e3
    )?;
    writeln!(
        out,
        "#[Max     = {:>12.3}, Total count    = {:>12}]",
        ms(latencies.max()),
        latencies.len()
    )?;
    out.flush()
}
