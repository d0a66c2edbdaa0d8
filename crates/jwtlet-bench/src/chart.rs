//! The results as a picture: throughput by connections and latency, and what an exchange costs the server.
//!
//! It brings its own white ground, so that it can be read on pages of any colour.

use std::error::Error;

use plotters::{
    chart::{ChartBuilder, SeriesLabelPosition},
    coord::ranged1d::{IntoSegmentedCoord, SegmentValue},
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, PathElement, Rectangle, Text},
    prelude::{IntoLogRange, LineSeries, SVGBackend},
    style::{
        BLACK, Color, RGBColor, TextStyle, WHITE,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{
    catalog::{CONNECTIONS, LATENCIES_MS},
    error::BenchError,
    row::Row,
};

const WIDTH: u32 = 900;
const LINES_HEIGHT: u32 = 440;
const BAR_HEIGHT: u32 = 19;
/// Titles and axes around the bars.
const AROUND_BARS: u32 = 110;
/// Of the limit first, then of the latencies; told apart by any kind of eyes (Okabe and Ito).
const COLOURS: [RGBColor; 4] =
    [RGBColor(90, 90, 90), RGBColor(0, 114, 178), RGBColor(0, 158, 115), RGBColor(213, 94, 0)];
const FONT: &str = "sans-serif";

type Panel<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn Error + Send + Sync>>;

/// One of [`CONNECTIONS`] by its index, or one row from below.
type Segment = SegmentValue<i32>;

/// One line of the upper panel: connections and exchanges per second.
struct Line {
    name: String,
    points: Vec<(Segment, f64)>,
}

/// The picture as SVG.
pub(crate) fn draw(rows: &[Row]) -> Result<String, BenchError> {
    let lines = lines(rows);
    let bars: Vec<&Row> = rows.iter().filter(|row| !is_point(row)).collect();
    let bars_height = AROUND_BARS + BAR_HEIGHT * u32::try_from(bars.len()).unwrap_or_default();
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, LINES_HEIGHT + bars_height)).into_drawing_area();
        let (upper, lower) = root.split_vertically(LINES_HEIGHT);
        let drawn = root
            .fill(&WHITE)
            .map_err(Into::into)
            .and_then(|()| draw_lines(&upper, &lines))
            .and_then(|()| draw_bars(&lower, &bars))
            .and_then(|()| root.present().map_err(Into::into));
        drawn.map_err(BenchError::Chart)?;
    }
    Ok(svg)
}

/// Whether it is a point of the upper panel and of no interest in the lower one.
fn is_point(row: &Row) -> bool {
    let of_matrix = row.name.starts_with("warm-") || row.name.starts_with("limit-");
    of_matrix && row.connections != 64
}

fn lines(rows: &[Row]) -> Vec<Line> {
    let line = |name: String, row_name: &dyn Fn(usize) -> String| {
        let point = |(index, connections): (i32, usize)| {
            let wanted = row_name(connections);
            let row = rows.iter().find(|row| row.name == wanted)?;
            Some((SegmentValue::CenterOf(index), row.per_second))
        };
        Line { name, points: (0..).zip(CONNECTIONS).filter_map(point).collect() }
    };
    let limit = line("limit: HTTP stack alone".to_owned(), &|connections| format!("limit-{connections}"));
    let warm = LATENCIES_MS.map(|latency| {
        line(format!("jwtlet, neighbours {latency}/{latency} ms"), &|connections| {
            format!("warm-{connections}-{latency}ms")
        })
    });
    [limit].into_iter().chain(warm).collect()
}

fn draw_lines(panel: &Panel<'_>, lines: &[Line]) -> Drawn {
    let highest = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(1000.0, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption("Warm exchanges per second", (FONT, 18))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(76)
        .build_cartesian_2d(
            (0..last(CONNECTIONS.len())).into_segmented(),
            (10.0..highest * 1.5).log_scale(),
        )?;
    let connections =
        |segment: &Segment| at(segment, &CONNECTIONS).map_or(String::new(), ToString::to_string);
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("connections")
        .y_desc("exchanges per second (logarithmic)")
        .label_style((FONT, 13))
        .axis_desc_style((FONT, 14))
        .x_labels(CONNECTIONS.len())
        .x_label_formatter(&connections)
        .y_label_formatter(&|per_second| format!("{per_second:.0}"))
        .light_line_style(BLACK.mix(0.04))
        .bold_line_style(BLACK.mix(0.12));
    mesh.draw()?;
    for (Line { name, points }, colour) in lines.iter().zip(COLOURS) {
        chart
            .draw_series(LineSeries::new(points.iter().cloned(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|point| Circle::new(point.clone(), 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .margin(12)
        .label_font((FONT, 13))
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

fn draw_bars(panel: &Panel<'_>, rows: &[&Row]) -> Drawn {
    let highest = rows.iter().map(|row| row.server_cpu_us).fold(1.0, f64::max);
    // The first row stands on top.
    let names: Vec<&str> = rows.iter().rev().map(|row| row.name.as_str()).collect();
    let mut chart = ChartBuilder::on(panel)
        .caption("Server CPU for one exchange", (FONT, 18))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(150)
        .build_cartesian_2d(0.0..highest * 1.1, (0..last(rows.len())).into_segmented())?;
    let label = |segment: &Segment| at(segment, &names).copied().unwrap_or_default().to_owned();
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("user and system time, µs per exchange")
        .y_desc("row")
        .label_style((FONT, 13))
        .axis_desc_style((FONT, 14))
        .y_labels(rows.len().max(1))
        .x_label_formatter(&|cpu| format!("{cpu:.0}"))
        .y_label_formatter(&label)
        .disable_y_mesh()
        .light_line_style(BLACK.mix(0.04))
        .bold_line_style(BLACK.mix(0.12));
    mesh.draw()?;
    for (index, row) in (0..).zip(rows.iter().rev()) {
        let colour = if row.name.starts_with("limit-") { COLOURS[0] } else { COLOURS[1] };
        let corners =
            [(0.0, SegmentValue::Exact(index)), (row.server_cpu_us, SegmentValue::Exact(index + 1))];
        let mut bar = Rectangle::new(corners, colour.mix(0.8).filled());
        bar.set_margin(3, 3, 0, 0);
        let figure = Text::new(
            format!(" {:.1}", row.server_cpu_us),
            (row.server_cpu_us, SegmentValue::CenterOf(index)),
            TextStyle::from((FONT, 12)).pos(Pos::new(HPos::Left, VPos::Center)),
        );
        chart.draw_series([bar])?;
        chart.draw_series([figure])?;
    }
    Ok(())
}

/// The greatest index of so many.
fn last(count: usize) -> i32 {
    i32::try_from(count.saturating_sub(1)).unwrap_or(i32::MAX)
}

/// What stands at a place of an axis.
fn at<'a, T>(segment: &Segment, all: &'a [T]) -> Option<&'a T> {
    match segment {
        SegmentValue::CenterOf(index) => all.get(usize::try_from(*index).ok()?),
        SegmentValue::Exact(_) | SegmentValue::Last => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn axes_have_titles_with_units_and_bars_have_names() {
        let rows: Vec<_> = catalog::all().iter().map(Row::sample).collect();
        let svg = draw(&rows).unwrap();
        for text in ["connections", "exchanges per second", "µs per exchange", "scopes-60", "limit-64"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn a_run_of_few_rows_or_none_has_a_chart_too() {
        assert!(draw(&[]).unwrap().starts_with("<svg"));
        assert!(draw(&[Row::sample(&catalog::reference())]).is_ok());
    }
}
