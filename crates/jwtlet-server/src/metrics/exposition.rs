//! Metrics as text: that of OpenMetrics, or the older one of Prometheus.

use std::fmt;

use jwtlet_upstream::Spread;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::{Registry, Unit},
};

use super::definition::{Definition, Kind};

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    OpenMetrics,
    Plain,
}

impl Format {
    /// What a client asks for. Whoever does not ask for OpenMetrics gets what everybody reads.
    pub(crate) fn accepted_by(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Plain }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Labels of one series, in the order of the definition.
pub(super) type Labels<'a> = &'a [&'a str];

/// Writes series to a page. What it writes first of a metric announces it.
pub(super) struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    pub(super) fn counter<'l, V: EncodeCounterValue>(
        &mut self,
        metric: &Definition,
        series: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        self.each(metric, series, |encoder, value| encoder.encode_counter::<NoLabelSet, _, u64>(value, None))
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "as a function the method is good for one lifetime only"
    )]
    pub(super) fn gauge<'l, V: EncodeGaugeValue>(
        &mut self,
        metric: &Definition,
        series: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        self.each(metric, series, |encoder, value| encoder.encode_gauge(value))
    }

    /// Times are kept in nanoseconds and shown in seconds, all else as it is.
    pub(super) fn histogram<'l>(
        &mut self,
        metric: &Definition,
        series: impl IntoIterator<Item = (Labels<'l>, Spread)>,
    ) -> fmt::Result {
        let divisor = if metric.kind == Kind::TimeHistogram { 1e9 } else { 1.0 };
        #[expect(clippy::cast_precision_loss, reason = "nobody measures that precisely")]
        let scaled = |value: u64| if value == u64::MAX { f64::INFINITY } else { value as f64 / divisor };
        self.each(metric, series, |encoder, spread| {
            let ranges: Vec<_> =
                spread.ranges.iter().map(|(bound, count)| (scaled(*bound), *count)).collect();
            let count = spread.ranges.iter().map(|(_, count)| count).sum();
            encoder.encode_histogram::<NoLabelSet>(scaled(spread.sum), count, &ranges, None)
        })
    }

    fn each<'l, V>(
        &mut self,
        metric: &Definition,
        series: impl IntoIterator<Item = (Labels<'l>, V)>,
        write: impl Fn(&mut MetricEncoder<'_>, &V) -> fmt::Result,
    ) -> fmt::Result {
        let mut encoder = announce(&mut self.encoder, metric)?;
        for (values, value) in series {
            let labels = pairs(metric, values);
            if labels.is_empty() {
                write(&mut encoder, &value)?;
            } else {
                write(&mut encoder.encode_family(&labels)?, &value)?;
            }
        }
        Ok(())
    }
}

fn announce<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    metric: &'e Definition,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram | Kind::TimeHistogram => MetricType::Histogram,
    };
    encoder.encode_descriptor(metric.name, metric.help, None::<&Unit>, kind)
}

fn pairs<'v>(metric: &Definition, values: Labels<'v>) -> Vec<(&'static str, &'v str)> {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    metric.labels.iter().copied().zip(values.iter().copied()).collect()
}

/// A page that this function writes.
pub(super) fn write(
    format: Format,
    fill: impl Fn(&mut Page<'_>) -> fmt::Result + Send + Sync + 'static,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Filled(fill)));
    let mut page = String::new();
    text::encode(&mut page, &registry)?;
    Ok(match format {
        Format::OpenMetrics => page,
        Format::Plain => plain(&page),
    })
}

struct Filled<F>(F);

impl<F> fmt::Debug for Filled<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filled")
    }
}

impl<F: Fn(&mut Page<'_>) -> fmt::Result + Send + Sync + 'static> Collector for Filled<F> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Page { encoder })
    }
}

/// The older format differs in two things: a counter is announced by the name that its series have, and there is no mark
/// at the end.
fn plain(page: &str) -> String {
    let counters: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(page.len() + 16 * counters.len());
    for line in page.lines().filter(|line| *line != "# EOF") {
        let announced = ["# TYPE ", "# HELP "].into_iter().find_map(|start| {
            let (name, rest) = line.strip_prefix(start)?.split_once(' ')?;
            counters.contains(&name).then_some((start, name, rest))
        });
        match announced {
            Some((start, name, rest)) => text.extend([start, name, "_total ", rest, "\n"]),
            None => text.extend([line, "\n"]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_announces_counters_by_the_name_of_their_series() {
        let page =
            "# HELP a Help of a.\n# TYPE a counter\na_total 1\n# HELP b B.\n# TYPE b gauge\nb 2\n# EOF\n";
        let expected = "# HELP a_total Help of a.\n# TYPE a_total counter\na_total 1\n# HELP b B.\n# TYPE b gauge\nb 2\n";
        assert_eq!(plain(page), expected);
    }

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.3";
        assert_eq!(Format::accepted_by(prometheus), Format::OpenMetrics);
        assert_eq!(Format::accepted_by("*/*"), Format::Plain);
        assert_eq!(Format::accepted_by(""), Format::Plain);
    }
}
